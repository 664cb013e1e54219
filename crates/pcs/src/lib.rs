//! The pcs command line: a word grammar over library calls.
//!
//! Start with [`router`] (words to commands), then [`context`] (what a command works with) and
//! [`cmd`] (the commands, one module per topic). Commands report through [`report`]; only
//! [`main`] prints.

pub mod agent;
pub mod cmd;
pub mod context;
mod live;
pub mod model;
pub mod options;
pub mod remote;
pub mod report;
pub mod router;
pub mod store;
#[cfg(test)]
mod testing;
pub mod words;

use std::ffi::OsString;

use context::{Context, Paths};
use report::{CLOSING, Console, Failure, Issue, Message, Sink};
use store::{FileStore, Store};

/// An entry point: arguments without the name → exit status.
pub type Entry = fn(Vec<OsString>) -> i32;

/// Programs of this crate: name and entry point.
pub const ENTRIES: &[(&str, Entry)] = &[("pcs", main)];

/// Exit status of every failure.
const FAILED: i32 = 1;

/// `pcs`: arguments without the program's name; returns the exit status.
pub fn main(arguments: Vec<OsString>) -> i32 {
    let mut console = Console;
    let mut words = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match argument.into_string() {
            Ok(word) => words.push(word),
            Err(_) => {
                console.take(Message::Error("arguments must be valid UTF-8".into()));
                return FAILED;
            }
        }
    }
    run(&words, Paths::default(), &mut console)
}

/// Runs one command line against the given files and sink; returns the exit status.
pub fn run(arguments: &[String], mut paths: Paths, sink: &mut dyn Sink) -> i32 {
    let (options, mut words) = match options::split(arguments, sink) {
        Ok(parsed) => parsed,
        Err(message) => {
            sink.take(Message::Error(message));
            sink.take(Message::Info(router::main_usage()));
            return FAILED;
        }
    };
    if options.has("--version") {
        sink.take(Message::Output(env!("CARGO_PKG_VERSION").into()));
        return 0;
    }
    if options.has("--help") || options.has("--fullhelp") {
        words.insert(words.len().min(1), "help".into());
    }
    if let Some(conf) = options.value("--corosync_conf") {
        paths.corosync_conf = conf.into();
    }
    let store: Box<dyn Store> = match options.file() {
        Some(file) => Box::new(FileStore(file.into())),
        None => Box::new(live::LiveStore::default()),
    };
    let mut context = Context { options, paths, store, sink };
    let failure = match router::run(&mut context, &words) {
        Ok(()) => return 0,
        Err(failure) => failure,
    };
    finish(&mut context, failure)
}

/// Says why a command failed.
fn finish(context: &mut Context<'_>, failure: Failure) -> i32 {
    match failure {
        Failure::Exit(status) => return status,
        Failure::Usage { message, hint } => {
            match message {
                Some(message) => context.message(Message::Error(message)),
                None => context.error_text(&router::main_usage()),
            }
            if let Some(hint) = hint {
                context.info(format!("Hint: {hint}"));
            }
        }
        Failure::Error(message) => context.message(Message::Error(message)),
        Failure::Issues(issues) => {
            show_issues(context, &issues);
            context.message(Message::Error(CLOSING.into()));
        }
    }
    FAILED
}

/// Every problem, then the names that were probably meant.
pub(crate) fn show_issues(context: &mut Context<'_>, issues: &[Issue]) {
    for issue in issues {
        context.message(Message::Error(issue.text()));
    }
    for near in issues.iter().filter_map(|issue| issue.near.as_deref()) {
        context.info(format!("Hint: did you mean '{near}'?"));
    }
}
