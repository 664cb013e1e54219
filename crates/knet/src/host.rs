//! One other host: its links, and what was received of it.

use std::collections::BTreeMap;

use totem::Instant;

use crate::config::Policy;
use crate::fragment::Reassembly;
use crate::link::Link;
use crate::window::{WINDOW, Window};
use crate::wire::Beat;

/// Messages that a sender may have sent since its last ping: two periods of the pings that it sends for that.
const AHEAD_MAX: u16 = u16::MAX / 4;

/// State of one host.
#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) links: BTreeMap<u8, Link>,
    pub(crate) window: Window,
    pub(crate) reassembly: Reassembly,
    pub(crate) is_reachable: bool,
    /// Its pings carry our mark.
    pub(crate) is_own_kind: bool,
    /// Best link of the passive policy, to notice a change.
    pub(crate) best: Option<u8>,
    last_timed_seq: Option<u16>,
    last_untimed_seq: Option<u16>,
    /// Time in the newest ping, by the sender's clock: what is not newer may be an old one sent again.
    newest_ping: Option<(u64, u64)>,
    /// Sequence in the newest ping.
    ping_seq: Option<u16>,
    got_data: bool,
    /// Where round robin goes on.
    turn: usize,
}

impl Host {
    pub(crate) fn has_link_up(&self) -> bool {
        self.links.values().any(|link| link.is_up)
    }

    /// The link of the highest priority that is up; the lowest number among equals.
    pub(crate) fn best_link(&self) -> Option<u8> {
        let up = self.links.iter().filter(|(_, link)| link.is_up);
        up.max_by_key(|(number, link)| (link.config.priority, core::cmp::Reverse(**number)))
            .map(|(number, _)| *number)
    }

    /// Links that carry the next message.
    pub(crate) fn choose(&mut self, now: Instant, policy: Policy) -> Vec<u8> {
        let up: Vec<u8> =
            self.links.iter().filter(|(_, link)| link.is_up).map(|(number, _)| *number).collect();
        let first = match policy {
            Policy::Active => return up,
            Policy::Passive => self.best_link(),
            Policy::RoundRobin => {
                self.turn = self.turn.wrapping_add(1);
                up.get(self.turn.checked_rem(up.len()).unwrap_or(0)).copied()
            }
        };
        let Some(first) = first else { return Vec::new() };
        if !self.is_suspect(first, now) {
            return vec![first];
        }
        // Its last ping is unanswered: the message goes over the next link that is sound as well. The
        // receiver drops the second copy.
        let sound = up.iter().filter(|number| **number != first && !self.is_suspect(**number, now));
        let second = sound.max_by_key(|number| self.links.get(number).map(|link| link.config.priority));
        let second = second.or_else(|| up.iter().find(|number| **number != first));
        core::iter::once(first).chain(second.copied()).collect()
    }

    fn is_suspect(&self, number: u8, now: Instant) -> bool {
        self.links.get(&number).is_some_and(|link| link.is_suspect(now))
    }

    /// Forgets what was received, when no link is left.
    pub(crate) fn forget_received(&mut self) {
        self.window.clear();
        self.reassembly.clear();
        self.newest_ping = None;
        self.ping_seq = None;
    }

    /// False for a number so far from what was received that it must be an old message sent again: a sender
    /// that went on without us said so in its pings.
    pub(crate) fn is_plausible(&self, seq: u16) -> bool {
        let is_near = |named: u16| seq.wrapping_sub(named) < AHEAD_MAX || named.wrapping_sub(seq) < WINDOW;
        !self.window.is_far(seq) || self.ping_seq.is_none_or(is_near)
    }

    pub(crate) fn note_data(&mut self) {
        self.got_data = true;
    }

    /// The sequence in a ping tells of restarts, and of messages to others.
    pub(crate) fn handle_ping_seq(&mut self, beat: &Beat) {
        let time = clock_of(beat.time);
        if self.newest_ping.is_some_and(|newest| time <= newest) {
            return;
        }
        self.newest_ping = Some(time);
        self.ping_seq = Some(beat.seq);
        if beat.timed != 0 {
            if self.last_timed_seq.replace(beat.seq) != Some(beat.seq) && beat.seq == 0 {
                self.restart(0);
            }
            return;
        }
        if self.last_untimed_seq.replace(beat.seq) == Some(beat.seq) {
            return;
        }
        if core::mem::take(&mut self.got_data) {
            self.window.reach(beat.seq);
        } else {
            self.restart(beat.seq);
        }
    }

    fn restart(&mut self, seq: u16) {
        self.window.restart(seq);
        self.reassembly.clear();
    }
}

/// Seconds and nanoseconds as every implementation lays them out, in the sender's byte order. The last four bytes
/// are a nonce of ours or zero.
fn clock_of(time: [u8; 16]) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = time;
    let nanos = u32::from_ne_bytes([i, j, k, l]);
    (u64::from_ne_bytes([a, b, c, d, e, f, g, h]), u64::from(nanos))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::net::SocketAddr;

    use super::*;
    use crate::config::LinkConfig;

    fn host(priorities: &[u8]) -> Host {
        let mut host = Host::default();
        for (number, priority) in (0u8..).zip(priorities) {
            let config = LinkConfig {
                priority: *priority,
                ping_interval: Duration::from_millis(100),
                ping_timeout: Duration::from_millis(200),
                ping_precision: 10,
                pong_count: 1,
            };
            let mut link = Link::new(Instant(1), SocketAddr::from(([10, 0, number, 1], 5405)), config);
            link.is_up = true;
            host.links.insert(number, link);
        }
        host
    }

    #[test]
    fn passive_takes_the_highest_priority_then_the_lowest_number() {
        assert_eq!(host(&[1, 1, 1]).choose(Instant(1), Policy::Passive), [0]);
        let mut host = host(&[1, 5, 5]);
        assert_eq!(host.choose(Instant(1), Policy::Passive), [1]);
        host.links.get_mut(&1).expect("there").is_up = false;
        assert_eq!(host.choose(Instant(1), Policy::Passive), [2]);
    }

    #[test]
    fn a_suspect_link_gets_company() {
        let mut host = host(&[3, 1, 2]);
        host.links.get_mut(&0).expect("there").note_ping_sent(Instant(1));
        let later = Instant(1).after(Duration::from_millis(100));
        assert_eq!(host.choose(later, Policy::Passive), [0, 2]);
    }

    #[test]
    fn round_robin_and_active() {
        let mut host = host(&[1, 1, 1]);
        let mut turns: Vec<u8> = (0..6).flat_map(|_| host.choose(Instant(1), Policy::RoundRobin)).collect();
        turns.sort_unstable();
        assert_eq!(turns, [0, 0, 1, 1, 2, 2]);
        assert_eq!(host.choose(Instant(1), Policy::Active), [0, 1, 2]);
    }

    #[test]
    fn a_restarted_sender_is_heard_again() {
        let mut host = host(&[1]);
        host.window.reach(100);
        host.window.set_delivered(1);
        let beat = |seconds: u64, seq| {
            let mut time = [0; 16];
            time[..8].copy_from_slice(&seconds.to_ne_bytes());
            Beat { link: 0, time, seq, timed: 1 }
        };
        host.handle_ping_seq(&beat(5, 100));
        host.handle_ping_seq(&beat(5, 0));
        host.handle_ping_seq(&beat(4, 0));
        assert!(host.window.is_delivered(1), "an old ping means nothing");
        host.handle_ping_seq(&beat(6, 0));
        assert!(!host.window.is_delivered(1));
    }

    #[test]
    fn a_far_number_needs_a_ping_that_explains_it() {
        let mut host = host(&[1]);
        host.window.reach(10_000);
        assert!(host.is_plausible(100), "nothing is known yet");
        let mut time = [0; 16];
        time[0] = 1;
        host.handle_ping_seq(&Beat { link: 0, time, seq: 10_000, timed: 1 });
        assert!(!host.is_plausible(100));
        assert!(host.is_plausible(20_000) && host.is_plausible(7000));
    }
}
