//! Actions that bring a primitive from the role it has to the role it shall have.

use crate::cluster::Cluster;
use crate::model::*;

#[derive(Clone, Copy, PartialEq)]
enum Move {
    None,
    Stop,
    Start,
    Promote,
    Demote,
}

/// The role that is next on the way from one role to another.
fn next_step(from: Role, to: Role) -> Role {
    use Role::*;
    match (from, to) {
        (Unknown, Unknown) => Unknown,
        (_, Unknown | Stopped) if from != Promoted => Stopped,
        (Promoted, Unknown) => Stopped,
        (Promoted, Promoted) => Promoted,
        (Promoted, _) => Unpromoted,
        (Unknown, _) => Stopped,
        (Stopped, Started) => Started,
        (Stopped, _) => Unpromoted,
        (Started, Started) => Started,
        (Started, Unpromoted) => Unpromoted,
        (Started, _) => Promoted,
        (Unpromoted, Started) => Stopped,
        (Unpromoted, Unpromoted) => Unpromoted,
        (Unpromoted, _) => Promoted,
    }
}

/// What makes the step; `None` if nothing does or needs to.
fn step_action(from: Role, to: Role) -> Option<Move> {
    use Role::*;
    match (from, to) {
        (Unknown, Stopped) => Some(Move::Stop),
        (Unknown, _) => Some(Move::None),
        (Stopped, Stopped) => None,
        (Stopped, Started | Unpromoted) => Some(Move::Start),
        (Stopped, _) => Some(Move::None),
        (Started, Stopped) | (Unpromoted, Stopped | Started) => Some(Move::Stop),
        (Started, Started | Unpromoted) | (Unpromoted, Unpromoted) => None,
        (Started | Unpromoted, Promoted) => Some(Move::Promote),
        (Started | Unpromoted, Unknown) => Some(Move::None),
        (Promoted, Stopped | Started | Unpromoted) => Some(Move::Demote),
        (Promoted, Promoted) => None,
        (Promoted, Unknown) => Some(Move::None),
    }
}

impl Cluster {
    pub(crate) fn create_primitive_actions(&mut self, rsc: RscIx) {
        if self.rscs[rsc].next_role == Role::Unknown {
            let role = if self.rscs[rsc].assigned.is_none() { Role::Stopped } else { Role::Started };
            self.set_next_role(rsc, role);
        }
        let (current, all_active, clean_active) = self.active_node(rsc);
        for source in self.rscs[rsc].dangling.clone().into_iter().rev() {
            let stop = self.stop_action(rsc, Some(source), false);
            self.actions[stop].flags |= af::MIGRATION_ABORT;
        }
        let r = &self.rscs[rsc];
        let assigned = r.assigned;
        let (mut moving, mut need_stop, mut can_migrate) = (false, false, false);
        if current.is_some() && assigned.is_some() && current != assigned && r.next_role >= Role::Started {
            moving = true;
            can_migrate = self.can_migrate(rsc, current);
            need_stop = true;
        }
        let (source, target) = (r.partial_source, r.partial_target);
        let mut multiply_active = false;
        let continues = source.is_some()
            && target.is_some()
            && can_migrate
            && all_active == 2
            && current == source
            && assigned == target;
        if !continues && (source.is_some() || target.is_some()) {
            need_stop = true;
            can_migrate = false;
            self.rscs[rsc].partial_source = None;
            self.rscs[rsc].partial_target = None;
        } else if !continues {
            multiply_active = if r.is(rf::NEEDS_FENCING) { all_active > 1 } else { clean_active > 1 };
        }
        if multiply_active {
            let text = format!("Resource {} might be active on {all_active} nodes", self.rscs[rsc].id);
            self.error(text);
            match self.rscs[rsc].multiply_active {
                MultiplyActive::Restart => need_stop = true,
                MultiplyActive::Unexpected => {
                    need_stop = true;
                    self.rscs[rsc].flags |= rf::STOP_UNEXPECTED;
                }
                _ => {}
            }
        } else {
            self.rscs[rsc].flags &= !rf::STOP_UNEXPECTED;
        }
        if self.rscs[rsc].is(rf::START_PENDING) {
            let start = self.start_action(rsc, assigned, true);
            self.actions[start].flags |= af::ALWAYS_IN_GRAPH;
        }
        let mut need_promote = false;
        let r = &self.rscs[rsc];
        if moving {
        } else if r.is(rf::FAILED) {
            if r.is(rf::STOP_IF_FAILED) {
                need_stop = true;
            } else {
                need_promote = r.next_role == Role::Promoted;
            }
        } else if r.is(rf::BLOCKED) {
            need_stop = true;
        } else if r.role > Role::Started && current.is_some() && assigned.is_some() {
            let start = self.start_action(rsc, assigned, true);
            need_stop |= !self.actions[start].is(af::OPTIONAL);
        }
        self.schedule_restart(rsc, current, need_stop, need_promote);
        self.schedule_transition(rsc);
        self.create_recurring(rsc);
        if can_migrate && let Some(current) = current {
            self.create_migration(rsc, current);
        }
    }

    fn make_move(&mut self, rsc: RscIx, what: Move, node: Option<NodeIx>, optional: bool) {
        match what {
            Move::None => {}
            Move::Stop => self.stop_rsc(rsc, optional),
            Move::Start => self.start_rsc(rsc, node, optional),
            Move::Promote => self.promote_rsc(rsc, node, optional),
            Move::Demote => self.demote_rsc(rsc, optional),
        }
    }

    fn schedule_restart(&mut self, rsc: RscIx, current: Option<NodeIx>, need_stop: bool, need_promote: bool) {
        let mut role = self.rscs[rsc].role;
        self.rscs[rsc].flags |= rf::RESTARTING;
        while role != Role::Stopped {
            let next = next_step(role, Role::Stopped);
            let Some(step) = step_action(role, next) else { break };
            self.make_move(rsc, step, current, !need_stop);
            role = next;
        }
        let wanted = self.rscs[rsc].role;
        while wanted <= self.rscs[rsc].next_role && role != wanted && !self.rscs[rsc].is(rf::BLOCKED) {
            let next = next_step(role, wanted);
            let required = need_stop || (next == Role::Promoted && need_promote);
            let Some(step) = step_action(role, next) else { break };
            let node = self.rscs[rsc].assigned;
            self.make_move(rsc, step, node, !required);
            role = next;
        }
        self.rscs[rsc].flags &= !rf::RESTARTING;
    }

    fn schedule_transition(&mut self, rsc: RscIx) {
        let mut role = self.rscs[rsc].role;
        while role != self.rscs[rsc].next_role {
            let next = next_step(role, self.rscs[rsc].next_role);
            let Some(step) = step_action(role, next) else { break };
            let node = self.rscs[rsc].assigned;
            self.make_move(rsc, step, node, false);
            role = next;
        }
    }

    /// A multiply active resource stays where it is expected, and is stopped elsewhere.
    fn is_expected_on(&self, rsc: RscIx, node: Option<NodeIx>) -> bool {
        let r = &self.rscs[rsc];
        r.is(rf::STOP_UNEXPECTED | rf::RESTARTING)
            && r.next_role > Role::Stopped
            && r.assigned.is_some()
            && r.assigned == node
    }

    fn stop_rsc(&mut self, rsc: RscIx, optional: bool) {
        let mut optional = optional;
        for node in self.rscs[rsc].active_nodes.clone() {
            if self.is_expected_on(rsc, Some(node)) {
                continue;
            }
            if let Some(target) = self.rscs[rsc].partial_target {
                if node == target && self.rscs[rsc].assigned == Some(node) {
                    continue;
                }
                optional = false;
            }
            let stop = self.stop_action(rsc, Some(node), optional);
            if self.rscs[rsc].assigned.is_none() {
                self.set_reason(stop, "node availability", true);
            } else if self.rscs[rsc].is(rf::RESTARTING | rf::STOP_UNEXPECTED) {
                self.set_reason(stop, "being multiply active", true);
            }
            if !self.rscs[rsc].is(rf::MANAGED) {
                self.actions[stop].flags &= !af::RUNNABLE;
            }
            if self.rscs[rsc].is(rf::NEEDS_UNFENCING) {
                let unfence = self.fence_op(node, Some("on"), true, None, false);
                self.order_actions(stop, unfence, ar::THEN_IMPLIES_FIRST);
                if !self.is_unfenced(node) {
                    let text = format!(
                        "Stopping {} until {} can be unfenced",
                        self.rscs[rsc].id, self.nodes[node].name
                    );
                    self.error(text);
                }
            }
        }
    }

    fn start_rsc(&mut self, rsc: RscIx, node: Option<NodeIx>, optional: bool) {
        let start = self.start_action(rsc, node, true);
        if let Some(node) = node {
            self.order_vs_unfencing(rsc, node, start, ar::FIRST_IMPLIES_THEN);
        }
        if self.actions[start].is(af::RUNNABLE) && !optional {
            self.actions[start].flags &= !af::OPTIONAL;
        }
        if self.is_expected_on(rsc, node) {
            self.actions[start].flags |= af::PSEUDO;
        }
    }

    fn promote_rsc(&mut self, rsc: RscIx, node: Option<NodeIx>, optional: bool) {
        let starts = self.rsc_actions(rsc, node, "start", true);
        if starts.iter().all(|s| self.actions[*s].is(af::RUNNABLE)) {
            let promote = self.promote_action(rsc, node, optional);
            if self.is_expected_on(rsc, node) {
                self.actions[promote].flags |= af::PSEUDO;
            }
        } else {
            for promote in self.rsc_actions(rsc, node, "promote", true) {
                self.actions[promote].flags &= !af::RUNNABLE;
            }
        }
    }

    fn demote_rsc(&mut self, rsc: RscIx, optional: bool) {
        for node in self.rscs[rsc].active_nodes.clone() {
            if !self.is_expected_on(rsc, Some(node)) {
                self.demote_action(rsc, Some(node), optional);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promoted_resource_goes_down_in_two_steps() {
        assert_eq!(next_step(Role::Promoted, Role::Stopped), Role::Unpromoted);
        assert_eq!(next_step(Role::Unpromoted, Role::Stopped), Role::Stopped);
        assert_eq!(next_step(Role::Stopped, Role::Promoted), Role::Unpromoted);
    }
}
