//! `relevo why` names the cause that really decided, and the command that takes it away.

use scheduler::{Decision, Options, schedule};
use simulate::suite;
use simulate::why::{Answer, explain, explain_all};
use xml::Document;

/// A cluster of two nodes with one resource, `web`.
struct Setup<'a> {
    quorate: bool,
    options: &'a str,
    node_attributes: &'a str,
    meta: &'a str,
    constraints: &'a str,
    history: &'a str,
    /// Fail count of the start on alpha.
    failures: &'a str,
}

const PLAIN: Setup<'static> = Setup {
    quorate: true,
    options: "",
    node_attributes: "",
    meta: "",
    constraints: "",
    history: "",
    failures: "",
};

fn decide(setup: &Setup<'_>) -> Decision {
    let transient = |id: u32| match setup.failures {
        "" => String::new(),
        _ if id != 1 => String::new(),
        count => format!(
            r#"<transient_attributes id="1"><instance_attributes id="t">
            <nvpair id="t-1" name="fail-count-web#start_0" value="{count}"/>
            </instance_attributes></transient_attributes>"#
        ),
    };
    let state = |id: u32, name: &str, history: &str| {
        format!(
            r#"<node_state id="{id}" uname="{name}" in_ccm="true" crmd="online" join="member" expected="member">
            <lrm id="{id}"><lrm_resources>{history}</lrm_resources></lrm>{}</node_state>"#,
            transient(id)
        )
    };
    let text = format!(
        r#"<cib crm_feature_set="3.19.0" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0" have-quorum="{}" dc-uuid="1">
        <configuration><crm_config><cluster_property_set id="o"><nvpair id="o-s" name="stonith-enabled" value="false"/>{}</cluster_property_set></crm_config>
        <nodes><node id="1" uname="alpha">{}</node><node id="2" uname="beta"/></nodes>
        <resources><primitive id="web" class="ocf" provider="pacemaker" type="Dummy">{}</primitive>
        <primitive id="db" class="ocf" provider="pacemaker" type="Dummy"/></resources>
        <constraints>{}</constraints></configuration>
        <status>{}{}</status></cib>"#,
        u8::from(setup.quorate),
        setup.options,
        setup.node_attributes,
        setup.meta,
        setup.constraints,
        state(1, "alpha", setup.history),
        state(2, "beta", ""),
    );
    let document = Document::parse(&text).expect("well-formed");
    let options = Options { now_s: 1_785_000_000, trail: true, ..Options::default() };
    schedule(&document, &options).expect("a decision")
}

fn web(setup: &Setup<'_>) -> Answer {
    explain(&decide(setup), "web").expect("web is configured").remove(0)
}

/// Causes of the steps on a node.
fn causes<'a>(answer: &'a Answer, node: &str) -> Vec<(&'a str, Option<i32>)> {
    let place = answer.nodes.iter().find(|place| place.node == node).expect("a known node");
    place.steps.iter().map(|step| (step.reason.cause.as_str(), step.to)).collect()
}

fn fixes(answer: &Answer) -> Vec<&str> {
    let whole = answer.reasons.iter();
    let nodes = answer.nodes.iter().flat_map(|p| p.unusable.iter().chain(p.steps.iter().map(|s| &s.reason)));
    whole.chain(nodes).filter_map(|reason| reason.fix.as_deref()).collect()
}

#[test]
fn constraints_are_named_with_their_scores() {
    let answer = web(&Setup {
        constraints: r#"<rsc_location id="l1" rsc="web" node="beta" score="50"/>
            <rsc_location id="cli-ban-web-on-beta" rsc="web" node="beta" score="-INFINITY"/>"#,
        ..PLAIN
    });
    assert_eq!(answer.wanted_on.as_deref(), Some("alpha"));
    let on_beta = causes(&answer, "beta");
    assert_eq!(on_beta.first(), Some(&("symmetric_default", Some(0))));
    assert_eq!(on_beta.last().map(|(_, to)| *to), Some(Some(-base::INFINITY)));
    assert!(on_beta.iter().any(|(cause, _)| *cause == "cli-ban-web-on-beta"), "{on_beta:?}");
    assert!(fixes(&answer).contains(&"pcs resource clear web"));
    let answer = web(&Setup {
        constraints: r#"<rsc_location id="l1" rsc="web" node="beta" score="-INFINITY"/>"#,
        ..PLAIN
    });
    assert!(fixes(&answer).contains(&"pcs constraint delete l1"));
}

#[test]
fn a_colocation_with_something_stopped_is_told() {
    let answer = web(&Setup {
        constraints: r#"<rsc_colocation id="c1" rsc="web" with-rsc="db" score="INFINITY"/>
            <rsc_location id="l1" rsc="db" node="alpha" score="-INFINITY"/>
            <rsc_location id="l2" rsc="db" node="beta" score="-INFINITY"/>"#,
        ..PLAIN
    });
    assert_eq!(answer.wanted_on, None);
    assert_eq!(causes(&answer, "alpha").last(), Some(&("c1", Some(-base::INFINITY))));
    let step = answer.nodes.iter().flat_map(|p| &p.steps).find(|s| s.reason.cause == "c1").expect("a step");
    assert!(step.reason.text.contains("web with db, which runs nowhere"), "{}", step.reason.text);
}

#[test]
fn nodes_that_cannot_be_used_say_why() {
    let standby =
        r#"<instance_attributes id="a"><nvpair id="a-s" name="standby" value="on"/></instance_attributes>"#;
    let answer = web(&Setup { node_attributes: standby, ..PLAIN });
    let alpha = answer.nodes.iter().find(|p| p.node == "alpha").and_then(|p| p.unusable.as_ref());
    assert_eq!(alpha.map(|r| r.cause.as_str()), Some("standby"));
    assert!(fixes(&answer).contains(&"pcs node unstandby alpha"));
    assert_eq!(answer.wanted_on.as_deref(), Some("beta"));
}

#[test]
fn what_stops_the_whole_resource_comes_first() {
    let disabled =
        r#"<meta_attributes id="m"><nvpair id="m-t" name="target-role" value="Stopped"/></meta_attributes>"#;
    let answer = web(&Setup { meta: disabled, ..PLAIN });
    assert_eq!(answer.reasons.first().map(|r| r.cause.as_str()), Some("target-role"));
    assert_eq!(answer.reasons.first().and_then(|r| r.fix.as_deref()), Some("pcs resource enable web"));
    let answer = web(&Setup { quorate: false, ..PLAIN });
    assert_eq!(answer.reasons.first().map(|r| r.cause.as_str()), Some("no quorum"));
    assert_eq!(answer.wanted_on, None);
    let unsafe_cluster = r#"<nvpair id="o-s2" name="stonith-enabled" value="true"/>"#;
    let plain = decide(&PLAIN);
    assert!(explain(&plain, "web").is_some_and(|a| a[0].reasons.is_empty()));
    // Of two values of an option the first counts, so fencing stays off here and nothing is wrong.
    assert!(web(&Setup { options: unsafe_cluster, ..PLAIN }).reasons.is_empty());
}

#[test]
fn an_ordering_that_holds_it_back_points_to_the_other() {
    let disabled_db = r#"<rsc_order id="o1" first="db" then="web"/>
        <rsc_location id="l1" rsc="db" node="alpha" score="-INFINITY"/>
        <rsc_location id="l2" rsc="db" node="beta" score="-INFINITY"/>"#;
    let answer = web(&Setup { constraints: disabled_db, ..PLAIN });
    assert_eq!(answer.wanted_on, None);
    assert!(answer.reasons.iter().any(|r| r.text.contains("db start")), "{:?}", answer.reasons);
    assert!(fixes(&answer).contains(&"relevo why db"));
}

#[test]
fn failures_point_to_cleanup() {
    let history = r#"<lrm_resource id="web" class="ocf" provider="pacemaker" type="Dummy">
        <lrm_rsc_op id="web_last_failure_0" operation_key="web_start_0" operation="start" interval="0"
         transition-key="1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" transition-magic="0:1;1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
         call-id="5" rc-code="1" op-status="0" crm_feature_set="3.19.0" last-rc-change="1784999000"/>
        <lrm_rsc_op id="web_last_0" operation_key="web_stop_0" operation="stop" interval="0"
         transition-key="2:2:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" transition-magic="0:0;2:2:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
         call-id="6" rc-code="0" op-status="0" crm_feature_set="3.19.0" last-rc-change="1784999001"/></lrm_resource>"#;
    let answer = web(&Setup { history, failures: "INFINITY", ..PLAIN });
    assert_eq!(answer.wanted_on.as_deref(), Some("beta"));
    assert!(fixes(&answer).contains(&"pcs resource cleanup web"), "{answer:#?}");
}

#[test]
fn an_unknown_resource_has_no_answer() {
    assert!(explain(&decide(&PLAIN), "wbe").is_none());
}

#[test]
fn answers_agree_with_the_decision_over_the_suite() {
    let dir = suite::directory();
    let Ok(names) = suite::names(&dir) else {
        println!("LEFT OUT: answers over the regression suite: no {}", dir.display());
        return;
    };
    let options = Options { now_s: 1_785_000_000, trail: true, ..Options::default() };
    for name in names {
        let path = dir.join("xml").join(format!("{name}.xml"));
        let Ok(document) =
            std::fs::read(&path).map_err(drop).and_then(|b| Document::parse_bytes(&b).map_err(drop))
        else {
            continue;
        };
        let Ok(decision) = schedule(&document, &options) else { continue };
        for answer in explain_all(&decision) {
            let last = |p: &simulate::why::Place| p.steps.last().and_then(|s| s.to);
            for place in &answer.nodes {
                assert_eq!(place.score, last(place), "{name}: {} on {}", answer.resource, place.node);
            }
            let chosen = answer.nodes.iter().find(|place| place.chosen).map(|place| &place.node);
            assert!(answer.wanted_on.is_none() || answer.wanted_on.as_ref() == chosen, "{name}");
        }
    }
}
