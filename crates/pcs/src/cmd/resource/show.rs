//! Resources and agents as text.

use xml::{Document, Element};

use crate::agent::{AgentName, Library, STANDARDS};
use crate::context::Context;
use crate::model::{find, nvset, role, rule};
use crate::report::{Failure, Issue, Message, Outcome, nearest};

pub(super) fn config(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let doc = context.load()?;
    show_config(context, &doc, words, false)
}

/// Shows resources (or, with `stonith`, fence devices) with all their options.
///
/// # Errors
/// When none of the named ones exists.
pub fn show_config(context: &mut Context<'_>, doc: &Document, words: &[String], stonith: bool) -> Outcome {
    if context.options.value("--output-format").is_some_and(|f| f != "text") {
        return Err(Failure::usage("Unknown value for '--output-format' option. Supported value is: 'text'"));
    }
    if words.is_empty() {
        let lines = config_lines(doc, stonith);
        context.lines(&lines);
        return Ok(());
    }
    let mut lines = Vec::new();
    let ids = crate::model::resource_ids(doc);
    for id in words {
        match find::resource(doc, id).map(|n| doc.element(n)) {
            Some(element) if find::is_stonith(element) == stonith => lines.extend(resource_lines(element)),
            _ => {
                context.warn(format!(
                    "Unable to find {} '{id}'",
                    if stonith { "stonith device" } else { "resource" }
                ));
                if let Some(near) = nearest(id, ids.iter().map(String::as_str)) {
                    context.info(format!("Hint: did you mean '{near}'?"));
                }
            }
        }
    }
    if lines.is_empty() {
        return Err(Failure::error(if stonith { "No stonith device found" } else { "No resource found" }));
    }
    context.lines(&lines);
    Ok(())
}

/// All resources at the top level, grouped by kind as they are listed.
pub fn config_lines(doc: &Document, stonith: bool) -> Vec<String> {
    let tops: Vec<Element<'_>> = doc
        .root_element()
        .path(&["configuration", "resources"])
        .map(|r| r.children().filter(|c| find::is_resource(c.name())).collect())
        .unwrap_or_default();
    let mut lines = Vec::new();
    for kind in [&["primitive"][..], &["group"], &["clone", "master"], &["bundle"]] {
        for element in tops.iter().filter(|e| kind.contains(&e.name()) && find::is_stonith(**e) == stonith) {
            lines.extend(resource_lines(*element));
        }
    }
    lines
}

/// One resource with what is in it.
pub fn resource_lines(element: Element<'_>) -> Vec<String> {
    let id = element.attr("id").unwrap_or_default();
    match element.name() {
        "primitive" => primitive_lines(element, id),
        "group" => {
            let mut lines = vec![format!("Group: {id}")];
            lines.extend(indent(attribute_lines(element), 2));
            for inner in element.children_named("primitive") {
                lines.extend(indent(resource_lines(inner), 2));
            }
            lines
        }
        "bundle" => {
            let mut lines = vec![format!("Bundle: {id}")];
            lines.extend(indent(bundle_lines(element), 2));
            lines
        }
        _ => {
            let mut lines = vec![format!("Clone: {id}")];
            lines.extend(indent(attribute_lines(element), 2));
            for inner in element.children().filter(|c| find::is_resource(c.name())) {
                lines.extend(indent(resource_lines(inner), 2));
            }
            lines
        }
    }
}

fn indent(lines: Vec<String>, by: usize) -> Vec<String> {
    lines.into_iter().map(|line| format!("{}{line}", " ".repeat(by))).collect()
}

fn primitive_lines(element: Element<'_>, id: &str) -> Vec<String> {
    let class = element.attr("class").unwrap_or_default();
    let provider = element.attr("provider").map(|p| format!(" provider={p}")).unwrap_or_default();
    let kind = element.attr("type").unwrap_or_default();
    let mut lines = vec![format!("Resource: {id} (class={class}{provider} type={kind})")];
    if let Some(text) = element.attr("description") {
        lines.push(format!("  Description: {text}"));
    }
    lines.extend(indent(attribute_lines(element), 2));
    let operations: Vec<Element<'_>> =
        element.child("operations").map(|o| o.children_named("op").collect()).unwrap_or_default();
    if !operations.is_empty() {
        lines.push("  Operations:".into());
        for operation in operations {
            lines.extend(indent(operation_lines(operation), 4));
        }
    }
    lines
}

/// The sets of a resource: options, meta attributes, utilization.
fn attribute_lines(element: Element<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, title) in [
        ("instance_attributes", "Attributes"),
        ("meta_attributes", "Meta Attributes"),
        ("utilization", "Utilization"),
    ] {
        for set in element.children_named(kind) {
            let pairs = nvset::pairs(set);
            let rules: Vec<String> =
                set.children_named("rule").flat_map(|r| rule::lines(r, false, 2)).collect();
            if pairs.is_empty() && rules.is_empty() {
                continue;
            }
            lines.push(format!("{title}: {}", set.attr("id").unwrap_or_default()));
            lines.extend(pairs.iter().map(|(n, v)| format!("  {}", nvset::show(n, v))));
            lines.extend(rules);
        }
    }
    lines
}

/// Attributes of an operation in the order in which they are shown.
const OPERATION_ORDER: &[&str] = &[
    "description",
    "interval",
    "timeout",
    "role",
    "start-delay",
    "interval-origin",
    "on-fail",
    "enabled",
    "record-pending",
];

fn operation_lines(operation: Element<'_>) -> Vec<String> {
    let name = operation.attr("name").unwrap_or_default();
    let mut lines = vec![format!("{name}: {}", operation.attr("id").unwrap_or_default())];
    for attribute in OPERATION_ORDER {
        if let Some(value) = operation.attr(attribute) {
            let value = if *attribute == "role" { role::primary(value) } else { value };
            lines.push(format!("  {}", nvset::show(attribute, value)));
        }
    }
    for set in operation.children_named("instance_attributes") {
        lines.extend(nvset::pairs(set).iter().map(|(n, v)| format!("  {}", nvset::show(n, v))));
    }
    lines
}

fn bundle_lines(element: Element<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let shown = |e: Element<'_>| e.attrs().map(|(n, v)| nvset::show(n, v)).collect::<Vec<_>>().join(" ");
    for part in element.children() {
        match part.name() {
            "network" => {
                lines.push(format!("Network: {}", shown(part)));
                let maps: Vec<Element<'_>> = part.children().collect();
                if !maps.is_empty() {
                    lines.push("Port Mapping:".into());
                    lines.extend(maps.into_iter().map(|m| format!("  {}", shown(m))));
                }
            }
            "storage" => {
                lines.push("Storage Mapping:".into());
                lines.extend(part.children().map(|m| format!("  {}", shown(m))));
            }
            name if find::is_resource(name) => lines.extend(resource_lines(part)),
            "meta_attributes" => {}
            container => lines.push(format!("{}: {}", role::capitalize(container), shown(part))),
        }
    }
    lines.extend(attribute_lines(element));
    lines
}

pub(super) fn standards(context: &mut Context<'_>, _: &[String]) -> Outcome {
    context.output(STANDARDS.join("\n"));
    Ok(())
}

pub(super) fn providers(context: &mut Context<'_>, _: &[String]) -> Outcome {
    let all = Library::new(&context.paths.ocf_dirs).providers();
    if all.is_empty() {
        return Err(Failure::error("No OCF providers found"));
    }
    context.lines(&all);
    Ok(())
}

pub(super) fn agents(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let library = Library::new(&context.paths.ocf_dirs);
    let standard = match words {
        [] => None,
        [one] => Some(one.as_str()),
        _ => return Err(Failure::USAGE),
    };
    let mut all: Vec<String> = match standard {
        None => all_agents(&library).into_iter().map(|n| n.kind).collect(),
        Some("stonith") => library.fence_agents(),
        Some(class @ ("systemd" | "lsb" | "service")) => library.services(class),
        Some(ocf) => {
            let provider = ocf.strip_prefix("ocf").map(|p| p.trim_start_matches(':'));
            let fits = |n: &AgentName| match provider {
                Some("") => true,
                Some(wanted) => n.provider.as_deref() == Some(wanted),
                None => false,
            };
            library.ocf_agents().into_iter().filter(fits).map(|n| n.kind).collect()
        }
    };
    all.sort_by_key(|n| n.to_lowercase());
    all.dedup();
    if all.is_empty() {
        let of = standard.map(|s| format!(" for {s}")).unwrap_or_default();
        return Err(Failure::Error(format!("No agents found{of}")));
    }
    context.lines(&all);
    Ok(())
}

fn all_agents(library: &Library) -> Vec<AgentName> {
    let mut all = library.ocf_agents();
    for class in ["lsb", "service", "systemd"] {
        let named = |kind| AgentName { class: class.into(), provider: None, kind };
        all.extend(library.services(class).into_iter().map(named));
    }
    all
}

pub(super) fn list(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.len() > 1 {
        return Err(Failure::USAGE);
    }
    let filter = words.first().map(|w| w.to_lowercase()).unwrap_or_default();
    let library = Library::new(&context.paths.ocf_dirs);
    let mut lines: Vec<String> = Vec::new();
    for name in all_agents(&library) {
        let text = name.to_string();
        if !text.to_lowercase().contains(&filter) {
            continue;
        }
        let about = match (context.options.has("--nodesc"), name.class.as_str()) {
            (false, "ocf") => library.metadata(&name).map(|m| m.short).unwrap_or_default(),
            _ => String::new(),
        };
        lines.push(if about.is_empty() { text } else { format!("{text} - {about}") });
    }
    if lines.is_empty() {
        return Err(Failure::error(if filter.is_empty() {
            "No resource agents available. Do you have resource agents installed?"
        } else {
            "No resource agents matching the filter."
        }));
    }
    context.lines(&lines);
    Ok(())
}

pub(super) fn describe(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [name] = words else { return Err(Failure::USAGE) };
    describe_agent(context, name)
}

/// Shows what an agent's metadata says.
///
/// # Errors
/// When there is no such agent.
pub fn describe_agent(context: &mut Context<'_>, name: &str) -> Outcome {
    let library = Library::new(&context.paths.ocf_dirs);
    let metadata = library.resolve(name).and_then(|n| library.metadata(&n)).map_err(|error| {
        let near = error.near().map(str::to_string);
        Failure::Issues(vec![Issue { near, ..Issue::new(error.to_string()) }])
    })?;
    let mut lines = vec![match metadata.short.is_empty() {
        true => metadata.name.to_string(),
        false => format!("{} - {}", metadata.name, metadata.short),
    }];
    if !metadata.long.is_empty() {
        lines.extend([String::new(), metadata.long.clone()]);
    }
    let title = if metadata.name.class == "stonith" { "Stonith options:" } else { "Resource options:" };
    if !metadata.parameters.is_empty() {
        lines.extend([String::new(), title.to_string()]);
    }
    for parameter in &metadata.parameters {
        let mut head = format!("  {}", parameter.name);
        if parameter.required {
            head.push_str(" (required)");
        }
        if parameter.unique_group.is_some() {
            head.push_str(" (unique)");
        }
        let about = if parameter.long.is_empty() { &parameter.short } else { &parameter.long };
        let about = if about.is_empty() { "No description available" } else { about };
        lines.push(format!("{head}: {}", about.split_whitespace().collect::<Vec<_>>().join(" ")));
        if let Some(default) = parameter.default.as_deref().filter(|d| !d.is_empty()) {
            lines.push(format!("    Default: {default}"));
        }
    }
    lines.extend([String::new(), "Default operations:".to_string()]);
    for action in metadata.default_operations(false) {
        let interval = action.interval.unwrap_or_else(|| crate::agent::default_interval(&action.name).into());
        lines.push(format!("  {}:", action.name));
        lines.push(format!("    interval={interval}"));
        lines.extend(action.timeout.map(|t| format!("    timeout={t}")));
    }
    context.message(Message::Output(lines.join("\n")));
    Ok(())
}
