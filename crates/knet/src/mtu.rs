//! Search for the largest packet that passes a link: from the top, then by halves between what passed
//! and what did not. Sizes are those of whole IP packets.

use core::time::Duration;

use totem::Instant;

use crate::crypto::Overhead;
use crate::wire::HEADER_ROOM_BYTES;

/// Largest IP packet.
const SIZE_MAX: usize = 65_535;
/// Probes of one size before it is taken as too big: on a link that loses every fifth packet, one search
/// in a hundred misses a size.
const TRIES: u8 = 5;
/// Sizes of one search; halving needs 17.
const STEPS_MAX: u8 = 40;
/// Shortest and longest wait for a reply.
const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_millis(1000);

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send a packet of `plain` bytes before protection that says `size`.
    Probe {
        plain: usize,
        size: u16,
    },
    /// The user data of a datagram may have this many bytes.
    Found(usize),
    /// Not even small probes are answered.
    Failed,
    Nothing,
}

#[derive(Clone, Copy, Debug)]
struct Search {
    passed: usize,
    /// 0 while nothing has failed.
    failed: usize,
    size: usize,
    tries: u8,
    steps: u8,
    deadline: Instant,
    /// What passed was confirmed by a reply.
    is_confirmed: bool,
}

/// The search on one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Discovery {
    /// IP and UDP headers.
    ip_overhead: usize,
    search: Option<Search>,
    /// When to search again.
    due: Option<Instant>,
}

impl Discovery {
    pub(crate) fn new(is_ipv6: bool) -> Self {
        Self { ip_overhead: if is_ipv6 { 48 } else { 28 }, search: None, due: None }
    }

    /// User data that surely fits: the smallest packet that each IP must carry.
    pub(crate) fn least(&self, overhead: Overhead) -> usize {
        let packet = if self.ip_overhead == 28 { 576 } else { 1280 };
        overhead.data_room(packet - self.ip_overhead)
    }

    /// User data that fits an IP packet of `mtu` bytes.
    pub(crate) fn room(&self, overhead: Overhead, mtu: usize) -> usize {
        overhead.data_room(mtu.saturating_sub(self.ip_overhead))
    }

    pub(crate) fn stop(&mut self) {
        self.search = None;
        self.due = None;
    }

    pub(crate) fn is_running(&self) -> bool {
        self.search.is_some()
    }

    pub(crate) fn search_at(&mut self, at: Instant) {
        self.due = Some(at);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.search.map(|search| search.deadline).or(self.due)
    }

    /// Sizes that protection leaves: bytes before it, and of the IP packet.
    fn align(&self, overhead: Overhead, size: usize) -> (usize, usize) {
        let plain = self.room(overhead, size) + HEADER_ROOM_BYTES;
        (plain, overhead.sealed_len(plain) + self.ip_overhead)
    }

    /// To be called when the deadline has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant, overhead: Overhead, latency: Duration) -> Step {
        match &mut self.search {
            None => {
                if self.due.is_none_or(|due| due > now) {
                    return Step::Nothing;
                }
                self.due = None;
                let (_, passed) = self.align(overhead, self.ip_overhead + HEADER_ROOM_BYTES + 64);
                self.search = Some(Search {
                    passed,
                    failed: 0,
                    size: SIZE_MAX,
                    tries: 0,
                    steps: 0,
                    deadline: now,
                    is_confirmed: false,
                });
                self.probe(now, overhead, latency)
            }
            Some(search) if search.deadline > now => Step::Nothing,
            Some(search) if search.tries < TRIES => self.probe(now, overhead, latency),
            Some(search) => {
                search.failed = search.size;
                self.halve(now, overhead, latency)
            }
        }
    }

    /// The system says that the probe is larger than what the interface takes.
    pub(crate) fn handle_too_big(
        &mut self,
        now: Instant,
        overhead: Overhead,
        latency: Duration,
        mtu: usize,
    ) -> Step {
        let Some(search) = &mut self.search else { return Step::Nothing };
        if mtu > search.passed && mtu < search.size {
            search.failed = mtu + 1;
            search.size = mtu;
            search.tries = 0;
            return self.probe(now, overhead, latency);
        }
        search.failed = search.size;
        self.halve(now, overhead, latency)
    }

    /// A reply that names the size of the probe.
    pub(crate) fn handle_reply(
        &mut self,
        now: Instant,
        overhead: Overhead,
        latency: Duration,
        size: u16,
    ) -> Step {
        let Some(search) = self.search else { return Step::Nothing };
        let (_, packet) = self.align(overhead, search.size);
        if usize::from(size) != packet {
            return Step::Nothing;
        }
        let found = if overhead.block > 0 {
            let next = packet + overhead.block;
            next >= SIZE_MAX || (search.failed > 0 && search.failed <= next)
        } else {
            packet == SIZE_MAX || search.failed == packet + 1
        };
        if found {
            return self.found(overhead, packet);
        }
        if let Some(search) = &mut self.search {
            search.passed = packet;
            search.is_confirmed = true;
        }
        self.halve(now, overhead, latency)
    }

    fn found(&mut self, overhead: Overhead, packet: usize) -> Step {
        self.search = None;
        Step::Found(self.room(overhead, packet))
    }

    fn halve(&mut self, now: Instant, overhead: Overhead, latency: Duration) -> Step {
        let Some(mut search) = self.search else { return Step::Nothing };
        search.size = usize::midpoint(search.passed, search.failed);
        search.tries = 0;
        search.steps += 1;
        let (_, packet) = self.align(overhead, search.size);
        if packet <= search.passed || search.steps > STEPS_MAX {
            self.search = None;
            return if search.is_confirmed { self.found(overhead, search.passed) } else { Step::Failed };
        }
        self.search = Some(search);
        self.probe(now, overhead, latency)
    }

    fn probe(&mut self, now: Instant, overhead: Overhead, latency: Duration) -> Step {
        let Some(mut search) = self.search else { return Step::Nothing };
        let (plain, packet) = self.align(overhead, search.size);
        search.tries += 1;
        search.deadline = now.after((latency * 4).clamp(WAIT_MIN, WAIT_MAX));
        self.search = Some(search);
        Step::Probe { plain, size: u16::try_from(packet).unwrap_or(u16::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_micros(200);

    /// Searches on a path that carries `path` bytes, behind an interface of `interface` bytes.
    fn search(overhead: Overhead, interface: usize, path: usize) -> (Step, usize) {
        let mut discovery = Discovery::new(false);
        let mut now = Instant(1);
        discovery.search_at(now);
        let mut step = discovery.handle_timeout(now, overhead, LATENCY);
        for count in 0..500 {
            now = now.after(Duration::from_millis(1));
            step = match step {
                Step::Probe { plain, size } => {
                    let packet = overhead.sealed_len(plain) + 28;
                    assert_eq!(packet, usize::from(size));
                    if packet > interface {
                        discovery.handle_too_big(now, overhead, LATENCY, interface)
                    } else if packet > path {
                        now = discovery.deadline().expect("a probe has a deadline");
                        discovery.handle_timeout(now, overhead, LATENCY)
                    } else {
                        discovery.handle_reply(now, overhead, LATENCY, size)
                    }
                }
                other => return (other, count),
            };
        }
        panic!("the search does not end");
    }

    #[test]
    fn the_interface_is_asked_first() {
        assert_eq!(search(Overhead::default(), 1500, 1500), (Step::Found(1446), 2));
        let aes = Overhead { block: 16, salt: 16, hash: 32 };
        assert_eq!(search(aes, 1500, 1500), (Step::Found(1397), 2));
        assert_eq!(search(aes, 65_536, 65_536).1, 1);
    }

    #[test]
    fn a_narrow_path_is_found() {
        for path in (600..9000).step_by(37) {
            assert_eq!(search(Overhead::default(), 9000, path).0, Step::Found(path - 28 - 26), "{path}");
            let aes = Overhead { block: 16, salt: 16, hash: 20 };
            assert_eq!(search(aes, 9000, path).0, Step::Found(aes.data_room(path - 28)), "{path}");
        }
    }

    #[test]
    fn a_link_that_answers_no_probe_is_noticed() {
        assert_eq!(search(Overhead::default(), 1500, 0).0, Step::Failed);
    }
}
