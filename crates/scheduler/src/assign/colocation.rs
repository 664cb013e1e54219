//! What a colocation does to its dependent, and which colocations apply to a resource.

use super::scores::same_value;
use crate::cluster::{Cluster, add_scores};
use crate::constraints::colocation::NewColocation;
use crate::model::*;

/// What a colocation affects.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Affects {
    Nothing,
    Location,
    Role,
}

impl Cluster {
    /// Colocations of a resource with others, those of its parents included.
    pub(crate) fn this_with_colocations(&self, rsc: RscIx) -> Vec<ColocIx> {
        let mut list = Vec::new();
        self.collect_this_with(rsc, rsc, &mut list);
        list
    }

    /// Colocations of others with a resource, or with its parents.
    pub(crate) fn with_this_colocations(&self, rsc: RscIx) -> Vec<ColocIx> {
        let mut list = Vec::new();
        self.collect_with_this(rsc, rsc, &mut list);
        list
    }

    fn collect_with_this(&self, rsc: RscIx, orig: RscIx, list: &mut Vec<ColocIx>) {
        let r = &self.rscs[rsc];
        let parent = |list: &mut Vec<ColocIx>| {
            if let Some(parent) = r.parent {
                self.collect_with_this(parent, orig, list);
            }
        };
        match r.variant {
            Variant::Primitive if rsc == orig => {
                self.add_colocations(list, &r.with_this, true);
                parent(list);
            }
            Variant::Primitive => {
                for c in r.with_this.iter().filter(|c| self.colocations[**c].explicit) {
                    self.add_with_this(list, *c);
                }
            }
            Variant::Group => {
                if orig != rsc && Some(orig) != self.last_member(rsc) {
                    return;
                }
                self.add_colocations(list, &r.with_this, true);
                parent(list);
                if self.group_colocated(rsc) {
                    for member in r.children.iter().filter(|m| **m != orig) {
                        self.collect_with_this(*member, orig, list);
                    }
                }
            }
            Variant::Clone => {
                self.add_colocations(list, &r.with_this, true);
                parent(list);
            }
            Variant::Bundle => {
                if self.bundle_colocations_apply(rsc, orig) {
                    self.add_colocations(list, &r.with_this, true);
                }
            }
        }
    }

    fn collect_this_with(&self, rsc: RscIx, orig: RscIx, list: &mut Vec<ColocIx>) {
        let r = &self.rscs[rsc];
        let parent = |list: &mut Vec<ColocIx>| {
            if let Some(parent) = r.parent {
                self.collect_this_with(parent, orig, list);
            }
        };
        match r.variant {
            Variant::Primitive if rsc == orig => {
                self.add_colocations(list, &r.this_with, false);
                parent(list);
            }
            Variant::Primitive => {
                for c in r.this_with.iter().filter(|c| self.colocations[**c].explicit) {
                    self.add_this_with(list, *c);
                }
            }
            Variant::Group => self.collect_group_this_with(rsc, orig, list),
            Variant::Clone => {
                self.add_colocations(list, &r.this_with, false);
                parent(list);
            }
            Variant::Bundle => {
                if self.bundle_colocations_apply(rsc, orig) {
                    self.add_colocations(list, &r.this_with, false);
                }
            }
        }
    }

    fn collect_group_this_with(&self, group: RscIx, orig: RscIx, list: &mut Vec<ColocIx>) {
        let r = &self.rscs[group];
        if group == orig || r.children.first() == Some(&orig) {
            self.add_colocations(list, &r.this_with, false);
            if let Some(parent) = r.parent {
                self.collect_this_with(parent, orig, list);
            }
            if self.group_colocated(group) {
                for member in r.children.iter().filter(|m| **m != orig) {
                    self.collect_this_with(*member, orig, list);
                }
            }
            return;
        }
        // A member after an unmanaged one takes over the group's mandatory colocations.
        for member in &r.children {
            if *member == orig {
                break;
            }
            if !self.rscs[*member].is(rf::MANAGED) {
                for c in r.this_with.iter().filter(|c| self.colocations[**c].score == base::INFINITY) {
                    self.add_this_with(list, *c);
                }
                break;
            }
        }
    }

    fn bundle_colocations_apply(&self, bundle: RscIx, orig: RscIx) -> bool {
        if orig == bundle || self.rscs[orig].is(rf::REPLICA_CONTAINER) {
            return true;
        }
        let Some(child) = self.rscs[bundle].bundle.as_ref().and_then(|b| b.child) else { return false };
        if !self.rscs[child].is(rf::PROMOTABLE) || self.top_of(orig, false) != child {
            return false;
        }
        if orig == child {
            return self.rscs[child].clone.as_ref().is_some_and(|c| c.promotion_constrained);
        }
        !self.rscs[orig].is(rf::UNASSIGNED)
    }

    fn role_rsc(&self, rsc: RscIx) -> RscIx {
        if !self.rscs[rsc].is(rf::REPLICA_CONTAINER) {
            return rsc;
        }
        self.rsc_in_container(rsc).unwrap_or(rsc)
    }

    /// What a colocation affects, between these two parts of its resources.
    pub(crate) fn affects(
        &self,
        dependent: RscIx,
        primary: RscIx,
        colocation: ColocIx,
        preview: bool,
    ) -> Affects {
        let c = &self.colocations[colocation];
        if !preview && self.rscs[primary].is(rf::UNASSIGNED) {
            return Affects::Nothing;
        }
        let (d, p) = (self.role_rsc(dependent), self.role_rsc(primary));
        let parent = self.rscs[d].parent;
        if c.dependent_role >= Role::Unpromoted
            && parent.is_some_and(|p| self.rscs[p].is(rf::PROMOTABLE))
            && !self.rscs[d].is(rf::UNASSIGNED)
        {
            return Affects::Role;
        }
        if !preview && !self.rscs[dependent].is(rf::UNASSIGNED) {
            return Affects::Nothing;
        }
        let fits = |wanted: Role, rsc: RscIx| wanted == Role::Unknown || wanted == self.rscs[rsc].next_role;
        if fits(c.dependent_role, d) && fits(c.primary_role, p) {
            Affects::Location
        } else {
            Affects::Nothing
        }
    }

    /// Applies a colocation to the scores or the priority of its dependent. Returns the change of
    /// priority.
    pub(crate) fn apply_coloc_score(
        &mut self,
        dependent: RscIx,
        primary: RscIx,
        colocation: ColocIx,
        for_dependent: bool,
    ) -> i32 {
        let variant = if for_dependent { self.rscs[dependent].variant } else { self.rscs[primary].variant };
        match (variant, for_dependent) {
            (Variant::Primitive, true) => self.apply_coloc_score(dependent, primary, colocation, false),
            (Variant::Primitive, false) => match self.affects(dependent, primary, colocation, false) {
                Affects::Role => self.coloc_to_priority(dependent, primary, colocation),
                Affects::Location => {
                    self.coloc_to_scores(dependent, primary, colocation);
                    0
                }
                Affects::Nothing => 0,
            },
            (Variant::Group, true) => self.colocate_group_with(dependent, primary, colocation),
            (Variant::Group, false) => self.colocate_with_group(dependent, primary, colocation),
            (Variant::Clone, false) => self.colocate_with_clone(dependent, primary, colocation),
            (Variant::Bundle, false) => self.colocate_with_bundle(dependent, primary, colocation),
            // Instances are assigned on their own, and look at the colocations of their clone then.
            (Variant::Clone | Variant::Bundle, true) => 0,
        }
    }

    fn coloc_to_scores(&mut self, dependent: RscIx, primary: RscIx, colocation: ColocIx) {
        let c = self.colocations[colocation].clone();
        let assigned = self.rscs[primary].assigned;
        let value = assigned.and_then(|n| self.colocation_attr(n, &c.node_attribute, primary));
        if assigned.is_none() && c.score < 0 {
            return;
        }
        let mut work = (*self.rscs[dependent].allowed).clone();
        for node in row_nodes(&work) {
            let same = assigned.is_some() && {
                let own = self.colocation_attr(node, &c.node_attribute, dependent);
                same_value(own.as_deref(), value.as_deref())
            };
            let Some(cell) = slot_mut(&mut work, node) else { continue };
            if assigned.is_none() {
                cell.score = add_scores(-c.score, cell.score);
            } else if same {
                if c.score < base::INFINITY {
                    cell.score = add_scores(c.score, cell.score);
                }
            } else if c.score >= base::INFINITY {
                cell.score = -base::INFINITY;
            }
        }
        if c.score.abs() >= base::INFINITY || self.any_up(&work) {
            let old = std::mem::replace(self.row_mut(dependent), work);
            self.note_changes(dependent, &old, colocation);
        }
    }

    fn coloc_to_priority(&mut self, dependent: RscIx, primary: RscIx, colocation: ColocIx) -> i32 {
        let c = self.colocations[colocation].clone();
        let Some(here) = self.rscs[dependent].assigned else { return 0 };
        let there = self.rscs[primary].assigned;
        if there.is_some()
            && c.primary_role != Role::Unknown
            && c.primary_role != self.rscs[self.role_rsc(primary)].next_role
        {
            return 0;
        }
        let own = self.colocation_attr(here, &c.node_attribute, dependent);
        let other = there.and_then(|n| self.colocation_attr(n, &c.node_attribute, primary));
        let mut sign = 1;
        if !same_value(own.as_deref(), other.as_deref()) {
            if c.score != base::INFINITY || c.dependent_role != Role::Promoted {
                return 0;
            }
            sign = -1;
        } else if c.dependent_role == Role::Unpromoted {
            sign = -1;
        }
        let delta = sign * c.score;
        self.rscs[dependent].priority = add_scores(delta, self.rscs[dependent].priority);
        delta
    }

    /// Keeps only nodes on which the primary is; with `merge`, adds the scores given with them.
    pub(crate) fn intersect_nodes(
        &mut self,
        dependent: RscIx,
        primaries: &[(NodeIx, i32)],
        merge: bool,
        colocation: ColocIx,
    ) {
        let old = self.rscs[dependent].allowed.clone();
        for node in row_nodes(&old) {
            let Some(cell) = slot_mut(self.row_mut(dependent), node) else { continue };
            match primaries.iter().find(|(n, _)| *n == node) {
                None => cell.score = -base::INFINITY,
                Some((_, score)) if merge => cell.score = add_scores(cell.score, *score),
                Some(_) => {}
            }
        }
        self.note_changes(dependent, &old, colocation);
    }

    fn can_interleave(&mut self, colocation: ColocIx) -> bool {
        let c = &self.colocations[colocation];
        let (dependent, primary) = (c.dependent, c.primary);
        if self.rscs[dependent].variant <= Variant::Group || !self.meta_true(dependent, "interleave") {
            return false;
        }
        if self.max_per_node(dependent) != self.max_per_node(primary) {
            let text = format!(
                "Cannot interleave {} and {} because they do not support the same number of instances per node",
                self.rscs[dependent].id, self.rscs[primary].id
            );
            self.error(text);
            return false;
        }
        true
    }

    fn colocate_with_clone(&mut self, dependent: RscIx, primary: RscIx, colocation: ColocIx) -> i32 {
        if self.rscs[primary].is(rf::UNASSIGNED) {
            return 0;
        }
        let (score, primary_role, dependent_role) = {
            let c = &self.colocations[colocation];
            (c.score, c.primary_role, c.dependent_role)
        };
        if self.rscs[primary].is(rf::PROMOTABLE) && primary_role != Role::Unknown {
            if self.rscs[dependent].is(rf::UNASSIGNED) {
                self.dependent_with_promotable(primary, dependent, colocation);
                return 0;
            }
            if dependent_role == Role::Promoted {
                return self.promotable_dependent_priority(primary, dependent, colocation);
            }
        }
        if self.can_interleave(colocation) {
            if let Some(instance) = self.compatible_instance(dependent, primary, Role::Unknown, false, None) {
                return self.apply_coloc_score(dependent, instance, colocation, true);
            }
            if score >= base::INFINITY {
                self.assign_to(dependent, None, true, true);
            }
            return 0;
        }
        if score >= base::INFINITY {
            let mut nodes = Vec::new();
            for instance in self.rscs[primary].children.clone().into_iter().rev() {
                if let Some(node) = self.place(instance, at::ASSIGNED)
                    && !self.flag_recursive(instance, rf::BLOCKED, true)
                {
                    nodes.push((node, 0));
                }
            }
            self.intersect_nodes(dependent, &nodes, false, colocation);
            return 0;
        }
        let mut delta = 0;
        for instance in self.rscs[primary].children.clone() {
            let one = self.apply_coloc_score(dependent, instance, colocation, false);
            delta = add_scores(delta, one);
        }
        delta
    }

    /// Adds a colocation that became known only during assignment.
    pub(super) fn late_colocation(&mut self, id: &str, dependent: RscIx, primary: RscIx) {
        self.new_colocation(NewColocation {
            id,
            attribute: None,
            score: base::INFINITY,
            dependent,
            primary,
            dependent_role: None,
            primary_role: None,
            explicit: false,
            influence: true,
        });
    }

    /// All resources that have to be on one node together with this one.
    pub(crate) fn colocated_resources(&mut self, rsc: RscIx, orig: Option<RscIx>, list: &mut Vec<RscIx>) {
        let orig = orig.unwrap_or(rsc);
        if self.rscs[rsc].variant == Variant::Group {
            let in_clone = self.rscs[rsc].parent.is_some_and(|p| self.is_clone(p));
            if self.group_colocated(rsc) || in_clone {
                list.push(rsc);
                for member in self.rscs[rsc].children.clone() {
                    self.colocated_resources(member, Some(orig), list);
                }
                return;
            }
        }
        if list.contains(&rsc) {
            return;
        }
        list.push(rsc);
        for colocation in self.this_with_colocations(rsc) {
            let (primary, score) = (self.colocations[colocation].primary, self.colocations[colocation].score);
            if primary != orig
                && score == base::INFINITY
                && self.affects(rsc, primary, colocation, true) == Affects::Location
            {
                self.colocated_resources(primary, Some(orig), list);
            }
        }
        for colocation in self.with_this_colocations(rsc) {
            let (dependent, score) =
                (self.colocations[colocation].dependent, self.colocations[colocation].score);
            if dependent == orig || (self.is_clone(rsc) && !self.is_clone(dependent)) {
                continue;
            }
            if score == base::INFINITY && self.affects(dependent, rsc, colocation, true) == Affects::Location
            {
                self.colocated_resources(dependent, Some(orig), list);
            }
        }
    }
}
