//! One connection to a service: calls with retries, events.

use crate::error::{Error, Status};
use crate::wire::{Reader, Writer};
use qb::ResponseHeader;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Requests that the services themselves allow are at most this long.
pub(crate) const MAX_REQUEST_BYTES: usize = 8192 * 128;
/// Longest wait for one answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a call that is answered with "try again" is repeated: the engine says so while it synchronises.
const RETRY_FOR: Duration = Duration::from_secs(20);
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Connection {
    client: qb::Client,
    retry_for: Duration,
}

impl Connection {
    /// Connects, repeating while the service says that it is not ready.
    pub(crate) fn open(service: &str) -> Result<Connection, Error> {
        let start = Instant::now();
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            match qb::Client::connect(service, MAX_REQUEST_BYTES) {
                Ok(client) => return Ok(Connection { client, retry_for: RETRY_FOR }),
                Err(qb::ConnectError::Again { .. }) if start.elapsed() < RETRY_FOR => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    pub(crate) fn set_retry(&mut self, retry_for: Duration) {
        self.retry_for = retry_for;
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.client.event_fd()
    }

    pub(crate) fn server(&self) -> qb::Credentials {
        self.client.server()
    }

    /// Sends a request and returns the whole answer if its status is OK; repeats while the status is TRY_AGAIN.
    pub(crate) fn call(&mut self, id: i32, request: Writer) -> Result<Vec<u8>, Error> {
        let request = request.finish(id);
        let start = Instant::now();
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            match self.call_once(&request) {
                Err(Error::TryAgain) if start.elapsed() + pause < self.retry_for => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
                other => return other,
            }
        }
    }

    fn call_once(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let answer = self.client.request(request, CALL_TIMEOUT)?;
        let header = ResponseHeader::decode(&answer).map_err(|_| Error::Protocol("an answer's header"))?;
        match Status(header.error) {
            Status::OK => Ok(answer),
            Status::TRY_AGAIN => Err(Error::TryAgain),
            status => Err(Error::Status(status)),
        }
    }

    /// Sends a message that has no answer, in parts.
    pub(crate) fn send(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        Ok(self.client.send_parts(parts)?)
    }

    /// The next event (its id and whole message), without waiting.
    pub(crate) fn poll_event(&mut self) -> Result<Option<(i32, Vec<u8>)>, Error> {
        let Some(bytes) = self.client.recv_event(Duration::ZERO)? else { return Ok(None) };
        let id = Reader::new(&bytes, "an event's header").i32(0)?;
        Ok(Some((id, bytes)))
    }
}
