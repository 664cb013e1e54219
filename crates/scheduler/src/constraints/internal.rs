//! Constraints that follow from what resources are: stop before start, members in order, and so on.

use super::colocation::NewColocation;
use crate::cluster::{Cluster, Placement};
use crate::model::*;
use crate::text::op_key;

/// Score by which a connection that may run on remote nodes follows its container.
const NESTED_CONNECTION: i32 = 10_000;

impl Cluster {
    pub(super) fn primitive_constraints(&mut self, rsc: RscIx) {
        let r = &self.rscs[rsc];
        if !r.is(rf::MANAGED) {
            return;
        }
        let unfencing = !r.is(rf::FENCE_DEVICE) && self.config.enable_unfencing && r.is(rf::NEEDS_UNFENCING);
        let utilization = !r.utilization.is_empty() && self.config.placement != Placement::Default;
        let launcher = r.launcher;
        self.order_rsc_actions(
            rsc,
            "stop",
            rsc,
            "start",
            ar::ORDERED | ar::FIRST_IMPLIES_THEN | ar::INTERMEDIATE_STOP,
        );
        if self.rscs[self.top_of(rsc, false)].is(rf::PROMOTABLE) || self.rscs[rsc].role > Role::Unpromoted {
            self.order_rsc_actions(rsc, "demote", rsc, "stop", ar::PROMOTED_THEN_IMPLIES_FIRST);
            self.order_rsc_actions(rsc, "start", rsc, "promote", ar::UNRUNNABLE_FIRST_BLOCKS);
        }
        self.order_rsc_actions(
            rsc,
            "lrm_delete",
            rsc,
            "monitor",
            ar::IF_ON_SAME_NODE | ar::THEN_CANCELS_FIRST,
        );
        let allowed = self.row_by_name(&self.rscs[rsc].allowed);
        if unfencing {
            for node in &allowed {
                self.order_restart_vs_unfence(rsc, *node);
            }
        }
        if utilization {
            self.utilization_constraints(rsc, &allowed);
        }
        if let Some(launcher) = launcher {
            self.launcher_constraints(rsc, launcher, &allowed);
        }
        if self.rscs[rsc].any(rf::REMOTE_CONNECTION | rf::FENCE_DEVICE) {
            self.avoid_remote_nodes(rsc);
        }
    }

    fn avoid_remote_nodes(&mut self, rsc: RscIx) {
        for node in row_nodes(&self.rscs[rsc].allowed) {
            if self.nodes[node].remote.is_some() {
                self.set_score(rsc, node, -base::INFINITY, "never on remote nodes");
            }
        }
    }

    fn launcher_constraints(&mut self, rsc: RscIx, launcher: RscIx, allowed: &[NodeIx]) {
        let connection = self.rscs[rsc].is(rf::REMOTE_CONNECTION);
        let nesting = self.rscs[rsc].is(rf::REMOTE_NESTING_ALLOWED);
        let mut remote = None;
        if connection {
            if !nesting {
                self.avoid_remote_nodes(launcher);
            }
            self.order_rsc_actions(launcher, "monitor", rsc, "stop", ar::ORDERED);
        } else if self.rscs[launcher].is(rf::REMOTE_CONNECTION) {
            remote = Some(launcher);
        } else {
            remote = self.contained_guest(launcher);
        }
        if let Some(remote) = remote {
            for node in allowed {
                if self.nodes[*node].remote != Some(remote) {
                    self.set_score(rsc, *node, -base::INFINITY, "inside its container only");
                }
            }
            return;
        }
        self.order_starts(launcher, rsc, ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS);
        self.order_stops(rsc, launcher, ar::THEN_IMPLIES_FIRST);
        let score = if nesting { NESTED_CONNECTION } else { base::INFINITY };
        self.internal_colocation("#resource-with-container", score, rsc, launcher, true);
    }

    pub(crate) fn internal_colocation(
        &mut self,
        id: &str,
        score: i32,
        dependent: RscIx,
        primary: RscIx,
        influence: bool,
    ) {
        self.new_colocation(NewColocation {
            id,
            attribute: None,
            score,
            dependent,
            primary,
            dependent_role: None,
            primary_role: None,
            explicit: false,
            influence,
        });
    }

    fn utilization_constraints(&mut self, rsc: RscIx, allowed: &[NodeIx]) {
        let id = self.rscs[rsc].id.clone();
        let flags = ar::IF_ON_SAME_NODE_OR_TARGET;
        for node in self.rscs[rsc].active_nodes.clone() {
            let stopped = self.load_stopped(node);
            self.new_ordering(
                (Some(rsc), Some(op_key(&id, "stop", 0)), None),
                (None, None, Some(stopped)),
                flags,
            );
        }
        for node in allowed {
            let stopped = self.load_stopped(*node);
            for then in ["start", "migrate_to"] {
                self.new_ordering(
                    (None, None, Some(stopped)),
                    (Some(rsc), Some(op_key(&id, then, 0)), None),
                    flags,
                );
            }
        }
    }

    fn load_stopped(&mut self, node: NodeIx) -> ActIx {
        let action = self.pseudo_op(format!("load_stopped_{}", self.nodes[node].name).into());
        if self.actions[action].node.is_none() {
            self.actions[action].node = Some(node);
            self.actions[action].flags &= !af::OPTIONAL;
        }
        action
    }

    pub(super) fn group_constraints(&mut self, group: RscIx) {
        self.order_rsc_actions(group, "stop", group, "stopped", ar::UNRUNNABLE_FIRST_BLOCKS);
        self.order_rsc_actions(group, "stopped", group, "start", ar::ORDERED);
        self.order_rsc_actions(group, "start", group, "running", ar::UNRUNNABLE_FIRST_BLOCKS);
        let promotable = self.rscs[self.top_of(group, false)].is(rf::PROMOTABLE);
        let (mut previous, mut last_active) = (None, None);
        for member in self.rscs[group].children.clone() {
            self.internal_constraints_of(member);
            self.member_constraints(group, member, previous, last_active, promotable);
            if !self.rscs[member].active_nodes.is_empty() {
                last_active = Some(member);
            }
            previous = Some(member);
        }
    }

    fn member_constraints(
        &mut self,
        group: RscIx,
        member: RscIx,
        previous: Option<RscIx>,
        last_active: Option<RscIx>,
        promotable: bool,
    ) {
        const IMPLIED: u32 = ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS;
        const UP: u32 = IMPLIED | ar::FIRST_IMPLIES_THEN_GRAPHED;
        let data = self.rscs[group].group.clone().unwrap_or(GroupData { ordered: true, colocated: true });
        let mut down = ar::THEN_IMPLIES_FIRST_GRAPHED;
        let mut after_down = ar::FIRST_IMPLIES_THEN_GRAPHED;
        match previous {
            None if data.ordered => {
                down |= ar::ORDERED;
                after_down = ar::FIRST_IMPLIES_THEN;
            }
            Some(previous) if data.colocated => {
                let influence = self.rscs[member].is(rf::CRITICAL);
                self.internal_colocation("#group-members", base::INFINITY, member, previous, influence);
            }
            _ => {}
        }
        if promotable {
            self.order_rsc_actions(group, "demote", member, "demote", down);
            self.order_rsc_actions(member, "demote", group, "demoted", after_down);
            self.order_rsc_actions(member, "promote", group, "promoted", UP);
            self.order_rsc_actions(group, "promote", member, "promote", ar::THEN_IMPLIES_FIRST_GRAPHED);
        }
        self.order_stops(group, member, down);
        self.order_rsc_actions(member, "stop", group, "stopped", after_down);
        self.order_starts(group, member, ar::THEN_IMPLIES_FIRST_GRAPHED);
        self.order_rsc_actions(member, "start", group, "running", UP);
        match previous {
            _ if !data.ordered => {
                let flags = IMPLIED | ar::THEN_IMPLIES_FIRST_GRAPHED;
                self.order_starts(group, member, flags);
                if promotable {
                    self.order_rsc_actions(group, "promote", member, "promote", flags);
                }
            }
            None => {
                self.order_starts(group, member, ar::NONE);
                if promotable {
                    self.order_rsc_actions(group, "promote", member, "promote", ar::NONE);
                }
            }
            Some(previous) => self.member_after(member, previous, promotable),
        }
        let active = |rsc: RscIx| !self.rscs[rsc].active_nodes.is_empty();
        if let (Some(previous), Some(last)) = (previous, last_active)
            && data.ordered
            && active(member)
            && !active(previous)
        {
            self.order_stops(member, last, ar::ORDERED);
        }
    }

    fn member_after(&mut self, member: RscIx, previous: RscIx, promotable: bool) {
        const IMPLIED: u32 = ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS;
        self.order_starts(previous, member, IMPLIED);
        self.order_stops(member, previous, ar::ORDERED | ar::INTERMEDIATE_STOP);
        if !self.rscs[member].active_nodes.is_empty() && self.rscs[previous].active_nodes.is_empty() {
            let flags = ar::THEN_IMPLIES_FIRST | ar::UNRUNNABLE_FIRST_BLOCKS;
            self.order_rsc_actions(member, "stop", previous, "start", flags);
        }
        if promotable {
            self.order_rsc_actions(previous, "promote", member, "promote", IMPLIED);
            self.order_rsc_actions(member, "demote", previous, "demote", ar::ORDERED);
        }
    }

    pub(super) fn clone_constraints(&mut self, clone: RscIx) {
        let promotable = self.rscs[clone].is(rf::PROMOTABLE);
        self.order_rsc_actions(clone, "stopped", clone, "start", ar::ORDERED);
        self.order_rsc_actions(clone, "start", clone, "running", ar::UNRUNNABLE_FIRST_BLOCKS);
        self.order_rsc_actions(clone, "stop", clone, "stopped", ar::UNRUNNABLE_FIRST_BLOCKS);
        if promotable {
            self.order_rsc_actions(clone, "demoted", clone, "stop", ar::ORDERED);
            self.order_rsc_actions(clone, "running", clone, "promote", ar::UNRUNNABLE_FIRST_BLOCKS);
        }
        let ordered = self.rscs[clone].clone.as_ref().is_some_and(|c| c.ordered);
        if ordered {
            self.sort_children_by_number(clone);
        }
        let children = self.rscs[clone].children.clone();
        for (at, child) in children.iter().enumerate() {
            self.internal_constraints_of(*child);
            self.order_starts(clone, *child, ar::UNRUNNABLE_FIRST_BLOCKS | ar::THEN_IMPLIES_FIRST_GRAPHED);
            self.order_rsc_actions(*child, "start", clone, "running", ar::FIRST_IMPLIES_THEN_GRAPHED);
            self.order_stops(clone, *child, ar::THEN_IMPLIES_FIRST_GRAPHED);
            self.order_rsc_actions(*child, "stop", clone, "stopped", ar::FIRST_IMPLIES_THEN_GRAPHED);
            for later in children.iter().skip(at + 1).filter(|_| ordered) {
                self.order_starts(*child, *later, ar::ORDERED);
                self.order_stops(*later, *child, ar::ORDERED);
            }
        }
        if promotable {
            self.order_promotable_instances(clone, ordered);
        }
    }

    fn restart_orderings(&mut self, rsc: RscIx) {
        for (first, then) in [
            ("stopped", "start"),
            ("stopped", "promote"),
            ("demoted", "stop"),
            ("demoted", "start"),
            ("demoted", "promote"),
            ("running", "promote"),
            ("demote", "demoted"),
        ] {
            self.order_rsc_actions(rsc, first, rsc, then, ar::ORDERED);
        }
    }

    fn order_promotable_instances(&mut self, clone: RscIx, ordered: bool) {
        self.restart_orderings(clone);
        let mut previous: Option<RscIx> = None;
        for child in self.rscs[clone].children.clone() {
            self.order_rsc_actions(child, "demote", child, "promote", ar::ORDERED);
            self.order_rsc_actions(clone, "promote", child, "promote", ar::ORDERED);
            self.order_rsc_actions(child, "promote", clone, "promoted", ar::ORDERED);
            if let Some(last) = previous.filter(|_| ordered) {
                self.order_rsc_actions(last, "promote", child, "promote", ar::ORDERED);
            }
            self.order_rsc_actions(clone, "demote", child, "demote", ar::THEN_IMPLIES_FIRST_GRAPHED);
            self.order_rsc_actions(child, "demote", clone, "demoted", ar::FIRST_IMPLIES_THEN_GRAPHED);
            if let Some(last) = previous.filter(|_| ordered) {
                self.order_rsc_actions(child, "demote", last, "demote", ar::ORDERED);
            }
            previous = Some(child);
        }
    }

    pub(super) fn bundle_constraints(&mut self, bundle: RscIx) {
        for replica in self.replicas(bundle) {
            self.replica_constraints(bundle, &replica);
        }
        let Some(child) = self.bundle_of(bundle).and_then(|b| b.child) else { return };
        const BEFORE: u32 = ar::THEN_IMPLIES_FIRST_GRAPHED;
        const AFTER: u32 = ar::FIRST_IMPLIES_THEN_GRAPHED;
        self.order_rsc_actions(bundle, "start", child, "start", BEFORE);
        self.order_rsc_actions(child, "running", bundle, "running", AFTER);
        self.order_rsc_actions(bundle, "stop", child, "stop", BEFORE);
        self.order_rsc_actions(child, "stopped", bundle, "stopped", AFTER);
        self.internal_constraints_of(child);
        if self.rscs[child].is(rf::PROMOTABLE) {
            self.restart_orderings(bundle);
            self.order_rsc_actions(bundle, "demote", child, "demote", BEFORE);
            self.order_rsc_actions(child, "demoted", bundle, "demoted", AFTER);
            self.order_rsc_actions(bundle, "promote", child, "promote", BEFORE);
            self.order_rsc_actions(child, "promoted", bundle, "promoted", AFTER);
        }
    }

    fn replica_constraints(&mut self, bundle: RscIx, replica: &Replica) {
        let container = replica.container;
        self.internal_constraints_of(container);
        self.order_starts(bundle, container, ar::UNRUNNABLE_FIRST_BLOCKS | ar::THEN_IMPLIES_FIRST_GRAPHED);
        if let Some(child) = replica.child {
            self.order_stops(bundle, child, ar::THEN_IMPLIES_FIRST_GRAPHED);
        }
        self.order_stops(bundle, container, ar::THEN_IMPLIES_FIRST_GRAPHED);
        self.order_rsc_actions(container, "start", bundle, "running", ar::FIRST_IMPLIES_THEN_GRAPHED);
        self.order_rsc_actions(container, "stop", bundle, "stopped", ar::FIRST_IMPLIES_THEN_GRAPHED);
        if let Some(ip) = replica.ip {
            self.internal_constraints_of(ip);
            self.order_starts(ip, container, ar::UNRUNNABLE_FIRST_BLOCKS | ar::GUEST_ALLOWED);
            self.order_stops(container, ip, ar::THEN_IMPLIES_FIRST | ar::GUEST_ALLOWED);
            self.internal_colocation("#ip-with-container", base::INFINITY, ip, container, true);
        }
        if let Some(remote) = replica.remote {
            self.internal_constraints_of(remote);
        }
    }
}
