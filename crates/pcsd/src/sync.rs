//! Files that pcsd keeps equal on all nodes of a cluster: `get_configs` and `set_configs`.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::files::write_atomically;

/// Names on the wire, which are also the files' names.
const CONFIGS: &[(&str, u32)] = &[("known-hosts", 0o600), ("pcs_settings.conf", 0o644)];
/// Largest text accepted, in bytes.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// Our copies, for a node that asks for this cluster's.
pub fn get(directory: &Path, ours: &str, asked: &str) -> Value {
    if ours.is_empty() {
        return json!({"status": "not_in_cluster"});
    }
    if ours != asked {
        return json!({"status": "wrong_cluster_name"});
    }
    let mut configs = Map::new();
    for (name, _) in CONFIGS {
        if let Ok(text) = std::fs::read_to_string(directory.join(name)) {
            configs.insert((*name).to_string(), json!({"type": "file", "text": text}));
        }
    }
    json!({"status": "ok", "cluster_name": ours, "configs": configs})
}

/// Takes another node's copies that are newer than ours.
pub fn set(directory: &Path, ours: &str, text: Option<&String>) -> Value {
    let Some(data) = text.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return json!({"status": "bad_json"});
    };
    let theirs = data.get("cluster_name").and_then(Value::as_str).unwrap_or("");
    if !ours.is_empty() && ours != theirs {
        return json!({"status": "wrong_cluster_name"});
    }
    let force = data.get("force").and_then(Value::as_bool).unwrap_or(false);
    let mut result = Map::new();
    for (name, config) in data.get("configs").and_then(Value::as_object).into_iter().flatten() {
        let text = config.get("text").and_then(Value::as_str).unwrap_or("");
        result.insert(name.clone(), json!(take(directory, name, text, force)));
    }
    json!({"status": "ok", "result": result})
}

fn take(directory: &Path, name: &str, text: &str, force: bool) -> &'static str {
    let Some((name, mode)) = CONFIGS.iter().find(|(known, _)| *known == name) else { return "not_supported" };
    let Some(version) = version(text).filter(|_| text.len() <= MAX_TEXT_BYTES) else { return "error" };
    let path = directory.join(name);
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    if old == text {
        return "accepted";
    }
    if !force && self::version(&old).is_some_and(|old| old >= version) {
        return "rejected";
    }
    match write_atomically(&path, text.as_bytes(), *mode) {
        Ok(()) => "accepted",
        Err(_) => "error",
    }
}

fn version(text: &str) -> Option<u64> {
    serde_json::from_str::<Value>(text).ok()?.get("data_version")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_newer_copies_are_taken() {
        let directory = std::env::temp_dir().join(format!("relevo-sync-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let send = |version: u32, cluster: &str, name: &str| {
            let text = json!({"data_version": version, "known_hosts": {}}).to_string();
            let data = json!({"cluster_name": cluster, "configs": {name: {"type": "file", "text": text}}});
            set(&directory, "one", Some(&data.to_string()))
        };
        assert_eq!(send(2, "one", "known-hosts")["result"]["known-hosts"], "accepted");
        assert_eq!(send(2, "one", "known-hosts")["result"]["known-hosts"], "accepted");
        assert_eq!(send(1, "one", "known-hosts")["result"]["known-hosts"], "rejected");
        assert_eq!(send(3, "one", "../shadow")["result"]["../shadow"], "not_supported");
        assert_eq!(send(3, "two", "known-hosts")["status"], "wrong_cluster_name");
        assert_eq!(set(&directory, "one", Some(&"{".to_string()))["status"], "bad_json");
        assert!(get(&directory, "one", "one")["configs"]["known-hosts"]["text"].is_string());
    }

    proptest::proptest! {
        /// Whatever a node sends, nothing but the two files is written, and those only with a version in them.
        #[test]
        fn arbitrary_copies_do_no_harm(
            text in "\\PC{0,80}", name in "(known-hosts|pcs_settings.conf|\\.\\./x|\\PC{0,8})",
            version in proptest::option::of(0u64..9), force: bool, raw in "\\PC{0,120}",
        ) {
            let directory = std::env::temp_dir().join(format!("relevo-sync-any-{}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            let text = version.map_or(text, |version| json!({"data_version": version}).to_string());
            let data = json!({"cluster_name": "one", "force": force, "configs": {name: {"text": text}}});
            for sent in [data.to_string(), raw] {
                let _ = set(&directory, "one", Some(&sent));
            }
            for entry in std::fs::read_dir(&directory).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                proptest::prop_assert!(CONFIGS.iter().any(|(known, _)| *known == name), "{}", name);
                let text = std::fs::read_to_string(entry.path()).unwrap();
                proptest::prop_assert!(super::version(&text).is_some(), "{}", text);
            }
        }
    }
}
