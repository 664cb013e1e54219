//! A hostile host on the wire: it sends again what it has recorded, cut short, with flipped bits, and forged, from the
//! addresses of the members. In the names of rings `o` is our daemon and `d` Debian's.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod ring;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use ring::Ring;

/// What a daemon may grow by while it is attacked, in KiB.
const GROWTH_MAX_KIB: u64 = 20 * 1024;
const RECORD_MS: &str = "1500";

/// The hostile host, which has recorded.
struct Hostile {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Records while messages flow; then a node may be started anew, so that the ring is another one.
fn record(ring: &mut Ring, sealed: bool, restarts: bool) -> Hostile {
    let program = ring::example("hostile");
    let mut command = ring.on_the_wire(&program);
    command.args([RECORD_MS, if sealed { "1" } else { "0" }]);
    let addresses: Vec<String> = ring.nodes().map(|node| ring.first_address(node)).collect();
    let mut child = command.args(addresses).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut hostile = Hostile { child, input, output: BufReader::new(output) };
    ring.load(60, 3000, 20_000);
    let mut line = String::new();
    hostile.output.read_line(&mut line).unwrap();
    let count: usize = line.trim().strip_prefix("recorded ").and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(count > 200, "the hostile host has recorded: {line}");
    if restarts {
        let all: Vec<usize> = ring.nodes().collect();
        let others: Vec<usize> = all.iter().copied().filter(|node| *node != 2).collect();
        ring.kill(2);
        ring.wait_members(&others, &others);
        ring.start(2);
        ring.wait_members(&all, &all);
    }
    hostile
}

impl Hostile {
    fn attack(&mut self) {
        self.input.write_all(b"\n").unwrap();
    }

    /// What it has sent.
    fn end(mut self) -> String {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success(), "{text}");
        assert!(text.contains("sent "), "{text}");
        text
    }
}

/// Memory of our daemons.
fn memory(ring: &Ring, kinds: &str) -> Vec<u64> {
    ring.nodes().filter(|node| kinds.as_bytes()[node - 1] == b'o').map(|node| ring.memory_kib(node)).collect()
}

fn has_not_grown(before: &[u64], after: &[u64]) {
    for (before, after) in before.iter().zip(after) {
        assert!(*before > 0 && *after < before + GROWTH_MAX_KIB, "from {before} to {after} KiB");
    }
}

/// With a key: all messages arrive, no others, no change of the membership, and the statistics tell.
fn sealed(kinds: &str) {
    let Some(mut ring) = Ring::new(kinds, 1, " crypto_cipher: aes256\n crypto_hash: sha256") else { return };
    ring.up();
    // Debian's daemon takes messages from before the restart for new ones, and then the new ones for copies, until the
    // numbers have gone on.
    let restarts = !kinds.contains('d');
    let mut hostile = record(&mut ring, true, restarts);
    let before = memory(&ring, kinds);
    // The load compares on all nodes: the same messages, as many as were sent, and no change of the membership.
    let load = ring.begin_load(250, 3000, 60_000);
    hostile.attack();
    println!("{kinds}: {}", hostile.end().trim().replace('\n', ", "));
    load.end(&ring);
    has_not_grown(&before, &memory(&ring, kinds));
    let all: Vec<usize> = ring.nodes().collect();
    for node in ring.nodes() {
        assert!(ring.is_alive(node));
        assert_eq!(ring.members(node), all);
        if kinds.as_bytes()[node - 1] == b'o' {
            let stats = ring.tool(node, "corosync-cmapctl", "-m stats");
            let value = |key: &str| {
                let line = stats.lines().find(|line| line.contains(key)).unwrap_or("");
                line.rsplit(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
            };
            let (refused, repeated) =
                (value("handle.rx_refused_packets"), value("handle.rx_repeated_packets"));
            assert!(refused > 5000, "refused: {refused}\n{stats}");
            // The node that was started anew sees the recording for the first time, and its second round again.
            assert!(repeated > 100, "repeated: {repeated}\n{stats}");
        }
    }
}

#[test]
fn nothing_gets_in_without_the_key() {
    for kinds in ["oo", "ooo", "ood"] {
        sealed(kinds);
    }
}

/// Without a key anybody can break a ring; but no daemon of ours ends or grows, and the ring is there again.
fn open(kinds: &str, transport: &str) {
    let Some(mut ring) = Ring::new(kinds, 1, &format!(" transport: {transport}")) else { return };
    ring.up();
    let mut hostile = record(&mut ring, false, true);
    let before = memory(&ring, kinds);
    hostile.attack();
    println!("{kinds} {transport}: {}", hostile.end().trim().replace('\n', ", "));
    let all: Vec<usize> = ring.nodes().collect();
    for node in ring.nodes() {
        assert!(ring.is_alive(node), "node {node}\n{}", ring.logs());
    }
    let took = ring.wait_members(&all, &all);
    println!("whole again after {took:?}");
    ring.load(40, 3000, 0);
    has_not_grown(&before, &memory(&ring, kinds));
}

#[test]
fn without_a_key_no_daemon_ends() {
    open("oo", "udpu");
    open("od", "udpu");
    open("oo", "knet");
}
