//! Our verdicts beside those of `corosync-vqsim`, which runs the reference's votequorum for each node
//! of a simulated cluster: the same scripts of splits and joins, and after each step the same answers.
//! The answers are recorded ([`answers`]), and asked for again where the program is there.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use totem::{Instant, RingId};

use super::VoteQuorum;
use crate::map::Map;
use crate::output::{Ctx, Output};
use crate::quorum::Quorum;
use crate::wire::View;

mod answers;
mod scripts;
mod theirs;

use scripts::{Random, fixed_scripts, random_script};
use theirs::Theirs;

const PARTITIONS: usize = 4;
/// Window that has always passed before the next step.
const SHORT_WINDOW_MS: u32 = 150;
/// Window that never passes.
const LONG_WINDOW_MS: u32 = 600_000;
/// Scripts that run at once: the simulated nodes mostly sleep.
const PARALLEL: usize = 24;
const SEEDS: u64 = 300;
/// Scripts whose answers are recorded, and what stands above them.
const RECORDED_SEEDS: u64 = 900;
const HEAD: &str = "# Answers of corosync-vqsim 3.1.7, written with VQSIM_RECORD (see vqsim.rs).\n";
/// A difference counts if it shows again and again: once in ten thousand situations a simulated node
/// is so late that it acts on what belongs to the step before, which our stage does not play.
const ATTEMPTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Start a node in a partition.
    Up(usize, u32),
    /// A node stops without a word.
    Down(u32),
    /// Nodes change over to a partition.
    Move(usize, Vec<u32>),
    /// The nodes of the second partition come into the first.
    Join(usize, usize),
}

impl Step {
    fn line(&self) -> String {
        let list = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        match self {
            Self::Up(partition, id) => format!("up {partition}:{id}"),
            Self::Down(id) => format!("down {id}"),
            Self::Move(partition, ids) => format!("move {partition}:{}", list(ids)),
            Self::Join(into, from) => format!("join {into} {from}"),
        }
    }
}

#[derive(Clone, Debug)]
struct Script {
    name: String,
    /// Votes of the nodes 1, 2, …
    votes: Vec<u32>,
    options: Vec<(&'static str, String)>,
    steps: Vec<Step>,
}

impl Script {
    fn new(name: &str, nodes: usize, options: &[(&'static str, &str)], steps: Vec<Step>) -> Self {
        let options = options.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Self { name: name.to_owned(), votes: vec![1; nodes], options, steps }
    }

    fn config(&self) -> String {
        let mut text = String::from("totem {\n version: 2\n cluster_name: sim\n transport: udpu\n}\n");
        text.push_str("logging {\n to_stderr: no\n to_syslog: no\n}\n");
        text.push_str("quorum {\n provider: corosync_votequorum\n");
        for (key, value) in &self.options {
            let _ = writeln!(text, " {key}: {value}");
        }
        text.push_str("}\nnodelist {\n");
        for (id, votes) in (1u32..).zip(&self.votes) {
            let _ = writeln!(
                text,
                " node {{\n  nodeid: {id}\n  ring0_addr: 127.0.0.{id}\n  quorum_votes: {votes}\n }}"
            );
        }
        text.push_str("}\n");
        text
    }

    fn map(&self, me: u32) -> Map {
        const NUMBERS: [&str; 2] = ["expected_votes", "last_man_standing_window"];
        let mut map = Map::default();
        for (key, value) in &self.options {
            let name = format!("quorum.{key}");
            match value.parse::<u32>() {
                Ok(number) if NUMBERS.contains(key) => map.set(&name, number),
                Ok(number) if *key != "auto_tie_breaker_node" => {
                    map.set(&name, u8::try_from(number).expect("a switch"));
                }
                _ => map.set(&name, value.as_str()),
            }
        }
        // A node that is not listed takes the first one's place, as in the program beside us.
        map.set("nodelist.local_node_pos", 0u32);
        for ((position, id), votes) in (0u32..).zip(1u32..).zip(&self.votes) {
            map.set(&format!("nodelist.node.{position}.nodeid"), id);
            map.set(&format!("nodelist.node.{position}.quorum_votes"), *votes);
            if id == me {
                map.set("nodelist.local_node_pos", position);
            }
        }
        map
    }

    fn differs(&self, step: usize, seen: &Verdicts) -> String {
        let told: Vec<String> = self.steps.iter().take(step).map(Step::line).collect();
        format!(
            "{} after step {step} ({}), options {:?}, votes {:?}: never seen here: {}",
            self.name,
            told.join("; "),
            self.options,
            self.votes,
            answers::line(seen)
        )
    }

    fn window_ms(&self) -> Option<u32> {
        let (_, value) = self.options.iter().find(|(key, _)| *key == "last_man_standing_window")?;
        value.parse().ok()
    }
}

/// What one node says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    partition: usize,
    quorate: bool,
    members: Vec<u32>,
}

type Verdicts = BTreeMap<u32, Verdict>;

#[derive(Clone)]
struct Ours {
    service: VoteQuorum,
    quorum: Quorum,
    map: Map,
    out: VecDeque<Output>,
    /// Messages of its partition that it has read.
    read: usize,
    /// How often it will still act on what it has.
    activations: u32,
    has_sent: bool,
}

impl Ours {
    fn with(&mut self, me: u32, now: Instant, act: impl FnOnce(&mut VoteQuorum, &mut Ctx<'_>, &mut Quorum)) {
        let mut ctx = Ctx { me, now, map: &mut self.map, out: &mut self.out };
        act(&mut self.service, &mut ctx, &mut self.quorum);
    }
}

#[derive(Clone, Default)]
struct Partition {
    members: Vec<u32>,
    seq: u64,
    messages: Vec<(u32, Bytes)>,
}

/// Our nodes on the same stage. A partition delivers in one order, but there are no barriers: the
/// nodes of the program beside us are processes, and each acts on what it has some 10 ms after it
/// has heard of a new ring. Any such interleaving is a possible course of events.
#[derive(Clone)]
struct Stage {
    now: Instant,
    nodes: BTreeMap<u32, Ours>,
    partitions: Vec<Partition>,
}

impl Stage {
    fn new(script: &Script, random: &mut Random) -> Self {
        let mut stage = Self {
            now: Instant(0),
            nodes: BTreeMap::new(),
            partitions: vec![Partition::default(); PARTITIONS],
        };
        for id in (1u32..).take(script.votes.len()) {
            stage.create(script, 0, id);
        }
        stage.run(random);
        stage
    }

    fn create(&mut self, script: &Script, partition: usize, id: u32) {
        let (mut map, mut out) = (script.map(id), VecDeque::new());
        let mut ctx = Ctx { me: id, now: self.now, map: &mut map, out: &mut out };
        let mut service = VoteQuorum::new(&mut ctx, 0).expect("a valid configuration");
        service.announce(&mut ctx);
        service.sync_init(&mut ctx, &[id], RingId { rep: id, seq: 1 });
        let quorum = Quorum::new(true);
        let node = Ours { service, quorum, map, out, read: 0, activations: 1, has_sent: false };
        self.nodes.insert(id, node);
        self.partitions[partition].members.push(id);
        self.new_ring(partition);
    }

    fn new_ring(&mut self, partition: usize) {
        let now = self.now;
        let partition = &mut self.partitions[partition];
        partition.seq += 4;
        partition.messages.clear();
        for id in &partition.members {
            let ring = RingId { rep: partition.members[0], seq: partition.seq };
            let node = self.nodes.get_mut(id).expect("a running node");
            node.read = 0;
            node.activations += 1;
            node.has_sent = false;
            node.with(*id, now, |service, ctx, _| service.sync_init(ctx, &partition.members, ring));
        }
    }

    /// Lets everything happen that has to, in some order.
    fn run(&mut self, random: &mut Random) {
        let acts_first = random.one_in(2);
        for partition in 0..PARTITIONS {
            while self.step(partition, random, acts_first) {}
        }
    }

    fn step(&mut self, partition: usize, random: &mut Random, acts_first: bool) -> bool {
        let now = self.now;
        let Self { nodes, partitions, .. } = self;
        let Partition { members, messages, .. } = &mut partitions[partition];
        for id in members.iter() {
            let node = nodes.get_mut(id).expect("a running node");
            for output in core::mem::take(&mut node.out) {
                if let Output::Multicast { message, .. } = output {
                    messages.push((*id, message.to_vec().into()));
                }
            }
        }
        let acts = |nodes: &BTreeMap<u32, Ours>, id: &u32| nodes[id].activations > 0;
        let mut able: Vec<u32> = members.iter().copied().filter(|id| acts(nodes, id)).collect();
        if able.is_empty() || !acts_first {
            able.extend(members.iter().filter(|id| nodes[id].read < messages.len()));
        }
        if able.is_empty() {
            return false;
        }
        let id = able[random.below(able.len())];
        let node = nodes.get_mut(&id).expect("a running node");
        let may_read = node.read < messages.len();
        if node.activations > 0 && !(may_read && !acts_first && random.one_in(2)) {
            node.activations -= 1;
            let sends = !core::mem::replace(&mut node.has_sent, true);
            node.with(id, now, |service, ctx, quorum| {
                if sends {
                    service.sync_send(ctx);
                }
                service.sync_activate(ctx, quorum);
            });
        } else {
            let (sender, bytes) = &messages[node.read];
            node.read += 1;
            let m = View::native(bytes);
            let function = m.u32(0).expect("a header") & 0xffff;
            node.with(id, now, |service, ctx, quorum| {
                service.deliver(ctx, quorum, function, *sender, m).expect("our own message");
            });
        }
        true
    }

    fn leave(&mut self, id: u32) -> usize {
        let holds = |partition: &Partition| partition.members.contains(&id);
        let partition = self.partitions.iter().position(holds).expect("a running node");
        self.partitions[partition].members.retain(|other| *other != id);
        partition
    }

    fn take(&mut self, script: &Script, step: &Step, random: &mut Random) {
        match step {
            Step::Up(partition, id) => self.create(script, *partition, *id),
            Step::Down(id) => {
                let partition = self.leave(*id);
                self.nodes.remove(id);
                self.new_ring(partition);
            }
            Step::Move(partition, ids) => {
                for id in ids {
                    self.leave(*id);
                    self.partitions[*partition].members.push(*id);
                }
                (0..PARTITIONS).for_each(|partition| self.new_ring(partition));
            }
            Step::Join(into, from) => {
                let moved = core::mem::take(&mut self.partitions[*from].members);
                self.partitions[*into].members.extend(moved);
                (0..PARTITIONS).for_each(|partition| self.new_ring(partition));
            }
        }
        self.run(random);
        if script.window_ms() == Some(SHORT_WINDOW_MS) {
            self.now = self.now.after(Duration::from_millis(2 * u64::from(SHORT_WINDOW_MS)));
            let now = self.now;
            for (id, node) in &mut self.nodes {
                node.with(*id, now, |service, ctx, quorum| service.timeout(ctx, quorum));
            }
            self.run(random);
        }
    }

    fn verdicts(&self) -> Verdicts {
        let mut verdicts = Verdicts::new();
        for (number, partition) in self.partitions.iter().enumerate() {
            for id in &partition.members {
                let service = &self.nodes[id].service;
                let mut members = service.members.clone();
                members.sort_unstable();
                verdicts.insert(*id, Verdict { partition: number, quorate: service.is_quorate(), members });
            }
        }
        verdicts
    }
}

/// Courses of events that each step keeps, and how many are tried at most to find one that fits.
const COURSES: usize = 96;
/// So few are kept at first of a script whose answers are recorded.
const COURSES_AT_FIRST: usize = 8;
const TRIES: usize = 8000;

/// Courses of events up to and including `step` that end as `seen`.
fn courses(
    script: &Script,
    before: &[Stage],
    step: Option<&Step>,
    seen: &Verdicts,
    most: usize,
    random: &mut Random,
) -> Vec<Stage> {
    let mut fitting = Vec::new();
    for tried in 0..TRIES {
        if fitting.len() >= most || (tried > 4 * most && !fitting.is_empty()) {
            break;
        }
        let stage = match step {
            None => Stage::new(script, random),
            Some(step) => {
                let mut stage = before[random.below(before.len())].clone();
                stage.take(script, step, random);
                stage
            }
        };
        if stage.verdicts() == *seen {
            fitting.push(stage);
        }
    }
    fitting
}

/// Runs a script on both, and returns the answers; None if the simulator's own nodes died on it.
fn compare(script: &Script, number: usize) -> Option<Result<Vec<Verdicts>, String>> {
    let mut theirs = Theirs::start(script, number)?;
    let mut random = Random(u64::try_from(number).expect("few"));
    let mut ours = Vec::new();
    let mut answers = Vec::new();
    let window = script.window_ms().filter(|ms| *ms == SHORT_WINDOW_MS).unwrap_or(0);
    let window = Duration::from_millis(u64::from(window));
    for (index, step) in core::iter::once(None).chain(script.steps.iter().map(Some)).enumerate() {
        if let Some(step) = step {
            theirs.say(&step.line()).ok()?;
        }
        let mut next = Vec::new();
        let outcome = theirs.settle(window, |seen| {
            next = courses(script, &ours, step, seen, COURSES, &mut random);
            !next.is_empty()
        });
        match outcome.ok()? {
            Ok(seen) => answers.push(seen),
            Err(seen) => return Some(Err(script.differs(index, &seen))),
        }
        ours = next;
    }
    Some(Ok(answers))
}

/// The same with answers that were recorded.
fn compare_recorded(
    script: &Script,
    number: usize,
    answers: &[Verdicts],
    courses_kept: usize,
) -> Result<(), String> {
    assert_eq!(answers.len(), script.steps.len() + 1, "answers of {}", script.name);
    let mut random = Random(u64::try_from(number).expect("few"));
    let mut ours = Vec::new();
    let steps = core::iter::once(None).chain(script.steps.iter().map(Some));
    for (index, (step, seen)) in steps.zip(answers).enumerate() {
        ours = courses(script, &ours, step, seen, courses_kept, &mut random);
        if ours.is_empty() {
            return Err(script.differs(index, seen));
        }
    }
    Ok(())
}

fn scripts(seeds: u64) -> Vec<Script> {
    fixed_scripts().into_iter().chain((0..seeds).map(random_script)).collect()
}

/// Does something with every script, on several threads; the results in the scripts' order.
fn on_all<T: Send>(scripts: &[Script], threads: usize, act: impl Fn(&Script, usize) -> T + Sync) -> Vec<T> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let results = std::sync::Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(script) = scripts.get(number) else { return };
                    let result = act(script, number);
                    results.lock().expect("no panic while it is held").insert(number, result);
                }
            });
        }
    });
    results.into_inner().expect("no panic while it is held").into_values().collect()
}

#[test]
fn verdicts_are_those_that_vqsim_gave() {
    let answers = answers::recorded();
    let scripts = scripts(RECORDED_SEEDS);
    let left_out = scripts.iter().filter(|script| !answers.contains_key(&script.name)).count();
    assert!(left_out * 50 < scripts.len(), "{left_out} scripts without an answer");
    let threads = std::thread::available_parallelism().map_or(1, core::num::NonZero::get);
    let results = on_all(&scripts, threads, |script, number| match answers.get(&script.name) {
        Some(answers) => compare_recorded(script, number, answers, COURSES_AT_FIRST)
            .or_else(|_| compare_recorded(script, number, answers, COURSES)),
        None => Ok(()),
    });
    let differences: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

/// `VQSIM_RECORD=FILE` asks about all scripts that are recorded and writes the answers down.
#[test]
fn verdicts_are_those_of_vqsim() {
    if Command::new("corosync-vqsim").arg("-h").output().is_err() {
        println!("LEFT OUT: corosync-vqsim is not installed (package corosync-vqsim)");
        return;
    }
    let record = std::env::var_os("VQSIM_RECORD");
    let scripts = scripts(if record.is_some() { RECORDED_SEEDS } else { SEEDS });
    let outcomes = on_all(&scripts, PARALLEL, |script, number| {
        let differs = |outcome: &Option<Result<_, _>>| matches!(outcome, Some(Err(_)));
        let mut attempts = (0..ATTEMPTS).map(|_| compare(script, number));
        attempts.find(|outcome| !differs(outcome)).unwrap_or_else(|| compare(script, number))
    });
    let (mut compared, mut crashed) = (0, 0);
    let (mut differences, mut written) = (Vec::new(), String::from(HEAD));
    for (script, outcome) in scripts.iter().zip(outcomes) {
        match outcome {
            Some(Ok(answers)) => {
                compared += answers.len();
                let _ = writeln!(written, "script {}", script.name);
                answers.iter().for_each(|answer| written.push_str(&(answers::line(answer) + "\n")));
            }
            Some(Err(difference)) => differences.push(difference),
            None => {
                println!("the simulator's own node died on {}", script.name);
                crashed += 1;
            }
        }
    }
    println!("{} scripts, {compared} situations compared, {crashed} not comparable", scripts.len());
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(crashed * 10 < scripts.len(), "too many scripts could not be compared");
    if let Some(path) = record {
        std::fs::write(path, written).expect("a file that can be written");
    }
}
