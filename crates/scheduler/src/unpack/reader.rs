//! How histories are read. A large cluster has a million operations, written alike, and nearly all of
//! them say that something does not run on a node: so names are numbers here, and what was found for
//! one node is the first guess for the next.

use crate::model::RscIx;
use xml::{Columns, Document, Key, NodeId};

/// Reads the histories of a cluster, node after node.
pub(super) struct Reader {
    entry_name: Key,
    op_name: Key,
    entry: Columns<4>,
    op: Columns<6>,
    /// Resources by the place of their entry in the last node's history: mostly the next node's has
    /// the same order.
    pub order: Vec<Option<RscIx>>,
}

/// What a `<lrm_resource>` says about its resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryText<'d> {
    pub id: Option<&'d str>,
    pub class: Option<&'d str>,
    pub provider: Option<&'d str>,
    pub agent: Option<&'d str>,
}

/// What an `<lrm_rsc_op>` says about itself, as written.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpText<'d> {
    pub id: Option<&'d str>,
    pub task: Option<&'d str>,
    pub status: Option<&'d str>,
    pub exit: Option<&'d str>,
    pub interval: Option<&'d str>,
    pub key: Option<&'d str>,
}

impl Reader {
    pub fn new(doc: &Document) -> Reader {
        Reader {
            entry_name: doc.key("lrm_resource"),
            op_name: doc.key("lrm_rsc_op"),
            entry: doc.columns(["id", "class", "provider", "type"]),
            op: doc.columns(["id", "operation", "op-status", "rc-code", "interval", "transition-key"]),
            order: Vec::new(),
        }
    }

    pub fn is_entry(&self, doc: &Document, node: NodeId) -> bool {
        doc.is_named(node, self.entry_name)
    }

    pub fn entry<'d>(&mut self, doc: &'d Document, entry: NodeId) -> EntryText<'d> {
        let [id, class, provider, agent] = self.entry.read(doc, entry);
        EntryText { id, class, provider, agent }
    }

    /// The operation of a history entry that has but one, as most have.
    pub fn only_op(&self, doc: &Document, entry: NodeId) -> Option<NodeId> {
        let first = doc.first_child(entry)?;
        (doc.is_named(first, self.op_name) && doc.next_sibling(first).is_none()).then_some(first)
    }

    pub fn op<'d>(&mut self, doc: &'d Document, op: NodeId) -> OpText<'d> {
        let [id, task, status, exit, interval, key] = self.op.read(doc, op);
        OpText { id, task, status, exit, interval, key }
    }
}

impl OpText<'_> {
    /// Whether this is a probe that found nothing, and no entry kept for a failure: what it means does
    /// not depend on what was expected.
    pub fn is_idle_probe(&self) -> bool {
        self.exit == Some("7")
            && self.status == Some("0")
            && self.interval == Some("0")
            && self.task == Some("monitor")
            && self.id.is_some_and(|id| !id.ends_with(LAST_FAILURE))
    }
}

/// How the id of the entry ends that is kept for the last failure.
pub(super) const LAST_FAILURE: &str = "_last_failure_0";
