//! Older configurations in today's words.
//!
//! Each line of schemas dropped words of the one before; what the reference's transformations
//! (`upgrade-1.3`, `upgrade-2.10`, `upgrade-3.10`) make of them is done here by small functions.

mod acls;
mod four;
mod three;

use crate::schema::is_known;
use xml::{Document, NodeId};

/// Major and minor number of a schema; (0, 6) for the oldest, `None` for "none" and what is no schema.
fn version(schema: &str) -> Option<(u32, u32)> {
    if schema == "transitional-0.6" {
        return Some((0, 6));
    }
    let (major, minor) = schema.strip_prefix("pacemaker-")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Brings a configuration of a 0.x, 1.x or 2.x schema to the words of the 3.x line; others are left
/// as they are. Tells whether anything had to be done.
pub fn to_line_3(cib: &mut Document) -> bool {
    let root = cib.root();
    let Some((major, _)) = cib.attr(root, "validate-with").and_then(version).filter(|v| v.0 < 3) else {
        return false;
    };
    if major < 2 {
        acls::transform(cib);
    }
    three::transform(cib);
    cib.set_attr(root, "validate-with", base::CURRENT_SCHEMA);
    true
}

/// Brings a configuration to the meaning that the newest line gives it, for a decision: what that line
/// no longer knows is gone or said in other words.
///
/// # Errors
/// When `validate-with` is missing, or is no schema that is known.
pub fn for_decision(cib: &mut Document) -> Result<(), UnknownSchema> {
    let root = cib.root();
    let schema = cib.attr(root, "validate-with").unwrap_or("").to_string();
    if schema == "none" {
        return Ok(());
    }
    if !is_known(&schema) || schema == "pacemaker-next" {
        return Err(UnknownSchema(schema));
    }
    to_line_3(cib);
    if version(&schema).is_some_and(|v| v.0 < 4) {
        four::transform(cib);
    }
    Ok(())
}

/// A document that names no schema, or one that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot use the configuration: validate-with='{0}' is no schema that is known here (pacemaker-1.0 to pacemaker-4.0, none)"
)]
pub struct UnknownSchema(pub String);

/// All elements of a name.
fn named(doc: &Document, name: &str) -> Vec<NodeId> {
    doc.root_element().descendants().filter(|e| e.name() == name).map(|e| e.id()).collect()
}

/// An id that nothing has yet.
fn fresh_id(doc: &Document, wanted: &str) -> String {
    let taken = |id: &str| doc.find_id(doc.root(), id).is_some();
    if !taken(wanted) {
        return wanted.to_string();
    }
    (1..).map(|n: u32| format!("{wanted}-{n}")).find(|id| !taken(id)).unwrap_or_default()
}

/// Adds a name-value pair to a block of an element, both made if they are not there, unless any block
/// of that kind says something under the name.
fn add_pair(doc: &mut Document, owner: NodeId, block: &str, name: &str, value: &str) {
    let blocks: Vec<NodeId> = doc.element(owner).children_named(block).map(|b| b.id()).collect();
    if blocks.iter().any(|b| doc.element(*b).children().any(|p| p.attr("name") == Some(name))) {
        return;
    }
    let into = match blocks.first() {
        Some(block) if doc.attr(*block, "id-ref").is_none() => *block,
        _ => {
            let of = doc.attr(owner, "id").unwrap_or_else(|| doc.name(owner)).to_string();
            let id = fresh_id(doc, &format!("{of}-{block}"));
            let made = doc.append_with(owner, block, &[("id", &id)]);
            let first = doc.first_child(owner).filter(|first| *first != made);
            doc.move_to(made, owner, first);
            made
        }
    };
    let id = fresh_id(doc, &format!("{}-{name}", doc.attr(into, "id").unwrap_or("")));
    doc.append_with(into, "nvpair", &[("id", &id), ("name", name), ("value", value)]);
}

#[cfg(test)]
mod tests;
