//! Hosts with one engine on each, and what is measured on them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lab::{Lab, LabOptions};

/// The same key for all.
const KEY_COMMAND: &str =
    "head -c 256 /dev/zero | tr '\\0' k > /etc/corosync/authkey && chmod 400 /etc/corosync/authkey";
const PINGS: u64 = 40;
/// Messages a second of a load that both engines carry easily.
pub const PACE: &str = "10000";
/// How long the load lasts beside which round trips are measured.
const LOAD_MS: &str = "3600";
/// How long the echo lives.
const ECHO_MS: &str = "3000";
/// How long a ring may take to form.
const FORMATION_MS: &str = "80000";
const PATIENCE: Duration = Duration::from_secs(90);
/// Clock ticks per second in /proc (the kernel's user-visible constant).
const TICKS_PER_SECOND: f64 = 100.0;

/// What else the ring carries while a round trip is measured.
#[derive(Debug, Clone, Copy)]
pub enum Beside {
    Nothing,
    /// [`PACE`] messages of 1 KiB a second.
    Paced,
    /// As many as the engine takes.
    Flood,
}

/// Hosts with one engine on each; taken down in the end.
pub struct Ring {
    lab: Lab,
    nodes: u8,
    client: PathBuf,
    engine: &'static str,
    daemons: Vec<Child>,
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Nothing better can be done about a lab that does not go.
        let _ = self.lab.down();
        for daemon in &mut self.daemons {
            let _ = daemon.wait();
        }
    }
}

fn host(number: u8) -> String {
    format!("nodo{number}")
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 31, 0, 10 + number)
}

fn config(totem: &str, nodes: u8) -> String {
    let mut text = format!(
        "totem {{\n version: 2\n cluster_name: bench\n {totem}\n}}\nquorum {{\n provider: corosync_votequorum\n}}\n\
         logging {{\n to_logfile: yes\n logfile: /var/log/corosync.log\n to_syslog: no\n}}\nnodelist {{\n"
    );
    for number in 1..=nodes {
        text.push_str(&format!(
            " node {{\n  ring0_addr: {}\n  nodeid: {number}\n  name: nodo{number}\n }}\n",
            address(number)
        ));
    }
    text.push_str("}\n");
    text
}

impl Ring {
    /// Hosts with the configuration, nothing started.
    pub fn hosts(program: &Path, engine: &'static str, totem: &str, nodes: u8) -> Result<Ring, String> {
        let mut options = LabOptions::new(program);
        options.nodes = nodes;
        let kind = if engine.starts_with('/') { "reference" } else { "own" };
        options.dir = Some(std::env::temp_dir().join(format!("relevo-ring-{kind}-{}", std::process::id())));
        let lab = Lab::up(&options).map_err(|error| error.to_string())?;
        let client = program.with_file_name("xtask");
        let ring = Ring { lab, nodes, client, engine, daemons: Vec::new() };
        let text = config(totem, nodes);
        for number in 1..=nodes {
            let line = format!("cat > /etc/corosync/corosync.conf <<'E'\n{text}E\n{KEY_COMMAND}");
            ring.must(&host(number), &line)?;
        }
        Ok(ring)
    }

    fn must(&self, host: &str, line: &str) -> Result<String, String> {
        let output = self.lab.shell(host, line).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        Err(format!("{host}: {line}: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    fn start(&mut self, number: u8) -> Result<(), String> {
        let mut command = self.lab.command(&host(number), &[self.engine, "-f"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemons.push(command.spawn().map_err(|error| error.to_string())?);
        Ok(())
    }

    fn client(&self, number: u8, words: &[&str]) -> Result<Child, String> {
        let mut all = vec![self.client.to_string_lossy().into_owned(), "__cpg".to_owned()];
        all.extend(words.iter().map(|word| (*word).to_owned()));
        let mut command = self.lab.command(&host(number), &all);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().map_err(|error| error.to_string())
    }

    /// Starts all engines; gives the time until every node lists all of them.
    pub fn form(&mut self) -> Result<Duration, String> {
        let watchers: Result<Vec<Child>, String> =
            (1..=self.nodes).map(|number| self.client(number, &["watch", FORMATION_MS])).collect();
        let watchers = watchers?;
        let start_ms = sys::clock::monotonic_ms();
        for number in 1..=self.nodes {
            self.start(number)?;
        }
        let mut last_ms = start_ms;
        for watcher in watchers {
            let at_ms =
                await_line(watcher, |line| ring_line(line).filter(|(_, n)| *n == u64::from(self.nodes)))?;
            last_ms = last_ms.max(at_ms.0);
        }
        Ok(Duration::from_millis(last_ms - start_ms))
    }

    fn daemon_pid(&self, number: u8) -> Result<String, String> {
        let text = self.must(&host(number), "pgrep -x corosync || pgrep -f 'corosync -f'")?;
        text.split_whitespace().next().map(str::to_owned).ok_or_else(|| "no corosync runs".to_owned())
    }

    /// Messages per second that node 1 gets while all nodes send.
    pub fn throughput(&self, size: u64, millis: u64) -> Result<f64, String> {
        let (size, millis, members) = (size.to_string(), millis.to_string(), self.nodes.to_string());
        let children: Result<Vec<Child>, String> = (1..=self.nodes)
            .map(|number| self.client(number, &["flood", &size, &millis, &members]))
            .collect();
        let mut rates = Vec::new();
        for child in children? {
            rates.extend(numbers(child)?);
        }
        rates.first().copied().ok_or_else(|| "the flood did not report".to_owned())
    }

    /// Round trips between two nodes in ms.
    pub fn latency(&self, beside: Beside) -> Result<Vec<f64>, String> {
        let load = |rate: &str| self.client(self.nodes, &["flood", "1024", LOAD_MS, "1", rate]).map(Some);
        let load = match beside {
            Beside::Nothing => None,
            Beside::Paced => load(PACE)?,
            Beside::Flood => load("0")?,
        };
        let mut echo = self.client(2, &["echo", ECHO_MS])?;
        let times = numbers(self.client(1, &["ping", &PINGS.to_string()])?)?;
        echo.wait().map_err(|error| error.to_string())?;
        if let Some(load) = load {
            numbers(load)?;
        }
        Ok(times.into_iter().map(|us| us / 1000.0).collect())
    }

    /// Round trips in ms without an engine, between the first two hosts.
    pub fn bare(&self) -> Result<Vec<f64>, String> {
        let [first, second] = [1, 2].map(|number| address(number).to_string());
        let mut others = vec![
            self.client(1, &["bare-relay", &first, &second, ECHO_MS])?,
            self.client(2, &["bare-relay", &second, &first, ECHO_MS])?,
            self.client(2, &["bare-echo", ECHO_MS])?,
        ];
        std::thread::sleep(Duration::from_millis(200));
        let times = numbers(self.client(1, &["bare-ping", &PINGS.to_string()])?)?;
        for other in &mut others {
            other.wait().map_err(|error| error.to_string())?;
        }
        Ok(times.into_iter().map(|us| us / 1000.0).collect())
    }

    /// Kills the engine of the last node; time until the first has a ring without it, in ms.
    pub fn kill(&mut self) -> Result<f64, String> {
        let watcher = self.client(1, &["watch", "30000"])?;
        std::thread::sleep(Duration::from_millis(800));
        let pid = self.daemon_pid(self.nodes)?;
        let killed_ms = sys::clock::monotonic_ms();
        self.must(&host(self.nodes), &format!("kill -9 {pid}"))?;
        let rest = u64::from(self.nodes - 1);
        let (at_ms, _) =
            await_line(watcher, |line| ring_line(line).filter(|(at, n)| *n == rest && *at >= killed_ms))?;
        let nodes = self.nodes;
        self.start(nodes)?;
        self.await_members()?;
        Ok((at_ms - killed_ms) as f64)
    }

    fn await_members(&self) -> Result<(), String> {
        let watcher = self.client(1, &["watch", "30000"])?;
        await_line(watcher, |line| ring_line(line).filter(|(_, n)| *n == u64::from(self.nodes))).map(drop)
    }

    /// Processor time of the first node's daemon so far.
    pub fn processor_seconds(&self) -> Result<f64, String> {
        let pid = self.daemon_pid(1)?;
        let stat = self.must("nodo1", &format!("cat /proc/{pid}/stat"))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let field = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        // utime and stime, proc(5).
        Ok((field(11) + field(12)) / TICKS_PER_SECOND)
    }

    /// Resident memory of the first node's daemon.
    pub fn megabytes(&self) -> Result<f64, String> {
        let pid = self.daemon_pid(1)?;
        let status = self.must("nodo1", &format!("grep VmRSS /proc/{pid}/status"))?;
        let kilobytes = status.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok());
        Ok(kilobytes.unwrap_or(0.0) / 1024.0)
    }
}

/// `MILLISECONDS MEMBERS`.
fn ring_line(line: &str) -> Option<(u64, u64)> {
    let (at, members) = line.split_once(' ')?;
    Some((at.parse().ok()?, members.parse().ok()?))
}

/// What the first line says that is wanted; the client is ended.
fn await_line<T>(mut child: Child, wanted: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    use std::io::{BufRead as _, BufReader};
    let start = Instant::now();
    let stdout = child.stdout.take().ok_or("no output")?;
    let found = BufReader::new(stdout)
        .lines()
        .map_while(Result::ok)
        .take_while(|_| start.elapsed() < PATIENCE)
        .find_map(|line| wanted(&line));
    let _ = child.kill();
    let _ = child.wait();
    found.ok_or_else(|| "the ring did not get there in time".to_owned())
}

fn numbers(child: Child) -> Result<Vec<f64>, String> {
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(format!("a client of the benchmark failed: {text}"));
    }
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}
