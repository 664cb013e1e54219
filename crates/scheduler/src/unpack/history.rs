//! Resource history: which resource an entry is about, and what its operations say about it.

use super::reader::{EntryText, Reader};
use crate::cluster::{Cluster, HistoryEntry};
use crate::model::*;
use crate::text::{
    Str, clone_strip, merge_sort, ms_to_s, op_key, parse_int, parse_transition_magic, parse_uint,
};
use std::cmp::Ordering;
use xml::{Document, NodeId};

impl Cluster {
    pub(super) fn unpack_node_history(&mut self, reader: &mut Reader, node: NodeIx, state: NodeId) {
        let doc = self.doc.clone();
        let holder = doc.element(state).path(&["lrm", "lrm_resources"]);
        let mut removed_launched = false;
        let mut known = Vec::with_capacity(reader.order.len());
        let mut next = holder.and_then(|holder| doc.first_child(holder.id()));
        while let Some(entry) = next {
            next = doc.next_sibling(entry);
            if !reader.is_entry(&doc, entry) {
                continue;
            }
            let text = reader.entry(&doc, entry);
            let guess = reader.order.get(known.len()).copied().flatten();
            let rsc = self.unpack_lrm_resource(&doc, reader, node, (entry, text.id), guess);
            match reader.order.get_mut(known.len()) {
                Some(place) => *place = rsc,
                None => reader.order.push(rsc),
            }
            let same_agent = rsc.filter(|r| self.same_agent(*r, &text));
            known.push(HistoryEntry { entry, same_agent });
            removed_launched |= rsc.is_some_and(|r| self.rscs[r].is(rf::REMOVED_LAUNCHED));
        }
        if removed_launched {
            for known in &known {
                self.link_removed_launched(known.entry);
            }
        }
        self.histories.insert(state, known);
    }

    /// Whether an entry is about this very resource, with the agent that is configured.
    fn same_agent(&self, rsc: RscIx, entry: &EntryText<'_>) -> bool {
        let r = &self.rscs[rsc];
        !r.is(rf::REMOVED)
            && entry.id == Some(&r.id)
            && r.agent.as_deref() == entry.agent
            && r.class.as_deref() == entry.class
            && r.provider.as_deref() == entry.provider
    }

    fn link_removed_launched(&mut self, entry: NodeId) {
        let doc = self.doc.clone();
        let (Some(container), Some(id)) = (doc.attr(entry, "container"), doc.attr(entry, "id")) else {
            return;
        };
        let (Some(launcher), Some(rsc)) = (self.find_rsc(container), self.find_rsc(id)) else { return };
        if self.rscs[rsc].launcher.is_none() && self.rscs[rsc].is(rf::REMOVED_LAUNCHED) {
            self.rscs[rsc].launcher = Some(launcher);
            self.rscs[launcher].launched.push(rsc);
        }
    }

    fn unpack_lrm_resource(
        &mut self,
        doc: &Document,
        reader: &mut Reader,
        node: NodeIx,
        (entry, id): (NodeId, Option<&str>),
        guess: Option<RscIx>,
    ) -> Option<RscIx> {
        let Some(id) = id else {
            self.error("Ignoring invalid lrm_resource entry: No id");
            return None;
        };
        let only = reader.only_op(doc, entry);
        let more = if only.is_none() { self.sorted_ops(entry) } else { Vec::new() };
        let ops = only.as_ref().map_or(more.as_slice(), std::slice::from_ref);
        if ops.is_empty() && !self.config.shutdown_lock {
            return None;
        }
        let rsc = match guess.filter(|guess| self.is_found_by(*guess, id)) {
            Some(rsc) => rsc,
            None => match self.find_history_rsc(node, id) {
                Some(rsc) => rsc,
                None if ops.is_empty() => return None,
                None => self.removed_resource(entry, id)?,
            },
        };
        if self.config.shutdown_lock {
            self.unpack_shutdown_lock(entry, rsc, node);
        }
        let r = &mut self.rscs[rsc];
        let saved_role = std::mem::replace(&mut r.role, Role::Unknown);
        let mut on_fail = OnFail::Ignore;
        if r.failure_timeout_ms == 0 && only.is_some_and(|op| reader.op(doc, op).is_idle_probe()) {
            // What the long way comes to for these.
            r.role = Role::Stopped;
            self.set_next_role(rsc, Role::Unknown);
        } else {
            let mut last_failure = None;
            for op in ops {
                let text = reader.op(doc, *op);
                self.unpack_op((*op, text), rsc, node, &mut last_failure, &mut on_fail);
            }
            self.note_recurring(doc, node, rsc, ops);
        }
        self.apply_state(rsc, node, on_fail);
        if let Some(role) = self.target_role(rsc) {
            let next = self.rscs[rsc].next_role;
            if next == Role::Unknown || role < next {
                self.set_next_role(rsc, role);
            }
        }
        let r = &mut self.rscs[rsc];
        r.role = r.role.max(saved_role);
        Some(rsc)
    }

    /// Whether [`Cluster::find_history_rsc`], which found this resource for an entry before, finds it
    /// for this id on every node. A removed one may be one of several of that name.
    fn is_found_by(&self, rsc: RscIx, id: &str) -> bool {
        let r = &self.rscs[rsc];
        *r.id == *id && !r.is(rf::REMOVED) && !self.is_anonymous_clone(self.uber_parent(rsc))
    }

    /// Operations of a history entry, oldest first.
    pub(crate) fn sorted_ops(&mut self, entry: NodeId) -> Vec<NodeId> {
        let doc = self.doc.clone();
        let mut ops: Vec<NodeId> =
            doc.element(entry).children().filter(|e| e.name() == "lrm_rsc_op").map(|e| e.id()).collect();
        ops.reverse();
        merge_sort(&mut ops, &mut |a, b| self.compare_ops(a, b));
        ops
    }

    /// Orders two history entries by age; `Greater` if `a` is newer.
    pub(crate) fn compare_ops(&self, a: NodeId, b: NodeId) -> Ordering {
        let attr = |op: NodeId, name: &str| self.doc.attr(op, name);
        let same_node = match (attr(a, "on_node"), attr(b, "on_node")) {
            (Some(x), Some(y)) => x.eq_ignore_ascii_case(y),
            (None, None) => true,
            _ => false,
        };
        if same_node && attr(a, "id") == attr(b, "id") {
            return Ordering::Equal;
        }
        let call = |op: NodeId| attr(op, "call-id").and_then(parse_int).unwrap_or(-1);
        let (ca, cb) = (call(a), call(b));
        if ca == -1 && cb == -1 {
            return Ordering::Equal;
        }
        if same_node && ca >= 0 && ca < cb {
            return Ordering::Less;
        }
        if same_node && cb >= 0 && ca > cb {
            return Ordering::Greater;
        }
        if ca >= 0 && cb >= 0 && (!same_node || ca == cb) {
            let changed = |op: NodeId| attr(op, "last-rc-change").and_then(parse_int).unwrap_or(-1);
            let (ta, tb) = (changed(a), changed(b));
            if ta >= 0 && ta < tb {
                return Ordering::Less;
            }
            if tb >= 0 && ta > tb {
                return Ordering::Greater;
            }
            return Ordering::Equal;
        }
        let magic = |op: NodeId| attr(op, "transition-magic").and_then(parse_transition_magic);
        let (Some((_, _, ka)), Some((_, _, kb))) = (magic(a), magic(b)) else { return Ordering::Equal };
        if !ka.uuid.eq_ignore_ascii_case(kb.uuid) || ka.transition == kb.transition {
            if cb == -1 {
                return Ordering::Less;
            }
            if ca == -1 {
                return Ordering::Greater;
            }
        } else if (ka.transition >= 0 && ka.transition < kb.transition) || kb.transition == -1 {
            return Ordering::Less;
        } else if (kb.transition >= 0 && ka.transition > kb.transition) || ka.transition == -1 {
            return Ordering::Greater;
        }
        Ordering::Equal
    }

    /// Indices of the operations that started and stopped a resource last; -1 for none.
    pub fn active_range(&self, ops: &[NodeId]) -> (i64, i64) {
        let (mut start, mut stop, mut by_monitor, mut by_promotion) = (-1i64, -1i64, -1i64, -1i64);
        for (at, op) in ops.iter().enumerate() {
            let at = at as i64;
            let task = self.doc.attr(*op, "operation").unwrap_or("");
            match task {
                "stop" if self.doc.attr(*op, "op-status") == Some("0") => stop = at,
                "start" | "migrate_from" => start = at,
                "monitor" if by_monitor <= stop => {
                    if matches!(self.doc.attr(*op, "rc-code"), Some("0" | "8")) {
                        by_monitor = at;
                    }
                }
                "promote" | "demote" => by_promotion = at,
                _ => {}
            }
        }
        if start == -1 {
            start = if by_promotion != -1 { by_promotion } else { by_monitor };
        }
        (start, stop)
    }

    fn note_recurring(&mut self, doc: &Document, node: NodeIx, rsc: RscIx, ops: &[NodeId]) {
        let is_recurring = |op: &NodeId| doc.attr(*op, "interval").is_some_and(|i| i != "0");
        if !self.nodes[node].online || !ops.iter().any(is_recurring) {
            return;
        }
        let (start, stop) = self.active_range(ops);
        for (at, op) in ops.iter().enumerate() {
            let at = at as i64;
            if (start < stop && at <= stop) || at < start {
                continue;
            }
            let interval = parse_uint(doc.attr(*op, "interval"));
            if interval == 0 || doc.attr(*op, "op-status") == Some("-1") {
                continue;
            }
            let Some(task) = doc.attr(*op, "operation") else { continue };
            let key = op_key(&self.rscs[rsc].id, task, interval);
            self.custom_action(Some(rsc), key, task.into(), Some(node), true);
        }
    }

    fn unpack_shutdown_lock(&mut self, entry: NodeId, rsc: RscIx, node: NodeIx) {
        let lock = self.doc.attr(entry, "shutdown-lock").and_then(parse_int).unwrap_or(0);
        if lock == 0 {
            return;
        }
        let limit = self.config.shutdown_lock_ms;
        if limit > 0 && self.now_s() > lock.saturating_add(i64::from(ms_to_s(limit))) {
            self.clear_history(rsc, node);
        } else {
            self.rscs[rsc].lock_node = Some(node);
            self.rscs[rsc].lock_time = lock;
        }
    }

    pub(crate) fn clear_history(&mut self, rsc: RscIx, node: NodeIx) {
        let key = op_key(&self.rscs[rsc].id, "lrm_delete", 0);
        self.custom_action(Some(rsc), key, Str::lit("lrm_delete"), Some(node), false);
    }

    /// The resource that a history entry is about.
    fn find_history_rsc(&mut self, node: NodeIx, id: &str) -> Option<RscIx> {
        let (mut rsc, parent) = match self.find_rsc(id) {
            Some(rsc) if self.rscs[rsc].variant != Variant::Primitive => return None,
            Some(rsc) => (Some(rsc), Some(self.uber_parent(rsc))),
            None => match self.find_rsc(&format!("{}:0", clone_strip(id))) {
                Some(zero) if !self.rscs[zero].is(rf::UNIQUE) => (Some(zero), Some(self.uber_parent(zero))),
                _ => (None, None),
            },
        };
        if let Some(parent) = parent.filter(|p| self.is_anonymous_clone(*p)) {
            rsc = if self.is_bundled(parent) {
                let bundle = self.rscs[parent].parent?;
                let replicas = self.replicas(bundle);
                replicas.iter().find(|r| r.node == Some(node)).and_then(|r| r.child)
            } else {
                self.find_anonymous(node, parent, clone_strip(id))
            };
        }
        if let Some(rsc) = rsc {
            let r = &self.rscs[rsc];
            if &*r.id != id && r.history_id.as_deref() != Some(id) {
                self.set_history_id(rsc, id);
            }
        }
        rsc
    }

    /// The instance of an anonymous clone that an entry of this node belongs to.
    fn find_anonymous(&mut self, node: NodeIx, parent: RscIx, id: &str) -> Option<RscIx> {
        let (mut found, mut inactive, mut skip_inactive) = (None, None, false);
        for child in self.rscs[parent].children.clone() {
            if found.is_some() {
                break;
            }
            let places = self.places(child, at::CURRENT | at::PENDING);
            if let Some(place) = places.first() {
                if *place == node {
                    found = self.find_in_clone(child, id, None);
                    if found.is_some_and(|r| !self.rscs[r].active_nodes.is_empty()) {
                        skip_inactive = true;
                        found = None;
                    }
                }
            } else if !skip_inactive && inactive.is_none() && !self.rscs[child].is(rf::BLOCKED) {
                inactive = self.find_in_clone(child, id, None);
                if let Some(pending) = inactive.and_then(|r| self.rscs[r].pending_node)
                    && pending != node
                {
                    inactive = None;
                }
            }
        }
        if found.is_none() && !skip_inactive {
            found = inactive;
        }
        if let Some(rsc) = found {
            let usable = self.rscs[rsc].is(rf::NEEDS_FENCING)
                || (self.nodes[node].online && !self.nodes[node].unclean)
                || self.is_guest(node)
                || self.rscs[parent].clone.as_ref().is_some_and(|c| c.max as usize == self.nodes.len());
            if !usable {
                found = None;
            }
        }
        found.or_else(|| {
            let top = self.create_clone_child(parent)?;
            self.register(top);
            self.find_in_clone(top, id, None)
        })
    }

    /// A resource that is in the history but no longer in the configuration.
    fn removed_resource(&mut self, entry: NodeId, id: &str) -> Option<RscIx> {
        let rsc = self.unpack_rsc(entry, None, None)?;
        if self.rscs[rsc].is(rf::REMOTE_CONNECTION) {
            let node = match self.find_node(id) {
                Some(node) => node,
                None => self.create_node(id, id, true, 0),
            };
            self.link_remote_node(rsc);
            self.nodes[node].shutdown = true;
        }
        if self.doc.attr(entry, "container").is_some() {
            self.rscs[rsc].flags |= rf::REMOVED_LAUNCHED;
        }
        self.rscs[rsc].flags |= rf::REMOVED;
        self.register(rsc);
        self.top.push(rsc);
        if self.config.stop_removed_resources {
            self.location(rsc, None, -base::INFINITY, "__removed_do_not_run__");
        } else {
            self.rscs[rsc].flags &= !rf::MANAGED;
        }
        Some(rsc)
    }

    fn probed_up_to_top(&mut self, rsc: RscIx, node: NodeIx) {
        let mut up = Some(rsc);
        while let Some(at) = up {
            self.rscs[at].set_probed(node);
            if self.rscs[at].is(rf::UNIQUE) {
                break;
            }
            up = self.rscs[at].parent;
        }
    }

    /// Draws the consequences of what the history of a resource on a node came to.
    fn apply_state(&mut self, rsc: RscIx, node: NodeIx, on_fail: OnFail) {
        let known_active = self.rscs[rsc].role > Role::Stopped;
        if self.rscs[rsc].role != Role::Unknown {
            self.probed_up_to_top(rsc, node);
        }
        let n = &self.nodes[node];
        if known_active && !n.online && !n.maintenance && self.rscs[rsc].is(rf::MANAGED) {
            self.fence_for_active(rsc, node);
        }
        let save_on_fail = on_fail;
        let on_fail = if self.nodes[node].unclean { OnFail::Ignore } else { on_fail };
        self.react_to_failure(rsc, node, on_fail, known_active);
        if self.rscs[rsc].is(rf::FAILED | rf::REMOTE_CONNECTION)
            && let Some(remote) = self.find_node(&self.rscs[rsc].id).filter(|n| self.nodes[*n].unclean)
        {
            self.set_node_flag(remote, nf::SEEN, true);
        }
        if known_active {
            self.add_running(rsc, node, save_on_fail != OnFail::Ignore);
            match on_fail {
                OnFail::Ignore => {}
                OnFail::Demote | OnFail::Block => self.rscs[rsc].flags |= rf::FAILED,
                _ => self.rscs[rsc].flags |= rf::FAILED | rf::STOP_IF_FAILED,
            }
        } else if self.rscs[rsc].history_id.as_ref().is_some_and(|id| id.contains(':')) {
            self.rscs[rsc].history_id = None;
        } else if self.rscs[rsc].action_index.any_stop {
            for stop in self.rsc_actions(rsc, Some(node), "stop", false) {
                self.actions[stop].flags |= af::OPTIONAL;
            }
        }
        let r = &mut self.rscs[rsc];
        if r.role == Role::Stopped
            && !r.active_nodes.is_empty()
            && r.partial_target.is_some()
            && r.partial_source == Some(node)
        {
            r.role = Role::Started;
        }
    }

    fn fence_for_active(&mut self, rsc: RscIx, node: NodeIx) {
        let id = self.rscs[rsc].id.clone();
        let mut reason = format!("{id} is thought to be active there");
        if self.is_guest(node) {
            self.rscs[rsc].flags |= rf::FAILED | rf::STOP_IF_FAILED;
        } else if self.config.fencing_enabled {
            let connection = self.nodes[node].remote;
            if self.is_remote_node(node) && connection.is_some_and(|r| !self.rscs[r].is(rf::FAILED)) {
                self.set_node_flag(node, nf::SEEN, false);
                reason = format!(
                    "{id} is active there (fencing will be revoked if remote connection can be re-established elsewhere)"
                );
            }
        } else {
            return;
        }
        self.fence_node(node, &reason, false);
    }

    fn react_to_failure(&mut self, rsc: RscIx, node: NodeIx, on_fail: OnFail, known_active: bool) {
        const FAILED: u64 = rf::FAILED | rf::STOP_IF_FAILED;
        match on_fail {
            OnFail::Ignore => {}
            OnFail::Demote => {
                self.rscs[rsc].flags |= rf::FAILED;
                self.demote_action(rsc, Some(node), false);
            }
            OnFail::Fence => {
                let reason = format!("{} failed there", self.rscs[rsc].id);
                self.fence_node(node, &reason, false);
            }
            OnFail::Standby => self.set_node_flag(node, nf::STANDBY | nf::FAIL_STANDBY, true),
            OnFail::Block => {
                self.rscs[rsc].flags &= !rf::MANAGED;
                self.rscs[rsc].flags |= rf::BLOCKED;
            }
            OnFail::Ban => self.location(rsc, Some(node), -base::INFINITY, "__action_migration_auto__"),
            OnFail::Stop => self.set_next_role(rsc, Role::Stopped),
            OnFail::Restart => {
                if known_active {
                    self.rscs[rsc].flags |= FAILED;
                    self.stop_action(rsc, Some(node), false);
                }
            }
            OnFail::RestartContainer => {
                self.rscs[rsc].flags |= FAILED;
                match self.rscs[rsc].launcher {
                    Some(launcher) if self.is_bundled(rsc) => self.stop_needed.push(launcher),
                    Some(launcher) => {
                        self.stop_action(launcher, Some(node), false);
                    }
                    None if known_active => {
                        self.stop_action(rsc, Some(node), false);
                    }
                    None => {}
                }
            }
            OnFail::ResetRemote => {
                self.rscs[rsc].flags |= FAILED;
                if self.config.fencing_enabled
                    && self.rscs[rsc].is(rf::REMOTE_CONNECTION)
                    && let Some(remote) = self.find_node(&self.rscs[rsc].id)
                    && self.is_remote_node(remote)
                    && !self.nodes[remote].is(nf::REMOTE_FENCED)
                {
                    self.fence_node(remote, "remote connection is unrecoverable", false);
                }
                if known_active {
                    self.stop_action(rsc, Some(node), false);
                }
                if self.rscs[rsc].remote_reconnect_ms > 0 {
                    self.set_next_role(rsc, Role::Stopped);
                }
            }
        }
    }
}
