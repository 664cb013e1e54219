//! Carrying out a transition graph: which actions may run now, and when it is over.

use std::collections::{BTreeMap, BTreeSet};

use xml::{Document, Element};

/// Added to each action's own time-out when the graph names no `cluster-delay`, in ms.
const DEFAULT_CLUSTER_DELAY_MS: u64 = 60_000;

/// How an action is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing to do: a point in the order.
    Pseudo,
    /// An operation on a resource.
    Resource,
    /// Something for a controller: fencing, shutdown, clearing fail counts.
    Controller,
}

#[derive(Debug)]
pub(crate) struct Action {
    pub id: i32,
    pub kind: Kind,
    /// The element as the scheduler wrote it.
    pub xml: Document,
    pub operation: String,
    pub node: String,
    pub target_rc: i32,
    pub timeout_ms: u64,
    deadline_ms: Option<u64>,
    fired: bool,
    confirmed: bool,
    failed: bool,
}

impl Action {
    fn is_probe(&self) -> bool {
        let meta = self.xml.root_element().child("attributes");
        let interval = meta.and_then(|meta| meta.attr("CRM_meta_interval")).unwrap_or("0");
        self.kind == Kind::Resource && self.operation == "monitor" && interval == "0"
    }

    fn read(element: Element<'_>) -> Option<Action> {
        let kind = match element.name() {
            "pseudo_event" => Kind::Pseudo,
            "rsc_op" => Kind::Resource,
            "crm_event" => Kind::Controller,
            _ => return None,
        };
        let meta = element.child("attributes");
        let value = |name: &str| meta.and_then(|meta| meta.attr(name));
        Some(Action {
            id: element.attr("id")?.parse().ok()?,
            kind,
            xml: element.document().extract(element.id()),
            operation: element.attr("operation")?.to_string(),
            node: element.attr("on_node").unwrap_or("").to_string(),
            target_rc: value("CRM_meta_op_target_rc").and_then(|text| text.parse().ok()).unwrap_or(0),
            timeout_ms: value("CRM_meta_timeout").and_then(|text| text.parse().ok()).unwrap_or(0),
            deadline_ms: None,
            fired: false,
            confirmed: false,
            failed: false,
        })
    }
}

#[derive(Debug)]
struct Synapse {
    action: i32,
    inputs: BTreeSet<i32>,
}

/// A transition on its way.
#[derive(Debug)]
pub(crate) struct Graph {
    pub id: i32,
    actions: BTreeMap<i32, Action>,
    synapses: Vec<Synapse>,
    cluster_delay_ms: u64,
    batch_limit: usize,
    /// Why no further action is started.
    pub aborted: Option<String>,
}

impl Graph {
    /// Reads `<transition_graph>`; synapses that cannot be read are left out.
    pub fn read(graph: &Document, id: i32) -> Graph {
        let root = graph.root_element();
        let delay = root.attr("cluster-delay").and_then(base::parse_interval_ms);
        let mut read = Graph {
            id,
            actions: BTreeMap::new(),
            synapses: Vec::new(),
            cluster_delay_ms: delay.unwrap_or(DEFAULT_CLUSTER_DELAY_MS),
            batch_limit: root.attr("batch-limit").and_then(|text| text.parse().ok()).unwrap_or(0),
            aborted: None,
        };
        for synapse in root.children_named("synapse") {
            let element = synapse.child("action_set").and_then(|set| set.children().next());
            let Some(action) = element.and_then(Action::read) else { continue };
            let triggers = synapse.child("inputs").into_iter().flat_map(|inputs| inputs.children());
            let ids = triggers.filter_map(|trigger| trigger.children().next()?.attr("id")?.parse().ok());
            read.synapses.push(Synapse { action: action.id, inputs: ids.collect() });
            read.actions.insert(action.id, action);
        }
        read.shut_down_after_probes();
        read
    }

    /// A node may go only when its probes are in: what they find runs there and must be stopped first. The
    /// scheduler orders a shutdown after the stops that it knows of, and a probe means that it does not know.
    fn shut_down_after_probes(&mut self) {
        for synapse in &mut self.synapses {
            let Some(node) = self.actions.get(&synapse.action).filter(|a| a.operation == "do_shutdown")
            else {
                continue;
            };
            let node = node.node.clone();
            let probes = self.actions.values().filter(|a| a.is_probe() && a.node == node);
            synapse.inputs.extend(probes.map(|a| a.id));
        }
    }

    pub fn len(&self) -> usize {
        self.actions.len()
    }

    /// Marks the actions that may start now as fired and gives their ids, in order.
    pub fn fire(&mut self, now_ms: u64) -> Vec<i32> {
        if self.aborted.is_some() {
            return Vec::new();
        }
        let mut running = self.running().count();
        let mut fired = Vec::new();
        for synapse in &self.synapses {
            if self.batch_limit > 0 && running >= self.batch_limit {
                break;
            }
            let ready = synapse.inputs.iter().all(|id| match self.actions.get(id) {
                Some(input) => input.confirmed && !input.failed,
                None => true,
            });
            let Some(action) = self.actions.get_mut(&synapse.action).filter(|action| ready && !action.fired)
            else {
                continue;
            };
            action.fired = true;
            action.deadline_ms =
                Some(now_ms.saturating_add(action.timeout_ms).saturating_add(self.cluster_delay_ms));
            running += usize::from(action.kind != Kind::Pseudo);
            fired.push(action.id);
        }
        fired
    }

    pub fn action(&self, id: i32) -> Option<&Action> {
        self.actions.get(&id)
    }

    /// Takes note of an action's end. `false` when it was not running.
    pub fn confirm(&mut self, id: i32, failed: bool) -> bool {
        match self.actions.get_mut(&id).filter(|action| action.fired && !action.confirmed) {
            Some(action) => {
                action.confirmed = true;
                action.failed = failed;
                true
            }
            None => false,
        }
    }

    /// Actions that have been started and have not ended.
    pub fn running(&self) -> impl Iterator<Item = &Action> {
        self.actions.values().filter(|action| action.fired && !action.confirmed)
    }

    pub fn abort(&mut self, reason: &str) {
        self.aborted.get_or_insert_with(|| reason.to_string());
    }

    /// Nothing runs, and nothing more will start.
    pub fn is_over(&self) -> bool {
        self.running().next().is_none() && (self.aborted.is_some() || !self.has_ready())
    }

    fn has_ready(&self) -> bool {
        self.synapses.iter().any(|synapse| {
            let confirmed =
                |id: &i32| self.actions.get(id).is_none_or(|input| input.confirmed && !input.failed);
            self.actions.get(&synapse.action).is_some_and(|action| !action.fired)
                && synapse.inputs.iter().all(confirmed)
        })
    }

    /// Whether every action has been carried out.
    pub fn is_complete(&self) -> bool {
        self.actions.values().all(|action| action.confirmed && !action.failed)
    }

    pub fn deadline_ms(&self) -> Option<u64> {
        self.running().filter_map(|action| action.deadline_ms).min()
    }

    /// Actions that nobody reported on in time: they count as failed from now on.
    pub fn expire(&mut self, now_ms: u64) -> Vec<i32> {
        let late: Vec<i32> = self
            .running()
            .filter(|action| action.deadline_ms.is_some_and(|at| at <= now_ms))
            .map(|a| a.id)
            .collect();
        for id in &late {
            self.confirm(*id, true);
        }
        late
    }

    /// Running actions on a node that is gone: they cannot end any more.
    pub fn fail_node(&mut self, node: &str) -> Vec<i32> {
        let lost: Vec<i32> =
            self.running().filter(|action| action.node == node).map(|action| action.id).collect();
        for id in &lost {
            self.confirm(*id, true);
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_goes_after_its_probes() {
        let text = "<transition_graph>\
            <synapse id='0'><action_set><crm_event id='1' operation='do_shutdown' on_node='n1'/></action_set>\
            <inputs/></synapse>\
            <synapse id='1'><action_set><rsc_op id='2' operation='monitor' on_node='n1'/></action_set>\
            <inputs/></synapse>\
            <synapse id='2'><action_set><rsc_op id='3' operation='monitor' on_node='n2'/></action_set>\
            <inputs/></synapse></transition_graph>";
        let mut graph = Graph::read(&Document::parse(text).unwrap(), 1);
        assert_eq!(graph.fire(0), [2, 3]);
        graph.confirm(2, false);
        assert_eq!(graph.fire(0), [1]);
    }

    fn graph() -> Graph {
        let op = |id: i32, name: &str, node: &str| {
            format!(
                "<rsc_op id='{id}' operation='{name}' on_node='{node}'><attributes CRM_meta_timeout='20000'/></rsc_op>"
            )
        };
        let synapse = |id: i32, action: String, inputs: &[i32]| {
            let inputs: String =
                inputs.iter().map(|i| format!("<trigger><rsc_op id='{i}'/></trigger>")).collect();
            format!("<synapse id='{id}'><action_set>{action}</action_set><inputs>{inputs}</inputs></synapse>")
        };
        let text = format!(
            "<transition_graph cluster-delay='60s' batch-limit='0'>{}{}{}</transition_graph>",
            synapse(0, op(1, "stop", "n1"), &[]),
            synapse(1, op(2, "start", "n2"), &[1]),
            synapse(2, "<pseudo_event id='3' operation='all'/>".to_string(), &[1, 2]),
        );
        Graph::read(&Document::parse(&text).unwrap(), 7)
    }

    #[test]
    fn actions_wait_for_their_inputs() {
        let mut graph = graph();
        assert_eq!(graph.fire(0), [1]);
        assert_eq!(graph.fire(0), Vec::<i32>::new());
        assert!(graph.confirm(1, false));
        assert!(!graph.confirm(1, false));
        assert_eq!(graph.fire(5), [2]);
        assert!(!graph.is_over());
        graph.confirm(2, false);
        assert_eq!(graph.fire(6), [3]);
        graph.confirm(3, false);
        assert!(graph.is_over() && graph.is_complete());
    }

    #[test]
    fn failure_blocks_what_depends_on_it() {
        let mut graph = graph();
        graph.fire(0);
        graph.confirm(1, true);
        assert_eq!(graph.fire(1), Vec::<i32>::new());
        assert!(graph.is_over() && !graph.is_complete());
    }

    #[test]
    fn an_aborted_graph_waits_for_what_runs() {
        let mut graph = graph();
        graph.fire(0);
        graph.abort("configuration change");
        assert!(!graph.is_over());
        graph.confirm(1, false);
        assert!(graph.is_over());
        assert_eq!(graph.fire(1), Vec::<i32>::new());
    }

    #[test]
    fn silence_is_failure_in_the_end() {
        let mut graph = graph();
        graph.fire(0);
        assert_eq!(graph.deadline_ms(), Some(80_000));
        assert!(graph.expire(79_999).is_empty());
        assert_eq!(graph.expire(80_000), [1]);
        let mut other = self::graph();
        other.fire(0);
        assert_eq!(other.fail_node("n1"), [1]);
    }
}
