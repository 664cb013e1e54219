//! The manager's IPC endpoints and the clients that are connected to them.

use std::collections::BTreeMap;

use qb::{ConnId, Server, ServerEvent, ServerOptions};
use xml::Document;

use crate::frame::{ClientMessage, FLAG_CLIENT_RESPONSE, FLAG_SERVER_EVENT};

/// Largest message of a client, in bytes.
const MAX_MESSAGE_BYTES: usize = 8 << 20;
/// Users and groups that may connect, by name.
const DAEMON_USER: &str = "hacluster";
const DAEMON_GROUP: &str = "haclient";

/// An endpoint, by its libqb name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    CibReadOnly,
    CibReadWrite,
    CibShared,
    Controller,
    Attributes,
    Fencer,
    Manager,
    Executor,
}

impl Service {
    pub const ALL: [(Service, &'static str); 8] = [
        (Service::CibReadOnly, "cib_ro"),
        (Service::CibReadWrite, "cib_rw"),
        (Service::CibShared, "cib_shm"),
        (Service::Controller, "crmd"),
        (Service::Attributes, "attrd"),
        (Service::Fencer, "stonith-ng"),
        (Service::Manager, "pacemakerd"),
        (Service::Executor, "lrmd"),
    ];

    fn index(self) -> usize {
        Service::ALL.iter().position(|(service, _)| *service == self).unwrap_or(0)
    }
}

/// A connected client.
#[derive(Debug, Clone)]
pub struct Client {
    pub service: Service,
    pub conn: ConnId,
    /// Our name for it, unique on this node.
    pub uuid: String,
    /// What it calls itself.
    pub name: String,
    pub uid: u32,
    /// Wants to be told of changes of the CIB.
    pub wants_diffs: bool,
    /// The request that it waits on.
    pub waiting_id: Option<i32>,
}

/// What came from a client.
#[derive(Debug)]
pub struct Request {
    pub service: Service,
    pub conn: ConnId,
    pub id: i32,
    pub flags: u32,
    /// `None` when the text is not XML.
    pub message: Option<Document>,
}

impl Request {
    pub fn wants_response(&self) -> bool {
        self.flags & FLAG_CLIENT_RESPONSE != 0
    }
}

/// All endpoints.
pub struct Endpoints {
    servers: Vec<Server>,
    clients: BTreeMap<(Service, ConnId), Client>,
    next: u64,
    prefix: String,
}

impl Endpoints {
    /// # Errors
    /// When a name is taken (another manager runs) or cannot be bound.
    pub fn open(prefix: &str) -> Result<Endpoints, qb::ServerError> {
        let (users, groups) = (id_of("/etc/passwd", DAEMON_USER), id_of("/etc/group", DAEMON_GROUP));
        let mut servers = Vec::new();
        for (_, name) in Service::ALL {
            let options = ServerOptions::new(MAX_MESSAGE_BYTES).access(move |who| {
                let known = who.uid == 0
                    || who.gid == 0
                    || users == Some(who.uid)
                    || groups.is_some_and(|group| who.gid == group || is_member(who.uid, DAEMON_GROUP));
                if known { Ok(()) } else { Err(libc_eacces()) }
            });
            servers.push(Server::bind(name, options)?);
        }
        Ok(Endpoints { servers, clients: BTreeMap::new(), next: 1, prefix: prefix.to_string() })
    }

    pub fn servers(&self) -> impl Iterator<Item = (Service, &Server)> {
        Service::ALL.iter().map(|(service, _)| *service).zip(&self.servers)
    }

    /// Takes what clients of one endpoint sent.
    pub fn dispatch(&mut self, service: Service) -> Vec<Request> {
        let Some(server) = self.servers.get_mut(service.index()) else { return Vec::new() };
        let mut requests = Vec::new();
        for event in server.dispatch() {
            match event {
                ServerEvent::Connected(conn, who) => {
                    let uuid = format!("{}-{:012x}", self.prefix, self.next);
                    self.next += 1;
                    let client = Client {
                        service,
                        conn,
                        uuid,
                        name: who.pid.to_string(),
                        uid: who.uid,
                        wants_diffs: false,
                        waiting_id: None,
                    };
                    self.clients.insert((service, conn), client);
                }
                ServerEvent::Disconnected(conn) => {
                    self.clients.remove(&(service, conn));
                }
                ServerEvent::Request(conn, bytes) => match ClientMessage::decode(&bytes) {
                    Ok(message) => requests.push(Request {
                        service,
                        conn,
                        id: message.id,
                        flags: message.flags,
                        message: Document::parse(&message.text).ok(),
                    }),
                    // What cannot be read cannot be answered either: this client is of no use.
                    Err(_) => server.disconnect(conn),
                },
            }
        }
        requests
    }

    pub fn client(&self, service: Service, conn: ConnId) -> Option<&Client> {
        self.clients.get(&(service, conn))
    }

    pub fn client_mut(&mut self, service: Service, conn: ConnId) -> Option<&mut Client> {
        self.clients.get_mut(&(service, conn))
    }

    pub fn by_uuid(&self, uuid: &str) -> Option<&Client> {
        self.clients.values().find(|client| client.uuid == uuid)
    }

    pub fn listeners(&self) -> Vec<(Service, ConnId)> {
        self.clients.values().filter(|client| client.wants_diffs).map(|c| (c.service, c.conn)).collect()
    }

    /// Answers a request that its client waits on.
    pub fn respond(&mut self, service: Service, conn: ConnId, id: i32, message: &Document) {
        let frame = ClientMessage { id, flags: 0, text: message.to_text() }.encode();
        if let Some(server) = self.servers.get_mut(service.index()) {
            // A client that is gone needs no answer.
            let _ = server.respond(conn, &frame);
        }
    }

    pub fn event(&mut self, service: Service, conn: ConnId, text: &str) {
        let frame = ClientMessage { id: 0, flags: FLAG_SERVER_EVENT, text: text.to_string() }.encode();
        if let Some(server) = self.servers.get_mut(service.index()) {
            let _ = server.event(conn, &frame);
        }
    }

    /// Says only that a request was received, with a status.
    pub fn acknowledge(&mut self, request: &Request, status: i32) {
        if request.wants_response() {
            let mut ack = Document::new("ack");
            let root = ack.root();
            ack.set_attr(root, "function", "dispatch");
            ack.set_attr(root, "status", &status.to_string());
            self.respond(request.service, request.conn, request.id, &ack);
        }
    }
}

fn libc_eacces() -> i32 {
    13
}

/// Numeric id of a user or group in a file of the form `name:x:id:…`.
pub fn id_of(file: &str, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// Name of a user, or its number.
pub fn user_name(uid: u32) -> String {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = text.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
    found.and_then(|line| line.split(':').next()).map_or_else(|| uid.to_string(), str::to_string)
}

fn is_member(uid: u32, group: &str) -> bool {
    let user = user_name(uid);
    let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let line = text.lines().find(|line| line.split(':').next() == Some(group));
    line.and_then(|line| line.split(':').nth(3)).is_some_and(|members| members.split(',').any(|m| m == user))
}
