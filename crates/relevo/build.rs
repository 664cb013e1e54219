//! How the program is linked: what a short command would spend a fifth of its time on is done here once.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RELEVO_PIE");
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    if !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    // What unwinds stacks: loading it as a library (and the processor's features that it looks up on the way) takes
    // a tenth of the time of a short command.
    println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    // At a fixed address the loader has 10,000 addresses less to write, on 50 pages. Stack, heap and libraries still
    // lie anywhere. `RELEVO_PIE=1` builds a program that lies anywhere itself.
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let is_static = features.split(',').any(|feature| feature == "crt-static");
    if is("PROFILE", "release") && !is_static && !is("RELEVO_PIE", "1") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
