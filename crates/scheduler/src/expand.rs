//! First stage: the configuration with everything implied written out. Templates are merged into
//! what refers to them, guest nodes and bundles get the resources that the cluster adds for them.
//! The result is read-only for all later stages.

use crate::text::{Str, min_int, parse_bool};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use xml::{Document, NodeId};

const REMOTE_PORT: &str = "3121";
const REMOTE_KEY: &str = "/etc/pacemaker/authkey";
const REMOTED: &str = "/usr/sbin/pacemaker-remoted";
const BUNDLE_LOG_DIR: &str = "/var/log/pacemaker/bundles";
/// A configuration that asks for more replicas than this is refused: each replica is told of all the others.
const MAX_REPLICAS: i32 = 1_000;

/// The expanded configuration.
#[derive(Debug, Clone)]
pub struct Expanded {
    pub doc: Arc<Document>,
    /// Resource elements whose template was merged: original to merged.
    pub merged: HashMap<NodeId, NodeId>,
    /// Resources whose template is missing or invalid.
    pub invalid: HashSet<NodeId>,
    pub bundles: HashMap<NodeId, BundlePlan>,
    pub messages: Vec<String>,
}

/// What a bundle consists of.
#[derive(Debug, Clone, Default)]
pub struct BundlePlan {
    pub agent: &'static str,
    pub promoted_max: i32,
    pub replicas: i32,
    pub per_host: i32,
    /// More than one replica for each host was asked for.
    pub unique: bool,
    pub image: Option<Str>,
    /// The implied clone, with the bundled primitive in it.
    pub clone: Option<NodeId>,
    pub parts: Vec<ReplicaPlan>,
    /// Why the bundle cannot be used.
    pub invalid: bool,
}

#[derive(Debug, Clone)]
pub struct ReplicaPlan {
    pub ipaddr: Option<Str>,
    /// What containers are told about this replica's address.
    pub host_option: String,
    pub container: NodeId,
    pub ip: Option<NodeId>,
    pub remote: Option<NodeId>,
    pub remote_name: Option<Str>,
}

/// Whether an element is a connection to a Pacemaker Remote node.
pub fn is_remote_connection(doc: &Document, node: NodeId) -> bool {
    let is = |name: &str, value: &str| doc.attr(node, name).is_some_and(|v| v.eq_ignore_ascii_case(value));
    is("type", "remote") && is("class", "ocf") && is("provider", "pacemaker")
}

/// `<configuration>/<resources>` of a CIB.
pub fn section(doc: &Document, name: &str) -> Option<NodeId> {
    let configuration = doc.child(doc.root(), "configuration");
    configuration.and_then(|c| doc.child(c, name)).or_else(|| doc.child(doc.root(), name))
}

/// Whether a configuration implies more than it says. Most do not, and are used as they are.
fn implies_more(doc: &Document, resources: NodeId) -> bool {
    let more = |e: xml::Element<'_>| match e.name() {
        "bundle" | "master" => true,
        "nvpair" => e.attr("name") == Some("remote-node"),
        "template" => false,
        _ => e.attr("template").is_some(),
    };
    doc.element(resources).descendants().any(more)
}

/// Expands a CIB.
pub fn expand(cib: Arc<Document>) -> Expanded {
    let mut out = Expanded {
        doc: cib,
        merged: HashMap::new(),
        invalid: HashSet::new(),
        bundles: HashMap::new(),
        messages: Vec::new(),
    };
    let resources = section(&out.doc, "resources").filter(|r| implies_more(&out.doc, *r));
    let Some(resources) = resources else { return out };
    let doc = Arc::make_mut(&mut out.doc);
    let scratch = doc.append(doc.root(), "expanded-resources");
    rename_masters(doc, resources);
    merge_templates(&mut out, resources, scratch);
    add_guest_connections(&mut out, resources);
    let mut known = HashSet::new();
    for top in out.doc.child_elements(resources) {
        if out.doc.name(top) == "bundle" {
            let effective = out.merged.get(&top).copied().unwrap_or(top);
            let plan = plan_bundle(&mut out, effective, scratch, &known);
            out.bundles.insert(effective, plan);
        }
        for e in out.doc.element(top).descendants() {
            if let Some(id) =
                e.attr("id").filter(|_| matches!(e.name(), "primitive" | "group" | "clone" | "bundle"))
            {
                known.insert(id.to_string());
            }
        }
    }
    out
}

/// Old configurations call a promotable clone `<master>`.
fn rename_masters(doc: &mut Document, resources: NodeId) {
    for top in doc.child_elements(resources) {
        if doc.name(top) != "master" {
            continue;
        }
        doc.rename(top, "clone");
        let id = doc.attr(top, "id").unwrap_or("").to_string();
        let set = doc.append_with(top, "meta_attributes", &[("id", &format!("{id}-promotable"))]);
        pair(doc, set, "promotable", "true");
    }
}

fn merge_templates(out: &mut Expanded, resources: NodeId, scratch: NodeId) {
    let users: Vec<NodeId> = out
        .doc
        .element(resources)
        .descendants()
        .filter(|e| e.name() != "template" && e.attr("template").is_some())
        .filter(|e| matches!(e.name(), "primitive" | "group" | "clone" | "bundle"))
        .map(|e| e.id())
        .collect();
    for user in users {
        match merge_template(Arc::make_mut(&mut out.doc), resources, scratch, user) {
            Ok(merged) => {
                out.merged.insert(user, merged);
            }
            Err(message) => {
                out.messages.push(message);
                out.invalid.insert(user);
            }
        }
    }
}

fn merge_template(
    doc: &mut Document,
    resources: NodeId,
    scratch: NodeId,
    user: NodeId,
) -> Result<NodeId, String> {
    let name = doc.attr(user, "template").unwrap_or("").to_string();
    let id = doc.attr(user, "id").unwrap_or("").to_string();
    if name == id {
        return Err(format!("The resource object '{id}' should not reference itself"));
    }
    let template = doc
        .element(resources)
        .children()
        .find(|c| c.name() == "template" && c.attr("id") == Some(&name))
        .map(|c| c.id())
        .ok_or_else(|| format!("No template named '{name}'"))?;
    let merged = doc.duplicate(scratch, template);
    let element = doc.name(user).to_string();
    doc.rename(merged, &element);
    doc.set_attr(merged, "id", &id);
    let template_ops = doc.child(merged, "operations");
    let mut own_ops = None;
    for child in doc.child_elements(user) {
        let copy = doc.duplicate(merged, child);
        if own_ops.is_none() && doc.name(copy) == "operations" {
            own_ops = Some(copy);
        }
    }
    if let (Some(template_ops), Some(own_ops)) = (template_ops, own_ops) {
        let key = |doc: &Document, op: NodeId| {
            let role = doc
                .attr(op, "role")
                .filter(|r| !["started", "unpromoted", "slave"].iter().any(|w| r.eq_ignore_ascii_case(w)));
            (doc.attr(op, "name").unwrap_or("").to_string(), role.unwrap_or("Unknown").to_string())
        };
        let own: HashSet<_> = doc.child_elements(own_ops).into_iter().map(|op| key(doc, op)).collect();
        for op in doc.child_elements(template_ops) {
            if !own.contains(&key(doc, op)) {
                doc.duplicate(own_ops, op);
            }
        }
        doc.remove(template_ops);
    }
    Ok(merged)
}

/// Guest nodes: a resource with the meta-attribute `remote-node` gets a connection resource.
fn add_guest_connections(out: &mut Expanded, resources: NodeId) {
    for top in out.doc.child_elements(resources) {
        let holders = match out.doc.name(top) {
            _ if is_remote_connection(&out.doc, top) => continue,
            "primitive" => vec![top],
            "group" => out.doc.child_elements(top),
            _ => continue,
        };
        for holder in holders {
            add_guest_connection(Arc::make_mut(&mut out.doc), resources, holder);
        }
    }
}

fn add_guest_connection(doc: &mut Document, resources: NodeId, holder: NodeId) {
    let mut found: HashMap<String, String> = HashMap::new();
    for set in doc.element(holder).children().filter(|c| c.name() == "meta_attributes") {
        for pair in set.children() {
            if let (Some(name), Some(value)) = (pair.attr("name"), pair.attr("value")) {
                found.insert(name.to_string(), value.to_string());
            }
        }
    }
    let Some(name) = found.get("remote-node").cloned() else { return };
    let container = doc.attr(holder, "id").unwrap_or("").to_string();
    let get = |key: &str| found.get(key).map(String::as_str);
    let spec = Connection {
        name: &name,
        container: &container,
        allow_migrate: get("remote-allow-migrate"),
        is_managed: get("is-managed"),
        start_timeout: Some(get("remote-connect-timeout").unwrap_or("60s")),
        server: get("remote-addr"),
        port: get("remote-port"),
    };
    create_connection(doc, resources, &spec);
}

struct Connection<'a> {
    name: &'a str,
    container: &'a str,
    allow_migrate: Option<&'a str>,
    is_managed: Option<&'a str>,
    start_timeout: Option<&'a str>,
    server: Option<&'a str>,
    port: Option<&'a str>,
}

fn pair(doc: &mut Document, parent: NodeId, name: &str, value: &str) {
    let id = format!("{}-{name}", doc.attr(parent, "id").unwrap_or("nvpair"));
    doc.append_with(parent, "nvpair", &[("id", &id), ("name", name), ("value", value)]);
}

fn operation(
    doc: &mut Document,
    parent: NodeId,
    prefix: &str,
    task: &str,
    interval: &str,
    timeout: Option<&str>,
) {
    let id = format!("{prefix}-{task}-{interval}");
    let op = doc.append_with(parent, "op", &[("id", &id), ("interval", interval), ("name", task)]);
    if let Some(timeout) = timeout {
        doc.set_attr(op, "timeout", timeout);
    }
}

fn primitive(doc: &mut Document, parent: NodeId, id: &str, provider: &str, agent: &str) -> NodeId {
    doc.append_with(
        parent,
        "primitive",
        &[("id", id), ("class", "ocf"), ("provider", provider), ("type", agent)],
    )
}

fn create_connection(doc: &mut Document, parent: NodeId, spec: &Connection<'_>) -> NodeId {
    let rsc = primitive(doc, parent, spec.name, "pacemaker", "remote");
    let meta = doc.append_with(rsc, "meta_attributes", &[("id", &format!("{}-meta_attributes", spec.name))]);
    pair(doc, meta, "internal_rsc", "true");
    pair(doc, meta, "container", spec.container);
    for (name, value) in [("allow-migrate", spec.allow_migrate), ("is-managed", spec.is_managed)] {
        if let Some(value) = value {
            pair(doc, meta, name, value);
        }
    }
    if spec.port.is_some() || spec.server.is_some() {
        let id = format!("{}-instance_attributes", spec.name);
        let attrs = doc.append_with(rsc, "instance_attributes", &[("id", &id)]);
        for (name, value) in [("addr", spec.server), ("port", spec.port)] {
            if let Some(value) = value {
                pair(doc, attrs, name, value);
            }
        }
    }
    let ops = doc.append(rsc, "operations");
    operation(doc, ops, spec.name, "monitor", "30s", Some("30s"));
    if let Some(timeout) = spec.start_timeout {
        operation(doc, ops, spec.name, "start", "0", Some(timeout));
    }
    rsc
}

struct Mount {
    source: String,
    target: String,
    options: Option<String>,
    subdir: bool,
}

struct BundleConfig {
    prefix: String,
    agent: &'static str,
    run_command: Option<String>,
    options: Option<String>,
    image: Option<String>,
    container_network: Option<String>,
    ip_range_start: Option<String>,
    host_netmask: Option<String>,
    host_interface: Option<String>,
    control_port: Option<String>,
    add_host: bool,
    ports: Vec<(String, String)>,
    mounts: Vec<Mount>,
    host_options: String,
    per_host: i32,
}

fn plan_bundle(out: &mut Expanded, bundle: NodeId, scratch: NodeId, known: &HashSet<String>) -> BundlePlan {
    let mut plan = BundlePlan { invalid: true, ..BundlePlan::default() };
    let doc = &out.doc;
    let Some((agent, launcher)) =
        ["docker", "podman"].into_iter().find_map(|name| doc.child(bundle, name).map(|node| (name, node)))
    else {
        return plan;
    };
    plan.agent = agent;
    plan.promoted_max = min_int(doc.attr(launcher, "promoted-max").or(doc.attr(launcher, "masters")), 0);
    let replicas = doc.attr(launcher, "replicas");
    plan.replicas =
        if replicas.is_none() && plan.promoted_max > 0 { plan.promoted_max } else { min_int(replicas, 1) };
    plan.per_host = min_int(doc.attr(launcher, "replicas-per-host"), 1);
    plan.unique = plan.per_host > 1;
    plan.image = doc.attr(launcher, "image").map(Str::from);
    if plan.replicas > MAX_REPLICAS {
        out.messages.push(format!("A bundle may not have {} replicas", plan.replicas));
        return plan;
    }
    let mut config = bundle_config(doc, bundle, launcher, agent, plan.per_host);
    let child = doc.child(bundle, "primitive");
    if child.is_some()
        && config.ip_range_start.is_none()
        && config.control_port.is_some()
        && config.per_host > 1
    {
        config.per_host = 1;
        plan.per_host = 1;
    }
    let networked = config.ip_range_start.is_some() || config.control_port.is_some();
    if child.is_some() && !networked {
        out.messages.push(format!(
            "Cannot control {} inside {} without either ip-range-start or control-port",
            child.and_then(|c| doc.attr(c, "id")).unwrap_or(""),
            config.prefix
        ));
        return plan;
    }
    let addresses = replica_addresses(&config, plan.replicas);
    config.host_options = addresses.iter().map(|(_, option)| option.as_str()).collect();
    if let Some(child) = child {
        plan.clone = Some(bundle_clone(Arc::make_mut(&mut out.doc), scratch, &config, &plan, child));
        config.mounts.push(Mount {
            source: REMOTE_KEY.into(),
            target: REMOTE_KEY.into(),
            options: None,
            subdir: false,
        });
        if !config.mounts.iter().any(|m| m.target == "/var/log") {
            config.mounts.push(Mount {
                source: BUNDLE_LOG_DIR.into(),
                target: "/var/log".into(),
                options: None,
                subdir: true,
            });
        }
        let port = config.control_port.clone().unwrap_or_else(|| REMOTE_PORT.into());
        config.ports.push((port.clone(), port));
    }
    let child_id = child.and_then(|c| out.doc.attr(c, "id")).map(str::to_string);
    for (offset, (ip, host_option)) in addresses.into_iter().enumerate() {
        let doc = Arc::make_mut(&mut out.doc);
        let part = plan_replica(doc, scratch, &config, offset, ip, child_id.as_deref(), known);
        plan.parts.push(ReplicaPlan { host_option, ..part });
    }
    plan.invalid = false;
    plan
}

fn bundle_config(
    doc: &Document,
    bundle: NodeId,
    launcher: NodeId,
    agent: &'static str,
    per_host: i32,
) -> BundleConfig {
    let text = |node: NodeId, name: &str| doc.attr(node, name).map(str::to_string);
    let network = doc.child(bundle, "network");
    let net = |name: &str| network.and_then(|n| text(n, name));
    let mut ports = Vec::new();
    for map in network.map(|n| doc.child_elements(n)).unwrap_or_default() {
        if doc.name(map) != "port-mapping" {
            continue;
        }
        let (source, target) = match text(map, "port") {
            Some(port) => (Some(port), text(map, "internal-port")),
            None => (text(map, "range"), None),
        };
        if let Some(source) = source.filter(|s| !s.is_empty()) {
            let target = target.unwrap_or_else(|| source.clone());
            ports.push((source, target));
        }
    }
    let mut mounts = Vec::new();
    for map in doc.child(bundle, "storage").map(|n| doc.child_elements(n)).unwrap_or_default() {
        if doc.name(map) != "storage-mapping" {
            continue;
        }
        let (source, subdir) = match text(map, "source-dir") {
            Some(source) => (Some(source), false),
            None => (text(map, "source-dir-root"), true),
        };
        if let (Some(source), Some(target)) = (source, text(map, "target-dir")) {
            mounts.push(Mount { source, target, options: text(map, "options"), subdir });
        }
    }
    BundleConfig {
        prefix: text(bundle, "id").unwrap_or_default(),
        agent,
        run_command: text(launcher, "run-command"),
        options: text(launcher, "options"),
        image: text(launcher, "image"),
        container_network: text(launcher, "network"),
        ip_range_start: net("ip-range-start"),
        host_netmask: net("host-netmask"),
        host_interface: net("host-interface"),
        control_port: net("control-port"),
        add_host: net("add-host").and_then(|v| parse_bool(&v)).unwrap_or(true),
        ports,
        mounts,
        host_options: String::new(),
        per_host,
    }
}

/// The address of each replica, with the option that tells containers about it.
fn replica_addresses(config: &BundleConfig, count: i32) -> Vec<(Option<String>, String)> {
    let mut last: Option<String> = None;
    let mut out = Vec::new();
    for offset in 0..count {
        let ip = match (&config.ip_range_start, &last) {
            (None, _) => None,
            (Some(start), None) => Some(start.clone()),
            (Some(_), Some(last)) => next_ip(last),
        };
        let name = format!("{}-{offset}", config.prefix);
        let shown = shown_ip(ip.as_deref());
        let option = match (&config.ip_range_start, config.add_host) {
            (None, _) => String::new(),
            (Some(_), true) => format!(" --add-host={name}:{shown}"),
            (Some(_), false) => format!(" --hosts-entry={shown}={name}"),
        };
        // After one without an address, the next begins the range again.
        last = ip.clone();
        out.push((ip, option));
    }
    out
}

/// An address as the reference writes it into names and options: of a replica beyond the range's end it
/// writes what C's library makes of nothing.
fn shown_ip(ip: Option<&str>) -> &str {
    ip.unwrap_or("(null)")
}

/// The address after this one, or none: what is no IPv4 address has no next one, nor has the end of the
/// second last octet's range.
fn next_ip(ip: &str) -> Option<String> {
    let mut rest = ip;
    let mut octets = [0_u32; 4];
    for (at, octet) in octets.iter_mut().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix('.')?;
        }
        (*octet, rest) = scanned(rest)?;
    }
    match octets {
        [_, _, c, _] if c > 253 => None,
        [a, b, c, d] if d > 253 => Some(format!("{a}.{b}.{}.1", c + 1)),
        [a, b, c, d] => Some(format!("{a}.{b}.{c}.{}", d + 1)),
    }
}

/// A number at the start as C's `scanf("%u")` reads it, and what follows: spaces and a sign may stand
/// before it, and of a number too large the low 32 bits count.
fn scanned(text: &str) -> Option<(u32, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())?;
    let number = match digits.parse::<u64>() {
        Ok(number) if negative => number.wrapping_neg(),
        Ok(number) => number,
        Err(_) => u64::MAX,
    };
    Some(((number & u64::from(u32::MAX)) as u32, rest))
}

fn bundle_clone(
    doc: &mut Document,
    scratch: NodeId,
    config: &BundleConfig,
    plan: &BundlePlan,
    child: NodeId,
) -> NodeId {
    let suffix = if plan.promoted_max > 0 { "master" } else { "clone" };
    let clone = doc.append_with(scratch, "clone", &[("id", &format!("{}-{suffix}", config.prefix))]);
    let meta = doc.append_with(clone, "meta_attributes", &[("id", &format!("{}-clone-meta", config.prefix))]);
    pair(doc, meta, "ordered", "true");
    pair(doc, meta, "clone-max", &plan.replicas.to_string());
    pair(doc, meta, "clone-node-max", &plan.per_host.to_string());
    pair(doc, meta, "globally-unique", if plan.per_host > 1 { "true" } else { "false" });
    if plan.promoted_max > 0 {
        pair(doc, meta, "promotable", "true");
        pair(doc, meta, "promoted-max", &plan.promoted_max.to_string());
    }
    let copy = doc.duplicate(clone, child);
    debug_assert!(doc.parent(copy) == Some(clone));
    clone
}

/// Turns a text into a valid XML id, as the reference does.
fn sanitize_id(id: &str) -> String {
    let start = |c: char| c.is_alphabetic() || matches!(c, '_' | ':');
    let name = |c: char| start(c) || c.is_numeric() || matches!(c, '-' | '.' | '\u{b7}');
    let fix = |(at, c): (usize, char)| match at {
        0 if !start(c) => '_',
        0 => c,
        _ if name(c) => c,
        _ => '.',
    };
    id.chars().enumerate().map(fix).collect()
}

fn plan_replica(
    doc: &mut Document,
    scratch: NodeId,
    config: &BundleConfig,
    offset: usize,
    ip: Option<String>,
    child_id: Option<&str>,
    known: &HashSet<String>,
) -> ReplicaPlan {
    let container = container_resource(doc, scratch, config, offset, ip.as_deref(), child_id.is_some());
    let container_id = doc.attr(container, "id").unwrap_or("").to_string();
    let ranged = config.ip_range_start.is_some();
    let ip_node = ranged.then(|| ip_resource(doc, scratch, config, offset, ip.as_deref()));
    let networked = config.ip_range_start.is_some() || config.control_port.is_some();
    let (mut remote, mut remote_name) = (None, None);
    if let Some(child_id) = child_id.filter(|_| networked) {
        let mut name = format!("{}-{offset}", config.prefix);
        if known.contains(&name) {
            name = format!("pcmk-internal-{child_id}:{offset}-remote-{offset}");
        }
        let spec = Connection {
            name: &name,
            container: &container_id,
            allow_migrate: None,
            is_managed: None,
            start_timeout: None,
            server: Some(ip.as_deref().unwrap_or("#uname")),
            port: Some(config.control_port.as_deref().unwrap_or(REMOTE_PORT)),
        };
        remote = Some(create_connection(doc, scratch, &spec));
        remote_name = Some(Str::from(name));
    }
    ReplicaPlan {
        ipaddr: ip.map(Str::from),
        host_option: String::new(),
        container,
        ip: ip_node,
        remote,
        remote_name,
    }
}

fn ip_resource(
    doc: &mut Document,
    scratch: NodeId,
    config: &BundleConfig,
    offset: usize,
    ip: Option<&str>,
) -> NodeId {
    let id = sanitize_id(&format!("{}-ip-{}", config.prefix, shown_ip(ip)));
    let rsc = primitive(doc, scratch, &id, "heartbeat", "IPaddr2");
    let set = format!("{}-attributes-{offset}", config.prefix);
    let attrs = doc.append_with(rsc, "instance_attributes", &[("id", &set)]);
    if let Some(ip) = ip {
        pair(doc, attrs, "ip", ip);
    }
    if let Some(nic) = &config.host_interface {
        pair(doc, attrs, "nic", nic);
    }
    pair(doc, attrs, "cidr_netmask", config.host_netmask.as_deref().unwrap_or("32"));
    let ops = doc.append(rsc, "operations");
    operation(doc, ops, &id, "monitor", "60s", None);
    rsc
}

fn container_resource(
    doc: &mut Document,
    scratch: NodeId,
    config: &BundleConfig,
    offset: usize,
    ip: Option<&str>,
    has_child: bool,
) -> NodeId {
    let id = sanitize_id(&format!("{}-{}-{offset}", config.prefix, config.agent));
    let rsc = primitive(doc, scratch, &id, "heartbeat", config.agent);
    let set = format!("{}-attributes-{offset}", config.prefix);
    let attrs = doc.append_with(rsc, "instance_attributes", &[("id", &set)]);
    if let Some(image) = &config.image {
        pair(doc, attrs, "image", image);
    }
    pair(doc, attrs, "allow_pull", "true");
    pair(doc, attrs, "force_kill", "false");
    pair(doc, attrs, "reuse", "false");
    let (run_options, mount_points) = run_options(config, offset, ip);
    pair(doc, attrs, "run_opts", &run_options);
    pair(doc, attrs, "mount_points", &mount_points);
    match (&config.run_command, has_child) {
        (Some(command), _) => pair(doc, attrs, "run_cmd", command),
        (None, true) => pair(doc, attrs, "run_cmd", REMOTED),
        (None, false) => {}
    }
    pair(doc, attrs, "monitor_cmd", "/bin/true");
    let ops = doc.append(rsc, "operations");
    operation(doc, ops, &id, "monitor", "60s", None);
    rsc
}

fn run_options(config: &BundleConfig, offset: usize, ip: Option<&str>) -> (String, String) {
    let mut out = String::new();
    let mut points = Vec::new();
    if config.agent == "docker" {
        out += " --restart=no";
    }
    if config.ip_range_start.is_some() {
        out += &format!(" -h {}-{offset}", config.prefix);
    }
    out += " -e PCMK_stderr=1";
    if let Some(network) = &config.container_network {
        out += &format!(" --net={network}");
    }
    out += &format!(" -e PCMK_remote_port={}", config.control_port.as_deref().unwrap_or(REMOTE_PORT));
    for mount in &config.mounts {
        let source = match mount.subdir {
            true => {
                let source = format!("{}/{}-{offset}", mount.source, config.prefix);
                points.push(source.clone());
                source
            }
            false => mount.source.clone(),
        };
        out += &format!(" -v {source}:{}", mount.target);
        if let Some(options) = &mount.options {
            out += &format!(":{options}");
        }
    }
    for (source, target) in &config.ports {
        if let Some(ip) = ip {
            out += &format!(" -p {ip}:{source}:{target}");
        } else if config.container_network.as_deref() != Some("host") {
            out += &format!(" -p {source}:{target}");
        }
    }
    if let Some(options) = &config.options {
        out += &format!(" {options}");
    }
    out += &format!(" {}", config.host_options);
    (out, points.join(","))
}

#[cfg(test)]
mod tests {
    use crate::model::rf;
    use crate::{Cluster, Options};
    use xml::Document;

    #[test]
    fn masters_are_promotable_clones() {
        let text = "<cib><configuration><nodes><node id='1' uname='n1'/></nodes><resources><master id='ms'>\
            <primitive id='p' class='ocf' provider='pacemaker' type='Stateful'/></master></resources>\
            </configuration><status/></cib>";
        let doc = Document::parse(text).unwrap_or_else(|e| panic!("{e}"));
        let cluster = Cluster::unpack(&doc, &Options::default());
        assert!(cluster.top.iter().any(|r| cluster.is_clone(*r) && cluster.rscs[*r].is(rf::PROMOTABLE)));
    }
}
