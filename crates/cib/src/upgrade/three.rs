//! From 2.x to 3.0: names of options (`upgrade-2.10`).

use super::{add_pair, named};
use xml::{Document, NodeId};

/// Cluster options that have new names.
const RENAMED: [(&str, &str); 12] = [
    ("cluster_recheck_interval", "cluster-recheck-interval"),
    ("dc_deadtime", "dc-deadtime"),
    ("election_timeout", "election-timeout"),
    ("no_quorum_policy", "no-quorum-policy"),
    ("remove_after_stop", "remove-after-stop"),
    ("shutdown_escalation", "shutdown-escalation"),
    ("startup_fencing", "startup-fencing"),
    ("stonith_action", "stonith-action"),
    ("stonith_enabled", "stonith-enabled"),
    ("stop_orphan_actions", "stop-orphan-actions"),
    ("stop_orphan_resources", "stop-orphan-resources"),
    ("symmetric_cluster", "symmetric-cluster"),
];

/// Cluster options that became defaults: of what, and under which name.
const MOVED: [(&str, &str, &str); 6] = [
    ("default-action-timeout", "op_defaults", "timeout"),
    ("default_action_timeout", "op_defaults", "timeout"),
    ("default-resource-stickiness", "rsc_defaults", "resource-stickiness"),
    ("default_resource_stickiness", "rsc_defaults", "resource-stickiness"),
    ("is-managed-default", "rsc_defaults", "is-managed"),
    ("is_managed_default", "rsc_defaults", "is-managed"),
];

/// Cluster options that are no more.
const DROPPED: [&str; 5] = [
    "default-migration-threshold",
    "default_migration_threshold",
    "expected-quorum-votes",
    "notification-agent",
    "notification-recipient",
];

/// Parameters of fencing devices that have new names.
const FENCING: [(&str, &str); 6] = [
    ("pcmk_list_cmd", "pcmk_list_action"),
    ("pcmk_monitor_cmd", "pcmk_monitor_action"),
    ("pcmk_off_cmd", "pcmk_off_action"),
    ("pcmk_on_cmd", "pcmk_on_action"),
    ("pcmk_reboot_cmd", "pcmk_reboot_action"),
    ("pcmk_status_cmd", "pcmk_status_action"),
];

pub(super) fn transform(doc: &mut Document) {
    for set in named(doc, "cluster_property_set") {
        for pair in doc.child_elements(set) {
            cluster_option(doc, pair);
        }
    }
    for node in named(doc, "node") {
        if doc.attr(node, "type") == Some("normal") {
            doc.set_attr(node, "type", "member");
        }
    }
    for kind in ["primitive", "template"] {
        for rsc in named(doc, kind) {
            resource(doc, rsc);
        }
    }
}

fn cluster_option(doc: &mut Document, pair: NodeId) {
    let name = doc.attr(pair, "name").unwrap_or("").to_string();
    let value = doc.attr(pair, "value").unwrap_or("").to_string();
    if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == name) {
        doc.set_attr(pair, "name", new);
    } else if name == "transition_idle_timeout" {
        doc.set_attr(pair, "name", "cluster-delay");
    } else if let Some((_, section, new)) = MOVED.iter().find(|(old, ..)| *old == name) {
        doc.remove(pair);
        default(doc, section, new, &value);
    } else if name.replace('_', "-") == "default-resource-failure-stickiness" {
        doc.remove(pair);
        if value == "-INFINITY" {
            default(doc, "rsc_defaults", "migration-threshold", "1");
        }
    } else if DROPPED.contains(&name.as_str()) {
        doc.remove(pair);
    }
}

fn default(doc: &mut Document, section: &str, name: &str, value: &str) {
    let Some(configuration) = doc.child(doc.root(), "configuration") else { return };
    let section = doc.child(configuration, section).unwrap_or_else(|| doc.append(configuration, section));
    add_pair(doc, section, "meta_attributes", name, value);
}

fn pairs(doc: &Document, owner: NodeId, block: &str) -> Vec<NodeId> {
    let blocks = doc.element(owner).children_named(block);
    blocks.flat_map(|b| b.children_named("nvpair")).map(|p| p.id()).collect()
}

fn resource(doc: &mut Document, rsc: NodeId) {
    for pair in pairs(doc, rsc, "instance_attributes") {
        let name = doc.attr(pair, "name").unwrap_or("");
        if let Some((_, new)) = FENCING.iter().find(|(old, _)| *old == name) {
            doc.set_attr(pair, "name", new);
        } else if name == "pcmk_arg_map" {
            let port = doc.attr(pair, "value").and_then(|v| v.strip_prefix("port:")).map(str::to_string);
            match port {
                Some(port) => {
                    doc.set_attr(pair, "name", "pcmk_host_argument");
                    doc.set_attr(pair, "value", &port);
                }
                None => doc.remove(pair),
            }
        }
    }
    for pair in pairs(doc, rsc, "meta_attributes") {
        let name = doc.attr(pair, "name").unwrap_or("").replace('_', "-");
        let infinite = doc.attr(pair, "value") == Some("-INFINITY");
        match name.as_str() {
            "isolation" | "isolation-host" | "isolation-instance" | "isolation-wrapper" => {
                doc.set_attr(pair, "name", "target-role");
                doc.set_attr(pair, "value", "Stopped");
            }
            "resource-failure-stickiness" if infinite => {
                doc.set_attr(pair, "name", "migration-threshold");
                doc.set_attr(pair, "value", "1");
            }
            "resource-failure-stickiness" => doc.remove(pair),
            _ => {}
        }
    }
    let operations = doc.element(rsc).children_named("operations");
    let ops: Vec<NodeId> = operations.flat_map(|o| o.children_named("op")).map(|op| op.id()).collect();
    for op in ops {
        requires(doc, rsc, op);
    }
}

/// What a start or promotion requires is said of the resource.
fn requires(doc: &mut Document, rsc: NodeId, op: NodeId) {
    let counts = matches!(doc.attr(op, "name"), Some("start" | "promote"));
    let mut values: Vec<String> = doc.attr(op, "requires").map(str::to_string).into_iter().collect();
    doc.remove_attr(op, "requires");
    for block in ["meta_attributes", "instance_attributes"] {
        for pair in pairs(doc, op, block) {
            if doc.attr(pair, "name") == Some("requires") {
                values.extend(doc.attr(pair, "value").map(str::to_string));
                doc.remove(pair);
            }
        }
    }
    for value in values.iter().filter(|_| counts) {
        add_pair(doc, rsc, "meta_attributes", "requires", value);
    }
}
