//! Clones in the resource list.

use crate::tree::Item;
use crate::{Show, nodes, resources};
use scheduler::{Cluster, NodeIx, Role, RscIx, at, rf};
use std::collections::BTreeMap;

/// Id of the resource that a clone multiplies.
pub fn child_id(cluster: &Cluster, rsc: RscIx) -> String {
    let xml = cluster.rscs[rsc].clone.as_ref().and_then(|c| c.child_xml);
    xml.and_then(|x| cluster.doc.attr(x, "id")).unwrap_or("").to_string()
}

fn title(cluster: &Cluster, rsc: RscIx, show: &Show) -> String {
    let r = &cluster.rscs[rsc];
    let mut words = Vec::new();
    if r.is(rf::PROMOTABLE) {
        words.push("promotable".to_string());
    }
    if r.is(rf::UNIQUE) {
        words.push("unique".to_string());
    }
    words.extend(resources::state_words(cluster, rsc));
    let words = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
    let description = resources::with_description(cluster, rsc, show);
    format!("Clone Set: {} [{}]{words}{description}", r.id, child_id(cluster, rsc))
}

/// Target role of a clone or, failing that, of its first instance.
pub(crate) fn configured_role(cluster: &Cluster, rsc: RscIx) -> Option<&str> {
    let r = &cluster.rscs[rsc];
    let first = || r.children.first().and_then(|c| cluster.rscs[*c].meta.get("target-role"));
    r.meta.get("target-role").or_else(first)
}

/// How an instance is shown.
enum Place {
    Full,
    Promoted(NodeIx),
    Started(NodeIx),
    Stopped,
    Hidden,
}

fn place(cluster: &Cluster, rsc: RscIx, child: RscIx, show: &Show) -> Place {
    let (r, c) = (&cluster.rscs[rsc], &cluster.rscs[child]);
    let some = cluster.is_active(child, false);
    if r.is(rf::UNIQUE) {
        let shown = some || !r.is(rf::REMOVED) || show.clone_detail;
        return if shown { Place::Full } else { Place::Hidden };
    }
    if show.pending && c.pending_action.as_deref().is_some_and(|a| a != "probe") {
        return Place::Full;
    }
    if !some {
        return match (show.clone_detail, c.is(rf::REMOVED), show.inactive) {
            (true, _, _) => Place::Full,
            (_, false, true) => Place::Stopped,
            _ => Place::Hidden,
        };
    }
    let odd = cluster.flag_recursive(child, rf::REMOVED, true)
        || !cluster.flag_recursive(child, rf::MANAGED, false)
        || cluster.flag_recursive(child, rf::FAILED, true);
    if show.clone_detail || odd || !cluster.is_active(child, true) {
        return Place::Full;
    }
    match cluster.place(child, at::CURRENT) {
        Some(node) if !cluster.nodes[node].online && cluster.nodes[node].unclean => Place::Full,
        Some(node) if cluster.role_of(child, true) > Role::Unpromoted => Place::Promoted(node),
        Some(node) => Place::Started(node),
        None => Place::Full,
    }
}

/// Nodes on which nothing of a clone runs, by what is said about them.
fn stopped(cluster: &Cluster, rsc: RscIx, show: &Show) -> BTreeMap<String, Vec<NodeIx>> {
    let r = &cluster.rscs[rsc];
    let mut known = scheduler::row_nodes(&r.allowed);
    if known.is_empty() {
        known = cluster.nodes.indices().filter(|n| r.probed_on(*n)).collect();
    }
    let disabled = Role::parse(configured_role(cluster, rsc)) == Role::Stopped;
    let mut out: BTreeMap<String, Vec<NodeIx>> = BTreeMap::new();
    for node in known {
        if r.active_nodes.contains(&node) || !show.node(cluster.node_name(node)) {
            continue;
        }
        let state = match resources::failed_probe(cluster, rsc, Some(node)) {
            Some(op) => format!("Stopped ({})", resources::exit_text(cluster, op)),
            None if disabled => "Stopped (disabled)".to_string(),
            None => "Stopped".to_string(),
        };
        out.entry(state).or_default().push(node);
    }
    out
}

fn unpromoted_title(cluster: &Cluster, rsc: RscIx) -> &'static str {
    match (cluster.rscs[rsc].is(rf::PROMOTABLE), Role::parse(configured_role(cluster, rsc))) {
        (false, _) => "Started",
        (_, Role::Unpromoted) => "Unpromoted (target-role)",
        _ => "Unpromoted",
    }
}

pub(crate) fn clone(cluster: &Cluster, rsc: RscIx, show: &Show) -> Option<Item> {
    let r = &cluster.rscs[rsc];
    let whole = resources::names_self(cluster, rsc, show);
    let all = Show { only_rscs: Vec::new(), ..show.clone() };
    let (mut items, mut promoted, mut started, mut stopped_ids) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut header = false;
    for child in r.children.iter().copied() {
        if resources::elsewhere(cluster, child, show) || resources::is_filtered(cluster, child, show, whole) {
            continue;
        }
        match place(cluster, rsc, child, show) {
            Place::Full => {
                header = true;
                items.extend(resources::resource(cluster, child, &all));
            }
            Place::Promoted(node) => promoted.push(node),
            Place::Started(node) => started.push(node),
            Place::Stopped => stopped_ids.push(cluster.rscs[child].id.to_string()),
            Place::Hidden => {}
        }
    }
    let title = title(cluster, rsc, show);
    if show.clone_detail {
        return header.then(|| Item::list(title, items));
    }
    let mut active = 0;
    let lists = [("Promoted", promoted), (unpromoted_title(cluster, rsc), started)];
    for (word, nodes) in &lists {
        if let Some((names, count)) = resources::bracketed(cluster, nodes, show) {
            active += count;
            items.push(Item::line(format!("{word}: {names}")));
        }
    }
    if show.inactive {
        items.extend(stopped_items(cluster, rsc, show, active, stopped_ids));
        header |= active == 0;
    }
    (header || !items.is_empty()).then(|| Item::list(title, items))
}

fn stopped_items(
    cluster: &Cluster,
    rsc: RscIx,
    show: &Show,
    active: usize,
    mut ids: Vec<String>,
) -> Vec<Item> {
    let r = &cluster.rscs[rsc];
    let max = r.clone.as_ref().map_or(0, |c| c.max);
    if !r.is(rf::UNIQUE) && max > active as i32 {
        let line = |(state, nodes): (String, Vec<NodeIx>)| {
            Item::line(format!("{state}: [ {} ]", nodes::sorted_names(cluster, &nodes).join(" ")))
        };
        return stopped(cluster, rsc, show).into_iter().map(line).collect();
    }
    if ids.is_empty() {
        return Vec::new();
    }
    ids.sort_by(|a, b| scheduler::text::numeric_cmp(a, b));
    vec![Item::line(format!("Stopped: [ {} ]", ids.join(" ")))]
}
