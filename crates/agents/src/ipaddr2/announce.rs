//! Telling the neighbours that the address has moved: gratuitous ARP, unsolicited neighbour
//! advertisements (RFC 5227 section 3, RFC 4861 section 7.2.6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use base::OcfExit;
use sys::packet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, FrameSocket};
use sys::rtnl::{Link, Rtnl};

use super::config::Config;
use super::{find, links};
use crate::Outcome;

const BROADCAST: [u8; 6] = [0xff; 6];
const MAC_BYTES: usize = 6;

/// Sends `count` announcements, one per `interval`: the first at once, the rest on a thread of their
/// own, so that the caller can say that the address is up.
pub fn announce_in_background(link: &Link, ip: IpAddr, count: u32, interval: Duration) {
    send(link, ip, count.min(1), Duration::ZERO);
    if count > 1 {
        let link = link.clone();
        std::thread::spawn(move || {
            std::thread::sleep(interval);
            if is_here(&link, ip) {
                send(&link, ip, count - 1, interval);
            }
        });
    }
}

/// Sends announcements now. An interface that takes none (a loop-back, a lost right) needs none: the
/// address itself is up.
pub(super) fn send(link: &Link, ip: IpAddr, count: u32, interval: Duration) {
    let Some(mac) = link.mac.get(..MAC_BYTES).and_then(|mac| <[u8; MAC_BYTES]>::try_from(mac).ok()) else {
        return;
    };
    if link.is_loopback() {
        return;
    }
    let kind = if ip.is_ipv4() { ETHERTYPE_ARP } else { ETHERTYPE_IPV6 };
    let Ok(socket) = FrameSocket::open(link.index, kind) else { return };
    for round in 0..count {
        if round > 0 {
            std::thread::sleep(interval);
            // It may have moved to another node meanwhile: announcing it from here would lead the traffic astray.
            if !is_here(link, ip) {
                return;
            }
        }
        for frame in frames(mac, ip) {
            // A full queue or a link that is down now: the next round may do better.
            let _ = socket.send(&frame);
        }
    }
}

fn is_here(link: &Link, ip: IpAddr) -> bool {
    let addresses = Rtnl::open().and_then(|mut kernel| kernel.addresses());
    addresses.is_ok_and(|all| all.iter().any(|address| address.index == link.index && address.ip == ip))
}

fn frames(mac: [u8; 6], ip: IpAddr) -> Vec<Vec<u8>> {
    match ip {
        // Some systems learn from requests only, others from replies only.
        IpAddr::V4(ip) => vec![arp(mac, ip, 1), arp(mac, ip, 2)],
        IpAddr::V6(ip) => vec![advertisement(mac, ip)],
    }
}

fn ethernet(destination: [u8; 6], source: [u8; 6], kind: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(96);
    frame.extend(destination);
    frame.extend(source);
    frame.extend(kind.to_be_bytes());
    frame
}

/// Sender and target address are both the announced one.
fn arp(mac: [u8; 6], ip: Ipv4Addr, operation: u16) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, mac, ETHERTYPE_ARP);
    frame.extend([0, 1, 8, 0, 6, 4]);
    frame.extend(operation.to_be_bytes());
    frame.extend(mac);
    frame.extend(ip.octets());
    frame.extend(if operation == 1 { BROADCAST } else { mac });
    frame.extend(ip.octets());
    frame
}

fn advertisement(mac: [u8; 6], ip: Ipv6Addr) -> Vec<u8> {
    const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    // Type 136, override flag, target, option "target link-layer address".
    let mut body = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    body.extend(ip.octets());
    body.extend([2, 1]);
    body.extend(mac);
    let sum = checksum(ip, ALL_NODES, &body);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = ethernet([0x33, 0x33, 0, 0, 0, 1], mac, ETHERTYPE_IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((body.len() as u16).to_be_bytes());
    frame.extend([58, 255]);
    frame.extend(ip.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(body);
    frame
}

/// ICMPv6 checksum with the pseudo header of RFC 8200, section 8.1.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, body: &[u8]) -> u16 {
    let mut bytes: Vec<u8> = Vec::new();
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend([0, 0, 0, 58]);
    bytes.extend(body);
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The announcements after the first, in this process.
pub(super) fn rest(kernel: &mut Rtnl, config: &Config) -> Outcome {
    let address = match find(kernel, config.ip) {
        Ok(Some(address)) => address,
        Ok(None) => return Outcome::of(OcfExit::NOT_RUNNING),
        Err(outcome) => return outcome,
    };
    if let Ok(links) = links(kernel)
        && let Some(link) = links.iter().find(|link| link.index == address.index)
    {
        send(link, config.ip, config.count, config.interval);
    }
    Outcome::of(OcfExit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

    #[test]
    fn an_address_that_is_gone_is_announced_no_more() {
        use std::os::fd::AsFd;
        std::thread::spawn(|| {
            if sys::namespace::unshare(sys::namespace::Kinds::NET).is_err() {
                println!("LEFT OUT: no right to make a network namespace");
                return;
            }
            let mut kernel = Rtnl::open().unwrap();
            let here = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
            kernel.add_veth("near", "far", MAC, here.as_fd()).unwrap();
            let (near, far) = (kernel.link("near").unwrap(), kernel.link("far").unwrap());
            kernel.set_up(near.index, true).unwrap();
            kernel.set_up(far.index, true).unwrap();
            let seen = FrameSocket::open(near.index, ETHERTYPE_ARP).unwrap();
            let count = || {
                let mut frame = [0; 64];
                std::iter::from_fn(|| seen.receive(&mut frame).unwrap().map(drop)).count()
            };
            let ip: IpAddr = "172.31.0.100".parse().unwrap();
            kernel.add_address(far.index, ip, 16, &sys::rtnl::AddressOptions::default()).unwrap();
            let interval = Duration::from_millis(60);
            announce_in_background(&far, ip, 10, interval);
            std::thread::sleep(interval * 2);
            assert!(count() >= 4);
            kernel.delete_address(far.index, ip, 16).unwrap();
            // One that was on its way already.
            std::thread::sleep(Duration::from_millis(5));
            count();
            std::thread::sleep(interval * 4);
            assert_eq!(count(), 0);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn gratuitous_arp_names_the_address_twice() {
        let frame = arp(MAC, Ipv4Addr::new(172, 31, 0, 100), 2);
        assert_eq!(frame.len(), 42);
        assert_eq!(&frame[..6], &BROADCAST);
        assert_eq!(&frame[28..32], &[172, 31, 0, 100]);
        assert_eq!(&frame[38..42], &[172, 31, 0, 100]);
    }

    #[test]
    fn advertisement_has_a_valid_checksum() {
        let ip: Ipv6Addr = "fd00::100".parse().unwrap();
        let frame = advertisement(MAC, ip);
        assert_eq!(frame.len(), 14 + 40 + 32);
        // Summed with its checksum in place, the message gives zero.
        let all: Ipv6Addr = "ff02::1".parse().unwrap();
        assert_eq!(checksum(ip, all, &frame[54..]), 0);
    }
}
