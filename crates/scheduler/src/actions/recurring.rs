//! Recurring operations: monitors of active and of stopped resources.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{Str, op_key};

/// A configured recurring operation.
struct Recurring {
    name: Str,
    key: Str,
    role: Role,
    interval_ms: u32,
}

/// Expected exit status of monitors.
const NOT_RUNNING: i32 = 7;
const PROMOTED: i32 = 8;

const CANNOT_RECUR: [&str; 7] =
    ["stop", "start", "demote", "promote", "reload-agent", "migrate_to", "migrate_from"];

impl Cluster {
    pub(crate) fn create_recurring(&mut self, rsc: RscIx) {
        if self.rscs[rsc].any(rf::BLOCKED | rf::MAINTENANCE) {
            return;
        }
        let assigned = self.rscs[rsc].assigned;
        let mut start = None;
        if assigned.is_some_and(|n| !self.nodes[n].maintenance)
            && (self.rscs[rsc].next_role != Role::Stopped || !self.rscs[rsc].is(rf::MANAGED))
        {
            start = Some(self.start_action(rsc, assigned, true));
        }
        let ops = self.rscs[rsc].ops.clone();
        for op in ops.iter().filter(|op| op.interval_ms > 0) {
            let Some(op) = self.recurring(rsc, op) else { continue };
            if let Some(start) = start {
                self.recurring_active(rsc, start, assigned, &op);
            }
            self.recurring_inactive(rsc, assigned, &op);
        }
    }

    fn recurring(&mut self, rsc: RscIx, op: &OpConfig) -> Option<Recurring> {
        let id = op.id.clone().filter(|id| !id.is_empty())?;
        let name = op.name.clone()?;
        if CANNOT_RECUR.contains(&&*name) {
            self.error(format!("Ignoring {id} because {name} action cannot be recurring"));
            return None;
        }
        let same = |o: &&OpConfig| {
            o.name.as_ref() == Some(&name) && o.interval_ms == op.interval_ms && o.id.is_some()
        };
        if self.rscs[rsc].ops.iter().filter(same).count() > 1 {
            self.error(format!(
                "Operation {id} is a duplicate (do not use same name and interval combination more than once per resource)"
            ));
            return None;
        }
        let role = Role::parse(op.role.as_deref());
        if op.role.is_some() && role == Role::Unknown {
            self.error(format!("Ignoring {id} role because it is not a valid role"));
            return None;
        }
        self.op_config(rsc, &name, op.interval_ms, false)?;
        let key = op_key(&self.rscs[rsc].id, &name, op.interval_ms);
        Some(Recurring { name, key, role, interval_ms: op.interval_ms })
    }

    fn active_is_optional(&mut self, rsc: RscIx, node: Option<NodeIx>, key: &str, start: ActIx) -> bool {
        if node.is_none() || self.action_flags(start, None) & af::OPTIONAL == 0 {
            return false;
        }
        let matches = self.find_actions_exact(rsc, key, node);
        !matches.is_empty() && matches.iter().all(|op| !self.actions[*op].is(af::RESCHEDULE))
    }

    fn recurring_active(&mut self, rsc: RscIx, start: ActIx, node: Option<NodeIx>, op: &Recurring) {
        if op.role == Role::Stopped {
            return;
        }
        let optional = self.active_is_optional(rsc, node, &op.key, start);
        let (role, next_role) = (self.rscs[rsc].role, self.rscs[rsc].next_role);
        let fits = match op.role {
            Role::Unknown => next_role != Role::Promoted,
            wanted => next_role == wanted,
        };
        let id = self.rscs[rsc].id.clone();
        if !fits {
            if optional {
                let cancel = self.cancel_action(rsc, &op.name, op.interval_ms, node);
                let after = match (role, next_role) {
                    (Role::Unpromoted | Role::Started, Role::Promoted) => Some("promote"),
                    (Role::Unpromoted | Role::Started, Role::Stopped) => Some("stop"),
                    (Role::Promoted, _) => Some("demote"),
                    _ => None,
                };
                if let Some(after) = after {
                    self.new_ordering(
                        (Some(rsc), None, Some(cancel)),
                        (Some(rsc), Some(op_key(&id, after, 0)), None),
                        ar::UNRUNNABLE_FIRST_BLOCKS,
                    );
                }
            }
            return;
        }
        let monitor = self.custom_action(Some(rsc), op.key.clone(), op.name.clone(), node, optional);
        let usable = node.is_some_and(|n| self.nodes[n].online && !self.nodes[n].unclean);
        if !self.actions[start].is(af::RUNNABLE) || !usable {
            self.actions[monitor].flags &= !af::RUNNABLE;
        }
        if next_role == Role::Promoted {
            self.expect_result(monitor, PROMOTED);
        }
        if node.is_some() && !self.rscs[rsc].is(rf::MANAGED) {
            return;
        }
        const IMPLIED: u32 = ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS;
        for first in ["start", "reload-agent"] {
            let key = op_key(&id, first, 0);
            self.new_ordering((Some(rsc), Some(key), None), (None, None, Some(monitor)), IMPLIED);
        }
        let first = match (role, next_role) {
            (_, Role::Promoted) => "promote",
            (Role::Promoted, _) => "demote",
            _ => return,
        };
        let key = op_key(&id, first, 0);
        self.new_ordering(
            (Some(rsc), Some(key), None),
            (Some(rsc), None, Some(monitor)),
            ar::ORDERED | ar::UNRUNNABLE_FIRST_BLOCKS,
        );
    }

    fn cancel_if_running(&mut self, rsc: RscIx, node: NodeIx, op: &Recurring) {
        if self.find_actions_exact(rsc, &op.key, Some(node)).is_empty() {
            return;
        }
        let cancel = self.cancel_action(rsc, &op.name, op.interval_ms, Some(node));
        if matches!(self.rscs[rsc].next_role, Role::Started | Role::Unpromoted) {
            let start = op_key(&self.rscs[rsc].id, "start", 0);
            self.new_ordering(
                (Some(rsc), None, Some(cancel)),
                (Some(rsc), Some(start), None),
                ar::UNRUNNABLE_FIRST_BLOCKS,
            );
        }
    }

    fn recurring_inactive(&mut self, rsc: RscIx, node: Option<NodeIx>, op: &Recurring) {
        if op.role != Role::Stopped || !self.rscs[rsc].is(rf::UNIQUE) {
            return;
        }
        for other in self.node_order.clone() {
            if Some(other) == node {
                self.cancel_if_running(rsc, other, op);
                continue;
            }
            let optional = !self.find_actions_exact(rsc, &op.key, Some(other)).is_empty();
            let monitor =
                self.custom_action(Some(rsc), op.key.clone(), op.name.clone(), Some(other), optional);
            self.expect_result(monitor, NOT_RUNNING);
            if self.rscs[rsc].is(rf::MANAGED) {
                for probe in self.rsc_actions(rsc, Some(other), "monitor", false) {
                    self.order_actions(probe, monitor, ar::UNRUNNABLE_FIRST_BLOCKS);
                }
            }
            self.order_after_stops(rsc, other, monitor);
            if !self.nodes[other].online || self.nodes[other].unclean {
                self.actions[monitor].flags &= !af::RUNNABLE;
            }
        }
    }

    fn order_after_stops(&mut self, rsc: RscIx, node: NodeIx, action: ActIx) {
        let managed = self.rscs[rsc].is(rf::MANAGED);
        for stop in self.rsc_actions(rsc, Some(node), "stop", true) {
            let (optional, runnable) =
                (self.actions[stop].is(af::OPTIONAL), self.actions[stop].is(af::RUNNABLE));
            if !optional && !self.actions[action].is(af::OPTIONAL) && !managed {
                self.actions[action].flags |= af::OPTIONAL;
            }
            if !runnable {
                self.actions[action].flags &= !af::RUNNABLE;
            }
            if managed {
                self.new_ordering(
                    (Some(rsc), None, Some(stop)),
                    (None, None, Some(action)),
                    ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS,
                );
            }
        }
    }
}
