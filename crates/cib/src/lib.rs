//! The cluster information base as a core: what an operation does to it, and nothing else.
//!
//! Read [`perform`] first: current document + [`Request`] → [`Outcome`] or [`Failure`]. It keeps the
//! version counters ([`Version`]), refuses what is older or does not conform ([`schema`]), and gives
//! the patch that tells other nodes and clients what changed. No files, clock or sockets here.

mod ops;
pub mod options;
mod patchset;
mod perform;
pub mod schema;
mod sections;
mod transfer;
mod update;
pub mod upgrade;
mod version;

pub use patchset::{apply_patchset, make_patchset};
pub use perform::{Failure, Operation, Outcome, Request, is_configuration_change, perform, query};
pub use sections::{SECTIONS, parent_of, section_path};
pub use transfer::{Transfers, adopt, without_status};
pub use update::{merge, merge_or_fail};
pub use version::{Version, empty_cib};
