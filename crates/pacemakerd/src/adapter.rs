//! The scheduler's interface as the manager uses it.

use xml::Document;

/// Decides: the transition graph, and when to look again (ms from now).
///
/// # Errors
/// Why there is no decision.
pub fn schedule(_id: u32, _cib: &Document, _now_s: i64) -> Result<(Document, Option<u64>), String> {
    Ok((Document::new("transition_graph"), None))
}
