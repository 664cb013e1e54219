//! Clients of the engine's IPC: cpg, quorum, votequorum, cmap, cfg.
//!
//! Each client is one connection. Calls block for a bounded time; events come through [`fd`](Cpg::fd) and
//! `poll_event`, which never blocks. They work with the reference's engine and with ours.

mod cfg;
mod cmap;
mod connection;
mod cpg;
mod error;
mod quorum;
mod votequorum;
mod wire;

pub use cfg::{Cfg, CfgEvent, LinkStatus, NodeStatus, RingStatus, ShutdownKind};
pub use cmap::{Cmap, CmapEvent, Map, TrackId, Value, track};
pub use cpg::{Cpg, CpgAddress, CpgEvent, CpgMember, Guarantee, Reason, Scope};
pub use error::{Error, Status};
pub use quorum::{Quorum, QuorumEvent};
pub use votequorum::{NodeInfo, NodeState, VoteQuorum, VoteQuorumEvent, info_flags};

/// A ring (membership) of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingId {
    /// Lowest node id of the ring.
    pub node: u32,
    pub sequence: u64,
}
