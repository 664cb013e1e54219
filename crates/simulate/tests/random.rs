//! Random clusters and their histories: the answers are those that Pacemaker 3.0.2 gave.
//!
//! `cargo xtask scheduler-random --reference PROGRAM --seeds 250 --steps 4 --record FILE` makes the
//! file of digests (of summary, scores, graph and drawing) anew when the generator has changed.

use simulate::random::own_history;
use std::collections::HashMap;

const ANSWERS: &str = include_str!("random-answers.txt");

/// Histories, and decisions in each.
const SEEDS: u64 = 250;
const STEPS: usize = 4;

/// Least number of answers that must have been compared: the generator makes what was recorded.
const LEAST: usize = 850;

#[test]
fn decisions_are_the_references() {
    let answers: HashMap<&str, &str> = ANSWERS.lines().filter_map(|line| line.split_once(' ')).collect();
    let (mut compared, mut different) = (0, Vec::new());
    for seed in 1..=SEEDS {
        let done = own_history(seed, None, STEPS, |number, _, _, ours| {
            let name = format!("{seed}-{number}");
            // The reference does not survive each of these.
            if let Some(theirs) = answers.get(name.as_str()) {
                compared += 1;
                if *theirs != ours.digests() {
                    different.push(format!("{name}: {theirs} expected, {} found", ours.digests()));
                }
            }
        });
        assert!(done.is_ok(), "seed {seed}: {done:?}");
    }
    assert!(different.is_empty(), "summary, scores, graph, drawing of\n{}", different.join("\n"));
    assert!(compared >= LEAST, "only {compared} answers compared");
}
