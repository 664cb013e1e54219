//! Links what unwinds stacks into the program: loading it as a library (and the processor's features that
//! it looks up on the way) takes a tenth of the time of a short command.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") {
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}
