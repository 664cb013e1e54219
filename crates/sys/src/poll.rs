//! epoll, eventfd, timerfd.

use crate::{Errno, Result, check};
use rustix::event::epoll;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// What to wait for on a descriptor. Errors and hang-ups are always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
}

impl Interest {
    pub const NONE: Interest = Interest { read: false, write: false };
    pub const READ: Interest = Interest { read: true, write: false };
    pub const WRITE: Interest = Interest { read: false, write: true };
    pub const BOTH: Interest = Interest { read: true, write: true };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags
    }
}

/// One descriptor that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The token given at [`Poller::add`].
    pub token: u64,
    pub readable: bool,
    pub writable: bool,
    /// The other side is gone for good (EPOLLHUP).
    pub hangup: bool,
    /// An error is pending on the descriptor (EPOLLERR), for instance in a socket's error queue.
    pub error: bool,
}

/// Events taken from the kernel per [`Poller::wait`]; the rest follow at the next call.
const EVENTS_PER_WAIT: usize = 64;

/// An epoll instance, level triggered. Itself a descriptor, so pollers nest.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub fn new() -> Result<Poller> {
        Ok(Poller { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<()> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())
    }

    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<()> {
        epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())
    }

    pub fn remove(&self, fd: impl AsFd) -> Result<()> {
        epoll::delete(&self.epoll, fd)
    }

    /// Waits until something is ready, the timeout passes (`None`: for ever) or a signal arrives; replaces the
    /// contents of `ready`. Resolution of the timeout is nanoseconds.
    pub fn wait(&self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> Result<()> {
        ready.clear();
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_PER_WAIT];
        let spec = timeout.map(timespec);
        let spec_ptr = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `events` has room for EVENTS_PER_WAIT entries, `spec_ptr` is null or points to a live timespec.
        let rc = unsafe {
            libc::epoll_pwait2(
                self.epoll.as_raw_fd(),
                events.as_mut_ptr(),
                EVENTS_PER_WAIT as libc::c_int,
                spec_ptr,
                std::ptr::null(),
            )
        };
        let count = match check(rc) {
            Ok(n) => n as usize,
            Err(Errno::INTR) => 0,
            Err(e) => return Err(e),
        };
        ready.extend(events.iter().take(count).map(|event| {
            let bits = event.events;
            let has = |bit: libc::c_int| bits & bit as u32 != 0;
            Ready {
                token: event.u64,
                readable: has(libc::EPOLLIN),
                writable: has(libc::EPOLLOUT),
                hangup: has(libc::EPOLLHUP),
                error: has(libc::EPOLLERR),
            }
        }));
        Ok(())
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

pub(crate) fn timespec(d: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(d.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: d.subsec_nanos() as libc::c_long,
    }
}

/// Waits until `fd` is ready as wished, at most `timeout` (`None`: for ever). `Ok(None)` means the time is over.
pub fn wait_one(fd: impl AsFd, interest: Interest, timeout: Option<Duration>) -> Result<Option<Ready>> {
    let deadline = timeout.map(|t| crate::clock::monotonic_ns().saturating_add(t.as_nanos() as u64));
    loop {
        let left = deadline.map(|d| Duration::from_nanos(d.saturating_sub(crate::clock::monotonic_ns())));
        let mut events = 0;
        if interest.read {
            events |= libc::POLLIN;
        }
        if interest.write {
            events |= libc::POLLOUT;
        }
        let mut pollfd = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 };
        let spec = left.map(timespec);
        let spec_ptr = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: one valid pollfd; `spec_ptr` is null or points to a live timespec; no signal mask.
        let rc = unsafe { libc::ppoll(&mut pollfd, 1, spec_ptr, std::ptr::null()) };
        match check(rc) {
            Ok(0) => return Ok(None),
            Ok(_) => {
                let has = |bit: libc::c_short| pollfd.revents & bit != 0;
                return Ok(Some(Ready {
                    token: 0,
                    readable: has(libc::POLLIN),
                    writable: has(libc::POLLOUT),
                    hangup: has(libc::POLLHUP),
                    error: has(libc::POLLERR) || has(libc::POLLNVAL),
                }));
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// A counter that another thread raises to wake a poller.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> Result<EventFd> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(EventFd(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Makes the descriptor readable. Never blocks.
    pub fn notify(&self) {
        // A full counter (EAGAIN) is readable already, which is all that is wanted.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable again.
    pub fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A one-shot timer on CLOCK_MONOTONIC as a descriptor.
#[derive(Debug)]
pub struct TimerFd(OwnedFd);

impl TimerFd {
    pub fn new() -> Result<TimerFd> {
        // SAFETY: plain call; the returned descriptor is owned by nobody else.
        let fd = check(unsafe {
            libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK)
        })?;
        // SAFETY: `fd` was just created and is not stored elsewhere.
        Ok(TimerFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Fires once after `delay` (zero fires at once); `None` disarms.
    pub fn set(&self, delay: Option<Duration>) -> Result<()> {
        let value = match delay {
            None => Duration::ZERO,
            // A zero it_value would disarm instead of firing.
            Some(d) => d.max(Duration::from_nanos(1)),
        };
        let spec = libc::itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(value) };
        // SAFETY: `spec` lives for the call; the old value is not asked for.
        check(unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &spec, std::ptr::null_mut()) })?;
        Ok(())
    }

    /// True if it fired since the last call.
    pub fn take(&self) -> bool {
        matches!(rustix::io::read(&self.0, &mut [0u8; 8]), Ok(8))
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_pollers_report_inner_readiness() {
        let (outer, inner, event) = (Poller::new().unwrap(), Poller::new().unwrap(), EventFd::new().unwrap());
        inner.add(&event, 7, Interest::READ).unwrap();
        outer.add(&inner, 9, Interest::READ).unwrap();
        let mut ready = Vec::new();
        outer.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert!(ready.is_empty());
        event.notify();
        outer.wait(&mut ready, Some(Duration::from_secs(1))).unwrap();
        assert_eq!(ready.iter().map(|r| r.token).collect::<Vec<_>>(), [9]);
        inner.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert_eq!(ready.iter().map(|r| r.token).collect::<Vec<_>>(), [7]);
        event.clear();
        outer.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert!(ready.is_empty());
    }

    #[test]
    fn timer_fires_after_its_delay() {
        let timer = TimerFd::new().unwrap();
        timer.set(Some(Duration::from_millis(5))).unwrap();
        assert!(!timer.take());
        let start = crate::clock::monotonic_ns();
        assert!(wait_one(&timer, Interest::READ, Some(Duration::from_secs(2))).unwrap().is_some());
        assert!(crate::clock::monotonic_ns() - start >= 4_000_000);
        assert!(timer.take());
        assert!(wait_one(&timer, Interest::READ, Some(Duration::from_millis(1))).unwrap().is_none());
    }
}
