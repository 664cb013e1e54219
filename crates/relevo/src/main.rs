//! One program, many names: the name it is called by (or else the first word) picks the entry point.

// Only glibc tells a program its words without Rust's own start.
#![cfg_attr(target_env = "gnu", no_main)]

use std::ffi::OsString;
use std::path::Path;

/// An entry point: the words after the name, to an exit status.
type Entry = fn(Vec<OsString>) -> i32;

/// Exit status of a wrong command line (EX_USAGE).
const USAGE: u8 = 64;

/// Names that no crate of tools groups.
const DAEMONS: &[(&str, Entry)] = &[("pacemakerd", pacemakerd::main), ("pcsd", pcsd::main)];

/// Words of `relevo` only: on a host these names belong to others.
const WORDS: &[(&str, Entry)] =
    &[("lab", lab::main), ("systemctl", lab::systemctl_main), ("ping", lab::ping_main), ("why", tools::why)];

/// Agents are words too: as programs they stand in the directories of agents.
const AGENTS: &[(&str, Entry)] = agents::ENTRIES;

#[cfg(target_env = "gnu")]
sys::start_with!(run);

#[cfg(not(target_env = "gnu"))]
fn main() -> std::process::ExitCode {
    run().into()
}

/// The program, to its exit status.
fn run() -> u8 {
    let mut words = std::env::args_os();
    let own = words.next().unwrap_or_default();
    let mut rest: Vec<OsString> = words.collect();
    let name = Path::new(&own).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(entry) = find(&name) {
        return status(entry(rest));
    }
    if rest.is_empty() {
        eprint!("{}", usage());
        return USAGE;
    }
    let word = rest.remove(0).to_string_lossy().into_owned();
    match word.as_str() {
        "--names" => {
            for (name, _) in commands() {
                println!("{name}");
            }
            0
        }
        "--help" | "-h" => {
            print!("{}", usage());
            0
        }
        "--version" => {
            println!("relevo {}", env!("CARGO_PKG_VERSION"));
            0
        }
        _ => match find(&word) {
            Some(entry) => status(entry(rest)),
            None => {
                eprintln!("relevo: there is no program '{word}' in here; relevo --names lists them");
                USAGE
            }
        },
    }
}

/// Commands of a node, under their usual names.
fn commands() -> impl Iterator<Item = (&'static str, Entry)> {
    DAEMONS
        .iter()
        .chain(corosync::PROGRAMS)
        .chain(pcs::ENTRIES)
        .chain(crm::ENTRIES)
        .chain(tools::ENTRIES)
        .copied()
}

fn find(name: &str) -> Option<Entry> {
    let all = commands().chain(WORDS.iter().chain(AGENTS).copied());
    let mut found = all.filter(|(known, _)| *known == name);
    found.next().map(|(_, entry)| entry)
}

fn status(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(1)
}

fn usage() -> String {
    let names: Vec<&str> = commands().map(|(name, _)| name).collect();
    format!(
        "Usage: relevo PROGRAM [ARGUMENTS…]   (or call it by the program's name)\n\n\
         Try it: relevo lab tour\n\nPrograms: lab why {}\n",
        names.join(" ")
    )
}
