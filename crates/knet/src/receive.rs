//! What arrives.

use core::time::Duration;
use std::net::SocketAddr;

use totem::{Instant, Level};

use crate::compress;
use crate::event::{Content, Delivery};
use crate::fragment::Outcome;
use crate::keys::{Opened, Protection};
use crate::link::Change;
use crate::state::{Knet, OWN_MARK, time_of};
use crate::wire::{self, Beat, Data, Header, Packet};

impl Knet {
    /// Handles one datagram. What is not authentic, not from a known address, or not understood is counted
    /// and dropped.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.excuse_pause(now);
        if self.take(now, from, bytes).is_none() {
            self.stats.rx_refused_packets += 1;
        }
    }

    fn take(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Option<()> {
        // Strangers cost no cryptography.
        if !self.config.any_source && !self.is_known(from) {
            return None;
        }
        let start_ns = (self.stopwatch)();
        let Opened { bytes: plain, protection, is_newest } = self.keys.open(bytes)?;
        let opening_ns = (self.stopwatch)().saturating_sub(start_ns);
        let was_sealed = protection != Protection::None;
        if protection == Protection::Salted && !self.seen.is_new(bytes) {
            self.stats.rx_repeated_packets += 1;
            return Some(());
        }
        let (header, packet) = wire::decode(&plain).ok()?;
        let number = self.source_link(header.node, from, &packet)?;
        if is_newest && self.keys.is_waiting() {
            // Who uses the new key already may not understand the old one for long.
            self.activate_key(now);
        }
        let len = u64::try_from(plain.len()).unwrap_or(u64::MAX);
        match packet {
            Packet::Data(data) => {
                if was_sealed {
                    self.stats.rx_crypt_packets += 1;
                    self.stats.rx_crypt_time.note(opening_ns);
                }
                let link = self.link(header.node, number)?;
                link.stats.rx_data_packets += 1;
                link.stats.rx_data_bytes += len;
                self.handle_data(header.node, &data);
            }
            Packet::Ping(beat) => self.handle_ping(now, header, number, &beat, len),
            Packet::Pong(beat) => self.handle_pong(now, header.node, number, &beat, len),
            Packet::Probe { size, .. } => {
                let link = self.link(header.node, number)?;
                link.stats.rx_pmtu_packets += 1;
                link.stats.rx_pmtu_bytes += len;
                let bytes = self.seal(&Packet::ProbeReply { link: number, size }, header.pads);
                self.transmit(header.node, number, Content::Beat, bytes);
            }
            Packet::ProbeReply { size, .. } => {
                let overhead = self.keys.overhead();
                let link = self.link(header.node, number)?;
                link.stats.rx_pmtu_packets += 1;
                link.stats.rx_pmtu_bytes += len;
                let latency = link.latency();
                let step = link.discovery.handle_reply(now, overhead, latency, u16::from_ne_bytes(size));
                self.take_step(now, header.node, number, step);
            }
        }
        Some(())
    }

    fn is_known(&self, from: SocketAddr) -> bool {
        self.hosts.values().any(|host| host.links.values().any(|link| link.peer == from))
    }

    /// The link of a known host that the datagram came over. Heartbeats name their link, data are known by
    /// their source address.
    fn source_link(&self, node: u16, from: SocketAddr, packet: &Packet<'_>) -> Option<u8> {
        let host = self.hosts.get(&node)?;
        let named = match packet {
            Packet::Ping(beat) | Packet::Pong(beat) => Some(beat.link),
            Packet::Probe { link, .. } | Packet::ProbeReply { link, .. } => Some(*link),
            Packet::Data(_) => None,
        };
        match named {
            Some(number) => {
                let link = host.links.get(&number)?;
                (self.config.any_source || link.peer == from).then_some(number)
            }
            None => host.links.iter().find(|(_, link)| link.peer == from).map(|(number, _)| *number),
        }
    }

    fn handle_ping(&mut self, now: Instant, header: Header, number: u8, beat: &Beat, len: u64) {
        let Some(host) = self.hosts.get_mut(&header.node) else { return };
        let [_, mark] = header.pads;
        host.is_own_kind = mark == OWN_MARK;
        host.handle_ping_seq(beat);
        let is_own_kind = host.is_own_kind;
        let bytes = self.seal(&Packet::Pong(Beat { link: number, ..*beat }), header.pads);
        let mut copies = 1;
        if let Some(link) = self.link(header.node, number) {
            link.handle_ping(now);
            link.stats.rx_ping_packets += 1;
            link.stats.rx_ping_bytes += len;
            link.stats.tx_pong_packets += 1;
            link.stats.tx_pong_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if !is_own_kind {
                // The reference gives a link up for one lost pong; a second one does no harm.
                copies = link.copies(1);
            }
        }
        for _ in 0..copies {
            self.transmit(header.node, number, Content::Beat, bytes.clone());
        }
    }

    fn handle_pong(&mut self, now: Instant, host: u16, number: u8, beat: &Beat, len: u64) {
        let sent = time_of(beat.time, self.nonce).filter(|sent| *sent <= now);
        let Some(link) = self.link(host, number) else { return };
        link.stats.rx_pong_packets += 1;
        link.stats.rx_pong_bytes += len;
        // A pong that is not the answer to a recent ping of this run proves nothing.
        let Some(round_trip) = sent.map(|sent| now.since(sent)) else { return };
        let change = if round_trip > link.config.ping_timeout.max(Duration::from_millis(1)) {
            Change::None
        } else {
            link.handle_pong(now, round_trip)
        };
        self.apply(now, host, number, change);
    }

    fn handle_data(&mut self, node: u16, data: &Data<'_>) {
        let Some(host) = self.hosts.get_mut(&node).filter(|host| host.is_reachable) else { return };
        if !host.is_plausible(data.seq) {
            return;
        }
        host.note_data();
        host.window.reach(data.seq);
        if host.window.is_delivered(data.seq) {
            return;
        }
        let message = if data.fragments == 1 {
            data.payload.to_vec()
        } else {
            if let Some(highest) = host.window.highest() {
                host.reassembly.expire(highest);
            }
            let is_first = host.window.begin(data.seq);
            if !is_first && !host.reassembly.has(data.seq) {
                // It was given up.
                return;
            }
            match host.reassembly.add(data) {
                Outcome::Complete(message) => message,
                Outcome::Incomplete | Outcome::Dropped => return,
            }
        };
        let size = u64::try_from(message.len()).unwrap_or(u64::MAX);
        let message = if data.compress == 0 {
            message
        } else {
            let unpack = || compress::unpack(data.compress, &message);
            let Some(original) = self.stats.rx_compress_time.measure(self.stopwatch, unpack) else {
                let method = data.compress;
                self.note(
                    Level::Error,
                    format!("compress: Unable to decompress packet of host {node} (method {method})"),
                );
                self.stats.rx_refused_packets += 1;
                return;
            };
            self.stats.rx_compressed_packets += 1;
            self.stats.rx_compressed_size_bytes += size;
            self.stats.rx_compressed_original_bytes += u64::try_from(original.len()).unwrap_or(u64::MAX);
            original
        };
        if let Some(host) = self.hosts.get_mut(&node) {
            host.window.set_delivered(data.seq);
        }
        self.deliveries.push_back(Delivery { host: node, bytes: message });
    }
}
