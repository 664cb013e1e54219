//! What the core must know: own id, links, hosts with their addresses, policy.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::compress::Compression;

/// Which of a host's links that are up carry a message (`totem.link_mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The one with the highest priority.
    #[default]
    Passive,
    /// All.
    Active,
    /// One after the other.
    RoundRobin,
}

impl Policy {
    /// The policy of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "passive" => Self::Passive,
            "active" => Self::Active,
            "rr" => Self::RoundRobin,
            _ => return None,
        })
    }
}

/// Parameters of one link, the same towards all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// The higher, the better, in [`Policy::Passive`].
    pub priority: u8,
    pub ping_interval: Duration,
    /// A link without a pong for this long is down.
    pub ping_timeout: Duration,
    /// Samples in the average of the latency, at least 1.
    pub ping_precision: u32,
    /// Pongs that a link needs before the one that brings it up.
    pub pong_count: u32,
}

/// Everything that a reload may change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Own node id.
    pub node: u16,
    pub policy: Policy,
    pub links: BTreeMap<u8, LinkConfig>,
    /// Addresses of the other hosts by link.
    pub hosts: BTreeMap<u16, BTreeMap<u8, SocketAddr>>,
    /// Bytes of the largest IP packet; 0: find out.
    pub fixed_mtu: usize,
    /// Pause between two searches for the path MTU.
    pub mtu_interval: Duration,
    pub compression: Option<Compression>,
    /// Accept heartbeats of known hosts from any address (`block_unlisted_ips: no`).
    pub any_source: bool,
}
