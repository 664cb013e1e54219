//! Random configurations: options, nodes and the frame of the document.

use super::dice::Dice;
use super::rules::Place;
use super::{constraints, resources, rules, status, themes};
use xml::{Document, XmlError};

/// Name-value pairs of which one is chosen: how often of a hundred, the name, the values.
pub type Choice = (usize, &'static str, &'static [&'static str]);

/// Cluster options.
const OPTIONS: [Choice; 31] = [
    (40, "no-quorum-policy", &["stop", "freeze", "ignore", "demote", "fence", "suicide"]),
    (20, "symmetric-cluster", &["true", "false"]),
    (70, "stonith-enabled", &["true", "true", "false"]),
    (4, "maintenance-mode", &["true", "false"]),
    (3, "stop-all-resources", &["true", "false"]),
    (12, "stop-orphan-resources", &["true", "false"]),
    (8, "stop-orphan-actions", &["true", "false"]),
    (35, "placement-strategy", &["default", "utilization", "minimal", "balanced"]),
    (5, "enable-startup-probes", &["true", "false"]),
    (15, "concurrent-fencing", &["true", "false"]),
    (10, "startup-fencing", &["true", "false"]),
    (15, "stonith-action", &["reboot", "off"]),
    (20, "node-health-strategy", &["none", "migrate-on-red", "only-green", "progressive", "custom"]),
    (10, "node-health-base", &["0", "10", "100"]),
    (10, "node-health-yellow", &["-10", "-50", "yellow", "red", "x"]),
    (15, "priority-fencing-delay", &["0", "15s", "60"]),
    (15, "shutdown-lock", &["true", "false"]),
    (10, "shutdown-lock-limit", &["0", "1h", "30min", "100000000"]),
    (15, "start-failure-is-fatal", &["true", "false"]),
    (8, "have-watchdog", &["true", "false"]),
    (8, "stonith-watchdog-timeout", &["0", "10s"]),
    (5, "cluster-delay", &["60s", "30s", "2min"]),
    (5, "batch-limit", &["0", "10"]),
    (5, "migration-limit", &["-1", "2"]),
    (5, "node-pending-timeout", &["0", "2h"]),
    (5, "stonith-timeout", &["60s", "120s"]),
    (10, "cluster-name", &["alpha", "beta"]),
    (10, "site-name", &["paris"]),
    (8, "node-health-green", &["5", "green", "100"]),
    (8, "node-health-red", &["-100", "red", "0"]),
    (5, "stop-removed-resources", &["true", "false"]),
];

/// Defaults for resources.
const RSC_DEFAULTS: [Choice; 8] = [
    (50, "resource-stickiness", &["0", "1", "100", "INFINITY"]),
    (30, "migration-threshold", &["1", "2", "3", "INFINITY"]),
    (15, "failure-timeout", &["60s", "1h", "0"]),
    (10, "allow-migrate", &["true", "false"]),
    (6, "is-managed", &["true", "false"]),
    (5, "target-role", &["Started", "Stopped", "Unpromoted"]),
    (6, "multiple-active", &["stop_start", "stop_only", "block", "stop_unexpected"]),
    (6, "priority", &["0", "1", "10"]),
];

/// Defaults for operations.
const OP_DEFAULTS: [Choice; 3] = [
    (60, "timeout", &["20s", "60s", "2min"]),
    (15, "on-fail", &["restart", "ignore", "block", "stop", "standby"]),
    (10, "record-pending", &["true", "false"]),
];

/// Attributes of nodes.
const NODE_ATTRS: [Choice; 9] = [
    (8, "standby", &["on", "off", "true"]),
    (6, "maintenance", &["true", "false"]),
    (30, "site", &["a", "b"]),
    (20, "rack", &["1", "2", "3"]),
    (15, "#health-cpu", &["red", "yellow", "green", "-5", "20"]),
    (8, "#health-disk", &["red", "yellow", "green"]),
    (5, "priority", &["1", "5"]),
    (5, "site-name", &["alpha", "beta"]),
    (15, "version", &["1.2.3", "1.10", "2"]),
];

/// A configuration in the making.
pub struct Maker {
    pub dice: Dice,
    pub text: String,
    next_id: usize,
    /// Cluster nodes.
    pub nodes: Vec<String>,
    /// Remote nodes and guest nodes (their names), without those of bundles.
    pub remotes: Vec<String>,
    /// Resources that constraints may name: primitives, groups, clones, bundles, members of groups.
    pub rscs: Vec<String>,
    /// Resources that can be promoted.
    pub promotable: Vec<String>,
    /// Primitives with their number of instances if cloned.
    pub primitives: Vec<String>,
    pub templates: Vec<String>,
    pub tags: Vec<String>,
    pub fencing: Vec<String>,
    pub tickets: Vec<String>,
    pub utilization: bool,
}

impl Maker {
    pub fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A fresh id.
    pub fn id(&mut self, prefix: &str) -> String {
        self.next_id += 1;
        format!("{prefix}-{}", self.next_id)
    }

    pub fn pair(&mut self, name: &str, value: &str) {
        let id = self.id("nv");
        self.add(&format!("<nvpair id=\"{id}\" name=\"{name}\" value=\"{value}\"/>"));
    }

    /// Chosen pairs, in a block if there are any.
    pub fn block(&mut self, element: &str, choices: &[Choice], rule: Option<Place>) {
        let chosen = self.choose(choices);
        if chosen.is_empty() {
            return;
        }
        let id = self.id(element);
        self.add(&format!("<{element} id=\"{id}\""));
        if self.dice.chance(10) {
            let score = self.dice.pick(&["10", "-10", "INFINITY"]);
            self.add(&format!(" score=\"{score}\""));
        }
        self.add(">");
        if let Some(rule) = rule {
            rules::rule(self, rule);
        }
        for (name, value) in chosen {
            self.pair(name, value);
        }
        self.add(&format!("</{element}>"));
    }

    /// One or two blocks of chosen pairs, with a rule now and then.
    pub fn blocks(&mut self, element: &str, choices: &[Choice], place: Place) {
        for _ in 0..if self.dice.chance(15) { 2 } else { 1 } {
            let rule = self.dice.chance(20).then_some(place);
            self.block(element, choices, rule);
        }
    }

    pub fn choose(&mut self, choices: &[Choice]) -> Vec<(&'static str, &'static str)> {
        let mut out = Vec::new();
        for (percent, name, values) in choices {
            if self.dice.chance(*percent) {
                out.push((*name, self.dice.pick(values)));
            }
        }
        out
    }
}

/// Time at which all of it happens, in seconds since 1970: before any real clock's, so that what the
/// reference records with the real time is later than this in each run.
pub const NOW_S: i64 = 1_577_880_000;

/// The same as text.
pub const NOW: &str = "2020-01-01 12:00:00Z";

/// The configuration of a seed, with a first status.
///
/// # Errors
/// When the text made is no XML: a fault of this generator.
pub fn cib(seed: u64) -> Result<Document, XmlError> {
    let mut dice = Dice::new(seed);
    let nodes = (1..=if dice.chance(15) { dice.between(6, 9) } else { dice.between(1, 5) })
        .map(|n| format!("node{n}"))
        .collect();
    let utilization = dice.chance(35);
    let mut maker = Maker {
        dice,
        text: String::new(),
        next_id: 0,
        nodes,
        remotes: Vec::new(),
        rscs: Vec::new(),
        promotable: Vec::new(),
        primitives: Vec::new(),
        templates: Vec::new(),
        tags: Vec::new(),
        fencing: Vec::new(),
        tickets: Vec::new(),
        utilization,
    };
    maker.whole();
    let mut doc = Document::parse(&maker.text)?;
    themes::themes(&mut doc, &mut maker.dice);
    Ok(doc)
}

impl Maker {
    fn whole(&mut self) {
        let quorum = if self.dice.chance(85) { 1 } else { 0 };
        let schema = match self.dice.roll(8) {
            0 => "pacemaker-3.10",
            1 => "pacemaker-3.9",
            _ => "pacemaker-4.0",
        };
        self.add(&format!(
            "<cib crm_feature_set=\"3.20.1\" validate-with=\"{schema}\" have-quorum=\"{quorum}\" \
             epoch=\"1\" num_updates=\"0\" admin_epoch=\"0\" dc-uuid=\"1\"><configuration><crm_config>"
        ));
        let rule = self.dice.chance(4).then_some(Place::Values);
        self.block("cluster_property_set", &OPTIONS, rule);
        self.add("</crm_config><nodes>");
        for at in 0..self.nodes.len() {
            self.node(at);
        }
        self.add("</nodes><resources>");
        resources::resources(self);
        self.add("</resources><constraints>");
        constraints::constraints(self);
        self.add("</constraints>");
        self.tags();
        self.topology();
        if self.dice.chance(40) {
            self.add("<rsc_defaults>");
            self.blocks("meta_attributes", &RSC_DEFAULTS, Place::RscDefaults);
            self.add("</rsc_defaults>");
        }
        if self.dice.chance(30) {
            self.add("<op_defaults>");
            self.blocks("meta_attributes", &OP_DEFAULTS, Place::OpDefaults);
            self.add("</op_defaults>");
        }
        self.add("</configuration>");
        status::status(self);
        self.add("</cib>");
    }

    fn node(&mut self, at: usize) {
        let name = self.nodes.get(at).cloned().unwrap_or_default();
        let kind = if self.dice.chance(1) { " type=\"remote\"" } else { "" };
        let kind = if self.dice.chance(10) { " type=\"member\"" } else { kind };
        self.add(&format!("<node id=\"{}\" uname=\"{name}\"{kind}>", at + 1));
        let rule = self.dice.chance(5).then_some(Place::Values);
        self.block("instance_attributes", &NODE_ATTRS, rule);
        if self.utilization {
            let (cpu, memory) = (self.dice.between(0, 8).to_string(), self.dice.between(1, 4) * 1024);
            self.add(&format!("<utilization id=\"u-{name}\">"));
            self.pair("cpu", &cpu);
            if self.dice.chance(70) {
                self.pair("memory", &memory.to_string());
            }
            self.add("</utilization>");
        }
        self.add("</node>");
    }

    fn tags(&mut self) {
        if self.tags.is_empty() {
            return;
        }
        self.add("<tags>");
        for tag in self.tags.clone() {
            self.add(&format!("<tag id=\"{tag}\">"));
            let most = self.dice.between(1, 3);
            for rsc in self.dice.some(&self.rscs.clone(), most) {
                self.add(&format!("<obj_ref id=\"{rsc}\"/>"));
            }
            self.add("</tag>");
        }
        self.add("</tags>");
    }

    fn topology(&mut self) {
        if self.fencing.is_empty() || !self.dice.chance(20) {
            return;
        }
        self.add("<fencing-topology>");
        for node in self.nodes.clone() {
            let target = match self.dice.roll(6) {
                0 => format!("target-pattern=\"{node}|x\""),
                1 => "target-attribute=\"site\" target-value=\"a\"".to_string(),
                2 => continue,
                _ => format!("target=\"{node}\""),
            };
            for index in 1..=self.dice.between(1, 2) {
                let (id, devices) = (self.id("level"), self.dice.some(&self.fencing.clone(), 2).join(","));
                self.add(&format!(
                    "<fencing-level id=\"{id}\" {target} index=\"{index}\" devices=\"{devices}\"/>"
                ));
            }
        }
        self.add("</fencing-topology>");
    }
}
