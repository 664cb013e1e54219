//! Ordering constraints: one action waits for another.

use xml::{Document, Element};

use super::location::fresh_id;
use super::{check_resource, of_kind, show};
use crate::context::Context;
use crate::model::{constraints, find, id};
use crate::report::{Failure, Outcome, quoted_list};
use crate::words::{is_boolean, is_score, pair};

const ACTIONS: &[&str] = &["start", "stop", "promote", "demote"];

pub(super) fn order(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let mut rest = words.iter().map(String::as_str).peekable();
    let mut side = || -> Option<(&str, &str)> {
        let first = rest.next()?;
        if ACTIONS.contains(&first) { rest.next().map(|r| (first, r)) } else { Some(("start", first)) }
    };
    let (first_action, first) = side().ok_or(Failure::USAGE)?;
    if rest.next() != Some("then") {
        return Err(Failure::USAGE);
    }
    let mut side = || -> Option<(&str, &str)> {
        let first = rest.next()?;
        if ACTIONS.contains(&first) { rest.next().map(|r| (first, r)) } else { Some(("start", first)) }
    };
    let (then_action, then) = side().ok_or(Failure::USAGE)?;
    let options: Vec<&str> = rest.collect();
    if options.contains(&"then") {
        return Err(Failure::Usage {
            message: Some("Multiple 'then's cannot be specified.".into()),
            hint: Some(
                "Use the 'pcs constraint order set' command if you want to create a constraint for more \
                 than two resources."
                    .into(),
            ),
        });
    }
    add(context, (first_action, first), (then_action, then), &options)
}

fn add(
    context: &mut Context<'_>,
    (first_action, first): (&str, &str),
    (then_action, then): (&str, &str),
    words: &[&str],
) -> Outcome {
    let mut symmetrical = None;
    let mut options: Vec<(&str, String)> = Vec::new();
    for word in words {
        match *word {
            "symmetrical" => symmetrical = Some("true".to_string()),
            "nonsymmetrical" => symmetrical = Some("false".to_string()),
            _ => {
                let (name, value) = pair(word)?;
                if value.is_empty() {
                    return Err(Failure::usage(format!("value of '{name}' option is empty")));
                }
                check_option(context, name, value)?;
                if name == "symmetrical" {
                    symmetrical = Some(value.to_lowercase());
                } else {
                    options.push((name, value.to_string()));
                }
            }
        }
    }
    options.push(("first-action", first_action.to_string()));
    options.push(("then-action", then_action.to_string()));
    if let Some(value) = symmetrical {
        options.push(("symmetrical", value));
    }
    context.change(|context, doc| {
        write(context, doc, first, then, &options)?;
        let shown: Vec<String> = options
            .iter()
            .filter(|(name, _)| !matches!(*name, "kind" | "score"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let (label, _) = kind(&options);
        context.info(format!("Adding {first} {then} ({label}) (Options: {})", shown.join(" ")));
        Ok(())
    })
}

fn check_option(context: &Context<'_>, name: &str, value: &str) -> Outcome {
    let wrong = |allowed: &[&str]| {
        Err(Failure::Error(format!(
            "invalid {name} value '{value}', allowed values are: {}",
            allowed.join(", ")
        )))
    };
    match name {
        "symmetrical" if !["true", "false"].contains(&value.to_lowercase().as_str()) => {
            wrong(&["true", "false"])
        }
        "kind" if !["Optional", "Mandatory", "Serialize"].contains(&value) => {
            wrong(&["Optional", "Mandatory", "Serialize"])
        }
        "require-all" if !is_boolean(value) => wrong(&["true", "false"]),
        "score" if !is_score(value) => {
            Err(Failure::Error(format!("invalid score '{value}', use integer or INFINITY or -INFINITY")))
        }
        "symmetrical" | "kind" | "require-all" | "score" | "id" => Ok(()),
        _ if context.force() => Ok(()),
        other => Err(Failure::Error(format!(
            "invalid option '{other}', allowed options are: {}, use --force to override",
            quoted_list(["id", "kind", "require-all", "score", "symmetrical"])
        ))),
    }
}

/// Label and id suffix that tell how strict the order is.
fn kind(options: &[(&str, String)]) -> (String, String) {
    match options.iter().find(|(name, _)| matches!(*name, "score" | "kind")) {
        Some((name, value)) => (format!("{name}: {value}"), value.clone()),
        None => ("kind: Mandatory".into(), "mandatory".into()),
    }
}

fn write(
    context: &Context<'_>,
    doc: &mut Document,
    first: &str,
    then: &str,
    options: &[(&str, String)],
) -> Outcome {
    check_resource(context, doc, first)?;
    check_resource(context, doc, then)?;
    if same_group(doc, first, then) {
        return Err(Failure::error("Cannot create an order constraint for resources in the same group"));
    }
    let constraint_id = match options.iter().find(|(name, _)| *name == "id") {
        Some((_, given)) => fresh_id(doc, "constraint id", given)?,
        None => id::unique(doc, &format!("order-{first}-{then}-{}", kind(options).1)),
    };
    let top = constraints(doc);
    let element = doc.append_with(top, "rsc_order", &[("first", first), ("then", then)]);
    for (name, value) in options.iter().filter(|(name, _)| *name != "id") {
        doc.set_attr(element, name, value);
    }
    doc.set_attr(element, "id", &constraint_id);
    let normal = |c: Element<'_>| {
        let text = |name: &str, default: &str| c.attr(name).unwrap_or(default).to_lowercase();
        (text("first", ""), text("then", ""), text("first-action", "start"), text("then-action", "start"))
    };
    let own = normal(doc.element(element));
    let doubles: Vec<String> = of_kind(doc, "rsc_order")
        .into_iter()
        .filter(|c| c.id() != element && c.child("resource_set").is_none() && normal(*c) == own)
        .map(|c| format!("  {}", show::order_line(c, true)))
        .collect();
    if !doubles.is_empty() && !context.force() {
        return Err(Failure::Error(format!(
            "duplicate constraint already exists, use --force to override\n{}",
            doubles.join("\n")
        )));
    }
    Ok(())
}

/// Members of one group are ordered already.
pub(super) fn same_group(doc: &Document, a: &str, b: &str) -> bool {
    let group =
        |id: &str| find::resource(doc, id).and_then(|r| doc.parent(r)).filter(|p| doc.name(*p) == "group");
    group(a).is_some_and(|g| group(b) == Some(g))
}

pub(super) fn delete(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::USAGE);
    }
    context.change(|_, doc| {
        let mut found = false;
        for resource in words {
            let top = constraints(doc);
            for order in doc.child_elements(top) {
                if doc.name(order) != "rsc_order" {
                    continue;
                }
                if doc.attr(order, "first") == Some(resource) || doc.attr(order, "then") == Some(resource) {
                    doc.remove(order);
                    found = true;
                } else {
                    found |= crate::model::find::drop_references(doc, order, resource);
                }
            }
        }
        if found { Ok(()) } else { Err(Failure::error("No matching resources found in ordering list")) }
    })
}
