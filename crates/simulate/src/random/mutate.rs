//! Changed copies of given inputs: what somebody once found worth a test, and something else beside it.
//!
//! New values are those that any of the inputs has in the same place, so that most copies are valid.

use super::dice::Dice;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use xml::{Document, NodeId};

/// Attributes that name other things: other names are seldom valid.
const NAMES: [&str; 22] = [
    "id",
    "rsc",
    "with-rsc",
    "first",
    "then",
    "node",
    "uname",
    "id-ref",
    "ticket",
    "template",
    "crm_feature_set",
    "epoch",
    "num_updates",
    "admin_epoch",
    "validate-with",
    "transition-key",
    "transition-magic",
    "op-digest",
    "op-force-restart",
    "op-restart-digest",
    "on_node",
    "name",
];

/// Elements that are the frame of the document, or without which it says nothing.
const FRAME: [&str; 10] = [
    "configuration",
    "status",
    "nodes",
    "resources",
    "constraints",
    "crm_config",
    "cib",
    "node",
    "lrm",
    "lrm_resources",
];

const RESOURCES: [&str; 5] = ["primitive", "group", "clone", "master", "bundle"];
const SCORES: [&str; 6] = ["INFINITY", "-INFINITY", "100", "-100", "1", "INFINITY"];
const ROLES: [&str; 4] = ["Started", "Master", "Slave", "Stopped"];
const ACTIONS: [&str; 4] = ["start", "stop", "promote", "demote"];
const CODES: [&str; 14] = ["0", "0", "7", "7", "1", "8", "9", "5", "6", "3", "2", "190", "193", "194"];
const STATUSES: [&str; 10] = ["0", "0", "4", "1", "2", "3", "-1", "6", "7", "8"];
const TASKS: [&str; 8] =
    ["start", "stop", "monitor", "promote", "demote", "migrate_to", "migrate_from", "notify"];

/// Nodes of the largest document that is used: more takes the reference long.
const MOST_NODES: usize = 2000;

/// Values in use, by what they are values of.
type Values<K> = BTreeMap<K, BTreeSet<String>>;

/// Names and contents of the `.xml` files in a directory, in order; what is no XML is left out.
///
/// # Errors
/// When something cannot be read.
pub fn inputs(dir: &Path) -> std::io::Result<Vec<(String, Document)>> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "xml") {
            continue;
        }
        let name = path.file_stem().map(|n| n.to_string_lossy().to_string()).unwrap_or_default();
        if let Ok(doc) = Document::parse_bytes(&std::fs::read(&path)?) {
            out.push((name, doc));
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(out)
}

/// Inputs, and the values that they have.
#[derive(Debug, Default)]
pub struct Pool {
    inputs: Vec<(String, Document)>,
    /// By element and attribute.
    attributes: Values<(String, String)>,
    /// By kind of block and name of the pair.
    pairs: Values<(String, String)>,
}

impl Pool {
    /// Gathers the values of these inputs, each with its name; large ones are left out.
    pub fn new(mut inputs: Vec<(String, Document)>) -> Pool {
        inputs.retain(|(_, doc)| doc.len() <= MOST_NODES);
        let mut pool = Pool { inputs, ..Pool::default() };
        for (_, doc) in &pool.inputs {
            for element in doc.root_element().descendants() {
                for (name, value) in element.attrs().filter(|(name, _)| !NAMES.contains(name)) {
                    let key = (element.name().to_string(), name.to_string());
                    pool.attributes.entry(key).or_default().insert(value.to_string());
                }
                let block = element.parent().map_or("", |parent| parent.name());
                if let ("nvpair", Some(name), Some(value)) =
                    (element.name(), element.attr("name"), element.attr("value"))
                {
                    let key = (block.to_string(), name.to_string());
                    pool.pairs.entry(key).or_default().insert(value.to_string());
                }
            }
        }
        pool
    }

    /// A changed copy of an input, both chosen by the seed; with the input's name.
    pub fn mutated(&self, seed: u64) -> Option<(String, Document)> {
        let mut dice = Dice::new(seed);
        let (name, doc) = self.inputs.get(dice.roll(self.inputs.len()))?;
        let mut doc = doc.clone();
        let times: usize = [1, 2, 4, 8][dice.roll(4)];
        for number in 0..times {
            self.mutate(&mut doc, &mut dice, number);
        }
        Some((name.clone(), doc))
    }

    /// One change, if there is something that it applies to.
    fn mutate(&self, doc: &mut Document, dice: &mut Dice, number: usize) -> Option<()> {
        match dice.roll(100) {
            0..22 => self.attribute(doc, dice),
            22..38 => self.pair(doc, dice),
            38..46 => remove(doc, dice),
            46..62 => history(doc, dice),
            62..70 => node_state(doc, dice),
            70..80 => self.option(doc, dice, number),
            _ => constraint(doc, dice, number),
        }
    }

    /// Another value of an attribute. The kind of attribute is chosen first, so that what is rare
    /// changes as often as what is frequent.
    fn attribute(&self, doc: &mut Document, dice: &mut Dice) -> Option<()> {
        let mut there: BTreeMap<(&str, &str), Vec<NodeId>> = BTreeMap::new();
        for element in doc.root_element().descendants() {
            for (name, _) in element.attrs().filter(|(name, _)| !NAMES.contains(name)) {
                there.entry((element.name(), name)).or_default().push(element.id());
            }
        }
        let kinds: Vec<&(&str, &str)> = there.keys().collect();
        let (element, name) = **kinds.get(dice.roll(kinds.len()))?;
        let at = one(dice, there.get(&(element, name))?)?;
        let (key, name) = ((element.to_string(), name.to_string()), name.to_string());
        let value = value(dice, self.attributes.get(&key)?)?;
        doc.set_attr(at, &name, &value);
        Some(())
    }

    /// Another value of a name-value pair.
    fn pair(&self, doc: &mut Document, dice: &mut Dice) -> Option<()> {
        let at = one(dice, &elements(doc, &["nvpair"]))?;
        let block = doc.parent(at).map_or("", |parent| doc.name(parent)).to_string();
        let key = (block, doc.attr(at, "name")?.to_string());
        let value = value(dice, self.pairs.get(&key)?)?;
        doc.set_attr(at, "value", &value);
        Some(())
    }

    /// A further name-value pair, before all others of its block.
    fn option(&self, doc: &mut Document, dice: &mut Dice, number: usize) -> Option<()> {
        let (block, owners): (&str, &[&str]) = match dice.roll(3) {
            0 => ("cluster_property_set", &[]),
            1 => ("meta_attributes", &["rsc_defaults", "op_defaults"]),
            _ => ("instance_attributes", &["node", "primitive"]),
        };
        let known: Vec<_> = self.pairs.iter().filter(|((kind, _), _)| kind == block).collect();
        let ((_, name), values) = known.get(dice.roll(known.len()))?;
        let value = value(dice, values)?;
        let set = match block {
            "cluster_property_set" => one(dice, &elements(doc, &[block]))?,
            _ => {
                let mut all = elements(doc, owners);
                if block == "meta_attributes" {
                    all.extend(elements(doc, &RESOURCES));
                }
                let owner = one(dice, &all)?;
                set_of(doc, owner, block, number)
            }
        };
        let id = format!("mutated-pair-{number}");
        let pair = doc.append_with(set, "nvpair", &[("id", &id), ("name", name), ("value", &value)]);
        to_front(doc, set, pair);
        Some(())
    }
}

fn one(dice: &mut Dice, from: &[NodeId]) -> Option<NodeId> {
    from.get(dice.roll(from.len())).copied()
}

fn value(dice: &mut Dice, from: &BTreeSet<String>) -> Option<String> {
    from.iter().nth(dice.roll(from.len())).cloned()
}

fn elements(doc: &Document, names: &[&str]) -> Vec<NodeId> {
    doc.root_element().descendants().filter(|e| names.contains(&e.name())).map(|e| e.id()).collect()
}

fn to_front(doc: &mut Document, parent: NodeId, node: NodeId) {
    if let Some(first) = doc.first_child(parent).filter(|first| *first != node) {
        doc.move_to(node, parent, Some(first));
    }
}

/// The block of an element, made if there is none.
fn set_of(doc: &mut Document, owner: NodeId, block: &str, number: usize) -> NodeId {
    doc.child(owner, block).unwrap_or_else(|| {
        let id = format!("mutated-set-{number}");
        let set = doc.append_with(owner, block, &[("id", &id)]);
        to_front(doc, owner, set);
        set
    })
}

/// Removes an element; its kind is chosen first.
fn remove(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let mut kinds: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
    for element in doc.root_element().descendants().filter(|e| !FRAME.contains(&e.name())) {
        kinds.entry(element.name()).or_default().push(element.id());
    }
    let all: Vec<&Vec<NodeId>> = kinds.values().collect();
    let kind = *all.get(dice.roll(all.len()))?;
    let at = one(dice, kind)?;
    doc.remove(at);
    Some(())
}

/// Another result, action, order or owner of a recorded operation.
fn history(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let op = one(dice, &elements(doc, &["lrm_rsc_op"]))?;
    match dice.roll(20) {
        0..10 => {
            let (code, status) = (dice.pick(&CODES), dice.pick(&STATUSES));
            doc.set_attr(op, "rc-code", code);
            doc.set_attr(op, "op-status", status);
            let key = doc.attr(op, "transition-magic").and_then(|m| m.split_once(';'));
            if let Some(key) = key.map(|(_, key)| key.to_string()) {
                doc.set_attr(op, "transition-magic", &format!("{status}:{code};{key}"));
            }
        }
        10..14 => doc.set_attr(op, "operation", dice.pick(&TASKS)),
        14..17 => doc.set_attr(op, "call-id", dice.pick(&["0", "1", "5", "1000", "-1"])),
        _ => {
            let to = one(dice, &elements(doc, &["lrm_resource"]))?;
            let id = doc.attr(op, "id").map(str::to_string);
            let known = doc.element(to).children().any(|e| e.attr("id").map(str::to_string) == id);
            if !known {
                doc.move_to(op, to, None);
            }
        }
    }
    Some(())
}

fn node_state(doc: &mut Document, dice: &mut Dice) -> Option<()> {
    let state = one(dice, &elements(doc, &["node_state"]))?;
    let (name, values): (&str, &[&str]) = match dice.roll(10) {
        0..3 => ("in_ccm", &["true", "false"]),
        3..5 => ("crmd", &["online", "offline"]),
        5..7 => ("join", &["member", "down", "pending", "banned"]),
        7..9 => ("expected", &["member", "down", ""]),
        _ => {
            doc.remove(state);
            return Some(());
        }
    };
    doc.set_attr(state, name, dice.pick(values));
    Some(())
}

/// A further constraint between what is there.
fn constraint(doc: &mut Document, dice: &mut Dice, number: usize) -> Option<()> {
    let configuration = doc.root_element().child("configuration")?;
    let all = configuration.child("constraints")?.id();
    let ids = |names: &[&str], attribute: &str| -> Vec<String> {
        let found = configuration.descendants().filter(|e| names.contains(&e.name()));
        found.filter_map(|e| e.attr(attribute)).map(str::to_string).collect()
    };
    let rscs = dice.some(&ids(&RESOURCES, "id"), 2);
    let node = dice.name(&ids(&["node"], "uname"));
    let mut attrs = vec![("id", format!("mutated-constraint-{number}"))];
    let (kind, score) = (dice.roll(3), dice.pick(&SCORES).to_string());
    let mut now_and_then = |attrs: &mut Vec<(&str, String)>, percent, name, values: &[&str]| {
        if dice.chance(percent) {
            attrs.push((name, dice.pick(values).to_string()));
        }
    };
    let name = match (kind, &rscs[..]) {
        (0, [rsc, ..]) => {
            attrs.extend([("rsc", rsc.clone()), ("node", node), ("score", score)]);
            now_and_then(&mut attrs, 30, "role", &ROLES);
            "rsc_location"
        }
        (1, [rsc, with]) => {
            attrs.extend([("rsc", rsc.clone()), ("with-rsc", with.clone()), ("score", score)]);
            now_and_then(&mut attrs, 30, "rsc-role", &ROLES);
            now_and_then(&mut attrs, 30, "with-rsc-role", &ROLES);
            "rsc_colocation"
        }
        (_, [first, then]) => {
            attrs.extend([("first", first.clone()), ("then", then.clone())]);
            now_and_then(&mut attrs, 40, "first-action", &ACTIONS);
            now_and_then(&mut attrs, 40, "then-action", &ACTIONS);
            now_and_then(&mut attrs, 40, "symmetrical", &["true", "false"]);
            now_and_then(&mut attrs, 60, "kind", &["Mandatory", "Optional", "Serialize"]);
            "rsc_order"
        }
        _ => return None,
    };
    let attrs: Vec<(&str, &str)> = attrs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    doc.append_with(all, name, &attrs);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: &str = "<cib><configuration><crm_config><cluster_property_set id='c'>\
        <nvpair id='o' name='no-quorum-policy' value='stop'/></cluster_property_set></crm_config>\
        <nodes><node id='1' uname='n1'/><node id='2' uname='n2'/></nodes>\
        <resources><primitive id='a' class='ocf' type='x'/><primitive id='b' class='ocf' type='y'/></resources>\
        <constraints/></configuration><status><node_state id='1' uname='n1' in_ccm='true'/></status></cib>";

    fn pool() -> Pool {
        Pool::new(vec![("input".to_string(), Document::parse(INPUT).unwrap_or_else(|e| panic!("{e}")))])
    }

    #[test]
    fn a_seed_gives_the_same_copy_and_others_differ() {
        let text = |seed| pool().mutated(seed).map(|(_, doc)| doc.to_text());
        let all: BTreeSet<Option<String>> = (0..50).map(text).collect();
        assert_eq!(text(7), text(7));
        assert!(all.len() > 25, "{} different copies", all.len());
        assert!(!all.contains(&None));
    }

    #[test]
    fn without_inputs_there_is_no_copy() {
        assert!(Pool::new(Vec::new()).mutated(1).is_none());
    }
}
