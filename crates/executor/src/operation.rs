//! What is to be done, and how it ended.

use xml::Element;

/// Time-out of an operation that names none, in ms.
pub const DEFAULT_TIMEOUT_MS: u64 = 20_000;

/// Which program knows the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    pub class: String,
    pub provider: Option<String>,
    pub kind: String,
}

/// An operation that the DC asks for.
#[derive(Debug, Clone)]
pub struct Operation {
    pub resource: String,
    pub agent: Agent,
    /// `start`, `stop`, `monitor`, `promote`, `demote`, `notify`, `migrate_to` …
    pub name: String,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub start_delay_ms: u64,
    /// All parameters, `CRM_meta_*` included, as the agent gets them.
    pub parameters: Vec<(String, String)>,
    pub transition_key: String,
    pub target_rc: i32,
    /// It ends at once: no record of its start is worth writing.
    pub is_instant: bool,
}

/// An `<rsc_op>` without what an operation needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operation has no {0}")]
pub struct BadOperation(&'static str);

impl Operation {
    /// Reads `<rsc_op operation transition-key><primitive …/><attributes …/></rsc_op>`.
    ///
    /// # Errors
    /// [`BadOperation`] names what is missing.
    pub fn read(op: Element<'_>) -> Result<Operation, BadOperation> {
        let primitive = op.child("primitive").ok_or(BadOperation("resource"))?;
        let attributes = op.child("attributes");
        let meta = |name: &str| attributes.and_then(|a| a.attr(name));
        let number = |name: &str| meta(name).and_then(|text| text.parse::<u64>().ok());
        let key = op.attr("transition-key").unwrap_or("").to_string();
        let target = key.split(':').nth(2).and_then(|text| text.parse().ok()).unwrap_or(0);
        let own_id = primitive.attr("id").ok_or(BadOperation("resource id"))?;
        Ok(Operation {
            resource: own_id.to_string(),
            agent: Agent {
                class: primitive.attr("class").ok_or(BadOperation("agent class"))?.to_string(),
                provider: primitive.attr("provider").map(str::to_string),
                kind: primitive.attr("type").ok_or(BadOperation("agent type"))?.to_string(),
            },
            name: op.attr("operation").ok_or(BadOperation("name"))?.to_string(),
            interval_ms: number("CRM_meta_interval").unwrap_or(0),
            timeout_ms: number("CRM_meta_timeout").filter(|ms| *ms > 0).unwrap_or(DEFAULT_TIMEOUT_MS),
            start_delay_ms: number("CRM_meta_start_delay").unwrap_or(0),
            parameters: attributes
                .into_iter()
                .flat_map(|a| a.attrs())
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            transition_key: key,
            target_rc: target,
            is_instant: false,
        })
    }

    /// Operations that change something: a record of their start is kept while they run.
    pub fn is_change(&self) -> bool {
        !self.is_instant && !matches!(self.name.as_str(), "monitor" | "notify" | "meta-data" | "validate-all")
    }
}

/// How the driver saw an operation end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    pub status: FinishStatus,
    /// Exit status of the agent.
    pub rc: i32,
    pub exit_reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishStatus {
    Done,
    Error,
    NotInstalled,
}

/// A result for the history.
#[derive(Debug, Clone)]
pub struct Report {
    pub operation: Operation,
    pub call_id: i32,
    /// `None` while it runs.
    pub finish: Option<Finish>,
    pub timed_out: bool,
    pub cancelled: bool,
    /// Seconds since 1970 of the last change of the result.
    pub last_rc_change_s: i64,
    pub exec_ms: u64,
    pub queue_ms: u64,
}
