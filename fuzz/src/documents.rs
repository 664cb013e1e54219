//! XML, the CIB and what is decided from it.

use cib::{Operation, Request};
use scheduler::{Options, iso8601};
use xml::{Document, XPath};

/// Larger inputs find nothing that smaller ones do not.
const TEXT_MAX: usize = 64 * 1024;
const NOW_S: i64 = 1_785_000_000;

const CIB: &str = r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="5" num_updates="3" admin_epoch="0"><configuration><crm_config/><nodes><node id="1" uname="a"/></nodes><resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="r-m" name="monitor" interval="10s"/></operations></primitive></resources><constraints/></configuration><status/></cib>"#;

pub fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok().filter(|text| text.len() <= TEXT_MAX)
}

/// What parses, is written and parses again to the same.
pub fn xml(data: &[u8]) {
    let Ok(document) = Document::parse_bytes(data) else { return };
    let once = document.to_text();
    let again = Document::parse(&once).unwrap_or_else(|error| panic!("{error}: {once}"));
    assert_eq!(again.to_text(), once);
}

pub fn xpath(data: &[u8]) {
    let Some(path) = text(data).and_then(|text| XPath::parse(text).ok()) else { return };
    let Ok(document) = Document::parse(CIB) else { return };
    let _ = path.select(&document);
}

/// Two documents, split at the first zero byte: their difference leads from the one to the other.
pub fn patch(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let mut next = || parts.next().and_then(|part| Document::parse_bytes(part).ok());
    let (Some(old), Some(new)) = (next(), next()) else { return };
    let Ok(mut base) = Document::parse(CIB) else { return };
    let _ = cib::apply_patchset(&mut base, new.root_element());
    if let Some(patch) = xml::patch::diff(&old, &new) {
        let mut copy = old.clone();
        let _ = xml::patch::apply(&mut copy, patch.root_element());
    }
}

/// Any operation with any input: a result or a refusal, and a result that is still a CIB.
pub fn cib(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(current) = Document::parse(CIB) else { return };
    let input = Document::parse_bytes(rest).ok();
    let operations = [
        Operation::Create,
        Operation::Modify,
        Operation::Replace,
        Operation::Delete,
        Operation::Erase,
        Operation::Upgrade,
        Operation::ApplyPatch,
    ];
    let sections =
        [None, Some("resources"), Some("status"), Some("configuration"), Some("all"), Some("//primitive")];
    let section = sections[usize::from(first >> 3) % sections.len()];
    let is_path = section.is_some_and(|section| section.starts_with('/'));
    let request = Request {
        operation: operations[usize::from(*first) % operations.len()],
        section,
        options: if is_path { cib::options::XPATH } else { 0 },
        input: input.as_ref().map(Document::root_element),
        origin: "a",
        client: "fuzz",
        user: "root",
        written: "Sun Nov 22 12:00:00 2026",
        keep_version: false,
    };
    if let Ok(outcome) = cib::perform(&current, &request) {
        assert_eq!(outcome.cib.root_element().name(), "cib");
    }
}

/// A CIB as text to a decision.
pub fn decision(data: &[u8]) {
    let Some(document) = text(data).and_then(|text| Document::parse(text).ok()) else { return };
    let options = Options { now_s: NOW_S, scores: true, trail: true, ..Options::default() };
    if let Ok(decision) = scheduler::schedule(&document, &options) {
        let _ = decision.to_xml().to_text();
    }
}

pub fn dates(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let now = iso8601::Time::from_epoch(NOW_S, 0);
    let _ = iso8601::Time::parse(text, now);
    let _ = iso8601::Duration::parse(text);
    let _ = base::parse_interval_ms(text);
    let _ = scheduler::text::parse_op_key(text);
    let _ = scheduler::text::parse_transition_magic(text);
}
