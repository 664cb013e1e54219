//! Service quorum: tells clients whether this partition may act, and who is in it.

use std::collections::{BTreeMap, BTreeSet};

use totem::{Level, RingId};

use crate::output::{Client, Ctx};
use crate::wire::{CsError, Msg, RESPONSE_HEADER, View, length};

const SUBSYSTEM: &str = "QUORUM";
pub(crate) const TRACK_CURRENT: u32 = 1;
pub(crate) const TRACK_CHANGES: u32 = 2;
pub(crate) const TRACK_CHANGES_ONLY: u32 = 4;

#[derive(Clone, Debug, Default)]
struct Connection {
    model: u32,
    tracks: bool,
}

/// State of the service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quorum {
    clients: BTreeMap<Client, Connection>,
    /// A provider is configured.
    has_provider: bool,
    quorate: bool,
    /// Members and ring of the last verdict.
    view: Vec<u32>,
    view_ring: RingId,
    members: Vec<u32>,
    old_members: BTreeSet<u32>,
    joined: Vec<u32>,
    left: Vec<u32>,
    sync_ring: RingId,
}

impl Quorum {
    pub(crate) fn new(has_provider: bool) -> Self {
        Self { has_provider, quorate: !has_provider, ..Self::default() }
    }

    pub(crate) fn is_quorate(&self) -> bool {
        self.quorate
    }

    pub(crate) fn connect(&mut self, client: Client) {
        self.clients.insert(client, Connection::default());
    }

    pub(crate) fn disconnect(&mut self, client: Client) {
        self.clients.remove(&client);
    }

    /// The provider's verdict.
    pub(crate) fn set_quorum(&mut self, ctx: &mut Ctx<'_>, members: &[u32], quorate: bool, ring: RingId) {
        if quorate && !self.quorate {
            let text = "This node is within the primary component and will provide service.";
            ctx.log(Level::Notice, SUBSYSTEM, text);
        } else if !quorate && self.quorate {
            let text = "This node is within the non-primary component and will NOT provide any services.";
            ctx.log(Level::Notice, SUBSYSTEM, text);
        }
        self.quorate = quorate;
        self.view = members.to_vec();
        self.view_ring = ring;
        log_list(ctx, "Members", members);
        for (client, connection) in self.clients.iter().filter(|(_, c)| c.tracks) {
            ctx.event(*client, self.quorum_event(connection.model));
        }
    }

    pub(crate) fn sync_init(&mut self, ctx: &mut Ctx<'_>, trans: &[u32], members: &[u32], ring: RingId) {
        self.members = members.to_vec();
        self.sync_ring = ring;
        let stays = |id: &u32| trans.contains(id) && members.contains(id);
        self.left = self.old_members.iter().copied().filter(|id| !stays(id)).collect();
        let is_new = |id: &u32| !self.old_members.contains(id) || self.left.contains(id);
        self.joined = members.iter().copied().filter(is_new).collect();
        log_list(ctx, "Sync members", members);
        if !self.joined.is_empty() {
            log_list(ctx, "Sync joined", &self.joined);
        }
        if !self.left.is_empty() {
            log_list(ctx, "Sync left", &self.left);
        }
    }

    pub(crate) fn sync_activate(&mut self, ctx: &mut Ctx<'_>) {
        self.old_members = self.members.iter().copied().collect();
        for (client, _) in self.clients.iter().filter(|(_, c)| c.tracks && c.model == 1) {
            ctx.event(*client, self.node_list_event(true));
        }
    }

    /// Handles one request; None if it is too short.
    pub(crate) fn request(&mut self, ctx: &mut Ctx<'_>, client: Client, m: View<'_>) -> Option<()> {
        let id = m.u32(0)?;
        let kind = u32::from(self.has_provider);
        let plain = |id, error| Msg::response(id, RESPONSE_HEADER, error).done();
        let response = match id {
            0 => Msg::response(0, 32, CsError::Ok).u32(24, u32::from(self.quorate)).done(),
            1 => plain(1, self.track_start(ctx, client, m.u32(16)?)),
            // Stopping what was never started is no error to the reference's clients.
            2 => {
                self.clients.entry(client).or_default().tracks = false;
                plain(2, CsError::Ok)
            }
            3 => Msg::response(4, 32, CsError::Ok).u32(24, kind).done(),
            4 => {
                let model = m.u32(16)?;
                let error = if model > 1 {
                    CsError::InvalidParam
                } else {
                    self.clients.entry(client).or_default().model = model;
                    CsError::Ok
                };
                Msg::response(5, 32, error).u32(24, kind).done()
            }
            _ => plain(id, CsError::NotSupported),
        };
        ctx.respond(client, response);
        Some(())
    }

    fn track_start(&mut self, ctx: &mut Ctx<'_>, client: Client, flags: u32) -> CsError {
        let connection = self.clients.entry(client).or_default();
        let model = connection.model;
        let was_tracking = connection.tracks;
        connection.tracks |= flags & (TRACK_CHANGES | TRACK_CHANGES_ONLY) != 0;
        if flags & (TRACK_CURRENT | TRACK_CHANGES) != 0 {
            if model == 1 {
                ctx.event(client, self.node_list_event(false));
            }
            ctx.event(client, self.quorum_event(model));
        }
        if was_tracking { CsError::Exist } else { CsError::Ok }
    }

    fn quorum_event(&self, model: u32) -> Vec<u8> {
        let ids = 4 * self.view.len();
        let count = length(self.view.len());
        let quorate = u32::from(self.quorate);
        if model == 1 {
            let message =
                Msg::response(6, 56 + ids, CsError::Ok).u32(24, quorate).u32(32, self.view_ring.rep);
            return message.u64(40, self.view_ring.seq).u32(48, count).ids(52, &self.view).done();
        }
        let message = Msg::response(3, 48 + ids, CsError::Ok).u32(24, quorate).u64(32, self.view_ring.seq);
        message.u32(40, count).ids(44, &self.view).done()
    }

    fn node_list_event(&self, with_changes: bool) -> Vec<u8> {
        let (joined, left): (&[u32], &[u32]) =
            if with_changes { (&self.joined, &self.left) } else { (&[], &[]) };
        let all: Vec<u32> = [&self.members, joined, left].concat();
        Msg::response(7, 64 + 4 * all.len(), CsError::Ok)
            .u32(24, self.sync_ring.rep)
            .u64(32, self.sync_ring.seq)
            .u32(40, length(self.members.len()))
            .u32(48, length(joined.len()))
            .u32(56, length(left.len()))
            .ids(60, &all)
            .done()
    }
}

fn log_list(ctx: &mut Ctx<'_>, label: &str, ids: &[u32]) {
    let list: String = ids.iter().map(|id| format!(" {id}")).collect();
    ctx.log(Level::Notice, SUBSYSTEM, format!("{label}[{}]:{list}", ids.len()));
}
