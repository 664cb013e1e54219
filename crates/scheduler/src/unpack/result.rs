//! What the result of one recorded operation means for its resource.

use super::reader::{LAST_FAILURE, OpText};
use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{Str, ms_to_s, parse_int, parse_transition_key, parse_uint};
use xml::NodeId;

/// Execution status of an operation.
pub mod exec {
    pub const PENDING: i32 = -1;
    pub const DONE: i32 = 0;
    pub const CANCELLED: i32 = 1;
    pub const NOT_SUPPORTED: i32 = 3;
    pub const ERROR: i32 = 4;
    pub const ERROR_HARD: i32 = 5;
    pub const ERROR_FATAL: i32 = 6;
    pub const NOT_INSTALLED: i32 = 7;
    pub const NOT_CONNECTED: i32 = 8;
    pub const NO_FENCE_DEVICE: i32 = 10;
    pub const NO_SECRETS: i32 = 11;
    pub const MAX: i32 = 11;
}

/// Exit status of an agent.
pub mod ocf {
    pub const OK: i32 = 0;
    pub const INVALID_PARAM: i32 = 2;
    pub const UNIMPLEMENTED: i32 = 3;
    pub const INSUFFICIENT_PRIV: i32 = 4;
    pub const NOT_INSTALLED: i32 = 5;
    pub const NOT_CONFIGURED: i32 = 6;
    pub const NOT_RUNNING: i32 = 7;
    pub const RUNNING_PROMOTED: i32 = 8;
    pub const FAILED_PROMOTED: i32 = 9;
    pub const DEGRADED: i32 = 190;
    pub const DEGRADED_PROMOTED: i32 = 191;
    pub const UNKNOWN: i32 = 193;
}

/// One operation of a resource's history.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub rsc: RscIx,
    pub node: NodeIx,
    pub xml: NodeId,
    pub task: &'static str,
    pub interval_ms: u32,
    /// A monitor that does not recur.
    pub probe: bool,
    /// A probe whose failure only says that the resource cannot be there.
    masked: bool,
    /// The entry that is kept for the last failure.
    last_failure: bool,
    pub expected: i32,
    pub exit: i32,
    pub status: i32,
}

const TASKS: [&str; 8] =
    ["monitor", "start", "stop", "promote", "demote", "migrate_to", "migrate_from", "asyncmon"];

impl Cluster {
    pub(super) fn unpack_op(
        &mut self,
        (op, text): (NodeId, OpText<'_>),
        rsc: RscIx,
        node: NodeIx,
        last_failure: &mut Option<NodeId>,
        on_fail: &mut OnFail,
    ) {
        let Some(mut history) = self.read_op(op, text, rsc, node) else { return };
        let expired = self.op_expired(&mut history);
        let old_exit = history.exit;
        self.remap(&mut history, on_fail, expired);
        if expired && self.settle_expired(&history, old_exit) {
            return;
        }
        if self.masks_probe_failure(&history) {
            self.mask_probe_failure(&history, *last_failure, on_fail);
            return;
        }
        let parent = if self.rscs[rsc].is(rf::UNIQUE) { rsc } else { self.uber_parent(rsc) };
        match history.status {
            exec::PENDING => return self.note_pending(&history, *last_failure),
            exec::DONE => return self.update_state(&history, history.exit, *last_failure, on_fail),
            exec::NOT_INSTALLED => {
                let (strategy, fail_role) = self.failure_handling(&history);
                if strategy == OnFail::Ignore {
                    *on_fail = OnFail::Ban;
                }
                self.location(parent, Some(node), -base::INFINITY, "hard-error");
                return self.note_failure(&history, strategy, fail_role, last_failure, on_fail);
            }
            exec::NOT_CONNECTED => {
                let connection = self.nodes[node].remote.filter(|_| self.nodes[node].is_remote);
                if let Some(r) = connection.filter(|r| self.rscs[*r].is(rf::MANAGED)) {
                    self.rscs[r].flags |= rf::FAILED | rf::STOP_IF_FAILED;
                }
            }
            _ => {}
        }
        self.handle_failure(&history, parent, last_failure, on_fail);
    }

    fn handle_failure(
        &mut self,
        history: &History,
        parent: RscIx,
        last_failure: &mut Option<NodeId>,
        on_fail: &mut OnFail,
    ) {
        let (rsc, node) = (history.rsc, history.node);
        let (strategy, fail_role) = self.failure_handling(history);
        let container_stop = strategy == OnFail::RestartContainer && history.task == "stop";
        if strategy == OnFail::Ignore || container_stop {
            self.warn(format!(
                "Pretending failed {} of {} on {} succeeded",
                history.task, self.rscs[rsc].id, self.nodes[node].name
            ));
            self.update_state(history, history.expected, *last_failure, on_fail);
            self.rscs[rsc].flags |= rf::IGNORE_FAILURE;
            self.record_failed(history);
            if strategy == OnFail::RestartContainer && *on_fail <= OnFail::Restart {
                *on_fail = strategy;
            }
            return;
        }
        self.note_failure(history, strategy, fail_role, last_failure, on_fail);
        if history.status == exec::ERROR_HARD {
            self.location(parent, Some(node), -base::INFINITY, "hard-error");
        } else if history.status == exec::ERROR_FATAL {
            let id = self.rscs[parent].id.clone();
            self.error(format!("Preventing {id} from restarting anywhere because of fatal failure"));
            self.location(parent, None, -base::INFINITY, "fatal-error");
        }
    }

    fn read_op(&mut self, op: NodeId, text: OpText<'_>, rsc: RscIx, node: NodeIx) -> Option<History> {
        let OpText { id, task, status, exit, interval, key } = text;
        let (id, task) = (id?, task?);
        let task = TASKS.into_iter().find(|known| *known == task)?;
        let number = |text: Option<&str>, low: i64, high: i64| {
            text.and_then(parse_int).filter(|v| (low..=high).contains(v)).map(|v| v as i32)
        };
        let (raw_status, raw_exit) = (status.and_then(parse_int), exit.and_then(parse_int));
        let status = number(status, i64::from(exec::PENDING), i64::from(exec::MAX));
        let Some(status) = status.filter(|s| *s != exec::CANCELLED) else {
            self.error(format!("Ignoring resource history entry {id} with invalid op-status"));
            return None;
        };
        let Some(exit) = number(exit, 0, 255) else {
            self.error(format!("Ignoring resource history entry {id} with invalid rc-code"));
            return None;
        };
        let interval_ms = parse_uint(interval);
        let probe = task == "monitor" && interval_ms == 0;
        Some(History {
            rsc,
            node,
            xml: op,
            task,
            interval_ms,
            probe,
            masked: probe
                && (matches!(raw_exit, Some(2 | 5)) || raw_status == Some(i64::from(exec::NOT_INSTALLED))),
            last_failure: id.ends_with(LAST_FAILURE),
            expected: key.and_then(parse_transition_key).map_or(-1, |k| k.target_rc),
            exit,
            status,
        })
    }

    /// Operation key of a history entry (its id in old entries).
    pub fn op_key_of(&self, op: NodeId) -> &str {
        self.doc.attr(op, "operation_key").or_else(|| self.doc.attr(op, "id")).unwrap_or("")
    }

    /// Expected exit status of a history entry; -1 if it is not recorded.
    pub fn target_rc(&self, op: NodeId) -> i32 {
        let key = self.doc.attr(op, "transition-key").and_then(parse_transition_key);
        key.map_or(-1, |k| k.target_rc)
    }

    fn is_probe(&self, op: NodeId) -> bool {
        self.doc.attr(op, "operation") == Some("monitor") && parse_uint(self.doc.attr(op, "interval")) == 0
    }

    /// A probe whose failure only says that the resource cannot be there.
    pub fn is_masked_probe(&self, op: NodeId) -> bool {
        let number = |name: &str| self.doc.attr(op, name).and_then(parse_int);
        self.is_probe(op)
            && (matches!(number("rc-code"), Some(2 | 5))
                || number("op-status") == Some(i64::from(exec::NOT_INSTALLED)))
    }

    fn masks_probe_failure(&self, history: &History) -> bool {
        history.masked && !self.is_bundled(history.rsc)
    }

    /// Adds a failure to the list that status displays show.
    fn record_failed(&mut self, history: &History) {
        if !self.nodes[history.node].online {
            return;
        }
        let node = self.nodes[history.node].name.clone();
        let key = self.op_key_of(history.xml);
        let known =
            self.failed.iter().any(|f| self.op_key_of(f.xml) == key && f.node.eq_ignore_ascii_case(&node));
        if !known {
            let rsc = self.rscs[history.rsc].id.clone();
            self.failed.push(crate::cluster::FailedOp { xml: history.xml, node, rsc });
        }
    }

    fn failure_handling(&mut self, history: &History) -> (OnFail, Role) {
        let (rsc, task) = (history.rsc, history.task);
        let config = self.op_config(rsc, task, history.interval_ms, true).map(|op| op.xml);
        let meta = self.action_meta(rsc, Some(history.node), task, history.interval_ms, config);
        let on_fail = self.parse_on_fail(rsc, task, history.interval_ms, meta.get("on-fail"));
        (on_fail, self.role_after_failure(rsc, task, on_fail))
    }

    fn note_failure(
        &mut self,
        history: &History,
        strategy: OnFail,
        fail_role: Role,
        last_failure: &mut Option<NodeId>,
        on_fail: &mut OnFail,
    ) {
        let (rsc, node) = (history.rsc, history.node);
        *last_failure = Some(history.xml);
        let is_probe = history.probe;
        if self.config.symmetric || history.exit != ocf::NOT_INSTALLED {
            let what = if is_probe { "probe" } else { history.task };
            self.situation(format!(
                "Unexpected result ({}) was recorded for {what} of {} on {}",
                base::ExitCode(history.exit).text(),
                self.rscs[rsc].id,
                self.nodes[node].name
            ));
            self.record_failed(history);
        }
        *on_fail = (*on_fail).max(strategy);
        match history.task {
            "stop" => self.location(rsc, Some(node), -base::INFINITY, "__stop_fail__"),
            "migrate_to" => self.migrate_to_failed(history),
            "migrate_from" => self.migrate_from_failed(history),
            "promote" => self.rscs[rsc].role = Role::Promoted,
            "demote" if strategy == OnFail::Block => {
                self.rscs[rsc].role = Role::Promoted;
                self.set_next_role(rsc, Role::Stopped);
            }
            "demote" if history.exit == ocf::NOT_RUNNING => self.rscs[rsc].role = Role::Stopped,
            "demote" => self.rscs[rsc].role = Role::Unpromoted,
            _ => {}
        }
        if is_probe && history.exit == ocf::NOT_INSTALLED {
            self.rscs[rsc].role = Role::Stopped;
        } else if self.rscs[rsc].role < Role::Started {
            self.set_active(rsc);
        }
        if fail_role != Role::Started && self.rscs[rsc].next_role < fail_role {
            self.set_next_role(rsc, fail_role);
        }
        if fail_role == Role::Stopped {
            self.ban_everywhere(rsc);
        }
    }

    pub(super) fn set_active(&mut self, rsc: RscIx) {
        let promotable = self.rscs[self.top_of(rsc, false)].is(rf::PROMOTABLE);
        self.rscs[rsc].role = if promotable { Role::Unpromoted } else { Role::Started };
    }

    fn ban_everywhere(&mut self, rsc: RscIx) {
        let parent = self.uber_parent(rsc);
        let banned =
            if self.rscs[rsc].parent.is_some() && self.is_anonymous_clone(parent) { parent } else { rsc };
        let mut row = self.full_row();
        for cell in &mut row {
            cell.score = -base::INFINITY;
        }
        self.replace_row(banned, row, "a stop failed and cannot be made up for by fencing");
    }

    fn block_if_unrecoverable(&mut self, history: &History) {
        if history.task != "stop" || self.can_fence(Some(history.node)) {
            return;
        }
        let text = format!(
            "No further recovery can be attempted for {} because {} on {} failed",
            self.rscs[history.rsc].id, history.task, self.nodes[history.node].name
        );
        self.error(text);
        self.rscs[history.rsc].flags &= !rf::MANAGED;
        self.rscs[history.rsc].flags |= rf::BLOCKED;
    }

    /// Brings exit and execution status of all kinds of histories to what they amount to.
    fn remap(&mut self, history: &mut History, on_fail: &mut OnFail, expired: bool) {
        let node = &self.nodes[history.node];
        let effective = match history.exit {
            ocf::DEGRADED => ocf::OK,
            ocf::DEGRADED_PROMOTED => ocf::RUNNING_PROMOTED,
            other => other,
        };
        if effective != history.exit {
            history.exit = effective;
            if !expired && (!node.shutdown || node.online) {
                self.record_failed(history);
            }
        }
        if self.masks_probe_failure(history)
            && (history.status != exec::DONE || history.exit != ocf::NOT_RUNNING)
        {
            history.status = exec::DONE;
            history.exit = ocf::NOT_RUNNING;
        }
        match history.status {
            exec::DONE | exec::ERROR => {}
            exec::NO_FENCE_DEVICE | exec::NO_SECRETS => {
                history.status = exec::ERROR_HARD;
                return;
            }
            _ => return,
        }
        let is_probe = history.probe;
        history.status =
            if history.expected >= 0 && history.exit == history.expected { exec::DONE } else { exec::ERROR };
        self.remap_exit(history, on_fail, expired, is_probe);
    }

    fn remap_exit(&mut self, history: &mut History, on_fail: &mut OnFail, expired: bool, is_probe: bool) {
        let rsc = history.rsc;
        match history.exit {
            ocf::OK => {
                if is_probe && history.expected == ocf::NOT_RUNNING {
                    history.status = exec::DONE;
                }
            }
            ocf::NOT_RUNNING => {
                if is_probe || history.expected == history.exit || !self.rscs[rsc].is(rf::MANAGED) {
                    history.status = exec::DONE;
                    self.rscs[rsc].role = Role::Stopped;
                    *on_fail = OnFail::Ignore;
                    self.set_next_role(rsc, Role::Unknown);
                }
            }
            ocf::RUNNING_PROMOTED => {
                if is_probe && history.exit != history.expected {
                    history.status = exec::DONE;
                }
                if !expired || history.exit == history.expected {
                    self.rscs[rsc].role = Role::Promoted;
                }
            }
            ocf::FAILED_PROMOTED => {
                if !expired {
                    self.rscs[rsc].role = Role::Promoted;
                }
                history.status = exec::ERROR;
            }
            ocf::NOT_CONFIGURED => history.status = exec::ERROR_FATAL,
            ocf::UNIMPLEMENTED if history.interval_ms > 0 => history.status = exec::NOT_SUPPORTED,
            ocf::UNIMPLEMENTED | ocf::NOT_INSTALLED | ocf::INVALID_PARAM | ocf::INSUFFICIENT_PRIV => {
                if !expired {
                    self.block_if_unrecoverable(history);
                }
                history.status = exec::ERROR_HARD;
            }
            _ => {
                if history.status == exec::DONE {
                    history.status = exec::ERROR;
                }
            }
        }
    }

    /// Whether a failure is so old that it does not count any more. Schedules what clears it.
    fn op_expired(&mut self, history: &mut History) -> bool {
        let (rsc, node, op) = (history.rsc, history.node, history.xml);
        let is_last_failure = history.last_failure;
        if history.status == exec::NOT_INSTALLED {
            return false;
        }
        let (mut expired, mut unexpired_count, mut clear) = (false, 0, false);
        let timeout_s = i64::from(ms_to_s(self.rscs[rsc].failure_timeout_ms));
        if timeout_s > 0
            && let Some(last_run) = self.doc.attr(op, "last-rc-change").and_then(parse_int)
        {
            let now = self.now_s();
            expired = now >= last_run.saturating_add(timeout_s) && !self.ignores_failure_timeout(history);
            let count = self.fail_count(node, rsc, true, false, Some(op));
            unexpired_count = count.count;
            let last_failure = count.last_failure_s.saturating_add(timeout_s + 1);
            if unexpired_count != 0 && now < last_failure {
                self.recheck(last_failure);
            }
        }
        if expired {
            if self.fail_count(node, rsc, false, false, Some(op)).count != 0 {
                if unexpired_count == 0 {
                    clear = true;
                } else {
                    expired = false;
                }
            } else if is_last_failure && self.rscs[rsc].remote_reconnect_ms > 0 {
                clear = true;
            }
        }
        if !expired && is_last_failure && self.params_changed(history) {
            clear = true;
        }
        if clear {
            self.clear_after_expiry(rsc, node);
        }
        if expired && history.interval_ms == 0 && history.task == "monitor" {
            let known =
                [ocf::OK, ocf::NOT_RUNNING, ocf::RUNNING_PROMOTED, ocf::DEGRADED, ocf::DEGRADED_PROMOTED];
            expired = !known.contains(&history.exit);
        }
        expired
    }

    fn clear_after_expiry(&mut self, rsc: RscIx, node: NodeIx) {
        let clear = self.clear_failcount(rsc, node);
        if self.config.fencing_enabled
            && self.rscs[rsc].remote_reconnect_ms > 0
            && let Some(remote) = self.find_node(&self.rscs[rsc].id)
        {
            let fence = self.fence_op(remote, None, true, None, false);
            self.order_actions(fence, clear, ar::FIRST_IMPLIES_THEN);
        }
    }

    fn ignores_failure_timeout(&self, history: &History) -> bool {
        let r = &self.rscs[history.rsc];
        r.remote_reconnect_ms > 0
            && self.config.fencing_enabled
            && history.interval_ms != 0
            && history.task == "monitor"
            && self.find_node(&r.id).is_some_and(|n| !self.nodes[n].is(nf::REMOTE_FENCED))
    }

    fn params_changed(&mut self, history: &History) -> bool {
        if history.task != "start" && history.task != "monitor" {
            return false;
        }
        if self.needs_remote_name(history.rsc) {
            self.param_checks.push(crate::cluster::ParamCheck {
                op: history.xml,
                rsc: history.rsc,
                node: history.node,
                last_failure: true,
            });
            return false;
        }
        let result = self.compare_digest(history.rsc, history.xml, history.node);
        !matches!(result, crate::digest::Match::Unknown | crate::digest::Match::Same)
    }

    fn settle_expired(&mut self, history: &History, old_exit: i32) -> bool {
        if self.masks_probe_failure(history) && old_exit != history.expected {
            if self.rscs[history.rsc].role <= Role::Stopped {
                self.rscs[history.rsc].role = Role::Unknown;
            }
            return true;
        }
        if history.exit == history.expected {
            return false;
        }
        if history.interval_ms == 0 {
            return true;
        }
        let node = &self.nodes[history.node];
        if node.online && !node.unclean {
            self.expired_ops.insert(history.xml);
            return true;
        }
        false
    }

    fn mask_probe_failure(&mut self, history: &History, last_failure: Option<NodeId>, on_fail: &mut OnFail) {
        let rsc = history.rsc;
        let banned = if self.rscs[rsc].is(rf::UNIQUE) { rsc } else { self.uber_parent(rsc) };
        self.update_state(history, history.expected, last_failure, on_fail);
        self.record_failed(history);
        self.location(banned, Some(history.node), -base::INFINITY, "masked-probe-failure");
    }

    fn note_pending(&mut self, history: &History, last_failure: Option<NodeId>) {
        if self.failure_is_newer(history, last_failure) {
            return;
        }
        let rsc = history.rsc;
        match history.task {
            "start" => {
                self.rscs[rsc].flags |= rf::START_PENDING;
                self.set_active(rsc);
            }
            "promote" => self.rscs[rsc].role = Role::Promoted,
            "migrate_to" if self.nodes[history.node].unclean => {
                let doc = self.doc.clone();
                let target = doc.attr(history.xml, "migrate_target").and_then(|t| self.find_node(t));
                if let Some(target) = target {
                    self.stop_action(rsc, Some(target), false);
                }
            }
            _ => {}
        }
        let probe = history.probe;
        if self.rscs[rsc].pending_action.is_none() && !probe {
            self.rscs[rsc].pending_action = Some(Str::lit(history.task));
            self.rscs[rsc].pending_node = Some(history.node);
        }
    }

    fn failure_is_newer(&self, history: &History, last_failure: Option<NodeId>) -> bool {
        let Some(failure) = last_failure else { return false };
        let number = |op: NodeId, name: &str| self.doc.attr(op, name).and_then(parse_int);
        let same = self.doc.attr(failure, "operation") == Some(history.task)
            && number(failure, "interval") == Some(i64::from(history.interval_ms));
        let this = number(history.xml, "last-rc-change");
        let other = number(failure, "last-rc-change");
        same && matches!((this, other), (Some(this), Some(other)) if other >= this)
    }

    /// Role after an operation that ended with this exit status.
    fn update_state(
        &mut self,
        history: &History,
        exit: i32,
        last_failure: Option<NodeId>,
        on_fail: &mut OnFail,
    ) {
        let rsc = history.rsc;
        let mut forget = false;
        if exit == ocf::NOT_INSTALLED || self.masks_probe_failure(history) {
            self.rscs[rsc].role = Role::Stopped;
        } else if exit == ocf::NOT_RUNNING {
            forget = true;
        } else {
            match history.task {
                "monitor" => {
                    forget = last_failure.is_some_and(|f| self.op_key_of(f) == self.op_key_of(history.xml));
                    if self.rscs[rsc].role < Role::Started {
                        self.set_active(rsc);
                    }
                }
                "start" | "migrate_from" => {
                    self.rscs[rsc].role = Role::Started;
                    forget = true;
                }
                "stop" => {
                    self.rscs[rsc].role = Role::Stopped;
                    forget = true;
                }
                "promote" => {
                    self.rscs[rsc].role = Role::Promoted;
                    forget = true;
                }
                "demote" => {
                    forget = *on_fail == OnFail::Demote;
                    self.rscs[rsc].role = Role::Unpromoted;
                }
                "migrate_to" => self.migrate_to_succeeded(history),
                _ if self.rscs[rsc].role < Role::Started => self.set_active(rsc),
                _ => {}
            }
        }
        let forgettable = match *on_fail {
            OnFail::Stop | OnFail::Ban | OnFail::Standby | OnFail::Fence => false,
            OnFail::ResetRemote => self.rscs[rsc].remote_reconnect_ms == 0,
            _ => true,
        };
        if forget && forgettable {
            *on_fail = OnFail::Ignore;
            self.set_next_role(rsc, Role::Unknown);
        }
    }
}
