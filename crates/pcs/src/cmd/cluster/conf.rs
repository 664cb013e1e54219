//! `corosync.conf` of a new cluster. (pcs(8), "cluster setup"; corosync.conf(5).)

use crate::report::{Issue, Issues, did_you_mean, quoted_list};
use crate::words::Pairs;

/// A node as given: its name and the addresses of its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub addresses: Vec<String>,
}

/// What the user wants of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub name: String,
    pub nodes: Vec<Node>,
    pub transport: String,
    pub transport_options: Pairs,
    pub links: Vec<Pairs>,
    pub compression: Pairs,
    pub crypto: Pairs,
    pub totem: Pairs,
    pub quorum: Pairs,
    /// Written as `cluster_uuid`; none leaves it out.
    pub uuid: Option<String>,
}

const TRANSPORTS: &[&str] = &["knet", "udp", "udpu"];
const LOG_FILE: &str = "/var/log/corosync/corosync.log";
const TOTEM: &[&str] = &[
    "block_unlisted_ips",
    "consensus",
    "downcheck",
    "fail_recv_const",
    "heartbeat_failures_allowed",
    "hold",
    "join",
    "max_messages",
    "max_network_delay",
    "merge",
    "miss_count_const",
    "send_join",
    "seqno_unchanged_const",
    "token",
    "token_coefficient",
    "token_retransmit",
    "token_retransmits_before_loss_const",
    "window_size",
];
const QUORUM: &[&str] =
    &["auto_tie_breaker", "last_man_standing", "last_man_standing_window", "wait_for_all"];
const KNET: &[&str] = &["ip_version", "knet_pmtud_interval", "link_mode"];
const UDP: &[&str] = &["ip_version", "netmtu"];
const CRYPTO: &[&str] = &["cipher", "hash", "model"];
const COMPRESSION: &[&str] = &["level", "model", "threshold"];
const LINK_KNET: &[&str] = &[
    "link_priority",
    "linknumber",
    "mcastport",
    "ping_interval",
    "ping_precision",
    "ping_timeout",
    "pong_count",
    "transport",
];
const LINK_UDP: &[&str] = &["bindnetaddr", "broadcast", "mcastaddr", "mcastport", "ttl"];
/// Most links of one node.
const LINKS_MAX: usize = 8;
/// Longest name that other programs accept without trouble (GFS2 needs it).
const NAME_GFS2_MAX: usize = 32;

impl Plan {
    /// Everything that speaks against the plan.
    pub fn check(&self) -> Issues {
        let mut issues = Issues::default();
        if self.name.is_empty() {
            issues.push(Issue::new("cluster name cannot be empty"));
        } else if self.name.contains(['/', '\n', '{', '}']) {
            issues.push(Issue::new(format!(
                "'{}' is not a valid cluster name value",
                self.name.escape_debug()
            )));
        } else if self.name.len() > NAME_GFS2_MAX
            || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        {
            issues.push(Issue::forceable(format!(
                "Chosen cluster name '{}' will prevent mounting GFS2 volumes in the cluster, use at most \
                 32 of a-z A-Z characters, digits, dashes and underscores for a GFS2 compatible cluster name",
                self.name
            )));
        }
        if !TRANSPORTS.contains(&self.transport.as_str()) {
            let near = did_you_mean(&self.transport, TRANSPORTS.iter().copied());
            issues.push(Issue::new(format!(
                "'{}' is not a valid transport value, use {}{near}",
                self.transport,
                quoted_list(TRANSPORTS)
            )));
        }
        self.check_nodes(&mut issues);
        let knet = self.transport == "knet";
        names(
            &self.transport_options,
            if knet { KNET } else { UDP },
            &format!("{} transport", self.transport),
            &mut issues,
        );
        names(&self.totem, TOTEM, "totem", &mut issues);
        names(&self.quorum, QUORUM, "quorum", &mut issues);
        for link in &self.links {
            names(link, if knet { LINK_KNET } else { LINK_UDP }, "link", &mut issues);
        }
        if knet {
            names(&self.crypto, CRYPTO, "crypto", &mut issues);
            names(&self.compression, COMPRESSION, "compression", &mut issues);
        } else {
            for (what, given) in [("compression", &self.compression), ("crypto", &self.crypto)] {
                if !given.is_empty() {
                    issues.push(Issue::new(format!(
                        "The {}/{} transport does not support '{what}' options, use 'knet' transport",
                        "udp", "udpu"
                    )));
                }
            }
            if self.links.len() > 1 {
                issues.push(Issue::new("Cannot set more than one link for the udp/udpu transport"));
            }
        }
        for (name, value) in self.totem.iter().chain(self.quorum.iter()).chain(self.transport_options.iter())
        {
            if value.is_empty() || value.contains(['\n', '\r', '{', '}']) {
                issues.push(Issue::new(format!("'{}' is not a valid {name} value", value.escape_debug())));
            }
        }
        issues
    }

    fn check_nodes(&self, issues: &mut Issues) {
        let mut seen: Vec<&str> = Vec::new();
        let most = if self.transport == "knet" { LINKS_MAX } else { 1 };
        let count = self.nodes.first().map_or(0, |n| n.addresses.len());
        for node in &self.nodes {
            if node.addresses.is_empty() || node.addresses.len() > most {
                let allowed = if most == 1 {
                    "1 address".to_string()
                } else {
                    format!("between 1 and {most} addresses")
                };
                issues.push(Issue::new(format!(
                    "{} addresses specified for node '{}', {allowed} can be specified for {} transport",
                    node.addresses.len(),
                    node.name,
                    self.transport
                )));
            } else if node.addresses.len() != count {
                issues.push(Issue::new("All nodes must have the same number of addresses"));
            }
            for address in &node.addresses {
                if address.is_empty() || address.contains(|c: char| c.is_whitespace() || "{}".contains(c)) {
                    issues.push(Issue::new(format!(
                        "'{}' is not a valid address of node '{}'",
                        address.escape_debug(),
                        node.name
                    )));
                } else if seen.contains(&address.as_str()) {
                    issues.push(Issue::new(format!(
                        "Node addresses must be unique, duplicate addresses: '{address}'"
                    )));
                }
                seen.push(address);
            }
        }
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut out = String::from("totem {\n    version: 2\n");
        let line = |out: &mut String, key: &str, value: &str| out.push_str(&format!("    {key}: {value}\n"));
        line(&mut out, "cluster_name", &self.name);
        line(&mut out, "transport", &self.transport);
        for (key, value) in self.totem.sorted() {
            line(&mut out, key, value);
        }
        for (key, value) in self.transport_options.sorted() {
            line(&mut out, key, value);
        }
        for (key, value) in self.compression.sorted() {
            line(&mut out, &format!("knet_compression_{key}"), value);
        }
        for (key, value) in self.crypto.sorted() {
            line(&mut out, &format!("crypto_{key}"), value);
        }
        if let Some(uuid) = &self.uuid {
            line(&mut out, "cluster_uuid", uuid);
        }
        for (number, link) in self.links.iter().enumerate() {
            out.push_str("\n    interface {\n");
            if !link.has("linknumber") {
                out.push_str(&format!("        linknumber: {number}\n"));
            }
            for (key, value) in link.sorted() {
                let key = if self.transport == "knet" && !matches!(key, "linknumber" | "mcastport") {
                    format!("knet_{}", key.trim_start_matches("link_").replace("priority", "link_priority"))
                } else {
                    key.to_string()
                };
                out.push_str(&format!("        {key}: {value}\n"));
            }
            out.push_str("    }\n");
        }
        out.push_str("}\n\nnodelist {\n");
        for (index, node) in self.nodes.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            out.push_str("    node {\n");
            for (link, address) in node.addresses.iter().enumerate() {
                out.push_str(&format!("        ring{link}_addr: {address}\n"));
            }
            out.push_str(&format!("        name: {}\n        nodeid: {}\n    }}\n", node.name, index + 1));
        }
        out.push_str("}\n\nquorum {\n    provider: corosync_votequorum\n");
        if self.nodes.len() == 2 && self.quorum.value("auto_tie_breaker").is_none_or(|v| v != "1") {
            line(&mut out, "two_node", "1");
        }
        for (key, value) in self.quorum.sorted() {
            line(&mut out, key, value);
        }
        out.push_str("}\n\nlogging {\n    to_logfile: yes\n");
        line(&mut out, "logfile", LOG_FILE);
        out.push_str("    to_syslog: yes\n    timestamp: on\n}\n");
        out
    }
}

fn names(given: &Pairs, allowed: &[&str], kind: &str, issues: &mut Issues) {
    let unknown: Vec<&str> = given.iter().map(|(n, _)| n).filter(|n| !allowed.contains(n)).collect();
    if let Some(mut issue) = crate::agent::invalid_options(&unknown, allowed.iter().copied(), kind) {
        issue.forceable = false;
        issues.push(issue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let node = |name: &str, address: &str| Node { name: name.into(), addresses: vec![address.into()] };
        Plan {
            name: "cluster1".into(),
            nodes: vec![node("nodo1.example.com", "172.31.0.11"), node("nodo2.example.com", "172.31.0.12")],
            transport: "udp".into(),
            uuid: Some("4736200a2b48436fa1a5d74509f95b7d".into()),
            ..Plan::default()
        }
    }

    #[test]
    fn the_tutorials_file() {
        assert!(plan().check().0.is_empty());
        assert_eq!(
            plan().text(),
            "totem {
    version: 2
    cluster_name: cluster1
    transport: udp
    cluster_uuid: 4736200a2b48436fa1a5d74509f95b7d
}

nodelist {
    node {
        ring0_addr: 172.31.0.11
        name: nodo1.example.com
        nodeid: 1
    }

    node {
        ring0_addr: 172.31.0.12
        name: nodo2.example.com
        nodeid: 2
    }
}

quorum {
    provider: corosync_votequorum
    two_node: 1
}

logging {
    to_logfile: yes
    logfile: /var/log/corosync/corosync.log
    to_syslog: yes
    timestamp: on
}
"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut wrong = plan();
        wrong.transport = "upd".into();
        assert!(!wrong.check().0.is_empty());
        let mut wrong = plan();
        wrong.nodes[1].addresses = vec!["172.31.0.11".into()];
        assert!(!wrong.check().0.is_empty());
        let mut wrong = plan();
        wrong.totem.set("tokn", "1000");
        assert_eq!(wrong.check().0[0].near.as_deref(), Some("token"));
        let mut wrong = plan();
        wrong.name = "a\nb".into();
        assert!(!wrong.check().0.is_empty());
        let mut wrong = plan();
        wrong.nodes[0].addresses.push("10.0.0.1".into());
        assert!(!wrong.check().0.is_empty());
    }
}
