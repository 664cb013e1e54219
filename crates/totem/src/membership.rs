//! GATHER and COMMIT: agreeing on who is in the next ring.

use std::collections::BTreeSet;

use crate::RingId;
use crate::capability;
use crate::event::Level;
use crate::queue::before;
use crate::state::{OldRing, State, Totem};
use crate::timer::Timer;
use crate::wire::{CommitEntry, CommitToken, Header, Join, MergeDetect, Packet};

/// Step by which ring sequence numbers grow.
const RING_SEQ_STEP: u64 = 4;

impl Totem {
    pub(crate) fn enter_gather(&mut self, why: &str) {
        self.originated_token = false;
        self.proc.insert(self.me);
        self.consensus = BTreeSet::from([self.me]);
        self.state = State::Gather;
        self.held = false;
        self.in_hand = None;
        self.send_join();
        for timer in
            [Timer::Retransmit, Timer::Token, Timer::Warning, Timer::Merge, Timer::Hold, Timer::Nudge]
        {
            self.timers.stop(timer);
        }
        self.last_arrival = self.now;
        self.timers.stop(Timer::Assembly);
        self.timers.start(Timer::Join, self.now, self.join_interval());
        self.timers.start(Timer::Consensus, self.now, self.consensus_timeout());
        self.stats.gather_entered += 1;
        self.note(Level::Debug, format!("entering GATHER state from {why}."));
    }

    /// Members that the next ring would have.
    fn candidates(&self) -> BTreeSet<u32> {
        self.proc.difference(&self.failed).copied().collect()
    }

    fn is_agreed(&self) -> bool {
        self.candidates().is_subset(&self.consensus)
    }

    /// What else this turn of the caller brings is told with the same join, among our own nodes.
    pub(crate) fn send_join(&mut self) {
        let spread = u64::try_from(self.config.timing.send_join.as_nanos()).unwrap_or(u64::MAX);
        if spread == 0 && !self.config.announce {
            self.send_join_now();
            return;
        }
        let delay = core::time::Duration::from_nanos(self.random_below(spread));
        self.timers.start(Timer::SendJoin, self.now, delay);
    }

    pub(crate) fn send_join_now(&mut self) {
        let join = Join {
            system_from: self.me,
            ring_seq: self.ring.seq,
            proc: self.proc.iter().copied().collect(),
            failed: self.failed.iter().copied().collect(),
        };
        self.stats.memb_join_tx += 1;
        let mark = if self.config.announce { capability::JOIN_MARK } else { 0 };
        self.broadcast(Header::native(self.me, mark), &Packet::Join(join));
    }

    pub(crate) fn send_leave(&mut self) {
        let mut failed: Vec<u32> = self.failed.iter().copied().filter(|id| *id != self.me).collect();
        failed.push(self.me);
        let join = Join {
            system_from: self.me,
            ring_seq: self.ring.seq,
            proc: self.proc.iter().copied().filter(|id| *id != self.me).collect(),
            failed,
        };
        self.stats.memb_join_tx += 1;
        self.note(Level::Debug, "sending join/leave message".to_owned());
        self.broadcast(Header::native(0, 0), &Packet::Join(join));
        self.timers.stop_all();
    }

    pub(crate) fn join_due(&mut self) {
        if matches!(self.state, State::Gather | State::Commit) {
            self.send_join();
            self.timers.start(Timer::Join, self.now, self.join_interval());
        }
    }

    pub(crate) fn consensus_expired(&mut self) {
        if self.state != State::Gather {
            return;
        }
        self.stats.consensus_timeouts += 1;
        if self.is_agreed() {
            self.consensus = BTreeSet::from([self.me]);
            self.restart_token_timer();
            return;
        }
        let silent: Vec<u32> = self.candidates().difference(&self.consensus).copied().collect();
        self.note(Level::Debug, format!("No consensus from {silent:?}, taking them for failed."));
        self.failed.extend(silent);
        self.enter_gather("consensus timeout");
    }

    /// The token timer fired.
    pub(crate) fn token_lost(&mut self) {
        match self.state {
            State::Operational => {
                self.stats.operational_token_lost += 1;
                let text = format!(
                    "A processor failed, forming new configuration: token timed out ({}ms), waiting {}ms for consensus.",
                    self.token_timeout().as_millis(),
                    self.consensus_timeout().as_millis()
                );
                self.note(Level::Notice, text);
                self.enter_gather("The token was lost in the OPERATIONAL state");
            }
            State::Gather => {
                self.stats.gather_token_lost += 1;
                self.stats.continuous_gather += 1;
                self.consensus_expired();
                self.enter_gather("The consensus timeout expired");
            }
            State::Commit => {
                self.stats.commit_token_lost += 1;
                self.enter_gather("The token was lost in the COMMIT state");
            }
            State::Recovery => {
                self.stats.recovery_token_lost += 1;
                self.restore_old_ring();
                self.enter_gather("The token was lost in the RECOVERY state");
            }
        }
    }

    /// A message of another ring, sent by `from`.
    pub(crate) fn handle_foreign(&mut self, ring: RingId, from: u32, what: &str) {
        if ring == self.ring {
            return;
        }
        match self.state {
            State::Operational => {
                // A late packet of a ring that a member has left behind tells nothing new.
                if self.memb.contains(&from) && ring.seq < self.ring.seq {
                    self.stats.rx_msg_dropped += 1;
                    return;
                }
                self.proc.insert(from);
                self.enter_gather(&format!("{what} during operational state"));
            }
            State::Gather => {
                if self.proc.insert(from) {
                    self.enter_gather(&format!("{what} during gather state"));
                }
            }
            State::Commit | State::Recovery => self.stats.rx_msg_dropped += 1,
        }
    }

    pub(crate) fn handle_join(&mut self, sender: u32, join: &Join) {
        self.ring_seq_max = self.ring_seq_max.max(join.ring_seq);
        if let (0, Some(leaver)) = (sender, join.failed.last()) {
            self.note(Level::Debug, format!("Received LEAVE message from {leaver}"));
            self.leaving.insert(*leaver);
        }
        match self.state {
            State::Operational => {
                let accuses_me = join.failed.contains(&self.me);
                let is_stale = self.memb.contains(&join.system_from) && join.ring_seq < self.ring.seq;
                if !accuses_me && !is_stale && !self.merge_join(sender, join) {
                    self.enter_gather("join during operational state");
                }
            }
            State::Gather => {
                self.merge_join(sender, join);
            }
            State::Commit | State::Recovery => {
                let counts = self.new_memb.contains(&join.system_from) && join.ring_seq >= self.ring.seq;
                if counts || self.is_overtaken(join) {
                    self.restore_old_ring();
                    if !self.merge_join(sender, join) {
                        self.enter_gather("join during commit or recovery state");
                    }
                }
            }
        }
    }

    /// Takes over what a join says; true if that made us enter GATHER or COMMIT.
    fn merge_join(&mut self, sender: u32, join: &Join) -> bool {
        let proc: BTreeSet<u32> = join.proc.iter().copied().collect();
        let failed: BTreeSet<u32> = join.failed.iter().copied().collect();
        let from = join.system_from;
        if proc == self.proc && failed == self.failed {
            if sender != 0 {
                self.consensus.insert(from);
            }
            return self.state == State::Gather && self.commit_if_agreed();
        }
        let nothing_new = proc.is_subset(&self.proc) && failed.is_subset(&self.failed);
        if nothing_new || self.failed.contains(&from) {
            return false;
        }
        let before = (self.proc.len(), self.failed.len());
        self.proc.extend(proc);
        if failed.contains(&self.me) {
            self.failed.insert(from);
        } else if self.memb.contains(&from) {
            self.failed.extend(failed);
        }
        // A stranger's list of failed nodes is not taken over. Answering each of its joins with one
        // of ours would then go on for ever; the consensus timer must run out instead.
        if self.state == State::Gather && before == (self.proc.len(), self.failed.len()) {
            return false;
        }
        self.enter_gather("merge during join");
        true
    }

    fn commit_if_agreed(&mut self) -> bool {
        if !self.is_agreed() {
            return false;
        }
        if self.failed_to_receive {
            self.failed_to_receive = false;
            self.proc = BTreeSet::from([self.me]);
            self.failed.clear();
        } else if self.candidates().first() != Some(&self.me) || self.awaits_more() {
            return false;
        }
        self.create_commit_token();
        true
    }

    pub(crate) fn form_first_ring(&mut self) {
        if self.state == State::Gather {
            self.commit_if_agreed();
        }
    }

    fn create_commit_token(&mut self) {
        self.note(Level::Debug, "Creating commit token because I am the rep.".to_owned());
        let members = self.candidates().into_iter().map(|id| (id, CommitEntry::default()));
        let token = CommitToken {
            token_seq: 0,
            ring: RingId { rep: self.me, seq: self.ring_seq_max.saturating_add(RING_SEQ_STEP) },
            retrans_flg: 0,
            memb_index: 0,
            members: members.collect(),
        };
        self.enter_commit(token);
    }

    fn enter_commit(&mut self, mut token: CommitToken) {
        if self.old.is_none() {
            self.old = Some(OldRing { aru: self.aru, high_seq: self.high_seq });
            self.old_ring = self.ring;
        }
        self.new_memb = token.members.iter().map(|(id, _)| *id).collect();
        self.fill_entry(&mut token);
        self.ring = token.ring;
        self.ring_seq_max = self.ring_seq_max.max(token.ring.seq);
        self.persist = Some(self.ring.seq);
        self.callers.clear();
        for timer in [Timer::Join, Timer::SendJoin, Timer::Consensus, Timer::Assembly] {
            self.timers.stop(timer);
        }
        self.state = State::Commit;
        self.stats.commit_entered += 1;
        self.stats.continuous_gather = 0;
        self.last_sent = 0;
        self.last_backlog = 0;
        self.backlog = 0;
        self.note(Level::Debug, "entering COMMIT state.".to_owned());
        self.restart_token_timer();
        self.send_commit(token);
    }

    /// Writes our entry and marks those who lack messages that another member of the ring has.
    fn fill_entry(&mut self, token: &mut CommitToken) {
        let index = usize::try_from(token.memb_index).unwrap_or(usize::MAX);
        let old_ring = self.old_ring;
        let aru = self.old.map_or(self.aru, |old| old.aru);
        let filled = token.members.get_mut(..=index).unwrap_or_default();
        if let Some((_, entry)) = filled.last_mut() {
            *entry = CommitEntry {
                ring: old_ring,
                aru,
                high_delivered: self.high_delivered,
                received_flg: u32::from(self.aru == self.high_seq),
            };
        }
        let mine = |entry: &CommitEntry| entry.ring == old_ring;
        let high_aru = filled
            .iter()
            .filter(|(_, entry)| mine(entry))
            .map(|(_, entry)| entry.aru)
            .fold(aru, |high, other| if before(high, other) { other } else { high });
        for (_, entry) in filled.iter_mut().filter(|(_, entry)| mine(entry)) {
            if before(entry.aru, high_aru) {
                entry.received_flg = 0;
            }
        }
        token.memb_index += 1;
        let next = usize::try_from(token.memb_index).unwrap_or(0) % token.members.len().max(1);
        self.next_hop = token.members.get(next).map_or(self.me, |(id, _)| *id);
    }

    pub(crate) fn send_commit(&mut self, mut token: CommitToken) {
        token.token_seq = token.token_seq.wrapping_add(1);
        self.stats.memb_commit_token_tx += 1;
        let bytes = crate::wire::encode(self.native_header(), &Packet::CommitToken(token), &[]);
        self.send_token_bytes(bytes.into(), true);
        self.restart_retransmit_timer();
    }

    pub(crate) fn handle_commit(&mut self, token: CommitToken) {
        self.note(Level::Debug, "got commit token".to_owned());
        let count = token.members.len();
        let index = usize::try_from(token.memb_index).unwrap_or(usize::MAX);
        let ids: Vec<u32> = token.members.iter().map(|(id, _)| *id).collect();
        if !ids.is_sorted_by(|a, b| a < b) || ids.first() != Some(&token.ring.rep) {
            self.stats.rx_msg_dropped += 1;
            return;
        }
        match self.state {
            State::Operational => {}
            State::Gather => {
                let is_mine = token.members.get(index).is_some_and(|(id, _)| *id == self.me);
                let agreed: BTreeSet<u32> = ids.into_iter().collect();
                if is_mine && agreed == self.candidates() && token.ring.seq > self.ring.seq {
                    self.enter_commit(token);
                }
            }
            State::Commit => {
                if token.ring == self.ring && index == count {
                    self.enter_recovery(token);
                }
            }
            State::Recovery => {
                let is_rep = self.me == self.ring.rep;
                if is_rep && token.ring == self.ring && index == count && !self.originated_token {
                    self.originated_token = true;
                    self.send_first_token();
                }
            }
        }
    }

    pub(crate) fn merge_due(&mut self) {
        if self.state == State::Operational && self.ring.rep == self.me {
            self.stats.memb_merge_detect_tx += 1;
            let packet = Packet::MergeDetect(MergeDetect { system_from: self.me, ring: self.ring });
            self.broadcast(self.native_header(), &packet);
        }
    }

    /// Gives the old ring's position back after a recovery that failed.
    pub(crate) fn restore_old_ring(&mut self) {
        if let (State::Recovery, Some(old)) = (self.state, self.old) {
            self.aru = old.aru;
            self.high_seq = old.high_seq;
        }
    }
}
