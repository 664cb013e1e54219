//! Measures decisions over made configurations: `measure NODES PRIMITIVES [clones] [lost] [write]`.
//! `write` prints the configuration instead.

use simulate::generate::{Shape, cib};
use simulate::sim::{self, Request};
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|a| a.parse().ok()).unwrap_or(8);
    let has = |word: &str| args.iter().any(|a| a == word);
    let shape = Shape { nodes: number(0), primitives: number(1), clones: has("clones") };
    let input = cib(shape);
    if has("write") {
        println!("{}", input.to_pretty());
        return;
    }
    let request = Request::full(1_785_000_000, None);
    let (options, _) = sim::options(&input, &request);
    let time = |name: &str, doc: &xml::Document| {
        let start = Instant::now();
        let actions = scheduler::schedule(doc, &options).map_or(0, |d| d.graph.actions.len());
        println!("{name}: {:.1} ms, {actions} actions", start.elapsed().as_secs_f64() * 1000.0);
    };
    time("from scratch", &input);
    if has("lost") {
        let Ok(run) = sim::run(&input, &request) else { return };
        let Some(after) = run.output else { return };
        let mut fake = simulate::fake::Fake::new(&after);
        fake.take_down("node2");
        time("one node lost", &fake.doc);
    }
}
