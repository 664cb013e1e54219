//! Probes: finding out what is already running where.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{Str, op_key};
use std::cmp::Ordering as Cmp;

/// Expected exit status of probes.
const NOT_RUNNING: i32 = 7;
const PROMOTED: i32 = 8;

impl Cluster {
    pub(crate) fn schedule_probes(&mut self) {
        self.make_room_for_probes();
        for node in self.node_order.clone() {
            if !self.nodes[node].online {
                if self.is_failed_remote(node) {
                    self.fence_node(node, "the connection is unrecoverable", false);
                }
                continue;
            }
            if self.nodes[node].unclean || !self.nodes[node].is(nf::PROBES_ALLOWED) {
                continue;
            }
            for rsc in self.top.clone() {
                self.create_probe(rsc, node);
            }
        }
    }

    /// A list that grows by and by is copied again and again, and these are the longest of all.
    fn make_room_for_probes(&mut self) {
        let online = self.nodes.iter().filter(|n| n.online).count();
        let mut all = 0;
        for rsc in self.rscs.iter_mut().filter(|r| r.variant == Variant::Primitive && r.parent.is_none()) {
            let unknown = online.saturating_sub(rsc.probed.iter().filter(|known| **known).count());
            rsc.actions.reserve(unknown);
            all += unknown;
        }
        self.actions.reserve(all);
    }

    fn create_probe(&mut self, rsc: RscIx, node: NodeIx) -> bool {
        match self.rscs[rsc].variant {
            Variant::Primitive | Variant::Group => self.probe_rsc(rsc, node),
            Variant::Clone => self.probe_clone(rsc, node),
            Variant::Bundle => self.probe_bundle(rsc, node),
        }
    }

    fn probe_rsc(&mut self, rsc: RscIx, node: NodeIx) -> bool {
        if !self.config.probe_resources {
            return false;
        }
        let r = &self.rscs[rsc];
        if self.nodes[node].is_remote
            && (r.any(rf::FENCE_DEVICE | rf::REMOTE_CONNECTION)
                || (self.is_guest(node) && self.contained_guest(rsc).is_some()))
        {
            return false;
        }
        if !r.children.is_empty() {
            let mut any = false;
            for child in r.children.clone() {
                any |= self.create_probe(child, node);
            }
            return any;
        }
        if (r.launcher.is_some() && !r.is(rf::REMOTE_CONNECTION)) || r.is(rf::REMOVED) || r.probed_on(node) {
            return false;
        }
        let top = self.uber_parent(rsc);
        let allowed = slot(&r.allowed, node).copied();
        let exclusive = r.is(rf::EXCLUSIVE_PROBES) || self.rscs[top].is(rf::EXCLUSIVE_PROBES);
        if exclusive && allowed.is_none_or(|a| a.probe != ProbeMode::Exclusive) {
            return false;
        }
        if allowed.unwrap_or(self.nodes[node].base).probe == ProbeMode::Never {
            return false;
        }
        if let Some(guest) = self.guest_launcher(node)
            && !self.guest_probeable(node, guest, top)
        {
            return false;
        }
        self.add_probe(rsc, node, top);
        true
    }

    /// Whether the guest behind a node stays up, so that something in it can be probed.
    fn guest_probeable(&mut self, node: NodeIx, guest: RscIx, top: RscIx) -> bool {
        let start = op_key(&self.rscs[top].id, "start", 0);
        let g = &self.rscs[guest];
        if g.role == Role::Stopped {
            if g.assigned.is_some_and(|n| !g.probed_on(n)) {
                let probe = op_key(&g.id, "monitor", 0);
                self.new_ordering(
                    (Some(guest), Some(probe), None),
                    (Some(top), Some(start), None),
                    ar::ORDERED,
                );
            }
            return false;
        }
        let n = &self.nodes[node];
        let moves = g.role > Role::Stopped && g.assigned.is_some_and(|n| !g.active_nodes.contains(&n));
        if n.is(nf::REMOTE_RESET) || n.unclean || g.is(rf::FAILED) || g.next_role == Role::Stopped || moves {
            let stop = op_key(&g.id, "stop", 0);
            self.new_ordering((Some(guest), Some(stop), None), (Some(top), Some(start), None), ar::ORDERED);
            return false;
        }
        true
    }

    fn add_probe(&mut self, rsc: RscIx, node: NodeIx, top: RscIx) {
        let r = &self.rscs[rsc];
        let known = r.action_index.operations.iter().find(|op| op.probe).map(|op| op.key.clone());
        let key = known.unwrap_or_else(|| op_key(&r.id, "monitor", 0));
        let probe = self.custom_action(Some(rsc), key, Str::lit("monitor"), Some(node), false);
        self.actions[probe].flags &= !af::OPTIONAL;
        self.order_vs_unfencing(rsc, node, probe, ar::ORDERED);
        if !self.rscs[rsc].active_nodes.contains(&node) {
            self.expect_result(probe, NOT_RUNNING);
        } else if self.rscs[rsc].role == Role::Promoted {
            self.expect_result(probe, PROMOTED);
        }
        let top = if self.is_clone(top) { top } else { rsc };
        let mut flags = ar::ORDERED;
        if !self.actions[probe].is(af::RUNNABLE) && self.rscs[top].active_nodes.is_empty() {
            flags |= ar::UNRUNNABLE_FIRST_BLOCKS;
        }
        let next = ActIx::from(usize::from(probe) + 1);
        match self.orderings.last_mut() {
            Some(Ordering::Probes { end, flags: same, .. }) if *end == probe && *same == flags => *end = next,
            _ => self.orderings.push(Ordering::Probes { first: probe, end: next, flags }),
        }
    }

    fn probed_anywhere_in(&self, rsc: RscIx, node: NodeIx) -> bool {
        let r = &self.rscs[rsc];
        if r.children.is_empty() {
            return r.probed_on(node);
        }
        r.children.iter().any(|c| self.probed_anywhere_in(*c, node))
    }

    fn probe_clone(&mut self, clone: RscIx, node: NodeIx) -> bool {
        if self.rscs[clone].is(rf::EXCLUSIVE_PROBES) {
            let allowed = slot(&self.rscs[clone].allowed, node);
            if allowed.is_none_or(|a| a.probe != ProbeMode::Exclusive) {
                if let Some(cell) = slot_mut(self.row_mut(clone), node) {
                    cell.present = false;
                    let old = cell.score;
                    self.note_change(clone, node, &Str::lit("resource-discovery=never"), Some(old), None);
                }
                return false;
            }
        }
        self.sort_children_by_number(clone);
        let children = self.rscs[clone].children.clone();
        if self.rscs[clone].is(rf::UNIQUE) {
            let mut any = false;
            for child in children {
                any |= self.create_probe(child, node);
            }
            return any;
        }
        let probed = children.iter().copied().find(|c| self.probed_anywhere_in(*c, node));
        let assigned = || children.iter().copied().find(|c| self.place(*c, at::ASSIGNED) == Some(node));
        match probed.or_else(assigned).or(children.first().copied()) {
            Some(child) => self.create_probe(child, node),
            None => false,
        }
    }

    pub(crate) fn sort_children_by_number(&mut self, rsc: RscIx) {
        // They mostly are sorted: this is asked for on each node.
        if self.rscs[rsc].children.iter().map(|c| self.instance_number(*c)).is_sorted() {
            return;
        }
        let mut children = std::mem::take(&mut self.rscs[rsc].children);
        crate::text::merge_sort(&mut children, &mut |a, b| self.compare_numbers(a, b));
        self.rscs[rsc].children = children;
    }

    /// Orders instances by the number at the end of their id.
    pub(crate) fn compare_numbers(&self, a: RscIx, b: RscIx) -> Cmp {
        self.instance_number(a).cmp(&self.instance_number(b))
    }

    fn instance_number(&self, rsc: RscIx) -> i64 {
        let id = &self.rscs[rsc].id;
        let at = id.rfind(':').or_else(|| id.rfind('-'));
        at.and_then(|at| crate::text::parse_int(id.get(at + 1..)?)).unwrap_or(0)
    }

    fn probe_bundle(&mut self, bundle: RscIx, node: NodeIx) -> bool {
        let replicas = self.replicas(bundle);
        let single = self.max_per_node(bundle) == 1;
        let mut any = false;
        for replica in &replicas {
            if let Some(ip) = replica.ip {
                any |= self.create_probe(ip, node);
            }
            if let Some(child) = replica.child.filter(|_| replica.node == Some(node)) {
                any |= self.create_probe(child, node);
            }
            if self.create_probe(replica.container, node) {
                any = true;
                if single {
                    self.order_replicas_after_probe(&replicas, replica.container);
                }
            }
            if let Some(remote) = replica.remote
                && self.create_probe(remote, node)
            {
                let key = op_key(&self.rscs[remote].id, "monitor", 0);
                if let Some(probe) = self.first_action_by_key(remote, &key, Some(node)) {
                    any = true;
                    let start = op_key(&self.rscs[replica.container].id, "start", 0);
                    self.new_ordering(
                        (Some(replica.container), Some(start), None),
                        (Some(remote), None, Some(probe)),
                        ar::NESTED_REMOTE_PROBE,
                    );
                }
            }
        }
        any
    }

    fn order_replicas_after_probe(&mut self, replicas: &[Replica], probed: RscIx) {
        for other in replicas.iter().map(|r| r.container).filter(|c| *c != probed) {
            let probe = op_key(&self.rscs[probed].id, "monitor", 0);
            let start = op_key(&self.rscs[other].id, "start", 0);
            self.new_ordering(
                (Some(probed), Some(probe), None),
                (Some(other), Some(start), None),
                ar::ORDERED | ar::IF_ON_SAME_NODE,
            );
        }
    }

    // Orderings that come from probes

    pub(crate) fn order_probes(&mut self) {
        let leads = self.lead_to_restarts();
        for rsc in self.top.clone() {
            self.order_probes_of(rsc, &leads);
        }
        self.order_probes_before_stops();
    }

    /// Which actions a restart depends on, directly or through others: a walk along the orderings
    /// finds nothing from the others. (The orderings that the walks add are none that they follow.)
    fn lead_to_restarts(&self) -> Vec<bool> {
        let restarts = |action: &ActIx| {
            let a = &self.actions[*action];
            let ends = match &*a.task {
                "start" => "stop",
                "promote" => "demote",
                _ => return false,
            };
            let rsc = a.rsc.filter(|r| self.rscs[*r].variant == Variant::Primitive);
            rsc.is_some_and(|r| {
                let others = self.rscs[r].action_index.others.iter();
                others.map(|o| &self.actions[*o]).any(|o| !o.is(af::PSEUDO) && o.key.contains(ends))
            })
        };
        let mut leads = vec![false; self.actions.len()];
        let mut queue: Vec<ActIx> = self.actions.indices().filter(restarts).collect();
        while let Some(then) = queue.pop() {
            match leads.get_mut(usize::from(then)) {
                Some(cell) if !*cell => *cell = true,
                _ => continue,
            }
            let chained = self.actions[then].rsc;
            // An ordering without flags may have been switched off on this side only.
            let followed = |input: &&Related| {
                input.flags == ar::NONE
                    || input.flags & ar::FIRST_IMPLIES_THEN != 0
                    || (chained.is_some()
                        && self.actions[input.action]
                            .rsc
                            .is_some_and(|r| self.rscs[r].variant >= Variant::Group))
            };
            queue.extend(self.actions[then].before.iter().filter(followed).map(|input| input.action));
        }
        leads
    }

    fn order_probes_of(&mut self, rsc: RscIx, leads: &[bool]) {
        if self.rscs[rsc].variant != Variant::Primitive {
            for child in self.rscs[rsc].children.clone() {
                self.order_probes_of(child, leads);
            }
            return;
        }
        for probe in self.rsc_actions(rsc, None, "monitor", false) {
            let mut at = self.actions[probe].after.len();
            while at > 0 {
                at -= 1;
                let Some(then) = self.actions[probe].after.get(at).copied() else { continue };
                self.start_orderings_for_probe(probe, then);
                let mut marked = Vec::new();
                self.restart_orderings_for_probe(probe, then.action, leads, &mut marked);
                for action in marked {
                    self.actions[action].flags &= !af::DETECT_LOOP;
                }
            }
        }
    }

    fn start_orderings_for_probe(&mut self, probe: ActIx, after: Related) {
        let Some(after_rsc) = self.actions[after.action].rsc else { return };
        let Some(probe_rsc) = self.actions[probe].rsc else { return };
        if self.rscs[after_rsc].variant <= Variant::Group
            || self.actions[probe].is(af::RUNNABLE)
            || after.flags & ar::UNRUNNABLE_FIRST_BLOCKS != 0
            || self.top_of(probe_rsc, false) != after_rsc
            || self.actions[after.action].task != "start"
        {
            return;
        }
        for at in (0..self.actions[after.action].after.len()).rev() {
            let Some(then) = self.actions[after.action].after.get(at).copied() else { continue };
            let Some(rsc) = self.actions[then.action].rsc else { continue };
            if self.rscs[rsc].active_nodes.is_empty()
                && self.top_of(rsc, false) == after_rsc
                && self.actions[then.action].task == "start"
            {
                self.order_actions(probe, then.action, ar::ORDERED | ar::UNRUNNABLE_FIRST_BLOCKS);
            }
        }
    }

    fn restart_orderings_for_probe(
        &mut self,
        probe: ActIx,
        after: ActIx,
        leads: &[bool],
        marked: &mut Vec<ActIx>,
    ) {
        if leads.get(usize::from(after)) == Some(&false) {
            return;
        }
        let Some(probe_rsc) = self.actions[probe].rsc else { return };
        if self.rscs[probe_rsc].variant != Variant::Primitive
            || self.actions[probe].task != "monitor"
            || self.actions[after].is(af::DETECT_LOOP)
        {
            return;
        }
        self.actions[after].flags |= af::DETECT_LOOP;
        marked.push(after);
        let after_rsc = self.actions[after].rsc;
        if let Some(rsc) =
            after_rsc.filter(|r| self.rscs[*r].variant == Variant::Primitive && *r != probe_rsc)
        {
            let then = match &*self.actions[after].task {
                "start" => self.rsc_actions(rsc, None, "stop", false),
                "promote" => self.rsc_actions(rsc, None, "demote", false),
                _ => Vec::new(),
            };
            for then in then {
                if !self.actions[then].is(af::PSEUDO) {
                    self.order_actions(probe, then, ar::ORDERED);
                }
            }
        }
        let collective = after_rsc.filter(|r| self.rscs[*r].variant > Variant::Group);
        let interleave = collective.is_some_and(|r| self.meta_true(r, "interleave"));
        let compatible = match collective.filter(|_| interleave) {
            Some(rsc) => self.compatible_instance(probe_rsc, rsc, Role::Unknown, false, None),
            None => None,
        };
        for at in (0..self.actions[after].after.len()).rev() {
            let Some(then) = self.actions[after].after.get(at).copied() else { continue };
            if then.flags & ar::FIRST_IMPLIES_THEN == 0 {
                let (Some(rsc), Some(chained)) = (after_rsc, self.actions[then.action].rsc) else { continue };
                if self.rscs[rsc].variant < Variant::Group
                    || self.rscs[probe_rsc].parent == Some(rsc)
                    || self.rscs[chained].variant > Variant::Group
                    || self.rscs[chained].parent != Some(rsc)
                    || (collective.is_some() && interleave && compatible != Some(chained))
                {
                    continue;
                }
            }
            self.restart_orderings_for_probe(probe, then.action, leads, marked);
        }
    }

    fn order_probes_before_stops(&mut self) {
        let orderings = std::mem::take(&mut self.orderings);
        for ordering in &orderings {
            let Ordering::Ends(order) = ordering else { continue };
            let Some(first_rsc) = order.first_rsc.filter(|r| Some(*r) != order.then_rsc) else { continue };
            if order.flags == ar::NONE
                || (order.first.is_none() && order.first_task.is_none())
                || (order.then.is_none() && order.then_task.is_none())
            {
                continue;
            }
            let is_stop = |action: Option<ActIx>, task: &Option<Str>| match action {
                Some(action) => self.actions[action].task == "stop",
                None => task.as_ref().is_some_and(|t| t.ends_with("_stop_0")),
            };
            if !is_stop(order.first, &order.first_task) {
                continue;
            }
            if order.then_rsc.is_some()
                && self.rscs[first_rsc].launcher == order.then_rsc
                && is_stop(order.then, &order.then_task)
            {
                continue;
            }
            let mut flags = ar::ORDERED;
            flags |= order.flags & (ar::IF_FIRST_UNMIGRATABLE | ar::IF_ON_SAME_NODE);
            if order.flags == ar::IF_REQUIRED_ON_SAME_NODE || order.flags == ar::IF_ON_SAME_NODE_OR_TARGET {
                flags = order.flags;
            }
            let probes = self.rsc_actions(first_rsc, None, "monitor", false);
            if probes.is_empty() {
                continue;
            }
            let thens = match (order.then, order.then_rsc, &order.then_task) {
                (Some(then), ..) => vec![then],
                (None, Some(rsc), Some(task)) => self.find_actions(rsc, task, None),
                _ => Vec::new(),
            };
            for probe in probes {
                for then in &thens {
                    if self.probe_needed_before(probe, *then) {
                        self.order_actions(probe, *then, flags);
                    }
                }
            }
        }
        self.orderings = orderings;
    }

    fn probe_needed_before(&self, probe: ActIx, then: ActIx) -> bool {
        let (p, t) = (&self.actions[probe], &self.actions[then]);
        if t.task == "stonith"
            && p.node.is_some()
            && p.node == t.node
            && t.meta.get("stonith_action").is_some_and(|op| op.eq_ignore_ascii_case("on"))
        {
            return false;
        }
        !(t.task == "do_shutdown" && p.node.is_some() && t.node.is_some() && p.node != t.node)
    }
}
