//! Options, meta attributes and properties of a resource.

use base::ExitCode;
use cib::Operation;
use manager_client::{Change, Cib};
use xml::{Document, NodeId};

use super::{find, primitives, query};
use crate::options::Parsed;
use crate::session;
use crate::{err, out};

/// Which kind of set the options speak of.
fn kind(parsed: &Parsed) -> &'static str {
    if parsed.has("meta") {
        "meta_attributes"
    } else if parsed.has("utilization") {
        "utilization"
    } else {
        "instance_attributes"
    }
}

/// The primitive in a clone takes the options; meta attributes stay with the clone.
fn owner(doc: &Document, node: NodeId, kind: &str) -> NodeId {
    if kind != "meta_attributes"
        && matches!(doc.name(node), "clone" | "master")
        && let Some(inner) = doc.child(node, "primitive")
    {
        return inner;
    }
    node
}

/// The pair of this name in the owner's sets: the set and the pair.
fn pair(
    doc: &Document,
    owner: NodeId,
    kind: &str,
    name: &str,
    set: Option<&str>,
) -> Option<(NodeId, NodeId)> {
    let sets = doc.element(owner).children().filter(|s| s.name() == kind);
    sets.filter(|s| set.is_none_or(|wanted| s.attr("id") == Some(wanted)))
        .find_map(|s| s.children().find(|p| p.attr("name") == Some(name)).map(|p| (s.id(), p.id())))
}

pub(super) fn show(parsed: &Parsed, id: &str) -> Result<(), ExitCode> {
    let doc = query::load(parsed)?;
    let node = find(&doc, id)?;
    let name = parsed.value("get-parameter").unwrap_or_default();
    let kind = kind(parsed);
    let found = pair(&doc, owner(&doc, node, kind), kind, name, parsed.value("set-name"))
        .or_else(|| pair(&doc, node, kind, name, None));
    match found.and_then(|(_, p)| doc.attr(p, "value")) {
        Some(value) => {
            out(value);
            Ok(())
        }
        None => {
            err(&format!("crm_resource: Attribute '{name}' not found for '{id}'"));
            Err(session::failed(ExitCode::NOSUCH))
        }
    }
}

fn save(cib: &mut Cib, before: &Document, after: &Document) -> Result<(), ExitCode> {
    cib.apply(before, after).map_err(|error| {
        err(&format!("crm_resource: {error}"));
        session::failed(error.exit())
    })
}

pub(super) fn set(parsed: &Parsed, id: &str) -> Result<(), ExitCode> {
    let name = parsed.value("set-parameter").unwrap_or_default();
    let Some(value) = parsed.value("parameter-value") else {
        err("crm_resource: You need to supply a value with the -v option");
        return Err(session::failed(ExitCode::USAGE));
    };
    let (mut cib, before) = session::load_cib("crm_resource")?;
    let node = find(&before, id)?;
    let mut after = before.clone();
    let kind = kind(parsed);
    let mut owners = vec![owner(&before, node, kind)];
    if parsed.has("recursive") {
        owners.extend(primitives(&before, node).iter().filter_map(|p| find(&before, p).ok()));
        owners.dedup();
    }
    for owner in owners {
        put(&mut after, owner, kind, name, value, parsed);
    }
    save(&mut cib, &before, &after)
}

fn put(doc: &mut Document, owner: NodeId, kind: &str, name: &str, value: &str, parsed: &Parsed) {
    let owner_id = doc.attr(owner, "id").unwrap_or_default().to_string();
    if let Some((_, found)) = pair(doc, owner, kind, name, parsed.value("set-name")) {
        doc.set_attr(found, "value", value);
        out(&format!(
            "Set '{owner_id}' option: id={} name={name} value={value}",
            doc.attr(found, "id").unwrap_or_default()
        ));
        return;
    }
    let existing = doc.element(owner).children().find(|s| {
        s.name() == kind && parsed.value("set-name").is_none_or(|wanted| s.attr("id") == Some(wanted))
    });
    let set = match existing.map(|s| s.id()) {
        Some(set) => set,
        None => {
            let set_id = parsed.value("set-name").map_or(format!("{owner_id}-{kind}"), str::to_string);
            let set = doc.append_with(owner, kind, &[("id", &set_id)]);
            // Sets stand before what a resource wraps or does.
            let before = doc
                .element(owner)
                .children()
                .find(|c| matches!(c.name(), "operations" | "primitive" | "group") && c.id() != set)
                .map(|c| c.id());
            if before.is_some() {
                doc.move_to(set, owner, before);
            }
            set
        }
    };
    let set_id = doc.attr(set, "id").unwrap_or_default().to_string();
    let pair_id = parsed.value("nvpair").map_or(format!("{set_id}-{name}"), str::to_string);
    let new = doc.append_with(set, "nvpair", &[("id", &pair_id), ("name", name), ("value", value)]);
    report(doc, &owner_id, set, new, name, value);
}

fn report(doc: &Document, owner: &str, set: NodeId, pair: NodeId, name: &str, value: &str) {
    out(&format!(
        "Set '{owner}' option: id={} set={} name={name} value={value}",
        doc.attr(pair, "id").unwrap_or_default(),
        doc.attr(set, "id").unwrap_or_default(),
    ));
}

pub(super) fn delete(parsed: &Parsed, id: &str) -> Result<(), ExitCode> {
    let name = parsed.value("delete-parameter").unwrap_or_default();
    let (mut cib, before) = session::load_cib("crm_resource")?;
    let node = find(&before, id)?;
    let mut after = before.clone();
    let kind = kind(parsed);
    let owner = owner(&before, node, kind);
    let Some((_, found)) = pair(&before, owner, kind, name, parsed.value("set-name")) else {
        // Nothing to delete is success.
        return Ok(());
    };
    let owner_id = before.attr(owner, "id").unwrap_or_default();
    out(&format!(
        "Deleted '{owner_id}' option: id={} name={name}",
        before.attr(found, "id").unwrap_or_default()
    ));
    after.remove(found);
    save(&mut cib, &before, &after)
}

pub(super) fn set_property(parsed: &Parsed, id: &str) -> Result<(), ExitCode> {
    let name = parsed.value("set-property").unwrap_or_default();
    let Some(value) = parsed.value("parameter-value") else {
        err("crm_resource: You need to supply a value with the -v option");
        return Err(session::failed(ExitCode::USAGE));
    };
    let (mut cib, before) = session::load_cib("crm_resource")?;
    let node = find(&before, id)?;
    let mut after = before.clone();
    after.set_attr(node, name, value);
    save(&mut cib, &before, &after)
}

pub(super) fn delete_resource(parsed: &Parsed, id: &str) -> Result<(), ExitCode> {
    let Some(kind) = parsed.value("resource-type") else {
        err("crm_resource: You need to specify a resource type with -t");
        return Err(session::failed(ExitCode::USAGE));
    };
    let mut cib = crate::open_cib("crm_resource").map_err(|error| {
        err(&format!("crm_resource: Could not connect to the CIB: {error}"));
        session::failed(error.exit())
    })?;
    let mut object = Document::new(kind);
    let root = object.root();
    object.set_attr(root, "id", id);
    let change =
        Change { operation: Operation::Delete, section: Some("resources"), input: Some(&object), options: 0 };
    cib.change(&change).map(|_| ()).map_err(|error| {
        err(&format!("crm_resource: {error}"));
        session::failed(error.exit())
    })
}
