//! Sections of the configuration and the resources in them.

use xml::{Document, Element, NodeId};

/// Elements that are resources.
const RESOURCE_NAMES: &[&str] = &["primitive", "group", "clone", "master", "bundle"];

/// The first child of this name, made when missing.
pub fn child_or_new(doc: &mut Document, parent: NodeId, name: &str) -> NodeId {
    match doc.child(parent, name) {
        Some(found) => found,
        None => doc.append(parent, name),
    }
}

/// A section of `<configuration>`, made when missing.
pub fn section(doc: &mut Document, name: &str) -> NodeId {
    let root = doc.root();
    let configuration = child_or_new(doc, root, "configuration");
    child_or_new(doc, configuration, name)
}

/// `<resources>`, made when missing.
pub fn resources(doc: &mut Document) -> NodeId {
    section(doc, "resources")
}

/// `<constraints>`, made when missing.
pub fn constraints(doc: &mut Document) -> NodeId {
    section(doc, "constraints")
}

pub fn is_resource(name: &str) -> bool {
    RESOURCE_NAMES.contains(&name)
}

/// All resources at every depth, in document order.
pub fn all(doc: &Document) -> Vec<Element<'_>> {
    doc.root_element()
        .path(&["configuration", "resources"])
        .map(|top| top.descendants().filter(|e| is_resource(e.name())).collect())
        .unwrap_or_default()
}

/// The resource with this id.
pub fn resource(doc: &Document, id: &str) -> Option<NodeId> {
    all(doc).into_iter().find(|e| e.attr("id") == Some(id)).map(Element::id)
}

/// Ids of all resources.
pub fn resource_ids(doc: &Document) -> Vec<String> {
    all(doc).into_iter().filter_map(|e| e.attr("id").map(str::to_string)).collect()
}

/// The resource itself if it is a primitive, or the only primitive that it wraps.
pub fn primitive_of(doc: &Document, node: NodeId) -> Option<NodeId> {
    match doc.name(node) {
        "primitive" => Some(node),
        "clone" | "master" | "bundle" => doc.child(node, "primitive"),
        _ => None,
    }
}

/// Primitives in this resource, itself included.
pub fn primitives_in(doc: &Document, node: NodeId) -> Vec<NodeId> {
    doc.element(node).descendants().filter(|e| e.name() == "primitive").map(Element::id).collect()
}

/// The clone, master, or bundle around a resource (or around its group).
pub fn wrapper(doc: &Document, node: NodeId) -> Option<NodeId> {
    let mut at = doc.parent(node)?;
    loop {
        match doc.name(at) {
            "clone" | "master" | "bundle" => return Some(at),
            "group" => at = doc.parent(at)?,
            _ => return None,
        }
    }
}

/// `ocf:heartbeat:IPaddr2`, `systemd:httpd`.
pub fn agent_name(element: Element<'_>) -> String {
    let class = element.attr("class").unwrap_or_default();
    let kind = element.attr("type").unwrap_or_default();
    match element.attr("provider") {
        Some(provider) => format!("{class}:{provider}:{kind}"),
        None => format!("{class}:{kind}"),
    }
}

/// Fence devices.
pub fn is_stonith(element: Element<'_>) -> bool {
    element.name() == "primitive" && element.attr("class") == Some("stonith")
}

/// Takes a resource out of the sets of a constraint; empty sets and then the constraint go too.
/// Tells whether there was anything to take out.
pub fn drop_references(doc: &mut Document, constraint: NodeId, resource: &str) -> bool {
    let mut found = false;
    for set in doc.child_elements(constraint) {
        if doc.name(set) != "resource_set" {
            continue;
        }
        for reference in doc.child_elements(set) {
            if doc.attr(reference, "id") == Some(resource) {
                doc.remove(reference);
                found = true;
            }
        }
        if found && doc.child(set, "resource_ref").is_none() {
            doc.remove(set);
        }
    }
    if found && doc.child(constraint, "resource_set").is_none() {
        doc.remove(constraint);
    }
    found
}
