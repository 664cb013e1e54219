//! Carrying out a patch. Either all of it is applied or the document is left untouched.

use super::resolve;
use crate::{Document, Element, NodeId};

/// Why a patch does not fit; the document is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    #[error("the patch changes {0}, which does not exist here")]
    NoSuchPlace(String),
    #[error("the patch is malformed: {0}")]
    Malformed(String),
}

enum Placed {
    Create { parent: NodeId, content: Document },
    Move { node: NodeId, parent: NodeId },
}

/// Applies a `<diff format="2">`: deletions and attribute changes in order, then creations and moves
/// by rising position, as the reference does.
///
/// # Errors
/// [`PatchError`] when a path is not there or the patch cannot be read.
pub fn apply(doc: &mut Document, patch: Element<'_>) -> Result<(), PatchError> {
    let mut work = doc.clone();
    apply_in_place(&mut work, patch)?;
    *doc = work;
    Ok(())
}

/// As [`apply`], without a copy: a document that the patch does not fit is left half changed, to be
/// thrown away.
///
/// # Errors
/// As [`apply`].
pub fn apply_in_place(doc: &mut Document, patch: Element<'_>) -> Result<(), PatchError> {
    let mut placed: Vec<(usize, Placed)> = Vec::new();
    for change in patch.children_named("change") {
        let operation = change.attr("operation").unwrap_or("");
        let path = change.attr("path").ok_or_else(|| PatchError::Malformed("a change has no path".into()))?;
        let node = resolve(doc, path);
        let found = node.ok_or_else(|| PatchError::NoSuchPlace(path.to_string()));
        match operation {
            "delete" => {
                if let Some(node) = node {
                    doc.remove(node);
                }
            }
            "modify" => modify(doc, found?, change)?,
            "create" => {
                let content = change.children().next();
                let content =
                    content.ok_or_else(|| PatchError::Malformed("a creation has no content".into()))?;
                let content = content.document().extract(content.id());
                placed.push((position(change)?, Placed::Create { parent: found?, content }));
            }
            "move" => {
                let node = found?;
                let parent =
                    doc.parent(node).ok_or_else(|| PatchError::Malformed("the root cannot move".into()))?;
                placed.push((position(change)?, Placed::Move { node, parent }));
            }
            other => return Err(PatchError::Malformed(format!("unknown operation '{other}'"))),
        }
    }
    place(doc, placed);
    Ok(())
}

fn position(change: Element<'_>) -> Result<usize, PatchError> {
    let text = change.attr("position").unwrap_or("");
    text.parse().map_err(|_| PatchError::Malformed(format!("'{text}' is not a position")))
}

fn modify(doc: &mut Document, node: NodeId, change: Element<'_>) -> Result<(), PatchError> {
    let result = change.child("change-result").and_then(|result| result.children().next());
    let result = result.ok_or_else(|| PatchError::Malformed("a modification has no result".into()))?;
    doc.clear_attrs(node);
    for (name, value) in result.attrs() {
        doc.set_attr(node, name, value);
    }
    Ok(())
}

fn place(doc: &mut Document, mut placed: Vec<(usize, Placed)>) {
    placed.sort_by_key(|(position, _)| *position);
    // Nodes that will move must not count as neighbours while others are put in their places.
    for (_, entry) in &placed {
        if let Placed::Move { node, .. } = entry {
            doc.unlink(*node);
        }
    }
    for (position, entry) in placed {
        let (node, parent) = match entry {
            Placed::Create { parent, content } => (doc.import(parent, &content, content.root()), parent),
            Placed::Move { node, parent } => (node, parent),
        };
        doc.unlink(node);
        let before = doc.child_at(parent, position);
        doc.move_to(node, parent, before);
    }
}
