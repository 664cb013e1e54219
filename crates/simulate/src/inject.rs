//! Changes to the input that the user asks for.

use crate::fake::{Agent, Fake, Outcome};
use crate::record::Record;
use scheduler::Cluster;
use scheduler::text::{leading_int, parse_op_key};

/// What to change before the scheduler runs.
#[derive(Debug, Clone, Default)]
pub struct Injections {
    pub quorum: Option<String>,
    pub watchdog: Option<String>,
    pub node_up: Vec<String>,
    pub node_down: Vec<String>,
    pub node_fail: Vec<String>,
    pub op_inject: Vec<String>,
    pub ticket_grant: Vec<String>,
    pub ticket_revoke: Vec<String>,
    pub ticket_standby: Vec<String>,
    pub ticket_activate: Vec<String>,
}

impl Injections {
    /// Whether anything is to be changed. As in the reference, the quorum alone does not count.
    pub fn any(&self) -> bool {
        let lists = [
            &self.node_up,
            &self.node_down,
            &self.node_fail,
            &self.op_inject,
            &self.ticket_grant,
            &self.ticket_revoke,
            &self.ticket_standby,
            &self.ticket_activate,
        ];
        self.watchdog.is_some() || lists.iter().any(|l| !l.is_empty())
    }

    /// Makes the changes; returns what was done, and complaints.
    pub fn apply(&self, cib: &mut Fake, cluster: &Cluster, when_s: i64) -> (Vec<Record>, Vec<String>) {
        cib.adds_nodes = !self.node_up.is_empty();
        let (mut out, mut errors) = (self.apply_options(cib), Vec::new());
        out.extend(self.apply_nodes(cib));
        out.extend(self.apply_tickets(cib));
        for spec in &self.op_inject {
            let text = format!("Injecting {spec} into the configuration");
            out.push(Record::new("inject_spec", text, &[("spec", spec)]));
            match inject_op(spec, cib, cluster, when_s) {
                Ok(records) => out.extend(records),
                Err(error) => errors.push(error),
            }
        }
        (out, errors)
    }

    fn apply_options(&self, cib: &mut Fake) -> Vec<Record> {
        let mut out = Vec::new();
        if let Some(quorum) = &self.quorum {
            out.push(Record::new("quorum", format!("Setting quorum: {quorum}"), &[("value", quorum)]));
            let root = cib.doc.root();
            cib.set(root, "have-quorum", quorum);
            cib.commit();
        }
        if let Some(watchdog) = &self.watchdog {
            out.push(Record::new(
                "watchdog",
                format!("Setting watchdog: {watchdog}"),
                &[("value", watchdog)],
            ));
            cib.set_option("have-watchdog", watchdog);
        }
        out
    }

    fn apply_nodes(&self, cib: &mut Fake) -> Vec<Record> {
        let mut out = Vec::new();
        let mut say = |action: &str, node: &str, text: String| {
            out.push(Record::new("modify_node", text, &[("action", action), ("node", node)]));
        };
        for node in &self.node_up {
            say("Online", node, format!("Bringing node {node} online"));
            cib.bring_up(node);
        }
        for node in &self.node_down {
            say("Offline", node, format!("Taking node {node} offline"));
            cib.take_down(node);
        }
        for node in &self.node_fail {
            say("Failing", node, format!("Failing node {node}"));
            cib.fail(node);
        }
        out
    }

    fn apply_tickets(&self, cib: &mut Fake) -> Vec<Record> {
        let tickets = [
            (&self.ticket_grant, "Granting", "Granting ticket", "", "granted", true),
            (&self.ticket_revoke, "Revoking", "Revoking ticket", "", "granted", false),
            (&self.ticket_standby, "Standby", "Making ticket", " standby", "standby", true),
            (&self.ticket_activate, "Activating", "Activating ticket", "", "standby", false),
        ];
        let mut out = Vec::new();
        for (list, action, before, after, attr, value) in tickets {
            for ticket in list {
                let text = format!("{before} {ticket}{after}");
                out.push(Record::new("modify_ticket", text, &[("action", action), ("ticket", ticket)]));
                cib.set_ticket(ticket, attr, value);
            }
        }
        out
    }
}

/// Writes the result of an operation, `RSC_TASK_INTERVAL@NODE=EXITCODE`, into the history.
fn inject_op(spec: &str, cib: &mut Fake, cluster: &Cluster, when_s: i64) -> Result<Vec<Record>, String> {
    let (key, rest) = spec.split_once('@').ok_or_else(|| bad_spec(spec, 1))?;
    let (node, code) = rest.split_once('=').ok_or_else(|| bad_spec(spec, 2))?;
    let (exit, _) = leading_int(code).ok_or_else(|| bad_spec(spec, 2))?;
    let (name, task, interval_ms) = parse_op_key(key).ok_or_else(|| bad_spec(spec, 3))?;
    let rsc = cluster.find_rsc(name).ok_or_else(|| format!("Invalid resource name: {name}"))?;
    let r = &cluster.rscs[rsc];
    let text = |value: &Option<scheduler::text::Str>| value.as_ref().map(ToString::to_string);
    let agent = Agent { class: text(&r.class), provider: text(&r.provider), kind: text(&r.agent) };
    let state = cib.node_state(node, None);
    let outcome = Outcome {
        rsc: name.to_string(),
        task: task.to_string(),
        interval_ms,
        node: node.to_string(),
        exit: exit as i32,
        reason: "Simulated action result",
        when_s,
        ..Outcome::default()
    };
    let infinity = task == "stop" || (task == "start" && cluster.config.start_failure_fatal);
    let set = cib.count_failure(state, &outcome, infinity);
    let records = cib.attribute_records(state, &set);
    let id = cib.doc.attr(state, "id").unwrap_or("").to_string();
    let history = cib.history(state, name, name, &agent).ok_or_else(|| {
        format!("Resource {name} not found in the status section of {id} (supply class and type to continue)")
    })?;
    cib.record(history, &outcome);
    cib.commit();
    Ok(records)
}

fn bad_spec(spec: &str, found: usize) -> String {
    format!("Invalid operation spec: {spec}.  Only found {found} fields")
}
