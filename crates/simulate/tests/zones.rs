//! Local time: rules look at the effective time in the zone of its date, times are shown as the clock on the wall
//! showed them. The answers are Pacemaker 3.0.2's in `Europe/Madrid`.

use scheduler::iso8601::Zone;
use simulate::sim::{self, Request};
use xml::Document;

/// 2026-11-23, in winter.
const NOW_S: i64 = 1_795_435_200;
/// 2024-07-14 23:33:20 and 2024-01-11 19:06:40, both UTC.
const SUMMER_S: i64 = 1_721_000_000;
const WINTER_S: i64 = 1_705_000_000;

/// Summer time of 2024, as in Madrid.
fn madrid(at_s: i64) -> i32 {
    if (1_711_846_800..1_729_990_800).contains(&at_s) { 7200 } else { 3600 }
}

/// A resource that a rule prefers on `n2` at noon and that failed on `n1`.
fn cib(failed_s: i64) -> Document {
    let key = "1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
    let state = |id: u32, more: &str| {
        format!(
            "<node_state id='{id}' uname='n{id}' in_ccm='true' crmd='online' join='member' expected='member'>{more}\
             </node_state>"
        )
    };
    let history = format!(
        "<lrm id='1'><lrm_resources><lrm_resource id='r' class='ocf' provider='pacemaker' type='Dummy'>\
         <lrm_rsc_op id='r_last_failure_0' operation_key='r_monitor_10000' operation='monitor' \
         crm_feature_set='3.19.6' transition-key='{key}' transition-magic='0:7;{key}' call-id='5' rc-code='7' \
         op-status='0' interval='10000' last-rc-change='{failed_s}' exec-time='10' queue-time='0'/>\
         </lrm_resource></lrm_resources></lrm>"
    );
    let text = format!(
        "<cib crm_feature_set='3.19.6' validate-with='pacemaker-4.0' epoch='1' num_updates='0' admin_epoch='0' \
         have-quorum='1'><configuration><crm_config><cluster_property_set id='o'>\
         <nvpair id='f' name='fencing-enabled' value='false'/></cluster_property_set></crm_config>\
         <nodes><node id='1' uname='n1'/><node id='2' uname='n2'/></nodes>\
         <resources><primitive id='r' class='ocf' provider='pacemaker' type='Dummy'/></resources>\
         <constraints><rsc_location id='l' rsc='r'><rule id='lr' score='100'>\
         <expression id='e' attribute='#uname' operation='eq' value='n2'/>\
         <date_expression id='d' operation='date_spec'><date_spec id='s' hours='12'/></date_expression>\
         </rule></rsc_location></constraints></configuration><status>{}{}</status></cib>",
        state(1, &history),
        state(2, "")
    );
    Document::parse(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn run(failed_s: i64, date: Option<&str>, now_s: i64) -> String {
    let date = date.map(String::from);
    let zone = Zone::Local(madrid);
    let request =
        Request { date, now_s, zone, process: true, scores: true, failcounts: true, ..Request::default() };
    let run = sim::run(&cib(failed_s), &request).unwrap_or_else(|error| panic!("{error}"));
    status::tree::text(&simulate::record::text(&run.parts))
}

fn at_noon(date: Option<&str>, now_s: i64) -> bool {
    run(SUMMER_S, date, now_s).contains("pcmk__primitive_assign: r allocation score on n2: 100")
}

#[test]
fn rules_look_at_a_date_in_its_own_zone() {
    assert!(at_noon(Some("2024-07-15 12:30:00 +05:00"), NOW_S));
    assert!(!at_noon(Some("2024-07-15 15:30:00 +05:00"), NOW_S));
    assert!(at_noon(Some("2024-07-15 12:30:00Z"), NOW_S));
    assert!(!at_noon(Some("2024-07-15 10:30:00Z"), NOW_S));
    // Without a zone: that of now.
    assert!(at_noon(Some("2024-07-15 12:30:00"), NOW_S));
    assert!(!at_noon(Some("2024-07-15 11:30:00"), NOW_S));
}

#[test]
fn rules_look_at_this_moment_in_the_zone_of_its_season() {
    let noon_in_summer_s = SUMMER_S - SUMMER_S % 86_400 + 10 * 3600;
    let noon_in_winter_s = WINTER_S - WINTER_S % 86_400 + 11 * 3600;
    assert!(at_noon(None, noon_in_summer_s));
    assert!(at_noon(None, noon_in_winter_s));
    assert!(!at_noon(None, noon_in_summer_s + 3600));
    assert!(!at_noon(None, noon_in_winter_s - 3600));
}

#[test]
fn times_are_shown_in_the_zone_of_their_season() {
    for date in [None, Some("2024-07-15 12:30:00 +05:00"), Some("2024-01-15 12:30:00")] {
        let summer = run(SUMMER_S, date, NOW_S);
        assert!(summer.contains("last-rc-change='Mon Jul 15 01:33:20 2024'"), "{summer}");
        let winter = run(WINTER_S, date, NOW_S);
        assert!(winter.contains("last-rc-change='Thu Jan 11 20:06:40 2024'"), "{winter}");
    }
}
