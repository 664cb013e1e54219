//! Random constraints.

use super::config::Maker;
use super::rules;

pub const SCORES: [&str; 12] =
    ["INFINITY", "-INFINITY", "INFINITY", "100", "10", "1", "0", "-1", "-50", "-100", "500", "1000"];
pub const ROLES: [&str; 4] = ["Started", "Promoted", "Unpromoted", "Stopped"];
const ACTIONS: [&str; 4] = ["start", "stop", "promote", "demote"];
const KINDS: [&str; 3] = ["Mandatory", "Optional", "Serialize"];

pub fn constraints(m: &mut Maker) {
    if m.rscs.is_empty() {
        return;
    }
    let most = m.rscs.len().min(6) + 1;
    for _ in 0..m.dice.roll(most) {
        location(m);
    }
    for _ in 0..m.dice.roll(most) {
        colocation(m);
    }
    for _ in 0..m.dice.roll(most) {
        order(m);
    }
    if m.dice.chance(18) {
        for _ in 0..m.dice.between(1, 2) {
            ticket(m);
        }
    }
}

/// A resource, or, seldom, a tag or a template.
fn target(m: &mut Maker) -> String {
    if m.dice.chance(6) {
        let mut others = m.tags.clone();
        others.extend(m.templates.clone());
        if !others.is_empty() {
            return m.dice.name(&others);
        }
    }
    m.dice.name(&m.rscs.clone())
}

pub fn any_node(m: &mut Maker) -> String {
    if m.dice.chance(20) && !m.remotes.is_empty() {
        return m.dice.name(&m.remotes.clone());
    }
    if m.dice.chance(2) {
        return "elsewhere".to_string();
    }
    m.dice.name(&m.nodes.clone())
}

/// A set; returns its members.
fn set(m: &mut Maker, inside: &[(usize, &str, &[&str])]) -> Vec<String> {
    let id = m.id("set");
    m.add(&format!("<resource_set id=\"{id}\""));
    for (percent, name, values) in inside {
        if m.dice.chance(*percent) {
            let value = m.dice.pick(values);
            m.add(&format!(" {name}=\"{value}\""));
        }
    }
    m.add(">");
    let most = m.dice.between(1, 3);
    let mut from = m.rscs.clone();
    if m.dice.chance(10) {
        from.extend(m.templates.clone());
    }
    let mut members = m.dice.some(&from, most);
    if members.is_empty() {
        members.extend(m.primitives.first().cloned());
    }
    for rsc in &members {
        m.add(&format!("<resource_ref id=\"{rsc}\"/>"));
    }
    m.add("</resource_set>");
    members
}

fn location(m: &mut Maker) {
    let id = m.id("loc");
    let sets = m.dice.chance(6);
    m.add(&format!("<rsc_location id=\"{id}\""));
    if !sets {
        if m.dice.chance(8) {
            let pattern = m.dice.pick(&[
                "prim-.*",
                "!prim-.*",
                "inst-([0-9]+)",
                "member.*",
                "^clone",
                "!^[a-z]",
                "(.)",
            ]);
            m.add(&format!(" rsc-pattern=\"{pattern}\""));
        } else {
            let rsc = target(m);
            m.add(&format!(" rsc=\"{rsc}\""));
        }
        if m.dice.chance(10) {
            let role = m.dice.pick(&ROLES);
            m.add(&format!(" role=\"{role}\""));
        }
    }
    if m.dice.chance(12) {
        let discovery = m.dice.pick(&["always", "never", "exclusive"]);
        m.add(&format!(" resource-discovery=\"{discovery}\""));
    }
    let rule = m.dice.chance(30);
    if !rule {
        let (node, score) = (any_node(m), m.dice.pick(&SCORES));
        m.add(&format!(" node=\"{node}\" score=\"{score}\""));
    }
    m.add(">");
    if sets {
        set(m, &[(20, "role", &ROLES), (10, "sequential", &["true", "false"])]);
    }
    if rule {
        rules::location_rule(m);
    }
    m.add("</rsc_location>");
}

fn colocation(m: &mut Maker) {
    let (id, score) = (m.id("col"), m.dice.pick(&SCORES));
    m.add(&format!("<rsc_colocation id=\"{id}\" score=\"{score}\""));
    if m.dice.chance(8) {
        let influence = m.dice.pick(&["true", "false"]);
        m.add(&format!(" influence=\"{influence}\""));
    }
    if m.dice.chance(18) {
        m.add(">");
        let choices: [(usize, &str, &[&str]); 4] = [
            (40, "sequential", &["true", "false"]),
            (20, "role", &ROLES),
            (20, "score", &SCORES[..4]),
            (15, "ordering", &["group", "listed"]),
        ];
        for _ in 0..m.dice.between(1, 3) {
            set(m, &choices);
        }
        m.add("</rsc_colocation>");
        return;
    }
    let (rsc, with) = (target(m), target(m));
    m.add(&format!(" rsc=\"{rsc}\" with-rsc=\"{with}\""));
    let promotable = m.promotable.contains(&with);
    for (name, percent) in [("rsc-role", 12), ("with-rsc-role", if promotable { 60 } else { 6 })] {
        if m.dice.chance(percent) {
            let role = m.dice.pick(&ROLES);
            m.add(&format!(" {name}=\"{role}\""));
        }
    }
    if m.dice.chance(8) {
        let name = m.dice.pick(&["site", "rack", "#uname"]);
        m.add(&format!(" node-attribute=\"{name}\""));
    }
    m.add("/>");
}

fn order(m: &mut Maker) {
    let (first, then) = (target(m), target(m));
    // The reference does not survive an order of a resource's action with itself.
    if first == then || m.tags.contains(&first) || m.tags.contains(&then) {
        return;
    }
    let id = m.id("ord");
    m.add(&format!("<rsc_order id=\"{id}\""));
    if m.dice.chance(60) {
        let kind = m.dice.pick(&KINDS);
        m.add(&format!(" kind=\"{kind}\""));
    }
    if m.dice.chance(20) {
        let symmetrical = m.dice.pick(&["true", "false"]);
        m.add(&format!(" symmetrical=\"{symmetrical}\""));
    }
    if m.dice.chance(10) {
        let all = m.dice.pick(&["true", "false"]);
        m.add(&format!(" require-all=\"{all}\""));
    }
    if m.dice.chance(18) {
        m.add(">");
        let rscs = m.rscs.clone();
        for _ in 0..m.dice.between(1, 3) {
            let choices: [(usize, &str, &[&str]); 4] = [
                (10, "kind", &KINDS),
                (40, "sequential", &["true", "false"]),
                (25, "require-all", &["true", "false"]),
                (15, "action", &ACTIONS),
            ];
            // No resource in two sets, for the same reason.
            let used = set(m, &choices);
            m.rscs.retain(|rsc| !used.contains(rsc));
        }
        m.rscs = rscs;
        m.add("</rsc_order>");
        return;
    }
    m.add(&format!(" first=\"{first}\" then=\"{then}\""));
    let percent = if m.promotable.contains(&first) { 60 } else { 12 };
    for (name, percent) in [("first-action", percent), ("then-action", 15)] {
        if m.dice.chance(percent) {
            let action = m.dice.pick(&ACTIONS);
            m.add(&format!(" {name}=\"{action}\""));
        }
    }
    m.add("/>");
}

fn ticket(m: &mut Maker) {
    let id = m.id("tick");
    let ticket = m.dice.pick(&["ticketA", "ticketB"]).to_string();
    m.add(&format!("<rsc_ticket id=\"{id}\" ticket=\"{ticket}\""));
    if m.dice.chance(70) {
        let policy = m.dice.pick(&["stop", "demote", "fence", "freeze"]);
        m.add(&format!(" loss-policy=\"{policy}\""));
    }
    if m.dice.chance(15) {
        m.add(">");
        set(m, &[(30, "role", &ROLES)]);
        m.add("</rsc_ticket>");
    } else {
        let rsc = target(m);
        m.add(&format!(" rsc=\"{rsc}\""));
        if m.dice.chance(30) {
            let role = m.dice.pick(&ROLES);
            m.add(&format!(" rsc-role=\"{role}\""));
        }
        m.add("/>");
    }
    if !m.tickets.contains(&ticket) {
        m.tickets.push(ticket);
    }
}
