//! Node ids, scores, exit codes, durations and named limits: the vocabulary of every other crate.
//!
//! Read [`Score`] and [`ExitCode`] first.

mod exit;
mod interval;
mod nearest;
mod ocf;
mod score;

pub use exit::{CibError, ExitCode};
pub use interval::parse_interval_ms;
pub use nearest::nearest;
pub use ocf::OcfExit;
pub use score::{INFINITY, Score};

/// Feature set that we announce and write into histories: that of Pacemaker 2.1.5's interface.
pub const CRM_FEATURE_SET: &str = "3.16.1";
/// Schema that new configurations are validated with.
pub const CURRENT_SCHEMA: &str = "pacemaker-3.9";
/// Our own version, shown wherever the reference shows its own.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
