//! Rings of several members over a network in memory and in virtual time.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use totem::{Config, Destination, Event, Instant, State, Timing, TimingSettings, Totem};

const LATENCY: Duration = Duration::from_micros(200);

#[derive(Default)]
struct Log {
    messages: Vec<(u32, Vec<u8>)>,
    members: Vec<u32>,
    configurations: usize,
}

/// Sender, receiver, bytes.
type InFlight = (u32, u32, bytes::Bytes);

struct Net {
    now: Instant,
    nodes: BTreeMap<u32, Totem>,
    logs: BTreeMap<u32, Log>,
    stored: BTreeMap<u32, u64>,
    in_flight: BTreeMap<(Instant, u64), InFlight>,
    sent: u64,
    cut: BTreeSet<(u32, u32)>,
    refusing: BTreeSet<u32>,
    lose_every: u64,
}

impl Net {
    fn new(ids: &[u32]) -> Self {
        let mut net = Self {
            now: Instant(1_000_000_000),
            nodes: BTreeMap::new(),
            logs: BTreeMap::new(),
            stored: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            sent: 0,
            cut: BTreeSet::new(),
            refusing: BTreeSet::new(),
            lose_every: 0,
        };
        for id in ids {
            net.start(*id, ids.len());
        }
        net
    }

    fn start(&mut self, id: u32, nodes: usize) {
        let timing = Timing::derive(&TimingSettings::default(), nodes).unwrap();
        let stored = self.stored.get(&id).copied().unwrap_or(0);
        self.nodes.insert(id, Totem::new(Config::new(id, timing), stored, self.now));
        self.logs.insert(id, Log::default());
        self.drain(id);
    }

    fn drain(&mut self, id: u32) {
        let all: Vec<u32> = self.nodes.keys().copied().collect();
        let node = self.nodes.get_mut(&id).unwrap();
        if let Some(seq) = node.poll_persist() {
            self.stored.insert(id, seq);
        }
        let log = self.logs.get_mut(&id).unwrap();
        while let Some(event) = node.poll_event() {
            match event {
                Event::Delivery(delivery) => log.messages.push((delivery.nodeid, delivery.payload.to_vec())),
                Event::Configuration(configuration) if !configuration.transitional => {
                    log.members = configuration.members;
                    log.configurations += 1;
                    node.synchronised(configuration.ring);
                }
                Event::Configuration(_) => {}
            }
        }
        let mut unreachable = Vec::new();
        while let Some(transmit) = node.poll_transmit() {
            let targets: Vec<u32> = match transmit.to {
                Destination::Node(target) => vec![target],
                Destination::Members => node.ring_members().iter().copied().collect(),
                Destination::Everybody => all.clone(),
            };
            for target in targets.into_iter().filter(|target| *target != id) {
                self.sent += 1;
                if self.refusing.contains(&target) {
                    unreachable.push(target);
                    continue;
                }
                let lost = self.lose_every > 0 && self.sent.is_multiple_of(self.lose_every);
                if lost || self.cut.contains(&(id, target)) {
                    continue;
                }
                let at = (self.now.after(LATENCY), self.sent);
                self.in_flight.insert(at, (id, target, transmit.bytes.clone()));
            }
        }
        if !unreachable.is_empty() {
            for target in unreachable {
                let now = self.now;
                self.nodes.get_mut(&id).unwrap().peer_unreachable(now, target);
            }
            self.drain(id);
        }
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        loop {
            let arrival = self.in_flight.keys().next().map(|key| key.0);
            let timeout = self.nodes.values().filter_map(Totem::poll_timeout).min();
            let Some(next) = arrival.into_iter().chain(timeout).min() else { break };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, (_, target, bytes)) = self.in_flight.pop_first().unwrap();
                if let Some(node) = self.nodes.get_mut(&target) {
                    node.handle_wakeup(self.now);
                    node.handle_packet(self.now, &bytes);
                    self.drain(target);
                }
                continue;
            }
            let due: Vec<u32> = self
                .nodes
                .iter()
                .filter(|(_, node)| node.poll_timeout().is_some_and(|at| at <= self.now))
                .map(|(id, _)| *id)
                .collect();
            for id in due {
                let node = self.nodes.get_mut(&id).unwrap();
                node.handle_wakeup(self.now);
                node.handle_timeout(self.now);
                self.drain(id);
            }
        }
        self.now = end;
    }

    fn send(&mut self, id: u32, payload: &[u8]) {
        self.nodes.get_mut(&id).unwrap().send(self.now, b"a", &[payload]).unwrap();
        self.drain(id);
    }

    fn assert_members(&self, ids: &[u32]) {
        for id in ids {
            assert_eq!(self.nodes[id].state(), State::Operational, "node {id}");
            assert_eq!(self.logs[id].members, ids, "node {id}");
        }
    }

    fn assert_same_messages(&self, ids: &[u32], count: usize) {
        for id in ids {
            assert_eq!(self.logs[id].messages.len(), count, "node {id}");
            assert_eq!(self.logs[id].messages, self.logs[&ids[0]].messages, "node {id}");
        }
    }
}

#[test]
fn one_node_forms_a_ring_alone() {
    let mut net = Net::new(&[1]);
    net.run(Duration::from_millis(100));
    net.assert_members(&[1]);
    net.send(1, b"hello");
    net.run(Duration::from_millis(200));
    net.assert_same_messages(&[1], 1);
}

#[test]
fn five_nodes_agree_on_one_order() {
    let ids = [1, 2, 3, 4, 5];
    let mut net = Net::new(&ids);
    net.run(Duration::from_millis(1500));
    net.assert_members(&ids);
    for round in 0..40u8 {
        for id in ids {
            net.send(id, &vec![round; usize::from(round) * 97]);
        }
        net.run(Duration::from_millis(3));
    }
    net.run(Duration::from_secs(1));
    net.assert_same_messages(&ids, 200);
}

#[test]
fn lost_packets_are_repeated() {
    let ids = [1, 2, 3];
    let mut net = Net::new(&ids);
    net.run(Duration::from_millis(1500));
    net.lose_every = 23;
    for round in 0..30u8 {
        for id in ids {
            net.send(id, &[round; 2000]);
        }
        net.run(Duration::from_millis(20));
    }
    net.lose_every = 0;
    net.run(Duration::from_secs(5));
    net.assert_members(&ids);
    net.assert_same_messages(&ids, 90);
}

#[test]
fn a_silent_node_is_out_within_a_second_and_comes_back() {
    let mut net = Net::new(&[1, 2, 3]);
    net.run(Duration::from_millis(1500));
    for other in [1, 2] {
        net.cut.extend([(3, other), (other, 3)]);
    }
    net.run(Duration::from_millis(800));
    net.assert_members(&[1, 2]);
    net.assert_members(&[3]);
    net.cut.clear();
    net.run(Duration::from_millis(1500));
    net.assert_members(&[1, 2, 3]);
}

#[test]
fn a_refusing_host_is_out_at_once() {
    for dead in [1, 2] {
        let mut net = Net::new(&[1, 2]);
        net.run(Duration::from_millis(1500));
        net.nodes.remove(&dead);
        net.refusing.insert(dead);
        net.run(Duration::from_millis(320));
        net.assert_members(&[3 - dead]);
    }
}

#[test]
fn a_leave_is_immediate() {
    let mut net = Net::new(&[1, 2, 3]);
    net.run(Duration::from_millis(1500));
    let now = net.now;
    net.nodes.get_mut(&2).unwrap().leave(now);
    net.drain(2);
    net.nodes.remove(&2);
    net.run(Duration::from_millis(50));
    net.assert_members(&[1, 3]);
}

#[test]
fn a_restarted_node_never_reuses_a_ring() {
    let mut net = Net::new(&[1, 2]);
    net.run(Duration::from_millis(1500));
    let before = net.nodes[&1].ring();
    net.nodes.remove(&1);
    net.start(1, 2);
    net.run(Duration::from_millis(2500));
    net.assert_members(&[1, 2]);
    assert!(net.nodes[&1].ring() > before);
}

#[test]
fn an_own_pause_accuses_nobody() {
    let mut net = Net::new(&[1, 2]);
    net.run(Duration::from_millis(1500));
    let configurations = net.logs[&1].configurations;
    // Node 1 stands still for 350 ms; then everything that is due is handed in at one time.
    let mut paused = net.nodes.remove(&1).unwrap();
    net.run(Duration::from_millis(350));
    assert!(paused.handle_wakeup(net.now).is_some());
    paused.handle_timeout(net.now);
    net.nodes.insert(1, paused);
    net.drain(1);
    net.run(Duration::from_millis(1000));
    net.assert_members(&[1, 2]);
    assert_eq!(net.logs[&1].configurations, configurations);
}

#[test]
fn messages_that_some_lack_are_recovered() {
    let mut net = Net::new(&[1, 2, 3]);
    net.run(Duration::from_millis(1500));
    // Node 3 hears node 1 no more, node 2 does; then node 1 dies before it can repeat anything.
    net.cut.insert((1, 3));
    for _ in 0..5 {
        net.send(1, b"precious");
    }
    net.run(Duration::from_millis(4));
    net.nodes.remove(&1);
    net.run(Duration::from_millis(1500));
    net.assert_members(&[2, 3]);
    net.assert_same_messages(&[2, 3], net.logs[&2].messages.len());
    assert_eq!(net.logs[&2].messages.len(), 5);
}

#[test]
fn packets_of_unknown_nodes_change_nothing() {
    let mut net = Net::new(&[1, 2]);
    net.run(Duration::from_millis(1500));
    let ring = net.nodes[&1].ring();
    let known = BTreeSet::from([1, 2]);
    let node = net.nodes.get_mut(&1).unwrap();
    node.set_known_nodes(known);
    let join = totem::wire::Join { system_from: 2, ring_seq: 99, proc: vec![1, 2, 77], failed: vec![] };
    let merge = totem::wire::MergeDetect { system_from: 77, ring: totem::RingId { rep: 77, seq: 5 } };
    for packet in [totem::wire::Packet::Join(join), totem::wire::Packet::MergeDetect(merge)] {
        let bytes = totem::wire::encode(totem::wire::Header::native(2, 0), &packet, &[]);
        node.handle_packet(net.now, &bytes.into());
    }
    net.run(Duration::from_millis(500));
    assert_eq!(net.nodes[&1].ring(), ring);
}

mod fuzz {
    use super::*;
    use proptest::prelude::*;
    use totem::RingId;
    use totem::wire::{CommitEntry, CommitToken, Header, Join, Mcast, MergeDetect, OrfToken, Packet, encode};

    fn node() -> impl Strategy<Value = u32> {
        prop_oneof![1u32..4, any::<u32>()]
    }

    fn number() -> impl Strategy<Value = u32> {
        prop_oneof![0u32..40, any::<u32>(), Just(u32::MAX)]
    }

    /// Mostly the ring that the member is in.
    fn ring() -> impl Strategy<Value = RingId> {
        let other = (node(), prop_oneof![0u64..40, any::<u64>()]).prop_map(|(rep, seq)| RingId { rep, seq });
        prop_oneof![Just(RingId { rep: 1, seq: 9 }), Just(RingId { rep: 1, seq: 5 }), other]
    }

    fn packet() -> impl Strategy<Value = Packet> {
        let ids = || proptest::collection::vec(node(), 0..4);
        let token = (
            (number(), number(), number(), node(), ring()),
            (number(), number(), number(), proptest::collection::vec((ring(), number()), 0..5)),
        )
            .prop_map(|((seq, token_seq, aru, aru_addr, ring), (backlog, fcc, retrans_flg, rtr))| OrfToken {
                seq,
                token_seq,
                aru,
                aru_addr,
                ring,
                backlog,
                fcc,
                retrans_flg,
                rtr,
            });
        let mcast = (node(), number(), ring()).prop_map(|(system_from, seq, ring)| Mcast {
            system_from,
            seq,
            this_seqno: 0,
            ring,
            node_id: 0,
            guarantee: 0,
        });
        let join = (node(), any::<u64>(), ids(), ids())
            .prop_map(|(system_from, ring_seq, proc, failed)| Join { system_from, ring_seq, proc, failed });
        let entry =
            (ring(), number(), number(), 0u32..2).prop_map(|(ring, aru, high_delivered, received_flg)| {
                CommitEntry { ring, aru, high_delivered, received_flg }
            });
        let commit = (number(), ring(), 0u32..4, proptest::collection::vec((node(), entry), 0..4)).prop_map(
            |(token_seq, ring, memb_index, members)| CommitToken {
                token_seq,
                ring,
                retrans_flg: 0,
                memb_index,
                members,
            },
        );
        prop_oneof![
            token.prop_map(Packet::OrfToken),
            mcast.prop_map(Packet::Mcast),
            join.prop_map(Packet::Join),
            commit.prop_map(Packet::CommitToken),
            (node(), ring())
                .prop_map(|(system_from, ring)| Packet::MergeDetect(MergeDetect { system_from, ring })),
            ring().prop_map(Packet::HoldCancel),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// Well-formed packets with any content, from anybody, at any time.
        #[test]
        fn no_packet_makes_a_member_panic(
            packets in proptest::collection::vec(
                (packet(), node(), 0u8..3, proptest::collection::vec(any::<u8>(), 0..40), 0u64..400), 1..40),
        ) {
            let mut net = Net::new(&[1, 2]);
            net.run(Duration::from_millis(300));
            for (packet, from, encapsulated, body, pause_ms) in packets {
                let body: &[u8] = if matches!(packet, Packet::Mcast(_)) { &body } else { &[] };
                let bytes = encode(Header::native(from, encapsulated), &packet, body);
                let now = net.now;
                net.nodes.get_mut(&1).unwrap().handle_packet(now, &bytes.into());
                net.drain(1);
                net.run(Duration::from_millis(pause_ms));
            }
        }
    }
}
