//! Location constraints and what else bans or prefers nodes.

use super::sets::Set;
use crate::cluster::{Cluster, add_scores};
use crate::model::*;
use crate::rules::{RuleInput, Verdict, evaluate, expand_submatches, parse_combine, resolve};
use crate::text::Str;
use xml::NodeId;

type Submatches = Vec<Option<(usize, usize)>>;

impl Cluster {
    pub(super) fn unpack_location(&mut self, xml: NodeId) {
        let doc = self.doc.clone();
        let Ok(mut sets) = self.constraint_sets(xml) else { return };
        if sets.is_empty() {
            match self.tag_to_set(xml, "rsc", false) {
                Err(()) => return,
                Ok(Some(set)) => {
                    sets.push(Set { role: doc.attr(xml, "role").map(Str::from), ..set });
                }
                Ok(None) => return self.simple_location(xml),
            }
        }
        for set in sets {
            if set.id.is_none() {
                self.error("Ignoring resource_set without id");
                return;
            }
            for member in &set.members {
                let Some(rsc) = self.constraint_rsc(member) else {
                    self.error(format!("{}: No resource found for {member}", set.id.unwrap_or_default()));
                    return;
                };
                self.rsc_location(xml, rsc, set.role.as_deref(), set.score.as_deref(), &Vec::new(), None);
            }
        }
    }

    fn simple_location(&mut self, xml: NodeId) {
        let doc = self.doc.clone();
        if let Some(id) = doc.attr(xml, "rsc") {
            match self.constraint_rsc(id) {
                Some(rsc) => self.rsc_location(xml, rsc, None, None, &Vec::new(), None),
                None => self.warn(format!("Ignoring constraint because resource '{id}' does not exist")),
            }
        }
        let Some(pattern) = doc.attr(xml, "rsc-pattern") else { return };
        let (pattern, invert) = match pattern.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        let Ok(regex) = regex_lite::Regex::new(pattern) else {
            self.error(format!("Ignoring constraint because rsc-pattern has invalid value '{pattern}'"));
            return;
        };
        for rsc in self.top.clone() {
            let id = self.rscs[rsc].id.clone();
            match regex.captures(&id) {
                Some(found) if !invert => {
                    let parts = found.iter().map(|m| m.map(|m| (m.start(), m.end()))).collect();
                    self.rsc_location(xml, rsc, None, None, &parts, Some(&id));
                }
                None if invert => self.rsc_location(xml, rsc, None, None, &Vec::new(), None),
                _ => {}
            }
        }
    }

    fn location_role(text: Option<&str>) -> Option<Role> {
        match Role::parse(text) {
            Role::Unknown if text.is_some() => None,
            Role::Started | Role::Unpromoted => Some(Role::Unknown),
            role => Some(role),
        }
    }

    fn rsc_location(
        &mut self,
        xml: NodeId,
        rsc: RscIx,
        role: Option<&str>,
        score: Option<&str>,
        submatches: &Submatches,
        matched_id: Option<&Str>,
    ) {
        let doc = self.doc.clone();
        let id = doc.attr(xml, "id").unwrap_or("");
        let discovery = doc.attr(xml, "resource-discovery");
        let score = score.or(doc.attr(xml, "score"));
        let (Some(node), Some(score)) = (doc.attr(xml, "node"), score) else {
            if let Some(rule) = doc.child(xml, "rule") {
                self.location_rule(rule, rsc, discovery, submatches, matched_id, id);
            }
            return;
        };
        let Some(node) = self.find_node(node) else { return };
        let Some(score) = self.parse_score(score) else {
            self.error(format!("Ignoring location constraint {id} because '{score}' is not a valid score"));
            return;
        };
        let Some(role) = Self::location_role(role.or(doc.attr(xml, "role"))) else {
            self.error(format!("Ignoring location constraint {id} because its role is not valid"));
            return;
        };
        let cell = Slot { score, ..self.nodes[node].base };
        self.new_location(id, rsc, vec![(node, cell)], discovery, role);
    }

    fn location_rule(
        &mut self,
        rule: NodeId,
        rsc: RscIx,
        discovery: Option<&str>,
        submatches: &Submatches,
        matched_id: Option<&Str>,
        constraint: &str,
    ) {
        let doc = self.doc.clone();
        let Some(rule) = resolve(&doc, rule) else { return };
        let Some(id) = doc.attr(rule, "id") else {
            self.error(format!("Ignoring location constraint '{constraint}' because its rule has no id"));
            return;
        };
        let role = Self::location_role(doc.attr(rule, "role"));
        let (Some(role), Some(_)) = (role, parse_combine(doc.attr(rule, "boolean-op"))) else {
            self.error(format!("Ignoring location constraint '{constraint}' because rule '{id}' is invalid"));
            return;
        };
        let base_input = RuleInput { rsc_id: matched_id.map(|s| &**s), submatches, ..self.rule_input() };
        let score_attr = doc.attr(rule, "score-attribute").map(|name| expand_submatches(name, &base_input));
        let fixed = doc.attr(rule, "score").and_then(|s| self.parse_score(s));
        if score_attr.is_none() && fixed.is_none() {
            self.error(format!("Ignoring location constraint rule {id} because it has no valid score"));
            return;
        }
        let (mut nodes, mut next) = (Vec::new(), None);
        for node in self.node_order.clone() {
            let params = self.params(rsc, Some(node));
            let input = RuleInput {
                node_attrs: Some(&self.nodes[node].attrs),
                rsc_params: Some(&params),
                rsc_meta: Some(&self.rscs[rsc].meta),
                ..base_input
            };
            if evaluate(&doc, rule, &input, &mut next) != Verdict::Satisfied {
                continue;
            }
            let score = match &score_attr {
                None => fixed,
                Some(name) => {
                    let target = self.rscs[rsc].meta.get("container-attribute-target");
                    let value = self.node_attr(node, name, target, at::CURRENT);
                    value.filter(|v| !v.is_empty()).and_then(|v| self.parse_score(&v))
                }
            };
            if let Some(score) = score {
                nodes.push((node, Slot { score, ..self.nodes[node].base }));
            }
        }
        nodes.reverse();
        self.recheck_time(next);
        self.new_location(id, rsc, nodes, discovery, role);
    }

    pub(crate) fn new_location(
        &mut self,
        id: &str,
        rsc: RscIx,
        nodes: Vec<(NodeIx, Slot)>,
        discovery: Option<&str>,
        role_filter: Role,
    ) {
        let probe = match discovery.map(str::to_ascii_lowercase).as_deref() {
            None | Some("always") => ProbeMode::Always,
            Some("never") => ProbeMode::Never,
            Some("exclusive") => {
                self.rscs[rsc].flags |= rf::EXCLUSIVE_PROBES;
                ProbeMode::Exclusive
            }
            Some(other) => {
                self.error(format!("Invalid resource-discovery value {other} in location constraint"));
                ProbeMode::Always
            }
        };
        let location = self.locations.push(Location { id: id.into(), rsc, role_filter, probe, nodes });
        self.rscs[rsc].locations.push(location);
    }

    /// Lets the health of nodes attract and repel resources.
    pub(crate) fn apply_node_health(&mut self) {
        let strategy = self.option("node-health-strategy");
        if strategy.eq_ignore_ascii_case("none") {
            return;
        }
        let mut base_health = 0;
        if strategy.eq_ignore_ascii_case("progressive") {
            base_health = self.parse_score(&self.option("node-health-base")).unwrap_or(0);
        }
        for node in self.node_order.clone() {
            let health = self.nodes[node]
                .attrs
                .iter()
                .filter(|(name, _)| name.starts_with("#health"))
                .filter_map(|(_, value)| self.parse_score(value))
                .fold(base_health, |sum, score| add_scores(score, sum));
            if health == 0 {
                continue;
            }
            for rsc in self.top.clone() {
                if health > 0 || !self.meta_true(rsc, "allow-unhealthy-nodes") {
                    let cell = Slot { score: health, ..self.nodes[node].base };
                    self.new_location(&strategy, rsc, vec![(node, cell)], None, Role::Unknown);
                }
            }
        }
    }

    pub(crate) fn apply_locations(&mut self) {
        for location in self.locations.indices().rev() {
            let location = self.locations[location].clone();
            self.apply_location(location.rsc, &location);
        }
    }

    pub(crate) fn apply_location(&mut self, rsc: RscIx, location: &Location) {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.apply_location_here(rsc, location),
            Variant::Group => self.apply_group_location(rsc, location),
            Variant::Clone => {
                self.apply_location_here(rsc, location);
                for child in self.rscs[rsc].children.clone() {
                    self.apply_location(child, location);
                }
            }
            Variant::Bundle => self.apply_bundle_location(rsc, location),
        }
    }

    /// Members after the first of a colocated group follow it: they only take the probe mode.
    fn apply_group_location(&mut self, group: RscIx, location: &Location) {
        self.apply_location_here(group, location);
        let colocated = self.group_colocated(group);
        let mut neutral = location.clone();
        neutral.nodes.reverse();
        for (_, cell) in &mut neutral.nodes {
            cell.score = 0;
        }
        for (at, member) in self.rscs[group].children.clone().into_iter().enumerate() {
            let location = if colocated && at > 0 { &neutral } else { location };
            self.apply_location(member, location);
        }
    }

    fn apply_bundle_location(&mut self, bundle: RscIx, location: &Location) {
        self.apply_location_here(bundle, location);
        for replica in self.replicas(bundle) {
            self.apply_location(replica.container, location);
            if let Some(ip) = replica.ip {
                self.apply_location(ip, location);
            }
        }
        let child = self.bundle_of(bundle).and_then(|b| b.child);
        if let Some(child) = child.filter(|_| location.role_filter >= Role::Unpromoted) {
            self.apply_location(child, location);
            let of_bundle = self.rscs[bundle].locations.clone();
            let same = of_bundle.into_iter().find(|l| self.locations[*l].id == location.id);
            if let Some(same) = same {
                self.rscs[child].locations.push(same);
            }
        }
    }

    fn apply_location_here(&mut self, rsc: RscIx, location: &Location) {
        if location.role_filter > Role::Unknown && location.role_filter != self.rscs[rsc].next_role {
            return;
        }
        let id = location.id.clone();
        for (node, cell) in &location.nodes {
            let row = self.row_mut(rsc);
            let old = slot(row, *node).map(|s| s.score);
            let mut exclusive = false;
            match slot_mut(row, *node) {
                Some(found) => found.score = add_scores(found.score, cell.score),
                None => put(row, *node, *cell),
            }
            let mut new = 0;
            if let Some(found) = slot_mut(row, *node) {
                if found.probe < location.probe {
                    exclusive = location.probe == ProbeMode::Exclusive;
                    found.probe = location.probe;
                }
                new = found.score;
            }
            if exclusive {
                self.rscs[rsc].flags |= rf::EXCLUSIVE_PROBES;
            }
            self.note(rsc, *node, &id, old, new);
        }
    }
}
