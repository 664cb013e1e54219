//! What a run looks like; everything is drawn from the seed.

use std::collections::BTreeSet;
use std::time::Duration;

use totem::TimingSettings;

use crate::random::Random;

/// Token timeout of the reference when its configuration is silent.
const REFERENCE_TOKEN_MS: u32 = 3000;

/// Quorum options of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumKind {
    Majority,
    WaitForAll,
    TwoNode,
    TieBreaker,
    LastManStanding,
}

/// The options of one run.
#[derive(Clone, Debug)]
pub struct Options {
    pub nodes: u32,
    /// Nodes that keep to the reference's rules: its default times, and no word about what they are.
    pub strangers: BTreeSet<u32>,
    pub quorum: QuorumKind,
    /// Token timeout in the configuration, if it is not silent.
    pub token_ms: Option<u32>,
    pub send_join_ms: Option<u32>,
    pub loss_per_mille: u64,
    pub duplicate_per_mille: u64,
    /// Packets that take much longer than others, and so overtake nobody.
    pub delayed_per_mille: u64,
    pub latency_max_us: u64,
    pub delay_max_us: u64,
    /// Mean pause between two faults.
    pub fault_gap_us: u64,
    /// Mean pause between two messages of a node.
    pub message_gap_us: u64,
    pub message_max: u64,
    /// Length of the phase with faults.
    pub faulty: Duration,
    pub partitions: bool,
    pub crashes: bool,
    pub pauses: bool,
    /// Nothing but a bad network and short pauses: once formed, the ring must not lose anybody.
    pub steady: bool,
}

impl Options {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let most = if random.chance(150) { 32 } else { 6 };
        let nodes = u32::try_from(1 + random.below(most)).unwrap_or(1);
        let mixed = random.chance(300);
        let strangers = (1..=nodes).filter(|_| mixed && random.chance(500)).collect();
        // Many nodes send as much together as a few.
        let crowd = u64::from(nodes.div_ceil(6));
        let kinds = [
            QuorumKind::Majority,
            QuorumKind::WaitForAll,
            QuorumKind::TieBreaker,
            QuorumKind::LastManStanding,
        ];
        let quorum = if nodes == 2 && random.chance(700) {
            QuorumKind::TwoNode
        } else {
            *random.pick(&kinds).unwrap_or(&QuorumKind::Majority)
        };
        let lossy = random.chance(500);
        let steady = random.chance(200);
        let loss_max = if steady { 200 } else { 150 };
        Self {
            nodes,
            strangers,
            quorum,
            token_ms: random.chance(300).then(|| 400 + u32::try_from(random.below(1200)).unwrap_or(0)),
            send_join_ms: random.chance(200).then(|| u32::try_from(random.below(80)).unwrap_or(0)),
            loss_per_mille: if lossy { random.below(loss_max) } else { 0 },
            duplicate_per_mille: if random.chance(400) { random.below(60) } else { 0 },
            delayed_per_mille: if random.chance(500) { random.below(80) } else { 0 },
            latency_max_us: 60 + random.below(800),
            delay_max_us: 1000 + random.below(40_000),
            fault_gap_us: 150_000 + random.below(1_500_000),
            message_gap_us: (5_000 + random.below(60_000)) * crowd * crowd,
            message_max: 20 + random.below(4000),
            faulty: random.micros(3_000_000, 8_000_000),
            partitions: random.chance(700) && !steady,
            crashes: random.chance(600) && !steady,
            pauses: random.chance(400),
            steady,
        }
    }

    /// A ring on starved machines: every fifth packet lost, many late by time slices of others, and pauses shorter
    /// than the token timeout, as often as `cargo xtask starve` makes them; nothing else.
    pub(crate) fn endurance(nodes: u32, duration: Duration) -> Self {
        Self {
            nodes,
            strangers: BTreeSet::new(),
            quorum: if nodes == 2 { QuorumKind::TwoNode } else { QuorumKind::Majority },
            token_ms: None,
            send_join_ms: None,
            loss_per_mille: 200,
            duplicate_per_mille: 0,
            delayed_per_mille: 200,
            latency_max_us: 1000,
            delay_max_us: 30_000,
            fault_gap_us: 800_000 / u64::from(nodes),
            message_gap_us: 400_000 * u64::from(nodes),
            message_max: 2000,
            faulty: duration,
            partitions: false,
            crashes: false,
            pauses: true,
            steady: true,
        }
    }

    pub(crate) fn timing_settings(&self, node: u32) -> TimingSettings {
        // What a stranger has by default must be written out for our own code.
        let default = self.strangers.contains(&node).then_some(REFERENCE_TOKEN_MS);
        TimingSettings {
            token_ms: self.token_ms.or(default),
            send_join_ms: self.send_join_ms,
            ..TimingSettings::default()
        }
    }

    /// How long everything may take to settle after the last fault.
    pub(crate) fn settle_limit(&self) -> Duration {
        let longest_ms = if self.strangers.is_empty() { 600 } else { REFERENCE_TOKEN_MS };
        let token_ms = u64::from(self.token_ms.unwrap_or(longest_ms)) + 650 * u64::from(self.nodes);
        Duration::from_millis(10 * token_ms + 5_000)
    }
}
