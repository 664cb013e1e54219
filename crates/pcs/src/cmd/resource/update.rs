//! `pcs resource update`.

use std::collections::BTreeMap;

use xml::{Document, Element, NodeId};

use super::change_and_wait;
use crate::agent::{self, Library, Metadata};
use crate::cmd::operation;
use crate::context::Context;
use crate::model::{find, nvset, resource_ids, role};
use crate::report::{Failure, Issue, Issues, Outcome, nearest};
use crate::words::{self, Pairs, groups, joined};

pub(super) fn update(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let [resource_id, rest @ ..] = words else { return Err(Failure::USAGE) };
    if rest.is_empty() {
        return Err(Failure::USAGE);
    }
    let (options, groups) = groups(rest, &["op", "meta"]);
    let options = words::pairs(&options)?;
    let meta = words::pairs(&joined(&groups, "meta"))?;
    let operations = operations(&groups)?;
    change_and_wait(context, std::slice::from_ref(resource_id), |context, doc| {
        let Some(node) = find::resource(doc, resource_id) else {
            let ids = resource_ids(doc);
            let hint = nearest(resource_id, ids.iter().map(String::as_str))
                .map(|n| format!("\nHint: did you mean '{n}'?"))
                .unwrap_or_default();
            return Err(Failure::Error(format!("Unable to find resource: {resource_id}{hint}")));
        };
        if matches!(doc.name(node), "clone" | "master") {
            // Options of a clone are meta attributes.
            let all: Vec<(&str, &str)> = options.iter().chain(meta.iter()).collect();
            nvset::update(doc, node, "meta_attributes", &all);
            return Ok(());
        }
        if doc.name(node) != "primitive" {
            return Err(Failure::Error(format!("Unable to find resource: {resource_id}")));
        }
        check_options(context, doc, node, &options)?;
        nvset::update(doc, node, "instance_attributes", &options.iter().collect::<Vec<_>>());
        nvset::update(doc, node, "meta_attributes", &meta.iter().collect::<Vec<_>>());
        for (action, given) in &operations {
            update_operation(context, doc, node, action, given)?;
        }
        Ok(())
    })
}

/// Operations with the options to set; unlike at creation a name alone is let pass.
fn operations(groups: &[(&str, Vec<&str>)]) -> Result<Vec<(String, Pairs)>, Failure> {
    let mut all: Vec<(String, Vec<&str>)> = Vec::new();
    for (_, words) in groups.iter().filter(|(keyword, _)| *keyword == "op") {
        if let Some(first) = words.first().filter(|w| w.contains('=')) {
            return Err(Failure::Error(format!("{first} does not appear to be a valid operation action")));
        }
        for word in words {
            if word.contains('=') {
                if let Some((_, options)) = all.last_mut() {
                    options.push(word);
                }
            } else {
                all.push(((*word).to_string(), Vec::new()));
            }
        }
    }
    all.into_iter().map(|(name, options)| Ok((name, words::pairs(&options)?))).collect()
}

fn check_options(context: &mut Context<'_>, doc: &Document, node: NodeId, options: &Pairs) -> Outcome {
    if options.is_empty() {
        return Ok(());
    }
    let element = doc.element(node);
    let name = agent::AgentName {
        class: element.attr("class").unwrap_or_default().into(),
        provider: element.attr("provider").map(str::to_string),
        kind: element.attr("type").unwrap_or_default().into(),
    };
    let metadata = match Library::new(&context.paths.ocf_dirs).metadata(&name) {
        Ok(metadata) => metadata,
        Err(error) => {
            let issue = Issue::forceable(error.to_string());
            context.settle(Issues(vec![issue]))?;
            Metadata::unknown(&name)
        }
    };
    let current: BTreeMap<String, String> =
        element.children_named("instance_attributes").flat_map(nvset::pairs).collect();
    let id = element.attr("id").unwrap_or_default();
    let issues = agent::instance_attributes(&metadata, options, Some((id, &current)), doc);
    // Here problems are shown without the closing line.
    match context.settle(Issues(issues)) {
        Err(Failure::Issues(found)) => {
            crate::show_issues(context, &found);
            Err(Failure::Exit(1))
        }
        other => other,
    }
}

/// Replaces the operation of this name and role, keeping what is not given, or adds one.
fn update_operation(
    context: &mut Context<'_>,
    doc: &mut Document,
    node: NodeId,
    action: &str,
    given: &Pairs,
) -> Outcome {
    if given.is_empty() {
        return Ok(());
    }
    let resource = doc.attr(node, "id").unwrap_or_default().to_string();
    let wanted = given.value("role").map(role::primary).unwrap_or_default().to_string();
    let found = doc
        .element(node)
        .descendants()
        .filter(|o| o.name() == "op" && o.attr("name") == Some(action))
        .find(|o| o.attr("role").map(role::primary).unwrap_or_default() == wanted)
        .map(Element::id);
    let before = found.and_then(|op| doc.next_sibling(op));
    if let Some(old) = found {
        doc.remove(old);
    }
    let mut options = given.clone();
    options.0.retain(|(_, value)| !value.is_empty());
    operation::insert(context, doc, &resource, action, &options, false, before).map(|_| ())
}

#[cfg(test)]
mod tests {
    use crate::testing::{cib, dummy, run};

    #[test]
    fn meta_and_operations() {
        let doc = cib(&dummy("A"));
        let (doc, _) =
            run(&doc, "resource update A meta a=b op monitor interval=33 op start timeout=5").unwrap();
        let (doc, _) = run(&doc, "resource update A op monitor interval=34 timeout=7").unwrap();
        let text = doc.to_text();
        assert!(text.contains("name=\"monitor\" interval=\"34\" timeout=\"7\""), "{text}");
        assert!(!text.contains("33") && text.contains("value=\"b\""));
        assert!(run(&doc, "resource update nope a=b").is_err());
    }
}
