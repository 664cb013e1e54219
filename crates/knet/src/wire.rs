//! Packets of the knet protocol: header version 1 as libknet 1.2x and 1.3x speak it (`onwire.h` there).
//! Decoding never panics, keeps every byte that has no meaning yet, and so encodes what it decoded.

/// Version of the header.
pub const VERSION: u8 = 1;
/// Links between two hosts.
pub const LINKS_MAX: u8 = 8;
/// Largest message in bytes.
pub const MESSAGE_MAX: usize = 65_536;
/// Fragments of one message.
pub const FRAGMENTS_MAX: usize = 255;
/// Bytes before the user data of a data packet.
pub const DATA_HEADER_BYTES: usize = 14;
/// Bytes of a ping or pong.
pub const BEAT_BYTES: usize = 26;
/// Bytes of a reply to a probe.
pub const PROBE_REPLY_BYTES: usize = 9;
/// Header bytes that the arithmetic of sizes reckons with: the longest header.
pub const HEADER_ROOM_BYTES: usize = 26;

const TYPE_DATA: u8 = 0x00;
const TYPE_PING: u8 = 0x81;
const TYPE_PONG: u8 = 0x82;
const TYPE_PROBE: u8 = 0x83;
const TYPE_PROBE_REPLY: u8 = 0x84;

/// Why a packet was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("packet is too short")]
    Short,
    #[error("header version {0} is not spoken here")]
    Version(u8),
    #[error("unknown packet type {0:#04x}")]
    Type(u8),
    #[error("link number {0} is out of range")]
    Link(u8),
    #[error("fragment {0} of {1} is impossible")]
    Fragment(u8, u8),
}

/// What is the same in all packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Sender.
    pub node: u16,
    /// Bytes without meaning in version 1. The first one is the highest version spoken in newer releases.
    pub pads: [u8; 2],
}

/// A piece of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    pub seq: u16,
    /// Method of compression, 0 for none.
    pub compress: u8,
    pub pad: u8,
    pub broadcast: u8,
    /// Number of fragments, at least 1.
    pub fragments: u8,
    /// 1 to `fragments`; 0 in a message that is in one piece.
    pub fragment: u8,
    pub channel: u8,
    pub payload: &'a [u8],
}

/// A ping or its echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    pub link: u8,
    /// Belongs to who sent the ping; echoed as it is.
    pub time: [u8; 16],
    /// Last data sequence that the pinging host has sent.
    pub seq: u16,
    /// 1 in the regular pings, 0 in those sent because of the sequence.
    pub timed: u8,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Data(Data<'a>),
    Ping(Beat),
    Pong(Beat),
    /// Does a packet of this size arrive? `size` is in the sender's byte order, so it is opaque to others.
    Probe {
        link: u8,
        size: [u8; 2],
        fill: &'a [u8],
    },
    ProbeReply {
        link: u8,
        size: [u8; 2],
    },
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(WireError::Short)?;
        self.0 = tail;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, WireError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, WireError> {
        self.take::<2>().map(u16::from_be_bytes)
    }

    fn link(&mut self) -> Result<u8, WireError> {
        let link = self.u8()?;
        if link < LINKS_MAX { Ok(link) } else { Err(WireError::Link(link)) }
    }
}

/// Reads one packet (after decryption).
///
/// # Errors
/// Anything that no sender of version 1 writes.
pub fn decode(bytes: &[u8]) -> Result<(Header, Packet<'_>), WireError> {
    let mut r = Reader(bytes);
    let version = r.u8()?;
    if version != VERSION {
        return Err(WireError::Version(version));
    }
    let kind = r.u8()?;
    let header = Header { node: r.u16()?, pads: r.take()? };
    let packet = match kind {
        TYPE_DATA => Packet::Data(decode_data(&mut r)?),
        TYPE_PING => Packet::Ping(decode_beat(&mut r)?),
        TYPE_PONG => Packet::Pong(decode_beat(&mut r)?),
        TYPE_PROBE => Packet::Probe { link: r.link()?, size: r.take()?, fill: r.0 },
        TYPE_PROBE_REPLY => Packet::ProbeReply { link: r.link()?, size: r.take()? },
        other => return Err(WireError::Type(other)),
    };
    Ok((header, packet))
}

fn decode_data<'a>(r: &mut Reader<'a>) -> Result<Data<'a>, WireError> {
    let seq = r.u16()?;
    let [compress, pad, broadcast, fragments, fragment, channel] = r.take()?;
    let is_possible =
        if fragments == 1 { fragment <= 1 } else { fragments > 1 && (1..=fragments).contains(&fragment) };
    if !is_possible {
        return Err(WireError::Fragment(fragment, fragments));
    }
    if r.0.is_empty() {
        return Err(WireError::Short);
    }
    Ok(Data { seq, compress, pad, broadcast, fragments, fragment, channel, payload: r.0 })
}

fn decode_beat(r: &mut Reader<'_>) -> Result<Beat, WireError> {
    Ok(Beat { link: r.link()?, time: r.take()?, seq: r.u16()?, timed: r.u8()? })
}

/// Writes one packet (before encryption).
#[must_use]
pub fn encode(header: Header, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_ROOM_BYTES + 64);
    encode_into(header, packet, &mut out);
    out
}

/// Writes one packet behind what is in `out`.
pub fn encode_into(header: Header, packet: &Packet<'_>, out: &mut Vec<u8>) {
    let kind = match packet {
        Packet::Data(_) => TYPE_DATA,
        Packet::Ping(_) => TYPE_PING,
        Packet::Pong(_) => TYPE_PONG,
        Packet::Probe { .. } => TYPE_PROBE,
        Packet::ProbeReply { .. } => TYPE_PROBE_REPLY,
    };
    out.extend([VERSION, kind]);
    out.extend(header.node.to_be_bytes());
    out.extend(header.pads);
    match packet {
        Packet::Data(data) => {
            out.extend(data.seq.to_be_bytes());
            out.extend([
                data.compress,
                data.pad,
                data.broadcast,
                data.fragments,
                data.fragment,
                data.channel,
            ]);
            out.extend_from_slice(data.payload);
        }
        Packet::Ping(beat) | Packet::Pong(beat) => {
            out.push(beat.link);
            out.extend(beat.time);
            out.extend(beat.seq.to_be_bytes());
            out.push(beat.timed);
        }
        Packet::Probe { link, size, fill } => {
            out.push(*link);
            out.extend(size);
            out.extend_from_slice(fill);
        }
        Packet::ProbeReply { link, size } => {
            out.push(*link);
            out.extend(size);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ping_has_the_bytes_of_the_reference() {
        let beat = Beat { link: 2, time: [7; 16], seq: 0x1234, timed: 1 };
        let bytes = encode(Header { node: 3, pads: [0, 0] }, &Packet::Ping(beat));
        assert_eq!(bytes.len(), BEAT_BYTES);
        assert_eq!(bytes.get(..7), Some(&[1, 0x81, 0, 3, 0, 0, 2][..]));
        assert_eq!(bytes.get(23..), Some(&[0x12, 0x34, 1][..]));
    }

    #[test]
    fn what_no_sender_writes_is_refused() {
        let data =
            |fragments: u8, fragment: u8| vec![1, 0, 0, 1, 0, 0, 0, 9, 0, 0, 1, fragments, fragment, 0, 5];
        assert!(decode(&data(1, 0)).is_ok());
        assert!(decode(&data(2, 2)).is_ok());
        assert_eq!(decode(&data(0, 0)), Err(WireError::Fragment(0, 0)));
        assert_eq!(decode(&data(2, 0)), Err(WireError::Fragment(0, 2)));
        assert_eq!(decode(&data(2, 3)), Err(WireError::Fragment(3, 2)));
        assert_eq!(decode(&[2, 0, 0, 1]), Err(WireError::Version(2)));
        assert_eq!(decode(&[1, 0x83, 0, 1, 0, 0, 8, 0, 0]), Err(WireError::Link(8)));
        assert_eq!(decode(&[1, 0x85, 0, 1, 0, 0]), Err(WireError::Type(0x85)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn what_decodes_encodes_to_the_same(kind in prop::sample::select(vec![0u8, 0x81, 0x82, 0x83, 0x84]),
                                            rest in proptest::collection::vec(any::<u8>(), 8..64)) {
            let mut bytes = vec![1, kind];
            bytes.extend(rest);
            if let Ok((header, packet)) = decode(&bytes) {
                let again = encode(header, &packet);
                prop_assert_eq!(bytes.get(..again.len()), Some(again.as_slice()));
                if matches!(packet, Packet::Data(_) | Packet::Probe { .. }) {
                    prop_assert_eq!(again.len(), bytes.len());
                }
            }
        }
    }
}
