//! Resource agents: their names, where they are, and what their metadata says.

mod metadata;
mod validate;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use metadata::{Action, Metadata, Parameter};
pub use validate::{
    OPERATION_ATTRIBUTES, default_interval, instance_attributes, invalid_options, operations,
};

use crate::report::nearest;

/// Class, provider (OCF only), and type of an agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentName {
    pub class: String,
    pub provider: Option<String>,
    pub kind: String,
}

impl std::fmt::Display for AgentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.provider {
            Some(provider) => write!(f, "{}:{provider}:{}", self.class, self.kind),
            None => write!(f, "{}:{}", self.class, self.kind),
        }
    }
}

/// Why there is no agent to work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    #[error(
        "Invalid resource agent name '{0}'. Use standard:provider:type when standard is 'ocf' or \
         standard:type otherwise. List of standards and providers can be obtained by using commands \
         'pcs resource standards' and 'pcs resource providers'."
    )]
    Name(String),
    #[error("Unable to find agent '{0}', try specifying its full name")]
    Unknown(String, Option<String>),
    #[error("Multiple agents match '{name}', please specify full name: {list}", list = either(.agents))]
    Ambiguous { name: String, agents: Vec<String> },
    #[error(
        "Agent '{name}' is not installed or does not provide valid metadata: crm_resource: Metadata \
         query for {name} failed: {cause}, Error performing operation: No such object"
    )]
    Missing { name: String, cause: String, near: Option<String> },
}

impl AgentError {
    /// The name that was probably meant.
    pub fn near(&self) -> Option<&str> {
        match self {
            AgentError::Unknown(_, near) | AgentError::Missing { near, .. } => near.as_deref(),
            _ => None,
        }
    }

    /// `--force` accepts an agent without metadata.
    pub fn forceable(&self) -> bool {
        matches!(self, AgentError::Missing { .. })
    }
}

fn either(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("'{n}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}

/// Classes that this build knows, in the order in which they are listed.
pub const STANDARDS: &[&str] = &["lsb", "ocf", "service", "systemd", "stonith"];

/// Longest metadata accepted from an agent, in bytes.
const METADATA_LIMIT: usize = 1 << 20;
/// Longest time an agent may take to print its metadata, in milliseconds.
const METADATA_TIMEOUT_MS: u64 = 30_000;

/// Finds agents below the directories of this node.
#[derive(Debug, Clone)]
pub struct Library {
    ocf_dirs: Vec<PathBuf>,
}

impl Library {
    pub fn new(ocf_dirs: &[PathBuf]) -> Self {
        Library { ocf_dirs: ocf_dirs.to_vec() }
    }

    /// Splits a full name, or completes a bare type by the agents installed.
    ///
    /// # Errors
    /// For a name that is malformed, unknown, or fits several agents.
    pub fn resolve(&self, name: &str) -> Result<AgentName, AgentError> {
        if name.contains(':') {
            return split(name);
        }
        let all = self.ocf_agents();
        let matching: Vec<&AgentName> = all.iter().filter(|a| a.kind.eq_ignore_ascii_case(name)).collect();
        match matching.as_slice() {
            [one] => Ok((*one).clone()),
            [] => {
                let near = nearest(name, all.iter().map(|a| a.kind.as_str())).map(str::to_string);
                Err(AgentError::Unknown(name.to_string(), near))
            }
            many => Err(AgentError::Ambiguous {
                name: name.to_string(),
                agents: many.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// Reads and parses an agent's metadata.
    ///
    /// # Errors
    /// When the agent is not there, fails, hangs, or prints something else.
    pub fn metadata(&self, name: &AgentName) -> Result<Metadata, AgentError> {
        let missing = |cause: &str| AgentError::Missing {
            name: name.to_string(),
            cause: cause.to_string(),
            near: self.near(name),
        };
        let text = match name.class.as_str() {
            "ocf" => {
                let path = self.ocf_path(name).ok_or_else(|| missing("No such device or address"))?;
                run(Command::new(&path).arg("meta-data").env("OCF_ROOT", ocf_root(&path)))
                    .map_err(|cause| missing(&cause))?
            }
            "stonith" => {
                let path = fence_agent(&name.kind).ok_or_else(|| missing("No such device or address"))?;
                run(Command::new(path).args(["-o", "metadata"])).map_err(|cause| missing(&cause))?
            }
            "systemd" | "service" | "lsb" => {
                return if service_exists(&name.class, &name.kind) {
                    Ok(Metadata::of_service(name))
                } else {
                    Err(missing("No such device or address"))
                };
            }
            _ => return Err(AgentError::Name(name.to_string())),
        };
        Metadata::parse(name, &text).map_err(|cause| missing(&cause))
    }

    /// Text of the metadata as the agent prints it.
    ///
    /// # Errors
    /// As [`Library::metadata`].
    pub fn raw_metadata(&self, name: &AgentName) -> Option<String> {
        let path = self.ocf_path(name)?;
        run(Command::new(&path).arg("meta-data").env("OCF_ROOT", ocf_root(&path))).ok()
    }

    fn near(&self, name: &AgentName) -> Option<String> {
        let all: Vec<AgentName> =
            self.ocf_agents().into_iter().filter(|a| a.provider == name.provider).collect();
        let kind = nearest(&name.kind, all.iter().map(|a| a.kind.as_str()))?.to_string();
        all.iter().find(|a| a.kind == kind).map(ToString::to_string)
    }

    fn ocf_path(&self, name: &AgentName) -> Option<PathBuf> {
        let provider = name.provider.as_deref()?;
        if [provider, &name.kind].iter().any(|part| part.contains('/') || part.starts_with('.')) {
            return None;
        }
        self.ocf_dirs.iter().map(|dir| dir.join(provider).join(&name.kind)).find(|path| path.is_file())
    }

    /// Providers of OCF agents.
    pub fn providers(&self) -> Vec<String> {
        let mut all: Vec<String> = self.ocf_dirs.iter().flat_map(|dir| names_in(dir)).collect();
        all.sort();
        all.dedup();
        all
    }

    /// All OCF agents, sorted.
    pub fn ocf_agents(&self) -> Vec<AgentName> {
        let mut all = Vec::new();
        for provider in self.providers() {
            for dir in &self.ocf_dirs {
                for kind in names_in(&dir.join(&provider)) {
                    all.push(AgentName { class: "ocf".into(), provider: Some(provider.clone()), kind });
                }
            }
        }
        all.sort_by_key(|a| a.to_string().to_lowercase());
        all.dedup();
        all
    }

    /// Fence agents (`fence_*` programs), sorted.
    pub fn fence_agents(&self) -> Vec<String> {
        let mut all: Vec<String> = FENCE_DIRS
            .iter()
            .flat_map(|dir| names_in(Path::new(dir)))
            .filter(|name| name.starts_with("fence_") && !NOT_AGENTS.contains(&name.as_str()))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// Services that systemd or init scripts provide, sorted.
    pub fn services(&self, class: &str) -> Vec<String> {
        let mut all = Vec::new();
        if class != "systemd" {
            all.extend(names_in(Path::new(INIT_DIR)));
        }
        if class != "lsb" {
            for dir in UNIT_DIRS {
                all.extend(
                    names_in(Path::new(dir))
                        .into_iter()
                        .filter_map(|unit| unit.strip_suffix(".service").map(str::to_string)),
                );
            }
        }
        all.sort();
        all.dedup();
        all
    }
}

const FENCE_DIRS: &[&str] = &["/usr/sbin", "/usr/local/sbin"];
/// Programs named like fence agents that are none.
const NOT_AGENTS: &[&str] = &["fence_ack_manual", "fence_sanlockd", "fence_tool", "fence_virtd"];
const INIT_DIR: &str = "/etc/init.d";
const UNIT_DIRS: &[&str] =
    &["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

fn names_in(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

fn fence_agent(kind: &str) -> Option<PathBuf> {
    if kind.contains('/') || !kind.starts_with("fence_") {
        return None;
    }
    FENCE_DIRS.iter().map(|dir| Path::new(dir).join(kind)).find(|path| path.is_file())
}

fn service_exists(class: &str, name: &str) -> bool {
    if name.contains('/') {
        return false;
    }
    let unit = UNIT_DIRS.iter().any(|dir| {
        let dir = Path::new(dir);
        dir.join(name).is_file() || dir.join(format!("{name}.service")).is_file()
    });
    let script = Path::new(INIT_DIR).join(name).is_file();
    match class {
        "systemd" => unit,
        "lsb" => script,
        _ => unit || script,
    }
}

/// `/usr/lib/ocf` for `/usr/lib/ocf/resource.d/heartbeat/X`.
fn ocf_root(path: &Path) -> PathBuf {
    path.ancestors().nth(3).unwrap_or(Path::new("/usr/lib/ocf")).to_path_buf()
}

/// `class:type` or `ocf:provider:type`.
fn split(name: &str) -> Result<AgentName, AgentError> {
    let parts: Vec<&str> = name.split(':').collect();
    let known = |class: &str| STANDARDS.contains(&class) || class == "nagios" || class == "upstart";
    match parts.as_slice() {
        ["ocf", provider, kind] if !provider.is_empty() && !kind.is_empty() => {
            Ok(AgentName { class: "ocf".into(), provider: Some((*provider).into()), kind: (*kind).into() })
        }
        [class, kind @ ..] if *class != "ocf" && known(class) && !kind.is_empty() => {
            let kind = kind.join(":");
            // A unit may have an instance: systemd:name@part.
            if kind.is_empty() || (kind.contains(':') && *class != "systemd") {
                return Err(AgentError::Name(name.to_string()));
            }
            Ok(AgentName { class: (*class).into(), provider: None, kind })
        }
        _ => Err(AgentError::Name(name.to_string())),
    }
}

/// Runs an agent for its metadata: limited in time and size, no input.
fn run(command: &mut Command) -> Result<String, String> {
    use std::io::Read;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let Some(stdout) = child.stdout.take() else { return Err("no output".into()) };
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = stdout.take(METADATA_LIMIT as u64).read_to_end(&mut bytes).map(|_| bytes);
        // The receiver may have given up already.
        let _ = sender.send(result);
    });
    let timeout = std::time::Duration::from_millis(METADATA_TIMEOUT_MS);
    let bytes = match receiver.recv_timeout(timeout) {
        Ok(result) => result.map_err(|error| error.to_string())?,
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err("Connection timed out".into());
        }
    };
    // An agent that floods is not read further; it must not block the exit either.
    if bytes.len() >= METADATA_LIMIT {
        let _ = child.kill();
    }
    let _ = child.wait();
    String::from_utf8(bytes).map_err(|_| "Invalid argument".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = split("ocf:heartbeat:IPaddr2").unwrap();
        assert_eq!((name.provider.as_deref(), name.kind.as_str()), (Some("heartbeat"), "IPaddr2"));
        assert_eq!(split("systemd:getty@tty1").unwrap().kind, "getty@tty1");
        for wrong in ["ocf:IPaddr2", "nosuch:foo:bar", "ocf::x", "ocf:a:b:c", "lsb:"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_hostile_name_leaves_the_directories_alone() {
        let library = Library::new(&[PathBuf::from("/usr/lib/ocf/resource.d")]);
        let name =
            AgentName { class: "ocf".into(), provider: Some("..".into()), kind: "../../bin/sh".into() };
        assert!(library.ocf_path(&name).is_none());
    }
}
