//! Quorum: may this partition act, and who is in it (`quorum_overview(3)`).

use crate::RingId;
use crate::connection::Connection;
use crate::error::Error;
use crate::wire::{Reader, Writer};
use std::os::fd::BorrowedFd;

const TRACK_CURRENT: u32 = 1;
const TRACK_CHANGES: u32 = 2;
const TRACK_STOP: u32 = 4;

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumEvent {
    /// Quorum and members (model 0).
    State { quorate: bool, ring_sequence: u64, members: Vec<u32> },
    /// Quorum and members with the whole ring id (model 1).
    Quorum { quorate: bool, ring: RingId, members: Vec<u32> },
    /// The ring's members changed (model 1); comes before the quorum is known.
    Nodes { ring: RingId, members: Vec<u32>, joined: Vec<u32>, left: Vec<u32> },
}

/// A connection to the quorum service.
#[derive(Debug)]
pub struct Quorum {
    connection: Connection,
    enabled: bool,
}

impl Quorum {
    /// Opens with model 0, as Pacemaker does.
    pub fn open() -> Result<Quorum, Error> {
        let mut connection = Connection::open("quorum")?;
        let answer = connection.call(3, Writer::new(16))?;
        let enabled = Reader::new(&answer, "quorum type").u32(24)? != 0;
        Ok(Quorum { connection, enabled })
    }

    /// Opens with model 1: events carry the ring id, and node lists come apart.
    pub fn open_v1() -> Result<Quorum, Error> {
        let mut connection = Connection::open("quorum")?;
        let answer = connection.call(4, Writer::new(24).u32(16, 1))?;
        let enabled = Reader::new(&answer, "quorum type").u32(24)? != 0;
        Ok(Quorum { connection, enabled })
    }

    /// How long calls are repeated while the engine says "try again" (default 20 s; zero: not at all).
    pub fn set_retry(&mut self, retry_for: std::time::Duration) {
        self.connection.set_retry(retry_for);
    }

    /// True if a quorum provider is configured; otherwise every partition is quorate.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.connection.fd()
    }

    pub fn is_quorate(&mut self) -> Result<bool, Error> {
        let answer = self.connection.call(0, Writer::new(16))?;
        Ok(Reader::new(&answer, "quorum state").u32(24)? != 0)
    }

    /// Asks for events: one with the present state if `current`, and one at each change if `changes`.
    pub fn track(&mut self, current: bool, changes: bool) -> Result<(), Error> {
        let mut flags = 0;
        if current {
            flags |= TRACK_CURRENT;
        }
        if changes {
            flags |= TRACK_CHANGES;
        }
        self.connection.call(1, Writer::new(24).u32(16, flags)).map(drop)
    }

    pub fn track_stop(&mut self) -> Result<(), Error> {
        self.connection.call(2, Writer::new(24).u32(16, TRACK_STOP)).map(drop)
    }

    /// The next event, without waiting.
    pub fn poll_event(&mut self) -> Result<Option<QuorumEvent>, Error> {
        while let Some((id, bytes)) = self.connection.poll_event()? {
            if let Some(event) = decode(id, &bytes)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

fn decode(id: i32, bytes: &[u8]) -> Result<Option<QuorumEvent>, Error> {
    let reader = Reader::new(bytes, "a quorum event");
    match id {
        3 => Ok(Some(QuorumEvent::State {
            quorate: reader.u32(24)? != 0,
            ring_sequence: reader.u64(32)?,
            members: reader.u32_list(44, reader.u32(40)?)?,
        })),
        6 => Ok(Some(QuorumEvent::Quorum {
            quorate: reader.u32(24)? != 0,
            ring: RingId { node: reader.u32(32)?, sequence: reader.u64(40)? },
            members: reader.u32_list(52, reader.u32(48)?)?,
        })),
        7 => {
            let (members, joined, left) = (reader.u32(40)?, reader.u32(48)?, reader.u32(56)?);
            let after_members = 60 + members as usize * 4;
            let after_joined = after_members + joined as usize * 4;
            Ok(Some(QuorumEvent::Nodes {
                ring: RingId { node: reader.u32(24)?, sequence: reader.u64(32)? },
                members: reader.u32_list(60, members)?,
                joined: reader.u32_list(after_members, joined)?,
                left: reader.u32_list(after_joined, left)?,
            }))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_events_never_panic(id in 0i32..9, bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = decode(id, &bytes);
        }
    }

    #[test]
    fn node_lists_are_told_apart() {
        let event = Writer::new(60).u32(24, 1).u64(32, 9).u32(40, 2).u32(48, 1).u32(56, 1);
        let event = event.put(60, &[1u32, 2, 2, 5].map(u32::to_ne_bytes).concat()).finish(7);
        let ring = RingId { node: 1, sequence: 9 };
        assert_eq!(
            decode(7, &event).unwrap(),
            Some(QuorumEvent::Nodes { ring, members: vec![1, 2], joined: vec![2], left: vec![5] })
        );
    }
}
