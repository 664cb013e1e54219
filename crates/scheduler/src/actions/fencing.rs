//! Fencing and unfencing of nodes.

use crate::cluster::{Cluster, Line};
use crate::digest::Match;
use crate::model::*;
use crate::text::{Str, ms_to_s};

impl Cluster {
    /// Wants a node fenced: a guest by restarting what runs it, another by its fence device.
    pub(crate) fn fence_node(&mut self, node: NodeIx, reason: &str, priority_delay: bool) {
        let name = self.nodes[node].name.clone();
        if let Some(launcher) = self.guest_launcher(node) {
            if !self.rscs[launcher].is(rf::FAILED) && self.rscs[launcher].is(rf::MANAGED) {
                let id = self.rscs[launcher].id.clone();
                self.situation(format!(
                    "Guest node {name} will be fenced (by recovering its guest resource {id}): {reason}"
                ));
                self.set_node_flag(node, nf::REMOTE_RESET, true);
                self.rscs[launcher].flags |= rf::FAILED | rf::STOP_IF_FAILED;
            }
            return;
        }
        let connection = self.nodes[node].remote.filter(|_| self.nodes[node].is_remote);
        if let Some(rsc) = connection.filter(|r| self.rscs[*r].is(rf::REMOVED_LAUNCHED)) {
            self.rscs[rsc].flags |= rf::FAILED | rf::STOP_IF_FAILED;
        } else if self.nodes[node].is_remote {
            let unmanaged = connection.is_some_and(|r| !self.rscs[r].is(rf::MANAGED));
            if !unmanaged && !self.nodes[node].is(nf::REMOTE_RESET) {
                self.set_node_flag(node, nf::REMOTE_RESET, true);
                self.situation(format!("Remote node {name} will be fenced or is unclean: {reason}"));
            }
            self.nodes[node].unclean = true;
            self.fence_op(node, None, true, Some(reason), false);
        } else if !self.nodes[node].unclean {
            self.situation(format!("Cluster node {name} will be fenced or is unclean: {reason}"));
            self.nodes[node].unclean = true;
            self.fence_op(node, None, true, Some(reason), priority_delay);
        }
    }

    /// The fencing action for a node, new if need be.
    pub(crate) fn fence_op(
        &mut self,
        node: NodeIx,
        op: Option<&str>,
        optional: bool,
        reason: Option<&str>,
        priority_delay: bool,
    ) -> ActIx {
        let op: Str = op.map_or_else(|| self.config.fence_action.clone(), Str::from);
        let key: Str = format!("stonith-{}-{op}", self.nodes[node].name).into();
        let mut optional = optional;
        let action = match self.singletons.get(&key).copied() {
            Some(action) => action,
            None => {
                let action = self.custom_action(None, key, Str::lit("stonith"), Some(node), true);
                let (name, id) = (self.nodes[node].name.clone(), self.nodes[node].id.clone());
                let meta = &mut self.actions[action].op_mut().meta;
                meta.set(Str::lit("on_node"), name);
                meta.set(Str::lit("on_node_uuid"), id);
                meta.set(Str::lit("stonith_action"), op);
                if self.config.enable_unfencing && self.add_device_digests(action, node) {
                    optional = false;
                }
                action
            }
        };
        let delay = "priority-fencing-delay";
        if self.config.priority_fencing_ms > 0
            && (priority_delay || self.actions[action].meta.contains(delay))
        {
            let seconds = self.priority_delay_s(node);
            self.actions[action].op_mut().meta.set(Str::lit(delay), seconds.to_string());
        }
        if !optional && self.can_fence(Some(node)) {
            self.actions[action].flags &= !af::OPTIONAL;
            if let Some(reason) = reason {
                self.set_reason(action, reason, false);
            }
        } else if let Some(reason) = reason {
            self.set_reason(action, reason, false);
        }
        action
    }

    /// Records with what parameters devices would unfence; tells whether a definition changed.
    fn add_device_digests(&mut self, action: ActIx, node: NodeIx) -> bool {
        let mut devices = Vec::new();
        for rsc in self.top.clone() {
            self.unfencing_devices(rsc, &mut devices);
        }
        let (mut all, mut secure, mut changed) = (String::new(), String::new(), false);
        for device in devices.into_iter().rev() {
            let id = self.rscs[device].id.clone();
            let agent = self.rscs[device].meta.get_str("type").unwrap_or_default();
            let digest = self.fencing_digest(device, &agent, node);
            if digest.result == Match::Mismatch {
                changed = true;
                let name = &self.nodes[node].name;
                self.lines.push(Line::Info(format!(
                    "notice: Unfencing node {name} because the definition of {id} changed"
                )));
            }
            all += &format!("{id}:{agent}:{},", digest.all);
            secure += &format!("{id}:{agent}:{},", digest.secure.unwrap_or_default());
        }
        let meta = &mut self.actions[action].op_mut().meta;
        meta.set(Str::lit("digests-all"), all);
        meta.set(Str::lit("digests-secure"), secure);
        changed
    }

    fn unfencing_devices(&self, rsc: RscIx, found: &mut Vec<RscIx>) {
        let r = &self.rscs[rsc];
        if !r.children.is_empty() {
            for child in &r.children {
                self.unfencing_devices(*child, found);
            }
        } else if r.is(rf::FENCE_DEVICE) {
            let provides = r.meta.get("provides").is_some_and(|p| p.eq_ignore_ascii_case("unfencing"));
            if r.is(rf::NEEDS_UNFENCING) || provides {
                found.push(rsc);
            }
        }
    }

    /// Delay before fencing a node that runs the more important resources, in seconds.
    fn priority_delay_s(&self, node: NodeIx) -> u32 {
        let n = &self.nodes[node];
        if self.config.priority_fencing_ms == 0 || n.is_remote || n.online {
            return 0;
        }
        let members: Vec<&Node> = self.nodes.iter().filter(|n| !n.is_remote).collect();
        let online = members.iter().filter(|n| n.online).count();
        let top = members.iter().map(|n| n.priority).max().unwrap_or(0);
        let lowest = members.iter().map(|n| n.priority).min().unwrap_or(0);
        if online > members.len() / 2 || lowest == top || n.priority < top {
            return 0;
        }
        ms_to_s(self.config.priority_fencing_ms)
    }

    pub(crate) fn is_unfenced(&self, node: NodeIx) -> bool {
        self.nodes[node].attr("#node-unfenced").is_some_and(|v| v != "0")
    }

    /// Unfences a node, or all nodes where a changed device may run.
    pub(crate) fn trigger_unfencing(
        &mut self,
        rsc: Option<RscIx>,
        node: Option<NodeIx>,
        reason: &str,
        dependency: Option<ActIx>,
    ) {
        if !self.config.enable_unfencing || rsc.is_some_and(|r| !self.rscs[r].is(rf::FENCE_DEVICE)) {
            return;
        }
        let usable = |n: &Node| n.online && !n.unclean && !n.shutdown;
        if let Some(node) = node.filter(|n| usable(&self.nodes[*n])) {
            let unfence = self.fence_op(node, Some("on"), false, Some(reason), false);
            if let Some(dependency) = dependency {
                self.order_actions(unfence, dependency, ar::ORDERED);
            }
        } else if let Some(rsc) = rsc {
            for node in row_nodes(&self.rscs[rsc].allowed) {
                if usable(&self.nodes[node]) {
                    self.trigger_unfencing(Some(rsc), Some(node), reason, dependency);
                }
            }
        }
    }

    /// Orders everything that depends on it after a fencing action.
    pub(crate) fn order_vs_fencing(&mut self, fencing: ActIx) {
        for rsc in self.top.clone() {
            self.rsc_vs_fencing(rsc, fencing);
        }
    }

    fn rsc_vs_fencing(&mut self, rsc: RscIx, fencing: ActIx) {
        let children = self.rscs[rsc].children.clone();
        if !children.is_empty() {
            for child in children {
                self.rsc_vs_fencing(child, fencing);
            }
        } else if self.rscs[rsc].is(rf::MANAGED)
            && let Some(target) = self.actions[fencing].node
        {
            self.start_vs_fencing(rsc, fencing, target);
            self.stop_vs_fencing(rsc, fencing, target);
        }
    }

    fn known_on(&self, rsc: RscIx, node: NodeIx) -> bool {
        let r = &self.rscs[rsc];
        r.probed_on(node)
            || (r.variant == Variant::Primitive
                && r.parent.is_some_and(|p| self.is_anonymous_clone(p) && self.rscs[p].probed_on(node)))
    }

    fn start_vs_fencing(&mut self, rsc: RscIx, fencing: ActIx, target: NodeIx) {
        for action in self.rscs[rsc].actions.clone().into_iter().rev() {
            match self.actions[action].needs {
                Needs::Nothing => {}
                Needs::Fencing => {
                    self.order_actions(fencing, action, ar::ORDERED);
                }
                Needs::Quorum => {
                    if self.actions[action].task == "start"
                        && slot(&self.rscs[rsc].allowed, target).is_some()
                        && !self.known_on(rsc, target)
                    {
                        self.order_actions(fencing, action, ar::ORDERED | ar::UNRUNNABLE_FIRST_BLOCKS);
                    }
                }
            }
        }
    }

    fn stop_vs_fencing(&mut self, rsc: RscIx, fencing: ActIx, target: NodeIx) {
        let top = self.uber_parent(rsc);
        let stops = self.rsc_actions(rsc, Some(target), "stop", false);
        let implied = self.rscs[rsc].is(rf::NEEDS_FENCING) || self.is_guest(target);
        let parent_stop =
            if implied && !stops.is_empty() { self.first_action(top, "stop", None) } else { None };
        for stop in stops {
            self.actions[stop].flags |= af::PSEUDO | af::RUNNABLE;
            if implied {
                if !self.is_bundled(rsc) {
                    self.order_actions(fencing, stop, ar::GUEST_ALLOWED);
                }
                if let Some(parent_stop) = parent_stop {
                    self.order_actions(fencing, parent_stop, ar::GUEST_ALLOWED);
                }
            }
            if self.rscs[rsc].is(rf::NOTIFY) {
                self.notify_after_fencing(stop, rsc, fencing);
            }
        }
        for demote in self.rsc_actions(rsc, Some(target), "demote", false) {
            let node = self.actions[demote].node.unwrap_or(target);
            let n = &self.nodes[node];
            if n.online && !n.unclean && !self.rscs[rsc].is(rf::FAILED) {
                continue;
            }
            self.actions[demote].flags |= af::PSEUDO | af::RUNNABLE;
            if !self.is_bundled(rsc) && implied {
                self.order_actions(fencing, demote, ar::GUEST_ALLOWED | ar::ORDERED);
            }
        }
    }

    /// Orders an action after the unfencing that it requires.
    pub(crate) fn order_vs_unfencing(&mut self, rsc: RscIx, node: NodeIx, action: ActIx, flags: u32) {
        let r = &self.rscs[rsc];
        let applies = (r.is(rf::FENCE_DEVICE) && self.config.enable_unfencing) || r.is(rf::NEEDS_UNFENCING);
        if !applies {
            return;
        }
        let id = r.id.clone();
        let unfence = self.fence_op(node, Some("on"), true, None, false);
        self.order_actions(unfence, action, flags);
        if !self.is_unfenced(node) {
            let reason = format!("required by {id} {}", self.actions[action].task);
            self.trigger_unfencing(None, Some(node), &reason, None);
        }
    }

    /// Shows the restart of a guest as fencing of it, so that it counts as such.
    pub(crate) fn fence_guest(&mut self, node: NodeIx) {
        let launcher = self.guest_launcher(node);
        let stop = launcher.and_then(|l| self.first_action(l, "stop", None));
        let restarts = launcher.and_then(|l| self.first_action(l, "start", None)).is_some();
        let op = if restarts { "reboot" } else { "off" };
        let fencing = self.fence_op(node, Some(op), false, Some("guest is unclean"), false);
        self.actions[fencing].flags |= af::PSEUDO | af::RUNNABLE;
        const IMPLIED: u32 = ar::UNRUNNABLE_FIRST_BLOCKS | ar::FIRST_IMPLIES_THEN;
        match stop {
            Some(stop) if self.actions[stop].is(af::PSEUDO) => {
                if let Some(host) = self.actions[stop].node {
                    let parent = self.fence_op(host, None, false, None, false);
                    self.order_actions(parent, fencing, IMPLIED);
                }
            }
            Some(stop) => {
                self.order_actions(stop, fencing, IMPLIED);
            }
            None => {
                let remote = self.nodes[node].remote;
                if let Some(stop) = remote.and_then(|r| self.first_action(r, "stop", None)) {
                    self.order_actions(stop, fencing, ar::ORDERED);
                }
            }
        }
        self.order_vs_fencing(fencing);
    }

    /// Orders stop before unfencing before start, on each node of the list.
    pub(crate) fn order_restart_vs_unfence(&mut self, rsc: RscIx, node: NodeIx) {
        let unfence = self.fence_op(node, Some("on"), true, None, false);
        let stop = crate::text::op_key(&self.rscs[rsc].id, "stop", 0);
        let start = crate::text::op_key(&self.rscs[rsc].id, "start", 0);
        self.new_ordering(
            (Some(rsc), Some(stop), None),
            (None, None, Some(unfence)),
            ar::ORDERED | ar::IF_ON_SAME_NODE,
        );
        self.new_ordering(
            (None, None, Some(unfence)),
            (Some(rsc), Some(start), None),
            ar::FIRST_IMPLIES_SAME_NODE_THEN | ar::IF_ON_SAME_NODE,
        );
    }
}
