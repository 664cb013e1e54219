//! The engine daemon: configuration, transports, IPC, event loop; and the corosync-* tools.

pub mod conf;
pub mod daemon;
mod ipc;
mod log;
pub mod settings;
mod state_dir;
mod stats;
pub mod tools;
mod transport;

use std::ffi::OsString;
use std::path::PathBuf;

use daemon::{Options, StartError};

/// Release of the reference whose behaviour this engine has.
pub const VERSION: &str = "3.1.9";

/// A program: the words after its name, to an exit status.
pub type Program = fn(Vec<OsString>) -> i32;

/// All programs of this crate by name.
pub const PROGRAMS: &[(&str, Program)] = &[
    ("corosync", daemon_main),
    ("corosync-cfgtool", tools::cfgtool),
    ("corosync-cmapctl", tools::cmapctl),
    ("corosync-cpgtool", tools::cpgtool),
    ("corosync-keygen", tools::keygen),
    ("corosync-quorumtool", tools::quorumtool),
];

const EXIT_USAGE: i32 = 1;
const EXIT_CONFIG: i32 = 8;

const USAGE: &str = "usage:\n        -c     : Corosync config file path.\n        -f     : Start application in foreground.\n        -t     : Test configuration and exit.\n        -v     : Display version, git revision and some useful information about Corosync and exit.\n";

struct CommandLine {
    options: Options,
    test: bool,
    version: bool,
}

fn parse_command_line(args: &[OsString]) -> Result<CommandLine, String> {
    let config_file = std::env::var_os("COROSYNC_MAIN_CONFIG_FILE")
        .map_or_else(|| PathBuf::from("/etc/corosync/corosync.conf"), PathBuf::from);
    let mut line =
        CommandLine { options: Options { config_file, foreground: false }, test: false, version: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        let Some(flags) = text.strip_prefix('-') else {
            return Err(format!("corosync: unexpected argument '{text}'"));
        };
        for flag in flags.chars() {
            match flag {
                'f' => line.options.foreground = true,
                't' => line.test = true,
                'v' => line.version = true,
                'c' => {
                    let path = args.next().ok_or("corosync: option requires an argument -- 'c'")?;
                    line.options.config_file = PathBuf::from(path);
                }
                // Accepted since ever and without effect.
                'p' | 'r' | 'P' => {}
                other => return Err(format!("corosync: invalid option -- '{other}'")),
            }
        }
    }
    Ok(line)
}

/// The program `corosync`, with the words after its name.
#[must_use]
pub fn daemon_main(args: Vec<OsString>) -> i32 {
    let line = match parse_command_line(&args) {
        Ok(line) => line,
        Err(problem) => {
            eprintln!("{problem}");
            eprint!("{USAGE}");
            return EXIT_USAGE;
        }
    };
    if line.version {
        println!("Corosync Cluster Engine, version '{VERSION}'");
        println!("Relevo {}", env!("CARGO_PKG_VERSION"));
        println!();
        println!("Available transports: knet udp udpu");
        return 0;
    }
    if line.test {
        return test_config(&line.options);
    }
    if !line.options.foreground && !daemon::is_background() {
        return run_in_background(&args);
    }
    let foreground = line.options.foreground;
    match daemon::start(line.options) {
        Ok(daemon) => {
            if !foreground {
                daemon::announce_ready();
            }
            daemon::announce_service();
            let status = daemon.run();
            daemon::withdraw_service();
            status
        }
        Err(error) => report(&error),
    }
}

fn report(error: &StartError) -> i32 {
    eprintln!("corosync: {error}");
    EXIT_CONFIG
}

fn test_config(options: &Options) -> i32 {
    match daemon::read_config(&options.config_file).and_then(|map| daemon::check(&map)) {
        Ok(()) => {
            println!("Configuration {} is valid", options.config_file.display());
            0
        }
        Err(error) => report(&error),
    }
}

/// Starts ourselves again in a session of its own and waits until that one is ready or has failed.
fn run_in_background(args: &[OsString]) -> i32 {
    match daemon::background(args) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("corosync: cannot start in the background: {error}");
            EXIT_CONFIG
        }
    }
}
