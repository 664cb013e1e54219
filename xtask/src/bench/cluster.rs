//! A lab with the tutorial's cluster on it.

use std::path::Path;
use std::time::{Duration, Instant};

use lab::{FLOATING_ADDRESS, Lab, LabOptions, Stack, WatchOptions};

/// Longest wait for anything, also for the reference's slow start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A lab that is taken down when it goes out of scope.
pub struct Cluster {
    pub lab: Lab,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nothing better can be done about a lab that does not go.
        let _ = self.lab.down();
    }
}

impl Cluster {
    /// Two nodes, set up and running, with the floating address on nodo1.
    pub fn up(program: &Path, stack: Stack) -> Result<Cluster, String> {
        let mut options = LabOptions::new(program);
        options.stack = stack;
        options.dir = Some(std::env::temp_dir().join(format!("relevo-bench-{}", std::process::id())));
        let cluster = Cluster { lab: Lab::up(&options).map_err(|error| error.to_string())? };
        for node in ["nodo1", "nodo2"] {
            cluster.must(node, "echo hacluster:hapass | chpasswd")?;
        }
        let nodes = "nodo1.example.com addr=172.31.0.11 nodo2.example.com addr=172.31.0.12";
        let start = Instant::now();
        // pcsd may need a moment after the host's start.
        while let Err(reason) =
            cluster.must("nodo1", &format!("pcs host auth {nodes} -u hacluster -p hapass"))
        {
            if start.elapsed() > PATIENCE {
                return Err(reason);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        cluster.must("nodo1", &format!("pcs cluster setup cluster1 {nodes} transport udp --force"))?;
        cluster.must("nodo1", "pcs cluster start --all")?;
        cluster.until("both nodes are online", |c| {
            c.says("crm_mon -1", "Online: [ nodo1.example.com nodo2.example.com ]")
        })?;
        for line in [
            "pcs property set stonith-enabled=false",
            "pcs property set no-quorum-policy=ignore",
            "pcs resource create CLUSTER_IP ocf:heartbeat:IPaddr2 ip=172.31.0.100 cidr_netmask=16 op monitor interval=60s",
        ] {
            cluster.must("nodo1", line)?;
        }
        cluster.until("the address answers", |c| c.holder().is_some())?;
        Ok(cluster)
    }

    pub fn must(&self, host: &str, line: &str) -> Result<String, String> {
        let output = self.lab.shell(host, line).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        Err(format!("{host}: {line}: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    pub fn says(&self, line: &str, text: &str) -> bool {
        self.lab
            .shell("nodo1", line)
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(text))
    }

    /// The node that has the floating address.
    pub fn holder(&self) -> Option<&'static str> {
        ["nodo1", "nodo2"].into_iter().find(|node| {
            let output = self.lab.shell(node, "ip -4 -o addr show");
            output.is_ok_and(|output| {
                String::from_utf8_lossy(&output.stdout).contains(&format!(" {FLOATING_ADDRESS}/"))
            })
        })
    }

    /// Waits until something holds; gives how long that took.
    pub fn until(&self, what: &str, holds: impl Fn(&Cluster) -> bool) -> Result<Duration, String> {
        let start = Instant::now();
        while !holds(self) {
            if start.elapsed() > PATIENCE {
                return Err(format!("{what}: not after {} s", PATIENCE.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(start.elapsed())
    }

    /// The longest time without an answer while something is done, in ms.
    pub fn blackout_ms(&self, work: impl FnOnce(&Cluster) -> Result<(), String>) -> Result<f64, String> {
        let options = WatchOptions { seconds: 180, ..WatchOptions::default() };
        let watch = self.lab.watch(&options).map_err(|error| error.to_string())?;
        std::thread::sleep(Duration::from_millis(300));
        work(self)?;
        std::thread::sleep(Duration::from_millis(500));
        let report = watch.finish().map_err(|error| error.to_string())?;
        Ok(report.longest_gap_us() as f64 / 1000.0)
    }

    /// Waits until both nodes are members and nothing moves any more.
    pub fn settle(&self) -> Result<(), String> {
        self.until("both nodes are online again", |c| {
            ["nodo1", "nodo2"].iter().all(|node| {
                let output = c.lab.shell(node, "crm_mon -1");
                output.is_ok_and(|o| {
                    String::from_utf8_lossy(&o.stdout)
                        .contains("Online: [ nodo1.example.com nodo2.example.com ]")
                })
            })
        })?;
        std::thread::sleep(Duration::from_millis(1_500));
        Ok(())
    }
}
