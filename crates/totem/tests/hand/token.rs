//! What a visit of the token may send, repeats and asks for (`exec/totemsrp.c` of the reference: fcc_calculate,
//! orf_token_rtr, orf_token_mcast, message_handler_orf_token).

use totem::wire::{Mcast, NOT_ENCAPSULATED, OrfToken, Packet};
use totem::{RingId, State};

use crate::stage::{FAIL_RECV, Hand, ME, OLD};

/// Packets that are being repeated, and of a visit's own messages, in flight at most; and of one visit.
const WINDOW_SIZE: u32 = 50;
const MAX_MESSAGES: u32 = 17;
/// Messages of a ring that are kept at most.
const KEPT_MAX: u32 = 16_384;

impl Hand {
    /// Queues messages that fill a packet each.
    fn queue(&mut self, count: u32) {
        for _ in 0..count {
            self.node.send(self.now, b"g", &[&[7; 1300]]).unwrap();
        }
    }

    /// Numbers of the messages that were sent at the last visit.
    fn sent_messages(&self) -> Vec<u32> {
        let number =
            |packet: &Packet| if let Packet::Mcast(Mcast { seq, .. }) = packet { Some(*seq) } else { None };
        self.sent.iter().filter_map(|(_, packet)| number(packet)).collect()
    }

    fn visit_with(&mut self, seq: u32, aru: u32, change: impl Fn(OrfToken) -> OrfToken) -> OrfToken {
        let token = change(self.token(OLD, seq, aru));
        self.visit(&token).unwrap()
    }
}

#[test]
fn a_visit_sends_what_the_window_leaves() {
    for (fcc, most) in [(0, MAX_MESSAGES), (WINDOW_SIZE - 10, 10), (WINDOW_SIZE, 0)] {
        let mut hand = Hand::in_ring();
        let room = hand.node.room();
        hand.queue(30);
        // The last packet is not full and closed by the visit.
        let waiting = u32::try_from(room - hand.node.room() + 1).unwrap();
        let token = hand.visit_with(0, 0, |token| OrfToken { fcc, ..token });
        assert_eq!(hand.sent_messages(), (1..=most).collect::<Vec<u32>>());
        assert_eq!((token.seq, token.fcc, token.backlog), (most, fcc + most, waiting));
    }
}

#[test]
fn who_has_less_waiting_than_others_gets_less() {
    let mut hand = Hand::in_ring();
    hand.queue(10);
    // Nobody may send: the visit tells only what waits.
    hand.visit_with(0, 0, |token| OrfToken { fcc: WINDOW_SIZE, ..token });
    let token = hand.visit_with(0, 0, |token| OrfToken { backlog: 100, ..token });
    assert_eq!(hand.sent_messages().len(), 5, "a tenth of the window");
    assert_eq!(token.backlog, 100, "the ten are counted already");
}

#[test]
fn what_was_asked_for_is_repeated_within_the_window() {
    let other = RingId { rep: 1, seq: 4 };
    let rtr = vec![(OLD, 2), (other, 1), (OLD, 9), (OLD, 3)];
    let ring = || {
        let mut hand = Hand::in_ring();
        (1..=3).for_each(|seq| hand.mcast(OLD, 1, seq));
        hand.queue(5);
        hand
    };
    let mut hand = ring();
    let token = hand.visit_with(9, 3, |token| OrfToken { rtr: rtr.clone(), fcc: WINDOW_SIZE - 3, ..token });
    assert_eq!(hand.sent_messages(), [2, 3, 10], "repeated ones count as sent");
    assert_eq!((token.rtr, token.fcc), (vec![(other, 1), (OLD, 9)], WINDOW_SIZE));
    let mut hand = ring();
    let token = hand.visit_with(9, 3, |token| OrfToken { rtr: rtr.clone(), fcc: WINDOW_SIZE, ..token });
    assert_eq!((hand.sent_messages(), token.rtr), (vec![], rtr));
}

#[test]
fn a_hole_is_asked_for_once_when_it_was_found_twice() {
    let mut hand = Hand::in_ring();
    hand.mcast(OLD, 1, 1);
    hand.mcast(OLD, 1, 3);
    assert_eq!(hand.visit_with(3, 1, |token| token).rtr, []);
    assert_eq!(hand.visit_with(3, 1, |token| token).rtr, [(OLD, 2)]);
    let asked = |token| OrfToken { rtr: vec![(OLD, 2)], ..token };
    assert_eq!(hand.visit_with(3, 1, asked).rtr, [(OLD, 2)], "somebody else has asked already");
}

#[test]
fn a_full_queue_lets_nobody_send() {
    let last = KEPT_MAX - MAX_MESSAGES - WINDOW_SIZE;
    for (seq, count) in [(last, MAX_MESSAGES), (last + 1, 0)] {
        let mut hand = Hand::in_ring();
        hand.queue(30);
        hand.visit_with(seq, 0, |token| token);
        assert_eq!(hand.sent_messages().len(), count as usize, "after message {seq}");
    }
}

#[test]
fn what_everybody_has_makes_room() {
    let mut hand = Hand::in_ring();
    let mut last = hand.token(OLD, 0, 0);
    while last.seq < 2 * KEPT_MAX {
        if hand.node.room() > 200 {
            hand.queue(100);
        }
        let (before, fcc, backlog) = (last.seq, last.fcc, last.backlog);
        last = hand.visit_with(before, before, |token| OrfToken { fcc, backlog, ..token });
        assert_eq!(last.seq, before + MAX_MESSAGES);
        hand.events.clear();
    }
}

#[test]
fn progress_makes_the_visits_without_it_count_anew() {
    let mut hand = Hand::in_ring();
    for aru in 0..3 {
        for _ in 0..FAIL_RECV {
            hand.visit(&OrfToken { aru_addr: ME, ..hand.token(OLD, 5, aru) });
            assert_eq!(hand.node.state(), State::Operational, "at {aru}");
        }
        hand.mcast(OLD, 1, aru + 1);
    }
}

#[test]
fn a_message_without_content_is_none() {
    let mut hand = Hand::in_ring();
    let empty = Mcast { system_from: 1, seq: 1, this_seqno: 0, ring: OLD, node_id: 0, guarantee: 0 };
    hand.get(1, NOT_ENCAPSULATED, &Packet::Mcast(empty), &[]);
    hand.mcast(OLD, 1, 1);
    assert_eq!(hand.messages(), [1]);
}
