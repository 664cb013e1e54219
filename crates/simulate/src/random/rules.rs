//! Random rules.

use super::config::Maker;
use super::constraints::{ROLES, SCORES, any_node};

/// How deep rules are nested at most.
const DEPTH: usize = 3;

/// Points in time before and after [`super::config::NOW`], in the forms that people write. Those
/// without an offset are a day away: local time must not matter.
const TIMES: [&str; 18] = [
    "2019-06-01",
    "2019-12-30",
    "2020-01-02 00:00:00Z",
    "2020-01-01T18:00:00Z",
    "2020-01-01 11:59:59Z",
    "2020-01-01 12:00:00Z",
    "2020-01-01 12:00:01Z",
    "20200101T120000Z",
    "2020-060",
    "2020-001T12:00:00Z",
    "2020-W01-3T11:59:59Z",
    "2020-01-01 13:00:00 +02:00",
    "2020-01-01T11:30-01:00",
    "2019-12-31 24:00:00Z",
    "2020-01-03",
    "2021-01-01",
    "2004-02-29",
    "2050-12-31 23:59:59Z",
];

/// Ranges for each field of a date specification; most of them hold sometimes.
const SPEC: [(&str, &[&str]); 10] = [
    ("years", &["2020", "2019-", "-2020", "2021-2030", "2019-2020"]),
    ("months", &["1", "1-6", "2-12", "12"]),
    ("monthdays", &["1", "1-7", "2-31", "31"]),
    ("hours", &["12", "9-17", "0-11", "12-", "13-23"]),
    ("minutes", &["0", "0-30", "1-59"]),
    ("seconds", &["0", "0-10", "1-"]),
    ("yeardays", &["1", "1-31", "2-366"]),
    ("weekyears", &["2020", "2019"]),
    ("weeks", &["1", "1-10", "52-53"]),
    ("weekdays", &["3", "1-5", "6-7", "4-"]),
];

const DURATION: [(&str, &[&str]); 7] = [
    ("years", &["1", "0"]),
    ("months", &["1", "13"]),
    ("weeks", &["1", "60"]),
    ("days", &["1", "40", "400", "-1"]),
    ("hours", &["3", "36", "30"]),
    ("minutes", &["90", "1"]),
    ("seconds", &["1", "100000"]),
];

/// Where a rule is: what may be in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Location,
    Values,
    RscDefaults,
    OpDefaults,
}

/// The rule of a location constraint.
pub fn location_rule(m: &mut Maker) {
    let id = m.id("rule");
    let score = m.dice.pick(&SCORES);
    m.add(&format!("<rule id=\"{id}\""));
    match m.dice.roll(12) {
        0 => m.add(" score-attribute=\"rack\""),
        1 => m.add(" score-attribute=\"pingd\""),
        _ => m.add(&format!(" score=\"{score}\"")),
    }
    if m.dice.chance(15) {
        let role = m.dice.pick(&ROLES);
        m.add(&format!(" role=\"{role}\""));
    }
    inside(m, Place::Location, 1);
}

/// A rule inside a block of name-value pairs.
pub fn rule(m: &mut Maker, place: Place) {
    let id = m.id("rule");
    m.add(&format!("<rule id=\"{id}\""));
    inside(m, place, 1);
}

/// The rest of a rule's element.
fn inside(m: &mut Maker, place: Place, depth: usize) {
    if m.dice.chance(40) {
        let op = m.dice.pick(&["and", "or"]);
        m.add(&format!(" boolean-op=\"{op}\""));
    }
    m.add(">");
    for _ in 0..m.dice.between(1, 2) {
        match m.dice.roll(8) {
            0 | 1 => date(m),
            2 if depth < DEPTH => {
                let id = m.id("rule");
                m.add(&format!("<rule id=\"{id}\""));
                inside(m, place, depth + 1);
            }
            3 | 4 if place == Place::RscDefaults => resource(m),
            3 if place == Place::OpDefaults => resource(m),
            4 | 5 if place == Place::OpDefaults => operation(m),
            _ => expression(m, place),
        }
    }
    m.add("</rule>");
}

fn expression(m: &mut Maker, place: Place) {
    let id = m.id("expr");
    let name = any_node(m);
    let (attribute, values): (&str, Vec<&str>) = match m.dice.roll(11) {
        0 => ("#uname", vec![&name]),
        1 => ("#kind", vec!["cluster", "remote", "container"]),
        2 => ("rack", vec!["1", "2", "3", "2.5", "2e0", "x"]),
        3 => ("version", vec!["1.2", "1.10", "2", "1.2.3.4"]),
        4 => ("pingd", vec!["100", "200", "1000", "1e2", "-1", ""]),
        5 => ("#id", vec!["1", "2"]),
        6 => ("#is_dc", vec!["true", "false"]),
        7 => ("#cluster-name", vec!["alpha", "beta"]),
        8 => ("#site-name", vec!["alpha", "beta", "paris"]),
        9 => ("#ra-version", vec!["1"]),
        _ => ("site", vec!["a", "b", "A"]),
    };
    let value = m.dice.pick(&values);
    let operation = m.dice.pick(&["eq", "ne", "eq", "gt", "lte", "lt", "gte", "defined", "not_defined"]);
    m.add(&format!("<expression id=\"{id}\" attribute=\"{attribute}\" operation=\"{operation}\""));
    if operation.ends_with("defined") {
        return m.add("/>");
    }
    let source =
        (place == Place::Location && m.dice.chance(20)).then(|| m.dice.pick(&["param", "meta", "none"]));
    match source {
        Some("param") => m.add(" value=\"fake\" value-source=\"param\""),
        Some("meta") => m.add(" value=\"priority\" value-source=\"meta\""),
        Some(_) => m.add(" value=\"nothing\" value-source=\"param\""),
        None => m.add(&format!(" value=\"{value}\"")),
    }
    let kind = m.dice.pick(&["string", "integer", "number", "version"]);
    if m.dice.chance(50) {
        m.add(&format!(" type=\"{kind}\""));
    }
    m.add("/>");
}

/// Some of these attributes.
fn some(m: &mut Maker, percent: usize, from: &[(&str, &[&str])]) {
    for (name, values) in from {
        if m.dice.chance(percent) {
            let value = m.dice.pick(values);
            m.add(&format!(" {name}=\"{value}\""));
        }
    }
}

fn date(m: &mut Maker) {
    let (id, inner) = (m.id("date"), m.id("spec"));
    let (start, end) = (m.dice.pick(&TIMES), m.dice.pick(&TIMES));
    m.add(&format!("<date_expression id=\"{id}\""));
    match m.dice.roll(8) {
        0 => m.add(&format!(" operation=\"gt\" start=\"{start}\"/>")),
        1 => m.add(&format!(" operation=\"lt\" end=\"{end}\"/>")),
        2 => m.add(&format!(" operation=\"in_range\" start=\"{start}\" end=\"{end}\"/>")),
        3 => m.add(&format!(" operation=\"in_range\" end=\"{end}\"/>")),
        4 => m.add(&format!(" operation=\"in_range\" start=\"{start}\"/>")),
        5 => {
            m.add(&format!(" operation=\"in_range\" start=\"{start}\"><duration id=\"{inner}\""));
            some(m, 25, &DURATION);
            m.add("/></date_expression>");
        }
        _ => {
            m.add(&format!(" operation=\"date_spec\"><date_spec id=\"{inner}\""));
            some(m, 20, &SPEC);
            m.add("/></date_expression>");
        }
    }
}

fn resource(m: &mut Maker) {
    let id = m.id("rsc");
    m.add(&format!("<rsc_expression id=\"{id}\""));
    some(
        m,
        50,
        &[
            ("class", &["ocf", "systemd", "stonith"]),
            ("provider", &["pacemaker", "heartbeat"]),
            ("type", &["Dummy", "Stateful", "IPaddr2"]),
        ],
    );
    m.add("/>");
}

fn operation(m: &mut Maker) {
    let id = m.id("op");
    let name = m.dice.pick(&["monitor", "start", "stop", "promote", "migrate_to"]);
    m.add(&format!("<op_expression id=\"{id}\" name=\"{name}\""));
    some(m, 40, &[("interval", &["10s", "0", "10000ms", "11s", "PT11S"])]);
    m.add("/>");
}
