//! Server side of one established connection.

use crate::error::Error;
use crate::handshake::{Reply, TYPE_SHARED_MEMORY};
use crate::header::RequestHeader;
use crate::ring::{Hint, Ring};
use crate::{Credentials, SHARED_MEMORY_DIRECTORY};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Duration;
use sys::{Errno, Interest};

/// A client that took something within this time counts as one that reads.
const READS_WITHIN_NS: u64 = 5_000_000_000;
/// So many times the limit of the others may wait for it.
const READER_FACTOR: usize = 8;

/// Turns in a row with requests, each soon after the one before, that make a connection busy.
const BUSY_TURNS: u8 = 3;
const SOON_NS: u64 = 1_000_000;
/// Polls in a row without a request that end polling.
const IDLE_POLLS: u8 = 8;
/// Polls between two looks for wake-up bytes of a client of our kind, which sends none while it is polled. The C
/// library sends one for each request, and waits for room where they are not read away.
const DRAIN_EVERY: u8 = 16;

/// A client that took nothing for so long does not read; nobody waits for it.
const READS_EVERY_NS: u64 = 20_000_000;

/// Names tried for a connection's directory before giving up.
const DIRECTORY_ATTEMPTS: u64 = 100;

/// Which ring a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Response,
    Event,
}

/// What the connection's next request is.
#[derive(Debug)]
pub(crate) enum NextRequest {
    Nothing,
    Message(Vec<u8>),
    /// The client said goodbye or broke the protocol.
    Close,
}

/// Counters of one connection since its start or since they were cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    pub requests: u64,
    pub responses: u64,
    /// Events, those that wait in the queue included.
    pub events: u64,
    /// Messages that did not fit into a ring at once.
    pub send_retries: u64,
    /// Times that the client was stopped.
    pub stops: u64,
    /// Messages that wait in the queue now.
    pub queued: u32,
    pub is_stopped: bool,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) pid: i32,
    counters: ConnectionStats,
    pub(crate) socket: OwnedFd,
    pub(crate) stopped: bool,
    /// The owner looks into the request ring by itself, so the socket is not watched.
    pub(crate) polled: bool,
    idle_polls: u8,
    drain_in: u8,
    busy_turns: u8,
    turn_ns: u64,
    /// What the poller watches the socket for.
    pub(crate) interest: Interest,
    files: Files,
    request: Ring,
    response: Ring,
    event: Ring,
    response_queue: VecDeque<Vec<u8>>,
    event_queue: VecDeque<Vec<u8>>,
    pub(crate) queued_bytes: usize,
    /// When something last moved from the queue into a ring, on the monotonic clock.
    pub(crate) moved_ns: u64,
    /// Where the client was in its ring of events when that was last looked at, and since when.
    read_at: u32,
    read_ns: u64,
    /// Wake-up bytes owed to the client because its socket was full.
    owed_wakeups: usize,
}

impl Connection {
    /// Makes the rings; the reply to send comes back with the connection.
    pub(crate) fn create(
        socket: OwnedFd,
        service: &str,
        credentials: Credentials,
        id: u64,
        max_message_size: usize,
    ) -> Result<(Connection, Reply), Errno> {
        use std::os::fd::AsRawFd;
        let prefix = format!("qb-{}-{}-{}", std::process::id(), credentials.pid, socket.as_raw_fd());
        let mut files = Files::create(&prefix)?;
        let owner = (credentials.uid, credentials.gid);
        let mut ring = |kind: &str| -> Result<(Ring, String), Errno> {
            let name = format!("qb-{kind}-{service}");
            files.rings.push(name.clone());
            let ring = Ring::create(&files.directory, &files.path, &name, max_message_size, owner)?;
            Ok((ring, format!("{}/{name}", files.path)))
        };
        let (request, request_path) = ring("request")?;
        let (response, response_path) = ring("response")?;
        let (event, event_path) = ring("event")?;
        files.give_to(owner)?;
        let reply = Reply {
            error: 0,
            transport: TYPE_SHARED_MEMORY,
            max_message_size: max_message_size as u32,
            connection: id,
            request: request_path,
            response: response_path,
            event: event_path,
        };
        let connection = Connection {
            pid: credentials.pid,
            counters: ConnectionStats::default(),
            socket,
            stopped: false,
            polled: false,
            idle_polls: 0,
            drain_in: 0,
            busy_turns: 0,
            turn_ns: 0,
            interest: Interest::READ,
            files,
            request,
            response,
            event,
            response_queue: VecDeque::new(),
            event_queue: VecDeque::new(),
            queued_bytes: 0,
            moved_ns: 0,
            read_at: 0,
            read_ns: 0,
            owed_wakeups: 0,
        };
        Ok((connection, reply))
    }

    /// Takes the next request out of the ring.
    pub(crate) fn next_request(&mut self) -> NextRequest {
        let bytes = match self.request.read(Duration::ZERO) {
            Ok(Some(bytes)) => bytes,
            Ok(None) if self.request.is_intact() => return NextRequest::Nothing,
            _ => return NextRequest::Close,
        };
        let Ok(header) = RequestHeader::decode(&bytes) else { return NextRequest::Close };
        if header.id == crate::handshake::ID_DISCONNECT {
            return NextRequest::Close;
        }
        match usize::try_from(header.size) {
            Ok(size) if size >= RequestHeader::BYTES && size <= bytes.len() => {
                let mut bytes = bytes;
                bytes.truncate(size);
                self.counters.requests += 1;
                NextRequest::Message(bytes)
            }
            _ => NextRequest::Close,
        }
    }

    /// True if requests wait in the ring.
    pub(crate) fn has_requests(&self) -> bool {
        self.request.waiting() > 0
    }

    /// Notes a turn with requests; true if there have been so many that looking into the ring is cheaper than
    /// being told.
    pub(crate) fn note_turn(&mut self, now_ns: u64) -> bool {
        let is_soon = now_ns.saturating_sub(self.turn_ns) < SOON_NS;
        self.turn_ns = now_ns;
        self.busy_turns = if is_soon { self.busy_turns.saturating_add(1) } else { 1 };
        self.busy_turns >= BUSY_TURNS
    }

    /// Notes a poll; true if polling should end.
    pub(crate) fn note_poll(&mut self, requests: usize) -> bool {
        self.idle_polls = if requests > 0 { 0 } else { self.idle_polls.saturating_add(1) };
        self.idle_polls >= IDLE_POLLS
    }

    /// Starts or ends polling. After the end, requests that are in the ring have not been announced.
    pub(crate) fn set_polled(&mut self, polled: bool) {
        self.polled = polled;
        self.idle_polls = 0;
        self.drain_in = 0;
        self.busy_turns = 0;
        self.request.set_hint(if polled { Hint::Awake } else { Hint::Each });
    }

    /// [`Connection::drain_wakeups`] for a polled connection: rarely, if the client sends no bytes.
    pub(crate) fn drain_if_due(&mut self) -> bool {
        if self.drain_in > 0 {
            self.drain_in -= 1;
            return true;
        }
        // A client of our kind says how it wants to be told of events.
        if self.event.hint() != Hint::Each {
            self.drain_in = DRAIN_EVERY;
        }
        self.drain_wakeups()
    }

    /// Reads away the client's wake-up bytes. False: the client has closed its end.
    pub(crate) fn drain_wakeups(&self) -> bool {
        let mut buffer = [0u8; 4096];
        match sys::socket::receive(&self.socket, &mut buffer) {
            Ok(0) => false,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// Bytes of events that the client has not read, if it does read.
    pub(crate) fn unread(&mut self, now_ns: u64) -> usize {
        let (read_at, bytes) = self.event.unread();
        if bytes == 0 || read_at != self.read_at {
            self.read_at = read_at;
            self.read_ns = now_ns;
        }
        if now_ns.saturating_sub(self.read_ns) > READS_EVERY_NS { 0 } else { bytes + self.queued_bytes }
    }

    /// True if at least half of the ring of events is free.
    pub(crate) fn has_room(&self) -> bool {
        self.event.is_half_read()
    }

    pub(crate) fn stats(&self) -> ConnectionStats {
        let queued = self.response_queue.len() + self.event_queue.len();
        let queued = u32::try_from(queued).unwrap_or(u32::MAX);
        ConnectionStats { queued, is_stopped: self.stopped, ..self.counters }
    }

    pub(crate) fn clear_stats(&mut self) {
        self.counters = ConnectionStats::default();
    }

    /// Sends or queues a message. `Again`: the queue is over its limit, the client does not read.
    pub(crate) fn send(&mut self, channel: Channel, parts: &[&[u8]], max_queue: usize) -> Result<(), Error> {
        let queue_is_empty = match channel {
            Channel::Response => {
                self.counters.responses += 1;
                self.response_queue.is_empty()
            }
            Channel::Event => {
                self.counters.events += 1;
                self.event_queue.is_empty()
            }
        };
        if queue_is_empty {
            match self.write(channel, parts) {
                Err(Error::Again) => {}
                other => return other,
            }
        }
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if self.queued_bytes + len > self.queue_limit(max_queue) {
            return Err(Error::Again);
        }
        if self.queued_bytes == 0 {
            self.moved_ns = sys::clock::monotonic_ns();
        }
        self.queued_bytes += len;
        self.counters.send_retries += 1;
        match channel {
            Channel::Response => self.response_queue.push_back(parts.concat()),
            Channel::Event => self.event_queue.push_back(parts.concat()),
        }
        Ok(())
    }

    /// Who reads, only slowly, may fall behind further than who has stopped reading.
    fn queue_limit(&self, max_queue: usize) -> usize {
        let silent_ns = sys::clock::monotonic_ns().saturating_sub(self.moved_ns);
        if self.queued_bytes > 0 && silent_ns < READS_WITHIN_NS {
            max_queue.saturating_mul(READER_FACTOR)
        } else {
            max_queue
        }
    }

    fn write(&mut self, channel: Channel, parts: &[&[u8]]) -> Result<(), Error> {
        let ring = match channel {
            Channel::Response => &self.response,
            Channel::Event => &self.event,
        };
        ring.write(parts)?;
        if !ring.is_intact() {
            return Err(Error::Damaged);
        }
        if channel == Channel::Event {
            self.owed_wakeups += 1;
        }
        Ok(())
    }

    /// Sends the wake-up bytes that are owed, as far as the socket takes them.
    pub(crate) fn pay_wakeups(&mut self) -> Result<(), Error> {
        const BYTES: [u8; 256] = [0; 256];
        if self.owed_wakeups > 0 {
            self.owed_wakeups = self.event.wakeups_for(self.owed_wakeups);
        }
        while self.owed_wakeups > 0 {
            let count = self.owed_wakeups.min(BYTES.len());
            match sys::socket::send(&self.socket, BYTES.get(..count).unwrap_or_default()) {
                Ok(sent) => self.owed_wakeups = self.owed_wakeups.saturating_sub(sent),
                Err(Errno::AGAIN | Errno::NOBUFS) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Err(Error::Disconnected),
            }
        }
        Ok(())
    }

    /// Moves queued messages into the rings as far as there is room. True if any was moved.
    pub(crate) fn flush(&mut self) -> Result<bool, Error> {
        let mut moved = false;
        for channel in [Channel::Response, Channel::Event] {
            loop {
                let queue = match channel {
                    Channel::Response => &mut self.response_queue,
                    Channel::Event => &mut self.event_queue,
                };
                let Some(bytes) = queue.pop_front() else { break };
                match self.write(channel, &[&bytes]) {
                    Ok(()) => {
                        self.queued_bytes = self.queued_bytes.saturating_sub(bytes.len());
                        moved = true;
                    }
                    Err(Error::Again) => {
                        match channel {
                            Channel::Response => self.response_queue.push_front(bytes),
                            Channel::Event => self.event_queue.push_front(bytes),
                        }
                        break;
                    }
                    Err(e) => return Err(e),
                }
            }
        }
        if moved {
            self.moved_ns = sys::clock::monotonic_ns();
        }
        self.pay_wakeups()?;
        Ok(moved)
    }

    pub(crate) fn has_queue(&self) -> bool {
        !self.response_queue.is_empty() || !self.event_queue.is_empty()
    }

    pub(crate) fn set_flow(&mut self, stop: bool) {
        self.counters.stops += u64::from(stop && !self.stopped);
        self.stopped = stop;
        self.request.set_flow(u32::from(stop));
    }

    /// What the socket is to be watched for now.
    pub(crate) fn wanted_interest(&self) -> Interest {
        Interest { read: !self.stopped && !self.polled, write: self.owed_wakeups > 0 }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for ring in [&self.request, &self.response, &self.event] {
            ring.release();
        }
        self.files.remove();
    }
}

/// The directory in shared memory that holds a connection's rings.
#[derive(Debug)]
struct Files {
    directory: OwnedFd,
    path: String,
    rings: Vec<String>,
    removed: bool,
}

impl Files {
    fn create(prefix: &str) -> Result<Files, Errno> {
        use rustix::fs::{Mode, OFlags};
        let seed = sys::clock::monotonic_ns();
        for attempt in 0..DIRECTORY_ATTEMPTS {
            let suffix: String = suffix(seed.wrapping_add(attempt.wrapping_mul(7919)));
            let path = format!("{SHARED_MEMORY_DIRECTORY}/{prefix}-{suffix}");
            match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o770)) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue,
                Err(e) => return Err(e),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = rustix::fs::open(&path, flags, Mode::empty())?;
            // Whatever the umask says.
            rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o770))?;
            return Ok(Files { directory, path, rings: Vec::new(), removed: false });
        }
        Err(Errno::EXIST)
    }

    /// Last step of the set-up: from here on the client may change what is in the directory.
    fn give_to(&self, owner: (u32, u32)) -> Result<(), Errno> {
        match sys::shm::change_owner(&self.directory, owner.0, owner.1) {
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn remove(&mut self) {
        if std::mem::replace(&mut self.removed, true) {
            return;
        }
        // Relative to the open directory: the client owns it and might have put something else at its path.
        for ring in &self.rings {
            for suffix in ["header", "data"] {
                let name = format!("{ring}-{suffix}");
                let _ = rustix::fs::unlinkat(&self.directory, name, rustix::fs::AtFlags::empty());
            }
        }
        let _ = rustix::fs::rmdir(&self.path);
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Six letters and digits.
fn suffix(mut seed: u64) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (seed >> 29);
    (0..6).map(|i| char::from(LETTERS[(seed >> (i * 5 + 20)) as usize & 31])).collect()
}
