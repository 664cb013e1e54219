//! Many datagrams with one call: segmentation offload on the way out (UDP_SEGMENT), coalescing on the
//! way in (UDP_GRO). On the wire they are ordinary datagrams.

use crate::socket::{raw_address, set_option, socket_address};
use crate::{Result, last_errno};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

/// Most segments of one send; the kernel's limit.
pub const SEGMENTS_MAX: usize = 64;
/// Most bytes of one send.
pub const SEND_BYTES_MAX: usize = 65_000;
/// Coalesced datagrams that one call takes.
const SLOTS: usize = 8;
/// Largest coalesced datagram.
const SLOT_BYTES: usize = 65_536;
/// Room for the control messages of one datagram, in words of 8 bytes.
const CONTROL_WORDS: usize = 8;

/// Sends datagrams of `size` bytes each (the last one may be shorter) to one address with one call.
///
/// # Errors
/// Nothing was sent. EIO, EINVAL, EMSGSIZE and ENOPROTOOPT mean that segmentation does not work on this
/// path; send them one by one.
pub fn send_segments(socket: impl AsFd, to: SocketAddr, size: u16, parts: &[IoSlice<'_>]) -> Result<()> {
    let (mut address, length) = raw_address(to);
    let mut control = [0u64; CONTROL_WORDS];
    // SAFETY: msghdr is plain data for which all zeroes is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = std::ptr::from_mut(&mut address).cast();
    message.msg_namelen = length;
    // IoSlice is guaranteed to have the layout of iovec; sendmsg only reads the vectors.
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len() as _;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute; the control buffer has room for the one entry,
    // which CMSG_FIRSTHDR finds because the length was set before.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as _;
        let entry = libc::CMSG_FIRSTHDR(&message);
        (*entry).cmsg_level = libc::SOL_UDP;
        (*entry).cmsg_type = libc::UDP_SEGMENT;
        (*entry).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
        std::ptr::write_unaligned(libc::CMSG_DATA(entry).cast(), size);
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: all pointers in `message` point to buffers that live for the call.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &message, flags) };
    if sent < 0 { Err(last_errno()) } else { Ok(()) }
}

/// UDP_GRO: datagrams of one flow may come coalesced; [`Datagrams`] takes them apart.
pub fn set_coalescing(socket: impl AsFd) -> Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1)
}

#[derive(Clone, Copy, Default)]
struct Slot {
    length: usize,
    /// Size of the datagrams in it; 0: one.
    segment: usize,
    from: Option<SocketAddr>,
}

/// Buffers for what arrives.
pub struct Datagrams {
    bytes: Vec<u8>,
    slots: [Slot; SLOTS],
    used: usize,
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams").field("used", &self.used).finish_non_exhaustive()
    }
}

impl Default for Datagrams {
    fn default() -> Self {
        Self { bytes: vec![0; SLOTS * SLOT_BYTES], slots: [Slot::default(); SLOTS], used: 0 }
    }
}

impl Datagrams {
    /// Takes what has arrived, without blocking, in place of what was taken before.
    ///
    /// # Errors
    /// AGAIN when nothing is there; else also the error of an earlier send.
    pub fn receive(&mut self, socket: impl AsFd) -> Result<()> {
        self.used = 0;
        let mut control = [[0u64; CONTROL_WORDS]; SLOTS];
        // SAFETY: the structures are plain data for which all zeroes is valid.
        let (mut addresses, mut vectors, mut headers): (
            [libc::sockaddr_storage; SLOTS],
            [libc::iovec; SLOTS],
            [libc::mmsghdr; SLOTS],
        ) = unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        let chunks = self.bytes.chunks_mut(SLOT_BYTES);
        let parts = addresses.iter_mut().zip(&mut vectors).zip(&mut control);
        for ((header, chunk), ((address, vector), control)) in headers.iter_mut().zip(chunks).zip(parts) {
            *vector = libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: chunk.len() };
            header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of_val(control) as _;
        }
        // SAFETY: the headers point to addresses, buffers and control space that live for the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                SLOTS as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        self.used = usize::try_from(count).map_err(|_| last_errno())?;
        for ((slot, header), address) in self.slots.iter_mut().zip(&headers).zip(&addresses).take(self.used) {
            *slot = Slot {
                length: (header.msg_len as usize).min(SLOT_BYTES),
                segment: segment_size(&header.msg_hdr),
                from: socket_address(address),
            };
        }
        Ok(())
    }

    /// True if more may wait than was taken last.
    pub fn may_have_more(&self) -> bool {
        self.used == SLOTS
    }

    /// The datagrams taken last, in order, each with its sender.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        let slots = self.slots.iter().take(self.used).zip(self.bytes.chunks(SLOT_BYTES));
        slots.flat_map(|(slot, chunk)| {
            let bytes = chunk.get(..slot.length).unwrap_or_default();
            let size = if slot.segment == 0 { bytes.len().max(1) } else { slot.segment };
            bytes.chunks(size).filter_map(|bytes| Some((bytes, slot.from?)))
        })
    }
}

fn segment_size(message: &libc::msghdr) -> usize {
    // SAFETY: the CMSG macros walk the control buffer within msg_controllen, which the kernel has set.
    unsafe {
        let mut entry = libc::CMSG_FIRSTHDR(message);
        while !entry.is_null() {
            if ((*entry).cmsg_level, (*entry).cmsg_type) == (libc::SOL_UDP, libc::UDP_GRO) {
                let size: libc::c_int = std::ptr::read_unaligned(libc::CMSG_DATA(entry).cast());
                return usize::try_from(size).unwrap_or(0);
            }
            entry = libc::CMSG_NXTHDR(message, entry);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Interest, wait_one};
    use std::time::Duration;

    #[test]
    fn segments_come_apart_again() {
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Err(errno) = set_coalescing(&receiver) {
            println!("LEFT OUT: this kernel does not coalesce datagrams: {errno}");
            return;
        }
        let bodies: Vec<Vec<u8>> =
            [100usize, 100, 100, 7].iter().zip(1u8..).map(|(length, value)| vec![value; *length]).collect();
        let parts: Vec<IoSlice<'_>> = bodies.iter().map(|body| IoSlice::new(body)).collect();
        if let Err(errno) = send_segments(&sender, receiver.local_addr().unwrap(), 100, &parts) {
            println!("LEFT OUT: this kernel does not cut datagrams: {errno}");
            return;
        }
        let mut got: Vec<Vec<u8>> = Vec::new();
        let mut datagrams = Datagrams::default();
        while got.len() < bodies.len() {
            let ready = wait_one(&receiver, Interest::READ, Some(Duration::from_secs(1))).unwrap();
            assert!(ready.is_some(), "only {} of them arrived", got.len());
            datagrams.receive(&receiver).unwrap();
            got.extend(datagrams.iter().map(|(bytes, from)| {
                assert_eq!(from, sender.local_addr().unwrap());
                bytes.to_vec()
            }));
        }
        assert_eq!(got, bodies);
        assert_eq!(datagrams.receive(&receiver), Err(crate::Errno::AGAIN));
    }
}
