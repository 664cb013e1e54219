//! `pcs config`, and what is only ever shown: quorum options, tags, alerts.

use xml::{Document, Element};

use super::{constraint, defaults, property, resource, stonith};
use crate::context::Context;
use crate::model::{find, nodes, nvset};
use crate::report::{Failure, Outcome};
use crate::router::Command;

pub const COMMANDS: &[Command] = &[
    Command {
        path: "config show",
        synopsis: "",
        about: "Show the whole configuration.",
        options: &["-f"],
        run: show,
    },
    Command {
        path: "quorum config",
        synopsis: "",
        about: "Show the quorum options.",
        options: &[],
        run: |c, _| {
            let lines = quorum_lines(c);
            c.lines(&lines.iter().skip(1).map(|l| l.trim_start().to_string()).collect::<Vec<_>>());
            Ok(())
        },
    },
    Command {
        path: "quorum expected-votes",
        synopsis: "<votes>",
        about: "Tell the engine of this cluster how many votes to expect, until it is restarted.",
        options: &[],
        run: expected_votes,
    },
    Command {
        path: "alert config",
        synopsis: "",
        about: "Show alerts.",
        options: &["-f"],
        run: |c, _| {
            let doc = c.load()?;
            let lines = alert_lines(&doc);
            c.lines(&lines);
            Ok(())
        },
    },
    Command {
        path: "tag config",
        synopsis: "[<tag id>...]",
        about: "Show tags.",
        options: &["-f"],
        run: tags,
    },
    Command {
        path: "resource failcount show",
        synopsis: "[<resource id> [<operation> [<interval>]]] [node=<node>]",
        about: "Show how often resources have failed.",
        options: &["--full", "-f"],
        run: failcount,
    },
];

fn show(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::USAGE);
    }
    let doc = context.load()?;
    let mut lines = Vec::new();
    let name = property::value(&doc, "cluster-name")
        .map(str::to_string)
        .or_else(|| nodes::conf_totem(&context.paths.corosync_conf, "cluster_name"))
        .unwrap_or_default();
    lines.push(format!("Cluster Name: {name}"));
    if context.store.is_live() {
        let engine = nodes::in_corosync_conf(&context.paths.corosync_conf).unwrap_or_default();
        let list = |names: &[String]| format!(" {}", names.join(" "));
        lines.extend(["Corosync Nodes:".into(), list(&engine)]);
        lines.extend(["Pacemaker Nodes:".into(), list(&nodes::names(&doc))]);
    }
    let resources = resource::show::config_lines(&doc, false);
    if !resources.is_empty() {
        lines.extend([String::new(), "Resources:".into()]);
        lines.extend(resources.iter().map(|l| format!("  {l}")));
    }
    lines.extend([String::new(), "Stonith Devices:".into()]);
    lines.extend(resource::show::config_lines(&doc, true).iter().map(|l| format!("  {l}")));
    lines.push("Fencing Levels:".into());
    lines.extend(stonith::level_lines(&doc).iter().map(|l| format!("  {l}")));
    lines.push(String::new());
    lines.extend(constraint::show::all_lines(&doc, true));
    lines.push(String::new());
    lines.push("Alerts:".into());
    lines.extend(alert_lines(&doc).iter().skip(1).cloned());
    lines.push(String::new());
    for (title, section) in [("Resources Defaults:", "rsc_defaults"), ("Operations Defaults:", "op_defaults")]
    {
        lines.push(title.into());
        lines.extend(defaults::lines(&doc, section, false).iter().map(|l| format!("  {l}")));
    }
    lines.push(String::new());
    let properties = property::configured(&doc);
    lines.extend(property::lines(&properties));
    lines.push(String::new());
    lines.push("Tags:".into());
    let tags = tag_lines(&doc, &[]);
    lines.extend(if tags.is_empty() { vec![" No tags defined".into()] } else { tags });
    if context.store.is_live() {
        lines.push(String::new());
        lines.extend(quorum_lines(context));
    }
    context.lines(&lines);
    Ok(())
}

/// `Quorum:` with the options of corosync.conf that say something about it.
fn quorum_lines(context: &Context<'_>) -> Vec<String> {
    const SHOWN: &[&str] =
        &["auto_tie_breaker", "last_man_standing", "last_man_standing_window", "wait_for_all"];
    let mut lines = vec!["Quorum:".to_string(), "  Options:".to_string()];
    let text = std::fs::read_to_string(&context.paths.corosync_conf).unwrap_or_default();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.ends_with('{') {
            inside = line.starts_with("quorum");
        } else if inside
            && let Some((key, value)) = line.split_once(':')
            && SHOWN.contains(&key.trim())
        {
            lines.push(format!("    {}: {}", key.trim(), value.trim()));
        }
    }
    lines
}

fn expected_votes(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [votes] = words else { return Err(Failure::USAGE) };
    let number: u32 = votes.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
        Failure::issue(crate::report::Issue::new(format!(
            "'{votes}' is not a valid expected votes value, use a positive integer"
        )))
    })?;
    context.need_live()?;
    clients::VoteQuorum::open()
        .and_then(|mut quorum| quorum.set_expected(number))
        .map_err(|e| Failure::Error(format!("Unable to set expected votes in corosync: {e}")))
}

fn section<'a>(doc: &'a Document, name: &str) -> Vec<Element<'a>> {
    doc.root_element().path(&["configuration", name]).map(|s| s.children().collect()).unwrap_or_default()
}

fn alert_lines(doc: &Document) -> Vec<String> {
    let mut lines = vec!["Alerts:".to_string()];
    for alert in section(doc, "alerts") {
        lines.push(format!(
            " Alert: {} (path={})",
            alert.attr("id").unwrap_or_default(),
            alert.attr("path").unwrap_or_default()
        ));
        lines.extend(alert_sets(alert, "  "));
        let recipients: Vec<Element<'_>> = alert.children_named("recipient").collect();
        if !recipients.is_empty() {
            lines.push("  Recipients:".into());
        }
        for recipient in recipients {
            lines.push(format!(
                "   Recipient: {} (value={})",
                recipient.attr("id").unwrap_or_default(),
                recipient.attr("value").unwrap_or_default()
            ));
            lines.extend(alert_sets(recipient, "    "));
        }
    }
    if lines.len() == 1 {
        lines.push(" No alerts defined".into());
    }
    lines
}

fn alert_sets(owner: Element<'_>, pad: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, title) in [("instance_attributes", "Options"), ("meta_attributes", "Meta options")] {
        let pairs: Vec<String> = owner
            .children()
            .filter(|c| c.name() == kind)
            .flat_map(nvset::pairs)
            .map(|(n, v)| nvset::show(&n, &v))
            .collect();
        if !pairs.is_empty() {
            lines.push(format!("{pad}{title}: {}", pairs.join(" ")));
        }
    }
    lines
}

fn tag_lines(doc: &Document, only: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for tag in section(doc, "tags") {
        let id = tag.attr("id").unwrap_or_default();
        if only.is_empty() || only.iter().any(|o| o == id) {
            lines.push(id.to_string());
            lines.extend(tag.children().filter_map(|r| r.attr("id")).map(|r| format!("  {r}")));
        }
    }
    lines
}

fn tags(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let doc = context.load()?;
    let lines = tag_lines(&doc, words);
    context.lines(&if lines.is_empty() { vec![" No tags defined".to_string()] } else { lines });
    Ok(())
}

fn failcount(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let node = words.iter().find_map(|w| w.strip_prefix("node="));
    let resource = words.iter().find(|w| !w.contains('='));
    let doc = context.load()?;
    if let Some(id) = resource
        && find::resource(&doc, id).is_none()
    {
        context.output(format!("No failcounts for resource '{id}'"));
        return Ok(());
    }
    let mut rows: Vec<(String, String, i64)> = Vec::new();
    let states = doc.root_element().child("status").into_iter().flat_map(|s| s.children_named("node_state"));
    for state in states {
        let name = state.attr("uname").unwrap_or_default();
        if node.is_some_and(|n| n != name) {
            continue;
        }
        let sets = state.child("transient_attributes").into_iter().flat_map(|t| t.children());
        for (key, value) in sets.flat_map(nvset::pairs) {
            let Some(rest) = key.strip_prefix("fail-count-") else { continue };
            let id = rest.split('#').next().unwrap_or(rest);
            if resource.is_some_and(|r| r != id) {
                continue;
            }
            let count =
                if value == "INFINITY" { i64::from(base::INFINITY) } else { value.parse().unwrap_or(0) };
            match rows.iter_mut().find(|(r, n, _)| r == id && n == name) {
                Some((_, _, sum)) => *sum = (*sum + count).min(i64::from(base::INFINITY)),
                None => rows.push((id.to_string(), name.to_string(), count)),
            }
        }
    }
    rows.sort();
    let of = resource.map(|r| format!(" for resource '{r}'")).unwrap_or_default();
    let on = node.map(|n| format!(" on node '{n}'")).unwrap_or_default();
    if rows.is_empty() {
        context.output(format!("No failcounts{of}{on}"));
        return Ok(());
    }
    let mut lines = Vec::new();
    let mut last = String::new();
    for (id, node, count) in rows {
        if id != last {
            lines.push(format!("Failcounts for resource '{id}'"));
            last = id;
        }
        let shown =
            if count >= i64::from(base::INFINITY) { "INFINITY".to_string() } else { count.to_string() };
        lines.push(format!("  {node}: {shown}"));
    }
    context.lines(&lines);
    Ok(())
}
