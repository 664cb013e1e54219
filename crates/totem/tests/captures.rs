//! Every Totem packet that the reference was recorded sending must decode and encode back to the
//! same bytes; its messages must come apart without rest.
#![allow(clippy::unwrap_used)]

use totem::wire::{self, Packet};

mod pcap;

use pcap::{captures, udp_payloads};

#[test]
fn recorded_packets_survive_a_round_trip() {
    let Some(files) = captures() else { return };
    assert!(files.len() > 20, "the udp, udpu and pacemaker captures");
    let mut kinds = [0usize; 6];
    for path in files {
        for payload in udp_payloads(&std::fs::read(&path).unwrap()) {
            if payload.get(2) != Some(&wire::VERSION) {
                continue;
            }
            let (header, packet) = wire::decode(&payload)
                .unwrap_or_else(|error| panic!("{}: {error}: {payload:02x?}", path.display()));
            let body = match packet {
                Packet::Mcast(_) => &payload[wire::MCAST_HEADER_LEN..],
                _ => &[],
            };
            assert_eq!(wire::encode(header, &packet, body), payload, "{}", path.display());
            kinds[usize::from(payload[3])] += 1;
            if header.encapsulated == wire::NOT_ENCAPSULATED {
                let pieces = totem::split(body, header.order).unwrap();
                assert!(!pieces.pieces.is_empty());
            }
        }
    }
    assert!(kinds.iter().all(|count| *count > 0), "each kind was seen: {kinds:?}");
}

#[test]
fn the_other_byte_order_reads_the_same() {
    let Some(files) = captures() else { return };
    for path in files.into_iter().take(6) {
        for payload in udp_payloads(&std::fs::read(&path).unwrap()) {
            let Ok((mut header, packet)) = wire::decode(&payload) else { continue };
            header.order = wire::ByteOrder::Big;
            let swapped = wire::encode(header, &packet, &[]);
            assert_eq!(wire::decode(&swapped), Ok((header, packet)));
        }
    }
}
