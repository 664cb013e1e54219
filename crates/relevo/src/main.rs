//! One program, many names: the name it is called by (or else the first word) picks the entry point.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// An entry point: the words after the name, to an exit status.
type Entry = fn(Vec<OsString>) -> i32;

/// Names that no crate of tools groups.
const DAEMONS: &[(&str, Entry)] = &[("pacemakerd", pacemakerd::main), ("pcsd", pcsd::main)];

/// Words of `relevo` only: on a host these names belong to others.
const WORDS: &[(&str, Entry)] =
    &[("lab", lab::main), ("systemctl", lab::systemctl_main), ("ping", lab::ping_main), ("why", tools::why)];

/// Agents are words too: as programs they stand in the directories of agents.
const AGENTS: &[(&str, Entry)] = agents::ENTRIES;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let own = words.next().unwrap_or_default();
    let mut rest: Vec<OsString> = words.collect();
    let name = Path::new(&own).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(entry) = find(&name) {
        return status(entry(rest));
    }
    if rest.is_empty() {
        eprint!("{}", usage());
        return ExitCode::from(64);
    }
    let word = rest.remove(0).to_string_lossy().into_owned();
    match word.as_str() {
        "--names" => {
            for (name, _) in commands() {
                println!("{name}");
            }
            ExitCode::SUCCESS
        }
        "--help" | "-h" => {
            print!("{}", usage());
            ExitCode::SUCCESS
        }
        "--version" => {
            println!("relevo {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => match find(&word) {
            Some(entry) => status(entry(rest)),
            None => {
                eprintln!("relevo: there is no program '{word}' in here; relevo --names lists them");
                ExitCode::from(64)
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

fn status(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn usage() -> String {
    let names: Vec<&str> = commands().map(|(name, _)| name).collect();
    format!(
        "Usage: relevo PROGRAM [ARGUMENTS…]   (or call it by the program's name)\n\n\
         Try it: relevo lab tour\n\nPrograms: lab why {}\n",
        names.join(" ")
    )
}
