//! Checks of resource options against an agent's metadata.

use std::collections::BTreeMap;

use xml::Document;

use super::{Action, Metadata};
use crate::model::{find, nvset, role};
use crate::report::{Issue, quoted_list};
use crate::words::{Pairs, seconds};

/// Attributes of `<op>` that a user may give; OCF_CHECK_LEVEL goes into a set inside it.
pub const OPERATION_ATTRIBUTES: &[&str] = &[
    "OCF_CHECK_LEVEL",
    "description",
    "enabled",
    "id",
    "interval",
    "interval-origin",
    "name",
    "on-fail",
    "record-pending",
    "role",
    "start-delay",
    "timeout",
];

const ON_FAIL: &[&str] =
    &["block", "demote", "fence", "ignore", "restart", "restart-container", "standby", "stop"];

/// Interval of an operation that has none.
pub fn default_interval(operation: &str) -> &'static str {
    if operation == "monitor" { "60s" } else { "0s" }
}

/// Checks instance attributes. `resource`: the one being changed, with `current` as its values, or
/// none for a new resource.
pub fn instance_attributes(
    metadata: &Metadata,
    given: &Pairs,
    resource: Option<(&str, &BTreeMap<String, String>)>,
    doc: &Document,
) -> Vec<Issue> {
    let mut issues = Vec::new();
    if resource.is_none() {
        for (name, _) in given.iter().filter(|(_, value)| value.is_empty()) {
            issues.push(Issue::new(format!("{name} cannot be empty")));
        }
    }
    if !metadata.exists {
        return issues;
    }
    let kind = if metadata.name.class == "stonith" { "stonith" } else { "resource" };
    let current = resource.map(|(_, current)| current);
    unknown_names(metadata, given, current, kind, &mut issues);
    let mut after: BTreeMap<String, String> = current.cloned().unwrap_or_default();
    for (name, value) in given.iter() {
        if value.is_empty() {
            after.remove(name);
        } else {
            after.insert(name.to_string(), value.to_string());
        }
    }
    missing_names(metadata, given, &after, resource.is_some(), kind, &mut issues);
    not_unique(metadata, given, resource.map(|(id, _)| id), doc, &mut issues);
    issues
}

fn unknown_names(
    metadata: &Metadata,
    given: &Pairs,
    current: Option<&BTreeMap<String, String>>,
    kind: &str,
    issues: &mut Vec<Issue>,
) {
    let unknown: Vec<&str> = given
        .iter()
        .map(|(name, _)| name)
        .filter(|name| metadata.parameter(name).is_none() && !current.is_some_and(|c| c.contains_key(*name)))
        .collect();
    let allowed = metadata.parameters.iter().map(|p| p.name.as_str());
    issues.extend(invalid_options(&unknown, allowed, kind));
}

/// The complaint about options that do not exist.
pub fn invalid_options<'a>(
    unknown: &[&str],
    allowed: impl Iterator<Item = &'a str>,
    kind: &str,
) -> Option<Issue> {
    let first = unknown.first()?;
    let allowed: Vec<&str> = allowed.collect();
    let names = quoted_list(unknown);
    let plural = if unknown.len() == 1 { format!("option {names}") } else { format!("options: {names}") };
    let rest = match allowed.len() {
        0 => "there are no options allowed".to_string(),
        1 => format!("allowed option is {}", quoted_list(&allowed)),
        _ => format!("allowed options are: {}", quoted_list(&allowed)),
    };
    Some(Issue::forceable(format!("invalid {kind} {plural}, {rest}")).meant(first, allowed))
}

fn missing_names(
    metadata: &Metadata,
    given: &Pairs,
    after: &BTreeMap<String, String>,
    update: bool,
    kind: &str,
    issues: &mut Vec<Issue>,
) {
    let missing: Vec<&str> = metadata
        .parameters
        .iter()
        .filter(|p| p.required && !p.deprecated && !after.contains_key(&p.name))
        // An update complains only about what it takes away itself.
        .filter(|p| !update || given.has(&p.name))
        // A deprecated parameter may still stand in for its successor.
        .filter(|p| {
            !metadata
                .parameters
                .iter()
                .any(|old| old.deprecated_by.contains(&p.name) && after.contains_key(&old.name))
        })
        .map(|p| p.name.as_str())
        .collect();
    let list = quoted_list(&missing);
    match missing.len() {
        0 => {}
        1 => issues.push(Issue::forceable(format!("required {kind} option {list} is missing"))),
        _ => issues.push(Issue::forceable(format!("required {kind} options {list} are missing"))),
    }
}

fn not_unique(
    metadata: &Metadata,
    given: &Pairs,
    own: Option<&str>,
    doc: &Document,
    issues: &mut Vec<Issue>,
) {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for parameter in &metadata.parameters {
        if let Some(group) = &parameter.unique_group {
            groups.entry(group).or_default().push(&parameter.name);
        }
    }
    let agent = metadata.name.to_string();
    for (group, names) in groups {
        let values: Vec<&str> = names.iter().map(|n| given.value(n).unwrap_or("")).collect();
        if values.iter().all(|v| v.is_empty()) {
            continue;
        }
        let same: Vec<&str> = find::all(doc)
            .into_iter()
            .filter(|r| r.name() == "primitive" && find::agent_name(*r) == agent && r.attr("id") != own)
            .filter(|r| {
                names.iter().zip(&values).all(|(name, value)| {
                    nvset::value(*r, "instance_attributes", name).unwrap_or("") == *value
                })
            })
            .filter_map(|r| r.attr("id"))
            .collect();
        if same.is_empty() {
            continue;
        }
        issues.push(Issue::forceable(not_unique_text(group, &names, &values, &agent, &same)));
    }
}

fn not_unique_text(group: &str, names: &[&str], values: &[&str], agent: &str, same: &[&str]) -> String {
    let list = quoted_list(same);
    if let ([name], [value]) = (names, values) {
        return format!(
            "Value '{value}' of option '{name}' is not unique across '{agent}' resources. Following \
             resources are configured with the same value of the instance attribute: {list}"
        );
    }
    let mut pairs: Vec<(&&str, &&str)> = names.iter().zip(values).collect();
    pairs.sort();
    let join = |items: Vec<&str>| items.iter().map(|i| format!("'{i}'")).collect::<Vec<_>>().join(", ");
    let names = join(pairs.iter().map(|(n, _)| **n).collect());
    let values = join(pairs.iter().map(|(_, v)| **v).collect());
    format!(
        "Value {values} of options {names} (group '{group}') is not unique across '{agent}' resources. \
         Following resources are configured with the same values of the instance attributes: {list}"
    )
}

/// Checks operations that the user gave, normalises them, and adds the agent's defaults for those
/// that were not given. Warnings are returned beside the issues.
pub fn operations(
    metadata: &Metadata,
    given: &[Pairs],
    use_defaults: bool,
    new_roles: bool,
    issues: &mut Vec<Issue>,
    warnings: &mut Vec<String>,
) -> Vec<Pairs> {
    let mut all = Vec::new();
    for operation in given {
        let mut operation = operation.clone();
        check_operation(metadata, &mut operation, issues);
        if let Some(found) = operation.value("role").map(|r| role::for_cib(r, new_roles).to_string()) {
            operation.set("role", &found);
        }
        operation.0.retain(|(_, value)| !value.is_empty());
        all.push(operation);
    }
    same_intervals(&all, issues);
    for operation in &mut all {
        if !operation.has("interval") {
            let name = operation.value("name").unwrap_or_default().to_string();
            operation.set("interval", default_interval(&name));
        }
    }
    let mut used: Vec<(String, u64)> = Vec::new();
    for action in metadata.default_operations(!use_defaults) {
        if given.iter().any(|o| o.value("name") == Some(action.name.as_str())) {
            continue;
        }
        all.push(from_action(&action, new_roles, &mut used, warnings));
    }
    all
}

fn from_action(
    action: &Action,
    new_roles: bool,
    used: &mut Vec<(String, u64)>,
    warnings: &mut Vec<String>,
) -> Pairs {
    let name = action.name.as_str();
    let written = action.interval.as_deref().unwrap_or(default_interval(name));
    let mut interval = written.to_string();
    if let Some(mut s) = seconds(written) {
        let taken = |s: u64, used: &[(String, u64)]| used.iter().any(|(n, u)| n == name && *u == s);
        if taken(s, used) {
            while taken(s, used) {
                s += 1;
            }
            interval = s.to_string();
            warnings.push(format!(
                "changing a {name} operation interval from {written} to {interval} to make the operation unique"
            ));
        }
        used.push((name.to_string(), s));
    }
    let mut operation = Pairs::default();
    operation.set("name", name);
    operation.set("interval", &interval);
    if let Some(delay) = &action.start_delay {
        operation.set("start-delay", delay);
    }
    if let Some(timeout) = &action.timeout {
        operation.set("timeout", timeout);
    }
    if let Some(found) = &action.role {
        operation.set("role", role::for_cib(found, new_roles));
    }
    if let Some(depth) = action.depth.as_deref().filter(|d| *d != "0") {
        operation.set("OCF_CHECK_LEVEL", depth);
    }
    operation
}

fn check_operation(metadata: &Metadata, operation: &mut Pairs, issues: &mut Vec<Issue>) {
    let unknown: Vec<&str> =
        operation.iter().map(|(n, _)| n).filter(|n| !OPERATION_ATTRIBUTES.contains(n)).collect();
    if let Some(mut issue) =
        invalid_options(&unknown, OPERATION_ATTRIBUTES.iter().copied(), "resource operation")
    {
        issue.forceable = false;
        issues.push(issue);
    }
    let name = operation.value("name").unwrap_or_default().to_string();
    if !metadata.actions.iter().any(|a| a.name == name) {
        let names: Vec<&str> = metadata.actions.iter().map(|a| a.name.as_str()).collect();
        if metadata.exists {
            let text = format!("'{name}' is not a valid operation name value, use {}", quoted_unique(&names));
            issues.push(Issue::forceable(text).meant(&name, names));
        }
    }
    if let Some(given) = operation.value("role").map(str::to_string) {
        let normal = role::capitalize(&given);
        if role::ALL.contains(&normal.as_str()) {
            operation.set("role", &normal);
        } else {
            issues.push(Issue::new(format!(
                "'{given}' is not a valid role value, use {}",
                quoted_list(role::ALL)
            )));
        }
    }
    one_of(operation, "on-fail", ON_FAIL, issues);
    one_of(operation, "record-pending", &["0", "1", "true", "false"], issues);
    one_of(operation, "enabled", &["0", "1", "true", "false"], issues);
    if operation.has("interval-origin") && operation.has("start-delay") {
        issues.push(Issue::new(
            "Only one of resource operation options 'interval-origin' and 'start-delay' can be used",
        ));
    }
    if let Some(id) = operation.value("id")
        && let Err(message) = crate::model::id::validate("operation id", id)
    {
        issues.push(Issue::new(message));
    }
}

fn quoted_unique(names: &[&str]) -> String {
    let mut unique = names.to_vec();
    unique.sort_unstable();
    unique.dedup();
    quoted_list(unique)
}

fn one_of(operation: &mut Pairs, option: &str, allowed: &[&str], issues: &mut Vec<Issue>) {
    let Some(given) = operation.value(option).map(str::to_string) else { return };
    let normal = given.to_lowercase();
    if allowed.contains(&normal.as_str()) {
        operation.set(option, &normal);
    } else {
        issues.push(Issue::new(format!(
            "'{given}' is not a valid {option} value, use {}",
            quoted_list(allowed)
        )));
    }
}

fn same_intervals(all: &[Pairs], issues: &mut Vec<Issue>) {
    let mut by_time: BTreeMap<(String, Option<u64>), Vec<String>> = BTreeMap::new();
    for operation in all {
        let name = operation.value("name").unwrap_or_default();
        let interval = operation.value("interval").unwrap_or(default_interval(name));
        by_time.entry((name.to_string(), seconds(interval))).or_default().push(interval.to_string());
    }
    let lines: Vec<String> = by_time
        .iter()
        .filter(|(_, intervals)| intervals.len() > 1)
        .map(|((name, _), intervals)| format!("{name} with intervals {}", intervals.join(", ")))
        .collect();
    if !lines.is_empty() {
        issues.push(Issue::new(format!(
            "multiple specification of the same operation with the same interval:\n{}",
            lines.join("\n")
        )));
    }
}
