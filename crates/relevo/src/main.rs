//! One program, many names: the name it is called by (or else the first word) picks the entry point.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// An entry point: the words after the name, to an exit status.
type Entry = fn(Vec<OsString>) -> i32;

/// Names that are not grouped by a crate of tools.
const DAEMONS: &[(&str, Entry)] = &[("pacemakerd", pacemakerd::main), ("pcsd", pcsd::main)];

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let own = words.next().unwrap_or_default();
    let mut rest: Vec<OsString> = words.collect();
    let name = Path::new(&own).file_name().unwrap_or(OsStr::new("relevo")).to_os_string();
    if let Some(entry) = find(&name) {
        return status(entry(rest));
    }
    if rest.is_empty() {
        eprint!("{}", usage());
        return ExitCode::from(64);
    }
    let word = rest.remove(0);
    if word == "--names" {
        for (name, _) in entries() {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    if word == "--help" || word == "-h" {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    match find(&word) {
        Some(entry) => status(entry(rest)),
        None => {
            eprintln!(
                "relevo: there is no program '{}' in here; relevo --names lists them",
                word.to_string_lossy()
            );
            ExitCode::from(64)
        }
    }
}

fn entries() -> impl Iterator<Item = (&'static str, Entry)> {
    DAEMONS.iter().chain(pcs::ENTRIES).chain(tools::ENTRIES).copied()
}

fn find(name: &OsStr) -> Option<Entry> {
    entries().find(|(known, _)| OsStr::new(known) == name).map(|(_, entry)| entry)
}

fn status(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn usage() -> String {
    let names: Vec<&str> = entries().map(|(name, _)| name).collect();
    format!(
        "Usage: relevo PROGRAM [ARGUMENTS…]   (or call it by the program's name)\n\nPrograms: {}\n",
        names.join(" ")
    )
}
