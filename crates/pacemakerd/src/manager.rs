//! Requests to the manager as a whole: is it running, and please stop.

use controller::message::response;
use controller::{Env, Role};
use xml::Document;

use crate::daemon::{Daemon, env, wall_s};
use crate::endpoints::Request;

const INDETERMINATE: i32 = 112;

impl Daemon {
    pub(crate) fn manager_request(&mut self, request: Request) {
        let Some(message) = &request.message else {
            self.endpoints.acknowledge(&request, base::ExitCode::PROTOCOL.0);
            return;
        };
        let root = message.root_element();
        let allowed = self.endpoints.client(request.service, request.conn).is_some_and(|c| c.uid == 0);
        match root.attr("crm_task") {
            Some("ping") => {
                self.endpoints.acknowledge(&request, INDETERMINATE);
                let mut content = Document::new("ping_response");
                let top = content.root();
                content.set_attr(top, "crm_subsystem", root.attr("crm_sys_to").unwrap_or("pacemakerd"));
                content.set_attr(top, "pacemakerd_state", self.state());
                content.set_attr(top, "crm-timestamp", &wall_s().to_string());
                content.set_attr(top, "result", "ok");
                let answer = response(root, "handle_ping_request", &self.identity.name, Some(&content));
                self.endpoints.event(request.service, request.conn, &answer.to_text());
            }
            Some("quit") => {
                self.endpoints.acknowledge(&request, INDETERMINATE);
                let mut content = Document::new("shutdown");
                let top = content.root();
                content.set_attr(top, "op-status", if allowed { "0" } else { "4" });
                let answer = response(root, "handle_shutdown_request", &self.identity.name, Some(&content));
                self.endpoints.event(request.service, request.conn, &answer.to_text());
                if allowed {
                    self.controller.handle_shutdown_request(&env!(self));
                }
            }
            Some("rm_node_cache") => self.endpoints.acknowledge(&request, 0),
            _ => self.endpoints.acknowledge(&request, 2),
        }
    }

    fn state(&self) -> &'static str {
        if self.controller.is_shutting_down() {
            "shutting_down"
        } else if self.controller.role() == Role::Starting {
            "starting_daemons"
        } else {
            "running"
        }
    }
}
