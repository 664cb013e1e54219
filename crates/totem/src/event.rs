//! What the ring hands out.

use core::time::Duration;

use bytes::Bytes;

use crate::RingId;
use crate::wire::ByteOrder;

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One node.
    Node(u32),
    /// The members of the ring ([`crate::Totem::ring_members`]); a multicast transport may send to all.
    Members,
    /// Every configured node and whoever listens.
    Everybody,
}

/// A packet to send. The sender itself is never meant: own copies stay inside the core.
#[derive(Clone, Debug)]
pub struct Transmit {
    pub to: Destination,
    pub bytes: Bytes,
}

/// A change of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// True: the members that come with us from the old ring. False: the new ring.
    pub transitional: bool,
    pub members: Vec<u32>,
    pub left: Vec<u32>,
    pub joined: Vec<u32>,
    pub ring: RingId,
}

/// A message in agreed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub nodeid: u32,
    /// Byte order of the sender, for the integers in the payload.
    pub order: ByteOrder,
    pub group: Bytes,
    pub payload: Bytes,
}

/// Deliveries and configurations, in the order that all members see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Delivery(Delivery),
    Configuration(Configuration),
}

/// Severity of a [`Note`], as in the reference's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warning,
    Notice,
    Info,
    Debug,
    Trace,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub level: Level,
    pub text: String,
}

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The send queue is full; repeat when the ring has moved on.
    #[error("send queue is full, try again")]
    Full,
    /// Larger than [`crate::MESSAGE_MAX`].
    #[error("message is larger than 1 MiB")]
    TooBig,
}

/// Counters since start (cmap `stats.srp.*`).
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub orf_token_tx: u64,
    pub orf_token_rx: u64,
    pub memb_merge_detect_tx: u64,
    pub memb_merge_detect_rx: u64,
    pub memb_join_tx: u64,
    pub memb_join_rx: u64,
    pub mcast_tx: u64,
    pub mcast_retx: u64,
    pub mcast_rx: u64,
    pub memb_commit_token_tx: u64,
    pub memb_commit_token_rx: u64,
    pub token_hold_cancel_tx: u64,
    pub token_hold_cancel_rx: u64,
    pub operational_entered: u64,
    pub operational_token_lost: u64,
    pub gather_entered: u64,
    pub gather_token_lost: u64,
    pub commit_entered: u64,
    pub commit_token_lost: u64,
    pub recovery_entered: u64,
    pub recovery_token_lost: u64,
    pub consensus_timeouts: u64,
    pub rx_msg_dropped: u64,
    pub continuous_gather: u32,
    pub pauses: u64,
    pub longest_pause: Duration,
    /// Smoothed over the last hundred visits or so of the token.
    pub mean_token_interval: Duration,
    pub mean_backlog: u32,
}
