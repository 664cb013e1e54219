//! The arena: nodes linked as a tree, with their attributes and all text in one list and one buffer.
//!
//! Nothing is allocated for a single node, so that a copy of a document is a copy of a few blocks of
//! memory. What is replaced or removed stays behind in list and buffer until it is more than what is in
//! use; then both are written anew ([`Document::set_attr`] and others do that by the way).

mod appender;
mod columns;
mod content;
mod copy;
mod names;
mod span;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use appender::{Appender, NotAppended};
pub use columns::{Columns, Key};
pub(crate) use names::Name;
use names::{Names, Wanted};
use span::Span;
pub use watch::Changes;
use watch::Watch;

/// Address of a node inside its [`Document`]. It is valid until the node is removed; the arena may
/// then give the same address to a new node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

const NONE: u32 = u32::MAX;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Element,
    Text,
    Comment,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    /// An element's name; tells the other kinds as well.
    name: Name,
    parent: u32,
    first: u32,
    last: u32,
    prev: u32,
    next: u32,
    /// Element: its attributes in the list. Text, comment: what it says, in the buffer. A free node:
    /// its start is the next free node.
    content: Span,
}

#[derive(Debug, Clone, Copy)]
struct Attribute {
    name: Name,
    value: Span,
}

/// A tree of elements with one root. Order of children and of attributes is kept as written.
#[derive(Debug)]
pub struct Document {
    nodes: Vec<Node>,
    names: Names,
    /// Each element's attributes stand together.
    attributes: Vec<Attribute>,
    text: String,
    /// Entries of `attributes` and bytes of `text` that nobody uses any more.
    dead_attributes: usize,
    dead_bytes: usize,
    first_free: u32,
    free_count: u32,
    text_count: u32,
    root: u32,
    watch: Option<Box<Watch>>,
}

/// Most copies are made to be changed a little: so there is room for that.
impl Clone for Document {
    fn clone(&self) -> Self {
        let room = |len: usize| len + len / 64 + 8;
        let mut nodes = Vec::with_capacity(room(self.nodes.len()));
        nodes.extend_from_slice(&self.nodes);
        let mut attributes = Vec::with_capacity(room(self.attributes.len()));
        attributes.extend_from_slice(&self.attributes);
        let mut text = String::with_capacity(room(self.text.len()));
        text.push_str(&self.text);
        let (names, watch) = (self.names.clone(), self.watch.clone());
        Document { nodes, names, attributes, text, watch, ..*self }
    }
}

impl Document {
    /// A document whose root element has this name.
    pub fn new(root: &str) -> Self {
        let mut doc = Document {
            nodes: Vec::new(),
            names: Names::default(),
            attributes: Vec::new(),
            text: String::new(),
            dead_attributes: 0,
            dead_bytes: 0,
            first_free: NONE,
            free_count: 0,
            text_count: 0,
            root: 0,
            watch: None,
        };
        let name = doc.names.intern(root);
        doc.root = doc.allocate(name, Span::default());
        doc
    }

    pub fn root(&self) -> NodeId {
        NodeId(self.root)
    }

    /// Number of live nodes.
    pub fn len(&self) -> usize {
        self.nodes.len() - self.free_count as usize
    }

    pub fn is_empty(&self) -> bool {
        false
    }

    /// Whether there is text beside elements and comments.
    pub fn has_text(&self) -> bool {
        self.text_count > 0
    }

    pub fn kind(&self, id: NodeId) -> NodeKind {
        match self.node(id).name {
            Name::TEXT => NodeKind::Text,
            Name::COMMENT => NodeKind::Comment,
            _ => NodeKind::Element,
        }
    }

    /// Name of an element; "" for text and comments.
    pub fn name(&self, id: NodeId) -> &str {
        self.names.letters(self.node(id).name)
    }

    /// Content of a text or comment node; "" for elements.
    pub fn text(&self, id: NodeId) -> &str {
        let node = self.node(id);
        if node.name.is_element() { "" } else { node.content.of(&self.text) }
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
        let wanted = Wanted::new(name);
        let mut next = self.first_child(id);
        while let Some(child) = next {
            if self.names.is(self.node(child).name, wanted) {
                return Some(child);
            }
            next = self.next_sibling(child);
        }
        None
    }

    /// A new element at the end of `parent`'s children.
    pub fn append(&mut self, parent: NodeId, name: &str) -> NodeId {
        let name = self.names.intern(name);
        self.append_node(parent, name, Span::default())
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
        let content = Span::append(&mut self.text, text);
        self.append_node(parent, Name::TEXT, content)
    }

    pub fn append_comment(&mut self, parent: NodeId, text: &str) -> NodeId {
        let content = Span::append(&mut self.text, text);
        self.append_node(parent, Name::COMMENT, content)
    }

    /// Renames an element.
    pub fn rename(&mut self, id: NodeId, name: &str) {
        if self.node(id).name.is_element() {
            let name = self.names.intern(name);
            self.nodes[id.0 as usize].name = name;
            self.note_content(id.0);
        }
    }

    /// Removes a node with everything under it. The root stays: removing it only empties it.
    pub fn remove(&mut self, id: NodeId) {
        if id.0 == self.root {
            self.remove_children(id);
            self.clear_attrs(id);
            return;
        }
        self.detach(id);
        self.free_subtree(id.0);
        self.tidy();
    }

    fn remove_children(&mut self, id: NodeId) {
        while let Some(child) = self.first_child(id) {
            self.remove(child);
        }
    }

    /// Frees a subtree that hangs nowhere: what lies deeper first, without recursion.
    fn free_subtree(&mut self, top: u32) {
        let mut at = top;
        loop {
            while self.nodes[at as usize].first != NONE {
                at = self.nodes[at as usize].first;
            }
            loop {
                let Node { next, parent, .. } = self.nodes[at as usize];
                self.free(at);
                if at == top {
                    return;
                }
                if next != NONE {
                    at = next;
                    break;
                }
                at = parent;
            }
        }
    }

    fn free(&mut self, at: u32) {
        self.forget_content(at);
        let node = &mut self.nodes[at as usize];
        self.text_count -= u32::from(node.name == Name::TEXT);
        (node.parent, node.first, node.last, node.prev, node.next) = (NONE, NONE, NONE, NONE, NONE);
        node.content = Span { start: self.first_free, len: 0 };
        self.first_free = at;
        self.free_count += 1;
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

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn append_node(&mut self, parent: NodeId, name: Name, content: Span) -> NodeId {
        let id = NodeId(self.allocate(name, content));
        self.attach(parent, id, None);
        id
    }

    fn allocate(&mut self, name: Name, content: Span) -> u32 {
        let node = Node { name, parent: NONE, first: NONE, last: NONE, prev: NONE, next: NONE, content };
        self.text_count += u32::from(name == Name::TEXT);
        let mut slot = self.first_free;
        match self.nodes.get_mut(slot as usize) {
            Some(free) => {
                self.first_free = free.content.start;
                self.free_count -= 1;
                *free = node;
            }
            None => {
                slot = Span::new(self.nodes.len(), 1).start;
                self.nodes.push(node);
            }
        }
        self.note_content(slot);
        slot
    }

    fn note_content(&mut self, node: u32) {
        if let Some(watch) = &mut self.watch {
            watch.content(node);
        }
    }

    fn note_children(&mut self, node: u32) {
        if let Some(watch) = &mut self.watch {
            watch.children(node);
        }
    }

    fn attach(&mut self, parent: NodeId, id: NodeId, before: Option<NodeId>) {
        self.note_children(parent.0);
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
        self.note_children(parent);
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
