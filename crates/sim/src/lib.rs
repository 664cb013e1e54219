//! Whole clusters in virtual time with faults, from a seed; cores only.
//!
//! A run has a phase with faults (loss, delay, reordering, duplication, one-way cuts, partitions,
//! crashes, power cuts, pauses, leaves) and a calm phase in which everything must come together in
//! bounded time. Checkers look at every delivery and every verdict: agreed order, virtual synchrony,
//! rings that are what their number says, no quorum without the votes.

mod check;
mod node;
mod options;
mod random;
mod world;

pub use options::{Options, QuorumKind};

use std::time::Duration;

use random::Random;
use world::World;

/// Numbers of a run that went well.
#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    pub options: Options,
    pub steps: u64,
    pub faults: u64,
    pub deliveries: u64,
    pub configurations: u64,
    /// Virtual time from the last fault to agreement, in ms.
    pub settled_ms: u64,
}

/// A run in which a checker found something. Its display names the seed, which replays it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("seed {seed}: {problem} ({at_ms} ms after the start, options {options:?})")]
pub struct Failure {
    pub seed: u64,
    pub problem: String,
    pub at_ms: u64,
    pub options: Box<Options>,
}

/// Runs one cluster.
///
/// # Errors
/// The first violation.
pub fn run(seed: u64) -> Result<Report, Failure> {
    run_world(seed, None).0
}

/// Runs one cluster and returns the nodes' log lines with it.
pub fn replay(seed: u64) -> (Result<Report, Failure>, Vec<String>) {
    let (outcome, trace) = run_world(seed, Some(Vec::new()));
    (outcome, trace.unwrap_or_default())
}

/// Runs one ring on starved machines for a time: nobody may leave it.
///
/// # Errors
/// The first violation.
pub fn endure(seed: u64, nodes: u32, time: Duration) -> Result<Report, Failure> {
    run_options(seed, Random::new(seed), Options::endurance(nodes, time), None).0
}

fn run_world(seed: u64, trace: Option<Vec<String>>) -> (Result<Report, Failure>, Option<Vec<String>>) {
    let mut random = Random::new(seed);
    let options = Options::draw(&mut random);
    run_options(seed, random, options, trace)
}

fn run_options(
    seed: u64,
    random: Random,
    options: Options,
    trace: Option<Vec<String>>,
) -> (Result<Report, Failure>, Option<Vec<String>>) {
    let fail =
        |problem: String, at_ms: u64| Failure { seed, problem, at_ms, options: Box::new(options.clone()) };
    let mut world = match World::new(options.clone(), random) {
        Ok(world) => world,
        Err(problem) => return (Err(fail(problem, 0)), trace),
    };
    world.trace = trace;
    let start = world.now;
    let outcome = match play(&mut world) {
        Ok(settled_ms) => Ok(Report {
            seed,
            options: options.clone(),
            steps: world.steps,
            faults: world.faults,
            deliveries: world.checker.deliveries,
            configurations: world.checker.configurations,
            settled_ms,
        }),
        Err(problem) => {
            let at_ms = u64::try_from(world.now.since(start).as_millis()).unwrap_or(u64::MAX);
            Err(fail(problem, at_ms))
        }
    };
    (outcome, world.trace)
}

fn play(world: &mut World) -> Result<u64, String> {
    let end = world.now.after(world.options.faulty);
    world.run(end, |_| false)?;
    world.calm_down();
    let calm_from = world.now;
    let limit = world.options.settle_limit();
    let converged = world.run(calm_from.after(limit), World::is_converged)?;
    if !converged {
        let states: Vec<String> = world
            .nodes
            .values()
            .map(|node| format!("{}: {:?} {}", node.id, node.ring.state(), node.ring_id()))
            .collect();
        return Err(format!("no agreement {limit:?} after the last fault: {}", states.join(", ")));
    }
    let settled = world.now.since(calm_from);
    // What was on its way when the last node agreed.
    let rest = world.now.after(Duration::from_millis(500));
    world.run(rest, |_| false)?;
    world.check_end()?;
    Ok(u64::try_from(settled.as_millis()).unwrap_or(u64::MAX))
}
