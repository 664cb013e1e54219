//! Benchmarks beside the reference: programs of the lab, built for speed.

use crate::run::command;

/// Runs one benchmark.
///
/// # Errors
/// An unknown name, or what the benchmark says.
pub fn bench(arguments: &[String]) -> Result<(), String> {
    match arguments.first().map(String::as_str) {
        Some(name @ ("failover" | "cli" | "memory")) => {
            command("cargo", &["build", "--release", "--quiet"])?;
            let mut all = vec!["lab", "bench", name];
            all.extend(arguments.iter().skip(1).map(String::as_str));
            command("target/release/relevo", &all)
        }
        _ => Err("bench failover, bench cli or bench memory".into()),
    }
}
