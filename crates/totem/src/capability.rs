//! What nodes of our own kind tell each other on every new ring, and what they do among themselves.
//!
//! Each node's first message on a ring goes to a group that the reference does not know and therefore
//! ignores. When all members have spoken, everybody knows, at the same place in the order, that nobody
//! else is there: then more messages may be under way at once, and silence is believed sooner. With one
//! member of another kind the reference's rules apply.
//!
//! Before there is a ring, joins tell the same: a field of their header has no meaning for the reference.

use std::collections::BTreeSet;

use core::time::Duration;

use crate::pack::write_group_header;
use crate::state::Totem;

/// Group of the announcements.
pub(crate) const GROUP: &[u8] = b"relevo";
const VERSION: u8 = 1;
/// `encapsulated` in the header of our joins. The reference sends 0 and looks at it in mcasts only.
pub(crate) const JOIN_MARK: u8 = 0x52;
/// Bytes that may be under way in a ring of our own nodes.
const WINDOW_BYTES: usize = 256 * 1024;
/// Share of the window that one node may fill at one visit of the token, as in the reference.
const VISIT_SHARE: u32 = 3;
/// Joins that a silent node misses before it is believed to be gone: so many, but not more often than that, and
/// never less than so many.
const JOINS_MISSED: u32 = 16;
const JOIN_INTERVAL_MIN: Duration = Duration::from_millis(5);
const JOINS_MISSED_MIN: u32 = 4;

/// What is known about the members.
#[derive(Debug, Default)]
pub(crate) struct Kin {
    /// Members of this ring that have announced themselves.
    announced: BTreeSet<u32>,
    /// All members have.
    complete: bool,
    /// Members of the last ring that was complete, as far as they have stayed with us since.
    known: BTreeSet<u32>,
    /// Nodes whose last join was marked.
    marked: BTreeSet<u32>,
}

impl Totem {
    /// A new ring: everybody announces itself again.
    pub(crate) fn announce_capability(&mut self) {
        let all_stayed = self.trans == self.new_memb && self.new_memb.is_subset(&self.kin.known);
        let known = if all_stayed { self.new_memb.clone() } else { BTreeSet::new() };
        let marked = core::mem::take(&mut self.kin.marked);
        self.kin = Kin { known, marked, ..Kin::default() };
        if self.config.announce {
            let queue = &mut self.queue_trans;
            let mut head = Vec::new();
            write_group_header(&mut head, GROUP);
            self.packer.add(&head, &[&[VERSION]], |body| queue.push_back(body));
        }
    }

    /// The configuration was handed out: what is heard from now on belongs to the new ring.
    pub(crate) fn forget_announcements(&mut self) {
        self.kin.announced.clear();
        self.kin.complete = false;
    }

    /// What a join tells about its sender.
    pub(crate) fn note_join(&mut self, sender: u32, mark: u8) {
        if mark == JOIN_MARK {
            self.kin.marked.insert(sender);
        } else {
            self.kin.marked.remove(&sender);
            self.kin.known.remove(&sender);
        }
    }

    /// True if the last join of this node was one of our kind.
    pub(crate) fn is_marked(&self, node: u32) -> bool {
        self.kin.marked.contains(&node)
    }

    pub(crate) fn take_announcement(&mut self, node: u32) {
        self.kin.announced.insert(node);
        let complete = self.config.announce && self.memb.is_subset(&self.kin.announced);
        if complete && !self.kin.complete {
            self.kin.complete = true;
            self.kin.known = self.memb.clone();
        }
    }

    /// True if all members of the ring are of our kind and have said so.
    #[must_use]
    pub fn is_among_kin(&self) -> bool {
        self.kin.complete
    }

    /// Messages under way at once, and at one visit of the token.
    pub(crate) fn window(&self) -> (u32, u32) {
        let config = &self.config;
        if !self.kin.complete || !config.widen_window {
            return (config.window_size, config.max_messages);
        }
        let wide = u32::try_from(WINDOW_BYTES / config.net_mtu.max(1)).unwrap_or(u32::MAX);
        (config.window_size.max(wide), config.max_messages.max(wide / VISIT_SHARE))
    }

    /// Bytes after which one visit of the token sends no more: with packets of 64 KB the number of packets alone would
    /// let a busy node make all others wait for a megabyte.
    pub(crate) fn visit_bytes(&self) -> usize {
        if self.kin.complete && self.config.widen_window { self.config.kin_visit_bytes } else { usize::MAX }
    }

    /// How long the token may stay away.
    pub(crate) fn token_timeout(&self) -> Duration {
        let timing = &self.config.timing;
        if self.gathers_kin() { timing.kin_token } else { timing.token }
    }

    /// How late the token may be before the log has a line about it; None: never.
    pub(crate) fn token_warning(&self) -> Option<Duration> {
        let percent = self.config.timing.token_warning_percent;
        (percent > 0).then(|| self.token_timeout() * percent / 100)
    }

    /// How long an answer to our joins is awaited.
    pub(crate) fn consensus_timeout(&self) -> Duration {
        let timing = &self.config.timing;
        if self.gathers_kin() { timing.consensus.min(timing.kin_consensus) } else { timing.consensus }
    }

    /// Pause between two joins.
    pub(crate) fn join_interval(&self) -> Duration {
        let timing = &self.config.timing;
        if self.gathers_kin() {
            let consensus = self.consensus_timeout();
            let often = (consensus / JOINS_MISSED).max(JOIN_INTERVAL_MIN).min(consensus / JOINS_MISSED_MIN);
            timing.join.min(often)
        } else {
            timing.join
        }
    }

    pub(crate) fn gathers_kin(&self) -> bool {
        let is_kin = |id: &u32| *id == self.me || self.kin.known.contains(id) || self.kin.marked.contains(id);
        self.config.announce && self.proc.iter().all(is_kin)
    }
}
