//! crm_simulate: what-if runs over the scheduler, and the runner of its regression suite.

pub mod execute;
pub mod fake;
pub mod inject;
pub mod record;
pub mod render;
pub mod sim;
pub mod suite;
pub mod summary;
