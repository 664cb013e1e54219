//! Service cpg: closed process groups with ordered messages and process-level membership.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use totem::{Level, RingId};

use crate::output::{Client, Ctx, Message};
use crate::wire::{CsError, Msg, RESPONSE_HEADER, View, length};

mod requests;

const SUBSYSTEM: &str = "CPG";
const SERVICE: u32 = 2 << 16;
const NAME_MAX: usize = 128;
const DOWNLIST_SIZE: usize = 1568;
const JOINLIST_ENTRY: usize = 144;
/// Most addresses in an answer to a membership request.
const MEMBERS_MAX: usize = 128;

const REASON_JOIN: u32 = 1;
const REASON_LEAVE: u32 = 2;
const REASON_NODE_DOWN: u32 = 3;
const REASON_NODE_UP: u32 = 4;
const REASON_PROC_DOWN: u32 = 5;

/// Name of a group, 1 to 128 arbitrary bytes.
type Group = Vec<u8>;

/// A process in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    node: u32,
    pid: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Unjoined,
    JoinStarted,
    Joined,
    LeaveStarted,
}

#[derive(Debug, Default)]
struct Connection {
    phase: Phase,
    pid: u32,
    group: Group,
    wants_totem: bool,
    totem_sent: bool,
    /// Counts configuration changes that this client saw; a message in fragments must not span one.
    transitions: u64,
    transitions_at_start: u64,
    next_handle: u64,
    iterators: BTreeMap<u64, VecDeque<(Group, Process)>>,
}

/// State of the service.
#[derive(Debug, Default)]
pub(crate) struct Cpg {
    clients: BTreeMap<Client, Connection>,
    /// Everybody in any group, in (node, pid) order.
    processes: BTreeSet<(Process, Group)>,
    old_members: BTreeSet<u32>,
    members: Vec<u32>,
    left: Vec<u32>,
    ring: RingId,
    joinlists: Vec<(Process, Group)>,
}

/// A name field: length as u32, then 128 bytes from offset 8.
fn put_name(message: Msg, offset: usize, name: &[u8]) -> Msg {
    message.u32(offset, length(name.len())).put(offset + 8, name)
}

fn name(m: View<'_>, offset: usize) -> Option<Group> {
    let len = usize::try_from(m.u32(offset)?).ok()?;
    if len > NAME_MAX {
        return None;
    }
    m.bytes(offset + 8, len).map(<[u8]>::to_vec)
}

impl Cpg {
    pub(crate) fn connect(&mut self, client: Client) {
        self.clients.insert(client, Connection::default());
    }

    /// A client that is gone leaves its group.
    pub(crate) fn disconnect(&mut self, ctx: &mut Ctx<'_>, client: Client) {
        let Some(connection) = self.clients.remove(&client) else { return };
        if matches!(connection.phase, Phase::JoinStarted | Phase::Joined) {
            ctx.multicast(membership_message(1, &connection.group, connection.pid, REASON_PROC_DOWN));
        }
    }

    pub(crate) fn sync_init(&mut self, trans: &[u32], members: &[u32], ring: RingId) {
        self.members = members.to_vec();
        self.ring = ring;
        self.left = self.old_members.iter().copied().filter(|id| !trans.contains(id)).collect();
        self.joinlists.clear();
    }

    pub(crate) fn sync_abort(&mut self) {
        self.joinlists.clear();
    }

    pub(crate) fn sync_send(&self, ctx: &mut Ctx<'_>) {
        let downlist = Msg::request(SERVICE | 5, DOWNLIST_SIZE)
            .u32(16, length(self.old_members.len()))
            .u32(24, length(self.left.len()))
            .ids(32, &self.left);
        ctx.multicast(downlist.done());
        let own: Vec<&(Process, Group)> = self.processes.iter().filter(|(p, _)| p.node == ctx.me).collect();
        if own.is_empty() {
            return;
        }
        let size = RESPONSE_HEADER + JOINLIST_ENTRY * own.len();
        let mut joinlist = Msg::request(SERVICE | 2, size);
        for (index, (process, group)) in own.into_iter().enumerate() {
            let at = RESPONSE_HEADER + JOINLIST_ENTRY * index;
            joinlist = put_name(joinlist.u32(at, process.pid), at + 8, group);
        }
        ctx.multicast(joinlist.done());
    }

    pub(crate) fn sync_activate(&mut self, ctx: &mut Ctx<'_>) {
        self.old_members = self.members.iter().copied().collect();
        self.remove_left_nodes(ctx);
        self.take_joinlists(ctx);
        for client in self.clients.keys() {
            ctx.event(*client, self.totem_event());
        }
    }

    fn remove_left_nodes(&mut self, ctx: &mut Ctx<'_>) {
        let mut by_group: BTreeMap<Group, Vec<(Process, u32)>> = BTreeMap::new();
        let left = &self.left;
        self.processes.retain(|(process, group)| {
            let is_gone = left.contains(&process.node);
            if is_gone {
                by_group.entry(group.clone()).or_default().push((*process, REASON_NODE_DOWN));
            }
            !is_gone
        });
        for (group, gone) in by_group {
            self.notify(ctx, &group, &[], &gone);
        }
    }

    /// Adds what other nodes listed and drops what they no longer list.
    fn take_joinlists(&mut self, ctx: &mut Ctx<'_>) {
        let me = ctx.me;
        let listed: BTreeSet<(Process, Group)> = core::mem::take(&mut self.joinlists).into_iter().collect();
        let mut by_group: BTreeMap<Group, Vec<(Process, u32)>> = BTreeMap::new();
        for entry in listed.iter().filter(|(process, _)| process.node != me) {
            if self.processes.insert(entry.clone()) {
                by_group.entry(entry.1.clone()).or_default().push((entry.0, REASON_NODE_UP));
            }
        }
        for (group, joined) in by_group {
            self.notify(ctx, &group, &joined, &[]);
        }
        let is_zombie = |entry: &&(Process, Group)| entry.0.node != me && !listed.contains(entry);
        let zombies: Vec<(Process, Group)> = self.processes.iter().filter(is_zombie).cloned().collect();
        for (process, group) in zombies {
            self.leave(ctx, process, group, REASON_PROC_DOWN);
        }
    }

    /// A message of the group `a` for this service; None if it is malformed.
    pub(crate) fn deliver(
        &mut self,
        ctx: &mut Ctx<'_>,
        function: u32,
        sender: u32,
        m: View<'_>,
    ) -> Option<()> {
        match function {
            0 => {
                let process = Process { node: sender, pid: m.u32(152)? };
                let group = name(m, 16)?;
                if self.processes.insert((process, group.clone())) {
                    self.notify(ctx, &group, &[(process, REASON_JOIN)], &[]);
                }
            }
            1 => {
                let process = Process { node: sender, pid: m.u32(152)? };
                self.leave(ctx, process, name(m, 16)?, m.u32(160)?);
            }
            2 => self.store_joinlist(sender, m)?,
            3 => {
                let len = usize::try_from(m.u32(152)?).ok()?;
                let head = Msg::head(5, 184, len)
                    .u32(16, CsError::Ok as u32)
                    .u32(160, length(len))
                    .u32(168, sender)
                    .u32(176, m.u32(160)?);
                let group = name(m, 16)?;
                let event = put_name(head, 24, &group).before(m, 184, len)?;
                self.deliver_message(ctx, sender, &group, event);
            }
            6 => {
                let len = usize::try_from(m.u32(160)?).ok()?;
                let head = Msg::head(17, 200, len)
                    .u32(16, CsError::Ok as u32)
                    .u32(160, m.u32(152)?)
                    .u32(168, length(len))
                    .u32(176, sender)
                    .u32(184, m.u32(168)?)
                    .u32(192, m.u32(176)?);
                let group = name(m, 16)?;
                let event = put_name(head, 24, &group).before(m, 200, len)?;
                self.deliver_message(ctx, sender, &group, event);
            }
            // The down list is informative: everybody computes the left nodes itself.
            4 | 5 => {}
            other => {
                let text = format!("unknown message {other} from node {sender} ignored");
                ctx.log(Level::Warning, SUBSYSTEM, text);
            }
        }
        Some(())
    }

    fn store_joinlist(&mut self, sender: u32, m: View<'_>) -> Option<()> {
        let size = usize::try_from(m.u32(8)?).ok()?.min(m.len());
        let mut at = RESPONSE_HEADER;
        while at + JOINLIST_ENTRY <= size {
            let process = Process { node: sender, pid: m.u32(at)? };
            self.joinlists.push((process, name(m, at + 8)?));
            at += JOINLIST_ENTRY;
        }
        Some(())
    }

    fn leave(&mut self, ctx: &mut Ctx<'_>, process: Process, group: Group, reason: u32) {
        let entry = (process, group);
        if self.processes.remove(&entry) {
            self.notify(ctx, &entry.1, &[], &[(process, reason)]);
        }
    }

    fn deliver_message(&self, ctx: &mut Ctx<'_>, sender: u32, group: &Group, event: Message) {
        let is_known = self.processes.iter().any(|(p, g)| p.node == sender && g == group);
        let mut last = None;
        for (client, connection) in &self.clients {
            let listens = matches!(connection.phase, Phase::Joined | Phase::LeaveStarted);
            if !listens || connection.group != *group {
                continue;
            }
            if !is_known {
                ctx.log(Level::Warning, SUBSYSTEM, "Unknown node -> we will not deliver message");
                return;
            }
            if let Some(earlier) = last.replace(*client) {
                ctx.event(earlier, event.clone());
            }
        }
        if let Some(client) = last {
            ctx.event(client, event);
        }
    }

    /// Reports a change to the local members of the group.
    fn notify(
        &mut self,
        ctx: &mut Ctx<'_>,
        group: &Group,
        joined: &[(Process, u32)],
        left: &[(Process, u32)],
    ) {
        let me = ctx.me;
        let is_own = |connection: &Connection, list: &[(Process, u32)]| {
            list.iter().any(|(p, _)| p.node == me && p.pid == connection.pid)
        };
        for connection in self.clients.values_mut().filter(|c| c.group == *group) {
            if connection.phase == Phase::JoinStarted && is_own(connection, joined) {
                connection.phase = Phase::Joined;
            }
        }
        let event = self.confchg_event(group, joined, left);
        let mut newcomers = Vec::new();
        for (client, connection) in self.clients.iter_mut().filter(|(_, c)| c.group == *group) {
            if !matches!(connection.phase, Phase::Joined | Phase::LeaveStarted) {
                continue;
            }
            ctx.event(*client, event.clone());
            connection.transitions += 1;
            if connection.phase == Phase::LeaveStarted && is_own(connection, left) {
                connection.phase = Phase::Unjoined;
                connection.pid = 0;
                connection.group.clear();
            }
            if connection.wants_totem && !connection.totem_sent {
                connection.totem_sent = true;
                newcomers.push(*client);
            }
        }
        for client in newcomers {
            ctx.event(client, self.totem_event());
        }
    }

    fn confchg_event(&self, group: &Group, joined: &[(Process, u32)], left: &[(Process, u32)]) -> Vec<u8> {
        let members = self.processes.iter().filter(|(_, g)| g == group).map(|(p, _)| (*p, 0));
        let members: Vec<(Process, u32)> = members.collect();
        let total = members.len() + joined.len() + left.len();
        let mut event = Msg::response(4, 184 + 24 * total, CsError::Ok)
            .u32(160, length(members.len()))
            .u32(168, length(joined.len()))
            .u32(176, length(left.len()));
        let addresses = members.iter().chain(left).chain(joined);
        for (index, (process, reason)) in addresses.enumerate() {
            let at = 184 + 24 * index;
            event = event.u32(at, process.node).u32(at + 8, process.pid).u32(at + 16, *reason);
        }
        put_name(event, 24, group).done()
    }

    fn totem_event(&self) -> Vec<u8> {
        Msg::response(13, 48 + 4 * self.old_members.len(), CsError::Ok)
            .u32(24, self.ring.rep)
            .u64(32, self.ring.seq)
            .u32(40, length(self.old_members.len()))
            .ids(44, &self.old_members)
            .done()
    }
}

fn membership_message(function: u32, group: &[u8], pid: u32, reason: u32) -> Vec<u8> {
    let message = Msg::request(SERVICE | function, 168).u32(152, pid).u32(160, reason);
    put_name(message, 16, group).done()
}

/// True if a request of this id needs the ring.
pub(crate) fn needs_ring(id: u32) -> bool {
    matches!(id, 0 | 1 | 2 | 8 | 12)
}

/// True if a request has no answer (it is kept until the ring can take it).
pub(crate) fn is_async(id: u32) -> bool {
    id == 2
}
