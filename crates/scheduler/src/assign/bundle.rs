//! Assignment of bundles: containers first, then what belongs to each of them.

use crate::cluster::{Cluster, add_scores};
use crate::model::*;
use crate::text::merge_sort;

/// How often a bundle is assigned while it is being assigned.
const MOST_NESTED: u32 = 4;

impl Cluster {
    pub(super) fn assign_bundle(
        &mut self,
        bundle: RscIx,
        prefer: Option<NodeIx>,
        stop_if_fail: bool,
    ) -> Option<NodeIx> {
        if !self.enter_bundle(bundle) {
            return None;
        }
        self.rscs[bundle].flags |= rf::ASSIGNING;
        self.show_scores(bundle, "pcmk__bundle_assign");
        let mut containers = self.containers(bundle);
        merge_sort(&mut containers, &mut |a, b| self.compare_instances(a, b));
        let (max, per_host) =
            self.rscs[bundle].bundle.as_ref().map_or((0, 1), |b| (b.replicas_total, b.replicas_per_host));
        self.assign_instances(bundle, &containers, max, per_host);
        for replica in self.replicas(bundle) {
            self.assign_replica(&replica, prefer, stop_if_fail);
        }
        let child = self.rscs[bundle].bundle.as_ref().and_then(|b| b.child);
        if let Some(child) = child {
            let own: Vec<NodeIx> = self.replicas(bundle).iter().filter_map(|r| r.node).collect();
            for node in row_nodes(&self.rscs[child].allowed) {
                let score = if own.contains(&node) { 0 } else { -base::INFINITY };
                self.set_score(child, node, score, "inside its bundle only");
            }
            self.assign(child, prefer, stop_if_fail);
        }
        self.rscs[bundle].flags &= !(rf::ASSIGNING | rf::UNASSIGNED);
        if let Some(data) = &mut self.rscs[bundle].bundle {
            data.nested = data.nested.saturating_sub(1);
        }
        None
    }

    /// Whether a bundle may be assigned once more. It may while it is being assigned, for what it
    /// contains; with a colocation of it with what it contains the reference never comes back.
    fn enter_bundle(&mut self, bundle: RscIx) -> bool {
        let Some(data) = &mut self.rscs[bundle].bundle else { return false };
        let may = data.nested < MOST_NESTED;
        data.nested += u32::from(may);
        may
    }

    fn assign_replica(&mut self, replica: &Replica, prefer: Option<NodeIx>, stop_if_fail: bool) {
        if let Some(ip) = replica.ip {
            self.assign(ip, prefer, stop_if_fail);
        }
        if let Some(remote) = replica.remote {
            let host = self.rscs[replica.container].assigned;
            if let Some(host) = host.filter(|h| self.nodes[*h].is_remote)
                && let Some(connection) = self.nodes[host].remote
            {
                self.late_colocation("#replica-remote-with-host-remote", remote, connection);
            }
            self.assign(remote, prefer, stop_if_fail);
        }
        let Some(child) = replica.child else { return };
        for node in row_nodes(&self.rscs[child].allowed) {
            let score = if Some(node) != replica.node {
                -base::INFINITY
            } else if self.threshold_reached(child, node).is_none() {
                base::INFINITY
            } else {
                continue;
            };
            self.set_score(child, node, score, "inside its replica only");
        }
        let Some(parent) = self.rscs[child].parent else { return };
        self.rscs[parent].flags |= rf::ASSIGNING;
        self.assign(child, replica.node, stop_if_fail);
        self.rscs[parent].flags &= !rf::ASSIGNING;
    }

    fn bundle_host(&self, node: NodeIx) -> Option<NodeIx> {
        if !self.is_bundle_node(node) {
            return Some(node);
        }
        self.place(self.guest_launcher(node)?, at::ASSIGNED)
    }

    fn compatible_container(&self, dependent: RscIx, bundle: RscIx) -> Option<RscIx> {
        let containers = self.containers(bundle);
        let on = |node: NodeIx| {
            containers.iter().copied().find(|c| self.instance_matches(*c, node, Role::Unknown, false, None))
        };
        let assigned = self.place(dependent, at::ASSIGNED);
        if let Some(host) = assigned.and_then(|n| self.bundle_host(n)) {
            return on(host);
        }
        let row = &self.rscs[dependent].allowed;
        self.sorted_nodes(row, None).into_iter().filter_map(|n| self.bundle_host(n)).find_map(on)
    }

    pub(super) fn colocate_with_bundle(
        &mut self,
        dependent: RscIx,
        bundle: RscIx,
        colocation: ColocIx,
    ) -> i32 {
        if self.rscs[bundle].is(rf::UNASSIGNED) {
            return 0;
        }
        let c = self.colocations[colocation].clone();
        if self.rscs[c.dependent].variant > Variant::Group {
            if let Some(container) = self.compatible_container(dependent, bundle) {
                return self.apply_coloc_score(dependent, container, colocation, true);
            }
            if c.score >= base::INFINITY {
                self.assign_to(dependent, None, true, true);
            }
            return 0;
        }
        let (mut delta, mut hosts) = (0, Vec::new());
        for replica in self.replicas(bundle) {
            let container = replica.container;
            if c.score < base::INFINITY {
                let one = self.apply_coloc_score(dependent, container, colocation, false);
                delta = add_scores(delta, one);
                continue;
            }
            let Some(host) = self.place(container, at::ASSIGNED) else { continue };
            if self.flag_recursive(container, rf::BLOCKED, true) {
                continue;
            }
            let promoted = replica.child.is_some_and(|r| self.rscs[r].next_role >= Role::Promoted);
            if c.primary_role < Role::Promoted || promoted {
                hosts.push((host, 0));
            }
        }
        if c.score >= base::INFINITY {
            self.intersect_nodes(dependent, &hosts, false, colocation);
        }
        delta
    }
}
