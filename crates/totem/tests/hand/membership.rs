//! Joins, accusations and commit tokens.

use std::time::Duration;

use totem::wire::{CommitEntry, Join, OrfToken, Packet};
use totem::{RingId, State};

use crate::stage::{FAIL_RECV, Hand, ME, NEXT, OLD, alone, commit_token, old};

#[test]
fn a_strangers_list_of_failed_nodes_is_not_believed() {
    let mut hand = Hand::in_ring();
    hand.join(4, 4, &[1, ME, 3, 4], &[3]);
    assert_eq!(hand.node.state(), State::Gather);
    let join = hand.own_join();
    assert_eq!((join.proc, join.failed), (vec![1, 2, 3, 4], vec![]));
    // A member's list is.
    hand.join(1, OLD.seq, &[1, ME, 3, 4], &[3]);
    let join = hand.own_join();
    assert_eq!((join.proc, join.failed), (vec![1, 2, 3, 4], vec![3]));
}

#[test]
fn who_accuses_us_is_taken_for_failed_and_nobody_else() {
    let mut hand = Hand::in_ring();
    hand.join(3, OLD.seq, &[1, ME, 3, 4], &[]);
    hand.join(1, OLD.seq, &[1, ME, 3, 4], &[ME, 3]);
    assert_eq!(hand.own_join().failed, [1]);
}

#[test]
fn who_cannot_receive_leaves_the_ring_and_says_so() {
    let mut hand = Hand::in_ring();
    // A message that we never get, and that the ring does not get rid of because of us.
    let mut visits = 0;
    while hand.node.state() == State::Operational {
        visits += 1;
        assert!(visits < 3 * FAIL_RECV, "still in the ring");
        hand.visit(&OrfToken { aru_addr: if visits == 1 { 1 } else { ME }, ..hand.token(OLD, 1, 0) });
    }
    assert!(visits > FAIL_RECV, "after {visits} visits");
    assert_eq!(hand.own_join().failed, [ME]);
    // Alone, it forms a ring of its own.
    hand.wait(Duration::from_millis(4400));
    hand.wait(Duration::from_millis(4400));
    assert_eq!(hand.memberships().last().unwrap(), &[ME]);
}

#[test]
fn somebody_elses_lack_does_not_make_us_leave() {
    let mut hand = Hand::in_ring();
    hand.mcast(OLD, 1, 1);
    for _ in 0..3 * FAIL_RECV {
        hand.visit(&OrfToken { aru_addr: 3, ..hand.token(OLD, 1, 0) });
    }
    assert_eq!(hand.node.state(), State::Operational);
}

#[test]
fn a_standing_ring_heeds_neither_accusations_nor_what_is_older_than_it() {
    let mut hand = Hand::in_ring();
    hand.join(1, OLD.seq, &[1, ME, 3, 4], &[ME]);
    hand.join(4, OLD.seq, &[1, ME, 3, 4], &[3, ME]);
    hand.join(3, OLD.seq - 1, &[1, ME, 3, 4], &[]);
    assert_eq!(hand.node.state(), State::Operational);
    hand.join(3, OLD.seq, &[1, ME, 3, 4], &[]);
    assert_eq!(hand.node.state(), State::Gather);
}

#[test]
fn who_was_taken_for_failed_is_not_heard() {
    let mut hand = Hand::in_ring();
    hand.join(3, OLD.seq, &[1, ME, 3, 4], &[]);
    hand.join(1, OLD.seq, &[1, ME, 3, 4], &[ME]);
    hand.join(1, OLD.seq, &[1, ME, 3, 4, 5], &[4]);
    let join = hand.own_join();
    assert_eq!((join.proc, join.failed), (vec![1, 2, 3, 4], vec![1]));
    hand.join(3, OLD.seq, &[1, ME, 3, 4, 5], &[]);
    assert_eq!(hand.own_join().proc, [1, 2, 3, 4, 5]);
}

#[test]
fn who_could_not_receive_is_a_node_like_others_afterwards() {
    let mut hand = Hand::in_ring();
    for visit in 0..3 * FAIL_RECV {
        hand.visit(&OrfToken { aru_addr: if visit == 0 { 1 } else { ME }, ..hand.token(OLD, 1, 0) });
        if hand.node.state() != State::Operational {
            break;
        }
    }
    hand.wait(Duration::from_millis(4400));
    hand.wait(Duration::from_millis(4400));
    assert_eq!(hand.memberships().last().unwrap(), &[ME]);
    let ring = hand.node.ring();
    hand.agree(ring.seq, &[1, ME], &[]);
    // Node 1 is the one to send a commit token.
    assert_eq!((hand.node.state(), hand.node.ring()), (State::Gather, ring));
}

/// Has agreed with node 1 on a ring without node 3.
fn agreed() -> Hand {
    let mut hand = Hand::in_ring();
    hand.agree(OLD.seq, &[1, ME], &[3]);
    hand
}

#[test]
fn a_commit_token_that_does_not_fit_is_not_taken() {
    let pair = [(1, old(0)), (ME, CommitEntry::default())];
    let turned = [(ME, CommitEntry::default()), (1, old(0))];
    let three = [(1, old(0)), (ME, CommitEntry::default()), (3, CommitEntry::default())];
    let wrong = [
        ("an old number", commit_token(OLD, &pair, 1)),
        ("other members", commit_token(NEXT, &three, 1)),
        ("fewer members", commit_token(RingId { rep: ME, ..NEXT }, &turned[..1], 0)),
        ("somebody else's turn", commit_token(NEXT, &pair, 0)),
        ("nobody's turn", commit_token(NEXT, &pair, 2)),
        ("not in order", commit_token(RingId { rep: ME, ..NEXT }, &turned, 0)),
        ("of a stranger", commit_token(RingId { rep: 9, ..NEXT }, &pair, 1)),
    ];
    for (what, token) in wrong {
        let mut hand = agreed();
        hand.commit(&token);
        assert_eq!(hand.node.state(), State::Gather, "{what}");
        hand.commit(&commit_token(NEXT, &pair, 1));
        assert_eq!(hand.node.state(), State::Commit, "{what}");
    }
}

#[test]
fn only_the_own_ring_and_only_when_all_have_written_leads_to_recovery() {
    let pair = [(1, old(0)), (ME, old(0))];
    let mut hand = agreed();
    hand.first_round(NEXT, &pair);
    for token in [commit_token(NEXT, &pair, 1), commit_token(RingId { rep: 1, seq: 40 }, &pair, 2)] {
        hand.commit(&token);
        assert_eq!(hand.node.state(), State::Commit);
    }
    hand.second_round(NEXT, &pair);
}

fn tokens(hand: &Hand) -> usize {
    hand.sent.iter().filter(|(_, packet)| matches!(packet, Packet::OrfToken(_))).count()
}

#[test]
fn the_representative_alone_starts_the_token_and_once() {
    let pair = [(1, old(0)), (ME, old(0))];
    let mut hand = agreed();
    hand.first_round(NEXT, &pair);
    hand.second_round(NEXT, &pair);
    hand.commit(&commit_token(NEXT, &pair, 2));
    assert_eq!(tokens(&hand), 0);

    let mut hand = Hand::of(1);
    hand.agree(4, &[1, 2], &[]);
    let mut token = hand.own_commit().unwrap();
    assert_eq!((hand.node.state(), token.memb_index), (State::Commit, 1));
    token.memb_index = 2;
    token.members[1].1 = alone(2);
    hand.commit(&token);
    assert_eq!((hand.node.state(), tokens(&hand)), (State::Recovery, 0));
    for _ in 0..2 {
        hand.commit(&token);
        assert_eq!((hand.node.state(), tokens(&hand)), (State::Recovery, 1));
    }
}

#[test]
fn messages_of_other_rings_tell_of_others() {
    let other = RingId { rep: 4, seq: 4 };
    let mut hand = Hand::in_ring();
    // What a member sent in a ring that it has left is nothing new.
    hand.mcast(RingId { rep: 1, seq: OLD.seq - 4 }, 3, 7);
    assert_eq!(hand.node.state(), State::Operational);
    hand.mcast(other, 4, 7);
    assert_eq!(hand.node.state(), State::Gather);
    assert_eq!(hand.own_join().proc, [1, 2, 3, 4]);
    hand.mcast(other, 5, 7);
    assert_eq!(hand.own_join().proc, [1, 2, 3, 4, 5]);
    assert!(hand.messages().is_empty());
}

#[test]
fn agreement_holds_only_while_it_is_repeated() {
    let mut hand = Hand::in_ring();
    hand.join(3, OLD.seq, &[1, ME, 3, 4], &[]);
    hand.agree(OLD.seq, &[1, ME, 3, 4], &[]);
    // Node 1 would have to send the commit token, and nobody speaks any more.
    let (token, consensus) = hand.node.timeouts();
    hand.wait(consensus + token + Duration::from_millis(100));
    assert_eq!(hand.own_join().failed, [1, 3, 4]);
}

#[test]
fn joins_that_lay_about_during_a_pause_are_not_believed() {
    let mut hand = Hand::in_ring();
    hand.now = hand.now.after(Duration::from_secs(2));
    assert!(hand.node.handle_wakeup(hand.now).is_some());
    hand.join(3, OLD.seq, &[1, ME, 3, 4], &[]);
    assert_eq!(hand.node.state(), State::Operational);
    hand.wait(Duration::from_millis(10));
    hand.join(3, OLD.seq, &[1, ME, 3, 4], &[]);
    assert_eq!(hand.node.state(), State::Gather);
}

#[test]
fn a_host_must_say_twice_that_nobody_listens() {
    let mut hand = Hand::in_ring();
    for (node, state) in [(1, State::Operational), (3, State::Operational), (3, State::Gather)] {
        hand.node.peer_unreachable(hand.now, node);
        assert_eq!(hand.node.state(), state, "{node}");
    }
    assert_eq!(hand.node.ring(), OLD);
    hand.settle();
    assert_eq!(hand.own_join().failed, [3]);
}

#[test]
fn joins_that_name_nodes_of_no_list_change_nothing() {
    let mut hand = Hand::in_ring();
    hand.node.set_known_nodes((1..=4).collect());
    for (proc, failed) in [(&[1, ME, 3, 9][..], &[][..]), (&[1, ME, 3, 4], &[9])] {
        hand.join(3, OLD.seq, proc, failed);
        assert_eq!(hand.node.state(), State::Operational);
    }
    hand.join(3, OLD.seq, &[1, ME, 3, 4], &[]);
    assert_eq!(hand.node.state(), State::Gather);
}

#[test]
fn who_left_with_a_word_and_came_back_may_be_lost_without() {
    let mut hand = Hand::in_ring();
    hand.notes.clear();
    let leave = Join { system_from: 3, ring_seq: OLD.seq, proc: vec![1, ME], failed: vec![3] };
    hand.get(0, 0, &Packet::Join(leave), &[]);
    let missed =
        |hand: &Hand| hand.notes.iter().any(|note| note.contains("Failed to receive the leave message"));
    let form = |hand: &mut Hand, ring: RingId, members: &[u32], failed: &[u32]| {
        hand.agree(hand.node.ring().seq, members, failed);
        let entries: Vec<(u32, CommitEntry)> =
            members.iter().map(|id| (*id, CommitEntry { ring: hand.node.ring(), ..old(0) })).collect();
        hand.first_round(ring, &entries);
        hand.second_round(ring, &entries);
        hand.install(ring, 0);
    };
    form(&mut hand, NEXT, &[1, ME], &[3]);
    assert!(!missed(&hand));
    form(&mut hand, RingId { seq: 16, ..NEXT }, &[1, ME, 3], &[]);
    form(&mut hand, RingId { seq: 20, ..NEXT }, &[1, ME], &[3]);
    assert!(missed(&hand));
}
