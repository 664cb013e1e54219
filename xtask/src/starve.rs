//! Rings of our own on a starved machine: four busy loops for each processor, every fifth packet lost, and daemons that
//! are stopped for less than the token timeout. Nobody may leave.

pub mod watch;

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
const STOPS_MS: &str = "020 050 080 120";
/// From the end of a daemon's stop to its next one; each node has its own, so that two may be stopped at a time.
const RUNS_MS: [u32; 3] = [700, 770, 850];
/// A longer stop is not shorter than the timeout, with what the loss of packets costs.
const STOP_MAX_MS: u64 = 250;
const PAUSE_BETWEEN: Duration = Duration::from_millis(700);
/// A longer standstill of a processor is the machine's, not the ring's.
const STILL_MAX_MS: u64 = STOP_MAX_MS;
/// A stop that lasts has its line only when it is over, and a daemon that did not run says so only when it runs again.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// A run may be begun anew once in so long, and once more.
const SPOILT_ONCE_IN: Duration = Duration::from_secs(20);
/// One line for each stop: how long it was, in ms, and when it ended.
const STOPS_LOG: &str = "/var/log/stops";
/// Stops of each node that a report names.
const SHOWN_STOPS: usize = 12;
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
    /// Processes that stop the daemons for a moment, again and again.
    stoppers: Vec<Child>,
    trouble: Trouble,
}

/// What a node has been through until now.
#[derive(Default, Clone, PartialEq, Eq)]
struct Trouble {
    stops: usize,
    /// Stops that were longer than they may be: who ends a stop is starved too.
    too_long: usize,
    /// Times that a daemon found itself not run for more than half of the token timeout.
    stalls: usize,
    /// Standstills of a processor.
    still: usize,
}

impl Trouble {
    fn spoils(&self, before: &Self) -> bool {
        (self.too_long, self.stalls, self.still) != (before.too_long, before.stalls, before.still)
    }

    fn since(&self, before: &Self) -> String {
        format!(
            "{} stops longer than {STOP_MAX_MS} ms, {} pauses that a daemon saw, {} standstills of the machine",
            self.too_long - before.too_long,
            self.stalls - before.stalls,
            self.still - before.still
        )
    }
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
        for client in self.clients.iter_mut().chain(&mut self.stoppers) {
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
    let loops = busy(time)?;
    for ring in &mut rings {
        ring.lose()?;
        ring.talk()?;
    }
    for ring in &mut rings {
        ring.stop_daemons(time)?;
    }
    let watch = watch::Watch::start(time)?;
    let start = Instant::now();
    let mut spoilt = 0u32;
    while start.elapsed() < time {
        for ring in &mut rings {
            spoilt += u32::from(ring.look(&watch, start.elapsed())?);
            ring.talk_on()?;
        }
        std::thread::sleep(PAUSE_BETWEEN);
    }
    drop(loops);
    let mut stops = 0;
    for ring in &mut rings {
        spoilt += u32::from(ring.look(&watch, start.elapsed())?);
        ring.trouble = ring.trouble(&watch)?;
        stops += ring.trouble.stops;
        eprintln!("  ring of {}: daemons were stopped {} times", ring.nodes, ring.trouble.stops);
    }
    // A run that was begun anew all the time, or in which nobody was stopped, has shown nothing.
    let may_be_spoilt = 1 + u32::try_from(time.as_secs() / SPOILT_ONCE_IN.as_secs()).unwrap_or(u32::MAX);
    if spoilt > may_be_spoilt || stops == 0 {
        return Err(format!(
            "the machine is too busy: {stops} stops, {spoilt} times begun anew as a daemon did not run for over \
             {STOP_MAX_MS} ms (at most {may_be_spoilt} times)"
        ));
    }
    eprintln!(
        "  ✓ no membership changed in {} s; {spoilt} times begun anew: a daemon did not run for over {STOP_MAX_MS} ms",
        time.as_secs()
    );
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

fn busy(time: Duration) -> Result<Loops, String> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut loops = Loops(Vec::new());
    for _ in 0..processors * LOOPS_PER_PROCESSOR {
        // They end by themselves, after so much processor time, should nobody be left to end them.
        let spin = format!("ulimit -t {}; while :; do :; done", (time + FORMED_WITHIN).as_secs());
        let child = Command::new("/bin/sh").args(["-c", &spin]).stdin(Stdio::null()).spawn();
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
            stoppers: Vec::new(),
            trouble: Trouble::default(),
        };
        for number in 1..=nodes {
            let text = configuration(nodes);
            ring.shell(number, &format!("cat > /etc/corosync/corosync.conf <<'E'\n{text}E\ntrue"))?;
            let mut daemon = ring.lab.command(&host(number), &["corosync", "-f"]);
            daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            ring.daemons.push(daemon.spawn().map_err(|error| error.to_string())?);
        }
        ring.await_whole()?;
        ring.before = ring.membership()?;
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

    /// Nobody may have left, unless a daemon did not run for too long: then true, and the ring is whole again.
    fn look(&mut self, watch: &watch::Watch, at: Duration) -> Result<bool, String> {
        let now = self.membership()?;
        let has_changed = now != self.before;
        if has_changed {
            std::thread::sleep(SETTLED_AFTER);
        }
        let trouble = self.trouble(watch)?;
        let at_s = at.as_secs();
        if trouble.spoils(&self.trouble) {
            let what = trouble.since(&self.trouble);
            eprintln!("  ring of {}, after {at_s} s: {what}", self.nodes);
            self.begin_anew(watch)?;
            return Ok(true);
        }
        if has_changed {
            let (before, nodes) = (&self.before, self.nodes);
            let report = self.report(watch);
            return Err(format!(
                "the ring of {nodes} changed after {at_s} s: from\n{before}to\n{now}{report}"
            ));
        }
        Ok(false)
    }

    /// What the machine and each node went through last.
    fn report(&self, watch: &watch::Watch) -> String {
        let still = watch.lines();
        let still = still.iter().rev().take(SHOWN_STOPS).rev().map(|line| format!("  {line}\n"));
        let line = format!(
            "tail -n 15 /var/log/corosync.log; echo 'last stops (ms, end):'; tail -n {SHOWN_STOPS} {STOPS_LOG}"
        );
        let texts = (1..=self.nodes)
            .map(|number| format!("nodo{number}:\n{}", self.shell(number, &line).unwrap_or_default()));
        format!("the machine:\n{}{}", still.collect::<String>(), texts.collect::<String>())
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

    /// Stops each daemon for a moment, again and again; with real-time priority, or a stop would last too long.
    fn stop_daemons(&mut self, time: Duration) -> Result<(), String> {
        for (number, runs_ms) in (1..=self.nodes).zip(RUNS_MS) {
            let stop = format!(
                "e=$(( $(date +%s) + {} )); p=$(pgrep -x corosync)
                 while [ $(date +%s) -lt $e ]; do
                   for m in {STOPS_MS}; do
                     a=$(date +%s%N); kill -STOP $p; sleep 0.$m; kill -CONT $p; b=$(date +%s%N)
                     echo $(( (b - a) / 1000000 )) $(date +%T.%3N) >> {STOPS_LOG}
                     sleep 0.{runs_ms}
                   done
                 done",
                time.as_secs()
            );
            let line = format!("if chrt -f 20 true; then exec chrt -f 20 sh -c '{stop}'; else {stop}; fi");
            let mut stopper = self.lab.command(&host(number), &["sh", "-c", &line]);
            stopper.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            self.stoppers.push(stopper.spawn().map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// A pause that was not shorter than the timeout may cost a member: waits until the ring is whole again.
    fn begin_anew(&mut self, watch: &watch::Watch) -> Result<(), String> {
        std::thread::sleep(PAUSE_BETWEEN);
        self.await_whole()?;
        self.before = self.membership()?;
        self.trouble = self.trouble(watch)?;
        Ok(())
    }

    fn trouble(&self, watch: &watch::Watch) -> Result<Trouble, String> {
        let line = format!(
            "touch {STOPS_LOG}; wc -l < {STOPS_LOG}; awk '$1 > {STOP_MAX_MS}' {STOPS_LOG} | wc -l; \
             grep -c 'Process pause detected' /var/log/corosync.log"
        );
        let mut sum = Trouble { still: watch.longer_than(STILL_MAX_MS), ..Trouble::default() };
        for number in 1..=self.nodes {
            let text = self.shell(number, &line)?;
            let numbers: Vec<usize> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
            let [stops, too_long, stalls] = numbers[..] else { return Err(format!("nodo{number}: {text}")) };
            sum.stops += stops;
            sum.too_long += too_long;
            sum.stalls += stalls;
        }
        Ok(sum)
    }
}
