//! The direction of dependencies: a crate may use only crates of lower layers, and cores use nothing
//! that touches the world.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Layers, lowest first. A crate depends on crates of earlier lines only.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["xml", "sys"],
    &["totem", "cib", "executor", "fencer", "attributes", "qb"],
    &["engine", "scheduler", "clients", "knet"],
    &["controller", "status", "manager-client", "agents"],
    &["simulate", "sim", "corosync", "pacemakerd", "pcsd"],
    &["tools"],
    &["pcs", "crm"],
    &["lab"],
    &["relevo"],
    &["xtask"],
];

/// Sans-IO crates: of the workspace they use only each other.
const CORES: &[&str] = &[
    "base",
    "xml",
    "totem",
    "knet",
    "engine",
    "cib",
    "scheduler",
    "controller",
    "executor",
    "fencer",
    "attributes",
];

/// Foreign crates that give a core no way to touch the world.
const PURE: &[&str] = &[
    "thiserror",
    "hashbrown",
    "quick-xml",
    "md-5",
    "regex",
    "regex-lite",
    "jiff",
    "indexmap",
    "smallvec",
    "smol_str",
    "aes",
    "bytes",
    "bzip2",
    "cbc",
    "flate2",
    "hmac",
    "lz4_flex",
    "sha1",
    "sha2",
    "zstd",
];

/// Checks all edges.
///
/// # Errors
/// A line for each edge in a wrong direction.
pub fn check() -> Result<(), String> {
    let output = Command::new("cargo").args(["metadata", "--no-deps", "--format-version", "1"]).output();
    let output = output.map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let faults = faults(&metadata);
    if faults.is_empty() {
        eprintln!("✓ all dependencies point the right way");
        Ok(())
    } else {
        Err(format!("dependencies in a wrong direction:\n  {}", faults.join("\n  ")))
    }
}

fn faults(metadata: &Value) -> Vec<String> {
    let layers: BTreeMap<&str, usize> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(level, names)| names.iter().map(move |name| (*name, level)))
        .collect();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or("");
        let Some(level) = layers.get(name) else {
            found.push(format!("{name}: not in the table of layers (xtask/src/edges.rs)"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let other = dependency["name"].as_str().unwrap_or("");
            let for_tests = dependency["kind"].as_str() == Some("dev");
            if for_tests {
                continue;
            }
            match layers.get(other) {
                Some(other_level) if other_level >= level => {
                    found.push(format!("{name} → {other}: not a lower layer"))
                }
                Some(_) if CORES.contains(&name) && !CORES.contains(&other) => {
                    found.push(format!("{name} → {other}: a core uses cores only"));
                }
                None if CORES.contains(&name) && !PURE.contains(&other) => {
                    found.push(format!("{name} → {other}: a core needs no such crate"));
                }
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, dependency: &str) -> Vec<String> {
        let package = serde_json::json!({"name": name, "dependencies": [{"name": dependency, "kind": null}]});
        faults(&serde_json::json!({ "packages": [package] }))
    }

    #[test]
    fn wrong_edges_are_found() {
        assert!(with("controller", "cib").is_empty());
        assert_eq!(with("cib", "controller").len(), 1);
        assert_eq!(with("scheduler", "qb").len(), 1);
        assert_eq!(with("totem", "tokio").len(), 1);
        assert!(with("pcsd", "tokio").is_empty());
        assert_eq!(with("unheard-of", "base").len(), 1);
    }

    #[test]
    fn the_workspace_has_no_wrong_edge() {
        assert_eq!(check(), Ok(()));
    }
}
