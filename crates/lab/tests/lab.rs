//! A real lab, as root and as an ordinary user. This program is its own multi-call program.

#![allow(clippy::unwrap_used)]

use lab::{Lab, LabOptions, WatchOptions};
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// An ordinary user without any group.
const ORDINARY_USER: u32 = 54_321;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let own = Path::new(&words[0]).file_name().unwrap_or_default().to_owned();
    let rest = |n: usize| words.get(n..).unwrap_or_default().to_vec();
    let status = |code: i32| ExitCode::from(code as u8);
    match words.get(1).and_then(|w| w.to_str()) {
        _ if own == "systemctl" => status(lab::systemctl_main(rest(1))),
        Some("lab") => status(lab::main(rest(2))),
        Some("systemctl") => status(lab::systemctl_main(rest(2))),
        Some("--names") => {
            println!("corosync\npcs");
            ExitCode::SUCCESS
        }
        Some("--list") => {
            println!("hosts: test\nordinary_user: test");
            ExitCode::SUCCESS
        }
        Some("--scenario") => {
            scenario(Path::new(&words[2]));
            ExitCode::SUCCESS
        }
        _ => {
            run_all();
            ExitCode::SUCCESS
        }
    }
}

fn run_all() {
    let dir = std::env::temp_dir().join(format!("relevo-lab-test-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let outcome = std::panic::catch_unwind(|| both_users(&dir));
    let _ = std::fs::remove_dir_all(&dir);
    if let Err(e) = outcome {
        std::panic::resume_unwind(e);
    }
}

fn both_users(dir: &Path) {
    if sys::namespace::effective_uid() != 0 {
        scenario(&dir.join("lab"));
        println!("LEFT OUT: the lab as root (this is an ordinary user)");
        return;
    }
    scenario(&dir.join("root"));
    println!("test hosts ... ok");
    // A copy that an ordinary user may read, in a directory of that user's own.
    let own = dir.join("user");
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(&own).unwrap();
    let program = own.join("relevo");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::os::unix::fs::chown(&own, Some(ORDINARY_USER), Some(ORDINARY_USER)).unwrap();
    let mut command = Command::new(&program);
    command.arg("--scenario").arg(own.join("lab")).uid(ORDINARY_USER).gid(ORDINARY_USER).current_dir("/");
    let status = command.status().unwrap();
    assert!(status.success(), "as an ordinary user: {status}");
    println!("test ordinary_user ... ok");
}

/// Takes the lab down also when a check fails.
struct Guard(Lab);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.down();
    }
}

fn scenario(dir: &Path) {
    let program = std::env::current_exe().unwrap();
    let options = LabOptions { nodes: 5, dir: Some(PathBuf::from(dir)), ..LabOptions::new(program) };
    let lab = match Lab::up(&options) {
        Err(e) if e.to_string().contains("ordinary users") => {
            println!("LEFT OUT: {e}");
            return;
        }
        other => Guard(other.unwrap()),
    };
    let lab = &lab.0;
    assert!(Lab::up(&options).unwrap_err().to_string().contains("up already"));
    hosts_are_apart(lab);
    output_and_status_pass_through(lab);
    services_are_answered_for(lab);
    names_resolve(lab);
    cable(lab);
    loss(lab);
    freezing(lab);
    power(lab);
    nothing_outlives_the_keeper(&options);
    lab.down().unwrap();
    assert!(!dir.exists());
    assert!(lab.status().unwrap_err().to_string().contains("no lab is up"));
}

fn nothing_outlives_the_keeper(options: &LabOptions) {
    let dir = options.dir.clone().unwrap().with_extension("second");
    let lab = Guard(Lab::up(&LabOptions { nodes: 1, dir: Some(dir.clone()), ..options.clone() }).unwrap());
    let pid = lab.0.pid("nodo1").unwrap();
    let parent = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let keeper: i32 = parent.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    sys::signal::kill(keeper, sys::signal::SIGKILL).unwrap();
    let start = Instant::now();
    let alive = || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    };
    while alive() {
        assert!(start.elapsed() < Duration::from_secs(10), "the host outlives its keeper");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(lab.0.status().unwrap_err().to_string().contains("no lab is up"));
    std::fs::remove_dir_all(dir).unwrap();
}

fn said(lab: &Lab, host: &str, line: &str) -> String {
    let output = lab.shell(host, line).unwrap();
    assert!(output.status.success(), "{host}: {line}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn hosts_are_apart(lab: &Lab) {
    assert_eq!(lab.status().unwrap().lines().count(), 7);
    for number in 1..=5 {
        let (name, full) = (format!("nodo{number}"), format!("nodo{number}.example.com"));
        assert_eq!(said(lab, &name, "uname -n"), full);
        assert_eq!(said(lab, &name, "cat /etc/hostname"), full);
        let listed = said(lab, &full, "relevo lab __addresses");
        assert!(listed.contains(&format!("eth0 172.31.0.1{number}/16")), "{listed}");
    }
    for dir in [
        "/etc/corosync",
        "/etc/pacemaker",
        "/var/lib/corosync",
        "/var/lib/pacemaker",
        "/var/lib/pcsd",
        "/var/log",
        "/run",
        "/dev/shm",
    ] {
        said(lab, "nodo1", &format!("echo mine > {dir}/mark"));
        assert!(!lab.shell("nodo2", &format!("test -e {dir}/mark")).unwrap().status.success(), "{dir}");
        assert!(!Path::new(dir).join("mark").exists(), "{dir}");
    }
    said(
        lab,
        "nodo1",
        "grep -q ^hacluster: /etc/passwd && grep -q ^hacluster: /etc/shadow && grep -q ^haclient: /etc/group",
    );
    assert_eq!(said(lab, "nodo1", "command -v pcs"), "/run/relevo/bin/pcs");
    assert!(said(lab, "nodo1", "tr '\\0' ' ' < /proc/1/cmdline").contains("__init nodo1"));
}

fn output_and_status_pass_through(lab: &Lab) {
    let output = lab.shell("nodo3", "echo out; echo err >&2; exit 42").unwrap();
    assert_eq!(
        (output.status.code(), output.stdout, output.stderr),
        (Some(42), b"out\n".to_vec(), b"err\n".to_vec())
    );
    assert_eq!(lab.shell("nodo3", "kill -9 $$").unwrap().status.code(), Some(137));
    assert_eq!(lab.exec("nodo3", &["no-such-program"]).unwrap().status.code(), Some(127));
    let message = lab.exec("nodo9", &["true"]).unwrap();
    assert_eq!(message.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&message.stderr)
            .contains("there is no host nodo9; the hosts are: host, dns, nodo1")
    );
}

fn services_are_answered_for(lab: &Lab) {
    // This program is no corosync: it ends at once, and starting says so.
    let output = lab.exec("nodo1", &["systemctl", "start", "corosync"]).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("Job for corosync.service failed"),
        "{output:?}"
    );
    assert_eq!(lab.shell("nodo1", "systemctl is-active corosync").unwrap().stdout, b"failed\n");
    assert_eq!(lab.shell("nodo1", "systemctl is-enabled corosync").unwrap().stdout, b"disabled\n");
    said(lab, "nodo1", "systemctl enable corosync && systemctl disable pcsd");
    assert_eq!(said(lab, "nodo1", "systemctl is-enabled corosync"), "enabled");
    assert_eq!(lab.shell("nodo1", "systemctl is-enabled pcsd").unwrap().stdout, b"disabled\n");
    said(lab, "nodo1", "systemctl disable corosync");
}

fn names_resolve(lab: &Lab) {
    assert!(said(lab, "nodo4", "getent hosts nodo2").starts_with("172.31.0.12"));
    let dns = |state: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["lab", "dns", state]).env("RELEVO_LAB_DIR", lab.dir());
        assert!(command.output().unwrap().status.success());
    };
    assert!(!lab.shell("host", "getent hosts www.example.com").unwrap().status.success());
    dns("on");
    assert!(said(lab, "host", "getent hosts www.example.com").starts_with("172.31.0.100"));
    assert!(said(lab, "host", "getent hosts 172.31.0.100").contains("www.example.com"));
    dns("off");
}

fn watching(node: u8) -> WatchOptions {
    WatchOptions { address: Ipv4Addr::new(172, 31, 0, 10 + node), seconds: 20, interval_ms: 2 }
}

fn cable(lab: &Lab) {
    let watch = lab.watch(&watching(2)).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    lab.cut("nodo2").unwrap();
    assert!(lab.status().unwrap().contains("cable cut"));
    std::thread::sleep(Duration::from_millis(300));
    lab.heal("nodo2").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let report = watch.finish().unwrap();
    assert!((250_000..2_000_000).contains(&report.longest_gap_us()), "{report:?}");
    assert_eq!(report.answerers[0].mac, [0x52, 0x54, 0, 0x1f, 0, 12]);
    assert!(report.received > 100, "{report:?}");
}

fn loss(lab: &Lab) {
    // The watch starts first: with lost frames even finding the hardware address may take seconds.
    let watch = lab.watch(&watching(3)).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    if let Err(e) = lab.loss("nodo3", 40.0) {
        println!("LEFT OUT: {e}");
        return;
    }
    std::thread::sleep(Duration::from_millis(1500));
    let report = watch.finish().unwrap();
    let share = report.received as f64 / report.sent as f64;
    // There and back, for most of the time: 0.6 × 0.6.
    assert!((0.2..0.65).contains(&share), "{share} {report:?}");
    lab.loss("nodo3", 0.0).unwrap();
    assert!(lab.loss("nodo3", 101.0).is_err());
}

fn freezing(lab: &Lab) {
    said(lab, "nodo4", "(while :; do date +%s%N > /run/beat; sleep 0.01; done) >/dev/null 2>&1 &");
    let beat = || lab.shell("nodo4", "cat /run/beat").unwrap().stdout;
    let beats = || {
        let start = Instant::now();
        let first = beat();
        while start.elapsed() < Duration::from_secs(2) {
            if beat() != first {
                return true;
            }
        }
        false
    };
    assert!(beats());
    lab.freeze("nodo4").unwrap();
    assert!(lab.status().unwrap().contains("frozen"));
    let frozen = beat();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(beat(), frozen);
    lab.thaw("nodo4").unwrap();
    assert!(beats());
}

fn power(lab: &Lab) {
    said(
        lab,
        "nodo5",
        "echo kept > /etc/corosync/mark; echo kept > /var/lib/pacemaker/mark; echo lost > /run/mark",
    );
    let watch = lab.watch(&watching(5)).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    lab.kill("nodo5").unwrap();
    assert!(lab.status().unwrap().lines().last().unwrap().ends_with("off"));
    let refused = lab.shell("nodo5", "true").unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nodo5 is off"), "{refused:?}");
    std::thread::sleep(Duration::from_millis(100));
    lab.boot("nodo5").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let report = watch.finish().unwrap();
    assert!(report.longest_gap_us() > 90_000, "{report:?}");
    assert_eq!(said(lab, "nodo5", "cat /etc/corosync/mark /var/lib/pacemaker/mark"), "kept\nkept");
    assert!(!lab.shell("nodo5", "test -e /run/mark").unwrap().status.success());
}
