//! The servers that clients connect to.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use engine::{Client, Map, Message, Service};
use qb::{ConnId, ConnectionStats, Credentials, Server, ServerError, ServerEvent, ServerOptions};

/// Largest message in either direction.
const MESSAGE_MAX_BYTES: usize = 8192 * 128;
/// What a client may leave unread before it is given up: the other nodes do not wait for it, and theirs may be much
/// faster.
const UNREAD_MAX_BYTES: usize = 128 * 1024 * 1024;
/// Requests taken from each polled client at once.
const POLLED_REQUESTS: usize = 32;
const EACCES: i32 = 13;

/// Users and groups besides root that may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Allowed {
    uids: BTreeSet<u32>,
    gids: BTreeSet<u32>,
}

impl Allowed {
    fn permits(&self, credentials: &Credentials) -> bool {
        let (uid, gid) = (credentials.uid, credentials.gid);
        uid == 0 || gid == 0 || self.uids.contains(&uid) || self.gids.contains(&gid)
    }

    /// Keys `uidgid.[config.]uid.N` and `…gid.N` with value 1.
    fn from_map(map: &Map) -> Self {
        let ids = |kind: &str| {
            let mut ids = BTreeSet::new();
            for prefix in [format!("uidgid.{kind}."), format!("uidgid.config.{kind}.")] {
                for (key, value) in map.with_prefix(&prefix) {
                    let id: Option<u32> = key.strip_prefix(&prefix).and_then(|id| id.parse().ok());
                    ids.extend(id.filter(|_| value.as_u64() == Some(1)));
                }
            }
            ids
        };
        Self { uids: ids("uid"), gids: ids("gid") }
    }
}

/// What clients did.
#[derive(Debug)]
pub enum ClientEvent {
    Connected(Client),
    Request(Client, Bytes),
    Disconnected(Client),
}

/// All servers.
#[derive(Debug)]
pub struct Servers {
    servers: Vec<(Service, Server)>,
    allowed: Arc<Mutex<Allowed>>,
}

impl Servers {
    /// Opens the servers of these services.
    ///
    /// # Errors
    /// When a name is taken: another corosync runs.
    pub fn bind(services: &[Service], map: &Map) -> Result<Self, ServerError> {
        let allowed = Arc::new(Mutex::new(Allowed::from_map(map)));
        let mut servers = Vec::new();
        for service in services {
            let allowed = Arc::clone(&allowed);
            let access = move |credentials: &Credentials| {
                let allowed = allowed.lock().unwrap_or_else(PoisonError::into_inner);
                if allowed.permits(credentials) { Ok(()) } else { Err(EACCES) }
            };
            let mut options = ServerOptions::new(MESSAGE_MAX_BYTES).access(access);
            options.max_queue_bytes = UNREAD_MAX_BYTES;
            servers.push((*service, Server::bind(service.name(), options)?));
        }
        Ok(Self { servers, allowed })
    }

    /// Takes over changed access rules.
    pub fn refresh_access(&self, map: &Map) {
        let fresh = Allowed::from_map(map);
        *self.allowed.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// Descriptors to poll for reading, by index.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.servers.iter().map(|(_, server)| server.fd())
    }

    /// Takes what the clients of the server at `index` did: a bounded amount. Where the ring is busy, busy clients of
    /// cpg are polled from then on, see [`Servers::poll_requests`].
    pub fn dispatch(&mut self, index: usize, is_ring_busy: bool) -> Vec<ClientEvent> {
        let Some((service, server)) = self.servers.get_mut(index) else { return Vec::new() };
        server.set_polling(is_ring_busy && *service == Service::Cpg);
        translate(*service, server.dispatch())
    }

    /// True while clients are polled.
    #[must_use]
    pub fn is_polling(&self) -> bool {
        self.servers.iter().any(|(_, server)| server.is_polling())
    }

    /// Takes requests of the clients that are polled.
    pub fn poll_requests(&mut self) -> Vec<ClientEvent> {
        let server = self.server(Service::Cpg);
        server.map_or_else(Vec::new, |server| translate(Service::Cpg, server.poll_requests(POLLED_REQUESTS)))
    }

    fn server(&mut self, service: Service) -> Option<&mut Server> {
        self.servers.iter_mut().find(|(other, _)| *other == service).map(|(_, server)| server)
    }

    /// Answers a request. A client that is gone is reported by its server.
    pub fn respond(&mut self, client: Client, bytes: &[u8]) {
        if let Some(server) = self.server(client.service) {
            let _ = server.respond(ConnId(client.conn), bytes);
        }
    }

    /// Sends an event; the client is told of it by [`Servers::wake_clients`].
    pub fn event(&mut self, client: Client, message: &Message) {
        if let Some(server) = self.server(client.service) {
            let _ = server.event_quietly(ConnId(client.conn), &message.parts());
        }
    }

    /// Tells the clients of their new events.
    pub fn wake_clients(&mut self) {
        for (_, server) in &mut self.servers {
            server.wake_clients();
        }
    }

    /// Makes the clients of cpg wait, or lets them go on. The other services answer "try again"
    /// where they need the ring, and their clients may ask for anything else meanwhile.
    pub fn set_flow(&mut self, stop: bool) {
        if let Some(server) = self.server(Service::Cpg) {
            server.set_flow_all(stop);
        }
    }

    /// True while a client of cpg that does read cannot keep up.
    pub fn is_lagging(&mut self) -> bool {
        self.server(Service::Cpg).is_some_and(|server| server.is_lagging())
    }

    /// Bytes that wait for the slowest client of cpg that reads.
    pub fn unread(&mut self) -> usize {
        self.server(Service::Cpg).map_or(0, Server::unread)
    }

    /// Counters of all connections.
    pub fn stats(&self) -> impl Iterator<Item = (Client, i32, ConnectionStats)> {
        self.servers.iter().flat_map(|(service, server)| {
            let service = *service;
            server.stats().map(move |(conn, pid, stats)| (Client { service, conn: conn.0 }, pid, stats))
        })
    }

    /// All counters start anew.
    pub fn clear_stats(&mut self) {
        self.servers.iter_mut().for_each(|(_, server)| server.clear_stats());
    }

    /// Connections over all servers.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.servers.iter().map(|(_, server)| server.connections().count()).sum()
    }
}

fn translate(service: Service, events: Vec<ServerEvent>) -> Vec<ClientEvent> {
    let client = |conn: ConnId| Client { service, conn: conn.0 };
    let events = events.into_iter().map(|event| match event {
        ServerEvent::Connected(conn, _) => ClientEvent::Connected(client(conn)),
        ServerEvent::Request(conn, bytes) => ClientEvent::Request(client(conn), bytes.into()),
        ServerEvent::Disconnected(conn) => ClientEvent::Disconnected(client(conn)),
    });
    events.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_users_and_groups_may_connect() {
        let mut map = Map::default();
        map.set("uidgid.config.uid.108", 1u8);
        map.set("uidgid.gid.113", 1u8);
        map.set("uidgid.gid.114", 0u8);
        let allowed = Allowed::from_map(&map);
        let permits = |uid, gid| allowed.permits(&Credentials { pid: 1, uid, gid });
        assert!(permits(0, 500) && permits(500, 0) && permits(108, 500) && permits(500, 113));
        assert!(!permits(500, 114) && !permits(500, 500));
    }
}
