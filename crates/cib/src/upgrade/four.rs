//! From 3.x to 4.0: what is no longer supported (`upgrade-3.10`).

use super::{fresh_id, named};
use std::collections::HashSet;
use xml::{Document, NodeId};

pub(super) fn transform(doc: &mut Document) {
    for node in named(doc, "node") {
        if doc.attr(node, "type") == Some("ping") {
            doc.set_attr(node, "type", "member");
        }
    }
    drop_resources(doc);
    drop_options(doc);
    for lifetime in named(doc, "lifetime") {
        drop_lifetime(doc, lifetime);
    }
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
fn drop_lifetime(doc: &mut Document, lifetime: NodeId) {
    let Some(constraint) = doc.parent(lifetime) else { return };
    let limits: Vec<NodeId> = doc.element(lifetime).children_named("rule").map(|r| r.id()).collect();
    if doc.name(constraint) != "rsc_location" || limits.is_empty() {
        doc.remove(lifetime);
        return;
    }
    let id = doc.attr(constraint, "id").unwrap_or("").to_string();
    let outer_id = fresh_id(doc, &format!("{id}-lifetime-rule"));
    let outer = doc.append_with(constraint, "rule", &[("id", &outer_id), ("boolean-op", "and")]);
    if let Some(node) = doc.attr(constraint, "node").map(str::to_string) {
        let expression = fresh_id(doc, &format!("{outer_id}-expr"));
        let attrs = [("id", &*expression), ("attribute", "#uname"), ("operation", "eq"), ("value", &node)];
        doc.append_with(outer, "expression", &attrs);
        move_attrs(doc, constraint, outer, &["score"]);
        doc.remove_attr(constraint, "node");
    }
    let own: Vec<NodeId> =
        doc.element(constraint).children_named("rule").map(|r| r.id()).filter(|r| *r != outer).collect();
    for rule in own {
        move_attrs(doc, rule, outer, &["score", "score-attribute", "role"]);
        doc.move_to(rule, outer, None);
    }
    let any = match limits.len() {
        1 => outer,
        _ => {
            let id = fresh_id(doc, &format!("{outer_id}-any"));
            doc.append_with(outer, "rule", &[("id", &id), ("boolean-op", "or")])
        }
    };
    for limit in limits {
        doc.remove_attr(limit, "score");
        doc.move_to(limit, any, None);
    }
    doc.remove(lifetime);
}

fn move_attrs(doc: &mut Document, from: NodeId, to: NodeId, names: &[&str]) {
    for name in names {
        if let Some(value) = doc.attr(from, name).map(str::to_string) {
            doc.set_attr(to, name, &value);
            doc.remove_attr(from, name);
        }
    }
}
