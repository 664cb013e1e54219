//! `pcs resource op`: operations of a resource.

use xml::{Document, NodeId};

use crate::agent::{OPERATION_ATTRIBUTES, default_interval};
use crate::context::Context;
use crate::model::{find, id, nvset, role};
use crate::report::{Failure, Outcome};
use crate::router::Command;
use crate::words::{self, Pairs, seconds};

pub const COMMANDS: &[Command] = &[
    Command {
        path: "resource op add",
        synopsis: "<resource> <action> [<name>=<value>]...",
        about: "Add an operation to a resource.",
        options: &["-f", "--force"],
        run: add,
    },
    Command {
        path: "resource op delete",
        synopsis: "<resource> <action> [<name>=<value>]... | <operation id>",
        about: "Remove an operation. Action and properties must match exactly; with the action \
                alone all operations of that name go.",
        options: &["-f"],
        run: delete,
    },
    Command {
        path: "resource op remove",
        synopsis: "<resource> <action> [<name>=<value>]... | <operation id>",
        about: "Remove an operation.",
        options: &["-f"],
        run: delete,
    },
];

fn add(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [resource, action, rest @ ..] = words else { return Err(Failure::USAGE) };
    let options = words::pairs(rest)?;
    context.change(|context, doc| insert(context, doc, resource, action, &options, true, None).map(|_| ()))
}

/// Adds one operation. `strict` refuses a second operation of the same name without `--force`.
///
/// # Errors
/// For unknown resources and options, or when there is such an operation already.
pub fn insert(
    context: &Context<'_>,
    doc: &mut Document,
    resource: &str,
    action: &str,
    options: &Pairs,
    strict: bool,
    before: Option<NodeId>,
) -> Result<NodeId, Failure> {
    let found = find::resource(doc, resource)
        .filter(|r| doc.name(*r) == "primitive")
        .ok_or_else(|| Failure::Error(format!("Unable to find resource: {resource}")))?;
    if action.contains('=') {
        return Err(Failure::Error(format!("{action} does not appear to be a valid operation action")));
    }
    check(context, options)?;
    let interval = options.value("interval").unwrap_or(default_interval(action)).to_string();
    let operations = match doc.child(found, "operations") {
        Some(operations) => operations,
        None => doc.append(found, "operations"),
    };
    existing(context, doc, operations, resource, action, &interval, options.value("role"), strict)?;
    let op_id = match options.value("id") {
        Some(given) => {
            id::validate("operation id", given).map_err(Failure::Error)?;
            if id::exists(doc, given) {
                let text = format!("id '{given}' is already in use, please specify another one");
                return Err(Failure::Error(text));
            }
            given.to_string()
        }
        None => id::unique(doc, &format!("{resource}-{action}-interval-{interval}")),
    };
    let mut all = options.clone();
    all.set("interval", &interval);
    let element = doc.append_with(operations, "op", &[("id", &op_id), ("name", action)]);
    let new_roles = role::new_names(doc);
    for (name, value) in all.sorted() {
        match name {
            "id" | "OCF_CHECK_LEVEL" | "name" => {}
            "role" => doc.set_attr(element, name, role::for_cib(value, new_roles)),
            _ => doc.set_attr(element, name, value),
        }
    }
    if let Some(level) = options.value("OCF_CHECK_LEVEL") {
        let set_id = id::unique(doc, &format!("params-{op_id}"));
        let set = nvset::append_with_id(doc, element, "instance_attributes", &set_id, &[]);
        let pair_id = id::unique(doc, &format!("{op_id}-OCF_CHECK_LEVEL-{level}"));
        doc.append_with(set, "nvpair", &[("name", "OCF_CHECK_LEVEL"), ("value", level), ("id", &pair_id)]);
    }
    if before.is_some() {
        doc.move_to(element, operations, before);
    }
    Ok(element)
}

fn check(context: &Context<'_>, options: &Pairs) -> Outcome {
    if context.force() {
        return Ok(());
    }
    for (name, value) in options.iter() {
        if !OPERATION_ATTRIBUTES.contains(&name) {
            return Err(Failure::Error(format!("{name} is not a valid op option (use --force to override)")));
        }
        if name == "role" && !role::ALL.contains(&value) {
            let mut roles = role::ALL.to_vec();
            roles.sort_unstable();
            let quoted: Vec<String> = roles.iter().map(|r| format!("'{r}'")).collect();
            let (last, rest) = quoted.split_last().map_or(("", &[] as &[String]), |(l, r)| (l.as_str(), r));
            return Err(Failure::Error(format!(
                "role must be: {} or {last} (use --force to override)",
                rest.join(", ")
            )));
        }
    }
    Ok(())
}

#[allow(clippy::too_many_arguments)] // one check over all parts of an operation's identity
fn existing(
    context: &Context<'_>,
    doc: &Document,
    operations: NodeId,
    resource: &str,
    action: &str,
    interval: &str,
    role_given: Option<&str>,
    strict: bool,
) -> Outcome {
    let named: Vec<_> =
        doc.element(operations).children_named("op").filter(|o| o.attr("name") == Some(action)).collect();
    let same_role = |o: &xml::Element<'_>| o.attr("role").map(role::primary) == role_given.map(role::primary);
    let same_time: Vec<String> = named
        .iter()
        .filter(|o| seconds(o.attr("interval").unwrap_or("0")) == seconds(interval) && same_role(o))
        .map(|o| text(*o))
        .collect();
    if !same_time.is_empty() {
        return Err(Failure::Error(format!(
            "operation {action} with interval {}s already specified for {resource}:\n{}",
            seconds(interval).unwrap_or(0),
            same_time.join("\n")
        )));
    }
    if strict && !context.force() && !named.is_empty() {
        let list: Vec<String> = named.into_iter().map(text).collect();
        return Err(Failure::Error(format!(
            "operation {action} already specified for {resource}, use --force to override:\n{}",
            list.join("\n")
        )));
    }
    Ok(())
}

/// `monitor interval=60s (A-monitor-interval-60s)`.
fn text(operation: xml::Element<'_>) -> String {
    let mut parts = vec![operation.attr("name").unwrap_or_default().to_string()];
    let mut list: Vec<String> = operation
        .attrs()
        .filter(|(n, _)| !matches!(*n, "id" | "name"))
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    list.sort();
    parts.extend(list);
    parts.push(format!("({})", operation.attr("id").unwrap_or_default()));
    parts.join(" ")
}

fn delete(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [resource, rest @ ..] = words else { return Err(Failure::USAGE) };
    context.change(|_, doc| match rest {
        [] => {
            let found = find::all(doc)
                .into_iter()
                .flat_map(|r| r.descendants())
                .find(|o| o.name() == "op" && o.attr("id") == Some(resource))
                .map(xml::Element::id);
            match found {
                Some(op) => {
                    doc.remove(op);
                    Ok(())
                }
                None => Err(Failure::Error(format!("unable to find operation id: {resource}"))),
            }
        }
        [action, options @ ..] => remove_matching(doc, resource, action, &words::pairs(options)?),
    })
}

fn remove_matching(doc: &mut Document, resource: &str, action: &str, options: &Pairs) -> Outcome {
    let found = find::resource(doc, resource)
        .filter(|r| doc.name(*r) == "primitive")
        .ok_or_else(|| Failure::Error(format!("Unable to find resource: {resource}")))?;
    let wanted = options.sorted();
    let matching: Vec<NodeId> = doc
        .element(found)
        .descendants()
        .filter(|o| o.name() == "op" && o.attr("name") == Some(action))
        .filter(|o| {
            let mut own: Vec<(&str, &str)> =
                o.attrs().filter(|(n, _)| !matches!(*n, "id" | "name")).collect();
            own.sort_unstable();
            wanted.is_empty() || own == wanted
        })
        .map(xml::Element::id)
        .collect();
    if matching.is_empty() {
        let mut words = vec![action.to_string()];
        words.extend(options.iter().map(|(n, v)| format!("{n}={v}")));
        return Err(Failure::Error(format!("Unable to find operation matching: {}", words.join(" "))));
    }
    let count = if wanted.is_empty() { matching.len() } else { 1 };
    matching.into_iter().take(count).for_each(|op| doc.remove(op));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{cib, dummy, run};

    #[test]
    fn add_and_delete() {
        let doc = cib(&dummy("A"));
        let (doc, _) = run(&doc, "resource op add A monitor interval=44 timeout=5").unwrap();
        assert!(
            doc.to_text().contains(
                "<op id=\"A-monitor-interval-44\" name=\"monitor\" interval=\"44\" timeout=\"5\"/>"
            )
        );
        assert!(run(&doc, "resource op add A monitor interval=45").is_err());
        assert!(run(&doc, "resource op add A monitor interval=44s --force").is_err());
        let (doc, _) = run(&doc, "resource op add A monitor interval=45 --force").unwrap();
        assert!(run(&doc, "resource op delete A monitor interval=44").is_err());
        let (doc, _) = run(&doc, "resource op delete A monitor interval=44 timeout=5").unwrap();
        let (doc, _) = run(&doc, "resource op remove A-monitor-interval-45").unwrap();
        assert!(!doc.to_text().contains("<op "));
    }
}
