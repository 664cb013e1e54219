//! Attributes and texts: where they lie, and how what was replaced is got rid of.

use super::names::{Name, Wanted};
use super::span::Span;
use super::{Attribute, Document, NodeId};

/// So many dead entries and bytes are never worth the effort.
pub(super) const SLACK: usize = 4096;

impl Document {
    /// Value of an attribute.
    pub fn attr(&self, id: NodeId, name: &str) -> Option<&str> {
        let wanted = Wanted::new(name);
        let found = self.attributes_of(id).iter().find(|attribute| self.names.is(attribute.name, wanted));
        found.map(|attribute| attribute.value.of(&self.text))
    }

    /// Attributes in the order in which they are written.
    pub fn attrs(&self, id: NodeId) -> impl Iterator<Item = (&str, &str)> {
        let all = self.attributes_of(id).iter();
        all.map(|attribute| (self.names.letters(attribute.name), attribute.value.of(&self.text)))
    }

    /// Sets an attribute: in place when it exists, at the end when it is new.
    pub fn set_attr(&mut self, id: NodeId, name: &str, value: &str) {
        if !self.node(id).name.is_element() {
            return;
        }
        let wanted = Wanted::new(name);
        let place = self.attributes_of(id).iter().position(|entry| self.names.is(entry.name, wanted));
        let Some(place) = place.map(|place| place + self.node(id).content.start as usize) else {
            let name = self.names.intern(name);
            return self.push_attr(id, name, value);
        };
        let old = self.attributes[place].value;
        if old.of(&self.text) != value {
            self.dead_bytes += old.len as usize;
            self.attributes[place].value = Span::append(&mut self.text, value);
            self.note_content(id.0);
            self.tidy();
        }
    }

    /// Removes an attribute; tells whether it was there.
    pub fn remove_attr(&mut self, id: NodeId, name: &str) -> bool {
        let wanted = Wanted::new(name);
        let range = self.attribute_range(id);
        let all = &mut self.attributes[range];
        let Some(place) = all.iter().position(|attribute| self.names.is(attribute.name, wanted)) else {
            return false;
        };
        self.dead_bytes += all[place].value.len as usize;
        all[place..].rotate_left(1);
        self.nodes[id.0 as usize].content.len -= 1;
        self.dead_attributes += 1;
        self.note_content(id.0);
        self.tidy();
        true
    }

    /// Removes all attributes.
    pub fn clear_attrs(&mut self, id: NodeId) {
        if self.node(id).name.is_element() {
            self.forget_content(id.0);
            self.note_content(id.0);
            self.tidy();
        }
    }

    /// Puts the attributes in ascending order of their names (digests need that).
    pub fn sort_attrs(&mut self, id: NodeId) {
        let range = self.attribute_range(id);
        let names = &self.names;
        self.attributes[range].sort_by(|a, b| names.letters(a.name).cmp(names.letters(b.name)));
        self.note_content(id.0);
    }

    /// Replaces the content of a text or comment node.
    pub fn set_text(&mut self, id: NodeId, text: &str) {
        if !self.node(id).name.is_element() {
            self.forget_content(id.0);
            self.nodes[id.0 as usize].content = Span::append(&mut self.text, text);
            self.note_content(id.0);
            self.tidy();
        }
    }

    /// Appends an attribute that the element does not have. The element's attributes move to the end of
    /// the list unless they are there.
    pub(super) fn push_attr(&mut self, id: NodeId, name: Name, value: &str) {
        let old = self.node(id).content;
        let mut content = old;
        if old.len == 0 {
            content = Span::new(self.attributes.len(), 0);
        } else if old.end() != self.attributes.len() {
            content = Span::new(self.attributes.len(), old.len as usize);
            self.attributes.extend_from_within(old.range());
            self.dead_attributes += old.len as usize;
        }
        let value = Span::append(&mut self.text, value);
        self.attributes.push(Attribute { name, value });
        content.len += 1;
        self.nodes[id.0 as usize].content = content;
        self.note_content(id.0);
        self.tidy();
    }

    pub(super) fn attributes_of(&self, id: NodeId) -> &[Attribute] {
        self.attributes.get(self.attribute_range(id)).unwrap_or(&[])
    }

    fn attribute_range(&self, id: NodeId) -> std::ops::Range<usize> {
        let node = self.node(id);
        if node.name.is_element() && node.content.len > 0 { node.content.range() } else { 0..0 }
    }

    /// Counts what a node says as dead, and leaves it without.
    pub(super) fn forget_content(&mut self, at: u32) {
        let id = NodeId(at);
        let node = self.node(id);
        if node.name.is_element() {
            let values: usize = self.attributes_of(id).iter().map(|entry| entry.value.len as usize).sum();
            self.dead_attributes += node.content.len as usize;
            self.dead_bytes += values;
        } else {
            self.dead_bytes += node.content.len as usize;
        }
        self.nodes[at as usize].content = Span::default();
    }

    /// Number of attributes, and bytes of all values, texts and comments together.
    pub fn size(&self) -> (usize, usize) {
        (self.attributes.len() - self.dead_attributes, self.text.len() - self.dead_bytes)
    }

    /// Writes list and buffer anew when more than half of one is dead. The effort is in proportion to
    /// what was changed since the last time, as looking at each node is counted in.
    pub(super) fn tidy(&mut self) {
        let least = SLACK + self.nodes.len();
        let is_dead = |dead: usize, all: usize| dead > least && dead > all / 2;
        if is_dead(self.dead_bytes, self.text.len()) || is_dead(self.dead_attributes, self.attributes.len()) {
            self.compact();
        }
    }

    pub(super) fn compact(&mut self) {
        let mut text = String::with_capacity(self.text.len() - self.dead_bytes);
        let mut attributes = Vec::with_capacity(self.attributes.len() - self.dead_attributes);
        for node in self.nodes.iter_mut().filter(|node| node.content.len > 0) {
            if !node.name.is_element() {
                node.content = Span::append(&mut text, node.content.of(&self.text));
                continue;
            }
            let start = attributes.len();
            let old = self.attributes.get(node.content.range()).unwrap_or(&[]);
            attributes.extend(old.iter().map(|Attribute { name, value }| Attribute {
                name: *name,
                value: Span::append(&mut text, value.of(&self.text)),
            }));
            node.content = Span::new(start, old.len());
        }
        (self.text, self.attributes) = (text, attributes);
        (self.dead_bytes, self.dead_attributes) = (0, 0);
    }
}
