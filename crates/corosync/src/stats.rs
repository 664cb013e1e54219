//! The statistics map, filled when somebody looks.

use std::collections::BTreeMap;

use engine::Value;
use totem::{Instant, Totem};

/// Counters of the daemon itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub connections: u64,
    pub closed: u64,
    pub send_failures: u32,
}

/// All values of the statistics map.
#[must_use]
pub fn collect(ring: &Totem, counters: Counters, now: Instant) -> BTreeMap<String, Value> {
    let stats = ring.stats();
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    let mut put = |name: &str, value: Value| {
        values.insert(format!("stats.{name}"), value);
    };
    let srp = [
        ("orf_token_tx", stats.orf_token_tx),
        ("orf_token_rx", stats.orf_token_rx),
        ("memb_merge_detect_tx", stats.memb_merge_detect_tx),
        ("memb_merge_detect_rx", stats.memb_merge_detect_rx),
        ("memb_join_tx", stats.memb_join_tx),
        ("memb_join_rx", stats.memb_join_rx),
        ("mcast_tx", stats.mcast_tx),
        ("mcast_retx", stats.mcast_retx),
        ("mcast_rx", stats.mcast_rx),
        ("memb_commit_token_tx", stats.memb_commit_token_tx),
        ("memb_commit_token_rx", stats.memb_commit_token_rx),
        ("token_hold_cancel_tx", stats.token_hold_cancel_tx),
        ("token_hold_cancel_rx", stats.token_hold_cancel_rx),
        ("operational_entered", stats.operational_entered),
        ("operational_token_lost", stats.operational_token_lost),
        ("gather_entered", stats.gather_entered),
        ("gather_token_lost", stats.gather_token_lost),
        ("commit_entered", stats.commit_entered),
        ("commit_token_lost", stats.commit_token_lost),
        ("recovery_entered", stats.recovery_entered),
        ("recovery_token_lost", stats.recovery_token_lost),
        ("consensus_timeouts", stats.consensus_timeouts),
        ("rx_msg_dropped", stats.rx_msg_dropped),
    ];
    for (name, value) in srp {
        put(&format!("srp.{name}"), Value::from(value));
    }
    let ms = |time: core::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    put("srp.mtt_rx_token", Value::from(ms(stats.mean_token_interval)));
    put("srp.avg_backlog_calc", Value::from(stats.mean_backlog));
    // The token leaves in the same turn in which it comes: less than a millisecond.
    put("srp.avg_token_workload", Value::from(0u32));
    put("srp.time_since_token_last_received", Value::from(u64::from(ms(ring.since_token(now)))));
    put("srp.continuous_gather", Value::from(stats.continuous_gather));
    put("srp.continuous_sendmsg_failures", Value::from(counters.send_failures));
    put("srp.firewall_enabled_or_nic_failure", Value::from(u8::from(stats.continuous_gather > 5)));
    let room = u32::try_from(ring.room()).unwrap_or(u32::MAX);
    put("pg.msg_queue_avail", Value::from(room));
    put("pg.msg_reserved", Value::from(0u32));
    put("ipcs.global.active", Value::from(counters.connections));
    put("ipcs.global.closed", Value::from(counters.closed));
    let pause_ms = u64::try_from(stats.longest_pause.as_millis()).unwrap_or(u64::MAX);
    put("schedmiss.count", Value::from(stats.pauses));
    put("schedmiss.longest_ms", Value::from(pause_ms));
    values
}
