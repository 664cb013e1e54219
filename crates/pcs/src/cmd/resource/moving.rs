//! Moving: move, ban, clear; and cleanup, refresh, restart.

use manager_client::placement::{self, Placement};
use manager_client::{Attributes, Controller, History, forget, histories};
use scheduler::Options;
use scheduler::iso8601::Zone;
use xml::Document;

use super::{ANY, existing_or, place_text};
use crate::context::{Context, Wait};
use crate::model::{find, nodes, nvset, state};
use crate::report::{Failure, Issue, Issues, Outcome};
use crate::words::{is_true, seconds};

/// What the words of a move say.
struct Request {
    resource: String,
    node: Option<String>,
    lifetime: Option<String>,
}

fn parse(words: &[String], verb: &str) -> Result<Request, Failure> {
    let Some((resource, rest)) = words.split_first() else {
        return Err(Failure::usage(format!("must specify a resource to {verb}")));
    };
    let mut request = Request { resource: resource.clone(), node: None, lifetime: None };
    for word in rest {
        if let Some(lifetime) = word.strip_prefix("lifetime=") {
            if request.lifetime.is_some() {
                return Err(Failure::USAGE);
            }
            // A bare number of units is a duration too: 1H stands for P1H.
            let full = lifetime.starts_with(|c: char| c.is_ascii_digit());
            request.lifetime = Some(if full { format!("P{lifetime}") } else { lifetime.to_string() });
        } else if request.node.is_none() {
            request.node = Some(word.clone());
        } else {
            return Err(Failure::USAGE);
        }
    }
    Ok(request)
}

/// Checks resource and node against the configuration.
fn check(context: &mut Context<'_>, doc: &Document, request: &Request) -> Outcome {
    let mut issues = Issues::default();
    if let Some(issue) = existing_or(doc, &request.resource, ANY) {
        issues.push(issue);
    }
    if let Some(node) = &request.node
        && !nodes::names(doc).contains(node)
    {
        issues.push(crate::cmd::node::unknown_node(doc, node));
    }
    context.settle(issues)
}

/// End of a lifetime from now, as it is written.
fn until(lifetime: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(text) = lifetime else { return Ok(None) };
    let ms = base::parse_interval_ms(text).filter(|ms| *ms > 0).ok_or_else(|| {
        Failure::issue(Issue::new(format!(
            "'{text}' is not a valid lifetime, use an ISO 8601 duration such as PT30M or P1D"
        )))
    })?;
    let end =
        jiff::Timestamp::now().as_second().saturating_add(i64::try_from(ms / 1000).unwrap_or(i64::MAX / 2));
    let end = jiff::Timestamp::from_second(end)
        .map_err(|_| Failure::issue(Issue::new(format!("the lifetime '{text}' is too long"))))?;
    Ok(Some(end.strftime("%Y-%m-%d %H:%M:%SZ").to_string()))
}

fn role(context: &Context<'_>, doc: &Document) -> Option<&'static str> {
    context
        .options
        .has("--promoted")
        .then(|| if crate::model::role::new_names(doc) { "Promoted" } else { "Master" })
}

/// The only node on which the resource is active.
fn current_node(doc: &Document, resource: &str) -> Result<String, Failure> {
    let active = state::running_on(doc, resource);
    match active.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::issue(Issue::new(format!(
            "You must specify a node when moving or banning a stopped resource: '{resource}'"
        )))),
        many => Err(Failure::issue(Issue::new(format!(
            "Resource '{resource}' is active on several nodes ({}), name the node",
            many.join(", ")
        )))),
    }
}

fn ban_warning(context: &mut Context<'_>, id: &str, resource: &str, node: &str) {
    context.warn(format!(
        "Creating location constraint '{id}' with a score of -INFINITY for resource {resource} on {node}.\n\
         \tThis will prevent {resource} from running on {node} until the constraint is removed\n\
         \tThis will be the case even if {node} is the last node in the cluster"
    ));
}

/// Bans (or without a node to move to, bans from where it is).
fn constrain(context: &mut Context<'_>, request: &Request, banned: bool) -> Outcome {
    let wait = context.wait_limit()?;
    let end = until(request.lifetime.as_deref())?;
    context.change(|context, doc| {
        check(context, doc, request)?;
        let role = role(context, doc);
        placement::clear(doc, &request.resource, None);
        let place = |node| Placement { resource: &request.resource, node, role, until: end.as_deref() };
        match (&request.node, banned) {
            (Some(node), false) => {
                placement::prefer(doc, &place(node));
            }
            (node, _) => {
                let node = match node {
                    Some(node) => node.clone(),
                    None => current_node(doc, &request.resource)?,
                };
                let id = placement::ban(doc, &place(&node));
                if end.is_none() {
                    ban_warning(context, &id, &request.resource, &node);
                }
            }
        }
        if let Some(end) = &end {
            context.info(format!("Migration will take effect until: {end}"));
        }
        Ok(())
    })?;
    finish(context, wait, &request.resource)
}

fn finish(context: &mut Context<'_>, wait: Wait, resource: &str) -> Outcome {
    if wait == Wait::No {
        return Ok(());
    }
    context.settle_wait(wait)?;
    let active = context.store.running_on(resource).map_err(|e| Failure::Error(e.to_string()))?;
    context.info(place_text(resource, &active));
    Ok(())
}

pub(super) fn ban(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let request = parse(words, "ban")?;
    constrain(context, &request, true)
}

pub(super) fn move_with_constraint(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let request = parse(words, "move")?;
    constrain(context, &request, false)
}

pub(super) fn clear(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::usage("must specify a resource to clear"));
    }
    let request = parse(words, "clear")?;
    let wait = context.wait_limit()?;
    let expired = context.options.has("--expired");
    let removed = context.change(|context, doc| {
        check(context, doc, &request)?;
        if expired {
            let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
            return Ok(placement::clear_expired(doc, Some(&request.resource), &now));
        }
        Ok(placement::clear(doc, &request.resource, request.node.as_deref()))
    })?;
    for id in removed {
        context.info(format!("Removing constraint: {id}"));
    }
    finish(context, wait, &request.resource)
}

/// Moves and removes the constraint again. With a lifetime, the constraint stays and ends by itself.
pub(super) fn move_resource(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let request = parse(words, "move")?;
    if request.lifetime.is_some() {
        return constrain(context, &request, false);
    }
    context.need_live()?;
    let wait = match context.wait_limit()? {
        Wait::No => Wait::Forever,
        other => other,
    };
    let before = context.load()?;
    check(context, &before, &request)?;
    let resource = request.resource.as_str();
    ensure_movable(&before, resource)?;
    let from = state::running_on(&before, resource);
    let mut moved = before.clone();
    let role = role(context, &before);
    let place = |node| Placement { resource, node, role, until: None };
    match &request.node {
        Some(node) => placement::prefer(&mut moved, &place(node)),
        None => placement::ban(&mut moved, &place(&current_node(&before, resource)?)),
    };
    let target = predicted(&moved, resource);
    let fits = match (&request.node, target.as_slice()) {
        (Some(node), nodes) => nodes.contains(node),
        (None, nodes) => !nodes.is_empty() && nodes != from.as_slice(),
    };
    if !fits {
        return Err(Failure::Error(format!(
            "Unable to move resource '{resource}' using a location constraint. Current location of the resource \
             may be affected by some other constraint."
        )));
    }
    if predicted(&as_if_moved(&before, resource, &target), resource) != target {
        return Err(Failure::Error(format!(
            "Unable to ensure that moved resource '{resource}' will stay on the same node after a constraint used \
             for moving it is removed."
        )));
    }
    context.save(&before, &moved)?;
    context.info(format!("Location constraint to move resource '{resource}' has been created"));
    context.settle_wait(wait)?;
    context.change(|_, doc| {
        placement::clear(doc, resource, None);
        Ok(())
    })?;
    context.info(format!("Location constraint created to move resource '{resource}' has been removed"));
    context.settle_wait(wait)?;
    let active = context.store.running_on(resource).map_err(|e| Failure::Error(e.to_string()))?;
    let text = place_text(resource, &active);
    if request.node.as_ref().is_some_and(|n| !active.contains(n)) || active.is_empty() {
        return Err(Failure::issue(Issue::new(text)));
    }
    context.info(text);
    Ok(())
}

fn ensure_movable(doc: &Document, resource: &str) -> Outcome {
    let unmanaged = find::resource(doc, resource)
        .and_then(|r| nvset::value(doc.element(r), "meta_attributes", "is-managed"))
        .is_some_and(|v| !is_true(v));
    if unmanaged {
        return Err(Failure::Error(format!("'{resource}' is unmanaged")));
    }
    if state::running_on(doc, resource).is_empty() {
        return Err(Failure::Error(format!(
            "It is not possible to move resource '{resource}' as it is not running at the moment"
        )));
    }
    Ok(())
}

/// Nodes that the scheduler would run the resource on.
fn predicted(cib: &Document, resource: &str) -> Vec<String> {
    let zone = Zone::Local(sys::clock::utc_offset_s);
    let options = Options { now_s: sys::clock::now_s(), zone, ..Options::default() };
    let Ok(decision) = scheduler::schedule(cib, &options) else {
        return Vec::new();
    };
    let cluster = &decision.cluster;
    let Some(index) = cluster.find_rsc(resource) else { return Vec::new() };
    let mut names: Vec<String> = cluster
        .places(index, scheduler::at::ASSIGNED)
        .into_iter()
        .map(|n| cluster.node_name(n).to_string())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The state after a move: histories of the resource's primitives say "stopped" where it was and
/// "started" where it is to be.
fn as_if_moved(doc: &Document, resource: &str, target: &[String]) -> Document {
    let mut after = doc.clone();
    let primitives: Vec<String> = find::resource(doc, resource)
        .map(|r| find::primitives_in(doc, r))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|p| doc.attr(p, "id").map(str::to_string))
        .collect();
    let Some(status) = after.child(after.root(), "status") else { return after };
    let mut running = Vec::new();
    let mut lists = Vec::new();
    for node_state in after.child_elements(status) {
        let name = after.attr(node_state, "uname").unwrap_or_default().to_string();
        let Some(list) = after.child(node_state, "lrm").and_then(|l| after.child(l, "lrm_resources")) else {
            continue;
        };
        for history in after.child_elements(list) {
            if primitives.iter().any(|p| after.attr(history, "id") == Some(p)) {
                if state::running_on(doc, resource).contains(&name) {
                    running.push(after.extract(history));
                }
                after.remove(history);
            }
        }
        lists.push((name, list));
    }
    for (_, list) in lists.iter().filter(|(name, _)| target.contains(name)) {
        for history in &running {
            after.import(*list, history, history.root());
        }
    }
    after
}

/// What a cleanup or refresh is about: resource, node, and the histories there.
type Selection = (Option<String>, Option<String>, Vec<History>);

fn live_histories(doc: &Document, words: &[String]) -> Result<Selection, Failure> {
    let mut resource = None;
    let mut node = None;
    for word in words {
        match word.split_once('=') {
            Some(("node", name)) => node = Some(name.to_string()),
            Some(("operation" | "interval", _)) => {}
            Some((option, _)) => return Err(Failure::usage(format!("Unknown option '{option}'"))),
            None if resource.is_none() => resource = Some(word.clone()),
            None => return Err(Failure::USAGE),
        }
    }
    let ids: Option<Vec<String>> = resource.as_ref().map(|id| match find::resource(doc, id) {
        Some(found) => find::primitives_in(doc, found)
            .into_iter()
            .filter_map(|p| doc.attr(p, "id").map(str::to_string))
            .collect(),
        None => Vec::new(),
    });
    let found = histories(doc, ids.as_deref(), node.as_deref());
    Ok((resource, node, found))
}

fn unknown(what: &str, id: &str, doc: &Document) -> Failure {
    let ids = crate::model::resource_ids(doc);
    let hint = crate::report::nearest(id, ids.iter().map(String::as_str))
        .map(|n| format!("\nHint: did you mean '{n}'?"))
        .unwrap_or_default();
    Failure::Error(format!(
        "{what}: {id}\ncrm_resource: Resource '{id}' not found\nError performing operation: No such object{hint}"
    ))
}

fn connection(error: manager_client::Error) -> Failure {
    Failure::Error(format!("unable to talk to the cluster manager: {error}"))
}

pub(super) fn cleanup(context: &mut Context<'_>, words: &[String]) -> Outcome {
    context.need_live()?;
    let doc = context.load()?;
    let (resource, node, found) = live_histories(&doc, words)?;
    if let Some(id) = resource.as_deref().filter(|id| find::resource(&doc, id).is_none()) {
        return Err(unknown("Unable to forget failed operations of resource", id, &doc));
    }
    check_node(&doc, node.as_deref())?;
    let mut attributes = Attributes::open("crm_resource").map_err(connection)?;
    let mut controller = Controller::open("crm_resource").map_err(connection)?;
    for history in found.iter().filter(|h| h.failed) {
        forget(&mut attributes, &mut controller, history).map_err(connection)?;
    }
    match resource {
        Some(_) => {
            for history in found.iter() {
                context.info(format!("Cleaned up {} on {}", history.resource.id, history.node));
            }
        }
        None => {
            let place = node.map_or("all nodes".to_string(), |n| n);
            context.info(format!("Cleaned up all resources on {place}"));
        }
    }
    Ok(())
}

fn check_node(doc: &Document, node: Option<&str>) -> Outcome {
    match node {
        Some(name) if !nodes::names(doc).iter().any(|n| n == name) => Err(Failure::Error(format!(
            "crm_resource: Node '{name}' not found\nError performing operation: No such object"
        ))),
        _ => Ok(()),
    }
}

pub(super) fn refresh(context: &mut Context<'_>, words: &[String]) -> Outcome {
    context.need_live()?;
    let doc = context.load()?;
    let (resource, node, found) = live_histories(&doc, words)?;
    if let Some(id) = resource.as_deref().filter(|id| find::resource(&doc, id).is_none()) {
        return Err(unknown("Unable to delete history of resource", id, &doc));
    }
    check_node(&doc, node.as_deref())?;
    let mut controller = Controller::open("crm_resource").map_err(connection)?;
    if resource.is_none() {
        context.info("Waiting for 1 reply from the controller");
        controller.reprobe(node.as_deref()).map_err(connection)?;
        context.info("... got reply (done)");
        return Ok(());
    }
    let mut attributes = Attributes::open("crm_resource").map_err(connection)?;
    for history in found.iter() {
        context.info(format!("Cleaned up {} on {}", history.resource.id, history.node));
    }
    let plural = if found.len() == 1 { "reply" } else { "replies" };
    context.info(format!("Waiting for {} {plural} from the controller", found.len()));
    for (index, history) in found.iter().enumerate() {
        forget(&mut attributes, &mut controller, history).map_err(connection)?;
        let done = if index + 1 == found.len() { " (done)" } else { "" };
        context.info(format!("... got reply{done}"));
    }
    Ok(())
}

/// Longest time for a restart, in seconds, unless given.
const RESTART_LIMIT_S: u64 = 3600;

pub(super) fn restart(context: &mut Context<'_>, words: &[String]) -> Outcome {
    context.need_live()?;
    let [resource, rest @ ..] = words else {
        return Err(Failure::usage("You must specify a resource to restart"));
    };
    if !rest.is_empty() {
        return Err(Failure::usage("Only whole resources can be restarted"));
    }
    let limit = match context.options.wait() {
        Some(Some(text)) => seconds(text)
            .ok_or_else(|| Failure::Error(format!("{text} is not a valid number of seconds to wait")))?,
        _ => RESTART_LIMIT_S,
    };
    let doc = context.load()?;
    if find::resource(&doc, resource).is_none() {
        return Err(Failure::Error(format!(
            "crm_resource: Resource '{resource}' not found\nError performing operation: No such object\n"
        )));
    }
    if state::running_on(&doc, resource).is_empty() {
        return Err(Failure::Error(format!(
            "crm_resource: {resource} is not running anywhere and so cannot be restarted\nError performing operation: \
             No such device or address\n"
        )));
    }
    let old = find::resource(&doc, resource)
        .and_then(|r| nvset::value(doc.element(r), "meta_attributes", "target-role"))
        .unwrap_or_default()
        .to_string();
    set_role(context, resource, "Stopped")?;
    let stopped = context.store.wait_idle(Some(limit));
    set_role(context, resource, &old)?;
    stopped.map_err(|e| Failure::Error(format!("{resource} could not be stopped: {e}")))?;
    context
        .store
        .wait_idle(Some(limit))
        .map_err(|e| Failure::Error(format!("{resource} could not be started: {e}")))?;
    context.info(format!("{resource} successfully restarted"));
    Ok(())
}

fn set_role(context: &mut Context<'_>, resource: &str, role: &str) -> Outcome {
    context.change(|_, doc| {
        if let Some(node) = find::resource(doc, resource) {
            nvset::update(doc, node, "meta_attributes", &[("target-role", role)]);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{cib, dummy, run};

    #[test]
    fn bans_and_lifetimes() {
        let doc = cib(&dummy("A"));
        let (doc, _) = run(&doc, "resource ban A nodo1.example.com").unwrap();
        assert!(doc.to_text().contains("cli-ban-A-on-nodo1.example.com"));
        let (doc, messages) = run(&doc, "resource clear A").unwrap();
        assert!(!doc.to_text().contains("cli-ban"));
        assert_eq!(messages.len(), 1);
        let (doc, _) = run(&doc, "resource move A nodo2.example.com lifetime=PT10S").unwrap();
        assert!(doc.to_text().contains("cli-prefer-lifetime-end-A"));
        for wrong in [
            "resource ban A nodo9",
            "resource ban B nodo1.example.com",
            "resource ban A nodo1.example.com lifetime=soon",
            "resource move A",
            "resource move",
            "resource ban A",
        ] {
            assert!(run(&doc, wrong).is_err(), "{wrong}");
        }
    }
}
