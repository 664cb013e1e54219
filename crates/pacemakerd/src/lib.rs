//! The manager daemon around the manager's cores.
