//! The local executor's side: operations in, agents, results into history and CIB.

use cib::{Operation as CibOperation, options};
use controller::history::{OpStatus, Record, parameters_digest};
use executor::{Agent, FinishStatus, Operation, Output, Report};
use xml::{Document, Element};

use crate::daemon::{Daemon, wall_s};

impl Daemon {
    /// An operation that the DC asks for.
    pub(crate) fn invoke(&mut self, op: Element<'_>) {
        match op.attr("operation") {
            Some("cancel") => self.cancel(op),
            Some("delete") => {
                if let Some(resource) = op.child("primitive").and_then(|p| p.attr("id")) {
                    self.executor.forget(resource);
                    let resource = resource.to_string();
                    self.forget_history(&resource);
                }
            }
            _ => match Operation::read(op) {
                Ok(mut operation) => {
                    operation.is_instant = crate::runner::is_instant(&operation);
                    let what = format!("{} {} on this node", operation.name, operation.resource);
                    self.log.notice("pacemaker-controld", &format!("Requesting local execution of {what}"));
                    let now = sys::clock::monotonic_ms();
                    if self.executor.execute(now, wall_s(), operation).is_none() {
                        self.log
                            .error("pacemaker-execd", &format!("Too many operations wait: {what} refused"));
                    }
                }
                Err(error) => self
                    .log
                    .error("pacemaker-controld", &format!("An operation of the DC cannot be run: {error}")),
            },
        }
    }

    fn cancel(&mut self, op: Element<'_>) {
        let meta = |name: &str| op.child("attributes").and_then(|attributes| attributes.attr(name));
        let Some(resource) = op.child("primitive").and_then(|p| p.attr("id")) else { return };
        let name = meta("CRM_meta_operation").unwrap_or("monitor").to_string();
        let interval_ms = meta("CRM_meta_interval").and_then(|text| text.parse().ok()).unwrap_or(0);
        let resource = resource.to_string();
        let known = self.executor.cancel(&resource, &name, interval_ms);
        let key = controller::history::operation_key(&resource, &name, interval_ms);
        self.remove_entry(&resource, &key);
        let transition_key = op.attr("transition-key").unwrap_or("").to_string();
        let agent =
            known.as_ref().map(|(_, operation)| operation.agent.clone()).unwrap_or_else(|| agent_of(op));
        let record = Record {
            agent: (agent.class, agent.provider, agent.kind),
            operation: name,
            interval_ms,
            transition_key,
            call_id: known.map_or(-1, |(call, _)| call),
            rc: 0,
            target_rc: 0,
            status: OpStatus::Done,
            exit_reason: String::new(),
            last_rc_change_s: wall_s(),
            exec_ms: 0,
            queue_ms: 0,
            digest: String::new(),
            restart: None,
            resource,
        };
        self.tell_dc(&record);
    }

    /// Tells the DC of a result that is not kept in the history.
    fn tell_dc(&mut self, record: &Record) {
        let Some(dc) = self.controller.dc_name().map(str::to_string) else { return };
        let entry = record.to_xml(&self.identity.name, "send_direct_ack");
        let state = self.wrap(&entry);
        let mut message = Document::new("create_request_adv");
        let root = message.root();
        for (name, value) in [
            ("origin", "controld_ack_event_directly"),
            ("t", "crmd"),
            ("version", base::CRM_FEATURE_SET),
            ("subt", "request"),
            ("reference", &format!("lrm_invoke-lrmd-{}-{}", wall_s(), record.call_id)),
            ("crm_task", "lrm_invoke"),
            ("crm_sys_to", "tengine"),
            ("crm_sys_from", "lrmd"),
            ("crm_host_to", &dc),
        ] {
            message.set_attr(root, name, value);
        }
        let data = message.append(root, "crm_xml");
        message.import(data, &state, state.root());
        self.send_controller(Some(&dc), message);
    }

    /// `<node_state><lrm><lrm_resources>` around an `<lrm_resource>`.
    fn wrap(&self, resource: &Document) -> Document {
        let mut state = Document::new("node_state");
        let root = state.root();
        let id = self.identity.id.to_string();
        for (name, value) in
            [("id", id.as_str()), ("uname", &self.identity.name), ("crm-debug-origin", "do_update_resource")]
        {
            state.set_attr(root, name, value);
        }
        let lrm = state.append_with(root, "lrm", &[("id", &id)]);
        let resources = state.append(lrm, "lrm_resources");
        state.import(resources, resource, resource.root());
        state
    }

    pub(crate) fn executor_output(&mut self, output: Output) {
        match output {
            Output::Run { call_id, operation } => {
                if let Some(finish) = self.runner.start(&self.poller, call_id, operation) {
                    self.executor.finished(sys::clock::monotonic_ms(), wall_s(), call_id, finish);
                }
            }
            Output::Kill { call_id } => {
                self.log.error(
                    "pacemaker-execd",
                    &format!("Operation {call_id} took too long: killing its agent"),
                );
                self.runner.kill(call_id);
            }
            Output::Report(report) => self.record(&report),
        }
    }

    pub(crate) fn agent_ready(&mut self, token: u64) {
        if !self.runner.owns(token) {
            return;
        }
        if let Some((call_id, finish)) = self.runner.ready(&self.poller, token) {
            self.executor.finished(sys::clock::monotonic_ms(), wall_s(), call_id, finish);
        }
    }

    /// A result: into our history and the CIB, or straight to the DC.
    fn record(&mut self, report: &Report) {
        let record = record_of(report);
        if record.status == OpStatus::Done {
            self.floating.note(&report.operation, record.rc);
        }
        if record.operation == "notify" {
            if record.status != OpStatus::Pending {
                self.tell_dc(&record);
            }
            return;
        }
        if record.status != OpStatus::Pending {
            let reason = if record.exit_reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", record.exit_reason)
            };
            let text = format!(
                "Result of {} operation for {} on {}: {}{reason} in {} ms",
                record.operation,
                record.resource,
                self.identity.name,
                base::OcfExit(record.rc).text(),
                record.exec_ms
            );
            self.log.notice("pacemaker-controld", &text);
        }
        let entry = record.to_xml(&self.identity.name, "do_update_resource");
        self.keep(&entry);
        let state = self.wrap(&entry);
        self.write_cib(
            CibOperation::Modify,
            "status",
            options::CAN_CREATE | options::QUORUM_OVERRIDE,
            Some(&state),
        );
    }

    fn keep(&mut self, entry: &Document) {
        let mut wrapper = Document::new("lrm_resources");
        let top = wrapper.root();
        wrapper.import(top, entry, entry.root());
        let root = self.history.root();
        if let Some(resources) = self.history.child(root, "lrm_resources") {
            cib::merge(&mut self.history, resources, wrapper.root_element());
        }
    }

    pub(crate) fn known_resources(&self) -> Vec<String> {
        let resources =
            self.history.root_element().child("lrm_resources").into_iter().flat_map(|r| r.children());
        resources.filter_map(|resource| resource.attr("id").map(str::to_string)).collect()
    }

    /// Removes all results of a resource, here and in the CIB.
    pub(crate) fn forget_history(&mut self, resource: &str) {
        let root = self.history.root();
        if let Some(node) = self.history.find_id(root, resource).filter(|node| *node != root) {
            self.history.remove(node);
        }
        let xpath = format!("//node_state[@uname='{}']//lrm_resource[@id='{resource}']", self.identity.name);
        self.write_cib(CibOperation::Delete, &xpath, options::XPATH | options::QUORUM_OVERRIDE, None);
    }

    fn remove_entry(&mut self, resource: &str, key: &str) {
        let root = self.history.root();
        if let Some(node) = self.history.find_id(root, key).filter(|node| *node != root) {
            self.history.remove(node);
        }
        let xpath = format!(
            "//node_state[@uname='{}']//lrm_resource[@id='{resource}']/lrm_rsc_op[@id='{key}']",
            self.identity.name
        );
        self.write_cib(CibOperation::Delete, &xpath, options::XPATH | options::QUORUM_OVERRIDE, None);
    }

    /// Writes the result of a monitor that never ran, as a failure.
    pub(crate) fn pretend_failure(&mut self, op: Element<'_>) {
        let Some(resource) = op.child("primitive").and_then(|p| p.attr("id")).map(str::to_string) else {
            return;
        };
        let agent = agent_of(op);
        let record = Record {
            resource,
            agent: (agent.class, agent.provider, agent.kind),
            operation: "asyncmon".into(),
            interval_ms: 0,
            transition_key: op.attr("transition-key").unwrap_or("0:0:0:pretended").to_string(),
            call_id: -1,
            rc: 1,
            target_rc: 0,
            status: OpStatus::Done,
            exit_reason: "Simulated failure".into(),
            last_rc_change_s: wall_s(),
            exec_ms: 0,
            queue_ms: 0,
            digest: String::new(),
            restart: None,
        };
        let entry = record.to_xml(&self.identity.name, "fail_lrm_resource");
        self.keep(&entry);
        let state = self.wrap(&entry);
        self.write_cib(
            CibOperation::Modify,
            "status",
            options::CAN_CREATE | options::QUORUM_OVERRIDE,
            Some(&state),
        );
    }
}

fn agent_of(op: Element<'_>) -> Agent {
    let primitive = op.child("primitive");
    let attr = |name: &str| primitive.and_then(|p| p.attr(name)).map(str::to_string);
    Agent {
        class: attr("class").unwrap_or_default(),
        provider: attr("provider"),
        kind: attr("type").unwrap_or_default(),
    }
}

fn record_of(report: &Report) -> Record {
    let operation = &report.operation;
    let parameters = operation.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let (status, rc, exit_reason) = match &report.finish {
        None => (OpStatus::Pending, 193, String::new()),
        Some(finish) if report.cancelled => (OpStatus::Cancelled, finish.rc, finish.exit_reason.clone()),
        Some(_) if report.timed_out => {
            let reason = format!("{} took longer than {} ms", operation.name, operation.timeout_ms);
            (OpStatus::TimedOut, 1, reason)
        }
        Some(finish) => {
            let status = match finish.status {
                FinishStatus::Done => OpStatus::Done,
                FinishStatus::Error => OpStatus::Error,
                FinishStatus::NotInstalled => OpStatus::NotInstalled,
            };
            (status, finish.rc, finish.exit_reason.clone())
        }
    };
    Record {
        resource: operation.resource.clone(),
        agent: (
            operation.agent.class.clone(),
            operation.agent.provider.clone(),
            operation.agent.kind.clone(),
        ),
        operation: operation.name.clone(),
        interval_ms: operation.interval_ms,
        transition_key: operation.transition_key.clone(),
        call_id: if report.finish.is_none() { -1 } else { report.call_id },
        rc,
        target_rc: operation.target_rc,
        status,
        exit_reason,
        last_rc_change_s: report.last_rc_change_s,
        exec_ms: report.exec_ms,
        queue_ms: report.queue_ms,
        digest: parameters_digest(parameters, operation.interval_ms),
        restart: None,
    }
}
