//! Measures what a manager does with its document: `measure FILE [ROUNDS]`. The fastest of all rounds
//! counts, as the machine only ever makes a round slower.

use std::hint::black_box;
use std::time::Instant;

use xml::{Document, patch};

fn main() {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_default();
    let rounds: usize = args.next().and_then(|text| text.parse().ok()).unwrap_or(5);
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) => return eprintln!("{file}: {error}"),
    };
    let doc = match Document::parse_bytes(&bytes) {
        Ok(doc) => doc,
        Err(error) => return eprintln!("{file}: {error}"),
    };
    println!("{} bytes, {} nodes", bytes.len(), doc.len());
    if let Some(peak) = peak_bytes() {
        println!("peak memory after parsing: {:.2} of the text", peak as f64 / bytes.len() as f64);
    }
    let mut changed = doc.clone();
    let last = changed.root_element().descendants().last().map_or(changed.root(), |last| last.id());
    changed.set_attr(last, "measured", "1");
    let time = |name: &str, work: &dyn Fn()| {
        let fastest = (0..rounds).map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        });
        let fastest = fastest.fold(f64::INFINITY, f64::min);
        println!("{name}: {:.3} ms, {:.0} MB/s", fastest * 1e3, bytes.len() as f64 / fastest / 1e6);
    };
    time("parse", &|| drop(black_box(Document::parse_bytes(&bytes))));
    time("clone", &|| drop(black_box(doc.clone())));
    time("to_text", &|| drop(black_box(doc.to_text())));
    time("to_pretty", &|| drop(black_box(doc.to_pretty())));
    time("digest_filtered", &|| drop(black_box(doc.digest_filtered())));
    time("digest_on_disk", &|| drop(black_box(doc.digest_on_disk())));
    time("diff", &|| drop(black_box(patch::diff(&doc, &changed))));
    let walk = |doc: &Document| doc.root_element().descendants().filter(|e| e.attr("id").is_some()).count();
    time("walk, looking for ids", &|| assert!(black_box(walk(&doc)) > 0));
    if let Some(patch) = patch::diff(&doc, &changed) {
        time("clone and apply", &|| {
            let mut copy = doc.clone();
            drop(black_box(patch::apply(&mut copy, patch.root_element())));
        });
    }
}

/// Most memory that this process has had, in bytes.
fn peak_bytes() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<usize>().ok()? * 1024)
}
