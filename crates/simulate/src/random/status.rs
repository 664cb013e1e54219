//! A random first status: who is there, transient attributes, tickets.

use super::config::{Choice, Maker, NOW_S};

/// Transient attributes.
const TRANSIENT: [Choice; 7] = [
    (25, "pingd", &["0", "100", "200", "1000"]),
    (4, "#feature-set", &["3.19.0", "3.20.5"]),
    (2, "#node-unfenced", &["1577870000", "0"]),
    (2, "#digests-all", &["fence-1:fence_scsi:0123,", "fence-2:fence_scsi:0123,"]),
    (4, "terminate", &["true", "false", "1577870000"]),
    (4, "standby", &["on", "off"]),
    (10, "#health-net", &["red", "yellow", "green"]),
];

pub fn status(m: &mut Maker) {
    m.add("<status>");
    if !m.tickets.is_empty() && m.dice.chance(60) {
        m.add("<tickets>");
        for ticket in m.tickets.clone() {
            let granted = m.dice.pick(&["true", "false"]);
            m.add(&format!("<ticket_state id=\"{ticket}\" granted=\"{granted}\""));
            if m.dice.chance(20) {
                m.add(" standby=\"true\"");
            }
            m.add(&format!(" last-granted=\"{}\"/>", NOW_S - 5000));
        }
        m.add("</tickets>");
    }
    for at in 0..m.nodes.len() {
        node(m, at);
    }
    m.add("</status>");
}

fn node(m: &mut Maker, at: usize) {
    let (name, id) = (m.nodes.get(at).cloned().unwrap_or_default(), at + 1);
    let (member, crmd, join, expected) = match m.dice.roll(60) {
        0 => return,
        1 => ("false", "offline", "down", "down"),
        2 => ("false", "offline", "down", "member"),
        3 => ("true", "offline", "down", "member"),
        4 => ("true", "online", "pending", "member"),
        5 => ("true", "online", "banned", "member"),
        6 => ("true", "online", "member", "down"),
        7 | 8 => ("1577870000", "1577870001", "member", "member"),
        9 => ("1577870000", "1577870001", "pending", "member"),
        10 => ("1577879000", "0", "down", "member"),
        11 => ("0", "0", "down", "member"),
        _ => ("true", "online", "member", "member"),
    };
    m.add(&format!(
        "<node_state id=\"{id}\" uname=\"{name}\" in_ccm=\"{member}\" crmd=\"{crmd}\" join=\"{join}\" \
         expected=\"{expected}\">"
    ));
    let mut pairs: Vec<(String, String)> = Vec::new();
    pairs.extend(m.choose(&TRANSIENT).into_iter().map(|(n, v)| (n.to_string(), v.to_string())));
    if m.dice.chance(3) {
        pairs.push(("shutdown".to_string(), (NOW_S - 100).to_string()));
    }
    for primitive in m.primitives.clone() {
        if m.dice.chance(25) {
            let score = m.dice.pick(&["5", "10", "100", "-1", "INFINITY", "1"]);
            pairs.push((format!("master-{primitive}"), score.to_string()));
        }
    }
    if !pairs.is_empty() {
        let set = m.id("transient");
        m.add(&format!("<transient_attributes id=\"{id}\"><instance_attributes id=\"{set}\">"));
        for (name, value) in pairs {
            m.pair(&name, &value);
        }
        m.add("</instance_attributes></transient_attributes>");
    }
    m.add("</node_state>");
}
