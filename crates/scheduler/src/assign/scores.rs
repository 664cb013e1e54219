//! How far resources pull those they are colocated with towards the nodes they prefer.

use crate::cluster::{Cluster, add_scores};
use crate::model::*;
use crate::text::Str;

/// Follow the colocations of the source with others; without it, those of others with the source.
pub(crate) const THIS_WITH: u32 = 1;
/// Do not let a node's score drop below zero because of a colocated resource.
pub(crate) const NONNEGATIVE: u32 = 1 << 1;
/// Ignore resources that can run nowhere.
pub(crate) const ACTIVE: u32 = 1 << 2;

/// Work that one decision spends on walks along colocations, in scores looked at. Circles have so many
/// ways through them that walking all would not end; the reference tries nevertheless.
const WALK_WORK: u64 = 100_000_000;

/// Work of a step of such a walk, beside a score for each node.
const STEP_WORK: u64 = 16;

/// Marks a node whose score would have become negative.
const WOULD_BE_NEGATIVE: i32 = base::INFINITY * -100;

impl Cluster {
    /// Value of a node attribute as a colocation sees it.
    pub(crate) fn colocation_attr(&self, node: NodeIx, attr: &str, rsc: RscIx) -> Option<Str> {
        if !self.config.have_remote_nodes {
            return self.nodes[node].attrs.get(attr).cloned();
        }
        let bundled_child = || {
            self.is_bundle_node(node)
                && self.is_bundled(rsc)
                && self.bundle_of(rsc).and_then(|b| b.child) == Some(self.top_of(rsc, false))
        };
        let target = if bundled_child() {
            Some("host")
        } else {
            self.rscs[rsc].meta.get("container-attribute-target")
        };
        self.node_attr(node, attr, target, at::ASSIGNED)
    }

    pub(crate) fn has_influence(&self, colocation: ColocIx, rsc: Option<RscIx>) -> bool {
        let c = &self.colocations[colocation];
        let r = &self.rscs[rsc.unwrap_or(c.primary)];
        if self.rscs[c.dependent].is(rf::REMOTE_NESTING_ALLOWED)
            && !r.is(rf::FAILED)
            && r.active_nodes.len() == 1
        {
            return false;
        }
        c.influence || r.active_nodes.is_empty()
    }

    /// The row of a resource; for a later member of a group that is itself colocated explicitly,
    /// with what the group's location constraints say.
    fn row_for_matching(&mut self, colocation: Option<ColocIx>, rsc: RscIx) -> Row {
        let row = (*self.rscs[rsc].allowed).clone();
        let Some(c) = colocation.map(|c| &self.colocations[c]) else { return row };
        let Some(parent) = self.rscs[rsc].parent.filter(|p| self.is_group(Some(*p))) else { return row };
        if rsc != c.dependent || !c.explicit || self.rscs[parent].children.first() == Some(&rsc) {
            return row;
        }
        let trail = std::mem::take(&mut self.opts.trail);
        for location in self.locations.indices().rev() {
            if self.locations[location].rsc == parent {
                let location = self.locations[location].clone();
                self.apply_location(rsc, &location);
            }
        }
        self.opts.trail = trail;
        std::mem::replace(self.row_mut(rsc), row)
    }

    fn best_matching(&self, row: &Row, rsc: RscIx, attr: &str, value: Option<&str>, node: NodeIx) -> i32 {
        if attr == "#uname" && !self.config.have_remote_nodes {
            return match slot(row, node) {
                Some(cell) if self.node_up(node) => cell.score.max(-base::INFINITY),
                _ => -base::INFINITY,
            };
        }
        let mut best = -base::INFINITY;
        for node in row_nodes(row) {
            let score = slot(row, node).map_or(best, |s| s.score);
            if score > best && self.node_up(node) {
                let own = self.colocation_attr(node, attr, rsc);
                if same_value(own.as_deref(), value) {
                    best = score;
                }
            }
        }
        best
    }

    pub(super) fn allowed_on_one(&self, rsc: RscIx) -> bool {
        self.rscs[rsc].allowed.iter().filter(|s| s.present && s.score >= 0).count() == 1
    }

    fn add_matching(
        &mut self,
        work: &mut Row,
        source: RscIx,
        target: RscIx,
        colocation: ColocIx,
        factor: f32,
        positive: bool,
    ) {
        let attr = self.colocations[colocation].node_attribute.clone();
        let (primary, dependent) =
            (self.colocations[colocation].primary, self.colocations[colocation].dependent);
        let row = self.row_for_matching(Some(colocation), source);
        let by_name = attr == "#uname" && !self.config.have_remote_nodes;
        for node in row_nodes(work) {
            // By name, a node is its own match: no value is needed.
            let value = if by_name { None } else { self.colocation_attr(node, &attr, target) };
            let score = self.best_matching(&row, source, &attr, value.as_deref(), node);
            if factor < 0.0
                && score < 0
                && (self.rscs[primary].stickiness >= -score
                    || !self.has_influence(colocation, None)
                    || !self.allowed_on_one(dependent))
            {
                continue;
            }
            let Some(cell) = slot_mut(work, node) else { continue };
            if cell.score == WOULD_BE_NEGATIVE {
                continue;
            }
            let product = factor * score as f32;
            let half = if product < 0.0 { -0.5 } else { 0.5 };
            let mut delta = (f64::from(product) + half) as i32;
            if delta == 0 && score != 0 {
                delta = if factor > 0.0 { 1 } else { -i32::from(factor < 0.0) };
            }
            let new = add_scores(delta, cell.score);
            if positive && new < 0 && cell.score > 0 {
                cell.score = WOULD_BE_NEGATIVE;
            } else if !(positive && new < 0 && cell.score == 0) {
                cell.score = new;
            }
        }
    }

    /// Adds to `nodes` what `source` and all that is colocated with it prefer.
    pub(crate) fn add_colocated_scores(
        &mut self,
        source: RscIx,
        target: Option<RscIx>,
        nodes: &mut Option<Row>,
        colocation: Option<ColocIx>,
        factor: f32,
        flags: u32,
    ) {
        if self.rscs[source].is(rf::UPDATING_NODES) {
            return;
        }
        // So far behind finite scores that nothing is left of them.
        if factor == 0.0 && nodes.is_some() && flags & NONNEGATIVE == 0 {
            return;
        }
        let work = self.nodes.len() as u64 + STEP_WORK;
        if self.walked > WALK_WORK && colocation.is_some_and(|c| !self.is_direct(c, target, flags)) {
            return;
        }
        self.walked += work;
        if self.walked > WALK_WORK && self.walked - work <= WALK_WORK {
            self.warn(
                "Too many colocations depend on each other: only direct ones are considered from now on",
            );
        }
        self.rscs[source].flags |= rf::UPDATING_NODES;
        if self.rscs[source].variant == Variant::Group {
            let members = &self.rscs[source].children;
            let member = if nodes.is_none() { members.last() } else { members.first() };
            if let Some(member) = member.copied() {
                self.add_colocated_scores(member, target, nodes, colocation, factor, flags);
            }
        } else {
            self.add_scores_of(source, target, nodes, colocation, factor, flags);
        }
        self.rscs[source].flags &= !rf::UPDATING_NODES;
    }

    fn add_scores_of(
        &mut self,
        source: RscIx,
        target: Option<RscIx>,
        nodes: &mut Option<Row>,
        colocation: Option<ColocIx>,
        factor: f32,
        flags: u32,
    ) {
        let (mut work, target) = match (nodes.as_ref(), target, colocation) {
            (Some(row), Some(target), Some(colocation)) => {
                let mut work = row.clone();
                self.add_matching(&mut work, source, target, colocation, factor, flags & NONNEGATIVE != 0);
                (work, target)
            }
            _ => ((*self.rscs[source].allowed).clone(), source),
        };
        if self.any_up(&work) {
            let this_with = flags & THIS_WITH != 0;
            let list = if this_with {
                self.this_with_colocations(source)
            } else {
                self.with_this_colocations(source)
            };
            for next in list {
                let c = &self.colocations[next];
                let other_factor = factor * c.score as f32 / base::INFINITY as f32;
                let other = if this_with {
                    c.primary
                } else if self.has_influence(next, None) {
                    c.dependent
                } else {
                    continue;
                };
                let mut row = Some(work);
                self.add_colocated_scores(
                    other,
                    Some(target),
                    &mut row,
                    Some(next),
                    other_factor,
                    flags | ACTIVE,
                );
                work = row.unwrap_or_default();
            }
        } else if flags & ACTIVE != 0 {
            return;
        }
        if flags & NONNEGATIVE != 0 {
            for cell in work.iter_mut().filter(|c| c.present && c.score == WOULD_BE_NEGATIVE) {
                cell.score = 1;
            }
        }
        *nodes = Some(work);
    }

    /// Whether a colocation is one of the resource's own that is looked at.
    fn is_direct(&self, colocation: ColocIx, target: Option<RscIx>, flags: u32) -> bool {
        let c = &self.colocations[colocation];
        target.is_some_and(|t| t == if flags & THIS_WITH != 0 { c.dependent } else { c.primary })
    }

    /// Lets the dependent of a colocation pull its primary.
    pub(crate) fn add_dependent_scores(&mut self, colocation: ColocIx, primary: RscIx) {
        if !self.has_influence(colocation, None) {
            return;
        }
        let flags = if self.is_clone(primary) { ACTIVE | NONNEGATIVE } else { ACTIVE };
        self.pull(colocation, primary, flags);
    }

    pub(crate) fn pull(&mut self, colocation: ColocIx, primary: RscIx, flags: u32) {
        let c = &self.colocations[colocation];
        let (dependent, factor) = (c.dependent, c.score as f32 / base::INFINITY as f32);
        let mut row = if flags == ACTIVE { self.pulled(colocation, primary) } else { None };
        if row.is_none() {
            row = Some((*self.rscs[primary].allowed).clone());
            self.add_colocated_scores(dependent, Some(primary), &mut row, Some(colocation), factor, flags);
        }
        let old = std::mem::replace(self.row_mut(primary), row.unwrap_or_default());
        self.note_changes(primary, &old, colocation);
    }

    pub(crate) fn note_changes(&mut self, rsc: RscIx, old: &Row, colocation: ColocIx) {
        if !self.opts.trail {
            return;
        }
        let cause = self.colocations[colocation].id.clone();
        self.note_row(rsc, old, &cause);
    }
}

pub(crate) fn same_value(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        (None, None) => true,
        _ => false,
    }
}
