//! Knet in rings of our daemon and Debian's: every cipher, hash, compression and link policy; cables that
//! are cut, packets that are lost, nodes that die, keys and links that change while messages flow.
//!
//! In the names of rings `o` is our daemon and `d` Debian's. Tests with `d` say LEFT OUT without it.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod ring;

use std::time::Duration;

use ring::Ring;

const SETTLED: Duration = Duration::from_secs(9);
/// Times of the reference, where rings must bear its slower detection of dead links.
const TOKEN: &str = " token: 3000";

/// Forms a ring and lets messages of 10 B to `largest` flow.
fn flows(kinds: &str, links: usize, totem: &str, largest: usize) {
    let Some(mut ring) = Ring::new(kinds, links, totem) else { return };
    let took = ring.up();
    println!("{kinds} {links} links, {}: formed in {took:?}", totem.replace('\n', ","));
    ring.load(40, 1000, 0);
    ring.load(12, largest, 1000);
}

const MEGABYTE: usize = 1 << 20;

#[test]
fn rings_of_any_mix() {
    for kinds in ["oo", "od", "do", "ood", "ddo", "odo", "ododo", "ddddo"] {
        flows(kinds, 1, "", MEGABYTE);
    }
}

#[test]
fn every_cipher_and_hash() {
    for (cipher, hash) in [
        ("aes256", "sha256"),
        ("aes128", "md5"),
        ("aes192", "sha384"),
        ("aes256", "sha1"),
        ("aes128", "sha512"),
        ("none", "sha256"),
        ("none", "md5"),
    ] {
        flows("od", 1, &format!(" crypto_cipher: {cipher}\n crypto_hash: {hash}"), 200_000);
    }
    flows("do", 1, " secauth: on\n crypto_model: openssl", 200_000);
}

#[test]
fn every_compression() {
    for (model, level) in [("zlib", 6), ("lz4", 1), ("lz4hc", 3), ("bzip2", 5), ("zstd", 3)] {
        let totem = format!(" knet_compression_model: {model}\n knet_compression_level: {level}");
        let Some(mut ring) = Ring::new("od", 1, &totem) else { return };
        ring.up();
        ring.load(20, 200_000, 0);
        let stats = ring.tool(1, "corosync-cmapctl", "-m stats");
        for key in ["rx_compressed_packets", "tx_compressed_packets"] {
            let line = stats.lines().find(|line| line.contains(key)).unwrap_or("");
            assert!(!line.is_empty() && !line.ends_with("= 0"), "{model}: {line}");
        }
    }
}

#[test]
fn addresses_of_ipv6() {
    flows("od", 2, " ip_version: ipv6\n secauth: on", 200_000);
}

#[test]
fn every_link_policy() {
    for mode in ["passive", "active", "rr"] {
        flows("od", 3, &format!(" link_mode: {mode}"), 200_000);
        flows("doo", 2, &format!(" link_mode: {mode}\n secauth: on"), 200_000);
    }
}

/// A cable is pulled and plugged in again while messages flow; nobody loses a message or a member.
fn survives_a_cut(kinds: &str, mode: &str, totem: &str, settle: Duration) {
    let Some(mut ring) = Ring::new(kinds, 2, &format!(" link_mode: {mode}\n{totem}")) else { return };
    ring.up();
    std::thread::sleep(settle);
    let load = ring.begin_load(1200, 20_000, 5000);
    std::thread::sleep(Duration::from_secs(1));
    ring.set_cable(1, 0, false);
    ring.until("the cut is noticed", |ring| ring.tool(1, "corosync-cfgtool", "-s").contains("disconnected"));
    ring.set_cable(1, 0, true);
    ring.until("the link is back", |ring| {
        ring.nodes().all(|node| !ring.tool(node, "corosync-cfgtool", "-s").contains("disconnected"))
    });
    load.end(&ring);
}

#[test]
fn a_cut_of_one_link_loses_nothing() {
    survives_a_cut("oo", "passive", "", Duration::ZERO);
    survives_a_cut("oo", "rr", " secauth: on", Duration::ZERO);
    survives_a_cut("oo", "active", "", Duration::ZERO);
    survives_a_cut("od", "passive", TOKEN, SETTLED);
}

#[test]
fn the_direction_of_a_fault_is_named() {
    let Some(mut ring) = Ring::new("oo", 2, "") else { return };
    ring.up();
    std::thread::sleep(Duration::from_millis(500));
    ring.set_one_way(1, 1, "output");
    let fault = |node: usize, words: &'static str| {
        let names = move |ring: &Ring, option| ring.tool(node, "corosync-cfgtool", option).contains(words);
        move |ring: &Ring| names(ring, "-s") && names(ring, "-n")
    };
    ring.until("node 1 names its side", fault(1, "outgoing packets are lost"));
    ring.until("node 2 names its side", fault(2, "nothing arrives"));
    assert_eq!(ring.members(1), [1, 2]);
}

#[test]
fn a_fifth_of_all_packets_may_be_lost() {
    // Debian's daemon sends each fragment and each token once, so its messages are short, and a token may be sent
    // again ten times: five losses in a row are no rarity here.
    let patient = format!("{TOKEN}\n token_retransmits_before_loss_const: 10");
    for (kinds, totem, largest) in
        [("oo", "", 60_000), ("oo", TOKEN, 4000), ("oo", " secauth: on", 60_000), ("od", &patient, 200)]
    {
        let Some(mut ring) = Ring::new(kinds, 1, totem) else { return };
        ring.up();
        let load = ring.begin_load(100, largest, 20_000);
        ring.set_loss(1, 20);
        ring.set_loss(2, 20);
        load.end(&ring);
    }
}

#[test]
fn nodes_die_and_come_back() {
    for (kinds, totem) in [("ooo", ""), ("odo", " token: 1000\n secauth: on")] {
        let Some(mut ring) = Ring::new(kinds, 1, totem) else { return };
        ring.up();
        ring.kill(3);
        let took = ring.wait_members(&[1, 2], &[1, 2]);
        println!("{kinds}: a killed node is out after {took:?}");
        ring.start(3);
        ring.wait_members(&[1, 2, 3], &[1, 2, 3]);
        ring.set_cable(3, 0, false);
        ring.wait_members(&[1, 2], &[1, 2]);
        ring.wait_members(&[3], &[3]);
        ring.set_cable(3, 0, true);
        ring.wait_members(&[1, 2, 3], &[1, 2, 3]);
        ring.load(20, 100_000, 0);
    }
}

/// Changes the configuration at all nodes, then tells one to reload, all while messages flow.
fn reload(ring: &mut Ring, at: usize, change: impl FnOnce(&mut Ring)) {
    let load = ring.begin_load(300, 5000, 3000);
    std::thread::sleep(Duration::from_millis(300));
    change(ring);
    ring.configure();
    let said = ring.tool(at, "corosync-cfgtool", "-R");
    assert!(said.contains("Done"), "{said}\n{}", ring.logs());
    load.end(ring);
}

#[test]
fn keys_and_links_change_while_messages_flow() {
    for (kinds, at) in [("oo", 1), ("od", 1), ("od", 2)] {
        let aes = format!("{TOKEN}\n crypto_cipher: aes256\n crypto_hash: sha256");
        let Some(mut ring) = Ring::new(kinds, 2, &aes) else { return };
        ring.links = 1;
        ring.configure();
        ring.up();
        reload(&mut ring, at, |ring| ring.write_key(3));
        reload(&mut ring, at, |ring| {
            ring.totem = format!("{TOKEN}\n crypto_cipher: aes128\n crypto_hash: md5")
        });
        reload(&mut ring, at, |ring| ring.totem = TOKEN.to_owned());
        reload(&mut ring, at, |ring| ring.totem.clone_from(&aes));
        reload(&mut ring, at, |ring| ring.links = 2);
        ring.until("both links are up", |ring| {
            let status = ring.tool(1, "corosync-cfgtool", "-s");
            status.contains("LINK ID 1") && !status.contains("disconnected")
        });
        reload(&mut ring, at, |ring| ring.links = 1);
        assert!(!ring.tool(1, "corosync-cfgtool", "-s").contains("LINK ID 1"));
    }
}

#[test]
fn a_wrong_key_gets_nothing_in() {
    let Some(mut ring) = Ring::new("ooo", 1, " secauth: on") else { return };
    ring.start(1);
    ring.start(2);
    ring.wait_members(&[1, 2], &[1, 2]);
    ring.write_key(9);
    ring.start(3);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(ring.members(1), [1, 2]);
    assert_eq!(ring.members(3), [3]);
}

/// Keys that libknet does not have: what was refused, and what somebody sent again.
const OURS_ONLY: [&str; 2] = [".rx_refused_packets", ".rx_repeated_packets"];

/// Debian's own tool on our daemon and ours on Debian's show the same of the same ring.
#[test]
fn the_status_tools_agree() {
    let Some(mut ring) = Ring::new("od", 2, " secauth: on") else { return };
    ring.up();
    ring.until("all links are up", |ring| {
        ring.nodes().all(|node| !ring.tool(node, "corosync-cfgtool", "-s").contains("disconnected"))
    });
    std::thread::sleep(Duration::from_secs(1));
    for node in ring.nodes() {
        for args in ["-s", "-n", "-s -b", "-a 1", "-a 2"] {
            let ours = ring.tool(node, "corosync-cfgtool", args);
            let theirs = ring.shell(node, &format!("/usr/sbin/corosync-cfgtool {args}"));
            assert_eq!(ours, theirs, "node {node}: {args}");
        }
    }
    let swap = |text: String| text.replace(".11", ".x").replace(".12", ".11").replace(".x", ".12");
    let (first, second) =
        (ring.shell(1, "/usr/sbin/corosync-cfgtool -n"), ring.shell(2, "/usr/sbin/corosync-cfgtool -n"));
    let body = |text: &str| text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(body(&first), body(&swap(second)));
    let keys = |node: usize| -> Vec<String> {
        let text = ring.tool(node, "corosync-cmapctl", "-m stats");
        let names = text
            .lines()
            .filter(|line| line.starts_with("stats.knet."))
            .filter_map(|line| line.split(' ').next());
        let other = if node == 1 { "node2" } else { "node1" };
        let ours_only = |name: &str| OURS_ONLY.iter().any(|key| name.ends_with(key));
        names
            .filter(|name| name.contains(other) || name.contains("handle"))
            .filter(|name| !ours_only(name))
            .map(|name| name.replace(other, "peer"))
            .collect()
    };
    assert_eq!(keys(1), keys(2));
    for node in ring.nodes() {
        times_are_plausible(&ring.tool(node, "corosync-cmapctl", "-m stats"), node);
    }
}

/// Both engines tell times of encryption in nanoseconds, and where nothing was measured the same.
fn times_are_plausible(stats: &str, node: usize) {
    const SECOND_NS: u64 = 1_000_000_000;
    let value = |key: &str| -> u64 {
        let prefix = format!("stats.knet.handle.{key} ");
        let line = stats.lines().find(|line| line.starts_with(&prefix)).unwrap_or_default();
        line.rsplit(' ')
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{node}: {key}: {line}"))
    };
    for direction in ["tx", "rx"] {
        let [min, ave, max] = ["min", "ave", "max"].map(|of| value(&format!("{direction}_crypt_time_{of}")));
        assert!(0 < min && min <= ave && ave <= max && max < SECOND_NS, "node {node}: {min} {ave} {max}");
        let unused = ["min", "ave", "max"].map(|of| value(&format!("{direction}_compress_time_{of}")));
        assert_eq!(unused, [u64::MAX, 0, 0], "node {node}");
    }
    let (packets, overhead) = (value("tx_crypt_packets"), value("tx_crypt_byte_overhead"));
    // A hash, padding to whole blocks, and in our count the salt.
    assert!((16..=96).contains(&(overhead / packets)), "node {node}: {overhead} of {packets}");
}
