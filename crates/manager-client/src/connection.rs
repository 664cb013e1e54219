//! A connection to one daemon: requests with numbers, responses, events.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use xml::Document;

use crate::error::Error;
use crate::frame::{Frame, FrameError, WANT_RESPONSE};

/// Message size asked for, in bytes: what Pacemaker's clients ask for at least.
const MESSAGE_BYTES: usize = 128 * 1024;
/// Pause before a request is tried again that met flow control.
const RETRY: Duration = Duration::from_millis(10);

/// A connected client.
pub struct Connection {
    client: qb::Client,
    next_id: i32,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("next_id", &self.next_id).finish_non_exhaustive()
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        Error::Protocol(error.to_string())
    }
}

impl Connection {
    /// Connects to a daemon by the name of its service.
    ///
    /// # Errors
    /// [`Error::NotConnected`] when nobody serves it, [`Error::Denied`] when this user may not.
    pub fn open(service: &str) -> Result<Connection, Error> {
        let client = qb::Client::connect(service, MESSAGE_BYTES)?;
        Ok(Connection { client, next_id: 0 })
    }

    /// Sends a request and waits for the response to it.
    ///
    /// # Errors
    /// When the daemon goes away, does not answer in time, or answers no XML.
    pub fn request(&mut self, message: &Document, timeout: Duration) -> Result<Document, Error> {
        let deadline = Instant::now() + timeout;
        let id = self.send(message, WANT_RESPONSE, deadline)?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let frame = Frame::decode(&self.client.receive(left)?)?;
            // An answer that comes after its time was given up is passed over.
            if frame.id == id {
                return parse(&frame.text);
            }
        }
    }

    /// Sends a request that nobody answers.
    ///
    /// # Errors
    /// When the daemon goes away or stays busy.
    pub fn post(&mut self, message: &Document, timeout: Duration) -> Result<(), Error> {
        self.send(message, 0, Instant::now() + timeout).map(|_| ())
    }

    /// The next event, waiting at most `timeout`.
    ///
    /// # Errors
    /// When the daemon goes away or sends no XML.
    pub fn event(&mut self, timeout: Duration) -> Result<Option<Document>, Error> {
        match self.client.recv_event(timeout)? {
            Some(bytes) => Ok(Some(parse(&Frame::decode(&bytes)?.text)?)),
            None => Ok(None),
        }
    }

    /// Readable when an event waits.
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.client.event_fd()
    }

    fn send(&mut self, message: &Document, flags: u32, deadline: Instant) -> Result<i32, Error> {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        let bytes = Frame { id: self.next_id, flags, text: message.to_text() }.encode();
        loop {
            match self.client.send(&bytes) {
                Ok(()) => return Ok(self.next_id),
                Err(qb::Error::Again) if Instant::now() < deadline => std::thread::sleep(RETRY),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn parse(text: &str) -> Result<Document, Error> {
    Document::parse(text).map_err(|error| Error::Protocol(error.to_string()))
}
