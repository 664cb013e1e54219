//! Recorded traffic of the reference (libknet 1.25): every packet is understood and written again byte for
//! byte, and our core answers as the recorded host did.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use knet::wire::{self, Packet};
use knet::{Config, Content, Crypto, Keys, Knet, LinkConfig, SALT_BYTES};
use totem::Instant;

use recorded::{Datagram, captures, datagrams, files, keys};

mod recorded;

#[test]
fn every_packet_is_written_again_byte_for_byte() {
    let Some(dir) = captures() else { return };
    let crypto = Crypto::new(&keys(&dir)).unwrap();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (start, sealed) in [("knet-plain", false), ("knet-aes256", true)] {
        for file in files(&dir, start) {
            for datagram in datagrams(&std::fs::read(&file).unwrap()) {
                let bytes = &datagram.bytes;
                let plain = if sealed { crypto.open(bytes).expect("authentic") } else { bytes.clone() };
                let (header, packet) =
                    wire::decode(&plain).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
                let mut again = wire::encode(header, &packet);
                if sealed {
                    let salt: [u8; SALT_BYTES] = bytes[..SALT_BYTES].try_into().unwrap();
                    again = crypto.seal(salt, &again);
                }
                assert_eq!(&again, bytes, "{}", file.display());
                let kind = match packet {
                    Packet::Data(data) if data.fragments > 1 => "fragment",
                    Packet::Data(_) => "data",
                    Packet::Ping(_) => "ping",
                    Packet::Pong(_) => "pong",
                    Packet::Probe { .. } => "probe",
                    Packet::ProbeReply { .. } => "probe reply",
                };
                *kinds.entry(kind).or_default() += 1;
            }
        }
    }
    println!("{kinds:?}");
    assert_eq!(kinds.len(), 6, "all kinds of packets are in the captures: {kinds:?}");
}

fn config(node: u16, hosts: &[u16]) -> Config {
    let link = LinkConfig {
        priority: 1,
        ping_interval: Duration::from_millis(750),
        ping_timeout: Duration::from_millis(1500),
        ping_precision: 2048,
        pong_count: 2,
    };
    let peer = |id: u16| SocketAddr::from(([10, 77, 0, 10 + u8::try_from(id).unwrap()], 5405));
    Config {
        node,
        links: [(0, link)].into(),
        hosts: hosts.iter().map(|id| (*id, [(0, peer(*id))].into())).collect(),
        mtu_interval: Duration::from_secs(30),
        ..Config::default()
    }
}

/// We take the place of host 1: what host 2 sent is handed in at its time, and our answers to its pings and
/// probes are those that the real host 1 gave.
#[test]
fn pings_and_probes_are_answered_as_the_reference_answered() {
    let Some(dir) = captures() else { return };
    let me = SocketAddr::from(([10, 77, 0, 11], 5405));
    for file in files(&dir, "knet-plain-2n") {
        let all = datagrams(&std::fs::read(&file).unwrap());
        let is_answer = |bytes: &[u8]| {
            matches!(wire::decode(bytes), Ok((_, Packet::Pong(_) | Packet::ProbeReply { .. })))
        };
        let is_question =
            |bytes: &[u8]| matches!(wire::decode(bytes), Ok((_, Packet::Ping(_) | Packet::Probe { .. })));
        let real: Vec<&Vec<u8>> =
            all.iter().filter(|d| d.from == me && is_answer(&d.bytes)).map(|d| &d.bytes).collect();
        let mut knet = Knet::new(config(1, &[2]), None, [0; 32], all[0].at).unwrap();
        let mut ours = Vec::new();
        for datagram in all.iter().filter(|d| d.to == me && is_question(&d.bytes)) {
            knet.handle_datagram(datagram.at, datagram.from, &datagram.bytes);
            while let Some(transmit) = knet.poll_transmit() {
                if transmit.content == Content::Beat && is_answer(&transmit.bytes) {
                    ours.push(transmit.bytes.to_vec());
                }
            }
        }
        // A host that was away (stopped, killed, cut off) did not answer; we did.
        let mut ours = ours.into_iter();
        for answer in real {
            assert!(ours.any(|own| own == *answer), "{}: no such answer of ours", file.display());
        }
    }
}

/// All messages that hosts 2 and 3 sent are put together as the reference did; each is a Totem packet.
#[test]
fn messages_are_put_together_from_recorded_fragments() {
    let Some(dir) = captures() else { return };
    let me = SocketAddr::from(([10, 77, 0, 12], 5405));
    let mut largest = 0;
    for (start, sealed) in [("knet-plain-2n", false), ("knet-aes256-sha256-2n", true)] {
        for file in files(&dir, start) {
            let all = datagrams(&std::fs::read(&file).unwrap());
            let keys = sealed.then(|| keys(&dir));
            let mut knet = reachable(&keys, all[0].at);
            let mut count = 0;
            for datagram in all.iter().filter(|d| d.to == me) {
                knet.handle_datagram(all[0].at, datagram.from, &datagram.bytes);
                while let Some(delivery) = knet.poll_deliver() {
                    assert!(totem::wire::decode(&delivery.bytes).is_ok(), "{}", file.display());
                    largest = largest.max(delivery.bytes.len());
                    count += 1;
                }
            }
            assert_eq!(count, messages(&all, me, &keys), "{}", file.display());
        }
    }
    assert!(largest > 60_000, "the largest message has {largest} bytes");
}

/// Complete messages in a capture, by their sequence numbers.
fn messages(all: &[Datagram], me: SocketAddr, keys: &Option<Keys>) -> usize {
    let crypto = keys.as_ref().map(|keys| Crypto::new(keys).unwrap());
    let mut parts: BTreeMap<(u16, u16), (u8, std::collections::BTreeSet<u8>)> = BTreeMap::new();
    let mut epoch = 0;
    for datagram in all.iter().filter(|d| d.to == me) {
        let plain = match &crypto {
            Some(crypto) => crypto.open(&datagram.bytes).unwrap(),
            None => datagram.bytes.clone(),
        };
        let Ok((_, packet)) = wire::decode(&plain) else { continue };
        match packet {
            Packet::Data(data) => {
                let entry = parts.entry((epoch, data.seq)).or_default();
                entry.0 = data.fragments;
                entry.1.insert(data.fragment);
            }
            // A restart.
            Packet::Ping(beat) if beat.seq == 0 && parts.keys().any(|(e, _)| *e == epoch) => epoch += 1,
            _ => {}
        }
    }
    parts.values().filter(|(count, seen)| seen.len() == usize::from(*count)).count()
}

/// Host 2 with its link to host 1 up.
fn reachable(keys: &Option<Keys>, start: Instant) -> Knet {
    let mut knet = Knet::new(config(2, &[1]), keys.as_ref(), [0; 32], start).unwrap();
    let peer = SocketAddr::from(([10, 77, 0, 11], 5405));
    let crypto = keys.as_ref().map(|keys| Crypto::new(keys).unwrap());
    let mut now = start;
    for _ in 0..100 {
        while let Some(transmit) = knet.poll_transmit() {
            let plain = match &crypto {
                Some(crypto) => crypto.open(&transmit.bytes).unwrap(),
                None => transmit.bytes.to_vec(),
            };
            let Ok((_, Packet::Ping(beat))) = wire::decode(&plain) else { continue };
            let mut pong = wire::encode(wire::Header { node: 1, pads: [0, 0] }, &Packet::Pong(beat));
            if let Some(crypto) = &crypto {
                pong = crypto.seal([9; 16], &pong);
            }
            knet.handle_datagram(now, peer, &pong);
        }
        if knet.is_reachable(1) {
            return knet;
        }
        now = now.after(Duration::from_millis(10));
        knet.handle_timeout(now);
    }
    panic!("the link does not come up");
}
