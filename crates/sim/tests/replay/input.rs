//! What the programs above the ring handed to it, found out from the messages that the node sent.
//!
//! A message must have been in the queue when the token came that let it go. Three things tell more: the backlog in
//! the token (how many packets waited at that visit), a cancelled hold (the moment at which the first message came),
//! and a packet that went off partly filled (a visit of the token closed it before the next message came).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use totem::RingId;
use totem::wire::{self, Packet};

use crate::packet::Sent;
use crate::story::Event;

/// A message as the programs above handed it in.
pub struct Message {
    /// Number of the packet that it starts in.
    first_packet: usize,
    pub group: Vec<u8>,
    pub payload: Vec<u8>,
    /// Bytes before the part that a program's own data fills, handed in apart from it.
    pub lead: usize,
}

/// Executive header and name of the group before the data of a CPG message: `cpg.mcast` is function 3 of service 2.
const CPG_MCAST: u32 = (2 << 16) | 3;
const CPG_MCAST_LEAD_BYTES: usize = 184;
/// A packet with less room than this was full.
const FULL_WITHIN_BYTES: usize = 8;

/// Messages and the events before which they are handed in.
#[derive(Default)]
pub struct Inputs {
    messages: Vec<Message>,
    at: Vec<usize>,
    next: usize,
}

impl Inputs {
    /// Messages to hand in before event number `index` is handled.
    pub fn due(&mut self, index: usize) -> &[Message] {
        let from = self.next;
        while self.at.get(self.next).is_some_and(|at| *at <= index) {
            self.next += 1;
        }
        &self.messages[from..self.next]
    }
}

/// Reads them out of what `node` sent; `body_max` is the size of a full packet's body.
pub fn inputs(node: u32, events: &[Event], body_max: usize) -> Inputs {
    let mut assembly = Assembly::default();
    let mut seen: BTreeSet<(RingId, u32)> = BTreeSet::new();
    let mut visits = Visits::default();
    let mut messages = Vec::new();
    // By packet: the event before which it was complete, and whether a visit of the token closed it.
    let mut complete: Vec<usize> = Vec::new();
    let mut closed: Vec<bool> = Vec::new();
    let mut sent_at: Vec<usize> = Vec::new();
    let mut cancelled = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Received { datagram, .. } => visits.received(index, &datagram.bytes, complete.len()),
            Event::Sent(sent) => match &sent.packet {
                Packet::Mcast(mcast)
                    if mcast.system_from == node
                        && sent.header.encapsulated == wire::NOT_ENCAPSULATED
                        && seen.insert((mcast.ring, mcast.seq)) =>
                {
                    let (whole, is_closed) = assembly.add(sent, body_max);
                    messages.extend(whole);
                    closed.push(is_closed);
                    complete.push(index);
                    sent_at.push(index);
                }
                Packet::HoldCancel(_) => cancelled.push(index),
                Packet::OrfToken(token) => visits.passed_on(token, complete.len()),
                _ => {}
            },
        }
    }
    for (index, packets) in &visits.waiting {
        for at in complete.iter_mut().take(*packets) {
            *at = (*at).min(*index);
        }
    }
    // What a visit closed was there one visit before what follows.
    for packet in (0..complete.len().saturating_sub(1)).rev() {
        let next = complete[packet + 1];
        let is_together = complete[packet] >= next && visits.arrivals.contains(&next);
        complete[packet] = complete[packet].min(next);
        let before = visits.arrivals.range(..next).next_back().copied();
        let is_known =
            |at: &usize| visits.waiting.iter().any(|(index, packets)| index == at && *packets <= packet);
        if let (true, Some(before)) = (closed[packet] && is_together, before.filter(|at| !is_known(at))) {
            complete[packet] = before;
        }
    }
    let mut at: Vec<usize> =
        messages.iter().map(|message: &Message| complete[message.first_packet]).collect();
    for index in cancelled {
        if let Some(next) = messages.iter().position(|message| sent_at[message.first_packet] > index) {
            at[next] = at[next].min(index);
        }
    }
    Inputs { messages, at, next: 0 }
}

/// Visits of the token and what their backlog tells.
#[derive(Default)]
struct Visits {
    /// By ring and number of the token: event, backlog on arrival, packets sent until then.
    arrived: BTreeMap<(RingId, u32), (usize, u32, usize)>,
    /// Events at which a token came.
    arrivals: BTreeSet<usize>,
    passed: BTreeSet<(RingId, u32)>,
    ring: RingId,
    backlog_before: u32,
    /// The ring's messages flow: before, the backlog is that of RECOVERY.
    flowing: bool,
    /// Before this event so many packets were complete.
    waiting: Vec<(usize, usize)>,
}

impl Visits {
    fn received(&mut self, index: usize, bytes: &[u8], packets: usize) {
        if let Ok((_, Packet::OrfToken(token))) = wire::decode(bytes) {
            let key = (token.ring, token.token_seq);
            // A second copy finds nothing to do.
            if let Entry::Vacant(place) = self.arrived.entry(key) {
                place.insert((index, token.backlog, packets));
                self.arrivals.insert(index);
            }
        }
    }

    fn passed_on(&mut self, token: &wire::OrfToken, packets_now: usize) {
        if !self.passed.insert((token.ring, token.token_seq)) {
            return;
        }
        if token.ring != self.ring {
            self.ring = token.ring;
            self.backlog_before = 0;
            self.flowing = false;
        }
        let key = (token.ring, token.token_seq.wrapping_sub(1));
        let Some((index, backlog, packets)) = self.arrived.get(&key).copied() else { return };
        let waiting = token.backlog.wrapping_sub(backlog).wrapping_add(self.backlog_before);
        self.backlog_before = waiting;
        self.flowing |= packets_now > packets;
        if self.flowing {
            self.waiting.push((index, packets + waiting as usize));
        }
    }
}

/// Puts the node's own messages together.
#[derive(Default)]
struct Assembly {
    packets: usize,
    partial: Vec<u8>,
    began: usize,
}

impl Assembly {
    /// The messages that end in the packet, and whether it was closed before it was full.
    fn add(&mut self, sent: &Sent, body_max: usize) -> (Vec<Message>, bool) {
        let packet = totem::split(sent.body(), sent.header.order).unwrap();
        let number = self.packets;
        self.packets += 1;
        if packet.continuation == 0 {
            self.partial.clear();
            self.began = number;
        }
        let is_end_of_large = packet.continuation != 0 && packet.pieces.len() == 1;
        let is_full = sent.body().len() + FULL_WITHIN_BYTES >= body_max;
        let is_closed = packet.fragmented == 0 && !is_end_of_large && !is_full;
        let last = packet.pieces.len().saturating_sub(1);
        let mut messages = Vec::new();
        for (position, piece) in packet.pieces.iter().enumerate() {
            if position > 0 {
                self.began = number;
            }
            self.partial.extend_from_slice(piece);
            if position == last && packet.fragmented != 0 {
                break;
            }
            let whole = std::mem::take(&mut self.partial);
            let (groups, payload) = totem::split_groups(&whole, sent.header.order).unwrap();
            let is_cpg = groups[0] == b"a" && payload.starts_with(&CPG_MCAST.to_le_bytes());
            messages.push(Message {
                first_packet: self.began,
                group: groups[0].to_vec(),
                payload: payload.to_vec(),
                lead: if is_cpg { CPG_MCAST_LEAD_BYTES } else { 0 },
            });
            self.began = number + 1;
        }
        (messages, is_closed)
    }
}
