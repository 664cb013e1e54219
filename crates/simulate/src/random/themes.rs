//! Themes: features that only show together, put into a random configuration in numbers.
//!
//! What a configuration has of a feature by chance is seldom enough for two of its kind to meet; a theme
//! gives it to most resources or nodes at once.

use super::dice::Dice;
use super::evolve::{elements, one, remotes, set_pair, values};
use super::{past, words};
use xml::{Document, NodeId};

type Theme = fn(&mut Document, &mut Dice) -> Option<()>;

const THEMES: [Theme; 16] = [
    tickets,
    utilization,
    remote_nodes,
    fencing,
    health,
    locks,
    past::past,
    past::past,
    migration,
    clones,
    groups_and_bundles,
    sets,
    defaults,
    words::references,
    words::old_words,
    words::odd_values,
];

pub const ROLES: [&str; 4] = ["Started", "Promoted", "Unpromoted", "Stopped"];
const SCORES: [&str; 8] = ["INFINITY", "-INFINITY", "100", "-100", "7", "0", "INFINITY", "1"];
const ACTIONS: [&str; 4] = ["start", "stop", "promote", "demote"];

/// Puts up to three themes into a configuration.
pub fn themes(doc: &mut Document, dice: &mut Dice) {
    for _ in 0..dice.roll(4) {
        if let Some(theme) = THEMES.get(dice.roll(THEMES.len())) {
            theme(doc, dice).unwrap_or_default();
        }
    }
    for order in elements(doc, "rsc_order") {
        if dice.chance(98) && is_with_itself(doc, order) {
            doc.remove(order);
        }
    }
}

/// Whether an order is one of a resource with itself or a part of it, which the reference seldom survives.
fn is_with_itself(doc: &Document, order: NodeId) -> bool {
    let within = doc.element(order).descendants();
    let names = within.flat_map(|e| {
        let reference = e.attr("id").filter(|_| e.name() == "resource_ref");
        [e.attr("first"), e.attr("then"), reference].into_iter().flatten().map(str::to_string)
    });
    let everything = resources(doc, &["primitive", "group", "clone", "master", "bundle"]);
    let meant: Vec<NodeId> = names
        .flat_map(|name| {
            let all = everything.iter().copied();
            all.filter(move |at| {
                doc.attr(*at, "id") == Some(&*name) || doc.attr(*at, "template") == Some(&*name)
            })
        })
        .collect();
    let related = |a: NodeId, b: NodeId| doc.element(a).descendants().any(|e| e.id() == b);
    let pairs = meant.iter().enumerate().flat_map(|(at, a)| meant.iter().skip(at + 1).map(move |b| (*a, *b)));
    pairs.into_iter().any(|(a, b)| related(a, b) || related(b, a))
}

pub fn configuration(doc: &Document, path: &[&str]) -> Option<NodeId> {
    let mut at = doc.child(doc.root_element().id(), "configuration")?;
    for name in path {
        at = doc.child(at, name)?;
    }
    Some(at)
}

/// Resources of these kinds, inside and outside of others.
pub fn resources(doc: &Document, kinds: &[&str]) -> Vec<NodeId> {
    let all = configuration(doc, &["resources"]).map(|at| doc.element(at));
    let all = all.iter().flat_map(|r| r.descendants());
    all.filter(|e| kinds.contains(&e.name())).map(|e| e.id()).collect()
}

pub fn ids(doc: &Document, all: &[NodeId]) -> Vec<String> {
    all.iter().filter_map(|at| doc.attr(*at, "id")).map(str::to_string).collect()
}

/// A child of an element, made if there is none.
fn section(doc: &mut Document, parent: NodeId, name: &str) -> NodeId {
    doc.child(parent, name).unwrap_or_else(|| doc.append(parent, name))
}

/// Sets a cluster option.
pub fn option(doc: &mut Document, name: &str, value: &str) -> Option<()> {
    let config = configuration(doc, &["crm_config"])?;
    let set = doc.child(config, "cluster_property_set").unwrap_or_else(|| {
        doc.append_with(config, "cluster_property_set", &[("id", "cib-bootstrap-options")])
    });
    let known = doc.element(set).children().find(|p| p.attr("name") == Some(name)).map(|p| p.id());
    match known {
        Some(pair) => doc.set_attr(pair, "value", value),
        None => {
            doc.append_with(
                set,
                "nvpair",
                &[("id", &format!("opt-{name}")), ("name", name), ("value", value)],
            );
        }
    }
    Some(())
}

/// Chosen meta-attributes for so many of a hundred of these resources.
fn metas(doc: &mut Document, dice: &mut Dice, of: &[NodeId], percent: usize, from: &[(&str, &[&str])]) {
    for rsc in of {
        for (name, values) in from {
            if dice.chance(percent) {
                set_pair(doc, *rsc, "meta_attributes", name, dice.pick(values));
            }
        }
    }
}

fn set(
    doc: &mut Document,
    dice: &mut Dice,
    parent: NodeId,
    id: &str,
    members: &[String],
    attrs: &[(&str, &str)],
) {
    let set = doc.append_with(parent, "resource_set", &[("id", id)]);
    for (name, value) in attrs {
        if dice.chance(45) {
            doc.set_attr(set, name, value);
        }
    }
    for member in members {
        doc.append_with(set, "resource_ref", &[("id", member)]);
    }
}

fn tickets(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let (all, constraints) = (constrained(doc), configuration(doc, &["constraints"])?);
    for number in 0..dice.between(2, 6) {
        let (id, ticket) = (format!("theme-ticket-{number}"), dice.pick(&["ticketA", "ticketB", "ticketC"]));
        let at = doc.append_with(constraints, "rsc_ticket", &[("id", &id), ("ticket", ticket)]);
        if dice.chance(85) {
            doc.set_attr(at, "loss-policy", dice.pick(&["stop", "demote", "fence", "freeze"]));
        }
        if dice.chance(30) {
            for inner in 0..dice.between(1, 2) {
                let (members, role) = (dice.some(&all, 3), dice.pick(&ROLES));
                set(doc, dice, at, &format!("{id}-{inner}"), &members, &[("role", role)]);
            }
            continue;
        }
        doc.set_attr(at, "rsc", &dice.name(&all));
        if dice.chance(40) {
            doc.set_attr(at, "rsc-role", dice.pick(&ROLES));
        }
    }
    let status = doc.child(doc.root_element().id(), "status")?;
    let states = section(doc, status, "tickets");
    for ticket in ["ticketA", "ticketB", "ticketC"] {
        let known = doc.element(states).children().any(|e| e.attr("id") == Some(ticket));
        if known || dice.chance(30) {
            continue;
        }
        let state = doc.append_with(states, "ticket_state", &[("id", ticket)]);
        for (name, values) in [
            ("granted", ["true", "false", "true"]),
            ("standby", ["true", "false", "false"]),
            ("last-granted", ["1577870000", "-1", "0"]),
            ("owner", ["1", "", "2"]),
        ] {
            if dice.chance(60) {
                doc.set_attr(state, name, dice.pick(&values));
            }
        }
    }
    Some(())
}

/// Resources that a constraint can name.
fn constrained(doc: &Document) -> Vec<String> {
    ids(doc, &resources(doc, &["primitive", "group", "clone", "bundle"]))
}

fn utilization(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    option(
        doc,
        "placement-strategy",
        dice.pick(&["default", "utilization", "minimal", "balanced", "balanced"]),
    )?;
    let sizes = ["0", "1", "2", "3", "5", "8", "1000", "-1", "2147483647", "x"];
    let names = ["cpu", "memory", "disk", "CPU"];
    for node in elements(doc, "node") {
        for name in names {
            if dice.chance(60) {
                set_pair(doc, node, "utilization", name, dice.pick(&sizes));
            }
        }
    }
    for rsc in resources(doc, &["primitive", "template"]) {
        for name in names {
            if dice.chance(35) {
                set_pair(doc, rsc, "utilization", name, dice.pick(&sizes[..6]));
            }
        }
        if dice.chance(30) {
            set_pair(doc, rsc, "meta_attributes", "priority", dice.pick(&["1", "2", "3", "-1"]));
        }
    }
    if dice.chance(20) {
        let state = one(dice, &elements(doc, "transient_attributes"))?;
        set_pair(doc, state, "utilization", "cpu", "3");
    }
    Some(())
}

/// What is known of remote and guest nodes beside their connections.
fn remote_nodes(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let nodes = configuration(doc, &["nodes"])?;
    let status = doc.child(doc.root_element().id(), "status")?;
    if dice.chance(30) {
        option(doc, "fence-remote-without-quorum", dice.pick(&["true", "false"]))?;
    }
    for name in remotes(doc) {
        if dice.chance(60) {
            let node = doc.append_with(nodes, "node", &[("id", &name), ("uname", &name), ("type", "remote")]);
            for (attribute, values) in [
                ("standby", ["on", "off", "true"]),
                ("maintenance", ["on", "false", "false"]),
                ("resource-discovery-enabled", ["false", "true", "false"]),
                ("site", ["a", "b", "a"]),
                ("#health-x", ["red", "yellow", "green"]),
            ] {
                if dice.chance(20) {
                    set_pair(doc, node, "instance_attributes", attribute, dice.pick(&values));
                }
            }
        }
        if dice.chance(60) {
            let state = doc.append_with(
                status,
                "node_state",
                &[("id", &name), ("uname", &name), ("remote_node", "true")],
            );
            for (attribute, values) in [
                ("in_ccm", ["true", "false", "true"]),
                ("node_fenced", ["1", "0", "0"]),
                ("node_in_maintenance", ["true", "false", "1"]),
                ("crm-debug-origin", ["a", "b", "c"]),
            ] {
                if dice.chance(40) {
                    doc.set_attr(state, attribute, dice.pick(&values));
                }
            }
        }
    }
    Some(())
}

fn fencing(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    for (percent, names, values) in [
        (50, ["fencing-enabled", "stonith-enabled"], &["true", "true", "false", "yes"][..]),
        (30, ["fencing-action", "stonith-action"], &["reboot", "off", "poweroff"]),
        (20, ["fencing-timeout", "stonith-timeout"], &["90s", "2min"]),
        (20, ["fencing-watchdog-timeout", "stonith-watchdog-timeout"], &["10s", "0", "-1"]),
        (20, ["fence-remote-without-quorum", "no-quorum-policy"], &["true", "fence", "suicide"]),
        (40, ["priority-fencing-delay", "priority-fencing-delay"], &["15s", "0", "1min"]),
        (20, ["concurrent-fencing", "startup-fencing"], &["true", "false"]),
        (20, ["have-watchdog", "have-watchdog"], &["true", "false"]),
    ] {
        if dice.chance(percent) {
            option(doc, dice.pick(&names), dice.pick(values))?;
        }
    }
    if dice.chance(20) {
        let root = doc.root_element().id();
        doc.set_attr(root, "no-quorum-panic", dice.pick(&["true", "1", "0"]));
        doc.set_attr(root, "have-quorum", dice.pick(&["0", "1"]));
    }
    let everything = resources(doc, &["primitive", "group", "clone", "bundle"]);
    metas(
        doc,
        dice,
        &everything,
        35,
        &[("priority", &["1", "5", "10"]), ("requires", &["nothing", "quorum", "fencing", "unfencing"])],
    );
    let devices: Vec<NodeId> = resources(doc, &["primitive"])
        .into_iter()
        .filter(|p| doc.attr(*p, "class") == Some("stonith"))
        .collect();
    metas(doc, dice, &devices, 40, &[("provides", &["unfencing", "x"])]);
    for device in &devices {
        if dice.chance(40) {
            let name =
                dice.pick(&["pcmk_delay_base", "pcmk_action_limit", "pcmk_host_argument", "pcmk_off_action"]);
            set_pair(doc, *device, "instance_attributes", name, dice.pick(&["5s", "-1", "off", "none"]));
        }
    }
    levels(doc, dice, &ids(doc, &devices))
}

/// A fencing topology with targets of every kind.
fn levels(doc: &mut Document, dice: &mut Dice, devices: &[String]) -> Option<()> {
    if devices.is_empty() || doc.root_element().path(&["configuration", "fencing-topology"]).is_some() {
        return None;
    }
    let parent = configuration(doc, &[])?;
    let topology = doc.append(parent, "fencing-topology");
    let nodes = values(doc, "node", "uname");
    for number in 0..dice.between(1, 5) {
        let (id, name) = (format!("theme-level-{number}"), dice.name(&nodes));
        let (index, list) = (dice.between(1, 9).to_string(), dice.some(devices, 2).join(","));
        let level = doc.append_with(topology, "fencing-level", &[("id", &id)]);
        match dice.roll(4) {
            0 => {
                doc.set_attr(level, "target-pattern", dice.pick(&["node[1-3]", ".*", "remote.*", "guest-.*"]))
            }
            1 => {
                doc.set_attr(level, "target-attribute", dice.pick(&["site", "rack"]));
                doc.set_attr(level, "target-value", dice.pick(&["a", "1"]));
            }
            _ => doc.set_attr(level, "target", &name),
        }
        doc.set_attr(level, "index", &index);
        doc.set_attr(level, "devices", &list);
    }
    Some(())
}

fn health(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let strategy = dice.pick(&["migrate-on-red", "only-green", "progressive", "custom", "none", "x"]);
    option(doc, "node-health-strategy", strategy)?;
    for (name, values) in [
        ("node-health-base", ["0", "50", "-INFINITY"]),
        ("node-health-green", ["0", "20", "INFINITY"]),
        ("node-health-yellow", ["-20", "0", "green"]),
        ("node-health-red", ["-INFINITY", "-200", "1"]),
    ] {
        if dice.chance(40) {
            option(doc, name, dice.pick(&values))?;
        }
    }
    let colours = ["red", "yellow", "green", "10", "-10", "-INFINITY", "Red", "x"];
    for owner in [elements(doc, "node"), elements(doc, "transient_attributes")].concat() {
        for name in ["#health-cpu", "#health-ipmi", "#health-net", "#health"] {
            if dice.chance(30) {
                set_pair(doc, owner, "instance_attributes", name, dice.pick(&colours));
            }
        }
    }
    let everything = resources(doc, &["primitive", "group", "clone", "bundle"]);
    metas(doc, dice, &everything, 40, &[("allow-unhealthy-nodes", &["true", "false"])]);
    Some(())
}

fn locks(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    option(doc, "shutdown-lock", "true")?;
    if dice.chance(50) {
        option(doc, "shutdown-lock-limit", dice.pick(&["0", "5min", "2min", "1h", "x"]))?;
    }
    past::past(doc, dice);
    for history in elements(doc, "lrm_resource") {
        if dice.chance(50) {
            doc.set_attr(
                history,
                "shutdown-lock",
                dice.pick(&["1577879800", "1577879999", "1577880001", "1"]),
            );
        }
    }
    for state in elements(doc, "transient_attributes") {
        if dice.chance(30) {
            let when = dice.pick(&["1577879800", "1577879999", "1", "0"]);
            set_pair(doc, state, "instance_attributes", "shutdown", when);
        }
    }
    Some(())
}

fn migration(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let all = resources(doc, &["primitive", "group", "clone"]);
    metas(doc, dice, &all, 70, &[("allow-migrate", &["true", "true", "on"])]);
    past::past(doc, dice);
    for _ in 0..dice.between(1, 4) {
        super::evolve::begin_migration(doc, dice).unwrap_or_default();
    }
    // What runs has to go elsewhere.
    for node in elements(doc, "node") {
        if dice.chance(40) {
            set_pair(doc, node, "instance_attributes", "standby", "on");
        }
    }
    Some(())
}

fn clones(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let all = resources(doc, &["clone"]);
    metas(
        doc,
        dice,
        &all,
        35,
        &[
            ("interleave", &["true", "false"]),
            ("ordered", &["true", "false"]),
            ("notify", &["true", "yes"]),
            ("globally-unique", &["true", "false"]),
            ("clone-max", &["1", "2", "3", "5", "8", "-1", "x"]),
            ("clone-node-max", &["1", "2", "3"]),
            ("clone-min", &["1", "2", "3"]),
            ("promoted-max", &["1", "2", "5", "-1"]),
            ("promoted-node-max", &["1", "2", "3"]),
            ("target-role", &["Promoted", "Unpromoted", "Stopped"]),
        ],
    );
    for state in elements(doc, "transient_attributes") {
        for name in ids(doc, &resources(doc, &["primitive"])) {
            if dice.chance(35) {
                let suffix = dice.pick(&["", "", ":0", ":1", ":2"]);
                let score = dice.pick(&["1", "5", "10", "1000", "-5", "-INFINITY", "0", "INFINITY"]);
                set_pair(doc, state, "instance_attributes", &format!("master-{name}{suffix}"), score);
            }
        }
    }
    between(doc, dice, &ids(doc, &all))
}

/// Constraints between resources of one kind.
fn between(doc: &mut Document, dice: &mut Dice, all: &[String]) -> Option<()> {
    let constraints = configuration(doc, &["constraints"])?;
    if all.len() < 2 {
        return None;
    }
    for number in 0..dice.between(1, 3) {
        let [a, b] = &dice.some(all, 2)[..] else { return None };
        if dice.chance(60) {
            let id = format!("theme-order-{number}");
            let at = doc.append_with(constraints, "rsc_order", &[("id", &id), ("first", a), ("then", b)]);
            for (name, values) in [
                ("kind", &["Mandatory", "Optional", "Serialize"][..]),
                ("symmetrical", &["true", "false"]),
                ("first-action", &ACTIONS),
                ("then-action", &ACTIONS),
                ("require-all", &["true", "false"]),
            ] {
                if dice.chance(35) {
                    doc.set_attr(at, name, dice.pick(values));
                }
            }
        }
        if dice.chance(60) {
            let (id, score) = (format!("theme-colocation-{number}"), dice.pick(&SCORES));
            let at = doc.append_with(
                constraints,
                "rsc_colocation",
                &[("id", &id), ("rsc", b), ("with-rsc", a), ("score", score)],
            );
            for name in ["rsc-role", "with-rsc-role"] {
                if dice.chance(35) {
                    doc.set_attr(at, name, dice.pick(&ROLES));
                }
            }
        }
    }
    Some(())
}

fn groups_and_bundles(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let groups = resources(doc, &["group"]);
    metas(
        doc,
        dice,
        &groups,
        35,
        &[
            ("ordered", &["true", "false"]),
            ("collocated", &["true", "false"]),
            ("critical", &["false", "true"]),
        ],
    );
    let bundles = resources(doc, &["bundle"]);
    metas(
        doc,
        dice,
        &bundles,
        30,
        &[
            ("container-attribute-target", &["host", "x"]),
            ("interleave", &["true", "false"]),
            ("notify", &["true"]),
            ("ordered", &["true"]),
            ("promotable", &["true", "false"]),
            ("promoted-max", &["1", "2"]),
            ("clone-max", &["1", "2"]),
            ("globally-unique", &["true"]),
            ("target-role", &["Stopped", "Promoted", "Unpromoted"]),
        ],
    );
    for owner in [groups.clone(), resources(doc, &["clone", "template", "bundle"])].concat() {
        if dice.chance(25) {
            let name = dice.pick(&["fake", "state", "target-role", "clone-max", "allow-migrate"]);
            set_pair(doc, owner, "instance_attributes", name, dice.pick(&["1", "y", "Stopped", "true"]));
        }
    }
    between(doc, dice, &ids(doc, &[groups, bundles].concat()))
}

fn sets(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let constraints = configuration(doc, &["constraints"])?;
    for number in 0..dice.between(1, 4) {
        let name = dice.pick(&["rsc_order", "rsc_colocation", "rsc_location", "rsc_order"]);
        let id = format!("theme-sets-{number}");
        let at = doc.append_with(constraints, name, &[("id", &id)]);
        // No resource twice: the reference does not survive orders of a resource with itself.
        let all = constrained(doc);
        let mut left = dice.some(&all, all.len());
        for inner in 0..dice.between(1, 4) {
            let members = left.split_off(left.len().saturating_sub(dice.between(1, 3)));
            if members.is_empty() {
                break;
            }
            let (role, score, action) = (dice.pick(&ROLES), dice.pick(&SCORES), dice.pick(&ACTIONS));
            let (flag, other) = (dice.pick(&["true", "false"]), dice.pick(&["true", "false"]));
            let attrs: &[(&str, &str)] = match name {
                "rsc_order" => &[("sequential", flag), ("require-all", other), ("action", action)],
                "rsc_colocation" => &[("sequential", flag), ("role", role), ("score", score)],
                _ => &[("role", role), ("sequential", flag)],
            };
            set(doc, dice, at, &format!("{id}-{inner}"), &members, attrs);
        }
        if doc.first_child(at).is_none() {
            doc.remove(at);
            continue;
        }
        match name {
            "rsc_location" => {
                doc.set_attr(at, "node", &dice.name(&values(doc, "node", "uname")));
                doc.set_attr(at, "score", dice.pick(&SCORES));
            }
            "rsc_colocation" => doc.set_attr(at, "score", dice.pick(&SCORES)),
            _ if dice.chance(30) => doc.set_attr(at, "score", dice.pick(&SCORES)),
            _ => {
                doc.set_attr(at, "kind", dice.pick(&["Mandatory", "Optional", "Serialize"]));
                doc.set_attr(at, "symmetrical", dice.pick(&["true", "false"]));
            }
        }
    }
    Some(())
}

/// A section and the pairs that its blocks may have.
type Section = (&'static str, &'static [(&'static str, &'static [&'static str])]);

/// Defaults in several blocks, with scores and rules about resources and operations.
fn defaults(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    const PAIRS: [Section; 2] = [
        (
            "rsc_defaults",
            &[
                ("requires", &["quorum", "nothing", "fencing"]),
                ("critical", &["false"]),
                ("allow-unhealthy-nodes", &["true"]),
                ("resource-stickiness", &["1", "10", "-1", "INFINITY"]),
                ("failure-timeout", &["10s", "20min"]),
                ("container-attribute-target", &["host"]),
                ("target-role", &["Stopped"]),
                ("clone-max", &["1", "2"]),
                ("interleave", &["true"]),
                ("notify", &["true"]),
            ],
        ),
        (
            "op_defaults",
            &[
                ("on-fail", &["ignore", "stop", "block", "fence", "demote"]),
                ("timeout", &["33s", "x", "0"]),
                ("enabled", &["false"]),
                ("start-delay", &["3s"]),
                ("interval-origin", &["2019-01-01 00:00:07Z"]),
                ("record-pending", &["false"]),
                ("failure-timeout", &["10s"]),
                ("interval", &["77s"]),
            ],
        ),
    ];
    let parent = configuration(doc, &[])?;
    for (name, from) in PAIRS {
        let section = section(doc, parent, name);
        for number in 0..dice.between(1, 3) {
            let id = format!("theme-{name}-{number}");
            let block = doc.append_with(section, "meta_attributes", &[("id", &id)]);
            if dice.chance(50) {
                doc.set_attr(block, "score", dice.pick(&["5", "-5", "INFINITY", "-INFINITY", "0"]));
            }
            if dice.chance(60) {
                let rule = doc.append_with(block, "rule", &[("id", &format!("{id}-rule"))]);
                doc.set_attr(rule, "boolean-op", dice.pick(&["or", "and"]));
                for inner in 0..dice.between(1, 2) {
                    condition(doc, dice, rule, name, &format!("{id}-rule-{inner}"));
                }
            }
            for (pair, values) in from {
                if dice.chance(30) {
                    let value = dice.pick(values);
                    let attrs = [("id", &*format!("{id}-{pair}")), ("name", *pair), ("value", value)];
                    doc.append_with(block, "nvpair", &attrs);
                }
            }
        }
    }
    Some(())
}

/// An expression about a resource or an operation.
fn condition(doc: &mut Document, dice: &mut Dice, rule: NodeId, section: &str, id: &str) {
    let of_operation = section == "op_defaults" && dice.chance(60);
    let (name, from): (&str, &[(&str, &[&str])]) = match of_operation {
        true => (
            "op_expression",
            &[
                ("name", &["monitor", "start", "stop", "promote", "demote", "migrate_from", "notify"]),
                ("interval", &["10s", "0", "11s", "10"]),
            ],
        ),
        false => (
            "rsc_expression",
            &[
                ("class", &["ocf", "stonith", "systemd"]),
                ("provider", &["pacemaker", "heartbeat"]),
                ("type", &["Dummy", "Stateful", "IPaddr2", "remote", "dummy"]),
            ],
        ),
    };
    let at = doc.append_with(rule, name, &[("id", id)]);
    for (attribute, values) in from {
        if (of_operation && *attribute == "name") || dice.chance(45) {
            doc.set_attr(at, attribute, dice.pick(values));
        }
    }
}
