//! Queues, recurrences and deadlines.

use std::collections::{BTreeMap, VecDeque};

use crate::operation::{Finish, FinishStatus, Operation, Report};

/// How long a killed agent may take to disappear before its operation is reported anyway, in ms.
const KILL_GRACE_MS: u64 = 5_000;
/// Most operations that wait for one resource.
const MAX_QUEUED: usize = 256;

/// A wish to the driver.
#[derive(Debug)]
pub enum Output {
    /// Run the agent; answer with [`Executor::finished`].
    Run { call_id: i32, operation: Operation },
    /// End the agent and all that it started.
    Kill { call_id: i32 },
    /// Write a result into the history.
    Report(Box<Report>),
}

#[derive(Debug)]
struct Waiting {
    operation: Operation,
    call_id: i32,
    queued_ms: u64,
    not_before_ms: u64,
}

#[derive(Debug)]
struct Running {
    operation: Operation,
    call_id: i32,
    queue_ms: u64,
    started_ms: u64,
    started_wall_s: i64,
    deadline_ms: u64,
    timed_out: bool,
    cancelled: bool,
}

#[derive(Debug)]
struct Recurring {
    operation: Operation,
    call_id: i32,
    due_ms: u64,
    /// Last reported result, to report changes only.
    last: Option<(i32, bool, FinishStatus)>,
    last_change_s: i64,
}

#[derive(Debug, Default)]
struct Resource {
    queue: VecDeque<Waiting>,
    running: Option<Running>,
    recurring: Vec<Recurring>,
}

/// The local executor.
#[derive(Debug, Default)]
pub struct Executor {
    resources: BTreeMap<String, Resource>,
    outputs: VecDeque<Output>,
    last_call: i32,
}

impl Executor {
    pub fn new() -> Self {
        Executor::default()
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Executor::handle_timeout`] is due, in ms of the monotonic clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        let times = self.resources.values().flat_map(|resource| {
            let running = resource.running.as_ref().map(|running| running.deadline_ms);
            // While something runs nothing else can start.
            let idle = resource.running.is_none();
            let queued = resource.queue.front().filter(|_| idle).map(|waiting| waiting.not_before_ms);
            let due = resource.recurring.iter().filter(|_| idle).map(|recurring| recurring.due_ms).min();
            [running, queued, due]
        });
        times.flatten().min()
    }

    /// Takes an operation; gives its call id, or `None` when too many wait for this resource.
    pub fn execute(&mut self, now_ms: u64, wall_s: i64, operation: Operation) -> Option<i32> {
        let id = operation.resource.clone();
        let resource = self.resources.entry(id.clone()).or_default();
        if resource.queue.len() >= MAX_QUEUED {
            return None;
        }
        self.last_call = self.last_call.checked_add(1).unwrap_or(1);
        let call_id = self.last_call;
        if operation.interval_ms > 0 {
            // The same operation again replaces the old one; its result is reported afresh.
            resource.recurring.retain(|old| !same(&old.operation, &operation));
        } else if operation.name == "stop" {
            resource.recurring.clear();
        }
        let not_before_ms = now_ms.saturating_add(operation.start_delay_ms);
        resource.queue.push_back(Waiting { operation, call_id, queued_ms: now_ms, not_before_ms });
        self.advance(&id, now_ms, wall_s);
        Some(call_id)
    }

    /// Stops a recurring operation. Gives it back if there was one.
    pub fn cancel(&mut self, resource: &str, name: &str, interval_ms: u64) -> Option<(i32, Operation)> {
        let entry = self.resources.get_mut(resource)?;
        let fits = |op: &Operation| op.name == name && op.interval_ms == interval_ms;
        entry.queue.retain(|waiting| !(fits(&waiting.operation) && interval_ms > 0));
        if let Some(running) = entry.running.as_mut().filter(|running| fits(&running.operation)) {
            running.cancelled = true;
        }
        let place = entry.recurring.iter().position(|recurring| fits(&recurring.operation))?;
        let found = entry.recurring.remove(place);
        Some((found.call_id, found.operation))
    }

    /// Forgets a resource: what recurs is ended.
    pub fn forget(&mut self, resource: &str) {
        if let Some(entry) = self.resources.get_mut(resource) {
            entry.recurring.clear();
            entry.queue.retain(|waiting| waiting.operation.interval_ms == 0);
            if let Some(running) = entry.running.as_mut().filter(|running| running.operation.interval_ms > 0)
            {
                running.cancelled = true;
            }
        }
    }

    /// Makes all recurring operations of a resource due now (something about it has changed).
    pub fn recheck(&mut self, resource: &str, now_ms: u64, wall_s: i64) {
        if let Some(entry) = self.resources.get_mut(resource) {
            for recurring in &mut entry.recurring {
                recurring.due_ms = now_ms;
            }
        }
        self.advance(resource, now_ms, wall_s);
    }

    /// An agent has ended.
    pub fn finished(&mut self, now_ms: u64, wall_s: i64, call_id: i32, finish: Finish) {
        let id = self.resources.iter().find_map(|(id, resource)| {
            resource.running.as_ref().filter(|running| running.call_id == call_id).map(|_| id.clone())
        });
        let Some(id) = id else { return };
        let Some(running) = self.resources.get_mut(&id).and_then(|resource| resource.running.take()) else {
            return;
        };
        self.end(&id, running, finish, now_ms, wall_s);
        self.advance(&id, now_ms, wall_s);
    }

    fn end(&mut self, id: &str, running: Running, finish: Finish, now_ms: u64, wall_s: i64) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let result = (finish.rc, running.timed_out, finish.status);
        let mut report = Report {
            call_id: running.call_id,
            timed_out: running.timed_out,
            cancelled: running.cancelled,
            last_rc_change_s: running.started_wall_s,
            exec_ms: now_ms.saturating_sub(running.started_ms),
            queue_ms: running.queue_ms,
            finish: Some(finish),
            operation: running.operation,
        };
        if report.operation.interval_ms > 0 {
            if running.cancelled {
                return;
            }
            let due_ms = now_ms.saturating_add(report.operation.interval_ms);
            match resource.recurring.iter_mut().find(|r| same(&r.operation, &report.operation)) {
                Some(known) => {
                    known.due_ms = due_ms;
                    let unchanged = known.last == Some(result);
                    known.last = Some(result);
                    if unchanged {
                        return;
                    }
                    // All results of it have one call id, so their seconds alone tell the scheduler which is the newer.
                    known.last_change_s = wall_s.max(known.last_change_s.saturating_add(1));
                    report.last_rc_change_s = known.last_change_s;
                }
                None => resource.recurring.push(Recurring {
                    operation: report.operation.clone(),
                    call_id: report.call_id,
                    due_ms,
                    last: Some(result),
                    last_change_s: wall_s,
                }),
            }
        }
        self.outputs.push_back(Output::Report(Box::new(report)));
    }

    pub fn handle_timeout(&mut self, now_ms: u64, wall_s: i64) {
        let ids: Vec<String> = self.resources.keys().cloned().collect();
        for id in ids {
            self.expire(&id, now_ms, wall_s);
            self.advance(&id, now_ms, wall_s);
        }
    }

    fn expire(&mut self, id: &str, now_ms: u64, wall_s: i64) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        let Some(running) = resource.running.as_mut().filter(|running| running.deadline_ms <= now_ms) else {
            return;
        };
        if !running.timed_out {
            running.timed_out = true;
            running.deadline_ms = now_ms.saturating_add(KILL_GRACE_MS);
            self.outputs.push_back(Output::Kill { call_id: running.call_id });
            return;
        }
        // It was killed and is still not gone: report what is known, so that the cluster goes on.
        if let Some(running) = resource.running.take() {
            let reason = "the agent could not be killed".to_string();
            let finish = Finish { status: FinishStatus::Error, rc: 1, exit_reason: reason };
            self.end(id, running, finish, now_ms, wall_s);
        }
    }

    /// Starts what may start: first what was asked for, then what recurs.
    fn advance(&mut self, id: &str, now_ms: u64, wall_s: i64) {
        let Some(resource) = self.resources.get_mut(id) else { return };
        if resource.running.is_some() {
            return;
        }
        let waiting = match resource.queue.front() {
            Some(front) if front.not_before_ms <= now_ms => resource.queue.pop_front(),
            Some(_) => return,
            None => due(&resource.recurring, now_ms),
        };
        let Some(Waiting { operation, call_id, queued_ms, .. }) = waiting else { return };
        let running = Running {
            call_id,
            queue_ms: now_ms.saturating_sub(queued_ms),
            started_ms: now_ms,
            started_wall_s: wall_s,
            deadline_ms: now_ms.saturating_add(operation.timeout_ms),
            timed_out: false,
            cancelled: false,
            operation: operation.clone(),
        };
        if operation.is_change() {
            self.outputs.push_back(Output::Report(Box::new(started(&running, wall_s))));
        }
        resource.running = Some(running);
        self.outputs.push_back(Output::Run { call_id, operation });
    }
}

fn due(recurring: &[Recurring], now_ms: u64) -> Option<Waiting> {
    let next = recurring.iter().filter(|recurring| recurring.due_ms <= now_ms).min_by_key(|r| r.due_ms)?;
    Some(Waiting {
        operation: next.operation.clone(),
        call_id: next.call_id,
        queued_ms: now_ms,
        not_before_ms: now_ms,
    })
}

fn started(running: &Running, wall_s: i64) -> Report {
    Report {
        operation: running.operation.clone(),
        call_id: running.call_id,
        finish: None,
        timed_out: false,
        cancelled: false,
        last_rc_change_s: wall_s,
        exec_ms: 0,
        queue_ms: running.queue_ms,
    }
}

fn same(left: &Operation, right: &Operation) -> bool {
    left.name == right.name && left.interval_ms == right.interval_ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Agent;

    fn op(name: &str, interval_ms: u64) -> Operation {
        Operation {
            resource: "r".into(),
            agent: Agent { class: "ocf".into(), provider: Some("heartbeat".into()), kind: "Dummy".into() },
            name: name.into(),
            interval_ms,
            timeout_ms: 1_000,
            start_delay_ms: 0,
            parameters: Vec::new(),
            transition_key: "1:1:0:u".into(),
            target_rc: 0,
            is_instant: false,
        }
    }

    fn done(rc: i32) -> Finish {
        Finish { status: FinishStatus::Done, rc, exit_reason: String::new() }
    }

    fn drain(executor: &mut Executor) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(output) = executor.poll_output() {
            seen.push(match output {
                Output::Run { operation, .. } => format!("run {}", operation.name),
                Output::Kill { .. } => "kill".into(),
                Output::Report(report) => match report.finish {
                    Some(finish) => {
                        format!("report {} {} {}", report.operation.name, finish.rc, report.timed_out)
                    }
                    None => format!("pending {}", report.operation.name),
                },
            });
        }
        seen
    }

    #[test]
    fn one_at_a_time_and_recurring_results_only_when_they_change() {
        let mut executor = Executor::new();
        executor.execute(0, 0, op("start", 0));
        executor.execute(0, 0, op("monitor", 100));
        assert_eq!(drain(&mut executor), ["pending start", "run start"]);
        executor.finished(5, 0, 1, done(0));
        assert_eq!(drain(&mut executor), ["report start 0 false", "run monitor"]);
        executor.finished(10, 0, 2, done(0));
        assert_eq!(drain(&mut executor), ["report monitor 0 false"]);
        assert_eq!(executor.poll_timeout(), Some(110));
        executor.handle_timeout(110, 0);
        assert_eq!(drain(&mut executor), ["run monitor"]);
        executor.finished(111, 0, 2, done(0));
        assert!(drain(&mut executor).is_empty());
        executor.handle_timeout(211, 0);
        executor.finished(212, 9, 2, done(7));
        assert_eq!(drain(&mut executor), ["run monitor", "report monitor 7 false"]);
    }

    /// Otherwise the scheduler takes the older one, and a failure right after a start stays unseen.
    #[test]
    fn results_of_one_second_have_an_order() {
        let mut executor = Executor::new();
        executor.execute(0, 17, op("monitor", 100));
        executor.finished(1, 17, 1, done(0));
        executor.handle_timeout(101, 17);
        executor.finished(102, 17, 1, done(7));
        executor.handle_timeout(202, 17);
        executor.finished(203, 17, 1, done(0));
        executor.handle_timeout(303, 40);
        executor.finished(304, 40, 1, done(7));
        let seconds: Vec<i64> = std::iter::from_fn(|| executor.poll_output())
            .filter_map(|output| match output {
                Output::Report(report) => Some(report.last_rc_change_s),
                _ => None,
            })
            .collect();
        assert_eq!(seconds, [17, 18, 19, 40]);
    }

    #[test]
    fn a_hanging_agent_is_killed_and_reported() {
        let mut executor = Executor::new();
        executor.execute(0, 0, op("start", 0));
        drain(&mut executor);
        executor.handle_timeout(1_000, 0);
        assert_eq!(drain(&mut executor), ["kill"]);
        executor.finished(1_001, 0, 1, done(137));
        assert_eq!(drain(&mut executor), ["report start 137 true"]);
        executor.execute(2_000, 0, op("stop", 0));
        drain(&mut executor);
        executor.handle_timeout(3_000, 0);
        executor.handle_timeout(8_000, 0);
        assert_eq!(drain(&mut executor), ["kill", "report stop 1 true"]);
    }

    #[test]
    fn stop_ends_what_recurs() {
        let mut executor = Executor::new();
        executor.execute(0, 0, op("monitor", 100));
        executor.finished(1, 0, 1, done(0));
        executor.execute(2, 0, op("stop", 0));
        executor.finished(3, 0, 2, done(0));
        drain(&mut executor);
        assert_eq!(executor.poll_timeout(), None);
    }

    #[test]
    fn a_cancelled_recurrence_is_silent() {
        let mut executor = Executor::new();
        executor.execute(0, 0, op("monitor", 100));
        executor.finished(1, 0, 1, done(0));
        executor.handle_timeout(101, 0);
        drain(&mut executor);
        assert!(executor.cancel("r", "monitor", 100).is_some());
        executor.finished(102, 0, 1, done(7));
        assert!(drain(&mut executor).is_empty());
        assert_eq!(executor.poll_timeout(), None);
    }
}
