//! Rings of our own on a starved machine: four busy loops for each processor, every fifth packet lost, and daemons that
//! are stopped for less than the token timeout. Nobody may leave.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::{Lab, LabOptions};

use crate::run::{command, is_root, target};

const DEFAULT_MINUTES: u64 = 10;
const RINGS: [u8; 2] = [2, 3];
const LOOPS_PER_PROCESSOR: usize = 4;
/// A packet passes two hosts, and each loses so much in each direction: together 20 %.
const LOSS_PERCENT: f64 = 10.56;
/// Daemons are stopped for this long in turn; the token timeout is 500 ms.
const STOPS_MS: [u32; 4] = [20, 50, 80, 120];
/// A longer stop is not shorter than the timeout, with what the loss of packets costs.
const STOP_MAX_MS: u64 = 250;
const PAUSE_BETWEEN: Duration = Duration::from_millis(700);
const FORMED_WITHIN: Duration = Duration::from_secs(60);
/// Round trips of one client before the next one starts.
const PINGS: &str = "200";

/// A ring in a lab of its own; taken down in the end.
struct Ring {
    lab: Lab,
    nodes: u8,
    daemons: Vec<Child>,
    /// Processes that send messages all the time.
    clients: Vec<Child>,
    before: String,
    /// Times that a daemon found itself not run for more than half of the token timeout.
    stalls: String,
}

/// Processes that do nothing, fast.
struct Loops(Vec<Child>);

impl Drop for Loops {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        for client in &mut self.clients {
            let _ = client.kill();
            let _ = client.wait();
        }
        // Nothing better can be done about a lab that does not go.
        let _ = self.lab.down();
        for daemon in &mut self.daemons {
            let _ = daemon.wait();
        }
    }
}

/// `[--minutes N]` or `[--seconds N]`.
///
/// # Errors
/// A lab that cannot be made, or a membership that has changed, with the logs.
pub fn starve(arguments: &[String]) -> Result<(), String> {
    let time = time(arguments)?;
    if !is_root() {
        return Err("busy loops beside rings in a lab need root (real-time priority)".into());
    }
    command("cargo", &["build", "--release", "--quiet", "--package", "relevo"])?;
    let program = target().join("release/relevo");
    let mut rings = Vec::new();
    for nodes in RINGS {
        rings.push(Ring::up(&program, nodes)?);
    }
    eprintln!("  rings of {RINGS:?} nodes, {} s", time.as_secs());
    let loops = busy()?;
    for ring in &mut rings {
        ring.lose()?;
        ring.talk()?;
    }
    let start = Instant::now();
    let (mut stops, mut too_long) = (0usize, 0usize);
    while start.elapsed() < time {
        for ring in &mut rings {
            let took_ms = ring.stop_one(stops)?;
            let stalls = ring.stalls()?;
            if took_ms > STOP_MAX_MS || stalls != ring.stalls {
                too_long += 1;
                ring.begin_anew()?;
            }
            ring.check(start.elapsed())?;
            ring.talk_on()?;
        }
        stops += 1;
        std::thread::sleep(PAUSE_BETWEEN);
    }
    drop(loops);
    for ring in &rings {
        ring.check(start.elapsed())?;
    }
    eprintln!(
        "  ✓ no membership changed in {} s; each ring had {stops} stopped daemons; {too_long} times not counted: a \
         daemon did not run for over {STOP_MAX_MS} ms",
        time.as_secs()
    );
    // A run in which most stops were too long has shown nothing.
    if too_long > stops {
        return Err("the machine is too busy: most stops were longer than they may be".into());
    }
    Ok(())
}

fn time(arguments: &[String]) -> Result<Duration, String> {
    let number = |text: &String| text.parse::<u64>().map_err(|_| format!("{text} is not a number"));
    match arguments {
        [] => Ok(Duration::from_secs(60 * DEFAULT_MINUTES)),
        [option, text] if option == "--minutes" => Ok(Duration::from_secs(60 * number(text)?)),
        [option, text] if option == "--seconds" => Ok(Duration::from_secs(number(text)?)),
        _ => Err("starve [--minutes N | --seconds N]".into()),
    }
}

fn busy() -> Result<Loops, String> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut loops = Loops(Vec::new());
    for _ in 0..processors * LOOPS_PER_PROCESSOR {
        let child = Command::new("/bin/sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
        loops.0.push(child.map_err(|error| error.to_string())?);
    }
    Ok(loops)
}

fn host(number: u8) -> String {
    format!("nodo{number}")
}

fn configuration(nodes: u8) -> String {
    let entries: String = (1..=nodes)
        .map(|number| {
            let last = 10 + u32::from(number);
            format!(
                " node {{\n  ring0_addr: 172.31.0.{last}\n  nodeid: {number}\n  name: nodo{number}\n }}\n"
            )
        })
        .collect();
    format!(
        "totem {{\n version: 2\n cluster_name: starved\n transport: udpu\n}}\n\
         quorum {{\n provider: corosync_votequorum\n}}\n\
         logging {{\n to_logfile: yes\n logfile: /var/log/corosync.log\n to_syslog: no\n}}\nnodelist {{\n{entries}}}\n"
    )
}

impl Ring {
    fn up(program: &std::path::Path, nodes: u8) -> Result<Self, String> {
        let mut options = LabOptions::new(program);
        options.nodes = nodes;
        let dir: PathBuf = std::env::temp_dir().join(format!("relevo-starve-{nodes}-{}", std::process::id()));
        options.dir = Some(dir);
        let lab = Lab::up(&options).map_err(|error| error.to_string())?;
        let mut ring = Self {
            lab,
            nodes,
            daemons: Vec::new(),
            clients: Vec::new(),
            before: String::new(),
            stalls: String::new(),
        };
        for number in 1..=nodes {
            let text = configuration(nodes);
            ring.shell(number, &format!("cat > /etc/corosync/corosync.conf <<'E'\n{text}E\ntrue"))?;
            let mut daemon = ring.lab.command(&host(number), &["corosync", "-f"]);
            daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            ring.daemons.push(daemon.spawn().map_err(|error| error.to_string())?);
        }
        ring.begin_anew()?;
        Ok(ring)
    }

    fn await_whole(&self) -> Result<(), String> {
        let start = Instant::now();
        while !self.is_whole() {
            if start.elapsed() > FORMED_WITHIN {
                return Err(format!("the ring of {} does not form\n{}", self.nodes, self.logs()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn shell(&self, number: u8, line: &str) -> Result<String, String> {
        let output = self.lab.shell(&host(number), line).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn is_whole(&self) -> bool {
        let members = format!("Nodes:            {}", self.nodes);
        (1..=self.nodes)
            .all(|number| self.shell(number, "corosync-quorumtool").is_ok_and(|text| text.contains(&members)))
    }

    /// Ring identity and memberships that were formed, on each node.
    fn membership(&self) -> Result<String, String> {
        let line = "corosync-quorumtool | grep '^Ring ID'; grep -c 'A new membership' /var/log/corosync.log";
        (1..=self.nodes).map(|number| self.shell(number, line)).collect()
    }

    fn check(&self, at: Duration) -> Result<(), String> {
        let now = self.membership()?;
        if now == self.before {
            return Ok(());
        }
        Err(format!(
            "the ring of {} changed after {} s: from\n{}to\n{now}{}",
            self.nodes,
            at.as_secs(),
            self.before,
            self.logs()
        ))
    }

    fn logs(&self) -> String {
        let line = "tail -n 15 /var/log/corosync.log";
        let texts = (1..=self.nodes)
            .map(|number| format!("nodo{number}:\n{}", self.shell(number, line).unwrap_or_default()));
        texts.collect()
    }

    fn lose(&self) -> Result<(), String> {
        for number in 1..=self.nodes {
            self.lab.loss(&host(number), LOSS_PERCENT).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Two clients: one asks, one answers.
    fn talk(&mut self) -> Result<(), String> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?.to_string_lossy().into_owned();
        let day_ms = "86400000";
        for (number, words) in [(2, ["__cpg", "echo", day_ms]), (1, ["__cpg", "ping", PINGS])] {
            let mut client = self.lab.command(&host(number), &[&[this.as_str()][..], &words].concat());
            client.stdin(Stdio::null()).stdout(Stdio::null());
            self.clients.push(client.spawn().map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// Starts the two anew when all questions are answered.
    fn talk_on(&mut self) -> Result<(), String> {
        let is_done = self.clients.last_mut().is_none_or(|asks| !matches!(asks.try_wait(), Ok(None)));
        if !is_done {
            return Ok(());
        }
        for mut client in self.clients.drain(..) {
            let _ = client.kill();
            let _ = client.wait();
        }
        self.talk()
    }

    /// Stops one daemon for a moment; how long it was really, in ms: who ends the stop is starved too.
    fn stop_one(&self, turn: usize) -> Result<u64, String> {
        let number = u8::try_from(turn % usize::from(self.nodes)).unwrap_or(0) + 1;
        let millis = STOPS_MS[turn / usize::from(self.nodes) % STOPS_MS.len()];
        let stop = format!(
            "p=$(pgrep -x corosync); a=$(date +%s%N); kill -STOP $p; sleep 0.{millis:03}; kill -CONT $p; \
             b=$(date +%s%N); echo $(( (b - a) / 1000000 ))"
        );
        let line = format!("if chrt -f 20 true; then chrt -f 20 sh -c '{stop}'; else {stop}; fi 2>/dev/null");
        let text = self.shell(number, &line)?;
        text.trim().parse().map_err(|_| format!("nodo{number}: {text}"))
    }

    /// A pause that was not shorter than the timeout may cost a member: waits until the ring is whole again.
    fn begin_anew(&mut self) -> Result<(), String> {
        std::thread::sleep(PAUSE_BETWEEN);
        self.await_whole()?;
        self.before = self.membership()?;
        self.stalls = self.stalls()?;
        Ok(())
    }

    fn stalls(&self) -> Result<String, String> {
        let line = "grep -c 'Process pause detected' /var/log/corosync.log";
        (1..=self.nodes).map(|number| self.shell(number, line)).collect()
    }
}
