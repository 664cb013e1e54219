//! The process that keeps a lab: it holds the switch and carries out orders about hosts.

use crate::boot::BRIDGE;
use crate::control::{self, Answer};
use crate::error::{Context, Error, Result};
use crate::files::{Accounts, HostFiles};
use crate::layout::{Host, Layout, Plan};
use std::collections::BTreeMap;
use std::io::{PipeReader, PipeWriter, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use sys::namespace::{self, Kinds};
use sys::rtnl::Rtnl;
use sys::signal::{SIGCONT, SIGKILL, SIGSTOP};

/// Longest wait for the end of a host's processes after they were killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// Rounds over the process table when a host is frozen: processes may be made meanwhile.
const FREEZE_ROUNDS: usize = 10;

/// What the keeper knows of a host that is on.
#[derive(Debug, Default)]
struct Running {
    /// Its process 1, as the keeper sees it.
    pid: i32,
    frozen: bool,
    cut: bool,
    /// Hundredths of a percent.
    loss: u32,
}

struct Keeper {
    layout: Layout,
    plan: Plan,
    running: BTreeMap<String, Running>,
    /// Hosts hold the other end as their standard input: when the keeper is gone, they end too.
    leash: PipeWriter,
    collar: PipeReader,
}

/// Entry of the keeper: makes the namespaces and the switch, switches all hosts on, says so on standard output, then
/// takes orders until the lab goes down.
pub(crate) fn run(layout: Layout) -> Result<()> {
    let plan = layout.plan()?;
    let accounts = enter_namespaces()?;
    make_switch().context(|| "cannot make the switch".into())?;
    for host in plan.hosts() {
        HostFiles::new(&layout, &host).prepare(&plan, &host, accounts)?;
    }
    let listener = UnixListener::bind(layout.control()).context(|| "cannot listen for orders".into())?;
    let (collar, leash) = std::io::pipe().context(|| "cannot make a pipe".into())?;
    let mut keeper = Keeper { layout, plan, running: BTreeMap::new(), leash, collar };
    for host in keeper.plan.hosts() {
        if let Err(e) = keeper.boot(&host) {
            keeper.kill_all();
            return Err(e);
        }
    }
    println!("ready");
    let _ = std::io::stdout().flush();
    detach()?;
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        keeper.collect();
        let Ok(words) = control::read_order(&mut stream) else { continue };
        if keeper.serve(&mut stream, &words) {
            break;
        }
    }
    drop(keeper.leash);
    Ok(())
}

/// As an ordinary user first makes a user namespace in which that user is root.
fn enter_namespaces() -> Result<Accounts> {
    let (uid, gid) = (namespace::effective_uid(), namespace::effective_gid());
    let accounts = if uid == 0 { Accounts::All } else { Accounts::OneUser };
    if accounts == Accounts::OneUser {
        namespace::unshare(Kinds::USER).context(|| {
            "this machine does not let ordinary users make namespaces; run as root, or allow it with \
             sysctl kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0"
                .into()
        })?;
        namespace::map_single_user(uid, gid).context(|| "cannot map the user".into())?;
    }
    let kinds = Kinds::NET.and(Kinds::MOUNT);
    namespace::unshare(kinds).context(|| "cannot make namespaces".into())?;
    namespace::make_mounts_private().context(|| "cannot make mounts private".into())?;
    namespace::become_subreaper().context(|| "cannot adopt processes".into())?;
    Ok(accounts)
}

fn make_switch() -> sys::Result<()> {
    let mut rtnl = Rtnl::open()?;
    let lo = rtnl.link("lo")?;
    rtnl.set_up(lo.index, true)?;
    rtnl.add_bridge(BRIDGE)?;
    let bridge = rtnl.link(BRIDGE)?;
    rtnl.set_up(bridge.index, true)
}

fn detach() -> Result<()> {
    let _ = namespace::new_session();
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null").context(|| "/dev/null".into())?;
    rustix::stdio::dup2_stdout(&null).context(|| "cannot close the output".into())
}

impl Keeper {
    /// Carries out one order; true if it was the last one.
    fn serve(&mut self, stream: &mut UnixStream, words: &[String]) -> bool {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let down = words.first() == Some(&"down");
        let answer = match self.order(&words) {
            Ok(text) => Answer::ok(text),
            Err(e) => Answer::fail(1, e.to_string()),
        };
        // Who asked may have gone.
        let _ = control::write_answer(stream, &answer);
        down
    }

    fn order(&mut self, words: &[&str]) -> Result<String> {
        match words {
            ["down"] => {
                self.kill_all();
                let _ = std::fs::remove_dir_all(&self.layout.dir);
                Ok(String::new())
            }
            ["status"] => Ok(self.status()),
            ["pid", name] => {
                let host = self.plan.host(name)?;
                Ok(self.host(&host)?.pid.to_string())
            }
            ["boot", name] => {
                let host = self.plan.host(name)?;
                if !self.running.contains_key(&host.name) {
                    self.boot(&host)?;
                }
                Ok(String::new())
            }
            ["kill", name] => self.kill(&self.plan.host(name)?),
            ["cut", name] => self.set_cable(&self.plan.host(name)?, false),
            ["heal", name] => self.set_cable(&self.plan.host(name)?, true),
            ["freeze", name] => self.set_frozen(&self.plan.host(name)?, true),
            ["thaw", name] => self.set_frozen(&self.plan.host(name)?, false),
            ["loss", name, share] => {
                let share = share.parse().map_err(|_| Error::Failed("malformed share".into()))?;
                self.set_loss(&self.plan.host(name)?, share)
            }
            _ => Err(Error::Failed(format!("unknown order {words:?}"))),
        }
    }

    fn host(&mut self, host: &Host) -> Result<&mut Running> {
        self.running.get_mut(&host.name).ok_or_else(|| Error::HostOff { name: host.name.clone() })
    }

    fn boot(&mut self, host: &Host) -> Result<()> {
        let collar = self.collar.try_clone().context(|| "cannot copy a pipe".into())?;
        let output = Command::new(&self.plan.program)
            .args(["lab", "__boot", &host.name])
            .env(crate::layout::DIRECTORY_VARIABLE, &self.layout.dir)
            .stdin(collar)
            .stderr(Stdio::inherit())
            .output()
            .context(|| format!("cannot start {}", self.plan.program.display()))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = said.lines().last().unwrap_or_default();
        let pid = last.parse().map_err(|_| Error::Failed(last.trim_start_matches("error ").to_owned()))?;
        self.running.insert(host.name.clone(), Running { pid, ..Running::default() });
        Ok(())
    }

    /// Forgets hosts whose process 1 has ended by itself.
    fn collect(&mut self) {
        while let Some((pid, _)) = namespace::reap_any() {
            self.running.retain(|_, host| host.pid != pid);
        }
    }

    /// A power cut: nothing leaves the host from here on, then every process ends at once.
    fn kill(&mut self, host: &Host) -> Result<String> {
        let pid = self.host(host)?.pid;
        let mut rtnl = Rtnl::open().context(|| "netlink".into())?;
        let port = rtnl.link(&host.port());
        if let Ok(port) = &port {
            let _ = rtnl.set_port_forwarding(port.index, false);
        }
        // Also processes that are stopped end by this signal.
        let _ = sys::signal::kill(pid, SIGKILL);
        if let Ok(port) = &port {
            let _ = rtnl.delete_link(port.index);
        }
        let start = Instant::now();
        while self.running.contains_key(&host.name) {
            self.collect();
            if start.elapsed() > KILL_TIMEOUT {
                return Err(Error::Failed(format!("{} does not end", host.name)));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(String::new())
    }

    fn kill_all(&mut self) {
        for host in self.plan.hosts() {
            if self.running.contains_key(&host.name) {
                let _ = self.kill(&host);
            }
        }
    }

    fn set_cable(&mut self, host: &Host, plugged: bool) -> Result<String> {
        self.host(host)?;
        let change = || -> sys::Result<()> {
            let mut rtnl = Rtnl::open()?;
            let port = rtnl.link(&host.port())?;
            // The port stops forwarding at once; the carrier, which the host sees, takes some milliseconds.
            if !plugged {
                rtnl.set_port_forwarding(port.index, false)?;
            }
            // With the carrier the bridge has the port forward again by itself.
            rtnl.set_up(port.index, plugged)
        };
        change().context(|| format!("cannot change the cable of {}", host.name))?;
        self.host(host)?.cut = !plugged;
        Ok(String::new())
    }

    fn set_frozen(&mut self, host: &Host, frozen: bool) -> Result<String> {
        let pid = self.host(host)?.pid;
        let signal = if frozen { SIGSTOP } else { SIGCONT };
        let rounds = if frozen { FREEZE_ROUNDS } else { 1 };
        let mut seen = 0;
        for _ in 0..rounds {
            let pids = processes_with(pid)?;
            for pid in &pids {
                // It may have ended meanwhile.
                let _ = sys::signal::kill(*pid, signal);
            }
            if pids.len() == seen {
                break;
            }
            seen = pids.len();
        }
        self.host(host)?.frozen = frozen;
        Ok(String::new())
    }

    fn set_loss(&mut self, host: &Host, share: u32) -> Result<String> {
        self.host(host)?;
        sys::nft::set_loss(&host.port(), share)
            .context(|| "cannot set the loss (the kernel needs nf_tables with netdev hooks)".into())?;
        self.host(host)?.loss = share;
        Ok(String::new())
    }

    fn status(&self) -> String {
        let mut text = String::new();
        for host in self.plan.hosts() {
            let state = match self.running.get(&host.name) {
                None => "off".to_owned(),
                Some(running) => {
                    let mut words = vec![if running.frozen { "frozen" } else { "on" }.to_owned()];
                    if running.cut {
                        words.push("cable cut".to_owned());
                    }
                    if running.loss > 0 {
                        words.push(format!("loses {} %", f64::from(running.loss) / 100.0));
                    }
                    words.join(", ")
                }
            };
            text.push_str(&format!(
                "{}\t{}\t{}\t{state}\n",
                host.full_name(),
                host.address(),
                format_mac(&host.mac())
            ));
        }
        text
    }
}

pub(crate) fn format_mac(mac: &[u8]) -> String {
    mac.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
}

/// Processes in the PID namespace of a process.
fn processes_with(pid: i32) -> Result<Vec<i32>> {
    let identity = |pid: &str| namespace::identity(&format!("/proc/{pid}/ns/pid"));
    let wanted = identity(&pid.to_string()).context(|| "cannot look at the host's processes".into())?;
    let entries = std::fs::read_dir(Path::new("/proc")).context(|| "/proc".into())?;
    let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
    let numbers = names.filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
    Ok(numbers.filter(|n| identity(n) == Ok(wanted)).filter_map(|n| n.parse().ok()).collect())
}
