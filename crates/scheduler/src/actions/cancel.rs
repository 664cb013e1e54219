//! Cancellation of recurring operations.

use crate::cluster::Cluster;
use crate::model::*;
use crate::text::{Str, op_key};

impl Cluster {
    pub(crate) fn cancel_action(
        &mut self,
        rsc: RscIx,
        task: &str,
        interval: u32,
        node: Option<NodeIx>,
    ) -> ActIx {
        let key = op_key(&self.rscs[rsc].id, task, interval);
        let cancel = self.custom_action(Some(rsc), key, Str::lit("cancel"), node, false);
        let action = self.actions[cancel].op_mut();
        action.task = Str::lit("cancel");
        action.cancel_task = Some(task.into());
        action.meta.set(Str::lit("operation"), task);
        action.meta.set(Str::lit("interval"), interval.to_string());
        cancel
    }

    pub(crate) fn schedule_cancel(
        &mut self,
        rsc: RscIx,
        call_id: Option<&str>,
        task: &str,
        interval: u32,
        node: NodeIx,
    ) {
        let cancel = self.cancel_action(rsc, task, interval, Some(node));
        if let Some(call_id) = call_id {
            self.actions[cancel].op_mut().meta.set(Str::lit("call-id"), call_id);
        }
        let stop = op_key(&self.rscs[rsc].id, "stop", 0);
        self.new_ordering((Some(rsc), Some(stop), None), (Some(rsc), None, Some(cancel)), ar::ORDERED);
    }

    pub(crate) fn reschedule_recurring(&mut self, rsc: RscIx, task: &str, interval: u32, node: NodeIx) {
        self.trigger_unfencing(Some(rsc), Some(node), "Device parameters changed (reschedule)", None);
        let key = op_key(&self.rscs[rsc].id, task, interval);
        let op = self.custom_action(Some(rsc), key, task.into(), Some(node), true);
        self.actions[op].flags |= af::RESCHEDULE;
    }
}
