//! What happens to the cluster of a soak.

use std::time::Duration;

use super::Random;
use super::cluster::Cluster;

/// Pauses between two parts of a step, in ms: none, shorter and longer than the token timeout.
const PAUSES_MS: [u64; 6] = [0, 0, 100, 400, 1_000, 2_000];
/// How long a cable is cut or a host stands still, in ms.
const ABSENCES_MS: [u64; 5] = [100, 400, 800, 1_500, 3_000];
const LOSSES_PERCENT: [u64; 3] = [5, 10, 20];
const LOSS_FOR: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    PowerCycle,
    PowerCycleOfAll,
    TwoPowerCycles,
    CycleWhileChanging,
    Cut,
    Freeze,
    Loss,
    KillManager,
    KillEngine,
    Standby,
    Restart,
    Move,
    DeleteAddress,
    ReplaceCib,
}

/// How often each is taken.
const CHOICES: [(Step, u64); 14] = [
    (Step::PowerCycle, 4),
    (Step::PowerCycleOfAll, 1),
    (Step::TwoPowerCycles, 2),
    (Step::CycleWhileChanging, 3),
    (Step::Cut, 2),
    (Step::Freeze, 2),
    (Step::Loss, 1),
    (Step::KillManager, 2),
    (Step::KillEngine, 1),
    (Step::Standby, 2),
    (Step::Restart, 2),
    (Step::Move, 1),
    (Step::DeleteAddress, 1),
    (Step::ReplaceCib, 1),
];

impl Step {
    pub(super) fn choose(random: &mut Random) -> Step {
        let mut left = random.below(CHOICES.iter().map(|(_, weight)| weight).sum());
        for (step, weight) in CHOICES {
            if left < weight {
                return step;
            }
            left -= weight;
        }
        Step::PowerCycle
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Step::PowerCycle => "power off and on",
            Step::PowerCycleOfAll => "all off, then on",
            Step::TwoPowerCycles => "two off and on",
            Step::CycleWhileChanging => "off and on amid changes",
            Step::Cut => "cable cut for a while",
            Step::Freeze => "host stands still",
            Step::Loss => "packets lost",
            Step::KillManager => "pacemakerd killed",
            Step::KillEngine => "corosync killed",
            Step::Standby => "standby and back",
            Step::Restart => "cluster stopped and started",
            Step::Move => "resource moved and cleared",
            Step::DeleteAddress => "address deleted",
            Step::ReplaceCib => "CIB replaced by an old one",
        }
    }

    /// Does it; gives what it was done to. That single parts of it fail is no fault: the cluster is looked at afterwards.
    pub(super) fn perform(self, cluster: &Cluster, random: &mut Random) -> String {
        let one = random.one_of(&indices(cluster)).unwrap_or(0);
        let node = name(cluster, one);
        let other = name(
            cluster,
            (one + 1 + random.below(cluster.nodes.len() as u64 - 1) as usize) % cluster.nodes.len(),
        );
        let pause_ms = random.one_of(&PAUSES_MS).unwrap_or(0);
        let absence_ms = random.one_of(&ABSENCES_MS).unwrap_or(0);
        match self {
            Step::PowerCycle => {
                let _ = cluster.lab.kill(&node);
                wait(pause_ms);
                let _ = cluster.lab.boot(&node);
                format!("{node} {pause_ms} ms")
            }
            Step::PowerCycleOfAll => {
                cluster.nodes.iter().for_each(|node| drop(cluster.lab.kill(node)));
                for node in &cluster.nodes {
                    let _ = cluster.lab.boot(node);
                    wait(random.one_of(&PAUSES_MS).unwrap_or(0));
                }
                String::new()
            }
            Step::TwoPowerCycles => {
                let _ = cluster.lab.kill(&node);
                wait(pause_ms);
                let _ = cluster.lab.kill(&other);
                let _ = cluster.lab.boot(&node);
                wait(random.one_of(&PAUSES_MS).unwrap_or(0));
                let _ = cluster.lab.boot(&other);
                format!("{node} {other}")
            }
            Step::CycleWhileChanging => change_amid_a_power_cycle(cluster, &node, &other, pause_ms),
            Step::Cut => {
                let _ = cluster.lab.cut(&node);
                wait(absence_ms);
                let _ = cluster.lab.heal(&node);
                format!("{node} {absence_ms} ms")
            }
            Step::Freeze => {
                let _ = cluster.lab.freeze(&node);
                wait(absence_ms);
                let _ = cluster.lab.thaw(&node);
                format!("{node} {absence_ms} ms")
            }
            Step::Loss => {
                let percent = random.one_of(&LOSSES_PERCENT).unwrap_or(0);
                let _ = cluster.lab.loss(&node, percent as f64);
                std::thread::sleep(LOSS_FOR);
                let _ = cluster.lab.loss(&node, 0.0);
                format!("{node} {percent} %")
            }
            Step::KillManager | Step::KillEngine => {
                let daemon = if matches!(self, Step::KillEngine) { "corosync" } else { "pacemakerd" };
                cluster.run(&node, &format!("kill -9 $(pidof {daemon})"));
                // What is looked at next must not be the state before.
                wait(300);
                node
            }
            Step::Standby => {
                cluster.run(&other, &format!("pcs node standby {node}.example.com"));
                wait(pause_ms);
                // Where it was asked for: another node may not have the change yet, and would find nothing to take back.
                cluster.run(&other, &format!("pcs node unstandby {node}.example.com"));
                format!("{node} {pause_ms} ms")
            }
            Step::Restart => {
                cluster.run(&node, "pcs cluster stop");
                wait(pause_ms);
                cluster.run(&node, "pcs cluster start");
                format!("{node} {pause_ms} ms")
            }
            Step::Move => {
                cluster.run(
                    &other,
                    &format!("crm_resource --move --resource CLUSTER_IP --node {node}.example.com"),
                );
                wait(pause_ms);
                cluster.run(&other, "crm_resource --clear --resource CLUSTER_IP");
                format!("to {node}")
            }
            Step::DeleteAddress => {
                // Wherever it is: a step that hits the other node shows nothing.
                for node in &cluster.nodes {
                    cluster.run(node, "ip addr del 172.31.0.100/16 dev eth0");
                }
                wait(500);
                // The failure that this is stays on record until somebody has seen it.
                cluster.run(&other, "pcs resource cleanup");
                String::new()
            }
            Step::ReplaceCib => {
                // As somebody does who restores yesterday's copy; its status section says that nobody is here.
                let line = "cibadmin -Q > /run/old.xml && crm_attribute --name probe --update old && \
                    e=$(sed -n '1s/.* epoch=\"\\([0-9]*\\)\".*/\\1/p' /run/old.xml) && \
                    sed -i \"1s/ epoch=\\\"$e\\\"/ epoch=\\\"$((e + 5))\\\"/; s/crmd=\\\"online\\\"/crmd=\\\"offline\\\"/\" \
                    /run/old.xml && cibadmin --replace --xml-file /run/old.xml";
                let status = cluster.run(&node, line).0;
                format!("{node}, status {status}")
            }
        }
    }
}

fn change_amid_a_power_cycle(cluster: &Cluster, node: &str, other: &str, pause_ms: u64) -> String {
    std::thread::scope(|scope| {
        let changes = "for i in 1 2 3 4 5 6 7 8 9; do crm_attribute --name soak$i --update $i; done";
        scope.spawn(|| cluster.run(other, changes));
        let _ = cluster.lab.kill(node);
        wait(pause_ms);
        let _ = cluster.lab.boot(node);
    });
    format!("{node}, {other} changes")
}

fn indices(cluster: &Cluster) -> Vec<usize> {
    (0..cluster.nodes.len()).collect()
}

fn name(cluster: &Cluster, index: usize) -> String {
    cluster.nodes.get(index).cloned().unwrap_or_default()
}

fn wait(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
