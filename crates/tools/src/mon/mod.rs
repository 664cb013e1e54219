//! `crm_mon`: the state of the cluster, once or continuously.

mod screen;
mod shape;

use std::ffi::OsString;

use base::ExitCode;
use manager_client::Overview;
use scheduler::{Cluster, Level};
use status::{Outside, tree};

use crate::options::{Parsed, Tool, Value, opt, start};
use crate::session;
use crate::{err, out, out_raw};
use shape::{Format, Shape};

const TOOL: Tool = Tool {
    name: "crm_mon",
    about: "Show the state of the cluster: nodes, resources, failures.",
    rest: "",
    groups: &[
        (
            "Mode",
            &[
                opt("one-shot", Some('1'), Value::None, "Show the state once and leave"),
                opt("interval", Some('i'), Value::Required("TIMESPEC"), "Update at least this often"),
                opt("daemonize", Some('d'), Value::None, "Run in the background (with --output-to)"),
                opt("pid-file", Some('p'), Value::Required("FILE"), ""),
                opt("external-agent", Some('E'), Value::Required("FILE"), ""),
                opt("external-recipient", Some('e'), Value::Required("RCPT"), ""),
                opt("watch-fencing", Some('W'), Value::None, ""),
                opt("disable-ncurses", Some('N'), Value::None, "Do not use the whole screen"),
                opt("xml-file", Some('x'), Value::Required("FILE"), ""),
            ],
        ),
        (
            "Display",
            &[
                opt("include", Some('I'), Value::Required("SECTION,…"), "Show these sections as well"),
                opt("exclude", Some('U'), Value::Required("SECTION,…"), "Leave these sections out"),
                opt("node", None, Value::Required("NODE"), "Only this node"),
                opt("resource", None, Value::Required("RSC"), "Only this resource"),
                opt("group-by-node", Some('n'), Value::None, "Resources below their nodes"),
                opt("inactive", Some('r'), Value::None, "Inactive resources as well"),
                opt("failcounts", Some('f'), Value::None, "Fail counts"),
                opt("operations", Some('o'), Value::None, "History of operations"),
                opt("timing-details", Some('t'), Value::None, "History with times"),
                opt("tickets", Some('c'), Value::None, "Tickets"),
                opt("fence-history", Some('m'), Value::Optional("LEVEL"), "History of fencing"),
                opt("neg-locations", Some('L'), Value::Optional("PREFIX"), "Bans"),
                opt("show-node-attributes", Some('A'), Value::None, "Node attributes"),
                opt("hide-headers", Some('D'), Value::None, "Without the summary"),
                opt("show-detail", Some('R'), Value::None, "More detail: node ids, every clone instance"),
                opt("show-description", None, Value::None, "Descriptions of resources"),
                opt("brief", Some('b'), Value::None, "Counts instead of resources"),
                opt("pending", Some('j'), Value::None, ""),
                opt("simple-status", Some('s'), Value::None, "One line"),
            ],
        ),
        (
            "Output",
            &[
                opt("output-as", None, Value::Required("text|xml|html|console"), "Format"),
                opt("output-to", None, Value::Required("FILE"), "To a file"),
                opt("as-xml", Some('X'), Value::None, ""),
                opt("as-html", Some('h'), Value::Required("FILE"), ""),
                opt("web-cgi", Some('w'), Value::None, ""),
            ],
        ),
    ],
};

pub fn main(arguments: Vec<OsString>) -> i32 {
    let command = arguments.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ");
    start(&TOOL, arguments, |parsed| run(parsed, command.trim()))
}

fn run(parsed: &Parsed, command: &str) -> ExitCode {
    let shape = match Shape::of(parsed) {
        Ok(shape) => shape,
        Err(text) => {
            err(&format!("crm_mon: {text}"));
            return ExitCode::USAGE;
        }
    };
    if let Some(file) = parsed.value("xml-file") {
        return from_file(&shape, file, command);
    }
    if shape.watch {
        return screen::run(&shape, command);
    }
    let mut overview = match session::overview("crm_mon") {
        Ok(overview) => overview,
        Err(status) => return status,
    };
    complaints(&shape, &overview);
    let text = render(&shape, &mut overview, command);
    deliver(&shape, &text)
}

fn from_file(shape: &Shape, file: &str, command: &str) -> ExitCode {
    match manager_client::overview("crm_mon", Some(file.as_ref())) {
        Ok(mut overview) => {
            complaints(shape, &overview);
            let text = render(shape, &mut overview, command);
            deliver(shape, &text)
        }
        Err(error) => {
            err(&format!("crm_mon: Connection to cluster failed: {error}"));
            error.exit()
        }
    }
}

/// With -V, what the scheduler complains about.
fn complaints(shape: &Shape, overview: &Overview) {
    if shape.verbose == 0 {
        return;
    }
    for message in session::cluster(&overview.cib).messages {
        let word = match message.level {
            Level::Error => "error",
            Level::Warning | Level::Situation if shape.verbose > 1 => "warning",
            Level::Notice if shape.verbose > 2 => "notice",
            _ => continue,
        };
        err(&format!("(unpack_resources) \t{word}: {}", message.text));
    }
}

fn deliver(shape: &Shape, text: &str) -> ExitCode {
    let Some(path) = &shape.file else {
        out_raw(text);
        return ExitCode::OK;
    };
    match std::fs::write(path, text) {
        Ok(()) => ExitCode::OK,
        Err(error) => {
            err(&format!("crm_mon: Could not write {path}: {error}"));
            ExitCode::CANTCREAT
        }
    }
}

/// The display for a state.
pub(crate) fn render(shape: &Shape, overview: &mut Overview, command: &str) -> String {
    let mut cluster = session::cluster(&overview.cib);
    if shape.simple {
        return simple(&cluster);
    }
    let outside = Outside::default();
    match shape.format {
        Format::Xml => xml(shape, &mut cluster, overview, command),
        Format::Html => {
            let items = status::sections(&mut cluster, &shape.show, &shape.sections, &outside);
            tree::html("Cluster Status", &items)
        }
        Format::Text => {
            let items = status::sections(&mut cluster, &shape.show, &shape.sections, &outside);
            format!("{}{}", header(shape, overview), tree::text(&items))
        }
    }
}

/// `Status of pacemakerd: …`, unless the summary is left out.
fn header(shape: &Shape, overview: &Overview) -> String {
    let Some(manager) = overview.manager.as_ref().filter(|_| shape.sections.stack) else {
        return String::new();
    };
    format!(
        "Status of pacemakerd: '{}' (last updated {})\n",
        manager.state_text(),
        utc_text(manager.last_good_s)
    )
}

/// `2026-11-22 14:16:25Z`.
fn utc_text(epoch_s: i64) -> String {
    jiff::Timestamp::from_second(epoch_s)
        .map(|t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
        .unwrap_or_default()
}

fn xml(shape: &Shape, cluster: &mut Cluster, overview: &Overview, command: &str) -> String {
    let mut doc = ::xml::Document::new("pacemaker-result");
    let root = doc.root();
    doc.set_attr(root, "api-version", "2.25");
    doc.set_attr(root, "request", format!("crm_mon {command}").trim());
    if let Some(manager) = &overview.manager {
        let seen = utc_text(manager.last_good_s);
        let attributes = [
            ("sys_from", manager.from.as_str()),
            ("state", manager.state.as_str()),
            ("last_updated", seen.as_str()),
        ];
        doc.append_with(root, "pacemakerd", &attributes);
    }
    status::xml::xml(&mut doc, root, cluster, &shape.show, &shape.sections, &Outside::default());
    doc.append_with(root, "status", &[("code", "0"), ("message", "OK")]);
    doc.to_pretty()
}

/// One line: how many nodes and resources, or what is wrong.
fn simple(cluster: &Cluster) -> String {
    let offline: Vec<&str> =
        cluster.nodes.indices().filter(|n| !cluster.node_up(*n)).map(|n| cluster.node_name(n)).collect();
    if cluster.dc.is_none() {
        return "CLUSTER CRIT: No DC\n".into();
    }
    if !offline.is_empty() {
        let list: Vec<String> = offline.iter().map(|n| format!("offline node: {n}")).collect();
        return format!("CLUSTER WARN: {}\n", list.join(", "));
    }
    let (total, ..) = status::sections::counts(cluster);
    let count = cluster.nodes.len();
    format!(
        "CLUSTER OK: {count} node{} online, {total} resource instance{} configured\n",
        if count == 1 { "" } else { "s" },
        if total == 1 { "" } else { "s" },
    )
}

/// A line on standard output, for the watcher.
fn say(line: &str) {
    out(line);
}
