//! Requests of clients to service votequorum, and its events.

use std::time::Duration;

use super::{
    DEVICE, FLAG_DEVICE_ALIVE, FLAG_DEVICE_CAST_VOTE, FLAG_DEVICE_MASTER_WINS, FLAG_DEVICE_REGISTERED,
    NAME_FIELD, PARAM_EXPECTED, PARAM_VOTES, SERVICE, TieBreaker, Tracker, VoteQuorum,
};
use crate::output::{Client, Ctx};
use crate::quorum::{TRACK_CHANGES, TRACK_CHANGES_ONLY, TRACK_CURRENT};
use crate::wire::{CsError, Msg, RESPONSE_HEADER, View, length};

const INFO_TWO_NODE: u32 = 1;
const INFO_QUORATE: u32 = 2;
const INFO_WAIT_FOR_ALL: u32 = 4;
const INFO_LAST_MAN_STANDING: u32 = 8;
const INFO_AUTO_TIE_BREAKER: u32 = 16;
const INFO_ALLOW_DOWNSCALE: u32 = 32;
const INFO_DEVICE_REGISTERED: u32 = 64;
const INFO_DEVICE_ALIVE: u32 = 128;
const INFO_DEVICE_CAST_VOTE: u32 = 256;
const INFO_DEVICE_MASTER_WINS: u32 = 512;

/// Answer without content.
pub(super) fn status(error: CsError) -> Vec<u8> {
    Msg::response(0, RESPONSE_HEADER, error).done()
}

/// True if a request of this id needs the ring.
pub(crate) fn needs_ring(id: u32) -> bool {
    matches!(id, 1 | 2 | 5 | 6 | 7)
}

impl VoteQuorum {
    pub(crate) fn disconnect(&mut self, client: Client) {
        self.trackers.remove(&client);
        if self.registering == Some(client) {
            self.registering = None;
        }
    }

    /// Handles one request; None if it is too short.
    pub(crate) fn request(&mut self, ctx: &mut Ctx<'_>, client: Client, m: View<'_>) -> Option<()> {
        let id = m.u32(0)?;
        let error = match id {
            0 => {
                let response = self.info(m.u32(16)?);
                ctx.respond(client, response);
                return Some(());
            }
            1 => self.set_expected(ctx, m.u32(16)?),
            2 => self.set_node_votes(ctx, m.u32(16)?, m.u32(20)?),
            3 => self.track_start(ctx, client, m.u64(16)?, m.u32(24)?),
            4 => match self.trackers.get_mut(&client) {
                Some(tracker) if tracker.tracks => {
                    tracker.tracks = false;
                    CsError::Ok
                }
                _ => CsError::NotExist,
            },
            5 => {
                let name = m.text(16, NAME_FIELD)?;
                match self.register_device(ctx, client, &name) {
                    Some(error) => error,
                    // Answered when the registration has come round the ring.
                    None => return Some(()),
                }
            }
            6 => self.unregister_device(ctx, &m.text(16, NAME_FIELD)?),
            7 => self.rename_device(ctx, &m.text(16, NAME_FIELD)?, &m.text(271, NAME_FIELD)?),
            8 => self.poll_device(ctx, m)?,
            9 => self.set_master_wins(ctx, &m.text(16, NAME_FIELD)?, m.u32(272)? != 0),
            _ => CsError::NotSupported,
        };
        ctx.respond(client, status(error));
        Some(())
    }

    fn info(&self, id: u32) -> Vec<u8> {
        const SIZE: usize = 320;
        let id = if id == DEVICE { self.me } else { id };
        let Some(node) = self.nodes.get(&id) else {
            return Msg::response(1, SIZE, CsError::NotExist).done();
        };
        let mut highest_expected = 0;
        let mut total = 0u32;
        for (_, member) in self.member_nodes() {
            highest_expected = highest_expected.max(member.expected);
            total = total.saturating_add(member.votes);
        }
        if node.flags & FLAG_DEVICE_CAST_VOTE != 0 {
            total = total.saturating_add(self.device.votes);
        }
        let words = [
            id,
            node.state as u32,
            node.votes,
            node.expected,
            highest_expected,
            total,
            self.quorum,
            self.info_flags(node.flags),
            self.device.votes,
        ];
        let name = self.device_name.as_bytes();
        Msg::response(1, SIZE, CsError::Ok).ids(24, &words).put(60, name).done()
    }

    fn info_flags(&self, node_flags: u32) -> u32 {
        let options = &self.options;
        [
            (options.two_node, INFO_TWO_NODE),
            (self.is_quorate, INFO_QUORATE),
            (options.wait_for_all, INFO_WAIT_FOR_ALL),
            (options.last_man_standing, INFO_LAST_MAN_STANDING),
            (options.tie_breaker != TieBreaker::None, INFO_AUTO_TIE_BREAKER),
            (options.allow_downscale, INFO_ALLOW_DOWNSCALE),
            (node_flags & FLAG_DEVICE_REGISTERED != 0, INFO_DEVICE_REGISTERED),
            (node_flags & FLAG_DEVICE_ALIVE != 0, INFO_DEVICE_ALIVE),
            (node_flags & FLAG_DEVICE_CAST_VOTE != 0, INFO_DEVICE_CAST_VOTE),
            (node_flags & FLAG_DEVICE_MASTER_WINS != 0, INFO_DEVICE_MASTER_WINS),
        ]
        .into_iter()
        .filter(|(on, _)| *on)
        .fold(0, |flags, (_, bit)| flags | bit)
    }

    fn set_expected(&mut self, ctx: &mut Ctx<'_>, expected: u32) -> CsError {
        let (needed, total) = self.calculate(true, expected, false);
        if expected < total || (self.is_quorate && needed > total) {
            return CsError::InvalidParam;
        }
        self.set_members_expected(expected);
        self.send_reconfigure(ctx, PARAM_EXPECTED, self.me, expected);
        CsError::Ok
    }

    fn set_node_votes(&mut self, ctx: &mut Ctx<'_>, votes: u32, id: u32) -> CsError {
        let Some(node) = self.nodes.get_mut(&id) else { return CsError::NameNotFound };
        let saved = core::mem::replace(&mut node.votes, votes);
        let (needed, total) = self.calculate(true, 0, self.options.allow_downscale);
        if needed < total / 2 || needed > total {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.votes = saved;
            }
            return CsError::InvalidParam;
        }
        self.send_reconfigure(ctx, PARAM_VOTES, id, votes);
        CsError::Ok
    }

    fn track_start(&mut self, ctx: &mut Ctx<'_>, client: Client, context: u64, flags: u32) -> CsError {
        if flags & (TRACK_CURRENT | TRACK_CHANGES) != 0 {
            ctx.event(client, self.nodes_event(context));
            ctx.event(client, self.quorum_event(context));
        }
        let tracker = self.trackers.entry(client).or_default();
        if tracker.tracks {
            return CsError::Exist;
        }
        if flags & (TRACK_CHANGES | TRACK_CHANGES_ONLY) != 0 {
            *tracker = Tracker { context, tracks: true };
        }
        CsError::Ok
    }

    // ---- the quorum device

    fn register_device(&mut self, ctx: &mut Ctx<'_>, client: Client, name: &str) -> Option<CsError> {
        if !self.options.device_can_operate {
            return Some(CsError::Access);
        }
        if self.own().flags & FLAG_DEVICE_REGISTERED != 0 {
            return Some(if name == self.device_name { CsError::Ok } else { CsError::Exist });
        }
        if self.registering.is_some() {
            return Some(CsError::TryAgain);
        }
        self.registering = Some(client);
        self.send_device_registration(ctx, 1, name);
        None
    }

    fn unregister_device(&mut self, ctx: &mut Ctx<'_>, name: &str) -> CsError {
        if self.own().flags & FLAG_DEVICE_REGISTERED == 0 {
            return CsError::NotExist;
        }
        if name != self.device_name {
            return CsError::InvalidParam;
        }
        self.device_deadline = None;
        self.waits_for_device = false;
        let all =
            FLAG_DEVICE_REGISTERED | FLAG_DEVICE_ALIVE | FLAG_DEVICE_CAST_VOTE | FLAG_DEVICE_MASTER_WINS;
        self.set_flag(all, false);
        self.send_nodeinfo(ctx);
        self.send_device_registration(ctx, 0, name);
        CsError::Ok
    }

    fn rename_device(&mut self, ctx: &mut Ctx<'_>, old: &str, new: &str) -> CsError {
        if self.own().flags & FLAG_DEVICE_REGISTERED == 0 {
            return CsError::NotExist;
        }
        if old != self.device_name {
            return CsError::InvalidParam;
        }
        let message = Msg::request(SERVICE | 3, 528).put(16, old.as_bytes()).put(271, new.as_bytes());
        ctx.multicast(message.done());
        CsError::Ok
    }

    fn poll_device(&mut self, ctx: &mut Ctx<'_>, m: View<'_>) -> Option<CsError> {
        let name = m.text(16, NAME_FIELD)?;
        let cast_vote = m.u32(272)? != 0;
        let (ring_node, ring_seq) = (m.u32(280)?, m.u64(288)?);
        if !self.options.device_can_operate {
            return Some(CsError::Access);
        }
        if self.own().flags & FLAG_DEVICE_REGISTERED == 0 {
            return Some(CsError::NotExist);
        }
        if (ring_node, ring_seq) != (self.ring.rep, self.ring.seq) {
            // A verdict about an older membership.
            return Some(CsError::MessageError);
        }
        if name != self.device_name {
            return Some(CsError::InvalidParam);
        }
        let before = self.own().flags;
        self.set_flag(FLAG_DEVICE_ALIVE, true);
        self.set_flag(FLAG_DEVICE_CAST_VOTE, cast_vote);
        self.waits_for_device = false;
        if self.own().flags != before {
            self.send_nodeinfo(ctx);
        }
        let timeout = Duration::from_millis(u64::from(self.options.device_timeout_ms));
        self.device_deadline = Some(ctx.now.after(timeout));
        Some(CsError::Ok)
    }

    fn set_master_wins(&mut self, ctx: &mut Ctx<'_>, name: &str, allow: bool) -> CsError {
        if !self.options.device_can_operate {
            return CsError::Access;
        }
        if self.own().flags & FLAG_DEVICE_REGISTERED == 0 {
            return CsError::NotExist;
        }
        if name != self.device_name {
            return CsError::InvalidParam;
        }
        self.options.device_master_wins = allow;
        ctx.map.set("runtime.votequorum.qdevice_master_wins", u8::from(allow));
        self.set_flag(FLAG_DEVICE_MASTER_WINS, allow);
        self.send_nodeinfo(ctx);
        CsError::Ok
    }

    // ---- events

    fn tracking(&self) -> Vec<(Client, u64)> {
        self.trackers.iter().filter(|(_, t)| t.tracks).map(|(client, t)| (*client, t.context)).collect()
    }

    pub(super) fn notify_quorum(&self, ctx: &mut Ctx<'_>) {
        for (client, context) in self.tracking() {
            ctx.event(client, self.quorum_event(context));
        }
    }

    pub(super) fn notify_nodes(&self, ctx: &mut Ctx<'_>) {
        for (client, context) in self.tracking() {
            ctx.event(client, self.nodes_event(context));
        }
    }

    pub(super) fn notify_expected(&self, ctx: &mut Ctx<'_>) {
        for (client, context) in self.tracking() {
            let expected = self.own().expected;
            ctx.event(client, Msg::response(4, 40, CsError::Ok).u64(24, context).u32(32, expected).done());
        }
    }

    fn quorum_event(&self, context: u64) -> Vec<u8> {
        let mut words: Vec<u32> = Vec::new();
        for (id, node) in &self.nodes {
            words.extend([*id, node.state as u32]);
        }
        if self.own().flags & FLAG_DEVICE_REGISTERED != 0 {
            words.extend([DEVICE, self.device.state as u32]);
        }
        Msg::response(3, 48 + 4 * words.len(), CsError::Ok)
            .u32(24, u32::from(self.is_quorate))
            .u64(32, context)
            .u32(40, length(words.len() / 2))
            .ids(48, &words)
            .done()
    }

    fn nodes_event(&self, context: u64) -> Vec<u8> {
        Msg::response(5, 56 + 4 * self.members.len(), CsError::Ok)
            .u64(24, context)
            .u32(32, self.ring.rep)
            .u64(40, self.ring.seq)
            .u32(48, length(self.members.len()))
            .ids(56, &self.members)
            .done()
    }
}
