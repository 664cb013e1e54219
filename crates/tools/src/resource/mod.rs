//! `crm_resource`: look at resources and act on them.

mod act;
mod agents;
mod attribute;
mod query;

use std::ffi::OsString;

use base::ExitCode;
use xml::{Document, Element, NodeId};

use crate::err;
use crate::options::{Parsed, Tool, Value, opt, start};
use crate::session;

const TOOL: Tool = Tool {
    name: "crm_resource",
    about: "Perform tasks related to cluster resources.",
    rest: "",
    groups: &[
        (
            "Queries",
            &[
                opt("list", Some('L'), Value::None, "All resources with their state"),
                opt("list-raw", Some('l'), Value::None, "Ids of all primitives"),
                opt("list-cts", Some('c'), Value::None, ""),
                opt("list-operations", Some('O'), Value::None, "Active operations"),
                opt("list-all-operations", Some('o'), Value::None, "All operations"),
                opt("list-standards", None, Value::None, "Standards of agents"),
                opt("list-ocf-providers", None, Value::None, "Providers of OCF agents"),
                opt("list-ocf-alternatives", None, Value::Required("TYPE"), "Providers of this OCF agent"),
                opt("list-agents", None, Value::Required("STD[:PROV]"), "Agents of a standard"),
                opt("show-metadata", None, Value::Required("STD:PROV:TYPE"), "Metadata of an agent"),
                opt("query-xml", Some('q'), Value::None, "The resource with its XML, templates filled in"),
                opt("query-xml-raw", Some('w'), Value::None, "The resource's XML as configured"),
                opt("locate", Some('W'), Value::None, "Nodes on which the resource runs"),
                opt("constraints", Some('a'), Value::None, "Constraints of the resource"),
                opt("stack", Some('A'), Value::None, ""),
                opt("why", Some('Y'), Value::None, "Why the resource runs or does not"),
                opt("get-parameter", Some('g'), Value::Required("NAME"), "Value of an option"),
                opt(
                    "get-property",
                    Some('G'),
                    Value::Required("NAME"),
                    "Value of a property (class, type …)",
                ),
                opt("validate", None, Value::None, "Let the agent check the options"),
                opt("digests", None, Value::None, ""),
            ],
        ),
        (
            "Commands",
            &[
                opt("set-parameter", Some('p'), Value::Required("NAME"), "Set an option (with -v)"),
                opt("delete-parameter", Some('d'), Value::Required("NAME"), "Delete an option"),
                opt("set-property", Some('S'), Value::Required("NAME"), "Set a property (with -v)"),
                opt("cleanup", Some('C'), Value::None, "Forget failed operations"),
                opt("refresh", Some('R'), Value::None, "Forget all operations and look anew"),
                opt("fail", Some('F'), Value::None, "Let the resource count as failed on a node"),
                opt("delete", Some('D'), Value::None, "Delete the resource from the configuration (with -t)"),
            ],
        ),
        (
            "Location",
            &[
                opt("move", Some('M'), Value::None, "Move the resource (to --node)"),
                opt("ban", Some('B'), Value::None, "Keep the resource off a node"),
                opt("clear", Some('U'), Value::None, "Remove what --move and --ban wrote"),
                opt("expired", Some('e'), Value::None, "With --clear: only what has ended"),
                opt(
                    "lifetime",
                    Some('u'),
                    Value::Required("TIMESPEC"),
                    "End of a move or ban (ISO 8601 duration)",
                ),
                opt("promoted", None, Value::None, "Only the promoted role"),
                opt("master", None, Value::None, ""),
            ],
        ),
        (
            "Advanced commands",
            &[
                opt("wait", None, Value::None, "Wait until the cluster has settled"),
                opt("restart", None, Value::None, "Stop and start the resource"),
                opt("force-start", None, Value::None, "Start on this node, past the cluster"),
                opt("force-stop", None, Value::None, "Stop on this node, past the cluster"),
                opt("force-check", None, Value::None, "Monitor on this node, past the cluster"),
                opt("force-promote", None, Value::None, "Promote on this node, past the cluster"),
                opt("force-demote", None, Value::None, "Demote on this node, past the cluster"),
            ],
        ),
        (
            "Additional options",
            &[
                opt("resource", Some('r'), Value::Required("ID"), "The resource"),
                opt("node", Some('N'), Value::Required("NAME"), "The node"),
                opt("host", Some('H'), Value::Required("NAME"), ""),
                opt("meta", Some('m'), Value::None, "Meta attributes instead of options"),
                opt("utilization", Some('z'), Value::None, "Utilization instead of options"),
                opt("set-name", Some('s'), Value::Required("ID"), "Id of the set"),
                opt("nvpair", Some('i'), Value::Required("ID"), "Id of the pair"),
                opt("parameter-value", Some('v'), Value::Required("VALUE"), "The value"),
                opt("resource-type", Some('t'), Value::Required("ELEMENT"), "Kind of resource (with -D)"),
                opt("recursive", None, Value::None, "Also in what the resource contains"),
                opt(
                    "operation",
                    Some('n'),
                    Value::Required("OPERATION"),
                    "With --cleanup: only this operation",
                ),
                opt("interval", Some('I'), Value::Required("N"), "With --cleanup: only this interval"),
                opt("class", None, Value::Required("CLASS"), ""),
                opt("agent", None, Value::Required("AGENT"), ""),
                opt("provider", None, Value::Required("PROVIDER"), ""),
                opt("option", None, Value::Required("OPTION"), ""),
                opt("timeout", Some('T'), Value::Required("N"), "Longest time for --wait and --restart"),
                opt("all", None, Value::None, ""),
                opt("force", Some('f'), Value::None, "Force the action"),
                opt("xml-file", Some('x'), Value::Required("FILE"), ""),
                opt("output-as", None, Value::Required("FORMAT"), ""),
            ],
        ),
    ],
};

pub fn main(arguments: Vec<OsString>) -> i32 {
    start(&TOOL, arguments, run)
}

fn run(parsed: &Parsed) -> ExitCode {
    let result = if parsed.has("list-standards")
        || parsed.has("list-ocf-providers")
        || parsed.has("list-agents")
        || parsed.has("list-ocf-alternatives")
        || parsed.has("show-metadata")
    {
        agents::run(parsed)
    } else if parsed.has("list") || parsed.has("list-raw") || parsed.has("list-cts") {
        query::list(parsed)
    } else if parsed.has("wait") {
        act::wait(parsed)
    } else if parsed.has("cleanup") {
        act::cleanup(parsed)
    } else if parsed.has("refresh") {
        act::refresh(parsed)
    } else if parsed.has("list-operations") || parsed.has("list-all-operations") {
        query::operations(parsed)
    } else if parsed.has("why") && parsed.value("resource").is_none() {
        query::why(parsed, None)
    } else {
        with_resource(parsed)
    };
    result.err().unwrap_or(ExitCode::OK)
}

const NEEDS_RESOURCE: &[&str] = &[
    "query-xml",
    "query-xml-raw",
    "locate",
    "constraints",
    "stack",
    "why",
    "get-parameter",
    "get-property",
    "set-parameter",
    "delete-parameter",
    "set-property",
    "fail",
    "delete",
    "move",
    "ban",
    "clear",
    "restart",
    "force-start",
    "force-stop",
    "force-check",
    "force-promote",
    "force-demote",
    "validate",
    "digests",
];

fn with_resource(parsed: &Parsed) -> Result<(), ExitCode> {
    let Some(command) = parsed.last_of(NEEDS_RESOURCE) else {
        // Nothing was asked for.
        err(&TOOL.help());
        return Err(ExitCode::USAGE);
    };
    if command == "clear" && parsed.has("expired") && parsed.value("resource").is_none() {
        return act::clear(parsed, None);
    }
    let Some(id) = parsed.value("resource") else {
        err("crm_resource: Must supply a resource id with -r");
        return Err(ExitCode::USAGE);
    };
    match command {
        "query-xml" | "query-xml-raw" => query::xml(parsed, id),
        "locate" => query::locate(parsed, id),
        "constraints" | "stack" => query::constraints(id),
        "why" => query::why(parsed, Some(id)),
        "get-parameter" => attribute::show(parsed, id),
        "set-parameter" => attribute::set(parsed, id),
        "delete-parameter" => attribute::delete(parsed, id),
        "get-property" => query::property(parsed, id),
        "set-property" => attribute::set_property(parsed, id),
        "fail" => act::fail(parsed, id),
        "delete" => attribute::delete_resource(parsed, id),
        "move" => act::place(parsed, id, false),
        "ban" => act::place(parsed, id, true),
        "clear" => act::clear(parsed, Some(id)),
        "restart" => act::restart(parsed, id),
        "digests" => Err(session::failed(ExitCode(3))),
        force => agents::force(id, force),
    }
}

/// Elements that are resources.
const KINDS: &[&str] = &["primitive", "group", "clone", "master", "bundle", "template"];

/// The resource, or the error that it does not exist (with the nearest id).
fn find(doc: &Document, id: &str) -> Result<NodeId, ExitCode> {
    let top = doc.root_element().path(&["configuration", "resources"]);
    let all = || top.into_iter().flat_map(Element::descendants).filter(|e| KINDS.contains(&e.name()));
    if let Some(found) = all().find(|e| e.attr("id") == Some(id)) {
        return Ok(found.id());
    }
    err(&format!("crm_resource: Resource '{id}' not found"));
    Err(session::failed(ExitCode::NOSUCH))
}

/// Ids of the primitives in a resource.
fn primitives(doc: &Document, node: NodeId) -> Vec<String> {
    doc.element(node)
        .descendants()
        .filter(|e| e.name() == "primitive")
        .filter_map(|e| e.attr("id").map(str::to_string))
        .collect()
}

/// Checks a node that the user named.
fn known_node(doc: &Document, name: Option<&str>) -> Result<(), ExitCode> {
    let Some(name) = name else { return Ok(()) };
    let mut nodes =
        doc.root_element().path(&["configuration", "nodes"]).into_iter().flat_map(|n| n.children());
    if nodes.any(|n| n.attr("uname") == Some(name)) {
        return Ok(());
    }
    err(&format!("crm_resource: Node '{name}' not found"));
    Err(session::failed(ExitCode::NOSUCH))
}

fn node_option(parsed: &Parsed) -> Option<&str> {
    parsed.value("node").or(parsed.value("host"))
}
