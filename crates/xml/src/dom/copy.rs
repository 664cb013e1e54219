//! Copies between documents and inside of one.

use super::{Document, NodeId, NodeKind};

impl Document {
    /// Copies a subtree of another document to the end of `parent`.
    pub fn import(&mut self, parent: NodeId, source: &Document, node: NodeId) -> NodeId {
        let copy = self.copy_shallow(parent, source, node);
        self.import_children(copy, source, node);
        copy
    }

    /// Copies all children of `node` of another document to the end of `parent`.
    pub fn import_children(&mut self, parent: NodeId, source: &Document, node: NodeId) {
        let Some(mut at) = source.first_child(node) else { return };
        let mut place = parent;
        loop {
            let copy = self.copy_shallow(place, source, at);
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
        let mut doc = Document::new(self.name(node));
        let root = doc.root();
        doc.copy_attrs(root, self, node);
        doc.import_children(root, self, node);
        doc
    }

    /// Replaces the content of `target` (name, attributes, children) by a copy of `node`.
    pub fn overwrite(&mut self, target: NodeId, source: &Document, node: NodeId) {
        self.remove_children(target);
        self.rename(target, source.name(node));
        self.clear_attrs(target);
        self.copy_attrs(target, source, node);
        self.import_children(target, source, node);
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

    fn copy_shallow(&mut self, parent: NodeId, source: &Document, node: NodeId) -> NodeId {
        match source.kind(node) {
            NodeKind::Text => self.append_text(parent, source.text(node)),
            NodeKind::Comment => self.append_comment(parent, source.text(node)),
            NodeKind::Element => {
                let copy = self.append(parent, source.name(node));
                self.copy_attrs(copy, source, node);
                copy
            }
        }
    }

    /// To an element without attributes.
    fn copy_attrs(&mut self, target: NodeId, source: &Document, node: NodeId) {
        for (name, value) in source.attrs(node) {
            let name = self.names.intern(name);
            self.push_attr(target, name, value);
        }
    }
}
