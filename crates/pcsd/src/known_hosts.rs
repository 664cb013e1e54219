//! `known-hosts`: tokens and addresses of other nodes, in the reference's format.

use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::files::write_atomically;

/// Adds and removes hosts.
///
/// # Errors
/// A text for the asker when the change cannot be read or stored.
pub fn change(directory: &Path, data: &Value) -> Result<(), String> {
    let add = data.get("known_hosts_add").and_then(Value::as_object).ok_or("'known_hosts_add' is missing")?;
    let remove = data.get("known_hosts_remove").and_then(Value::as_array).cloned().unwrap_or_default();
    let path = directory.join("known-hosts");
    let mut file = read(&path);
    let hosts = file.entry("known_hosts").or_insert_with(|| json!({}));
    let Some(hosts) = hosts.as_object_mut() else { return Err("the known-hosts file is damaged".into()) };
    for (name, host) in add {
        let token = host.get("token").and_then(Value::as_str).ok_or(format!("host '{name}' has no token"))?;
        let list = host
            .get("dest_list")
            .filter(|list| list.is_array())
            .ok_or(format!("host '{name}' has no address"))?;
        hosts.insert(name.clone(), json!({"dest_list": list, "token": token}));
    }
    for name in remove.iter().filter_map(Value::as_str) {
        hosts.remove(name);
    }
    let version = file.get("data_version").and_then(Value::as_u64).unwrap_or(0) + 1;
    file.insert("format_version".into(), json!(1));
    file.insert("data_version".into(), json!(version));
    store(&path, &file).map_err(|error| format!("{}: {error}", path.display()))
}

/// Hosts by name: addresses and token.
pub fn hosts(directory: &Path) -> Map<String, Value> {
    let file = read(&directory.join("known-hosts"));
    file.get("known_hosts").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn read(path: &Path) -> Map<String, Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn store(path: &Path, file: &Map<String, Value>) -> io::Result<()> {
    let text = serde_json::to_string_pretty(file).map_err(io::Error::other)?;
    write_atomically(path, text.as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_add_replace_and_remove() {
        let directory = std::env::temp_dir().join(format!("relevo-hosts-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let host = |token: &str| json!({"token": token, "dest_list": [{"addr": "10.0.0.1", "port": 2224}]});
        change(&directory, &json!({"known_hosts_add": {"a": host("1"), "b": host("2")}})).unwrap();
        change(&directory, &json!({"known_hosts_add": {"a": host("3")}, "known_hosts_remove": ["b"]}))
            .unwrap();
        let known = hosts(&directory);
        assert_eq!(known.len(), 1);
        assert_eq!(known["a"]["token"], "3");
        assert!(change(&directory, &json!({})).is_err());
        assert!(change(&directory, &json!({"known_hosts_add": {"a": {"token": "1"}}})).is_err());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_changes_leave_a_readable_file(
            add in "\\PC{0,60}", name in "\\PC{0,8}", token in "\\PC{0,8}", port: u64, remove in "\\PC{0,8}",
        ) {
            let directory = std::env::temp_dir().join(format!("relevo-hosts-any-{}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            let any: Value = serde_json::from_str(&add).unwrap_or(json!(add));
            let whole = json!({"token": token, "dest_list": [{"addr": "a", "port": port}]});
            for host in [any, whole] {
                let data = json!({"known_hosts_add": {&name: host}, "known_hosts_remove": [&remove]});
                let _ = change(&directory, &data);
            }
            let known = hosts(&directory);
            proptest::prop_assert!(remove == name || known.contains_key(&name));
            std::fs::remove_file(directory.join("known-hosts")).unwrap();
        }
    }
}
