//! Leaving in order: resources move away first, then the node goes.

use cib::{Operation, options};
use xml::Document;

use crate::core::{Controller, Env, Output, Role};
use crate::message::Route;

impl Controller {
    /// The local administrator wants this node to leave.
    pub fn handle_shutdown_request(&mut self, env: &Env<'_>) {
        if self.shutting_down {
            return;
        }
        self.shutting_down = true;
        match self.role {
            Role::Starting => self.outputs.push_back(Output::Exit),
            Role::Leader => self.peer_wants_shutdown(env, self.config.id),
            Role::Seeking if self.peers.running().count() <= 1 => self.start_election(env),
            Role::Seeking | Role::Member => self.ask_to_leave(env),
        }
        self.progress(env);
    }

    /// Asks the DC, whoever it is, to move our resources away.
    pub(crate) fn ask_to_leave(&mut self, env: &Env<'_>) {
        let route = Route { task: "req_shutdown", to: "crmd", from: "crmd", host: None };
        let message = self.messages.request("do_shutdown_req", route, env.wall_s, None);
        self.outputs.push_back(Output::Send { host: None, message });
    }

    /// Whether a shutdown has been asked for here.
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down
    }

    pub(crate) fn peer_wants_shutdown(&mut self, env: &Env<'_>, id: u32) {
        let peer = self.peers.entry(id);
        peer.is_leaving = true;
        let node = peer.name.clone();
        self.log(&format!("{node} wants to leave: moving its resources"));
        self.wait_for_attribute(env, &node, "shutdown");
        let value = Some(env.wall_s.to_string());
        self.outputs.push_back(Output::Attribute { node: node.clone(), name: "shutdown".into(), value });
        self.request_decision(&format!("{node} is leaving"));
    }

    /// The transition says that this node may go now.
    pub(crate) fn order_shutdown(&mut self, env: &Env<'_>, node: &str) {
        let id = self.peers.by_name_mut(node).map(|peer| {
            peer.is_leaving = true;
            peer.id
        });
        if let Some(id) = id {
            let mut state = Document::new("node_state");
            let root = state.root();
            state.set_attr(root, "id", &id.to_string());
            state.set_attr(root, "uname", node);
            state.set_attr(root, "expected", "down");
            self.change_cib(Operation::Modify, Some("status"), options::CAN_CREATE, Some(state));
        }
        let route = Route { task: "do_shutdown", to: "crmd", from: "tengine", host: Some(node) };
        let message = self.messages.request("te_crm_command", route, env.wall_s, None);
        self.outputs.push_back(Output::Send { host: Some(node.to_string()), message });
    }

    pub(crate) fn told_to_shut_down(&mut self, _env: &Env<'_>) {
        self.shutting_down = true;
        self.outputs.push_back(Output::Exit);
    }
}
