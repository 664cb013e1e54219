//! From the commit token to the new ring.

use std::time::Duration;

use totem::wire::{CommitEntry, OrfToken};
use totem::{RingId, State};

use crate::stage::{FAIL_RECV, Hand, ME, NEXT, OLD, old};

/// The ring after one that was not installed.
const THIRD: RingId = RingId { rep: 1, seq: 40 };
/// Past the token timeout of three nodes.
const TOKEN_LOST: Duration = Duration::from_millis(3700);

/// In RECOVERY for a ring of nodes 1 and 2, without node 3.
fn recovering(mut hand: Hand, mine: CommitEntry, of_one: CommitEntry) -> Hand {
    hand.agree(OLD.seq, &[1, ME], &[3]);
    assert_eq!(hand.first_round(NEXT, &[(1, of_one), (ME, CommitEntry::default())]), mine);
    hand.second_round(NEXT, &[(1, of_one), (ME, mine)]);
    hand
}

/// Nobody came from the old ring with it, so nothing has to be told.
fn quiet() -> Hand {
    recovering(Hand::in_ring(), old(0), old(0))
}

#[test]
fn a_ring_is_installed_at_the_second_visit_that_finds_everything_everywhere() {
    let mut hand = quiet();
    for visit in 1..=4 {
        assert_eq!(hand.node.state(), State::Recovery, "before visit {visit}");
        hand.visit(&hand.token(NEXT, 0, 0));
    }
    assert_eq!(hand.node.state(), State::Operational);
}

#[test]
fn somebody_without_everything_makes_the_visits_count_anew() {
    let mut hand = quiet();
    // The end of the old messages is fixed at the second visit, with one message that we lack.
    for _ in 0..4 {
        hand.visit(&hand.token(NEXT, 1, 0));
    }
    hand.mcast(NEXT, 1, 1);
    for aru in [1, 0, 1] {
        hand.visit(&hand.token(NEXT, 1, aru));
        assert_eq!(hand.node.state(), State::Recovery);
    }
    hand.visit(&hand.token(NEXT, 1, 1));
    assert_eq!(hand.node.state(), State::Operational);
}

#[test]
fn who_still_sends_old_messages_makes_the_visits_count_anew() {
    let mut hand = quiet();
    for busy in [false, false, false, true, false, false, false] {
        let token = hand.token(NEXT, 0, 0);
        hand.visit(&OrfToken { retrans_flg: u32::from(busy), ..token });
        assert_eq!(hand.node.state(), State::Recovery);
    }
    hand.visit(&hand.token(NEXT, 0, 0));
    assert_eq!(hand.node.state(), State::Operational);
}

/// A member of the old ring that lacks message 4 of 1 to 5.
fn with_a_hole() -> Hand {
    let mut hand = Hand::in_ring();
    for seq in [1, 2, 3, 5] {
        hand.mcast(OLD, 1, seq);
    }
    hand
}

fn hole() -> CommitEntry {
    CommitEntry { received_flg: 0, ..old(3) }
}

/// Ways in which a recovery ends without a ring.
const BREAKS: [fn(&mut Hand); 2] =
    [|hand| hand.wait(TOKEN_LOST), |hand| hand.join(1, NEXT.seq, &[1, ME], &[3])];

/// … and in which the member is alone after it.
const ENDS: [fn(&mut Hand, u32); 2] = [
    |hand, _| {
        let now = hand.now;
        (0..2).for_each(|_| hand.node.peer_unreachable(now, 1));
        hand.settle();
    },
    |hand, received| {
        for _ in 0..2 * FAIL_RECV {
            if hand.node.state() != State::Recovery {
                break;
            }
            hand.visit(&OrfToken { aru_addr: ME, ..hand.token(NEXT, received + 1, received) });
        }
        assert_eq!(hand.own_join().failed, [ME, 3]);
        // The one that it hears no more has not agreed, and then nobody else is there.
        hand.wait(Duration::from_secs(9));
    },
];

#[test]
fn a_broken_recovery_leaves_the_position_in_the_old_ring() {
    for (way, break_it) in BREAKS.into_iter().enumerate() {
        // The messages of the recovery may look like any position in the old ring.
        for received in 0..7 {
            let mut hand = recovering(with_a_hole(), hole(), old(3));
            (1..=received).for_each(|seq| hand.mcast(NEXT, 1, seq));
            break_it(&mut hand);
            assert_eq!(hand.node.state(), State::Gather, "way {way}");
            hand.agree(NEXT.seq, &[1, ME], &[3]);
            let members = [(1, old(3)), (ME, CommitEntry::default())];
            assert_eq!(hand.first_round(THIRD, &members), hole(), "way {way}, {received} messages");
        }
    }
}

#[test]
fn who_is_left_alone_in_a_recovery_knows_what_it_lacks() {
    for (way, end) in ENDS.into_iter().enumerate() {
        for received in 0..7 {
            let mut hand = recovering(with_a_hole(), hole(), old(3));
            (1..=received).for_each(|seq| hand.mcast(NEXT, 1, seq));
            end(&mut hand, received);
            assert_eq!(hand.memberships().last().unwrap(), &[ME], "way {way}, {received} messages");
            // Message 5 is node 1's, and what that sent before it is lost.
            assert_eq!(hand.messages(), [1, 2, 3], "way {way}, {received} messages");
        }
    }
}

#[test]
fn who_lacks_nothing_says_so_after_a_broken_recovery_too() {
    for received in 0..4 {
        let mut hand = Hand::in_ring();
        (1..=2).for_each(|seq| hand.mcast(OLD, 1, seq));
        let mut hand = recovering(hand, old(2), old(2));
        // The recovery itself has a hole.
        hand.mcast(NEXT, 1, received + 2);
        hand.wait(TOKEN_LOST);
        hand.agree(NEXT.seq, &[1, ME], &[3]);
        assert_eq!(hand.first_round(THIRD, &[(1, old(2)), (ME, CommitEntry::default())]), old(2));
    }
}

#[test]
fn what_we_lack_is_taken_from_the_recovery_and_delivered_in_its_place() {
    let mut hand = recovering(with_a_hole(), hole(), old(5));
    let sent = hand.visit(&hand.token(NEXT, 0, 0)).unwrap();
    // Messages 4 and 5 may be lacking; we have 5.
    assert_eq!((sent.seq, sent.retrans_flg), (1, 0), "sent at once, so nothing more to come");
    hand.recovered(NEXT, 1, 2, (OLD, 1, 4));
    hand.recovered(NEXT, 1, 3, (OLD, 1, 5));
    for _ in 0..3 {
        assert_eq!(hand.messages(), [1, 2, 3]);
        hand.visit(&hand.token(NEXT, 3, 3));
    }
    assert_eq!(hand.node.state(), State::Operational);
    assert_eq!(hand.messages(), [1, 2, 3, 4, 5]);
    assert_eq!(hand.last_transition().members, [1, ME]);
    assert_eq!(hand.last_transition().left, [3]);
}

#[test]
fn messages_of_another_ring_in_a_recovery_are_left_out() {
    let mut hand = recovering(with_a_hole(), hole(), old(5));
    hand.recovered(NEXT, 1, 1, (RingId { rep: 7, seq: 8 }, 1, 4));
    hand.recovered(NEXT, 1, 2, (OLD, 1, 5));
    hand.visit(&hand.token(NEXT, 2, 2));
    for _ in 0..3 {
        hand.visit(&hand.token(NEXT, 3, 3));
    }
    assert_eq!(hand.node.state(), State::Operational);
    // Nobody has message 4; what node 1 sent after it follows in the transitional configuration.
    assert_eq!(hand.messages(), [1, 2, 3, 5]);
}

#[test]
fn the_end_of_the_old_messages_is_fixed_at_the_second_quiet_visit() {
    let mut hand = quiet();
    hand.visit(&hand.token(NEXT, 0, 0));
    // One more was sent; we never get it.
    for _ in 0..2 * FAIL_RECV {
        hand.visit(&OrfToken { aru_addr: 3, ..hand.token(NEXT, 1, 0) });
        assert_eq!(hand.node.state(), State::Recovery);
    }
    hand.mcast(NEXT, 1, 1);
    for _ in 0..2 {
        assert_eq!(hand.node.state(), State::Recovery);
        hand.visit(&hand.token(NEXT, 1, 1));
    }
    assert_eq!(hand.node.state(), State::Operational);
}

#[test]
fn only_who_was_in_the_same_ring_can_have_more_than_we() {
    let other = CommitEntry { ring: RingId { rep: 1, seq: 4 }, ..old(9) };
    recovering(Hand::in_ring(), old(0), other);
    // Of the same ring somebody can.
    recovering(Hand::in_ring(), CommitEntry { received_flg: 0, ..old(0) }, old(9));
}

/// The reference fixes this list when it enters RECOVERY (memb_state_recovery_enter).
#[test]
fn who_lacks_nothing_itself_still_delivers_beyond_the_holes_of_others() {
    let mut hand = Hand::in_ring();
    (1..=3).for_each(|seq| hand.mcast(OLD, 1, seq));
    // Node 1 has message 5 of its own, and nobody has 4.
    let mut hand = recovering(hand, old(3), CommitEntry { received_flg: 0, ..old(3) });
    hand.recovered(NEXT, 1, 1, (OLD, 1, 5));
    hand.install(NEXT, 1);
    assert_eq!(hand.messages(), [1, 2, 3, 5]);
}

#[test]
fn what_waited_in_a_broken_recovery_is_not_sent_in_the_next_one() {
    let mut hand = recovering(with_a_hole(), hole(), old(3));
    hand.wait(TOKEN_LOST);
    hand.agree(NEXT.seq, &[1, ME], &[3]);
    hand.first_round(THIRD, &[(1, old(3)), (ME, CommitEntry::default())]);
    hand.second_round(THIRD, &[(1, old(3)), (ME, hole())]);
    let sent = hand.visit(&hand.token(THIRD, 0, 0)).unwrap();
    assert_eq!(sent.seq, 1, "message 5, once");
}

#[test]
fn visits_without_progress_count_anew_in_a_recovery() {
    let mut hand = with_a_hole();
    for _ in 0..FAIL_RECV {
        hand.visit(&OrfToken { aru_addr: ME, ..hand.token(OLD, 5, 3) });
    }
    let mut hand = recovering(hand, hole(), old(3));
    for visit in 1..=FAIL_RECV {
        hand.visit(&OrfToken { aru_addr: ME, ..hand.token(NEXT, 3, 0) });
        assert_eq!(hand.node.state(), State::Recovery, "at visit {visit}");
    }
}

#[test]
fn who_has_more_to_tell_than_a_visit_takes_says_so() {
    let mut hand = Hand::in_ring();
    (1..=20).for_each(|seq| hand.mcast(OLD, 1, seq));
    let lacks = CommitEntry { received_flg: 0, ..old(0) };
    let mut hand = recovering(hand, old(20), lacks);
    let mut visit = |retrans_flg, seq| {
        let token = hand.token(NEXT, seq, seq);
        let sent = hand.visit(&OrfToken { retrans_flg, ..token }).unwrap();
        (sent.seq, sent.retrans_flg)
    };
    assert_eq!(visit(0, 0), (17, 1));
    assert_eq!(visit(1, 17), (20, 0), "the rest, and nothing more to come");
    assert_eq!(visit(1, 20), (20, 1), "somebody else has more");
}

#[test]
fn a_ring_that_is_not_there_yet_has_no_messages() {
    // Before the second round of the commit token …
    let mut hand = with_a_hole();
    hand.agree(OLD.seq, &[1, ME], &[3]);
    hand.first_round(NEXT, &[(1, old(3)), (ME, CommitEntry::default())]);
    hand.mcast(NEXT, 1, 4);
    hand.second_round(NEXT, &[(1, old(3)), (ME, hole())]);
    hand.wait(TOKEN_LOST);
    // … and after a recovery that failed, number 4 is not that of the old ring.
    hand.mcast(NEXT, 1, 4);
    hand.agree(NEXT.seq, &[1, ME], &[3]);
    assert_eq!(hand.first_round(THIRD, &[(1, old(3)), (ME, CommitEntry::default())]), hole());
    hand.second_round(THIRD, &[(1, old(3)), (ME, hole())]);
    hand.visit(&hand.token(THIRD, 0, 0));
    for _ in 0..3 {
        hand.visit(&hand.token(THIRD, 1, 1));
    }
    assert_eq!(hand.node.state(), State::Operational);
    assert_eq!(hand.messages(), [1, 2, 3, 5]);
}

#[test]
fn a_late_packet_of_the_recovery_is_no_message_of_the_ring() {
    let earlier = RingId { rep: 1, seq: 4 };
    for gathers in [false, true] {
        let mut hand = Hand::in_ring();
        if gathers {
            hand.wait(TOKEN_LOST);
            assert_eq!(hand.node.state(), State::Gather);
        }
        hand.recovered(OLD, 1, 1, (earlier, 1, 9));
        hand.mcast(OLD, 1, 1);
        // What comes while a ring is sought is delivered at the end of the old one.
        let mine = CommitEntry { high_delivered: u32::from(!gathers), ..old(1) };
        let mut hand = recovering(hand, mine, old(1));
        hand.install(NEXT, 0);
        assert_eq!(hand.messages(), [1]);
    }
}

#[test]
fn what_was_recovered_is_not_read_again_as_messages_of_the_new_ring() {
    for own_last in [false, true] {
        let mut hand = recovering(with_a_hole(), hole(), old(5));
        let (own, theirs) = if own_last { (3, 1) } else { (1, 2) };
        let others = |hand: &mut Hand| {
            hand.recovered(NEXT, 1, theirs, (OLD, 1, 4));
            hand.recovered(NEXT, 1, theirs + 1, (OLD, 1, 5));
        };
        if own_last {
            others(&mut hand);
        }
        hand.visit(&hand.token(NEXT, own - 1, own - 1));
        if !own_last {
            others(&mut hand);
        }
        for _ in 0..3 {
            hand.visit(&hand.token(NEXT, 3, 3));
        }
        assert_eq!(hand.node.state(), State::Operational);
        hand.mcast(NEXT, 1, 4);
        hand.visit(&hand.token(NEXT, 4, 4));
        assert_eq!(hand.messages(), [1, 2, 3, 4, 5, 4]);
        let ignored: Vec<&String> = hand.notes.iter().filter(|note| note.contains("Ignoring")).collect();
        assert!(ignored.is_empty(), "{ignored:?}");
    }
}

#[test]
fn who_fails_to_receive_in_a_recovery_keeps_its_own_messages() {
    let mut hand = Hand::in_ring();
    (1..=3).for_each(|seq| hand.mcast(OLD, 1, seq));
    hand.node.send(hand.now, b"g", &[&[5]]).unwrap();
    let sent = hand.visit(&hand.token(OLD, 4, 3)).unwrap();
    assert_eq!(sent.seq, 5);
    hand.mcast(OLD, 1, 6);
    let mut hand = recovering(hand, hole(), old(3));
    hand.mcast(NEXT, 1, 1);
    // It tells what it has, 5 and 6, and nothing that it has heard of is missing; but it gets no more.
    assert_eq!(hand.visit(&hand.token(NEXT, 1, 1)).unwrap().seq, 3);
    for _ in 0..2 * FAIL_RECV {
        if hand.node.state() != State::Recovery {
            break;
        }
        hand.visit(&OrfToken { aru_addr: ME, ..hand.token(NEXT, 4, 3) });
    }
    hand.wait(Duration::from_secs(9));
    assert_eq!(hand.memberships().last().unwrap(), &[ME]);
    // Messages 4 and 6 are lost with the others.
    assert_eq!(hand.messages(), [1, 2, 3, 5]);
}

/// The queue is full to the brim, and what fills no packet yet comes after it.
#[test]
fn the_order_of_own_messages_outlasts_a_full_queue() {
    let mut hand = recovering(Hand::in_ring(), old(0), old(0));
    let mut count = 0u32;
    while hand.node.send(hand.now, b"g", &[&count.to_ne_bytes(), &[0; 96]]).is_ok() {
        count += 1;
    }
    hand.install(NEXT, 0);
    let mut last = hand.token(NEXT, 0, 0);
    while !hand.node.is_drained() {
        let (seq, fcc, backlog) = (last.seq, last.fcc, last.backlog);
        last = hand.visit(&OrfToken { fcc, backlog, ..hand.token(NEXT, seq, seq) }).unwrap();
    }
    let got: Vec<u32> = hand.payloads().map(|it| u32::from_ne_bytes(it[..4].try_into().unwrap())).collect();
    assert_eq!(got, (0..count).collect::<Vec<u32>>());
}
