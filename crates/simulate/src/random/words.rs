//! The same said in other words: references to ids, words of older schemas, and odd forms of values.

use super::dice::Dice;
use super::evolve::{elements, one, set_pair};
use super::themes::{configuration, option, resources};
use xml::{Document, NodeId};

/// Blocks, operations, rules and sets that are those of somebody else, by `id-ref`.
pub fn references(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    for _ in 0..dice.between(1, 5) {
        let name = dice.pick(&[
            "instance_attributes",
            "meta_attributes",
            "utilization",
            "operations",
            "nvpair",
            "rule",
            "resource_set",
            "expression",
            "date_expression",
        ]);
        reference(doc, dice, name).unwrap_or_default();
    }
    Some(())
}

fn within(doc: &Document, from: &[NodeId], at: NodeId) -> bool {
    from.iter().any(|f| doc.element(*f).descendants().any(|e| e.id() == at))
}

/// Lets one element of this name refer to another one, beside or instead of its own.
fn reference(doc: &mut Document, dice: &mut Dice, name: &str) -> Option<()> {
    // Pacemaker 3.0 does not find a block or rule that a resource refers to: it looks for it in that resource.
    let sections: &[&str] = match name {
        "operations" | "nvpair" => &["resources", "nodes"],
        _ => &["constraints", "nodes", "rsc_defaults", "op_defaults"],
    };
    let places: Vec<NodeId> = sections.iter().filter_map(|section| configuration(doc, &[section])).collect();
    let all: Vec<NodeId> = elements(doc, name).into_iter().filter(|at| within(doc, &places, *at)).collect();
    let (to, from) = (one(dice, &all)?, one(dice, &all)?);
    if to == from || doc.attr(to, "id-ref").is_some() || within(doc, &[to], from) || within(doc, &[from], to)
    {
        return None;
    }
    if name == "operations" && doc.attr(to, "id").is_none() {
        let id = format!("operations-of-{}", doc.attr(doc.parent(to)?, "id")?);
        doc.set_attr(to, "id", &id);
    }
    let id = doc.attr(to, "id")?.to_string();
    let owner = |doc: &Document, at: NodeId| doc.parent(at).map(|p| doc.name(p).to_string());
    // What is referred to must not be removed together with what refers; nor be of another kind.
    let place = |doc: &Document, at: NodeId| {
        matches!(owner(doc, at).as_deref(), Some("op" | "node" | "rsc_location"))
    };
    if place(doc, to) != place(doc, from) {
        return None;
    }
    let parent = doc.parent(from)?;
    let reference = doc.append_with(parent, name, &[("id-ref", &id)]);
    doc.move_to(reference, parent, Some(from));
    let single = matches!(name, "operations" | "rule") || dice.chance(40);
    let named = elements(doc, name).len() > 1
        && doc.element(from).descendants().all(|e| {
            let id = e.attr("id").unwrap_or("");
            !doc.root_element().descendants().any(|other| other.attr("id-ref") == Some(id))
        });
    match (single, named) {
        (true, true) => doc.remove(from),
        (true, false) => doc.remove(reference),
        _ => {}
    }
    Some(())
}

/// An older schema, with what only it has.
pub fn old_words(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let root = doc.root_element().id();
    doc.set_attr(root, "validate-with", dice.pick(&["pacemaker-3.10", "pacemaker-3.10", "pacemaker-3.9"]));
    for clone in resources(doc, &["clone"]) {
        let promotable = doc
            .element(clone)
            .descendants()
            .any(|e| e.attr("name") == Some("promotable") && e.attr("value") == Some("true"));
        if promotable && dice.chance(60) {
            doc.rename(clone, "master");
            if dice.chance(50) {
                set_pair(doc, clone, "meta_attributes", dice.pick(&["master-max", "master-node-max"]), "2");
            }
        }
    }
    for bundle in [elements(doc, "podman"), elements(doc, "docker")].concat() {
        if let Some(most) = doc.attr(bundle, "promoted-max").filter(|_| dice.chance(50)).map(str::to_string) {
            doc.remove_attr(bundle, "promoted-max");
            doc.set_attr(bundle, "masters", &most);
        }
        if dice.chance(8) {
            doc.rename(bundle, "rkt");
        }
    }
    for primitive in resources(doc, &["primitive", "template"]) {
        if dice.chance(6)
            && doc.attr(primitive, "class").is_some()
            && doc.attr(primitive, "template").is_none()
        {
            doc.remove_attr(primitive, "provider");
            doc.set_attr(primitive, "class", dice.pick(&["upstart", "nagios"]));
        }
        if dice.chance(10) {
            set_pair(doc, primitive, "meta_attributes", "restart-type", "restart");
        }
        if dice.chance(15) {
            set_pair(doc, primitive, "meta_attributes", dice.pick(&["target-role", "priority"]), "#default");
        }
    }
    for element in
        doc_elements(doc, &["op", "rsc_location", "rule", "resource_set", "rsc_colocation", "rsc_ticket"])
    {
        for name in ["role", "rsc-role", "with-rsc-role"] {
            let old = match doc.attr(element, name) {
                Some("Promoted") => "Master",
                Some("Unpromoted") => "Slave",
                _ => continue,
            };
            if dice.chance(60) {
                doc.set_attr(element, name, old);
            }
        }
    }
    for op in elements(doc, "op") {
        if dice.chance(8) {
            set_pair(doc, op, "meta_attributes", dice.pick(&["can_fail", "role_after_failure"]), "true");
        }
    }
    for spec in elements(doc, "date_spec") {
        if dice.chance(40) {
            doc.set_attr(spec, "moon", dice.pick(&["0-7", "1", "3-4"]));
        }
    }
    for level in elements(doc, "fencing-level") {
        if dice.chance(15) {
            doc.set_attr(level, "index", dice.pick(&["10", "09", "12"]));
        }
    }
    for (name, value) in [
        ("crmd-finalization-timeout", "5min"),
        ("crmd-integration-timeout", "5min"),
        ("crmd-transition-delay", "3s"),
        ("remove-after-stop", "true"),
        ("stonith-action", "poweroff"),
    ] {
        if dice.chance(15) {
            option(doc, name, value)?;
        }
    }
    old_constraints(doc, dice)
}

fn doc_elements(doc: &Document, names: &[&str]) -> Vec<NodeId> {
    names.iter().flat_map(|name| elements(doc, name)).collect()
}

/// Lifetimes, and several rules in a location.
fn old_constraints(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let kinds = ["rsc_location", "rsc_colocation", "rsc_order"];
    for (number, constraint) in doc_elements(doc, &kinds).into_iter().enumerate() {
        if dice.chance(25) {
            let life = doc.append(constraint, "lifetime");
            for inner in 0..dice.between(1, 2) {
                rule(doc, dice, life, &format!("life-{number}-{inner}"));
            }
        }
        let ruled = doc.name(constraint) == "rsc_location" && doc.child(constraint, "rule").is_some();
        if ruled && dice.chance(50) {
            let first = doc.child(constraint, "rule")?;
            let second = rule(doc, dice, constraint, &format!("second-{number}"));
            doc.move_to(second, constraint, Some(first));
        }
    }
    Some(())
}

fn rule(doc: &mut Document, dice: &mut Dice, parent: NodeId, id: &str) -> NodeId {
    let rule = doc.append_with(parent, "rule", &[("id", id)]);
    if doc.name(parent) == "rsc_location" || dice.chance(50) {
        doc.set_attr(rule, "score", dice.pick(&["INFINITY", "-INFINITY", "10", "-10"]));
    }
    let id = format!("{id}-e");
    if dice.chance(50) {
        let start = dice.pick(&["2019-01-01", "2021-01-01", "2020-01-01 11:00:00Z"]);
        let attrs = [("id", &*id), ("operation", dice.pick(&["gt", "in_range"])), ("start", start)];
        doc.append_with(rule, "date_expression", &attrs);
    } else {
        let attrs = [
            ("id", &*id),
            ("attribute", dice.pick(&["#uname", "site", "rack"])),
            ("operation", dice.pick(&["eq", "ne"])),
            ("value", dice.pick(&["node1", "a", "1", "node2"])),
        ];
        doc.append_with(rule, "expression", &attrs);
    }
    rule
}

/// Other forms of the same values, and values that are none.
pub fn odd_values(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    for element in doc_elements(doc, &["rsc_location", "rsc_colocation", "rule"]) {
        if doc.attr(element, "score").is_some() && dice.chance(40) {
            doc.set_attr(element, "score", dice.pick(&["+INFINITY", "+5", "-0", "005", "1000001"]));
        }
    }
    for colocation in elements(doc, "rsc_colocation") {
        if dice.chance(25) {
            doc.set_attr(colocation, "influence", dice.pick(&["invalid", "yes", "0", "False"]));
        }
    }
    for op in elements(doc, "op") {
        if dice.chance(20) {
            let value = dice.pick(&[
                "10",
                "10s",
                "PT10S",
                "1m",
                "P1DT1M",
                "10 s",
                "-1",
                "x",
                "",
                "1hr",
                "5000000000",
            ]);
            doc.set_attr(op, dice.pick(&["interval", "timeout"]), value);
        }
    }
    const ODD: [&str; 18] = [
        "yes",
        "on",
        "Y",
        "1",
        "no",
        "OFF",
        "n",
        "0",
        "",
        "+INFINITY",
        "-5",
        "1h",
        "PT1M",
        "#default",
        "true ",
        "Master",
        "99999999999",
        "started",
    ];
    let pairs = elements(doc, "nvpair");
    for _ in 0..dice.between(1, 6) {
        let pair = one(dice, &pairs)?;
        let named = doc.attr(pair, "name").is_some_and(|n| !n.starts_with("remote") && n != "container");
        if named && doc.attr(pair, "value").is_some() {
            doc.set_attr(pair, "value", dice.pick(&ODD));
        }
    }
    Some(())
}
