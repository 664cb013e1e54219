//! Netlink: messages, attributes, request and answer. What the messages mean is in [`crate::rtnl`].

use crate::{Errno, Result, check};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

const HEADER_BYTES: usize = 16;
const RECEIVE_BYTES: usize = 64 * 1024;
/// Longest wait for the kernel's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Attribute type bit: nested.
const NESTED: u16 = libc::NLA_F_NESTED as u16;
const TYPE_MASK: u16 = !(libc::NLA_F_NESTED as u16 | libc::NLA_F_NET_BYTEORDER as u16);

/// A request being built.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// `flags` in addition to NLM_F_REQUEST.
    pub fn new(kind: u16, flags: i32, body: &[u8]) -> Message {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&((flags | libc::NLM_F_REQUEST) as u16).to_ne_bytes());
        bytes.extend_from_slice(body);
        pad(&mut bytes);
        Message { bytes }
    }

    /// Appends an attribute.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Message {
        self.bytes.extend_from_slice(&((value.len() + 4) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        pad(&mut self.bytes);
        self
    }

    /// Appends an attribute only if there is a value.
    pub fn optional(self, kind: u16, value: Option<&[u8]>) -> Message {
        match value {
            Some(value) => self.attribute(kind, value),
            None => self,
        }
    }

    /// Appends a NUL-terminated string.
    pub fn string(self, kind: u16, value: &str) -> Message {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends attributes inside an attribute.
    pub fn nested(mut self, kind: u16, inside: impl FnOnce(Message) -> Message) -> Message {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        let mut message = inside(self);
        let length = (message.bytes.len() - start) as u16;
        if let Some(field) = message.bytes.get_mut(start..start + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        message
    }

    /// Appends raw bytes (a fixed structure inside a nested attribute).
    pub fn raw(mut self, bytes: &[u8]) -> Message {
        self.bytes.extend_from_slice(bytes);
        pad(&mut self.bytes);
        self
    }

    pub(crate) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// One message from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub kind: u16,
    pub flags: u16,
    sequence: u32,
    pub body: Vec<u8>,
}

impl Reply {
    /// The fixed structure of `length` bytes at the start of the body.
    pub fn fixed(&self, length: usize) -> Option<&[u8]> {
        self.body.get(..length)
    }

    /// The attributes after a fixed structure of `length` bytes.
    pub fn attributes(&self, length: usize) -> Attributes<'_> {
        Attributes { rest: self.body.get(length.next_multiple_of(4)..).unwrap_or_default() }
    }
}

/// Walks attributes (type without flag bits, value); stops at the first that is malformed.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Walks the attributes inside a nested attribute's value.
    pub fn inside(value: &'a [u8]) -> Attributes<'a> {
        Attributes { rest: value }
    }

    /// The value of the first attribute of this type.
    pub fn find(mut self, kind: u16) -> Option<&'a [u8]> {
        Iterator::find(&mut self, |(k, _)| *k == kind).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.rest, 0)?);
        let kind = u16_at(self.rest, 2)? & TYPE_MASK;
        let value = self.rest.get(4..length)?;
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// A native-order 16-bit number at an offset.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A native-order 32-bit number at an offset.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Splits what was received into messages; a malformed rest is dropped.
pub fn parse(mut bytes: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while let (Some(length), Some(kind), Some(flags), Some(sequence)) =
        (u32_at(bytes, 0), u16_at(bytes, 4), u16_at(bytes, 6), u32_at(bytes, 8))
    {
        let Some(body) = bytes.get(HEADER_BYTES..length as usize) else { break };
        replies.push(Reply { kind, flags, sequence, body: body.to_vec() });
        bytes = bytes.get((length as usize).next_multiple_of(4)..).unwrap_or_default();
    }
    replies
}

/// A netlink socket, non-blocking.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens a socket of a protocol (NETLINK_ROUTE …), subscribed to a bit mask of old-style groups.
    pub fn open(protocol: i32, groups: u32) -> Result<Socket> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: plain call; the returned descriptor is owned by nobody else.
        let fd = check(unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) })?;
        // SAFETY: `fd` was just created and is not stored elsewhere.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sockaddr_nl is plain data for which all zeroes is valid.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = groups;
        let length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: `address` is a valid address of `length` bytes.
        check(unsafe { libc::bind(fd.as_raw_fd(), std::ptr::from_ref(&address).cast(), length) })?;
        Ok(Socket { fd, sequence: 1 })
    }

    /// Sends a request and waits for its acknowledgement or the whole dump.
    pub fn request(&mut self, message: Message) -> Result<Vec<Reply>> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = message.finish(self.sequence);
        let dump = u16_at(&bytes, 6).is_some_and(|f| f & libc::NLM_F_DUMP as u16 == libc::NLM_F_DUMP as u16);
        let acknowledged = u16_at(&bytes, 6).is_some_and(|f| f & libc::NLM_F_ACK as u16 != 0);
        crate::socket::send(&self.fd, &bytes)?;
        let mut answers = Vec::new();
        loop {
            if crate::poll::wait_one(&self.fd, crate::Interest::READ, Some(ANSWER_TIMEOUT))?.is_none() {
                return Err(Errno::TIMEDOUT);
            }
            for reply in self.receive()? {
                if reply.sequence != self.sequence {
                    continue;
                }
                match i32::from(reply.kind) {
                    libc::NLMSG_DONE => return Ok(answers),
                    libc::NLMSG_ERROR => match u32_at(&reply.body, 0).unwrap_or(0) as i32 {
                        0 => return Ok(answers),
                        e => return Err(crate::errno_from_raw(e)),
                    },
                    _ => answers.push(reply),
                }
            }
            if !dump && !acknowledged && !answers.is_empty() {
                return Ok(answers);
            }
        }
    }

    /// Sends several messages as one batch (nftables transactions) and returns the first error among the answers
    /// to those that ask for an acknowledgement.
    pub fn batch(&mut self, messages: Vec<Message>) -> Result<()> {
        let mut bytes = Vec::new();
        let mut awaited = 0;
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            let message = message.finish(self.sequence);
            awaited += usize::from(u16_at(&message, 6).is_some_and(|f| f & libc::NLM_F_ACK as u16 != 0));
            bytes.extend_from_slice(&message);
        }
        crate::socket::send(&self.fd, &bytes)?;
        while awaited > 0 {
            if crate::poll::wait_one(&self.fd, crate::Interest::READ, Some(ANSWER_TIMEOUT))?.is_none() {
                return Err(Errno::TIMEDOUT);
            }
            for reply in self.receive()? {
                if i32::from(reply.kind) == libc::NLMSG_ERROR {
                    awaited = awaited.saturating_sub(1);
                    match u32_at(&reply.body, 0).unwrap_or(0) as i32 {
                        0 => {}
                        e => return Err(crate::errno_from_raw(e)),
                    }
                }
            }
        }
        Ok(())
    }

    /// What the kernel has sent by itself; empty if nothing is there. `NOBUFS`: notifications were lost.
    pub fn receive(&mut self) -> Result<Vec<Reply>> {
        let mut buffer = vec![0u8; RECEIVE_BYTES];
        match crate::socket::receive(&self.fd, &mut buffer) {
            Ok(n) => Ok(parse(buffer.get(..n).unwrap_or_default())),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nested_attributes_round_trip() {
        let message = Message::new(16, libc::NLM_F_ACK, &[1, 2, 3, 4])
            .string(3, "eth0")
            .nested(18, |m| m.attribute(1, b"abc").attribute(2, &[9]));
        let replies = parse(&message.finish(77));
        assert_eq!(replies.len(), 1);
        assert_eq!(
            (replies[0].kind, replies[0].sequence, replies[0].fixed(4)),
            (16, 77, Some(&[1, 2, 3, 4][..]))
        );
        assert_eq!(replies[0].attributes(4).find(3), Some(&b"eth0\0"[..]));
        let nested = replies[0].attributes(4).find(18).unwrap();
        assert_eq!(Attributes::inside(nested).collect::<Vec<_>>(), [(1, &b"abc"[..]), (2, &[9][..])]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for reply in parse(&bytes) {
                let _ = reply.attributes(8).count();
            }
        }
    }
}
