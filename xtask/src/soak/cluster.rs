//! The cluster of a soak: how it is made, and what must hold of it at rest.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::{Lab, LabOptions};

use super::Options;

/// Longest that a command in a host may take, in seconds: for `timeout`.
const COMMAND_SECONDS: &str = "20";
const VIP: &str = "172.31.0.100/";
const POLL: Duration = Duration::from_millis(100);
const START_WITHIN: Duration = Duration::from_secs(90);
const AGENTS_STATE: &str = "/run/resource-agents";
/// What differs between copies of one CIB, or says when it was written.
const VOLATILE: &str = "s/ (cib-last-written|update-[a-z]+|have-quorum|num_updates|dc-uuid)=\"[^\"]*\"//g";
const SEEN: &str = "date; crm_mon -1; crmadmin -S $(hostname); ip -4 -o addr; corosync-quorumtool; \
    corosync-cpgtool; cibadmin -Q -l; for f in /var/log/corosync/corosync.log /var/log/pacemaker/pacemaker.log; do \
    echo \"== $f\"; tail -n 60 $f; done";

/// A lab with a cluster in it; taken down in the end, unless it is kept.
pub(super) struct Cluster {
    pub(super) lab: Lab,
    pub(super) nodes: Vec<String>,
    is_kept: bool,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.is_kept {
            // Nothing better can be done about a lab that does not go.
            let _ = self.lab.down();
        }
    }
}

impl Cluster {
    pub(super) fn up(program: &Path, options: &Options) -> Result<Cluster, String> {
        let dir = std::env::temp_dir().join(format!("relevo-soak-{}", std::process::id()));
        let options_of_lab = LabOptions {
            nodes: options.nodes,
            stack: options.stack,
            dir: Some(dir),
            ..LabOptions::new(program)
        };
        let lab = Lab::up(&options_of_lab).map_err(|error| error.to_string())?;
        let nodes: Vec<String> = (1..=options.nodes).map(|n| format!("nodo{n}")).collect();
        let cluster = Cluster { lab, nodes, is_kept: false };
        cluster.set_up(options).map_err(|reason| format!("{reason}\n{}", cluster.state()))?;
        Ok(cluster)
    }

    fn set_up(&self, options: &Options) -> Result<(), String> {
        for node in &self.nodes {
            self.ok(node, "echo hacluster:hapass | chpasswd")?;
        }
        let list: Vec<String> = (1u32..)
            .zip(&self.nodes)
            .map(|(n, node)| format!("{node}.example.com addr=172.31.0.{}", 10 + n))
            .collect();
        let list = list.join(" ");
        self.in_the_end(&format!("pcs host auth {list} -u hacluster -p hapass"))?;
        self.ok("nodo1", &format!("pcs cluster setup soak {list} transport {} --force", options.transport))?;
        self.ok("nodo1", "pcs cluster start --all")?;
        self.ok("nodo1", "pcs cluster enable --all")?;
        let policy = if options.nodes == 2 { "ignore" } else { "stop" };
        for line in [
            "pcs property set stonith-enabled=false",
            &format!("pcs property set no-quorum-policy={policy}"),
            "pcs resource create CLUSTER_IP ocf:heartbeat:IPaddr2 ip=172.31.0.100 cidr_netmask=16 op monitor interval=10s",
            "pcs resource create D ocf:heartbeat:Dummy clone",
            "pcs resource create E ocf:heartbeat:Dummy",
            "pcs constraint colocation add E with CLUSTER_IP",
            "pcs constraint order CLUSTER_IP then E",
        ] {
            // A DC that takes over meanwhile makes the change one of an older CIB.
            self.in_the_end(line)?;
        }
        self.whole_within(START_WITHIN)
    }

    /// Tries a command on the first node until it passes.
    fn in_the_end(&self, line: &str) -> Result<(), String> {
        let start = Instant::now();
        while let Err(reason) = self.ok("nodo1", line) {
            if start.elapsed() > START_WITHIN {
                return Err(reason);
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Runs a command line in a host, for a bounded time: its status and what it said.
    pub(super) fn run(&self, host: &str, line: &str) -> (i32, String) {
        let line = format!("{line} 2>&1");
        match self.lab.exec(host, &["timeout", COMMAND_SECONDS, "/bin/sh", "-c", &line]) {
            Ok(output) => {
                (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
            }
            Err(error) => (-1, error.to_string()),
        }
    }

    pub(super) fn ok(&self, host: &str, line: &str) -> Result<String, String> {
        match self.run(host, line) {
            (0, text) => Ok(text),
            (status, text) => Err(format!("{host}: {line}: status {status}: {text}")),
        }
    }

    /// Waits until nothing is wrong; otherwise says what is.
    pub(super) fn whole_within(&self, patience: Duration) -> Result<(), String> {
        let start = Instant::now();
        loop {
            match self.faults() {
                None => return Ok(()),
                Some(faults) if start.elapsed() > patience => return Err(faults),
                Some(_) => std::thread::sleep(POLL),
            }
        }
    }

    /// What is not as it should be: all nodes online in the eyes of each, one DC that all name, one CIB, no failed action,
    /// the address on one node, and each resource running where the cluster says.
    fn faults(&self) -> Option<String> {
        let names: Vec<String> = self.nodes.iter().map(|node| format!("{node}.example.com")).collect();
        let online = format!("Online: [ {} ]", names.join(" "));
        let mut leaders = BTreeSet::new();
        for node in &self.nodes {
            let (_, text) = self.run(node, "crm_mon -1");
            if !text.contains(&online) {
                return Some(format!("{node} does not see all nodes online"));
            }
            if text.contains("Failed ") {
                return Some(format!("{node} shows failed actions"));
            }
            let leader = text.lines().find_map(|line| line.split_once("Current DC: ")).map(|(_, rest)| rest);
            leaders.insert(leader.unwrap_or("").split(' ').next().unwrap_or("").to_string());
        }
        if leaders.len() != 1 || leaders.iter().any(|leader| !names.contains(leader)) {
            return Some(format!("the nodes name these DCs: {leaders:?}"));
        }
        let places = self.places();
        if places.0.len() != 1 || places.1 != places.0 || places.2.len() != self.nodes.len() {
            return Some(format!(
                "the address is on {:?}, E on {:?}, D on {:?}",
                places.0, places.1, places.2
            ));
        }
        let copies: BTreeSet<String> = self
            .nodes
            .iter()
            .map(|node| self.run(node, &format!("cibadmin -Q -l | sed -E '{VOLATILE}'")).1)
            .collect();
        (copies.len() != 1).then(|| "the nodes have different CIBs".to_string())
    }

    /// Where the address, E and D really are.
    fn places(&self) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
        let line = format!("ip -4 -o addr; ls {AGENTS_STATE}");
        let seen: Vec<(&str, String)> =
            self.nodes.iter().map(|node| (node.as_str(), self.run(node, &line).1)).collect();
        let with = |what: &str| -> Vec<&str> {
            seen.iter().filter(|(_, text)| text.contains(what)).map(|(node, _)| *node).collect()
        };
        (with(VIP), with("Dummy-E.state"), with("Dummy-D.state"))
    }

    /// A change is taken and can be read again.
    pub(super) fn answers(&self, number: usize) -> Result<(), String> {
        let Some(node) = self.nodes.get(number % self.nodes.len()) else { return Ok(()) };
        let line = format!(
            "timeout 5 crm_attribute --name probe --update {number} && \
             timeout 5 crm_attribute --name probe --query --quiet"
        );
        let text = self.ok(node, &line)?;
        if text.trim() == number.to_string() {
            Ok(())
        } else {
            Err(format!("{node}: {number} reads back as {text}"))
        }
    }

    /// What each node sees, and what its daemons said last.
    pub(super) fn state(&self) -> String {
        self.nodes.iter().map(|node| format!("=== {node}\n{}\n", self.run(node, SEEN).1)).collect()
    }

    /// Leaves the lab up; gives its directory.
    pub(super) fn keep(&mut self) -> String {
        self.is_kept = true;
        self.lab.dir().display().to_string()
    }
}
