//! Synchronisation of the services after each change of the membership: all nodes agree on the list
//! of services, then for each service everybody sends its state and a barrier.

use std::collections::{BTreeMap, BTreeSet};

use totem::RingId;

use crate::output::Service;
use crate::wire::{Msg, View, length};

const BARRIER: u32 = 0;
const SERVICE_BUILD: u32 = 1;
const SERVICE_BUILD_SIZE: usize = 552;
const BARRIER_SIZE: usize = 32;
/// Services that one message can list.
const SERVICES_MAX: u32 = 128;

/// What the engine has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send the state of this service, then call [`Sync::barrier_message`]. None: not ours.
    Send(Option<Service>),
    /// Everybody's state of this service is here.
    Activate(Option<Service>),
    /// All services are done.
    Complete,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    Building,
    Barrier,
}

/// Progress of one synchronisation.
#[derive(Debug, Default)]
pub(crate) struct Sync {
    phase: Phase,
    ring: RingId,
    waiting_for: BTreeSet<u32>,
    members: Vec<u32>,
    /// Members that come with us from the last configuration that was synchronised.
    trans: BTreeSet<u32>,
    unfinished: bool,
    services: BTreeMap<u32, Option<Service>>,
}

impl Sync {
    /// The transitional configuration. Whoever is missing from one since the last completed
    /// synchronisation counts as gone, even if it has come back in between; but nobody leaves himself,
    /// although the very first transitional configuration has no member at all.
    pub(crate) fn save_transitional(&mut self, me: u32, members: &[u32]) {
        let members: BTreeSet<u32> = members.iter().copied().collect();
        self.trans = if self.unfinished {
            self.trans.intersection(&members).copied().chain([me]).collect()
        } else {
            members
        };
        self.unfinished = true;
        self.phase = Phase::Idle;
    }

    /// Starts for a new configuration; returns the message to send.
    pub(crate) fn start(&mut self, members: &[u32], ring: RingId) -> Vec<u8> {
        self.ring = ring;
        self.members = members.to_vec();
        self.waiting_for = members.iter().copied().collect();
        self.services = Service::ALL
            .into_iter()
            .filter(|service| *service != Service::Cfg)
            .map(|service| (service as u32, Some(service)))
            .collect();
        self.phase = Phase::Building;
        let ids: Vec<u32> = self.services.keys().copied().collect();
        self.ring_header(SERVICE_BUILD, SERVICE_BUILD_SIZE).u32(32, length(ids.len())).ids(40, &ids).done()
    }

    /// Members of the new configuration that were in the old one.
    pub(crate) fn trans(&self) -> Vec<u32> {
        self.members.iter().copied().filter(|id| self.trans.contains(id)).collect()
    }

    pub(crate) fn ring(&self) -> RingId {
        self.ring
    }

    pub(crate) fn is_running(&self) -> bool {
        self.unfinished
    }

    fn ring_header(&self, id: u32, size: usize) -> Msg {
        // The ring id is packed here: u32 and u64 without a hole.
        Msg::request(id, size).u32(16, self.ring.rep).u64(20, self.ring.seq)
    }

    pub(crate) fn barrier_message(&self) -> Vec<u8> {
        self.ring_header(BARRIER, BARRIER_SIZE).done()
    }

    /// A message of the group `sync`; the steps are to be done in order.
    pub(crate) fn deliver(&mut self, sender: u32, m: View<'_>) -> Vec<Step> {
        self.try_deliver(sender, m).unwrap_or_default()
    }

    fn try_deliver(&mut self, sender: u32, m: View<'_>) -> Option<Vec<Step>> {
        let ring = RingId { rep: m.u32(16)?, seq: m.u64(20)? };
        if ring != self.ring {
            return None;
        }
        match (m.u32(0)?, self.phase) {
            (SERVICE_BUILD, Phase::Building) => {
                let count = m.u32(32)?.min(SERVICES_MAX);
                for index in 0..count {
                    let id = m.u32(40 + 4 * usize::try_from(index).ok()?)?;
                    self.services.entry(id).or_insert(None);
                }
                self.waiting_for.remove(&sender);
                Some(if self.waiting_for.is_empty() { self.next_service() } else { Vec::new() })
            }
            (BARRIER, Phase::Barrier) => {
                self.waiting_for.remove(&sender);
                if !self.waiting_for.is_empty() {
                    return Some(Vec::new());
                }
                let (_, done) = self.services.pop_first()?;
                let mut steps = vec![Step::Activate(done)];
                steps.extend(self.next_service());
                Some(steps)
            }
            _ => None,
        }
    }

    fn next_service(&mut self) -> Vec<Step> {
        match self.services.first_key_value() {
            Some((_, service)) => {
                self.phase = Phase::Barrier;
                self.waiting_for = self.members.iter().copied().collect();
                vec![Step::Send(*service)]
            }
            None => {
                self.phase = Phase::Idle;
                self.unfinished = false;
                vec![Step::Complete]
            }
        }
    }
}
