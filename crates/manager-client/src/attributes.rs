//! Node attributes that live in the manager's memory (`attrd`).

use std::time::Duration;

use xml::Document;

use crate::connection::Connection;
use crate::error::Error;

const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A change of one attribute on one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update<'a> {
    pub name: &'a str,
    /// `None` removes the attribute.
    pub value: Option<&'a str>,
    /// `None`: the local node.
    pub node: Option<&'a str>,
    /// Time to wait for more changes before writing, with unit ("5s").
    pub dampening: Option<&'a str>,
    pub set: Option<&'a str>,
    /// Kept in memory only, never written to the configuration.
    pub private: bool,
    /// `update`, `update-both` or `update-delay`.
    pub task: Option<&'a str>,
    /// The name is a regular expression.
    pub pattern: bool,
}

/// Value of an attribute on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub node: String,
    pub value: Option<String>,
}

/// A connection to the attribute manager.
#[derive(Debug)]
pub struct Attributes {
    connection: Connection,
    client: String,
}

impl Attributes {
    /// # Errors
    /// [`Error::NotConnected`] when it does not run.
    pub fn open(client: &str) -> Result<Attributes, Error> {
        Ok(Attributes { connection: Connection::open("attrd")?, client: client.to_string() })
    }

    /// # Errors
    /// Of the connection.
    pub fn update(&mut self, update: &Update<'_>) -> Result<(), Error> {
        let flag = |on: bool| Some(if on { "1" } else { "0" });
        let name = if update.pattern { "attr_regex" } else { "attr_name" };
        self.send(&[
            (name, Some(update.name)),
            ("task", Some(update.task.unwrap_or("update"))),
            ("attr_value", update.value),
            ("attr_dampening", update.dampening),
            ("attr_host", update.node),
            ("attr_set", update.set),
            ("attr_is_remote", flag(false)),
            ("attr_is_private", flag(update.private)),
        ])
        .map(|_| ())
    }

    /// Forgets failures of a resource (all of them without a name), of an operation, on a node.
    ///
    /// # Errors
    /// Of the connection.
    pub fn clear_failures(
        &mut self,
        resource: Option<&str>,
        operation: Option<(&str, &str)>,
        node: Option<&str>,
    ) -> Result<(), Error> {
        self.send(&[
            ("task", Some("clear-failure")),
            ("attr_host", node),
            ("attr_resource", resource),
            ("attr_clear_operation", operation.map(|(name, _)| name)),
            ("attr_clear_interval", operation.map(|(_, interval)| interval)),
            ("attr_is_remote", Some("0")),
        ])
        .map(|_| ())
    }

    /// Values of one attribute, on one node or on all.
    ///
    /// # Errors
    /// Of the connection.
    pub fn query(&mut self, name: &str, node: Option<&str>) -> Result<Vec<Value>, Error> {
        let reply = self.send(&[("attr_name", Some(name)), ("task", Some("query")), ("attr_host", node)])?;
        let root = reply.root_element();
        let nodes = root.children_named("node").map(|n| Value {
            node: n.attr("attr_host").unwrap_or_default().to_string(),
            value: n.attr("attr_value").map(str::to_string),
        });
        Ok(nodes.collect())
    }

    /// Writes all values to the configuration again.
    ///
    /// # Errors
    /// Of the connection.
    pub fn refresh(&mut self) -> Result<(), Error> {
        self.send(&[("task", Some("refresh"))]).map(|_| ())
    }

    /// Forgets a node.
    ///
    /// # Errors
    /// Of the connection.
    pub fn purge(&mut self, node: &str) -> Result<(), Error> {
        self.send(&[("task", Some("peer-remove")), ("attr_host", Some(node))]).map(|_| ())
    }

    fn send(&mut self, attributes: &[(&str, Option<&str>)]) -> Result<Document, Error> {
        let mut message = Document::new("create_attrd_op");
        let root = message.root();
        message.set_attr(root, "t", "attrd");
        message.set_attr(root, "src", &self.client);
        for (name, value) in attributes {
            if let Some(value) = value {
                message.set_attr(root, name, value);
            }
        }
        self.connection.request(&message, CALL_TIMEOUT)
    }
}
