//! Instance parameters of resources, meta-attributes of operations.

use crate::cluster::Cluster;
use crate::model::*;
use crate::rules::{RuleInput, unpack_table};
use crate::text::{Str, Table, interval_ms, ms_to_s, parse_ms};
use std::sync::Arc;
use xml::NodeId;

/// Time-out of operations that have none configured, in milliseconds.
const DEFAULT_TIMEOUT_MS: i64 = 20_000;

impl Cluster {
    /// Parameters of a resource; they may depend on the node through rules.
    pub(crate) fn params(&mut self, rsc: RscIx, node: Option<NodeIx>) -> Arc<Table> {
        let key = if self.rscs[rsc].params_static { None } else { node };
        if let Some(found) = self.rscs[rsc].params.get(&key) {
            return found.clone();
        }
        let mut table = Table::default();
        let rules = self.collect_params(rsc, node, &mut table);
        let table = Arc::new(table);
        let r = &mut self.rscs[rsc];
        if !rules {
            r.params_static = true;
            r.params.insert(None, table.clone());
        } else {
            r.params.insert(node, table.clone());
        }
        table
    }

    /// Parameters that were asked for before.
    pub(crate) fn known_params(&self, rsc: RscIx, node: Option<NodeIx>) -> Option<&Table> {
        let r = &self.rscs[rsc];
        r.params.get(if r.params_static { &None } else { &node }).map(|table| &**table)
    }

    fn collect_params(&mut self, rsc: RscIx, node: Option<NodeIx>, table: &mut Table) -> bool {
        let doc = self.doc.clone();
        let (mut next, mut rules) = (None, false);
        let mut at = Some(rsc);
        while let Some(rsc) = at {
            let attrs = node.map(|n| &self.nodes[n].attrs);
            let input = RuleInput { node_attrs: attrs, ..self.rule_input() };
            let r = &self.rscs[rsc];
            rules |= unpack_table(&doc, Some(r.xml), "instance_attributes", &input, &mut next, table);
            if let Some(addr) = r.addr_override.clone().filter(|_| table.get("addr") == Some("#uname")) {
                table.set(Str::lit("addr"), addr);
            }
            at = r.parent;
        }
        self.recheck_time(next);
        rules
    }

    /// Configuration of an operation.
    pub(crate) fn op_config(
        &self,
        rsc: RscIx,
        task: &str,
        interval: u32,
        disabled_too: bool,
    ) -> Option<&OpConfig> {
        let exact = |task: &str, interval: u32| {
            self.rscs[rsc].ops.iter().find(|op| {
                (disabled_too || op.enabled != Some(false))
                    && op.interval_ms == interval
                    && op.name.as_deref() == Some(task)
            })
        };
        exact(task, interval).or_else(|| match task {
            "migrate_to" | "migrate_from" => exact("migrate", 0),
            _ => None,
        })
    }

    /// Meta-attributes of an operation, complete with defaults.
    pub(crate) fn action_meta(
        &mut self,
        rsc: RscIx,
        node: Option<NodeIx>,
        task: &str,
        interval: u32,
        config: Option<NodeId>,
    ) -> Arc<Table> {
        let cached = self.rscs[rsc].meta_cache.iter().find(|(t, i, _)| *i == interval && &**t == task);
        if let Some((_, _, table)) = cached {
            return table.clone();
        }
        let table = Arc::new(self.build_action_meta(rsc, node, task, interval, config));
        let fence = self.rscs[rsc].is(rf::FENCE_DEVICE) && !self.rscs[rsc].params_static;
        if !fence {
            self.rscs[rsc].meta_cache.push((task.into(), interval, table.clone()));
        }
        table
    }

    fn build_action_meta(
        &mut self,
        rsc: RscIx,
        node: Option<NodeIx>,
        task: &str,
        interval: u32,
        config: Option<NodeId>,
    ) -> Table {
        let doc = self.doc.clone();
        let (class, provider, agent) =
            (self.rscs[rsc].class.clone(), self.rscs[rsc].provider.clone(), self.rscs[rsc].agent.clone());
        let input = RuleInput {
            class: class.as_deref(),
            provider: provider.as_deref(),
            agent: agent.as_deref(),
            op_name: Some(task),
            op_interval_ms: interval,
            ..self.rule_input()
        };
        let (mut meta, mut next) = (Table::default(), None);
        if let Some(config) = config {
            unpack_table(&doc, Some(config), "meta_attributes", &input, &mut next, &mut meta);
            for (name, value) in doc.attrs(config) {
                meta.set(name, value);
            }
        }
        let is_probe = interval == 0 && task == "monitor";
        if is_probe
            && !meta.contains("timeout")
            && let Some(timeout) = self.most_frequent_monitor(rsc).and_then(|op| op.timeout.clone())
        {
            meta.set(Str::lit("timeout"), timeout);
        }
        unpack_table(&doc, self.op_defaults, "meta_attributes", &input, &mut next, &mut meta);
        self.recheck_time(next);
        meta.remove("id");
        meta.remove("interval");
        if interval > 0 {
            meta.set(Str::lit("interval"), interval.to_string());
        }
        if class.as_deref().is_some_and(|c| c.eq_ignore_ascii_case("stonith"))
            && (task == "start" || is_probe)
            && let Some(timeout) = self.params(rsc, node).get_str("pcmk_monitor_timeout")
        {
            meta.set(Str::lit("timeout"), timeout);
        }
        let timeout =
            meta.get("timeout").and_then(parse_ms).filter(|ms| *ms > 0).unwrap_or(DEFAULT_TIMEOUT_MS);
        meta.set(Str::lit("timeout"), timeout.min(i64::from(i32::MAX)).to_string());
        self.check_on_fail(rsc, task, config, &mut meta);
        if let Some(delay) = meta.get_str("start-delay") {
            let delay = parse_ms(&delay).unwrap_or(0).clamp(0, i64::from(i32::MAX));
            meta.set(Str::lit("start-delay"), delay.to_string());
        } else if let Some(delay) = self.origin_delay_ms(meta.get("interval-origin"), interval) {
            meta.set(Str::lit("start-delay"), delay.to_string());
        }
        meta
    }

    fn most_frequent_monitor(&self, rsc: RscIx) -> Option<&OpConfig> {
        let monitors = self.rscs[rsc].ops.iter().filter(|op| {
            op.name.as_deref() == Some("monitor")
                && (1..u32::MAX).contains(&op.interval_ms)
                && op.enabled != Some(false)
        });
        let mut best: Option<&OpConfig> = None;
        for op in monitors {
            if best.is_none_or(|b| op.interval_ms < b.interval_ms) {
                best = Some(op);
            }
        }
        best
    }

    fn origin_delay_ms(&self, origin: Option<&str>, interval: u32) -> Option<i64> {
        let origin = crate::iso8601::Time::parse(origin?, self.now.time()).ok().filter(|_| interval > 0)?;
        let seconds = i64::from(ms_to_s(interval));
        let rest = self.now_s().saturating_sub(origin.epoch()) % seconds;
        let delay = (if rest <= 0 { 0 } else { seconds }) - rest;
        Some(delay * 1000)
    }

    fn check_on_fail(&mut self, rsc: RscIx, task: &str, config: Option<NodeId>, meta: &mut Table) {
        let value = meta.get_str("on-fail");
        let is = |word: &str| value.as_deref().is_some_and(|v| v.eq_ignore_ascii_case(word));
        let id = self.rscs[rsc].id.clone();
        let promoted = |role: Option<&str>| {
            role.is_some_and(|r| r.eq_ignore_ascii_case("Promoted") || r.eq_ignore_ascii_case("Master"))
        };
        if task == "stop" && (is("standby") || is("demote") || is("stop")) {
            self.error(format!("Resetting 'on-fail' for {id} stop action to default value"));
            meta.remove("on-fail");
            return;
        }
        if task == "demote" && value.is_none() {
            let ops = self.rscs[rsc].ops.clone();
            for op in ops.iter() {
                let Some(on_fail) = &op.on_fail else { continue };
                let fits = op.name.as_deref() == Some("monitor")
                    && promoted(op.role.as_deref())
                    && op.interval_ms > 0
                    && op.enabled != Some(false)
                    && !on_fail.eq_ignore_ascii_case("demote");
                if fits {
                    meta.set(Str::lit("on-fail"), on_fail.clone());
                }
            }
            return;
        }
        if task == "lrm_delete" && !is("ignore") {
            meta.set(Str::lit("on-fail"), Str::lit("ignore"));
            return;
        }
        if is("demote") {
            let doc = self.doc.clone();
            let attr = |name: &str| config.and_then(|c| doc.attr(c, name));
            let name = attr("name");
            let monitor =
                name == Some("monitor") && interval_ms(attr("interval")) > 0 && promoted(attr("role"));
            if name != Some("promote") && !monitor {
                self.error(format!(
                    "Resetting 'on-fail' for {id} {} action to default value",
                    name.unwrap_or("")
                ));
                meta.remove("on-fail");
            }
        }
    }

    pub(crate) fn parse_on_fail(
        &mut self,
        rsc: RscIx,
        task: &str,
        interval: u32,
        value: Option<&str>,
    ) -> OnFail {
        let word = value.map(str::to_ascii_lowercase);
        let fencing = self.config.fencing_enabled;
        let (launcher, managed) = (self.rscs[rsc].launcher, self.rscs[rsc].is(rf::MANAGED));
        let mut chosen = match word.as_deref() {
            Some("block") => Some(OnFail::Block),
            Some("fence") if fencing => Some(OnFail::Fence),
            Some("fence") => {
                let id = self.rscs[rsc].id.clone();
                self.error(format!(
                    "Resetting 'on-fail' for {task} of {id} to 'stop' because fencing is disabled"
                ));
                Some(OnFail::Stop)
            }
            Some("standby") => Some(OnFail::Standby),
            Some("ignore" | "nothing") => Some(OnFail::Ignore),
            Some("migrate") => Some(OnFail::Ban),
            Some("stop") => Some(OnFail::Stop),
            Some("restart") => Some(OnFail::Restart),
            Some("restart-container") => launcher.map(|_| OnFail::RestartContainer),
            Some("demote") => Some(OnFail::Demote),
            Some(other) => {
                let id = self.rscs[rsc].id.clone();
                self.error(format!(
                    "Using default 'on-fail' for {task} of {id} because '{other}' is not valid"
                ));
                None
            }
            None => None,
        };
        let is_probe = interval == 0 && task == "monitor";
        let remote_reset = self.rscs[rsc].is(rf::REMOTE_CONNECTION)
            && self.find_node(&self.rscs[rsc].id).is_some_and(|n| self.is_remote_node(n))
            && !is_probe
            && task != "start";
        if remote_reset && !managed {
            chosen = None;
        }
        chosen.unwrap_or(match task {
            _ if launcher.is_some() => OnFail::RestartContainer,
            _ if remote_reset && managed => OnFail::ResetRemote,
            _ if remote_reset => OnFail::Stop,
            "stop" if fencing => OnFail::Fence,
            "stop" => OnFail::Block,
            _ => OnFail::Restart,
        })
    }

    pub(crate) fn role_after_failure(&self, rsc: RscIx, task: &str, on_fail: OnFail) -> Role {
        match on_fail {
            OnFail::Stop => Role::Stopped,
            OnFail::ResetRemote if self.rscs[rsc].remote_reconnect_ms != 0 => Role::Stopped,
            _ if task == "promote" => Role::Unpromoted,
            _ => Role::Started,
        }
    }
}
