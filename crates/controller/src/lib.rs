//! The controller as a sans-IO core: election, join, operation history and transition execution.
//!
//! Read [`Controller`] first. It is driven by `handle_*` calls (what arrives) with an [`Env`] (time and
//! the current CIB) and leaves its wishes in a queue that [`Controller::poll_output`] empties; call
//! [`Controller::poll_timeout`] after the queue is empty to learn when to call
//! [`Controller::handle_timeout`] at the latest.

mod core;
mod election;
mod event;
pub mod history;
mod join;
pub mod message;
mod peers;
mod rejoin;
mod shutdown;
mod transition;

pub use core::{Config, Controller, Env, Output, Role};
pub use election::Age;
pub use event::{OperationResult, TransitionKey};
pub use peers::Peer;
