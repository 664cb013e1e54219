//! Datagrams that arrived before: what somebody has recorded and sends again has a known tag.
//!
//! Every encrypted datagram has a salt of its own, so two with the same tag are one and its copy. Without this, old
//! messages of a sender that has started anew would take the places of its new ones in the window of sequence numbers.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// Datagrams that are remembered at least; up to twice as many are. One cycle of sequence numbers.
const REMEMBERED_MIN: usize = 65_536;
/// Bytes of a tag that are kept.
const TAG_BYTES: usize = 8;

/// Tags are made by a keyed hash: nobody without the key can choose them, so they need no other one.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Tags = HashSet<u64, BuildHasherDefault<AsItIs>>;

/// The tags of the last datagrams, in two halves: when one is full the older one is forgotten.
#[derive(Default)]
pub(crate) struct Seen {
    recent: Tags,
    older: Tags,
}

impl Seen {
    /// Notes an authentic datagram; false if it was here before.
    pub(crate) fn is_new(&mut self, datagram: &[u8]) -> bool {
        let Some(tag) = datagram.last_chunk::<TAG_BYTES>() else { return true };
        let tag = u64::from_ne_bytes(*tag);
        if self.older.contains(&tag) || !self.recent.insert(tag) {
            return false;
        }
        if self.recent.len() >= REMEMBERED_MIN {
            self.older = core::mem::take(&mut self.recent);
        }
        true
    }
}

impl core::fmt::Debug for Seen {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Seen({})", self.recent.len() + self.older.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(number: u64) -> Vec<u8> {
        [&b"message"[..], &number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_ne_bytes()].concat()
    }

    #[test]
    fn a_copy_is_known_for_a_cycle_of_numbers() {
        let mut seen = Seen::default();
        let count = u64::try_from(REMEMBERED_MIN).expect("fits");
        for number in 1..=count {
            assert!(seen.is_new(&datagram(number)));
        }
        assert!((1..=count).all(|number| !seen.is_new(&datagram(number))));
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for number in 1..=u64::try_from(5 * REMEMBERED_MIN).expect("fits") {
            assert!(seen.is_new(&datagram(number)));
            assert!(seen.recent.len() + seen.older.len() <= 2 * REMEMBERED_MIN);
        }
        assert!(seen.is_new(&datagram(1)), "long ago");
    }
}
