//! Errors of the lab.

use std::path::PathBuf;

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no lab is up; start one with: relevo lab up")]
    NotUp,
    #[error("a lab is up already in {}; take it down first with: relevo lab down", .0.display())]
    AlreadyUp(PathBuf),
    #[error("there is no host {name}; the hosts are: {known}")]
    UnknownHost { name: String, known: String },
    #[error("{name} is off; switch it on with: relevo lab boot {name}")]
    HostOff { name: String },
    #[error("{0}")]
    Usage(String),
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("{what}: {errno}")]
    System { what: String, errno: sys::Errno },
    #[error("{0}")]
    Failed(String),
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Says what was being done when it failed.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io { what: what(), source })
    }
}

impl<T> Context<T> for sys::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Error::System { what: what(), errno })
    }
}
