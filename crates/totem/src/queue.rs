//! Received messages of one ring in sequence order, with holes.

use std::collections::VecDeque;

use bytes::Bytes;

/// Most messages of a ring that are kept unreleased.
pub(crate) const WINDOW: u32 = 16_384;

/// Serial-number comparison of sequence numbers.
pub(crate) fn before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) > 0x7fff_ffff
}

/// A whole mcast packet as received or sent.
pub(crate) type Stored = Bytes;

#[derive(Debug, Default, Clone)]
struct Slot {
    packet: Option<Stored>,
    missed: u32,
}

/// Slots for the sequence numbers `head`, `head + 1`, …
#[derive(Debug, Default)]
pub(crate) struct SortQueue {
    head: u32,
    slots: VecDeque<Slot>,
}

impl SortQueue {
    /// An empty queue whose first message has number 1.
    pub(crate) fn new() -> Self {
        Self { head: 1, slots: VecDeque::new() }
    }

    fn index(&self, seq: u32) -> Option<usize> {
        let offset = seq.wrapping_sub(self.head);
        if offset < WINDOW { usize::try_from(offset).ok() } else { None }
    }

    /// True if the number may be stored.
    pub(crate) fn in_range(&self, seq: u32) -> bool {
        self.index(seq).is_some()
    }

    fn slot_mut(&mut self, seq: u32) -> Option<&mut Slot> {
        let index = self.index(seq)?;
        if index >= self.slots.len() {
            self.slots.resize(index + 1, Slot::default());
        }
        self.slots.get_mut(index)
    }

    pub(crate) fn get(&self, seq: u32) -> Option<&Stored> {
        self.slots.get(self.index(seq)?)?.packet.as_ref()
    }

    /// Stores a message unless it is there already or out of range; true if it was stored.
    pub(crate) fn add(&mut self, seq: u32, packet: Stored) -> bool {
        match self.slot_mut(seq) {
            Some(slot) if slot.packet.is_none() => {
                slot.packet = Some(packet);
                true
            }
            _ => false,
        }
    }

    /// Counts one more visit of the token that found this number missing.
    pub(crate) fn raise_miss_count(&mut self, seq: u32) -> u32 {
        let Some(slot) = self.slot_mut(seq) else {
            return 0;
        };
        slot.missed = slot.missed.saturating_add(1);
        slot.missed
    }

    /// Frees everything up to and including `seq`.
    pub(crate) fn release(&mut self, seq: u32) {
        let Some(index) = self.index(seq) else { return };
        let count = (index + 1).min(self.slots.len());
        self.slots.drain(..count);
        self.head = seq.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Stored {
        Bytes::from_static(&[1])
    }

    #[test]
    fn stores_once_within_the_window() {
        let mut queue = SortQueue::new();
        assert!(queue.add(3, packet()));
        assert!(!queue.add(3, packet()));
        assert!(!queue.add(0, packet()));
        assert!(!queue.add(WINDOW + 1, packet()));
        assert!(queue.add(WINDOW, packet()));
        assert!(queue.get(2).is_none());
        queue.release(3);
        assert!(queue.get(3).is_none());
        assert!(!queue.in_range(3));
        assert!(queue.get(WINDOW).is_some());
    }

    #[test]
    fn comparison_wraps() {
        assert!(before(1, 2));
        assert!(before(u32::MAX, 0));
        assert!(!before(0, u32::MAX));
        assert!(!before(5, 5));
    }
}
