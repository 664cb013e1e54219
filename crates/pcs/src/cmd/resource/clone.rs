//! Clones.

use xml::{Document, NodeId};

use super::change_and_wait;
use crate::agent::Library;
use crate::context::Context;
use crate::model::{find, id, nvset};
use crate::report::{Failure, Issue, Issues, Outcome};
use crate::words::{self, Pairs, groups};

pub(super) fn clone(context: &mut Context<'_>, words: &[String]) -> Outcome {
    make(context, words, false)
}

pub(super) fn promotable(context: &mut Context<'_>, words: &[String]) -> Outcome {
    make(context, words, true)
}

fn make(context: &mut Context<'_>, words: &[String], promotable: bool) -> Outcome {
    let [resource_id, rest @ ..] = words else { return Err(Failure::USAGE) };
    let (clone_id, rest) = match rest.split_first() {
        Some((first, others)) if first != "meta" && first != "op" && !first.contains('=') => {
            (Some(first.as_str()), others)
        }
        _ => (None, rest),
    };
    let (first, found) = groups(rest, &["meta", "op"]);
    if found.iter().any(|(k, _)| *k == "op") {
        return Err(Failure::usage("op settings must be changed on base resource, not the clone"));
    }
    let all: Vec<&str> = first.into_iter().chain(found.into_iter().flat_map(|(_, g)| g)).collect();
    let mut meta = words::pairs(&all)?;
    if promotable {
        if meta.has("promotable") {
            return Err(Failure::usage("you cannot specify both promotable option and promotable keyword"));
        }
        meta.set("promotable", "true");
    }
    change_and_wait(context, std::slice::from_ref(resource_id), |context, doc| {
        let node = find::resource(doc, resource_id)
            .filter(|r| matches!(doc.name(*r), "primitive" | "group"))
            .ok_or_else(|| Failure::Error(format!("unable to find group or resource: {resource_id}")))?;
        if find::is_stonith(doc.element(node)) {
            return Err(Failure::error("fence devices cannot be cloned"));
        }
        if find::wrapper(doc, node).is_some_and(|w| doc.name(w) != "bundle") {
            return Err(Failure::Error(format!("{resource_id} is already a clone resource")));
        }
        if meta.value("promotable").is_some_and(words::is_true) {
            check_promotable(context, doc, node)?;
        }
        wrap(doc, node, clone_id, &meta).map(|_| ())
    })
}

/// An OCF 1.1 agent that knows no second role cannot be promoted.
fn check_promotable(context: &mut Context<'_>, doc: &Document, node: NodeId) -> Outcome {
    let library = Library::new(&context.paths.ocf_dirs);
    let mut issues = Issues::default();
    for primitive in find::primitives_in(doc, node) {
        let element = doc.element(primitive);
        let name = find::agent_name(element);
        let Some(metadata) = library.resolve(&name).ok().and_then(|n| library.metadata(&n).ok()) else {
            continue;
        };
        let has = |action: &str| metadata.actions.iter().any(|a| a.name == action);
        if metadata.ocf_1_1 && !(has("promote") && has("demote")) {
            let id = element.attr("id").unwrap_or_default();
            issues.push(Issue::forceable(format!(
                "Clone option 'promotable' is not compatible with '{name}' resource agent of resource '{id}'"
            )));
        }
    }
    match context.settle(issues) {
        Err(Failure::Issues(found)) => {
            crate::show_issues(context, &found);
            Err(Failure::Exit(1))
        }
        other => other,
    }
}

/// Puts a primitive or group into a new clone in its place. The only member of a group leaves it.
///
/// # Errors
/// When the chosen id is malformed or taken.
pub(super) fn wrap(
    doc: &mut Document,
    node: NodeId,
    clone_id: Option<&str>,
    meta: &Pairs,
) -> Result<NodeId, Failure> {
    let inner_id = doc.attr(node, "id").unwrap_or_default().to_string();
    let clone_id = match clone_id {
        Some(given) => {
            id::validate("id", given).map_err(|e| Failure::issue(Issue::new(e)))?;
            if id::exists(doc, given) {
                return Err(Failure::issue(Issue::new(format!("'{given}' already exists"))));
            }
            given.to_string()
        }
        None => id::unique(doc, &format!("{inner_id}-clone")),
    };
    let group = doc.parent(node).filter(|p| doc.name(*p) == "group");
    let (place, next) = match group {
        Some(group) => (doc.parent(group), Some(group)),
        None => (doc.parent(node), doc.next_sibling(node)),
    };
    let Some(place) = place else {
        return Err(Failure::error("the resource has no place in the configuration"));
    };
    let clone = doc.append_with(place, "clone", &[("id", &clone_id)]);
    doc.move_to(clone, place, next);
    doc.move_to(node, clone, None);
    if let Some(group) = group {
        super::group::drop_if_empty(doc, group);
    }
    if !meta.is_empty() {
        nvset::append(doc, clone, "meta_attributes", &meta.iter().collect::<Vec<_>>());
    }
    Ok(clone)
}

pub(super) fn unclone(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [wanted] = words else { return Err(Failure::USAGE) };
    change_and_wait(context, words, |_, doc| {
        let node = find::resource(doc, wanted)
            .ok_or_else(|| Failure::Error(format!("could not find resource: {wanted}")))?;
        let clone = if matches!(doc.name(node), "clone" | "master") {
            node
        } else {
            find::wrapper(doc, node)
                .filter(|w| doc.name(*w) != "bundle")
                .ok_or_else(|| Failure::Error(format!("'{wanted}' is not a clone resource")))?
        };
        let clone_id = doc.attr(clone, "id").unwrap_or_default().to_string();
        super::remove::drop_mentions(doc, &clone_id);
        let place = doc.parent(clone);
        for inner in doc.child_elements(clone) {
            if let Some(place) = place.filter(|_| find::is_resource(doc.name(inner))) {
                doc.move_to(inner, place, Some(clone));
            }
        }
        doc.remove(clone);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{cib, dummy, run};

    #[test]
    fn clone_and_unclone() {
        let doc = cib(&dummy("A"));
        let (doc, _) = run(&doc, "resource promotable A meta interleave=true --force").unwrap();
        assert!(doc.to_text().contains(
            "<clone id=\"A-clone\"><primitive id=\"A\" class=\"ocf\" provider=\"pacemaker\" type=\"Dummy\"/>\
             <meta_attributes id=\"A-clone-meta_attributes\">"
        ));
        assert!(run(&doc, "resource clone A").is_err());
        let (doc, _) = run(&doc, "constraint location A-clone prefers nodo1.example.com").unwrap();
        let (doc, _) = run(&doc, "resource unclone A").unwrap();
        assert!(!doc.to_text().contains("clone"));
        assert!(run(&doc, "resource unclone A").is_err());
    }
}
