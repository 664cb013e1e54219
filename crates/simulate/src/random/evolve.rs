//! What happens to a cluster between two decisions.

use super::config::NOW_S;
use super::dice::Dice;
use crate::inject::Injections;
use crate::sim::Request;
use scheduler::digest::params_digest;
use scheduler::text::Str;
use std::collections::{BTreeMap, HashSet};
use xml::{Document, NodeId};

/// Made-up events for one run.
#[derive(Debug, Clone, Default)]
pub struct Events {
    pub injections: Injections,
    /// Operations that fail when executed.
    pub op_fail: Vec<String>,
}

impl Events {
    /// The same as options of `crm_simulate`.
    pub fn options(&self) -> Vec<String> {
        let i = &self.injections;
        let mut out = Vec::new();
        for (option, list) in [
            ("-u", &i.node_up),
            ("-d", &i.node_down),
            ("-f", &i.node_fail),
            ("-i", &i.op_inject),
            ("-g", &i.ticket_grant),
            ("-r", &i.ticket_revoke),
            ("-b", &i.ticket_standby),
            ("-e", &i.ticket_activate),
            ("-F", &self.op_fail),
        ] {
            for value in list {
                out.extend([option.to_string(), value.clone()]);
            }
        }
        for (option, value) in [("-q", &i.quorum), ("-w", &i.watchdog)] {
            if let Some(value) = value {
                out.extend([option.to_string(), value.clone()]);
            }
        }
        out
    }
}

/// Values of an attribute of all elements of a name.
pub(super) fn values(doc: &Document, element: &str, attr: &str) -> Vec<String> {
    let all = doc.root_element().descendants().filter(|e| e.name() == element);
    all.filter_map(|e| e.attr(attr)).map(str::to_string).collect()
}

pub(super) fn elements(doc: &Document, name: &str) -> Vec<NodeId> {
    doc.root_element().descendants().filter(|e| e.name() == name).map(|e| e.id()).collect()
}

pub(super) fn one(dice: &mut Dice, from: &[NodeId]) -> Option<NodeId> {
    from.get(dice.roll(from.len())).copied()
}

/// Names of remote and guest nodes.
pub(super) fn remotes(doc: &Document) -> Vec<String> {
    let all = doc.root_element().descendants();
    let names = all.filter_map(|e| match (e.name(), e.attr("name"), e.attr("type")) {
        ("nvpair", Some("remote-node"), _) => e.attr("value"),
        ("primitive", _, Some("remote")) => e.attr("id"),
        _ => None,
    });
    names.map(str::to_string).collect()
}

/// Events that fit a document.
pub fn events(doc: &Document, dice: &mut Dice) -> Events {
    let mut out = Events::default();
    let mut nodes = values(doc, "node", "uname");
    nodes.extend(remotes(doc));
    let inject = &mut out.injections;
    if dice.chance(15) {
        inject.node_up.push(dice.name(&nodes));
    }
    if dice.chance(12) {
        inject.node_down.push(dice.name(&nodes));
    }
    if dice.chance(22) {
        inject.node_fail.push(dice.name(&nodes));
    }
    let tickets = values(doc, "rsc_ticket", "ticket");
    if !tickets.is_empty() {
        for list in [
            &mut inject.ticket_grant,
            &mut inject.ticket_revoke,
            &mut inject.ticket_standby,
            &mut inject.ticket_activate,
        ] {
            if dice.chance(20) {
                list.push(dice.name(&tickets));
            }
        }
    }
    if dice.chance(6) {
        inject.quorum = Some(dice.pick(&["true", "false"]).to_string());
    }
    if dice.chance(3) {
        inject.watchdog = Some(dice.pick(&["true", "false"]).to_string());
    }
    for _ in 0..dice.roll(3) {
        if let Some(spec) = dice.chance(50).then(|| operation(doc, dice)).flatten() {
            inject.op_inject.push(spec);
        }
    }
    if dice.chance(50) {
        let planned = planned(doc, inject);
        for operation in dice.some(&planned, 2) {
            let code = dice.pick(&["1", "7", "5", "8", "9", "6", "2"]);
            out.op_fail.push(format!("{operation}={code}"));
        }
    }
    out
}

/// Operations that would be executed.
fn planned(doc: &Document, injections: &Injections) -> Vec<String> {
    let request = Request {
        injections: injections.clone(),
        simulate: false,
        ..Request::full(NOW_S, Some(super::config::NOW))
    };
    let Ok(Some((cluster, graph))) = crate::sim::run(doc, &request).map(|run| run.decided) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for action in &graph.actions {
        let a = &cluster.actions[*action];
        let (Some(rsc), Some(node)) = (a.rsc.map(|r| &cluster.rscs[r]), a.node) else { continue };
        if !a.is(scheduler::af::PSEUDO) {
            let name = rsc.history_id.as_ref().unwrap_or(&rsc.id);
            let interval = a.meta.get("interval").unwrap_or("0");
            out.push(format!("{name}_{}_{interval}@{}", a.task, cluster.node_name(node)));
        }
    }
    out
}

/// The failure of an operation of a resource on a node where it has a history.
fn operation(doc: &Document, dice: &mut Dice) -> Option<String> {
    let history = one(dice, &elements(doc, "lrm_resource"))?;
    let rsc = doc.attr(history, "id")?.to_string();
    let state = doc.root_element().descendants().filter(|e| e.name() == "node_state");
    let node = state
        .filter(|s| s.descendants().any(|e| e.id() == history))
        .find_map(|s| s.attr("uname").map(str::to_string))?;
    let (task, interval) = match dice.roll(8) {
        0 | 1 => ("start", "0"),
        2 => ("stop", "0"),
        3 => ("promote", "0"),
        4 => ("demote", "0"),
        5 => ("migrate_to", "0"),
        _ => ("monitor", dice.pick(&["10000", "0", "30000", "11000"])),
    };
    let code = dice.pick(&["1", "7", "1", "5", "8", "9", "0", "6", "2"]);
    Some(format!("{rsc}_{task}_{interval}@{node}={code}"))
}

/// Replaces the real time in what was recorded.
fn set_times(doc: &mut Document, dice: &mut Dice) {
    for op in elements(doc, "lrm_rsc_op") {
        let ago = dice.roll(4000) as i64;
        for name in ["last-run", "last-rc-change"] {
            if doc.attr(op, name).is_some() {
                doc.set_attr(op, name, &(NOW_S - ago).to_string());
            }
        }
    }
    for pair in elements(doc, "nvpair") {
        if doc.attr(pair, "name").is_some_and(|n| n.starts_with("last-failure-")) {
            let ago = dice.roll(4000) as i64;
            doc.set_attr(pair, "value", &(NOW_S - ago).to_string());
        }
    }
}

/// Changes the result of a simulation into the next input.
pub fn evolve(doc: &mut Document, dice: &mut Dice) {
    set_times(doc, dice);
    for _ in 0..dice.roll(4) {
        match dice.roll(24) {
            0 => set_node_attr(doc, dice, &[("standby", "on"), ("standby", "off"), ("maintenance", "true")]),
            1 | 2 => set_meta(doc, dice),
            3 => change_value(doc, dice, &["fake", "state", "passwd"], &["x", "y", "z"]),
            4 => remove_one(doc, dice, &["primitive", "clone", "group", "bundle"], 40),
            5 | 6 => transient(doc, dice),
            7 | 8 => change_operation(doc, dice),
            9 => remove_one(doc, dice, &["lrm_rsc_op", "lrm_resource"], 100),
            10 => change_node(doc, dice),
            11 => remove_one(doc, dice, &["rsc_location", "rsc_order", "rsc_colocation"], 100),
            12 => lock(doc, dice),
            13 | 14 => record_digests(doc, dice),
            17 | 18 => run_elsewhere(doc, dice),
            19 | 20 => begin_migration(doc, dice).unwrap_or_default(),
            21 => failure_time(doc, dice),
            22 => set_node_attr(
                doc,
                dice,
                &[("standby", "true"), ("maintenance", "false"), ("#health-x", "red"), ("site", "b")],
            ),
            15 => change_value(doc, dice, &["standby", "maintenance"], &["off", "false"]),
            _ => change_value(
                doc,
                dice,
                &["clone-max", "clone-node-max", "promoted-max", "interleave", "notify"],
                &["1", "2", "3", "true", "false"],
            ),
        }
    }
}

/// A resource runs, or ran, on a further node as well.
fn run_elsewhere(doc: &mut Document, dice: &mut Dice) {
    let Some(history) = one(dice, &elements(doc, "lrm_resource")) else { return };
    let Some(to) = one(dice, &elements(doc, "lrm_resources")) else { return };
    let id = doc.attr(history, "id").map(str::to_string);
    let known = doc.element(to).children().find(|e| e.attr("id").map(str::to_string) == id);
    if let Some(known) = known.map(|e| e.id()) {
        if known == history {
            return;
        }
        doc.remove(known);
    }
    doc.duplicate(to, history);
}

/// Name of the node whose history this is a part of.
fn node_of(doc: &Document, mut at: NodeId) -> Option<String> {
    while doc.name(at) != "node_state" {
        at = doc.parent(at)?;
    }
    doc.attr(at, "uname").map(str::to_string)
}

/// A migration of which only the first part, or the first two, are done.
pub(super) fn begin_migration(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let source = one(dice, &elements(doc, "lrm_resource"))?;
    let target = one(dice, &elements(doc, "lrm_resources"))?;
    let (from, to) = (node_of(doc, source)?, node_of(doc, target)?);
    let id = doc.attr(source, "id")?.to_string();
    let last = doc.element(source).children_named("lrm_rsc_op").last()?.id();
    if from == to {
        return None;
    }
    let calls = values(doc, "lrm_rsc_op", "call-id");
    let call = calls.iter().filter_map(|call| call.parse::<u32>().ok()).max().unwrap_or(0);
    let known = doc.element(target).children().find(|e| e.attr("id") == Some(&id)).map(|e| e.id());
    let arrived = known.unwrap_or_else(|| {
        let copy = doc.duplicate(target, source);
        doc.child_elements(copy).into_iter().for_each(|op| doc.remove(op));
        copy
    });
    let record = |doc: &mut Document, history: NodeId, task: &str, call: u32, result: (&str, &str)| {
        let op = doc.duplicate(history, last);
        let call = call.to_string();
        for (name, value) in [
            ("id", format!("{id}_{task}_0").as_str()),
            ("operation_key", &format!("{id}_{task}_0")),
            ("operation", task),
            ("interval", "0"),
            ("call-id", &call),
            ("op-status", result.0),
            ("rc-code", result.1),
            ("on_node", if history == source { &from } else { &to }),
            ("migrate_source", &from),
            ("migrate_target", &to),
        ] {
            doc.set_attr(op, name, value);
        }
        remove_duplicates(doc, history, op);
    };
    let results = [("0", "0"), ("0", "0"), ("4", "1"), ("-1", "193"), ("2", "1")];
    let result = results[dice.roll(results.len())];
    record(doc, source, "migrate_to", call + 1, result);
    if result.1 == "0" && dice.chance(60) {
        record(doc, arrived, "migrate_from", call + 2, results[dice.roll(results.len())]);
        if dice.chance(30) {
            record(doc, source, "stop", call + 3, ("0", "0"));
        }
    }
    Some(())
}

/// Removes other operations of the same id.
fn remove_duplicates(doc: &mut Document, history: NodeId, op: NodeId) {
    let id = doc.attr(op, "id").map(str::to_string);
    for other in doc.child_elements(history) {
        if other != op && doc.attr(other, "id").map(str::to_string) == id {
            doc.remove(other);
        }
    }
}

/// A failure that is long ago, or still to come.
fn failure_time(doc: &mut Document, dice: &mut Dice) {
    let (ops, all) = (elements(doc, "lrm_rsc_op"), elements(doc, "nvpair"));
    let failures =
        all.into_iter().filter(|p| doc.attr(*p, "name").is_some_and(|n| n.starts_with("last-failure-")));
    let failures: Vec<NodeId> = failures.collect();
    let when = dice.pick(&["1577000000", "1577879999", "1577880000", "1577880001", "1577890000", "0", "1"]);
    if let Some(op) = one(dice, &ops) {
        doc.set_attr(op, "last-rc-change", when);
    }
    if let Some(pair) = one(dice, &failures) {
        doc.set_attr(pair, "value", when);
    }
}

fn set_node_attr(doc: &mut Document, dice: &mut Dice, from: &[(&str, &str)]) {
    let Some(node) = one(dice, &elements(doc, "node")) else { return };
    let Some((name, value)) = from.get(dice.roll(from.len())) else { return };
    set_pair(doc, node, "instance_attributes", name, value);
}

/// Sets a name-value pair in a block of an element.
pub(super) fn set_pair(doc: &mut Document, owner: NodeId, block: &str, name: &str, value: &str) {
    let set = doc.child(owner, block).unwrap_or_else(|| {
        let id = format!("{block}-of-{}", doc.attr(owner, "id").unwrap_or("x"));
        let set = doc.append_with(owner, block, &[("id", &id)]);
        if let Some(first) = doc.first_child(owner).filter(|first| *first != set) {
            doc.move_to(set, owner, Some(first));
        }
        set
    });
    let known = doc.element(set).children().find(|p| p.attr("name") == Some(name)).map(|p| p.id());
    match known {
        Some(pair) => doc.set_attr(pair, "value", value),
        None => {
            let id = format!("{}-{}", doc.attr(set, "id").unwrap_or("x"), name.replace('#', ""));
            doc.append_with(set, "nvpair", &[("id", &id), ("name", name), ("value", value)]);
        }
    }
}

fn set_meta(doc: &mut Document, dice: &mut Dice) {
    let mut all = elements(doc, "clone");
    all.extend(elements(doc, "group"));
    all.extend(elements(doc, "bundle"));
    let primitives = doc.root_element().path(&["configuration", "resources"]);
    all.extend(
        primitives.iter().flat_map(|r| r.descendants()).filter(|e| e.name() == "primitive").map(|e| e.id()),
    );
    let Some(rsc) = one(dice, &all) else { return };
    let choices = [
        ("target-role", "Stopped"),
        ("target-role", "Started"),
        ("target-role", "Unpromoted"),
        ("target-role", "Promoted"),
        ("is-managed", "false"),
        ("maintenance", "true"),
        ("resource-stickiness", "200"),
        ("priority", "20"),
    ];
    let Some((name, value)) = choices.get(dice.roll(choices.len())) else { return };
    set_pair(doc, rsc, "meta_attributes", name, value);
}

fn change_value(doc: &mut Document, dice: &mut Dice, names: &[&str], to: &[&str]) {
    let all = elements(doc, "nvpair");
    let fitting: Vec<NodeId> =
        all.into_iter().filter(|p| doc.attr(*p, "name").is_some_and(|n| names.contains(&n))).collect();
    if let Some(pair) = one(dice, &fitting) {
        let value = dice.pick(to);
        doc.set_attr(pair, "value", value);
    }
}

fn remove_one(doc: &mut Document, dice: &mut Dice, names: &[&str], percent: usize) {
    let name = dice.pick(names);
    let all = elements(doc, name);
    let Some(found) = one(dice, &all).filter(|_| dice.chance(percent)) else { return };
    let parent = doc.parent(found);
    // A clone or group must not become empty.
    let alone = parent.is_some_and(|p| {
        matches!(doc.name(p), "clone" | "group" | "bundle")
            && doc.element(p).children().filter(|c| matches!(c.name(), "primitive" | "group")).count() < 2
    });
    if !alone {
        doc.remove(found);
        remove_dangling(doc);
    }
}

/// Removes what refers to resources that are gone: the reference refuses such documents.
fn remove_dangling(doc: &mut Document) {
    const REFERENCES: [&str; 5] = ["rsc", "with-rsc", "first", "then", "template"];
    let configuration = doc.root_element().child("configuration");
    let known: HashSet<String> = configuration
        .iter()
        .flat_map(|c| c.descendants())
        .filter_map(|e| e.attr("id").filter(|_| !e.name().ends_with("_ref")))
        .map(str::to_string)
        .collect();
    let sections = ["constraints", "tags"].map(|name| configuration.and_then(|c| c.child(name)));
    let dangling: Vec<NodeId> = sections
        .iter()
        .flatten()
        .flat_map(|section| section.descendants())
        .filter(|e| {
            let owner = e.name().ends_with("_ref").then_some("id");
            let mut names = REFERENCES.iter().copied().chain(owner).filter_map(|name| e.attr(name));
            names.any(|name| !known.contains(name))
        })
        .map(|e| e.id())
        .collect();
    dangling.into_iter().for_each(|id| remove_with_empty(doc, id));
}

/// Removes an element and what becomes empty by that.
fn remove_with_empty(doc: &mut Document, element: NodeId) {
    let parent = doc.parent(element);
    doc.remove(element);
    if let Some(parent) =
        parent.filter(|p| doc.first_child(*p).is_none() && !matches!(doc.name(*p), "constraints" | "tags"))
    {
        remove_with_empty(doc, parent);
    }
}

fn transient(doc: &mut Document, dice: &mut Dice) {
    let Some(state) = one(dice, &elements(doc, "node_state")) else { return };
    let id = doc.attr(state, "id").unwrap_or("x").to_string();
    let owner = doc
        .child(state, "transient_attributes")
        .unwrap_or_else(|| doc.append_with(state, "transient_attributes", &[("id", &id)]));
    let rsc = dice.name(&values(doc, "lrm_resource", "id"));
    let base = rsc.split(':').next().unwrap_or("").to_string();
    let count = dice.pick(&["1", "2", "3", "INFINITY"]);
    let (name, value) = match dice.roll(7) {
        0 => ("shutdown".to_string(), (NOW_S - 60).to_string()),
        1 => ("terminate".to_string(), "true".to_string()),
        2 | 3 => (format!("master-{base}"), dice.pick(&["1", "20", "300", "-INFINITY"]).to_string()),
        4 => (format!("fail-count-{base}#monitor_10000"), count.to_string()),
        5 => (format!("fail-count-{base}#start_0"), count.to_string()),
        _ => ("#node-unfenced".to_string(), (NOW_S - 500).to_string()),
    };
    if name.starts_with("fail-count") {
        let last = name.replace("fail-count", "last-failure");
        set_pair(doc, owner, "instance_attributes", &last, &(NOW_S - 90).to_string());
    }
    set_pair(doc, owner, "instance_attributes", &name, &value);
}

fn change_operation(doc: &mut Document, dice: &mut Dice) {
    let Some(op) = one(dice, &elements(doc, "lrm_rsc_op")) else { return };
    match dice.roll(5) {
        0 => {
            doc.set_attr(op, "op-status", "-1");
            doc.set_attr(op, "rc-code", "193");
        }
        1 => {
            doc.set_attr(op, "op-status", "2");
            doc.set_attr(op, "rc-code", "1");
        }
        2 => {
            doc.set_attr(op, "op-status", dice.pick(&["0", "1", "3", "4", "5", "6", "7", "8", "12"]));
        }
        _ => {
            doc.set_attr(op, "op-status", "0");
            let code = dice.pick(&["0", "7", "1", "8", "9", "5", "190", "191"]);
            doc.set_attr(op, "rc-code", code);
        }
    }
}

fn change_node(doc: &mut Document, dice: &mut Dice) {
    let Some(state) = one(dice, &elements(doc, "node_state")) else { return };
    let (name, values): (&str, &[&str]) = match dice.roll(4) {
        0 => ("in_ccm", &["true", "false"]),
        1 => ("crmd", &["online", "offline"]),
        2 => ("join", &["member", "down", "pending"]),
        _ => ("expected", &["member", "down"]),
    };
    let value = dice.pick(values);
    doc.set_attr(state, name, value);
}

fn lock(doc: &mut Document, dice: &mut Dice) {
    if let Some(history) = one(dice, &elements(doc, "lrm_resource")) {
        doc.set_attr(history, "shutdown-lock", &(NOW_S - 300).to_string());
    }
}

/// Records what an agent's meta-data would add: which parameters need a restart, which are secret.
fn record_digests(doc: &mut Document, dice: &mut Dice) {
    let Some(op) = one(dice, &elements(doc, "lrm_rsc_op")) else { return };
    let history = doc.parent(op).and_then(|h| doc.attr(h, "id")).unwrap_or("");
    let id = history.split(':').next().unwrap_or("").to_string();
    let config = doc.root_element().path(&["configuration", "resources"]);
    let Some(rsc) = config.and_then(|c| c.find_id(&id)) else { return };
    let mut params: BTreeMap<Str, Str> = BTreeMap::new();
    for pair in rsc.children_named("instance_attributes").flat_map(|set| set.children_named("nvpair")) {
        params.insert(pair.attr("name").unwrap_or("").into(), pair.attr("value").unwrap_or("").into());
    }
    let secret = params.clone();
    let (name, listed) = if dice.chance(60) { ("restart", "state") } else { ("secure", "passwd") };
    params.retain(|key, _| (&**key == listed) == (name == "restart"));
    let list = if name == "restart" { "op-force-restart" } else { "op-secure-params" };
    doc.set_attr(op, list, &format!(" {listed} "));
    doc.set_attr(op, &format!("op-{name}-digest"), &params_digest(&params));
    if dice.chance(30) {
        doc.set_attr(op, "op-digest", &params_digest(&secret));
    }
}
