//! Stage "assign": which node gets which resource.

mod bundle;
mod colocation;
mod group;
mod instances;
mod nodes;
mod primitive;
mod promotable;
pub(crate) mod pulls;
mod scores;
mod utilization;

use crate::cluster::{Cluster, Placement};
use crate::model::*;

impl Cluster {
    /// Assigns all resources.
    pub(crate) fn assign_resources(&mut self) {
        if self.config.placement != Placement::Default {
            self.sort_resources();
        }
        self.show_capacities("Original");
        if self.config.have_remote_nodes {
            for rsc in self.top.clone() {
                if self.rscs[rsc].is(rf::REMOTE_CONNECTION) {
                    let target = self.rscs[rsc].partial_target;
                    self.assign(rsc, target, true);
                }
            }
        }
        for rsc in self.top.clone() {
            if !self.rscs[rsc].is(rf::REMOTE_CONNECTION) {
                self.assign(rsc, None, true);
            }
        }
        self.show_capacities("Remaining");
    }

    /// Assigns a resource. With `stop_if_fail`, one that can run nowhere is to stop.
    pub(crate) fn assign(
        &mut self,
        rsc: RscIx,
        prefer: Option<NodeIx>,
        stop_if_fail: bool,
    ) -> Option<NodeIx> {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.assign_primitive(rsc, prefer, stop_if_fail),
            Variant::Group => self.assign_group(rsc, prefer, stop_if_fail),
            Variant::Clone => self.assign_clone(rsc, prefer, stop_if_fail),
            Variant::Bundle => self.assign_bundle(rsc, prefer, stop_if_fail),
        }
    }

    /// Scores that do not come from other resources.
    pub(crate) fn apply_node_criteria(&mut self) {
        if self.config.shutdown_lock {
            for rsc in self.top.clone() {
                self.shutdown_lock(rsc);
            }
        }
        self.apply_locations();
        for rsc in self.top.clone() {
            self.apply_stickiness(rsc);
        }
        let top = self.top.clone();
        let exclusive = self.rscs.iter().any(|r| r.is(rf::EXCLUSIVE_PROBES));
        for node in self.node_order.clone() {
            let failures = !self.failure_attrs(node).is_empty();
            if !failures && !exclusive {
                continue;
            }
            for rsc in &top {
                if failures {
                    self.check_threshold(*rsc, node);
                }
                self.apply_exclusive_discovery(*rsc, node);
            }
        }
    }

    fn apply_stickiness(&mut self, rsc: RscIx) {
        let children = self.rscs[rsc].children.clone();
        if !children.is_empty() {
            for child in children {
                self.apply_stickiness(child);
            }
            return;
        }
        let r = &self.rscs[rsc];
        let [node] = r.active_nodes.as_slice() else { return };
        if !r.is(rf::MANAGED) || r.stickiness < 1 {
            return;
        }
        if self.config.symmetric || slot(&r.allowed, *node).is_some() {
            let (node, score) = (*node, r.stickiness);
            self.location(rsc, Some(node), score, "stickiness");
        }
    }

    fn check_threshold(&mut self, rsc: RscIx, node: NodeIx) {
        let children = self.rscs[rsc].children.clone();
        if !children.is_empty() {
            for child in children {
                self.check_threshold(child, node);
            }
            return;
        }
        let key = crate::text::op_key(&self.rscs[rsc].id, "clear_failcount", 0);
        if self.find_actions_exact(rsc, &key, Some(node)).is_empty()
            && let Some(failed) = self.threshold_reached(rsc, node)
        {
            self.location(failed, Some(node), -base::INFINITY, "__fail_limit__");
        }
    }

    /// What is to be banned because a resource failed too often on a node.
    pub(crate) fn threshold_reached(&mut self, rsc: RscIx, node: NodeIx) -> Option<RscIx> {
        let threshold = self.rscs[rsc].migration_threshold;
        if threshold == 0 || self.rscs[rsc].is(rf::IGNORE_FAILURE) {
            return None;
        }
        let count = self.fail_count(node, rsc, true, true, None).count;
        if count <= 0 || threshold > count {
            return None;
        }
        let banned = if self.rscs[rsc].is(rf::UNIQUE) { rsc } else { self.uber_parent(rsc) };
        let text = format!(
            "{} cannot run on {} due to reaching migration threshold (clean up resource to allow again)",
            self.rscs[banned].id, self.nodes[node].name
        );
        self.situation(text);
        Some(banned)
    }

    fn apply_exclusive_discovery(&mut self, rsc: RscIx, node: NodeIx) {
        let top = self.top_of(rsc, false);
        if !self.rscs[rsc].is(rf::EXCLUSIVE_PROBES) && !self.rscs[top].is(rf::EXCLUSIVE_PROBES) {
            return;
        }
        for child in self.rscs[rsc].children.clone() {
            self.apply_exclusive_discovery(child, node);
        }
        if slot(&self.rscs[rsc].allowed, node).is_some_and(|cell| cell.probe != ProbeMode::Exclusive) {
            self.set_score(rsc, node, -base::INFINITY, "resource-discovery=exclusive elsewhere");
        }
    }

    fn shutdown_lock(&mut self, rsc: RscIx) {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.lock_primitive(rsc),
            Variant::Group => {
                for member in self.rscs[rsc].children.clone() {
                    self.shutdown_lock(member);
                }
            }
            Variant::Clone | Variant::Bundle => {}
        }
    }

    fn lock_primitive(&mut self, rsc: RscIx) {
        let r = &self.rscs[rsc];
        if r.any(rf::FENCE_DEVICE | rf::REMOTE_CONNECTION) {
            return;
        }
        if let Some(lock) = r.lock_node {
            if !r.active_nodes.is_empty() {
                self.clear_history(rsc, lock);
                self.rscs[rsc].lock_node = None;
                self.rscs[rsc].lock_time = 0;
            }
        } else if let [node] = r.active_nodes.as_slice() {
            let node = *node;
            if self.nodes[node].shutdown && !self.nodes[node].unclean {
                let since = self.nodes[node].attr("shutdown").and_then(crate::text::parse_int).unwrap_or(0);
                self.rscs[rsc].lock_node = Some(node);
                self.rscs[rsc].lock_time = if since == 0 { self.now_s() } else { since };
            }
        }
        let Some(lock) = self.rscs[rsc].lock_node else { return };
        if self.config.shutdown_lock_ms > 0 {
            let until = self.rscs[rsc]
                .lock_time
                .saturating_add(i64::from(crate::text::ms_to_s(self.config.shutdown_lock_ms)));
            self.recheck(until + 1);
        }
        for node in self.node_order.clone() {
            if node != lock {
                self.location(rsc, Some(node), -base::INFINITY, "shutdown-lock");
            }
        }
    }
}
