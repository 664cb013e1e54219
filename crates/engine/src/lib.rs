//! The services on the ring as sans-IO cores: sync, CPG, votequorum, quorum, cmap, cfg.
//!
//! [`Engine`] takes the ring's events and the clients' requests and hands out [`Output`]s. After
//! every call drain [`Engine::poll_output`] in order. `Multicast` goes to [`totem::Totem::send`],
//! `Synchronised` to [`totem::Totem::synchronised`], and that before the next event is polled.

mod cfg;
mod cmap;
mod cpg;
mod map;
mod output;
mod quorum;
mod reload;
mod sync;
mod votequorum;
mod wire;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use totem::{Configuration, Delivery, Event, Instant, Level, RingId};

pub use cfg::{NodeLink, NodeLinks};
pub use map::{KEY_MAX, KEY_MIN, Map, VALUE_MAX, Value, ValueType, check_key};
pub use output::{Client, Counters, Message, Output, Service};
pub use reload::config_prefixes;
pub use wire::CsError;

use output::Ctx;
use sync::{Step, Sync};
use wire::{Msg, RESPONSE_HEADER, View};

/// Asynchronous requests that wait for the ring, over all clients, in bytes.
const DEFERRED_MAX: usize = 64 * 1024 * 1024;
/// Functions of a service that are counted (cmap runtime.services).
const FUNCTIONS: [(Service, u32); 5] = [
    (Service::Cmap, 1),
    (Service::Cfg, 5),
    (Service::Cpg, 7),
    (Service::Quorum, 0),
    (Service::Votequorum, 4),
];

/// What the engine must know at its start.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Own node id.
    pub nodeid: u32,
    /// Links to the configured nodes, the own one included.
    pub nodes: BTreeMap<u32, NodeLinks>,
    /// What [`Output::StoreEvTracking`] stored last, else 0.
    pub stored_ev_tracking: u32,
}

/// All services of one node.
#[derive(Debug)]
pub struct Engine {
    me: u32,
    now: Instant,
    map: Map,
    stats: Map,
    sync: Sync,
    cmap: cmap::Cmap,
    cfg: cfg::Cfg,
    cpg: cpg::Cpg,
    quorum: quorum::Quorum,
    votequorum: Option<votequorum::VoteQuorum>,
    out: VecDeque<Output>,
    members: Vec<u32>,
    /// A barrier waits for the quorum device.
    holds_barrier: bool,
    backlogged: bool,
    deferred: VecDeque<(Client, Bytes)>,
    deferred_bytes: usize,
    counters: BTreeMap<(u32, u32), (u64, u64)>,
}

macro_rules! ctx {
    ($engine:expr) => {
        Ctx { me: $engine.me, now: $engine.now, map: &mut $engine.map, out: &mut $engine.out }
    };
}

impl Engine {
    /// Starts the services on a map that holds the configuration file's keys.
    ///
    /// # Errors
    /// The text of a configuration error of the quorum provider.
    pub fn new(config: Config, map: Map, now: Instant) -> Result<Self, String> {
        let provider = map.text("quorum.provider").map(str::to_owned);
        let mut engine = Self {
            me: config.nodeid,
            now,
            map,
            stats: Map::default(),
            sync: Sync::default(),
            cmap: cmap::Cmap::default(),
            cfg: cfg::Cfg::default(),
            cpg: cpg::Cpg::default(),
            quorum: quorum::Quorum::new(provider.is_some()),
            votequorum: None,
            out: VecDeque::new(),
            members: Vec::new(),
            holds_barrier: false,
            backlogged: false,
            deferred: VecDeque::new(),
            deferred_bytes: 0,
            counters: BTreeMap::new(),
        };
        engine.cfg.nodes = config.nodes;
        engine.set_internal_keys();
        if let Some(provider) = provider {
            engine.log(Level::Notice, "QUORUM", format!("Using quorum provider {provider}"));
            if provider != "corosync_votequorum" {
                return Err("Invalid quorum provider".to_owned());
            }
            let mut service = votequorum::VoteQuorum::new(&mut ctx!(engine), config.stored_ev_tracking)?;
            service.announce(&mut ctx!(engine));
            engine.votequorum = Some(service);
        }
        while engine.map.take_change().is_some() {}
        Ok(engine)
    }

    fn set_internal_keys(&mut self) {
        for (service, functions) in FUNCTIONS {
            let number = service as u32;
            let name = service.name();
            let prefix = format!("internal_configuration.service.{number}");
            self.map.set(&format!("{prefix}.name"), format!("corosync_{name}").as_str());
            self.map.set(&format!("{prefix}.ver"), 0u32);
            let id = u16::try_from(number).unwrap_or(0);
            self.map.set(&format!("runtime.services.{name}.service_id"), id);
            for function in 0..functions {
                self.counters.insert((number, function), (0, 0));
            }
        }
        self.map.set("runtime.blackbox.dump_flight_data", "no");
        self.map.set("runtime.blackbox.dump_state", "no");
        self.map.set("runtime.force_gather", "no");
    }

    /// The configuration map.
    #[must_use]
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// What the links are like now, for clients that are about to ask.
    pub fn set_links(&mut self, nodes: BTreeMap<u32, NodeLinks>) {
        self.cfg.nodes = nodes;
    }

    /// The transport has new keys and waits for [`Output::ActivateKey`].
    pub fn begin_crypto_change(&mut self) {
        self.cfg.begin_crypto_change(&mut ctx!(self));
    }

    /// Sets a key from the driver's side.
    pub fn set_key(&mut self, key: &str, value: impl Into<Value>) {
        self.map.set(key, value);
        self.settle();
    }

    /// True if this partition may act.
    #[must_use]
    pub fn is_quorate(&self) -> bool {
        self.votequorum.as_ref().map_or_else(|| self.quorum.is_quorate(), votequorum::VoteQuorum::is_quorate)
    }

    /// Members of the last configuration.
    #[must_use]
    pub fn members(&self) -> &[u32] {
        &self.members
    }

    /// True between a configuration change and the end of its synchronisation.
    #[must_use]
    pub fn is_synchronising(&self) -> bool {
        self.sync.is_running()
    }

    /// Next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn log(&mut self, level: Level, subsystem: &'static str, text: impl Into<String>) {
        self.out.push_back(Output::Log { level, subsystem, text: text.into() });
    }

    // ---- the ring

    /// Takes one event of the ring.
    pub fn handle_event(&mut self, now: Instant, event: Event) {
        self.now = now;
        match event {
            Event::Configuration(configuration) => self.take_configuration(configuration),
            Event::Delivery(delivery) => self.take_delivery(&delivery),
        }
        self.settle();
    }

    fn take_configuration(&mut self, configuration: Configuration) {
        if !self.sync.is_running() {
            self.out.push_back(Output::Flow { stop: true });
        }
        self.holds_barrier = false;
        for id in &configuration.left {
            self.map.set(&format!("runtime.members.{id}.status"), "left");
        }
        if configuration.transitional {
            self.cpg.sync_abort();
            self.sync.save_transitional(self.me, &configuration.members);
            return;
        }
        for id in &configuration.joined {
            self.record_joined(*id);
        }
        self.members.clone_from(&configuration.members);
        self.cfg.reachable.clone_from(&configuration.members);
        let message = self.sync.start(&configuration.members, configuration.ring);
        self.out.push_back(Output::Multicast { group: b"sync", message: message.into() });
        let trans = self.sync.trans();
        self.start_services(&trans, &configuration.members, configuration.ring);
    }

    fn record_joined(&mut self, id: u32) {
        let prefix = format!("runtime.members.{id}");
        let count_key = format!("{prefix}.join_count");
        let count = self.map.u32(&count_key).unwrap_or(0);
        let addresses = self.cfg.nodes.get(&id).map(NodeLinks::text).unwrap_or_default();
        self.map.set(&format!("{prefix}.ip"), addresses.as_str());
        self.map.set(&count_key, count.wrapping_add(1));
        self.map.set(&format!("{prefix}.status"), "joined");
    }

    fn start_services(&mut self, trans: &[u32], members: &[u32], ring: RingId) {
        self.cmap.sync_init(&self.map, members);
        self.cpg.sync_init(trans, members, ring);
        self.quorum.sync_init(&mut ctx!(self), trans, members, ring);
        if let Some(votequorum) = &mut self.votequorum {
            votequorum.sync_init(&mut ctx!(self), members, ring);
        }
    }

    fn take_delivery(&mut self, delivery: &Delivery) {
        let m = View::new(&delivery.payload, delivery.order);
        match &*delivery.group {
            b"sync" => {
                for step in self.sync.deliver(delivery.nodeid, m) {
                    self.take_step(step);
                }
            }
            b"a" if self.take_executive(delivery.nodeid, m).is_none() => {
                let text = format!("malformed message from node {} ignored", delivery.nodeid);
                self.log(Level::Warning, "SERV", text);
            }
            _ => {}
        }
    }

    fn take_executive(&mut self, sender: u32, m: View<'_>) -> Option<()> {
        let id = m.u32(0)?;
        let (number, function) = (id >> 16, id & 0xffff);
        if let Some((_, received)) = self.counters.get_mut(&(number, function)) {
            *received += 1;
        }
        let Some(service) = Service::ALL.into_iter().find(|service| *service as u32 == number) else {
            // Services that we do not have are none of our business.
            return Some(());
        };
        match service {
            Service::Cmap => self.cmap.deliver(&mut ctx!(self), function, sender, m),
            Service::Cfg => {
                if let (cfg::RELOAD, Some(votequorum)) = (function, &mut self.votequorum) {
                    votequorum.reread_begins();
                }
                self.cfg.deliver(&mut ctx!(self), function, sender, m)
            }
            Service::Cpg => self.cpg.deliver(&mut ctx!(self), function, sender, m),
            Service::Quorum => Some(()),
            Service::Votequorum => match &mut self.votequorum {
                Some(votequorum) => {
                    votequorum.deliver(&mut ctx!(self), &mut self.quorum, function, sender, m)
                }
                None => Some(()),
            },
        }
    }

    fn take_step(&mut self, step: Step) {
        match step {
            Step::Send(service) => {
                self.send_state(service);
                let waits = service == Some(Service::Votequorum)
                    && self.votequorum.as_ref().is_some_and(|votequorum| !votequorum.sync_may_end());
                if waits {
                    self.holds_barrier = true;
                } else {
                    self.send_barrier();
                }
            }
            Step::Activate(service) => self.activate(service),
            Step::Complete => self.complete(),
        }
    }

    fn send_barrier(&mut self) {
        let message = self.sync.barrier_message();
        self.out.push_back(Output::Multicast { group: b"sync", message: message.into() });
    }

    fn send_state(&mut self, service: Option<Service>) {
        match service {
            Some(Service::Cmap) => self.cmap.sync_send(&mut ctx!(self)),
            Some(Service::Cpg) => self.cpg.sync_send(&mut ctx!(self)),
            Some(Service::Votequorum) => {
                if let Some(votequorum) = &mut self.votequorum {
                    votequorum.sync_send(&mut ctx!(self));
                }
            }
            Some(Service::Cfg | Service::Quorum) | None => {}
        }
    }

    fn activate(&mut self, service: Option<Service>) {
        match service {
            Some(Service::Cmap) => self.cmap.sync_activate(&mut ctx!(self)),
            Some(Service::Cpg) => self.cpg.sync_activate(&mut ctx!(self)),
            Some(Service::Quorum) => self.quorum.sync_activate(&mut ctx!(self)),
            Some(Service::Votequorum) => {
                if let Some(votequorum) = &mut self.votequorum {
                    votequorum.sync_activate(&mut ctx!(self), &mut self.quorum);
                }
            }
            Some(Service::Cfg) | None => {}
        }
    }

    fn complete(&mut self) {
        self.out.push_back(Output::Synchronised(self.sync.ring()));
        self.out.push_back(Output::Flow { stop: false });
        let text = "Completed service synchronization, ready to provide service.";
        self.log(Level::Notice, "MAIN", text);
        self.run_deferred();
    }

    // ---- time

    /// When [`Engine::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let votequorum = self.votequorum.as_ref().and_then(votequorum::VoteQuorum::deadline);
        votequorum.into_iter().chain(self.cfg.deadline()).min()
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if let Some(votequorum) = &mut self.votequorum {
            votequorum.timeout(&mut ctx!(self), &mut self.quorum);
        }
        self.cfg.timeout(&mut ctx!(self));
        self.settle();
    }

    /// To be called once before the daemon leaves: the last messages to the other nodes.
    pub fn announce_leave(&mut self, now: Instant) {
        self.now = now;
        if let Some(votequorum) = &mut self.votequorum {
            votequorum.announce_leave(&mut ctx!(self));
        }
        self.settle();
    }

    // ---- clients

    /// A client has connected.
    pub fn handle_connect(&mut self, client: Client) {
        match client.service {
            Service::Cmap => self.cmap.connect(client),
            Service::Cfg => self.cfg.connect(client),
            Service::Cpg => self.cpg.connect(client),
            Service::Quorum => self.quorum.connect(client),
            Service::Votequorum => {}
        }
    }

    /// A client is gone.
    pub fn handle_disconnect(&mut self, now: Instant, client: Client) {
        self.now = now;
        match client.service {
            Service::Cmap => self.cmap.disconnect(client),
            Service::Cfg => self.cfg.disconnect(&mut ctx!(self), client),
            Service::Cpg => {
                // Its messages come before its leave.
                self.flush_deferred_of(client);
                self.cpg.disconnect(&mut ctx!(self), client);
            }
            Service::Quorum => self.quorum.disconnect(client),
            Service::Votequorum => {
                if let Some(votequorum) = &mut self.votequorum {
                    votequorum.disconnect(client);
                }
            }
        }
        self.settle();
    }

    /// True if this client reads statistics, so that the driver refreshes them first.
    #[must_use]
    pub fn wants_stats(&self, client: Client) -> bool {
        self.cmap.uses_stats(client)
    }

    /// Replaces the statistics map.
    pub fn set_stats(&mut self, values: BTreeMap<String, Value>) {
        self.stats.replace(values);
    }

    /// The ring's send queue is (true) or is no longer (false) too full for new requests.
    pub fn set_backlogged(&mut self, now: Instant, backlogged: bool) {
        self.now = now;
        self.backlogged = backlogged;
        if !backlogged {
            self.run_deferred();
            self.settle();
        }
    }

    /// Takes one request of a client.
    pub fn handle_request(&mut self, now: Instant, client: Client, bytes: &Bytes) {
        self.now = now;
        let m = View::native(bytes);
        let id = m.u32(0).unwrap_or(u32::MAX);
        let waits = (self.sync.is_running() || self.backlogged) && needs_ring(client.service, id);
        let is_async = client.service == Service::Cpg && cpg::is_async(id);
        if is_async && (waits || !self.deferred.is_empty()) {
            self.defer(client, bytes);
        } else if waits {
            let response = Msg::response(0, RESPONSE_HEADER, CsError::TryAgain).done();
            self.out.push_back(Output::Respond { client, bytes: response });
        } else {
            self.run_request(client, m);
        }
        self.settle();
    }

    fn defer(&mut self, client: Client, bytes: &Bytes) {
        if self.deferred_bytes + bytes.len() > DEFERRED_MAX {
            self.log(Level::Error, "CPG", "too many messages wait for the ring, one was dropped");
            return;
        }
        self.deferred_bytes += bytes.len();
        self.deferred.push_back((client, bytes.clone()));
    }

    fn run_deferred(&mut self) {
        if self.sync.is_running() || self.backlogged {
            return;
        }
        self.deferred_bytes = 0;
        for (client, bytes) in core::mem::take(&mut self.deferred) {
            self.run_request(client, View::native(&bytes));
        }
    }

    fn flush_deferred_of(&mut self, client: Client) {
        let (own, others): (VecDeque<_>, VecDeque<_>) =
            core::mem::take(&mut self.deferred).into_iter().partition(|(other, _)| *other == client);
        self.deferred = others;
        for (client, bytes) in own {
            self.deferred_bytes = self.deferred_bytes.saturating_sub(bytes.len());
            self.run_request(client, View::native(&bytes));
        }
    }

    fn run_request(&mut self, client: Client, m: View<'_>) {
        let handled = match client.service {
            Service::Cmap => {
                self.publish_counters();
                self.cmap.request(&mut ctx!(self), &self.stats, client, m)
            }
            Service::Cfg => self.cfg.request(&mut ctx!(self), client, m),
            Service::Cpg => self.cpg.request(&mut ctx!(self), client, m),
            Service::Quorum => self.quorum.request(&mut ctx!(self), client, m),
            Service::Votequorum => match &mut self.votequorum {
                Some(votequorum) => votequorum.request(&mut ctx!(self), client, m),
                None => None,
            },
        };
        let is_async = client.service == Service::Cpg && m.u32(0).is_some_and(cpg::is_async);
        if handled.is_none() && !is_async {
            let id = m.u32(0).unwrap_or(0);
            let response = Msg::response(id, RESPONSE_HEADER, CsError::InvalidParam).done();
            self.out.push_back(Output::Respond { client, bytes: response });
        }
    }

    fn publish_counters(&mut self) {
        for service in Service::ALL {
            for ((_, function), (sent, received)) in
                self.counters.range((service as u32, 0)..=(service as u32, u32::MAX))
            {
                let prefix = format!("runtime.services.{}.{function}", service.name());
                self.map.set(&format!("{prefix}.tx"), *sent);
                self.map.set(&format!("{prefix}.rx"), *received);
            }
        }
    }

    /// Acts on changed keys and counts what is sent, until nothing is left.
    fn settle(&mut self) {
        if self.holds_barrier && self.votequorum.as_ref().is_some_and(votequorum::VoteQuorum::sync_may_end) {
            self.holds_barrier = false;
            self.send_barrier();
        }
        while let Some(change) = self.map.take_change() {
            self.cmap.notify(&mut self.out, &change);
            self.react(&change.key);
        }
    }

    /// Keys that steer the services while the daemon runs.
    fn react(&mut self, key: &str) {
        if key.starts_with("uidgid.") && self.out.back() != Some(&Output::AccessChanged) {
            self.out.push_back(Output::AccessChanged);
        }
        if key.starts_with("logging.") && self.out.back() != Some(&Output::LoggingChanged) {
            self.out.push_back(Output::LoggingChanged);
        }
        if key == "totem.config_version" {
            self.cmap.announce_version(&mut ctx!(self));
        }
        if self.map.flag("config.totemconfig_reload_in_progress") {
            return;
        }
        if key == "quorum.cancel_wait_for_all" {
            if self.map.flag(key) {
                self.map.set(key, 0u8);
                if let Some(votequorum) = &mut self.votequorum {
                    votequorum.cancel_wait_for_all(&mut ctx!(self));
                }
            }
            return;
        }
        let is_reload_end = key == "config.totemconfig_reload_in_progress"
            && self.map.number("config.reload_status") == Some(CsError::Ok as u64);
        let steers = is_reload_end || key.starts_with("quorum.") || key.starts_with("nodelist.");
        if let Some(votequorum) = self.votequorum.as_mut().filter(|_| steers) {
            votequorum.reload_config(&mut ctx!(self));
        }
    }

    /// Counts a message that the driver has sent.
    pub fn count_sent(&mut self, message: &Message) {
        let Some(id) = message.head.first_chunk::<4>().map(|id| u32::from_ne_bytes(*id)) else { return };
        if let Some((sent, _)) = self.counters.get_mut(&(id >> 16, id & 0xffff)) {
            *sent += 1;
        }
    }
}

fn needs_ring(service: Service, id: u32) -> bool {
    match service {
        Service::Cpg => cpg::needs_ring(id),
        Service::Cfg => cfg::needs_ring(id),
        Service::Votequorum => votequorum::needs_ring(id),
        Service::Cmap | Service::Quorum => false,
    }
}
