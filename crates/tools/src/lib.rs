//! The manager's command line tools.
//!
//! Each tool is a module with an option table ([`options::Tool`]) and a `main`; [`ENTRIES`] lists
//! them by name. What several tools need is in [`session`] (calls) and [`options`].

pub mod options;

mod attribute;
mod cibadmin;
mod dates;
mod misc;
mod mon;
mod node;
mod report;
mod resource;
pub mod session;
mod verify;
mod what_if;

use std::ffi::OsString;
use std::io::Write;

/// An entry point: arguments without the name → exit status.
pub type Entry = fn(Vec<OsString>) -> i32;

/// Programs of this crate: name and entry point.
pub const ENTRIES: &[(&str, Entry)] = &[
    ("cibadmin", cibadmin::main),
    ("crm_mon", mon::main),
    ("crm_resource", resource::main),
    ("crm_verify", verify::crm_verify),
    ("crm_node", node::crm_node),
    ("crmadmin", node::crmadmin),
    ("crm_attribute", attribute::crm_attribute),
    ("crm_standby", attribute::crm_standby),
    ("crm_failcount", attribute::crm_failcount),
    ("attrd_updater", attribute::attrd_updater),
    ("crm_diff", misc::crm_diff),
    ("crm_error", misc::crm_error),
    ("crm_rule", dates::crm_rule),
    ("iso8601", dates::iso8601),
    ("crm_simulate", what_if::crm_simulate),
];

pub use what_if::why;

/// The file that stands for the running configuration.
pub const CIB_FILE: &str = "CIB_file";

/// Opens the configuration that this process's environment names.
fn open_cib(client: &str) -> Result<manager_client::Cib, manager_client::Error> {
    manager_client::Cib::open(client, std::env::var_os(CIB_FILE).as_deref())
}

/// A line for standard output. A reader that went away is no failure.
fn out(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn out_raw(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// A line for standard error.
fn err(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn err_raw(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
