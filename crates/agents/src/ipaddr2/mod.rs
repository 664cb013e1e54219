//! `IPaddr2`: a floating address, with netlink and raw frames instead of a shell.
//!
//! [`run`] carries out an action. Parameters and their meaning are those of the packaged agent
//! (`man ocf_heartbeat_IPaddr2`); what is not understood here is left to that one
//! ([`AGENT`]`.supports`).

mod announce;
mod config;
mod describe;

use std::net::IpAddr;

use base::OcfExit;
use sys::rtnl::{Address, AddressOptions, Link, Rtnl};

use crate::{Agent, Outcome, Parameters};
pub use announce::announce_in_background;
use config::Config;

pub const AGENT: Agent = Agent {
    name: "IPaddr2",
    providers: &["heartbeat", "relevo"],
    metadata: describe::describe,
    run,
    supports,
    is_instant: true,
};

/// No duplicate address detection (IFA_F_NODAD).
const NODAD: u32 = 0x02;

/// Parameters for what only the packaged agent does.
const FOREIGN: &[&str] = &[
    "mac",
    "clusterip_hash",
    "lvs_support",
    "lvs_ipv6_addrlabel",
    "unique_clone_address",
    "flush_routes",
    "run_arping",
    "network_namespace",
    "send_arp_opts",
    "arp_sender",
];

fn supports(parameters: &Parameters) -> bool {
    FOREIGN.iter().all(|name| {
        matches!(parameters.text(name), None | Some("false" | "no" | "0" | "sourceip-sourceport"))
    })
}

/// Carries out an action.
pub fn run(action: &str, parameters: &Parameters) -> Outcome {
    let config = match Config::read(parameters) {
        Ok(config) => config,
        // What cannot be configured cannot be running either.
        Err(_) if action == "stop" => return Outcome::of(OcfExit::OK),
        Err(reason) => return Outcome::because(OcfExit::NOT_CONFIGURED, reason),
    };
    let mut kernel = match Rtnl::open() {
        Ok(kernel) => kernel,
        Err(error) => return Outcome::because(OcfExit::UNKNOWN_ERROR, format!("netlink: {error}")),
    };
    let result = match action {
        "start" => start(&mut kernel, &config),
        "stop" => stop(&mut kernel, &config),
        "monitor" | "status" => monitor(&mut kernel, &config),
        "validate-all" => place(&mut kernel, &config).map(|_| Outcome::of(OcfExit::OK)),
        // Only as a program: the rest of the announcements, after the agent has answered.
        "announce" => return announce::rest(&mut kernel, &config),
        other => return Outcome::because(OcfExit::UNIMPLEMENTED, format!("no action '{other}'")),
    };
    result.unwrap_or_else(|outcome| outcome)
}

fn failed(what: &str) -> impl Fn(sys::Errno) -> Outcome {
    let what = what.to_string();
    move |error| {
        let exit = if matches!(error, sys::Errno::PERM | sys::Errno::ACCESS) {
            OcfExit::INSUFFICIENT_PRIV
        } else {
            OcfExit::UNKNOWN_ERROR
        };
        Outcome::because(exit, format!("{what}: {error}"))
    }
}

/// The address as the kernel has it, on any interface.
fn find(kernel: &mut Rtnl, ip: IpAddr) -> Result<Option<Address>, Outcome> {
    let addresses = kernel.addresses().map_err(failed("cannot list addresses"))?;
    Ok(addresses.into_iter().find(|address| address.ip == ip))
}

fn monitor(kernel: &mut Rtnl, config: &Config) -> Result<Outcome, Outcome> {
    let Some(address) = find(kernel, config.ip)? else { return Ok(Outcome::of(OcfExit::NOT_RUNNING)) };
    if config.refresh_count > 0
        && let Some(link) = links(kernel)?.into_iter().find(|link| link.index == address.index)
    {
        announce::send(&link, config.ip, config.refresh_count, config.interval);
    }
    Ok(Outcome::of(OcfExit::OK))
}

fn stop(kernel: &mut Rtnl, config: &Config) -> Result<Outcome, Outcome> {
    while let Some(address) = find(kernel, config.ip)? {
        match kernel.delete_address(address.index, address.ip, address.prefix) {
            // Somebody else was faster.
            Ok(()) | Err(sys::Errno::ADDRNOTAVAIL) => {}
            Err(error) => return Err(failed(&format!("cannot remove {}", config.ip))(error)),
        }
    }
    Ok(Outcome::of(OcfExit::OK))
}

fn start(kernel: &mut Rtnl, config: &Config) -> Result<Outcome, Outcome> {
    let (link, prefix) = match find(kernel, config.ip)? {
        Some(address) => {
            let link = links(kernel)?.into_iter().find(|link| link.index == address.index);
            (link.ok_or_else(|| Outcome::because(OcfExit::UNKNOWN_ERROR, "the interface has gone"))?, None)
        }
        None => {
            let (link, prefix) = place(kernel, config)?;
            (link, Some(prefix))
        }
    };
    if !link.is_up() {
        kernel.set_up(link.index, true).map_err(failed(&format!("cannot set {} up", link.name)))?;
    }
    if let Some(prefix) = prefix {
        let options = AddressOptions {
            broadcast: config.broadcast(prefix),
            label: config.label.as_ref().map(|label| format!("{}:{label}", link.name)),
            flags: if config.ip.is_ipv6() && config.no_dad { NODAD } else { 0 },
            preferred_s: config.preferred_s,
            no_prefix_route: config.no_prefix_route,
        };
        match kernel.add_address(link.index, config.ip, prefix, &options) {
            Ok(()) | Err(sys::Errno::EXIST) => {}
            Err(error) => {
                return Err(failed(&format!("cannot add {}/{prefix} to {}", config.ip, link.name))(error));
            }
        }
    }
    announce_in_background(&link, config.ip, config.count, config.interval);
    Ok(Outcome::of(OcfExit::OK))
}

fn links(kernel: &mut Rtnl) -> Result<Vec<Link>, Outcome> {
    kernel.links().map_err(failed("cannot list interfaces"))
}

/// The interface and the prefix length: as configured, else from the address or route that is nearest.
fn place(kernel: &mut Rtnl, config: &Config) -> Result<(Link, u8), Outcome> {
    let links = links(kernel)?;
    let longest = if config.ip.is_ipv6() { 128 } else { 32 };
    if let Some(name) = &config.nic {
        let link = links.into_iter().find(|link| link.name == *name);
        let reason = || {
            Outcome::because(
                OcfExit::NOT_CONFIGURED,
                format!("interface {name} does not exist; ip link lists them"),
            )
        };
        let link = link.ok_or_else(reason)?;
        let prefix = match config.prefix {
            Some(prefix) => prefix,
            None => nearest(kernel, config, Some(link.index))?.map_or(longest, |(_, prefix)| prefix),
        };
        return Ok((link, prefix));
    }
    let found = nearest(kernel, config, None)?;
    let link = found.and_then(|(index, _)| links.into_iter().find(|link| link.index == index));
    match (link, found) {
        (Some(link), Some((_, prefix))) => Ok((link, config.prefix.unwrap_or(prefix))),
        _ => {
            let reason = format!(
                "no interface leads to {}: give one (nic=…) or an address of its network to a node",
                config.ip
            );
            Err(Outcome::because(OcfExit::UNKNOWN_ERROR, reason))
        }
    }
}

/// The interface whose route to the address is the longest, and the route's prefix length.
fn nearest(kernel: &mut Rtnl, config: &Config, only: Option<u32>) -> Result<Option<(u32, u8)>, Outcome> {
    let fits = |index: u32| only.is_none_or(|only| only == index);
    let routes = kernel.routes().map_err(failed("cannot list routes"))?;
    let candidates = routes.into_iter().filter(|route| {
        route.gateway.is_none()
            && fits(route.index)
            && route.ipv6 == config.ip.is_ipv6()
            && route.destination.is_some_and(|network| contains(network, route.prefix, config.ip))
    });
    let by_route = candidates.map(|route| (route.prefix, route.index)).max();
    if let Some((prefix, index)) = by_route {
        return Ok(Some((index, prefix)));
    }
    let addresses = kernel.addresses().map_err(failed("cannot list addresses"))?;
    let candidates = addresses.into_iter().filter(|a| fits(a.index) && contains(a.ip, a.prefix, config.ip));
    Ok(candidates.map(|address| (address.prefix, address.index)).max().map(|(prefix, index)| (index, prefix)))
}

/// Whether an address lies in a network.
fn contains(network: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            network.to_bits() & mask == ip.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            network.to_bits() & mask == ip.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(contains(ip("172.31.0.11"), 16, ip("172.31.9.100")));
        assert!(!contains(ip("172.31.0.11"), 24, ip("172.31.9.100")));
        assert!(contains(ip("0.0.0.0"), 0, ip("8.8.8.8")));
        assert!(contains(ip("fd00::1"), 64, ip("fd00::ffff")));
        assert!(!contains(ip("fd00::1"), 64, ip("172.31.0.1")));
    }

    #[test]
    fn wrong_parameters_are_refused_and_stop_is_not() {
        let with = |ip: &str| Parameters::new("vip", [("ip".to_string(), ip.to_string())]);
        assert_eq!(run("start", &with("172.31.0.300")).exit, OcfExit::NOT_CONFIGURED);
        assert_eq!(run("monitor", &with("")).exit, OcfExit::NOT_CONFIGURED);
        assert_eq!(run("stop", &with("x")).exit, OcfExit::OK);
        assert_eq!(run("monitor", &with("192.0.2.77")).exit, OcfExit::NOT_RUNNING);
    }

    #[test]
    fn what_only_the_packaged_agent_does_is_left_to_it() {
        let with = |name: &str, value: &str| Parameters::new("vip", [(name.to_string(), value.to_string())]);
        assert!(supports(&with("lvs_support", "false")));
        assert!(!supports(&with("lvs_support", "true")));
        assert!(!supports(&with("network_namespace", "blue")));
    }
}
