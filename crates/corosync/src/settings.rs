//! What the daemon does with the keys of its configuration: nodes, addresses, transport, times.

mod knet;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::path::PathBuf;

use engine::Map;
use totem::{Timing, TimingSettings};

pub use self::knet::{KnetSettings, LinkSettings};

/// UDP port when the configuration is silent.
pub const DEFAULT_PORT: u16 = 5405;
/// Directory of the ring files when the configuration is silent.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/corosync";
const DEFAULT_MTU: u32 = 1500;
/// Knet cuts packets into fragments itself.
const KNET_MTU: u32 = 65_536;
/// Smallest packet that leaves room for a fragment behind all headers.
const MTU_MIN: u32 = 256;
const MTU_MAX: u32 = 65_536;

/// How packets travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One copy for each node.
    Udpu,
    /// To a multicast group (or the broadcast address).
    Udp { group: IpAddr, broadcast: bool, ttl: u8 },
    /// Over several links, with encryption.
    Knet(Box<KnetSettings>),
}

impl Transport {
    /// Name as the log of the reference has it.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Udpu => "UDP/IP Unicast",
            Self::Udp { .. } => "UDP/IP Multicast",
            Self::Knet(_) => "Kronosnet",
        }
    }

    /// Name of a member in the log.
    #[must_use]
    pub fn member_label(&self) -> &'static str {
        match self {
            Self::Udpu => "UDPU",
            Self::Udp { .. } => "UDP",
            Self::Knet(_) => "KNET",
        }
    }
}

/// A configured node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: u32,
    /// Address on the lowest link.
    pub address: IpAddr,
    /// Addresses by link; only knet has more than one.
    pub links: BTreeMap<u8, IpAddr>,
    pub name: Option<String>,
}

/// The meaning of a configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    pub nodeid: u32,
    /// Index of the own node in the node list.
    pub position: u32,
    pub address: IpAddr,
    pub nodes: Vec<Node>,
    pub transport: Transport,
    pub port: u16,
    pub timing: Timing,
    pub net_mtu: u32,
    pub block_unlisted: bool,
    pub sched_rr: bool,
    /// Nice value when round robin is not wanted.
    pub nice: Option<i32>,
    pub state_dir: PathBuf,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

fn fail<T>(text: impl Into<String>) -> Result<T, SettingsError> {
    Err(SettingsError(text.into()))
}

impl Settings {
    /// Works out what the keys mean on a host with these local addresses.
    ///
    /// # Errors
    /// The first thing that is missing, contradictory or not available.
    pub fn from_map(map: &Map, local: &[IpAddr], host_name: &str) -> Result<Self, SettingsError> {
        if map.u32("totem.version") != Some(2) {
            return fail("This totem parser can only parse version 2 configurations.");
        }
        let kind = map.text("totem.transport").unwrap_or("knet");
        let nodes = read_nodes(map, kind)?;
        let position = find_own(&nodes, local, host_name)?;
        let Some(own) = nodes.get(position).cloned() else {
            return fail("No nodelist defined or our node is not in the nodelist");
        };
        let timing = read_timing(map, nodes.len())?;
        let usual_mtu = if kind == "knet" { KNET_MTU } else { DEFAULT_MTU };
        let net_mtu = map.u32("totem.netmtu").filter(|mtu| *mtu > 0).unwrap_or(usual_mtu);
        if !(MTU_MIN..=MTU_MAX).contains(&net_mtu) {
            return fail(format!(
                "The netmtu parameter ({net_mtu}) must be between {MTU_MIN} and {MTU_MAX}."
            ));
        }
        Ok(Self {
            nodeid: own.id,
            position: u32::try_from(position).unwrap_or(u32::MAX),
            address: own.address,
            transport: if kind == "knet" {
                Transport::Knet(Box::new(KnetSettings::from_map(map, &own, &nodes, &timing)?))
            } else {
                read_transport(map, kind, own.address)?
            },
            port: read_port(map),
            timing,
            net_mtu,
            block_unlisted: map.text("totem.block_unlisted_ips") != Some("no"),
            sched_rr: map.text("system.sched_rr") != Some("no"),
            nice: read_nice(map)?,
            state_dir: PathBuf::from(map.text("system.state_dir").unwrap_or(DEFAULT_STATE_DIR)),
            nodes,
        })
    }

    /// Why a running daemon may not go on with these settings.
    #[must_use]
    pub fn forbids(&self, next: &Self) -> Option<String> {
        match (&self.transport, &next.transport) {
            (Transport::Knet(old), Transport::Knet(new)) => old.forbids(&self.nodes, new, &next.nodes),
            _ => None,
        }
    }

    /// Parameters of the ring that do not depend on time.
    #[must_use]
    pub fn ring_config(&self, map: &Map, seed: u64) -> totem::Config {
        let mut config = totem::Config::new(self.nodeid, self.timing.clone());
        config.net_mtu = usize::try_from(self.net_mtu).unwrap_or(1500);
        config.seed = seed;
        config.known_nodes = self.known_nodes();
        let number = |key: &str, default: u32| map.u32(key).unwrap_or(default);
        config.window_size = number("totem.window_size", config.window_size).max(1);
        config.max_messages = number("totem.max_messages", config.max_messages).max(1);
        config.widen_window =
            ["totem.window_size", "totem.max_messages"].into_iter().all(|key| map.number(key).is_none());
        config.miss_count_const = number("totem.miss_count_const", config.miss_count_const);
        config.seqno_unchanged_const = number("totem.seqno_unchanged_const", config.seqno_unchanged_const);
        config.fail_recv_const = number("totem.fail_recv_const", config.fail_recv_const);
        config.cancel_token_hold_on_retransmit =
            map.text("totem.cancel_token_hold_on_retransmit") == Some("yes");
        config
    }

    /// Ids of the nodes that may take part; empty if strangers are welcome.
    #[must_use]
    pub fn known_nodes(&self) -> BTreeSet<u32> {
        if self.block_unlisted { self.nodes.iter().map(|node| node.id).collect() } else { BTreeSet::new() }
    }

    /// Puts the effective values where clients look for them.
    pub fn publish(&self, map: &mut Map) {
        map.set("nodelist.local_node_pos", self.position);
        for (position, node) in self.nodes.iter().enumerate() {
            // Where the file leaves the id to us, clients still look for it here.
            map.set(&format!("nodelist.node.{position}.nodeid"), node.id);
        }
        if let Transport::Knet(knet) = &self.transport {
            knet.publish(map);
        } else if map.get("totem.interface.0.bindnetaddr").is_none() {
            map.set("totem.interface.0.bindnetaddr", self.address.to_string().as_str());
        }
        let ms = |value: core::time::Duration| u32::try_from(value.as_millis()).unwrap_or(u32::MAX);
        let timing = &self.timing;
        let warning = timing.token_warning_percent;
        let values = [
            ("token", ms(timing.token)),
            ("token_warning", warning),
            ("token_retransmit", ms(timing.token_retransmit)),
            ("hold", ms(timing.hold)),
            ("join", ms(timing.join)),
            ("send_join", ms(timing.send_join)),
            ("consensus", ms(timing.consensus)),
            ("merge", ms(timing.merge)),
        ];
        for (name, value) in values {
            map.set(&format!("runtime.config.totem.{name}"), value);
        }
        let constants = [
            ("token_retransmits_before_loss_const", 4),
            ("downcheck", 1000),
            ("fail_recv_const", 2500),
            ("seqno_unchanged_const", 30),
            ("heartbeat_failures_allowed", 0),
            ("max_network_delay", 50),
            ("window_size", 50),
            ("max_messages", 17),
            ("miss_count_const", 5),
        ];
        for (name, default) in constants {
            let value = map.u32(&format!("totem.{name}")).unwrap_or(default);
            map.set(&format!("runtime.config.totem.{name}"), value);
        }
        map.set("runtime.config.totem.block_unlisted_ips", u32::from(self.block_unlisted));
        let cancel = map.text("totem.cancel_token_hold_on_retransmit") == Some("yes");
        map.set("runtime.config.totem.cancel_token_hold_on_retransmit", u32::from(cancel));
    }
}

fn read_timing(map: &Map, nodes: usize) -> Result<Timing, SettingsError> {
    let value = |name: &str| map.u32(&format!("totem.{name}"));
    let settings = TimingSettings {
        token_ms: value("token"),
        token_coefficient_ms: value("token_coefficient"),
        token_warning_percent: value("token_warning"),
        token_retransmit_ms: value("token_retransmit"),
        token_retransmits_before_loss_const: value("token_retransmits_before_loss_const"),
        hold_ms: value("hold"),
        join_ms: value("join"),
        send_join_ms: value("send_join"),
        consensus_ms: value("consensus"),
        merge_ms: value("merge"),
    };
    Timing::derive(&settings, nodes).map_err(|error| SettingsError(error.to_string()))
}

fn read_nodes(map: &Map, transport: &str) -> Result<Vec<Node>, SettingsError> {
    let version = map.text("totem.ip_version").unwrap_or(if transport == "udp" { "ipv4" } else { "ipv6-4" });
    let mut nodes: Vec<Node> = Vec::new();
    let mut ids = BTreeSet::new();
    for position in 0..totem::wire::NODES_MAX {
        let key = |name: &str| format!("nodelist.node.{position}.{name}");
        if map.with_prefix(&format!("nodelist.node.{position}.")).next().is_none() {
            break;
        }
        let mut links = BTreeMap::new();
        for (link, key) in self::knet::address_keys(position) {
            let Some(host) = map.text(&key) else { continue };
            if link > 0 && transport != "knet" {
                return fail(format!(
                    "Transport {transport} supports only one link, but ring{link}_addr is set for a node"
                ));
            }
            links.insert(link, resolve(host, version)?);
        }
        let Some(address) = links.values().next().copied() else {
            return fail(format!("Node {position} of the nodelist has no ring0_addr"));
        };
        let id = match map.u32(&key("nodeid")) {
            Some(0) => return fail("A node has nodeid 0, which is reserved"),
            Some(id) => id,
            None if transport == "knet" => {
                return fail(format!(
                    "Knet requires an explicit nodeid to be specified for address '{address}'."
                ));
            }
            None => id_of(address, map)?,
        };
        if !ids.insert(id) {
            return fail(format!("Nodeid {id} is used by two nodes of the nodelist"));
        }
        let name = map.text(&key("name")).map(str::to_owned);
        nodes.push(Node { id, address, links, name });
    }
    if nodes.is_empty() {
        return fail("No nodelist with ring0_addr is defined");
    }
    Ok(nodes)
}

/// A node id made of an IPv4 address.
fn id_of(address: IpAddr, map: &Map) -> Result<u32, SettingsError> {
    let IpAddr::V4(address) = address else {
        return fail("An IPV6 network requires that a node ID be specified.");
    };
    let id = u32::from(address);
    Ok(if map.text("totem.clear_node_high_bit") == Some("yes") { id & 0x7fff_ffff } else { id })
}

fn resolve(host: &str, version: &str) -> Result<IpAddr, SettingsError> {
    let found: Vec<IpAddr> = match (host, 0u16).to_socket_addrs() {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(error) => return fail(format!("Can't resolve \"{host}\": {error}")),
    };
    let first = |v6: bool| found.iter().copied().find(|address| address.is_ipv6() == v6);
    let chosen = match version {
        "ipv4" => first(false),
        "ipv6" => first(true),
        "ipv4-6" => first(false).or_else(|| first(true)),
        _ => first(true).or_else(|| first(false)),
    };
    chosen.map_or_else(|| fail(format!("\"{host}\" has no address of family {version}")), Ok)
}

/// The own node: by host name if its address is local, else by address.
fn find_own(nodes: &[Node], local: &[IpAddr], host_name: &str) -> Result<usize, SettingsError> {
    let short = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
    let is_local = |node: &Node| node.links.values().any(|address| local.contains(address));
    let named = |exact: bool| {
        nodes.iter().position(|node| {
            let Some(name) = &node.name else { return false };
            let same = if exact { name == host_name } else { short(name) == short(host_name) };
            same && is_local(node)
        })
    };
    named(true).or_else(|| named(false)).or_else(|| nodes.iter().position(is_local)).map_or_else(
        || fail("No address of the nodelist is configured on this host: check ring0_addr of the own node"),
        Ok,
    )
}

fn read_port(map: &Map) -> u16 {
    let port = map.number("totem.interface.0.mcastport").and_then(|port| u16::try_from(port).ok());
    port.filter(|port| *port > 0).unwrap_or(DEFAULT_PORT)
}

fn read_nice(map: &Map) -> Result<Option<i32>, SettingsError> {
    match map.text("system.priority") {
        None => Ok(None),
        Some("max") => Ok(Some(-20)),
        Some("min") => Ok(Some(19)),
        Some(text) => match text.parse::<i32>() {
            Ok(nice) if (-20..=19).contains(&nice) => Ok(Some(nice)),
            _ => fail(format!(
                "Value of key \"system.priority\" should be max, min or -20..19, but \"{text}\" was given"
            )),
        },
    }
}

fn read_transport(map: &Map, kind: &str, own: IpAddr) -> Result<Transport, SettingsError> {
    if kind == "udpu" {
        return Ok(Transport::Udpu);
    }
    let ttl = map.number("totem.interface.0.ttl").and_then(|ttl| u8::try_from(ttl).ok()).unwrap_or(1);
    if map.text("totem.interface.0.broadcast") == Some("yes") {
        return Ok(Transport::Udp { group: IpAddr::V4(Ipv4Addr::BROADCAST), broadcast: true, ttl });
    }
    let group = match (map.text("totem.interface.0.mcastaddr"), map.text("totem.cluster_name")) {
        (Some(text), _) => match text.parse::<IpAddr>() {
            Ok(group) if group.is_multicast() && group.is_ipv4() == own.is_ipv4() => group,
            _ => {
                return fail(format!(
                    "\"{text}\" is not a multicast address of the same family as the nodes"
                ));
            }
        },
        (None, Some(name)) => group_of(name, own.is_ipv6()),
        (None, None) => return fail("No multicast address specified: set cluster_name or mcastaddr"),
    };
    Ok(Transport::Udp { group, broadcast: false, ttl })
}

/// The multicast group that a cluster name stands for.
fn group_of(name: &str, ipv6: bool) -> IpAddr {
    let id = name.bytes().fold(0u16, |id, byte| (id << 1).wrapping_add(u16::from(byte)));
    if ipv6 {
        return IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, id));
    }
    let [high, _] = id.to_be_bytes();
    let low = u8::try_from(id % 255).unwrap_or(0);
    IpAddr::V4(Ipv4Addr::new(239, 192, high, low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(extra: &[(&str, &str)]) -> Map {
        let mut map = Map::default();
        map.set("totem.version", 2u32);
        map.set("totem.transport", "udpu");
        for (position, id) in [(0, 1u32), (1, 2)] {
            map.set(&format!("nodelist.node.{position}.ring0_addr"), format!("10.0.0.{id}").as_str());
            map.set(&format!("nodelist.node.{position}.nodeid"), id);
            map.set(&format!("nodelist.node.{position}.name"), format!("n{id}.example.com").as_str());
        }
        for (key, value) in extra {
            map.set(key, *value);
        }
        map
    }

    fn local(last: u8) -> Vec<IpAddr> {
        vec![IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))]
    }

    #[test]
    fn the_own_node_is_found_by_its_address() {
        let settings = Settings::from_map(&map(&[]), &local(2), "elsewhere").expect("valid");
        assert_eq!((settings.nodeid, settings.position), (2, 1));
        assert!(Settings::from_map(&map(&[]), &local(9), "n1").is_err());
    }

    fn knet(extra: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let mut all = vec![("totem.transport", "knet")];
        all.extend(extra);
        Settings::from_map(&map(&all), &local(1), "")
    }

    #[test]
    fn knet_has_links_with_ports_and_times() {
        let settings =
            knet(&[("nodelist.node.0.ring1_addr", "10.1.0.1"), ("nodelist.node.1.ring1_addr", "10.1.0.2")])
                .expect("valid");
        let Transport::Knet(knet) = &settings.transport else { panic!("knet") };
        let ends: Vec<String> = knet.links.values().map(|link| link.local.to_string()).collect();
        assert_eq!(ends, ["10.0.0.1:5405", "10.1.0.1:5406"]);
        assert_eq!(settings.net_mtu, 65_536);
        let core = knet.core_config(1, &settings.nodes, true);
        assert_eq!(core.hosts.len(), 1);
        assert_eq!(core.hosts[&2][&1].to_string(), "10.1.0.2:5406");
    }

    #[test]
    fn what_knet_cannot_do_is_refused_with_the_way_out() {
        let refused = |extra: &[(&str, &str)]| knet(extra).expect_err("refused").0;
        assert!(refused(&[("totem.interface.0.knet_transport", "sctp")]).contains("knet_transport: udp"));
        assert!(refused(&[("totem.knet_compression_model", "lzma")]).contains("zstd"));
        assert!(refused(&[("totem.crypto_cipher", "aes256")]).contains("requires crypto_hash"));
        let missing = [("totem.secauth", "on"), ("totem.keyfile", "/nonexistent/key")];
        assert!(refused(&missing).contains("corosync-keygen"));
    }

    #[test]
    fn knet_needs_node_ids_of_sixteen_bits() {
        let mut map = map(&[("totem.transport", "knet")]);
        map.set("nodelist.node.1.nodeid", 65_535u32);
        assert!(Settings::from_map(&map, &local(1), "").is_err());
    }

    #[test]
    fn the_cluster_name_makes_the_group() {
        let settings = Settings::from_map(
            &map(&[("totem.transport", "udp"), ("totem.cluster_name", "a")]),
            &local(1),
            "",
        )
        .expect("valid");
        let group = IpAddr::V4(Ipv4Addr::new(239, 192, 0, 97));
        assert_eq!(settings.transport, Transport::Udp { group, broadcast: false, ttl: 1 });
    }

    #[test]
    fn double_node_ids_are_refused() {
        let mut map = map(&[]);
        map.set("nodelist.node.1.nodeid", 1u32);
        assert!(Settings::from_map(&map, &local(1), "").is_err());
    }
}
