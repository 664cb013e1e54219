//! Made configurations of any size, for measurements: every second pair of primitives colocated and
//! ordered, a location preference for each.

use xml::{Document, NodeId};

/// Size and kind of a configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    pub nodes: usize,
    pub primitives: usize,
    /// One clone for every ten primitives as well.
    pub clones: bool,
}

/// The configuration, all nodes online and nothing started.
pub fn cib(shape: Shape) -> Document {
    let mut doc = Document::new("cib");
    let root = doc.root();
    for (name, value) in [
        ("crm_feature_set", base::CRM_FEATURE_SET),
        ("validate-with", base::CURRENT_SCHEMA),
        ("have-quorum", "1"),
        ("epoch", "1"),
        ("num_updates", "0"),
        ("admin_epoch", "0"),
        ("dc-uuid", "1"),
    ] {
        doc.set_attr(root, name, value);
    }
    let configuration = doc.append(root, "configuration");
    options(&mut doc, configuration);
    let nodes = doc.append(configuration, "nodes");
    let resources = doc.append(configuration, "resources");
    let constraints = doc.append(configuration, "constraints");
    let status = doc.append(root, "status");
    for number in 1..=shape.nodes {
        add_node(&mut doc, nodes, status, number);
    }
    for number in 0..shape.primitives {
        primitive(&mut doc, resources, &format!("rsc{number}"));
        constrain(&mut doc, constraints, number, shape.nodes.max(1));
    }
    if shape.clones {
        for number in 0..shape.primitives / 10 {
            let clone = doc.append_with(resources, "clone", &[("id", &format!("clone{number}"))]);
            primitive(&mut doc, clone, &format!("inst{number}"));
        }
    }
    doc
}

fn options(doc: &mut Document, configuration: NodeId) {
    let config = doc.append(configuration, "crm_config");
    let set = doc.append_with(config, "cluster_property_set", &[("id", "options")]);
    let attrs = [("id", "options-fencing"), ("name", "stonith-enabled"), ("value", "false")];
    doc.append_with(set, "nvpair", &attrs);
}

fn add_node(doc: &mut Document, nodes: NodeId, status: NodeId, number: usize) {
    let (id, name) = (number.to_string(), format!("node{number}"));
    doc.append_with(nodes, "node", &[("id", &id), ("uname", &name)]);
    let attrs = [
        ("id", &*id),
        ("uname", &*name),
        ("in_ccm", "true"),
        ("crmd", "online"),
        ("join", "member"),
        ("expected", "member"),
    ];
    doc.append_with(status, "node_state", &attrs);
}

fn primitive(doc: &mut Document, parent: NodeId, id: &str) {
    let attrs = [("id", id), ("class", "ocf"), ("provider", "pacemaker"), ("type", "Dummy")];
    let rsc = doc.append_with(parent, "primitive", &attrs);
    let ops = doc.append(rsc, "operations");
    let attrs = [("id", &*format!("{id}-monitor")), ("name", "monitor"), ("interval", "10s")];
    doc.append_with(ops, "op", &attrs);
}

fn constrain(doc: &mut Document, constraints: NodeId, number: usize, nodes: usize) {
    let rsc = format!("rsc{number}");
    let node = format!("node{}", number % nodes + 1);
    let attrs = [("id", &*format!("loc{number}")), ("rsc", &rsc), ("node", &node), ("score", "100")];
    doc.append_with(constraints, "rsc_location", &attrs);
    if number % 4 != 1 {
        return;
    }
    let first = format!("rsc{}", number - 1);
    let attrs =
        [("id", &*format!("col{number}")), ("rsc", &rsc), ("with-rsc", &first), ("score", "INFINITY")];
    doc.append_with(constraints, "rsc_colocation", &attrs);
    let attrs = [("id", &*format!("ord{number}")), ("first", &first), ("then", &rsc), ("kind", "Mandatory")];
    doc.append_with(constraints, "rsc_order", &attrs);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{self, Request};

    #[test]
    fn everything_is_started() {
        let cib = cib(Shape { nodes: 3, primitives: 20, clones: true });
        let run = sim::run(&cib, &Request::full(1_785_000_000, None));
        let text = run.map(|run| status::tree::text(&crate::record::text(&run.parts))).unwrap_or_default();
        assert_eq!(text.matches("start on node").count(), 20 + 2 * 3);
    }
}
