//! Causes in words.

use scheduler::{Cluster, Colocation, Step as Trace};

use super::Reason;

/// The scheduler's own words for causes: word, what it means, command that takes it away (`{}` is the
/// resource).
const OWN: &[(&str, &str, Option<&str>)] = &[
    ("symmetric_default", "where no constraint says otherwise", None),
    ("remote_connection_default", "where no constraint says otherwise", None),
    ("stickiness", "it is running there, and resource-stickiness holds it", None),
    ("not_managed_default", "it is running there and is not managed", Some("pcs resource manage {}")),
    ("__fail_limit__", "it failed there migration-threshold times", Some("pcs resource cleanup {}")),
    ("target-role", "it is disabled (target-role=Stopped)", Some("pcs resource enable {}")),
    ("shutdown-lock", "it is locked to the node that was shut down (shutdown-lock)", None),
    ("__removed_do_not_run__", "it is no longer configured", None),
    (
        "__action_migration_auto__",
        "an operation with on-fail=stop or ban failed there",
        Some("pcs resource cleanup {}"),
    ),
    ("hard-error", "it failed there in a way that will not pass by itself", Some("pcs resource cleanup {}")),
    (
        "fatal-error",
        "it failed in a way that would be the same on every node",
        Some("pcs resource cleanup {}"),
    ),
    ("__stop_fail__", "a stop failed there", Some("pcs resource cleanup {}")),
    ("masked-probe-failure", "its state there could not be found out", Some("pcs resource cleanup {}")),
    ("__limit_utilization__", "the node has not enough capacity left (utilization)", None),
    ("collective_limit_reached", "all wanted instances run already (clone-max)", None),
    (
        "no room for this instance",
        "no room for another instance there, or the clone is not allowed there",
        None,
    ),
    ("__no_ticket__", "the ticket that it depends on is not granted", None),
    ("__ticket_standby__", "the ticket that it depends on is in standby", None),
    ("__loss_of_ticket__", "the ticket that it depends on was lost", None),
    ("__stateful_without_ticket__", "the ticket for the promoted role is not granted", None),
];

/// Cause of one step of the trail.
pub(super) fn of_step(cluster: &Cluster, step: &Trace) -> Reason {
    let cause: &str = &step.cause;
    let rsc = &cluster.rscs[step.rsc].xml_id;
    if let Some((_, text, fix)) = OWN.iter().find(|(word, _, _)| *word == cause) {
        return Reason::new(cause, *text, fix.map(|fix| fix.replace("{}", rsc)));
    }
    if let Some(c) = cluster.colocations.iter().find(|c| &*c.id == cause) {
        return of_colocation(cluster, c, step);
    }
    if cluster.locations.iter().any(|location| &*location.id == cause) {
        return of_location(cluster, cause, rsc);
    }
    Reason::new(cause, cause, None)
}

/// A location constraint goes by its own id or by that of its rule.
fn of_location(cluster: &Cluster, cause: &str, rsc: &str) -> Reason {
    let doc = &cluster.doc;
    let found = doc.find_id(doc.root(), cause);
    let rule = found.filter(|id| doc.name(*id) == "rule");
    let whole = rule.and_then(|id| doc.parent(id)).and_then(|id| doc.attr(id, "id")).unwrap_or(cause);
    if whole.starts_with("cli-") {
        let text = format!("left by a move or ban by hand ({whole})");
        return Reason::new(cause, text, Some(format!("pcs resource clear {rsc}")));
    }
    let text = if rule.is_some() {
        format!("location constraint {whole} (rule {cause})")
    } else {
        format!("location constraint {whole}")
    };
    Reason::new(cause, text, Some(format!("pcs constraint delete {whole}")))
}

fn of_colocation(cluster: &Cluster, c: &Colocation, step: &Trace) -> Reason {
    let (dependent, primary) = (&cluster.rscs[c.dependent].id, &cluster.rscs[c.primary].id);
    let text = match &*c.id {
        "#group-members" => format!("{dependent} follows {primary} in its group"),
        "#resource-with-container" | "#ip-with-container" => {
            format!("{dependent} belongs to container {primary}")
        }
        id if id.starts_with('#') => format!("{dependent} belongs with {primary}"),
        id if c.score < 0 => format!("colocation {id}: {dependent} apart from {primary}"),
        id => format!("colocation {id}: {dependent} with {primary}"),
    };
    // Only one of several may share the id of a set; the words name the first.
    let stopped = cluster.rscs[c.primary].assigned.is_none() && c.dependent == step.rsc;
    let text = if stopped { format!("{text}, which runs nowhere") } else { text };
    let fix = (!c.id.starts_with('#')).then(|| format!("pcs constraint delete {}", c.id));
    Reason::new(&c.id, text, fix)
}

/// Why an action that is wanted cannot run: the scheduler's words made into a sentence.
pub(super) fn of_blocked(cluster: &Cluster, task: &str, why: &str) -> Reason {
    let text = match why {
        "no quorum" => "this partition has no quorum (no-quorum-policy=stop)".to_string(),
        "quorum freeze" => "this partition has no quorum (no-quorum-policy=freeze)".to_string(),
        _ => match why.strip_prefix("unrunnable ") {
            Some(other) => format!("it waits for: {other}, which cannot be done now"),
            None => format!("it cannot {task} now: {why}"),
        },
    };
    let fix = match why {
        "no quorum" | "quorum freeze" => Some("corosync-quorumtool   (shows who is missing)".to_string()),
        _ => why
            .strip_prefix("unrunnable ")
            .and_then(|rest| rest.split_whitespace().next())
            .filter(|other| cluster.find_rsc(other).is_some())
            .map(|other| format!("relevo why {other}")),
    };
    Reason::new(why, text, fix)
}
