//! Live migration.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{Str, op_key, parse_op_key};

impl Cluster {
    pub(crate) fn can_migrate(&self, rsc: RscIx, current: Option<NodeIx>) -> bool {
        let r = &self.rscs[rsc];
        let clean = |node: Option<NodeIx>| node.is_some_and(|n| !self.nodes[n].unclean);
        r.is(rf::MIGRATABLE | rf::MANAGED)
            && !r.any(rf::FAILED | rf::START_PENDING)
            && clean(current)
            && clean(r.assigned)
    }

    fn order_own(&mut self, rsc: RscIx, first: &str, then: &str, flags: u32) {
        let id = self.rscs[rsc].id.clone();
        self.new_ordering(
            (Some(rsc), Some(op_key(&id, first, 0)), None),
            (Some(rsc), Some(op_key(&id, then, 0)), None),
            flags,
        );
    }

    pub(crate) fn create_migration(&mut self, rsc: RscIx, current: NodeIx) {
        let (assigned, partial) = (self.rscs[rsc].assigned, self.rscs[rsc].partial_target.is_some());
        let start = self.start_action(rsc, assigned, true);
        let stop = self.stop_action(rsc, Some(current), true);
        let id = self.rscs[rsc].id.clone();
        let to = (!partial).then(|| {
            self.custom_action(
                Some(rsc),
                op_key(&id, "migrate_to", 0),
                Str::lit("migrate_to"),
                Some(current),
                true,
            )
        });
        let from = self.custom_action(
            Some(rsc),
            op_key(&id, "migrate_from", 0),
            Str::lit("migrate_from"),
            assigned,
            true,
        );
        self.actions[start].flags |= af::MIGRATABLE | af::PSEUDO;
        self.actions[stop].flags |= af::MIGRATABLE;
        self.actions[from].flags |= af::MIGRATABLE;
        let needs = self.actions[start].needs;
        const BLOCKS: u32 = ar::ORDERED | ar::UNMIGRATABLE_THEN_BLOCKS;
        match to {
            Some(to) => {
                self.actions[to].flags |= af::MIGRATABLE;
                self.actions[to].op_mut().needs = needs;
                self.order_own(rsc, "monitor", "migrate_to", ar::ORDERED);
                self.order_own(rsc, "migrate_to", "migrate_from", BLOCKS);
            }
            None => {
                self.actions[from].op_mut().needs = needs;
                self.order_own(rsc, "monitor", "migrate_from", ar::ORDERED);
            }
        }
        self.order_own(rsc, "migrate_from", "stop", BLOCKS);
        self.order_own(rsc, "migrate_from", "start", BLOCKS | ar::FIRST_ELSE_THEN);
        let source = self.nodes[current].name.clone();
        let target = assigned.map(|n| self.nodes[n].name.clone()).unwrap_or_default();
        for action in to.into_iter().chain([from]) {
            let meta = &mut self.actions[action].op_mut().meta;
            meta.set(Str::lit("migrate_source"), source.clone());
            meta.set(Str::lit("migrate_target"), target.clone());
        }
        if let Some(to) = to.filter(|_| !self.rscs[rsc].is(rf::REMOTE_CONNECTION)) {
            self.actions[to].op_mut().meta.set(Str::lit("record-pending"), Str::lit("true"));
        }
    }

    /// Adds to an ordering of starts or stops what it means when the resources migrate instead.
    pub(crate) fn order_migration_equivalents(&mut self, order: &Ends) {
        let (Some(first), Some(then)) = (order.first_rsc, order.then_rsc) else { return };
        if first == then || self.is_parent(first, then) || self.is_parent(then, first) {
            return;
        }
        let first_migrates = self.rscs[first].is(rf::MIGRATABLE);
        let then_migrates = self.rscs[then].is(rf::MIGRATABLE);
        if !first_migrates && !then_migrates {
            return;
        }
        let task = |action: Option<ActIx>, key: &Option<Str>| match action {
            Some(action) => self.actions[action].task.clone(),
            None => key.as_deref().and_then(parse_op_key).map_or(Str::lit(""), |(_, task, _)| task.into()),
        };
        let (first_task, then_task) =
            (task(order.first, &order.first_task), task(order.then, &order.then_task));
        let partial = self.rscs[then].partial_target.is_some();
        let unmigratable = if first_migrates { ar::IF_FIRST_UNMIGRATABLE } else { 0 };
        let mut add = |a: &str, b: &str, flags: u32| {
            let keys = (op_key(&self.rscs[first].id, a, 0), op_key(&self.rscs[then].id, b, 0));
            self.new_ordering((Some(first), Some(keys.0), None), (Some(then), Some(keys.1), None), flags);
        };
        match (&*first_task, &*then_task) {
            ("start", "start") => {
                if first_migrates && then_migrates {
                    add("migrate_from", "migrate_to", ar::ORDERED);
                }
                if then_migrates {
                    add("start", "migrate_to", ar::ORDERED | unmigratable);
                }
            }
            ("stop", "stop") if then_migrates => {
                add("stop", "migrate_to", ar::ORDERED | unmigratable);
                if partial {
                    add("stop", "migrate_from", ar::ORDERED | unmigratable);
                }
            }
            ("promote", "start") if then_migrates => add("promote", "migrate_to", ar::ORDERED),
            ("demote", "stop") if then_migrates => {
                add("demote", "migrate_to", ar::ORDERED);
                if partial {
                    add("demote", "migrate_from", ar::ORDERED);
                }
            }
            _ => {}
        }
    }
}
