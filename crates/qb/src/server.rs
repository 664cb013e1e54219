//! A service that any number of clients connect to.

use crate::connection::{Channel, Connection, ConnectionStats, NextRequest};
use crate::error::{Error, ServerError};
use crate::handshake::{HELLO_BYTES, Hello, Reply};
use crate::{Credentials, MAX_MESSAGE_BYTES, MIN_MESSAGE_BYTES};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;
use sys::socket::UnixAddress;
use sys::{Errno, EventFd, Interest, Poller, Ready, TimerFd};

/// Connections that may wait in the kernel to be accepted.
const LISTEN_BACKLOG: i32 = 128;
/// Accepted sockets that have not said hello yet; the oldest is dropped beyond this.
const MAX_PENDING: usize = 128;
/// Connections accepted per [`Server::dispatch`].
const ACCEPTS_PER_TURN: usize = 16;
/// Requests taken from one connection per [`Server::dispatch`].
const REQUESTS_PER_TURN: usize = 32;
/// Bytes of requests after which it is another connection's turn.
const BYTES_PER_TURN: usize = 64 * 1024;
/// Queued bytes from which on a client lags, and how long after its last step it still counts as reading. A client that
/// is held up while it waits for answers to its own requests does not read; this must be short enough not to matter then.
const LAGGING_BYTES: usize = 2 * 1024 * 1024;
const LAGGING_FOR_NS: u64 = 20_000_000;
/// First and longest pause between two attempts to empty the queue of a client whose ring is full.
const RETRY_MIN: Duration = Duration::from_millis(1);
const RETRY_MAX: Duration = Duration::from_millis(50);

const TOKEN_LISTENER: u64 = 0;
const TOKEN_TIMER: u64 = 1;
const TOKEN_WAKE: u64 = 2;
const FIRST_CONNECTION: u64 = 16;

/// Names a connection for the life of the server; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What happened since the last call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    Connected(ConnId, Credentials),
    /// A whole message; its header is present and its size field equals the length.
    Request(ConnId, Vec<u8>),
    /// The last event of a connection.
    Disconnected(ConnId),
}

/// Decides whether a client may connect; the error is an errno that it is told (EAGAIN: not ready, EACCES: no).
pub type Access = Box<dyn Fn(&Credentials) -> Result<(), i32> + Send>;

/// Limits and policy of a server.
pub struct ServerOptions {
    /// Bytes of the largest message; clients that ask for more get what they ask, up to 64 MiB.
    pub max_message_size: usize,
    pub access: Access,
    /// Connections at once; further ones are refused with EMFILE.
    pub max_connections: usize,
    /// Bytes kept per client when its ring is full; a client that lags further is disconnected.
    pub max_queue_bytes: usize,
}

impl ServerOptions {
    pub fn new(max_message_size: usize) -> ServerOptions {
        ServerOptions {
            max_message_size,
            access: Box::new(|_| Ok(())),
            max_connections: 1024,
            max_queue_bytes: 16 * 1024 * 1024,
        }
    }

    /// Sets the access check.
    pub fn access(
        mut self,
        check: impl Fn(&Credentials) -> Result<(), i32> + Send + 'static,
    ) -> ServerOptions {
        self.access = Box::new(check);
        self
    }
}

#[derive(Debug)]
struct Pending {
    socket: OwnedFd,
    received: Vec<u8>,
}

/// The listening side of a service.
///
/// Poll [`Server::fd`] for reading and call [`Server::dispatch`] whenever it is readable.
pub struct Server {
    name: String,
    socket_file: Option<PathBuf>,
    options: ServerOptions,
    poller: Poller,
    listener: OwnedFd,
    timer: TimerFd,
    wake: EventFd,
    next_id: u64,
    pending: BTreeMap<u64, Pending>,
    connections: BTreeMap<u64, Connection>,
    /// Connections with requests that may wait in the ring.
    work: BTreeSet<u64>,
    /// Connections with messages that did not fit into a ring.
    queued: BTreeSet<u64>,
    /// Connections with events that they have not been told of.
    unannounced: BTreeSet<u64>,
    /// Connections that are polled.
    polled: BTreeSet<u64>,
    may_poll: bool,
    retry: Duration,
    events: VecDeque<ServerEvent>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.name)
            .field("connections", &self.connections.len())
            .finish()
    }
}

impl Server {
    /// Opens the service for clients.
    pub fn bind(name: &str, mut options: ServerOptions) -> Result<Server, ServerError> {
        options.max_message_size = options.max_message_size.clamp(MIN_MESSAGE_BYTES, MAX_MESSAGE_BYTES);
        let socket_file = crate::socket_path(name);
        let address = match &socket_file {
            Some(path) => {
                let _ = std::fs::remove_file(path);
                UnixAddress::Path(path)
            }
            None => UnixAddress::Abstract(name),
        };
        let listener = sys::socket::unix_listen(address, LISTEN_BACKLOG).map_err(|errno| match errno {
            Errno::ADDRINUSE => ServerError::AlreadyRunning { name: name.to_owned() },
            errno => ServerError::System { name: name.to_owned(), errno },
        })?;
        if let Some(path) = &socket_file {
            use std::os::unix::fs::PermissionsExt;
            // The access check decides, not the file's mode.
            let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777));
        }
        Self::assemble(name, socket_file, options, listener)
            .map_err(|errno| ServerError::System { name: name.to_owned(), errno })
    }

    fn assemble(
        name: &str,
        socket_file: Option<PathBuf>,
        options: ServerOptions,
        listener: OwnedFd,
    ) -> Result<Server, Errno> {
        sys::socket::set_pass_credentials(&listener, true)?;
        let (poller, timer, wake) = (Poller::new()?, TimerFd::new()?, EventFd::new()?);
        poller.add(&listener, TOKEN_LISTENER, Interest::READ)?;
        poller.add(&timer, TOKEN_TIMER, Interest::READ)?;
        poller.add(&wake, TOKEN_WAKE, Interest::READ)?;
        Ok(Server {
            name: name.to_owned(),
            socket_file,
            options,
            poller,
            listener,
            timer,
            wake,
            next_id: FIRST_CONNECTION,
            pending: BTreeMap::new(),
            connections: BTreeMap::new(),
            work: BTreeSet::new(),
            queued: BTreeSet::new(),
            unannounced: BTreeSet::new(),
            polled: BTreeSet::new(),
            may_poll: false,
            retry: RETRY_MIN,
            events: VecDeque::new(),
        })
    }

    /// The one descriptor to poll for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// Name of the service.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connections that are established now.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> {
        self.connections.keys().map(|id| ConnId(*id))
    }

    /// Counters of each connection, with the client's process id.
    pub fn stats(&self) -> impl Iterator<Item = (ConnId, i32, ConnectionStats)> {
        self.connections.iter().map(|(id, connection)| (ConnId(*id), connection.pid, connection.stats()))
    }

    /// All counters start anew.
    pub fn clear_stats(&mut self) {
        self.connections.values_mut().for_each(Connection::clear_stats);
    }

    /// Does a bounded amount of work and returns what happened. The descriptor stays readable while more is to do.
    pub fn dispatch(&mut self) -> Vec<ServerEvent> {
        let mut ready = Vec::new();
        if self.poller.wait(&mut ready, Some(Duration::ZERO)).is_err() {
            ready.clear();
        }
        for event in ready {
            match event.token {
                TOKEN_LISTENER => self.accept_some(),
                TOKEN_TIMER => self.flush_queues(),
                TOKEN_WAKE => self.wake.clear(),
                token if self.pending.contains_key(&token) => self.continue_hello(token),
                token => self.on_socket(token, event),
            }
        }
        self.take_requests();
        if !self.work.is_empty() {
            self.wake.notify();
        }
        self.events.drain(..).collect()
    }

    /// Whether connections that become busy may be polled from now on: then their clients wake nobody, and
    /// [`Server::poll_requests`] is to be called often, until [`Server::is_polling`] is false.
    pub fn set_polling(&mut self, may_poll: bool) {
        self.may_poll = may_poll;
    }

    /// True while the requests of some client are seen by [`Server::poll_requests`] only.
    pub fn is_polling(&self) -> bool {
        !self.polled.is_empty()
    }

    /// Takes requests of the polled connections, so many from each at most. One that has been idle for a while is
    /// watched again.
    pub fn poll_requests(&mut self, most: usize) -> Vec<ServerEvent> {
        let ids: Vec<u64> = self.polled.iter().copied().collect();
        for id in ids {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            if connection.stopped {
                continue;
            }
            let (taken, mut alive) = take_some(connection, id, most, &mut self.events);
            if taken > 0 {
                alive &= connection.drain_if_due();
            }
            if !alive {
                self.lose(id);
            } else if connection.note_poll(taken) {
                self.watch_again(id);
            }
        }
        self.events.drain(..).collect()
    }

    fn watch_again(&mut self, id: u64) {
        self.polled.remove(&id);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.set_polled(false);
        if connection.has_requests() {
            self.work.insert(id);
            self.wake.notify();
        }
        self.watch(id);
    }

    /// Answers a request. A client that is gone or cannot be served any more is reported by `Disconnected`.
    pub fn respond(&mut self, conn: ConnId, bytes: &[u8]) -> Result<(), Error> {
        self.send(conn, Channel::Response, &[bytes])
    }

    /// Sends an event, queueing it while the client's ring is full.
    pub fn event(&mut self, conn: ConnId, bytes: &[u8]) -> Result<(), Error> {
        self.send(conn, Channel::Event, &[bytes])?;
        self.wake(conn.0);
        Ok(())
    }

    /// [`Server::event`] for many events in a row, each given in parts: the client is told of all of them by
    /// [`Server::wake_clients`], which must follow.
    pub fn event_quietly(&mut self, conn: ConnId, parts: &[&[u8]]) -> Result<(), Error> {
        self.send(conn, Channel::Event, parts)?;
        self.unannounced.insert(conn.0);
        Ok(())
    }

    /// Tells the clients of the events that were sent quietly.
    pub fn wake_clients(&mut self) {
        self.refill();
        while let Some(id) = self.unannounced.pop_first() {
            self.wake(id);
        }
    }

    fn wake(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match connection.pay_wakeups() {
            Ok(()) => self.watch(id),
            Err(_) => self.lose(id),
        }
    }

    /// True while a client that does read has much left to read: a reason to send it less.
    pub fn is_lagging(&self) -> bool {
        let now_ns = sys::clock::monotonic_ns();
        self.queued.iter().filter_map(|id| self.connections.get(id)).any(|connection| {
            connection.queued_bytes > LAGGING_BYTES
                && now_ns.saturating_sub(connection.moved_ns) < LAGGING_FOR_NS
        })
    }

    /// Bytes of events that wait for the slowest client that reads.
    pub fn unread(&mut self) -> usize {
        let now_ns = sys::clock::monotonic_ns();
        self.connections.values_mut().map(|connection| connection.unread(now_ns)).max().unwrap_or(0)
    }

    /// Stops or resumes a client: while stopped its library answers "try again" by itself and no request is taken.
    pub fn set_flow(&mut self, conn: ConnId, stop: bool) {
        let Some(connection) = self.connections.get_mut(&conn.0) else { return };
        connection.set_flow(stop);
        if stop && self.polled.remove(&conn.0) {
            connection.set_polled(false);
        }
        if !stop && !connection.polled && connection.has_requests() {
            self.work.insert(conn.0);
            self.wake.notify();
        }
        self.watch(conn.0);
    }

    /// [`Server::set_flow`] for all clients.
    pub fn set_flow_all(&mut self, stop: bool) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            self.set_flow(ConnId(id), stop);
        }
    }

    /// Ends a connection. No `Disconnected` follows.
    pub fn disconnect(&mut self, conn: ConnId) {
        self.forget(conn.0);
        self.events.retain(|event| match event {
            ServerEvent::Connected(id, _) | ServerEvent::Request(id, _) | ServerEvent::Disconnected(id) => {
                *id != conn
            }
        });
    }

    fn send(&mut self, conn: ConnId, channel: Channel, parts: &[&[u8]]) -> Result<(), Error> {
        let connection = self.connections.get_mut(&conn.0).ok_or(Error::Disconnected)?;
        match connection.send(channel, parts, self.options.max_queue_bytes) {
            Ok(()) => {
                if connection.has_queue() && self.queued.insert(conn.0) {
                    self.retry = RETRY_MIN;
                    let _ = self.timer.set(Some(RETRY_MIN));
                }
                Ok(())
            }
            // The caller's mistake, not the client's.
            Err(error @ Error::TooBig { .. }) => Err(error),
            Err(_) => {
                self.lose(conn.0);
                Err(Error::Disconnected)
            }
        }
    }

    fn accept_some(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Ok(Some(socket)) = sys::socket::accept(&self.listener) else { return };
            if self.pending.len() >= MAX_PENDING
                && let Some((_, oldest)) = self.pending.pop_first()
            {
                let _ = self.poller.remove(&oldest.socket);
            }
            let id = self.next_id;
            self.next_id += 1;
            if self.poller.add(&socket, id, Interest::READ).is_ok() {
                self.pending.insert(id, Pending { socket, received: Vec::with_capacity(HELLO_BYTES) });
                self.continue_hello(id);
            }
        }
    }

    fn continue_hello(&mut self, id: u64) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let mut buffer = [0u8; HELLO_BYTES];
        let missing = HELLO_BYTES.saturating_sub(pending.received.len());
        let complete =
            match sys::socket::receive(&pending.socket, buffer.get_mut(..missing).unwrap_or_default()) {
                Err(Errno::AGAIN | Errno::INTR) => return,
                Ok(0) | Err(_) => false,
                Ok(n) => {
                    pending.received.extend_from_slice(buffer.get(..n).unwrap_or_default());
                    if pending.received.len() < HELLO_BYTES {
                        return;
                    }
                    true
                }
            };
        let Some(pending) = self.pending.remove(&id) else { return };
        let _ = self.poller.remove(&pending.socket);
        if complete && let Ok(Some(hello)) = Hello::decode(&pending.received) {
            self.establish(id, pending.socket, hello);
        }
    }

    fn establish(&mut self, id: u64, socket: OwnedFd, hello: Hello) {
        let Ok(credentials) = sys::socket::peer_credentials(&socket) else { return };
        let allowed = if self.connections.len() >= self.options.max_connections {
            Err(Errno::MFILE.raw_os_error())
        } else {
            (self.options.access)(&credentials)
        };
        if let Err(errno) = allowed {
            let _ = sys::socket::send(&socket, &Reply::refusal(errno).encode());
            return;
        }
        let size = self.options.max_message_size.max(hello.max_message_size as usize).min(MAX_MESSAGE_BYTES);
        let spare = rustix::io::fcntl_dupfd_cloexec(&socket, 0).ok();
        match Connection::create(socket, &self.name, credentials, id, size) {
            Ok((connection, reply)) => {
                let sent = sys::socket::send(&connection.socket, &reply.encode());
                let watched = self.poller.add(&connection.socket, id, Interest::READ);
                if sent == Ok(crate::handshake::REPLY_BYTES) && watched.is_ok() {
                    self.connections.insert(id, connection);
                    self.events.push_back(ServerEvent::Connected(ConnId(id), credentials));
                }
            }
            Err(errno) => {
                if let Some(spare) = spare {
                    let _ = sys::socket::send(spare, &Reply::refusal(errno.raw_os_error()).encode());
                }
            }
        }
    }

    fn on_socket(&mut self, id: u64, event: Ready) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut alive = !event.error;
        if event.writable {
            alive &= connection.pay_wakeups().is_ok();
        }
        if event.readable {
            alive &= connection.drain_wakeups();
        }
        if !alive || event.hangup {
            // Requests that the client wrote before it left still count.
            for _ in 0..REQUESTS_PER_TURN {
                match connection.next_request() {
                    NextRequest::Message(bytes) if !connection.stopped => {
                        self.events.push_back(ServerEvent::Request(ConnId(id), bytes));
                    }
                    _ => break,
                }
            }
            self.lose(id);
            return;
        }
        self.work.insert(id);
        self.watch(id);
    }

    fn take_requests(&mut self) {
        let now_ns = sys::clock::monotonic_ns();
        for id in std::mem::take(&mut self.work) {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            if connection.stopped {
                continue;
            }
            let (taken, alive) = take_some(connection, id, REQUESTS_PER_TURN, &mut self.events);
            if !alive {
                self.lose(id);
            } else if taken > 0 && connection.note_turn(now_ns) && self.may_poll {
                connection.set_polled(true);
                self.polled.insert(id);
                self.watch(id);
            } else if connection.has_requests() {
                self.work.insert(id);
            }
        }
    }

    fn flush_queues(&mut self) {
        self.timer.take();
        let ids: Vec<u64> = self.queued.iter().copied().collect();
        let mut progress = false;
        for id in ids {
            progress |= self.flush_queue(id);
        }
        if !self.queued.is_empty() {
            self.retry = if progress { RETRY_MIN } else { (self.retry * 2).min(RETRY_MAX) };
            let _ = self.timer.set(Some(self.retry));
        }
    }

    /// Moves what is queued for a client into its rings. True if there was room for any of it.
    fn flush_queue(&mut self, id: u64) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else {
            self.queued.remove(&id);
            return false;
        };
        match connection.flush() {
            Ok(moved) => {
                if !connection.has_queue() {
                    self.queued.remove(&id);
                }
                self.watch(id);
                moved
            }
            Err(_) => {
                self.lose(id);
                false
            }
        }
    }

    /// A client that has read most of its ring need not wait for the timer.
    fn refill(&mut self) {
        let ids: Vec<u64> = self.queued.iter().copied().collect();
        for id in ids {
            if self.connections.get(&id).is_some_and(Connection::has_room) {
                self.flush_queue(id);
            }
        }
    }

    /// Tells the poller what the connection needs, if that changed.
    fn watch(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let wanted = connection.wanted_interest();
        if wanted != connection.interest && self.poller.modify(&connection.socket, id, wanted).is_ok() {
            connection.interest = wanted;
        }
    }

    fn lose(&mut self, id: u64) {
        if self.forget(id) {
            self.events.push_back(ServerEvent::Disconnected(ConnId(id)));
            self.wake.notify();
        }
    }

    fn forget(&mut self, id: u64) -> bool {
        self.work.remove(&id);
        self.queued.remove(&id);
        self.unannounced.remove(&id);
        self.polled.remove(&id);
        match self.connections.remove(&id) {
            Some(connection) => {
                let _ = self.poller.remove(&connection.socket);
                true
            }
            None => false,
        }
    }
}

/// Takes requests of one connection. Returns how many, and false if the client is to be given up.
fn take_some(
    connection: &mut Connection,
    id: u64,
    most: usize,
    events: &mut VecDeque<ServerEvent>,
) -> (usize, bool) {
    let mut bytes_taken = 0;
    for taken in 0..most {
        if bytes_taken >= BYTES_PER_TURN {
            return (taken, true);
        }
        match connection.next_request() {
            NextRequest::Message(bytes) => {
                bytes_taken += bytes.len();
                events.push_back(ServerEvent::Request(ConnId(id), bytes));
            }
            NextRequest::Nothing => return (taken, true),
            NextRequest::Close => return (taken, false),
        }
    }
    (most, true)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(path) = &self.socket_file {
            let _ = std::fs::remove_file(path);
        }
    }
}
