//! Process-group messages to packet bodies and back: packing, fragmentation, reassembly.
//!
//! Body of an mcast: version:i16=0, type:i16=0, fragmented:u8, continuation:u8, count:u16,
//! lengths:u16[count], data. The last piece of a packet whose `fragmented` is not 0 goes on in the
//! sender's next packet, whose `continuation` has the same value.

use core::ops::Range;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::wire::{ByteOrder, DecodeError, MCAST_HEADER_LEN, Reader, Writer};

/// Largest message of the applications, in bytes.
pub const MESSAGE_MAX: usize = 1024 * 1024;
/// Largest assembled message: what an application may send plus the headers around it.
const ASSEMBLY_MAX: usize = MESSAGE_MAX + 65_536;
const PACK_HEADER_LEN: usize = 8;
/// Length field of one piece.
const FRAGMENT_LEN_BYTES: usize = 2;

/// A packet body behind room for the header of its packet ([`MCAST_HEADER_LEN`] bytes), so that it need not be moved
/// when it is sent.
pub(crate) type Body = Vec<u8>;

/// What of a message, given in parts, is not packed yet.
struct Rest<'a> {
    part: &'a [u8],
    others: &'a [&'a [u8]],
    len: usize,
}

impl<'a> Rest<'a> {
    fn new(head: &'a [u8], parts: &'a [&'a [u8]]) -> Self {
        Self { part: head, others: parts, len: head.len() + total(parts) }
    }

    /// Moves so many bytes behind what is in `out`.
    fn move_to(&mut self, out: &mut Vec<u8>, mut wanted: usize) {
        loop {
            let (piece, left) = self.part.split_at(wanted.min(self.part.len()));
            out.extend_from_slice(piece);
            self.part = left;
            self.len -= piece.len();
            wanted -= piece.len();
            let Some((next, others)) = self.others.split_first().filter(|_| left.is_empty()) else { return };
            (self.part, self.others) = (next, others);
        }
    }
}

/// Bytes of all parts.
pub(crate) fn total(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// Fills packet bodies with messages.
#[derive(Debug)]
pub(crate) struct Packer {
    /// Bytes of a body without its fixed header.
    room: usize,
    lens: Vec<u16>,
    data: Vec<u8>,
    /// Value for `continuation` of the next packet; 0 when it starts with a whole message.
    continuation: u8,
    next_fragment: u8,
}

impl Packer {
    /// `net_mtu` is the size of a body incl. its header (1410 for a packet of 1500).
    pub(crate) fn new(net_mtu: usize) -> Self {
        Self {
            room: net_mtu.saturating_sub(PACK_HEADER_LEN).max(64),
            lens: Vec::new(),
            data: Vec::new(),
            continuation: 0,
            next_fragment: 1,
        }
    }

    /// Upper bound of the packets that a message of `len` bytes fills.
    pub(crate) fn packets_for(&self, len: usize) -> usize {
        len / (self.room - 16) + 1
    }

    /// Adds a message, given in parts; hands out each packet body that became full. The next message follows in the
    /// packet that the end of this one has begun.
    pub(crate) fn add(&mut self, head: &[u8], parts: &[&[u8]], emit: impl FnMut(Body)) {
        self.fill(Rest::new(head, parts), false, emit);
    }

    /// Adds a message as the reference does: nothing follows in the packet that holds the end of a message whose last
    /// part is larger than a packet.
    pub(crate) fn add_apart(&mut self, head: &[u8], parts: &[&[u8]], emit: impl FnMut(Body)) {
        let message = Rest::new(head, parts);
        let last = parts.iter().rev().find(|part| !part.is_empty()).map_or(0, |part| part.len());
        let is_large = last + 2 * FRAGMENT_LEN_BYTES >= self.room;
        if self.data.len() + message.len - last < self.space() {
            self.next_fragment = 1;
        }
        self.fill(message, is_large, emit);
    }

    /// Bytes of data that a body takes with one more piece in it.
    fn space(&self) -> usize {
        self.room - FRAGMENT_LEN_BYTES * (self.lens.len() + 1)
    }

    fn fill(&mut self, mut message: Rest<'_>, apart: bool, mut emit: impl FnMut(Body)) {
        loop {
            let space = self.space();
            if !apart && self.data.len() + message.len + FRAGMENT_LEN_BYTES < space {
                let len = message.len;
                self.push_piece(&mut message, len);
                self.next_fragment = 1;
                return;
            }
            let split = message.len.min(space - self.data.len());
            self.push_piece(&mut message, split);
            let fragmented = if message.len == 0 { 0 } else { self.next_number() };
            emit(self.take_body(fragmented));
            self.continuation = fragmented;
            if message.len == 0 {
                return;
            }
        }
    }

    /// The partly filled packet, if there is one.
    pub(crate) fn flush(&mut self) -> Option<Body> {
        if self.lens.is_empty() {
            return None;
        }
        let body = self.take_body(0);
        self.continuation = 0;
        Some(body)
    }

    /// Bytes of messages in the packet that is being filled.
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    fn next_number(&mut self) -> u8 {
        let number = self.next_fragment.max(1);
        self.next_fragment = number.wrapping_add(1);
        number
    }

    fn push_piece(&mut self, message: &mut Rest<'_>, len: usize) {
        self.lens.push(u16::try_from(len).unwrap_or(u16::MAX));
        message.move_to(&mut self.data, len);
    }

    fn take_body(&mut self, fragmented: u8) -> Body {
        let capacity = MCAST_HEADER_LEN + PACK_HEADER_LEN + 2 * self.lens.len() + self.data.len();
        let mut w = Writer::new(ByteOrder::NATIVE, capacity);
        w.bytes.resize(MCAST_HEADER_LEN, 0);
        w.u16(0);
        w.u16(0);
        w.u8(fragmented);
        w.u8(self.continuation);
        w.u16(u16::try_from(self.lens.len()).unwrap_or(u16::MAX));
        for len in self.lens.drain(..) {
            w.u16(len);
        }
        w.bytes.append(&mut self.data);
        w.bytes
    }
}

/// A packet body taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Pieces<'a> {
    pub fragmented: u8,
    pub continuation: u8,
    pub pieces: Vec<&'a [u8]>,
}

/// Splits a packet body into its pieces.
///
/// # Errors
/// The lengths must fill the body exactly.
pub fn split(body: &[u8], order: ByteOrder) -> Result<Pieces<'_>, DecodeError> {
    let mut r = Reader::new(body, order);
    r.u16()?;
    r.u16()?;
    let fragmented = r.u8()?;
    let continuation = r.u8()?;
    let count = r.u16()?;
    let lens = (0..count).map(|_| r.u16().map(usize::from)).collect::<Result<Vec<_>, _>>()?;
    let mut data = r.rest();
    if lens.iter().sum::<usize>() != data.len() {
        return Err(DecodeError::Count);
    }
    let mut pieces = Vec::with_capacity(lens.len());
    for len in lens {
        let (piece, rest) = data.split_at_checked(len).ok_or(DecodeError::Short)?;
        pieces.push(piece);
        data = rest;
    }
    Ok(Pieces { fragmented, continuation, pieces })
}

#[derive(Debug, Default)]
struct Assembly {
    partial: Vec<u8>,
    /// Size of the sender's last message that came in pieces: the next one may be as large.
    last_len: usize,
    /// Fragment number that must go on; 0 = at a boundary; None = inside a message whose start was missed.
    expect: Option<u8>,
}

/// Puts the fragments of every sender together again.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    senders: BTreeMap<u32, Assembly>,
}

impl Assembler {
    /// Forgets what a node has sent so far.
    pub(crate) fn forget(&mut self, node: u32) {
        self.senders.remove(&node);
    }

    /// Takes one packet body; returns the messages that it completes, in order. Messages that came whole are parts of
    /// the body.
    pub(crate) fn add(
        &mut self,
        sender: u32,
        body: &Bytes,
        order: ByteOrder,
    ) -> Result<Vec<Bytes>, DecodeError> {
        let packet = split(body, order)?;
        let Some((last, whole)) = packet.pieces.split_last() else {
            return Ok(Vec::new());
        };
        let start = || Assembly { expect: Some(0), ..Assembly::default() };
        let assembly = self.senders.entry(sender).or_insert_with(start);
        let in_step = assembly.expect == Some(packet.continuation);
        if !in_step {
            assembly.partial.clear();
        }
        // The start of the first piece is known only in step or at a message boundary.
        let mut usable = in_step || packet.continuation == 0;
        let mut messages = Vec::new();
        for piece in whole {
            if usable {
                messages.push(assembly.complete(body, piece));
            }
            usable = true;
        }
        if packet.fragmented == 0 {
            if usable {
                messages.push(assembly.complete(body, last));
            }
            assembly.partial.clear();
            assembly.expect = Some(0);
            return Ok(messages);
        }
        if usable {
            assembly.begin_or_go_on(last);
        }
        if usable && assembly.partial.len() <= ASSEMBLY_MAX {
            assembly.expect = Some(packet.fragmented);
        } else {
            assembly.partial.clear();
            assembly.expect = None;
        }
        Ok(messages)
    }
}

impl Assembly {
    /// The message that ends with this piece of a body.
    fn complete(&mut self, body: &Bytes, piece: &[u8]) -> Bytes {
        if self.partial.is_empty() {
            return body.slice_ref(piece);
        }
        self.partial.extend_from_slice(piece);
        self.last_len = self.partial.len();
        core::mem::take(&mut self.partial).into()
    }

    fn begin_or_go_on(&mut self, piece: &[u8]) {
        if self.partial.is_empty() {
            self.partial.reserve(self.last_len.min(ASSEMBLY_MAX).max(piece.len()));
        }
        self.partial.extend_from_slice(piece);
    }
}

/// Writes what stands before a message, the names of its groups, in place of what is in `out`.
pub(crate) fn write_group_header(out: &mut Vec<u8>, group: &[u8]) {
    out.clear();
    out.extend_from_slice(&1u16.to_ne_bytes());
    out.extend_from_slice(&u16::try_from(group.len()).unwrap_or(u16::MAX).to_ne_bytes());
    out.extend_from_slice(group);
}

/// Where the first group's name lies in an assembled message, and where its body begins: [`split_groups`] for every
/// message that is delivered.
pub(crate) fn group_and_body(message: &[u8], order: ByteOrder) -> Result<(Range<usize>, usize), DecodeError> {
    let mut r = Reader::new(message, order);
    let count = usize::from(r.u16()?);
    let names_start = FRAGMENT_LEN_BYTES * (count + 1);
    let (mut first, mut names) = (0, 0);
    for at in 0..count {
        let len = usize::from(r.u16()?);
        first = if at == 0 { len } else { first };
        names += len;
    }
    let body_start = names_start + names;
    if body_start > message.len() {
        return Err(DecodeError::Short);
    }
    Ok((names_start..names_start + first, body_start))
}

/// Splits an assembled message into its group names and its body.
///
/// # Errors
/// When the names do not fit into the message.
pub fn split_groups(message: &[u8], order: ByteOrder) -> Result<(Vec<&[u8]>, &[u8]), DecodeError> {
    let mut r = Reader::new(message, order);
    let count = r.u16()?;
    let lens = (0..count).map(|_| r.u16().map(usize::from)).collect::<Result<Vec<_>, _>>()?;
    let mut rest = r.rest();
    let mut names = Vec::with_capacity(lens.len());
    for len in lens {
        let (name, tail) = rest.split_at_checked(len).ok_or(DecodeError::Short)?;
        names.push(name);
        rest = tail;
    }
    Ok((names, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn deliver(assembler: &mut Assembler, bodies: &[Body]) -> Vec<Bytes> {
        let bodies = bodies.iter().map(|body| Bytes::copy_from_slice(&body[MCAST_HEADER_LEN..]));
        bodies
            .flat_map(|body| assembler.add(7, &body, ByteOrder::NATIVE).expect("own packets are well formed"))
            .collect()
    }

    /// A message in parts of all sizes, none at all among them.
    fn parts(message: &[u8]) -> (&[u8], [&[u8]; 3]) {
        let (a, b) = message.split_at(message.len() / 3);
        let (b, c) = b.split_at(b.len() / 7);
        (a, [b, &[], c])
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(
            messages in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..6000), 1..12),
            flush_after in proptest::collection::vec(any::<bool>(), 12),
        ) {
            let mut packer = Packer::new(1410);
            let mut bodies = Vec::new();
            for (message, flush) in messages.iter().zip(flush_after) {
                let (head, rest) = parts(message);
                packer.add(head, &rest, |body| bodies.push(body));
                if flush {
                    bodies.extend(packer.flush());
                }
            }
            bodies.extend(packer.flush());
            prop_assert!(bodies.iter().all(|body| body.len() <= 1410 + MCAST_HEADER_LEN));
            let got = deliver(&mut Assembler::default(), &bodies);
            prop_assert_eq!(got, messages);
        }

        #[test]
        fn a_late_listener_gets_a_suffix(
            messages in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 1..5000), 2..10),
            skip in 0usize..6,
        ) {
            let mut packer = Packer::new(1410);
            let mut bodies = Vec::new();
            for message in &messages {
                let (head, rest) = parts(message);
                packer.add(head, &rest, |body| bodies.push(body));
            }
            bodies.extend(packer.flush());
            let from = skip.min(bodies.len());
            let got = deliver(&mut Assembler::default(), &bodies[from..]);
            prop_assert!(messages.ends_with(&got.iter().map(|bytes| bytes.to_vec()).collect::<Vec<_>>()));
        }

        #[test]
        fn ends_that_stand_apart_come_out_too(
            messages in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..6000), 1..12),
            lead in 0usize..300,
        ) {
            let mut packer = Packer::new(1410);
            let mut bodies = Vec::new();
            for message in &messages {
                let (head, rest) = message.split_at(lead.min(message.len()));
                let (first, others) = parts(rest);
                packer.add_apart(head, &[&[first], &others[..]].concat(), |body| bodies.push(body));
                let last = others.iter().rev().find(|part| !part.is_empty()).map_or(first.len(), |part| part.len());
                if last > 1400 {
                    prop_assert!(packer.is_empty());
                }
            }
            bodies.extend(packer.flush());
            prop_assert!(bodies.iter().all(|body| body.len() <= 1410 + MCAST_HEADER_LEN));
            let got = deliver(&mut Assembler::default(), &bodies);
            prop_assert_eq!(got, messages);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut assembler = Assembler::default();
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let _ = assembler.add(1, &Bytes::copy_from_slice(&bytes), order);
                let parts = group_and_body(&bytes, order);
                match split_groups(&bytes, order) {
                    Ok((groups, body)) => {
                        let (group, start) = parts.expect("as the whole");
                        prop_assert_eq!(&bytes[group], groups.first().copied().unwrap_or_default());
                        prop_assert_eq!(&bytes[start..], body);
                    }
                    Err(error) => prop_assert_eq!(parts, Err(error)),
                }
            }
        }
    }
}
