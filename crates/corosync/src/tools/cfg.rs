//! `corosync-cfgtool`: links, reload, shutdown.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clients::{Cfg, Cmap, Error, NodeStatus, ShutdownKind, Status};

use super::{EXIT_FAILURE, EXIT_OK, arguments, code};

const PROGRAM: &str = "corosync-cfgtool";
const USAGE: &str =
    "corosync-cfgtool [[-i <interface ip>] [-b] -s] [-R] [-L] [-k nodeid] [-a nodeid] [-h] [-H]

A tool for displaying and configuring active parameters within corosync.
options:
\t-i\tFinds only information about the specified interface IP address or link id when used with -s..
\t-s\tDisplays the status of the current links on this node.
\t-n\tDisplays the status of the connected nodes and their links.
\t-b\tDisplays the brief status of the current links on this node when used with -s.
\t-R\tTell all instances of corosync in this cluster to reload corosync.conf.
\t-L\tTell corosync to reopen all logging files.
\t-k\tKill a node identified by node id.
\t-a\tDisplay the IP address(es) of a node
\t-h\tPrint basic usage.
\t-H\tShutdown corosync cleanly on this node.
\t\t--force will shut down corosync regardless of daemon vetos
";
const LINKS_MAX: u8 = 8;

enum Action {
    Usage,
    Links,
    Nodes,
    Reload,
    ReopenLogs,
    Kill(u32),
    Shutdown,
    Addresses(u32),
}

/// The program.
#[must_use]
pub fn cfgtool(args: Vec<OsString>) -> i32 {
    let long = [
        ("if", 'i'),
        ("status", 's'),
        ("nodes", 'n'),
        ("brief", 'b'),
        ("reload", 'R'),
        ("reopen", 'L'),
        ("kill", 'k'),
        ("address", 'a'),
        ("shutdown", 'H'),
        ("force", 'F'),
    ];
    let parsed = match arguments::parse(PROGRAM, &args, "i:snbrRLk:a:hHF", &long) {
        Ok(parsed) => parsed,
        Err(problem) => {
            eprintln!("{problem}");
            return EXIT_FAILURE;
        }
    };
    let mut action = Action::Usage;
    let (mut brief, mut force) = (false, false);
    for (letter, value) in parsed.options {
        let node = || value.parse::<u32>().ok().filter(|id| *id > 0);
        match letter {
            's' => action = Action::Links,
            'n' => action = Action::Nodes,
            'b' => brief = true,
            'R' => action = Action::Reload,
            'L' => action = Action::ReopenLogs,
            'H' => action = Action::Shutdown,
            'F' => force = true,
            'k' | 'a' => {
                let Some(id) = node() else {
                    eprintln!("The nodeid was not valid, try a positive number");
                    return EXIT_FAILURE;
                };
                action = if letter == 'k' { Action::Kill(id) } else { Action::Addresses(id) };
            }
            _ => {}
        }
    }
    run(&action, brief, force)
}

fn run(action: &Action, brief: bool, force: bool) -> i32 {
    if matches!(action, Action::Usage) {
        print!("{USAGE}");
        return EXIT_OK;
    }
    match action {
        Action::Reload => println!("Reloading corosync.conf..."),
        Action::Kill(id) => println!("Killing node {id}"),
        _ => {}
    }
    let mut cfg = match Cfg::open() {
        Ok(cfg) => cfg,
        Err(error) => {
            match action {
                Action::Reload | Action::ReopenLogs => {
                    eprintln!("Could not initialize corosync configuration API error {}", code(&error).name())
                }
                _ => eprintln!("Could not initialize corosync configuration API error {}", code(&error).0),
            }
            return EXIT_FAILURE;
        }
    };
    match action {
        Action::Usage => EXIT_OK,
        Action::Links => status(&mut cfg, |view| print_links(view, brief)),
        Action::Nodes => status(&mut cfg, print_nodes),
        Action::Reload => reload(&mut cfg),
        Action::ReopenLogs => match cfg.reopen_logs() {
            Ok(()) => EXIT_OK,
            Err(error) => {
                eprintln!("Could not reopen corosync logging files. Error {}", code(&error).name());
                code(&error).0
            }
        },
        Action::Kill(id) => match cfg.kill_node(*id, "Killed by corosync-cfgtool") {
            Ok(()) => EXIT_OK,
            Err(error) => {
                eprintln!("Could not kill node (error = {})", code(&error).name());
                EXIT_FAILURE
            }
        },
        Action::Shutdown => shutdown(&mut cfg, force),
        Action::Addresses(id) => addresses(&mut cfg, *id),
    }
}

fn reload(cfg: &mut Cfg) -> i32 {
    match cfg.reload() {
        Ok(()) => {
            println!("Done");
            EXIT_OK
        }
        Err(error) => {
            eprintln!("Could not reload configuration. Error {}", code(&error).name());
            code(&error).0
        }
    }
}

fn shutdown(cfg: &mut Cfg, force: bool) -> i32 {
    println!("Shutting down corosync");
    let kind = if force { ShutdownKind::Regardless } else { ShutdownKind::Request };
    match cfg.try_shutdown(kind) {
        // The engine may be gone before its answer is read.
        Ok(()) | Err(Error::Disconnected) => EXIT_OK,
        Err(error) => {
            eprintln!("Could not shutdown (error = {})", code(&error).0);
            if code(&error) == Status::BUSY {
                eprintln!("A client objects, such as a running manager: pcs cluster stop, or -H --force");
            }
            EXIT_FAILURE
        }
    }
}

fn addresses(cfg: &mut Cfg, id: u32) -> i32 {
    match cfg.node_addresses(id) {
        Ok(addresses) => {
            let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            println!("{}", list.join(" "));
            EXIT_OK
        }
        Err(_) => {
            eprintln!("Could not get node address for nodeid {id}");
            EXIT_FAILURE
        }
    }
}

/// What `-s` and `-n` show.
struct StatusView {
    local: u32,
    transport: String,
    /// How each link is carried; empty for udp and udpu.
    link_transports: BTreeMap<u8, String>,
    /// What is wrong with links, by node and link, where the engine knows it.
    faults: BTreeMap<(u32, u8), String>,
    nodes: Vec<(u32, Option<NodeStatus>)>,
}

fn status(cfg: &mut Cfg, print: impl Fn(&StatusView)) -> i32 {
    match read_status(cfg) {
        Ok(view) => {
            println!("Local node ID {}, transport {}", view.local, view.transport);
            print(&view);
            EXIT_OK
        }
        Err(problem) => {
            eprintln!("{problem}");
            EXIT_FAILURE
        }
    }
}

fn read_status(cfg: &mut Cfg) -> Result<StatusView, String> {
    let mut cmap = Cmap::open()
        .map_err(|error| format!("Could not initialize corosync cmap API error {}", code(&error).0))?;
    let mut text =
        |key: &str| cmap.find(key).ok().flatten().and_then(|value| value.as_str().map(str::to_owned));
    let transport = text("totem.transport").unwrap_or_else(|| "knet".to_owned());
    let default = if transport == "knet" { "udp" } else { "" };
    let link_transports = (0..LINKS_MAX)
        .map(|link| {
            let name = text(&format!("totem.interface.{link}.knet_transport"));
            (link, name.unwrap_or_else(|| default.to_owned()))
        })
        .collect();
    let local = cfg
        .local_node()
        .map_err(|error| format!("Could not get the local node id, the error is: {}", code(&error).0))?;
    let keys = cmap
        .keys("nodelist.node.")
        .map_err(|error| format!("Could not get nodelist from cmap. error {}", code(&error).0))?;
    let mut ids: Vec<u32> = Vec::new();
    for key in keys.iter().filter(|key| key.ends_with(".nodeid")) {
        let id = cmap.find(key).ok().flatten().and_then(|value| value.as_u64());
        ids.extend(id.and_then(|id| u32::try_from(id).ok()));
    }
    if ids.is_empty() {
        return Err("No nodes found in nodelist".to_owned());
    }
    ids.sort_unstable();
    let mut nodes = Vec::new();
    for id in ids {
        let status = cfg.node_status(id);
        if let Err(error) = &status {
            let number = code(error).0;
            eprintln!("Could not get the node status for nodeid {id}, the error is: {number}");
        }
        nodes.push((id, status.ok()));
    }
    let faults = if transport == "knet" { read_faults() } else { BTreeMap::new() };
    Ok(StatusView { local, transport, link_transports, faults, nodes })
}

/// The engine's verdicts on links that are down. Only ours has them.
fn read_faults() -> BTreeMap<(u32, u8), String> {
    let Ok(mut cmap) = Cmap::open_map(clients::Map::Statistics) else { return BTreeMap::new() };
    let keys = cmap.keys("stats.knet.node").unwrap_or_default();
    let mut faults = BTreeMap::new();
    for key in keys.iter().filter(|key| key.ends_with(".fault")) {
        let place = key.trim_start_matches("stats.knet.node").trim_end_matches(".fault");
        let place =
            place.split_once(".link").and_then(|(node, link)| Some((node.parse().ok()?, link.parse().ok()?)));
        let text = cmap.find(key).ok().flatten().and_then(|value| value.as_str().map(str::to_owned));
        if let (Some(place), Some(text)) = (place, text) {
            faults.insert(place, text);
        }
    }
    faults
}

impl StatusView {
    /// What is wrong with a link, in brackets.
    fn fault(&self, node: u32, link: u8) -> String {
        self.faults.get(&(node, link)).map_or_else(String::new, |text| format!(" ({text})"))
    }
}

fn print_nodes(view: &StatusView) {
    for status in view.nodes.iter().filter_map(|(_, status)| status.as_ref()) {
        if !status.reachable || status.node == view.local {
            continue;
        }
        let remote = if status.remote { " remote" } else { "" };
        let external = if status.external { " external" } else { "" };
        let mut line = format!("nodeid: {} reachable{remote}{external}", status.node);
        // Engines that know no versions of the protocol report none.
        if view.transport == "knet" && status.wire_max > 0 {
            let versions = (status.wire_min, status.wire_max, status.wire_version);
            line += &format!("   onwire (min/max/cur): {}, {}, {}", versions.0, versions.1, versions.2);
        }
        println!("{line}");
        for link in status.links.iter().filter(|link| link.enabled) {
            let arrow = if view.transport == "knet" { "->" } else { "" };
            let carrier = view.link_transports.get(&link.link).map_or("", String::as_str);
            let connected = if link.connected { " connected" } else { "" };
            let dynamic = if link.dynamic_connected { " dynconnected" } else { "" };
            println!(
                "   LINK: {} {carrier} ({}{arrow}{}) enabled{connected}{dynamic} mtu: {}{}",
                link.link,
                link.source,
                link.destination,
                link.mtu,
                view.fault(status.node, link.link)
            );
        }
        println!();
    }
}

fn print_links(view: &StatusView, brief: bool) {
    // The own node has no links to itself; any other node's list shows which links there are.
    let Some((_, Some(other))) = view.nodes.iter().rfind(|(id, _)| *id != view.local) else { return };
    for link in other.links.iter().filter(|link| link.enabled) {
        let carrier = view.link_transports.get(&link.link).map_or("", String::as_str);
        println!("LINK ID {} {carrier}", link.link);
        println!("\taddr\t= {}", link.source);
        let of = |status: &Option<NodeStatus>| {
            let found = status.as_ref().and_then(|s| s.links.iter().find(|l| l.link == link.link));
            found.map_or((false, false), |found| (found.enabled, found.connected))
        };
        if brief {
            let letters: String = view
                .nodes
                .iter()
                .map(|(id, status)| match of(status) {
                    _ if *id == view.local => 'n',
                    (enabled, connected) => char::from(b'0' + u8::from(enabled) + 2 * u8::from(connected)),
                })
                .collect();
            println!("\tstatus\t= {letters}");
            continue;
        }
        println!("\tstatus:");
        for (id, status) in &view.nodes {
            let state = match of(status) {
                _ if *id == view.local => "localhost",
                (_, true) => "connected",
                (_, false) => "disconnected",
            };
            println!("\t\tnodeid: {id:>10}:\t{state}{}", view.fault(*id, link.link));
        }
    }
}
