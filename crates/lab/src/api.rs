//! The lab as a library: for tests, benches, the tour and the command line.

use crate::control;
use crate::error::{Context, Error, Result};
use crate::layout::{DIRECTORY_VARIABLE, Layout, Plan, Stack};
use crate::watch::{WatchOptions, WatchReport};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// How to make a lab.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// Number of nodes, 1 to 64.
    pub nodes: u8,
    pub stack: Stack,
    /// The multi-call program; usually the running one.
    pub program: PathBuf,
    /// Where to keep it; `None`: the usual place.
    pub dir: Option<PathBuf>,
}

impl LabOptions {
    /// Two nodes with our own stack, run by `program`.
    pub fn new(program: impl Into<PathBuf>) -> LabOptions {
        LabOptions {
            nodes: crate::layout::DEFAULT_NODES,
            stack: Stack::Relevo,
            program: program.into(),
            dir: None,
        }
    }
}

/// A lab that is up. Dropping it leaves it up; see [`Lab::down`].
#[derive(Clone, Debug)]
pub struct Lab {
    layout: Layout,
    plan: Plan,
}

impl Lab {
    /// Makes a lab and switches all its hosts on.
    pub fn up(options: &LabOptions) -> Result<Lab> {
        let layout = match &options.dir {
            Some(dir) => Layout { dir: dir.clone() },
            None => Layout::usual(),
        };
        if !(1..=crate::layout::MAX_NODES).contains(&options.nodes) {
            return Err(Error::Usage(format!(
                "--nodes takes a number from 1 to {}",
                crate::layout::MAX_NODES
            )));
        }
        if control::call(&layout.control(), &["status"]).is_ok() {
            return Err(Error::AlreadyUp(layout.dir));
        }
        crate::reference::ensure(options.stack)?;
        // What a lab left that ended without being taken down.
        let _ = std::fs::remove_dir_all(&layout.dir);
        let program = std::fs::canonicalize(&options.program)
            .context(|| format!("cannot find {}", options.program.display()))?;
        let plan = Plan { nodes: options.nodes, stack: options.stack, program };
        make_directory(&layout)?;
        std::fs::write(layout.plan_file(), plan.encode()).context(|| "cannot write the plan".into())?;
        let lab = Lab { layout, plan };
        if let Err(e) = lab.start_keeper() {
            let _ = std::fs::remove_dir_all(&lab.layout.dir);
            return Err(e);
        }
        Ok(lab)
    }

    /// The lab that is up in the usual place or in `dir`.
    pub fn attach(dir: Option<PathBuf>) -> Result<Lab> {
        let layout = dir.map_or_else(Layout::usual, |dir| Layout { dir });
        let plan = layout.plan()?;
        let lab = Lab { layout, plan };
        lab.order(&["status"])?;
        Ok(lab)
    }

    fn start_keeper(&self) -> Result<()> {
        let log =
            std::fs::File::create(self.layout.keeper_log()).context(|| "cannot write the log".into())?;
        let mut keeper = Command::new(&self.plan.program)
            .args(["lab", "__keeper"])
            .env(DIRECTORY_VARIABLE, &self.layout.dir)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context(|| format!("cannot start {}", self.plan.program.display()))?;
        let mut said = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            // A keeper that dies closes the pipe: an empty answer.
            let _ = BufReader::new(stdout).take(64).read_line(&mut said);
        }
        if said == "ready\n" {
            return Ok(());
        }
        let _ = keeper.wait();
        let reason = std::fs::read_to_string(self.layout.keeper_log()).unwrap_or_default();
        Err(Error::Failed(reason.trim().trim_start_matches("relevo lab: ").to_owned()))
    }

    /// Where the lab keeps its files.
    pub fn dir(&self) -> &std::path::Path {
        &self.layout.dir
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn order(&self, words: &[&str]) -> Result<String> {
        let answer = match control::call(&self.layout.control(), words) {
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Err(Error::NotUp);
            }
            other => other.context(|| "the lab's keeper does not answer".into())?,
        };
        if answer.status == 0 { Ok(answer.stdout) } else { Err(Error::Failed(answer.stderr)) }
    }

    fn order_for(&self, what: &str, host: &str) -> Result<()> {
        let host = self.plan.host(host)?;
        self.order(&[what, &host.name]).map(drop)
    }

    /// Number of a host's process 1.
    pub fn pid(&self, host: &str) -> Result<i32> {
        let name = self.plan.host(host)?.name;
        let text = self.order(&["pid", &name])?;
        text.parse().map_err(|_| Error::Failed("the lab's keeper talks nonsense".into()))
    }

    /// Ends all processes of the lab and removes its files.
    pub fn down(&self) -> Result<()> {
        self.order(&["down"]).map(drop)
    }

    /// One line per host: name, address, hardware address, state, separated by tabs.
    pub fn status(&self) -> Result<String> {
        self.order(&["status"])
    }

    /// Unplugs a host's cable at the switch.
    pub fn cut(&self, host: &str) -> Result<()> {
        self.order_for("cut", host)
    }

    /// Plugs it in again.
    pub fn heal(&self, host: &str) -> Result<()> {
        self.order_for("heal", host)
    }

    /// A power cut: every process ends at once, and nothing more leaves the host.
    pub fn kill(&self, host: &str) -> Result<()> {
        self.order_for("kill", host)
    }

    /// Switches a host on; its /etc, /var/lib and /var/log are as they were.
    pub fn boot(&self, host: &str) -> Result<()> {
        self.order_for("boot", host)
    }

    /// Stops every process of a host where it is (its kernel goes on answering pings).
    pub fn freeze(&self, host: &str) -> Result<()> {
        self.order_for("freeze", host)
    }

    pub fn thaw(&self, host: &str) -> Result<()> {
        self.order_for("thaw", host)
    }

    /// Loses a share of a host's frames in both directions; 0 to 100, to two decimals.
    pub fn loss(&self, host: &str, percent: f64) -> Result<()> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(Error::Usage("the loss is a number from 0 to 100".into()));
        }
        let name = self.plan.host(host)?.name;
        self.order(&["loss", &name, &((percent * 100.0).round() as u32).to_string()]).map(drop)
    }

    /// A command that runs in a host; set its streams and start it.
    pub fn command<S: AsRef<OsStr>>(&self, host: &str, words: &[S]) -> Command {
        let mut command = Command::new(&self.plan.program);
        command.args(["lab", "exec", host, "--"]).args(words).env(DIRECTORY_VARIABLE, &self.layout.dir);
        command
    }

    /// Runs a program in a host and collects its output.
    pub fn exec<S: AsRef<OsStr>>(&self, host: &str, words: &[S]) -> Result<Output> {
        let mut command = self.command(host, words);
        command.stdin(Stdio::null()).output().context(|| "cannot run a program in the host".into())
    }

    /// Runs a shell command line in a host.
    pub fn shell(&self, host: &str, line: &str) -> Result<Output> {
        self.exec(host, &["/bin/sh", "-c", line])
    }

    /// Starts watching an address from `host`; wait for the report with [`Watch::finish`].
    pub fn watch(&self, options: &WatchOptions) -> Result<Watch> {
        let mut command = Command::new(&self.plan.program);
        command.args(["lab", "watch", &options.address.to_string(), "--lines"]);
        command.args([
            "--seconds",
            &options.seconds.to_string(),
            "--interval-ms",
            &options.interval_ms.to_string(),
        ]);
        command.env(DIRECTORY_VARIABLE, &self.layout.dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Watch { child: command.spawn().context(|| "cannot start watching".into())? })
    }
}

/// A watch that is under way.
#[derive(Debug)]
pub struct Watch {
    child: Child,
}

impl Watch {
    /// Ends the watch now and returns what it saw.
    pub fn finish(mut self) -> Result<WatchReport> {
        // The end of its standard input ends it.
        drop(self.child.stdin.take());
        let output = self.child.wait_with_output().context(|| "cannot wait for the watch".into())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        WatchReport::decode(&text).ok_or_else(|| Error::Failed("the watch did not report".into()))
    }
}

fn make_directory(layout: &Layout) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let make = || {
        if let Some(parent) = layout.dir.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::DirBuilder::new().mode(0o700).create(&layout.dir)
    };
    make().context(|| format!("cannot make {}", layout.dir.display()))
}
