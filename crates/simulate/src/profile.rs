//! Timing of decisions over a directory of CIBs.

use crate::sim::{self, Request};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use xml::Document;

/// Decides on every `.xml` file of a directory, each as often as asked for; returns the timings.
///
/// # Errors
/// When the directory cannot be read.
pub fn profile(dir: &Path, repeat: u32, request: &Request) -> std::io::Result<String> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "xml") {
            files.push(path);
        }
    }
    files.sort();
    let mut out = String::from("Timings:\n");
    for file in files {
        let Some(cib) = fs::read(&file).ok().and_then(|bytes| Document::parse_bytes(&bytes).ok()) else {
            out += &format!("  * {} could not be read\n", file.display());
            continue;
        };
        let cib = Arc::new(cib);
        let (options, _) = sim::options(&cib, request);
        let start = Instant::now();
        for _ in 0..repeat {
            if let Err(error) = scheduler::schedule_shared(cib.clone(), &options) {
                out += &format!("  * {}: {error}\n", file.display());
                break;
            }
        }
        out += &format!("  * Testing {} ... {:.2} secs\n", file.display(), start.elapsed().as_secs_f64());
    }
    Ok(out)
}
