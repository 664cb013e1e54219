//! Our core in the place of each recorded host in turn, in virtual time: it gets the datagrams that reached the host,
//! at their times, and the messages that the host sent, and must send what the host sent.
//!
//! Compared byte for byte (after decryption: salts are random): every data packet with its sequence, fragments and
//! flags, every pong, every answer to a probe of the path MTU; in pings what has no time in it; which links go up and
//! down, and when, by the recorded host's log. What differs, and why (a test shows that each is needed):
//! - pings carry a time that only their sender reads, and our mark in a byte that the reference ignores. The recorded
//!   host looks every 200 ms whether a ping is due, ours come when they are due, and more often towards a host that
//!   does not answer. So a pong of the other host is taken as the answer to our newest ping, and while the link is up
//!   our pings are answered as long as the other host is heard;
//! - what goes to a host while one of the two takes the link for up and the other one for down (`disputed`);
//! - the recorded host searches the path MTU up to 200 ms after a link came up, cuts messages to the least size
//!   until then (`cut`), and searches again on all links when any host comes; ours searches at once, on that link.
//!   Our probes must be among the recorded ones; those too large for the interface are refused here as there;
//! - copies on links that seem to lose many (`copies`): receivers drop them.
//!
//! No capture is compressed: compressed messages are compared in rings with the reference only.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use knet::wire::{self, Beat, Header, Packet};
use knet::{Config, Content, Crypto, Destination, Event, Keys, Knet, LinkConfig, SendFailure};
use totem::Instant;

use recorded::{captures, datagrams, files, keys};

mod recorded;

/// Largest IP packet of the recorded hosts' interfaces, and what IP and UDP take of it.
const INTERFACE_MTU: usize = 1500;
const IP_AND_UDP_BYTES: usize = 28;
/// A host that sent nothing for longer than the longest pause between two pings is not heard.
const HEARD: Duration = Duration::from_millis(960);
/// A datagram full of user data before the path MTU is known: plain, and what the protection of the captures leaves.
const LEAST_BYTES: [usize; 2] = [496, 435];
/// A recorded host answers so soon.
const ANSWERS_WITHIN: Duration = Duration::from_millis(5);
/// How long the core ran before a capture that starts in the middle of a life: its first patience is over.
const SETTLED: Duration = Duration::from_secs(24);
/// The log's clock ticks every 4 ms, on a loaded machine.
const LOG_LATE: Duration = Duration::from_millis(20);
/// Links go up with the third pong and down after silence: when that is depends on when pings are due.
const TURN_WITHIN: Duration = Duration::from_millis(1500);

/// A recorded packet, decrypted.
#[derive(Clone, Debug)]
struct Recorded {
    at: Instant,
    from: u16,
    to: u16,
    plain: Vec<u8>,
}

impl Recorded {
    fn packet(&self) -> Packet<'_> {
        wire::decode(&self.plain).unwrap().1
    }
}

/// A link to a host went up (true) or down.
type Turn = (Instant, u16, bool);

#[derive(Debug, Default)]
struct Outcome {
    data: usize,
    answers: usize,
    pings: usize,
    probes: usize,
    turns: usize,
    disputed: usize,
    cut: usize,
    copies: usize,
    differences: Vec<String>,
}

fn id_of(address: SocketAddr) -> u16 {
    match address {
        SocketAddr::V4(v4) => u16::from(v4.ip().octets()[3]) - 10,
        SocketAddr::V6(_) => panic!("captures are of IPv4"),
    }
}

fn address(host: u16) -> SocketAddr {
    SocketAddr::from(([10, 77, 0, 10 + u8::try_from(host).unwrap()], 5405))
}

fn config(node: u16, hosts: u16) -> Config {
    let link = LinkConfig {
        priority: 1,
        ping_interval: Duration::from_millis(750),
        ping_timeout: Duration::from_millis(1500),
        ping_precision: 2048,
        pong_count: 2,
    };
    let others = (1..=hosts).filter(|id| *id != node);
    Config {
        node,
        links: [(0, link)].into(),
        hosts: others.map(|id| (id, [(0, address(id))].into())).collect(),
        // No capture is that long: a search is due only when a link came up.
        mtu_interval: Duration::from_secs(300),
        ..Config::default()
    }
}

/// What was done to a host, from the description of the captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Start,
    PortDown,
    PortUp,
}

fn deeds(dir: &Path, capture: &str, node: u16) -> Vec<(Instant, Deed)> {
    let readme = std::fs::read_to_string(dir.join("README.md")).unwrap();
    let title = format!("{capture}.pcap");
    let section = readme.split("\n### ").find(|part| part.lines().next() == Some(&title)).unwrap();
    let name = format!("w{node}");
    let deed = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (time, what) = words.split_first()?;
        let deed = match what.get(1..)? {
            ["start", "corosync", "on", host] if *host == name => Deed::Start,
            ["bridge", "port", "of", host, "down"] if *host == name => Deed::PortDown,
            ["bridge", "port", "of", host, "up"] if *host == name => Deed::PortUp,
            _ => return None,
        };
        let (whole, fraction) = time.split_once('.')?;
        let ms = whole.parse::<u64>().ok()? * 1000 + fraction.parse::<u64>().ok()?;
        Some((Instant(ms * 1_000_000), deed))
    };
    section.lines().filter_map(deed).collect()
}

/// What the recorded host's log says.
#[derive(Default)]
struct Log {
    turns: Vec<Turn>,
    /// Hosts whose link was up at the start.
    up: BTreeSet<u16>,
    /// The host's system said that nobody listens there.
    refusals: Vec<(Instant, u16)>,
}

/// The log between two times; its lines have a time of day.
fn log(dir: &Path, capture: &str, node: u16, start: Instant, end: Instant) -> Log {
    const DAY_NS: u64 = 86_400_000_000_000;
    let (head, _) = capture.split_at(capture.rfind("n-0").unwrap() + 1);
    let loss = if capture.contains("-3n-06") || capture.contains("-3n-07") { "-loss" } else { "" };
    let file = std::fs::File::open(dir.join(format!("{head}{loss}.w{node}.corosync.log.gz"))).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut log = Log::default();
    for line in text.lines().filter(|line| line.contains(" [KNET  ] ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let clock: Vec<&str> = words[2].split([':', '.']).collect();
        let parts: Vec<u64> = clock.iter().map(|part| part.parse().unwrap()).collect();
        let of_day = ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1000 + parts[3];
        let time = Instant(start.0 - start.0 % DAY_NS + of_day * 1_000_000);
        if time > end {
            break;
        }
        if let Some((_, from)) = line.split_once("Received ICMP error from 10.77.0.1")
            && time >= start
        {
            log.refusals.push((time, from[..1].parse().unwrap()));
        }
        let Some(at) = words.iter().position(|word| *word == "host:") else { continue };
        let Ok(host) = words[at + 1].parse::<u16>() else { continue };
        let is_up = match words[words.len() - 2..] {
            ["is", "up"] => true,
            ["is", "down"] => false,
            _ => continue,
        };
        if time >= start {
            log.turns.push((time, host, is_up));
        } else if is_up {
            log.up.insert(host);
        } else {
            log.up.remove(&host);
        }
    }
    log
}

/// Our core with what surrounds it.
struct Place<'a> {
    knet: Knet,
    node: u16,
    now: Instant,
    start: Instant,
    end: Instant,
    has_beats: bool,
    /// Hosts that answer before the start.
    answering: BTreeSet<u16>,
    crypto: Option<&'a Crypto>,
    salts: u128,
    /// When each other host was heard.
    heard: BTreeMap<u16, Vec<Instant>>,
    newest_ping: BTreeMap<u16, Beat>,
    pings: Vec<(Instant, u16, Beat)>,
    /// Everything else that went out.
    sent: Vec<(u16, Vec<u8>)>,
    turns: Vec<Turn>,
}

impl Place<'_> {
    fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        self.salts += 1;
        self.crypto.map_or_else(|| plain.to_vec(), |crypto| crypto.seal(self.salts.to_be_bytes(), plain))
    }

    fn hand_in(&mut self, from: u16, plain: &[u8]) {
        let bytes = self.seal(plain);
        self.knet.handle_datagram(self.now, address(from), &bytes);
    }

    fn hears(&self, host: u16) -> bool {
        let heard = self.heard.get(&host).map(Vec::as_slice).unwrap_or_default();
        let is_near = |at: &Instant| *at >= self.now && at.since(self.now) < HEARD;
        // Where there are no heartbeats in a capture, they were left out of it.
        let is_near = |at: &Instant| !self.has_beats || is_near(at);
        let is_last = |at: &Instant| *at <= self.now && self.end.since(*at) < HEARD;
        (self.now < self.start && self.answering.contains(&host))
            || heard.iter().any(|at| is_near(at) || is_last(at))
    }

    fn pong(&mut self, host: u16) {
        if let Some(beat) = self.newest_ping.get(&host).copied() {
            let plain = wire::encode(Header { node: host, pads: [0, 0] }, &Packet::Pong(beat));
            self.hand_in(host, &plain);
        }
    }

    /// Carries everything out of the core, and what answers at once back in.
    fn drain(&mut self) {
        loop {
            while let Some(event) = self.knet.poll_event() {
                match event {
                    Event::LinkUp { host, .. } => self.turns.push((self.now, host, true)),
                    Event::LinkDown { host, .. } => self.turns.push((self.now, host, false)),
                    _ => {}
                }
            }
            while self.knet.poll_deliver().is_some() {}
            let Some(transmit) = self.knet.poll_transmit() else { return };
            let host = transmit.host;
            if transmit.bytes.len() + IP_AND_UDP_BYTES > INTERFACE_MTU {
                assert_eq!(transmit.content, Content::Probe, "only probes may be too large");
                let failure = SendFailure::TooBig(INTERFACE_MTU);
                self.knet.handle_send_failure(self.now, host, 0, Content::Probe, failure);
                continue;
            }
            let plain = match self.crypto {
                Some(crypto) => crypto.open(&transmit.bytes).unwrap(),
                None => transmit.bytes.to_vec(),
            };
            match wire::decode(&plain).unwrap() {
                (header, Packet::Ping(beat)) => {
                    assert_eq!(header.node, self.node);
                    self.newest_ping.insert(host, beat);
                    self.pings.push((self.now, host, beat));
                    if self.knet.is_reachable(host) && self.hears(host) {
                        self.pong(host);
                    }
                }
                (_, Packet::Probe { link, size, .. }) => {
                    let reply = Packet::ProbeReply { link, size };
                    let reply = wire::encode(Header { node: host, pads: [0, 0] }, &reply);
                    self.sent.push((host, plain));
                    self.hand_in(host, &reply);
                }
                _ => self.sent.push((host, plain)),
            }
        }
    }

    fn advance(&mut self, to: Instant) {
        while let Some(at) = self.knet.next_deadline().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            self.knet.handle_timeout(self.now);
            self.drain();
        }
        self.now = to;
    }

    /// As if it had run for long: it has sent messages up to this number, and its links to these hosts are up.
    fn settle(&mut self, up: &BTreeSet<u16>, until: Instant, seq: u16) {
        let half = self.now.after(SETTLED / 2);
        while self.now < until {
            let next = self.now.after(Duration::from_millis(10)).min(until);
            let is_half = self.now < half && next >= half;
            self.advance(next);
            for host in self.answering.clone() {
                if !self.knet.is_reachable(host) {
                    self.pong(host);
                }
            }
            self.drain();
            if is_half {
                for _ in 0..seq {
                    self.knet.send(self.now, Destination::Everybody, b"x").unwrap();
                    self.drain();
                }
                self.answering.clone_from(up);
            }
        }
        self.pings.clear();
        self.sent.clear();
        self.turns.clear();
    }
}

/// One life of a recorded host, from its start or the first packet that it sent to the last one.
struct Life {
    is_fresh: bool,
    packets: Vec<Recorded>,
}

fn lives(all: &[Recorded], node: u16, deeds: &[(Instant, Deed)]) -> Vec<Life> {
    let starts = deeds.iter().filter(|(_, deed)| *deed == Deed::Start).map(|(at, _)| *at);
    let mut starts = starts.peekable();
    let is_there = |at: Instant| {
        let last = deeds.iter().rfind(|(time, deed)| *deed != Deed::Start && *time <= at);
        last.is_none_or(|(_, deed)| *deed == Deed::PortUp)
    };
    let mut lives: Vec<Life> = Vec::new();
    let mut before: Vec<Recorded> = Vec::new();
    for packet in all.iter().filter(|packet| packet.from == node || packet.to == node) {
        let begins = lives.len();
        if starts.next_if(|start| packet.from == node && packet.at >= *start).is_some() {
            lives.push(Life { is_fresh: true, packets: Vec::new() });
        } else if packet.from == node && lives.is_empty() {
            lives.push(Life { is_fresh: false, packets: Vec::new() });
        }
        if let Some(life) = lives.last_mut().filter(|_| packet.from == node || is_there(packet.at)) {
            life.packets.push(packet.clone());
        }
        if lives.len() > begins {
            // What it answers first came before its first packet.
            before.retain(|earlier| packet.at.since(earlier.at) < ANSWERS_WITHIN);
            if let Some(life) = lives.last_mut() {
                life.packets.splice(0..0, before.drain(..));
            }
        } else if packet.to == node {
            before.push(packet.clone());
        }
    }
    for life in &mut lives {
        let last = life.packets.iter().rposition(|packet| packet.from == node).unwrap();
        life.packets.truncate(last + 1);
    }
    lives
}

/// Messages that a host sent, by number: at the time of the last fragment.
fn messages(life: &[Recorded], from: u16) -> Vec<(Instant, u16, Destination, Vec<u8>)> {
    let mut parts: BTreeMap<(u16, u16), BTreeMap<u8, Vec<u8>>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for packet in life.iter().filter(|packet| packet.from == from) {
        let Packet::Data(data) = packet.packet() else { continue };
        let fragments = parts.entry((packet.to, data.seq)).or_default();
        fragments.insert(data.fragment, data.payload.to_vec());
        if fragments.len() == usize::from(data.fragments) && seen.insert(data.seq) {
            let to = if data.broadcast == 1 { Destination::Everybody } else { Destination::Host(packet.to) };
            let bytes = fragments.values().flatten().copied().collect();
            found.push((packet.at, data.seq, to, bytes));
        }
    }
    found
}

/// Numbers that were given to messages which the capture does not have (the host was cut off), each with the time of
/// the last packet before it.
fn unseen(life: &[Recorded], from: u16) -> Vec<(Instant, u16)> {
    let mut newest: Option<(Instant, u16)> = None;
    let mut found = Vec::new();
    for packet in life.iter().filter(|packet| packet.from == from) {
        let (seq, named) = match packet.packet() {
            Packet::Data(data) => (data.seq, data.seq - 1),
            Packet::Ping(beat) => (beat.seq, beat.seq),
            _ => continue,
        };
        if let Some((at, old)) = newest {
            found.extend((old..named).map(|number| (at, number + 1)));
        }
        newest = Some((packet.at, newest.map_or(seq, |(_, old)| old.max(seq))));
    }
    found
}

/// Plays one life of one host.
fn replay(
    life: &Life,
    node: u16,
    hosts: u16,
    keys: Option<&Keys>,
    log: &Log,
    outcome: &mut Outcome,
) -> Vec<Turn> {
    let Life { is_fresh, packets } = life;
    let crypto = keys.map(|keys| Crypto::new(keys).unwrap());
    let (start, end) = (packets[0].at, packets[packets.len() - 1].at);
    let born = if *is_fresh { start } else { Instant(start.0 - u64::try_from(SETTLED.as_nanos()).unwrap()) };
    let mut place = Place {
        knet: Knet::new(config(node, hosts), keys, [7; 32], born).unwrap(),
        node,
        now: born,
        start,
        end,
        has_beats: packets.iter().any(|packet| matches!(packet.packet(), Packet::Ping(_))),
        answering: (1..=hosts).filter(|id| *id != node).collect(),
        crypto: crypto.as_ref(),
        salts: 0,
        heard: BTreeMap::new(),
        newest_ping: BTreeMap::new(),
        pings: Vec::new(),
        sent: Vec::new(),
        turns: Vec::new(),
    };
    for packet in packets.iter().filter(|packet| packet.to == node) {
        place.heard.entry(packet.from).or_default().push(packet.at);
    }
    let own = messages(packets, node);
    if !is_fresh {
        let first = own.first().map_or(0, |(_, seq, ..)| seq - 1);
        place.settle(&log.up, start, first);
    }
    let mut own = own.into_iter().peekable();
    let mut unseen = unseen(packets, node).into_iter().peekable();
    let mut refusals = log.refusals.iter().peekable();
    for packet in packets {
        while let Some((at, host)) = refusals.next_if(|(at, _)| *at <= packet.at) {
            place.advance((*at).max(place.now));
            place.knet.handle_send_failure(place.now, *host, 0, Content::Beat, SendFailure::Refused);
            place.drain();
        }
        place.advance(packet.at.max(place.now));
        if packet.to == node {
            match packet.packet() {
                Packet::Pong(_) if place.knet.is_reachable(packet.from) => {}
                Packet::Pong(_) => place.pong(packet.from),
                Packet::ProbeReply { .. } => {}
                _ => place.hand_in(packet.from, &packet.plain),
            }
        }
        while let Some((_, seq, to, bytes)) = own.next_if(|(at, ..)| *at <= packet.at) {
            if place.knet.send(place.now, to, &bytes).is_err() {
                // The link was still up there, and is no longer here: see `is_disputed`. The number is used up.
                let before = place.sent.len();
                if place.knet.send(place.now, Destination::Everybody, b"x").is_err() {
                    outcome.differences.push(format!("message {seq} cannot be sent"));
                }
                place.drain();
                place.sent.truncate(before);
            }
        }
        place.drain();
        while let Some((_, seq)) = unseen.next_if(|(at, _)| *at <= packet.at) {
            if place.knet.send(place.now, Destination::Everybody, b"x").is_err() {
                outcome.differences.push(format!("unseen message {seq} cannot be sent"));
            }
            let before = place.sent.len();
            place.drain();
            place.sent.truncate(before);
        }
    }
    let times = messages(packets, node).into_iter().map(|(at, seq, ..)| (seq, at)).collect();
    compare(packets, node, &place, &times, log, outcome);
    place.turns
}

fn kind(plain: &[u8]) -> &'static str {
    match wire::decode(plain).unwrap().1 {
        Packet::Data(_) => "data",
        Packet::Pong(_) => "pong",
        Packet::Probe { .. } => "probe",
        Packet::ProbeReply { .. } => "probe reply",
        Packet::Ping(_) => "ping",
    }
}

/// True if at some moment around `at` one of the two took the link to the host for up and the other one for down.
fn is_disputed(at: Instant, host: u16, log: &Log, ours: &[Turn]) -> bool {
    let is_up = |turns: &[Turn], time: Instant| {
        let last = turns.iter().rfind(|(turn, id, _)| *id == host && *turn <= time);
        last.map_or(log.up.contains(&host), |(_, _, is_up)| *is_up)
    };
    let from = at.0.saturating_sub(u64::try_from(LOG_LATE.as_nanos()).unwrap());
    let times = (0..=2 * LOG_LATE.as_millis())
        .step_by(4)
        .map(|ms| Instant(from + 1_000_000 * u64::try_from(ms).unwrap()));
    let mut times = times;
    times.any(|time| is_up(&log.turns, time) != is_up(ours, time))
}

/// The packets of one kind to one host, in order, each once.
fn of_kind<'a>(
    sent: impl Iterator<Item = (u16, &'a Vec<u8>)>,
    host: u16,
    wanted: &str,
) -> (Vec<&'a Vec<u8>>, usize) {
    let all: Vec<&Vec<u8>> =
        sent.filter(|(to, plain)| *to == host && kind(plain) == wanted).map(|(_, plain)| plain).collect();
    let mut seen = BTreeSet::new();
    let count = all.len();
    let once: Vec<&Vec<u8>> = all.into_iter().filter(|plain| seen.insert(*plain)).collect();
    let copies = count - once.len();
    (once, copies)
}

fn data_seq(plain: &[u8]) -> Option<u16> {
    match wire::decode(plain).unwrap().1 {
        Packet::Data(data) => Some(data.seq),
        _ => None,
    }
}

/// Messages that were cut to the least that fits any path.
fn cut_messages(real: &[&Vec<u8>]) -> BTreeSet<u16> {
    let is_cut = |plain: &&&Vec<u8>| match wire::decode(plain).unwrap().1 {
        Packet::Data(data) => data.fragments > 1 && LEAST_BYTES.contains(&plain.len()),
        _ => false,
    };
    real.iter().filter(is_cut).filter_map(|plain| data_seq(plain)).collect()
}

fn compare(
    life: &[Recorded],
    node: u16,
    place: &Place<'_>,
    times: &BTreeMap<u16, Instant>,
    log: &Log,
    outcome: &mut Outcome,
) {
    let recorded: Vec<&Recorded> = life.iter().filter(|packet| packet.from == node).collect();
    let others: BTreeSet<u16> = recorded.iter().map(|packet| packet.to).collect();
    for host in others {
        for wanted in ["data", "pong", "probe", "probe reply"] {
            let (real, _) = of_kind(recorded.iter().map(|packet| (packet.to, &packet.plain)), host, wanted);
            let (ours, copies) = of_kind(place.sent.iter().map(|(to, plain)| (*to, plain)), host, wanted);
            outcome.copies += copies;
            if wanted == "probe" {
                outcome.compare_probes(host, &real, &ours, log, place);
                continue;
            }
            let cut = cut_messages(&real);
            let disputed =
                |seq: u16| times.get(&seq).is_some_and(|at| is_disputed(*at, host, log, &place.turns));
            let counts =
                |plain: &&Vec<u8>| data_seq(plain).is_none_or(|seq| !cut.contains(&seq) && !disputed(seq));
            outcome.cut += cut.len();
            let all = real.len();
            let real: Vec<_> = real.into_iter().filter(counts).collect();
            let ours: Vec<_> = ours.into_iter().filter(counts).collect();
            match wanted {
                "data" => {
                    outcome.data += real.len();
                    outcome.disputed += all - real.len();
                }
                _ => outcome.answers += real.len(),
            }
            if real != ours {
                let at = real.iter().zip(&ours).position(|(a, b)| a != b);
                let (count, own) = (real.len(), ours.len());
                outcome
                    .differences
                    .push(format!("{wanted} to {host}: {count} recorded, {own} ours, first at {at:?}"));
            }
        }
        outcome.compare_pings(host, &recorded, place, times);
    }
}

impl Outcome {
    fn compare_probes(
        &mut self,
        host: u16,
        real: &[&Vec<u8>],
        ours: &[&Vec<u8>],
        log: &Log,
        place: &Place<'_>,
    ) {
        self.probes += ours.len();
        let came_up = |turns: &[Turn]| turns.iter().any(|(_, id, is_up)| *id == host && *is_up);
        let is_due = came_up(&log.turns) && came_up(&place.turns);
        if ours.iter().any(|plain| !real.contains(plain)) || (ours.is_empty() && is_due) {
            let (count, own) = (real.len(), ours.len());
            self.differences.push(format!("probes to {host}: {count} recorded, {own} ours"));
        }
    }

    /// Each recorded ping and our newest one before it, unless a message was sent in between.
    fn compare_pings(
        &mut self,
        host: u16,
        recorded: &[&Recorded],
        place: &Place<'_>,
        times: &BTreeMap<u16, Instant>,
    ) {
        let sent_until = |time: Instant| times.values().filter(|at| **at <= time).count();
        for packet in recorded.iter().filter(|packet| packet.to == host) {
            let Packet::Ping(real) = packet.packet() else { continue };
            let before = place.pings.iter().rfind(|(at, id, _)| *id == host && *at <= packet.at);
            let Some((at, _, own)) = before else { continue };
            if sent_until(*at) != sent_until(packet.at) {
                continue;
            }
            self.pings += 1;
            if (own.link, own.seq, own.timed) != (real.link, real.seq, real.timed) {
                self.differences.push(format!("ping to {host}: {real:?}, ours {own:?}"));
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.data += other.data;
        self.answers += other.answers;
        self.pings += other.pings;
        self.probes += other.probes;
        self.turns += other.turns;
        self.disputed += other.disputed;
        self.cut += other.cut;
        self.copies += other.copies;
    }

    /// The same links go up and down in the same order at about the same time. What is due at the very end of a life
    /// may be missing.
    fn compare_turns(&mut self, real: &[Turn], ours: &[Turn], end: Instant) {
        self.turns += real.len();
        let hosts: BTreeSet<u16> = real.iter().chain(ours).map(|(_, host, _)| *host).collect();
        for host in hosts {
            let of_host = |turns: &[Turn]| -> Vec<(Instant, bool)> {
                turns.iter().filter(|(_, id, _)| *id == host).map(|(at, _, is_up)| (*at, *is_up)).collect()
            };
            let (real, ours) = (of_host(real), of_host(ours));
            let is_same = |(a, b): (&(Instant, bool), &(Instant, bool))| {
                a.1 == b.1 && a.0.since(b.0).max(b.0.since(a.0)) <= TURN_WITHIN
            };
            let rest = &real[ours.len().min(real.len())..];
            let rest_is_due_later = rest.iter().all(|(at, _)| end.since(*at) < TURN_WITHIN);
            if ours.len() > real.len() || !real.iter().zip(&ours).all(is_same) || !rest_is_due_later {
                self.differences.push(format!("link to {host}: recorded {real:?}, ours {ours:?}"));
            }
        }
    }
}

/// Plays all captures whose name starts so; at least so many data packets and answers must have been compared.
fn play(start: &str, is_sealed: bool, least: (usize, usize)) {
    let Some(dir) = captures() else { return };
    let keys = is_sealed.then(|| keys(&dir));
    let crypto = keys.as_ref().map(|keys| Crypto::new(keys).unwrap());
    let mut differences = Vec::new();
    let mut total = Outcome::default();
    for file in files(&dir, start) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let hosts = if name.contains("-3n") { 3 } else { 2 };
        let open =
            |bytes: Vec<u8>| crypto.as_ref().map_or(bytes.clone(), |crypto| crypto.open(&bytes).unwrap());
        let all: Vec<Recorded> = datagrams(&std::fs::read(&file).unwrap())
            .into_iter()
            .map(|d| Recorded { at: d.at, from: id_of(d.from), to: id_of(d.to), plain: open(d.bytes) })
            .collect();
        for node in 1..=hosts {
            for life in lives(&all, node, &deeds(&dir, &name, node)) {
                let mut outcome = Outcome::default();
                let (from, to) = (life.packets[0].at, life.packets[life.packets.len() - 1].at);
                let log = log(&dir, &name, node, from, to);
                let turns = replay(&life, node, hosts, keys.as_ref(), &log, &mut outcome);
                outcome.compare_turns(&log.turns, &turns, to);
                println!("{name} w{node}: {outcome:?}");
                total.add(&outcome);
                differences
                    .extend(outcome.differences.into_iter().map(|text| format!("{name} w{node}: {text}")));
            }
        }
    }
    println!("{total:?}");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(total.data >= least.0 && total.answers >= least.1, "too little was compared: {total:?}");
    assert!(total.pings > 50 && total.turns > 20 && total.probes > 5, "too little was compared: {total:?}");
    assert!(
        total.disputed > 0 && total.cut > 0 && total.copies > 0,
        "an exception is no longer needed: {total:?}"
    );
    assert!((total.disputed + total.cut) * 12 <= total.data, "too much is left out: {total:?}");
}

#[test]
fn plain() {
    play("knet-plain", false, (4500, 250));
}

#[test]
fn encrypted() {
    play("knet-aes256", true, (3800, 220));
}
