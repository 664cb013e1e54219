//! The agent's metadata: names, types and defaults of the packaged agent, described in our words.

use crate::environment::{Described, metadata};

const fn row(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    short: &'static str,
) -> Described {
    Described { name, kind, required: false, unique: false, default, short, long: short }
}

const PARAMETERS: &[Described] = &[
    Described {
        name: "ip",
        kind: "string",
        required: true,
        unique: true,
        default: "",
        short: "IPv4 or IPv6 address",
        long: "The address that floats, for instance 192.168.1.1 or fd00::1.",
    },
    Described {
        name: "nic",
        kind: "string",
        required: false,
        unique: false,
        default: "",
        short: "Network interface",
        long: "Interface that gets the address, for instance eth0. Left out: the interface of the nearest route to it.",
    },
    Described {
        name: "cidr_netmask",
        kind: "string",
        required: false,
        unique: false,
        default: "",
        short: "Prefix length or netmask",
        long: "Length of the network part, for instance 24. Left out: that of the nearest route to the address.",
    },
    row("broadcast", "string", "", "Broadcast address, if not the network's last one"),
    row("iflabel", "string", "", "Label after the interface's name, for tools that show labels"),
    row(
        "lvs_support",
        "boolean",
        "false",
        "Keep the address on the loop-back of nodes that do not serve it (LVS)",
    ),
    row("lvs_ipv6_addrlabel", "boolean", "false", "Add an IPv6 address label for LVS"),
    row("lvs_ipv6_addrlabel_value", "integer", "99", "Value of that label"),
    row("mac", "string", "", "Multicast hardware address of an address that all nodes share"),
    row(
        "clusterip_hash",
        "string",
        "sourceip-sourceport",
        "How clients are spread over nodes that share an address",
    ),
    row("unique_clone_address", "boolean", "false", "Each clone instance takes the next address"),
    row("arp_interval", "integer", "200", "Time between announcements, in ms"),
    row("arp_count", "integer", "5", "Announcements after a start"),
    row("arp_count_refresh", "integer", "0", "Announcements at each monitor"),
    row("arp_bg", "string", "true", "Send announcements after the first in the background"),
    row("arp_sender", "string", "", "Program that sends announcements"),
    row("send_arp_opts", "string", "", "Further options of that program"),
    row("flush_routes", "boolean", "false", "Flush the routing cache on stop"),
    row("run_arping", "boolean", "false", "Look for another owner of an IPv4 address before taking it"),
    row("nodad", "boolean", "false", "Do not wait for IPv6 duplicate address detection"),
    row("noprefixroute", "boolean", "false", "Add no route for the address's network"),
    row("preferred_lft", "string", "forever", "Preferred lifetime of an IPv6 address, in seconds"),
    row("network_namespace", "string", "", "Network namespace to work in"),
];

const ACTIONS: &[(&str, &str, &str, &str)] = &[
    ("start", "20s", "", ""),
    ("stop", "20s", "", ""),
    ("status", "20s", "10s", ""),
    ("monitor", "20s", "10s", ""),
    ("meta-data", "5s", "", ""),
    ("validate-all", "20s", "", ""),
];

pub(super) fn describe() -> String {
    metadata(
        "IPaddr2",
        "Floating IPv4 or IPv6 address (Linux)",
        "Gives an address to an interface, tells the neighbours, and takes it away again.",
        PARAMETERS,
        ACTIONS,
    )
}
