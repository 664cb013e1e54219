//! Developer commands: `cargo xtask COMMAND`. `cargo xtask` alone lists them.

mod bench;
mod edges;
mod fuzz;
mod order;
mod run;
mod soak;
mod starve;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  test [--quick]              everything that CI runs (--quick: without lab and simulator)
  edges                       check that dependencies point one way only
  scheduler-suite [ARGS…]     run Pacemaker's scheduler cases: [DIR] [NAME…] [--diff]
  scheduler-random [ARGS…]    decide random clusters beside the reference: [--seeds N] [--reference PATH]
  sim [--seeds N]             simulate clusters with faults, one per seed
  fuzz [NAME…] [--seconds N]  look for inputs that crash a decoder or a core
  starve [--minutes N]        rings on a starved machine keep their members (10 minutes; needs root)
  soak [--minutes N] [--nodes N] [--seed N] [--transport T] [--engine relevo|reference] [--load N]
                              whole clusters under random faults are whole again after each (needs root)
  order                       list the functions that short commands run, for the linker (needs valgrind)
  bench failover|cli|memory|ring|scheduler|all
                              compare with the reference, side by side (all but scheduler need root)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let result = match arguments.first().map(String::as_str) {
        Some("test") => test::test(rest),
        Some("edges") => edges::check(),
        Some("scheduler-suite") => run::cargo_run("simulate", "scheduler-suite", rest),
        Some("scheduler-random") => run::cargo_run("simulate", "scheduler-random", rest),
        Some("sim") => run::cargo_run("sim", "sim", rest),
        Some("fuzz") => fuzz::fuzz(rest),
        Some("soak") => soak::soak(rest),
        Some("starve") => starve::starve(rest),
        Some("order") => order::order(),
        Some("bench") => bench::bench(rest),
        // Run by the benchmark in its hosts.
        Some("__cpg") => bench::ring::load::run(rest),
        Some("__watch") => starve::watch::run(rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}
