//! Votes behind the quorum (`votequorum_overview(3)`).

use crate::RingId;
use crate::connection::Connection;
use crate::error::Error;
use crate::wire::{Reader, Writer};
use std::os::fd::BorrowedFd;

/// Longest name of a quorum device, with its NUL.
pub const MAX_DEVICE_NAME_BYTES: usize = 255;

/// Bits of [`NodeInfo::flags`].
pub mod info_flags {
    pub const TWO_NODE: u32 = 1;
    pub const QUORATE: u32 = 2;
    pub const WAIT_FOR_ALL: u32 = 4;
    pub const LAST_MAN_STANDING: u32 = 8;
    pub const AUTO_TIE_BREAKER: u32 = 16;
    pub const ALLOW_DOWNSCALE: u32 = 32;
    pub const DEVICE_REGISTERED: u32 = 64;
    pub const DEVICE_ALIVE: u32 = 128;
    pub const DEVICE_CAST_VOTE: u32 = 256;
    pub const DEVICE_MASTER_WINS: u32 = 512;
}

/// State of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    Member,
    Dead,
    Leaving,
    Other(u32),
}

impl NodeState {
    fn from_raw(raw: u32) -> NodeState {
        match raw {
            1 => NodeState::Member,
            2 => NodeState::Dead,
            3 => NodeState::Leaving,
            other => NodeState::Other(other),
        }
    }
}

/// Votes as a node sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    pub node: u32,
    pub state: NodeState,
    pub votes: u32,
    pub expected_votes: u32,
    pub highest_expected: u32,
    pub total_votes: u32,
    pub quorum: u32,
    /// Bits of [`info_flags`].
    pub flags: u32,
    pub device_votes: u32,
    pub device_name: String,
}

/// Something changed. `context` is what was given to [`VoteQuorum::track`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoteQuorumEvent {
    Quorum { quorate: bool, context: u64, nodes: Vec<(u32, NodeState)> },
    ExpectedVotes { context: u64, expected: u32 },
    Nodes { context: u64, ring: RingId, members: Vec<u32> },
}

/// A connection to the votequorum service.
#[derive(Debug)]
pub struct VoteQuorum(Connection);

impl VoteQuorum {
    pub fn open() -> Result<VoteQuorum, Error> {
        Ok(VoteQuorum(Connection::open("votequorum")?))
    }

    /// How long calls are repeated while the engine says "try again" (default 20 s; zero: not at all).
    pub fn set_retry(&mut self, retry_for: std::time::Duration) {
        self.0.set_retry(retry_for);
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Votes of a node (0: this one). `NOT_EXIST` for an unknown node.
    pub fn info(&mut self, node: u32) -> Result<NodeInfo, Error> {
        let answer = self.0.call(0, Writer::new(24).u32(16, node))?;
        parse_info(&answer)
    }

    pub fn set_expected(&mut self, votes: u32) -> Result<(), Error> {
        self.0.call(1, Writer::new(24).u32(16, votes)).map(drop)
    }

    pub fn set_votes(&mut self, node: u32, votes: u32) -> Result<(), Error> {
        self.0.call(2, Writer::new(24).u32(16, votes).u32(20, node)).map(drop)
    }

    /// Asks for events: the present state if `current`, and one at each change if `changes`.
    pub fn track(&mut self, context: u64, current: bool, changes: bool) -> Result<(), Error> {
        let flags = u32::from(current) | (u32::from(changes) << 1);
        self.0.call(3, Writer::new(32).u64(16, context).u32(24, flags)).map(drop)
    }

    pub fn track_stop(&mut self) -> Result<(), Error> {
        self.0.call(4, Writer::new(16)).map(drop)
    }

    pub fn device_register(&mut self, name: &str) -> Result<(), Error> {
        let name = device_name(name)?;
        self.0.call(5, Writer::new(272).put(16, name)).map(drop)
    }

    pub fn device_unregister(&mut self, name: &str) -> Result<(), Error> {
        let name = device_name(name)?;
        self.0.call(6, Writer::new(272).put(16, name)).map(drop)
    }

    pub fn device_rename(&mut self, old: &str, new: &str) -> Result<(), Error> {
        let (old, new) = (device_name(old)?, device_name(new)?);
        self.0.call(7, Writer::new(528).put(16, old).put(271, new)).map(drop)
    }

    /// The device's sign of life: does it vote for this partition, whose ring this is?
    pub fn device_poll(&mut self, name: &str, cast_vote: bool, ring: RingId) -> Result<(), Error> {
        let request = Writer::new(296).put(16, device_name(name)?).u32(272, u32::from(cast_vote));
        self.0.call(8, request.u32(280, ring.node).u64(288, ring.sequence)).map(drop)
    }

    pub fn device_master_wins(&mut self, name: &str, allow: bool) -> Result<(), Error> {
        let request = Writer::new(280).put(16, device_name(name)?).u32(272, u32::from(allow));
        self.0.call(9, request).map(drop)
    }

    /// The next event, without waiting.
    pub fn poll_event(&mut self) -> Result<Option<VoteQuorumEvent>, Error> {
        while let Some((id, bytes)) = self.0.poll_event()? {
            if let Some(event) = decode(id, &bytes)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

fn device_name(name: &str) -> Result<&[u8], Error> {
    if name.len() >= MAX_DEVICE_NAME_BYTES {
        return Err(Error::TooLong { what: "device name", limit: MAX_DEVICE_NAME_BYTES - 1 });
    }
    Ok(name.as_bytes())
}

fn parse_info(answer: &[u8]) -> Result<NodeInfo, Error> {
    let reader = Reader::new(answer, "votequorum information");
    Ok(NodeInfo {
        node: reader.u32(24)?,
        state: NodeState::from_raw(reader.u32(28)?),
        votes: reader.u32(32)?,
        expected_votes: reader.u32(36)?,
        highest_expected: reader.u32(40)?,
        total_votes: reader.u32(44)?,
        quorum: reader.u32(48)?,
        flags: reader.u32(52)?,
        device_votes: reader.u32(56)?,
        device_name: reader.text(60, MAX_DEVICE_NAME_BYTES)?,
    })
}

fn decode(id: i32, bytes: &[u8]) -> Result<Option<VoteQuorumEvent>, Error> {
    let reader = Reader::new(bytes, "a votequorum event");
    match id {
        3 => {
            let list = reader.u32_list(48, reader.u32(40)?.saturating_mul(2))?;
            let nodes = list.chunks_exact(2).filter_map(|pair| match pair {
                [node, state] => Some((*node, NodeState::from_raw(*state))),
                _ => None,
            });
            Ok(Some(VoteQuorumEvent::Quorum {
                quorate: reader.u32(24)? != 0,
                context: reader.u64(32)?,
                nodes: nodes.collect(),
            }))
        }
        4 => Ok(Some(VoteQuorumEvent::ExpectedVotes { context: reader.u64(24)?, expected: reader.u32(32)? })),
        5 => Ok(Some(VoteQuorumEvent::Nodes {
            context: reader.u64(24)?,
            ring: RingId { node: reader.u32(32)?, sequence: reader.u64(40)? },
            members: reader.u32_list(56, reader.u32(48)?)?,
        })),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(id in 0i32..9, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(id, &bytes);
            let _ = parse_info(&bytes);
        }
    }
}
