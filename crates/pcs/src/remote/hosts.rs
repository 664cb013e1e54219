//! Hosts with which this node has exchanged tokens (`/var/lib/pcsd/known-hosts`).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::PORT;

/// How to reach a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub address: String,
    pub port: u16,
    /// Empty: not authenticated yet.
    pub token: String,
}

impl Host {
    /// A host that is not known: its name is its address.
    pub fn unknown(name: &str) -> Host {
        Host { name: name.into(), address: name.into(), port: PORT, token: String::new() }
    }

    /// `{"dest_list": […], "token": …}`.
    pub fn to_json(&self) -> Value {
        json!({"dest_list": [{"addr": self.address, "port": self.port}], "token": self.token})
    }
}

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownHosts {
    /// Counts up with every change: the newer file wins when nodes compare.
    pub data_version: u64,
    pub hosts: BTreeMap<String, Host>,
}

/// Only version of the format.
const FORMAT_VERSION: u64 = 1;

impl KnownHosts {
    /// Reads the file; a missing or empty one has no hosts.
    ///
    /// # Errors
    /// A message that tells what is wrong with the file.
    pub fn load(path: &Path) -> Result<KnownHosts, String> {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => Ok(KnownHosts::default()),
            Ok(text) => KnownHosts::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(KnownHosts::default()),
            Err(error) => Err(format!("Unable to read known hosts file '{}': {error}", path.display())),
        }
    }

    /// # Errors
    /// For a text that is not this format.
    pub fn parse(text: &str) -> Result<KnownHosts, String> {
        let wrong = |what: &str| format!("Unable to parse known hosts file: {what}");
        let value: Value = serde_json::from_str(text).map_err(|e| wrong(&e.to_string()))?;
        let mut found = KnownHosts {
            data_version: value.get("data_version").and_then(Value::as_u64).unwrap_or(0),
            hosts: BTreeMap::new(),
        };
        let hosts =
            value.get("known_hosts").and_then(Value::as_object).ok_or_else(|| wrong("no known_hosts"))?;
        for (name, host) in hosts {
            let destination =
                host.get("dest_list").and_then(|l| l.get(0)).ok_or_else(|| wrong("no dest_list"))?;
            let address = destination.get("addr").and_then(Value::as_str).ok_or_else(|| wrong("no addr"))?;
            let port = destination.get("port").and_then(Value::as_u64).unwrap_or(PORT.into());
            let token = host.get("token").and_then(Value::as_str).unwrap_or_default();
            found.hosts.insert(
                name.clone(),
                Host {
                    name: name.clone(),
                    address: address.into(),
                    port: u16::try_from(port).map_err(|_| wrong("port out of range"))?,
                    token: token.into(),
                },
            );
        }
        Ok(found)
    }

    pub fn to_text(&self) -> String {
        let hosts: Map<String, Value> =
            self.hosts.iter().map(|(name, host)| (name.clone(), host.to_json())).collect();
        let value = json!({
            "format_version": FORMAT_VERSION,
            "data_version": self.data_version,
            "known_hosts": hosts,
        });
        serde_json::to_string_pretty(&value).unwrap_or_default()
    }

    /// Writes the file, readable by its owner only, with a new version.
    ///
    /// # Errors
    /// A message that names the file.
    pub fn save(&mut self, path: &Path) -> Result<(), String> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        self.data_version += 1;
        let fault = |e: std::io::Error| format!("Unable to write known hosts file '{}': {e}", path.display());
        let mut name = path.as_os_str().to_os_string();
        name.push(".new");
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&name)
            .map_err(fault)?;
        file.write_all(self.to_text().as_bytes()).map_err(fault)?;
        file.sync_all().map_err(fault)?;
        std::fs::rename(&name, path).map_err(fault)
    }

    /// The host of this name, known or not.
    pub fn find(&self, name: &str) -> Host {
        self.hosts.get(name).cloned().unwrap_or_else(|| Host::unknown(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let mut known = KnownHosts { data_version: 3, hosts: BTreeMap::new() };
        let host = Host { name: "n1".into(), address: "10.0.0.1".into(), port: 2224, token: "t".into() };
        known.hosts.insert("n1".into(), host);
        assert_eq!(KnownHosts::parse(&known.to_text()), Ok(known));
    }

    #[test]
    fn rubbish_is_refused() {
        for text in [
            "[]",
            "{",
            r#"{"known_hosts": {"a": {}}}"#,
            r#"{"known_hosts": {"a": {"dest_list": [{"addr": "x", "port": 99999}]}}}"#,
        ] {
            assert!(KnownHosts::parse(text).is_err(), "{text}");
        }
    }
}
