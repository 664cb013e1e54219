//! Ordering constraints.

use super::sets::Set;
use crate::cluster::Cluster;
use crate::model::*;
use crate::rules::bool_attr;
use crate::text::{Str, is_true, min_int, op_key};
use xml::NodeId;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Optional,
    Mandatory,
    Serialize,
}

#[derive(Clone, Copy, PartialEq)]
enum Symmetry {
    Asymmetric,
    Symmetric,
    Inverse,
}

/// One end of an ordering: resource, operation's name, or action.
pub(crate) type End = (Option<RscIx>, Option<Str>, Option<ActIx>);

fn invert(action: &str) -> Option<&'static str> {
    Some(match action {
        "start" => "stop",
        "stop" => "start",
        "promote" => "demote",
        "demote" => "promote",
        "promoted" => "demoted",
        "demoted" => "promoted",
        "running" => "stopped",
        "stopped" => "running",
        _ => return None,
    })
}

fn flags_for(kind: Kind, first: &str, symmetry: Symmetry) -> u32 {
    match (kind, symmetry) {
        (Kind::Optional, _) => ar::ORDERED,
        (Kind::Serialize, _) => ar::SERIALIZE,
        (Kind::Mandatory, Symmetry::Asymmetric) => ar::ORDERED | ar::ASYMMETRIC,
        (Kind::Mandatory, Symmetry::Inverse) => ar::ORDERED | ar::THEN_IMPLIES_FIRST,
        (Kind::Mandatory, Symmetry::Symmetric) => {
            let up = matches!(first, "start" | "promote" | "migrate_from");
            ar::ORDERED | ar::FIRST_IMPLIES_THEN | if up { ar::UNRUNNABLE_FIRST_BLOCKS } else { 0 }
        }
    }
}

impl Cluster {
    /// Adds an ordering between two ends.
    pub(crate) fn new_ordering(&mut self, first: End, then: End, flags: u32) {
        let fill = |(rsc, task, action): End| {
            let rsc = rsc.or_else(|| action.and_then(|a| self.actions[a].rsc));
            let task = task.or_else(|| action.map(|a| self.actions[a].key.clone()));
            (rsc, task, action)
        };
        let (first_rsc, first_task, first) = fill(first);
        let (then_rsc, then_task, then) = fill(then);
        let order = Ends { flags, first_rsc, first_task, first, then_rsc, then_task, then };
        let migrates = |rsc: Option<RscIx>| rsc.is_some_and(|r| self.rscs[r].is(rf::MIGRATABLE));
        if migrates(first_rsc) || migrates(then_rsc) {
            self.orderings.push(Ordering::Ends(Box::new(order.clone())));
            self.order_migration_equivalents(&order);
        } else {
            self.orderings.push(Ordering::Ends(Box::new(order)));
        }
    }

    /// Orders an operation of one resource before one of another.
    pub(crate) fn order_rsc_actions(&mut self, first: RscIx, a: &str, then: RscIx, b: &str, flags: u32) {
        let a = op_key(&self.rscs[first].id, a, 0);
        let b = op_key(&self.rscs[then].id, b, 0);
        self.new_ordering((Some(first), Some(a), None), (Some(then), Some(b), None), flags);
    }

    pub(crate) fn order_starts(&mut self, first: RscIx, then: RscIx, flags: u32) {
        self.order_rsc_actions(first, "start", then, "start", flags);
    }

    pub(crate) fn order_stops(&mut self, first: RscIx, then: RscIx, flags: u32) {
        self.order_rsc_actions(first, "stop", then, "stop", flags);
    }

    fn ordering_kind(&mut self, kind: Option<&str>, score: Option<&str>, id: &str) -> Kind {
        match (kind, score) {
            (None, None) | (Some("Mandatory"), _) => Kind::Mandatory,
            (None, Some(score)) if self.parse_score(score).unwrap_or(0) == 0 => Kind::Optional,
            (None, Some(_)) => Kind::Mandatory,
            (Some("Optional"), _) => Kind::Optional,
            (Some("Serialize"), _) => Kind::Serialize,
            (Some(other), _) => {
                self.error(format!(
                    "Resetting 'kind' for constraint {id} to 'Mandatory' because '{other}' is not valid"
                ));
                Kind::Mandatory
            }
        }
    }

    fn symmetry(&mut self, kind: Kind, symmetrical: Option<bool>, id: &str) -> Symmetry {
        match symmetrical {
            Some(true) if kind == Kind::Serialize => {
                self.warn(format!(
                    "Ignoring symmetrical for '{id}' because not valid with kind of 'Serialize'"
                ));
                Symmetry::Asymmetric
            }
            Some(true) => Symmetry::Symmetric,
            Some(false) => Symmetry::Asymmetric,
            None if kind == Kind::Serialize => Symmetry::Asymmetric,
            None => Symmetry::Symmetric,
        }
    }

    pub(super) fn unpack_order(&mut self, xml: NodeId) {
        let doc = self.doc.clone();
        let id = doc.attr(xml, "id").unwrap_or("");
        let kind = self.ordering_kind(doc.attr(xml, "kind"), doc.attr(xml, "score"), id);
        let symmetry = self.symmetry(kind, bool_attr(&doc, xml, "symmetrical"), id);
        let Ok(mut sets) = self.constraint_sets(xml) else { return };
        if sets.is_empty() {
            match self.order_tags(xml) {
                Err(()) => return,
                Ok(found) => sets = found,
            }
        }
        if sets.is_empty() {
            self.simple_order(xml, kind, symmetry);
            return;
        }
        let parent = doc.attr(xml, "symmetrical");
        for at in 0..sets.len() {
            let Some(set) = sets.get(at) else { continue };
            if self.order_set(set, kind, parent).is_err() {
                return;
            }
            let Some(last) = at.checked_sub(1).and_then(|i| sets.get(i)) else { continue };
            if self.order_two_sets(id, last, set, kind, symmetry).is_err() {
                return;
            }
            if symmetry == Symmetry::Symmetric
                && self.order_two_sets(id, set, last, kind, Symmetry::Inverse).is_err()
            {
                return;
            }
        }
    }

    fn order_tags(&mut self, xml: NodeId) -> Result<Vec<Set>, ()> {
        let doc = self.doc.clone();
        let (Some(first), Some(then)) = (doc.attr(xml, "first"), doc.attr(xml, "then")) else {
            return Ok(Vec::new());
        };
        if self.constraint_rsc(first).is_some() && self.constraint_rsc(then).is_some() {
            return Ok(Vec::new());
        }
        let first = self.tag_to_set(xml, "first", true)?;
        let then = self.tag_to_set(xml, "then", true)?;
        let with = |set: Option<Set>, name: &str| {
            set.map(|set| Set { action: doc.attr(xml, name).map(Str::from), ..set })
        };
        Ok(with(first, "first-action").into_iter().chain(with(then, "then-action")).collect())
    }

    fn simple_order(&mut self, xml: NodeId, kind: Kind, symmetry: Symmetry) {
        let doc = self.doc.clone();
        let id = doc.attr(xml, "id").unwrap_or("");
        let mut end = |name: &str| match doc.attr(xml, name) {
            None => {
                self.error(format!("Ignoring constraint '{id}' without {name}"));
                None
            }
            Some(rsc) => {
                let found = self.constraint_rsc(rsc);
                if found.is_none() {
                    self.error(format!("Ignoring constraint '{id}' because resource '{rsc}' does not exist"));
                }
                found
            }
        };
        let Some(first) = end("first") else { return };
        let Some(then) = end("then") else { return };
        let first_action = doc.attr(xml, "first-action").unwrap_or("start");
        let then_action = doc.attr(xml, "then-action").unwrap_or(first_action);
        let flags = flags_for(kind, first_action, symmetry);
        let minimum = self.minimum_instances(first, xml);
        if minimum > 0 {
            self.order_clone_min(id, (first, first_action), (then, then_action), flags, minimum);
        } else {
            self.order_rsc_actions(first, first_action, then, then_action, flags);
        }
        if symmetry != Symmetry::Symmetric {
            return;
        }
        let (Some(inverse_first), Some(inverse_then)) = (invert(first_action), invert(then_action)) else {
            self.warn(format!("Cannot invert constraint '{id}' (please specify inverse manually)"));
            return;
        };
        let flags = flags_for(kind, inverse_first, Symmetry::Inverse);
        self.order_rsc_actions(then, inverse_then, first, inverse_first, flags);
    }

    /// How many instances must run before what comes then; 0 for all.
    fn minimum_instances(&self, first: RscIx, xml: NodeId) -> i32 {
        if !self.is_clone(first) {
            return 0;
        }
        if let Some(minimum) = self.rscs[first].meta.get("clone-min") {
            return min_int(Some(minimum), 0);
        }
        let require_all = self.doc.attr(xml, "require-all");
        i32::from(require_all.is_some() && !is_true(require_all))
    }

    fn order_clone_min(
        &mut self,
        id: &str,
        first: (RscIx, &str),
        then: (RscIx, &str),
        flags: u32,
        minimum: i32,
    ) {
        let met = self.pseudo_op(format!("clone-one-or-more:{id}").into());
        self.actions[met].op_mut().required_runnable_before = minimum;
        for child in self.rscs[first.0].children.clone() {
            let key = op_key(&self.rscs[child].id, first.1, 0);
            self.new_ordering(
                (Some(child), Some(key), None),
                (None, None, Some(met)),
                ar::MIN_RUNNABLE | ar::FIRST_IMPLIES_THEN_GRAPHED,
            );
        }
        let key = op_key(&self.rscs[then.0].id, then.1, 0);
        self.new_ordering(
            (None, None, Some(met)),
            (Some(then.0), Some(key), None),
            flags | ar::UNRUNNABLE_FIRST_BLOCKS,
        );
    }

    fn set_members(&mut self, id: &str, set: &Set) -> Result<Vec<RscIx>, ()> {
        let mut out = Vec::new();
        for member in &set.members {
            match self.constraint_rsc(member) {
                Some(rsc) => out.push(rsc),
                None => {
                    self.error(format!("{id}: No resource found for {member}"));
                    return Err(());
                }
            }
        }
        Ok(out)
    }

    fn order_set(
        &mut self,
        set: &Set,
        parent_kind: Kind,
        parent_symmetrical: Option<&str>,
    ) -> Result<(), ()> {
        let id = set.id.clone().unwrap_or_default();
        let action = set.action.clone().unwrap_or(Str::lit("start"));
        let own_kind = match &set.kind {
            Some(_) => self.ordering_kind(set.kind.as_deref(), None, &id),
            None => parent_kind,
        };
        let symmetry_kind = match (&set.kind, &set.score) {
            (None, None) => parent_kind,
            _ => self.ordering_kind(set.kind.as_deref(), set.score.as_deref(), &id),
        };
        let symmetrical = set.symmetrical.as_deref().and_then(crate::text::parse_bool);
        let symmetrical = symmetrical.or(parent_symmetrical.map(|s| is_true(Some(s))));
        let symmetry = self.symmetry(symmetry_kind, symmetrical, &id);
        let sequential = set.sequential.unwrap_or(true);
        let flags = flags_for(own_kind, &action, symmetry);
        let members = self.set_members(&id, set)?;
        if members.len() == 1 {
            return Ok(());
        }
        for (at, member) in members.iter().enumerate() {
            if own_kind == Kind::Serialize {
                for later in members.iter().skip(at + 1) {
                    self.order_rsc_actions(*member, &action, *later, &action, flags);
                }
            } else if let Some(last) = at.checked_sub(1).and_then(|i| members.get(i)).filter(|_| sequential) {
                self.order_rsc_actions(*last, &action, *member, &action, flags);
            }
        }
        if symmetry == Symmetry::Asymmetric || !sequential {
            return Ok(());
        }
        let Some(inverse) = invert(&action) else { return Ok(()) };
        let flags = flags_for(own_kind, inverse, Symmetry::Inverse);
        for pair in members.windows(2) {
            if let [last, member] = pair {
                self.order_rsc_actions(*member, inverse, *last, inverse, flags);
            }
        }
        Ok(())
    }

    fn order_two_sets(
        &mut self,
        id: &str,
        a: &Set,
        b: &Set,
        kind: Kind,
        symmetry: Symmetry,
    ) -> Result<(), ()> {
        let action = |set: &Set| set.action.clone().unwrap_or(Str::lit("start"));
        let (mut first_action, mut then_action) = (action(a), action(b));
        if symmetry == Symmetry::Inverse {
            first_action = Str::lit(invert(&first_action).ok_or(())?);
            then_action = Str::lit(invert(&then_action).ok_or(())?);
        }
        let down = matches!(&*first_action, "stop" | "demote");
        let require_all = a.require_all.unwrap_or(true) || down;
        let flags = flags_for(kind, &first_action, symmetry);
        let (first, then) = (self.set_members(id, a)?, self.set_members(id, b)?);
        if !require_all {
            let any = self.pseudo_op(format!("one-or-more:{}", a.id.clone().unwrap_or_default()).into());
            self.actions[any].op_mut().required_runnable_before = 1;
            for rsc in first {
                let key = op_key(&self.rscs[rsc].id, &first_action, 0);
                self.new_ordering(
                    (Some(rsc), Some(key), None),
                    (None, None, Some(any)),
                    ar::MIN_RUNNABLE | ar::FIRST_IMPLIES_THEN_GRAPHED,
                );
            }
            for rsc in then {
                let key = op_key(&self.rscs[rsc].id, &then_action, 0);
                self.new_ordering(
                    (None, None, Some(any)),
                    (Some(rsc), Some(key), None),
                    flags | ar::UNRUNNABLE_FIRST_BLOCKS,
                );
            }
            return Ok(());
        }
        // Of a sequential set only the end that touches the other set matters.
        let inverse = symmetry == Symmetry::Inverse;
        let edge = |members: Vec<RscIx>, set: &Set, want_first: bool| {
            if set.sequential != Some(true) {
                return members;
            }
            let one = if want_first { members.first().copied() } else { members.last().copied() };
            one.map_or(members, |m| vec![m])
        };
        let first = edge(first, a, inverse);
        let then = edge(then, b, !inverse);
        for a in &first {
            for b in &then {
                self.order_rsc_actions(*a, &first_action, *b, &then_action, flags);
            }
        }
        Ok(())
    }
}
