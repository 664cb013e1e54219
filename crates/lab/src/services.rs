//! The services of a node: how to start, stop and ask them.

use crate::layout::{Plan, Stack};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;
use sys::socket::{UnixAddress, unix_connect};

/// Port of pcsd.
pub const PCSD_PORT: u16 = 2224;
/// Longest wait for a connection while asking whether a service is ready.
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);

/// How to tell that a service is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// As soon as it runs.
    Started,
    /// When this abstract socket accepts connections.
    Socket(&'static str),
    /// When this port accepts connections.
    Port(u16),
}

impl Ready {
    pub(crate) fn is_reached(self) -> bool {
        match self {
            Ready::Started => true,
            Ready::Socket(name) => unix_connect(UnixAddress::Abstract(name)).is_ok(),
            Ready::Port(port) => {
                TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PROBE_TIMEOUT).is_ok()
            }
        }
    }
}

/// One program of a service.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) words: &'static [&'static str],
    pub(crate) directory: Option<&'static str>,
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// File that must appear before the next program is started.
    pub(crate) makes: Option<&'static str>,
}

/// What is known of a service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    /// Started in order; the last one is the main program.
    pub(crate) programs: Vec<Program>,
    /// Services that must run first; they are stopped after this one.
    pub(crate) requires: &'static [&'static str],
    pub(crate) ready: Ready,
    /// Started again when its main program fails, after this pause.
    pub(crate) restart_after: Option<Duration>,
    /// Longest time for an orderly end; then it is killed.
    pub(crate) stop_timeout: Duration,
}

const fn program(words: &'static [&'static str]) -> Program {
    Program { words, directory: None, environment: &[], makes: None }
}

/// Services of a node.
pub(crate) fn services(stack: Stack) -> Vec<Service> {
    let reference = stack == Stack::Reference;
    let reference_engine = reference || stack == Stack::ReferenceEngine;
    let pcsd_environment: &[(&str, &str)] = &[
        ("PCSD_DEBUG", "false"),
        ("PCSD_DISABLE_GUI", "false"),
        ("PCSD_SESSION_LIFETIME", "3600"),
        ("RACK_ENV", "production"),
    ];
    vec![
        Service {
            name: "corosync",
            description: "Corosync Cluster Engine",
            programs: vec![program(if reference_engine {
                &["/usr/sbin/corosync", "-f"]
            } else {
                &["corosync", "-f"]
            })],
            requires: &[],
            ready: Ready::Socket("cmap"),
            restart_after: None,
            stop_timeout: Duration::from_secs(90),
        },
        Service {
            name: "pacemaker",
            description: "Pacemaker High Availability Cluster Manager",
            programs: vec![program(if reference {
                &["/usr/sbin/pacemakerd", "-f"]
            } else {
                &["pacemakerd", "-f"]
            })],
            requires: &["corosync"],
            ready: Ready::Started,
            restart_after: Some(Duration::from_millis(if reference { 1000 } else { 100 })),
            stop_timeout: Duration::from_secs(30 * 60),
        },
        Service {
            name: "pcsd",
            description: "PCS GUI and remote configuration interface",
            programs: if reference {
                vec![
                    Program {
                        words: &["/usr/share/pcsd/pcsd"],
                        directory: Some("/usr/share/pcsd"),
                        environment: pcsd_environment,
                        makes: Some("/run/pcsd-ruby.socket"),
                    },
                    Program {
                        words: &["/usr/sbin/pcsd"],
                        directory: None,
                        environment: pcsd_environment,
                        makes: None,
                    },
                ]
            } else {
                vec![program(&["pcsd"])]
            },
            requires: &[],
            ready: Ready::Port(PCSD_PORT),
            restart_after: None,
            stop_timeout: Duration::from_secs(10),
        },
    ]
}

/// Names under which our program is to be found in a node.
pub(crate) fn commands(plan: &Plan) -> Vec<String> {
    if plan.stack == Stack::Reference {
        return Vec::new();
    }
    let Ok(output) = Command::new(&plan.program).arg("--names").output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted = |name: &&str| {
        let plain = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
        plain && !(plan.stack == Stack::ReferenceEngine && name.starts_with("corosync"))
    };
    text.split_whitespace().filter(wanted).map(str::to_owned).collect()
}
