//! Two hosts with two links whose datagrams are lost, repeated, damaged and forged, without a key: so
//! that what is damaged reaches the decoders.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use knet::{Compression, Config, Destination, Knet, LinkConfig, Method, Policy};
use totem::Instant;

use crate::input::Input;

const STEPS_MAX: usize = 400;
const QUEUE_MAX: usize = 64;
const LINKS: u8 = 2;

struct Net {
    now: Instant,
    hosts: [Knet; 2],
    /// Datagrams on their way to each host, with the sender's address.
    queues: [VecDeque<(SocketAddr, Vec<u8>)>; 2],
}

fn address(host: usize, link: u8) -> SocketAddr {
    SocketAddr::from(([10, link, 0, 1 + u8::from(host == 1)], 5405))
}

fn config(own: usize, policy: Policy, compression: Option<Compression>) -> Config {
    let other = 1 - own;
    let link = |number: u8| {
        let link = LinkConfig {
            priority: number,
            ping_interval: Duration::from_millis(200),
            ping_timeout: Duration::from_millis(400),
            ping_precision: 64,
            pong_count: 2,
        };
        (number, link)
    };
    let addresses: BTreeMap<u8, SocketAddr> = (0..LINKS).map(|n| (n, address(other, n))).collect();
    Config {
        node: if own == 0 { 1 } else { 2 },
        policy,
        links: (0..LINKS).map(link).collect(),
        hosts: BTreeMap::from([(if other == 0 { 1 } else { 2 }, addresses)]),
        compression,
        mtu_interval: Duration::from_secs(60),
        ..Config::default()
    }
}

impl Net {
    fn new(choice: u8) -> Option<Net> {
        let policy = [Policy::Passive, Policy::Active, Policy::RoundRobin][usize::from(choice) % 3];
        let methods = [Method::Zlib, Method::Lz4, Method::Lz4hc, Method::Bzip2, Method::Zstd];
        let method = methods.get(usize::from(choice >> 4)).copied();
        let now = Instant(1_000_000_000);
        let host = |own: usize| {
            let compression = method.map(|method| Compression { method, level: 0, threshold_bytes: 100 });
            Knet::new(config(own, policy, compression), None, [7; 32], now).ok()
        };
        let mut net = Net { now, hosts: [host(0)?, host(1)?], queues: Default::default() };
        net.drain(0);
        net.drain(1);
        Some(net)
    }

    fn drain(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        while let Some(datagram) = host.poll_transmit() {
            if self.queues[1 - at].len() < QUEUE_MAX {
                self.queues[1 - at].push_back((address(at, datagram.link), datagram.bytes.to_vec()));
            }
        }
        while host.poll_deliver().is_some() {}
        while host.poll_event().is_some() {}
        while host.poll_note().is_some() {}
    }

    fn give(&mut self, at: usize, from: SocketAddr, bytes: &[u8]) {
        self.hosts[at].handle_datagram(self.now, from, bytes);
        self.drain(at);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        for at in 0..2 {
            if self.hosts[at].next_deadline().is_some_and(|due| due <= self.now) {
                self.hosts[at].handle_timeout(self.now);
                self.drain(at);
            }
        }
    }
}

pub fn fuzz(data: &[u8]) {
    let mut input = Input(data);
    let Some(mut net) = Net::new(input.byte()) else { return };
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        let order = input.byte();
        let at = usize::from(order & 1);
        match (order >> 1) % 8 {
            0 | 1 => {
                if let Some((from, bytes)) = net.queues[at].pop_front() {
                    net.give(at, from, &bytes);
                }
            }
            2 => drop(net.queues[at].pop_front()),
            3 => {
                if let Some((from, bytes)) = net.queues[at].front().cloned() {
                    net.give(at, from, &bytes);
                }
            }
            4 => {
                if let Some((from, mut bytes)) = net.queues[at].pop_front() {
                    let place = input.number() as usize % bytes.len().max(1);
                    let value = input.byte();
                    if let Some(byte) = bytes.get_mut(place) {
                        *byte ^= value;
                    }
                    net.give(at, from, &bytes);
                }
            }
            5 => net.pass(Duration::from_micros(u64::from(input.number() % 4_000_000))),
            6 => {
                let bytes = input.bytes();
                let to = if order & 0x80 == 0 { Destination::Everybody } else { Destination::Host(2) };
                let _ = net.hosts[at].send(net.now, to, bytes);
                net.drain(at);
            }
            _ => {
                let from = address(1 - at, order >> 7);
                let bytes = input.bytes();
                net.give(at, from, bytes);
            }
        }
    }
}

/// What decodes, encodes to the same bytes.
pub fn datagrams(data: &[u8]) {
    if let Ok((header, packet)) = knet::wire::decode(data) {
        let again = knet::wire::encode(header, &packet);
        assert_eq!(
            knet::wire::decode(&again).map(|(_, packet)| format!("{packet:?}")),
            Ok(format!("{packet:?}"))
        );
    }
}
