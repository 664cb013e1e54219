//! Whole clusters under random faults, until something is not as it should be. In the spirit of Pacemaker's `cts-lab`:
//! after each step the cluster must be whole again (see [`cluster::Cluster::faults`]).

mod cluster;
mod steps;

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::Stack;

use crate::run::{command, is_root, target};
use cluster::Cluster;
use steps::Step;

const USAGE: &str = "soak [--minutes N | --seconds N] [--nodes N] [--seed N] [--transport udp|udpu|knet] \
    [--engine relevo|reference] [--load N] [--keep]";
const DEFAULT_MINUTES: u64 = 10;
/// How long a cluster may take to be whole again: a node that starts alone waits 20 s for a DC (`dc-deadtime`).
const WHOLE_WITHIN: Duration = Duration::from_secs(45);
/// Processes that do nothing, fast, at most.
const LOAD_MAX: usize = 64;

/// What was asked for.
pub(crate) struct Options {
    time: Duration,
    pub(crate) nodes: u8,
    seed: u64,
    pub(crate) transport: String,
    pub(crate) stack: Stack,
    load: usize,
    keep: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            time: Duration::from_secs(60 * DEFAULT_MINUTES),
            nodes: 2,
            seed: 1,
            transport: "knet".into(),
            stack: Stack::Relevo,
            load: 0,
            keep: false,
        }
    }
}

impl Options {
    fn read(arguments: &[String]) -> Result<Options, String> {
        let mut options = Options::default();
        let mut words = arguments.iter();
        while let Some(option) = words.next() {
            if option == "--keep" {
                options.keep = true;
                continue;
            }
            let value = words.next().ok_or_else(|| USAGE.to_string())?;
            let number = || value.parse::<u64>().map_err(|_| format!("{option}: {value} is not a number"));
            match option.as_str() {
                "--minutes" => options.time = Duration::from_secs(60 * number()?),
                "--seconds" => options.time = Duration::from_secs(number()?),
                "--seed" => options.seed = number()?,
                "--load" => options.load = usize::try_from(number()?).unwrap_or(LOAD_MAX).min(LOAD_MAX),
                "--nodes" => options.nodes = u8::try_from(number()?).unwrap_or(0),
                "--transport" if matches!(value.as_str(), "udp" | "udpu" | "knet") => {
                    options.transport.clone_from(value);
                }
                "--engine" if value == "relevo" => options.stack = Stack::Relevo,
                "--engine" if value == "reference" => options.stack = Stack::ReferenceEngine,
                _ => return Err(USAGE.into()),
            }
        }
        if !(2..=8).contains(&options.nodes) {
            return Err("--nodes takes a number from 2 to 8".into());
        }
        Ok(options)
    }
}

/// Numbers from a seed (xorshift), so that a run can be had again, as far as the machine does the same.
pub(crate) struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(self.below(choices.len() as u64) as usize).copied()
    }
}

/// Busy loops; they end with the run.
struct Load(Vec<Child>);

impl Load {
    fn new(count: usize, time: Duration) -> Load {
        let limit = (time + WHOLE_WITHIN).as_secs().to_string();
        let spawn = |_| {
            let mut child = Command::new("timeout");
            child.args([limit.as_str(), "sh", "-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().ok()
        };
        Load((0..count).filter_map(spawn).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // `timeout` passes it on to the loop.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

/// # Errors
/// A lab that cannot be made, or a cluster that is not whole in time: the steps, and what each node says.
pub fn soak(arguments: &[String]) -> Result<(), String> {
    let options = Options::read(arguments)?;
    if !is_root() {
        return Err("a lab for the soak needs root".into());
    }
    command("cargo", &["build", "--quiet", "--package", "relevo"])?;
    eprintln!(
        "  {} nodes over {}, seed {}, {} s",
        options.nodes,
        options.transport,
        options.seed,
        options.time.as_secs()
    );
    let mut cluster = Cluster::up(&target().join("debug/relevo"), &options)?;
    let load = Load::new(options.load, options.time);
    let outcome = run(&mut cluster, &options);
    drop(load);
    match outcome {
        Ok(table) => {
            eprint!("{table}");
            Ok(())
        }
        Err(reason) => {
            let kept =
                if options.keep { format!("\nThe lab is kept: {}", cluster.keep()) } else { String::new() };
            Err(format!("{reason}\n{}{kept}", cluster.state()))
        }
    }
}

fn run(cluster: &mut Cluster, options: &Options) -> Result<String, String> {
    let mut random = Random::new(options.seed);
    let mut longest: BTreeMap<&'static str, (usize, Duration)> = BTreeMap::new();
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < options.time {
        number += 1;
        let step = Step::choose(&mut random);
        let detail = step.perform(cluster, &mut random);
        let done = Instant::now();
        let place = || format!("step {number} of seed {}: {} {detail}", options.seed, step.name());
        cluster.whole_within(WHOLE_WITHIN).map_err(|faults| format!("{}: {faults}", place()))?;
        cluster.answers(number).map_err(|fault| format!("{}: {fault}", place()))?;
        let took = done.elapsed();
        eprintln!("  {number:4} {:<28} {detail:<24} whole after {:.1} s", step.name(), took.as_secs_f64());
        let entry = longest.entry(step.name()).or_default();
        *entry = (entry.0 + 1, entry.1.max(took));
    }
    let mut table = format!("  ✓ {number} steps\n  {:<28} times  longest\n", "step");
    for (name, (times, longest)) in longest {
        table.push_str(&format!("  {name:<28} {times:5}  {:.1} s\n", longest.as_secs_f64()));
    }
    Ok(table)
}
