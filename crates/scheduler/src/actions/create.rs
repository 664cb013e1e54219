//! Creation and look-up of actions.

use crate::cluster::{Cluster, NoQuorum};
use crate::model::*;
use crate::rules::{RuleInput, unpack_table};
use crate::text::{Str, Table, op_key, parse_op_key};

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
            let a = &self.actions[action];
            if let (Some(node), Some(config), false) = (a.node, a.config, a.is(af::ATTRS_EVALUATED)) {
                let doc = self.doc.clone();
                let (mut extra, mut next) = (Table::default(), None);
                let input = RuleInput { node_attrs: Some(&self.nodes[node].attrs), ..self.rule_input() };
                unpack_table(&doc, Some(config), "instance_attributes", &input, &mut next, &mut extra);
                self.recheck_time(next);
                self.actions[action].extra = extra;
                self.actions[action].flags |= af::ATTRS_EVALUATED;
            }
            self.update_runnable(action, rsc);
        }
        action
    }

    fn existing_action(&mut self, rsc: Option<RscIx>, key: &str, node: Option<NodeIx>) -> Option<ActIx> {
        match rsc {
            Some(rsc) => self.find_actions(rsc, key, node).last().copied(),
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
        for ix in &self.rscs[rsc].actions {
            let action = &mut self.actions[*ix];
            if &*action.key != key {
                continue;
            }
            match (node, action.node) {
                (None, _) => found.push(*ix),
                (Some(node), None) => {
                    action.node = Some(node);
                    found.push(*ix);
                }
                (Some(node), Some(other)) if node == other => found.push(*ix),
                _ => {}
            }
        }
        found
    }

    /// As [`Cluster::find_actions`], but only actions that are on this node already.
    pub(crate) fn find_actions_exact(&self, rsc: RscIx, key: &str, node: Option<NodeIx>) -> Vec<ActIx> {
        let Some(node) = node else { return Vec::new() };
        let fits = |ix: &ActIx| self.actions[*ix].node == Some(node) && &*self.actions[*ix].key == key;
        self.rscs[rsc].actions.iter().copied().filter(fits).collect()
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
        self.rscs[rsc].actions.iter().rev().copied().find(|ix| {
            let a = &self.actions[*ix];
            &*a.task == task && (node.is_none() || a.node == node)
        })
    }

    /// The newest action of a resource with this key.
    pub(crate) fn first_action_by_key(&self, rsc: RscIx, key: &str, node: Option<NodeIx>) -> Option<ActIx> {
        self.rscs[rsc].actions.iter().rev().copied().find(|ix| {
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
        let mut action = Action {
            rsc,
            node,
            config: None,
            task: task.clone(),
            key: key.clone(),
            cancel_task: None,
            reason: None,
            priority: 0,
            flags: af::RUNNABLE,
            needs: Needs::Nothing,
            meta: Table::default(),
            extra: Table::default(),
            runnable_before: 0,
            required_runnable_before: 0,
            before: Vec::new(),
            after: Vec::new(),
        };
        if task == "lrm_delete" {
            action.flags |= af::ON_DC;
        }
        if optional {
            action.flags |= af::OPTIONAL;
        }
        if let Some(rsc) = rsc {
            let interval = parse_op_key(&key).map_or(0, |(_, _, interval)| interval);
            let mut config = self.op_config(rsc, &task, interval, true).map(|op| op.xml);
            if config.is_none() && key.contains("_notify_") {
                config = self.op_config(rsc, "notify", 0, true).map(|op| op.xml);
            }
            action.config = config;
            action.meta = (*self.action_meta(rsc, node, &task, interval, config)).clone();
            action.needs = self.action_needs(rsc, &task);
        }
        let ix = self.actions.push(action);
        match rsc {
            Some(rsc) => self.rscs[rsc].actions.push(ix),
            None => {
                self.singletons.insert(key, ix);
            }
        }
        ix
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
            self.actions[action].reason = None;
            if self.is_guest(node) && !self.can_fence(Some(node)) {
                self.actions[action].flags &= !af::RUNNABLE;
            } else {
                self.actions[action].flags |= af::RUNNABLE;
            }
        } else {
            match self.effective_quorum_policy(rsc) {
                NoQuorum::Stop => {
                    self.actions[action].flags &= !af::RUNNABLE;
                    self.actions[action].reason = Some(Str::lit("no quorum"));
                }
                NoQuorum::Freeze => {
                    let r = &self.rscs[rsc];
                    if !self.is_active(rsc, true) || r.next_role > r.role {
                        self.actions[action].flags &= !af::RUNNABLE;
                        self.actions[action].reason = Some(Str::lit("quorum freeze"));
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
        let old = &mut self.actions[action].reason;
        if old.is_none() || overwrite {
            *old = Some(reason.into());
        }
    }

    /// Orders two actions. Tells whether that was new.
    pub(crate) fn order_actions(&mut self, first: ActIx, then: ActIx, flags: u32) -> bool {
        if flags == ar::NONE {
            return false;
        }
        let known = self.related.entry((first, then)).or_insert(0);
        if *known & flags != 0 {
            return false;
        }
        *known |= flags;
        self.actions[first].after.push(Related { action: then, flags, graphed: false });
        self.actions[then].before.push(Related { action: first, flags, graphed: false });
        true
    }

    /// Expected exit status of a monitor.
    pub(crate) fn expect_result(&mut self, action: ActIx, exit: i32) {
        self.actions[action].meta.set(Str::lit("op_target_rc"), exit.to_string());
    }

    /// Whether an action recurs.
    pub(crate) fn is_recurring(&self, action: ActIx) -> bool {
        crate::text::parse_uint(self.actions[action].meta.get("interval")) > 0
    }
}
