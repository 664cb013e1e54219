//! Process-group messages to packet bodies and back: packing, fragmentation, reassembly.
//!
//! Body of an mcast: version:i16=0, type:i16=0, fragmented:u8, continuation:u8, count:u16,
//! lengths:u16[count], data. The last piece of a packet whose `fragmented` is not 0 goes on in the
//! sender's next packet, whose `continuation` has the same value.

use std::collections::BTreeMap;

use crate::wire::{ByteOrder, DecodeError, Reader, Writer};

/// Largest message of the applications, in bytes.
pub const MESSAGE_MAX: usize = 1024 * 1024;
/// Largest assembled message: what an application may send plus the headers around it.
const ASSEMBLY_MAX: usize = MESSAGE_MAX + 65_536;
const PACK_HEADER_LEN: usize = 8;
/// Length field of one piece.
const FRAGMENT_LEN_BYTES: usize = 2;

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

    /// Adds a message; hands out each packet body that became full. The next message follows in the
    /// packet that the end of this one has begun.
    pub(crate) fn add(&mut self, message: &[u8], emit: impl FnMut(Vec<u8>)) {
        self.fill(message, false, emit);
    }

    /// Adds a message as the reference does: nothing follows in the packet that holds the end of a
    /// part which is larger than a packet. `lead` is what stands before that part, in bytes.
    pub(crate) fn add_apart(&mut self, message: &[u8], lead: usize, emit: impl FnMut(Vec<u8>)) {
        let is_large = message.len() - lead.min(message.len()) + 2 * FRAGMENT_LEN_BYTES >= self.room;
        if self.data.len() + lead < self.space() {
            self.next_fragment = 1;
        }
        self.fill(message, is_large, emit);
    }

    /// Bytes of data that a body takes with one more piece in it.
    fn space(&self) -> usize {
        self.room - FRAGMENT_LEN_BYTES * (self.lens.len() + 1)
    }

    fn fill(&mut self, mut message: &[u8], apart: bool, mut emit: impl FnMut(Vec<u8>)) {
        loop {
            let space = self.space();
            if !apart && self.data.len() + message.len() + FRAGMENT_LEN_BYTES < space {
                self.push_piece(message);
                self.next_fragment = 1;
                return;
            }
            let split = message.len().min(space - self.data.len());
            let (piece, rest) = message.split_at(split);
            self.push_piece(piece);
            let fragmented = if rest.is_empty() { 0 } else { self.next_number() };
            emit(self.take_body(fragmented));
            self.continuation = fragmented;
            if rest.is_empty() {
                return;
            }
            message = rest;
        }
    }

    /// The partly filled packet, if there is one.
    pub(crate) fn flush(&mut self) -> Option<Vec<u8>> {
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

    fn push_piece(&mut self, piece: &[u8]) {
        self.lens.push(u16::try_from(piece.len()).unwrap_or(u16::MAX));
        self.data.extend_from_slice(piece);
    }

    fn take_body(&mut self, fragmented: u8) -> Vec<u8> {
        let capacity = PACK_HEADER_LEN + 2 * self.lens.len() + self.data.len();
        let mut w = Writer::new(ByteOrder::NATIVE, capacity);
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

    /// Takes one packet body; returns the messages that it completes, in order.
    pub(crate) fn add(
        &mut self,
        sender: u32,
        body: &[u8],
        order: ByteOrder,
    ) -> Result<Vec<Vec<u8>>, DecodeError> {
        let packet = split(body, order)?;
        let Some((last, whole)) = packet.pieces.split_last() else {
            return Ok(Vec::new());
        };
        let assembly =
            self.senders.entry(sender).or_insert(Assembly { partial: Vec::new(), expect: Some(0) });
        let in_step = assembly.expect == Some(packet.continuation);
        if !in_step {
            assembly.partial.clear();
        }
        // The start of the first piece is known only in step or at a message boundary.
        let mut usable = in_step || packet.continuation == 0;
        let mut messages = Vec::new();
        for piece in whole {
            if usable {
                assembly.partial.extend_from_slice(piece);
                messages.push(core::mem::take(&mut assembly.partial));
            }
            usable = true;
        }
        if usable {
            assembly.partial.extend_from_slice(last);
        }
        if packet.fragmented == 0 {
            let message = core::mem::take(&mut assembly.partial);
            if usable {
                messages.push(message);
            }
            assembly.expect = Some(0);
        } else if usable && assembly.partial.len() <= ASSEMBLY_MAX {
            assembly.expect = Some(packet.fragmented);
        } else {
            assembly.partial.clear();
            assembly.expect = None;
        }
        Ok(messages)
    }
}

/// Prepends the group names to a message.
pub(crate) fn with_group(group: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let mut w = Writer::new(ByteOrder::NATIVE, 4 + group.len() + total);
    w.u16(1);
    w.u16(u16::try_from(group.len()).unwrap_or(u16::MAX));
    w.bytes.extend_from_slice(group);
    for part in parts {
        w.bytes.extend_from_slice(part);
    }
    w.bytes
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

    fn deliver(assembler: &mut Assembler, bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
        bodies
            .iter()
            .flat_map(|body| assembler.add(7, body, ByteOrder::NATIVE).expect("own packets are well formed"))
            .collect()
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
                packer.add(message, |body| bodies.push(body));
                if flush {
                    bodies.extend(packer.flush());
                }
            }
            bodies.extend(packer.flush());
            prop_assert!(bodies.iter().all(|body| body.len() <= 1410));
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
                packer.add(message, |body| bodies.push(body));
            }
            bodies.extend(packer.flush());
            let from = skip.min(bodies.len());
            let got = deliver(&mut Assembler::default(), &bodies[from..]);
            prop_assert!(messages.ends_with(&got));
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
                packer.add_apart(message, lead, |body| bodies.push(body));
                if message.len() > lead + 1400 {
                    prop_assert!(packer.is_empty());
                }
            }
            bodies.extend(packer.flush());
            prop_assert!(bodies.iter().all(|body| body.len() <= 1410));
            let got = deliver(&mut Assembler::default(), &bodies);
            prop_assert_eq!(got, messages);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut assembler = Assembler::default();
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let _ = assembler.add(1, &bytes, order);
                let _ = split_groups(&bytes, order);
            }
        }
    }
}
