//! The first ring of nodes of our kind that are started together: one ring at once in the place of many that follow
//! each other. With a node of another kind in sight the reference's rules hold.

use core::time::Duration;

use crate::capability::JOIN_MARK;
use crate::state::{State, Totem};
use crate::timer::Timer;
use crate::wire::Join;

/// How long a node that was just started waits for the others of its list before it forms a ring without them, and
/// at most this share of the consensus timeout.
const ASSEMBLY: Duration = Duration::from_millis(30);
const CONSENSUS_SHARE: u32 = 4;
/// Whoever is heard makes the rest likely to come soon: it is waited for so long again, but no longer than so many
/// times in all.
const ASSEMBLY_MAX: u32 = 4;

impl Totem {
    /// All who are here agree, and we are to form the ring. True: it waits a little for those who are being started.
    pub(crate) fn awaits_more(&mut self) -> bool {
        let known = &self.config.known_nodes;
        let is_first_ring = self.memb.is_empty();
        if !is_first_ring || !self.gathers_kin() || known.is_subset(&self.proc) {
            return false;
        }
        let patience = ASSEMBLY.min(self.consensus_timeout() / CONSENSUS_SHARE);
        let end = self.last_arrival.after(patience).min(self.started_at.after(patience * ASSEMBLY_MAX));
        if end <= self.now {
            return false;
        }
        self.timers.start(Timer::Assembly, self.now, end.since(self.now));
        true
    }

    /// A node of our kind that joins while a ring is formed is not in it, and may not ask again for long.
    pub(crate) fn note_caller(&mut self, mark: u8, join: &Join) {
        let is_forming = matches!(self.state, State::Commit | State::Recovery);
        let is_new = !self.new_memb.contains(&join.system_from);
        if self.config.announce && is_forming && is_new && mark == JOIN_MARK && join.failed.is_empty() {
            self.callers.insert(join.system_from);
        }
    }

    /// A member of our kind has heard of somebody else before our commit token came to it: it will not take that, and
    /// everybody would wait for the token timeout. What is older names nobody new.
    pub(crate) fn is_overtaken(&self, join: &Join) -> bool {
        self.state == State::Commit
            && self.config.announce
            && self.new_memb.contains(&join.system_from)
            && self.is_marked(join.system_from)
            && join.failed.is_empty()
            && !join.proc.iter().all(|id| self.proc.contains(id))
    }

    /// The ring is there on all members, as the token came round: now those who called meanwhile are taken in.
    /// True: a new ring is being formed.
    pub(crate) fn admit_callers(&mut self) -> bool {
        let callers = core::mem::take(&mut self.callers);
        if self.state != State::Operational || callers.is_subset(&self.memb) {
            return false;
        }
        self.proc.extend(callers);
        self.enter_gather("join while the ring was formed");
        true
    }

    /// A way to another node has opened: tells it at once that we exist.
    pub(crate) fn call_out(&mut self) {
        if self.state == State::Gather && self.gathers_kin() {
            self.send_join();
        }
        self.merge_due();
    }
}
