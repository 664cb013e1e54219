//! The process groups of the manager: one connection per group, sends in order, retried while the
//! engine is busy.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use clients::Error;
use clients::{Cpg, CpgEvent, Guarantee, Reason};

use crate::frame::PeerMessage;

/// Messages that may wait for one group while the engine is busy.
const MAX_QUEUED: usize = 10_000;

/// A group of the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Cib,
    Controller,
    Attributes,
    Fencer,
    Manager,
}

impl Group {
    pub const ALL: [Group; 5] =
        [Group::Cib, Group::Controller, Group::Attributes, Group::Fencer, Group::Manager];

    /// The name on the ring, with its NUL.
    fn name(self) -> &'static [u8] {
        match self {
            Group::Cib => b"cib\0",
            Group::Controller => b"crmd\0",
            Group::Attributes => b"attrd\0",
            Group::Fencer => b"stonith-ng\0",
            Group::Manager => b"pacemakerd\0",
        }
    }

    fn kind(self) -> i32 {
        match self {
            Group::Cib => 3,
            Group::Controller => 4,
            Group::Attributes => 5,
            Group::Fencer => 9,
            Group::Manager => 1,
        }
    }
}

/// One group's connection.
#[derive(Debug)]
pub struct Member {
    pub group: Group,
    cpg: Cpg,
    queue: VecDeque<Vec<u8>>,
    counter: u32,
    own_name: String,
}

/// What a group reports.
#[derive(Debug)]
pub enum BusEvent {
    Message {
        node: u32,
        message: PeerMessage,
    },
    /// Nodes with a process in the group now, and nodes that have left as a whole.
    Members {
        nodes: Vec<u32>,
        dead: Vec<u32>,
    },
    /// A message that cannot be read.
    Garbled {
        node: u32,
        reason: String,
    },
}

impl Member {
    /// # Errors
    /// What the engine says.
    pub fn join(group: Group, own_name: &str) -> Result<Member, Error> {
        let mut cpg = Cpg::open()?;
        cpg.join(group.name(), false)?;
        Ok(Member { group, cpg, queue: VecDeque::new(), counter: 0, own_name: own_name.to_string() })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.cpg.fd()
    }

    /// Queues a message for one node (by name) or all.
    ///
    /// # Errors
    /// [`Error::TryAgain`] when too many wait: the engine is stuck.
    pub fn send(&mut self, to: Option<&str>, text: String) -> Result<(), Error> {
        if self.queue.len() >= MAX_QUEUED {
            return Err(Error::TryAgain);
        }
        self.counter = self.counter.wrapping_add(1);
        let message = PeerMessage {
            to_id: 0,
            to_name: to.unwrap_or("").to_string(),
            from_id: 0,
            from_pid: std::process::id(),
            from_name: self.own_name.clone(),
            kind: self.group.kind(),
            message_id: self.counter,
            text,
        };
        self.queue.push_back(message.encode());
        self.flush()
    }

    /// Sends what waits, as far as the engine takes it.
    ///
    /// # Errors
    /// What the engine says, but for "try again".
    pub fn flush(&mut self) -> Result<(), Error> {
        self.cpg.set_retry(Duration::ZERO);
        while let Some(frame) = self.queue.front() {
            match self.cpg.mcast(Guarantee::Agreed, &[frame]) {
                Ok(()) => {
                    self.queue.pop_front();
                }
                Err(Error::TryAgain) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The next thing that happened.
    ///
    /// # Errors
    /// What the engine says; the connection is of no more use then.
    pub fn poll(&mut self) -> Result<Option<BusEvent>, Error> {
        next(|| self.cpg.poll_event())
    }
}

/// The next event that means something. `None` only when nothing is left: until then the engine takes us for awake
/// and does not wake us.
fn next(mut poll: impl FnMut() -> Result<Option<CpgEvent>, Error>) -> Result<Option<BusEvent>, Error> {
    while let Some(event) = poll()? {
        if let Some(event) = report(event) {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// What an event of the group means for the manager, if anything: the quorum service tells of changes of the ring.
fn report(event: CpgEvent) -> Option<BusEvent> {
    match event {
        CpgEvent::Message { node, data, .. } => Some(match PeerMessage::decode(&data) {
            Ok(message) => BusEvent::Message { node, message },
            Err(error) => BusEvent::Garbled { node, reason: error.to_string() },
        }),
        CpgEvent::Membership { members, left, .. } => {
            let dead = left.iter().filter(|gone| gone.reason == Reason::NodeDown).map(|gone| gone.node);
            Some(BusEvent::Members {
                nodes: members.iter().map(|member| member.node).collect(),
                dead: dead.collect(),
            })
        }
        CpgEvent::Ring { .. } => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]
mod tests {
    use super::*;
    use clients::RingId;

    #[test]
    fn what_follows_a_change_of_the_ring_is_not_left_behind() {
        let ring = || CpgEvent::Ring { ring: RingId { node: 1, sequence: 4 }, members: vec![1, 2] };
        let message = CpgEvent::Message { group: b"cib\0".to_vec(), node: 2, pid: 5, data: vec![1, 2, 3] };
        let mut waiting = VecDeque::from([ring(), ring(), message, ring()]);
        let first = next(|| Ok(waiting.pop_front())).unwrap();
        assert!(matches!(first, Some(BusEvent::Garbled { node: 2, .. })), "{first:?}");
        assert!(next(|| Ok(waiting.pop_front())).unwrap().is_none());
        assert!(waiting.is_empty(), "the ring's event was left");
    }
}
