//! How nodes that are started one after the other come together, in virtual time.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use totem::{Config, Destination, Event, Instant, State, Timing, TimingSettings, Totem};

/// Shortest way of a packet, and how much longer it may take: packets overtake each other.
const LATENCY: Duration = Duration::from_micros(50);
const JITTER_US: u64 = 400;
const START: Instant = Instant(1_000_000_000);

/// For whom, and what.
type Packet = (u32, Bytes);

struct Net {
    now: Instant,
    nodes: BTreeMap<u32, Totem>,
    /// Members of the last configuration, and how many configurations there were.
    rings: BTreeMap<u32, (Vec<u32>, usize)>,
    wire: BTreeMap<(Instant, u64), Packet>,
    sent: u64,
}

impl Net {
    fn new() -> Self {
        Self { now: START, nodes: BTreeMap::new(), rings: BTreeMap::new(), wire: BTreeMap::new(), sent: 0 }
    }

    fn start(&mut self, id: u32, listed: u32, announce: bool) {
        let timing = Timing::derive(&TimingSettings::default(), listed as usize).unwrap();
        let known_nodes: BTreeSet<u32> = (1..=listed).collect();
        let config = Config { known_nodes, announce, ..Config::new(id, timing) };
        self.nodes.insert(id, Totem::new(config, 0, self.now));
        self.rings.insert(id, (Vec::new(), 0));
        self.drain(id);
    }

    fn drain(&mut self, id: u32) {
        let node = self.nodes.get_mut(&id).unwrap();
        while node.poll_persist().is_some() || node.poll_note().is_some() {}
        while let Some(event) = node.poll_event() {
            if let Event::Configuration(configuration) = event
                && !configuration.transitional
            {
                let seen = self.rings.get_mut(&id).unwrap();
                *seen = (configuration.members, seen.1 + 1);
                node.synchronised(configuration.ring);
            }
        }
        while let Some(transmit) = node.poll_transmit() {
            let all = self.rings.keys().copied().filter(|to| *to != id);
            let to: Vec<u32> = match transmit.to {
                Destination::Node(to) => vec![to],
                Destination::Members => node.ring_members().iter().copied().filter(|to| *to != id).collect(),
                Destination::Everybody => all.collect(),
            };
            for to in to {
                self.sent += 1;
                let jitter = Duration::from_micros(self.sent.wrapping_mul(0x9e37_79b9_7f4a_7c15) % JITTER_US);
                let at = self.now.after(LATENCY + jitter);
                self.wire.insert((at, self.sent), (to, transmit.bytes.clone()));
            }
        }
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            let arrival = self.wire.keys().next().map(|key| key.0);
            let timeout = self.nodes.iter().filter_map(|(id, node)| Some((node.poll_timeout()?, *id))).min();
            let Some(next) = arrival.into_iter().chain(timeout.map(|(at, _)| at)).min() else { break };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            let now = self.now;
            let id = if arrival == Some(next) {
                let (_, (to, bytes)) = self.wire.pop_first().unwrap();
                let Some(node) = self.nodes.get_mut(&to) else { continue };
                node.handle_wakeup(now);
                node.handle_packet(now, &bytes);
                to
            } else {
                let (_, id) = timeout.unwrap();
                let node = self.nodes.get_mut(&id).unwrap();
                node.handle_wakeup(now);
                node.handle_timeout(now);
                id
            };
            self.drain(id);
        }
        self.now = self.now.max(end);
    }

    fn is_whole(&self, ids: &[u32]) -> bool {
        ids.iter().all(|id| self.nodes[id].state() == State::Operational && self.rings[id].0 == ids)
    }
}

/// Starts nodes at these times after the first one. Time from the start of the last one until all are in one ring.
fn form(order: &[(u32, u64)], announce: bool) -> (Duration, Net) {
    let mut net = Net::new();
    let mut ids: Vec<u32> = order.iter().map(|(id, _)| *id).collect();
    let listed = order.len() as u32;
    let mut last = START;
    for (id, after_us) in order {
        last = last.max(START.after(Duration::from_micros(*after_us)));
        net.run_until(last);
        net.start(*id, listed, announce);
    }
    ids.sort_unstable();
    while !net.is_whole(&ids) {
        assert!(net.now.since(last) < Duration::from_secs(20), "no ring of all: {:?}", net.rings);
        net.run_until(net.now.after(Duration::from_micros(500)));
    }
    (net.now.since(last), net)
}

#[test]
fn nodes_started_within_milliseconds_form_one_ring_at_once() {
    let order: Vec<(u32, u64)> = (1..=8).map(|id| (id, u64::from(id) * 4000)).collect();
    let (time, net) = form(&order, true);
    assert!(time < Duration::from_millis(30), "{time:?}");
    assert!(net.rings.values().all(|(_, count)| *count == 1), "{:?}", net.rings);
}

#[test]
fn who_is_alone_waits_a_moment_only() {
    let mut net = Net::new();
    net.start(2, 3, true);
    net.run_until(START.after(Duration::from_millis(40)));
    assert!(net.is_whole(&[2]));
    let mut net = Net::new();
    net.start(2, 3, false);
    net.run_until(START.after(Duration::from_millis(1)));
    assert!(net.is_whole(&[2]), "a node that does not speak of itself does as the reference");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn whoever_comes_when_is_in_soon(gaps_us in proptest::collection::vec(0u64..60_000, 1..9), seed in any::<u64>()) {
        let mut order: Vec<(u32, u64)> = Vec::new();
        let mut at_us = 0;
        let mut ids: Vec<u32> = (1..=gaps_us.len() as u32).collect();
        let mut random = seed;
        for gap_us in gaps_us {
            at_us += gap_us;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pick = usize::try_from(random >> 33).unwrap() % ids.len();
            order.push((ids.remove(pick), at_us));
        }
        let (time, _) = form(&order, true);
        prop_assert!(time < Duration::from_millis(260), "{time:?}");
    }
}
