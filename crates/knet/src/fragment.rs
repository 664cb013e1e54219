//! Messages put together from their fragments, also from fragments of several tries: who sends a large message again
//! over a lossy link seldom gets all its fragments through in one go, and libknet sends each fragment once only.

use crate::wire::{Data, MESSAGE_MAX};

/// Messages of one sender that may be incomplete at a time.
pub(crate) const BUFFERS: usize = 32;
/// A first fragment of this length has Totem's whole header in it, which no two messages have in common: two tries that
/// begin with the same such fragment are of one message.
const TELLING_BYTES: usize = 128;

/// Where a fragment lies among those that have arrived.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    start: usize,
    /// 0: it is missing.
    len: usize,
}

#[derive(Debug)]
struct Partial {
    seq: u16,
    /// Method of compression.
    compress: u8,
    /// Fragments by number less one.
    pieces: Vec<Piece>,
    missing: usize,
    /// What has arrived, in that order: nearly always the message's own.
    bytes: Vec<u8>,
    is_in_order: bool,
}

/// The incomplete messages of one sender, the least recently touched first.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    partials: Vec<Partial>,
}

/// What a fragment led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Complete(Vec<u8>),
    Incomplete,
    /// A duplicate, or it contradicts its siblings.
    Dropped,
}

impl Reassembly {
    pub(crate) fn clear(&mut self) {
        self.partials.clear();
    }

    /// True if a message with this number is being put together.
    pub(crate) fn has(&self, seq: u16) -> bool {
        self.partials.iter().any(|partial| partial.seq == seq)
    }

    /// Gives up messages too old to become complete.
    pub(crate) fn expire(&mut self, highest: u16) {
        let limit = u16::try_from(BUFFERS).unwrap_or(u16::MAX);
        self.partials.retain(|partial| highest.wrapping_sub(partial.seq) <= limit);
    }

    /// Takes one fragment of a message with more than one.
    pub(crate) fn add(&mut self, data: &Data<'_>) -> Outcome {
        let count = usize::from(data.fragments);
        let mut partial = match self.partials.iter().position(|partial| partial.seq == data.seq) {
            Some(at) => self.partials.remove(at),
            None => {
                if self.partials.len() >= BUFFERS {
                    self.partials.remove(0);
                }
                Partial::new(data, count)
            }
        };
        let mut outcome = partial.add(data, count);
        if outcome == Outcome::Incomplete && data.fragment == 1 {
            outcome = self.add_earlier_tries(&mut partial);
        }
        if outcome == Outcome::Incomplete || outcome == Outcome::Dropped {
            self.partials.push(partial);
            return outcome;
        }
        outcome
    }

    /// What earlier tries of the same message brought.
    fn add_earlier_tries(&mut self, partial: &mut Partial) -> Outcome {
        while let Some(at) = self.partials.iter().position(|other| other.is_same_message(partial)) {
            let other = self.partials.remove(at);
            partial.adopt(&other);
        }
        partial.outcome()
    }
}

impl Partial {
    fn new(data: &Data<'_>, count: usize) -> Self {
        Self {
            seq: data.seq,
            compress: data.compress,
            pieces: vec![Piece::default(); count],
            missing: count,
            bytes: Vec::with_capacity((data.payload.len() * count).min(MESSAGE_MAX)),
            is_in_order: true,
        }
    }

    fn add(&mut self, data: &Data<'_>, count: usize) -> Outcome {
        let is_last = data.fragment == data.fragments;
        let at = usize::from(data.fragment).wrapping_sub(1);
        let same_size = is_last || self.size().is_none_or(|size| size == data.payload.len());
        let fits = self.bytes.len() + data.payload.len() <= MESSAGE_MAX;
        let is_new = self.pieces.get(at).is_some_and(|piece| piece.len == 0);
        if self.pieces.len() != count || !same_size || !fits || !is_new {
            return Outcome::Dropped;
        }
        self.put(at, data.payload);
        self.outcome()
    }

    fn put(&mut self, at: usize, payload: &[u8]) {
        let Some(piece) = self.pieces.get_mut(at) else { return };
        *piece = Piece { start: self.bytes.len(), len: payload.len() };
        self.is_in_order &= at + self.missing == self.pieces.len();
        self.bytes.extend_from_slice(payload);
        self.missing -= 1;
    }

    fn payload(&self, piece: Piece) -> &[u8] {
        self.bytes.get(piece.start..piece.start + piece.len).unwrap_or_default()
    }

    fn outcome(&mut self) -> Outcome {
        if self.missing > 0 {
            return Outcome::Incomplete;
        }
        if self.is_in_order {
            return Outcome::Complete(core::mem::take(&mut self.bytes));
        }
        let payloads: Vec<&[u8]> = self.pieces.iter().map(|piece| self.payload(*piece)).collect();
        Outcome::Complete(payloads.concat())
    }

    fn is_same_message(&self, other: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (self.pieces.first(), other.pieces.first()) else { return false };
        ours.len >= TELLING_BYTES
            && self.payload(*ours) == other.payload(*theirs)
            && (self.pieces.len(), self.compress) == (other.pieces.len(), other.compress)
    }

    /// Takes over what is missing here. Both have their first fragment, so all sizes fit.
    fn adopt(&mut self, other: &Self) {
        for (at, theirs) in other.pieces.iter().enumerate() {
            if theirs.len > 0 && self.pieces.get(at).is_some_and(|mine| mine.len == 0) {
                self.put(at, other.payload(*theirs));
            }
        }
    }

    /// Size of all fragments but the last.
    fn size(&self) -> Option<usize> {
        let (_, others) = self.pieces.split_last()?;
        others.iter().map(|piece| piece.len).find(|len| *len > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(seq: u16, fragment: u8, fragments: u8, payload: &[u8]) -> Data<'_> {
        Data { seq, compress: 0, pad: 0, broadcast: 1, fragments, fragment, channel: 0, payload }
    }

    #[test]
    fn the_last_one_may_come_first() {
        let mut all = Reassembly::default();
        assert_eq!(all.add(&data(7, 3, 3, b"c")), Outcome::Incomplete);
        assert_eq!(all.add(&data(7, 1, 3, b"aa")), Outcome::Incomplete);
        assert_eq!(all.add(&data(7, 1, 3, b"aa")), Outcome::Dropped);
        assert_eq!(all.add(&data(7, 2, 3, b"bb")), Outcome::Complete(b"aabbc".to_vec()));
        assert!(!all.has(7));
    }

    /// `count` fragments of a message whose header says `head`.
    fn message(head: u8, count: u8) -> Vec<Vec<u8>> {
        let piece = |number: u8| if number == 1 { vec![head; 200] } else { vec![number ^ head; 200] };
        (1..=count).map(piece).collect()
    }

    #[test]
    fn tries_of_one_message_complete_each_other() {
        let (pieces, other) = (message(1, 4), message(2, 4));
        let mut all = Reassembly::default();
        let mut add = |seq, number: u8, from: &[Vec<u8>]| {
            all.add(&data(seq, number, 4, &from[usize::from(number) - 1]))
        };
        for (seq, number, from) in [(1, 1, &pieces), (1, 3, &pieces), (2, 1, &other), (2, 2, &other)] {
            assert_eq!(add(seq, number, from), Outcome::Incomplete);
        }
        // Fragments of a try whose first one is lost could be anybody's.
        assert_eq!(add(3, 2, &pieces), Outcome::Incomplete);
        assert_eq!(add(3, 4, &pieces), Outcome::Incomplete);
        assert_eq!(add(4, 4, &pieces), Outcome::Incomplete);
        assert_eq!(add(4, 1, &pieces), Outcome::Incomplete);
        assert_eq!(add(4, 2, &pieces), Outcome::Complete(pieces.concat()));
        assert_eq!(add(5, 4, &other), Outcome::Incomplete);
        assert_eq!(add(5, 3, &other), Outcome::Incomplete);
        assert_eq!(add(5, 1, &other), Outcome::Complete(other.concat()));
    }

    #[test]
    fn tries_that_differ_in_the_number_of_fragments_are_kept_apart() {
        let mut all = Reassembly::default();
        let pieces = message(1, 3);
        assert_eq!(all.add(&data(1, 1, 2, &pieces[0])), Outcome::Incomplete);
        assert_eq!(all.add(&data(2, 2, 3, &pieces[1])), Outcome::Incomplete);
        assert_eq!(all.add(&data(2, 1, 3, &pieces[0])), Outcome::Incomplete);
        assert!(all.has(1) && all.has(2));
    }

    #[test]
    fn contradictions_and_giants_are_dropped() {
        let mut all = Reassembly::default();
        assert_eq!(all.add(&data(7, 1, 3, b"aa")), Outcome::Incomplete);
        assert_eq!(all.add(&data(7, 2, 3, b"bbb")), Outcome::Dropped);
        assert_eq!(all.add(&data(7, 2, 4, b"bb")), Outcome::Dropped);
        let big = vec![1; MESSAGE_MAX];
        assert_eq!(all.add(&data(8, 1, 2, &big)), Outcome::Incomplete);
        assert_eq!(all.add(&data(8, 2, 2, &big)), Outcome::Dropped);
    }

    #[test]
    fn the_number_of_incomplete_messages_is_bounded() {
        let mut all = Reassembly::default();
        for seq in 0..100 {
            assert_eq!(all.add(&data(seq, 1, 2, b"x")), Outcome::Incomplete);
        }
        assert_eq!(all.partials.len(), BUFFERS);
        assert!(all.has(99) && !all.has(0));
        all.expire(120);
        assert!(all.has(99) && !all.has(87));
    }

    proptest! {
        /// However much of each try is lost: what comes out is one of the messages that were sent.
        #[test]
        fn lossy_tries_give_the_message(heads in proptest::collection::vec(1..4u8, 1..20),
                                        kept in proptest::collection::vec(any::<bool>(), 200)) {
            let mut all = Reassembly::default();
            let mut kept = kept.into_iter().cycle();
            for (seq, head) in (0..).zip(heads) {
                let pieces = message(head, 6);
                for (number, piece) in (1..).zip(&pieces).filter(|_| kept.next() == Some(true)) {
                    if let Outcome::Complete(found) = all.add(&data(seq, number, 6, piece)) {
                        prop_assert_eq!(found, pieces.concat());
                        break;
                    }
                }
            }
        }

        #[test]
        fn any_order_gives_the_message(bytes in proptest::collection::vec(any::<u8>(), 2..2000), size in 1..700usize,
                                       order: Vec<prop::sample::Index>) {
            let mut pieces: Vec<(u8, &[u8])> = (1..).zip(bytes.chunks(size.max(bytes.len() / 200 + 1))).collect();
            prop_assume!(pieces.len() > 1);
            let count = u8::try_from(pieces.len()).expect("few");
            for index in order {
                let at = index.index(pieces.len());
                pieces.swap(0, at);
            }
            let mut all = Reassembly::default();
            let mut complete = None;
            for (number, piece) in pieces {
                if let Outcome::Complete(message) = all.add(&data(1, number, count, piece)) {
                    complete = Some(message);
                }
            }
            prop_assert_eq!(complete, Some(bytes));
        }
    }
}
