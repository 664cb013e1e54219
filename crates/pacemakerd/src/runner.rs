//! Running agents: a child process per operation, in a process group of its own, with the
//! environment that OCF asks for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use executor::{Finish, FinishStatus, Operation};
use sys::child::{Child, ChildExit, Spawn};
use sys::poll::{Interest, Poller};

/// Where OCF agents live.
const OCF_ROOT: &str = "/usr/lib/ocf";
const OCF_REASON: &str = "ocf-exit-reason:";
const SIGKILL: i32 = 9;
/// Bytes of an agent's output that are kept.
const OUTPUT_LIMIT_BYTES: usize = 64 << 10;

struct Running {
    child: Child,
    operation: Operation,
    tokens: [u64; 3],
}

/// The agents that run now.
#[derive(Default)]
pub struct Runner {
    running: BTreeMap<i32, Running>,
    tokens: BTreeMap<u64, i32>,
    next_token: u64,
}

impl Runner {
    /// Tokens from `first_token` on are used for the poller.
    pub fn new(first_token: u64) -> Self {
        Runner { next_token: first_token, ..Runner::default() }
    }

    /// Starts an agent. Gives the end at once if it cannot be started, or if it needs no process.
    pub fn start(&mut self, poller: &Poller, call_id: i32, operation: Operation) -> Option<Finish> {
        if let Some((agent, parameters)) = instant(&operation) {
            let outcome = (agent.run)(&operation.name, &parameters);
            return Some(Finish {
                status: FinishStatus::Done,
                rc: outcome.exit.0,
                exit_reason: outcome.reason,
            });
        }
        let spawn = match command(&operation) {
            Ok(spawn) => spawn,
            Err(finish) => return Some(finish),
        };
        let child = match spawn.start() {
            Ok(child) => child,
            Err(error) => return Some(not_started(&spawn.program, &error)),
        };
        let mut tokens = [0; 3];
        let fds = [Some(child.exit_fd()), child.stdout_fd(), child.stderr_fd()];
        for (token, fd) in tokens.iter_mut().zip(fds) {
            *token = self.next_token;
            self.next_token += 1;
            if let Some(fd) = fd
                && poller.add(fd, *token, Interest::READ).is_ok()
            {
                self.tokens.insert(*token, call_id);
            }
        }
        self.running.insert(call_id, Running { child, operation, tokens });
        None
    }

    pub fn owns(&self, token: u64) -> bool {
        self.tokens.contains_key(&token)
    }

    /// Something happened to an agent; gives its end when it has ended.
    pub fn ready(&mut self, poller: &Poller, token: u64) -> Option<(i32, Finish)> {
        let call_id = *self.tokens.get(&token)?;
        let entry = self.running.get_mut(&call_id)?;
        let exit = entry.child.try_wait().ok().flatten();
        let before = (entry.child.stdout_fd().is_some(), entry.child.stderr_fd().is_some());
        // The descriptors close themselves at their end, which also takes them out of the poller.
        let ended = entry.child.read_output();
        for (index, gone) in [(1, before.0 && ended.0), (2, before.1 && ended.1)] {
            if gone {
                self.tokens.remove(&entry.tokens[index]);
            }
        }
        let exit = exit?;
        let mut entry = self.running.remove(&call_id)?;
        let _ = poller.remove(entry.child.exit_fd());
        for fd in [entry.child.stdout_fd(), entry.child.stderr_fd()].into_iter().flatten() {
            let _ = poller.remove(fd);
        }
        entry.child.read_output();
        for token in entry.tokens {
            self.tokens.remove(&token);
        }
        Some((call_id, finish(&entry.operation, exit, entry.child.stdout(), entry.child.stderr())))
    }

    pub fn kill(&self, call_id: i32) {
        if let Some(entry) = self.running.get(&call_id) {
            let _ = entry.child.signal_group(SIGKILL);
        }
    }
}

/// Whether an operation needs no process: an agent of ours that never waits, unless the
/// administrator prefers the packaged agents (`RELEVO_AGENTS=packaged` in the daemon's environment).
pub fn is_instant(operation: &Operation) -> bool {
    instant(operation).is_some()
}

fn instant(operation: &Operation) -> Option<(&'static agents::Agent, agents::Parameters)> {
    let Operation { agent, resource, parameters, .. } = operation;
    if agent.class != "ocf" || std::env::var_os("RELEVO_AGENTS").is_some_and(|choice| choice == "packaged") {
        return None;
    }
    let found = agents::find(agent.provider.as_deref().unwrap_or("heartbeat"), &agent.kind)?;
    let parameters = agents::Parameters::new(resource, parameters.iter().cloned());
    (found.is_instant && (found.supports)(&parameters)).then_some((found, parameters))
}

fn not_started(program: &Path, error: &std::io::Error) -> Finish {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    Finish {
        status: if missing { FinishStatus::NotInstalled } else { FinishStatus::Error },
        rc: if missing { 5 } else { 4 },
        exit_reason: format!("{}: {error}", program.display()),
    }
}

/// The program of an operation.
fn command(operation: &Operation) -> Result<Spawn, Finish> {
    let agent = &operation.agent;
    let refuse = |reason: String| Finish { status: FinishStatus::NotInstalled, rc: 5, exit_reason: reason };
    if [Some(&agent.kind), agent.provider.as_ref()].into_iter().flatten().any(|part| part.contains('/')) {
        return Err(refuse("a slash in the name of an agent".into()));
    }
    let mut spawn = match agent.class.as_str() {
        "ocf" => {
            let provider = agent.provider.as_deref().unwrap_or("heartbeat");
            let path: PathBuf = [OCF_ROOT, "resource.d", provider, &agent.kind].iter().collect();
            let spawn = match (path.exists(), agents::find(provider, &agent.kind), std::env::current_exe()) {
                (true, ..) => Spawn::new(path),
                // Without the package our own agent is there all the same.
                (false, Some(own), Ok(program)) => Spawn::new(program).arg(own.name),
                _ => return Err(refuse(format!("{} is not installed", path.display()))),
            };
            with_ocf_environment(spawn.arg(&operation.name), operation)
        }
        "lsb" => Spawn::new(Path::new("/etc/init.d").join(&agent.kind)).arg(lsb_action(&operation.name)),
        "systemd" | "service" => {
            Spawn::new("systemctl").arg(systemd_action(&operation.name)).arg(unit(&agent.kind))
        }
        other => return Err(refuse(format!("agents of class '{other}' cannot be run here"))),
    };
    spawn.output_limit_bytes = OUTPUT_LIMIT_BYTES;
    Ok(spawn)
}

fn lsb_action(name: &str) -> &str {
    if name == "monitor" { "status" } else { name }
}

fn systemd_action(name: &str) -> &str {
    if name == "monitor" { "is-active" } else { name }
}

fn unit(name: &str) -> OsString {
    if name.contains('.') { name.into() } else { format!("{name}.service").into() }
}

fn with_ocf_environment(mut spawn: Spawn, operation: &Operation) -> Spawn {
    let agent = &operation.agent;
    for (name, value) in [
        ("OCF_RA_VERSION_MAJOR", "1"),
        ("OCF_RA_VERSION_MINOR", "1"),
        ("OCF_ROOT", OCF_ROOT),
        ("OCF_EXIT_REASON_PREFIX", OCF_REASON),
        ("OCF_RESOURCE_INSTANCE", &operation.resource),
        ("OCF_RESOURCE_TYPE", &agent.kind),
        ("OCF_RESOURCE_PROVIDER", agent.provider.as_deref().unwrap_or("")),
        ("HA_LOGFACILITY", "none"),
        ("HA_cluster_type", "corosync"),
        ("HA_quorum_type", "corosync"),
        ("HA_mcp", "true"),
    ] {
        spawn = spawn.env(name, value);
    }
    for (name, value) in &operation.parameters {
        spawn = spawn.env(format!("OCF_RESKEY_{name}"), value);
    }
    spawn
}

fn finish(operation: &Operation, exit: ChildExit, stdout: &[u8], stderr: &[u8]) -> Finish {
    let rc = match exit {
        ChildExit::Code(code) => code,
        ChildExit::Signal(signal) => {
            let exit_reason = format!("ended by signal {signal}");
            return Finish { status: FinishStatus::Error, rc: 1, exit_reason };
        }
    };
    let rc = match operation.agent.class.as_str() {
        "ocf" => rc,
        "lsb" if operation.name == "monitor" => match rc {
            0 => 0,
            1..=3 => 7,
            4 => 4,
            5 => 5,
            _ => 1,
        },
        "systemd" | "service" if operation.name == "monitor" => systemd_state(rc, stdout),
        _ => rc,
    };
    Finish { status: FinishStatus::Done, rc, exit_reason: exit_reason(stderr) }
}

fn systemd_state(rc: i32, stdout: &[u8]) -> i32 {
    match String::from_utf8_lossy(stdout).trim() {
        "active" | "reloading" => 0,
        "failed" => 7,
        _ if rc == 0 => 0,
        _ => 7,
    }
}

/// The last reason that the agent gave.
fn exit_reason(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut reasons = text.lines().rev().filter_map(|line| line.split_once(OCF_REASON));
    reasons.next().map(|(_, reason)| reason.trim().to_string()).unwrap_or_default()
}
