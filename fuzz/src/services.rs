//! The engine's services under arbitrary requests of clients and messages of other nodes.

use std::time::Duration;

use engine::{Client, Config, Engine, Map, Output, Service};
use totem::{ByteOrder, Configuration, Delivery, Event, Instant, RingId};

use crate::input::Input;

const STEPS_MAX: usize = 300;
/// Messages of the engine to itself that are delivered before the fuzzer goes on.
const ECHO_MAX: usize = 64;
const HEADER_BYTES: usize = 16;

struct Node {
    engine: Engine,
    now: Instant,
    ring: RingId,
}

impl Node {
    fn new() -> Option<Node> {
        let mut map = Map::default();
        map.set("quorum.provider", "corosync_votequorum");
        for (index, id) in [1u32, 2, 3].into_iter().enumerate() {
            map.set(&format!("nodelist.node.{index}.nodeid"), id);
        }
        map.set("nodelist.local_node_pos", 0u32);
        let now = Instant(0);
        let engine = Engine::new(Config { nodeid: 1, ..Config::default() }, map, now).ok()?;
        let mut node = Node { engine, now, ring: RingId { rep: 1, seq: 4 } };
        node.configure(1);
        Some(node)
    }

    /// Delivers what the engine sends to everybody back to it.
    fn echo(&mut self) {
        let mut sent = 0;
        while let Some(output) = self.engine.poll_output() {
            if let Output::Multicast { group, message } = output
                && sent < ECHO_MAX
            {
                sent += 1;
                self.deliver(1, group, &message.to_vec(), ByteOrder::NATIVE);
            }
        }
    }

    fn deliver(&mut self, nodeid: u32, group: &[u8], payload: &[u8], order: ByteOrder) {
        let delivery = Delivery { nodeid, order, group: group.to_vec().into(), payload: payload.to_vec().into() };
        self.engine.handle_event(self.now, Event::Delivery(delivery));
    }

    /// A ring of the members whose bits are set, and always ourselves.
    fn configure(&mut self, bits: u8) {
        let members: Vec<u32> = (1..=3).filter(|id| *id == 1 || bits & (1 << id) != 0).collect();
        let old = self.engine.members().to_vec();
        self.ring.seq += 4;
        let stay: Vec<u32> = members.iter().copied().filter(|id| old.contains(id)).collect();
        let left = old.iter().copied().filter(|id| !members.contains(id)).collect();
        let joined = members.iter().copied().filter(|id| !old.contains(id)).collect();
        for configuration in [
            Configuration { transitional: true, members: stay, left, joined: Vec::new(), ring: self.ring },
            Configuration { transitional: false, members, left: Vec::new(), joined, ring: self.ring },
        ] {
            self.engine.handle_event(self.now, Event::Configuration(configuration));
        }
        self.echo();
    }
}

/// A message with a header of the right form and an arbitrary number and body.
fn message(input: &mut Input<'_>) -> Vec<u8> {
    let id = i32::from(input.byte());
    let body = input.bytes();
    let size = HEADER_BYTES + body.len();
    let mut bytes = Vec::with_capacity(size);
    bytes.extend(id.to_ne_bytes());
    bytes.extend(0i32.to_ne_bytes());
    bytes.extend(i32::try_from(size).unwrap_or(i32::MAX).to_ne_bytes());
    bytes.extend(0i32.to_ne_bytes());
    bytes.extend(body);
    bytes
}

/// A message between nodes: number and service in four bytes, and the length.
fn executive(input: &mut Input<'_>) -> Vec<u8> {
    let (function, service) = (u32::from(input.byte() % 8), u32::from(input.byte() % 6));
    let body = input.bytes();
    let mut bytes = Vec::new();
    bytes.extend(i32::try_from(body.len() + 8).unwrap_or(i32::MAX).to_ne_bytes());
    bytes.extend((function | service << 16).to_ne_bytes());
    bytes.extend(body);
    bytes
}

pub fn fuzz(data: &[u8]) {
    let Some(mut node) = Node::new() else { return };
    let mut input = Input(data);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        let order = input.byte();
        let service = Service::ALL[usize::from(order >> 3) % Service::ALL.len()];
        let client = Client { service, conn: u64::from(order >> 6) };
        match order % 8 {
            0 => node.engine.handle_connect(client),
            1 => node.engine.handle_disconnect(node.now, client),
            2 | 3 => {
                let bytes = message(&mut input);
                node.engine.handle_request(node.now, client, &bytes.into());
            }
            4 => {
                let bytes = executive(&mut input);
                node.deliver(2, b"a", &bytes, ByteOrder::NATIVE);
            }
            5 => node.configure(input.byte()),
            6 => {
                node.now = node.now.after(Duration::from_millis(u64::from(input.number() % 100_000)));
                node.engine.handle_timeout(node.now);
            }
            _ => {
                let bytes = input.bytes();
                node.deliver(3, b"a", bytes, ByteOrder::NATIVE);
                node.engine.handle_request(node.now, client, &bytes.to_vec().into());
            }
        }
        node.echo();
    }
}
