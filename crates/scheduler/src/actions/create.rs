//! Creation and look-up of actions.

use crate::cluster::{Cluster, NoQuorum};
use crate::model::*;
use crate::rules::{RuleInput, unpack_table};
use crate::text::{Str, Table, op_key, parse_op_key};
use std::sync::Arc;

/// Up to so many orderings of an action are looked through; more are indexed.
const FEW_ORDERINGS: usize = 8;

/// Whether a key is that of a resource's probes.
fn is_probe_key(rsc: &str, key: &str) -> bool {
    key.strip_prefix(rsc) == Some("_monitor_0")
}

impl Cluster {
    /// The action of this name (on this node), new if there is none yet.
    pub(crate) fn custom_action(
        &mut self,
        rsc: Option<RscIx>,
        key: Str,
        task: Str,
        node: Option<NodeIx>,
        optional: bool,
    ) -> ActIx {
        let action = match self.existing_action(rsc, &key, node) {
            Some(action) => action,
            None => self.new_action(rsc, key, task, node, optional),
        };
        self.update_optional(action, optional);
        if let Some(rsc) = rsc {
            self.evaluate_attributes(action);
            self.update_runnable(action, rsc);
        }
        action
    }

    /// Instance attributes of the operation itself; rules may make them depend on the node.
    fn evaluate_attributes(&mut self, action: ActIx) {
        let a = &self.actions[action];
        let (Some(node), Some(config), false) = (a.node, a.config, a.is(af::ATTRS_EVALUATED)) else { return };
        let doc = self.doc.clone();
        let (mut extra, mut next) = (Table::default(), None);
        if doc.first_child(config).is_some() {
            let input = RuleInput { node_attrs: Some(&self.nodes[node].attrs), ..self.rule_input() };
            unpack_table(&doc, Some(config), "instance_attributes", &input, &mut next, &mut extra);
        }
        self.recheck_time(next);
        let a = &mut self.actions[action];
        if !extra.is_empty() || !a.extra.is_empty() {
            a.op_mut().extra = extra;
        }
        a.flags |= af::ATTRS_EVALUATED;
    }

    fn existing_action(&mut self, rsc: Option<RscIx>, key: &str, node: Option<NodeIx>) -> Option<ActIx> {
        match rsc {
            Some(rsc) => self.find_actions(rsc, key, node).first().copied(),
            None => {
                let found = self.singletons.get(key).copied()?;
                match (node, self.actions[found].node) {
                    (Some(node), None) => {
                        self.actions[found].node = Some(node);
                        Some(found)
                    }
                    (Some(a), Some(b)) if a != b => None,
                    _ => Some(found),
                }
            }
        }
    }

    /// Actions of a resource with this name, oldest first; without a node, those of any node.
    /// An action that has no node yet gets this one.
    pub(crate) fn find_actions(&mut self, rsc: RscIx, key: &str, node: Option<NodeIx>) -> Vec<ActIx> {
        let mut found = Vec::new();
        let probe = is_probe_key(&self.rscs[rsc].id, key);
        if probe && !self.may_have_probe(rsc, node) {
            return found;
        }
        let r = &self.rscs[rsc];
        let mut adopted = false;
        for ix in if probe { &r.actions } else { &r.action_index.others } {
            let action = &mut self.actions[*ix];
            if &*action.key != key {
                continue;
            }
            match (node, action.node) {
                (None, _) => found.push(*ix),
                (Some(node), None) => {
                    action.node = Some(node);
                    adopted = true;
                    found.push(*ix);
                }
                (Some(node), Some(other)) if node == other => found.push(*ix),
                _ => {}
            }
        }
        if probe && adopted {
            self.rscs[rsc].action_index.set_probe(node);
        }
        found
    }

    fn may_have_probe(&self, rsc: RscIx, node: Option<NodeIx>) -> bool {
        let index = &self.rscs[rsc].action_index;
        index.loose_probe || node.is_none_or(|n| index.has_probe(n))
    }

    /// As [`Cluster::find_actions`], but only actions that are on this node already.
    pub(crate) fn find_actions_exact(&self, rsc: RscIx, key: &str, node: Option<NodeIx>) -> Vec<ActIx> {
        let Some(node) = node else { return Vec::new() };
        let fits = |ix: &ActIx| self.actions[*ix].node == Some(node) && &*self.actions[*ix].key == key;
        self.keyed(rsc, key).iter().copied().filter(fits).collect()
    }

    /// The actions of a resource among which those with a key are.
    fn keyed(&self, rsc: RscIx, key: &str) -> &[ActIx] {
        let r = &self.rscs[rsc];
        if is_probe_key(&r.id, key) { &r.actions } else { &r.action_index.others }
    }

    /// A resource's actions for a task (without interval).
    pub(crate) fn rsc_actions(
        &mut self,
        rsc: RscIx,
        node: Option<NodeIx>,
        task: &str,
        exact: bool,
    ) -> Vec<ActIx> {
        let key = op_key(&self.rscs[rsc].id, task, 0);
        if exact { self.find_actions_exact(rsc, &key, node) } else { self.find_actions(rsc, &key, node) }
    }

    /// The newest action of a resource with this task.
    pub(crate) fn first_action(&self, rsc: RscIx, task: &str, node: Option<NodeIx>) -> Option<ActIx> {
        let r = &self.rscs[rsc];
        let list = if task == "monitor" { &r.actions } else { &r.action_index.others };
        list.iter().rev().copied().find(|ix| {
            let a = &self.actions[*ix];
            &*a.task == task && (node.is_none() || a.node == node)
        })
    }

    /// The newest action of a resource with this key.
    pub(crate) fn first_action_by_key(&self, rsc: RscIx, key: &str, node: Option<NodeIx>) -> Option<ActIx> {
        self.keyed(rsc, key).iter().rev().copied().find(|ix| {
            let a = &self.actions[*ix];
            &*a.key == key && (node.is_none() || a.node == node)
        })
    }

    fn new_action(
        &mut self,
        rsc: Option<RscIx>,
        key: Str,
        task: Str,
        node: Option<NodeIx>,
        optional: bool,
    ) -> ActIx {
        let mut flags = af::RUNNABLE;
        if task == "lrm_delete" {
            flags |= af::ON_DC;
        }
        if optional {
            flags |= af::OPTIONAL;
        }
        let op = match rsc {
            Some(rsc) => self.operation(rsc, &key, &task, node),
            None => Arc::new(Operation { task, key: key.clone(), ..Operation::default() }),
        };
        let (probe, stop) = (op.probe, op.task == "stop");
        let ix = self.actions.push(Action::new(rsc, node, op, flags));
        match rsc {
            Some(rsc) => {
                let r = &mut self.rscs[rsc];
                r.actions.push(ix);
                if probe {
                    r.action_index.set_probe(node);
                } else {
                    r.action_index.others.push(ix);
                    r.action_index.any_stop |= stop;
                }
            }
            None => {
                self.singletons.insert(key, ix);
            }
        }
        ix
    }

    /// The operation of this name, new if no action has had it yet.
    fn operation(&mut self, rsc: RscIx, key: &Str, task: &Str, node: Option<NodeIx>) -> Arc<Operation> {
        let known = &self.rscs[rsc].action_index.operations;
        if let Some(op) = known.iter().find(|op| op.key == *key && op.task == *task) {
            return op.clone();
        }
        let interval = parse_op_key(key).map_or(0, |(_, _, interval)| interval);
        let mut config = self.op_config(rsc, task, interval, true).map(|op| op.xml);
        if config.is_none() && key.contains("_notify_") {
            config = self.op_config(rsc, "notify", 0, true).map(|op| op.xml);
        }
        let meta = (*self.action_meta(rsc, node, task, interval, config)).clone();
        let r = &self.rscs[rsc];
        let op = Arc::new(Operation {
            task: task.clone(),
            key: key.clone(),
            config,
            needs: self.action_needs(rsc, task),
            meta,
            probe: *task == "monitor" && is_probe_key(&r.id, key),
            ..Operation::default()
        });
        // The parameters of a fence device, and with them its time-outs, may depend on the node.
        if !r.is(rf::FENCE_DEVICE) || r.params_static {
            self.rscs[rsc].action_index.operations.push(op.clone());
        }
        op
    }

    fn action_needs(&self, rsc: RscIx, task: &str) -> Needs {
        let r = &self.rscs[rsc];
        if task != "start" && task != "promote" {
            Needs::Nothing
        } else if r.is(rf::NEEDS_FENCING) {
            Needs::Fencing
        } else if r.is(rf::NEEDS_QUORUM) {
            Needs::Quorum
        } else {
            Needs::Nothing
        }
    }

    fn update_optional(&mut self, action: ActIx, optional: bool) {
        let a = &self.actions[action];
        let unmanaged = a.rsc.is_some_and(|r| !self.rscs[r].is(rf::MANAGED));
        if a.node.is_some() && !a.is(af::PSEUDO) && unmanaged && !a.meta.contains("interval") {
            self.actions[action].flags |= af::OPTIONAL;
        } else if !optional {
            self.actions[action].flags &= !af::OPTIONAL;
        }
    }

    fn effective_quorum_policy(&mut self, rsc: RscIx) -> NoQuorum {
        if self.config.quorate {
            return NoQuorum::Ignore;
        }
        if self.config.no_quorum != NoQuorum::Demote {
            return self.config.no_quorum;
        }
        match self.rscs[rsc].role {
            Role::Promoted | Role::Unpromoted => {
                if self.rscs[rsc].next_role > Role::Unpromoted {
                    self.set_next_role(rsc, Role::Unpromoted);
                }
                NoQuorum::Ignore
            }
            _ => NoQuorum::Stop,
        }
    }

    fn update_runnable(&mut self, action: ActIx, rsc: RscIx) {
        let a = &self.actions[action];
        if a.is(af::PSEUDO) {
            return;
        }
        let Some(node) = a.node else {
            self.actions[action].flags &= !af::RUNNABLE;
            return;
        };
        let on_dc = a.is(af::ON_DC);
        let n = &self.nodes[node];
        if !on_dc && !n.online && (!self.is_guest(node) || n.is(nf::REMOTE_RESET)) {
            let fence = self.rscs[rsc].is(rf::MANAGED) && a.task == "stop" && !n.unclean;
            self.actions[action].flags &= !af::RUNNABLE;
            if fence {
                self.fence_node(node, "stop is unrunnable", false);
            }
        } else if !on_dc && n.pending {
            self.actions[action].flags &= !af::RUNNABLE;
        } else if a.needs == Needs::Nothing {
            self.actions[action].set_reason(None);
            if self.is_guest(node) && !self.can_fence(Some(node)) {
                self.actions[action].flags &= !af::RUNNABLE;
            } else {
                self.actions[action].flags |= af::RUNNABLE;
            }
        } else {
            match self.effective_quorum_policy(rsc) {
                NoQuorum::Stop => {
                    self.actions[action].flags &= !af::RUNNABLE;
                    self.actions[action].set_reason(Some(Str::lit("no quorum")));
                }
                NoQuorum::Freeze => {
                    let r = &self.rscs[rsc];
                    if !self.is_active(rsc, true) || r.next_role > r.role {
                        self.actions[action].flags &= !af::RUNNABLE;
                        self.actions[action].set_reason(Some(Str::lit("quorum freeze")));
                    }
                }
                _ => self.actions[action].flags |= af::RUNNABLE,
            }
        }
    }

    /// A pseudo-action that belongs to no resource.
    pub(crate) fn pseudo_op(&mut self, name: Str) -> ActIx {
        if let Some(found) = self.singletons.get(&name) {
            return *found;
        }
        let action = self.custom_action(None, name.clone(), name, None, true);
        self.actions[action].flags |= af::PSEUDO | af::RUNNABLE;
        action
    }

    /// A pseudo-action of a collective resource.
    pub(crate) fn rsc_pseudo_action(
        &mut self,
        rsc: RscIx,
        task: &'static str,
        optional: bool,
        runnable: bool,
    ) -> ActIx {
        let key = op_key(&self.rscs[rsc].id, task, 0);
        let action = self.custom_action(Some(rsc), key, Str::lit(task), None, optional);
        self.actions[action].flags |= af::PSEUDO;
        if runnable {
            self.actions[action].flags |= af::RUNNABLE;
        }
        action
    }

    fn simple_action(
        &mut self,
        rsc: RscIx,
        task: &'static str,
        node: Option<NodeIx>,
        optional: bool,
    ) -> ActIx {
        let key = op_key(&self.rscs[rsc].id, task, 0);
        self.custom_action(Some(rsc), key, Str::lit(task), node, optional)
    }

    pub(crate) fn start_action(&mut self, rsc: RscIx, node: Option<NodeIx>, optional: bool) -> ActIx {
        self.simple_action(rsc, "start", node, optional)
    }

    pub(crate) fn stop_action(&mut self, rsc: RscIx, node: Option<NodeIx>, optional: bool) -> ActIx {
        self.simple_action(rsc, "stop", node, optional)
    }

    pub(crate) fn promote_action(&mut self, rsc: RscIx, node: Option<NodeIx>, optional: bool) -> ActIx {
        self.simple_action(rsc, "promote", node, optional)
    }

    pub(crate) fn demote_action(&mut self, rsc: RscIx, node: Option<NodeIx>, optional: bool) -> ActIx {
        self.simple_action(rsc, "demote", node, optional)
    }

    /// Sets why an action is done; a reason that is there stays, unless `overwrite`.
    pub(crate) fn set_reason(&mut self, action: ActIx, reason: impl Into<Str>, overwrite: bool) {
        let action = &mut self.actions[action];
        if action.reason().is_none() || overwrite {
            action.set_reason(Some(reason.into()));
        }
    }

    /// Orders two actions. Tells whether that was new.
    pub(crate) fn order_actions(&mut self, first: ActIx, then: ActIx, flags: u32) -> bool {
        if flags == ar::NONE {
            return false;
        }
        let known = self.known_ordering(first, then);
        if known & flags != 0 {
            return false;
        }
        self.actions[first].after.push(Related { action: then, flags });
        self.actions[then].before.push(Related { action: first, flags });
        if self.actions[first].after.len() > FEW_ORDERINGS {
            self.index_ordering(first);
        }
        true
    }

    /// Flags of all orderings so far between two actions.
    fn known_ordering(&self, first: ActIx, then: ActIx) -> u32 {
        let after = &self.actions[first].after;
        if after.len() > FEW_ORDERINGS {
            return self.related.get(&(first, then)).copied().unwrap_or(0);
        }
        after.iter().filter(|r| r.action == then).fold(0, |known, r| known | r.flags)
    }

    /// Keeps the orderings of an action that has many where they are found at once.
    fn index_ordering(&mut self, first: ActIx) {
        let after = &self.actions[first].after;
        let new = if after.len() == FEW_ORDERINGS + 1 { 0 } else { after.len() - 1 };
        for related in after.get(new..).unwrap_or_default() {
            *self.related.entry((first, related.action)).or_insert(0) |= related.flags;
        }
    }

    /// Expected exit status of a monitor.
    pub(crate) fn expect_result(&mut self, action: ActIx, exit: i32) {
        let op = self.actions[action].op().clone();
        let rsc = self.actions[action].rsc;
        let index = rsc.map(|r| &self.rscs[r].action_index);
        let known =
            index.and_then(|i| i.expecting.iter().find(|(of, e, _)| *e == exit && Arc::ptr_eq(of, &op)));
        if let Some((_, _, expecting)) = known {
            let expecting = expecting.clone();
            self.actions[action].set_op(expecting);
            return;
        }
        let shared = index.is_some_and(|i| i.operations.iter().any(|o| Arc::ptr_eq(o, &op)));
        self.actions[action].op_mut().meta.set(Str::lit("op_target_rc"), exit.to_string());
        let expecting = self.actions[action].op().clone();
        if let Some(rsc) = rsc.filter(|_| shared) {
            self.rscs[rsc].action_index.expecting.push((op, exit, expecting));
        }
    }

    /// Whether an action recurs.
    pub(crate) fn is_recurring(&self, action: ActIx) -> bool {
        crate::text::parse_uint(self.actions[action].meta.get("interval")) > 0
    }
}
