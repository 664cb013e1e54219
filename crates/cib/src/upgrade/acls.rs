//! From 1.x to 2.0: access control lists (`upgrade-1.3`).

use super::named;
use xml::{Document, NodeId};

/// Users become targets, and what they may do moves to roles of their own.
pub(super) fn transform(doc: &mut Document) {
    for kind in ["read", "write", "deny"] {
        for rule in named(doc, kind) {
            permission(doc, rule, kind);
        }
    }
    for user in named(doc, "acl_user") {
        target(doc, user);
    }
}

fn permission(doc: &mut Document, rule: NodeId, kind: &str) {
    let text = |name: &str| doc.attr(rule, name).map(str::to_string);
    let (reference, tag, path, attribute) = (text("ref"), text("tag"), text("xpath"), text("attribute"));
    doc.rename(rule, "acl_permission");
    for name in ["ref", "tag", "xpath", "attribute"] {
        doc.remove_attr(rule, name);
    }
    doc.set_attr(rule, "kind", kind);
    match (reference, tag, path) {
        (Some(reference), ..) => doc.set_attr(rule, "reference", &reference),
        (None, Some(tag), _) => {
            doc.set_attr(rule, "object-type", &tag);
            if let Some(attribute) = attribute {
                doc.set_attr(rule, "attribute", &attribute);
            }
        }
        (None, None, path) => {
            let path = path.unwrap_or_default();
            let path = attribute.map_or_else(|| path.clone(), |name| format!("{path}[@{name}]"));
            doc.set_attr(rule, "xpath", &path);
        }
    }
}

fn target(doc: &mut Document, user: NodeId) {
    doc.rename(user, "acl_target");
    for role in doc.child_elements(user) {
        if doc.name(role) == "role_ref" {
            doc.rename(role, "role");
        }
    }
    let rules: Vec<NodeId> =
        doc.element(user).children_named("acl_permission").map(|rule| rule.id()).collect();
    let Some(acls) = doc.parent(user).filter(|_| !rules.is_empty()) else { return };
    let id = format!("auto-{}", doc.attr(user, "id").unwrap_or(""));
    doc.append_with(user, "role", &[("id", &id)]);
    let role = doc.append_with(acls, "acl_role", &[("id", &id)]);
    for rule in rules {
        doc.move_to(rule, role, None);
    }
}
