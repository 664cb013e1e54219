//! Operations on local resources as a sans-IO core: one at a time per resource, recurring ones when
//! they are due, none longer than its time-out.
//!
//! Read [`Executor`] first. Feed it with [`Executor::execute`], [`Executor::finished`] and
//! [`Executor::handle_timeout`]; then empty [`Executor::poll_output`] and ask
//! [`Executor::poll_timeout`] for the next deadline.

mod core;
mod operation;

pub use core::{Executor, Output};
pub use operation::{Agent, BadOperation, Finish, FinishStatus, Operation, Report};
