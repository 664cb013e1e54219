//! One link to one host: heartbeats, latency, up and down.

use core::time::Duration;
use std::net::SocketAddr;

use totem::Instant;

use crate::config::LinkConfig;
use crate::event::{Fault, LinkStats, LinkStatus, earlier};
use crate::mtu::Discovery;

/// Pace of pings on a link that is about to come up. The reference keeps its interval (750 ms and three
/// pongs); every implementation answers each ping, so the pace is the sender's own business.
const FAST_PING: Duration = Duration::from_millis(10);
/// How long a link is pinged fast: after it was made, went down, or was heard of.
const FAST_FOR: Duration = Duration::from_secs(1);
/// Patience with a fresh or failed link, in multiples of the timeout; sinks by one each second
/// (KNET_LINK_PONG_TIMEOUT_BACKOFF of the reference).
const BACKOFF: u32 = 10;
/// A ping unanswered for longer than this many round trips makes a link suspect.
const SUSPECT_ROUND_TRIPS: u32 = 4;
/// Copies of a datagram on a link that loses many.
const COPIES_MAX: u8 = 4;
/// Bounds of the time after which a link is suspect.
const SUSPECT_MIN: Duration = Duration::from_millis(20);

/// State of one link.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) peer: SocketAddr,
    pub(crate) config: LinkConfig,
    pub(crate) is_up: bool,
    pub(crate) discovery: Discovery,
    /// Bytes of user data in a datagram, once known.
    pub(crate) mtu: Option<usize>,
    pub(crate) stats: LinkStats,
    pongs: u32,
    latency: Duration,
    samples: u32,
    last_pong: Instant,
    next_ping: Instant,
    fast_until: Instant,
    unanswered_since: Option<Instant>,
    last_ping_heard: Option<Instant>,
    refused_at: Option<Instant>,
    last_ping: Instant,
    loss: Loss,
    backoff: u32,
}

/// How many pings come back.
#[derive(Clone, Copy, Debug, Default)]
struct Loss {
    sent: u32,
    answered: u32,
}

impl Loss {
    /// Older pings count half after so many new ones.
    const WINDOW: u32 = 64;
    /// Below this many pings nothing is said.
    const LEAST: u32 = 12;
    /// Round trips that may fail before the link is called lossy.
    const TOLERATED: f64 = 0.05;
    /// What may go wrong with a message is what goes wrong with so few.
    const WANTED: f64 = 0.1;

    fn add_sent(&mut self) {
        self.sent += 1;
        if self.sent >= Self::WINDOW {
            self.sent /= 2;
            self.answered /= 2;
        }
    }

    fn add_answered(&mut self) {
        self.answered = (self.answered + 1).min(self.sent);
    }

    /// Share of packets lost one way, if that is worth speaking of. The last ping may still be under way.
    fn one_way(self) -> Option<f64> {
        if self.sent < Self::LEAST {
            return None;
        }
        let failed = self.sent.saturating_sub(self.answered).saturating_sub(1);
        let round_trip = f64::from(failed) / f64::from(self.sent);
        (round_trip > Self::TOLERATED).then(|| 1.0 - (1.0 - round_trip).sqrt())
    }

    /// How often each of `fragments` is to be sent so that the message arrives in most cases.
    fn copies(self, fragments: u8) -> u8 {
        let Some(lost) = self.one_way() else { return 1 };
        let wanted = Self::WANTED / f64::from(fragments.max(1));
        let lost = lost.clamp(0.01, 0.9);
        // So many that one less would lose too much.
        (2..=COPIES_MAX).rev().find(|n| lost.powi(i32::from(*n) - 1) > wanted).unwrap_or(1)
    }
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Up,
    Down,
    None,
}

fn fresh_stats() -> LinkStats {
    LinkStats { latency_min_us: u32::MAX, ..LinkStats::default() }
}

impl Link {
    pub(crate) fn clear_stats(&mut self) {
        self.stats = fresh_stats();
    }

    pub(crate) fn new(now: Instant, peer: SocketAddr, config: LinkConfig) -> Self {
        Self {
            peer,
            config,
            is_up: false,
            discovery: Discovery::new(peer.is_ipv6()),
            mtu: None,
            stats: fresh_stats(),
            pongs: 0,
            latency: Duration::ZERO,
            samples: 0,
            last_pong: now,
            next_ping: now,
            fast_until: now.after(FAST_FOR),
            unanswered_since: None,
            last_ping_heard: None,
            refused_at: None,
            last_ping: now,
            loss: Loss::default(),
            backoff: BACKOFF,
        }
    }

    /// How often each datagram of a message is to be sent. Receivers drop copies.
    pub(crate) fn copies(&self, fragments: u8) -> u8 {
        self.loss.copies(fragments)
    }

    pub(crate) fn latency(&self) -> Duration {
        self.latency
    }

    fn timeout(&self) -> Duration {
        self.config.ping_timeout * self.backoff + self.latency * 2
    }

    fn suspect_after(&self) -> Duration {
        (self.latency * SUSPECT_ROUND_TRIPS).clamp(SUSPECT_MIN, self.config.ping_timeout.max(SUSPECT_MIN))
    }

    /// True if a ping waits for its answer suspiciously long: traffic had better take another way as well.
    pub(crate) fn is_suspect(&self, now: Instant) -> bool {
        self.unanswered_since.is_some_and(|since| now.since(since) >= self.suspect_after())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let mut next = Some(self.next_ping);
        if self.is_up {
            next = earlier(next, Some(self.last_pong.after(self.timeout())));
            next = earlier(next, self.refused_at.map(|at| at.after(self.suspect_after())));
            next = earlier(next, self.discovery.deadline());
        }
        next
    }

    /// Once a second.
    pub(crate) fn relax(&mut self) {
        self.backoff = self.backoff.saturating_sub(1).max(1);
    }

    /// This process has not run for so long: nobody else is to blame for that silence.
    pub(crate) fn excuse(&mut self, pause: Duration) {
        self.last_pong = self.last_pong.after(pause);
        self.unanswered_since = self.unanswered_since.map(|at| at.after(pause));
        self.refused_at = self.refused_at.map(|at| at.after(pause));
    }

    /// Takes the next regular ping, if it is due.
    pub(crate) fn take_ping(&mut self, now: Instant) -> bool {
        if self.next_ping > now {
            return false;
        }
        let interval = self.config.ping_interval;
        // A link that is up is asked again as soon as an answer is overdue, so that losing some packets is told
        // apart from losing all within the timeout; a pong puts the next ping off to its regular time.
        let pause = match self.is_up {
            true if self.is_suspect(now) => FAST_PING.min(interval),
            true => self.suspect_after().min(interval),
            false if now < self.fast_until => FAST_PING.min(interval),
            false => interval,
        };
        self.last_ping = now;
        self.next_ping = now.after(pause);
        true
    }

    pub(crate) fn note_ping_sent(&mut self, now: Instant) {
        self.unanswered_since.get_or_insert(now);
        if self.is_up {
            self.loss.add_sent();
        }
    }

    /// Looks whether the link is still up.
    pub(crate) fn check(&mut self, now: Instant) -> Change {
        if !self.is_up {
            return Change::None;
        }
        let is_silent = now >= self.last_pong.after(self.timeout());
        let is_refused = self.refused_at.is_some_and(|at| now >= at.after(self.suspect_after()));
        if is_silent || is_refused { self.go_down(now) } else { Change::None }
    }

    pub(crate) fn go_down(&mut self, now: Instant) -> Change {
        let was_up = core::mem::take(&mut self.is_up);
        self.pongs = 0;
        self.mtu = None;
        self.discovery.stop();
        self.refused_at = None;
        self.backoff = BACKOFF;
        self.wake(now);
        if !was_up {
            return Change::None;
        }
        self.stats.down_count = self.stats.down_count.saturating_add(1);
        Change::Down
    }

    /// Pings fast for a while.
    fn wake(&mut self, now: Instant) {
        self.fast_until = now.after(FAST_FOR);
        self.next_ping = self.next_ping.min(now.after(FAST_PING));
    }

    /// The system of the peer says that nobody listens. That alone may be forged, so a ping goes out at
    /// once; silence after it is the second sign.
    pub(crate) fn handle_refused(&mut self, now: Instant) {
        if self.is_up && self.refused_at.is_none() {
            self.refused_at = Some(now);
            self.next_ping = now;
        }
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused_at.is_some()
    }

    /// A ping of the peer arrived. If the link is not up it is time to ping back: fast if the peer is news, else
    /// once for each, since the other direction may be broken for long.
    pub(crate) fn handle_ping(&mut self, now: Instant) {
        let last = self.last_ping_heard.replace(now);
        if self.is_up {
            return;
        }
        if last.is_none_or(|at| now.since(at) > self.config.ping_interval * 2) {
            self.wake(now);
        } else {
            self.next_ping = self.next_ping.min(now.after(FAST_PING));
        }
    }

    /// The answer to one of our pings arrived after `round_trip`.
    pub(crate) fn handle_pong(&mut self, now: Instant, round_trip: Duration) -> Change {
        self.unanswered_since = None;
        self.refused_at = None;
        self.last_pong = now;
        if self.is_up {
            self.loss.add_answered();
            self.next_ping = self.last_ping.after(self.config.ping_interval);
        }
        if round_trip > self.config.ping_timeout {
            return Change::None;
        }
        self.add_sample(round_trip);
        if self.is_up || self.latency >= self.timeout() {
            return Change::None;
        }
        if self.pongs < self.config.pong_count {
            self.pongs += 1;
            self.wake(now);
            return Change::None;
        }
        self.is_up = true;
        self.loss = Loss::default();
        self.next_ping = now.after(self.config.ping_interval);
        self.stats.up_count = self.stats.up_count.saturating_add(1);
        self.discovery.search_at(now);
        Change::Up
    }

    fn add_sample(&mut self, round_trip: Duration) {
        self.samples = self.samples.saturating_add(1).min(self.config.ping_precision.max(1));
        self.latency = (self.latency * (self.samples - 1) + round_trip) / self.samples;
        let micros = u32::try_from(self.latency.as_micros()).unwrap_or(u32::MAX);
        self.stats.latency_max_us = self.stats.latency_max_us.max(micros);
        self.stats.latency_min_us = self.stats.latency_min_us.min(micros);
    }

    /// What is wrong, if the link is down.
    fn fault(&self, now: Instant, host_is_reachable: bool) -> Option<Fault> {
        if self.is_up {
            return None;
        }
        let patience = self.config.ping_interval * 2 + FAST_FOR;
        let is_heard = self.last_ping_heard.is_some_and(|at| now.since(at) < patience);
        Some(match (is_heard, host_is_reachable) {
            (true, _) => Fault::Outgoing,
            (false, true) => Fault::Incoming,
            (false, false) => Fault::Silent,
        })
    }

    pub(crate) fn status(&self, now: Instant, host: u16, link: u8, host_is_reachable: bool) -> LinkStatus {
        let micros = |value: Duration| u32::try_from(value.as_micros()).unwrap_or(u32::MAX);
        LinkStatus {
            host,
            link,
            peer: self.peer,
            connected: self.is_up,
            mtu: u32::try_from(self.mtu.unwrap_or(0)).unwrap_or(u32::MAX),
            latency_us: micros(self.latency),
            latency_samples: self.samples,
            fault: self.fault(now, host_is_reachable),
            stats: self.stats.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        let config = LinkConfig {
            priority: 1,
            ping_interval: Duration::from_millis(750),
            ping_timeout: Duration::from_millis(1500),
            ping_precision: 2048,
            pong_count: 2,
        };
        Link::new(Instant(1), SocketAddr::from(([10, 0, 0, 1], 5405)), config)
    }

    fn at(ms: u64) -> Instant {
        Instant(1).after(Duration::from_millis(ms))
    }

    fn up() -> Link {
        let mut link = link();
        for ms in [1, 11, 21] {
            assert!(!link.is_up);
            link.handle_pong(at(ms), Duration::from_millis(1));
        }
        assert!(link.is_up);
        link
    }

    #[test]
    fn three_pongs_bring_it_up_in_a_moment() {
        let mut link = link();
        let sent: Vec<u64> = (0..100).filter(|ms| link.take_ping(at(*ms))).collect();
        assert_eq!(sent.get(..4), Some(&[0, 10, 20, 30][..]));
        assert!(up().is_up);
    }

    #[test]
    fn nobody_there_is_pinged_slowly_in_the_end() {
        let mut link = link();
        let sent = (0..10_000).filter(|ms| link.take_ping(at(*ms))).count();
        assert!((100..120).contains(&sent), "{sent}");
    }

    #[test]
    fn patience_sinks_to_the_timeout() {
        let mut link = up();
        assert_eq!(link.check(at(2000)), Change::None);
        for _ in 0..20 {
            link.relax();
        }
        assert_eq!(link.check(at(1500)), Change::None);
        assert_eq!(link.check(at(1530)), Change::Down);
        assert_eq!(link.check(at(1530)), Change::None);
        assert_eq!((link.stats.up_count, link.stats.down_count), (1, 1));
    }

    #[test]
    fn a_refusal_needs_a_second_sign() {
        let mut link = up();
        link.handle_refused(at(100));
        assert!(link.take_ping(at(100)));
        link.handle_pong(at(101), Duration::from_millis(1));
        assert_eq!(link.check(at(500)), Change::None);
        link.handle_refused(at(600));
        assert_eq!(link.check(at(601)), Change::None);
        assert_eq!(link.check(at(621)), Change::Down);
    }

    #[test]
    fn an_unanswered_ping_makes_it_suspect() {
        let mut link = up();
        link.note_ping_sent(at(100));
        assert!(!link.is_suspect(at(119)));
        assert!(link.is_suspect(at(125)));
        link.handle_pong(at(126), Duration::from_millis(26));
        assert!(!link.is_suspect(at(127)));
    }

    #[test]
    fn an_overdue_answer_is_asked_for_again() {
        let mut link = up();
        assert!(!link.take_ping(at(700)));
        assert!(link.take_ping(at(800)));
        assert!(!link.take_ping(at(815)));
        assert!(link.take_ping(at(820)));
        link.note_ping_sent(at(800));
        assert!(link.take_ping(at(840)));
        assert!(link.take_ping(at(850)));
        link.handle_pong(at(851), Duration::from_millis(1));
        assert!(!link.take_ping(at(1590)));
        assert!(link.take_ping(at(1600)));
    }

    #[test]
    fn copies_grow_with_loss_and_length() {
        let loss = |sent, answered| Loss { sent, answered };
        assert_eq!(loss(5, 0).copies(46), 1);
        assert_eq!(loss(60, 59).copies(46), 1);
        assert_eq!(loss(60, 58).copies(255), 1);
        // A fifth lost each way: 36 of 100 round trips fail.
        assert_eq!(loss(60, 38).copies(1), 2);
        assert_eq!(loss(60, 38).copies(46), 4);
        assert_eq!(loss(60, 52).copies(46), 3);
    }

    #[test]
    fn the_direction_of_a_fault_is_named() {
        let mut link = link();
        assert_eq!(link.fault(at(10), false), Some(Fault::Silent));
        assert_eq!(link.fault(at(10), true), Some(Fault::Incoming));
        link.handle_ping(at(20));
        assert_eq!(link.fault(at(30), false), Some(Fault::Outgoing));
        assert_eq!(up().fault(at(30), true), None);
    }
}
