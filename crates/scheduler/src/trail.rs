//! The trail: which cause moved which score, from what to what.
//!
//! Recorded when [`Options::trail`](crate::Options::trail) is set. For one resource and one node the
//! steps form a chain: each begins with the score at which the one before ended.

use std::collections::HashMap;

use crate::cluster::{Cluster, add_scores};
use crate::model::{NodeIx, Row, RscIx, slot, slot_mut};
use crate::text::Str;

/// One step of the trail: what changed a score, from what to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub rsc: RscIx,
    pub node: NodeIx,
    /// Id of a constraint, or the scheduler's own word for the cause.
    pub cause: Str,
    /// Nothing: the node was not in the resource's table.
    pub from: Option<i32>,
    /// Nothing: the node was taken out of the table.
    pub to: Option<i32>,
}

impl Cluster {
    pub(crate) fn note(&mut self, rsc: RscIx, node: NodeIx, cause: &Str, from: Option<i32>, to: i32) {
        self.note_change(rsc, node, cause, from, Some(to));
    }

    pub(crate) fn note_change(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        cause: &Str,
        from: Option<i32>,
        to: Option<i32>,
    ) {
        if self.opts.trail && from != to {
            self.trail.push(Step { rsc, node, cause: cause.clone(), from, to });
        }
    }

    /// Sets the score of a node that is in the resource's table.
    pub(crate) fn set_score(&mut self, rsc: RscIx, node: NodeIx, score: i32, cause: &'static str) {
        if let Some(cell) = slot_mut(self.row_mut(rsc), node) {
            let old = std::mem::replace(&mut cell.score, score);
            self.note(rsc, node, &Str::lit(cause), Some(old), score);
        }
    }

    /// Adds to the score of a node that is in the resource's table.
    pub(crate) fn add_score(&mut self, rsc: RscIx, node: NodeIx, score: i32, cause: &'static str) {
        self.add_score_for(rsc, node, score, &Str::lit(cause));
    }

    pub(crate) fn add_score_for(&mut self, rsc: RscIx, node: NodeIx, score: i32, cause: &Str) {
        if let Some(cell) = slot_mut(self.row_mut(rsc), node) {
            let old = cell.score;
            cell.score = add_scores(old, score);
            let new = cell.score;
            self.note(rsc, node, cause, Some(old), new);
        }
    }

    pub(crate) fn replace_row(&mut self, rsc: RscIx, row: Row, cause: &'static str) {
        let old = std::mem::replace(self.row_mut(rsc), row);
        if self.opts.trail {
            self.note_row(rsc, &old, &Str::lit(cause));
        }
    }

    /// Notes everything in which a row differs from what it was.
    pub(crate) fn note_row(&mut self, rsc: RscIx, old: &Row, cause: &Str) {
        for node in self.nodes.indices() {
            let new = slot(&self.rscs[rsc].allowed, node).map(|s| s.score);
            let before = slot(old, node).map(|s| s.score);
            self.note_change(rsc, node, cause, before, new);
        }
    }

    /// Takes back what was noted since `mark` about resources whose rows are restored.
    pub(crate) fn forget_steps(&mut self, mark: usize, restored: &HashMap<RscIx, Row>) {
        let mut at = 0;
        self.trail.retain(|step| {
            at += 1;
            at <= mark || !restored.contains_key(&step.rsc)
        });
    }
}
