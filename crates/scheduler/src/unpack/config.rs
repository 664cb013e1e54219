//! Cluster options.

use crate::cluster::{Cluster, NoQuorum, Placement};
use crate::rules::{Health, parse_score, unpack_blocks};
use crate::text::{Str, Table, interval_ms, parse_bool};
use xml::NodeId;

/// Name, older name and default of a cluster option that the scheduler reads.
struct Known {
    name: &'static str,
    old: &'static str,
    default: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bool,
    Interval,
    Integer,
    Words(&'static [&'static str]),
}

const fn known(name: &'static str, old: &'static str, default: &'static str, kind: Kind) -> Known {
    Known { name, old, default, kind }
}

const KNOWN: &[Known] = &[
    known(
        "no-quorum-policy",
        "",
        "stop",
        Kind::Words(&["stop", "freeze", "ignore", "demote", "fence", "suicide"]),
    ),
    known("shutdown-lock", "", "false", Kind::Bool),
    known("shutdown-lock-limit", "", "0", Kind::Interval),
    known("symmetric-cluster", "", "true", Kind::Bool),
    known("maintenance-mode", "", "false", Kind::Bool),
    known("start-failure-is-fatal", "", "true", Kind::Bool),
    known("enable-startup-probes", "", "true", Kind::Bool),
    known("fence-remote-without-quorum", "", "false", Kind::Bool),
    known("fencing-enabled", "stonith-enabled", "true", Kind::Bool),
    known("fencing-action", "stonith-action", "reboot", Kind::Words(&["reboot", "off"])),
    known("fencing-timeout", "stonith-timeout", "60s", Kind::Interval),
    known("have-watchdog", "", "false", Kind::Bool),
    known("concurrent-fencing", "", "true", Kind::Bool),
    known("startup-fencing", "", "true", Kind::Bool),
    known("priority-fencing-delay", "", "0", Kind::Interval),
    known("node-pending-timeout", "", "0", Kind::Interval),
    known("cluster-delay", "", "60s", Kind::Interval),
    known("batch-limit", "", "0", Kind::Integer),
    known("migration-limit", "", "-1", Kind::Integer),
    known("stop-all-resources", "", "false", Kind::Bool),
    known("stop-removed-resources", "stop-orphan-resources", "true", Kind::Bool),
    known("cancel-removed-actions", "stop-orphan-actions", "true", Kind::Bool),
    known(
        "node-health-strategy",
        "",
        "none",
        Kind::Words(&["none", "migrate-on-red", "only-green", "progressive", "custom"]),
    ),
    known("node-health-base", "", "0", Kind::Integer),
    known("node-health-green", "", "0", Kind::Integer),
    known("node-health-yellow", "", "0", Kind::Integer),
    known("node-health-red", "", "-INFINITY", Kind::Integer),
    known(
        "placement-strategy",
        "",
        "default",
        Kind::Words(&["default", "utilization", "minimal", "balanced"]),
    ),
];

fn valid(kind: Kind, value: &str) -> bool {
    match kind {
        Kind::Bool => parse_bool(value).is_some(),
        Kind::Interval => value.starts_with('P') || crate::text::parse_ms(value).is_some(),
        Kind::Integer => {
            value.trim_start_matches(['+', '-']) == "INFINITY" || crate::text::parse_int(value).is_some()
        }
        Kind::Words(words) => words.iter().any(|w| value.eq_ignore_ascii_case(w)),
    }
}

impl Cluster {
    /// Effective value of a cluster option that [`KNOWN`] lists.
    pub fn option(&self, name: &str) -> Str {
        let Some(known) = KNOWN.iter().find(|k| k.name == name) else {
            return self.config.options.get_str(name).unwrap_or_default();
        };
        let found = self.config.options.get_str(known.name);
        let found =
            found.or_else(|| self.config.options.get_str(known.old).filter(|_| !known.old.is_empty()));
        found.filter(|value| valid(known.kind, value)).unwrap_or(Str::lit(known.default))
    }

    fn flag(&self, name: &str) -> bool {
        parse_bool(&self.option(name)).unwrap_or(false)
    }

    pub(super) fn unpack_config(&mut self, section: Option<NodeId>) {
        let doc = self.doc.clone();
        let mut options = Table::default();
        let mut next = None;
        let input = self.rule_input();
        unpack_blocks(
            &doc,
            section,
            "cluster_property_set",
            Some("cib-bootstrap-options"),
            &input,
            &mut next,
            &mut |name, value| match value {
                Some(value) => options.add(name, value),
                None => options.remove(name),
            },
        );
        self.recheck_time(next);
        self.config.options = options;
        self.check_options();
        let c = &self.config;
        let mut config = c.clone();
        config.probe_resources = self.flag("enable-startup-probes");
        config.have_fencing = self.flag("have-watchdog");
        config.enable_unfencing = self.configures_unfencing();
        config.fence_timeout_ms = interval_ms(Some(&self.option("fencing-timeout")));
        config.fencing_enabled = self.flag("fencing-enabled");
        config.fence_action = self.option("fencing-action");
        config.concurrent_fencing = self.flag("concurrent-fencing");
        config.priority_fencing_ms = interval_ms(Some(&self.option("priority-fencing-delay")));
        config.stop_all = self.flag("stop-all-resources");
        config.symmetric = self.flag("symmetric-cluster");
        config.stop_removed_resources = self.flag("stop-removed-resources");
        config.cancel_removed_actions = self.flag("cancel-removed-actions");
        config.maintenance = self.flag("maintenance-mode");
        config.start_failure_fatal = self.flag("start-failure-is-fatal");
        config.startup_fencing = config.fencing_enabled && self.flag("startup-fencing");
        config.shutdown_lock = self.flag("shutdown-lock");
        if config.shutdown_lock {
            config.shutdown_lock_ms = interval_ms(Some(&self.option("shutdown-lock-limit")));
        }
        config.node_pending_ms = interval_ms(Some(&self.option("node-pending-timeout")));
        config.fence_remote_no_quorum = self.flag("fence-remote-without-quorum");
        config.placement = match self.option("placement-strategy").to_ascii_lowercase().as_str() {
            "utilization" => Placement::Utilization,
            "minimal" => Placement::Minimal,
            "balanced" => Placement::Balanced,
            _ => Placement::Default,
        };
        config.no_quorum = self.no_quorum_policy(config.fencing_enabled);
        config.health = self.health_scores();
        self.config = config;
        if !self.config.quorate && self.config.no_quorum != NoQuorum::Ignore {
            self.situation("Fencing and resource management disabled due to lack of quorum");
        }
    }

    fn check_options(&mut self) {
        for known in KNOWN {
            let found = self.config.options.get_str(known.name);
            let found = found.or_else(|| self.config.options.get_str(known.old));
            if let Some(value) = found.filter(|v| !valid(known.kind, v)) {
                self.error(format!(
                    "Using default value for cluster option {} because '{value}' is not valid",
                    known.name
                ));
            }
        }
    }

    fn no_quorum_policy(&mut self, fencing_enabled: bool) -> NoQuorum {
        match self.option("no-quorum-policy").to_ascii_lowercase().as_str() {
            "ignore" => NoQuorum::Ignore,
            "freeze" => NoQuorum::Freeze,
            "demote" => NoQuorum::Demote,
            "fence" | "suicide" if fencing_enabled => {
                let panic = crate::text::min_int(self.doc.attr(self.doc.root(), "no-quorum-panic"), 0);
                if panic > 0 || self.config.quorate { NoQuorum::Fence } else { NoQuorum::Stop }
            }
            "fence" | "suicide" => {
                self.error("Resetting no-quorum-policy to 'stop' because fencing is disabled");
                NoQuorum::Stop
            }
            _ => NoQuorum::Stop,
        }
    }

    fn configures_unfencing(&self) -> bool {
        let doc = &self.doc;
        let Some(configuration) = doc.root_element().child("configuration") else { return false };
        let asks = |e: xml::Element<'_>| {
            e.name() == "nvpair"
                && matches!(e.attr("name"), Some("provides" | "requires"))
                && e.attr("value") == Some("unfencing")
                && e.parent().is_some_and(|p| p.name() == "meta_attributes")
        };
        ["resources", "rsc_defaults"]
            .iter()
            .filter_map(|name| configuration.child(name))
            .any(|section| section.descendants().any(asks))
    }

    fn health_scores(&self) -> Health {
        let none = Health::default();
        let score = |name: &str| parse_score(&self.option(name), &none).unwrap_or(0);
        let ban = -base::INFINITY;
        match self.option("node-health-strategy").to_ascii_lowercase().as_str() {
            "migrate-on-red" => Health { red: ban, yellow: 0, green: 0 },
            "only-green" => Health { red: ban, yellow: ban, green: 0 },
            "progressive" | "custom" => Health {
                red: score("node-health-red"),
                yellow: score("node-health-yellow"),
                green: score("node-health-green"),
            },
            _ => none,
        }
    }

    /// Score of a text; `None` if it is none.
    pub fn parse_score(&self, text: &str) -> Option<i32> {
        parse_score(text, &self.config.health)
    }
}
