//! Results of operations as `<lrm_rsc_op>` entries (wire-formats of the reference, section 13.5).

use xml::Document;

/// Status of an operation (`op-status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpStatus {
    Pending,
    Done,
    Cancelled,
    TimedOut,
    Error,
    NotInstalled,
    Invalid,
}

impl OpStatus {
    pub fn code(self) -> i32 {
        match self {
            OpStatus::Pending => -1,
            OpStatus::Done => 0,
            OpStatus::Cancelled => 1,
            OpStatus::TimedOut => 2,
            OpStatus::Error => 4,
            OpStatus::NotInstalled => 7,
            OpStatus::Invalid => 11,
        }
    }
}

/// An operation with its result, or one that has been started.
#[derive(Debug, Clone)]
pub struct Record {
    pub resource: String,
    /// class, provider, type
    pub agent: (String, Option<String>, String),
    pub operation: String,
    pub interval_ms: u64,
    pub transition_key: String,
    pub call_id: i32,
    pub rc: i32,
    pub target_rc: i32,
    pub status: OpStatus,
    pub exit_reason: String,
    /// Seconds since 1970.
    pub last_rc_change_s: i64,
    pub exec_ms: u64,
    pub queue_ms: u64,
    /// MD5 of the parameters, see [`parameters_digest`].
    pub digest: String,
    /// Names of parameters that may change without a restart, and the digest of the others.
    pub restart: Option<(String, String)>,
}

/// Name of an operation in the history: `resource_operation_interval`.
pub fn operation_key(resource: &str, operation: &str, interval_ms: u64) -> String {
    format!("{resource}_{operation}_{interval_ms}")
}

impl Record {
    /// Whether the result is not what the scheduler expected. A probe that finds the resource running
    /// or stopped has not failed.
    pub fn is_failure(&self) -> bool {
        match self.status {
            OpStatus::Pending | OpStatus::Cancelled => false,
            OpStatus::Done => self.rc != self.target_rc,
            _ => true,
        }
    }

    /// Ids under which the result is kept: `last_0`, `monitor_<ms>`, `last_failure_0`.
    fn ids(&self) -> Vec<String> {
        let last = || operation_key(&self.resource, "last", 0);
        if self.is_failure() {
            let failure = operation_key(&self.resource, "last_failure", 0);
            return if self.interval_ms == 0 { vec![failure, last()] } else { vec![failure] };
        }
        if self.interval_ms > 0 {
            return vec![operation_key(&self.resource, &self.operation, self.interval_ms)];
        }
        vec![last()]
    }

    /// `<lrm_resource>` with the entries of this result.
    pub fn to_xml(&self, node: &str, origin: &str) -> Document {
        let mut doc = Document::new("lrm_resource");
        let root = doc.root();
        let (class, provider, kind) = &self.agent;
        doc.set_attr(root, "id", &self.resource);
        doc.set_attr(root, "type", kind);
        doc.set_attr(root, "class", class);
        if let Some(provider) = provider {
            doc.set_attr(root, "provider", provider);
        }
        let magic = format!("{}:{};{}", self.status.code(), self.rc, self.transition_key);
        let key = operation_key(&self.resource, &self.operation, self.interval_ms);
        for id in self.ids() {
            let op = doc.append(root, "lrm_rsc_op");
            let mut set = |name: &str, value: &str| doc.set_attr(op, name, value);
            set("id", &id);
            set("operation_key", &key);
            set("operation", &self.operation);
            set("crm-debug-origin", origin);
            set("crm_feature_set", base::CRM_FEATURE_SET);
            set("transition-key", &self.transition_key);
            set("transition-magic", &magic);
            set("exit-reason", &self.exit_reason);
            set("on_node", node);
            set("call-id", &self.call_id.to_string());
            set("rc-code", &self.rc.to_string());
            set("op-status", &self.status.code().to_string());
            set("interval", &self.interval_ms.to_string());
            set("last-rc-change", &self.last_rc_change_s.to_string());
            set("exec-time", &self.exec_ms.to_string());
            set("queue-time", &self.queue_ms.to_string());
            set("op-digest", &self.digest);
            if let Some((names, digest)) = &self.restart {
                set("op-force-restart", names);
                set("op-restart-digest", digest);
            }
        }
        doc
    }
}

/// Digest of an operation's parameters: the agent's parameters, sorted; for a recurring operation its
/// time-out counts too.
pub fn parameters_digest<'a>(
    attributes: impl Iterator<Item = (&'a str, &'a str)>,
    interval_ms: u64,
) -> String {
    let mut parameters = Document::new("parameters");
    let root = parameters.root();
    for (name, value) in attributes {
        let counts = match name {
            "crm_feature_set" | "op_target_rc" | "id" => false,
            "CRM_meta_timeout" => interval_ms > 0,
            other => !other.starts_with("CRM_meta_"),
        };
        if counts {
            parameters.set_attr(root, name, value);
        }
    }
    parameters.digest_of_parameters()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            resource: "vip".into(),
            agent: ("ocf".into(), Some("heartbeat".into()), "IPaddr2".into()),
            operation: "monitor".into(),
            interval_ms: 0,
            transition_key: "1:4:7:a80b0627-dfbb-4246-bfb3-18188499346e".into(),
            call_id: 5,
            rc: 7,
            target_rc: 7,
            status: OpStatus::Done,
            exit_reason: String::new(),
            last_rc_change_s: 1,
            exec_ms: 2,
            queue_ms: 0,
            digest: "d".into(),
            restart: None,
        }
    }

    fn ids(record: &Record) -> Vec<String> {
        let doc = record.to_xml("n1", "test");
        doc.root_element().children().map(|op| op.attr("id").unwrap().to_string()).collect()
    }

    #[test]
    fn where_results_are_kept() {
        assert_eq!(ids(&record()), ["vip_last_0"]);
        let found = Record { rc: 0, ..record() };
        assert_eq!(ids(&found), ["vip_last_failure_0", "vip_last_0"]);
        let recurring = Record { interval_ms: 10_000, target_rc: 0, rc: 0, ..record() };
        assert_eq!(ids(&recurring), ["vip_monitor_10000"]);
        assert_eq!(ids(&Record { rc: 7, ..recurring.clone() }), ["vip_last_failure_0"]);
        assert_eq!(ids(&Record { status: OpStatus::TimedOut, ..recurring }), ["vip_last_failure_0"]);
    }

    #[test]
    fn digests_as_in_the_reference_output() {
        let of = |interval| {
            let attributes = [
                ("ip", "172.31.0.100"),
                ("CRM_meta_timeout", "20000"),
                ("CRM_meta_interval", "60000"),
                ("crm_feature_set", "3.16.1"),
                ("cidr_netmask", "16"),
            ];
            parameters_digest(attributes.into_iter(), interval)
        };
        assert_eq!(of(0), "f4ea98b11d53f473970260f9d538c6d4");
        assert_eq!(of(60_000), "a95de2197abb67b3aa5359eb59c2cf07");
    }
}
