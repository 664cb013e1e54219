//! Service votequorum: counts votes and decides whether this partition is quorate (votequorum(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use totem::{Instant, Level, RingId};

use crate::map::Map;
use crate::output::{Client, Ctx, Output};
use crate::quorum::Quorum;
use crate::wire::{CsError, Msg, View, length};

mod config;
mod requests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vqsim;

pub(crate) use requests::needs_ring;

const SUBSYSTEM: &str = "VOTEQ";
const SERVICE: u32 = 5 << 16;
/// Node id under which the quorum device's votes travel.
const DEVICE: u32 = 0;
/// Lowest and highest member of a partition that was never quorate: it cannot win a tie.
const NOBODY: u32 = 0;
const NAME_FIELD: usize = 255;
/// Votes told while the configuration is being read that wait for the end of that.
const POSTPONED_MAX: usize = 256;

const FLAG_QUORATE: u32 = 1;
const FLAG_LEAVING: u32 = 2;
const FLAG_WFA_STATUS: u32 = 4;
const FLAG_FIRST: u32 = 8;
const FLAG_DEVICE_REGISTERED: u32 = 16;
const FLAG_DEVICE_ALIVE: u32 = 32;
const FLAG_DEVICE_CAST_VOTE: u32 = 64;
const FLAG_DEVICE_MASTER_WINS: u32 = 128;

const PARAM_EXPECTED: u8 = 1;
const PARAM_VOTES: u8 = 2;
const PARAM_CANCEL_WFA: u8 = 3;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum NodeState {
    Member = 1,
    #[default]
    Dead = 2,
    Leaving = 3,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    state: NodeState,
    votes: u32,
    expected: u32,
    flags: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum TieBreaker {
    #[default]
    None,
    Lowest,
    Highest,
    List(Vec<u32>),
}

impl TieBreaker {
    fn number(&self) -> u32 {
        match self {
            Self::None => 0,
            Self::Lowest => 1,
            Self::Highest => 2,
            Self::List(_) => 3,
        }
    }
}

/// Options of section `quorum`.
#[derive(Clone, Debug, Default)]
struct Options {
    two_node: bool,
    wait_for_all: bool,
    wait_for_all_autoset: bool,
    last_man_standing: bool,
    last_man_standing_window_ms: u32,
    allow_downscale: bool,
    ev_tracking: bool,
    tie_breaker: TieBreaker,
    initial_tie_breaker: TieBreaker,
    device_timeout_ms: u32,
    device_sync_timeout_ms: u32,
    device_can_operate: bool,
    device_master_wins: bool,
}

/// Votes that a node tells with a message of their own.
#[derive(Clone, Copy, Debug)]
struct Reconfigure {
    param: u8,
    id: u32,
    value: u32,
}

#[derive(Clone, Debug, Default)]
struct Tracker {
    context: u64,
    tracks: bool,
}

/// State of the service.
#[derive(Clone, Debug)]
pub(crate) struct VoteQuorum {
    me: u32,
    options: Options,
    nodes: BTreeMap<u32, Node>,
    device: Node,
    device_name: String,
    registering: Option<Client>,
    quorum: u32,
    is_quorate: bool,
    wfa_status: bool,
    ev_barrier: u32,
    ev_tracking_barrier: u32,
    lowest: u32,
    highest: u32,
    members: Vec<u32>,
    previous_members: Vec<u32>,
    ring: RingId,
    syncing: bool,
    waits_for_device: bool,
    trackers: BTreeMap<Client, Tracker>,
    last_man_deadline: Option<Instant>,
    device_deadline: Option<Instant>,
    /// What came while the configuration is being read.
    postponed: Option<Vec<Reconfigure>>,
}

impl VoteQuorum {
    /// Reads the options. `stored_barrier` is what [`Output::StoreEvTracking`] stored last.
    ///
    /// # Errors
    /// The text of a configuration error that forbids the start.
    pub(crate) fn new(ctx: &mut Ctx<'_>, stored_barrier: u32) -> Result<Self, String> {
        let mut service = Self {
            me: ctx.me,
            options: Options { device_can_operate: true, ..Options::default() },
            nodes: BTreeMap::new(),
            device: Node::default(),
            device_name: String::new(),
            registering: None,
            quorum: 0,
            is_quorate: false,
            wfa_status: false,
            ev_barrier: 0,
            ev_tracking_barrier: stored_barrier,
            lowest: NOBODY,
            highest: NOBODY,
            members: Vec::new(),
            previous_members: Vec::new(),
            ring: RingId::default(),
            syncing: false,
            waits_for_device: false,
            trackers: BTreeMap::new(),
            last_man_deadline: None,
            device_deadline: None,
            postponed: None,
        };
        let own = Node { state: NodeState::Member, votes: 1, expected: 0, flags: FLAG_FIRST };
        service.nodes.insert(ctx.me, own);
        ctx.map.set("runtime.votequorum.this_node_id", ctx.me);
        service.read_startup_config(ctx)?;
        let mut silent = Quorum::new(true);
        service.recalculate(ctx, &mut silent, false, false);
        Ok(service)
    }

    /// The node information that a starting daemon sends once.
    pub(crate) fn announce(&mut self, ctx: &mut Ctx<'_>) {
        self.send_nodeinfo(ctx);
    }

    fn us(&mut self) -> &mut Node {
        self.nodes.entry(self.me).or_default()
    }

    fn own(&self) -> Node {
        self.nodes.get(&self.me).copied().unwrap_or_default()
    }

    fn set_flag(&mut self, flag: u32, on: bool) {
        let us = self.us();
        if on {
            us.flags |= flag;
        } else {
            us.flags &= !flag;
        }
    }

    fn member_nodes(&self) -> impl Iterator<Item = (&u32, &Node)> {
        self.nodes.iter().filter(|(_, node)| node.state == NodeState::Member)
    }

    // ---- messages to the other nodes

    fn send_nodeinfo(&mut self, ctx: &mut Ctx<'_>) {
        let us = self.own();
        ctx.multicast(nodeinfo(self.me, us));
    }

    fn send_device_info(&mut self, ctx: &mut Ctx<'_>) {
        ctx.multicast(nodeinfo(DEVICE, self.device));
    }

    fn send_reconfigure(&self, ctx: &mut Ctx<'_>, param: u8, node: u32, value: u32) {
        let message = Msg::request(SERVICE | 1, 32).u32(16, node).u32(20, value).u8(24, param);
        ctx.multicast(message.done());
    }

    fn send_device_registration(&self, ctx: &mut Ctx<'_>, operation: u32, name: &str) {
        let name = name.as_bytes().get(..NAME_FIELD - 1).unwrap_or(name.as_bytes());
        let message = Msg::request(SERVICE | 2, 280).u32(16, operation).put(20, name);
        ctx.multicast(message.done());
    }

    /// The last message of a daemon that stops, so that the others can shrink.
    pub(crate) fn announce_leave(&mut self, ctx: &mut Ctx<'_>) {
        if self.options.allow_downscale {
            self.set_flag(FLAG_LEAVING, true);
            self.send_nodeinfo(ctx);
        }
    }

    /// A message of the group `a` for this service; None if it is malformed.
    pub(crate) fn deliver(
        &mut self,
        ctx: &mut Ctx<'_>,
        quorum: &mut Quorum,
        function: u32,
        sender: u32,
        m: View<'_>,
    ) -> Option<()> {
        match function {
            0 => {
                let info = Node {
                    state: NodeState::Member,
                    votes: m.u32(20)?,
                    expected: m.u32(24)?,
                    flags: m.u32(28)?,
                };
                self.take_nodeinfo(ctx, quorum, sender, m.u32(16)?, info);
            }
            1 => {
                let told = Reconfigure { param: m.u8(24)?, id: m.u32(16)?, value: m.u32(20)? };
                if !self.postpones(told) {
                    self.take_reconfigure(ctx, quorum, told);
                }
            }
            2 => {
                let operation = m.u32(16)?;
                let name = m.text(20, NAME_FIELD)?;
                self.take_device_registration(ctx, operation, sender, &name);
            }
            3 => {
                let (old, new) = (m.text(16, NAME_FIELD)?, m.text(271, NAME_FIELD)?);
                if old == self.device_name {
                    self.device_name = new;
                }
            }
            other => {
                let text = format!("unknown message {other} from node {sender} ignored");
                ctx.log(Level::Debug, SUBSYSTEM, text);
            }
        }
        Some(())
    }

    fn take_nodeinfo(&mut self, ctx: &mut Ctx<'_>, quorum: &mut Quorum, sender: u32, id: u32, info: Node) {
        if id == DEVICE {
            self.take_device_info(ctx, quorum, sender, info.votes);
            return;
        }
        let old = self.nodes.get(&id).copied();
        let own_expected = self.own().expected;
        let mut node = Node { expected: own_expected, ..info };
        let mut allow_decrease = false;
        let mut by_current = false;
        if info.flags & FLAG_LEAVING != 0 {
            node.state = NodeState::Leaving;
            allow_decrease = true;
            by_current = true;
        }
        let knows_better = !self.is_quorate && info.flags & FLAG_QUORATE != 0;
        if knows_better {
            allow_decrease = true;
            self.us().expected = info.expected;
        }
        if info.flags & FLAG_QUORATE != 0 || self.options.ev_tracking {
            node.expected = info.expected;
        } else {
            node.expected = self.own().expected;
        }
        self.nodes.insert(id, node);
        if self.options.last_man_standing && node.votes > 1 {
            let text = "Last Man Standing feature is supported only when allcluster nodes votes are set to 1. Disabling LMS.";
            ctx.log(Level::Warning, SUBSYSTEM, text);
            self.options.last_man_standing = false;
            self.last_man_deadline = None;
        }
        let changed = old.is_none_or(|old| {
            (old.votes, old.expected, old.flags, old.state)
                != (node.votes, node.expected, node.flags, node.state)
        });
        if changed || id == self.me || node.flags & FLAG_FIRST != 0 {
            self.recalculate(ctx, quorum, allow_decrease, by_current);
        }
        // Our own flags may just have changed.
        let flags = self.nodes.get(&id).map_or(0, |node| node.flags);
        let releases = flags & FLAG_WFA_STATUS == 0 && flags & FLAG_QUORATE != 0;
        if self.options.wait_for_all && releases {
            self.set_wfa_status(ctx.map, false);
        }
    }

    fn take_device_info(&mut self, ctx: &mut Ctx<'_>, quorum: &mut Quorum, sender: u32, votes: u32) {
        let sender_flags = self.nodes.get(&sender).map_or(0, |node| node.flags);
        let old = self.device.votes;
        if !self.is_quorate && sender_flags & FLAG_QUORATE != 0 {
            self.device.votes = votes;
        } else {
            self.device.votes = old.max(votes);
        }
        if self.device.votes != old {
            self.recalculate(ctx, quorum, false, false);
        }
    }

    fn take_reconfigure(&mut self, ctx: &mut Ctx<'_>, quorum: &mut Quorum, told: Reconfigure) {
        let Reconfigure { param, id, value } = told;
        match param {
            PARAM_EXPECTED => {
                self.set_members_expected(value);
                self.notify_expected(ctx);
                self.set_ev_barrier(ctx.map, value);
                if self.options.ev_tracking {
                    let barrier = self.ev_tracking_barrier;
                    let us = self.us();
                    us.expected = us.expected.max(barrier);
                }
                self.recalculate(ctx, quorum, true, false);
            }
            PARAM_VOTES => {
                let Some(node) = self.nodes.get_mut(&id) else { return };
                node.votes = value;
                self.recalculate(ctx, quorum, true, false);
            }
            PARAM_CANCEL_WFA => {
                self.set_wfa_status(ctx.map, false);
                let text = format!("wait_for_all_status reset by user on node {id}.");
                ctx.log(Level::Info, SUBSYSTEM, text);
                self.recalculate(ctx, quorum, false, false);
            }
            _ => {}
        }
    }

    fn take_device_registration(&mut self, ctx: &mut Ctx<'_>, operation: u32, sender: u32, name: &str) {
        if operation == 0 {
            let in_use = self.member_nodes().any(|(_, node)| node.flags & FLAG_DEVICE_REGISTERED != 0);
            if !in_use {
                self.device_name.clear();
            }
            return;
        }
        if self.device_name.is_empty() {
            name.clone_into(&mut self.device_name);
        }
        if sender != self.me || self.own().flags & FLAG_DEVICE_REGISTERED != 0 {
            return;
        }
        let Some(client) = self.registering.take() else { return };
        let error = if name == self.device_name {
            self.set_flag(FLAG_DEVICE_REGISTERED, true);
            self.send_device_info(ctx);
            self.send_nodeinfo(ctx);
            CsError::Ok
        } else {
            CsError::Exist
        };
        ctx.respond(client, requests::status(error));
    }

    // ---- the verdict

    /// Votes that would be needed, and votes that are there.
    fn calculate(&self, allow_decrease: bool, max_expected: u32, downscale: bool) -> (u32, u32) {
        let mut max_expected = max_expected;
        if downscale && allow_decrease && max_expected > 0 {
            max_expected = max_expected.max(self.ev_barrier);
        }
        let mut highest_expected = 0;
        let mut total = 0u32;
        let mut count = 0;
        for (_, node) in self.member_nodes() {
            highest_expected = highest_expected.max(node.expected);
            total = total.saturating_add(node.votes);
            count += 1;
        }
        if self.own().flags & FLAG_DEVICE_CAST_VOTE != 0 {
            total = total.saturating_add(self.device.votes);
            count += 1;
        }
        if max_expected > 0 {
            highest_expected = max_expected;
        }
        let majority = |votes: u32| votes.saturating_add(2) / 2;
        let mut needed = majority(highest_expected).max(majority(total));
        if !allow_decrease {
            needed = needed.max(self.quorum);
        }
        if self.options.two_node && count <= 2 {
            needed = 1;
        }
        (needed, total)
    }

    fn set_members_expected(&mut self, expected: u32) {
        if expected == 0 {
            return;
        }
        for node in self.nodes.values_mut().filter(|node| node.state == NodeState::Member) {
            node.expected = expected;
        }
    }

    fn recalculate(
        &mut self,
        ctx: &mut Ctx<'_>,
        quorum: &mut Quorum,
        allow_decrease: bool,
        by_current: bool,
    ) {
        let mut total = self.member_nodes().fold(0u32, |sum, (_, node)| sum.saturating_add(node.votes));
        let mut count = length(self.member_nodes().count());
        if self.device.votes > 0 {
            total = total.saturating_add(self.device.votes);
            count += 1;
        }
        let max_expected = if by_current { count } else { 0 };
        if total > self.own().expected {
            self.us().expected = total;
            self.notify_expected(ctx);
        }
        let expected = self.own().expected;
        if self.options.ev_tracking && expected > self.ev_tracking_barrier {
            self.set_ev_tracking_barrier(ctx, expected);
        }
        let (needed, total) = self.calculate(allow_decrease, max_expected, self.options.allow_downscale);
        self.quorum = needed;
        self.set_members_expected(max_expected);
        self.judge(ctx, quorum, total);
    }

    fn judge(&mut self, ctx: &mut Ctx<'_>, quorum: &mut Quorum, total: u32) {
        let expected = self.own().expected;
        if self.options.wait_for_all && self.wfa_status {
            if total != expected {
                let text = format!(
                    "Waiting for all cluster members. Current votes: {total} expected_votes: {expected}"
                );
                ctx.log(Level::Notice, SUBSYSTEM, text);
                return;
            }
            self.set_wfa_status(ctx.map, false);
        }
        let mut quorate = total >= self.quorum;
        if quorate {
            self.update_extremes(ctx.map);
        }
        let missing = length(self.previous_members.len().saturating_sub(self.members.len()));
        let is_half = total == expected / 2;
        // As many as would make the other side quorate without a tie must not be missing.
        if self.options.tie_breaker != TieBreaker::None
            && is_half
            && missing < self.quorum
            && self.breaks_tie()
        {
            quorate = true;
        }
        if self.options.device_master_wins && !quorate && self.device_master_is_here() {
            quorate = true;
        }
        let changed = quorate != self.is_quorate;
        self.is_quorate = quorate;
        self.set_flag(FLAG_QUORATE, quorate);
        if self.options.wait_for_all {
            self.set_wfa_status(ctx.map, !quorate);
        }
        if changed && !self.syncing {
            self.publish(ctx, quorum);
        }
    }

    fn publish(&mut self, ctx: &mut Ctx<'_>, quorum: &mut Quorum) {
        quorum.set_quorum(ctx, &self.members, self.is_quorate, self.ring);
        self.notify_quorum(ctx);
    }

    fn update_extremes(&mut self, map: &mut Map) {
        let ids: BTreeSet<u32> = self.member_nodes().map(|(id, _)| *id).chain([self.me]).collect();
        self.lowest = ids.first().copied().unwrap_or(self.me);
        self.highest = ids.last().copied().unwrap_or(self.me);
        map.set("runtime.votequorum.lowest_node_id", self.lowest);
        map.set("runtime.votequorum.highest_node_id", self.highest);
    }

    fn is_member(&self, id: u32) -> bool {
        self.member_nodes().any(|(member, _)| *member == id)
    }

    fn breaks_tie(&self) -> bool {
        match &self.options.tie_breaker {
            TieBreaker::None => false,
            TieBreaker::Lowest => self.is_member(self.lowest),
            TieBreaker::Highest => self.is_member(self.highest),
            TieBreaker::List(list) => {
                let Some(position) = list.iter().position(|id| self.members.contains(id)) else {
                    return false;
                };
                // An earlier node of the list that was with us may be alive on the other side.
                !list.iter().take(position).any(|id| self.previous_members.contains(id))
            }
        }
    }

    fn device_master_is_here(&self) -> bool {
        let both = FLAG_DEVICE_MASTER_WINS | FLAG_DEVICE_CAST_VOTE;
        self.member_nodes().any(|(_, node)| node.flags & both == both)
    }

    fn set_wfa_status(&mut self, map: &mut Map, status: bool) {
        self.wfa_status = status;
        self.set_flag(FLAG_WFA_STATUS, status);
        map.set("runtime.votequorum.wait_for_all_status", u8::from(status));
    }

    fn set_ev_barrier(&mut self, map: &mut Map, expected: u32) {
        self.ev_barrier = expected;
        map.set("runtime.votequorum.ev_barrier", expected);
    }

    fn set_ev_tracking_barrier(&mut self, ctx: &mut Ctx<'_>, barrier: u32) {
        self.ev_tracking_barrier = barrier;
        ctx.map.set("runtime.votequorum.ev_tracking_barrier", barrier);
        ctx.out.push_back(Output::StoreEvTracking(barrier));
    }

    // ---- synchronisation

    pub(crate) fn sync_init(&mut self, ctx: &mut Ctx<'_>, members: &[u32], ring: RingId) {
        self.syncing = true;
        self.waits_for_device = false;
        if members.len() > 1 {
            self.set_flag(FLAG_FIRST, false);
        }
        let mut has_left = false;
        for id in self.members.iter().filter(|id| !members.contains(id)) {
            has_left = true;
            if let Some(node) = self.nodes.get_mut(id) {
                node.state = NodeState::Dead;
            }
        }
        self.arm_last_man_standing(ctx.now, members.len(), has_left);
        self.previous_members = core::mem::replace(&mut self.members, members.to_vec());
        self.ring = ring;
        let both = FLAG_DEVICE_REGISTERED | FLAG_DEVICE_ALIVE;
        if self.own().flags & both == both {
            let timeout_ms = self.options.device_sync_timeout_ms;
            self.device_deadline = Some(ctx.now.after(Duration::from_millis(u64::from(timeout_ms))));
            self.waits_for_device = true;
            let text = format!(
                "waiting for quorum device {} poll (but maximum for {timeout_ms} ms)",
                self.device_name
            );
            ctx.log(Level::Info, SUBSYSTEM, text);
        }
    }

    fn arm_last_man_standing(&mut self, now: Instant, count: usize, has_left: bool) {
        if !self.options.last_man_standing {
            return;
        }
        let count = length(count);
        let tie = self.options.tie_breaker != TieBreaker::None && self.is_member(self.lowest);
        if (count >= self.quorum && has_left) || (count <= self.quorum && tie) {
            let window_ms = u64::from(self.options.last_man_standing_window_ms);
            self.last_man_deadline = Some(now.after(Duration::from_millis(window_ms)));
        }
    }

    pub(crate) fn sync_send(&mut self, ctx: &mut Ctx<'_>) {
        self.send_nodeinfo(ctx);
        self.send_device_info(ctx);
        if !self.device_name.is_empty() {
            let name = self.device_name.clone();
            self.send_device_registration(ctx, 1, &name);
        }
        self.notify_nodes(ctx);
    }

    /// False while the quorum device has not been heard in the new ring.
    pub(crate) fn sync_may_end(&self) -> bool {
        !(self.waits_for_device && self.own().flags & FLAG_DEVICE_REGISTERED != 0)
    }

    pub(crate) fn sync_activate(&mut self, ctx: &mut Ctx<'_>, quorum: &mut Quorum) {
        self.recalculate(ctx, quorum, false, false);
        self.publish(ctx, quorum);
        self.syncing = false;
    }

    // ---- time

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.last_man_deadline.into_iter().chain(self.device_deadline).min()
    }

    pub(crate) fn timeout(&mut self, ctx: &mut Ctx<'_>, quorum: &mut Quorum) {
        if self.last_man_deadline.is_some_and(|at| at <= ctx.now) {
            self.last_man_deadline = None;
            if self.is_quorate {
                self.recalculate(ctx, quorum, true, true);
            }
        }
        if self.device_deadline.is_some_and(|at| at <= ctx.now) {
            self.device_deadline = None;
            self.waits_for_device = false;
            if self.own().flags & FLAG_DEVICE_ALIVE != 0 {
                self.set_flag(FLAG_DEVICE_ALIVE | FLAG_DEVICE_CAST_VOTE, false);
                let text = format!("lost contact with quorum device {}", self.device_name);
                ctx.log(Level::Info, SUBSYSTEM, text);
                self.send_nodeinfo(ctx);
            }
        }
    }

    /// True if this partition may act.
    pub(crate) fn is_quorate(&self) -> bool {
        self.is_quorate
    }
}

fn nodeinfo(id: u32, node: Node) -> Vec<u8> {
    Msg::request(SERVICE, 32)
        .u32(16, id)
        .u32(20, node.votes)
        .u32(24, node.expected)
        .u32(28, node.flags)
        .done()
}
