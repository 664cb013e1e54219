//! Virtual time: packets in flight, faults, and the hosts that they hit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use totem::Instant;

use crate::check::{Checker, check_quorum};
use crate::node::{Node, Outgoing, Seen};
use crate::options::Options;
use crate::random::Random;

/// Steps that one run may take in so much time: a run that spins is a failure.
const STEPS_MAX: u64 = 400_000;
const STEPS_MAX_S: u64 = 8;
/// The kind of fault that only keeps a node from running.
const PAUSE: u64 = 7;

/// Something that will happen.
enum Future {
    Packet {
        from: u32,
        to: u32,
        bytes: Bytes,
    },
    /// ICMP port unreachable for a packet that `node` has sent to `peer`.
    Unreachable {
        node: u32,
        peer: u32,
    },
    Resume(u32),
    Start(u32),
    Fault,
    Message(u32),
}

/// One cluster in virtual time.
pub(crate) struct World {
    pub(crate) options: Options,
    random: Random,
    pub(crate) now: Instant,
    futures: BTreeMap<(Instant, u64), Future>,
    count: u64,
    pub(crate) nodes: BTreeMap<u32, Node>,
    stored: BTreeMap<u32, u64>,
    paused: BTreeMap<u32, Vec<Bytes>>,
    /// Direction of links that carry nothing.
    cut: BTreeSet<(u32, u32)>,
    /// Hosts without power: they do not even answer that nobody listens.
    dark: BTreeSet<u32>,
    calm: bool,
    /// In a steady run: all have been together once.
    formed: bool,
    pub(crate) checker: Checker,
    numbers: BTreeMap<u32, u64>,
    pub(crate) steps: u64,
    pub(crate) faults: u64,
    /// Lines for a person who replays a run, with the time in µs.
    pub(crate) trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(options: Options, random: Random) -> Result<Self, String> {
        let mut world = Self {
            options,
            random,
            now: Instant(1_000_000_000),
            futures: BTreeMap::new(),
            count: 0,
            nodes: BTreeMap::new(),
            stored: BTreeMap::new(),
            paused: BTreeMap::new(),
            cut: BTreeSet::new(),
            dark: BTreeSet::new(),
            calm: false,
            formed: false,
            checker: Checker::default(),
            numbers: BTreeMap::new(),
            steps: 0,
            faults: 0,
            trace: None,
        };
        for id in 1..=world.options.nodes {
            let after = world.random.micros(0, 500_000);
            world.plan(after, Future::Start(id));
            world.plan_message(id);
        }
        world.plan_fault();
        Ok(world)
    }

    fn plan(&mut self, after: Duration, future: Future) {
        self.count += 1;
        self.futures.insert((self.now.after(after), self.count), future);
    }

    fn plan_fault(&mut self) {
        let after = self.random.micros(1000, 2 * self.options.fault_gap_us);
        self.plan(after, Future::Fault);
    }

    fn plan_message(&mut self, id: u32) {
        let after = self.random.micros(100, 2 * self.options.message_gap_us);
        self.plan(after, Future::Message(id));
    }

    fn all(&self) -> Vec<u32> {
        (1..=self.options.nodes).collect()
    }

    /// Lets time pass up to `end`, or until `done`.
    pub(crate) fn run(&mut self, end: Instant, done: impl Fn(&Self) -> bool) -> Result<bool, String> {
        loop {
            if done(self) {
                return Ok(true);
            }
            self.steps += 1;
            let time = self.options.faulty.as_secs().div_ceil(STEPS_MAX_S);
            let most = STEPS_MAX * u64::from(self.options.nodes.div_ceil(6)) * time;
            if self.steps > most {
                return Err(format!("more than {most} steps: something spins"));
            }
            let planned = self.futures.keys().next().map(|(at, _)| *at);
            let timer = self
                .nodes
                .iter()
                .filter(|(id, _)| !self.paused.contains_key(id))
                .filter_map(|(id, node)| Some((deadline(node)?, *id)))
                .min();
            let at = [planned, timer.map(|(at, _)| at)].into_iter().flatten().min().unwrap_or(end);
            if at > end {
                self.now = end;
                return Ok(false);
            }
            self.now = self.now.max(at);
            if planned == Some(at) {
                if let Some((_, future)) = self.futures.pop_first() {
                    self.happen(future)?;
                }
            } else if let Some((_, id)) = timer {
                self.wake(id, &[])?;
            }
        }
    }

    fn happen(&mut self, future: Future) -> Result<(), String> {
        match future {
            Future::Packet { from, to, bytes } => self.arrive(from, to, bytes),
            Future::Unreachable { node, peer } => {
                let now = self.now;
                if let Some(node) = self.nodes.get_mut(&node).filter(|_| !self.paused.contains_key(&node)) {
                    node.ring.handle_wakeup(now);
                    node.ring.peer_unreachable(now, peer);
                    let id = node.id;
                    return self.settle(id);
                }
                Ok(())
            }
            Future::Resume(id) => match self.paused.remove(&id) {
                Some(packets) => self.wake(id, &packets),
                None => Ok(()),
            },
            Future::Start(id) => self.start(id),
            Future::Fault => {
                if !self.calm {
                    self.fault();
                    self.plan_fault();
                }
                Ok(())
            }
            Future::Message(id) => self.message(id),
        }
    }

    fn start(&mut self, id: u32) -> Result<(), String> {
        if self.nodes.contains_key(&id) {
            return Ok(());
        }
        self.dark.remove(&id);
        let stored = self.stored.get(&id).copied().unwrap_or(0);
        let node = Node::start(id, &self.options, stored, self.now)?;
        self.checker.started(id, self.numbers.get(&id).copied().unwrap_or(0));
        self.nodes.insert(id, node);
        self.settle(id)
    }

    fn message(&mut self, id: u32) -> Result<(), String> {
        let now = self.now;
        if !self.calm {
            self.plan_message(id);
        }
        if self.paused.contains_key(&id) || self.calm {
            return Ok(());
        }
        let size = usize::try_from(self.random.below(self.options.message_max)).unwrap_or(0);
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        node.try_join(now);
        if node.joined && !node.engine.is_synchronising() && node.ring.state() == totem::State::Operational {
            let number = self.numbers.entry(id).or_insert(0);
            *number += 1;
            self.checker.sent(id, *number);
            node.send(now, *number, size);
        }
        self.settle(id)
    }

    fn arrive(&mut self, from: u32, to: u32, bytes: Bytes) -> Result<(), String> {
        if self.cut.contains(&(from, to)) {
            return Ok(());
        }
        if let Some(queue) = self.paused.get_mut(&to) {
            queue.push(bytes);
            return Ok(());
        }
        if self.nodes.contains_key(&to) {
            return self.wake(to, &[bytes]);
        }
        if !self.dark.contains(&to) && !self.cut.contains(&(to, from)) {
            let after = Duration::from_micros(self.options.latency_max_us);
            self.plan(after, Future::Unreachable { node: from, peer: to });
        }
        Ok(())
    }

    /// One turn of a node's loop.
    fn wake(&mut self, id: u32, packets: &[Bytes]) -> Result<(), String> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        node.ring.handle_wakeup(now);
        let (tokens, others): (Vec<_>, Vec<_>) =
            packets.iter().partition(|packet| totem::wire::is_token(packet));
        for packet in others.into_iter().chain(tokens) {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.ring.handle_packet(now, packet);
            }
            self.settle(id)?;
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            if node.ring.poll_timeout().is_some_and(|at| at <= now) {
                node.ring.handle_timeout(now);
            }
            if node.engine.poll_timeout().is_some_and(|at| at <= now) {
                node.engine.handle_timeout(now);
            }
        }
        self.settle(id)
    }

    fn settle(&mut self, id: u32) -> Result<(), String> {
        let all = self.all();
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        let stored = self.stored.entry(id).or_insert(0);
        let checker = &mut self.checker;
        let mut problem = None;
        let formed = self.formed;
        let trace = &mut self.trace;
        let outgoing = node.settle(now, &all, stored, &mut |seen| {
            if let (Some(trace), Seen::Note(text)) = (trace.as_mut(), &seen) {
                trace.push(format!("{:>12} node {id}: {text}", now.0 / 1000));
            }
            if let (true, Seen::Configuration(configuration)) = (formed, &seen)
                && !configuration.left.is_empty()
            {
                problem.get_or_insert(format!("node {id} lost {:?} of a steady ring", configuration.left));
            }
            if let Err(text) = checker.seen(id, seen) {
                problem.get_or_insert(text);
            }
        });
        if let Some(text) = problem {
            return Err(text);
        }
        if node.stopped {
            return Err(format!("node {id} stopped by itself"));
        }
        if !node.engine.is_synchronising() {
            check_quorum(&self.options, id, node.engine.members(), node.engine.is_quorate())?;
        }
        self.formed |= self.options.steady && self.is_together();
        self.transmit(id, outgoing);
        Ok(())
    }

    fn transmit(&mut self, from: u32, outgoing: Vec<Outgoing>) {
        for packet in outgoing {
            for to in packet.to {
                self.carry(from, to, &packet.bytes);
            }
        }
    }

    fn carry(&mut self, from: u32, to: u32, bytes: &Bytes) {
        if self.cut.contains(&(from, to)) {
            return;
        }
        let faulty = !self.calm;
        if faulty && self.random.chance(self.options.loss_per_mille) {
            return;
        }
        let copies = if faulty && self.random.chance(self.options.duplicate_per_mille) { 2 } else { 1 };
        for _ in 0..copies {
            let mut after = self.random.micros(30, self.options.latency_max_us);
            if faulty && self.random.chance(self.options.delayed_per_mille) {
                after += self.random.micros(0, self.options.delay_max_us);
            }
            self.plan(after, Future::Packet { from, to, bytes: bytes.clone() });
        }
    }

    // ---- faults

    fn fault(&mut self) {
        self.faults += 1;
        let all = self.all();
        let Some(victim) = self.random.pick(&all).copied() else { return };
        let kind = if self.options.steady { PAUSE } else { self.random.below(8) };
        self.trace_fault(format!("kind {kind} at node {victim}"));
        match kind {
            0 | 1 if self.options.partitions => self.split(),
            2 if self.options.partitions => {
                let Some(other) = self.random.pick(&all).copied() else { return };
                self.cut.insert((victim, other));
            }
            3 | 4 => self.cut.clear(),
            5 if self.options.crashes => self.crash(victim),
            6 if self.options.crashes => self.leave(victim),
            PAUSE if self.options.pauses && self.nodes.contains_key(&victim) => self.pause(victim),
            _ => {}
        }
    }

    fn trace_fault(&mut self, text: String) {
        let at = self.now.0 / 1000;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{at:>12} FAULT {text}"));
        }
    }

    /// Two sides that do not hear each other.
    fn split(&mut self) {
        let all = self.all();
        let side: BTreeSet<u32> = all.iter().copied().filter(|_| self.random.chance(500)).collect();
        self.cut.clear();
        for a in &all {
            for b in &all {
                if side.contains(a) != side.contains(b) {
                    self.cut.insert((*a, *b));
                }
            }
        }
    }

    fn crash(&mut self, id: u32) {
        self.nodes.remove(&id);
        self.paused.remove(&id);
        if self.random.chance(500) {
            self.dark.insert(id);
        }
        let after = self.random.micros(10_000, 3_000_000);
        self.plan(after, Future::Start(id));
    }

    fn leave(&mut self, id: u32) {
        if self.paused.contains_key(&id) {
            return;
        }
        let now = self.now;
        let all = self.all();
        if let Some(mut node) = self.nodes.remove(&id) {
            node.engine.announce_leave(now);
            node.ring.leave(now);
            let stored = self.stored.entry(id).or_insert(0);
            let outgoing = node.settle(now, &all, stored, &mut |_| {});
            self.transmit(id, outgoing);
        }
        let after = self.random.micros(10_000, 3_000_000);
        self.plan(after, Future::Start(id));
    }

    fn pause(&mut self, id: u32) {
        let longest = match self.random.below(2) {
            _ if self.options.steady => 150_000,
            0 => 400_000,
            _ => 3_000_000,
        };
        let after = self.random.micros(1000, longest);
        self.paused.entry(id).or_default();
        self.plan(after, Future::Resume(id));
    }

    /// The last fault is over: everything works from now on.
    pub(crate) fn calm_down(&mut self) {
        self.calm = true;
        self.cut.clear();
        for id in self.all() {
            self.plan(Duration::from_millis(1), Future::Start(id));
            self.plan(Duration::from_millis(1), Future::Resume(id));
        }
    }

    /// Everybody is in one ring and synchronised.
    fn is_together(&self) -> bool {
        let Some(first) = self.nodes.values().next() else { return false };
        let ring = first.ring_id();
        self.nodes.len() == usize::try_from(self.options.nodes).unwrap_or(0)
            && self.nodes.values().all(|node| {
                node.is_settled() && node.ring_id() == ring && node.engine.members().len() == self.nodes.len()
            })
    }

    /// … and has nothing more to say.
    pub(crate) fn is_converged(&self) -> bool {
        self.is_together() && self.nodes.values().all(Node::is_drained)
    }

    /// What must hold when everything has settled.
    pub(crate) fn check_end(&self) -> Result<(), String> {
        self.checker.check_rest(&self.numbers)?;
        let joined: BTreeSet<u32> =
            self.nodes.values().filter(|node| node.joined).map(|node| node.id).collect();
        for node in self.nodes.values() {
            if !node.engine.is_quorate() {
                return Err(format!("node {} is not quorate although all nodes are there", node.id));
            }
            let group: BTreeSet<u32> = node.group.iter().copied().collect();
            if node.joined && group != joined {
                return Err(format!("node {} sees {group:?} in the group of {joined:?}", node.id));
            }
        }
        Ok(())
    }
}

fn deadline(node: &Node) -> Option<Instant> {
    node.ring.poll_timeout().into_iter().chain(node.engine.poll_timeout()).min()
}
