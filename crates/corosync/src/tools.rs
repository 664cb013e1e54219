//! The programs `corosync-*`. Each takes the words after its name and returns its exit status.

mod arguments;
mod cfg;
mod cmap;
mod cpg;
mod keygen;
mod quorum;

pub use cfg::cfgtool;
pub use cmap::cmapctl;
pub use cpg::cpgtool;
pub use keygen::main as keygen;
pub use quorum::quorumtool;

use clients::{Error, Status};

const EXIT_OK: i32 = 0;
const EXIT_FAILURE: i32 = 1;

/// The code that the reference's libraries would return.
fn code(error: &Error) -> Status {
    error.status().unwrap_or(Status::LIBRARY)
}
