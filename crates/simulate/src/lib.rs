//! crm_simulate: what-if runs over the scheduler, and the runner of its regression suite.

pub mod render;
pub mod sim;
pub mod suite;
