//! Raw Ethernet frames, and ICMP echo.

use crate::{Errno, Result, check};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86DD;
/// Every EtherType.
pub const ETHERTYPE_ALL: u16 = 0x0003;

/// A socket for whole frames on one interface.
#[derive(Debug)]
pub struct FrameSocket {
    fd: OwnedFd,
}

impl FrameSocket {
    /// Opens the interface with this index for frames of one EtherType. Needs CAP_NET_RAW (`PERM`).
    pub fn open(index: u32, ethertype: u16) -> Result<FrameSocket> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // Protocol 0 until bound: nothing is received from other interfaces.
        // SAFETY: plain call; the returned descriptor is owned by nobody else.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: `fd` was just created and is not stored elsewhere.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sockaddr_ll is plain data for which all zeroes is valid.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ethertype.to_be();
        address.sll_ifindex = i32::try_from(index).map_err(|_| Errno::INVAL)?;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: `address` is a valid address of `length` bytes.
        check(unsafe { libc::bind(fd.as_raw_fd(), std::ptr::from_ref(&address).cast(), length) })?;
        Ok(FrameSocket { fd })
    }

    /// Sends a frame with its Ethernet header.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        crate::socket::send(&self.fd, frame).map(drop)
    }

    /// The next frame; `None` if there is none.
    pub fn receive(&self, into: &mut [u8]) -> Result<Option<usize>> {
        match crate::socket::receive(&self.fd, into) {
            Ok(n) => Ok(Some(n)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for FrameSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A raw socket for an IP protocol, for instance ICMPv6 neighbour advertisements. Needs CAP_NET_RAW.
pub fn raw_ip_socket(ipv6: bool, protocol: i32) -> std::io::Result<socket2::Socket> {
    let domain = if ipv6 { socket2::Domain::IPV6 } else { socket2::Domain::IPV4 };
    let socket = socket2::Socket::new(domain, socket2::Type::RAW, Some(socket2::Protocol::from(protocol)))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
