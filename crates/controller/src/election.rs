//! Who becomes the designated controller (DC): vote, no-vote, and how two voters compare.
//!
//! Rules (wire-formats of the reference, section 13.1): lower feature set wins, then the greater age,
//! then the smaller name. A voter that has a no-vote from every active peer has won.

use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A round that is not decided by then is started again, in ms.
pub const ROUND_TIMEOUT_MS: u64 = 120_000;

/// How long the process has been at work (its CPU time): the older one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Age {
    pub seconds: u64,
    pub nanoseconds: u64,
}

/// A vote as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Vote<'a> {
    pub from_id: u32,
    pub from_name: &'a str,
    pub feature_set: &'a str,
    pub age: Age,
    pub round: u32,
}

/// What a vote that came in asks of us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The voter beats us: answer with a no-vote.
    Lost,
    /// We beat the voter: vote ourselves unless we do already.
    Better,
}

#[derive(Debug, Default)]
pub(crate) struct Election {
    round: u32,
    started_ms: Option<u64>,
    /// Our age, as we said it first since there was a DC.
    age: Option<Age>,
    agreed: BTreeSet<u32>,
    /// Whom we sent a no-vote since there was a DC.
    conceded: BTreeSet<u32>,
}

impl Election {
    /// Opens a round of our own; gives its number.
    pub fn start(&mut self, now_ms: u64) -> u32 {
        self.round = self.round.wrapping_add(1).max(1);
        self.started_ms = Some(now_ms);
        self.agreed.clear();
        self.round
    }

    pub fn stop(&mut self) {
        self.started_ms = None;
        self.agreed.clear();
    }

    pub fn is_running(&self) -> bool {
        self.started_ms.is_some()
    }

    /// Our age for votes and comparisons. Ages grow all the time: with the present one each of two voters could find
    /// itself older than the other's vote, for ever. So it stays as it is until there is a DC.
    pub fn age(&mut self, now: Age) -> Age {
        *self.age.get_or_insert(now)
    }

    /// There is a DC.
    pub fn settle(&mut self) {
        self.age = None;
        self.conceded.clear();
    }

    /// We send a no-vote: the voter may lead us, and a later vote of ours does not take that back.
    pub fn concede(&mut self, to_id: u32) {
        self.stop();
        self.conceded.insert(to_id);
    }

    pub fn has_conceded(&self, to_id: u32) -> bool {
        self.conceded.contains(&to_id)
    }

    /// What we agreed to with a node ends with its controller.
    pub fn forget(&mut self, id: u32) {
        self.conceded.remove(&id);
    }

    pub fn deadline_ms(&self) -> Option<u64> {
        self.started_ms.map(|start| start.saturating_add(ROUND_TIMEOUT_MS))
    }

    /// Notes a no-vote for one of our rounds.
    pub fn no_vote(&mut self, from_id: u32, round: u32) {
        if self.is_running() && round == self.round {
            self.agreed.insert(from_id);
        }
    }

    /// Whether all of these (not counting ourselves) have agreed to our round.
    pub fn is_won(&self, peers: impl IntoIterator<Item = u32>) -> bool {
        self.is_running() && peers.into_iter().all(|peer| self.agreed.contains(&peer))
    }

    /// Compares a voter with ourselves.
    pub fn judge(vote: &Vote<'_>, our_name: &str, our_age: Age) -> Verdict {
        let by_version = compare_versions(vote.feature_set, base::CRM_FEATURE_SET);
        let by_age =
            our_age.seconds.cmp(&vote.age.seconds).then(our_age.nanoseconds.cmp(&vote.age.nanoseconds));
        let by_name = vote.from_name.to_lowercase().cmp(&our_name.to_lowercase());
        // `Less` means that the voter is preferred.
        match by_version.then(by_age).then(by_name) {
            Ordering::Less => Verdict::Lost,
            _ => Verdict::Better,
        }
    }
}

fn compare_versions(left: &str, right: &str) -> Ordering {
    let parts = |text: &str| text.split('.').map(|p| p.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>();
    parts(left).cmp(&parts(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(name: &str, set: &str, seconds: u64) -> Verdict {
        let vote = Vote {
            from_id: 2,
            from_name: name,
            feature_set: set,
            age: Age { seconds, nanoseconds: 0 },
            round: 1,
        };
        Election::judge(&vote, "nodo1", Age { seconds: 5, nanoseconds: 0 })
    }

    #[test]
    fn version_then_age_then_name() {
        assert_eq!(vote("nodo2", "3.1.0", 0), Verdict::Lost);
        assert_eq!(vote("nodo2", "3.20.1", 99), Verdict::Better);
        assert_eq!(vote("nodo2", base::CRM_FEATURE_SET, 6), Verdict::Lost);
        assert_eq!(vote("nodo2", base::CRM_FEATURE_SET, 4), Verdict::Better);
        assert_eq!(vote("NODO0", base::CRM_FEATURE_SET, 5), Verdict::Lost);
        assert_eq!(vote("nodo2", base::CRM_FEATURE_SET, 5), Verdict::Better);
    }

    #[test]
    fn every_active_peer_must_agree_to_this_round() {
        let mut election = Election::default();
        let round = election.start(0);
        assert!(election.is_won([]));
        assert!(!election.is_won([2, 3]));
        election.no_vote(2, round);
        election.no_vote(3, round + 1);
        assert!(!election.is_won([2, 3]));
        election.no_vote(3, round);
        assert!(election.is_won([2, 3]));
        election.start(10);
        assert!(!election.is_won([2]));
    }
}
