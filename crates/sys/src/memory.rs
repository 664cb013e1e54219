//! Real-time scheduling and locked memory.

use crate::{Result, check};

/// Locks memory (mlockall): each page stays once it was touched, and the program's own code is brought in at once, so
/// that a path taken for the first time in an emergency needs no disk. Untouched parts of large buffers, such as
/// the rings of the IPC, cost nothing.
pub fn lock_all() -> Result<()> {
    use rustix::mm::{MlockAllFlags, mlockall};
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (start, end) in maps.lines().filter_map(code_range) {
        // SAFETY: only reads pages of a mapping that exists; a range that is gone meanwhile gives an error, which
        // like an old kernel's means that the pages come in when they are needed.
        let _ = unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_POPULATE_READ) };
    }
    Ok(())
}

/// Start and end of a mapping of a file with code, from a line of /proc/PID/maps.
fn code_range(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_whitespace();
    let (range, rights) = (words.next()?, words.next()?);
    let path = words.nth(3)?;
    if !rights.starts_with("r-x") || !path.starts_with('/') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    (start < end).then_some((start, end))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_ranges_are_found() {
        let line = "55d000-56e000 r-xp 0000 fd:00 12 /usr/bin/x";
        assert_eq!(code_range(line), Some((0x55d000, 0x56e000)));
        assert_eq!(code_range("55d000-56e000 rw-p 0000 fd:00 12 /usr/bin/x"), None);
        assert_eq!(code_range("7ff000-800000 r-xp 0000 00:00 0 [vdso]"), None);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(maps.lines().filter_map(code_range).count() > 0);
    }

    #[test]
    fn large_untouched_buffers_stay_out_of_memory() {
        if unlimited_memlock().is_err() || lock_all().is_err() {
            println!("LEFT OUT: no right to lock memory");
            return;
        }
        let resident = || -> u64 {
            let text = std::fs::read_to_string("/proc/self/statm").unwrap();
            text.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let before = resident();
        let file = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&file, 64 << 20).unwrap();
        let map = crate::shm::SharedMap::twice(&file, 64 << 20).unwrap();
        map.store(0, 1).unwrap();
        // Other tests run beside this one: far less than the 16,384 pages of the buffer.
        assert!(resident() < before + 8_000);
    }
}
