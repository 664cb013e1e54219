//! Everything that CI runs, in order of cost.

use crate::run::{command, is_root};

/// Simulated clusters, one per seed.
const SIMULATIONS: &str = "5000";

/// Debian packages that the tests use as oracle and as clients. Tests that miss them say so.
const PACKAGES: &[&str] = &[
    "corosync",
    "pacemaker",
    "pacemaker-cli-utils",
    "pcs",
    "crmsh",
    "resource-agents",
    "iproute2",
    "iputils-ping",
    "nftables",
    "libxml2-utils",
    "curl",
    "procps",
    "corosync-vqsim",
    "corosync-qdevice",
    "corosync-qnetd",
    "gcc",
    "libc6-dev",
    "libcpg-dev",
    "libquorum-dev",
    "libvotequorum-dev",
    "libcmap-dev",
    "libcfg-dev",
];

/// Clusters under random faults; `cargo xtask soak` takes ten minutes.
const SOAKS: &[&str] = &[
    "--seconds 40 --nodes 2 --transport knet --seed 1",
    "--seconds 40 --nodes 3 --transport udpu --seed 2",
    "--seconds 40 --nodes 2 --transport knet --seed 3 --engine reference",
];

/// What the lab says where it cannot be.
const NO_NAMESPACES: &str = "cannot make namespaces";

/// Seconds on a starved machine; `cargo xtask starve` takes ten minutes.
const STARVE_SECONDS: u64 = 20;

/// Seconds for each target of the fuzzer.
const FUZZ_SECONDS: u64 = 10;

/// Runs the tests.
///
/// # Errors
/// The first step that fails.
pub fn test(arguments: &[String]) -> Result<(), String> {
    let quick = arguments.iter().any(|argument| argument == "--quick");
    crate::edges::check()?;
    command("cargo", &["fmt", "--all", "--check"])?;
    command("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    if !quick {
        install();
    }
    command("cargo", &["build", "--quiet"])?;
    if !quick {
        crate::run::cargo_run("sim", "sim", &["--seeds".to_owned(), SIMULATIONS.to_owned()])?;
    }
    command("cargo", &["test", "--workspace", "--quiet"])?;
    if quick {
        return Ok(());
    }
    soak()?;
    starve()?;
    fuzz()
}

/// Whole clusters under random faults, each for a short time.
fn soak() -> Result<(), String> {
    if !is_root() {
        eprintln!("LEFT OUT: soak: not root");
        return Ok(());
    }
    for options in SOAKS {
        eprintln!("\n▸ soak {options}");
        let words: Vec<String> = options.split(' ').map(str::to_string).collect();
        match crate::soak::soak(&words) {
            Err(reason) if reason.contains(NO_NAMESPACES) => eprintln!("LEFT OUT: soak: {reason}"),
            outcome => outcome?,
        }
    }
    Ok(())
}

/// A short time on a starved machine.
fn starve() -> Result<(), String> {
    if !is_root() {
        eprintln!("LEFT OUT: starvation: not root");
        return Ok(());
    }
    eprintln!("\n▸ starve --seconds {STARVE_SECONDS}");
    let run = || crate::starve::starve(&["--seconds".to_string(), STARVE_SECONDS.to_string()]);
    // With every fifth packet lost, chance alone may take all repeats of a token once in a long while: one failure
    // is shown, two in a row are a fault.
    run().or_else(|reason| {
        eprintln!("  ✗ {reason}\n  once more:");
        run()
    })
}

/// A short look by the fuzzer at each target.
fn fuzz() -> Result<(), String> {
    if std::process::Command::new("c++").arg("--version").output().is_err() {
        eprintln!("LEFT OUT: fuzzing: libFuzzer needs a C++ compiler (apt install g++)");
        return Ok(());
    }
    crate::fuzz::fuzz(&["--seconds".to_string(), FUZZ_SECONDS.to_string()])
}

/// Installs what is missing, where that is permitted; what is then still missing, the tests name.
fn install() {
    let missing: Vec<&str> = PACKAGES.iter().copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return;
    }
    if !is_root() {
        eprintln!("LEFT OUT: not root, so these packages are not installed: {}", missing.join(" "));
        return;
    }
    let mut arguments =
        vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"];
    arguments.extend(&missing);
    let installed = command("env", &["apt-get", "update", "-q"]).and_then(|()| command("env", &arguments));
    if let Err(reason) = installed {
        eprintln!("LEFT OUT: {reason}; tests that need the reference will say so");
    }
}

fn is_installed(package: &str) -> bool {
    let output = std::process::Command::new("dpkg-query").args(["-W", "-f=${Status}", package]).output();
    output.is_ok_and(|output| output.stdout.ends_with(b"install ok installed"))
}
