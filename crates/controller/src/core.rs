//! The state machine: roles, inputs, outputs, and when to ask the scheduler.

use std::collections::{BTreeSet, VecDeque};

use cib::{Operation, options};
use xml::{Document, Element};

use crate::election::{Age, Election};
use crate::event::{self, OperationResult};
use crate::message::{Messages, Route};
use crate::peers::{Join, Peers};
use crate::transition::{Graph, Kind};

/// How long a starter without a DC waits for an offer when all configured nodes are there, in ms.
pub(crate) const OFFER_WAIT_MS: u64 = 60;
/// How long the DC waits for answers to its offers before it goes on without a node, in ms, unless
/// `join-integration-timeout` says otherwise (default as in the reference).
pub(crate) const JOIN_TIMEOUT_MS: u64 = 180_000;
/// How long scheduling waits for an attribute that we asked for to appear, in ms.
const ATTRIBUTE_WAIT_MS: u64 = 500;
/// How long scheduling waits for the engine to say that a lost node has left, in ms.
const MEMBERSHIP_WAIT_MS: u64 = 5_000;
/// How long a controller that ended without a word, on a node that is still there, may take to come back
/// before the others decide without it, in ms. What it managed goes on running meanwhile; to start it
/// elsewhere would make it run twice, and a supervisor has a crashed daemon back sooner.
const RETURN_WAIT_MS: u64 = 5_000;
/// Time to the next regular look at the cluster when nothing else is configured, in ms.
const DEFAULT_RECHECK_MS: u64 = 15 * 60_000;

/// Fixed facts of this node and cluster.
#[derive(Debug, Clone)]
pub struct Config {
    pub id: u32,
    pub name: String,
    pub cluster_name: String,
    /// Ids and names of the configured nodes.
    pub nodes: Vec<(u32, String)>,
    /// Text for `dc-version`.
    pub version: String,
    /// Identifies this controller's transitions (a random UUID).
    pub uuid: String,
}

/// The world at the time of a call.
#[derive(Debug, Clone, Copy)]
pub struct Env<'a> {
    /// Monotonic time in ms.
    pub now_ms: u64,
    /// Seconds since 1970, for display and attributes only.
    pub wall_s: i64,
    pub age: Age,
    pub cib: &'a Document,
}

/// A wish to the driver, in the order in which to fulfil them.
#[derive(Debug)]
pub enum Output {
    /// To one node's controller, or to all.
    Send { host: Option<String>, message: Document },
    /// An ordered change of the CIB; answer with [`Controller::handle_cib_reply`].
    Cib { call: u32, operation: Operation, section: Option<String>, options: u32, data: Option<Document> },
    /// Distribute our CIB to everybody.
    SyncOurs,
    /// Ask a node to distribute its CIB.
    SyncFrom(String),
    /// Run the scheduler on the current CIB; answer with [`Controller::handle_decision`].
    Schedule(u32),
    /// Transient attributes of nodes are deleted from the CIB: who writes them writes all that he knows behind that, as
    /// such a node may be back and have told new ones.
    AttributesDeleted,
    /// Set (or with `None` delete) a transient attribute. `value` may be `value++`.
    Attribute { node: String, name: String, value: Option<String> },
    /// Forget failures of a resource on a node: (resource, node, operation and interval).
    ClearFailures { resource: String, node: String, operation: Option<(String, u64)> },
    /// Fence a node; answer with [`Controller::handle_fenced`].
    Fence { action: i32, node: String, how: String },
    /// We may stop now.
    Exit,
    /// A line for the log.
    Log(String),
}

/// What this controller is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Not in the process group yet.
    Starting,
    /// Looking for a DC.
    Seeking,
    /// Under another node's lead.
    Member,
    /// The DC.
    Leader,
}

/// The controller of one node.
#[derive(Debug)]
pub struct Controller {
    pub(crate) config: Config,
    pub(crate) role: Role,
    pub(crate) dc: Option<u32>,
    pub(crate) peers: Peers,
    pub(crate) election: Election,
    pub(crate) messages: Messages,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) quorate: bool,
    pub(crate) join_id: u32,
    pub(crate) join_deadline_ms: Option<u64>,
    pub(crate) seek_deadline_ms: Option<u64>,
    /// The node whose newer CIB we wait for.
    pub(crate) sync_wait: Option<(cib::Version, u64)>,
    pub(crate) shutting_down: bool,
    pub(crate) graph: Option<Graph>,
    wants_decision: Option<String>,
    scheduling: Option<u32>,
    counter: u32,
    calls: BTreeSet<u32>,
    next_call: u32,
    recheck_ms: Option<u64>,
    attribute_waits: Vec<(String, String, u64)>,
    membership_wait_ms: Option<u64>,
    /// The CIB's node states were put right for the decision that is wanted.
    has_corrected: bool,
}

impl Controller {
    pub fn new(config: Config) -> Self {
        let mut peers = Peers::default();
        for (id, name) in &config.nodes {
            peers.entry(*id).name = name.clone();
        }
        peers.entry(config.id).name = config.name.clone();
        Controller {
            config,
            role: Role::Starting,
            dc: None,
            peers,
            election: Election::default(),
            messages: Messages::new(),
            outputs: VecDeque::new(),
            quorate: false,
            join_id: 0,
            join_deadline_ms: None,
            seek_deadline_ms: None,
            sync_wait: None,
            shutting_down: false,
            graph: None,
            wants_decision: None,
            scheduling: None,
            counter: 0,
            calls: BTreeSet::new(),
            next_call: 1,
            recheck_ms: None,
            attribute_waits: Vec::new(),
            membership_wait_ms: None,
            has_corrected: false,
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Controller::handle_timeout`] is due, in ms of the monotonic clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        let attribute = self.attribute_waits.iter().map(|(_, _, at)| *at).min();
        [
            self.seek_deadline_ms,
            self.join_deadline_ms,
            self.election.deadline_ms(),
            self.graph.as_ref().and_then(Graph::deadline_ms),
            self.recheck_ms.filter(|_| self.role == Role::Leader),
            self.sync_wait.map(|(_, at)| at),
            self.membership_wait_ms,
            self.peers.next_return_ms(),
            attribute,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }

    /// Name of the DC, if one is known.
    pub fn dc_name(&self) -> Option<&str> {
        self.dc.and_then(|id| self.peers.0.get(&id)).map(|peer| peer.name.as_str())
    }

    pub fn is_quorate(&self) -> bool {
        self.quorate
    }

    pub fn peers(&self) -> impl Iterator<Item = &crate::Peer> {
        self.peers.0.values()
    }

    /// The state's name as `crmadmin` shows it.
    pub fn state_name(&self) -> &'static str {
        match self.role {
            Role::Starting => "S_STARTING",
            Role::Seeking if self.election.is_running() => "S_ELECTION",
            Role::Seeking => "S_PENDING",
            Role::Member => "S_NOT_DC",
            Role::Leader if !self.is_integrated() => "S_INTEGRATION",
            Role::Leader if self.graph.is_some() => "S_TRANSITION_ENGINE",
            Role::Leader if self.scheduling.is_some() || self.wants_decision.is_some() => "S_POLICY_ENGINE",
            Role::Leader => "S_IDLE",
        }
    }

    /// The cluster has nothing left to do: what tools wait for.
    pub fn is_idle(&self) -> bool {
        match self.role {
            Role::Leader => self.state_name() == "S_IDLE",
            Role::Member => true,
            _ => false,
        }
    }

    /// The engine's membership. Nodes that are not listed are gone.
    pub fn handle_membership(&mut self, env: &Env<'_>, members: &[u32], quorate: bool) {
        let quorum_changed = self.quorate != quorate;
        self.quorate = quorate;
        for id in members {
            self.peers.entry(*id);
        }
        let mut changed = Vec::new();
        for peer in self.peers.0.values_mut() {
            let now = members.contains(&peer.id);
            if peer.is_member != now {
                peer.is_member = now;
                peer.returns_by_ms = None;
                changed.push(peer.id);
            }
        }
        self.update_membership_wait(env);
        if self.role == Role::Leader {
            if quorum_changed {
                self.write_root(env, &[("have-quorum", if quorate { "1" } else { "0" })]);
                self.request_decision("quorum changed");
            }
            let known: Vec<u32> = changed.into_iter().filter(|id| *id != self.config.id).collect();
            if !known.is_empty() {
                self.write_node_states(&known, "peer_update_callback");
                self.request_decision("membership changed");
            }
        }
        self.progress(env);
    }

    /// The controllers in our process group; `dead` are those whose whole node has left.
    pub fn handle_processes(&mut self, env: &Env<'_>, running: &[u32], dead: &[u32]) {
        let mut joined = Vec::new();
        let mut left = Vec::new();
        for id in running {
            let peer = self.peers.entry(*id);
            if !peer.is_running {
                peer.is_running = true;
                peer.is_member = true;
                peer.is_leaving = false;
                peer.returns_by_ms = None;
                peer.join = Join::None;
                joined.push(*id);
            }
        }
        for peer in self.peers.0.values_mut() {
            if peer.is_running && !running.contains(&peer.id) {
                let crashed = !dead.contains(&peer.id) && !peer.is_leaving && !may_go(env.cib, peer.id);
                peer.returns_by_ms = crashed.then_some(env.now_ms + RETURN_WAIT_MS);
                peer.is_running = false;
                peer.join = Join::None;
                left.push(peer.id);
            }
        }
        if dead.iter().any(|id| self.peers.0.get(id).is_some_and(|peer| peer.is_member)) {
            self.membership_wait_ms = Some(env.now_ms + MEMBERSHIP_WAIT_MS);
        }
        if self.role == Role::Starting && running.contains(&self.config.id) {
            self.start_seeking(env);
        }
        self.peers_left(env, &left);
        self.peers_joined(env, &joined);
        self.progress(env);
    }

    fn peers_left(&mut self, env: &Env<'_>, left: &[u32]) {
        if left.is_empty() {
            return;
        }
        for id in left {
            self.election.forget(*id);
            let name = self.peers.0.get(id).map(|peer| peer.name.clone()).unwrap_or_default();
            if let Some(graph) = self.graph.as_mut()
                && !graph.fail_node(&name).is_empty()
            {
                graph.abort("a node with running actions was lost");
            }
        }
        if self.dc.is_some_and(|dc| left.contains(&dc)) {
            self.dc = None;
            self.log("The DC is gone: electing another one");
            self.start_election(env);
        } else if self.role == Role::Leader {
            self.write_node_states(left, "peer_update_callback");
            self.forget_attributes_of_absent(env);
            self.request_decision("a peer left");
        }
        if self.election.is_running() {
            self.check_election(env);
        }
    }

    /// A decision is wanted; it is asked for as soon as nothing is in the way.
    pub fn request_decision(&mut self, reason: &str) {
        if self.role == Role::Leader {
            self.wants_decision.get_or_insert_with(|| reason.to_string());
            if let Some(graph) = self.graph.as_mut() {
                graph.abort(reason);
            }
        }
    }

    /// A change of the CIB was applied; `env.cib` is the state after it.
    pub fn handle_cib_change(&mut self, env: &Env<'_>, patch: Element<'_>) {
        if self.role == Role::Leader {
            let found = event::digest(patch, env.cib);
            for (node, name) in &found.attributes {
                self.attribute_waits.retain(|(n, a, _)| !(n == node && same_attribute(a, name)));
            }
            for result in &found.results {
                self.handle_result(env, result);
            }
            if let Some(reason) = found.reason {
                self.request_decision(&reason);
            }
        }
        self.progress(env);
    }

    /// A result of an operation, from the CIB or sent to us directly.
    pub fn handle_result(&mut self, env: &Env<'_>, result: &OperationResult) {
        if self.role != Role::Leader || result.status == -1 {
            return;
        }
        let Some(key) = &result.key else {
            self.request_decision("a result without a transition key");
            return;
        };
        let failed = result.status > 1 || (result.status == 0 && result.rc != key.target_rc);
        let ours = key.uuid == self.config.uuid;
        let current = self.graph.as_ref().is_some_and(|graph| graph.id == key.transition);
        let mut matched = false;
        if ours
            && current
            && let Some(graph) = self.graph.as_mut()
        {
            matched = graph.confirm(key.action, failed);
        }
        if failed {
            self.count_failure(env, result, key.target_rc);
            let what = format!("{}_{}_{}", result.resource, result.operation, result.interval_ms);
            self.log(&format!(
                "{what} on {}: result {} (expected {})",
                result.node, result.rc, key.target_rc
            ));
            self.request_decision(&format!("{what} failed on {}", result.node));
        } else if !matched && result.status == 0 {
            self.request_decision("a result that this transition does not know");
        }
    }

    /// Fail counts: unexpected results of anything but probes count.
    fn count_failure(&mut self, env: &Env<'_>, result: &OperationResult, target_rc: i32) {
        let is_probe = result.operation == "monitor" && result.interval_ms == 0;
        if is_probe || target_rc == -1 || matches!(result.operation.as_str(), "notify" | "meta-data") {
            return;
        }
        let fatal = cluster_option(env.cib, "start-failure-is-fatal").is_none_or(is_true);
        let infinite = (result.operation == "start" && fatal) || result.operation == "stop";
        let value = if infinite { "INFINITY" } else { "value++" };
        let suffix = format!("{}#{}_{}", result.resource, result.operation, result.interval_ms);
        let when = if result.last_rc_change_s > 0 { result.last_rc_change_s } else { env.wall_s };
        for (name, value) in [
            (format!("fail-count-{suffix}"), value.to_string()),
            (format!("last-failure-{suffix}"), when.to_string()),
        ] {
            self.wait_for_attribute(env, &result.node, &name);
            self.outputs.push_back(Output::Attribute { node: result.node.clone(), name, value: Some(value) });
        }
    }

    pub(crate) fn wait_for_attribute(&mut self, env: &Env<'_>, node: &str, name: &str) {
        let id = self.peers.by_name(node).map_or_else(|| node.to_string(), |peer| peer.id.to_string());
        self.attribute_waits.push((id, name.to_string(), env.now_ms + ATTRIBUTE_WAIT_MS));
    }

    /// The end of one of our CIB changes.
    pub fn handle_cib_reply(&mut self, env: &Env<'_>, call: u32, error: Option<base::CibError>) {
        self.calls.remove(&call);
        if let Some(error) = error.filter(|error| *error != base::CibError::NotFound) {
            self.log(&format!("A change of the CIB was refused: {error}"));
        }
        self.progress(env);
    }

    /// The scheduler's answer: the graph, and when to look again (ms from now).
    pub fn handle_decision(&mut self, env: &Env<'_>, id: u32, graph: &Document, recheck_ms: Option<u64>) {
        if self.scheduling != Some(id) {
            return;
        }
        self.scheduling = None;
        let regular = cluster_option(env.cib, "cluster-recheck-interval").and_then(base::parse_interval_ms);
        let regular = regular.unwrap_or(DEFAULT_RECHECK_MS);
        let wait = [recheck_ms, Some(regular).filter(|ms| *ms > 0)].into_iter().flatten().min();
        self.recheck_ms = wait.map(|ms| env.now_ms.saturating_add(ms.max(1)));
        // What happened meanwhile may have made the answer stale: ask again rather than act on it.
        if self.role == Role::Leader && self.wants_decision.is_none() {
            let graph = Graph::read(graph, id as i32);
            if graph.len() > 0 {
                self.log(&format!("Transition {id} with {} actions", graph.len()));
                self.graph = Some(graph);
            }
        }
        self.progress(env);
    }

    /// The scheduler could not work; look again at the next regular time.
    pub fn handle_no_decision(&mut self, env: &Env<'_>, id: u32, reason: &str) {
        if self.scheduling == Some(id) {
            self.scheduling = None;
            self.recheck_ms = Some(env.now_ms + DEFAULT_RECHECK_MS);
            self.log(&format!("No decision: {reason}"));
        }
    }

    /// The end of a fencing that we asked for.
    pub fn handle_fenced(&mut self, env: &Env<'_>, action: i32, node: &str, success: bool) {
        if success && let Some(peer) = self.peers.by_name(node) {
            let id = peer.id.to_string();
            let mut state = Document::new("node_state");
            let root = state.root();
            for (name, value) in [
                ("id", id.as_str()),
                ("uname", node),
                ("in_ccm", "false"),
                ("crmd", "offline"),
                ("join", "down"),
                ("expected", "down"),
                ("crm-debug-origin", "send_stonith_update"),
            ] {
                state.set_attr(root, name, value);
            }
            self.change_cib(Operation::Modify, Some("status"), options::CAN_CREATE, Some(state));
            let xpath = format!(
                "//node_state[@uname='{node}']/lrm|//node_state[@uname='{node}']/transient_attributes"
            );
            self.change_cib(Operation::Delete, Some(&xpath), options::XPATH | options::MULTIPLE, None);
            self.outputs.push_back(Output::AttributesDeleted);
        }
        if let Some(graph) = self.graph.as_mut() {
            graph.confirm(action, !success);
        }
        if !success {
            self.request_decision(&format!("fencing of {node} failed"));
        }
        self.progress(env);
    }

    pub fn handle_timeout(&mut self, env: &Env<'_>) {
        let now = env.now_ms;
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now);
        if due(self.seek_deadline_ms) {
            self.seek_deadline_ms = None;
            self.seek_expired(env);
        }
        if due(self.election.deadline_ms()) {
            self.start_election(env);
        }
        if due(self.join_deadline_ms) {
            self.join_deadline_ms = None;
            self.join_expired(env);
        }
        if due(self.sync_wait.map(|(_, at)| at)) {
            self.sync_wait = None;
            self.log("A newer CIB did not arrive in time: going on with ours");
            self.finish_sync(env);
        }
        if due(self.membership_wait_ms) {
            self.membership_wait_ms = None;
        }
        for name in self.peers.give_up_returns(now) {
            self.log(&format!("The controller of {name} has not come back: deciding without it"));
        }
        self.attribute_waits.retain(|(_, _, at)| *at > now);
        if due(self.recheck_ms) {
            self.recheck_ms = None;
            self.request_decision("it is time for a regular look");
        }
        let late = self.graph.as_mut().map(|graph| graph.expire(now)).unwrap_or_default();
        if !late.is_empty() {
            self.request_decision("an action was not reported in time");
        }
        self.progress(env);
    }

    fn update_membership_wait(&mut self, _env: &Env<'_>) {
        let pending =
            self.peers.0.values().any(|peer| peer.is_member && !peer.is_running && peer.id != self.config.id);
        if !pending {
            self.membership_wait_ms = None;
        }
    }

    /// Goes as far as possible: joins, graph, next decision.
    pub(crate) fn progress(&mut self, env: &Env<'_>) {
        if self.role != Role::Leader {
            return;
        }
        self.progress_join(env);
        self.run_graph(env);
        let waiting = self.scheduling.is_some()
            || self.graph.is_some()
            || !self.calls.is_empty()
            || !self.attribute_waits.is_empty()
            || self.membership_wait_ms.is_some()
            || self.peers.next_return_ms().is_some()
            || !self.is_integrated();
        if waiting || self.wants_decision.is_none() || self.corrects_node_states(env) {
            return;
        }
        if let Some(reason) = self.wants_decision.take() {
            self.has_corrected = false;
            self.counter += 1;
            self.scheduling = Some(self.counter);
            self.log(&format!("Asking for decision {}: {reason}", self.counter));
            self.outputs.push_back(Output::Schedule(self.counter));
        }
    }

    /// A copy of the CIB that was taken over may say that somebody runs who does not. No decision is made on
    /// that: it is put right first, once for each decision.
    fn corrects_node_states(&mut self, env: &Env<'_>) -> bool {
        let wrong = self.wrong_node_states(env);
        if wrong.is_empty() || std::mem::replace(&mut self.has_corrected, true) {
            return false;
        }
        self.write_node_states(&wrong, "check_join_state");
        true
    }

    fn run_graph(&mut self, env: &Env<'_>) {
        loop {
            let Some(graph) = self.graph.as_mut() else { return };
            let fired = graph.fire(env.now_ms);
            if fired.is_empty() {
                break;
            }
            for id in fired {
                self.start_action(env, id);
            }
        }
        if let Some(graph) = self.graph.take_if(|graph| graph.is_over()) {
            let end = match (&graph.aborted, graph.is_complete()) {
                (Some(reason), _) => format!("stopped ({reason})"),
                (None, true) => "complete".to_string(),
                (None, false) => "incomplete".to_string(),
            };
            self.log(&format!("Transition {} is {end}", graph.id));
            // Whatever stopped it, the goal has not been reached.
            if let Some(reason) = graph.aborted {
                self.wants_decision.get_or_insert(reason);
            }
        }
    }

    fn start_action(&mut self, env: &Env<'_>, id: i32) {
        let uuid = self.config.uuid.clone();
        let Some(graph) = self.graph.as_mut() else { return };
        let transition = graph.id;
        let Some(action) = graph.action(id) else { return };
        let (kind, node, operation) = (action.kind, action.node.clone(), action.operation.clone());
        match kind {
            Kind::Pseudo => {
                graph.confirm(id, false);
            }
            Kind::Resource => {
                let mut op = action.xml.clone();
                let root = op.root();
                op.set_attr(
                    root,
                    "transition-key",
                    &format!("{id}:{transition}:{}:{uuid}", action.target_rc),
                );
                if !self.peers.by_name(&node).is_some_and(|peer| peer.is_running) {
                    graph.confirm(id, true);
                    graph.abort("a node that should act is gone");
                    return;
                }
                let route = Route { task: "lrm_invoke", to: "lrmd", from: "tengine", host: Some(&node) };
                let message = self.messages.request("execute_rsc_action", route, env.wall_s, Some(&op));
                self.outputs.push_back(Output::Send { host: Some(node), message });
                // Removing history is reported by nobody: the removal itself is the end.
                if operation == "delete"
                    && let Some(graph) = self.graph.as_mut()
                {
                    graph.confirm(id, false);
                }
            }
            Kind::Controller => {
                let xml = action.xml.clone();
                self.start_controller_action(env, id, &operation, &node, xml.root_element());
            }
        }
    }

    fn start_controller_action(
        &mut self,
        env: &Env<'_>,
        id: i32,
        operation: &str,
        node: &str,
        xml: Element<'_>,
    ) {
        let meta = |name: &str| xml.child("attributes").and_then(|meta| meta.attr(name));
        match operation {
            "stonith" => {
                let how = meta("stonith_action")
                    .or(meta("CRM_meta_stonith_action"))
                    .unwrap_or("reboot")
                    .to_string();
                self.outputs.push_back(Output::Fence { action: id, node: node.to_string(), how });
                return;
            }
            "do_shutdown" => self.order_shutdown(env, node),
            "clear_failcount" => {
                let resource =
                    xml.child("primitive").and_then(|rsc| rsc.attr("id")).unwrap_or("").to_string();
                self.outputs.push_back(Output::ClearFailures {
                    resource,
                    node: node.to_string(),
                    operation: None,
                });
            }
            other => self.log(&format!("Action {id} ({other}) needs nothing here")),
        }
        if let Some(graph) = self.graph.as_mut() {
            graph.confirm(id, false);
        }
    }

    pub(crate) fn change_cib(
        &mut self,
        operation: Operation,
        section: Option<&str>,
        bits: u32,
        data: Option<Document>,
    ) {
        let call = self.next_call;
        self.next_call = self.next_call.wrapping_add(1).max(1);
        self.calls.insert(call);
        let options = bits | options::QUORUM_OVERRIDE;
        self.outputs.push_back(Output::Cib {
            call,
            operation,
            section: section.map(str::to_string),
            options,
            data,
        });
    }

    pub(crate) fn write_root(&mut self, _env: &Env<'_>, attributes: &[(&str, &str)]) {
        let mut root = Document::new("cib");
        let id = root.root();
        for (name, value) in attributes {
            root.set_attr(id, name, value);
        }
        self.change_cib(Operation::Modify, Some("cib"), 0, Some(root));
    }

    pub(crate) fn write_node_states(&mut self, ids: &[u32], origin: &str) {
        let mut status = Document::new("status");
        let root = status.root();
        for peer in ids.iter().filter_map(|id| self.peers.0.get(id)) {
            let state = status.append(root, "node_state");
            let mut set = |name: &str, value: &str| status.set_attr(state, name, value);
            set("id", &peer.id.to_string());
            set("uname", &peer.name);
            set("in_ccm", if peer.is_member { "true" } else { "false" });
            set("crmd", if peer.is_running { "online" } else { "offline" });
            set("join", peer.join.state_text());
            if peer.join == Join::Confirmed {
                set("expected", "member");
            } else if peer.is_leaving {
                set("expected", "down");
            }
            set("crm-debug-origin", origin);
        }
        self.change_cib(Operation::Modify, Some("status"), options::CAN_CREATE, Some(status));
    }

    pub(crate) fn log(&mut self, text: &str) {
        self.outputs.push_back(Output::Log(text.to_string()));
    }
}

/// Value of a cluster option, from the first set that has it.
pub(crate) fn cluster_option<'a>(cib: &'a Document, name: &str) -> Option<&'a str> {
    let config = cib.root_element().path(&["configuration", "crm_config"])?;
    let mut pairs = config.descendants().filter(|element| element.name() == "nvpair");
    pairs.find(|pair| pair.attr("name") == Some(name))?.attr("value")
}

/// Whether the CIB says that a node was told to leave.
fn may_go(cib: &Document, id: u32) -> bool {
    let id = id.to_string();
    let status = cib.root_element().child("status");
    let mut states = status.into_iter().flat_map(|status| status.children_named("node_state"));
    states.any(|state| state.attr("id") == Some(&id) && state.attr("expected") == Some("down"))
}

fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1" | "y")
}

/// Ids of attributes have blanks and marks replaced; names are compared without them.
fn same_attribute(wanted: &str, seen: &str) -> bool {
    let plain = |text: &str| text.replace([':', '#', ' '], ".");
    plain(wanted) == plain(seen)
}
