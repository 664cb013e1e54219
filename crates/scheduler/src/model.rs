//! The arenas: nodes, resources, actions and constraints, addressed by index.
//!
//! Lists to which the reference prepends are kept here in order of insertion and are walked from
//! their end; so what is added during a walk is not seen by that walk, as there.

mod action;

pub use action::{Action, ActionIndex, Edges, Needs, Operation, Related};

use crate::fast_hash::FastMap;
use crate::text::{Str, Table};
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops::{Deref, Index, IndexMut};
use std::sync::Arc;

macro_rules! index_type {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(NonZeroU32);
        impl From<usize> for $name {
            fn from(at: usize) -> $name {
                $name(NonZeroU32::MIN.saturating_add(at as u32))
            }
        }
        impl From<$name> for usize {
            fn from(ix: $name) -> usize {
                ix.0.get() as usize - 1
            }
        }
    )*};
}

index_type! {
    /// A node (cluster, remote, guest or bundle node).
    NodeIx;
    /// A resource, collective or primitive.
    RscIx;
    /// An action.
    ActIx;
    /// A colocation.
    ColocIx;
    /// A location constraint.
    LocIx;
    /// A ticket.
    TicketIx;
}

/// A vector that is indexed by one index type only.
#[derive(Debug, Clone)]
pub struct Arena<I, T> {
    items: Vec<T>,
    index: PhantomData<I>,
}

impl<I, T> Default for Arena<I, T> {
    fn default() -> Self {
        Arena { items: Vec::new(), index: PhantomData }
    }
}

impl<I: Copy + From<usize> + Into<usize>, T> Arena<I, T> {
    pub fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::from(self.items.len() - 1)
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.items.reserve(more);
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut()
    }

    /// All indices, in order of insertion.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = I> + use<I, T> {
        (0..self.items.len()).map(I::from)
    }
}

impl<I: Into<usize>, T> Index<I> for Arena<I, T> {
    type Output = T;
    fn index(&self, ix: I) -> &T {
        &self.items[ix.into()]
    }
}

impl<I: Into<usize>, T> IndexMut<I> for Arena<I, T> {
    fn index_mut(&mut self, ix: I) -> &mut T {
        &mut self.items[ix.into()]
    }
}

/// The state that a resource is in or should be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Role {
    #[default]
    Unknown,
    Stopped,
    Started,
    Unpromoted,
    Promoted,
}

impl Role {
    pub fn text(self) -> &'static str {
        match self {
            Role::Unknown => "Unknown",
            Role::Stopped => "Stopped",
            Role::Started => "Started",
            Role::Unpromoted => "Unpromoted",
            Role::Promoted => "Promoted",
        }
    }

    /// The words of today and the older ones, whatever their case; `Unknown` for anything else.
    pub fn parse(text: Option<&str>) -> Role {
        let Some(text) = text else { return Role::Unknown };
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        if is("Stopped") {
            Role::Stopped
        } else if is("Started") {
            Role::Started
        } else if is("Unpromoted") || is("Slave") {
            Role::Unpromoted
        } else if is("Promoted") || is("Master") {
            Role::Promoted
        } else {
            Role::Unknown
        }
    }
}

/// What a resource consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    Primitive,
    Group,
    Clone,
    Bundle,
}

impl Variant {
    pub fn element(self) -> &'static str {
        match self {
            Variant::Primitive => "primitive",
            Variant::Group => "group",
            Variant::Clone => "clone",
            Variant::Bundle => "bundle",
        }
    }
}

/// Whether the cluster looks for a resource on a node (resource-discovery).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ProbeMode {
    #[default]
    Always,
    Never,
    Exclusive,
}

/// One cell of a resource's row of node scores.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slot {
    pub score: i32,
    /// Instances of a collective placed here so far.
    pub count: i32,
    pub probe: ProbeMode,
    /// False: the node is not in the table at all.
    pub present: bool,
}

/// Scores of one resource on all nodes, dense; nodes beyond its end are not in the table.
pub type Row = Vec<Slot>;

/// A resource's row. It is changed through the cluster, which keeps account of what follows from it.
#[derive(Debug, Clone, Default)]
pub struct OwnRow {
    row: Row,
}

impl OwnRow {
    /// For [`crate::Cluster`]'s `row_mut` alone.
    pub(crate) fn change(&mut self) -> &mut Row {
        &mut self.row
    }
}

impl Deref for OwnRow {
    type Target = Row;
    fn deref(&self) -> &Row {
        &self.row
    }
}

/// Looks up a node in a row.
pub fn slot(row: &Row, node: NodeIx) -> Option<&Slot> {
    row.get(usize::from(node)).filter(|s| s.present)
}

/// Looks up a node in a row, to change it.
pub fn slot_mut(row: &mut Row, node: NodeIx) -> Option<&mut Slot> {
    row.get_mut(usize::from(node)).filter(|s| s.present)
}

/// Puts a node into a row.
pub fn put(row: &mut Row, node: NodeIx, mut value: Slot) {
    let at = usize::from(node);
    if row.len() <= at {
        row.resize(at + 1, Slot::default());
    }
    value.present = true;
    if let Some(cell) = row.get_mut(at) {
        *cell = value;
    }
}

/// Nodes that are in a row, by index.
pub fn row_nodes(row: &Row) -> Vec<NodeIx> {
    row.iter().enumerate().filter(|(_, s)| s.present).map(|(at, _)| NodeIx::from(at)).collect()
}

/// Flags of a node.
pub mod nf {
    pub const STANDBY: u32 = 1;
    pub const FAIL_STANDBY: u32 = 1 << 1;
    pub const SEEN: u32 = 1 << 2;
    pub const EXPECTED_UP: u32 = 1 << 3;
    pub const PROBES_ALLOWED: u32 = 1 << 4;
    pub const REMOTE_RESET: u32 = 1 << 5;
    pub const REMOTE_FENCED: u32 = 1 << 6;
    pub const REMOTE_MAINT: u32 = 1 << 7;
    pub const UNPACKED: u32 = 1 << 8;
}

/// Flags of a resource.
pub mod rf {
    pub const REMOVED: u64 = 1;
    pub const MANAGED: u64 = 1 << 1;
    pub const BLOCKED: u64 = 1 << 2;
    pub const REMOVED_LAUNCHED: u64 = 1 << 3;
    pub const NOTIFY: u64 = 1 << 4;
    pub const UNIQUE: u64 = 1 << 5;
    pub const FENCE_DEVICE: u64 = 1 << 6;
    pub const PROMOTABLE: u64 = 1 << 7;
    pub const UNASSIGNED: u64 = 1 << 8;
    pub const ASSIGNING: u64 = 1 << 9;
    pub const UPDATING_NODES: u64 = 1 << 10;
    pub const RESTARTING: u64 = 1 << 11;
    pub const STOP_IF_FAILED: u64 = 1 << 12;
    pub const RELOAD: u64 = 1 << 13;
    pub const REMOTE_NESTING_ALLOWED: u64 = 1 << 14;
    pub const CRITICAL: u64 = 1 << 15;
    pub const FAILED: u64 = 1 << 16;
    pub const REMOTE_CONNECTION: u64 = 1 << 18;
    pub const START_PENDING: u64 = 1 << 19;
    pub const EXCLUSIVE_PROBES: u64 = 1 << 20;
    pub const STOP_UNEXPECTED: u64 = 1 << 22;
    pub const MIGRATABLE: u64 = 1 << 23;
    pub const IGNORE_FAILURE: u64 = 1 << 24;
    pub const REPLICA_CONTAINER: u64 = 1 << 25;
    pub const MAINTENANCE: u64 = 1 << 26;
    pub const NEEDS_QUORUM: u64 = 1 << 28;
    pub const NEEDS_FENCING: u64 = 1 << 29;
    pub const NEEDS_UNFENCING: u64 = 1 << 30;
    /// There is a target role in its meta-attributes.
    pub const TARGET_ROLE: u64 = 1 << 31;
}

/// Flags of an action.
pub mod af {
    pub const PSEUDO: u32 = 1;
    pub const RUNNABLE: u32 = 1 << 1;
    pub const OPTIONAL: u32 = 1 << 2;
    pub const ALWAYS_IN_GRAPH: u32 = 1 << 3;
    pub const ATTRS_EVALUATED: u32 = 1 << 4;
    pub const MIGRATABLE: u32 = 1 << 7;
    pub const ADDED_TO_GRAPH: u32 = 1 << 8;
    pub const MIGRATION_ABORT: u32 = 1 << 11;
    pub const RESCHEDULE: u32 = 1 << 13;
    pub const DETECT_LOOP: u32 = 1 << 14;
    pub const INPUTS_DEDUPLICATED: u32 = 1 << 15;
    pub const ON_DC: u32 = 1 << 16;
}

/// Flags of an ordering between two actions.
pub mod ar {
    pub const NONE: u32 = 0;
    pub const ORDERED: u32 = 1;
    pub const IF_FIRST_UNMIGRATABLE: u32 = 1 << 1;
    pub const THEN_IMPLIES_FIRST: u32 = 1 << 4;
    pub const FIRST_IMPLIES_THEN: u32 = 1 << 5;
    pub const PROMOTED_THEN_IMPLIES_FIRST: u32 = 1 << 6;
    pub const UNMIGRATABLE_THEN_BLOCKS: u32 = 1 << 7;
    pub const UNRUNNABLE_FIRST_BLOCKS: u32 = 1 << 8;
    pub const FIRST_ELSE_THEN: u32 = 1 << 9;
    pub const FIRST_IMPLIES_SAME_NODE_THEN: u32 = 1 << 10;
    pub const NESTED_REMOTE_PROBE: u32 = 1 << 11;
    pub const INTERMEDIATE_STOP: u32 = 1 << 12;
    pub const SERIALIZE: u32 = 1 << 14;
    pub const IF_ON_SAME_NODE: u32 = 1 << 15;
    pub const THEN_IMPLIES_FIRST_GRAPHED: u32 = 1 << 16;
    pub const FIRST_IMPLIES_THEN_GRAPHED: u32 = 1 << 17;
    pub const ASYMMETRIC: u32 = 1 << 20;
    pub const IF_ON_SAME_NODE_OR_TARGET: u32 = 1 << 21;
    pub const MIN_RUNNABLE: u32 = 1 << 22;
    pub const IF_REQUIRED_ON_SAME_NODE: u32 = 1 << 23;
    pub const GUEST_ALLOWED: u32 = 1 << 24;
    pub const THEN_CANCELS_FIRST: u32 = 1 << 25;
    /// Not of an ordering: the graph has it as an input.
    pub const GRAPHED: u32 = 1 << 31;
}

/// Which of a resource's places is meant.
pub mod at {
    pub const ASSIGNED: u32 = 1;
    pub const CURRENT: u32 = 1 << 1;
    pub const PENDING: u32 = 1 << 2;
}

/// A node and what is known about it.
#[derive(Debug, Clone, Default)]
pub struct Node {
    pub id: Str,
    pub name: Str,
    /// A Pacemaker Remote node: remote, guest or bundle node.
    pub is_remote: bool,
    pub flags: u32,
    pub online: bool,
    pub unclean: bool,
    pub shutdown: bool,
    pub pending: bool,
    pub maintenance: bool,
    /// Score and probe mode that rows start from.
    pub base: Slot,
    pub priority: i32,
    pub attrs: FastMap<Str, Str>,
    pub utilization: Table,
    /// Primitives active here.
    pub running: Vec<RscIx>,
    pub num_resources: i32,
    /// Connection resource of a remote node.
    pub remote: Option<RscIx>,
    pub digests: FastMap<Str, crate::digest::Digest>,
    /// Failure attributes (fail-count-, last-failure-), for quick look-up.
    pub failures: Option<Arc<Vec<(Str, Str)>>>,
}

impl Node {
    pub fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.get(name).map(|v| &**v)
    }
}

/// What to do about a failed action. The order matters: a later one outranks an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnFail {
    Ignore,
    Demote,
    Restart,
    ResetRemote,
    RestartContainer,
    Ban,
    Block,
    Stop,
    Standby,
    Fence,
}

/// What to do with a resource that is active on more nodes than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MultiplyActive {
    #[default]
    Restart,
    Stop,
    Block,
    Unexpected,
}

/// One `<op>` of a resource.
#[derive(Debug, Clone)]
pub struct OpConfig {
    pub xml: xml::NodeId,
    pub id: Option<Str>,
    pub name: Option<Str>,
    pub interval_ms: u32,
    pub enabled: Option<bool>,
    pub role: Option<Str>,
    pub on_fail: Option<Str>,
    pub timeout: Option<Str>,
}

/// What is particular to clones.
#[derive(Debug, Clone, Default)]
pub struct CloneData {
    pub max: i32,
    pub node_max: i32,
    pub promoted_max: i32,
    pub promoted_node_max: i32,
    pub total: i32,
    pub ordered: bool,
    pub promotion_added: bool,
    pub promotion_constrained: bool,
    pub stop_notify: Option<Box<NotifyData>>,
    pub start_notify: Option<Box<NotifyData>>,
    pub demote_notify: Option<Box<NotifyData>>,
    pub promote_notify: Option<Box<NotifyData>>,
    pub child_xml: Option<xml::NodeId>,
}

/// What is particular to groups.
#[derive(Debug, Clone, Default)]
pub struct GroupData {
    pub ordered: bool,
    pub colocated: bool,
}

/// One replica of a bundle.
#[derive(Debug, Clone)]
pub struct Replica {
    pub offset: i32,
    pub ipaddr: Option<Str>,
    pub node: Option<NodeIx>,
    pub ip: Option<RscIx>,
    pub child: Option<RscIx>,
    pub container: RscIx,
    pub remote: Option<RscIx>,
}

/// What is particular to bundles.
#[derive(Debug, Clone, Default)]
pub struct BundleData {
    /// How often it is being assigned just now.
    pub nested: u32,
    pub promoted_max: i32,
    pub replicas_total: i32,
    pub replicas_per_host: i32,
    pub image: Option<Str>,
    pub agent: &'static str,
    pub child: Option<RscIx>,
    pub replicas: Vec<Replica>,
}

/// A resource, with its configuration, history and decision.
#[derive(Debug, Clone)]
pub struct Resource {
    pub id: Str,
    /// Id in the configuration (without the number of a clone instance).
    pub xml_id: Str,
    pub xml: xml::NodeId,
    pub variant: Variant,
    pub flags: u64,
    pub class: Option<Str>,
    pub provider: Option<Str>,
    pub agent: Option<Str>,
    pub history_id: Option<Str>,
    pub meta: Table,
    pub utilization: Table,
    pub priority: i32,
    pub promotion_priority: i32,
    pub role: Role,
    pub next_role: Role,
    pub stickiness: i32,
    pub failure_timeout_ms: u32,
    pub migration_threshold: i32,
    pub remote_reconnect_ms: u32,
    pub pending_action: Option<Str>,
    pub pending_node: Option<NodeIx>,
    pub lock_time: i64,
    pub lock_node: Option<NodeIx>,
    /// Oldest first.
    pub actions: Vec<ActIx>,
    pub(crate) action_index: ActionIndex,
    pub children: Vec<RscIx>,
    pub parent: Option<RscIx>,
    pub ops: Arc<Vec<OpConfig>>,
    pub params: FastMap<Option<NodeIx>, Arc<Table>>,
    /// Instance attributes do not depend on the node.
    pub params_static: bool,
    /// Address that replaces `addr=#uname` of a bundle's connection, once known.
    pub addr_override: Option<Str>,
    pub meta_cache: Vec<(Str, u32, Arc<Table>)>,
    pub launcher: Option<RscIx>,
    pub launched: Vec<RscIx>,
    pub multiply_active: MultiplyActive,
    pub assigned: Option<NodeIx>,
    /// Score with which it was assigned.
    pub assigned_score: i32,
    pub active_nodes: Vec<NodeIx>,
    pub probed: Vec<bool>,
    pub allowed: OwnRow,
    pub partial_source: Option<NodeIx>,
    pub partial_target: Option<NodeIx>,
    pub dangling: Vec<NodeIx>,
    pub with_this: Vec<ColocIx>,
    pub this_with: Vec<ColocIx>,
    pub locations: Vec<LocIx>,
    pub tickets: Vec<RscTicket>,
    pub clone: Option<Box<CloneData>>,
    pub group: Option<GroupData>,
    pub bundle: Option<Box<BundleData>>,
}

impl Resource {
    pub fn is(&self, flags: u64) -> bool {
        self.flags & flags == flags
    }

    pub fn any(&self, flags: u64) -> bool {
        self.flags & flags != 0
    }

    pub fn probed_on(&self, node: NodeIx) -> bool {
        self.probed.get(usize::from(node)).copied().unwrap_or(false)
    }

    pub fn set_probed(&mut self, node: NodeIx) {
        let at = usize::from(node);
        if self.probed.len() <= at {
            self.probed.resize(at + 1, false);
        }
        if let Some(cell) = self.probed.get_mut(at) {
            *cell = true;
        }
    }
}

/// An ordering that is wanted.
#[derive(Debug, Clone)]
pub enum Ordering {
    Ends(Box<Ends>),
    /// Each probe of a row of actions (up to `end`, which is not one) before the starts of what it is
    /// about.
    Probes {
        first: ActIx,
        end: ActIx,
        flags: u32,
    },
}

/// Ordering between two ends, each a resource with an operation's name, or an action.
#[derive(Debug, Clone)]
pub struct Ends {
    pub flags: u32,
    pub first_rsc: Option<RscIx>,
    pub first_task: Option<Str>,
    pub first: Option<ActIx>,
    pub then_rsc: Option<RscIx>,
    pub then_task: Option<Str>,
    pub then: Option<ActIx>,
}

/// `dependent` with `primary`.
#[derive(Debug, Clone)]
pub struct Colocation {
    pub id: Str,
    pub node_attribute: Str,
    pub dependent: RscIx,
    pub primary: RscIx,
    pub dependent_role: Role,
    pub primary_role: Role,
    pub score: i32,
    pub explicit: bool,
    pub influence: bool,
}

/// A location constraint, unpacked to scores on nodes.
#[derive(Debug, Clone)]
pub struct Location {
    pub id: Str,
    pub rsc: RscIx,
    pub role_filter: Role,
    pub probe: ProbeMode,
    /// In the reference's order.
    pub nodes: Vec<(NodeIx, Slot)>,
}

/// A ticket and its state.
#[derive(Debug, Clone, Default)]
pub struct Ticket {
    pub id: Str,
    pub granted: bool,
    pub standby: bool,
    pub last_granted: i64,
    pub state: Table,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossPolicy {
    Stop,
    Demote,
    Fence,
    Freeze,
}

/// Dependence of a resource on a ticket.
#[derive(Debug, Clone)]
pub struct RscTicket {
    pub id: Str,
    pub ticket: TicketIx,
    pub loss_policy: LossPolicy,
    pub role: Role,
}

/// What is collected for the notifications around one kind of action.
#[derive(Debug, Clone, Default)]
pub struct NotifyData {
    pub action: Str,
    pub keys: Vec<(Str, Str)>,
    pub pre: Option<ActIx>,
    pub post: Option<ActIx>,
    pub pre_done: Option<ActIx>,
    pub post_done: Option<ActIx>,
    pub active: Vec<(RscIx, Option<NodeIx>)>,
    pub inactive: Vec<(RscIx, Option<NodeIx>)>,
    pub start: Vec<(RscIx, Option<NodeIx>)>,
    pub stop: Vec<(RscIx, Option<NodeIx>)>,
    pub demote: Vec<(RscIx, Option<NodeIx>)>,
    pub promote: Vec<(RscIx, Option<NodeIx>)>,
    pub promoted: Vec<(RscIx, Option<NodeIx>)>,
    pub unpromoted: Vec<(RscIx, Option<NodeIx>)>,
    pub allowed: Vec<NodeIx>,
}
