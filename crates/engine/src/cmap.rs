//! Service cmap: clients read, write, iterate and track the maps; the nodes compare configuration
//! versions when they synchronise.

use std::collections::{BTreeMap, VecDeque};

use totem::Level;

use crate::map::{Change, Map, TRACK_PREFIX, is_read_only};
use crate::output::{Client, Counters, Ctx, Output};
use crate::wire::{CsError, Msg, RESPONSE_HEADER, View, align8, length};

const KEY_FIELD: usize = 264;
const SUBSYSTEM: &str = "CMAP";
/// Iterators and trackers that one client may hold.
const HANDLES_MAX: usize = 1024;
const STATE_HEADER: usize = 48;
const REASON_SYNC: u8 = 0;
const REASON_NEW_VERSION: u8 = 1;
const CONFIG_VERSION: &str = "totem.config_version";

#[derive(Debug)]
struct Tracker {
    key: String,
    events: i32,
    instance: u64,
}

#[derive(Debug, Default)]
struct Connection {
    uses_stats: bool,
    next_handle: u64,
    iterators: BTreeMap<u64, VecDeque<String>>,
    trackers: BTreeMap<u64, Tracker>,
}

impl Connection {
    fn new_handle(&mut self) -> u64 {
        self.next_handle += 1;
        self.next_handle
    }
}

/// State of the service.
#[derive(Debug, Default)]
pub(crate) struct Cmap {
    clients: BTreeMap<Client, Connection>,
    own_version: u64,
    highest_version: u64,
    alone: bool,
    was_checked: bool,
}

impl Cmap {
    pub(crate) fn connect(&mut self, client: Client) {
        self.clients.insert(client, Connection::default());
    }

    pub(crate) fn disconnect(&mut self, client: Client) {
        self.clients.remove(&client);
    }

    /// True if the client reads the statistics map, which is filled on demand.
    pub(crate) fn uses_stats(&self, client: Client) -> bool {
        self.clients.get(&client).is_some_and(|connection| connection.uses_stats)
    }

    /// Handles one request; None if it is too short.
    pub(crate) fn request(
        &mut self,
        ctx: &mut Ctx<'_>,
        stats: &Map,
        client: Client,
        m: View<'_>,
    ) -> Option<()> {
        let id = m.u32(0)?;
        let connection = self.clients.entry(client).or_default();
        let response = match id {
            0 => status(0, set(ctx, connection, m)?),
            1 => status(1, delete(ctx, connection, m)?),
            2 => get(if connection.uses_stats { stats } else { ctx.map }, m)?,
            3 => status(3, adjust(ctx, connection, m)?),
            4 => iterate(connection, if connection.uses_stats { stats } else { ctx.map }, m)?,
            5 => next(connection, if connection.uses_stats { stats } else { ctx.map }, m)?,
            6 => {
                let found = connection.iterators.remove(&m.u64(16)?).is_some();
                status(6, if found { CsError::Ok } else { CsError::BadHandle })
            }
            7 => track(connection, m)?,
            8 => untrack(connection, m)?,
            9 => status(10, choose_map(connection, m)?),
            _ => status(id, CsError::NotSupported),
        };
        ctx.respond(client, response);
        Some(())
    }

    /// Tells those who track the key.
    pub(crate) fn notify(&self, out: &mut VecDeque<Output>, change: &Change) {
        for (client, connection) in self.clients.iter().filter(|(_, c)| !c.uses_stats) {
            for tracker in connection.trackers.values() {
                let matches = if tracker.events & TRACK_PREFIX != 0 {
                    change.key.starts_with(&tracker.key)
                } else {
                    change.key == tracker.key
                };
                if matches && tracker.events & change.event() != 0 {
                    out.push_back(Output::Event {
                        client: *client,
                        message: notification(tracker, change).into(),
                    });
                }
            }
        }
    }

    pub(crate) fn sync_init(&mut self, map: &Map, members: &[u32]) {
        self.own_version = map.number(CONFIG_VERSION).unwrap_or(0);
        self.highest_version = self.own_version;
        // The first ring may have others in it already.
        self.alone = members.len() < 2;
    }

    pub(crate) fn sync_send(&self, ctx: &mut Ctx<'_>) {
        let message = state_message(ctx.map, REASON_SYNC);
        ctx.multicast(message);
    }

    /// Tells the others that the own version of the configuration has changed.
    pub(crate) fn announce_version(&mut self, ctx: &mut Ctx<'_>) {
        self.own_version = ctx.map.number(CONFIG_VERSION).unwrap_or(0);
        let message = state_message(ctx.map, REASON_NEW_VERSION);
        ctx.multicast(message);
    }

    /// A node whose configuration is older than another's must not take part.
    pub(crate) fn sync_activate(&mut self, ctx: &mut Ctx<'_>) {
        if self.alone || self.was_checked {
            return;
        }
        self.was_checked = true;
        if self.own_version == 0 || self.own_version == self.highest_version {
            return;
        }
        let text = format!(
            "Received config version ({}) is different than my config version ({})! Exiting",
            self.highest_version, self.own_version
        );
        ctx.log(Level::Error, SUBSYSTEM, text);
        ctx.out.push_back(Output::Shutdown);
    }

    /// A state message of a node.
    pub(crate) fn deliver(
        &mut self,
        ctx: &mut Ctx<'_>,
        function: u32,
        sender: u32,
        m: View<'_>,
    ) -> Option<()> {
        if function != 0 || m.u8(16)? > REASON_NEW_VERSION {
            return Some(());
        }
        let mut version = 0;
        let mut at = STATE_HEADER;
        for _ in 0..m.u8(24)? {
            let len = usize::try_from(m.u64(at + 272)?).ok()?;
            m.bytes(at + 280, len)?;
            if m.key(at)? == CONFIG_VERSION && m.u8(at + 264)? == 8 {
                version = m.u64(at + 280)?;
            }
            at += align8(280 + len);
        }
        if sender != ctx.me {
            self.highest_version = self.highest_version.max(version);
        }
        ctx.map.set(&format!("runtime.members.{sender}.config_version"), version);
        Some(())
    }
}

fn status(id: u32, error: CsError) -> Vec<u8> {
    Msg::response(id, RESPONSE_HEADER, error).done()
}

fn writable(connection: &Connection, key: &str) -> Result<(), CsError> {
    if connection.uses_stats || is_read_only(key) { Err(CsError::Access) } else { Ok(()) }
}

fn code(result: Result<(), CsError>) -> CsError {
    result.err().unwrap_or(CsError::Ok)
}

fn set(ctx: &mut Ctx<'_>, connection: &Connection, m: View<'_>) -> Option<CsError> {
    let key = m.key(16)?;
    let len = usize::try_from(m.u64(280)?).ok()?;
    let kind = m.u8(288)?;
    let value = m.bytes(296, len)?;
    if connection.uses_stats {
        let Some(counters) = Counters::from_key(&key) else { return Some(CsError::Access) };
        ctx.out.push_back(Output::ClearStats(counters));
        return Some(CsError::Ok);
    }
    Some(code(writable(connection, &key).and_then(|()| ctx.map.set_checked(&key, kind, value))))
}

fn delete(ctx: &mut Ctx<'_>, connection: &Connection, m: View<'_>) -> Option<CsError> {
    let key = m.key(16)?;
    Some(match writable(connection, &key) {
        Err(error) => error,
        Ok(()) if ctx.map.remove(&key) => CsError::Ok,
        Ok(()) => CsError::NotExist,
    })
}

fn adjust(ctx: &mut Ctx<'_>, connection: &Connection, m: View<'_>) -> Option<CsError> {
    let key = m.key(16)?;
    let step = i32::from_ne_bytes(m.u32(280)?.to_ne_bytes());
    Some(code(writable(connection, &key).and_then(|()| ctx.map.adjust(&key, step))))
}

fn get(map: &Map, m: View<'_>) -> Option<Vec<u8>> {
    const FIXED: usize = 40;
    let key = m.key(16)?;
    let room = usize::try_from(m.u64(280)?).ok()?;
    let Some(value) = map.get(&key) else {
        return Some(Msg::response(2, FIXED, CsError::NotExist).done());
    };
    let len = value.bytes.len();
    if room > 0 && room < len {
        return Some(Msg::response(2, FIXED, CsError::InvalidParam).done());
    }
    let carried = if room > 0 { value.bytes.as_slice() } else { &[] };
    let message = Msg::response(2, FIXED + carried.len(), CsError::Ok)
        .u64(24, u64::from(length(len)))
        .u8(32, value.kind as u8)
        .put(40, carried);
    Some(message.done())
}

fn iterate(connection: &mut Connection, map: &Map, m: View<'_>) -> Option<Vec<u8>> {
    let prefix = if m.u16(16)? == 0 { String::new() } else { m.key(16)? };
    if connection.iterators.len() >= HANDLES_MAX {
        return Some(Msg::response(4, 32, CsError::TryAgain).done());
    }
    let keys = map.with_prefix(&prefix).map(|(key, _)| key.to_owned()).collect();
    let handle = connection.new_handle();
    connection.iterators.insert(handle, keys);
    Some(Msg::response(4, 32, CsError::Ok).u64(24, handle).done())
}

fn next(connection: &mut Connection, map: &Map, m: View<'_>) -> Option<Vec<u8>> {
    const SIZE: usize = 304;
    let Some(keys) = connection.iterators.get_mut(&m.u64(16)?) else {
        return Some(Msg::response(5, SIZE, CsError::BadHandle).done());
    };
    while let Some(key) = keys.pop_front() {
        // Deleted since the iteration began.
        let Some(value) = map.get(&key) else { continue };
        let message = Msg::response(5, SIZE, CsError::Ok)
            .u64(288, u64::from(length(value.bytes.len())))
            .u8(296, value.kind as u8);
        return Some(put_key(message, 24, &key).done());
    }
    Some(Msg::response(5, SIZE, CsError::NoSections).done())
}

fn put_key(message: Msg, offset: usize, key: &str) -> Msg {
    let len = u16::try_from(key.len()).unwrap_or(u16::MAX);
    message.put(offset, &len.to_ne_bytes()).put(offset + 8, key.as_bytes())
}

fn track(connection: &mut Connection, m: View<'_>) -> Option<Vec<u8>> {
    let key = if m.u16(16)? == 0 { String::new() } else { m.key(16)? };
    let events = i32::from_ne_bytes(m.u32(280)?.to_ne_bytes());
    let instance = m.u64(288)?;
    let known_bits = events & !0xf == 0;
    if !known_bits || (key.is_empty() && events & TRACK_PREFIX == 0) {
        return Some(Msg::response(7, 32, CsError::InvalidParam).done());
    }
    if connection.trackers.len() >= HANDLES_MAX {
        return Some(Msg::response(7, 32, CsError::TryAgain).done());
    }
    let handle = connection.new_handle();
    connection.trackers.insert(handle, Tracker { key, events, instance });
    Some(Msg::response(7, 32, CsError::Ok).u64(24, handle).done())
}

fn untrack(connection: &mut Connection, m: View<'_>) -> Option<Vec<u8>> {
    Some(match connection.trackers.remove(&m.u64(16)?) {
        Some(tracker) => Msg::response(8, 32, CsError::Ok).u64(24, tracker.instance).done(),
        None => Msg::response(8, 32, CsError::BadHandle).done(),
    })
}

fn choose_map(connection: &mut Connection, m: View<'_>) -> Option<CsError> {
    let map = m.u32(16)?;
    if !connection.iterators.is_empty() || !connection.trackers.is_empty() {
        return Some(CsError::Busy);
    }
    if map > 1 {
        return Some(CsError::NotExist);
    }
    connection.uses_stats = map == 1;
    Some(CsError::Ok)
}

fn notification(tracker: &Tracker, change: &Change) -> Vec<u8> {
    const FIXED: usize = 336;
    let bytes =
        |value: &'_ Option<crate::map::Value>| value.as_ref().map(|v| v.bytes.clone()).unwrap_or_default();
    let kind = |value: &Option<crate::map::Value>| value.as_ref().map_or(0, |v| v.kind as u8);
    let (new, old) = (bytes(&change.new), bytes(&change.old));
    let message = Msg::response(9, FIXED + new.len() + old.len(), CsError::Ok)
        .u64(24, tracker.instance)
        .put(296, &change.event().to_ne_bytes())
        .u8(304, kind(&change.new))
        .u8(312, kind(&change.old))
        .u64(320, u64::from(length(new.len())))
        .u64(328, u64::from(length(old.len())))
        .put(FIXED, &new)
        .put(FIXED + new.len(), &old);
    put_key(message, 32, &change.key).done()
}

fn state_message(map: &Map, reason: u8) -> Vec<u8> {
    let value = map.get(CONFIG_VERSION);
    let bytes = value.map(|value| value.bytes.clone()).unwrap_or_default();
    let size = STATE_HEADER + align8(KEY_FIELD + 16 + bytes.len());
    let message = Msg::request(0, size)
        .u8(16, reason)
        .u8(24, 1)
        .u8(STATE_HEADER + 264, value.map_or(0, |value| value.kind as u8))
        .u64(STATE_HEADER + 272, u64::from(length(bytes.len())))
        .put(STATE_HEADER + 280, &bytes);
    put_key(message, STATE_HEADER, CONFIG_VERSION).done()
}
