//! Notifications of clone instances before and after what happens to the others.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{Str, notify_key};

type Entries = Vec<(RscIx, Option<NodeIx>)>;

impl Cluster {
    fn notify_pseudo(&mut self, rsc: RscIx, action: ActIx, task: &'static str, kind: &'static str) -> ActIx {
        let (of, optional) = (self.actions[action].task.clone(), self.actions[action].is(af::OPTIONAL));
        let key = notify_key(&self.rscs[rsc].id, kind, &of);
        let notify = self.custom_action(Some(rsc), key, Str::lit(task), None, optional);
        self.actions[notify].flags |= af::PSEUDO;
        let meta = &mut self.actions[notify].op_mut().meta;
        meta.set(Str::lit("notify_key_type"), Str::lit(kind));
        meta.set(Str::lit("notify_key_operation"), of);
        notify
    }

    fn set_notify_meta(&mut self, action: ActIx, kind: &'static str, task: &Str) {
        let meta = &mut self.actions[action].op_mut().meta;
        meta.set(Str::lit("notify_type"), Str::lit(kind));
        meta.set(Str::lit("notify_operation"), task.clone());
    }

    /// Pseudo-actions around an action of a collective that wants notifications.
    pub(crate) fn notify_ops(
        &mut self,
        rsc: RscIx,
        task: &'static str,
        action: Option<ActIx>,
        complete: Option<ActIx>,
    ) -> Option<Box<NotifyData>> {
        if !self.rscs[rsc].is(rf::NOTIFY) {
            return None;
        }
        let mut data = NotifyData { action: Str::lit(task), ..NotifyData::default() };
        if let Some(action) = action {
            let pre = self.notify_pseudo(rsc, action, "notify", "pre");
            let pre_done = self.notify_pseudo(rsc, action, "notified", "confirmed-pre");
            for step in [pre, pre_done] {
                self.actions[step].flags |= af::RUNNABLE;
                self.set_notify_meta(step, "pre", &data.action);
            }
            self.order_actions(pre, pre_done, ar::ORDERED);
            self.order_actions(pre_done, action, ar::ORDERED);
            (data.pre, data.pre_done) = (Some(pre), Some(pre_done));
        }
        if let Some(complete) = complete {
            let post = self.notify_pseudo(rsc, complete, "notify", "post");
            let post_done = self.notify_pseudo(rsc, complete, "notified", "confirmed-post");
            let runnable = self.actions[complete].is(af::RUNNABLE);
            for step in [post, post_done] {
                let a = &mut self.actions[step];
                a.op_mut().priority = base::INFINITY;
                a.flags = if runnable { a.flags | af::RUNNABLE } else { a.flags & !af::RUNNABLE };
                self.set_notify_meta(step, "post", &data.action);
            }
            self.order_actions(complete, post, ar::FIRST_IMPLIES_THEN);
            self.order_actions(post, post_done, ar::FIRST_IMPLIES_THEN);
            (data.post, data.post_done) = (Some(post), Some(post_done));
        }
        if let (Some(pre_done), Some(post), true) = (data.pre_done, data.post, action.is_some()) {
            self.order_actions(pre_done, post, ar::ORDERED);
        }
        Some(Box::new(data))
    }

    /// Notifications that imply a stop by fencing.
    pub(crate) fn notify_after_fencing(&mut self, stop: ActIx, rsc: RscIx, fencing: ActIx) {
        let Some(mut data) = self.notify_ops(rsc, "stop", None, Some(fencing)) else { return };
        self.collect_notify(rsc, false, &mut data);
        let node = self.actions[stop].node.map(|n| self.nodes[n].name.clone()).unwrap_or_default();
        data.keys.push((Str::lit("notify_stop_resource"), self.rscs[rsc].id.clone()));
        data.keys.push((Str::lit("notify_stop_uname"), node));
        let parent = self.uber_parent(rsc);
        self.create_notify_actions(parent, &data);
    }

    /// Creates all notifications of one clone.
    pub(crate) fn create_clone_notifications(&mut self, clone: RscIx) {
        let Some(data) = &self.rscs[clone].clone else { return };
        let all = [
            data.start_notify.clone(),
            data.stop_notify.clone(),
            data.promote_notify.clone(),
            data.demote_notify.clone(),
        ];
        for mut data in all.into_iter().flatten() {
            data.allowed = self.row_by_name(&self.rscs[clone].allowed);
            self.collect_notify(clone, true, &mut data);
            self.notify_keys(clone, &mut data);
            self.create_notify_actions(clone, &data);
        }
    }

    fn collect_notify(&mut self, rsc: RscIx, activity: bool, data: &mut NotifyData) {
        let children = self.rscs[rsc].children.clone();
        if !children.is_empty() {
            for child in children {
                self.collect_notify(child, activity, data);
            }
            return;
        }
        let r = &self.rscs[rsc];
        let entry = (rsc, r.active_nodes.first().copied());
        match r.role {
            Role::Stopped => data.inactive.push(entry),
            Role::Started => data.active.push(entry),
            Role::Unpromoted => {
                data.unpromoted.push(entry);
                data.active.push(entry);
            }
            Role::Promoted => {
                data.promoted.push(entry);
                data.active.push(entry);
            }
            Role::Unknown => {}
        }
        if !activity {
            return;
        }
        for action in r.actions.iter().rev() {
            let a = &self.actions[*action];
            let Some(node) = a.node.filter(|_| !a.is(af::OPTIONAL)) else { continue };
            let stop_by_fencing = a.task == "stop" && self.nodes[node].unclean;
            if !stop_by_fencing && !a.is(af::RUNNABLE) {
                continue;
            }
            let entry = (rsc, Some(node));
            match &*a.task {
                "start" => data.start.push(entry),
                "stop" => data.stop.push(entry),
                "promote" => data.promote.push(entry),
                "demote" => data.demote.push(entry),
                _ => {}
            }
        }
    }

    /// Nodes in a row, sorted by name.
    pub(crate) fn row_by_name(&self, row: &Row) -> Vec<NodeIx> {
        self.node_order.iter().copied().filter(|n| slot(row, *n).is_some()).collect()
    }

    /// Names of resources and of their nodes, sorted, each resource once.
    fn entry_names(&self, entries: &Entries, with_nodes: bool) -> (Str, Str) {
        let mut sorted = entries.clone();
        let node_id = |n: Option<NodeIx>| n.map(|n| self.nodes[n].id.clone());
        sorted.sort_by(|a, b| {
            let by_id = self.rscs[a.0].id.cmp(&self.rscs[b.0].id);
            by_id.then_with(|| match (node_id(a.1), node_id(b.1)) {
                (None, None) => std::cmp::Ordering::Equal,
                (None, _) => std::cmp::Ordering::Greater,
                (_, None) => std::cmp::Ordering::Less,
                (Some(x), Some(y)) => x.cmp(&y),
            })
        });
        let (mut rscs, mut nodes, mut last): (Vec<&str>, Vec<&str>, Option<&str>) = Default::default();
        for (rsc, node) in &sorted {
            let id: &str = &self.rscs[*rsc].id;
            if (with_nodes && node.is_none()) || last == Some(id) {
                continue;
            }
            last = Some(id);
            rscs.push(id);
            if let Some(node) = node {
                nodes.push(&self.nodes[*node].name);
            }
        }
        let text =
            |words: Vec<&str>| Str::from(if words.is_empty() { " ".to_string() } else { words.join(" ") });
        (text(rscs), text(nodes))
    }

    fn notify_keys(&mut self, rsc: RscIx, data: &mut NotifyData) {
        let mut keys: Vec<(Str, Str)> = Vec::new();
        let add =
            |keys: &mut Vec<(Str, Str)>, name: &'static str, value: Str| keys.push((Str::lit(name), value));
        let (rscs, nodes) = self.entry_names(&data.stop, true);
        let mut required = *rscs != *" " && data.action == "stop";
        add(&mut keys, "notify_stop_resource", rscs);
        add(&mut keys, "notify_stop_uname", nodes);
        required |= !data.start.is_empty() && data.action == "start";
        required |= !data.demote.is_empty() && data.action == "demote";
        required |= !data.promote.is_empty() && data.action == "promote";
        let lists: [(&Entries, &[(&'static str, &'static str)]); 6] = [
            (&data.start, &[("notify_start_resource", "notify_start_uname")]),
            (&data.demote, &[("notify_demote_resource", "notify_demote_uname")]),
            (&data.promote, &[("notify_promote_resource", "notify_promote_uname")]),
            (&data.active, &[("notify_active_resource", "notify_active_uname")]),
            (
                &data.unpromoted,
                &[
                    ("notify_unpromoted_resource", "notify_unpromoted_uname"),
                    ("notify_slave_resource", "notify_slave_uname"),
                ],
            ),
            (
                &data.promoted,
                &[
                    ("notify_promoted_resource", "notify_promoted_uname"),
                    ("notify_master_resource", "notify_master_uname"),
                ],
            ),
        ];
        for (entries, names) in lists {
            let (rscs, nodes) = self.entry_names(entries, true);
            for (rsc_name, node_name) in names {
                add(&mut keys, rsc_name, rscs.clone());
                add(&mut keys, node_name, nodes.clone());
            }
        }
        add(&mut keys, "notify_inactive_resource", self.entry_names(&data.inactive, false).0);
        add(&mut keys, "notify_available_uname", self.names_of(&data.allowed, false));
        if self.rscs[rsc].meta.get("container-attribute-target") == Some("host") {
            add(&mut keys, "notify_all_hosts", self.names_of(&self.node_order, true));
        }
        add(&mut keys, "notify_all_uname", self.names_of(&self.node_order, false));
        data.keys.extend(keys);
        if required {
            for step in [data.pre, data.pre_done, data.post, data.post_done].into_iter().flatten() {
                self.actions[step].flags &= !af::OPTIONAL;
            }
        }
    }

    fn names_of(&self, nodes: &[NodeIx], hosts: bool) -> Str {
        let name = |node: &NodeIx| {
            let launcher = self.guest_launcher(*node).filter(|_| hosts);
            let host = launcher.and_then(|l| self.current_node(l)).unwrap_or(*node);
            self.nodes[host].name.to_string()
        };
        let names: Vec<String> = nodes.iter().map(name).collect();
        if names.is_empty() { Str::lit(" ") } else { names.join(" ").into() }
    }

    fn add_notify_keys(&mut self, action: ActIx, data: &NotifyData) {
        for (name, value) in data.keys.iter().rev() {
            self.actions[action].op_mut().meta.set(name.clone(), value.clone());
        }
    }

    fn create_notify_actions(&mut self, rsc: RscIx, data: &NotifyData) {
        let children = self.rscs[rsc].children.clone();
        if !children.is_empty() {
            for child in children {
                self.create_notify_actions(child, data);
            }
            return;
        }
        for action in self.rscs[rsc].actions.clone().into_iter().rev() {
            let a = &self.actions[action];
            if !a.is(af::OPTIONAL)
                && a.node.is_some()
                && matches!(&*a.task, "start" | "stop" | "promote" | "demote")
            {
                self.add_notify_keys(action, data);
            }
        }
        let nothing = match &*data.action {
            "start" => data.start.is_empty(),
            "promote" => data.promote.is_empty(),
            "demote" => data.demote.is_empty(),
            _ => false,
        };
        if nothing {
            return;
        }
        match &*data.action {
            "stop" | "demote" if self.rscs[rsc].role != Role::Stopped => self.notify_going_down(rsc, data),
            "start" | "promote" if self.rscs[rsc].next_role != Role::Stopped => {
                self.notify_coming_up(rsc, data)
            }
            _ => {}
        }
    }

    fn notify_going_down(&mut self, rsc: RscIx, data: &NotifyData) {
        let stop = self.first_action(rsc, "stop", None);
        for node in self.rscs[rsc].active_nodes.clone() {
            let gone = self.nodes[node].unclean || self.nodes[node].is(nf::REMOTE_RESET);
            if stop.is_some_and(|s| self.actions[s].is(af::PSEUDO)) && gone {
                continue;
            }
            self.new_notify(rsc, node, data.pre, data.pre_done, data);
            if data.action == "demote" || stop.is_none_or(|s| self.actions[s].is(af::OPTIONAL)) {
                self.new_post_notify(rsc, node, data);
            }
        }
    }

    fn notify_coming_up(&mut self, rsc: RscIx, data: &NotifyData) {
        let start = self.first_action(rsc, "start", None);
        if let Some(start) = start {
            let remote = self.actions[start].node.and_then(|n| self.nodes[n].remote);
            let remote_start = remote.and_then(|r| self.first_action(r, "start", None));
            if remote_start.is_some_and(|s| !self.actions[s].is(af::RUNNABLE)) {
                return;
            }
        }
        let Some(node) = self.rscs[rsc].assigned else { return };
        if data.action != "start" || start.is_none_or(|s| self.actions[s].is(af::OPTIONAL)) {
            self.new_notify(rsc, node, data.pre, data.pre_done, data);
        }
        self.new_post_notify(rsc, node, data);
    }

    fn new_notify(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        op: Option<ActIx>,
        done: Option<ActIx>,
        data: &NotifyData,
    ) -> Option<ActIx> {
        let (op, done) = (op?, done?);
        if !self.nodes[node].online || !self.actions[op].is(af::RUNNABLE) {
            return None;
        }
        let a = &self.actions[op];
        let (task, optional, meta) = (a.task.clone(), a.is(af::OPTIONAL), a.meta.clone());
        let kind = meta.get("notify_type").unwrap_or("");
        let key = notify_key(&self.rscs[rsc].id, kind, meta.get("notify_operation").unwrap_or(""));
        let notify = self.custom_action(Some(rsc), key, task, Some(node), optional);
        for (name, value) in meta.iter() {
            self.actions[notify].op_mut().meta.add(name.clone(), value.clone());
        }
        self.add_notify_keys(notify, data);
        self.order_actions(op, notify, ar::ORDERED);
        self.order_actions(notify, done, ar::ORDERED);
        Some(notify)
    }

    fn new_post_notify(&mut self, rsc: RscIx, node: NodeIx, data: &NotifyData) {
        if let Some(notify) = self.new_notify(rsc, node, data.post, data.post_done, data) {
            self.actions[notify].op_mut().priority = base::INFINITY;
        }
        let Some(done) = data.post_done else { return };
        for monitor in self.rscs[rsc].actions.clone().into_iter().rev() {
            let a = &self.actions[monitor];
            if a.meta.get("interval").is_some_and(|i| i != "0") && a.task != "cancel" {
                self.order_actions(done, monitor, ar::ORDERED);
            }
        }
    }
}
