//! Starts and stops the services of a host, as process 1.

use crate::boot::{BIN_DIRECTORY, RUN_DIRECTORY};
use crate::services::Service;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use sys::ChildExit;
use sys::signal::{SIGKILL, SIGTERM, kill, kill_group};

/// Longest time until a service must be ready.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// Pause between two looks at a service that starts or ends.
const LOOK_INTERVAL: Duration = Duration::from_millis(3);
/// Restarts in a row that are given to a service that keeps failing, and the time that counts as a row.
const RESTART_BURST: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(25);
/// File that lists the services to start when the host is switched on.
const ENABLED_FILE: &str = "/etc/relevo-lab/enabled";
/// PATH of everything that runs in a host.
pub(crate) const PATH: &str = "/run/relevo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// State of a service, as systemd names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Activity {
    #[default]
    Inactive,
    Activating,
    Active,
    Deactivating,
    Failed,
}

impl Activity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Activity::Inactive => "inactive",
            Activity::Activating => "activating",
            Activity::Active => "active",
            Activity::Deactivating => "deactivating",
            Activity::Failed => "failed",
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Unit {
    pub(crate) activity: Activity,
    /// Programs that run, the main one last.
    pub(crate) pids: Vec<i32>,
    pub(crate) since: Option<SystemTime>,
    /// How the main program ended last.
    pub(crate) last_exit: Option<ChildExit>,
    restarts: Vec<Instant>,
}

#[derive(Debug, Default)]
struct State {
    units: HashMap<&'static str, Unit>,
    /// Ends of processes that nobody has asked for yet.
    exits: HashMap<i32, ChildExit>,
}

/// All services of the host.
#[derive(Debug)]
pub(crate) struct Supervisor {
    services: Vec<Service>,
    state: Mutex<State>,
    /// Held while a start or stop is under way: they are done one after the other.
    work: Mutex<()>,
    /// Held while a process is made, so that its end is not collected before its number is known.
    spawning: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Supervisor {
    pub(crate) fn new(services: Vec<Service>) -> Supervisor {
        let units = services.iter().map(|s| (s.name, Unit::default())).collect();
        let state = Mutex::new(State { units, exits: HashMap::new() });
        Supervisor { services, state, work: Mutex::new(()), spawning: Mutex::new(()) }
    }

    pub(crate) fn services(&self) -> &[Service] {
        &self.services
    }

    pub(crate) fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|s| s.name == name)
    }

    /// Looks at a service's state.
    pub(crate) fn with_unit<T>(&self, name: &str, look: impl FnOnce(&Unit) -> T) -> Option<T> {
        lock(&self.state).units.get(name).map(look)
    }

    pub(crate) fn activity(&self, name: &str) -> Activity {
        self.with_unit(name, |u| u.activity).unwrap_or_default()
    }

    fn update(&self, name: &str, change: impl FnOnce(&mut Unit)) {
        if let Some(unit) = lock(&self.state).units.get_mut(name) {
            change(unit);
        }
    }

    /// Collects the children that have ended. Returns services that have to be started again, and after what time.
    pub(crate) fn reap(&self) -> Vec<(&'static str, Duration)> {
        let _guard = lock(&self.spawning);
        let mut again = Vec::new();
        while let Some((pid, exit)) = sys::namespace::reap_any() {
            let mut state = lock(&self.state);
            state.exits.insert(pid, exit);
            for service in &self.services {
                let Some(unit) = state.units.get_mut(service.name) else { continue };
                if unit.activity == Activity::Active && unit.pids.last() == Some(&pid) {
                    again.extend(main_program_ended(service, unit, exit));
                }
            }
            // Only the youngest ends are of interest to anybody.
            if state.exits.len() > 4096 {
                state.exits.clear();
            }
        }
        again
    }

    fn exit_of(&self, pid: i32) -> Option<ChildExit> {
        lock(&self.state).exits.get(&pid).copied()
    }

    /// Starts a service and what it requires; returns when it is ready.
    pub(crate) fn start(&self, name: &str) -> Result<(), String> {
        let _guard = lock(&self.work);
        self.start_with_requirements(name)
    }

    /// Starts a service again after its failure, unless somebody has done something else meanwhile.
    pub(crate) fn start_after_failure(&self, name: &str) {
        let _guard = lock(&self.work);
        if self.activity(name) == Activity::Failed {
            let _ = self.start_with_requirements(name);
        }
    }

    fn start_with_requirements(&self, name: &str) -> Result<(), String> {
        let Some(service) = self.service(name) else { return Err(format!("Unit {name}.service not found.")) };
        for required in service.requires {
            self.start_with_requirements(required)?;
        }
        if self.activity(name) == Activity::Active {
            return Ok(());
        }
        self.start_one(service)
    }

    fn start_one(&self, service: &Service) -> Result<(), String> {
        self.update(service.name, |u| {
            *u = Unit {
                activity: Activity::Activating,
                restarts: std::mem::take(&mut u.restarts),
                ..Unit::default()
            };
        });
        let outcome = self.launch(service);
        self.update(service.name, |u| {
            u.since = Some(SystemTime::now());
            u.activity = if outcome.is_ok() { Activity::Active } else { Activity::Failed };
        });
        if outcome.is_err() {
            self.kill_rest(service);
        }
        outcome
    }

    fn launch(&self, service: &Service) -> Result<(), String> {
        let mut main = 0;
        let start = Instant::now();
        for program in &service.programs {
            if let Some(file) = program.makes {
                // A file of an earlier run would tell nothing.
                let _ = std::fs::remove_file(file);
            }
            let guard = lock(&self.spawning);
            let pid = spawn(service, program).map_err(|e| format!("{}: {e}", program.words.join(" ")))?;
            lock(&self.state).exits.remove(&pid);
            drop(guard);
            self.update(service.name, |u| u.pids.push(pid));
            main = pid;
            let is_ready = || program.makes.is_none_or(|file| Path::new(file).exists());
            self.wait_for(service, pid, start, is_ready)?;
        }
        self.wait_for(service, main, start, || service.ready.is_reached())
    }

    /// Waits until a program is ready, has ended, or takes too long.
    fn wait_for(
        &self,
        service: &Service,
        pid: i32,
        start: Instant,
        is_ready: impl Fn() -> bool,
    ) -> Result<(), String> {
        loop {
            if let Some(exit) = self.exit_of(pid) {
                self.update(service.name, |u| u.last_exit = Some(exit));
                return Err(format!("program ended: {}", describe(exit)));
            }
            if is_ready() {
                return Ok(());
            }
            if start.elapsed() > START_TIMEOUT {
                return Err("not ready in time".to_owned());
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Stops a service and what requires it; returns when it has ended.
    pub(crate) fn stop(&self, name: &str) -> Result<(), String> {
        let _guard = lock(&self.work);
        self.stop_with_dependants(name)
    }

    /// Stops a service and starts it again, with what required it and ran (as `Requires=` asks).
    pub(crate) fn restart(&self, name: &str) -> Result<(), String> {
        let _guard = lock(&self.work);
        let ran: Vec<&str> = self
            .services
            .iter()
            .filter(|other| other.requires.contains(&name) && self.activity(other.name) == Activity::Active)
            .map(|other| other.name)
            .collect();
        self.stop_with_dependants(name)?;
        self.start_with_requirements(name)?;
        ran.into_iter().try_for_each(|other| self.start_with_requirements(other))
    }

    fn stop_with_dependants(&self, name: &str) -> Result<(), String> {
        let Some(service) = self.service(name) else {
            return Err(format!("Unit {name}.service not loaded."));
        };
        for other in &self.services {
            if other.requires.contains(&service.name) && self.activity(other.name) != Activity::Inactive {
                self.stop_with_dependants(other.name)?;
            }
        }
        if matches!(self.activity(name), Activity::Active | Activity::Activating) {
            self.stop_one(service);
        }
        self.update(name, |u| u.activity = Activity::Inactive);
        Ok(())
    }

    fn stop_one(&self, service: &Service) {
        self.update(service.name, |u| u.activity = Activity::Deactivating);
        let main = self.with_unit(service.name, |u| u.pids.last().copied()).flatten();
        if let Some(main) = main {
            // A failure to send means that it has ended already.
            let _ = kill(main, SIGTERM);
            let start = Instant::now();
            while self.exit_of(main).is_none() && start.elapsed() < service.stop_timeout {
                std::thread::sleep(LOOK_INTERVAL);
            }
            self.update(service.name, |u| u.last_exit = None);
        }
        self.kill_rest(service);
        self.update(service.name, |u| {
            u.pids.clear();
            u.since = Some(SystemTime::now());
        });
    }

    /// Ends what is left of a service's programs, and their groups.
    fn kill_rest(&self, service: &Service) {
        let pids = self.with_unit(service.name, |u| u.pids.clone()).unwrap_or_default();
        for pid in pids {
            if self.exit_of(pid).is_none() {
                let _ = kill(pid, SIGTERM);
                let start = Instant::now();
                while self.exit_of(pid).is_none() && start.elapsed() < Duration::from_secs(2) {
                    std::thread::sleep(LOOK_INTERVAL);
                }
                let _ = kill_group(pid, SIGKILL);
            }
        }
    }

    pub(crate) fn enabled() -> BTreeSet<String> {
        let text = std::fs::read_to_string(ENABLED_FILE).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Switches on or off that a service starts with the host; false if it was so already.
    pub(crate) fn set_enabled(name: &str, on: bool) -> std::io::Result<bool> {
        let mut all = Supervisor::enabled();
        let changed = if on { all.insert(name.to_owned()) } else { all.remove(name) };
        let text: String = all.iter().map(|n| format!("{n}\n")).collect();
        std::fs::write(ENABLED_FILE, text)?;
        Ok(changed)
    }
}

fn main_program_ended(
    service: &Service,
    unit: &mut Unit,
    exit: ChildExit,
) -> Option<(&'static str, Duration)> {
    unit.last_exit = Some(exit);
    unit.since = Some(SystemTime::now());
    // Pacemaker ends with 100 to say that it must not be started again.
    let clean = matches!(exit, ChildExit::Code(0 | 100) | ChildExit::Signal(SIGTERM));
    unit.activity = if clean { Activity::Inactive } else { Activity::Failed };
    let pause = service.restart_after.filter(|_| !clean)?;
    unit.restarts.retain(|at| at.elapsed() < RESTART_WINDOW);
    unit.restarts.push(Instant::now());
    (unit.restarts.len() <= RESTART_BURST).then_some((service.name, pause))
}

pub(crate) fn describe(exit: ChildExit) -> String {
    match exit {
        ChildExit::Code(code) => format!("exit status {code}"),
        ChildExit::Signal(number) => format!("signal {number}"),
    }
}

/// File that collects what a service prints.
pub(crate) fn output_file(service: &str) -> PathBuf {
    PathBuf::from(format!("/var/log/{service}.out"))
}

fn spawn(service: &Service, program: &crate::services::Program) -> std::io::Result<i32> {
    use std::os::unix::process::CommandExt;
    let (word, rest) = program.words.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    // Searched here because the child's PATH is not ours.
    let path = PathBuf::from(BIN_DIRECTORY).join(word);
    let word = if path.exists() { path } else { PathBuf::from(word) };
    let output = std::fs::OpenOptions::new().create(true).append(true).open(output_file(service.name))?;
    let mut command = Command::new(word);
    sys::child::reset_signals(&mut command);
    let child = command
        .args(rest)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .env("HOME", "/root")
        .envs(program.environment.iter().copied())
        .current_dir(program.directory.unwrap_or("/"))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    Ok(child.id() as i32)
}

/// True in a host of the lab.
pub(crate) fn is_inside_host() -> bool {
    std::path::Path::new(RUN_DIRECTORY).is_dir()
}
