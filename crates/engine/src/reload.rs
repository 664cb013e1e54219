//! Taking over a changed configuration file.

use std::collections::{BTreeMap, BTreeSet};

use totem::Level;

use crate::map::{Map, Value};
use crate::output::Ctx;
use crate::wire::CsError;
use crate::{Engine, NodeLinks};

/// Subtrees of the map that come from the configuration file.
const PREFIXES: [&str; 6] = ["logging.", "totem.", "nodelist.", "quorum.", "uidgid.config.", "nozzle."];

/// Values that the driver worked out from them.
const EFFECTIVE: &str = "runtime.config.";

/// Keys that need a restart of the daemon.
const FIXED: [&str; 17] = [
    "totem.version",
    "totem.threads",
    "totem.ip_version",
    "totem.ip_dscp",
    "totem.netmtu",
    "totem.interface.bindnetaddr",
    "totem.interface.mcastaddr",
    "totem.interface.broadcast",
    "totem.interface.mcastport",
    "totem.interface.ttl",
    "totem.transport",
    "totem.cluster_name",
    "quorum.provider",
    "system.sched_rr",
    "system.priority",
    "system.qb_ipc_type",
    "system.state_dir",
];

/// Subtrees that a reload replaces.
#[must_use]
pub fn config_prefixes() -> &'static [&'static str] {
    &PREFIXES
}

impl Engine {
    /// Ends a reload: the keys of the new file, or why it cannot be used.
    pub fn apply_reload(&mut self, outcome: Result<(Map, BTreeMap<u32, NodeLinks>), String>) {
        self.map.remove("config.reload_error_message");
        self.map.set("config.totemconfig_reload_in_progress", 1u8);
        let error = match outcome {
            Ok((new, nodes)) => {
                self.map.set("config.reload_in_progress", 1u8);
                self.take_over(&new);
                self.cfg.nodes = nodes;
                CsError::Ok
            }
            Err(text) => {
                self.log(Level::Error, "CFG", format!("Unable to reload config file: {text}"));
                self.map.set("config.reload_error_message", text.as_str());
                CsError::InvalidParam
            }
        };
        self.map.set("config.reload_status", error as i32);
        self.map.set("config.totemconfig_reload_in_progress", 0u8);
        self.map.set("config.reload_in_progress", 0u8);
        self.settle();
        if let Some(votequorum) = &mut self.votequorum {
            let mut ctx = Ctx { me: self.me, now: self.now, map: &mut self.map, out: &mut self.out };
            votequorum.reread_ends(&mut ctx, &mut self.quorum);
        }
        let mut ctx = Ctx { me: self.me, now: self.now, map: &mut self.map, out: &mut self.out };
        self.cfg.reload_done(&mut ctx, error);
    }

    fn take_over(&mut self, new: &Map) {
        let local_position = "nodelist.local_node_pos";
        let runtime_only = |key: &str| key == local_position || key.ends_with(".bindnetaddr");
        for prefix in PREFIXES {
            let keys: BTreeSet<String> =
                self.map.with_prefix(prefix).map(|(key, _)| key.to_owned()).collect();
            for key in keys {
                let is_gone = new.get(&key).is_none() && !runtime_only(&key);
                if is_gone && !self.is_fixed(&key, None) {
                    self.map.remove(&key);
                }
            }
            let entries: Vec<(String, Value)> =
                new.with_prefix(prefix).map(|(key, value)| (key.to_owned(), value.clone())).collect();
            for (key, value) in entries {
                if !self.is_fixed(&key, Some(&value)) {
                    self.map.set(&key, value);
                }
            }
        }
        let effective: Vec<(String, Value)> =
            new.with_prefix(EFFECTIVE).map(|(key, value)| (key.to_owned(), value.clone())).collect();
        for (key, value) in effective {
            self.map.set(&key, value);
        }
    }

    /// True if the key may not change while the daemon runs; says so if it would.
    fn is_fixed(&mut self, key: &str, new: Option<&Value>) -> bool {
        if !FIXED.contains(&key) {
            return false;
        }
        if self.map.get(key) != new {
            let text = format!("Modified entry '{key}' in corosync.conf cannot be changed at run-time");
            self.log(Level::Notice, "CFG", text);
        }
        true
    }
}
