//! Files that other nodes may put here or remove: a fixed list, by name of their kind.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Largest file accepted, in bytes.
const MAX_FILE_BYTES: usize = 4 << 20;

struct Kind {
    name: &'static str,
    path: &'static str,
    mode: u32,
    owner: Option<(&'static str, &'static str)>,
    binary: bool,
}

const KINDS: &[Kind] = &[
    Kind { name: "corosync_authkey", path: "/etc/corosync/authkey", mode: 0o400, owner: None, binary: true },
    Kind {
        name: "pcmk_remote_authkey",
        path: "/etc/pacemaker/authkey",
        mode: 0o400,
        owner: Some(("hacluster", "haclient")),
        binary: true,
    },
    Kind {
        name: "corosync_conf",
        path: "/etc/corosync/corosync.conf",
        mode: 0o644,
        owner: None,
        binary: false,
    },
    Kind {
        name: "pcs_settings_conf",
        path: "/var/lib/pcsd/pcs_settings.conf",
        mode: 0o644,
        owner: None,
        binary: false,
    },
    Kind {
        name: "pcs_disaster_recovery_conf",
        path: "/var/lib/pcsd/disaster-recovery",
        mode: 0o600,
        owner: None,
        binary: true,
    },
];

/// Answers `put_file`: what became of each file.
///
/// # Errors
/// A text for the asker when the request cannot be read.
pub fn put(files: &Map<String, Value>) -> Result<Value, String> {
    each(files, |kind, data| {
        let text = data.get("data").and_then(Value::as_str).ok_or("'data' is missing")?;
        let content = if kind.binary {
            STANDARD.decode(text).map_err(|_| "'data' is not base64")?
        } else {
            text.as_bytes().to_vec()
        };
        if content.len() > MAX_FILE_BYTES {
            return Err("the file is too large".into());
        }
        let path = Path::new(kind.path);
        let rewrite = data.get("rewrite_existing").and_then(Value::as_bool).unwrap_or(false);
        let code = match (std::fs::read(path), rewrite) {
            (Err(_), _) => "written",
            (Ok(_), true) => "rewritten",
            (Ok(old), false) if old == content => return Ok("same_content"),
            (Ok(_), false) => return Ok("conflict"),
        };
        write_owned(path, &content, kind).map_err(|error| format!("{}: {error}", kind.path))?;
        Ok(code)
    })
}

/// Answers `remove_file`.
///
/// # Errors
/// A text for the asker when the request cannot be read.
pub fn remove(files: &Map<String, Value>) -> Result<Value, String> {
    // The settings have another name here than in `put_file`.
    let files: Map<String, Value> = files
        .iter()
        .map(|(id, data)| match data.get("type").and_then(Value::as_str) {
            Some("pcsd_settings") => (id.clone(), json!({"type": "pcs_settings_conf"})),
            _ => (id.clone(), data.clone()),
        })
        .collect();
    each(&files, |kind, _| match std::fs::remove_file(kind.path) {
        Ok(()) => Ok("deleted"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok("not_found"),
        Err(error) => Err(format!("{}: {error}", kind.path)),
    })
}

fn each(
    files: &Map<String, Value>,
    work: impl Fn(&Kind, &Value) -> Result<&'static str, String>,
) -> Result<Value, String> {
    let mut results = Map::new();
    for (id, data) in files {
        let name =
            data.get("type").and_then(Value::as_str).ok_or(format!("file '{id}': 'type' is missing"))?;
        let result = match KINDS.iter().find(|kind| kind.name == name) {
            None => return Err(format!("file '{id}': unsupported 'type' ('{name}')")),
            Some(kind) => match work(kind, data) {
                Ok(code) => json!({"code": code, "message": ""}),
                Err(message) => json!({"code": "unexpected", "message": message}),
            },
        };
        results.insert(id.clone(), result);
    }
    Ok(json!({ "files": results }))
}

fn write_owned(path: &Path, content: &[u8], kind: &Kind) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    write_atomically(path, content, kind.mode)?;
    if let Some((user, group)) = kind.owner {
        // Without the daemon's user the file stays root's; the manager can read it all the same.
        chown(path, id_of("/etc/passwd", user), id_of("/etc/group", group))?;
    }
    Ok(())
}

fn id_of(file: &str, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// Replaces a file so that at any moment the old or the new content is there, whole.
///
/// # Errors
/// What the file system says; the old file is still there then.
pub fn write_atomically(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let fresh: PathBuf = path.with_file_name(name);
    let _ = std::fs::remove_file(&fresh);
    let result = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    })();
    if result.is_err() {
        let _ = std::fs::remove_file(&fresh);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_kinds_are_taken() {
        let wrong = json!({"x": {"type": "shadow", "data": "a"}});
        assert!(put(wrong.as_object().unwrap()).unwrap_err().contains("shadow"));
        let wrong = json!({"x": {"data": "a"}});
        assert!(put(wrong.as_object().unwrap()).is_err());
        let broken = json!({"x": {"type": "corosync_authkey", "data": "???"}});
        let answer = put(broken.as_object().unwrap()).unwrap();
        assert_eq!(answer["files"]["x"]["code"], "unexpected");
    }

    #[test]
    fn the_old_content_stays_until_the_new_one_is_whole() {
        let path = std::env::temp_dir().join(format!("relevo-atomic-{}", std::process::id()));
        write_atomically(&path, b"one", 0o600).unwrap();
        write_atomically(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert!(write_atomically(Path::new("/nonexistent/x"), b"", 0o600).is_err());
    }
}
