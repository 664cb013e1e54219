//! Histories that no execution of ours has made: what an unlucky cluster may have come to.

use super::config::NOW_S;
use super::dice::Dice;
use super::evolve::{elements, remotes, set_pair};
use super::themes::{ids, resources};
use xml::{Document, NodeId};

/// Operation, interval in milliseconds, and results (status and exit code) that it is recorded with.
type Recorded = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const GOOD: [(&str, &str); 6] = [("0", "0"), ("0", "0"), ("0", "0"), ("0", "7"), ("0", "8"), ("0", "0")];
const PROBE: [(&str, &str); 8] =
    [("0", "7"), ("0", "7"), ("0", "7"), ("0", "0"), ("0", "8"), ("4", "5"), ("4", "1"), ("7", "5")];
const ANY: [(&str, &str); 16] = [
    ("0", "0"),
    ("0", "0"),
    ("4", "1"),
    ("2", "1"),
    ("-1", "193"),
    ("4", "6"),
    ("4", "2"),
    ("3", "198"),
    ("5", "189"),
    ("6", "189"),
    ("8", "189"),
    ("9", "0"),
    ("10", "0"),
    ("11", "190"),
    ("4", "9"),
    ("1", "0"),
];

const OPERATIONS: [Recorded; 14] = [
    ("monitor", "0", &PROBE),
    ("start", "0", &GOOD),
    ("start", "0", &ANY),
    ("stop", "0", &GOOD),
    ("stop", "0", &ANY),
    ("monitor", "10000", &GOOD),
    ("monitor", "10000", &ANY),
    ("monitor", "13000", &PROBE),
    ("promote", "0", &ANY),
    ("demote", "0", &ANY),
    ("migrate_to", "0", &ANY),
    ("migrate_from", "0", &ANY),
    ("notify", "0", &GOOD),
    ("reload-agent", "0", &ANY),
];

/// A history of many resources on many nodes, and counts of their failures.
pub fn past(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let primitives = resources(doc, &["primitive"]);
    let nodes: Vec<String> = remotes(doc);
    for state in elements(doc, "node_state") {
        let on_remote = doc.attr(state, "uname").is_some_and(|name| nodes.iter().any(|n| n == name));
        if dice.chance(15) && !on_remote {
            continue;
        }
        let lrm = match doc.child(state, "lrm") {
            Some(lrm) => lrm,
            None => {
                let id = doc.attr(state, "id").unwrap_or("x").to_string();
                doc.append_with(state, "lrm", &[("id", &id)])
            }
        };
        let all = doc.child(lrm, "lrm_resources").unwrap_or_else(|| doc.append(lrm, "lrm_resources"));
        for primitive in &primitives {
            if dice.chance(60) {
                resource(doc, dice, state, all, *primitive);
            }
        }
        if dice.chance(15) {
            gone(doc, dice, state, all);
        }
    }
    failures(doc, dice, &ids(doc, &primitives));
    Some(())
}

/// The history of a resource that is no longer configured.
fn gone(doc: &mut Document, dice: &mut Dice, state: NodeId, all: NodeId) {
    let id = dice.pick(&["gone", "gone:0", "gone-2", "prim-1:1", "gone:x"]);
    if doc.element(all).children().any(|e| e.attr("id") == Some(id)) {
        return;
    }
    let history = doc.append_with(all, "lrm_resource", &[("id", id), ("class", "ocf")]);
    doc.set_attr(history, "provider", "pacemaker");
    doc.set_attr(history, "type", dice.pick(&["Dummy", "Stateful", "remote"]));
    operations(doc, dice, state, history, id);
}

fn resource(doc: &mut Document, dice: &mut Dice, state: NodeId, all: NodeId, primitive: NodeId) {
    let base = doc.attr(primitive, "id").unwrap_or("x").to_string();
    let cloned = doc.parent(primitive).is_some_and(|p| {
        doc.name(p) == "clone" || doc.parent(p).is_some_and(|above| doc.name(above) == "clone")
    });
    let id = match cloned && dice.chance(50) {
        true => format!("{base}:{}", dice.roll(4)),
        false => base,
    };
    if doc.element(all).children().any(|e| e.attr("id") == Some(&id)) {
        return;
    }
    let history = doc.append_with(all, "lrm_resource", &[("id", &id)]);
    let template = doc.attr(primitive, "template").map(str::to_string);
    let agent = match template {
        Some(template) => resources(doc, &["template"])
            .into_iter()
            .find(|t| doc.attr(*t, "id") == Some(&template))
            .unwrap_or(primitive),
        None => primitive,
    };
    for name in ["class", "provider", "type"] {
        if let Some(value) = doc.attr(agent, name).map(str::to_string) {
            doc.set_attr(history, name, &value);
        }
    }
    if dice.chance(4) {
        doc.set_attr(history, "type", "Other");
    }
    if dice.chance(3) {
        doc.set_attr(history, "container", dice.pick(&["prim-1", "prim-2", "nothing"]));
    }
    operations(doc, dice, state, history, &id);
}

fn operations(doc: &mut Document, dice: &mut Dice, state: NodeId, history: NodeId, rsc: &str) {
    let node = doc.attr(state, "uname").unwrap_or("x").to_string();
    let mut call = dice.roll(20);
    let most = dice.pick(&["1", "1", "2", "3", "5"]).parse().unwrap_or(1);
    for _ in 0..most {
        // Most resources were simply started.
        let likely = OPERATIONS.len() * 2;
        let (task, interval, results) = *OPERATIONS.get(dice.roll(likely)).unwrap_or(&OPERATIONS[1]);
        let (status, code) = results.get(dice.roll(results.len())).copied().unwrap_or(("0", "0"));
        let id = match (task, status) {
            ("monitor", _) if interval != "0" => format!("{rsc}_{task}_{interval}"),
            (_, "0") => format!("{rsc}_last_0"),
            _ => format!("{rsc}_last_failure_0"),
        };
        if doc.element(history).children().any(|e| e.attr("id") == Some(&id)) {
            continue;
        }
        call += dice.between(1, 3);
        let target = if task == "monitor" && interval == "0" { "7" } else { "0" };
        let target = if dice.chance(5) { "8" } else { target };
        let key = format!("{}:{}:{target}:11111111-1111-1111-1111-111111111111", call + 1, dice.roll(9));
        let when = (NOW_S - dice.roll(5000) as i64).to_string();
        let op = doc.append_with(history, "lrm_rsc_op", &[("id", &id)]);
        for (name, value) in [
            ("operation_key", format!("{rsc}_{task}_{interval}").as_str()),
            ("operation", task),
            ("crm_feature_set", "3.20.1"),
            ("transition-key", &key),
            ("transition-magic", &format!("{status}:{code};{key}")),
            ("call-id", &if status == "-1" { "-1".to_string() } else { call.to_string() }),
            ("rc-code", code),
            ("op-status", status),
            ("interval", interval),
            ("last-rc-change", &when),
            ("exec-time", "0"),
            ("queue-time", "0"),
        ] {
            doc.set_attr(op, name, value);
        }
        let others: [(usize, &str, &str); 8] = [
            (50, "on_node", &node),
            (
                12,
                "op-digest",
                dice.pick(&["f2317cad3d54cec5d7d7aa7d0bf35cf8", "00000000000000000000000000000000"]),
            ),
            (6, "op-force-restart", dice.pick(&[" state ", " fake ", ""])),
            (6, "op-restart-digest", "f2317cad3d54cec5d7d7aa7d0bf35cf8"),
            (5, "op-secure-params", " passwd "),
            (5, "op-secure-digest", "f2317cad3d54cec5d7d7aa7d0bf35cf8"),
            (10, "exit-reason", "it went wrong"),
            (5, "last-run", &when),
        ];
        for (percent, name, value) in others {
            if dice.chance(percent) {
                doc.set_attr(op, name, value);
            }
        }
        if task.starts_with("migrate") {
            let other = dice.pick(&["node1", "node2", "node3", "nowhere"]).to_string();
            let (source, target) = if task == "migrate_to" { (&node, &other) } else { (&other, &node) };
            doc.set_attr(op, "migrate_source", source);
            doc.set_attr(op, "migrate_target", target);
        }
    }
}

fn failures(doc: &mut Document, dice: &mut Dice, primitives: &[String]) {
    for state in elements(doc, "transient_attributes") {
        for name in primitives {
            if !dice.chance(12) {
                continue;
            }
            let operation = dice.pick(&["start_0", "monitor_10000", "stop_0", "promote_0", "monitor_0"]);
            let count = dice.pick(&["1", "2", "5", "INFINITY", "1000000", "0"]);
            let when = dice.pick(&["1577879990", "1577879000", "1577870000", "1577881000", "0"]);
            set_pair(doc, state, "instance_attributes", &format!("fail-count-{name}#{operation}"), count);
            if dice.chance(90) {
                set_pair(
                    doc,
                    state,
                    "instance_attributes",
                    &format!("last-failure-{name}#{operation}"),
                    when,
                );
            }
        }
    }
}
