//! Notes that a resource is active on a node, with what follows when it is active on too many.

use crate::cluster::Cluster;
use crate::model::*;

impl Cluster {
    pub(crate) fn add_running(&mut self, rsc: RscIx, node: NodeIx, failed: bool) {
        if self.rscs[rsc].active_nodes.contains(&node) {
            return;
        }
        self.rscs[rsc].active_nodes.push(node);
        if self.rscs[rsc].variant == Variant::Primitive {
            self.nodes[node].running.push(rsc);
            self.add_node_priority(rsc, node, failed);
            if self.nodes[node].maintenance {
                self.rscs[rsc].flags &= !rf::MANAGED;
                self.rscs[rsc].flags |= rf::MAINTENANCE;
            }
        }
        let parent = self.rscs[rsc].parent;
        if !self.rscs[rsc].is(rf::MANAGED) {
            self.location(rsc, Some(node), base::INFINITY, "not_managed_default");
            let mut up = parent;
            while let Some(at) = up {
                self.rscs[at].active_nodes.push(node);
                up = self.rscs[at].parent;
            }
            return;
        }
        if self.rscs[rsc].variant == Variant::Primitive && self.active_count(rsc) > 1 {
            self.react_to_multiple(rsc);
        }
        if let Some(parent) = parent {
            self.add_running(parent, node, false);
        }
    }

    fn add_node_priority(&mut self, rsc: RscIx, node: NodeIx, failed: bool) {
        let r = &self.rscs[rsc];
        if r.priority == 0 || failed {
            return;
        }
        let priority = r.priority + i32::from(r.role == Role::Promoted);
        self.nodes[node].priority += priority;
        if let Some(launcher) = self.guest_launcher(node) {
            for host in self.rscs[launcher].active_nodes.clone() {
                self.nodes[host].priority += priority;
            }
        }
    }

    fn react_to_multiple(&mut self, rsc: RscIx) {
        match self.rscs[rsc].multiply_active {
            MultiplyActive::Stop => {
                let mut row = self.full_row();
                for cell in &mut row {
                    cell.score = -base::INFINITY;
                }
                self.replace_row(rsc, row, "multiple-active=stop_only");
            }
            MultiplyActive::Block => {
                self.block(rsc);
                let parent = self.rscs[rsc].parent.filter(|p| {
                    let p = &self.rscs[*p];
                    matches!(p.variant, Variant::Group | Variant::Bundle)
                        && p.multiply_active == MultiplyActive::Block
                });
                for sibling in parent.map(|p| self.rscs[p].children.clone()).unwrap_or_default() {
                    self.block(sibling);
                }
            }
            _ => {}
        }
    }

    fn block(&mut self, rsc: RscIx) {
        self.rscs[rsc].flags &= !rf::MANAGED;
        self.rscs[rsc].flags |= rf::BLOCKED;
    }
}
