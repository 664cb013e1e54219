//! Options of the ring beside Debian's daemon: strangers' addresses, expected votes set at run time, many links. In the
//! names of rings `o` is our daemon and `d` Debian's.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod ring;

use std::path::Path;
use std::time::Duration;

use ring::Ring;
use totem::RingId;
use totem::wire::{Header, MergeDetect, Packet, encode};

fn ring_id(ring: &Ring, node: usize) -> String {
    let text = ring.tool(node, "corosync-quorumtool", "");
    text.lines().find(|line| line.starts_with("Ring ID")).unwrap_or("").to_owned()
}

/// A host that is in no configuration tells node 1 of another ring that node 2 is in.
fn stranger_speaks(ring: &Ring) {
    let merge = MergeDetect { system_from: 2, ring: RingId { rep: 2, seq: 1 << 20 } };
    let bytes = encode(Header::native(2, 0), &Packet::MergeDetect(merge), &[]);
    let text: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let line = format!("printf '{text}' > /dev/udp/{}/5405", ring.first_address(1));
    let status = ring.on_the_wire(Path::new("/bin/bash")).args(["-c", &line]).status().unwrap();
    assert!(status.success(), "{line}");
}

/// What a stranger says makes the ring form anew only if the configuration lets strangers speak; ours as Debian's.
#[test]
fn unlisted_addresses() {
    for kinds in ["oo", "dd"] {
        for (setting, is_heard) in
            [("", false), ("\n block_unlisted_ips: yes", false), ("\n block_unlisted_ips: no", true)]
        {
            let totem = format!(" transport: udpu\n token: 1000{setting}");
            let Some(mut ring) = Ring::new(kinds, 1, &totem) else { return };
            ring.up();
            let before = ring_id(&ring, 1);
            assert!(!before.is_empty());
            stranger_speaks(&ring);
            if is_heard {
                ring.until("the ring is another one", |ring| {
                    let now = ring_id(ring, 1);
                    !now.is_empty() && now != before
                });
                ring.wait_members(&[1, 2], &[1, 2]);
            } else {
                std::thread::sleep(Duration::from_millis(1500));
                assert_eq!(ring_id(&ring, 1), before, "{kinds}{setting}");
            }
        }
    }
}

/// `corosync-quorumtool -e` on either daemon counts on both, and is refused where it would cost the quorum.
#[test]
fn expected_votes_at_run_time() {
    for kinds in ["od", "do", "oo"] {
        let Some(mut ring) = Ring::new(kinds, 1, " transport: udpu") else { return };
        ring.up();
        let votes = |ring: &Ring, node: usize, what: &str| {
            let text = ring.tool(node, "corosync-quorumtool", "");
            let line = text.lines().find(|line| line.starts_with(what)).unwrap_or("").to_owned();
            line.split_whitespace().filter_map(|word| word.parse::<u32>().ok()).next()
        };
        let debian = Path::new("/usr/sbin/corosync-quorumtool").exists();
        // Five would cost the two their quorum: refused, and three stay.
        for (node, asked, number) in [(1, 3, 3), (2, 5, 3), (1, 5, 3), (2, 2, 2), (1, 3, 3), (1, 2, 2)] {
            if debian && node == 2 {
                ring.shell(node, &format!("/usr/sbin/corosync-quorumtool -e {asked}"));
            } else {
                ring.tool(node, "corosync-quorumtool", &format!("-e {asked}"));
            }
            if asked != number {
                std::thread::sleep(Duration::from_millis(300));
            }
            ring.until(&format!("{kinds}: {number} votes are expected on both"), |ring| {
                ring.nodes().all(|node| {
                    votes(ring, node, "Expected votes:") == Some(number)
                        && votes(ring, node, "Quorum:") == Some(2)
                })
            });
        }
        for node in ring.nodes() {
            let text = ring.tool(node, "corosync-quorumtool", "");
            assert!(text.lines().any(|line| line.starts_with("Quorate:") && line.ends_with("Yes")), "{text}");
        }
    }
}

/// Four and eight links with Debian's daemon: all come up, messages flow, and one link is enough.
#[test]
fn many_links() {
    for (kinds, links) in [("od", 4), ("do", 8)] {
        let Some(mut ring) = Ring::new(kinds, links, "") else { return };
        ring.up();
        ring.until("all links are up", |ring| {
            ring.nodes().all(|node| {
                let text = ring.tool(node, "corosync-cfgtool", "-s");
                text.matches("LINK ID").count() == links && !text.contains("disconnected")
            })
        });
        ring.load(30, 200_000, 1000);
        let load = ring.begin_load(100, 3000, 60_000);
        for link in 1..links {
            ring.set_cable(2, link, false);
        }
        load.end(&ring);
    }
}
