//! `crm_attribute`, `crm_standby`, `crm_failcount`, `attrd_updater`: attributes of nodes and of the cluster.

use std::ffi::OsString;

use base::{ExitCode, INFINITY};
use manager_client::{Attributes, Cib, Error, Update};
use xml::{Document, NodeId};

use crate::options::{Parsed, Tool, Value, opt, start};
use crate::{err, out, session};

const ATTRIBUTE: Tool = Tool {
    name: "crm_attribute",
    about: "Query and change attributes of nodes, options of the cluster, and defaults.",
    rest: "",
    groups: &[
        (
            "Selecting",
            &[
                opt("name", Some('n'), Value::Required("NAME"), "The attribute"),
                opt(
                    "pattern",
                    Some('P'),
                    Value::Required("PATTERN"),
                    "Attributes whose names match (needs -l reboot)",
                ),
                opt("promotion", Some('p'), Value::Optional("RSC"), "The promotion score of a resource"),
                opt("set-name", Some('s'), Value::Required("SET"), "Id of the set"),
                opt("id", Some('i'), Value::Required("ID"), "Id of the pair"),
            ],
        ),
        (
            "Commands",
            &[
                opt("query", Some('G'), Value::None, "Show the value"),
                opt("get-value", None, Value::None, ""),
                opt("update", Some('v'), Value::Required("VALUE"), "Set the value"),
                opt("attr-value", None, Value::Required("VALUE"), ""),
                opt("delete", Some('D'), Value::None, "Delete the attribute"),
                opt("delete-attr", None, Value::None, ""),
            ],
        ),
        (
            "Additional options",
            &[
                opt("node", Some('N'), Value::Required("NODE"), "Of this node (with -l)"),
                opt("uname", Some('U'), Value::Required("NODE"), ""),
                opt(
                    "type",
                    Some('t'),
                    Value::Required("SECTION"),
                    "Section: nodes, status, crm_config, rsc_defaults, op_defaults, tickets",
                ),
                opt(
                    "lifetime",
                    Some('l'),
                    Value::Required("LIFETIME"),
                    "forever, or until the node's next start: reboot",
                ),
                opt("default", Some('d'), Value::Required("VALUE"), "Shown when there is no value"),
                opt("utilization", Some('z'), Value::None, "Utilization of a node"),
                opt("wait", Some('W'), Value::Required("UNTIL"), ""),
                opt("inhibit-policy-engine", Some('!'), Value::None, ""),
                opt("quiet", Some('q'), Value::None, "Only the value"),
                opt("output-as", None, Value::Required("FORMAT"), ""),
            ],
        ),
    ],
};

/// One attribute to look at or change.
struct Target<'a> {
    tool: &'static str,
    name: &'a str,
    /// None: an option of the cluster or a default.
    node: Option<String>,
    section: &'static str,
    /// Lives until the node's next start.
    transient: bool,
    utilization: bool,
    set: Option<&'a str>,
}

pub fn crm_attribute(arguments: Vec<OsString>) -> i32 {
    start(&ATTRIBUTE, arguments, |parsed| attribute(parsed).err().unwrap_or(ExitCode::OK))
}

fn attribute(parsed: &Parsed) -> Result<(), ExitCode> {
    let promotion = parsed.value("promotion").map(|r| format!("master-{r}"));
    let name = match promotion.as_deref().or(parsed.value("name")).or(parsed.value("pattern")) {
        Some(name) => name,
        None => {
            err("crm_attribute: Must specify a name with -n (or --promotion with a resource)");
            return Err(ExitCode::USAGE);
        }
    };
    let section = match parsed.value("type") {
        None | Some("crm_config") => "crm_config",
        Some("nodes") => "nodes",
        Some("status") => "status",
        Some("rsc_defaults") => "rsc_defaults",
        Some("op_defaults") => "op_defaults",
        Some("tickets") => "tickets",
        Some(other) => {
            err(&format!("crm_attribute: Invalid type '{other}'"));
            return Err(ExitCode::USAGE);
        }
    };
    let on_node = parsed.value("node").or(parsed.value("uname"));
    let wants_node = on_node.is_some()
        || parsed.has("lifetime")
        || parsed.has("promotion")
        || matches!(section, "nodes" | "status")
        || parsed.has("utilization");
    let node = match on_node {
        Some(node) => Some(node.to_string()),
        None if wants_node => Some(local("crm_attribute")?),
        None => None,
    };
    let transient = section == "status"
        || parsed.has("promotion")
        || matches!(parsed.value("lifetime"), Some("reboot" | "status"));
    let target = Target {
        tool: "crm_attribute",
        name,
        section: match (&node, transient) {
            (None, _) => section,
            (_, true) => "status",
            _ => "nodes",
        },
        node,
        transient,
        utilization: parsed.has("utilization"),
        set: parsed.value("set-name"),
    };
    let value = parsed.value("update").or(parsed.value("attr-value"));
    if parsed.has("delete") || parsed.has("delete-attr") {
        target.delete()
    } else if let Some(value) = value {
        target.update(value)
    } else {
        target.query(parsed.value("default"), parsed.has("quiet"))
    }
}

fn local(tool: &str) -> Result<String, ExitCode> {
    session::local_node(tool).map_err(|error| {
        err(&format!("{tool}: Could not get the name of this node: {error}"));
        error.exit()
    })
}

impl Target<'_> {
    fn fail(&self, error: &Error) -> ExitCode {
        err(&format!("{}: Error performing operation: {error}", self.tool));
        error.exit()
    }

    fn missing(&self) -> ExitCode {
        err(&format!("{}: Error performing operation: No such device or address", self.tool));
        ExitCode::NOSUCH
    }

    fn load(&self) -> Result<(Cib, Document), ExitCode> {
        session::load_cib(self.tool)
    }

    /// The element that owns the sets of this attribute.
    fn owner(&self, doc: &Document) -> Result<Option<NodeId>, ExitCode> {
        let Some(name) = &self.node else {
            let found = doc.root_element().path(&["configuration", self.section]);
            return Ok(found.map(|s| s.id()));
        };
        let nodes = doc.root_element().path(&["configuration", "nodes"]);
        let node = nodes.into_iter().flat_map(|n| n.children()).find(|n| n.attr("uname") == Some(name));
        let Some(node) = node else {
            err(&format!("{}: Could not map name={name} to a UUID", self.tool));
            return Err(ExitCode::NOSUCH);
        };
        if !self.transient {
            return Ok(Some(node.id()));
        }
        let status = doc.root_element().child("status");
        let state = status.into_iter().flat_map(|s| s.children()).find(|s| s.attr("uname") == Some(name));
        Ok(state.and_then(|s| s.child("transient_attributes")).map(|t| t.id()))
    }

    fn kind(&self) -> &'static str {
        match self.section {
            "crm_config" => "cluster_property_set",
            "rsc_defaults" | "op_defaults" => "meta_attributes",
            _ if self.utilization => "utilization",
            _ => "instance_attributes",
        }
    }

    fn pair(&self, doc: &Document) -> Result<Option<NodeId>, ExitCode> {
        let Some(owner) = self.owner(doc)? else { return Ok(None) };
        let sets = doc.element(owner).children().filter(|s| s.name() == self.kind());
        Ok(sets
            .filter(|s| self.set.is_none_or(|wanted| s.attr("id") == Some(wanted)))
            .flat_map(|s| s.children())
            .find(|p| p.name() == "nvpair" && p.attr("name") == Some(self.name))
            .map(|p| p.id()))
    }

    fn query(&self, default: Option<&str>, quiet: bool) -> Result<(), ExitCode> {
        let (_, doc) = self.load()?;
        let pair = self.pair(&doc)?;
        let value = pair.and_then(|p| doc.attr(p, "value")).or(default).ok_or_else(|| self.missing())?;
        self.show(value, quiet);
        Ok(())
    }

    fn show(&self, value: &str, quiet: bool) {
        if quiet {
            out(value);
        } else {
            out(&format!("scope={}  name={} value={value}", self.section, self.name));
        }
    }

    fn update(&self, value: &str) -> Result<(), ExitCode> {
        if self.transient {
            return self.send(Some(value));
        }
        let (mut cib, before) = self.load()?;
        let mut after = before.clone();
        match self.pair(&before)? {
            Some(pair) => after.set_attr(pair, "value", value),
            None => self.insert(&mut after, &before, value)?,
        }
        cib.apply(&before, &after).map_err(|e| self.fail(&e))
    }

    fn insert(&self, after: &mut Document, before: &Document, value: &str) -> Result<(), ExitCode> {
        let owner = match self.owner(before)? {
            Some(owner) => owner,
            None => {
                let root = after.root();
                let Some(configuration) = after.child(root, "configuration") else {
                    return Err(self.missing());
                };
                after.append(configuration, self.section)
            }
        };
        let existing = after
            .element(owner)
            .children()
            .find(|s| s.name() == self.kind() && self.set.is_none_or(|wanted| s.attr("id") == Some(wanted)));
        let set = match existing.map(|s| s.id()) {
            Some(set) => set,
            None => {
                let id = match (self.set, self.section) {
                    (Some(id), _) => id.to_string(),
                    (None, "crm_config") => "cib-bootstrap-options".into(),
                    (None, "nodes") => {
                        let node = after.attr(owner, "id").unwrap_or_default();
                        if self.utilization {
                            format!("nodes-{node}-utilization")
                        } else {
                            format!("nodes-{node}")
                        }
                    }
                    (None, section) => format!("{section}-options"),
                };
                after.append_with(owner, self.kind(), &[("id", &id)])
            }
        };
        let id = format!("{}-{}", after.attr(set, "id").unwrap_or_default(), sanitize(self.name));
        after.append_with(set, "nvpair", &[("id", &id), ("name", self.name), ("value", value)]);
        Ok(())
    }

    fn delete(&self) -> Result<(), ExitCode> {
        if self.transient {
            self.send(None)?;
            let node = self.node.as_deref().unwrap_or_default();
            out(&format!("Deleted status attribute: name={} node={node}", self.name));
            return Ok(());
        }
        let (mut cib, before) = self.load()?;
        let Some(pair) = self.pair(&before)? else { return Ok(()) };
        let mut after = before.clone();
        after.remove(pair);
        cib.apply(&before, &after).map_err(|e| self.fail(&e))?;
        let what = if self.node.is_some() { "attribute" } else { "option" };
        let id = before.attr(pair, "id").unwrap_or_default();
        out(&format!("Deleted {} {what}: id={id} name={}", self.section, self.name));
        Ok(())
    }

    fn send(&self, value: Option<&str>) -> Result<(), ExitCode> {
        let update =
            Update { name: self.name, value, node: self.node.as_deref(), set: self.set, ..Update::default() };
        Attributes::open(self.tool).and_then(|mut a| a.update(&update)).map_err(|e| self.fail(&e))
    }
}

fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '.' }).collect()
}

const STANDBY: Tool = Tool {
    name: "crm_standby",
    about: "Query or change the standby of a node: on standby it runs no resources.",
    rest: "",
    groups: &[(
        "Options",
        &[
            opt("query", Some('G'), Value::None, "Show the value"),
            opt("update", Some('v'), Value::Required("VALUE"), "on or off"),
            opt("delete", Some('D'), Value::None, "Let the node run resources"),
            opt("node", Some('N'), Value::Required("NODE"), "The node; without, this one"),
            opt("lifetime", Some('l'), Value::Required("LIFETIME"), "forever or reboot"),
            opt("id", Some('i'), Value::Required("ID"), ""),
            opt("quiet", Some('q'), Value::None, "Only the value"),
        ],
    )],
};

pub fn crm_standby(arguments: Vec<OsString>) -> i32 {
    start(&STANDBY, arguments, |parsed| standby(parsed).err().unwrap_or(ExitCode::OK))
}

fn standby(parsed: &Parsed) -> Result<(), ExitCode> {
    let node = match parsed.value("node") {
        Some(node) => node.to_string(),
        None => local("crm_standby")?,
    };
    let target = |transient: bool| Target {
        tool: "crm_standby",
        name: "standby",
        node: Some(node.clone()),
        section: if transient { "status" } else { "nodes" },
        transient,
        utilization: false,
        set: None,
    };
    let reboot = matches!(parsed.value("lifetime"), Some("reboot" | "status"));
    if let Some(value) = parsed.value("update") {
        return target(reboot).update(value);
    }
    if parsed.has("delete") {
        return target(reboot).delete();
    }
    let forever = target(false);
    let (_, doc) = forever.load()?;
    if let Some(value) = forever.pair(&doc)?.and_then(|p| doc.attr(p, "value")) {
        forever.show(value, parsed.has("quiet"));
        return Ok(());
    }
    let until_reboot = target(true);
    let value = until_reboot.pair(&doc)?.and_then(|p| doc.attr(p, "value")).unwrap_or("off");
    until_reboot.show(value, parsed.has("quiet"));
    Ok(())
}

const FAILCOUNT: Tool = Tool {
    name: "crm_failcount",
    about: "Query or reset the fail count of a resource.",
    rest: "",
    groups: &[(
        "Options",
        &[
            opt("query", Some('G'), Value::None, "Show the count"),
            opt("delete", Some('D'), Value::None, "Reset the count"),
            opt("resource", Some('r'), Value::Required("RSC"), "The resource"),
            opt("node", Some('N'), Value::Required("NODE"), "The node; without, this one"),
            opt("operation", Some('n'), Value::Required("OPERATION"), "Only this operation"),
            opt("interval", Some('I'), Value::Required("INTERVAL"), "Only this interval"),
            opt("quiet", Some('q'), Value::None, "Only the count"),
        ],
    )],
};

pub fn crm_failcount(arguments: Vec<OsString>) -> i32 {
    start(&FAILCOUNT, arguments, |parsed| failcount(parsed).err().unwrap_or(ExitCode::OK))
}

fn failcount(parsed: &Parsed) -> Result<(), ExitCode> {
    let Some(resource) = parsed.value("resource") else {
        err("crm_failcount: Must specify a resource with -r");
        return Err(ExitCode::USAGE);
    };
    let node = match parsed.value("node") {
        Some(node) => node.to_string(),
        None => local("crm_failcount")?,
    };
    let (_, doc) = session::load_cib("crm_failcount")?;
    let ids = [resource.to_string()];
    if parsed.has("delete") {
        let connection = |error: Error| {
            err(&format!("crm_failcount: {error}"));
            error.exit()
        };
        let mut attributes = Attributes::open("crm_failcount").map_err(connection)?;
        let mut controller = manager_client::Controller::open("crm_failcount").map_err(connection)?;
        for history in manager_client::histories(&doc, Some(&ids), Some(&node)).iter().filter(|h| h.failed) {
            manager_client::forget(&mut attributes, &mut controller, history).map_err(connection)?;
        }
        out(&format!("Cleaned up {resource} on {node}"));
        return Ok(());
    }
    let status = doc.root_element().child("status");
    let state = status.into_iter().flat_map(|s| s.children()).find(|s| s.attr("uname") == Some(&node));
    let prefix = format!("fail-count-{resource}");
    let mut sum: i64 = 0;
    for pair in state.into_iter().flat_map(|s| s.descendants()).filter(|p| p.name() == "nvpair") {
        let fits = pair
            .attr("name")
            .and_then(|n| n.strip_prefix(prefix.as_str()))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('#'));
        if fits {
            let value = pair.attr("value").unwrap_or("0");
            sum += if value == "INFINITY" { i64::from(INFINITY) } else { value.parse().unwrap_or(0) };
        }
    }
    let shown = if sum >= i64::from(INFINITY) { "INFINITY".to_string() } else { sum.to_string() };
    if parsed.has("quiet") {
        out(&shown);
    } else {
        out(&format!("scope=status  name={prefix} value={shown}"));
    }
    Ok(())
}

const UPDATER: Tool = Tool {
    name: "attrd_updater",
    about: "Query and change node attributes that live in the manager's memory.",
    rest: "",
    groups: &[
        (
            "Commands",
            &[
                opt("update", Some('U'), Value::Required("VALUE"), "Set the value"),
                opt("update-both", Some('B'), Value::Required("VALUE"), "Set value and delay"),
                opt("update-delay", Some('Y'), Value::None, "Set the delay"),
                opt("query", Some('Q'), Value::None, "Show the value"),
                opt("delete", Some('D'), Value::None, "Delete the attribute"),
                opt("refresh", Some('R'), Value::None, "Write all values to the configuration again"),
            ],
        ),
        (
            "Additional options",
            &[
                opt("name", Some('n'), Value::Required("NAME"), "The attribute"),
                opt("pattern", Some('P'), Value::Required("PATTERN"), "Attributes whose names match"),
                opt("node", Some('N'), Value::Required("NODE"), "Of this node"),
                opt("all", Some('A'), Value::None, "With --query: of all nodes"),
                opt("delay", Some('d'), Value::Required("TIME"), "Wait for further changes before writing"),
                opt("lifetime", Some('l'), Value::Required("LIFETIME"), ""),
                opt("private", Some('p'), Value::None, "Never write it to the configuration"),
                opt("set", Some('s'), Value::Required("SET"), ""),
                opt("section", Some('S'), Value::Required("SECTION"), ""),
                opt("wait", Some('W'), Value::Required("UNTIL"), ""),
                opt("output-as", None, Value::Required("FORMAT"), ""),
            ],
        ),
    ],
};

pub fn attrd_updater(arguments: Vec<OsString>) -> i32 {
    start(&UPDATER, arguments, |parsed| updater(parsed).err().unwrap_or(ExitCode::OK))
}

fn updater(parsed: &Parsed) -> Result<(), ExitCode> {
    let failed = |error: Error| {
        err(&format!("attrd_updater: Could not talk to the attribute manager: {error}"));
        error.exit()
    };
    let mut attributes = Attributes::open("attrd_updater").map_err(failed)?;
    if parsed.has("refresh") {
        return attributes.refresh().map_err(failed);
    }
    let Some(name) = parsed.value("name").or(parsed.value("pattern")) else {
        err("attrd_updater: Must specify a name with -n");
        return Err(ExitCode::USAGE);
    };
    if parsed.has("query") {
        let node = match parsed.value("node") {
            Some(node) => Some(node.to_string()),
            None if parsed.has("all") => None,
            None => Some(local("attrd_updater")?),
        };
        let mut found = attributes.query(name, node.as_deref()).map_err(failed)?;
        found.sort_by(|a, b| a.node.cmp(&b.node));
        let with_values = found.iter().filter_map(|v| v.value.as_deref().map(|value| (&v.node, value)));
        let lines: Vec<String> = with_values
            .map(|(node, value)| format!("name=\"{name}\" host=\"{node}\" value=\"{value}\""))
            .collect();
        if lines.is_empty() {
            err(&format!("attrd_updater: Could not query value of {name}: attribute does not exist"));
            return Err(ExitCode::NOSUCH);
        }
        lines.iter().for_each(|l| out(l));
        return Ok(());
    }
    let both = parsed.value("update-both");
    let update = Update {
        name,
        value: parsed.value("update").or(both),
        node: parsed.value("node"),
        dampening: parsed.value("delay"),
        set: parsed.value("set"),
        private: parsed.has("private"),
        task: both.map(|_| "update-both").or(parsed.has("update-delay").then_some("update-delay")),
        pattern: parsed.value("name").is_none(),
    };
    attributes.update(&update).map_err(failed)
}
