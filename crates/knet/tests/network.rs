//! Some hosts on a network in virtual time that loses, delays, doubles and reorders, with links that are cut;
//! and a hostile host that replays, truncates and forges.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use knet::{
    CipherKind, Compression, Config, Destination, Event, Fault, HashKind, Keys, Knet, LinkConfig, Method,
    Policy, SendFailure,
};
use proptest::prelude::*;
use totem::Instant;

const MS: Duration = Duration::from_millis(1);
/// Pings each 100 ms; a link without a pong for 200 ms is down.
const LINK: LinkConfig = LinkConfig {
    priority: 1,
    ping_interval: Duration::from_millis(100),
    ping_timeout: Duration::from_millis(200),
    ping_precision: 64,
    pong_count: 2,
};

fn address(host: u16, link: u8) -> SocketAddr {
    SocketAddr::from(([10, link, 0, u8::try_from(host).unwrap()], 5405 + u16::from(link)))
}

fn config(host: u16, hosts: u16, links: u8, policy: Policy) -> Config {
    let ends = |id: u16| (0..links).map(|link| (link, address(id, link))).collect();
    Config {
        node: host,
        policy,
        links: (0..links).map(|link| (link, LINK)).collect(),
        hosts: (1..=hosts).filter(|id| *id != host).map(|id| (id, ends(id))).collect(),
        mtu_interval: Duration::from_secs(30),
        ..Config::default()
    }
}

fn keys(first: u8) -> Keys {
    Keys { cipher: CipherKind::Aes256, hash: HashKind::Sha256, key: vec![first; 256] }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// From, to, link, bytes.
type Datagram = (u16, u16, u8, Vec<u8>);

struct World {
    now: Instant,
    hosts: BTreeMap<u16, Knet>,
    /// Datagrams under way, by arrival and order of sending.
    wire: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
    random: Random,
    loss_percent: u64,
    jitter_us: u64,
    /// Cut ways: from, to, link.
    cuts: BTreeSet<(u16, u16, u8)>,
    mtu: usize,
    /// What each host got: from, message.
    got: BTreeMap<u16, Vec<(u16, Vec<u8>)>>,
    events: BTreeMap<u16, Vec<Event>>,
    record: Vec<(SocketAddr, Vec<u8>)>,
}

impl World {
    fn new(hosts: u16, links: u8, policy: Policy, with: impl Fn(&mut Config) -> Option<Keys>) -> Self {
        let now = Instant(1_000_000_000);
        let mut all = BTreeMap::new();
        for host in 1..=hosts {
            let mut config = config(host, hosts, links, policy);
            let keys = with(&mut config);
            let seed = [u8::try_from(host).unwrap(); 32];
            all.insert(host, Knet::new(config, keys.as_ref(), seed, now).unwrap());
        }
        Self {
            now,
            hosts: all,
            wire: BTreeMap::new(),
            sent: 0,
            random: Random(7),
            loss_percent: 0,
            jitter_us: 50,
            cuts: BTreeSet::new(),
            mtu: 1500,
            got: BTreeMap::new(),
            events: BTreeMap::new(),
            record: Vec::new(),
        }
    }

    fn plain(hosts: u16, links: u8, policy: Policy) -> Self {
        Self::new(hosts, links, policy, |_| None)
    }

    fn drain(&mut self, host: u16) {
        loop {
            let Some(knet) = self.hosts.get_mut(&host) else { return };
            while let Some(delivery) = knet.poll_deliver() {
                self.got.entry(host).or_default().push((delivery.host, delivery.bytes));
            }
            while let Some(event) = knet.poll_event() {
                self.events.entry(host).or_default().push(event);
            }
            while knet.poll_note().is_some() {}
            let Some(transmit) = knet.poll_transmit() else { break };
            if transmit.bytes.len() + 28 > self.mtu {
                let failure = SendFailure::TooBig(self.mtu);
                knet.handle_send_failure(self.now, transmit.host, transmit.link, transmit.content, failure);
                continue;
            }
            let way = (host, transmit.host, transmit.link);
            let is_lost = self.cuts.contains(&way) || self.random.below(100) < self.loss_percent;
            if is_lost {
                continue;
            }
            self.record.push((address(host, transmit.link), transmit.bytes.to_vec()));
            let delay = Duration::from_micros(100 + self.random.below(self.jitter_us.max(1)));
            self.sent += 1;
            let entry = (host, transmit.host, transmit.link, transmit.bytes.to_vec());
            self.wire.insert((self.now.after(delay), self.sent), entry);
        }
    }

    fn drain_all(&mut self) {
        for host in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.drain(host);
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now.after(time);
        self.drain_all();
        loop {
            let timer = self.hosts.values().filter_map(Knet::next_deadline).min();
            let arrival = self.wire.keys().next().map(|(at, _)| *at);
            let next = [timer, arrival].into_iter().flatten().min().unwrap_or(end);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (from, to, link, bytes) = entry.remove();
                let now = self.now;
                if let Some(knet) = self.hosts.get_mut(&to) {
                    knet.handle_datagram(now, address(from, link), &bytes);
                }
                self.drain(to);
            }
            for host in self.hosts.keys().copied().collect::<Vec<_>>() {
                let knet = self.hosts.get_mut(&host).unwrap();
                if knet.next_deadline().is_some_and(|at| at <= self.now) {
                    knet.handle_timeout(self.now);
                    self.drain(host);
                }
            }
        }
    }

    fn send(&mut self, from: u16, to: Destination, message: &[u8]) {
        let now = self.now;
        self.hosts.get_mut(&from).unwrap().send(now, to, message).unwrap();
        self.drain(from);
    }

    fn got(&self, host: u16) -> Vec<Vec<u8>> {
        self.got.get(&host).into_iter().flatten().map(|(_, bytes)| bytes.clone()).collect()
    }

    fn downs(&self, host: u16) -> usize {
        let events = self.events.get(&host).into_iter().flatten();
        events.filter(|event| matches!(event, Event::LinkDown { .. })).count()
    }
}

fn message(number: u32, len: usize) -> Vec<u8> {
    number.to_be_bytes().into_iter().cycle().take(len.max(4)).collect()
}

#[test]
fn links_come_up_in_a_moment_with_the_mtu_of_the_path() {
    let mut world = World::new(3, 2, Policy::Passive, |_| Some(keys(1)));
    world.run(MS * 40);
    for knet in world.hosts.values() {
        assert!(knet.links(world.now).iter().all(|link| link.connected && link.mtu == 1397));
        assert_eq!(knet.data_mtu(), 1397);
        assert_eq!(knet.own_kind().len(), 2);
    }
}

#[test]
fn all_sizes_arrive_whole_with_every_policy_and_method() {
    for policy in [Policy::Passive, Policy::Active, Policy::RoundRobin] {
        for method in [None, Some(Method::Zlib), Some(Method::Lz4), Some(Method::Zstd)] {
            let mut world = World::new(3, 3, policy, |config| {
                config.compression =
                    method.map(|method| Compression { method, level: 0, threshold_bytes: 100 });
                Some(keys(1))
            });
            world.run(MS * 100);
            let sizes = [1, 100, 1396, 1397, 1398, 20_000, 65_535, 65_536];
            let messages: Vec<Vec<u8>> = (0..).zip(sizes).map(|(n, size)| message(n, size)).collect();
            for message in &messages {
                world.send(1, Destination::Everybody, message);
                world.run(MS);
            }
            world.send(2, Destination::Host(3), b"only for three");
            world.run(MS * 10);
            assert_eq!(world.got(2), messages);
            assert_eq!(world.got(3).len(), messages.len() + 1);
            assert_eq!(world.got(1), Vec::<Vec<u8>>::new());
        }
    }
}

#[test]
fn a_cut_link_is_left_before_it_is_called_down() {
    for policy in [Policy::Passive, Policy::Active] {
        let mut world = World::plain(2, 2, policy);
        world.run(MS * 200);
        world.cuts.extend([(1, 2, 0), (2, 1, 0)]);
        // Two pings later the link is suspect, and messages go over the other one as well.
        world.run(MS * 150);
        assert_eq!(world.downs(1), 0);
        for number in 0..100 {
            world.send(1, Destination::Host(2), &message(number, 3000));
            world.run(MS);
        }
        assert_eq!(world.got(2).len(), 100, "{policy:?}");
        world.run(Duration::from_secs(4));
        assert_eq!(world.downs(1), 1, "in the end the link is down");
        world.cuts.clear();
        world.run(Duration::from_millis(400));
        assert!(world.hosts[&1].links(world.now).iter().all(|link| link.connected));
    }
}

#[test]
fn one_way_faults_are_named_from_both_sides() {
    let mut world = World::plain(2, 2, Policy::Passive);
    world.run(MS * 100);
    world.cuts.insert((1, 2, 1));
    world.run(Duration::from_secs(5));
    let fault = |world: &World, host: u16| world.hosts[&host].links(world.now)[1].fault;
    assert_eq!(fault(&world, 1), Some(Fault::Outgoing));
    assert_eq!(fault(&world, 2), Some(Fault::Incoming));
    world.cuts.extend([(1, 2, 0), (2, 1, 0), (2, 1, 1)]);
    world.run(Duration::from_secs(10));
    assert_eq!(fault(&world, 2), Some(Fault::Silent));
}

#[test]
fn a_fifth_lost_keeps_links_up_and_lets_messages_through() {
    let mut world = World::plain(2, 1, Policy::Passive);
    world.run(Duration::from_secs(15));
    world.loss_percent = 20;
    world.run(Duration::from_secs(20));
    for number in 0..50 {
        world.send(1, Destination::Host(2), &message(number, 30_000));
        world.run(MS * 50);
    }
    assert_eq!(world.downs(1) + world.downs(2), 0);
    let arrived = world.got(2).len();
    assert!(arrived > 35, "{arrived} of 50 messages of 21 fragments");
}

#[test]
fn a_restarted_host_is_heard_at_once() {
    let mut world = World::plain(2, 1, Policy::Passive);
    world.run(MS * 100);
    for number in 0..2000 {
        world.send(1, Destination::Host(2), &message(number, 10));
        world.run(MS / 10);
    }
    let fresh = Knet::new(config(1, 2, 1, Policy::Passive), None, [9; 32], world.now).unwrap();
    world.hosts.insert(1, fresh);
    world.run(MS * 100);
    world.got.clear();
    world.send(1, Destination::Host(2), b"again");
    world.run(MS * 10);
    assert_eq!(world.got(2), [b"again".to_vec()]);
}

#[test]
fn a_refusal_and_silence_mean_that_nobody_is_there() {
    let mut world = World::plain(2, 2, Policy::Passive);
    world.run(MS * 300);
    world.hosts.remove(&2);
    for _ in 0..3 {
        world.run(MS * 40);
        let now = world.now;
        for link in 0..2 {
            let knet = world.hosts.get_mut(&1).unwrap();
            knet.handle_send_failure(now, 2, link, knet::Content::Beat, SendFailure::Refused);
        }
    }
    world.run(MS * 40);
    assert!(world.events[&1].contains(&Event::HostRefuses(2)));
}

#[test]
fn after_a_pause_of_its_own_a_host_accuses_nobody() {
    let mut world = World::plain(2, 1, Policy::Passive);
    world.run(Duration::from_secs(15));
    // Host 1 stands still: first shorter than the time-out of host 2 less one ping, then longer.
    let frozen = world.hosts.remove(&1).unwrap();
    world.run(MS * 90);
    world.hosts.insert(1, frozen);
    world.run(Duration::from_secs(1));
    assert_eq!((world.downs(1), world.downs(2)), (0, 0));
    let frozen = world.hosts.remove(&1).unwrap();
    world.run(MS * 3000);
    world.hosts.insert(1, frozen);
    world.run(Duration::from_secs(1));
    assert_eq!((world.downs(1), world.downs(2)), (0, 1));
    assert!(world.hosts.values().all(|knet| knet.links(world.now)[0].connected));
}

/// Keys change at both hosts, not at the same time, and no message is lost.
#[test]
fn keys_change_under_way() {
    let mut world = World::new(2, 1, Policy::Passive, |_| Some(keys(1)));
    world.run(MS * 100);
    let mut number = 0;
    for phase in 0..3 {
        for host in [1, 2] {
            let now = world.now;
            let knet = world.hosts.get_mut(&host).unwrap();
            match phase {
                0 => knet.prepare_key(Some(&keys(2))).unwrap(),
                1 => knet.activate_key(now),
                _ => knet.forget_old_key(),
            }
            for _ in 0..20 {
                number += 1;
                world.send(1, Destination::Host(2), &message(number, 5000));
                world.send(2, Destination::Host(1), &message(number, 5000));
                world.run(MS);
            }
        }
    }
    assert_eq!((world.got(1).len(), world.got(2).len()), (120, 120));
    assert_eq!(world.downs(1), 0);
}

/// A host that reads its new configuration late uses the new key when it hears it: the other one, like the
/// reference, forgets the old key without waiting for anybody.
#[test]
fn a_late_host_follows_the_key_that_it_hears() {
    for (before, after) in [(Some(1), Some(2)), (None, Some(2)), (Some(1), None)] {
        let mut world = World::new(2, 1, Policy::Passive, |_| before.map(keys));
        world.run(MS * 100);
        let (now, after) = (world.now, after.map(keys));
        let hasty = world.hosts.get_mut(&1).unwrap();
        hasty.prepare_key(after.as_ref()).unwrap();
        hasty.activate_key(now);
        world.run(MS * 10);
        world.hosts.get_mut(&2).unwrap().prepare_key(after.as_ref()).unwrap();
        world.hosts.get_mut(&1).unwrap().forget_old_key();
        world.send(1, Destination::Host(2), b"in the new key");
        world.run(MS);
        world.send(2, Destination::Host(1), b"understood");
        world.run(MS * 500);
        assert_eq!((world.got(2).len(), world.got(1).len()), (1, 1), "{before:?}");
        assert_eq!((world.downs(1), world.downs(2)), (0, 0), "{before:?}");
    }
}

/// Everything that was ever on the wire is sent again, whole, cut short, changed, and under other addresses:
/// nothing is delivered a second time and no link suffers.
#[test]
fn a_hostile_host_gets_nothing_in() {
    let mut world = World::new(2, 1, Policy::Passive, |_| Some(keys(1)));
    world.run(MS * 100);
    for number in 0..40 {
        world.send(1, Destination::Host(2), &message(number, 2000));
        world.run(MS * 5);
    }
    assert_eq!(world.got(2).len(), 40);
    let record = core::mem::take(&mut world.record);
    let now = world.now;
    let knet = world.hosts.get_mut(&2).unwrap();
    for (from, bytes) in &record {
        knet.handle_datagram(now, *from, bytes);
        let stranger = SocketAddr::from(([10, 0, 0, 77], 5405));
        knet.handle_datagram(now, stranger, bytes);
        knet.handle_datagram(now, *from, bytes.get(..bytes.len() / 2).unwrap_or_default());
        for place in [0, 20, bytes.len() - 1] {
            let mut forged = bytes.clone();
            forged[place] ^= 1;
            knet.handle_datagram(now, *from, &forged);
        }
        let clear = [&[1u8, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 0, 1, 1, 0, 0][..], b"forged"].concat();
        knet.handle_datagram(now, *from, &clear);
    }
    world.run(MS * 50);
    assert_eq!(world.got(2).len(), 40, "nothing new was delivered");
    // The same, long after: what is far behind is not taken for a new beginning.
    for number in 40..6000 {
        world.send(1, Destination::Host(2), &message(number, 4));
        world.run(MS / 2);
    }
    let now = world.now;
    for (from, bytes) in &record {
        world.hosts.get_mut(&2).unwrap().handle_datagram(now, *from, bytes);
    }
    world.run(MS * 50);
    assert_eq!(world.got(2).len(), 6000, "nothing old was delivered");
    assert_eq!((world.downs(1), world.downs(2)), (0, 0));
    world.send(1, Destination::Host(2), b"still here");
    world.run(MS * 5);
    assert_eq!(world.got(2).last().unwrap(), b"still here");
}

#[test]
fn links_are_added_and_removed() {
    let mut world = World::plain(2, 1, Policy::Passive);
    world.run(MS * 100);
    for host in [1, 2] {
        let now = world.now;
        world.hosts.get_mut(&host).unwrap().reconfigure(now, config(host, 2, 2, Policy::Passive));
    }
    world.run(MS * 100);
    assert_eq!(world.hosts[&1].links(world.now).iter().filter(|link| link.connected).count(), 2);
    for host in [1, 2] {
        let now = world.now;
        let mut config = config(host, 2, 2, Policy::Passive);
        config.links.remove(&0);
        world.hosts.get_mut(&host).unwrap().reconfigure(now, config);
    }
    world.send(1, Destination::Host(2), b"over the second link");
    world.run(MS * 10);
    assert_eq!(world.got(2), [b"over the second link".to_vec()]);
    assert_eq!(world.hosts[&1].links(world.now).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the network does: no message is damaged or doubled, and on a sound link none is lost.
    #[test]
    fn never_damaged_never_doubled(seed: u64, loss in 0..40u64, jitter_us in 1..30_000u64, links in 1..4u8,
                                   policy in prop::sample::select(vec![Policy::Passive, Policy::Active, Policy::RoundRobin])) {
        let mut world = World::new(3, links, policy, |_| Some(keys(1)));
        world.random = Random(seed);
        world.run(MS * 100);
        world.loss_percent = loss;
        world.jitter_us = jitter_us;
        for number in 0..60u32 {
            let len = usize::try_from(world.random.below(9000)).unwrap();
            let from = 1 + u16::try_from(number % 3).unwrap();
            let now = world.now;
            // A host may be out of reach for a while.
            let _ = world.hosts.get_mut(&from).unwrap().send(now, Destination::Everybody, &message(number, len));
            world.drain(from);
            world.run(MS * 2);
        }
        world.run(MS * 200);
        for host in 1..=3 {
            let mut seen = BTreeSet::new();
            for (from, bytes) in world.got.get(&host).into_iter().flatten() {
                let number = u32::from_be_bytes(bytes[..4].try_into().unwrap());
                prop_assert_eq!(&message(number, bytes.len()), bytes);
                prop_assert_eq!(1 + number % 3, u32::from(*from));
                prop_assert!(seen.insert(number), "message {} came twice", number);
            }
            if loss == 0 && jitter_us < 1000 {
                prop_assert_eq!(seen.len(), 40);
            }
        }
    }

    /// Whatever arrives, sealed with the right key or not, from a known address or not.
    #[test]
    fn arbitrary_datagrams_never_panic(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..40), kind: u8) {
        let mut world = World::plain(2, 1, Policy::Passive);
        world.run(MS * 100);
        let now = world.now;
        for mut body in bodies {
            if let Some(head) = body.get_mut(..4) {
                head.copy_from_slice(&[1, [0, 0x81, 0x82, 0x83, 0x84][usize::from(kind % 5)], 0, 1]);
            }
            let knet = world.hosts.get_mut(&2).unwrap();
            knet.handle_datagram(now, address(1, 0), &body);
        }
        world.run(MS * 100);
    }
}
