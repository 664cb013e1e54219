//! The event loop: one thread that moves packets, messages and requests between the cores.

mod background;
mod run;
mod start;
mod statistics;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use bytes::Bytes;
use engine::{Client, Engine, Map, Message};
use sys::{EventFd, Poller, SignalFd};
use totem::{Instant, Totem};

use crate::ipc::Servers;
use crate::log::Logger;
use crate::settings::Settings;
use crate::state_dir::StateDir;
use crate::stats::{Counters, Misses};
use crate::transport::Transport;

pub use background::{announce_ready, announce_service, background, is_background, withdraw_service};
pub use start::{Options, StartError, check, read_config, start};

/// Why the daemon ends, as the exit status of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Asked to, by signal or by a client.
    Normal = 0,
    /// Another node ordered it, or the configuration forbids to go on.
    Fatal = 1,
    /// The ring sequence could not be stored.
    StoreRingId = 11,
}

/// A configuration that was read again, or why it cannot be used.
type Reread = Result<(Map, Settings), StartError>;

/// Reading the configuration again may wait for a disk or a name server, so it has a thread of its own.
#[derive(Debug)]
struct Reloader {
    wake: Arc<EventFd>,
    sender: SyncSender<Reread>,
    receiver: Receiver<Reread>,
}

/// Everything that runs.
pub struct Daemon {
    options: Options,
    settings: Settings,
    state: StateDir,
    logger: Logger,
    poller: Poller,
    signals: SignalFd,
    ring: Totem,
    engine: Engine,
    transport: Transport,
    servers: Servers,
    reloader: Reloader,
    /// Messages that the ring has not taken yet.
    waiting: VecDeque<(&'static [u8], Message)>,
    backlogged: bool,
    /// Tokens that wait until the clients have read what is there, and since when.
    late_tokens: Vec<Bytes>,
    late_since: Instant,
    /// When the polled clients were last looked at.
    polled_at: Instant,
    flow_stopped: bool,
    lagging: bool,
    counters: Counters,
    misses: Misses,
    /// Names of the clients' processes.
    clients: BTreeMap<Client, String>,
    leaving_since: Option<Instant>,
    exit: Option<Exit>,
    config_file: PathBuf,
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon").field("nodeid", &self.settings.nodeid).finish_non_exhaustive()
    }
}

/// The time that everything in one turn of the loop sees.
fn now() -> Instant {
    Instant(sys::clock::monotonic_ns())
}
