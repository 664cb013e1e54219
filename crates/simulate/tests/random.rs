//! Random clusters and their histories: the answers are those that Pacemaker 3.0.2 gave.
//!
//! When the generator has changed, the file of digests (of summary, scores, graph and drawing) is made
//! anew from the reference:
//!
//! ```text
//! cargo xtask scheduler-random --reference PROGRAM --seeds 250 --steps 4 --record random-answers.txt
//! cargo xtask scheduler-random --reference PROGRAM --seeds 400 --steps 2 --record mutated-answers.txt \
//!     --inputs SUITE/xml --mutate
//! ```

use simulate::random::{Answer, Pool, REFUSED, inputs, own_history};
use std::collections::HashMap;
use xml::Document;

/// Two pairs in the status section have the same id: injecting something, the reference takes them for one.
const DIFFERENT: [&str; 1] = ["mutated 198-1"];

/// Digests of the reference's answers, by seed and step.
type Answers = HashMap<&'static str, &'static str>;

fn answers(text: &'static str) -> Answers {
    text.lines().filter_map(|line| line.split_once(' ')).collect()
}

/// Compares one history with the answers; returns the number compared, and what differs.
fn history(answers: &Answers, seed: u64, start: Option<Document>, steps: usize) -> (usize, Vec<String>) {
    let (mut compared, mut different) = (0, Vec::new());
    let is_mutated = start.is_some();
    let done = own_history(seed, start, steps, |number, _, _, ours| {
        let name = format!("{seed}-{number}");
        let is_known = is_mutated && DIFFERENT.contains(&format!("mutated {name}").as_str());
        // The reference does not survive each of these.
        if let Some(theirs) = answers.get(name.as_str()) {
            compared += 1;
            let digests = ours.map_or_else(|_| REFUSED.to_string(), Answer::digests);
            // A known difference that is none any more goes out of the list.
            if (*theirs != digests) != is_known {
                let reason = ours.err().unwrap_or_default();
                different.push(format!("{name}: {theirs} expected, {digests} found {reason}"));
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
    all_equal((1..=250).map(|seed| history(&answers, seed, None, 4)), 850);
}

/// Inputs of the suite with values, options, histories and constraints changed: refusals too.
#[test]
fn decisions_on_changed_inputs_are_the_references() {
    let shared = std::env::var("RELEVO_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
    let Ok(inputs) = inputs(format!("{shared}/pacemaker-scheduler-suite/xml").as_ref()) else {
        println!("LEFT OUT: the scheduler suite's configurations are not here");
        return;
    };
    let pool = Pool::new(inputs);
    let answers = answers(include_str!("mutated-answers.txt"));
    assert!(answers.values().filter(|answer| **answer == REFUSED).count() > 20);
    let one = |seed| {
        let start = pool.mutated(seed).map(|(_, start)| start);
        start.map_or((0, Vec::new()), |start| history(&answers, seed, Some(start), 2))
    };
    all_equal((1..=400).map(one), 700);
}
