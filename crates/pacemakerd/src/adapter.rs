//! The scheduler's interface as the manager uses it.

use std::sync::Arc;

use scheduler::Options;
use scheduler::iso8601::Zone;
use xml::Document;

/// Decides: the transition graph, and when to look again (ms from now).
///
/// # Errors
/// Why there is no decision.
pub fn schedule(cib: Document, now_s: i64) -> Result<(Document, Option<u64>), String> {
    let options = Options { now_s, zone: Zone::Local(sys::clock::utc_offset_s), ..Options::default() };
    let decision = scheduler::schedule_shared(Arc::new(cib), &options).map_err(|error| error.to_string())?;
    let recheck_ms =
        decision.recheck_by().map(|at| u64::try_from(at - now_s).unwrap_or(0).saturating_mul(1000));
    Ok((decision.to_xml(), recheck_ms))
}
