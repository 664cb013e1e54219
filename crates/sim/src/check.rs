//! Checkers: what must hold in every run.

use std::collections::{BTreeMap, BTreeSet};

use totem::{Configuration, RingId};

use crate::node::Seen;
use crate::options::{Options, QuorumKind};

/// A message: sender and its number.
type Message = (u32, u64);

/// One life of a node in one ring.
#[derive(Debug, Default)]
struct Stay {
    /// Delivered before the transitional configuration that ended the stay.
    regular: Vec<Message>,
    /// Delivered after it.
    transitional: Vec<Message>,
    /// Who went on together with us, and whereto.
    left_with: Option<(Vec<u32>, RingId)>,
}

/// Everything that the nodes have seen so far.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    members: BTreeMap<RingId, Vec<u32>>,
    stays: BTreeMap<(RingId, u32), Stay>,
    current: BTreeMap<u32, RingId>,
    /// Ring of the sender when a message was handed in.
    sent_in: BTreeMap<Message, RingId>,
    /// Highest number delivered, by receiver and sender; a restart of either forgets.
    last: BTreeMap<(u32, u32), u64>,
    /// The same, while both have been together without a break: nothing in between may be missing.
    company: BTreeMap<(u32, u32), u64>,
    in_transition: BTreeSet<u32>,
    pub(crate) deliveries: u64,
    pub(crate) configurations: u64,
}

impl Checker {
    /// A node has started: it remembers nothing. What it had sent before may be lost, but nothing after that.
    pub(crate) fn started(&mut self, node: u32, sent: u64) {
        self.company.retain(|(receiver, _), _| *receiver != node);
        self.company.insert((node, node), sent);
        self.current.remove(&node);
        self.in_transition.remove(&node);
        self.last.retain(|(receiver, _), _| *receiver != node);
    }

    pub(crate) fn sent(&mut self, node: u32, number: u64) {
        if let Some(ring) = self.current.get(&node) {
            self.sent_in.insert((node, number), *ring);
        }
    }

    /// Something happened at a node.
    pub(crate) fn seen(&mut self, node: u32, seen: Seen) -> Result<(), String> {
        match seen {
            Seen::Message { sender, number, intact: true } => self.message(node, sender, number),
            Seen::Message { sender, number, .. } => {
                Err(format!("node {node} got message {number} of node {sender} spoilt"))
            }
            Seen::Configuration(configuration) => self.configuration(node, configuration),
            Seen::Note(_) => Ok(()),
        }
    }

    fn message(&mut self, node: u32, sender: u32, number: u64) -> Result<(), String> {
        self.deliveries += 1;
        let last = self.last.entry((node, sender)).or_insert(0);
        if number <= *last {
            return Err(format!(
                "node {node} got message {number} of node {sender} after its message {last}"
            ));
        }
        *last = number;
        let previous = self.company.insert((node, sender), number);
        if previous.is_some_and(|previous| previous + 1 != number) {
            return Err(format!(
                "node {node} got message {number} of node {sender} after {previous:?}, although it stayed with it"
            ));
        }
        let Some(ring) = self.current.get(&node) else {
            return Err(format!("node {node} got a message before its first configuration"));
        };
        let stay = self.stays.entry((*ring, node)).or_default();
        let list =
            if self.in_transition.contains(&node) { &mut stay.transitional } else { &mut stay.regular };
        list.push((sender, number));
        Ok(())
    }

    fn configuration(&mut self, node: u32, configuration: Configuration) -> Result<(), String> {
        if configuration.transitional {
            let with = &configuration.members;
            self.company.retain(|(receiver, sender), _| *receiver != node || with.contains(sender));
            if let Some(ring) = self.current.get(&node) {
                let stay = self.stays.entry((*ring, node)).or_default();
                stay.left_with = Some((configuration.members, configuration.ring));
            }
            self.in_transition.insert(node);
            return Ok(());
        }
        self.configurations += 1;
        self.in_transition.remove(&node);
        let ring = configuration.ring;
        if !configuration.members.contains(&node) {
            return Err(format!("node {node} installed ring {ring} without itself"));
        }
        let known = self.members.entry(ring).or_insert_with(|| configuration.members.clone());
        if *known != configuration.members {
            return Err(format!("ring {ring} has members {known:?} and {:?}", configuration.members));
        }
        if self.stays.contains_key(&(ring, node)) {
            return Err(format!("node {node} installed ring {ring} twice"));
        }
        self.stays.insert((ring, node), Stay::default());
        let old = self.current.insert(node, ring);
        match old {
            Some(old) if old.seq >= ring.seq => {
                Err(format!("node {node} went from ring {old} to ring {ring}, whose number is not higher"))
            }
            Some(old) => self.check_stay(node, old),
            None => Ok(()),
        }
    }

    /// Only messages handed in during the ring count: the fragments of earlier ones may have been
    /// sent before a newcomer could hear them.
    fn of_ring(&self, ring: RingId, list: &[Message]) -> Vec<Message> {
        list.iter().filter(|message| self.sent_in.get(message) == Some(&ring)).copied().collect()
    }

    /// A node has left a ring: compare with all who were in it.
    fn check_stay(&self, node: u32, ring: RingId) -> Result<(), String> {
        let Some(own) = self.stays.get(&(ring, node)) else { return Ok(()) };
        let own_regular = self.of_ring(ring, &own.regular);
        let others = self.stays.range((ring, 0)..=(ring, u32::MAX)).filter(|((_, id), _)| *id != node);
        for ((_, other), stay) in others {
            let regular = self.of_ring(ring, &stay.regular);
            if !own_regular.starts_with(&regular) && !regular.starts_with(&own_regular) {
                let at = own_regular.iter().zip(&regular).position(|(a, b)| a != b);
                return Err(format!(
                    "nodes {node} and {other} delivered ring {ring} in different orders, from message {at:?} on"
                ));
            }
            let together = own.left_with.is_some()
                && own.left_with == stay.left_with
                && own.left_with.as_ref().is_some_and(|(with, _)| with.contains(other))
                && self.current.get(other) != Some(&ring);
            if together {
                self.check_same(ring, (node, own), (*other, stay))?;
            }
        }
        Ok(())
    }

    /// All is quiet and everybody is in one ring: what was sent since nodes are together has reached everybody, and
    /// all have delivered this ring's messages in one order.
    pub(crate) fn check_rest(&self, sent: &BTreeMap<u32, u64>) -> Result<(), String> {
        for ((node, sender), number) in &self.company {
            let newest = sent.get(sender).copied().unwrap_or(0);
            if *number != newest {
                return Err(format!(
                    "node {node} has message {number} of node {sender}, which sent {newest}"
                ));
            }
        }
        let mut delivered = self.current.iter().filter_map(|(node, ring)| {
            let stay = self.stays.get(&(*ring, *node))?;
            Some((*node, self.of_ring(*ring, &stay.regular)))
        });
        let Some((first, expected)) = delivered.next() else { return Ok(()) };
        match delivered.find(|(_, messages)| *messages != expected) {
            None => Ok(()),
            Some((other, _)) => Err(format!("nodes {first} and {other} delivered the last ring differently")),
        }
    }

    /// Who goes on together has delivered the same (virtual synchrony).
    fn check_same(&self, ring: RingId, a: (u32, &Stay), b: (u32, &Stay)) -> Result<(), String> {
        let all =
            |stay: &Stay| self.of_ring(ring, &[stay.regular.clone(), stay.transitional.clone()].concat());
        let (own, other) = (all(a.1), all(b.1));
        if own == other {
            return Ok(());
        }
        Err(format!(
            "nodes {} and {} left ring {ring} together with {} and {} messages of it",
            a.0,
            b.0,
            own.len(),
            other.len()
        ))
    }
}

/// A quorate partition must have the votes for it.
pub(crate) fn check_quorum(
    options: &Options,
    node: u32,
    members: &[u32],
    quorate: bool,
) -> Result<(), String> {
    // Before its first configuration a node speaks for nobody.
    if !quorate || members.is_empty() {
        return Ok(());
    }
    let count = u32::try_from(members.len()).unwrap_or(0);
    let enough = match options.quorum {
        QuorumKind::Majority | QuorumKind::WaitForAll => 2 * count > options.nodes,
        // Half, or one less than half of an odd number, as in the reference.
        QuorumKind::TieBreaker => count >= options.nodes / 2,
        // These two are made to go below the majority.
        QuorumKind::TwoNode | QuorumKind::LastManStanding => count >= 1,
    };
    if enough {
        return Ok(());
    }
    Err(format!("node {node} calls {members:?} of {} nodes quorate", options.nodes))
}

/// Every check finds what it is for: histories that are wrong in one way.
#[cfg(test)]
mod tests {
    use super::*;

    fn ring(seq: u64) -> RingId {
        RingId { rep: 1, seq }
    }

    fn configuration(seq: u64, transitional: bool, members: &[u32]) -> Seen {
        let members = members.to_vec();
        let (left, joined) = (Vec::new(), Vec::new());
        Seen::Configuration(Configuration { transitional, members, left, joined, ring: ring(seq) })
    }

    fn message(sender: u32, number: u64) -> Seen {
        Seen::Message { sender, number, intact: true }
    }

    /// Nodes 1 and 2 in one ring; node 1 has handed in four messages, node 2 two.
    fn together() -> Checker {
        let mut checker = Checker::default();
        for node in [1, 2] {
            checker.started(node, 0);
            checker.seen(node, configuration(4, false, &[1, 2])).expect("good");
        }
        (1..=4).for_each(|number| checker.sent(1, number));
        (1..=2).for_each(|number| checker.sent(2, number));
        checker
    }

    /// Plays events of nodes; the error of the first that is refused.
    fn play(checker: &mut Checker, events: &[(u32, Seen)]) -> Result<(), String> {
        events.iter().try_for_each(|(node, seen)| checker.seen(*node, seen.clone()))
    }

    fn refused(events: &[(u32, Seen)]) -> String {
        play(&mut together(), events).expect_err("one of the events is wrong")
    }

    fn sent() -> BTreeMap<u32, u64> {
        [(1, 4), (2, 2)].into()
    }

    #[test]
    fn a_good_history_passes() {
        let mut checker = together();
        for node in [1, 2] {
            let seen =
                [message(1, 1), message(2, 1), message(1, 2), message(1, 3), message(2, 2), message(1, 4)];
            play(&mut checker, &seen.map(|seen| (node, seen))).expect("the same order at both");
        }
        checker.check_rest(&sent()).expect("everything has arrived");
        for node in [1, 2] {
            let change = [configuration(8, true, &[1, 2]), configuration(8, false, &[1, 2, 3])];
            play(&mut checker, &change.map(|seen| (node, seen))).expect("they go on together");
        }
    }

    #[test]
    fn messages_twice_missing_or_spoilt() {
        assert!(refused(&[(2, message(1, 1)), (2, message(1, 1))]).contains("after its message"));
        assert!(refused(&[(2, message(1, 1)), (2, message(1, 3))]).contains("although it stayed"));
        let own = refused(&[(1, message(1, 2))]);
        assert!(own.contains("although it stayed"), "a sender hears its first message: {own}");
        let spoilt = Seen::Message { sender: 1, number: 1, intact: false };
        assert!(refused(&[(2, spoilt)]).contains("spoilt"));
        let mut checker = Checker::default();
        assert!(play(&mut checker, &[(1, message(2, 1))]).is_err(), "a message before any configuration");
    }

    #[test]
    fn orders_that_differ_and_synchrony_that_breaks() {
        let leave =
            |node| [(node, configuration(8, true, &[1, 2])), (node, configuration(8, false, &[1, 2]))];
        let one = [(1, message(1, 1)), (1, message(2, 1))];
        let other = [(2, message(2, 1)), (2, message(1, 1))];
        let text = refused(&[one.as_slice(), &other, &leave(1), &leave(2)].concat());
        assert!(text.contains("different orders"), "{text}");
        let text = refused(&[one.as_slice(), &leave(1), &other[..1], &leave(2)].concat());
        assert!(text.contains("different orders"), "{text}");
        let text = refused(&[one.as_slice(), &leave(1), &leave(2)].concat());
        assert!(text.contains("left ring"), "{text}");
    }

    #[test]
    fn rings_that_are_not_what_their_number_says() {
        assert!(refused(&[(1, configuration(8, false, &[2]))]).contains("without itself"));
        let two = [(1, configuration(8, false, &[1, 2])), (2, configuration(8, false, &[2, 3]))];
        assert!(refused(&two).contains("has members"));
        assert!(refused(&[(1, configuration(4, false, &[1, 2]))]).contains("twice"));
        assert!(refused(&[(1, configuration(3, false, &[1, 2]))]).contains("not higher"));
    }

    #[test]
    fn what_never_arrives() {
        let all = [message(1, 1), message(2, 1), message(1, 2), message(1, 3), message(2, 2), message(1, 4)];
        let mut checker = together();
        play(&mut checker, &all.clone().map(|seen| (1, seen))).expect("good");
        play(&mut checker, &all.clone().map(|seen| (2, seen))[..5]).expect("good so far");
        assert!(checker.check_rest(&sent()).is_err_and(|text| text.contains("message 3 of node 1")));
        let mut checker = together();
        play(&mut checker, &all.clone().map(|seen| (1, seen))).expect("good");
        let swapped =
            [message(2, 1), message(1, 1), message(1, 2), message(1, 3), message(2, 2), message(1, 4)];
        play(&mut checker, &swapped.map(|seen| (2, seen))).expect("seen only when compared");
        assert!(checker.check_rest(&sent()).is_err_and(|text| text.contains("differently")));
    }

    #[test]
    fn quorum_without_the_votes() {
        let options = |nodes, quorum| {
            let mut options = Options::endurance(nodes, std::time::Duration::from_secs(1));
            options.quorum = quorum;
            options
        };
        assert!(check_quorum(&options(5, QuorumKind::Majority), 1, &[1, 2, 3], true).is_ok());
        assert!(check_quorum(&options(5, QuorumKind::Majority), 1, &[1, 2], true).is_err());
        assert!(check_quorum(&options(4, QuorumKind::WaitForAll), 1, &[1, 2], true).is_err());
        assert!(check_quorum(&options(4, QuorumKind::WaitForAll), 1, &[1, 2], false).is_ok());
        assert!(check_quorum(&options(6, QuorumKind::TieBreaker), 1, &[1, 2], true).is_err());
    }
}
