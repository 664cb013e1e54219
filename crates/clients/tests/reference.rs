//! All clients against the reference's engine, alone in namespaces of this test's own.

#![allow(clippy::unwrap_used)]

use clients::{
    Cfg, Cmap, Cpg, CpgEvent, Error, Guarantee, Map, NodeState, Quorum, QuorumEvent, Reason, Scope,
    ShutdownKind, Status, Value, VoteQuorum, VoteQuorumEvent, info_flags, track,
};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use sys::namespace::{self, Kinds};

const PROGRAM: &str = "/usr/sbin/corosync";
const CONFIGURATION: &str = "totem {\n version: 2\n cluster_name: relevo-test\n transport: udpu\n}\n\
    nodelist {\n node {\n  ring0_addr: 127.0.0.1\n  name: solo\n  nodeid: 7\n }\n}\n\
    quorum {\n provider: corosync_votequorum\n}\n\
    logging {\n to_logfile: no\n to_syslog: no\n to_stderr: no\n}\n";

/// Makes namespaces for the calling thread and starts the engine in them.
fn start() -> Option<Engine> {
    if !Path::new(PROGRAM).exists() {
        println!("LEFT OUT: {PROGRAM} is not installed");
        return None;
    }
    if namespace::unshare(Kinds::NET.and(Kinds::MOUNT)).is_err() {
        println!("LEFT OUT: no right to make namespaces");
        return None;
    }
    namespace::make_mounts_private().unwrap();
    for directory in ["/etc/corosync", "/var/lib/corosync", "/var/log", "/run", "/dev/shm"] {
        namespace::mount("tmpfs", Path::new(directory), "mode=755").unwrap();
    }
    std::fs::write("/etc/corosync/corosync.conf", CONFIGURATION).unwrap();
    let mut rtnl = sys::rtnl::Rtnl::open().unwrap();
    let lo = rtnl.link("lo").unwrap();
    rtnl.set_up(lo.index, true).unwrap();
    let child = Command::new(PROGRAM).arg("-f").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    Some(Engine(child))
}

/// Ends the engine also when the test fails.
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < Duration::from_secs(15), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_client_understands_the_reference_engine() {
    let Some(mut engine) = start() else { return };
    let mut cmap = until("the engine", || match Cmap::open() {
        Ok(cmap) => Some(cmap),
        Err(e) => {
            assert!(e.is_not_running(), "{e}");
            None
        }
    });
    check_cmap(&mut cmap);
    check_quorum();
    check_votequorum();
    check_cpg();
    check_cfg();
    until("the end of the engine", || engine.0.try_wait().unwrap());
    assert!(matches!(cmap.find("totem.version"), Err(Error::Disconnected)));
    assert!(Cmap::open().unwrap_err().is_not_running());
}

fn check_cmap(cmap: &mut Cmap) {
    assert_eq!(cmap.find("totem.cluster_name").unwrap(), Some(Value::String("relevo-test".into())));
    assert_eq!(cmap.find("nodelist.node.0.nodeid").unwrap(), Some(Value::U32(7)));
    assert_eq!(cmap.find("nodelist.node.9.nodeid").unwrap(), None);
    assert!(cmap.keys("nodelist.").unwrap().contains(&"nodelist.node.0.ring0_addr".to_owned()));
    let instance = 0x1234_5678_9ABC;
    let id =
        cmap.track("test.", track::ADD | track::MODIFY | track::DELETE | track::PREFIX, instance).unwrap();
    let values = [
        Value::I8(-3),
        Value::U8(200),
        Value::I16(-300),
        Value::U16(60_000),
        Value::I32(-70_000),
        Value::U32(4_000_000_000),
        Value::I64(-5_000_000_000),
        Value::U64(u64::MAX),
        Value::Float(1.5),
        Value::Double(-2.25),
        Value::String("text".into()),
        Value::Binary(vec![0, 1, 255]),
    ];
    for value in &values {
        cmap.set("test.key", value).unwrap();
        assert_eq!(cmap.find("test.key").unwrap().as_ref(), Some(value));
    }
    cmap.set("test.key", &Value::U32(5)).unwrap();
    cmap.adjust("test.key", -2).unwrap();
    assert_eq!(cmap.find("test.key").unwrap().and_then(|v| v.as_u64()), Some(3));
    cmap.delete("test.key").unwrap();
    assert_eq!(cmap.delete("test.key").unwrap_err().status(), Some(Status::NOT_EXIST));
    let mut events = Vec::new();
    until("cmap events", || {
        events.extend(cmap.poll_event().unwrap());
        events.last().filter(|e| e.event == track::DELETE).map(drop)
    });
    assert_eq!(events.len(), values.len() + 3);
    assert!(events.iter().all(|e| e.instance == instance && e.key == "test.key"));
    assert_eq!((events[0].event, &events[0].new), (track::ADD, &Some(Value::I8(-3))));
    assert_eq!((&events[1].new, &events[1].old), (&Some(Value::U8(200)), &Some(Value::I8(-3))));
    cmap.untrack(id).unwrap();
    let mut statistics = Cmap::open_map(Map::Statistics).unwrap();
    assert!(!statistics.keys("stats.srp.").unwrap().is_empty());
}

fn check_quorum() {
    let mut quorum = Quorum::open().unwrap();
    assert!(quorum.is_enabled());
    until("quorum", || quorum.is_quorate().unwrap().then_some(()));
    quorum.track(true, true).unwrap();
    match until("a quorum event", || quorum.poll_event().unwrap()) {
        QuorumEvent::State { quorate: true, members, .. } => assert_eq!(members, [7]),
        other => panic!("{other:?}"),
    }
    quorum.track_stop().unwrap();
    let mut quorum = Quorum::open_v1().unwrap();
    quorum.track(true, true).unwrap();
    let mut seen = Vec::new();
    until("both kinds of events", || {
        seen.extend(quorum.poll_event().unwrap());
        (seen.len() >= 2).then_some(())
    });
    for event in seen {
        let (QuorumEvent::Quorum { ring, members, .. } | QuorumEvent::Nodes { ring, members, .. }) = event
        else {
            panic!("{event:?}")
        };
        assert_eq!((ring.node, members), (7, vec![7]));
    }
}

fn check_votequorum() {
    let mut votes = VoteQuorum::open().unwrap();
    let info = votes.info(0).unwrap();
    assert_eq!((info.node, info.state, info.votes, info.quorum), (7, NodeState::Member, 1, 1));
    assert_ne!(info.flags & info_flags::QUORATE, 0);
    assert_eq!(votes.info(99).unwrap_err().status(), Some(Status::NOT_EXIST));
    votes.track(42, true, true).unwrap();
    let mut seen = Vec::new();
    until("votequorum events", || {
        seen.extend(votes.poll_event().unwrap());
        (seen.len() >= 2).then_some(())
    });
    assert!(seen.contains(&VoteQuorumEvent::Quorum {
        quorate: true,
        context: 42,
        nodes: vec![(7, NodeState::Member)]
    }));
    assert!(
        seen.iter()
            .any(|e| matches!(e, VoteQuorumEvent::Nodes { context: 42, members, .. } if members == &[7]))
    );
}

fn next(cpg: &mut Cpg) -> CpgEvent {
    until("a cpg event", || cpg.poll_event().unwrap())
}

fn check_cpg() {
    let (mut one, mut two) = (Cpg::open().unwrap(), Cpg::open().unwrap());
    let me = std::process::id();
    assert_eq!(one.local_node().unwrap(), 7);
    one.join(b"group\0", true).unwrap();
    let mut first = vec![next(&mut one), next(&mut one)];
    first.sort_by_key(|e| matches!(e, CpgEvent::Ring { .. }));
    assert!(
        matches!(&first[1], CpgEvent::Ring { ring, members } if ring.node == 7 && members == &[7]),
        "{first:?}"
    );
    let CpgEvent::Membership { group, members, left, joined } = &first[0] else { panic!("{first:?}") };
    assert_eq!((group.as_slice(), members.len(), left.len()), (&b"group\0"[..], 1, 0));
    assert_eq!((joined[0].node, joined[0].pid, joined[0].reason), (7, me, Reason::Join));
    // The same process may not join a group twice on one connection.
    assert!(one.join(b"group\0", true).is_err());
    two.join(b"other", false).unwrap();
    next(&mut two);
    for length in [0, 1, 1000, 1024 * 1024 - 1024, 3 * 1024 * 1024] {
        let data = vec![length as u8; length];
        let (head, tail) = data.split_at(length / 3);
        until("room to send", || match one.mcast(Guarantee::Agreed, &[head, tail]) {
            Ok(()) => Some(()),
            Err(Error::TryAgain) => None,
            Err(e) => panic!("{e}"),
        });
        let CpgEvent::Message { group, node, pid, data: got } = next(&mut one) else { panic!() };
        assert_eq!((group.as_slice(), node, pid), (&b"group\0"[..], 7, me));
        assert!(got == data, "{length}");
    }
    let listed = one.list(Scope::All).unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().any(|m| m.group == b"other" && m.node == 7 && m.pid == me));
    assert_eq!(one.members(b"group\0").unwrap().len(), 1);
    assert_eq!(one.list(Scope::Group(b"other")).unwrap().len(), 1);
    two.leave(b"other").unwrap();
    two.finalize().unwrap();
    one.leave(b"group\0").unwrap();
    let CpgEvent::Membership { members, left, .. } = next(&mut one) else { panic!() };
    assert_eq!((members.len(), left[0].reason), (0, Reason::Leave));
}

fn check_cfg() {
    let mut cfg = Cfg::open().unwrap();
    assert_eq!(cfg.local_node().unwrap(), 7);
    assert_eq!(cfg.node_addresses(7).unwrap(), ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    let rings = cfg.ring_status().unwrap();
    assert!(rings[0].name.contains("127.0.0.1"), "{rings:?}");
    assert_eq!(cfg.node_status(7).unwrap().node, 7);
    cfg.reload().unwrap();
    cfg.track().unwrap();
    // A tracker is asked before a polite shutdown and may refuse; the program then says so on standard error.
    let mut asking = Command::new("corosync-cfgtool");
    let asking = asking.arg("-H").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("the question", || cfg.poll_event().unwrap());
    cfg.reply_to_shutdown(false).unwrap();
    let said = asking.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("Could not shutdown"), "{said:?}");
    assert_eq!(cfg.local_node().unwrap(), 7);
    cfg.try_shutdown(ShutdownKind::Immediate).unwrap();
}
