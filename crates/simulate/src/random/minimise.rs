//! Makes a question on which the answers differ as small as it can be.

use super::compare::{Reference, Verdict, compare};
use super::evolve::Events;
use std::collections::HashSet;
use xml::{Document, NodeId};

/// What must not be removed: the frame of the document.
const FRAME: [&str; 8] =
    ["cib", "configuration", "crm_config", "nodes", "resources", "constraints", "status", "lrm_resources"];

/// The lines that differ, without numbers.
fn lines(found: &[(&'static str, String)]) -> HashSet<String> {
    let lines = found.iter().flat_map(|(_, text)| text.lines());
    lines.map(|line| line.chars().filter(|c| !c.is_ascii_digit()).collect()).collect()
}

fn differs(reference: &Reference, doc: &Document, events: &Events, wanted: &HashSet<String>) -> bool {
    match compare(reference, doc, events) {
        Verdict::Different(found, _) => !lines(&found).is_disjoint(wanted),
        _ => false,
    }
}

/// Removes what is not needed for at least one of these differences.
pub fn minimise(
    reference: &Reference,
    doc: &Document,
    events: &Events,
    found: &[(&'static str, String)],
) -> (Document, Events) {
    let wanted = &lines(found);
    let (mut doc, mut events) = (doc.clone(), events.clone());
    events = fewer_events(reference, &doc, events, wanted);
    loop {
        let before = doc.root_element().descendants().count();
        doc = fewer_elements(reference, doc, &events, wanted);
        if doc.root_element().descendants().count() == before {
            return (doc, events);
        }
    }
}

fn fewer_events(
    reference: &Reference,
    doc: &Document,
    mut events: Events,
    wanted: &HashSet<String>,
) -> Events {
    let fields: [fn(&mut Events) -> &mut Vec<String>; 9] = [
        |e| &mut e.injections.node_up,
        |e| &mut e.injections.node_down,
        |e| &mut e.injections.node_fail,
        |e| &mut e.injections.op_inject,
        |e| &mut e.injections.ticket_grant,
        |e| &mut e.injections.ticket_revoke,
        |e| &mut e.injections.ticket_standby,
        |e| &mut e.injections.ticket_activate,
        |e| &mut e.op_fail,
    ];
    for field in fields {
        for at in (0..field(&mut events).len()).rev() {
            let mut fewer = events.clone();
            field(&mut fewer).remove(at);
            if differs(reference, doc, &fewer, wanted) {
                events = fewer;
            }
        }
    }
    let mut fewer = events.clone();
    (fewer.injections.quorum, fewer.injections.watchdog) = (None, None);
    if differs(reference, doc, &fewer, wanted) { fewer } else { events }
}

/// Tries to remove each element, the outer ones first.
fn fewer_elements(
    reference: &Reference,
    mut doc: Document,
    events: &Events,
    wanted: &HashSet<String>,
) -> Document {
    let all: Vec<NodeId> = doc.root_element().descendants().map(|e| e.id()).collect();
    for node in all {
        let there = doc.root_element().descendants().any(|e| e.id() == node);
        if !there || FRAME.contains(&doc.name(node)) {
            continue;
        }
        let mut fewer = doc.clone();
        fewer.remove(node);
        if differs(reference, &fewer, events, wanted) {
            doc = fewer;
        }
    }
    doc
}
