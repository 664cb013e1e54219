//! Configurations that contradict themselves, name what is not there or say absurd things: the decision
//! is the one that Pacemaker 3.0.2 was seen to make, or they are refused.

use simulate::sim::{self, Request};
use xml::Document;

/// Resources of the most that a cluster is asked to have here.
const MANY: usize = 100_000;

fn primitive(id: &str) -> String {
    format!("<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'/>")
}

fn four() -> String {
    (0..4).map(|at| primitive(&format!("r{at}"))).collect()
}

/// Two nodes, without fencing and without validation.
fn cib(resources: &str, constraints: &str, more: &str) -> String {
    let state = |id: usize| {
        format!(
            "<node_state id='{id}' uname='n{id}' in_ccm='true' crmd='online' join='member' expected='member'/>"
        )
    };
    format!(
        "<cib crm_feature_set='3.19.0' validate-with='none' epoch='1' num_updates='0' admin_epoch='0' \
         have-quorum='1'><configuration><crm_config><cluster_property_set id='o'>\
         <nvpair id='of' name='stonith-enabled' value='false'/></cluster_property_set></crm_config>\
         <nodes><node id='1' uname='n1'/><node id='2' uname='n2'/></nodes><resources>{resources}</resources>\
         <constraints>{constraints}</constraints>{more}</configuration><status>{}{}</status></cib>",
        state(1),
        state(2)
    )
}

/// What is started, and where: `r0@n1 …`, in the order of the resources' names.
fn starts(text: &str) -> String {
    let doc = Document::parse(text).unwrap_or_else(|e| panic!("{e}"));
    let request = Request { process: true, quiet: true, now_s: 1_785_000_000, ..Request::default() };
    let run = sim::run(&doc, &request).unwrap_or_else(|e| panic!("{e}"));
    let (cluster, graph) = run.decided.unwrap_or_else(|| panic!("no decision"));
    let actions = graph.actions.iter().map(|action| &cluster.actions[*action]);
    let mut out: Vec<String> = actions
        .filter(|action| action.task == "start")
        .filter_map(|action| {
            Some(format!("{}@{}", cluster.rscs[action.rsc?].id, cluster.node_name(action.node?)))
        })
        .collect();
    out.sort();
    out.join(" ")
}

/// As if there were no constraint at all.
const FREE: &str = "r0@n1 r1@n2 r2@n1 r3@n2";

#[test]
fn constraints_on_nothing_are_passed_over() {
    for constraints in [
        "<rsc_location id='a' rsc='no' node='n1' score='INFINITY'/>",
        "<rsc_location id='a' rsc='r0' node='no' score='INFINITY'/>",
        "<rsc_order id='a' first='no' then='r1'/><rsc_order id='b' first='r0' then='no'/>",
        "<rsc_colocation id='a' rsc='no' with-rsc='r1' score='INFINITY'/>",
        "<rsc_colocation id='a' rsc='r1' with-rsc='no' score='INFINITY'/>",
        "<rsc_order id='a'><resource_set id='s'><resource_ref id='r0'/><resource_ref id='no'/></resource_set>\
         </rsc_order>",
        "<rsc_ticket id='a' rsc='no' ticket='t'/>",
        "<rsc_order id='a'><resource_set id='s'/></rsc_order>",
        "<rsc_colocation id='a' score='INFINITY'><resource_set id='s'/></rsc_colocation>",
        "<rsc_location id='a' rsc='r0' node='n1' score='1'/><rsc_location id='a' rsc='r1' node='n2' score='1'/>",
    ] {
        assert_eq!(starts(&cib(&four(), constraints, "")), FREE, "{constraints}");
    }
}

#[test]
fn resources_without_sense_are_passed_over() {
    for odd in [
        "<primitive class='ocf' provider='pacemaker' type='Dummy'/>".to_string(),
        "<primitive id='x' template='no'/>".to_string(),
        "<primitive id='x' template='x'/>".to_string(),
        "<group id='g'/>".to_string(),
        "<clone id='g'/>".to_string(),
        "<bundle id='b'/>".to_string(),
        format!("<group id='g'><group id='h'>{}</group></group>", primitive("x")),
        format!("<clone id='g'><clone id='h'>{}</clone></clone>", primitive("x")),
    ] {
        assert_eq!(starts(&cib(&(odd.clone() + &four()), "", "")), FREE, "{odd}");
    }
}

#[test]
fn references_in_circles_end() {
    let pairs = |one: fn(usize, usize) -> String| (0..4).map(|at| one(at, (at + 1) % 4)).collect::<String>();
    let order = pairs(|a, b| format!("<rsc_order id='k{a}' first='r{a}' then='r{b}'/>"));
    assert_eq!(starts(&cib(&four(), &order, "")), FREE);
    let together =
        pairs(|a, b| format!("<rsc_colocation id='c{a}' rsc='r{a}' with-rsc='r{b}' score='INFINITY'/>"));
    assert_eq!(starts(&cib(&four(), &together, "")), "r0@n1 r1@n1 r2@n1 r3@n1");
    let apart =
        pairs(|a, b| format!("<rsc_colocation id='c{a}' rsc='r{b}' with-rsc='r{a}' score='-INFINITY'/>"));
    assert_eq!(starts(&cib(&four(), &(order + &apart), "")), "r0@n2 r1@n1 r2@n2 r3@n1");
    let tags = "<tags><tag id='t1'><obj_ref id='t2'/></tag><tag id='t2'><obj_ref id='t1'/></tag></tags>";
    let location = "<rsc_location id='a' rsc='t1' node='n2' score='7'/>";
    assert_eq!(starts(&cib(&four(), location, tags)), FREE);
}

#[test]
fn what_contradicts_itself_does_not_run() {
    let both = "<rsc_colocation id='a' rsc='r0' with-rsc='r1' score='INFINITY'/>\
                <rsc_colocation id='b' rsc='r0' with-rsc='r1' score='-INFINITY'/>";
    assert_eq!(starts(&cib(&four(), both, "")), "r1@n1 r2@n2 r3@n1");
}

#[test]
fn absurd_scores_are_numbers_or_nothing() {
    for (score, expected) in [
        ("99999999999999999999", "r0@n2 r1@n2 r2@n1 r3@n1"),
        ("-99999999999999999999", FREE),
        ("many", FREE),
        ("", FREE),
    ] {
        let constraints = format!(
            "<rsc_location id='a' rsc='r0' node='n2' score='{score}'/>\
             <rsc_colocation id='b' rsc='r1' with-rsc='r0' score='{score}'/>"
        );
        assert_eq!(starts(&cib(&four(), &constraints, "")), expected, "{score}");
    }
}

/// The addresses of three replicas: what is no address has no next one, and the third begins again.
#[test]
fn ranges_that_are_no_addresses_are_counted_on_as_c_does() {
    for (start, addresses) in [
        ("10.0.253.254", "b-ip-.null.@n1 b-ip-10.0.253.254@n1 b-ip-10.0.254.1@n2"),
        ("10.0.254.1", "b-ip-.null.@n2 b-ip-10.0.254.1@n1 b-ip-10.0.254.1@n1"),
        ("-1.2.3.4", "b-ip--1.2.3.4@n1 b-ip-4294967295.2.3.5@n2 b-ip-4294967295.2.3.6@n1"),
        ("1.2.3.4x", "b-ip-1.2.3.4x@n1 b-ip-1.2.3.5@n2 b-ip-1.2.3.6@n1"),
        ("99999999999.1.1.1", "b-ip-1215752191.1.1.2@n2 b-ip-1215752191.1.1.3@n1 b-ip-99999999999.1.1.1@n1"),
        ("abc", "b-ip-.null.@n2 b-ip-abc@n1 b-ip-abc@n1"),
    ] {
        let bundle = format!(
            "<bundle id='b'><podman image='i' replicas='3' replicas-per-host='2'/>\
             <network ip-range-start='{start}'/></bundle>"
        );
        let containers = "b-podman-0@n1 b-podman-1@n2 b-podman-2@n1";
        assert_eq!(starts(&cib(&bundle, "", "")), format!("{addresses} {containers}"), "{start}");
    }
}

#[test]
fn rules_may_be_nested_deep() {
    let depth = 200;
    let open: String = (1..depth).map(|at| format!("<rule id='d{at}' boolean-op='or'>")).collect();
    let rule = format!(
        "<rsc_location id='a' rsc='r0'><rule id='d0' score='5'>{open}<expression id='e' attribute='#uname' \
         operation='eq' value='n2'/>{}</rule></rsc_location>",
        "</rule>".repeat(depth - 1)
    );
    assert_eq!(starts(&cib(&four(), &rule, "")), "r0@n2 r1@n1 r2@n1 r3@n2");
}

#[test]
fn a_hundred_thousand_resources_are_decided_on() {
    let all: String = (0..MANY).map(|at| primitive(&format!("r{at}"))).collect();
    let found = starts(&cib(&all, "", ""));
    assert_eq!(found.split(' ').filter(|start| start.ends_with("@n1")).count(), MANY / 2);
    assert_eq!(found.split(' ').count(), MANY);
}

#[test]
fn what_is_no_xml_or_grows_when_read_is_refused() {
    let entities: String =
        (1..10).map(|at| format!("<!ENTITY e{at} \"{}\">", format!("&e{};", at - 1).repeat(10))).collect();
    let bomb = format!("<!DOCTYPE cib [<!ENTITY e0 \"aaaaaaaaaa\">{entities}]>{}", cib(&four(), "", ""));
    assert!(Document::parse(&bomb.replace("uname='n2'", "uname='&e9;'")).is_err());
    let deep = 2_000_000;
    let nested = format!("<cib>{}{}</cib>", "<x>".repeat(deep), "</x>".repeat(deep));
    assert!(Document::parse(&nested).is_err());
    let whole = cib(&four(), "", "");
    assert!(Document::parse(&format!("{whole}{whole}")).is_err());
    assert!(Document::parse(whole.get(..300).unwrap_or("")).is_err());
    assert!(Document::parse_bytes(whole.as_bytes()).is_ok());
    assert!(Document::parse_bytes(whole.replace("r3", "r\0").as_bytes()).is_err());
}
