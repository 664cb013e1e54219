//! From orderings of operations to orderings of actions.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{op_key, parse_op_key};

impl Cluster {
    pub(crate) fn apply_orderings(&mut self) {
        // Orderings that come up meanwhile are not for this pass.
        let orderings = std::mem::take(&mut self.orderings);
        for ordering in &orderings {
            self.apply_ordering(ordering);
        }
        let new = std::mem::replace(&mut self.orderings, orderings);
        self.orderings.extend(new);
        for action in self.actions.indices().rev() {
            self.block_colocation_dependents(action);
        }
        self.order_probes();
        for action in self.actions.indices().rev() {
            self.update_action(action);
        }
        self.disable_invalid_orderings();
    }

    fn apply_ordering(&mut self, ordering: &Ordering) {
        let order = match ordering {
            Ordering::Ends(order) => order,
            Ordering::Probes { first, end, flags } => {
                for probe in usize::from(*first)..usize::from(*end) {
                    self.order_probe(probe.into(), *flags);
                }
                return;
            }
        };
        if let Some(rsc) = order.first_rsc {
            self.order_first(rsc, order);
        } else if let Some(rsc) = order.then_rsc {
            self.order_after(order.first, rsc, order);
        } else if let (Some(first), Some(then)) = (order.first, order.then) {
            self.order_actions(first, then, order.flags);
        }
    }

    /// Orders a probe before the starts of what it is about, and before its reload.
    fn order_probe(&mut self, probe: ActIx, flags: u32) {
        let Some(rsc) = self.actions[probe].rsc else { return };
        let top = Some(self.uber_parent(rsc)).filter(|top| self.is_clone(*top)).unwrap_or(rsc);
        for (rsc, task, flags) in [(top, "_start_0", flags), (rsc, "_reload-agent_0", ar::ORDERED)] {
            for at in 0..self.rscs[rsc].action_index.others.len() {
                let r = &self.rscs[rsc];
                let Some(then) = r.action_index.others.get(at).copied() else { continue };
                if self.actions[then].key.strip_prefix(&*r.id) == Some(task) {
                    self.order_actions(probe, then, flags);
                }
            }
        }
    }

    /// Actions for an operation's name, also if the name was made for another instance.
    fn actions_for_key(&mut self, rsc: RscIx, key: &str) -> Vec<ActIx> {
        let found = self.find_actions(rsc, key, None);
        if !found.is_empty() {
            return found;
        }
        let Some((_, task, interval)) = parse_op_key(key) else { return Vec::new() };
        let own = op_key(&self.rscs[rsc].id, task, interval);
        if *own == *key { Vec::new() } else { self.find_actions(rsc, &own, None) }
    }

    fn order_first(&mut self, first_rsc: RscIx, order: &Ends) {
        let mut first_actions = match (order.first, &order.first_task) {
            (Some(first), _) => vec![first],
            (None, Some(task)) => self.actions_for_key(first_rsc, task),
            (None, None) => Vec::new(),
        };
        if first_actions.is_empty()
            && Some(first_rsc) != order.then_rsc
            && let Some((_, task, interval)) = order.first_task.as_deref().and_then(parse_op_key)
        {
            let role = self.role_of(first_rsc, true);
            let done =
                (role == Role::Stopped && task == "stop") || (role == Role::Unpromoted && task == "demote");
            if !done {
                let key = op_key(&self.rscs[first_rsc].id, task, interval);
                first_actions.push(self.custom_action(Some(first_rsc), key, task.into(), None, true));
            }
        }
        let then_rsc = match (order.then_rsc, order.then) {
            (Some(rsc), _) => Some(rsc),
            (None, Some(then)) => self.actions[then].rsc,
            (None, None) => return,
        };
        for first in first_actions {
            match (then_rsc, order.then) {
                (Some(rsc), _) => self.order_after(Some(first), rsc, order),
                (None, Some(then)) => {
                    self.order_actions(first, then, order.flags);
                }
                (None, None) => {}
            }
        }
    }

    fn order_after(&mut self, first: Option<ActIx>, rsc: RscIx, order: &Ends) {
        let thens = match (order.then, &order.then_task) {
            (Some(then), _) => vec![then],
            (None, Some(task)) => self.actions_for_key(rsc, task),
            (None, None) => Vec::new(),
        };
        let mut flags = order.flags;
        if let Some(first) = first
            && self.actions[first].rsc == Some(rsc)
            && self.actions[first].is(af::MIGRATION_ABORT)
        {
            flags &= !ar::FIRST_IMPLIES_THEN;
        }
        for then in thens {
            match first {
                Some(first) => {
                    self.order_actions(first, then, flags);
                }
                None if flags & ar::FIRST_IMPLIES_THEN != 0 => self.actions[then].flags &= !af::RUNNABLE,
                None => return,
            }
        }
    }

    fn disable_invalid_orderings(&mut self) {
        for action in self.actions.indices().rev() {
            for at in (0..self.actions[action].before.len()).rev() {
                let Some(input) = self.actions[action].before.get(at).copied() else { continue };
                let guest = input.flags & ar::GUEST_ALLOWED == 0
                    && self.actions[input.action].rsc.is_some()
                    && self.runs_guest(self.actions[action].rsc, self.actions[input.action].node);
                let looped = input.flags == ar::IF_ON_SAME_NODE_OR_TARGET
                    && self.actions[action].rsc.is_some()
                    && self.actions[action].task == "migrate_to"
                    && self.graph_has_loop(action, at);
                if (guest || looped)
                    && let Some(input) = self.actions[action].before.get_mut(at)
                {
                    input.flags = ar::NONE;
                }
            }
        }
    }

    /// Orders what must not happen after a node's shutdown before it.
    pub(crate) fn shutdown_action(&mut self, node: NodeIx) -> ActIx {
        let key = format!("do_shutdown-{}", self.nodes[node].name);
        let task = crate::text::Str::lit("do_shutdown");
        let shutdown = self.custom_action(None, key.into(), task, Some(node), false);
        for action in self.actions.indices().rev() {
            let a = &self.actions[action];
            let Some(rsc) = a.rsc.filter(|_| a.node == Some(node) && a.task == "stop") else { continue };
            let r = &self.rscs[rsc];
            if r.is(rf::MAINTENANCE) || self.nodes[node].maintenance || !r.any(rf::MANAGED | rf::BLOCKED) {
                continue;
            }
            self.actions[action].flags &= !af::OPTIONAL;
            self.new_ordering(
                (Some(rsc), None, Some(action)),
                (None, None, Some(shutdown)),
                ar::ORDERED | ar::UNRUNNABLE_FIRST_BLOCKS,
            );
        }
        self.actions[shutdown]
            .op_mut()
            .meta
            .set(crate::text::Str::lit("op_no_wait"), crate::text::Str::lit("true"));
        shutdown
    }
}
