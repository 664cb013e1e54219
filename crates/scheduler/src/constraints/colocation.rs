//! Colocation constraints.

use super::sets::Set;
use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{Str, is_true, parse_bool};
use std::cmp::Ordering as Cmp;
use xml::NodeId;

/// What a new colocation is made from.
pub(crate) struct NewColocation<'a> {
    pub id: &'a str,
    pub attribute: Option<&'a str>,
    pub score: i32,
    pub dependent: RscIx,
    pub primary: RscIx,
    pub dependent_role: Option<&'a str>,
    pub primary_role: Option<&'a str>,
    pub explicit: bool,
    pub influence: bool,
}

impl Cluster {
    fn compare_colocations(&self, a: ColocIx, b: ColocIx, by_dependent: bool) -> Cmp {
        let rsc = |c: ColocIx| {
            let c = &self.colocations[c];
            &self.rscs[if by_dependent { c.dependent } else { c.primary }]
        };
        let (x, y) = (rsc(a), rsc(b));
        let mut order = y.priority.cmp(&x.priority).then(y.variant.cmp(&x.variant));
        if x.variant == Variant::Clone {
            order = order.then(y.is(rf::PROMOTABLE).cmp(&x.is(rf::PROMOTABLE)));
        }
        order.then_with(|| x.id.as_bytes().cmp(y.id.as_bytes()))
    }

    fn insert_colocation(&self, list: &mut Vec<ColocIx>, new: ColocIx, by_dependent: bool) {
        let before =
            list.iter().position(|old| self.compare_colocations(new, *old, by_dependent) != Cmp::Greater);
        list.insert(before.unwrap_or(list.len()), new);
    }

    pub(crate) fn add_this_with(&self, list: &mut Vec<ColocIx>, new: ColocIx) {
        self.insert_colocation(list, new, false);
    }

    pub(crate) fn add_with_this(&self, list: &mut Vec<ColocIx>, new: ColocIx) {
        self.insert_colocation(list, new, true);
    }

    /// Adds a list. As in the reference, to a list that is not empty the first element of the
    /// addition is added once for each of its elements: decisions depend on it.
    pub(crate) fn add_colocations(&self, list: &mut Vec<ColocIx>, addition: &[ColocIx], by_dependent: bool) {
        if list.is_empty() {
            list.extend(addition);
            return;
        }
        if let Some(first) = addition.first() {
            for _ in addition {
                self.insert_colocation(list, *first, by_dependent);
            }
        }
    }

    pub(crate) fn new_colocation(&mut self, new: NewColocation<'_>) {
        let (Ok(dependent_role), Ok(primary_role)) = (
            self.constraint_role(new.id, new.dependent_role),
            self.constraint_role(new.id, new.primary_role),
        ) else {
            return;
        };
        if new.score == 0 {
            return;
        }
        let (dependent, primary) = (new.dependent, new.primary);
        self.forget_all_pulls();
        let ix = self.colocations.push(Colocation {
            id: new.id.into(),
            node_attribute: new.attribute.map_or(Str::lit("#uname"), Str::from),
            dependent,
            primary,
            dependent_role,
            primary_role,
            score: new.score,
            explicit: new.explicit,
            influence: new.influence,
        });
        let mut list = std::mem::take(&mut self.rscs[dependent].this_with);
        self.add_this_with(&mut list, ix);
        self.rscs[dependent].this_with = list;
        let mut list = std::mem::take(&mut self.rscs[primary].with_this);
        self.add_with_this(&mut list, ix);
        self.rscs[primary].with_this = list;
        if new.score <= -base::INFINITY {
            self.anti_colocation_order(dependent, dependent_role, primary, primary_role);
            self.anti_colocation_order(primary, primary_role, dependent, dependent_role);
        }
    }

    fn anti_colocation_order(&mut self, first: RscIx, first_role: Role, then: RscIx, then_role: Role) {
        let first_tasks: &[&str] = match first_role {
            Role::Promoted => &["demote"],
            Role::Unpromoted => &["stop", "promote"],
            _ => &["stop"],
        };
        let then_tasks: &[&str] = match then_role {
            Role::Promoted => &["promote"],
            Role::Unpromoted => &["start", "demote"],
            _ => &["start"],
        };
        for a in first_tasks {
            for b in then_tasks {
                self.order_rsc_actions(first, a, then, b, ar::IF_REQUIRED_ON_SAME_NODE);
            }
        }
    }

    fn influence(&mut self, id: &str, rsc: RscIx, text: Option<&str>) -> bool {
        match text.map(parse_bool) {
            Some(Some(value)) => value,
            Some(None) => {
                self.error(format!("Constraint '{id}' has invalid value for influence (using default)"));
                self.rscs[rsc].is(rf::CRITICAL)
            }
            None => self.rscs[rsc].is(rf::CRITICAL),
        }
    }

    pub(super) fn unpack_colocation(&mut self, xml: NodeId) {
        let doc = self.doc.clone();
        let id = doc.attr(xml, "id").unwrap_or("");
        let Ok(mut sets) = self.constraint_sets(xml) else { return };
        if sets.is_empty() {
            match self.colocation_tags(xml) {
                Err(()) => return,
                Ok(found) => sets = found,
            }
        }
        let score = match doc.attr(xml, "score") {
            None => 0,
            Some(text) => match self.parse_score(text) {
                Some(score) => score,
                None => {
                    self.error(format!("Ignoring colocation {id} because '{text}' is not a valid score"));
                    return;
                }
            },
        };
        let influence = doc.attr(xml, "influence");
        if sets.is_empty() {
            self.simple_colocation(xml, score, influence);
            return;
        }
        let mut last: Option<&Set> = None;
        for set in &sets {
            if set.id.is_none() {
                self.error("Ignoring resource_set without id");
                continue;
            }
            self.colocate_in_set(set, score, id, influence);
            if let Some(last) = last {
                self.colocate_sets(id, last, set, score, influence);
            }
            last = Some(set);
        }
    }

    fn colocation_tags(&mut self, xml: NodeId) -> Result<Vec<Set>, ()> {
        let doc = self.doc.clone();
        let (Some(dependent), Some(primary)) = (doc.attr(xml, "rsc"), doc.attr(xml, "with-rsc")) else {
            return Ok(Vec::new());
        };
        let known = (self.constraint_rsc(dependent).is_some(), self.constraint_rsc(primary).is_some());
        if known == (true, true) {
            return Ok(Vec::new());
        }
        let (a, b) = (self.tag_to_set(xml, "rsc", true)?, self.tag_to_set(xml, "with-rsc", true)?);
        if known == (false, false) {
            self.error("Ignoring constraint because two templates or tags cannot be colocated");
            return Err(());
        }
        let with = |set: Option<Set>, name: &str| {
            set.map(|set| Set { role: doc.attr(xml, name).map(Str::from), ..set })
        };
        Ok(with(a, "rsc-role").into_iter().chain(with(b, "with-rsc-role")).collect())
    }

    fn simple_colocation(&mut self, xml: NodeId, score: i32, influence: Option<&str>) {
        let doc = self.doc.clone();
        let id = doc.attr(xml, "id").unwrap_or("");
        let mut end = |name: &str| {
            let rsc = doc.attr(xml, name).unwrap_or("");
            let found = self.constraint_rsc(rsc);
            if found.is_none() {
                self.error(format!("Ignoring constraint '{id}' because resource '{rsc}' does not exist"));
            }
            found
        };
        let Some(dependent) = end("rsc") else { return };
        let Some(primary) = end("with-rsc") else { return };
        if is_true(doc.attr(xml, "symmetrical")) {
            self.warn("The colocation constraint 'symmetrical' attribute has been removed");
        }
        let influence = self.influence(id, dependent, influence);
        self.new_colocation(NewColocation {
            id,
            attribute: doc.attr(xml, "node-attribute"),
            score,
            dependent,
            primary,
            dependent_role: doc.attr(xml, "rsc-role"),
            primary_role: doc.attr(xml, "with-rsc-role"),
            explicit: true,
            influence,
        });
    }

    fn colocate(
        &mut self,
        id: &str,
        score: i32,
        dependent: (RscIx, Option<&str>),
        primary: (RscIx, Option<&str>),
        influence: bool,
    ) {
        self.new_colocation(NewColocation {
            id,
            attribute: None,
            score,
            dependent: dependent.0,
            primary: primary.0,
            dependent_role: dependent.1,
            primary_role: primary.1,
            explicit: true,
            influence,
        });
    }

    fn colocate_in_set(&mut self, set: &Set, score: i32, id: &str, influence: Option<&str>) {
        let set_id = set.id.clone().unwrap_or_default();
        let score = match &set.score {
            None => score,
            Some(text) => {
                match self.parse_score(text) {
                    Some(score) => score,
                    None => {
                        self.error(format!("Ignoring colocation '{id}' for set '{set_id}' because '{text}' is not a valid score"));
                        return;
                    }
                }
            }
        };
        if score == 0 || set.sequential == Some(false) {
            return;
        }
        let with_previous = set.ordering.as_deref().is_none_or(|o| o.eq_ignore_ascii_case("group"));
        let role = set.role.as_deref();
        let mut previous: Option<RscIx> = None;
        for member in &set.members {
            let Some(rsc) = self.constraint_rsc(member) else {
                self.error(format!(
                    "Ignoring {member} and later resources in set {set_id}: No such resource"
                ));
                return;
            };
            let influence = self.influence(id, rsc, influence);
            if score > 0 {
                if let Some(other) = previous {
                    let (a, b) = if with_previous { (rsc, other) } else { (other, rsc) };
                    self.colocate(&set_id, score, (a, role), (b, role), influence);
                }
                previous = Some(rsc);
                continue;
            }
            // As in the reference: a member that is named by the instance of a clone never ends
            // this, so its clone is kept away from all members of the set.
            for other in &set.members {
                if *other == self.rscs[rsc].id {
                    break;
                }
                if let Some(other) = self.constraint_rsc(other) {
                    self.colocate(&set_id, score, (rsc, role), (other, role), influence);
                }
            }
        }
    }

    fn colocate_sets(&mut self, id: &str, a: &Set, b: &Set, score: i32, influence: Option<&str>) {
        if score == 0 {
            return;
        }
        let (role_a, role_b) = (a.role.clone(), b.role.clone());
        let single = |list: &[Str], first: bool| {
            let one = if first { list.first() } else { list.last() };
            one.cloned().into_iter().collect::<Vec<Str>>()
        };
        let dependents =
            if a.sequential != Some(false) { single(&a.members, true) } else { a.members.clone() };
        let primaries =
            if b.sequential != Some(false) { single(&b.members, false) } else { b.members.clone() };
        for dependent in &dependents {
            let Some(rsc) = self.constraint_rsc(dependent) else {
                self.error(format!("Ignoring set colocation with resource {dependent}: No such resource"));
                continue;
            };
            let influence = self.influence(id, rsc, influence);
            for primary in &primaries {
                let Some(other) = self.constraint_rsc(primary) else {
                    self.error(format!("Ignoring set colocation with resource {primary}: No such resource"));
                    continue;
                };
                self.colocate(id, score, (rsc, role_a.as_deref()), (other, role_b.as_deref()), influence);
            }
        }
    }
}
