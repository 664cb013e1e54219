//! `pcs node`: standby, maintenance, attributes.

use xml::Document;

use crate::context::Context;
use crate::model::{nodes, nvset};
use crate::report::{Failure, Issue, Message, Outcome, nearest};
use crate::router::Command;
use crate::words;

const SWITCH: &[&str] = &["-f", "--wait", "--all"];

pub const COMMANDS: &[Command] = &[
    Command {
        path: "node attribute",
        synopsis: "[[<node>] [--name <name>] | <node> <name>=<value> ...]",
        about: "Show the attributes of all nodes, of one node, or one attribute of all nodes; or \
                set attributes of a node. An empty value removes an attribute.",
        options: &["-f", "--force", "--name"],
        run: attribute,
    },
    Command {
        path: "node maintenance",
        synopsis: "[--all | <node>...] [--wait[=n]]",
        about: "Leave everything on the nodes as it is: the cluster neither starts nor stops nor \
                watches anything there. Without a node: this one. With --wait, wait up to n seconds \
                until the cluster has settled.",
        options: SWITCH,
        run: maintenance,
    },
    Command {
        path: "node unmaintenance",
        synopsis: "[--all | <node>...] [--wait[=n]]",
        about: "End maintenance of the nodes, without a node: of this one.",
        options: SWITCH,
        run: unmaintenance,
    },
    Command {
        path: "node standby",
        synopsis: "[--all | <node>...] [--wait[=n]]",
        about: "Move everything away from the nodes and keep them free of resources. Without a node: \
                this one. With --wait, wait up to n seconds until the cluster has settled.",
        options: SWITCH,
        run: standby,
    },
    Command {
        path: "node unstandby",
        synopsis: "[--all | <node>...] [--wait[=n]]",
        about: "Let the nodes run resources again, without a node: this one.",
        options: SWITCH,
        run: unstandby,
    },
    Command {
        path: "node utilization",
        synopsis: "[[<node>] [--name <name>] | <node> <name>=<value> ...]",
        about: "Show or set what the nodes have to offer (see placement-strategy). An empty value \
                removes an entry.",
        options: &["-f", "--name"],
        run: utilization,
    },
];

fn standby(context: &mut Context<'_>, words: &[String]) -> Outcome {
    switch(context, words, "standby", true)
}

fn unstandby(context: &mut Context<'_>, words: &[String]) -> Outcome {
    switch(context, words, "standby", false)
}

fn maintenance(context: &mut Context<'_>, words: &[String]) -> Outcome {
    switch(context, words, "maintenance", true)
}

fn unmaintenance(context: &mut Context<'_>, words: &[String]) -> Outcome {
    switch(context, words, "maintenance", false)
}

fn switch(context: &mut Context<'_>, words: &[String], name: &str, on: bool) -> Outcome {
    let all = context.options.has("--all");
    if all && !words.is_empty() {
        return Err(Failure::usage("Cannot specify both --all and a list of nodes."));
    }
    let wait = context.wait_limit()?;
    let local = if words.is_empty() && !all { Some(context.local_node()?) } else { None };
    context.change(|context, doc| {
        let wanted: Vec<String> = match &local {
            Some(local) => vec![local.clone()],
            None if all => {
                nodes::elements(doc).iter().filter_map(|n| n.attr("uname").map(str::to_string)).collect()
            }
            None => words.to_vec(),
        };
        known_nodes(context, doc, &wanted)?;
        for node in &wanted {
            let element = node_or_new(doc, node);
            let value = if on { "on" } else { "" };
            nodes::set_attribute(doc, element, name, value);
        }
        Ok(())
    })?;
    context.settle_wait(wait)
}

/// `<node>` of this name; made for remote nodes that have none yet.
fn node_or_new(doc: &mut Document, name: &str) -> xml::NodeId {
    if let Some(found) = nodes::by_name(doc, name) {
        return found;
    }
    let section = crate::model::section(doc, "nodes");
    doc.append_with(section, "node", &[("id", name), ("type", "remote"), ("uname", name)])
}

/// Fails, naming every unknown node.
fn known_nodes(context: &mut Context<'_>, doc: &Document, wanted: &[String]) -> Outcome {
    let known = nodes::names(doc);
    let missing: Vec<&String> = wanted.iter().filter(|n| !known.contains(n)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for node in missing {
        context.message(Message::Error(format!("Node '{node}' does not appear to exist in configuration")));
        if let Some(near) = nearest(node, known.iter().map(String::as_str)) {
            context.info(format!("Hint: did you mean '{near}'?"));
        }
    }
    Err(Failure::Exit(1))
}

fn attribute(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let filter = context.options.value("--name").map(str::to_string);
    if filter.is_some() && words.len() > 1 {
        return Err(Failure::USAGE);
    }
    let Some((node, pairs)) = words.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        let doc = context.load()?;
        let lines = attribute_lines(&doc, words.first().map(String::as_str), filter.as_deref());
        context.output(lines.join("\n"));
        return Ok(());
    };
    let pairs = words::pairs(pairs)?;
    context.change(|context, doc| {
        let Some(element) = nodes::by_name(doc, node) else {
            let name = pairs.iter().next().map_or("", |(name, _)| name);
            context.message(Message::Error(format!(
                "unable to set attribute {name}\ncrm_attribute: Could not map name={node} to a UUID\n"
            )));
            if let Some(near) = nearest(node, nodes::names(doc).iter().map(String::as_str)) {
                context.info(format!("Hint: did you mean '{near}'?"));
            }
            return Err(Failure::Exit(1));
        };
        for (name, value) in pairs.iter() {
            nodes::set_attribute(doc, element, name, value);
        }
        Ok(())
    })
}

/// `Node Attributes:` with a line per node that has some.
pub fn attribute_lines(doc: &Document, node: Option<&str>, name: Option<&str>) -> Vec<String> {
    set_lines(doc, "Node Attributes:", "instance_attributes", node, name)
}

fn set_lines(doc: &Document, title: &str, kind: &str, node: Option<&str>, name: Option<&str>) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for element in nodes::elements(doc) {
        let uname = element.attr("uname").unwrap_or_default();
        if node.is_some_and(|wanted| wanted != uname) {
            continue;
        }
        let pairs: Vec<String> = element
            .children()
            .filter(|set| set.name() == kind)
            .flat_map(nvset::pairs)
            .filter(|(n, _)| name.is_none_or(|wanted| wanted == n))
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        if !pairs.is_empty() {
            rows.push(format!(" {uname}: {}", pairs.join(" ")));
        }
    }
    rows.sort();
    std::iter::once(title.to_string()).chain(rows).collect()
}

fn utilization(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let filter = context.options.value("--name").map(str::to_string);
    if filter.is_some() && words.len() > 1 {
        return Err(Failure::USAGE);
    }
    let Some((node, pairs)) = words.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        let doc = context.load()?;
        let node = words.first().map(String::as_str);
        if let Some(node) = node
            && nodes::by_name(&doc, node).is_none()
        {
            return Err(Failure::Error(format!("Unable to find a node: {node}")));
        }
        let lines = set_lines(&doc, "Node Utilization:", "utilization", node, filter.as_deref());
        context.output(lines.join("\n"));
        return Ok(());
    };
    let pairs = words::pairs(pairs)?;
    check_utilization(pairs.iter())?;
    context.change(|_, doc| {
        let element = nodes::by_name(doc, node)
            .ok_or_else(|| Failure::Error(format!("Unable to find a node: {node}")))?;
        let list: Vec<(&str, &str)> = pairs.iter().collect();
        if doc.child(element, "utilization").is_none() {
            let id = format!("nodes-{}-utilization", doc.attr(element, "id").unwrap_or_default());
            let id = crate::model::id::unique(doc, &id);
            nvset::append_with_id(doc, element, "utilization", &id, &[]);
        }
        nvset::update(doc, element, "utilization", &list);
        Ok(())
    })
}

/// Utilization values are integers.
///
/// # Errors
/// Naming the first value that is none.
pub fn check_utilization<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Outcome {
    for (name, value) in pairs {
        if !value.is_empty() && value.parse::<i64>().is_err() {
            return Err(Failure::Error(format!(
                "Value of utilization attribute must be integer: '{name}={value}'"
            )));
        }
    }
    Ok(())
}

/// The complaint about a node that does not exist.
pub fn unknown_node(doc: &Document, node: &str) -> Issue {
    let known = nodes::names(doc);
    Issue::new(format!("Node '{node}' does not appear to exist in configuration"))
        .meant(node, known.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cib, run};

    #[test]
    fn standby_and_back() {
        let (doc, _) = run(&cib(""), "node standby nodo2.example.com").unwrap();
        let node = nodes::elements(&doc)[1];
        assert!(nodes::flag(node, "standby"));
        assert!(doc.to_text().contains(
            "<instance_attributes id=\"nodes-2\"><nvpair id=\"nodes-2-standby\" name=\"standby\" value=\"on\"/>"
        ));
        let (doc, _) = run(&doc, "node unstandby --all").unwrap();
        assert!(!nodes::flag(nodes::elements(&doc)[1], "standby"));
    }

    #[test]
    fn unknown_nodes_are_refused() {
        assert_eq!(run(&cib(""), "node standby nodo9").unwrap_err(), Failure::Exit(1));
        assert_eq!(run(&cib(""), "node attribute nodo9 a=b").unwrap_err(), Failure::Exit(1));
    }

    #[test]
    fn attributes_are_shown() {
        let (doc, _) = run(&cib(""), "node attribute nodo1.example.com b=2 a=1").unwrap();
        let (_, messages) = run(&doc, "node attribute").unwrap();
        assert_eq!(messages, [Message::Output("Node Attributes:\n nodo1.example.com: a=1 b=2".into())]);
    }
}
