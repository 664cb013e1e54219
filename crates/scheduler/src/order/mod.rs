//! Stage "order": orderings between actions, and what each implies for the others.

mod apply;
mod flags;
mod settle;
mod update;

use crate::cluster::Cluster;
use crate::model::*;

/// Tasks that the scheduler itself gives a meaning.
pub(crate) fn is_known_task(task: &str) -> bool {
    const TASKS: [&str; 13] = [
        "stop",
        "stopped",
        "start",
        "running",
        "do_shutdown",
        "stonith",
        "monitor",
        "notify",
        "notified",
        "promote",
        "promoted",
        "demote",
        "demoted",
    ];
    TASKS.contains(&task)
}

impl Cluster {
    /// Creates the actions that a resource needs.
    pub(crate) fn create_actions(&mut self, rsc: RscIx) {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.create_primitive_actions(rsc),
            Variant::Group => self.create_group_actions(rsc),
            Variant::Clone => {
                let children = self.rscs[rsc].children.clone();
                self.create_instance_actions(rsc, &children);
                if self.rscs[rsc].is(rf::PROMOTABLE) {
                    self.create_promotable_actions(rsc);
                }
            }
            Variant::Bundle => self.create_bundle_actions(rsc),
        }
    }

    fn create_group_actions(&mut self, group: RscIx) {
        for member in self.rscs[group].children.clone() {
            self.create_actions(member);
        }
        let mut tasks = vec!["start", "running", "stop", "stopped"];
        if self.meta_true(group, "promotable") {
            tasks.extend(["demote", "demoted", "promote", "promoted"]);
        }
        for task in tasks {
            self.rsc_pseudo_action(group, task, true, true);
        }
    }

    fn create_bundle_actions(&mut self, bundle: RscIx) {
        for replica in self.replicas(bundle) {
            for part in [replica.ip, Some(replica.container), replica.remote].into_iter().flatten() {
                self.create_actions(part);
            }
        }
        let containers = self.containers(bundle);
        self.create_instance_actions(bundle, &containers);
        let Some(child) = self.bundle_of(bundle).and_then(|b| b.child) else { return };
        self.create_actions(child);
        if self.rscs[child].is(rf::PROMOTABLE) {
            for (task, done) in [("promote", "promoted"), ("demote", "demoted")] {
                self.rsc_pseudo_action(bundle, task, true, true);
                let done = self.rsc_pseudo_action(bundle, done, true, true);
                self.actions[done].op_mut().priority = base::INFINITY;
            }
        }
    }
}
