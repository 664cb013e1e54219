//! Actions and what relates them. A cluster has one probe for each node and primitive, so an action
//! is small: what many actions have in common is in an operation that they share.

use super::{ActIx, NodeIx, RscIx, ar};
use crate::text::{Str, Table};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What an action needs before it may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Needs {
    #[default]
    Nothing,
    Quorum,
    Fencing,
}

/// One end of an ordering, as an action sees it.
#[derive(Debug, Clone, Copy)]
pub struct Related {
    pub action: ActIx,
    pub flags: u32,
}

impl Related {
    /// Whether the graph has this input.
    pub fn graphed(&self) -> bool {
        self.flags & ar::GRAPHED != 0
    }
}

/// The orderings on one side of an action, oldest first: mostly none or one.
#[derive(Debug, Clone, Default)]
pub enum Edges {
    #[default]
    None,
    One(Related),
    // A vector would make each of a million actions a third larger.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<Related>>),
}

impl Edges {
    pub fn push(&mut self, related: Related) {
        match self {
            Edges::None => *self = Edges::One(related),
            Edges::One(first) => *self = Edges::Many(Box::new(vec![*first, related])),
            Edges::Many(all) => all.push(related),
        }
    }
}

impl From<Vec<Related>> for Edges {
    fn from(all: Vec<Related>) -> Edges {
        match all.as_slice() {
            [] => Edges::None,
            [one] => Edges::One(*one),
            _ => Edges::Many(Box::new(all)),
        }
    }
}

impl Deref for Edges {
    type Target = [Related];
    fn deref(&self) -> &[Related] {
        match self {
            Edges::None => &[],
            Edges::One(one) => std::slice::from_ref(one),
            Edges::Many(all) => all,
        }
    }
}

impl DerefMut for Edges {
    fn deref_mut(&mut self) -> &mut [Related] {
        match self {
            Edges::None => &mut [],
            Edges::One(one) => std::slice::from_mut(one),
            Edges::Many(all) => all,
        }
    }
}

/// What is to be done, wherever it is done.
#[derive(Debug, Clone, Default)]
pub struct Operation {
    pub task: Str,
    /// Unique name: `RSC_TASK_INTERVAL`, or the name of a pseudo-action.
    pub key: Str,
    pub config: Option<xml::NodeId>,
    pub cancel_task: Option<Str>,
    pub priority: i32,
    pub needs: Needs,
    pub meta: Table,
    pub extra: Table,
    pub runnable_before: i32,
    pub required_runnable_before: i32,
    /// A monitor that does not recur, under its own resource's name.
    pub(crate) probe: bool,
}

/// Finds a resource's actions. Probes are apart: there is one for each node.
#[derive(Debug, Clone, Default)]
pub struct ActionIndex {
    /// All but probes, oldest first.
    pub(crate) others: Vec<ActIx>,
    /// There is a stop among them.
    pub(crate) any_stop: bool,
    /// Nodes with a probe, as bits.
    probed: Vec<u64>,
    /// There may be a probe without a node.
    pub(crate) loose_probe: bool,
    /// Operations so far, for more actions.
    pub(crate) operations: Vec<Arc<Operation>>,
    /// Of those, variants that expect an exit status.
    pub(crate) expecting: Vec<(Arc<Operation>, i32, Arc<Operation>)>,
}

impl ActionIndex {
    pub(crate) fn has_probe(&self, node: NodeIx) -> bool {
        let at = usize::from(node);
        self.probed.get(at / 64).is_some_and(|bits| bits & (1 << (at % 64)) != 0)
    }

    pub(crate) fn set_probe(&mut self, node: Option<NodeIx>) {
        let Some(at) = node.map(usize::from) else {
            self.loose_probe = true;
            return;
        };
        if self.probed.len() <= at / 64 {
            self.probed.resize(at / 64 + 1, 0);
        }
        if let Some(bits) = self.probed.get_mut(at / 64) {
            *bits |= 1 << (at % 64);
        }
    }
}

/// Something that may have to be done: an operation on a node.
#[derive(Debug, Clone)]
pub struct Action {
    pub rsc: Option<RscIx>,
    pub node: Option<NodeIx>,
    pub flags: u32,
    op: Arc<Operation>,
    reason: Option<Arc<Str>>,
    pub before: Edges,
    pub after: Edges,
}

impl Action {
    pub(crate) fn new(rsc: Option<RscIx>, node: Option<NodeIx>, op: Arc<Operation>, flags: u32) -> Action {
        Action { rsc, node, flags, op, reason: None, before: Edges::None, after: Edges::None }
    }

    pub fn is(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    pub fn any(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Why it is done, or cannot be done.
    pub fn reason(&self) -> Option<&Str> {
        self.reason.as_deref()
    }

    pub(crate) fn set_reason(&mut self, reason: Option<Str>) {
        self.reason = reason.map(Arc::new);
    }

    /// The operation, to change it for this action alone.
    pub(crate) fn op_mut(&mut self) -> &mut Operation {
        Arc::make_mut(&mut self.op)
    }

    pub(crate) fn op(&self) -> &Arc<Operation> {
        &self.op
    }

    pub(crate) fn set_op(&mut self, op: Arc<Operation>) {
        self.op = op;
    }
}

impl Deref for Action {
    type Target = Operation;
    fn deref(&self) -> &Operation {
        &self.op
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_fits_a_cache_line() {
        assert!(size_of::<Action>() <= 64);
    }

    #[test]
    fn edges_keep_their_order() {
        let mut edges = Edges::default();
        for at in 0..5u32 {
            assert_eq!(edges.len(), at as usize);
            edges.push(Related { action: ActIx::from(at as usize), flags: at });
        }
        assert_eq!(edges.iter().map(|r| r.flags).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(Edges::from(edges.to_vec()).len(), 5);
    }
}
