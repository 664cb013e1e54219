//! Every message of the services that the reference was recorded sending must be understood.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bytes::Bytes;
use engine::{Config, Engine, Map, Output};
use totem::wire::{self, Packet};
use totem::{Delivery, Event, Instant};

#[path = "../../totem/tests/pcap/mod.rs"]
mod pcap;

/// Whole messages of one packet: those that neither continue an earlier one nor go on in a later one.
fn whole_messages(payload: &[u8]) -> Vec<Delivery> {
    let Ok((header, Packet::Mcast(_))) = wire::decode(payload) else { return Vec::new() };
    if header.encapsulated != wire::NOT_ENCAPSULATED {
        return Vec::new();
    }
    let packet = totem::split(&payload[wire::MCAST_HEADER_LEN..], header.order).unwrap();
    let first = usize::from(packet.continuation != 0);
    let last = packet.pieces.len() - usize::from(packet.fragmented != 0);
    let pieces = packet.pieces.get(first..last).unwrap_or_default();
    let messages = pieces.iter().map(|piece| {
        let (groups, body) = totem::split_groups(piece, header.order).unwrap();
        assert_eq!(groups.len(), 1);
        Delivery {
            nodeid: header.nodeid,
            order: header.order,
            group: groups[0].to_vec().into(),
            payload: body.to_vec().into(),
        }
    });
    messages.collect()
}

fn engine() -> Engine {
    let mut map = Map::default();
    map.set("quorum.provider", "corosync_votequorum");
    map.set("nodelist.local_node_pos", 0u32);
    map.set("nodelist.node.0.nodeid", 1u32);
    map.set("nodelist.node.1.nodeid", 2u32);
    Engine::new(Config { nodeid: 1, ..Config::default() }, map, Instant(0)).unwrap()
}

#[test]
fn recorded_messages_are_understood() {
    let Some(files) = pcap::captures() else { return };
    let mut counts: BTreeMap<(Bytes, u32), usize> = BTreeMap::new();
    for path in files {
        let mut engine = engine();
        for payload in pcap::udp_payloads(&std::fs::read(&path).unwrap()) {
            if payload.get(2) != Some(&wire::VERSION) {
                continue;
            }
            for delivery in whole_messages(&payload) {
                let id = u32::from_le_bytes(delivery.payload[..4].try_into().unwrap());
                *counts.entry((delivery.group.clone(), id)).or_default() += 1;
                engine.handle_event(Instant(0), Event::Delivery(delivery));
                while let Some(output) = engine.poll_output() {
                    if let Output::Log { text, .. } = output {
                        assert!(!text.contains("malformed") && !text.contains("unknown"), "{text}");
                    }
                }
            }
        }
    }
    // service_build and barrier; cmap state, cpg join, leave, joinlist, mcast; nodeinfo.
    for (group, id) in [
        (&b"sync"[..], 1),
        (b"sync", 0),
        (b"a", 0),
        (b"a", 0x2_0000),
        (b"a", 0x2_0001),
        (b"a", 0x2_0002),
        (b"a", 0x2_0003),
        (b"a", 0x5_0000),
    ] {
        assert!(
            counts.get(&(group.to_vec().into(), id)).is_some_and(|count| *count > 0),
            "{group:?} {id:#x}"
        );
    }
}
