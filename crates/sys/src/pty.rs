//! Pseudo-terminals.

use crate::{Result, check};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// A terminal: the side of the person (non-blocking), and the side of the program.
#[derive(Debug)]
pub struct Terminal {
    pub person: OwnedFd,
    pub program: OwnedFd,
}

impl Terminal {
    /// Opens a terminal of a size in characters.
    pub fn open(columns: u16, rows: u16) -> Result<Terminal> {
        let (mut person, mut program) = (-1, -1);
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: both numbers are written before success is reported; name and settings are not asked for.
        check(unsafe {
            libc::openpty(&mut person, &mut program, std::ptr::null_mut(), std::ptr::null(), &size)
        })?;
        // SAFETY: both descriptors were just created and are not stored elsewhere.
        let terminal = unsafe {
            Terminal { person: OwnedFd::from_raw_fd(person), program: OwnedFd::from_raw_fd(program) }
        };
        rustix::io::fcntl_setfd(&terminal.person, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::fcntl_setfd(&terminal.program, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&terminal.person, true)?;
        Ok(terminal)
    }
}

/// Starts a session whose controlling terminal is `terminal`. The process must not lead a process group.
pub fn take_controlling_terminal(terminal: impl AsFd) -> Result<()> {
    crate::namespace::new_session()?;
    // SAFETY: the descriptor is open; 0 means not to steal the terminal of another session.
    check(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Interest, wait_one};
    use std::time::Duration;

    #[test]
    fn what_is_typed_is_echoed() {
        let terminal = Terminal::open(80, 24).unwrap();
        rustix::io::write(&terminal.person, b"hi\n").unwrap();
        let mut line = [0; 8];
        assert_eq!(rustix::io::read(&terminal.program, &mut line).unwrap(), 3);
        wait_one(&terminal.person, Interest::READ, Some(Duration::from_secs(1))).unwrap();
        let n = rustix::io::read(&terminal.person, &mut line).unwrap();
        assert_eq!(&line[..n], b"hi\r\n");
    }
}
