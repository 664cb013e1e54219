//! crm_simulate: what-if runs over the scheduler, and the runner of its regression suite.

mod cli;
pub mod execute;
pub mod fake;
pub mod generate;
pub mod inject;
mod profile;
pub mod random;
pub mod record;
pub mod render;
pub mod sim;
pub mod suite;
pub mod summary;
pub mod why;

pub use cli::{Live, main};
