//! Totem single-ring protocol as a sans-IO core: membership, total order, recovery, fragmentation.
//!
//! [`Totem`] is driven with packets, timeouts and messages and drained through its `poll_*` calls.
//! After every call drain in this order: [`Totem::poll_persist`] (store the number before anything
//! is sent), [`Totem::poll_event`], [`Totem::poll_transmit`], [`Totem::poll_note`],
//! [`Totem::poll_timeout`]. It owns no socket, no clock and no thread.

mod capability;
mod config;
mod event;
mod formation;
mod membership;
mod operational;
mod pack;
mod queue;
mod recovery;
mod state;
mod time;
mod timer;
mod token;
pub mod wire;

pub use config::{
    Config, OWN_CONSENSUS_MS, OWN_TOKEN_MS, TIMEOUT_MIN_MS, Timing, TimingError, TimingSettings,
};
pub use event::{Configuration, Delivery, Destination, Event, Level, Note, SendError, Stats, Transmit};
pub use pack::{MESSAGE_MAX, split, split_groups};
pub use state::{State, Totem};
pub use time::Instant;
pub use wire::ByteOrder;

/// Identity of a ring: the node that formed it and a sequence number that never repeats for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingId {
    pub rep: u32,
    pub seq: u64,
}

impl core::fmt::Display for RingId {
    /// As the reference prints it: node id and sequence in lower-case hexadecimal.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:x}.{:x}", self.rep, self.seq)
    }
}
