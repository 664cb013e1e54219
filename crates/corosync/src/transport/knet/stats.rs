//! Statistics of links under the reference's keys (cmap_keys(7)).

use std::collections::BTreeMap;

use engine::Value;
use knet::{Knet, LinkStats, LinkStatus};
use totem::Instant;

/// Bytes of the UDP and IP headers are not counted, as in the reference.
pub(super) fn add(core: &Knet, own: u32, values: &mut BTreeMap<String, Value>, now: Instant) {
    for status in core.links(now) {
        add_link(u32::from(status.host), &status, values);
    }
    add_own(own, values);
    add_handle(core, values);
}

fn add_link(node: u32, status: &LinkStatus, values: &mut BTreeMap<String, Value>) {
    let prefix = format!("stats.knet.node{node}.link{}", status.link);
    let mut put = |name: &str, value: Value| {
        values.insert(format!("{prefix}.{name}"), value);
    };
    put("enabled", Value::from(1u8));
    put("connected", Value::from(u8::from(status.connected)));
    put("mtu", Value::from(status.mtu));
    for (name, value) in counters(&status.stats) {
        put(name, Value::from(value));
    }
    let stats = &status.stats;
    for (name, value) in [
        ("tx_pmtu_errors", stats.tx_pmtu_errors),
        ("tx_pmtu_retries", 0),
        ("tx_ping_errors", stats.tx_ping_errors),
        ("tx_ping_retries", 0),
        ("tx_pong_errors", 0),
        ("tx_pong_retries", 0),
        ("tx_data_errors", stats.tx_data_errors),
        ("tx_data_retries", 0),
        ("latency_min", stats.latency_min_us),
        ("latency_max", stats.latency_max_us),
        ("latency_ave", status.latency_us),
        ("latency_samples", status.latency_samples),
        ("down_count", stats.down_count),
        ("up_count", stats.up_count),
    ] {
        put(name, Value::from(value));
    }
    if let Some(fault) = status.fault {
        put("fault", Value::string(fault.text()));
    }
}

fn counters(stats: &LinkStats) -> [(&'static str, u64); 22] {
    let total = |values: [u64; 4]| values.iter().sum::<u64>();
    let errors =
        u64::from(stats.tx_data_errors) + u64::from(stats.tx_ping_errors) + u64::from(stats.tx_pmtu_errors);
    [
        ("tx_data_packets", stats.tx_data_packets),
        ("rx_data_packets", stats.rx_data_packets),
        ("tx_data_bytes", stats.tx_data_bytes),
        ("rx_data_bytes", stats.rx_data_bytes),
        ("tx_ping_packets", stats.tx_ping_packets),
        ("rx_ping_packets", stats.rx_ping_packets),
        ("tx_ping_bytes", stats.tx_ping_bytes),
        ("rx_ping_bytes", stats.rx_ping_bytes),
        ("tx_pong_packets", stats.tx_pong_packets),
        ("rx_pong_packets", stats.rx_pong_packets),
        ("tx_pong_bytes", stats.tx_pong_bytes),
        ("rx_pong_bytes", stats.rx_pong_bytes),
        ("tx_pmtu_packets", stats.tx_pmtu_packets),
        ("rx_pmtu_packets", stats.rx_pmtu_packets),
        ("tx_pmtu_bytes", stats.tx_pmtu_bytes),
        ("rx_pmtu_bytes", stats.rx_pmtu_bytes),
        (
            "tx_total_packets",
            total([
                stats.tx_data_packets,
                stats.tx_ping_packets,
                stats.tx_pong_packets,
                stats.tx_pmtu_packets,
            ]),
        ),
        (
            "rx_total_packets",
            total([
                stats.rx_data_packets,
                stats.rx_ping_packets,
                stats.rx_pong_packets,
                stats.rx_pmtu_packets,
            ]),
        ),
        (
            "tx_total_bytes",
            total([stats.tx_data_bytes, stats.tx_ping_bytes, stats.tx_pong_bytes, stats.tx_pmtu_bytes]),
        ),
        (
            "rx_total_bytes",
            total([stats.rx_data_bytes, stats.rx_ping_bytes, stats.rx_pong_bytes, stats.rx_pmtu_bytes]),
        ),
        ("tx_total_errors", errors),
        // The reference's name for what it sent again.
        ("rx_total_retries", 0),
    ]
}

/// The reference lists a loop-back link of the own node.
fn add_own(own: u32, values: &mut BTreeMap<String, Value>) {
    let prefix = format!("stats.knet.node{own}.link0");
    values.insert(format!("{prefix}.enabled"), Value::from(1u8));
    values.insert(format!("{prefix}.connected"), Value::from(1u8));
}

/// Times are in nanoseconds.
fn add_handle(core: &Knet, values: &mut BTreeMap<String, Value>) {
    let stats = core.stats();
    for (name, value) in [
        ("tx_uncompressed_packets", stats.tx_uncompressed_packets),
        ("tx_compressed_packets", stats.tx_compressed_packets),
        ("tx_compressed_original_bytes", stats.tx_compressed_original_bytes),
        ("tx_compressed_size_bytes", stats.tx_compressed_size_bytes),
        ("tx_compress_time_min", stats.tx_compress_time.min_ns),
        ("tx_compress_time_max", stats.tx_compress_time.max_ns),
        ("tx_compress_time_ave", stats.tx_compress_time.average_ns()),
        ("rx_compressed_packets", stats.rx_compressed_packets),
        ("rx_compressed_original_bytes", stats.rx_compressed_original_bytes),
        ("rx_compressed_size_bytes", stats.rx_compressed_size_bytes),
        ("rx_compress_time_min", stats.rx_compress_time.min_ns),
        ("rx_compress_time_max", stats.rx_compress_time.max_ns),
        ("rx_compress_time_ave", stats.rx_compress_time.average_ns()),
        ("tx_crypt_time_min", stats.tx_crypt_time.min_ns),
        ("tx_crypt_time_max", stats.tx_crypt_time.max_ns),
        ("tx_crypt_time_ave", stats.tx_crypt_time.average_ns()),
        ("tx_crypt_byte_overhead", stats.tx_crypt_byte_overhead),
        ("tx_crypt_packets", stats.tx_crypt_packets),
        ("rx_crypt_time_min", stats.rx_crypt_time.min_ns),
        ("rx_crypt_time_max", stats.rx_crypt_time.max_ns),
        ("rx_crypt_time_ave", stats.rx_crypt_time.average_ns()),
        ("rx_crypt_packets", stats.rx_crypt_packets),
        // Ours: what a stranger or a wrong key sends.
        ("rx_refused_packets", stats.rx_refused_packets),
        ("rx_repeated_packets", stats.rx_repeated_packets),
    ] {
        values.insert(format!("stats.knet.handle.{name}"), Value::from(value));
    }
}
