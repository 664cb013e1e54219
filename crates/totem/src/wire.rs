//! Totem packets as they travel: layouts, both byte orders, strict length checks.
//!
//! Layouts are those of corosync 3.x (protocol version 3). Integers are in the byte order of the
//! sender; the magic tells which one. Everything we send is in the native order.

use crate::RingId;

/// Bytes of the header that starts every packet.
pub const HEADER_LEN: usize = 13;
/// Bytes before the body of an mcast.
pub const MCAST_HEADER_LEN: usize = 45;
/// Protocol version in each header.
pub const VERSION: u8 = 3;
/// Most nodes that any list may name.
pub const NODES_MAX: usize = 384;
/// Most retransmission requests in one token.
pub const RETRANSMITS_MAX: usize = 30;
/// Largest packet.
pub const PACKET_MAX: usize = 65_536;
/// `encapsulated`: the body is a whole mcast of an older ring.
pub const ENCAPSULATED: u8 = 1;
/// `encapsulated`: an ordinary mcast.
pub const NOT_ENCAPSULATED: u8 = 2;

const MAGIC: u16 = 0xC070;

/// Byte order of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// The order of this machine.
    pub const NATIVE: Self = if cfg!(target_endian = "little") { Self::Little } else { Self::Big };

    /// Reads a u16 in this order.
    #[must_use]
    pub fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    /// Reads a u32 in this order.
    #[must_use]
    pub fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// Reads a u64 in this order.
    #[must_use]
    pub fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// Why a packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("packet is too short")]
    Short,
    #[error("bad magic number {0:#06x}")]
    Magic(u16),
    #[error("unsupported version {0}")]
    Version(u8),
    #[error("wrong type {0}")]
    Kind(u8),
    #[error("count field is out of range")]
    Count,
}

/// The common header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub order: ByteOrder,
    pub encapsulated: u8,
    /// Sender; 0 only in a leave.
    pub nodeid: u32,
    /// Destination over knet; udp and udpu leave rubbish here.
    pub target: u32,
}

impl Header {
    /// A header of our own.
    #[must_use]
    pub fn native(nodeid: u32, encapsulated: u8) -> Self {
        Self { order: ByteOrder::NATIVE, encapsulated, nodeid, target: 0 }
    }
}

/// The token that rotates in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrfToken {
    pub seq: u32,
    pub token_seq: u32,
    pub aru: u32,
    pub aru_addr: u32,
    pub ring: RingId,
    pub backlog: u32,
    pub fcc: u32,
    pub retrans_flg: u32,
    pub rtr: Vec<(RingId, u32)>,
}

/// The fixed part of an mcast; its body starts at [`MCAST_HEADER_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mcast {
    pub system_from: u32,
    pub seq: u32,
    pub this_seqno: u32,
    pub ring: RingId,
    pub node_id: u32,
    pub guarantee: u32,
}

/// "Here is another ring."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeDetect {
    pub system_from: u32,
    pub ring: RingId,
}

/// A proposal of a membership, or a leave when the header's node id is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    pub system_from: u32,
    pub ring_seq: u64,
    pub proc: Vec<u32>,
    pub failed: Vec<u32>,
}

/// What one member tells the others of its old ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitEntry {
    pub ring: RingId,
    pub aru: u32,
    pub high_delivered: u32,
    pub received_flg: u32,
}

/// The token that installs a membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitToken {
    pub token_seq: u32,
    pub ring: RingId,
    pub retrans_flg: u32,
    pub memb_index: u32,
    /// Members in ascending order, each with its entry (filled as the token passes).
    pub members: Vec<(u32, CommitEntry)>,
}

/// A decoded packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    OrfToken(OrfToken),
    Mcast(Mcast),
    MergeDetect(MergeDetect),
    Join(Join),
    CommitToken(CommitToken),
    HoldCancel(RingId),
}

/// True if the bytes look like an orf_token: a driver hands these over after everything else that
/// it has received, since the messages which a token counts were sent before it.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    bytes.get(3) == Some(&0)
}

/// Cursor over received bytes; every read is checked.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], order: ByteOrder) -> Self {
        Self { bytes, order }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.bytes.split_first_chunk::<N>().ok_or(DecodeError::Short)?;
        self.bytes = tail;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.take::<1>()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(self.order.u16(self.take()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(self.order.u32(self.take()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(self.order.u64(self.take()?))
    }

    fn ring(&mut self) -> Result<RingId, DecodeError> {
        Ok(RingId { rep: self.u32()?, seq: self.u64()? })
    }

    fn count(&mut self, max: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.u32()?).map_err(|_| DecodeError::Count)?;
        if count > max {
            return Err(DecodeError::Count);
        }
        Ok(count)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.bytes
    }
}

/// Decodes the header and the typed part of a packet.
///
/// # Errors
/// Anything that is not exactly a packet of this protocol version; the caller drops and logs it.
pub fn decode(bytes: &[u8]) -> Result<(Header, Packet), DecodeError> {
    let (header, kind) = decode_header(bytes)?;
    let body = bytes.get(HEADER_LEN..).ok_or(DecodeError::Short)?;
    let mut r = Reader::new(body, header.order);
    let packet = match kind {
        0 => Packet::OrfToken(decode_orf(&mut r)?),
        1 => Packet::Mcast(decode_mcast(&mut r)?),
        2 => Packet::MergeDetect(MergeDetect { system_from: r.u32()?, ring: r.ring()? }),
        3 => Packet::Join(decode_join(&mut r)?),
        4 => Packet::CommitToken(decode_commit(&mut r)?),
        5 => Packet::HoldCancel(r.ring()?),
        other => return Err(DecodeError::Kind(other)),
    };
    Ok((header, packet))
}

fn decode_header(bytes: &[u8]) -> Result<(Header, u8), DecodeError> {
    let magic: [u8; 2] = bytes.first_chunk::<2>().copied().ok_or(DecodeError::Short)?;
    let order = match (u16::from_le_bytes(magic), u16::from_be_bytes(magic)) {
        (MAGIC, _) => ByteOrder::Little,
        (_, MAGIC) => ByteOrder::Big,
        (other, _) => return Err(DecodeError::Magic(other)),
    };
    let mut r = Reader::new(bytes.get(2..).unwrap_or_default(), order);
    let version = r.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let kind = r.u8()?;
    let header = Header { order, encapsulated: r.u8()?, nodeid: r.u32()?, target: r.u32()? };
    Ok((header, kind))
}

fn decode_orf(r: &mut Reader<'_>) -> Result<OrfToken, DecodeError> {
    let mut token = OrfToken {
        seq: r.u32()?,
        token_seq: r.u32()?,
        aru: r.u32()?,
        aru_addr: r.u32()?,
        ring: r.ring()?,
        backlog: r.u32()?,
        fcc: r.u32()?,
        retrans_flg: r.u32()?,
        rtr: Vec::new(),
    };
    for _ in 0..r.count(RETRANSMITS_MAX)? {
        token.rtr.push((r.ring()?, r.u32()?));
    }
    Ok(token)
}

fn decode_mcast(r: &mut Reader<'_>) -> Result<Mcast, DecodeError> {
    Ok(Mcast {
        system_from: r.u32()?,
        seq: r.u32()?,
        this_seqno: r.u32()?,
        ring: r.ring()?,
        node_id: r.u32()?,
        guarantee: r.u32()?,
    })
}

fn decode_join(r: &mut Reader<'_>) -> Result<Join, DecodeError> {
    let system_from = r.u32()?;
    let proc_count = r.count(NODES_MAX)?;
    let failed_count = r.count(NODES_MAX)?;
    let ring_seq = r.u64()?;
    let mut ids = |count| (0..count).map(|_| r.u32()).collect::<Result<Vec<_>, _>>();
    Ok(Join { system_from, ring_seq, proc: ids(proc_count)?, failed: ids(failed_count)? })
}

fn decode_commit(r: &mut Reader<'_>) -> Result<CommitToken, DecodeError> {
    let token_seq = r.u32()?;
    let ring = r.ring()?;
    let retrans_flg = r.u32()?;
    let memb_index = r.u32()?;
    let count = r.count(NODES_MAX)?;
    if usize::try_from(memb_index).map_err(|_| DecodeError::Count)? > count {
        return Err(DecodeError::Count);
    }
    let ids = (0..count).map(|_| r.u32()).collect::<Result<Vec<_>, _>>()?;
    let mut members = Vec::with_capacity(count);
    for id in ids {
        let entry =
            CommitEntry { ring: r.ring()?, aru: r.u32()?, high_delivered: r.u32()?, received_flg: r.u32()? };
        members.push((id, entry));
    }
    Ok(CommitToken { token_seq, ring, retrans_flg, memb_index, members })
}

/// Builds packets in one byte order.
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
    order: ByteOrder,
}

impl Writer {
    pub(crate) fn new(order: ByteOrder, capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), order }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
    }

    fn ring(&mut self, ring: RingId) {
        self.u32(ring.rep);
        self.u64(ring.seq);
    }

    fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn ids(&mut self, ids: &[u32]) {
        for id in ids {
            self.u32(*id);
        }
    }
}

/// Encodes a packet; for an mcast the body is appended.
#[must_use]
pub fn encode(header: Header, packet: &Packet, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MCAST_HEADER_LEN + 64 + body.len());
    encode_into(&mut bytes, header, packet);
    if let Packet::Mcast(_) = packet {
        bytes.extend_from_slice(body);
    }
    bytes
}

/// Writes an mcast's header into the room before its body, the first [`MCAST_HEADER_LEN`] bytes.
pub(crate) fn encode_before(body: &mut [u8], header: Header, mcast: Mcast) {
    let mut bytes = Vec::with_capacity(MCAST_HEADER_LEN);
    encode_into(&mut bytes, header, &Packet::Mcast(mcast));
    for (to, from) in body.iter_mut().zip(bytes) {
        *to = from;
    }
}

fn encode_into(bytes: &mut Vec<u8>, header: Header, packet: &Packet) {
    let mut w = Writer { bytes: core::mem::take(bytes), order: header.order };
    w.u16(MAGIC);
    w.u8(VERSION);
    w.u8(kind(packet));
    w.u8(header.encapsulated);
    w.u32(header.nodeid);
    w.u32(header.target);
    match packet {
        Packet::OrfToken(token) => encode_orf(&mut w, token),
        Packet::Mcast(mcast) => encode_mcast(&mut w, mcast),
        Packet::MergeDetect(merge) => {
            w.u32(merge.system_from);
            w.ring(merge.ring);
        }
        Packet::Join(join) => {
            w.u32(join.system_from);
            w.count(join.proc.len());
            w.count(join.failed.len());
            w.u64(join.ring_seq);
            w.ids(&join.proc);
            w.ids(&join.failed);
        }
        Packet::CommitToken(token) => encode_commit(&mut w, token),
        Packet::HoldCancel(ring) => w.ring(*ring),
    }
    *bytes = w.bytes;
}

fn kind(packet: &Packet) -> u8 {
    match packet {
        Packet::OrfToken(_) => 0,
        Packet::Mcast(_) => 1,
        Packet::MergeDetect(_) => 2,
        Packet::Join(_) => 3,
        Packet::CommitToken(_) => 4,
        Packet::HoldCancel(_) => 5,
    }
}

fn encode_orf(w: &mut Writer, token: &OrfToken) {
    w.u32(token.seq);
    w.u32(token.token_seq);
    w.u32(token.aru);
    w.u32(token.aru_addr);
    w.ring(token.ring);
    w.u32(token.backlog);
    w.u32(token.fcc);
    w.u32(token.retrans_flg);
    w.count(token.rtr.len());
    for (ring, seq) in &token.rtr {
        w.ring(*ring);
        w.u32(*seq);
    }
}

fn encode_mcast(w: &mut Writer, mcast: &Mcast) {
    w.u32(mcast.system_from);
    w.u32(mcast.seq);
    w.u32(mcast.this_seqno);
    w.ring(mcast.ring);
    w.u32(mcast.node_id);
    w.u32(mcast.guarantee);
}

fn encode_commit(w: &mut Writer, token: &CommitToken) {
    w.u32(token.token_seq);
    w.ring(token.ring);
    w.u32(token.retrans_flg);
    w.u32(token.memb_index);
    w.count(token.members.len());
    for (id, _) in &token.members {
        w.u32(*id);
    }
    for (_, entry) in &token.members {
        w.ring(entry.ring);
        w.u32(entry.aru);
        w.u32(entry.high_delivered);
        w.u32(entry.received_flg);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn what_decodes_encodes_to_itself(
            kind in 0u8..6, order in any::<bool>(),
            body in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 10..400),
        ) {
            let magic: [u8; 2] = if order { [0x70, 0xC0] } else { [0xC0, 0x70] };
            let bytes = [&magic[..], &[VERSION, kind], &body].concat();
            if let Ok((header, packet)) = decode(&bytes) {
                let again = encode(header, &packet, bytes.get(MCAST_HEADER_LEN..).unwrap_or_default());
                prop_assert!(bytes.starts_with(&again));
            }
        }
    }
}
