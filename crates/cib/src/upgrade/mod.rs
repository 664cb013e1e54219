//! Moves configurations of older schema lines to the present one.
//!
//! Read [`transform`] first. Each step takes a document from one line to the next: [`v2`] (access
//! lists), [`v3`] (old names of options), [`v4`] (what is supported no longer). The rules are those of
//! the reference's transformations upgrade-1.3, upgrade-2.10 and upgrade-3.10.

mod references;
mod v2;
mod v3;
mod v4;

use crate::schema::is_known;
use xml::{Document, NodeId};

/// Where a document is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Goal {
    /// The 3.x line: what is stored.
    V3,
    /// The 4.x line: what the scheduler understands.
    V4,
}

/// The line of a schema's name: its major number. Nothing for `none`, names that nobody knows, and a
/// name that is missing.
#[must_use]
pub fn line(schema: Option<&str>) -> Option<u32> {
    let name = schema?;
    if matches!(name, "pacemaker-next" | "transitional-0.6") {
        return Some(0);
    }
    let (major, minor) = name.strip_prefix("pacemaker-")?.split_once('.')?;
    minor.parse::<u32>().ok()?;
    major.parse().ok()
}

/// Whether [`transform`] would change anything that counts. Cheap: one walk over the configuration.
#[must_use]
pub fn is_needed(cib: &Document, goal: Goal) -> bool {
    match line(cib.attr(cib.root(), "validate-with")) {
        None => false,
        Some(0..=2) => true,
        Some(3) => goal == Goal::V4 && v4::is_needed(cib),
        Some(_) => false,
    }
}

/// Carries out the steps that lead to the goal; `validate-with` stays as it is. Returns what an
/// administrator should know about what was changed or left out.
pub fn transform(cib: &mut Document, goal: Goal) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(from) = line(cib.attr(cib.root(), "validate-with")) else { return notes };
    let Some(configuration) = cib.child(cib.root(), "configuration") else { return notes };
    if from < 2 {
        v2::transform(cib, configuration);
    }
    if from < 3 && v3::is_needed(cib) {
        v3::transform(cib, configuration, &mut notes);
    }
    if from < 4 && goal == Goal::V4 {
        v4::transform(cib, configuration, &mut notes);
    }
    notes
}

/// A document that names no schema, or one that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot use the configuration: validate-with='{0}' is no schema that is known here (pacemaker-1.0 to pacemaker-4.0, none)"
)]
pub struct UnknownSchema(pub String);

/// Brings a configuration to the meaning that the newest line gives it, for a decision.
///
/// # Errors
/// When `validate-with` is missing, or is no schema that is known.
pub fn for_decision(cib: &mut Document) -> Result<Vec<String>, UnknownSchema> {
    let root = cib.root();
    let schema = cib.attr(root, "validate-with").unwrap_or("").to_string();
    if schema == "none" {
        return Ok(Vec::new());
    }
    if !is_known(&schema) || schema == "pacemaker-next" {
        return Err(UnknownSchema(schema));
    }
    if !is_needed(cib, Goal::V4) {
        return Ok(Vec::new());
    }
    let notes = transform(cib, Goal::V4);
    if line(Some(&schema)).is_some_and(|line| line < 3) {
        cib.set_attr(root, "validate-with", base::CURRENT_SCHEMA);
    }
    Ok(notes)
}

/// All elements below a node that have one of these names, in document order.
fn all(cib: &Document, below: NodeId, names: &[&str]) -> Vec<NodeId> {
    let found = cib.element(below).descendants().filter(|e| names.contains(&e.name()));
    found.map(|e| e.id()).collect()
}

/// Name/value pairs directly in these sets of an element.
fn pairs(cib: &Document, of: NodeId, set: &str) -> Vec<NodeId> {
    let sets = cib.child_elements(of).into_iter().filter(|child| cib.name(*child) == set);
    sets.flat_map(|set| cib.child_elements(set)).filter(|pair| cib.name(*pair) == "nvpair").collect()
}

fn text(cib: &Document, node: NodeId, name: &str) -> String {
    cib.attr(node, name).unwrap_or("").to_string()
}

#[cfg(test)]
mod tests;
