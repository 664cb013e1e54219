//! Logging to file, syslog and standard error in the reference's format, on a thread of its own: the
//! ring never waits for a disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use engine::Map;
use totem::Level;

/// Lines that may wait; further ones are dropped and counted.
const QUEUE_LINES: usize = 8192;
/// Small, as all memory may be locked.
const THREAD_STACK_BYTES: usize = 256 * 1024;
const SYSLOG_SOCKET: &str = "/dev/log";
const FACILITY_DAEMON: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timestamp {
    Off,
    Seconds,
    Milliseconds,
}

/// Where lines of one subsystem go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Targets {
    stderr: bool,
    file: bool,
    syslog: bool,
    file_level: Level,
    syslog_level: Level,
    debug: bool,
    trace: bool,
}

/// Section `logging` of the configuration.
#[derive(Clone, Debug)]
pub struct LogConfig {
    timestamp: Timestamp,
    logfile: Option<String>,
    facility: u8,
    default: Targets,
    subsystems: BTreeMap<String, Targets>,
}

fn level_of(name: &str) -> Level {
    match name {
        "emerg" | "alert" | "crit" | "critical" | "err" | "error" => Level::Error,
        "warning" => Level::Warning,
        "notice" => Level::Notice,
        "debug" => Level::Debug,
        _ => Level::Info,
    }
}

impl LogConfig {
    /// Standard error only, for the time before the configuration is read.
    #[must_use]
    pub fn early() -> Self {
        let default = Targets {
            stderr: true,
            file: false,
            syslog: false,
            file_level: Level::Info,
            syslog_level: Level::Info,
            debug: false,
            trace: false,
        };
        Self {
            timestamp: Timestamp::Seconds,
            logfile: None,
            facility: FACILITY_DAEMON,
            default,
            subsystems: BTreeMap::new(),
        }
    }

    /// Reads the keys under `logging.`; `foreground` allows standard error.
    #[must_use]
    pub fn from_map(map: &Map, foreground: bool) -> Self {
        let base = Targets { stderr: foreground, syslog: true, ..Self::early().default };
        let default = read_targets(map, "logging.", &base, foreground);
        let mut subsystems = BTreeMap::new();
        for (key, _) in map.with_prefix("logging.logger_subsys.") {
            let Some(name) = key.split('.').nth(2) else { continue };
            if !subsystems.contains_key(name) {
                let prefix = format!("logging.logger_subsys.{name}.");
                subsystems.insert(name.to_owned(), read_targets(map, &prefix, &default, foreground));
            }
        }
        let timestamp = match map.text("logging.timestamp") {
            Some("off") => Timestamp::Off,
            Some("on") => Timestamp::Seconds,
            _ => Timestamp::Milliseconds,
        };
        let facility = match map.text("logging.syslog_facility").and_then(|name| name.strip_prefix("local")) {
            Some(number) => number.parse::<u8>().map_or(FACILITY_DAEMON, |number| 16 + number.min(7)),
            None => FACILITY_DAEMON,
        };
        Self {
            timestamp,
            logfile: map.text("logging.logfile").map(str::to_owned),
            facility,
            default,
            subsystems,
        }
    }

    fn targets(&self, subsystem: &str) -> &Targets {
        self.subsystems.get(subsystem).unwrap_or(&self.default)
    }
}

fn read_targets(map: &Map, prefix: &str, base: &Targets, foreground: bool) -> Targets {
    let yes = |name: &str, default: bool| {
        map.text(&format!("{prefix}{name}")).map_or(default, |value| value == "yes" || value == "on")
    };
    let level = |name: &str, default| map.text(&format!("{prefix}{name}")).map_or(default, level_of);
    let debug = map.text(&format!("{prefix}debug"));
    Targets {
        stderr: foreground && yes("to_stderr", base.stderr),
        file: yes("to_logfile", base.file),
        syslog: yes("to_syslog", base.syslog),
        file_level: level("logfile_priority", base.file_level),
        syslog_level: level("syslog_priority", base.syslog_level),
        debug: debug.map_or(base.debug, |value| value == "on" || value == "trace"),
        trace: debug.map_or(base.trace, |value| value == "trace"),
    }
}

enum Order {
    Line { at_ns: u64, level: Level, subsystem: &'static str, text: String },
    Configure(Box<LogConfig>),
    Reopen,
    Flush(SyncSender<()>),
}

/// The sending side; cheap and never blocking.
#[derive(Debug)]
pub struct Logger {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
    dropped: u64,
    verbose: bool,
}

impl Logger {
    /// Starts the writing thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(config: LogConfig) -> std::io::Result<Self> {
        let (orders, receiver) = sync_channel(QUEUE_LINES);
        let thread = std::thread::Builder::new()
            .name("logger".to_owned())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || Writer::new(config).run(&receiver))?;
        Ok(Self { orders: Some(orders), thread: Some(thread), dropped: 0, verbose: false })
    }

    fn order(&mut self, order: Order) {
        let Some(orders) = &self.orders else { return };
        if let Err(TrySendError::Full(_)) = orders.try_send(order) {
            self.dropped += 1;
        }
    }

    /// Writes a line.
    pub fn line(&mut self, level: Level, subsystem: &'static str, text: impl Into<String>) {
        if level >= Level::Debug && !self.verbose {
            return;
        }
        if self.dropped > 0 {
            let dropped = core::mem::take(&mut self.dropped);
            let text = format!("{dropped} log lines were dropped, the disk is too slow");
            self.order(Order::Line {
                at_ns: sys::clock::realtime_ns(),
                level: Level::Warning,
                subsystem: "MAIN",
                text,
            });
        }
        self.order(Order::Line { at_ns: sys::clock::realtime_ns(), level, subsystem, text: text.into() });
    }

    /// Takes a new configuration.
    pub fn configure(&mut self, config: LogConfig) {
        self.verbose = config.default.debug || config.subsystems.values().any(|targets| targets.debug);
        self.order(Order::Configure(Box::new(config)));
    }

    /// Closes the log file; the next line opens it again.
    pub fn reopen(&mut self) {
        self.order(Order::Reopen);
    }

    /// Waits until everything is written.
    pub fn flush(&mut self) {
        let (done, wait) = sync_channel(1);
        self.order(Order::Flush(done));
        let _ = wait.recv_timeout(std::time::Duration::from_secs(2));
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The writing side.
struct Writer {
    config: LogConfig,
    file: Option<File>,
    syslog: Option<UnixDatagram>,
    host: String,
    pid: u32,
    zone: jiff::tz::TimeZone,
}

impl Writer {
    fn new(config: LogConfig) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim().split('.').next().unwrap_or_default().to_owned();
        Self {
            config,
            file: None,
            syslog: None,
            host,
            pid: std::process::id(),
            zone: jiff::tz::TimeZone::system(),
        }
    }

    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Line { at_ns, level, subsystem, text } => self.write(at_ns, level, subsystem, &text),
                Order::Configure(config) => {
                    self.config = *config;
                    self.file = None;
                    self.syslog = None;
                }
                Order::Reopen => self.file = None,
                Order::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    fn write(&mut self, at_ns: u64, level: Level, subsystem: &str, text: &str) {
        let targets = self.config.targets(subsystem).clone();
        let passes = |limit: Level| match level {
            Level::Trace => targets.trace,
            Level::Debug => targets.debug,
            _ => targets.debug || level <= limit,
        };
        let time = self.time(at_ns);
        let tail = format!("{:<7} [{subsystem:<6}] {text}", label(level));
        if targets.stderr && passes(Level::Info) {
            let _ = writeln!(std::io::stderr(), "{time}{tail}");
        }
        if targets.file && passes(targets.file_level) {
            let line = format!("{time}[{}] {} corosync {tail}\n", self.pid, self.host);
            self.write_file(&line);
        }
        if targets.syslog && passes(targets.syslog_level) {
            self.write_syslog(at_ns, level, &format!("  [{subsystem:<6}] {text}"));
        }
    }

    fn time(&self, at_ns: u64) -> String {
        let format = match self.config.timestamp {
            Timestamp::Off => return String::new(),
            Timestamp::Seconds => "%b %d %H:%M:%S ",
            Timestamp::Milliseconds => "%b %d %H:%M:%S.%3f ",
        };
        self.format_time(at_ns, format)
    }

    fn format_time(&self, at_ns: u64, format: &str) -> String {
        let time = jiff::Timestamp::from_nanosecond(i128::from(at_ns)).unwrap_or_default();
        time.to_zoned(self.zone.clone()).strftime(format).to_string()
    }

    fn write_file(&mut self, line: &str) {
        if self.file.is_none() {
            let Some(path) = &self.config.logfile else { return };
            if let Some(dir) = std::path::Path::new(path).parent() {
                let _ = std::fs::create_dir_all(dir);
            }
            self.file = File::options().create(true).append(true).open(path).ok();
        }
        if let Some(file) = &mut self.file {
            let _ = file.write_all(line.as_bytes());
        }
    }

    fn write_syslog(&mut self, at_ns: u64, level: Level, text: &str) {
        if self.syslog.is_none() {
            self.syslog = UnixDatagram::unbound().ok().filter(|socket| socket.connect(SYSLOG_SOCKET).is_ok());
        }
        let severity = match level {
            Level::Error => 3,
            Level::Warning => 4,
            Level::Notice => 5,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        let time = self.format_time(at_ns, "%b %e %H:%M:%S");
        let priority = self.config.facility * 8 + severity;
        let message = format!("<{priority}>{time} corosync[{}]: {text}", self.pid);
        let failed = self.syslog.as_ref().is_some_and(|socket| socket.send(message.as_bytes()).is_err());
        if failed {
            self.syslog = None;
        }
    }
}

fn label(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Notice => "notice",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> Map {
        let mut map = Map::default();
        for (key, value) in entries {
            map.set(key, *value);
        }
        map
    }

    #[test]
    fn lines_look_like_the_reference() {
        let dir = std::env::temp_dir().join(format!("corosync-log-{}", std::process::id()));
        let path = dir.join("corosync.log");
        let entries = [
            ("logging.to_logfile", "yes"),
            ("logging.to_syslog", "no"),
            ("logging.timestamp", "on"),
            ("logging.logfile", path.to_str().expect("UTF-8")),
        ];
        let mut logger = Logger::start(LogConfig::early()).expect("a thread");
        logger.configure(LogConfig::from_map(&map(&entries), false));
        logger.line(Level::Notice, "TOTEM", "A new membership (1.5) was formed.");
        logger.line(Level::Debug, "TOTEM", "not wanted");
        logger.flush();
        let text = std::fs::read_to_string(&path).expect("the log");
        std::fs::remove_dir_all(&dir).expect("removable");
        let (_, tail) = text.split_once(" corosync ").expect("program name");
        assert_eq!(tail, "notice  [TOTEM ] A new membership (1.5) was formed.\n");
        assert!(text.contains(&format!(" [{}] ", std::process::id())), "{text}");
    }

    #[test]
    fn subsystems_override_the_defaults() {
        let config = LogConfig::from_map(
            &map(&[("logging.to_syslog", "no"), ("logging.logger_subsys.CPG.debug", "on")]),
            true,
        );
        assert!(config.targets("CPG").debug);
        assert!(!config.targets("TOTEM").debug);
        assert!(config.targets("TOTEM").stderr);
    }
}
