//! Agent metadata, OCF 1.0 and 1.1 alike. (resource-agents: doc/dev-guides/ra-dev-guide, OCF RA API 1.1.)

use xml::{Document, Element};

use super::AgentName;

/// What an agent says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub name: AgentName,
    /// Written for OCF 1.1.
    pub ocf_1_1: bool,
    /// False for an agent that the user forced in without metadata.
    pub exists: bool,
    pub short: String,
    pub long: String,
    pub parameters: Vec<Parameter>,
    pub actions: Vec<Action>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub kind: String,
    pub default: Option<String>,
    pub required: bool,
    /// Parameters of one group must differ, taken together, between resources of this agent.
    pub unique_group: Option<String>,
    pub deprecated: bool,
    pub deprecated_by: Vec<String>,
    pub short: String,
    pub long: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    pub name: String,
    pub timeout: Option<String>,
    pub interval: Option<String>,
    pub role: Option<String>,
    pub start_delay: Option<String>,
    pub depth: Option<String>,
}

/// Parameters that every OCF agent takes for tracing (resource-agents, ocf-shellfuncs).
const TRACE: &[(&str, &str)] = &[
    ("trace_ra", "Trace the agent: 1 writes what it executes to a file."),
    ("trace_file", "File for the trace; by default one per call below the agents' trace directory."),
];

impl Metadata {
    /// Parses what an agent printed.
    ///
    /// # Errors
    /// A short cause when the text is no metadata.
    pub fn parse(name: &AgentName, text: &str) -> Result<Metadata, String> {
        let doc = Document::parse(text).map_err(|error| error.to_string())?;
        let root = doc.root_element();
        if root.name() != "resource-agent" {
            return Err("No data available".into());
        }
        let ocf_1_1 = root.child("version").is_some_and(|v| v.text().trim() == "1.1");
        let mut parameters: Vec<Parameter> = root
            .child("parameters")
            .map(|list| list.children_named("parameter").filter_map(|p| parameter(p, ocf_1_1)).collect())
            .unwrap_or_default();
        if name.class == "ocf" {
            for (trace, about) in TRACE {
                if !parameters.iter().any(|p| p.name == *trace) {
                    parameters.push(Parameter {
                        name: (*trace).into(),
                        kind: "string".into(),
                        short: (*about).into(),
                        ..Parameter::default()
                    });
                }
            }
        }
        if name.class == "stonith" {
            add_fence_parameters(&mut parameters);
        }
        let actions = root
            .child("actions")
            .map(|list| list.children_named("action").filter_map(action).collect())
            .unwrap_or_default();
        Ok(Metadata {
            name: name.clone(),
            ocf_1_1,
            exists: true,
            short: description(root, "shortdesc"),
            long: description(root, "longdesc"),
            parameters,
            actions,
        })
    }

    /// An agent that is taken on trust (`--force`).
    pub fn unknown(name: &AgentName) -> Metadata {
        Metadata {
            name: name.clone(),
            ocf_1_1: false,
            exists: false,
            short: String::new(),
            long: String::new(),
            parameters: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// What Pacemaker assumes of a service of systemd or init.
    pub fn of_service(name: &AgentName) -> Metadata {
        let timeouts: &[(&str, &str)] = match name.class.as_str() {
            "lsb" => &[("start", "15"), ("stop", "15"), ("restart", "15")],
            _ => &[("start", "100"), ("stop", "100")],
        };
        let mut actions: Vec<Action> = timeouts
            .iter()
            .map(|(name, timeout)| Action {
                name: (*name).into(),
                timeout: Some((*timeout).into()),
                ..Action::default()
            })
            .collect();
        let (timeout, interval) = if name.class == "lsb" { ("15", "15") } else { ("100", "60") };
        actions.push(Action {
            name: "monitor".into(),
            timeout: Some(timeout.into()),
            interval: Some(interval.into()),
            ..Action::default()
        });
        if name.class == "lsb" {
            actions.push(Action {
                name: "force-reload".into(),
                timeout: Some("15".into()),
                ..Action::default()
            });
        }
        Metadata {
            name: name.clone(),
            ocf_1_1: false,
            exists: true,
            short: format!("{} unit or script for {}", name.class, name.kind),
            long: String::new(),
            parameters: Vec::new(),
            actions,
        }
    }

    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// Operations that a new resource gets without being told.
    pub fn default_operations(&self, necessary_only: bool) -> Vec<Action> {
        let wanted = |action: &&Action| {
            if necessary_only || self.name.class == "stonith" {
                action.name == "monitor"
            } else {
                !matches!(action.name.as_str(), "meta-data" | "status" | "validate-all")
            }
        };
        let mut found: Vec<Action> = self.actions.iter().filter(wanted).cloned().collect();
        if !found.iter().any(|a| a.name == "monitor") {
            found.push(Action { name: "monitor".into(), ..Action::default() });
        }
        found
    }
}

/// Pacemaker's own parameters of every fence device (pacemaker-fenced(7)).
const FENCE_PARAMETERS: &[&str] = &[
    "pcmk_host_argument",
    "pcmk_host_map",
    "pcmk_host_list",
    "pcmk_host_check",
    "pcmk_delay_max",
    "pcmk_delay_base",
    "pcmk_action_limit",
    "pcmk_reboot_action",
    "pcmk_reboot_timeout",
    "pcmk_reboot_retries",
    "pcmk_off_action",
    "pcmk_off_timeout",
    "pcmk_off_retries",
    "pcmk_on_action",
    "pcmk_on_timeout",
    "pcmk_on_retries",
    "pcmk_list_action",
    "pcmk_list_timeout",
    "pcmk_list_retries",
    "pcmk_monitor_action",
    "pcmk_monitor_timeout",
    "pcmk_monitor_retries",
    "pcmk_status_action",
    "pcmk_status_timeout",
    "pcmk_status_retries",
    "stonith-timeout",
    "priority",
];

fn add_fence_parameters(parameters: &mut Vec<Parameter>) {
    for name in FENCE_PARAMETERS {
        if !parameters.iter().any(|p| p.name == *name) {
            parameters.push(Parameter {
                name: (*name).into(),
                kind: "string".into(),
                ..Parameter::default()
            });
        }
    }
    // The manager supplies these itself.
    for parameter in parameters.iter_mut() {
        if matches!(parameter.name.as_str(), "port" | "plug" | "action") {
            parameter.required = false;
        }
    }
}

fn parameter(element: Element<'_>, ocf_1_1: bool) -> Option<Parameter> {
    let name = element.attr("name")?.to_string();
    let yes = |attribute: &str| element.attr(attribute) == Some("1");
    let content = element.child("content");
    let unique_group = if ocf_1_1 {
        element.attr("unique-group").map(str::to_string)
    } else {
        yes("unique").then(|| format!("_pcs_unique_group_{name}"))
    };
    let deprecated = element.child("deprecated");
    Some(Parameter {
        kind: content.and_then(|c| c.attr("type")).unwrap_or("string").to_string(),
        default: content.and_then(|c| c.attr("default")).map(str::to_string),
        required: yes("required"),
        unique_group,
        deprecated: yes("deprecated") || deprecated.is_some(),
        deprecated_by: deprecated
            .map(|d| {
                d.children_named("replaced-with").filter_map(|r| r.attr("name").map(String::from)).collect()
            })
            .unwrap_or_default(),
        short: description(element, "shortdesc"),
        long: description(element, "longdesc"),
        name,
    })
}

fn action(element: Element<'_>) -> Option<Action> {
    let text = |name: &str| element.attr(name).filter(|v| !v.is_empty()).map(str::to_string);
    Some(Action {
        name: text("name")?,
        timeout: text("timeout"),
        // "0" is how metadata says that an action does not recur.
        interval: text("interval").filter(|i| i != "0"),
        role: text("role"),
        start_delay: text("start-delay"),
        depth: text("depth"),
    })
}

fn description(element: Element<'_>, name: &str) -> String {
    element.child(name).map(|d| d.text().trim().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="IPaddr2" version="1.0"><version>1.0</version>
<longdesc lang="en">Long</longdesc><shortdesc lang="en">Short</shortdesc>
<parameters><parameter name="ip" unique="1" required="1"><content type="string" default=""/></parameter></parameters>
<actions><action name="start" timeout="20s"/><action name="stop" timeout="20s"/>
<action name="monitor" depth="0" timeout="20s" interval="10s"/>
<action name="meta-data" timeout="5s"/><action name="validate-all" timeout="20s"/></actions></resource-agent>"#;

    fn name() -> AgentName {
        AgentName { class: "ocf".into(), provider: Some("heartbeat".into()), kind: "IPaddr2".into() }
    }

    #[test]
    fn ocf_1_0() {
        let metadata = Metadata::parse(&name(), TEXT).unwrap();
        assert_eq!(metadata.short, "Short");
        let ip = metadata.parameter("ip").unwrap();
        assert!(ip.required && ip.unique_group.is_some());
        assert!(metadata.parameter("trace_ra").is_some());
        let defaults: Vec<String> = metadata.default_operations(false).into_iter().map(|a| a.name).collect();
        assert_eq!(defaults, ["start", "stop", "monitor"]);
        assert_eq!(metadata.default_operations(true).len(), 1);
    }

    #[test]
    fn rubbish_is_no_metadata() {
        for text in ["", "usage: agent", "<html/>", "<resource-agent>"] {
            assert!(Metadata::parse(&name(), text).is_err(), "{text}");
        }
    }
}
