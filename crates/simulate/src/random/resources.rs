//! Random resources.

use super::config::{Choice, Maker};
use super::rules::{self, Place};

/// Meta-attributes of any resource.
const META: [Choice; 14] = [
    (12, "priority", &["0", "1", "5", "10", "-1"]),
    (20, "resource-stickiness", &["0", "1", "50", "100", "INFINITY", "-10"]),
    (15, "migration-threshold", &["1", "2", "3", "INFINITY"]),
    (10, "failure-timeout", &["30s", "1h", "10d"]),
    (5, "is-managed", &["false", "true"]),
    (4, "maintenance", &["true", "false"]),
    (8, "target-role", &["Started", "Stopped", "Unpromoted", "Promoted"]),
    (8, "multiple-active", &["stop_start", "stop_only", "block", "stop_unexpected"]),
    (18, "allow-migrate", &["true", "false"]),
    (10, "requires", &["nothing", "quorum", "fencing", "unfencing"]),
    (8, "critical", &["true", "false"]),
    (6, "allow-unhealthy-nodes", &["true", "false"]),
    (4, "resource-discovery", &["always"]),
    (2, "container", &["prim-1", "prim-2", "prim-3", "prim-5"]),
];

/// Meta-attributes of clones.
const CLONE: [Choice; 7] = [
    (40, "interleave", &["true", "false"]),
    (25, "ordered", &["true", "false"]),
    (30, "notify", &["true", "false"]),
    (25, "clone-max", &["1", "2", "3", "4", "0"]),
    (15, "clone-node-max", &["1", "2", "3", "0"]),
    (15, "clone-min", &["1", "2", "5"]),
    (15, "globally-unique", &["true", "false"]),
];

/// Meta-attributes of promotable clones.
const PROMOTABLE: [Choice; 2] =
    [(30, "promoted-max", &["1", "2", "0", "3"]), (15, "promoted-node-max", &["1", "2"])];

const ON_FAIL: [&str; 8] =
    ["ignore", "block", "demote", "stop", "restart", "standby", "fence", "restart-container"];

/// Meta-attributes of operations that are not attributes of their element.
const OP_META: [Choice; 3] =
    [(30, "timeout", &["40s", "1000", "x"]), (30, "on-fail", &ON_FAIL), (10, "enabled", &["true", "false"])];

/// Parameters of operations.
const OP_PARAMETERS: [Choice; 2] = [(50, "OCF_CHECK_LEVEL", &["10", "20"]), (30, "fake", &["op", "a"])];

/// Parameters of fencing devices.
const DEVICE: [Choice; 4] = [
    (10, "pcmk_host_map", &["node1:1;node2:2"]),
    (10, "pcmk_delay_max", &["10s"]),
    (10, "pcmk_reboot_action", &["off", "reboot"]),
    (10, "pcmk_host_check", &["static-list", "none"]),
];

/// Meta-attributes of guest nodes' resources.
const GUEST: [Choice; 4] = [
    (15, "remote-addr", &["10.0.0.7"]),
    (15, "remote-port", &["3122"]),
    (15, "remote-connect-timeout", &["20s"]),
    (15, "remote-allow-migrate", &["true", "false"]),
];

/// What a primitive is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Stateful,
    Bundled,
}

pub fn resources(m: &mut Maker) {
    if m.dice.chance(25) {
        template(m);
    }
    if m.dice.chance(65) {
        for _ in 0..m.dice.between(1, 2) {
            match m.dice.roll(12) {
                0 => cloned_fencing(m),
                _ => fencing(m),
            }
        }
    }
    let count = if m.dice.chance(12) { m.dice.between(7, 14) } else { m.dice.between(1, 6) };
    for _ in 0..count {
        match m.dice.roll(100) {
            0..35 => {
                let id = m.id("prim");
                primitive(m, &id, Kind::Plain);
            }
            35..55 => group(m, Kind::Plain),
            55..73 => clone(m, false),
            73..86 => clone(m, true),
            86..92 => bundle(m),
            92..96 => remote(m),
            _ => guest(m),
        }
    }
    for _ in 0..m.dice.roll(3) {
        if m.dice.chance(40) {
            let tag = m.id("tag");
            m.tags.push(tag);
        }
    }
}

fn template(m: &mut Maker) {
    let id = m.id("tmpl");
    m.add(&format!("<template id=\"{id}\" class=\"ocf\" provider=\"pacemaker\" type=\"Dummy\">"));
    m.block("meta_attributes", &META, None);
    operations(m, &id, Kind::Plain);
    m.add("</template>");
    m.templates.push(id);
}

fn cloned_fencing(m: &mut Maker) {
    let id = m.id("fencing");
    m.add(&format!("<clone id=\"{id}\">"));
    m.block("meta_attributes", &CLONE[..4], None);
    fencing(m);
    m.add("</clone>");
    m.rscs.push(id);
}

fn fencing(m: &mut Maker) {
    let id = m.id("fence");
    let agent = m.dice.pick(&["fence_xvm", "fence_ipmilan", "fence_scsi"]);
    m.add(&format!("<primitive id=\"{id}\" class=\"stonith\" type=\"{agent}\">"));
    if m.dice.chance(50) {
        let set = m.id("params");
        let host = m.dice.name(&m.nodes.clone());
        m.add(&format!("<instance_attributes id=\"{set}\">"));
        m.pair("pcmk_host_list", &host);
        m.add("</instance_attributes>");
    }
    m.block("instance_attributes", &DEVICE, None);
    m.block("meta_attributes", &META[..2], None);
    if m.dice.chance(15) {
        let set = m.id("meta");
        m.add(&format!("<meta_attributes id=\"{set}\">"));
        m.pair("provides", "unfencing");
        m.add("</meta_attributes>");
    }
    if m.dice.chance(60) {
        m.add(&format!("<operations><op id=\"{id}-mon\" name=\"monitor\" interval=\"60s\"/></operations>"));
    }
    m.add("</primitive>");
    m.rscs.push(id.clone());
    m.primitives.push(id.clone());
    m.fencing.push(id);
}

/// A primitive of this id.
pub fn primitive(m: &mut Maker, id: &str, kind: Kind) {
    let agent = match (kind, m.dice.roll(10)) {
        (Kind::Stateful, _) => "class=\"ocf\" provider=\"pacemaker\" type=\"Stateful\"",
        (_, 0) => "class=\"systemd\" type=\"httpd\"",
        (_, 1) if m.dice.chance(60) => "class=\"lsb\" type=\"apache\"",
        (_, 1) => "class=\"service\" type=\"cups\"",
        (_, 2..5) => "class=\"ocf\" provider=\"heartbeat\" type=\"IPaddr2\"",
        _ => "class=\"ocf\" provider=\"pacemaker\" type=\"Dummy\"",
    };
    let template = m.dice.name(&m.templates.clone());
    if kind == Kind::Plain && !template.is_empty() && m.dice.chance(40) {
        m.add(&format!("<primitive id=\"{id}\" template=\"{template}\">"));
    } else {
        m.add(&format!("<primitive id=\"{id}\" {agent}>"));
    }
    if m.dice.chance(30) {
        parameters(m);
    }
    let choices = if m.dice.chance(60) { &META[..] } else { &META[..2] };
    m.blocks("meta_attributes", choices, Place::Values);
    if m.utilization && m.dice.chance(60) {
        let set = m.id("util");
        let (cpu, memory) = (m.dice.between(0, 3).to_string(), m.dice.between(1, 3) * 512);
        m.add(&format!("<utilization id=\"{set}\">"));
        m.pair("cpu", &cpu);
        if m.dice.chance(60) {
            m.pair("memory", &memory.to_string());
        }
        m.add("</utilization>");
    }
    operations(m, id, kind);
    m.add("</primitive>");
    m.rscs.push(id.to_string());
    m.primitives.push(id.to_string());
}

/// Instance attributes, with a rule now and then.
fn parameters(m: &mut Maker) {
    let set = m.id("params");
    m.add(&format!("<instance_attributes id=\"{set}\">"));
    if m.dice.chance(20) {
        rules::rule(m, Place::Values);
    }
    let value = m.dice.pick(&["a", "b", "c", "127.0.0.1"]);
    m.pair("fake", value);
    if m.dice.chance(40) {
        m.pair("state", "/run/state");
    }
    if m.dice.chance(20) {
        m.pair("passwd", "secret");
    }
    m.add("</instance_attributes>");
}

fn operations(m: &mut Maker, id: &str, kind: Kind) {
    if m.dice.chance(20) {
        return;
    }
    m.add("<operations>");
    if kind == Kind::Stateful && m.dice.chance(80) {
        for (role, interval) in [("Promoted", "10s"), ("Unpromoted", "11s")] {
            m.add(&format!(
                "<op id=\"{id}-mon-{role}\" name=\"monitor\" interval=\"{interval}\" role=\"{role}\""
            ));
            op_tail(m);
        }
    } else {
        let interval = match m.dice.roll(6) {
            0 => m.dice.pick(&["10", "10000ms", "PT10S", "1min", "0"]),
            _ => "10s",
        };
        m.add(&format!("<op id=\"{id}-mon\" name=\"monitor\" interval=\"{interval}\""));
        op_tail(m);
    }
    if m.dice.chance(6) {
        let role = m.dice.pick(&["Started", "Unpromoted", "Promoted", "Stopped"]);
        m.add(&format!("<op id=\"{id}-mon-other\" name=\"monitor\" interval=\"17s\" role=\"{role}\""));
        op_tail(m);
    }
    if m.dice.chance(8) {
        m.add(&format!("<op id=\"{id}-mon-stopped\" name=\"monitor\" interval=\"13s\" role=\"Stopped\""));
        op_tail(m);
    }
    for task in ["start", "stop", "promote", "demote", "migrate_to"] {
        let wanted = kind == Kind::Stateful || !matches!(task, "promote" | "demote");
        if wanted && m.dice.chance(15) {
            m.add(&format!("<op id=\"{id}-{task}\" name=\"{task}\" interval=\"0\""));
            op_tail(m);
        }
    }
    m.add("</operations>");
}

fn op_tail(m: &mut Maker) {
    if m.dice.chance(30) {
        m.add(" timeout=\"30s\"");
    }
    if m.dice.chance(18) {
        let policy = m.dice.pick(&ON_FAIL);
        m.add(&format!(" on-fail=\"{policy}\""));
    }
    if m.dice.chance(5) {
        let enabled = m.dice.pick(&["true", "false"]);
        m.add(&format!(" enabled=\"{enabled}\""));
    }
    match m.dice.roll(25) {
        0 => m.add(" start-delay=\"5s\""),
        1 => m.add(" interval-origin=\"2010-01-01 00:00:03Z\""),
        _ => {}
    }
    if !m.dice.chance(10) {
        return m.add("/>");
    }
    m.add(">");
    m.blocks("meta_attributes", &OP_META, Place::Values);
    m.blocks("instance_attributes", &OP_PARAMETERS, Place::Values);
    m.add("</op>");
}

fn group(m: &mut Maker, kind: Kind) {
    let id = m.id("group");
    m.add(&format!("<group id=\"{id}\">"));
    let choices = if m.dice.chance(40) { &META[..] } else { &META[..0] };
    m.block("meta_attributes", choices, None);
    for _ in 0..m.dice.between(1, 3) {
        let member = m.id("member");
        primitive(m, &member, kind);
    }
    m.add("</group>");
    m.rscs.push(id);
}

fn clone(m: &mut Maker, promotable: bool) {
    let id = m.id(if promotable { "prom" } else { "clone" });
    m.add(&format!("<clone id=\"{id}\">"));
    let set = m.id("meta");
    m.add(&format!("<meta_attributes id=\"{set}\">"));
    let mut chosen = m.choose(&CLONE);
    if promotable {
        chosen.push(("promotable", "true"));
        chosen.extend(m.choose(&PROMOTABLE));
    }
    if m.dice.chance(25) {
        chosen.extend(m.choose(&META));
    }
    for (name, value) in chosen {
        m.pair(name, value);
    }
    m.add("</meta_attributes>");
    let kind = if promotable { Kind::Stateful } else { Kind::Plain };
    if m.dice.chance(25) {
        group(m, kind);
    } else {
        let child = m.id("inst");
        primitive(m, &child, kind);
    }
    m.add("</clone>");
    if promotable {
        m.promotable.push(id.clone());
    }
    m.rscs.push(id);
}

fn bundle(m: &mut Maker) {
    let id = m.id("bundle");
    m.add(&format!("<bundle id=\"{id}\">"));
    let choices = if m.dice.chance(25) { &META[..] } else { &META[..0] };
    m.block("meta_attributes", choices, None);
    let engine = m.dice.pick(&["podman", "docker"]);
    let replicas = m.dice.between(1, 3);
    let promoted = m.dice.chance(40);
    let most = m.dice.pick(&["1", "1", "2"]);
    m.add(&format!("<{engine} image=\"img\" replicas=\"{replicas}\""));
    if promoted {
        m.add(&format!(" promoted-max=\"{most}\""));
    }
    if m.dice.chance(25) {
        m.add(" replicas-per-host=\"2\"");
    }
    for (percent, text) in
        [(10, " run-command=\"/bin/run\""), (10, " network=\"host\""), (10, " options=\"--log-driver=none\"")]
    {
        if m.dice.chance(percent) {
            m.add(text);
        }
    }
    m.add("/>");
    let inside = m.dice.chance(80);
    match (inside, m.dice.roll(3)) {
        (true, 0) => m.add("<network control-port=\"3121\"/>"),
        (_, 1 | 0) => m.add("<network ip-range-start=\"192.168.122.131\" host-netmask=\"24\"/>"),
        _ => {
            let port = m.id("port");
            let add = m.dice.pick(&["true", "true", "false"]);
            let ports =
                m.dice.pick(&["port=\"80\"", "range=\"90-99\"", "port=\"80\" internal-port=\"8080\""]);
            m.add(&format!(
                "<network ip-range-start=\"192.168.122.141\" host-interface=\"eth0\" add-host=\"{add}\">\
                 <port-mapping id=\"{port}\" {ports}/></network>"
            ));
        }
    }
    if m.dice.chance(40) {
        let mapping = m.id("map");
        let source = m.dice.pick(&["source-dir", "source-dir-root"]);
        m.add(&format!(
            "<storage><storage-mapping id=\"{mapping}\" {source}=\"/srv\" target-dir=\"/var/www\" \
             options=\"rw\"/></storage>"
        ));
    }
    if inside {
        let child = m.id("inside");
        primitive(m, &child, if promoted { Kind::Stateful } else { Kind::Bundled });
        m.rscs.pop();
    }
    m.add("</bundle>");
    if promoted && inside {
        m.promotable.push(id.clone());
    }
    m.rscs.push(id);
}

fn remote(m: &mut Maker) {
    let id = m.id("remote");
    m.add(&format!("<primitive id=\"{id}\" class=\"ocf\" provider=\"pacemaker\" type=\"remote\">"));
    let set = m.id("params");
    m.add(&format!("<instance_attributes id=\"{set}\">"));
    m.pair("server", "10.0.0.9");
    if m.dice.chance(25) {
        m.pair("reconnect_interval", "60s");
    }
    m.add("</instance_attributes>");
    m.block("meta_attributes", &META[..4], None);
    m.add(&format!("<operations><op id=\"{id}-mon\" name=\"monitor\" interval=\"30s\"/></operations>"));
    m.add("</primitive>");
    m.rscs.push(id.clone());
    m.primitives.push(id.clone());
    m.remotes.push(id);
}

fn guest(m: &mut Maker) {
    let (id, name) = (m.id("vm"), m.id("guest"));
    m.add(&format!("<primitive id=\"{id}\" class=\"ocf\" provider=\"heartbeat\" type=\"VirtualDomain\">"));
    let set = m.id("meta");
    m.add(&format!("<meta_attributes id=\"{set}\">"));
    m.pair("remote-node", &name);
    if m.dice.chance(50) {
        m.pair("allow-migrate", "true");
    }
    for (name, value) in m.choose(&GUEST).into_iter().chain(m.choose(&META[..4])) {
        m.pair(name, value);
    }
    m.add("</meta_attributes>");
    m.add(&format!("<operations><op id=\"{id}-mon\" name=\"monitor\" interval=\"20s\"/></operations>"));
    m.add("</primitive>");
    m.rscs.push(id.clone());
    m.primitives.push(id.clone());
    m.remotes.push(name);
}
