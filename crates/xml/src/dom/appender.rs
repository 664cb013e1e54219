//! Building a document from its start to its end, as a parser does.

use super::names::Name;
use super::span::Span;
use super::{Attribute, Document, NodeId};

/// From measured CIBs: so many bytes of text for each attribute, and for each node. What was reserved
/// in vain is never touched.
const BYTES_PER_ATTRIBUTE: usize = 32;
const BYTES_PER_NODE: usize = 128;
/// Of a text, this is in values.
const VALUES_DIVISOR: usize = 2;

/// A document under construction: its last element is the one that gets attributes.
pub(crate) struct Appender {
    pub(crate) doc: Document,
    by_name: Vec<Use>,
    last: Name,
}

/// Why something is no part of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAppended {
    NoName,
    Twice,
}

/// What is remembered of a name.
#[derive(Clone, Copy)]
struct Use {
    /// The name that followed it the last time, and so is likely to follow again.
    next: Option<Name>,
    /// The last element that had it as an attribute.
    holder: NodeId,
}

impl Appender {
    /// A document with a root of this name, out of a text of `size` bytes.
    pub(crate) fn new(root: &str, size: usize) -> Result<Appender, NotAppended> {
        if !is_name(root) {
            return Err(NotAppended::NoName);
        }
        let mut doc = Document::new(root);
        doc.attributes.reserve(size / BYTES_PER_ATTRIBUTE);
        doc.nodes.reserve(size / BYTES_PER_NODE);
        doc.text.reserve(size / VALUES_DIVISOR);
        let last = doc.node(doc.root()).name;
        Ok(Appender { doc, by_name: Vec::new(), last })
    }

    pub(crate) fn element(&mut self, parent: NodeId, name: &str) -> Result<NodeId, NotAppended> {
        let name = self.name(name)?;
        Ok(self.doc.append_node(parent, name, Span::default()))
    }

    /// Adds an attribute to the last element.
    pub(crate) fn attribute(&mut self, element: NodeId, name: Name, value: &str) -> Result<(), NotAppended> {
        let used = self.by_name.get_mut(name.index()).ok_or(NotAppended::NoName)?;
        if std::mem::replace(&mut used.holder, element) == element {
            return Err(NotAppended::Twice);
        }
        let doc = &mut self.doc;
        let content = &mut doc.nodes[element.0 as usize].content;
        if content.len == 0 {
            *content = Span::new(doc.attributes.len(), 0);
        }
        content.len += 1;
        doc.attributes.push(Attribute { name, value: Span::append(&mut doc.text, value) });
        Ok(())
    }

    pub(crate) fn letters(&self, name: Name) -> &str {
        self.doc.names.letters(name)
    }

    /// Takes off the name that followed the last one before, if the text begins with it and an equals
    /// sign. Documents repeat themselves: mostly it does.
    pub(crate) fn strip_expected<'t>(&mut self, text: &'t str) -> Option<(Name, &'t str)> {
        let name = self.by_name.get(self.last.index())?.next?;
        let rest = text.strip_prefix(self.doc.names.letters(name))?;
        if !rest.starts_with('=') {
            return None;
        }
        self.last = name;
        Some((name, rest))
    }

    pub(crate) fn name(&mut self, letters: &str) -> Result<Name, NotAppended> {
        let guess = self.by_name.get(self.last.index()).and_then(|used| used.next);
        let name = match guess.filter(|guess| self.doc.names.letters(*guess) == letters) {
            Some(guess) => guess,
            None => self.find(letters)?,
        };
        self.last = name;
        Ok(name)
    }

    fn find(&mut self, letters: &str) -> Result<Name, NotAppended> {
        let name = match self.doc.names.find(letters) {
            Some(known) => known,
            None if !is_name(letters) => return Err(NotAppended::NoName),
            None => self.doc.names.add(letters),
        };
        self.by_name.resize(self.doc.names.len(), Use { next: None, holder: NodeId(super::NONE) });
        if let Some(used) = self.by_name.get_mut(self.last.index()) {
            used.next = Some(name);
        }
        Ok(name)
    }
}

/// Whether XML takes this for a name (section 2.3; letters beyond ASCII are not told apart).
fn is_name(letters: &str) -> bool {
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || !byte.is_ascii();
    let is_more = |byte: u8| is_start(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    letters.bytes().next().is_some_and(is_start) && letters.bytes().all(is_more)
}
