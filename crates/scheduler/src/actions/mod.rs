//! Stage "actions": what has to be done, action by action.

pub(crate) mod cancel;
pub(crate) mod changes;
mod create;
mod fencing;
mod migrate;
mod notify;
mod primitive;
mod probes;
mod recurring;
mod remote;
