//! From the command line and the configuration file to a running daemon.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use engine::{Engine, Map, Service};
use sys::{EventFd, Interest, Poller, SignalFd};
use totem::{Level, Totem};

use super::{Daemon, Reloader, now};
use crate::conf;
use crate::ipc::Servers;
use crate::log::{LogConfig, Logger};
use crate::settings::{Settings, SettingsError};
use crate::state_dir::StateDir;
use crate::stats::{Counters, Misses};
use crate::transport::{Transport, TransportError};

/// Bytes of the largest configuration file.
const CONFIG_MAX_BYTES: u64 = 4 * 1024 * 1024;

pub(super) const TOKEN_SIGNALS: u64 = 0;
pub(super) const TOKEN_RING: u64 = 1;
pub(super) const TOKEN_RELOAD: u64 = 2;
pub(super) const TOKEN_SERVERS: u64 = 16;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    pub config_file: PathBuf,
    pub foreground: bool,
}

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("Can't read file {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Conf(#[from] conf::ConfError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{0}")]
    Services(String),
    #[error("Cannot use state directory {}: {source}", path.display())]
    StateDir { path: PathBuf, source: std::io::Error },
    #[error("The authentication key {} {problem}; make a new one with corosync-keygen", path.display())]
    Key { path: PathBuf, problem: String },
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Server(#[from] qb::ServerError),
    #[error("System call failed: {0}")]
    System(#[from] sys::Errno),
    #[error("Cannot start the log thread: {0}")]
    Logger(std::io::Error),
}

/// Reads and checks the configuration file with the directory uidgid.d beside it.
///
/// # Errors
/// The first problem, with file and line.
pub fn read_config(path: &Path) -> Result<Map, StartError> {
    let text = read_text(path)?;
    let name = path.display().to_string();
    let root = conf::parse(&name, &text)?;
    let mut map = Map::default();
    conf::load(&name, &root, &mut map)?;
    let dir = path.parent().unwrap_or(Path::new("/")).join("uidgid.d");
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(map) };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    for file in files.into_iter().filter(|file| file.is_file()) {
        let name = file.display().to_string();
        let root = conf::parse(&name, &read_text(&file)?)?;
        conf::uidgid_keys(&name, &root, &mut map)?;
    }
    Ok(map)
}

fn read_text(path: &Path) -> Result<String, StartError> {
    let fail = |source| StartError::Read { path: path.to_path_buf(), source };
    let size = std::fs::metadata(path).map_err(fail)?.len();
    if size > CONFIG_MAX_BYTES {
        return Err(fail(std::io::Error::other("larger than 4 MiB")));
    }
    let bytes = std::fs::read(path).map_err(fail)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Addresses of this host, with the index of their interface.
pub(super) fn local_addresses() -> Vec<(IpAddr, u32)> {
    let listed = sys::rtnl::Rtnl::open().and_then(|mut rtnl| rtnl.addresses());
    listed.map_or_else(|_| Vec::new(), |all| all.into_iter().map(|a| (a.ip, a.index)).collect())
}

pub(super) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}

/// Reads the settings of this host out of the keys.
pub(super) fn settings_of(map: &Map) -> Result<(Settings, u32), StartError> {
    let local = local_addresses();
    let ips: Vec<IpAddr> = local.iter().map(|(ip, _)| *ip).collect();
    let settings = Settings::from_map(map, &ips, &host_name())?;
    let index = local.iter().find(|(ip, _)| *ip == settings.address).map_or(0, |(_, index)| *index);
    Ok((settings, index))
}

/// The key is not used by udp and udpu, but a damaged one must not wait for the day when it is.
fn check_key(map: &Map) -> Result<(), StartError> {
    if map.text("totem.transport").unwrap_or("knet") == "knet" {
        return Ok(());
    }
    let wants = |key: &str| map.text(key).is_some_and(|value| !matches!(value, "none" | "off" | "no"));
    let wants_crypto = wants("totem.crypto_cipher") || wants("totem.crypto_hash") || wants("totem.secauth");
    if wants_crypto {
        let text = "crypto_cipher, crypto_hash and secauth need transport knet; remove them for udp and udpu";
        return Err(StartError::Services(text.to_owned()));
    }
    let Some(file) = map.text("totem.keyfile") else { return Ok(()) };
    let path = PathBuf::from(file);
    let problem = match std::fs::metadata(&path) {
        Err(error) => format!("cannot be read: {error}"),
        Ok(meta) if !(128..=4096).contains(&meta.len()) => {
            format!("has {} bytes, 128 to 4096 are permitted", meta.len())
        }
        Ok(_) => return Ok(()),
    };
    Err(StartError::Key { path, problem })
}

/// Checks a configuration as far as that is possible without starting.
///
/// # Errors
/// The first problem.
pub fn check(map: &Map) -> Result<(), StartError> {
    check_key(map)?;
    let (settings, _) = settings_of(map)?;
    let mut copy = Map::default();
    for (key, value) in map.with_prefix("") {
        copy.set(key, value.clone());
    }
    settings.publish(&mut copy);
    let config = engine::Config { nodeid: settings.nodeid, ..engine::Config::default() };
    Engine::new(config, copy, now()).map(drop).map_err(StartError::Services)
}

/// Builds the daemon. The caller starts it with [`Daemon::run`].
///
/// # Errors
/// Anything that keeps it from taking part in a cluster.
pub fn start(options: Options) -> Result<Daemon, StartError> {
    let signals = SignalFd::new(&[
        sys::signal::SIGTERM,
        sys::signal::SIGINT,
        sys::signal::SIGQUIT,
        sys::signal::SIGHUP,
        sys::signal::SIGUSR2,
    ])?;
    sys::signal::ignore_sigpipe();
    let mut map = read_config(&options.config_file)?;
    let mut logger = Logger::start(LogConfig::early()).map_err(StartError::Logger)?;
    logger.configure(LogConfig::from_map(&map, options.foreground));
    logger.line(Level::Notice, "MAIN", format!("Corosync Cluster Engine {} starting up", crate::VERSION));
    match assemble(options, &mut map, &mut logger, signals) {
        Ok(parts) => Ok(parts.finish(logger)),
        Err(error) => {
            logger.line(Level::Error, "MAIN", error.to_string());
            logger.line(Level::Error, "MAIN", "Corosync Cluster Engine exiting with status 8");
            logger.flush();
            Err(error)
        }
    }
}

/// The daemon without its logger.
struct Parts {
    options: Options,
    settings: Settings,
    state: StateDir,
    poller: Poller,
    signals: SignalFd,
    ring: Totem,
    engine: Engine,
    transport: Transport,
    servers: Servers,
    reloader: Reloader,
}

impl Parts {
    fn finish(self, logger: Logger) -> Daemon {
        Daemon {
            config_file: self.options.config_file.clone(),
            options: self.options,
            settings: self.settings,
            state: self.state,
            logger,
            poller: self.poller,
            signals: self.signals,
            ring: self.ring,
            engine: self.engine,
            transport: self.transport,
            servers: self.servers,
            reloader: self.reloader,
            waiting: VecDeque::new(),
            backlogged: false,
            late_tokens: Vec::new(),
            late_since: now(),
            polled_at: now(),
            flow_stopped: false,
            lagging: false,
            counters: Counters::default(),
            misses: Misses::default(),
            clients: BTreeMap::new(),
            leaving_since: None,
            exit: None,
        }
    }
}

fn assemble(
    options: Options,
    map: &mut Map,
    logger: &mut Logger,
    signals: SignalFd,
) -> Result<Parts, StartError> {
    check_key(map)?;
    let (settings, interface_index) = settings_of(map)?;
    go_real_time(&settings, logger);
    let dir = settings.state_dir.clone();
    let state = StateDir::open(&dir, settings.nodeid)
        .map_err(|source| StartError::StateDir { path: dir.clone(), source })?;
    let text = format!("Initializing transport ({}).", settings.transport.label());
    logger.line(Level::Notice, "TOTEM", text);
    let mut transport = Transport::open(&settings, interface_index, now())?;
    while let Some(note) = transport.poll_note() {
        logger.line(note.level, "TOTEM", note.text);
    }
    let text = format!("The network interface [{}] is now up.", settings.address);
    logger.line(Level::Notice, "TOTEM", text);
    settings.publish(map);
    let seed = sys::clock::realtime_ns() ^ u64::from(settings.nodeid);
    let ring_config = settings.ring_config(map, seed);
    let engine = start_services(core::mem::take(map), &settings, &transport, &state, logger)?;
    let mut services = vec![Service::Cmap, Service::Cfg, Service::Cpg, Service::Quorum];
    if engine.map().text("quorum.provider").is_some() {
        services.push(Service::Votequorum);
    }
    let servers = Servers::bind(&services, engine.map())?;
    for service in &services {
        logger.line(Level::Info, "QB", format!("server name: {}", service.name()));
    }
    for node in &settings.nodes {
        let text = format!("adding new {} member {{{}}}", settings.transport.member_label(), node.address);
        logger.line(Level::Notice, "TOTEM", text);
    }
    let stored = state.ring_seq();
    // Proves that the number can be stored before it is needed.
    state.store_ring_seq(stored).map_err(|source| StartError::StateDir { path: dir, source })?;
    let poller = Poller::new()?;
    poller.add(&signals, TOKEN_SIGNALS, Interest::READ)?;
    for fd in transport.fds() {
        poller.add(fd, TOKEN_RING, Interest::READ)?;
    }
    for (token, fd) in (TOKEN_SERVERS..).zip(servers.fds()) {
        poller.add(fd, token, Interest::READ)?;
    }
    let (sender, receiver) = sync_channel(1);
    let reloader = Reloader { wake: Arc::new(EventFd::new()?), sender, receiver };
    poller.add(&*reloader.wake, TOKEN_RELOAD, Interest::READ)?;
    let ring = Totem::new(ring_config, stored, now());
    Ok(Parts { options, settings, state, poller, signals, ring, engine, transport, servers, reloader })
}

fn start_services(
    map: Map,
    settings: &Settings,
    transport: &Transport,
    state: &StateDir,
    logger: &mut Logger,
) -> Result<Engine, StartError> {
    let config = engine::Config {
        nodeid: settings.nodeid,
        nodes: transport.links(settings, now()),
        stored_ev_tracking: state.ev_tracking(),
    };
    let engine = Engine::new(config, map, now()).map_err(StartError::Services)?;
    for (name, number) in [
        ("configuration map access", 0),
        ("configuration service", 1),
        ("cluster closed process group service v1.01", 2),
        ("cluster quorum service v0.1", 3),
    ] {
        let text = format!("Service engine loaded: corosync {name} [{number}]");
        logger.line(Level::Notice, "SERV", text);
    }
    if engine.map().text("quorum.provider").is_some() {
        let text = "Service engine loaded: corosync vote quorum service v1.0 [5]";
        logger.line(Level::Notice, "SERV", text);
    }
    Ok(engine)
}

/// Real-time scheduling and locked memory where the system permits them.
fn go_real_time(settings: &Settings, logger: &mut Logger) {
    if let Err(error) = sys::memory::unlimited_memlock() {
        let text = format!("Could not increase RLIMIT_MEMLOCK, not locking memory: {error}");
        logger.line(Level::Warning, "MAIN", text);
    } else if let Err(error) = sys::memory::lock_all() {
        logger.line(
            Level::Warning,
            "MAIN",
            format!("Could not lock memory of service to avoid page faults: {error}"),
        );
    }
    if settings.sched_rr {
        if let Err(error) = sys::memory::round_robin(0) {
            let text = format!("Could not set SCHED_RR at priority 99: {error}");
            logger.line(Level::Warning, "MAIN", text);
            let _ = sys::memory::set_nice(-20);
        }
    } else if let Some(nice) = settings.nice
        && let Err(error) = sys::memory::set_nice(nice)
    {
        logger.line(Level::Warning, "MAIN", format!("Could not set priority {nice}: {error}"));
    }
}
