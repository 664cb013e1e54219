//! The CIB between clients, nodes and disk. Every change goes to the process group and is applied by
//! all nodes in delivery order; the node whose client asked answers.

use base::CibError;
use cib::{Operation, Request as CibRequest, options};
use controller::Env;
use xml::{Document, Element};

use crate::bus::Group;
use crate::daemon::{Daemon, env};
use crate::endpoints::{Request, Service, user_name};

/// `cib_clientid` of our own controller's and attribute writer's changes.
const INTERNAL: &str = "internal";
/// Call number of changes whose end nobody waits for.
const NO_CALL: u32 = 0;

impl Daemon {
    /// A request on one of the CIB's endpoints.
    pub(crate) fn cib_request(&mut self, request: Request) {
        let Some(message) = &request.message else {
            self.endpoints.acknowledge(&request, base::ExitCode::PROTOCOL.0);
            return;
        };
        let root = message.root_element();
        let op = root.attr("cib_op").unwrap_or("").to_string();
        if let (Some(client), Some(name)) =
            (self.endpoints.client_mut(request.service, request.conn), root.attr("cib_clientname"))
        {
            client.name = name.to_string();
        }
        match op.as_str() {
            "register" => self.register(&request),
            "cib_notify" => {
                let on = root.attr("cib_notify_activate") == Some("1");
                let diffs = root.attr("cib_notify_type") == Some("cib_diff_notify");
                if let Some(client) =
                    self.endpoints.client_mut(request.service, request.conn).filter(|_| diffs)
                {
                    client.wants_diffs = on;
                }
                self.endpoints.acknowledge(&request, 0);
            }
            _ => self.cib_operation(&request, root, &op),
        }
    }

    fn register(&mut self, request: &Request) {
        let Some(client) = self.endpoints.client(request.service, request.conn) else { return };
        let mut answer = Document::new("cib_common_callback_worker");
        let root = answer.root();
        answer.set_attr(root, "cib_op", "register");
        answer.set_attr(root, "cib_clientid", &client.uuid);
        if request.wants_response() {
            self.endpoints.respond(request.service, request.conn, request.id, &answer);
        }
    }

    fn cib_operation(&mut self, request: &Request, root: Element<'_>, op: &str) {
        let bits = root.attr("cib_callopt").and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        if bits & options::SYNC_CALL != 0
            && let Some(client) = self.endpoints.client_mut(request.service, request.conn)
        {
            client.waiting_id = Some(request.id);
        }
        let Some(client) = self.endpoints.client(request.service, request.conn).cloned() else { return };
        let mut message = root.document().clone();
        let top = message.root();
        for (name, value) in [
            ("cib_clientid", client.uuid.as_str()),
            ("cib_clientname", &client.name),
            ("cib_user", &user_name(client.uid)),
            ("src", &self.identity.name),
            ("cib_delegated_from", &self.identity.name),
        ] {
            message.set_attr(top, name, value);
        }
        let operation = Operation::from_name(op);
        match operation {
            Some(Operation::Query) => {
                let result = cib::query(&self.cib, root.attr("cib_section"), bits);
                let (rc, data) = match result {
                    Ok(found) => (0, Some(found)),
                    Err(error) => (error.code(), None),
                };
                self.cib_reply(&message, rc, data.as_ref());
            }
            Some(_) if request.service == Service::CibReadOnly => {
                self.cib_reply(&message, CibError::Denied.code(), None);
            }
            Some(_) if bits & (options::DRY_RUN | options::SCOPE_LOCAL) != 0 => self.apply(&message, true),
            Some(_)
                if !self.controller.is_quorate()
                    && bits & options::QUORUM_OVERRIDE == 0
                    && self.needs_quorum() =>
            {
                self.cib_reply(&message, CibError::NoQuorum.code(), None);
            }
            Some(_) => self.send(Group::Cib, None, message.to_text()),
            // Roles of the daemons among each other are of no concern to our clients.
            None if matches!(
                op,
                "noop" | "cib_sync" | "cib_sync_one" | "cib_master" | "cib_slave" | "cib_ismaster"
            ) =>
            {
                if op.starts_with("cib_sync") {
                    self.sync_ours();
                }
                self.cib_reply(&message, 0, None);
            }
            None => self.cib_reply(&message, CibError::Unsupported.code(), None),
        }
    }

    /// Configuration changes are taken without quorum as well; the reference's default.
    fn needs_quorum(&self) -> bool {
        false
    }

    /// A message of the CIB's process group.
    pub(crate) fn cib_message(&mut self, node: u32, _from: &str, message: Document) {
        let root = message.root_element();
        match root.attr("cib_op").unwrap_or("") {
            "cib_sync" | "cib_sync_one" => {
                let source = root.attr("cib_host").filter(|host| !host.is_empty());
                if let Some(source) = source.or(self.controller.dc_name()).map(str::to_string) {
                    self.begin_sync(&source);
                }
            }
            "cib_shutdown_req" | "ping" => {}
            _ if is_copy(root) => self.take_copy(node, &message),
            _ => {
                self.transfers.note(&message);
                self.apply(&message, false);
            }
        }
    }

    /// A node was asked for its copy, here and now in the order of all changes.
    fn begin_sync(&mut self, source: &str) {
        let id = self.identity.nodes.iter().find(|(_, name)| name == source).map(|(id, _)| *id);
        let Some(id) = id else { return };
        self.transfers.begin(id);
        if id == self.identity.id {
            self.send_copy();
        }
    }

    /// A node's copy has come: what has happened since it was taken happens again on top of it.
    fn take_copy(&mut self, node: u32, message: &Document) {
        let Some(noted) = self.transfers.finish(node) else {
            // Asked for before we were here. Our own join brings us a copy that is complete.
            return self.apply(message, false);
        };
        self.transfers.note(message);
        let Some(mut cib) = calldata(message.root_element()).map(|copy| copy.document().extract(copy.id()))
        else {
            return;
        };
        for change in &noted {
            let written = written_now();
            let outcome = request_of(change, &written).map(|request| cib::perform(&cib, &request));
            if let Some(Ok(outcome)) = outcome {
                cib = outcome.cib;
            }
        }
        let outcome = cib::adopt(&self.cib, cib);
        // Our own copy comes back to us unchanged.
        let replaced = outcome.patch.is_some();
        self.accept(message, outcome, replaced);
    }

    /// Applies a change and tells everybody who wants to know.
    fn apply(&mut self, message: &Document, local_only: bool) {
        let root = message.root_element();
        let attr = |name| root.attr(name).unwrap_or("");
        let ours = attr("cib_delegated_from") == self.identity.name;
        let written = written_now();
        let Some(request) = request_of(message, &written) else {
            if ours {
                self.cib_reply(message, CibError::Unsupported.code(), None);
            }
            return;
        };
        let (bits, operation, global) = (request.options, request.operation, is_copy(root));
        let replaced = replaces_status(&request);
        let result = cib::perform(&self.cib, &request);
        let (rc, data) = match result {
            Ok(outcome) => {
                let dry = bits & options::DRY_RUN != 0;
                let answer = (dry && ours).then(|| outcome.cib.clone());
                if !dry {
                    self.accept(message, outcome, replaced);
                }
                (0, answer)
            }
            Err(failure) => {
                if !global && !local_only && ours {
                    let name = operation.name();
                    self.log.notice(
                        "pacemaker-based",
                        &format!("{name} by {} refused: {}", attr("cib_clientname"), failure.error),
                    );
                }
                (failure.error.code(), failure.details.map(|details| *details))
            }
        };
        if !global && ours {
            self.cib_reply(message, rc, data.as_ref());
        }
    }

    /// `replaced`: the status section is not ours any more but that of another copy.
    fn accept(&mut self, message: &Document, outcome: cib::Outcome, replaced: bool) {
        self.cib = outcome.cib;
        if outcome.configuration_changed {
            self.saver.save(&self.cib);
        }
        let Some(patch) = outcome.patch else { return };
        self.notify(message, &patch);
        if replaced {
            self.controller.handle_cib_replaced(&env!(self));
            self.attributes.write_again();
        }
        self.controller.handle_cib_change(&env!(self), patch.root_element());
    }

    fn notify(&mut self, message: &Document, patch: &Document) {
        let listeners = self.endpoints.listeners();
        if listeners.is_empty() {
            return;
        }
        let mut note = Document::new("notify");
        let root = note.root();
        for (name, value) in [
            ("t", "cib_notify"),
            ("subt", "cib_diff_notify"),
            ("cib_op", message.root_element().attr("cib_op").unwrap_or("")),
            ("cib_rc", "0"),
            ("cib_object_type", "diff"),
        ] {
            note.set_attr(root, name, value);
        }
        let generation = note.append(root, "cib_generation");
        let attributes: Vec<(&str, &str)> = self.cib.attrs(self.cib.root()).collect();
        note.append_with(generation, "generation_tuple", &attributes);
        let result = note.append(root, "cib_update_result");
        note.import(result, patch, patch.root());
        let text = note.to_text();
        for (service, conn) in listeners {
            self.endpoints.event(service, conn, &text);
        }
    }

    /// Tells the asker how it went: our own controller, or a client of this node.
    fn cib_reply(&mut self, message: &Document, rc: i32, data: Option<&Document>) {
        let root = message.root_element();
        let attr = |name| root.attr(name).unwrap_or("");
        if attr("cib_clientid") == INTERNAL {
            let call = attr("cib_callid").parse::<u32>().unwrap_or(NO_CALL);
            if call != NO_CALL {
                self.controller.handle_cib_reply(&env!(self), call, CibError::from_code(rc));
            }
            return;
        }
        let Some(client) = self.endpoints.by_uuid(attr("cib_clientid")) else { return };
        let (service, conn) = (client.service, client.conn);
        let bits = attr("cib_callopt").parse::<u32>().unwrap_or(0);
        if bits & options::DISCARD_REPLY != 0 && bits & options::SYNC_CALL == 0 {
            return;
        }
        let mut reply = Document::new("cib-reply");
        let top = reply.root();
        for (name, value) in [
            ("t", "cib"),
            ("cib_op", attr("cib_op")),
            ("cib_callid", attr("cib_callid")),
            ("cib_clientid", attr("cib_clientid")),
            ("cib_callopt", attr("cib_callopt")),
            ("cib_rc", &rc.to_string()),
        ] {
            reply.set_attr(top, name, value);
        }
        if let Some(data) = data {
            let place = reply.append(top, "cib_calldata");
            reply.import(place, data, data.root());
        }
        let waiting = self.endpoints.client_mut(service, conn).and_then(|client| client.waiting_id.take());
        match waiting.filter(|_| bits & options::SYNC_CALL != 0) {
            Some(id) => self.endpoints.respond(service, conn, id, &reply),
            None => self.endpoints.event(service, conn, &reply.to_text()),
        }
    }

    /// A change that the manager itself makes.
    pub(crate) fn internal_cib(
        &mut self,
        call: u32,
        operation: Operation,
        section: Option<&str>,
        bits: u32,
        data: Option<&Document>,
    ) {
        let mut message = Document::new("cib_command");
        let root = message.root();
        let name = self.identity.name.clone();
        for (key, value) in [
            ("t", "cib"),
            ("cib_op", operation.name()),
            ("cib_section", section.unwrap_or("")),
            ("cib_callid", &call.to_string()),
            ("cib_callopt", &bits.to_string()),
            ("cib_clientid", INTERNAL),
            ("cib_clientname", "crmd"),
            ("cib_user", "hacluster"),
            ("src", &name),
            ("cib_delegated_from", &name),
        ] {
            message.set_attr(root, key, value);
        }
        if let Some(data) = data {
            let place = message.append(root, "cib_calldata");
            message.import(place, data, data.root());
        }
        self.send(Group::Cib, None, message.to_text());
    }

    /// As [`Daemon::internal_cib`] when nobody waits for the end.
    pub(crate) fn write_cib(
        &mut self,
        operation: Operation,
        section: &str,
        bits: u32,
        data: Option<&Document>,
    ) {
        self.internal_cib(NO_CALL, operation, Some(section), bits, data);
    }

    /// Everybody shall have our whole CIB.
    pub(crate) fn sync_ours(&mut self) {
        let name = self.identity.name.clone();
        self.ask_for_cib(&name);
    }

    fn send_copy(&mut self) {
        let mut message = Document::new("copy");
        let root = message.root();
        let name = self.identity.name.clone();
        for (key, value) in [
            ("t", "cib"),
            ("cib_op", "cib_replace"),
            ("cib_callopt", "0"),
            ("cib_callid", "0"),
            ("cib_clientname", "crmd"),
            ("cib_user", "hacluster"),
            ("src", &name),
            ("cib_isreplyto", &name),
            ("original_cib_op", "cib_sync"),
            ("cib_update", "true"),
            ("crm_feature_set", base::CRM_FEATURE_SET),
            ("digest", &self.cib.digest_filtered()),
        ] {
            message.set_attr(root, key, value);
        }
        let place = message.append(root, "cib_calldata");
        message.import(place, &self.cib, self.cib.root());
        self.send(Group::Cib, None, message.to_text());
    }

    /// Everybody shall have that node's whole CIB. All must hear of it, not only the node.
    pub(crate) fn ask_for_cib(&mut self, node: &str) {
        let mut message = Document::new("cib_command");
        let root = message.root();
        for (key, value) in
            [("t", "cib"), ("cib_op", "cib_sync"), ("cib_host", node), ("src", self.identity.name.as_str())]
        {
            message.set_attr(root, key, value);
        }
        self.send(Group::Cib, None, message.to_text());
    }
}

/// Whether a message carries a node's whole copy, not a change.
fn is_copy(message: Element<'_>) -> bool {
    matches!(message.attr("cib_update"), Some("true" | "1"))
}

fn calldata(message: Element<'_>) -> Option<Element<'_>> {
    message.child("cib_calldata").and_then(|data| data.children().next())
}

/// Whether a change puts another status section in the place of the one that is there.
fn replaces_status(request: &CibRequest<'_>) -> bool {
    matches!(request.operation, Operation::Replace | Operation::Erase)
        && matches!(request.section, None | Some("" | "all" | "cib" | "status" | "nodes"))
}

fn written_now() -> String {
    jiff::Zoned::now().strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// The change that a message asks for; `None` for an operation that is not known.
fn request_of<'a>(message: &'a Document, written: &'a str) -> Option<CibRequest<'a>> {
    let root = message.root_element();
    let attr = |name| root.attr(name).unwrap_or("");
    Some(CibRequest {
        operation: Operation::from_name(attr("cib_op"))?,
        section: root.attr("cib_section").filter(|section| !section.is_empty()),
        options: attr("cib_callopt").parse::<u32>().unwrap_or(0),
        input: calldata(root),
        origin: attr("src"),
        client: attr("cib_clientname"),
        user: attr("cib_user"),
        written,
        keep_version: is_copy(root),
    })
}
