//! A node that was running before the capture begins: brought into its ring by peers of our own, at its place in the
//! order and with the hold of the token ending when the recorded one ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use totem::wire;
use totem::{Config, Destination, Event, Instant, RingId, State, Totem};

/// Where the recorded node stood when the capture began.
#[derive(Debug)]
pub struct Standing {
    pub ring: RingId,
    pub members: BTreeSet<u32>,
    /// Sequence number of the last message.
    pub seq: u32,
    /// Messages that the node itself had sent in its life.
    pub own_messages: u32,
    /// When the representative let the held token go for the first time.
    pub released_at: Instant,
}

/// Membership is agreed on in less than this, in virtual time; a node that nobody answers to needs the consensus time.
const LEAD: Duration = Duration::from_secs(12);
/// A node that is in no configuration.
const STRANGER: u32 = 9;

struct Net {
    now: Instant,
    mtu: usize,
    nodes: BTreeMap<u32, Totem>,
    wire: VecDeque<(u32, Bytes)>,
}

/// A node `config.nodeid` that stands where the recorded one stood.
pub fn running(config: &Config, standing: &Standing) -> Totem {
    let before = |at: Instant, time: Duration| Instant(at.0 - u64::try_from(time.as_nanos()).unwrap());
    let last_activity = before(standing.released_at, config.timing.hold);
    // Once to see how long agreeing on the membership takes, once to have it done in time.
    let (_, done) = rehearse(config, standing, before(last_activity, LEAD));
    let excess = done.since(last_activity);
    let start = before(last_activity, LEAD + excess).after(last_activity.since(done));
    let (core, done) = rehearse(config, standing, start);
    assert_eq!(done, last_activity, "the same again");
    assert_eq!((core.ring(), core.state()), (standing.ring, State::Operational), "the node is in its ring");
    core
}

/// The node and when its ring was there, with all messages sent.
fn rehearse(config: &Config, standing: &Standing, start: Instant) -> (Totem, Instant) {
    let me = config.nodeid;
    let mut net = Net { now: start, mtu: config.net_mtu, nodes: BTreeMap::new(), wire: VecDeque::new() };
    // Alone first, in a ring of its own before the recorded one: there it sends what it had sent before.
    let others: Vec<u32> = standing.members.iter().copied().filter(|id| *id != me).collect();
    let is_first_ring = others.is_empty() && standing.own_messages == standing.seq;
    let steps = if is_first_ring { 5 } else { 9 };
    net.start(config, me, standing.ring.seq.saturating_sub(steps));
    net.settle();
    if is_first_ring {
        net.send(me, standing.seq);
        net.settle();
        net.run_until(start.after(LEAD));
    } else if others.is_empty() {
        net.send(me, standing.own_messages - standing.seq);
        net.settle();
        net.call_out_to(me);
        net.run_until(start.after(LEAD));
        net.send(me, standing.seq);
        net.settle();
    } else {
        net.send(me, standing.own_messages);
        net.run_until(start.after(LEAD));
        for id in &others {
            net.start(config, *id, standing.ring.seq.saturating_sub(5));
        }
        net.send(others[0], standing.seq);
        net.settle();
        while net.nodes[&me].ring() != standing.ring && net.now < start.after(LEAD * 2) {
            net.run_until(net.now.after(Duration::from_millis(1)));
        }
    }
    (net.nodes.remove(&me).unwrap(), net.now)
}

/// Sends a message that fills one packet.
pub fn fill_packet(node: &mut Totem, now: Instant, mtu: usize) {
    const HEADERS: usize = 2 * 45 + 8 + 2 + 2;
    const GROUP: &[u8] = b"before";
    let payload = vec![0; mtu - HEADERS - 4 - GROUP.len()];
    node.send(now, GROUP, &[&payload]).unwrap();
}

impl Net {
    fn start(&mut self, config: &Config, id: u32, stored: u64) {
        let config = Config { nodeid: id, ..config.clone() };
        self.nodes.insert(id, Totem::new(config, stored, self.now));
        self.drain(id);
    }

    fn send(&mut self, id: u32, count: u32) {
        for _ in 0..count {
            if self.nodes[&id].room() < 2 {
                self.drain(id);
                self.settle();
            }
            fill_packet(self.nodes.get_mut(&id).unwrap(), self.now, self.mtu);
        }
        self.drain(id);
    }

    /// A sign of somebody who then remains silent: the node forms another ring of itself.
    fn call_out_to(&mut self, id: u32) {
        let merge = wire::MergeDetect { system_from: STRANGER, ring: RingId { rep: STRANGER, seq: 1 } };
        let bytes = wire::encode(wire::Header::native(STRANGER, 0), &wire::Packet::MergeDetect(merge), &[]);
        self.nodes.get_mut(&id).unwrap().handle_packet(self.now, &bytes.into());
        self.drain(id);
    }

    fn settle(&mut self) {
        self.run_until(self.now);
    }

    fn drain(&mut self, id: u32) {
        let node = self.nodes.get_mut(&id).unwrap();
        node.poll_persist();
        while let Some(event) = node.poll_event() {
            if let Event::Configuration(configuration) = event {
                node.synchronised(configuration.ring);
            }
        }
        while node.poll_note().is_some() {}
        let mut transmits = Vec::new();
        while let Some(transmit) = node.poll_transmit() {
            transmits.push(transmit);
        }
        for transmit in transmits {
            let all = self.nodes.keys().copied().filter(|to| *to != id);
            let to: Vec<u32> = match transmit.to {
                Destination::Node(node) => vec![node],
                Destination::Members | Destination::Everybody => all.collect(),
            };
            self.wire.extend(to.into_iter().map(|to| (to, transmit.bytes.clone())));
        }
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            if let Some((to, bytes)) = self.wire.pop_front() {
                self.nodes.get_mut(&to).unwrap().handle_packet(self.now, &bytes);
                self.drain(to);
                continue;
            }
            let next = self.nodes.iter().filter_map(|(id, node)| Some((node.poll_timeout()?, *id))).min();
            let Some((at, id)) = next.filter(|(at, _)| *at <= end) else { break };
            self.now = self.now.max(at);
            let now = self.now;
            self.nodes.get_mut(&id).unwrap().handle_timeout(now);
            self.drain(id);
        }
        self.now = self.now.max(end);
    }
}
