//! The resource list: primitives and groups.

use crate::tree::Item;
use crate::{Show, bundle, clone, nodes};
use base::ExitCode;
use scheduler::text::{numeric_cmp, parse_int, parse_op_key};
use scheduler::{Cluster, NodeIx, Role, RscIx, Variant, rf};
use std::collections::BTreeMap;
use xml::NodeId;

/// Whether a resource is left out because only others were asked for. `with_parent`: what it belongs
/// to counts as well (the reference's `is_filtered` methods, `lib/pengine`).
pub fn is_filtered(cluster: &Cluster, rsc: RscIx, show: &Show, with_parent: bool) -> bool {
    if show.only_rscs.is_empty() || names_self(cluster, rsc, show) {
        return false;
    }
    let r = &cluster.rscs[rsc];
    let shown = |part: RscIx| !is_filtered(cluster, part, show, false);
    match r.variant {
        Variant::Primitive => {
            let top = cluster.top_of(rsc, true);
            !with_parent || top == rsc || is_filtered(cluster, top, show, false)
        }
        Variant::Group => {
            let top = cluster.top_of(rsc, false);
            let by_parent = with_parent && show.names_rsc(cluster.printable_id(top));
            !by_parent && !r.children.iter().any(|c| shown(*c))
        }
        Variant::Clone => {
            !show.names_rsc(&clone::child_id(cluster, rsc)) && !r.children.iter().any(|c| shown(*c))
        }
        Variant::Bundle => {
            let replicas = r.bundle.iter().flat_map(|b| &b.replicas);
            !replicas.flat_map(bundle::parts).any(shown)
        }
    }
}

pub(crate) fn names_self(cluster: &Cluster, rsc: RscIx, show: &Show) -> bool {
    show.names_rsc(cluster.printable_id(rsc)) || show.names_rsc(&cluster.rscs[rsc].id)
}

/// Whether a resource is active, but on none of the wanted nodes.
pub(crate) fn elsewhere(cluster: &Cluster, rsc: RscIx, show: &Show) -> bool {
    let places = cluster.places(rsc, scheduler::at::CURRENT);
    !show.only_nodes.is_empty()
        && cluster.is_active(rsc, false)
        && !places.iter().any(|n| show.node(cluster.node_name(*n)))
}

/// Members of a group that are shown.
pub(crate) fn shown_members(cluster: &Cluster, group: RscIx, show: &Show) -> Vec<RscIx> {
    let named = names_self(cluster, group, show);
    let visible = |child: RscIx| {
        let wanted = !is_filtered(cluster, child, show, false);
        let itself = wanted && !show.only_rscs.is_empty();
        itself || ((wanted || named) && (show.inactive || cluster.is_active(child, false)))
    };
    cluster.rscs[group].children.iter().copied().filter(|c| visible(*c)).collect()
}

pub(crate) fn description<'a>(cluster: &'a Cluster, rsc: RscIx, show: &Show) -> Option<&'a str> {
    let xml = cluster.rscs[rsc].xml;
    cluster.doc.attr(xml, "description").filter(|_| show.description || show.rsc_only)
}

pub(crate) fn with_description(cluster: &Cluster, rsc: RscIx, show: &Show) -> String {
    description(cluster, rsc, show).map(|d| format!(" ({d})")).unwrap_or_default()
}

/// Standard, provider and type of an agent.
pub fn agent(cluster: &Cluster, rsc: RscIx) -> String {
    let r = &cluster.rscs[rsc];
    let class = r.class.as_deref().unwrap_or("unknown");
    let provider =
        r.provider.as_deref().filter(|_| class == "ocf").map(|p| format!(":{p}")).unwrap_or_default();
    format!("{class}{provider}:{}", r.agent.as_deref().unwrap_or("unknown"))
}

/// Current role, as shown.
pub(crate) fn shown_role(cluster: &Cluster, rsc: RscIx) -> Role {
    match cluster.rscs[rsc].role {
        Role::Started if cluster.rscs[cluster.top_of(rsc, false)].is(rf::PROMOTABLE) => Role::Unpromoted,
        role => role,
    }
}

/// Word for a state that is being changed.
pub(crate) fn shown_state(cluster: &Cluster, rsc: RscIx, show: &Show) -> &'static str {
    let pending = cluster.rscs[rsc].pending_action.as_deref().filter(|_| show.pending);
    match pending {
        Some("start") => "Starting",
        Some("stop") => "Stopping",
        Some("migrate_to" | "migrate_from") => "Migrating",
        Some("promote") => "Promoting",
        Some("demote") => "Demoting",
        _ => shown_role(cluster, rsc).text(),
    }
}

/// The failed probe of a resource on a node (any, if `None`) that only says that the resource cannot run there.
pub(crate) fn failed_probe(cluster: &Cluster, rsc: RscIx, node: Option<NodeIx>) -> Option<NodeId> {
    let top = cluster.top_of(rsc, false);
    let id =
        if cluster.is_clone(top) { clone::child_id(cluster, top) } else { cluster.rscs[rsc].id.to_string() };
    let name = node.map(|n| cluster.node_name(n));
    let fits = |op: NodeId| {
        cluster.is_masked_probe(op)
            && cluster
                .doc
                .attr(op, "on_node")
                .is_some_and(|n| name.is_none_or(|name| n.eq_ignore_ascii_case(name)))
            && parse_op_key(cluster.op_key_of(op)).is_some_and(|(rsc, _, _)| rsc == id)
    };
    cluster.failed.iter().map(|f| f.xml).find(|op| fits(*op))
}

pub(crate) fn exit_text(cluster: &Cluster, op: NodeId) -> &'static str {
    let code = cluster.doc.attr(op, "rc-code").and_then(parse_int).unwrap_or(0);
    ExitCode(code as i32).text()
}

fn role_text(cluster: &Cluster, rsc: RscIx, show: &Show) -> String {
    let r = &cluster.rscs[rsc];
    let mut out = String::new();
    if r.is(rf::REMOVED) {
        out += " ORPHANED";
    }
    let role = shown_role(cluster, rsc);
    if r.is(rf::FAILED) {
        out += " FAILED";
        if role > Role::Unpromoted {
            out += &format!(" {}", role.text());
        }
    } else {
        out += &format!(" {}", shown_state(cluster, rsc, show));
    }
    out
}

fn flags(cluster: &Cluster, rsc: RscIx, node: Option<NodeIx>, show: &Show) -> Vec<String> {
    let r = &cluster.rscs[rsc];
    let mut out = Vec::new();
    let mut add = |text: &str| out.push(text.to_string());
    if node.is_some_and(|n| !cluster.nodes[n].online && cluster.nodes[n].unclean) {
        add("UNCLEAN");
    }
    if node.is_some() && node == r.lock_node {
        add("LOCKED");
    }
    if show.pending && r.pending_action.as_deref() == Some("monitor") {
        add("Monitoring");
    }
    let target = r.meta.get("target-role");
    match Role::parse(target) {
        Role::Stopped => add("disabled"),
        Role::Unpromoted if cluster.rscs[cluster.top_of(rsc, false)].is(rf::PROMOTABLE) => {
            add(&format!("target-role:{}", target.unwrap_or("")));
        }
        _ => {}
    }
    if r.is(rf::BLOCKED) {
        add("blocked");
    } else if r.is(rf::MAINTENANCE) {
        add("maintenance");
    } else if !r.is(rf::MANAGED) {
        add("unmanaged");
    }
    if r.is(rf::IGNORE_FAILURE) {
        add("failure ignored");
    }
    out
}

/// The line for a primitive, under a name of the caller's choice.
pub fn primitive_line(
    cluster: &Cluster,
    rsc: RscIx,
    name: &str,
    node: Option<NodeIx>,
    show: &Show,
) -> String {
    let r = &cluster.rscs[rsc];
    let multiple = r.active_nodes.len() > 1;
    let node = if show.rsc_only || multiple { None } else { node.or(r.lock_node) };
    let mut out = format!("{name}\t({}):\t{}", agent(cluster, rsc), role_text(cluster, rsc, show));
    if let Some(node) = node {
        out += &format!(" {}", cluster.node_name(node));
    }
    if shown_role(cluster, rsc) == Role::Stopped
        && let Some(op) = failed_probe(cluster, rsc, node)
    {
        out += &format!(" ({}) ", exit_text(cluster, op));
    }
    let flags = flags(cluster, rsc, node, show);
    if !flags.is_empty() {
        out += &format!(" ({})", flags.join(", "));
    }
    if show.rsc_only || show.description || multiple {
        out += &cluster.doc.attr(r.xml, "description").map(|d| format!(" ({d})")).unwrap_or_default();
    }
    if multiple && !show.rsc_only {
        let names: Vec<&str> = r.active_nodes.iter().map(|n| cluster.node_name(*n)).collect();
        out += &format!(" [ {} ]", names.join(" "));
    }
    out
}

pub(crate) fn primitive_as(
    cluster: &Cluster,
    rsc: RscIx,
    name: &str,
    node: Option<NodeIx>,
    show: &Show,
) -> Option<Item> {
    let internal = scheduler::text::is_true(cluster.rscs[rsc].meta.get("internal_rsc"));
    if internal && !show.implicit {
        return None;
    }
    Some(Item::Line(primitive_line(cluster, rsc, name, node, show)))
}

fn primitive(cluster: &Cluster, rsc: RscIx, show: &Show) -> Option<Item> {
    let node = cluster.current_node(rsc).or(cluster.rscs[rsc].pending_node);
    primitive_as(cluster, rsc, cluster.printable_id(rsc), node, show)
}

fn group(cluster: &Cluster, rsc: RscIx, show: &Show) -> Option<Item> {
    let r = &cluster.rscs[rsc];
    let partly = cluster.is_active(rsc, false) && !cluster.is_active(rsc, true);
    let mut attrs = Vec::new();
    if partly && !show.inactive {
        let inactive = r.children.iter().filter(|c| !cluster.is_active(**c, true)).count();
        attrs.push(format!("{inactive} member{} inactive", if inactive == 1 { "" } else { "s" }));
    }
    attrs.extend(state_words(cluster, rsc));
    let attrs = if attrs.is_empty() { String::new() } else { format!(" ({})", attrs.join(", ")) };
    let title = format!("Resource Group: {}{attrs}{}", r.id, with_description(cluster, rsc, show));
    if show.brief {
        let children: Vec<RscIx> =
            r.children.iter().copied().filter(|c| !is_filtered(cluster, *c, show, true)).collect();
        let show = Show { inactive: true, ..show.clone() };
        return (!children.is_empty()).then(|| Item::list(title, brief(cluster, &children, &show)));
    }
    let children = shown_members(cluster, rsc, show);
    (!children.is_empty())
        .then(|| Item::list(title, children.iter().flat_map(|c| resource(cluster, *c, show)).collect()))
}

/// Words for what keeps a collective resource from being managed.
pub(crate) fn state_words(cluster: &Cluster, rsc: RscIx) -> Vec<String> {
    let mut out = Vec::new();
    if cluster.is_disabled(rsc) {
        out.push("disabled".to_string());
    }
    if cluster.rscs[rsc].is(rf::MAINTENANCE) {
        out.push("maintenance".to_string());
    } else if !cluster.rscs[rsc].is(rf::MANAGED) {
        out.push("unmanaged".to_string());
    }
    out
}

/// One resource, with what it consists of.
pub fn resource(cluster: &Cluster, rsc: RscIx, show: &Show) -> Option<Item> {
    if is_filtered(cluster, rsc, show, true) {
        return None;
    }
    match cluster.rscs[rsc].variant {
        Variant::Primitive => primitive(cluster, rsc, show),
        Variant::Group => group(cluster, rsc, show),
        Variant::Clone => clone::clone(cluster, rsc, show),
        Variant::Bundle => bundle::bundle(cluster, rsc, show),
    }
}

/// Numbers of primitives by agent and node.
pub(crate) fn brief(cluster: &Cluster, rscs: &[RscIx], show: &Show) -> Vec<Item> {
    let mut totals: BTreeMap<String, usize> = BTreeMap::new();
    let mut active: BTreeMap<(String, String), usize> = BTreeMap::new();
    for rsc in rscs.iter().copied().filter(|r| cluster.rscs[*r].variant == Variant::Primitive) {
        let agent = agent(cluster, rsc);
        *totals.entry(agent.clone()).or_default() += 1;
        for node in &cluster.rscs[rsc].active_nodes {
            let n = &cluster.nodes[*node];
            if n.unclean || n.online || !cluster.rscs[rsc].is(rf::MANAGED) {
                *active.entry((agent.clone(), n.name.to_string())).or_default() += 1;
            }
        }
    }
    let mut out = Vec::new();
    for (agent, total) in &totals {
        let mut places: Vec<_> = active.iter().filter(|((a, _), _)| a == agent).collect();
        places.sort_by(|((_, a), _), ((_, b), _)| numeric_cmp(a, b));
        let of = if show.inactive { format!("/{total}") } else { String::new() };
        for ((_, node), count) in &places {
            let node = if show.rsc_only { "" } else { node.as_str() };
            out.push(Item::line(format!("{count}{of}\t({agent}):\tActive {node}")));
        }
        if places.is_empty() && show.inactive {
            out.push(Item::line(format!("0{of}\t({agent}):\tActive")));
        }
    }
    out
}

fn is_listed(cluster: &Cluster, rsc: RscIx, show: &Show) -> bool {
    let (all, some) = (cluster.is_active(rsc, true), cluster.is_active(rsc, false));
    if cluster.rscs[rsc].is(rf::REMOVED) && !all {
        return false;
    }
    if show.by_node {
        return !all;
    }
    if show.brief && cluster.rscs[rsc].variant == Variant::Primitive {
        return false;
    }
    (some || show.inactive) && !elsewhere(cluster, rsc, show)
}

/// The resource list. `summary`: say so when it is empty.
pub fn list(cluster: &Cluster, show: &Show, summary: bool) -> Option<Item> {
    if show.by_node && !show.inactive {
        return None;
    }
    let mut items = Vec::new();
    let mut header = false;
    if show.brief && !show.by_node {
        let wanted: Vec<RscIx> =
            cluster.top.iter().copied().filter(|r| !is_filtered(cluster, *r, show, true)).collect();
        items = brief(cluster, &wanted, show);
        header = true;
    }
    for rsc in cluster.top.iter().copied().filter(|r| is_listed(cluster, *r, show)) {
        header = true;
        items.extend(resource(cluster, rsc, show));
    }
    let (title, none) = match (show.by_node, show.inactive) {
        (true, _) => ("Inactive Resources", "No inactive resources"),
        (_, true) => ("Full List of Resources", "No resources"),
        _ => ("Active Resources", "No active resources"),
    };
    if items.is_empty() && summary {
        items.push(Item::line(none));
        header = true;
    }
    header.then(|| Item::list(title, items))
}

/// Names of nodes, sorted, in brackets.
pub(crate) fn bracketed(cluster: &Cluster, nodes: &[NodeIx], show: &Show) -> Option<(String, usize)> {
    let wanted: Vec<NodeIx> = nodes.iter().copied().filter(|n| show.node(cluster.node_name(*n))).collect();
    let names = nodes::sorted_names(cluster, &wanted);
    (!names.is_empty()).then(|| (format!("[ {} ]", names.join(" ")), names.len()))
}
