//! The whole program in a lab of hosts: the tutorial as it is typed, then faults, then wrong input.
//!
//! Each test has a lab of its own. Where namespaces cannot be made the tests say that they were left
//! out.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lab::{Lab, LabOptions, WatchOptions};

const PROGRAM: &str = env!("CARGO_BIN_EXE_relevo");
const PATIENCE: Duration = Duration::from_secs(30);
const VIP: &str = " 172.31.0.100/";

/// One lab at a time: what is measured must not depend on how many tests share the processors.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lab with its directory; taken down in the end.
struct Cluster {
    lab: Lab,
    nodes: u8,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.lab.down();
    }
}

fn directory(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("relevo-test-{name}-{}", std::process::id()))
}

/// A cluster of some nodes with the floating address of the tutorial; `None` without namespaces.
fn cluster(name: &str, nodes: u8) -> Option<Cluster> {
    let turn = turn();
    let mut options = LabOptions::new(PROGRAM);
    options.nodes = nodes;
    options.dir = Some(directory(name));
    let lab = match Lab::up(&options) {
        Ok(lab) => lab,
        Err(error) => {
            println!("LEFT OUT: no lab can be made here: {error}");
            return None;
        }
    };
    let cluster = Cluster { lab, nodes, _turn: turn };
    let list: Vec<String> =
        (1..=nodes).map(|n| format!("nodo{n}.example.com addr=172.31.0.{}", 10 + u32::from(n))).collect();
    for n in 1..=nodes {
        cluster.ok(&format!("nodo{n}"), "echo hacluster:hapass | chpasswd");
    }
    cluster.until("pcsd answers", |c| {
        c.run("nodo1", &format!("pcs host auth {} -u hacluster -p hapass", list.join(" "))).0 == 0
    });
    cluster.ok("nodo1", &format!("pcs cluster setup cluster1 {} transport udp --force", list.join(" ")));
    cluster.ok("nodo1", "pcs cluster start --all");
    cluster.ok("nodo1", "pcs cluster enable --all");
    cluster.all_online();
    for line in [
        "pcs property set stonith-enabled=false",
        "pcs resource create CLUSTER_IP ocf:heartbeat:IPaddr2 ip=172.31.0.100 cidr_netmask=16 op monitor interval=60s",
    ] {
        cluster.ok("nodo1", line);
    }
    cluster.until("the address is somewhere", |c| c.holders().len() == 1);
    Some(cluster)
}

impl Cluster {
    fn run(&self, host: &str, line: &str) -> (i32, String) {
        let output = self.lab.shell(host, &format!("{line} 2>&1")).unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn ok(&self, host: &str, line: &str) -> String {
        let (status, text) = self.run(host, line);
        assert_eq!(status, 0, "{host}: {line}\n{text}");
        text
    }

    /// Runs what must be refused, with these words, and changes nothing.
    fn refused(&self, line: &str, words: &str) {
        let before = self.ok("nodo1", "cibadmin -Q -o configuration");
        let (status, text) = self.run("nodo1", line);
        assert_ne!(status, 0, "{line} was accepted\n{text}");
        assert!(text.contains(words), "{line} does not say '{words}'\n{text}");
        assert_eq!(self.ok("nodo1", "cibadmin -Q -o configuration"), before, "{line} changed something");
    }

    fn until(&self, what: &str, holds: impl Fn(&Cluster) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "not in time: {what}\n{}", self.state());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn state(&self) -> String {
        let nodes = (1..=self.nodes).map(|n| format!("nodo{n}"));
        nodes.map(|node| format!("{node}: {}\n", self.run(&node, "crm_mon -1; ip -4 -o addr").1)).collect()
    }

    fn all_online(&self) {
        let names: Vec<String> = (1..=self.nodes).map(|n| format!("nodo{n}.example.com")).collect();
        let line = format!("Online: [ {} ]", names.join(" "));
        self.until("all nodes are online", |c| {
            (1..=c.nodes).all(|n| c.run(&format!("nodo{n}"), "crm_mon -1").1.contains(&line))
        });
    }

    /// Nodes that have the floating address.
    fn holders(&self) -> Vec<String> {
        let nodes = (1..=self.nodes).map(|n| format!("nodo{n}"));
        nodes.filter(|node| self.has_address(node)).collect()
    }

    fn has_address(&self, node: &str) -> bool {
        self.lab
            .shell(node, "ip -4 -o addr show")
            .is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains(VIP))
    }

    fn ring(&self, node: &str) -> String {
        let text = self.run(node, "corosync-quorumtool").1;
        text.lines().find(|line| line.starts_with("Ring ID")).unwrap_or("").to_string()
    }

    fn active_and_other(&self) -> (String, String) {
        let holders = self.holders();
        assert_eq!(holders.len(), 1, "{}", self.state());
        let other = if holders[0] == "nodo1" { "nodo2" } else { "nodo1" };
        (holders[0].clone(), other.to_string())
    }
}

#[test]
fn the_tutorial_as_it_is_typed() {
    let _turn = turn();
    let output = Command::new(PROGRAM)
        .args(["lab", "tour"])
        .env("RELEVO_LAB_DIR", directory("tour"))
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if text.contains("cannot make namespaces") {
        println!("LEFT OUT: {text}");
        return;
    }
    assert!(output.status.success() && text.contains(" 0 failed"), "{text}");
}

#[test]
fn nodes_that_are_cut_off_killed_frozen_or_disturbed() {
    let Some(c) = cluster("faults", 2) else { return };
    c.ok("nodo1", "pcs property set no-quorum-policy=ignore");

    // A cut cable: the other node takes over; after healing only one has the address.
    let (active, other) = c.active_and_other();
    c.lab.cut(&active).unwrap();
    c.until("the other node takes over", |c| c.has_address(&other));
    c.lab.heal(&active).unwrap();
    c.all_online();
    c.until("one node has the address", |c| c.holders().len() == 1);

    // A pause that is shorter than the time-out accuses nobody.
    std::thread::sleep(Duration::from_secs(1));
    let (active, other) = c.active_and_other();
    let ring = c.ring(&other);
    c.lab.freeze(&active).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    c.lab.thaw(&active).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(c.ring(&other), ring, "a short pause changed the ring");

    // A longer one does; and when it is over there is still one address.
    c.lab.freeze(&active).unwrap();
    c.until("the other node takes over", |c| {
        c.lab
            .shell(&other, "ip -4 -o addr show")
            .is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains(VIP))
    });
    c.lab.thaw(&active).unwrap();
    c.all_online();
    c.until("one node has the address", |c| c.holders().len() == 1);

    // A fifth of all frames lost: slow, and no change of the ring.
    let ring = c.ring("nodo1");
    c.lab.loss("nodo2", 20.0).unwrap();
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(c.ring("nodo1"), ring, "20 % loss changed the ring");
    c.lab.loss("nodo2", 0.0).unwrap();

    // Power cut of one node, then of both.
    let (active, other) = c.active_and_other();
    c.lab.kill(&active).unwrap();
    c.until("the other node takes over", |c| c.has_address(&other));
    c.lab.boot(&active).unwrap();
    c.all_online();
    c.lab.kill("nodo1").unwrap();
    c.lab.kill("nodo2").unwrap();
    c.lab.boot("nodo1").unwrap();
    c.lab.boot("nodo2").unwrap();
    c.all_online();
    c.until("the address is back", |c| c.holders().len() == 1);
}

#[test]
fn daemons_that_crash_leave_the_address_where_it_is() {
    let Some(c) = cluster("daemons", 2) else { return };
    let (active, _) = c.active_and_other();
    let watch = c.lab.watch(&WatchOptions { seconds: 60, ..WatchOptions::default() }).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    c.ok(&active, "kill -9 $(pidof pacemakerd) && systemctl restart pacemaker");
    c.all_online();
    c.ok(&active, "systemctl restart pcsd");
    std::thread::sleep(Duration::from_secs(2));
    let report = watch.finish().unwrap();
    assert!(c.has_address(&active), "{}", c.state());
    assert!(report.longest_gap_us() < 100_000, "the address was away: {report:?}");

    // An address that somebody deletes is back within 100 ms.
    let watch = c.lab.watch(&WatchOptions { seconds: 60, ..WatchOptions::default() }).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    c.ok(&active, "ip addr del 172.31.0.100/16 dev eth0");
    c.until("the address is back", |c| c.holders().len() == 1);
    std::thread::sleep(Duration::from_secs(1));
    let report = watch.finish().unwrap();
    println!("deleted address: away for {} µs", report.longest_gap_us());
    assert!(report.longest_gap_us() < 1_000_000, "{report:?}");

    // The engine restarted under load takes the manager with it, and both come back.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            c.run(
                "nodo2",
                "for i in 1 2 3 4 5 6 7 8 9; do crm_attribute -n load -N nodo2.example.com -v $i; done",
            )
        });
        c.ok("nodo1", "systemctl restart corosync");
    });
    c.all_online();
    c.until("one node has the address", |c| c.holders().len() == 1);
    assert!(c.ok("nodo1", "systemctl is-active corosync pacemaker").lines().all(|line| line == "active"));
}

#[test]
fn five_nodes() {
    let Some(c) = cluster("five", 5) else { return };
    assert!(c.ok("nodo3", "corosync-quorumtool").contains("Quorum:           3"));
    for victim in ["nodo1", "nodo2"] {
        c.lab.kill(victim).unwrap();
        c.until("three or four are left, with quorum", |c| {
            c.run("nodo5", "corosync-quorumtool").1.contains("Quorate:          Yes") && {
                let holders: Vec<String> = ["nodo3", "nodo4", "nodo5", "nodo2"]
                    .into_iter()
                    .filter(|node| *node != victim && c.has_address(node))
                    .map(str::to_string)
                    .collect();
                holders.len() == 1
            }
        });
    }
    // Two of five have no quorum: they must stop what they run.
    c.lab.kill("nodo3").unwrap();
    c.until("two of five have no quorum", |c| {
        c.run("nodo5", "corosync-quorumtool").1.contains("Quorate:          No")
    });
    c.until("without quorum nobody has the address", |c| !c.has_address("nodo4") && !c.has_address("nodo5"));
    // And nobody takes it later.
    std::thread::sleep(Duration::from_secs(2));
    assert!(!c.has_address("nodo4") && !c.has_address("nodo5"), "{}", c.state());
}

#[test]
fn wrong_input_is_refused_and_changes_nothing() {
    let Some(c) = cluster("wrong", 2) else { return };
    for (line, words) in [
        ("pcs node standby nodo9", "nodo9"),
        ("pcs resource create X ocf:heartbeat:NoSuchAgent", "NoSuchAgent"),
        ("pcs resource create Y ocf:heartbeat:IPaddr2", "required resource option 'ip' is missing"),
        (
            "pcs resource create CLUSTER_IP ocf:heartbeat:IPaddr2 ip=172.31.0.101",
            "'CLUSTER_IP' already exists",
        ),
        ("pcs constraint location NOPE prefers nodo1.example.com", "NOPE"),
        ("pcs property set no-such-property=1", "invalid cluster property option 'no-such-property'"),
        ("pcs resource delete NOPE", "NOPE"),
        ("pcs nonsense", "Usage: pcs"),
        ("crm_mon --nonsense", "nonsense"),
        ("cibadmin -C -o resources -X '<primitive/>'", "cib_create"),
        ("cibadmin -C -o resources -X '<primitive id=\"a\"'", ""),
        (
            "cibadmin -R -X '<cib epoch=\"0\" num_updates=\"0\" admin_epoch=\"0\" validate-with=\"pacemaker-3.9\"><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>'",
            "older",
        ),
        ("cibadmin -Q --xpath '//primitive['", ""),
        ("crm_resource --locate -r NOPE", "NOPE"),
        ("corosync -t -c /dev/null", ""),
        ("corosync-cmapctl -g no.such.key", ""),
    ] {
        c.refused(line, words);
    }
    c.ok("nodo1", "printf 'totem {\\n    version: 2\\n    tokn: 5\\n}\\n' > /root/bad.conf");
    let (status, text) = c.run("nodo1", "corosync -t -c /root/bad.conf");
    assert!(status != 0 && text.contains("tokn") && text.contains('3'), "{text}");
}
