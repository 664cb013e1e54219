//! How long encryption and compression take: for statistics only, nothing is decided by it.

/// A reading of some clock that only goes forward, in nanoseconds. The core has none of its own.
pub type Stopwatch = fn() -> u64;

/// A clock that stands still.
#[must_use]
pub fn no_stopwatch() -> u64 {
    0
}

/// Times of one kind of work in nanoseconds (libknet's `knet_handle_stats`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The largest number there is, until something was measured, as in libknet.
    pub min_ns: u64,
    pub max_ns: u64,
    total_ns: u64,
    count: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { min_ns: u64::MAX, max_ns: 0, total_ns: 0, count: 0 }
    }
}

impl Times {
    /// 0 until something was measured.
    #[must_use]
    pub fn average_ns(&self) -> u64 {
        self.total_ns.checked_div(self.count).unwrap_or(0)
    }

    pub(crate) fn note(&mut self, time_ns: u64) {
        self.min_ns = self.min_ns.min(time_ns);
        self.max_ns = self.max_ns.max(time_ns);
        self.total_ns = self.total_ns.saturating_add(time_ns);
        self.count = self.count.saturating_add(1);
    }

    /// Does some work and counts how long it took.
    pub(crate) fn measure<T>(&mut self, stopwatch: Stopwatch, work: impl FnOnce() -> T) -> T {
        let start = stopwatch();
        let result = work();
        self.note(stopwatch().saturating_sub(start));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_shortest_the_longest_and_between() {
        let mut times = Times::default();
        assert_eq!((times.min_ns, times.max_ns, times.average_ns()), (u64::MAX, 0, 0));
        for time in [40, 10, 70] {
            times.note(time);
        }
        assert_eq!((times.min_ns, times.max_ns, times.average_ns()), (10, 70, 40));
    }
}
