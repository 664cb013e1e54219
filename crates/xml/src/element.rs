//! A borrowed cursor for reading.

use crate::{Document, NodeId, NodeKind};

/// An element of a document: what readers hold. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    doc: &'a Document,
    id: NodeId,
}

impl Document {
    pub fn element(&self, id: NodeId) -> Element<'_> {
        Element { doc: self, id }
    }

    pub fn root_element(&self) -> Element<'_> {
        self.element(self.root())
    }
}

impl<'a> Element<'a> {
    pub fn id(self) -> NodeId {
        self.id
    }

    pub fn document(self) -> &'a Document {
        self.doc
    }

    pub fn name(self) -> &'a str {
        self.doc.name(self.id)
    }

    pub fn attr(self, name: &str) -> Option<&'a str> {
        self.doc.attr(self.id, name)
    }

    pub fn attrs(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.doc.attrs(self.id)
    }

    pub fn parent(self) -> Option<Element<'a>> {
        self.doc.parent(self.id).map(|id| self.doc.element(id))
    }

    /// Child elements in document order.
    pub fn children(self) -> Children<'a> {
        Children { doc: self.doc, next: self.doc.first_child(self.id) }
    }

    /// Child elements of one name.
    pub fn children_named(self, name: &'a str) -> impl Iterator<Item = Element<'a>> {
        self.children().filter(move |child| child.name() == name)
    }

    pub fn child(self, name: &str) -> Option<Element<'a>> {
        self.doc.child(self.id, name).map(|id| self.doc.element(id))
    }

    /// Follows child names from here, the first match at each level.
    pub fn path(self, names: &[&str]) -> Option<Element<'a>> {
        names.iter().try_fold(self, |at, name| at.child(name))
    }

    /// This element and all elements under it, depth first.
    pub fn descendants(self) -> Descendants<'a> {
        Descendants { doc: self.doc, top: self.id, next: Some(self.id) }
    }

    /// First element here or below whose `id` attribute has this value.
    pub fn find_id(self, id: &str) -> Option<Element<'a>> {
        self.doc.find_id(self.id, id).map(|id| self.doc.element(id))
    }

    /// The text directly inside, joined.
    pub fn text(self) -> String {
        let mut text = String::new();
        let mut next = self.doc.first_child(self.id);
        while let Some(node) = next {
            if self.doc.kind(node) == NodeKind::Text {
                text.push_str(self.doc.text(node));
            }
            next = self.doc.next_sibling(node);
        }
        text
    }
}

/// Iterator of [`Element::children`].
#[derive(Debug)]
pub struct Children<'a> {
    doc: &'a Document,
    next: Option<NodeId>,
}

impl<'a> Iterator for Children<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        while let Some(id) = self.next {
            self.next = self.doc.next_sibling(id);
            if self.doc.kind(id) == NodeKind::Element {
                return Some(self.doc.element(id));
            }
        }
        None
    }
}

/// Iterator of [`Element::descendants`].
#[derive(Debug)]
pub struct Descendants<'a> {
    doc: &'a Document,
    top: NodeId,
    next: Option<NodeId>,
}

impl<'a> Iterator for Descendants<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        while let Some(id) = self.next {
            self.next = self.doc.next_in_order(self.top, id);
            if self.doc.kind(id) == NodeKind::Element {
                return Some(self.doc.element(id));
            }
        }
        None
    }
}
