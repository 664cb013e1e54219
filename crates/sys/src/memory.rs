//! Real-time scheduling and locked memory.

use crate::{Result, check};

/// Locks all present and future pages in memory (mlockall).
pub fn lock_all() -> Result<()> {
    rustix::mm::mlockall(rustix::mm::MlockAllFlags::CURRENT | rustix::mm::MlockAllFlags::FUTURE)
}

/// Lifts the limit for locked memory, so that [`lock_all`] cannot make later allocations fail.
pub fn unlimited_memlock() -> Result<()> {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` lives for the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) }).map(drop)
}

/// SCHED_RR for the calling thread. `priority` 0 means the highest the kernel offers; children start with the
/// ordinary policy again.
pub fn round_robin(priority: i32) -> Result<()> {
    // SAFETY: plain call.
    let max = check(unsafe { libc::sched_get_priority_max(libc::SCHED_RR) })?;
    let param =
        libc::sched_param { sched_priority: if priority == 0 { max } else { priority.clamp(1, max) } };
    // SAFETY: `param` lives for the call; 0 is the calling thread.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &param) })
        .map(drop)
}

/// Lowers the process' `nice` value (negative is more urgent, -20 to 19).
pub fn set_nice(nice: i32) -> Result<()> {
    // SAFETY: plain call; 0 is the calling process.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}

/// Moves the calling process to the root of the CPU controller's tree, where real-time time slices exist
/// (cgroup v1 with RT group scheduling only). Quietly does nothing elsewhere.
pub fn leave_cpu_cgroup() {
    let path = "/sys/fs/cgroup/cpu/tasks";
    if std::path::Path::new(path).exists() {
        let _ = std::fs::write(path, std::process::id().to_string());
    }
}
