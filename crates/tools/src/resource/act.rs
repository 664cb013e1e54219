//! Actions on resources: forgetting, moving, restarting, waiting.

use std::time::{Duration, Instant};

use base::ExitCode;
use manager_client::placement::{self, Placement};
use manager_client::{Attributes, Controller, Error, History, forget, histories};
use scheduler::at;
use xml::{Document, NodeId};

use super::{find, known_node, node_option, primitives};
use crate::options::Parsed;
use crate::session;
use crate::{err, out};

fn connection(error: Error) -> ExitCode {
    err(&format!("crm_resource: could not connect to the cluster manager: {error}"));
    session::failed(error.exit())
}

/// Histories that the options speak of.
fn selected(parsed: &Parsed, doc: &Document) -> Result<Vec<History>, ExitCode> {
    known_node(doc, node_option(parsed))?;
    let ids = match parsed.value("resource") {
        Some(id) => Some(primitives(doc, find(doc, id)?)),
        None => None,
    };
    Ok(histories(doc, ids.as_deref(), node_option(parsed)))
}

pub(super) fn cleanup(parsed: &Parsed) -> Result<(), ExitCode> {
    let (_, doc) = session::load_cib("crm_resource")?;
    let found = selected(parsed, &doc)?;
    let mut attributes = Attributes::open("crm_resource").map_err(connection)?;
    let mut controller = Controller::open("crm_resource").map_err(connection)?;
    for history in found.iter().filter(|h| h.failed) {
        forget(&mut attributes, &mut controller, history).map_err(connection)?;
    }
    if parsed.value("resource").is_some() {
        for history in found.iter() {
            out(&format!("Cleaned up {} on {}", history.resource.id, history.node));
        }
    } else {
        out(&format!("Cleaned up all resources on {}", node_option(parsed).unwrap_or("all nodes")));
    }
    Ok(())
}

pub(super) fn refresh(parsed: &Parsed) -> Result<(), ExitCode> {
    let (_, doc) = session::load_cib("crm_resource")?;
    let found = selected(parsed, &doc)?;
    let mut controller = Controller::open("crm_resource").map_err(connection)?;
    if parsed.value("resource").is_none() {
        out("Waiting for 1 reply from the controller");
        controller.reprobe(node_option(parsed)).map_err(connection)?;
        out("... got reply (done)");
        return Ok(());
    }
    let mut attributes = Attributes::open("crm_resource").map_err(connection)?;
    for history in found.iter() {
        out(&format!("Cleaned up {} on {}", history.resource.id, history.node));
    }
    out(&format!(
        "Waiting for {} {} from the controller",
        found.len(),
        if found.len() == 1 { "reply" } else { "replies" }
    ));
    for (index, history) in found.iter().enumerate() {
        forget(&mut attributes, &mut controller, history).map_err(connection)?;
        out(if index + 1 == found.len() { "... got reply (done)" } else { "... got reply" });
    }
    Ok(())
}

pub(super) fn fail(parsed: &Parsed, id: &str) -> Result<(), ExitCode> {
    let Some(node) = node_option(parsed) else {
        err("crm_resource: Must supply a node with -N");
        return Err(session::failed(ExitCode::USAGE));
    };
    let (_, doc) = session::load_cib("crm_resource")?;
    let found = selected(parsed, &doc)?;
    let Some(history) = found.first() else {
        err(&format!("crm_resource: Resource '{id}' is not known on {node}"));
        return Err(session::failed(ExitCode::NOSUCH));
    };
    let mut controller = Controller::open("crm_resource").map_err(connection)?;
    controller.fail(node, &history.resource).map_err(connection)
}

/// End of a lifetime from now.
fn until(parsed: &Parsed) -> Result<Option<String>, ExitCode> {
    let Some(text) = parsed.value("lifetime") else { return Ok(None) };
    let end = base::parse_interval_ms(text)
        .filter(|ms| *ms > 0)
        .and_then(|ms| i64::try_from(ms / 1000).ok())
        .and_then(|s| jiff::Timestamp::now().as_second().checked_add(s))
        .and_then(|s| jiff::Timestamp::from_second(s).ok());
    match end {
        Some(end) => {
            let end = end.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
            out(&format!("Migration will take effect until: {end}"));
            Ok(Some(end))
        }
        None => {
            err(&format!("crm_resource: Invalid duration specified: {text}"));
            err(
                "Please refer to https://en.wikipedia.org/wiki/ISO_8601#Durations for examples of valid durations",
            );
            Err(session::failed(ExitCode(2)))
        }
    }
}

pub(super) fn place(parsed: &Parsed, id: &str, banned: bool) -> Result<(), ExitCode> {
    let (mut cib, before) = session::load_cib("crm_resource")?;
    find(&before, id)?;
    known_node(&before, node_option(parsed))?;
    let mut after = before.clone();
    let role = (parsed.has("promoted") || parsed.has("master")).then_some("Promoted");
    let node = match node_option(parsed) {
        Some(node) => node.to_string(),
        None => current_node(&before, id)?,
    };
    let end = until(parsed)?;
    let target = Placement { resource: id, node: &node, role, until: end.as_deref() };
    if banned || node_option(parsed).is_none() {
        let constraint = placement::ban(&mut after, &target);
        if end.is_none() {
            err(&format!(
                "WARNING: Creating rsc_location constraint '{constraint}' with a score of -INFINITY for resource {id} \
                 on {node}.\n\tThis will prevent {id} from running on {node} until the constraint is removed using \
                 the clear option or by editing the CIB with an appropriate tool\n\tThis will be the case even if \
                 {node} is the last node in the cluster"
            ));
        }
    } else {
        placement::clear(&mut after, id, None);
        placement::prefer(&mut after, &target);
    }
    cib.apply(&before, &after).map_err(connection)
}

/// The only node that runs the resource.
fn current_node(doc: &Document, id: &str) -> Result<String, ExitCode> {
    let cluster = session::cluster(doc);
    let places = cluster.find_rsc(id).map(|r| cluster.places(r, at::CURRENT)).unwrap_or_default();
    match places.as_slice() {
        [one] => Ok(cluster.node_name(*one).to_string()),
        [] => {
            err(&format!("crm_resource: Resource '{id}' not moved: active in 0 locations."));
            err("To prevent it from running on a specific location, specify a node.");
            Err(session::failed(ExitCode::USAGE))
        }
        many => {
            err(&format!("crm_resource: Resource '{id}' not moved: active in {} locations.", many.len()));
            err("To prevent it from running on a specific location, specify a node.");
            Err(session::failed(ExitCode::USAGE))
        }
    }
}

pub(super) fn clear(parsed: &Parsed, id: Option<&str>) -> Result<(), ExitCode> {
    let (mut cib, before) = session::load_cib("crm_resource")?;
    if let Some(id) = id {
        find(&before, id)?;
    }
    known_node(&before, node_option(parsed))?;
    let mut after = before.clone();
    let removed = match id {
        Some(id) if !parsed.has("expired") => placement::clear(&mut after, id, node_option(parsed)),
        _ => {
            let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
            placement::clear_expired(&mut after, id, &now)
        }
    };
    cib.apply(&before, &after).map_err(connection)?;
    removed.iter().for_each(|id| out(&format!("Removing constraint: {id}")));
    Ok(())
}

/// How often to look whether the cluster has settled.
const POLL: Duration = Duration::from_millis(50);
/// How many looks in a row must find it at rest.
const POLLS: u32 = 6;
/// Longest wait unless the user says otherwise.
const WAIT_LIMIT: Duration = Duration::from_secs(60 * 60);

fn limit(parsed: &Parsed) -> Duration {
    parsed.value("timeout").and_then(base::parse_interval_ms).map_or(WAIT_LIMIT, Duration::from_millis)
}

pub(super) fn wait(parsed: &Parsed) -> Result<(), ExitCode> {
    settle(Instant::now() + limit(parsed))
}

fn settle(deadline: Instant) -> Result<(), ExitCode> {
    let mut controller = Controller::open("crm_resource").map_err(connection)?;
    let mut quiet = 0;
    loop {
        std::thread::sleep(POLL);
        let idle = controller.ping(None).map_err(connection)?.state == "S_IDLE";
        quiet = if idle { quiet + 1 } else { 0 };
        if quiet >= POLLS {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(session::failed(ExitCode::TIMEOUT));
        }
    }
}

pub(super) fn restart(parsed: &Parsed, id: &str) -> Result<(), ExitCode> {
    let deadline = Instant::now() + limit(parsed);
    let (_, doc) = session::load_cib("crm_resource")?;
    let node = find(&doc, id)?;
    current_node_or_any(&doc, id)?;
    let old = role_pair(&doc, node).and_then(|p| doc.attr(p, "value")).map(str::to_string);
    out(&format!(
        "Set '{id}' option: id={id}-meta_attributes-target-role set={id}-meta_attributes name=target-role value=stopped"
    ));
    set_role(id, Some("Stopped"))?;
    out(&format!("Waiting for 1 resources to stop:\n * {id}"));
    let stopped = settle(deadline);
    out(&format!("Deleted '{id}' option: id={id}-meta_attributes-target-role name=target-role"));
    set_role(id, old.as_deref())?;
    stopped?;
    out(&format!("Waiting for 1 resources to start again:\n * {id}"));
    settle(deadline)
}

/// A resource that runs nowhere is not restarted.
fn current_node_or_any(doc: &Document, id: &str) -> Result<(), ExitCode> {
    let cluster = session::cluster(doc);
    let active = cluster.find_rsc(id).is_some_and(|r| cluster.is_active(r, false));
    if active {
        return Ok(());
    }
    err(&format!("crm_resource: {id} is not running anywhere and so cannot be restarted"));
    Err(session::failed(ExitCode::NOSUCH))
}

fn role_pair(doc: &Document, node: NodeId) -> Option<NodeId> {
    let set = doc.child(node, "meta_attributes")?;
    doc.element(set).children().find(|p| p.attr("name") == Some("target-role")).map(|p| p.id())
}

fn set_role(id: &str, role: Option<&str>) -> Result<(), ExitCode> {
    let (mut cib, before) = session::load_cib("crm_resource")?;
    let node = find(&before, id)?;
    let mut after = before.clone();
    match (role_pair(&before, node), role) {
        (Some(pair), Some(role)) => after.set_attr(pair, "value", role),
        (Some(pair), None) => after.remove(pair),
        (None, None) => {}
        (None, Some(role)) => {
            let set = match after.child(node, "meta_attributes") {
                Some(set) => set,
                None => {
                    let set = after.append_with(
                        node,
                        "meta_attributes",
                        &[("id", &format!("{id}-meta_attributes"))],
                    );
                    let first = after.element(node).children().find(|c| c.id() != set).map(|c| c.id());
                    after.move_to(set, node, first);
                    set
                }
            };
            let pair_id = format!("{id}-meta_attributes-target-role");
            after.append_with(set, "nvpair", &[("id", &pair_id), ("name", "target-role"), ("value", role)]);
        }
    }
    cib.apply(&before, &after).map_err(connection)
}
