//! The whole program in a lab of hosts: the tutorial as it is typed, then faults, then wrong input.
//!
//! Each test has a lab of its own. Where namespaces cannot be made the tests say that they were left
//! out.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lab::WatchOptions;

use common::{Cluster, PROGRAM, VIP, cluster, directory, turn};

const REFERENCE_ENGINE: &str = "/usr/sbin/corosync";

/// The steps of the tutorial, with these options; they pass, or what is missing is said.
fn tour(name: &str, options: &[&str]) {
    let _turn = turn();
    let output = Command::new(PROGRAM)
        .args(["lab", "tour"])
        .args(options)
        .env("RELEVO_LAB_DIR", directory(name))
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
fn the_tutorial_as_it_is_typed() {
    tour("tour", &[]);
}

/// Our managers and tools on Debian's corosync.
#[test]
fn the_tutorial_on_the_references_engine() {
    if !Path::new(REFERENCE_ENGINE).exists() {
        println!("LEFT OUT: {REFERENCE_ENGINE} (Debian: corosync) is not here");
        return;
    }
    tour("tour-engine", &["--engine", "reference"]);
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

/// Another CIB than that of the cluster takes its place: that of a node that comes back with a newer one, then an old
/// one that an administrator puts there. Its status section knows nothing of what runs; nothing moves all the same.
#[test]
fn a_replaced_cib_moves_nothing() {
    const CIB: &str = "/var/lib/pacemaker/cib/cib.xml";
    let Some(c) = cluster("replaced", 2) else { return };
    let (active, other) = c.active_and_other();
    c.ok(&active, "pcs resource create D ocf:heartbeat:Dummy clone");
    c.ok(&active, "crm_attribute --type status --node $(hostname) --name probe --update 7");
    c.ok(&active, "cibadmin -Q > /run/before.xml");
    let both_run = |c: &Cluster| {
        c.run(&active, "crm_mon -1").1.contains("Started: [ nodo1.example.com nodo2.example.com ]")
    };
    let stays = |what: &str, done: &dyn Fn(&Cluster) -> bool| {
        c.until(what, done);
        c.all_online();
        c.until("the clone runs everywhere", both_run);
        assert_eq!(c.holders(), std::slice::from_ref(&active), "{what}\n{}", c.state());
        let dc = format!("Current DC: {active}.example.com");
        assert!(c.run(&other, "crm_mon -1").1.contains(&dc), "{what}\n{}", c.state());
        let value = c.ok(&other, &format!("cibadmin -Q -A \"//node_state[@uname='{active}.example.com']\""));
        assert!(value.contains("name=\"probe\" value=\"7\""), "{what}\n{value}");
    };
    let watch = c.lab.watch(&WatchOptions { seconds: 120, ..WatchOptions::default() }).unwrap();
    std::thread::sleep(Duration::from_millis(300));

    c.ok(&other, "pcs cluster stop");
    c.ok(&other, &format!("sed -i '1s/ epoch=\"[0-9]*\"/ epoch=\"500\"/' {CIB}; rm {CIB}.sig"));
    c.ok(&other, "pcs cluster start");
    stays("the newer copy is everybody's", &|c| {
        c.run(&active, "cibadmin -Q").1.lines().next().is_some_and(|line| line.contains(" epoch=\"500\""))
    });

    let (status, text) = c.run(&active, "cibadmin --replace --xml-file /run/before.xml");
    assert!(status != 0 && text.contains("Update was older than existing configuration"), "{status} {text}");
    c.ok(&active, "sed -i '1s/admin_epoch=\"0\"/admin_epoch=\"3\"/; s/crmd=\"online\"/crmd=\"offline\"/' /run/before.xml");
    c.ok(&active, "cibadmin --replace --xml-file /run/before.xml");
    stays("the old copy is everybody's", &|c| c.run(&active, "cibadmin -Q").1.contains("admin_epoch=\"3\""));
    let report = watch.finish().unwrap();
    assert!(report.longest_gap_us() < 100_000, "the address was away: {report:?}");
}

/// On the DC's own node and on another one; the first failure of all, of which nothing is on record yet.
#[test]
fn a_failure_is_counted_once() {
    let Some(c) = cluster("counted", 2) else { return };
    for _ in 0..2 {
        let (active, other) = c.active_and_other();
        c.ok(&active, "ip addr del 172.31.0.100/16 dev eth0");
        c.until("the failure is counted once", |c| {
            let text = c.run(&active, "crm_failcount --query --resource CLUSTER_IP").1;
            text.contains("name=fail-count-CLUSTER_IP value=1")
        });
        let names = c.ok(&active, "cibadmin -Q | grep -o 'name=\"fail-count-[^\"]*'");
        assert_eq!(names.trim(), "name=\"fail-count-CLUSTER_IP#monitor_60000");
        let table = c.ok(&active, "crm_mon -1 --failcounts");
        assert!(table.contains("fail-count=1 ") && table.contains("CLUSTER_IP"), "{table}");
        c.until("the address is back", |c| c.holders().len() == 1);
        c.ok(&active, "crm_resource --cleanup --resource CLUSTER_IP");
        c.ok(&other, &format!("crm_resource --move --resource CLUSTER_IP --node {other}.example.com"));
        c.until("the other node takes over", |c| c.holders() == [other.clone()]);
    }
}

#[test]
fn daemons_that_crash_leave_the_address_where_it_is() {
    let Some(c) = cluster("daemons", 2) else { return };
    let (active, _) = c.active_and_other();
    let watch = c.lab.watch(&WatchOptions { seconds: 60, ..WatchOptions::default() }).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    // The supervisor starts it anew. A restart by hand could meet the new one, and a manager that is told
    // to stop moves its resources away.
    let old = c.ok(&active, "pidof pacemakerd");
    c.ok(&active, "kill -9 $(pidof pacemakerd)");
    c.until("the manager is started anew", |c| {
        let (status, new) = c.run(&active, "pidof pacemakerd");
        status == 0 && new != old
    });
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

#[test]
fn the_engine_ends_by_agreement_and_refuses_other_configurations() {
    let Some(c) = cluster("rules", 2) else { return };
    let ring = c.ring("nodo1");
    // A manager that runs says no, as the reference's does.
    let (status, text) = c.run("nodo2", "corosync-cfgtool -H");
    assert!(
        status != 0 && text.contains("error = 10") && text.contains("pcs cluster stop"),
        "{status} {text}"
    );
    assert_eq!(c.ring("nodo1"), ring, "a refused shutdown changed the ring");
    // Without it nobody objects.
    c.ok("nodo2", "systemctl stop pacemaker");
    c.ok("nodo2", "corosync-cfgtool -H");
    c.until("the engine ends", |c| c.run("nodo2", "systemctl is-active corosync").1.contains("inactive"));

    // Who comes with another version of the configuration leaves, and says why.
    c.ok(
        "nodo1",
        r#"sed -i 's/^    version: 2/    version: 2\n    config_version: 5/' /etc/corosync/corosync.conf"#,
    );
    c.ok(
        "nodo1",
        "sed -i 's/config_version: 5/config_version: 5\\n    token: 4321/' /etc/corosync/corosync.conf",
    );
    c.ok("nodo1", "corosync-cfgtool -R");
    assert!(c.ok("nodo1", "corosync-cmapctl -g totem.config_version").contains("= 5"));
    assert!(c.ok("nodo1", "corosync-cmapctl -g runtime.config.totem.token").contains("= 4321"));
    // What needs a restart stays as it is, and says so.
    c.ok(
        "nodo1",
        "sed -i 's/transport: udp$/transport: udpu/' /etc/corosync/corosync.conf; corosync-cfgtool -R",
    );
    assert!(c.ok("nodo1", "corosync-cmapctl -g totem.transport").trim_end().ends_with("= udp"));
    c.ok(
        "nodo1",
        "grep \"'totem.transport' in corosync.conf cannot be changed\" /var/log/corosync/corosync.log",
    );
    // A file with a mistake changes nothing.
    c.ok("nodo1", "cp /etc/corosync/corosync.conf /root/good; sed -i 's/token: 4321/tokn: 1/' /etc/corosync/corosync.conf");
    let (status, _) = c.run("nodo1", "corosync-cfgtool -R");
    assert_ne!(status, 0, "a file with a mistake was taken");
    assert!(c.ok("nodo1", "corosync-cmapctl -g totem.token").contains("= 4321"));
    c.ok("nodo1", "cp /root/good /etc/corosync/corosync.conf");
    c.ok(
        "nodo2",
        r#"sed -i 's/^    version: 2/    version: 2\n    config_version: 3/' /etc/corosync/corosync.conf"#,
    );
    c.run("nodo2", "systemctl start corosync");
    c.until("the other version leaves", |c| {
        c.run("nodo2", "grep 'Received config version (5) is different than my config version (3)' /var/log/corosync/corosync.log").0 == 0
            && c.run("nodo2", "systemctl is-active corosync").1.contains("inactive")
    });
    assert!(c.ok("nodo1", "systemctl is-active corosync").contains("active"));

    // A node that another one orders to end, ends.
    c.ok("nodo2", "sed -i 's/config_version: 3/config_version: 5/' /etc/corosync/corosync.conf");
    c.ok("nodo2", "systemctl start corosync");
    c.until("both are in the ring", |c| {
        c.run("nodo1", "corosync-quorumtool").1.contains("Nodes:            2")
    });
    c.ok("nodo1", "corosync-cfgtool -k 2");
    c.until("the killed node says so", |c| {
        c.run("nodo2", "grep 'Killed by node 1' /var/log/corosync/corosync.log").0 == 0
    });
    let (status, text) = c.run("nodo1", "corosync-cfgtool -k 9");
    assert!(status != 0 && text.contains("CS_ERR_NOT_EXIST"), "{text}");
}
