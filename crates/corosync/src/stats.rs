//! The statistics map, filled when somebody looks (cmap_keys(7), `stats.`).

use std::collections::{BTreeMap, VecDeque};

use engine::{Client, Value};
use qb::ConnectionStats;
use totem::{Instant, Totem};

/// Counters of the daemon itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub connections: u64,
    pub closed: u64,
    pub send_failures: u32,
}

/// Times that the process did not run, the latest first.
#[derive(Clone, Debug, Default)]
pub struct Misses(VecDeque<(u64, f32)>);

impl Misses {
    /// As many as the reference keeps.
    const MAX: usize = 10;

    /// Notes a pause and when it ended (ms since 1970).
    pub fn note(&mut self, ended_ms: u64, pause: core::time::Duration) {
        self.0.truncate(Self::MAX - 1);
        self.0.push_front((ended_ms, pause.as_secs_f32() * 1000.0));
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds the keys `stats.schedmiss.N.*`.
    pub fn add(&self, values: &mut BTreeMap<String, Value>) {
        for (index, (ended_ms, delay_ms)) in self.0.iter().enumerate() {
            values.insert(format!("stats.schedmiss.{index}.timestamp"), Value::from(*ended_ms));
            values.insert(format!("stats.schedmiss.{index}.delay"), Value::from(*delay_ms));
        }
    }
}

/// Adds the keys of one connection. Its number stands where the reference prints a pointer.
pub fn add_connection(
    values: &mut BTreeMap<String, Value>,
    client: Client,
    pid: i32,
    name: &str,
    stats: &ConnectionStats,
) {
    let prefix = format!("stats.ipcs.service{}.{pid}.{:#x}", client.service as u32, client.conn);
    let sent = stats.events.saturating_sub(u64::from(stats.queued));
    let mut put = |name: &str, value: Value| {
        values.insert(format!("{prefix}.{name}"), value);
    };
    put("queueing", Value::from(i32::from(stats.queued > 0)));
    put("queued", Value::from(stats.queued));
    put("invalid_request", Value::from(0u64));
    put("overload", Value::from(0u64));
    put("sent", Value::from(u32::try_from(sent & u64::from(u32::MAX)).unwrap_or(0)));
    put("procname", Value::from(name));
    put("requests", Value::from(stats.requests));
    put("responses", Value::from(stats.responses));
    put("dispatched", Value::from(stats.events));
    put("send_retries", Value::from(stats.send_retries));
    put("recv_retries", Value::from(0u64));
    put("flow_control", Value::from(u32::from(stats.is_stopped)));
    put("flow_control_count", Value::from(stats.stops));
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
    let (token, consensus) = ring.timeouts();
    put("relevo.token_ms", Value::from(ms(token)));
    put("relevo.consensus_ms", Value::from(ms(consensus)));
    put("ipcs.global.active", Value::from(counters.connections));
    put("ipcs.global.closed", Value::from(counters.closed));
    values
}
