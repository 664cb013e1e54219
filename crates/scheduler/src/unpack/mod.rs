//! Stage "unpack": from XML to arenas. Configuration first, then the state of nodes, then history.

mod bundle;
mod config;
mod failcount;
mod history;
mod migration;
mod nodes;
mod params;
mod reader;
mod resources;
mod result;
mod running;
mod status;

use crate::cluster::{Cluster, Options};
use crate::expand;
use cib::upgrade::{self, Goal};
use std::collections::HashMap;
use std::sync::Arc;
use xml::{Document, Element, NodeId};

/// Elements of which the first of their name counts, wherever it is.
const SECTIONS: [&str; 6] = ["op_defaults", "rsc_defaults", "crm_config", "nodes", "tags", "status"];

/// The first element of each such name. Histories hold none: they are passed over.
fn sections(doc: &Document) -> HashMap<&'static str, NodeId> {
    fn walk(element: Element<'_>, found: &mut HashMap<&'static str, NodeId>) {
        for child in element.children() {
            if let Some(name) = SECTIONS.iter().find(|name| **name == child.name()) {
                found.entry(name).or_insert(child.id());
            }
            if child.name() != "lrm" {
                walk(child, found);
            }
        }
    }
    let mut found = HashMap::new();
    walk(doc.root_element(), &mut found);
    found
}

impl Cluster {
    /// Unpacks configuration and state of a CIB; nothing is decided yet.
    pub fn unpack(cib: &Document, opts: &Options) -> Cluster {
        Cluster::unpack_shared(Arc::new(cib.clone()), opts)
    }

    /// As [`Cluster::unpack`], without a copy of the CIB unless the configuration has to be changed.
    /// A configuration of an older schema is brought to the present one first.
    pub fn unpack_shared(mut cib: Arc<Document>, opts: &Options) -> Cluster {
        let mut notes = Vec::new();
        if upgrade::is_needed(&cib, Goal::V4) {
            notes = upgrade::transform(Arc::make_mut(&mut cib), Goal::V4);
        }
        let mut cluster = Cluster::new(expand::expand(cib), opts);
        notes.into_iter().for_each(|note| cluster.warn(note));
        let doc = cluster.doc.clone();
        let sections = sections(&doc);
        let first = |name: &str| sections.get(name).copied();
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
