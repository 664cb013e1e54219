//! Requests of clients to service cpg.

use std::collections::VecDeque;

use super::{
    Connection, Cpg, Group, MEMBERS_MAX, Phase, Process, REASON_JOIN, REASON_LEAVE, SERVICE,
    membership_message, name, put_name,
};
use crate::output::{Client, Ctx};
use crate::wire::{CsError, Msg, RESPONSE_HEADER, View, length};

const ITERATE_NAMES: u32 = 1;
const ITERATE_ONE_GROUP: u32 = 2;
const PARTIAL_FIRST: u32 = 1;
/// Iterators that one client may hold.
const ITERATORS_MAX: usize = 256;

impl Cpg {
    /// Handles one request; None if it is too short.
    pub(crate) fn request(&mut self, ctx: &mut Ctx<'_>, client: Client, m: View<'_>) -> Option<()> {
        let id = m.u32(0)?;
        let plain = |id, error| Msg::response(id, RESPONSE_HEADER, error).done();
        let response = match id {
            0 => plain(0, self.join(ctx, client, m)?),
            1 => plain(1, self.leave_request(ctx, client)),
            2 => return self.mcast(ctx, client, m),
            3 => self.membership(&name(m, 16)?),
            4 => Msg::response(7, 32, CsError::Ok).u32(24, ctx.me).done(),
            5 => {
                let kind = m.u32(152)?;
                // Clients leave the name undefined where it has no meaning.
                let group = if kind == ITERATE_ONE_GROUP { name(m, 16)? } else { Group::new() };
                self.iterate(client, &group, kind)
            }
            6 => self.next(client, m.u64(16)?),
            7 => {
                let found = self.connection(client).iterators.remove(&m.u64(16)?).is_some();
                plain(11, if found { CsError::Ok } else { CsError::Library })
            }
            8 => {
                self.disconnect(ctx, client);
                plain(12, CsError::Ok)
            }
            12 => plain(18, self.partial_mcast(ctx, client, m)?),
            9..=11 => plain(id, CsError::NotSupported),
            _ => plain(id, CsError::NotSupported),
        };
        ctx.respond(client, response);
        Some(())
    }

    fn connection(&mut self, client: Client) -> &mut Connection {
        self.clients.entry(client).or_default()
    }

    fn join(&mut self, ctx: &mut Ctx<'_>, client: Client, m: View<'_>) -> Option<CsError> {
        let Some(group) = name(m, 16) else { return Some(CsError::NameTooLong) };
        let (pid, flags) = (m.u32(152)?, m.u32(160)?);
        if self.clients.values().any(|c| c.pid == pid && c.group == group) {
            return Some(CsError::Exist);
        }
        // A leave of this process may still be on its way.
        if self.processes.contains(&(Process { node: ctx.me, pid }, group.clone())) {
            return Some(CsError::TryAgain);
        }
        let connection = self.connection(client);
        match connection.phase {
            Phase::Unjoined => {}
            Phase::LeaveStarted => return Some(CsError::Busy),
            Phase::JoinStarted | Phase::Joined => return Some(CsError::Exist),
        }
        connection.phase = Phase::JoinStarted;
        connection.pid = pid;
        connection.wants_totem = flags & 1 != 0;
        connection.group.clone_from(&group);
        ctx.multicast(membership_message(0, &group, pid, REASON_JOIN));
        Some(CsError::Ok)
    }

    fn leave_request(&mut self, ctx: &mut Ctx<'_>, client: Client) -> CsError {
        let connection = self.connection(client);
        match connection.phase {
            Phase::Unjoined | Phase::LeaveStarted => CsError::NotExist,
            Phase::JoinStarted => CsError::Busy,
            Phase::Joined => {
                connection.phase = Phase::LeaveStarted;
                let message = membership_message(1, &connection.group, connection.pid, REASON_LEAVE);
                ctx.multicast(message);
                CsError::Ok
            }
        }
    }

    fn mcast(&mut self, ctx: &mut Ctx<'_>, client: Client, m: View<'_>) -> Option<()> {
        let len = usize::try_from(m.u32(32)?).ok()?;
        let connection = self.connection(client);
        if !matches!(connection.phase, Phase::JoinStarted | Phase::Joined) {
            return Some(());
        }
        let message = Msg::head(SERVICE | 3, 184, len)
            .u32(152, length(len))
            .u32(160, connection.pid)
            .u32(168, ctx.me)
            .u64(176, client.conn);
        ctx.multicast(put_name(message, 16, &connection.group).before(m, 40, len)?);
        Some(())
    }

    fn partial_mcast(&mut self, ctx: &mut Ctx<'_>, client: Client, m: View<'_>) -> Option<CsError> {
        let (total, len, kind) = (m.u32(32)?, m.u32(40)?, m.u32(48)?);
        let data_len = usize::try_from(len).ok()?;
        let connection = self.connection(client);
        if !matches!(connection.phase, Phase::JoinStarted | Phase::Joined) {
            return Some(CsError::NotExist);
        }
        if kind == PARTIAL_FIRST {
            connection.transitions_at_start = connection.transitions;
        }
        if connection.transitions != connection.transitions_at_start {
            return Some(CsError::Interrupt);
        }
        let message = Msg::head(SERVICE | 6, 200, data_len)
            .u32(152, total)
            .u32(160, len)
            .u32(168, connection.pid)
            .u32(176, kind)
            .u32(184, ctx.me)
            .u64(192, client.conn);
        ctx.multicast(put_name(message, 16, &connection.group).before(m, 56, data_len)?);
        Some(CsError::Ok)
    }

    fn membership(&self, group: &Group) -> Vec<u8> {
        let members: Vec<Process> = self
            .processes
            .iter()
            .filter(|(_, g)| g == group)
            .map(|(p, _)| *p)
            .take(MEMBERS_MAX * 3)
            .collect();
        let mut response = Msg::response(3, 9248, CsError::Ok).u32(24, length(members.len()));
        for (index, process) in members.iter().enumerate() {
            let at = 32 + 24 * index;
            response = response.u32(at, process.node).u32(at + 8, process.pid);
        }
        response.done()
    }

    fn iterate(&mut self, client: Client, group: &Group, kind: u32) -> Vec<u8> {
        // Grouped by name in the order in which the names first appear.
        let mut names: Vec<&Group> = Vec::new();
        for (_, name) in &self.processes {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut items: VecDeque<(Group, Process)> = VecDeque::new();
        for name in names {
            if kind == ITERATE_NAMES {
                items.push_back((name.clone(), Process { node: 0, pid: 0 }));
            } else if kind != ITERATE_ONE_GROUP || name == group {
                let members = self.processes.iter().filter(|(_, g)| g == name);
                items.extend(members.map(|(process, name)| (name.clone(), *process)));
            }
        }
        let connection = self.connection(client);
        if connection.iterators.len() >= ITERATORS_MAX {
            return Msg::response(9, 32, CsError::TryAgain).done();
        }
        connection.next_handle += 1;
        let handle = connection.next_handle;
        connection.iterators.insert(handle, items);
        Msg::response(9, 32, CsError::Ok).u64(24, handle).done()
    }

    fn next(&mut self, client: Client, handle: u64) -> Vec<u8> {
        const SIZE: usize = 168;
        let Some(items) = self.connection(client).iterators.get_mut(&handle) else {
            return Msg::response(10, SIZE, CsError::Library).done();
        };
        let Some((group, process)) = items.pop_front() else {
            return Msg::response(10, SIZE, CsError::NoSections).done();
        };
        let response = Msg::response(10, SIZE, CsError::Ok).u32(160, process.node).u32(164, process.pid);
        put_name(response, 24, &group).done()
    }
}
