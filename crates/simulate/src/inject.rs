//! Changes to the input that the user asks for.

use crate::fake::{Agent, Fake, Outcome};
use scheduler::Cluster;
use scheduler::text::{leading_int, parse_op_key};
use status::tree::Item;

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
    pub fn apply(&self, cib: &mut Fake, cluster: &Cluster, when_s: i64) -> (Item, Vec<String>) {
        let mut items = Vec::new();
        let mut say = |text: String| items.push(Item::Line(text));
        if let Some(quorum) = &self.quorum {
            say(format!("Setting quorum: {quorum}"));
            let root = cib.doc.root();
            cib.doc.set_attr(root, "have-quorum", quorum);
        }
        if let Some(watchdog) = &self.watchdog {
            say(format!("Setting watchdog: {watchdog}"));
            cib.set_option("have-watchdog", watchdog);
        }
        for node in &self.node_up {
            say(format!("Bringing node {node} online"));
            cib.set_node(node, true);
        }
        for node in &self.node_down {
            say(format!("Taking node {node} offline"));
            cib.take_down(node);
        }
        for node in &self.node_fail {
            say(format!("Failing node {node}"));
            let state = cib.set_node(node, true);
            cib.doc.set_attr(state, "in_ccm", "false");
        }
        let tickets = [
            (&self.ticket_grant, "Granting ticket", "", "granted", true),
            (&self.ticket_revoke, "Revoking ticket", "", "granted", false),
            (&self.ticket_standby, "Making ticket", " standby", "standby", true),
            (&self.ticket_activate, "Activating ticket", "", "standby", false),
        ];
        for (list, before, after, attr, value) in tickets {
            for ticket in list {
                say(format!("{before} {ticket}{after}"));
                cib.set_ticket(ticket, attr, value);
            }
        }
        let mut errors = Vec::new();
        for spec in &self.op_inject {
            say(format!("Injecting {spec} into the configuration"));
            match inject_op(spec, cib, cluster, when_s) {
                Ok(lines) => lines.into_iter().for_each(&mut say),
                Err(error) => errors.push(error),
            }
        }
        (Item::list("Performing Requested Modifications", items), errors)
    }
}

/// Writes the result of an operation, `RSC_TASK_INTERVAL@NODE=EXITCODE`, into the history.
fn inject_op(spec: &str, cib: &mut Fake, cluster: &Cluster, when_s: i64) -> Result<Vec<String>, String> {
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
        when_s,
        ..Outcome::default()
    };
    let infinity = task == "stop" || (task == "start" && cluster.config.start_failure_fatal);
    let path = cib.path(state);
    let id = cib.doc.attr(state, "id").unwrap_or("").to_string();
    let counted = cib.count_failure(state, &outcome, infinity);
    let lines = counted.iter().map(|(attr, value)| format!("Injecting attribute {attr}={value} into {path} '{id}'"));
    let lines = lines.collect();
    let history = cib.history(state, name, name, &agent).ok_or_else(|| {
        format!("Resource {name} not found in the status section of {id} (supply class and type to continue)")
    })?;
    cib.record(history, &outcome);
    Ok(lines)
}

fn bad_spec(spec: &str, found: usize) -> String {
    format!("Invalid operation spec: {spec}.  Only found {found} fields")
}
