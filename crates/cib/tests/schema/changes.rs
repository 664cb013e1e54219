//! Every way of damaging a document a little.

use std::collections::{BTreeMap, BTreeSet};

use xml::{Document, NodeId};

pub struct Change {
    pub name: String,
    pub document: Document,
}

/// Of the attributes and elements that are put where others have them, every so manyeth.
const SPARSE: usize = 5;

const VALUES: &[&str] = &[
    "",
    " ",
    "0",
    "-1",
    "+5",
    "-0",
    "10",
    "1.5",
    "99999999999999999999",
    "true",
    " false ",
    "yes",
    "INFINITY",
    "+INFINITY",
    "infinity",
    "p1",
    " p1 ",
    "nothing-of-this-name",
    "1a",
    "a b",
    "a:b",
    "a,b",
    "a,",
    "Started",
    "started",
    "Master",
    "and",
    "start",
    "group",
    "Serialize",
    "fence",
    "date_spec",
    "lt",
    "in_range",
    "ocf",
    "lsb",
    "upstart",
    "ping",
    "stonith-action",
    "poweroff",
    "restart-type",
    "can_fail",
    "requires",
    "isolation",
    "cluster-infrastructure",
    "cman",
    "remove-after-stop",
    "startup_fencing",
];

/// All changes, in an order that stays the same.
pub fn changes(base: &Document) -> Vec<Change> {
    let mut changes = vec![Change { name: "as it is".into(), document: base.clone() }];
    let elements = elements(base);
    let mut first: BTreeMap<&str, NodeId> = BTreeMap::new();
    for id in &elements {
        first.entry(base.name(*id)).or_insert(*id);
    }
    let names: BTreeSet<&str> =
        elements.iter().flat_map(|id| base.attrs(*id)).map(|(name, _)| name).collect();
    let mut tried = BTreeSet::new();
    for id in &elements {
        removals(base, *id, &mut changes);
        places(base, *id, &mut changes);
        for (name, _) in base.attrs(*id) {
            let parent = base.parent(*id).map_or("", |parent| base.name(parent));
            // The values of an attribute are tried once for each place that it has.
            if tried.insert((parent, base.name(*id), name)) {
                for value in VALUES {
                    push(base, &mut changes, format!("{} {name}='{value}'", place(base, *id)), |doc| {
                        doc.set_attr(*id, name, value);
                    });
                }
            }
        }
    }
    additions(base, &first, &names, &mut changes);
    changes
}

/// The root, and what is in the configuration.
fn elements(base: &Document) -> Vec<NodeId> {
    let configuration = base.root_element().child("configuration").unwrap();
    [base.root()].into_iter().chain(configuration.descendants().map(|e| e.id())).collect()
}

fn place(base: &Document, id: NodeId) -> String {
    base.xpath_of(id)
}

fn push(base: &Document, changes: &mut Vec<Change>, name: String, change: impl FnOnce(&mut Document)) {
    let mut document = base.clone();
    change(&mut document);
    changes.push(Change { name, document });
}

fn removals(base: &Document, id: NodeId, changes: &mut Vec<Change>) {
    if id != base.root() {
        push(base, changes, format!("without {}", place(base, id)), |doc| doc.remove(id));
    }
    for (name, _) in base.attrs(id) {
        push(base, changes, format!("{} without {name}", place(base, id)), |doc| {
            doc.remove_attr(id, name);
        });
    }
    push(base, changes, format!("text in {}", place(base, id)), |doc| {
        doc.append_text(id, "words");
    });
}

/// The element elsewhere among its brothers, and twice.
fn places(base: &Document, id: NodeId, changes: &mut Vec<Change>) {
    let Some(parent) = base.parent(id).filter(|_| id != base.root()) else { return };
    let brothers = base.child_elements(parent);
    if brothers.last() != Some(&id) {
        push(base, changes, format!("{} last", place(base, id)), |doc| doc.move_to(id, parent, None));
    }
    if brothers.first() != Some(&id) {
        push(base, changes, format!("{} first", place(base, id)), |doc| {
            doc.move_to(id, parent, brothers.first().copied());
        });
    }
    push(base, changes, format!("{} twice", place(base, id)), |doc| {
        doc.duplicate(parent, id);
    });
    push(base, changes, format!("{} and another one", place(base, id)), |doc| {
        let copy = doc.duplicate(parent, id);
        with_new_ids(doc, copy);
    });
}

fn with_new_ids(doc: &mut Document, top: NodeId) {
    let inside: Vec<NodeId> = doc.element(top).descendants().map(|e| e.id()).collect();
    for id in inside {
        if matches!(doc.name(id), "resource_ref" | "obj_ref" | "role") {
            continue;
        }
        if let Some(old) = doc.attr(id, "id").map(str::to_string) {
            doc.set_attr(id, "id", &format!("{old}-new"));
        }
    }
}

/// Attributes and elements where they may not belong.
fn additions(
    base: &Document,
    first: &BTreeMap<&str, NodeId>,
    names: &BTreeSet<&str>,
    changes: &mut Vec<Change>,
) {
    let mut count = 0;
    let mut due = || {
        count += 1;
        count % SPARSE == 0
    };
    for id in first.values() {
        for name in names.iter().filter(|name| base.attr(*id, name).is_none()) {
            if due() {
                let value = a_value(base, name);
                push(base, changes, format!("{} with {name}='{value}'", place(base, *id)), |doc| {
                    doc.set_attr(*id, name, &value);
                });
            }
        }
        for (name, other) in first {
            if due() && *other != base.root() && !base.element(*other).descendants().any(|e| e.id() == *id) {
                push(base, changes, format!("<{name}> in {}", place(base, *id)), |doc| {
                    let copy = doc.duplicate(*id, *other);
                    with_new_ids(doc, copy);
                });
            }
        }
    }
}

/// A value that the attribute has somewhere.
fn a_value(base: &Document, name: &str) -> String {
    let mut values = base.root_element().descendants().filter_map(|e| e.attr(name));
    values.next().unwrap_or_default().to_string()
}
