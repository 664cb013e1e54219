//! Making a patch: elements are the same when name and id are; order counts.

use std::collections::{HashMap, HashSet};

use crate::{Changes, Document, NodeId, NodeKind};

type Key<'a> = (&'a str, Option<&'a str>);

/// The changes that turn `old` into `new`, or `None` when there are none. Comments and texts directly
/// under the root are not compared; anywhere else a change of them replaces their element.
pub fn diff(old: &Document, new: &Document) -> Option<Document> {
    Work::new(old, new, None).run().unwrap_or_default()
}

/// As [`diff`], for a document that was copied from `old` and then changed as told. The effort is in
/// proportion to the changes.
pub fn diff_since(old: &Document, new: &Document, changes: &Changes) -> Option<Document> {
    match Work::new(old, new, Some(changes)).run() {
        Ok(patch) => patch,
        Err(Unclear) => diff(old, new),
    }
}

/// The changes alone do not tell how paths will be understood.
#[derive(Debug)]
struct Unclear;

struct Work<'a> {
    old: &'a Document,
    new: &'a Document,
    changes: Option<&'a Changes>,
    deletes: Vec<Document>,
    others: Vec<Document>,
}

impl<'a> Work<'a> {
    fn new(old: &'a Document, new: &'a Document, changes: Option<&'a Changes>) -> Self {
        Work { old, new, changes, deletes: Vec::new(), others: Vec::new() }
    }

    fn run(mut self) -> Result<Option<Document>, Unclear> {
        let (old, new) = (self.old, self.new);
        if old.name(old.root()) != new.name(new.root()) {
            return Ok(None);
        }
        self.element(old.root(), new.root(), true)?;
        if self.deletes.is_empty() && self.others.is_empty() {
            return Ok(None);
        }
        let mut patch = Document::new("diff");
        let root = patch.root();
        patch.set_attr(root, "format", "2");
        for change in self.deletes.iter().chain(&self.others) {
            patch.import(root, change, change.root());
        }
        Ok(Some(patch))
    }

    fn element(&mut self, old: NodeId, new: NodeId, is_root: bool) -> Result<(), Unclear> {
        self.attributes(old, new);
        if let Some(changes) = self.changes.filter(|changes| old == new && changes.has_old_children(new)) {
            return self.touched(changes, new);
        }
        let paired = !is_root || unique_keys(self.old, old) && unique_keys(self.new, new);
        let (old_doc, new_doc) = (self.old, self.new);
        let old_children = old_doc.child_elements(old);
        let new_children = new_doc.child_elements(new);
        let by_key: HashMap<Key<'_>, NodeId> = if paired {
            old_children.iter().map(|child| (key(old_doc, *child), *child)).collect()
        } else {
            HashMap::new()
        };
        let mut pairs: Vec<(NodeId, Option<NodeId>)> = Vec::with_capacity(new_children.len());
        for child in new_children {
            let partner = by_key.get(&key(new_doc, child)).copied();
            let fits = |other: &NodeId| {
                self.is_untouched(*other, child) || comparable(old_doc, *other, new_doc, child)
            };
            pairs.push((child, partner.filter(fits)));
        }
        let kept: HashSet<NodeId> = pairs.iter().filter_map(|(_, partner)| *partner).collect();
        for child in old_children.iter().filter(|child| !kept.contains(child)) {
            let path = old_doc.xpath_of(*child);
            self.deletes.push(change("delete", &path));
        }
        let moved = self.moved(&old_children, &pairs);
        for (child, partner) in pairs {
            match partner {
                None => self.create(new, child),
                Some(other) => {
                    if !self.is_untouched(other, child) {
                        self.element(other, child, false)?;
                    }
                    if moved.contains(&child) {
                        let mut entry = change("move", &new_doc.xpath_of(child));
                        let root = entry.root();
                        entry.set_attr(root, "position", &new_doc.position(child).to_string());
                        self.others.push(entry);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether two subtrees are known to be the same without a look at them.
    fn is_untouched(&self, old: NodeId, new: NodeId) -> bool {
        old == new && self.changes.is_some_and(|changes| changes.is_untouched(new))
    }

    /// Goes on in those children of an element that have changes, when it has the same children as before.
    fn touched(&mut self, changes: &Changes, parent: NodeId) -> Result<(), Unclear> {
        for child in changes.touched_children(self.new, parent) {
            let is_plain = self.new.kind(child) == NodeKind::Element
                && self.is_named(changes, parent, child)
                && (changes.has_old_children(child) || comparable(self.old, child, self.new, child));
            if !is_plain {
                return Err(Unclear);
            }
            self.element(child, child, false)?;
        }
        Ok(())
    }

    /// Whether name and id lead to this child, before and after.
    fn is_named(&self, changes: &Changes, parent: NodeId, child: NodeId) -> bool {
        let wanted = key(self.new, child);
        let is_first = |doc: &Document| {
            let mut all = std::iter::successors(doc.first_child(parent), |node| doc.next_sibling(*node));
            all.find(|node| doc.name(*node) == wanted.0 && (wanted.1.is_none() || key(doc, *node) == wanted))
                == Some(child)
        };
        let is_usual = wanted.1.is_none_or(|id| !id.contains('\''));
        is_usual
            && (changes.has_old_content(child) || key(self.old, child) == wanted)
            && is_first(self.old)
            && is_first(self.new)
    }

    fn create(&mut self, parent: NodeId, child: NodeId) {
        let mut entry = change("create", &self.new.xpath_of(parent));
        let root = entry.root();
        entry.set_attr(root, "position", &self.new.position(child).to_string());
        entry.import(root, self.new, child);
        self.others.push(entry);
    }

    fn attributes(&mut self, old: NodeId, new: NodeId) {
        let (old_doc, new_doc) = (self.old, self.new);
        let same = old_doc.attrs(old).eq(new_doc.attrs(new));
        if same {
            return;
        }
        let mut entry = change("modify", &new_doc.xpath_of(new));
        let root = entry.root();
        let list = entry.append(root, "change-list");
        for (name, _) in old_doc.attrs(old).filter(|(name, _)| new_doc.attr(new, name).is_none()) {
            entry.append_with(list, "change-attr", &[("name", name), ("operation", "unset")]);
        }
        for (name, value) in new_doc.attrs(new).filter(|(name, value)| old_doc.attr(old, name) != Some(value))
        {
            entry.append_with(list, "change-attr", &[("name", name), ("operation", "set"), ("value", value)]);
        }
        let result = entry.append(root, "change-result");
        let attributes: Vec<(&str, &str)> = new_doc.attrs(new).collect();
        entry.append_with(result, new_doc.name(new), &attributes);
        self.others.push(entry);
    }

    /// New children whose partner must change its place: those outside a longest rising sequence.
    fn moved(&self, old: &[NodeId], pairs: &[(NodeId, Option<NodeId>)]) -> HashSet<NodeId> {
        let index: HashMap<NodeId, usize> = old.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        let kept: Vec<(usize, NodeId)> =
            pairs.iter().filter_map(|(child, partner)| Some((*index.get(&(*partner)?)?, *child))).collect();
        let stay = longest_rising(&kept.iter().map(|(place, _)| *place).collect::<Vec<_>>());
        kept.iter().enumerate().filter(|(i, _)| !stay.contains(i)).map(|(_, (_, child))| *child).collect()
    }
}

fn change(operation: &str, path: &str) -> Document {
    let mut entry = Document::new("change");
    let root = entry.root();
    entry.set_attr(root, "operation", operation);
    entry.set_attr(root, "path", path);
    entry
}

fn key(doc: &Document, node: NodeId) -> Key<'_> {
    (doc.name(node), doc.attr(node, "id"))
}

/// Whether children can be told apart by name and id.
pub(super) fn unique_keys(doc: &Document, node: NodeId) -> bool {
    let children = doc.child_elements(node);
    let keys: HashSet<Key<'_>> = children.iter().map(|child| key(doc, *child)).collect();
    // A path without an id names the first of that name, whatever ids the others have.
    let ambiguous = children.iter().any(|child| {
        let (name, id) = key(doc, *child);
        id.is_none() && children.iter().filter(|other| doc.name(**other) == name).count() > 1
            || id.is_some_and(|id| id.contains('\''))
    });
    keys.len() == children.len() && !ambiguous
}

/// Whether two elements of one key can be patched into each other instead of replaced.
fn comparable(old_doc: &Document, old: NodeId, new_doc: &Document, new: NodeId) -> bool {
    other_nodes(old_doc, old) == other_nodes(new_doc, new)
        && unique_keys(old_doc, old)
        && unique_keys(new_doc, new)
}

/// Texts and comments directly inside, with their positions.
fn other_nodes(doc: &Document, node: NodeId) -> Vec<(usize, NodeKind, &str)> {
    let mut found = Vec::new();
    let mut next = doc.first_child(node);
    let mut position = 0;
    while let Some(child) = next {
        if doc.kind(child) != NodeKind::Element {
            found.push((position, doc.kind(child), doc.text(child)));
        }
        position += 1;
        next = doc.next_sibling(child);
    }
    found
}

/// Indices of one longest strictly rising subsequence.
fn longest_rising(values: &[usize]) -> HashSet<usize> {
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; values.len()];
    for (index, value) in values.iter().enumerate() {
        let place = tails.partition_point(|tail| values[*tail] < *value);
        before[index] = place.checked_sub(1).map(|p| tails[p]);
        match tails.get_mut(place) {
            Some(tail) => *tail = index,
            None => tails.push(index),
        }
    }
    let last = tails.last().copied();
    std::iter::successors(last, |index| before[*index]).collect()
}
