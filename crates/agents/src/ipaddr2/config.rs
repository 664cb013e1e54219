//! The agent's parameters, checked.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::Parameters;

const DEFAULT_ARP_COUNT: u64 = 5;
const DEFAULT_ARP_INTERVAL_MS: u64 = 200;
/// Most announcements, whatever is configured.
const MAX_ARP_COUNT: u64 = 1_000;
/// Longest label part after the interface's name.
const MAX_LABEL: usize = 12;

pub(super) struct Config {
    pub ip: IpAddr,
    pub nic: Option<String>,
    pub prefix: Option<u8>,
    pub label: Option<String>,
    pub count: u32,
    pub refresh_count: u32,
    pub interval: Duration,
    pub no_dad: bool,
    pub no_prefix_route: bool,
    pub preferred_s: Option<u32>,
    broadcast: Option<Ipv4Addr>,
}

impl Config {
    /// A text that names the wrong parameter, when one is.
    pub fn read(parameters: &Parameters) -> Result<Config, String> {
        let ip = parameters.text("ip").ok_or("the parameter ip is missing")?;
        let ip: IpAddr = ip.parse().map_err(|_| format!("ip={ip} is not an address"))?;
        let prefix = parameters.text("cidr_netmask").map(|text| prefix(text, ip)).transpose()?;
        let broadcast = parameters.text("broadcast").map(|text| {
            text.parse::<Ipv4Addr>().map_err(|_| format!("broadcast={text} is not an IPv4 address"))
        });
        let number = |name: &str, default: u64| {
            let value = parameters.number(name, default);
            value.ok_or_else(|| format!("{name}={} is not a number", parameters.text(name).unwrap_or("")))
        };
        let label = parameters.text("iflabel").map(str::to_string);
        if label.as_ref().is_some_and(|label| label.len() > MAX_LABEL) {
            return Err(format!("iflabel is longer than {MAX_LABEL} characters"));
        }
        let preferred_s = match parameters.text("preferred_lft") {
            None | Some("forever") => None,
            Some(text) => {
                Some(text.parse().map_err(|_| format!("preferred_lft={text}: seconds or forever"))?)
            }
        };
        Ok(Config {
            ip,
            nic: parameters.text("nic").map(|nic| nic.split(':').next().unwrap_or(nic).to_string()),
            prefix,
            label,
            count: number("arp_count", DEFAULT_ARP_COUNT)?.min(MAX_ARP_COUNT) as u32,
            refresh_count: number("arp_count_refresh", 0)?.min(MAX_ARP_COUNT) as u32,
            interval: Duration::from_millis(number("arp_interval", DEFAULT_ARP_INTERVAL_MS)?),
            no_dad: parameters.is_true("nodad", false),
            no_prefix_route: parameters.is_true("noprefixroute", false),
            preferred_s,
            broadcast: broadcast.transpose()?,
        })
    }

    /// As configured, else the network's last address (none where a network has no room for one).
    pub fn broadcast(&self, prefix: u8) -> Option<Ipv4Addr> {
        let IpAddr::V4(ip) = self.ip else { return None };
        if self.broadcast.is_some() || prefix >= 31 {
            return self.broadcast;
        }
        let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        Some(Ipv4Addr::from_bits(ip.to_bits() | host))
    }
}

/// A prefix length, or a netmask in dotted form.
fn prefix(text: &str, ip: IpAddr) -> Result<u8, String> {
    let most = if ip.is_ipv6() { 128 } else { 32 };
    if let Ok(length) = text.parse::<u8>() {
        return if length <= most { Ok(length) } else { Err(format!("cidr_netmask={text}: at most {most}")) };
    }
    let mask: Ipv4Addr = text.parse().map_err(|_| format!("cidr_netmask={text} is not a prefix length"))?;
    let bits = mask.to_bits();
    let length = bits.leading_ones();
    let is_mask = bits.checked_shl(length).unwrap_or(0) == 0;
    if is_mask { Ok(length as u8) } else { Err(format!("cidr_netmask={text} is not a netmask")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, String> {
        Config::read(&Parameters::new("v", pairs.iter().map(|(k, v)| (k.to_string(), v.to_string()))))
    }

    #[test]
    fn netmasks_in_both_forms() {
        let of = |mask| config(&[("ip", "10.0.0.1"), ("cidr_netmask", mask)]).map(|config| config.prefix);
        assert_eq!(of("24"), Ok(Some(24)));
        assert_eq!(of("255.255.0.0"), Ok(Some(16)));
        assert_eq!(of("255.255.255.255"), Ok(Some(32)));
        assert!(of("33").is_err());
        assert!(of("255.0.255.0").is_err());
        assert!(of("x").is_err());
    }

    #[test]
    fn broadcast_is_the_last_address() {
        let config = config(&[("ip", "172.31.0.100")]).unwrap();
        assert_eq!(config.broadcast(16), Some(Ipv4Addr::new(172, 31, 255, 255)));
        assert_eq!(config.broadcast(32), None);
        assert_eq!(config.broadcast(0), Some(Ipv4Addr::BROADCAST));
    }

    #[test]
    fn wrong_values_name_their_parameter() {
        assert!(config(&[]).err().unwrap().contains("ip"));
        assert!(config(&[("ip", "10.0.0.1"), ("arp_count", "many")]).err().unwrap().contains("arp_count"));
        assert!(
            config(&[("ip", "10.0.0.1"), ("iflabel", "much-too-long")]).err().unwrap().contains("iflabel")
        );
    }
}
