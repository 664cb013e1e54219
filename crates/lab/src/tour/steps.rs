//! The tutorial as a table.

use super::{Action, Check, Item, On, Step};
use std::time::Duration;

const CONFIGURATION: &str = "\
totem {
    version: 2
    cluster_name: cluster1
    transport: udp
}

nodelist {
    node {
        ring0_addr: 172.31.0.11
        name: nodo1.example.com
        nodeid: 1
    }

    node {
        ring0_addr: 172.31.0.12
        name: nodo2.example.com
        nodeid: 2
    }
}

quorum {
    provider: corosync_votequorum
    two_node: 1
}

logging {
    to_logfile: yes
    logfile: /var/log/corosync/corosync.log
    to_syslog: yes
    timestamp: on
}
";

const ONLINE: &str = "Online: [ nodo1.example.com nodo2.example.com ]";
const ON_NODE_1: &str = "Started nodo1.example.com";
const ON_NODE_2: &str = "Started nodo2.example.com";
const CONSTRAINT: &str = "location-CLUSTER_IP-nodo1.example.com-INFINITY";
/// Ctrl-C.
const INTERRUPT: &str = "\x03";

const fn step(action: Action, check: Check) -> Step {
    Step { action, check, patience: Duration::ZERO, measured: None, on: On::Both, essential: false }
}

const fn run(host: &'static str, line: &'static str, check: Check) -> Item {
    Item::Step(step(Action::Run(host, line), check))
}

const fn typed(
    host: &'static str,
    line: &'static str,
    typing: &'static [super::Typing],
    check: Check,
) -> Item {
    Item::Step(step(Action::Type(host, line, typing), check))
}

/// A step whose check may take some time to become true.
const fn until(host: &'static str, line: &'static str, seconds: u64, check: Check) -> Item {
    let patience = Duration::from_secs(seconds);
    Item::Step(Step { patience, ..step(Action::Run(host, line), check) })
}

/// A step that moves the floating address; its blackout is measured.
const fn moved(name: &'static str, action: Action, check: Check) -> Item {
    let patience = Duration::from_secs(60);
    Item::Step(Step { patience, measured: Some(name), ..step(action, check) })
}

/// A step without which the rest makes no sense.
const fn essential(item: Item) -> Item {
    match item {
        Item::Step(step) => Item::Step(Step { essential: true, ..step }),
        title => title,
    }
}

const fn only(on: On, item: Item) -> Item {
    match item {
        Item::Step(step) => Item::Step(Step { on, ..step }),
        title => title,
    }
}

/// All steps in order.
pub(super) fn steps() -> Vec<Item> {
    let mut all = preparation();
    all.extend(cluster());
    all.extend(resource());
    all.extend(failover());
    all.extend(faults());
    all
}

fn preparation() -> Vec<Item> {
    const PASSWORD: &[super::Typing] = &[("assword:", "hapass\n"), ("assword:", "hapass\n")];
    vec![
        Item::Title("The scenario"),
        Item::Step(step(Action::Lab(&["dns", "on"]), Check::Succeeds)),
        run("host", "getent hosts www.example.com", Check::Says(&["172.31.0.100"])),
        run("host", "getent hosts nodo2.example.com", Check::Says(&["172.31.0.12"])),
        Item::Title("1. Installing and configuring the cluster"),
        typed("nodo1", "passwd hacluster", PASSWORD, Check::Succeeds),
        typed("nodo2", "passwd hacluster", PASSWORD, Check::Succeeds),
        until("nodo1", "systemctl --type=service", 30, Check::Says(&["pcsd.service", "running"])),
        run("nodo1", "systemctl restart pcsd", Check::Succeeds),
        run("nodo2", "systemctl restart pcsd", Check::Active(&["pcsd"])),
        essential(typed(
            "nodo1",
            "pcs host auth nodo1.example.com addr=172.31.0.11 nodo2.example.com addr=172.31.0.12",
            &[("Username:", "hacluster\n"), ("Password:", "hapass\n")],
            Check::Says(&["nodo1.example.com: Authorized", "nodo2.example.com: Authorized"]),
        )),
        essential(run(
            "nodo1",
            "pcs cluster setup cluster1 nodo1.example.com addr=172.31.0.11 nodo2.example.com addr=172.31.0.12 \
             transport udp --force",
            Check::Says(&["Cluster has been successfully set up."]),
        )),
        run("nodo1", "cat /etc/corosync/corosync.conf", Check::Prints("cluster_uuid:", CONFIGURATION)),
        run("nodo1", "ls -l /etc/corosync/authkey", Check::SameFile("/etc/corosync/authkey", 256, "400")),
        run(
            "nodo1",
            "corosync-keygen -k /root/authkey && stat -c '%s bytes, mode %a' /root/authkey",
            Check::Says(&["256 bytes, mode 400"]),
        ),
    ]
}

fn cluster() -> Vec<Item> {
    vec![
        essential(run("nodo1", "pcs cluster start --all", Check::Active(&["corosync", "pacemaker"]))),
        run("nodo1", "pcs cluster enable --all", Check::Succeeds),
        essential(until("nodo1", "pcs cluster status", 60, Check::Says(&[ONLINE, "partition with quorum"]))),
        run("nodo2", "systemctl is-enabled corosync pacemaker", Check::Says(&["enabled"])),
        typed(
            "nodo1",
            "watch pcs status",
            &[("cluster1", INTERRUPT)],
            Check::Shows(&["Cluster name: cluster1"]),
        ),
        typed("nodo1", "crm_mon", &[("nodo2.example.com", INTERRUPT)], Check::Shows(&["Cluster Summary"])),
        until(
            "nodo1",
            "crm_mon --one-shot -V",
            10,
            Check::Shows(&[ONLINE, "error: Resource start-up disabled"]),
        ),
        typed(
            "nodo1",
            "crm_mon -i 2 -f",
            &[("Migration Summary", INTERRUPT)],
            Check::Shows(&["Migration Summary"]),
        ),
        run("nodo1", "crm_verify -L", Check::Refuses(&[])),
        run("nodo1", "crm configure show", Check::Says(&["nodo1.example.com", "cluster-name=cluster1"])),
        run(
            "nodo1",
            "corosync-quorumtool",
            Check::Shows(&["Quorate:          Yes", "2Node Quorate WaitForAll"]),
        ),
        run("nodo1", "corosync-cfgtool -s", Check::Says(&["Local node ID 1, transport udp"])),
    ]
}

fn resource() -> Vec<Item> {
    vec![
        Item::Title("2. Configuring Pacemaker"),
        run("nodo1", "pcs property set stonith-enabled=false", Check::Succeeds),
        run("nodo1", "pcs property set no-quorum-policy=ignore", Check::Succeeds),
        run("nodo1", "pcs resource op defaults update timeout=20s", Check::Succeeds),
        run("nodo1", "pcs property config", Check::Says(&["stonith-enabled", "no-quorum-policy"])),
        essential(run(
            "nodo1",
            "pcs resource create CLUSTER_IP ocf:heartbeat:IPaddr2 ip=172.31.0.100 cidr_netmask=16 \
             op monitor interval=60s",
            Check::Succeeds,
        )),
        until(
            "nodo1",
            "pcs constraint location CLUSTER_IP prefers nodo1.example.com=INFINITY",
            30,
            Check::HeldBy("nodo1"),
        ),
        until("nodo1", "pcs status resources", 10, Check::Says(&["CLUSTER_IP", ON_NODE_1])),
        run(
            "nodo2",
            "pcs status",
            Check::Says(&["Cluster name: cluster1", ONLINE, "corosync: active/enabled"]),
        ),
        run("nodo1", "crm_verify -L", Check::Succeeds),
        run("nodo1", "crm configure show", Check::Says(&["primitive CLUSTER_IP IPaddr2", "cidr_netmask=16"])),
        moved("pcs node standby", Action::Run("nodo1", "pcs node standby"), Check::HeldBy("nodo2")),
        moved(
            "pcs node unstandby (address returns)",
            Action::Run("nodo1", "pcs node unstandby"),
            Check::HeldBy("nodo1"),
        ),
        only(
            On::Reference,
            run("nodo1", "pcs resource move CLUSTER_IP lifetime=PT10S", Check::Refuses(&["lifetime"])),
        ),
        only(On::Ours, run("nodo1", "pcs resource move CLUSTER_IP lifetime=PT10S", Check::Succeeds)),
        run(
            "nodo1",
            "pcs resource cleanup CLUSTER_IP",
            Check::Says(&["Cleaned up CLUSTER_IP on nodo1.example.com"]),
        ),
    ]
}

fn failover() -> Vec<Item> {
    vec![
        Item::Title("3. Checking that it works"),
        run("host", "getent hosts www.example.com", Check::Says(&["172.31.0.100"])),
        until("nodo2", "crm_mon --one-shot", 15, Check::Says(&[ONLINE, ON_NODE_1])),
        run("host", "ping -c 2 -i 0.2 www.example.com", Check::MacOf("nodo1")),
        moved(
            "pcs node standby nodo1",
            Action::Run("nodo1", "pcs node standby nodo1.example.com"),
            Check::HeldBy("nodo2"),
        ),
        run("host", "ping -c 2 -i 0.2 www.example.com", Check::MacOf("nodo2")),
        until(
            "nodo1",
            "crm_mon --one-shot",
            10,
            Check::Says(&["Node nodo1.example.com: standby", ON_NODE_2]),
        ),
        moved(
            "pcs node unstandby nodo1",
            Action::Run("nodo1", "pcs node unstandby nodo1.example.com"),
            Check::HeldBy("nodo1"),
        ),
        run("nodo1", "pcs constraint list --full", Check::Says(&[CONSTRAINT])),
        run("nodo1", "pcs constraint delete location-CLUSTER_IP-nodo1.example.com-INFINITY", Check::Succeeds),
        run("nodo1", "pcs constraint list --full", Check::Lacks(&[CONSTRAINT])),
        moved(
            "pcs resource move to nodo2",
            Action::Run("nodo1", "pcs resource move CLUSTER_IP nodo2.example.com"),
            Check::HeldBy("nodo2"),
        ),
        run("nodo2", "pcs node standby", Check::Succeeds),
        until(
            "nodo2",
            "crm_mon --one-shot",
            30,
            Check::Says(&["Node nodo2.example.com: standby", ON_NODE_1]),
        ),
        run("nodo2", "pcs node unstandby", Check::Succeeds),
        until("nodo2", "crm_mon --one-shot", 30, Check::Says(&[ONLINE, ON_NODE_1])),
        run("nodo1", "cibadmin -Q --xpath \"//primitive[@id='CLUSTER_IP']\"", Check::Says(&["172.31.0.100"])),
        Item::Title("4. The web page"),
        only(
            On::Ours,
            run("host", "curl -skL https://172.31.0.100:2224/manage", Check::Says(&["action=\"/login\""])),
        ),
        only(
            On::Reference,
            run("host", "curl -sk https://172.31.0.100:2224/manage", Check::Says(&["notauthorized"])),
        ),
    ]
}

fn faults() -> Vec<Item> {
    vec![
        Item::Title("5. A power cut"),
        moved("power cut of the active node", Action::Lab(&["kill", "nodo1"]), Check::HeldBy("nodo2")),
        until("nodo2", "crm_mon --one-shot", 30, Check::Says(&["OFFLINE: [ nodo1.example.com ]", ON_NODE_2])),
        Item::Step(step(Action::Lab(&["boot", "nodo1"]), Check::Succeeds)),
        until("nodo2", "crm_mon --one-shot", 60, Check::Says(&[ONLINE, ON_NODE_2])),
        Item::Title("6. Putting it away"),
        until("nodo2", "pcs cluster stop --all", 60, Check::HeldByNobody),
        run("nodo2", "pcs cluster destroy --all", Check::Succeeds),
        run("nodo1", "test ! -e /etc/corosync/corosync.conf", Check::Succeeds),
        Item::Step(step(Action::Lab(&["dns", "off"]), Check::Succeeds)),
    ]
}
