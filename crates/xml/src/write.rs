//! [`Document`] to text, in the reference's two layouts (libxml2's, as Pacemaker writes them).

use crate::{Document, NodeId, NodeKind};

impl Document {
    /// The whole document on one line, without a declaration.
    pub fn to_text(&self) -> String {
        self.node_to_text(self.root())
    }

    /// A subtree on one line.
    pub fn node_to_text(&self, id: NodeId) -> String {
        let mut out = String::new();
        self.write(id, None, &mut out);
        out
    }

    /// The whole document, indented by two blanks per level, each element on a line of its own.
    pub fn to_pretty(&self) -> String {
        self.node_to_pretty(self.root())
    }

    /// A subtree, indented.
    pub fn node_to_pretty(&self, id: NodeId) -> String {
        let mut out = String::new();
        self.write(id, Some(0), &mut out);
        out
    }

    fn write(&self, id: NodeId, depth: Option<usize>, out: &mut String) {
        match self.kind(id) {
            NodeKind::Element => self.write_element(id, depth, out),
            NodeKind::Text => escape_text(self.text(id), out),
            NodeKind::Comment => {
                indent(depth, out);
                out.push_str("<!--");
                out.push_str(self.text(id));
                out.push_str("-->");
                newline(depth, out);
            }
        }
    }

    fn write_element(&self, id: NodeId, depth: Option<usize>, out: &mut String) {
        indent(depth, out);
        out.push('<');
        out.push_str(self.name(id));
        for (key, value) in self.attrs(id) {
            out.push(' ');
            out.push_str(key);
            out.push_str("=\"");
            escape_into(value, out);
            out.push('"');
        }
        let Some(first) = self.first_child(id) else {
            out.push_str("/>");
            newline(depth, out);
            return;
        };
        out.push('>');
        // White space may not be added beside text.
        let has_text = self.has_text(first);
        let inner = if has_text { None } else { depth.map(|d| d + 1) };
        newline(inner, out);
        let mut next = Some(first);
        while let Some(child) = next {
            self.write(child, inner, out);
            next = self.next_sibling(child);
        }
        if inner.is_some() {
            indent(depth, out);
        }
        out.push_str("</");
        out.push_str(self.name(id));
        out.push('>');
        newline(depth, out);
    }

    fn has_text(&self, first: NodeId) -> bool {
        let mut next = Some(first);
        while let Some(node) = next {
            if self.kind(node) == NodeKind::Text {
                return true;
            }
            next = self.next_sibling(node);
        }
        false
    }
}

/// An attribute's value as it is written between double quotes.
pub fn escape_attribute(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    escape_into(value, &mut out);
    out
}

fn escape_into(value: &str, out: &mut String) {
    if !value.contains(['<', '>', '&', '"', '\n', '\t', '\r']) {
        out.push_str(value);
        return;
    }
    for c in value.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
}

fn escape_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
}

fn indent(depth: Option<usize>, out: &mut String) {
    for _ in 0..depth.unwrap_or(0) {
        out.push_str("  ");
    }
}

fn newline(depth: Option<usize>, out: &mut String) {
    if depth.is_some() {
        out.push('\n');
    }
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
