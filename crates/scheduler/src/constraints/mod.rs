//! Stage "constraints": what the administrator wants where, with what, and in which order.

pub(crate) mod colocation;
mod internal;
mod location;
pub(crate) mod ordering;
mod sets;
mod tickets;

use crate::cluster::Cluster;
use crate::expand;
use crate::model::*;
use crate::text::Str;

impl Cluster {
    /// Unpacks the constraints. To be called once; [`Cluster::decide`] does it itself.
    pub fn unpack_constraints(&mut self) {
        let doc = self.doc.clone();
        let Some(section) = expand::section(&doc, "constraints") else { return };
        for entry in doc.element(section).children() {
            if entry.attr("id").is_none() {
                self.error(format!("Ignoring <{}> constraint without id", entry.name()));
                continue;
            }
            match entry.name() {
                "rsc_order" => self.unpack_order(entry.id()),
                "rsc_colocation" => self.unpack_colocation(entry.id()),
                "rsc_location" => self.unpack_location(entry.id()),
                "rsc_ticket" => self.unpack_rsc_ticket(entry.id()),
                other => self.error(format!("Unsupported constraint type: {other}")),
            }
        }
    }

    /// The resource that a constraint names; an instance's name stands for its clone.
    pub(crate) fn constraint_rsc(&self, id: &str) -> Option<RscIx> {
        let found = self.find_rsc(id)?;
        if &*self.rscs[found].id == id { Some(found) } else { Some(self.uber_parent(found)) }
    }

    /// What a template or tag of this name stands for.
    pub(crate) fn constraint_refs(&mut self, id: &str) -> Option<Vec<Str>> {
        if let Some(refs) = self.templates.get(id) {
            return (!refs.is_empty()).then(|| refs.clone());
        }
        if let Some(refs) = self.tags.get(id) {
            return (!refs.is_empty()).then(|| refs.clone());
        }
        self.warn(format!("No resource, template, or tag named '{id}'"));
        None
    }

    /// A role in a constraint; `Err` if it is none.
    pub(crate) fn constraint_role(&mut self, id: &str, text: Option<&str>) -> Result<Role, ()> {
        match Role::parse(text) {
            Role::Unknown if text.is_some() => {
                self.error(format!("Ignoring constraint {id}: Invalid role '{}'", text.unwrap_or("")));
                Err(())
            }
            Role::Started => Ok(Role::Unknown),
            role => Ok(role),
        }
    }

    /// Constraints that come from what resources are.
    pub(crate) fn internal_constraints(&mut self) {
        for rsc in self.top.clone() {
            self.internal_constraints_of(rsc);
        }
    }

    pub(crate) fn internal_constraints_of(&mut self, rsc: RscIx) {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.primitive_constraints(rsc),
            Variant::Group => self.group_constraints(rsc),
            Variant::Clone => self.clone_constraints(rsc),
            Variant::Bundle => self.bundle_constraints(rsc),
        }
    }
}
