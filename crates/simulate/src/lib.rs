//! crm_simulate: what-if runs over the scheduler.
