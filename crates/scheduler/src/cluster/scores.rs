//! Rows of scores: what changes one, and how scores are added.

use crate::cluster::{Cluster, Line};
use crate::model::*;
use crate::text::Str;

/// Why a resource may run everywhere if nothing else is said.
pub(crate) const SYMMETRIC_DEFAULT: &str = "symmetric_default";

impl Cluster {
    fn node_score(&mut self, rsc: RscIx, node: NodeIx, from: Slot, score: i32, cause: &Str) {
        let skip = self.rscs[rsc].is(rf::EXCLUSIVE_PROBES) || from.probe == ProbeMode::Never;
        if skip && *cause == SYMMETRIC_DEFAULT {
            return;
        }
        for child in self.rscs[rsc].children.clone() {
            self.node_score(child, node, from, score, cause);
        }
        let row = self.row_mut(rsc);
        let old = slot(row, node).map(|s| s.score);
        if old.is_none() {
            put(row, node, from);
        }
        let mut new = 0;
        if let Some(cell) = slot_mut(row, node) {
            cell.score = add_scores(cell.score, score);
            new = cell.score;
        }
        self.note(rsc, node, cause, old, new);
    }

    /// Adds a score on one node, or on all.
    pub(crate) fn location(&mut self, rsc: RscIx, node: Option<NodeIx>, score: i32, cause: &'static str) {
        let cause = Str::lit(cause);
        match node {
            Some(node) => {
                let base = self.nodes[node].base;
                self.node_score(rsc, node, base, score, &cause);
            }
            None if self.rscs[rsc].children.is_empty() && self.rscs[rsc].allowed.is_empty() => {
                self.fill_row(rsc, score, &cause);
            }
            None => {
                for node in self.node_order.clone() {
                    let base = self.nodes[node].base;
                    self.node_score(rsc, node, base, score, &cause);
                }
            }
        }
        if node.is_none() && score == -base::INFINITY {
            self.rscs[rsc].assigned = None;
        }
    }

    /// As [`Cluster::node_score`] for each node, where nothing was said before: most resources begin so.
    fn fill_row(&mut self, rsc: RscIx, score: i32, cause: &Str) {
        let is_default = *cause == SYMMETRIC_DEFAULT;
        let skip_all = is_default && self.rscs[rsc].is(rf::EXCLUSIVE_PROBES);
        let mut row = std::mem::take(self.row_mut(rsc));
        row.reserve(self.nodes.len());
        for node in self.node_order.clone() {
            let base = self.nodes[node].base;
            if skip_all || (is_default && base.probe == ProbeMode::Never) {
                continue;
            }
            let score = add_scores(base.score, score);
            put(&mut row, node, Slot { score, ..base });
            self.note(rsc, node, cause, None, score);
        }
        *self.row_mut(rsc) = row;
    }

    /// The row that instances of a collective share with their parent.
    pub(crate) fn top_slot(&self, rsc: RscIx, node: NodeIx) -> Option<Slot> {
        let holder = self.rscs[rsc].parent.unwrap_or(rsc);
        slot(&self.rscs[holder].allowed, node).copied()
    }

    pub(crate) fn top_slot_mut(&mut self, rsc: RscIx, node: NodeIx) -> Option<&mut Slot> {
        let holder = self.rscs[rsc].parent.unwrap_or(rsc);
        slot_mut(self.row_mut(holder), node)
    }

    /// Every node with its base score, as a row.
    pub(crate) fn full_row(&self) -> Row {
        let mut row = Row::new();
        for node in self.nodes.indices() {
            put(&mut row, node, self.nodes[node].base);
        }
        row
    }

    pub(crate) fn show_scores(&mut self, rsc: RscIx, stage: &'static str) {
        if !self.opts.scores || self.rscs[rsc].is(rf::REMOVED) {
            return;
        }
        for node in &self.node_order {
            if let Some(cell) = slot(&self.rscs[rsc].allowed, *node) {
                self.lines.push(Line::Score {
                    stage,
                    rsc: self.rscs[rsc].id.clone(),
                    node: self.nodes[*node].name.clone(),
                    score: cell.score,
                });
            }
        }
        for child in self.rscs[rsc].children.clone() {
            self.show_scores(child, stage);
        }
    }
}

/// Sum of two scores, with the rules of infinity.
pub fn add_scores(a: i32, b: i32) -> i32 {
    const MAX: i32 = base::INFINITY;
    if a <= -MAX || b <= -MAX {
        -MAX
    } else if a >= MAX || b >= MAX {
        MAX
    } else {
        (a + b).clamp(-MAX, MAX)
    }
}
