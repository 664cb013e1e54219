//! Agents: lists, metadata, and running one past the cluster.

use std::path::{Path, PathBuf};
use std::process::Command;

use base::ExitCode;

use super::{find, primitives};
use crate::options::Parsed;
use crate::session;
use crate::{err, out, out_raw};

const OCF_DIR: &str = "/usr/lib/ocf/resource.d";
const OCF_ROOT: &str = "/usr/lib/ocf";
const STANDARDS: &[&str] = &["ocf", "lsb", "service", "systemd", "stonith"];

fn names_in(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut all: Vec<String> = entries
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|n| !n.starts_with('.'))
        .collect();
    all.sort();
    all
}

pub(super) fn run(parsed: &Parsed) -> Result<(), ExitCode> {
    if parsed.has("list-standards") {
        STANDARDS.iter().for_each(|s| out(s));
        return Ok(());
    }
    if parsed.has("list-ocf-providers") {
        names_in(Path::new(OCF_DIR)).iter().for_each(|p| out(p));
        return Ok(());
    }
    if let Some(agent) = parsed.value("list-ocf-alternatives") {
        let found: Vec<String> = names_in(Path::new(OCF_DIR))
            .into_iter()
            .filter(|p| Path::new(OCF_DIR).join(p).join(agent).is_file())
            .collect();
        found.iter().for_each(|p| out(p));
        return if found.is_empty() {
            err(&format!("crm_resource: No OCF providers found for {agent}"));
            Err(session::failed(ExitCode::NOSUCH))
        } else {
            Ok(())
        };
    }
    if let Some(spec) = parsed.value("list-agents") {
        return list(spec);
    }
    metadata(parsed.value("show-metadata").unwrap_or_default())
}

fn list(spec: &str) -> Result<(), ExitCode> {
    let (standard, provider) = spec.split_once(':').map_or((spec, None), |(s, p)| (s, Some(p)));
    let mut found = match standard {
        "ocf" => names_in(Path::new(OCF_DIR))
            .into_iter()
            .filter(|p| provider.is_none_or(|wanted| wanted == p))
            .flat_map(|p| names_in(&Path::new(OCF_DIR).join(p)))
            .collect(),
        "stonith" => {
            names_in(Path::new("/usr/sbin")).into_iter().filter(|n| n.starts_with("fence_")).collect()
        }
        "lsb" => names_in(Path::new("/etc/init.d")),
        "systemd" | "service" => ["/usr/lib/systemd/system", "/etc/systemd/system"]
            .iter()
            .flat_map(|d| names_in(Path::new(d)))
            .filter_map(|n| n.strip_suffix(".service").map(str::to_string))
            .collect(),
        _ => Vec::new(),
    };
    found.sort();
    found.dedup();
    if found.is_empty() {
        let of = provider.map(|p| format!(" and provider {p}")).unwrap_or_default();
        err(&format!("crm_resource: No agents found for standard {standard}{of}"));
        return Err(session::failed(ExitCode::NOSUCH));
    }
    found.iter().for_each(|a| out(a));
    Ok(())
}

fn ocf_path(provider: &str, kind: &str) -> Option<PathBuf> {
    let plain = |part: &str| !part.is_empty() && !part.contains('/') && !part.starts_with('.');
    let path = Path::new(OCF_DIR).join(provider).join(kind);
    (plain(provider) && plain(kind) && path.is_file()).then_some(path)
}

fn metadata(spec: &str) -> Result<(), ExitCode> {
    let parts: Vec<&str> = spec.split(':').collect();
    let output = match parts.as_slice() {
        ["ocf", provider, kind] => ocf_path(provider, kind)
            .map(|path| Command::new(path).arg("meta-data").env("OCF_ROOT", OCF_ROOT).output()),
        ["stonith", kind] if kind.starts_with("fence_") && !kind.contains('/') => {
            Some(Command::new(Path::new("/usr/sbin").join(kind)).args(["-o", "metadata"]).output())
        }
        _ => {
            err(&format!("crm_resource: '{spec}' is not a valid agent specification"));
            return Err(session::failed(ExitCode(2)));
        }
    };
    match output {
        Some(Ok(output)) if output.status.success() => {
            out_raw(&String::from_utf8_lossy(&output.stdout));
            Ok(())
        }
        _ => {
            err(&format!("crm_resource: Metadata query for {spec} failed: No such device or address"));
            Err(session::failed(ExitCode::NOSUCH))
        }
    }
}

/// Runs the agent of a resource on this node with the configured options.
pub(super) fn force(id: &str, command: &str) -> Result<(), ExitCode> {
    let action = match command {
        "force-start" => "start",
        "force-stop" => "stop",
        "force-promote" => "promote",
        "force-demote" => "demote",
        "validate" => "validate-all",
        _ => "monitor",
    };
    let (_, doc) = session::load_cib("crm_resource")?;
    let node = find(&doc, id)?;
    let inner = primitives(&doc, node);
    let [primitive] = inner.as_slice() else {
        err(&format!("crm_resource: '{id}' is not a single resource: name one of {}", inner.join(", ")));
        return Err(session::failed(ExitCode::UNSATISFIED));
    };
    let element = doc.element(find(&doc, primitive)?);
    let kind = element.attr("type").unwrap_or_default();
    let path = match (element.attr("class"), element.attr("provider")) {
        (Some("ocf"), Some(provider)) => ocf_path(provider, kind),
        _ => None,
    };
    let Some(path) = path else {
        err("crm_resource: Sorry, only OCF agents that are installed here can be run past the cluster");
        return Err(session::failed(ExitCode(3)));
    };
    let mut agent = Command::new(path);
    agent
        .arg(action)
        .env("OCF_ROOT", OCF_ROOT)
        .env("OCF_RA_VERSION_MAJOR", "1")
        .env("OCF_RA_VERSION_MINOR", "1")
        .env("OCF_RESOURCE_INSTANCE", primitive)
        .env("OCF_RESOURCE_TYPE", kind)
        .env("OCF_RESOURCE_PROVIDER", element.attr("provider").unwrap_or_default())
        .env("OCF_RESKEY_CRM_meta_timeout", "20000");
    for pair in element.children_named("instance_attributes").flat_map(|s| s.children_named("nvpair")) {
        if let (Some(name), Some(value)) = (pair.attr("name"), pair.attr("value")) {
            agent.env(format!("OCF_RESKEY_{name}"), value);
        }
    }
    let output = agent.output().map_err(|error| {
        err(&format!("crm_resource: {error}"));
        session::failed(ExitCode::ERROR)
    })?;
    let code = output.status.code().unwrap_or(1);
    let name = |attribute: &str| element.attr(attribute).unwrap_or_default();
    out(&format!(
        "Operation force-{action} for {primitive} ({}:{}:{kind}) returned {code} ({})",
        name("class"),
        name("provider"),
        ExitCode(code).text().to_lowercase()
    ));
    out_raw(&String::from_utf8_lossy(&output.stdout));
    crate::err_raw(&String::from_utf8_lossy(&output.stderr));
    if code == 0 { Ok(()) } else { Err(ExitCode(code)) }
}
