//! `crm_simulate` and `relevo why` on the configuration of the running cluster.

use std::ffi::OsString;

/// The program: words after its name, to an exit status.
pub fn crm_simulate(arguments: Vec<OsString>) -> i32 {
    simulate::main(arguments, &|| live("crm_simulate"))
}

/// `relevo why`: words after it, to an exit status.
pub fn why(arguments: Vec<OsString>) -> i32 {
    simulate::why::main(arguments, &|| live("relevo why"))
}

fn live(client: &str) -> Result<xml::Document, String> {
    let loaded = crate::open_cib(client).and_then(|mut cib| cib.query(None, 0));
    loaded.map_err(|error| error.to_string())
}
