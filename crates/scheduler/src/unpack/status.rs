//! State of the nodes, from the status section.

use super::reader::Reader;
use crate::cluster::{Cluster, NoQuorum};
use crate::model::*;
use crate::text::{Str, is_true, min_int, ms_to_s, parse_bool, parse_int};
use std::collections::HashMap;
use xml::NodeId;

/// What a node state says about membership: when the node became a member and its manager joined.
struct Presence<'a> {
    member_since: i64,
    online_since: i64,
    join: Option<&'a str>,
    expected: Option<&'a str>,
}

impl Cluster {
    pub(super) fn unpack_status(&mut self, section: Option<NodeId>) {
        let doc = self.doc.clone();
        let Some(section) = section else { return };
        let mut states = Vec::new();
        for entry in doc.element(section).children() {
            match entry.name() {
                "tickets" => {
                    for ticket in entry.children().filter(|e| e.name() == "ticket_state") {
                        self.unpack_ticket_state(ticket.id());
                    }
                }
                "node_state" => {
                    states.push(entry.id());
                    if let Some(name) = entry.attr("uname") {
                        self.node_states.entry(name.into()).or_insert(entry.id());
                    }
                    self.unpack_node_state(entry.id());
                }
                _ => {}
            }
        }
        let mut reader = Reader::new(&doc);
        while self.unpack_histories(&mut reader, &states, false) {}
        self.unpack_histories(&mut reader, &states, self.config.fencing_enabled);
        for container in std::mem::take(&mut self.stop_needed).into_iter().rev() {
            if let Some(node) = self.current_node(container) {
                self.stop_action(container, Some(node), false);
            }
        }
        for node in self.node_order.clone() {
            if !self.nodes[node].is_remote {
                continue;
            }
            if let Some(remote) = self.nodes[node].remote.filter(|_| self.nodes[node].shutdown) {
                self.set_next_role(remote, Role::Stopped);
            }
            if !self.nodes[node].is(nf::UNPACKED) {
                self.remote_online_status(node);
            }
        }
    }

    fn unpack_ticket_state(&mut self, entry: NodeId) {
        let doc = self.doc.clone();
        let Some(id) = doc.attr(entry, "id").filter(|id| !id.is_empty()) else { return };
        let ix = self.ticket(id);
        let ticket = &mut self.tickets[ix];
        for (name, value) in doc.attrs(entry).filter(|(name, _)| *name != "id") {
            ticket.state.set(name, value);
        }
        ticket.granted = is_true(ticket.state.get("granted"));
        ticket.standby = is_true(ticket.state.get("standby"));
        if let Some(when) = ticket.state.get("last-granted") {
            ticket.last_granted = parse_int(when).unwrap_or(0);
        }
    }

    /// The ticket of this name, new if need be.
    pub(crate) fn ticket(&mut self, id: &str) -> TicketIx {
        let found = self.tickets.indices().find(|t| &*self.tickets[*t].id == id);
        found.unwrap_or_else(|| {
            self.tickets.push(Ticket { id: id.into(), last_granted: -1, ..Ticket::default() })
        })
    }

    fn node_of_state(&self, state: NodeId) -> Option<NodeIx> {
        let id = self.doc.attr(state, "id")?;
        self.find_node_id(id).or_else(|| self.find_node(self.doc.attr(state, "uname")?))
    }

    fn unpack_node_state(&mut self, state: NodeId) {
        let doc = self.doc.clone();
        if doc.attr(state, "id").is_none() {
            self.error("Ignoring invalid node_state entry without id");
            return;
        }
        let Some(node) = self.node_of_state(state) else { return };
        if self.nodes[node].is_remote {
            let fenced = min_int(doc.attr(state, "node_fenced"), 0) != 0;
            self.set_node_flag(node, nf::REMOTE_FENCED, fenced);
            return;
        }
        self.add_node_attrs(doc.child(state, "transient_attributes"), node, true);
        self.standby_and_maintenance(node);
        self.nodes[node].unclean = false;
        self.set_node_flag(node, nf::SEEN, true);
        self.online_status(node, state);
        if !self.config.quorate && self.nodes[node].online && self.config.no_quorum == NoQuorum::Fence {
            self.fence_node(node, "cluster does not have quorum", false);
        }
    }

    fn standby_and_maintenance(&mut self, node: NodeIx) {
        if is_true(self.nodes[node].attr("standby")) {
            self.set_node_flag(node, nf::STANDBY, true);
        }
        if is_true(self.nodes[node].attr("maintenance")) {
            self.nodes[node].maintenance = true;
        }
    }

    pub(crate) fn set_node_flag(&mut self, node: NodeIx, flag: u32, on: bool) {
        let flags = &mut self.nodes[node].flags;
        *flags = if on { *flags | flag } else { *flags & !flag };
    }

    pub(crate) fn shutdown_requested(&self, node: NodeIx) -> bool {
        self.nodes[node].attr("shutdown").is_some_and(|v| v != "0")
    }

    fn presence<'a>(&mut self, doc: &'a xml::Document, state: NodeId) -> Presence<'a> {
        let member_since = match doc.attr(state, "in_ccm") {
            None => -1,
            Some(text) => match parse_bool(text) {
                Some(true) => self.now_s(),
                Some(false) => 0,
                None => parse_int(text).filter(|t| *t >= 0).unwrap_or(-1),
            },
        };
        let online_since = match doc.attr(state, "crmd") {
            None => 0,
            Some(text) if text.eq_ignore_ascii_case("offline") => 0,
            Some(text) if text.eq_ignore_ascii_case("online") => 1,
            Some(text) => parse_int(text).filter(|t| *t >= 0).unwrap_or(0),
        };
        Presence {
            member_since,
            online_since,
            join: doc.attr(state, "join"),
            expected: doc.attr(state, "expected"),
        }
    }

    /// Whether a node is online, and what is wrong with it if it is not.
    pub(super) fn online_status(&mut self, node: NodeIx, state: NodeId) {
        let doc = self.doc.clone();
        self.nodes[node].shutdown = self.shutdown_requested(node);
        let presence = self.presence(&doc, state);
        if !self.nodes[node].shutdown && presence.expected.is_some_and(|e| e.eq_ignore_ascii_case("member")) {
            self.set_node_flag(node, nf::EXPECTED_UP, true);
        }
        let online = if self.config.fencing_enabled {
            self.online_with_fencing(node, &presence)
        } else {
            self.online_without_fencing(node, &presence)
        };
        if online {
            self.nodes[node].online = true;
        }
        if !online || self.nodes[node].shutdown {
            self.nodes[node].base.score = -base::INFINITY;
        }
        if self.nodes[node].unclean {
            let text = format!("{} is unclean", self.nodes[node].name);
            self.situation(text);
        }
    }

    fn online_without_fencing(&mut self, node: NodeIx, presence: &Presence<'_>) -> bool {
        if presence.member_since <= 0 {
            return false;
        }
        if presence.online_since > 0 {
            return presence.join.is_some_and(|j| j.eq_ignore_ascii_case("member"));
        }
        if self.nodes[node].is(nf::EXPECTED_UP) {
            self.fence_node(node, "peer is unexpectedly down", false);
        }
        false
    }

    fn terminate_requested(&self, node: NodeIx) -> bool {
        match self.nodes[node].attr("terminate") {
            None => false,
            Some(text) => parse_bool(text).unwrap_or_else(|| parse_int(text).unwrap_or(0) > 0),
        }
    }

    fn pending_too_long(&mut self, presence: &Presence<'_>) -> bool {
        let limit = self.config.node_pending_ms;
        if limit == 0 || presence.member_since <= 0 || presence.online_since > 0 {
            return false;
        }
        let deadline = presence.member_since + i64::from(ms_to_s(limit));
        if self.now_s() >= deadline {
            return true;
        }
        self.recheck(deadline);
        false
    }

    fn online_with_fencing(&mut self, node: NodeIx, presence: &Presence<'_>) -> bool {
        let terminate = self.terminate_requested(node);
        let (member, online) = (presence.member_since > 0, presence.online_since > 0);
        if self.nodes[node].shutdown {
            return online;
        }
        if presence.member_since < 0 {
            self.fence_node(node, "peer has not been seen by the cluster", false);
            return false;
        }
        if presence.join == Some("banned") {
            self.fence_node(node, "peer failed Pacemaker membership criteria", false);
        } else if terminate {
            if !member && !online && presence.join == Some("down") {
                return false;
            }
            self.fence_node(node, "fencing was requested", false);
        } else if presence.expected.is_none_or(|e| e == "down") {
            if self.pending_too_long(presence) {
                self.fence_node(node, "peer pending timed out on joining the process group", false);
            } else if member || online {
                self.set_node_flag(node, nf::STANDBY, true);
                self.nodes[node].pending = true;
            }
        } else if !member {
            self.fence_node(node, "peer is no longer part of the cluster", true);
        } else if !online {
            self.fence_node(node, "peer process is no longer available", false);
        } else if matches!(presence.join, Some("pending" | "down")) {
            self.set_node_flag(node, nf::STANDBY, true);
            self.nodes[node].pending = true;
        } else if presence.join != Some("member") {
            self.fence_node(node, "peer was in an unknown state", false);
        }
        member
    }

    /// Whether a remote or guest node is online: that follows from its connection.
    pub(super) fn remote_online_status(&mut self, node: NodeIx) {
        let Some(rsc) = self.nodes[node].remote else {
            self.nodes[node].online = false;
            return;
        };
        let (role, next_role) = (self.rscs[rsc].role, self.rscs[rsc].next_role);
        let launcher = self.rscs[rsc].launcher;
        let host = match self.rscs[rsc].active_nodes.as_slice() {
            [one] if launcher.is_some() => Some(*one),
            _ => None,
        };
        if role == Role::Started {
            self.nodes[node].online = true;
            if next_role == Role::Stopped {
                self.nodes[node].shutdown = true;
            }
        }
        let launcher_stopped = launcher.is_some_and(|l| self.rscs[l].role == Role::Stopped);
        if launcher.is_some_and(|l| self.rscs[l].is(rf::FAILED)) {
            self.nodes[node].online = false;
            self.set_node_flag(node, nf::REMOTE_RESET, true);
        } else if self.rscs[rsc].is(rf::FAILED) {
            self.nodes[node].online = false;
        } else if role == Role::Stopped || launcher_stopped {
            self.nodes[node].online = false;
            self.set_node_flag(node, nf::REMOTE_RESET, false);
        } else if host.is_some_and(|h| !self.nodes[h].online && self.nodes[h].unclean) {
            self.nodes[node].online = false;
            self.set_node_flag(node, nf::REMOTE_RESET, true);
        }
    }

    fn unpack_remote_attrs(&mut self, node: NodeIx, state: NodeId) {
        let doc = self.doc.clone();
        let maintenance = min_int(doc.attr(state, "node_in_maintenance"), 0) != 0;
        self.set_node_flag(node, nf::REMOTE_MAINT, maintenance);
        if !self.nodes[node].is(nf::REMOTE_RESET) {
            self.nodes[node].unclean = false;
            self.set_node_flag(node, nf::SEEN, true);
        }
        self.add_node_attrs(doc.child(state, "transient_attributes"), node, true);
        if self.shutdown_requested(node) {
            self.nodes[node].shutdown = true;
        }
        self.standby_and_maintenance(node);
        if self.nodes[node].remote.is_some_and(|r| !self.rscs[r].is(rf::MANAGED)) {
            self.nodes[node].maintenance = true;
        }
        let discovery = self.nodes[node].attr("resource-discovery-enabled");
        if discovery.is_some_and(|v| !is_true(Some(v))) {
            if self.is_remote_node(node) && !self.config.fencing_enabled {
                self.warn("Ignoring resource-discovery-enabled because fencing is disabled");
            } else {
                self.set_node_flag(node, nf::PROBES_ALLOWED, false);
            }
        }
    }

    /// Unpacks histories that can be unpacked now; tells whether any was. With `fence`, all are.
    fn unpack_histories(&mut self, reader: &mut Reader, states: &[NodeId], fence: bool) -> bool {
        let doc = self.doc.clone();
        let mut any = false;
        for state in states {
            if doc.attr(*state, "id").is_none() || doc.attr(*state, "uname").is_none() {
                continue;
            }
            let Some(node) = self.node_of_state(*state) else { continue };
            if self.nodes[node].is(nf::UNPACKED) || (!fence && !self.history_ready(node)) {
                continue;
            }
            if self.nodes[node].is_remote {
                self.remote_online_status(node);
                self.unpack_remote_attrs(node, *state);
            }
            self.set_node_flag(node, nf::UNPACKED, true);
            self.unpack_node_history(reader, node, *state);
            any = true;
        }
        any
    }

    fn history_ready(&self, node: NodeIx) -> bool {
        let started = |rsc: RscIx| self.rscs[rsc].role == Role::Started;
        if let Some(launcher) = self.guest_launcher(node) {
            return self.nodes[node].remote.is_some_and(started) && started(launcher);
        }
        if self.nodes[node].is_remote {
            return self.nodes[node].remote.is_some_and(|r| self.config.shutdown_lock || started(r));
        }
        self.config.fencing_enabled || self.config.shutdown_lock || self.nodes[node].online
    }

    /// History entries of a resource on a node, by the node's name.
    pub(crate) fn lrm_resources(&mut self, node: &str, rsc: &str) -> Vec<NodeId> {
        let Some(state) = self.node_states.get(node).copied() else { return Vec::new() };
        if !self.history_cache.contains_key(&state) {
            let mut index: HashMap<Str, Vec<NodeId>> = HashMap::new();
            for entry in self.lrm_entries(state) {
                if let Some(id) = self.doc.attr(entry, "id") {
                    index.entry(id.into()).or_default().push(entry);
                }
            }
            self.history_cache.insert(state, index);
        }
        self.history_cache.get(&state).and_then(|index| index.get(rsc)).cloned().unwrap_or_default()
    }

    /// All resource histories in a node state.
    pub(crate) fn lrm_entries(&self, state: NodeId) -> Vec<NodeId> {
        let holder = self.doc.element(state).path(&["lrm", "lrm_resources"]);
        holder
            .map(|h| h.children().filter(|e| e.name() == "lrm_resource").map(|e| e.id()).collect())
            .unwrap_or_default()
    }

    /// State entry of a node, by the node's name.
    pub(crate) fn node_state(&self, node: NodeIx) -> Option<NodeId> {
        self.node_states.get(&self.nodes[node].name).copied()
    }
}
