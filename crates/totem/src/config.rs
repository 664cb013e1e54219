//! Parameters of the ring and the rules that derive one from another (corosync.conf(5), totem).

use core::time::Duration;
use std::collections::BTreeSet;

/// Shortest value that any timeout may have, in ms.
pub const TIMEOUT_MIN_MS: u32 = 30;
/// Shortest hold time, in ms: what follows from the shortest retransmit time.
const HOLD_MIN_MS: u32 = TIMEOUT_MIN_MS * 8 / 10 - 10;
/// Retransmissions of the token within our own short token timeout. Twice the reference's number:
/// a ring that loses every fifth packet must not break.
const OWN_RETRANSMITS: u32 = 8;
/// Token timeout among our own nodes when the configuration is silent, in ms. With [`OWN_CONSENSUS_MS`] a lost node is
/// out of the membership in three quarters of a second (the reference needs 3000 + 3600 ms), which
/// leaves the rest of the second to those who act on it.
pub const OWN_TOKEN_MS: u32 = 500;
/// Consensus timeout among our own nodes, in ms: sixteen joins remain unanswered in it.
pub const OWN_CONSENSUS_MS: u32 = 250;

/// Default of [`Config::kin_visit_bytes`]: half a packet of 64 KB. Four times as much carries no more than a third
/// more messages of 1 KiB, but each of them then waits twice as long behind the others.
const KIN_VISIT_BYTES: usize = 30_000;
/// Shortest time that a node of our own kind is given to answer a join, in ms.
const KIN_CONSENSUS_MIN_MS: u32 = 10;
const TOKEN_COEFFICIENT_MS: u32 = 650;
const RETRANSMITS_BEFORE_LOSS: u32 = 4;
const JOIN_MS: u32 = 50;
const MERGE_MS: u32 = 200;
const TOKEN_WARNING_PERCENT: u32 = 75;

/// What the configuration says about time, in ms; `None` where it is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimingSettings {
    pub token_ms: Option<u32>,
    pub token_coefficient_ms: Option<u32>,
    pub token_warning_percent: Option<u32>,
    pub token_retransmit_ms: Option<u32>,
    pub token_retransmits_before_loss_const: Option<u32>,
    pub hold_ms: Option<u32>,
    pub join_ms: Option<u32>,
    pub send_join_ms: Option<u32>,
    pub consensus_ms: Option<u32>,
    pub merge_ms: Option<u32>,
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    #[error("The {key} parameter ({value_ms} ms) may not be less than ({min_ms} ms).")]
    TooShort { key: &'static str, value_ms: u32, min_ms: u32 },
    #[error("The consensus timeout parameter ({0} ms) must be at least 1.2 * token ({1} ms).")]
    Consensus(u32, u32),
    #[error("The token_warning parameter ({0}%) must be between 0 (disabled) and 100.")]
    Warning(u32),
}

/// Effective times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    pub token: Duration,
    /// Share of the token timeout after which a late token is worth a line in the log, in percent;
    /// 0: never.
    pub token_warning_percent: u32,
    pub token_retransmit: Duration,
    pub hold: Duration,
    pub join: Duration,
    pub send_join: Duration,
    pub consensus: Duration,
    /// Stands in for `token` where only nodes of our own kind are concerned.
    pub kin_token: Duration,
    /// Stands in for `consensus` there, where it is shorter.
    pub kin_consensus: Duration,
    /// Stand in for `token_retransmit` and `hold` in a ring of our own nodes only: at most what they are with
    /// nothing configured, since the token that comes to nobody is how a killed engine is noticed.
    pub kin_retransmit: Duration,
    pub kin_hold: Duration,
    pub merge: Duration,
    /// Ask a representative that holds the token longer than this to move it. Only with our own
    /// short default token: one that is configured otherwise may hold it for that long.
    pub nudge: Option<Duration>,
}

fn ms(value: u32) -> Duration {
    Duration::from_millis(u64::from(value))
}

impl Timing {
    /// Derives the effective times for a ring of `nodes` configured nodes.
    ///
    /// # Errors
    /// Times below the permitted minimum, or a consensus shorter than 1.2 × token.
    pub fn derive(settings: &TimingSettings, nodes: usize) -> Result<Self, TimingError> {
        let own = settings.token_ms.is_none()
            && settings.token_coefficient_ms.is_none()
            && settings.consensus_ms.is_none();
        let token_ms = effective_token(settings, nodes);
        // Retransmissions are as frequent as the shorter timeout wants them: they accuse nobody.
        let kin_token_ms = if own { OWN_TOKEN_MS } else { token_ms };
        let default_const = if own { OWN_RETRANSMITS } else { RETRANSMITS_BEFORE_LOSS };
        let loss_const = settings.token_retransmits_before_loss_const.unwrap_or(default_const);
        // As the reference computes them: token / (n + 0.2) and 0.8 × that − 10.
        let retransmit_ms =
            settings.token_retransmit_ms.unwrap_or_else(|| retransmit_ms(kin_token_ms, loss_const));
        let hold_ms = settings.hold_ms.unwrap_or_else(|| hold_ms(retransmit_ms));
        let is_derived = settings.token_retransmit_ms.is_none() && settings.hold_ms.is_none();
        let (kin_retransmit_ms, kin_hold_ms) = if is_derived {
            let shorter = retransmit_ms.min(self::retransmit_ms(OWN_TOKEN_MS, OWN_RETRANSMITS));
            (shorter, self::hold_ms(shorter))
        } else {
            (retransmit_ms, hold_ms)
        };
        let consensus_ms = settings.consensus_ms.unwrap_or_else(|| times_1_2(token_ms));
        let warning = settings.token_warning_percent.unwrap_or(TOKEN_WARNING_PERCENT);
        let timing = Self {
            token: ms(token_ms),
            token_warning_percent: warning,
            token_retransmit: ms(retransmit_ms),
            hold: ms(hold_ms),
            join: ms(settings.join_ms.unwrap_or(JOIN_MS)),
            send_join: ms(settings.send_join_ms.unwrap_or(0)),
            consensus: ms(consensus_ms),
            kin_token: ms(kin_token_ms),
            kin_consensus: ms((kin_token_ms / 2).clamp(KIN_CONSENSUS_MIN_MS, OWN_CONSENSUS_MS)),
            kin_retransmit: ms(kin_retransmit_ms),
            kin_hold: ms(kin_hold_ms),
            merge: ms(settings.merge_ms.unwrap_or(MERGE_MS)),
            nudge: own.then(|| ms(kin_token_ms / 2)),
        };
        timing.check(settings)?;
        Ok(timing)
    }

    /// Derived times may be shorter than what may be configured: a token below 126 ms is for rings
    /// of our own nodes only, the reference refuses it.
    fn check(&self, settings: &TimingSettings) -> Result<(), TimingError> {
        let in_ms = |value: Duration| u32::try_from(value.as_millis()).unwrap_or(u32::MAX);
        if self.token_warning_percent > 100 {
            return Err(TimingError::Warning(self.token_warning_percent));
        }
        let retransmit_min_ms = if settings.token_retransmit_ms.is_some() { TIMEOUT_MIN_MS } else { 1 };
        let hold_min_ms = if settings.hold_ms.is_some() { HOLD_MIN_MS } else { 1 };
        let limits = [
            ("token timeout", self.token, TIMEOUT_MIN_MS),
            ("token retransmit timeout", self.token_retransmit, retransmit_min_ms),
            ("token hold timeout", self.hold, hold_min_ms),
            ("join timeout", self.join, TIMEOUT_MIN_MS),
            ("consensus timeout", self.consensus, TIMEOUT_MIN_MS),
            ("merge timeout", self.merge, TIMEOUT_MIN_MS),
        ];
        for (key, value, min_ms) in limits {
            if in_ms(value) < min_ms {
                return Err(TimingError::TooShort { key, value_ms: in_ms(value), min_ms });
            }
        }
        let floor_ms = times_1_2(in_ms(self.token));
        if in_ms(self.consensus) < floor_ms {
            return Err(TimingError::Consensus(in_ms(self.consensus), floor_ms));
        }
        Ok(())
    }
}

/// The token is repeated so often before it is given up.
fn retransmit_ms(token_ms: u32, times: u32) -> u32 {
    let tenths = u64::from(times) * 10 + 2;
    u32::try_from(u64::from(token_ms) * 10 / tenths).unwrap_or(u32::MAX)
}

/// Half of the retransmit time where the reference's rule leaves nothing: with a token below 126 ms.
fn hold_ms(retransmit_ms: u32) -> u32 {
    let scaled = u64::from(retransmit_ms) * 8 / 10;
    u32::try_from(scaled).unwrap_or(u32::MAX).saturating_sub(10).max(retransmit_ms / 2).max(1)
}

fn effective_token(settings: &TimingSettings, nodes: usize) -> u32 {
    let base_ms = settings.token_ms.unwrap_or(3000);
    let extra = u32::try_from(nodes.saturating_sub(2)).unwrap_or(u32::MAX);
    let per_node = settings.token_coefficient_ms.unwrap_or(TOKEN_COEFFICIENT_MS);
    base_ms.saturating_add(per_node.saturating_mul(extra))
}

fn times_1_2(value_ms: u32) -> u32 {
    u32::try_from(u64::from(value_ms) * 12 / 10).unwrap_or(u32::MAX)
}

/// Everything the ring needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Own node id, not 0.
    pub nodeid: u32,
    pub timing: Timing,
    /// Largest packet in bytes (totem.netmtu).
    pub net_mtu: usize,
    pub window_size: u32,
    pub max_messages: u32,
    /// Among nodes of our own kind `window_size` and `max_messages` may grow: nobody has set them.
    pub widen_window: bool,
    /// Among nodes of our own kind: bytes after which one visit of the token sends no further packet, if
    /// `widen_window` is set. More makes the ring faster and each message wait longer.
    pub kin_visit_bytes: usize,
    /// The packet that holds the end of a large message takes the next message too. The reference
    /// sends it off as it is; any receiver understands both.
    pub share_packets: bool,
    /// Tell the others of our kind, and use what they tell.
    pub announce: bool,
    pub miss_count_const: u32,
    pub seqno_unchanged_const: u32,
    pub fail_recv_const: u32,
    pub cancel_token_hold_on_retransmit: bool,
    /// Nodes that may take part; packets that name others are dropped. Empty: anybody.
    pub known_nodes: BTreeSet<u32>,
    /// Seed of the generator for the random delay of joins.
    pub seed: u64,
}

impl Config {
    /// A configuration with the default constants.
    #[must_use]
    pub fn new(nodeid: u32, timing: Timing) -> Self {
        Self {
            nodeid,
            timing,
            net_mtu: 1500,
            window_size: 50,
            max_messages: 17,
            widen_window: true,
            kin_visit_bytes: KIN_VISIT_BYTES,
            share_packets: true,
            announce: true,
            miss_count_const: 5,
            seqno_unchanged_const: 30,
            fail_recv_const: 2500,
            cancel_token_hold_on_retransmit: false,
            known_nodes: BTreeSet::new(),
            seed: u64::from(nodeid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(value: Duration) -> u128 {
        value.as_millis()
    }

    #[test]
    fn explicit_token_follows_the_reference() {
        // Values from wire-formats: 714/561 for two nodes, 869/685 for three at token 3000.
        let settings = TimingSettings { token_ms: Some(3000), ..TimingSettings::default() };
        let two = Timing::derive(&settings, 2).expect("valid");
        assert_eq!((millis(two.token_retransmit), millis(two.hold)), (714, 561));
        assert_eq!(millis(two.consensus), 3600);
        let three = Timing::derive(&settings, 3).expect("valid");
        assert_eq!(millis(three.token), 3650);
        assert_eq!((millis(three.token_retransmit), millis(three.hold)), (869, 685));
    }

    #[test]
    fn among_kin_the_token_moves_as_often_as_with_nothing_configured() {
        let derive = |settings: TimingSettings| Timing::derive(&settings, 2).expect("valid");
        let silent = derive(TimingSettings::default());
        assert_eq!((silent.kin_retransmit, silent.kin_hold), (silent.token_retransmit, silent.hold));
        let second = TimingSettings { token_ms: Some(1000), ..TimingSettings::default() };
        let timing = derive(second.clone());
        assert_eq!((millis(timing.token_retransmit), millis(timing.hold)), (238, 180));
        assert_eq!((timing.kin_retransmit, timing.kin_hold), (silent.kin_retransmit, silent.kin_hold));
        // What is configured holds.
        let explicit = derive(TimingSettings { token_retransmit_ms: Some(200), ..second.clone() });
        assert_eq!((millis(explicit.kin_retransmit), millis(explicit.kin_hold)), (200, 150));
        let explicit = derive(TimingSettings { hold_ms: Some(100), ..second });
        assert_eq!((millis(explicit.kin_retransmit), millis(explicit.kin_hold)), (238, 100));
        let short = derive(TimingSettings { token_ms: Some(130), ..TimingSettings::default() });
        assert_eq!((short.kin_retransmit, short.kin_hold), (short.token_retransmit, short.hold));
    }

    #[test]
    fn silence_means_less_than_a_second() {
        let timing = Timing::derive(&TimingSettings::default(), 5).expect("valid");
        assert!(timing.kin_token + timing.kin_consensus <= Duration::from_millis(800));
        // With nodes of another kind their defaults hold.
        assert_eq!((millis(timing.token), millis(timing.consensus)), (4950, 5940));
    }

    #[test]
    fn a_token_of_30_ms_leaves_45_ms_to_notice() {
        let settings = TimingSettings { token_ms: Some(30), ..TimingSettings::default() };
        let timing = Timing::derive(&settings, 2).expect("valid");
        assert_eq!((millis(timing.kin_token), millis(timing.kin_consensus)), (30, 15));
        assert!(timing.token_retransmit * 4 < timing.token && timing.hold < timing.token_retransmit);
        let explicit = TimingSettings { token_retransmit_ms: Some(20), ..settings };
        assert!(Timing::derive(&explicit, 2).is_err());
    }

    #[test]
    fn a_short_consensus_is_refused() {
        let settings =
            TimingSettings { token_ms: Some(1000), consensus_ms: Some(1100), ..TimingSettings::default() };
        assert_eq!(Timing::derive(&settings, 2), Err(TimingError::Consensus(1100, 1200)));
    }
}
