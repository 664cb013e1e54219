//! The reference programs of the distribution, for `--stack reference`.

use crate::error::{Context, Error, Result};
use crate::layout::Stack;
use std::path::Path;
use std::process::Command;

/// Programs that must exist, and the packages that bring them.
const NEEDED: [(&str, &str, bool); 6] = [
    ("/usr/sbin/corosync", "corosync", true),
    ("/usr/sbin/pacemakerd", "pacemaker", false),
    ("/usr/sbin/pcs", "pcs", false),
    ("/usr/share/pcsd/pcsd", "pcs", false),
    ("/usr/sbin/crm", "crmsh", false),
    ("/usr/lib/ocf/resource.d/heartbeat/IPaddr2", "resource-agents", false),
];

/// Installs what the stack needs, where that is possible.
pub(crate) fn ensure(stack: Stack) -> Result<()> {
    let missing: Vec<&str> = match stack {
        Stack::Relevo => return Ok(()),
        Stack::Reference => missing(|_| true),
        Stack::ReferenceEngine => missing(|engine| engine),
    };
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if sys::namespace::effective_uid() != 0 || !Path::new("/usr/bin/apt-get").exists() {
        return Err(Error::Failed(format!(
            "the reference programs are not all installed; as root: {command}"
        )));
    }
    eprintln!("installing {} …", missing.join(", "));
    let status = Command::new("/bin/sh")
        .args(["-c", &format!("DEBIAN_FRONTEND=noninteractive {command} >&2")])
        .status()
        .context(|| "cannot run apt-get".into())?;
    if status.success() { Ok(()) } else { Err(Error::Failed(format!("failed: {command}"))) }
}

fn missing(wanted: impl Fn(bool) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<&str> = NEEDED
        .iter()
        .filter(|(path, _, engine)| wanted(*engine) && !Path::new(path).exists())
        .map(|(_, package, _)| *package)
        .collect();
    packages.dedup();
    packages
}
