//! Tickets: permission, granted by the outside, to run something at this site.

use super::sets::Set;
use crate::cluster::Cluster;
use crate::model::*;
use crate::text::Str;
use xml::NodeId;

impl Cluster {
    pub(super) fn unpack_rsc_ticket(&mut self, xml: NodeId) {
        let doc = self.doc.clone();
        let id = doc.attr(xml, "id").unwrap_or("");
        let Some(name) = doc.attr(xml, "ticket").filter(|t| !t.is_empty()) else {
            self.error(format!("Ignoring constraint '{id}' without ticket"));
            return;
        };
        let ticket = self.ticket(name);
        let policy = doc.attr(xml, "loss-policy");
        let Ok(mut sets) = self.constraint_sets(xml) else { return };
        if sets.is_empty() {
            match self.tag_to_set(xml, "rsc", false) {
                Err(()) => return,
                Ok(Some(set)) => sets.push(Set { role: doc.attr(xml, "rsc-role").map(Str::from), ..set }),
                Ok(None) => {
                    match doc.attr(xml, "rsc").and_then(|r| self.constraint_rsc(r)) {
                        Some(rsc) => self.new_rsc_ticket(id, rsc, ticket, doc.attr(xml, "rsc-role"), policy),
                        None => self
                            .error(format!("Ignoring constraint '{id}' because its resource does not exist")),
                    }
                    return;
                }
            }
        }
        for set in sets {
            let Some(set_id) = &set.id else {
                self.error("Ignoring <resource_set> without id");
                return;
            };
            for member in &set.members {
                let Some(rsc) = self.constraint_rsc(member) else {
                    self.error(format!("{set_id}: No resource found for {member}"));
                    return;
                };
                self.new_rsc_ticket(set_id, rsc, ticket, set.role.as_deref(), policy);
            }
        }
    }

    fn new_rsc_ticket(
        &mut self,
        id: &str,
        rsc: RscIx,
        ticket: TicketIx,
        role: Option<&str>,
        policy: Option<&str>,
    ) {
        let Ok(role) = self.constraint_role(id, role) else { return };
        let loss_policy = match policy.map(str::to_ascii_lowercase).as_deref() {
            Some("fence") if self.config.fencing_enabled => LossPolicy::Fence,
            Some("fence") => {
                self.error(format!("Resetting 'loss-policy' for constraint '{id}' to 'stop' because fencing is not configured"));
                LossPolicy::Stop
            }
            Some("freeze") => LossPolicy::Freeze,
            Some("demote") => LossPolicy::Demote,
            Some("stop") => LossPolicy::Stop,
            _ if role == Role::Promoted => LossPolicy::Demote,
            _ => LossPolicy::Stop,
        };
        let new = RscTicket { id: id.into(), ticket, loss_policy, role };
        self.rscs[rsc].tickets.push(new.clone());
        if !self.ticket_permits(ticket) {
            self.apply_ticket(rsc, &new);
        }
    }

    fn ticket_permits(&self, ticket: TicketIx) -> bool {
        self.tickets[ticket].granted && !self.tickets[ticket].standby
    }

    fn apply_ticket(&mut self, rsc: RscIx, dependence: &RscTicket) {
        let children = self.rscs[rsc].children.clone();
        if !children.is_empty() {
            for child in children {
                self.apply_ticket(child, dependence);
            }
            return;
        }
        const BAN: i32 = -base::INFINITY;
        let granted = self.tickets[dependence.ticket].granted;
        let fits = dependence.role == Role::Unknown || dependence.role == self.rscs[rsc].role;
        let anywhere = dependence.role != Role::Promoted;
        let stops = dependence.loss_policy == LossPolicy::Stop;
        if granted || self.rscs[rsc].active_nodes.is_empty() {
            if anywhere || stops {
                let cause = if granted { "__ticket_standby__" } else { "__no_ticket__" };
                self.location(rsc, None, BAN, cause);
            }
            return;
        }
        match dependence.loss_policy {
            LossPolicy::Stop => self.location(rsc, None, BAN, "__loss_of_ticket__"),
            LossPolicy::Demote if anywhere => self.location(rsc, None, BAN, "__loss_of_ticket__"),
            LossPolicy::Demote => {}
            LossPolicy::Fence if fits => {
                self.location(rsc, None, BAN, "__loss_of_ticket__");
                for node in self.rscs[rsc].active_nodes.clone() {
                    self.fence_node(node, "deadman ticket was lost", false);
                }
            }
            LossPolicy::Freeze if fits => {
                self.rscs[rsc].flags &= !rf::MANAGED;
                self.rscs[rsc].flags |= rf::BLOCKED;
            }
            _ => {}
        }
    }

    /// Bans the promoted role where its ticket does not permit it.
    pub(crate) fn require_promotion_tickets(&mut self, rsc: RscIx) {
        for dependence in self.rscs[rsc].tickets.clone() {
            if dependence.role == Role::Promoted && !self.ticket_permits(dependence.ticket) {
                self.location(rsc, None, -base::INFINITY, "__stateful_without_ticket__");
            }
        }
    }
}
