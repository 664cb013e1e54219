//! Two hosts with two links whose datagrams are lost, repeated, damaged and forged, without a key: so
//! that what is damaged reaches the decoders.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use knet::{Compression, Config, Destination, Knet, LinkConfig, Method, Policy};
use totem::Instant;

use crate::input::Input;
use crate::net::{Party, play};

const LINKS: u8 = 2;

/// A host and its place on the wire.
struct Host {
    at: usize,
    core: Knet,
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

impl Host {
    fn new(at: usize, choice: u8, now: Instant) -> Option<Self> {
        let policy = [Policy::Passive, Policy::Active, Policy::RoundRobin][usize::from(choice) % 3];
        let methods = [Method::Zlib, Method::Lz4, Method::Lz4hc, Method::Bzip2, Method::Zstd];
        let method = methods.get(usize::from(choice >> 4)).copied();
        let compression = method.map(|method| Compression { method, level: 0, threshold_bytes: 100 });
        let core = Knet::new(config(at, policy, compression), None, [7; 32], now).ok()?;
        Some(Self { at, core })
    }
}

impl Party for Host {
    /// With the sender's address.
    type Packet = (SocketAddr, Vec<u8>);

    fn handle(&mut self, now: Instant, (from, bytes): &Self::Packet) {
        self.core.handle_datagram(now, *from, bytes);
    }

    fn drain(&mut self) -> Vec<Self::Packet> {
        let mut datagrams = Vec::new();
        while let Some(datagram) = self.core.poll_transmit() {
            datagrams.push((address(self.at, datagram.link), datagram.bytes.to_vec()));
        }
        while self.core.poll_deliver().is_some() {}
        while self.core.poll_event().is_some() {}
        while self.core.poll_note().is_some() {}
        datagrams
    }

    fn deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    fn timeout(&mut self, now: Instant) {
        self.core.handle_timeout(now);
    }

    fn submit(&mut self, now: Instant, choice: u8, bytes: &[u8]) {
        let to = if choice == 0 { Destination::Everybody } else { Destination::Host(2) };
        let _ = self.core.send(now, to, bytes);
    }

    fn forged(&self, choice: u8, bytes: &[u8]) -> Self::Packet {
        (address(1 - self.at, choice), bytes.to_vec())
    }

    fn bytes_mut((_, bytes): &mut Self::Packet) -> &mut [u8] {
        bytes
    }
}

pub fn fuzz(data: &[u8]) {
    let mut input = Input(data);
    let choice = input.byte();
    let now = Instant(1_000_000_000);
    let (Some(first), Some(second)) = (Host::new(0, choice, now), Host::new(1, choice, now)) else { return };
    play(now, [first, second], input);
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
