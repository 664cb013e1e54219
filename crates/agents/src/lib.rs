//! Agents that ship with Relevo: ordinary OCF programs that any manager can run, and library calls
//! for our own executor, which then needs no process.
//!
//! Read [`Agent`] first: a name, metadata, and a function from action and parameters to a [`Result`].
//! [`find`] looks one up by provider and type.

mod dummy;
mod environment;
pub mod ipaddr2;
mod stateful;

use std::ffi::OsString;

pub use environment::{Parameters, run_as_program};

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status of the OCF API.
    pub exit: base::OcfExit,
    /// Why, for people; empty when all is well.
    pub reason: String,
}

impl Outcome {
    pub fn of(exit: base::OcfExit) -> Outcome {
        Outcome { exit, reason: String::new() }
    }

    pub fn because(exit: base::OcfExit, reason: impl Into<String>) -> Outcome {
        Outcome { exit, reason: reason.into() }
    }
}

/// An agent in this program.
#[derive(Debug, Clone, Copy)]
pub struct Agent {
    pub name: &'static str,
    /// Providers under which it stands in for the packaged agent of the same name.
    pub providers: &'static [&'static str],
    pub metadata: fn() -> String,
    pub run: fn(&str, &Parameters) -> Outcome,
    /// Whether these parameters are all understood; if not, the packaged agent must do it.
    pub supports: fn(&Parameters) -> bool,
    /// It never waits for anything: the executor may call it without a process.
    pub is_instant: bool,
}

/// All agents.
pub const AGENTS: &[Agent] = &[ipaddr2::AGENT, dummy::AGENT, stateful::AGENT];

/// The agent that stands for `ocf:provider:name`.
pub fn find(provider: &str, name: &str) -> Option<&'static Agent> {
    AGENTS.iter().find(|agent| agent.name == name && agent.providers.contains(&provider))
}

/// A program: the words after its name, to an exit status.
pub type Entry = fn(Vec<OsString>) -> i32;

/// Names under which the agents can be called as programs.
pub const ENTRIES: &[(&str, Entry)] = &[
    ("IPaddr2", |arguments| ipaddr2_program(&arguments)),
    ("Dummy", |arguments| run_as_program(&dummy::AGENT, &arguments)),
    ("Stateful", |arguments| run_as_program(&stateful::AGENT, &arguments)),
];

/// As a program the agent ends before its announcements do; a copy of it sends the rest.
fn ipaddr2_program(arguments: &[OsString]) -> i32 {
    let status = run_as_program(&ipaddr2::AGENT, arguments);
    let started = arguments.first().is_some_and(|action| action == "start") && status == 0;
    if started && let Ok(own) = std::env::current_exe() {
        // Without it the neighbours learn a little later.
        let _ = std::process::Command::new(own)
            .args(["IPaddr2", "announce"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
    }
    status
}
