//! The trail accounts for every score: over all cases of the regression suite, for each resource and
//! node, the steps are a chain that ends at the score which the decision was made with.

use std::collections::HashMap;
use std::fs;

use scheduler::{Decision, NodeIx, Options, RscIx, schedule, slot};
use simulate::suite;
use xml::Document;

/// The same time for all cases; what they decide does not matter here.
const NOW_S: i64 = 1_785_000_000;

fn breaks(decision: &Decision) -> Vec<String> {
    let cluster = &decision.cluster;
    let mut at: HashMap<(RscIx, NodeIx), Option<i32>> = HashMap::new();
    let mut found = Vec::new();
    let label =
        |rsc: RscIx, node: NodeIx| format!("{} on {}", cluster.rscs[rsc].id, cluster.nodes[node].name);
    for step in &cluster.trail {
        let before = at.insert((step.rsc, step.node), step.to).flatten();
        if before != step.from {
            found.push(format!(
                "{}: {:?} when {} starts from {:?}",
                label(step.rsc, step.node),
                before,
                step.cause,
                step.from
            ));
        }
    }
    for rsc in cluster.rscs.indices() {
        for node in cluster.nodes.indices() {
            let score = slot(&cluster.rscs[rsc].allowed, node).map(|cell| cell.score);
            let told = at.get(&(rsc, node)).copied().flatten();
            if score != told {
                found.push(format!(
                    "{}: the score is {score:?}, the trail ends at {told:?}",
                    label(rsc, node)
                ));
            }
        }
    }
    found
}

#[test]
fn steps_are_chains_to_the_scores() {
    let dir = suite::directory();
    let Ok(names) = suite::names(&dir) else {
        println!("LEFT OUT: the trail over the regression suite: no {}", dir.display());
        return;
    };
    let mut found = Vec::new();
    for name in &names {
        let text = fs::read_to_string(dir.join("xml").join(format!("{name}.xml"))).expect("readable case");
        let Ok(document) = Document::parse(&text) else { continue };
        let options = Options { now_s: NOW_S, trail: true, ..Options::default() };
        let Ok(decision) = schedule(&document, &options) else { continue };
        let breaks = breaks(&decision);
        if let Some(first) = breaks.first() {
            found.push(format!("{name}: {} breaks, first: {first}", breaks.len()));
        }
    }
    assert!(found.is_empty(), "{} of {} cases:\n{}", found.len(), names.len(), found.join("\n"));
}
