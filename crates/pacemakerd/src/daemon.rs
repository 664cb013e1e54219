//! The daemon's state, its loop, and the pump that carries out the cores' outputs.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use attributes::Attributes;
use clients::{Cfg, CfgEvent, Quorum, QuorumEvent};
use controller::{Age, Controller, Env, Output};
use executor::Executor;
use sys::poll::{Interest, Poller, Ready};
use sys::signal::SignalFd;
use xml::Document;

use crate::bus::{BusEvent, Group, Member};
use crate::disk::{Loaded, Store};
use crate::endpoints::{Endpoints, Service};
use crate::floating::Floating;
use crate::log::Log;
use crate::node::Identity;
use crate::policy::Policy;
use crate::runner::Runner;

const TOKEN_SIGNAL: u64 = 1;
const TOKEN_QUORUM: u64 = 2;
const TOKEN_POLICY: u64 = 3;
const TOKEN_SAVED: u64 = 4;
const TOKEN_ADDRESSES: u64 = 5;
const TOKEN_CFG: u64 = 6;
const TOKEN_GROUP: u64 = 10;
const TOKEN_SERVICE: u64 = 30;
const TOKEN_AGENT: u64 = 1_000;
/// Signals that ask the node to leave the cluster.
pub const LEAVE_SIGNALS: &[i32] = &[15, 2];
/// Outputs carried out in one turn before other inputs are looked at again.
const MAX_PUMP: usize = 100_000;
/// How soon a send that the engine did not take is tried again.
const RETRY: Duration = Duration::from_millis(1);
/// How long a leaving node waits for its last words to be sent, in ms.
const LEAVE_GRACE_MS: u64 = 300;
const CIB_DIRECTORY: &str = "/var/lib/pacemaker/cib";
const LOG_FILE: &str = "/var/log/pacemaker/pacemaker.log";

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("corosync does not answer ({0}); start it first: systemctl start corosync")]
    Engine(#[from] clients::Error),
    #[error("{0}; is another pacemakerd running? (systemctl status pacemaker)")]
    Endpoint(#[from] qb::ServerError),
    #[error("the kernel refuses what is needed: {0}")]
    System(#[from] sys::Errno),
}

/// The whole daemon.
pub struct Daemon {
    pub(crate) identity: Identity,
    pub(crate) log: Log,
    pub(crate) poller: Poller,
    signals: Rc<SignalFd>,
    quorum: Quorum,
    /// Asks us before the engine ends on somebody's wish.
    cfg: Cfg,
    pub(crate) bus: Vec<Member>,
    pub(crate) endpoints: Endpoints,
    pub(crate) cib: Document,
    /// Copies that nodes were asked for and that have not come yet.
    pub(crate) transfers: cib::Transfers<Document>,
    pub(crate) saver: Saver,
    pub(crate) controller: Controller,
    pub(crate) executor: Executor,
    pub(crate) attributes: Attributes,
    pub(crate) runner: Runner,
    policy: Policy,
    /// `<lrm>`: results of the operations on this node.
    pub(crate) history: Document,
    /// Messages that we sent to ourselves.
    pub(crate) loopback: VecDeque<Document>,
    pub(crate) fences: crate::fence::Fences,
    pub(crate) floating: Floating,
    leave_at_ms: Option<u64>,
    exit: Option<i32>,
}

/// Writes the CIB to disk on a thread of its own; only the newest waiting state is written.
pub struct Saver {
    states: std::sync::mpsc::Sender<Document>,
    pub failed: std::sync::Arc<std::sync::Mutex<Option<String>>>,
    wake: std::sync::Arc<sys::poll::EventFd>,
}

impl Saver {
    fn start(store: Store) -> Result<Saver, sys::Errno> {
        let (states, inbox) = std::sync::mpsc::channel::<Document>();
        let failed = std::sync::Arc::new(std::sync::Mutex::new(None));
        let wake = std::sync::Arc::new(sys::poll::EventFd::new()?);
        let (slot, bell) = (failed.clone(), wake.clone());
        std::thread::spawn(move || {
            while let Ok(mut state) = inbox.recv() {
                while let Ok(newer) = inbox.try_recv() {
                    state = newer;
                }
                let result = store.save(&state).err().map(|error| error.to_string());
                if let Ok(mut slot) = slot.lock() {
                    *slot = result;
                }
                bell.notify();
            }
        });
        Ok(Saver { states, failed, wake })
    }

    pub fn save(&self, cib: &Document) {
        // Only a dead thread refuses; then the log has said why.
        let _ = self.states.send(cib.clone());
    }
}

/// The world as the controller sees it; a macro because it borrows one field of many.
macro_rules! env {
    ($daemon:expr) => {
        Env {
            now_ms: sys::clock::monotonic_ms(),
            wall_s: crate::daemon::wall_s(),
            age: crate::daemon::age(),
            cib: &$daemon.cib,
        }
    };
}
pub(crate) use env;

pub(crate) fn wall_s() -> i64 {
    (sys::clock::realtime_ns() / 1_000_000_000) as i64
}

pub(crate) fn age() -> Age {
    let ns = sys::clock::thread_cpu_ns();
    Age { seconds: ns / 1_000_000_000, nanoseconds: ns % 1_000_000_000 }
}

impl Daemon {
    /// Connects to the engine and opens everything. `signals` must be older than any thread, or a signal
    /// would end the process instead of being read.
    ///
    /// # Errors
    /// [`StartError`]; an engine that is not there yet may be asked again.
    pub fn connect(verbose: bool, signals: Rc<SignalFd>) -> Result<Daemon, StartError> {
        let local_id = clients::Cpg::open()?.local_node()?;
        let identity = crate::node::identity(local_id)?;
        let log = Log::start(LOG_FILE.into(), &identity.name, verbose);
        let poller = Poller::new()?;
        poller.add(&*signals, TOKEN_SIGNAL, Interest::READ)?;
        let uuid = random_uuid();
        let endpoints = Endpoints::open(&uuid)?;
        for (index, (_, server)) in endpoints.servers().enumerate() {
            poller.add(server.fd(), TOKEN_SERVICE + index as u64, Interest::READ)?;
        }
        let (store, cib) = load(&log);
        let saver = Saver::start(store)?;
        poller.add(&*saver.wake, TOKEN_SAVED, Interest::READ)?;
        let floating = Floating::open();
        if let Some(watcher) = floating.watcher() {
            poller.add(watcher, TOKEN_ADDRESSES, Interest::READ)?;
        }
        let policy = Policy::start()?;
        poller.add(policy.wake(), TOKEN_POLICY, Interest::READ)?;
        let mut quorum = Quorum::open()?;
        quorum.track(true, true)?;
        poller.add(quorum.fd(), TOKEN_QUORUM, Interest::READ)?;
        let mut cfg = Cfg::open()?;
        cfg.track()?;
        poller.add(cfg.fd(), TOKEN_CFG, Interest::READ)?;
        let mut bus = Vec::new();
        for (index, group) in Group::ALL.into_iter().enumerate() {
            let member = Member::join(group, &identity.name)?;
            poller.add(member.fd(), TOKEN_GROUP + index as u64, Interest::READ)?;
            bus.push(member);
        }
        let controller = Controller::new(controller::Config {
            id: identity.id,
            name: identity.name.clone(),
            cluster_name: identity.cluster_name.clone(),
            nodes: identity.nodes.clone(),
            version: crate::version().to_string(),
            uuid,
        });
        let history = empty_history(identity.id);
        log.notice("pacemakerd", &format!("Started on {} (node {})", identity.name, identity.id));
        Ok(Daemon {
            identity,
            log,
            poller,
            signals,
            quorum,
            cfg,
            bus,
            endpoints,
            cib,
            transfers: cib::Transfers::default(),
            saver,
            controller,
            executor: Executor::new(),
            attributes: Attributes::new(),
            runner: Runner::new(TOKEN_AGENT),
            policy,
            history,
            loopback: VecDeque::new(),
            fences: crate::fence::Fences::default(),
            floating,
            leave_at_ms: None,
            exit: None,
        })
    }

    /// Serves until the node leaves; gives the exit status.
    pub fn run(&mut self) -> i32 {
        self.forget_old_attributes();
        let mut ready: Vec<Ready> = Vec::new();
        loop {
            self.pump();
            if let Some(status) = self.exit {
                self.log.notice("pacemakerd", "Stopped");
                // The log's thread writes what it has.
                std::thread::sleep(Duration::from_millis(5));
                return status;
            }
            if let Err(error) = self.poller.wait(&mut ready, self.timeout()) {
                self.log.error("pacemakerd", &format!("Cannot wait for events: {error}"));
                return 71;
            }
            for event in &ready {
                self.dispatch(event.token);
            }
            self.timers();
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let now = sys::clock::monotonic_ms();
        let next = [
            self.controller.poll_timeout(),
            self.executor.poll_timeout(),
            self.attributes.poll_timeout(),
            self.leave_at_ms,
            self.fences.poll_timeout(),
        ];
        let wait = next.into_iter().flatten().min().map(|at| Duration::from_millis(at.saturating_sub(now)));
        if self.bus.iter().any(Member::has_queue) {
            Some(wait.map_or(RETRY, |wait| wait.min(RETRY)))
        } else {
            wait
        }
    }

    fn timers(&mut self) {
        let now = sys::clock::monotonic_ms();
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now);
        if due(self.controller.poll_timeout()) {
            self.controller.handle_timeout(&env!(self));
        }
        if due(self.executor.poll_timeout()) {
            self.executor.handle_timeout(now, wall_s());
        }
        if due(self.attributes.poll_timeout()) {
            self.attributes.handle_timeout(now);
        }
        if due(self.fences.poll_timeout()) {
            self.fences_timeout(now);
        }
        if due(self.leave_at_ms) {
            self.exit = Some(0);
        }
        for index in 0..self.bus.len() {
            if let Err(error) = self.bus[index].flush() {
                self.lost_engine(&error);
            }
        }
    }

    fn dispatch(&mut self, token: u64) {
        match token {
            TOKEN_SIGNAL => {
                while let Some(signal) = self.signals.next_signal() {
                    self.log.notice("pacemakerd", &format!("Told to leave by signal {signal}"));
                    self.controller.handle_shutdown_request(&env!(self));
                }
            }
            TOKEN_QUORUM => self.quorum_events(),
            TOKEN_CFG => self.cfg_events(),
            TOKEN_POLICY => self.decisions(),
            TOKEN_ADDRESSES => {
                for resource in self.floating.lost() {
                    self.log.notice(
                        "pacemaker-execd",
                        &format!("The address of {resource} has gone: checking it now"),
                    );
                    self.executor.recheck(&resource, sys::clock::monotonic_ms(), wall_s());
                    self.pump();
                }
            }
            TOKEN_SAVED => {
                self.saver.wake.clear();
                let failed = self.saver.failed.lock().ok().and_then(|slot| slot.clone());
                if let Some(reason) = failed {
                    let text = format!(
                        "The configuration could not be written to {CIB_DIRECTORY}: {reason}; make room there"
                    );
                    self.log.error("pacemaker-based", &text);
                }
            }
            token if token >= TOKEN_AGENT => self.agent_ready(token),
            token if token >= TOKEN_SERVICE => {
                if let Some((service, _)) = Service::ALL.get((token - TOKEN_SERVICE) as usize) {
                    for request in self.endpoints.dispatch(*service) {
                        self.client_request(request);
                    }
                }
            }
            token => {
                let index = (token - TOKEN_GROUP) as usize;
                self.bus_events(index);
            }
        }
    }

    fn quorum_events(&mut self) {
        loop {
            match self.quorum.poll_event() {
                Ok(Some(
                    QuorumEvent::State { quorate, members, .. }
                    | QuorumEvent::Quorum { quorate, members, .. },
                )) => {
                    self.controller.handle_membership(&env!(self), &members, quorate);
                    self.pump();
                }
                Ok(Some(QuorumEvent::Nodes { .. })) => {}
                Ok(None) => return,
                Err(error) => return self.lost_engine(&error),
            }
        }
    }

    /// The engine must not end below a manager that runs, as with the reference's: `pcs cluster stop`
    /// is the way.
    fn cfg_events(&mut self) {
        loop {
            match self.cfg.poll_event() {
                Ok(Some(CfgEvent::ShutdownAsked { .. })) => {
                    let text = "The engine was asked to end; refused as long as the manager runs";
                    self.log.notice("pacemakerd", text);
                    if let Err(error) = self.cfg.reply_to_shutdown(false) {
                        return self.lost_engine(&error);
                    }
                }
                Ok(None) => return,
                Err(error) => return self.lost_engine(&error),
            }
        }
    }

    fn bus_events(&mut self, index: usize) {
        loop {
            let Some(member) = self.bus.get_mut(index) else { return };
            let group = member.group;
            match member.poll() {
                Ok(Some(event)) => {
                    self.bus_event(group, event);
                    self.pump();
                }
                Ok(None) => return,
                Err(error) => return self.lost_engine(&error),
            }
        }
    }

    fn bus_event(&mut self, group: Group, event: BusEvent) {
        match event {
            BusEvent::Members { nodes, dead } => match group {
                Group::Controller => self.controller.handle_processes(&env!(self), &nodes, &dead),
                Group::Attributes => self.attribute_members(&nodes),
                Group::Cib => self.transfers.keep_only(&nodes),
                _ => {}
            },
            BusEvent::Garbled { node, reason } => {
                self.log.error("pacemakerd", &format!("A message of node {node} cannot be read: {reason}"));
            }
            BusEvent::Message { node, message } => {
                if !message.to_name.is_empty() && message.to_name != self.identity.name {
                    return;
                }
                let Ok(content) = Document::parse(&message.text) else {
                    self.log.error("pacemakerd", &format!("A message of {} is not XML", message.from_name));
                    return;
                };
                match group {
                    Group::Cib => self.cib_message(node, &message.from_name, content),
                    Group::Controller => self.controller_message(node, &message.from_name, content),
                    Group::Attributes => self.attribute_message(&message.from_name, &content),
                    Group::Fencer | Group::Manager => {}
                }
            }
        }
    }

    fn decisions(&mut self) {
        self.policy.wake().clear();
        while let Some(decision) = self.policy.take() {
            match decision.graph {
                Ok(graph) => {
                    self.controller.handle_decision(&env!(self), decision.id, &graph, decision.recheck_ms);
                }
                Err(reason) => self.controller.handle_no_decision(&env!(self), decision.id, &reason),
            }
        }
    }

    pub(crate) fn lost_engine(&mut self, error: &clients::Error) {
        if self.exit.is_none() {
            self.log.error("pacemakerd", &format!("The connection to corosync is lost: {error}"));
            self.exit = Some(102);
        }
    }

    /// Carries out what the cores want until they want nothing more.
    pub(crate) fn pump(&mut self) {
        for _ in 0..MAX_PUMP {
            if let Some(output) = self.controller.poll_output() {
                self.controller_output(output);
            } else if let Some(output) = self.executor.poll_output() {
                self.executor_output(output);
            } else if let Some(attributes::Output::Write(status)) = self.attributes.poll_output() {
                self.write_attributes(status);
            } else if let Some(message) = self.loopback.pop_front() {
                let name = self.identity.name.clone();
                self.controller_message(self.identity.id, &name, message);
            } else {
                return;
            }
        }
    }

    fn controller_output(&mut self, output: Output) {
        match output {
            Output::Send { host, message } => self.send_controller(host.as_deref(), message),
            Output::Cib { call, operation, section, options, data } => {
                self.internal_cib(call, operation, section.as_deref(), options, data.as_ref());
            }
            Output::SyncOurs => self.sync_ours(),
            Output::SyncFrom(node) => self.ask_for_cib(&node),
            Output::Schedule(id) => {
                self.attributes.set_writer(true);
                if !self.policy.ask(id, self.cib.clone(), wall_s()) {
                    self.log.error("pacemaker-schedulerd", "The scheduler's thread is gone");
                    self.exit = Some(70);
                }
            }
            Output::AttributesDeleted => self.attributes.write_again(),
            Output::Attribute { node, name, value } => self.send_attribute(&node, &name, value.as_deref()),
            Output::ClearFailures { resource, node, operation } => {
                self.send_clear_failures(Some(&resource), Some(&node), operation.as_ref());
            }
            Output::Fence { action, node, how } => self.fence(action, &node, &how),
            Output::Exit => {
                self.log.notice("pacemaker-controld", "Leaving the cluster");
                self.leave_at_ms.get_or_insert(sys::clock::monotonic_ms() + LEAVE_GRACE_MS);
                if self.bus.iter().all(|member| !member.has_queue()) {
                    self.exit = Some(0);
                }
            }
            Output::Log(text) => self.log.notice("pacemaker-controld", &text),
        }
        self.attributes.set_writer(self.controller.is_leader());
    }

    pub(crate) fn send(&mut self, group: Group, to: Option<&str>, text: String) {
        let member = self.bus.iter_mut().find(|member| member.group == group);
        if let Some(Err(error)) = member.map(|member| member.send(to, text)) {
            self.lost_engine(&error);
        }
    }
}

pub(crate) fn empty_history(id: u32) -> Document {
    let mut history = Document::new("lrm");
    let root = history.root();
    history.set_attr(root, "id", &id.to_string());
    history.append(root, "lrm_resources");
    history
}

fn load(log: &Log) -> (Store, Document) {
    let store = Store::new(CIB_DIRECTORY);
    let cib = match store.load() {
        Loaded::Current(cib) => cib,
        Loaded::History(cib, reason) => {
            log.error("pacemaker-based", &format!("{reason}: using the newest earlier state"));
            cib
        }
        Loaded::Nothing => cib::empty_cib(),
        Loaded::Unusable(reason) => {
            log.error("pacemaker-based", &format!("{reason}: starting with an empty configuration"));
            cib::empty_cib()
        }
    };
    let cib = cib::without_status(cib);
    tell_faults(log, &cib);
    (store, cib)
}

/// Somebody has changed the file by hand: the cluster is managed all the same, but no change will be taken.
fn tell_faults(log: &Log, cib: &Document) {
    /// More of them are likely of one cause, and `crm_verify` tells all.
    const FAULTS_MAX: usize = 20;
    let Err(faults) = cib::schema::validate(cib) else { return };
    for fault in faults.iter().take(FAULTS_MAX) {
        log.error("pacemaker-based", &fault.to_string());
    }
    let schema = cib.attr(cib.root(), "validate-with").unwrap_or("no schema specified");
    let text = format!(
        "CIB does not validate with {schema}: changes are refused until it does (crm_verify -LV, cibadmin --replace)"
    );
    log.error("pacemaker-based", &text);
}

fn random_uuid() -> String {
    let mut bytes = [0u8; 16];
    if getrandom::fill(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&sys::clock::realtime_ns().to_ne_bytes());
        bytes[8..12].copy_from_slice(&std::process::id().to_ne_bytes());
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
