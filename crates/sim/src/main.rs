//! `sim SEED` replays one run with its log; `sim FROM TO` runs many.

use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [seed] => replay(*seed),
        [from, to] => many(*from, *to),
        _ => {
            eprintln!("usage: sim SEED | sim FROM TO");
            ExitCode::from(64)
        }
    }
}

fn replay(seed: u64) -> ExitCode {
    let (outcome, trace) = sim::replay(seed);
    for line in trace {
        println!("{line}");
    }
    match outcome {
        Ok(report) => {
            println!("{report:?}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn many(from: u64, to: u64) -> ExitCode {
    let mut failures = 0u64;
    for seed in from..to {
        if let Err(failure) = sim::run(seed) {
            println!("{failure}");
            failures += 1;
        }
    }
    println!("{} runs, {failures} failures", to.saturating_sub(from));
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
