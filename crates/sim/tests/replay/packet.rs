//! A Totem packet as it is compared: without what has no meaning.

use totem::Instant;
use totem::wire::{self, Header, Packet};

use crate::capture::Datagram;

/// What a node sent, once however many copies it took.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Instant,
    /// The one receiver of a token; None for what goes to all.
    pub to: Option<u32>,
    pub bytes: Vec<u8>,
    pub header: Header,
    pub packet: Packet,
}

impl Sent {
    /// `to` counts for the two kinds of token only.
    pub fn new(at: Instant, to: Option<u32>, bytes: &[u8]) -> Self {
        let (mut header, mut packet) = wire::decode(bytes).unwrap();
        // Leftover bytes over udp, the destination over knet: not Totem's.
        header.target = 0;
        let is_token = matches!(packet, Packet::OrfToken(_) | Packet::CommitToken(_));
        if let Packet::Join(join) = &mut packet {
            // Sets; only who is last in the failed list of a leave has a meaning.
            join.proc.sort_unstable();
            if header.nodeid != 0 {
                join.failed.sort_unstable();
            }
        }
        Self { at, to: to.filter(|_| is_token), bytes: bytes.to_vec(), header, packet }
    }

    /// What comes after the fixed part of a message.
    pub fn body(&self) -> &[u8] {
        match self.packet {
            Packet::Mcast(_) => &self.bytes[wire::MCAST_HEADER_LEN..],
            _ => &[],
        }
    }

    /// Nothing that has a meaning differs.
    pub fn is_same(&self, other: &Self) -> bool {
        self.to == other.to
            && self.header == other.header
            && self.packet == other.packet
            && self.body() == other.body()
    }

    /// A leave, by its mark.
    pub fn is_leave(&self) -> bool {
        self.header.nodeid == 0 && matches!(self.packet, Packet::Join(_))
    }
}

impl std::fmt::Display for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.at.0 / 1000;
        write!(f, "{}.{:06} ", at / 1_000_000, at % 1_000_000)?;
        if let Some(to) = self.to {
            write!(f, "to {to} ")?;
        }
        write!(f, "enc {} node {} {:?}", self.header.encapsulated, self.header.nodeid, self.packet)?;
        if !self.body().is_empty() {
            write!(f, " + {} bytes", self.body().len())?;
        }
        Ok(())
    }
}

/// Copies of one packet to several nodes leave within this time.
const COPIES_WITHIN_MS: u128 = 10;

/// What `node` sent, copies to several receivers counted once. Copies to the node `away` may come much later: they
/// waited in the kernel for its address.
pub fn sent_by(node: u32, datagrams: &[Datagram], away: Option<u32>) -> Vec<Sent> {
    let mut found: Vec<(Sent, Vec<Option<u32>>)> = Vec::new();
    for datagram in datagrams.iter().filter(|datagram| datagram.from == node) {
        let sent = Sent::new(datagram.at, datagram.to, &datagram.bytes);
        let may_wait = away.is_some() && datagram.to == away && sent.to.is_none();
        let copy = found.iter_mut().rev().find(|(earlier, receivers)| {
            !receivers.contains(&datagram.to)
                && (may_wait || sent.at.since(earlier.at).as_millis() < COPIES_WITHIN_MS)
                && earlier.is_same(&sent)
        });
        match copy {
            Some((_, receivers)) => receivers.push(datagram.to),
            None => found.push((sent, vec![datagram.to])),
        }
    }
    found.into_iter().map(|(sent, _)| sent).collect()
}
