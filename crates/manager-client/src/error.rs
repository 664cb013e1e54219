//! Why a call to the manager failed.

use base::{CibError, ExitCode};

/// Failure of a call; [`Error::exit`] is the status the tools leave with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The daemon is not there.
    #[error("Transport endpoint is not connected")]
    NotConnected,
    /// The daemon refuses this user.
    #[error("Permission denied")]
    Denied,
    #[error("Timer expired")]
    Timeout,
    /// The peer speaks something else.
    #[error("Protocol error: {0}")]
    Protocol(String),
    /// The configuration refused the operation; details tell which objects.
    #[error("{error}")]
    Refused { error: CibError, details: Option<Box<xml::Document>> },
    #[error("{path}: {cause}")]
    File { path: String, cause: String },
}

impl Error {
    /// Status of a tool that fails for this reason.
    pub fn exit(&self) -> ExitCode {
        match self {
            Error::NotConnected => ExitCode::DISCONNECT,
            Error::Denied => ExitCode::NOPERM,
            Error::Timeout => ExitCode::TIMEOUT,
            Error::Protocol(_) => ExitCode::PROTOCOL,
            Error::Refused { error, .. } => error.exit(),
            Error::File { .. } => ExitCode::NOINPUT,
        }
    }

    /// The error, and below it each place where the changed configuration would not conform, if that is why.
    #[must_use]
    pub fn explained(&self) -> String {
        let mut text = self.to_string();
        if let Error::Refused { details: Some(details), .. } = self {
            let faults = details.child_elements(details.root()).into_iter();
            for fault in faults.filter_map(|fault| details.attr(fault, "message")) {
                text.push('\n');
                text.push_str(fault);
            }
        }
        text
    }

    /// The configuration's own reason, when it was that which refused.
    pub fn cib(&self) -> Option<CibError> {
        match self {
            Error::Refused { error, .. } => Some(*error),
            Error::NotConnected => Some(CibError::NotConnected),
            _ => None,
        }
    }
}

impl From<qb::ConnectError> for Error {
    fn from(error: qb::ConnectError) -> Self {
        match error {
            qb::ConnectError::NotRunning { .. } | qb::ConnectError::Again { .. } => Error::NotConnected,
            qb::ConnectError::Access { .. } => Error::Denied,
            qb::ConnectError::Timeout { .. } => Error::Timeout,
            other => Error::Protocol(other.to_string()),
        }
    }
}

impl From<qb::Error> for Error {
    fn from(error: qb::Error) -> Self {
        match error {
            qb::Error::Disconnected => Error::NotConnected,
            qb::Error::Timeout | qb::Error::Again => Error::Timeout,
            other => Error::Protocol(other.to_string()),
        }
    }
}
