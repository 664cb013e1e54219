//! Damaged input: a decision or a refusal, never a panic.

use simulate::sim::{self, Request};
use simulate::suite;
use std::fs;
use xml::{Document, NodeId};

/// Damaged copies of each input, unless `RELEVO_DAMAGE` says otherwise.
const COPIES: u64 = 1;

/// Every so many-th input is used, unless `RELEVO_DAMAGE` asks for more copies.
const STRIDE: usize = 12;

/// Changes made to one copy.
const CHANGES: u64 = 8;

/// Values that configurations have and code may stumble over.
const VALUES: [&str; 20] = [
    "",
    "0",
    "-1",
    "1",
    "7",
    "INFINITY",
    "-INFINITY",
    "99999999999999999999",
    "-99999999999999999999",
    "true",
    "false",
    "Stopped",
    "Promoted",
    "stop",
    "start",
    "monitor",
    "_",
    ":",
    "\u{e4}\u{f6}",
    "PT99999H",
];

/// A generator of numbers that is the same everywhere (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

fn damage(doc: &mut Document, dice: &mut Dice) {
    let all: Vec<NodeId> =
        doc.root_element().descendants().map(|e| e.id()).filter(|id| *id != doc.root()).collect();
    let Some(at) = all.get(dice.roll(all.len())).copied() else { return };
    let Some(other) = all.get(dice.roll(all.len())).copied() else { return };
    let names: Vec<String> = doc.attrs(at).map(|(name, _)| name.to_string()).collect();
    let name = names.get(dice.roll(names.len())).cloned();
    match (dice.roll(6), name) {
        (0, _) => doc.remove(at),
        (1, Some(name)) => {
            doc.remove_attr(at, &name);
        }
        (2, Some(name)) => {
            let value = VALUES.get(dice.roll(VALUES.len())).copied().unwrap_or("");
            doc.set_attr(at, &name, value);
        }
        (3, Some(name)) => {
            let value = doc.attrs(other).next().map(|(_, value)| value.to_string());
            doc.set_attr(at, &name, value.as_deref().unwrap_or(""));
        }
        (4, _) => {
            let inside = doc.element(at).descendants().any(|e| e.id() == other);
            if !inside && at != other {
                doc.duplicate(other, at);
            }
        }
        _ => {
            let name = doc.name(other).to_string();
            doc.rename(at, &name);
        }
    }
}

#[test]
fn damaged_inputs_do_not_panic() {
    let dir = suite::directory();
    let Ok(names) = suite::names(&dir) else {
        println!("LEFT OUT: damaged inputs: no {}", dir.display());
        return;
    };
    let asked = std::env::var("RELEVO_DAMAGE").ok().and_then(|n| n.parse::<u64>().ok());
    let (copies, stride) = asked.map_or((COPIES, STRIDE), |copies| (copies, 1));
    for (number, name) in names.iter().enumerate().step_by(stride) {
        let Ok(bytes) = fs::read(dir.join("xml").join(format!("{name}.xml"))) else { continue };
        let Ok(whole) = Document::parse_bytes(&bytes) else { continue };
        for copy in 0..copies {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ ((number as u64) << 20) ^ (copy + 1));
            let mut doc = whole.clone();
            (0..CHANGES).for_each(|_| damage(&mut doc, &mut dice));
            println!("{name} copy {copy}");
            let request =
                Request { scores: true, utilization: true, xml: true, ..Request::full(1_785_000_000, None) };
            let _ = sim::run(&doc, &request);
        }
    }
}

#[test]
fn what_is_no_cib_is_refused() {
    for text in ["<a/>", "<cib crm_feature_set=\"99.0\"/>"] {
        let doc = Document::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert!(sim::run(&doc, &Request::full(0, None)).is_err());
    }
}

#[test]
fn an_empty_cib_is_decided() {
    let doc = Document::parse("<cib/>").unwrap_or_else(|e| panic!("{e}"));
    assert!(sim::run(&doc, &Request::full(0, None)).is_ok_and(|run| run.complete));
}

/// Three primitives on two nodes, with these constraints.
fn constrained(constraints: &str) -> Document {
    let rscs = ["a", "b", "c"]
        .map(|id| format!("<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'/>"))
        .concat();
    let nodes = ["1", "2"].map(|id| format!("<node id='{id}' uname='n{id}'/>")).concat();
    let states = ["1", "2"]
        .map(|id| {
            format!(
                "<node_state id='{id}' uname='n{id}' in_ccm='true' crmd='online' join='member' \
                 expected='member'/>"
            )
        })
        .concat();
    let text = format!(
        "<cib crm_feature_set='3.16.1' validate-with='none' have-quorum='1'><configuration><crm_config>\
         <cluster_property_set id='o'><nvpair id='of' name='stonith-enabled' value='false'/>\
         </cluster_property_set></crm_config><nodes>{nodes}</nodes><resources>{rscs}</resources>\
         <constraints>{constraints}</constraints></configuration><status>{states}</status></cib>"
    );
    Document::parse(&text).unwrap_or_else(|e| panic!("{constraints}: {e}"))
}

/// Where resources are started, `RESOURCE@NODE`, sorted.
fn starts(doc: &Document) -> Vec<String> {
    let run = sim::run(doc, &Request::full(1_785_000_000, None)).unwrap_or_else(|e| panic!("{e}"));
    let Some((cluster, graph)) = run.decided else { panic!("no decision") };
    let actions = graph.actions.iter().map(|at| &cluster.actions[*at]).filter(|a| a.task == "start");
    let place =
        |a: &scheduler::Action| Some(format!("{}@{}", cluster.rscs[a.rsc?].id, cluster.node_name(a.node?)));
    let mut all: Vec<String> = actions.filter_map(place).collect();
    all.sort();
    all
}

/// What Pacemaker 3.0.2 decides on the same input.
#[test]
fn contradictions_are_decided_as_by_the_reference() {
    let order =
        |id: &str, first: &str, then: &str| format!("<rsc_order id='{id}' first='{first}' then='{then}'/>");
    let with = |id: &str, rsc: &str, with: &str, score: &str| {
        format!("<rsc_colocation id='{id}' rsc='{rsc}' with-rsc='{with}' score='{score}'/>")
    };
    let apart = ["a@n1", "b@n2", "c@n1"];
    let circle = [order("x", "a", "b"), order("y", "b", "c"), order("z", "c", "a")].concat();
    assert_eq!(starts(&constrained(&circle)), apart);
    let together = ["ab", "bc", "ca"].map(|p| with(p, &p[..1], &p[1..], "INFINITY")).concat();
    assert_eq!(starts(&constrained(&together)), ["a@n1", "b@n1", "c@n1"]);
    let both = with("x", "a", "b", "INFINITY") + &with("y", "a", "b", "-INFINITY");
    assert_eq!(starts(&constrained(&both)), ["b@n1", "c@n2"]);
    assert_eq!(starts(&constrained(&with("x", "a", "a", "-INFINITY"))), apart);
    let set = |id: &str, first: &str, then: &str| {
        format!(
            "<rsc_order id='{id}'><resource_set id='set-{id}'><resource_ref id='{first}'/>\
             <resource_ref id='{then}'/></resource_set></rsc_order>"
        )
    };
    assert_eq!(starts(&constrained(&(set("x", "a", "b") + &set("y", "b", "a")))), apart);
}

#[test]
fn what_names_nothing_is_left_out() {
    for constraint in [
        "<rsc_colocation id='x' rsc='a' with-rsc='nosuch' score='INFINITY'/>",
        "<rsc_order id='x' first='a' then='nosuch'/>",
        "<rsc_location id='x' rsc='nosuch' node='n1' score='1'/>",
        "<rsc_location id='x' rsc='a' node='nosuch' score='INFINITY'/>",
        "<rsc_order id='x'><resource_set id='s'><resource_ref id='a'/><resource_ref id='nosuch'/>\
         </resource_set></rsc_order>",
        "<rsc_ticket id='x' rsc='nosuch' ticket='t'/>",
    ] {
        assert_eq!(starts(&constrained(constraint)).len(), 3, "{constraint}");
    }
}

#[test]
fn nested_rules_are_followed_to_the_end() {
    const DEPTH: usize = 200;
    let open: String = (1..DEPTH).map(|n| format!("<rule id='r{n}'>")).collect();
    let rule = format!(
        "<rsc_location id='x' rsc='a'><rule id='r' score='INFINITY'>{open}<expression id='e' \
         attribute='#uname' operation='eq' value='n2'/>{}</rule></rsc_location>",
        "</rule>".repeat(DEPTH - 1)
    );
    assert!(starts(&constrained(&rule)).contains(&"a@n2".to_string()));
}

#[test]
fn growing_entities_are_refused() {
    let mut text = String::from("<!DOCTYPE cib [<!ENTITY e0 'aaaaaaaaaa'>");
    for n in 1..10 {
        text += &format!("<!ENTITY e{n} '{}'>", format!("&e{};", n - 1).repeat(10));
    }
    text += "]><cib dc-uuid='&e9;'/>";
    assert!(Document::parse(&text).is_err());
}
