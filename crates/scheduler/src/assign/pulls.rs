//! How strongly everything that follows a resource pulls it, added up once for each colocation.
//!
//! Followers have followers, so a chain of colocations would be walked to its end for each of its
//! resources. Mandatory colocations by node of plain resources only add up, in any order, as long as
//! no sum leaves the range of finite scores: for these, what is behind a colocation is remembered
//! until a score behind it changes. Anything else is walked.

use crate::cluster::Cluster;
use crate::fast_hash::FastMap;
use crate::model::*;
use std::sync::Arc;

/// What a colocation and all behind it add to the score of one node.
#[derive(Debug, Clone, Copy, Default)]
struct Pull {
    sum: i32,
    /// The negative summands, as a positive number.
    negative: i32,
    /// The absolute values of all summands.
    magnitude: i32,
    infinite: bool,
    minus_infinite: bool,
}

impl Pull {
    fn of(score: i32) -> Pull {
        if score <= -base::INFINITY {
            return Pull { minus_infinite: true, ..Pull::default() };
        }
        if score >= base::INFINITY {
            return Pull { infinite: true, ..Pull::default() };
        }
        Pull { sum: score, negative: (-score).max(0), magnitude: score.abs(), ..Pull::default() }
    }

    fn add(&mut self, other: &Pull) {
        self.sum = self.sum.saturating_add(other.sum);
        self.negative = self.negative.saturating_add(other.negative);
        self.magnitude = self.magnitude.saturating_add(other.magnitude);
        self.infinite |= other.infinite;
        self.minus_infinite |= other.minus_infinite;
    }

    /// Adds it to a score; `None` when the order of the summands may matter.
    fn apply(&self, score: i32) -> Option<i32> {
        if score <= -base::INFINITY || self.minus_infinite {
            return Some(-base::INFINITY);
        }
        if score >= base::INFINITY {
            return Some(base::INFINITY);
        }
        if score.abs().saturating_add(self.magnitude) >= base::INFINITY {
            return None;
        }
        Some(if self.infinite { base::INFINITY } else { score + self.sum })
    }
}

/// What was added up so far: by colocation, and whether it pulls or (reversed) pushes.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    /// Nothing: what is behind the colocation has to be walked.
    known: FastMap<(ColocIx, bool), Option<Arc<Vec<Pull>>>>,
}

impl Cluster {
    /// The scores of a resource, to change them.
    pub(crate) fn row_mut(&mut self, rsc: RscIx) -> &mut Row {
        if !self.pulls.known.is_empty() {
            self.forget_pulls(rsc);
        }
        self.rscs[rsc].allowed.change()
    }

    /// Forgets every sum that the scores of a resource are part of.
    fn forget_pulls(&mut self, rsc: RscIx) {
        let mut queue = vec![rsc];
        while let Some(rsc) = queue.pop() {
            // Sums are not kept for what nothing follows, but for what is in front of it.
            let last = self.rscs[rsc].with_this.is_empty();
            for at in 0..self.rscs[rsc].this_with.len() {
                let Some(colocation) = self.rscs[rsc].this_with.get(at).copied() else { continue };
                let mut known = false;
                for reversed in [false, true] {
                    let key = (colocation, reversed);
                    if self.pulls.known.get(&key).is_some_and(Option::is_some) {
                        self.pulls.known.remove(&key);
                        known = true;
                    }
                }
                if known || last {
                    queue.push(self.colocations[colocation].primary);
                }
            }
        }
    }

    /// Forgets everything: colocations were added.
    pub(crate) fn forget_all_pulls(&mut self) {
        self.pulls.known.clear();
    }

    /// The row of `primary` with all that a colocation pulls; `None` if that has to be walked.
    pub(super) fn pulled(&mut self, colocation: ColocIx, primary: RscIx) -> Option<Row> {
        let c = &self.colocations[colocation];
        if self.config.have_remote_nodes || self.rscs[c.dependent].with_this.is_empty() {
            return None;
        }
        let pulls = self.pulls_behind(colocation, c.score < 0)?;
        let row = &*self.rscs[primary].allowed;
        // Where no node would stay usable, the walk stops half-way.
        let stays = |node: NodeIx, cell: &Slot| {
            let pull = pulls.get(usize::from(node)).copied().unwrap_or_default();
            !pull.minus_infinite && cell.score >= pull.negative && self.node_up(node)
        };
        if !row_nodes(row).into_iter().any(|node| slot(row, node).is_some_and(|cell| stays(node, cell))) {
            return None;
        }
        let mut row = row.clone();
        for (cell, pull) in row.iter_mut().zip(pulls.iter()).filter(|(cell, _)| cell.present) {
            cell.score = pull.apply(cell.score)?;
        }
        Some(row)
    }

    fn pulls_behind(&mut self, colocation: ColocIx, reversed: bool) -> Option<Arc<Vec<Pull>>> {
        let key = (colocation, reversed);
        if let Some(known) = self.pulls.known.get(&key) {
            return known.clone();
        }
        // Should the walk come back here, there is a circle: not a sum.
        self.pulls.known.insert(key, None);
        let pulls = Arc::new(self.add_up(colocation, reversed)?);
        self.pulls.known.insert(key, Some(pulls.clone()));
        Some(pulls)
    }

    fn add_up(&mut self, colocation: ColocIx, reversed: bool) -> Option<Vec<Pull>> {
        let mut pulls = self.own_pull(colocation, reversed)?;
        let dependent = self.colocations[colocation].dependent;
        for next in self.with_this_colocations(dependent) {
            if !self.has_influence(next, None) {
                continue;
            }
            let c = &self.colocations[next];
            let reversed = reversed != (c.score < 0);
            if self.rscs[c.dependent].with_this.is_empty() {
                let own = self.own_pull(next, reversed)?;
                pulls.iter_mut().zip(&own).for_each(|(sum, pull)| sum.add(pull));
            } else {
                let behind = self.pulls_behind(next, reversed)?;
                pulls.iter_mut().zip(behind.iter()).for_each(|(sum, pull)| sum.add(pull));
            }
        }
        Some(pulls)
    }

    /// What the dependent of a colocation itself wants.
    fn own_pull(&self, colocation: ColocIx, reversed: bool) -> Option<Vec<Pull>> {
        let c = &self.colocations[colocation];
        let (d, p) = (&self.rscs[c.dependent], &self.rscs[c.primary]);
        let plain = |r: &Resource| r.variant == Variant::Primitive && r.parent.is_none();
        if !plain(d) || !plain(p) || c.node_attribute != "#uname" || c.score.abs() != base::INFINITY {
            return None;
        }
        let alone = reversed && self.allowed_on_one(c.dependent) && self.has_influence(colocation, None);
        let of = |node: NodeIx| {
            let score = match slot(&d.allowed, node) {
                Some(cell) if self.node_up(node) => cell.score,
                _ => -base::INFINITY,
            };
            match reversed {
                false => Pull::of(score),
                true if score < 0 && (!alone || p.stickiness >= -score) => Pull::default(),
                true => Pull::of(-score),
            }
        };
        Some(self.nodes.indices().map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_may_leave_the_range_are_refused() {
        let mut pull = Pull::of(600_000);
        pull.add(&Pull::of(-600_000));
        assert_eq!(pull.sum, 0);
        assert_eq!(pull.apply(0), None);
        assert_eq!(Pull::of(5).apply(7), Some(12));
        assert_eq!(Pull::of(-base::INFINITY).apply(7), Some(-base::INFINITY));
        assert_eq!(Pull::of(base::INFINITY).apply(-7), Some(base::INFINITY));
        assert_eq!(Pull::of(-5).apply(base::INFINITY), Some(base::INFINITY));
    }
}
