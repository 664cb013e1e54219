//! Configurations that do not conform to their schema: every way into the cluster refuses them with the same words, and
//! one that somebody has written into the manager's file is lived with.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Cluster, PROGRAM, cluster, directory, turn};
use lab::{Lab, LabOptions, Stack};

const STORED: &str = "/var/lib/pacemaker/cib/cib.xml";
const SIGNATURE: &str = "/var/lib/pacemaker/cib/cib.xml.sig";
/// What an administrator means, with a typing error and a name that nothing has.
const CONSTRAINTS: &str = r#"<constraints>
<rsc_location id="where" rsc="CLUSTER_IP" node="nodo2.example.com" score="INFINITY"/>
<rsc_location id="typo" rsc="CLUSTER_IP" node="nodo1.example.com" scor="5"/>
<rsc_colocation id="nobody" rsc="CLUSTER_IP" with-rsc="NOPE" score="1"/>
</constraints>"#;
const FAULTS: [&str; 3] = [
    "/cib/configuration/constraints/rsc_location[@id='typo']: <rsc_location> has no attribute 'scor'",
    "/cib/configuration/constraints/rsc_location[@id='typo']: <rsc_location> needs the attribute 'score'",
    "/cib/configuration/constraints/rsc_colocation[@id='nobody']: with-rsc='NOPE' names nothing in the configuration",
];
const WARNING: &str = "The configuration does not conform to its schema";

/// Runs a command that must fail with this status and name all faults.
fn refused(c: &Cluster, line: &str, expected: i32, faults: &[&str]) {
    let (status, text) = c.run("nodo1", line);
    assert_eq!(status, expected, "{line}\n{text}");
    // Where the answer is shown as XML.
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    for fault in faults {
        assert!(text.contains(fault), "{line} does not say '{fault}'\n{text}");
    }
}

/// Edits the file of every node while nobody runs, and starts again; `between` comes after the edit.
fn edit_stored(c: &Cluster, between: &str) {
    c.ok("nodo1", "pcs cluster stop --all");
    let one_line = CONSTRAINTS.replace('\n', "");
    for node in ["nodo1", "nodo2"] {
        c.ok(node, &format!("sed -i 's#<constraints/>#{one_line}#' {STORED}; grep scor= {STORED}"));
        c.ok(node, between);
    }
    c.ok("nodo1", "pcs cluster start --all");
    c.all_online();
    c.until("the address is somewhere", |c| c.holders().len() == 1);
}

/// The signature shows that somebody else wrote the file: the state before is used, as the reference does.
fn an_edit_that_the_signature_shows_is_not_used(c: &Cluster) {
    // The state before is the one before the last change.
    c.ok("nodo1", "pcs property set cluster-delay=61s");
    edit_stored(c, "true");
    let cib = c.ok("nodo1", "cibadmin -Q -o constraints");
    assert!(!cib.contains("typo"), "{cib}");
    c.ok("nodo1", "grep 'its signature does not fit' /var/log/pacemaker/pacemaker.log");
    c.ok("nodo1", "crm_verify -LV");
}

#[test]
fn a_stored_configuration_that_does_not_conform_is_lived_with() {
    let Some(c) = cluster("stored", 2) else { return };
    an_edit_that_the_signature_shows_is_not_used(&c);

    // Without a signature it is used, as the reference does. Ours decides with it.
    edit_stored(&c, &format!("rm {SIGNATURE}"));
    c.until("what conforms decides", |c| c.holders() == ["nodo2"]);
    for line in FAULTS.into_iter().chain(["CIB does not validate with pacemaker-3."]) {
        c.ok("nodo1", &format!("grep -F \"{line}\" /var/log/pacemaker/pacemaker.log"));
    }
    refused(&c, "crm_verify -LV", 78, &FAULTS);
    refused(&c, "crm_verify -L", 78, &["Configuration invalid (-V may provide more detail)"]);
    refused(&c, "crm_simulate -L", 78, &FAULTS);
    refused(&c, "pcs cluster verify", 1, &FAULTS);
    refused(&c, "crm configure verify", 1, &FAULTS);
    let status = c.ok("nodo1", "pcs status");
    assert!(status.contains("WARNINGS:") && status.contains(WARNING), "{status}");
    for (line, code) in [
        ("pcs property set no-quorum-policy=ignore", 1),
        ("pcs resource create D ocf:pacemaker:Dummy", 1),
        ("crm configure primitive D ocf:pacemaker:Dummy", 1),
        ("crm resource stop CLUSTER_IP", 1),
        (
            "cibadmin -C -o constraints -X '<rsc_location id=\"l\" rsc=\"CLUSTER_IP\" node=\"nodo1.example.com\" score=\"1\"/>'",
            78,
        ),
    ] {
        refused(&c, line, code, &FAULTS);
    }
    the_reference_refuses_the_file(&c);

    // What runs goes on being looked after.
    c.lab.kill("nodo2").unwrap();
    c.until("the other node takes over", |c| c.holders() == ["nodo1"]);
    // The remedy: the whole, put right.
    c.ok("nodo1", "cibadmin -Q > /root/cib; sed -i 's/scor=/score=/; /id=\"nobody\"/d' /root/cib");
    c.ok("nodo1", "cibadmin --replace --xml-file /root/cib");
    c.ok("nodo1", "crm_verify -LV");
    assert!(!c.ok("nodo1", "pcs status").contains(WARNING));
    c.ok("nodo1", "pcs property set no-quorum-policy=ignore");
}

/// Debian's tools on the same configuration come to the same end.
fn the_reference_refuses_the_file(c: &Cluster) {
    let file = directory("stored-cib").with_extension("xml");
    std::fs::write(&file, c.ok("nodo1", "cibadmin -Q")).unwrap();
    for (program, option) in [("/usr/sbin/crm_verify", "-V"), ("/usr/sbin/crm_simulate", "-s")] {
        if !Path::new(program).exists() {
            println!("LEFT OUT: {program} (Debian: pacemaker-cli-utils) is not here");
            continue;
        }
        let output = Command::new(program).arg(option).arg("-x").arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{program}: {output:?}");
    }
    std::fs::remove_file(file).unwrap();
}

const REFERENCE_CONF: &str = "totem {\\n version: 2\\n cluster_name: one\\n transport: udpu\\n}\\n\
     nodelist {\\n node {\\n  ring0_addr: 172.31.0.11\\n  name: nodo1.example.com\\n  nodeid: 1\\n }\\n}\\n\
     quorum {\\n provider: corosync_votequorum\\n}\\n";

/// What Debian's Pacemaker makes of such a file: it ends, and stays down (`docs/differences.md` says what ours does).
#[test]
fn the_reference_does_not_run_with_it() {
    if !Path::new("/usr/sbin/pacemakerd").exists() {
        println!("LEFT OUT: /usr/sbin/pacemakerd (Debian: pacemaker) is not here");
        return;
    }
    let _turn = turn();
    let mut options = LabOptions::new(PROGRAM);
    (options.nodes, options.stack, options.dir) = (1, Stack::Reference, Some(directory("stored-theirs")));
    let lab = match Lab::up(&options) {
        Ok(lab) => lab,
        Err(error) => {
            println!("LEFT OUT: no lab can be made here: {error}");
            return;
        }
    };
    let run = |line: &str| {
        let output = lab.shell("nodo1", &format!("{line} 2>&1")).unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let constraints = CONSTRAINTS.replace('\n', "");
        let (status, text) = run(&format!(
            "printf '{REFERENCE_CONF}' > /etc/corosync/corosync.conf && cibadmin --empty > {STORED} && \
             sed -i 's#<constraints/>#{constraints}#' {STORED} && chown hacluster:haclient {STORED} && \
             chmod 600 {STORED} && systemctl start corosync && systemctl start pacemaker"
        ));
        assert_eq!(status, Some(0), "{text}");
        let start = Instant::now();
        let log = "/var/log/pacemaker/pacemaker.log";
        for words in
            ["cluster configuration is invalid. Please repair and restart", "staying down after fatal error"]
        {
            while run(&format!("grep '{words}' {log}")).0 != Some(0) {
                assert!(
                    start.elapsed() < Duration::from_secs(90),
                    "{words}: {}",
                    run(&format!("tail -50 {log}")).1
                );
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        assert_ne!(run("crm_mon -1").0, Some(0));
    }));
    let _ = lab.down();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// A part of a configuration, the place in it and what is wrong there.
const WRONG: [(&str, &str, &str); 7] = [
    (
        "constraints",
        r#"<rsc_colocation id="bad" rsc="CLUSTER_IP" with-rsc="NOPE" score="1"/>"#,
        "/cib/configuration/constraints/rsc_colocation[@id='bad']: with-rsc='NOPE' names nothing in the configuration",
    ),
    (
        "constraints",
        r#"<rsc_order id="bad" first="CLUSTER_IP" then="CLUSTER_IP" kind="Sometimes"/>"#,
        "/cib/configuration/constraints/rsc_order[@id='bad']: 'Sometimes' is not a value for 'kind': one of Optional, Mandatory, Serialize",
    ),
    (
        "constraints",
        r#"<rsc_location id="bad" rsc="CLUSTER_IP" node="nodo1.example.com" scor="5"/>"#,
        "/cib/configuration/constraints/rsc_location[@id='bad']: <rsc_location> has no attribute 'scor'",
    ),
    (
        "constraints",
        r#"<rsc_location id="bad" rsc="CLUSTER_IP" node="nodo1.example.com"/>"#,
        "/cib/configuration/constraints/rsc_location[@id='bad']: <rsc_location> needs the attribute 'score'",
    ),
    (
        "resources",
        r#"<primitive id="bad" class="ocf" provider="pacemaker" type="Dummy"><operations><op id="badop" name="monitor" interval="9" role="Nonsense"/></operations></primitive>"#,
        "/cib/configuration/resources/primitive[@id='bad']/operations/op[@id='badop']: 'Nonsense' is not a value for 'role': one of Stopped, Started, Promoted, Unpromoted, Master, Slave",
    ),
    ("resources", r#"<group id="bad"/>"#, "/cib/configuration/resources/group[@id='bad']: "),
    (
        "resources",
        r#"<primitive id="CLUSTER_IP" class="ocf" provider="pacemaker" type="Dummy"/>"#,
        "CLUSTER_IP",
    ),
];

/// Nothing gets in by another door: `cibadmin`, `pcs` and `crm` name the same place, cause and remedy, and the
/// configuration stays as it was.
#[test]
fn every_door_refuses_with_the_same_words() {
    let Some(c) = cluster("doors", 2) else { return };
    c.ok("nodo1", "cibadmin -Q > /root/good");
    let before = c.ok("nodo1", "cibadmin -Q -o configuration");
    for (section, part, fault) in WRONG {
        let end = if section == "constraints" {
            "s#<constraints/>#<constraints>PART</constraints>#"
        } else {
            "s#</resources>#PART</resources>#"
        };
        c.ok("nodo1", &format!("sed '{}' /root/good > /root/bad", end.replace("PART", part)));
        for (line, code) in [
            ("crm_verify -V -x /root/bad", 78),
            ("cibadmin --replace --xml-file /root/bad", 78),
            ("pcs cluster cib-push /root/bad", 1),
            ("pcs cluster verify -f /root/bad", 1),
            ("CIB_file=/root/bad crm configure verify", 1),
            ("CIB_file=/root/bad crm configure primitive D ocf:pacemaker:Dummy", 1),
            ("CIB_file=/root/bad crm resource stop CLUSTER_IP", 1),
            ("pcs -f /root/bad resource create D ocf:pacemaker:Dummy", 1),
        ] {
            refused(&c, line, code, &[fault]);
        }
        assert_eq!(c.ok("nodo1", "cibadmin -Q -o configuration"), before, "{part}");
    }
    // What is typed at crm.
    refused(
        &c,
        "crm configure primitive bad ocf:pacemaker:Dummy op monitor interval=9 role=Nonsense",
        1,
        &[
            "op[@id='bad-monitor-9']: 'Nonsense' is not a value for 'role': one of Stopped, Started, Promoted, Unpromoted, Master, Slave",
        ],
    );
    refused(&c, "crm configure colocation bad inf: CLUSTER_IP NOPE", 1, &["object NOPE does not exist"]);
    refused(
        &c,
        "crm configure order bad Sometimes: CLUSTER_IP CLUSTER_IP",
        1,
        &["'Sometimes'", "Mandatory, Optional or Serialize"],
    );
    assert_eq!(c.ok("nodo1", "cibadmin -Q -o configuration"), before);
}
