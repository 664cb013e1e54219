//! Multi-link transport as a sans-IO core, compatible with libknet 1.2x and 1.3x on the wire.
//!
//! [`Knet`] carries messages of up to 64 KiB between hosts over up to eight links: heartbeats tell which
//! links work, messages are compressed, cut into fragments of the path MTU, encrypted and authenticated.
//! Messages may be lost, never damaged or doubled.
//!
//! It is driven with datagrams, timeouts and messages. After every call drain [`Knet::poll_deliver`],
//! [`Knet::poll_event`], [`Knet::poll_transmit`] and [`Knet::poll_note`], in any order, then ask for
//! [`Knet::next_deadline`]. It owns no socket, no clock and no randomness.

mod compress;
mod config;
mod crypto;
mod event;
mod fragment;
mod host;
mod keys;
mod link;
mod mtu;
mod receive;
mod seen;
mod state;
mod stopwatch;
mod window;
pub mod wire;

pub use compress::{Compression, DEFAULT_THRESHOLD_BYTES, Method, MethodError};
pub use config::{Config, LinkConfig, Policy};
pub use crypto::{
    CipherKind, Crypto, HashKind, KEY_MAX_BYTES, KEY_MIN_BYTES, KeyError, Keys, Overhead, SALT_BYTES,
};
pub use event::{
    Content, Delivery, Destination, Event, Fault, LinkStats, LinkStatus, SendFailure, Stats, Transmit,
};
pub use state::{Knet, SendError};
pub use stopwatch::{Stopwatch, Times, no_stopwatch};
