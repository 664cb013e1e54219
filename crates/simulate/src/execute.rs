//! Pretends to execute a transition: every action succeeds unless the user wants it to fail.

use crate::fake::{Agent, Fake, Outcome};
use crate::record::Record;
use scheduler::text::{Str, leading_int, parse_int, parse_uint};
use scheduler::{Cluster, add_scores};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use xml::{Document, Element};

/// Priority of what is done even after a failure.
const INFINITY: i64 = 1_000_000;

/// How an execution went.
#[derive(Debug, Default)]
pub struct Executed {
    pub records: Vec<Record>,
    /// Complaints, for the standard error output.
    pub errors: Vec<String>,
    /// The transition could be executed to its end.
    pub complete: bool,
}

struct Step<'a> {
    priority: i64,
    action: Element<'a>,
    id: &'a str,
    /// How many actions it still waits for.
    waits_for: usize,
}

/// What is to be done, and which steps wait for which action.
#[derive(Default)]
struct Plan<'a> {
    steps: Vec<Step<'a>>,
    waiting: HashMap<&'a str, Vec<usize>>,
}

/// Executes the graph; `fail`: operations that fail, as `RSC_TASK_INTERVAL@NODE=EXITCODE`.
pub fn execute(
    graph: &Document,
    cluster: &Cluster,
    cib: &mut Fake,
    fail: &[String],
    when_s: i64,
) -> Executed {
    let mut run = Run { cluster, cib, fail, when_s, graph, out: Executed::default(), aborted: false };
    run.run(plan(graph));
    run.out
}

fn plan(graph: &Document) -> Plan<'_> {
    let mut plan = Plan::default();
    for synapse in graph.root_element().children_named("synapse") {
        let priority = synapse.attr("priority").and_then(parse_int).unwrap_or(0);
        let inputs = synapse.children_named("inputs").flat_map(|i| i.children_named("trigger"));
        let waits_for: HashSet<&str> =
            inputs.flat_map(|t| t.children()).filter_map(|a| a.attr("id")).collect();
        for action in synapse.children_named("action_set").flat_map(|s| s.children()) {
            let Some(id) = action.attr("id") else { continue };
            for first in &waits_for {
                plan.waiting.entry(first).or_default().push(plan.steps.len());
            }
            plan.steps.push(Step { priority, action, id, waits_for: waits_for.len() });
        }
    }
    plan
}

struct Run<'a> {
    cluster: &'a Cluster,
    cib: &'a mut Fake,
    fail: &'a [String],
    when_s: i64,
    graph: &'a Document,
    out: Executed,
    aborted: bool,
}

impl<'a> Run<'a> {
    /// Goes through the steps from the first to the last again and again, as long as one may run.
    fn run(&mut self, mut plan: Plan<'a>) {
        let ready = plan.steps.iter().enumerate().filter(|(_, step)| step.waits_for == 0);
        let mut round: BinaryHeap<Reverse<usize>> = ready.map(|(at, _)| Reverse(at)).collect();
        let mut next = BinaryHeap::new();
        let mut left = plan.steps.len();
        loop {
            let Some(Reverse(at)) = round.pop() else {
                if next.is_empty() {
                    break;
                }
                std::mem::swap(&mut round, &mut next);
                continue;
            };
            let Some(step) = plan.steps.get(at) else { continue };
            if self.aborted && step.action.name() != "pseudo_event" && step.priority < INFINITY {
                continue;
            }
            left -= 1;
            let (action, id) = (step.action, step.id);
            let failed = self.fire(action);
            self.aborted |= failed;
            for then in plan.waiting.remove(id).unwrap_or_default() {
                let Some(step) = plan.steps.get_mut(then) else { continue };
                if failed && step.priority < INFINITY {
                    continue;
                }
                step.waits_for -= 1;
                if step.waits_for == 0 {
                    if then > at { &mut round } else { &mut next }.push(Reverse(then));
                }
            }
        }
        self.out.complete = self.aborted || left == 0;
        if !self.out.complete {
            self.out.errors.push("Transition failed: terminated".to_string());
            self.out.errors.push("An invalid transition was produced".to_string());
        }
    }

    /// Executes; returns whether it failed.
    fn fire(&mut self, action: Element<'a>) -> bool {
        let node = action.attr("on_node");
        match (action.name(), action.attr("operation").unwrap_or("")) {
            ("pseudo_event", _) => {
                let key = action.attr("operation_key").unwrap_or("(null)");
                let place = node.map(|n| format!(" on {n}")).unwrap_or_default();
                let mut record =
                    Record::new("pseudo_action", format!("Pseudo action:   {key}{place}"), &[("task", key)]);
                record.attrs.extend(node.map(|n| ("node", n.to_string())));
                self.out.records.push(record);
            }
            ("rsc_op", task) => return self.resource_action(action, task),
            (_, "stonith") => self.fence(action),
            (_, task) => {
                let rsc = action.child("primitive").and_then(|p| p.attr("id"));
                let about = rsc.map(|r| format!(" for {r}")).unwrap_or_default();
                let node = node.unwrap_or("(null)");
                let text = format!("Cluster action:  {task}{about} on {node}");
                let mut record = Record::new("cluster_action", text, &[("task", task), ("node", node)]);
                record.attrs.extend(rsc.map(|r| ("id", r.to_string())));
                self.out.records.push(record);
            }
        }
        false
    }

    fn say(&mut self, element: &'static str, line: String, attrs: &[(&'static str, &str)]) {
        self.out.records.push(Record::new(element, line, attrs));
    }

    fn fence(&mut self, action: Element<'a>) {
        let target = action.attr("on_node").unwrap_or("");
        let attributes = action.child("attributes");
        let op = attributes.and_then(|a| a.attr("CRM_meta_stonith_action")).unwrap_or("(null)");
        self.say("fencing_action", format!("Fencing {target} ({op})"), &[("target", target), ("op", op)]);
        if !op.eq_ignore_ascii_case("on") {
            self.cib.fence(target);
        }
    }

    fn resource_action(&mut self, action: Element<'a>, task: &str) -> bool {
        let Some(primitive) = action.child("primitive") else { return false };
        let Some(config_id) = primitive.attr("id") else { return false };
        let node = action.attr("on_node").unwrap_or("");
        let long = primitive.attr("long-id").filter(|l| self.cluster.find_rsc(l).is_some());
        let rsc = long.filter(|_| self.cluster.find_rsc(config_id).is_none()).unwrap_or(config_id);
        if matches!(task, "delete" | "meta-data") {
            let attrs = [("resource", rsc), ("op", task), ("node", node)];
            self.say("rsc_action", format!("Resource action: {rsc:<15} {task} on {node}"), &attrs);
            return false;
        }
        let params = parameters(action);
        let param = |name: &str| params.get(name).map(|v| &**v);
        let interval_ms = parse_uint(param("CRM_meta_interval"));
        let target = param("CRM_meta_op_target_rc").and_then(parse_int).unwrap_or(0) as i32;
        let text = |name: &str| primitive.attr(name).map(str::to_string);
        let agent = Agent { class: text("class"), provider: text("provider"), kind: text("type") };
        let id = action.attr("router_node").map_or(action.attr("on_node_uuid"), |_| Some(node));
        let state = self.cib.node_state(node, id);
        let Some(history) = self.cib.history(state, rsc, config_id, &agent) else { return false };
        let interval = if interval_ms == 0 { String::new() } else { format!("={interval_ms}") };
        let text = format!("Resource action: {rsc:<15} {task}{interval} on {node}");
        let mut record = Record::new("rsc_action", text, &[("resource", rsc), ("op", task), ("node", node)]);
        if interval_ms > 0 {
            record = record.with("interval", interval_ms.to_string());
        }
        self.out.records.push(record);
        let mut outcome = Outcome {
            rsc: config_id.to_string(),
            task: task.to_string(),
            interval_ms,
            node: node.to_string(),
            exit: target,
            target,
            reason: "User-injected result",
            when_s: self.when_s,
            params,
        };
        let failure = self.wanted_failure(rsc, &outcome);
        if let Some((name, exit)) = &failure {
            outcome.exit = *exit;
            let text = format!("Pretending action {} failed with rc={exit}", action.attr("id").unwrap_or(""));
            self.say("", text, &[]);
            let counted = Outcome { rsc: name.clone(), ..outcome.clone() };
            let fatal = self.is_fatal(task);
            let set = self.cib.count_failure(state, &counted, fatal);
            self.out.records.extend(self.cib.attribute_records(state, &set));
        }
        self.cib.record(history, &outcome);
        self.cib.commit();
        failure.is_some()
    }

    fn is_fatal(&self, task: &str) -> bool {
        let name = match task {
            "start" => "failed-start-offset",
            "stop" => "failed-stop-offset",
            _ => return false,
        };
        let offset = self.graph.root_element().attr(name).unwrap_or("INFINITY");
        offset.parse::<base::Score>().is_ok_and(|s| add_scores(s.value(), 0) >= INFINITY as i32)
    }

    /// Name under which, and exit status with which, an operation is to fail.
    fn wanted_failure(&mut self, rsc: &str, outcome: &Outcome) -> Option<(String, i32)> {
        let matches = |spec: &str, name: &str| {
            let start = format!("{name}_{}_{}@{}=", outcome.task, outcome.interval_ms, outcome.node);
            spec.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(&start))
        };
        for spec in self.fail {
            let Some(name) = [rsc, outcome.rsc.as_str()].into_iter().find(|name| matches(spec, name)) else {
                continue;
            };
            match spec.split_once('=').and_then(|(_, code)| leading_int(code)) {
                Some((code, _)) => return Some((name.to_string(), code as i32)),
                None => self
                    .out
                    .errors
                    .push(format!("Invalid failed operation '{spec}' (result code must be integer)")),
            }
        }
        None
    }
}

fn parameters(action: Element<'_>) -> BTreeMap<Str, Str> {
    let mut out = BTreeMap::new();
    let Some(attributes) = action.child("attributes") else { return out };
    for (name, value) in attributes.attrs() {
        out.insert(Str::from(name), Str::from(value));
    }
    for param in attributes.children_named("param") {
        if let (Some(name), Some(value)) = (param.attr("name"), param.attr("value")) {
            out.insert(Str::from(name), Str::from(value));
        }
    }
    out
}
