//! Actions on remote and guest nodes, relative to the connections that they go through.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{Str, meta_name, op_key};
use std::collections::BTreeMap;

/// State of the connection to a remote node.
#[derive(Clone, Copy, PartialEq)]
enum Connection {
    Unknown,
    Alive,
    Resting,
    Failed,
    Stopped,
}

impl Cluster {
    fn start_then(&mut self, first: RscIx, then: ActIx, extra: u32) {
        let start = op_key(&self.rscs[first].id, "start", 0);
        let then_rsc = self.actions[then].rsc;
        self.new_ordering(
            (Some(first), Some(start), None),
            (then_rsc, None, Some(then)),
            ar::GUEST_ALLOWED | ar::UNRUNNABLE_FIRST_BLOCKS | extra,
        );
    }

    fn then_stop(&mut self, first: ActIx, then: RscIx, extra: u32) {
        let stop = op_key(&self.rscs[then].id, "stop", 0);
        let first_rsc = self.actions[first].rsc;
        self.new_ordering(
            (first_rsc, None, Some(first)),
            (Some(then), Some(stop), None),
            ar::GUEST_ALLOWED | extra,
        );
    }

    fn connection_state(&self, node: NodeIx, remote: RscIx) -> Connection {
        let r = &self.rscs[remote];
        let host = self.current_node(remote);
        if r.next_role == Role::Stopped || r.assigned.is_none() {
            if host.is_some_and(|h| self.nodes[h].unclean) {
                return Connection::Failed;
            }
            if !r.is(rf::FAILED) {
                return Connection::Stopped;
            }
            let reconnects = r.next_role == Role::Stopped
                && r.remote_reconnect_ms > 0
                && self.nodes[node].is(nf::REMOTE_FENCED)
                && !self.shutdown_requested(node);
            return if reconnects { Connection::Unknown } else { Connection::Failed };
        }
        let Some(host) = host else { return Connection::Unknown };
        let migrating = r.active_nodes.len() > 1 && r.partial_source.is_some() && r.partial_target.is_some();
        if self.nodes[host].unclean || !self.nodes[host].online || migrating {
            return Connection::Resting;
        }
        Connection::Alive
    }

    pub(crate) fn is_failed_remote(&self, node: NodeIx) -> bool {
        self.is_remote_node(node)
            && self.nodes[node].remote.is_some_and(|r| self.connection_state(node, r) == Connection::Failed)
    }

    /// Orders actions on remote and guest nodes relative to their connections.
    pub(crate) fn order_remote_actions(&mut self) {
        if !self.config.have_remote_nodes {
            return;
        }
        for action in self.actions.indices().rev() {
            let a = &self.actions[action];
            let Some(rsc) = a.rsc else { continue };
            if self.rscs[rsc].is(rf::REMOTE_CONNECTION) && a.task == "clear_failcount" {
                let start = op_key(&self.rscs[rsc].id, "start", 0);
                self.new_ordering(
                    (Some(rsc), None, Some(action)),
                    (Some(rsc), Some(start), None),
                    ar::ORDERED,
                );
                continue;
            }
            let Some(node) = a.node.filter(|n| self.nodes[*n].is_remote && !a.is(af::PSEUDO)) else {
                continue;
            };
            let Some(remote) = self.nodes[node].remote else { continue };
            if a.task == "start" {
                self.order_stops_elsewhere(rsc, node, remote);
            }
            if self.rscs[remote].launcher.is_some() {
                self.order_guest_action(action, node, remote);
            } else {
                self.order_remote_action(action, node, remote);
            }
        }
    }

    fn order_stops_elsewhere(&mut self, rsc: RscIx, node: NodeIx, remote: RscIx) {
        for other in self.rscs[rsc].actions.clone().into_iter().rev() {
            let o = &self.actions[other];
            if o.node != Some(node) && o.task == "stop" {
                let start = op_key(&self.rscs[remote].id, "start", 0);
                self.new_ordering(
                    (Some(remote), Some(start), None),
                    (Some(rsc), None, Some(other)),
                    ar::ORDERED,
                );
            }
        }
    }

    fn order_remote_action(&mut self, action: ActIx, node: NodeIx, remote: RscIx) {
        let state = self.connection_state(node, remote);
        let task = self.actions[action].task.clone();
        match &*task {
            "start" | "promote" => {
                let extra = if state == Connection::Failed { ar::FIRST_IMPLIES_THEN } else { 0 };
                self.start_then(remote, action, extra);
            }
            "stop" | "migrate_to" | "migrate_from" => match state {
                Connection::Alive => self.then_stop(action, remote, ar::THEN_IMPLIES_FIRST),
                Connection::Failed => {
                    self.fence_node(node, "resources are active but connection is unrecoverable", false);
                }
                _ if self.rscs[remote].next_role == Role::Stopped => {
                    self.then_stop(action, remote, ar::THEN_IMPLIES_FIRST);
                }
                _ => self.start_then(remote, action, 0),
            },
            "demote" => {
                if matches!(state, Connection::Resting | Connection::Unknown) {
                    self.start_then(remote, action, 0);
                }
            }
            _ if self.is_recurring(action) => self.start_then(remote, action, ar::FIRST_IMPLIES_THEN),
            _ => {
                if task == "monitor" && state == Connection::Failed {
                    let reason = "resources are in unknown state and connection is unrecoverable";
                    self.fence_node(node, reason, false);
                }
                if self.current_node(remote).is_some() && state == Connection::Stopped {
                    self.then_stop(action, remote, ar::UNRUNNABLE_FIRST_BLOCKS);
                } else {
                    self.start_then(remote, action, 0);
                }
            }
        }
    }

    fn order_guest_action(&mut self, action: ActIx, node: NodeIx, remote: RscIx) {
        let Some(launcher) = self.rscs[remote].launcher else { return };
        let failed = self.rscs[launcher].is(rf::FAILED);
        if failed {
            self.fence_node(node, "container failed", false);
        }
        let task = self.actions[action].task.clone();
        match &*task {
            "start" | "promote" => {
                self.start_then(launcher, action, ar::FIRST_IMPLIES_THEN);
                self.start_then(remote, action, 0);
            }
            "stop" | "demote" | "migrate_to" | "migrate_from" => {
                if !failed {
                    self.then_stop(action, remote, 0);
                }
            }
            _ if self.is_recurring(action) => {
                if crate::order::is_known_task(&task) {
                    self.start_then(remote, action, ar::FIRST_IMPLIES_THEN);
                }
            }
            _ => self.start_then(remote, action, 0),
        }
    }

    /// Whether a resource is what runs a guest node.
    pub(crate) fn runs_guest(&self, rsc: Option<RscIx>, node: Option<NodeIx>) -> bool {
        let (Some(rsc), Some(node)) = (rsc, node) else { return false };
        !self.rscs[rsc].launched.is_empty()
            && self.nodes[node].remote.is_some_and(|r| self.rscs[r].launcher == Some(rsc))
    }

    /// Cluster node through which an action on a remote node goes.
    pub(crate) fn router_node(&self, action: ActIx) -> Option<NodeIx> {
        let a = &self.actions[action];
        let node = a.node.filter(|n| self.nodes[*n].is_remote && a.task != "stonith")?;
        let remote = self.nodes[node].remote?;
        let (began, ended) = (self.current_node(remote), self.rscs[remote].assigned);
        let (Some(began), Some(ended)) = (began, ended) else { return began.or(ended) };
        let partial = self.rscs[remote].launcher.is_none() && self.rscs[remote].partial_target.is_some();
        let task = if a.task == "notify" { a.meta.get("notify_operation").unwrap_or("") } else { &a.task };
        let early = ["cancel", "stop", "demote", "migrate_from", "migrate_to"].contains(&task);
        Some(if early && !partial { began } else { ended })
    }

    /// Adds what an agent in a guest has to know about the host.
    pub(crate) fn add_guest_meta(&self, action: ActIx, attrs: &mut BTreeMap<Str, Str>) {
        let a = &self.actions[action];
        let Some(launcher) = a.node.and_then(|n| self.guest_launcher(n)) else { return };
        let task = match &*a.task {
            "notify" | "notified" => a.meta.get("notify_operation").unwrap_or(""),
            task => task,
        };
        let host = match task {
            "stop" | "stopped" | "demote" | "demoted" => self.current_node(launcher),
            "start" | "running" | "monitor" | "promote" | "promoted" => self.rscs[launcher].assigned,
            _ => None,
        };
        let (Some(host), Some(rsc)) = (host, a.rsc) else { return };
        let name = "container-attribute-target";
        if let Some(target) = self.rscs[rsc].meta.get_str(name) {
            attrs.entry(meta_name(name)).or_insert(target);
        }
        attrs.entry(meta_name("physical-host")).or_insert(self.nodes[host].name.clone());
    }
}
