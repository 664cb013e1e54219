//! Configurations that would take minutes, or for ever, if something were walked again and again.

use simulate::sim::{self, Request};
use std::fmt::Write;
use xml::Document;

const NODES: usize = 4;

/// A cluster with primitives `r0` … and constraints, nothing started.
fn cib(primitives: usize, constraints: &str) -> Document {
    let mut text = String::from(
        "<cib crm_feature_set='3.16.1' validate-with='pacemaker-3.9' have-quorum='1' epoch='1' \
         num_updates='0' admin_epoch='0'><configuration><crm_config><cluster_property_set id='o'>\
         <nvpair id='of' name='stonith-enabled' value='false'/></cluster_property_set></crm_config><nodes>",
    );
    for node in 1..=NODES {
        let _ = write!(text, "<node id='{node}' uname='node{node}'/>");
    }
    text.push_str("</nodes><resources>");
    for rsc in 0..primitives {
        let _ = write!(text, "<primitive id='r{rsc}' class='ocf' provider='pacemaker' type='Dummy'/>");
    }
    let _ = write!(text, "</resources><constraints>{constraints}</constraints></configuration><status>");
    for node in 1..=NODES {
        let _ = write!(
            text,
            "<node_state id='{node}' uname='node{node}' in_ccm='true' crmd='online' join='member' \
             expected='member'/>"
        );
    }
    text.push_str("</status></cib>");
    Document::parse(&text).expect("well-formed")
}

fn constraint(kind: &str, first: usize, then: usize) -> String {
    match kind {
        "order" => format!("<rsc_order id='o{first}-{then}' first='r{first}' then='r{then}'/>"),
        _ => format!(
            "<rsc_colocation id='c{first}-{then}' rsc='r{then}' with-rsc='r{first}' score='INFINITY'/>"
        ),
    }
}

/// Starts in the decision, and the work spent on walks along colocations.
fn decide(doc: &Document) -> (usize, u64) {
    let request = Request { process: true, quiet: true, now_s: 1_785_000_000, ..Request::default() };
    let run = sim::run(doc, &request).expect("a CIB");
    let (cluster, graph) = run.decided.expect("a decision");
    let starts = graph.actions.iter().filter(|a| cluster.actions[**a].task == "start").count();
    (starts, cluster.walked)
}

#[test]
fn chains_are_walked_once() {
    const LENGTH: usize = 5_000;
    for kinds in [&["order"][..], &["colocation"], &["order", "colocation"]] {
        let pairs = (1..LENGTH).flat_map(|then| kinds.iter().map(move |k| constraint(k, then - 1, then)));
        let (starts, walked) = decide(&cib(LENGTH, &pairs.collect::<String>()));
        assert_eq!(starts, LENGTH, "{kinds:?}");
        assert!(walked < 100 * LENGTH as u64, "{kinds:?}: {walked}");
    }
}

#[test]
fn a_circle_of_orderings_starts_nothing_twice_and_ends() {
    const LENGTH: usize = 2_000;
    let pairs = (0..LENGTH).map(|first| constraint("order", first, (first + 1) % LENGTH));
    let (starts, _) = decide(&cib(LENGTH, &pairs.collect::<String>()));
    assert_eq!(starts, LENGTH);
}

#[test]
fn everything_with_everything_ends() {
    const ALL: usize = 16;
    let pairs = (0..ALL).flat_map(|a| (0..ALL).filter(move |b| *b != a).map(move |b| (a, b)));
    let constraints: String =
        pairs.flat_map(|(a, b)| [constraint("colocation", a, b), constraint("order", a, b)]).collect();
    let (_, walked) = decide(&cib(ALL, &constraints));
    assert!(walked < 200_000_000, "{walked}");
}
