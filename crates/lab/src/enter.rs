//! Running a program inside a host, from outside.

use crate::error::{Context, Error, Result};
use crate::layout::Host;
use crate::supervisor::PATH;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Command;

/// Exit status when the program does not exist, as shells have it.
const STATUS_NOT_FOUND: i32 = 127;
/// Exit status when the program cannot be run.
const STATUS_NOT_RUNNABLE: i32 = 126;

/// Moves this process into a host and prepares its environment. The process must have one thread only.
fn enter(pid: i32) -> Result<()> {
    sys::namespace::enter_all_of(pid).context(|| "cannot enter the host".into())
}

fn prepared(host: &Host, program: &OsString) -> Command {
    let mut command = Command::new(find(program));
    command.env_clear();
    for name in ["TERM", "COLORTERM", "COLUMNS", "LINES", "LC_ALL", "LC_CTYPE", "TZ"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let language = std::env::var_os("LANG").unwrap_or_else(|| "C.UTF-8".into());
    command
        .env("LANG", language)
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LOGNAME", "root")
        .env("SHELL", "/bin/sh")
        .env("PS1", format!("{}:\\w# ", host.name));
    let home = Path::new("/root");
    command.current_dir(if home.is_dir() && std::fs::read_dir(home).is_ok() { home } else { Path::new("/") });
    command
}

/// Searches a program in the host's PATH (the search of the calling process would use its own).
fn find(program: &OsString) -> OsString {
    if program.to_string_lossy().contains('/') {
        return program.clone();
    }
    let candidates = PATH.split(':').map(|dir| Path::new(dir).join(program));
    candidates.into_iter().find(|p| p.is_file()).map(OsString::from).unwrap_or_else(|| program.clone())
}

/// Runs a program in a host with our standard streams and returns its exit status (128 + signal if it was killed).
pub(crate) fn exec(host: &Host, pid: i32, words: &[OsString]) -> Result<i32> {
    let Some((program, args)) = words.split_first() else {
        return Err(Error::Usage("usage: relevo lab exec HOST -- COMMAND…".into()));
    };
    enter(pid)?;
    run(prepared(host, program).args(args), program)
}

/// An interactive shell in a host.
pub(crate) fn shell(host: &Host, pid: i32) -> Result<i32> {
    enter(pid)?;
    let bash: OsString = "/bin/bash".into();
    let shell = if Path::new(&bash).exists() { bash } else { "/bin/sh".into() };
    let mut command = prepared(host, &shell);
    if shell == "/bin/bash" {
        command.args(["--norc", "--noprofile"]);
    }
    if std::io::stdin().is_terminal() {
        command.arg("-i");
    }
    run(&mut command, &shell)
}

fn run(command: &mut Command, program: &OsString) -> Result<i32> {
    // The terminal's interrupt is for the program, not for us who wait for it.
    let signals = sys::SignalFd::new(&[sys::signal::SIGINT, sys::signal::SIGQUIT]);
    sys::child::reset_signals(command);
    let spawned = command.arg0(program).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(e) => {
            eprintln!("relevo lab: {}: {e}", program.to_string_lossy());
            let missing = e.kind() == std::io::ErrorKind::NotFound;
            return Ok(if missing { STATUS_NOT_FOUND } else { STATUS_NOT_RUNNABLE });
        }
    };
    let status = child.wait().context(|| "cannot wait for the program".into())?;
    drop(signals);
    Ok(status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1))
}

/// Moves the calling thread into a host's network only (and, for an ordinary user, into the lab's user namespace).
pub(crate) fn enter_network(pid: i32) -> Result<()> {
    use sys::namespace::{Kinds, identity, open};
    let enter = || -> sys::Result<()> {
        let net = open(pid, "net")?;
        if identity(&format!("/proc/{pid}/ns/user"))? != identity("/proc/thread-self/ns/user")? {
            sys::namespace::enter(open(pid, "user")?, Kinds::USER)?;
        }
        sys::namespace::enter(net, Kinds::NET)
    };
    enter().context(|| "cannot enter the host's network".into())
}
