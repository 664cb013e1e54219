//! What the tools share: the cluster as the scheduler sees it, the local time, error texts.

use std::ffi::OsString;

use base::ExitCode;
use manager_client::{Error, Overview};
use scheduler::iso8601::Zone;
use scheduler::{Cluster, Options};
use xml::Document;

/// Options for unpacking a CIB at this moment.
pub fn options() -> Options {
    let zone = Zone::Local(sys::clock::utc_offset_s);
    Options { now_s: sys::clock::now_s(), zone, ..Options::default() }
}

/// The cluster described by a CIB.
pub fn cluster(cib: &Document) -> Cluster {
    Cluster::unpack(cib, &options())
}

/// The file that the environment names instead of the running configuration.
pub fn cib_file() -> Option<OsString> {
    std::env::var_os(crate::CIB_FILE).filter(|f| !f.is_empty())
}

/// The configuration with the state; the error has been said.
pub fn overview(tool: &str) -> Result<Overview, ExitCode> {
    manager_client::overview(tool, cib_file().as_deref()).map_err(|error| {
        if matches!(error, Error::NotConnected) {
            crate::err("error: Could not connect to launcher: Connection refused");
            crate::err(&format!("{tool}: Connection to cluster failed: Connection refused"));
        } else {
            crate::err(&format!("{tool}: Connection to cluster failed: {error}"));
        }
        error.exit()
    })
}

/// The CIB alone; the error has been said.
pub fn load_cib(tool: &str) -> Result<(manager_client::Cib, Document), ExitCode> {
    let loaded = crate::open_cib(tool).and_then(|mut cib| {
        let doc = cib.query(None, 0)?;
        Ok((cib, doc))
    });
    loaded.map_err(|error| {
        crate::err(&format!("{tool}: Could not connect to the CIB: {error}"));
        crate::err(&format!("Error performing operation: {}", error.exit().text()));
        error.exit()
    })
}

/// A failure of the kind that crm_resource and its relatives report.
pub fn failed(status: ExitCode) -> ExitCode {
    crate::err(&format!("Error performing operation: {}", status.text()));
    status
}

/// Name of the local node as the manager knows it.
pub fn local_node(tool: &str) -> Result<String, Error> {
    let info = manager_client::Controller::open(tool)?.node_info(None)?;
    info.name.ok_or_else(|| Error::Protocol("the local node has no name yet".into()))
}
