//! The same commands on the same file, by the reference's pcs and by ours: same messages, same exit
//! status, same configuration. Left out, aloud, where the reference is not installed.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use std::path::Path;
use std::process::Command;

use pcs::context::Paths;
use pcs::report::{Kept, Message};
use xml::{Document, Element};

const REFERENCE: &str = "/usr/sbin/pcs";
const AGENT: &str = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2";

/// An element as text in which the order of attributes does not matter.
fn normal(element: Element<'_>, out: &mut String) {
    let mut attributes: Vec<String> = element.attrs().map(|(n, v)| format!("{n}={v:?}")).collect();
    attributes.sort();
    out.push_str(&format!("<{} {}>", element.name(), attributes.join(" ")));
    element.children().for_each(|child| normal(child, out));
    out.push_str("</>");
}

fn configuration(path: &Path) -> String {
    let doc = Document::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut out = String::new();
    normal(doc.root_element().child("configuration").unwrap(), &mut out);
    out
}

/// Exit status and everything said, in one list of lines.
fn ours(file: &Path, words: &[&str]) -> (i32, Vec<String>) {
    let mut arguments = vec!["-f".to_string(), file.display().to_string()];
    arguments.extend(words.iter().map(|w| (*w).to_string()));
    let mut kept = Kept::default();
    let status = pcs::run(&arguments, Paths::default(), &mut kept);
    let text = kept.0.into_iter().map(|message| match message {
        Message::Output(text) | Message::Info(text) => text,
        Message::Warning(text) => format!("Warning: {text}"),
        Message::Deprecation(text) => format!("Deprecation Warning: {text}"),
        Message::Error(text) => format!("Error: {text}"),
    });
    let all = text.collect::<Vec<_>>().join("\n");
    // Hints are ours alone.
    (status, all.lines().filter(|l| !l.starts_with("Hint: ")).map(str::to_string).collect())
}

fn theirs(file: &Path, words: &[&str]) -> (i32, Vec<String>) {
    let output = Command::new(REFERENCE).arg("-f").arg(file).args(words).output().unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), text.lines().map(str::to_string).collect())
}

#[test]
fn the_reference_says_and_does_the_same() {
    if !Path::new(REFERENCE).exists() || !Path::new(AGENT).exists() {
        println!("LEFT OUT: comparison with the reference's pcs, which is not installed here");
        return;
    }
    let dir = std::env::temp_dir().join(format!("relevo-pcs-reference-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (a, b) = (dir.join("ours.xml"), dir.join("theirs.xml"));
    let base = include_str!("base.xml");
    std::fs::write(&a, base).unwrap();
    std::fs::write(&b, base).unwrap();
    let mut wrong = Vec::new();
    for line in include_str!("reference-commands.txt").lines().filter(|l| !l.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let (mine, reference) = (ours(&a, &words), theirs(&b, &words));
        let (mut mine_lines, mut reference_lines) = (mine.1, reference.1);
        // Standard output and standard error are compared together, in any order.
        mine_lines.sort();
        reference_lines.sort();
        if mine.0 != reference.0 || mine_lines != reference_lines {
            wrong.push(format!(
                "{line}\n  ours {}: {mine_lines:#?}\n  reference {}: {reference_lines:#?}",
                mine.0, reference.0
            ));
        }
        if configuration(&a) != configuration(&b) {
            wrong.push(format!("{line}: the configurations differ"));
            std::fs::copy(&b, &a).unwrap();
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
