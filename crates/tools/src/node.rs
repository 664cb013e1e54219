//! `crm_node` and `crmadmin`: nodes and controllers.

use std::ffi::OsString;

use base::ExitCode;
use cib::Operation;
use manager_client::{Attributes, Change, Controller, Error, Launcher};
use xml::Document;

use crate::options::{Parsed, Tool, Value, opt, start};
use crate::{err, out, session};

const NODE: Tool = Tool {
    name: "crm_node",
    about: "Show what the cluster layer knows of nodes.",
    rest: "",
    groups: &[
        (
            "Commands",
            &[
                opt("cluster-id", Some('i'), Value::None, "Id of this node"),
                opt("list", Some('l'), Value::None, "All known nodes"),
                opt("name", Some('n'), Value::None, "Name of this node"),
                opt("partition", Some('p'), Value::None, "Members of this node's partition"),
                opt("quorum", Some('q'), Value::None, "1 if this partition has quorum, 0 if not"),
                opt("name-for-id", Some('N'), Value::Required("ID"), "Name of the node with this id"),
                opt(
                    "remove",
                    Some('R'),
                    Value::Required("NAME"),
                    "Forget a node that has left for good (with --force)",
                ),
            ],
        ),
        (
            "Additional options",
            &[
                opt("force", Some('f'), Value::None, "Force the action"),
                opt("output-as", None, Value::Required("FORMAT"), ""),
            ],
        ),
    ],
};

pub fn crm_node(arguments: Vec<OsString>) -> i32 {
    start(&NODE, arguments, |parsed| node(parsed).err().unwrap_or(ExitCode::OK))
}

fn not_connected(error: &Error) -> ExitCode {
    match error {
        Error::NotConnected => err("error: Could not connect to controller: Connection refused"),
        other => err(&format!("error: Could not connect to controller: {other}")),
    }
    error.exit()
}

fn node(parsed: &Parsed) -> Result<(), ExitCode> {
    const COMMANDS: &[&str] = &["cluster-id", "list", "name", "partition", "quorum", "name-for-id", "remove"];
    let Some(command) = parsed.last_of(COMMANDS) else {
        err("crm_node: Must specify a command option");
        return Err(ExitCode::USAGE);
    };
    let mut controller = Controller::open("crm_node").map_err(|e| not_connected(&e))?;
    match command {
        "list" | "partition" => {
            let mut nodes = controller.nodes().map_err(|e| not_connected(&e))?;
            nodes.sort_by_key(|n| n.id.parse::<u64>().unwrap_or(u64::MAX));
            if command == "list" {
                nodes.iter().for_each(|n| out(&format!("{} {} {}", n.id, n.name, n.state)));
            } else {
                let members = nodes.iter().filter(|n| n.state == "member");
                out(&members.map(|n| format!("{} ", n.name)).collect::<String>());
            }
            Ok(())
        }
        "remove" => remove(parsed, &mut controller),
        _ => {
            let id = match parsed.value("name-for-id") {
                Some(text) => Some(text.parse::<u32>().map_err(|_| {
                    err(&format!("crm_node: Invalid ID: {text}"));
                    ExitCode(2)
                })?),
                None => None,
            };
            let info = controller.node_info(id).map_err(|e| not_connected(&e))?;
            match command {
                "cluster-id" => out(&info.id.to_string()),
                "quorum" => out(if info.quorate { "1" } else { "0" }),
                _ => match info.name {
                    Some(name) => out(&name),
                    None => {
                        err("Node is not known to cluster");
                        return Err(ExitCode::NOHOST);
                    }
                },
            }
            Ok(())
        }
    }
}

/// Removes a node from the memories of all daemons and from the configuration.
fn remove(parsed: &Parsed, controller: &mut Controller) -> Result<(), ExitCode> {
    let name = parsed.value("remove").unwrap_or_default();
    if !parsed.has("force") {
        err(
            "The supplied command is considered dangerous.  To prevent accidental destruction of the cluster, \
             the --force flag is required in order to proceed.",
        );
        return Err(ExitCode::USAGE);
    }
    let active = controller.nodes().map_err(|e| not_connected(&e))?;
    if active.iter().any(|n| (n.name == name || n.id == name) && n.state == "member") {
        err(&format!(
            "crm_node: Node {name} is still an active member of the cluster: stop the cluster there first"
        ));
        return Err(ExitCode(1));
    }
    controller.forget_node(None, name).map_err(|e| not_connected(&e))?;
    if let Ok(mut attributes) = Attributes::open("crm_node") {
        attributes.purge(name).map_err(|e| not_connected(&e))?;
    }
    let (mut cib, _) = session::load_cib("crm_node")?;
    for (section, element) in [("nodes", "node"), ("status", "node_state")] {
        let mut object = Document::new(element);
        let root = object.root();
        object.set_attr(root, "uname", name);
        let change =
            Change { operation: Operation::Delete, section: Some(section), input: Some(&object), options: 0 };
        match cib.change(&change) {
            Ok(_) => {}
            Err(error) if error.cib() == Some(base::CibError::NotFound) => {}
            Err(error) => {
                err(&format!("crm_node: Could not remove {name} from the CIB: {error}"));
                return Err(error.exit());
            }
        }
    }
    Ok(())
}

const ADMIN: Tool = Tool {
    name: "crmadmin",
    about: "Ask controllers.",
    rest: "",
    groups: &[
        (
            "Commands",
            &[
                opt("status", Some('S'), Value::Required("NODE"), "State of a node's controller"),
                opt("pacemakerd", Some('P'), Value::None, "State of the launcher on this node"),
                opt("dc_lookup", Some('D'), Value::None, "The node that coordinates"),
                opt("nodes", Some('N'), Value::Optional("TYPE"), "Nodes by type"),
                opt("election", Some('E'), Value::None, ""),
                opt("kill", Some('K'), Value::Required("NODE"), ""),
                opt("health", Some('H'), Value::None, ""),
            ],
        ),
        (
            "Additional options",
            &[
                opt("timeout", Some('t'), Value::Required("MS"), "Time for the call"),
                opt("bash-export", Some('B'), Value::None, "With --nodes: lines for a shell"),
                opt("ipc-name", Some('i'), Value::Required("NAME"), ""),
                opt("output-as", None, Value::Required("FORMAT"), ""),
            ],
        ),
    ],
};

pub fn crmadmin(arguments: Vec<OsString>) -> i32 {
    start(&ADMIN, arguments, |parsed| admin(parsed).err().unwrap_or(ExitCode::OK))
}

fn admin(parsed: &Parsed) -> Result<(), ExitCode> {
    let quiet = parsed.has("quiet");
    if parsed.has("dc_lookup") {
        let info =
            Controller::open("crmadmin").and_then(|mut c| c.ping(None)).map_err(|e| not_connected(&e))?;
        match info.host {
            Some(host) if quiet => out(&host),
            Some(host) => out(&format!("Designated Controller is: {host}")),
            None => {
                out("Designated Controller is: not yet elected");
                return Err(ExitCode::NOHOST);
            }
        }
        return Ok(());
    }
    if let Some(node) = parsed.value("status") {
        let info = Controller::open("crmadmin")
            .and_then(|mut c| c.ping(Some(node)))
            .map_err(|e| not_connected(&e))?;
        if quiet {
            out(&info.state);
        } else {
            out(&format!("Controller on {node} in state {}: {}", info.state, info.result));
        }
        return Ok(());
    }
    if parsed.has("pacemakerd") {
        let ping = Launcher::open("crmadmin").and_then(|mut l| l.ping()).map_err(|error| {
            err(&format!("error: Could not connect to launcher: {error}"));
            error.exit()
        })?;
        let seen = jiff::Timestamp::from_second(ping.last_good_s)
            .map(|t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
            .unwrap_or_default();
        if quiet {
            out(&ping.state);
        } else {
            out(&format!("Status of pacemakerd: '{}' (last updated {seen})", ping.state_text()));
        }
        return Ok(());
    }
    if parsed.has("nodes") {
        let (_, doc) = session::load_cib("crmadmin")?;
        let nodes = doc.root_element().path(&["configuration", "nodes"]);
        for node in nodes.into_iter().flat_map(|n| n.children_named("node")) {
            let (id, name) = (node.attr("id").unwrap_or_default(), node.attr("uname").unwrap_or_default());
            let kind = if node.attr("type") == Some("remote") { "remote" } else { "cluster" };
            if parsed.value("nodes").is_some_and(|t| t != "all" && t != kind) {
                continue;
            }
            if parsed.has("bash-export") {
                out(&format!("export {name}={id}"));
            } else {
                out(&format!("{kind} node: {name} ({id})"));
            }
        }
        return Ok(());
    }
    err("crmadmin: Must specify a command option");
    Err(ExitCode::USAGE)
}
