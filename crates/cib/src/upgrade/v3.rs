//! From 2.x to 3.0: options under their present names and in their present places.

use std::collections::HashSet;

use xml::{Document, NodeId};

use super::{all, pairs, references, text};

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

/// Meta-attributes of containers before there were bundles.
const ISOLATION: &[&str] = &["isolation", "isolation-host", "isolation-instance", "isolation-wrapper"];

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

/// Whether a configuration has anything that 3.0 does not accept. What it accepts stays as it is, even where
/// this step would have changed it: the reference asks the next schema first.
pub(super) fn is_needed(cib: &Document) -> bool {
    let Some(configuration) = cib.root_element().child("configuration") else { return false };
    configuration.descendants().any(|e| match e.name() {
        "node" => e.attr("type") == Some("normal"),
        "op" => e.attr("requires").is_some(),
        "rsc_colocation" => e.attr("score-attribute").is_some() || e.attr("score-attribute-mangle").is_some(),
        "nvpair" => {
            let (name, value) = (e.attr("name").unwrap_or(""), e.attr("value"));
            let set = e.parent();
            let owner = set.and_then(|set| set.parent());
            match (set.map_or("", |set| set.name()), owner.map_or("", |owner| owner.name())) {
                ("cluster_property_set", _) => is_old_option(name, value),
                ("meta_attributes", "primitive" | "template") => ISOLATION.contains(&name),
                ("instance_attributes", "primitive" | "template") => {
                    name == "pcmk_arg_map" || DEVICE.iter().any(|(old, _)| *old == name)
                }
                ("meta_attributes", "op") => name == "requires",
                ("instance_attributes", "op") => name == "requires" || OPERATION_META.contains(&name),
                _ => false,
            }
        }
        _ => false,
    })
}

fn is_old_option(name: &str, value: Option<&str>) -> bool {
    if name == "cluster-infrastructure" {
        return value.is_none_or(|value| OLD_INFRASTRUCTURES.contains(&value));
    }
    CLUSTER.iter().any(|(dashed, fate)| is_meant(name, dashed, fate))
}

/// Whether a name is an old one of this option; what is only renamed is old with underscores only.
fn is_meant(name: &str, dashed: &str, fate: &Fate) -> bool {
    let is_dashed = name == dashed && !matches!(fate, Rename(_));
    is_dashed || (!NO_UNDERSCORES.contains(&dashed) && name != dashed && name == dashed.replace('-', "_"))
}

pub(super) fn transform(cib: &mut Document, configuration: NodeId, notes: &mut Vec<String>) {
    references::write_out(cib, configuration);
    cluster_options(cib, configuration, notes);
    for node in all(cib, configuration, &["node"]) {
        if cib.attr(node, "type") == Some("normal") {
            cib.set_attr(node, "type", "member");
        }
    }
    for resource in all(cib, configuration, &["primitive", "template"]) {
        requires(cib, resource);
        let said = names(cib, &children(cib, resource, "meta_attributes"));
        for operations in children(cib, resource, "operations") {
            for operation in children(cib, operations, "op") {
                operation_meta(cib, &said, operation);
            }
        }
        for set in children(cib, resource, "instance_attributes") {
            parameters(cib, set);
        }
        meta(cib, resource, notes);
    }
    for colocation in all(cib, configuration, &["rsc_colocation"]) {
        cib.remove_attr(colocation, "score-attribute");
        cib.remove_attr(colocation, "score-attribute-mangle");
    }
    references::refer_again(cib, configuration);
}

fn children(cib: &Document, of: NodeId, name: &str) -> Vec<NodeId> {
    cib.child_elements(of).into_iter().filter(|child| cib.name(*child) == name).collect()
}

fn is_ruled(cib: &Document, set: NodeId) -> bool {
    cib.child(set, "rule").is_some()
}

/// Names of all pairs in these sets, except in those with a rule.
fn names(cib: &Document, sets: &[NodeId]) -> HashSet<String> {
    let plain = sets.iter().filter(|set| !is_ruled(cib, **set));
    plain.flat_map(|set| children(cib, *set, "nvpair")).map(|pair| text(cib, pair, "name")).collect()
}

/// Removes sets without pairs: even those that never had one.
fn drop_empty(cib: &mut Document, sets: Vec<NodeId>) {
    for set in sets {
        if cib.child(set, "nvpair").is_none() {
            cib.remove(set);
        }
    }
}

fn cluster_options(cib: &mut Document, configuration: NodeId, notes: &mut Vec<String>) {
    let sets = all(cib, configuration, &["cluster_property_set"]);
    let (mut of_resources, mut of_operations) = (Vec::new(), Vec::new());
    for set in &sets {
        let is_ruled = is_ruled(cib, *set);
        for pair in children(cib, *set, "nvpair") {
            match cluster_option(cib, pair, notes) {
                // What depends on a rule has no place among the defaults.
                Some(ResourceDefault(_) | OperationDefault(_)) if is_ruled => cib.remove(pair),
                Some(ResourceDefault(_)) => of_resources.push(pair),
                Some(OperationDefault(_)) => of_operations.push(pair),
                _ => {}
            }
        }
    }
    move_defaults(cib, configuration, of_operations, "op_defaults");
    move_defaults(cib, configuration, of_resources, "rsc_defaults");
    drop_empty(cib, sets);
}

/// Renames or removes an option; says where it is to go if that is elsewhere.
fn cluster_option(cib: &mut Document, pair: NodeId, notes: &mut Vec<String>) -> Option<&'static Fate> {
    let (name, value) = (text(cib, pair, "name"), text(cib, pair, "value"));
    if name == "cluster-infrastructure" && OLD_INFRASTRUCTURES.contains(&value.as_str()) {
        cib.remove(pair);
        return None;
    }
    let (old, fate) = CLUSTER.iter().find(|(dashed, fate)| is_meant(&name, dashed, fate))?;
    match fate {
        Rename(to) | ResourceDefault(to) | OperationDefault(to) => cib.set_attr(pair, "name", to),
        Drop(_) if *old == "default-resource-failure-stickiness" && value == "-INFINITY" => {
            cib.set_attr(pair, "value", "1");
            cib.set_attr(pair, "name", "migration-threshold");
            return Some(&ResourceDefault("migration-threshold"));
        }
        Drop(instead) => {
            notes.push(format!("Cluster option {name} was dropped: {instead}"));
            cib.remove(pair);
        }
    }
    Some(fate)
}

/// Moves options into the first set without a rule among these defaults, if none of those has their name;
/// into a new one if there are no defaults at all. With sets under rules only, or none, they are gone.
fn move_defaults(cib: &mut Document, configuration: NodeId, options: Vec<NodeId>, section: &str) {
    if options.is_empty() {
        return;
    }
    let target = match cib.child(configuration, section) {
        Some(section) => {
            let mut sets = children(cib, section, "meta_attributes");
            sets.retain(|set| !is_ruled(cib, *set));
            sets.first().copied().map(|first| (first, sets))
        }
        None => {
            let id = format!("_2TO3_-{}", section.replace('_', "-"));
            let section = cib.append(configuration, section);
            Some((cib.append_with(section, "meta_attributes", &[("id", &id)]), Vec::new()))
        }
    };
    let there = target.as_ref().map(|(_, sets)| names(cib, sets));
    let is_there =
        |pair: &NodeId| there.as_ref().is_none_or(|there| there.contains(&text(cib, *pair, "name")));
    let (gone, kept): (Vec<NodeId>, Vec<NodeId>) = options.into_iter().partition(is_there);
    for pair in gone {
        cib.remove(pair);
    }
    for pair in kept {
        if let Some((set, _)) = &target {
            cib.move_to(pair, *set, None);
        }
    }
}

fn parameters(cib: &mut Document, set: NodeId) {
    for pair in children(cib, set, "nvpair") {
        let (name, value) = (text(cib, pair, "name"), text(cib, pair, "value"));
        if name == "pcmk_arg_map" {
            match value.strip_prefix("port:").filter(|_| !value.contains(',')) {
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
    drop_empty(cib, vec![set]);
}

/// What becomes of an old meta-attribute: its present name and value; no name if there is none.
fn meta_fate(name: &str, value: &str) -> Option<Option<(&'static str, &'static str)>> {
    match name {
        _ if ISOLATION.contains(&name) => Some(Some(("target-role", "Stopped"))),
        "resource-failure-stickiness" | "resource_failure_stickiness" => {
            Some((value == "-INFINITY").then_some(("migration-threshold", "1")))
        }
        _ => None,
    }
}

fn meta(cib: &mut Document, resource: NodeId, notes: &mut Vec<String>) {
    let id = text(cib, resource, "id");
    // Names that pairs of later sets without a rule get.
    let mut later: HashSet<&str> = HashSet::new();
    for set in children(cib, resource, "meta_attributes").into_iter().rev() {
        let is_ruled = is_ruled(cib, set);
        // The reference takes what comes behind another pair for one that a later pair replaces.
        let mut is_first = true;
        let mut is_emptied = true;
        let mut here = Vec::new();
        for pair in children(cib, set, "nvpair") {
            let (name, value) = (text(cib, pair, "name"), text(cib, pair, "value"));
            match meta_fate(&name, &value) {
                None => (is_first, is_emptied) = (false, false),
                Some(None) => {
                    notes.push(format!("Resource {id}: {name} was dropped: {THRESHOLD}"));
                    cib.remove(pair);
                }
                Some(Some((new, value))) => {
                    is_emptied = false;
                    let wins = if is_ruled { !later.contains(new) } else { is_first };
                    is_first = false;
                    here.push(new);
                    if !wins {
                        cib.remove(pair);
                        continue;
                    }
                    if new == "target-role" {
                        notes.push(format!("Resource {id} was disabled: use a bundle instead of {name}"));
                    }
                    cib.set_attr(pair, "name", new);
                    cib.set_attr(pair, "value", value);
                }
            }
        }
        if !is_ruled {
            later.extend(here);
        }
        if is_emptied {
            cib.remove(set);
        }
    }
}

/// `requires` of an operation counted for start and promote only, and is the resource's matter now, unless
/// the resource says something itself. An attribute of the last such operation comes before meta-attributes,
/// those before parameters, later ones before earlier ones.
fn requires(cib: &mut Document, resource: NodeId) {
    let operations: Vec<NodeId> = children(cib, resource, "operations")
        .into_iter()
        .flat_map(|operations| children(cib, operations, "op"))
        .collect();
    let counts = |cib: &Document, op: NodeId| matches!(cib.attr(op, "name"), Some("start" | "promote"));
    let is_said = names(cib, &children(cib, resource, "meta_attributes")).contains("requires");
    let said = operations.iter().rev().find(|op| counts(cib, **op) && cib.attr(**op, "requires").is_some());
    if let Some(op) = said.filter(|_| !is_said).copied() {
        let set_id = format!("_2TO3_{}-meta", text(cib, resource, "id"));
        let id = format!("_2TO3_{}-meta-requires", text(cib, op, "id"));
        let value = text(cib, op, "requires");
        let set = cib.append_with(resource, "meta_attributes", &[("id", &set_id)]);
        cib.append_with(set, "nvpair", &[("id", &id), ("name", "requires"), ("value", &value)]);
    } else if !is_said {
        let of = |kind| -> Vec<NodeId> {
            let ops = operations.iter().filter(|op| counts(cib, **op));
            ops.flat_map(|op| children(cib, *op, kind)).collect()
        };
        let sources = required_by(cib, &of("meta_attributes"), &of("instance_attributes"));
        for source in sources {
            required_set(cib, resource, source);
        }
    }
    for op in operations {
        cib.remove_attr(op, "requires");
        for kind in ["meta_attributes", "instance_attributes"] {
            for pair in pairs(cib, op, kind) {
                if cib.attr(pair, "name") == Some("requires") {
                    cib.remove(pair);
                }
            }
        }
    }
}

/// The sets of operations whose `requires` counts, in document order: all with a rule that no plain one
/// follows, and the last plain one.
fn required_by(cib: &Document, meta: &[NodeId], parameters: &[NodeId]) -> Vec<NodeId> {
    let says = |set: &&NodeId| pairs_named(cib, **set, "requires").next().is_some();
    let last_of = |sets: &[NodeId]| {
        let mut out: Vec<NodeId> = Vec::new();
        for set in sets.iter().rev().filter(says) {
            out.push(*set);
            if !is_ruled(cib, *set) {
                break;
            }
        }
        out.reverse();
        out
    };
    let mut out = last_of(meta);
    if !out.iter().any(|set| !is_ruled(cib, *set)) {
        out.extend(last_of(parameters));
    }
    out
}

fn pairs_named<'d>(cib: &'d Document, set: NodeId, name: &'d str) -> impl Iterator<Item = NodeId> + 'd {
    children(cib, set, "nvpair").into_iter().filter(move |pair| cib.attr(*pair, "name") == Some(name))
}

/// A set of the resource with what a set of an operation requires.
fn required_set(cib: &mut Document, resource: NodeId, source: NodeId) {
    let set = copied_set(cib, resource, source);
    let found: Vec<NodeId> = pairs_named(cib, source, "requires").collect();
    for pair in found {
        cib.move_to(pair, set, None);
    }
}

/// A set of meta-attributes under the rule and with the score of another set, without its pairs.
fn copied_set(cib: &mut Document, parent: NodeId, source: NodeId) -> NodeId {
    let set = cib.duplicate(parent, source);
    cib.rename(set, "meta_attributes");
    cib.set_attr(set, "id", &format!("_2TO3_{}", text(cib, source, "id")));
    for pair in children(cib, set, "nvpair") {
        cib.remove(pair);
    }
    set
}

/// Meta-attributes among the parameters of an operation.
#[derive(Default)]
struct MetaParameters {
    /// The resource has one of that name, or a later set without a rule has.
    said: Vec<NodeId>,
    /// By set with a rule.
    ruled: Vec<(NodeId, Vec<NodeId>)>,
    plain: Vec<NodeId>,
}

fn meta_parameters(cib: &Document, of_resource: &HashSet<String>, sets: &[NodeId]) -> MetaParameters {
    let mut out = MetaParameters::default();
    let mut later: HashSet<String> = HashSet::new();
    let mut plain = Vec::new();
    for set in sets.iter().rev() {
        let pairs = children(cib, *set, "nvpair").into_iter().map(|pair| (pair, text(cib, pair, "name")));
        let meta: Vec<(NodeId, String)> =
            pairs.filter(|(_, name)| OPERATION_META.contains(&name.as_str())).collect();
        let (said, kept): (Vec<_>, Vec<_>) =
            meta.into_iter().partition(|(_, name)| of_resource.contains(name) || later.contains(name));
        out.said.extend(said.into_iter().map(|(pair, _)| pair));
        if kept.is_empty() {
            continue;
        }
        let pairs = kept.iter().map(|(pair, _)| *pair).collect();
        if is_ruled(cib, *set) {
            out.ruled.push((*set, pairs));
        } else {
            later.extend(kept.into_iter().map(|(_, name)| name));
            plain.push(pairs);
        }
    }
    out.ruled.reverse();
    out.plain = plain.into_iter().rev().flatten().collect();
    out
}

/// Moves meta-attributes that are among an operation's parameters, unless the resource has one of that name.
fn operation_meta(cib: &mut Document, of_resource: &HashSet<String>, operation: NodeId) {
    let sets = children(cib, operation, "instance_attributes");
    let MetaParameters { said, ruled, plain } = meta_parameters(cib, of_resource, &sets);
    for pair in said {
        cib.remove(pair);
    }
    for (set, pairs) in ruled {
        let target = copied_set(cib, operation, set);
        for pair in pairs {
            cib.move_to(pair, target, None);
        }
    }
    if !plain.is_empty() {
        let metas = children(cib, operation, "meta_attributes");
        let target = metas.into_iter().find(|set| !is_ruled(cib, *set)).unwrap_or_else(|| {
            let id = format!("_2TO3_{}-meta", text(cib, operation, "id"));
            cib.append_with(operation, "meta_attributes", &[("id", &id)])
        });
        for pair in plain {
            cib.move_to(pair, target, None);
        }
    }
    drop_empty(cib, sets);
    let metas = children(cib, operation, "meta_attributes");
    drop_empty(cib, metas);
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
