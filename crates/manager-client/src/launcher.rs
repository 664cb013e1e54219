//! The launcher (`pacemakerd`): is everything up?

use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::controller::request;
use crate::error::Error;

const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Answer of the launcher.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ping {
    /// `init`, `starting_daemons`, `wait_for_ping`, `running`, `shutting_down`, `shutdown_complete`.
    pub state: String,
    pub from: String,
    pub result: String,
    /// When it last saw all its daemons well, in seconds since 1970.
    pub last_good_s: i64,
}

/// A connection to the launcher.
#[derive(Debug)]
pub struct Launcher {
    connection: Connection,
    client: String,
}

impl Launcher {
    /// # Errors
    /// [`Error::NotConnected`] when it does not run.
    pub fn open(client: &str) -> Result<Launcher, Error> {
        Ok(Launcher { connection: Connection::open("pacemakerd")?, client: client.to_string() })
    }

    /// # Errors
    /// Of the connection.
    pub fn ping(&mut self) -> Result<Ping, Error> {
        let from = format!("{}_{}", std::process::id(), self.client);
        let reference = format!("ping-{}-0-0", self.client);
        let message = request("ping", None, None, Some("pacemakerd"), &from, &reference);
        let deadline = Instant::now() + CALL_TIMEOUT;
        let mut reply = self.connection.request(&message, CALL_TIMEOUT)?;
        while reply.root_element().name() == "ack" {
            let left = deadline.saturating_duration_since(Instant::now());
            reply = self.connection.event(left)?.ok_or(Error::Timeout)?;
        }
        let data = reply.root_element().child("crm_xml").and_then(|d| d.children().next());
        let text = |name: &str| data.and_then(|d| d.attr(name)).unwrap_or_default().to_string();
        Ok(Ping {
            state: text("pacemakerd_state"),
            from: text("crm_subsystem"),
            result: text("result"),
            last_good_s: text("crm-timestamp").parse().or_else(|_| text("tstamp").parse()).unwrap_or(0),
        })
    }
}
