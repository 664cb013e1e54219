//! Stage "graph": the transition, as the manager executes it.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{Str, meta_name, notify_key, op_key, parse_uint};
use std::collections::BTreeMap;
use xml::{Document, NodeId};

/// A transition: actions in order of the ids of their synapses.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub actions: Vec<ActIx>,
    /// When to decide again, as far as was known before the parameters of actions were looked at;
    /// [`Cluster::recheck_by`] may be earlier.
    pub recheck_by: Option<i64>,
}

/// What the XML of an action says beyond the action itself.
#[derive(Debug, Clone, Default)]
struct Details {
    attributes: BTreeMap<Str, Str>,
    /// Parameters whose names are no XML names.
    params: BTreeMap<Str, Str>,
}

/// Number that transitions have until the manager gives them one.
const TRANSITION_ID: &str = "1";

impl Cluster {
    fn in_graph(&mut self, action: ActIx) -> bool {
        let a = &self.actions[action];
        if !a.is(af::RUNNABLE) || (a.is(af::OPTIONAL) && !a.is(af::ALWAYS_IN_GRAPH)) {
            return false;
        }
        let unmanaged = a.rsc.is_some_and(|r| !self.rscs[r].is(rf::MANAGED));
        if unmanaged && a.task != "monitor" && a.meta.get("interval").is_none_or(|i| i == "0") {
            return false;
        }
        if a.is(af::PSEUDO) || a.task == "stonith" || a.task == "do_shutdown" {
            return true;
        }
        let Some(node) = a.node else { return false };
        let n = &self.nodes[node];
        if a.is(af::ON_DC) || (self.is_guest(node) && !n.is(nf::REMOTE_RESET)) {
            return true;
        }
        n.online && !n.unclean
    }

    /// Whether an ordering puts its first action among the inputs of an action.
    fn input_in_graph(&mut self, action: ActIx, at: usize) -> bool {
        let Some(input) = self.actions[action].before.get(at).copied() else { return false };
        if input.graphed() {
            return true;
        }
        let (a, i) = (&self.actions[action], &self.actions[input.action]);
        let flags = input.flags;
        const PASSIVE: u32 = ar::THEN_IMPLIES_FIRST_GRAPHED | ar::FIRST_IMPLIES_THEN_GRAPHED | ar::ORDERED;
        let runnable = i.is(af::RUNNABLE);
        let mut drop_it = false;
        let mut keep = true;
        if flags == ar::NONE
            || (!runnable && flags & !PASSIVE == 0)
            || (!runnable && flags & (ar::MIN_RUNNABLE | ar::UNMIGRATABLE_THEN_BLOCKS) != 0)
            || (flags & ar::IF_FIRST_UNMIGRATABLE != 0 && i.is(af::MIGRATABLE))
            || (flags == ar::ORDERED && i.is(af::MIGRATABLE) && i.key.ends_with("_stop_0"))
        {
            keep = false;
        } else if flags == ar::IF_ON_SAME_NODE_OR_TARGET {
            let rsc = a.rsc.filter(|_| a.task == "migrate_to");
            let target = match rsc {
                Some(rsc) => self.rscs[rsc].assigned,
                None => a.node,
            };
            let same = i.node.is_some() && i.node == target;
            drop_it = !same || (rsc.is_none() && i.is(af::OPTIONAL));
        } else if flags == ar::IF_REQUIRED_ON_SAME_NODE {
            let elsewhere = i.node.is_some() && a.node.is_some() && i.node != a.node;
            drop_it = elsewhere || i.is(af::OPTIONAL);
        } else if i.rsc.is_some()
            && i.rsc != a.rsc
            && i.rsc.is_some_and(|r| self.rscs[r].is(rf::FAILED) && !self.rscs[r].is(rf::MANAGED))
            && i.key.ends_with("_stop_0")
            && a.rsc.is_some_and(|r| self.is_clone(r))
        {
            keep = false;
        } else if i.is(af::OPTIONAL) && !i.any(af::ALWAYS_IN_GRAPH | af::ADDED_TO_GRAPH) {
            keep = self.in_graph(input.action);
        }
        if drop_it {
            if let Some(input) = self.actions[action].before.get_mut(at) {
                input.flags = ar::NONE;
            }
            return false;
        }
        keep
    }

    /// Whether an action is, by this input, among the inputs of its own inputs.
    pub(crate) fn graph_has_loop(&mut self, action: ActIx, at: usize) -> bool {
        let mut marked = Vec::new();
        let found = self.leads_back(action, action, at, &mut marked);
        for action in marked {
            self.actions[action].flags &= !af::DETECT_LOOP;
        }
        found
    }

    /// Looks at each action once: what did not lead back before does not do so by another way.
    fn leads_back(&mut self, init: ActIx, action: ActIx, at: usize, marked: &mut Vec<ActIx>) -> bool {
        let Some(input) = self.actions[action].before.get(at).copied() else { return false };
        if self.actions[input.action].is(af::DETECT_LOOP) || !self.input_in_graph(action, at) {
            return false;
        }
        if input.action == init {
            return true;
        }
        self.actions[input.action].flags |= af::DETECT_LOOP;
        marked.push(input.action);
        let inputs = self.actions[input.action].before.len();
        (0..inputs).rev().any(|next| self.leads_back(init, input.action, next, marked))
    }

    /// Merges several orderings with the same action; the rest is sorted by id.
    fn deduplicate_inputs(&mut self, action: ActIx) {
        if self.actions[action].before.len() < 2 {
            return;
        }
        let mut before = self.actions[action].before.to_vec();
        before.reverse();
        before.sort_by_key(|r| r.action);
        before.dedup_by(|next, last| {
            let same = next.action == last.action;
            last.flags |= if same { next.flags } else { 0 };
            same
        });
        before.reverse();
        self.actions[action].before = before.into();
    }

    fn add_to_graph(&mut self, action: ActIx, graph: &mut Graph) {
        if !self.actions[action].is(af::INPUTS_DEDUPLICATED) {
            self.deduplicate_inputs(action);
            self.actions[action].flags |= af::INPUTS_DEDUPLICATED;
        }
        if self.actions[action].is(af::ADDED_TO_GRAPH) || !self.in_graph(action) {
            return;
        }
        self.actions[action].flags |= af::ADDED_TO_GRAPH;
        for at in (0..self.actions[action].before.len()).rev() {
            if self.input_in_graph(action, at)
                && let Some(input) = self.actions[action].before.get_mut(at)
            {
                input.flags |= ar::GRAPHED;
            }
        }
        self.prepare_params(action);
        graph.actions.push(action);
    }

    /// Sees to it that the parameters that an action shows are known.
    fn prepare_params(&mut self, action: ActIx) {
        let a = &self.actions[action];
        let (Some(rsc), node) = (a.rsc, a.node) else { return };
        if node.is_some() || self.rscs[rsc].variant == Variant::Primitive {
            let params = self.params(rsc, node);
            if params.get("addr") == Some("#uname") {
                self.params(rsc, None);
            }
        }
    }

    fn rsc_to_graph(&mut self, rsc: RscIx, graph: &mut Graph) {
        match self.rscs[rsc].variant {
            Variant::Clone => {
                for action in self.rscs[rsc].actions.clone().into_iter().rev() {
                    self.action_flags(action, None);
                }
                self.create_clone_notifications(rsc);
                for child in self.rscs[rsc].children.clone() {
                    self.rsc_to_graph(child, graph);
                }
                self.own_actions_to_graph(rsc, graph);
            }
            Variant::Bundle => {
                if let Some(child) = self.bundle_of(rsc).and_then(|b| b.child) {
                    self.rsc_to_graph(child, graph);
                }
                for replica in self.replicas(rsc) {
                    self.replica_to_graph(&replica, graph);
                }
            }
            _ => self.own_actions_to_graph(rsc, graph),
        }
    }

    fn replica_to_graph(&mut self, replica: &Replica, graph: &mut Graph) {
        if let Some(remote) = replica.remote
            && let Some(name) = self.remote_name(remote)
        {
            self.rscs[remote].addr_override = Some(name.clone());
            let mut base = (*self.params(remote, None)).clone();
            base.set(Str::lit("addr"), name);
            self.rscs[remote].params.clear();
            self.rscs[remote].params.insert(None, std::sync::Arc::new(base));
        }
        for part in [replica.ip, Some(replica.container), replica.remote].into_iter().flatten() {
            self.rsc_to_graph(part, graph);
        }
    }

    fn own_actions_to_graph(&mut self, rsc: RscIx, graph: &mut Graph) {
        for action in self.rscs[rsc].actions.clone().into_iter().rev() {
            self.add_to_graph(action, graph);
        }
        for child in self.rscs[rsc].children.clone() {
            self.rsc_to_graph(child, graph);
        }
    }

    /// What is active somewhere although its history ended with a stop (after a migration that failed, say)
    /// counts as started from now on: for notifications, and for what is shown.
    fn correct_roles(&mut self) {
        for rsc in self.rscs.indices() {
            let r = &mut self.rscs[rsc];
            if r.variant == Variant::Primitive && r.role == Role::Stopped && !r.active_nodes.is_empty() {
                r.role = Role::Started;
            }
        }
    }

    pub(crate) fn create_graph(&mut self) -> Graph {
        let mut graph = Graph { recheck_by: self.recheck_by, ..Graph::default() };
        self.correct_roles();
        for rsc in self.top.clone() {
            self.rsc_to_graph(rsc, &mut graph);
        }
        if !self.maintenance_changes().is_empty() {
            let action = self.pseudo_op(Str::lit("maintenance_nodes"));
            self.actions[action].flags |= af::ALWAYS_IN_GRAPH;
        }
        for action in self.actions.indices().rev() {
            self.add_to_graph(action, &mut graph);
        }
        graph
    }

    /// Remote nodes whose recorded maintenance state is not the real one.
    fn maintenance_changes(&self) -> Vec<(Str, bool)> {
        let differs = |n: &&Node| n.is_remote && n.maintenance != n.is(nf::REMOTE_MAINT);
        let nodes = self.node_order.iter().map(|n| &self.nodes[*n]);
        nodes.filter(differs).map(|n| (n.id.clone(), n.maintenance)).collect()
    }

    fn action_details(&self, action: ActIx) -> Details {
        let mut out = Details::default();
        let (rsc, node) = (self.actions[action].rsc, self.actions[action].node);
        out.attributes.insert(Str::lit("crm_feature_set"), Str::lit(base::CRM_FEATURE_SET));
        for (name, value) in self.actions[action].extra.iter() {
            out.attributes.entry(name.clone()).or_insert_with(|| value.clone());
        }
        if let Some(rsc) = rsc.filter(|r| node.is_some() || self.rscs[*r].variant == Variant::Primitive) {
            let params = self.known_params(rsc, node);
            let own_addr = params.and_then(|params| self.own_addr(rsc, params));
            for (name, value) in params.into_iter().flat_map(|params| params.iter()) {
                let value = own_addr.clone().filter(|_| *name == "addr").unwrap_or_else(|| value.clone());
                if name.starts_with(|c: char| c.is_ascii_digit()) {
                    out.params.insert(name.clone(), value);
                } else {
                    out.attributes.entry(name.clone()).or_insert(value);
                }
            }
        }
        let shown = !self.actions[action].is(af::PSEUDO) || self.actions[action].task == "stonith";
        if let Some(node) = node.filter(|_| shown) {
            let (name, id) = (self.nodes[node].name.clone(), self.nodes[node].id.clone());
            out.attributes.entry(meta_name("on_node")).or_insert(name);
            out.attributes.entry(meta_name("on_node_uuid")).or_insert(id);
        }
        for (name, value) in self.actions[action].meta.iter() {
            if !name.contains(['#', ':']) {
                out.attributes.entry(meta_name(name)).or_insert_with(|| value.clone());
            }
        }
        let mut up = rsc;
        while let Some(at) = up {
            self.add_rsc_meta(at, &mut out.attributes);
            up = self.rscs[at].parent;
        }
        if rsc.is_some() {
            self.add_guest_meta(action, &mut out.attributes);
        }
        out
    }

    /// Address of a bundle's connection, known once its container is placed.
    fn own_addr(&self, rsc: RscIx, params: &crate::text::Table) -> Option<Str> {
        if params.get("addr") != Some("#uname") {
            return None;
        }
        self.known_params(rsc, None)?.get_str("addr")
    }

    fn add_rsc_meta(&self, rsc: RscIx, attrs: &mut BTreeMap<Str, Str>) {
        let r = &self.rscs[rsc];
        let mut set = |name: &str, value: Str| {
            attrs.insert(meta_name(name), value);
        };
        match (r.variant, &r.clone) {
            (Variant::Primitive, _) => {
                for name in ["clone", "remote-node"] {
                    if let Some(value) = r.meta.get_str(name) {
                        set(name, value);
                    }
                }
                let mut up = Some(rsc);
                while let Some(at) = up {
                    if let Some(launcher) = self.rscs[at].launcher {
                        set("container", self.rscs[launcher].id.clone());
                    }
                    up = self.rscs[at].parent;
                }
                if let Some(ip) = r.meta.get_str("external-ip") {
                    attrs.insert(Str::lit("pcmk_external_ip"), ip);
                }
            }
            (Variant::Clone, Some(clone)) => {
                let text = |on: bool| Str::lit(if on { "true" } else { "false" });
                set("globally-unique", text(r.is(rf::UNIQUE)));
                set("notify", text(r.is(rf::NOTIFY)));
                set("clone-max", clone.max.to_string().into());
                set("clone-node-max", clone.node_max.to_string().into());
                if r.is(rf::PROMOTABLE) {
                    for name in ["promoted-max", "master-max"] {
                        set(name, clone.promoted_max.to_string().into());
                    }
                    for name in ["promoted-node-max", "master-node-max"] {
                        set(name, clone.promoted_node_max.to_string().into());
                    }
                }
            }
            _ => {}
        }
    }

    // XML

    /// The transition as the manager's `<transition_graph>`.
    pub fn graph_xml(&self, graph: &Graph) -> Document {
        let mut doc = Document::new("transition_graph");
        let root = doc.root();
        let fatal = if self.config.start_failure_fatal { "INFINITY" } else { "1" };
        doc.set_attr(root, "cluster-delay", &self.option("cluster-delay"));
        doc.set_attr(root, "fencing-timeout", &self.option("fencing-timeout"));
        doc.set_attr(root, "failed-stop-offset", "INFINITY");
        doc.set_attr(root, "failed-start-offset", fatal);
        doc.set_attr(root, "batch-limit", &self.option("batch-limit"));
        doc.set_attr(root, "transition_id", TRANSITION_ID);
        let limit = self.option("migration-limit");
        if crate::text::parse_int(&limit).unwrap_or(-1) > 0 {
            doc.set_attr(root, "migration-limit", &limit);
        }
        if let Some(when) = graph.recheck_by.filter(|when| *when > 0) {
            doc.set_attr(root, "recheck-by", &when.to_string());
        }
        for (id, action) in graph.actions.iter().copied().enumerate() {
            let a = &self.actions[action];
            let node = doc.append_with(root, "synapse", &[("id", &id.to_string())]);
            let priority = a.priority.max(a.rsc.map_or(0, |r| self.rscs[r].priority));
            if priority > 0 {
                doc.set_attr(node, "priority", &priority.to_string());
            }
            let set = doc.append(node, "action_set");
            let inputs = doc.append(node, "inputs");
            let element = self.action_xml(&mut doc, set, action);
            self.action_details_xml(&mut doc, element, action, &self.action_details(action));
            for input in a.before.iter().rev().filter(|input| input.graphed()) {
                let trigger = doc.append(inputs, "trigger");
                self.action_xml(&mut doc, trigger, input.action);
            }
        }
        doc
    }

    fn action_xml(&self, doc: &mut Document, parent: NodeId, action: ActIx) -> NodeId {
        let a = &self.actions[action];
        let (mut with_node, mut mode) = (true, None);
        let element = match &*a.task {
            "stonith" if a.is(af::PSEUDO) => "pseudo_event",
            "stonith" | "do_shutdown" | "clear_failcount" => "crm_event",
            "lrm_delete" => {
                mode = Some("cib");
                "crm_event"
            }
            _ if a.is(af::PSEUDO) => {
                with_node = false;
                "pseudo_event"
            }
            _ => "rsc_op",
        };
        let out = doc.append(parent, element);
        if let Some(mode) = mode {
            doc.set_attr(out, "mode", mode);
        }
        doc.set_attr(out, "id", &self.action_number(action).to_string());
        doc.set_attr(out, "operation", &a.task);
        match a.rsc.and_then(|r| self.rscs[r].history_id.as_ref()) {
            Some(history) => {
                doc.set_attr(out, "operation_key", &self.history_key(a, history));
                doc.set_attr(out, "internal_operation_key", &a.key);
            }
            None => doc.set_attr(out, "operation_key", &a.key),
        }
        if let Some(node) = a.node.filter(|_| with_node) {
            doc.set_attr(out, "on_node", &self.nodes[node].name);
            doc.set_attr(out, "on_node_uuid", &self.nodes[node].id);
            if let Some(router) = self.router_node(action) {
                doc.set_attr(out, "router_node", &self.nodes[router].name);
            }
        }
        out
    }

    /// Number of an action in the graph.
    pub fn action_number(&self, action: ActIx) -> usize {
        usize::from(action) + 1
    }

    fn history_key(&self, a: &Action, history: &str) -> Str {
        if a.task == "notify" {
            let get = |name: &str| a.meta.get(name).unwrap_or("");
            return notify_key(history, get("notify_type"), get("notify_operation"));
        }
        op_key(history, a.cancel_task.as_ref().unwrap_or(&a.task), parse_uint(a.meta.get("interval")))
    }

    fn action_details_xml(&self, doc: &mut Document, element: NodeId, action: ActIx, details: &Details) {
        let a = &self.actions[action];
        if let Some(rsc) = a.rsc.filter(|_| !a.is(af::PSEUDO)) {
            self.rsc_details_xml(doc, element, a, rsc);
        }
        let attrs = doc.append(element, "attributes");
        for (name, value) in &details.attributes {
            doc.set_attr(attrs, name, value);
        }
        for (name, value) in &details.params {
            doc.append_with(attrs, "param", &[("name", name), ("value", value)]);
        }
        if a.node.is_some() && (!a.is(af::PSEUDO) || a.task == "stonith") {
            self.downed_xml(doc, element, action);
        }
        if a.task == "maintenance_nodes" && a.is(af::PSEUDO) {
            let holder = doc.append(element, "maintenance");
            for (id, on) in self.maintenance_changes() {
                let on = if on { "1" } else { "0" };
                doc.append_with(holder, "node", &[("id", &id), ("node_in_maintenance", on)]);
            }
        }
    }

    fn rsc_details_xml(&self, doc: &mut Document, element: NodeId, a: &Action, rsc: RscIx) {
        let r = &self.rscs[rsc];
        let locks = r.lock_node.is_some()
            && a.node == r.lock_node
            && !(a.node.is_some_and(|n| self.nodes[n].shutdown) && a.task != "stop");
        if locks {
            doc.set_attr(element, "shutdown-lock", &r.lock_time.to_string());
        }
        let out = doc.append(element, r.variant.element());
        match &r.history_id {
            Some(history) if r.is(rf::REMOVED) => {
                doc.set_attr(out, "id", history);
                doc.set_attr(out, "long-id", &r.id);
            }
            history if !r.is(rf::UNIQUE) => {
                doc.set_attr(out, "id", &r.xml_id);
                let long = history.as_ref().filter(|h| **h != r.xml_id).unwrap_or(&r.id);
                doc.set_attr(out, "long-id", long);
            }
            _ => doc.set_attr(out, "id", &r.id),
        }
        for name in ["class", "provider", "type"] {
            if let Some(value) = r.meta.get(name) {
                doc.set_attr(out, name, value);
            }
        }
    }

    /// Nodes that are gone once this action is done.
    fn downed_xml(&self, doc: &mut Document, element: NodeId, action: ActIx) {
        let a = &self.actions[action];
        let Some(node) = a.node else { return };
        let mut ids = Vec::new();
        match &*a.task {
            "do_shutdown" => ids.push(self.nodes[node].id.clone()),
            "stonith" => {
                if !matches!(a.meta.get("stonith_action"), Some("off" | "reboot")) {
                    return;
                }
                ids.push(self.nodes[node].id.clone());
                ids.extend(self.guests_on(node).into_iter().map(|g| self.nodes[g].id.clone()));
            }
            "stop" => {
                let Some(rsc) = a.rsc.filter(|r| self.rscs[*r].is(rf::REMOTE_CONNECTION)) else { return };
                let migrating = a.before.iter().any(|input| {
                    let i = &self.actions[input.action];
                    i.task == "migrate_from" && i.rsc.is_some_and(|r| self.rscs[r].id == self.rscs[rsc].id)
                });
                if migrating {
                    return;
                }
                ids.push(self.rscs[rsc].id.clone());
            }
            _ => return,
        }
        let downed = doc.append(element, "downed");
        for id in ids {
            doc.append_with(downed, "node", &[("id", &id)]);
        }
    }
}
