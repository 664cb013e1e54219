//! Memory shared with other processes: mappings, futexes, and semaphores in glibc's layout.
//!
//! Another process may change or *truncate* the memory at any time. So no reference into a mapping ever leaves
//! this module: bytes are copied in and out, words go through atomics, every offset is checked. A truncated file
//! would raise SIGBUS on the next touch; a handler then puts an empty private page there and marks the mapping as
//! [`SharedMap::is_poisoned`], so that one bad client cannot end the process.

use crate::{Errno, Result, check};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Mappings that may exist at once in a process (guards against SIGBUS are kept in a fixed table).
pub const MAX_MAPPINGS: usize = 16 * 1024;

struct Guard {
    start: AtomicUsize,
    length: AtomicUsize,
    poisoned: AtomicBool,
}

static GUARDS: [Guard; MAX_MAPPINGS] = [const {
    Guard { start: AtomicUsize::new(0), length: AtomicUsize::new(0), poisoned: AtomicBool::new(false) }
}; MAX_MAPPINGS];
/// One past the highest slot ever used: the handler looks no further.
static GUARDS_USED: AtomicUsize = AtomicUsize::new(0);
static HANDLER: Once = Once::new();

extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo; for SIGBUS si_addr is set.
    let address = unsafe { (*info).si_addr() } as usize;
    // SAFETY: sysconf is a plain query.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    for guard in GUARDS.iter().take(GUARDS_USED.load(Ordering::Acquire)) {
        let start = guard.start.load(Ordering::Acquire);
        let length = guard.length.load(Ordering::Acquire);
        if start == 0 || address < start || address >= start + length {
            continue;
        }
        guard.poisoned.store(true, Ordering::Release);
        let base = address & !(page - 1);
        // SAFETY: mmap is async-signal-safe; the page lies inside a mapping that this module owns.
        let mapped = unsafe {
            libc::mmap(
                base as *mut libc::c_void,
                page,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        if mapped != libc::MAP_FAILED {
            return;
        }
    }
    // Not ours: let the default action happen when the instruction is repeated.
    // SAFETY: SIG_DFL is a valid disposition.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

fn install_handler() {
    HANDLER.call_once(|| {
        // SAFETY: the action is fully initialised before use; the handler only calls async-signal-safe functions.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_sigbus as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
        }
    });
}

fn register(start: usize, length: usize) -> Result<usize> {
    install_handler();
    for (slot, guard) in GUARDS.iter().enumerate() {
        if guard.start.compare_exchange(0, start, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            guard.poisoned.store(false, Ordering::Release);
            guard.length.store(length, Ordering::Release);
            GUARDS_USED.fetch_max(slot + 1, Ordering::AcqRel);
            return Ok(slot);
        }
    }
    Err(Errno::NOMEM)
}

/// A readable and writable MAP_SHARED mapping of a file.
#[derive(Debug)]
pub struct SharedMap {
    start: NonNull<u8>,
    length: usize,
    slot: usize,
}

// SAFETY: the mapping is only touched through atomics and raw copies, as if by another process.
unsafe impl Send for SharedMap {}
// SAFETY: as above.
unsafe impl Sync for SharedMap {}

impl SharedMap {
    /// Maps the first `length` bytes of `file`, which must be at least that long.
    pub fn new(file: impl AsFd, length: usize) -> Result<SharedMap> {
        if length == 0 {
            return Err(Errno::INVAL);
        }
        check_file_length(&file, length)?;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_fd().as_raw_fd(),
                0,
            )
        };
        Self::adopt(start, length)
    }

    /// Maps `length` bytes (a multiple of the page size) twice in a row, so that a record which runs over the end
    /// of a ring is contiguous. Offsets 0 to 2 × `length` are valid.
    pub fn twice(file: impl AsFd, length: usize) -> Result<SharedMap> {
        if length == 0 || !length.is_multiple_of(rustix::param::page_size()) {
            return Err(Errno::INVAL);
        }
        check_file_length(&file, length)?;
        let both = length.checked_mul(2).ok_or(Errno::INVAL)?;
        // SAFETY: reserves fresh address space at an address that the kernel chooses.
        let start = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(std::ptr::null_mut(), both, libc::PROT_NONE, flags, -1, 0)
        };
        let map = Self::adopt(start, both)?;
        for half in [0, length] {
            // SAFETY: replaces a part of the reservation made above, which nobody else uses yet.
            let mapped = unsafe {
                libc::mmap(
                    map.start.as_ptr().add(half).cast(),
                    length,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED | libc::MAP_FIXED,
                    file.as_fd().as_raw_fd(),
                    0,
                )
            };
            if mapped == libc::MAP_FAILED {
                return Err(crate::last_errno());
            }
        }
        Ok(map)
    }

    fn adopt(start: *mut libc::c_void, length: usize) -> Result<SharedMap> {
        if start == libc::MAP_FAILED {
            return Err(crate::last_errno());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
        match register(start.as_ptr() as usize, length) {
            Ok(slot) => Ok(SharedMap { start, length, slot }),
            Err(e) => {
                // SAFETY: the mapping was made by the caller and is used nowhere else.
                unsafe { libc::munmap(start.as_ptr().cast(), length) };
                Err(e)
            }
        }
    }

    /// Length in bytes of the whole mapping.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.length
    }

    /// True once the file was truncated under us: what is read is no longer shared with anybody.
    pub fn is_poisoned(&self) -> bool {
        GUARDS.get(self.slot).is_some_and(|g| g.poisoned.load(Ordering::Acquire))
    }

    fn range(&self, offset: usize, length: usize) -> Result<*mut u8> {
        let end = offset.checked_add(length).ok_or(Errno::FAULT)?;
        if end > self.length {
            return Err(Errno::FAULT);
        }
        // SAFETY: `offset` lies inside the mapping.
        Ok(unsafe { self.start.as_ptr().add(offset) })
    }

    fn word(&self, offset: usize) -> Result<&AtomicU32> {
        let at = self.range(offset, 4)?;
        if !(at as usize).is_multiple_of(4) {
            return Err(Errno::FAULT);
        }
        // SAFETY: inside the mapping, aligned, and only ever accessed as an atomic by this process.
        Ok(unsafe { AtomicU32::from_ptr(at.cast()) })
    }

    fn double_word(&self, offset: usize) -> Result<&AtomicU64> {
        let at = self.range(offset, 8)?;
        if !(at as usize).is_multiple_of(8) {
            return Err(Errno::FAULT);
        }
        // SAFETY: inside the mapping, aligned, and only ever accessed as an atomic by this process.
        Ok(unsafe { AtomicU64::from_ptr(at.cast()) })
    }

    /// Reads an aligned 32-bit word (acquire). `FAULT` if it lies outside or is not aligned.
    pub fn load(&self, offset: usize) -> Result<u32> {
        Ok(self.word(offset)?.load(Ordering::Acquire))
    }

    /// Writes an aligned 32-bit word (release).
    pub fn store(&self, offset: usize, value: u32) -> Result<()> {
        self.word(offset)?.store(value, Ordering::Release);
        Ok(())
    }

    /// Replaces an aligned 32-bit word if it has a certain value. True: it had.
    pub fn exchange(&self, offset: usize, from: u32, to: u32) -> Result<bool> {
        let outcome = self.word(offset)?.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        Ok(outcome.is_ok())
    }

    /// Adds to an aligned 32-bit word and returns the former value.
    pub fn fetch_add(&self, offset: usize, value: u32) -> Result<u32> {
        Ok(self.word(offset)?.fetch_add(value, Ordering::AcqRel))
    }

    /// Copies `bytes` into the mapping.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        let at = self.range(offset, bytes.len())?;
        // SAFETY: the range was checked; `bytes` is ordinary memory that cannot overlap a mapping of ours.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
        Ok(())
    }

    /// Copies bytes out of the mapping.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        let at = self.range(offset, into.len())?;
        // SAFETY: the range was checked; `into` is ordinary memory that cannot overlap a mapping of ours.
        unsafe { std::ptr::copy_nonoverlapping(at, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// A copy of bytes in the mapping.
    pub fn read_vec(&self, offset: usize, length: usize) -> Result<Vec<u8>> {
        let at = self.range(offset, length)?;
        let mut bytes: Vec<u8> = Vec::with_capacity(length);
        // SAFETY: the range was checked; the fresh memory has room for `length` bytes and cannot overlap a mapping of
        // ours; all of them are written before the length says so.
        unsafe {
            std::ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), length);
            bytes.set_len(length);
        }
        Ok(bytes)
    }

    /// The semaphore (glibc `sem_t` for 64-bit machines, process-shared) at an offset divisible by 8.
    pub fn semaphore(&self, offset: usize) -> Result<Semaphore<'_>> {
        Ok(Semaphore { state: self.double_word(offset)?, private: self.word(offset + 8)? })
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value alone and no reference into it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        if let Some(guard) = GUARDS.get(self.slot) {
            guard.length.store(0, Ordering::Release);
            guard.start.store(0, Ordering::Release);
        }
    }
}

fn check_file_length(file: impl AsFd, length: usize) -> Result<()> {
    let stat = rustix::fs::fstat(file)?;
    if (stat.st_size as u64) < length as u64 { Err(Errno::INVAL) } else { Ok(()) }
}

/// A semaphore in shared memory that glibc's `sem_wait`, `sem_timedwait` and `sem_post` understand: the value is
/// the low half of a 64-bit word, the number of waiters the high half.
#[derive(Debug)]
pub struct Semaphore<'a> {
    state: &'a AtomicU64,
    private: &'a AtomicU32,
}

const ONE_WAITER: u64 = 1 << 32;
/// glibc keeps the flag that it *removes* from its futex calls: with it they work between processes.
const PROCESS_SHARED: u32 = libc::FUTEX_PRIVATE_FLAG as u32;
const VALUE_MASK: u64 = 0xFFFF_FFFF;

impl Semaphore<'_> {
    /// Sets the value and marks it as shared between processes.
    pub fn init(&self, value: u32) {
        self.private.store(PROCESS_SHARED, Ordering::Relaxed);
        self.state.store(u64::from(value), Ordering::Release);
    }

    /// The value now: how many waits would succeed.
    pub fn value(&self) -> u32 {
        (self.state.load(Ordering::Acquire) & VALUE_MASK) as u32
    }

    /// Adds one and wakes a waiter. A value at its limit stays there (a client that posts without end).
    pub fn post(&self) {
        let before = self.state.load(Ordering::Relaxed);
        if before & VALUE_MASK >= i32::MAX as u64 {
            return;
        }
        let before = self.state.fetch_add(1, Ordering::Release);
        if before >> 32 != 0 {
            // SAFETY: the futex word is the low half of `state`, alive as long as `self`.
            unsafe { libc::syscall(libc::SYS_futex, self.futex_word(), libc::FUTEX_WAKE, 1) };
        }
    }

    /// Takes one without waiting; false if there is none.
    pub fn try_wait(&self) -> bool {
        self.take(1)
    }

    /// Takes one, waiting at most `timeout`; false if the time passed.
    pub fn wait(&self, timeout: Duration) -> bool {
        if self.take(1) {
            return true;
        }
        let deadline = crate::clock::monotonic_ns().saturating_add(timeout.as_nanos() as u64);
        self.state.fetch_add(ONE_WAITER, Ordering::Relaxed);
        loop {
            if self.take(1 + ONE_WAITER) {
                return true;
            }
            let left = deadline.saturating_sub(crate::clock::monotonic_ns());
            if left == 0 {
                self.state.fetch_sub(ONE_WAITER, Ordering::Relaxed);
                return false;
            }
            let spec = crate::poll::timespec(Duration::from_nanos(left));
            // SAFETY: the futex word is the low half of `state`; `spec` lives for the call.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.futex_word(),
                    libc::FUTEX_WAIT,
                    0,
                    std::ptr::from_ref(&spec),
                )
            };
        }
    }

    fn take(&self, amount: u64) -> bool {
        let update =
            |state: u64| if state & VALUE_MASK == 0 { None } else { Some(state.wrapping_sub(amount)) };
        self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, update).is_ok()
    }

    fn futex_word(&self) -> *const u32 {
        let at = self.state.as_ptr().cast::<u32>().cast_const();
        if cfg!(target_endian = "big") { at.wrapping_add(1) } else { at }
    }
}

/// Creates a new file of `length` zero bytes for sharing: never follows links, never reuses an existing file.
pub fn create_file(dir: impl AsFd, name: &str, length: u64, mode: u32) -> Result<std::os::fd::OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&dir, name, flags, Mode::from_raw_mode(mode))?;
    // Pages come with their first use: most of a ring is never touched. A full file system then shows as a poisoned
    // mapping, not as a signal.
    if let Err(e) = rustix::fs::ftruncate(&fd, length) {
        let _ = rustix::fs::unlinkat(&dir, name, rustix::fs::AtFlags::empty());
        return Err(e);
    }
    Ok(fd)
}

/// Changes owner and group of an open file or directory.
pub fn change_owner(file: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: plain call on a descriptor that is open.
    check(unsafe { libc::fchown(file.as_fd().as_raw_fd(), uid, gid) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn memory_file(length: u64) -> std::os::fd::OwnedFd {
        let fd = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&fd, length).unwrap();
        fd
    }

    #[test]
    fn second_half_is_the_first() {
        let page = rustix::param::page_size();
        let map = SharedMap::twice(memory_file(page as u64), page).unwrap();
        map.write(page - 2, b"abcd").unwrap();
        let mut start = [0; 2];
        map.read(0, &mut start).unwrap();
        assert_eq!(&start, b"cd");
        assert_eq!(map.read(2 * page - 1, &mut start), Err(Errno::FAULT));
    }

    #[test]
    fn short_file_is_refused() {
        assert_eq!(SharedMap::new(memory_file(10), 100).unwrap_err(), Errno::INVAL);
    }

    #[test]
    fn truncation_poisons_instead_of_killing() {
        let page = rustix::param::page_size();
        let file = memory_file(2 * page as u64);
        let map = SharedMap::twice(&file, 2 * page).unwrap();
        map.store(page, 5).unwrap();
        rustix::fs::ftruncate(&file, 0).unwrap();
        assert!(!map.is_poisoned());
        assert_eq!(map.load(page).unwrap(), 0);
        assert!(map.is_poisoned());
        map.store(0, 1).unwrap();
        assert_eq!(map.load(0).unwrap(), 1);
    }

    #[test]
    fn semaphore_hands_over_between_threads() {
        let map = Arc::new(SharedMap::new(memory_file(4096), 4096).unwrap());
        map.semaphore(8).unwrap().init(0);
        assert!(!map.semaphore(8).unwrap().wait(Duration::from_millis(3)));
        let other = Arc::clone(&map);
        let waiter = std::thread::spawn(move || {
            (0..1000).all(|_| other.semaphore(8).unwrap().wait(Duration::from_secs(5)))
        });
        for _ in 0..1000 {
            map.semaphore(8).unwrap().post();
        }
        assert!(waiter.join().unwrap());
        assert_eq!(map.semaphore(8).unwrap().value(), 0);
        assert!(!map.semaphore(8).unwrap().try_wait());
    }
}
