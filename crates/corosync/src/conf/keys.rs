//! Names that may stand in corosync.conf, with the types of their values.

use engine::ValueType;

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An integer of this map type.
    Number(ValueType),
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A DSCP class or number.
    Dscp,
}

use Kind::{Number, Text, Word};
use ValueType::{I32, U8, U16, U32, U64};

const YES_NO: Kind = Word(&["yes", "no"]);
const ON_OFF: Kind = Word(&["on", "off"]);

/// A section: its path without numbers, its keys, and the names of its sub-sections.
pub(super) struct Schema {
    pub(super) path: &'static str,
    pub(super) keys: &'static [(&'static str, Kind)],
    pub(super) sections: &'static [&'static str],
    /// Other keys are taken as text (sections of other programs).
    pub(super) open: bool,
}

const fn schema(
    path: &'static str,
    keys: &'static [(&'static str, Kind)],
    sections: &'static [&'static str],
) -> Schema {
    Schema { path, keys, sections, open: false }
}

const fn open(
    path: &'static str,
    keys: &'static [(&'static str, Kind)],
    sections: &'static [&'static str],
) -> Schema {
    Schema { path, keys, sections, open: true }
}

const TOTEM: &[(&str, Kind)] = &[
    ("version", Number(U32)),
    ("nodeid", Number(U32)),
    ("clear_node_high_bit", YES_NO),
    ("crypto_model", Text),
    ("crypto_hash", Word(&["none", "md5", "sha1", "sha256", "sha384", "sha512"])),
    ("crypto_cipher", Word(&["none", "aes256", "aes192", "aes128"])),
    ("secauth", Word(&["on", "off", "yes", "no"])),
    ("keyfile", Text),
    ("key", Text),
    ("link_mode", Word(&["passive", "active", "rr"])),
    ("netmtu", Number(U32)),
    ("transport", Word(&["knet", "udp", "udpu"])),
    ("cluster_name", Text),
    ("cluster_uuid", Text),
    ("config_version", Number(U64)),
    ("ip_version", Word(&["ipv4", "ipv6", "ipv4-6", "ipv6-4"])),
    ("ip_dscp", Kind::Dscp),
    ("threads", Number(U32)),
    ("token", Number(U32)),
    ("token_warning", Number(U32)),
    ("token_coefficient", Number(U32)),
    ("token_retransmit", Number(U32)),
    ("token_retransmits_before_loss_const", Number(U32)),
    ("hold", Number(U32)),
    ("join", Number(U32)),
    ("send_join", Number(U32)),
    ("consensus", Number(U32)),
    ("merge", Number(U32)),
    ("downcheck", Number(U32)),
    ("fail_recv_const", Number(U32)),
    ("seqno_unchanged_const", Number(U32)),
    ("heartbeat_failures_allowed", Number(U32)),
    ("max_network_delay", Number(U32)),
    ("window_size", Number(U32)),
    ("max_messages", Number(U32)),
    ("miss_count_const", Number(U32)),
    ("block_unlisted_ips", YES_NO),
    ("cancel_token_hold_on_retransmit", YES_NO),
    ("knet_pmtud_interval", Number(U32)),
    ("knet_mtu", Number(U32)),
    ("knet_compression_model", Text),
    ("knet_compression_threshold", Number(U32)),
    ("knet_compression_level", Number(I32)),
    // Spellings of earlier releases, without effect here as there.
    ("vsftype", Text),
    ("rrp_mode", Text),
    ("crypto_type", Text),
];

const INTERFACE: &[(&str, Kind)] = &[
    ("linknumber", Number(U8)),
    ("ringnumber", Number(U8)),
    ("bindnetaddr", Text),
    ("mcastaddr", Text),
    ("broadcast", YES_NO),
    ("mcastport", Number(U16)),
    ("ttl", Number(U8)),
    ("knet_link_priority", Number(U8)),
    ("knet_ping_interval", Number(U32)),
    ("knet_ping_timeout", Number(U32)),
    ("knet_ping_precision", Number(U32)),
    ("knet_pong_count", Number(U32)),
    ("knet_transport", Word(&["udp", "sctp"])),
];

const PRIORITY: Kind =
    Word(&["alert", "crit", "critical", "debug", "emerg", "err", "error", "info", "notice", "warning"]);

const LOGGING: &[(&str, Kind)] = &[
    ("timestamp", Word(&["on", "off", "hires"])),
    ("fileline", ON_OFF),
    ("function_name", ON_OFF),
    ("blackbox", ON_OFF),
    ("to_stderr", YES_NO),
    ("to_logfile", YES_NO),
    ("to_syslog", YES_NO),
    ("logfile", Text),
    ("logfile_priority", PRIORITY),
    ("syslog_facility", Text),
    ("syslog_priority", PRIORITY),
    ("debug", Word(&["on", "off", "trace"])),
];

const SUBSYS: &[(&str, Kind)] = &[
    ("subsys", Text),
    ("name", Text),
    ("to_stderr", YES_NO),
    ("to_logfile", YES_NO),
    ("to_syslog", YES_NO),
    ("logfile", Text),
    ("logfile_priority", PRIORITY),
    ("syslog_facility", Text),
    ("syslog_priority", PRIORITY),
    ("debug", Word(&["on", "off", "trace"])),
];

const QUORUM: &[(&str, Kind)] = &[
    ("provider", Text),
    ("expected_votes", Number(U32)),
    ("votes", Number(U32)),
    ("two_node", Number(U8)),
    ("wait_for_all", Number(U8)),
    ("last_man_standing", Number(U8)),
    ("last_man_standing_window", Number(U32)),
    ("auto_tie_breaker", Number(U8)),
    ("auto_tie_breaker_node", Text),
    ("allow_downscale", Number(U8)),
    ("expected_votes_tracking", Number(U8)),
    ("leaving_timeout", Number(U32)),
    ("cancel_wait_for_all", Number(U8)),
];

const DEVICE: &[(&str, Kind)] = &[
    ("model", Text),
    ("timeout", Number(U32)),
    ("sync_timeout", Number(U32)),
    ("votes", Number(U32)),
    ("master_wins", Number(U8)),
];

const NODE: &[(&str, Kind)] = &[
    ("nodeid", Number(U32)),
    ("name", Text),
    ("quorum_votes", Number(U32)),
    ("ring0_addr", Text),
    ("ring1_addr", Text),
    ("ring2_addr", Text),
    ("ring3_addr", Text),
    ("ring4_addr", Text),
    ("ring5_addr", Text),
    ("ring6_addr", Text),
    ("ring7_addr", Text),
];

const SYSTEM: &[(&str, Kind)] = &[
    ("qb_ipc_type", Word(&["native", "shm", "socket"])),
    ("sched_rr", YES_NO),
    ("priority", Text),
    ("move_to_root_cgroup", Word(&["yes", "no", "auto"])),
    ("allow_knet_handle_fallback", YES_NO),
    ("state_dir", Text),
];

const NOZZLE: &[(&str, Kind)] = &[("name", Text), ("ipaddr", Text), ("ipprefix", Text), ("macaddr", Text)];

pub(super) const SCHEMAS: &[Schema] = &[
    schema(
        "",
        &[],
        &[
            "totem",
            "logging",
            "quorum",
            "nodelist",
            "system",
            "resources",
            "uidgid",
            "nozzle",
            "pload",
            "service",
            "aisexec",
            "amf",
        ],
    ),
    schema("totem", TOTEM, &["interface"]),
    schema("totem.interface", INTERFACE, &["member"]),
    schema("totem.interface.member", &[("memberaddr", Text)], &[]),
    schema("logging", LOGGING, &["logger_subsys", "logging_daemon"]),
    schema("logging.logger_subsys", SUBSYS, &[]),
    schema("logging.logging_daemon", SUBSYS, &[]),
    schema("quorum", QUORUM, &["device"]),
    open("quorum.device", DEVICE, &["net", "heuristics", "disk"]),
    open("quorum.device.net", &[], &[]),
    open("quorum.device.heuristics", &[], &[]),
    open("quorum.device.disk", &[], &[]),
    schema("nodelist", &[], &["node"]),
    schema("nodelist.node", NODE, &[]),
    schema("system", SYSTEM, &[]),
    open(
        "resources",
        &[("watchdog_timeout", Number(U32)), ("watchdog_device", Text)],
        &["system", "process"],
    ),
    open("resources.system", &[("poll_period", Number(U64))], &["memory_used", "load_15min"]),
    open("resources.process", &[("poll_period", Number(U64))], &["memory_used"]),
    open("resources.system.memory_used", &[("poll_period", Number(U64))], &[]),
    open("resources.system.load_15min", &[("poll_period", Number(U64))], &[]),
    open("resources.process.memory_used", &[("poll_period", Number(U64))], &[]),
    schema("uidgid", &[("uid", Text), ("gid", Text)], &[]),
    schema("nozzle", NOZZLE, &[]),
    schema("pload", &[("count", Number(U32)), ("size", Number(U32))], &[]),
    open("service", &[], &[]),
    open("aisexec", &[], &[]),
    open("amf", &[], &[]),
];

pub(super) fn find(path: &str) -> Option<&'static Schema> {
    SCHEMAS.iter().find(|schema| schema.path == path)
}

/// DSCP classes (RFC 4594) by name.
pub(super) const DSCP_NAMES: [(&str, u8); 21] = [
    ("cs0", 0),
    ("cs1", 8),
    ("cs2", 16),
    ("cs3", 24),
    ("cs4", 32),
    ("cs5", 40),
    ("cs6", 48),
    ("cs7", 56),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("ef", 46),
];

/// The candidate that is nearest to a misspelt name, if it is near enough to be meant.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = name.len().div_ceil(3).max(1);
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .min()
        .filter(|(distance, _)| *distance <= limit)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = core::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_are_recognised() {
        let keys = || TOTEM.iter().map(|(name, _)| *name);
        assert_eq!(nearest("tokn", keys()), Some("token"));
        assert_eq!(nearest("clustername", keys()), Some("cluster_name"));
        assert_eq!(nearest("zzzzzz", keys()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
