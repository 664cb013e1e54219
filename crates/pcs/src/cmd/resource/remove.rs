//! `pcs resource delete`: a resource with everything that refers to it.

use xml::{Document, NodeId};

use crate::context::Context;
use crate::model::{constraints, find, nvset, resource_ids};
use crate::report::{Failure, Outcome, nearest};

pub(super) fn remove(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [resource] = words else { return Err(Failure::USAGE) };
    remove_resource(context, resource, "Resource")
}

/// Stops a resource in the running cluster and removes it. `noun` starts the error message.
///
/// # Errors
/// When there is no such resource, or it does not stop.
pub fn remove_resource(context: &mut Context<'_>, resource: &str, noun: &str) -> Outcome {
    let doc = context.load()?;
    let Some(node) = find::resource(&doc, resource) else {
        let ids = resource_ids(&doc);
        let hint = nearest(resource, ids.iter().map(String::as_str))
            .map(|n| format!("\nHint: did you mean '{n}'?"))
            .unwrap_or_default();
        return Err(Failure::Error(format!("{noun} '{resource}' does not exist.{hint}")));
    };
    let primitives: Vec<String> = find::primitives_in(&doc, node)
        .into_iter()
        .filter_map(|p| doc.attr(p, "id").map(str::to_string))
        .collect();
    let stopped = context.store.is_live() && !context.force() && stop(context, resource, &primitives)?;
    let gone = context.change(|_, doc| {
        let before = constraint_ids(doc);
        if let Some(node) = find::resource(doc, resource) {
            delete(doc, node);
        }
        let after = constraint_ids(doc);
        Ok(before.into_iter().filter(|id| !after.contains(id)).collect::<Vec<_>>())
    })?;
    if !stopped {
        for id in gone {
            context.info(format!("Removing Constraint - {id}"));
        }
        context.info(format!("Deleting Resource - {resource}"));
    }
    Ok(())
}

/// Ids of all constraints: colocations, locations, orders, tickets.
fn constraint_ids(doc: &Document) -> Vec<String> {
    let top = doc.root_element().path(&["configuration", "constraints"]);
    let mut all: Vec<(String, String)> = top
        .into_iter()
        .flat_map(|t| t.children())
        .filter_map(|c| Some((c.name().to_string(), c.attr("id")?.to_string())))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.into_iter().map(|(_, id)| id).collect()
}

/// Longest time for the resource to stop, in seconds; then the user decides about `--force`.
const STOP_LIMIT_S: u64 = 3600;

/// Stops what runs; tells whether anything did.
fn stop(context: &mut Context<'_>, resource: &str, primitives: &[String]) -> Result<bool, Failure> {
    let mut running = Vec::new();
    for primitive in primitives {
        let nodes = context.store.running_on(primitive).map_err(|e| Failure::Error(e.to_string()))?;
        if !nodes.is_empty() {
            running.push(primitive.clone());
        }
    }
    if running.is_empty() {
        return Ok(false);
    }
    context.change(|_, doc| {
        if let Some(node) = find::resource(doc, resource) {
            nvset::update(doc, node, "meta_attributes", &[("target-role", "Stopped")]);
        }
        Ok(())
    })?;
    let waited = context.store.wait_idle(Some(STOP_LIMIT_S));
    for primitive in running {
        let nodes = context.store.running_on(&primitive).unwrap_or_default();
        if nodes.is_empty() {
            context.info(format!("Attempting to stop: {primitive}... Stopped"));
        } else {
            let cause = waited.as_ref().err().map(|e| format!(" ({e})")).unwrap_or_default();
            return Err(Failure::Error(format!(
                "Unable to stop: {primitive} before deleting (re-run with --force to force deletion){cause}"
            )));
        }
    }
    Ok(true)
}

/// Removes a resource; what becomes empty around it goes as well.
fn delete(doc: &mut Document, node: NodeId) {
    let inside: Vec<String> = doc
        .element(node)
        .descendants()
        .filter(|e| find::is_resource(e.name()))
        .filter_map(|e| e.attr("id").map(str::to_string))
        .collect();
    for id in &inside {
        drop_mentions(doc, id);
    }
    let outer = doc.parent(node);
    doc.remove(node);
    if let Some(outer) = outer.filter(|o| find::is_resource(doc.name(*o))) {
        let left = doc.element(outer).children().any(|c| find::is_resource(c.name()));
        if !left && doc.name(outer) != "bundle" {
            delete(doc, outer);
        }
    }
}

/// Removes what refers to a resource: constraints, set members, tags, permissions, fencing levels.
pub(super) fn drop_mentions(doc: &mut Document, id: &str) {
    let top = constraints(doc);
    for constraint in doc.child_elements(top) {
        let named = ["rsc", "with-rsc", "first", "then"].iter().any(|a| doc.attr(constraint, a) == Some(id));
        if named {
            doc.remove(constraint);
        } else {
            find::drop_references(doc, constraint, id);
        }
    }
    let root = doc.root();
    let Some(configuration) = doc.child(root, "configuration") else { return };
    if let Some(tags) = doc.child(configuration, "tags") {
        for tag in doc.child_elements(tags) {
            for reference in doc.child_elements(tag) {
                if doc.attr(reference, "id") == Some(id) {
                    doc.remove(reference);
                }
            }
            if doc.first_child(tag).is_none() {
                doc.remove(tag);
            }
        }
    }
    if let Some(levels) = doc.child(configuration, "fencing-topology") {
        drop_fence_device(doc, levels, id);
    }
}

fn drop_fence_device(doc: &mut Document, levels: NodeId, id: &str) {
    for level in doc.child_elements(levels) {
        let devices = doc.attr(level, "devices").unwrap_or_default().to_string();
        let kept: Vec<&str> = devices.split(',').filter(|d| *d != id).collect();
        if kept.is_empty() {
            doc.remove(level);
        } else if kept.len() != devices.split(',').count() {
            doc.set_attr(level, "devices", &kept.join(","));
        }
    }
    if doc.first_child(levels).is_none() {
        doc.remove(levels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cib, dummy, run};

    #[test]
    fn everything_that_refers_goes_too() {
        let doc = cib(&format!("{}<clone id='C'><group id='G'>{}</group></clone>", dummy("A"), dummy("B")));
        let (doc, _) = run(&doc, "constraint location C prefers nodo1.example.com").unwrap();
        let (doc, _) = run(&doc, "constraint order A then C").unwrap();
        let (doc, _) = run(&doc, "resource delete B").unwrap();
        assert!(find::resource(&doc, "C").is_none() && find::resource(&doc, "A").is_some());
        assert!(doc.to_text().contains("<constraints/>"));
        assert!(run(&doc, "resource delete nope").is_err());
    }
}
