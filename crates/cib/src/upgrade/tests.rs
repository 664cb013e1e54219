use super::*;

fn upgraded(schema: &str, configuration: &str) -> String {
    let text =
        format!("<cib validate-with=\"{schema}\"><configuration>{configuration}</configuration></cib>");
    let mut doc = Document::parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    for_decision(&mut doc).map_or_else(|error| error.to_string(), |_| doc.to_text())
}

#[test]
fn old_names_of_options_are_translated() {
    let set = "<crm_config><cluster_property_set id=\"o\">\
        <nvpair id=\"a\" name=\"stonith_enabled\" value=\"false\"/>\
        <nvpair id=\"b\" name=\"default-resource-stickiness\" value=\"7\"/>\
        <nvpair id=\"c\" name=\"expected-quorum-votes\" value=\"2\"/></cluster_property_set></crm_config>";
    let text = upgraded("pacemaker-1.2", set);
    assert!(text.contains("name=\"stonith-enabled\""), "{text}");
    assert!(
        text.contains("<rsc_defaults><meta_attributes") && text.contains("resource-stickiness"),
        "{text}"
    );
    assert!(!text.contains("expected-quorum-votes") && !text.contains("default-resource"), "{text}");
    assert!(text.contains(base::CURRENT_SCHEMA), "{text}");
}

#[test]
fn what_a_start_requires_is_said_of_the_resource() {
    let rsc = |op: &str| {
        format!(
            "<resources><primitive id=\"A\"><operations><op id=\"x\" name=\"{op}\" requires=\"nothing\"/>\
             </operations></primitive></resources>"
        )
    };
    let text = upgraded("pacemaker-2.10", &rsc("start"));
    assert!(text.contains("name=\"requires\" value=\"nothing\""), "{text}");
    let text = upgraded("pacemaker-2.10", &rsc("stop"));
    assert!(!text.contains("requires"), "{text}");
}

#[test]
fn users_become_targets_with_roles() {
    let text = upgraded(
        "pacemaker-1.2",
        "<acls><acl_user id=\"u\"><read id=\"r\" xpath=\"/cib\"/></acl_user></acls>",
    );
    assert!(text.contains("<acl_target id=\"u\"><role id=\"auto-u\"/></acl_target>"), "{text}");
    assert!(text.contains("<acl_role id=\"auto-u\"><acl_permission"), "{text}");
}

#[test]
fn a_lifetime_becomes_a_rule() {
    let text = upgraded(
        "pacemaker-3.9",
        "<constraints><rsc_location id=\"l\" rsc=\"A\" node=\"n\" score=\"5\"><lifetime><rule id=\"r\">\
         <date_expression id=\"d\" operation=\"gt\" start=\"2021-01-01\"/></rule></lifetime></rsc_location>\
         </constraints>",
    );
    assert!(
        !text.contains("lifetime>") && text.contains("value=\"n\"") && text.contains("score=\"5\""),
        "{text}"
    );
}

#[test]
fn agents_that_are_gone_take_their_group_along() {
    let text = upgraded(
        "pacemaker-3.0",
        "<resources><group id=\"G\"><primitive id=\"N\" class=\"nagios\"/></group></resources>",
    );
    assert!(!text.contains("group"), "{text}");
}

#[test]
fn unknown_schemas_are_refused() {
    for schema in ["pacemaker-99.0", "pacemaker-next", "", "nonsense"] {
        assert!(upgraded(schema, "").contains("no schema that is known"), "{schema}");
    }
    assert!(upgraded("none", "").contains("none"));
}

#[test]
fn lines_of_names() {
    assert_eq!(line(Some("pacemaker-3.10")), Some(3));
    assert_eq!(line(Some("pacemaker-0.6")), Some(0));
    assert_eq!(line(Some("pacemaker-next")), Some(0));
    for unknown in [None, Some("none"), Some("pacemaker-x.y"), Some("other-1.0")] {
        assert_eq!(line(unknown), None);
    }
}

#[test]
fn a_present_configuration_is_left_alone() {
    let text = "<cib validate-with=\"pacemaker-3.9\"><configuration><resources>\
                <primitive id=\"a\" class=\"ocf\" provider=\"heartbeat\" type=\"Dummy\"/>\
                </resources></configuration></cib>";
    let mut cib = Document::parse(text).expect("well-formed");
    assert!(!is_needed(&cib, Goal::V4));
    assert!(transform(&mut cib, Goal::V4).is_empty());
    assert_eq!(cib.to_text(), Document::parse(text).expect("well-formed").to_text());
}
