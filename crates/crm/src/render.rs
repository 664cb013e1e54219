//! The configuration in crm's own language.

use xml::{Document, Element};

/// Kinds of objects in the order in which they are shown.
const KINDS: &[&str] = &[
    "node",
    "template",
    "primitive",
    "group",
    "clone",
    "master",
    "bundle",
    "rsc_colocation",
    "rsc_location",
    "rsc_order",
    "rsc_ticket",
    "cluster_property_set",
    "rsc_defaults",
    "op_defaults",
    "tag",
];

/// Everything, one object after the other.
pub fn all(doc: &Document) -> String {
    let found = objects(doc);
    let mut text = String::new();
    for kind in KINDS {
        for object in found.iter().filter(|o| group_of(**o) == *kind) {
            text.push_str(&object_text(*object));
            text.push('\n');
        }
    }
    text
}

/// The object with this id (nodes also by name).
pub fn one(doc: &Document, id: &str) -> Option<String> {
    objects(doc)
        .into_iter()
        .find(|o| o.attr("id") == Some(id) || (o.name() == "node" && o.attr("uname") == Some(id)))
        .map(object_text)
}

/// Elements that are objects of the language.
pub fn objects(doc: &Document) -> Vec<Element<'_>> {
    let Some(configuration) = doc.root_element().child("configuration") else { return Vec::new() };
    let mut found = Vec::new();
    for section in configuration.children() {
        match section.name() {
            "resources" => found.extend(section.descendants().filter(|e| is_resource(e.name()))),
            _ => found.extend(section.children().filter(|e| e.attr("id").is_some())),
        }
    }
    found
}

fn is_resource(name: &str) -> bool {
    matches!(name, "primitive" | "group" | "clone" | "master" | "bundle" | "template")
}

fn group_of<'a>(object: Element<'a>) -> &'a str {
    match object.name() {
        "meta_attributes" => object.parent().map_or("", |p| p.name()),
        name => name,
    }
}

/// Continuation of an object on the next line.
const NEXT: &str = " \\\n\t";

fn object_text(object: Element<'_>) -> String {
    let id = object.attr("id").unwrap_or_default();
    match object.name() {
        "node" => node(object, id),
        "primitive" | "template" => primitive(object, id),
        "group" => {
            let members: Vec<&str> =
                object.children_named("primitive").filter_map(|p| p.attr("id")).collect();
            format!(
                "group {id} {}{}",
                members.join(" "),
                sets(object, &["meta_attributes", "instance_attributes"])
            )
        }
        "clone" | "master" => {
            let inner = object
                .children()
                .find(|c| is_resource(c.name()))
                .and_then(|c| c.attr("id"))
                .unwrap_or_default();
            let word = if object.name() == "master" { "ms" } else { "clone" };
            format!("{word} {id} {inner}{}", sets(object, &["meta_attributes", "instance_attributes"]))
        }
        "rsc_location" => location(object, id),
        "rsc_colocation" => colocation(object, id),
        "rsc_order" => order(object, id),
        "cluster_property_set" => named_set("property", object, id),
        "meta_attributes" => named_set(group_of(object), object, id),
        "tag" => {
            let members: Vec<&str> = object.children().filter_map(|r| r.attr("id")).collect();
            format!("tag {id}: {}", members.join(" "))
        }
        _ => format!("xml {}", object.document().node_to_text(object.id())),
    }
}

fn node(object: Element<'_>, id: &str) -> String {
    let name = object.attr("uname").unwrap_or_default();
    let kind = object.attr("type").filter(|t| *t != "member").map(|t| format!(":{t}")).unwrap_or_default();
    let mut text = if id == name { format!("node {name}{kind}") } else { format!("node {id}: {name}{kind}") };
    for (set, word) in [("instance_attributes", "attributes"), ("utilization", "utilization")] {
        let pairs: Vec<String> = object
            .children()
            .filter(|s| s.name() == set)
            .flat_map(|s| s.children())
            .filter_map(pair)
            .collect();
        if !pairs.is_empty() {
            text.push_str(&format!("{NEXT}{word} {}", pairs.join(" ")));
        }
    }
    text
}

fn primitive(object: Element<'_>, id: &str) -> String {
    let kind = object.attr("type").unwrap_or_default();
    let agent = match (object.attr("class"), object.attr("provider")) {
        (Some("ocf"), Some("heartbeat")) => kind.to_string(),
        (Some(class), Some(provider)) => format!("{class}:{provider}:{kind}"),
        (Some(class), None) => format!("{class}:{kind}"),
        _ => object.attr("template").map(|t| format!("@{t}")).unwrap_or_default(),
    };
    let word = if object.name() == "template" { "rsc_template" } else { "primitive" };
    let mut text = format!("{word} {id} {agent}");
    for part in object.children() {
        match part.name() {
            "operations" => {
                for operation in part.children_named("op") {
                    text.push_str(NEXT);
                    text.push_str(&operation_text(operation));
                }
            }
            name => {
                if let Some(word) = set_word(name) {
                    text.push_str(&format!("{NEXT}{word}{}", set_text(part)));
                }
            }
        }
    }
    text
}

fn set_word(name: &str) -> Option<&'static str> {
    match name {
        "instance_attributes" => Some("params"),
        "meta_attributes" => Some("meta"),
        "utilization" => Some("utilization"),
        _ => None,
    }
}

fn set_text(set: Element<'_>) -> String {
    set.children().filter_map(pair).map(|p| format!(" {p}")).collect()
}

fn sets(object: Element<'_>, kinds: &[&str]) -> String {
    object
        .children()
        .filter(|s| kinds.contains(&s.name()))
        .map(|s| format!("{NEXT}{}{}", set_word(s.name()).unwrap_or_default(), set_text(s)))
        .collect()
}

fn operation_text(operation: Element<'_>) -> String {
    let mut text = format!("op {}", operation.attr("name").unwrap_or_default());
    for (name, value) in operation.attrs().filter(|(n, _)| !matches!(*n, "id" | "name")) {
        text.push_str(&format!(" {}", assignment(name, value)));
    }
    for set in operation.children_named("instance_attributes") {
        text.push_str(&format!(" op_params{}", set_text(set)));
    }
    text
}

fn pair(element: Element<'_>) -> Option<String> {
    if element.name() != "nvpair" {
        return None;
    }
    let name = element.attr("name")?;
    Some(element.attr("value").map_or(name.to_string(), |value| assignment(name, value)))
}

/// `name=value`, quoted where it must be.
fn assignment(name: &str, value: &str) -> String {
    let plain = !value.is_empty() && !value.contains([' ', '\t', '"', '\'', '\\', '=', ';', '(', ')']);
    if plain { format!("{name}={value}") } else { format!("{name}=\"{}\"", value.replace('"', "\\\"")) }
}

/// Scores as people write them.
fn score(text: &str) -> String {
    text.replace("INFINITY", "inf").trim_start_matches('+').to_string()
}

fn named_set(word: &str, set: Element<'_>, id: &str) -> String {
    let pairs: String = set.children().filter_map(pair).map(|p| format!("{NEXT}{p}")).collect();
    format!("{word} {id}:{}", if pairs.is_empty() { String::new() } else { pairs })
}

fn location(object: Element<'_>, id: &str) -> String {
    let what = match object.attr("rsc-pattern") {
        Some(pattern) => format!("/{pattern}/"),
        None => object.attr("rsc").unwrap_or_default().to_string(),
    };
    let role = object.attr("role").map(|r| format!(" role={r}")).unwrap_or_default();
    let discovery =
        object.attr("resource-discovery").map(|d| format!(" resource-discovery={d}")).unwrap_or_default();
    if let Some(node) = object.attr("node") {
        let points = score(object.attr("score").unwrap_or("0"));
        return format!("location {id} {what}{role}{discovery} {points}: {node}");
    }
    let rules: String = object.children_named("rule").map(|r| format!("{NEXT}rule {}", rule(r))).collect();
    format!("location {id} {what}{role}{discovery}{rules}")
}

fn rule(element: Element<'_>) -> String {
    let role = element.attr("role").map(|r| format!("$role={r} ")).unwrap_or_default();
    let points = element.attr("score").map(score).or(element.attr("score-attribute").map(str::to_string));
    let operator = format!(" {} ", element.attr("boolean-op").unwrap_or("and"));
    let parts: Vec<String> = element.children().map(expression).collect();
    format!("{role}{}: {}", points.unwrap_or_default(), parts.join(&operator))
}

fn expression(element: Element<'_>) -> String {
    let text = |name: &str| element.attr(name).unwrap_or_default();
    match element.name() {
        "expression" => match element.attr("value") {
            Some(value) => {
                let kind = element
                    .attr("type")
                    .filter(|t| *t != "string")
                    .map(|t| format!("{t}:"))
                    .unwrap_or_default();
                format!("{} {kind}{} {value}", text("attribute"), text("operation"))
            }
            None => format!("{} {}", text("operation"), text("attribute")),
        },
        "date_expression" => match text("operation") {
            "lt" => format!("date lt \"{}\"", text("end")),
            "gt" => format!("date gt \"{}\"", text("start")),
            "in_range" => format!("date in start={} end={}", text("start"), text("end")),
            _ => {
                let parts: String = element
                    .children()
                    .flat_map(|spec| spec.attrs().collect::<Vec<_>>())
                    .filter(|(n, _)| *n != "id")
                    .map(|(n, v)| format!(" {n}={v}"))
                    .collect();
                format!("date spec{parts}")
            }
        },
        _ => rule(element),
    }
}

fn with_role(object: Element<'_>, resource: &str, role: &str) -> String {
    let name = object.attr(resource).unwrap_or_default();
    object.attr(role).map_or(name.to_string(), |r| format!("{name}:{r}"))
}

fn resource_sets(object: Element<'_>) -> String {
    let mut text = String::new();
    for set in object.children_named("resource_set") {
        let members: Vec<&str> = set.children().filter_map(|r| r.attr("id")).collect();
        let (open, close) = match (set.attr("sequential"), set.attr("require-all")) {
            (_, Some("false")) => ("[ ", " ]"),
            (Some("false"), _) => ("( ", " )"),
            _ => ("", ""),
        };
        let suffix = set.attr("action").or(set.attr("role")).map(|s| format!(":{s}")).unwrap_or_default();
        let list: Vec<String> = members.iter().map(|m| format!("{m}{suffix}")).collect();
        text.push_str(&format!(" {open}{}{close}", list.join(" ")));
    }
    text
}

fn colocation(object: Element<'_>, id: &str) -> String {
    let points = score(object.attr("score").unwrap_or("0"));
    if object.child("resource_set").is_some() {
        return format!("colocation {id} {points}:{}", resource_sets(object));
    }
    let first = with_role(object, "rsc", "rsc-role");
    let second = with_role(object, "with-rsc", "with-rsc-role");
    format!("colocation {id} {points}: {first} {second}")
}

fn order(object: Element<'_>, id: &str) -> String {
    let kind = object.attr("kind").map(str::to_string).or(object.attr("score").map(score));
    let kind = kind.map(|k| format!(" {k}:")).unwrap_or_default();
    let symmetrical = object.attr("symmetrical").map(|s| format!(" symmetrical={s}")).unwrap_or_default();
    if object.child("resource_set").is_some() {
        return format!("order {id}{kind}{}{symmetrical}", resource_sets(object));
    }
    let first = with_role(object, "first", "first-action");
    let then = with_role(object, "then", "then-action");
    format!("order {id}{kind} {first} {then}{symmetrical}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tutorials_configuration() {
        let doc = Document::parse(
            "<cib><configuration><crm_config><cluster_property_set id='cib-bootstrap-options'>\
             <nvpair id='a' name='have-watchdog' value='false'/><nvpair id='b' name='no-quorum-policy' value='ignore'/></cluster_property_set></crm_config>\
             <nodes><node id='1' uname='nodo1.example.com'><instance_attributes id='nodes-1'/></node></nodes>\
             <resources><primitive id='CLUSTER_IP' class='ocf' type='IPaddr2' provider='heartbeat'>\
             <instance_attributes id='i'><nvpair id='c' name='ip' value='172.31.0.100'/></instance_attributes>\
             <operations><op name='monitor' interval='60s' id='m'/></operations></primitive></resources>\
             <constraints><rsc_location id='l' rsc='CLUSTER_IP' node='nodo1.example.com' score='INFINITY'/></constraints>\
             <op_defaults><meta_attributes id='op_defaults-meta_attributes'><nvpair id='d' name='timeout' value='20s'/></meta_attributes></op_defaults>\
             </configuration></cib>",
        )
        .unwrap();
        assert_eq!(
            all(&doc),
            "node 1: nodo1.example.com\n\
             primitive CLUSTER_IP IPaddr2 \\\n\tparams ip=172.31.0.100 \\\n\top monitor interval=60s\n\
             location l CLUSTER_IP inf: nodo1.example.com\n\
             property cib-bootstrap-options: \\\n\thave-watchdog=false \\\n\tno-quorum-policy=ignore\n\
             op_defaults op_defaults-meta_attributes: \\\n\ttimeout=20s\n"
        );
        assert!(one(&doc, "nope").is_none());
    }
}
