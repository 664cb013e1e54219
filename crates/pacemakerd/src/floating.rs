//! Floating addresses under watch: when the kernel loses one that a resource holds, the resource's
//! monitor runs at once instead of at its next interval.

use std::collections::BTreeMap;
use std::net::IpAddr;

use executor::Operation;
use sys::rtnl::{Change, Watcher};

/// Which resource holds which address here.
pub struct Floating {
    watcher: Option<Watcher>,
    held: BTreeMap<IpAddr, String>,
}

impl Floating {
    /// Without a watcher (no netlink) addresses are noticed at the next monitor only.
    pub fn open() -> Floating {
        Floating { watcher: Watcher::open().ok(), held: BTreeMap::new() }
    }

    pub fn watcher(&self) -> Option<&Watcher> {
        self.watcher.as_ref()
    }

    /// Takes note of a result: a start or a monitor that succeeded holds the address, a stop frees it.
    pub fn note(&mut self, operation: &Operation, rc: i32) {
        if operation.agent.kind != "IPaddr2" {
            return;
        }
        let ip = operation.parameters.iter().find(|(name, _)| name == "ip");
        let Some(ip) = ip.and_then(|(_, text)| text.trim().parse::<IpAddr>().ok()) else { return };
        match (operation.name.as_str(), rc) {
            ("start" | "monitor", 0) => {
                self.held.insert(ip, operation.resource.clone());
            }
            ("stop", _) => {
                self.held.remove(&ip);
            }
            _ => {}
        }
    }

    /// Resources whose address was taken away since the last call.
    pub fn lost(&mut self) -> Vec<String> {
        let changes = self.watcher.as_mut().map(Watcher::changes).and_then(Result::ok).unwrap_or_default();
        let mut lost = Vec::new();
        for change in changes {
            match change {
                Change::AddressRemoved(address) => lost.extend(self.held.get(&address.ip).cloned()),
                // Who knows what was missed: look at all.
                Change::Lost => lost.extend(self.held.values().cloned()),
                Change::LinkRemoved(_) => lost.extend(self.held.values().cloned()),
                Change::AddressAdded(_) | Change::Link(_) => {}
            }
        }
        lost.sort();
        lost.dedup();
        lost
    }
}
