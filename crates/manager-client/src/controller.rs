//! The controller: who is DC, which nodes there are, operations on resources' histories.

use std::time::{Duration, Instant};

use xml::Document;

use crate::connection::Connection;
use crate::error::Error;

/// Time for one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The local node as the controller knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeInfo {
    pub id: u32,
    pub name: Option<String>,
    pub uuid: Option<String>,
    pub state: Option<String>,
    pub quorate: bool,
    pub remote: bool,
}

/// One node of the cluster layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    pub id: String,
    pub name: String,
    pub state: String,
}

/// Answer of a controller to a ping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DcInfo {
    pub host: Option<String>,
    pub subsystem: String,
    /// State of its machine, `S_IDLE` when there is nothing to do.
    pub state: String,
    pub result: String,
}

/// A resource as requests to the controller name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceRef {
    /// Id with the instance number, as in the history.
    pub id: String,
    /// Id of the configuration, when it differs.
    pub long_id: Option<String>,
    pub class: String,
    pub provider: Option<String>,
    pub kind: String,
}

/// A connection to the controller.
#[derive(Debug)]
pub struct Controller {
    connection: Connection,
    client: String,
    pid: u32,
    counter: u32,
}

impl Controller {
    /// Connects and introduces itself.
    ///
    /// # Errors
    /// [`Error::NotConnected`] when there is no controller.
    pub fn open(client: &str) -> Result<Controller, Error> {
        let connection = Connection::open("crmd")?;
        let mut controller =
            Controller { connection, client: client.to_string(), pid: std::process::id(), counter: 0 };
        let mut options = Document::new("options");
        let root = options.root();
        for (name, value) in [
            ("major_version", "1"),
            ("minor_version", "0"),
            ("client_name", client),
            ("client_uuid", &controller.pid.to_string()),
        ] {
            options.set_attr(root, name, value);
        }
        let hello = controller.message("hello", Some(&options), None, None);
        controller.connection.post(&hello, CALL_TIMEOUT)?;
        Ok(controller)
    }

    /// The local node, or the one with this id.
    ///
    /// # Errors
    /// Of the connection.
    pub fn node_info(&mut self, id: Option<u32>) -> Result<NodeInfo, Error> {
        let mut request = self.message("node-info", None, None, Some("crmd"));
        if let Some(id) = id {
            let root = request.root();
            request.set_attr(root, "id", &id.to_string());
        }
        let reply = self.call(&request)?;
        let data = reply.root_element().child("crm_xml").and_then(|d| d.children().next());
        let text = |name: &str| data.and_then(|d| d.attr(name)).map(str::to_string);
        let yes = |name: &str| text(name).is_some_and(|v| v == "true" || v == "1");
        Ok(NodeInfo {
            id: text("id").and_then(|v| v.parse().ok()).unwrap_or(0),
            name: text("uname"),
            uuid: text("id"),
            state: text("crmd"),
            quorate: yes("have-quorum"),
            remote: yes("remote_node"),
        })
    }

    /// All nodes that the controller knows.
    ///
    /// # Errors
    /// Of the connection.
    pub fn nodes(&mut self) -> Result<Vec<ClusterNode>, Error> {
        let request = self.message("list-nodes", None, None, Some("crmd"));
        let reply = self.call(&request)?;
        let data = reply.root_element().child("crm_xml").and_then(|d| d.children().next());
        let nodes = data.into_iter().flat_map(|d| d.children()).filter(|n| n.name() == "node");
        Ok(nodes
            .map(|n| {
                let text = |name: &str| n.attr(name).unwrap_or_default().to_string();
                ClusterNode { id: text("id"), name: text("uname"), state: text("in_ccm") }
            })
            .collect())
    }

    /// Asks the controller of a node, or without one the DC's.
    ///
    /// # Errors
    /// [`Error::Timeout`] when there is no DC.
    pub fn ping(&mut self, node: Option<&str>) -> Result<DcInfo, Error> {
        let target = if node.is_none() { "dc" } else { "crmd" };
        let request = self.message("ping", None, node, Some(target));
        let reply = self.call(&request)?;
        let root = reply.root_element();
        let data = root.child("crm_xml").and_then(|d| d.children().next());
        let text = |name: &str| data.and_then(|d| d.attr(name)).unwrap_or_default().to_string();
        Ok(DcInfo {
            host: root.attr("src").map(str::to_string),
            subsystem: text("crm_subsystem"),
            state: text("crmd_state"),
            result: text("result"),
        })
    }

    /// Lets a node look anew which resources run on it; without a node, all of them.
    ///
    /// # Errors
    /// Of the connection.
    pub fn reprobe(&mut self, node: Option<&str>) -> Result<(), Error> {
        let mut data = Document::new("data_for_probe_again");
        if let Some(node) = node {
            let root = data.root();
            data.set_attr(root, "on_node", node);
        }
        let request = self.message("probe_again", Some(&data), node, Some("crmd"));
        self.call(&request).map(|_| ())
    }

    /// Deletes the history of a resource on a node; the node then looks anew.
    ///
    /// # Errors
    /// Of the connection.
    pub fn refresh(&mut self, node: &str, resource: &ResourceRef) -> Result<(), Error> {
        self.resource("lrm_delete", node, resource)
    }

    /// Makes a resource count as failed on a node.
    ///
    /// # Errors
    /// Of the connection.
    pub fn fail(&mut self, node: &str, resource: &ResourceRef) -> Result<(), Error> {
        self.resource("lrm_fail", node, resource)
    }

    /// Removes a node from the controller's memory.
    ///
    /// # Errors
    /// Of the connection.
    pub fn forget_node(&mut self, id: Option<&str>, name: &str) -> Result<(), Error> {
        let mut request = self.message("rm_node_cache", None, None, Some("crmd"));
        let root = request.root();
        if let Some(id) = id {
            request.set_attr(root, "id", id);
        }
        request.set_attr(root, "uname", name);
        self.connection.post(&request, CALL_TIMEOUT)
    }

    fn resource(&mut self, task: &str, node: &str, resource: &ResourceRef) -> Result<(), Error> {
        let mut data = Document::new("rsc_op");
        let root = data.root();
        let key = format!("0:{}:0:xxxxxxxx-xrsc-opxx-xcrm-resourcexxxx", self.pid);
        data.set_attr(root, "transition-key", &key);
        data.set_attr(root, "on_node", node);
        let primitive = data.append_with(root, "primitive", &[("id", &resource.id)]);
        if let Some(long) = &resource.long_id {
            data.set_attr(primitive, "long-id", long);
        }
        data.set_attr(primitive, "class", &resource.class);
        if let Some(provider) = &resource.provider {
            data.set_attr(primitive, "provider", provider);
        }
        data.set_attr(primitive, "type", &resource.kind);
        data.append_with(
            root,
            "attributes",
            &[("crm_feature_set", base::CRM_FEATURE_SET), ("CRM_meta_timeout", "60000")],
        );
        let request = self.message(task, Some(&data), Some(node), Some("crmd"));
        self.call(&request).map(|_| ())
    }

    fn message(
        &mut self,
        task: &str,
        data: Option<&Document>,
        host: Option<&str>,
        to: Option<&str>,
    ) -> Document {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map(|d| d.as_secs())
            .unwrap_or(0);
        let reference = format!("{task}-{}-{now}-{}", self.client, self.counter);
        self.counter = self.counter.wrapping_add(1);
        let from = format!("{}_{}", self.pid, self.client);
        request(task, data, host, to, &from, &reference)
    }

    /// Sends a request; the answer comes as the response, or after an acknowledgement as an event.
    fn call(&mut self, request: &Document) -> Result<Document, Error> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let reply = self.connection.request(request, CALL_TIMEOUT)?;
        if reply.root_element().name() != "ack" {
            return Ok(reply);
        }
        let reference = request.root_element().attr("reference").unwrap_or_default();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.connection.event(left)?.ok_or(Error::Timeout)?;
            let root = event.root_element();
            let fits = root.attr("reference").is_none_or(|r| r == reference || r.is_empty())
                || root.attr("crm_task") == request.root_element().attr("crm_task")
                || root.attr("crm_task") == Some("lrm_invoke");
            if fits {
                return Ok(event);
            }
        }
    }
}

/// A message in the daemons' common form (Pacemaker `lib/common/messages.c`).
pub(crate) fn request(
    task: &str,
    data: Option<&Document>,
    host: Option<&str>,
    to: Option<&str>,
    from: &str,
    reference: &str,
) -> Document {
    let mut message = Document::new("create_request_adv");
    let root = message.root();
    for (name, value) in [
        ("origin", Some("tools")),
        ("t", Some("crmd")),
        ("version", Some(base::CRM_FEATURE_SET)),
        ("subt", Some("request")),
        ("reference", Some(reference)),
        ("crm_task", Some(task)),
        ("crm_sys_to", to),
        ("crm_sys_from", Some(from)),
        ("crm_host_to", host),
    ] {
        if let Some(value) = value {
            message.set_attr(root, name, value);
        }
    }
    if let Some(data) = data {
        let holder = message.append(root, "crm_xml");
        message.import(holder, data, data.root());
    }
    message
}
