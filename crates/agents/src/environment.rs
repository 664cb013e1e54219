//! The OCF interface of a program: action as first word, parameters in the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;

use base::OcfExit;

use crate::{Agent, Outcome};

const PREFIX: &str = "OCF_RESKEY_";
const REASON: &str = "ocf-exit-reason:";

/// Parameters of a resource by name, `CRM_meta_*` included, and the name of the instance.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    values: BTreeMap<String, String>,
    pub instance: String,
}

impl Parameters {
    pub fn new(instance: &str, values: impl IntoIterator<Item = (String, String)>) -> Parameters {
        Parameters { values: values.into_iter().collect(), instance: instance.to_string() }
    }

    fn from_environment() -> Parameters {
        let values = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?.strip_prefix(PREFIX)?.to_string();
            Some((name, value.into_string().ok()?))
        });
        let instance = std::env::var("OCF_RESOURCE_INSTANCE").unwrap_or_else(|_| "default".into());
        Parameters::new(&instance, values)
    }

    /// A parameter that is given and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub fn is_true(&self, name: &str, default: bool) -> bool {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "on" | "1" | "y" | "ja") => true,
            Some(_) => false,
            None => default,
        }
    }

    /// A number, or the default; `None` when the text is no number.
    pub fn number(&self, name: &str, default: u64) -> Option<u64> {
        self.text(name).map_or(Some(default), |text| text.parse().ok())
    }
}

/// Runs an agent as a program; gives its exit status.
pub fn run_as_program(agent: &Agent, arguments: &[OsString]) -> i32 {
    let action = arguments.first().and_then(|word| word.to_str()).unwrap_or("");
    if matches!(action, "meta-data" | "metadata") {
        println!("{}", (agent.metadata)());
        return 0;
    }
    if matches!(action, "" | "usage" | "help" | "--help") {
        println!("usage: {} start|stop|monitor|status|validate-all|meta-data", agent.name);
        return if action.is_empty() { OcfExit::UNIMPLEMENTED.0 } else { 0 };
    }
    let Outcome { exit, reason } = (agent.run)(action, &Parameters::from_environment());
    if !reason.is_empty() {
        eprintln!("{REASON}{reason}");
    }
    exit.0
}

/// A parameter as the metadata describes it.
pub(crate) struct Described {
    pub name: &'static str,
    pub kind: &'static str,
    pub required: bool,
    pub unique: bool,
    pub default: &'static str,
    pub short: &'static str,
    pub long: &'static str,
}

/// Metadata of an agent (OCF Resource Agent API 1.1). Actions: name, time-out, interval, role.
pub(crate) fn metadata(
    name: &str,
    short: &str,
    long: &str,
    parameters: &[Described],
    actions: &[(&str, &str, &str, &str)],
) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">\n\
         <resource-agent name=\"{name}\" version=\"1.0\">\n<version>1.0</version>\n\n\
         <longdesc lang=\"en\">\n{long}\n</longdesc>\n<shortdesc lang=\"en\">{short}</shortdesc>\n\n<parameters>\n"
    );
    for parameter in parameters {
        let Described { name, kind, required, unique, default, short, long } = parameter;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "<parameter name=\"{name}\" unique=\"{}\" required=\"{}\">\n<longdesc lang=\"en\">\n{long}\n</longdesc>\n\
             <shortdesc lang=\"en\">{short}</shortdesc>\n<content type=\"{kind}\" default=\"{default}\"/>\n</parameter>",
            u8::from(*unique),
            u8::from(*required),
        );
    }
    text.push_str("</parameters>\n\n<actions>\n");
    for (name, timeout, interval, role) in actions {
        let depth = if *name == "monitor" || *name == "status" { " depth=\"0\"" } else { "" };
        let interval = if interval.is_empty() { String::new() } else { format!(" interval=\"{interval}\"") };
        let role = if role.is_empty() { String::new() } else { format!(" role=\"{role}\"") };
        let _ = writeln!(text, "<action name=\"{name}\"{depth} timeout=\"{timeout}\"{interval}{role}/>");
    }
    text.push_str("</actions>\n</resource-agent>");
    text
}
