//! Fencing: the DC's wish to have a node isolated, and requests of clients to the fencer.

use controller::Env;
use xml::Document;

use crate::daemon::{Daemon, env};
use crate::endpoints::Request;

/// How long a fencing that cannot be carried out waits before it is reported, in ms: the scheduler
/// would ask again at once.
const RETRY_MS: u64 = 2_000;
const MAX_WAITING: usize = 256;

/// Fencings on their way.
#[derive(Debug, Default)]
pub(crate) struct Fences {
    waiting: Vec<(u64, i32, String)>,
}

impl Fences {
    pub fn poll_timeout(&self) -> Option<u64> {
        self.waiting.iter().map(|(at, ..)| *at).min()
    }
}

impl Daemon {
    pub(crate) fn fence(&mut self, action: i32, node: &str, how: &str) {
        let text = format!(
            "Cannot fence ({how}) {node}: no fence device is available; configure one: pcs stonith create"
        );
        self.log.error("pacemaker-fenced", &text);
        if self.fences.waiting.len() < MAX_WAITING {
            self.fences.waiting.push((sys::clock::monotonic_ms() + RETRY_MS, action, node.to_string()));
        }
    }

    pub(crate) fn fences_timeout(&mut self, now_ms: u64) {
        let (due, later) =
            std::mem::take(&mut self.fences.waiting).into_iter().partition(|(at, ..)| *at <= now_ms);
        self.fences.waiting = later;
        let due: Vec<(u64, i32, String)> = due;
        for (_, action, node) in due {
            self.controller.handle_fenced(&env!(self), action, &node, false);
        }
    }

    /// Clients ask for devices and for the history: there are none.
    pub(crate) fn fencer_request(&mut self, request: Request) {
        let Some(message) = &request.message else {
            self.endpoints.acknowledge(&request, base::ExitCode::PROTOCOL.0);
            return;
        };
        let root = message.root_element();
        let attr = |name| root.attr(name).unwrap_or("");
        let op = attr("st_op");
        let client =
            self.endpoints.client(request.service, request.conn).map(|c| c.uuid.clone()).unwrap_or_default();
        if op == "register" {
            let mut answer = Document::new("reply");
            let top = answer.root();
            answer.set_attr(top, "st_op", "register");
            answer.set_attr(top, "st_clientid", &client);
            self.endpoints.respond(request.service, request.conn, request.id, &answer);
            return;
        }
        if op == "st_notify" {
            self.endpoints.acknowledge(&request, 0);
            return;
        }
        let mut answer = Document::new("stonith-reply");
        let top = answer.root();
        let known = op == "st_fence_history" || op == "st_query";
        for (name, value) in [
            ("t", "stonith-ng"),
            ("st_op", op),
            ("st_callid", attr("st_callid")),
            ("st_clientid", &client),
            ("st_callopt", attr("st_callopt")),
            ("st_rc", if known { "0" } else { "-19" }),
            ("rc-code", if known { "0" } else { "105" }),
            ("op-status", if known { "0" } else { "4" }),
        ] {
            answer.set_attr(top, name, value);
        }
        if known {
            let data = answer.append(top, "st_calldata");
            let content = if op == "st_query" { "devices" } else { "history" };
            answer.append(data, content);
        }
        self.endpoints.respond(request.service, request.conn, request.id, &answer);
    }
}
