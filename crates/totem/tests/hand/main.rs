//! One member among others that are played by hand: packets that no well-behaved ring would bring at that moment.
//! With the reference's rules (`announce: false`), which both kinds of node follow.
#![allow(clippy::unwrap_used)]

mod membership;
mod recovery;
mod stage;
mod token;
