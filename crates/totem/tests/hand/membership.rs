//! Joins, accusations and commit tokens.

use std::time::Duration;

use totem::State;
use totem::wire::OrfToken;

use crate::stage::{FAIL_RECV, Hand, ME, OLD};

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
