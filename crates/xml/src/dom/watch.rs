//! What was changed since a copy was made: lets a comparison look at nothing else.

use std::collections::HashSet;

use super::{Document, NodeId};

/// Notes of changes, in order; a node may stand here many times.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    /// Nodes whose own words changed (name, attributes, text), and new nodes.
    content: Vec<u32>,
    /// Elements that got, lost or moved children.
    children: Vec<u32>,
}

impl Watch {
    pub(super) fn content(&mut self, node: u32) {
        if self.content.last() != Some(&node) {
            self.content.push(node);
        }
    }

    pub(super) fn children(&mut self, node: u32) {
        if self.children.last() != Some(&node) {
            self.children.push(node);
        }
    }
}

/// What was changed in a document since [`Document::watch`]. It tells about the document as it is now; a
/// node that is not in here is the same, with the same node id, in the copy made before.
#[derive(Debug, Default)]
pub struct Changes {
    content: HashSet<NodeId>,
    children: HashSet<NodeId>,
    /// Those of both, and everything above them.
    around: HashSet<NodeId>,
}

impl Changes {
    /// Whether nothing at all was changed.
    pub fn is_empty(&self) -> bool {
        self.around.is_empty()
    }

    /// Whether a subtree is as it was before.
    pub fn is_untouched(&self, top: NodeId) -> bool {
        !self.around.contains(&top)
    }

    /// Whether a node is as it was before, whatever became of its children.
    pub(crate) fn has_old_content(&self, node: NodeId) -> bool {
        !self.content.contains(&node)
    }

    /// Whether an element has the children that it had before, in the same order.
    pub(crate) fn has_old_children(&self, node: NodeId) -> bool {
        !self.children.contains(&node)
    }

    /// Children with a change in them or below, in document order.
    pub(crate) fn touched_children(&self, doc: &Document, parent: NodeId) -> Vec<NodeId> {
        // One of the two is small.
        if self.around.len() < SOME_NODES {
            let below = self.around.iter().copied().filter(|node| doc.parent(*node) == Some(parent));
            let mut found: Vec<NodeId> = below.collect();
            found.sort_by_cached_key(|node| doc.position(*node));
            return found;
        }
        let all = std::iter::successors(doc.first_child(parent), |node| doc.next_sibling(*node));
        all.filter(|node| !self.is_untouched(*node)).collect()
    }
}

/// With fewer nodes around changes, it is better to look at these than at all children.
const SOME_NODES: usize = 16;

impl Document {
    /// Forgets what was noted of changes, and notes them from now on. Copies inherit the notes.
    pub fn watch(&mut self) {
        self.watch = Some(Box::default());
    }

    /// Ends [`Document::watch`]; `None` if this document was not watched, or if that many changes were
    /// made that it is better to look at all of it.
    pub fn unwatch(&mut self) -> Option<Changes> {
        let watch = self.watch.take()?;
        if watch.content.len().saturating_add(watch.children.len()) > SOME_NODES.max(self.len() / 8) {
            return None;
        }
        let is_live = |node: &NodeId| node.0 == self.root || self.parent(*node).is_some();
        let live = |list: &[u32]| list.iter().copied().map(NodeId).filter(is_live).collect::<HashSet<_>>();
        let (content, children) = (live(&watch.content), live(&watch.children));
        let mut around = HashSet::new();
        for node in content.iter().chain(&children) {
            let mut at = Some(*node);
            while let Some(node) = at.filter(|node| around.insert(*node)) {
                at = self.parent(node);
            }
        }
        Some(Changes { content, children, around })
    }

    /// As [`Document::is_same`], for a document that was copied from `old` and then changed as told: only
    /// what was changed is compared.
    pub fn is_same_since(&self, node: NodeId, old: &Document, old_node: NodeId, changes: &Changes) -> bool {
        let mut open = vec![(node, old_node)];
        while let Some((here, there)) = open.pop() {
            if here == there && changes.is_untouched(here) {
                continue;
            }
            if !self.is_same_shallow(here, old, there) {
                return false;
            }
            if here == there && changes.has_old_children(here) {
                open.extend(changes.touched_children(self, here).into_iter().map(|child| (child, child)));
                continue;
            }
            let (mut next, mut old_next) = (self.first_child(here), old.first_child(there));
            while let (Some(child), Some(old_child)) = (next, old_next) {
                open.push((child, old_child));
                (next, old_next) = (self.next_sibling(child), old.next_sibling(old_child));
            }
            if next.is_some() || old_next.is_some() {
                return false;
            }
        }
        true
    }
}
