//! A CIB of one's own, into which made-up events are written.

use crate::record::Record;
use scheduler::digest;
use scheduler::text::{Str, leading_int, op_key, parse_int};
use std::collections::{BTreeMap, HashMap};
use xml::{Document, Element, NodeId};

/// Who is recorded as the origin of made-up entries.
const ORIGIN: &str = "crm_simulate";

/// The same for nodes that were fenced: the name of the reference's function.
const FENCING: &str = "simulate_fencing_action";

/// The set of cluster options that tools write to.
const OPTIONS: &str = "cib-bootstrap-options";

/// UUID of transitions that nobody computed.
const FAKE_TRANSITION: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

/// Exit status of a monitor that finds nothing.
const NOT_RUNNING: i32 = 7;

/// Agent of a resource.
#[derive(Debug, Clone, Default)]
pub struct Agent {
    pub class: Option<String>,
    pub provider: Option<String>,
    pub kind: Option<String>,
}

/// A made-up result of an operation.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub rsc: String,
    pub task: String,
    pub interval_ms: u32,
    pub node: String,
    pub exit: i32,
    pub target: i32,
    /// Only results that were asked for say why they are there.
    pub reason: &'static str,
    /// Seconds since 1970.
    pub when_s: i64,
    pub params: BTreeMap<Str, Str>,
}

/// The CIB.
#[derive(Debug, Clone)]
pub struct Fake {
    pub doc: Document,
    /// Nodes that are touched become cluster nodes, as in the reference once a node was brought up.
    pub adds_nodes: bool,
    /// Something was changed since the version was last counted.
    changed: bool,
    /// Histories of the nodes' states that were asked for, by resource.
    histories: HashMap<NodeId, HashMap<String, NodeId>>,
    /// Histories of which a node's state has a second one: list, first one, later one.
    duplicates: Vec<(NodeId, NodeId, NodeId)>,
}

/// Histories of the same resource in the same list.
fn duplicates(doc: &Document) -> Vec<(NodeId, NodeId, NodeId)> {
    let mut out = Vec::new();
    for list in doc.root_element().descendants().filter(|e| e.name() == "lrm_resources") {
        let mut seen: HashMap<&str, NodeId> = HashMap::new();
        for history in list.children() {
            let Some(id) = history.attr("id") else { continue };
            match seen.get(id) {
                Some(first) => out.push((list.id(), *first, history.id())),
                None => {
                    seen.insert(id, history.id());
                }
            }
        }
    }
    out
}

/// Makes a text an XML id: dots for what must not be in one, an underscore for what must not come first.
fn xml_id(text: &str) -> String {
    let fits = |at: usize, c: char| {
        let anywhere = c.is_alphabetic() || matches!(c, '_' | ':');
        anywhere || (at > 0 && (c.is_ascii_digit() || matches!(c, '-' | '.')))
    };
    let replaced = |at: usize| if at == 0 { '_' } else { '.' };
    text.chars().enumerate().map(|(at, c)| if fits(at, c) { c } else { replaced(at) }).collect()
}

impl Fake {
    pub fn new(cib: &Document) -> Fake {
        Fake {
            doc: cib.clone(),
            adds_nodes: false,
            changed: false,
            histories: HashMap::new(),
            duplicates: duplicates(cib),
        }
    }

    /// Counts the changes so far as one update of the CIB, if there are any: the reference writes each of
    /// its changes to a file through the CIB manager's code.
    pub fn commit(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.raise("num_updates");
        }
    }

    /// As [`Fake::commit`], for changes of the configuration.
    fn commit_configuration(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.raise("epoch");
            let root = self.doc.root();
            self.doc.set_attr(root, "num_updates", "0");
        }
    }

    fn raise(&mut self, counter: &str) {
        let root = self.doc.root();
        let value = self.doc.attr(root, counter).and_then(parse_int).unwrap_or(0).saturating_add(1);
        self.doc.set_attr(root, counter, &value.to_string());
    }

    /// Sets an attribute, and notes whether that changes anything.
    pub fn set(&mut self, node: NodeId, name: &str, value: &str) {
        if self.doc.attr(node, name) != Some(value) {
            self.doc.set_attr(node, name, value);
            self.changed = true;
        }
    }

    fn section(&mut self, name: &str) -> NodeId {
        let root = self.doc.root();
        self.doc.child(root, name).unwrap_or_else(|| self.doc.append(root, name))
    }

    fn entry(&mut self, parent: NodeId, name: &str) -> NodeId {
        self.doc.child(parent, name).unwrap_or_else(|| self.doc.append(parent, name))
    }

    /// State of a node; made up if there is none. Pacemaker Remote nodes have their names as ids.
    pub fn node_state(&mut self, name: &str, id: Option<&str>) -> NodeId {
        if self.adds_nodes {
            self.add_node(name);
        }
        let status = self.section("status");
        let states: Vec<NodeId> =
            self.doc.element(status).children_named("node_state").map(Element::id).collect();
        let by =
            |attr: &str, value: &str| states.iter().copied().find(|s| self.doc.attr(*s, attr) == Some(value));
        if let Some(found) = by("uname", name) {
            return found;
        }
        let id = id.map_or_else(|| self.node_id(name), str::to_string);
        let found = by("id", &id);
        let state = found.unwrap_or_else(|| self.doc.append_with(status, "node_state", &[("id", &id)]));
        self.set(state, "uname", name);
        self.commit();
        state
    }

    /// Adds a node to the configuration unless there is one of that name.
    fn add_node(&mut self, name: &str) {
        let mut nodes = self.doc.root_element().descendants().filter(|e| e.name() == "node");
        if nodes.any(|e| e.attr("uname") == Some(name)) {
            return;
        }
        let configuration = self.section("configuration");
        let nodes = self.entry(configuration, "nodes");
        self.doc.append_with(nodes, "node", &[("id", name), ("uname", name)]);
        self.changed = true;
        self.commit_configuration();
    }

    fn node_id(&self, name: &str) -> String {
        let nodes = self.doc.root_element().path(&["configuration", "nodes"]);
        let node = nodes.and_then(|n| n.children().find(|c| c.attr("uname") == Some(name)));
        node.and_then(|n| n.attr("id")).unwrap_or(name).to_string()
    }

    /// Says what a node is in the ring, to the manager, and among the joined ones; and who says so.
    fn set_state(&mut self, name: &str, [member, crmd, join]: [&str; 3], origin: &str) -> NodeId {
        let state = self.node_state(name, None);
        for (attr, value) in [
            ("in_ccm", member),
            ("crmd", crmd),
            ("join", join),
            ("expected", join),
            ("crm-debug-origin", origin),
        ] {
            self.set(state, attr, value);
        }
        state
    }

    /// Says that a node joined.
    pub fn bring_up(&mut self, name: &str) {
        self.set_state(name, ["true", "online", "member"], ORIGIN);
        self.commit();
    }

    /// Says that a node is no member any more, though nobody expected that.
    pub fn fail(&mut self, name: &str) {
        self.set_state(name, ["false", "online", "member"], ORIGIN);
        self.commit();
    }

    /// Says that a node left, and forgets what ran there.
    pub fn take_down(&mut self, name: &str) {
        self.forget(name, ORIGIN);
    }

    /// As [`Fake::take_down`], after the node was fenced.
    pub fn fence(&mut self, name: &str) {
        self.forget(name, FENCING);
    }

    fn forget(&mut self, name: &str, origin: &str) {
        let state = self.set_state(name, ["false", "offline", "down"], origin);
        self.commit();
        self.histories.remove(&state);
        for part in ["lrm", "transient_attributes"] {
            if let Some(part) = self.doc.child(state, part) {
                self.doc.remove(part);
                self.changed = true;
                self.commit();
            }
        }
    }

    /// History of a resource on a node; made up if there is none.
    pub fn history(&mut self, state: NodeId, rsc: &str, config_id: &str, agent: &Agent) -> Option<NodeId> {
        let doc = &self.doc;
        let known = self.histories.entry(state).or_insert_with(|| {
            let mut known = HashMap::new();
            for entry in doc.element(state).descendants().filter(|e| e.name() == "lrm_resource") {
                known.entry(entry.attr("id").unwrap_or("").to_string()).or_insert_with(|| entry.id());
            }
            known
        });
        if let Some(found) = known.get(rsc).or_else(|| known.get(config_id)) {
            return Some(*found);
        }
        let (class, kind) = (agent.class.as_deref()?, agent.kind.as_deref()?);
        let id = self.doc.attr(state, "id").unwrap_or("").to_string();
        let lrm = match self.doc.child(state, "lrm") {
            Some(lrm) => lrm,
            None => self.doc.append_with(state, "lrm", &[("id", &id)]),
        };
        let list = self.entry(lrm, "lrm_resources");
        let entry = self.doc.append_with(list, "lrm_resource", &[("id", config_id), ("class", class)]);
        if let Some(provider) = &agent.provider {
            self.doc.set_attr(entry, "provider", provider);
        }
        self.doc.set_attr(entry, "type", kind);
        self.histories.entry(state).or_default().insert(config_id.to_string(), entry);
        Some(entry)
    }

    /// Writes a result into a resource's history.
    pub fn record(&mut self, history: NodeId, outcome: &Outcome) {
        self.changed = true;
        let task = match outcome.task.as_str() {
            "reload" | "reload-agent" => "start",
            task => task,
        };
        let param = |name: &str| outcome.params.get(name).map_or("", |v| &**v);
        let failed = outcome.exit != outcome.target && task != "notify";
        // As in the reference, migrations and what went well have none.
        let key = op_key(&outcome.rsc, task, outcome.interval_ms);
        let ids = match task {
            "notify" => {
                let (kind, of) = (param("CRM_meta_notify_type"), param("CRM_meta_notify_operation"));
                vec![scheduler::text::notify_key(&outcome.rsc, kind, of)]
            }
            "migrate_to" | "migrate_from" => vec![key.clone()],
            _ if failed && outcome.interval_ms == 0 => {
                vec![op_key(&outcome.rsc, "last_failure", 0), op_key(&outcome.rsc, "last", 0)]
            }
            _ if failed => vec![op_key(&outcome.rsc, "last_failure", 0)],
            _ if outcome.interval_ms > 0 => vec![key.clone()],
            _ => vec![op_key(&outcome.rsc, "last", 0)],
        };
        self.merge_duplicates(history);
        let calls =
            self.doc.element(history).children().filter_map(|op| op.attr("call-id").and_then(parse_int));
        let call = calls.max().unwrap_or(0).max(0).saturating_add(1);
        // With a duplicate the reference finds neither, and starts to count anew.
        let call = if self.duplicates.iter().any(|(_, first, _)| *first == history) { 1 } else { call };
        for id in ids {
            let known =
                self.doc.element(history).children().find(|op| op.attr("id") == Some(&id)).map(Element::id);
            let op = known.unwrap_or_else(|| self.doc.append_with(history, "lrm_rsc_op", &[("id", &id)]));
            self.fill(op, &key, task, call, outcome);
        }
    }

    /// As in the reference, which writes back the whole state of a node: what a later duplicate of a
    /// history says ends up in the first one.
    fn merge_duplicates(&mut self, changed: NodeId) {
        let list = self.doc.parent(changed);
        for (_, first, later) in self.duplicates.clone().into_iter().filter(|(at, ..)| list == Some(*at)) {
            self.merge(first, later);
        }
    }

    fn merge(&mut self, into: NodeId, from: NodeId) {
        let attrs: Vec<(String, String)> =
            self.doc.attrs(from).map(|(name, value)| (name.to_string(), value.to_string())).collect();
        for (name, value) in attrs {
            self.doc.set_attr(into, &name, &value);
        }
        for child in self.doc.child_elements(from) {
            let (name, id) = (self.doc.name(child), self.doc.attr(child, "id"));
            let same = self.doc.element(into).children().find(|c| c.name() == name && c.attr("id") == id);
            match same.map(Element::id) {
                Some(same) => self.merge(same, child),
                None => {
                    self.doc.duplicate(into, child);
                }
            }
        }
    }

    fn fill(&mut self, op: NodeId, key: &str, task: &str, call: i64, outcome: &Outcome) {
        let transition = format!("{call}:-1:{}:{FAKE_TRANSITION}", outcome.target);
        let exit = if task == "notify" { 0 } else { outcome.exit };
        let when = outcome.when_s.to_string();
        // Only a failure has a reason.
        let migration = matches!(task, "migrate_to" | "migrate_from");
        let reason = if exit == outcome.target || migration { "" } else { outcome.reason };
        let values = [
            ("operation_key", key.to_string()),
            ("operation", task.to_string()),
            ("crm-debug-origin", ORIGIN.to_string()),
            ("crm_feature_set", base::CRM_FEATURE_SET.to_string()),
            ("transition-key", transition.clone()),
            ("transition-magic", format!("0:{exit};{transition}")),
            ("exit-reason", reason.to_string()),
            ("on_node", outcome.node.clone()),
            ("call-id", call.to_string()),
            ("rc-code", exit.to_string()),
            ("op-status", "0".to_string()),
            ("interval", outcome.interval_ms.to_string()),
            ("last-rc-change", when),
            ("exec-time", "0".to_string()),
            ("queue-time", "0".to_string()),
        ];
        for (name, value) in values {
            self.doc.set_attr(op, name, &value);
        }
        if migration {
            for name in ["migrate_source", "migrate_target"] {
                if let Some(value) = outcome.params.get(format!("CRM_meta_{name}").as_str()) {
                    self.doc.set_attr(op, name, value);
                }
            }
        }
        if !outcome.params.is_empty() {
            let mut params = outcome.params.clone();
            digest::filter_params(&mut params);
            self.doc.set_attr(op, "op-digest", &digest::params_digest(&params));
        }
    }

    /// Counts a failure; returns the attributes that were set.
    pub fn count_failure(
        &mut self,
        state: NodeId,
        outcome: &Outcome,
        infinity: bool,
    ) -> Vec<(String, String)> {
        if outcome.exit == 0 || (outcome.exit == NOT_RUNNING && outcome.interval_ms == 0) {
            return Vec::new();
        }
        let name =
            |prefix: &str| format!("{prefix}-{}#{}_{}", outcome.rsc, outcome.task, outcome.interval_ms);
        let count = name("fail-count");
        let known = self.doc.element(state).descendants().find(|e| e.attr("name") == Some(&count));
        let known = known.and_then(|e| e.attr("value")).and_then(leading_int).map_or(0, |(n, _)| n);
        let value = if infinity { "INFINITY".to_string() } else { known.saturating_add(1).to_string() };
        let set = vec![(count, value), (name("last-failure"), outcome.when_s.to_string())];
        for (name, value) in &set {
            self.set_transient(state, name, value);
        }
        set
    }

    /// Reports on attributes that were set.
    pub fn attribute_records(&self, state: NodeId, set: &[(String, String)]) -> Vec<Record> {
        // The reference names the path within its own copy of the element.
        let (id, path) = (self.doc.attr(state, "id").unwrap_or(""), "/node_state");
        let record = |(name, value): &(String, String)| {
            let text = format!("Injecting attribute {name}={value} into {path} '{id}'");
            let attrs = [("name", name.as_str()), ("value", value), ("node_path", path), ("cib_node", id)];
            Record::new("inject_attr", text, &attrs)
        };
        set.iter().map(record).collect()
    }

    fn set_transient(&mut self, state: NodeId, name: &str, value: &str) {
        let id = self.doc.attr(state, "id").unwrap_or("").to_string();
        let attrs = self.entry(state, "transient_attributes");
        if self.doc.attr(attrs, "id").is_none() {
            self.doc.set_attr(attrs, "id", &id);
        }
        let block = self.entry(attrs, "instance_attributes");
        if self.doc.attr(block, "id").is_none() {
            self.doc.set_attr(block, "id", &id);
        }
        let block_id = self.doc.attr(block, "id").unwrap_or("").to_string();
        let pair_id = xml_id(&format!("{block_id}-{name}"));
        let pairs = self.doc.element(block).children();
        let known = pairs.filter(|e| e.attr("id") == Some(&pair_id)).last().map(Element::id);
        let pair = known
            .unwrap_or_else(|| self.doc.append_with(block, "nvpair", &[("id", &pair_id), ("name", name)]));
        self.doc.set_attr(pair, "value", value);
    }

    /// Sets a state of a ticket.
    pub fn set_ticket(&mut self, id: &str, attr: &str, value: bool) {
        let status = self.section("status");
        let tickets = self.entry(status, "tickets");
        let known = self.doc.element(tickets).children().find(|t| t.attr("id") == Some(id)).map(Element::id);
        let ticket = known.unwrap_or_else(|| self.doc.append_with(tickets, "ticket_state", &[("id", id)]));
        self.set(ticket, attr, if value { "true" } else { "false" });
        self.commit();
    }

    /// Sets a cluster option.
    pub fn set_option(&mut self, name: &str, value: &str) {
        let configuration = self.section("configuration");
        let config = self.entry(configuration, "crm_config");
        let pairs = self.doc.element(config).descendants();
        let known =
            pairs.filter(|e| e.name() == "nvpair").find(|e| e.attr("name") == Some(name)).map(Element::id);
        let pair = known.unwrap_or_else(|| {
            let sets = self.doc.element(config).children_named("cluster_property_set");
            let known = sets.filter(|set| set.attr("id") == Some(OPTIONS)).map(Element::id).next();
            let set = known
                .unwrap_or_else(|| self.doc.append_with(config, "cluster_property_set", &[("id", OPTIONS)]));
            let id = format!("{OPTIONS}-{name}");
            self.doc.append_with(set, "nvpair", &[("id", &id), ("name", name)])
        });
        self.set(pair, "value", value);
        self.commit_configuration();
    }
}
