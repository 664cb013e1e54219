//! Where resources are active, read from the operation history in the CIB.

use xml::{Document, Element};

use super::find;

/// Nodes on which a resource (or an instance, or a member of it) is active, sorted.
pub fn running_on(cib: &Document, resource: &str) -> Vec<String> {
    let primitives: Vec<String> = match find::resource(cib, resource) {
        Some(node) => find::primitives_in(cib, node)
            .into_iter()
            .filter_map(|p| cib.attr(p, "id").map(str::to_string))
            .collect(),
        None => vec![resource.to_string()],
    };
    let mut nodes: Vec<String> = Vec::new();
    for state in node_states(cib) {
        let name = state.attr("uname").unwrap_or_default();
        let active = histories(state).any(|history| {
            let id = history.attr("id").unwrap_or_default();
            let base = id.split_once(':').map_or(id, |(base, _)| base);
            primitives.iter().any(|p| p == base || p == id) && is_active(history)
        });
        if active && is_online(state) {
            nodes.push(name.to_string());
        }
    }
    nodes.sort();
    nodes
}

fn node_states(cib: &Document) -> impl Iterator<Item = Element<'_>> {
    cib.root_element().child("status").into_iter().flat_map(|s| s.children_named("node_state"))
}

fn histories(state: Element<'_>) -> impl Iterator<Item = Element<'_>> {
    state.path(&["lrm", "lrm_resources"]).into_iter().flat_map(|l| l.children_named("lrm_resource"))
}

/// Whether this node takes part: its manager has joined the others.
pub fn is_member(cib: &Document, name: &str) -> bool {
    let own = node_states(cib).find(|state| state.attr("uname") == Some(name));
    own.is_some_and(|state| is_online(state) && state.attr("join") == Some("member"))
}

/// A member whose manager runs.
fn is_online(state: Element<'_>) -> bool {
    let up = |name: &str| !matches!(state.attr(name), None | Some("false" | "0" | "offline"));
    up("in_ccm") && up("crmd")
}

/// The outcome of the history, oldest operation first.
fn is_active(history: Element<'_>) -> bool {
    let number =
        |op: Element<'_>, name: &str| op.attr(name).and_then(|v| v.parse::<i64>().ok()).unwrap_or(-1);
    let mut operations: Vec<Element<'_>> = history
        .children_named("lrm_rsc_op")
        .filter(|op| !op.attr("id").unwrap_or_default().contains("_last_failure_"))
        .collect();
    operations.sort_by_key(|op| number(*op, "call-id"));
    let mut active = false;
    for op in operations {
        let code = number(op, "rc-code");
        active = match (op.attr("operation").unwrap_or_default(), code) {
            ("stop" | "migrate_to", 0) | (_, 7) => false,
            ("notify" | "delete" | "reload" | "reload-agent", _) => active,
            ("monitor", 5 | 6) => active,
            (_, 193) => active,
            _ => true,
        };
    }
    active
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cib(operations: &str) -> Document {
        Document::parse(&format!(
            "<cib><configuration><resources><clone id='C'><primitive id='A'/></clone></resources></configuration>\
             <status><node_state uname='n1' in_ccm='true' crmd='online'><lrm><lrm_resources>\
             <lrm_resource id='A:0'>{operations}</lrm_resource></lrm_resources></lrm></node_state></status></cib>"
        ))
        .unwrap()
    }

    #[test]
    fn the_latest_operation_decides() {
        let start = "<lrm_rsc_op id='A_last_0' operation='start' call-id='8' rc-code='0'/>";
        let stop = "<lrm_rsc_op id='A_last_0' operation='stop' call-id='9' rc-code='0'/>";
        let probe = "<lrm_rsc_op id='A_monitor_0' operation='monitor' call-id='5' rc-code='7'/>";
        let monitor = "<lrm_rsc_op id='A_monitor_10' operation='monitor' call-id='8' rc-code='0'/>";
        assert_eq!(running_on(&cib(&format!("{start}{probe}")), "C"), ["n1"]);
        assert!(running_on(&cib(&format!("{stop}{monitor}{probe}")), "A").is_empty());
        assert!(running_on(&cib(probe), "A").is_empty());
        assert!(running_on(&cib(start), "B").is_empty());
    }
}
