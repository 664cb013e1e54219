//! The arena: nodes linked as a tree, attribute and element names stored once.

use std::collections::HashMap;

/// Address of a node inside its [`Document`]. It is valid until the node is removed; the arena may
/// then give the same address to a new node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

pub(crate) const NONE: u32 = u32::MAX;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Element,
    Text,
    Comment,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// Element: index of its name. Text, comment: unused.
    pub(crate) name: u32,
    pub(crate) parent: u32,
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) prev: u32,
    pub(crate) next: u32,
    pub(crate) attributes: Vec<(u32, Box<str>)>,
    pub(crate) text: Option<Box<str>>,
}

/// A tree of elements with one root. Order of children and of attributes is kept as written.
#[derive(Debug, Clone)]
pub struct Document {
    pub(crate) nodes: Vec<Node>,
    pub(crate) names: Vec<Box<str>>,
    index: HashMap<Box<str>, u32>,
    free: Vec<u32>,
    pub(crate) root: u32,
}

impl Document {
    /// A document whose root element has this name.
    pub fn new(root: &str) -> Self {
        let mut doc = Document {
            nodes: Vec::new(),
            names: Vec::new(),
            index: HashMap::new(),
            free: Vec::new(),
            root: 0,
        };
        let name = doc.intern(root);
        doc.root = doc.allocate(NodeKind::Element, name, None);
        doc
    }

    pub fn root(&self) -> NodeId {
        NodeId(self.root)
    }

    /// Number of live nodes.
    pub fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        false
    }

    pub fn kind(&self, id: NodeId) -> NodeKind {
        self.node(id).kind
    }

    /// Name of an element; "" for text and comments.
    pub fn name(&self, id: NodeId) -> &str {
        let node = self.node(id);
        if node.kind == NodeKind::Element { &self.names[node.name as usize] } else { "" }
    }

    /// Content of a text or comment node; "" for elements.
    pub fn text(&self, id: NodeId) -> &str {
        self.node(id).text.as_deref().unwrap_or("")
    }

    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        link(self.node(id).parent)
    }

    pub fn first_child(&self, id: NodeId) -> Option<NodeId> {
        link(self.node(id).first)
    }

    pub fn last_child(&self, id: NodeId) -> Option<NodeId> {
        link(self.node(id).last)
    }

    pub fn next_sibling(&self, id: NodeId) -> Option<NodeId> {
        link(self.node(id).next)
    }

    pub fn prev_sibling(&self, id: NodeId) -> Option<NodeId> {
        link(self.node(id).prev)
    }

    /// Child elements in document order, collected, so that the document may be changed meanwhile.
    pub fn child_elements(&self, id: NodeId) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut next = self.first_child(id);
        while let Some(child) = next {
            if self.kind(child) == NodeKind::Element {
                found.push(child);
            }
            next = self.next_sibling(child);
        }
        found
    }

    /// The first child element of this name.
    pub fn child(&self, id: NodeId, name: &str) -> Option<NodeId> {
        let mut next = self.first_child(id);
        while let Some(child) = next {
            if self.name(child) == name {
                return Some(child);
            }
            next = self.next_sibling(child);
        }
        None
    }

    pub fn attr(&self, id: NodeId, name: &str) -> Option<&str> {
        self.node(id)
            .attributes
            .iter()
            .find(|(key, _)| &*self.names[*key as usize] == name)
            .map(|(_, value)| &**value)
    }

    /// Attributes in the order in which they are written.
    pub fn attrs(&self, id: NodeId) -> impl Iterator<Item = (&str, &str)> {
        self.node(id).attributes.iter().map(|(key, value)| (&*self.names[*key as usize], &**value))
    }

    /// Sets an attribute: in place when it exists, at the end when it is new.
    pub fn set_attr(&mut self, id: NodeId, name: &str, value: &str) {
        let key = self.intern(name);
        let attributes = &mut self.nodes[id.0 as usize].attributes;
        match attributes.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = value.into(),
            None => attributes.push((key, value.into())),
        }
    }

    /// Removes an attribute; tells whether it was there.
    pub fn remove_attr(&mut self, id: NodeId, name: &str) -> bool {
        let Some(&key) = self.index.get(name) else { return false };
        let attributes = &mut self.nodes[id.0 as usize].attributes;
        let before = attributes.len();
        attributes.retain(|(k, _)| *k != key);
        attributes.len() != before
    }

    /// Puts the attributes in ascending order of their names (digests need that).
    pub fn sort_attrs(&mut self, id: NodeId) {
        let names = &self.names;
        self.nodes[id.0 as usize]
            .attributes
            .sort_by(|(a, _), (b, _)| names[*a as usize].cmp(&names[*b as usize]));
    }

    /// A new element at the end of `parent`'s children.
    pub fn append(&mut self, parent: NodeId, name: &str) -> NodeId {
        let name = self.intern(name);
        let id = self.allocate(NodeKind::Element, name, None);
        self.attach(parent, NodeId(id), None);
        NodeId(id)
    }

    /// As [`Document::append`], with attributes.
    pub fn append_with(&mut self, parent: NodeId, name: &str, attrs: &[(&str, &str)]) -> NodeId {
        let id = self.append(parent, name);
        for (key, value) in attrs {
            self.set_attr(id, key, value);
        }
        id
    }

    pub fn append_text(&mut self, parent: NodeId, text: &str) -> NodeId {
        let id = self.allocate(NodeKind::Text, NONE, Some(text.into()));
        self.attach(parent, NodeId(id), None);
        NodeId(id)
    }

    pub fn append_comment(&mut self, parent: NodeId, text: &str) -> NodeId {
        let id = self.allocate(NodeKind::Comment, NONE, Some(text.into()));
        self.attach(parent, NodeId(id), None);
        NodeId(id)
    }

    /// Replaces the content of a text or comment node.
    pub fn set_text(&mut self, id: NodeId, text: &str) {
        if self.kind(id) != NodeKind::Element {
            self.nodes[id.0 as usize].text = Some(text.into());
        }
    }

    /// Renames an element.
    pub fn rename(&mut self, id: NodeId, name: &str) {
        let name = self.intern(name);
        self.nodes[id.0 as usize].name = name;
    }

    /// Removes a node with everything under it. The root stays: removing it only empties it.
    pub fn remove(&mut self, id: NodeId) {
        while let Some(child) = self.first_child(id) {
            self.remove(child);
        }
        if id.0 == self.root {
            self.nodes[id.0 as usize].attributes.clear();
            return;
        }
        self.detach(id);
        self.nodes[id.0 as usize].attributes = Vec::new();
        self.nodes[id.0 as usize].text = None;
        self.free.push(id.0);
    }

    /// Moves a node (with everything under it) to the end of `parent`, or before `before`.
    /// A move into its own subtree is ignored.
    pub fn move_to(&mut self, id: NodeId, parent: NodeId, before: Option<NodeId>) {
        let mut up = Some(parent);
        while let Some(node) = up {
            if node == id {
                return;
            }
            up = self.parent(node);
        }
        if before == Some(id) {
            return;
        }
        self.detach(id);
        self.attach(parent, id, before);
    }

    /// Copies a subtree of another document to the end of `parent`.
    pub fn import(&mut self, parent: NodeId, source: &Document, node: NodeId) -> NodeId {
        let copy = self.copy_shallow(source, node);
        self.attach(parent, copy, None);
        self.import_children(copy, source, node);
        copy
    }

    /// Copies all children of `node` of another document to the end of `parent`.
    pub fn import_children(&mut self, parent: NodeId, source: &Document, node: NodeId) {
        let mut next = source.first_child(node);
        while let Some(child) = next {
            self.import(parent, source, child);
            next = source.next_sibling(child);
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
        for (key, value) in self.attrs(node) {
            doc.set_attr(root, key, value);
        }
        doc.import_children(root, self, node);
        doc
    }

    /// Replaces the content of `target` (name, attributes, children) by a copy of `node`.
    pub fn overwrite(&mut self, target: NodeId, source: &Document, node: NodeId) {
        while let Some(child) = self.first_child(target) {
            self.remove(child);
        }
        self.rename(target, source.name(node));
        self.nodes[target.0 as usize].attributes.clear();
        for (key, value) in source.attrs(node) {
            self.set_attr(target, key, value);
        }
        self.import_children(target, source, node);
    }

    /// Position among the siblings, counting every kind of node from 0.
    pub fn position(&self, id: NodeId) -> usize {
        let mut count = 0;
        let mut prev = self.prev_sibling(id);
        while let Some(node) = prev {
            count += 1;
            prev = self.prev_sibling(node);
        }
        count
    }

    /// The child at this position, counting every kind of node from 0.
    pub fn child_at(&self, parent: NodeId, position: usize) -> Option<NodeId> {
        let mut next = self.first_child(parent);
        for _ in 0..position {
            next = next.and_then(|node| self.next_sibling(node));
        }
        next
    }

    /// The next node of the subtree under `top` in document order (depth first).
    pub fn next_in_order(&self, top: NodeId, node: NodeId) -> Option<NodeId> {
        if let Some(child) = self.first_child(node) {
            return Some(child);
        }
        let mut at = node;
        while at != top {
            if let Some(next) = self.next_sibling(at) {
                return Some(next);
            }
            at = self.parent(at)?;
        }
        None
    }

    /// First element under (and including) `top` whose attribute `id` has this value.
    pub fn find_id(&self, top: NodeId, id: &str) -> Option<NodeId> {
        let mut at = Some(top);
        while let Some(node) = at {
            if self.attr(node, "id") == Some(id) {
                return Some(node);
            }
            at = self.next_in_order(top, node);
        }
        None
    }

    fn copy_shallow(&mut self, source: &Document, node: NodeId) -> NodeId {
        let from = source.node(node);
        let name = if from.kind == NodeKind::Element { self.intern(source.name(node)) } else { NONE };
        let id = self.allocate(from.kind, name, from.text.clone());
        for (key, value) in &from.attributes {
            let key = self.intern(&source.names[*key as usize]);
            self.nodes[id as usize].attributes.push((key, value.clone()));
        }
        NodeId(id)
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        if let Some(&found) = self.index.get(name) {
            return found;
        }
        let next = self.names.len() as u32;
        self.names.push(name.into());
        self.index.insert(name.into(), next);
        next
    }

    fn allocate(&mut self, kind: NodeKind, name: u32, text: Option<Box<str>>) -> u32 {
        let node = Node {
            kind,
            name,
            parent: NONE,
            first: NONE,
            last: NONE,
            prev: NONE,
            next: NONE,
            attributes: Vec::new(),
            text,
        };
        match self.free.pop() {
            Some(slot) => {
                self.nodes[slot as usize] = node;
                slot
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        }
    }

    fn attach(&mut self, parent: NodeId, id: NodeId, before: Option<NodeId>) {
        let prev = match before {
            Some(next) => self.nodes[next.0 as usize].prev,
            None => self.nodes[parent.0 as usize].last,
        };
        let next = before.map_or(NONE, |n| n.0);
        let node = &mut self.nodes[id.0 as usize];
        (node.parent, node.prev, node.next) = (parent.0, prev, next);
        match prev {
            NONE => self.nodes[parent.0 as usize].first = id.0,
            other => self.nodes[other as usize].next = id.0,
        }
        match next {
            NONE => self.nodes[parent.0 as usize].last = id.0,
            other => self.nodes[other as usize].prev = id.0,
        }
    }

    /// Takes a node out of its parent without freeing it; it must be moved back somewhere.
    pub(crate) fn unlink(&mut self, id: NodeId) {
        self.detach(id);
    }

    fn detach(&mut self, id: NodeId) {
        let Node { parent, prev, next, .. } = self.nodes[id.0 as usize];
        if parent == NONE {
            return;
        }
        match prev {
            NONE => self.nodes[parent as usize].first = next,
            other => self.nodes[other as usize].next = next,
        }
        match next {
            NONE => self.nodes[parent as usize].last = prev,
            other => self.nodes[other as usize].prev = prev,
        }
        let node = &mut self.nodes[id.0 as usize];
        (node.parent, node.prev, node.next) = (NONE, NONE, NONE);
    }
}

fn link(raw: u32) -> Option<NodeId> {
    (raw != NONE).then_some(NodeId(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_children_survives_moves_and_removals() {
        let mut doc = Document::new("a");
        let root = doc.root();
        let one = doc.append(root, "one");
        let two = doc.append(root, "two");
        let three = doc.append(root, "three");
        doc.move_to(three, root, Some(one));
        doc.remove(two);
        assert_eq!(doc.to_text(), "<a><three/><one/></a>");
        let four = doc.append(root, "four");
        assert_eq!(doc.position(four), 2);
        doc.move_to(root, four, None);
        assert_eq!(doc.to_text(), "<a><three/><one/><four/></a>");
    }

    #[test]
    fn overwrite_takes_name_attributes_and_children() {
        let mut doc = Document::parse("<a><b x='1'><c/></b></a>").unwrap();
        let other = Document::parse("<d y='2'>t</d>").unwrap();
        let b = doc.child(doc.root(), "b").unwrap();
        doc.overwrite(b, &other, other.root());
        assert_eq!(doc.to_text(), "<a><d y=\"2\">t</d></a>");
        assert_eq!(doc.len(), 3);
    }
}
