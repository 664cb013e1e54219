//! Benchmarks beside the reference: the same steps on both stacks, in labs of their own, in one run.

mod cli;
mod cluster;
mod failover;
mod memory;
pub mod ring;
mod scheduler;
mod table;

use std::path::{Path, PathBuf};

use crate::run::{command, is_root, root, target};
use table::Table;

const PAGE: &str = "docs/benchmarks.md";

/// Runs one benchmark or all, prints the tables and writes them into the page.
///
/// # Errors
/// An unknown name, or what the benchmark says.
pub fn bench(arguments: &[String]) -> Result<(), String> {
    let wanted = arguments.first().map_or("all", String::as_str);
    if !is_root() && wanted != "scheduler" {
        return Err("the reference's programs need root: run it as root".into());
    }
    command("cargo", &["build", "--release", "--quiet", "--package", "relevo"])?;
    let program = install("relevo")?;
    if matches!(wanted, "scheduler" | "all") {
        eprintln!("\n▸ bench scheduler (some minutes, most of them the reference's)");
        scheduler::run(&program, &root().join(PAGE))?;
    }
    if matches!(wanted, "ring" | "all") {
        eprintln!(
            "\n▸ bench ring: Relevo and the reference take turns (ten to eleven minutes on a quiet machine)"
        );
        let rest = if wanted == "ring" { arguments.get(1..).unwrap_or_default() } else { &[] };
        let (table, is_all) = ring::run(&program, rest)?;
        println!("{}", table.text());
        if is_all {
            keep(&table, "ring")?;
        }
    }
    type Bench = fn(&Path) -> Result<Table, String>;
    let all: [(&str, Bench); 3] = [("failover", failover::run), ("cli", cli::run), ("memory", memory::run)];
    let chosen: Vec<_> = all.iter().filter(|(name, _)| wanted == "all" || wanted == *name).collect();
    if chosen.is_empty() && !matches!(wanted, "scheduler" | "ring") {
        return Err("bench failover, cli, memory, ring, scheduler or all".into());
    }
    for (name, bench) in chosen {
        eprintln!("\n▸ bench {name}: first Relevo, then the reference (some minutes)");
        let table = bench(&program)?;
        println!("{}", table.text());
        keep(&table, name)?;
    }
    Ok(())
}

/// Puts a program where `install` would put it: as a copy. The page cache holds a file that a linker has written in
/// single pages, which costs a fifth of a short command's time until the file is read from the disk again.
fn install(name: &str) -> Result<PathBuf, String> {
    let (from, dir) = (target().join("release").join(name), target().join("release/installed"));
    let to = dir.join(name);
    let fault = |error: std::io::Error| format!("{}: {error}", to.display());
    std::fs::create_dir_all(&dir).map_err(fault)?;
    // A running program cannot be written to.
    if to.exists() {
        std::fs::remove_file(&to).map_err(fault)?;
    }
    std::fs::copy(from, &to).map_err(fault)?;
    Ok(to)
}

fn keep(table: &Table, name: &str) -> Result<(), String> {
    table.write_into(&root().join(PAGE), name).map_err(|error| format!("{PAGE}: {error}"))
}
