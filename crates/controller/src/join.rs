//! Election and join: from a group of controllers to a cluster with one DC and one CIB.

use cib::{Operation, Version, options};
use xml::{Document, Element};

use crate::core::{Controller, Env, JOIN_TIMEOUT_MS, OFFER_WAIT_MS, Output, Role, cluster_option};
use crate::election::{Age, Election, Verdict, Vote};
use crate::message::{Route, body};
use crate::peers::Join;

/// How long a lone starter waits for the others before it looks for a DC, in ms (`dc-deadtime`).
const DC_DEADTIME_MS: u64 = 20_000;
/// How long the DC waits for a newer CIB that another node holds, in ms.
const SYNC_TIMEOUT_MS: u64 = 5_000;

impl Controller {
    /// We are in the process group: is there a DC?
    pub(crate) fn start_seeking(&mut self, env: &Env<'_>) {
        self.role = Role::Seeking;
        self.dc = None;
        let configured = cluster_option(env.cib, "dc-deadtime").and_then(base::parse_interval_ms);
        let wait =
            if self.everybody_is_here() { OFFER_WAIT_MS } else { configured.unwrap_or(DC_DEADTIME_MS) };
        self.seek_deadline_ms = Some(env.now_ms + wait);
        self.broadcast(env, "hello", "crmd", "peer_update_callback");
        self.broadcast(env, "join_announce", "dc", "do_cl_join_query");
    }

    fn everybody_is_here(&self) -> bool {
        self.config.nodes.iter().all(|(id, _)| self.peers.0.get(id).is_some_and(|peer| peer.is_running))
    }

    fn broadcast(&mut self, env: &Env<'_>, task: &str, to: &str, origin: &str) {
        let route = Route { task, to, from: "crmd", host: None };
        let message = self.messages.request(origin, route, env.wall_s, None);
        self.outputs.push_back(Output::Send { host: None, message });
    }

    /// Nobody made us an offer in time.
    pub(crate) fn seek_expired(&mut self, env: &Env<'_>) {
        if self.role == Role::Seeking && self.dc.is_none() {
            self.start_election(env);
        }
    }

    pub(crate) fn peers_joined(&mut self, env: &Env<'_>, joined: &[u32]) {
        let others: Vec<u32> = joined.iter().copied().filter(|id| *id != self.config.id).collect();
        if others.is_empty() {
            return;
        }
        if self.election.is_running() {
            // The newcomer has not heard our vote and could never agree to it.
            self.start_election(env);
        }
        match self.role {
            Role::Leader => {
                for id in others {
                    self.offer(env, id);
                }
            }
            Role::Seeking if self.dc.is_none() && !self.election.is_running() && self.everybody_is_here() => {
                let soon = env.now_ms + OFFER_WAIT_MS;
                self.seek_deadline_ms = Some(self.seek_deadline_ms.map_or(soon, |at| at.min(soon)));
            }
            _ => {}
        }
    }

    pub(crate) fn start_election(&mut self, env: &Env<'_>) {
        // A node that leaves does not stand for election while somebody leads. Without a leader it must: nobody else
        // may be left to move its resources, or all others leave too.
        let led = self.dc.is_some() && self.role != Role::Leader;
        if self.role == Role::Starting || self.shutting_down && led {
            return;
        }
        self.seek_deadline_ms = None;
        if self.role != Role::Leader {
            self.role = Role::Seeking;
        }
        let round = self.election.start(env.now_ms);
        let age = self.election.age(env.age);
        let route = Route { task: "vote", to: "crmd", from: "crmd", host: None };
        let mut vote = self.messages.request("election_vote", route, env.wall_s, None);
        let root = vote.root();
        vote.set_attr(root, "election-owner", &self.config.id.to_string());
        vote.set_attr(root, "election-id", &round.to_string());
        vote.set_attr(root, "election-age-sec", &age.seconds.to_string());
        vote.set_attr(root, "election-age-nano-sec", &age.nanoseconds.to_string());
        self.outputs.push_back(Output::Send { host: None, message: vote });
        self.check_election(env);
    }

    pub(crate) fn check_election(&mut self, env: &Env<'_>) {
        let own = self.config.id;
        let others: Vec<u32> = self.peers.running().map(|peer| peer.id).filter(|id| *id != own).collect();
        if self.election.is_won(others) {
            self.election.stop();
            self.take_over(env);
        }
    }

    fn receive_vote(&mut self, env: &Env<'_>, from: u32, name: &str, message: Element<'_>) {
        if from == self.config.id || self.role == Role::Starting {
            return;
        }
        let number = |attr: &str| message.attr(attr).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let vote = Vote {
            from_id: from,
            from_name: name,
            feature_set: message.attr("version").unwrap_or("0"),
            age: Age { seconds: number("election-age-sec"), nanoseconds: number("election-age-nano-sec") },
            round: number("election-id") as u32,
        };
        let stands = self.role == Role::Leader || self.election.is_running();
        let verdict = if self.shutting_down && !stands {
            Verdict::Lost
        } else {
            let age = self.election.age(env.age);
            Election::judge(&vote, &self.config.name, age)
        };
        match verdict {
            Verdict::Lost => {
                self.election.concede(from);
                if self.role == Role::Leader {
                    self.log(&format!("{name} is preferred as DC: giving the lead away"));
                }
                self.resign();
                self.seek_deadline_ms = Some(env.now_ms + DC_DEADTIME_MS);
                let route = Route { task: "no-vote", to: "crmd", from: "crmd", host: Some(name) };
                let mut answer = self.messages.request("send_no_vote", route, env.wall_s, None);
                let root = answer.root();
                answer.set_attr(root, "election-owner", &vote.from_id.to_string());
                answer.set_attr(root, "election-id", &vote.round.to_string());
                self.outputs.push_back(Output::Send { host: Some(name.to_string()), message: answer });
            }
            Verdict::Better => {
                if !self.election.is_running() {
                    self.start_election(env);
                }
            }
        }
    }

    fn resign(&mut self) {
        self.role = Role::Seeking;
        self.dc = None;
        self.graph = None;
        self.join_deadline_ms = None;
        self.sync_wait = None;
        for peer in self.peers.0.values_mut() {
            peer.join = Join::None;
        }
    }

    /// We have won: lay claim to the cluster and invite everybody.
    fn take_over(&mut self, env: &Env<'_>) {
        self.log("This node is the DC now");
        self.role = Role::Leader;
        self.election.settle();
        self.dc = Some(self.config.id);
        self.seek_deadline_ms = None;
        self.graph = None;
        self.join_id += 1;
        self.lay_claim(env);
        for peer in self.peers.0.values_mut() {
            peer.join = Join::None;
        }
        // Who was lost while nobody led must be known to be lost before the first decision.
        let lost: Vec<u32> = self.lost_nodes(env);
        if !lost.is_empty() {
            self.write_node_states(&lost, "do_dc_takeover");
        }
        self.forget_attributes_of_absent(env);
        let running: Vec<u32> = self.peers.running().map(|peer| peer.id).collect();
        for id in running {
            self.offer(env, id);
        }
        self.request_decision("a DC took over");
        if self.shutting_down {
            self.peer_wants_shutdown(env, self.config.id);
        }
    }

    /// Who leaves leaves its transient attributes behind. With its wish to leave among them, it would be
    /// sent away again as soon as it is back.
    pub(crate) fn forget_attributes_of_absent(&mut self, env: &Env<'_>) {
        let states =
            env.cib.root_element().child("status").into_iter().flat_map(|s| s.children_named("node_state"));
        let with = states.filter(|state| state.child("transient_attributes").is_some());
        let ids = with.filter_map(|state| state.attr("id")?.parse::<u32>().ok());
        let is_absent = |id: &u32| self.peers.0.get(id).is_some_and(|peer| !peer.is_running);
        let absent: Vec<u32> = ids.filter(is_absent).collect();
        if absent.is_empty() {
            return;
        }
        for id in absent {
            let xpath = format!("//node_state[@id='{id}']/transient_attributes");
            self.change_cib(Operation::Delete, Some(&xpath), options::XPATH | options::MULTIPLE, None);
        }
        self.outputs.push_back(Output::AttributesDeleted);
    }

    /// What the CIB says of its leader and of the cluster as a whole.
    pub(crate) fn lay_claim(&mut self, env: &Env<'_>) {
        let id = self.config.id.to_string();
        let quorum = if self.quorate { "1" } else { "0" };
        self.write_root(
            env,
            &[("crm_feature_set", base::CRM_FEATURE_SET), ("dc-uuid", &id), ("have-quorum", quorum)],
        );
        self.write_cluster_facts(env);
    }

    /// Nodes that the CIB shows as active and that are not.
    fn lost_nodes(&self, env: &Env<'_>) -> Vec<u32> {
        let states =
            env.cib.root_element().child("status").into_iter().flat_map(|s| s.children_named("node_state"));
        let active = states.filter(|state| {
            state.attr("crmd") == Some("online") || matches!(state.attr("in_ccm"), Some("true" | "1"))
        });
        let ids = active.filter_map(|state| state.attr("id")?.parse::<u32>().ok());
        ids.filter(|id| self.peers.0.get(id).is_some_and(|peer| !peer.is_running)).collect()
    }

    /// Nodes that take part according to the CIB and that do not.
    pub(crate) fn wrong_node_states(&self, env: &Env<'_>) -> Vec<u32> {
        let states =
            env.cib.root_element().child("status").into_iter().flat_map(|s| s.children_named("node_state"));
        let wrong = states.filter_map(|state| {
            let peer = self.peers.0.get(&state.attr("id")?.parse().ok()?)?;
            let runs = state.attr("crmd") == Some("online");
            let is_member = matches!(state.attr("in_ccm"), Some("true" | "1"));
            ((runs && !peer.is_running) || (is_member && !peer.is_member)).then_some(peer.id)
        });
        wrong.collect()
    }

    fn write_cluster_facts(&mut self, env: &Env<'_>) {
        let mut section = Document::new("crm_config");
        let root = section.root();
        let set = section.append_with(root, "cluster_property_set", &[("id", "cib-bootstrap-options")]);
        let facts = [
            ("have-watchdog", "false".to_string()),
            ("dc-version", self.config.version.clone()),
            ("cluster-infrastructure", "corosync".to_string()),
            ("cluster-name", self.config.cluster_name.clone()),
        ];
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            if cluster_option(env.cib, name) != Some(value) {
                let id = format!("cib-bootstrap-options-{name}");
                section.append_with(set, "nvpair", &[("id", &id), ("name", name), ("value", value)]);
            }
        }
        if section.first_child(set).is_some() {
            self.change_cib(Operation::Modify, Some("crm_config"), options::CAN_CREATE, Some(section));
        }
    }

    pub(crate) fn offer(&mut self, env: &Env<'_>, id: u32) {
        let Some(peer) = self.peers.0.get_mut(&id) else { return };
        peer.join = Join::Offered;
        let name = peer.name.clone();
        let configured =
            cluster_option(env.cib, "join-integration-timeout").and_then(base::parse_interval_ms);
        self.join_deadline_ms = Some(env.now_ms.saturating_add(configured.unwrap_or(JOIN_TIMEOUT_MS)));
        self.send_to_member(env, "join_offer", &name, &[("crm_feature_set", base::CRM_FEATURE_SET)]);
    }

    fn send_to_member(&mut self, env: &Env<'_>, task: &str, name: &str, more: &[(&str, &str)]) {
        let route = Route { task, to: "crmd", from: "dc", host: Some(name) };
        let mut message = self.messages.request("create_dc_message", route, env.wall_s, None);
        let root = message.root();
        message.set_attr(root, "join_id", &self.join_id.to_string());
        message.set_attr(root, "dc-leaving", "false");
        for (key, value) in more {
            message.set_attr(root, key, value);
        }
        self.outputs.push_back(Output::Send { host: Some(name.to_string()), message });
    }

    fn send_to_dc(&mut self, env: &Env<'_>, task: &str, origin: &str, join_id: &str, content: &Document) {
        let Some(dc) = self.dc_name().map(str::to_string) else { return };
        let route = Route { task, to: "dc", from: "crmd", host: Some(&dc) };
        let mut message = self.messages.request(origin, route, env.wall_s, Some(content));
        let root = message.root();
        message.set_attr(root, "join_id", join_id);
        message.set_attr(root, "crm_feature_set", base::CRM_FEATURE_SET);
        self.outputs.push_back(Output::Send { host: Some(dc), message });
    }

    /// A message from a controller (ours included). `history` is the `<lrm>` element of this node, for
    /// the confirmation of a join.
    pub fn handle_message(
        &mut self,
        env: &Env<'_>,
        from: u32,
        name: &str,
        message: &Document,
        history: &Document,
    ) {
        if !name.is_empty() {
            self.peers.entry(from).name = name.to_string();
        }
        let root = message.root_element();
        match root.attr("crm_task").unwrap_or("") {
            "vote" => self.receive_vote(env, from, name, root),
            "no-vote" => {
                let number = |attr: &str| root.attr(attr).and_then(|text| text.parse::<u32>().ok());
                if number("election-owner") == Some(self.config.id) {
                    self.election.no_vote(from, number("election-id").unwrap_or(0));
                    self.check_election(env);
                }
            }
            "join_announce" if self.role == Role::Leader && self.has_not_joined(from) => {
                self.offer(env, from)
            }
            "join_offer" => self.receive_offer(env, from, root),
            "join_request" if self.role == Role::Leader => self.receive_request(env, from, root),
            "join_ack_nack" => self.receive_ack(env, from, root, history),
            "join_confirm" if self.role == Role::Leader => self.receive_confirm(env, from, root),
            "req_shutdown" if self.role == Role::Leader => self.peer_wants_shutdown(env, from),
            "do_shutdown" => self.told_to_shut_down(env),
            _ => {}
        }
        self.progress(env);
    }

    fn has_not_joined(&self, id: u32) -> bool {
        self.peers.0.get(&id).is_some_and(|peer| peer.join == Join::None)
    }

    fn receive_offer(&mut self, env: &Env<'_>, from: u32, message: Element<'_>) {
        if from != self.config.id && self.role == Role::Leader {
            // Two DCs met (a healed partition): the vote decides.
            self.start_election(env);
            return;
        }
        if self.election.is_running() && !self.election.has_conceded(from) {
            // Our vote is on its way: who made this offer will make another one, or give way to us.
            return;
        }
        self.election.stop();
        self.seek_deadline_ms = None;
        self.election.settle();
        self.dc = Some(from);
        if from != self.config.id {
            self.role = Role::Member;
        }
        let mut tuple = Document::new("generation_tuple");
        let root = tuple.root();
        for (name, value) in env.cib.attrs(env.cib.root()) {
            tuple.set_attr(root, name, value);
        }
        let join_id = message.attr("join_id").unwrap_or("0").to_string();
        self.send_to_dc(env, "join_request", "join_query_callback", &join_id, &tuple);
    }

    fn receive_request(&mut self, env: &Env<'_>, from: u32, message: Element<'_>) {
        if message.attr("join_id") != Some(self.join_id.to_string().as_str()) {
            return;
        }
        let Some(tuple) = body(message) else { return };
        let theirs = Version::of(tuple);
        let ours = Version::of(env.cib.root_element());
        let feature_set = message.attr("crm_feature_set").unwrap_or("0");
        let Some(peer) = self.peers.0.get_mut(&from) else { return };
        let name = peer.name.clone();
        if major(feature_set) != major(base::CRM_FEATURE_SET) {
            self.log(&format!("{name} speaks feature set {feature_set}: refused"));
            self.send_to_member(env, "join_ack_nack", &name, &[("join_ack_nack", "false")]);
            return;
        }
        peer.join = Join::Requested;
        let best = self.sync_wait.map_or(ours, |(version, _)| version);
        if theirs > best && from != self.config.id {
            self.sync_wait = Some((theirs, env.now_ms + SYNC_TIMEOUT_MS));
            self.outputs.push_back(Output::SyncFrom(name));
        }
    }

    /// Joining goes on when everybody has answered (or is given up) and the newest CIB is here.
    pub(crate) fn progress_join(&mut self, env: &Env<'_>) {
        let waiting = self.peers.running().any(|peer| peer.join == Join::Offered);
        let ready = self.peers.running().any(|peer| peer.join == Join::Requested);
        if waiting || !ready {
            return;
        }
        match self.sync_wait {
            Some((version, _)) if Version::of(env.cib.root_element()) < version => {}
            _ => {
                self.sync_wait = None;
                self.finish_sync(env);
            }
        }
    }

    pub(crate) fn finish_sync(&mut self, env: &Env<'_>) {
        let ready: Vec<u32> =
            self.peers.running().filter(|peer| peer.join == Join::Requested).map(|peer| peer.id).collect();
        if ready.is_empty() {
            return;
        }
        if ready.iter().any(|id| *id != self.config.id) {
            self.outputs.push_back(Output::SyncOurs);
        }
        for id in ready {
            let Some(peer) = self.peers.0.get_mut(&id) else { continue };
            peer.join = Join::Acknowledged;
            let name = peer.name.clone();
            let mut node = Document::new("node");
            let root = node.root();
            node.set_attr(root, "id", &id.to_string());
            node.set_attr(root, "uname", &name);
            self.change_cib(Operation::Modify, Some("nodes"), options::CAN_CREATE, Some(node));
            self.send_to_member(env, "join_ack_nack", &name, &[("join_ack_nack", "true")]);
        }
    }

    fn receive_ack(&mut self, env: &Env<'_>, from: u32, message: Element<'_>, history: &Document) {
        if self.dc != Some(from) {
            return;
        }
        if message.attr("join_ack_nack") != Some("true") {
            self.log("The DC refuses this node: its feature set does not fit");
            self.outputs.push_back(Output::Exit);
            return;
        }
        let mut state = Document::new("node_state");
        let root = state.root();
        for (name, value) in [
            ("id", self.config.id.to_string().as_str()),
            ("uname", &self.config.name),
            ("in_ccm", "true"),
            ("crmd", "online"),
            ("crm-debug-origin", "controld_query_executor_state"),
        ] {
            state.set_attr(root, name, value);
        }
        state.import(root, history, history.root());
        let join_id = message.attr("join_id").unwrap_or("0").to_string();
        self.outputs.push_back(Output::Attribute {
            node: self.config.name.clone(),
            name: "#feature-set".into(),
            value: Some(base::CRM_FEATURE_SET.into()),
        });
        self.send_to_dc(env, "join_confirm", "do_cl_join_finalize_respond", &join_id, &state);
        if self.shutting_down && self.role == Role::Member {
            // The DC that was asked first may be gone; this one has not heard of it.
            self.ask_to_leave(env);
        }
    }

    fn receive_confirm(&mut self, _env: &Env<'_>, from: u32, message: Element<'_>) {
        if message.attr("join_id") != Some(self.join_id.to_string().as_str()) {
            return;
        }
        let Some(peer) = self.peers.0.get_mut(&from).filter(|peer| peer.join == Join::Acknowledged) else {
            return;
        };
        peer.join = Join::Confirmed;
        let name = peer.name.clone();
        let xpath = format!("//node_state[@uname='{name}']/lrm");
        self.change_cib(Operation::Delete, Some(&xpath), options::XPATH | options::MULTIPLE, None);
        if let Some(state) = body(message).filter(|state| state.name() == "node_state") {
            let state = state.document().extract(state.id());
            self.change_cib(Operation::Modify, Some("status"), options::CAN_CREATE, Some(state));
        }
        self.write_node_states(&[from], "do_state_transition");
        if self.is_integrated() {
            self.join_deadline_ms = None;
        }
        self.request_decision(&format!("{name} joined"));
    }

    /// Everybody who takes part has joined.
    pub(crate) fn is_integrated(&self) -> bool {
        self.peers.running().all(|peer| matches!(peer.join, Join::Confirmed | Join::None))
            && self.peers.0.get(&self.config.id).is_some_and(|own| own.join == Join::Confirmed)
    }

    /// Nodes that did not answer are left out until they announce themselves again.
    pub(crate) fn join_expired(&mut self, env: &Env<'_>) {
        let silent: Vec<(u32, String)> = self
            .peers
            .running()
            .filter(|peer| matches!(peer.join, Join::Offered | Join::Requested | Join::Acknowledged))
            .map(|peer| (peer.id, peer.name.clone()))
            .collect();
        for (id, name) in silent {
            self.log(&format!("{name} did not complete its join in time"));
            self.peers.entry(id).join = Join::None;
        }
        if self.role == Role::Leader && !self.is_integrated() {
            // Not even our own join came to its end: begin again.
            self.start_election(env);
        }
    }
}

fn major(feature_set: &str) -> &str {
    feature_set.split('.').next().unwrap_or("")
}
