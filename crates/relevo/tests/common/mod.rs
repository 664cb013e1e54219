//! A cluster in a lab of its own, for tests.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]
#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lab::{Lab, LabOptions};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_relevo");
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const VIP: &str = " 172.31.0.100/";

/// One lab at a time: what is measured must not depend on how many tests share the processors.
pub static TURN: Mutex<()> = Mutex::new(());

pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lab with its directory; taken down in the end.
pub struct Cluster {
    pub lab: Lab,
    pub nodes: u8,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.lab.down();
    }
}

pub fn directory(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("relevo-test-{name}-{}", std::process::id()))
}

/// A cluster of some nodes with the floating address of the tutorial; `None` without namespaces.
pub fn cluster(name: &str, nodes: u8) -> Option<Cluster> {
    cluster_over(name, nodes, "transport udp")
}

/// The same with these words for the transport; none: what pcs makes of itself.
pub fn cluster_over(name: &str, nodes: u8, transport: &str) -> Option<Cluster> {
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
    cluster.ok("nodo1", &format!("pcs cluster setup cluster1 {} {transport} --force", list.join(" ")));
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
    pub fn run(&self, host: &str, line: &str) -> (i32, String) {
        let output = self.lab.shell(host, &format!("{line} 2>&1")).unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub fn ok(&self, host: &str, line: &str) -> String {
        let (status, text) = self.run(host, line);
        assert_eq!(status, 0, "{host}: {line}\n{text}");
        text
    }

    /// Runs what must be refused, with these words, and changes nothing.
    pub fn refused(&self, line: &str, words: &str) {
        let before = self.ok("nodo1", "cibadmin -Q -o configuration");
        let (status, text) = self.run("nodo1", line);
        assert_ne!(status, 0, "{line} was accepted\n{text}");
        assert!(text.contains(words), "{line} does not say '{words}'\n{text}");
        assert_eq!(self.ok("nodo1", "cibadmin -Q -o configuration"), before, "{line} changed something");
    }

    pub fn until(&self, what: &str, holds: impl Fn(&Cluster) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "not in time: {what}\n{}", self.state());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What a test that failed shows: what each node sees, and what its daemons said last.
    pub fn state(&self) -> String {
        const SEEN: &str = "crm_mon -1; ip -4 -o addr; corosync-quorumtool; corosync-cpgtool; \
            for f in /var/log/corosync/corosync.log /var/log/pacemaker/pacemaker.log; do \
            echo \"== $f\"; tail -n 60 $f; done";
        let nodes = (1..=self.nodes).map(|n| format!("nodo{n}"));
        nodes.map(|node| format!("{node}: {}\n", self.run(&node, SEEN).1)).collect()
    }

    pub fn all_online(&self) {
        let names: Vec<String> = (1..=self.nodes).map(|n| format!("nodo{n}.example.com")).collect();
        let line = format!("Online: [ {} ]", names.join(" "));
        self.until("all nodes are online", |c| {
            (1..=c.nodes).all(|n| c.run(&format!("nodo{n}"), "crm_mon -1").1.contains(&line))
        });
    }

    /// Nodes that have the floating address.
    pub fn holders(&self) -> Vec<String> {
        let nodes = (1..=self.nodes).map(|n| format!("nodo{n}"));
        nodes.filter(|node| self.has_address(node)).collect()
    }

    pub fn has_address(&self, node: &str) -> bool {
        self.lab
            .shell(node, "ip -4 -o addr show")
            .is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains(VIP))
    }

    pub fn ring(&self, node: &str) -> String {
        let text = self.run(node, "corosync-quorumtool").1;
        text.lines().find(|line| line.starts_with("Ring ID")).unwrap_or("").to_string()
    }

    pub fn active_and_other(&self) -> (String, String) {
        let holders = self.holders();
        assert_eq!(holders.len(), 1, "{}", self.state());
        let other = if holders[0] == "nodo1" { "nodo2" } else { "nodo1" };
        (holders[0].clone(), other.to_string())
    }
}
