//! `pcs status`: the state of the cluster.

use manager_client::{Error, Overview};
use scheduler::iso8601::Zone;
use scheduler::{Cluster, Options};
use status::{Outside, Sections, Show, tree};

use super::cluster::services::{members, which};
use super::host::{call_all, load, timeout};
use crate::context::Context;
use crate::model::{find, nodes};
use crate::remote::{Body, Host};
use crate::report::{Failure, Outcome, nearest};
use crate::router::Command;
use crate::words::is_true;

pub const COMMANDS: &[Command] = &[
    Command {
        path: "status status",
        synopsis: "[--full] [--hide-inactive]",
        about: "Show everything: cluster, nodes, resources, services. With --full in more detail, with \
                --hide-inactive without resources that do not run.",
        options: &["--full", "--hide-inactive", "-f"],
        run: full,
    },
    Command {
        path: "status resources",
        synopsis: "[<resource id>] [node=<node>] [--hide-inactive]",
        about: "Show the state of resources.",
        options: &["--hide-inactive", "-f"],
        run: resources,
    },
    Command {
        path: "status cluster",
        synopsis: "",
        about: "Show the state of the cluster and of the node daemons.",
        options: &["-f"],
        run: cluster,
    },
    Command {
        path: "status nodes",
        synopsis: "[corosync | both | config]",
        about: "Show the nodes by state.",
        options: &["-f"],
        run: node_list,
    },
    Command {
        path: "status pcsd",
        synopsis: "[<node>]...",
        about: "Show whether the node daemons answer.",
        options: &[],
        run: pcsd,
    },
    Command {
        path: "status quorum",
        synopsis: "",
        about: "Show the state of the quorum.",
        options: &[],
        run: quorum,
    },
    Command {
        path: "status corosync",
        synopsis: "",
        about: "Show the members as the engine sees them.",
        options: &[],
        run: quorum,
    },
    Command {
        path: "status xml",
        synopsis: "",
        about: "Show the state as XML, as crm_mon does.",
        options: &["-f"],
        run: as_xml,
    },
    Command {
        path: "resource status",
        synopsis: "[<resource id>] [node=<node>] [--hide-inactive]",
        about: "Show the state of all resources, or of those named.",
        options: &["--hide-inactive", "-f"],
        run: resources,
    },
    Command {
        path: "stonith status",
        synopsis: "[<stonith id>] [node=<node>] [--hide-inactive]",
        about: "Show the state of fence devices.",
        options: &["--hide-inactive", "-f"],
        run: stonith,
    },
    Command {
        path: "cluster status",
        synopsis: "",
        about: "Show the state of the cluster and of the node daemons.",
        options: &["-f"],
        run: cluster,
    },
    Command {
        path: "pcsd status",
        synopsis: "[<node>]...",
        about: "Show whether the node daemons answer.",
        options: &[],
        run: pcsd,
    },
    Command {
        path: "quorum status",
        synopsis: "",
        about: "Show the state of the quorum.",
        options: &[],
        run: quorum,
    },
];

/// A display, described by what differs from the plain one.
fn shown(change: impl FnOnce(&mut Show)) -> Show {
    let mut show = Show::default();
    change(&mut show);
    show
}

/// State and configuration; from a file with `-f`.
fn overview(context: &Context<'_>) -> Result<Overview, Error> {
    manager_client::overview("pcs", context.options.file().map(AsRef::as_ref))
}

/// What goes wrong when no state can be had.
fn unavailable(error: &Error) -> Failure {
    match error {
        Error::NotConnected => Failure::error(
            "error running crm_mon, is pacemaker running?\n  error: Could not connect to launcher: Connection \
             refused\n  crm_mon: Connection to cluster failed: Connection refused",
        ),
        other => Failure::Error(format!("error running crm_mon, is pacemaker running?\n  {other}")),
    }
}

fn unpack(overview: &Overview) -> Cluster {
    let zone = Zone::Local(sys::clock::utc_offset_s);
    let options = Options { now_s: sys::clock::now_s(), zone, ..Options::default() };
    Cluster::unpack(&overview.cib, &options)
}

/// `Status of pacemakerd: …`.
fn manager_line(overview: &Overview) -> String {
    let Some(manager) = &overview.manager else { return String::new() };
    let seen = jiff::Timestamp::from_second(manager.last_good_s)
        .map(|t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
        .unwrap_or_default();
    format!("Status of pacemakerd: '{}' (last updated {seen})\n", manager.state_text())
}

fn full(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::USAGE);
    }
    let overview = overview(context).map_err(|e| unavailable(&e))?;
    let detail = context.options.has("--full");
    let show = shown(|show| {
        show.inactive = !context.options.has("--hide-inactive");
        show.node_ids = detail;
        show.clone_detail = detail;
        show.implicit = detail;
        show.failed_detail = detail;
        show.description = detail;
        show.pending = true;
    });
    let mut sections = Sections::MON;
    if detail {
        sections = Sections { operations: false, options: false, bans: true, ..Sections::ALL };
    }
    let mut lines = Vec::new();
    if let Some(name) = cluster_name(context, &overview) {
        lines.push(format!("Cluster name: {name}"));
    }
    let warnings = warnings(&overview);
    if !warnings.is_empty() {
        lines.push(String::new());
        lines.push("WARNINGS:".into());
        lines.extend(warnings);
        lines.push(String::new());
    }
    let items = status::sections(&mut unpack(&overview), &show, &sections, &Outside::default());
    lines.push(format!("{}{}", manager_line(&overview), tree::text(&items).trim_end()));
    if detail && context.store.is_live() {
        lines.push(String::new());
        lines.extend(daemon_lines(context)?);
    }
    if context.store.is_live() {
        lines.push(String::new());
        lines.push("Daemon Status:".into());
        let names = ["corosync", "pacemaker", "pcsd"];
        let active = which("is-active", &names, "active");
        let enabled = which("is-enabled", &names, "enabled");
        for ((name, active), enabled) in names.iter().zip(active).zip(enabled) {
            let active = if active { "active" } else { "inactive" };
            let enabled = if enabled { "enabled" } else { "disabled" };
            lines.push(format!("  {name}: {active}/{enabled}"));
        }
    }
    context.lines(&lines);
    Ok(())
}

fn cluster_name(context: &Context<'_>, overview: &Overview) -> Option<String> {
    super::property::value(&overview.cib, "cluster-name")
        .map(str::to_string)
        .or_else(|| nodes::conf_totem(&context.paths.corosync_conf, "cluster_name"))
}

/// What an administrator should put right.
fn warnings(overview: &Overview) -> Vec<String> {
    let mut found = Vec::new();
    let enabled = super::property::value(&overview.cib, "stonith-enabled").is_none_or(is_true);
    if enabled && !find::all(&overview.cib).into_iter().any(find::is_stonith) {
        found.push("No stonith devices and stonith-enabled is not false".to_string());
    }
    if cib::schema::validate(&overview.cib).is_err() {
        found.push(
            "The configuration does not conform to its schema, and changes are refused (see 'pcs cluster verify')"
                .to_string(),
        );
    }
    found
}

fn shown_resources(context: &mut Context<'_>, words: &[String], stonith: bool) -> Outcome {
    let (mut id, mut node) = (None, None);
    for word in words {
        match word.split_once('=') {
            Some(("node", name)) if node.is_none() => node = Some(name.to_string()),
            None if id.is_none() => id = Some(word.clone()),
            _ => return Err(Failure::USAGE),
        }
    }
    let overview = overview(context).map_err(|error| match error {
        Error::NotConnected => Failure::error(
            "unable to get cluster status from crm_mon\nerror: Could not connect to launcher: Connection refused\n\
             crm_mon: Connection to cluster failed: Connection refused\n",
        ),
        other => Failure::Error(format!("unable to get cluster status from crm_mon\n{other}\n")),
    })?;
    let wanted: Vec<String> = match &id {
        Some(id) => {
            known(&overview, id)?;
            vec![id.clone()]
        }
        None => find::all(&overview.cib)
            .into_iter()
            .filter(|r| {
                find::is_resource(r.parent().map_or("", |p| p.name())) || find::is_stonith(*r) == stonith
            })
            .filter(|r| find::is_stonith(*r) == stonith)
            .filter_map(|r| r.attr("id").map(str::to_string))
            .collect(),
    };
    let what = if stonith { "stonith devices" } else { "resources" };
    if wanted.is_empty() {
        let text = if stonith { "NO stonith devices configured" } else { "NO resources configured" };
        context.output(text);
        return Ok(());
    }
    let show = shown(|show| {
        show.inactive = !context.options.has("--hide-inactive");
        show.only_rscs = wanted;
        show.only_nodes = node.into_iter().collect();
        show.pending = true;
    });
    let sections = Sections { nodes: false, ..Sections::SHORT };
    let items = status::sections(&mut unpack(&overview), &show, &sections, &Outside::default());
    let text = tree::text(&items);
    // The title of the list is for longer displays.
    let lines: Vec<String> = text.lines().skip(1).map(str::to_string).collect();
    if lines.is_empty() || lines.iter().all(|l| l.starts_with("  * No ")) {
        context.output(format!("No active {what}"));
    } else {
        context.lines(&lines);
    }
    Ok(())
}

fn known(overview: &Overview, id: &str) -> Outcome {
    if find::resource(&overview.cib, id).is_some() {
        return Ok(());
    }
    let ids = crate::model::resource_ids(&overview.cib);
    let hint = nearest(id, ids.iter().map(String::as_str))
        .map(|n| format!("\nHint: did you mean '{n}'?"))
        .unwrap_or_default();
    Err(Failure::Error(format!("resource or tag id '{id}' not found{hint}")))
}

fn resources(context: &mut Context<'_>, words: &[String]) -> Outcome {
    shown_resources(context, words, false)
}

fn stonith(context: &mut Context<'_>, words: &[String]) -> Outcome {
    shown_resources(context, words, true)
}

fn cluster(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::USAGE);
    }
    let overview =
        overview(context).map_err(|_| Failure::error("cluster is not currently running on this node"))?;
    let show = Show::default();
    let sections = Sections { resources: false, failures: false, ..Sections::MON };
    let items = status::sections(&mut unpack(&overview), &show, &sections, &Outside::default());
    let text = format!("{}{}", manager_line(&overview), tree::text(&items));
    let mut lines = vec!["Cluster Status:".to_string()];
    lines.extend(text.lines().filter(|l| !l.is_empty()).map(|l| format!(" {l}")));
    if context.store.is_live() {
        lines.push(String::new());
        lines.extend(daemon_lines(context)?);
    }
    context.lines(&lines);
    Ok(())
}

/// `PCSD Status:` with a line per node.
fn daemon_lines(context: &mut Context<'_>) -> Result<Vec<String>, Failure> {
    let names = members(context)?;
    let mut lines = vec!["PCSD Status:".to_string()];
    lines.extend(reachability(context, &names)?.into_iter().map(|line| format!("  {line}")));
    Ok(lines)
}

fn reachability(context: &mut Context<'_>, names: &[String]) -> Result<Vec<String>, Failure> {
    let known = load(context)?;
    let hosts: Vec<Host> = names.iter().map(|name| known.find(name)).collect();
    let limit = timeout(context);
    let path = "remote/check_auth?check_auth_only=1";
    let replies = call_all(context, &hosts, path, &Body::None, limit, |_, _, _| {})?;
    Ok(replies
        .into_iter()
        .map(|(name, reply)| {
            let state = match reply {
                Err(crate::remote::ReplyError::Unreachable { .. }) => "Offline",
                Err(crate::remote::ReplyError::Unauthorized(_)) => "Unable to authenticate",
                _ => "Online",
            };
            format!("{name}: {state}")
        })
        .collect())
}

fn pcsd(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let names = if words.is_empty() { members(context)? } else { words.to_vec() };
    let lines = reachability(context, &names)?;
    let offline = lines.iter().any(|l| !l.ends_with(": Online"));
    let lines: Vec<String> = lines.into_iter().map(|l| format!("  {l}")).collect();
    context.lines(&lines);
    if offline { Err(Failure::Exit(2)) } else { Ok(()) }
}

fn node_list(context: &mut Context<'_>, words: &[String]) -> Outcome {
    match words {
        [] => {}
        [which] if which == "config" => {
            let doc = context.load()?;
            let shown = |names: &[String]| names.iter().map(|n| format!(" {n}")).collect::<String>();
            let engine = nodes::in_corosync_conf(&context.paths.corosync_conf).unwrap_or_default();
            let lines = [
                "Corosync Nodes:".to_string(),
                shown(&engine),
                "Pacemaker Nodes:".to_string(),
                shown(&nodes::names(&doc)),
            ];
            context.lines(&lines);
            return Ok(());
        }
        _ => return Err(Failure::USAGE),
    }
    let overview = overview(context).map_err(|e| unavailable(&e))?;
    let cluster = unpack(&overview);
    let mut groups: [(&str, Vec<String>); 5] = [
        ("Online", vec![]),
        ("Standby", vec![]),
        ("Standby with resource(s) running", vec![]),
        ("Maintenance", vec![]),
        ("Offline", vec![]),
    ];
    for node in cluster.nodes.iter() {
        let group = if !node.online {
            4
        } else if node.maintenance {
            3
        } else if node.is(scheduler::nf::STANDBY) {
            if node.running.is_empty() { 1 } else { 2 }
        } else {
            0
        };
        if let Some((_, names)) = groups.get_mut(group) {
            names.push(node.name.to_string());
        }
    }
    let mut lines = vec!["Pacemaker Nodes:".to_string()];
    for (title, mut names) in groups {
        names.sort();
        let list: String = names.iter().map(|n| format!(" {n}")).collect();
        lines.push(format!(" {title}:{list}"));
    }
    context.lines(&lines);
    Ok(())
}

fn quorum(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::USAGE);
    }
    context.need_live()?;
    let output = std::process::Command::new("corosync-quorumtool")
        .arg("-p")
        .output()
        .map_err(|e| Failure::Error(format!("Unable to get quorum status: corosync-quorumtool: {e}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The tool leaves with 2 when there is no quorum: that is an answer too.
    if !matches!(output.status.code(), Some(0 | 2)) {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Err(Failure::Error(format!("Unable to get quorum status: {why}{}", text.trim())));
    }
    context.output(text.trim_end());
    Ok(())
}

fn as_xml(context: &mut Context<'_>, _: &[String]) -> Outcome {
    let overview = overview(context).map_err(|e| unavailable(&e))?;
    let mut doc = xml::Document::new("pacemaker-result");
    let root = doc.root();
    doc.set_attr(root, "api-version", "2.25");
    doc.set_attr(root, "request", "crm_mon --one-shot --inactive --output-as xml");
    let show = shown(|show| {
        show.inactive = true;
        show.timing = true;
        show.pending = true;
    });
    let sections = Sections { bans: false, ..Sections::ALL };
    status::xml::xml(&mut doc, root, &mut unpack(&overview), &show, &sections, &Outside::default());
    doc.append_with(root, "status", &[("code", "0"), ("message", "OK")]);
    context.output(doc.to_pretty().trim_end());
    Ok(())
}
