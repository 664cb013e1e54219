//! From 3.x to 4.0: what is no longer supported (`upgrade-3.10`).

use super::{fresh_id, named};
use std::collections::HashSet;
use xml::{Document, NodeId};

/// Start of the ids of what is made here.
const PREFIX: &str = "pcmk__3_10_upgrade-";

pub(super) fn transform(doc: &mut Document) {
    for node in named(doc, "node") {
        if doc.attr(node, "type") == Some("ping") {
            ping_node(doc, node);
        }
    }
    drop_resources(doc);
    drop_options(doc);
    for lifetime in named(doc, "lifetime") {
        drop_lifetime(doc, lifetime);
    }
}

/// A ping node becomes a cluster node on which nothing may run.
fn ping_node(doc: &mut Document, node: NodeId) {
    doc.set_attr(node, "type", "member");
    let name = doc.attr(node, "uname").unwrap_or("").to_string();
    let configuration = doc.child(doc.root(), "configuration");
    let Some(constraints) = configuration.and_then(|c| doc.child(c, "constraints")) else { return };
    let attrs = [
        ("id", &*fresh_id(doc, &format!("{PREFIX}ping-node-ban-{name}"))),
        ("rsc-pattern", ".*"),
        ("node", &name),
        ("score", "-INFINITY"),
        ("resource-discovery", "never"),
    ];
    doc.append_with(constraints, "rsc_location", &attrs);
}

/// Drops resources whose kind of agent is gone, and what then contains nothing.
fn drop_resources(doc: &mut Document) {
    let gone = |class: Option<&str>| {
        class.is_some_and(|c| c.eq_ignore_ascii_case("nagios") || c.eq_ignore_ascii_case("upstart"))
    };
    let mut names = HashSet::new();
    let mut drop = |doc: &mut Document, rsc: NodeId| {
        names.extend(doc.attr(rsc, "id").map(str::to_string));
        doc.remove(rsc);
    };
    let mut templates = HashSet::new();
    for template in named(doc, "template") {
        if gone(doc.attr(template, "class")) {
            templates.extend(doc.attr(template, "id").map(str::to_string));
            drop(doc, template);
        }
    }
    for rsc in named(doc, "primitive") {
        let by_template = doc.attr(rsc, "template").is_some_and(|t| templates.contains(t));
        if gone(doc.attr(rsc, "class")) || by_template {
            let mut outer = rsc;
            // Whatever has nothing else in it goes as well.
            while let Some(parent) = doc.parent(outer).filter(|p| matches!(doc.name(*p), "group" | "clone")) {
                let members = doc.element(parent).children();
                if members.filter(|m| matches!(m.name(), "primitive" | "group")).count() > 1 {
                    break;
                }
                outer = parent;
            }
            drop(doc, outer);
        }
    }
    for bundle in named(doc, "bundle") {
        if doc.child(bundle, "rkt").is_some() {
            drop(doc, bundle);
        }
    }
    for reference in ["resource_ref", "obj_ref"] {
        for member in named(doc, reference) {
            if doc.attr(member, "id").is_some_and(|id| names.contains(id)) {
                doc.remove(member);
            }
        }
    }
}

/// Drops meta-attributes that mean nothing any more.
fn drop_options(doc: &mut Document) {
    for pair in named(doc, "nvpair") {
        let owner = doc.parent(pair).and_then(|block| doc.parent(block)).map(|owner| doc.name(owner));
        let dropped = match doc.attr(pair, "name") {
            Some("can_fail" | "role_after_failure") => matches!(owner, Some("op" | "op_defaults")),
            Some("restart-type") => !matches!(owner, Some("op" | "op_defaults" | "crm_config")),
            _ => false,
        };
        let is_meta = doc.parent(pair).is_some_and(|block| doc.name(block) == "meta_attributes");
        if dropped && is_meta {
            doc.remove(pair);
        }
    }
}

/// A preference for a limited time becomes a rule; other constraints have no lifetime any more.
///
/// As in the reference the score stays with the inner rule, where it does not count: what decides
/// is the outer one, which has none.
fn drop_lifetime(doc: &mut Document, lifetime: NodeId) {
    let Some(constraint) = doc.parent(lifetime) else { return };
    let limits: Vec<NodeId> = doc.element(lifetime).children_named("rule").map(|r| r.id()).collect();
    if doc.name(constraint) != "rsc_location" || limits.is_empty() {
        doc.remove(lifetime);
        return;
    }
    let id = doc.attr(constraint, "id").unwrap_or("").to_string();
    let mut inner: Vec<NodeId> = doc.element(constraint).children_named("rule").map(|r| r.id()).collect();
    let rule = |doc: &mut Document, parent: NodeId, kind: &str, operation: &str| {
        let id = fresh_id(doc, &format!("{PREFIX}{id}-{kind}"));
        doc.append_with(parent, "rule", &[("id", &id), ("boolean-op", operation)])
    };
    let outer = rule(doc, constraint, "lifetime-and-rule", "and");
    if let Some(node) = doc.attr(constraint, "node").map(str::to_string) {
        let of_node = rule(doc, outer, "node-score-rule", "and");
        if let Some(score) = doc.attr(constraint, "score").map(str::to_string) {
            doc.set_attr(of_node, "score", &score);
        }
        let expression = format!("{}-expr", doc.attr(of_node, "id").unwrap_or(""));
        let attrs = [("id", &*expression), ("attribute", "#uname"), ("operation", "eq"), ("value", &node)];
        doc.append_with(of_node, "expression", &attrs);
        doc.remove_attr(constraint, "node");
        doc.remove_attr(constraint, "score");
    }
    inner.drain(..).for_each(|rule| doc.move_to(rule, outer, None));
    let any = if limits.len() == 1 { outer } else { rule(doc, outer, "lifetime-or-rule", "or") };
    for limit in limits {
        doc.move_to(limit, any, None);
    }
    doc.remove(lifetime);
}
