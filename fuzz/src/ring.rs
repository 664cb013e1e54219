//! Two nodes of the ring whose packets are lost, repeated, damaged and forged.

use totem::{Config, Instant, Timing, TimingSettings, Totem};

use crate::input::Input;
use crate::net::{Party, play};

impl Party for Totem {
    type Packet = Vec<u8>;

    fn handle(&mut self, now: Instant, packet: &Vec<u8>) {
        self.handle_packet(now, &packet.clone().into());
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while let Some(packet) = self.poll_transmit() {
            packets.push(packet.bytes.to_vec());
        }
        let _ = self.poll_persist();
        while let Some(event) = self.poll_event() {
            if let totem::Event::Configuration(configuration) = event
                && !configuration.transitional
            {
                self.synchronised(configuration.ring);
            }
        }
        while self.poll_note().is_some() {}
        packets
    }

    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn submit(&mut self, now: Instant, _choice: u8, bytes: &[u8]) {
        let _ = self.send(now, b"a", &[bytes]);
    }

    fn forged(&self, _choice: u8, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn bytes_mut(packet: &mut Vec<u8>) -> &mut [u8] {
        packet
    }
}

/// Packets of real nodes with arbitrary faults.
pub fn fuzz(data: &[u8]) {
    let Ok(timing) = Timing::derive(&TimingSettings::default(), 2) else { return };
    let now = Instant(1_000_000_000);
    let node = |id| Totem::new(Config::new(id, timing.clone()), 0, now);
    play(now, [node(1), node(2)], Input(data));
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
