//! The pcs command line.
