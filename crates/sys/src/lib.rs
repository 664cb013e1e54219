//! System calls: the only crate with unsafe code.
//!
//! Everything here is a thin, safe wrapper for one kernel facility. Nothing decides, nothing logs. Errors are
//! [`Errno`], which turns into `std::io::Error` by `into()`.

pub mod child;
pub mod clock;
pub mod entry;
pub mod memory;
pub mod namespace;
pub mod netlink;
pub mod nft;
pub mod packet;
pub mod pam;
pub mod poll;
pub mod pty;
pub mod rtnl;
pub mod shm;
pub mod signal;
pub mod socket;
pub mod udp;

pub use child::{Child, ChildExit, Spawn};
pub use poll::{EventFd, Interest, Poller, Ready, TimerFd};
pub use rustix::io::Errno;
pub use signal::SignalFd;
pub use socket::Credentials;

/// Result of a system call.
pub type Result<T> = std::result::Result<T, Errno>;

/// `errno` of the last failed libc call, as a typed error.
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Turns the -1 convention of libc into a `Result`.
pub(crate) fn check(rc: libc::c_int) -> Result<libc::c_int> {
    if rc < 0 { Err(last_errno()) } else { Ok(rc) }
}

/// The typed error for a raw errno value such as those carried in messages (sign ignored).
pub fn errno_from_raw(value: i32) -> Errno {
    Errno::from_raw_os_error(value.unsigned_abs() as i32)
}
