//! Location constraints: a resource prefers or avoids nodes.

use xml::Document;

use super::{check_resource, show as shown};
use crate::cmd::node::unknown_node;
use crate::context::Context;
use crate::model::{constraints, id, nodes, role, rule};
use crate::report::{Failure, Message, Outcome};
use crate::words::{is_score, typed};

const TYPES: &[&str] = &["resource", "regexp"];
const SKIPPED: &str = "Validation for node existence in the cluster will be skipped";

/// One constraint to be written.
struct Preference {
    id: String,
    node: String,
    score: String,
    options: Vec<(String, String)>,
}

pub(super) fn show(context: &mut Context<'_>, words: &[String]) -> Outcome {
    context.deprecated(
        "This command is deprecated and will be removed. Please use 'pcs constraint location config' instead.",
    );
    shown::location_config(context, words)
}

pub(super) fn location(context: &mut Context<'_>, words: &[String]) -> Outcome {
    match words {
        [resource, verb, rest @ ..] if !rest.is_empty() => match verb.as_str() {
            "prefers" => prefer(context, resource, rest, true),
            "avoids" => prefer(context, resource, rest, false),
            "rule" => by_rule(context, resource, rest),
            _ => Err(Failure::USAGE),
        },
        _ => Err(Failure::USAGE),
    }
}

fn prefer(context: &mut Context<'_>, resource: &str, places: &[String], prefers: bool) -> Outcome {
    let (kind, value) = typed(resource, TYPES, "resource")?;
    let mut wanted = Vec::new();
    for place in places {
        let (node, score) = match place.split_once('=') {
            None => (place.as_str(), if prefers { "INFINITY".to_string() } else { "-INFINITY".to_string() }),
            Some((node, score)) => (node, signed(score, prefers)?),
        };
        let id = id::sanitize(&format!("location-{value}-{node}-{score}"));
        wanted.push(Preference { id, node: node.into(), score, options: Vec::new() });
    }
    write(context, kind, value, &wanted)
}

/// "avoids" turns the sign.
fn signed(score: &str, prefers: bool) -> Result<String, Failure> {
    check_score(score)?;
    if prefers {
        return Ok(score.to_string());
    }
    Ok(match score.strip_prefix('-') {
        Some(positive) => positive.to_string(),
        None => format!("-{}", score.trim_start_matches('+')),
    })
}

fn check_score(score: &str) -> Outcome {
    if is_score(score) {
        return Ok(());
    }
    Err(Failure::Error(format!("invalid score '{score}', use integer or INFINITY or -INFINITY")))
}

pub(super) fn add(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [constraint, resource, node, score, rest @ ..] = words else { return Err(Failure::USAGE) };
    let (kind, value) = typed(resource, TYPES, "resource")?;
    let mut options = Vec::new();
    for word in rest {
        let Some((name, value)) = word.split_once('=') else {
            return Err(Failure::usage(format!("bad option '{word}'")));
        };
        if name != "resource-discovery" && !context.force() {
            return Err(Failure::Error(format!("bad option '{name}', use --force to override")));
        }
        options.push((name.to_string(), value.to_string()));
    }
    check_score(score)?;
    id::validate("constraint id", constraint).map_err(Failure::Error)?;
    let wanted = Preference { id: constraint.clone(), node: node.clone(), score: score.clone(), options };
    write(context, kind, value, &[wanted])
}

fn write(context: &mut Context<'_>, kind: &str, value: &str, wanted: &[Preference]) -> Outcome {
    let skip = context.force() || !context.store.is_live();
    if skip {
        context.warn(SKIPPED);
    }
    context.change(|context, doc| {
        if !skip {
            known(context, doc, wanted)?;
        }
        if kind == "resource" {
            check_resource(context, doc, value)?;
        }
        for preference in wanted {
            put(doc, kind, value, preference);
        }
        Ok(())
    })
}

fn known(context: &mut Context<'_>, doc: &Document, wanted: &[Preference]) -> Outcome {
    let mut names = nodes::names(doc);
    names.extend(nodes::in_corosync_conf(&context.paths.corosync_conf).unwrap_or_default());
    let mut bad = false;
    for preference in wanted.iter().filter(|p| !names.contains(&p.node)) {
        let mut issue = unknown_node(doc, &preference.node);
        issue.forceable = true;
        context.message(Message::Error(issue.text()));
        if let Some(near) = &issue.near {
            context.info(format!("Hint: did you mean '{near}'?"));
        }
        bad = true;
    }
    if bad { Err(Failure::Exit(1)) } else { Ok(()) }
}

/// Writes one constraint in the place of those with its id, or for its resource and node.
fn put(doc: &mut Document, kind: &str, value: &str, preference: &Preference) {
    let attribute = if kind == "regexp" { "rsc-pattern" } else { "rsc" };
    let top = constraints(doc);
    for old in doc.child_elements(top) {
        let same_place = doc.attr(old, "node") == Some(preference.node.as_str())
            && doc.attr(old, attribute) == Some(value);
        if doc.name(old) == "rsc_location"
            && (same_place || doc.attr(old, "id") == Some(preference.id.as_str()))
        {
            doc.remove(old);
        }
    }
    let attributes = [
        ("id", preference.id.as_str()),
        (attribute, value),
        ("node", &preference.node),
        ("score", &preference.score),
    ];
    let element = doc.append_with(top, "rsc_location", &attributes);
    for (name, value) in &preference.options {
        doc.set_attr(element, name, value);
    }
}

pub(super) fn delete(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [wanted] = words else { return Err(Failure::USAGE) };
    context.change(|_, doc| {
        let top = constraints(doc);
        let found: Vec<_> = doc
            .child_elements(top)
            .into_iter()
            .filter(|c| doc.name(*c) == "rsc_location" && doc.attr(*c, "id") == Some(wanted))
            .collect();
        if found.is_empty() {
            return Err(Failure::Error(format!("resource location id: {wanted} not found.")));
        }
        found.into_iter().for_each(|c| doc.remove(c));
        Ok(())
    })
}

const RULE_OPTIONS: &[&str] =
    &["id", "role", "score", "score-attribute", "constraint-id", "resource-discovery"];

fn by_rule(context: &mut Context<'_>, resource: &str, words: &[String]) -> Outcome {
    let (kind, value) = typed(resource, TYPES, "resource")?;
    let mut options: Vec<(&str, &str)> = Vec::new();
    let mut rest = words;
    while let Some((first, next)) = rest.split_first() {
        match first.split_once('=') {
            Some((name, value)) if RULE_OPTIONS.contains(&name) => options.push((name, value)),
            _ => break,
        }
        rest = next;
    }
    let option = |name: &str| options.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let condition = rule::parse(rest)
        .map_err(|e| Failure::Error(format!("'{}' is not a valid rule expression: {e}", rest.join(" "))))?;
    if option("score").is_some() && option("score-attribute").is_some() {
        return Err(Failure::error("can not specify both score and score-attribute"));
    }
    if let Some(score) = option("score").filter(|s| !is_score(s)) {
        return Err(Failure::Error(format!("invalid score '{score}', use integer or INFINITY or -INFINITY")));
    }
    context.change(|context, doc| {
        if kind == "resource" {
            check_resource(context, doc, value)?;
        }
        let attributes = rule_attributes(doc, &options)?;
        let constraint_id = match option("constraint-id") {
            Some(given) => fresh_id(doc, "constraint id", given)?,
            None => id::unique(doc, &id::sanitize(&format!("location-{value}"))),
        };
        let rule_id = option("id").map(|given| fresh_id(doc, "rule id", given)).transpose()?;
        let top = constraints(doc);
        let attribute = if kind == "regexp" { "rsc-pattern" } else { "rsc" };
        let element = doc.append_with(top, "rsc_location", &[("id", &constraint_id), (attribute, value)]);
        if let Some(discovery) = option("resource-discovery") {
            doc.set_attr(element, "resource-discovery", discovery);
        }
        let list: Vec<(&str, &str)> = attributes.iter().map(|(n, v)| (*n, v.as_str())).collect();
        rule::build(doc, element, rule_id.as_deref(), &list, &condition);
        no_double(context, doc, element)
    })
}

/// Attributes of the rule itself; the score is INFINITY unless something else is given.
fn rule_attributes<'a>(
    doc: &Document,
    options: &[(&'a str, &str)],
) -> Result<Vec<(&'a str, String)>, Failure> {
    let mut attributes = Vec::new();
    for (name, value) in options {
        match *name {
            "role" => {
                let normal = role::capitalize(value);
                if !matches!(normal.as_str(), "Promoted" | "Unpromoted" | "Master" | "Slave") {
                    return Err(Failure::Error(format!(
                        "invalid role '{value}', use 'Master', 'Promoted', 'Slave' or 'Unpromoted'"
                    )));
                }
                attributes.push((*name, role::for_cib(&normal, role::new_names(doc)).to_string()));
            }
            "score" | "score-attribute" => attributes.push((*name, (*value).to_string())),
            _ => {}
        }
    }
    if !attributes.iter().any(|(n, _)| n.starts_with("score")) {
        attributes.push(("score", "INFINITY".to_string()));
    }
    Ok(attributes)
}

/// An id of the user's choice that is well-formed and free.
pub(super) fn fresh_id(doc: &Document, what: &str, given: &str) -> Result<String, Failure> {
    id::validate(what, given).map_err(Failure::Error)?;
    if id::exists(doc, given) {
        return Err(Failure::Error(format!("id '{given}' is already in use, please specify another one")));
    }
    Ok(given.to_string())
}

fn no_double(context: &mut Context<'_>, doc: &Document, new: xml::NodeId) -> Outcome {
    let describe = |c: xml::Element<'_>| -> (Option<String>, Vec<String>) {
        let resource = c.attr("rsc").or(c.attr("rsc-pattern")).map(str::to_string);
        let mut lines: Vec<String> =
            c.children_named("rule").flat_map(|r| rule::lines(r, false, 4)).collect();
        lines.sort();
        (resource, lines)
    };
    let own = describe(doc.element(new));
    let doubles: Vec<_> = super::of_kind(doc, "rsc_location")
        .into_iter()
        .filter(|c| c.id() != new && c.child("rule").is_some() && describe(*c) == own)
        .collect();
    if doubles.is_empty() || context.force() {
        return Ok(());
    }
    let mut text = String::from("duplicate constraint already exists, use --force to override");
    for double in doubles {
        text.push_str(&format!("\n  Constraint: {}", double.attr("id").unwrap_or_default()));
        for line in double.children_named("rule").flat_map(|r| rule::lines(r, true, 4)) {
            text.push_str(&format!("\n{line}"));
        }
    }
    Err(Failure::Error(text))
}
