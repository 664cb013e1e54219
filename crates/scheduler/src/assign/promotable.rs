//! Which instances of a promotable clone get promoted.

use super::scores::{ACTIVE, NONNEGATIVE};
use crate::cluster::{Cluster, Line, NoQuorum, add_scores};
use crate::model::*;
use crate::text::{clone_strip, merge_sort};
use std::cmp::Ordering as Cmp;

impl Cluster {
    fn clone_flag(&mut self, clone: RscIx, flag: fn(&mut CloneData) -> &mut bool) -> bool {
        match &mut self.rscs[clone].clone {
            Some(data) => std::mem::replace(flag(data), true),
            None => true,
        }
    }

    pub(super) fn add_promotion_scores(&mut self, clone: RscIx) {
        if self.clone_flag(clone, |c| &mut c.promotion_added) {
            return;
        }
        for child in self.rscs[clone].children.clone() {
            for node in row_nodes(&self.rscs[child].allowed) {
                if !self.node_up(node) {
                    continue;
                }
                let score = self.promotion_score(child, node).unwrap_or(0);
                if score > 0 {
                    self.add_score(child, node, score, "promotion score");
                }
                if score > self.rscs[child].priority {
                    self.rscs[child].priority = score;
                }
            }
        }
    }

    /// Promotion score that agents set for an instance on a node; `None` if none is set.
    fn promotion_score(&mut self, rsc: RscIx, node: NodeIx) -> Option<i32> {
        let children = self.rscs[rsc].children.clone();
        if !children.is_empty() {
            let scores: Vec<Option<i32>> =
                children.into_iter().map(|c| self.promotion_score(c, node)).collect();
            let any = scores.iter().any(Option::is_some);
            return any.then(|| scores.into_iter().flatten().sum());
        }
        if !self.promotion_score_applies(rsc, node) {
            return None;
        }
        let r = &self.rscs[rsc];
        let name = r.history_id.as_ref().unwrap_or(&r.id);
        let mut value = self.promotion_attr(rsc, node, name);
        if value.is_none() && !r.is(rf::UNIQUE) {
            let base_name = clone_strip(&r.id);
            if base_name != &*r.id {
                value = self.promotion_attr(rsc, node, base_name);
            }
        }
        Some(self.parse_score(&value?).unwrap_or(0))
    }

    fn promotion_attr(&self, rsc: RscIx, node: NodeIx, name: &str) -> Option<crate::text::Str> {
        let r = &self.rscs[rsc];
        let place = if r.is(rf::UNASSIGNED) { at::CURRENT } else { at::ASSIGNED };
        let target = r.meta.get("container-attribute-target");
        self.node_attr(node, &format!("master-{name}"), target, place)
    }

    fn promotion_score_applies(&self, rsc: RscIx, node: NodeIx) -> bool {
        let r = &self.rscs[rsc];
        let allowed = slot(&r.allowed, node).is_some_and(|s| s.score >= 0);
        let id = clone_strip(&r.id);
        let parent = self.top_of(rsc, false);
        if !r.is(rf::UNIQUE) {
            let children = &self.rscs[parent].children;
            let active = children.iter().find_map(|c| self.find_in_clone(*c, id, Some(node)));
            if active == Some(rsc) {
                return allowed;
            }
            if active.is_none() {
                let parts = children.iter().filter_map(|c| self.find_in_clone(*c, id, None));
                if parts.into_iter().any(|p| self.rscs[p].probed_on(node)) {
                    return allowed;
                }
            }
        }
        if r.active_nodes.is_empty() && !r.probed.iter().any(|p| *p) {
            return allowed;
        }
        (r.probed_on(node) || r.active_nodes.contains(&node)) && allowed
    }

    fn set_current_unpromoted(&mut self, rsc: RscIx) {
        if self.rscs[rsc].role == Role::Started {
            self.rscs[rsc].role = Role::Unpromoted;
        }
        for child in self.rscs[rsc].children.clone() {
            self.set_current_unpromoted(child);
        }
    }

    fn set_next_unpromoted(&mut self, rsc: RscIx) {
        let assigned = !self.places(rsc, at::ASSIGNED).is_empty();
        self.set_next_role(rsc, if assigned { Role::Unpromoted } else { Role::Stopped });
        for child in self.rscs[rsc].children.clone() {
            self.set_next_unpromoted(child);
        }
    }

    fn set_next_promoted(&mut self, rsc: RscIx) {
        if self.rscs[rsc].next_role == Role::Unknown {
            self.set_next_role(rsc, Role::Promoted);
        }
        for child in self.rscs[rsc].children.clone() {
            self.set_next_promoted(child);
        }
    }

    fn apply_promoted_locations(&mut self, child: RscIx, list: &[LocIx], chosen: NodeIx) {
        for location in list.iter().rev() {
            let location = &self.locations[*location];
            if location.role_filter != Role::Promoted {
                continue;
            }
            if let Some((_, cell)) = location.nodes.iter().find(|(n, _)| *n == chosen) {
                self.rscs[child].priority = add_scores(self.rscs[child].priority, cell.score);
            }
        }
    }

    fn set_instance_priority(&mut self, instance: RscIx, clone: RscIx) {
        if self.role_of(instance, true) == Role::Started {
            self.set_current_unpromoted(instance);
        }
        let places = self.places(instance, at::ASSIGNED);
        if places.len() > 1 {
            let text = format!("Cannot promote non-colocated child {}", self.rscs[instance].id);
            self.error(text);
        }
        let Some(chosen) = self.place(instance, at::ASSIGNED) else { return };
        let next_role = self.role_of(instance, false);
        match next_role {
            Role::Started | Role::Unknown => {
                let score = self.promotion_score(instance, chosen);
                self.rscs[instance].priority = score.unwrap_or(-1);
            }
            Role::Unpromoted | Role::Stopped => self.rscs[instance].priority = -base::INFINITY,
            Role::Promoted => {}
        }
        for holder in [instance, clone] {
            let list = self.rscs[holder].locations.clone();
            self.apply_promoted_locations(instance, &list, chosen);
        }
        for colocation in self.this_with_colocations(instance) {
            let primary = self.colocations[colocation].primary;
            self.apply_coloc_score(instance, primary, colocation, true);
        }
        let promotion =
            if next_role == Role::Promoted { base::INFINITY } else { self.rscs[instance].priority };
        self.rscs[instance].promotion_priority = promotion;
    }

    pub(super) fn set_instance_roles(&mut self, clone: RscIx) {
        for cell in self.row_mut(clone) {
            cell.count = 0;
        }
        for instance in self.rscs[clone].children.clone() {
            self.set_instance_priority(instance, clone);
        }
        self.sort_promotable(clone);
        let mut promoted = 0;
        for instance in self.rscs[clone].children.clone() {
            self.set_instance_role(instance, &mut promoted);
        }
    }

    fn sort_promotable(&mut self, clone: RscIx) {
        if self.clone_flag(clone, |c| &mut c.promotion_constrained) {
            return;
        }
        self.rscs[clone].flags |= rf::UPDATING_NODES;
        for child in self.rscs[clone].children.clone() {
            let promotion = self.rscs[child].promotion_priority;
            if promotion >= 0
                && let Some(chosen) = self.place(child, at::ASSIGNED)
            {
                self.add_score(clone, chosen, promotion, "promotion score");
            }
        }
        for colocation in self.with_this_colocations(clone) {
            let promoted = self.colocations[colocation].primary_role == Role::Promoted;
            if promoted && self.has_influence(colocation, None) {
                self.pull(colocation, clone, ACTIVE | NONNEGATIVE);
            }
        }
        self.require_promotion_tickets(clone);
        for child in self.rscs[clone].children.clone() {
            let chosen = self.place(child, at::ASSIGNED);
            let r = &self.rscs[child];
            let priority = if !r.is(rf::MANAGED) && r.next_role == Role::Promoted {
                base::INFINITY
            } else if let Some(chosen) = chosen {
                match slot(&self.rscs[clone].allowed, chosen) {
                    Some(cell) if r.promotion_priority >= 0 => cell.score,
                    _ => r.promotion_priority,
                }
            } else {
                -base::INFINITY
            };
            self.rscs[child].promotion_priority = priority;
        }
        let mut children = self.rscs[clone].children.clone();
        merge_sort(&mut children, &mut |a, b| self.compare_promotable(a, b));
        self.rscs[clone].children = children;
        self.rscs[clone].flags &= !rf::UPDATING_NODES;
    }

    fn compare_promotable(&mut self, a: RscIx, b: RscIx) -> Cmp {
        let order = self.rscs[b].promotion_priority.cmp(&self.rscs[a].promotion_priority);
        let order = order.then_with(|| self.role_of(b, true).cmp(&self.role_of(a, true)));
        if order == Cmp::Equal { self.compare_instances(a, b) } else { order }
    }

    fn set_instance_role(&mut self, instance: RscIx, promoted: &mut i32) {
        let clone = self.top_of(instance, false);
        if self.opts.scores {
            let chosen = self.place(instance, at::ASSIGNED);
            self.lines.push(Line::Promotion {
                rsc: self.rscs[instance].id.clone(),
                node: chosen.map(|n| self.nodes[n].name.clone()),
                score: self.rscs[instance].promotion_priority,
            });
        }
        let max = self.rscs[clone].clone.as_ref().map_or(0, |c| c.promoted_max);
        let mut chosen = None;
        if self.rscs[instance].promotion_priority >= 0
            && (*promoted < max || !self.rscs[clone].is(rf::MANAGED))
        {
            chosen = self.node_to_promote_on(instance);
        }
        let frozen = self.rscs[instance].role < Role::Promoted
            && !self.config.quorate
            && self.config.no_quorum == NoQuorum::Freeze;
        let Some(chosen) = chosen.filter(|_| !frozen) else {
            self.set_next_unpromoted(instance);
            return;
        };
        if let Some(cell) = slot_mut(self.row_mut(clone), chosen) {
            cell.count += 1;
        }
        self.set_next_promoted(instance);
        *promoted += 1;
    }

    fn node_to_promote_on(&mut self, rsc: RscIx) -> Option<NodeIx> {
        for child in self.rscs[rsc].children.clone() {
            self.node_to_promote_on(child)?;
        }
        let node = self.place(rsc, at::ASSIGNED)?;
        let managed = self.rscs[rsc].is(rf::MANAGED);
        if !managed {
            if self.role_of(rsc, true) != Role::Promoted {
                return None;
            }
        } else if self.rscs[rsc].priority < 0 || !self.node_up(node) || !self.guest_assigned(node) {
            return None;
        }
        let parent = self.top_of(rsc, false);
        let node_max = self.rscs[parent].clone.as_ref().map_or(0, |c| c.promoted_node_max);
        let cell = slot(&self.rscs[parent].allowed, node)?;
        if cell.count >= node_max && managed { None } else { Some(node) }
    }

    fn guest_assigned(&self, node: NodeIx) -> bool {
        self.guest_launcher(node).is_none_or(|l| self.place(l, at::ASSIGNED).is_some())
    }

    pub(super) fn dependent_with_promotable(
        &mut self,
        primary: RscIx,
        dependent: RscIx,
        colocation: ColocIx,
    ) {
        let c = self.colocations[colocation].clone();
        let mut nodes = Vec::new();
        for instance in self.rscs[primary].children.clone() {
            let Some(node) = self.place(instance, at::ASSIGNED) else { continue };
            if self.role_of(instance, false) != c.primary_role {
                continue;
            }
            if c.score < base::INFINITY {
                let value = self.colocation_attr(node, &c.node_attribute, primary);
                for other in row_nodes(&self.rscs[dependent].allowed) {
                    let own = self.colocation_attr(other, &c.node_attribute, dependent);
                    if super::scores::same_value(value.as_deref(), own.as_deref()) {
                        let cause = c.id.clone();
                        self.add_score_for(dependent, other, c.score, &cause);
                    }
                }
            }
            nodes.push((node, self.assigned_score(instance)));
        }
        nodes.reverse();
        let both_promoted = c.dependent_role == Role::Promoted && c.primary_role == Role::Promoted;
        if c.score >= base::INFINITY && !both_promoted {
            self.intersect_nodes(dependent, &nodes, true, colocation);
        }
    }

    /// Score with which the first part of a resource was assigned.
    fn assigned_score(&self, rsc: RscIx) -> i32 {
        let r = &self.rscs[rsc];
        match r.children.iter().find(|c| !self.places(**c, at::ASSIGNED).is_empty()) {
            Some(child) => self.assigned_score(*child),
            None => r.assigned_score,
        }
    }

    pub(super) fn promotable_dependent_priority(
        &mut self,
        primary: RscIx,
        dependent: RscIx,
        colocation: ColocIx,
    ) -> i32 {
        let c = self.colocations[colocation].clone();
        let found =
            self.compatible_instance(dependent, primary, c.primary_role, false, Some(&c.node_attribute));
        if found.is_some() {
            self.rscs[dependent].priority = add_scores(self.rscs[dependent].priority, c.score);
            return c.score;
        }
        if c.score >= base::INFINITY {
            self.rscs[dependent].priority = -base::INFINITY;
            return -base::INFINITY;
        }
        0
    }

    /// Pseudo-actions for promotion and demotion.
    pub(crate) fn create_promotable_actions(&mut self, clone: RscIx) {
        let (mut promoting, mut demoting) = (false, false);
        for instance in self.rscs[clone].children.clone() {
            self.create_actions(instance);
            self.check_role_change(instance, &mut promoting, &mut demoting);
        }
        let promote = self.rsc_pseudo_action(clone, "promote", !promoting, true);
        let promoted = self.rsc_pseudo_action(clone, "promoted", !promoting, true);
        self.actions[promoted].op_mut().priority = base::INFINITY;
        if self.rscs[clone].clone.as_ref().is_some_and(|c| c.promote_notify.is_none()) {
            let data = self.notify_ops(clone, "promote", Some(promote), Some(promoted));
            self.set_clone_data(clone, |c| c.promote_notify = data);
        }
        let demote = self.rsc_pseudo_action(clone, "demote", !demoting, true);
        let demoted = self.rsc_pseudo_action(clone, "demoted", !demoting, true);
        self.actions[demoted].op_mut().priority = base::INFINITY;
        if self.rscs[clone].clone.as_ref().is_some_and(|c| c.demote_notify.is_none()) {
            let data = self.notify_ops(clone, "demote", Some(demote), Some(demoted));
            self.set_clone_data(clone, |c| c.demote_notify = data);
            self.order_notifications(clone);
        }
        let priority = self.rscs[clone].priority;
        for instance in self.rscs[clone].children.clone() {
            self.rscs[instance].priority = priority;
        }
    }

    fn order_notifications(&mut self, clone: RscIx) {
        let Some(data) = self.rscs[clone].clone.clone() else { return };
        let (Some(stop), Some(start), Some(demote), Some(promote)) =
            (&data.stop_notify, &data.start_notify, &data.demote_notify, &data.promote_notify)
        else {
            return;
        };
        let pairs = [
            (stop.post_done, promote.pre),
            (start.post_done, promote.pre),
            (demote.post_done, promote.pre),
            (demote.post_done, start.pre),
            (demote.post_done, stop.pre),
        ];
        for (done, pre) in pairs {
            if let (Some(done), Some(pre)) = (done, pre) {
                self.order_actions(done, pre, ar::ORDERED);
            }
        }
    }

    fn check_role_change(&self, rsc: RscIx, promoting: &mut bool, demoting: &mut bool) {
        let r = &self.rscs[rsc];
        for child in &r.children {
            self.check_role_change(*child, promoting, demoting);
        }
        for action in r.actions.iter().filter(|_| r.children.is_empty()) {
            let a = &self.actions[*action];
            if !a.is(af::OPTIONAL) {
                *demoting |= a.task == "demote";
                *promoting |= a.task == "promote";
            }
        }
    }
}
