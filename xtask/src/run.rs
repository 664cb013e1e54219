//! Running programs, with what is run said aloud.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The workspace's directory.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where the workspace's programs are built.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs a command in the workspace.
///
/// # Errors
/// A text when it cannot be started or fails.
pub fn command(program: &str, arguments: &[&str]) -> Result<(), String> {
    let line = format!("{program} {}", arguments.join(" "));
    eprintln!("\n▸ {line}");
    let start = Instant::now();
    let status = Command::new(program).args(arguments).current_dir(root()).status();
    let status = status.map_err(|error| format!("{line}: {error}"))?;
    eprintln!("  {} in {:.1} s", if status.success() { "✓" } else { "✗" }, start.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { Err(format!("{line} failed")) }
}

/// Runs a program of the workspace, built for speed.
///
/// # Errors
/// As [`command`].
pub fn cargo_run(package: &str, binary: &str, arguments: &[String]) -> Result<(), String> {
    let mut all = vec!["run", "--quiet", "--release", "--package", package, "--bin", binary, "--"];
    all.extend(arguments.iter().map(String::as_str));
    command("cargo", &all)
}

pub fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
