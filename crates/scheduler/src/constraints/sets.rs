//! Resource sets in constraints, with tags and templates written out.

use crate::cluster::Cluster;
use crate::rules::resolve;
use crate::text::{Str, parse_bool};
use xml::{Document, NodeId};

/// A `<resource_set>`.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    pub id: Option<Str>,
    pub members: Vec<Str>,
    pub role: Option<Str>,
    pub action: Option<Str>,
    pub score: Option<Str>,
    pub kind: Option<Str>,
    pub symmetrical: Option<Str>,
    pub sequential: Option<bool>,
    pub require_all: Option<bool>,
    /// Old attribute "ordering"; anything but "group" reverses a colocation.
    pub ordering: Option<Str>,
}

/// Elements of a constraint's sets. As the reference has it, a set by `id-ref` is followed by those that
/// follow the set it refers to, not by those that follow the reference. `None`: a reference names nothing.
fn set_elements(doc: &Document, constraint: NodeId) -> Option<Vec<NodeId>> {
    let is_set = |at: &NodeId| doc.name(*at) == "resource_set";
    let children = |parent: NodeId| doc.child_elements(parent).into_iter().filter(is_set);
    let mut found = Vec::new();
    let mut next = children(constraint).next();
    while let Some(set) = next {
        let set = resolve(doc, set)?;
        if found.contains(&set) {
            break; // The reference would go round for ever.
        }
        found.push(set);
        next = doc.parent(set).and_then(|parent| children(parent).skip_while(|at| *at != set).nth(1));
    }
    Some(found)
}

impl Cluster {
    /// Sets of a constraint. `Err` if the constraint is to be ignored.
    pub(super) fn constraint_sets(&mut self, constraint: NodeId) -> Result<Vec<Set>, ()> {
        let doc = self.doc.clone();
        let mut sets = Vec::new();
        for node in set_elements(&doc, constraint).ok_or(())? {
            let text = |name: &str| doc.attr(node, name).map(Str::from);
            let mut members = Vec::new();
            for reference in doc.element(node).children().filter(|e| e.name() == "resource_ref") {
                members.push(Str::from(reference.attr("id").unwrap_or("")));
            }
            sets.push(Set {
                id: text("id"),
                members,
                role: text("role"),
                action: text("action"),
                score: text("score"),
                kind: text("kind"),
                symmetrical: text("symmetrical"),
                sequential: doc.attr(node, "sequential").and_then(parse_bool),
                require_all: doc.attr(node, "require-all").and_then(parse_bool),
                ordering: text("ordering"),
            });
        }
        self.expand_set_tags(constraint, &mut sets);
        Ok(sets)
    }

    /// Replaces tags and templates in sets by what they stand for; with a bad reference anywhere,
    /// none is replaced.
    fn expand_set_tags(&mut self, constraint: NodeId, sets: &mut [Set]) {
        let mut expanded = Vec::new();
        for set in sets.iter() {
            let mut members = Vec::new();
            for member in &set.members {
                if self.constraint_rsc(member).is_some() {
                    members.push(member.clone());
                } else if let Some(refs) = self.constraint_refs(member) {
                    members.extend(refs);
                } else {
                    let id = self.doc.attr(constraint, "id").unwrap_or("").to_string();
                    self.error(format!(
                        "Ignoring resource sets for constraint '{id}' because '{member}' is not a valid resource or tag"
                    ));
                    return;
                }
            }
            expanded.push(members);
        }
        for (set, members) in sets.iter_mut().zip(expanded) {
            set.members = members;
        }
    }

    /// A set that stands for the tag, template or (with `also_rsc`) resource in an attribute.
    /// `Ok(None)`: the attribute can be used as it is. `Err`: it names nothing.
    pub(super) fn tag_to_set(
        &mut self,
        constraint: NodeId,
        attr: &str,
        also_rsc: bool,
    ) -> Result<Option<Set>, ()> {
        let doc = self.doc.clone();
        let Some(id) = doc.attr(constraint, attr) else { return Ok(None) };
        if self.constraint_rsc(id).is_some() {
            let set = Set { id: Some(id.into()), members: vec![id.into()], ..Set::default() };
            return Ok(also_rsc.then_some(set));
        }
        match self.constraint_refs(id) {
            Some(members) => {
                Ok(Some(Set { id: Some(id.into()), members, sequential: Some(false), ..Set::default() }))
            }
            None => {
                let own = doc.attr(constraint, "id").unwrap_or("");
                self.error(format!(
                    "Ignoring constraint '{own}' because '{id}' is not a valid resource or tag"
                ));
                Err(())
            }
        }
    }
}
