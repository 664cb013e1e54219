//! Timing of decisions over a directory of CIBs.

use crate::record::{Part, Record};
use crate::sim::{self, Request};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use xml::Document;

/// Decides on every `.xml` file of a directory, each as often as asked for; returns the timings, and what
/// is wrong with files that are left out.
///
/// # Errors
/// When the directory cannot be read.
pub fn profile(dir: &Path, repeat: u32, request: &Request) -> std::io::Result<(Part, Vec<String>)> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "xml") {
            files.push(path);
        }
    }
    files.sort();
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.display().to_string();
        let start = Instant::now();
        match decide(&file, repeat, request) {
            Ok(()) => records.push(record(&name, start.elapsed().as_secs_f64())),
            Err(error) => errors.push(format!("{name}: {error}")),
        }
    }
    Ok((Part::List { title: "Timings", element: "timings", records }, errors))
}

fn record(name: &str, seconds: f64) -> Record {
    let text = format!("Testing {name} ... {seconds:.2} secs");
    Record::new("timing", text, &[("file", name), ("duration", &format!("{seconds:.6}"))])
}

fn decide(file: &Path, repeat: u32, request: &Request) -> Result<(), String> {
    let bytes = fs::read(file).map_err(|e| e.to_string())?;
    let mut cib = Document::parse_bytes(&bytes).map_err(|e| e.to_string())?;
    cib::upgrade::for_decision(&mut cib).map_err(|e| e.to_string())?;
    let cib = Arc::new(cib);
    let (options, _) = sim::options(&cib, request);
    for _ in 0..repeat {
        scheduler::schedule_shared(cib.clone(), &options).map_err(|e| e.to_string())?;
    }
    Ok(())
}
