//! Votes that change while the ring stands, beside Debian's daemon: tracked expected votes, a quorum device without
//! votes of its own, and what a reload tells. In the names of rings `o` is our daemon and `d` Debian's; every ring
//! must answer the same, so what is expected here is what Debian's own answers.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod ring;

use std::time::{Duration, Instant};

use ring::Ring;

/// Puts lines into section `quorum` of a node's configuration.
fn set_quorum(ring: &Ring, node: usize, lines: &str) {
    let provider = " provider: corosync_votequorum";
    let file = "/etc/corosync/corosync.conf";
    // What was put there before ends with a line of its own.
    ring.shell(
        node,
        &format!("sed -i '/^ #begin/,/^ #end/d; s/^{provider}$/&\\n #begin\\n{lines}\\n #end/' {file}"),
    );
    assert!(ring.shell(node, &format!("cat {file}")).contains("#begin"), "the section was found");
}

/// A line of `corosync-quorumtool` that begins like this.
fn told(ring: &Ring, node: usize, what: &str) -> String {
    let text = ring.tool(node, "corosync-quorumtool", "");
    let line = text.lines().find_map(|line| line.strip_prefix(what)).unwrap_or("");
    line.trim().to_owned()
}

fn until_told(ring: &Ring, node: usize, what: &str, value: &str) {
    ring.until(&format!("node {node}: {what} {value}"), |ring| told(ring, node, what) == value);
}

fn runtime(ring: &Ring, node: usize, key: &str) -> String {
    let text = ring.tool(node, "corosync-cmapctl", &format!("-g runtime.votequorum.{key}"));
    text.rsplit(" = ").next().unwrap_or("").trim().to_owned()
}

/// Where the expected votes are tracked, they do not sink below what was ever there, whatever is asked for.
#[test]
fn tracked_votes_do_not_sink() {
    for kinds in ["ddd", "ooo", "odo", "dod"] {
        let Some(mut ring) = Ring::new(kinds, 1, " transport: udpu\n token: 1000") else { return };
        ring.nodes().for_each(|node| set_quorum(&ring, node, " expected_votes_tracking: 1"));
        ring.up();
        ring.kill(3);
        ring.wait_members(&[1, 2], &[1, 2]);
        ring.tool(1, "corosync-quorumtool", "-e 2");
        for node in [1, 2] {
            ring.until("the request has come", |ring| runtime(ring, node, "ev_barrier") == "2");
            assert_eq!(told(&ring, node, "Expected votes:"), "3", "{kinds}: node {node}");
            assert_eq!(runtime(&ring, node, "ev_tracking_barrier"), "3", "{kinds}: node {node}");
        }
    }
}

/// A device that is given no votes gets one less than there are nodes.
#[test]
fn a_device_without_votes_of_its_own() {
    for kinds in ["ddd", "ooo"] {
        let Some(mut ring) = Ring::new(kinds, 1, " transport: udpu\n token: 1000") else { return };
        let device =
            " device {\\n  model: net\\n  net {\\n   host: 10.70.0.66\\n   algorithm: lms\\n  }\\n }";
        ring.nodes().for_each(|node| set_quorum(&ring, node, device));
        ring.up();
        for node in ring.nodes() {
            until_told(&ring, node, "Expected votes:", "5");
            until_told(&ring, node, "Total votes:", "3");
            until_told(&ring, node, "Quorum:", "3");
        }
    }
}

/// What an administrator asks for lowers the quorum as well as it raised it.
#[test]
fn the_quorum_follows_the_expected_votes() {
    for kinds in ["ddd", "ooo", "odo"] {
        let Some(mut ring) = Ring::new(kinds, 1, " transport: udpu\n token: 1000") else { return };
        ring.up();
        for (asked, quorum) in [("5", "3"), ("3", "2"), ("4", "3")] {
            ring.tool(1, "corosync-quorumtool", &format!("-e {asked}"));
            for node in ring.nodes() {
                until_told(&ring, node, "Expected votes:", asked);
                until_told(&ring, node, "Highest expected:", asked);
                until_told(&ring, node, "Quorum:", quorum);
            }
        }
    }
}

/// Waiting for all nodes ends everywhere when somebody says so.
#[test]
fn waiting_is_cancelled_everywhere() {
    for kinds in ["ddd", "ooo", "odo"] {
        let Some(mut ring) = Ring::new(kinds, 1, " transport: udpu\n token: 1000") else { return };
        ring.nodes().for_each(|node| set_quorum(&ring, node, " wait_for_all: 1"));
        ring.start(1);
        ring.start(2);
        ring.wait_members(&[1, 2], &[1, 2]);
        for node in [1, 2] {
            assert_eq!(runtime(&ring, node, "wait_for_all_status"), "1", "{kinds}");
        }
        ring.tool(2, "corosync-cmapctl", "-s quorum.cancel_wait_for_all u8 1");
        for node in [1, 2] {
            ring.until("it waits no more", |ring| {
                runtime(ring, node, "wait_for_all_status") == "0" && told(ring, node, "Quorate:") == "Yes"
            });
        }
    }
}

/// Options that contradict each other end the start with the same words.
#[test]
fn contradictions_end_the_start() {
    let device = " device {\\n  model: net\\n  votes: 1\\n }";
    let with_device = |option: &str| format!(" {option}: 1\\n{device}");
    let cases = [
        (4, with_device("two_node"), "two_node and quorum device cannot be configured at the same time!"),
        (4, with_device("last_man_standing"), "quorum.device is not compatible with last_man_standing"),
        (4, with_device("auto_tie_breaker"), "quorum.device is not compatible with auto_tie_breaker"),
        (4, with_device("allow_downscale"), "quorum.device is not compatible with allow_downscale"),
        (
            3,
            " auto_tie_breaker: 1\\n last_man_standing: 1".to_owned(),
            "auto_tie_breaker & last_man_standing not available in odd sized cluster",
        ),
        (
            4,
            " expected_votes: 3\\n device {\\n  model: net\\n  votes: 2\\n }".to_owned(),
            "quorum.device.votes is too high or expected_votes is too low",
        ),
    ];
    for (nodes, lines, words) in cases {
        for kind in ["d", "o"] {
            let Some(mut ring) = Ring::new(&kind.repeat(nodes), 1, " transport: udpu") else { return };
            set_quorum(&ring, 1, &lines);
            ring.start(1);
            let start = Instant::now();
            while ring.is_alive(1) {
                assert!(start.elapsed() < Duration::from_secs(20), "{kind} runs with {lines}");
                std::thread::sleep(Duration::from_millis(20));
            }
            let log = ring.logs();
            assert!(log.contains(&format!("configuration error: {words}")), "{kind}: {words}\n{log}");
        }
    }
}

/// A node that waits only because two nodes do so by themselves waits no more when it is not one of two any more.
#[test]
fn a_reload_ends_the_waiting_of_two_nodes() {
    for kinds in ["dd", "oo"] {
        let Some(mut ring) = Ring::new(kinds, 1, " transport: udpu\n token: 1000") else { return };
        ring.nodes().for_each(|node| set_quorum(&ring, node, " two_node: 1"));
        ring.start(1);
        ring.wait_members(&[1], &[1]);
        assert_eq!(runtime(&ring, 1, "wait_for_all_status"), "1", "{kinds}");
        set_quorum(&ring, 1, " two_node: 0");
        ring.tool(1, "corosync-cfgtool", "-R");
        ring.until("it waits no more", |ring| runtime(ring, 1, "wait_for_all_status") == "0");
        assert!(told(&ring, 1, "Quorate:").ends_with("No"), "{kinds}: one of two");
    }
}

/// Expected votes that one node's file changes hold on all nodes after a reload.
#[test]
fn a_reload_tells_new_expected_votes() {
    for kinds in ["ddd", "ooo", "odo", "dod"] {
        let Some(mut ring) = Ring::new(kinds, 1, " transport: udpu\n token: 1000") else { return };
        ring.nodes().for_each(|node| set_quorum(&ring, node, " expected_votes: 5"));
        ring.up();
        for node in ring.nodes() {
            until_told(&ring, node, "Expected votes:", "5");
        }
        set_quorum(&ring, 1, " expected_votes: 4");
        ring.tool(1, "corosync-cfgtool", "-R");
        for node in ring.nodes() {
            ring.until(&format!("{kinds}: node {node} knows"), |ring| {
                told(ring, node, "Expected votes:") == "4"
            });
            assert_eq!(runtime(&ring, node, "ev_barrier"), "4", "{kinds}: node {node}");
        }
    }
}
