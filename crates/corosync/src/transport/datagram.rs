//! The sockets of udpu (a copy for each node) and udp (multicast).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};
use sys::socket::Multicast;
use totem::{Destination, Transmit};

use super::{BATCH, BATCH_AFTER_PAUSE, Received, TransportError, tune};
use crate::settings::{Node, Settings, Transport as Kind};

struct Group {
    receiver: UdpSocket,
    sender: UdpSocket,
    address: SocketAddr,
}

/// The sockets and the addresses of the nodes.
pub(crate) struct Sockets {
    unicast: UdpSocket,
    group: Option<Group>,
    own: u32,
    port: u16,
    nodes: BTreeMap<u32, IpAddr>,
    block_unlisted: bool,
    buffer: Vec<u8>,
    send_failures: u32,
}

impl std::fmt::Debug for Sockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sockets").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

impl Sockets {
    /// Opens the sockets.
    ///
    /// # Errors
    /// When an address cannot be bound or the group cannot be joined.
    pub(crate) fn open(settings: &Settings, interface_index: u32) -> Result<Self, TransportError> {
        let local = SocketAddr::new(settings.address, settings.port);
        let unicast = bind(local)?;
        sys::socket::set_receive_errors(&unicast, local.is_ipv6()).map_err(io::Error::from)?;
        let group = match &settings.transport {
            Kind::Udpu | Kind::Knet(_) => None,
            Kind::Udp { group, broadcast, ttl } => {
                let address = SocketAddr::new(*group, settings.port);
                let opened = if *broadcast {
                    open_broadcast(settings, address)
                } else {
                    open_group(settings, address, *ttl, interface_index)
                };
                Some(opened.map_err(|source| TransportError::Group { group: address, source })?)
            }
        };
        let mut transport = Self {
            unicast,
            group,
            own: settings.nodeid,
            port: settings.port,
            nodes: BTreeMap::new(),
            block_unlisted: settings.block_unlisted,
            buffer: vec![0; totem::wire::PACKET_MAX + 1],
            send_failures: 0,
        };
        transport.set_nodes(&settings.nodes, settings.block_unlisted);
        Ok(transport)
    }

    /// Replaces the list of nodes after a reload.
    pub(crate) fn set_nodes(&mut self, nodes: &[Node], block_unlisted: bool) {
        self.nodes = nodes.iter().map(|node| (node.id, node.address)).collect();
        self.block_unlisted = block_unlisted;
    }

    /// Descriptors to poll for reading and errors.
    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let mut fds = vec![self.unicast.as_fd()];
        if let Some(group) = &self.group {
            fds.push(group.receiver.as_fd());
        }
        fds
    }

    /// Failed sends since the last one that worked.
    #[must_use]
    pub(crate) fn send_failures(&self) -> u32 {
        self.send_failures
    }

    /// Sends one packet of the ring.
    pub(crate) fn send(&mut self, transmit: &Transmit, members: &std::collections::BTreeSet<u32>) {
        let bytes = &transmit.bytes;
        if let (Destination::Members | Destination::Everybody, Some(group)) = (transmit.to, &self.group) {
            let result = group.sender.send_to(bytes, group.address);
            self.count(&result);
            return;
        }
        let targets: Vec<IpAddr> = match transmit.to {
            Destination::Node(id) => self.nodes.get(&id).copied().into_iter().collect(),
            Destination::Members => {
                self.others().filter(|(id, _)| members.contains(id)).map(|(_, address)| address).collect()
            }
            Destination::Everybody => self.others().map(|(_, address)| address).collect(),
        };
        for address in targets {
            self.send_to(bytes, address);
        }
    }

    fn others(&self) -> impl Iterator<Item = (u32, IpAddr)> {
        self.nodes.iter().filter(|(id, _)| **id != self.own).map(|(id, address)| (*id, *address))
    }

    fn send_to(&mut self, bytes: &[u8], address: IpAddr) {
        let target = SocketAddr::new(address, self.port);
        let mut result = self.unicast.send_to(bytes, target);
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            // The error of an earlier packet is reported here; this one has not been sent.
            result = self.unicast.send_to(bytes, target);
        }
        self.count(&result);
    }

    fn count(&mut self, result: &io::Result<usize>) {
        match result {
            Ok(_) => self.send_failures = 0,
            Err(_) => self.send_failures = self.send_failures.saturating_add(1),
        }
    }

    /// Takes what has arrived: a bounded number of packets, or all that waited during a pause.
    pub(crate) fn receive(&mut self, everything: bool) -> Received {
        let mut received = Received::default();
        let mut tokens = Vec::new();
        let limit = if everything { BATCH_AFTER_PAUSE } else { BATCH };
        let sockets: Vec<&UdpSocket> =
            core::iter::once(&self.unicast).chain(self.group.as_ref().map(|group| &group.receiver)).collect();
        for socket in sockets {
            for _ in 0..limit {
                let Some((len, from)) = receive_one(socket, &mut self.buffer) else { break };
                let known = self.nodes.values().any(|address| *address == from.ip());
                if (self.block_unlisted && !known) || len > totem::wire::PACKET_MAX {
                    continue;
                }
                let packet = self.buffer.get(..len).unwrap_or_default().to_vec();
                if totem::wire::is_token(&packet) {
                    tokens.push(packet);
                } else {
                    received.packets.push(packet);
                }
            }
        }
        received.packets.append(&mut tokens);
        received.unreachable = self.take_errors();
        received
    }

    fn take_errors(&self) -> Vec<u32> {
        let mut nodes = Vec::new();
        for _ in 0..BATCH {
            let Ok(Some(error)) = sys::socket::next_queued_error(&self.unicast) else { break };
            let refused = error.errno == sys::Errno::CONNREFUSED;
            let Some(destination) = error.destination.filter(|_| refused) else { continue };
            nodes.extend(
                self.nodes.iter().filter(|(_, address)| **address == destination.ip()).map(|(id, _)| *id),
            );
        }
        nodes
    }
}

fn receive_one(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Ok((len, from)) => return Some((len, from)),
            // An interruption, or the error of an earlier send, of which the queue tells more.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused) => {}
            Err(_) => return None,
        }
    }
}

fn bind(address: SocketAddr) -> Result<UdpSocket, TransportError> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into()).map_err(|source| TransportError::Bind { address, source })?;
    tune(&socket);
    Ok(socket.into())
}

fn open_group(settings: &Settings, group: SocketAddr, ttl: u8, interface_index: u32) -> io::Result<Group> {
    let options = Multicast { group, interface: settings.address, interface_index, ttl, loopback: false };
    let receiver = sys::socket::multicast_receiver(&options)?;
    let local = SocketAddr::new(settings.address, settings.port.saturating_sub(1));
    let sender = sys::socket::multicast_sender(local, &options)?;
    tune(&receiver);
    tune(&sender);
    Ok(Group { receiver: receiver.into(), sender: sender.into(), address: group })
}

fn open_broadcast(settings: &Settings, address: SocketAddr) -> io::Result<Group> {
    let receiver = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    receiver.set_nonblocking(true)?;
    receiver.set_reuse_address(true)?;
    receiver.bind(&address.into())?;
    let sender = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    sender.set_nonblocking(true)?;
    sender.set_reuse_address(true)?;
    sender.set_broadcast(true)?;
    sender.bind(&SocketAddr::new(settings.address, settings.port.saturating_sub(1)).into())?;
    tune(&receiver);
    tune(&sender);
    Ok(Group { receiver: receiver.into(), sender: sender.into(), address })
}
