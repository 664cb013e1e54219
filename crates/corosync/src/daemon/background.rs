//! Running without a terminal: the program starts itself again and waits until that one is ready.
//! A service manager is told as well, and the file with the process id is written.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

/// Set in the environment of the process that stays.
const MARK: &str = "COROSYNC_BACKGROUND";
const READY: &[u8] = b"ready\n";

/// True in the process that stays.
pub fn is_background() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts the process that stays and returns the status to exit with.
///
/// # Errors
/// When the program cannot be started again.
pub fn background(args: &[OsString]) -> io::Result<i32> {
    // The program may have many names; this one must be found again.
    let mut child = Command::new(std::env::current_exe()?)
        .arg0("corosync")
        .args(args)
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = [0u8; READY.len()];
    let is_ready =
        child.stdout.take().is_some_and(|mut pipe| pipe.read_exact(&mut said).is_ok()) && said == READY;
    if is_ready {
        return Ok(0);
    }
    if let Some(mut pipe) = child.stderr.take() {
        let mut text = Vec::new();
        pipe.read_to_end(&mut text)?;
        io::stderr().write_all(&text)?;
    }
    Ok(child.wait()?.code().unwrap_or(1))
}

/// The file with the process id, as the reference writes it.
const PID_FILE: &str = "/run/corosync.pid";

/// Tells systemd that we are ready (sd_notify(3)) and leaves our process id where tools look for it.
pub fn announce_service() {
    // A missing /run is no reason not to work.
    let _ = std::fs::write(PID_FILE, format!("{}\n", std::process::id()));
    let Some(target) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = target.as_encoded_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&target),
    };
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.send_to_addr(b"READY=1\n", &address);
    }
}

/// Removes the file with the process id, if it is still ours.
pub fn withdraw_service() {
    let is_ours =
        std::fs::read_to_string(PID_FILE).is_ok_and(|text| text.trim() == std::process::id().to_string());
    if is_ours {
        let _ = std::fs::remove_file(PID_FILE);
    }
}

/// Tells the waiting process that everything is up.
pub fn announce_ready() {
    let _ = sys::namespace::new_session();
    let mut out = io::stdout();
    let _ = out.write_all(READY).and_then(|()| out.flush());
}
