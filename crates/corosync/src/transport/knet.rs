//! Knet over UDP: a socket for each local end, the core in between.

mod stats;

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::os::fd::{AsFd as _, BorrowedFd};

use engine::{NodeLink, NodeLinks, Value};
use knet::{Content, Destination, Event, Keys, Knet, SendFailure};
use socket2::{Domain, Protocol, Socket, Type};
use sys::udp::{Datagrams, SEGMENTS_MAX, SEND_BYTES_MAX};
use sys::{Errno, Interest, Poller};
use totem::{Instant, Level, Note, Transmit};

use super::{BATCH, BATCH_AFTER_PAUSE, Received, TransportError, tune};
use crate::settings::{KnetSettings, Settings};

/// How long a full send buffer is waited for, once per batch.
const FULL_WAIT: core::time::Duration = core::time::Duration::from_millis(2);
/// Place of the destination in the header of a Totem packet.
const TARGET: core::ops::Range<usize> = 9..13;
/// MTU that a loop-back reports.
const OWN_MTU: u32 = 65_536;
/// Type of service "interactive" (RFC 1349 low delay), as the reference marks its traffic.
const TOS: u32 = 0x10;

struct End {
    local: SocketAddr,
    socket: UdpSocket,
}

/// All links of this node.
pub(crate) struct Links {
    core: Knet,
    ends: BTreeMap<u8, End>,
    poller: Poller,
    incoming: Datagrams,
    /// The system cuts a train of datagrams itself.
    has_segments: bool,
    own: u32,
    keys: Option<Keys>,
    send_failures: u32,
    unreachable: Vec<u32>,
    has_new_way: bool,
    notes: Vec<Note>,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").field("links", &self.ends.len()).finish_non_exhaustive()
    }
}

impl Links {
    pub(crate) fn open(
        settings: &Settings,
        knet: &KnetSettings,
        now: Instant,
    ) -> Result<Self, TransportError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
        let config = knet.core_config(settings.nodeid, &settings.nodes, settings.block_unlisted);
        let mut core = Knet::new(config, knet.keys.as_ref(), seed, now)?;
        core.set_stopwatch(sys::clock::monotonic_ns);
        let mut links = Self {
            core,
            ends: BTreeMap::new(),
            poller: Poller::new().map_err(io::Error::from)?,
            incoming: Datagrams::default(),
            has_segments: true,
            own: settings.nodeid,
            keys: knet.keys.clone(),
            send_failures: 0,
            unreachable: Vec::new(),
            has_new_way: false,
            notes: Vec::new(),
        };
        links.open_ends(knet)?;
        Ok(links)
    }

    /// Opens and closes sockets until they are those of the settings.
    fn open_ends(&mut self, knet: &KnetSettings) -> Result<(), TransportError> {
        self.ends.retain(|number, end| knet.links.get(number).is_some_and(|link| link.local == end.local));
        for (number, link) in &knet.links {
            if self.ends.contains_key(number) {
                continue;
            }
            let end = End { local: link.local, socket: bind(link.local)? };
            self.poller.add(&end.socket, u64::from(*number), Interest::READ).map_err(io::Error::from)?;
            let text = format!(
                "Configured link number {number}: local addr: {}, port={}",
                link.local.ip(),
                link.local.port()
            );
            self.notes.push(Note { level: Level::Info, text });
            self.ends.insert(*number, end);
        }
        Ok(())
    }

    pub(crate) fn reconfigure(
        &mut self,
        settings: &Settings,
        knet: &KnetSettings,
        now: Instant,
    ) -> Result<bool, TransportError> {
        let has_new_key = knet.keys != self.keys;
        if has_new_key {
            self.core.prepare_key(knet.keys.as_ref())?;
            self.keys.clone_from(&knet.keys);
        }
        self.core
            .reconfigure(now, knet.core_config(settings.nodeid, &settings.nodes, settings.block_unlisted));
        let opened = self.open_ends(knet);
        self.flush(now);
        opened.map(|()| has_new_key)
    }

    pub(crate) fn activate_key(&mut self, now: Instant) {
        self.core.activate_key(now);
        self.flush(now);
    }

    pub(crate) fn forget_old_key(&mut self) {
        self.core.forget_old_key();
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    pub(crate) fn send_failures(&self) -> u32 {
        self.send_failures
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    pub(crate) fn poll_note(&mut self) -> Option<Note> {
        if self.notes.is_empty() { self.core.poll_note() } else { Some(self.notes.remove(0)) }
    }

    // ---- sending

    /// Takes one packet of the ring; it leaves with [`Links::flush`], in order. Members and everybody are the same here: the reference sends to all hosts that it reaches, too.
    pub(crate) fn send(&mut self, now: Instant, transmit: &Transmit) {
        // Without a way there is nobody who could miss the packet.
        let _ = match transmit.to {
            totem::Destination::Node(id) => {
                let mut bytes = transmit.bytes.to_vec();
                if let Some(target) = bytes.get_mut(TARGET) {
                    target.copy_from_slice(&id.to_ne_bytes());
                }
                let host = u16::try_from(id).unwrap_or(0);
                self.core.send(now, Destination::Host(host), &bytes)
            }
            totem::Destination::Members | totem::Destination::Everybody => {
                self.core.send(now, Destination::Everybody, &transmit.bytes)
            }
        };
    }

    /// Hands what the core wants to send to the system, in batches for each socket. What fails may make new
    /// probes; that search is bounded.
    pub(crate) fn flush(&mut self, now: Instant) {
        let mut held = None;
        loop {
            let mut run: Vec<knet::Transmit> = Vec::new();
            while let Some(next) = held.take().or_else(|| self.core.poll_transmit()) {
                let fits = run.first().is_none_or(|first| {
                    first.link == next.link && first.content == next.content && run.len() < BATCH
                });
                if !fits {
                    held = Some(next);
                    break;
                }
                run.push(next);
            }
            if run.is_empty() {
                return;
            }
            self.send_run(now, &run);
        }
    }

    fn send_run(&mut self, now: Instant, run: &[knet::Transmit]) {
        let Some(first) = run.first() else { return };
        let mut rest = run;
        let mut may_wait = true;
        while let Some(next) = rest.first() {
            let Some(end) = self.ends.get(&first.link) else { return };
            let train = if self.has_segments { train_length(rest) } else { 1 };
            let outcome = if train > 1 {
                let parts: Vec<IoSlice<'_>> =
                    rest.iter().take(train).map(|t| IoSlice::new(&t.bytes)).collect();
                let size = u16::try_from(next.bytes.len()).unwrap_or(u16::MAX);
                sys::udp::send_segments(&end.socket, next.to, size, &parts).map(|()| train)
            } else {
                let singles = (1..rest.len())
                    .find(|at| self.has_segments && train_length(rest.get(*at..).unwrap_or_default()) > 1)
                    .unwrap_or(rest.len());
                let list: Vec<(SocketAddr, &[u8])> = rest
                    .iter()
                    .take(singles)
                    .map(|transmit| (transmit.to, transmit.bytes.as_ref()))
                    .collect();
                sys::socket::send_batch(&end.socket, &list)
            };
            let mut error = match outcome {
                Ok(sent) => {
                    self.send_failures = 0;
                    rest = rest.get(sent.max(1)..).unwrap_or_default();
                    continue;
                }
                Err(error) => error,
            };
            if train > 1 && error != Errno::AGAIN && error != Errno::NOBUFS {
                // Alone it tells what is wrong: with this path, or with trains.
                match sys::socket::send_batch(&end.socket, &[(next.to, next.bytes.as_ref())]) {
                    Ok(_) => {
                        self.has_segments = error == Errno::CONNREFUSED;
                        rest = rest.get(1..).unwrap_or_default();
                        continue;
                    }
                    Err(alone) => error = alone,
                }
            }
            if (error == Errno::AGAIN || error == Errno::NOBUFS) && may_wait {
                may_wait = false;
                let _ = sys::poll::wait_one(&end.socket, Interest::WRITE, Some(FULL_WAIT));
                continue;
            }
            if matches!(error, Errno::INTR) {
                continue;
            }
            let failure = self.judge(now, first.link, error);
            self.core.handle_send_failure(now, next.host, next.link, next.content, failure);
            if error != Errno::MSGSIZE && error != Errno::CONNREFUSED {
                self.send_failures = self.send_failures.saturating_add(1);
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }

    /// What the failure of a send means. The system tells the MTU in the error queue.
    fn judge(&mut self, now: Instant, link: u8, error: Errno) -> SendFailure {
        match error {
            Errno::MSGSIZE => SendFailure::TooBig(self.take_errors(now, link)),
            // The error of an earlier datagram, of which the queue tells more.
            Errno::CONNREFUSED => {
                self.take_errors(now, link);
                SendFailure::Other
            }
            _ => SendFailure::Other,
        }
    }

    /// Empties the error queue of a link. Returns the MTU of the interface, if a datagram was larger, else 0.
    fn take_errors(&mut self, now: Instant, link: u8) -> usize {
        let mut mtu = 0;
        for _ in 0..BATCH {
            let Some(end) = self.ends.get(&link) else { break };
            let Ok(Some(error)) = sys::socket::next_queued_error(&end.socket) else { break };
            if error.errno == Errno::MSGSIZE {
                mtu = usize::try_from(error.info).unwrap_or(0);
                continue;
            }
            let refused = [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::NETUNREACH, Errno::HOSTDOWN];
            let Some(to) = error.destination.filter(|_| refused.contains(&error.errno)) else { continue };
            let host =
                self.core.links(now).into_iter().find(|status| status.link == link && status.peer == to);
            if let Some(status) = host {
                let content = Content::Beat;
                self.core.handle_send_failure(now, status.host, link, content, SendFailure::Refused);
            }
        }
        mtu
    }

    // ---- receiving

    pub(crate) fn receive(&mut self, now: Instant, everything: bool) -> Received {
        let limit = if everything { BATCH_AFTER_PAUSE } else { BATCH };
        let numbers: Vec<u8> = self.ends.keys().copied().collect();
        for number in numbers {
            self.receive_from(now, number, limit);
        }
        self.flush(now);
        let unreachable = self.take_events();
        let has_new_way = core::mem::take(&mut self.has_new_way);
        let mut received = Received { unreachable, has_new_way, packets: Vec::new() };
        let mut tokens = Vec::new();
        while let Some(delivery) = self.core.poll_deliver() {
            if !is_for(&delivery.bytes, self.own) {
                continue;
            }
            if totem::wire::is_token(&delivery.bytes) {
                tokens.push(delivery.bytes.into());
            } else {
                received.packets.push(delivery.bytes.into());
            }
        }
        received.packets.append(&mut tokens);
        received
    }

    fn receive_from(&mut self, now: Instant, number: u8, limit: usize) {
        let mut taken = 0;
        while taken < limit {
            let Some(end) = self.ends.get(&number) else { return };
            match self.incoming.receive(&end.socket) {
                Ok(()) => {
                    for (bytes, from) in self.incoming.iter() {
                        self.core.handle_datagram(now, from, bytes);
                        taken += 1;
                    }
                    if !self.incoming.may_have_more() {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        self.take_errors(now, number);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<u32> {
        self.core.handle_timeout(now);
        self.flush(now);
        self.take_events()
    }

    fn take_events(&mut self) -> Vec<u32> {
        while let Some(event) = self.core.poll_event() {
            match event {
                // The core has asked twice itself.
                Event::HostRefuses(host) => self.unreachable.extend([u32::from(host); 2]),
                Event::HostReachable(_) => self.has_new_way = true,
                Event::LinkUp { .. } | Event::LinkDown { .. } | Event::HostUnreachable(_) => {}
            }
        }
        core::mem::take(&mut self.unreachable)
    }

    // ---- what others see

    pub(crate) fn status(&self, settings: &Settings, now: Instant) -> BTreeMap<u32, NodeLinks> {
        let mut nodes = BTreeMap::new();
        for status in self.core.links(now) {
            let Some(end) = self.ends.get(&status.link) else { continue };
            let node: &mut NodeLinks = nodes.entry(u32::from(status.host)).or_default();
            node.reachable = Some(self.core.is_reachable(status.host));
            let link = NodeLink {
                address: status.peer.ip(),
                source: Some(end.local.ip()),
                connected: Some(status.connected),
                mtu: status.mtu,
            };
            node.links.insert(status.link, link);
        }
        let own = settings.nodes.iter().find(|node| node.id == self.own);
        let own_links = own.iter().flat_map(|node| &node.links).map(|(number, address)| {
            let link =
                NodeLink { address: *address, source: Some(*address), connected: Some(true), mtu: OWN_MTU };
            (*number, link)
        });
        nodes.insert(self.own, NodeLinks { reachable: Some(true), links: own_links.collect() });
        nodes
    }

    pub(crate) fn clear_stats(&mut self) {
        self.core.clear_stats();
    }

    pub(crate) fn add_stats(&self, values: &mut BTreeMap<String, Value>, now: Instant) {
        stats::add(&self.core, self.own, values, now);
    }
}

/// How many of the first datagrams the system can be given as one: to the same address, of the same size, the
/// last one possibly shorter.
fn train_length(run: &[knet::Transmit]) -> usize {
    let Some(first) = run.first() else { return 0 };
    let size = first.bytes.len();
    let most = SEGMENTS_MAX.min(SEND_BYTES_MAX / size.max(1)).max(1);
    let same =
        run.iter().take(most).take_while(|next| next.to == first.to && next.bytes.len() == size).count();
    let has_tail =
        same < most && run.get(same).is_some_and(|next| next.to == first.to && next.bytes.len() < size);
    same + usize::from(has_tail)
}

/// True unless a Totem packet names another node as its destination.
fn is_for(packet: &[u8], own: u32) -> bool {
    let Some(target) = packet.get(TARGET).and_then(|bytes| bytes.first_chunk::<4>()) else { return true };
    let target = match packet.first() {
        Some(0x70) => u32::from_le_bytes(*target),
        _ => u32::from_be_bytes(*target),
    };
    target == 0 || target == own
}

fn bind(local: SocketAddr) -> Result<UdpSocket, TransportError> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    tune(&socket);
    let ipv6 = local.is_ipv6();
    if ipv6 {
        let _ = socket.set_tclass_v6(TOS);
        socket.set_only_v6(true)?;
    } else {
        let _ = socket.set_tos_v4(TOS);
    }
    sys::socket::set_mtu_probing(&socket, ipv6).map_err(io::Error::from)?;
    sys::socket::set_receive_errors(&socket, ipv6).map_err(io::Error::from)?;
    // A wish: without it datagrams come one by one.
    let _ = sys::udp::set_coalescing(&socket);
    // A link whose interface is not there yet is a link that is down, not a reason to stay away.
    let _ = sys::socket::set_free_bind(&socket, ipv6);
    socket.bind(&local.into()).map_err(|source| TransportError::Bind { address: local, source })?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_for_others_are_told_by_their_target() {
        let mut packet = vec![0x70, 0xc0, 3, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0];
        assert!(is_for(&packet, 2));
        assert!(!is_for(&packet, 3));
        packet[9] = 0;
        assert!(is_for(&packet, 3));
        assert!(is_for(&[0xc0, 0x70, 3, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2], 2));
        assert!(is_for(&[1, 2, 3], 2));
    }
}
