//! Child processes: own process group, output limits, exit through a pidfd.

use crate::{Errno, Result, signal};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a child's output goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Collected by [`Child::read_output`], standard output and error apart.
    #[default]
    Collect,
    /// /dev/null.
    Discard,
    /// Where our own goes.
    Inherit,
}

/// How to start a program.
#[derive(Clone, Debug, Default)]
pub struct Spawn {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// The whole environment if `clear_environment`, else additions to ours.
    pub environment: Vec<(OsString, OsString)>,
    pub clear_environment: bool,
    pub directory: Option<PathBuf>,
    /// Bytes for standard input (written at once: at most the 64 KiB that a pipe holds); else /dev/null.
    pub stdin: Option<Vec<u8>>,
    pub output: Output,
    /// Bytes kept of each stream; the rest is read and thrown away.
    pub output_limit_bytes: usize,
    /// Run as this user and group.
    pub user: Option<(u32, u32)>,
}

/// Bytes kept of each stream when the caller names no limit.
pub const DEFAULT_OUTPUT_LIMIT_BYTES: usize = 256 * 1024;
/// Most that may be given on standard input: the size of a pipe.
pub const MAX_STDIN_BYTES: usize = 64 * 1024;
/// Bytes read per stream and [`Child::read_output`] call.
const READ_BUDGET_BYTES: usize = 256 * 1024;

/// Has the program start with no signal blocked and SIGPIPE at its default: blocked signals are inherited, and a
/// program that is started by one which uses [`crate::SignalFd`] would otherwise never see SIGTERM or SIGCHLD.
pub fn reset_signals(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and calls only async-signal-safe functions.
    unsafe {
        command.pre_exec(|| {
            let mut set = std::mem::MaybeUninit::uninit();
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            Ok(())
        });
    }
}

impl Spawn {
    pub fn new(program: impl Into<PathBuf>) -> Spawn {
        Spawn { program: program.into(), output_limit_bytes: DEFAULT_OUTPUT_LIMIT_BYTES, ..Spawn::default() }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Spawn {
        self.args.push(arg.into());
        self
    }

    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Spawn {
        self.environment.push((key.into(), value.into()));
        self
    }

    /// Starts the program as leader of a new process group, with default signal handling and an empty signal mask.
    pub fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).process_group(0);
        reset_signals(&mut command);
        if self.clear_environment {
            command.env_clear();
        }
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        let sink = || match self.output {
            Output::Collect => Stdio::piped(),
            Output::Discard => Stdio::null(),
            Output::Inherit => Stdio::inherit(),
        };
        command.stdout(sink()).stderr(sink());
        command.stdin(self.stdin_for_child()?);
        let mut child = command.spawn()?;
        let pid = child.id() as i32;
        let raw = rustix::process::Pid::from_raw(pid).ok_or(Errno::SRCH)?;
        let pidfd = pidfd_open(raw, PidfdFlags::NONBLOCK)?;
        let stream = |fd: Option<OwnedFd>| -> Result<Stream> {
            if let Some(fd) = &fd {
                rustix::io::ioctl_fionbio(fd, true)?;
            }
            Ok(Stream { fd, kept: Vec::new(), total_bytes: 0 })
        };
        Ok(Child {
            pid,
            pidfd,
            stdout: stream(child.stdout.take().map(OwnedFd::from))?,
            stderr: stream(child.stderr.take().map(OwnedFd::from))?,
            limit: self.output_limit_bytes,
            exit: None,
        })
    }

    fn stdin_for_child(&self) -> io::Result<Stdio> {
        let Some(bytes) = &self.stdin else { return Ok(Stdio::null()) };
        if bytes.len() > MAX_STDIN_BYTES {
            return Err(io::Error::from(Errno::TOOBIG));
        }
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&write, true)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let n = rustix::io::write(&write, rest)?;
            rest = rest.get(n..).unwrap_or_default();
        }
        Ok(Stdio::from(read))
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildExit {
    Code(i32),
    Signal(i32),
}

#[derive(Debug)]
struct Stream {
    fd: Option<OwnedFd>,
    kept: Vec<u8>,
    total_bytes: u64,
}

impl Stream {
    /// Reads what is there; true at the end of the stream.
    fn drain(&mut self, limit: usize) -> bool {
        let mut buffer = [0u8; 16 * 1024];
        let mut budget = READ_BUDGET_BYTES;
        while budget > 0 {
            let Some(fd) = &self.fd else { return true };
            match rustix::io::read(fd, &mut buffer) {
                Ok(0) => self.fd = None,
                Ok(n) => {
                    budget = budget.saturating_sub(n);
                    self.total_bytes += n as u64;
                    let room = limit.saturating_sub(self.kept.len()).min(n);
                    self.kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
                }
                Err(Errno::AGAIN) => return false,
                Err(Errno::INTR) => {}
                Err(_) => self.fd = None,
            }
        }
        false
    }
}

/// A running child. Dropping it does not end the process; it does not reap it either.
#[derive(Debug)]
pub struct Child {
    pid: i32,
    pidfd: OwnedFd,
    stdout: Stream,
    stderr: Stream,
    limit: usize,
    exit: Option<ChildExit>,
}

impl Child {
    /// Process id, also the id of its process group.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Readable once the process has ended.
    pub fn exit_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Descriptor of the collected standard output, until its end was read.
    pub fn stdout_fd(&self) -> Option<BorrowedFd<'_>> {
        self.stdout.fd.as_ref().map(AsFd::as_fd)
    }

    /// Descriptor of the collected standard error, until its end was read.
    pub fn stderr_fd(&self) -> Option<BorrowedFd<'_>> {
        self.stderr.fd.as_ref().map(AsFd::as_fd)
    }

    /// Reads what both streams hold now. Returns (standard output ended, standard error ended): a descriptor whose
    /// stream ended is closed, so remove it from the poller *before* the call if you keep its number.
    pub fn read_output(&mut self) -> (bool, bool) {
        (self.stdout.drain(self.limit), self.stderr.drain(self.limit))
    }

    /// What was collected so far, cut at the limit.
    pub fn stdout(&self) -> &[u8] {
        &self.stdout.kept
    }

    /// What was collected so far, cut at the limit.
    pub fn stderr(&self) -> &[u8] {
        &self.stderr.kept
    }

    /// Bytes written by the child in all, also those thrown away (standard output, standard error).
    pub fn output_total_bytes(&self) -> (u64, u64) {
        (self.stdout.total_bytes, self.stderr.total_bytes)
    }

    /// How it ended, reaping it; `None` while it runs. The answer is kept.
    pub fn try_wait(&mut self) -> Result<Option<ChildExit>> {
        if self.exit.is_some() {
            return Ok(self.exit);
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        self.exit = match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
            Ok(None) | Err(Errno::AGAIN) => None,
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Some(ChildExit::Code(code)),
                (None, Some(signal)) => Some(ChildExit::Signal(signal)),
                (None, None) => None,
            },
            Err(e) => return Err(e),
        };
        Ok(self.exit)
    }

    /// Sends a signal to the whole process group, for instance SIGTERM first and SIGKILL later. A group that is gone
    /// is no error. After the leader was reaped nothing is sent, because the id may belong to somebody else.
    pub fn signal_group(&self, number: i32) -> Result<()> {
        if self.exit.is_some() {
            return Ok(());
        }
        match signal::kill_group(self.pid, number) {
            Err(Errno::SRCH) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Interest, wait_one};
    use std::time::Duration;

    fn finish(child: &mut Child) -> ChildExit {
        for _ in 0..500 {
            child.read_output();
            if let Some(exit) = child.try_wait().unwrap() {
                child.read_output();
                return exit;
            }
            wait_one(child.exit_fd(), Interest::READ, Some(Duration::from_millis(10))).unwrap();
        }
        panic!("child does not end");
    }

    fn shell(script: &str) -> Spawn {
        Spawn::new("/bin/sh").arg("-c").arg(script)
    }

    #[test]
    fn output_and_code_arrive() {
        let mut spawn = shell("cat; echo $A$HOME >&2; exit 7").env("A", "b");
        spawn.clear_environment = true;
        spawn.stdin = Some(b"hello".to_vec());
        let mut child = spawn.start().unwrap();
        assert_eq!(finish(&mut child), ChildExit::Code(7));
        assert_eq!(child.stdout(), b"hello");
        assert_eq!(child.stderr(), b"b\n");
    }

    #[test]
    fn signals_blocked_here_are_not_blocked_there() {
        let masks = |status: &str| -> Vec<u64> {
            let of_signals = status.lines().filter(|l| l.starts_with("SigBlk") || l.starts_with("SigIgn"));
            let mask = |line: &str| u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
            // Signals 32 and up are the C library's own business.
            of_signals.map(|line| mask(line) & 0x7FFF_FFFF).collect()
        };
        // What was ignored before us (under nohup, say) stays so. Rust itself ignores SIGPIPE, but not for children.
        let ignored = masks(&std::fs::read_to_string("/proc/self/status").unwrap())[1] & !(1 << (13 - 1));
        let blocked = std::thread::spawn(|| {
            let _fd = crate::SignalFd::new(&[signal::SIGTERM, signal::SIGCHLD]).unwrap();
            let mut child = shell("grep -E '^Sig(Blk|Ign)' /proc/self/status").start().unwrap();
            finish(&mut child);
            String::from_utf8_lossy(child.stdout()).into_owned()
        });
        let lines = blocked.join().unwrap();
        assert_eq!(masks(&lines), [0, ignored], "{lines}");
    }

    #[test]
    fn output_is_capped_and_a_flood_does_not_block() {
        let mut spawn = shell("head -c 1000000 /dev/zero");
        spawn.output_limit_bytes = 1000;
        let mut child = spawn.start().unwrap();
        assert_eq!(finish(&mut child), ChildExit::Code(0));
        while !child.read_output().0 {}
        assert_eq!((child.stdout().len(), child.output_total_bytes().0), (1000, 1_000_000));
    }

    #[test]
    fn group_is_killed_with_grandchildren() {
        let mut child = shell("trap '' TERM; sleep 100 & echo $!; wait; wait").start().unwrap();
        while child.stdout().is_empty() {
            child.read_output();
        }
        let grandchild: i32 = String::from_utf8_lossy(child.stdout()).trim().parse().unwrap();
        child.signal_group(signal::SIGTERM).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(child.try_wait().unwrap(), None);
        child.signal_group(signal::SIGKILL).unwrap();
        assert_eq!(finish(&mut child), ChildExit::Signal(signal::SIGKILL));
        let gone = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            let state = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        });
        assert!(gone);
    }
}
