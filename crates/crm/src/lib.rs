//! The crm command line: levels of commands, typed one by one or given as arguments.
//!
//! [`shell`] reads and carries out, [`configure`] turns its language into elements, [`render`] does
//! the reverse.

mod actions;
pub mod configure;
pub mod render;
pub mod shell;

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal};

use shell::Shell;

/// An entry point: arguments without the name → exit status.
pub type Entry = fn(Vec<OsString>) -> i32;

/// Programs of this crate: name and entry point.
pub const ENTRIES: &[(&str, Entry)] = &[("crm", main)];

const USAGE: &str = "usage: crm [-h|--help] [OPTIONS] [LEVEL...] COMMAND [ARGS...]\n\nOptions:\n  -f FILE, --file=FILE  \
Read commands from FILE\n  -c FILE, --cib=FILE   Work on a CIB in FILE\n  -F, --force           Go on where a check \
would stop the command\n  -w, --wait            Wait until the cluster has settled\n  --version             Show the \
version\n\nWithout a command an interactive shell starts; 'help' lists its commands.";

/// `crm`: arguments without the program's name; returns the exit status.
pub fn main(arguments: Vec<OsString>) -> i32 {
    let mut words = Vec::new();
    for argument in arguments {
        match argument.into_string() {
            Ok(word) => words.push(word),
            Err(_) => {
                shell::error("arguments must be valid UTF-8");
                return 1;
            }
        }
    }
    let (mut script, mut cib, mut force, mut wait) = (None, None, false, false);
    let mut rest = words.into_iter().peekable();
    while let Some(option) = rest.next_if(|w| w.starts_with('-') && w.len() > 1) {
        let (name, inline) = match option.split_once('=') {
            Some((name, value)) => (name.to_string(), Some(value.to_string())),
            None => (option.clone(), None),
        };
        match name.as_str() {
            "-h" | "--help" => {
                println!("{USAGE}");
                return 0;
            }
            "--version" => {
                println!("crm {} (Relevo)", base::VERSION);
                return 0;
            }
            "-F" | "--force" => force = true,
            "-w" | "--wait" => wait = true,
            "-f" | "--file" => script = inline.or_else(|| rest.next()),
            "-c" | "--cib" => cib = inline.or_else(|| rest.next()),
            "-D" | "--display" | "-X" | "-H" | "--history" => {
                let _ = inline.or_else(|| rest.next());
            }
            "-d" | "--debug" | "-R" | "--regression-tests" => {}
            _ => {
                shell::error(&format!("unknown option {option}\n{USAGE}"));
                return 1;
            }
        }
    }
    let words: Vec<String> = rest.collect();
    let mut shell = Shell::new(force, cib.map(Into::into));
    let status = if let Some(path) = script {
        match std::fs::File::open(&path) {
            Ok(file) => {
                let mut reader = std::io::BufReader::new(file);
                shell.run_lines(&mut |line| reader.read_line(line), false)
            }
            Err(error) => {
                shell::error(&format!("{path}: {error}"));
                1
            }
        }
    } else if words.is_empty() {
        let prompt = std::io::stdin().is_terminal();
        shell.run_lines(&mut |line| std::io::stdin().read_line(line), prompt)
    } else {
        shell.run_once(&words)
    };
    if wait && status == 0 {
        return shell.run_once(&["resource".into(), "wait".into()]);
    }
    status
}
