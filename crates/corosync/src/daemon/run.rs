//! Turns of the loop.

use std::time::Duration;

use engine::{Map, Output, Service};
use sys::Ready;
use totem::{Instant, Level, SendError};

use super::start::{TOKEN_RELOAD, TOKEN_RING, TOKEN_SERVERS, TOKEN_SIGNALS, read_config, settings_of};
use super::{Daemon, Exit, Reread, now};
use crate::ipc::ClientEvent;
use crate::log::LogConfig;
use crate::settings::{Settings, Transport};

/// The loop looks at the clock at least this often.
const WAIT_MAX: Duration = Duration::from_secs(1);
const NANOS_PER_MS: u64 = 1_000_000;
/// How long the last messages of a leaving daemon may take.
const LEAVE_LIMIT: Duration = Duration::from_millis(500);
/// A configuration that is read within this time is taken over at once: other nodes use new keys right away.
const RELOAD_PATIENCE: Duration = Duration::from_millis(10);
/// Clients that are polled are looked at this often at least.
const POLL_EVERY: Duration = Duration::from_millis(1);
/// What a client that reads may have unread before the token waits for it: what comes next would only lie behind
/// that. How often it is looked at then.
const UNREAD_MAX: usize = 256 * 1024;
const UNREAD_EVERY: Duration = Duration::from_micros(100);
/// Use of the send queue above which clients wait, and below which they go on, in percent.
const QUEUE_HIGH_PERCENT: usize = 70;
const QUEUE_LOW_PERCENT: usize = 30;

impl Daemon {
    /// Runs until somebody ends it.
    pub fn run(mut self) -> i32 {
        let mut ready = Vec::new();
        self.settle(now());
        while self.exit.is_none() {
            let timeout = self.next_timeout();
            if self.poller.wait(&mut ready, Some(timeout)).is_err() {
                self.exit = Some(Exit::Fatal);
                break;
            }
            self.turn(&ready);
        }
        self.say_goodbye()
    }

    fn next_timeout(&self) -> Duration {
        let deadlines = [
            self.ring.poll_timeout(),
            self.engine.poll_timeout(),
            self.transport.next_deadline(),
            self.leave_deadline(),
            (!self.late_tokens.is_empty()).then(|| now().after(UNREAD_EVERY)),
        ];
        let next = deadlines.into_iter().flatten().chain(self.poll_deadline()).min();
        next.map_or(WAIT_MAX, |at| at.since(now()).min(WAIT_MAX))
    }

    fn leave_deadline(&self) -> Option<Instant> {
        self.leaving_since.map(|since| since.after(LEAVE_LIMIT))
    }

    fn poll_deadline(&self) -> Option<Instant> {
        self.servers.is_polling().then(|| self.polled_at.after(POLL_EVERY))
    }

    fn turn(&mut self, ready: &[Ready]) {
        let now = now();
        let pause = self.ring.handle_wakeup(now);
        if let Some(pause) = pause {
            self.misses.note(sys::clock::realtime_ns() / NANOS_PER_MS, pause);
        }
        let paused = pause.is_some();
        // What clients have to say now goes with the token that may be here now.
        self.serve_all(now, ready);
        if paused || ready.iter().any(|event| event.token == TOKEN_RING) {
            self.receive(now, paused);
        }
        self.use_late_tokens(now);
        if self.transport.next_deadline().is_some_and(|at| at <= now) {
            for node in self.transport.handle_timeout(now) {
                self.ring.peer_unreachable(now, node);
            }
        }
        if self.ring.poll_timeout().is_some_and(|at| at <= now) {
            self.ring.handle_timeout(now);
        }
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
        }
        self.settle(now);
        if self.poll_deadline().is_some_and(|at| at <= now) {
            self.poll_clients(now);
        }
        self.settle(now);
        if self.ring.poll_timeout().is_some_and(|at| at <= now) {
            // What the clients had to say lets a held token go.
            self.ring.handle_timeout(now);
            self.settle(now);
        }
        self.watch_queue(now);
        self.servers.wake_clients();
        self.finish_leaving(now);
    }

    fn serve_all(&mut self, now: Instant, ready: &[Ready]) {
        for event in ready {
            match event.token {
                TOKEN_SIGNALS => self.take_signals(now),
                TOKEN_RING => {}
                TOKEN_RELOAD => self.finish_reload(),
                token => {
                    let index = usize::try_from(token.saturating_sub(TOKEN_SERVERS)).unwrap_or(usize::MAX);
                    self.serve(now, index);
                }
            }
        }
    }

    fn receive(&mut self, now: Instant, everything: bool) {
        let received = self.transport.receive(now, everything);
        for packet in received.packets {
            if totem::wire::is_token(&packet) {
                if self.late_tokens.is_empty() {
                    self.late_since = now;
                }
                self.late_tokens.push(packet);
                continue;
            }
            self.ring.handle_packet(now, &packet);
            self.settle(now);
        }
        self.servers.wake_clients();
        for node in received.unreachable {
            self.ring.peer_unreachable(now, node);
        }
        if received.has_new_way {
            self.ring.peer_reachable(now);
        }
    }

    /// Hands the token to the ring, at once or when the clients have read most of what they have got.
    fn use_late_tokens(&mut self, now: Instant) {
        if self.late_tokens.is_empty() {
            return;
        }
        self.servers.wake_clients();
        let is_over = now >= self.late_since.after(self.ring.spare_time());
        if !is_over && self.servers.unread() > UNREAD_MAX {
            return;
        }
        for packet in core::mem::take(&mut self.late_tokens) {
            // The messages are on their way to sleeping clients while the token is dealt with.
            self.servers.wake_clients();
            self.poll_clients(now);
            self.ring.handle_packet(now, &packet);
            self.settle(now);
        }
        self.servers.wake_clients();
    }

    /// Moves everything between the cores until they are quiet. Each event of the ring is handled
    /// once and no answer to it makes another before the token comes round, so this ends; and the
    /// ring must not see its next packet before.
    fn settle(&mut self, now: Instant) {
        loop {
            let mut moved = self.take_outputs(now);
            if let Some(event) = self.ring.poll_event() {
                self.engine.handle_event(now, event);
                moved = true;
            }
            self.send_waiting(now);
            if let Some(seq) = self.ring.poll_persist() {
                self.store_ring_seq(seq);
            }
            while let Some(transmit) = self.ring.poll_transmit() {
                self.transport.send(now, &transmit, self.ring.ring_members());
            }
            self.transport.flush(now);
            while let Some(note) = self.ring.poll_note() {
                self.logger.line(note.level, "TOTEM", note.text);
            }
            while let Some(note) = self.transport.poll_note() {
                self.logger.line(note.level, "KNET", note.text);
            }
            if !moved {
                break;
            }
        }
    }

    fn store_ring_seq(&mut self, seq: u64) {
        if let Err(error) = self.state.store_ring_seq(seq) {
            let text = format!("Couldn't store new ring id {seq:x} to stable storage: {error}");
            self.logger.line(Level::Error, "MAIN", text);
            self.exit = Some(Exit::StoreRingId);
        }
    }

    fn take_outputs(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(output) = self.engine.poll_output() {
            moved = true;
            match output {
                Output::Multicast { group, message } => self.waiting.push_back((group, message)),
                Output::Respond { client, bytes } => self.servers.respond(client, &bytes),
                Output::Event { client, message } => self.servers.event(client, &message),
                Output::Synchronised(ring) => {
                    // Everything that belongs to the synchronisation must be queued before.
                    self.send_waiting(now);
                    self.ring.synchronised(ring);
                }
                Output::Flow { stop } => {
                    self.flow_stopped = stop;
                    self.update_flow();
                }
                Output::Log { level, subsystem, text } => self.logger.line(level, subsystem, text),
                Output::Shutdown => self.begin_leaving(now),
                Output::Kill => self.exit = Some(Exit::Fatal),
                Output::Reload => self.reload(),
                Output::ActivateKey => self.transport.activate_key(now),
                Output::ForgetOldKey => self.transport.forget_old_key(),
                Output::ReopenLogs => self.logger.reopen(),
                Output::ClearStats(what) => self.clear_stats(what),
                Output::AccessChanged => self.servers.refresh_access(self.engine.map()),
                Output::LoggingChanged => {
                    let config = LogConfig::from_map(self.engine.map(), self.options.foreground);
                    self.logger.configure(config);
                }
                Output::StoreEvTracking(barrier) => {
                    if let Err(error) = self.state.store_ev_tracking(barrier) {
                        let text = format!("Unable to update ev_tracking_barrier on disk data!!! ({error})");
                        self.logger.line(Level::Warning, "VOTEQ", text);
                    }
                }
            }
        }
        moved
    }

    fn send_waiting(&mut self, now: Instant) {
        while let Some((group, message)) = self.waiting.front() {
            match self.ring.send(now, group, &message.parts()) {
                Ok(()) => {
                    if *group == b"a" {
                        self.engine.count_sent(message);
                    }
                }
                Err(SendError::Full) => break,
                Err(error @ SendError::TooBig) => {
                    self.logger.line(Level::Error, "TOTEM", format!("A message was not sent: {error}"));
                }
            }
            self.waiting.pop_front();
        }
    }

    /// Clients wait while the send queue is long, and while one of them cannot keep up with reading.
    fn watch_queue(&mut self, now: Instant) {
        let lagging = self.servers.is_lagging();
        if lagging != self.lagging {
            self.lagging = lagging;
            self.update_flow();
        }
        let used = self.ring.queue_used_percent();
        let backlogged = if self.backlogged {
            used > QUEUE_LOW_PERCENT || !self.waiting.is_empty()
        } else {
            used > QUEUE_HIGH_PERCENT || !self.waiting.is_empty()
        };
        if backlogged != self.backlogged {
            self.backlogged = backlogged;
            self.engine.set_backlogged(now, backlogged);
            self.update_flow();
            self.settle(now);
        }
    }

    fn update_flow(&mut self) {
        self.servers.set_flow(self.flow_stopped || self.backlogged || self.lagging);
    }

    /// Takes as many requests of polled clients as one visit of the token may send.
    fn poll_clients(&mut self, now: Instant) {
        self.polled_at = now;
        while self.servers.is_polling() && self.ring.wants_more() {
            let events = self.servers.poll_requests();
            if events.is_empty() {
                break;
            }
            self.take_client_events(now, events);
        }
    }

    fn serve(&mut self, now: Instant, index: usize) {
        let events = self.servers.dispatch(index, self.ring.is_rotating());
        self.take_client_events(now, events);
    }

    fn take_client_events(&mut self, now: Instant, events: Vec<ClientEvent>) {
        for event in events {
            match event {
                ClientEvent::Connected(client) => {
                    self.remember_client(client);
                    self.engine.handle_connect(client);
                    if self.flow_stopped || self.backlogged || self.lagging {
                        self.update_flow();
                    }
                }
                ClientEvent::Request(client, bytes) => {
                    if self.engine.wants_stats(client) {
                        self.refresh_stats(now);
                    }
                    if client.service == Service::Cfg {
                        self.engine.set_links(self.transport.links(&self.settings, now));
                    }
                    self.engine.handle_request(now, client, &bytes);
                }
                ClientEvent::Disconnected(client) => {
                    self.counters.closed += 1;
                    self.clients.remove(&client);
                    self.engine.handle_disconnect(now, client);
                }
            }
        }
        self.settle(now);
    }

    // ---- reload

    /// Reads the configuration again, in a thread in case that it takes long. A second request meanwhile is answered
    /// by the same reading.
    fn reload(&mut self) {
        let (path, sender) = (self.config_file.clone(), self.reloader.sender.clone());
        let wake = std::sync::Arc::clone(&self.reloader.wake);
        let work = move || {
            let outcome =
                read_config(&path).and_then(|map| settings_of(&map).map(|(settings, _)| (map, settings)));
            let _ = sender.try_send(outcome);
            wake.notify();
        };
        if let Err(error) = std::thread::Builder::new().name("reload".to_owned()).spawn(work) {
            self.engine.apply_reload(Err(format!("cannot start a thread: {error}")));
        } else if let Ok(outcome) = self.reloader.receiver.recv_timeout(RELOAD_PATIENCE) {
            self.take_reread(outcome);
        }
    }

    fn finish_reload(&mut self) {
        self.reloader.wake.clear();
        while let Ok(outcome) = self.reloader.receiver.try_recv() {
            self.take_reread(outcome);
        }
    }

    fn take_reread(&mut self, outcome: Reread) {
        match outcome {
            Ok((map, settings)) => self.take_over(map, settings, now()),
            Err(error) => self.engine.apply_reload(Err(error.to_string())),
        }
    }

    fn take_over(&mut self, mut map: Map, settings: Settings, now: Instant) {
        if let Some(problem) = self.settings.forbids(&settings) {
            self.engine.apply_reload(Err(problem));
            return;
        }
        settings.publish(&mut map);
        let changed = self.transport.reconfigure(&settings, now);
        if let Err(error) = &changed {
            self.logger.line(Level::Error, "TOTEM", error.to_string());
        }
        self.ring.set_timing(settings.timing.clone());
        self.ring.set_known_nodes(settings.known_nodes());
        // Identity and kind of transport stay what they were at the start.
        self.settings.nodes = settings.nodes;
        self.settings.timing = settings.timing;
        if let (Transport::Knet(_), Transport::Knet(_)) = (&self.settings.transport, &settings.transport) {
            self.settings.transport = settings.transport;
        }
        self.engine.apply_reload(Ok((map, self.transport.links(&self.settings, now))));
        if matches!(changed, Ok(true)) {
            self.engine.begin_crypto_change();
        }
    }

    // ---- the end

    fn take_signals(&mut self, now: Instant) {
        while let Some(signal) = self.signals.next_signal() {
            match signal {
                sys::signal::SIGHUP => self.logger.reopen(),
                sys::signal::SIGUSR2 => {}
                _ => {
                    self.logger.line(Level::Notice, "MAIN", "Node was shut down by a signal");
                    self.begin_leaving(now);
                }
            }
        }
    }

    fn begin_leaving(&mut self, now: Instant) {
        if self.leaving_since.is_none() {
            self.logger.line(Level::Notice, "SERV", "Unloading all Corosync service engines.");
            self.engine.announce_leave(now);
            self.leaving_since = Some(now);
        }
    }

    /// The last messages must be out before the ring is left; a broken ring is not waited for.
    fn finish_leaving(&mut self, now: Instant) {
        let Some(deadline) = self.leave_deadline() else { return };
        let is_sent = self.waiting.is_empty() && self.ring.is_drained();
        if is_sent || now >= deadline {
            self.ring.leave(now);
            self.settle(now);
            self.exit.get_or_insert(Exit::Normal);
        }
    }

    fn say_goodbye(mut self) -> i32 {
        let exit = self.exit.unwrap_or(Exit::Normal);
        let text = match exit {
            Exit::Normal => "Corosync Cluster Engine exiting normally".to_owned(),
            other => format!("Corosync Cluster Engine exiting with status {}", other as i32),
        };
        self.logger.line(Level::Notice, "MAIN", text);
        self.logger.flush();
        exit as i32
    }
}
