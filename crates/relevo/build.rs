//! How the program is linked: what a short command would spend a fifth of its time on is done here once.

/// Written by `cargo xtask order`.
const FIRST: &str = "first-functions.txt";

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
    // Linkers that somebody chose may not know such scripts.
    let chosen = std::env::var_os("RUSTC_LINKER").is_some()
        || std::env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("link-arg"));
    if is("PROFILE", "release") && !chosen {
        put_first();
    }
}

/// Puts the functions that short commands run side by side: else a command of a millisecond brings in fifty pieces of
/// the program, wherever one of them lies. Rust has each function in a section of its own, and what it takes for cold
/// in one of another name.
fn put_first() {
    println!("cargo:rerun-if-changed={FIRST}");
    let names =
        std::fs::read_to_string(FIRST).expect("the list of functions is part of the program's source");
    let mut script = String::from("SECTIONS { .text.first : {\n");
    for name in names.lines().filter(|line| !line.starts_with('#')) {
        script.push_str(&format!("  *(.text.{name} .text.unlikely.{name})\n"));
    }
    script.push_str("} } INSERT BEFORE .text;\n");
    let path = format!("{}/first.ld", std::env::var("OUT_DIR").expect("cargo names it"));
    std::fs::write(&path, script).expect("cargo's directory can be written");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{path}");
}
