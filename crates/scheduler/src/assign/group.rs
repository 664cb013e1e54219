//! Assignment of groups: member by member; colocation keeps them together.

use crate::cluster::{Cluster, add_scores};
use crate::model::*;

impl Cluster {
    pub(super) fn assign_group(
        &mut self,
        group: RscIx,
        prefer: Option<NodeIx>,
        stop_if_fail: bool,
    ) -> Option<NodeIx> {
        if !self.rscs[group].is(rf::UNASSIGNED) {
            return self.rscs[group].assigned;
        }
        if self.rscs[group].is(rf::ASSIGNING) {
            return None;
        }
        let members = self.rscs[group].children.clone();
        let Some(first) = members.first().copied() else {
            self.rscs[group].flags &= !rf::UNASSIGNED;
            return None;
        };
        self.rscs[group].flags |= rf::ASSIGNING;
        self.rscs[group].role = self.rscs[first].role;
        self.show_scores(group, "pcmk__group_assign");
        let mut node = None;
        for member in members {
            let assigned = self.assign(member, prefer, stop_if_fail);
            node = node.or(assigned);
        }
        let next_role = self.rscs[first].next_role;
        self.set_next_role(group, next_role);
        self.rscs[group].flags &= !(rf::ASSIGNING | rf::UNASSIGNED);
        if self.group_colocated(group) { node } else { None }
    }

    pub(super) fn colocate_group_with(&mut self, group: RscIx, primary: RscIx, colocation: ColocIx) -> i32 {
        let Some(first) = self.rscs[group].children.first().copied() else { return 0 };
        let mut delta = 0;
        if self.group_colocated(group) {
            delta = self.apply_coloc_score(first, primary, colocation, true);
        } else {
            if self.colocations[colocation].score >= base::INFINITY {
                let text = format!(
                    "{}: Cannot perform mandatory colocation between non-colocated group and {}",
                    self.rscs[group].id, self.rscs[primary].id
                );
                self.error(text);
                return 0;
            }
            for member in self.rscs[group].children.clone() {
                let one = self.apply_coloc_score(member, primary, colocation, false);
                delta = add_scores(delta, one);
            }
        }
        if delta != 0 {
            self.rscs[group].priority = add_scores(delta, self.rscs[group].priority);
        }
        delta
    }

    pub(super) fn colocate_with_group(&mut self, dependent: RscIx, group: RscIx, colocation: ColocIx) -> i32 {
        if self.rscs[group].is(rf::UNASSIGNED) {
            return 0;
        }
        let mandatory = self.colocations[colocation].score >= base::INFINITY;
        if self.group_colocated(group) {
            let members = &self.rscs[group].children;
            let member = if mandatory { members.last() } else { members.first() };
            return match member.copied() {
                Some(member) => self.apply_coloc_score(dependent, member, colocation, false),
                None => 0,
            };
        }
        if mandatory {
            let text = format!(
                "{}: Cannot perform mandatory colocation with non-colocated group {}",
                self.rscs[dependent].id, self.rscs[group].id
            );
            self.error(text);
            return 0;
        }
        let mut delta = 0;
        for member in self.rscs[group].children.clone() {
            let one = self.apply_coloc_score(dependent, member, colocation, false);
            delta = add_scores(delta, one);
        }
        delta
    }
}
