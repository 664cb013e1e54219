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
