//! Errors of the engine's clients.

use qb::ConnectError;

/// Status code of the engine's services (`cs_error_t`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

impl Status {
    pub const OK: Status = Status(1);
    pub const LIBRARY: Status = Status(2);
    pub const TIMEOUT: Status = Status(5);
    pub const TRY_AGAIN: Status = Status(6);
    pub const INVALID_PARAM: Status = Status(7);
    pub const NO_MEMORY: Status = Status(8);
    pub const BAD_HANDLE: Status = Status(9);
    pub const BUSY: Status = Status(10);
    pub const ACCESS: Status = Status(11);
    pub const NOT_EXIST: Status = Status(12);
    pub const NAME_TOO_LONG: Status = Status(13);
    pub const EXIST: Status = Status(14);
    pub const NO_SPACE: Status = Status(15);
    pub const NOT_SUPPORTED: Status = Status(19);
    pub const MESSAGE_ERROR: Status = Status(22);
    pub const QUEUE_FULL: Status = Status(23);
    pub const TOO_BIG: Status = Status(26);
    pub const NO_SECTIONS: Status = Status(27);
    pub const CONTEXT_NOT_FOUND: Status = Status(28);
    pub const TOO_MANY_GROUPS: Status = Status(30);
    pub const SECURITY: Status = Status(100);

    /// The reference's name of the code.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "CS_OK",
            2 => "CS_ERR_LIBRARY",
            3 => "CS_ERR_VERSION",
            4 => "CS_ERR_INIT",
            5 => "CS_ERR_TIMEOUT",
            6 => "CS_ERR_TRY_AGAIN",
            7 => "CS_ERR_INVALID_PARAM",
            8 => "CS_ERR_NO_MEMORY",
            9 => "CS_ERR_BAD_HANDLE",
            10 => "CS_ERR_BUSY",
            11 => "CS_ERR_ACCESS",
            12 => "CS_ERR_NOT_EXIST",
            13 => "CS_ERR_NAME_TOO_LONG",
            14 => "CS_ERR_EXIST",
            15 => "CS_ERR_NO_SPACE",
            16 => "CS_ERR_INTERRUPT",
            17 => "CS_ERR_NAME_NOT_FOUND",
            18 => "CS_ERR_NO_RESOURCES",
            19 => "CS_ERR_NOT_SUPPORTED",
            20 => "CS_ERR_BAD_OPERATION",
            21 => "CS_ERR_FAILED_OPERATION",
            22 => "CS_ERR_MESSAGE_ERROR",
            23 => "CS_ERR_QUEUE_FULL",
            24 => "CS_ERR_QUEUE_NOT_AVAILABLE",
            25 => "CS_ERR_BAD_FLAGS",
            26 => "CS_ERR_TOO_BIG",
            27 => "CS_ERR_NO_SECTIONS",
            28 => "CS_ERR_CONTEXT_NOT_FOUND",
            30 => "CS_ERR_TOO_MANY_GROUPS",
            100 => "CS_ERR_SECURITY",
            _ => "unknown status",
        }
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a call to the engine failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The engine ended or closed the connection; open a new one.
    #[error("the engine has closed the connection")]
    Disconnected,
    /// The engine is busy (it synchronises, or flow control is on) and was so for the whole time of retrying.
    #[error("the engine is busy, try again")]
    TryAgain,
    #[error("the engine does not answer")]
    Timeout,
    /// The service refused the call.
    #[error("the engine refuses: {0}")]
    Status(Status),
    /// The engine's message is not what was agreed.
    #[error("unexpected message of the engine in {0}")]
    Protocol(&'static str),
    /// A name or value is longer than the engine takes.
    #[error("{what} is longer than {limit} bytes")]
    TooLong { what: &'static str, limit: usize },
    #[error("cannot talk to the engine: {0}")]
    Ipc(qb::Error),
}

impl Error {
    /// The status code in the answer, if the service itself refused.
    pub fn status(&self) -> Option<Status> {
        match self {
            Error::Status(status) => Some(*status),
            Error::TryAgain => Some(Status::TRY_AGAIN),
            _ => None,
        }
    }

    /// True if nothing answers under the service's name: the engine is not running.
    pub fn is_not_running(&self) -> bool {
        matches!(self, Error::Connect(ConnectError::NotRunning { .. }))
    }
}

impl From<qb::Error> for Error {
    fn from(error: qb::Error) -> Error {
        match error {
            qb::Error::Disconnected => Error::Disconnected,
            qb::Error::Again => Error::TryAgain,
            qb::Error::Timeout => Error::Timeout,
            other => Error::Ipc(other),
        }
    }
}
