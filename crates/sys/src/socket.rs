//! Unix sockets as libqb uses them, peer credentials, and options that socket2 lacks.

use crate::{Errno, Result, check};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Who is on the other side of a Unix socket, as the kernel saw it when the connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
}

/// Address of a Unix socket.
#[derive(Clone, Copy, Debug)]
pub enum UnixAddress<'a> {
    /// Abstract name, padded with NUL bytes to the full length of the structure, as libqb has it.
    Abstract(&'a str),
    Path(&'a Path),
}

fn unix_address(address: UnixAddress<'_>) -> Result<(libc::sockaddr_un, libc::socklen_t)> {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: sockaddr_un is plain data for which all zeroes is valid.
    let mut raw: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let (bytes, skip) = match address {
        UnixAddress::Abstract(name) => (name.as_bytes(), 1),
        UnixAddress::Path(path) => (path.as_os_str().as_bytes(), 0),
    };
    if bytes.is_empty() || bytes.len() + skip >= raw.sun_path.len() {
        return Err(Errno::NAMETOOLONG);
    }
    for (to, from) in raw.sun_path.iter_mut().skip(skip).zip(bytes) {
        *to = *from as libc::c_char;
    }
    Ok((raw, size_of::<libc::sockaddr_un>() as libc::socklen_t))
}

fn new_socket(domain: i32, kind: i32, protocol: i32) -> Result<OwnedFd> {
    // SAFETY: plain call; the returned descriptor is owned by nobody else.
    let fd =
        check(unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol) })?;
    // SAFETY: `fd` was just created and is not stored elsewhere.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A non-blocking stream socket that listens.
pub fn unix_listen(address: UnixAddress<'_>, backlog: i32) -> Result<OwnedFd> {
    let socket = new_socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
    let (raw, length) = unix_address(address)?;
    // SAFETY: `raw` is a valid address of `length` bytes.
    check(unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(&raw).cast(), length) })?;
    // SAFETY: plain call.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) })?;
    Ok(socket)
}

/// Connects a stream socket; it is non-blocking afterwards. `CONNREFUSED` or `NOENT`: nobody listens.
pub fn unix_connect(address: UnixAddress<'_>) -> Result<OwnedFd> {
    let socket = new_socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
    rustix::io::ioctl_fionbio(&socket, false)?;
    let (raw, length) = unix_address(address)?;
    loop {
        // SAFETY: `raw` is a valid address of `length` bytes.
        match check(unsafe { libc::connect(socket.as_raw_fd(), std::ptr::from_ref(&raw).cast(), length) }) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// The next connection on a listening socket, non-blocking; `None` if there is none.
pub fn accept(listener: impl AsFd) -> Result<Option<OwnedFd>> {
    use rustix::net::{SocketFlags, accept_with};
    match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
        Err(e) => Err(e),
    }
}

/// SO_PASSCRED: each received message then carries the sender's credentials.
pub fn set_pass_credentials(socket: impl AsFd, on: bool) -> Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_PASSCRED, i32::from(on))
}

/// SO_PEERCRED.
pub fn peer_credentials(socket: impl AsFd) -> Result<Credentials> {
    let mut raw = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `raw` has room for `length` bytes.
    check(unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            std::ptr::from_mut(&mut raw).cast(),
            &mut length,
        )
    })?;
    Ok(Credentials { pid: raw.pid, uid: raw.uid, gid: raw.gid })
}

/// Sends without ever blocking or raising SIGPIPE.
pub fn send(socket: impl AsFd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: pointer and length describe `bytes`.
    let n = unsafe {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        libc::send(socket.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags)
    };
    usize::try_from(n).map_err(|_| crate::last_errno())
}

/// Receives what is there, without blocking; 0 is the end of the stream.
pub fn receive(socket: impl AsFd, into: &mut [u8]) -> Result<usize> {
    // SAFETY: pointer and length describe `into`.
    let n = unsafe {
        libc::recv(socket.as_fd().as_raw_fd(), into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT)
    };
    usize::try_from(n).map_err(|_| crate::last_errno())
}

pub(crate) fn set_option(socket: impl AsFd, level: i32, name: i32, value: i32) -> Result<()> {
    let length = size_of::<i32>() as libc::socklen_t;
    let raw = socket.as_fd().as_raw_fd();
    // SAFETY: the option value is an int that lives for the call.
    check(unsafe { libc::setsockopt(raw, level, name, std::ptr::from_ref(&value).cast(), length) }).map(drop)
}

/// IP_RECVERR and IPV6_RECVERR: ICMP errors such as *port unreachable* come back on the socket's error queue.
pub fn set_receive_errors(socket: impl AsFd, ipv6: bool) -> Result<()> {
    if ipv6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)
    }
}

/// IP_MTU_DISCOVER = IP_PMTUDISC_PROBE: packets are never fragmented, and what was learnt about the path is ignored.
pub fn set_mtu_probing(socket: impl AsFd, ipv6: bool) -> Result<()> {
    if ipv6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
    }
}

/// IP_FREEBIND: an address may be bound before it exists.
pub fn set_free_bind(socket: impl AsFd, ipv6: bool) -> Result<()> {
    if ipv6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_FREEBIND, 1)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_FREEBIND, 1)
    }
}

/// SO_PRIORITY (6 is the highest an ordinary user may ask for).
pub fn set_priority(socket: impl AsFd, priority: i32) -> Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_PRIORITY, priority)
}

/// Asks for socket buffers beyond the system's limits where permitted, else up to them.
pub fn set_buffers(socket: impl AsFd, bytes: i32) -> Result<()> {
    for (force, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
        if set_option(&socket, libc::SOL_SOCKET, force, bytes).is_err() {
            set_option(&socket, libc::SOL_SOCKET, plain, bytes)?;
        }
    }
    Ok(())
}

/// One entry of a socket's error queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedError {
    /// For instance ECONNREFUSED: the destination host answered that the port is closed.
    pub errno: Errno,
    /// Where the failed datagram had been sent to.
    pub destination: Option<std::net::SocketAddr>,
    /// With EMSGSIZE the MTU in bytes, else 0.
    pub info: u32,
}

/// Takes one entry off the error queue (see [`set_receive_errors`]); `None` when it is empty.
pub fn next_queued_error(socket: impl AsFd) -> Result<Option<QueuedError>> {
    let mut payload = [0u8; 64];
    let mut control = [0u64; 64];
    // SAFETY: both structures are plain data for which all zeroes is valid.
    let (mut address, mut message): (libc::sockaddr_storage, libc::msghdr) = unsafe { std::mem::zeroed() };
    let mut vector = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() };
    message.msg_name = std::ptr::from_mut(&mut address).cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: all pointers in `message` point to live buffers of the given lengths.
    let n = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &mut message, flags) };
    if n < 0 {
        let e = crate::last_errno();
        return if e == Errno::AGAIN { Ok(None) } else { Err(e) };
    }
    let (mut errno, mut info) = (Errno::IO, 0);
    // SAFETY: the CMSG macros walk the control buffer within msg_controllen, which the kernel has set.
    unsafe {
        let mut cmsg = libc::CMSG_FIRSTHDR(&message);
        while !cmsg.is_null() {
            let kind = ((*cmsg).cmsg_level, (*cmsg).cmsg_type);
            let wanted = kind == (libc::IPPROTO_IP, libc::IP_RECVERR)
                || kind == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR);
            if wanted && (*cmsg).cmsg_len as usize >= size_of::<libc::sock_extended_err>() {
                let error: libc::sock_extended_err = std::ptr::read_unaligned(libc::CMSG_DATA(cmsg).cast());
                errno = Errno::from_raw_os_error(error.ee_errno as i32);
                info = error.ee_info;
            }
            cmsg = libc::CMSG_NXTHDR(&message, cmsg);
        }
    }
    Ok(Some(QueuedError { errno, destination: socket_address(&address), info }))
}

pub(crate) fn socket_address(raw: &libc::sockaddr_storage) -> Option<std::net::SocketAddr> {
    // SAFETY: the storage is large and aligned enough for either kind, which its family names.
    unsafe {
        match i32::from(raw.ss_family) {
            libc::AF_INET => {
                let v4 = &*std::ptr::from_ref(raw).cast::<libc::sockaddr_in>();
                let ip = std::net::Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some((ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                let v6 = &*std::ptr::from_ref(raw).cast::<libc::sockaddr_in6>();
                let ip = std::net::Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some((ip, u16::from_be(v6.sin6_port)).into())
            }
            _ => None,
        }
    }
}

pub(crate) fn raw_address(address: std::net::SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    let address = socket2::SockAddr::from(address);
    // SAFETY: sockaddr_storage is plain data for which all zeroes is valid; socket2 writes at most its size.
    let mut raw: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let length = (address.len() as usize).min(size_of::<libc::sockaddr_storage>());
    // SAFETY: both regions have at least `length` bytes and do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(
            address.as_ptr().cast::<u8>(),
            std::ptr::from_mut(&mut raw).cast(),
            length,
        )
    };
    (raw, length as libc::socklen_t)
}

/// Datagrams that go out with one call at most.
pub const BATCH_MAX: usize = 64;

/// Sends datagrams with one call, without blocking. Returns how many were sent, at least one.
///
/// # Errors
/// Of the first datagram, if that one was not sent.
pub fn send_batch(socket: impl AsFd, datagrams: &[(std::net::SocketAddr, &[u8])]) -> Result<usize> {
    let datagrams = datagrams.get(..BATCH_MAX).unwrap_or(datagrams);
    let mut addresses: Vec<_> = datagrams.iter().map(|(to, _)| raw_address(*to)).collect();
    let mut vectors: Vec<libc::iovec> = datagrams
        .iter()
        .map(|(_, bytes)| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() })
        .collect();
    let mut headers = Vec::with_capacity(datagrams.len());
    for (address, vector) in addresses.iter_mut().zip(&mut vectors) {
        // SAFETY: mmsghdr is plain data for which all zeroes is valid.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        header.msg_hdr.msg_name = std::ptr::from_mut(&mut address.0).cast();
        header.msg_hdr.msg_namelen = address.1;
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        headers.push(header);
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the headers point to addresses and buffers that live for the call; the kernel only reads those.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_fd().as_raw_fd(),
            headers.as_mut_ptr(),
            headers.len() as libc::c_uint,
            flags as _,
        )
    };
    usize::try_from(sent).map_err(|_| crate::last_errno())
}

/// Options of a multicast UDP socket.
#[derive(Clone, Copy, Debug)]
pub struct Multicast {
    /// Group and port to join and to bind to.
    pub group: std::net::SocketAddr,
    /// Address of the interface that sends and receives.
    pub interface: std::net::IpAddr,
    /// Index of that interface (needed for IPv6).
    pub interface_index: u32,
    /// Time to live, 0 to 255.
    pub ttl: u8,
    /// Whether the own host receives what it sends.
    pub loopback: bool,
}

/// A non-blocking UDP socket bound to a multicast group that has joined it on one interface.
pub fn multicast_receiver(options: &Multicast) -> io::Result<socket2::Socket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(options.group), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&options.group.into())?;
    match (options.group.ip(), options.interface) {
        (std::net::IpAddr::V4(group), std::net::IpAddr::V4(interface)) => {
            socket.join_multicast_v4(&group, &interface)?;
        }
        (std::net::IpAddr::V6(group), _) => socket.join_multicast_v6(&group, options.interface_index)?,
        _ => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
    Ok(socket)
}

/// A non-blocking UDP socket that sends to a multicast group from `local`.
pub fn multicast_sender(local: std::net::SocketAddr, options: &Multicast) -> io::Result<socket2::Socket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(options.group), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&local.into())?;
    match options.interface {
        std::net::IpAddr::V4(interface) => {
            socket.set_multicast_if_v4(&interface)?;
            socket.set_multicast_ttl_v4(u32::from(options.ttl))?;
            socket.set_multicast_loop_v4(options.loopback)?;
        }
        std::net::IpAddr::V6(_) => {
            socket.set_multicast_if_v6(options.interface_index)?;
            socket.set_multicast_hops_v6(u32::from(options.ttl))?;
            socket.set_multicast_loop_v6(options.loopback)?;
        }
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Interest, wait_one};
    use std::time::Duration;

    #[test]
    fn abstract_socket_tells_credentials() {
        let name = format!("relevo-sys-test-{}", std::process::id());
        let address = UnixAddress::Abstract(&name);
        assert_eq!(unix_connect(address).unwrap_err(), Errno::CONNREFUSED);
        let listener = unix_listen(address, 5).unwrap();
        assert!(accept(&listener).unwrap().is_none());
        let client = unix_connect(address).unwrap();
        let server = accept(&listener).unwrap().unwrap();
        assert_eq!(peer_credentials(&server).unwrap().pid, std::process::id() as i32);
        assert_eq!(receive(&server, &mut [0; 4]), Err(Errno::AGAIN));
        assert_eq!(send(&client, b"x"), Ok(1));
        wait_one(&server, Interest::READ, Some(Duration::from_secs(1))).unwrap();
        assert_eq!(receive(&server, &mut [0; 4]), Ok(1));
        drop(client);
        assert_eq!(receive(&server, &mut [0; 4]), Ok(0));
    }

    #[test]
    fn batches_arrive_in_order() {
        let a = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let b = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = b.local_addr().unwrap();
        let bodies: Vec<Vec<u8>> = (0..5u8).map(|n| vec![n; usize::from(n) * 100 + 1]).collect();
        let list: Vec<_> = bodies.iter().map(|body| (to, body.as_slice())).collect();
        assert_eq!(send_batch(&a, &list), Ok(5));
        let mut buffer = [0; 600];
        for body in &bodies {
            let (length, from) = b.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from), (body.as_slice(), a.local_addr().unwrap()));
        }
    }

    #[test]
    fn closed_port_is_reported_on_the_error_queue() {
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        set_receive_errors(&sender, false).unwrap();
        sender.send_to(b"hello", closed).unwrap();
        wait_one(&sender, Interest::READ, Some(Duration::from_secs(1))).unwrap();
        let error = next_queued_error(&sender).unwrap().unwrap();
        assert_eq!(error, QueuedError { errno: Errno::CONNREFUSED, destination: Some(closed), info: 0 });
        assert_eq!(next_queued_error(&sender).unwrap(), None);
    }
}
