//! Fail counts, from the transient attributes of nodes.

use crate::cluster::{Cluster, add_scores};
use crate::model::*;
use crate::text::{Str, clone_strip, ms_to_s, op_key, parse_int, parse_uint};
use std::sync::Arc;
use xml::NodeId;

/// How often a resource failed on a node, and when last (seconds since 1970).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FailCount {
    pub count: i32,
    pub last_failure_s: i64,
}

impl Cluster {
    /// Fail count of a resource on a node, for display, and its last failure (seconds since 1970).
    pub fn failures(&mut self, node: NodeIx, rsc: RscIx) -> (i32, i64) {
        let found = self.fail_count(node, rsc, false, false, None);
        (found.count, found.last_failure_s)
    }

    pub(crate) fn failure_attrs(&mut self, node: NodeIx) -> Arc<Vec<(Str, Str)>> {
        if let Some(found) = &self.nodes[node].failures {
            return found.clone();
        }
        let is_failure = |name: &str| name.starts_with("fail-count-") || name.starts_with("last-failure-");
        let found: Vec<(Str, Str)> = self.nodes[node]
            .attrs
            .iter()
            .filter(|(name, _)| is_failure(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let found = Arc::new(found);
        self.nodes[node].failures = Some(found.clone());
        found
    }

    /// Fail count of a resource on a node. `effective`: an expired one counts as none; `launched`:
    /// with what runs inside; `op`: the history entry that is looked at.
    pub(crate) fn fail_count(
        &mut self,
        node: NodeIx,
        rsc: RscIx,
        effective: bool,
        launched: bool,
        op: Option<NodeId>,
    ) -> FailCount {
        let attrs = self.failure_attrs(node);
        let mut found = FailCount::default();
        if !attrs.is_empty() {
            let r = &self.rscs[rsc];
            let unique = r.is(rf::UNIQUE);
            let name = r.history_id.as_ref().unwrap_or(&r.id).clone();
            let name = if unique { &*name } else { clone_strip(&name) };
            for (attr, value) in attrs.iter() {
                if attr_is(attr, "fail-count-", name, unique) {
                    if let Some(score) = self.parse_score(value) {
                        found.count = add_scores(found.count, score);
                    }
                } else if attr_is(attr, "last-failure-", name, unique) {
                    found.last_failure_s = found.last_failure_s.max(parse_int(value).unwrap_or(0));
                }
            }
        }
        if found.count > 0 && self.rscs[rsc].failure_timeout_ms > 0 && self.failure_blocks(node, rsc, op) {
            self.rscs[rsc].failure_timeout_ms = 0;
        }
        let timeout_ms = self.rscs[rsc].failure_timeout_ms;
        if effective
            && found.count > 0
            && found.last_failure_s > 0
            && timeout_ms > 0
            && self.now_s() > found.last_failure_s.saturating_add(i64::from(ms_to_s(timeout_ms)))
        {
            found.count = 0;
        }
        if launched && !self.is_bundled(rsc) {
            for inner in self.rscs[rsc].launched.clone() {
                let more = self.fail_count(node, inner, effective, launched, op);
                found.count += more.count;
                found.last_failure_s = found.last_failure_s.max(more.last_failure_s);
            }
        }
        if found.count <= 0 {
            found.last_failure_s = 0;
        }
        found
    }

    /// Whether a failure of an operation with on-fail=block is behind the fail count.
    fn failure_blocks(&mut self, node: NodeIx, rsc: RscIx, op: Option<NodeId>) -> bool {
        let doc = self.doc.clone();
        let name = clone_strip(&self.rscs[rsc].id).to_string();
        let ops = self.rscs[rsc].ops.clone();
        for config in ops.iter().filter(|o| o.on_fail.as_deref() == Some("block")) {
            let task = config.name.as_deref().unwrap_or("");
            let entries = match op {
                Some(op) => vec![op],
                None => {
                    let node_name = self.nodes[node].name.clone();
                    self.lrm_resources(&node_name, &name)
                        .iter()
                        .flat_map(|e| doc.element(*e).children().filter(|o| o.name() == "lrm_rsc_op"))
                        .map(|e| e.id())
                        .collect()
                }
            };
            if entries.into_iter().any(|op| self.is_failure_of(&name, task, config.interval_ms, op)) {
                return true;
            }
        }
        false
    }

    fn is_failure_of(&self, rsc: &str, task: &str, interval: u32, op: NodeId) -> bool {
        let doc = &self.doc;
        if doc.attr(op, "operation") != Some(task) || parse_uint(doc.attr(op, "interval")) != interval {
            return false;
        }
        let id = doc.attr(op, "id").unwrap_or("");
        if *op_key(rsc, "last_failure", 0) == *id {
            return true;
        }
        *op_key(rsc, task, interval) == *id
            && doc.attr(op, "rc-code").and_then(parse_int) != Some(i64::from(self.target_rc(op)))
    }

    pub(crate) fn clear_failcount(&mut self, rsc: RscIx, node: NodeIx) -> ActIx {
        let key = op_key(&self.rscs[rsc].id, "clear_failcount", 0);
        let clear = self.custom_action(Some(rsc), key, Str::lit("clear_failcount"), Some(node), false);
        self.actions[clear].op_mut().meta.set(Str::lit("op_no_wait"), Str::lit("true"));
        clear
    }
}

/// `PREFIX RSC[:N]#OP_INTERVAL`; instances count together unless the resource is globally unique.
fn attr_is(attr: &str, prefix: &str, rsc: &str, unique: bool) -> bool {
    let Some(rest) = attr.strip_prefix(prefix).and_then(|r| r.strip_prefix(rsc)) else { return false };
    let rest = match rest.strip_prefix(':') {
        Some(number) if !unique => number.trim_start_matches(|c: char| c.is_ascii_digit()),
        Some(_) => return false,
        None => rest,
    };
    let Some((task, interval)) = rest.strip_prefix('#').and_then(|op| op.rsplit_once('_')) else {
        return false;
    };
    !task.is_empty() && !interval.is_empty() && interval.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::attr_is;

    #[test]
    fn instances_count_together_unless_unique() {
        assert!(attr_is("fail-count-rsc#monitor_10000", "fail-count-", "rsc", true));
        assert!(attr_is("fail-count-rsc:1#start_0", "fail-count-", "rsc", false));
        assert!(!attr_is("fail-count-rsc:1#start_0", "fail-count-", "rsc", true));
        assert!(!attr_is("fail-count-rsc2#start_0", "fail-count-", "rsc", false));
        assert!(!attr_is("fail-count-rsc", "fail-count-", "rsc", false));
    }
}
