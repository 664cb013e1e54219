//! One simulated host: the ring, the services, one application in a group, and what survives a crash.

use std::collections::VecDeque;

use bytes::Bytes;
use engine::{Client, Engine, Map, Message, Output, Service};
use totem::{Configuration, Destination, Event, Instant, RingId, State, Totem};

use crate::options::{Options, QuorumKind};

/// The application's connection.
pub(crate) const APP: Client = Client { service: Service::Cpg, conn: 1 };
const GROUP: &[u8] = b"sim";
/// Head of every message's body: sender, number, size of the body.
const BODY_MIN_BYTES: usize = 16;

/// A packet on its way out.
pub(crate) struct Outgoing {
    pub(crate) to: Vec<u32>,
    pub(crate) bytes: Bytes,
}

/// What a node has seen, for the checkers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Configuration(Configuration),
    /// A message of an application: sender and its number, and whether all of it is as it was sent.
    Message {
        sender: u32,
        number: u64,
        intact: bool,
    },
    /// A line of the ring's log.
    Note(String),
}

/// A running node.
pub(crate) struct Node {
    pub(crate) id: u32,
    pub(crate) ring: Totem,
    pub(crate) engine: Engine,
    waiting: VecDeque<(&'static [u8], Message)>,
    /// Processes of the group as the last configuration change told the application.
    pub(crate) group: Vec<u32>,
    pub(crate) joined: bool,
    pub(crate) stopped: bool,
}

fn map_of(id: u32, options: &Options) -> Map {
    let mut map = Map::default();
    map.set("quorum.provider", "corosync_votequorum");
    for (position, node) in (1..=options.nodes).enumerate() {
        map.set(&format!("nodelist.node.{position}.nodeid"), node);
        if node == id {
            map.set("nodelist.local_node_pos", u32::try_from(position).unwrap_or(0));
        }
    }
    match options.quorum {
        QuorumKind::Majority => {}
        QuorumKind::WaitForAll => map.set("quorum.wait_for_all", 1u8),
        QuorumKind::TwoNode => map.set("quorum.two_node", 1u8),
        QuorumKind::TieBreaker => {
            map.set("quorum.auto_tie_breaker", 1u8);
            map.set("quorum.wait_for_all", 1u8);
        }
        QuorumKind::LastManStanding => {
            map.set("quorum.last_man_standing", 1u8);
            map.set("quorum.wait_for_all", 1u8);
            map.set("quorum.last_man_standing_window", 2000u32);
        }
    }
    map
}

impl Node {
    /// A node that starts now, with what its disk holds.
    pub(crate) fn start(
        id: u32,
        options: &Options,
        stored_ring_seq: u64,
        now: Instant,
    ) -> Result<Self, String> {
        let nodes = usize::try_from(options.nodes).unwrap_or(1);
        let timing = totem::Timing::derive(&options.timing_settings(id), nodes).map_err(|e| e.to_string())?;
        let config = engine::Config { nodeid: id, ..engine::Config::default() };
        let engine = Engine::new(config, map_of(id, options), now)?;
        let mut rules = totem::Config::new(id, timing);
        rules.announce = !options.strangers.contains(&id);
        rules.known_nodes = (1..=options.nodes).collect();
        let ring = Totem::new(rules, stored_ring_seq, now);
        let mut node = Self {
            id,
            ring,
            engine,
            waiting: VecDeque::new(),
            group: Vec::new(),
            joined: false,
            stopped: false,
        };
        node.engine.handle_connect(APP);
        Ok(node)
    }

    /// The application joins its group as soon as the services let it.
    pub(crate) fn try_join(&mut self, now: Instant) {
        if self.joined || self.engine.is_synchronising() {
            return;
        }
        self.joined = true;
        let mut request = header(0, 168);
        put(&mut request, 16, &3u32.to_ne_bytes());
        put(&mut request, 24, GROUP);
        put(&mut request, 152, &self.id.to_ne_bytes());
        self.engine.handle_request(now, APP, &request.into());
    }

    /// The application sends a message that tells its sender and number.
    pub(crate) fn send(&mut self, now: Instant, number: u64, size: usize) {
        let body = size.max(BODY_MIN_BYTES);
        let mut request = header(2, 40 + body);
        put(&mut request, 32, &u32::try_from(body).unwrap_or(0).to_ne_bytes());
        put(&mut request, 40, &self.id.to_ne_bytes());
        put(&mut request, 44, &number.to_ne_bytes());
        put(&mut request, 52, &u32::try_from(body).unwrap_or(0).to_ne_bytes());
        put(&mut request, 40 + BODY_MIN_BYTES, &filling(number, body));
        self.engine.handle_request(now, APP, &request.into());
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.ring.state() == State::Operational && !self.engine.is_synchronising()
    }

    pub(crate) fn ring_id(&self) -> RingId {
        self.ring.ring()
    }

    /// Moves everything between the cores, as the daemon does. Returns what is to be sent.
    pub(crate) fn settle(
        &mut self,
        now: Instant,
        all: &[u32],
        stored: &mut u64,
        seen: &mut dyn FnMut(Seen),
    ) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        loop {
            let mut moved = self.take_outputs(now);
            if let Some(event) = self.ring.poll_event() {
                note_event(&event, seen);
                self.engine.handle_event(now, event);
                moved = true;
            }
            self.send_waiting(now);
            if let Some(seq) = self.ring.poll_persist() {
                *stored = seq;
            }
            while let Some(transmit) = self.ring.poll_transmit() {
                let to = match transmit.to {
                    Destination::Node(node) => vec![node],
                    Destination::Members => self.ring.ring_members().iter().copied().collect(),
                    Destination::Everybody => all.to_vec(),
                };
                let to = to.into_iter().filter(|node| *node != self.id).collect();
                outgoing.push(Outgoing { to, bytes: transmit.bytes });
            }
            while let Some(note) = self.ring.poll_note() {
                seen(Seen::Note(note.text));
            }
            if !moved {
                return outgoing;
            }
        }
    }

    fn take_outputs(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(output) = self.engine.poll_output() {
            moved = true;
            match output {
                Output::Multicast { group, message } => self.waiting.push_back((group, message)),
                Output::Synchronised(ring) => {
                    self.send_waiting(now);
                    self.ring.synchronised(ring);
                }
                Output::Event { client, message } if client == APP => self.take_event(&message.to_vec()),
                Output::Shutdown | Output::Kill => self.stopped = true,
                _ => {}
            }
        }
        moved
    }

    fn take_event(&mut self, bytes: &[u8]) {
        let word = |at: usize| {
            let field = bytes.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_ne_bytes(*field))
        };
        if word(0) != Some(4) {
            return;
        }
        let count = usize::try_from(word(160).unwrap_or(0)).unwrap_or(0);
        self.group = (0..count).filter_map(|index| word(184 + 24 * index)).collect();
    }

    fn send_waiting(&mut self, now: Instant) {
        while let Some((group, message)) = self.waiting.front() {
            if self.ring.send(now, group, &message.parts()).is_err() {
                break;
            }
            self.waiting.pop_front();
        }
        let backlogged = !self.waiting.is_empty();
        self.engine.set_backlogged(now, backlogged);
    }

    /// Nothing waits to be sent.
    pub(crate) fn is_drained(&self) -> bool {
        self.waiting.is_empty() && self.ring.is_drained()
    }
}

/// Applications' messages are told by their payload: executive id of a cpg mcast, then the body.
fn note_event(event: &Event, seen: &mut dyn FnMut(Seen)) {
    match event {
        Event::Configuration(configuration) => seen(Seen::Configuration(configuration.clone())),
        Event::Delivery(delivery) => {
            let payload = &delivery.payload;
            let is_mcast = payload.first_chunk::<4>() == Some(&((2u32 << 16) | 3).to_ne_bytes());
            let sender = payload.get(184..).and_then(|body| body.first_chunk::<4>());
            let number = payload.get(188..).and_then(|body| body.first_chunk::<8>());
            if let (true, Some(sender), Some(number)) = (is_mcast, sender, number) {
                let (sender, number) = (u32::from_ne_bytes(*sender), u64::from_ne_bytes(*number));
                let intact =
                    sender == delivery.nodeid && is_intact(number, payload.get(184..).unwrap_or_default());
                seen(Seen::Message { sender, number, intact });
            }
        }
    }
}

/// What follows the head of a message's body: no two messages or places look alike.
fn filling(number: u64, body: usize) -> Vec<u8> {
    (BODY_MIN_BYTES..body).map(|at| (number.wrapping_mul(31).wrapping_add(at as u64) % 251) as u8).collect()
}

fn is_intact(number: u64, body: &[u8]) -> bool {
    let size = body.get(12..).and_then(|rest| rest.first_chunk::<4>()).map(|size| u32::from_ne_bytes(*size));
    size == u32::try_from(body.len()).ok()
        && body.get(BODY_MIN_BYTES..) == Some(filling(number, body.len()).as_slice())
}

fn header(id: u32, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    put(&mut bytes, 0, &id.to_ne_bytes());
    put(&mut bytes, 8, &u32::try_from(size).unwrap_or(0).to_ne_bytes());
    bytes
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(target) = bytes.get_mut(at..at + field.len()) {
        target.copy_from_slice(field);
    }
}
