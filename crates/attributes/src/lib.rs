//! Transient node attributes and their writer (core).
