//! Links, addresses, routes and neighbours of the network namespace that the calling thread is in.

use crate::netlink::{Attributes, Message, Reply, Socket, u16_at, u32_at};
use crate::{Errno, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

const LINK_BYTES: usize = 16;
const ADDRESS_BYTES: usize = 8;
const ROUTE_BYTES: usize = 12;
const NEIGHBOUR_BYTES: usize = 12;
const CREATE: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL | libc::NLM_F_ACK;
const DUMP: i32 = libc::NLM_F_DUMP;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;
const BRIDGE_PORT_STATE: u16 = 1;
const PORT_DISABLED: u8 = 0;
const PORT_FORWARDING: u8 = 3;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// IFF_* bits.
    pub flags: u32,
    /// Hardware address; empty where there is none.
    pub mac: Vec<u8>,
    pub mtu: u32,
}

impl Link {
    pub fn is_up(&self) -> bool {
        self.flags & libc::IFF_UP as u32 != 0
    }

    /// Up, and the cable carries.
    pub fn is_running(&self) -> bool {
        self.is_up() && self.flags & libc::IFF_RUNNING as u32 != 0
    }

    pub fn is_loopback(&self) -> bool {
        self.flags & libc::IFF_LOOPBACK as u32 != 0
    }
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index of the interface.
    pub index: u32,
    pub ip: IpAddr,
    pub prefix: u8,
    pub broadcast: Option<Ipv4Addr>,
    /// IPv4 only; empty if none.
    pub label: String,
    /// IFA_F_* bits.
    pub flags: u32,
}

/// How to add an address.
#[derive(Clone, Debug, Default)]
pub struct AddressOptions {
    pub broadcast: Option<Ipv4Addr>,
    pub label: Option<String>,
    /// IFA_F_* bits, for instance no duplicate address detection.
    pub flags: u32,
    /// Preferred lifetime in seconds; `None` for ever. 0 makes it deprecated: never used as source by choice.
    pub preferred_s: Option<u32>,
    /// Do not add the subnet's route.
    pub no_prefix_route: bool,
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `None` with prefix 0: the default route.
    pub destination: Option<IpAddr>,
    pub prefix: u8,
    pub gateway: Option<IpAddr>,
    pub index: u32,
    pub ipv6: bool,
    /// RTN_*: 1 is unicast.
    pub kind: u8,
    pub table: u32,
    pub metric: u32,
}

/// An entry of the neighbour (ARP) table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub index: u32,
    pub ip: IpAddr,
    pub mac: Vec<u8>,
    /// NUD_* bits.
    pub state: u16,
}

/// Something changed in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    AddressAdded(Address),
    AddressRemoved(Address),
    /// State or name of a link changed.
    Link(Link),
    LinkRemoved(Link),
    /// Notifications were lost: look at everything again.
    Lost,
}

/// Asks and changes.
#[derive(Debug)]
pub struct Rtnl(Socket);

impl Rtnl {
    pub fn open() -> Result<Rtnl> {
        Ok(Rtnl(Socket::open(libc::NETLINK_ROUTE, 0)?))
    }

    pub fn links(&mut self) -> Result<Vec<Link>> {
        let replies = self.0.request(Message::new(libc::RTM_GETLINK, DUMP, &[0; LINK_BYTES]))?;
        Ok(replies.iter().filter_map(parse_link).collect())
    }

    /// `NODEV` if there is no interface of this name.
    pub fn link(&mut self, name: &str) -> Result<Link> {
        self.links()?.into_iter().find(|l| l.name == name).ok_or(Errno::NODEV)
    }

    fn change_link(
        &mut self,
        index: u32,
        flags: u32,
        mask: u32,
        build: impl FnOnce(Message) -> Message,
    ) -> Result<()> {
        let body = link_body(index, flags, mask);
        self.0.request(build(Message::new(libc::RTM_NEWLINK, libc::NLM_F_ACK, &body))).map(drop)
    }

    pub fn set_up(&mut self, index: u32, up: bool) -> Result<()> {
        let bit = libc::IFF_UP as u32;
        self.change_link(index, if up { bit } else { 0 }, bit, |m| m)
    }

    /// Puts a link under a bridge.
    pub fn set_master(&mut self, index: u32, master: u32) -> Result<()> {
        self.change_link(index, 0, 0, |m| m.attribute(libc::IFLA_MASTER, &master.to_ne_bytes()))
    }

    pub fn set_mac(&mut self, index: u32, mac: [u8; 6]) -> Result<()> {
        self.change_link(index, 0, 0, |m| m.attribute(libc::IFLA_ADDRESS, &mac))
    }

    /// Has a bridge forward frames of a port or none at all. Takes effect at once; the link itself stays up.
    pub fn set_port_forwarding(&mut self, index: u32, forward: bool) -> Result<()> {
        let mut body = link_body(index, 0, 0);
        body[0] = libc::AF_BRIDGE as u8;
        let state = if forward { PORT_FORWARDING } else { PORT_DISABLED };
        let message = Message::new(libc::RTM_SETLINK, libc::NLM_F_ACK, &body)
            .nested(libc::IFLA_PROTINFO, |m| m.attribute(BRIDGE_PORT_STATE, &[state]));
        self.0.request(message).map(drop)
    }

    pub fn delete_link(&mut self, index: u32) -> Result<()> {
        let body = link_body(index, 0, 0);
        self.0.request(Message::new(libc::RTM_DELLINK, libc::NLM_F_ACK, &body)).map(drop)
    }

    pub fn add_bridge(&mut self, name: &str) -> Result<()> {
        let message = Message::new(libc::RTM_NEWLINK, CREATE, &[0; LINK_BYTES])
            .string(libc::IFLA_IFNAME, name)
            .nested(libc::IFLA_LINKINFO, |m| m.string(INFO_KIND, "bridge"));
        self.0.request(message).map(drop)
    }

    /// Makes a cable: `name` here, `peer` with `peer_mac` in another network namespace.
    pub fn add_veth(
        &mut self,
        name: &str,
        peer: &str,
        peer_mac: [u8; 6],
        namespace: impl AsFd,
    ) -> Result<()> {
        let fd = namespace.as_fd().as_raw_fd();
        let message = Message::new(libc::RTM_NEWLINK, CREATE, &[0; LINK_BYTES])
            .string(libc::IFLA_IFNAME, name)
            .nested(libc::IFLA_LINKINFO, |m| {
                m.string(INFO_KIND, "veth").nested(INFO_DATA, |m| {
                    m.nested(VETH_PEER, |m| {
                        m.raw(&[0; LINK_BYTES])
                            .string(libc::IFLA_IFNAME, peer)
                            .attribute(libc::IFLA_ADDRESS, &peer_mac)
                            .attribute(libc::IFLA_NET_NS_FD, &fd.to_ne_bytes())
                    })
                })
            });
        self.0.request(message).map(drop)
    }

    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        let replies = self.0.request(Message::new(libc::RTM_GETADDR, DUMP, &[0; ADDRESS_BYTES]))?;
        Ok(replies.iter().filter_map(parse_address).collect())
    }

    /// `EXIST` if it is there already.
    pub fn add_address(
        &mut self,
        index: u32,
        ip: IpAddr,
        prefix: u8,
        options: &AddressOptions,
    ) -> Result<()> {
        let (family, bytes) = family_and_bytes(ip);
        let mut flags = options.flags;
        if options.no_prefix_route {
            flags |= libc::IFA_F_NOPREFIXROUTE;
        }
        let mut message = Message::new(libc::RTM_NEWADDR, CREATE, &address_body(family, prefix, index))
            .attribute(libc::IFA_LOCAL, &bytes)
            .attribute(libc::IFA_ADDRESS, &bytes)
            .attribute(libc::IFA_FLAGS, &flags.to_ne_bytes());
        if let Some(broadcast) = options.broadcast {
            message = message.attribute(libc::IFA_BROADCAST, &broadcast.octets());
        }
        if let Some(label) = &options.label {
            message = message.string(libc::IFA_LABEL, label);
        }
        if let Some(preferred) = options.preferred_s {
            // struct ifa_cacheinfo: preferred, valid, two time stamps.
            let mut info = [0u8; 16];
            info[..4].copy_from_slice(&preferred.to_ne_bytes());
            info[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
            message = message.attribute(libc::IFA_CACHEINFO, &info);
        }
        self.0.request(message).map(drop)
    }

    /// `ADDRNOTAVAIL` if it is not there.
    pub fn delete_address(&mut self, index: u32, ip: IpAddr, prefix: u8) -> Result<()> {
        let (family, bytes) = family_and_bytes(ip);
        let message = Message::new(libc::RTM_DELADDR, libc::NLM_F_ACK, &address_body(family, prefix, index))
            .attribute(libc::IFA_LOCAL, &bytes)
            .attribute(libc::IFA_ADDRESS, &bytes);
        self.0.request(message).map(drop)
    }

    /// Unicast routes of the main table.
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        let replies = self.0.request(Message::new(libc::RTM_GETROUTE, DUMP, &[0; ROUTE_BYTES]))?;
        let main = u32::from(libc::RT_TABLE_MAIN);
        Ok(replies
            .iter()
            .filter_map(parse_route)
            .filter(|r| r.table == main && r.kind == libc::RTN_UNICAST)
            .collect())
    }

    /// Adds a default route.
    pub fn add_default_route(&mut self, gateway: Ipv4Addr) -> Result<()> {
        let body = [libc::AF_INET as u8, 0, 0, 0, libc::RT_TABLE_MAIN, 4, 0, libc::RTN_UNICAST, 0, 0, 0, 0];
        let message =
            Message::new(libc::RTM_NEWROUTE, CREATE, &body).attribute(libc::RTA_GATEWAY, &gateway.octets());
        self.0.request(message).map(drop)
    }

    pub fn neighbours(&mut self) -> Result<Vec<Neighbour>> {
        let replies = self.0.request(Message::new(libc::RTM_GETNEIGH, DUMP, &[0; NEIGHBOUR_BYTES]))?;
        Ok(replies.iter().filter_map(parse_neighbour).collect())
    }
}

/// Follows changes of addresses and links.
#[derive(Debug)]
pub struct Watcher(Socket);

impl Watcher {
    pub fn open() -> Result<Watcher> {
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        Ok(Watcher(Socket::open(libc::NETLINK_ROUTE, groups as u32)?))
    }

    /// Changes since the last call, in order; empty if there are none.
    pub fn changes(&mut self) -> Result<Vec<Change>> {
        let replies = match self.0.receive() {
            Ok(replies) => replies,
            Err(Errno::NOBUFS) => return Ok(vec![Change::Lost]),
            Err(e) => return Err(e),
        };
        Ok(replies.iter().filter_map(parse_change).collect())
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn parse_change(reply: &Reply) -> Option<Change> {
    match reply.kind {
        libc::RTM_NEWADDR => parse_address(reply).map(Change::AddressAdded),
        libc::RTM_DELADDR => parse_address(reply).map(Change::AddressRemoved),
        libc::RTM_NEWLINK => parse_link(reply).map(Change::Link),
        libc::RTM_DELLINK => parse_link(reply).map(Change::LinkRemoved),
        _ => None,
    }
}

fn family_and_bytes(ip: IpAddr) -> (u8, Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => (libc::AF_INET as u8, ip.octets().to_vec()),
        IpAddr::V6(ip) => (libc::AF_INET6 as u8, ip.octets().to_vec()),
    }
}

fn ip_from(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

fn link_body(index: u32, flags: u32, mask: u32) -> [u8; LINK_BYTES] {
    let mut body = [0; LINK_BYTES];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&mask.to_ne_bytes());
    body
}

fn address_body(family: u8, prefix: u8, index: u32) -> [u8; ADDRESS_BYTES] {
    let mut body = [0; ADDRESS_BYTES];
    body[0] = family;
    body[1] = prefix;
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body
}

fn parse_link(reply: &Reply) -> Option<Link> {
    let fixed = reply.fixed(LINK_BYTES)?;
    let mut link = Link {
        index: u32_at(fixed, 4)?,
        flags: u32_at(fixed, 8)?,
        name: String::new(),
        mac: Vec::new(),
        mtu: 0,
    };
    for (kind, value) in reply.attributes(LINK_BYTES) {
        match kind {
            libc::IFLA_IFNAME => link.name = text(value),
            libc::IFLA_ADDRESS => link.mac = value.to_vec(),
            libc::IFLA_MTU => link.mtu = u32_at(value, 0)?,
            _ => {}
        }
    }
    Some(link)
}

fn parse_address(reply: &Reply) -> Option<Address> {
    let fixed = reply.fixed(ADDRESS_BYTES)?;
    let attributes: Attributes<'_> = reply.attributes(ADDRESS_BYTES);
    let local =
        attributes.clone().find(libc::IFA_LOCAL).or_else(|| attributes.clone().find(libc::IFA_ADDRESS))?;
    Some(Address {
        index: u32_at(fixed, 4)?,
        ip: ip_from(local)?,
        prefix: *fixed.get(1)?,
        broadcast: attributes.clone().find(libc::IFA_BROADCAST).and_then(ip_from).and_then(|ip| match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }),
        label: attributes.clone().find(libc::IFA_LABEL).map(text).unwrap_or_default(),
        flags: attributes
            .find(libc::IFA_FLAGS)
            .and_then(|f| u32_at(f, 0))
            .unwrap_or(u32::from(*fixed.get(2)?)),
    })
}

fn parse_route(reply: &Reply) -> Option<Route> {
    let fixed = reply.fixed(ROUTE_BYTES)?;
    let attributes = reply.attributes(ROUTE_BYTES);
    let table = attributes.clone().find(libc::RTA_TABLE).and_then(|t| u32_at(t, 0));
    Some(Route {
        destination: attributes.clone().find(libc::RTA_DST).and_then(ip_from),
        prefix: *fixed.get(1)?,
        gateway: attributes.clone().find(libc::RTA_GATEWAY).and_then(ip_from),
        index: attributes.clone().find(libc::RTA_OIF).and_then(|i| u32_at(i, 0))?,
        ipv6: i32::from(*fixed.first()?) == libc::AF_INET6,
        kind: *fixed.get(7)?,
        table: table.unwrap_or(u32::from(*fixed.get(4)?)),
        metric: attributes.find(libc::RTA_PRIORITY).and_then(|m| u32_at(m, 0)).unwrap_or(0),
    })
}

fn parse_neighbour(reply: &Reply) -> Option<Neighbour> {
    let fixed = reply.fixed(NEIGHBOUR_BYTES)?;
    let attributes = reply.attributes(NEIGHBOUR_BYTES);
    Some(Neighbour {
        index: u32_at(fixed, 4)?,
        ip: attributes.clone().find(libc::NDA_DST).and_then(ip_from)?,
        mac: attributes.find(libc::NDA_LLADDR).unwrap_or_default().to_vec(),
        state: u16_at(fixed, 8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{Kinds, unshare};
    use crate::poll::{Interest, wait_one};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn loopback_is_listed() {
        let mut rtnl = Rtnl::open().unwrap();
        let lo = rtnl.link("lo").unwrap();
        assert!(lo.is_loopback());
        assert!(matches!(rtnl.link("no-such-link"), Err(Errno::NODEV)));
    }

    #[test]
    fn addresses_come_and_go_and_are_watched() {
        // A thread of its own: its network namespace ends with it.
        std::thread::spawn(|| {
            if unshare(Kinds::NET).is_err() {
                println!("LEFT OUT: no right to make a network namespace");
                return;
            }
            let mut rtnl = Rtnl::open().unwrap();
            let lo = rtnl.link("lo").unwrap();
            rtnl.set_up(lo.index, true).unwrap();
            rtnl.add_bridge("br0").unwrap();
            let bridge = rtnl.link("br0").unwrap();
            rtnl.set_up(bridge.index, true).unwrap();
            let mut watcher = Watcher::open().unwrap();
            let ip: IpAddr = "172.31.0.100".parse().unwrap();
            let options = AddressOptions {
                broadcast: Some(Ipv4Addr::new(172, 31, 255, 255)),
                ..AddressOptions::default()
            };
            rtnl.add_address(bridge.index, ip, 16, &options).unwrap();
            assert_eq!(rtnl.add_address(bridge.index, ip, 16, &options), Err(Errno::EXIST));
            let listed = rtnl.addresses().unwrap();
            let found = listed.iter().find(|a| a.ip == ip).unwrap();
            assert_eq!((found.index, found.prefix, found.broadcast), (bridge.index, 16, options.broadcast));
            assert!(rtnl.routes().unwrap().iter().any(|r| r.prefix == 16 && r.index == bridge.index));
            rtnl.delete_address(bridge.index, ip, 16).unwrap();
            assert_eq!(rtnl.delete_address(bridge.index, ip, 16), Err(Errno::ADDRNOTAVAIL));
            let mut changes = Vec::new();
            while wait_one(&watcher, Interest::READ, Some(Duration::from_millis(100))).unwrap().is_some() {
                changes.extend(watcher.changes().unwrap());
            }
            assert!(changes.contains(&Change::AddressAdded(found.clone())));
            assert!(changes.contains(&Change::AddressRemoved(found.clone())));
        })
        .join()
        .unwrap();
    }

    /// Types that no reader here knows.
    const UNKNOWN: std::ops::Range<u16> = 200..300;

    type Extras = Vec<(u16, Vec<u8>)>;

    fn extras() -> impl Strategy<Value = Extras> {
        proptest::collection::vec((UNKNOWN, bytes(9)), 0..4)
    }

    fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..most)
    }

    fn ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![any::<Ipv4Addr>().prop_map(IpAddr::V4), any::<Ipv6Addr>().prop_map(IpAddr::V6)]
    }

    /// A message with these attributes, and between them what others might add.
    fn sent(kind: u16, body: &[u8], attributes: &[(u16, &[u8])], extras: &Extras) -> Reply {
        let mut message = Message::new(kind, 0, body);
        let mut extras = extras.iter();
        for (kind, value) in attributes {
            if let Some((kind, value)) = extras.next() {
                message = message.attribute(*kind, value);
            }
            message = message.attribute(*kind, value);
        }
        let message = extras.fold(message, |message, (kind, value)| message.attribute(*kind, value));
        let mut replies = crate::netlink::parse(&message.finish(1));
        assert_eq!(replies.len(), 1);
        replies.remove(0)
    }

    fn octets(ip: IpAddr) -> Vec<u8> {
        family_and_bytes(ip).1
    }

    proptest! {
        #[test]
        fn links(index: u32, flags: u32, mtu: u32, name in "[a-z0-9.-]{1,15}", mac in bytes(9), extras in extras()) {
            let attributes = [
                (libc::IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat()[..]),
                (libc::IFLA_MTU, &mtu.to_ne_bytes()),
                (libc::IFLA_ADDRESS, &mac),
            ];
            let reply = sent(libc::RTM_NEWLINK, &link_body(index, flags, 0), &attributes, &extras);
            let link = Link { index, name, flags, mac, mtu };
            prop_assert_eq!(parse_change(&reply), Some(Change::Link(link)));
        }

        /// Where both ends of a link are told, the address is the local end.
        #[test]
        fn addresses(
            local in ip(), peer: Option<Ipv4Addr>, broadcast: Option<Ipv4Addr>, prefix: u8, index: u32,
            flags: Option<u32>, label in "[a-z0-9:]{0,15}", extras in extras(),
        ) {
            let local_octets = octets(local);
            let peer_octets = peer.map(|ip| ip.octets());
            let broadcast_octets = broadcast.map(|ip| ip.octets());
            let flag_bytes = flags.map(u32::to_ne_bytes);
            let first = peer_octets.as_ref().map_or(libc::IFA_ADDRESS, |_| libc::IFA_LOCAL);
            let mut attributes: Vec<(u16, &[u8])> = Vec::new();
            attributes.extend(peer_octets.as_ref().map(|ip| (libc::IFA_ADDRESS, &ip[..])));
            attributes.push((first, &local_octets));
            attributes.extend(broadcast_octets.as_ref().map(|ip| (libc::IFA_BROADCAST, &ip[..])));
            attributes.extend(flag_bytes.as_ref().map(|flags| (libc::IFA_FLAGS, &flags[..])));
            attributes.push((libc::IFA_LABEL, label.as_bytes()));
            let family = family_and_bytes(local).0;
            let reply = sent(libc::RTM_DELADDR, &address_body(family, prefix, index), &attributes, &extras);
            let flags = flags.unwrap_or(0);
            let address = Address { index, ip: local, prefix, broadcast, label, flags };
            prop_assert_eq!(parse_change(&reply), Some(Change::AddressRemoved(address)));
        }

        #[test]
        fn routes(
            to: Option<Ipv6Addr>, gateway in proptest::option::of(ip()), prefix: u8, index: u32, kind: u8,
            short_table: u8, table: Option<u32>, metric: Option<u32>, extras in extras(),
        ) {
            let to_octets = to.map(|ip| ip.octets());
            let gateway_octets = gateway.map(octets);
            let numbers = [table.map(u32::to_ne_bytes), metric.map(u32::to_ne_bytes)];
            let out = index.to_ne_bytes();
            let mut attributes: Vec<(u16, &[u8])> = vec![(libc::RTA_OIF, &out)];
            attributes.extend(to_octets.as_ref().map(|ip| (libc::RTA_DST, &ip[..])));
            attributes.extend(gateway_octets.as_ref().map(|ip| (libc::RTA_GATEWAY, &ip[..])));
            for (kind, number) in [libc::RTA_TABLE, libc::RTA_PRIORITY].into_iter().zip(&numbers) {
                attributes.extend(number.as_ref().map(|number| (kind, &number[..])));
            }
            let body = [libc::AF_INET6 as u8, prefix, 0, 0, short_table, 0, 0, kind, 0, 0, 0, 0];
            let reply = sent(libc::RTM_NEWROUTE, &body, &attributes, &extras);
            let route = Route {
                destination: to.map(IpAddr::V6), prefix, gateway, index, ipv6: true, kind,
                table: table.unwrap_or(u32::from(short_table)), metric: metric.unwrap_or(0),
            };
            prop_assert_eq!(parse_route(&reply), Some(route));
        }

        #[test]
        fn neighbours(ip in ip(), mac in bytes(9), index: u32, state: u16, extras in extras()) {
            let octets = octets(ip);
            let mut body = [0; NEIGHBOUR_BYTES];
            body[4..8].copy_from_slice(&index.to_ne_bytes());
            body[8..10].copy_from_slice(&state.to_ne_bytes());
            let attributes = [(libc::NDA_LLADDR, &mac[..]), (libc::NDA_DST, &octets)];
            let reply = sent(libc::RTM_NEWNEIGH, &body, &attributes, &extras);
            prop_assert_eq!(parse_neighbour(&reply), Some(Neighbour { index, ip, mac, state }));
        }

        /// Whatever comes, what is understood is in the bytes: an address or a name is never made up.
        #[test]
        fn anything(
            kind in 16u16..32,
            fixed in bytes(20),
            attributes in proptest::collection::vec((0u16..16, bytes(20)), 0..5),
            cut in 0usize..40,
        ) {
            let mut message = Message::new(kind, 0, &fixed);
            for (kind, value) in &attributes {
                message = message.attribute(*kind, value);
            }
            for mut reply in crate::netlink::parse(&message.finish(1)) {
                reply.body.truncate(reply.body.len().saturating_sub(cut));
                let holds = |part: &[u8]| part.is_empty() || reply.body.windows(part.len()).any(|it| it == part);
                match parse_change(&reply) {
                    Some(Change::AddressAdded(it) | Change::AddressRemoved(it)) => {
                        prop_assert!(holds(&octets(it.ip)) && holds(&it.index.to_ne_bytes()));
                    }
                    Some(Change::Link(it) | Change::LinkRemoved(it)) => {
                        prop_assert!(holds(&it.mac) && holds(&it.index.to_ne_bytes()));
                    }
                    Some(Change::Lost) => prop_assert!(false, "only the socket says that"),
                    None => {}
                }
                if let Some(route) = parse_route(&reply) {
                    prop_assert!(holds(&route.index.to_ne_bytes()));
                    prop_assert!(route.gateway.is_none_or(|ip| holds(&octets(ip))));
                }
                prop_assert!(parse_neighbour(&reply).is_none_or(|it| holds(&octets(it.ip)) && holds(&it.mac)));
            }
        }
    }
}
