//! Messages between controllers and requests of clients to the controller.

use controller::message::{body, response, response_as};
use controller::{Env, OperationResult, TransitionKey};
use xml::{Document, Element};

use crate::bus::Group;
use crate::daemon::{Daemon, env};
use crate::endpoints::{Request, Service};

/// Status of an acknowledgement that says "an answer follows".
const INDETERMINATE: i32 = 112;

impl Daemon {
    pub(crate) fn client_request(&mut self, request: Request) {
        match request.service {
            Service::CibReadOnly | Service::CibReadWrite | Service::CibShared => self.cib_request(request),
            Service::Controller => self.controller_request(request),
            Service::Attributes => self.attribute_request(request),
            Service::Manager => self.manager_request(request),
            Service::Fencer => self.fencer_request(request),
            Service::Executor => self.endpoints.acknowledge(&request, base::ExitCode::PROTOCOL.0),
        }
        self.pump();
    }

    /// Sends to one node's controller or to all; to ourselves without the detour over the ring.
    pub(crate) fn send_controller(&mut self, host: Option<&str>, message: Document) {
        if host == Some(self.identity.name.as_str()) {
            self.loopback.push_back(message);
        } else {
            self.send(Group::Controller, host, message.to_text());
        }
    }

    fn controller_request(&mut self, request: Request) {
        let Some(message) = &request.message else {
            self.endpoints.acknowledge(&request, base::ExitCode::PROTOCOL.0);
            return;
        };
        self.endpoints.acknowledge(&request, INDETERMINATE);
        let Some(client) = self.endpoints.client(request.service, request.conn) else { return };
        let mut message = message.clone();
        let root = message.root();
        message.set_attr(root, "crm_sys_from", &client.uuid);
        message.set_attr(root, "src", &self.identity.name);
        let top = message.root_element();
        let host = top.attr("crm_host_to").map(str::to_string);
        let target = match (host, top.attr("crm_sys_to")) {
            (Some(host), _) if !host.is_empty() => Some(host),
            (_, Some("dc")) => match self.controller.dc_name() {
                Some(dc) => Some(dc.to_string()),
                // Nobody leads: we answer, so that the client sees the state.
                None => Some(self.identity.name.clone()),
            },
            _ => Some(self.identity.name.clone()),
        };
        self.send_controller(target.as_deref(), message);
    }

    /// A message of a controller, ours included.
    pub(crate) fn controller_message(&mut self, node: u32, from: &str, message: Document) {
        let root = message.root_element();
        let task = root.attr("crm_task").unwrap_or("").to_string();
        if root.attr("subt") == Some("response") {
            self.relay_response(&message);
            return;
        }
        match (task.as_str(), root.attr("crm_sys_to").unwrap_or("")) {
            ("lrm_invoke", "tengine") => self.direct_results(root),
            ("lrm_invoke", _) => {
                if let Some(op) = body(root) {
                    self.invoke(op);
                }
            }
            ("ping", to) => self.answer_ping(root, to),
            ("node-info", _) => self.answer_node_info(root),
            ("list-nodes", _) => self.answer_node_list(root),
            ("lrm_delete", _) => self.delete_history(root),
            ("lrm_fail", _) => self.fail_resource(root),
            ("probe_again", _) => self.probe_again(root),
            ("lrm_refresh" | "rm_node_cache" | "throttle" | "noop", _) => {}
            _ => {
                let history = self.history.clone();
                self.controller.handle_message(&env!(self), node, from, &message, &history);
            }
        }
    }

    /// An answer for a client: of this node, or by way of the node where it is.
    fn relay_response(&mut self, message: &Document) {
        let root = message.root_element();
        let client = self.endpoints.by_uuid(root.attr("crm_sys_to").unwrap_or(""));
        if let Some((service, conn)) = client.map(|client| (client.service, client.conn)) {
            self.endpoints.event(service, conn, &message.to_text());
        }
    }

    fn reply(&mut self, request: Element<'_>, origin: &str, content: &Document) {
        let answer = response(request, origin, &self.identity.name, Some(content));
        self.route_answer(request, answer);
    }

    /// The end of something that was done for a resource.
    fn reply_done(&mut self, request: Element<'_>) {
        let content = crate::daemon::empty_history(self.identity.id);
        let answer = response_as(request, "lrm_invoke", &self.identity.name, Some(&content));
        self.route_answer(request, answer);
    }

    fn route_answer(&mut self, request: Element<'_>, answer: Document) {
        let host = request.attr("src").unwrap_or("").to_string();
        if host == self.identity.name || host.is_empty() {
            self.relay_response(&answer);
        } else {
            self.send_controller(Some(&host), answer);
        }
    }

    fn answer_ping(&mut self, request: Element<'_>, to: &str) {
        let mut content = Document::new("ping_response");
        let root = content.root();
        content.set_attr(root, "crm_subsystem", to);
        content.set_attr(root, "crmd_state", self.controller.state_name());
        content.set_attr(root, "result", "ok");
        self.reply(request, "handle_ping", &content);
    }

    fn answer_node_info(&mut self, request: Element<'_>) {
        let id = request.attr("id").and_then(|text| text.parse::<u32>().ok()).filter(|id| *id > 0);
        let name = request.attr("uname").map(str::to_string);
        let own = id.is_none() && name.is_none();
        let wanted = id.unwrap_or(if own { self.identity.id } else { 0 });
        let mut content = Document::new("node");
        let root = content.root();
        content.set_attr(root, "crm_subsystem", "crmd");
        content.set_attr(root, "have-quorum", if self.controller.is_quorate() { "true" } else { "false" });
        let found =
            self.controller.peers().find(|peer| peer.id == wanted || Some(&peer.name) == name.as_ref());
        if let Some(peer) = found {
            content.set_attr(root, "id", &peer.id.to_string());
            content.set_attr(root, "uname", &peer.name);
            content.set_attr(root, "crmd", if peer.is_member { "member" } else { "lost" });
            content.set_attr(root, "remote_node", "false");
        }
        self.reply(request, "handle_node_info_request", &content);
    }

    fn answer_node_list(&mut self, request: Element<'_>) {
        let mut content = Document::new("nodes");
        let root = content.root();
        let peers: Vec<(String, String, bool)> = self
            .controller
            .peers()
            .map(|peer| (peer.id.to_string(), peer.name.clone(), peer.is_member))
            .collect();
        for (id, name, member) in peers {
            let state = if member { "member" } else { "lost" };
            content.append_with(root, "node", &[("id", &id), ("uname", &name), ("in_ccm", state)]);
        }
        self.reply(request, "handle_node_list", &content);
    }

    /// Results that are told to the DC without going through the CIB.
    fn direct_results(&mut self, message: Element<'_>) {
        let Some(content) = body(message) else { return };
        for op in content.descendants().filter(|element| element.name() == "lrm_rsc_op") {
            let number = |name: &str| op.attr(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
            let result = OperationResult {
                resource: op.parent().and_then(|parent| parent.attr("id")).unwrap_or("").to_string(),
                operation: op.attr("operation").unwrap_or("").to_string(),
                interval_ms: number("interval").max(0) as u64,
                node: op.attr("on_node").unwrap_or("").to_string(),
                key: op.attr("transition-key").and_then(TransitionKey::parse),
                status: number("op-status") as i32,
                rc: number("rc-code") as i32,
                last_rc_change_s: number("last-rc-change"),
            };
            self.controller.handle_result(&env!(self), &result);
        }
        self.controller.handle_timeout(&env!(self));
    }

    /// `crm_resource --refresh/--cleanup`: forget what is known of a resource here.
    fn delete_history(&mut self, message: Element<'_>) {
        let Some(op) = body(message) else { return };
        let Some(resource) = op.child("primitive").and_then(|p| p.attr("id")).map(str::to_string) else {
            return;
        };
        if op.attr("mode") != Some("cib") {
            self.executor.forget(&resource);
        }
        self.forget_history(&resource);
        self.reply_done(message);
    }

    /// `crm_resource --fail`: pretend that a monitor failed.
    fn fail_resource(&mut self, message: Element<'_>) {
        let Some(op) = body(message) else { return };
        self.pretend_failure(op);
        self.reply_done(message);
    }

    /// `crm_resource --refresh` of everything: forget all results of this node.
    fn probe_again(&mut self, message: Element<'_>) {
        let ids: Vec<String> = self.known_resources();
        for id in ids {
            self.executor.forget(&id);
            self.forget_history(&id);
        }
        let reply = crate::daemon::empty_history(self.identity.id);
        self.reply(message, "handle_reprobe_op", &reply);
    }
}
