//! What others hand in, whatever it is, is understood or refused: agents' metadata, the known-hosts file, conditions.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use pcs::agent::{AgentName, Metadata};
use pcs::model::rule;
use pcs::remote::hosts::KnownHosts;
use proptest::prelude::*;

const METADATA: &str = r#"<?xml version="1.0"?>
<resource-agent name="Dummy" version="1.0"><version>1.1</version><longdesc lang="en">Long</longdesc>
<parameters><parameter name="state" unique-group="a" required="1"><shortdesc>S</shortdesc>
<content type="select" default="x"><option value="x"/><option value="y"/></content></parameter></parameters>
<actions><action name="monitor" depth="0" timeout="20s" interval="10s" role="Promoted"/></actions>
</resource-agent>"#;
const HOSTS: &str = r#"{"format_version": 1, "data_version": 3, "known_hosts":
 {"a": {"dest_list": [{"addr": "10.0.0.1", "port": 2224}], "token": "t"}}}"#;

fn name() -> AgentName {
    AgentName { class: "ocf".into(), provider: Some("heartbeat".into()), kind: "Dummy".into() }
}

/// A text with one piece of it replaced.
fn damaged(text: &str, at: usize, len: usize, by: &str) -> String {
    let from = at % text.len();
    let to = (from + len % 40).min(text.len());
    format!("{}{by}{}", &text[..from], &text[to..])
}

proptest! {
    #[test]
    fn metadata(at: usize, len: usize, by in "\\PC{0,12}", text in "\\PC{0,200}") {
        let _ = Metadata::parse(&name(), &text);
        if let Ok(metadata) = Metadata::parse(&name(), &damaged(METADATA, at, len, &by)) {
            let _ = metadata.default_operations(false);
        }
    }

    #[test]
    fn known_hosts(at: usize, len: usize, by in "[\\PC]{0,12}", text in "\\PC{0,200}") {
        let _ = KnownHosts::parse(&text);
        let _ = KnownHosts::parse(&damaged(HOSTS, at, len, &by));
    }

    #[test]
    fn conditions(words in proptest::collection::vec(
        prop_oneof![
            "[()]", Just("and".to_owned()), Just("or".to_owned()), Just("date".to_owned()), Just("gt".to_owned()),
            Just("eq".to_owned()), Just("defined".to_owned()), Just("in_range".to_owned()), Just("to".to_owned()),
            Just("date-spec".to_owned()), Just("resource".to_owned()), "\\PC{0,8}",
        ], 0..16),
    ) {
        let _ = rule::parse(&words);
    }
}

#[test]
fn the_samples_are_understood() {
    assert!(Metadata::parse(&name(), METADATA).unwrap().parameter("state").is_some());
    assert_eq!(KnownHosts::parse(HOSTS).unwrap().hosts.len(), 1);
}
