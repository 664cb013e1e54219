//! RECOVERY: members of one old ring exchange what some of them lack, then install the new ring.

use std::collections::BTreeSet;

use crate::event::Level;
use crate::queue::{SortQueue, WINDOW, before};
use crate::state::{State, Totem};
use crate::wire::{self, CommitEntry, CommitToken, OrfToken, Packet};

/// Quiet visits of the token before the end of the old messages is fixed.
const QUIET_FOR_INSTALL: u32 = 2;
/// Quiet visits before rotations count.
const QUIET_FOR_ROTATIONS: u32 = 3;
/// Rotations in which everybody had everything.
const ROTATIONS_TO_INSTALL: u32 = 2;

impl Totem {
    pub(crate) fn enter_recovery(&mut self, token: CommitToken) {
        self.note(Level::Debug, "entering RECOVERY state.".to_owned());
        self.recovery = SortQueue::new();
        self.recovery_high = 0;
        self.retrans_queue.clear();
        self.last_token_seq = u32::MAX;
        self.last_seq = 0;
        let from_old_ring: Vec<(u32, CommitEntry)> = token
            .members
            .iter()
            .filter(|(id, entry)| self.memb.contains(id) && entry.ring == self.old_ring)
            .copied()
            .collect();
        self.send_commit(token);
        self.trans = from_old_ring.iter().map(|(id, _)| *id).collect();
        if from_old_ring.iter().any(|(_, entry)| entry.received_flg == 0) {
            self.deliver_from = self.trans.clone();
            self.queue_old_messages(&from_old_ring);
        }
        self.aru = 0;
        self.high_seq = 0;
        self.install_seq = 0;
        self.last_released = 0;
        self.last_aru = 0;
        self.aru_count = 0;
        self.seq_unchanged = 0;
        self.retrans_flg_count = 0;
        self.rotations = 0;
        self.held = false;
        self.in_hand = None;
        self.restart_token_timer();
        self.restart_retransmit_timer();
        self.state = State::Recovery;
        self.stats.recovery_entered += 1;
    }

    /// Everybody queues all that somebody may lack; duplicates are dropped by the receivers.
    fn queue_old_messages(&mut self, entries: &[(u32, CommitEntry)]) {
        let Some(old) = self.old else { return };
        let mut low = old.high_seq;
        for (_, entry) in entries {
            if before(entry.aru, low) {
                low = entry.aru;
            }
        }
        let range = old.high_seq.wrapping_sub(low);
        if range > WINDOW {
            return;
        }
        for offset in 1..=range {
            if let Some(packet) = self.regular.get(low.wrapping_add(offset)) {
                self.retrans_queue.push_back(packet.clone());
            }
        }
        let text = format!("Originated {} messages in RECOVERY.", self.retrans_queue.len());
        self.note(Level::Debug, text);
    }

    /// The representative starts the new ring's token.
    pub(crate) fn send_first_token(&mut self) {
        self.note(Level::Debug, "Sending initial ORF token".to_owned());
        self.set_retrans_flg = !self.retrans_queue.is_empty();
        let token = OrfToken {
            seq: 0,
            token_seq: 0,
            aru: u32::MAX,
            aru_addr: self.me,
            ring: self.ring,
            backlog: 0,
            fcc: 0,
            retrans_flg: u32::from(self.set_retrans_flg),
            rtr: Vec::new(),
        };
        let bytes = wire::encode(self.native_header(), &Packet::OrfToken(token), &[]);
        self.stats.orf_token_tx += 1;
        self.send_token_bytes(bytes.into(), true);
        self.restart_token_timer();
        self.restart_retransmit_timer();
    }

    /// The part of a token visit that belongs to RECOVERY.
    pub(crate) fn advance_recovery(&mut self, token: &mut OrfToken) {
        if !self.retrans_queue.is_empty() {
            if token.retrans_flg == 0 {
                token.retrans_flg = 1;
                self.set_retrans_flg = true;
            }
        } else if token.retrans_flg != 0 && self.set_retrans_flg {
            token.retrans_flg = 0;
            self.set_retrans_flg = false;
        }
        if token.retrans_flg == 0 {
            self.retrans_flg_count += 1;
        } else {
            self.retrans_flg_count = 0;
        }
        if self.retrans_flg_count == QUIET_FOR_INSTALL {
            self.install_seq = token.seq;
        }
        let all_have_all = !before(token.aru, self.install_seq);
        if self.retrans_flg_count >= QUIET_FOR_ROTATIONS && all_have_all {
            self.rotations += 1;
        } else {
            self.rotations = 0;
        }
        if self.rotations == ROTATIONS_TO_INSTALL {
            self.rotations = 0;
            self.retrans_flg_count = 0;
            self.enter_operational();
        }
    }

    /// Moves the old ring's messages that came encapsulated into the old ring's queue.
    pub(crate) fn unpack_recovered(&mut self) {
        for seq in 1..=self.aru {
            let Some(packet) = self.recovery.get(seq) else { continue };
            let Some(inner) = packet.get(wire::MCAST_HEADER_LEN..) else { continue };
            let Ok((header, Packet::Mcast(_))) = wire::decode(packet) else { continue };
            if header.encapsulated != wire::ENCAPSULATED {
                continue;
            }
            let Ok((_, Packet::Mcast(old))) = wire::decode(inner) else { continue };
            if old.ring != self.old_ring {
                continue;
            }
            let added = self.regular.add(old.seq, packet.slice_ref(inner));
            if let Some(saved) = self.old.as_mut().filter(|saved| added && before(saved.high_seq, old.seq)) {
                saved.high_seq = old.seq;
            }
        }
    }

    /// Members of a set that another one lacks, in ascending order.
    pub(crate) fn difference(a: &BTreeSet<u32>, b: &BTreeSet<u32>) -> Vec<u32> {
        a.difference(b).copied().collect()
    }
}
