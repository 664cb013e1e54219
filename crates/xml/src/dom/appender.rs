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

/// What is remembered of a name.
#[derive(Clone, Copy)]
struct Use {
    /// The name that followed it the last time, and so is likely to follow again.
    next: Name,
    /// The last element that had it as an attribute.
    holder: NodeId,
}

impl Appender {
    /// A document with a root of this name, out of a text of `size` bytes.
    pub(crate) fn new(root: &str, size: usize) -> Appender {
        let mut doc = Document::new(root);
        doc.attributes.reserve(size / BYTES_PER_ATTRIBUTE);
        doc.nodes.reserve(size / BYTES_PER_NODE);
        doc.text.reserve(size / VALUES_DIVISOR);
        let last = doc.node(doc.root()).name;
        Appender { doc, by_name: Vec::new(), last }
    }

    pub(crate) fn element(&mut self, parent: NodeId, name: &str) -> NodeId {
        let name = self.name(name);
        self.doc.append_node(parent, name, Span::default())
    }

    /// Adds an attribute to the last element; `false`, and nothing happens, if that has it already.
    #[must_use]
    pub(crate) fn attribute(&mut self, element: NodeId, name: &str, value: &str) -> bool {
        let name = self.name(name);
        let Some(used) = self.by_name.get_mut(name.index()) else { return false };
        if std::mem::replace(&mut used.holder, element) == element {
            return false;
        }
        let doc = &mut self.doc;
        let content = &mut doc.nodes[element.0 as usize].content;
        if content.len == 0 {
            *content = Span::new(doc.attributes.len(), 0);
        }
        content.len += 1;
        doc.attributes.push(Attribute { name, value: Span::append(&mut doc.text, value) });
        true
    }

    fn name(&mut self, letters: &str) -> Name {
        let guess = self.by_name.get(self.last.index()).map(|used| used.next);
        let name = match guess.filter(|guess| self.doc.names.letters(*guess) == letters) {
            Some(guess) => guess,
            None => self.find(letters),
        };
        self.last = name;
        name
    }

    fn find(&mut self, letters: &str) -> Name {
        let name = self.doc.names.intern(letters);
        let count = self.doc.names.len();
        self.by_name.resize(count, Use { next: Name::TEXT, holder: NodeId(super::NONE) });
        if let Some(used) = self.by_name.get_mut(self.last.index()) {
            used.next = name;
        }
        name
    }
}
