//! Where a resource is after a live migration that may not have ended well.

use super::result::{History, exec, ocf};
use crate::cluster::Cluster;
use crate::model::*;
use crate::text::parse_int;
use std::cmp::Ordering;
use xml::NodeId;

impl Cluster {
    /// The one operation of this kind in a history; `None` if there is none or more than one.
    fn find_lrm_op(
        &mut self,
        rsc: &str,
        task: &str,
        node: &str,
        other: Option<&str>,
        rc: Option<i32>,
    ) -> Option<NodeId> {
        let doc = self.doc.clone();
        let peer = match task {
            "migrate_to" => Some("migrate_target"),
            "migrate_from" => Some("migrate_source"),
            _ => None,
        };
        let mut found = Vec::new();
        for entry in self.lrm_resources(node, rsc) {
            for op in doc.element(entry).children().filter(|e| e.name() == "lrm_rsc_op") {
                let fits = op.attr("operation") == Some(task)
                    && match (peer, other) {
                        (Some(peer), Some(other)) => op.attr(peer) == Some(other),
                        _ => true,
                    };
                if fits {
                    found.push(op.id());
                }
            }
        }
        let [op] = found.as_slice() else { return None };
        let number = |name: &str, default: i32| {
            doc.attr(*op, name).and_then(parse_int).unwrap_or(i64::from(default)) as i32
        };
        match rc {
            Some(rc) if number("rc-code", 1) != rc || number("op-status", exec::ERROR) != exec::DONE => None,
            _ => Some(*op),
        }
    }

    fn unknown_on(&mut self, rsc: RscIx, node: &str) -> bool {
        let doc = self.doc.clone();
        let id = self.rscs[rsc].id.clone();
        let known = |op: xml::Element<'_>| {
            op.name() == "lrm_rsc_op"
                && op.attr("rc-code").is_some_and(|rc| parse_int(rc) != Some(i64::from(ocf::UNKNOWN)))
        };
        !self.lrm_resources(node, &id).iter().any(|entry| doc.element(*entry).children().any(known))
    }

    fn newer(&self, a: NodeId, b: NodeId) -> bool {
        self.compare_ops(a, b) == Ordering::Greater
    }

    fn non_monitor_after(&mut self, rsc: &str, node: &str, op: NodeId) -> bool {
        let doc = self.doc.clone();
        let entries = self.lrm_resources(node, rsc);
        let [entry] = entries.as_slice() else { return false };
        doc.element(*entry).children().filter(|e| e.name() == "lrm_rsc_op" && e.id() != op).any(|e| {
            matches!(e.attr("operation"), Some("start" | "stop" | "migrate_to" | "migrate_from"))
                && self.newer(e.id(), op)
        })
    }

    fn newer_state_after(&mut self, rsc: &str, node: &str, to: Option<NodeId>, from: Option<NodeId>) -> bool {
        let doc = self.doc.clone();
        let Some(mut op) = from.or(to) else { return false };
        let source = doc.attr(op, "migrate_source");
        if let Some(to) = to.filter(|to| *to != op)
            && source.is_some_and(|s| s.eq_ignore_ascii_case(node))
        {
            op = to;
        }
        if self.non_monitor_after(rsc, node, op) {
            return true;
        }
        let monitor = self.find_lrm_op(rsc, "monitor", node, None, Some(ocf::NOT_RUNNING));
        monitor.is_some_and(|m| self.newer(m, op))
    }

    /// Names of source and target; `None` (and a message) if the entry does not fit its node.
    fn migration_nodes(&mut self, history: &History, source: bool) -> Option<(String, String)> {
        let doc = self.doc.clone();
        let (Some(from), Some(to)) =
            (doc.attr(history.xml, "migrate_source"), doc.attr(history.xml, "migrate_target"))
        else {
            self.error(format!(
                "Ignoring resource history entry {} without migrate_source and migrate_target",
                doc.attr(history.xml, "id").unwrap_or("")
            ));
            return None;
        };
        let here = if source { from } else { to };
        if !here.eq_ignore_ascii_case(&self.nodes[history.node].name) {
            self.error(format!(
                "Ignoring resource history entry {} that does not match its node",
                doc.attr(history.xml, "id").unwrap_or("")
            ));
            return None;
        }
        Some((from.to_string(), to.to_string()))
    }

    pub(super) fn migrate_to_succeeded(&mut self, history: &History) {
        let Some((source, target)) = self.migration_nodes(history, true) else { return };
        let (rsc, doc) = (history.rsc, self.doc.clone());
        let id = self.rscs[rsc].id.clone();
        let source_newer = self.non_monitor_after(&id, &source, history.xml);
        let from = self.find_lrm_op(&id, "migrate_from", &target, Some(&source), None);
        let (mut from_rc, mut from_status) = (ocf::OK, exec::PENDING);
        if let Some(from) = from {
            if source_newer {
                return;
            }
            let number = |name: &str| doc.attr(from, name).and_then(parse_int).map(|v| v as i32);
            from_rc = number("rc-code").unwrap_or(from_rc);
            from_status = number("op-status").unwrap_or(from_status);
        }
        let target_newer = self.newer_state_after(&id, &target, Some(history.xml), from);
        if source_newer && target_newer {
            return;
        }
        if from_rc == ocf::OK && from_status == exec::DONE {
            self.rscs[rsc].role = Role::Stopped;
            self.rscs[rsc].dangling.push(history.node);
            return;
        }
        self.rscs[rsc].role = Role::Started;
        let target_node = self.find_node(&target).filter(|n| self.nodes[*n].online);
        let active_on_target = target_node.filter(|_| !target_newer);
        if from_status != exec::PENDING {
            match active_on_target {
                Some(node) => self.add_running(rsc, node, true),
                None => self.failed_migration(rsc),
            }
            return;
        }
        if target_node.is_some() && self.unknown_on(rsc, &target) {
            return;
        }
        if let Some(node) = active_on_target {
            self.add_running(rsc, node, false);
            if let Some(source) = self.find_node(&source).filter(|n| self.nodes[*n].online) {
                self.rscs[rsc].partial_target = Some(node);
                self.rscs[rsc].partial_source = Some(source);
            }
        } else if !source_newer {
            self.failed_migration(rsc);
        }
    }

    fn failed_migration(&mut self, rsc: RscIx) {
        self.rscs[rsc].flags |= rf::FAILED | rf::STOP_IF_FAILED;
        self.rscs[rsc].flags &= !rf::MIGRATABLE;
    }

    pub(super) fn migrate_to_failed(&mut self, history: &History) {
        let Some((source, target)) = self.migration_nodes(history, true) else { return };
        let rsc = history.rsc;
        let id = self.rscs[rsc].id.clone();
        self.rscs[rsc].role = Role::Started;
        let from = self.find_lrm_op(&id, "migrate_from", &target, Some(&source), Some(ocf::OK));
        if !self.unknown_on(rsc, &target) && !self.newer_state_after(&id, &target, Some(history.xml), from) {
            if let Some(node) = self.find_node(&target).filter(|n| self.nodes[*n].online) {
                self.add_running(rsc, node, false);
            }
        } else if !self.non_monitor_after(&id, &source, history.xml) {
            self.rscs[rsc].dangling.push(history.node);
        }
    }

    pub(super) fn migrate_from_failed(&mut self, history: &History) {
        let Some((source, target)) = self.migration_nodes(history, false) else { return };
        let rsc = history.rsc;
        let id = self.rscs[rsc].id.clone();
        self.rscs[rsc].role = Role::Started;
        let to = self.find_lrm_op(&id, "migrate_to", &source, Some(&target), Some(ocf::OK));
        if !self.unknown_on(rsc, &source)
            && !self.newer_state_after(&id, &source, to, Some(history.xml))
            && let Some(node) = self.find_node(&source).filter(|n| self.nodes[*n].online)
        {
            self.add_running(rsc, node, true);
        }
    }
}
