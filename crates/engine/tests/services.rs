//! Several nodes' services on a bus that delivers everything to everybody in one order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use engine::{Client, Config, Engine, Map, Output, Service, Value};
use proptest::prelude::*;
use totem::{ByteOrder, Configuration, Delivery, Event, Instant, RingId};

struct Bus {
    now: Instant,
    nodes: BTreeMap<u32, Engine>,
    queue: VecDeque<(u32, &'static [u8], Vec<u8>)>,
    outputs: BTreeMap<u32, Vec<Output>>,
    ring: RingId,
}

fn config_map(id: u32, nodes: &[u32], options: &[(&str, u8)]) -> Map {
    let mut map = Map::default();
    map.set("quorum.provider", "corosync_votequorum");
    for (index, node) in nodes.iter().enumerate() {
        map.set(&format!("nodelist.node.{index}.nodeid"), *node);
        if *node == id {
            map.set("nodelist.local_node_pos", u32::try_from(index).expect("few nodes"));
        }
    }
    for (key, value) in options {
        map.set(key, *value);
    }
    map
}

impl Bus {
    fn new(nodes: &[u32], options: &[(&str, u8)]) -> Self {
        let now = Instant(0);
        let start = |id: &u32| {
            let config = Config { nodeid: *id, ..Config::default() };
            (*id, Engine::new(config, config_map(*id, nodes, options), now).expect("valid"))
        };
        Self {
            now,
            nodes: nodes.iter().map(start).collect(),
            queue: VecDeque::new(),
            outputs: BTreeMap::new(),
            ring: RingId::default(),
        }
    }

    fn drain(&mut self, id: u32) {
        let Some(engine) = self.nodes.get_mut(&id) else { return };
        while let Some(output) = engine.poll_output() {
            match output {
                Output::Multicast { group, message } => self.queue.push_back((id, group, message.to_vec())),
                other => self.outputs.entry(id).or_default().push(other),
            }
        }
    }

    /// A new configuration of these members; `old` says who comes with whom.
    fn configure(&mut self, members: &[u32], old: &[&[u32]]) {
        self.queue.clear();
        self.ring = RingId { rep: members[0], seq: self.ring.seq + 4 };
        for id in members {
            let before: &[u32] = old.iter().find(|group| group.contains(id)).copied().unwrap_or(&[]);
            let trans: Vec<u32> = before.iter().copied().filter(|other| members.contains(other)).collect();
            let left: Vec<u32> = before.iter().copied().filter(|other| !members.contains(other)).collect();
            let joined: Vec<u32> = members.iter().copied().filter(|other| !trans.contains(other)).collect();
            let engine = self.nodes.get_mut(id).expect("a node");
            let transitional = Configuration {
                transitional: true,
                members: trans,
                left,
                joined: Vec::new(),
                ring: self.ring,
            };
            engine.handle_event(self.now, Event::Configuration(transitional));
            let regular = Configuration {
                transitional: false,
                members: members.to_vec(),
                left: Vec::new(),
                joined,
                ring: self.ring,
            };
            engine.handle_event(self.now, Event::Configuration(regular));
            self.drain(*id);
        }
        self.deliver(members);
    }

    fn deliver(&mut self, members: &[u32]) {
        while let Some((nodeid, group, payload)) = self.queue.pop_front() {
            for id in members {
                let delivery = Delivery {
                    nodeid,
                    order: ByteOrder::NATIVE,
                    group: group.to_vec().into(),
                    payload: payload.clone().into(),
                };
                self.nodes.get_mut(id).expect("a node").handle_event(self.now, Event::Delivery(delivery));
                self.drain(*id);
            }
        }
    }

    fn request(&mut self, id: u32, client: Client, bytes: &[u8]) {
        self.nodes.get_mut(&id).expect("a node").handle_request(self.now, client, &bytes.to_vec().into());
        self.drain(id);
    }

    fn events(&mut self, id: u32, client: Client) -> Vec<Vec<u8>> {
        let outputs = self.outputs.entry(id).or_default();
        let events = outputs.iter().filter_map(|output| match output {
            Output::Event { client: to, message } if *to == client => Some(message.to_vec()),
            _ => None,
        });
        events.collect()
    }

    fn response(&mut self, id: u32) -> Vec<u8> {
        let outputs = self.outputs.entry(id).or_default();
        let last = outputs.iter().rev().find_map(|output| match output {
            Output::Respond { bytes, .. } => Some(bytes.clone()),
            _ => None,
        });
        last.expect("a response")
    }

    fn quorate(&self, ids: &[u32]) -> Vec<bool> {
        ids.iter().map(|id| self.nodes[id].is_quorate()).collect()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn request(id: u32, size: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; size];
    bytes[..4].copy_from_slice(&id.to_ne_bytes());
    bytes[8..12].copy_from_slice(&u32::try_from(size).expect("small").to_ne_bytes());
    for (at, field) in fields {
        bytes[*at..*at + field.len()].copy_from_slice(field);
    }
    bytes
}

fn cpg_join(pid: u32) -> Vec<u8> {
    let pid = pid.to_ne_bytes();
    request(0, 168, &[(16, &4u32.to_ne_bytes()), (24, b"test"), (152, &pid)])
}

fn cpg_mcast(text: &[u8]) -> Vec<u8> {
    let len = u32::try_from(text.len()).expect("small").to_ne_bytes();
    request(2, 40 + text.len(), &[(32, &len), (40, text)])
}

const CPG: Client = Client { service: Service::Cpg, conn: 7 };

#[test]
fn two_nodes_wait_for_each_other_and_survive_alone() {
    let mut bus = Bus::new(&[1, 2], &[("quorum.two_node", 1)]);
    bus.configure(&[1], &[]);
    bus.configure(&[2], &[]);
    assert_eq!(bus.quorate(&[1, 2]), [false, false]);
    bus.configure(&[1, 2], &[&[1], &[2]]);
    assert_eq!(bus.quorate(&[1, 2]), [true, true]);
    bus.configure(&[2], &[&[1, 2]]);
    assert_eq!(bus.quorate(&[2]), [true]);
}

#[test]
fn only_the_majority_is_quorate() {
    let mut bus = Bus::new(&[1, 2, 3, 4, 5], &[]);
    bus.configure(&[1, 2, 3, 4, 5], &[]);
    bus.configure(&[1, 2], &[&[1, 2, 3, 4, 5]]);
    bus.configure(&[3, 4, 5], &[&[1, 2, 3, 4, 5]]);
    assert_eq!(bus.quorate(&[1, 2, 3, 4, 5]), [false, false, true, true, true]);
}

#[test]
fn the_tie_breaker_decides_between_halves() {
    let mut bus = Bus::new(&[1, 2, 3, 4], &[("quorum.auto_tie_breaker", 1)]);
    bus.configure(&[1, 2, 3, 4], &[]);
    bus.configure(&[1, 4], &[&[1, 2, 3, 4]]);
    bus.configure(&[2, 3], &[&[1, 2, 3, 4]]);
    assert_eq!(bus.quorate(&[1, 4, 2, 3]), [true, true, false, false]);
}

#[test]
fn the_last_man_stands() {
    let mut bus = Bus::new(&[1, 2, 3, 4], &[("quorum.last_man_standing", 1), ("quorum.wait_for_all", 1)]);
    let mut group: Vec<u32> = vec![1, 2, 3, 4];
    bus.configure(&group.clone(), &[]);
    for gone in [4, 3] {
        let old = group.clone();
        group.retain(|id| *id != gone);
        bus.configure(&group, &[&old]);
        let deadline = bus.nodes[&1].poll_timeout().expect("the window runs");
        bus.now = deadline;
        for id in &group {
            bus.nodes.get_mut(id).expect("a node").handle_timeout(deadline);
            bus.drain(*id);
        }
        bus.now = bus.now.after(Duration::from_secs(1));
    }
    assert_eq!(bus.quorate(&[1, 2]), [true, true]);
}

#[test]
fn groups_see_members_messages_and_losses() {
    let mut bus = Bus::new(&[1, 2], &[]);
    bus.configure(&[1, 2], &[]);
    for id in [1, 2] {
        bus.nodes.get_mut(&id).expect("a node").handle_connect(CPG);
        bus.request(id, CPG, &cpg_join(100 + id));
        bus.deliver(&[1, 2]);
    }
    bus.request(2, CPG, &cpg_mcast(b"hello"));
    bus.deliver(&[1, 2]);
    let events = bus.events(1, CPG);
    let kinds: Vec<u32> = events.iter().map(|event| u32_at(event, 0)).collect();
    assert_eq!(kinds, [4, 4, 5]);
    assert_eq!((u32_at(&events[1], 160), u32_at(&events[1], 168)), (2, 1), "two members, one joined");
    assert_eq!((u32_at(&events[2], 168), u32_at(&events[2], 176)), (2, 102), "from node 2, pid 102");
    assert_eq!(&events[2][184..], b"hello");

    bus.configure(&[1], &[&[1, 2]]);
    let events = bus.events(1, CPG);
    let last = events.iter().rfind(|event| u32_at(event, 0) == 4).expect("a change");
    assert_eq!((u32_at(last, 160), u32_at(last, 176)), (1, 1), "one member, one left");
    assert_eq!(u32_at(last, 184 + 24 + 16), 3, "because its node is down");
}

#[test]
fn processes_of_a_merging_node_appear() {
    let mut bus = Bus::new(&[1, 2], &[]);
    for id in [1, 2] {
        bus.configure(&[id], &[]);
        bus.nodes.get_mut(&id).expect("a node").handle_connect(CPG);
        bus.request(id, CPG, &cpg_join(100 + id));
        bus.deliver(&[id]);
    }
    bus.configure(&[1, 2], &[&[1], &[2]]);
    for id in [1, 2] {
        let events = bus.events(id, CPG);
        let last = events.iter().rfind(|event| u32_at(event, 0) == 4).expect("a change");
        assert_eq!((u32_at(last, 160), u32_at(last, 168)), (2, 1));
        assert_eq!(u32_at(last, 184 + 48 + 16), 4, "node up");
    }
}

#[test]
fn messages_sent_while_synchronising_are_kept() {
    let mut bus = Bus::new(&[1], &[]);
    bus.configure(&[1], &[]);
    let engine = bus.nodes.get_mut(&1).expect("a node");
    engine.handle_connect(CPG);
    bus.request(1, CPG, &cpg_join(5));
    bus.deliver(&[1]);
    bus.nodes.get_mut(&1).expect("a node").set_backlogged(Instant(0), true);
    bus.request(1, CPG, &cpg_mcast(b"early"));
    bus.request(1, CPG, &cpg_join(6));
    assert_eq!(u32_at(&bus.response(1), 16), 6, "try again");
    bus.nodes.get_mut(&1).expect("a node").set_backlogged(Instant(0), false);
    bus.drain(1);
    bus.deliver(&[1]);
    assert!(bus.events(1, CPG).iter().any(|event| event.ends_with(b"early")));
}

#[test]
fn cmap_sets_gets_iterates_and_tracks() {
    let mut bus = Bus::new(&[1], &[]);
    let client = Client { service: Service::Cmap, conn: 1 };
    let key =
        |name: &[u8]| [&u16::try_from(name.len()).expect("short").to_ne_bytes()[..], &[0; 6], name].concat();
    bus.nodes.get_mut(&1).expect("a node").handle_connect(client);
    let prefix_track = 15u32.to_ne_bytes();
    bus.request(1, client, &request(7, 296, &[(16, &key(b"foo.")), (280, &prefix_track), (288, &[9])]));
    let set = |name: &[u8], value: u8| {
        request(0, 297, &[(16, &key(name)), (280, &1u64.to_ne_bytes()), (288, &[2]), (296, &[value])])
    };
    bus.request(1, client, &set(b"foo.bar", 5));
    let events = bus.events(1, client);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0][24], u32_at(&events[0], 296), events[0][336]), (9, 4, 5));
    bus.request(1, client, &set(b"nodelist.x", 5));
    assert_eq!(u32_at(&bus.response(1), 16), 11, "read only");
    bus.request(1, client, &request(2, 288, &[(16, &key(b"foo.bar")), (280, &8u64.to_ne_bytes())]));
    let response = bus.response(1);
    assert_eq!((u32_at(&response, 16), response[32], response[40]), (1, 2, 5));
    bus.request(1, client, &request(4, 280, &[(16, &key(b"foo."))]));
    let handle = bus.response(1)[24..32].to_vec();
    bus.request(1, client, &request(5, 24, &[(16, &handle)]));
    assert_eq!(&bus.response(1)[32..39], b"foo.bar");
    bus.request(1, client, &request(5, 24, &[(16, &handle)]));
    assert_eq!(u32_at(&bus.response(1), 16), 27, "no more");
}

#[test]
fn an_older_configuration_ends_the_daemon() {
    // They meet after each was alone, or form their first ring together.
    for were_alone in [true, false] {
        let mut bus = Bus::new(&[1, 2], &[]);
        for (id, version) in [(1, 7u64), (2, 8)] {
            bus.nodes.get_mut(&id).expect("a node").set_key("totem.config_version", Value::from(version));
        }
        if were_alone {
            bus.configure(&[1], &[]);
            bus.configure(&[2], &[]);
            bus.configure(&[1, 2], &[&[1], &[2]]);
        } else {
            bus.configure(&[1, 2], &[]);
        }
        let stops = |bus: &Bus, id| bus.outputs[&id].contains(&Output::Shutdown);
        assert!(stops(&bus, 1), "{were_alone}");
        assert!(!stops(&bus, 2), "{were_alone}");
    }
}

#[test]
fn keys_that_change_again_before_everybody_is_ready_are_used_as_well() {
    let mut bus = Bus::new(&[1, 2], &[]);
    bus.configure(&[1, 2], &[&[1], &[2]]);
    let activated = |bus: &Bus| {
        let outputs = bus.outputs.get(&1).into_iter().flatten();
        outputs.filter(|output| matches!(output, Output::ActivateKey)).count()
    };
    for change in 1..=3 {
        // The other node never says that it is ready, so no change comes to its end.
        bus.nodes.get_mut(&1).expect("a node").begin_crypto_change();
        bus.drain(1);
        bus.deliver(&[1, 2]);
        assert_eq!(activated(&bus), change);
    }
}

#[test]
fn a_tracker_may_veto_the_shutdown() {
    let mut bus = Bus::new(&[1], &[]);
    bus.configure(&[1], &[]);
    let (asker, tracker) =
        (Client { service: Service::Cfg, conn: 1 }, Client { service: Service::Cfg, conn: 2 });
    for client in [asker, tracker] {
        bus.nodes.get_mut(&1).expect("a node").handle_connect(client);
    }
    bus.request(1, tracker, &request(10, 24, &[]));
    for (answer, outcome) in [(0u32, 10u32), (1, 1)] {
        bus.request(1, asker, &request(3, 24, &[]));
        assert!(bus.events(1, tracker).iter().any(|event| u32_at(event, 0) == 10));
        bus.request(1, tracker, &request(4, 24, &[(16, &answer.to_ne_bytes())]));
        let to_asker = bus.outputs[&1].iter().rev().find_map(|output| match output {
            Output::Respond { client, bytes } if *client == asker => Some(bytes.clone()),
            _ => None,
        });
        assert_eq!(u32_at(&to_asker.expect("an answer"), 16), outcome);
        bus.deliver(&[1]);
    }
    assert!(bus.outputs[&1].contains(&Output::Shutdown));
}

/// A slow node reads its file, which nobody has changed, when a faster one has told already what its own says now.
/// In the reference each reads at the same place in the order of messages (message_handler_req_exec_cfg_reload_config).
#[test]
fn what_others_tell_after_a_reload_counts_after_it() {
    let file = |id, votes: u32| {
        let mut map = config_map(id, &[1, 2, 3], &[]);
        map.set("quorum.expected_votes", votes);
        map
    };
    let mut bus = Bus::new(&[1, 2, 3], &[]);
    let expected = |bus: &Bus| [1, 2, 3].map(|id| bus.nodes[&id].map().u32("runtime.votequorum.ev_barrier"));
    let mut reload = |asker: u32, votes: [u32; 3], order: [u32; 3]| {
        bus.queue.push_back((asker, b"a", request(1 << 16 | 3, 32, &[(16, &asker.to_ne_bytes())])));
        bus.deliver(&[1, 2, 3]);
        for id in order {
            let asks = bus.outputs.entry(id).or_default().iter().filter(|it| **it == Output::Reload).count();
            assert_eq!(asks, 1, "node {id} is asked to read");
            bus.outputs.remove(&id);
            let votes = votes[usize::try_from(id - 1).expect("small")];
            bus.nodes.get_mut(&id).expect("a node").apply_reload(Ok((file(id, votes), BTreeMap::new())));
            bus.drain(id);
            // What it tells comes to everybody before the next one has read.
            bus.deliver(&[1, 2, 3]);
        }
        expected(&bus)
    };
    assert_eq!(reload(1, [5, 5, 5], [1, 2, 3]), [Some(5); 3]);
    assert_eq!(reload(2, [4, 5, 5], [1, 3, 2]), [Some(4); 3]);
}

proptest! {
    #[test]
    fn arbitrary_requests_and_messages_never_panic(
        inputs in proptest::collection::vec(
            (0usize..5, 0u32..16, proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..400)), 1..20),
    ) {
        let mut bus = Bus::new(&[1], &[]);
        bus.configure(&[1], &[]);
        for (service, id, mut bytes) in inputs {
            let service = Service::ALL[service];
            let client = Client { service, conn: 3 };
            if bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&id.to_ne_bytes());
            }
            bus.request(1, client, &bytes);
            if bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&((service as u32) << 16 | id).to_ne_bytes());
            }
            for order in [ByteOrder::Little, ByteOrder::Big] {
                for group in [&b"a"[..], b"sync"] {
                    let delivery = Delivery { nodeid: 1, order, group: group.to_vec().into(), payload: bytes.clone().into() };
                    bus.nodes.get_mut(&1).expect("a node").handle_event(Instant(0), Event::Delivery(delivery));
                }
            }
            bus.drain(1);
        }
    }
}
