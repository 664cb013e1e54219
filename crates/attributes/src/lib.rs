//! Transient node attributes as a sans-IO core: values per node, and what must be written.
//!
//! Read [`Attributes`] first. Every node holds all values; the writer (the node that leads) writes
//! them into the status section. Updates come in total order, so all tables are equal.

use std::collections::{BTreeMap, VecDeque};

use base::Score;
use xml::Document;

/// Protocol version that we announce (`#attrd-protocol`): that of Pacemaker 2.1.5.
pub const PROTOCOL_VERSION: &str = "4";
/// Most attributes kept.
pub const MAX_ATTRIBUTES: usize = 100_000;

/// A wish to the driver.
#[derive(Debug)]
pub enum Output {
    /// Merge this `<status>` into the status section; marked entries are deleted (mixed update).
    Write(Document),
}

#[derive(Debug, Clone, Default)]
struct Attribute {
    values: BTreeMap<String, Value>,
    dampening_ms: u64,
    /// Values that wait for the dampening to pass.
    write_at_ms: Option<u64>,
    is_private: bool,
}

#[derive(Debug, Clone, Default)]
struct Value {
    current: Option<String>,
    node_id: String,
    needs_write: bool,
}

/// One update, as it travels in an attrd message.
#[derive(Debug, Clone, Default)]
pub struct Update {
    pub name: String,
    /// `None` deletes the value.
    pub value: Option<String>,
    pub node: String,
    pub node_id: String,
    pub dampening_ms: Option<u64>,
    pub is_private: bool,
}

/// The table of attributes of all nodes.
#[derive(Debug, Default)]
pub struct Attributes {
    table: BTreeMap<String, Attribute>,
    is_writer: bool,
    outputs: VecDeque<Output>,
}

impl Attributes {
    pub fn new() -> Self {
        Attributes::default()
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<u64> {
        self.table.values().filter_map(|attribute| attribute.write_at_ms).min().filter(|_| self.is_writer)
    }

    /// Whether this node writes. A new writer writes everything.
    pub fn set_writer(&mut self, is_writer: bool) {
        if is_writer && !self.is_writer {
            self.forget_writes();
        }
        self.is_writer = is_writer;
        if is_writer {
            self.write(|_| true);
        }
    }

    /// The status section was replaced: the writer writes everything again.
    pub fn write_again(&mut self) {
        self.forget_writes();
        self.write(|_| true);
    }

    fn forget_writes(&mut self) {
        for value in self.table.values_mut().flat_map(|attribute| attribute.values.values_mut()) {
            value.needs_write = true;
        }
    }

    /// The value to send to everybody for one that counts (`value++`, `value+=n`).
    pub fn expand(&self, name: &str, node: &str, value: &str) -> String {
        let old = self.value(name, node).and_then(|text| text.parse::<Score>().ok()).unwrap_or(Score::ZERO);
        let step = match value.strip_prefix("value") {
            Some("++") => 1,
            Some(rest) => match rest.strip_prefix("+=").and_then(|step| step.parse::<i64>().ok()) {
                Some(step) => step,
                None => return value.to_string(),
            },
            None => return value.to_string(),
        };
        Score::new(i64::from(old.value()) + step).to_string()
    }

    pub fn value(&self, name: &str, node: &str) -> Option<&str> {
        self.table.get(name)?.values.get(node)?.current.as_deref()
    }

    /// All values of a name: (node, value).
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let values = self.table.get(name).into_iter().flat_map(|attribute| &attribute.values);
        values.filter_map(|(node, value)| Some((node.as_str(), value.current.as_deref()?)))
    }

    /// Every value, for a peer that has just come: (name, node, node id, value, private).
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &str, &str, bool)> {
        self.table.iter().flat_map(|(name, attribute)| {
            attribute.values.iter().filter_map(move |(node, value)| {
                let current = value.current.as_deref()?;
                Some((name.as_str(), node.as_str(), value.node_id.as_str(), current, attribute.is_private))
            })
        })
    }

    /// Takes an update that all nodes got.
    pub fn update(&mut self, now_ms: u64, update: &Update) {
        if !self.table.contains_key(&update.name) && self.table.len() >= MAX_ATTRIBUTES {
            return;
        }
        let attribute = self.table.entry(update.name.clone()).or_default();
        if let Some(dampening) = update.dampening_ms {
            attribute.dampening_ms = dampening;
        }
        attribute.is_private = update.is_private;
        let value = attribute.values.entry(update.node.clone()).or_default();
        if !update.node_id.is_empty() {
            value.node_id.clone_from(&update.node_id);
        }
        if value.current == update.value {
            return;
        }
        value.current.clone_from(&update.value);
        value.needs_write = true;
        if attribute.dampening_ms > 0 {
            attribute.write_at_ms.get_or_insert(now_ms.saturating_add(attribute.dampening_ms));
        } else {
            let name = update.name.clone();
            self.write(|candidate| candidate == name);
        }
    }

    pub fn handle_timeout(&mut self, now_ms: u64) {
        let is_due = |attribute: &Attribute| attribute.write_at_ms.is_some_and(|at| at <= now_ms);
        let due: Vec<String> = self
            .table
            .iter()
            .filter(|(_, attribute)| is_due(attribute))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &due {
            if let Some(attribute) = self.table.get_mut(name) {
                attribute.write_at_ms = None;
            }
        }
        self.write(|candidate| due.iter().any(|name| name == candidate));
    }

    /// Forgets all values of a node that is gone.
    pub fn remove_node(&mut self, node: &str) {
        for attribute in self.table.values_mut() {
            attribute.values.remove(node);
        }
        self.table.retain(|_, attribute| !attribute.values.is_empty());
    }

    /// Names of fail counts of a resource (all operations, or one) that some node has.
    pub fn failure_names(&self, resource: Option<&str>, operation: Option<(&str, u64)>) -> Vec<String> {
        let fits = |name: &str| {
            let Some(rest) = name.strip_prefix("fail-count-").or_else(|| name.strip_prefix("last-failure-"))
            else {
                return false;
            };
            let (rsc, op) = rest.split_once('#').unwrap_or((rest, ""));
            let wanted = operation.map(|(op, interval)| format!("{op}_{interval}"));
            resource.is_none_or(|wanted| rsc == wanted) && wanted.is_none_or(|wanted| op == wanted)
        };
        self.table.keys().filter(|name| fits(name)).cloned().collect()
    }

    fn write(&mut self, wanted: impl Fn(&str) -> bool) {
        if !self.is_writer {
            return;
        }
        let mut status = Document::new("status");
        let mut any = false;
        for (name, attribute) in self.table.iter_mut().filter(|(name, _)| wanted(name)) {
            if attribute.is_private || attribute.write_at_ms.is_some() {
                continue;
            }
            for value in
                attribute.values.values_mut().filter(|value| value.needs_write && !value.node_id.is_empty())
            {
                value.needs_write = false;
                any = true;
                add_value(&mut status, name, value);
            }
        }
        if any {
            self.outputs.push_back(Output::Write(status));
        }
    }
}

/// Id of the entry of an attribute: marks that ids may not have become dots.
pub fn entry_id(node_id: &str, name: &str) -> String {
    format!("status-{node_id}-{}", name.replace([':', '#', ' ', '/', '&'], "."))
}

fn add_value(status: &mut Document, name: &str, value: &Value) {
    let root = status.root();
    let known =
        status.child_elements(root).into_iter().find(|n| status.attr(*n, "id") == Some(&value.node_id));
    let set =
        match known.and_then(|state| status.first_child(state)).and_then(|part| status.first_child(part)) {
            Some(set) => set,
            None => {
                let id = value.node_id.as_str();
                let state = status.append_with(root, "node_state", &[("id", id)]);
                let transient = status.append_with(state, "transient_attributes", &[("id", id)]);
                status.append_with(transient, "instance_attributes", &[("id", &format!("status-{id}"))])
            }
        };
    let id = entry_id(&value.node_id, name);
    let pair = status.append_with(set, "nvpair", &[("id", &id), ("name", name)]);
    match &value.current {
        Some(current) => status.set_attr(pair, "value", current),
        None => status.set_attr(pair, "__delete__", "true"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(name: &str, value: Option<&str>, dampening_ms: u64) -> Update {
        Update {
            name: name.into(),
            value: value.map(str::to_string),
            node: "n1".into(),
            node_id: "1".into(),
            dampening_ms: Some(dampening_ms),
            is_private: false,
        }
    }

    fn written(attributes: &mut Attributes) -> Vec<String> {
        std::iter::from_fn(|| attributes.poll_output())
            .map(|Output::Write(status)| status.to_text())
            .collect()
    }

    #[test]
    fn the_writer_writes_changes_once() {
        let mut attributes = Attributes::new();
        attributes.update(0, &update("#feature-set", Some("3.16.1"), 0));
        assert!(written(&mut attributes).is_empty());
        attributes.set_writer(true);
        let want = "<status><node_state id=\"1\"><transient_attributes id=\"1\"><instance_attributes id=\"status-1\">\
            <nvpair id=\"status-1-.feature-set\" name=\"#feature-set\" value=\"3.16.1\"/>\
            </instance_attributes></transient_attributes></node_state></status>";
        assert_eq!(written(&mut attributes), [want]);
        attributes.update(0, &update("#feature-set", Some("3.16.1"), 0));
        assert!(written(&mut attributes).is_empty());
        attributes.update(0, &update("#feature-set", None, 0));
        assert!(written(&mut attributes)[0].contains("__delete__"));
    }

    #[test]
    fn a_replaced_status_section_gets_everything_again() {
        let mut attributes = Attributes::new();
        attributes.set_writer(true);
        attributes.update(0, &update("shutdown", Some("17"), 0));
        let first = written(&mut attributes);
        attributes.write_again();
        assert_eq!(written(&mut attributes), first);
        attributes.set_writer(false);
        attributes.write_again();
        assert!(written(&mut attributes).is_empty());
    }

    #[test]
    fn dampening_holds_a_change_back() {
        let mut attributes = Attributes::new();
        attributes.set_writer(true);
        attributes.update(0, &update("pingd", Some("1"), 5_000));
        assert!(written(&mut attributes).is_empty());
        assert_eq!(attributes.poll_timeout(), Some(5_000));
        attributes.update(4_000, &update("pingd", Some("2"), 5_000));
        attributes.handle_timeout(5_000);
        assert!(written(&mut attributes)[0].contains("value=\"2\""));
    }

    #[test]
    fn counting_and_forgetting() {
        let mut attributes = Attributes::new();
        assert_eq!(attributes.expand("fail-count-a#monitor_10", "n1", "value++"), "1");
        attributes.update(0, &update("fail-count-a#monitor_10", Some("1"), 0));
        attributes.update(0, &update("last-failure-ab#start_0", Some("7"), 0));
        assert_eq!(attributes.expand("fail-count-a#monitor_10", "n1", "value+=5"), "6");
        assert_eq!(attributes.expand("x", "n1", "INFINITY"), "INFINITY");
        assert_eq!(attributes.failure_names(Some("a"), None), ["fail-count-a#monitor_10"]);
        assert_eq!(attributes.failure_names(None, Some(("start", 0))), ["last-failure-ab#start_0"]);
        attributes.remove_node("n1");
        assert_eq!(attributes.value("fail-count-a#monitor_10", "n1"), None);
    }
}
