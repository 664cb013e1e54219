//! Absurd numbers, times and sizes in every place that has one: a decision or a refusal, never a panic.

use simulate::random::cib;
use simulate::sim::{self, Request};
use std::collections::BTreeSet;
use xml::{Document, NodeId};

/// Random configurations that are gone through.
const SEEDS: std::ops::Range<u64> = 900_000..900_003;

/// What a number, a score, a duration or a date may be given as.
const VALUES: [&str; 16] = [
    "0",
    "-1",
    "2147483647",
    "-2147483648",
    "4294967295",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999999999",
    "1e400",
    "NaN",
    "P99999999999999Y",
    "9999-12-31T24:00:00Z",
    "-0001-W54-8",
    "106751991167300d",
    "1-",
    "",
];

/// A place in a document: an element's attribute, or the value of pairs of a name.
type Place = (String, String);

fn is_number(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit()) || text.ends_with("INFINITY")
}

/// Names of others are no numbers, even with digits in them.
const NAMES: [&str; 18] = [
    "id",
    "rsc",
    "with-rsc",
    "first",
    "then",
    "node",
    "uname",
    "name",
    "on_node",
    "template",
    "id-ref",
    "devices",
    "target",
    "validate-with",
    "migrate_source",
    "migrate_target",
    "operation_key",
    "container",
];

/// All places that have numbers, and where they are.
fn places(doc: &Document) -> Vec<(NodeId, Place)> {
    let mut found = Vec::new();
    for element in doc.root_element().descendants() {
        for (name, _) in element.attrs().filter(|(name, value)| is_number(value) && !NAMES.contains(name)) {
            let place = match (element.name(), element.attr("name")) {
                ("nvpair", Some(pair)) => ("nvpair".to_string(), pair.to_string()),
                (kind, _) => (kind.to_string(), name.to_string()),
            };
            found.push((element.id(), place));
        }
    }
    found
}

#[test]
fn absurd_values_in_every_place_that_has_a_number() {
    let mut decided = 0;
    for seed in SEEDS {
        let whole = cib(seed).unwrap_or_else(|e| panic!("{seed}: {e}"));
        let all = places(&whole);
        let kinds: BTreeSet<&Place> = all.iter().map(|(_, place)| place).collect();
        for (number, kind) in kinds.into_iter().enumerate() {
            // Every value meets every third place, and another third with each configuration.
            for value in VALUES.iter().skip((number + seed as usize) % 3).step_by(3) {
                let mut doc = whole.clone();
                let attribute = if kind.0 == "nvpair" { "value" } else { &kind.1 };
                for (element, _) in all.iter().filter(|(_, place)| place == kind) {
                    doc.set_attr(*element, attribute, value);
                }
                println!("seed {seed}: {kind:?} is '{value}'");
                let request =
                    Request { scores: true, utilization: true, ..Request::full(1_577_880_000, None) };
                decided += usize::from(sim::run(&doc, &request).is_ok());
            }
        }
    }
    assert!(decided > 500, "{decided} decisions");
}

#[test]
fn any_time_is_a_time() {
    for seed in SEEDS {
        let doc = cib(seed).unwrap_or_else(|e| panic!("{seed}: {e}"));
        for now_s in [
            i64::MIN,
            i64::MIN / 1000,
            -1,
            0,
            1,
            i64::from(u32::MAX),
            253_402_300_799,
            i64::MAX / 1000,
            i64::MAX,
        ] {
            println!("seed {seed} at {now_s}");
            let _ = sim::run(&doc, &Request::full(now_s, None));
        }
    }
}

/// Members of a set that is too large for anybody.
const MEMBERS: usize = 2_000;

fn many(constraints: impl Fn(&str) -> String) -> Document {
    let rscs: String = (0..MEMBERS)
        .map(|at| format!("<primitive id='r{at}' class='ocf' provider='pacemaker' type='Dummy'/>"))
        .collect();
    let members: String = (0..MEMBERS).map(|at| format!("<resource_ref id='r{at}'/>")).collect();
    let text = format!(
        "<cib crm_feature_set='3.16.1' validate-with='none' have-quorum='1'><configuration><crm_config>\
         <cluster_property_set id='o'><nvpair id='of' name='stonith-enabled' value='false'/>\
         </cluster_property_set></crm_config><nodes><node id='1' uname='n1'/></nodes>\
         <resources>{rscs}</resources><constraints>{}</constraints></configuration><status>\
         <node_state id='1' uname='n1' in_ccm='true' crmd='online' join='member' expected='member'/>\
         </status></cib>",
        constraints(&members)
    );
    Document::parse(&text).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn huge_sets_are_decided() {
    for constraint in ["rsc_order", "rsc_colocation"] {
        let attributes = if constraint == "rsc_order" { "kind='Mandatory'" } else { "score='INFINITY'" };
        let doc = many(|members| {
            format!(
                "<{constraint} id='c' {attributes}><resource_set id='s'>{members}</resource_set></{constraint}>"
            )
        });
        let run = sim::run(&doc, &Request::full(1_785_000_000, None)).unwrap_or_else(|e| panic!("{e}"));
        let Some((cluster, graph)) = run.decided else { panic!("no decision") };
        let starts = graph.actions.iter().filter(|at| cluster.actions[**at].task == "start").count();
        assert_eq!(starts, MEMBERS, "{constraint}");
    }
}
