//! Nodes of the cluster: those in the CIB (with remote and guest nodes) and in corosync.conf.

use std::path::Path;

use xml::{Document, Element, NodeId};

use super::{find, nvset};
use crate::words::is_true;

/// `<node>` with this name.
pub fn by_name(doc: &Document, name: &str) -> Option<NodeId> {
    elements(doc).into_iter().find(|n| n.attr("uname") == Some(name)).map(Element::id)
}

/// All `<node>` elements.
pub fn elements(doc: &Document) -> Vec<Element<'_>> {
    doc.root_element()
        .path(&["configuration", "nodes"])
        .map(|nodes| nodes.children().filter(|n| n.name() == "node").collect())
        .unwrap_or_default()
}

/// Names of all nodes that the CIB knows: members, remote nodes, guests.
pub fn names(doc: &Document) -> Vec<String> {
    let mut all: Vec<String> =
        elements(doc).iter().filter_map(|n| n.attr("uname").map(str::to_string)).collect();
    for resource in find::all(doc).into_iter().filter(|r| r.name() == "primitive") {
        if resource.attr("provider") == Some("pacemaker") && resource.attr("type") == Some("remote") {
            all.extend(resource.attr("id").map(str::to_string));
        }
        all.extend(nvset::value(resource, "meta_attributes", "remote-node").map(str::to_string));
    }
    all.sort();
    all.dedup();
    all
}

/// Is standby (or another switch) set for this node?
pub fn flag(node: Element<'_>, name: &str) -> bool {
    nvset::value(node, "instance_attributes", name).is_some_and(is_true)
}

/// Sets or (empty value) removes an attribute of a node.
pub fn set_attribute(doc: &mut Document, node: NodeId, name: &str, value: &str) {
    let set = match doc.child(node, "instance_attributes") {
        Some(set) => set,
        None if value.is_empty() => return,
        None => {
            let id = doc.attr(node, "id").unwrap_or_default().to_string();
            let set_id = super::id::unique(doc, &super::id::sanitize(&format!("nodes-{id}")));
            nvset::append_with_id(doc, node, "instance_attributes", &set_id, &[])
        }
    };
    nvset::set_pair(doc, set, name, value);
}

/// Node names in corosync.conf: `name` of each node, or its first address.
pub fn in_corosync_conf(path: &Path) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(conf_nodes(&text))
}

fn conf_nodes(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut section: Vec<String> = Vec::new();
    let (mut name, mut address) = (None, None);
    for line in text.lines().map(str::trim) {
        if let Some(open) = line.strip_suffix('{') {
            section.push(open.trim().to_string());
            (name, address) = (None, None);
        } else if line == "}" {
            if section.last().is_some_and(|s| s == "node") {
                names.extend(name.take().or(address.take()));
            }
            section.pop();
        } else if section.last().is_some_and(|s| s == "node")
            && let Some((key, value)) = line.split_once(':')
        {
            match key.trim() {
                "name" => name = Some(value.trim().to_string()),
                "ring0_addr" => address = Some(value.trim().to_string()),
                _ => {}
            }
        }
    }
    names
}

/// The value of one key in the `totem` section.
pub fn conf_totem(path: &Path, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut depth = 0usize;
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(open) = line.strip_suffix('{') {
            inside = depth == 0 && open.trim() == "totem";
            depth += 1;
        } else if line == "}" {
            depth = depth.saturating_sub(1);
        } else if inside
            && depth == 1
            && let Some((found, value)) = line.split_once(':')
            && found.trim() == key
        {
            return Some(value.trim().to_string());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_corosync_conf() {
        let text = "totem {\n version: 2\n}\nnodelist {\n node {\n  ring0_addr: 1.2.3.4\n  name: a\n }\n node {\n ring0_addr: 1.2.3.5\n }\n}\n";
        assert_eq!(conf_nodes(text), ["a", "1.2.3.5"]);
    }
}
