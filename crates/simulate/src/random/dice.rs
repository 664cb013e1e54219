//! A generator of numbers that is the same everywhere.

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `sides` (0 if there are none).
    pub fn roll(&mut self, sides: usize) -> usize {
        (self.next() % sides.max(1) as u64) as usize
    }

    /// A number from `low` to `high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.roll(high + 1 - low.min(high))
    }

    /// True in so many cases of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    /// One of these, or an empty text.
    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.roll(from.len())).copied().unwrap_or("")
    }

    /// One of these names, or an empty one.
    pub fn name(&mut self, from: &[String]) -> String {
        from.get(self.roll(from.len())).cloned().unwrap_or_default()
    }

    /// Up to `most` different ones of these, in random order.
    pub fn some(&mut self, from: &[String], most: usize) -> Vec<String> {
        let mut left = from.to_vec();
        let mut out = Vec::new();
        for _ in 0..most.min(from.len()) {
            let at = self.roll(left.len());
            out.push(left.swap_remove(at));
        }
        out
    }
}
