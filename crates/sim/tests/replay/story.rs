//! One node's part of a capture: what reached it, what it sent, in the order of the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use totem::wire::{self, CommitToken, Packet};
use totem::{Instant, RingId};

use crate::capture::{Capture, Datagram, Deed};
use crate::packet::{Sent, sent_by};

/// What happened at the node.
#[derive(Clone)]
pub enum Event {
    /// A packet. Those that were due for the node from itself, timers and own copies, may have had to wait for it.
    Received {
        datagram: Datagram,
        before_timers: bool,
    },
    Sent(Sent),
}

impl Event {
    pub fn at(&self) -> Instant {
        match self {
            Self::Received { datagram, .. } => datagram.at,
            Self::Sent(sent) => sent.at,
        }
    }
}

/// One life of the node in a capture.
pub struct Story {
    pub node: u32,
    /// False: it ran already when the capture began.
    pub starts: bool,
    pub events: Vec<Event>,
    /// Over knet: when its link to each other node was up for certain.
    links: Option<BTreeMap<u32, Vec<(Instant, Instant)>>>,
    /// Nothing that it sends is seen, nothing reaches it.
    pub cut: Option<(Instant, Instant)>,
    /// What it sent in a ring of one before this time is not seen.
    pub alone_until: Option<Instant>,
    /// Something was cut out of the capture before the packet of this time.
    pub gap_before: Option<Instant>,
    /// The node's filter dropped what came: nothing of the gap reached it.
    pub drops: bool,
}

impl Story {
    /// The node sent this.
    pub fn is_sent(&self, index: usize) -> bool {
        matches!(self.events.get(index), Some(Event::Sent(_)))
    }

    /// True if what the node sent is on the wire for certain. Over knet a node whose links are down sends nothing, and
    /// when it notices is its own matter.
    pub fn is_seen(&self, sent: &Sent) -> bool {
        let Some(links) = &self.links else { return true };
        let to_it = links.iter().filter(|(peer, _)| sent.to.is_none_or(|to| to == **peer));
        to_it.flat_map(|(_, up)| up).any(|(from, to)| sent.at >= *from && sent.at <= *to)
    }

    /// The ring of one that the node was in until then.
    pub fn unseen_ring(&self) -> Option<RingId> {
        let end = self.alone_until?;
        self.events.iter().filter(|event| event.at() > end).find_map(|event| match event {
            Event::Sent(Sent { packet: Packet::Join(join), .. }) => {
                Some(RingId { rep: self.node, seq: join.ring_seq })
            }
            _ => None,
        })
    }

    /// Messages that the node sent in that ring: its part of the next commit token tells.
    pub fn sent_unseen(&self, ring: RingId) -> u32 {
        let entry = |token: &CommitToken| {
            let mine = token.members.iter().find(|(id, entry)| *id == self.node && entry.ring == ring)?;
            Some(mine.1.aru)
        };
        let mut tokens = self.events.iter().filter_map(|event| match event {
            Event::Sent(Sent { packet: Packet::CommitToken(token), .. }) => entry(token),
            _ => None,
        });
        tokens.next().unwrap_or(0)
    }

    /// The last `count` packets that were received before event `place`, latest first.
    fn last_received(&self, place: usize, count: usize, window: Duration) -> Option<Vec<usize>> {
        let at = self.events.get(place)?.at();
        let last: Vec<usize> = (0..place)
            .rev()
            .take_while(|index| at.since(self.events[*index].at()) <= window)
            .filter(|index| !self.is_sent(*index))
            .take(count)
            .collect();
        (last.len() == count).then_some(last)
    }

    /// The events with the last `count` packets that were received before event `place` moved behind it; None if there
    /// are not so many within `window`.
    pub fn reading_late(&self, place: usize, count: usize, window: Duration) -> Option<Vec<Event>> {
        let late = self.last_received(place, count, window)?;
        let kept = (0..=place).filter(|index| !late.contains(index));
        let order = kept.chain(late.iter().rev().copied()).chain(place + 1..self.events.len());
        Some(order.map(|index| self.events[index].clone()).collect())
    }

    /// The events with the packet that was the `count`th last one before event `place` read before what was due then.
    pub fn reading_first(&self, place: usize, count: usize, window: Duration) -> Option<Vec<Event>> {
        let last = self.last_received(place, count, window)?;
        let mut events = self.events.clone();
        for index in last {
            if let Event::Received { before_timers, .. } = &mut events[index] {
                *before_timers = true;
            }
        }
        Some(events)
    }
}

/// A silence that only scissors explain in a capture that is said to be trimmed.
const TRIMMED_FROM: Duration = Duration::from_millis(150);
/// A node that starts binds its sockets so long before it sends; what arrives meanwhile waits there.
const BOUND_BEFORE_NS: u64 = 20_000_000;

/// The part of `node`; None if it does not run.
pub fn story(capture: &Capture, node: u32) -> Option<Story> {
    let when = |deed: Deed| capture.deeds.iter().find(|(_, done)| *done == deed).map(|(at, _)| *at);
    let away = capture.deeds.iter().find_map(|(_, deed)| match deed {
        Deed::PortDown(away) => Some(*away),
        _ => None,
    });
    let sent = sent_by(node, &capture.datagrams, away);
    let first = sent.first()?.at;
    let socket_open = Instant(first.0 - BOUND_BEFORE_NS);
    // Over knet the first packets are those of a ring of one that has found others.
    let starts = capture.pongs.is_none() && when(Deed::Start(node)).is_some();
    let links = capture.pongs.is_some().then(|| {
        let peers = (1..=capture.nodes).filter(|peer| *peer != node);
        peers.map(|peer| (peer, link_up(node, peer, capture))).collect::<BTreeMap<_, _>>()
    });
    // What a host sends before it goes is heard; its last words come after the signal.
    let is_heard = |datagram: &Datagram| match &links {
        Some(links) => {
            let up = &links[&datagram.from];
            up.iter().any(|(from, to)| datagram.at >= *from && (datagram.at <= *to || up.len() == 1))
        }
        None => true,
    };
    let cut = when(Deed::PortDown(node)).map(|from| (from, when(Deed::PortUp(node)).unwrap()));
    let end = when(Deed::Kill(node));
    let lost = losses(capture, node, &sent);
    let dropping =
        capture.deeds.iter().find(|(_, deed)| matches!(deed, Deed::DropsAll(_))).map(|(at, _)| *at);
    let mut pairs = capture.datagrams.windows(2);
    let silence =
        pairs.find(|pair| Some(pair[0].at) > dropping && pair[1].at.since(pair[0].at) > TRIMMED_FROM);
    let gap_before = silence.filter(|_| capture.is_trimmed).map(|pair| pair[1].at);
    // A sender's part ends with the gap: what the programs gave it meanwhile is not known.
    let sent: Vec<Sent> =
        sent.into_iter().filter(|sent| gap_before.is_none_or(|gap| end.is_none() || sent.at < gap)).collect();
    let alone = starts.then(|| forming_alone(node, &sent)).flatten();
    let received = capture.datagrams.iter().enumerate().filter(|(index, datagram)| {
        datagram.from != node
            && datagram.to.is_none_or(|to| to == node)
            && (!starts || datagram.at >= socket_open)
            && end.is_none_or(|end| datagram.at < end)
            && cut.is_none_or(|(from, to)| datagram.at < from || datagram.at > to)
            && !lost.contains(index)
            && is_heard(datagram)
            && gap_before.is_none_or(|gap| end.is_none() || datagram.at < gap)
            && !(alone.is_some_and(|(from, to)| datagram.at >= from && datagram.at <= to)
                && is_join(datagram))
    });
    let received =
        received.map(|(_, datagram)| Event::Received { datagram: datagram.clone(), before_timers: false });
    let mut events: Vec<Event> = received.chain(sent.into_iter().map(Event::Sent)).collect();
    events.sort_by_key(Event::at);
    let drops = when(Deed::DropsAll(node)).is_some();
    let alone_until = match (&links, cut) {
        (_, Some((_, end))) => Some(end),
        (Some(links), None) if away.is_some() && links.len() == 1 => {
            links.values().flatten().nth(1).map(|(from, _)| *from)
        }
        _ => None,
    };
    Some(Story { node, starts, events, links, cut, alone_until, gap_before, drops })
}

/// Pongs that bring a link up.
const PONGS_TO_BE_UP: usize = 3;

/// When the link of `node` to `peer` is up for certain: while both are there, after a start or a cut from the pong that
/// brings it up. Before, knet hands nothing up that comes from the peer and sends nothing to it.
fn link_up(node: u32, peer: u32, capture: &Capture) -> Vec<(Instant, Instant)> {
    let pongs = capture.pongs.iter().flatten().filter(|pong| pong.to == node && pong.from == peer);
    let up_after =
        |at: Instant| pongs.clone().filter(|pong| pong.at >= at).nth(PONGS_TO_BE_UP - 1).map(|pong| pong.at);
    let mut up = Some(Instant(0));
    let mut intervals = Vec::new();
    for (at, deed) in &capture.deeds {
        match deed {
            Deed::Start(host) | Deed::PortUp(host) if [node, peer].contains(host) => up = up_after(*at),
            Deed::Kill(host) | Deed::Leave(host) | Deed::PortDown(host) if [node, peer].contains(host) => {
                intervals.extend(up.take().map(|up| (up, *at)));
            }
            _ => {}
        }
    }
    intervals.extend(up.map(|up| (up, Instant(u64::MAX))));
    intervals
}

/// While a node forms a ring of itself, between its first join and the first message in that ring, it ignores joins: it
/// is in COMMIT and RECOVERY, which takes it ms because it stores the ring's number. Ours passes through in no time.
fn forming_alone(node: u32, sent: &[Sent]) -> Option<(Instant, Instant)> {
    let [first, second, ..] = sent else { return None };
    match (&first.packet, &second.packet) {
        (Packet::Join(_), Packet::Mcast(mcast)) if mcast.ring.rep == node => Some((first.at, second.at)),
        _ => None,
    }
}

fn is_join(datagram: &Datagram) -> bool {
    matches!(wire::decode(&datagram.bytes), Ok((_, Packet::Join(_))))
}

/// Datagrams that the node's packet filter dropped after the capture point: all long ones while it dropped all;
/// while it dropped some, those messages that a later token of the node still asks for.
fn losses(capture: &Capture, node: u32, sent: &[Sent]) -> BTreeSet<usize> {
    let when = |deed: Deed| capture.deeds.iter().find(|(_, done)| *done == deed).map(|(at, _)| *at);
    let Some(end) = when(Deed::DropsNoMore) else { return BTreeSet::new() };
    let (some, all) = (when(Deed::DropsSome(node)), when(Deed::DropsAll(node)));
    let Some(start) = some.or(all) else { return BTreeSet::new() };
    let asked_after = |at: Instant, what: (RingId, u32)| {
        sent.iter().any(|sent| match &sent.packet {
            Packet::OrfToken(token) => sent.at > at && token.rtr.contains(&what),
            _ => false,
        })
    };
    let is_lost = |datagram: &Datagram| {
        let in_time = datagram.at >= start && datagram.at <= end;
        if !in_time || !datagram.is_long() || datagram.to.is_some_and(|to| to != node) {
            return false;
        }
        match wire::decode(&datagram.bytes) {
            Ok((_, Packet::Mcast(mcast))) if some.is_some() => {
                asked_after(datagram.at, (mcast.ring, mcast.seq))
            }
            _ => all.is_some(),
        }
    };
    let datagrams = capture.datagrams.iter().enumerate();
    datagrams.filter(|(_, datagram)| is_lost(datagram)).map(|(index, _)| index).collect()
}
