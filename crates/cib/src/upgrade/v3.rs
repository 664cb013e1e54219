//! From 2.x to 3.0: options under their present names and in their present places.

use xml::{Document, NodeId};

use super::{all, pairs, text};

/// What becomes of an option.
enum Fate {
    Rename(&'static str),
    /// Moved to the defaults of resources.
    ResourceDefault(&'static str),
    /// Moved to the defaults of operations.
    OperationDefault(&'static str),
    Drop(&'static str),
}

use Fate::{Drop, OperationDefault, Rename, ResourceDefault};

const THRESHOLD: &str = "migration-threshold can be configured in the defaults of resources instead";
const ALERTS: &str = "alerts can be configured instead";

/// Options of the cluster. Underscores were accepted once.
const CLUSTER: &[(&str, Fate)] = &[
    ("cluster-recheck-interval", Rename("cluster-recheck-interval")),
    ("dc-deadtime", Rename("dc-deadtime")),
    ("default-action-timeout", OperationDefault("timeout")),
    ("default-migration-threshold", Drop(THRESHOLD)),
    ("default-resource-stickiness", ResourceDefault("resource-stickiness")),
    ("default-resource-failure-stickiness", Drop(THRESHOLD)),
    ("election-timeout", Rename("election-timeout")),
    ("expected-quorum-votes", Drop("the engine counts votes itself")),
    ("is-managed-default", ResourceDefault("is-managed")),
    ("no-quorum-policy", Rename("no-quorum-policy")),
    ("notification-agent", Drop(ALERTS)),
    ("notification-recipient", Drop(ALERTS)),
    ("remove-after-stop", Rename("remove-after-stop")),
    ("shutdown-escalation", Rename("shutdown-escalation")),
    ("startup-fencing", Rename("startup-fencing")),
    ("stonith-action", Rename("stonith-action")),
    ("stonith-enabled", Rename("stonith-enabled")),
    ("stop-orphan-actions", Rename("stop-orphan-actions")),
    ("stop-orphan-resources", Rename("stop-orphan-resources")),
    ("symmetric-cluster", Rename("symmetric-cluster")),
    ("transition-idle-timeout", Rename("cluster-delay")),
];

/// Names that were never spelled with underscores.
const NO_UNDERSCORES: &[&str] = &["expected-quorum-votes", "notification-agent", "notification-recipient"];

/// Values of `cluster-infrastructure` that mean nothing any more.
const OLD_INFRASTRUCTURES: &[&str] =
    &["heartbeat", "openais", "classic openais", "classic openais (with plugin)", "cman"];

/// Parameters of fence devices.
const DEVICE: &[(&str, &str)] = &[
    ("pcmk_list_cmd", "pcmk_list_action"),
    ("pcmk_monitor_cmd", "pcmk_monitor_action"),
    ("pcmk_off_cmd", "pcmk_off_action"),
    ("pcmk_on_cmd", "pcmk_on_action"),
    ("pcmk_reboot_cmd", "pcmk_reboot_action"),
    ("pcmk_status_cmd", "pcmk_status_action"),
];

/// Attributes of operations that were once accepted among their parameters.
const OPERATION_META: &[&str] =
    &["interval-origin", "start-delay", "enabled", "on-fail", "record-pending", "role", "timeout"];

pub(super) fn transform(cib: &mut Document, configuration: NodeId, notes: &mut Vec<String>) {
    if let Some(options) = cib.child(configuration, "crm_config") {
        for set in all(cib, options, &["cluster_property_set"]) {
            for pair in cib.child_elements(set) {
                cluster_option(cib, configuration, pair, notes);
            }
        }
    }
    for node in all(cib, configuration, &["node"]) {
        if cib.attr(node, "type") == Some("normal") {
            cib.set_attr(node, "type", "member");
        }
    }
    for resource in all(cib, configuration, &["primitive", "template"]) {
        parameters(cib, resource);
        meta(cib, resource, notes);
        for operation in all(cib, resource, &["op"]) {
            requires(cib, resource, operation);
            operation_meta(cib, operation);
        }
    }
    for colocation in all(cib, configuration, &["rsc_colocation"]) {
        cib.remove_attr(colocation, "score-attribute");
        cib.remove_attr(colocation, "score-attribute-mangle");
    }
}

fn cluster_option(cib: &mut Document, configuration: NodeId, pair: NodeId, notes: &mut Vec<String>) {
    let (name, value) = (text(cib, pair, "name"), text(cib, pair, "value"));
    if name == "cluster-infrastructure" && OLD_INFRASTRUCTURES.contains(&value.as_str()) {
        cib.remove(pair);
        return;
    }
    let known = |dashed: &str| {
        name == dashed || (!NO_UNDERSCORES.contains(&dashed) && name == dashed.replace('-', "_"))
    };
    let Some((old, fate)) = CLUSTER.iter().find(|(dashed, _)| known(dashed)) else { return };
    match fate {
        Rename(to) => cib.set_attr(pair, "name", to),
        ResourceDefault(to) => move_default(cib, configuration, pair, "rsc_defaults", to),
        OperationDefault(to) => move_default(cib, configuration, pair, "op_defaults", to),
        Drop(_) if *old == "default-resource-failure-stickiness" && value == "-INFINITY" => {
            cib.set_attr(pair, "value", "1");
            move_default(cib, configuration, pair, "rsc_defaults", "migration-threshold");
        }
        Drop(instead) => {
            notes.push(format!("Cluster option {name} was dropped: {instead}"));
            cib.remove(pair);
        }
    }
}

/// Moves an option to a set of its own in a section of defaults.
fn move_default(cib: &mut Document, configuration: NodeId, pair: NodeId, section: &str, name: &str) {
    let section_node = match cib.child(configuration, section) {
        Some(node) => node,
        None => cib.append(configuration, section),
    };
    let set_id = format!("cibtr-2-{}-{name}", section.replace('_', "-"));
    let set = cib.append_with(section_node, "meta_attributes", &[("id", &set_id)]);
    cib.set_attr(pair, "name", name);
    cib.move_to(pair, set, None);
}

fn parameters(cib: &mut Document, resource: NodeId) {
    for pair in pairs(cib, resource, "instance_attributes") {
        let (name, value) = (text(cib, pair, "name"), text(cib, pair, "value"));
        if name == "pcmk_arg_map" {
            match value.strip_prefix("port:") {
                Some(argument) => {
                    cib.set_attr(pair, "name", "pcmk_host_argument");
                    cib.set_attr(pair, "value", argument);
                }
                None => cib.remove(pair),
            }
        } else if let Some((_, new)) = DEVICE.iter().find(|(old, _)| *old == name) {
            cib.set_attr(pair, "name", new);
        }
    }
}

fn meta(cib: &mut Document, resource: NodeId, notes: &mut Vec<String>) {
    let id = text(cib, resource, "id");
    for pair in pairs(cib, resource, "meta_attributes") {
        let (name, value) = (text(cib, pair, "name"), text(cib, pair, "value"));
        match name.as_str() {
            "isolation" | "isolation-host" | "isolation-instance" | "isolation-wrapper" => {
                notes.push(format!("Resource {id} was disabled: use a bundle instead of {name}"));
                cib.set_attr(pair, "name", "target-role");
                cib.set_attr(pair, "value", "Stopped");
            }
            "resource-failure-stickiness" | "resource_failure_stickiness" if value == "-INFINITY" => {
                cib.set_attr(pair, "name", "migration-threshold");
                cib.set_attr(pair, "value", "1");
            }
            "resource-failure-stickiness" | "resource_failure_stickiness" => {
                notes.push(format!("Resource {id}: {name} was dropped: {THRESHOLD}"));
                cib.remove(pair);
            }
            _ => {}
        }
    }
}

/// `requires` of an operation counted for start and promote only, and is the resource's matter now.
fn requires(cib: &mut Document, resource: NodeId, operation: NodeId) {
    let counts = matches!(cib.attr(operation, "name"), Some("start" | "promote"));
    let mut values: Vec<String> = cib.attr(operation, "requires").map(str::to_string).into_iter().collect();
    cib.remove_attr(operation, "requires");
    for set in ["meta_attributes", "instance_attributes"] {
        for pair in pairs(cib, operation, set) {
            if cib.attr(pair, "name") == Some("requires") {
                values.push(text(cib, pair, "value"));
                cib.remove(pair);
            }
        }
    }
    let Some(value) = values.first().filter(|_| counts) else { return };
    let id = format!("{}-requires-meta", text(cib, operation, "id"));
    let set = cib.append_with(resource, "meta_attributes", &[("id", &id)]);
    let pair_id = format!("{id}-requires");
    cib.append_with(set, "nvpair", &[("id", &pair_id), ("name", "requires"), ("value", value)]);
}

fn operation_meta(cib: &mut Document, operation: NodeId) {
    let wrong: Vec<NodeId> = pairs(cib, operation, "instance_attributes")
        .into_iter()
        .filter(|pair| cib.attr(*pair, "name").is_some_and(|name| OPERATION_META.contains(&name)))
        .collect();
    if wrong.is_empty() {
        return;
    }
    let id = format!("{}-meta", text(cib, operation, "id"));
    let set = cib.append_with(operation, "meta_attributes", &[("id", &id)]);
    for pair in wrong {
        cib.move_to(pair, set, None);
    }
    let empty: Vec<NodeId> = cib
        .child_elements(operation)
        .into_iter()
        .filter(|set| cib.name(*set) == "instance_attributes" && cib.child_elements(*set).is_empty())
        .collect();
    for set in empty {
        cib.remove(set);
    }
}

#[cfg(test)]
mod tests {
    use crate::upgrade::{Goal, transform};
    use xml::Document;

    fn upgraded(configuration: &str) -> (Document, Vec<String>) {
        let text = format!(
            "<cib validate-with='pacemaker-2.10'><configuration>{configuration}</configuration></cib>"
        );
        let mut cib = Document::parse(&text).expect("well-formed");
        let notes = transform(&mut cib, Goal::V3);
        (cib, notes)
    }

    /// Value of the first option of this name below an element.
    fn value(cib: &Document, below: &str, name: &str) -> Option<String> {
        let root = cib.root_element();
        let top = root.descendants().find(|e| e.name() == below)?;
        let pair = top.descendants().find(|e| e.name() == "nvpair" && e.attr("name") == Some(name))?;
        pair.attr("value").map(str::to_string)
    }

    #[test]
    fn options_get_their_present_names() {
        let (cib, notes) = upgraded(
            "<crm_config><cluster_property_set id='s'>\
             <nvpair id='1' name='no_quorum_policy' value='ignore'/>\
             <nvpair id='2' name='default-resource-stickiness' value='7'/>\
             <nvpair id='3' name='default_action_timeout' value='20s'/>\
             <nvpair id='4' name='expected-quorum-votes' value='2'/>\
             <nvpair id='5' name='cluster-infrastructure' value='cman'/>\
             <nvpair id='6' name='default-resource-failure-stickiness' value='-INFINITY'/>\
             </cluster_property_set></crm_config>",
        );
        assert_eq!(value(&cib, "crm_config", "no-quorum-policy").as_deref(), Some("ignore"));
        assert_eq!(value(&cib, "rsc_defaults", "resource-stickiness").as_deref(), Some("7"));
        assert_eq!(value(&cib, "rsc_defaults", "migration-threshold").as_deref(), Some("1"));
        assert_eq!(value(&cib, "op_defaults", "timeout").as_deref(), Some("20s"));
        assert_eq!(value(&cib, "crm_config", "cluster-infrastructure"), None);
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn what_operations_require_is_the_resources_matter() {
        let (cib, _) = upgraded(
            "<resources><primitive id='a' class='ocf' provider='heartbeat' type='Dummy'><operations>\
             <op id='s' name='start' interval='0' requires='nothing'/>\
             <op id='m' name='monitor' interval='10s'><instance_attributes id='i'>\
             <nvpair id='r' name='requires' value='quorum'/><nvpair id='t' name='timeout' value='3s'/>\
             </instance_attributes></op></operations></primitive></resources>",
        );
        assert_eq!(value(&cib, "primitive", "requires").as_deref(), Some("nothing"));
        let root = cib.root_element();
        let monitor = root.descendants().find(|e| e.attr("id") == Some("m")).expect("the monitor");
        let sets: Vec<&str> = monitor.children().map(|set| set.name()).collect();
        assert_eq!(sets, ["meta_attributes"]);
        assert_eq!(value(&cib, "op", "requires"), None);
    }

    #[test]
    fn isolated_resources_are_disabled_and_say_so() {
        let (cib, notes) = upgraded(
            "<resources><primitive id='a' class='ocf' provider='heartbeat' type='Dummy'>\
             <meta_attributes id='m'><nvpair id='1' name='isolation' value='true'/></meta_attributes>\
             </primitive></resources>",
        );
        assert_eq!(value(&cib, "primitive", "target-role").as_deref(), Some("Stopped"));
        assert!(notes.iter().any(|note| note.contains("Resource a was disabled")));
    }
}
