//! Decides random clusters and compares with the reference's crm_simulate.

use simulate::random::{
    Answer, Pool, REFUSED, Reference, Step, Verdict, history, inputs, installed, minimise, own_history,
};
use std::path::PathBuf;
use std::process::ExitCode;
use xml::Document;

const USAGE: &str = "\
scheduler-random [--seeds N] [--first SEED] [--steps N] [--reference PROGRAM] [--keep DIR] [--small]
                 [--inputs DIR [--mutate]]

  --seeds N       so many histories (100)
  --first SEED    the first one's number (1)
  --steps N       decisions of each history (4)
  --reference P   crm_simulate to compare with (RELEVO_REFERENCE_CRM_SIMULATE, /usr/sbin/crm_simulate)
  --keep DIR      write inputs whose answers differ, and the differences, to this directory
  --inputs DIR    start from each .xml of this directory instead, once for each seed
  --mutate        start from a changed copy of one of these inputs, another one for each seed
  --record FILE   write digests of the reference's answers, by our own histories, to this file
  --only NAME     keep this one only (as printed, SEED-STEP)
  --small         make these inputs as small as they can be (slow)
";

struct Args {
    seeds: u64,
    first: u64,
    steps: usize,
    reference: Option<PathBuf>,
    keep: Option<PathBuf>,
    small: bool,
    only: Option<String>,
    inputs: Option<PathBuf>,
    mutate: bool,
    record: Option<PathBuf>,
}

#[derive(Default)]
struct Count {
    same: usize,
    different: usize,
    refused: usize,
    broken: usize,
}

fn parse() -> Result<Args, lexopt::Error> {
    use lexopt::prelude::*;
    let mut args = Args {
        seeds: 100,
        first: 1,
        steps: 4,
        reference: installed(),
        keep: None,
        small: false,
        only: None,
        inputs: None,
        mutate: false,
        record: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("seeds") => args.seeds = parser.value()?.parse()?,
            Long("first") => args.first = parser.value()?.parse()?,
            Long("steps") => args.steps = parser.value()?.parse()?,
            Long("reference") => args.reference = Some(parser.value()?.into()),
            Long("keep") => args.keep = Some(parser.value()?.into()),
            Long("only") => args.only = Some(parser.value()?.string()?),
            Long("record") => args.record = Some(parser.value()?.into()),
            Long("inputs") => args.inputs = Some(parser.value()?.into()),
            Long("mutate") => args.mutate = true,
            Long("small") => args.small = true,
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(args)
}

/// Writes an input whose answers differ.
fn keep(args: &Args, reference: &Reference, name: &str, step: &Step, found: &[(&'static str, String)]) {
    let wanted = args.only.as_ref().is_none_or(|only| only == name);
    let Some(dir) = args.keep.as_ref().filter(|_| wanted) else { return };
    let (cib, events) = match args.small {
        true => minimise(reference, &step.cib, &step.events, found),
        false => (step.cib.clone(), step.events.clone()),
    };
    let mut text = format!("{}\n", events.options().join(" "));
    for (kind, difference) in found {
        text += &format!("--- {kind}\n{difference}\n");
    }
    let written = std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(dir.join(format!("{name}.xml")), cib.to_pretty()))
        .and_then(|()| std::fs::write(dir.join(format!("{name}.txt")), text));
    if let Err(error) = written {
        eprintln!("{}: {error}", dir.display());
    }
}

impl Count {
    /// Goes through one history and counts.
    fn history(&mut self, args: &Args, reference: &Reference, start: Option<(String, Document)>, seed: u64) {
        let (prefix, start) = match start {
            Some((name, start)) => (format!("{name}-"), Some(start)),
            None => (String::new(), None),
        };
        let done = history(reference, seed, start, args.steps, |step| {
            let name = format!("{prefix}{seed}-{}", step.number);
            match &step.verdict {
                Verdict::Same(_) => self.same += 1,
                Verdict::Different(found, _) => {
                    self.different += 1;
                    let kinds: Vec<&str> = found.iter().map(|(kind, _)| *kind).collect();
                    println!("DIFFERENT {name} ({})", kinds.join(" "));
                    keep(args, reference, &name, &step, found);
                }
                Verdict::Refused(why) => {
                    self.refused += 1;
                    println!("REFUSED {name} {}", why.lines().next().unwrap_or(""));
                }
                Verdict::Broken(why) => {
                    self.broken += 1;
                    println!("REFERENCE FAILS {name} {}", why.lines().next().unwrap_or(""));
                }
            }
        });
        if let Err(error) = done {
            println!("{prefix}{seed}: {error}");
        }
    }
}

/// Where histories start.
enum Starts {
    Random,
    Given(Vec<(String, Document)>),
    Mutated(Pool),
}

impl Starts {
    fn new(args: &Args) -> std::io::Result<Starts> {
        Ok(match (&args.inputs, args.mutate) {
            (None, _) => Starts::Random,
            (Some(dir), false) => Starts::Given(inputs(dir)?),
            (Some(dir), true) => Starts::Mutated(Pool::new(inputs(dir)?)),
        })
    }

    /// Starts of a seed, with their names.
    fn of(&self, seed: u64) -> Vec<Option<(String, Document)>> {
        match self {
            Starts::Random => vec![None],
            Starts::Given(all) => all.iter().cloned().map(Some).collect(),
            Starts::Mutated(pool) => pool.mutated(seed).map(Some).into_iter().collect(),
        }
    }
}

/// Digests of the reference's answers, one a line, after the number of steps; what the reference does
/// not answer is left out.
fn record(args: &Args, starts: &Starts, reference: &Reference) -> String {
    let mut out = String::new();
    for seed in args.first..args.first.saturating_add(args.seeds) {
        for start in starts.of(seed) {
            let start = start.map(|(_, start)| start);
            let done = own_history(seed, start, args.steps, |number, cib, events, ours| {
                let theirs = match reference.run(cib, events).map_err(|verdict| *verdict) {
                    Ok((theirs, _)) => theirs.digests(),
                    Err(Verdict::Refused(_)) => REFUSED.to_string(),
                    Err(_) => return,
                };
                out += &format!("{seed}-{number} {theirs}\n");
                if ours.map_or_else(|_| REFUSED.to_string(), Answer::digests) != theirs {
                    println!("DIFFERENT {seed}-{number}");
                }
            });
            if let Err(error) = done {
                println!("{seed}: {error}");
            }
        }
    }
    out
}

fn run(args: &Args, starts: &Starts, reference: &Reference) -> Count {
    let mut count = Count::default();
    for seed in args.first..args.first.saturating_add(args.seeds) {
        for start in starts.of(seed) {
            count.history(args, reference, start, seed);
        }
    }
    count
}

fn main() -> ExitCode {
    let args = match parse() {
        Ok(args) => args,
        Err(error) => {
            eprint!("scheduler-random: {error}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    let Some(program) = args.reference.clone() else {
        println!("LEFT OUT: random clusters: no crm_simulate of Pacemaker here");
        return ExitCode::SUCCESS;
    };
    let scratch = std::env::temp_dir().join(format!("scheduler-random-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir_all(&scratch) {
        eprintln!("{}: {error}", scratch.display());
        return ExitCode::from(73);
    }
    let reference = Reference { program, scratch: scratch.clone() };
    let starts = match Starts::new(&args) {
        Ok(starts) => starts,
        Err(error) => {
            eprintln!("scheduler-random: {error}");
            return ExitCode::from(66);
        }
    };
    if let Some(file) = &args.record {
        let written = std::fs::write(file, record(&args, &starts, &reference));
        let _ = std::fs::remove_dir_all(&scratch);
        if let Err(error) = written {
            eprintln!("{}: {error}", file.display());
            return ExitCode::from(73);
        }
        return ExitCode::SUCCESS;
    }
    let count = run(&args, &starts, &reference);
    let _ = std::fs::remove_dir_all(&scratch);
    let all = count.same + count.different;
    println!(
        "{} of {all} decisions equal, {} different; the reference refused {}, failed {}",
        count.same, count.different, count.refused, count.broken
    );
    if count.different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
