//! The state of one ring member and its public face.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use bytes::{Buf as _, Bytes};

use crate::RingId;
use crate::capability::{self, Kin};
use crate::config::{Config, Timing};
use crate::event::{Configuration, Delivery, Destination, Event, Level, Note, SendError, Stats, Transmit};
use crate::pack::{Assembler, Body, MESSAGE_MAX, Packer, group_and_body, total, write_group_header};
use crate::queue::{SortQueue, Stored};
use crate::time::Instant;
use crate::timer::{Timer, Timers};
use crate::wire::{self, Header, MCAST_HEADER_LEN, Packet};

/// Bytes of messages that may wait for the token.
const SEND_QUEUE_BYTES: usize = 4 * MESSAGE_MAX;
/// Packets from ourselves that one call handles.
const LOOPBACK_BATCH: usize = 64;
/// Timers that one call fires.
const TIMER_BATCH: usize = 32;
/// Share of the token timeout that all nodes together may keep the token back, and the most for one of them.
const SPARE_SHARE: u32 = 8;
const SPARE_MAX: Duration = Duration::from_millis(1);
/// How long a probe's answer is awaited.
const PROBE_WINDOW: Duration = Duration::from_millis(100);

/// Phase of the membership protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Gather,
    Commit,
    Recovery,
    Operational,
}

/// The old ring's position, kept until a new ring is installed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldRing {
    pub(crate) aru: u32,
    pub(crate) high_seq: u32,
}

/// What waits to be turned into events; fragments are joined as late as possible, because the
/// answer to one event decides how the next packet is read.
#[derive(Debug)]
pub(crate) enum Raw {
    Configuration(Configuration),
    /// From here on synchronisation traffic: fresh assembly buffers.
    Switch,
    Packet(Stored),
}

/// One member of a Totem ring. See the crate's documentation for the order of calls.
#[derive(Debug)]
pub struct Totem {
    pub(crate) config: Config,
    pub(crate) me: u32,
    pub(crate) now: Instant,
    pub(crate) state: State,
    pub(crate) timers: Timers,
    pub(crate) ring: RingId,
    pub(crate) old_ring: RingId,
    pub(crate) ring_seq_max: u64,
    pub(crate) old: Option<OldRing>,

    pub(crate) proc: BTreeSet<u32>,
    pub(crate) failed: BTreeSet<u32>,
    pub(crate) consensus: BTreeSet<u32>,
    pub(crate) memb: BTreeSet<u32>,
    pub(crate) new_memb: BTreeSet<u32>,
    pub(crate) trans: BTreeSet<u32>,
    pub(crate) deliver_from: BTreeSet<u32>,
    pub(crate) leaving: BTreeSet<u32>,
    /// Who wants to join the ring that is being formed without them.
    pub(crate) callers: BTreeSet<u32>,
    pub(crate) started_at: Instant,
    /// When a candidate was heard of for the first time.
    pub(crate) last_arrival: Instant,
    pub(crate) failed_to_receive: bool,

    pub(crate) next_hop: u32,
    pub(crate) originated_token: bool,
    pub(crate) token_copy: Option<Bytes>,

    pub(crate) regular: SortQueue,
    pub(crate) recovery: SortQueue,
    pub(crate) recovery_high: u32,
    pub(crate) retrans_queue: VecDeque<Stored>,

    pub(crate) aru: u32,
    pub(crate) high_seq: u32,
    pub(crate) high_delivered: u32,
    pub(crate) last_released: u32,
    pub(crate) last_aru: u32,
    pub(crate) last_seq: u32,
    pub(crate) last_token_seq: u32,
    pub(crate) seq_unchanged: u32,
    pub(crate) aru_count: u32,
    pub(crate) install_seq: u32,
    pub(crate) set_retrans_flg: bool,
    pub(crate) retrans_flg_count: u32,
    pub(crate) rotations: u32,
    pub(crate) held: bool,
    /// The token that we hold and have not sent yet.
    pub(crate) in_hand: Option<wire::OrfToken>,
    pub(crate) last_sent: u32,
    pub(crate) last_backlog: u32,
    pub(crate) backlog: u32,
    pub(crate) global_seqno: u32,
    pub(crate) last_token_at: Instant,
    pub(crate) last_to_everybody: Option<Instant>,

    pub(crate) packer: Packer,
    /// What stands before the message that is being sent.
    group_header: Vec<u8>,
    pub(crate) queue: VecDeque<Body>,
    pub(crate) queue_trans: VecDeque<Body>,
    pub(crate) waiting_trans_ack: bool,
    pub(crate) kin: Kin,
    assembling_trans: bool,
    /// Ring whose packets are being turned into events; it lags behind `ring`.
    assembling_ring: Option<RingId>,
    assembler: Assembler,
    assembler_trans: Assembler,

    pub(crate) raw: VecDeque<Raw>,
    ready: VecDeque<Delivery>,
    transmits: VecDeque<Transmit>,
    loopback: VecDeque<Bytes>,
    pub(crate) persist: Option<u64>,
    notes: VecDeque<Note>,
    pub(crate) stats: Stats,
    last_wakeup: Instant,
    stale_at: Option<Instant>,
    probe: Option<(u32, Instant)>,
    random: u64,
}

impl Totem {
    /// A member that has just started and enters GATHER. `stored_ring_seq` is the number that was
    /// last handed out by [`Totem::poll_persist`], 0 if there is none.
    #[must_use]
    pub fn new(config: Config, stored_ring_seq: u64, now: Instant) -> Self {
        let me = config.nodeid;
        let ring = RingId { rep: me, seq: stored_ring_seq.saturating_add(1) };
        let packer = Packer::new(config.net_mtu.saturating_sub(2 * MCAST_HEADER_LEN));
        let random = config.seed | 1;
        let mut totem = Self {
            me,
            now,
            state: State::Gather,
            timers: Timers::default(),
            ring,
            old_ring: RingId::default(),
            ring_seq_max: ring.seq,
            old: None,
            proc: BTreeSet::new(),
            failed: BTreeSet::new(),
            consensus: BTreeSet::new(),
            memb: BTreeSet::new(),
            new_memb: BTreeSet::new(),
            trans: BTreeSet::new(),
            deliver_from: BTreeSet::new(),
            leaving: BTreeSet::new(),
            callers: BTreeSet::new(),
            started_at: now,
            last_arrival: now,
            failed_to_receive: false,
            next_hop: me,
            originated_token: false,
            token_copy: None,
            regular: SortQueue::new(),
            recovery: SortQueue::new(),
            recovery_high: 0,
            retrans_queue: VecDeque::new(),
            aru: 0,
            high_seq: 0,
            high_delivered: 0,
            last_released: 0,
            last_aru: 0,
            last_seq: 0,
            last_token_seq: u32::MAX,
            seq_unchanged: 0,
            aru_count: 0,
            install_seq: 0,
            set_retrans_flg: false,
            retrans_flg_count: 0,
            rotations: 0,
            held: false,
            in_hand: None,
            last_sent: 0,
            last_backlog: 0,
            backlog: 0,
            global_seqno: 0,
            last_token_at: now,
            last_to_everybody: None,
            packer,
            group_header: Vec::new(),
            queue: VecDeque::new(),
            queue_trans: VecDeque::new(),
            waiting_trans_ack: true,
            kin: Kin::default(),
            assembling_trans: true,
            assembling_ring: None,
            assembler: Assembler::default(),
            assembler_trans: Assembler::default(),
            raw: VecDeque::new(),
            ready: VecDeque::new(),
            transmits: VecDeque::new(),
            loopback: VecDeque::new(),
            persist: None,
            notes: VecDeque::new(),
            stats: Stats::default(),
            last_wakeup: now,
            stale_at: None,
            probe: None,
            random,
            config,
        };
        totem.restart_pause_timer();
        totem.enter_gather("interface change");
        totem
    }

    /// To be called first after every wait, before packets are handed in. After a pause of this
    /// process all expired accusations start anew, and membership packets that carry the same
    /// `now` as this call are taken for old and dropped. Returns the length of a pause.
    pub fn handle_wakeup(&mut self, now: Instant) -> Option<Duration> {
        self.now = now;
        let gap = now.since(self.last_wakeup);
        self.last_wakeup = now;
        if gap <= self.token_timeout() / 2 {
            return None;
        }
        self.stale_at = Some(now);
        self.stats.pauses += 1;
        self.stats.longest_pause = self.stats.longest_pause.max(gap);
        let text =
            format!("Process pause detected for {} ms, flushing membership messages.", gap.as_millis());
        self.note(Level::Notice, text);
        let token = self.token_timeout();
        let again = [
            (Timer::Token, token),
            (Timer::Warning, self.token_warning().unwrap_or(token)),
            (Timer::Consensus, self.consensus_timeout()),
        ];
        for (timer, after) in again {
            if self.timers.is_running(timer) {
                self.timers.start(timer, now, after);
            }
        }
        self.last_token_at = now;
        self.restart_pause_timer();
        Some(gap)
    }

    /// Handles one received packet, which it keeps as long as it needs it. Rubbish is noted and dropped.
    pub fn handle_packet(&mut self, now: Instant, bytes: &Bytes) {
        self.now = now;
        let (header, packet) = match wire::decode(bytes) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.stats.rx_msg_dropped += 1;
                self.note(Level::Debug, format!("Received packet ignored: {error}."));
                return;
            }
        };
        if self.probe.is_some_and(|(node, _)| node == header.nodeid) {
            self.probe = None;
        }
        if !self.names_known_nodes(&packet) {
            self.stats.rx_msg_dropped += 1;
            self.note(Level::Debug, "Received packet names unknown nodes, ignored.".to_owned());
            return;
        }
        let stale = self.stale_at == Some(now);
        self.dispatch(header, packet, bytes, stale);
    }

    /// Rubbish that happens to look like a packet must not make us wait for nodes that do not exist.
    fn names_known_nodes(&self, packet: &Packet) -> bool {
        let known = &self.config.known_nodes;
        let is_known = |id: &u32| known.is_empty() || known.contains(id);
        match packet {
            Packet::Mcast(mcast) => is_known(&mcast.system_from),
            Packet::MergeDetect(merge) => is_known(&merge.system_from),
            Packet::Join(join) => {
                is_known(&join.system_from) && join.proc.iter().chain(&join.failed).all(is_known)
            }
            Packet::CommitToken(commit) => commit.members.iter().all(|(id, _)| is_known(id)),
            Packet::OrfToken(_) | Packet::HoldCancel(_) => true,
        }
    }

    fn dispatch(&mut self, header: Header, packet: Packet, bytes: &Bytes, stale: bool) {
        match packet {
            Packet::OrfToken(token) => {
                self.stats.orf_token_rx += 1;
                self.handle_token(token);
            }
            Packet::Mcast(mcast) => {
                self.stats.mcast_rx += 1;
                self.handle_mcast(header, mcast, bytes);
            }
            Packet::MergeDetect(merge) => {
                self.stats.memb_merge_detect_rx += 1;
                if !stale {
                    self.handle_foreign(merge.ring, merge.system_from, "merge");
                }
            }
            Packet::Join(join) => {
                self.stats.memb_join_rx += 1;
                if !stale {
                    if header.nodeid != 0 {
                        self.note_join(join.system_from, header.encapsulated);
                        self.note_caller(header.encapsulated, &join);
                    }
                    self.handle_join(header.nodeid, &join);
                }
            }
            Packet::CommitToken(commit) => {
                self.stats.memb_commit_token_rx += 1;
                self.handle_commit(commit);
            }
            Packet::HoldCancel(ring) => {
                self.stats.token_hold_cancel_rx += 1;
                self.handle_hold_cancel(ring);
            }
        }
    }

    /// Fires what is due. To be called when [`Totem::poll_timeout`] has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        for _ in 0..LOOPBACK_BATCH {
            let Some(bytes) = self.loopback.pop_front() else { break };
            if let Ok((header, packet)) = wire::decode(&bytes) {
                self.dispatch(header, packet, &bytes, false);
            }
        }
        for _ in 0..TIMER_BATCH {
            let Some(timer) = self.timers.take_expired(now) else { break };
            self.fire(timer);
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Token => self.token_lost(),
            Timer::Warning => self.token_late(),
            Timer::Retransmit => self.retransmit_due(),
            Timer::Hold => self.release_held_token(),
            Timer::Merge => self.merge_due(),
            Timer::Join => self.join_due(),
            Timer::SendJoin => self.send_join_now(),
            Timer::Consensus => self.consensus_expired(),
            Timer::Pause => self.restart_pause_timer(),
            Timer::Nudge => self.nudge_due(),
            Timer::Probe => self.probe = None,
            Timer::Assembly => self.form_first_ring(),
        }
    }

    fn restart_pause_timer(&mut self) {
        self.timers.start(Timer::Pause, self.now, self.config.timing.kin_token / 5);
    }

    /// The host of `node` says that nobody listens on its port (ICMP port unreachable). One report
    /// is a suspicion and sends a probe; the second one makes the membership change at once.
    pub fn peer_unreachable(&mut self, now: Instant, node: u32) {
        self.now = now;
        let relevant = match self.state {
            State::Gather => {
                self.proc.contains(&node) && !self.failed.contains(&node) && !self.consensus.contains(&node)
            }
            State::Commit | State::Recovery => self.new_memb.contains(&node),
            State::Operational => self.memb.contains(&node),
        };
        if !relevant || node == self.me {
            return;
        }
        match self.probe {
            Some((suspect, _)) if suspect == node => {
                self.probe = None;
                self.timers.stop(Timer::Probe);
                self.accuse(node);
            }
            _ => {
                self.probe = Some((node, now));
                self.timers.start(Timer::Probe, now, PROBE_WINDOW);
                let packet = Packet::MergeDetect(wire::MergeDetect { system_from: self.me, ring: self.ring });
                self.unicast(node, &packet);
            }
        }
    }

    /// A way to another node has opened: it is told at once that we exist.
    pub fn peer_reachable(&mut self, now: Instant) {
        self.now = now;
        self.call_out();
    }

    fn accuse(&mut self, node: u32) {
        let text =
            format!("Node {node} is gone: its host answers that nobody listens; forming new configuration.");
        self.note(Level::Notice, text);
        self.failed.insert(node);
        self.restore_old_ring();
        self.enter_gather("peer unreachable");
    }

    /// Queues a message for all members, in total order.
    ///
    /// # Errors
    /// [`SendError::Full`] when the queue has no room: nothing was queued.
    pub fn send(&mut self, now: Instant, group: &[u8], parts: &[&[u8]]) -> Result<(), SendError> {
        self.now = now;
        write_group_header(&mut self.group_header, group);
        let len = self.group_header.len() + total(parts);
        if len > MESSAGE_MAX + 4096 {
            return Err(SendError::TooBig);
        }
        if self.packer.packets_for(len) > self.room() {
            return Err(SendError::Full);
        }
        self.cancel_hold();
        let queue = if self.waiting_trans_ack { &mut self.queue_trans } else { &mut self.queue };
        let emit = |body| queue.push_back(body);
        if self.config.share_packets {
            self.packer.add(&self.group_header, parts, emit);
        } else {
            self.packer.add_apart(&self.group_header, parts, emit);
        }
        Ok(())
    }

    /// Packets that the send queue still takes.
    #[must_use]
    pub fn room(&self) -> usize {
        let used = if self.waiting_trans_ack { self.queue_trans.len() } else { self.queue.len() };
        self.queue_limit().saturating_sub(used)
    }

    /// Share of the send queue in use, in percent.
    #[must_use]
    pub fn queue_used_percent(&self) -> usize {
        100 - self.room() * 100 / self.queue_limit()
    }

    fn queue_limit(&self) -> usize {
        (SEND_QUEUE_BYTES / self.config.net_mtu.max(1)).max(1)
    }

    /// True if the next visit of the token could send more than what waits for it.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        let queue = if self.waiting_trans_ack { &self.queue_trans } else { &self.queue };
        u32::try_from(queue.len()).is_ok_and(|waiting| waiting < self.window().1)
            && queue.iter().map(Body::len).sum::<usize>() + self.packer.len() < self.visit_bytes()
    }

    /// The token and consensus timeouts that hold now: with the members and candidates of this moment.
    #[must_use]
    pub fn timeouts(&self) -> (Duration, Duration) {
        (self.token_timeout(), self.consensus_timeout())
    }

    /// How long one node may keep the token back for a good reason: all of them may at once.
    #[must_use]
    pub fn spare_time(&self) -> Duration {
        let nodes = u32::try_from(self.memb.len()).unwrap_or(u32::MAX).max(1);
        (self.token_timeout() / SPARE_SHARE / nodes).min(SPARE_MAX)
    }

    /// True while the token goes round without pause.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        self.state == State::Operational && !self.held
    }

    /// Nothing of our own waits to be sent.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.queue_trans.is_empty() && self.packer.is_empty()
    }

    /// The services have synchronised on this ring: ordinary messages may flow again.
    pub fn synchronised(&mut self, ring: RingId) {
        // The last packets of a ring may end its synchronisation when the next one is installed already; what
        // follows in them is ordinary, and the end of it comes in the next ring.
        if self.assembling_ring == Some(ring) {
            self.assembling_trans = false;
        }
        if ring != self.ring || self.state != State::Operational {
            return;
        }
        if let Some(body) = self.packer.flush() {
            self.queue_trans.push_back(body);
        }
        // What is left of the synchronisation traffic goes out before anything else.
        self.queue_trans.append(&mut self.queue);
        core::mem::swap(&mut self.queue, &mut self.queue_trans);
        self.waiting_trans_ack = false;
    }

    /// Tells the others that we leave. The caller drains the transmits and stops.
    pub fn leave(&mut self, now: Instant) {
        self.now = now;
        self.send_leave();
    }

    /// New times after a reload of the configuration.
    pub fn set_timing(&mut self, timing: Timing) {
        self.config.timing = timing;
    }

    /// Nodes that may take part from now on; empty: anybody.
    pub fn set_known_nodes(&mut self, nodes: BTreeSet<u32>) {
        self.config.known_nodes = nodes;
    }

    /// Number to store durably before anything that [`Totem::poll_transmit`] yields is sent.
    pub fn poll_persist(&mut self) -> Option<u64> {
        self.persist.take()
    }

    /// Next delivery or configuration.
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            if let Some(delivery) = self.ready.pop_front() {
                return Some(Event::Delivery(delivery));
            }
            match self.raw.pop_front()? {
                Raw::Configuration(configuration) => {
                    for node in &configuration.left {
                        self.assembler.forget(*node);
                        self.assembler_trans.forget(*node);
                    }
                    if !configuration.transitional {
                        self.assembling_ring = Some(configuration.ring);
                        self.forget_announcements();
                    }
                    return Some(Event::Configuration(configuration));
                }
                Raw::Switch => {
                    self.assembling_trans = true;
                    self.assembling_ring = None;
                }
                Raw::Packet(packet) => self.assemble(&packet),
            }
        }
    }

    fn assemble(&mut self, packet: &Bytes) {
        let Ok((header, Packet::Mcast(_))) = wire::decode(packet) else { return };
        let body = packet.slice(MCAST_HEADER_LEN.min(packet.len())..);
        let assembler = if self.assembling_trans { &mut self.assembler_trans } else { &mut self.assembler };
        let messages = match assembler.add(header.nodeid, &body, header.order) {
            Ok(messages) => messages,
            Err(error) => {
                let text = format!(
                    "Message (totempg_mcast) received from node {}: {error}...  Ignoring.",
                    header.nodeid
                );
                self.note(Level::Warning, text);
                return;
            }
        };
        for mut message in messages {
            let Ok((group, body_start)) = group_and_body(&message, header.order) else {
                let text =
                    format!("Message from node {} has a bad group header...  Ignoring.", header.nodeid);
                self.note(Level::Warning, text);
                continue;
            };
            let payload = message.split_off(body_start);
            message.truncate(group.end);
            message.advance(group.start);
            if *message == *capability::GROUP {
                self.take_announcement(header.nodeid);
                continue;
            }
            let (nodeid, order) = (header.nodeid, header.order);
            self.ready.push_back(Delivery { nodeid, order, group: message, payload });
        }
    }

    /// Next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Next line for the log.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// When [`Totem::handle_timeout`] wants to be called; a time in the past means at once.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.loopback.is_empty() { self.timers.next() } else { Some(self.now) }
    }

    /// Phase of the membership protocol.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The current ring.
    #[must_use]
    pub fn ring(&self) -> RingId {
        self.ring
    }

    /// Members of the ring that packets to [`Destination::Members`] go to, the own node included.
    #[must_use]
    pub fn ring_members(&self) -> &BTreeSet<u32> {
        match self.state {
            State::Gather | State::Operational => &self.memb,
            State::Commit | State::Recovery => &self.new_memb,
        }
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// All counters start anew.
    pub fn clear_stats(&mut self) {
        self.stats = Stats::default();
    }

    /// Time since the token was here last.
    #[must_use]
    pub fn since_token(&self, now: Instant) -> Duration {
        now.since(self.last_token_at)
    }

    /// Own node id.
    #[must_use]
    pub fn nodeid(&self) -> u32 {
        self.me
    }

    pub(crate) fn note(&mut self, level: Level, text: String) {
        /// Lines that may wait for the caller; older ones give way.
        const NOTES_MAX: usize = 4096;
        if self.notes.len() >= NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(Note { level, text });
    }

    pub(crate) fn native_header(&self) -> Header {
        Header::native(self.me, 0)
    }

    /// To all others; our own copy comes back through the loop-back where it has a meaning.
    pub(crate) fn broadcast(&mut self, header: Header, packet: &Packet) {
        let bytes = Bytes::from(wire::encode(header, packet, &[]));
        if matches!(packet, Packet::Join(_)) && header.nodeid != 0 {
            self.loopback.push_back(bytes.clone());
        }
        self.transmits.push_back(Transmit { to: Destination::Everybody, bytes });
    }

    pub(crate) fn unicast(&mut self, node: u32, packet: &Packet) {
        let bytes = wire::encode(self.native_header(), packet, &[]).into();
        self.unicast_bytes(node, bytes);
    }

    pub(crate) fn unicast_bytes(&mut self, node: u32, bytes: Bytes) {
        if node == self.me {
            self.loopback.push_back(bytes);
        } else {
            self.transmits.push_back(Transmit { to: Destination::Node(node), bytes });
        }
    }

    pub(crate) fn mcast_bytes(&mut self, bytes: Stored) {
        let interval = self.config.timing.merge * 2;
        let due = self.last_to_everybody.is_none_or(|at| self.now.since(at) >= interval);
        let to = if due {
            self.last_to_everybody = Some(self.now);
            Destination::Everybody
        } else {
            Destination::Members
        };
        self.transmits.push_back(Transmit { to, bytes });
    }

    /// Next number of a small generator (xorshift); enough to spread joins.
    pub(crate) fn random_below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        if limit == 0 { 0 } else { self.random % limit }
    }
}
