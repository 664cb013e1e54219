//! Constraints as text.

use std::collections::BTreeMap;

use xml::{Document, Element};

use super::of_kind;
use crate::context::Context;
use crate::model::{role, rule};
use crate::report::Outcome;
use crate::words::{is_boolean, is_true, typed};

pub(super) fn config(context: &mut Context<'_>, words: &[String]) -> Outcome {
    location_config(context, words)?;
    order_config(context, words)?;
    colocation_config(context, words)?;
    ticket_config(context, words)
}

pub(super) fn location_config(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let doc = context.load()?;
    let full = context.options.has("--full");
    let by_node = words.first().is_some_and(|w| w == "nodes");
    let wanted = words.get(1..).unwrap_or_default();
    let lines = if by_node { by_nodes(&doc, full, wanted) } else { location_lines(&doc, full, wanted)? };
    context.lines(&lines);
    Ok(())
}

pub(super) fn order_config(context: &mut Context<'_>, _: &[String]) -> Outcome {
    let doc = context.load()?;
    let lines = order_lines(&doc, context.options.has("--full"));
    context.lines(&lines);
    Ok(())
}

pub(super) fn colocation_config(context: &mut Context<'_>, _: &[String]) -> Outcome {
    let doc = context.load()?;
    let lines = colocation_lines(&doc, context.options.has("--full"));
    context.lines(&lines);
    Ok(())
}

pub(super) fn ticket_config(context: &mut Context<'_>, _: &[String]) -> Outcome {
    let doc = context.load()?;
    let lines = ticket_lines(&doc, context.options.has("--full"));
    context.lines(&lines);
    Ok(())
}

/// Everything, as `pcs config` shows it.
pub fn all_lines(doc: &Document, full: bool) -> Vec<String> {
    let mut all = location_lines(doc, full, &[]).unwrap_or_default();
    all.extend(order_lines(doc, full));
    all.extend(colocation_lines(doc, full));
    all.extend(ticket_lines(doc, full));
    all
}

/// Resource patterns come before resources; each sorted by name.
fn key(constraint: Element<'_>) -> (u8, String) {
    match constraint.attr("rsc-pattern") {
        Some(pattern) => (0, pattern.to_string()),
        None => (1, constraint.attr("rsc").unwrap_or_default().to_string()),
    }
}

fn label(key: &(u8, String)) -> String {
    match key {
        (0, pattern) => format!("Resource pattern: {pattern}"),
        (_, resource) => format!("Resource: {resource}"),
    }
}

fn is_negative(constraint: Element<'_>) -> bool {
    constraint.attr("score").is_some_and(|s| s.starts_with('-') && s != "-0")
}

fn location_lines(
    doc: &Document,
    full: bool,
    wanted: &[String],
) -> Result<Vec<String>, crate::report::Failure> {
    let mut only = Vec::new();
    for word in wanted {
        let (kind, value) = typed(word, &["resource", "regexp"], "resource")?;
        only.push((u8::from(kind != "regexp"), value.to_string()));
    }
    let mut groups: BTreeMap<(u8, String), Vec<Element<'_>>> = BTreeMap::new();
    for constraint in of_kind(doc, "rsc_location") {
        groups.entry(key(constraint)).or_default().push(constraint);
    }
    let mut lines = vec!["Location Constraints:".to_string()];
    for (key, list) in groups.iter().filter(|(key, _)| only.is_empty() || only.contains(key)) {
        let mut part = Vec::new();
        for (title, negative) in [("    Enabled on:", false), ("    Disabled on:", true)] {
            let here: Vec<String> = list
                .iter()
                .filter(|c| is_negative(**c) == negative)
                .filter_map(|c| c.attr("node").map(|node| location_line(*c, &format!("Node: {node}"), full)))
                .collect();
            if !here.is_empty() {
                part.push(title.to_string());
                part.extend(here);
            }
        }
        part.extend(rule_lines(list, full));
        if !part.is_empty() {
            lines.push(format!("  {}", label(key)));
            lines.extend(part);
        }
    }
    Ok(lines)
}

fn location_line(constraint: Element<'_>, what: &str, full: bool) -> String {
    let mut line = format!("      {what} (score:{})", constraint.attr("score").unwrap_or("0"));
    if let Some(found) = constraint.attr("role") {
        line.push_str(&format!(" (role:{})", role::primary(&role::capitalize(found))));
    }
    if let Some(discovery) = constraint.attr("resource-discovery") {
        line.push_str(&format!(" (resource-discovery={discovery})"));
    }
    with_id(line, constraint, full)
}

fn with_id(line: String, element: Element<'_>, full: bool) -> String {
    match element.attr("id").filter(|_| full) {
        Some(id) => format!("{line} (id:{id})"),
        None => line,
    }
}

fn rule_lines(list: &[Element<'_>], full: bool) -> Vec<String> {
    let mut with_rules: Vec<&Element<'_>> = list.iter().filter(|c| c.child("rule").is_some()).collect();
    with_rules.sort_by_key(|c| c.attr("id"));
    let mut lines = Vec::new();
    for constraint in with_rules {
        let discovery = constraint
            .attr("resource-discovery")
            .map(|d| format!(" (resource-discovery={d})"))
            .unwrap_or_default();
        lines.push(format!("    Constraint: {}{discovery}", constraint.attr("id").unwrap_or_default()));
        lines.extend(constraint.children_named("rule").flat_map(|r| rule::lines(r, full, 6)));
    }
    lines
}

fn by_nodes(doc: &Document, full: bool, wanted: &[String]) -> Vec<String> {
    let all = of_kind(doc, "rsc_location");
    let mut nodes: Vec<&str> = all.iter().filter_map(|c| c.attr("node")).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let mut lines = vec!["Location Constraints:".to_string()];
    for node in nodes {
        if !wanted.is_empty() && !wanted.iter().any(|w| w == node) {
            continue;
        }
        lines.push(format!("  Node: {node}"));
        for (title, negative) in [("    Allowed to run:", false), ("    Not allowed to run:", true)] {
            let here: Vec<String> = all
                .iter()
                .filter(|c| c.attr("node") == Some(node) && is_negative(**c) == negative)
                .map(|c| location_line(*c, &label(&key(*c)), full))
                .collect();
            if !here.is_empty() {
                lines.push(title.to_string());
                lines.extend(here);
            }
        }
    }
    let mut groups: BTreeMap<(u8, String), Vec<Element<'_>>> = BTreeMap::new();
    for constraint in all.into_iter().filter(|c| c.child("rule").is_some()) {
        groups.entry(key(constraint)).or_default().push(constraint);
    }
    for (key, list) in groups {
        lines.push(format!("  {}", label(&key)));
        lines.extend(rule_lines(&list, full));
    }
    lines
}

/// Attributes of a constraint or set that are shown as `name=value`, sorted.
fn options(element: Element<'_>, skip: &[&str]) -> String {
    let mut list: Vec<String> = element
        .attrs()
        .filter(|(name, _)| *name != "id" && !skip.contains(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    list.sort();
    list.join(" ")
}

fn set_line(constraint: Element<'_>, full: bool) -> String {
    let mut parts = Vec::new();
    for set in constraint.children_named("resource_set") {
        let mut part = vec!["set".to_string()];
        part.extend(set.children().filter_map(|r| r.attr("id").map(str::to_string)));
        part.push(options(set, &[]));
        part.retain(|p| !p.is_empty());
        parts.push(with_id(part.join(" "), set, full));
    }
    let own = options(constraint, &[]);
    if !own.is_empty() {
        parts.push(format!("setoptions {own}"));
    }
    with_id(parts.join(" "), constraint, full)
}

fn section(
    doc: &Document,
    title: &str,
    kind: &str,
    full: bool,
    line: fn(Element<'_>, bool) -> String,
) -> Vec<String> {
    let mut lines = vec![title.to_string()];
    let (sets, single): (Vec<_>, Vec<_>) =
        of_kind(doc, kind).into_iter().partition(|c| c.child("resource_set").is_some());
    lines.extend(single.into_iter().map(|c| format!("  {}", line(c, full))));
    if !sets.is_empty() {
        lines.push("  Resource Sets:".to_string());
        lines.extend(sets.into_iter().map(|c| format!("    {}", set_line(c, full))));
    }
    lines
}

fn order_lines(doc: &Document, full: bool) -> Vec<String> {
    section(doc, "Ordering Constraints:", "rsc_order", full, order_line)
}

/// `start A then start B (kind:Mandatory)`.
pub(super) fn order_line(constraint: Element<'_>, full: bool) -> String {
    let text = |name: &str| constraint.attr(name).unwrap_or_default();
    let side =
        |action: &str, resource: &str| format!("{} {}", text(action), text(resource)).trim().to_string();
    let mut line = format!("{} then {}", side("first-action", "first"), side("then-action", "then"));
    let shown = ["kind", "score"].iter().find_map(|name| constraint.attr(name).map(|v| (*name, v)));
    let (name, value) = shown.unwrap_or(("kind", "Mandatory"));
    line.push_str(&format!(" ({name}:{value})"));
    if constraint.attr("symmetrical").is_some_and(|v| is_boolean(v) && !is_true(v)) {
        line.push_str(" (non-symmetrical)");
    }
    let rest = options(
        constraint,
        &["first", "then", "first-action", "then-action", "kind", "score", "symmetrical"],
    );
    if !rest.is_empty() {
        line.push_str(&format!(" (Options: {rest})"));
    }
    with_id(line, constraint, full)
}

fn colocation_lines(doc: &Document, full: bool) -> Vec<String> {
    section(doc, "Colocation Constraints:", "rsc_colocation", full, colocation_line)
}

/// `A with B (score:INFINITY)`.
pub(super) fn colocation_line(constraint: Element<'_>, full: bool) -> String {
    let text = |name: &str| constraint.attr(name).unwrap_or_default();
    let mut line = format!("{} with {}", text("rsc"), text("with-rsc"));
    if let Some(score) = constraint.attr("score") {
        line.push_str(&format!(" (score:{score})"));
    }
    for name in ["rsc-role", "with-rsc-role"] {
        if let Some(found) = constraint.attr(name) {
            line.push_str(&format!(" ({name}:{})", role::primary(&role::capitalize(found))));
        }
    }
    let rest = options(constraint, &["rsc", "with-rsc", "score", "rsc-role", "with-rsc-role"]);
    if !rest.is_empty() {
        line.push_str(&format!(" ({})", rest.replace('=', ":").replace(' ', ") (")));
    }
    with_id(line, constraint, full)
}

fn ticket_lines(doc: &Document, full: bool) -> Vec<String> {
    section(doc, "Ticket Constraints:", "rsc_ticket", full, ticket_line)
}

fn ticket_line(constraint: Element<'_>, full: bool) -> String {
    let text = |name: &str| constraint.attr(name).unwrap_or_default();
    let subject = match constraint.attr("rsc-role") {
        Some(found) => format!("{} {}", role::primary(&role::capitalize(found)), text("rsc")),
        None => text("rsc").to_string(),
    };
    let rest = options(constraint, &["rsc", "rsc-role", "ticket"]);
    let line = format!("{subject} ticket={} {}", text("ticket"), format!("({rest})").replace("()", ""));
    with_id(line.trim_end().to_string(), constraint, full)
}
