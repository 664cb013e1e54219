//! One program with all targets; `RELEVO_FUZZ` names the one to run.

#![no_main]

mod documents;
mod input;
mod links;
mod messages;
mod net;
mod ring;
mod services;

use std::sync::OnceLock;

type Target = fn(&[u8]);

/// Name and what it takes.
const TARGETS: &[(&str, Target)] = &[
    ("ring", ring::fuzz),
    ("packets", ring::packets),
    ("links", links::fuzz),
    ("datagrams", links::datagrams),
    ("services", services::fuzz),
    ("conf", messages::conf),
    ("frames", messages::frames),
    ("xml", documents::xml),
    ("xpath", documents::xpath),
    ("patch", documents::patch),
    ("cib", documents::cib),
    ("decision", documents::decision),
    ("dates", documents::dates),
    ("manager", messages::manager),
];

fn chosen() -> Target {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("RELEVO_FUZZ").unwrap_or_default();
        let known = || TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
        match TARGETS.iter().find(|(known, _)| *known == name) {
            Some((_, target)) => *target,
            None => {
                eprintln!("RELEVO_FUZZ must name one of: {}", known());
                std::process::exit(64);
            }
        }
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| chosen()(data));
