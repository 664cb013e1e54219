//! The four kinds of value and the conversions between them (XPath 1.0, sections 3.2 to 3.5, 4).

use crate::{Document, NodeId, NodeKind};

/// A node that an expression found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Match {
    /// The node above the root element.
    Document,
    /// An element, a text or a comment.
    Node(NodeId),
    /// An attribute: its element and its position there.
    Attribute(NodeId, u32),
}

/// Result of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Nodes(Vec<Match>),
    Bool(bool),
    Number(f64),
    Text(String),
}

impl Match {
    /// The node's string value.
    pub fn text(self, doc: &Document) -> String {
        match self {
            Match::Document => inner_text(doc, doc.root()),
            Match::Node(id) if doc.kind(id) == NodeKind::Element => inner_text(doc, id),
            Match::Node(id) => doc.text(id).to_string(),
            Match::Attribute(id, index) => {
                doc.attrs(id).nth(index as usize).map_or_else(String::new, |(_, value)| value.to_string())
            }
        }
    }

    pub(super) fn name(self, doc: &Document) -> String {
        match self {
            Match::Document => String::new(),
            Match::Node(id) => doc.name(id).to_string(),
            Match::Attribute(id, index) => {
                doc.attrs(id).nth(index as usize).map_or_else(String::new, |(name, _)| name.to_string())
            }
        }
    }
}

fn inner_text(doc: &Document, top: NodeId) -> String {
    let mut text = String::new();
    let mut at = Some(top);
    while let Some(id) = at {
        if doc.kind(id) == NodeKind::Text {
            text.push_str(doc.text(id));
        }
        at = doc.next_in_order(top, id);
    }
    text
}

impl Value {
    pub fn to_bool(&self) -> bool {
        match self {
            Value::Nodes(nodes) => !nodes.is_empty(),
            Value::Bool(value) => *value,
            Value::Number(number) => *number != 0.0 && !number.is_nan(),
            Value::Text(text) => !text.is_empty(),
        }
    }

    pub fn to_number(&self, doc: &Document) -> f64 {
        match self {
            Value::Bool(value) => f64::from(u8::from(*value)),
            Value::Number(number) => *number,
            other => text_to_number(&other.to_text(doc)),
        }
    }

    pub fn to_text(&self, doc: &Document) -> String {
        match self {
            Value::Nodes(nodes) => nodes.first().map_or_else(String::new, |node| node.text(doc)),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number_to_text(*number),
            Value::Text(text) => text.clone(),
        }
    }
}

pub(super) fn text_to_number(text: &str) -> f64 {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain =
        !digits.is_empty() && digits != "." && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

pub(super) fn number_to_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    if number == 0.0 {
        return "0".into();
    }
    format!("{number}")
}
