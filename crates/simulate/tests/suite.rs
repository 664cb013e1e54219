//! Every case of Pacemaker's scheduler regression suite, as a test of its own name.

use libtest_mimic::{Arguments, Failed, Trial};
use simulate::suite;

/// Cases that fail for now, one a line. What passes has to leave the list.
const KNOWN_FAILURES: &str = include_str!("known-failures.txt");

fn check(name: &str, known: bool) -> Result<(), Failed> {
    let outcome = suite::run_case(&suite::directory(), name);
    match (outcome.failures.is_empty(), known) {
        (true, false) => Ok(()),
        (true, true) => Err(format!("{name} passes: take it off tests/known-failures.txt").into()),
        (false, true) => Ok(()),
        (false, false) => {
            let text = outcome.failures.iter().map(|(kind, diff)| format!("--- {kind}\n{diff}\n"));
            Err(text.collect::<String>().into())
        }
    }
}

fn main() {
    let args = Arguments::from_args();
    let names = suite::names(&suite::directory()).unwrap_or_else(|error| {
        println!("LEFT OUT: the regression suite: {}: {error}", suite::directory().display());
        Vec::new()
    });
    let known: Vec<&str> = KNOWN_FAILURES.lines().map(str::trim).filter(|l| !l.starts_with('#')).collect();
    let trials = names.into_iter().map(|name| {
        let is_known = known.contains(&name.as_str());
        Trial::test(name.clone(), move || check(&name, is_known))
    });
    libtest_mimic::run(&args, trials.collect()).exit();
}
