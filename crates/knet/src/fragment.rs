//! Messages put together from their fragments, also from fragments of several tries: who sends a large message again
//! over a lossy link seldom gets all its fragments through in one go, and libknet sends each fragment once only.

use crate::wire::{Data, MESSAGE_MAX};

/// Messages of one sender that may be incomplete at a time.
pub(crate) const BUFFERS: usize = 32;
/// A first fragment of this length has Totem's whole header in it, which no two messages have in common: two tries that
/// begin with the same such fragment are of one message.
const TELLING_BYTES: usize = 128;

#[derive(Debug)]
struct Partial {
    seq: u16,
    /// Method of compression.
    compress: u8,
    /// Fragments by number less one; empty ones are missing.
    pieces: Vec<Vec<u8>>,
    missing: usize,
    bytes: usize,
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
                let pieces = vec![Vec::new(); count];
                Partial { seq: data.seq, compress: data.compress, pieces, missing: count, bytes: 0 }
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
            partial.adopt(self.partials.remove(at));
        }
        partial.outcome()
    }
}

impl Partial {
    fn add(&mut self, data: &Data<'_>, count: usize) -> Outcome {
        let is_last = data.fragment == data.fragments;
        let at = usize::from(data.fragment).wrapping_sub(1);
        let same_size = is_last || self.size().is_none_or(|size| size == data.payload.len());
        let fits = self.bytes + data.payload.len() <= MESSAGE_MAX;
        if self.pieces.len() != count || !same_size || !fits {
            return Outcome::Dropped;
        }
        let Some(piece) = self.pieces.get_mut(at).filter(|piece| piece.is_empty()) else {
            return Outcome::Dropped;
        };
        piece.extend_from_slice(data.payload);
        self.bytes += data.payload.len();
        self.missing -= 1;
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        if self.missing > 0 { Outcome::Incomplete } else { Outcome::Complete(self.pieces.concat()) }
    }

    fn is_same_message(&self, other: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (self.pieces.first(), other.pieces.first()) else { return false };
        ours.len() >= TELLING_BYTES
            && ours == theirs
            && (self.pieces.len(), self.compress) == (other.pieces.len(), other.compress)
    }

    /// Takes over what is missing here. Both have their first fragment, so all sizes fit.
    fn adopt(&mut self, other: Self) {
        for (mine, theirs) in self.pieces.iter_mut().zip(other.pieces) {
            if mine.is_empty() && !theirs.is_empty() {
                self.bytes += theirs.len();
                self.missing -= 1;
                *mine = theirs;
            }
        }
    }

    /// Size of all fragments but the last.
    fn size(&self) -> Option<usize> {
        let (_, others) = self.pieces.split_last()?;
        others.iter().map(Vec::len).find(|len| *len > 0)
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
