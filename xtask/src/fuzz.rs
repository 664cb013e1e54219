//! Coverage-guided fuzzing with libFuzzer, on the ordinary toolchain.

use std::path::PathBuf;
use std::process::Command;

use crate::run::root;

/// Seconds for each target when nothing is said.
const SECONDS: u64 = 60;
const MEMORY_MB: u32 = 3000;
/// Seconds after which one input counts as a hang.
const HANG_S: u32 = 20;
/// Largest input in bytes.
const INPUT_MAX: u32 = 20_000;
const TARGETS: &[&str] = &[
    "ring",
    "packets",
    "links",
    "datagrams",
    "services",
    "conf",
    "frames",
    "xml",
    "xpath",
    "patch",
    "cib",
    "decision",
    "dates",
    "manager",
];
/// Instrumentation that libFuzzer needs, in options of the ordinary compiler.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Runs the named targets, or all: `[NAME…] [--seconds N]`.
///
/// # Errors
/// When it cannot be built, or a target found a crash, a hang or too much memory.
pub fn fuzz(arguments: &[String]) -> Result<(), String> {
    let (names, seconds) = parse(arguments)?;
    let program = build()?;
    let mut found = Vec::new();
    for name in names {
        eprintln!("\n▸ fuzz {name} for {seconds} s");
        if !run(&program, name, seconds)? {
            found.push(name);
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(format!("faults in: {}; the inputs are under target/fuzz/faults", found.join(" ")))
}

fn parse(arguments: &[String]) -> Result<(Vec<&'static str>, u64), String> {
    let mut names = Vec::new();
    let mut seconds = SECONDS;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--seconds" {
            let value = words.next().and_then(|value| value.parse().ok());
            seconds = value.ok_or("--seconds needs a number")?;
            continue;
        }
        let known = TARGETS.iter().find(|target| *target == word);
        names.push(*known.ok_or_else(|| format!("no target '{word}': {}", TARGETS.join(" ")))?);
    }
    Ok((if names.is_empty() { TARGETS.to_vec() } else { names }, seconds))
}

fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_string).ok_or_else(|| "rustc -vV names no host".to_string())
}

fn build() -> Result<PathBuf, String> {
    let target = root().join("target/fuzz");
    let host = host()?;
    eprintln!("\n▸ building the fuzzer");
    // With --target, build scripts and macros are left without instrumentation.
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--target", &host, "--target-dir"])
        .arg(&target)
        .current_dir(root().join("fuzz"))
        .env("RUSTFLAGS", FLAGS)
        .status();
    let status = status.map_err(|error| format!("cargo build: {error}"))?;
    if !status.success() {
        return Err("the fuzzer does not build (libFuzzer needs a C++ compiler: apt install g++)".to_string());
    }
    Ok(target.join(host).join("release/fuzz"))
}

/// Whether the target found nothing.
fn run(program: &PathBuf, name: &str, seconds: u64) -> Result<bool, String> {
    let corpus = root().join("target/fuzz/corpus").join(name);
    let faults = root().join("target/fuzz/faults").join(name);
    for directory in [&corpus, &faults] {
        std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let mut command = Command::new(program);
    command
        .env("RELEVO_FUZZ", name)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(format!("-timeout={HANG_S}"))
        .arg(format!("-max_len={INPUT_MAX}"))
        .arg(format!("-artifact_prefix={}/", faults.display()))
        .arg("-verbosity=0")
        .arg(&corpus)
        .args(seeds(name));
    let status = command.status().map_err(|error| format!("{}: {error}", program.display()))?;
    eprintln!("  {}", if status.success() { "✓ nothing found" } else { "✗ a fault" });
    Ok(status.success())
}

/// Directories with inputs to begin from.
fn seeds(name: &str) -> Vec<PathBuf> {
    let suite = std::env::var_os("RELEVO_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let suite = suite.join("pacemaker-scheduler-suite");
    let all = match name {
        "decision" | "xml" => vec![root().join("fuzz/seeds/cib"), suite.join("xml")],
        "manager" => vec![root().join("fuzz/seeds/cib"), suite.join("exp")],
        "cib" | "patch" => vec![root().join("fuzz/seeds/cib")],
        _ => vec![root().join("fuzz/seeds").join(name)],
    };
    let (found, missing): (Vec<_>, Vec<_>) = all.into_iter().partition(|directory| directory.is_dir());
    for directory in missing.iter().filter(|directory| directory.starts_with(&suite)) {
        eprintln!("LEFT OUT: inputs to begin from: no {}", directory.display());
    }
    found
}
