//! Random clusters and their histories: the answers are those that Pacemaker 3.0.2 gave.
//!
//! When the generator has changed, the file of digests (of summary, scores, graph and drawing) is made
//! anew from the reference:
//!
//! ```text
//! cargo xtask scheduler-random --reference PROGRAM --seeds 250 --steps 4 --record random-answers.txt
//! ```

use simulate::random::own_history;
use std::collections::HashMap;

/// Digests of the reference's answers, by seed and step.
type Answers = HashMap<&'static str, &'static str>;

fn answers(text: &'static str) -> Answers {
    text.lines().filter_map(|line| line.split_once(' ')).collect()
}

/// Compares one history with the answers; returns the number compared, and what differs.
fn history(answers: &Answers, seed: u64, steps: usize) -> (usize, Vec<String>) {
    let (mut compared, mut different) = (0, Vec::new());
    let done = own_history(seed, None, steps, |number, _, _, ours| {
        let name = format!("{seed}-{number}");
        // The reference does not survive each of these, and refuses some.
        if let Some(theirs) = answers.get(name.as_str()) {
            compared += 1;
            if *theirs != ours.digests() {
                different.push(format!("{name}: {theirs} expected, {} found", ours.digests()));
            }
        }
    });
    assert!(done.is_ok(), "seed {seed}: {done:?}");
    (compared, different)
}

fn all_equal(results: impl Iterator<Item = (usize, Vec<String>)>, least: usize) {
    let (mut compared, mut different) = (0, Vec::new());
    for (some, others) in results {
        compared += some;
        different.extend(others);
    }
    assert!(different.is_empty(), "summary, scores, graph, drawing of\n{}", different.join("\n"));
    // The generator makes what was recorded.
    assert!(compared >= least, "only {compared} answers compared");
}

#[test]
fn decisions_are_the_references() {
    let answers = answers(include_str!("random-answers.txt"));
    all_equal((1..=250).map(|seed| history(&answers, seed, 4)), 850);
}
