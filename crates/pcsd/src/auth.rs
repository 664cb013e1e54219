//! Who somebody is: a password through PAM, checked in a process of its own.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

/// PAM service, as the reference names it.
const PAM_SERVICE: &str = "pcsd";
/// Members of this group may use the daemon.
const GROUP: &str = "haclient";
/// Longest name and password together, in bytes.
const MAX_CREDENTIALS: usize = 4_096;
/// A module that hangs is given up after this time.
const PAM_TIMEOUT: Duration = Duration::from_secs(20);

/// Whether the password is right and the user may manage the cluster.
pub async fn check_password(user: &str, password: &str) -> bool {
    if user.is_empty() || user.contains('\0') || user.len() + password.len() > MAX_CREDENTIALS {
        return false;
    }
    tokio::time::timeout(PAM_TIMEOUT, ask_child(user, password)).await.unwrap_or(false) && is_allowed(user)
}

async fn ask_child(user: &str, password: &str) -> bool {
    let Ok(program) = std::env::current_exe() else { return false };
    let child = tokio::process::Command::new(program)
        .args(["pcsd", "--check-password"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = child else { return false };
    let Some(mut input) = child.stdin.take() else { return false };
    let text = format!("{user}\0{password}");
    if input.write_all(text.as_bytes()).await.is_err() {
        return false;
    }
    drop(input);
    child.wait().await.is_ok_and(|status| status.success())
}

/// The child's side of the check.
pub fn check_password_child() -> i32 {
    let mut text = String::new();
    let read = std::io::stdin().take(MAX_CREDENTIALS as u64 * 2).read_to_string(&mut text);
    let Some((user, password)) = text.split_once('\0').filter(|_| read.is_ok()) else { return 2 };
    match sys::pam::check_password(PAM_SERVICE, user, password) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            1
        }
    }
}

/// root and the members of the cluster's group.
pub fn is_allowed(user: &str) -> bool {
    if user == "root" {
        return true;
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let Some(line) = groups.lines().find(|line| line.split(':').next() == Some(GROUP)) else { return false };
    let mut fields = line.split(':').skip(2);
    let gid = fields.next().unwrap_or("");
    let listed = fields.next().unwrap_or("").split(',').any(|member| member == user);
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let primary = users
        .lines()
        .find(|line| line.split(':').next() == Some(user))
        .and_then(|line| line.split(':').nth(3))
        .is_some_and(|own| own == gid && !gid.is_empty());
    listed || primary
}
