//! `sim SEED` replays one run with its log; `sim FROM TO` and `sim --seeds N` run many, on all processors.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let counts = words.first().is_some_and(|word| word == "--seeds");
    words.retain(|word| word != "--seeds");
    let numbers: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [count] if counts => many(0, *count),
        [seed] => replay(*seed),
        [from, to] => many(*from, *to),
        _ => {
            eprintln!("usage: sim SEED | sim FROM TO | sim --seeds N");
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
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, failures) = (AtomicU64::new(from), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to {
                        return;
                    }
                    if let Err(failure) = sim::run(seed) {
                        println!("{failure}");
                        failures.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner();
    println!("{} runs, {failures} failures", to.saturating_sub(from));
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
