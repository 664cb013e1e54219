//! Changed definitions: what has to be restarted, reloaded, rescheduled or cleaned up.

use crate::cluster::{Cluster, HistoryEntry, Line};
use crate::digest::{Digest, Match};
use crate::fast_hash::FastMap;
use crate::model::*;
use crate::text::{Str, op_key, parse_uint};
use xml::NodeId;

impl Cluster {
    /// Compares the history of all usable nodes with the configuration.
    pub(crate) fn handle_config_changes(&mut self) {
        let mut by_history: FastMap<Str, Vec<RscIx>> = Default::default();
        for rsc in self.top.clone() {
            self.index_history(rsc, &mut by_history);
        }
        let mut alone = vec![false; self.rscs.len()];
        for list in by_history.values() {
            if let [one] = list.as_slice()
                && let Some(cell) = alone.get_mut(usize::from(*one))
            {
                *cell = self.rscs[*one].history_id.is_none();
            }
        }
        for node in self.node_order.clone() {
            if !self.nodes[node].maintenance && !self.node_up(node) {
                continue;
            }
            let Some(state) = self.node_state(node) else { continue };
            let known = self.histories.remove(&state).unwrap_or_else(|| {
                let entries = self.lrm_entries(state).into_iter();
                entries.map(|entry| HistoryEntry { entry, same_agent: None }).collect()
            });
            let doc = self.doc.clone();
            for HistoryEntry { entry, same_agent } in known {
                // What is not active and has the same agent needs no closer look.
                let idle = |rsc: RscIx| {
                    alone.get(usize::from(rsc)) == Some(&true) && !self.rscs[rsc].active_nodes.contains(&node)
                };
                if same_agent.is_some_and(idle) {
                    continue;
                }
                if doc.first_child(entry).is_none() {
                    continue;
                }
                let id = doc.attr(entry, "id").unwrap_or("");
                for rsc in by_history.get(id).cloned().unwrap_or_default().into_iter().rev() {
                    if self.rscs[rsc].variant == Variant::Primitive {
                        self.check_history(entry, rsc, node);
                    }
                }
            }
        }
    }

    fn index_history(&self, rsc: RscIx, index: &mut FastMap<Str, Vec<RscIx>>) {
        let r = &self.rscs[rsc];
        index.entry(r.id.clone()).or_default().push(rsc);
        if let Some(history) = r.history_id.as_ref().filter(|h| **h != r.id) {
            index.entry(history.clone()).or_default().push(rsc);
        }
        for child in &r.children {
            self.index_history(*child, index);
        }
    }

    fn check_history(&mut self, entry: NodeId, rsc: RscIx, node: NodeIx) {
        let doc = self.doc.clone();
        if self.rscs[rsc].is(rf::REMOVED) {
            if !self.is_anonymous_clone(self.top_of(rsc, false)) {
                self.schedule_cleanup(rsc, node);
            }
            return;
        }
        let active = self.rscs[rsc].active_nodes.contains(&node);
        if self.agent_changed(rsc, node, entry, active) {
            self.schedule_cleanup(rsc, node);
        }
        if !active {
            return;
        }
        let ops = self.sorted_ops(entry);
        let (start, stop) = self.active_range(&ops);
        if start < stop {
            return;
        }
        let maintenance = self.rscs[rsc].is(rf::MAINTENANCE) || self.nodes[node].maintenance;
        for (at, op) in ops.into_iter().enumerate() {
            if (at as i64) < start {
                continue;
            }
            let task = doc.attr(op, "operation").unwrap_or("");
            let interval = parse_uint(doc.attr(op, "interval"));
            if interval > 0 && maintenance {
                self.schedule_cancel(rsc, doc.attr(op, "call-id"), task, interval, node);
            } else if interval > 0 || matches!(task, "monitor" | "start" | "promote" | "migrate_from") {
                if self.needs_remote_name(rsc) {
                    self.param_checks.push(crate::cluster::ParamCheck { op, rsc, node, last_failure: false });
                } else if self.check_action_config(rsc, node, op)
                    && self.fail_count(node, rsc, true, false, None).count != 0
                {
                    self.clear_failcount(rsc, node);
                }
            }
        }
    }

    /// Checks that had to wait for the placement of containers.
    pub(crate) fn run_param_checks(&mut self) {
        for check in std::mem::take(&mut self.param_checks).into_iter().rev() {
            let changed = if check.last_failure {
                let result = self.compare_digest(check.rsc, check.op, check.node);
                !matches!(result, Match::Unknown | Match::Same)
            } else {
                self.check_action_config(check.rsc, check.node, check.op)
                    && self.fail_count(check.node, check.rsc, true, false, None).count != 0
            };
            if changed {
                self.clear_failcount(check.rsc, check.node);
            }
        }
    }

    fn agent_changed(&mut self, rsc: RscIx, node: NodeIx, entry: NodeId, active: bool) -> bool {
        let doc = self.doc.clone();
        let mut changed = false;
        for name in ["type", "class", "provider"] {
            if doc.attr(self.rscs[rsc].xml, name) != doc.attr(entry, name) {
                changed = true;
                self.trigger_unfencing(Some(rsc), Some(node), "Device definition changed", None);
            }
        }
        if changed && active {
            self.stop_action(rsc, Some(node), false);
            self.rscs[rsc].flags |= rf::START_PENDING;
        }
        changed
    }

    fn schedule_cleanup(&mut self, rsc: RscIx, node: NodeIx) {
        let n = &self.nodes[node];
        if self.rscs[rsc].is(rf::FAILED) || n.unclean || !n.online {
            return;
        }
        let id = self.rscs[rsc].id.clone();
        self.custom_action(Some(rsc), op_key(&id, "delete", 0), Str::lit("delete"), Some(node), false);
        self.order_rsc_actions(rsc, "stop", rsc, "delete", ar::ORDERED);
        self.order_rsc_actions(rsc, "delete", rsc, "start", ar::ORDERED);
    }

    /// Compares a recorded operation with the configuration and schedules what a change needs.
    fn check_action_config(&mut self, rsc: RscIx, node: NodeIx, op: NodeId) -> bool {
        let doc = self.doc.clone();
        let task = doc.attr(op, "operation").unwrap_or("");
        let interval = parse_uint(doc.attr(op, "interval"));
        if interval > 0 && self.op_config(rsc, task, interval, false).is_none() {
            if self.config.cancel_removed_actions {
                self.schedule_cancel(rsc, doc.attr(op, "call-id"), task, interval, node);
            }
            return true;
        }
        let digest = self.full_digest(rsc, op, node);
        let task = match task {
            "monitor" | "migrate_from" | "promote" if interval == 0 => "start",
            task => task,
        };
        if self.only_secret_changed(op, &digest) {
            let interval = crate::text::readable_interval(interval);
            self.lines.push(Line::Info(format!(
                "Only 'private' parameters to {interval}-interval {task} for {} on {} changed: {}",
                self.rscs[rsc].id,
                self.nodes[node].name,
                doc.attr(op, "transition-magic").unwrap_or("")
            )));
            return false;
        }
        match digest.result {
            Match::Same => return false,
            Match::Restart => self.force_restart(rsc, task, interval, node),
            Match::Unknown | Match::Mismatch if interval > 0 => {
                self.reschedule_recurring(rsc, task, interval, node);
            }
            Match::Unknown | Match::Mismatch => {
                if doc.attr(op, "op-restart-digest").is_some() || self.expired_ops.contains(&op) {
                    self.trigger_unfencing(Some(rsc), Some(node), "Device parameters changed (reload)", None);
                    self.schedule_reload(rsc, Some(node));
                } else {
                    self.force_restart(rsc, task, interval, node);
                }
            }
        }
        true
    }

    fn only_secret_changed(&self, op: NodeId, digest: &Digest) -> bool {
        let recorded = self.doc.attr(op, "op-secure-digest");
        self.opts.sanitized
            && digest.result != Match::Same
            && recorded.is_some()
            && recorded == digest.secure.as_deref()
    }

    fn force_restart(&mut self, rsc: RscIx, task: &str, interval: u32, node: NodeIx) {
        let key = op_key(&self.rscs[rsc].id, task, interval);
        let required = self.custom_action(Some(rsc), key, task.into(), None, false);
        self.set_reason(required, "resource definition change", true);
        self.trigger_unfencing(Some(rsc), Some(node), "Device parameters changed", None);
    }

    fn schedule_reload(&mut self, rsc: RscIx, node: Option<NodeIx>) {
        if self.rscs[rsc].variant != Variant::Primitive {
            for child in self.rscs[rsc].children.clone() {
                self.schedule_reload(child, node);
            }
            return;
        }
        let r = &self.rscs[rsc];
        if node.is_none() || !r.is(rf::MANAGED) || r.is(rf::FAILED) {
            return;
        }
        if r.is(rf::START_PENDING) {
            self.stop_action(rsc, node, false);
            return;
        }
        let id = r.id.clone();
        self.rscs[rsc].flags |= rf::RELOAD;
        let key = op_key(&id, "reload-agent", 0);
        let reload = self.custom_action(Some(rsc), key, Str::lit("reload-agent"), node, false);
        self.set_reason(reload, "resource definition change", false);
        for then in ["stop", "demote"] {
            self.new_ordering(
                (None, None, Some(reload)),
                (Some(rsc), Some(op_key(&id, then, 0)), None),
                ar::ORDERED | ar::THEN_CANCELS_FIRST,
            );
        }
    }
}
