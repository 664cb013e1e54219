//! Process 1 of a host: collects orphans, runs the services, answers `systemctl`.

use crate::boot::{READY, RUN_DIRECTORY, SUPERVISOR_SOCKET};
use crate::control;
use crate::error::{Context, Error, Result};
use crate::layout::{Plan, Role};
use crate::supervisor::Supervisor;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use sys::signal::{SIGCHLD, SIGINT, SIGTERM};
use sys::{Interest, Poller, SignalFd};

const TOKEN_SIGNAL: u64 = 0;
const TOKEN_ORDER: u64 = 1;
/// Standard input: it ends when the keeper has ended.
const TOKEN_LEASH: u64 = 2;

/// Runs until the host is switched off.
pub(crate) fn run(name: &str, plan: &str) -> Result<()> {
    // Before any thread is made: threads inherit the blocked signals.
    let signals = SignalFd::new(&[SIGCHLD, SIGTERM, SIGINT]).context(|| "signals".into())?;
    let plan = Plan::decode(plan).ok_or_else(|| Error::Failed("damaged plan".into()))?;
    let host = plan.host(name)?;
    let _ = sys::namespace::new_session();
    sys::namespace::set_host_name(&host.full_name()).context(|| "cannot set the host's name".into())?;
    // Without a view of its own (not permitted in some containers) the machine's stays.
    let _ = sys::namespace::mount("proc", Path::new("/proc"), "");
    let listener =
        UnixListener::bind(SUPERVISOR_SOCKET).context(|| format!("cannot listen in {RUN_DIRECTORY}"))?;
    let _ = std::fs::set_permissions(SUPERVISOR_SOCKET, PermissionsExt::from_mode(0o600));
    listener.set_nonblocking(true).context(|| "cannot listen".into())?;
    let services = if host.role == Role::Node { crate::services::services(plan.stack) } else { Vec::new() };
    let supervisor = Arc::new(Supervisor::new(services));
    if host.role == Role::NameServer {
        let plan = plan.clone();
        std::thread::spawn(move || crate::dns::serve(&plan));
    }
    say_ready()?;
    let starter = Arc::clone(&supervisor);
    std::thread::spawn(move || start_enabled(&starter));
    serve(&supervisor, &signals, &listener)
}

/// Tells the booting process, and cuts off from its output.
fn say_ready() -> Result<()> {
    let mut stdout = std::io::stdout();
    stdout
        .write_all(&[READY])
        .and_then(|()| stdout.flush())
        .context(|| "cannot say that the host is ready".into())?;
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null").context(|| "/dev/null".into())?;
    rustix::stdio::dup2_stdout(&null).context(|| "cannot close the output".into())
}

fn start_enabled(supervisor: &Supervisor) {
    let enabled = Supervisor::enabled();
    for service in supervisor.services() {
        if enabled.contains(service.name)
            && let Err(reason) = supervisor.start(service.name)
        {
            eprintln!("{}: {reason}", service.name);
        }
    }
}

fn serve(supervisor: &Arc<Supervisor>, signals: &SignalFd, listener: &UnixListener) -> Result<()> {
    let poller = Poller::new().context(|| "poller".into())?;
    poller.add(signals, TOKEN_SIGNAL, Interest::READ).context(|| "poller".into())?;
    poller.add(listener, TOKEN_ORDER, Interest::READ).context(|| "poller".into())?;
    poller.add(std::io::stdin(), TOKEN_LEASH, Interest::NONE).context(|| "poller".into())?;
    let mut ready = Vec::new();
    loop {
        poller.wait(&mut ready, None).context(|| "poller".into())?;
        for event in &ready {
            if event.token == TOKEN_LEASH {
                return Ok(());
            }
            if event.token == TOKEN_ORDER {
                while let Ok((stream, _)) = listener.accept() {
                    let supervisor = Arc::clone(supervisor);
                    std::thread::spawn(move || take_order(&supervisor, stream));
                }
                continue;
            }
            while let Some(signal) = signals.next_signal() {
                if signal != SIGCHLD {
                    return Ok(());
                }
            }
            restart_failed(supervisor);
        }
    }
}

fn restart_failed(supervisor: &Arc<Supervisor>) {
    for (name, pause) in supervisor.reap() {
        let supervisor = Arc::clone(supervisor);
        std::thread::spawn(move || {
            std::thread::sleep(pause);
            supervisor.start_after_failure(name);
        });
    }
}

fn take_order(supervisor: &Supervisor, mut stream: UnixStream) {
    if let Ok(words) = control::read_order(&mut stream) {
        let answer = crate::systemctl::answer(supervisor, &words);
        // Who asked may have gone.
        let _ = control::write_answer(&mut stream, &answer);
    }
}
