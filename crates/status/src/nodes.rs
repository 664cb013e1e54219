//! The node list.

use crate::tree::Item;
use crate::{Show, resources};
use scheduler::text::numeric_cmp;
use scheduler::{Cluster, NodeIx, nf};

/// Condition of a node, from its health attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Red,
    Yellow,
    Green,
}

/// A node's condition.
pub fn health(cluster: &Cluster, node: NodeIx) -> Health {
    let strategy = cluster.option("node-health-strategy");
    let mut found = Health::Green;
    if strategy.eq_ignore_ascii_case("none") {
        return found;
    }
    let scores = &cluster.config.health;
    for (_, value) in cluster.nodes[node].attrs.iter().filter(|(name, _)| name.starts_with("#health")) {
        if value.eq_ignore_ascii_case("red") {
            return Health::Red;
        }
        if value.eq_ignore_ascii_case("yellow") {
            found = Health::Yellow;
            continue;
        }
        let Some(score) = cluster.parse_score(value) else { continue };
        if score <= scores.red {
            return Health::Red;
        }
        if score <= scores.yellow && scores.yellow != scores.green {
            found = Health::Yellow;
        }
    }
    found
}

/// A node's name, with its host (guests) and id if asked for.
pub fn display_name(cluster: &Cluster, node: NodeIx, detail: bool) -> String {
    let n = &cluster.nodes[node];
    let mut out = n.name.to_string();
    if !detail {
        return out;
    }
    if let Some(launcher) = cluster.guest_launcher(node) {
        let host = cluster.current_node(launcher).map_or("", |h| cluster.node_name(h));
        out += &format!("@{host}");
    }
    if !n.name.eq_ignore_ascii_case(&n.id) {
        out += &format!(" ({})", n.id);
    }
    out
}

/// A node's state in words.
pub fn state(cluster: &Cluster, node: NodeIx) -> &'static str {
    let n = &cluster.nodes[node];
    match (n.online, n.running.is_empty()) {
        (true, _) if n.unclean => "UNCLEAN (online)",
        _ if n.unclean && n.pending => "UNCLEAN (pending)",
        _ if n.unclean => "UNCLEAN (offline)",
        _ if n.pending => "pending",
        (true, _) if n.is(nf::FAIL_STANDBY) => "standby (on-fail)",
        (false, _) if n.is(nf::STANDBY) => "OFFLINE (standby)",
        (true, true) if n.is(nf::STANDBY) => "standby",
        (true, false) if n.is(nf::STANDBY) => "standby (with active resources)",
        (true, _) if n.maintenance => "maintenance",
        (false, _) if n.maintenance => "OFFLINE (maintenance)",
        (true, _) => "online",
        (false, _) => "OFFLINE",
    }
}

/// Feature set of a node, as far as it is of interest.
pub fn feature_set(cluster: &Cluster, node: NodeIx) -> Option<&str> {
    let n = &cluster.nodes[node];
    (n.online && n.is(nf::EXPECTED_UP) && !n.is_remote).then(|| n.attr("#feature-set").unwrap_or("<3.15.1"))
}

fn is_special(cluster: &Cluster, node: NodeIx, show: &Show) -> bool {
    let n = &cluster.nodes[node];
    n.unclean
        || n.pending
        || (n.is(nf::FAIL_STANDBY) && n.online)
        || n.is(nf::STANDBY)
        || n.maintenance
        || show.by_node
        || show.feature_set
        || health(cluster, node) != Health::Green
}

fn full_line(cluster: &Cluster, node: NodeIx, show: &Show) -> String {
    let kind = match (cluster.is_guest(node), cluster.nodes[node].is_remote) {
        (true, _) => "GuestNode",
        (_, true) => "RemoteNode",
        _ => "Node",
    };
    let mut line = format!("{kind} {}: {}", display_name(cluster, node, show.node_ids), state(cluster, node));
    match health(cluster, node) {
        Health::Red => line += " (health is RED)",
        Health::Yellow => line += " (health is YELLOW)",
        Health::Green => {}
    }
    if let Some(set) = feature_set(cluster, node).filter(|_| show.feature_set) {
        line += &format!(", feature set {set}");
    }
    line
}

fn full(cluster: &Cluster, node: NodeIx, show: &Show) -> Option<Item> {
    let line = full_line(cluster, node, show);
    if !show.by_node {
        return Some(Item::Line(line));
    }
    let running = &cluster.nodes[node].running;
    let show = Show { rsc_only: true, inactive: show.inactive && !show.brief, ..show.clone() };
    let items = if show.brief {
        let wanted: Vec<_> =
            running.iter().copied().filter(|r| !resources::is_filtered(cluster, *r, &show, true)).collect();
        if wanted.is_empty() {
            return None;
        }
        resources::brief(cluster, &wanted, &show)
    } else {
        running.iter().flat_map(|r| resources::resource(cluster, *r, &show)).collect()
    };
    Some(Item::list(line, vec![Item::list("Resources", items)]))
}

/// The node list; `None` when no node is to be shown.
pub fn list(cluster: &Cluster, show: &Show) -> Option<Item> {
    let mut items = Vec::new();
    let mut groups: [(&str, Vec<String>); 5] =
        ["Online", "OFFLINE", "RemoteOnline", "RemoteOFFLINE", "GuestOnline"]
            .map(|title| (title, Vec::new()));
    let mut any = false;
    for node in cluster.node_order.iter().copied().filter(|n| show.node(cluster.node_name(*n))) {
        any = true;
        if is_special(cluster, node, show) {
            items.extend(full(cluster, node, show));
            continue;
        }
        let n = &cluster.nodes[node];
        let group = match (cluster.is_guest(node), n.is_remote, n.online) {
            (true, _, true) => 4,
            (true, _, false) => continue,
            (_, true, online) => 3 - usize::from(online),
            (_, _, online) => 1 - usize::from(online),
        };
        if let Some((_, names)) = groups.get_mut(group) {
            names.push(display_name(cluster, node, show.node_ids));
        }
    }
    for (title, names) in groups.iter().filter(|(_, names)| !names.is_empty()) {
        items.push(Item::line(format!("{title}: [ {} ]", names.join(" "))));
    }
    any.then(|| Item::list("Node List", items))
}

/// Names of nodes, sorted as the listings sort them.
pub(crate) fn sorted_names(cluster: &Cluster, nodes: &[NodeIx]) -> Vec<String> {
    let mut names: Vec<String> = nodes.iter().map(|n| cluster.node_name(*n).to_string()).collect();
    names.sort_by(|a, b| numeric_cmp(a, b));
    names
}
