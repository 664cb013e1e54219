//! What the statistics map shows, and its clearing.

use engine::{Client, Counters as Kind};
use totem::Instant;

use super::Daemon;
use crate::stats;

impl Daemon {
    /// Fills the statistics map for a client that is about to look.
    pub(super) fn refresh_stats(&mut self, now: Instant) {
        self.counters.connections = u64::try_from(self.servers.connections()).unwrap_or(u64::MAX);
        self.counters.send_failures = self.transport.send_failures();
        let mut values = stats::collect(&self.ring, self.counters, now);
        self.transport.add_stats(&mut values, now);
        self.misses.add(&mut values);
        for (client, pid, counters) in self.servers.stats() {
            let name = self.clients.get(&client).map_or("", String::as_str);
            stats::add_connection(&mut values, client, pid, name, &counters);
        }
        self.engine.set_stats(values);
    }

    /// The name of the process while it is there for certain.
    pub(super) fn remember_client(&mut self, client: Client) {
        let found = self.servers.stats().find(|(other, ..)| *other == client);
        let Some((_, pid, _)) = found else { return };
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        self.clients.insert(client, name.trim_end().to_owned());
    }

    pub(super) fn clear_stats(&mut self, what: Kind) {
        if what.has(Kind::Links) {
            self.transport.clear_stats();
        }
        if what.has(Kind::Clients) {
            self.counters.closed = 0;
            self.servers.clear_stats();
        }
        if what.has(Kind::Ring) {
            self.ring.clear_stats();
        }
        if what.has(Kind::Pauses) {
            self.misses.clear();
        }
    }
}
