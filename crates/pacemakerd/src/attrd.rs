//! Node attributes between clients, nodes and the CIB.

use attributes::Update;
use cib::{Operation as CibOperation, options};
use xml::{Document, Element};

use crate::bus::Group;
use crate::daemon::Daemon;
use crate::endpoints::Request;

impl Daemon {
    /// What an earlier life of this node left in the status section is of no worth.
    pub(crate) fn forget_old_attributes(&mut self) {
        let xpath = format!("//node_state[@uname='{}']/transient_attributes", self.identity.name);
        let bits = options::XPATH | options::QUORUM_OVERRIDE;
        self.write_cib(CibOperation::Delete, &xpath, bits, None);
        let name = self.identity.name.clone();
        let mut update = self.update_message("#attrd-protocol", &name, Some(attributes::PROTOCOL_VERSION));
        let root = update.root();
        update.set_attr(root, "attr_is_private", "1");
        self.send(Group::Attributes, None, update.to_text());
    }

    fn update_message(&self, name: &str, node: &str, value: Option<&str>) -> Document {
        let mut message = Document::new("create_attrd_op");
        let root = message.root();
        let node_id = self.controller.peers().find(|peer| peer.name == node).map(|peer| peer.id.to_string());
        for (key, text) in [
            ("t", Some("attrd")),
            ("src", Some("pacemaker-controld")),
            ("task", Some("update")),
            ("attr_name", Some(name)),
            ("attr_value", value),
            ("attr_host", Some(node)),
            ("attr_host_id", node_id.as_deref()),
            ("attr_is_remote", Some("0")),
            ("attr_is_private", Some("0")),
            ("attr_version", Some(attributes::PROTOCOL_VERSION)),
            ("attr_writer", Some("0")),
        ] {
            if let Some(text) = text {
                message.set_attr(root, key, text);
            }
        }
        message
    }

    pub(crate) fn send_attribute(&mut self, node: &str, name: &str, value: Option<&str>) {
        let expanded = value.map(|value| self.attributes.expand(name, node, value));
        let message = self.update_message(name, node, expanded.as_deref());
        self.send(Group::Attributes, None, message.to_text());
    }

    pub(crate) fn send_clear_failures(
        &mut self,
        resource: Option<&str>,
        node: Option<&str>,
        operation: Option<&(String, u64)>,
    ) {
        let mut message = Document::new("create_attrd_op");
        let root = message.root();
        let interval = operation.map(|(_, interval)| format!("{interval}ms"));
        for (key, text) in [
            ("t", Some("attrd")),
            ("src", Some("pacemaker-controld")),
            ("task", Some("clear-failure")),
            ("attr_resource", resource),
            ("attr_host", node),
            ("attr_clear_operation", operation.map(|(name, _)| name.as_str())),
            ("attr_clear_interval", interval.as_deref()),
        ] {
            if let Some(text) = text {
                message.set_attr(root, key, text);
            }
        }
        self.send(Group::Attributes, None, message.to_text());
    }

    /// Merges what the writer has to write.
    pub(crate) fn write_attributes(&mut self, status: Document) {
        let bits = options::CAN_CREATE | options::MIXED_UPDATE | options::QUORUM_OVERRIDE;
        self.write_cib(CibOperation::Modify, "status", bits, Some(&status));
    }

    /// A message of the attribute group; all nodes get the same in the same order.
    pub(crate) fn attribute_message(&mut self, _from: &str, message: &Document) {
        let root = message.root_element();
        match root.attr("task").unwrap_or("") {
            "update" | "update-both" | "update-delay" => {
                let parts: Vec<Element<'_>> = root.children_named("op").collect();
                if parts.is_empty() {
                    self.apply_update(root);
                }
                for part in parts {
                    self.apply_update(part);
                }
            }
            "sync-response" => {
                for entry in root.children() {
                    self.apply_update(entry);
                }
            }
            "clear-failure" => self.apply_clear_failure(root),
            "peer-remove" => {
                if let Some(node) = root.attr("attr_host") {
                    self.attributes.remove_node(node);
                }
            }
            _ => {}
        }
    }

    fn apply_update(&mut self, entry: Element<'_>) {
        let text = |name: &str| entry.attr(name).filter(|text| !text.is_empty());
        let Some(node) = text("attr_host").map(str::to_string) else { return };
        let node_id =
            text("attr_host_id").map(str::to_string).or_else(|| self.node_id(&node)).unwrap_or_default();
        let names: Vec<String> = match (text("attr_name"), text("attr_regex")) {
            (Some(name), _) => vec![name.to_string()],
            // Patterns come from old clients for fail counts only, which have a message of their own.
            _ => return,
        };
        for name in names {
            let update = Update {
                name,
                value: entry.attr("attr_value").map(str::to_string),
                node: node.clone(),
                node_id: node_id.clone(),
                dampening_ms: text("attr_dampening").and_then(base::parse_interval_ms),
                is_private: text("attr_is_private") == Some("1"),
            };
            self.attributes.update(sys::clock::monotonic_ms(), &update);
        }
    }

    fn node_id(&self, name: &str) -> Option<String> {
        self.controller.peers().find(|peer| peer.name == name).map(|peer| peer.id.to_string())
    }

    fn apply_clear_failure(&mut self, message: Element<'_>) {
        let interval = message.attr("attr_clear_interval").and_then(base::parse_interval_ms).unwrap_or(0);
        let operation = message.attr("attr_clear_operation").map(|name| (name, interval));
        let names = self.attributes.failure_names(message.attr("attr_resource"), operation);
        let only = message.attr("attr_host");
        for name in names {
            let nodes: Vec<String> =
                self.attributes.values(&name).map(|(node, _)| node.to_string()).collect();
            for node in nodes.into_iter().filter(|node| only.is_none_or(|only| only == node)) {
                let node_id = self.node_id(&node).unwrap_or_default();
                let update = Update { name: name.clone(), node, node_id, ..Update::default() };
                self.attributes.update(sys::clock::monotonic_ms(), &update);
            }
        }
    }

    /// The group's members changed: newcomers need our table, the values of the gone go.
    pub(crate) fn attribute_members(&mut self, nodes: &[u32]) {
        let gone: Vec<String> = self
            .controller
            .peers()
            .filter(|peer| !nodes.contains(&peer.id) && !peer.name.is_empty())
            .map(|peer| peer.name.clone())
            .collect();
        for name in gone {
            let had_values = self.attributes.all().any(|(_, node, ..)| node == name);
            self.attributes.remove_node(&name);
            if had_values && self.controller.is_leader() {
                let xpath = format!("//node_state[@uname='{name}']/transient_attributes");
                self.write_cib(CibOperation::Delete, &xpath, options::XPATH | options::QUORUM_OVERRIDE, None);
            }
        }
        if self.controller.is_leader() {
            self.share_table();
        }
    }

    /// Sends all values to everybody: to who knows them already they change nothing.
    fn share_table(&mut self) {
        let mut message = Document::new("attrd_peer_sync");
        let root = message.root();
        for (key, text) in
            [("task", "sync-response"), ("t", "attrd"), ("attr_version", attributes::PROTOCOL_VERSION)]
        {
            message.set_attr(root, key, text);
        }
        for (name, node, id, value, private) in self.attributes.all() {
            message.append_with(
                root,
                "attrd_add_value_xml",
                &[
                    ("attr_name", name),
                    ("attr_host", node),
                    ("attr_host_id", id),
                    ("attr_value", value),
                    ("attr_is_private", if private { "1" } else { "0" }),
                ],
            );
        }
        self.send(Group::Attributes, None, message.to_text());
    }

    /// A client's request: updates go to everybody, queries are answered from our table.
    pub(crate) fn attribute_request(&mut self, request: Request) {
        let Some(message) = &request.message else {
            self.endpoints.acknowledge(&request, base::ExitCode::PROTOCOL.0);
            return;
        };
        let root = message.root_element();
        if root.attr("task") == Some("query") {
            let answer = self.attribute_answer(root);
            self.endpoints.respond(request.service, request.conn, request.id, &answer);
            return;
        }
        let mut message = message.clone();
        let top = message.root();
        self.complete_update(&mut message, top);
        for part in message.child_elements(top) {
            self.complete_update(&mut message, part);
        }
        self.endpoints.acknowledge(&request, 0);
        self.send(Group::Attributes, None, message.to_text());
    }

    /// Fills in the node, and turns counting values into numbers, so that all nodes apply the same.
    fn complete_update(&self, message: &mut Document, place: xml::NodeId) {
        let name = message.attr(place, "attr_name").unwrap_or("").to_string();
        let task = message.attr(place, "task").unwrap_or("").to_string();
        if name.is_empty() && task != "update" {
            return;
        }
        let node = match message.attr(place, "attr_host") {
            None | Some("" | "localhost") => self.identity.name.clone(),
            Some(node) => node.to_string(),
        };
        message.set_attr(place, "attr_host", &node);
        if let Some(id) = self.node_id(&node) {
            message.set_attr(place, "attr_host_id", &id);
        }
        if let Some(value) = message.attr(place, "attr_value").map(str::to_string) {
            let expanded = self.attributes.expand(&name, &node, &value);
            message.set_attr(place, "attr_value", &expanded);
        }
    }

    fn attribute_answer(&self, query: Element<'_>) -> Document {
        let mut answer = Document::new("build_query_reply");
        let root = answer.root();
        for (key, text) in [("t", "attrd"), ("subt", "query"), ("attr_version", attributes::PROTOCOL_VERSION)]
        {
            answer.set_attr(root, key, text);
        }
        let name = query.attr("attr_name").unwrap_or("");
        let wanted = match query.attr("attr_host") {
            Some("localhost") => Some(self.identity.name.as_str()),
            other => other,
        };
        let values: Vec<(&str, &str)> = self.attributes.values(name).collect();
        if values.is_empty() {
            return answer;
        }
        answer.set_attr(root, "attr_name", name);
        for (node, value) in
            values.into_iter().filter(|(node, _)| wanted.is_none_or(|wanted| wanted == *node))
        {
            answer.append_with(root, "node", &[("attr_host", node), ("attr_value", value)]);
        }
        answer
    }
}
