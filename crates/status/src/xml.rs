//! Status as XML, in the reference's element and attribute names.

use crate::sections::{self, RscHistory};
use crate::{Outside, Sections, Show, bundle, clone, nodes, resources};
use base::ExitCode;
use scheduler::text::{parse_int, parse_uint};
use scheduler::{Cluster, NoQuorum, NodeIx, Resource, RscIx, Variant, nf, rf};
use xml::{Document, NodeId};

/// Appends the wanted parts to an element.
pub fn xml(
    doc: &mut Document,
    parent: NodeId,
    cluster: &mut Cluster,
    show: &Show,
    wanted: &Sections,
    outside: &Outside,
) {
    if (wanted.bans || wanted.tickets) && cluster.locations.is_empty() {
        cluster.unpack_constraints();
    }
    let show = &show.without_tags(cluster);
    let histories = match wanted.operations || wanted.failcounts {
        true => sections::histories(cluster, show, wanted.operations),
        false => Vec::new(),
    };
    let mut out = Out { doc, cluster, show };
    out.summary(parent, wanted, outside);
    if wanted.nodes {
        out.nodes(parent);
    }
    if wanted.resources {
        out.resource_list(parent);
    }
    if wanted.attributes {
        out.attributes(parent);
    }
    if !histories.is_empty() {
        out.histories(parent, &histories, wanted.operations);
    }
    if wanted.failures {
        out.failures(parent);
    }
    if wanted.tickets {
        out.tickets(parent);
    }
    if wanted.bans {
        out.bans(parent);
    }
}

struct Out<'a> {
    doc: &'a mut Document,
    cluster: &'a Cluster,
    show: &'a Show,
}

fn flag(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

impl Out<'_> {
    fn add(&mut self, parent: NodeId, name: &str, attrs: &[(&str, &str)]) -> NodeId {
        self.doc.append_with(parent, name, attrs)
    }

    fn set(&mut self, at: NodeId, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.doc.set_attr(at, name, value);
        }
    }

    fn summary(&mut self, parent: NodeId, wanted: &Sections, outside: &Outside) {
        if !(wanted.stack || wanted.dc || wanted.times || wanted.counts || wanted.options) {
            return;
        }
        let at = self.doc.append(parent, "summary");
        if wanted.stack {
            let kind = sections::any_option(self.cluster, "cluster-infrastructure").unwrap_or("unknown");
            let stack = self.add(at, "stack", &[("type", kind)]);
            self.set(stack, "pacemakerd-state", outside.manager_word.as_deref());
        }
        if wanted.dc {
            self.dc(at);
        }
        if wanted.times {
            self.times(at, outside);
        }
        if wanted.counts {
            let (total, disabled, blocked) = sections::counts(self.cluster);
            let nodes = self.cluster.nodes.len().to_string();
            self.add(at, "nodes_configured", &[("number", &nodes)]);
            let (total, disabled, blocked) = (total.to_string(), disabled.to_string(), blocked.to_string());
            let attrs = [("number", &*total), ("disabled", &*disabled), ("blocked", &*blocked)];
            self.add(at, "resources_configured", &attrs);
        }
        if wanted.options {
            self.options(at);
        }
    }

    fn dc(&mut self, at: NodeId) {
        let cluster = self.cluster;
        let Some(dc) = cluster.dc else {
            self.add(at, "current_dc", &[("present", "false")]);
            return;
        };
        let n = &cluster.nodes[dc];
        let attrs = [
            ("present", "true"),
            ("version", sections::any_option(cluster, "dc-version").unwrap_or("")),
            ("name", &n.name),
            ("id", &n.id),
            ("with_quorum", flag(cluster.config.quorate)),
            ("mixed_version", flag(sections::is_mixed(cluster))),
        ];
        self.add(at, "current_dc", &attrs);
    }

    fn times(&mut self, at: NodeId, outside: &Outside) {
        let cluster = self.cluster;
        let now = sections::local_time(cluster, cluster.opts.now_s);
        let update = self.add(at, "last_update", &[("time", &now)]);
        self.set(update, "origin", outside.local_node.as_deref());
        let attr = |name: &str| cluster.doc.attr(cluster.doc.root(), name).unwrap_or("");
        let attrs = [
            ("time", attr("cib-last-written")),
            ("user", attr("update-user")),
            ("client", attr("update-client")),
            ("origin", attr("update-origin")),
        ];
        self.add(at, "last_change", &attrs);
    }

    fn options(&mut self, at: NodeId) {
        let config = &self.cluster.config;
        let policy = match config.no_quorum {
            NoQuorum::Freeze => "freeze",
            NoQuorum::Stop => "stop",
            NoQuorum::Demote => "demote",
            NoQuorum::Ignore => "ignore",
            NoQuorum::Fence => "fence",
        };
        let (timeout, delay) = (config.fence_timeout_ms.to_string(), config.priority_fencing_ms.to_string());
        let attrs = [
            ("fencing-enabled", flag(config.fencing_enabled)),
            ("fencing-timeout-ms", &timeout),
            ("symmetric-cluster", flag(config.symmetric)),
            ("no-quorum-policy", policy),
            ("maintenance-mode", flag(config.maintenance)),
            ("stop-all-resources", flag(config.stop_all)),
            ("priority-fencing-delay-ms", &delay),
            ("stonith-enabled", flag(config.fencing_enabled)),
            ("stonith-timeout-ms", &timeout),
        ];
        self.add(at, "cluster_options", &attrs);
    }

    fn nodes(&mut self, parent: NodeId) {
        let at = self.doc.append(parent, "nodes");
        for node in self.cluster.node_order.clone() {
            if self.show.node(self.cluster.node_name(node)) {
                self.node(at, node);
            }
        }
    }

    fn node(&mut self, parent: NodeId, node: NodeIx) {
        let cluster = self.cluster;
        let n = &cluster.nodes[node];
        let health = match nodes::health(cluster, node) {
            nodes::Health::Red => "red",
            nodes::Health::Yellow => "yellow",
            nodes::Health::Green => "green",
        };
        let at = self.add(parent, "node", &[("name", &n.name), ("id", &n.id), ("online", flag(n.online))]);
        let flags = [
            ("standby", n.is(nf::STANDBY)),
            ("standby_onfail", n.is(nf::FAIL_STANDBY)),
            ("maintenance", n.maintenance),
            ("pending", n.pending),
            ("unclean", n.unclean),
        ];
        for (name, value) in flags {
            self.set(at, name, Some(flag(value)));
        }
        self.set(at, "health", Some(health));
        self.set(at, "feature_set", nodes::feature_set(cluster, node));
        for (name, value) in [
            ("shutdown", n.shutdown),
            ("expected_up", n.is(nf::EXPECTED_UP)),
            ("is_dc", cluster.dc == Some(node)),
        ] {
            self.set(at, name, Some(flag(value)));
        }
        self.set(at, "resources_running", Some(&n.running.len().to_string()));
        self.set(at, "type", Some(if n.is_remote { "remote" } else { "member" }));
        if let Some(launcher) = cluster.guest_launcher(node) {
            self.set(at, "id_as_resource", Some(&cluster.rscs[launcher].id));
        }
        if self.show.by_node {
            let show = Show { rsc_only: true, ..self.show.clone() };
            let mut out = Out { doc: self.doc, cluster, show: &show };
            n.running.iter().for_each(|r| out.resource(at, *r));
        }
    }

    fn resource_list(&mut self, parent: NodeId) {
        let cluster = self.cluster;
        if self.show.by_node && !self.show.inactive {
            return;
        }
        let at = self.doc.append(parent, "resources");
        for rsc in cluster.top.iter().copied() {
            let (all, some) = (cluster.is_active(rsc, true), cluster.is_active(rsc, false));
            let hidden = (cluster.rscs[rsc].is(rf::REMOVED) && !all)
                || (self.show.by_node && all)
                || (!self.show.by_node && !some && !self.show.inactive)
                || resources::elsewhere(cluster, rsc, self.show);
            if !hidden {
                self.resource(at, rsc);
            }
        }
    }

    fn resource(&mut self, parent: NodeId, rsc: RscIx) {
        if resources::is_filtered(self.cluster, rsc, self.show, true) {
            return;
        }
        match self.cluster.rscs[rsc].variant {
            Variant::Primitive => self.primitive(parent, rsc),
            Variant::Bundle => self.bundle(parent, rsc),
            Variant::Group => self.group(parent, rsc),
            Variant::Clone => self.clone(parent, rsc),
        }
    }

    fn flags(&mut self, at: NodeId, r: &Resource, names: &[(&str, u64)]) {
        for (name, bit) in names {
            self.set(at, name, Some(flag(r.is(*bit))));
        }
    }

    fn primitive(&mut self, parent: NodeId, rsc: RscIx) {
        let cluster = self.cluster;
        let r = &cluster.rscs[rsc];
        let agent = resources::agent(cluster, rsc);
        let role = resources::shown_state(cluster, rsc, self.show);
        let attrs = [("id", &**cluster.printable_id(rsc)), ("resource_agent", &*agent), ("role", role)];
        let at = self.add(parent, "resource", &attrs);
        self.set(at, "target_role", r.meta.get("target-role"));
        self.set(at, "active", Some(flag(cluster.is_active(rsc, true))));
        let bits = [
            ("orphaned", rf::REMOVED),
            ("removed", rf::REMOVED),
            ("blocked", rf::BLOCKED),
            ("maintenance", rf::MAINTENANCE),
            ("managed", rf::MANAGED),
            ("failed", rf::FAILED),
            ("failure_ignored", rf::IGNORE_FAILURE),
        ];
        self.flags(at, r, &bits);
        self.set(at, "nodes_running_on", Some(&r.active_nodes.len().to_string()));
        let monitoring = self.show.pending && r.pending_action.as_deref() == Some("monitor");
        self.set(at, "pending", monitoring.then_some("Monitoring"));
        self.set(at, "locked_to", r.lock_node.map(|n| cluster.node_name(n)));
        self.set(at, "description", resources::description(cluster, rsc, self.show));
        for node in &r.active_nodes {
            let n = &cluster.nodes[*node];
            self.add(at, "node", &[("name", &n.name), ("id", &n.id), ("cached", flag(n.online))]);
        }
    }

    fn group(&mut self, parent: NodeId, rsc: RscIx) {
        let cluster = self.cluster;
        let r = &cluster.rscs[rsc];
        let members = resources::shown_members(cluster, rsc, self.show);
        let Some(first) = members.first() else { return };
        // As in the reference, members before the first one that is shown do not count.
        let count = r.children.iter().skip_while(|c| *c != first).count().to_string();
        let at = self.add(parent, "group", &[("id", &r.id), ("number_resources", &count)]);
        self.flags(at, r, &[("maintenance", rf::MAINTENANCE), ("managed", rf::MANAGED)]);
        self.set(at, "disabled", Some(flag(cluster.is_disabled(rsc))));
        self.set(at, "description", resources::description(cluster, rsc, self.show));
        members.into_iter().for_each(|c| self.resource(at, c));
    }

    fn clone(&mut self, parent: NodeId, rsc: RscIx) {
        let cluster = self.cluster;
        let r = &cluster.rscs[rsc];
        let whole = resources::names_self(cluster, rsc, self.show);
        let is_shown = |c: &RscIx| {
            !resources::elsewhere(cluster, *c, self.show)
                && !resources::is_filtered(cluster, *c, self.show, whole)
        };
        let shown: Vec<RscIx> = r.children.iter().copied().filter(is_shown).collect();
        if shown.is_empty() {
            return;
        }
        let at = self.add(parent, "clone", &[("id", &r.id)]);
        let bits = [
            ("multi_state", rf::PROMOTABLE),
            ("unique", rf::UNIQUE),
            ("maintenance", rf::MAINTENANCE),
            ("managed", rf::MANAGED),
        ];
        self.flags(at, r, &bits);
        self.set(at, "disabled", Some(flag(cluster.is_disabled(rsc))));
        self.flags(at, r, &[("failed", rf::FAILED), ("failure_ignored", rf::IGNORE_FAILURE)]);
        self.set(at, "target_role", clone::configured_role(cluster, rsc));
        self.set(at, "description", resources::description(cluster, rsc, self.show));
        let all = Show { only_rscs: Vec::new(), ..self.show.clone() };
        let mut out = Out { doc: self.doc, cluster, show: &all };
        shown.into_iter().for_each(|c| out.resource(at, c));
    }

    fn bundle(&mut self, parent: NodeId, rsc: RscIx) {
        let cluster = self.cluster;
        let r = &cluster.rscs[rsc];
        let Some(data) = &r.bundle else { return };
        let whole = resources::names_self(cluster, rsc, self.show);
        let parts = |replica| bundle::shown_parts(cluster, replica, whole, self.show);
        let local = data.replicas.iter().filter(|p| !resources::elsewhere(cluster, p.container, self.show));
        let shown: Vec<_> =
            local.map(|p| (p, parts(p))).filter(|(_, parts)| whole || !parts.is_empty()).collect();
        if shown.is_empty() {
            return;
        }
        let at = self.add(parent, "bundle", &[("id", &r.id), ("type", data.agent)]);
        self.set(at, "image", data.image.as_deref());
        let bits = [
            ("unique", rf::UNIQUE),
            ("maintenance", rf::MAINTENANCE),
            ("managed", rf::MANAGED),
            ("failed", rf::FAILED),
        ];
        self.flags(at, r, &bits);
        self.set(at, "description", resources::description(cluster, rsc, self.show));
        for (replica, parts) in shown {
            let place = self.add(at, "replica", &[("id", &replica.offset.to_string())]);
            parts.into_iter().for_each(|p| self.resource(place, p));
        }
    }

    fn attributes(&mut self, parent: NodeId) {
        let cluster = self.cluster;
        let mut list = None;
        for node in cluster.node_order.iter().copied() {
            let attrs = sections::shown_attributes(cluster, node);
            let name = cluster.node_name(node);
            if !cluster.nodes[node].online || attrs.is_empty() || !self.show.node(name) {
                continue;
            }
            let list = *list.get_or_insert_with(|| self.doc.append(parent, "node_attributes"));
            let at = self.add(list, "node", &[("name", name)]);
            for (name, value) in &attrs {
                let entry = self.add(at, "attribute", &[("name", name), ("value", value)]);
                let expected = sections::expected_score(cluster, node, name).map(|e| e.to_string());
                self.set(entry, "expected", expected.as_deref());
            }
        }
    }

    fn histories(&mut self, parent: NodeId, all: &[(NodeIx, Vec<RscHistory>)], operations: bool) {
        let list = self.doc.append(parent, "node_history");
        for (node, histories) in all.iter().filter(|(_, list)| !list.is_empty()) {
            let at = self.add(list, "node", &[("name", self.cluster.node_name(*node))]);
            for of in histories {
                let entry = self.add(
                    at,
                    "resource_history",
                    &[("id", &of.id), ("orphan", "false"), ("removed", "false")],
                );
                let threshold = self.cluster.rscs[of.rsc].migration_threshold.to_string();
                self.set(entry, "migration-threshold", Some(&threshold));
                let count = Some(of.fail_count.to_string()).filter(|_| of.fail_count > 0);
                self.set(entry, "fail-count", count.as_deref());
                let last = sections::local_time(self.cluster, of.last_failure_s);
                self.set(entry, "last-failure", Some(&*last).filter(|_| of.last_failure_s > 0));
                if operations {
                    of.ops.iter().for_each(|op| self.operation(entry, *op));
                }
            }
        }
    }

    fn operation(&mut self, parent: NodeId, op: NodeId) {
        let cluster = self.cluster;
        let attr = |name: &str| cluster.doc.attr(op, name);
        let rc = attr("rc-code").and_then(parse_int).unwrap_or(0) as i32;
        let at = self.doc.append(parent, "operation_history");
        self.set(at, "call", attr("call-id"));
        self.set(at, "task", Some(sections::op_task(cluster, op)));
        self.set(at, "rc", Some(&rc.to_string()));
        self.set(at, "rc_text", Some(ExitCode(rc).text()));
        let ms = |name: &str| attr(name).map(|value| format!("{value}ms"));
        self.set(at, "interval", ms("interval").filter(|i| i != "0ms").as_deref());
        if self.show.timing {
            let when = attr("last-rc-change").and_then(parse_int).filter(|t| *t > 0);
            self.set(at, "last-rc-change", when.map(|t| sections::local_time(cluster, t)).as_deref());
            self.set(at, "exec-time", ms("exec-time").as_deref());
            self.set(at, "queue-time", ms("queue-time").as_deref());
        }
    }

    fn failures(&mut self, parent: NodeId) {
        let failed = sections::shown_failures(self.cluster, self.show);
        if failed.is_empty() {
            return;
        }
        let list = self.doc.append(parent, "failures");
        for (op, node) in failed {
            self.failure(list, op, &node);
        }
    }

    fn failure(&mut self, list: NodeId, op: NodeId, node: &str) {
        let cluster = self.cluster;
        let attr = |name: &str| cluster.doc.attr(op, name);
        let number = |name: &str| attr(name).and_then(parse_int).unwrap_or(0);
        let key = if attr("operation_key").is_some() { "op_key" } else { "id" };
        let rc = number("rc-code") as i32;
        let at = self.add(list, "failure", &[(key, cluster.op_key_of(op)), ("node", node)]);
        self.set(at, "exitstatus", Some(ExitCode(rc).text()));
        self.set(at, "exitreason", Some(attr("exit-reason").unwrap_or("none")));
        self.set(at, "exitcode", Some(&rc.to_string()));
        self.set(at, "call", attr("call-id"));
        self.set(at, "status", Some(sections::status_text(number("op-status"))));
        if number("last-rc-change") > 0 {
            let when = cluster.opts.zone.time(number("last-rc-change"));
            self.set(at, "last-rc-change", Some(&when.zoned_text()));
            self.set(at, "queued", attr("queue-time"));
            self.set(at, "exec", attr("exec-time"));
            self.set(at, "interval", Some(&parse_uint(attr("interval")).to_string()));
            self.set(at, "task", attr("operation"));
        }
    }

    fn tickets(&mut self, parent: NodeId) {
        let cluster = self.cluster;
        if cluster.tickets.is_empty() {
            return;
        }
        let list = self.doc.append(parent, "tickets");
        for ticket in cluster.tickets.iter() {
            let status = if ticket.granted { "granted" } else { "revoked" };
            let attrs = [("id", &*ticket.id), ("status", status), ("standby", flag(ticket.standby))];
            let at = self.add(list, "ticket", &attrs);
            let last = (ticket.last_granted >= 0).then(|| sections::local_time(cluster, ticket.last_granted));
            self.set(at, "last-granted", last.as_deref());
        }
    }

    fn bans(&mut self, parent: NodeId) {
        let bans = sections::shown_bans(self.cluster, self.show);
        if bans.is_empty() {
            return;
        }
        let list = self.doc.append(parent, "bans");
        for (id, rsc, node, score, promoted) in bans {
            let (score, node) = (score.to_string(), self.cluster.node_name(node));
            let attrs = [
                ("id", &*id),
                ("resource", &*rsc),
                ("node", node),
                ("weight", &*score),
                ("promoted-only", flag(promoted)),
                ("master_only", flag(promoted)),
            ];
            self.add(list, "ban", &attrs);
        }
    }
}
