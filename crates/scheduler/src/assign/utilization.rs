//! Utilization: what resources need and nodes have.

use crate::cluster::{Cluster, Line, Placement};
use crate::model::*;
use crate::text::{Str, Table, parse_int};

/// An amount; what is no number is the least one, as with the reference.
fn value(text: Option<&str>) -> i32 {
    let number = text.map_or(0, |text| parse_int(text).unwrap_or(i64::from(i32::MIN)));
    number.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

fn add(table: &mut Table, amounts: &Table, sign: i64) {
    for (name, amount) in amounts.iter() {
        let sum = i64::from(value(table.get(name))) + sign * i64::from(value(Some(amount)));
        let sum = sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        table.set(name.clone(), sum.to_string());
    }
}

/// Amounts in the order in which the reference lists them.
pub(super) fn listed(amounts: &Table) -> Vec<(Str, Str)> {
    let all: Vec<(&Str, &Str)> = amounts.iter().collect();
    let ordered = crate::hash_order::order(&all, |(name, _)| name);
    ordered.into_iter().map(|(name, amount)| (name.clone(), amount.clone())).collect()
}

fn fits(capacity: &Table, needed: &Table) -> bool {
    needed.iter().all(|(name, amount)| value(Some(amount)) <= value(capacity.get(name)))
}

impl Cluster {
    /// Negative if the first node has more capacity, positive if it has less.
    pub(super) fn compare_capacities(&self, a: NodeIx, b: NodeIx) -> i32 {
        let (a, b) = (&self.nodes[a].utilization, &self.nodes[b].utilization);
        let mut result = 0;
        let mut count = |mine: i32, other: i32| result += i32::from(mine < other) - i32::from(mine > other);
        for (name, mine) in a.iter() {
            count(value(Some(mine)), value(b.get(name)));
        }
        for (_, other) in b.iter().filter(|(name, _)| !a.contains(name)) {
            count(0, value(Some(other)));
        }
        result
    }

    pub(super) fn consume_capacity(&mut self, node: NodeIx, rsc: RscIx) {
        if !self.rscs[rsc].utilization.is_empty() {
            add(&mut self.nodes[node].utilization, &self.rscs[rsc].utilization, -1);
        }
    }

    pub(super) fn release_capacity(&mut self, node: NodeIx, rsc: RscIx) {
        if !self.rscs[rsc].utilization.is_empty() {
            add(&mut self.nodes[node].utilization, &self.rscs[rsc].utilization, 1);
        }
    }

    fn add_utilization(&self, rsc: RscIx, all: &[RscIx], sum: &mut Table) {
        let r = &self.rscs[rsc];
        if !r.is(rf::UNASSIGNED) {
            return;
        }
        match r.variant {
            Variant::Primitive => add(sum, &r.utilization, 1),
            Variant::Group => {
                let in_clone = r.parent.is_some_and(|p| self.is_clone(p));
                let count = if self.group_colocated(rsc) || in_clone { r.children.len() } else { 1 };
                for member in r.children.iter().take(count) {
                    if self.rscs[*member].is(rf::UNASSIGNED) && !all.contains(member) {
                        self.add_utilization(*member, all, sum);
                    }
                }
            }
            Variant::Clone => {
                let mut existing = false;
                for child in &r.children {
                    if all.contains(child) {
                        existing = true;
                    } else if self.rscs[*child].children.iter().any(|m| all.contains(m)) {
                        self.add_utilization(*child, all, sum);
                        existing = true;
                    }
                }
                if let Some(first) = r.children.first().filter(|_| !existing) {
                    self.add_utilization(*first, all, sum);
                }
            }
            Variant::Bundle => {
                if let Some(container) = self.containers(rsc).first() {
                    self.add_utilization(*container, all, sum);
                }
            }
        }
    }

    /// Bans nodes that cannot hold a resource and all that has to be with it. If no node can hold
    /// all, the node with most capacity is returned, and only the resource itself counts.
    pub(super) fn ban_insufficient_capacity(&mut self, rsc: RscIx) -> Option<NodeIx> {
        if self.config.placement == Placement::Default {
            return None;
        }
        let mut together = Vec::new();
        self.colocated_resources(rsc, None, &mut together);
        together.reverse();
        if !together.contains(&rsc) {
            together.push(rsc);
        }
        let mut needed = Table::default();
        for other in &together {
            self.add_utilization(*other, &together, &mut needed);
        }
        let (mut any_capable, mut most) = (false, None);
        for node in self.hash_order(&self.rscs[rsc].allowed) {
            if !self.slot_up(&self.rscs[rsc].allowed, node) {
                continue;
            }
            any_capable |= fits(&self.nodes[node].utilization, &needed);
            if most.is_none_or(|m| self.compare_capacities(node, m) < 0) {
                most = Some(node);
            }
        }
        if !any_capable {
            needed = self.rscs[rsc].utilization.clone();
        }
        for node in row_nodes(&self.rscs[rsc].allowed) {
            if self.slot_up(&self.rscs[rsc].allowed, node) && !fits(&self.nodes[node].utilization, &needed) {
                self.location(rsc, Some(node), -base::INFINITY, "__limit_utilization__");
            }
        }
        if any_capable { None } else { most }
    }

    /// Nodes of a row in the order in which the reference's hash table lists them: where nodes are
    /// equally good, its decisions depend on it.
    pub(super) fn hash_order(&self, row: &Row) -> Vec<NodeIx> {
        crate::hash_order::order(&self.row_by_name(row), |node| &self.nodes[node].id)
    }

    pub(super) fn show_capacities(&mut self, stage: &'static str) {
        if !self.opts.utilization {
            return;
        }
        for node in self.node_order.clone() {
            if self.is_bundle_node(node) {
                continue;
            }
            let n = &self.nodes[node];
            let values = listed(&n.utilization);
            self.lines.push(Line::Capacity { stage, node: n.name.clone(), values });
        }
    }
}
