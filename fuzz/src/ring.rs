//! Two nodes of the ring whose packets are lost, repeated, damaged and forged.

use std::collections::VecDeque;
use std::time::Duration;

use totem::{Config, Instant, Timing, TimingSettings, Totem};

use crate::input::Input;

/// Steps of one run.
const STEPS_MAX: usize = 400;
/// Packets under way to one node.
const QUEUE_MAX: usize = 64;

struct Net {
    now: Instant,
    nodes: [Totem; 2],
    /// Packets on their way to each node.
    queues: [VecDeque<Vec<u8>>; 2],
}

impl Net {
    fn new() -> Option<Net> {
        let timing = Timing::derive(&TimingSettings::default(), 2).ok()?;
        let now = Instant(1_000_000_000);
        let node = |id| Totem::new(Config::new(id, timing.clone()), 0, now);
        let mut net = Net { now, nodes: [node(1), node(2)], queues: Default::default() };
        net.drain(0);
        net.drain(1);
        Some(net)
    }

    fn drain(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        while let Some(packet) = node.poll_transmit() {
            if self.queues[1 - at].len() < QUEUE_MAX {
                self.queues[1 - at].push_back(packet.bytes.to_vec());
            }
        }
        let _ = node.poll_persist();
        while let Some(event) = node.poll_event() {
            if let totem::Event::Configuration(configuration) = event
                && !configuration.transitional
            {
                node.synchronised(configuration.ring);
            }
        }
        while node.poll_note().is_some() {}
    }

    fn give(&mut self, at: usize, packet: &[u8]) {
        self.nodes[at].handle_packet(self.now, packet);
        self.drain(at);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        for at in 0..2 {
            if self.nodes[at].poll_timeout().is_some_and(|due| due <= self.now) {
                self.nodes[at].handle_timeout(self.now);
                self.drain(at);
            }
        }
    }
}

/// Packets of real nodes with arbitrary faults.
pub fn fuzz(data: &[u8]) {
    let Some(mut net) = Net::new() else { return };
    let mut input = Input(data);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        let order = input.byte();
        let at = usize::from(order & 1);
        match (order >> 1) % 8 {
            0 | 1 => {
                if let Some(packet) = net.queues[at].pop_front() {
                    net.give(at, &packet);
                }
            }
            2 => drop(net.queues[at].pop_front()),
            3 => {
                if let Some(packet) = net.queues[at].front().cloned() {
                    net.give(at, &packet);
                }
            }
            4 => {
                if let Some(mut packet) = net.queues[at].pop_front() {
                    let place = input.number() as usize % packet.len().max(1);
                    let value = input.byte();
                    if let Some(byte) = packet.get_mut(place) {
                        *byte ^= value;
                    }
                    net.give(at, &packet);
                }
            }
            5 => net.pass(Duration::from_micros(u64::from(input.number() % 4_000_000))),
            6 => {
                let bytes = input.bytes();
                let _ = net.nodes[at].send(net.now, b"a", &[bytes]);
                net.drain(at);
            }
            _ => {
                let bytes = input.bytes();
                net.give(at, bytes);
            }
        }
    }
}

/// What decodes, encodes to the same bytes; its parts decode or are refused.
pub fn packets(data: &[u8]) {
    if let Ok((header, packet)) = totem::wire::decode(data) {
        let body = match &packet {
            totem::wire::Packet::Mcast(_) => {
                let body = data.get(totem::wire::MCAST_HEADER_LEN..).unwrap_or_default();
                if let Ok(pieces) = totem::split(body, header.order) {
                    let _ = format!("{pieces:?}");
                }
                body
            }
            _ => &[],
        };
        let again = totem::wire::encode(header, &packet, body);
        let second = totem::wire::decode(&again);
        assert_eq!(second.map(|(_, packet)| packet), Ok(packet));
    }
    let _ = totem::split_groups(data, totem::ByteOrder::NATIVE);
}
