//! What is known of the other controllers.

use std::collections::BTreeMap;

/// How far a node has come in joining the DC's cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Join {
    #[default]
    None,
    Offered,
    Requested,
    Acknowledged,
    Confirmed,
}

impl Join {
    /// The value of `join` in `<node_state>`.
    pub fn state_text(self) -> &'static str {
        match self {
            Join::None | Join::Offered => "down",
            Join::Requested | Join::Acknowledged => "pending",
            Join::Confirmed => "member",
        }
    }
}

/// One node.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    pub id: u32,
    pub name: String,
    /// In the engine's membership.
    pub is_member: bool,
    /// Its controller is in our process group.
    pub is_running: bool,
    pub join: Join,
    /// It has asked to leave.
    pub is_leaving: bool,
    /// Its controller ended without a word while the node stayed: until then it may come back.
    pub returns_by_ms: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Peers(pub BTreeMap<u32, Peer>);

impl Peers {
    pub fn entry(&mut self, id: u32) -> &mut Peer {
        self.0.entry(id).or_insert_with(|| Peer { id, ..Peer::default() })
    }

    pub fn by_name(&self, name: &str) -> Option<&Peer> {
        self.0.values().find(|peer| peer.name == name)
    }

    pub fn by_name_mut(&mut self, name: &str) -> Option<&mut Peer> {
        self.0.values_mut().find(|peer| peer.name == name)
    }

    /// When the first of those that may come back is given up.
    pub fn next_return_ms(&self) -> Option<u64> {
        self.0.values().filter_map(|peer| peer.returns_by_ms).min()
    }

    /// Forgets those that should have come back by now; gives their names.
    pub fn give_up_returns(&mut self, now_ms: u64) -> Vec<String> {
        let late = self.0.values_mut().filter(|peer| peer.returns_by_ms.is_some_and(|at| at <= now_ms));
        late.map(|peer| {
            peer.returns_by_ms = None;
            peer.name.clone()
        })
        .collect()
    }

    /// Nodes whose controllers take part, in order of their ids.
    pub fn running(&self) -> impl Iterator<Item = &Peer> {
        self.0.values().filter(|peer| peer.is_running)
    }
}
