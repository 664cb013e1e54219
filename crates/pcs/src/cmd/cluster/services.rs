//! Starting, stopping, enabling, disabling, destroying: here or on other nodes.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::started;
use crate::cmd::host::{call_all, load, timeout};
use crate::context::Context;
use crate::model::nodes;
use crate::remote::{Body, Host};
use crate::report::{Failure, Message, Outcome, nearest};

/// Longest time for the manager of a node to stop, in seconds.
const STOP_TIMEOUT_S: u64 = 120;

/// Nodes that a command is for.
enum Target {
    Local,
    Nodes(Vec<Host>),
}

fn target(context: &mut Context<'_>, words: &[String]) -> Result<Target, Failure> {
    let all = context.options.has("--all");
    if all && !words.is_empty() {
        return Err(Failure::usage("Cannot specify both --all and a list of nodes."));
    }
    if !all && words.is_empty() {
        return Ok(Target::Local);
    }
    let known = load(context)?;
    let members = members(context)?;
    let wanted = if all { members } else { known_members(&members, words)? };
    Ok(Target::Nodes(wanted.iter().map(|name| known.find(name)).collect()))
}

fn known_members(members: &[String], words: &[String]) -> Result<Vec<String>, Failure> {
    let unknown: Vec<&str> = words.iter().filter(|w| !members.contains(w)).map(String::as_str).collect();
    let Some(first) = unknown.first() else { return Ok(words.to_vec()) };
    let hint = nearest(first, members.iter().map(String::as_str))
        .map(|n| format!("\nHint: did you mean '{n}'?"))
        .unwrap_or_default();
    Err(Failure::Error(format!(
        "nodes '{}' do not appear to exist in configuration{hint}",
        unknown.join("', '")
    )))
}

/// Nodes of corosync.conf.
///
/// # Errors
/// When there is no cluster here.
pub(crate) fn members(context: &Context<'_>) -> Result<Vec<String>, Failure> {
    nodes::in_corosync_conf(&context.paths.corosync_conf)
        .filter(|names| !names.is_empty())
        .ok_or_else(|| Failure::error("cluster is not currently configured on this node"))
}

/// Asks the service manager.
fn systemctl(words: &[&str]) -> Result<(), String> {
    let output = Command::new("systemctl")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|e| format!("systemctl: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_string())
}

fn service(verb: &str, name: &str) -> Outcome {
    systemctl(&[verb, name]).map_err(|why| Failure::Error(format!("Unable to {verb} {name}: {why}")))
}

/// Which of the services have this answer to `is-active` or `is-enabled`, asked at once.
pub(crate) fn which(question: &str, names: &[&str], answer: &str) -> Vec<bool> {
    let output = Command::new("systemctl")
        .arg(question)
        .args(names)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let mut lines = text.lines().map(|line| line.trim() == answer);
    names.iter().map(|_| lines.next().unwrap_or(false)).collect()
}

/// Calls all nodes and shows their answers behind their names; fails when one fails.
fn on_nodes(
    context: &mut Context<'_>,
    hosts: &[Host],
    path: &str,
    body: &Body,
    limit: Duration,
    verb: &str,
) -> Outcome {
    let mut errors = Vec::new();
    call_all(context, hosts, path, body, limit, |context, name, reply| {
        let text = match reply {
            Ok(text) => text.trim().to_string(),
            Err(error) => {
                errors.push(format!("{name}: {error}"));
                error.to_string()
            }
        };
        context.info(format!("{name}: {text}"));
    })?;
    if errors.is_empty() {
        return Ok(());
    }
    Err(Failure::Error(format!("unable to {verb} all nodes\n{}", errors.join("\n"))))
}

pub(super) fn start(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let wait = context.wait_limit()?;
    match target(context, words)? {
        Target::Local => {
            if !context.paths.corosync_conf.exists() {
                return Err(Failure::error("cluster is not currently configured on this node"));
            }
            context.info("Starting Cluster...");
            service("start", "corosync")?;
            service("start", "pacemaker")?;
            started::wait_here(context, wait)
        }
        Target::Nodes(hosts) => {
            // Many nodes take longer together.
            let limit = timeout(context).saturating_mul(u32::try_from(hosts.len().div_ceil(8)).unwrap_or(1));
            on_nodes(context, &hosts, "remote/cluster_start", &Body::None, limit, "start")?;
            started::wait_for(context, &hosts, wait)
        }
    }
}

pub(super) fn stop(context: &mut Context<'_>, words: &[String]) -> Outcome {
    let hosts = match target(context, words)? {
        Target::Local => return stop_here(context),
        Target::Nodes(hosts) => hosts,
    };
    let form = |component: &str| {
        Body::Form(vec![("component".into(), component.into()), ("force".into(), "1".into())])
    };
    let limit = timeout(context).max(Duration::from_secs(STOP_TIMEOUT_S));
    on_nodes(context, &hosts, "remote/cluster_stop", &form("pacemaker"), limit, "stop")?;
    let limit = timeout(context);
    on_nodes(context, &hosts, "remote/cluster_stop", &form("corosync"), limit, "stop")
}

fn stop_here(context: &mut Context<'_>) -> Outcome {
    let (manager, engine) = (context.options.has("--pacemaker"), context.options.has("--corosync"));
    let both = manager == engine;
    if both || manager {
        context.info("Stopping Cluster (pacemaker)...");
        service("stop", "pacemaker")?;
    }
    if both || engine {
        context.info("Stopping Cluster (corosync)...");
        service("stop", "corosync")?;
    }
    Ok(())
}

pub(super) fn enable(context: &mut Context<'_>, words: &[String]) -> Outcome {
    switch(context, words, "enable")
}

pub(super) fn disable(context: &mut Context<'_>, words: &[String]) -> Outcome {
    switch(context, words, "disable")
}

fn switch(context: &mut Context<'_>, words: &[String], verb: &str) -> Outcome {
    match target(context, words)? {
        Target::Local => {
            service(verb, "corosync")?;
            service(verb, "pacemaker")
        }
        Target::Nodes(hosts) => {
            let limit = timeout(context);
            on_nodes(context, &hosts, &format!("remote/cluster_{verb}"), &Body::None, limit, verb)
        }
    }
}

pub(super) fn kill(context: &mut Context<'_>, _: &[String]) -> Outcome {
    kill_daemons();
    context.info("Killed cluster daemons");
    Ok(())
}

/// Daemons of the cluster, the manager's first.
const DAEMONS: &[&str] = &[
    "pacemakerd",
    "pacemaker-controld",
    "pacemaker-attrd",
    "pacemaker-fenced",
    "pacemaker-execd",
    "pacemaker-based",
    "pacemaker-schedulerd",
    "pacemaker-remoted",
    "corosync-qdevice",
    "corosync",
];

/// Ends daemons by force: of those processes that this user may signal, whatever started them.
fn kill_daemons() {
    let Ok(entries) = std::fs::read_dir("/proc") else { return };
    let own = std::process::id();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        // The kernel keeps 15 characters of a name.
        let is_daemon = DAEMONS.iter().any(|d| d.get(..15).unwrap_or(d) == name.trim_end());
        if is_daemon
            && pid != own
            && let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw)
        {
            // It may have gone by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

pub(super) fn destroy(context: &mut Context<'_>, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::USAGE);
    }
    if !confirmed(context)? {
        return Ok(());
    }
    if context.options.has("--all") {
        return destroy_all(context);
    }
    context.info("Shutting down pacemaker/corosync services...");
    for name in ["pacemaker", "corosync-qdevice", "corosync"] {
        // What does not run need not be stopped.
        let _ = systemctl(&["stop", name]);
    }
    context.info("Killing any remaining services...");
    kill_daemons();
    for name in ["corosync", "pacemaker"] {
        let _ = systemctl(&["disable", name]);
    }
    context.info("Removing all cluster configuration files...");
    remove_files(context);
    Ok(())
}

/// On a terminal the user is asked first.
fn confirmed(context: &mut Context<'_>) -> Result<bool, Failure> {
    use std::io::{BufRead, IsTerminal, Write};
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Ok(true);
    }
    context.warn("It is recommended to run 'pcs cluster stop' before destroying the cluster.");
    let danger =
        "This would kill all cluster processes and then PERMANENTLY remove cluster state and configuration";
    if context.force() {
        context.warn(danger);
        return Ok(true);
    }
    context.warn(danger);
    let _ = write!(std::io::stdout(), "Type 'yes' or 'y' to proceed, anything else to cancel: ")
        .and_then(|()| std::io::stdout().flush());
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    if matches!(line.trim(), "y" | "yes") {
        return Ok(true);
    }
    Err(Failure::error("Canceled"))
}

fn destroy_all(context: &mut Context<'_>) -> Outcome {
    if context.load().is_err() {
        context.warn(
            "Unable to load CIB to get guest and remote nodes from it, those nodes will not be deconfigured.",
        );
    }
    let known = load(context)?;
    let hosts: Vec<Host> = members(context)?.iter().map(|name| known.find(name)).collect();
    let limit = timeout(context).max(Duration::from_secs(STOP_TIMEOUT_S));
    let stop = Body::Form(vec![("component".into(), "pacemaker".into()), ("force".into(), "1".into())]);
    let mut errors = Vec::new();
    call_all(context, &hosts, "remote/cluster_stop", &stop, limit, |context, name, reply| match reply {
        Ok(text) => context.info(format!("{name}: {}", text.trim())),
        Err(error) => context.message(Message::Info(format!("{name}: {error}"))),
    })?;
    call_all(
        context,
        &hosts,
        "remote/cluster_destroy",
        &Body::None,
        limit,
        |context, name, reply| match reply {
            Ok(_) => context.info(format!("{name}: Successfully destroyed cluster")),
            Err(error) => errors.push(format!("{name}: {error}")),
        },
    )?;
    if errors.is_empty() {
        return Ok(());
    }
    Err(Failure::Error(format!("unable to destroy cluster\n{}", errors.join("\n"))))
}

fn remove_files(context: &Context<'_>) {
    for path in
        [&context.paths.corosync_conf, &context.paths.corosync_authkey, &context.paths.pacemaker_authkey]
    {
        let _ = std::fs::remove_file(path);
    }
    let state = context.paths.cib_dir.parent().map(std::path::Path::to_path_buf);
    for dir in [Some(context.paths.cib_dir.clone()), state.map(|s| s.join("pengine"))].into_iter().flatten() {
        let Ok(entries) = std::fs::read_dir(dir) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let stale = ["cib-", "cib.", "core.", "cts.", "hostcache"].iter().any(|p| name.starts_with(p))
                || (name.starts_with("pe") && name.ends_with(".bz2"));
            if stale {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}
