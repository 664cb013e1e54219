//! What `crm_simulate` predicts is what the cluster does: each change of the configuration is first
//! made to a copy and simulated, then made to the running cluster, and both have to agree on where
//! everything runs.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{Cluster, PATIENCE, cluster};
use xml::{Document, NodeId};

/// Changes, each a line for the shell, understood with `CIB_file` too. `FILE` is where pcs works.
const CHANGES: &[&str] = &[
    "pcs FILE resource create A ocf:pacemaker:Dummy",
    "pcs FILE resource create B ocf:pacemaker:Dummy",
    "pcs FILE resource create G1 ocf:pacemaker:Dummy --group g && pcs FILE resource create G2 ocf:pacemaker:Dummy --group g",
    "pcs FILE resource create D ocf:pacemaker:Dummy clone",
    "pcs FILE constraint location A prefers nodo3.example.com=100",
    "pcs FILE constraint colocation add B with A 50",
    "crm_standby -N nodo3.example.com -v on",
    "pcs FILE constraint location g avoids nodo1.example.com=INFINITY",
    "crm_standby -N nodo3.example.com -v off",
    "pcs FILE resource defaults update resource-stickiness=1000",
    "pcs FILE constraint order A then g",
    "pcs FILE resource disable A",
    "pcs FILE resource enable A",
    "pcs FILE constraint colocation add g with A -INFINITY",
    "pcs FILE resource meta D-clone clone-max=2",
    "pcs FILE constraint location B avoids nodo2.example.com=INFINITY",
    "pcs FILE resource update A fake=other",
    "crm_standby -N nodo1.example.com -v on",
    "crm_standby -N nodo2.example.com -v on",
    "crm_standby -N nodo1.example.com -v off && crm_standby -N nodo2.example.com -v off",
    "pcs FILE property set maintenance-mode=true",
    "pcs FILE constraint location A avoids nodo1.example.com=INFINITY",
    "pcs FILE property set maintenance-mode=false",
    "pcs FILE property set stop-all-resources=true",
    "pcs FILE property set stop-all-resources=false",
    "pcs FILE resource delete G2",
];

/// Resource, role and node of everything that is active.
type Placement = BTreeSet<(String, String, String)>;

fn placement(report: &str) -> Placement {
    let document = Document::parse(report).unwrap_or_else(|error| panic!("{error}\n{report}"));
    let mut found = BTreeSet::new();
    let resources = document.child(document.root(), "resources");
    collect(&document, resources.unwrap_or(document.root()), &mut found);
    found
}

fn collect(document: &Document, at: NodeId, found: &mut Placement) {
    let attr = |node: NodeId, name: &str| document.attr(node, name).unwrap_or("").to_string();
    for child in document.child_elements(at) {
        match document.name(child) {
            "node" => {
                found.insert((attr(at, "id"), attr(at, "role"), attr(child, "name")));
            }
            _ => collect(document, child, found),
        }
    }
}

fn predicted(c: &Cluster, change: &str) -> Placement {
    let offline = change.replace("FILE", "-f /root/after.xml");
    c.ok("nodo1", "cibadmin -Q > /root/after.xml");
    c.ok("nodo1", &format!("export CIB_file=/root/after.xml; {offline}"));
    c.ok("nodo1", "crm_simulate -x /root/after.xml -S -O /root/predicted.xml");
    placement(&c.ok("nodo1", "CIB_file=/root/predicted.xml crm_mon -1 --output-as=xml"))
}

fn now(c: &Cluster) -> Placement {
    placement(&c.ok("nodo1", "crm_mon -1 --output-as=xml"))
}

#[test]
fn the_cluster_does_what_crm_simulate_predicts() {
    let Some(c) = cluster("predict", 3) else { return };
    let mut moved = 0;
    let mut last = now(&c);
    for change in CHANGES {
        let expected = predicted(&c, change);
        c.ok("nodo1", &change.replace("FILE ", ""));
        let start = Instant::now();
        let mut actual = now(&c);
        while actual != expected && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
            actual = now(&c);
        }
        assert_eq!(actual, expected, "after {change}\n{}", c.state());
        // And so it stays.
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(now(&c), expected, "some time after {change}\n{}", c.state());
        moved += usize::from(expected != last);
        last = expected;
    }
    assert!(moved >= CHANGES.len() / 2, "only {moved} changes moved anything");
}
