//! One program, many names: the name it is called by (or the first word) picks the entry point.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Takes the words after the name, returns the exit status.
type Entry = fn(Vec<OsString>) -> i32;

/// Every name that the program answers to.
const ENTRIES: &[(&str, Entry)] = &[("lab", lab::main), ("systemctl", lab::systemctl_main)];

/// Names that are words of `relevo` only, and no commands of a node.
const WORDS_ONLY: &[&str] = &["lab", "systemctl"];

fn entry(name: &str) -> Option<Entry> {
    ENTRIES.iter().find(|(n, _)| *n == name).map(|(_, entry)| *entry)
}

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let called = Path::new(&called).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut args: Vec<OsString> = args.collect();
    if let Some(entry) = entry(&called) {
        return status(entry(args));
    }
    if args.is_empty() {
        eprintln!("usage: relevo NAME …; relevo --names lists the names");
        return ExitCode::from(2);
    }
    let name = args.remove(0).to_string_lossy().into_owned();
    if name == "--names" {
        for (name, _) in ENTRIES.iter().filter(|(n, _)| !WORDS_ONLY.contains(n)) {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    match entry(&name) {
        Some(entry) => status(entry(args)),
        None => {
            eprintln!("relevo: unknown name {name}; relevo --names lists the names");
            ExitCode::from(2)
        }
    }
}

fn status(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
