//! Patches between two states of a document, in the reference's format 2.
//!
//! [`diff`] makes one, [`apply`] carries one out; both work on the `<diff format="2">` element as it
//! travels. Version numbers around a patch are the business of the `cib` crate.

mod apply;
mod diff;

pub use apply::{PatchError, apply, apply_in_place};
pub use diff::{diff, diff_since};

use crate::{Document, NodeId};

/// One step of a path: an element's name and, where it has one, its id.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: String,
    id: Option<String>,
}

/// Reads paths of the form `/cib/configuration/primitive[@id='x']`. `None` for anything else.
fn parse_path(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('/')?;
        let end = rest.find(['/', '[']).unwrap_or(rest.len());
        let name = rest[..end].to_string();
        rest = &rest[end..];
        let mut id = None;
        if let Some(inner) = rest.strip_prefix("[@id=") {
            let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            let close = inner[1..].find(quote)? + 1;
            id = Some(inner[1..close].to_string());
            rest = inner[close + 1..].strip_prefix(']')?;
        }
        if name.is_empty() {
            return None;
        }
        steps.push(Step { name, id });
    }
    Some(steps)
}

fn resolve(doc: &Document, path: &str) -> Option<NodeId> {
    let steps = parse_path(path)?;
    let (first, rest) = steps.split_first()?;
    let root = doc.root();
    if !fits(doc, root, first) {
        return None;
    }
    rest.iter().try_fold(root, |at, step| {
        let mut children = std::iter::successors(doc.first_child(at), |child| doc.next_sibling(*child));
        children.find(|child| fits(doc, *child, step))
    })
}

fn fits(doc: &Document, node: NodeId, step: &Step) -> bool {
    doc.name(node) == step.name && step.id.as_deref().is_none_or(|id| doc.attr(node, "id") == Some(id))
}

#[cfg(test)]
mod tests;
