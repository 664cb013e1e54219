//! Comparison of nodes and of resources.

use crate::cluster::{Cluster, Placement};
use crate::fast_hash::FastMap;
use crate::model::*;
use crate::text::merge_sort;
use std::cmp::Ordering as Cmp;

impl Cluster {
    /// Sorts nodes, best first, by their scores in a row.
    pub(crate) fn sort_nodes(&self, nodes: &mut [NodeIx], row: &Row, active: Option<NodeIx>) {
        merge_sort(nodes, &mut |a, b| self.compare_nodes(a, b, row, active));
    }

    /// The nodes of a row, best first.
    pub(super) fn sorted_nodes(&self, row: &Row, active: Option<NodeIx>) -> Vec<NodeIx> {
        let mut nodes = match self.config.placement {
            // Capacities may be in a circle (more of one thing, less of another), so it counts in
            // which order the nodes were: the reference lists its table from the end.
            Placement::Balanced => self.hash_order(row).into_iter().rev().collect(),
            _ => row_nodes(row),
        };
        self.sort_nodes(&mut nodes, row, active);
        nodes
    }

    /// The first of [`Cluster::sorted_nodes`].
    pub(super) fn best_of(&self, row: &Row, active: Option<NodeIx>) -> Option<NodeIx> {
        if self.config.placement == Placement::Balanced {
            return self.sorted_nodes(row, active).first().copied();
        }
        // Any other order is a total one: one look at each node finds the first.
        let present = row.iter().enumerate().filter(|(_, cell)| cell.present);
        let mut nodes = present.map(|(at, _)| NodeIx::from(at));
        let first = nodes.next()?;
        Some(nodes.fold(first, |best, node| match self.compare_nodes(best, node, row, active) {
            Cmp::Greater => node,
            _ => best,
        }))
    }

    fn compare_nodes(&self, a: NodeIx, b: NodeIx, row: &Row, preferred: Option<NodeIx>) -> Cmp {
        let score = |node: NodeIx| match slot(row, node) {
            Some(cell) if self.node_up(node) => cell.score,
            _ => -base::INFINITY,
        };
        let order = score(b).cmp(&score(a));
        if order != Cmp::Equal {
            return order;
        }
        if self.config.placement != Placement::Minimal {
            if self.config.placement == Placement::Balanced {
                match self.compare_capacities(a, b) {
                    0 => {}
                    n if n < 0 => return Cmp::Less,
                    _ => return Cmp::Greater,
                }
            }
            let order = self.nodes[a].num_resources.cmp(&self.nodes[b].num_resources);
            if order != Cmp::Equal {
                return order;
            }
            if preferred == Some(a) {
                return Cmp::Less;
            }
            if preferred == Some(b) {
                return Cmp::Greater;
            }
        }
        self.nodes[a].name.as_bytes().cmp(self.nodes[b].name.as_bytes())
    }

    /// Sorts resources by priority, then by how much they want to stay and how well they fit.
    pub(super) fn sort_resources(&mut self) {
        let base_row: Row = self.full_row();
        let mut nodes = self.node_order.clone();
        self.sort_nodes(&mut nodes, &base_row, None);
        let mut top = self.top.clone();
        // Nothing is assigned yet: what a resource and its colocations want stays the same.
        let mut rows = FastMap::default();
        merge_sort(&mut top, &mut |a, b| self.compare_resources(a, b, &nodes, &mut rows));
        self.top = top;
    }

    fn wanted_row(&mut self, rsc: RscIx) -> Option<Row> {
        let mut row = None;
        self.add_colocated_scores(rsc, None, &mut row, None, 1.0, super::scores::THIS_WITH);
        row
    }

    fn compare_resources(
        &mut self,
        a: RscIx,
        b: RscIx,
        nodes: &[NodeIx],
        rows: &mut FastMap<RscIx, Option<Row>>,
    ) -> Cmp {
        let order = self.rscs[b].priority.cmp(&self.rscs[a].priority);
        if order != Cmp::Equal || nodes.is_empty() {
            return order;
        }
        for rsc in [a, b] {
            rows.entry(rsc).or_insert_with(|| self.wanted_row(rsc));
        }
        let row = |rsc: RscIx| rows.get(&rsc).and_then(Option::as_ref);
        let (row_a, row_b) = (row(a), row(b));
        let current = |this: &Cluster, rsc: RscIx| {
            (!this.rscs[rsc].active_nodes.is_empty()).then(|| this.current_node(rsc)).flatten()
        };
        let score = |row: Option<&Row>, node: Option<NodeIx>| {
            let cell = row.zip(node).and_then(|(row, node)| slot(row, node));
            cell.map_or(-base::INFINITY, |c| c.score)
        };
        let (here_a, here_b) = (current(self, a), current(self, b));
        let order = score(row_b, here_b).cmp(&score(row_a, here_a));
        if order != Cmp::Equal {
            return order;
        }
        for node in nodes {
            let order = score(row_b, Some(*node)).cmp(&score(row_a, Some(*node)));
            if order != Cmp::Equal {
                return order;
            }
        }
        Cmp::Equal
    }
}
