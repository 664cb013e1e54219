//! What a status display needs, fetched at one time.

use std::ffi::OsStr;

use xml::Document;

use crate::cib::Cib;
use crate::error::Error;
use crate::launcher::{Launcher, Ping};

/// The configuration with the state, and how the manager on this node is.
#[derive(Debug)]
pub struct Overview {
    pub cib: Document,
    /// None for a file.
    pub manager: Option<Ping>,
    /// The connection, for further calls.
    pub source: Cib,
}

/// Fetches everything; `file` stands for the running configuration.
///
/// # Errors
/// When the manager does not answer or the file cannot be read.
pub fn overview(client: &str, file: Option<&OsStr>) -> Result<Overview, Error> {
    let manager = match file.filter(|f| !f.is_empty()) {
        Some(_) => None,
        None => Some(Launcher::open(client)?.ping()?),
    };
    let mut source = Cib::open(client, file)?;
    let cib = source.query(None, 0)?;
    Ok(Overview { cib, manager, source })
}

impl Ping {
    /// The state as people read it.
    pub fn state_text(&self) -> &str {
        match self.state.as_str() {
            "init" => "Initializing pacemaker",
            "starting_daemons" => "Pacemaker daemons are starting",
            "wait_for_ping" => "Waiting for startup trigger from SBD",
            "running" => "Pacemaker is running",
            "shutting_down" => "Pacemaker daemons are shutting down",
            "shutdown_complete" => "Pacemaker daemons are shut down (reporting to SBD)",
            "remote" => "pacemaker-remoted is running (on a Pacemaker Remote node)",
            _ => "Invalid pacemakerd state",
        }
    }
}
