//! Clocks. All times are nanoseconds or milliseconds as the name says.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC: does not count while the machine is suspended, never jumps.
pub fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Milliseconds of CLOCK_MONOTONIC.
pub fn monotonic_ms() -> u64 {
    monotonic_ns() / 1_000_000
}

/// Nanoseconds of CLOCK_BOOTTIME: like monotonic but goes on through a suspend, so that the difference between
/// the two tells that the machine slept.
pub fn boottime_ns() -> u64 {
    nanoseconds(ClockId::Boottime)
}

/// Nanoseconds since 1970 of the wall clock. May jump.
pub fn realtime_ns() -> u64 {
    nanoseconds(ClockId::Realtime)
}

/// Seconds since 1970 UTC of the wall clock. For short commands: the first call of the others looks for the kernel's
/// own function, which takes longer than the call.
pub fn now_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds east of UTC of the local time zone (`TZ`, else `/etc/localtime`) at a moment, given in seconds since 1970
/// UTC.
pub fn utc_offset_s(at_s: i64) -> i32 {
    let at = jiff::Timestamp::from_second(at_s).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::tz::TimeZone::system().to_offset(at).seconds()
}

/// CPU time this thread used, ns. Together with [`monotonic_ns`] it tells whether the thread was kept from running.
pub fn thread_cpu_ns() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let t = clock_gettime(clock);
    (t.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(t.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn monotonic_advances() {
        let a = super::monotonic_ns();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(super::monotonic_ns() >= a + 2_000_000);
    }
}
