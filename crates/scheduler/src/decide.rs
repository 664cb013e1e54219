//! The whole run: unpack, constraints, assign, actions, order, graph.

use crate::cluster::{Cluster, Options};
use crate::graph::Graph;
use crate::model::*;
use crate::text::{Str, op_key};
use std::sync::Arc;
use xml::Document;

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The input is not a CIB.
    #[error("the document is <{0}>, not <cib>: give the scheduler a whole CIB")]
    NotACib(String),
    /// The CIB was written by a newer manager.
    #[error("the CIB has feature set {0}, newer than {1}: upgrade this node's manager first")]
    TooNew(String, String),
}

/// What the scheduler decided.
#[derive(Debug)]
pub struct Decision {
    /// Everything it knows, after the decision.
    pub cluster: Cluster,
    pub graph: Graph,
}

/// Highest major feature set that is understood.
const MAX_FEATURE_MAJOR: i64 = 3;

/// Decides what has to be done.
///
/// # Errors
/// When the input is no CIB, or was written by a manager that is too new.
pub fn schedule(cib: &Document, opts: &Options) -> Result<Decision, Error> {
    check_input(cib)?;
    schedule_shared(Arc::new(cib.clone()), opts)
}

/// As [`schedule`], without a copy of the CIB unless the configuration has to be changed.
///
/// # Errors
/// As [`schedule`].
pub fn schedule_shared(cib: Arc<Document>, opts: &Options) -> Result<Decision, Error> {
    check_input(&cib)?;
    Ok(crate::with_deep_stack(|| {
        let mut cluster = Cluster::unpack_shared(cib, opts);
        let graph = cluster.decide();
        Decision { cluster, graph }
    }))
}

/// Refuses what cannot be scheduled.
///
/// # Errors
/// See [`Error`].
pub fn check_input(cib: &Document) -> Result<(), Error> {
    let root = cib.root();
    if cib.name(root) != "cib" {
        return Err(Error::NotACib(cib.name(root).to_string()));
    }
    let version = cib.attr(root, "crm_feature_set").unwrap_or("");
    if crate::text::parse_int(version).unwrap_or(0) > MAX_FEATURE_MAJOR {
        return Err(Error::TooNew(version.to_string(), base::CRM_FEATURE_SET.to_string()));
    }
    Ok(())
}

impl Decision {
    /// The transition as the manager's `<transition_graph>`.
    pub fn to_xml(&self) -> Document {
        self.cluster.graph_xml(&self.graph)
    }

    /// When to schedule again even if nothing happens, in seconds since 1970.
    pub fn recheck_by(&self) -> Option<i64> {
        self.cluster.recheck_by
    }
}

impl Cluster {
    /// Decides, once the cluster is unpacked. To be called once.
    pub fn decide(&mut self) -> Graph {
        self.apply_node_health();
        self.unpack_constraints();
        self.apply_node_criteria();
        self.internal_constraints();
        self.handle_config_changes();
        self.assign_resources();
        self.schedule_actions();
        self.order_remote_actions();
        self.schedule_fencing_and_shutdowns();
        self.apply_orderings();
        self.settle_action_nodes();
        self.create_graph()
    }

    fn schedule_actions(&mut self) {
        self.run_param_checks();
        if self.config.probe_resources {
            self.schedule_probes();
        }
        if self.config.stop_removed_resources {
            for rsc in self.top.clone() {
                self.clear_removed(rsc);
            }
        }
        for rsc in self.top.clone() {
            self.create_actions(rsc);
        }
    }

    fn clear_removed(&mut self, rsc: RscIx) {
        if !self.rscs[rsc].is(rf::REMOVED) {
            return;
        }
        for node in self.node_order.clone() {
            if !self.nodes[node].online || self.fail_count(node, rsc, true, false, None).count == 0 {
                continue;
            }
            let clear = self.clear_failcount(rsc, node);
            let stop = op_key(&self.rscs[rsc].id, "stop", 0);
            self.new_ordering((Some(rsc), None, Some(clear)), (Some(rsc), Some(stop), None), ar::ORDERED);
        }
    }

    fn any_managed(&self, rsc: RscIx) -> bool {
        self.rscs[rsc].is(rf::MANAGED) || self.rscs[rsc].children.iter().any(|c| self.any_managed(*c))
    }

    fn schedule_fencing_and_shutdowns(&mut self) {
        let have_managed = self.top.iter().any(|r| self.any_managed(*r));
        let (mut dc_down, mut fencing, mut shutdowns): (Option<ActIx>, Vec<ActIx>, Vec<ActIx>) =
            Default::default();
        for node in self.node_order.clone() {
            let is_dc = self.dc == Some(node);
            if self.is_guest(node) {
                if self.nodes[node].is(nf::REMOTE_RESET) && have_managed && self.can_fence(Some(node)) {
                    self.fence_guest(node);
                }
                continue;
            }
            if have_managed && self.nodes[node].unclean && self.can_fence(Some(node)) {
                let action = self.fence_op(node, None, false, Some("node is unclean"), false);
                let text = format!("Scheduling node {} for fencing", self.nodes[node].name);
                self.situation(text);
                self.order_vs_fencing(action);
                if is_dc {
                    dc_down = Some(action);
                } else {
                    if let Some(last) = fencing.last().filter(|_| !self.config.concurrent_fencing) {
                        self.order_actions(*last, action, ar::ORDERED);
                    }
                    fencing.push(action);
                }
                continue;
            }
            if !self.nodes[node].is_remote && self.nodes[node].online && self.nodes[node].shutdown {
                let action = self.shutdown_action(node);
                if is_dc {
                    dc_down = Some(action);
                } else {
                    shutdowns.push(action);
                }
            }
            if self.nodes[node].unclean {
                let text = format!("Node {} is unclean but cannot be fenced", self.nodes[node].name);
                self.warn(text);
            }
        }
        let Some(dc_down) = dc_down else { return };
        if self.actions[dc_down].task == "do_shutdown" {
            for shutdown in shutdowns.into_iter().rev() {
                self.order_actions(shutdown, dc_down, ar::ORDERED);
            }
        }
        if self.config.concurrent_fencing {
            for fence in fencing.into_iter().rev() {
                self.order_actions(fence, dc_down, ar::ORDERED);
            }
        } else if let Some(last) = fencing.last() {
            self.order_actions(*last, dc_down, ar::ORDERED);
        }
    }

    /// Name under which an action is shown in a drawing of the graph.
    pub fn action_label(&self, action: ActIx) -> String {
        let a = &self.actions[action];
        let host = match a.node {
            Some(node) => Some(self.nodes[node].name.clone()),
            None if !a.is(af::PSEUDO) => Some(Str::lit("<none>")),
            None => None,
        };
        // An operation may be configured under the name "cancel": then it cancels nothing, but looks like it.
        let (prefix, task) = match a.task == "cancel" {
            true => ("Cancel ", a.cancel_task.as_ref().unwrap_or(&a.task)),
            false => ("", &a.task),
        };
        let with_host = |name: &str| match &host {
            Some(host) => format!("{prefix}{name} {host}"),
            None => format!("{prefix}{name}"),
        };
        if let Some(history) = a.rsc.and_then(|r| self.rscs[r].history_id.as_ref()) {
            let get = |name: &str| a.meta.get(name).unwrap_or("(null)");
            let key = match &*a.task {
                "notify" | "notified" => {
                    crate::text::notify_key(history, get("notify_key_type"), get("notify_key_operation"))
                }
                _ => op_key(history, task, crate::text::parse_uint(a.meta.get("interval"))),
            };
            return with_host(&key);
        }
        match &host {
            _ if a.task == "stonith" => {
                let op = a.meta.get("stonith_action").unwrap_or("");
                format!("{prefix}stonith '{op}' {}", host.unwrap_or_default())
            }
            Some(_) if a.rsc.is_some() => with_host(&a.key),
            Some(_) => with_host(&a.task),
            None => a.key.to_string(),
        }
    }
}
