//! What nodes remember of a resource: where, whether it failed, and making them forget.

use xml::{Document, Element};

use crate::attributes::Attributes;
use crate::controller::{Controller, ResourceRef};
use crate::error::Error;

/// A resource's history on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    pub node: String,
    pub resource: ResourceRef,
    /// An operation failed there, or failures are counted.
    pub failed: bool,
}

/// Histories on nodes that are members; of one resource (or any instance of it), or of all.
pub fn histories(cib: &Document, resources: Option<&[String]>, node: Option<&str>) -> Vec<History> {
    let mut found = Vec::new();
    let states = cib.root_element().child("status").into_iter().flat_map(|s| s.children_named("node_state"));
    for state in states {
        let name = state.attr("uname").unwrap_or_default();
        if node.is_some_and(|wanted| wanted != name) || !is_member(state) {
            continue;
        }
        let lists = state.path(&["lrm", "lrm_resources"]);
        for history in lists.into_iter().flat_map(|l| l.children_named("lrm_resource")) {
            let id = history.attr("id").unwrap_or_default();
            let base = base_id(id);
            if resources.is_some_and(|wanted| !wanted.iter().any(|w| w == id || w == base)) {
                continue;
            }
            let text = |name: &str| history.attr(name).unwrap_or_default().to_string();
            found.push(History {
                node: name.to_string(),
                resource: ResourceRef {
                    id: id.to_string(),
                    long_id: None,
                    class: text("class"),
                    provider: history.attr("provider").map(str::to_string),
                    kind: text("type"),
                },
                failed: history.children().any(is_failed) || has_fail_count(state, base),
            });
        }
    }
    found
}

/// `A` for the instance `A:0`.
fn base_id(id: &str) -> &str {
    match id.rsplit_once(':') {
        Some((base, number)) if number.chars().all(|c| c.is_ascii_digit()) => base,
        _ => id,
    }
}

fn is_member(state: Element<'_>) -> bool {
    let up = |name: &str| !matches!(state.attr(name), None | Some("false" | "0" | "offline"));
    up("in_ccm") && up("crmd")
}

/// An operation whose result is not the expected one. Probes may find anything.
fn is_failed(operation: Element<'_>) -> bool {
    let text = |name: &str| operation.attr(name).unwrap_or_default();
    let probe = text("operation") == "monitor" && text("interval") == "0";
    let expected = text("transition-key").split(':').nth(2).unwrap_or("0");
    match text("rc-code") {
        "193" | "" => false,
        "0" | "7" | "8" if probe => false,
        code => code != expected,
    }
}

fn has_fail_count(state: Element<'_>, resource: &str) -> bool {
    let prefix = format!("fail-count-{resource}");
    state.child("transient_attributes").is_some_and(|attributes| {
        attributes.descendants().any(|pair| {
            pair.attr("name").is_some_and(|name| {
                name.strip_prefix(prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
            }) && pair.attr("value") != Some("0")
        })
    })
}

/// Makes the node of a history forget it: fail counts and operations. The cluster then looks anew.
///
/// # Errors
/// Of the connections.
pub fn forget(
    attributes: &mut Attributes,
    controller: &mut Controller,
    history: &History,
) -> Result<(), Error> {
    attributes.clear_failures(Some(base_id(&history.resource.id)), None, Some(&history.node))?;
    controller.refresh(&history.node, &history.resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_from_findings() {
        let cib = Document::parse(
            "<cib><status><node_state uname='n1' in_ccm='true' crmd='online'><lrm><lrm_resources>\
             <lrm_resource id='A:0' class='ocf' provider='p' type='t'><lrm_rsc_op operation='monitor' interval='0' rc-code='0' transition-key='1:1:7:u'/></lrm_resource>\
             <lrm_resource id='B'><lrm_rsc_op operation='start' interval='0' rc-code='1' transition-key='1:1:0:u'/></lrm_resource>\
             <lrm_resource id='C'/></lrm_resources></lrm>\
             <transient_attributes><instance_attributes><nvpair name='fail-count-C#start_0' value='INFINITY'/></instance_attributes></transient_attributes></node_state>\
             <node_state uname='n2' in_ccm='false' crmd='offline'><lrm><lrm_resources><lrm_resource id='A'/></lrm_resources></lrm></node_state></status></cib>",
        )
        .unwrap();
        let all = histories(&cib, None, None);
        let failed: Vec<(&str, bool)> = all.iter().map(|h| (h.resource.id.as_str(), h.failed)).collect();
        assert_eq!(failed, [("A:0", false), ("B", true), ("C", true)]);
        assert_eq!(histories(&cib, Some(&["A".to_string()]), None).len(), 1);
        assert!(histories(&cib, None, Some("n2")).is_empty());
    }
}
