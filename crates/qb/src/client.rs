//! The calling side.

use crate::error::{ConnectError, Error};
use crate::handshake::{Hello, REPLY_BYTES, Reply, TYPE_SHARED_MEMORY};
use crate::ring::{Hint, Ring};
use crate::{Credentials, MAX_MESSAGE_BYTES, MIN_MESSAGE_BYTES};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use sys::socket::UnixAddress;
use sys::{Errno, Interest};

/// Longest wait for the server's answer to a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// While waiting for an answer, how often to look whether the server is still there: at first and at last.
const LIVENESS_MIN: Duration = Duration::from_millis(10);
const LIVENESS_MAX: Duration = Duration::from_millis(200);
/// Wake-up bytes read at once, and events after which they are read at the latest.
const WAKEUPS_MAX: usize = 256;

/// A connection to a service. All calls wait at most the time given.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    server: Credentials,
    request: Ring,
    response: Ring,
    event: Ring,
    paths: [String; 3],
    max_message_size: usize,
    /// Events taken since the wake-up bytes were last read away.
    taken: usize,
    open: bool,
}

impl Client {
    /// Connects to a service by name. `max_message_size` in bytes is what this side needs; the server may grant more.
    pub fn connect(name: &str, max_message_size: usize) -> Result<Client, ConnectError> {
        let owned = || name.to_owned();
        let system = |errno| ConnectError::System { name: owned(), errno };
        let socket = open_socket(name)?;
        let server = sys::socket::peer_credentials(&socket).map_err(system)?;
        let size =
            u32::try_from(max_message_size.clamp(MIN_MESSAGE_BYTES, MAX_MESSAGE_BYTES)).unwrap_or(u32::MAX);
        match sys::socket::send(&socket, &Hello { max_message_size: size }.encode()) {
            Ok(_) => {}
            Err(Errno::PIPE | Errno::CONNRESET) => return Err(ConnectError::NotRunning { name: owned() }),
            Err(errno) => return Err(system(errno)),
        }
        let reply = read_reply(name, &socket)?;
        match reply.error {
            0 => {}
            e => {
                return Err(match sys::errno_from_raw(e) {
                    Errno::AGAIN => ConnectError::Again { name: owned() },
                    Errno::ACCESS | Errno::PERM => ConnectError::Access { name: owned() },
                    errno => system(errno),
                });
            }
        }
        let protocol = |reason| ConnectError::Protocol { name: owned(), reason };
        if reply.transport != TYPE_SHARED_MEMORY {
            return Err(protocol("it does not offer shared memory"));
        }
        let granted = reply.max_message_size as usize;
        if granted == 0 || granted > MAX_MESSAGE_BYTES {
            return Err(protocol("it grants an impossible message size"));
        }
        let ring = |path: &str| match Ring::open(path, granted) {
            Ok(ring) => Ok(ring),
            Err(Errno::ACCESS | Errno::PERM) => Err(ConnectError::Access { name: owned() }),
            Err(Errno::NOENT) => Err(ConnectError::NotRunning { name: owned() }),
            Err(Errno::PROTO | Errno::INVAL) => Err(protocol("the rings have another size than announced")),
            Err(errno) => Err(system(errno)),
        };
        let (request, response, event) = (ring(&reply.request)?, ring(&reply.response)?, ring(&reply.event)?);
        Ok(Client {
            socket,
            server,
            request,
            response,
            event,
            paths: [reply.request, reply.response, reply.event],
            max_message_size: granted,
            taken: 0,
            open: true,
        })
    }

    /// Who serves. Check it before believing answers, where a wrong server would matter.
    pub fn server(&self) -> Credentials {
        self.server
    }

    /// Bytes of the largest message on this connection.
    pub fn max_message_size(&self) -> usize {
        self.max_message_size
    }

    /// False once the server was found gone.
    pub fn is_connected(&mut self) -> bool {
        self.open = self.open && !self.server_gone();
        self.open
    }

    /// Sends a request and waits for its answer.
    pub fn request(&mut self, bytes: &[u8], timeout: Duration) -> Result<Vec<u8>, Error> {
        self.send(bytes)?;
        self.receive(timeout)
    }

    /// Sends a request without waiting. `Again`: flow control is on or the ring is full, nothing was sent.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.send_parts(&[bytes])
    }

    /// [`Client::send`] of one message that lies in several pieces.
    pub fn send_parts(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        if !self.open || self.request.references() != 2 {
            self.open = false;
            return Err(Error::Disconnected);
        }
        if self.request.flow() != 0 {
            return if self.is_connected() { Err(Error::Again) } else { Err(Error::Disconnected) };
        }
        match self.request.write(parts) {
            Err(Error::Again) if !self.is_connected() => return Err(Error::Disconnected),
            other => other?,
        }
        // A server of our kind says so when it looks into the ring by itself.
        if self.request.hint() == Hint::Awake { Ok(()) } else { self.wake_server() }
    }

    fn wake_server(&mut self) -> Result<(), Error> {
        loop {
            match sys::socket::send(&self.socket, &[0]) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    // Thousands of unread wake-ups: the server is far behind, wait until it has read some.
                    sys::poll::wait_one(&self.socket, Interest::WRITE, None)?;
                }
                Err(_) => {
                    self.open = false;
                    return Err(Error::Disconnected);
                }
            }
        }
    }

    /// Waits for the next response.
    pub fn receive(&mut self, timeout: Duration) -> Result<Vec<u8>, Error> {
        let start = sys::clock::monotonic_ns();
        let mut slice = LIVENESS_MIN;
        loop {
            let passed = Duration::from_nanos(sys::clock::monotonic_ns().saturating_sub(start));
            let left = timeout.saturating_sub(passed);
            if let Some(bytes) = self.response.read(slice.min(left))? {
                return Ok(bytes);
            }
            if !self.is_connected() {
                // The answer may have come just before the end.
                return self.response.read(Duration::ZERO)?.ok_or(Error::Disconnected);
            }
            if left.is_zero() {
                return Err(Error::Timeout);
            }
            slice = (slice * 2).min(LIVENESS_MAX);
        }
    }

    /// Readable when an event waits or the server is gone. Follow with [`Client::recv_event`] until `None`: who
    /// stops earlier may not be told of what is left.
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next event, waiting at most `timeout` (zero: do not wait).
    pub fn recv_event(&mut self, timeout: Duration) -> Result<Option<Vec<u8>>, Error> {
        if !self.open {
            return Err(Error::Disconnected);
        }
        let start = sys::clock::monotonic_ns();
        loop {
            if let Some(bytes) = self.take_event()? {
                return Ok(Some(bytes));
            }
            let passed = Duration::from_nanos(sys::clock::monotonic_ns().saturating_sub(start));
            let left = timeout.saturating_sub(passed);
            if left.is_zero() || sys::poll::wait_one(&self.socket, Interest::READ, Some(left))?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Looks into the ring. Before it says that nothing is there, the server knows that we may sleep. Only the
    /// server says that we are awake, with the byte that wakes us: that one stays in the socket until the ring was
    /// seen empty.
    fn take_event(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut event = self.event.read(Duration::ZERO)?;
        if event.is_none() {
            self.read_wakeups()?;
            if self.event.hint() != Hint::Asleep {
                self.event.set_hint(Hint::Asleep);
            }
            event = self.event.read(Duration::ZERO)?;
        }
        if event.is_some() {
            self.taken += 1;
            // A server that wakes for each event fills the socket. One of our kind sends a single byte.
            if self.taken >= WAKEUPS_MAX && self.event.hint() != Hint::Awake {
                self.read_wakeups()?;
            }
        }
        Ok(event)
    }

    /// Bytes that were sent for events that have been taken would only wake us again.
    fn read_wakeups(&mut self) -> Result<(), Error> {
        self.taken = 0;
        match sys::socket::receive(&self.socket, &mut [0u8; WAKEUPS_MAX]) {
            Ok(count) if count > 0 => Ok(()),
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            _ => {
                self.open = false;
                Err(Error::Disconnected)
            }
        }
    }

    fn server_gone(&self) -> bool {
        match sys::poll::wait_one(&self.socket, Interest::NONE, Some(Duration::ZERO)) {
            Ok(Some(ready)) => ready.hangup || ready.error,
            Ok(None) => false,
            Err(_) => true,
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for ring in [&self.request, &self.response, &self.event] {
            ring.release();
        }
        // A server that was killed leaves its files behind; they are ours to remove then.
        if !self.is_connected() && self.server.pid > 1 && !sys::signal::process_exists(self.server.pid) {
            for path in &self.paths {
                for suffix in ["header", "data"] {
                    let _ = std::fs::remove_file(format!("{path}-{suffix}"));
                }
            }
            if let Some(directory) = self.paths.first().and_then(|p| std::path::Path::new(p).parent())
                && directory != std::path::Path::new(crate::SHARED_MEMORY_DIRECTORY)
            {
                let _ = std::fs::remove_dir(directory);
            }
        }
    }
}

fn open_socket(name: &str) -> Result<OwnedFd, ConnectError> {
    let file = crate::socket_path(name);
    let address = match &file {
        Some(path) => UnixAddress::Path(path),
        None => UnixAddress::Abstract(name),
    };
    sys::socket::unix_connect(address).map_err(|errno| match errno {
        Errno::CONNREFUSED | Errno::NOENT => ConnectError::NotRunning { name: name.to_owned() },
        Errno::ACCESS | Errno::PERM => ConnectError::Access { name: name.to_owned() },
        errno => ConnectError::System { name: name.to_owned(), errno },
    })
}

fn read_reply(name: &str, socket: &OwnedFd) -> Result<Reply, ConnectError> {
    let mut reply = vec![0u8; REPLY_BYTES];
    let mut have = 0;
    let start = sys::clock::monotonic_ns();
    while have < REPLY_BYTES {
        let passed = Duration::from_nanos(sys::clock::monotonic_ns().saturating_sub(start));
        let left = CONNECT_TIMEOUT.saturating_sub(passed);
        let system = |errno| ConnectError::System { name: name.to_owned(), errno };
        if sys::poll::wait_one(socket, Interest::READ, Some(left)).map_err(system)?.is_none() {
            return Err(ConnectError::Timeout { name: name.to_owned() });
        }
        match sys::socket::receive(socket, reply.get_mut(have..).unwrap_or_default()) {
            Ok(0) => return Err(ConnectError::NotRunning { name: name.to_owned() }),
            Ok(n) => have += n,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Err(ConnectError::NotRunning { name: name.to_owned() }),
            Err(errno) => return Err(system(errno)),
        }
    }
    let protocol = |reason| ConnectError::Protocol { name: name.to_owned(), reason };
    match Reply::decode(&reply) {
        Ok(Some(reply)) => Ok(reply),
        _ => Err(protocol("unexpected first message")),
    }
}
