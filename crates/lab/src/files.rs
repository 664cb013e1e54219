//! A host's own files, kept while it is off: /etc, /var/lib, /var/log, the home directory.

use crate::error::{Context, Result};
use crate::layout::{DOMAIN, Host, Layout, Plan, Role};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// Name of the administrator account of the cluster, and its group.
pub const CLUSTER_USER: &str = "hacluster";
pub const CLUSTER_GROUP: &str = "haclient";
const CLUSTER_UID: u32 = 189;
const CLUSTER_GID: u32 = 189;

/// Entries of /etc that each host has for itself.
const OWN_ETC: [&str; 15] = [
    ".pwd.lock",
    "gshadow-",
    "corosync",
    "pacemaker",
    "hosts",
    "hostname",
    "passwd",
    "passwd-",
    "shadow",
    "shadow-",
    "group",
    "group-",
    "gshadow",
    "resolv.conf",
    "relevo-lab",
];
/// Entries of /var/lib that each host has for itself.
const OWN_VAR_LIB: [&str; 4] = ["corosync", "pacemaker", "pcsd", "relevo-lab"];

/// Directories of a host below its directory in the lab.
#[derive(Clone, Debug)]
pub(crate) struct HostFiles {
    pub(crate) etc: PathBuf,
    pub(crate) var_lib: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) run: PathBuf,
}

impl HostFiles {
    pub(crate) fn new(layout: &Layout, host: &Host) -> HostFiles {
        let dir = layout.host_dir(host);
        HostFiles {
            etc: dir.join("etc"),
            var_lib: dir.join("var-lib"),
            log: dir.join("log"),
            home: dir.join("home"),
            run: dir.join("run"),
        }
    }

    /// Makes what a new host has; what is there already is kept.
    pub(crate) fn prepare(&self, plan: &Plan, host: &Host, accounts: Accounts) -> Result<()> {
        for dir in [&self.etc, &self.var_lib, &self.log, &self.home, &self.run] {
            fs::create_dir_all(dir).context(|| format!("cannot make {}", dir.display()))?;
        }
        self.prepare_etc(plan, host, accounts)?;
        self.prepare_state()?;
        shadow_directory(Path::new("/etc"), &self.etc, &OWN_ETC)?;
        shadow_directory(Path::new("/var/lib"), &self.var_lib, &OWN_VAR_LIB)
    }

    fn prepare_etc(&self, plan: &Plan, host: &Host, accounts: Accounts) -> Result<()> {
        for dir in ["corosync/uidgid.d", "pacemaker", "relevo-lab"] {
            let dir = self.etc.join(dir);
            fs::create_dir_all(&dir).context(|| format!("cannot make {}", dir.display()))?;
        }
        self.once("hosts", 0o644, || hosts_file(plan))?;
        self.once("hostname", 0o644, || format!("{}\n", host.full_name()))?;
        self.once("resolv.conf", 0o644, String::new)?;
        let names = AccountFiles::read(accounts);
        self.once("passwd", 0o644, || names.passwd.clone())?;
        self.once("group", 0o644, || names.group.clone())?;
        self.once("shadow", 0o640, || names.shadow.clone())?;
        self.once("gshadow", 0o640, || names.gshadow.clone())?;
        if host.role == Role::Node {
            self.once("relevo-lab/enabled", 0o644, || "pcsd\n".to_owned())?;
        }
        Ok(())
    }

    /// Writes a file unless it exists.
    fn once(&self, name: &str, mode: u32, text: impl FnOnce() -> String) -> Result<()> {
        let path = self.etc.join(name);
        if path.exists() {
            return Ok(());
        }
        let written = fs::write(&path, text())
            .and_then(|()| fs::set_permissions(&path, PermissionsExt::from_mode(mode)));
        written.context(|| format!("cannot write {}", path.display()))
    }

    fn prepare_state(&self) -> Result<()> {
        let (uid, gid) = self.cluster_ids();
        let own = |dir: PathBuf, mode: u32, ids: Option<(u32, u32)>| -> Result<()> {
            if dir.exists() {
                return Ok(());
            }
            let made = fs::create_dir_all(&dir)
                .and_then(|()| fs::set_permissions(&dir, PermissionsExt::from_mode(mode)));
            made.context(|| format!("cannot make {}", dir.display()))?;
            if let Some((uid, gid)) = ids {
                chown(&dir, Some(uid), Some(gid))
                    .context(|| format!("cannot give away {}", dir.display()))?;
            }
            Ok(())
        };
        let cluster = Some((uid, gid));
        own(self.var_lib.join("corosync"), 0o755, None)?;
        own(self.var_lib.join("pcsd"), 0o700, None)?;
        own(self.var_lib.join("relevo-lab"), 0o755, None)?;
        own(self.var_lib.join("pacemaker"), 0o755, cluster)?;
        for dir in ["blackbox", "cib", "cores", "pengine"] {
            own(self.var_lib.join("pacemaker").join(dir), 0o750, cluster)?;
        }
        own(self.log.join("corosync"), 0o755, None)?;
        self.mirror_log_directories();
        own(self.log.join("pacemaker"), 0o770, cluster)?;
        own(self.log.join("cluster"), 0o755, None)?;
        own(self.log.join("pcsd"), 0o700, None)
    }

    /// Programs of the machine expect the directories below /var/log that their packages made.
    fn mirror_log_directories(&self) {
        let Ok(entries) = fs::read_dir("/var/log") else { return };
        for entry in entries.flatten() {
            let Ok(facts) = entry.metadata() else { continue };
            let target = self.log.join(entry.file_name());
            if facts.is_dir() && fs::create_dir(&target).is_ok() {
                use std::os::unix::fs::MetadataExt;
                let _ = fs::set_permissions(&target, facts.permissions());
                // Not permitted where only one user exists; then everything belongs to that one.
                let _ = chown(&target, Some(facts.uid()), Some(facts.gid()));
            }
        }
    }

    /// Numbers of hacluster and haclient in this host.
    pub(crate) fn cluster_ids(&self) -> (u32, u32) {
        let field = |file: &str, name: &str, index: usize| -> Option<u32> {
            let text = fs::read_to_string(self.etc.join(file)).ok()?;
            let line = text.lines().find(|l| l.split(':').next() == Some(name))?;
            line.split(':').nth(index)?.parse().ok()
        };
        (
            field("passwd", CLUSTER_USER, 2).unwrap_or(CLUSTER_UID),
            field("group", CLUSTER_GROUP, 2).unwrap_or(CLUSTER_GID),
        )
    }

    /// Mounts the host's files over the machine's, in the mount namespace of the calling process.
    pub(crate) fn mount(&self) -> Result<()> {
        let places = [(&self.etc, "/etc", &OWN_ETC[..]), (&self.var_lib, "/var/lib", &OWN_VAR_LIB[..])];
        for (own, place, private) in places {
            bind_entries(Path::new(place), own, private)?;
            sys::namespace::bind(own, Path::new(place)).context(|| format!("cannot mount over {place}"))?;
        }
        for (own, place) in [(&self.log, "/var/log"), (&self.home, "/root")] {
            if Path::new(place).is_dir() {
                sys::namespace::bind(own, Path::new(place))
                    .context(|| format!("cannot mount over {place}"))?;
            }
        }
        Ok(())
    }
}

/// Which accounts a host can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accounts {
    /// All numbers exist: made by root.
    All,
    /// Only number 0 exists, so hacluster shares it: made by an ordinary user.
    OneUser,
}

struct AccountFiles {
    passwd: String,
    group: String,
    shadow: String,
    gshadow: String,
}

impl AccountFiles {
    /// The machine's accounts plus hacluster and haclient.
    fn read(accounts: Accounts) -> AccountFiles {
        let read =
            |path: &str, fallback: &str| fs::read_to_string(path).unwrap_or_else(|_| fallback.to_owned());
        let mut files = AccountFiles {
            passwd: read("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            group: read("/etc/group", "root:x:0:\n"),
            shadow: read("/etc/shadow", "root:*:19000:0:99999:7:::\n"),
            gshadow: read("/etc/gshadow", "root:*::\n"),
        };
        let (uid, gid) = match accounts {
            Accounts::All => (CLUSTER_UID, CLUSTER_GID),
            Accounts::OneUser => {
                files.passwd = without(&files.passwd, CLUSTER_USER);
                files.group = without(&files.group, CLUSTER_GROUP);
                (0, 0)
            }
        };
        add(&mut files.group, CLUSTER_GROUP, &format!("{CLUSTER_GROUP}:x:{gid}:"));
        let user = format!("{CLUSTER_USER}:x:{uid}:{gid}::/var/lib/pacemaker:/usr/sbin/nologin");
        add(&mut files.passwd, CLUSTER_USER, &user);
        add(&mut files.shadow, CLUSTER_USER, &format!("{CLUSTER_USER}:!:19000:0:99999:7:::"));
        add(&mut files.gshadow, CLUSTER_GROUP, &format!("{CLUSTER_GROUP}:!::"));
        files
    }
}

fn has(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.split(':').next() == Some(name))
}

fn without(text: &str, name: &str) -> String {
    text.lines().filter(|l| l.split(':').next() != Some(name)).map(|l| format!("{l}\n")).collect()
}

fn add(text: &mut String, name: &str, line: &str) {
    if !has(text, name) {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
    }
}

fn hosts_file(plan: &Plan) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n".to_owned();
    for host in plan.hosts() {
        text.push_str(&format!("{}\t{} {}\n", host.address(), host.full_name(), host.name));
    }
    text
}

/// The resolver configuration that asks the lab's name server.
pub(crate) fn resolver_file(plan: &Plan) -> String {
    let server =
        plan.hosts().into_iter().find(|h| h.role == Role::NameServer).map(|h| h.address().to_string());
    format!("search {DOMAIN}\nnameserver {}\noptions timeout:1\n", server.unwrap_or_default())
}

/// Makes an empty entry in `own` for each entry of the machine's directory, to be mounted over later.
fn shadow_directory(machine: &Path, own: &Path, private: &[&str]) -> Result<()> {
    let Ok(entries) = fs::read_dir(machine) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let target = own.join(&name);
        if private.iter().any(|p| name == *p) || target.symlink_metadata().is_ok() {
            continue;
        }
        let Ok(kind) = entry.file_type() else { continue };
        let made = if kind.is_dir() {
            fs::create_dir(&target)
        } else if kind.is_symlink() {
            fs::read_link(entry.path()).and_then(|to| symlink(to, &target))
        } else {
            fs::write(&target, "")
        };
        made.context(|| format!("cannot make {}", target.display()))?;
    }
    Ok(())
}

/// Mounts the machine's entries over the empty ones.
fn bind_entries(machine: &Path, own: &Path, private: &[&str]) -> Result<()> {
    let Ok(entries) = fs::read_dir(own) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let source = machine.join(&name);
        let plain = entry.file_type().is_ok_and(|kind| !kind.is_symlink());
        if plain && !private.iter().any(|p| name == *p) && source.exists() {
            // An entry that cannot be shown (a race with the machine's own changes) stays empty.
            let _ = sys::namespace::bind(&source, &entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_added_once() {
        let mut text = "root:x:0:".to_owned();
        add(&mut text, "haclient", "haclient:x:189:");
        add(&mut text, "haclient", "haclient:x:190:");
        assert_eq!(text, "root:x:0:\nhaclient:x:189:\n");
        assert_eq!(without(&text, "haclient"), "root:x:0:\n");
    }
}
