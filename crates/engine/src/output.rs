//! What the services hand out, and the outbox they share.

use std::collections::VecDeque;

use bytes::Bytes;
use totem::{Instant, Level, RingId};

use crate::map::Map;

/// The services that clients connect to, with their numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    Cmap = 0,
    Cfg = 1,
    Cpg = 2,
    Quorum = 3,
    Votequorum = 5,
}

impl Service {
    /// All services in the order of their numbers, which is the order of synchronisation.
    pub const ALL: [Self; 5] = [Self::Cmap, Self::Cfg, Self::Cpg, Self::Quorum, Self::Votequorum];

    /// Name of the IPC server.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cmap => "cmap",
            Self::Cfg => "cfg",
            Self::Cpg => "cpg",
            Self::Quorum => "quorum",
            Self::Votequorum => "votequorum",
        }
    }
}

/// One connection of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client {
    pub service: Service,
    /// Number that the driver gave the connection; unique within the service.
    pub conn: u64,
}

/// Statistics that are cleared together (keys `stats.clear.*` of cmap).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counters {
    Links,
    Clients,
    Ring,
    Pauses,
    All,
}

impl Counters {
    /// What a key means; None if it is not one of those.
    pub(crate) fn from_key(key: &str) -> Option<Self> {
        Some(match key.strip_prefix("stats.clear.")? {
            "knet" => Self::Links,
            "ipc" => Self::Clients,
            "totem" => Self::Ring,
            "schedmiss" => Self::Pauses,
            "all" => Self::All,
            _ => return None,
        })
    }

    /// True if `part` is meant.
    #[must_use]
    pub fn has(self, part: Self) -> bool {
        self == part || self == Self::All
    }
}

/// A message to other nodes or to a client. What a client wants to tell stays in the memory that it arrived in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub head: Vec<u8>,
    /// What follows the head; empty in most messages.
    pub body: Bytes,
}

impl Message {
    /// Head and body.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.body]
    }

    /// All of it in one piece.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.parts().concat()
    }
}

impl From<Vec<u8>> for Message {
    fn from(head: Vec<u8>) -> Self {
        Self { head, body: Bytes::new() }
    }
}

/// What the driver has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send to all members in total order.
    Multicast { group: &'static [u8], message: Message },
    /// Answer to a request.
    Respond { client: Client, bytes: Vec<u8> },
    /// Unasked message to a client.
    Event { client: Client, message: Message },
    /// Tell the ring that this configuration is synchronised.
    Synchronised(RingId),
    /// Make clients wait (true) or let them go on (false).
    Flow { stop: bool },
    /// A line for the log.
    Log { level: Level, subsystem: &'static str, text: String },
    /// Leave the ring and end.
    Shutdown,
    /// Another node ordered our end: stop at once.
    Kill,
    /// Read the configuration again, then call [`crate::Engine::apply_reload`].
    Reload,
    /// Send with the new keys from now on.
    ActivateKey,
    /// All nodes send with the new keys: forget the old ones.
    ForgetOldKey,
    /// Close and open the log files.
    ReopenLogs,
    /// Keys under `uidgid.` have changed: others may connect now.
    AccessChanged,
    /// Statistics are to start anew.
    ClearStats(Counters),
    /// Keys under `logging.` have changed.
    LoggingChanged,
    /// Store the barrier of expected_votes_tracking durably.
    StoreEvTracking(u32),
}

/// Everything that a service may touch besides its own state.
pub(crate) struct Ctx<'a> {
    pub(crate) me: u32,
    pub(crate) now: Instant,
    pub(crate) map: &'a mut Map,
    pub(crate) out: &'a mut VecDeque<Output>,
}

impl Ctx<'_> {
    pub(crate) fn multicast(&mut self, message: impl Into<Message>) {
        self.out.push_back(Output::Multicast { group: b"a", message: message.into() });
    }

    pub(crate) fn respond(&mut self, client: Client, bytes: Vec<u8>) {
        self.out.push_back(Output::Respond { client, bytes });
    }

    pub(crate) fn event(&mut self, client: Client, message: impl Into<Message>) {
        self.out.push_back(Output::Event { client, message: message.into() });
    }

    pub(crate) fn log(&mut self, level: Level, subsystem: &'static str, text: impl Into<String>) {
        self.out.push_back(Output::Log { level, subsystem, text: text.into() });
    }
}
