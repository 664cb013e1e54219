//! The engine and its tools without the rest of the multi-call program, for tests of this crate: the
//! name it is called by picks the program.

use std::ffi::OsString;
use std::path::Path;

fn main() {
    let mut words = std::env::args_os();
    let own = words.next().unwrap_or_default();
    let name = Path::new(&own).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let rest: Vec<OsString> = words.collect();
    let program = corosync::PROGRAMS.iter().find(|(known, _)| *known == name);
    let status = program.map_or(corosync::daemon_main as corosync::Program, |(_, program)| *program)(rest);
    std::process::exit(status);
}
