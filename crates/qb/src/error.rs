//! Errors of the IPC.

use sys::Errno;

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens under this name.
    #[error("service {name} is not running on this node")]
    NotRunning { name: String },
    /// The server refuses this user.
    #[error("service {name} refuses this user: run as root or as a member of its group")]
    Access { name: String },
    /// The server is not ready yet; try again later.
    #[error("service {name} is not ready yet, try again")]
    Again { name: String },
    /// The server did not answer in time.
    #[error("service {name} does not answer")]
    Timeout { name: String },
    /// The server's answer makes no sense.
    #[error("service {name} answered with something that is not libqb IPC: {reason}")]
    Protocol { name: String, reason: &'static str },
    #[error("cannot connect to service {name}: {errno}")]
    System { name: String, errno: Errno },
}

/// Why a message could not be sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The other side is gone; the connection is of no more use.
    #[error("the connection is closed")]
    Disconnected,
    /// Flow control or a full ring: nothing was sent, try again a little later.
    #[error("the other side is busy, try again")]
    Again,
    /// The time passed without an answer.
    #[error("no answer in time")]
    Timeout,
    /// The message is larger than what was negotiated.
    #[error("message of {bytes} bytes is larger than the limit of {limit} bytes")]
    TooBig { bytes: usize, limit: usize },
    /// The ring holds what no correct peer would write.
    #[error("the shared ring is damaged")]
    Damaged,
    #[error("system error: {0}")]
    System(Errno),
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Error {
        Error::System(errno)
    }
}

/// Why a server could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another process serves this name already.
    #[error("service {name} is already running on this node")]
    AlreadyRunning { name: String },
    #[error("cannot serve {name}: {errno}")]
    System { name: String, errno: Errno },
}
