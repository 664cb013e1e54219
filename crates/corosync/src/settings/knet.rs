//! Keys of the knet transport.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use engine::Map;
use knet::{CipherKind, Compression, HashKind, Keys, LinkConfig, Method, Policy};
use totem::Timing;

use super::{DEFAULT_PORT, Node, SettingsError, fail};

/// Key file when the configuration names none.
const DEFAULT_KEY_FILE: &str = "/etc/corosync/authkey";
/// Defaults of corosync.conf(5).
const PONG_COUNT: u32 = 2;
const PING_PRECISION: u32 = 2048;
const MTU_INTERVAL_S: u32 = 30;
/// Node ids of knet have 16 bits.
const NODE_MAX: u32 = 65_535;
const LINKS: u8 = knet::wire::LINKS_MAX;

/// A local end of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// Own address and port; others listen on the same port.
    pub local: SocketAddr,
    pub config: LinkConfig,
}

/// What the keys mean for knet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnetSettings {
    pub policy: Policy,
    pub links: BTreeMap<u8, LinkSettings>,
    pub keys: Option<Keys>,
    pub compression: Option<Compression>,
    /// 0: find out.
    pub fixed_mtu: usize,
    pub mtu_interval: Duration,
}

impl KnetSettings {
    /// Works out the settings of the own node.
    ///
    /// # Errors
    /// The first thing that is missing, contradictory or not available.
    pub fn from_map(map: &Map, own: &Node, nodes: &[Node], timing: &Timing) -> Result<Self, SettingsError> {
        if let Some(node) = nodes.iter().find(|node| node.id >= NODE_MAX) {
            return fail(format!(
                "Knet requires nodeid to be less than {NODE_MAX}, but there is {}.",
                node.id
            ));
        }
        let mode = map.text("totem.link_mode").unwrap_or("passive");
        let Some(policy) = Policy::from_name(mode) else {
            return fail(format!(
                "The Knet link mode \"{mode}\" specified is invalid.  It must be active, passive or rr."
            ));
        };
        let mut links = BTreeMap::new();
        for (number, address) in &own.links {
            links.insert(*number, read_link(map, *number, *address, timing)?);
        }
        let interval_s = map.u32("totem.knet_pmtud_interval").filter(|s| *s > 0).unwrap_or(MTU_INTERVAL_S);
        Ok(Self {
            policy,
            links,
            keys: read_keys(map)?,
            compression: read_compression(map)?,
            fixed_mtu: usize::try_from(map.u32("totem.knet_mtu").unwrap_or(0)).unwrap_or(0),
            mtu_interval: Duration::from_secs(u64::from(interval_s)),
        })
    }

    /// What the core is told.
    #[must_use]
    pub fn core_config(&self, own: u32, nodes: &[Node], block_unlisted: bool) -> knet::Config {
        let short = |id: u32| u16::try_from(id).unwrap_or(0);
        let mut hosts = BTreeMap::new();
        for node in nodes.iter().filter(|node| node.id != own) {
            let ends = node.links.iter().filter_map(|(number, address)| {
                let link = self.links.get(number)?;
                Some((*number, SocketAddr::new(*address, link.local.port())))
            });
            hosts.insert(short(node.id), ends.collect());
        }
        knet::Config {
            node: short(own),
            policy: self.policy,
            links: self.links.iter().map(|(number, link)| (*number, link.config)).collect(),
            hosts,
            fixed_mtu: self.fixed_mtu,
            mtu_interval: self.mtu_interval,
            compression: self.compression,
            any_source: !block_unlisted,
        }
    }

    /// Why a reload may not lead from these nodes to those: a working link keeps its addresses.
    pub(super) fn forbids(&self, old: &[Node], next: &Self, new: &[Node]) -> Option<String> {
        for (number, link) in &next.links {
            let moved = new.iter().find_map(|node| {
                let before = old.iter().find(|other| other.id == node.id)?.links.get(number)?;
                let after = node.links.get(number)?;
                (before != after).then(|| format!("addr changed from {before} to {after}"))
            });
            let before = self.links.get(number).map(|link| link.local.port());
            let after = link.local.port();
            let port = before.filter(|before| *before != after);
            let port = port.map(|before| format!("port changed from {before} to {after}"));
            if let Some(what) = moved.or(port) {
                return Some(format!(
                    "new config has different address for link {number} ({what}). To reconfigure an interface it must be deleted and recreated. A working interface needs to be available to corosync at all times"
                ));
            }
        }
        let stays = self.links.keys().any(|number| next.links.contains_key(number));
        (!stays).then(|| "A working interface needs to be available to corosync at all times".to_owned())
    }

    /// Puts the effective values where clients look for them.
    pub(super) fn publish(&self, map: &mut Map) {
        let ms = |value: Duration| u32::try_from(value.as_millis()).unwrap_or(u32::MAX);
        for (number, link) in &self.links {
            let prefix = format!("runtime.config.totem.interface.{number}");
            map.set(&format!("{prefix}.knet_ping_timeout"), ms(link.config.ping_timeout));
            map.set(&format!("{prefix}.knet_ping_interval"), ms(link.config.ping_interval));
            let bind = format!("totem.interface.{number}.bindnetaddr");
            if map.get(&bind).is_none() {
                map.set(&bind, link.local.ip().to_string().as_str());
            }
        }
        let numbers = [
            ("knet_pmtud_interval", u32::try_from(self.mtu_interval.as_secs()).unwrap_or(u32::MAX)),
            ("knet_mtu", u32::try_from(self.fixed_mtu).unwrap_or(0)),
            ("knet_compression_threshold", map.u32("totem.knet_compression_threshold").unwrap_or(0)),
        ];
        for (name, value) in numbers {
            map.set(&format!("runtime.config.totem.{name}"), value);
        }
        let level = map.number("totem.knet_compression_level").and_then(|level| i32::try_from(level).ok());
        map.set("runtime.config.totem.knet_compression_level", level.unwrap_or(0));
        let model = map.text("totem.knet_compression_model").unwrap_or("none").to_owned();
        map.set("runtime.config.totem.knet_compression_model", model.as_str());
    }
}

/// Addresses of a node by link, as their keys name them.
pub(super) fn address_keys(position: usize) -> impl Iterator<Item = (u8, String)> {
    (0..LINKS).map(move |link| (link, format!("nodelist.node.{position}.ring{link}_addr")))
}

fn read_link(map: &Map, number: u8, address: IpAddr, timing: &Timing) -> Result<LinkSettings, SettingsError> {
    let key = |name: &str| format!("totem.interface.{number}.{name}");
    if map.text(&key("knet_transport")) == Some("sctp") {
        return fail(format!(
            "knet_transport sctp is not available here: set \"knet_transport: udp\" for link {number}"
        ));
    }
    let value = |name: &str| map.u32(&key(name)).filter(|value| *value > 0);
    let port = map.number(&key("mcastport")).and_then(|port| u16::try_from(port).ok());
    let port = port.filter(|port| *port > 0).unwrap_or(DEFAULT_PORT + u16::from(number));
    let token_ms = u32::try_from(timing.kin_token.as_millis()).unwrap_or(u32::MAX);
    let pong_count = value("knet_pong_count").unwrap_or(PONG_COUNT);
    let timeout_ms = value("knet_ping_timeout").unwrap_or(token_ms / pong_count).max(1);
    let interval_ms =
        value("knet_ping_interval").unwrap_or(token_ms / pong_count.saturating_mul(2).max(1)).max(1);
    let ms = |value: u32| Duration::from_millis(u64::from(value));
    let priority = map.number(&key("knet_link_priority")).and_then(|value| u8::try_from(value).ok());
    Ok(LinkSettings {
        local: SocketAddr::new(address, port),
        config: LinkConfig {
            priority: priority.unwrap_or(1),
            ping_interval: ms(interval_ms),
            ping_timeout: ms(timeout_ms),
            ping_precision: value("knet_ping_precision").unwrap_or(PING_PRECISION),
            pong_count,
        },
    })
}

/// Cipher, hash and key; `None` if nothing is protected.
fn read_keys(map: &Map) -> Result<Option<Keys>, SettingsError> {
    let model = map.text("totem.crypto_model").unwrap_or("nss");
    if !["nss", "openssl"].contains(&model) {
        return fail(format!(
            "Invalid crypto model \"{model}\". Should be nss or openssl (both make the same bytes)"
        ));
    }
    let secauth = map.text("totem.secauth") == Some("on");
    let cipher = map.text("totem.crypto_cipher").unwrap_or(if secauth { "aes256" } else { "none" });
    let hash = map.text("totem.crypto_hash").unwrap_or(if secauth { "sha256" } else { "none" });
    let Some(cipher) = CipherKind::from_name(cipher) else {
        return fail(format!("Invalid cipher type \"{cipher}\". Should be none, aes256, aes192 or aes128"));
    };
    if hash == "none" {
        return match cipher {
            CipherKind::None => Ok(None),
            _ => fail("crypto_cipher requires crypto_hash with value other than none"),
        };
    }
    let Some(hash) = HashKind::from_name(hash) else {
        return fail(format!(
            "Invalid hash type \"{hash}\". Should be none, md5, sha1, sha256, sha384 or sha512"
        ));
    };
    let keys = Keys { cipher, hash, key: read_key(map)? };
    knet::Crypto::new(&keys).map_err(|error| SettingsError(error.to_string()))?;
    Ok(Some(keys))
}

fn read_key(map: &Map) -> Result<Vec<u8>, SettingsError> {
    let file = map.text("totem.keyfile");
    if let (None, Some(key)) = (file, map.text("totem.key")) {
        return Ok(key.as_bytes().to_vec());
    }
    let path = file.unwrap_or(DEFAULT_KEY_FILE);
    let limit = u64::try_from(knet::KEY_MAX_BYTES).unwrap_or(u64::MAX);
    let read = std::fs::File::open(path).and_then(|file| {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        // The reference takes no more of a longer file either.
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) if bytes.len() < knet::KEY_MIN_BYTES => fail(format!(
            "Could only read {} bits of minimum {} bits from {path}; make a new key with corosync-keygen.",
            bytes.len() * 8,
            knet::KEY_MIN_BYTES * 8
        )),
        Ok(bytes) => Ok(bytes),
        Err(error) => fail(format!("Could not open {path}: {error}; make a key with corosync-keygen")),
    }
}

fn read_compression(map: &Map) -> Result<Option<Compression>, SettingsError> {
    let name = map.text("totem.knet_compression_model").unwrap_or("none");
    let method = Method::from_name(name).map_err(|error| SettingsError(error.to_string()))?;
    let level = map.number("totem.knet_compression_level").and_then(|level| i32::try_from(level).ok());
    let threshold = map.u32("totem.knet_compression_threshold").filter(|bytes| *bytes > 0);
    let threshold_bytes =
        threshold.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(knet::DEFAULT_THRESHOLD_BYTES);
    Ok(method.map(|method| Compression { method, level: level.unwrap_or(0), threshold_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// A key file is taken as it is, the longest key's length of it, and refused with its size if it is too short.
        #[test]
        fn any_key_file(len in 0..knet::KEY_MAX_BYTES + 100, seed: u8) {
            let path = std::env::temp_dir().join(format!("relevo-any-key-{}", std::process::id()));
            let bytes: Vec<u8> = (0..len).map(|n| seed.wrapping_mul(31).wrapping_add(n.to_le_bytes()[0])).collect();
            std::fs::write(&path, &bytes).expect("writable");
            let mut map = Map::default();
            map.set("totem.keyfile", path.to_str().expect("a text"));
            map.set("totem.key", "the file goes before");
            let read = read_key(&map);
            std::fs::remove_file(&path).expect("removable");
            if len < knet::KEY_MIN_BYTES {
                let text = read.expect_err("too short").0;
                prop_assert!(text.contains(&format!("{} bits of minimum 1024 bits", 8 * len)), "{}", text);
            } else {
                prop_assert_eq!(read.expect("long enough"), &bytes[..len.min(knet::KEY_MAX_BYTES)]);
            }
            prop_assert!(read_key(&map).is_err(), "the file is gone");
        }

        #[test]
        fn a_key_in_the_configuration(text in "\\PC{1,40}") {
            let mut map = Map::default();
            map.set("totem.key", text.as_str());
            prop_assert_eq!(read_key(&map).expect("a key"), text.as_bytes());
        }
    }
}
