//! The step from the 2.x line to the stored one, rule by rule: small configurations, each after the name of
//! its rule and the schema, and what Pacemaker's `cibadmin --upgrade --force` (2.1.5) made of it.

#![allow(clippy::expect_used)]

use cib::upgrade::{Goal, transform};
use xml::{Document, NodeId};

const ANSWERS: &str = include_str!("upgrade-answers.txt");

/// An element as text, attributes sorted.
fn plain(doc: &Document, at: NodeId) -> String {
    let mut attrs: Vec<String> = doc.attrs(at).map(|(name, value)| format!(" {name}=\"{value}\"")).collect();
    attrs.sort();
    let inner: String = doc.child_elements(at).into_iter().map(|child| plain(doc, child)).collect();
    format!("<{}{}>{inner}</>", doc.name(at), attrs.concat())
}

#[test]
fn old_words_become_todays_as_the_references() {
    let lines: Vec<&str> = ANSWERS.lines().collect();
    let mut different = Vec::new();
    let mut compared = 0;
    for case in lines.chunks(4) {
        let [name, schema, before, after] = case else { panic!("four lines each: {case:?}") };
        let mut cib =
            Document::parse(&format!("<cib validate-with=\"{schema}\">{before}</cib>")).expect("well-formed");
        let expected = Document::parse(after).expect("well-formed");
        transform(&mut cib, Goal::V3);
        let found = cib.child(cib.root(), "configuration").expect("a configuration");
        let (found, expected) = (plain(&cib, found), plain(&expected, expected.root()));
        compared += 1;
        if found != expected {
            different.push(format!("{name}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(compared > 30, "only {compared} compared");
}
