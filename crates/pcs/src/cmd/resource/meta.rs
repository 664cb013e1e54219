//! Meta attributes: enable, disable, manage, unmanage, meta; and utilization.

use xml::{Document, NodeId};

use super::{ANY_OR_TAG, change_and_wait, missing};
use crate::context::Context;
use crate::model::{find, nvset};
use crate::report::{Failure, Issues, Outcome};
use crate::words;

/// Resources by id; a tag stands for its members.
fn targets(context: &mut Context<'_>, doc: &Document, ids: &[String]) -> Result<Vec<NodeId>, Failure> {
    let mut issues = Issues::default();
    let mut found = Vec::new();
    for id in ids {
        if let Some(node) = find::resource(doc, id) {
            found.push(node);
            continue;
        }
        let tag = doc
            .root_element()
            .path(&["configuration", "tags"])
            .and_then(|tags| tags.children().find(|t| t.attr("id") == Some(id)));
        match tag {
            Some(tag) => found
                .extend(tag.children().filter_map(|r| r.attr("id")).filter_map(|r| find::resource(doc, r))),
            None => issues.push(missing(doc, id, ANY_OR_TAG)),
        }
    }
    context.settle(issues)?;
    Ok(found)
}

/// A resource with the clone or bundle around it and what is in it.
fn family(doc: &Document, node: NodeId) -> Vec<NodeId> {
    let mut all = vec![node];
    let inner = |node: NodeId| {
        doc.element(node)
            .descendants()
            .filter(|e| find::is_resource(e.name()) && e.id() != node)
            .map(xml::Element::id)
            .collect::<Vec<_>>()
    };
    match doc.name(node) {
        "primitive" | "group" => {
            if let Some(outer) = find::wrapper(doc, node) {
                all.push(outer);
            }
        }
        _ => all.extend(inner(node)),
    }
    all
}

pub(super) fn enable(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::usage("You must specify resource(s) to enable"));
    }
    change_and_wait(context, words, |context, doc| {
        for node in targets(context, doc, words)? {
            for part in family(doc, node) {
                nvset::update(doc, part, "meta_attributes", &[("target-role", "")]);
            }
        }
        Ok(())
    })
}

pub(super) fn disable(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::usage("You must specify resource(s) to disable"));
    }
    change_and_wait(context, words, |context, doc| {
        for node in targets(context, doc, words)? {
            nvset::update(doc, node, "meta_attributes", &[("target-role", "Stopped")]);
        }
        Ok(())
    })
}

pub(super) fn manage(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::usage("You must specify resource(s) to manage"));
    }
    let monitors = context.options.has("--monitor");
    context.change(|context, doc| {
        for node in targets(context, doc, words)? {
            let mut parts = family(doc, node);
            parts.extend(find::primitives_in(doc, node));
            for part in parts {
                nvset::update(doc, part, "meta_attributes", &[("is-managed", "")]);
            }
            for primitive in find::primitives_in(doc, node) {
                let off = set_monitors(doc, primitive, monitors.then_some(true));
                if off && !monitors {
                    let id = doc.attr(primitive, "id").unwrap_or_default().to_string();
                    context.warn(format!("Resource '{id}' has no enabled monitor operations"));
                }
            }
        }
        Ok(())
    })
}

pub(super) fn unmanage(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if words.is_empty() {
        return Err(Failure::usage("You must specify resource(s) to unmanage"));
    }
    let monitors = context.options.has("--monitor");
    context.change(|context, doc| {
        for node in targets(context, doc, words)? {
            for primitive in find::primitives_in(doc, node) {
                nvset::update(doc, primitive, "meta_attributes", &[("is-managed", "false")]);
                if monitors {
                    set_monitors(doc, primitive, Some(false));
                }
            }
        }
        Ok(())
    })
}

/// Switches a primitive's monitors; tells whether it has some and all are off.
fn set_monitors(doc: &mut Document, primitive: NodeId, on: Option<bool>) -> bool {
    let monitors: Vec<NodeId> = doc
        .element(primitive)
        .descendants()
        .filter(|o| o.name() == "op" && o.attr("name") == Some("monitor"))
        .map(xml::Element::id)
        .collect();
    for monitor in &monitors {
        match on {
            Some(true) => {
                doc.remove_attr(*monitor, "enabled");
            }
            Some(false) => doc.set_attr(*monitor, "enabled", "false"),
            None => {}
        }
    }
    !monitors.is_empty()
        && monitors.iter().all(|m| doc.attr(*m, "enabled").is_some_and(|v| !words::is_true(v)))
}

pub(super) fn meta(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [resource_id, rest @ ..] = words else { return Err(Failure::USAGE) };
    if rest.is_empty() {
        return Err(Failure::USAGE);
    }
    let pairs = words::pairs(rest)?;
    change_and_wait(context, std::slice::from_ref(resource_id), |_, doc| {
        let node = find::resource(doc, resource_id)
            .ok_or_else(|| Failure::Error(format!("unable to find a resource/clone/group: {resource_id}")))?;
        nvset::update(doc, node, "meta_attributes", &pairs.iter().collect::<Vec<_>>());
        Ok(())
    })
}

pub(super) fn utilization(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let Some((resource_id, rest)) = words.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        let doc = context.load()?;
        let wanted = words.first();
        if let Some(id) = wanted
            && find::resource(&doc, id).is_none()
        {
            return Err(Failure::Error(format!("Unable to find a resource: {id}")));
        }
        let mut rows = Vec::new();
        for resource in find::all(&doc).into_iter().filter(|r| r.name() == "primitive") {
            let id = resource.attr("id").unwrap_or_default();
            let pairs: Vec<String> = resource
                .children_named("utilization")
                .flat_map(nvset::pairs)
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            if wanted.is_none_or(|w| w == id) && !pairs.is_empty() {
                rows.push(format!(" {id}: {}", pairs.join(" ")));
            }
        }
        rows.sort();
        rows.insert(0, "Resource Utilization:".into());
        context.lines(&rows);
        return Ok(());
    };
    let pairs = words::pairs(rest)?;
    crate::cmd::node::check_utilization(pairs.iter())?;
    context.change(|_, doc| {
        let node = find::resource(doc, resource_id)
            .filter(|r| doc.name(*r) == "primitive")
            .ok_or_else(|| Failure::Error(format!("Unable to find a resource: {resource_id}")))?;
        nvset::update(doc, node, "utilization", &pairs.iter().collect::<Vec<_>>());
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cib, dummy, run};

    fn role(doc: &Document, id: &str) -> Option<String> {
        let node = find::resource(doc, id)?;
        nvset::value(doc.element(node), "meta_attributes", "target-role").map(str::to_string)
    }

    #[test]
    fn disable_and_enable() {
        let doc = cib(&format!("<clone id='C'>{}</clone>", dummy("A")));
        let (doc, _) = run(&doc, "resource disable C").unwrap();
        assert_eq!(role(&doc, "C").as_deref(), Some("Stopped"));
        let (doc, _) = run(&doc, "resource enable A").unwrap();
        assert_eq!(role(&doc, "C"), None);
        assert!(run(&doc, "resource disable nope A").is_err());
    }

    #[test]
    fn unmanage_with_monitors_and_back() {
        let doc = cib(
            "<primitive id='A' class='ocf' provider='pacemaker' type='Dummy'><operations><op id='m' name='monitor' interval='10'/></operations></primitive>",
        );
        let (doc, _) = run(&doc, "resource unmanage A --monitor").unwrap();
        assert!(doc.to_text().contains("enabled=\"false\"") && doc.to_text().contains("is-managed"));
        let (doc, messages) = run(&doc, "resource manage A").unwrap();
        assert_eq!(messages.len(), 1);
        let (doc, _) = run(&doc, "resource manage A --monitor").unwrap();
        assert!(!doc.to_text().contains("enabled"));
    }
}
