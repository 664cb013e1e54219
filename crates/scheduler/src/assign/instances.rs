//! Assignment of the instances of clones and bundles, and what instances have in common.

use super::scores::NONNEGATIVE;
use super::scores::same_value;
use crate::cluster::Cluster;
use crate::model::*;
use crate::text::merge_sort;
use std::cmp::Ordering as Cmp;
use std::collections::HashMap;

impl Cluster {
    pub(super) fn assign_clone(
        &mut self,
        clone: RscIx,
        prefer: Option<NodeIx>,
        stop_if_fail: bool,
    ) -> Option<NodeIx> {
        if !self.rscs[clone].is(rf::UNASSIGNED) || self.rscs[clone].is(rf::ASSIGNING) {
            return None;
        }
        self.rscs[clone].flags |= rf::ASSIGNING;
        if self.rscs[clone].is(rf::PROMOTABLE) {
            self.add_promotion_scores(clone);
        }
        for colocation in self.this_with_colocations(clone) {
            let primary = self.colocations[colocation].primary;
            self.assign(primary, prefer, stop_if_fail);
        }
        for colocation in self.with_this_colocations(clone) {
            self.add_dependent_scores(colocation, clone);
        }
        self.show_scores(clone, "pcmk__clone_assign");
        self.sort_children_by_instance(clone);
        let (max, node_max) = self.rscs[clone].clone.as_ref().map_or((0, 1), |c| (c.max, c.node_max));
        let children = self.rscs[clone].children.clone();
        self.assign_instances(clone, &children, max, node_max);
        if self.rscs[clone].is(rf::PROMOTABLE) {
            self.set_instance_roles(clone);
        }
        self.rscs[clone].flags &= !(rf::UNASSIGNED | rf::ASSIGNING);
        None
    }

    fn sort_children_by_instance(&mut self, rsc: RscIx) {
        let mut children = self.rscs[rsc].children.clone();
        merge_sort(&mut children, &mut |a, b| self.compare_instances(a, b));
        self.rscs[rsc].children = children;
    }

    fn did_fail(&self, rsc: RscIx) -> bool {
        let r = &self.rscs[rsc];
        r.is(rf::FAILED) || r.children.iter().any(|c| self.did_fail(*c))
    }

    /// Which instance is to be assigned first: the one that should rather stay where it is.
    pub(super) fn compare_instances(&mut self, a: RscIx, b: RscIx) -> Cmp {
        let (mut node_a, count_a, _) = self.active_node(a);
        let (mut node_b, count_b, _) = self.active_node(b);
        if count_a > 0 && count_b > 0 && count_a != count_b {
            return count_a.cmp(&count_b);
        }
        let allowed = |this: &Cluster, rsc: RscIx, node: Option<NodeIx>| {
            node.is_none_or(|n| slot(&this.rscs[rsc].allowed, n).is_some_and(|s| s.score >= 0))
        };
        let (can_a, can_b) = (allowed(self, a, node_a), allowed(self, b, node_b));
        node_a = node_a.filter(|_| can_a);
        node_b = node_b.filter(|_| can_b);
        if can_a != can_b {
            return can_b.cmp(&can_a);
        }
        let order = self.rscs[b].priority.cmp(&self.rscs[a].priority);
        if order != Cmp::Equal {
            return order;
        }
        let (Some(node_a), Some(node_b)) = (node_a, node_b) else {
            return node_b.is_some().cmp(&node_a.is_some());
        };
        let order = self.node_up(node_b).cmp(&self.node_up(node_a));
        if order != Cmp::Equal {
            return order;
        }
        let (slot_a, slot_b) = (self.top_slot(a, node_a), self.top_slot(b, node_b));
        let (Some(slot_a), Some(slot_b)) = (slot_a, slot_b) else {
            return slot_b.is_some().cmp(&slot_a.is_some());
        };
        let order = slot_a.count.cmp(&slot_b.count).then(self.did_fail(a).cmp(&self.did_fail(b)));
        if order != Cmp::Equal {
            return order;
        }
        let (pull_a, pull_b) = (self.colocated_pull(a), self.colocated_pull(b));
        pull_b.cmp(&pull_a).then(self.compare_numbers(a, b))
    }

    /// How much what an instance is colocated with wants it where it is.
    fn colocated_pull(&mut self, rsc: RscIx) -> i32 {
        let Some(node) = self.current_node(rsc) else { return 0 };
        let mut row = Row::new();
        put(&mut row, node, self.nodes[node].base);
        let mut row = Some(row);
        for colocation in self.this_with_colocations(rsc) {
            let c = &self.colocations[colocation];
            let (other, factor) = (c.primary, c.score as f32 / base::INFINITY as f32);
            self.add_colocated_scores(other, Some(rsc), &mut row, Some(colocation), factor, 0);
        }
        for colocation in self.with_this_colocations(rsc) {
            if !self.has_influence(colocation, Some(rsc)) {
                continue;
            }
            let c = &self.colocations[colocation];
            let (other, factor) = (c.dependent, c.score as f32 / base::INFINITY as f32);
            self.add_colocated_scores(other, Some(rsc), &mut row, Some(colocation), factor, NONNEGATIVE);
        }
        row.and_then(|row| slot(&row, node).map(|s| s.score)).unwrap_or(0)
    }

    fn can_run_instance(&self, instance: RscIx, node: NodeIx, max_per_node: i32) -> bool {
        !self.rscs[instance].is(rf::REMOVED)
            && self.node_up(node)
            && self.top_slot(instance, node).is_some_and(|s| s.score >= 0 && s.count < max_per_node)
    }

    fn ban_unavailable(&mut self, instance: RscIx, max_per_node: i32) {
        for node in row_nodes(&self.rscs[instance].allowed) {
            if self.can_run_instance(instance, node, max_per_node) {
                continue;
            }
            self.set_score(instance, node, -base::INFINITY, "no room for this instance");
            for child in self.rscs[instance].children.clone() {
                self.set_score(child, node, -base::INFINITY, "no room for this instance");
            }
        }
    }

    fn count_on_parent(&mut self, instance: RscIx, node: Option<NodeIx>) {
        if let Some(cell) = node.and_then(|n| self.top_slot_mut(instance, n)) {
            cell.count += 1;
        }
    }

    fn assign_instance(
        &mut self,
        instance: RscIx,
        prefer: Option<NodeIx>,
        max_per_node: i32,
    ) -> Option<NodeIx> {
        if self.rscs[instance].is(rf::ASSIGNING) {
            return None;
        }
        self.ban_unavailable(instance, max_per_node);
        let chosen = self.assign(instance, prefer, prefer.is_none());
        self.count_on_parent(instance, chosen);
        chosen
    }

    fn save_rows(&self, rsc: RscIx, rows: &mut HashMap<RscIx, Row>) {
        rows.insert(rsc, (*self.rscs[rsc].allowed).clone());
        for child in &self.rscs[rsc].children {
            self.save_rows(*child, rows);
        }
    }

    fn restore_rows(&mut self, rows: &HashMap<RscIx, Row>) {
        for (rsc, row) in rows {
            *self.row_mut(*rsc) = row.clone();
        }
    }

    /// Tries to keep an instance where it is, with room left for the others. Tells whether it stays.
    fn assign_early(&mut self, instance: RscIx, current: NodeIx, max_per_node: i32, available: i32) -> bool {
        if !self.slot_up(&self.rscs[instance].allowed, current) {
            return false;
        }
        let Some(parent) = self.rscs[instance].parent else { return false };
        let mut rows = HashMap::new();
        self.save_rows(instance, &mut rows);
        let parent_row = (*self.rscs[parent].allowed).clone();
        let (mut reserved, mut chosen) = (0, None);
        let before = self.trail.len();
        while reserved < available {
            chosen = self.assign_instance(instance, Some(current), max_per_node);
            if chosen == Some(current) {
                break;
            }
            self.restore_rows(&rows);
            self.forget_steps(before, &rows);
            if chosen.is_none() {
                self.rscs[instance].flags |= rf::UNASSIGNED;
                break;
            }
            reserved += 1;
            self.unassign(instance);
            chosen = None;
        }
        *self.row_mut(parent) = parent_row;
        self.count_on_parent(instance, chosen);
        chosen.is_some()
    }

    fn preferred_node(&self, instance: RscIx, optimal_per_node: i32) -> Option<NodeIx> {
        let r = &self.rscs[instance];
        if r.active_nodes.is_empty() || !r.is(rf::UNASSIGNED) || r.is(rf::FAILED) {
            return None;
        }
        let node = self.current_node(instance)?;
        if self.nodes[node].base.score < 0 || !self.node_up(node) {
            return None;
        }
        let full = self.top_slot(instance, node).is_some_and(|s| s.count >= optimal_per_node);
        (!full).then_some(node)
    }

    /// Assigns the instances of a collective: first those that may stay, then the rest.
    pub(super) fn assign_instances(
        &mut self,
        collective: RscIx,
        instances: &[RscIx],
        max_total: i32,
        max_per_node: i32,
    ) {
        let mut available_nodes = 0;
        for node in row_nodes(&self.rscs[collective].allowed) {
            if let Some(cell) = slot_mut(self.row_mut(collective), node) {
                cell.count = 0;
            }
            available_nodes += i32::from(self.node_up(node));
        }
        let optimal = if available_nodes > 0 { (max_total / available_nodes).max(1) } else { 1 };
        let mut assigned = 0;
        for instance in instances.iter().copied() {
            if assigned >= max_total {
                break;
            }
            if !self.rscs[instance].is(rf::UNASSIGNED) {
                continue;
            }
            if let Some(current) = self.preferred_node(instance, optimal)
                && self.assign_early(instance, current, max_per_node, max_total - assigned)
            {
                assigned += 1;
            }
        }
        for instance in instances.iter().copied() {
            if !self.rscs[instance].is(rf::UNASSIGNED) {
                continue;
            }
            if assigned >= max_total {
                self.location(instance, None, -base::INFINITY, "collective_limit_reached");
            } else if self.assign_instance(instance, None, max_per_node).is_some() {
                assigned += 1;
            }
        }
    }

    // What instances have to do with those of other collectives

    pub(crate) fn instances(&self, rsc: RscIx) -> Vec<RscIx> {
        if self.rscs[rsc].variant == Variant::Bundle {
            self.containers(rsc)
        } else {
            self.rscs[rsc].children.clone()
        }
    }

    pub(crate) fn instance_matches(
        &self,
        instance: RscIx,
        node: NodeIx,
        role: Role,
        current: bool,
        attribute: Option<&str>,
    ) -> bool {
        if role != Role::Unknown && role != self.role_of(instance, current) {
            return false;
        }
        if self.flag_recursive(instance, rf::BLOCKED, true) {
            return false;
        }
        let Some(here) = self.place(instance, if current { at::CURRENT } else { at::ASSIGNED }) else {
            return false;
        };
        match attribute {
            None => here == node,
            Some(attr) => {
                let own = self.colocation_attr(here, attr, instance);
                let other = self.colocation_attr(node, attr, instance);
                same_value(own.as_deref(), other.as_deref())
            }
        }
    }

    /// The instance of a collective that a resource goes together with.
    pub(crate) fn compatible_instance(
        &self,
        matched: RscIx,
        rsc: RscIx,
        role: Role,
        current: bool,
        attribute: Option<&str>,
    ) -> Option<RscIx> {
        let instances = self.instances(rsc);
        let on = |node: NodeIx| {
            instances.iter().copied().find(|i| self.instance_matches(*i, node, role, current, attribute))
        };
        if let Some(node) = self.place(matched, if current { at::CURRENT } else { at::ASSIGNED }) {
            return on(node);
        }
        let row = &self.rscs[matched].allowed;
        self.sorted_nodes(row, None).into_iter().find_map(on)
    }

    /// Pseudo-actions of a collective, from what its instances do.
    pub(crate) fn create_instance_actions(&mut self, collective: RscIx, instances: &[RscIx]) {
        let mut state = State::default();
        for instance in instances {
            self.create_actions(*instance);
            self.check_state(*instance, &mut state);
        }
        let start = self.rsc_pseudo_action(collective, "start", !state.starting, true);
        let started = self.rsc_pseudo_action(collective, "running", !state.starting, false);
        self.actions[started].op_mut().priority = base::INFINITY;
        if state.active || state.starting {
            self.actions[started].flags |= af::RUNNABLE;
        }
        let stop = self.rsc_pseudo_action(collective, "stop", !state.stopping, true);
        let stopped = self.rsc_pseudo_action(collective, "stopped", !state.stopping, true);
        self.actions[stopped].op_mut().priority = base::INFINITY;
        if !state.restarting {
            self.actions[stop].flags |= af::MIGRATABLE;
        }
        if !self.is_clone(collective) {
            return;
        }
        let known = self.rscs[collective]
            .clone
            .as_ref()
            .map_or((true, true), |c| (c.start_notify.is_some(), c.stop_notify.is_some()));
        if !known.0 {
            let data = self.notify_ops(collective, "start", Some(start), Some(started));
            self.set_clone_data(collective, |c| c.start_notify = data);
        }
        if !known.1 {
            let data = self.notify_ops(collective, "stop", Some(stop), Some(stopped));
            let stop_done = data.as_ref().and_then(|d| d.post_done);
            self.set_clone_data(collective, |c| c.stop_notify = data);
            let start_pre = self.rscs[collective].clone.as_ref().and_then(|c| c.start_notify.as_ref()?.pre);
            if let (Some(stop_done), Some(start_pre)) = (stop_done, start_pre) {
                self.order_actions(stop_done, start_pre, ar::ORDERED);
            }
        }
    }

    pub(crate) fn set_clone_data(&mut self, clone: RscIx, change: impl FnOnce(&mut CloneData)) {
        if let Some(data) = &mut self.rscs[clone].clone {
            change(data);
        }
    }

    fn check_state(&self, rsc: RscIx, state: &mut State) {
        let r = &self.rscs[rsc];
        if r.variant != Variant::Primitive {
            for child in &r.children {
                self.check_state(*child, state);
            }
            return;
        }
        state.active |= !r.active_nodes.is_empty();
        let (mut starting, mut stopping) = (false, false);
        for action in r.actions.iter().rev() {
            let a = &self.actions[*action];
            if starting && stopping {
                break;
            }
            match &*a.task {
                "start" => starting |= !a.is(af::OPTIONAL) && a.is(af::RUNNABLE),
                "stop" => stopping |= !a.is(af::OPTIONAL) && a.any(af::PSEUDO | af::RUNNABLE),
                _ => {}
            }
        }
        state.starting |= starting;
        state.stopping |= stopping;
        state.restarting |= starting && stopping;
    }
}

#[derive(Default)]
struct State {
    starting: bool,
    stopping: bool,
    restarting: bool,
    active: bool,
}
