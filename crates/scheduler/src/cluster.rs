//! The cluster as the scheduler sees it: configuration, state and, once scheduled, the decision.

mod places;
mod scores;

pub(crate) use scores::SYMMETRIC_DEFAULT;
pub use scores::add_scores;

use crate::expand::{BundlePlan, Expanded};
use crate::fast_hash::FastMap;
use crate::iso8601::{Moment, Time, Zone};
use crate::model::*;
use crate::rules::{Health, RuleInput};
use crate::text::{Str, Table, is_true};
use crate::trail::Step;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use xml::{Document, NodeId};

/// What the caller knows and the CIB does not.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The time to decide for, in seconds since 1970 UTC.
    pub now_s: i64,
    /// Zone in which times are shown.
    pub zone: Zone,
    /// Zone in which rules look at the time, and of times without one, if it is another.
    pub rule_zone: Option<Zone>,
    /// Secret parameters were removed from the input; compare secure digests.
    pub sanitized: bool,
    /// Record node scores ([`Cluster::lines`]).
    pub scores: bool,
    /// Record utilization.
    pub utilization: bool,
    /// Record the trail: why each score changed.
    pub trail: bool,
}

/// What to do when a partition has no quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoQuorum {
    #[default]
    Stop,
    Freeze,
    Ignore,
    Demote,
    Fence,
}

/// Strategy for the use of utilization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    #[default]
    Default,
    Utilization,
    Minimal,
    Balanced,
}

/// Cluster options, parsed.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub options: Table,
    pub quorate: bool,
    pub symmetric: bool,
    pub maintenance: bool,
    pub fencing_enabled: bool,
    pub have_fencing: bool,
    pub enable_unfencing: bool,
    pub concurrent_fencing: bool,
    pub stop_removed_resources: bool,
    pub cancel_removed_actions: bool,
    pub stop_all: bool,
    pub start_failure_fatal: bool,
    pub startup_fencing: bool,
    pub shutdown_lock: bool,
    pub probe_resources: bool,
    pub have_remote_nodes: bool,
    pub fence_remote_no_quorum: bool,
    pub no_quorum: NoQuorum,
    pub placement: Placement,
    pub fence_action: Str,
    pub fence_timeout_ms: u32,
    pub priority_fencing_ms: u32,
    pub shutdown_lock_ms: u32,
    pub node_pending_ms: u32,
    pub health: Health,
}

/// How serious a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Notice,
    /// A warning that says nothing about the configuration: what a decision had to do.
    Situation,
    Warning,
    Error,
}

/// How deep guests may run on guests before their hosts are not looked at any more.
const MAX_GUEST_NESTING: u32 = 8;

/// Something that an administrator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub level: Level,
    pub text: String,
}

/// One line of the scores or utilization output, in the order in which it came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Score { stage: &'static str, rsc: Str, node: Str, score: i32 },
    Promotion { rsc: Str, node: Option<Str>, score: i32 },
    Capacity { stage: &'static str, node: Str, values: Vec<(Str, Str)> },
    Utilization { stage: &'static str, rsc: Str, node: Str, values: Vec<(Str, Str)> },
    Info(String),
}

/// A failed operation, for status displays.
#[derive(Debug, Clone)]
pub struct FailedOp {
    pub xml: NodeId,
    pub node: Str,
    pub rsc: Str,
}

/// The whole state of one scheduling run.
#[derive(Debug)]
pub struct Cluster {
    pub doc: Arc<Document>,
    pub config: Config,
    pub opts: Options,
    pub now: Moment,
    pub nodes: Arena<NodeIx, Node>,
    /// Nodes sorted by name: the order of every listing.
    pub node_order: Vec<NodeIx>,
    pub dc: Option<NodeIx>,
    pub rscs: Arena<RscIx, Resource>,
    /// Top-level resources, in order of priority.
    pub top: Vec<RscIx>,
    pub actions: Arena<ActIx, Action>,
    pub colocations: Arena<ColocIx, Colocation>,
    pub locations: Arena<LocIx, Location>,
    pub orderings: Vec<Ordering>,
    pub tickets: Arena<TicketIx, Ticket>,
    pub failed: Vec<FailedOp>,
    pub recheck_by: Option<i64>,
    pub messages: Vec<Message>,
    pub lines: Vec<Line>,
    pub trail: Vec<Step>,
    pub(crate) singletons: FastMap<Str, ActIx>,
    /// Orderings of actions that have many: flags by first and then.
    pub(crate) related: FastMap<(ActIx, ActIx), u32>,
    pub(crate) by_id: FastMap<Str, RscIx>,
    /// Resources that the history has, or once had, under another name.
    pub(crate) by_history: FastMap<Str, Vec<RscIx>>,
    pub(crate) node_by_name: HashMap<String, NodeIx>,
    pub(crate) templates: HashMap<Str, Vec<Str>>,
    pub(crate) tags: HashMap<Str, Vec<Str>>,
    pub(crate) param_checks: Vec<ParamCheck>,
    pub(crate) stop_needed: Vec<RscIx>,
    /// History entries whose failure expired: their recurring operation is to be rescheduled.
    pub(crate) expired_ops: HashSet<NodeId>,
    pub(crate) merged: HashMap<NodeId, NodeId>,
    pub(crate) invalid: HashSet<NodeId>,
    pub(crate) plans: HashMap<NodeId, BundlePlan>,
    pub(crate) op_defaults: Option<NodeId>,
    pub(crate) rsc_defaults: Option<NodeId>,
    pub(crate) node_states: HashMap<Str, NodeId>,
    pub(crate) ops_cache: HashMap<NodeId, Arc<Vec<OpConfig>>>,
    pub(crate) history_cache: HashMap<NodeId, HashMap<Str, Vec<NodeId>>>,
    pub(crate) known_digests: crate::digest::Known,
    /// Work so far on walks along colocations, in scores looked at.
    pub walked: u64,
    pub(crate) pulls: crate::assign::pulls::Pulls,
    /// What the histories were found to be about, by the node's state.
    pub(crate) histories: HashMap<NodeId, Vec<HistoryEntry>>,
}

/// History of one resource on one node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryEntry {
    pub entry: NodeId,
    /// The resource, if the entry says that its agent is the one that is configured.
    pub same_agent: Option<RscIx>,
}

/// A parameter check that has to wait until hosts of bundles are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ParamCheck {
    pub op: NodeId,
    pub rsc: RscIx,
    pub node: NodeIx,
    pub last_failure: bool,
}

impl Cluster {
    pub(crate) fn new(expanded: Expanded, opts: &Options) -> Cluster {
        Cluster {
            doc: expanded.doc,
            config: Config::default(),
            opts: opts.clone(),
            now: Moment { epoch_s: opts.now_s, zone: opts.rule_zone.unwrap_or(opts.zone) },
            nodes: Arena::default(),
            node_order: Vec::new(),
            dc: None,
            rscs: Arena::default(),
            top: Vec::new(),
            actions: Arena::default(),
            colocations: Arena::default(),
            locations: Arena::default(),
            orderings: Vec::new(),
            tickets: Arena::default(),
            failed: Vec::new(),
            recheck_by: None,
            messages: expanded
                .messages
                .into_iter()
                .map(|text| Message { level: Level::Error, text })
                .collect(),
            lines: Vec::new(),
            trail: Vec::new(),
            singletons: FastMap::default(),
            related: FastMap::default(),
            by_id: FastMap::default(),
            by_history: FastMap::default(),
            node_by_name: HashMap::new(),
            templates: HashMap::new(),
            tags: HashMap::new(),
            param_checks: Vec::new(),
            stop_needed: Vec::new(),
            expired_ops: HashSet::new(),
            merged: expanded.merged,
            invalid: expanded.invalid,
            plans: expanded.bundles,
            op_defaults: None,
            rsc_defaults: None,
            node_states: HashMap::new(),
            ops_cache: HashMap::new(),
            history_cache: HashMap::new(),
            known_digests: Default::default(),
            walked: 0,
            pulls: Default::default(),
            histories: HashMap::new(),
        }
    }

    pub(crate) fn error(&mut self, text: impl Into<String>) {
        self.messages.push(Message { level: Level::Error, text: text.into() });
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.messages.push(Message { level: Level::Warning, text: text.into() });
    }

    /// A warning that says nothing about the configuration.
    pub(crate) fn situation(&mut self, text: impl Into<String>) {
        self.messages.push(Message { level: Level::Situation, text: text.into() });
    }

    /// The effective time, in seconds since 1970 UTC.
    pub fn now_s(&self) -> i64 {
        self.now.epoch_s
    }

    pub(crate) fn recheck(&mut self, when_s: i64) {
        if when_s > self.now_s() && self.recheck_by.is_none_or(|old| when_s < old) {
            self.recheck_by = Some(when_s);
        }
    }

    pub(crate) fn recheck_time(&mut self, when: Option<Time>) {
        if let Some(when) = when {
            self.recheck(when.epoch());
        }
    }

    pub(crate) fn rule_input(&self) -> RuleInput<'static> {
        RuleInput::at(self.now)
    }

    // Nodes

    pub fn find_node(&self, name: &str) -> Option<NodeIx> {
        self.node_by_name.get(&name.to_ascii_lowercase()).copied()
    }

    pub fn find_node_id(&self, id: &str) -> Option<NodeIx> {
        self.node_order.iter().copied().find(|n| self.nodes[*n].id.eq_ignore_ascii_case(id))
    }

    pub fn node_name(&self, node: NodeIx) -> &str {
        &self.nodes[node].name
    }

    /// The resource that runs a guest or bundle node.
    pub fn guest_launcher(&self, node: NodeIx) -> Option<RscIx> {
        let node = &self.nodes[node];
        if !node.is_remote {
            return None;
        }
        node.remote.and_then(|r| self.rscs[r].launcher)
    }

    pub fn is_guest(&self, node: NodeIx) -> bool {
        self.guest_launcher(node).is_some()
    }

    /// A Pacemaker Remote node that is not a guest.
    pub fn is_remote_node(&self, node: NodeIx) -> bool {
        self.nodes[node].is_remote && !self.is_guest(node)
    }

    pub fn is_bundle_node(&self, node: NodeIx) -> bool {
        self.is_guest(node) && self.nodes[node].remote.is_some_and(|r| self.is_bundled(r))
    }

    /// Whether resources may be placed on a node at all.
    pub fn node_up(&self, node: NodeIx) -> bool {
        let n = &self.nodes[node];
        n.online && !n.shutdown && !n.unclean && !n.is(nf::STANDBY) && !n.maintenance
    }

    /// As [`Cluster::node_up`], and the score is not negative.
    pub fn slot_up(&self, row: &Row, node: NodeIx) -> bool {
        slot(row, node).is_some_and(|s| s.score >= 0) && self.node_up(node)
    }

    pub(crate) fn any_up(&self, row: &Row) -> bool {
        row_nodes(row).into_iter().any(|n| self.slot_up(row, n))
    }

    /// A node attribute; for guest nodes with target "host", that of the host.
    pub fn node_attr(&self, node: NodeIx, name: &str, target: Option<&str>, place: u32) -> Option<Str> {
        let host = match (self.guest_launcher(node), target) {
            (Some(launcher), Some(t)) if t.eq_ignore_ascii_case("host") => {
                let launcher = &self.rscs[launcher];
                if place == at::ASSIGNED { launcher.assigned? } else { *launcher.active_nodes.first()? }
            }
            _ => node,
        };
        self.nodes[host].attrs.get(name).cloned()
    }

    pub(crate) fn can_fence(&self, node: Option<NodeIx>) -> bool {
        self.can_fence_within(node, MAX_GUEST_NESTING)
    }

    /// As [`Cluster::can_fence`], for guests nested at most this deep: a wrong history can put a guest
    /// on itself.
    fn can_fence_within(&self, node: Option<NodeIx>, depth: u32) -> bool {
        if let Some(launcher) = node.and_then(|n| self.guest_launcher(n)) {
            let hosts = &self.rscs[launcher].active_nodes;
            return depth > 0
                && hosts.iter().all(|n| self.nodes[*n].online || self.can_fence_within(Some(*n), depth - 1));
        }
        if !self.config.fencing_enabled || !self.config.have_fencing {
            return false;
        }
        if self.config.quorate || self.config.no_quorum == NoQuorum::Ignore {
            return true;
        }
        let Some(node) = node else { return false };
        if !self.nodes[node].online {
            return false;
        }
        if self.nodes[node].is_remote && !self.config.fence_remote_no_quorum {
            let row = self.nodes[node].remote.map(|r| row_nodes(&self.rscs[r].allowed)).unwrap_or_default();
            return row.into_iter().all(|n| self.nodes[n].online);
        }
        true
    }

    // Resources

    pub fn is_bundled(&self, rsc: RscIx) -> bool {
        self.rscs[self.top_of(rsc, true)].variant == Variant::Bundle
    }

    /// The outermost resource; a bundle only with `include_bundle`.
    pub fn top_of(&self, rsc: RscIx, include_bundle: bool) -> RscIx {
        let mut at = rsc;
        while let Some(parent) = self.rscs[at].parent {
            if !include_bundle && self.rscs[parent].variant == Variant::Bundle {
                break;
            }
            at = parent;
        }
        at
    }

    pub(crate) fn uber_parent(&self, rsc: RscIx) -> RscIx {
        self.top_of(rsc, false)
    }

    pub(crate) fn is_parent(&self, child: RscIx, rsc: RscIx) -> bool {
        let mut at = self.rscs[child].parent;
        while let Some(parent) = at {
            if parent == rsc {
                return true;
            }
            at = self.rscs[parent].parent;
        }
        false
    }

    pub fn is_clone(&self, rsc: RscIx) -> bool {
        self.rscs[rsc].variant == Variant::Clone
    }

    pub fn is_group(&self, rsc: Option<RscIx>) -> bool {
        rsc.is_some_and(|r| self.rscs[r].variant == Variant::Group)
    }

    pub fn is_anonymous_clone(&self, rsc: RscIx) -> bool {
        self.is_clone(rsc) && !self.rscs[rsc].is(rf::UNIQUE)
    }

    pub(crate) fn set_flags_recursive(&mut self, rsc: RscIx, flags: u64) {
        self.rscs[rsc].flags |= flags;
        for child in self.rscs[rsc].children.clone() {
            self.set_flags_recursive(child, flags);
        }
    }

    /// Whether a flag is set here or below (`any`), or here and everywhere below.
    pub fn flag_recursive(&self, rsc: RscIx, flag: u64, any: bool) -> bool {
        if self.rscs[rsc].is(flag) == any {
            return any;
        }
        for child in &self.rscs[rsc].children {
            if self.flag_recursive(*child, flag, any) == any {
                return any;
            }
        }
        !any
    }

    pub(crate) fn set_next_role(&mut self, rsc: RscIx, role: Role) {
        self.rscs[rsc].next_role = role;
    }

    /// The name under which a resource is shown: without instance number unless globally unique.
    pub fn printable_id(&self, rsc: RscIx) -> &Str {
        let r = &self.rscs[rsc];
        if r.is(rf::UNIQUE) { &r.id } else { &r.xml_id }
    }

    pub fn is_disabled(&self, rsc: RscIx) -> bool {
        match Role::parse(self.rscs[rsc].meta.get("target-role")) {
            Role::Stopped => true,
            Role::Unpromoted => self.rscs[self.top_of(rsc, false)].is(rf::PROMOTABLE),
            _ => false,
        }
    }

    /// Target role, where it restricts the resource.
    pub(crate) fn target_role(&mut self, rsc: RscIx) -> Option<Role> {
        // Asked for every history entry.
        if !self.rscs[rsc].is(rf::TARGET_ROLE) {
            return None;
        }
        let value = self.rscs[rsc].meta.get_str("target-role")?;
        if value.eq_ignore_ascii_case("Started") || value.eq_ignore_ascii_case("default") {
            return None;
        }
        let role = Role::parse(Some(&value));
        let id = self.rscs[rsc].id.clone();
        if role == Role::Unknown {
            self.error(format!("Ignoring 'target-role' for {id} because '{value}' is not valid"));
            return None;
        }
        if role > Role::Started {
            if !self.rscs[self.top_of(rsc, false)].is(rf::PROMOTABLE) {
                self.error(format!(
                    "Ignoring 'target-role' for {id} because '{value}' only makes sense for promotable clones"
                ));
                return None;
            }
            if role > Role::Unpromoted {
                return None;
            }
        }
        Some(role)
    }

    pub(crate) fn max_per_node(&self, rsc: RscIx) -> i32 {
        let r = &self.rscs[rsc];
        match (&r.clone, &r.bundle) {
            (Some(clone), _) => clone.node_max,
            (_, Some(bundle)) => bundle.replicas_per_host,
            _ => 1,
        }
    }

    pub(crate) fn bundle_of(&self, rsc: RscIx) -> Option<&BundleData> {
        self.rscs[self.top_of(rsc, true)].bundle.as_deref()
    }

    pub(crate) fn replicas(&self, bundle: RscIx) -> Vec<Replica> {
        self.rscs[bundle].bundle.as_ref().map(|b| b.replicas.clone()).unwrap_or_default()
    }

    pub(crate) fn containers(&self, bundle: RscIx) -> Vec<RscIx> {
        self.rscs[bundle].bundle.iter().flat_map(|b| b.replicas.iter().map(|r| r.container)).collect()
    }

    /// The bundled primitive that runs in a container of a bundle.
    pub(crate) fn rsc_in_container(&self, instance: RscIx) -> Option<RscIx> {
        self.bundle_of(instance)?.replicas.iter().find(|r| r.container == instance)?.child
    }

    pub(crate) fn last_member(&self, group: RscIx) -> Option<RscIx> {
        self.rscs[group].children.last().copied()
    }

    pub(crate) fn group_colocated(&self, group: RscIx) -> bool {
        self.rscs[group].group.as_ref().is_none_or(|g| g.colocated)
    }

    /// The connection resource of a guest node that this resource runs.
    pub(crate) fn contained_guest(&self, rsc: RscIx) -> Option<RscIx> {
        if !self.config.have_remote_nodes {
            return None;
        }
        self.rscs[rsc].launched.iter().copied().find(|r| self.rscs[*r].is(rf::REMOTE_CONNECTION))
    }

    /// Guest nodes that run on a node.
    pub(crate) fn guests_on(&self, host: NodeIx) -> Vec<NodeIx> {
        if !self.config.have_remote_nodes {
            return Vec::new();
        }
        let running = self.nodes[host].running.iter();
        running
            .filter(|r| self.rscs[**r].is(rf::REMOTE_CONNECTION) && self.rscs[**r].launcher.is_some())
            .filter_map(|r| self.find_node(&self.rscs[*r].id))
            .collect()
    }

    pub(crate) fn meta_true(&self, rsc: RscIx, name: &str) -> bool {
        is_true(self.rscs[rsc].meta.get(name))
    }

    // Look-up of resources by id

    /// First resource, in order of configuration, with this id or history id.
    pub fn find_rsc(&self, id: &str) -> Option<RscIx> {
        let (exact, named) = (self.by_id.get(id), self.by_history.get(id));
        let Some(named) = named else { return exact.copied() };
        // What has been removed may bear the name that the history gives to an instance: the first one in the list of
        // resources counts.
        let mut tops = named.iter().chain(exact).map(|rsc| self.top_of(*rsc, true));
        let first = tops.next()?;
        if tops.all(|top| top == first) {
            return self.find_history(first, id);
        }
        self.top.iter().find_map(|r| self.find_history(*r, id))
    }

    /// Remembers under what name the history knows a resource.
    pub(crate) fn set_history_id(&mut self, rsc: RscIx, id: &str) {
        let id = Str::from(id);
        let named = self.by_history.entry(id.clone()).or_default();
        if !named.contains(&rsc) {
            named.push(rsc);
        }
        self.rscs[rsc].history_id = Some(id);
    }

    fn find_history(&self, rsc: RscIx, id: &str) -> Option<RscIx> {
        let r = &self.rscs[rsc];
        if &*r.id == id || r.history_id.as_deref() == Some(id) {
            return Some(rsc);
        }
        r.children.iter().find_map(|c| self.find_history(*c, id))
    }

    /// Under `rsc`, the part of a clone instance that is called `id` in the configuration.
    pub(crate) fn find_in_clone(&self, rsc: RscIx, id: &str, on: Option<NodeIx>) -> Option<RscIx> {
        let r = &self.rscs[rsc];
        let matches = self.is_clone(self.top_of(rsc, false)) && (&*r.id == id || &*r.xml_id == id);
        if matches && on.is_none_or(|n| r.active_nodes.contains(&n)) {
            return Some(rsc);
        }
        r.children.iter().find_map(|c| self.find_in_clone(*c, id, on))
    }
}
