//! `crm_simulate` on the configuration of the running cluster.

use std::ffi::OsString;

/// The program: words after its name, to an exit status.
pub fn crm_simulate(arguments: Vec<OsString>) -> i32 {
    let live = || {
        let loaded = crate::open_cib("crm_simulate").and_then(|mut cib| cib.query(None, 0));
        loaded.map_err(|error| error.to_string())
    };
    simulate::main(arguments, &live)
}
