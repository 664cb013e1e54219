//! `relevo why`: why a resource runs where it runs, or does not run, and what would change that.
//!
//! The answer is read off the scheduler's own trail and actions; nothing is decided a second time.

mod causes;
mod command;
mod text;

use scheduler::{Action, Cluster, Decision, NodeIx, Role, RscIx, Variant, af, nf, rf, slot};

pub use command::main;

/// Why one primitive is where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub resource: String,
    /// As in `ocf:heartbeat:IPaddr2`.
    pub agent: String,
    /// Nodes on which it is active now.
    pub active_on: Vec<String>,
    pub role: &'static str,
    /// Where the scheduler wants it, and in which role.
    pub wanted_on: Option<String>,
    pub wanted_role: &'static str,
    /// What holds for the resource as a whole.
    pub reasons: Vec<Reason>,
    pub nodes: Vec<Place>,
}

/// One node, as this resource sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub node: String,
    pub chosen: bool,
    /// Why nothing may run there.
    pub unusable: Option<Reason>,
    pub score: Option<i32>,
    pub steps: Vec<Step>,
}

/// One change of a score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub reason: Reason,
    pub from: Option<i32>,
    pub to: Option<i32>,
}

/// A cause in words, and the command that would take it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Id of the constraint or the scheduler's own word.
    pub cause: String,
    pub text: String,
    pub fix: Option<String>,
}

impl Reason {
    fn new(cause: &str, text: impl Into<String>, fix: Option<String>) -> Reason {
        Reason { cause: cause.to_string(), text: text.into(), fix }
    }
}

/// Answers for a resource: one for each primitive in it. Nothing if there is no such resource.
pub fn explain(decision: &Decision, id: &str) -> Option<Vec<Answer>> {
    let cluster = &decision.cluster;
    let rsc = cluster.find_rsc(id)?;
    let mut primitives = Vec::new();
    collect(cluster, rsc, &mut primitives);
    Some(primitives.into_iter().map(|rsc| answer(cluster, rsc)).collect())
}

/// Answers for everything that is configured.
pub fn explain_all(decision: &Decision) -> Vec<Answer> {
    let cluster = &decision.cluster;
    let mut primitives = Vec::new();
    for rsc in &cluster.top {
        collect(cluster, *rsc, &mut primitives);
    }
    primitives.into_iter().map(|rsc| answer(cluster, rsc)).collect()
}

/// Ids that may be asked for.
pub fn ids(decision: &Decision) -> Vec<String> {
    let cluster = &decision.cluster;
    cluster.rscs.iter().map(|r| r.id.to_string()).collect()
}

fn collect(cluster: &Cluster, rsc: RscIx, out: &mut Vec<RscIx>) {
    let r = &cluster.rscs[rsc];
    if let Some(bundle) = r.bundle.as_ref().filter(|_| r.variant == Variant::Bundle) {
        for replica in &bundle.replicas {
            let parts = [replica.ip, Some(replica.container), replica.remote, replica.child];
            parts.into_iter().flatten().for_each(|part| collect(cluster, part, out));
        }
        return;
    }
    if r.variant == Variant::Primitive {
        out.push(rsc);
    }
    for child in &r.children {
        collect(cluster, *child, out);
    }
}

fn answer(cluster: &Cluster, rsc: RscIx) -> Answer {
    let r = &cluster.rscs[rsc];
    let parts = [&r.class, &r.provider, &r.agent];
    let agent: Vec<&str> = parts.into_iter().flatten().map(|part| &**part).collect();
    let mut steps: Vec<Vec<Step>> = vec![Vec::new(); cluster.nodes.len()];
    for step in cluster.trail.iter().filter(|step| step.rsc == rsc) {
        if let Some(list) = steps.get_mut(usize::from(step.node)) {
            let reason = causes::of_step(cluster, step);
            list.push(Step { reason, from: step.from, to: step.to });
        }
    }
    let place = |node: NodeIx| Place {
        node: cluster.node_name(node).to_string(),
        chosen: r.assigned == Some(node),
        unusable: unusable(cluster, node),
        score: slot(&r.allowed, node).map(|cell| cell.score),
        steps: steps.get(usize::from(node)).cloned().unwrap_or_default(),
    };
    let starts = r.assigned.is_some() && startable(cluster, rsc);
    Answer {
        resource: r.id.to_string(),
        agent: agent.join(":"),
        active_on: r.active_nodes.iter().map(|node| cluster.node_name(*node).to_string()).collect(),
        role: r.role.text(),
        wanted_on: r.assigned.filter(|_| starts).map(|node| cluster.node_name(node).to_string()),
        wanted_role: r.next_role.text(),
        reasons: reasons(cluster, rsc),
        nodes: cluster.node_order.iter().map(|node| place(*node)).collect(),
    }
}

/// Why nothing may run on a node.
fn unusable(cluster: &Cluster, node: NodeIx) -> Option<Reason> {
    if cluster.node_up(node) {
        return None;
    }
    let n = &cluster.nodes[node];
    let name = &n.name;
    Some(if n.unclean {
        let fix = format!("pcs stonith confirm {name}   (only when it is powered off for certain)");
        Reason::new("unclean", "in an unknown state and to be fenced", Some(fix))
    } else if n.shutdown {
        Reason::new("shutdown", "leaving the cluster", None)
    } else if !n.online {
        Reason::new("offline", "offline", Some(format!("pcs cluster start {name}")))
    } else if n.is(nf::FAIL_STANDBY) {
        Reason::new("fail-standby", "in standby, because an operation with on-fail=standby failed", None)
    } else if n.is(nf::STANDBY) {
        Reason::new("standby", "in standby", Some(format!("pcs node unstandby {name}")))
    } else {
        Reason::new("maintenance", "in maintenance", Some(format!("pcs node unmaintenance {name}")))
    })
}

/// What holds for the resource as a whole, the weightiest first.
fn reasons(cluster: &Cluster, rsc: RscIx) -> Vec<Reason> {
    let r = &cluster.rscs[rsc];
    let mut found = Vec::new();
    if r.is(rf::REMOVED) {
        found.push(Reason::new("removed", "it is no longer configured", None));
    }
    if cluster.config.stop_all {
        let fix = "pcs property set stop-all-resources=false".to_string();
        found.push(Reason::new("stop-all-resources", "stop-all-resources is set", Some(fix)));
    }
    if cluster.config.fencing_enabled && !cluster.config.have_fencing {
        let text = "fencing is enabled but no fence device is configured: nothing is started";
        let fix =
            "pcs stonith create …   (or, at the risk of split brain, pcs property set stonith-enabled=false)";
        found.push(Reason::new("no-fencing", text, Some(fix.to_string())));
    } else if !r.is(rf::MANAGED) {
        found.push(unmanaged(cluster, rsc));
    }
    if cluster.is_disabled(rsc) {
        let fix = format!("pcs resource enable {}", cluster.rscs[cluster.top_of(rsc, false)].xml_id);
        found.push(Reason::new("target-role", "it is disabled (target-role=Stopped)", Some(fix)));
    }
    if r.is(rf::BLOCKED) {
        let fix = format!("pcs resource cleanup {}", r.xml_id);
        found.push(Reason::new("blocked", "it is blocked after a failure", Some(fix)));
    }
    found.extend(blocked_actions(cluster, rsc));
    found
}

fn unmanaged(cluster: &Cluster, rsc: RscIx) -> Reason {
    if cluster.config.maintenance {
        let fix = "pcs property set maintenance-mode=false".to_string();
        return Reason::new("maintenance-mode", "the cluster is in maintenance mode", Some(fix));
    }
    let id = &cluster.rscs[rsc].xml_id;
    Reason::new(
        "is-managed",
        "it is not managed: the cluster leaves it as it is",
        Some(format!("pcs resource manage {id}")),
    )
}

/// The start (or promotion) that is wanted, if it is. One that cannot run stays marked as optional.
fn wanted<'a>(cluster: &'a Cluster, rsc: RscIx, task: &str) -> Option<&'a Action> {
    let r = &cluster.rscs[rsc];
    let actions = r.actions.iter().map(|ix| &cluster.actions[*ix]);
    let due = |a: &Action| !a.is(af::OPTIONAL) || !a.is(af::RUNNABLE);
    actions.into_iter().find(|a| a.task == task && a.node.is_some() && a.node == r.assigned && due(a))
}

fn startable(cluster: &Cluster, rsc: RscIx) -> bool {
    wanted(cluster, rsc, "start").is_none_or(|start| start.is(af::RUNNABLE))
}

/// Actions that are wanted but cannot run now.
fn blocked_actions(cluster: &Cluster, rsc: RscIx) -> Vec<Reason> {
    let mut found = Vec::new();
    for task in ["start", "promote"] {
        let Some(action) = wanted(cluster, rsc, task).filter(|a| !a.is(af::RUNNABLE)) else { continue };
        if task == "promote" && cluster.rscs[rsc].next_role < Role::Promoted {
            continue;
        }
        let why = action.reason().map(|r| &**r).unwrap_or("something it needs cannot be done");
        found.push(causes::of_blocked(cluster, task, why));
    }
    found
}
