//! Nodes of actions that were only named by constraints.
//!
//! An ordering may name an action that nobody needs; it then exists without a node. The reference
//! gives such actions the node on which it looks for them when it lists what each resource does,
//! just before the graph is made. Only drawings show the difference.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::op_key;

impl Cluster {
    /// Gives actions without a node the node where their resource would do them.
    pub(crate) fn settle_action_nodes(&mut self) {
        for rsc in self.top.clone() {
            self.settle(rsc);
        }
    }

    fn settle(&mut self, rsc: RscIx) {
        if self.rscs[rsc].variant == Variant::Bundle {
            for replica in self.replicas(rsc) {
                let parts = [replica.ip, Some(replica.container), replica.remote, replica.child];
                parts.into_iter().flatten().for_each(|part| self.settle(part));
            }
            return;
        }
        if !self.rscs[rsc].children.is_empty() {
            for child in self.rscs[rsc].children.clone() {
                self.settle(child);
            }
            return;
        }
        let r = &self.rscs[rsc];
        let loose = r.actions.iter().any(|a| self.actions[*a].node.is_none());
        let next = r.assigned;
        let current = if r.active_nodes.is_empty() { None } else { self.current_node(rsc) };
        if loose && r.is(rf::MANAGED) && (current.is_some() || next.is_some()) {
            self.settle_primitive(rsc, current, next);
        }
    }

    fn settle_primitive(&mut self, rsc: RscIx, current: Option<NodeIx>, next: Option<NodeIx>) {
        let start = self.rsc_actions(rsc, next, "start", false).first().copied();
        let starts = start.is_some_and(|a| self.actions[a].is(af::RUNNABLE));
        let stop = self.rsc_actions(rsc, current.filter(|_| starts), "stop", false).first().copied();
        self.rsc_actions(rsc, next, "promote", false);
        self.rsc_actions(rsc, next, "demote", false);
        let r = &self.rscs[rsc];
        let role = if current.is_some() && r.role == Role::Stopped { Role::Started } else { r.role };
        if role == r.next_role {
            self.rsc_actions(rsc, next, "migrate_from", false);
        } else if stop.is_some() && (r.next_role == Role::Stopped || (start.is_some() && !starts)) {
            let key = op_key(&r.id, "stop", 0);
            for node in r.active_nodes.clone() {
                self.find_actions(rsc, &key, Some(node));
            }
        }
    }
}
