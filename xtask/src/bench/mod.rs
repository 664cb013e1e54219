//! Benchmarks beside the reference: the same steps on both stacks, in labs of their own, in one run.

mod cli;
mod cluster;
mod failover;
mod memory;
pub mod ring;
mod table;

use std::path::Path;

use crate::run::{command, is_root, root};
use table::Table;

const PAGE: &str = "docs/benchmarks.md";

/// Runs one benchmark or all, prints the tables and writes them into the page.
///
/// # Errors
/// An unknown name, or what the benchmark says.
pub fn bench(arguments: &[String]) -> Result<(), String> {
    if !is_root() {
        return Err("the reference's programs need root: run it as root".into());
    }
    command("cargo", &["build", "--release", "--quiet"])?;
    let program = root().join("target/release/relevo");
    type Bench = fn(&Path) -> Result<Table, String>;
    let all: [(&str, Bench); 4] =
        [("failover", failover::run), ("cli", cli::run), ("memory", memory::run), ("ring", ring::run)];
    let wanted = arguments.first().map_or("all", String::as_str);
    let chosen: Vec<_> = all.iter().filter(|(name, _)| wanted == "all" || wanted == *name).collect();
    if chosen.is_empty() {
        return Err("bench failover, bench cli, bench memory, bench ring or bench all".into());
    }
    for (name, bench) in chosen {
        eprintln!("\n▸ bench {name}: first Relevo, then the reference (some minutes)");
        let table = bench(&program)?;
        println!("{}", table.text());
        table.write_into(&root().join(PAGE), name).map_err(|error| format!("{PAGE}: {error}"))?;
    }
    Ok(())
}
