//! Stage "unpack": from XML to arenas. Configuration first, then the state of nodes, then history.

mod bundle;
mod config;
mod failcount;
mod history;
mod migration;
mod nodes;
mod params;
mod resources;
mod result;
mod running;
mod status;

use crate::cluster::{Cluster, Options};
use crate::expand;
use xml::Document;

impl Cluster {
    /// Unpacks configuration and state of a CIB; nothing is decided yet.
    pub fn unpack(cib: &Document, opts: &Options) -> Cluster {
        let mut cluster = Cluster::new(expand::expand(cib), opts);
        let doc = cluster.doc.clone();
        let first = |name: &str| doc.root_element().descendants().find(|e| e.name() == name).map(|e| e.id());
        cluster.config.quorate = crate::text::is_true(doc.attr(doc.root(), "have-quorum"));
        cluster.op_defaults = first("op_defaults");
        cluster.rsc_defaults = first("rsc_defaults");
        cluster.unpack_config(first("crm_config"));
        cluster.unpack_nodes(first("nodes"));
        let resources = expand::section(&doc, "resources");
        cluster.unpack_remote_nodes(resources);
        cluster.unpack_resources(resources);
        cluster.unpack_tags(first("tags"));
        cluster.unpack_status(first("status"));
        cluster
    }
}
