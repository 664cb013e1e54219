//! Where resources are, in which role, and where they are going to be.

use crate::cluster::Cluster;
use crate::model::*;

impl Cluster {
    /// Whether a resource is active; with `all`, whether all of it is.
    pub fn is_active(&self, rsc: RscIx, all: bool) -> bool {
        let r = &self.rscs[rsc];
        match r.variant {
            Variant::Primitive => r.active_nodes.iter().any(|n| {
                let node = &self.nodes[*n];
                node.unclean || node.online || !r.is(rf::MANAGED)
            }),
            Variant::Group => {
                let active = r.children.iter().filter(|c| self.is_active(**c, all)).count();
                active > 0 && (!all || active == r.children.len())
            }
            Variant::Clone if all => r.children.iter().all(|c| self.is_active(*c, true)),
            Variant::Clone => r.children.iter().any(|c| self.is_active(*c, false)),
            Variant::Bundle => {
                let parts = r.bundle.iter().flat_map(|b| b.replicas.iter()).flat_map(|replica| {
                    [replica.ip, replica.child, Some(replica.container), replica.remote].into_iter().flatten()
                });
                for part in parts {
                    if self.is_active(part, all) != all {
                        return !all;
                    }
                }
                all
            }
        }
    }

    /// Current or next role.
    pub fn role_of(&self, rsc: RscIx, current: bool) -> Role {
        let r = &self.rscs[rsc];
        match r.variant {
            Variant::Primitive if current => r.role,
            Variant::Primitive => r.next_role,
            Variant::Bundle => Role::Unknown,
            _ => r.children.iter().map(|c| self.role_of(*c, current)).max().unwrap_or_default(),
        }
    }

    /// Nodes where a resource is, is going to be, or is being changed ([`at`]).
    pub fn places(&self, rsc: RscIx, place: u32) -> Vec<NodeIx> {
        let r = &self.rscs[rsc];
        let mut out: Vec<NodeIx> = Vec::new();
        if !r.children.is_empty() {
            for child in &r.children {
                for node in self.places(*child, place) {
                    if !out.contains(&node) {
                        out.push(node);
                    }
                }
            }
            return out;
        }
        if place & at::CURRENT != 0 {
            out.extend(&r.active_nodes);
        }
        if let Some(node) = r.pending_node.filter(|n| place & at::PENDING != 0 && !out.contains(n)) {
            out.push(node);
        }
        if let Some(node) = r.assigned.filter(|_| place & at::ASSIGNED != 0) {
            out.push(node);
        }
        out
    }

    /// The only place of a resource; `None` if there is none or more than one.
    pub fn place(&self, rsc: RscIx, place: u32) -> Option<NodeIx> {
        match self.places(rsc, place).as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// The node that counts as the one where a resource is active, with the number of all nodes
    /// where it is and of the clean ones among them.
    pub fn active_node(&self, rsc: RscIx) -> (Option<NodeIx>, u32, u32) {
        let r = &self.rscs[rsc];
        let nodes: Vec<NodeIx> = match (&r.bundle, r.variant) {
            (Some(bundle), Variant::Bundle) => {
                let active: Vec<RscIx> = bundle
                    .replicas
                    .iter()
                    .map(|replica| replica.container)
                    .filter(|c| !self.rscs[*c].active_nodes.is_empty())
                    .collect();
                if let [one] = active.as_slice() {
                    return self.active_node(*one);
                }
                let mut nodes = Vec::new();
                for node in active.iter().flat_map(|c| self.rscs[*c].active_nodes.iter()) {
                    if !nodes.contains(node) {
                        nodes.push(*node);
                    }
                }
                nodes
            }
            _ => r.active_nodes.clone(),
        };
        let (mut active, mut all, mut clean) = (None, 0, 0);
        let happy = |n: NodeIx| self.nodes[n].online && !self.nodes[n].unclean;
        for node in nodes {
            all += 1;
            clean += u32::from(happy(node));
            if let Some(source) = r.partial_source {
                if node == source {
                    active = Some(node);
                }
            } else if !r.is(rf::NEEDS_FENCING) && happy(node) && active.is_none_or(|a| !happy(a)) {
                active = Some(node);
            }
            active = active.or(Some(node));
        }
        (active, all, clean)
    }

    pub fn current_node(&self, rsc: RscIx) -> Option<NodeIx> {
        self.active_node(rsc).0
    }

    /// Number of nodes where a resource is active, of those that matter for what it requires.
    pub(crate) fn active_count(&self, rsc: RscIx) -> u32 {
        let (_, all, clean) = self.active_node(rsc);
        if self.rscs[rsc].is(rf::NEEDS_FENCING) { all } else { clean }
    }
}
