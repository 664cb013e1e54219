//! Whole clusters in virtual time with faults, from a seed; cores only.
