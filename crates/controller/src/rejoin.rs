//! The CIB was replaced beneath the cluster: everybody says again what it knows.

use crate::core::{Controller, Env, Role};
use crate::peers::Join;

impl Controller {
    /// Another copy of the CIB, with a status section of its own, has taken the place of ours: a newer one of a node
    /// that joins, or what an administrator put there. To be called before [`Controller::handle_cib_change`].
    ///
    /// What that copy says of our nodes is old or missing. A decision on it would start what runs already, so the DC
    /// decides nothing until all have confirmed what runs on them (the reference: `do_cib_replaced`).
    pub fn handle_cib_replaced(&mut self, env: &Env<'_>) {
        if self.role != Role::Leader {
            return;
        }
        self.log("The CIB was replaced: asking all nodes what runs on them");
        self.lay_claim(env);
        self.forget_attributes_of_absent(env);
        // Who is still joining has not confirmed yet and will do so on top of the new copy.
        let confirmed: Vec<u32> =
            self.peers.running().filter(|peer| peer.join == Join::Confirmed).map(|peer| peer.id).collect();
        for id in confirmed {
            self.offer(env, id);
        }
        self.request_decision("the CIB was replaced");
    }
}
