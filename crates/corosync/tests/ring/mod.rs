//! Rings of our daemon and Debian's in network namespaces, with cables that can be cut.

#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

pub const OURS: &str = env!("CARGO_BIN_EXE_corosync");
const REFERENCE: &str = "/usr/sbin/corosync";
/// Key file of each node at the start.
pub const KEY_BYTES: usize = 256;

/// One ring at a time: what is measured must not depend on how many tests share the processors.
static TURN: Mutex<()> = Mutex::new(());
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A ring with its hosts; taken down in the end.
pub struct Ring {
    /// A letter for each node: `o` runs our daemon, `d` Debian's.
    kinds: String,
    pub links: usize,
    pub totem: String,
    /// Distinguishes the namespaces from those of others.
    prefix: String,
    dir: PathBuf,
    hosts: BTreeMap<usize, Child>,
    daemons: BTreeMap<usize, Child>,
    _turn: MutexGuard<'static, ()>,
}

fn sh(line: &str) -> Result<(), String> {
    let output = Command::new("/bin/sh").args(["-c", line]).output().map_err(|e| e.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Why rings cannot be made here, if so.
fn obstacle(kinds: &str) -> Option<String> {
    if kinds.contains('d') && !Path::new(REFERENCE).exists() {
        return Some("Debian's corosync is not installed".to_owned());
    }
    let probe = format!("kt{}p", std::process::id());
    let made = sh(&format!(
        "ip netns add {probe} && ip -n {probe} link add v0 type veth peer name v1 && unshare -m true"
    ));
    let _ = sh(&format!("ip netns del {probe}"));
    made.err()
}

impl Ring {
    /// Hosts with their cables and configuration; no daemon runs yet. `None` when that cannot be done here.
    pub fn new(kinds: &str, links: usize, totem: &str) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(obstacle) = obstacle(kinds) {
            println!("LEFT OUT: ring {kinds}: {obstacle}");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("kt{}x{number}", std::process::id());
        let dir = std::env::temp_dir().join(&prefix);
        let mut ring = Self {
            kinds: kinds.to_owned(),
            links,
            totem: totem.to_owned(),
            prefix,
            dir,
            hosts: BTreeMap::new(),
            daemons: BTreeMap::new(),
            _turn: turn,
        };
        ring.build().unwrap();
        Some(ring)
    }

    pub fn nodes(&self) -> core::ops::RangeInclusive<usize> {
        1..=self.kinds.len()
    }

    /// IPv6 if the configuration asks for it.
    fn address(&self, node: usize, link: usize) -> String {
        let last = 10 + node;
        if self.totem.contains("ip_version: ipv6") {
            format!("fd00:7{link}::{last}")
        } else {
            format!("10.7{link}.0.{last}")
        }
    }

    fn host_dir(&self, node: usize) -> PathBuf {
        self.dir.join(format!("n{node}"))
    }

    fn build(&mut self) -> Result<(), String> {
        let prefix = self.prefix.clone();
        let switch = format!("{prefix}s");
        sh(&format!("ip netns add {switch}"))?;
        for link in 0..self.links {
            sh(&format!(
                "ip -n {switch} link add br{link} type bridge && ip -n {switch} link set br{link} up"
            ))?;
        }
        for node in self.nodes() {
            let host = format!("{prefix}n{node}");
            sh(&format!("ip netns add {host} && ip -n {host} link set lo up"))?;
            for link in 0..self.links {
                let address = self.address(node, link);
                let options = if address.contains(':') { "/64 nodad" } else { "/24" };
                sh(&format!(
                    "ip -n {host} link add e{link} type veth peer name p{node}_{link} netns {switch} && \
                     ip -n {switch} link set p{node}_{link} master br{link} up && \
                     ip -n {host} addr add {address}{options} dev e{link} && ip -n {host} link set e{link} up"
                ))?;
            }
            let etc = self.host_dir(node).join("etc");
            fs::create_dir_all(&etc).map_err(|e| e.to_string())?;
            let key: Vec<u8> = (0..=255).collect();
            fs::write(etc.join("authkey"), &key[..KEY_BYTES]).map_err(|e| e.to_string())?;
            let bin = self.host_dir(node).join("bin");
            fs::create_dir_all(&bin).map_err(|e| e.to_string())?;
            let child = self.boot(node)?;
            self.hosts.insert(node, child);
        }
        self.configure();
        Ok(())
    }

    /// A process that keeps the namespaces of a host.
    fn boot(&self, node: usize) -> Result<Child, String> {
        let dir = self.host_dir(node);
        let dir = dir.display();
        let script = format!(
            "set -e; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /run
             mkdir -p {dir}/log {dir}/lib /var/log/corosync /var/lib/corosync /etc/corosync
             mount --bind {dir}/log /var/log/corosync; mount --bind {dir}/lib /var/lib/corosync
             mount --bind {dir}/etc /etc/corosync; hostname w{node}; echo ready; exec sleep 3600"
        );
        let host = format!("{}n{node}", self.prefix);
        let mut child = Command::new("ip")
            .args(["netns", "exec", &host, "unshare", "-m", "-u", "--propagation", "private"])
            .args(["/bin/sh", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut line).map_err(|e| e.to_string())?;
        if line == "ready\n" { Ok(child) } else { Err(format!("host {node} does not come up")) }
    }

    /// Writes the configuration of all nodes as it is meant now.
    pub fn configure(&self) {
        for node in self.nodes() {
            fs::write(self.host_dir(node).join("etc/corosync.conf"), self.configuration()).unwrap();
        }
    }

    /// Gives all nodes another key file.
    pub fn write_key(&self, factor: u8) {
        let key: Vec<u8> = (0..=255u8).map(|n| n.wrapping_mul(factor).wrapping_add(7)).collect();
        for node in self.nodes() {
            fs::write(self.host_dir(node).join("etc/authkey"), &key).unwrap();
        }
    }

    fn configuration(&self) -> String {
        let mut text =
            format!("totem {{\n version: 2\n cluster_name: wire\n{}\n}}\nnodelist {{\n", self.totem);
        for node in self.nodes() {
            text.push_str(" node {\n");
            for link in 0..self.links {
                text.push_str(&format!("  ring{link}_addr: {}\n", self.address(node, link)));
            }
            text.push_str(&format!("  name: w{node}\n  nodeid: {node}\n }}\n"));
        }
        text.push_str(
            "}\nquorum {\n provider: corosync_votequorum\n}\nsystem {\n sched_rr: no\n move_to_root_cgroup: no\n}\n\
             logging {\n to_logfile: yes\n logfile: /var/log/corosync/corosync.log\n to_syslog: no\n timestamp: hires\n}\n",
        );
        text
    }

    /// The address of a node on its first link.
    pub fn first_address(&self, node: usize) -> String {
        self.address(node, 0)
    }

    /// A program on a host of its own at the switch, which sees all frames of the first link.
    pub fn on_the_wire(&self, program: &Path) -> Command {
        let switch = format!("{}s", self.prefix);
        sh(&format!("ip -n {switch} addr replace 10.70.0.66/24 dev br0")).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &switch]).arg(program);
        command
    }

    /// The daemon of a node still runs.
    pub fn is_alive(&mut self, node: usize) -> bool {
        self.daemons.get_mut(&node).is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Memory of a node's daemon, in KiB.
    pub fn memory_kib(&self, node: usize) -> u64 {
        let pid = self.daemons[&node].id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("");
        line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// A command in the namespaces of a host.
    fn command(&self, node: usize, program: &Path) -> Command {
        let pid = self.hosts[&node].id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "-m", "-u", "-n"]).arg(program);
        command
    }

    /// Runs a line in a shell of a host; its output.
    pub fn shell(&self, node: usize, line: &str) -> String {
        let output =
            self.command(node, Path::new("/bin/sh")).args(["-c", &format!("{line} 2>&1")]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// One of our tools on a host.
    pub fn tool(&self, node: usize, name: &str, args: &str) -> String {
        let link = self.host_dir(node).join("bin").join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(OURS, &link).unwrap();
        }
        self.shell(node, &format!("{} {args}", link.display()))
    }

    pub fn start(&mut self, node: usize) {
        let program = if self.kinds.as_bytes()[node - 1] == b'd' { REFERENCE } else { OURS };
        let out = File::create(self.host_dir(node).join("out")).unwrap();
        let mut command = self.command(node, Path::new(program));
        let child = command.arg("-f").stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        self.daemons.insert(node, child);
    }

    /// Starts all daemons and waits for the ring. Returns how long that took.
    pub fn up(&mut self) -> Duration {
        for node in self.nodes() {
            self.start(node);
        }
        let all: Vec<usize> = self.nodes().collect();
        self.wait_members(&all, &all)
    }

    /// Ends a daemon without a word (SIGKILL).
    pub fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.daemons.remove(&node) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn members(&self, node: usize) -> Vec<usize> {
        let text = self.tool(node, "corosync-quorumtool", "-l");
        text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
    }

    /// Waits until these nodes have these members. Returns how long that took.
    pub fn wait_members(&self, nodes: &[usize], members: &[usize]) -> Duration {
        self.until(&format!("{nodes:?} have members {members:?}"), |ring| {
            nodes.iter().all(|node| ring.members(*node) == members)
        })
    }

    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Duration {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < Duration::from_secs(30), "not in time: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(10));
        }
        start.elapsed()
    }

    /// Pulls or plugs the cable of a node's link at the switch.
    pub fn set_cable(&self, node: usize, link: usize, plugged: bool) {
        let state = if plugged { "up" } else { "down" };
        sh(&format!("ip -n {}s link set p{node}_{link} {state}", self.prefix)).unwrap();
    }

    /// Lets a node lose this share of what arrives, in percent; 0 ends it.
    pub fn set_loss(&self, node: usize, percent: u32) {
        let rule = format!(
            "nft add table inet loss && nft add chain inet loss in '{{ type filter hook input priority 0; }}' && \
             nft add rule inet loss in numgen random mod 100 '<' {percent} iif != lo drop"
        );
        let line = if percent == 0 { "nft delete table inet loss".to_owned() } else { rule };
        let text = self.shell(node, &line);
        assert!(text.is_empty(), "{line}: {text}");
    }

    /// Throws away what a node sends over a link, or what arrives (`output`, `input`).
    pub fn set_one_way(&self, node: usize, link: usize, direction: &str) {
        let (hook, iface) = if direction == "output" { ("output", "oif") } else { ("input", "iif") };
        let line = format!(
            "nft add table inet way && nft add chain inet way c '{{ type filter hook {hook} priority 0; }}' && \
             nft add rule inet way c {iface} e{link} udp dport 5405-5412 drop"
        );
        let text = self.shell(node, &line);
        assert!(text.is_empty(), "{line}: {text}");
    }

    pub fn logs(&self) -> String {
        let mut text = String::new();
        for node in self.nodes() {
            let log = fs::read(self.host_dir(node).join("log/corosync.log")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log).into_owned();
            let lines: Vec<&str> = log.lines().collect();
            text.push_str(&format!(
                "--- node {node}\n{}\n",
                lines[lines.len().saturating_sub(30)..].join("\n")
            ));
        }
        text
    }

    // ---- load

    /// Starts the load program on all nodes.
    pub fn begin_load(&self, messages: usize, largest: usize, pause_us: u64) -> Load {
        let program = load_program();
        // A group of its own: the leave of an earlier load's member may come after the join of this one's.
        let group = format!("load{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut members = Vec::new();
        for node in self.nodes() {
            let out = self.host_dir(node).join("load");
            let child = self
                .command(node, &program)
                .args([&group, &self.kinds.len().to_string(), &messages.to_string()])
                .args([largest.to_string(), pause_us.to_string()])
                .stdout(File::create(&out).unwrap())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            members.push((child, out));
        }
        Load { members, expected: messages * self.kinds.len() }
    }

    /// All nodes send and all get the same in the same order.
    pub fn load(&self, messages: usize, largest: usize, pause_us: u64) {
        self.begin_load(messages, largest, pause_us).end(self);
    }
}

/// The load program on all nodes.
pub struct Load {
    members: Vec<(Child, PathBuf)>,
    expected: usize,
}

impl Load {
    /// Waits for the end and compares: the same messages in the same order everywhere, none lost, and no
    /// change of the membership in between.
    pub fn end(self, ring: &Ring) {
        let mut first: Option<String> = None;
        for (child, out) in self.members {
            let output = child.wait_with_output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "load: {error}\n{}", ring.logs());
            let text = fs::read_to_string(out).unwrap();
            let text = text.split_once("start\n").expect("all members joined").1.to_owned();
            let changes: Vec<&str> = text.lines().filter(|line| line.starts_with("members")).collect();
            assert!(changes.is_empty(), "the membership changed: {changes:?}\n{}", ring.logs());
            assert_eq!(text.lines().filter(|line| line.starts_with("message")).count(), self.expected);
            match &first {
                Some(first) => assert!(*first == text, "the order differs"),
                None => first = Some(text),
            }
        }
    }
}

/// The example `cpg_load`, built if need be.
fn load_program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| example("cpg_load")).clone()
}

/// An example of this crate, built if need be.
pub fn example(name: &str) -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "corosync", "--example", name]);
    let dir = Path::new(OURS).parent().unwrap();
    if dir.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "{name} cannot be built");
    dir.join("examples").join(name)
}

impl Drop for Ring {
    fn drop(&mut self) {
        for child in self.daemons.values_mut() {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
        }
        let deadline = Instant::now() + Duration::from_secs(3);
        for child in self.daemons.values_mut() {
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        for child in self.daemons.values_mut().chain(self.hosts.values_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
        for node in self.nodes() {
            let _ = sh(&format!("ip netns del {}n{node}", self.prefix));
        }
        let _ = sh(&format!("ip netns del {}s", self.prefix));
        let _ = fs::remove_dir_all(&self.dir);
    }
}
