//! The transport of one node.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use totem::{Instant, Level, Note};

use crate::config::{Config, Policy};
use crate::crypto::{KeyError, Keys};
use crate::event::{
    Content, Delivery, Destination, Event, LinkStatus, SendFailure, Stats, Transmit, earlier,
};
use crate::host::Host;
use crate::keys::KeyRing;
use crate::link::{Change, Link};
use crate::mtu::Step;
use crate::seen::Seen;
use crate::stopwatch::{Stopwatch, no_stopwatch};
use crate::wire::{self, Beat, Data, FRAGMENTS_MAX, Header, MESSAGE_MAX, Packet};

/// Data packets between two pings that carry the sequence to everybody.
const UNTIMED_PING_EVERY: u16 = u16::MAX / 8;
/// A timer that fires later than this after its time means that this process did not run.
const LATE: Duration = Duration::from_millis(50);
/// Pause of the slow housekeeping.
const RELAX_EVERY: Duration = Duration::from_secs(1);
/// Datagrams that may wait for the driver; more are dropped, as a full socket would.
const TRANSMITS_MAX: usize = 65_536;
/// Lines for the log that may wait.
const NOTES_MAX: usize = 1024;
/// What copies on lossy links may cost: 4 MB/s, and 1 MB at once.
const SPARE_BYTES_PER_MS: usize = 4000;
const SPARE_BYTES_MAX: usize = 1_000_000;
/// In the second spare byte of our own pings. The reference sets 0, ignores it, and echoes it in pongs.
pub(crate) const OWN_MARK: u8 = 0x52;

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("no link to the destination is up")]
    Unreachable,
    #[error("message is empty or longer than {MESSAGE_MAX} bytes")]
    Length,
    #[error("too many datagrams wait to be sent")]
    Full,
}

/// The core. See the crate's description for the order in which to drain it.
#[derive(Debug)]
pub struct Knet {
    pub(crate) config: Config,
    pub(crate) hosts: BTreeMap<u16, Host>,
    pub(crate) keys: KeyRing,
    pub(crate) seen: Seen,
    pub(crate) stats: Stats,
    pub(crate) deliveries: VecDeque<Delivery>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    notes: VecDeque<Note>,
    seq: u16,
    /// Tells our own pongs from those of an earlier run.
    pub(crate) nonce: u32,
    next_relax: Instant,
    /// Deadline that was told last.
    due: Instant,
    /// Bytes of user data in each fragment.
    data_mtu: usize,
    /// Bytes that may go into copies now, and when that was reckoned.
    spare_bytes: usize,
    spare_at: Instant,
    pub(crate) stopwatch: Stopwatch,
}

impl Knet {
    /// Starts with all links down. The seed must be unpredictable: salts of encryption are made of it.
    ///
    /// # Errors
    /// A key that cannot be used.
    pub fn new(config: Config, keys: Option<&Keys>, seed: [u8; 32], now: Instant) -> Result<Self, KeyError> {
        let mut keys = KeyRing::new(keys, seed)?;
        let nonce = keys.random();
        let mut knet = Self {
            config: Config { node: config.node, ..Config::default() },
            hosts: BTreeMap::new(),
            keys,
            seen: Seen::default(),
            stats: Stats::default(),
            deliveries: VecDeque::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            notes: VecDeque::new(),
            seq: 0,
            nonce,
            next_relax: now.after(RELAX_EVERY),
            due: now,
            data_mtu: 0,
            spare_bytes: SPARE_BYTES_MAX,
            spare_at: now,
            stopwatch: no_stopwatch,
        };
        knet.reconfigure(now, config);
        Ok(knet)
    }

    /// Has the times of encryption and compression measured.
    pub fn set_stopwatch(&mut self, stopwatch: Stopwatch) {
        self.stopwatch = stopwatch;
    }

    /// Takes over a new configuration. Links that are in both keep their state; one whose address changed starts
    /// anew. The own id never changes.
    pub fn reconfigure(&mut self, now: Instant, config: Config) {
        let old: Vec<(u16, u8)> =
            self.hosts.iter().flat_map(|(id, host)| host.links.keys().map(|link| (*id, *link))).collect();
        for (id, number) in old {
            let wanted = config.hosts.get(&id).and_then(|links| links.get(&number));
            let current = self.link(id, number).map(|link| link.peer);
            if wanted.copied() != current || !config.links.contains_key(&number) {
                self.remove_link(now, id, number);
            }
        }
        self.hosts.retain(|_, host| !host.links.is_empty());
        for (id, links) in &config.hosts {
            if *id == config.node {
                continue;
            }
            let host = self.hosts.entry(*id).or_default();
            for (number, peer) in links {
                let Some(parameters) = config.links.get(number) else { continue };
                let link = host.links.entry(*number).or_insert_with(|| Link::new(now, *peer, *parameters));
                link.config = *parameters;
            }
        }
        self.config = config;
        for id in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.update_host(id);
        }
        self.update_data_mtu();
    }

    fn remove_link(&mut self, now: Instant, id: u16, number: u8) {
        let change = self.link(id, number).map_or(Change::None, |link| link.go_down(now));
        self.apply(now, id, number, change);
        if let Some(host) = self.hosts.get_mut(&id) {
            host.links.remove(&number);
        }
    }

    pub(crate) fn link(&mut self, host: u16, number: u8) -> Option<&mut Link> {
        self.hosts.get_mut(&host)?.links.get_mut(&number)
    }

    // ---- keys

    /// Takes a new key in addition to the one in use; `None`: no protection. See [`Knet::activate_key`].
    ///
    /// # Errors
    /// A key that cannot be used; nothing has changed then.
    pub fn prepare_key(&mut self, keys: Option<&Keys>) -> Result<(), KeyError> {
        self.keys.prepare(keys)
    }

    /// Sends with the key that was prepared last. Call it once all hosts have it; the first packet of a known host
    /// that is protected with it does the same.
    pub fn activate_key(&mut self, now: Instant) {
        let before = self.keys.overhead();
        self.keys.activate();
        if before == self.keys.overhead() {
            return;
        }
        for link in self.hosts.values_mut().flat_map(|host| host.links.values_mut()).filter(|link| link.is_up)
        {
            link.mtu = None;
            link.discovery.stop();
            link.discovery.search_at(now);
        }
        self.update_data_mtu();
    }

    /// Forgets all keys but the one that was prepared last, once all hosts send with it.
    pub fn forget_old_key(&mut self) {
        self.keys.forget_old();
    }

    // ---- sending

    /// Sends a message. Loss is possible; duplicates and damage are not.
    ///
    /// # Errors
    /// Nothing was sent: no way to the destination, or a length that cannot be.
    pub fn send(&mut self, now: Instant, to: Destination, message: &[u8]) -> Result<(), SendError> {
        if message.is_empty() || message.len() > MESSAGE_MAX {
            return Err(SendError::Length);
        }
        if self.transmits.len() >= TRANSMITS_MAX {
            return Err(SendError::Full);
        }
        let targets = self.targets(now, to);
        if targets.is_empty() {
            return Err(SendError::Unreachable);
        }
        let packed = self.pack(message);
        self.count_compression(message.len(), packed.as_ref().map(Vec::len));
        let compress = match (&packed, self.config.compression) {
            (Some(_), Some(compression)) => compression.method as u8,
            _ => 0,
        };
        self.advance_seq(now);
        let body = packed.as_deref().unwrap_or(message);
        let size = self.data_mtu.max(body.len().div_ceil(FRAGMENTS_MAX)).max(1);
        let count = u8::try_from(body.len().div_ceil(size)).unwrap_or(u8::MAX);
        let whole = Data {
            seq: self.seq,
            compress,
            pad: 0,
            broadcast: u8::from(to == Destination::Everybody),
            fragments: count,
            fragment: 0,
            channel: 0,
            payload: body,
        };
        let datagrams = self.seal_data(whole, body, size);
        for (host, link) in targets {
            for _ in 0..self.copies(now, host, link, &datagrams) {
                for bytes in &datagrams {
                    self.transmit(host, link, Content::Data, bytes.clone());
                }
            }
        }
        Ok(())
    }

    /// On a lossy link messages are sent more than once, as long as that does not make a congestion worse.
    fn copies(&mut self, now: Instant, host: u16, number: u8, datagrams: &[Bytes]) -> u8 {
        let count = u8::try_from(datagrams.len()).unwrap_or(u8::MAX);
        let wanted = self.link(host, number).map_or(1, |link| link.copies(count));
        if wanted <= 1 {
            return 1;
        }
        let bytes: usize = datagrams.iter().map(|bytes| bytes.len()).sum();
        let since_ms = now.since(self.spare_at).as_millis();
        if since_ms > 0 {
            let more = usize::try_from(since_ms).unwrap_or(usize::MAX).saturating_mul(SPARE_BYTES_PER_MS);
            self.spare_bytes = self.spare_bytes.saturating_add(more).min(SPARE_BYTES_MAX);
            self.spare_at = now;
        }
        let extra = (1..wanted).rev().find(|extra| usize::from(*extra) * bytes <= self.spare_bytes);
        let extra = extra.unwrap_or(0);
        self.spare_bytes -= usize::from(extra) * bytes;
        extra + 1
    }

    fn targets(&mut self, now: Instant, to: Destination) -> Vec<(u16, u8)> {
        let policy = self.config.policy;
        let reachable = self.hosts.iter_mut().filter(|(id, host)| {
            host.is_reachable
                && match to {
                    Destination::Everybody => true,
                    Destination::Host(wanted) => wanted == **id,
                }
        });
        reachable
            .flat_map(|(id, host)| host.choose(now, policy).into_iter().map(|link| (*id, link)))
            .collect()
    }

    fn pack(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let compression = self.config.compression?;
        let start_ns = (self.stopwatch)();
        let packed = compression.pack(message);
        if packed.is_some() {
            self.stats.tx_compress_time.note((self.stopwatch)().saturating_sub(start_ns));
        }
        packed
    }

    fn count_compression(&mut self, before: usize, after: Option<usize>) {
        if self.config.compression.is_none() {
            return;
        }
        let bytes = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        match after {
            Some(after) => {
                self.stats.tx_compressed_packets += 1;
                self.stats.tx_compressed_original_bytes += bytes(before);
                self.stats.tx_compressed_size_bytes += bytes(after);
            }
            None => self.stats.tx_uncompressed_packets += 1,
        }
    }

    /// Number 0 stands for a sender that has not sent yet, so it is left out.
    fn advance_seq(&mut self, now: Instant) {
        self.seq = self.seq.checked_add(1).unwrap_or(1);
        if self.seq.is_multiple_of(UNTIMED_PING_EVERY) {
            let all: Vec<(u16, u8)> =
                self.hosts.iter().flat_map(|(id, host)| host.links.keys().map(|link| (*id, *link))).collect();
            for (host, link) in all {
                self.ping(now, host, link, 0);
            }
        }
    }

    pub(crate) fn seal(&mut self, packet: &Packet<'_>, pads: [u8; 2]) -> Bytes {
        let header = Header { node: self.config.node, pads };
        let mut out = Vec::new();
        self.keys.seal(&mut out, 1, |_, out| wire::encode_into(header, packet, out));
        out.into()
    }

    /// The fragments of a message, in one block of memory.
    fn seal_data(&mut self, whole: Data<'_>, body: &[u8], size: usize) -> Vec<Bytes> {
        let header = Header { node: self.config.node, pads: [0, 0] };
        let count = usize::from(whole.fragments);
        let room = self.keys.overhead().sealed_len(size + wire::DATA_HEADER_BYTES);
        let mut all = Vec::with_capacity(count * room);
        let mut plain_bytes = 0;
        let write = |at: usize, out: &mut Vec<u8>| {
            let number = u8::try_from(at + 1).unwrap_or(u8::MAX);
            let fragment = if count == 1 { 0 } else { number };
            let payload = body.get(at * size..).unwrap_or_default();
            let payload = payload.get(..size).unwrap_or(payload);
            let start = out.len();
            wire::encode_into(header, &Packet::Data(Data { fragment, payload, ..whole }), out);
            plain_bytes += out.len() - start;
        };
        let start_ns = (self.stopwatch)();
        let ends = self.keys.seal(&mut all, count, write);
        if self.keys.is_sealing() {
            let each_ns = (self.stopwatch)().saturating_sub(start_ns) / u64::from(whole.fragments.max(1));
            (0..count).for_each(|_| self.stats.tx_crypt_time.note(each_ns));
            self.stats.tx_crypt_packets += u64::from(whole.fragments);
            let grown = all.len().saturating_sub(plain_bytes);
            self.stats.tx_crypt_byte_overhead += u64::try_from(grown).unwrap_or(0);
        }
        split_at_all(all.into(), &ends)
    }

    pub(crate) fn transmit(&mut self, host: u16, number: u8, content: Content, bytes: Bytes) {
        if self.transmits.len() >= TRANSMITS_MAX {
            return;
        }
        let Some(link) = self.link(host, number) else { return };
        let to = link.peer;
        if content == Content::Data {
            link.stats.tx_data_packets += 1;
            link.stats.tx_data_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        }
        self.transmits.push_back(Transmit { link: number, host, to, content, bytes });
    }

    fn ping(&mut self, now: Instant, host: u16, number: u8, timed: u8) {
        let beat = Beat { link: number, time: time_bytes(now, self.nonce), seq: self.seq, timed };
        let bytes = self.seal(&Packet::Ping(beat), [0, OWN_MARK]);
        if let Some(link) = self.link(host, number) {
            link.note_ping_sent(now);
            link.stats.tx_ping_packets += 1;
            link.stats.tx_ping_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        }
        self.transmit(host, number, Content::Beat, bytes);
    }

    // ---- time

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.excuse_pause(now);
        self.fire(now);
        self.due = self.next_deadline().unwrap_or(now);
    }

    /// After a pause of this process no link is judged by the silence of that time.
    pub(crate) fn excuse_pause(&mut self, now: Instant) {
        let pause = now.since(self.due);
        if pause <= LATE {
            return;
        }
        self.due = now;
        for link in self.hosts.values_mut().flat_map(|host| host.links.values_mut()) {
            link.excuse(pause);
        }
    }

    fn fire(&mut self, now: Instant) {
        let relax = now >= self.next_relax;
        if relax {
            self.next_relax = now.after(RELAX_EVERY);
        }
        let all: Vec<(u16, u8)> =
            self.hosts.iter().flat_map(|(id, host)| host.links.keys().map(|link| (*id, *link))).collect();
        for (host, number) in all {
            let Some(link) = self.link(host, number) else { continue };
            if relax {
                link.relax();
            }
            let wants_ping = link.take_ping(now);
            let is_refused = link.is_refused();
            let change = link.check(now);
            if wants_ping {
                self.ping(now, host, number, 1);
            }
            self.apply(now, host, number, change);
            if is_refused && change == Change::Down && !self.is_reachable(host) {
                self.events.push_back(Event::HostRefuses(host));
            }
            self.search_mtu(now, host, number);
        }
    }

    /// When [`Knet::handle_timeout`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let links = self.hosts.values().flat_map(|host| host.links.values());
        links.map(Link::deadline).fold(Some(self.next_relax), earlier)
    }

    /// The system could not send a datagram, or another host's system sent one back.
    pub fn handle_send_failure(
        &mut self,
        now: Instant,
        host: u16,
        number: u8,
        content: Content,
        failure: SendFailure,
    ) {
        let overhead = self.keys.overhead();
        let Some(link) = self.link(host, number) else { return };
        match content {
            Content::Data => link.stats.tx_data_errors = link.stats.tx_data_errors.saturating_add(1),
            Content::Beat => link.stats.tx_ping_errors = link.stats.tx_ping_errors.saturating_add(1),
            Content::Probe => {}
        }
        match failure {
            SendFailure::TooBig(mtu) if link.discovery.is_running() => {
                let latency = link.latency();
                let step = link.discovery.handle_too_big(now, overhead, latency, mtu);
                self.take_step(now, host, number, step);
            }
            SendFailure::TooBig(mtu) if link.is_up => {
                // The least that IP guarantees is believed in, whatever anybody says.
                let least = link.discovery.least(overhead);
                let room = link.discovery.room(overhead, mtu).max(least);
                link.mtu = Some(link.mtu.map_or(room, |old| old.min(room)));
                link.discovery.search_at(now);
                self.update_data_mtu();
            }
            SendFailure::Refused => link.handle_refused(now),
            SendFailure::TooBig(_) | SendFailure::Other => {}
        }
    }

    // ---- path MTU

    fn search_mtu(&mut self, now: Instant, host: u16, number: u8) {
        if self.config.fixed_mtu > 0 {
            return;
        }
        let overhead = self.keys.overhead();
        let Some(link) = self.link(host, number).filter(|link| link.is_up) else { return };
        let latency = link.latency();
        let step = link.discovery.handle_timeout(now, overhead, latency);
        self.take_step(now, host, number, step);
    }

    pub(crate) fn take_step(&mut self, now: Instant, host: u16, number: u8, step: Step) {
        let again = now.after(self.config.mtu_interval.max(RELAX_EVERY));
        let found = match step {
            Step::Nothing => return,
            Step::Probe { plain, size } => return self.probe(host, number, plain, size),
            Step::Found(room) => Some(room),
            Step::Failed => None,
        };
        let overhead = self.keys.overhead();
        let Some(link) = self.link(host, number) else { return };
        link.discovery.search_at(again);
        let least = link.discovery.least(overhead);
        let old = link.mtu.replace(found.unwrap_or(least));
        match (found, old) {
            (None, _) => self.note(
                Level::Warning,
                format!("pmtud: host: {host} link: {number} answers no probe of the path MTU, using the least that IP guarantees"),
            ),
            (Some(new), old) if old.is_some_and(|old| old != new) => {
                let old = old.unwrap_or(0);
                self.note(Level::Info, format!("pmtud: PMTUD link change for host: {host} link: {number} from {old} to {new}"));
            }
            (Some(_), _) => {}
        }
        self.update_data_mtu();
    }

    fn probe(&mut self, host: u16, number: u8, plain: usize, size: u16) {
        let fill = vec![0; plain.saturating_sub(wire::PROBE_REPLY_BYTES)];
        let bytes = self.seal(&Packet::Probe { link: number, size: size.to_ne_bytes(), fill: &fill }, [0, 0]);
        if let Some(link) = self.link(host, number) {
            link.stats.tx_pmtu_packets += 1;
            link.stats.tx_pmtu_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        }
        self.transmit(host, number, Content::Probe, bytes);
    }

    pub(crate) fn update_data_mtu(&mut self) {
        let overhead = self.keys.overhead();
        let fixed = self.config.fixed_mtu;
        let up = self.hosts.values().flat_map(|host| host.links.values()).filter(|link| link.is_up);
        let sizes = up.map(|link| {
            let least = link.discovery.least(overhead);
            let own = if fixed > 0 { Some(link.discovery.room(overhead, fixed)) } else { link.mtu };
            own.unwrap_or(least).max(least.min(64))
        });
        let Some(new) = sizes.min() else { return };
        if new != self.data_mtu {
            self.data_mtu = new;
            self.note(Level::Info, format!("pmtud: Global data MTU changed to: {new}"));
        }
    }

    // ---- links and hosts

    pub(crate) fn apply(&mut self, now: Instant, host: u16, number: u8, change: Change) {
        match change {
            Change::None => return,
            Change::Up => {
                self.note(Level::Info, format!("rx: host: {host} link: {number} is up"));
                self.events.push_back(Event::LinkUp { host, link: number });
            }
            Change::Down => {
                self.note(Level::Info, format!("link: host: {host} link: {number} is down"));
                self.events.push_back(Event::LinkDown { host, link: number });
            }
        }
        self.update_host(host);
        self.update_data_mtu();
        if change == Change::Up {
            self.search_mtu(now, host, number);
        }
    }

    fn update_host(&mut self, id: u16) {
        let policy = self.config.policy;
        let Some(host) = self.hosts.get_mut(&id) else { return };
        let reachable = host.has_link_up();
        let best = host.best_link();
        let mut notes = Vec::new();
        if policy == Policy::Passive && best.is_some() && best != host.best {
            let number = best.unwrap_or(0);
            let priority = host.links.get(&number).map_or(0, |link| link.config.priority);
            notes.push((
                Level::Info,
                format!("host: host: {id} (passive) best link: {number} (pri: {priority})"),
            ));
        }
        host.best = best;
        if reachable != host.is_reachable {
            host.is_reachable = reachable;
            if reachable {
                self.events.push_back(Event::HostReachable(id));
            } else {
                host.forget_received();
                notes.push((Level::Warning, format!("host: host: {id} has no active links")));
                self.events.push_back(Event::HostUnreachable(id));
            }
        }
        for (level, text) in notes {
            self.note(level, text);
        }
    }

    pub(crate) fn note(&mut self, level: Level, text: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push_back(Note { level, text });
        }
    }

    // ---- outputs

    /// Next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Next message that arrived.
    pub fn poll_deliver(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    /// Next change.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Next line for the log.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// All counters start anew.
    pub fn clear_stats(&mut self) {
        self.stats = Stats::default();
        for link in self.hosts.values_mut().flat_map(|host| host.links.values_mut()) {
            link.clear_stats();
        }
    }

    /// All links to all hosts, by host and number.
    #[must_use]
    pub fn links(&self, now: Instant) -> Vec<LinkStatus> {
        let (fixed, overhead) = (self.config.fixed_mtu, self.keys.overhead());
        let links = self.hosts.iter().flat_map(|(id, host)| {
            host.links.iter().map(move |(number, link)| {
                let mut status = link.status(now, *id, *number, host.is_reachable);
                if fixed > 0 && status.connected {
                    status.mtu = u32::try_from(link.discovery.room(overhead, fixed)).unwrap_or(u32::MAX);
                }
                status
            })
        });
        links.collect()
    }

    /// True if a link to this host is up.
    #[must_use]
    pub fn is_reachable(&self, host: u16) -> bool {
        self.hosts.get(&host).is_some_and(|host| host.is_reachable)
    }

    /// Hosts that run this implementation, as they say themselves.
    #[must_use]
    pub fn own_kind(&self) -> BTreeSet<u16> {
        self.hosts.iter().filter(|(_, host)| host.is_own_kind).map(|(id, _)| *id).collect()
    }

    /// Bytes of user data in each fragment; 0 before the first link is up.
    #[must_use]
    pub fn data_mtu(&self) -> usize {
        self.data_mtu
    }
}

/// The pieces that end at these places, one behind the other.
fn split_at_all(mut all: Bytes, ends: &[usize]) -> Vec<Bytes> {
    let mut start = 0;
    let pieces = ends.iter().map(|end| {
        let piece = all.split_to((end - start).min(all.len()));
        start = *end;
        piece
    });
    pieces.collect()
}

/// The sixteen bytes that a ping brings back: seconds, nanoseconds, nonce. The first twelve are laid out as
/// the reference has them; nobody but the sender reads them.
pub(crate) fn time_bytes(now: Instant, nonce: u32) -> [u8; 16] {
    const NANOS: u64 = 1_000_000_000;
    let mut bytes = [0; 16];
    let seconds = (now.0 / NANOS).to_ne_bytes();
    let nanos = u32::try_from(now.0 % NANOS).unwrap_or(0).to_ne_bytes();
    for (to, from) in bytes.iter_mut().zip(seconds.into_iter().chain(nanos).chain(nonce.to_ne_bytes())) {
        *to = from;
    }
    bytes
}

/// The time in a pong to a ping of this run.
pub(crate) fn time_of(bytes: [u8; 16], nonce: u32) -> Option<Instant> {
    let (seconds, rest) = bytes.split_first_chunk::<8>()?;
    let (nanos, rest) = rest.split_first_chunk::<4>()?;
    let own = rest.first_chunk::<4>().is_some_and(|bytes| *bytes == nonce.to_ne_bytes());
    let total = u64::from_ne_bytes(*seconds)
        .checked_mul(1_000_000_000)?
        .checked_add(u64::from(u32::from_ne_bytes(*nanos)))?;
    own.then_some(Instant(total))
}
