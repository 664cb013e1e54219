//! The rotating token: total order, retransmission, flow control, holding.

use bytes::Bytes;
use core::time::Duration;

use crate::RingId;
use crate::event::Level;
use crate::pack::Body;
use crate::queue::{SortQueue, WINDOW, before};
use crate::state::{State, Totem};
use crate::timer::Timer;
use crate::wire::{
    self, ENCAPSULATED, Header, MCAST_HEADER_LEN, Mcast, NOT_ENCAPSULATED, OrfToken, Packet, RETRANSMITS_MAX,
};

/// So many repeats of a lost token for one of the reference's, whoever gets them: they accuse nobody, and a ring that
/// stands still for long has so much to send then that a lossy link lets it through no more.
const OWN_REPEATS: u32 = 4;
/// Shortest time between two repeats of a token.
const REPEAT_MIN: Duration = Duration::from_millis(5);

impl Totem {
    pub(crate) fn restart_token_timer(&mut self) {
        self.timers.start(Timer::Token, self.now, self.token_timeout());
        if let Some(after) = self.token_warning() {
            self.timers.start(Timer::Warning, self.now, after);
        }
        self.last_token_at = self.now;
    }

    pub(crate) fn restart_retransmit_timer(&mut self) {
        self.timers.start(Timer::Retransmit, self.now, self.retransmit_after());
    }

    fn retransmit_after(&self) -> Duration {
        let timing = &self.config.timing;
        if self.is_among_kin() { timing.kin_retransmit } else { timing.token_retransmit }
    }

    pub(crate) fn token_late(&mut self) {
        let late = self.now.since(self.last_token_at);
        self.note(Level::Notice, format!("Token has not been received in {} ms", late.as_millis()));
        if let Some(after) = self.token_warning() {
            self.timers.start(Timer::Warning, self.now, after);
        }
    }

    pub(crate) fn retransmit_due(&mut self) {
        if self.state != State::Gather {
            self.resend_token();
            // The first repeat must wait for a representative that holds the token. Once one was due, the token is
            // likely lost; with every fifth packet lost and a stop in between, a few more tries would not do.
            let interval = self.retransmit_after();
            let again = if self.config.announce { interval / OWN_REPEATS } else { interval };
            self.timers.start(Timer::Retransmit, self.now, again.max(REPEAT_MIN.min(interval)));
        }
    }

    fn resend_token(&mut self) {
        self.in_hand = None;
        if let Some(bytes) = self.token_copy.clone() {
            self.stats.orf_token_tx += 1;
            self.unicast_bytes(self.next_hop, bytes);
        }
    }

    /// The held token goes on: with our messages, if there are any and nobody has seen it yet.
    pub(crate) fn release_held_token(&mut self) {
        if !matches!(self.state, State::Operational | State::Recovery) {
            return;
        }
        match self.in_hand.take() {
            Some(token) if self.state == State::Operational => self.use_held_token(token),
            _ => self.resend_token(),
        }
    }

    /// As if the token came only now.
    fn use_held_token(&mut self, mut token: OrfToken) {
        self.flush_packer();
        let mut allowed = self.allowed_messages(&token);
        if self.window_is_full(allowed, token.seq) {
            allowed = 0;
        }
        let sent = self.send_queued(&mut token, allowed);
        if sent == 0 {
            self.resend_token();
            return;
        }
        self.held = false;
        self.update_flow_control(&mut token, sent);
        self.update_token_aru(&mut token);
        let bytes = wire::encode(self.native_header(), &Packet::OrfToken(token), &[]);
        self.stats.orf_token_tx += 1;
        self.send_token_bytes(bytes.into(), true);
        self.deliver(false, self.high_seq);
        self.start_nudge_timer();
        self.restart_token_timer();
        self.restart_retransmit_timer();
    }

    pub(crate) fn send_token_bytes(&mut self, bytes: Bytes, forward: bool) {
        self.token_copy = Some(bytes.clone());
        if forward {
            self.unicast_bytes(self.next_hop, bytes);
        }
    }

    fn is_rep(&self) -> bool {
        self.ring.rep == self.me
    }

    /// Something to send: a held token must move on. Who holds it himself tells nobody and lets it go at the next
    /// call of [`Totem::handle_timeout`], with all that was queued until then.
    pub(crate) fn cancel_hold(&mut self) {
        if !self.held {
            return;
        }
        self.held = false;
        self.seq_unchanged = 0;
        if self.in_hand.is_some() {
            self.timers.start(Timer::Hold, self.now, Duration::ZERO);
            return;
        }
        self.stats.token_hold_cancel_tx += 1;
        self.broadcast(self.native_header(), &Packet::HoldCancel(self.ring));
        if self.is_rep() {
            self.timers.stop(Timer::Hold);
            self.release_held_token();
        }
    }

    pub(crate) fn handle_hold_cancel(&mut self, ring: RingId) {
        if ring != self.ring || self.state == State::Gather {
            return;
        }
        self.seq_unchanged = 0;
        if self.is_rep() && self.held {
            self.held = false;
            self.timers.stop(Timer::Hold);
            self.release_held_token();
        }
    }

    /// The token did not come for long: the representative may hold it longer than we dare wait.
    pub(crate) fn nudge_due(&mut self) {
        if self.state != State::Operational || self.is_rep() {
            return;
        }
        self.stats.token_hold_cancel_tx += 1;
        self.broadcast(self.native_header(), &Packet::HoldCancel(self.ring));
        self.start_nudge_timer();
    }

    fn start_nudge_timer(&mut self) {
        if let Some(after) = self.config.timing.nudge {
            self.timers.start(Timer::Nudge, self.now, after);
        }
    }

    pub(crate) fn handle_token(&mut self, mut token: OrfToken) {
        let is_current = matches!(self.state, State::Operational | State::Recovery)
            && token.ring == self.ring
            && self.last_token_seq != token.token_seq
            && !before(token.token_seq, self.last_token_seq);
        if !is_current || self.admit_callers() {
            return;
        }
        self.note_visit();
        self.watch_activity(&token);
        if self.state == State::Operational {
            self.release_messages(token.aru);
        }
        self.flush_packer();
        let previous_aru = core::mem::replace(&mut self.last_aru, token.aru);

        let mut allowed = self.allowed_messages(&token);
        let repeated = self.serve_retransmits(&mut token, allowed);
        allowed -= repeated;
        self.request_retransmits(&mut token);
        if self.window_is_full(allowed, token.seq) {
            allowed = 0;
        }
        let sent = self.send_queued(&mut token, allowed);
        self.update_flow_control(&mut token, repeated + sent);
        let repairing = !token.rtr.is_empty() || repeated > 0;
        if sent > 0 || (repairing && self.config.cancel_token_hold_on_retransmit) {
            self.held = false;
        }
        self.update_token_aru(&mut token);
        if token.aru == previous_aru && token.aru_addr != 0 {
            self.aru_count += 1;
        } else {
            self.aru_count = 0;
        }
        if self.aru_count > self.config.fail_recv_const && token.aru_addr == self.me {
            self.fail_to_receive();
            return;
        }
        self.forward_token(token);
    }

    /// Averages for the statistics: each visit counts for a hundredth.
    fn note_visit(&mut self) {
        const VISITS: u32 = 100;
        let interval = self.now.since(self.last_token_at);
        let stats = &mut self.stats;
        stats.mean_token_interval = if stats.mean_token_interval.is_zero() {
            interval
        } else {
            (stats.mean_token_interval * (VISITS - 1) + interval) / VISITS
        };
        let backlog = u64::from(stats.mean_backlog) * u64::from(VISITS - 1) + u64::from(self.backlog);
        stats.mean_backlog = u32::try_from(backlog / u64::from(VISITS)).unwrap_or(u32::MAX);
    }

    fn watch_activity(&mut self, token: &OrfToken) {
        if token.seq == self.last_seq {
            if !self.timers.is_running(Timer::Merge) {
                self.timers.start(Timer::Merge, self.now, self.config.timing.merge);
            }
            self.seq_unchanged = self.seq_unchanged.saturating_add(1);
        } else {
            self.timers.stop(Timer::Merge);
            self.timers.stop(Timer::Hold);
            self.seq_unchanged = 0;
        }
        self.last_seq = token.seq;
        let limit = self.config.seqno_unchanged_const;
        self.held = if self.is_rep() { self.seq_unchanged > limit } else { self.seq_unchanged >= limit };
    }

    fn fail_to_receive(&mut self) {
        self.note(Level::Error, "FAILED TO RECEIVE".to_owned());
        self.failed_to_receive = true;
        self.failed.insert(self.me);
        self.restore_old_ring();
        self.enter_gather("failed to receive");
    }

    fn forward_token(&mut self, mut token: OrfToken) {
        self.last_token_seq = token.token_seq;
        token.token_seq = token.token_seq.wrapping_add(1);
        if self.state == State::Recovery {
            self.advance_recovery(&mut token);
        }
        let forward = !(self.is_rep() && self.held);
        // With others the reference's way: recorded rings show what its nodes make of it.
        self.in_hand = (!forward && self.is_among_kin()).then(|| token.clone());
        let bytes = wire::encode(self.native_header(), &Packet::OrfToken(token), &[]);
        if forward {
            self.stats.orf_token_tx += 1;
        }
        self.send_token_bytes(bytes.into(), forward);
        if self.state == State::Operational {
            self.deliver(false, self.high_seq);
            self.start_nudge_timer();
        }
        self.restart_token_timer();
        self.restart_retransmit_timer();
        if !forward {
            let timing = &self.config.timing;
            let hold = if self.is_among_kin() { timing.kin_hold } else { timing.hold };
            self.timers.start(Timer::Hold, self.now, hold);
        }
    }

    fn current_queue(&mut self) -> &mut SortQueue {
        if self.state == State::Recovery { &mut self.recovery } else { &mut self.regular }
    }

    fn flush_packer(&mut self) {
        if self.room() == 0 {
            return;
        }
        if let Some(body) = self.packer.flush() {
            let queue = if self.waiting_trans_ack { &mut self.queue_trans } else { &mut self.queue };
            queue.push_back(body);
        }
    }

    /// Frees what every member has.
    fn release_messages(&mut self, token_aru: u32) {
        let earlier = |a: u32, b: u32| if before(b, a) { b } else { a };
        let to = earlier(earlier(token_aru, self.last_aru), self.high_delivered);
        if before(self.last_released, to) {
            self.regular.release(to);
            self.last_released = to;
        }
    }

    fn backlog_now(&self) -> u32 {
        let len = match self.state {
            State::Operational if self.waiting_trans_ack => self.queue_trans.len(),
            State::Operational => self.queue.len(),
            State::Recovery => self.retrans_queue.len(),
            _ => 0,
        };
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    fn allowed_messages(&mut self, token: &OrfToken) -> u32 {
        let (window, most) = self.window();
        let free = window.checked_sub(token.fcc).unwrap_or(window);
        let allowed = most.min(free);
        self.backlog = self.backlog_now();
        let total = token.backlog.wrapping_add(self.backlog).wrapping_sub(self.last_backlog);
        let share = window.wrapping_mul(self.last_backlog).checked_div(total).unwrap_or(0);
        if share > 0 { allowed.min(share) } else { allowed }
    }

    /// Sends the requested messages that we have; they leave the token's list.
    fn serve_retransmits(&mut self, token: &mut OrfToken, allowed: u32) -> u32 {
        if !token.rtr.is_empty() {
            let list: Vec<String> = token.rtr.iter().map(|(_, seq)| format!("{seq:x}")).collect();
            self.note(Level::Notice, format!("Retransmit List: {} ", list.join(" ")));
        }
        let mut count = 0;
        let mut remaining = Vec::with_capacity(token.rtr.len());
        for (ring, seq) in core::mem::take(&mut token.rtr) {
            let packet = if ring == self.ring && count < allowed {
                self.current_queue().get(seq).cloned()
            } else {
                None
            };
            match packet {
                Some(packet) => {
                    self.mcast_bytes(packet);
                    self.stats.mcast_retx += 1;
                    count += 1;
                }
                None => remaining.push((ring, seq)),
            }
        }
        token.rtr = remaining;
        count
    }

    /// Asks for holes that several visits of the token have found.
    fn request_retransmits(&mut self, token: &mut OrfToken) {
        let ring = self.ring;
        let miss_limit = self.config.miss_count_const;
        let range = token.seq.wrapping_sub(self.aru);
        let aru = self.aru;
        if range > WINDOW {
            return;
        }
        let queue = self.current_queue();
        for offset in 1..=range {
            let seq = aru.wrapping_add(offset);
            if token.rtr.len() >= RETRANSMITS_MAX || !queue.in_range(seq) {
                break;
            }
            if queue.get(seq).is_some() || queue.raise_miss_count(seq) < miss_limit {
                continue;
            }
            if !token.rtr.contains(&(ring, seq)) {
                token.rtr.push((ring, seq));
            }
        }
    }

    fn window_is_full(&self, allowed: u32, token_seq: u32) -> bool {
        let limit =
            self.last_released.wrapping_add(WINDOW).wrapping_sub(allowed).wrapping_sub(self.window().0);
        before(limit, token_seq)
    }

    fn send_queued(&mut self, token: &mut OrfToken, allowed: u32) -> u32 {
        let mut sent = 0;
        // Twice what clients are asked for: their last messages must not wait for another turn.
        let most = self.visit_bytes().saturating_mul(2);
        let mut bytes_left = if self.state == State::Operational { most } else { usize::MAX };
        while sent < allowed && bytes_left > 0 {
            let Some((encapsulated, mut body)) = self.next_body() else { break };
            bytes_left = bytes_left.saturating_sub(body.len());
            token.seq = token.seq.wrapping_add(1);
            let mcast = Mcast {
                system_from: self.me,
                seq: token.seq,
                this_seqno: self.global_seqno,
                ring: self.ring,
                node_id: 0,
                guarantee: 0,
            };
            self.global_seqno = self.global_seqno.wrapping_add(1);
            wire::encode_before(&mut body, Header::native(self.me, encapsulated), mcast);
            let bytes = Bytes::from(body);
            let seq = token.seq;
            self.current_queue().add(seq, bytes.clone());
            if encapsulated == ENCAPSULATED {
                self.recovery_high = seq;
            }
            self.high_seq = seq;
            self.mcast_bytes(bytes);
            self.stats.mcast_tx += 1;
            sent += 1;
        }
        self.update_aru();
        sent
    }

    fn next_body(&mut self) -> Option<(u8, Body)> {
        if self.state == State::Recovery {
            let old = self.retrans_queue.pop_front()?;
            return Some((ENCAPSULATED, [&[0; MCAST_HEADER_LEN], &*old].concat()));
        }
        let queue = if self.waiting_trans_ack { &mut self.queue_trans } else { &mut self.queue };
        queue.pop_front().map(|body| (NOT_ENCAPSULATED, body))
    }

    fn update_flow_control(&mut self, token: &mut OrfToken, sent: u32) {
        token.fcc = token.fcc.wrapping_add(sent).wrapping_sub(self.last_sent);
        token.backlog = token.backlog.wrapping_add(self.backlog).wrapping_sub(self.last_backlog);
        self.last_sent = sent;
        self.last_backlog = self.backlog;
    }

    fn update_token_aru(&mut self, token: &mut OrfToken) {
        let mine = token.aru_addr == self.me || token.aru_addr == 0;
        if before(self.aru, token.aru) || mine {
            token.aru = self.aru;
            token.aru_addr = if token.aru == token.seq { 0 } else { self.me };
        }
    }

    /// Moves the aru over the contiguous prefix.
    pub(crate) fn update_aru(&mut self) {
        let mut aru = self.aru;
        let high = self.high_seq;
        let queue = self.current_queue();
        while aru != high && queue.get(aru.wrapping_add(1)).is_some() {
            aru = aru.wrapping_add(1);
        }
        self.aru = aru;
    }

    pub(crate) fn handle_mcast(&mut self, header: Header, mcast: Mcast, bytes: &Bytes) {
        if mcast.ring != self.ring {
            self.handle_foreign(mcast.ring, mcast.system_from, "foreign message");
            return;
        }
        let encapsulated = header.encapsulated == ENCAPSULATED;
        let acceptable = match self.state {
            // Late messages of the ring that we are about to leave.
            State::Gather => self.old.is_none() && !encapsulated,
            State::Commit => false,
            State::Recovery => true,
            State::Operational => !encapsulated,
        };
        if !acceptable || bytes.len() <= MCAST_HEADER_LEN {
            return;
        }
        if self.current_queue().add(mcast.seq, bytes.clone()) {
            if before(self.high_seq, mcast.seq) {
                self.high_seq = mcast.seq;
            }
            if encapsulated && before(self.recovery_high, mcast.seq) {
                self.recovery_high = mcast.seq;
            }
        }
        self.update_aru();
        if self.state == State::Operational {
            self.deliver(false, self.high_seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;
    use crate::{Config, Event, Timing, TimingSettings};

    const GROUP: &[u8] = b"a";

    /// Drains a member without peers; returns the payloads that it delivered.
    fn drain(ring: &mut Totem) -> Vec<Vec<u8>> {
        let mut delivered = Vec::new();
        while let Some(event) = ring.poll_event() {
            match event {
                Event::Configuration(configuration) if !configuration.transitional => {
                    ring.synchronised(configuration.ring);
                }
                Event::Delivery(delivery) => delivered.push(delivery.payload.to_vec()),
                Event::Configuration(_) => {}
            }
        }
        while ring.poll_transmit().is_some() || ring.poll_note().is_some() {}
        delivered
    }

    /// A ring of one member that has nothing to do and holds its token.
    fn resting() -> (Totem, Instant) {
        let timing = Timing::derive(&TimingSettings::default(), 1).expect("the defaults are valid");
        let mut now = Instant(1_000_000_000);
        let mut ring = Totem::new(Config::new(1, timing), 0, now);
        while ring.in_hand.is_none() {
            drain(&mut ring);
            now = now.max(ring.poll_timeout().expect("a ring always waits for something"));
            ring.handle_timeout(now);
        }
        drain(&mut ring);
        (ring, now)
    }

    #[test]
    fn a_held_token_takes_all_messages_of_the_turn_at_once() {
        let (mut ring, now) = resting();
        assert!(ring.poll_timeout().is_some_and(|at| at > now));
        ring.send(now, GROUP, &[b"one"]).expect("there is room");
        ring.send(now, GROUP, &[b"two"]).expect("there is room");
        assert_eq!(ring.poll_timeout(), Some(now), "no time passes");
        ring.handle_timeout(now);
        let sent = ring.token_copy.clone().expect("the token went on");
        let Ok((_, Packet::OrfToken(token))) = wire::decode(&sent) else { panic!("no token") };
        assert_eq!((token.fcc, token.aru, token.aru_addr), (1, token.seq, 0), "it counts what was sent");
        assert_eq!(drain(&mut ring), [b"one".to_vec(), b"two".to_vec()]);
        assert!(ring.in_hand.is_none());
        let before = ring.last_token_seq;
        ring.handle_timeout(now);
        assert_ne!(ring.last_token_seq, before, "the token that went on is a valid one");
    }

    #[test]
    fn a_token_that_others_may_have_seen_is_not_changed() {
        let (mut ring, now) = resting();
        ring.retransmit_due();
        let sent = ring.token_copy.clone();
        ring.held = true;
        ring.send(now, GROUP, &[b"one"]).expect("there is room");
        assert_eq!(ring.token_copy, sent);
    }

    #[test]
    fn a_long_life_of_the_old_ring_does_not_fill_the_window_of_the_next_recovery() {
        let (mut ring, _) = resting();
        ring.last_released = 3 << 30;
        let entry = wire::CommitEntry { ring: ring.ring, aru: 0, high_delivered: 0, received_flg: 1 };
        let members = vec![(ring.me, entry)];
        ring.enter_recovery(wire::CommitToken {
            token_seq: 1,
            ring: ring.ring,
            retrans_flg: 0,
            memb_index: 1,
            members,
        });
        assert!(!ring.window_is_full(0, 1));
    }
}
