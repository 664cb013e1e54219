//! The parts of the display, in their order.

use crate::tree::Item;
use crate::{Outside, Sections, Show, nodes, resources, time_text};
use base::ExitCode;
use scheduler::text::{parse_int, parse_op_key, parse_uint, readable_interval};
use scheduler::{Cluster, NoQuorum, NodeIx, Role, RscIx, Variant, rf};
use xml::NodeId;

/// The wanted parts, as a tree, with empty lines between them.
pub fn sections(cluster: &mut Cluster, show: &Show, wanted: &Sections, outside: &Outside) -> Vec<Item> {
    if (wanted.bans || wanted.tickets) && cluster.locations.is_empty() {
        cluster.unpack_constraints();
    }
    let show = &show.without_tags(cluster);
    let mut parts = Vec::new();
    let when = |on: bool, part: &mut dyn FnMut() -> Option<Item>| if on { part() } else { None };
    parts.extend(summary(cluster, show, wanted, outside));
    parts.extend(when(wanted.maintenance, &mut || maintenance(cluster)));
    parts.extend(when(wanted.nodes, &mut || nodes::list(cluster, show)));
    parts.extend(when(wanted.resources, &mut || resources::list(cluster, show, true)));
    parts.extend(when(wanted.attributes, &mut || attributes(cluster, show)));
    if wanted.operations || wanted.failcounts {
        parts.extend(history(cluster, show, wanted.operations));
    }
    parts.extend(when(wanted.failures, &mut || failures(cluster, show)));
    parts.extend(when(wanted.tickets, &mut || tickets(cluster)));
    parts.extend(when(wanted.bans, &mut || bans(cluster, show)));
    let mut out = Vec::new();
    for part in parts {
        // A notice brings its own empty line.
        if !out.is_empty() && !matches!(part, Item::Raw(_)) {
            out.push(Item::Space);
        }
        out.push(part);
    }
    out
}

/// Numbers of resource instances: all, disabled, blocked.
pub fn counts(cluster: &Cluster) -> (usize, usize, usize) {
    let mut total = (0, 0, 0);
    cluster.top.iter().for_each(|r| count(cluster, *r, &mut total));
    total
}

fn count(cluster: &Cluster, rsc: RscIx, total: &mut (usize, usize, usize)) {
    let r = &cluster.rscs[rsc];
    if let Some(data) = &r.bundle {
        data.replicas.iter().flat_map(crate::bundle::parts).for_each(|p| count(cluster, p, total));
    } else if !r.children.is_empty() {
        r.children.iter().for_each(|c| count(cluster, *c, total));
    } else if !r.is(rf::REMOVED) || r.role > Role::Stopped {
        total.0 += 1;
        total.1 += usize::from(cluster.is_disabled(rsc));
        total.2 += usize::from(r.is(rf::BLOCKED));
    }
}

pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

pub(crate) fn local_time(cluster: &Cluster, epoch_s: i64) -> String {
    time_text(epoch_s, cluster.opts.zone)
}

/// The first `<nvpair>` of this name, wherever it is.
pub(crate) fn any_option<'a>(cluster: &'a Cluster, name: &str) -> Option<&'a str> {
    let pair = cluster
        .doc
        .root_element()
        .descendants()
        .find(|e| e.name() == "nvpair" && e.attr("name") == Some(name));
    pair.and_then(|e| e.attr("value"))
}

/// Whether nodes run different versions.
pub(crate) fn is_mixed(cluster: &Cluster) -> bool {
    let mut sets = cluster.node_order.iter().filter_map(|n| nodes::feature_set(cluster, *n));
    let first = sets.next();
    sets.any(|set| Some(set) != first)
}

fn dc_line(cluster: &Cluster, show: &Show) -> String {
    let Some(dc) = cluster.dc else { return "Current DC: NONE".to_string() };
    let version = any_option(cluster, "dc-version").unwrap_or("unknown");
    let mixed = if is_mixed(cluster) { "MIXED-VERSION " } else { "" };
    let with = if cluster.config.quorate { "with" } else { "WITHOUT" };
    let name = nodes::display_name(cluster, dc, show.node_ids);
    format!("Current DC: {name} (version {version}) - {mixed}partition {with} quorum")
}

/// Who changed the configuration last.
fn last_change(cluster: &Cluster) -> String {
    let attr = |name: &str| cluster.doc.attr(cluster.doc.root(), name);
    let mut out = attr("cib-last-written").unwrap_or("").to_string();
    for (word, name) in [("by", "update-user"), ("via", "update-client"), ("on", "update-origin")] {
        out += &attr(name).map(|value| format!(" {word} {value}")).unwrap_or_default();
    }
    out
}

fn counts_line(cluster: &Cluster) -> String {
    let (total, disabled, blocked) = counts(cluster);
    let details = match (disabled, blocked) {
        (0, 0) => String::new(),
        (_, 0) => format!(" ({disabled} DISABLED)"),
        (0, _) => format!(" ({blocked} BLOCKED from further action due to failure)"),
        _ => format!(" ({disabled} DISABLED, {blocked} BLOCKED from further action due to failure)"),
    };
    format!("{total} resource instance{} configured{details}", plural(total))
}

fn option_lines(cluster: &Cluster) -> Vec<String> {
    let fencing = if cluster.config.fencing_enabled { "enabled" } else { "disabled" };
    let kind = if cluster.config.symmetric { "symmetric" } else { "asymmetric" };
    let policy = match cluster.config.no_quorum {
        NoQuorum::Freeze => "Freeze resources",
        NoQuorum::Stop => "Stop ALL resources",
        NoQuorum::Demote => "Demote promotable resources and stop all other resources",
        NoQuorum::Ignore => "Ignore",
        NoQuorum::Fence => "Fence nodes in partition",
    };
    vec![
        format!("Fencing of failed nodes {fencing}"),
        format!("Cluster is {kind}"),
        format!("No quorum policy: {policy}"),
    ]
}

fn summary(cluster: &Cluster, show: &Show, wanted: &Sections, outside: &Outside) -> Option<Item> {
    let mut lines = Vec::new();
    if wanted.stack {
        let stack = any_option(cluster, "cluster-infrastructure").unwrap_or("unknown");
        let state = outside.manager_state.as_ref().map(|s| format!(" ({s})")).unwrap_or_default();
        lines.push(format!("Stack: {stack}{state}"));
    }
    if wanted.dc {
        lines.push(dc_line(cluster, show));
    }
    if wanted.times {
        let here = outside.local_node.as_ref().map(|n| format!(" on {n}")).unwrap_or_default();
        lines.push(format!("Last updated: {}{here}", local_time(cluster, cluster.opts.now_s)));
        lines.push(format!("Last change:  {}", last_change(cluster)));
    }
    if wanted.counts {
        let nodes = cluster.nodes.len();
        lines.push(format!("{nodes} node{} configured", plural(nodes)));
        lines.push(counts_line(cluster));
    }
    if wanted.options {
        lines.extend(option_lines(cluster));
    }
    (!lines.is_empty()).then(|| Item::list("Cluster Summary", lines.into_iter().map(Item::Line).collect()))
}

/// Notice that the cluster manages nothing.
pub fn maintenance(cluster: &Cluster) -> Option<Item> {
    let lines = match (cluster.config.maintenance, cluster.config.stop_all) {
        (true, _) => [
            "\n              *** Resource management is DISABLED ***",
            "  The cluster will not attempt to start, stop or recover services",
        ],
        (_, true) => {
            ["\n    *** Resource management is DISABLED ***", "  The cluster will keep all resources stopped"]
        }
        _ => return None,
    };
    Some(Item::Raw(lines.join("\n")))
}

/// Node attributes that say nothing to people.
const HIDDEN_ATTRIBUTES: [&str; 6] = ["fail-count", "last-failure", "shutdown", "terminate", "standby", "#"];

pub(crate) fn shown_attributes(cluster: &Cluster, node: NodeIx) -> Vec<(String, String)> {
    let hidden = |name: &str| HIDDEN_ATTRIBUTES.iter().any(|prefix| name.starts_with(prefix));
    let attrs = cluster.nodes[node].attrs.iter();
    let mut shown: Vec<(String, String)> = attrs
        .filter(|(name, _)| !hidden(name))
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    shown.sort();
    shown
}

/// What a ping resource on the node should have put into an attribute.
pub(crate) fn expected_score(cluster: &Cluster, node: NodeIx, attr: &str) -> Option<i32> {
    for rsc in &cluster.nodes[node].running {
        let r = &cluster.rscs[*rsc];
        if !matches!(r.agent.as_deref(), Some("ping" | "pingd")) {
            continue;
        }
        let param = |name: &str| {
            let sets = cluster.doc.element(r.xml).children_named("instance_attributes");
            sets.flat_map(|s| s.children_named("nvpair"))
                .find(|p| p.attr("name") == Some(name))?
                .attr("value")
        };
        if param("name").unwrap_or("pingd").eq_ignore_ascii_case(attr) {
            let hosts = param("host_list").map_or(0, |h| h.split(' ').count()) as i64;
            let each = param("multiplier").and_then(parse_int).unwrap_or(1);
            return Some(hosts.saturating_mul(each) as i32);
        }
    }
    None
}

fn attributes(cluster: &Cluster, show: &Show) -> Option<Item> {
    let mut lists = Vec::new();
    for node in cluster.node_order.iter().copied() {
        let attrs = shown_attributes(cluster, node);
        if !cluster.nodes[node].online || attrs.is_empty() || !show.node(cluster.node_name(node)) {
            continue;
        }
        let line = |(name, value): &(String, String)| {
            let note = expected_score(cluster, node, name).map(|expected| {
                let found = parse_int(value).unwrap_or(0);
                match found {
                    ..=0 => "\t: Connectivity is lost".to_string(),
                    found if found < i64::from(expected) => {
                        format!("\t: Connectivity is degraded (Expected={expected})")
                    }
                    _ => String::new(),
                }
            });
            Item::line(format!("{name:<32}\t: {value:<10}{}", note.unwrap_or_default()))
        };
        let name = nodes::display_name(cluster, node, show.node_ids);
        lists.push(Item::list(format!("Node: {name}"), attrs.iter().map(line).collect()));
    }
    (!lists.is_empty()).then(|| Item::list("Node Attributes", lists))
}

/// One resource's history on a node.
pub(crate) struct RscHistory {
    pub rsc: RscIx,
    pub id: String,
    pub fail_count: i32,
    pub last_failure_s: i64,
    /// Operations that succeeded or failed, oldest first.
    pub ops: Vec<NodeId>,
}

/// Histories of all nodes that are online.
pub(crate) fn histories(
    cluster: &mut Cluster,
    show: &Show,
    operations: bool,
) -> Vec<(NodeIx, Vec<RscHistory>)> {
    let doc = cluster.doc.clone();
    let mut out = Vec::new();
    let Some(status) = doc.root_element().child("status") else { return out };
    for state in status.children_named("node_state") {
        let node = state.attr("id").and_then(|id| cluster.find_node_id(id));
        let Some(node) = node.filter(|n| cluster.nodes[*n].online && show.node(cluster.node_name(*n))) else {
            continue;
        };
        let entries = state.path(&["lrm", "lrm_resources"]);
        let entries: Vec<_> = entries.iter().flat_map(|e| e.children_named("lrm_resource")).collect();
        let mut list = Vec::new();
        for entry in entries {
            let Some(id) = entry.attr("id") else { continue };
            let Some(rsc) = cluster.find_rsc(id).filter(|r| has_shown_history(cluster, *r, show)) else {
                continue;
            };
            let (fail_count, last_failure_s) = cluster.failures(node, rsc);
            let ops = shown_ops(cluster, entry.id());
            if if operations { !ops.is_empty() } else { fail_count > 0 } {
                let id = if operations { cluster.printable_id(rsc).to_string() } else { id.to_string() };
                list.push(RscHistory { rsc, id, fail_count, last_failure_s, ops });
            }
        }
        out.push((node, list));
    }
    out
}

/// Members of a group are shown when they or the group are named: their own names do not count as
/// their group's.
fn has_shown_history(cluster: &Cluster, rsc: RscIx, show: &Show) -> bool {
    let top = cluster.top_of(rsc, false);
    if cluster.rscs[top].variant != Variant::Group {
        return !resources::is_filtered(cluster, rsc, show, true);
    }
    [rsc, top].into_iter().any(|r| show.names_rsc(cluster.printable_id(r)))
}

fn shown_ops(cluster: &Cluster, entry: NodeId) -> Vec<NodeId> {
    let attr = |op: NodeId, name: &str| cluster.doc.attr(op, name);
    let call = |op: NodeId| attr(op, "call-id").and_then(parse_int).unwrap_or(0);
    let mut ops: Vec<NodeId> = cluster
        .doc
        .element(entry)
        .children_named("lrm_rsc_op")
        .map(|e| e.id())
        .filter(|op| {
            let task = attr(*op, "operation");
            let probe = task == Some("monitor") && attr(*op, "interval").is_none_or(|i| i == "0");
            let silent = probe && attr(*op, "rc-code") == Some("7");
            task != Some("notify") && !silent
        })
        .collect();
    ops.sort_by_key(|op| call(*op));
    ops
}

fn history_title(cluster: &Cluster, of: &RscHistory) -> String {
    let mut out = format!("{}: migration-threshold={}", of.id, cluster.rscs[of.rsc].migration_threshold);
    if of.fail_count > 0 {
        out += &format!(" fail-count={}", of.fail_count);
    }
    if of.last_failure_s > 0 {
        out += &format!(" last-failure='{}'", local_time(cluster, of.last_failure_s));
    }
    out
}

/// Task of an operation, as shown.
pub(crate) fn op_task(cluster: &Cluster, op: NodeId) -> &str {
    let attr = |name: &str| cluster.doc.attr(op, name);
    match attr("operation") {
        Some("monitor") if attr("interval").is_none_or(|i| i == "0") => "probe",
        task => task.unwrap_or(""),
    }
}

fn op_line(cluster: &Cluster, op: NodeId, show: &Show) -> String {
    let attr = |name: &str| cluster.doc.attr(op, name);
    let interval = attr("interval").filter(|i| *i != "0").map(|i| format!(" interval=\"{i}ms\""));
    let mut out = format!("({}) {}", attr("call-id").unwrap_or("(null)"), op_task(cluster, op));
    if !show.timing {
        out += &interval.map(|i| format!(":{i}")).unwrap_or_default();
        return out;
    }
    out += &format!(":{}", interval.unwrap_or_default());
    if let Some(when) = attr("last-rc-change").and_then(parse_int).filter(|t| *t > 0) {
        out += &format!(" last-rc-change=\"{}\"", local_time(cluster, when));
    }
    for name in ["exec-time", "queue-time"] {
        out += &attr(name).map(|value| format!(" {name}=\"{value}ms\"")).unwrap_or_default();
    }
    let rc = attr("rc-code").and_then(parse_int).unwrap_or(0) as i32;
    out + &format!(" rc={rc} ({})", ExitCode(rc).text())
}

fn history(cluster: &mut Cluster, show: &Show, operations: bool) -> Option<Item> {
    let histories = histories(cluster, show, operations);
    let title = if operations { "Operations" } else { "Migration Summary" };
    let any = !histories.is_empty();
    let mut lists = Vec::new();
    for (node, list) in histories.into_iter().filter(|(_, list)| !list.is_empty()) {
        let entry = |of: &RscHistory| {
            let title = history_title(cluster, of);
            match operations {
                true => Item::list(
                    title,
                    of.ops.iter().map(|op| Item::Line(op_line(cluster, *op, show))).collect(),
                ),
                false => Item::Line(title),
            }
        };
        let name = nodes::display_name(cluster, node, show.node_ids);
        lists.push(Item::list(format!("Node: {name}"), list.iter().map(entry).collect()));
    }
    any.then(|| Item::list(title, lists))
}

/// What an execution status means, in the words of Pacemaker 3.0 (2.1 wrote some of them in other letters).
pub(crate) fn status_text(status: i64) -> &'static str {
    match status {
        -1 => "Pending",
        0 => "Done",
        1 => "Cancelled",
        2 => "Timed out",
        3 => "Unsupported",
        4 => "Error",
        5 => "Hard error",
        6 => "Fatal error",
        7 => "Not installed",
        8 => "Internal communication failure",
        9 => "Cannot execute now",
        10 => "No fence device",
        11 => "CIB secrets unavailable",
        _ => "Unrecognized status (bug?)",
    }
}

fn failure_line(cluster: &Cluster, op: NodeId, node: &str) -> String {
    let attr = |name: &str| cluster.doc.attr(op, name).filter(|v| !v.is_empty());
    let number = |name: &str| attr(name).and_then(parse_int).unwrap_or(0);
    let (rsc, task, interval) =
        parse_op_key(cluster.op_key_of(op)).unwrap_or(("unknown resource", "unknown action", 0));
    let mut out = format!("{rsc} ");
    if interval != 0 {
        out += &format!("{}-interval ", readable_interval(interval));
    }
    let task = if task == "monitor" && interval == 0 { "probe" } else { task };
    out += &format!("{task} on {node}");
    let reason = attr("exit-reason");
    if number("op-status") == 0 {
        out += &format!(" returned '{}'", ExitCode(number("rc-code") as i32).text());
        out += &reason.map(|r| format!(" ({r})")).unwrap_or_default();
    } else {
        let reason = reason.map(|r| format!(": {r}")).unwrap_or_default();
        out += &format!(" could not be executed ({}{reason})", status_text(number("op-status")));
    }
    if let Some(when) = attr("last-rc-change").and_then(parse_int) {
        out += &format!(" at {}", local_time(cluster, when));
    }
    let exec = parse_uint(attr("exec-time"));
    if exec > 0 {
        out += &format!(" after {}", readable_interval(exec));
    }
    out
}

fn failure_details(cluster: &Cluster, op: NodeId, node: &str) -> String {
    let attr = |name: &str| cluster.doc.attr(op, name).filter(|v| !v.is_empty());
    let number = |name: &str| attr(name).and_then(parse_int).unwrap_or(0);
    let rc = number("rc-code") as i32;
    let mut out = format!(
        "{} on {node} '{}' ({rc}): call={}, status='{}'",
        cluster.op_key_of(op),
        ExitCode(rc).text(),
        attr("call-id").unwrap_or("unknown"),
        status_text(number("op-status")),
    );
    out += &attr("exit-reason").map(|r| format!(", exitreason='{r}'")).unwrap_or_default();
    if let Some(when) = attr("last-rc-change").and_then(parse_int) {
        out += &format!(", last-rc-change='{}'", local_time(cluster, when));
    }
    out += &attr("queue-time").map(|t| format!(", queued={t}ms")).unwrap_or_default();
    out + &attr("exec-time").map(|t| format!(", exec={t}ms")).unwrap_or_default()
}

/// Failed operations that are to be shown, with their nodes.
pub(crate) fn shown_failures(cluster: &Cluster, show: &Show) -> Vec<(NodeId, String)> {
    let fits = |op: NodeId, node: &str| {
        let rsc = parse_op_key(cluster.op_key_of(op)).map(|(rsc, _, _)| rsc);
        show.node(node) && !cluster.is_masked_probe(op) && rsc.is_some_and(|r| show.names_rsc(r))
    };
    let failed = cluster.failed.iter().filter(|f| fits(f.xml, &f.node));
    failed.map(|f| (f.xml, f.node.to_string())).collect()
}

fn failures(cluster: &Cluster, show: &Show) -> Option<Item> {
    let line = |(op, node): &(NodeId, String)| match show.failed_detail {
        true => Item::Line(failure_details(cluster, *op, node)),
        false => Item::Line(failure_line(cluster, *op, node)),
    };
    let lines: Vec<Item> = shown_failures(cluster, show).iter().map(line).collect();
    (!lines.is_empty()).then(|| Item::list("Failed Resource Actions", lines))
}

fn tickets(cluster: &Cluster) -> Option<Item> {
    let line = |t: &scheduler::Ticket| {
        let state = if t.granted { "granted" } else { "revoked" };
        let standby = if t.standby { " [standby]" } else { "" };
        let last = match t.last_granted {
            when @ 0.. => format!(" last-granted=\"{}\"", local_time(cluster, when)),
            _ => String::new(),
        };
        Item::line(format!("{}\t{state}{standby}{last}", t.id))
    };
    (!cluster.tickets.is_empty()).then(|| Item::list("Tickets", cluster.tickets.iter().map(line).collect()))
}

/// Constraints that keep a resource off a node: id, resource, node, score, whether only a role.
pub(crate) fn shown_bans(cluster: &Cluster, show: &Show) -> Vec<(String, String, NodeIx, i32, bool)> {
    let mut out = Vec::new();
    for location in cluster.locations.iter() {
        let top = cluster.top_of(location.rsc, false);
        let named = [location.rsc, top].iter().any(|r| show.names_rsc(cluster.printable_id(*r)));
        if !location.id.starts_with(&show.ban_prefix) || !named {
            continue;
        }
        let rsc = cluster.rscs[location.rsc].id.to_string();
        for (node, slot) in location.nodes.iter().filter(|(_, slot)| slot.score < 0) {
            let promoted = location.role_filter == Role::Promoted;
            out.push((location.id.to_string(), rsc.clone(), *node, slot.score, promoted));
        }
    }
    out
}

fn bans(cluster: &Cluster, show: &Show) -> Option<Item> {
    let line = |(id, rsc, node, _, promoted): &(String, String, NodeIx, i32, bool)| {
        let role = if *promoted { "in Promoted role " } else { "" };
        let node = nodes::display_name(cluster, *node, show.node_ids);
        Item::line(format!("{id}\tprevents {rsc} from running {role}on {node}"))
    };
    let lines: Vec<Item> = shown_bans(cluster, show).iter().map(line).collect();
    (!lines.is_empty()).then(|| Item::list("Negative Location Constraints", lines))
}
