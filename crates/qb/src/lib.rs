//! libqb-compatible IPC, server and client: abstract stream socket for connecting and waking, three rings in shared
//! memory (request, response, event) for the messages.
//!
//! Both sides work without threads of their own. The server is driven by one descriptor ([`Server::fd`]) and one
//! call ([`Server::dispatch`]).

mod client;
mod connection;
mod error;
mod handshake;
mod header;
mod ring;
mod server;

pub use client::Client;
pub use connection::ConnectionStats;
pub use error::{ConnectError, Error, ServerError};
pub use header::{RequestHeader, ResponseHeader, Truncated};
pub use server::{ConnId, Server, ServerEvent, ServerOptions};
pub use sys::Credentials;

/// If this file exists, the sockets are files in [`SOCKET_DIRECTORY`] instead of abstract names.
pub const FORCE_FILESYSTEM_SOCKETS: &str = "/etc/libqb/force-filesystem-sockets";
/// Directory of the sockets when they are files.
pub const SOCKET_DIRECTORY: &str = "/var/run";
/// Directory of the shared rings.
pub const SHARED_MEMORY_DIRECTORY: &str = "/dev/shm";
/// Smallest message size that is ever negotiated: the connection reply itself.
pub const MIN_MESSAGE_BYTES: usize = handshake::REPLY_BYTES;
/// Largest message size that a server grants to a client which asks for more than the server's own limit.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

fn socket_path(name: &str) -> Option<std::path::PathBuf> {
    std::path::Path::new(FORCE_FILESYSTEM_SOCKETS)
        .exists()
        .then(|| std::path::Path::new(SOCKET_DIRECTORY).join(name))
}
