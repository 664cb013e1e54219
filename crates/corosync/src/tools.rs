//! The programs `corosync-*`.

pub mod keygen;
