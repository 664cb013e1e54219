//! Whole clusters of controllers in virtual time: every node has its own CIB and applies one log of
//! messages in order, each at its own pace; nodes crash and come back with what they had on disk, starts fail,
//! administrators change the configuration or replace the CIB by an old copy. Checked all the time: no resource is
//! active twice. Checked in the end: one leader, equal CIBs that say who takes part, everything runs.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cib::{Operation, Request, Transfers, options};
use controller::history::{OpStatus, Record};
use controller::{Age, Config, Controller, Env, Output, Role};
use xml::{Document, Element};

#[path = "cluster/changes.rs"]
mod changes;
use changes::{RESOURCES, attribute_update, initial_cib, request, version};

/// Virtual time in which a cluster must come to rest after its last fault, in ms.
const CALM_MS: u64 = 120_000;

/// An entry of the log that all nodes share.
#[derive(Clone)]
enum Entry {
    Cib {
        from: u32,
        call: u32,
        operation: Operation,
        section: Option<String>,
        bits: u32,
        data: Option<Document>,
        keep: bool,
    },
    Controller {
        from: u32,
        to: Option<String>,
        message: Document,
    },
    AskForCib {
        to: String,
    },
    Attribute {
        node: String,
        name: String,
        value: Option<String>,
    },
    Processes {
        running: Vec<u32>,
        dead: Vec<u32>,
    },
    Membership {
        members: Vec<u32>,
        quorate: bool,
    },
}

struct Node {
    id: u32,
    controller: Controller,
    cib: Document,
    /// Next entry of the log to take.
    cursor: usize,
    history: Document,
    transfers: Transfers<Entry>,
    active: BTreeSet<String>,
    decisions: VecDeque<u32>,
    call: i32,
}

struct World {
    seed: u64,
    now_ms: u64,
    cpu_ns: u64,
    log: Vec<Entry>,
    nodes: BTreeMap<u32, Node>,
    size: u32,
    /// Nodes in the engine's membership; a controller may have crashed on them.
    ring: BTreeSet<u32>,
    /// What runs, and its history, on nodes whose controllers have crashed.
    unattended: BTreeMap<u32, BTreeSet<String>>,
    /// The CIB as each node wrote it to disk last.
    disks: BTreeMap<u32, Document>,
    /// Transient attributes: (node, name) and value.
    attributes: BTreeMap<(String, String), Option<String>>,
    /// Operations that still fail: (resource, node).
    broken: BTreeSet<(String, u32)>,
    story: Vec<String>,
}

fn name(id: u32) -> String {
    format!("n{id}")
}

fn empty_history(id: u32) -> Document {
    Document::parse(&format!("<lrm id='{id}'><lrm_resources/></lrm>")).unwrap()
}

impl World {
    fn new(seed: u64, size: u32) -> World {
        let mut world = World {
            seed,
            now_ms: 1_000,
            cpu_ns: 0,
            log: Vec::new(),
            nodes: BTreeMap::new(),
            size,
            ring: BTreeSet::new(),
            unattended: BTreeMap::new(),
            disks: BTreeMap::new(),
            attributes: BTreeMap::new(),
            broken: BTreeSet::new(),
            story: Vec::new(),
        };
        for id in 1..=size {
            world.boot(id);
        }
        world
    }

    /// xorshift: the whole run follows from the seed.
    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % below.max(1)
    }

    fn boot(&mut self, id: u32) {
        let config = Config {
            id,
            name: name(id),
            cluster_name: "sim".into(),
            nodes: (1..=self.size).map(|id| (id, name(id))).collect(),
            version: "sim".into(),
            uuid: format!("uuid-{id}-{}", self.now_ms),
        };
        let node = Node {
            id,
            controller: Controller::new(config),
            cib: self.disks.get(&id).cloned().map_or_else(initial_cib, cib::without_status),
            cursor: self.log.len(),
            history: empty_history(id),
            transfers: Transfers::default(),
            active: self.unattended.remove(&id).unwrap_or_default(),
            decisions: VecDeque::new(),
            call: 0,
        };
        self.nodes.insert(id, node);
        self.ring.insert(id);
        self.story.push(format!("{} boot {id}", self.now_ms));
        self.announce(Vec::new());
    }

    fn crash(&mut self, id: u32) {
        self.nodes.remove(&id);
        self.ring.remove(&id);
        self.attributes.retain(|(node, _), _| *node != name(id));
        self.story.push(format!("{} crash {id}", self.now_ms));
        self.announce(vec![id]);
    }

    /// The controller ends without a word; its node stays, and what ran there goes on.
    fn crash_controller(&mut self, id: u32) {
        if let Some(node) = self.nodes.remove(&id) {
            self.unattended.insert(id, node.active);
        }
        self.story.push(format!("{} crash of the controller on {id}", self.now_ms));
        self.announce(Vec::new());
    }

    fn announce(&mut self, dead: Vec<u32>) {
        let running: Vec<u32> = self.nodes.keys().copied().collect();
        let members: Vec<u32> = self.ring.iter().copied().collect();
        let quorate = members.len() as u32 * 2 > self.size || self.size == 2;
        self.log.push(Entry::Processes { running, dead });
        self.log.push(Entry::Membership { members, quorate });
    }

    /// Takes one step: some node takes its next message, or its scheduler answers, or time passes.
    fn step(&mut self) {
        let ids: Vec<u32> = self.nodes.keys().copied().collect();
        let behind: Vec<u32> =
            ids.iter().copied().filter(|id| self.nodes[id].cursor < self.log.len()).collect();
        let deciding: Vec<u32> =
            ids.iter().copied().filter(|id| !self.nodes[id].decisions.is_empty()).collect();
        match (behind.is_empty(), deciding.is_empty()) {
            (false, decide) if decide || self.random(4) > 0 => {
                let id = behind[self.random(behind.len() as u64) as usize];
                self.take(id);
            }
            (_, false) => {
                let id = deciding[self.random(deciding.len() as u64) as usize];
                self.decide(id);
            }
            _ => self.pass_time(),
        }
        self.check_safety();
    }

    fn pass_time(&mut self) {
        let next = self.nodes.values().filter_map(|node| node.controller.poll_timeout()).min();
        self.wait_until(next.unwrap_or(self.now_ms + 1_000));
    }

    fn wait_until(&mut self, at_ms: u64) {
        self.now_ms = at_ms.max(self.now_ms + 1);
        let now = self.now_ms;
        let due = |node: &Node| node.controller.poll_timeout().is_some_and(|at| at <= now);
        let ids: Vec<u32> = self.nodes.values().filter(|node| due(node)).map(|node| node.id).collect();
        for id in ids {
            self.with(id, |node, env| node.controller.handle_timeout(env));
        }
    }

    /// Calls into a node's controller, then carries out what it wants.
    fn with(&mut self, id: u32, work: impl FnOnce(&mut Node, &Env<'_>)) {
        // CPU time: it grows with all that a node does.
        self.cpu_ns += 1;
        let age = Age { seconds: 0, nanoseconds: self.cpu_ns };
        let (now_ms, Some(node)) = (self.now_ms, self.nodes.get_mut(&id)) else { return };
        let cib = node.cib.clone();
        work(node, &Env { now_ms, wall_s: (now_ms / 1000) as i64, age, cib: &cib });
        self.drain(id);
    }

    fn drain(&mut self, id: u32) {
        let mut leaves = false;
        while let Some(output) = self.nodes.get_mut(&id).and_then(|node| node.controller.poll_output()) {
            match output {
                Output::Send { host, message } => {
                    self.log.push(Entry::Controller { from: id, to: host, message })
                }
                Output::Cib { call, operation, section, options, data } => {
                    self.log.push(Entry::Cib {
                        from: id,
                        call,
                        operation,
                        section,
                        bits: options,
                        data,
                        keep: false,
                    });
                }
                Output::SyncOurs => self.log.push(Entry::AskForCib { to: name(id) }),
                Output::SyncFrom(to) => self.log.push(Entry::AskForCib { to }),
                Output::Schedule(number) => {
                    if let Some(node) = self.nodes.get_mut(&id) {
                        node.decisions.push_back(number);
                    }
                }
                Output::Attribute { node, name, value } => {
                    self.attributes.insert((node.clone(), name.clone()), value.clone());
                    self.log.push(Entry::Attribute { node, name, value })
                }

                Output::AttributesDeleted => self.write_attributes_again(id),
                Output::ClearFailures { .. } => {}
                Output::Fence { action, node, .. } => panic!("fencing {node} ({action}) without fencing"),
                Output::Exit => {
                    leaves = true;
                    self.story.push(format!("{} exit {id}", self.now_ms));
                }
                Output::Log(text) => self.story.push(format!("{} {id}: {text}", self.now_ms)),
            }
        }
        if leaves && let Some(node) = self.nodes.remove(&id) {
            self.ring.remove(&id);
            self.attributes.retain(|(node, _), _| *node != name(id));
            assert!(node.active.is_empty(), "{id} leaves while it runs {:?}\n{}", node.active, self.tail());
            self.announce(Vec::new());
        }
    }

    fn sync(&mut self, id: u32) {
        let Some(node) = self.nodes.get(&id) else { return };
        let data = Some(node.cib.clone());
        let operation = Operation::Replace;
        self.log.push(Entry::Cib { from: id, call: 0, operation, section: None, bits: 0, data, keep: true });
    }

    fn decide(&mut self, id: u32) {
        let Some(number) = self.nodes.get_mut(&id).and_then(|node| node.decisions.pop_front()) else {
            return;
        };
        let options = scheduler::Options { now_s: (self.now_ms / 1000) as i64, ..Default::default() };
        let cib = self.nodes[&id].cib.clone();
        let graph = scheduler::schedule(&cib, &options).unwrap().to_xml();
        self.with(id, |node, env| node.controller.handle_decision(env, number, &graph, None));
    }

    fn take(&mut self, id: u32) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let entry = self.log[node.cursor].clone();
        node.cursor += 1;
        match entry {
            Entry::Processes { running, dead } => {
                node.transfers.keep_only(&running);
                self.with(id, |node, env| node.controller.handle_processes(env, &running, &dead));
            }
            Entry::Membership { members, quorate } => {
                self.with(id, |node, env| node.controller.handle_membership(env, &members, quorate));
            }
            Entry::Controller { from, to, message } => {
                if to.is_none_or(|to| to == name(id)) {
                    self.receive(id, from, &message);
                }
            }
            Entry::AskForCib { to } => {
                node.transfers.begin(to.trim_start_matches('n').parse().unwrap());
                if to == name(id) {
                    self.sync(id);
                }
            }
            Entry::Attribute { node, name, value } => self.attribute(id, &node, &name, value.as_deref()),
            Entry::Cib { from, call, operation, ref section, bits, ref data, keep } => {
                if keep && let Some(noted) = node.transfers.finish(from) {
                    self.adopt(id, data.clone().unwrap(), &noted);
                    return;
                }
                node.transfers.note(&entry);
                let request = request(operation, section.as_deref(), bits, data.as_ref(), keep);
                let error = self.apply(id, &request).err();
                if from == id && call != 0 {
                    self.with(id, |node, env| node.controller.handle_cib_reply(env, call, error));
                }
            }
        }
    }

    /// Takes a copy over, with what has changed since it was taken.
    fn adopt(&mut self, id: u32, mut cib: Document, noted: &[Entry]) {
        for change in noted {
            if let Entry::Cib { operation, section, bits, data, keep, .. } = change
                && let Ok(outcome) =
                    cib::perform(&cib, &request(*operation, section.as_deref(), *bits, data.as_ref(), *keep))
            {
                cib = outcome.cib;
            }
            if let Entry::Attribute { node, name, value } = change
                && let Ok(outcome) = cib::perform(
                    &cib,
                    &request(
                        Operation::Modify,
                        Some("status"),
                        options::CAN_CREATE,
                        Some(&attribute_update(node, name, value.as_deref())),
                        false,
                    ),
                )
            {
                cib = outcome.cib;
            }
        }
        let outcome = cib::adopt(&self.nodes[&id].cib, cib);
        let replaced = outcome.patch.is_some();
        self.accept(id, outcome, replaced);
    }

    fn apply(&mut self, id: u32, request: &Request<'_>) -> Result<(), base::CibError> {
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        let outcome = cib::perform(&node.cib, request).map_err(|failure| failure.error)?;
        let replaced = matches!(request.operation, Operation::Replace | Operation::Erase);
        self.accept(id, outcome, replaced);
        Ok(())
    }

    fn accept(&mut self, id: u32, outcome: cib::Outcome, replaced: bool) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.cib = outcome.cib;
        if outcome.configuration_changed {
            self.disks.insert(id, node.cib.clone());
        }
        if let Some(patch) = outcome.patch {
            if replaced {
                self.with(id, |node, env| node.controller.handle_cib_replaced(env));
                self.write_attributes_again(id);
            }
            self.with(id, |node, env| node.controller.handle_cib_change(env, patch.root_element()));
        }
    }

    fn write_attributes_again(&mut self, id: u32) {
        if self.nodes.get(&id).is_some_and(|node| node.controller.is_leader()) {
            for ((node, name), value) in self.attributes.clone() {
                self.log.push(Entry::Attribute { node, name, value });
            }
        }
    }

    /// An administrator's change of the CIB at some node.
    fn change(&mut self, operation: Operation, section: Option<&str>, data: Option<Document>) {
        self.story.push(format!("{} {operation:?} of {section:?}", self.now_ms));
        let section = section.map(str::to_string);
        self.log.push(Entry::Cib { from: 0, call: 0, operation, section, bits: 0, data, keep: false });
    }

    /// The configuration as it is, with a new option.
    fn configure(&mut self) {
        let value = self.random(1_000);
        let text = format!(
            "<crm_config><cluster_property_set id='cib-bootstrap-options'>\
             <nvpair id='probe' name='probe' value='{value}'/></cluster_property_set></crm_config>"
        );
        self.change(Operation::Modify, Some("crm_config"), Some(Document::parse(&text).unwrap()));
    }

    /// The whole CIB becomes what it was some time ago, or on some disk, or its status section is emptied.
    fn replace(&mut self, old: Option<Document>) {
        let newest = self.nodes.values().map(|node| node.cib.clone()).max_by_key(version);
        let (Some(newest), Some(mut old)) = (newest, old) else { return };
        let root = old.root();
        let (admin_epoch, epoch) = version(&newest);
        old.set_attr(root, "admin_epoch", &admin_epoch.to_string());
        old.set_attr(root, "epoch", &(epoch + 1).to_string());
        self.change(Operation::Replace, None, Some(old));
    }

    /// As the writer does: every node's table is the same, so each applies the write itself.
    fn attribute(&mut self, id: u32, node: &str, attribute: &str, value: Option<&str>) {
        let entry =
            Entry::Attribute { node: node.into(), name: attribute.into(), value: value.map(str::to_string) };
        if let Some(node) = self.nodes.get_mut(&id) {
            node.transfers.note(&entry);
        }
        let data = attribute_update(node, attribute, value);
        let request = request(Operation::Modify, Some("status"), options::CAN_CREATE, Some(&data), false);
        let _ = self.apply(id, &request);
    }

    fn receive(&mut self, id: u32, from: u32, message: &Document) {
        let root = message.root_element();
        if root.attr("crm_task") == Some("lrm_invoke") {
            let op = controller::message::body(root).expect("an operation");
            self.execute(id, op);
            return;
        }
        let history = self.nodes[&id].history.clone();
        self.with(id, |node, env| node.controller.handle_message(env, from, &name(from), message, &history));
    }

    /// An agent that takes no time.
    fn execute(&mut self, id: u32, op: Element<'_>) {
        let resource = op.child("primitive").unwrap().attr("id").unwrap().to_string();
        let operation = op.attr("operation").unwrap().to_string();
        let meta = |name: &str| op.child("attributes").and_then(|a| a.attr(name));
        let interval_ms = meta("CRM_meta_interval").and_then(|text| text.parse().ok()).unwrap_or(0);
        let target_rc = meta("CRM_meta_op_target_rc").and_then(|text| text.parse().ok()).unwrap_or(0);
        let broken = self.broken.contains(&(resource.clone(), id));
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let rc = match operation.as_str() {
            "start" if broken => 1,
            "start" => {
                node.active.insert(resource.clone());
                0
            }
            "stop" => {
                node.active.remove(&resource);
                0
            }
            "monitor" if node.active.contains(&resource) => 0,
            "monitor" => 7,
            "delete" | "cancel" => return,
            _ => 0,
        };
        node.call += 1;
        let record = Record {
            resource,
            agent: ("ocf".into(), Some("pacemaker".into()), "Dummy".into()),
            operation,
            interval_ms,
            transition_key: op.attr("transition-key").unwrap().to_string(),
            call_id: node.call,
            rc,
            target_rc,
            status: OpStatus::Done,
            exit_reason: String::new(),
            last_rc_change_s: (self.now_ms / 1000) as i64,
            exec_ms: 0,
            queue_ms: 0,
            digest: controller::history::parameters_digest(std::iter::empty(), interval_ms),
            restart: None,
        };
        let entry = record.to_xml(&name(id), "sim");
        let wrapped = format!("<lrm_resources>{}</lrm_resources>", entry.to_text());
        let place = node.history.child(node.history.root(), "lrm_resources").unwrap();
        cib::merge(&mut node.history, place, Document::parse(&wrapped).unwrap().root_element());
        let state =
            format!("<node_state id='{id}' uname='{}'><lrm id='{id}'>{wrapped}</lrm></node_state>", name(id));
        self.log.push(Entry::Cib {
            from: id,
            call: 0,
            operation: Operation::Modify,
            section: Some("status".into()),
            bits: options::CAN_CREATE,
            data: Some(Document::parse(&state).unwrap()),
            keep: false,
        });
    }

    fn check_safety(&self) {
        for resource in RESOURCES {
            let holders: Vec<u32> = self
                .nodes
                .values()
                .filter(|node| node.active.contains(resource))
                .map(|node| node.id)
                .collect();
            let unattended = self.unattended.values().filter(|active| active.contains(resource)).count();
            assert!(holders.len() + unattended <= 1, "{resource} is active on {holders:?}\n{}", self.tail());
        }
    }

    fn tail(&self) -> String {
        self.story.iter().rev().take(60).rev().cloned().collect::<Vec<_>>().join("\n")
    }

    fn has_work(&self) -> bool {
        self.nodes.values().any(|node| node.cursor < self.log.len() || !node.decisions.is_empty())
    }

    fn is_at_rest(&self) -> bool {
        !self.has_work() && self.nodes.values().all(|node| node.controller.is_idle())
    }

    /// Runs until nothing is left to do; fails when that takes too long.
    fn settle(&mut self) {
        let limit = self.now_ms + CALM_MS;
        for _ in 0..200_000 {
            if self.is_at_rest() {
                return;
            }
            assert!(self.now_ms <= limit, "not at rest after {CALM_MS} ms\n{}", self.tail());
            self.step();
        }
        panic!("endless work\n{}", self.tail());
    }

    fn check_rest(&self) {
        if self.nodes.is_empty() {
            return;
        }
        let leaders = self.nodes.values().filter(|node| node.controller.role() == Role::Leader).count();
        assert_eq!(leaders, 1, "leaders\n{}", self.tail());
        let digests: BTreeSet<String> = self.nodes.values().map(|node| node.cib.digest_filtered()).collect();
        let texts: Vec<String> = self.nodes.values().map(|node| node.cib.to_pretty()).collect();
        assert_eq!(digests.len(), 1, "different CIBs\n{}\n{}", self.tail(), texts.join("\n=====\n"));
        self.check_status();
        let quorate = self.nodes.len() as u32 * 2 > self.size || self.size == 2;
        for resource in RESOURCES {
            let healthy = self.nodes.keys().any(|id| !self.broken.contains(&(resource.to_string(), *id)));
            let holders = self.nodes.values().filter(|node| node.active.contains(resource)).count();
            // What started before its starts were broken may go on.
            let as_wanted = if quorate && healthy { holders == 1 } else { quorate || holders == 0 };
            assert!(as_wanted, "{resource} runs {holders} times\n{}\n{}", self.tail(), self.status());
        }
    }

    /// The CIB says who leads, who takes part and who does not.
    fn check_status(&self) {
        let node = self.nodes.values().next().unwrap();
        let cib = node.cib.root_element();
        let leader = self.nodes.values().find(|node| node.controller.is_leader()).unwrap();
        assert_eq!(cib.attr("dc-uuid"), Some(leader.id.to_string().as_str()), "{}", self.tail());
        let quorum = if leader.controller.is_quorate() { "1" } else { "0" };
        assert_eq!(cib.attr("have-quorum"), Some(quorum), "{}", self.tail());
        for state in cib.child("status").unwrap().children_named("node_state") {
            let here = self.nodes.contains_key(&state.attr("id").unwrap().parse().unwrap());
            let wanted = if here { ("online", "member") } else { ("offline", "down") };
            let found = (state.attr("crmd").unwrap_or("offline"), state.attr("join").unwrap_or("down"));
            assert_eq!(found, wanted, "{}\n{}", self.tail(), self.status());
            let leaves = state.descendants().any(|pair| pair.attr("name") == Some("shutdown"));
            assert!(here || !leaves, "a wish to leave is left behind\n{}\n{}", self.tail(), self.status());
        }
        let states = cib.child("status").unwrap().children_named("node_state");
        let known: BTreeSet<String> =
            states.filter_map(|state| Some(state.attr("id")?.to_string())).collect();
        let missing: Vec<&u32> = self.nodes.keys().filter(|id| !known.contains(&id.to_string())).collect();
        assert!(missing.is_empty(), "no state of {missing:?}\n{}", self.tail());
    }

    /// Nodes that have an attribute, as the CIB says.
    fn values(&self, attribute: &str) -> Vec<String> {
        let cib = self.nodes.values().next().unwrap().cib.root_element();
        let states = cib.child("status").unwrap().children_named("node_state");
        let with =
            states.filter(|state| state.descendants().any(|pair| pair.attr("name") == Some(attribute)));
        with.map(|state| state.attr("id").unwrap().to_string()).collect()
    }

    fn status(&self) -> String {
        self.nodes.values().next().map_or_else(String::new, |node| node.cib.to_pretty())
    }
}

fn run(seed: u64, size: u32, faults: u32) {
    let mut world = World::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, size);
    let mut old = None;
    for _ in 0..faults {
        for _ in 0..world.random(400) {
            if world.is_at_rest() {
                break;
            }
            world.step();
        }
        let id = 1 + world.random(u64::from(size)) as u32;
        match world.random(9) {
            6 => world.configure(),
            7 => old = world.nodes.values().next().map(|node| node.cib.clone()),
            8 => world.replace(old.clone()),
            0 if world.nodes.len() > 1 && world.nodes.contains_key(&id) => world.crash(id),
            1 if !world.nodes.contains_key(&id) => world.boot(id),
            2 => {
                let resource = RESOURCES[world.random(2) as usize].to_string();
                world.broken.insert((resource, id));
            }
            4 if world.nodes.contains_key(&id) => {
                world.crash_controller(id);
                world.boot(id);
            }
            3 if world.nodes.contains_key(&id) => {
                world.with(id, |node, env| node.controller.handle_shutdown_request(env));
            }
            // Messages are late, by less than a controller may be away.
            _ => {
                let late_ms = world.random(800);
                world.wait_until(world.now_ms + late_ms);
            }
        }
    }
    world.settle();
    world.check_rest();
}

#[test]
fn a_cluster_forms_and_starts_its_resources() {
    run(1, 2, 0);
    run(2, 3, 0);
    run(3, 5, 0);
}

/// What a node that is gone has left behind is deleted; behind that the writer writes all that it knows, which may be
/// what that node has told since it is back.
#[test]
fn known_values_are_written_again_behind_a_deletion() {
    let mut world = World::new(7, 3);
    world.settle();
    let leader = world.nodes.values().find(|node| node.controller.is_leader()).unwrap().id;
    let other = 1 + leader % 3;
    let told = |node, attribute: &str| ((name(node), attribute.to_string()), Some("3".to_string()));
    // Known to the writer, and lost in the CIB.
    world.attributes.extend([told(leader, "pingd")]);
    let ((node, attribute), value) = told(other, "pingd");
    world.log.push(Entry::Attribute { node, name: attribute, value });
    world.settle();
    assert_eq!(world.values("pingd"), [other.to_string()]);
    world.crash(other);
    world.settle();
    assert_eq!(world.values("pingd"), [leader.to_string()], "{}", world.tail());
}

/// How many runs, unless `RELEVO_SEEDS` says otherwise.
fn seeds(usual: u64) -> u64 {
    std::env::var("RELEVO_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn crashes_returns_and_failures_at_any_moment() {
    for seed in 0..seeds(150) {
        let size = 2 + (seed % 4) as u32;
        let outcome = std::panic::catch_unwind(|| run(seed, size, 6));
        if let Err(cause) = outcome {
            println!("seed {seed}, {size} nodes");
            std::panic::resume_unwind(cause);
        }
    }
}

/// All nodes are told to leave, at moments near each other, from any state: each stops its resources and goes.
fn run_leave(seed: u64, size: u32) {
    let mut world = World::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, size);
    if seed.is_multiple_of(3) {
        world.settle();
    }
    for _ in 0..world.random(300) {
        world.step();
    }
    for id in 1..=size {
        world.with(id, |node, env| node.controller.handle_shutdown_request(env));
        world.story.push(format!("{} told {id} to leave", world.now_ms));
        for _ in 0..world.random(30) {
            world.step();
        }
    }
    let limit = world.now_ms + CALM_MS;
    while !world.nodes.is_empty() {
        assert!(world.now_ms <= limit, "still there after {CALM_MS} ms\n{}", world.tail());
        world.step();
    }
}

#[test]
fn everybody_can_leave_at_once() {
    for seed in 0..seeds(120) {
        let size = 2 + (seed % 4) as u32;
        let outcome = std::panic::catch_unwind(|| run_leave(seed, size));
        if let Err(cause) = outcome {
            println!("seed {seed}, {size} nodes");
            std::panic::resume_unwind(cause);
        }
    }
}

/// Controllers crash, all or some, at any moment, and are back within the time that they have: nothing
/// stops, nothing moves, nothing runs twice (checked at each step).
#[test]
fn a_controller_that_comes_back_finds_everything_in_its_place() {
    for seed in 0..seeds(100) {
        let size = 2 + (seed % 4) as u32;
        let mut world = World::new((seed + 1u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, size);
        world.settle();
        let places = |world: &World| -> Vec<(u32, BTreeSet<String>)> {
            world.nodes.values().map(|node| (node.id, node.active.clone())).collect()
        };
        let before = places(&world);
        for _ in 0..=world.random(3) {
            let id = 1 + world.random(u64::from(size)) as u32;
            world.crash_controller(id);
            for _ in 0..world.random(60) {
                // No time passes while there is work.
                if world.has_work() {
                    world.step();
                }
            }
            world.boot(id);
        }
        world.settle();
        world.check_rest();
        assert_eq!(before, places(&world), "seed {seed}\n{}", world.tail());
    }
}

/// One that does not come back is given up after a while: the others go on without it.
#[test]
fn a_controller_that_stays_away_is_given_up() {
    let mut world = World::new(7, 3);
    world.settle();
    world.crash_controller(2);
    let left = world.unattended.remove(&2).unwrap();
    let start_ms = world.now_ms;
    while !left.iter().all(|resource| world.nodes.values().any(|node| node.active.contains(resource))) {
        assert!(world.now_ms < start_ms + 10_000, "{}", world.tail());
        world.step();
    }
    world.settle();
    assert!(!left.is_empty() && world.tail().contains("has not come back"), "{}", world.tail());
}
