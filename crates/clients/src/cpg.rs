//! Closed process groups: ordered messages between processes of the cluster (`cpg_overview(3)`).

use crate::RingId;
use crate::connection::{Connection, MAX_REQUEST_BYTES};
use crate::error::Error;
use crate::wire::{Reader, Writer};
use std::collections::HashMap;
use std::os::fd::BorrowedFd;

/// Longest group name in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Largest message sent in one piece; larger ones go in fragments.
pub const MAX_FRAGMENT_BYTES: usize = MAX_REQUEST_BYTES - 1024;
/// Largest message that is put together from fragments.
pub const MAX_ASSEMBLED_BYTES: usize = 256 * 1024 * 1024;

const NAME_FIELD_BYTES: usize = 136;
const ADDRESS_BYTES: usize = 24;
const FLAG_INITIAL_TOTEM_CONFCHG: u32 = 1;
const PARTIAL_FIRST: u32 = 1;
const PARTIAL_CONTINUED: u32 = 2;
const PARTIAL_LAST: u32 = 3;

/// Order in which messages are delivered. The engine treats all kinds as agreed order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guarantee {
    Unordered = 0,
    Fifo = 1,
    #[default]
    Agreed = 2,
    Safe = 3,
}

/// Why a member appears in a change of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Member list entries have no reason.
    None,
    Join,
    Leave,
    NodeDown,
    NodeUp,
    ProcessDown,
    Other(u32),
}

impl Reason {
    fn from_raw(raw: u32) -> Reason {
        match raw {
            0 => Reason::None,
            1 => Reason::Join,
            2 => Reason::Leave,
            3 => Reason::NodeDown,
            4 => Reason::NodeUp,
            5 => Reason::ProcessDown,
            other => Reason::Other(other),
        }
    }
}

/// A process in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpgAddress {
    pub node: u32,
    pub pid: u32,
    pub reason: Reason,
}

/// What happens in the groups that were joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CpgEvent {
    Message {
        group: Vec<u8>,
        node: u32,
        pid: u32,
        data: Vec<u8>,
    },
    Membership {
        group: Vec<u8>,
        members: Vec<CpgAddress>,
        left: Vec<CpgAddress>,
        joined: Vec<CpgAddress>,
    },
    /// The ring changed.
    Ring {
        ring: RingId,
        members: Vec<u32>,
    },
}

/// What [`Cpg::list`] walks through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Each group once.
    Names,
    /// The members of one group.
    Group(&'a [u8]),
    /// All members of all groups.
    All,
}

/// A group and one of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpgMember {
    pub group: Vec<u8>,
    pub node: u32,
    pub pid: u32,
}

/// A connection to the cpg service. One group per connection.
#[derive(Debug)]
pub struct Cpg {
    connection: Connection,
    fragments: HashMap<(u32, u32), Vec<u8>>,
}

impl Cpg {
    pub fn open() -> Result<Cpg, Error> {
        Ok(Cpg { connection: Connection::open("cpg")?, fragments: HashMap::new() })
    }

    /// How long calls are repeated while the engine says "try again" (default 20 s; zero: not at all).
    pub fn set_retry(&mut self, retry_for: std::time::Duration) {
        self.connection.set_retry(retry_for);
    }

    /// Readable when an event waits.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.connection.fd()
    }

    /// Who serves.
    pub fn server(&self) -> qb::Credentials {
        self.connection.server()
    }

    /// Node id of this node.
    pub fn local_node(&mut self) -> Result<u32, Error> {
        let answer = self.connection.call(4, Writer::new(16))?;
        Reader::new(&answer, "cpg local node").u32(24)
    }

    /// Joins a group. The name's bytes count, also a NUL at its end (Pacemaker's groups have one).
    /// `ring_changes`: a first [`CpgEvent::Ring`] follows at once.
    pub fn join(&mut self, group: &[u8], ring_changes: bool) -> Result<(), Error> {
        let flags = if ring_changes { FLAG_INITIAL_TOTEM_CONFCHG } else { 0 };
        let request = name(Writer::new(168), 16, group)?.u32(152, std::process::id()).u32(160, flags);
        self.connection.call(0, request).map(drop)
    }

    pub fn leave(&mut self, group: &[u8]) -> Result<(), Error> {
        let request = name(Writer::new(160), 16, group)?.u32(152, std::process::id());
        self.connection.call(1, request).map(drop)
    }

    /// Tells the service that this client ends, in order: others see a leave instead of a dead process.
    pub fn finalize(mut self) -> Result<(), Error> {
        self.connection.call(8, Writer::new(16)).map(drop)
    }

    /// Sends a message to the group that was joined. Does not repeat: [`Error::TryAgain`] means that nothing was
    /// sent and the caller should serve its events, then try again.
    pub fn mcast(&mut self, guarantee: Guarantee, parts: &[&[u8]]) -> Result<(), Error> {
        let length: usize = parts.iter().map(|p| p.len()).sum();
        if length > MAX_FRAGMENT_BYTES {
            return self.mcast_fragments(guarantee, &parts.concat());
        }
        // The size field covers the data, which follows in parts of its own.
        let header = Writer::new(40)
            .u32(24, guarantee as u32)
            .u32(32, length as u32)
            .put(0, &2i32.to_ne_bytes())
            .put(8, &((40 + length) as i32).to_ne_bytes());
        let header = header.into_bytes();
        let mut pieces = vec![header.as_slice()];
        pieces.extend_from_slice(parts);
        self.connection.send(&pieces)
    }

    fn mcast_fragments(&mut self, guarantee: Guarantee, data: &[u8]) -> Result<(), Error> {
        let total = u32::try_from(data.len())
            .map_err(|_| Error::TooLong { what: "message", limit: u32::MAX as usize })?;
        let last = data.len().div_ceil(MAX_FRAGMENT_BYTES).saturating_sub(1);
        for (index, fragment) in data.chunks(MAX_FRAGMENT_BYTES).enumerate() {
            let kind = match index {
                0 => PARTIAL_FIRST,
                i if i == last => PARTIAL_LAST,
                _ => PARTIAL_CONTINUED,
            };
            let request = Writer::new(56)
                .u32(24, guarantee as u32)
                .u32(32, total)
                .u32(40, fragment.len() as u32)
                .u32(48, kind)
                .put(56, fragment);
            self.connection.call(12, request)?;
        }
        Ok(())
    }

    /// Members of a group now.
    pub fn members(&mut self, group: &[u8]) -> Result<Vec<CpgAddress>, Error> {
        let answer = self.connection.call(3, name(Writer::new(152), 16, group)?)?;
        let reader = Reader::new(&answer, "cpg membership");
        addresses(reader, 32, reader.u32(24)?)
    }

    /// Groups and members of the whole cluster.
    pub fn list(&mut self, scope: Scope<'_>) -> Result<Vec<CpgMember>, Error> {
        let (group, kind) = match scope {
            Scope::Names => (&[][..], 1),
            Scope::Group(group) => (group, 2),
            Scope::All => (&[][..], 3),
        };
        let request = name(Writer::new(160), 16, group)?.u32(152, kind);
        let answer = self.connection.call(5, request)?;
        let handle = Reader::new(&answer, "cpg iteration").u64(24)?;
        let mut found = Vec::new();
        let outcome = loop {
            match self.connection.call(6, Writer::new(24).u64(16, handle)) {
                Ok(answer) => found.push(parse_member(&answer)?),
                Err(Error::Status(crate::Status::NO_SECTIONS)) => break Ok(found),
                Err(e) => break Err(e),
            }
        };
        self.connection.call(7, Writer::new(24).u64(16, handle))?;
        outcome
    }

    /// The next event, without waiting.
    pub fn poll_event(&mut self) -> Result<Option<CpgEvent>, Error> {
        while let Some((id, bytes)) = self.connection.poll_event()? {
            if let Some(event) = decode(id, &bytes, &mut self.fragments)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

fn name(writer: Writer, at: usize, group: &[u8]) -> Result<Writer, Error> {
    if group.len() > MAX_NAME_BYTES {
        return Err(Error::TooLong { what: "group name", limit: MAX_NAME_BYTES });
    }
    Ok(writer.u32(at, group.len() as u32).put(at + 8, group))
}

fn read_name(reader: Reader<'_>, at: usize) -> Result<Vec<u8>, Error> {
    let length = reader.u32(at)? as usize;
    if length > MAX_NAME_BYTES {
        return Err(Error::Protocol("a group name's length"));
    }
    Ok(reader.bytes(at + 8, length)?.to_vec())
}

fn addresses(reader: Reader<'_>, at: usize, count: u32) -> Result<Vec<CpgAddress>, Error> {
    (0..count as usize)
        .map(|index| {
            let at = at + index * ADDRESS_BYTES;
            Ok(CpgAddress {
                node: reader.u32(at)?,
                pid: reader.u32(at + 8)?,
                reason: Reason::from_raw(reader.u32(at + 16)?),
            })
        })
        .collect()
}

fn parse_member(answer: &[u8]) -> Result<CpgMember, Error> {
    let reader = Reader::new(answer, "cpg iteration");
    let at = 24 + NAME_FIELD_BYTES;
    Ok(CpgMember { group: read_name(reader, 24)?, node: reader.u32(at)?, pid: reader.u32(at + 4)? })
}

fn decode(
    id: i32,
    bytes: &[u8],
    fragments: &mut HashMap<(u32, u32), Vec<u8>>,
) -> Result<Option<CpgEvent>, Error> {
    let reader = Reader::new(bytes, "a cpg event");
    match id {
        4 => {
            let (members, joined, left) = (reader.u32(160)?, reader.u32(168)?, reader.u32(176)?);
            let after_members = 184 + members as usize * ADDRESS_BYTES;
            let after_left = after_members + left as usize * ADDRESS_BYTES;
            Ok(Some(CpgEvent::Membership {
                group: read_name(reader, 24)?,
                members: addresses(reader, 184, members)?,
                left: addresses(reader, after_members, left)?,
                joined: addresses(reader, after_left, joined)?,
            }))
        }
        5 => Ok(Some(CpgEvent::Message {
            group: read_name(reader, 24)?,
            node: reader.u32(168)?,
            pid: reader.u32(176)?,
            data: reader.bytes(184, reader.u32(160)? as usize)?.to_vec(),
        })),
        13 => Ok(Some(CpgEvent::Ring {
            ring: RingId { node: reader.u32(24)?, sequence: reader.u64(32)? },
            members: reader.u32_list(44, reader.u32(40)?)?,
        })),
        17 => assemble(reader, fragments),
        _ => Ok(None),
    }
}

/// Collects fragments per sender; a sender's fragments never mix with those of its next message.
fn assemble(
    reader: Reader<'_>,
    fragments: &mut HashMap<(u32, u32), Vec<u8>>,
) -> Result<Option<CpgEvent>, Error> {
    let (total, length) = (reader.u32(160)? as usize, reader.u32(168)? as usize);
    let sender = (reader.u32(176)?, reader.u32(184)?);
    let kind = reader.u32(192)?;
    let data = reader.bytes(200, length)?;
    if kind == PARTIAL_FIRST {
        fragments.insert(sender, Vec::new());
    }
    let Some(assembled) = fragments.get_mut(&sender) else { return Ok(None) };
    if total > MAX_ASSEMBLED_BYTES || assembled.len() + data.len() > total {
        fragments.remove(&sender);
        return Err(Error::Protocol("fragments of a message"));
    }
    assembled.extend_from_slice(data);
    if kind != PARTIAL_LAST {
        return Ok(None);
    }
    let data = fragments.remove(&sender).unwrap_or_default();
    if data.len() != total {
        return Err(Error::Protocol("fragments of a message"));
    }
    Ok(Some(CpgEvent::Message { group: read_name(reader, 24)?, node: sender.0, pid: sender.1, data }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_events_never_panic(
            id in 0i32..20,
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            small: bool,
        ) {
            if small && bytes.len() > 200 {
                for at in [24, 160, 168, 176, 192] {
                    bytes[at + 1..at + 4].fill(0);
                }
            }
            let mut fragments = HashMap::new();
            let _ = decode(id, &bytes, &mut fragments);
            let _ = decode(17, &bytes, &mut fragments);
            let _ = parse_member(&bytes);
        }
    }

    #[test]
    fn fragments_are_put_together_per_sender() {
        let part = |pid: u32, kind: u32, data: &[u8]| {
            let writer = name(Writer::new(200), 24, b"g").unwrap();
            writer
                .u32(160, 6)
                .u32(168, data.len() as u32)
                .u32(176, 1)
                .u32(184, pid)
                .u32(192, kind)
                .put(200, data)
                .finish(17)
        };
        let mut fragments = HashMap::new();
        assert_eq!(decode(17, &part(7, PARTIAL_FIRST, b"abc"), &mut fragments).unwrap(), None);
        assert_eq!(decode(17, &part(8, PARTIAL_FIRST, b"uvw"), &mut fragments).unwrap(), None);
        let done = decode(17, &part(7, PARTIAL_LAST, b"def"), &mut fragments).unwrap();
        let group = b"g".to_vec();
        assert_eq!(done, Some(CpgEvent::Message { group, node: 1, pid: 7, data: b"abcdef".to_vec() }));
        assert!(decode(17, &part(8, PARTIAL_CONTINUED, b"too long"), &mut fragments).is_err());
        assert_eq!(decode(17, &part(8, PARTIAL_LAST, b"xyz"), &mut fragments).unwrap(), None);
    }
}
