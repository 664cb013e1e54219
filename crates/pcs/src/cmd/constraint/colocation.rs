//! Colocation constraints: a resource follows or shuns another.

use xml::{Document, Element};

use super::location::fresh_id;
use super::{check_resource, of_kind, show};
use crate::context::Context;
use crate::model::{constraints, id, role};
use crate::report::{Failure, Outcome, quoted_list};
use crate::words::{is_score, pair};

pub(super) fn add(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let at = words.iter().position(|w| w == "with").ok_or(Failure::USAGE)?;
    let (left, right) = (words.get(..at).unwrap_or_default(), words.get(at + 1..).unwrap_or_default());
    if right.iter().any(|w| w == "with") {
        return Err(Failure::Usage {
            message: Some("Multiple 'with's cannot be specified.".into()),
            hint: Some(
                "Use the 'pcs constraint colocation set' command if you want to create a constraint for \
                 more than two resources."
                    .into(),
            ),
        });
    }
    let (first_role, first) = match left {
        [resource] => (None, resource),
        [role, resource] => (Some(role), resource),
        _ => return Err(Failure::USAGE),
    };
    let (second_role, second, rest) = match right {
        [resource] => (None, resource, &[] as &[String]),
        [resource, next, ..] if is_score(next) || next.contains('=') => {
            (None, resource, right.get(1..).unwrap_or_default())
        }
        [role, resource, rest @ ..] => (Some(role), resource, rest),
        [] => return Err(Failure::USAGE),
    };
    let (score, options) = match rest.split_first() {
        Some((first, others)) if !first.contains('=') => (first.as_str(), others),
        _ => ("INFINITY", rest),
    };
    if !is_score(score) {
        return Err(Failure::Error(format!("invalid score '{score}', use integer or INFINITY or -INFINITY")));
    }
    context.change(|context, doc| {
        let roles = [checked_role(doc, first_role)?, checked_role(doc, second_role)?];
        write(context, doc, (first, second), roles, score, options)
    })
}

fn checked_role(doc: &Document, given: Option<&String>) -> Result<Option<String>, Failure> {
    let Some(given) = given else { return Ok(None) };
    let normal = role::capitalize(given);
    if !role::ALL.contains(&normal.as_str()) {
        return Err(Failure::Error(format!(
            "invalid role value '{given}', allowed values are: {}",
            quoted_list(role::ALL)
        )));
    }
    Ok(Some(role::for_cib(&normal, role::new_names(doc)).to_string()))
}

fn write(
    context: &Context<'_>,
    doc: &mut Document,
    (first, second): (&str, &str),
    mut roles: [Option<String>; 2],
    score: &str,
    words: &[String],
) -> Outcome {
    check_resource(context, doc, first)?;
    check_resource(context, doc, second)?;
    let mut options = Vec::new();
    let mut chosen = None;
    for word in words {
        let (name, value) = pair(word)?;
        if name == "id" {
            chosen = Some(fresh_id(doc, "constraint id", value)?);
        } else {
            options.push((name, value));
        }
    }
    let constraint_id =
        chosen.unwrap_or_else(|| id::unique(doc, &format!("colocation-{first}-{second}-{score}")));
    // With one role given the other one is that of a running resource.
    if roles.iter().any(Option::is_some) {
        roles = roles.map(|r| r.or_else(|| Some("Started".to_string())));
    }
    let top = constraints(doc);
    let element =
        doc.append_with(top, "rsc_colocation", &[("rsc", first), ("with-rsc", second), ("score", score)]);
    for (name, value) in ["rsc-role", "with-rsc-role"].iter().zip(&roles) {
        if let Some(value) = value {
            doc.set_attr(element, name, value);
        }
    }
    for (name, value) in options {
        doc.set_attr(element, name, value);
    }
    doc.set_attr(element, "id", &constraint_id);
    let normal = |c: Element<'_>| {
        let role =
            |name: &str| role::primary(&role::capitalize(c.attr(name).unwrap_or("Started"))).to_string();
        let text = |name: &str| c.attr(name).unwrap_or_default().to_string();
        (text("rsc"), text("with-rsc"), role("rsc-role"), role("with-rsc-role"))
    };
    let own = normal(doc.element(element));
    let doubles: Vec<String> = of_kind(doc, "rsc_colocation")
        .into_iter()
        .filter(|c| c.id() != element && c.child("resource_set").is_none() && normal(*c) == own)
        .map(|c| format!("  {}", show::colocation_line(c, true)))
        .collect();
    if !doubles.is_empty() && !context.force() {
        return Err(Failure::Error(format!(
            "duplicate constraint already exists, use --force to override\n{}",
            doubles.join("\n")
        )));
    }
    Ok(())
}

pub(super) fn delete(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [first, second, ..] = words else { return Err(Failure::USAGE) };
    context.change(|_, doc| {
        let top = constraints(doc);
        let mut found = false;
        for constraint in doc.child_elements(top) {
            let ends = (doc.attr(constraint, "rsc"), doc.attr(constraint, "with-rsc"));
            if doc.name(constraint) == "rsc_colocation"
                && (ends == (Some(first), Some(second)) || ends == (Some(second), Some(first)))
            {
                doc.remove(constraint);
                found = true;
            }
        }
        if found { Ok(()) } else { Err(Failure::error("No matching resources found in ordering list")) }
    })
}
