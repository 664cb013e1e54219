//! The crm command line.
