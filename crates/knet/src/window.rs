//! Which sequence numbers of a sender have been seen: 4096 of them, modulo 2^16.

/// Numbers remembered behind the highest one.
pub(crate) const WINDOW: u16 = 4096;
const WORDS: usize = WINDOW as usize / 64;

/// The numbers of one sender.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    highest: Option<u16>,
    delivered: [u64; WORDS],
    /// Messages of which a fragment was seen: one that was given up is not begun again.
    begun: [u64; WORDS],
}

impl Default for Window {
    fn default() -> Self {
        Self { highest: None, delivered: [0; WORDS], begun: [0; WORDS] }
    }
}

fn place(seq: u16) -> (usize, u64) {
    let bit = usize::from(seq % WINDOW);
    (bit / 64, 1 << (bit % 64))
}

impl Window {
    /// Forgets everything; the next number is taken as it comes.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Starts anew at a number that the sender named in a ping.
    pub(crate) fn restart(&mut self, seq: u16) {
        self.clear();
        self.highest = Some(seq);
    }

    /// Highest number seen.
    pub(crate) fn highest(&self) -> Option<u16> {
        self.highest
    }

    /// Moves the window so that `seq` is in it. A number far behind or ahead starts the window anew:
    /// the sender has gone on without us.
    pub(crate) fn reach(&mut self, seq: u16) {
        let Some(highest) = self.highest else {
            self.highest = Some(seq);
            return;
        };
        let behind = highest.wrapping_sub(seq);
        if behind < WINDOW {
            return;
        }
        let ahead = seq.wrapping_sub(highest);
        if ahead >= WINDOW {
            self.restart(seq);
            return;
        }
        for step in 1..=ahead {
            let (word, bit) = place(highest.wrapping_add(step));
            for bits in [&mut self.delivered, &mut self.begun] {
                if let Some(slot) = bits.get_mut(word) {
                    *slot &= !bit;
                }
            }
        }
        self.highest = Some(seq);
    }

    /// True if [`Window::reach`] would start anew at this number.
    pub(crate) fn is_far(&self, seq: u16) -> bool {
        self.highest
            .is_some_and(|highest| highest.wrapping_sub(seq) >= WINDOW && seq.wrapping_sub(highest) >= WINDOW)
    }

    /// True if a message with this number was delivered.
    pub(crate) fn is_delivered(&self, seq: u16) -> bool {
        let (word, bit) = place(seq);
        self.delivered.get(word).is_some_and(|bits| bits & bit != 0)
    }

    pub(crate) fn set_delivered(&mut self, seq: u16) {
        let (word, bit) = place(seq);
        if let Some(bits) = self.delivered.get_mut(word) {
            *bits |= bit;
        }
    }

    /// Notes that a fragment arrived; true if it is the first one of its message.
    pub(crate) fn begin(&mut self, seq: u16) -> bool {
        let (word, bit) = place(seq);
        let Some(bits) = self.begun.get_mut(word) else { return false };
        let is_first = *bits & bit == 0;
        *bits |= bit;
        is_first
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fresh(window: &mut Window, seq: u16) -> bool {
        window.reach(seq);
        let fresh = !window.is_delivered(seq);
        window.set_delivered(seq);
        fresh
    }

    #[test]
    fn duplicates_are_seen_around_the_wrap() {
        let mut window = Window::default();
        for seq in (65_500..=65_535).chain(1..100) {
            assert!(fresh(&mut window, seq), "{seq}");
            assert!(!fresh(&mut window, seq), "{seq}");
        }
        assert!(!fresh(&mut window, 65_500));
    }

    #[test]
    fn late_packets_of_the_window_are_taken_once() {
        let mut window = Window::default();
        assert!(fresh(&mut window, 5000));
        assert!(fresh(&mut window, 1000));
        assert!(!fresh(&mut window, 1000));
        assert!(!fresh(&mut window, 5000));
    }

    #[test]
    fn a_number_far_away_starts_anew() {
        let mut window = Window::default();
        assert!(fresh(&mut window, 10_000));
        assert!(fresh(&mut window, 1));
        assert!(!fresh(&mut window, 1));
    }

    proptest! {
        /// Whatever the order within the window, each number is taken exactly once.
        #[test]
        fn each_number_once(start: u16, mut offsets in proptest::collection::vec(0..2000u16, 1..300)) {
            let mut window = Window::default();
            let mut seen = std::collections::BTreeSet::new();
            offsets.sort_by_key(|n| n / 500);
            for offset in offsets {
                prop_assert_eq!(fresh(&mut window, start.wrapping_add(offset)), seen.insert(offset));
            }
        }
    }
}
