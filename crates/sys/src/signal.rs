//! Signals as descriptors, and sending them.

use crate::{Errno, Result, check};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub use libc::{
    SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};

/// Signals delivered through a descriptor instead of a handler.
///
/// The signals are blocked in the calling thread (and threads it starts later), so create it first in `main`.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    pub fn new(signals: &[i32]) -> Result<SignalFd> {
        let set = signal_set(signals);
        // SAFETY: `set` is initialised; the old mask is not asked for.
        let rc = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        if rc != 0 {
            return Err(Errno::from_raw_os_error(rc));
        }
        // SAFETY: `set` is initialised; -1 asks for a new descriptor.
        let fd = check(unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        // SAFETY: `fd` was just created and is not stored elsewhere.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next pending signal number, if any.
    pub fn next_signal(&self) -> Option<i32> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer has exactly the size of one record.
        let n = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if n != size as isize {
            return None;
        }
        // SAFETY: the kernel filled the whole record.
        Some(unsafe { info.assume_init() }.ssi_signo as i32)
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn signal_set(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set; sigaddset refuses numbers out of range by itself.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Makes writes to closed pipes and sockets return EPIPE (Rust's runtime does so already in `main`).
pub fn ignore_sigpipe() {
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Lets a write to a closed pipe end the program quietly, as command-line tools do.
pub fn default_sigpipe() {
    // SAFETY: SIG_DFL is a valid disposition.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Sends a signal to one process. Process ids below 2 are refused: they mean groups or everything.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    if pid < 2 {
        return Err(Errno::INVAL);
    }
    // SAFETY: plain call.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Sends a signal to every process of a process group.
pub fn kill_group(group: i32, signal: i32) -> Result<()> {
    if group < 2 {
        return Err(Errno::INVAL);
    }
    // SAFETY: plain call.
    check(unsafe { libc::kill(-group, signal) }).map(drop)
}

/// Sends a signal to every process that this one may signal, itself excepted. Only for process 1 of a PID namespace.
pub fn kill_all_others(signal: i32) -> Result<()> {
    if std::process::id() != 1 {
        return Err(Errno::PERM);
    }
    // SAFETY: plain call; -1 is limited to the PID namespace whose process 1 we are.
    check(unsafe { libc::kill(-1, signal) }).map(drop)
}

/// True while a process with this id exists (a zombie too).
pub fn process_exists(pid: i32) -> bool {
    !matches!(kill(pid, 0), Err(Errno::SRCH | Errno::INVAL))
}

/// Has this process receive `signal` when the thread that started it ends.
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    // SAFETY: plain call.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_arrives_on_descriptor() {
        std::thread::spawn(|| {
            let fd = SignalFd::new(&[SIGUSR1]).unwrap();
            assert_eq!(fd.next_signal(), None);
            // SAFETY: raises a signal that this thread blocks.
            unsafe { libc::pthread_kill(libc::pthread_self(), SIGUSR1) };
            assert_eq!(fd.next_signal(), Some(SIGUSR1));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn dangerous_pids_are_refused() {
        assert_eq!(kill(-1, 0), Err(Errno::INVAL));
        assert_eq!(kill(0, 0), Err(Errno::INVAL));
        assert_eq!(kill_group(1, 0), Err(Errno::INVAL));
        assert_eq!(kill_all_others(0), Err(Errno::PERM));
    }
}
