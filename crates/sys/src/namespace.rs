//! Namespaces and mounts.

use crate::{Errno, Result, check};
use rustix::mount::{MountFlags, MountPropagationFlags};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// A set of namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(i32);

impl Kinds {
    pub const USER: Kinds = Kinds(libc::CLONE_NEWUSER);
    pub const MOUNT: Kinds = Kinds(libc::CLONE_NEWNS);
    pub const UTS: Kinds = Kinds(libc::CLONE_NEWUTS);
    pub const IPC: Kinds = Kinds(libc::CLONE_NEWIPC);
    pub const PID: Kinds = Kinds(libc::CLONE_NEWPID);
    pub const NET: Kinds = Kinds(libc::CLONE_NEWNET);

    pub const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

/// Moves the calling thread into new namespaces (PID: its next children). A user namespace needs a process with one
/// thread only (`INVAL` otherwise).
pub fn unshare(kinds: Kinds) -> Result<()> {
    // SAFETY: affects only the calling thread; memory is not unshared.
    check(unsafe { libc::unshare(kinds.0) }).map(drop)
}

/// Names of namespaces under /proc/PID/ns, in an order in which they can be entered one after the other.
pub const ENTER_ORDER: [(&str, Kinds); 6] = [
    ("user", Kinds::USER),
    ("ipc", Kinds::IPC),
    ("uts", Kinds::UTS),
    ("net", Kinds::NET),
    ("pid", Kinds::PID),
    ("mnt", Kinds::MOUNT),
];

/// Opens a namespace of a process: "net", "mnt", "pid" …
pub fn open(pid: i32, name: &str) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    rustix::fs::open(format!("/proc/{pid}/ns/{name}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Moves the calling thread into a namespace (PID: its next children).
pub fn enter(namespace: impl AsFd, kind: Kinds) -> Result<()> {
    // SAFETY: affects only the calling thread.
    check(unsafe { libc::setns(namespace.as_fd().as_raw_fd(), kind.0) }).map(drop)
}

/// Moves the calling thread into all namespaces of a process that differ from its own.
pub fn enter_all_of(pid: i32) -> Result<()> {
    let mut handles = Vec::new();
    for (name, kind) in ENTER_ORDER {
        let (theirs, ours) = (
            identity(&format!("/proc/{pid}/ns/{name}"))?,
            identity(&format!("/proc/thread-self/ns/{name}"))?,
        );
        if theirs != ours {
            handles.push((open(pid, name)?, kind));
        }
    }
    for (handle, kind) in handles {
        enter(handle, kind)?;
    }
    Ok(())
}

/// Device and inode of a namespace file: equal means the same namespace.
pub fn identity(path: &str) -> Result<(u64, u64)> {
    let stat = rustix::fs::stat(path)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Writes the maps of a fresh user namespace: one user and one group of outside become root inside.
pub fn map_single_user(outside_uid: u32, outside_gid: u32) -> std::io::Result<()> {
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {outside_uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {outside_gid} 1"))
}

/// Keeps mounts made from now on from showing outside.
pub fn make_mounts_private() -> Result<()> {
    rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
}

/// Shows `source` (file or directory, with what is mounted below it) at `target`, which must exist.
pub fn bind(source: &Path, target: &Path) -> Result<()> {
    rustix::mount::mount_bind_recursive(source, target)
}

/// Mounts a new file system: "tmpfs", "proc", "sysfs" …
pub fn mount(kind: &str, target: &Path, options: &str) -> Result<()> {
    let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
    rustix::mount::mount(kind, target, kind, MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
}

/// Detaches what is mounted at `target`.
pub fn unmount(target: &Path) -> Result<()> {
    rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH)
}

pub fn set_host_name(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes())
}

/// Starts a new session without controlling terminal.
pub fn new_session() -> Result<()> {
    rustix::process::setsid().map(drop)
}

/// Makes orphaned descendants children of this process.
pub fn become_subreaper() -> Result<()> {
    // SAFETY: plain call.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1 as libc::c_ulong) }).map(drop)
}

/// Effective user id of this process.
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Effective group id of this process.
pub fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// Reaps one child that has ended, whichever it is; `None` if none has. Only for a process whose children are not
/// waited for elsewhere (process 1 of a PID namespace).
pub fn reap_any() -> Option<(i32, crate::ChildExit)> {
    let mut status = 0;
    // SAFETY: `status` lives for the call.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    if pid <= 0 {
        return None;
    }
    let exit = if libc::WIFEXITED(status) {
        crate::ChildExit::Code(libc::WEXITSTATUS(status))
    } else {
        crate::ChildExit::Signal(libc::WTERMSIG(status))
    };
    Some((pid, exit))
}
