//! Bundles: containers, their addresses and connections, and what runs in them.

use crate::cluster::Cluster;
use crate::expand::ReplicaPlan;
use crate::model::*;
use crate::text::Str;
use std::sync::Arc;

impl Cluster {
    pub(super) fn unpack_bundle(&mut self, rsc: RscIx) -> bool {
        let Some(plan) = self.plans.get(&self.rscs[rsc].xml).cloned().filter(|p| !p.invalid) else {
            return false;
        };
        if !plan.unique {
            self.rscs[rsc].flags &= !rf::UNIQUE;
        }
        let mut data = BundleData {
            nested: 0,
            promoted_max: plan.promoted_max,
            replicas_total: plan.replicas,
            replicas_per_host: plan.per_host,
            image: plan.image.clone(),
            agent: plan.agent,
            child: None,
            replicas: Vec::new(),
        };
        let mut instances = Vec::new();
        if let Some(clone) = plan.clone {
            self.rscs[rsc].bundle = Some(Box::new(data.clone()));
            let Some(child) = self.unpack_rsc(clone, None, Some(rsc)) else { return false };
            data.child = Some(child);
            instances = self.rscs[child].children.clone();
            self.bundle_instances(rsc, child, &instances);
        }
        self.rscs[rsc].bundle = Some(Box::new(data));
        let count = if plan.clone.is_some() { instances.len() } else { plan.parts.len() };
        self.forget_hosts(&plan.parts, count);
        for (offset, part) in plan.parts.iter().take(count).enumerate() {
            if !self.unpack_replica(rsc, offset, part, instances.get(offset).copied()) {
                let id = self.rscs[rsc].id.clone();
                self.error(format!("Failed unpacking resource {id}"));
                return false;
            }
        }
        if let Some(child) = self.rscs[rsc].bundle.as_ref().and_then(|b| b.child) {
            self.rscs[rsc].children.push(child);
        }
        true
    }

    /// Takes the names of replicas that there are not out of what the others are told: an agent that
    /// cannot have several instances on a node limits their number to that of the nodes.
    fn forget_hosts(&mut self, parts: &[ReplicaPlan], count: usize) {
        let missing: String = parts.iter().skip(count).map(|part| part.host_option.as_str()).collect();
        if missing.is_empty() {
            return;
        }
        let doc = Arc::make_mut(&mut self.doc);
        for part in parts.iter().take(count) {
            let container = doc.element(part.container).descendants();
            let options = container.filter(|e| e.attr("name") == Some("run_opts")).last();
            let shorter = options.and_then(|e| Some((e.id(), e.attr("value")?.strip_suffix(&missing)?)));
            if let Some((pair, value)) = shorter.map(|(pair, value)| (pair, value.to_string())) {
                doc.set_attr(pair, "value", &value);
            }
        }
    }

    fn bundle_instances(&mut self, rsc: RscIx, child: RscIx, instances: &[RscIx]) {
        let mut target = None;
        for instance in instances {
            self.rscs[*instance].flags |= rf::EXCLUSIVE_PROBES;
            if self.rscs[*instance].is(rf::NOTIFY) {
                self.rscs[child].flags |= rf::NOTIFY;
            }
            target = self.rscs[*instance].meta.get_str("container-attribute-target");
        }
        if let Some(target) = target {
            for owner in [rsc, child] {
                self.rscs[owner].meta.set(Str::lit("container-attribute-target"), target.clone());
            }
        }
    }

    fn unpack_replica(
        &mut self,
        bundle: RscIx,
        offset: usize,
        part: &ReplicaPlan,
        child: Option<RscIx>,
    ) -> bool {
        let Some(container) = self.unpack_rsc(part.container, None, Some(bundle)) else { return false };
        self.rscs[container].flags |= rf::REPLICA_CONTAINER;
        self.rscs[bundle].children.push(container);
        let mut replica = Replica {
            offset: offset as i32,
            ipaddr: part.ipaddr.clone(),
            node: None,
            ip: None,
            child,
            container,
            remote: None,
        };
        if let Some(ip) = part.ip {
            let Some(ip) = self.unpack_rsc(ip, None, Some(bundle)) else { return false };
            self.rscs[bundle].children.push(ip);
            replica.ip = Some(ip);
        }
        if let (Some(xml), Some(name), Some(child)) = (part.remote, &part.remote_name, child) {
            let node = self.bundle_node(name);
            replica.node = Some(node);
            self.confine_to(child, node);
            let Some(remote) = self.unpack_rsc(xml, None, Some(bundle)) else { return false };
            for at in row_nodes(&self.rscs[remote].allowed) {
                if self.nodes[at].is_remote {
                    self.set_score(remote, at, -base::INFINITY, "never on remote nodes");
                }
            }
            self.nodes[node].remote = Some(remote);
            self.nodes[node].attrs.insert(Str::lit("#kind"), Str::lit("container"));
            self.rscs[remote].launcher = Some(container);
            self.rscs[remote].flags |= rf::REMOTE_NESTING_ALLOWED;
            self.rscs[bundle].children.push(remote);
            replica.remote = Some(remote);
        }
        if let Some(child) = child {
            if let Some(ip) = &replica.ipaddr {
                self.rscs[child].meta.set(Str::lit("external-ip"), ip.clone());
            }
            let of_child = std::mem::take(&mut self.rscs[child].utilization);
            let of_container = std::mem::replace(&mut self.rscs[container].utilization, of_child);
            self.rscs[child].utilization = of_container;
        }
        if let Some(data) = &mut self.rscs[bundle].bundle {
            data.replicas.push(replica);
        }
        true
    }

    /// The node that a replica's connection makes; no other resource may run there.
    fn bundle_node(&mut self, name: &Str) -> NodeIx {
        let node = match self.find_node(name) {
            Some(node) => node,
            None => self.create_node(name, name, true, -base::INFINITY),
        };
        self.nodes[node].base.score = -base::INFINITY;
        self.nodes[node].base.probe = ProbeMode::Never;
        for rsc in self.top.clone() {
            self.disallow(rsc, node);
        }
        node
    }

    fn disallow(&mut self, rsc: RscIx, node: NodeIx) {
        self.set_score(rsc, node, -base::INFINITY, "only its own resource in a bundle node");
        if let Some(cell) = slot_mut(self.row_mut(rsc), node) {
            cell.probe = ProbeMode::Never;
        }
        for child in self.rscs[rsc].children.clone() {
            self.disallow(child, node);
        }
    }

    fn confine_to(&mut self, child: RscIx, node: NodeIx) {
        let cell = Slot { score: 500, probe: ProbeMode::Exclusive, present: true, count: 0 };
        let mut row = Row::new();
        put(&mut row, node, cell);
        self.replace_row(child, row, "inside its replica only");
        if let Some(parent) = self.rscs[child].parent {
            let mut row = (*self.rscs[parent].allowed).clone();
            put(&mut row, node, Slot { score: -base::INFINITY, ..cell });
            self.replace_row(parent, row, "inside its replica only");
        }
    }
}
