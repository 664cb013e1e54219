//! Our verdicts beside those of `corosync-vqsim`, which runs the reference's votequorum for each node
//! of a simulated cluster: the same scripts of splits and joins, and after each step the same answers.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant as Clock};

use totem::{ByteOrder, Instant, RingId};

use super::VoteQuorum;
use crate::map::Map;
use crate::output::{Ctx, Output};
use crate::quorum::Quorum;
use crate::wire::View;

const PARTITIONS: usize = 4;
/// Window that has always passed before the next step.
const SHORT_WINDOW_MS: u32 = 150;
/// Window that never passes.
const LONG_WINDOW_MS: u32 = 600_000;
/// Scripts that run at once: the simulated nodes mostly sleep.
const PARALLEL: usize = 24;
const SEEDS: u64 = 300;
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
    messages: Vec<(u32, Vec<u8>)>,
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
                if let Output::Multicast { bytes, .. } = output {
                    messages.push((*id, bytes));
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
            let m = View::new(bytes, ByteOrder::NATIVE);
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

/// The reference's simulator as a child process.
struct Theirs {
    child: std::process::Child,
    lines: Receiver<String>,
    _directory: Directory,
}

/// A directory of its own: the simulator keeps the file of expected_votes_tracking where it runs.
struct Directory(std::path::PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What cannot be compared: a node of the simulator died.
struct Crashed;

impl Theirs {
    fn start(script: &Script, number: usize) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("relevo-vqsim-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        let directory = Directory(path);
        // The simulator refuses names of more than seven characters.
        std::fs::write(directory.0.join("v.conf"), script.config()).expect("writable");
        let mut child = Command::new("corosync-vqsim")
            .args(["-c", "v.conf"])
            .current_dir(&directory.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let stdout = child.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Some(Self { child, lines, _directory: directory })
    }

    fn say(&mut self, line: &str) -> Result<(), Crashed> {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).map_err(|_| Crashed)
    }

    /// Everything that the nodes say now: what is between the command's echo and the line about fencing.
    fn show(&mut self) -> Result<Verdicts, Crashed> {
        self.say("show")?;
        let mut echoed = false;
        let mut verdicts = Verdicts::new();
        let end = Clock::now() + Duration::from_secs(10);
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Clock::now())) {
            if line.contains("exited on signal") {
                return Err(Crashed);
            }
            echoed |= line.ends_with("> show");
            if !echoed {
                continue;
            }
            if line.contains("autofence:") {
                return Ok(verdicts);
            }
            if let Some((id, verdict)) = parse_verdict(&line) {
                verdicts.insert(id, verdict);
            }
        }
        Err(Crashed)
    }

    /// Waits until the answers stay the same and are found possible, or until time is up.
    fn settle(
        &mut self,
        at_least: Duration,
        mut is_possible: impl FnMut(&Verdicts) -> bool,
    ) -> Result<Result<(), Verdicts>, Crashed> {
        const PATIENCE: Duration = Duration::from_secs(4);
        const CONFIRM: Duration = Duration::from_millis(60);
        std::thread::sleep(at_least + CONFIRM);
        let end = Clock::now() + PATIENCE;
        let mut seen = self.show()?;
        loop {
            std::thread::sleep(CONFIRM);
            let again = self.show()?;
            let is_steady = again == seen;
            seen = again;
            if is_steady && is_possible(&seen) {
                return Ok(Ok(()));
            }
            if Clock::now() >= end {
                return Ok(Err(seen));
            }
        }
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // Its nodes end with it only if it is asked.
        if let Some(mut stdin) = self.child.stdin.take() {
            let _ = writeln!(stdin, "exit");
        }
        let end = Clock::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) && Clock::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `0:3: q=1 ring=[1.c] nodes=[1 2 3]`, perhaps behind a prompt.
fn parse_verdict(line: &str) -> Option<(u32, Verdict)> {
    let (head, rest) = line.split_once(": q=")?;
    let (partition, id) = head.rsplit(' ').next()?.split_once(':')?;
    let quorate = rest.starts_with('1');
    let (_, nodes) = rest.split_once("nodes=[")?;
    let mut members: Vec<u32> =
        nodes.trim_end_matches(']').split_whitespace().filter_map(|id| id.parse().ok()).collect();
    members.sort_unstable();
    Some((id.parse().ok()?, Verdict { partition: partition.parse().ok()?, quorate, members }))
}

/// Courses of events that one step keeps, and how many are tried at most to find one that fits.
const COURSES: usize = 96;
const TRIES: usize = 8000;

/// Courses of events up to and including `step` that end as `seen`.
fn courses(
    script: &Script,
    before: &[Stage],
    step: Option<&Step>,
    seen: &Verdicts,
    random: &mut Random,
) -> Vec<Stage> {
    let mut fitting = Vec::new();
    for tried in 0..TRIES {
        if fitting.len() >= COURSES || (tried > 4 * COURSES && !fitting.is_empty()) {
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

/// Runs a script on both; None if the simulator's own nodes died on it.
fn compare(script: &Script, number: usize) -> Option<Result<usize, String>> {
    let mut theirs = Theirs::start(script, number)?;
    let mut random = Random(u64::try_from(number).expect("few"));
    let mut ours = Vec::new();
    let window = script.window_ms().filter(|ms| *ms == SHORT_WINDOW_MS).unwrap_or(0);
    let window = Duration::from_millis(u64::from(window));
    let mut told = String::new();
    for (index, step) in core::iter::once(None).chain(script.steps.iter().map(Some)).enumerate() {
        if let Some(step) = step {
            theirs.say(&step.line()).ok()?;
            let _ = write!(told, "; {}", step.line());
        }
        let mut next = Vec::new();
        let outcome = theirs.settle(window, |seen| {
            next = courses(script, &ours, step, seen, &mut random);
            !next.is_empty()
        });
        if let Err(seen) = outcome.ok()? {
            return Some(Err(format!(
                "{} after step {index} ({told}), options {:?}, votes {:?}: never seen here: {seen:?}",
                script.name, script.options, script.votes
            )));
        }
        ours = next;
    }
    Some(Ok(script.steps.len() + 1))
}

fn fixed_scripts() -> Vec<Script> {
    use Step::{Down, Join, Move, Up};
    let split = |ids: &[u32]| Move(1, ids.to_vec());
    vec![
        Script::new("majority", 3, &[], vec![split(&[3]), Join(0, 1), split(&[1, 2]), Join(0, 1)]),
        Script::new(
            "two nodes",
            2,
            &[("two_node", "1")],
            vec![split(&[2]), Join(0, 1), Down(1), Down(2), Up(0, 1), Up(0, 2), Down(1)],
        ),
        Script::new(
            "two nodes without waiting",
            2,
            &[("two_node", "1"), ("wait_for_all", "0")],
            vec![Down(1), Down(2), Up(0, 1), Up(1, 2), Join(0, 1)],
        ),
        Script::new(
            "wait for all",
            3,
            &[("wait_for_all", "1")],
            vec![Down(3), Down(2), Up(0, 2), Up(0, 3), split(&[1]), Join(0, 1)],
        ),
        Script::new(
            "a waiting node meets one that does not wait",
            4,
            &[("wait_for_all", "1")],
            vec![Down(4), Up(1, 4), Join(0, 1)],
        ),
        Script::new(
            "tie, lowest",
            4,
            &[("auto_tie_breaker", "1")],
            vec![split(&[1, 2]), Join(0, 1), split(&[3, 4]), Down(3), Join(0, 1)],
        ),
        Script::new(
            "tie, highest",
            4,
            &[("auto_tie_breaker", "1"), ("auto_tie_breaker_node", "highest")],
            vec![split(&[1, 2]), Join(0, 1), Down(4), split(&[1])],
        ),
        Script::new(
            "tie, list",
            4,
            &[("auto_tie_breaker", "1"), ("auto_tie_breaker_node", "3 1")],
            vec![split(&[1, 2]), Join(0, 1), split(&[1, 3]), Join(0, 1), Down(3), split(&[1])],
        ),
        Script::new(
            "tie, odd, waits",
            5,
            &[("auto_tie_breaker", "1"), ("wait_for_all", "1")],
            vec![split(&[1, 2]), Join(0, 1), Down(5), split(&[3, 4])],
        ),
        Script::new("tie, odd", 5, &[("auto_tie_breaker", "1")], vec![split(&[1, 2]), Join(0, 1)]),
        Script::new(
            "last man",
            4,
            &[
                ("last_man_standing", "1"),
                ("wait_for_all", "1"),
                ("last_man_standing_window", &SHORT_WINDOW_MS.to_string()),
            ],
            vec![Down(4), Down(3), Down(2), Up(0, 2), Up(0, 3), Up(0, 4)],
        ),
        Script::new(
            "last man with tie-breaker",
            4,
            &[
                ("last_man_standing", "1"),
                ("auto_tie_breaker", "1"),
                ("last_man_standing_window", &SHORT_WINDOW_MS.to_string()),
            ],
            vec![Down(4), Down(3), Down(2), Up(0, 4)],
        ),
        Script::new(
            "last man before the window",
            5,
            &[("last_man_standing", "1"), ("last_man_standing_window", &LONG_WINDOW_MS.to_string())],
            vec![Down(5), Down(4), Down(3), Up(0, 5)],
        ),
        Script::new(
            "more nodes than expected",
            3,
            &[("expected_votes_tracking", "1")],
            vec![Up(0, 4), Up(0, 5), split(&[1, 2]), Join(0, 1), Down(5), Down(4), Down(3)],
        ),
        Script::new(
            "downscale",
            5,
            &[("allow_downscale", "1")],
            vec![Down(5), Down(4), Down(3), Up(0, 3), Up(0, 6)],
        ),
        Script::new(
            "expected votes",
            3,
            &[("expected_votes", "5")],
            vec![Down(3), Up(0, 3), Up(0, 4), Up(0, 5), Up(0, 6), Down(1), Down(2)],
        ),
    ]
}

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        usize::try_from(z % u64::try_from(limit.max(1)).expect("small")).expect("small")
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

fn random_options(random: &mut Random, nodes: usize) -> Vec<(&'static str, String)> {
    let mut options: Vec<(&'static str, String)> = Vec::new();
    let mut on = |key, value: String| options.push((key, value));
    let two_node = nodes == 2 && random.one_in(2);
    if two_node {
        on("two_node", "1".to_owned());
    }
    let waits = random.one_in(2);
    if waits || random.one_in(3) {
        on("wait_for_all", u8::from(waits).to_string());
    }
    let last_man = !two_node && random.one_in(3);
    if !two_node && (nodes.is_multiple_of(2) || waits || !last_man) && random.one_in(2) {
        on("auto_tie_breaker", "1".to_owned());
        let chosen = match random.below(4) {
            0 => Some("highest".to_owned()),
            1 => Some(format!("{} {}", random.below(nodes) + 1, random.below(nodes) + 1)),
            2 => Some("lowest".to_owned()),
            _ => None,
        };
        if let Some(chosen) = chosen {
            on("auto_tie_breaker_node", chosen);
        }
    }
    if last_man {
        let window_ms = if random.one_in(2) { SHORT_WINDOW_MS } else { LONG_WINDOW_MS };
        on("last_man_standing", "1".to_owned());
        on("last_man_standing_window", window_ms.to_string());
    }
    match random.below(5) {
        0 => on("allow_downscale", "1".to_owned()),
        1 => on("expected_votes_tracking", "1".to_owned()),
        2 if !two_node => on("expected_votes", (nodes + random.below(3)).to_string()),
        _ => {}
    }
    options
}

fn random_script(seed: u64) -> Script {
    let mut random = Random(seed);
    let nodes = 2 + random.below(6);
    let options = random_options(&mut random, nodes);
    let weighted = random.one_in(4) && !options.iter().any(|(key, _)| *key == "last_man_standing");
    let votes = (0..nodes).map(|_| if weighted { u32::try_from(random.below(3)).expect("small") } else { 1 });
    let votes = votes.collect();
    let mut places: BTreeMap<u32, usize> = (1u32..).take(nodes).map(|id| (id, 0)).collect();
    let mut steps = Vec::new();
    let most = u32::try_from(nodes).expect("few") + 1;
    while steps.len() < 8 {
        let running: Vec<u32> = places.keys().copied().collect();
        let step = match random.below(7) {
            0 => {
                let id = 1 + u32::try_from(random.below(usize::try_from(most).expect("few"))).expect("few");
                if places.contains_key(&id) {
                    continue;
                }
                let partition = random.below(2);
                places.insert(id, partition);
                Step::Up(partition, id)
            }
            1 if running.len() > 1 => {
                let id = running[random.below(running.len())];
                places.remove(&id);
                Step::Down(id)
            }
            2 | 3 => {
                let (into, from) = (random.below(3), random.below(3));
                if into == from || !places.values().any(|place| *place == from) {
                    continue;
                }
                places.values_mut().filter(|place| **place == from).for_each(|place| *place = into);
                Step::Join(into, from)
            }
            _ => {
                let partition = random.below(3);
                let ids: Vec<u32> = running.iter().copied().filter(|_| random.one_in(2)).collect();
                if ids.is_empty() {
                    continue;
                }
                places.extend(ids.iter().map(|id| (*id, partition)));
                Step::Move(partition, ids)
            }
        };
        steps.push(step);
    }
    Script { name: format!("seed {seed}"), votes, options, steps }
}

#[test]
fn verdicts_are_those_of_vqsim() {
    if Command::new("corosync-vqsim").arg("-h").output().is_err() {
        println!("LEFT OUT: corosync-vqsim is not installed (package corosync-vqsim)");
        return;
    }
    let mut scripts = fixed_scripts();
    let fixed = scripts.len();
    scripts.extend((0..SEEDS).map(random_script));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let outcomes = std::sync::Mutex::new((Vec::new(), 0usize, 0usize));
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(script) = scripts.get(number) else { return };
                    let mut outcome = compare(script, number);
                    for _ in 1..ATTEMPTS {
                        if matches!(outcome, Some(Err(_))) {
                            outcome = compare(script, number);
                        }
                    }
                    let mut all = outcomes.lock().expect("no panic while it is held");
                    match outcome {
                        Some(Ok(steps)) => all.1 += steps,
                        Some(Err(difference)) => all.0.push(difference),
                        None => {
                            println!("the simulator's own node died on {}", script.name);
                            all.2 += 1;
                        }
                    }
                }
            });
        }
    });
    let (differences, compared, crashed) = outcomes.into_inner().expect("no panic while it is held");
    println!(
        "{fixed} fixed and {SEEDS} random scripts, {compared} situations compared, {crashed} not comparable"
    );
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(crashed * 10 < scripts.len(), "too many scripts could not be compared");
}
