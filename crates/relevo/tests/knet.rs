//! The tutorial's cluster as pcs makes it when nobody names a transport: knet, encrypted.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod common;

use common::cluster_over;

#[test]
fn a_cluster_without_a_word_about_its_transport() {
    let Some(c) = cluster_over("knet", 2, "") else { return };
    let conf = c.ok("nodo2", "cat /etc/corosync/corosync.conf");
    for words in ["transport: knet", "crypto_cipher: aes256", "crypto_hash: sha256"] {
        assert!(conf.contains(words), "{conf}");
    }
    let key = |node: &str| c.ok(node, "cksum < /etc/corosync/authkey");
    assert_eq!(key("nodo1"), key("nodo2"));
    let links = c.ok("nodo1", "corosync-cfgtool -s");
    assert!(links.contains("transport knet") && links.contains("connected"), "{links}");
    assert!(!links.contains("disconnected"), "{links}");
    let stats = c.ok("nodo1", "corosync-cmapctl -m stats");
    let sealed = stats.lines().find(|line| line.contains("handle.rx_crypt_packets")).unwrap_or("");
    assert!(!sealed.is_empty() && !sealed.ends_with("= 0"), "{sealed}");

    // Standby, then death of the node that has the address.
    let (active, other) = c.active_and_other();
    c.ok("nodo1", &format!("pcs node standby {active}.example.com"));
    c.until("the address has moved", |c| c.holders() == [other.clone()]);
    c.ok("nodo1", &format!("pcs node unstandby {active}.example.com"));
    c.ok("nodo1", "pcs property set no-quorum-policy=ignore");
    let (active, other) = c.active_and_other();
    c.lab.kill(&active).unwrap();
    c.until("the survivor has the address", |c| c.has_address(&other));
}
