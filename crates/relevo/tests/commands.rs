//! Commands without a cluster: what the manager's tools print for a configuration in a file, against
//! the transcripts of Pacemaker's own suite of command lines.
//!
//! `commands/` has the command line of each named case (a fact of the reference's `cts-cli`); what
//! must be printed comes from the shared transcripts, never from our own output.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

#[path = "commands/cases.rs"]
mod cases;
#[path = "commands/dates.rs"]
mod dates;
#[path = "commands/transcript.rs"]
mod transcript;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cases::{Case, Format, Group};

const PROGRAM: &str = env!("CARGO_BIN_EXE_relevo");

fn suite() -> Option<PathBuf> {
    let shared = std::env::var("RELEVO_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
    let suite = Path::new(&shared).join("pacemaker-cli-suite");
    if !suite.is_dir() {
        println!("LEFT OUT: Pacemaker's transcripts of command lines are not here");
        return None;
    }
    Some(suite)
}

/// What a command prints, standard error after standard output, and its exit status.
fn run(case: &Case, format: Format, group: &Group, suite: &Path) -> (String, i32) {
    let command = format.command(case.command).replace("DATA", &suite.to_string_lossy());
    let mut words = split(&command).into_iter();
    let mut process = Command::new(PROGRAM);
    process.arg(words.next().unwrap());
    // `@FILE`: its content.
    process.args(words.map(|word| match word.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(suite.join(file)).unwrap(),
        None => word,
    }));
    process.env("LC_ALL", "C").env("TZ", "UTC").env_remove("CIB_file");
    if let Some(file) = group.cib {
        process.env("CIB_file", if file == "-" { "-".into() } else { suite.join(file) });
    }
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process.spawn().unwrap();
    let input = case.input.map(|input| match input {
        cases::Input::File(name) => std::fs::read_to_string(suite.join(name)).unwrap(),
        cases::Input::Text(text) => text(),
    });
    // A program that does not read its input has its reasons.
    let _ = child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        String::from_utf8_lossy(&text).replace(&*suite.to_string_lossy(), "CTS_CLI_DATA"),
        output.status.code().unwrap_or(-1),
    )
}

/// Words of a command line; `'` quotes.
fn split(command: &str) -> Vec<String> {
    let quoted = command.split('\'').enumerate();
    let mut words = Vec::new();
    for (at, part) in quoted {
        match at % 2 {
            1 => words.push(part.to_string()),
            _ => words.extend(part.split_whitespace().map(str::to_string)),
        }
    }
    words
}

/// Runs a group's cases in each of their formats against the transcript.
fn check(groups: &[Group]) {
    let Some(suite) = suite() else { return };
    let wrong: Vec<String> = groups.iter().flat_map(|group| differences(group, &suite)).collect();
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

fn differences(group: &Group, suite: &Path) -> Vec<String> {
    let expected = transcript::read(&suite.join(group.transcript));
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in group.cases {
        for format in case.formats.iter().copied() {
            let title = format.title(case.title);
            let want = expected.get(&title).unwrap_or_else(|| panic!("no case '{title}'"));
            let (text, status) = run(case, format, group, suite);
            count += 1;
            let difference = match format {
                Format::Refused => want.other_status(&text, status),
                _ => want.difference(&text, status),
            };
            if let Some(difference) = difference {
                wrong.push(format!("── {title}: {}\n{difference}", case.command));
            }
        }
    }
    println!("{count} cases of {}", group.transcript);
    wrong
}

#[test]
fn crm_mon() {
    check(cases::CRM_MON);
}

#[test]
fn crm_simulate() {
    check(cases::CRM_SIMULATE);
}

#[test]
fn crm_verify() {
    check(cases::CRM_VERIFY);
}

#[test]
fn iso8601() {
    check(&[dates::dates()]);
}

#[test]
fn crm_rule() {
    let file = std::env::temp_dir().join(format!("relevo-rules-{}.xml", std::process::id()));
    std::fs::write(&file, dates::configuration()).unwrap();
    // A full path stands for itself, not for a file of the suite.
    check(&[dates::rules(file.to_string_lossy().into_owned().leak())]);
    let _ = std::fs::remove_file(&file);
}
