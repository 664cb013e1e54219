//! Flags of actions: of a primitive its own, of a collective those of its parts together.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::parse_op_key;

const ALL: u32 = af::OPTIONAL | af::RUNNABLE | af::PSEUDO;

/// What a collective's task is for its parts: a primitive has no "stopped", only "stop".
fn part_task(task: &str, primitive: bool) -> &str {
    match task {
        "stopped" if primitive => "stop",
        "running" if primitive => "start",
        "promoted" if primitive => "promote",
        "demoted" if primitive => "demote",
        task if super::is_known_task(task) => task,
        _ => "no_action",
    }
}

impl Cluster {
    /// Flags of an action, as seen from a node.
    pub(crate) fn action_flags(&mut self, action: ActIx, node: Option<NodeIx>) -> u32 {
        let Some(rsc) = self.actions[action].rsc else { return self.actions[action].flags };
        match self.rscs[rsc].variant {
            Variant::Primitive => self.actions[action].flags,
            Variant::Group => self.group_flags(action, rsc, node),
            Variant::Clone => {
                let children = self.rscs[rsc].children.clone();
                self.collective_flags(action, rsc, &children, node)
            }
            Variant::Bundle => self.bundle_flags(action, rsc, node),
        }
    }

    fn bundle_flags(&mut self, action: ActIx, bundle: RscIx, node: Option<NodeIx>) -> u32 {
        if let Some(child) = self.bundle_of(bundle).and_then(|b| b.child) {
            let of_child = match &*self.actions[action].task {
                "notify" | "notified" | "promote" | "promoted" | "demote" | "demoted" => true,
                task => !super::is_known_task(task),
            };
            if of_child {
                let children = self.rscs[child].children.clone();
                return self.collective_flags(action, bundle, &children, node);
            }
        }
        let containers = self.containers(bundle);
        self.collective_flags(action, bundle, &containers, node)
    }

    fn group_flags(&mut self, action: ActIx, group: RscIx, node: Option<NodeIx>) -> u32 {
        let mut flags = ALL;
        let task = self.actions[action].task.clone();
        for member in self.rscs[group].children.clone() {
            let primitive = self.rscs[member].variant == Variant::Primitive;
            let part = part_task(&task, primitive);
            match self.first_action(member, part, node) {
                Some(own) => {
                    let own_flags = self.action_flags(own, node);
                    if flags & af::OPTIONAL != 0 && own_flags & af::OPTIONAL == 0 {
                        flags &= !af::OPTIONAL;
                        self.actions[action].flags &= !af::OPTIONAL;
                    }
                    if part != &*task && flags & af::RUNNABLE != 0 && own_flags & af::RUNNABLE == 0 {
                        flags &= !af::RUNNABLE;
                        self.actions[action].flags &= !af::RUNNABLE;
                    }
                }
                None if part != "stop" && part != "demote" => flags &= !af::RUNNABLE,
                None => {}
            }
        }
        flags
    }

    /// Task of the instances' actions that a collective's action stands for.
    pub(super) fn instance_task(&self, action: ActIx) -> String {
        let a = &self.actions[action];
        let first = a.rsc.and_then(|r| self.rscs[r].children.first().copied());
        let primitive = first.is_some_and(|c| self.rscs[c].variant == Variant::Primitive);
        let mut task: &str = &a.task;
        if matches!(task, "notify" | "notified") {
            let part = parse_op_key(&a.key).and_then(|(_, task, _)| task.split_once("_notify_"));
            match part {
                Some((_, of)) => task = of,
                None => return "no_action".to_string(),
            }
        }
        part_task(task, primitive).to_string()
    }

    fn collective_flags(
        &mut self,
        action: ActIx,
        rsc: RscIx,
        instances: &[RscIx],
        node: Option<NodeIx>,
    ) -> u32 {
        debug_assert_eq!(self.actions[action].rsc, Some(rsc));
        let task = self.instance_task(action);
        let (mut flags, mut any_runnable) = (ALL, false);
        for instance in instances {
            let on = node.filter(|_| self.rscs[*instance].variant == Variant::Primitive);
            let Some(own) = self.first_action(*instance, &task, on) else { continue };
            let own_flags = self.action_flags(own, node);
            if flags & af::OPTIONAL != 0 && own_flags & af::OPTIONAL == 0 {
                flags &= !af::OPTIONAL;
                self.actions[action].flags &= !af::OPTIONAL;
            }
            any_runnable |= own_flags & af::RUNNABLE != 0;
        }
        if !any_runnable {
            flags &= !af::RUNNABLE;
            if node.is_none() {
                self.actions[action].flags &= !af::RUNNABLE;
            }
        }
        flags
    }
}
