//! The transition summary: what is going to happen to nodes and resources, and why.

use crate::record::Record;
use scheduler::text::op_key;
use scheduler::{ActIx, Action, Cluster, NodeIx, Role, RscIx, Variant, af, rf};

/// Width of the longest word for a change.
const CHANGE_WIDTH: usize = 8;

/// Least width of names, and of what happens to them.
const LEAST_WIDTH: usize = 5;

/// One line on a resource, before its columns are aligned.
struct Change {
    what: &'static str,
    rsc: String,
    details: String,
    reason: String,
    attrs: Vec<(&'static str, String)>,
}

/// The summary of a decision.
pub fn summary(cluster: &Cluster) -> Vec<Record> {
    let mut records: Vec<Record> =
        cluster.actions.indices().rev().filter_map(|a| node_line(cluster, a)).collect();
    let mut changes = Vec::new();
    for rsc in &cluster.top {
        Changes { cluster, out: &mut changes }.resource(*rsc);
    }
    // As the reference counts: each name that does not fit makes room for itself and two more.
    let ids =
        changes.iter().map(|c| c.rsc.len()).fold(LEAST_WIDTH, |w, len| if len > w { len + 2 } else { w });
    let details = changes.iter().map(|c| c.details.len()).fold(LEAST_WIDTH, usize::max);
    records.extend(changes.into_iter().map(|c| {
        let space = if c.reason.is_empty() { "" } else { "  " };
        let (what, rsc, text, reason) = (c.what, &c.rsc, &c.details, &c.reason);
        let text = format!("{what:<CHANGE_WIDTH$}   {rsc:<ids$}   ( {text:>details$} ){space}{reason}");
        let mut attrs = vec![("action", what.to_ascii_lowercase()), ("resource", rsc.clone())];
        attrs.extend(c.attrs);
        Record { text, element: "rsc_action", attrs, inside: Vec::new() }
    }));
    records
}

fn node_line(cluster: &Cluster, action: ActIx) -> Option<Record> {
    let a = &cluster.actions[action];
    if a.rsc.is_some() || a.is(af::OPTIONAL) {
        return None;
    }
    let task = match &*a.task {
        "do_shutdown" => "Shutdown".to_string(),
        "stonith" => format!("Fence ({})", a.meta.get("stonith_action").unwrap_or("(null)")),
        _ => return None,
    };
    let node = a.node?;
    let name = match cluster.guest_launcher(node) {
        Some(launcher) => format!("{} (resource: {})", cluster.node_name(node), cluster.rscs[launcher].id),
        None => cluster.node_name(node).to_string(),
    };
    // As in the reference, what has no reason is not listed.
    let reason = a.reason()?;
    let attrs = [("task", task.as_str()), ("node", &name), ("reason", reason)];
    Some(Record::new("node_action", format!("{task} {name} '{reason}'"), &attrs))
}

struct Changes<'a> {
    cluster: &'a Cluster,
    out: &'a mut Vec<Change>,
}

/// Where a resource is and is going to be.
#[derive(Clone, Copy)]
struct Move {
    rsc: RscIx,
    from: Option<NodeIx>,
    to: Option<NodeIx>,
}

impl Changes<'_> {
    fn resource(&mut self, rsc: RscIx) {
        let r = &self.cluster.rscs[rsc];
        if let Some(data) = r.bundle.as_ref().filter(|_| r.variant == Variant::Bundle) {
            for replica in &data.replicas {
                let parts = [replica.ip, Some(replica.container), replica.remote, replica.child];
                parts.into_iter().flatten().for_each(|part| self.resource(part));
            }
            return;
        }
        if !r.children.is_empty() {
            r.children.iter().for_each(|child| self.resource(*child));
            return;
        }
        let from = self.cluster.current_node(rsc).filter(|_| !r.active_nodes.is_empty());
        if from.is_none() && r.is(rf::REMOVED) {
            return;
        }
        // A stopped resource that is active somewhere counts as started.
        let role = if from.is_some() && r.role == Role::Stopped { Role::Started } else { r.role };
        let to = r.assigned;
        if r.is(rf::MANAGED) && (from.is_some() || to.is_some()) {
            self.primitive(Move { rsc, from, to }, role);
        }
    }

    /// The oldest action of a resource for a task on a node (anywhere if `None`).
    fn find(&self, rsc: RscIx, node: Option<NodeIx>, task: &str) -> Option<&Action> {
        let r = &self.cluster.rscs[rsc];
        let key = op_key(&r.id, task, 0);
        let actions = r.actions.iter().map(|ix| &self.cluster.actions[*ix]);
        let here = |a: &Action| node.is_none() || a.node.is_none() || a.node == node;
        actions.into_iter().find(|a| a.key == key && here(a))
    }

    fn primitive(&mut self, at: Move, role: Role) {
        let r = &self.cluster.rscs[at.rsc];
        let moving = at.from.is_some() && at.to.is_some() && at.from != at.to;
        let start = self.find(at.rsc, at.to, "start").cloned();
        let runnable = start.as_ref().is_some_and(|s| s.is(af::RUNNABLE));
        let mut stop = self.find(at.rsc, at.from.filter(|_| runnable), "stop");
        if stop.is_none() && r.is(rf::STOP_UNEXPECTED) {
            stop = self.find(at.rsc, None, "stop");
        }
        let stop = stop.cloned();
        if role == r.next_role {
            self.same_role(at, moving, start.as_ref(), stop.as_ref());
        } else {
            self.other_role(at, role, moving, start.as_ref(), stop.as_ref());
        }
    }

    fn same_role(&mut self, at: Move, moving: bool, start: Option<&Action>, stop: Option<&Action>) {
        let r = &self.cluster.rscs[at.rsc];
        let failed = r.is(rf::FAILED);
        let migrates =
            at.from.is_some() && self.find(at.rsc, at.to, "migrate_from").is_some_and(|m| m.is(af::RUNNABLE));
        if migrates {
            return self.add("Migrate", at, start, None);
        }
        if r.is(rf::RELOAD) {
            return self.add("Reload", at, start, None);
        }
        let Some(start) = start.filter(|s| !s.is(af::OPTIONAL)) else {
            return self.promoted_again(at);
        };
        if !start.is(af::RUNNABLE) {
            let reason = stop.filter(|s| s.reason().is_some()).unwrap_or(start);
            self.add("Stop", Move { to: None, ..at }, stop, Some(reason));
        } else if moving {
            self.add(if failed { "Recover" } else { "Move" }, at, stop, None);
        } else if failed {
            self.add("Recover", Move { to: None, ..at }, stop, None);
        } else {
            self.add("Restart", at, Some(start), None);
        }
    }

    fn promoted_again(&mut self, at: Move) {
        let promote = self.find(at.rsc, at.to, "promote").filter(|a| !a.is(af::OPTIONAL)).cloned();
        let demote = self.find(at.rsc, at.to, "demote").filter(|a| !a.is(af::OPTIONAL)).cloned();
        if promote.is_some() && demote.is_some() {
            self.add("Re-promote", at, promote.as_ref(), demote.as_ref());
        }
    }

    fn other_role(
        &mut self,
        at: Move,
        role: Role,
        moving: bool,
        start: Option<&Action>,
        stop: Option<&Action>,
    ) {
        let r = &self.cluster.rscs[at.rsc];
        let blocked = start.is_some_and(|s| !s.is(af::RUNNABLE));
        if stop.is_some() && (r.next_role == Role::Stopped || blocked) {
            self.stops(at.rsc, start);
        } else if stop.is_some() && r.is(rf::FAILED | rf::STOP_IF_FAILED) {
            self.add("Recover", at, stop, start);
        } else if moving {
            self.add("Move", at, stop, None);
        } else if r.is(rf::RELOAD) {
            self.add("Reload", at, start, None);
        } else if stop.is_some_and(|s| !s.is(af::OPTIONAL)) {
            self.add("Restart", at, start, None);
        } else if role == Role::Promoted {
            let demote = self.find(at.rsc, at.to, "demote").cloned();
            self.add("Demote", at, demote.as_ref(), None);
        } else if r.next_role == Role::Promoted {
            let promote = self.find(at.rsc, at.to, "promote").cloned();
            self.add("Promote", at, promote.as_ref(), None);
        } else if role == Role::Stopped && r.next_role > Role::Stopped {
            self.add("Start", at, start, None);
        }
    }

    fn stops(&mut self, rsc: RscIx, start: Option<&Action>) {
        for node in self.cluster.rscs[rsc].active_nodes.clone() {
            let stop = self.find(rsc, Some(node), "stop").cloned();
            let reason = stop.as_ref().filter(|s| s.reason().is_some()).or(start);
            self.add("Stop", Move { rsc, from: Some(node), to: None }, stop.as_ref(), reason);
        }
    }

    fn add(&mut self, what: &'static str, at: Move, action: Option<&Action>, source: Option<&Action>) {
        let Some(action) = action else { return };
        let runnable = action.is(af::RUNNABLE);
        let reason = match (source.unwrap_or(action).reason(), runnable) {
            (Some(reason), false) => format!("due to {reason} (blocked)"),
            (Some(reason), true) => format!("due to {reason}"),
            (None, false) => "blocked".to_string(),
            (None, true) => String::new(),
        };
        let rsc = self.cluster.rscs[at.rsc].id.to_string();
        let (details, mut attrs) = self.details(at);
        attrs.extend(source.unwrap_or(action).reason().map(|r| ("reason", r.to_string())));
        if !runnable {
            attrs.push(("blocked", "true".to_string()));
        }
        self.out.push(Change { what, rsc, details, reason, attrs });
    }

    /// Places and roles, for people and as attributes.
    fn details(&self, at: Move) -> (String, Vec<(&'static str, String)>) {
        let r = &self.cluster.rscs[at.rsc];
        let role = if at.from.is_some() && r.role == Role::Stopped { Role::Started } else { r.role };
        let next = r.next_role;
        let with_role = role > Role::Started || next > Role::Unpromoted;
        let name = |node: Option<NodeIx>| node.map_or("", |n| self.cluster.node_name(n));
        let (from, to, was, is) = (name(at.from), name(at.to), role.text(), next.text());
        let (same_role, same_host) = (role == next, at.from == at.to);
        let (text, attrs): (String, &[(&'static str, &str)]) = match (at.from, at.to) {
            (None, _) if with_role => {
                (format!("{was} -> {is} {to}"), &[("role", was), ("next-role", is), ("dest", to)])
            }
            (None, _) => (to.to_string(), &[("node", to)]),
            (_, None) if with_role => (format!("{was} {from}"), &[("role", was), ("node", from)]),
            (_, None) => (from.to_string(), &[("node", from)]),
            _ if with_role && same_role && same_host => {
                (format!("{was} {from}"), &[("role", was), ("source", from)])
            }
            _ if same_role && same_host => (from.to_string(), &[("source", from)]),
            _ if with_role && same_role => {
                (format!("{from} -> {to} {was}"), &[("source", from), ("dest", to), ("role", was)])
            }
            _ if same_role => (format!("{from} -> {to}"), &[("source", from), ("dest", to)]),
            _ if same_host => {
                (format!("{was} -> {is} {from}"), &[("role", was), ("next-role", is), ("source", from)])
            }
            _ => (
                format!("{was} {from} -> {is} {to}"),
                &[("role", was), ("source", from), ("next-role", is), ("dest", to)],
            ),
        };
        (text, attrs.iter().map(|(name, value)| (*name, (*value).to_string())).collect())
    }
}
