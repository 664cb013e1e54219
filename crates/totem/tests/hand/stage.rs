//! The member under test, and the packets that the others would send.

use std::time::Duration;

use totem::wire::{
    CommitEntry, CommitToken, ENCAPSULATED, Header, Join, Mcast, NOT_ENCAPSULATED, OrfToken, Packet, decode,
    encode,
};
use totem::{
    Config, Configuration, Destination, Event, Instant, RingId, State, Timing, TimingSettings, Totem,
};

pub const ME: u32 = 2;
/// The first ring of a test, and the number of the one after it.
pub const OLD: RingId = RingId { rep: 1, seq: 8 };
pub const NEXT: RingId = RingId { rep: 1, seq: 12 };
pub const FAIL_RECV: u32 = 10;

/// The member, and what it has sent and handed out.
pub struct Hand {
    pub now: Instant,
    pub node: Totem,
    pub sent: Vec<(Destination, Packet)>,
    pub events: Vec<Event>,
    pub notes: Vec<String>,
    token_seq: u32,
}

impl Hand {
    pub fn new() -> Self {
        Self::of(ME)
    }

    pub fn of(me: u32) -> Self {
        let timing = Timing::derive(&TimingSettings::default(), 3).unwrap();
        let config = Config {
            announce: false,
            fail_recv_const: FAIL_RECV,
            miss_count_const: 2,
            ..Config::new(me, timing)
        };
        let now = Instant(1_000_000_000);
        let node = Totem::new(config, 0, now);
        let mut hand =
            Self { now, node, sent: Vec::new(), events: Vec::new(), notes: Vec::new(), token_seq: 0 };
        hand.settle();
        hand
    }

    pub fn settle(&mut self) {
        loop {
            while let Some(event) = self.node.poll_event() {
                if let Event::Configuration(Configuration { transitional: false, ring, .. }) = &event {
                    self.node.synchronised(*ring);
                }
                self.events.push(event);
            }
            while let Some(transmit) = self.node.poll_transmit() {
                self.sent.push((transmit.to, decode(&transmit.bytes).unwrap().1));
            }
            self.notes.extend(core::iter::from_fn(|| self.node.poll_note()).map(|note| note.text));
            while self.node.poll_persist().is_some() {}
            if self.node.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
            self.node.handle_timeout(self.now);
        }
    }

    pub fn get(&mut self, from: u32, encapsulated: u8, packet: &Packet, body: &[u8]) {
        let bytes = encode(Header::native(from, encapsulated), packet, body);
        self.node.handle_packet(self.now, &bytes.into());
        self.settle();
    }

    /// Lets time pass in steps that are no pause of the process.
    pub fn wait(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        while self.now < end {
            self.now = self.now.after(Duration::from_millis(10)).min(end);
            assert_eq!(self.node.handle_wakeup(self.now), None);
            self.settle();
        }
    }

    pub fn join(&mut self, from: u32, ring_seq: u64, proc: &[u32], failed: &[u32]) {
        let join = Join { system_from: from, ring_seq, proc: proc.to_vec(), failed: failed.to_vec() };
        self.get(from, 0, &Packet::Join(join), &[]);
    }

    /// Everybody in `members` says, and says again, that these are all.
    pub fn agree(&mut self, ring_seq: u64, members: &[u32], failed: &[u32]) {
        let proc: Vec<u32> = [members, failed].concat();
        let me = self.node.nodeid();
        for _ in 0..2 {
            for peer in members.iter().filter(|id| **id != me) {
                self.join(*peer, ring_seq, &proc, failed);
            }
        }
    }

    /// The last join that the member sent.
    pub fn own_join(&self) -> Join {
        let joins = self.sent.iter().rev();
        joins
            .filter_map(|(_, packet)| if let Packet::Join(join) = packet { Some(join) } else { None })
            .next()
            .unwrap()
            .clone()
    }

    pub fn own_commit(&self) -> Option<CommitToken> {
        let commit = |packet: &Packet| {
            if let Packet::CommitToken(token) = packet { Some(token.clone()) } else { None }
        };
        self.sent.iter().rev().find_map(|(_, packet)| commit(packet))
    }

    pub fn commit(&mut self, token: &CommitToken) {
        self.get(1, 0, &Packet::CommitToken(token.clone()), &[]);
    }

    /// The commit token of the representative goes round once; what the member wrote into it.
    pub fn first_round(&mut self, ring: RingId, members: &[(u32, CommitEntry)]) -> CommitEntry {
        self.sent.clear();
        self.commit(&commit_token(ring, members, 1));
        assert_eq!(self.node.state(), State::Commit);
        let sent = self.own_commit().unwrap();
        assert_eq!((sent.ring, sent.memb_index), (ring, 2));
        sent.members.iter().find(|(id, _)| *id == ME).unwrap().1
    }

    /// … and a second time, with everybody's entry in it.
    pub fn second_round(&mut self, ring: RingId, members: &[(u32, CommitEntry)]) {
        let count = u32::try_from(members.len()).unwrap();
        self.commit(&commit_token(ring, members, count));
        assert_eq!(self.node.state(), State::Recovery);
        self.token_seq = 0;
    }

    pub fn token(&self, ring: RingId, seq: u32, aru: u32) -> OrfToken {
        let aru_addr = if aru == seq { 0 } else { 3 };
        OrfToken {
            seq,
            token_seq: self.token_seq,
            aru,
            aru_addr,
            ring,
            backlog: 0,
            fcc: 0,
            retrans_flg: 0,
            rtr: Vec::new(),
        }
    }

    /// The token visits the member; as it goes on.
    pub fn visit(&mut self, token: &OrfToken) -> Option<OrfToken> {
        self.sent.clear();
        self.get(1, 0, &Packet::OrfToken(token.clone()), &[]);
        self.token_seq = token.token_seq.wrapping_add(3);
        let orf =
            |packet: &Packet| if let Packet::OrfToken(token) = packet { Some(token.clone()) } else { None };
        self.sent.iter().find_map(|(_, packet)| orf(packet))
    }

    pub fn mcast(&mut self, ring: RingId, from: u32, seq: u32) {
        let (packet, body) = message(ring, from, seq);
        self.get(from, NOT_ENCAPSULATED, &packet, &body);
    }

    /// A message of an old ring, sent again in a new one.
    pub fn recovered(&mut self, ring: RingId, from: u32, seq: u32, old: (RingId, u32, u32)) {
        let (packet, body) = message(old.0, old.1, old.2);
        let inner = encode(Header::native(old.1, NOT_ENCAPSULATED), &packet, &body);
        self.get(from, ENCAPSULATED, &message(ring, from, seq).0, &inner);
    }

    /// Visits that nothing disturbs, until the ring stands.
    pub fn install(&mut self, ring: RingId, seq: u32) {
        for _ in 0..4 {
            assert_eq!(self.node.state(), State::Recovery);
            self.visit(&self.token(ring, seq, seq));
        }
        assert_eq!((self.node.state(), self.node.ring()), (State::Operational, ring));
    }

    /// A member of the ring [`OLD`] with nodes 1 and 3.
    pub fn in_ring() -> Self {
        let mut hand = Self::new();
        hand.agree(4, &[1, 2, 3], &[]);
        let members = [1, 2, 3].map(|id| (id, alone(id)));
        hand.first_round(OLD, &members);
        hand.second_round(OLD, &members);
        hand.install(OLD, 0);
        hand
    }

    pub fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        self.events.iter().filter_map(|event| match event {
            Event::Delivery(delivery) => Some(&*delivery.payload),
            Event::Configuration(_) => None,
        })
    }

    pub fn messages(&self) -> Vec<u32> {
        self.payloads().map(|payload| payload.iter().map(|byte| u32::from(*byte)).sum()).collect()
    }

    /// Members of the regular configurations that were handed out.
    pub fn memberships(&self) -> Vec<Vec<u32>> {
        let members = |event: &Event| match event {
            Event::Configuration(it) if !it.transitional => Some(it.members.clone()),
            _ => None,
        };
        self.events.iter().filter_map(members).collect()
    }

    pub fn last_transition(&self) -> Configuration {
        let transition = |event: &Event| match event {
            Event::Configuration(it) if it.transitional => Some(it.clone()),
            _ => None,
        };
        self.events.iter().rev().find_map(transition).unwrap()
    }
}

/// The entry of a node that was alone before and had nothing to send.
pub fn alone(id: u32) -> CommitEntry {
    CommitEntry { ring: RingId { rep: id, seq: 1 }, aru: 0, high_delivered: 0, received_flg: 1 }
}

/// The entry of a member of [`OLD`] that has everything up to `aru`.
pub fn old(aru: u32) -> CommitEntry {
    CommitEntry { ring: OLD, aru, high_delivered: aru, received_flg: 1 }
}

pub fn commit_token(ring: RingId, members: &[(u32, CommitEntry)], memb_index: u32) -> CommitToken {
    CommitToken { token_seq: memb_index, ring, retrans_flg: 0, memb_index, members: members.to_vec() }
}

/// A whole message whose payload is its sequence number.
pub fn message(ring: RingId, from: u32, seq: u32) -> (Packet, Vec<u8>) {
    // A group of one letter, and the payload; before it what totempg adds for one whole message.
    let text = [&1u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"g", &[u8::try_from(seq).unwrap()]].concat();
    let head =
        [&[0u8; 6][..], &1u16.to_ne_bytes(), &u16::try_from(text.len()).unwrap().to_ne_bytes()].concat();
    let mcast = Mcast { system_from: from, seq, this_seqno: 0, ring, node_id: 0, guarantee: 0 };
    (Packet::Mcast(mcast), [head, text].concat())
}
