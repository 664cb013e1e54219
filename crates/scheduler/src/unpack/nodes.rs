//! Nodes of the configuration.

use crate::cluster::Cluster;
use crate::expand::is_remote_connection;
use crate::model::*;
use crate::rules::unpack_table;
use crate::text::{Str, Table, numeric_cmp};
use std::cmp::Ordering;
use xml::NodeId;

impl Cluster {
    pub(super) fn unpack_nodes(&mut self, section: Option<NodeId>) {
        let doc = self.doc.clone();
        let Some(section) = section else { return };
        for entry in doc.element(section).children().filter(|e| e.name() == "node") {
            let Some(id) = entry.attr("id") else {
                self.error("Ignoring <node> entry in configuration without id");
                continue;
            };
            let name = entry.attr("uname").unwrap_or(id);
            let score = match entry.attr("score") {
                Some(text) => self.parse_score(text).unwrap_or(0),
                None => 0,
            };
            let remote = match entry.attr("type").map(str::to_ascii_lowercase).as_deref() {
                None | Some("member" | "normal") => false,
                Some("remote") => true,
                Some("ping") => continue,
                Some(other) => {
                    self.error(format!("Ignoring node {name} with unrecognized type '{other}'"));
                    return;
                }
            };
            let node = self.create_node(id, name, remote, score);
            self.startup_fencing(node);
            self.add_node_attrs(Some(entry.id()), node, false);
        }
    }

    pub(super) fn create_node(&mut self, id: &str, name: &str, is_remote: bool, score: i32) -> NodeIx {
        if self.find_node(name).is_some() {
            self.warn(format!("More than one node entry has name '{name}'"));
        }
        let mut node = Node {
            id: id.into(),
            name: name.into(),
            is_remote,
            flags: nf::PROBES_ALLOWED,
            base: Slot { score, present: true, ..Slot::default() },
            ..Node::default()
        };
        let kind = if is_remote { "remote" } else { "cluster" };
        node.attrs.insert(Str::lit("#kind"), Str::lit(kind));
        self.config.have_remote_nodes |= is_remote;
        let ix = self.nodes.push(node);
        let before = self
            .node_order
            .iter()
            .position(|other| numeric_cmp(name, &self.nodes[*other].name) != Ordering::Greater);
        self.node_order.insert(before.unwrap_or(self.node_order.len()), ix);
        self.node_by_name.entry(name.to_ascii_lowercase()).or_insert(ix);
        ix
    }

    pub(super) fn startup_fencing(&mut self, node: NodeIx) {
        if self.nodes[node].is_remote && self.nodes[node].remote.is_none() {
            return;
        }
        self.nodes[node].unclean = self.config.startup_fencing;
    }

    pub(super) fn add_node_attrs(&mut self, xml: Option<NodeId>, node: NodeIx, overwrite: bool) {
        let doc = self.doc.clone();
        let (id, name) = (self.nodes[node].id.clone(), self.nodes[node].name.clone());
        let is_dc = doc.attr(doc.root(), "dc-uuid").is_some_and(|dc| dc.eq_ignore_ascii_case(&id));
        let cluster_name = self.config.options.get_str("cluster-name");
        if self.dc.is_none() && is_dc {
            self.dc = Some(node);
        }
        let dc_text = if self.dc == Some(node) { "true" } else { "false" };
        let attrs = &mut self.nodes[node].attrs;
        attrs.insert(Str::lit("#uname"), name);
        attrs.insert(Str::lit("#id"), id);
        attrs.insert(Str::lit("#is_dc"), Str::lit(dc_text));
        if let Some(cluster_name) = &cluster_name {
            attrs.insert(Str::lit("#cluster-name"), cluster_name.clone());
        }
        let input = self.rule_input();
        let (mut next, mut found, mut utilization) = (None, Table::default(), Table::default());
        unpack_table(&doc, xml, "instance_attributes", &input, &mut next, &mut found);
        unpack_table(&doc, xml, "utilization", &input, &mut next, &mut utilization);
        self.recheck_time(next);
        let node = &mut self.nodes[node];
        for (name, value) in found.iter() {
            if overwrite || !node.attrs.contains_key(name) {
                node.attrs.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in utilization.iter() {
            node.utilization.add(name.clone(), value.clone());
        }
        node.failures = None;
        if !node.attrs.contains_key("#site-name") {
            let site = node.attrs.get("site-name").cloned().or(cluster_name);
            if let Some(site) = site {
                node.attrs.insert(Str::lit("#site-name"), site);
            }
        }
    }

    pub(super) fn unpack_remote_nodes(&mut self, resources: Option<NodeId>) {
        let doc = self.doc.clone();
        let Some(resources) = resources else { return };
        for rsc in doc.element(resources).children() {
            if let Some(id) = rsc.attr("id").filter(|_| is_remote_connection(&doc, rsc.id()))
                && self.find_node(id).is_none()
            {
                self.create_node(id, id, true, 0);
            }
        }
    }

    pub(super) fn unpack_tags(&mut self, section: Option<NodeId>) {
        let doc = self.doc.clone();
        let Some(section) = section else { return };
        for tag in doc.element(section).children().filter(|e| e.name() == "tag") {
            let Some(id) = tag.attr("id") else { continue };
            for reference in tag.children().filter(|e| e.name() == "obj_ref") {
                if let Some(target) = reference.attr("id") {
                    let refs = self.tags.entry(id.into()).or_default();
                    if !refs.iter().any(|r| &**r == target) {
                        refs.push(target.into());
                    }
                }
            }
        }
    }
}
