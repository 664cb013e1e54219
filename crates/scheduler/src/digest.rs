//! Digests of operation parameters: whether a resource runs with the parameters it should have.

use crate::cluster::{Cluster, Line};
use crate::fast_hash::FastMap;
use crate::model::*;
use crate::rules::{RuleInput, unpack_table};
use crate::text::{Str, Table, compare_versions, op_key, parse_int, parse_uint};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use xml::NodeId;

/// How recorded parameters compare to configured ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Match {
    #[default]
    Same,
    /// Different; the resource may be able to reload.
    Mismatch,
    /// Different in what needs a restart.
    Restart,
    /// Nothing was recorded.
    Unknown,
}

/// Digests of the configured parameters of one operation.
#[derive(Debug, Clone, Default)]
pub struct Digest {
    pub result: Match,
    pub all: Str,
    pub secure: Option<Str>,
    pub restart: Option<Str>,
}

/// Operation under whose name the digests for unfencing are computed.
const FENCE_TASK: &str = "stonith-on";

/// MD5 of the `<parameters>` element with these attributes, as the reference computes it.
pub fn params_digest(params: &BTreeMap<Str, Str>) -> Str {
    xml::digest_of_pairs(pairs(params)).into()
}

fn pairs(params: &BTreeMap<Str, Str>) -> impl Iterator<Item = (&str, &str)> {
    params.iter().map(|(name, value)| (&**name, &**value))
}

/// Digests by what they are of: most operations have the same parameters on every node.
#[derive(Debug, Default)]
pub(crate) struct Known(FastMap<String, Str>);

impl Known {
    fn digest(&mut self, params: &BTreeMap<Str, Str>) -> Str {
        let text = xml::parameters_text(pairs(params));
        if let Some(known) = self.0.get(&text) {
            return known.clone();
        }
        let digest = Str::from(xml::md5_hex(text.as_bytes()));
        self.0.insert(text, digest.clone());
        digest
    }
}

/// Leaves out what does not count for a digest.
pub fn filter_params(params: &mut BTreeMap<Str, Str>) {
    let interval = params.get("CRM_meta_interval").and_then(|v| parse_int(v)).unwrap_or(0);
    let timeout = params.get("CRM_meta_timeout").cloned().filter(|_| interval != 0);
    const NAMES: [&str; 6] =
        ["id", "crm_feature_set", "op-digest", "on_node", "on_node_uuid", "pcmk_external_ip"];
    params.retain(|name, _| !name.starts_with("CRM_meta_") && !NAMES.contains(&&**name));
    if let Some(timeout) = timeout {
        params.insert(Str::lit("CRM_meta_timeout"), timeout);
    }
}

/// Adds those meta-attributes that [`filter_params`] looks at.
fn add_meta(params: &mut BTreeMap<Str, Str>, meta: &Table) {
    for (name, full_name) in [("interval", "CRM_meta_interval"), ("timeout", "CRM_meta_timeout")] {
        if let Some(value) = meta.get_str(name) {
            params.entry(Str::lit(full_name)).or_insert(value);
        }
    }
}

/// Parameters that fence devices handle themselves.
fn is_fence_param(name: &str) -> bool {
    name == "provides" || name == "stonith-timeout" || name.starts_with("pcmk_")
}

impl Cluster {
    /// Whether a connection resource gets its address from where its container runs.
    pub(crate) fn needs_remote_name(&mut self, rsc: RscIx) -> bool {
        // Asked of every resource: its parameters may have a say in when to decide again.
        let params = self.params(rsc, None);
        self.rscs[rsc].is(rf::REMOTE_CONNECTION)
            && params.get("addr").is_some_and(|a| a.eq_ignore_ascii_case("#uname"))
    }

    /// Host of a bundle's connection, once its container is placed.
    pub(crate) fn remote_name(&mut self, rsc: RscIx) -> Option<Str> {
        if !self.needs_remote_name(rsc) {
            return None;
        }
        let container = self.bundle_of(rsc)?.replicas.iter().find(|r| r.remote == Some(rsc))?.container;
        let node = self.rscs[container].assigned.or_else(|| self.current_node(container))?;
        Some(self.nodes[node].name.clone())
    }

    fn calculate_digest(
        &mut self,
        rsc: RscIx,
        task: &str,
        interval: u32,
        node: NodeIx,
        op: Option<NodeId>,
    ) -> Digest {
        let doc = self.doc.clone();
        let mut out = Digest::default();
        let params = self.params(rsc, Some(node));
        let mut all: BTreeMap<Str, Str> = BTreeMap::new();
        if let Some(name) = self.remote_name(rsc) {
            all.insert(Str::lit("addr"), name);
        }
        for (name, value) in params.iter() {
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let config = self.op_config(rsc, task, interval, true).map(|op| op.xml);
        let (mut extra, mut next) = (Table::default(), None);
        let input = RuleInput { node_attrs: Some(&self.nodes[node].attrs), ..self.rule_input() };
        unpack_table(&doc, config, "instance_attributes", &input, &mut next, &mut extra);
        self.recheck_time(next);
        if interval == 0 && !extra.is_empty() {
            out.result = Match::Restart;
        }
        for (name, value) in extra.iter() {
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let meta = self.action_meta(rsc, Some(node), task, interval, config);
        add_meta(&mut all, &meta);
        filter_params(&mut all);
        out.all = self.known_digests.digest(&all);
        if op.is_none() || self.opts.sanitized {
            out.secure = Some(self.secure_digest(rsc, &params, &all, op));
        }
        if let Some(op) =
            op.filter(|op| doc.attr(*op, "op-restart-digest").is_some() || self.expired_ops.contains(op))
        {
            let mut restart = all;
            if let Some(names) = doc.attr(op, "op-force-restart") {
                restart.retain(|name, _| names.split(' ').any(|n| n == &**name));
            }
            out.restart = Some(self.known_digests.digest(&restart));
        }
        out
    }

    fn secure_digest(
        &mut self,
        rsc: RscIx,
        params: &Table,
        all: &BTreeMap<Str, Str>,
        op: Option<NodeId>,
    ) -> Str {
        let doc = self.doc.clone();
        let version = op
            .and_then(|op| doc.attr(op, "crm_feature_set"))
            .or_else(|| doc.attr(doc.root(), "crm_feature_set"))
            .unwrap_or(base::CRM_FEATURE_SET);
        let old = compare_versions(version, "3.16.0") == Ordering::Less;
        let secret = match op {
            None => Some(" passwd password user "),
            Some(op) => doc.attr(op, "op-secure-params"),
        };
        let mut secure: BTreeMap<Str, Str> = match old {
            true => params.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            false => all.clone(),
        };
        if let Some(secret) = secret {
            secure.retain(|name, _| !secret.split(' ').any(|n| n == &**name));
        }
        if old && self.rscs[rsc].is(rf::FENCE_DEVICE) {
            secure.retain(|name, _| !is_fence_param(name));
        }
        filter_params(&mut secure);
        if old {
            secure.remove("CRM_meta_timeout");
        }
        self.known_digests.digest(&secure)
    }

    /// The digest under this key, computed at first.
    fn digest(
        &mut self,
        key: &Str,
        rsc: RscIx,
        task: &str,
        interval: u32,
        node: NodeIx,
        op: Option<NodeId>,
    ) -> Digest {
        if let Some(found) = self.nodes[node].digests.get(key) {
            return found.clone();
        }
        let digest = self.calculate_digest(rsc, task, interval, node, op);
        self.nodes[node].digests.insert(key.clone(), digest.clone());
        digest
    }

    /// Compares a recorded operation with the configuration.
    pub(crate) fn compare_digest(&mut self, rsc: RscIx, op: NodeId, node: NodeIx) -> Match {
        self.full_digest(rsc, op, node).result
    }

    pub(crate) fn full_digest(&mut self, rsc: RscIx, op: NodeId, node: NodeIx) -> Digest {
        let doc = self.doc.clone();
        let task = doc.attr(op, "operation").unwrap_or("");
        let interval = parse_uint(doc.attr(op, "interval"));
        let key = op_key(&self.rscs[rsc].id, task, interval);
        let mut digest = self.digest(&key, rsc, task, interval, node, Some(op));
        let recorded_restart = match self.expired_ops.contains(&op) {
            true => Some("calculated-failure-timeout"),
            false => doc.attr(op, "op-restart-digest"),
        };
        let restart_same = match (digest.restart.as_deref(), recorded_restart) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        let recorded = doc.attr(op, "op-digest");
        digest.result = if !restart_same {
            Match::Restart
        } else {
            match recorded {
                None => Match::Unknown,
                Some(recorded) if *digest.all == *recorded => Match::Same,
                Some(_) if interval == 0 && digest.result == Match::Restart => Match::Restart,
                Some(_) => Match::Mismatch,
            }
        };
        if let Some(known) = self.nodes[node].digests.get_mut(&key) {
            known.result = digest.result;
        }
        digest
    }

    /// Compares the parameters of a fence device with those that a node was unfenced with.
    pub(crate) fn fencing_digest(&mut self, rsc: RscIx, agent: &str, node: NodeIx) -> Digest {
        let id = self.rscs[rsc].id.clone();
        let mut digest = self.digest(&op_key(&id, FENCE_TASK, 0), rsc, FENCE_TASK, 0, node, None);
        let summary = |digest: &str| format!("{id}:{agent}:{digest}");
        let recorded = |name: &str| self.node_attr(node, name, None, at::CURRENT);
        let all = recorded("#digests-all");
        let secure = recorded("#digests-secure");
        let contains =
            |text: &Option<Str>, part: &str| text.as_ref().is_some_and(|t| t.contains(&summary(part)));
        digest.result = if all.is_none() {
            Match::Unknown
        } else if contains(&all, &digest.all) {
            Match::Same
        } else if digest.secure.as_ref().is_some_and(|s| contains(&secure, s)) {
            let text =
                format!("Only 'private' parameters to {id} for unfencing {} changed", self.nodes[node].name);
            self.lines.push(Line::Info(text));
            Match::Same
        } else {
            if let Some(secure) = digest.secure.as_ref().filter(|_| self.opts.sanitized) {
                let name = &self.nodes[node].name;
                let summary = summary(secure);
                let text = format!("Parameters to {id} for unfencing {name} changed, try '{summary}'");
                self.lines.push(Line::Info(text));
            }
            Match::Mismatch
        };
        digest
    }
}
