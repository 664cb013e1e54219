//! OPERATIONAL: installing a ring and delivering in order.

use crate::event::{Configuration, Level};
use crate::queue::{SortQueue, WINDOW};
use crate::state::{Raw, State, Totem};
use crate::wire::{self, Packet};

impl Totem {
    pub(crate) fn enter_operational(&mut self) {
        self.originated_token = false;
        self.flush_before_switch();
        self.unpack_recovered();
        let old_high = self.old.map_or(self.high_delivered, |old| old.high_seq);
        self.deliver(false, old_high);

        let left = Self::difference(&self.memb, &self.trans);
        let joined = Self::difference(&self.new_memb, &self.trans);
        self.memb = self.new_memb.clone();
        self.set_retrans_flg = false;
        self.raw.push_back(Raw::Configuration(Configuration {
            transitional: true,
            members: self.trans.iter().copied().collect(),
            left: left.clone(),
            joined: Vec::new(),
            ring: self.ring,
        }));
        self.deliver(true, old_high);
        self.waiting_trans_ack = true;
        self.raw.push_back(Raw::Switch);
        self.raw.push_back(Raw::Configuration(Configuration {
            transitional: false,
            members: self.memb.iter().copied().collect(),
            left: Vec::new(),
            joined: joined.clone(),
            ring: self.ring,
        }));
        self.install_new_queue();
        self.proc = self.new_memb.clone();
        self.failed.clear();
        self.consensus.clear();
        self.announce_capability();
        self.note_membership(&joined, &left);
        self.leaving.clear();
        self.state = State::Operational;
        self.stats.operational_entered += 1;
        self.old = None;
        self.old_ring = self.ring;
    }

    /// A packet that is partly filled belongs to the traffic before the switch.
    fn flush_before_switch(&mut self) {
        if self.waiting_trans_ack {
            return;
        }
        if let Some(body) = self.packer.flush() {
            self.queue.push_back(body);
        }
    }

    /// The queue of RECOVERY becomes the ring's queue; what was encapsulated counts as delivered.
    fn install_new_queue(&mut self) {
        self.regular = core::mem::replace(&mut self.recovery, SortQueue::new());
        self.last_aru = 0;
        self.high_delivered = self.recovery_high;
        if self.recovery_high > 0 {
            self.regular.release(self.recovery_high);
        }
        self.last_released = self.recovery_high;
    }

    fn note_membership(&mut self, joined: &[u32], left: &[u32]) {
        let list = |label: &str, ids: &[u32]| {
            if ids.is_empty() {
                return String::new();
            }
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            format!(" {label}: {}", ids.join(" "))
        };
        self.note(Level::Debug, "entering OPERATIONAL state.".to_owned());
        let text = format!(
            "A new membership ({}) was formed. Members{}{}",
            self.ring,
            list("joined", joined),
            list("left", left)
        );
        self.note(Level::Notice, text);
        let lost: Vec<u32> = left.iter().copied().filter(|id| !self.leaving.contains(id)).collect();
        if !lost.is_empty() {
            let text = format!("Failed to receive the leave message.{}", list("failed", &lost));
            self.note(Level::Notice, text);
        }
    }

    /// Hands out messages in order up to `end`: up to the first hole, or (`beyond_holes`, at the
    /// end of a ring) everything from members whose messages are known to be complete.
    pub(crate) fn deliver(&mut self, beyond_holes: bool, end: u32) {
        let start = self.high_delivered;
        let range = end.wrapping_sub(start);
        if range > WINDOW {
            return;
        }
        for offset in 1..=range {
            let seq = start.wrapping_add(offset);
            let packet = self.regular.get(seq).cloned();
            match packet {
                None if !beyond_holes => return,
                Some(packet) if !beyond_holes || self.is_from_deliver_set(&packet) => {
                    self.raw.push_back(Raw::Packet(packet));
                }
                _ => {}
            }
            self.high_delivered = seq;
        }
    }

    fn is_from_deliver_set(&self, packet: &[u8]) -> bool {
        match wire::decode(packet) {
            Ok((_, Packet::Mcast(mcast))) => self.deliver_from.contains(&mcast.system_from),
            _ => false,
        }
    }
}
