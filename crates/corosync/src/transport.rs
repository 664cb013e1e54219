//! The sockets of the ring: udpu and udp in `datagram`, knet in `knet`.

mod datagram;
mod knet;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use bytes::Bytes;
use engine::{NodeLink, NodeLinks, Value};
use socket2::Socket;
use totem::{Instant, Note, Transmit};

use crate::settings::{Settings, Transport as Kind};
use datagram::Sockets;
use knet::Links;

/// Receive and send buffers, in bytes.
const SOCKET_BUFFER_BYTES: i32 = 8 * 1024 * 1024;
/// SO_PRIORITY "interactive".
const PRIORITY: i32 = 6;
/// Datagrams taken per turn.
const BATCH: usize = 64;
/// Datagrams taken after a pause, when everything that waited is to be seen in one turn.
const BATCH_AFTER_PAUSE: usize = 16_384;

/// Why there is no transport.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("Cannot bind to {address}: {source}. Is another corosync running, or the port taken?")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("Cannot set up multicast group {group}: {source}")]
    Group { group: SocketAddr, source: io::Error },
    #[error("Cannot set up a socket: {0}")]
    Socket(#[from] io::Error),
    #[error("Cannot use the key for encryption: {0}")]
    Key(#[from] ::knet::KeyError),
}

/// What arrived in one turn.
#[derive(Debug, Default)]
pub struct Received {
    /// Packets in the order in which they are to be handled: tokens after everything else.
    pub packets: Vec<Bytes>,
    /// Nodes whose host says that nobody listens there. A node that is named twice is gone for certain.
    pub unreachable: Vec<u32>,
    /// A node that could not be reached before can be.
    pub has_new_way: bool,
}

#[derive(Debug)]
enum Carrier {
    Sockets(Box<Sockets>),
    Links(Box<Links>),
}

/// What carries the packets of the ring.
#[derive(Debug)]
pub struct Transport(Carrier);

impl Transport {
    /// Opens the sockets.
    ///
    /// # Errors
    /// When an address cannot be bound or the group cannot be joined.
    pub fn open(settings: &Settings, interface_index: u32, now: Instant) -> Result<Self, TransportError> {
        Ok(Self(match &settings.transport {
            Kind::Knet(knet) => Carrier::Links(Box::new(Links::open(settings, knet, now)?)),
            _ => Carrier::Sockets(Box::new(Sockets::open(settings, interface_index)?)),
        }))
    }

    /// Takes over nodes, links and keys after a reload. True: there are new keys, which wait for
    /// [`Transport::activate_key`].
    ///
    /// # Errors
    /// A link that cannot be opened; everything else has been taken over.
    pub fn reconfigure(&mut self, settings: &Settings, now: Instant) -> Result<bool, TransportError> {
        match (&mut self.0, &settings.transport) {
            (Carrier::Links(links), Kind::Knet(knet)) => links.reconfigure(settings, knet, now),
            (Carrier::Sockets(sockets), _) => {
                sockets.set_nodes(&settings.nodes, settings.block_unlisted);
                Ok(false)
            }
            // The kind of transport does not change at run time.
            (Carrier::Links(_), _) => Ok(false),
        }
    }

    /// Sends with the new key.
    pub fn activate_key(&mut self, now: Instant) {
        if let Carrier::Links(links) = &mut self.0 {
            links.activate_key(now);
        }
    }

    /// Forgets the old key.
    pub fn forget_old_key(&mut self) {
        if let Carrier::Links(links) = &mut self.0 {
            links.forget_old_key();
        }
    }

    /// Descriptors to poll for reading and errors.
    #[must_use]
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        match &self.0 {
            Carrier::Sockets(sockets) => sockets.fds(),
            Carrier::Links(links) => vec![links.fd()],
        }
    }

    /// Failed sends since the last one that worked.
    #[must_use]
    pub fn send_failures(&self) -> u32 {
        match &self.0 {
            Carrier::Sockets(sockets) => sockets.send_failures(),
            Carrier::Links(links) => links.send_failures(),
        }
    }

    /// Sends one packet of the ring.
    pub fn send(&mut self, now: Instant, transmit: &Transmit, members: &BTreeSet<u32>) {
        match &mut self.0 {
            Carrier::Sockets(sockets) => sockets.send(transmit, members),
            Carrier::Links(links) => links.send(now, transmit),
        }
    }

    /// To be called after the last [`Transport::send`] of a turn.
    pub fn flush(&mut self, now: Instant) {
        match &mut self.0 {
            Carrier::Sockets(sockets) => sockets.flush(),
            Carrier::Links(links) => links.flush(now),
        }
    }

    /// Takes what has arrived: a bounded number of packets, or all that waited during a pause.
    pub fn receive(&mut self, now: Instant, everything: bool) -> Received {
        match &mut self.0 {
            Carrier::Sockets(sockets) => sockets.receive(everything),
            Carrier::Links(links) => links.receive(now, everything),
        }
    }

    /// When [`Transport::handle_timeout`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.0 {
            Carrier::Sockets(_) => None,
            Carrier::Links(links) => links.next_deadline(),
        }
    }

    /// Fires what is due; returns nodes that are unreachable, as in [`Received`].
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<u32> {
        match &mut self.0 {
            Carrier::Sockets(_) => Vec::new(),
            Carrier::Links(links) => links.handle_timeout(now),
        }
    }

    /// Next line for the log.
    pub fn poll_note(&mut self) -> Option<Note> {
        match &mut self.0 {
            Carrier::Sockets(_) => None,
            Carrier::Links(links) => links.poll_note(),
        }
    }

    /// The links to all nodes as clients see them.
    #[must_use]
    pub fn links(&self, settings: &Settings, now: Instant) -> BTreeMap<u32, NodeLinks> {
        match &self.0 {
            Carrier::Sockets(_) => plain_links(settings),
            Carrier::Links(links) => links.status(settings, now),
        }
    }

    /// The statistics of the links start anew.
    pub fn clear_stats(&mut self) {
        if let Carrier::Links(links) = &mut self.0 {
            links.clear_stats();
        }
    }

    /// Adds the statistics of the links (`stats.knet.*`).
    pub fn add_stats(&self, values: &mut BTreeMap<String, Value>, now: Instant) {
        if let Carrier::Links(links) = &self.0 {
            links.add_stats(values, now);
        }
    }
}

/// Without link states the membership tells what is connected.
fn plain_links(settings: &Settings) -> BTreeMap<u32, NodeLinks> {
    let links = settings.nodes.iter().map(|node| {
        let link = NodeLink { address: node.address, source: None, connected: None, mtu: settings.net_mtu };
        (node.id, NodeLinks { reachable: None, links: [(0, link)].into() })
    });
    links.collect()
}

/// Wishes that the system may refuse.
fn tune(socket: &Socket) {
    let _ = sys::socket::set_buffers(socket, SOCKET_BUFFER_BYTES);
    let _ = sys::socket::set_priority(socket, PRIORITY);
}
