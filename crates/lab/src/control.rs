//! Orders over a Unix socket: words in, exit status and output back. Used by the keeper and by each host's supervisor.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Largest order or answer in bytes.
const MAX_BYTES: u32 = 1024 * 1024;
/// Longest wait for the words of an order.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);

/// Outcome of an order, like that of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub(crate) fn ok(stdout: impl Into<String>) -> Answer {
        Answer { status: 0, stdout: stdout.into(), stderr: String::new() }
    }

    pub(crate) fn fail(status: i32, stderr: impl Into<String>) -> Answer {
        Answer { status, stdout: String::new(), stderr: stderr.into() }
    }
}

/// Sends an order and waits for its answer.
pub(crate) fn call(socket: &Path, words: &[&str]) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    write_block(&mut stream, words.join("\0").as_bytes())?;
    let mut status = [0; 4];
    stream.read_exact(&mut status)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answer {
        status: i32::from_ne_bytes(status),
        stdout: text(read_block(&mut stream)?),
        stderr: text(read_block(&mut stream)?),
    })
}

/// Reads the words of an order from a client.
pub(crate) fn read_order(stream: &mut UnixStream) -> io::Result<Vec<String>> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(ORDER_TIMEOUT))?;
    let bytes = read_block(stream)?;
    Ok(bytes.split(|b| *b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

pub(crate) fn write_answer(stream: &mut UnixStream, answer: &Answer) -> io::Result<()> {
    stream.set_write_timeout(Some(ORDER_TIMEOUT))?;
    stream.write_all(&answer.status.to_ne_bytes())?;
    write_block(stream, answer.stdout.as_bytes())?;
    write_block(stream, answer.stderr.as_bytes())
}

fn write_block(stream: &mut UnixStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(&(bytes.len() as u32).to_ne_bytes())?;
    stream.write_all(bytes)
}

fn read_block(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_ne_bytes(length);
    if length > MAX_BYTES {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_answer_round_trip() {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        write_block(&mut a, b"start\0corosync").unwrap();
        assert_eq!(read_order(&mut b).unwrap(), ["start", "corosync"]);
        a.write_all(&u32::MAX.to_ne_bytes()).unwrap();
        assert_eq!(read_order(&mut b).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
