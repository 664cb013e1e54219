//! Copies between documents and inside of one.

use super::names::{Name, Names};
use super::span::Span;
use super::{Attribute, Document, NodeId, NodeKind};

/// A source with more names has each looked up: to make room for all of them would take longer.
const MOST_MAPPED_NAMES: usize = 1024;

/// What the names of one document are in another.
struct NameMap {
    known: Vec<Option<Name>>,
}

impl NameMap {
    fn new(source: &Document) -> Self {
        let count = source.names.len();
        NameMap { known: if count > MOST_MAPPED_NAMES { Vec::new() } else { vec![None; count] } }
    }

    fn translate(&mut self, name: Name, from: &Names, to: &mut Names) -> Name {
        match self.known.get_mut(name.index()) {
            Some(known) => *known.get_or_insert_with(|| to.intern(from.letters(name))),
            None => to.intern(from.letters(name)),
        }
    }
}

impl Document {
    /// Copies a subtree of another document to the end of `parent`.
    pub fn import(&mut self, parent: NodeId, source: &Document, node: NodeId) -> NodeId {
        let names = &mut NameMap::new(source);
        let copy = self.copy_shallow(parent, source, node, names);
        self.copy_children(copy, source, node, names);
        copy
    }

    /// Copies all children of `node` of another document to the end of `parent`.
    pub fn import_children(&mut self, parent: NodeId, source: &Document, node: NodeId) {
        self.copy_children(parent, source, node, &mut NameMap::new(source));
    }

    fn copy_children(&mut self, parent: NodeId, source: &Document, node: NodeId, names: &mut NameMap) {
        let Some(mut at) = source.first_child(node) else { return };
        let mut place = parent;
        loop {
            let copy = self.copy_shallow(place, source, at, names);
            if let Some(child) = source.first_child(at) {
                (at, place) = (child, copy);
                continue;
            }
            at = loop {
                if let Some(next) = source.next_sibling(at) {
                    break next;
                }
                match (source.parent(at), self.parent(place)) {
                    (Some(up), Some(over)) if up != node => (at, place) = (up, over),
                    _ => return,
                }
            };
        }
    }

    /// Copies a subtree of this document to the end of `parent`.
    pub fn duplicate(&mut self, parent: NodeId, node: NodeId) -> NodeId {
        let part = self.extract(node);
        self.import(parent, &part, part.root())
    }

    /// A new document that holds a copy of this subtree as its root.
    pub fn extract(&self, node: NodeId) -> Document {
        if node == self.root() {
            return Document { watch: None, ..self.clone() };
        }
        let mut doc = Document::new(self.name(node));
        let root = doc.root();
        let names = &mut NameMap::new(self);
        doc.copy_attrs(root, self, node, names);
        doc.copy_children(root, self, node, names);
        doc
    }

    /// Replaces the content of `target` (name, attributes, children) by a copy of `node`.
    pub fn overwrite(&mut self, target: NodeId, source: &Document, node: NodeId) {
        self.remove_children(target);
        self.rename(target, source.name(node));
        self.clear_attrs(target);
        let names = &mut NameMap::new(source);
        self.copy_attrs(target, source, node, names);
        self.copy_children(target, source, node, names);
    }

    /// Whether a subtree of this document and one of another have the same elements, attributes, texts
    /// and comments in the same order.
    pub fn is_same(&self, node: NodeId, other: &Document, other_node: NodeId) -> bool {
        let (mut here, mut there) = (node, other_node);
        loop {
            if !self.is_same_shallow(here, other, there) {
                return false;
            }
            match (self.first_child(here), other.first_child(there)) {
                (Some(first), Some(other_first)) => {
                    (here, there) = (first, other_first);
                    continue;
                }
                (None, None) => {}
                _ => return false,
            }
            loop {
                if here == node {
                    return true;
                }
                match (self.next_sibling(here), other.next_sibling(there)) {
                    (Some(next), Some(other_next)) => {
                        (here, there) = (next, other_next);
                        break;
                    }
                    (None, None) => {}
                    _ => return false,
                }
                // Both are as deep below their tops.
                match (self.parent(here), other.parent(there)) {
                    (Some(up), Some(other_up)) => (here, there) = (up, other_up),
                    _ => return false,
                }
            }
        }
    }

    pub(super) fn is_same_shallow(&self, node: NodeId, other: &Document, other_node: NodeId) -> bool {
        self.kind(node) == other.kind(other_node)
            && self.name(node) == other.name(other_node)
            && self.text(node) == other.text(other_node)
            && self.attributes_of(node).len() == other.attributes_of(other_node).len()
            && self.attrs(node).eq(other.attrs(other_node))
    }

    fn copy_shallow(
        &mut self,
        parent: NodeId,
        source: &Document,
        node: NodeId,
        names: &mut NameMap,
    ) -> NodeId {
        match source.kind(node) {
            NodeKind::Text => self.append_text(parent, source.text(node)),
            NodeKind::Comment => self.append_comment(parent, source.text(node)),
            NodeKind::Element => {
                let name = names.translate(source.node(node).name, &source.names, &mut self.names);
                let copy = self.append_node(parent, name, Span::default());
                self.copy_attrs(copy, source, node, names);
                copy
            }
        }
    }

    /// To an element without attributes.
    fn copy_attrs(&mut self, target: NodeId, source: &Document, node: NodeId, names: &mut NameMap) {
        let all = source.attributes_of(node);
        self.nodes[target.0 as usize].content = Span::new(self.attributes.len(), all.len());
        for Attribute { name, value } in all {
            let name = names.translate(*name, &source.names, &mut self.names);
            let value = Span::append(&mut self.text, value.of(&source.text));
            self.attributes.push(Attribute { name, value });
        }
        self.note_content(target.0);
    }
}
