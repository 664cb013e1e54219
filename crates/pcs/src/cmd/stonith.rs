//! `pcs stonith`: fence devices and fencing levels.

use xml::{Document, Element};

use super::resource::{self, NewPrimitive, remove_resource};
use crate::agent::{AgentName, Library};
use crate::context::Context;
use crate::model::{find, id, section};
use crate::report::{Failure, Issue, Outcome};
use crate::router::Command;
use crate::words::{self, groups, joined};

pub const COMMANDS: &[Command] = &[
    Command {
        path: "stonith config",
        synopsis: "[<stonith id>]...",
        about: "Show the options of all fence devices, or of those named.",
        options: &["-f", "--output-format"],
        run: config,
    },
    Command {
        path: "stonith list",
        synopsis: "[filter] [--nodesc]",
        about: "Show the fence agents that are installed.",
        options: &["--nodesc"],
        run: list,
    },
    Command {
        path: "stonith describe",
        synopsis: "<stonith agent> [--full]",
        about: "Show the options of a fence agent.",
        options: &["--full"],
        run: describe,
    },
    Command {
        path: "stonith create",
        synopsis: "<stonith id> <stonith device type> [stonith device options] [op <operation action> \
                   <operation options>...] [meta <meta options>...] [--disabled] [--wait[=n]]",
        about: "Create a fence device.",
        options: &["-f", "--force", "--disabled", "--wait", "--agent-validation"],
        run: create,
    },
    Command {
        path: "stonith delete",
        synopsis: "<stonith id>",
        about: "Stop and remove a fence device.",
        options: &["-f", "--force"],
        run: |c, w| match w {
            [id] => remove_resource(c, id, "Resource"),
            _ => Err(Failure::USAGE),
        },
    },
    Command {
        path: "stonith level config",
        synopsis: "",
        about: "Show fencing levels.",
        options: &["-f"],
        run: |c, _| {
            let doc = c.load()?;
            let lines = level_lines(&doc);
            c.lines(&lines);
            Ok(())
        },
    },
    Command {
        path: "stonith level add",
        synopsis: "<level> <target> <stonith id> [stonith id]...",
        about: "Let devices fence a target at a level: lower levels are tried first, all devices of a \
                level must succeed. The target is a node, regexp%<pattern>, or attrib%<name>=<value>.",
        options: &["-f", "--force"],
        run: level_add,
    },
    Command {
        path: "stonith level delete",
        synopsis: "<level> [target <target>] [stonith <stonith id>...]",
        about: "Remove fencing levels.",
        options: &["-f"],
        run: level_delete,
    },
    Command {
        path: "stonith level clear",
        synopsis: "",
        about: "Remove all fencing levels.",
        options: &["-f"],
        run: |c, _| {
            c.change(|_, doc| {
                let levels = section(doc, "fencing-topology");
                doc.remove(levels);
                Ok(())
            })
        },
    },
];

fn config(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let doc = context.load()?;
    resource::show::show_config(context, &doc, words, true)
}

fn list(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let filter = words.first().cloned().unwrap_or_default();
    let library = Library::new(&context.paths.ocf_dirs);
    let mut lines = Vec::new();
    for kind in library.fence_agents().into_iter().filter(|k| k.contains(&filter)) {
        let name = AgentName { class: "stonith".into(), provider: None, kind };
        let about = if context.options.has("--nodesc") {
            String::new()
        } else {
            library.metadata(&name).map(|m| m.short).unwrap_or_default()
        };
        lines.push(if about.is_empty() { name.kind } else { format!("{} - {about}", name.kind) });
    }
    if lines.is_empty() {
        return Err(Failure::error(if filter.is_empty() {
            "No stonith agents available. Do you have fence agents installed?"
        } else {
            "No stonith agents matching the filter."
        }));
    }
    context.lines(&lines);
    Ok(())
}

fn describe(context: &mut Context<'_>, words: &[String]) -> Outcome {
    match words {
        [name] => resource::show::describe_agent(context, &full_name(name)),
        _ => Err(Failure::USAGE),
    }
}

fn full_name(agent: &str) -> String {
    if agent.starts_with("stonith:") { agent.to_string() } else { format!("stonith:{agent}") }
}

fn create(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [stonith_id, agent, rest @ ..] = words else { return Err(Failure::USAGE) };
    let (options, groups) = groups(rest, &["op", "meta"]);
    let new = NewPrimitive {
        id: stonith_id.clone(),
        agent: full_name(agent),
        options: words::pairs(&options)?,
        meta: words::pairs(&joined(&groups, "meta"))?,
        operations: resource::operations(&groups)?,
        disabled: context.options.has("--disabled"),
        default_operations: true,
        noun: "stonith",
    };
    resource::change_and_wait(context, std::slice::from_ref(stonith_id), |context, doc| {
        let metadata = resource::metadata(context, &new.agent)?;
        resource::add_primitive(context, doc, &new, &metadata).map(|_| ())
    })
}

fn target_attributes(target: &str) -> Vec<(&'static str, String)> {
    match target.split_once('%') {
        Some(("regexp", pattern)) => vec![("target-pattern", pattern.to_string())],
        Some(("attrib", pair)) => {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            vec![("target-attribute", name.to_string()), ("target-value", value.to_string())]
        }
        Some((_, node)) => vec![("target", node.to_string())],
        None => vec![("target", target.to_string())],
    }
}

fn level_add(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [level, target, devices @ ..] = words else { return Err(Failure::USAGE) };
    let devices: Vec<&str> = devices.iter().flat_map(|d| d.split(',')).collect();
    if devices.is_empty() {
        return Err(Failure::USAGE);
    }
    let number: u32 = level.parse().ok().filter(|n| (1..=9).contains(n)).ok_or_else(|| {
        Failure::issue(Issue::new(format!("'{level}' is not a valid level value, use 1..9")))
    })?;
    context.change(|context, doc| {
        let mut issues = crate::report::Issues::default();
        let attributes = target_attributes(target);
        if let [("target", node)] = attributes.as_slice()
            && !crate::model::nodes::names(doc).contains(node)
        {
            let mut issue = super::node::unknown_node(doc, node);
            issue.forceable = true;
            issues.push(issue);
        }
        for device in &devices {
            if !find::resource(doc, device).is_some_and(|n| find::is_stonith(doc.element(n))) {
                issues.push(Issue::forceable(format!("Stonith resource '{device}' does not exist")));
            }
        }
        context.settle(issues)?;
        let list = devices.join(",");
        let levels = section(doc, "fencing-topology");
        let same = doc.element(levels).children().any(|l| {
            l.attr("index") == Some(level)
                && l.attr("devices") == Some(&list)
                && attributes.iter().all(|(n, v)| l.attr(n) == Some(v))
        });
        if same {
            return Err(Failure::issue(Issue::new(format!(
                "Fencing level for '{target}' at level '{level}' with device(s) '{list}' already exists"
            ))));
        }
        let name = attributes.last().map(|(_, v)| v.as_str()).unwrap_or_default();
        let level_id = id::unique(doc, &id::sanitize(&format!("fl-{name}-{number}")));
        let element = doc.append_with(levels, "fencing-level", &[("index", level), ("devices", &list)]);
        for (name, value) in &attributes {
            doc.set_attr(element, name, value);
        }
        doc.set_attr(element, "id", &level_id);
        Ok(())
    })
}

fn level_delete(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [level, rest @ ..] = words else { return Err(Failure::USAGE) };
    let (first, groups) = groups(rest, &["target", "stonith"]);
    if !first.is_empty() {
        return Err(Failure::USAGE);
    }
    let target = joined(&groups, "target").first().map(|t| target_attributes(t));
    let devices: Vec<&str> = joined(&groups, "stonith").iter().flat_map(|d| d.split(',')).collect();
    context.change(|_, doc| {
        let levels = section(doc, "fencing-topology");
        let found: Vec<_> = doc
            .element(levels)
            .children()
            .filter(|l| l.attr("index") == Some(level))
            .filter(|l| target.iter().flatten().all(|(n, v)| l.attr(n) == Some(v)))
            .filter(|l| devices.is_empty() || l.attr("devices") == Some(&devices.join(",")))
            .map(Element::id)
            .collect();
        if found.is_empty() {
            return Err(Failure::issue(Issue::new(format!(
                "Fencing level at level '{level}' does not exist"
            ))));
        }
        found.into_iter().for_each(|l| doc.remove(l));
        if doc.first_child(levels).is_none() {
            doc.remove(levels);
        }
        Ok(())
    })
}

/// `Target: n1` and its levels.
pub fn level_lines(doc: &Document) -> Vec<String> {
    let levels: Vec<Element<'_>> = doc
        .root_element()
        .path(&["configuration", "fencing-topology"])
        .map(|t| t.children().collect())
        .unwrap_or_default();
    let name = |l: &Element<'_>| match (l.attr("target"), l.attr("target-pattern")) {
        (Some(node), _) => node.to_string(),
        (_, Some(pattern)) => pattern.to_string(),
        _ => format!(
            "{}={}",
            l.attr("target-attribute").unwrap_or_default(),
            l.attr("target-value").unwrap_or_default()
        ),
    };
    let mut targets: Vec<String> = levels.iter().map(name).collect();
    targets.sort();
    targets.dedup();
    let mut lines = Vec::new();
    for target in targets {
        lines.push(format!("Target: {target}"));
        let mut own: Vec<&Element<'_>> = levels.iter().filter(|l| name(l) == target).collect();
        own.sort_by_key(|l| l.attr("index").and_then(|i| i.parse::<u32>().ok()));
        lines.extend(own.iter().map(|l| {
            format!(
                "  Level {} - {}",
                l.attr("index").unwrap_or_default(),
                l.attr("devices").unwrap_or_default()
            )
        }));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cib, run};

    #[test]
    fn levels() {
        let doc = cib("<primitive id='F' class='stonith' type='fence_x'/>");
        let (doc, _) = run(&doc, "stonith level add 1 nodo1.example.com F").unwrap();
        assert_eq!(level_lines(&doc), ["Target: nodo1.example.com", "  Level 1 - F"]);
        assert!(run(&doc, "stonith level add 1 nodo1.example.com F").is_err());
        assert!(run(&doc, "stonith level add 12 nodo1.example.com F").is_err());
        assert!(run(&doc, "stonith level add 1 nodo9 F").is_err());
        let (doc, _) = run(&doc, "stonith level delete 1").unwrap();
        assert!(level_lines(&doc).is_empty());
    }
}
