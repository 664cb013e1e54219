//! From 3.x to 4.0: what is supported no longer is left out, with everything that refers to it.

use std::collections::HashSet;

use xml::{Document, NodeId};

use super::{all, text};

const PREFIX: &str = "pcmk__3_10_upgrade-";
const RESOURCES: &[&str] = &["primitive", "group", "clone", "master", "bundle"];
const CONSTRAINTS: &[&str] = &["rsc_location", "rsc_colocation", "rsc_order", "rsc_ticket"];
/// Highest index of a fencing level.
const LEVEL_MAX: i64 = 9;
/// Attributes with which constraints name resources.
const REFERENCES: &[&str] = &["rsc", "with-rsc", "first", "then"];
/// Options of the cluster with their new names.
const RENAMED: &[(&str, &str)] = &[
    ("crmd-finalization-timeout", "join-finalization-timeout"),
    ("crmd-integration-timeout", "join-integration-timeout"),
    ("crmd-transition-delay", "transition-delay"),
];

/// Agents of classes that nobody starts any more.
fn is_gone(class: Option<&str>) -> bool {
    class.is_some_and(|class| class.eq_ignore_ascii_case("nagios") || class.eq_ignore_ascii_case("upstart"))
}

/// Whether a configuration has anything that this step changes.
pub(super) fn is_needed(cib: &Document) -> bool {
    let Some(configuration) = cib.root_element().child("configuration") else { return false };
    configuration.descendants().any(|e| match e.name() {
        "lifetime" | "rkt" => true,
        "rsc_location" => e.children().filter(|c| c.name() == "rule").nth(1).is_some(),
        "primitive" | "template" => is_gone(e.attr("class")),
        "node" => e.attr("type") == Some("ping"),
        "date_spec" => e.attr("moon").is_some(),
        "fencing-level" => e.attr("index").and_then(|i| i.parse::<i64>().ok()).is_some_and(|i| i > LEVEL_MAX),
        "nvpair" => match e.attr("name") {
            Some("stonith-action") => e.attr("value") == Some("poweroff"),
            Some("remove-after-stop" | "restart-type" | "can_fail" | "role_after_failure") => true,
            Some(name) => RENAMED.iter().any(|(old, _)| *old == name),
            None => false,
        },
        _ => false,
    })
}

pub(super) fn transform(cib: &mut Document, configuration: NodeId, notes: &mut Vec<String>) {
    options(cib, configuration, notes);
    for date in all(cib, configuration, &["date_spec"]) {
        cib.remove_attr(date, "moon");
    }
    for level in all(cib, configuration, &["fencing-level"]) {
        if cib.attr(level, "index").and_then(|i| i.parse::<i64>().ok()).is_some_and(|i| i > LEVEL_MAX) {
            cib.remove(level);
        }
    }
    ping_nodes(cib, configuration);
    one_rule_each(cib, configuration);
    lifetimes(cib, configuration, notes);
    let gone = drop_resources(cib, configuration, notes);
    if !gone.is_empty() {
        drop_references(cib, configuration, &gone);
    }
}

fn options(cib: &mut Document, configuration: NodeId, notes: &mut Vec<String>) {
    for pair in all(cib, configuration, &["nvpair"]) {
        let name = text(cib, pair, "name");
        let set = cib.parent(pair);
        let inside = |wanted: &str| set.is_some_and(|set| cib.name(set) == wanted);
        match name.as_str() {
            "restart-type" | "can_fail" | "role_after_failure" if inside("meta_attributes") => {
                let set = set.map(|set| text(cib, set, "id")).unwrap_or_default();
                notes.push(format!("{name} was dropped from {set}: it is no longer supported"));
                cib.remove(pair);
            }
            _ if !inside("cluster_property_set") => {}
            "remove-after-stop" => cib.remove(pair),
            "stonith-action" if cib.attr(pair, "value") == Some("poweroff") => {
                cib.set_attr(pair, "value", "off");
            }
            _ => {
                if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == name) {
                    cib.set_attr(pair, "name", new);
                }
            }
        }
    }
}

/// A ping node becomes an ordinary one on which nothing may run.
fn ping_nodes(cib: &mut Document, configuration: NodeId) {
    for node in all(cib, configuration, &["node"]) {
        if cib.attr(node, "type") != Some("ping") {
            continue;
        }
        cib.set_attr(node, "type", "member");
        let name = text(cib, node, "uname");
        let constraints = section(cib, configuration, "constraints");
        let id = format!("{PREFIX}ping-node-ban-{name}");
        let attributes = [
            ("id", id.as_str()),
            ("rsc-pattern", ".*"),
            ("node", &name),
            ("score", "-INFINITY"),
            ("resource-discovery", "never"),
        ];
        cib.append_with(constraints, "rsc_location", &attributes);
    }
}

fn section(cib: &mut Document, configuration: NodeId, name: &str) -> NodeId {
    match cib.child(configuration, name) {
        Some(node) => node,
        None => cib.append(configuration, name),
    }
}

/// A location constraint with several rules becomes one for each, in its place; what they have in common
/// is the first one's, and the others refer to it.
fn one_rule_each(cib: &mut Document, configuration: NodeId) {
    for location in all(cib, configuration, &["rsc_location"]) {
        let (rules, shared): (Vec<NodeId>, Vec<NodeId>) =
            cib.child_elements(location).into_iter().partition(|child| cib.name(*child) == "rule");
        let Some(parent) = cib.parent(location).filter(|_| rules.len() > 1) else { continue };
        let attributes: Vec<(String, String)> =
            cib.attrs(location).map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let id = text(cib, location, "id");
        for (number, rule) in (1..).zip(rules) {
            let copy = cib.append(parent, "rsc_location");
            cib.move_to(copy, parent, Some(location));
            for (name, value) in &attributes {
                cib.set_attr(copy, name, value);
            }
            cib.set_attr(copy, "id", &format!("{PREFIX}{id}-{number}"));
            for part in &shared {
                match number {
                    1 => cib.move_to(*part, copy, None),
                    _ => share(cib, *part, copy),
                }
            }
            cib.move_to(rule, copy, None);
        }
        cib.remove(location);
    }
}

/// A set by reference, or a lifetime whose rules are.
fn share(cib: &mut Document, part: NodeId, with: NodeId) {
    let name = cib.name(part).to_string();
    let own = |cib: &Document, at: NodeId| match cib.attr(at, "id") {
        Some(id) => id.to_string(),
        None => text(cib, at, "id-ref"),
    };
    if name != "lifetime" {
        let id = own(cib, part);
        cib.append_with(with, &name, &[("id-ref", &id)]);
        return;
    }
    let lifetime = cib.append(with, &name);
    for rule in cib.child_elements(part) {
        let id = own(cib, rule);
        cib.append_with(lifetime, "rule", &[("id-ref", &id)]);
    }
}

/// A location constraint with a lifetime applies when its rule (or node) and one of the lifetime's rules
/// do; other constraints lose their lifetimes.
fn lifetimes(cib: &mut Document, configuration: NodeId, notes: &mut Vec<String>) {
    for lifetime in all(cib, configuration, &["lifetime"]) {
        let Some(constraint) = cib.parent(lifetime) else { continue };
        let id = text(cib, constraint, "id");
        if cib.name(constraint) != "rsc_location" {
            notes.push(format!("The lifetime of constraint {id} was dropped: it is no longer supported"));
            cib.remove(lifetime);
            continue;
        }
        let whole = format!("{PREFIX}{id}-lifetime-and-rule");
        let both = cib.append_with(constraint, "rule", &[("id", &whole), ("boolean-op", "and")]);
        let own = cib.child_elements(constraint).into_iter().find(|c| cib.name(*c) == "rule" && *c != both);
        match own {
            Some(rule) => cib.move_to(rule, both, None),
            None => node_rule(cib, constraint, both, &id),
        }
        for name in ["node", "score"] {
            cib.remove_attr(constraint, name);
        }
        let rules: Vec<NodeId> = cib.child_elements(lifetime);
        let target = if rules.len() > 1 {
            let any = format!("{PREFIX}{id}-lifetime-or-rule");
            cib.append_with(both, "rule", &[("id", &any), ("boolean-op", "or")])
        } else {
            both
        };
        for rule in rules {
            cib.move_to(rule, target, None);
        }
        cib.remove(lifetime);
    }
}

/// `node` and `score` of a constraint as a rule.
fn node_rule(cib: &mut Document, constraint: NodeId, parent: NodeId, id: &str) {
    let (node, score) = (text(cib, constraint, "node"), text(cib, constraint, "score"));
    let rule_id = format!("{PREFIX}{id}-node-score-rule");
    let rule = cib.append_with(parent, "rule", &[("id", &rule_id), ("score", &score)]);
    let expression_id = format!("{rule_id}-expr");
    let attributes =
        [("id", expression_id.as_str()), ("attribute", "#uname"), ("operation", "eq"), ("value", &node)];
    cib.append_with(rule, "expression", &attributes);
}

/// Removes resources whose agents nobody starts any more; returns their ids.
fn drop_resources(cib: &mut Document, configuration: NodeId, notes: &mut Vec<String>) -> HashSet<String> {
    let mut gone = HashSet::new();
    let mut templates = HashSet::new();
    for template in all(cib, configuration, &["template"]) {
        if is_gone(cib.attr(template, "class")) {
            templates.insert(text(cib, template, "id"));
            cib.remove(template);
        }
    }
    for resource in all(cib, configuration, &["primitive", "bundle"]) {
        let old_bundle = cib.name(resource) == "bundle" && cib.child(resource, "rkt").is_some();
        let of_template = cib.attr(resource, "template").is_some_and(|name| templates.contains(name));
        let old_class =
            cib.name(resource) == "primitive" && (is_gone(cib.attr(resource, "class")) || of_template);
        if old_bundle || old_class {
            let id = text(cib, resource, "id");
            notes.push(format!("Resource {id} was dropped: agents of its kind are no longer supported"));
            gone.insert(id);
            cib.remove(resource);
        }
    }
    if gone.is_empty() {
        return gone;
    }
    // Groups before the clones around them.
    for names in [&["group"][..], &["clone", "master"]] {
        for collective in all(cib, configuration, names) {
            let has_any = cib.child_elements(collective).iter().any(|c| RESOURCES.contains(&cib.name(*c)));
            if !has_any {
                gone.insert(text(cib, collective, "id"));
                cib.remove(collective);
            }
        }
    }
    gone
}

fn drop_references(cib: &mut Document, configuration: NodeId, gone: &HashSet<String>) {
    for reference in all(cib, configuration, &["resource_ref"]) {
        if cib.attr(reference, "id").is_some_and(|id| gone.contains(id)) {
            cib.remove(reference);
        }
    }
    for constraint in all(cib, configuration, CONSTRAINTS) {
        let named =
            REFERENCES.iter().any(|name| cib.attr(constraint, name).is_some_and(|id| gone.contains(id)));
        let sets: Vec<NodeId> = cib
            .child_elements(constraint)
            .into_iter()
            .filter(|child| cib.name(*child) == "resource_set")
            .collect();
        let (empty, full): (Vec<NodeId>, Vec<NodeId>) =
            sets.iter().partition(|set| cib.child_elements(**set).is_empty());
        if named || (!sets.is_empty() && full.is_empty()) {
            cib.remove(constraint);
            continue;
        }
        for set in empty {
            cib.remove(set);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::upgrade::{Goal, is_needed, transform};
    use xml::Document;

    fn upgraded(configuration: &str) -> (Document, Vec<String>) {
        let text = format!(
            "<cib validate-with='pacemaker-3.9'><configuration>{configuration}</configuration></cib>"
        );
        let mut cib = Document::parse(&text).expect("well-formed");
        assert!(is_needed(&cib, Goal::V4) && !is_needed(&cib, Goal::V3));
        let notes = transform(&mut cib, Goal::V4);
        (cib, notes)
    }

    fn ids(cib: &Document, name: &str) -> Vec<String> {
        let root = cib.root_element();
        root.descendants()
            .filter(|e| e.name() == name)
            .filter_map(|e| e.attr("id").map(str::to_string))
            .collect()
    }

    #[test]
    fn agents_of_the_past_go_with_all_that_names_them() {
        let (cib, notes) = upgraded(
            "<resources><group id='g'><primitive id='a' class='upstart' type='x'/></group>\
             <template id='t' class='nagios' type='y'/><clone id='c'><primitive id='b' template='t'/></clone>\
             <primitive id='k' class='ocf' provider='heartbeat' type='Dummy'/>\
             <bundle id='r'><rkt image='i'/></bundle></resources>\
             <constraints><rsc_location id='l' rsc='g' node='n' score='1'/>\
             <rsc_order id='o1' first='k' then='c'/>\
             <rsc_order id='o2'><resource_set id='s1'><resource_ref id='b'/></resource_set>\
             <resource_set id='s2'><resource_ref id='k'/></resource_set></rsc_order>\
             <rsc_colocation id='o3'><resource_set id='s3'><resource_ref id='r'/></resource_set></rsc_colocation>\
             </constraints>",
        );
        assert_eq!(ids(&cib, "primitive"), ["k"]);
        assert!(
            ["group", "clone", "bundle", "template", "rsc_location", "rsc_colocation"]
                .iter()
                .all(|name| ids(&cib, name).is_empty())
        );
        assert_eq!(
            (ids(&cib, "rsc_order"), ids(&cib, "resource_set")),
            (vec!["o2".into()], vec!["s2".into()])
        );
        assert_eq!(notes.len(), 3);
    }

    #[test]
    fn a_lifetime_becomes_part_of_the_rule() {
        let (cib, _) = upgraded(
            "<constraints><rsc_location id='l' rsc='a' node='n' score='7'><lifetime>\
             <rule id='r1'><date_expression id='d1' operation='lt' end='2026-01-01'/></rule>\
             <rule id='r2'><date_expression id='d2' operation='gt' start='2027-01-01'/></rule>\
             </lifetime></rsc_location></constraints>",
        );
        let constraint =
            cib.root_element().path(&["configuration", "constraints", "rsc_location"]).expect("kept");
        assert_eq!((constraint.attr("node"), constraint.attr("score")), (None, None));
        let rule = constraint.child("rule").expect("one rule");
        assert_eq!(rule.attr("boolean-op"), Some("and"));
        let parts: Vec<&str> = rule.children().filter_map(|part| part.attr("id")).collect();
        assert_eq!(parts, ["pcmk__3_10_upgrade-l-node-score-rule", "pcmk__3_10_upgrade-l-lifetime-or-rule"]);
        assert_eq!(rule.children().next().and_then(|part| part.attr("score")), Some("7"));
    }

    #[test]
    fn a_location_has_one_rule() {
        let (cib, _) = upgraded(
            "<constraints><rsc_location id='l' rsc='a' role='Started'>\
             <rule id='r1' score='1'/><rule id='r2' score='2'/>\
             <lifetime><rule id='t'/></lifetime></rsc_location><rsc_order id='o'/></constraints>",
        );
        let constraints = cib.root_element().path(&["configuration", "constraints"]).expect("kept");
        let all: Vec<_> = constraints.children().map(|c| (c.attr("id"), c.attr("role"))).collect();
        assert_eq!(
            all,
            [
                (Some("pcmk__3_10_upgrade-l-1"), Some("Started")),
                (Some("pcmk__3_10_upgrade-l-2"), Some("Started")),
                (Some("o"), None)
            ]
        );
        let rules: Vec<_> = constraints.descendants().filter(|e| e.name() == "rule").collect();
        let named: Vec<_> = rules.iter().filter_map(|r| r.attr("id").or(r.attr("id-ref"))).collect();
        assert_eq!(
            named,
            [
                "pcmk__3_10_upgrade-pcmk__3_10_upgrade-l-1-lifetime-and-rule",
                "r1",
                "t",
                "pcmk__3_10_upgrade-pcmk__3_10_upgrade-l-2-lifetime-and-rule",
                "r2",
                "t"
            ]
        );
    }

    #[test]
    fn nothing_runs_on_what_was_a_ping_node() {
        let (cib, _) = upgraded("<nodes><node id='p' uname='p1' type='ping'/></nodes>");
        assert_eq!(ids(&cib, "rsc_location"), ["pcmk__3_10_upgrade-ping-node-ban-p1"]);
        assert!(!is_needed(&cib, Goal::V4));
    }
}
