//! What an ordering implies: the flags of one action change those of another, until nothing changes.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{Str, notify_key, op_key, parse_op_key};

/// What an update changed.
mod changed {
    pub const FIRST: u32 = 1;
    pub const THEN: u32 = 2;
}

/// One ordering, in the course of an update.
#[derive(Clone, Copy)]
struct Update {
    first: ActIx,
    then: ActIx,
    node: Option<NodeIx>,
    flags: u32,
    filter: u32,
    kind: u32,
}

impl Cluster {
    fn flags_for_ordering(&mut self, action: ActIx, node: Option<NodeIx>) -> u32 {
        let Some(rsc) = self.actions[action].rsc else { return self.actions[action].flags };
        let flags = self.action_flags(action, None);
        if node.is_none() || !self.is_clone(rsc) {
            return flags;
        }
        self.action_flags(action, node) | (flags & af::RUNNABLE)
    }

    /// For a collective's action, the one that says that it is done everywhere.
    fn action_for_ordering(&self, action: ActIx) -> ActIx {
        let a = &self.actions[action];
        let Some(rsc) = a.rsc.filter(|r| self.rscs[*r].variant >= Variant::Group) else { return action };
        let key = self.key_for_ordering(&a.key, rsc);
        self.first_action_by_key(rsc, &key, None).unwrap_or(action)
    }

    fn key_for_ordering(&self, key: &Str, rsc: RscIx) -> Str {
        if key.contains("notify") {
            return key.clone();
        }
        let Some((id, task, 0)) = parse_op_key(key) else { return key.clone() };
        let done = match task {
            "stop" => "stopped",
            "start" => "running",
            "promote" => "promoted",
            "demote" => "demoted",
            "stopped" | "running" | "promoted" | "demoted" => task,
            _ => return key.clone(),
        };
        if self.rscs[rsc].is(rf::NOTIFY) && (self.is_clone(rsc) || self.is_bundled(rsc)) {
            notify_key(id, "confirmed-post", done)
        } else {
            op_key(id, done, 0)
        }
    }

    /// Applies all orderings before an action, and goes on with whatever that changes.
    pub(crate) fn update_action(&mut self, then: ActIx) {
        let last_flags = self.actions[then].flags;
        let wants_some = self.actions[then].required_runnable_before > 0;
        if wants_some {
            self.actions[then].op_mut().runnable_before = 0;
            self.actions[then].flags &= !af::RUNNABLE;
        }
        let mut result = 0;
        for at in (0..self.actions[then].before.len()).rev() {
            self.update_from(then, at, &mut result);
        }
        if wants_some {
            if self.actions[then].flags == last_flags {
                result &= !changed::THEN;
            } else {
                result |= changed::THEN;
            }
        }
        if result & changed::THEN != 0 {
            if last_flags & af::RUNNABLE != 0 && !self.actions[then].is(af::RUNNABLE) {
                self.block_colocation_dependents(then);
            }
            self.update_action(then);
            for at in (0..self.actions[then].after.len()).rev() {
                if let Some(after) = self.actions[then].after.get(at).copied() {
                    self.update_action(after.action);
                }
            }
        }
    }

    fn set_input_flags(&mut self, then: ActIx, at: usize, flags: u32) {
        if let Some(input) = self.actions[then].before.get_mut(at) {
            input.flags = flags;
        }
    }

    fn group_start_node(&self, action: ActIx) -> Option<NodeIx> {
        let a = &self.actions[action];
        match a.rsc {
            Some(rsc) if self.is_group(Some(rsc)) && a.task == "start" => self.place(rsc, at::ASSIGNED),
            _ => a.node,
        }
    }

    fn update_from(&mut self, then: ActIx, at: usize, result: &mut u32) {
        let Some(input) = self.actions[then].before.get(at).copied() else { return };
        let mut first = input.action;
        let (first_node, then_node) = (self.group_start_node(first), self.group_start_node(then));
        if input.flags & ar::IF_ON_SAME_NODE != 0
            && first_node.is_some()
            && then_node.is_some()
            && first_node != then_node
        {
            self.set_input_flags(then, at, ar::NONE);
            return;
        }
        *result &= !changed::FIRST;
        let (first_rsc, then_rsc) = (self.actions[first].rsc, self.actions[then].rsc);
        if first_rsc.is_some()
            && input.flags & ar::THEN_CANCELS_FIRST != 0
            && !self.actions[then].is(af::OPTIONAL)
        {
            self.actions[first].flags |= af::OPTIONAL;
            if let Some(rsc) = first_rsc.filter(|_| self.actions[first].task == "reload-agent") {
                self.rscs[rsc].flags &= !rf::RELOAD;
            }
        }
        if let (Some(a), Some(b)) = (first_rsc, then_rsc)
            && a != b
            && !self.is_parent(b, a)
        {
            first = self.action_for_ordering(first);
        }
        if first == input.action {
            let first_flags = self.flags_for_ordering(first, then_node);
            let then_flags = self.flags_for_ordering(then, first_node);
            *result |= self.update_for(then, at, first, first_flags, then_flags);
        } else if self.order_actions(first, then, input.flags) {
            *result |= changed::THEN;
            self.set_input_flags(then, at, ar::NONE);
        }
        if *result & changed::FIRST != 0 {
            for at in (0..self.actions[first].after.len()).rev() {
                if let Some(after) = self.actions[first].after.get(at).copied() {
                    self.update_action(after.action);
                }
            }
            self.update_action(first);
        }
    }

    fn clear_if(&mut self, action: ActIx, flag: u32, condition: bool, what: u32) -> u32 {
        if condition && self.actions[action].is(flag) {
            self.actions[action].flags &= !flag;
            return what;
        }
        0
    }

    fn update_for(&mut self, then: ActIx, at: usize, first: ActIx, first_flags: u32, then_flags: u32) -> u32 {
        let Some(input) = self.actions[then].before.get(at).copied() else { return 0 };
        let mut kind = input.flags;
        let mut node = self.actions[then].node;
        let mut result = 0;
        let (first_rsc, then_rsc) = (self.actions[first].rsc, self.actions[then].rsc);
        if kind & ar::FIRST_IMPLIES_SAME_NODE_THEN != 0 {
            kind = (kind & !ar::FIRST_IMPLIES_SAME_NODE_THEN) | ar::FIRST_IMPLIES_THEN;
            self.set_input_flags(then, at, kind);
            node = self.actions[first].node;
        }
        let optional = first_flags & af::OPTIONAL;
        let up = |flags: u32, filter: u32, kind: u32| Update { first, then, node, flags, filter, kind };
        if kind & ar::FIRST_IMPLIES_THEN != 0 {
            result |= match then_rsc {
                Some(rsc) => self.dispatch(rsc, up(optional, af::OPTIONAL, ar::FIRST_IMPLIES_THEN)),
                None => self.clear_if(then, af::OPTIONAL, optional == 0, changed::THEN),
            };
        }
        if let Some(rsc) = then_rsc.filter(|_| kind & ar::INTERMEDIATE_STOP != 0) {
            let filter = af::OPTIONAL | af::RUNNABLE;
            result |= self.dispatch(rsc, up(first_flags, filter, ar::INTERMEDIATE_STOP));
        }
        if kind & ar::THEN_IMPLIES_FIRST != 0 {
            result |= match first_rsc {
                Some(rsc) => self.dispatch(rsc, up(first_flags, af::OPTIONAL, ar::THEN_IMPLIES_FIRST)),
                None => self.clear_if(first, af::RUNNABLE, optional == 0, changed::FIRST),
            };
        }
        if let Some(rsc) = then_rsc.filter(|_| kind & ar::PROMOTED_THEN_IMPLIES_FIRST != 0) {
            result |= self.dispatch(rsc, up(optional, af::OPTIONAL, ar::PROMOTED_THEN_IMPLIES_FIRST));
        }
        if kind & ar::MIN_RUNNABLE != 0 {
            result |=
                self.update_min_runnable(then, first_flags, up(first_flags, af::RUNNABLE, ar::MIN_RUNNABLE));
        }
        if let Some(rsc) = then_rsc.filter(|_| kind & ar::NESTED_REMOTE_PROBE != 0) {
            let active = first_rsc.is_some_and(|r| !self.rscs[r].active_nodes.is_empty());
            if first_flags & af::RUNNABLE == 0 && active {
                kind = ar::NONE;
                self.set_input_flags(then, at, kind);
            } else {
                result |= self.dispatch(rsc, up(first_flags, af::RUNNABLE, ar::UNRUNNABLE_FIRST_BLOCKS));
            }
        }
        if kind & ar::UNRUNNABLE_FIRST_BLOCKS != 0 {
            result |= match then_rsc {
                Some(rsc) => self.dispatch(rsc, up(first_flags, af::RUNNABLE, ar::UNRUNNABLE_FIRST_BLOCKS)),
                None => self.clear_if(then, af::RUNNABLE, first_flags & af::RUNNABLE == 0, changed::THEN),
            };
        }
        if let Some(rsc) = then_rsc {
            for (flag, filter) in [
                (ar::UNMIGRATABLE_THEN_BLOCKS, af::OPTIONAL),
                (ar::FIRST_ELSE_THEN, af::OPTIONAL),
                (ar::ORDERED, af::RUNNABLE),
                (ar::ASYMMETRIC, af::RUNNABLE),
            ] {
                if kind & flag != 0 {
                    result |= self.dispatch(rsc, up(first_flags, filter, flag));
                }
            }
        }
        self.update_graphed(first, then, kind, first_flags, then_flags);
        result | self.update_blocked_stop(first, then, kind)
    }

    fn update_min_runnable(&mut self, then: ActIx, first_flags: u32, update: Update) -> u32 {
        if let Some(rsc) = self.actions[then].rsc {
            return self.dispatch(rsc, update);
        }
        if first_flags & af::RUNNABLE == 0 {
            return 0;
        }
        let a = &mut self.actions[then];
        a.op_mut().runnable_before += 1;
        if a.runnable_before >= a.required_runnable_before && !a.is(af::RUNNABLE) {
            a.flags |= af::RUNNABLE;
            return changed::THEN;
        }
        0
    }

    fn update_graphed(&mut self, first: ActIx, then: ActIx, kind: u32, first_flags: u32, then_flags: u32) {
        if self.actions[first].is(af::RUNNABLE)
            && kind & ar::FIRST_IMPLIES_THEN_GRAPHED != 0
            && first_flags & af::OPTIONAL == 0
        {
            self.actions[then].flags |= af::ALWAYS_IN_GRAPH;
        }
        if kind & ar::THEN_IMPLIES_FIRST_GRAPHED != 0 && then_flags & af::OPTIONAL == 0 {
            self.actions[first].flags |= af::ALWAYS_IN_GRAPH;
        }
    }

    /// A blocked resource that cannot be stopped blocks what depends on its stop.
    fn update_blocked_stop(&mut self, first: ActIx, then: ActIx, kind: u32) -> u32 {
        const IMPLYING: u32 = ar::FIRST_IMPLIES_THEN | ar::THEN_IMPLIES_FIRST | ar::INTERMEDIATE_STOP;
        let a = &self.actions[first];
        let blocked = kind & IMPLYING != 0
            && a.rsc.is_some_and(|r| !self.rscs[r].is(rf::MANAGED) && self.rscs[r].is(rf::BLOCKED))
            && !a.is(af::RUNNABLE)
            && a.task == "stop";
        self.clear_if(then, af::RUNNABLE, blocked, changed::THEN)
    }

    fn dispatch(&mut self, rsc: RscIx, update: Update) -> u32 {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.update_one(update),
            Variant::Group => self.update_group(update),
            Variant::Clone | Variant::Bundle => self.update_instances(update),
        }
    }

    fn clear_because(&mut self, action: ActIx, flag: u32, reason: ActIx) {
        if !self.actions[action].is(flag) {
            return;
        }
        self.actions[action].flags &= !flag;
        let because = &self.actions[reason];
        if self.actions[action].rsc == because.rsc {
            return;
        }
        let change = match flag {
            af::RUNNABLE => "unrunnable",
            af::MIGRATABLE => "unmigrateable",
            _ => "required",
        };
        if self.actions[action].reason().is_some() {
            return;
        }
        let text = match because.rsc {
            Some(rsc) => format!("{change} {} {}", self.rscs[rsc].id, because.task),
            None => format!("{change} {}", because.task),
        };
        self.set_reason(action, text, false);
    }

    fn update_one(&mut self, u: Update) -> u32 {
        let (first, then) = (u.first, u.then);
        let (first_before, then_before) = (self.actions[first].flags, self.actions[then].flags);
        let is = |flags: u32, flag: u32| flags & flag != 0;
        let kind = u.kind;
        if is(kind, ar::ASYMMETRIC) {
            self.update_asymmetric(first, then);
        }
        if is(kind, ar::THEN_IMPLIES_FIRST) && !is(then_before, af::OPTIONAL) {
            if is(u.filter, af::OPTIONAL) && !is(u.flags, af::OPTIONAL) && is(first_before, af::OPTIONAL) {
                self.clear_because(first, af::OPTIONAL, then);
            }
            if is(u.flags, af::MIGRATABLE) && !self.actions[then].is(af::MIGRATABLE) {
                self.clear_because(first, af::MIGRATABLE, then);
            }
        }
        let was_promoted = self.actions[then].rsc.is_some_and(|r| self.rscs[r].role == Role::Promoted);
        if is(kind, ar::PROMOTED_THEN_IMPLIES_FIRST)
            && was_promoted
            && is(u.filter, af::OPTIONAL)
            && !self.actions[then].is(af::OPTIONAL)
        {
            self.clear_because(first, af::OPTIONAL, then);
            if self.actions[first].is(af::MIGRATABLE) && !self.actions[then].is(af::MIGRATABLE) {
                self.clear_because(first, af::MIGRATABLE, then);
            }
        }
        if is(kind, ar::UNMIGRATABLE_THEN_BLOCKS) && is(u.filter, af::OPTIONAL) {
            if !self.actions[then].is(af::MIGRATABLE | af::RUNNABLE) {
                self.clear_because(first, af::RUNNABLE, then);
            }
            if !self.actions[then].is(af::OPTIONAL) {
                self.clear_because(first, af::OPTIONAL, then);
            }
        }
        if is(kind, ar::FIRST_ELSE_THEN)
            && is(u.filter, af::OPTIONAL)
            && !self.actions[first].is(af::RUNNABLE)
        {
            self.clear_because(then, af::MIGRATABLE, first);
            self.actions[then].flags &= !af::PSEUDO;
        }
        if is(kind, ar::UNRUNNABLE_FIRST_BLOCKS)
            && is(u.filter, af::RUNNABLE)
            && self.actions[then].is(af::RUNNABLE)
            && !is(u.flags, af::RUNNABLE)
        {
            self.clear_because(then, af::RUNNABLE, first);
            self.clear_because(then, af::MIGRATABLE, first);
        }
        if is(kind, ar::FIRST_IMPLIES_THEN)
            && is(u.filter, af::OPTIONAL)
            && self.actions[then].is(af::OPTIONAL)
            && !is(u.flags, af::OPTIONAL)
            && !self.actions[first].is(af::MIGRATABLE)
        {
            self.clear_because(then, af::OPTIONAL, first);
        }
        if is(kind, ar::INTERMEDIATE_STOP) {
            self.update_restart(first, then, u.filter);
        }
        let mut result = 0;
        if self.actions[then].flags != then_before {
            result |= changed::THEN;
            if self.actions[then].rsc.is_some_and(|r| self.rscs[r].parent.is_some()) {
                self.update_action(then);
            }
        }
        if self.actions[first].flags != first_before {
            result |= changed::FIRST;
        }
        result
    }

    fn update_asymmetric(&mut self, first: ActIx, then: ActIx) {
        let Some(rsc) = self.actions[then].rsc.filter(|_| !self.actions[first].is(af::RUNNABLE)) else {
            return;
        };
        let a = &self.actions[then];
        if a.is(af::OPTIONAL) {
            let role = self.role_of(rsc, true);
            if role == Role::Stopped && a.task == "stop" {
                return;
            }
            let only_here = matches!(self.rscs[rsc].active_nodes.as_slice(), [one] if Some(*one) == a.node);
            if role >= Role::Started && a.task == "start" && only_here {
                return;
            }
        }
        self.clear_because(then, af::OPTIONAL, first);
        self.clear_because(then, af::RUNNABLE, first);
    }

    fn update_restart(&mut self, first: ActIx, then: ActIx, filter: u32) {
        let t = &self.actions[then];
        let restart = filter & af::OPTIONAL != 0 && !t.is(af::OPTIONAL);
        let stop = filter & af::RUNNABLE != 0
            && !t.is(af::RUNNABLE)
            && t.rsc.is_some_and(|r| self.rscs[r].is(rf::MANAGED))
            && self.actions[first].rsc == t.rsc;
        if !restart && !stop {
            return;
        }
        if self.actions[first].is(af::RUNNABLE) || !self.actions[then].is(af::OPTIONAL) {
            self.clear_because(first, af::OPTIONAL, then);
        }
        if !self.actions[then].is(af::MIGRATABLE) {
            self.clear_because(first, af::MIGRATABLE, then);
        }
        if !self.actions[first].any(af::OPTIONAL | af::RUNNABLE) {
            self.clear_because(then, af::RUNNABLE, first);
        }
    }

    fn update_group(&mut self, u: Update) -> u32 {
        let mut result = self.update_one(u);
        let Some(group) = self.actions[u.then].rsc else { return result };
        let task = self.actions[u.then].task.clone();
        for member in self.rscs[group].children.clone() {
            if let Some(own) = self.first_action(member, &task, u.node) {
                result |= self.dispatch(member, Update { then: own, ..u });
            }
        }
        result
    }

    fn update_instances(&mut self, u: Update) -> u32 {
        let Some(rsc) = self.actions[u.then].rsc else { return 0 };
        if self.can_interleave_actions(u.first, u.then) {
            return self.update_interleaved(u, rsc);
        }
        let mut result = self.update_one(u);
        let task = self.actions[u.then].task.clone();
        for instance in self.instances(rsc) {
            let Some(own) = self.first_action(instance, &task, u.node) else { continue };
            if self.action_flags(own, u.node) & af::RUNNABLE == 0 {
                continue;
            }
            let one = self.dispatch(instance, Update { then: own, ..u });
            result |= one;
            if one & changed::THEN != 0 {
                for at in (0..self.actions[own].after.len()).rev() {
                    if let Some(after) = self.actions[own].after.get(at).copied() {
                        self.update_action(after.action);
                    }
                }
            }
        }
        result
    }

    fn can_interleave_actions(&self, first: ActIx, then: ActIx) -> bool {
        let (Some(a), Some(b)) = (self.actions[first].rsc, self.actions[then].rsc) else { return false };
        if a == b || self.rscs[a].variant < Variant::Clone || self.rscs[b].variant < Variant::Clone {
            return false;
        }
        let key = &self.actions[then].key;
        let down = key.ends_with("_stop_0") || key.ends_with("_demote_0");
        self.meta_true(if down { a } else { b }, "interleave")
    }

    fn update_interleaved(&mut self, u: Update, then_rsc: RscIx) -> u32 {
        let Some(first_rsc) = self.actions[u.first].rsc else { return 0 };
        let first_task = self.instance_task(u.first);
        let then_task = self.actions[u.then].task.clone();
        let key = &self.actions[u.first].key;
        let current = key.ends_with("_stopped_0") || key.ends_with("_demoted_0");
        let mut result = 0;
        for then_instance in self.instances(then_rsc) {
            let found = self.compatible_instance(then_instance, first_rsc, Role::Unknown, current, None);
            let Some(first_instance) = found else {
                let mandatory = u.kind & (ar::UNRUNNABLE_FIRST_BLOCKS | ar::FIRST_IMPLIES_THEN) != 0;
                if !current && mandatory && self.assign_to(then_instance, None, true, true) {
                    result |= changed::THEN;
                }
                continue;
            };
            let Some(first) = self.instance_action(u.first, first_instance, &first_task, u.node, true) else {
                continue;
            };
            let Some(then) = self.instance_action(u.then, then_instance, &then_task, u.node, false) else {
                continue;
            };
            if self.order_actions(first, then, u.kind) {
                result |= changed::FIRST | changed::THEN;
            }
            let flags = self.action_flags(first, u.node);
            result |= self.dispatch(then_instance, Update { first, then, flags, ..u });
        }
        result
    }

    fn instance_action(
        &self,
        action: ActIx,
        instance: RscIx,
        task: &str,
        node: Option<NodeIx>,
        for_first: bool,
    ) -> Option<ActIx> {
        let of = &*self.actions[action].task;
        let inner = if for_first {
            !matches!(of, "stop" | "stopped")
        } else {
            matches!(of, "promote" | "promoted" | "demote" | "demoted")
        };
        match self.rsc_in_container(instance).filter(|_| inner) {
            Some(rsc) => self.first_action(rsc, task, None),
            None => self.first_action(instance, task, node),
        }
    }

    /// What cannot start or be promoted keeps those that must be with it from doing so.
    pub(crate) fn block_colocation_dependents(&mut self, action: ActIx) {
        let a = &self.actions[action];
        let is_start = a.task == "start";
        let Some(own) = a.rsc.filter(|_| !a.is(af::RUNNABLE) && (is_start || a.task == "promote")) else {
            return;
        };
        let task = a.task.clone();
        let mut rsc = self.uber_parent(own);
        if let Some(parent) = self.rscs[rsc].parent {
            rsc = parent;
        }
        for child in &self.rscs[rsc].children {
            match self.first_action(*child, &task, None) {
                Some(action) if !self.actions[action].is(af::RUNNABLE) => {}
                _ => return,
            }
        }
        for colocation in self.with_this_colocations(rsc) {
            let c = &self.colocations[colocation];
            if c.score < base::INFINITY || (!is_start && c.primary_role != Role::Promoted) {
                continue;
            }
            let task = if c.dependent_role == Role::Promoted { "promote" } else { "start" };
            let dependent = c.dependent;
            self.mark_blocked(dependent, task, own);
        }
    }

    fn mark_blocked(&mut self, rsc: RscIx, task: &str, reason: RscIx) {
        let text = format!("colocation with {}", self.rscs[reason].id);
        for action in self.rscs[rsc].actions.clone().into_iter().rev() {
            if self.actions[action].is(af::RUNNABLE) && &*self.actions[action].task == task {
                self.actions[action].flags &= !af::RUNNABLE;
                self.set_reason(action, text.as_str(), false);
                self.block_colocation_dependents(action);
                self.update_action(action);
            }
        }
        for child in self.rscs[rsc].children.clone() {
            self.mark_blocked(child, task, reason);
        }
    }
}
