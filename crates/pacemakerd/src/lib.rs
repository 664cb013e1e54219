//! The manager daemon: the manager's cores with their sockets, files and processes.
//!
//! Read [`daemon::Daemon`] first: one thread, one poller. Every input (a client's request, a message
//! from another node, an agent's end, a timer) is handled to its end; the cores' outputs are then
//! carried out until there are none.

mod adapter;
mod attrd;
mod bus;
mod cib_service;
mod controld;
mod daemon;
mod disk;
mod endpoints;
mod fence;
mod floating;
pub mod frame;
mod local;
mod log;
mod manager;
mod node;
mod policy;
mod runner;

use std::ffi::OsString;
use std::time::Duration;

/// Exit status that asks a supervisor not to start us again.
const EXIT_FATAL: i32 = 100;
const EXIT_USAGE: i32 = 64;
/// How long a start waits for the engine, and how often it asks.
const ENGINE_WAIT: Duration = Duration::from_secs(30);
const ENGINE_POLL: Duration = Duration::from_millis(20);

/// `pacemakerd`: runs until it is told to leave.
pub fn main(args: Vec<OsString>) -> i32 {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_args(args);
    let mut verbose = false;
    loop {
        match parser.next() {
            Ok(None) => break,
            Ok(Some(Long("version") | Short('$'))) => {
                println!("Pacemaker {}\nWritten afresh as Relevo", version());
                return 0;
            }
            Ok(Some(Long("features") | Short('F'))) => {
                println!(
                    "Pacemaker {} (Build: relevo)\n Supporting v{}: agent-manpages corosync-ge-2",
                    version(),
                    base::CRM_FEATURE_SET
                );
                return 0;
            }
            Ok(Some(Long("foreground") | Short('f'))) => {}
            Ok(Some(Long("verbose") | Short('V'))) => verbose = true,
            Ok(Some(Long("help") | Short('?' | 'h'))) => {
                println!(
                    "pacemakerd: the cluster's resource manager\n\nUsage: pacemakerd [-f] [-V] [--features] [--version]"
                );
                return 0;
            }
            Ok(Some(argument)) => {
                eprintln!("pacemakerd: {}", argument.unexpected());
                return EXIT_USAGE;
            }
            Err(error) => {
                eprintln!("pacemakerd: {error}");
                return EXIT_USAGE;
            }
        }
    }
    sys::signal::ignore_sigpipe();
    run(verbose)
}

/// The version that is shown where the reference shows its own.
pub fn version() -> &'static str {
    concat!("2.1.5-relevo.", env!("CARGO_PKG_VERSION"))
}

fn run(verbose: bool) -> i32 {
    let signals = match sys::signal::SignalFd::new(daemon::LEAVE_SIGNALS) {
        Ok(signals) => std::rc::Rc::new(signals),
        Err(error) => {
            eprintln!("pacemakerd: signals cannot be read: {error}");
            return EXIT_FATAL;
        }
    };
    let start = std::time::Instant::now();
    loop {
        match daemon::Daemon::connect(verbose, signals.clone()) {
            Ok(mut daemon) => return daemon.run(),
            Err(daemon::StartError::Engine(error)) if start.elapsed() < ENGINE_WAIT => {
                if verbose {
                    eprintln!("pacemakerd: waiting for corosync: {error}");
                }
                std::thread::sleep(ENGINE_POLL);
            }
            Err(error) => {
                eprintln!("pacemakerd: {error}");
                return match error {
                    daemon::StartError::Engine(_) => 69,
                    _ => EXIT_FATAL,
                };
            }
        }
    }
}
