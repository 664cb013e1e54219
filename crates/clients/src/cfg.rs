//! The engine's own state and life cycle (`corosync-cfgtool(8)`).

use crate::connection::Connection;
use crate::error::Error;
use crate::wire::{Reader, Writer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

const MAX_INTERFACES: usize = 16;
const NAME_BYTES: usize = 128;
const STATUS_BYTES: usize = 512;
const ADDRESS_BYTES: usize = 16;
const MAX_LINKS: usize = 8;
const LINK_BYTES: usize = 520;
const HOST_BYTES: usize = 256;
const MAX_REASON_BYTES: usize = 255;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// One interface of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingStatus {
    /// Link number, address or both, as the transport says it.
    pub name: String,
    pub status: String,
}

/// One link to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    pub link: u8,
    pub enabled: bool,
    pub connected: bool,
    pub dynamic_connected: bool,
    pub mtu: u32,
    pub source: String,
    pub destination: String,
}

/// How this node reaches another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    pub node: u32,
    pub reachable: bool,
    pub remote: bool,
    pub external: bool,
    pub wire_min: u8,
    pub wire_max: u8,
    pub wire_version: u8,
    /// Links that are enabled or have addresses.
    pub links: Vec<LinkStatus>,
}

/// How firmly to ask the engine to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownKind {
    /// Clients that track may refuse.
    Request = 0,
    /// Clients are told but cannot refuse.
    Regardless = 1,
    /// At once.
    Immediate = 2,
}

/// What trackers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CfgEvent {
    /// May the engine end? Answer with [`Cfg::reply_to_shutdown`]. The number is that of [`ShutdownKind`].
    ShutdownAsked { flags: u32 },
}

/// A connection to the cfg service.
#[derive(Debug)]
pub struct Cfg(Connection);

impl Cfg {
    pub fn open() -> Result<Cfg, Error> {
        Ok(Cfg(Connection::open("cfg")?))
    }

    /// How long calls are repeated while the engine says "try again" (default 20 s; zero: not at all).
    pub fn set_retry(&mut self, retry_for: std::time::Duration) {
        self.0.set_retry(retry_for);
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    pub fn ring_status(&mut self) -> Result<Vec<RingStatus>, Error> {
        let answer = self.0.call(0, Writer::new(16))?;
        parse_ring_status(&answer)
    }

    /// `NOT_EXIST` for a node that is not known, `NOT_SUPPORTED` by transports without links.
    pub fn node_status(&mut self, node: u32) -> Result<NodeStatus, Error> {
        let answer = self.0.call(9, Writer::new(32).u32(16, node).u32(24, 1))?;
        parse_node_status(&answer)
    }

    pub fn ring_reenable(&mut self) -> Result<(), Error> {
        self.0.call(1, Writer::new(16)).map(drop)
    }

    /// Has another node's engine end.
    pub fn kill_node(&mut self, node: u32, reason: &str) -> Result<(), Error> {
        if reason.len() > MAX_REASON_BYTES {
            return Err(Error::TooLong { what: "reason", limit: MAX_REASON_BYTES });
        }
        let request = Writer::new(288).u32(16, node);
        let request = request.put(24, &(reason.len() as u16).to_ne_bytes()).put(26, reason.as_bytes());
        self.0.call(2, request).map(drop)
    }

    /// Asks the engine on this node to end. `Status::BUSY` or an error answer means that a client refused.
    pub fn try_shutdown(&mut self, kind: ShutdownKind) -> Result<(), Error> {
        match self.0.call(3, Writer::new(24).u32(16, kind as u32)) {
            // An engine that ends may close the connection before its answer is read.
            Ok(_) | Err(Error::Disconnected) => Ok(()),
            Err(e) => Err(e),
        }
    }

    pub fn reply_to_shutdown(&mut self, yes: bool) -> Result<(), Error> {
        self.0.call(4, Writer::new(24).u32(16, u32::from(yes))).map(drop)
    }

    /// Addresses of a node, one per link.
    pub fn node_addresses(&mut self, node: u32) -> Result<Vec<IpAddr>, Error> {
        let answer = self.0.call(5, Writer::new(24).u32(16, node))?;
        parse_addresses(&answer)
    }

    pub fn local_node(&mut self) -> Result<u32, Error> {
        let answer = self.0.call(6, Writer::new(16))?;
        Reader::new(&answer, "cfg local node").u32(24)
    }

    /// Has all nodes read their configuration files again.
    pub fn reload(&mut self) -> Result<(), Error> {
        self.0.call(7, Writer::new(16)).map(drop)
    }

    pub fn reopen_logs(&mut self) -> Result<(), Error> {
        self.0.call(8, Writer::new(16)).map(drop)
    }

    /// Asks to be asked before the engine ends.
    pub fn track(&mut self) -> Result<(), Error> {
        self.0.call(10, Writer::new(24)).map(drop)
    }

    pub fn track_stop(&mut self) -> Result<(), Error> {
        self.0.call(11, Writer::new(16)).map(drop)
    }

    /// The next event, without waiting.
    pub fn poll_event(&mut self) -> Result<Option<CfgEvent>, Error> {
        while let Some((id, bytes)) = self.0.poll_event()? {
            if id == 10 {
                let flags = Reader::new(&bytes, "a cfg event").u32(24)?;
                return Ok(Some(CfgEvent::ShutdownAsked { flags }));
            }
        }
        Ok(None)
    }
}

fn parse_ring_status(answer: &[u8]) -> Result<Vec<RingStatus>, Error> {
    let reader = Reader::new(answer, "ring status");
    let count = (reader.u32(24)? as usize).min(MAX_INTERFACES);
    let statuses = 32 + MAX_INTERFACES * NAME_BYTES;
    (0..count)
        .map(|index| {
            Ok(RingStatus {
                name: reader.text(32 + index * NAME_BYTES, NAME_BYTES)?,
                status: reader.text(statuses + index * STATUS_BYTES, STATUS_BYTES)?,
            })
        })
        .collect()
}

fn parse_node_status(answer: &[u8]) -> Result<NodeStatus, Error> {
    let reader = Reader::new(answer, "node status");
    if reader.u32(24)? != 1 {
        return Err(Error::Protocol("the version of a node status"));
    }
    let mut links = Vec::new();
    for index in 0..MAX_LINKS {
        let at = 40 + index * LINK_BYTES;
        let link = LinkStatus {
            link: index as u8,
            enabled: reader.u8(at)? != 0,
            connected: reader.u8(at + 1)? != 0,
            dynamic_connected: reader.u8(at + 2)? != 0,
            mtu: reader.u32(at + 4)?,
            source: reader.text(at + 8, HOST_BYTES)?,
            destination: reader.text(at + 8 + HOST_BYTES, HOST_BYTES)?,
        };
        if link.enabled || !link.destination.is_empty() {
            links.push(link);
        }
    }
    Ok(NodeStatus {
        node: reader.u32(28)?,
        reachable: reader.u8(32)? != 0,
        remote: reader.u8(33)? != 0,
        external: reader.u8(34)? != 0,
        wire_min: reader.u8(35)?,
        wire_max: reader.u8(36)?,
        wire_version: reader.u8(37)?,
        links,
    })
}

fn parse_addresses(answer: &[u8]) -> Result<Vec<IpAddr>, Error> {
    let reader = Reader::new(answer, "node addresses");
    let (family, count) = (reader.u32(24)?, (reader.u32(28)? as usize).min(MAX_INTERFACES));
    (0..count)
        .map(|index| {
            let bytes = reader.bytes(32 + index * ADDRESS_BYTES, ADDRESS_BYTES)?;
            let bytes: [u8; ADDRESS_BYTES] =
                bytes.try_into().map_err(|_| Error::Protocol("node addresses"))?;
            match (family, bytes) {
                (AF_INET, [a, b, c, d, ..]) => Ok(Ipv4Addr::new(a, b, c, d).into()),
                (AF_INET6, bytes) => Ok(Ipv6Addr::from(bytes).into()),
                _ => Err(Error::Protocol("the family of node addresses")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(start in proptest::collection::vec(any::<u8>(), 0..64), length in 0usize..11_000) {
            let mut bytes = start;
            bytes.resize(length, 0x33);
            let _ = parse_ring_status(&bytes);
            let _ = parse_node_status(&bytes);
            let _ = parse_addresses(&bytes);
        }
    }
}
