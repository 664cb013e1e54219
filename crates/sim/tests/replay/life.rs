//! Our core in the place of a recorded node.

use std::collections::VecDeque;
use std::time::Duration;

use totem::wire::{self, Packet};
use totem::{Config, Event as RingEvent, Instant, State, Timing, TimingSettings, Totem};

use crate::boot;
use crate::input::{self, Inputs};
use crate::packet::Sent;
use crate::standing;
use crate::story::{Event, Story};

/// A recorded timer may have fired so much earlier than ours: its clock has a resolution of one ms.
const EARLY: Duration = Duration::from_millis(5);
/// The recorded process may have been so slow.
const LATE: Duration = Duration::from_millis(350);

/// Visits of the token that stand for those that were cut out of a capture: more than the misses that make a node ask
/// for a message.
const GAP_VISITS: u32 = 8;
/// Nodes in the ring of the captures with a gap.
const GAP_TOKEN_STEP: u32 = 3;

/// Changes what the core sends, to show that the comparison notices.
pub type Mutation = fn(&mut Packet);

/// How a replay went.
#[derive(Default)]
pub struct Outcome {
    pub compared: usize,
    /// Received packets that the recorded process must have read later than they were on the wire.
    pub read_late: usize,
    /// Joins that we repeated more often.
    pub more_repeats: usize,
    pub difference: Option<String>,
    /// What the reference sends without need.
    pub needless: usize,
    /// Event at which the difference was noticed.
    at: usize,
}

struct Life<'a> {
    core: Totem,
    now: Instant,
    waiting: VecDeque<Sent>,
    inputs: Inputs,
    story: &'a Story,
    mutation: Option<Mutation>,
    mtu: usize,
    retransmit_ns: u64,
    last_token: Option<Sent>,
    /// Tokens that have come since somebody cancelled the hold: the last one may have been on its way.
    tokens_since_cancel: Option<u32>,
    /// Messages went off since the last token came.
    sent_at_visit: bool,
    /// Each different join that was compared.
    joins: Vec<Sent>,
    /// The first token that a node lets go which was running before: its number is not known from the capture.
    number_known: bool,
    outcome: Outcome,
}

/// Plays one life. The capture shows when a packet was on the wire; the process may have read it later, after it had
/// sent something that does not depend on it. Where the capture cannot be explained otherwise, packets that arrived
/// within [`READ_WITHIN`] before what was sent are read after it, in their order.
pub fn replay(story: &mut Story, nodes: u32, mtu: usize, mutation: Option<Mutation>) -> Outcome {
    let mut best = play(story, nodes, mtu, mutation);
    while best.difference.is_some() {
        let Some((outcome, moved)) = explain(story, nodes, mtu, mutation, best.at) else { break };
        let read_late = best.read_late + moved;
        best = Outcome { read_late, ..outcome };
    }
    best
}

/// Most packets that are thought to have been read late at one place.
const LATE_PACKETS_MAX: usize = 24;
/// The recorded process may have been busy for so long, with its ring file for instance.
const READ_WITHIN: Duration = Duration::from_millis(300);
/// Packets sent later than the difference after which the late ones may come.
const LATER_MAX: usize = 4;

/// Reads packets that came before event `at` after it, or before what was due in the node itself then, if that leads
/// further.
fn explain(
    story: &mut Story,
    nodes: u32,
    mtu: usize,
    mutation: Option<Mutation>,
    at: usize,
) -> Option<(Outcome, usize)> {
    let sent = (at..story.events.len()).filter(|index| story.is_sent(*index)).take(LATER_MAX);
    let places: Vec<usize> = std::iter::once(at).chain(sent).collect();
    for count in 1..=LATE_PACKETS_MAX {
        for place in &places {
            let orders = [
                story.reading_late(*place, count, READ_WITHIN),
                story.reading_first(*place, count, READ_WITHIN),
            ];
            for order in orders.into_iter().flatten() {
                let before = std::mem::replace(&mut story.events, order);
                let outcome = play(story, nodes, mtu, mutation);
                if outcome.difference.is_none() || outcome.at > *place {
                    return Some((outcome, count));
                }
                story.events = before;
            }
        }
    }
    None
}

fn play(story: &Story, nodes: u32, mtu: usize, mutation: Option<Mutation>) -> Outcome {
    let settings = TimingSettings { token_ms: Some(3000), ..TimingSettings::default() };
    let timing = Timing::derive(&settings, nodes as usize).unwrap();
    let mut config = Config::new(story.node, timing);
    config.net_mtu = mtu;
    config.announce = false;
    config.share_packets = false;
    config.widen_window = false;
    let inputs = input::inputs(story.node, &story.events, config.net_mtu - 2 * wire::MCAST_HEADER_LEN);
    let retransmit_ns = u64::try_from(config.timing.token_retransmit.as_nanos()).unwrap();
    let first_sent = story.events.iter().find(|event| matches!(event, Event::Sent(_))).unwrap().at();
    let core = if story.starts {
        let stored = story.events.iter().find_map(|event| match event {
            Event::Sent(Sent { packet: Packet::Join(join), .. }) => Some(join.ring_seq - 1),
            _ => None,
        });
        Totem::new(config, stored.unwrap(), first_sent)
    } else {
        let Some(standing) = standing::standing(story, &config.timing) else {
            return Outcome::default();
        };
        boot::running(&config, &standing)
    };
    let now = if story.starts { first_sent } else { Instant(0) };
    let number_known = story.starts;
    let outcome = Outcome::default();
    let mut life = Life {
        core,
        now,
        waiting: VecDeque::new(),
        inputs,
        story,
        mutation,
        mtu,
        retransmit_ns,
        last_token: None,
        tokens_since_cancel: None,
        sent_at_visit: false,
        joins: Vec::new(),
        number_known,
        outcome,
    };
    life.run();
    life.outcome
}

impl Life<'_> {
    fn run(&mut self) {
        let story = self.story;
        if !story.starts {
            // What it sent shortly before may have been late and then is seen.
            let begin = story.events[0].at();
            self.advance(Instant(begin.0 - 1));
            self.waiting.retain(|own| begin.since(own.at) < LATE);
        }
        let mut running = !story.starts;
        for (index, event) in story.events.iter().enumerate() {
            if story.gap_before.is_some_and(|at| self.now < at && event.at() >= at) {
                self.skip_gap(index);
            }
            if story.alone_until.is_some_and(|end| self.now < end && event.at() > end) {
                self.advance(event.at());
                self.make_up();
            }
            let result = match event {
                Event::Received { .. } if !running => Ok(()),
                Event::Received { datagram, before_timers } => {
                    if !before_timers {
                        self.advance(datagram.at);
                    }
                    self.hand_in(index);
                    self.core.handle_packet(self.now, &datagram.bytes.clone().into());
                    self.note_received(&datagram.bytes);
                    self.drain();
                    self.nothing_overdue(datagram.at)
                }
                Event::Sent(sent) => {
                    running = true;
                    self.expect(index, sent)
                }
            };
            if let Err(difference) = result {
                self.outcome.difference = Some(difference);
                self.outcome.at = index;
                return;
            }
            if matches!(event, Event::Sent(sent) if sent.is_leave()) {
                return;
            }
        }
    }

    /// What a node sent alone while it was cut off is not seen, only how much it was.
    fn make_up(&mut self) {
        for _ in 0..self.story.sent_unseen(self.core.ring()) {
            boot::fill_packet(&mut self.core, self.now, self.mtu);
        }
        self.drain();
        self.advance(self.now);
        self.waiting.clear();
    }

    fn note_received(&mut self, bytes: &[u8]) {
        if matches!(wire::decode(bytes), Ok((_, Packet::HoldCancel(_)))) {
            self.tokens_since_cancel = Some(0);
        }
        if wire::is_token(bytes) {
            self.number_known = true;
            self.sent_at_visit = false;
            self.tokens_since_cancel = self.tokens_since_cancel.filter(|tokens| *tokens == 0).map(|_| 1);
        }
    }

    /// The node is given what was cut out of the capture: the ring's messages that are seen later, and some visits of
    /// the token that came next. What it sends meanwhile was cut out too.
    fn skip_gap(&mut self, index: usize) {
        let later = &self.story.events[index..];
        let packets = later.iter().map(|event| match event {
            Event::Received { datagram, .. } => datagram.bytes.as_slice(),
            Event::Sent(sent) => sent.bytes.as_slice(),
        });
        let ring = self.core.ring();
        let inner = |bytes: &'_ [u8]| match wire::decode(bytes) {
            Ok((header, Packet::Mcast(_))) if header.encapsulated == wire::ENCAPSULATED => {
                Some(bytes[wire::MCAST_HEADER_LEN..].to_vec())
            }
            _ => None,
        };
        let is_of_ring =
            |bytes: &Vec<u8>| matches!(wire::decode(bytes), Ok((_, Packet::Mcast(m))) if m.ring == ring);
        let missed: Vec<Vec<u8>> = packets.filter_map(inner).filter(is_of_ring).collect();
        if !self.story.drops {
            for bytes in &missed {
                self.core.handle_packet(self.now, &bytes.clone().into());
            }
        }
        let own_tokens: Vec<(&Sent, &wire::OrfToken)> = later
            .iter()
            .filter_map(|event| match event {
                Event::Sent(sent) => match &sent.packet {
                    Packet::OrfToken(token) if token.ring == ring => Some((sent, token)),
                    _ => None,
                },
                Event::Received { .. } => None,
            })
            .collect();
        let Some((sent, last)) = own_tokens.first() else { return };
        // After the gap the node sends its last token again, or the token goes round.
        let is_again = own_tokens.get(1).is_some_and(|(_, next)| next.token_seq == last.token_seq);
        let received = later.iter().find_map(|event| match event {
            Event::Received { datagram, .. } => match wire::decode(&datagram.bytes) {
                Ok((_, Packet::OrfToken(token))) if token.ring == ring => Some(token),
                _ => None,
            },
            Event::Sent(_) => None,
        });
        let came = received.as_ref().is_some_and(|token| token.token_seq < last.token_seq);
        let asked = match received {
            Some(token) if !is_again => token.rtr,
            _ if self.story.drops => Vec::new(),
            _ => missing(last, &missed),
        };
        let before_gap = self.now;
        self.now = if is_again { Instant(sent.at.0 - self.retransmit_ns) } else { before_gap };
        let last_visit = u32::from(came && !is_again);
        for visit in (last_visit..GAP_VISITS).rev() {
            self.drain();
            self.waiting.clear();
            let token_seq = last.token_seq - 1 - GAP_TOKEN_STEP * visit;
            let token = wire::OrfToken { token_seq, rtr: asked.clone(), ..(*last).clone() };
            let bytes = wire::encode(sent.header, &Packet::OrfToken(token), &[]);
            self.core.handle_packet(self.now, &bytes.into());
        }
        self.drain();
        if is_again || came {
            self.waiting.clear();
        }
        // The capture goes on with the token; what the node sent before it at that visit was cut out.
        self.waiting.retain(|own| matches!(own.packet, Packet::OrfToken(_)));
    }

    fn hand_in(&mut self, index: usize) {
        for message in self.inputs.due(index) {
            let (lead, body) = message.payload.split_at(message.lead);
            self.core.send(self.now, &message.group, &[lead, body]).unwrap();
        }
        self.drain();
    }

    /// Fires all timers that are due until `at`.
    fn advance(&mut self, at: Instant) {
        while let Some(due) = self.core.poll_timeout().filter(|due| *due <= at) {
            self.now = self.now.max(due);
            self.core.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.max(at);
    }

    fn drain(&mut self) {
        self.core.poll_persist();
        while let Some(event) = self.core.poll_event() {
            if let RingEvent::Configuration(configuration) = event {
                self.core.synchronised(configuration.ring);
            }
        }
        while let Some(note) = self.core.poll_note() {
            if std::env::var_os("REPLAY_NOTES").is_some() {
                println!("    {}: {}", self.now.0 / 1000, note.text);
            }
        }
        while let Some(transmit) = self.core.poll_transmit() {
            let to = match transmit.to {
                totem::Destination::Node(node) => Some(node),
                _ => None,
            };
            let mut sent = Sent::new(self.now, to, &transmit.bytes);
            if let Some(mutation) = self.mutation {
                mutation(&mut sent.packet);
            }
            // Of a ring of one; whether it still spun or was held already depends on microseconds.
            if self.is_alone() && matches!(sent.packet, Packet::HoldCancel(_) | Packet::MergeDetect(_)) {
                continue;
            }
            let unseen = self.story.cut.is_some_and(|(from, to)| self.now >= from && self.now <= to);
            if !unseen {
                self.waiting.push_back(sent);
            }
        }
    }

    /// The recorded node sent this: we have sent it, or we do within [`EARLY`].
    fn expect(&mut self, index: usize, recorded: &Sent) -> Result<(), String> {
        if recorded.is_leave() {
            self.advance(recorded.at);
            self.core.leave(self.now);
            self.drain();
        }
        // The first thing that a node sends comes with its start; its own copy is read like any packet.
        if self.outcome.compared > 0 || !self.story.starts {
            self.advance(recorded.at);
        }
        self.hand_in(index);
        let mut found = self.take(recorded);
        for at in [recorded.at, recorded.at.after(EARLY)] {
            if !found {
                self.advance(at);
                found = self.take(recorded);
            }
        }
        if !found && self.is_needless(recorded) {
            self.tokens_since_cancel = Some(0);
            self.outcome.needless += 1;
            return Ok(());
        }
        if !found {
            return Err(self.describe("the recorded node sent what we did not", recorded));
        }
        match &recorded.packet {
            Packet::OrfToken(_) => self.last_token = Some(recorded.clone()),
            Packet::Mcast(_) => self.sent_at_visit = true,
            _ => {}
        }
        self.outcome.compared += 1;
        if is_join(recorded) && !self.joins.iter().any(|join| join.is_same(recorded)) {
            self.joins.push(recorded.clone());
        }
        self.nothing_overdue(recorded.at)
    }

    fn take(&mut self, recorded: &Sent) -> bool {
        // A ring of one looks for others at times that nothing in the capture tells.
        if let (Packet::MergeDetect(merge), true) = (&recorded.packet, self.is_alone()) {
            return merge.ring == self.core.ring() && self.core.state() == State::Operational;
        }
        let number_known = self.number_known;
        let position = self
            .waiting
            .iter()
            .position(|own| own.is_same(recorded) || (!number_known && is_same_but_number(own, recorded)));
        let Some(position) = position else { return false };
        self.waiting.remove(position);
        true
    }

    /// What the reference does and ours spares: a representative that has let the token go answers another cancel with
    /// the same token again, and a node thinks that the token is held until it comes again, although others have
    /// cancelled the hold or its own messages have just gone off with it.
    fn is_needless(&self, recorded: &Sent) -> bool {
        match recorded.packet {
            Packet::OrfToken(_) => {
                let is_ours = self.waiting.iter().any(|own| is_same_but_number(own, recorded));
                !is_ours
                    && self.tokens_since_cancel.is_some()
                    && self.last_token.as_ref().is_some_and(|token| token.is_same(recorded))
            }
            Packet::HoldCancel(ring) => {
                (self.sent_at_visit || self.tokens_since_cancel.is_some()) && ring == self.core.ring()
            }
            _ => false,
        }
    }

    fn is_alone(&self) -> bool {
        self.core.ring_members().len() == 1
    }

    fn nothing_overdue(&mut self, at: Instant) -> Result<(), String> {
        let overdue = |own: &Sent| at.since(own.at) > LATE;
        // The recorded node's timers fire a little late each time, so that it repeats a join less often.
        let is_repeat = |own: &Sent| self.joins.iter().any(|join| join.is_same(own));
        let begin = self.story.events[0].at();
        let story = self.story;
        self.waiting.retain(|own| !overdue(own) || (own.at >= begin && story.is_seen(own)));
        let before = self.waiting.len();
        self.waiting.retain(|own| !overdue(own) || !is_repeat(own));
        self.outcome.more_repeats += before - self.waiting.len();
        match self.waiting.iter().find(|own| overdue(own)) {
            None => Ok(()),
            Some(own) => Err(self.describe("we sent what the recorded node did not", own)),
        }
    }

    fn describe(&self, what: &str, packet: &Sent) -> String {
        let waiting: Vec<String> = self.waiting.iter().take(6).map(|own| format!("\n    {own}")).collect();
        format!(
            "{what}:\n    {packet}\n  not matched of ours (state {:?}):{}",
            self.core.state(),
            waiting.concat()
        )
    }
}

/// The messages that another member of the ring asks for: those that it gets in RECOVERY.
fn missing(token: &wire::OrfToken, messages: &[Vec<u8>]) -> Vec<(totem::RingId, u32)> {
    let seqs = messages.iter().filter_map(|bytes| match wire::decode(bytes) {
        Ok((_, Packet::Mcast(mcast))) => Some(mcast.seq),
        _ => None,
    });
    let asked: std::collections::BTreeSet<u32> = seqs.filter(|seq| *seq > token.aru).collect();
    asked.into_iter().map(|seq| (token.ring, seq)).collect()
}

fn is_join(sent: &Sent) -> bool {
    matches!(sent.packet, Packet::Join(_))
}

fn is_same_but_number(own: &Sent, recorded: &Sent) -> bool {
    let (Packet::OrfToken(ours), Packet::OrfToken(theirs)) = (&own.packet, &recorded.packet) else {
        return false;
    };
    let ours = wire::OrfToken { token_seq: theirs.token_seq, ..ours.clone() };
    own.to == recorded.to && ours == *theirs
}
