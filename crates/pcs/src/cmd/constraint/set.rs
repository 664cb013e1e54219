//! Constraints over sets of resources.

use xml::Document;

use super::check_resource;
use super::location::fresh_id;
use super::order::same_group;
use crate::context::Context;
use crate::model::{constraints, id, role};
use crate::report::{Failure, Issue, Outcome, quoted_list};
use crate::words::{Pairs, is_boolean, is_score, pairs};

/// One set: its resources and its options.
struct Set {
    resources: Vec<String>,
    options: Pairs,
}

pub(super) fn order(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let (sets, options) = parse(words)?;
    check_options(&sets, &["action", "require-all", "role", "sequential"])?;
    check_constraint(&options, &["id", "kind", "symmetrical"])?;
    context.change(|context, doc| {
        for set in &sets {
            let members = &set.resources;
            let crowded = members
                .iter()
                .enumerate()
                .any(|(i, a)| members.iter().skip(i + 1).any(|b| same_group(doc, a, b)));
            if crowded {
                return Err(Failure::error(
                    "Cannot create an order constraint for resources in the same group",
                ));
            }
        }
        write(context, doc, "rsc_order", "order_set", &sets, &options)
    })
}

pub(super) fn colocation(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let (sets, mut options) = parse(words)?;
    check_options(&sets, &["action", "require-all", "role", "sequential"])?;
    check_constraint(&options, &["id", "score"])?;
    if !options.has("score") {
        options.set("score", "INFINITY");
    }
    context.change(|context, doc| write(context, doc, "rsc_colocation", "colocation_set", &sets, &options))
}

fn parse(words: &[String]) -> Result<(Vec<Set>, Pairs), Failure> {
    let (head, tail) = match words.iter().position(|w| w == "setoptions") {
        Some(at) => (words.get(..at).unwrap_or_default(), words.get(at + 1..).unwrap_or_default()),
        None => (words, &[] as &[String]),
    };
    let mut sets = Vec::new();
    for part in head.split(|w| w == "set") {
        let resources: Vec<String> = part.iter().take_while(|w| !w.contains('=')).cloned().collect();
        let options = pairs(part.get(resources.len()..).unwrap_or_default())?;
        if resources.is_empty() {
            return Err(Failure::USAGE);
        }
        sets.push(Set { resources, options });
    }
    let members: usize = sets.iter().map(|s| s.resources.len()).sum();
    if members < 2 {
        return Err(Failure::error("At least two resources are needed in the sets of a constraint"));
    }
    Ok((sets, pairs(tail)?))
}

fn check_options(sets: &[Set], allowed: &[&str]) -> Outcome {
    for set in sets {
        for (name, value) in set.options.iter() {
            let fits = match name {
                "sequential" | "require-all" => is_boolean(value),
                "action" => ["start", "stop", "promote", "demote"].contains(&value),
                "role" => role::ALL.contains(&role::capitalize(value).as_str()),
                _ => {
                    return Err(Failure::issue(Issue::new(format!(
                        "invalid set option '{name}', allowed options are: {}",
                        quoted_list(allowed)
                    ))));
                }
            };
            if !fits {
                return Err(Failure::issue(Issue::new(format!("'{value}' is not a valid {name} value"))));
            }
        }
    }
    Ok(())
}

fn check_constraint(options: &Pairs, allowed: &[&str]) -> Outcome {
    for (name, value) in options.iter() {
        let fits = match name {
            _ if !allowed.contains(&name) => {
                return Err(Failure::issue(Issue::new(format!(
                    "invalid option '{name}', allowed options are: {}",
                    quoted_list(allowed)
                ))));
            }
            "score" => is_score(value),
            "kind" => ["Optional", "Mandatory", "Serialize"].contains(&value),
            "symmetrical" => is_boolean(value),
            _ => true,
        };
        if !fits {
            return Err(Failure::issue(Issue::new(format!("'{value}' is not a valid {name} value"))));
        }
    }
    Ok(())
}

fn write(
    context: &Context<'_>,
    doc: &mut Document,
    element: &str,
    prefix: &str,
    sets: &[Set],
    options: &Pairs,
) -> Outcome {
    for resource in sets.iter().flat_map(|s| &s.resources) {
        check_resource(context, doc, resource).map_err(|failure| match failure {
            // Sets say the same in their own words.
            Failure::Error(text) => {
                Failure::Error(text.replace(". Use --force to override.", ", use --force to override"))
            }
            other => other,
        })?;
    }
    let constraint_id = match options.value("id") {
        Some(given) => fresh_id(doc, "constraint id", given)?,
        None => id::unique(doc, &format!("{prefix}_{}", initials(sets))),
    };
    let top = constraints(doc);
    let constraint = doc.append(top, element);
    for (name, value) in options.iter().filter(|(name, _)| *name != "id") {
        doc.set_attr(constraint, name, value);
    }
    doc.set_attr(constraint, "id", &constraint_id);
    let new_roles = role::new_names(doc);
    for set in sets {
        let set_id = id::unique(doc, &format!("{constraint_id}_set"));
        let node = doc.append(constraint, "resource_set");
        for (name, value) in set.options.iter() {
            let value = match name {
                "role" => role::for_cib(&role::capitalize(value), new_roles).to_string(),
                _ => value.to_string(),
            };
            doc.set_attr(node, name, &value);
        }
        doc.set_attr(node, "id", &set_id);
        for resource in &set.resources {
            doc.append_with(node, "resource_ref", &[("id", resource)]);
        }
    }
    Ok(())
}

/// First and last letters of the first three resources, as generated ids have them.
fn initials(sets: &[Set]) -> String {
    sets.iter()
        .flat_map(|s| &s.resources)
        .take(3)
        .flat_map(|r| r.chars().next().into_iter().chain(r.chars().last()))
        .collect()
}
