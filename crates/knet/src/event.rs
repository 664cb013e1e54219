//! What the core hands out, and its counters.

use std::net::SocketAddr;

use bytes::Bytes;
use totem::Instant;

use crate::stopwatch::Times;

/// Who gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    Host(u16),
    /// All hosts that can be reached.
    Everybody,
}

/// What a datagram carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Data,
    Beat,
    /// A probe of the path MTU: it may be larger than the interface takes.
    Probe,
}

/// A datagram to send, unfragmented by IP.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// Number of the link, so of the own socket.
    pub link: u8,
    /// Host that it is for.
    pub host: u16,
    pub to: SocketAddr,
    pub content: Content,
    pub bytes: Bytes,
}

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub host: u16,
    pub bytes: Vec<u8>,
}

/// A change that others may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    LinkUp {
        host: u16,
        link: u8,
    },
    LinkDown {
        host: u16,
        link: u8,
    },
    HostReachable(u16),
    HostUnreachable(u16),
    /// Nobody listens at any of the host's addresses: its own system says so, and its links are silent.
    HostRefuses(u16),
}

/// What the system said about a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// Larger than what the interface or the path takes, in bytes of the IP packet (0: not known).
    TooBig(usize),
    /// Nobody listens there, or the host or network is unreachable.
    Refused,
    /// Anything else.
    Other,
}

/// Counters of one link (cmap `stats.knet.nodeX.linkY.*`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    pub tx_data_packets: u64,
    pub rx_data_packets: u64,
    pub tx_data_bytes: u64,
    pub rx_data_bytes: u64,
    pub tx_ping_packets: u64,
    pub rx_ping_packets: u64,
    pub tx_ping_bytes: u64,
    pub rx_ping_bytes: u64,
    pub tx_pong_packets: u64,
    pub rx_pong_packets: u64,
    pub tx_pong_bytes: u64,
    pub rx_pong_bytes: u64,
    pub tx_pmtu_packets: u64,
    pub rx_pmtu_packets: u64,
    pub tx_pmtu_bytes: u64,
    pub rx_pmtu_bytes: u64,
    pub tx_data_errors: u32,
    pub tx_ping_errors: u32,
    pub tx_pmtu_errors: u32,
    pub latency_min_us: u32,
    pub latency_max_us: u32,
    pub down_count: u32,
    pub up_count: u32,
}

/// Counters of the whole transport (cmap `stats.knet.handle.*`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub tx_uncompressed_packets: u64,
    pub tx_compressed_packets: u64,
    pub tx_compressed_original_bytes: u64,
    pub tx_compressed_size_bytes: u64,
    pub rx_compressed_packets: u64,
    pub rx_compressed_original_bytes: u64,
    pub rx_compressed_size_bytes: u64,
    pub tx_crypt_byte_overhead: u64,
    pub tx_crypt_packets: u64,
    pub rx_crypt_packets: u64,
    /// Datagrams that were not authentic, not understood, or not from a known address.
    pub rx_refused_packets: u64,
    /// Encrypted datagrams that had arrived before: copies sent on lossy links, or old ones sent again.
    pub rx_repeated_packets: u64,
    pub tx_compress_time: Times,
    pub rx_compress_time: Times,
    pub tx_crypt_time: Times,
    pub rx_crypt_time: Times,
}

/// What is wrong with a link that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its pings arrive here, but nothing of ours is answered: packets from here to there are lost.
    Outgoing,
    /// The host is alive on another link, but nothing arrives on this one.
    Incoming,
    /// Nothing is heard of the host.
    Silent,
}

impl Fault {
    /// In words, from the own node's point of view.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing packets are lost",
            Self::Incoming => "nothing arrives",
            Self::Silent => "silent",
        }
    }
}

/// One link to one host, as it is now.
#[derive(Clone, Debug)]
pub struct LinkStatus {
    pub host: u16,
    pub link: u8,
    pub peer: SocketAddr,
    pub connected: bool,
    /// Bytes of user data in a datagram; 0 while it is not known.
    pub mtu: u32,
    /// Average round trip in microseconds.
    pub latency_us: u32,
    pub latency_samples: u32,
    pub fault: Option<Fault>,
    pub stats: LinkStats,
}

/// The earlier of two deadlines.
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
