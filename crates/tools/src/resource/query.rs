//! Questions about resources.

use base::ExitCode;
use scheduler::{Cluster, NodeIx, Role, RscIx, at};
use status::{Outside, Sections, Show, tree};
use xml::Document;

use super::{find, node_option, primitives};
use crate::options::Parsed;
use crate::session;
use crate::{err, out, out_raw};

/// Loads the configuration from where the options say.
pub(super) fn load(parsed: &Parsed) -> Result<Document, ExitCode> {
    match parsed.value("xml-file") {
        None => session::load_cib("crm_resource").map(|(_, doc)| doc),
        Some(path) => {
            manager_client::overview("crm_resource", Some(path.as_ref())).map(|o| o.cib).map_err(|error| {
                err(&format!("crm_resource: {error}"));
                session::failed(error.exit())
            })
        }
    }
}

pub(super) fn list(parsed: &Parsed) -> Result<(), ExitCode> {
    let doc = load(parsed)?;
    if parsed.has("list-raw") || parsed.has("list-cts") {
        let found =
            doc.root_element().path(&["configuration", "resources"]).map(|r| primitives(&doc, r.id()));
        let ids = found.unwrap_or_default();
        if ids.is_empty() {
            err("crm_resource: NO resources configured");
            return Err(session::failed(ExitCode::NOSUCH));
        }
        ids.iter().for_each(|id| out(id));
        return Ok(());
    }
    let mut cluster = session::cluster(&doc);
    let mut show = Show::default();
    (show.inactive, show.pending) = (true, true);
    let sections = Sections { nodes: false, ..Sections::SHORT };
    let items = status::sections(&mut cluster, &show, &sections, &Outside::default());
    for line in tree::text(&items).lines() {
        out(&without_node(&cluster, line));
    }
    if cluster.top.is_empty() {
        err("crm_resource: Error performing operation: No such object");
        return Err(ExitCode::NOSUCH);
    }
    Ok(())
}

/// The list of resources says in which state they are, not where.
fn without_node(cluster: &Cluster, line: &str) -> String {
    let Some((head, state)) = line.split_once("):\t ") else { return line.to_string() };
    let is_node = |word: &str| cluster.nodes.iter().any(|n| &*n.name == word);
    let words: Vec<&str> = state.split(' ').filter(|w| !is_node(w)).collect();
    format!("{head}):\t {}", words.join(" "))
}

pub(super) fn xml(parsed: &Parsed, id: &str) -> Result<(), ExitCode> {
    let doc = load(parsed)?;
    let node = find(&doc, id)?;
    let mut cluster = session::cluster(&doc);
    let mut show = Show::default();
    (show.inactive, show.only_rscs) = (true, vec![id.to_string()]);
    let sections = Sections { nodes: false, ..Sections::SHORT };
    match cluster.find_rsc(id).filter(|r| cluster.rscs[*r].children.is_empty()) {
        Some(rsc) => {
            let node = cluster.current_node(rsc);
            out(&status::resources::primitive_line(&cluster, rsc, id, node, &show));
        }
        None => {
            let text = tree::text(&status::sections(&mut cluster, &show, &sections, &Outside::default()));
            for line in text.lines().skip(1) {
                out(line.strip_prefix("  * ").unwrap_or(line));
            }
        }
    }
    out("Resource XML:");
    out_raw(&doc.node_to_pretty(node));
    Ok(())
}

/// Instances of a resource with the nodes on which each is active.
fn active(cluster: &Cluster, rsc: RscIx) -> Vec<(RscIx, NodeIx)> {
    let children = &cluster.rscs[rsc].children;
    if children.is_empty() {
        return cluster.places(rsc, at::CURRENT).into_iter().map(|n| (rsc, n)).collect();
    }
    children.iter().flat_map(|c| active(cluster, *c)).collect()
}

pub(super) fn locate(parsed: &Parsed, id: &str) -> Result<(), ExitCode> {
    let doc = load(parsed)?;
    find(&doc, id)?;
    let cluster = session::cluster(&doc);
    let Some(rsc) = cluster.find_rsc(id) else {
        err(&format!("crm_resource: Resource '{id}' not found"));
        return Err(session::failed(ExitCode::NOSUCH));
    };
    let found = active(&cluster, rsc);
    let quiet = parsed.has("quiet");
    if found.is_empty() {
        if !quiet {
            err(&format!("resource {id} is NOT running"));
        }
        return Ok(());
    }
    for (instance, node) in found {
        let name = cluster.node_name(node);
        if quiet {
            out(name);
            continue;
        }
        let promoted = if cluster.role_of(instance, true) == Role::Promoted { " Promoted" } else { "" };
        out(&format!("resource {id} is running on: {name}{promoted}"));
    }
    Ok(())
}

pub(super) fn constraints(id: &str) -> Result<(), ExitCode> {
    let (_, doc) = session::load_cib("crm_resource")?;
    find(&doc, id)?;
    let top = doc.root_element().path(&["configuration", "constraints"]);
    let score = |c: &xml::Element<'_>| c.attr("score").unwrap_or("0").to_string();
    for c in top.into_iter().flat_map(|t| t.children()) {
        match c.name() {
            "rsc_location" if c.attr("rsc") == Some(id) => {
                out("Locations:");
                let node = c.attr("node").unwrap_or("(rule)");
                let sid = c.attr("id").unwrap_or_default();
                out(&format!("  * Node {node} (score={}, id={sid}, rsc={id})", score(&c)));
            }
            "rsc_colocation" if c.attr("rsc") == Some(id) => {
                out(&format!("Resources {id} is colocated with:"));
                let sid = c.attr("id").unwrap_or_default();
                out(&format!(
                    "  * {} (score={}, id={sid})",
                    c.attr("with-rsc").unwrap_or_default(),
                    score(&c)
                ));
            }
            "rsc_colocation" if c.attr("with-rsc") == Some(id) => {
                out(&format!("Resources colocated with {id}:"));
                let sid = c.attr("id").unwrap_or_default();
                out(&format!("  * {} (score={}, id={sid})", c.attr("rsc").unwrap_or_default(), score(&c)));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn property(parsed: &Parsed, id: &str) -> Result<(), ExitCode> {
    let doc = load(parsed)?;
    let node = find(&doc, id)?;
    let name = parsed.value("get-property").unwrap_or_default();
    match doc.attr(node, name) {
        Some(value) => {
            out(value);
            Ok(())
        }
        None => Err(session::failed(ExitCode::NOSUCH)),
    }
}

pub(super) fn operations(parsed: &Parsed) -> Result<(), ExitCode> {
    let doc = load(parsed)?;
    let active = parsed.has("list-operations");
    let states = doc.root_element().child("status").into_iter().flat_map(|s| s.children_named("node_state"));
    for state in states {
        let node = state.attr("uname").unwrap_or_default();
        if node_option(parsed).is_some_and(|n| n != node) {
            continue;
        }
        let list = state.path(&["lrm", "lrm_resources"]);
        for history in list.into_iter().flat_map(|l| l.children_named("lrm_resource")) {
            let id = history.attr("id").unwrap_or_default();
            if parsed.value("resource").is_some_and(|r| r != id) {
                continue;
            }
            for op in history.children_named("lrm_rsc_op") {
                let text = |name: &str| op.attr(name).unwrap_or("0");
                if active && matches!(text("operation"), "stop") {
                    continue;
                }
                let state = if text("rc-code") == "193" { "pending" } else { "Done" };
                out(&format!(
                    "{id}\t({}): {} (node={node}, call={}, rc={}, exec={}ms): {state}",
                    history.attr("type").unwrap_or_default(),
                    text("id"),
                    text("call-id"),
                    text("rc-code"),
                    text("exec-time"),
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn why(parsed: &Parsed, id: Option<&str>) -> Result<(), ExitCode> {
    let doc = load(parsed)?;
    let cluster = session::cluster(&doc);
    let wanted: Vec<RscIx> = match id {
        Some(id) => {
            find(&doc, id)?;
            cluster.find_rsc(id).into_iter().collect()
        }
        None => cluster.top.clone(),
    };
    for rsc in wanted {
        let name = &cluster.rscs[rsc].id;
        let found = active(&cluster, rsc);
        match (found.as_slice(), node_option(parsed)) {
            (list, Some(node)) if list.iter().any(|(_, n)| cluster.node_name(*n) == node) => {
                out(&format!("Resource {name} is running on host {node}"));
            }
            (_, Some(node)) => out(&format!("Resource {name} is not running on host {node}")),
            ([], None) => out(&format!("Resource {name} is not running")),
            (_, None) => out(&format!("Resource {name} is running")),
        }
        if found.is_empty() {
            reasons(&cluster, rsc, &doc);
        }
    }
    Ok(())
}

/// What keeps a resource from running.
fn reasons(cluster: &Cluster, rsc: RscIx, doc: &Document) {
    let resource = &cluster.rscs[rsc];
    let name = &resource.id;
    if cluster.is_disabled(rsc) {
        out(&format!("  * Configuration specifies '{name}' should remain stopped"));
    }
    if !resource.is(scheduler::rf::MANAGED) {
        out(&format!("  * Configuration specifies '{name}' should not be managed"));
    }
    let failed = manager_client::histories(doc, Some(&[name.to_string()]), None);
    for history in failed.into_iter().filter(|h| h.failed) {
        out(&format!("  * Resource {name} has failed on host {}", history.node));
    }
}
