//! The scheduler: a pure function from a CIB and a time to a decision.
//!
//! Read [`schedule`] first. It goes through stages, each in its own module, over one set of arenas
//! ([`Cluster`]):
//!
//! 1. `expand`: writes out what the configuration implies (templates, guests, bundles);
//! 2. `unpack`: nodes, resources and history become arenas;
//! 3. `constraints`: what is wanted where, with what, in which order;
//! 4. `assign`: which node gets which resource;
//! 5. `actions`: what has to be done for that;
//! 6. `order`: in which order, and what each action implies for others;
//! 7. `graph`: the transition.
//!
//! Status tools need only [`Cluster::unpack`]. There is no clock and no input or output here: the
//! time is an argument, messages are collected in [`Cluster::messages`].
//!
//! Behaviour is that of Pacemaker 3.0 (Pacemaker Explained); where an answer depends on the order of
//! lists or hash tables there, the order is kept.

mod actions;
mod assign;
mod cluster;
mod constraints;
mod decide;
mod deep;
pub mod digest;
mod expand;
mod fast_hash;
mod graph;
mod hash_order;
pub mod iso8601;
mod model;
mod order;
pub mod rules;
pub mod text;
mod trail;
mod unpack;

pub use cluster::{
    Cluster, Config, FailedOp, Level, Line, Message, NoQuorum, Options, Placement, add_scores,
};
pub use decide::{Decision, Error, check_input, schedule, schedule_shared};
pub use deep::with_deep_stack;
pub use graph::Graph;
pub use model::*;
pub use trail::Step;
