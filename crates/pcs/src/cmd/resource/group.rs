//! Groups.

use xml::{Document, NodeId};

use super::{change_and_wait, missing};
use crate::context::Context;
use crate::model::{find, id, resources};
use crate::report::{Failure, Issue, Issues, Outcome, quoted_list};

/// The group with this id, made at the end of the resources when there is none.
///
/// # Errors
/// When the id is malformed or belongs to something else.
pub(super) fn group_or_new(doc: &mut Document, group_id: &str) -> Result<NodeId, Failure> {
    if let Some(found) = find::resource(doc, group_id) {
        if doc.name(found) == "group" {
            return Ok(found);
        }
        return Err(Failure::issue(Issue::new(format!("'{group_id}' is not a group"))));
    }
    if id::exists(doc, group_id) {
        return Err(Failure::issue(Issue::new(format!("'{group_id}' is not a group"))));
    }
    id::validate("group name", group_id).map_err(|e| Failure::issue(Issue::new(e)))?;
    let top = resources(doc);
    Ok(doc.append_with(top, "group", &[("id", group_id)]))
}

pub(super) fn add(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [group_id, members @ ..] = words else { return Err(Failure::USAGE) };
    if members.is_empty() {
        return Err(Failure::USAGE);
    }
    let before = context.options.value("--before").map(str::to_string);
    let after = context.options.value("--after").map(str::to_string);
    if before.is_some() && after.is_some() {
        return Err(Failure::usage("you cannot specify both --before and --after"));
    }
    change_and_wait(context, members, |context, doc| {
        let nodes = members_to_move(context, doc, group_id, members)?;
        let group = group_or_new(doc, group_id)?;
        let anchor = anchor(doc, group, group_id, before.as_deref(), after.as_deref(), &nodes)?;
        for node in nodes {
            let old = doc.parent(node);
            doc.move_to(node, group, anchor);
            if let Some(old) = old.filter(|o| *o != group && doc.name(*o) == "group") {
                drop_if_empty(doc, old);
            }
        }
        Ok(())
    })
}

fn members_to_move(
    context: &mut Context<'_>,
    doc: &Document,
    group_id: &str,
    members: &[String],
) -> Result<Vec<NodeId>, Failure> {
    let mut issues = Issues::default();
    let mut nodes = Vec::new();
    for member in members {
        let Some(node) = find::resource(doc, member) else {
            issues.push(missing(doc, member, ""));
            continue;
        };
        let kind = doc.name(node);
        let outer = doc.parent(node).map_or("", |p| doc.name(p));
        if kind != "primitive" {
            issues.push(Issue::new(format!(
                "'{member}' is a {kind} resource, {kind} resources cannot be put into a group"
            )));
        } else if matches!(outer, "clone" | "master" | "bundle") {
            let outer_id = doc.parent(node).and_then(|p| doc.attr(p, "id")).unwrap_or_default();
            let outer = if outer == "master" { "clone" } else { outer };
            issues.push(Issue::new(format!(
                "'{member}' cannot be put into a group because its parent '{outer_id}' is a {outer} resource"
            )));
        } else if nodes.contains(&node) {
            issues.push(Issue::new(format!("Resources specified more than once: '{member}'")));
        } else {
            nodes.push(node);
        }
    }
    if nodes.is_empty() {
        issues.push(Issue::new(format!(
            "Cannot modify group '{group_id}', no resources to add or remove specified"
        )));
    }
    context.settle(issues)?;
    Ok(nodes)
}

/// The member before which new ones go; none for the end.
fn anchor(
    doc: &Document,
    group: NodeId,
    group_id: &str,
    before: Option<&str>,
    after: Option<&str>,
    moving: &[NodeId],
) -> Result<Option<NodeId>, Failure> {
    let Some(other) = before.or(after) else { return Ok(None) };
    let node = find::resource(doc, other).ok_or_else(|| Failure::issue(missing(doc, other, "")))?;
    if doc.parent(node) != Some(group) {
        return Err(Failure::issue(Issue::new(format!("'{other}' is not in group '{group_id}'"))));
    }
    if moving.contains(&node) {
        return Err(Failure::issue(Issue::new(format!("Cannot put resource '{other}' next to itself"))));
    }
    if before.is_some() {
        return Ok(Some(node));
    }
    let mut next = doc.next_sibling(node);
    while next.is_some_and(|n| moving.contains(&n)) {
        next = next.and_then(|n| doc.next_sibling(n));
    }
    Ok(next)
}

/// A group without members goes, with what refers to it.
pub(super) fn drop_if_empty(doc: &mut Document, group: NodeId) {
    if doc.element(group).children().any(|c| find::is_resource(c.name())) {
        return;
    }
    let id = doc.attr(group, "id").unwrap_or_default().to_string();
    super::remove::drop_mentions(doc, &id);
    let outer = doc.parent(group);
    doc.remove(group);
    if let Some(outer) = outer.filter(|o| matches!(doc.name(*o), "clone" | "master")) {
        let id = doc.attr(outer, "id").unwrap_or_default().to_string();
        super::remove::drop_mentions(doc, &id);
        doc.remove(outer);
    }
}

/// `G: A B`.
pub(super) fn list(context: &mut Context<'_>, _: &[String]) -> Outcome {
    let doc = context.load()?;
    let lines: Vec<String> = find::all(&doc)
        .into_iter()
        .filter(|g| g.name() == "group")
        .map(|g| {
            let members: Vec<&str> = g.children_named("primitive").filter_map(|p| p.attr("id")).collect();
            format!("{}: {}", g.attr("id").unwrap_or_default(), members.join(" "))
        })
        .collect();
    context.lines(&lines);
    Ok(())
}

pub(super) fn remove(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [group_id, members @ ..] = words else { return Err(Failure::USAGE) };
    change_and_wait(context, members, |_, doc| {
        let group = find::resource(doc, group_id)
            .filter(|g| doc.name(*g) == "group")
            .ok_or_else(|| Failure::Error(format!("Group '{group_id}' does not exist")))?;
        let inside: Vec<NodeId> =
            doc.child_elements(group).into_iter().filter(|c| doc.name(*c) == "primitive").collect();
        let absent: Vec<&String> =
            members.iter().filter(|m| !inside.iter().any(|c| doc.attr(*c, "id") == Some(m))).collect();
        if !absent.is_empty() {
            return Err(Failure::Error(format!(
                "Resources {} are not in group '{group_id}'",
                quoted_list(absent)
            )));
        }
        let outer = doc.parent(group).filter(|o| matches!(doc.name(*o), "clone" | "master"));
        let leaving: Vec<NodeId> = inside
            .iter()
            .copied()
            .filter(|c| members.is_empty() || members.iter().any(|m| doc.attr(*c, "id") == Some(m)))
            .collect();
        if outer.is_some() && leaving.len() > 1 && leaving.len() == inside.len() {
            return Err(Failure::error(
                "Cannot remove all resources from a cloned group: clone its members instead",
            ));
        }
        let top = resources(doc);
        for node in leaving {
            doc.move_to(node, top, None);
        }
        drop_if_empty(doc, group);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Message;
    use crate::testing::{cib, dummy, run};

    #[test]
    fn members_come_and_go() {
        let doc = cib(&format!("{}{}{}", dummy("A"), dummy("B"), dummy("C")));
        let (doc, _) = run(&doc, "resource group add G A B").unwrap();
        let (doc, _) = run(&doc, "resource group add G C --before B").unwrap();
        let (_, messages) = run(&doc, "resource group list").unwrap();
        assert_eq!(messages, [Message::Output("G: A C B".into())]);
        let (doc, _) = run(&doc, "resource group remove G A C").unwrap();
        let (doc, _) = run(&doc, "resource group add H B").unwrap();
        assert!(find::resource(&doc, "G").is_none());
        assert!(run(&doc, "resource group add G nope").is_err());
        assert!(run(&doc, "resource group add A B").is_err());
        assert!(run(&doc, "resource group remove G").is_err());
    }
}
