//! [`Document`] to text, in the reference's two layouts (libxml2's, as Pacemaker writes them).

use crate::{Document, NodeId, NodeKind};

/// What a name, quotes and blanks add to a value, about.
const BYTES_AROUND_VALUE: usize = 16;
/// What a tag takes beside its attributes, about.
const BYTES_PER_TAG: usize = 24;

impl Document {
    /// The whole document on one line, without a declaration.
    pub fn to_text(&self) -> String {
        self.node_to_text(self.root())
    }

    /// A subtree on one line.
    pub fn node_to_text(&self, id: NodeId) -> String {
        let mut out = self.room_for(id);
        self.write_text(id, &[], &mut out);
        out
    }

    /// The whole document, indented by two blanks per level, each element on a line of its own.
    pub fn to_pretty(&self) -> String {
        self.node_to_pretty(self.root())
    }

    /// A subtree, indented.
    pub fn node_to_pretty(&self, id: NodeId) -> String {
        let mut out = self.room_for(id);
        Writer { doc: self, out: &mut out, without: &[], depth: 0, flat: Flat::No }.write(id);
        out
    }

    /// Appends a subtree on one line, without the attributes of these names.
    pub(crate) fn write_text(&self, id: NodeId, without: &[&str], out: &mut String) {
        Writer { doc: self, out, without, depth: 0, flat: Flat::Always }.write(id);
    }

    /// For the whole document, room for nearly all of it.
    fn room_for(&self, id: NodeId) -> String {
        if id != self.root() {
            return String::new();
        }
        let (attributes, bytes) = self.size();
        String::with_capacity(bytes + attributes * BYTES_AROUND_VALUE + self.len() * BYTES_PER_TAG)
    }
}

pub(crate) fn write_attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escape_into(value, out);
    out.push('"');
}

/// White space may not be added beside text.
#[derive(Clone, Copy, PartialEq)]
enum Flat {
    No,
    /// Inside of this element, as it has text.
    Inside(NodeId),
    Always,
}

struct Writer<'a> {
    doc: &'a Document,
    out: &'a mut String,
    without: &'a [&'a str],
    depth: usize,
    flat: Flat,
}

impl Writer<'_> {
    /// Without recursion, as documents may be deep.
    fn write(&mut self, top: NodeId) {
        let mut at = top;
        loop {
            if let Some(first) = self.enter(at) {
                at = first;
                continue;
            }
            loop {
                if at == top {
                    return;
                }
                if let Some(next) = self.doc.next_sibling(at) {
                    at = next;
                    break;
                }
                let Some(parent) = self.doc.parent(at) else { return };
                at = parent;
                self.leave(at);
            }
        }
    }

    /// Writes a node up to its first child, which is returned.
    fn enter(&mut self, id: NodeId) -> Option<NodeId> {
        match self.doc.kind(id) {
            NodeKind::Element => return self.open(id),
            NodeKind::Text => escape_text(self.doc.text(id), self.out),
            NodeKind::Comment => {
                self.indent();
                self.out.push_str("<!--");
                self.out.push_str(self.doc.text(id));
                self.out.push_str("-->");
                self.newline();
            }
        }
        None
    }

    fn open(&mut self, id: NodeId) -> Option<NodeId> {
        self.indent();
        self.out.push('<');
        self.out.push_str(self.doc.name(id));
        for (key, value) in self.doc.attrs(id) {
            if !self.without.is_empty() && self.without.contains(&key) {
                continue;
            }
            write_attribute(key, value, self.out);
        }
        let Some(first) = self.doc.first_child(id) else {
            self.out.push_str("/>");
            self.newline();
            return None;
        };
        self.out.push('>');
        if self.flat == Flat::No && self.has_text(first) {
            self.flat = Flat::Inside(id);
        }
        self.newline();
        self.depth += 1;
        Some(first)
    }

    fn leave(&mut self, id: NodeId) {
        self.depth -= 1;
        self.indent();
        self.out.push_str("</");
        self.out.push_str(self.doc.name(id));
        self.out.push('>');
        if self.flat == Flat::Inside(id) {
            self.flat = Flat::No;
        }
        self.newline();
    }

    fn has_text(&self, first: NodeId) -> bool {
        let mut siblings = std::iter::successors(Some(first), |id| self.doc.next_sibling(*id));
        siblings.any(|id| self.doc.kind(id) == NodeKind::Text)
    }

    fn indent(&mut self) {
        if self.flat == Flat::No {
            (0..self.depth).for_each(|_| self.out.push_str("  "));
        }
    }

    fn newline(&mut self) {
        if self.flat == Flat::No {
            self.out.push('\n');
        }
    }
}

/// An attribute's value as it is written between double quotes.
pub fn escape_attribute(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    escape_into(value, &mut out);
    out
}

fn escape_into(value: &str, out: &mut String) {
    escape(value, out, |byte| match byte {
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'&' => Some("&amp;"),
        b'"' => Some("&quot;"),
        b'\n' => Some("&#10;"),
        b'\t' => Some("&#9;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

fn escape_text(text: &str, out: &mut String) {
    escape(text, out, |byte| match byte {
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'&' => Some("&amp;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Writes what lies between two bytes that need words of their own in one piece.
#[inline]
fn escape(text: &str, out: &mut String, words: impl Fn(u8) -> Option<&'static str>) {
    let mut rest = text;
    while let Some(place) = rest.bytes().position(|byte| words(byte).is_some()) {
        let (before, from) = rest.split_at(place);
        out.push_str(before);
        out.push_str(from.bytes().next().and_then(&words).unwrap_or(""));
        rest = &from[1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_layout() {
        let doc = Document::parse("<a><b x='1'/><c><d/></c><e>t<f/></e></a>").unwrap();
        let want = "<a>\n  <b x=\"1\"/>\n  <c>\n    <d/>\n  </c>\n  <e>t<f/></e>\n</a>\n";
        assert_eq!(doc.to_pretty(), want);
    }

    #[test]
    fn quotes_and_line_ends_are_escaped_in_values() {
        assert_eq!(escape_attribute("a\"b\n\t<&>'"), "a&quot;b&#10;&#9;&lt;&amp;&gt;'");
    }
}
