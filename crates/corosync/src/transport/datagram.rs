//! The sockets of udpu (a copy for each node) and udp (multicast).

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use sys::socket::Multicast;
use sys::udp::{Datagrams, SEGMENTS_MAX, SEND_BYTES_MAX};
use totem::{Destination, Transmit};

use super::{BATCH, BATCH_AFTER_PAUSE, Received, TransportError, tune};
use crate::settings::{Node, Settings, Transport as Kind};

/// Largest datagram that is not cut into IP fragments on an ordinary network.
const SEGMENT_BYTES_MAX: usize = 1472;

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
    /// Packets of this turn for each address, in order.
    outgoing: BTreeMap<SocketAddr, Vec<Bytes>>,
    /// The kernel cuts one large send into datagrams.
    segments: bool,
    incoming: Datagrams,
    /// A send or a receive was told of an error that the error queue knows more about.
    has_errors: bool,
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
            outgoing: BTreeMap::new(),
            segments: true,
            incoming: Datagrams::default(),
            has_errors: false,
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

    /// Takes one packet of the ring; it leaves with [`Sockets::flush`]. Multicasts leave before a token.
    pub(crate) fn send(&mut self, transmit: &Transmit, members: &std::collections::BTreeSet<u32>) {
        let to_all = matches!(transmit.to, Destination::Members | Destination::Everybody);
        let targets: Vec<SocketAddr> = match (&self.group, transmit.to) {
            (Some(group), _) if to_all => vec![group.address],
            (_, Destination::Node(id)) => self.nodes.get(&id).map(|ip| self.at(*ip)).into_iter().collect(),
            (_, Destination::Members) => {
                self.others().filter(|(id, _)| members.contains(id)).map(|(_, ip)| self.at(ip)).collect()
            }
            (_, Destination::Everybody) => self.others().map(|(_, ip)| self.at(ip)).collect(),
        };
        for target in targets {
            self.outgoing.entry(target).or_default().push(transmit.bytes.clone());
        }
    }

    fn at(&self, ip: IpAddr) -> SocketAddr {
        SocketAddr::new(ip, self.port)
    }

    fn others(&self) -> impl Iterator<Item = (u32, IpAddr)> {
        self.nodes.iter().filter(|(id, _)| **id != self.own).map(|(id, address)| (*id, *address))
    }

    /// Sends what was taken. Whoever gets the token gets it last of all: the others must have the
    /// messages before they get a token that counts them.
    pub(crate) fn flush(&mut self) {
        let has_token = |packets: &[Bytes]| packets.iter().any(|packet| totem::wire::is_token(packet));
        let group = self.group.as_ref().map(|group| group.address);
        let mut batches: Vec<(SocketAddr, Vec<Bytes>)> =
            core::mem::take(&mut self.outgoing).into_iter().collect();
        batches.sort_by_key(|(to, packets)| (Some(*to) != group, has_token(packets)));
        for (to, packets) in batches {
            self.send_all(to, &packets);
        }
    }

    fn send_all(&mut self, to: SocketAddr, packets: &[Bytes]) {
        let mut rest = packets;
        while let Some(first) = rest.first() {
            let run = if self.segments { run_length(rest) } else { 1 };
            let (now, later) = rest.split_at(run);
            if run > 1 {
                let parts: Vec<IoSlice<'_>> = now.iter().map(|packet| IoSlice::new(packet)).collect();
                let size = u16::try_from(first.len()).unwrap_or(u16::MAX);
                let socket = self.socket_for(to);
                let mut result = sys::udp::send_segments(socket, to, size, &parts);
                if result == Err(sys::Errno::CONNREFUSED) {
                    // The error of an earlier packet is reported here; these have not been sent.
                    self.has_errors = true;
                    result = sys::udp::send_segments(self.socket_for(to), to, size, &parts);
                }
                match result {
                    Ok(()) => self.send_failures = 0,
                    Err(errno) => {
                        use sys::Errno;
                        // Not on this path: one by one from now on.
                        let never = [Errno::IO, Errno::INVAL, Errno::MSGSIZE, Errno::NOPROTOOPT];
                        self.segments &= !never.contains(&errno);
                        now.iter().for_each(|packet| self.send_one(to, packet));
                    }
                }
            } else {
                self.send_one(to, first);
            }
            rest = later;
        }
    }

    fn socket_for(&self, to: SocketAddr) -> &UdpSocket {
        match &self.group {
            Some(group) if group.address == to => &group.sender,
            _ => &self.unicast,
        }
    }

    fn send_one(&mut self, to: SocketAddr, bytes: &[u8]) {
        let mut result = self.socket_for(to).send_to(bytes, to);
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            self.has_errors = true;
            result = self.socket_for(to).send_to(bytes, to);
        }
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
        let Self { unicast, group, incoming, nodes, has_errors, block_unlisted, .. } = self;
        for socket in core::iter::once(&*unicast).chain(group.as_ref().map(|group| &group.receiver)) {
            let mut taken = 0;
            while taken < limit {
                match incoming.receive(socket) {
                    Ok(()) => {}
                    Err(sys::Errno::INTR) => continue,
                    // The error of an earlier send, of which the queue tells more.
                    Err(sys::Errno::CONNREFUSED) => {
                        *has_errors = true;
                        continue;
                    }
                    Err(_) => break,
                }
                for (packet, from) in incoming.iter() {
                    taken += 1;
                    let known = nodes.values().any(|address| *address == from.ip());
                    if (*block_unlisted && !known) || packet.len() > totem::wire::PACKET_MAX {
                        continue;
                    }
                    let list =
                        if totem::wire::is_token(packet) { &mut tokens } else { &mut received.packets };
                    list.push(Bytes::copy_from_slice(packet));
                }
                if !incoming.may_have_more() {
                    break;
                }
            }
        }
        received.packets.append(&mut tokens);
        if received.packets.is_empty() || self.has_errors {
            self.has_errors = false;
            received.unreachable = self.take_errors();
        }
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

/// How many packets from the first one on may leave with one call: all as long as the first, the last
/// one perhaps shorter.
fn run_length(packets: &[Bytes]) -> usize {
    let Some(size) = packets.first().map(|first| first.len()) else { return 0 };
    if size > SEGMENT_BYTES_MAX {
        return 1;
    }
    let most = SEGMENTS_MAX.min(SEND_BYTES_MAX / size.max(1));
    let same = packets.iter().take(most).take_while(|packet| packet.len() == size).count();
    let has_tail = same < most && packets.get(same).is_some_and(|packet| packet.len() < size);
    same + usize::from(has_tail)
}

fn bind(address: SocketAddr) -> Result<UdpSocket, TransportError> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into()).map_err(|source| TransportError::Bind { address, source })?;
    tune(&socket);
    coalesce(&socket);
    Ok(socket.into())
}

/// Older kernels deliver each datagram by itself.
fn coalesce(socket: &Socket) {
    let _ = sys::udp::set_coalescing(socket);
}

fn open_group(settings: &Settings, group: SocketAddr, ttl: u8, interface_index: u32) -> io::Result<Group> {
    let options = Multicast { group, interface: settings.address, interface_index, ttl, loopback: false };
    let receiver = sys::socket::multicast_receiver(&options)?;
    let local = SocketAddr::new(settings.address, settings.port.saturating_sub(1));
    let sender = sys::socket::multicast_sender(local, &options)?;
    tune(&receiver);
    coalesce(&receiver);
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
    coalesce(&receiver);
    tune(&sender);
    Ok(Group { receiver: receiver.into(), sender: sender.into(), address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_with_the_first_shorter_packet() {
        let packets =
            |sizes: &[usize]| -> Vec<Bytes> { sizes.iter().map(|size| vec![0u8; *size].into()).collect() };
        assert_eq!(run_length(&packets(&[1455, 1455, 900, 1455])), 3);
        assert_eq!(run_length(&packets(&[57, 1455])), 1);
        assert_eq!(run_length(&packets(&[1455; 80])), 44);
        assert_eq!(run_length(&packets(&[1500, 1500])), 1);
        assert_eq!(run_length(&[]), 0);
    }
}
