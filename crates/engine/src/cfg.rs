//! Service cfg: status of the links, shutdown by agreement, reload, removal of nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use totem::{Instant, Level};

use crate::output::{Client, Ctx, Output};
use crate::wire::{CsError, Msg, RESPONSE_HEADER, View};

const SUBSYSTEM: &str = "CFG";
const SERVICE: u32 = 1 << 16;
/// Message that makes every node read its configuration again.
pub(crate) const RELOAD: u32 = 3;
const SHUTDOWN_TIMEOUT_MS: u32 = 5000;
const FLAG_REGARDLESS: u32 = 1;
const FLAG_IMMEDIATE: u32 = 2;
const RING_STATUS_SIZE: usize = 10_272;
const NODE_STATUS_SIZE: usize = 24 + 16 + 8 * 520;
/// Places in the answer about the own links: name and status of each.
const RING_NAME_SIZE: usize = 128;
const RING_STATUS_AT: usize = 32 + 16 * RING_NAME_SIZE;
const RING_TEXT_SIZE: usize = 512;
const LINKS_MAX: usize = 8;
/// Phases of a change of keys.
const CRYPTO_ACTIVATE: u32 = 1;
const CRYPTO_CLEANUP: u32 = 2;
/// How long nodes that have not got the new keys are understood.
const CRYPTO_PATIENCE: Duration = Duration::from_secs(10);
const FAMILY_V4: u32 = 2;
const FAMILY_V6: u32 = 10;

/// A configured node, as the links see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLinks {
    /// Whether the transport reaches the node; where it does not know, the membership tells.
    pub reachable: Option<bool>,
    pub links: BTreeMap<u8, NodeLink>,
}

/// One link to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLink {
    /// Address of the node on this link.
    pub address: IpAddr,
    /// Own address on this link, where links have two ends (knet).
    pub source: Option<IpAddr>,
    /// Whether the link works; where the transport does not know, the membership tells.
    pub connected: Option<bool>,
    /// MTU that is reported, in bytes.
    pub mtu: u32,
}

impl NodeLinks {
    /// Address of the lowest link.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.links.values().next().map(|link| link.address)
    }

    /// All addresses as the membership's keys have them.
    pub(crate) fn text(&self) -> String {
        self.links.iter().map(|(number, link)| format!("r({number}) ip({}) ", link.address)).collect()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reply {
    #[default]
    Unknown,
    Yes,
    No,
}

#[derive(Debug, Default)]
struct Connection {
    tracks: bool,
    reply: Reply,
}

/// A shutdown that waits for the trackers' answers.
#[derive(Debug)]
struct Shutdown {
    asker: Client,
    flags: u32,
    expected: u32,
    yes: u32,
    no: u32,
    deadline: Instant,
}

/// A change of keys: who is ready for the new ones, and how far we are.
#[derive(Debug, Default)]
struct CryptoChange {
    /// Nodes that understand the new keys.
    ready: BTreeSet<u32>,
    /// Our transport understands them.
    is_prepared: bool,
    is_active: bool,
    /// When the old ones are forgotten, whoever still uses them.
    deadline: Option<Instant>,
}

/// State of the service.
#[derive(Debug, Default)]
pub(crate) struct Cfg {
    clients: BTreeMap<Client, Connection>,
    shutdown: Option<Shutdown>,
    reload_asker: Option<Client>,
    /// Links to the configured nodes.
    pub(crate) nodes: BTreeMap<u32, NodeLinks>,
    /// Members of the current ring.
    pub(crate) reachable: Vec<u32>,
    change: CryptoChange,
}

/// True if a request of this id needs the ring.
pub(crate) fn needs_ring(id: u32) -> bool {
    matches!(id, 2 | 3 | 7)
}

impl Cfg {
    pub(crate) fn connect(&mut self, client: Client) {
        self.clients.insert(client, Connection::default());
    }

    pub(crate) fn disconnect(&mut self, ctx: &mut Ctx<'_>, client: Client) {
        self.stop_tracking(ctx, client);
        self.clients.remove(&client);
        if self.shutdown.as_ref().is_some_and(|shutdown| shutdown.asker == client) {
            self.shutdown = None;
        }
        if self.reload_asker == Some(client) {
            self.reload_asker = None;
        }
    }

    /// Handles one request; None if it is too short.
    pub(crate) fn request(&mut self, ctx: &mut Ctx<'_>, client: Client, m: View<'_>) -> Option<()> {
        let id = m.u32(0)?;
        let plain = |id, error| Msg::response(id, RESPONSE_HEADER, error).done();
        let response = match id {
            0 => self.ring_status(ctx.me),
            1 => plain(1, CsError::NotSupported),
            2 => plain(8, kill(ctx, m)?),
            3 => match self.try_shutdown(ctx, client, m.u32(16)?) {
                Some(error) => plain(9, error),
                None => return Some(()),
            },
            4 => plain(13, self.reply(ctx, client, m.u32(16)?)),
            5 => self.node_addresses(ctx.me, m.u32(16)?),
            6 => Msg::response(12, 32, CsError::Ok).u32(24, ctx.me).done(),
            7 => {
                self.reload_asker = Some(client);
                let message = Msg::request(SERVICE | RELOAD, 32).u32(16, ctx.me).u64(24, client.conn);
                ctx.multicast(message.done());
                return Some(());
            }
            8 => {
                ctx.out.push_back(Output::ReopenLogs);
                plain(15, CsError::Ok)
            }
            9 => self.node_status(m.u32(16)?, m.u32(24)?),
            10 => {
                self.start_tracking(ctx, client);
                plain(2, CsError::Ok)
            }
            11 => {
                self.stop_tracking(ctx, client);
                plain(3, CsError::Ok)
            }
            _ => plain(id, CsError::NotSupported),
        };
        ctx.respond(client, response);
        Some(())
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
            1 if m.u32(16)? == ctx.me => {
                let reason = m.text(32, 256)?;
                ctx.log(Level::Notice, SUBSYSTEM, format!("Killed by node {sender} : {reason}"));
                ctx.out.push_back(Output::Kill);
            }
            2 => {
                ctx.log(Level::Notice, SUBSYSTEM, format!("Node {sender} was shut down by sysadmin"));
                if sender == ctx.me {
                    ctx.out.push_back(Output::Shutdown);
                }
            }
            RELOAD => {
                ctx.log(Level::Notice, SUBSYSTEM, format!("Config reload requested by node {sender}"));
                if sender != ctx.me {
                    self.reload_asker = None;
                }
                self.change = CryptoChange::default();
                ctx.out.push_back(Output::Reload);
            }
            4 => self.crypto_phase(ctx, sender, m.u32(16)?),
            _ => {}
        }
        Some(())
    }

    /// Answers the client that asked for the reload.
    pub(crate) fn reload_done(&mut self, ctx: &mut Ctx<'_>, error: CsError) {
        if let Some(client) = self.reload_asker.take() {
            ctx.respond(client, Msg::response(14, RESPONSE_HEADER, error).done());
        }
    }

    // ---- links

    fn ring_status(&self, me: u32) -> Vec<u8> {
        let mut response = Msg::response(0, RING_STATUS_SIZE, CsError::Ok);
        let Some(own) = self.nodes.get(&me) else { return response.done() };
        let count = u32::try_from(own.links.len()).unwrap_or(0);
        response = response.u32(24, count);
        for (place, (number, link)) in own.links.iter().take(LINKS_MAX).enumerate() {
            response = response
                .put(32 + place * RING_NAME_SIZE, format!("{number} {}", link.address).as_bytes())
                .put(RING_STATUS_AT + place * RING_TEXT_SIZE, self.ring_text(me, *number).as_bytes());
        }
        response.done()
    }

    /// A character for each node: n for the own one, else 1 for a link that is enabled, plus 2 when it works.
    fn ring_text(&self, me: u32, number: u8) -> String {
        if self.nodes.values().all(|node| node.links.values().all(|link| link.source.is_none())) {
            return "OK".to_owned();
        }
        let letter = |(id, node): (&u32, &NodeLinks)| match node.links.get(&number) {
            _ if *id == me => 'n',
            Some(link) if link.connected == Some(true) => '3',
            Some(_) => '1',
            None => 'd',
        };
        self.nodes.iter().map(letter).collect()
    }

    fn node_addresses(&self, me: u32, id: u32) -> Vec<u8> {
        let id = if id == 0 { me } else { id };
        let is_known = self.reachable.contains(&id) || id == me;
        let Some(node) = self.nodes.get(&id).filter(|node| is_known && !node.links.is_empty()) else {
            return Msg::response(11, 32, CsError::NotExist).done();
        };
        let family =
            if node.address().is_some_and(|address| address.is_ipv6()) { FAMILY_V6 } else { FAMILY_V4 };
        let count = node.links.len();
        let mut response = Msg::response(11, 32 + 16 * count, CsError::Ok)
            .u32(24, family)
            .u32(28, u32::try_from(count).unwrap_or(0));
        for (place, link) in node.links.values().enumerate() {
            response = match link.address {
                IpAddr::V4(address) => response.put(32 + 16 * place, &address.octets()),
                IpAddr::V6(address) => response.put(32 + 16 * place, &address.octets()),
            };
        }
        response.done()
    }

    fn node_status(&self, id: u32, version: u32) -> Vec<u8> {
        /// Where link 0 starts, and the size of each.
        const LINK: usize = 24 + 16;
        const LINK_SIZE: usize = 520;
        if version != 1 {
            return Msg::response(16, 32, CsError::NotSupported).done();
        }
        let is_member = self.reachable.contains(&id);
        let mut response = Msg::response(16, NODE_STATUS_SIZE, CsError::Ok).u32(24, 1).u32(28, id);
        let Some(node) = self.nodes.get(&id) else { return response.u8(32, u8::from(is_member)).done() };
        response = response.u8(32, u8::from(node.reachable.unwrap_or(is_member)));
        for (number, link) in node.links.iter().filter(|(number, _)| usize::from(**number) < LINKS_MAX) {
            let at = LINK + LINK_SIZE * usize::from(*number);
            response = response
                .u8(at, 1)
                .u8(at + 1, u8::from(link.connected.unwrap_or(is_member)))
                .u32(at + 4, link.mtu);
            response = match link.source {
                Some(source) => response
                    .put(at + 8, source.to_string().as_bytes())
                    .put(at + 264, link.address.to_string().as_bytes()),
                None => response.put(at + 8, link.address.to_string().as_bytes()),
            };
        }
        response.done()
    }

    // ---- change of keys

    /// The new keys of this node are ready to be used besides the old ones: tells everybody. Each node goes through
    /// the phases with its own messages, so that nobody depends on another one.
    pub(crate) fn begin_crypto_change(&mut self, ctx: &mut Ctx<'_>) {
        // A change before this one may not have come to its end.
        let ready = std::mem::take(&mut self.change.ready);
        self.change = CryptoChange { ready, is_prepared: true, ..CryptoChange::default() };
        send_crypto_phase(ctx, CRYPTO_ACTIVATE);
        self.advance_change(ctx);
    }

    fn crypto_phase(&mut self, ctx: &mut Ctx<'_>, sender: u32, phase: u32) {
        self.change.ready.insert(sender);
        if sender == ctx.me && self.change.is_prepared {
            ctx.log(Level::Debug, SUBSYSTEM, format!("Crypto reconfiguration phase {phase}"));
            if phase == CRYPTO_ACTIVATE {
                send_crypto_phase(ctx, CRYPTO_CLEANUP);
            } else {
                self.change.deadline = Some(ctx.now.after(CRYPTO_PATIENCE));
            }
        }
        self.advance_change(ctx);
    }

    /// The new keys are used as soon as anybody does: the reference does not wait for others, and forgets the old
    /// ones at once. We forget them when everybody is ready, or has had time enough.
    fn advance_change(&mut self, ctx: &mut Ctx<'_>) {
        let change = &mut self.change;
        if change.is_prepared && !change.is_active && !change.ready.is_empty() {
            change.is_active = true;
            ctx.out.push_back(Output::ActivateKey);
        }
        let Some(deadline) = change.deadline else { return };
        let all_ready = self.reachable.iter().all(|node| change.ready.contains(node));
        if change.is_active && (all_ready || ctx.now >= deadline) {
            self.change = CryptoChange::default();
            ctx.out.push_back(Output::ForgetOldKey);
        }
    }

    // ---- shutdown by agreement

    fn start_tracking(&mut self, ctx: &mut Ctx<'_>, client: Client) {
        let connection = self.clients.entry(client).or_default();
        if core::mem::replace(&mut connection.tracks, true) {
            return;
        }
        connection.reply = Reply::Unknown;
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.expected += 1;
            ctx.event(client, ask_event(shutdown.flags, CsError::Ok));
        }
    }

    fn stop_tracking(&mut self, ctx: &mut Ctx<'_>, client: Client) {
        let Some(connection) = self.clients.get_mut(&client) else { return };
        if !core::mem::take(&mut connection.tracks) {
            return;
        }
        let reply = core::mem::take(&mut connection.reply);
        if let Some(shutdown) = self.shutdown.as_mut().filter(|shutdown| shutdown.asker != client) {
            // Who goes away agrees.
            if reply == Reply::No {
                shutdown.no -= 1;
            }
            if reply != Reply::Yes {
                shutdown.yes += 1;
            }
            self.decide(ctx);
        }
    }

    fn try_shutdown(&mut self, ctx: &mut Ctx<'_>, client: Client, flags: u32) -> Option<CsError> {
        if flags == FLAG_IMMEDIATE {
            send_shutdown(ctx);
            return Some(CsError::Ok);
        }
        if self.shutdown.is_some() {
            return Some(CsError::Exist);
        }
        let mut expected = 0;
        for (_, connection) in self.clients.iter_mut().filter(|(other, c)| **other != client && c.tracks) {
            connection.reply = Reply::Unknown;
            expected += 1;
        }
        if expected == 0 {
            send_shutdown(ctx);
            return Some(CsError::Ok);
        }
        let timeout_ms = ctx.map.u32("cfg.shutdown_timeout").unwrap_or(SHUTDOWN_TIMEOUT_MS);
        let deadline = ctx.now.after(Duration::from_millis(u64::from(timeout_ms)));
        self.shutdown = Some(Shutdown { asker: client, flags, expected, yes: 0, no: 0, deadline });
        self.ask_trackers(ctx, Some(client), flags, CsError::Ok);
        None
    }

    fn ask_trackers(&self, ctx: &mut Ctx<'_>, except: Option<Client>, flags: u32, error: CsError) {
        for (client, _) in self.clients.iter().filter(|(client, c)| c.tracks && Some(**client) != except) {
            ctx.event(*client, ask_event(flags, error));
        }
    }

    fn reply(&mut self, ctx: &mut Ctx<'_>, client: Client, response: u32) -> CsError {
        let Some(shutdown) = &mut self.shutdown else { return CsError::Access };
        let connection = self.clients.entry(client).or_default();
        if connection.reply != Reply::Unknown {
            return CsError::Exist;
        }
        if response == 1 {
            connection.reply = Reply::Yes;
            shutdown.yes += 1;
        } else {
            connection.reply = Reply::No;
            shutdown.no += 1;
        }
        self.decide(ctx);
        CsError::Ok
    }

    fn decide(&mut self, ctx: &mut Ctx<'_>) {
        let Some(shutdown) = self.shutdown.take_if(|s| s.yes + s.no >= s.expected) else { return };
        let agreed = shutdown.yes >= shutdown.expected || shutdown.flags == FLAG_REGARDLESS;
        let error = if agreed { CsError::Ok } else { CsError::Busy };
        ctx.respond(shutdown.asker, Msg::response(9, RESPONSE_HEADER, error).done());
        if agreed {
            send_shutdown(ctx);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let shutdown = self.shutdown.as_ref().map(|shutdown| shutdown.deadline);
        shutdown.into_iter().chain(self.change.deadline).min()
    }

    pub(crate) fn timeout(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now;
        self.advance_change(ctx);
        let Some(shutdown) = self.shutdown.as_mut().filter(|shutdown| shutdown.deadline <= now) else {
            return;
        };
        // The undecided count as refusals.
        shutdown.no = shutdown.expected;
        let flags = shutdown.flags;
        self.decide(ctx);
        self.ask_trackers(ctx, None, flags, CsError::Timeout);
    }
}

fn ask_event(flags: u32, error: CsError) -> Vec<u8> {
    Msg::response(10, 32, error).u32(24, flags).done()
}

fn send_crypto_phase(ctx: &mut Ctx<'_>, phase: u32) {
    ctx.multicast(Msg::request(SERVICE | 4, 24).u32(16, phase).done());
}

fn send_shutdown(ctx: &mut Ctx<'_>) {
    ctx.multicast(Msg::request(SERVICE | 2, 16).done());
}

fn kill(ctx: &mut Ctx<'_>, m: View<'_>) -> Option<CsError> {
    let id = m.u32(16)?;
    // The library's name has no padding after its length, the executive's has.
    let reason = m.text(26, 256)?;
    if ctx.map.text(&format!("runtime.members.{id}.status")) != Some("joined") {
        return Some(CsError::NotExist);
    }
    let reason = reason.as_bytes().get(..255).unwrap_or(reason.as_bytes());
    let message = Msg::request(SERVICE | 1, 288)
        .u32(16, id)
        .put(24, &u16::try_from(reason.len()).unwrap_or(0).to_ne_bytes())
        .put(32, reason);
    ctx.multicast(message.done());
    Some(CsError::Ok)
}
