//! Timers as a table of deadlines.

use core::time::Duration;

use crate::time::Instant;

/// Everything that waits for time to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// No token for so long: the ring is broken.
    Token,
    /// Say in the log that the token is late.
    Warning,
    /// Send the last token again.
    Retransmit,
    /// The representative lets the held token go.
    Hold,
    /// Tell other rings that we exist.
    Merge,
    /// Repeat the join.
    Join,
    /// Send a join that was delayed at random.
    SendJoin,
    /// Those who have not agreed by now have failed.
    Consensus,
    /// Heartbeat of our own loop.
    Pause,
    /// Ask the representative to move a held token.
    Nudge,
    /// The first ring is formed with those who are here.
    Assembly,
    /// A probe of a suspect node was not refuted or confirmed.
    Probe,
}

const COUNT: usize = 12;

/// One deadline for each timer.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    deadlines: [Option<Instant>; COUNT],
}

const ALL: [Timer; COUNT] = [
    Timer::Pause,
    Timer::Probe,
    Timer::Hold,
    Timer::Retransmit,
    Timer::Nudge,
    Timer::SendJoin,
    Timer::Assembly,
    Timer::Join,
    Timer::Merge,
    Timer::Warning,
    Timer::Token,
    Timer::Consensus,
];

impl Timers {
    fn slot(&mut self, timer: Timer) -> Option<&mut Option<Instant>> {
        self.deadlines.get_mut(timer as usize)
    }

    /// Starts the timer anew.
    pub(crate) fn start(&mut self, timer: Timer, now: Instant, after: Duration) {
        if let Some(slot) = self.slot(timer) {
            *slot = Some(now.after(after));
        }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        if let Some(slot) = self.slot(timer) {
            *slot = None;
        }
    }

    pub(crate) fn stop_all(&mut self) {
        self.deadlines = [None; COUNT];
    }

    pub(crate) fn deadline(&self, timer: Timer) -> Option<Instant> {
        self.deadlines.get(timer as usize).copied().flatten()
    }

    pub(crate) fn is_running(&self, timer: Timer) -> bool {
        self.deadline(timer).is_some()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// Takes one expired timer: repairs come before accusations.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        let expired = ALL.into_iter().find(|timer| self.deadline(*timer).is_some_and(|at| at <= now))?;
        self.stop(expired);
        Some(expired)
    }
}
