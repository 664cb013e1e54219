//! Assignment of one primitive.

use crate::cluster::{Cluster, Line, NoQuorum};
use crate::model::*;

impl Cluster {
    fn best_node(&mut self, rsc: RscIx, prefer: Option<NodeIx>, stop_if_fail: bool) {
        let most_free = self.ban_insufficient_capacity(rsc);
        let prefer = prefer.or(most_free);
        if !self.rscs[rsc].is(rf::UNASSIGNED) {
            return;
        }
        let row = &self.rscs[rsc].allowed;
        let running = self.current_node(rsc);
        let score = |node: NodeIx| slot(row, node).map_or(-base::INFINITY, |s| s.score);
        let best = self.best_of(row, running);
        let mut chosen = prefer.filter(|p| {
            slot(row, *p).is_some() && best.is_some_and(|b| score(*p) >= score(b)) && self.slot_up(row, *p)
        });
        if let (None, Some(best)) = (chosen, best) {
            chosen = Some(best);
            let unique =
                self.rscs[rsc].parent.is_some_and(|p| self.is_clone(p) && self.rscs[p].is(rf::UNIQUE));
            if !unique && score(best) > 0 && self.node_up(best) {
                // The running node comes from the history: its own score decides, not the row's.
                let stays = running.filter(|n| self.nodes[*n].base.score >= 0 && self.node_up(*n));
                chosen = stays.filter(|n| score(*n) == score(best)).or(chosen);
            }
        }
        let chosen = chosen.map(|n| (n, score(n)));
        self.assign_to(rsc, chosen, false, stop_if_fail);
    }

    pub(super) fn assign_primitive(
        &mut self,
        rsc: RscIx,
        prefer: Option<NodeIx>,
        stop_if_fail: bool,
    ) -> Option<NodeIx> {
        if let Some(parent) = self.rscs[rsc].parent.filter(|p| !self.rscs[*p].is(rf::ASSIGNING)) {
            self.assign(parent, prefer, stop_if_fail);
        }
        if !self.rscs[rsc].is(rf::UNASSIGNED) {
            return self.rscs[rsc].assigned;
        }
        if self.rscs[rsc].is(rf::ASSIGNING) {
            return None;
        }
        self.rscs[rsc].flags |= rf::ASSIGNING;
        let this_with = self.this_with_colocations(rsc);
        let with_this = self.with_this_colocations(rsc);
        for mandatory in [true, false] {
            let fits = |c: &&ColocIx| (self.colocations[**c].score.abs() >= base::INFINITY) == mandatory;
            let first: Vec<ColocIx> = this_with.iter().filter(fits).copied().collect();
            let second: Vec<ColocIx> = with_this.iter().filter(fits).copied().collect();
            for colocation in first {
                self.apply_this_with(colocation, rsc);
            }
            for colocation in second {
                self.add_dependent_scores(colocation, rsc);
            }
        }
        let (role, next_role) = (self.rscs[rsc].role, self.rscs[rsc].next_role);
        if next_role == Role::Stopped {
            self.location(rsc, None, -base::INFINITY, "target-role");
        } else if next_role > role && !self.config.quorate && self.config.no_quorum == NoQuorum::Freeze {
            self.set_next_role(rsc, role);
        }
        self.show_scores(rsc, "pcmk__primitive_assign");
        if self.config.fencing_enabled && !self.config.have_fencing {
            self.rscs[rsc].flags &= !rf::MANAGED;
        }
        if !self.rscs[rsc].is(rf::MANAGED) {
            let role = self.rscs[rsc].role;
            self.set_next_role(rsc, role);
            let current = self.current_node(rsc).map(|n| (n, self.nodes[n].base.score));
            self.assign_to(rsc, current, true, stop_if_fail);
        } else if self.config.stop_all {
            self.assign_to(rsc, None, true, stop_if_fail);
        } else {
            self.best_node(rsc, prefer, stop_if_fail);
        }
        self.rscs[rsc].flags &= !rf::ASSIGNING;
        if self.rscs[rsc].is(rf::REMOTE_CONNECTION) {
            self.connection_assigned(rsc);
        }
        self.rscs[rsc].assigned
    }

    fn apply_this_with(&mut self, colocation: ColocIx, rsc: RscIx) {
        let c = &self.colocations[colocation];
        let (other, score) = (c.primary, c.score);
        let optional = c.dependent_role >= Role::Promoted || (score < 0 && score > -base::INFINITY);
        let archive = optional.then(|| (*self.rscs[rsc].allowed).clone());
        if self.rscs[other].is(rf::UNASSIGNED) {
            self.assign(other, None, true);
        }
        self.apply_coloc_score(rsc, other, colocation, true);
        if let Some(archive) = archive.filter(|_| !self.any_up(&self.rscs[rsc].allowed)) {
            self.replace_row(rsc, archive, "colocation would leave no node");
        }
    }

    fn connection_assigned(&mut self, rsc: RscIx) {
        let Some(node) = self.find_node(&self.rscs[rsc].id) else { return };
        if self.rscs[rsc].assigned.is_some() && self.rscs[rsc].next_role != Role::Stopped {
            self.nodes[node].online = true;
            if !self.nodes[node].is(nf::SEEN) {
                self.nodes[node].unclean = false;
            }
        } else {
            self.nodes[node].shutdown = true;
        }
    }

    /// Assigns a resource, with everything in it, to a node (given with its score) or to none.
    /// Tells whether that changed anything.
    pub(crate) fn assign_to(
        &mut self,
        rsc: RscIx,
        node: Option<(NodeIx, i32)>,
        force: bool,
        stop_if_fail: bool,
    ) -> bool {
        let children = self.rscs[rsc].children.clone();
        if !children.is_empty() {
            let mut changed = false;
            for child in children {
                changed |= self.assign_to(child, node, force, stop_if_fail);
            }
            return changed;
        }
        let mut target = node.map(|(n, _)| n);
        if let Some((node, score)) = node.filter(|_| !force) {
            let unusable = score < 0 || (!self.node_up(node) && !self.is_guest(node));
            if unusable {
                if stop_if_fail {
                    self.set_next_role(rsc, Role::Stopped);
                }
                target = None;
            }
        }
        let changed = self.rscs[rsc].assigned != target;
        self.unassign(rsc);
        self.rscs[rsc].flags &= !rf::UNASSIGNED;
        let (Some(node), score) = (target, node.map_or(0, |(_, score)| score)) else {
            if stop_if_fail {
                self.stop_everything(rsc);
            }
            return changed;
        };
        self.rscs[rsc].assigned = Some(node);
        self.rscs[rsc].assigned_score = score;
        self.nodes[node].num_resources += 1;
        self.consume_capacity(node, rsc);
        if self.opts.utilization {
            let r = &self.rscs[rsc];
            self.lines.push(Line::Utilization {
                stage: "pcmk__assign_resource",
                rsc: r.id.clone(),
                node: self.nodes[node].name.clone(),
                values: super::utilization::listed(&r.utilization),
            });
        }
        changed
    }

    fn stop_everything(&mut self, rsc: RscIx) {
        self.set_next_role(rsc, Role::Stopped);
        for action in self.rscs[rsc].actions.clone() {
            let a = &mut self.actions[action];
            match &*a.task {
                "stop" => a.flags &= !af::OPTIONAL,
                "start" => a.flags &= !af::RUNNABLE,
                _ => {
                    let recurs = a.meta.get("interval").is_some_and(|i| i != "0");
                    if recurs && a.meta.get("op_target_rc") != Some("7") {
                        a.flags &= !af::RUNNABLE;
                    }
                }
            }
        }
    }

    pub(crate) fn unassign(&mut self, rsc: RscIx) {
        self.rscs[rsc].flags |= rf::UNASSIGNED;
        let children = self.rscs[rsc].children.clone();
        if !children.is_empty() {
            for child in children {
                self.unassign(child);
            }
            return;
        }
        if let Some(old) = self.rscs[rsc].assigned.take() {
            self.nodes[old].num_resources -= 1;
            self.release_capacity(old, rsc);
        }
    }
}
