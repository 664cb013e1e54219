//! Our state machines in the place of recorded nodes of the reference.
//!
//! For each capture each node is replaced in turn: our core, in virtual time, is given the packets that reached the
//! node, at their times, and what the programs above it sent; everything that it sends must be what the node sent,
//! field by field: joins, commit tokens, tokens (seq, aru, aru_addr, backlog, fcc, requests), holds cancelled, merge
//! detects, messages, retransmissions, old messages in RECOVERY, leaves. What may differ, and why:
//! - order of packets that do not depend on each other, and order in the sets of a join;
//! - times: our timers fire when they are due, the recorded ones up to 350 ms later (a loaded machine), or 5 ms
//!   earlier; so joins are repeated more often by ours. A packet may have been read later than it was on the wire, or
//!   before a timer or an own copy that was due: tried only where the capture has no other explanation, and counted;
//! - merge detects and cancelled holds of a ring of one: they depend on how often the token spun there;
//! - a token repeated for a second cancel of the same hold, and a hold cancelled that nobody holds: spared by ours;
//! - what has no meaning: `target` over udp (leftover bytes).
//!
//! Switched off in our core: what it does among its own kind only (announcements, wider windows, shorter times,
//! messages that share the packet with the end of a large one).
//!
//! The parts below the ring are undone (`envelope`); `knet/tests/captures.rs` compares those.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use totem::wire::{OrfToken, Packet};

mod boot;
mod capture;
mod envelope;
mod input;
mod life;
mod packet;
mod standing;
mod story;

/// Where the comparison ends early, and why.
const KNOWN: &[(&str, u32, &str)] = &[
    (
        "udp-2n-01-form",
        1,
        "the recorded node hears of the other ring while it handles a token, is in GATHER, and still sends what the \
         token let it send, on the ring that it has left; ours sends it on the next one",
    ),
    (
        "udpu-3n-05-partition-merge",
        1,
        "a join in COMMIT: the recorded node makes a commit token, sends it and abandons it at once for GATHER; ours \
         enters GATHER",
    ),
    (
        "knet-plain-3n-05-partition-merge",
        1,
        "a packet is not in the capture: w2 forwards a commit token of w1",
    ),
];

const UDP_MTU: usize = 1500;
const KNET_MTU: usize = 65_536;
/// Share of the compared packets that the recorded process may have read late, in percent: a few where several nodes
/// start at once and store their ring's number.
const READ_LATE_PERCENT_MAX: usize = 3;

fn mtu(start: &str) -> usize {
    if start.starts_with("knet") { KNET_MTU } else { UDP_MTU }
}

/// Plays all captures whose name starts so; at least `least` packets must have been compared.
fn play(start: &str, least: usize) {
    let Some(dir) = capture::directory() else { return };
    let mut differences = Vec::new();
    let (mut compared, mut read_late) = (0, 0);
    for capture in capture::load(&dir, start) {
        for node in 1..=capture.nodes {
            let Some(mut story) = story::story(&capture, node) else { continue };
            let outcome = life::replay(&mut story, capture.nodes, mtu(start), None);
            compared += outcome.compared;
            read_late += outcome.read_late;
            println!(
                "{} w{node}: {} packets as recorded, {} read late, {} more repeats of joins, {} needless",
                capture.name, outcome.compared, outcome.read_late, outcome.more_repeats, outcome.needless
            );
            let known = KNOWN.iter().find(|(name, id, _)| *name == capture.name && *id == node);
            match (outcome.difference, known) {
                (None, None) => {}
                (Some(difference), Some((_, _, why))) => println!("  known: {why}\n  {difference}"),
                (Some(difference), None) => {
                    differences.push(format!("{} w{node}: {difference}", capture.name));
                }
                (None, Some(_)) => differences.push(format!("{} w{node}: no longer differs", capture.name)),
            }
        }
    }
    println!("{compared} packets compared");
    assert!(differences.is_empty(), "{} nodes differ:\n{}", differences.len(), differences.join("\n"));
    assert!(compared >= least, "only {compared} packets were compared");
    assert!(
        read_late * 100 <= compared * READ_LATE_PERCENT_MAX,
        "{read_late} of {compared} packets read late"
    );
}

#[test]
fn udpu() {
    play("udpu-", 6000);
}

#[test]
fn udp() {
    play("udp-", 4000);
}

#[test]
fn knet() {
    play("knet-plain", 4000);
}

#[test]
fn knet_encrypted() {
    play("knet-aes256", 3500);
}

#[test]
fn under_pacemaker() {
    play("pacemaker-udpu", 5000);
}

/// The comparison notices when the core sends something else: each change of one field in what it sends makes the
/// replay of some capture differ.
#[test]
fn a_wrong_field_is_noticed() {
    let Some(dir) = capture::directory() else { return };
    let mutations: [(&str, life::Mutation); 10] = [
        ("aru", |packet| with_token(packet, |token| token.aru ^= u32::from(token.aru > 10))),
        ("aru_addr", |packet| with_token(packet, |token| token.aru_addr ^= u32::from(token.seq > 10))),
        ("backlog", |packet| with_token(packet, |token| token.backlog += u32::from(token.seq > 10))),
        ("fcc", |packet| with_token(packet, |token| token.fcc += u32::from(token.seq > 10))),
        ("rtr", |packet| with_token(packet, |token| token.rtr.truncate(1))),
        ("token_seq", |packet| with_token(packet, |token| token.token_seq += u32::from(token.seq > 10))),
        ("retrans_flg", |packet| with_token(packet, |token| token.retrans_flg = 0)),
        ("members of a join", |packet| {
            if let Packet::Join(join) = packet {
                join.failed.clear();
            }
        }),
        ("high_delivered", |packet| {
            if let Packet::CommitToken(token) = packet {
                token.members.iter_mut().for_each(|(_, entry)| entry.high_delivered = 0);
            }
        }),
        ("message number", |packet| {
            if let Packet::Mcast(mcast) = packet {
                mcast.this_seqno += 1;
            }
        }),
    ];
    let starts = ["udpu-3n-04", "udpu-3n-06", "udpu-3n-07"];
    for (field, mutation) in mutations {
        let noticed = starts.iter().any(|start| {
            let captures = capture::load(&dir, start);
            captures.iter().flat_map(|capture| (1..=capture.nodes).map(move |node| (capture, node))).any(
                |(capture, node)| {
                    let mut story = story::story(capture, node).unwrap();
                    life::replay(&mut story, capture.nodes, mtu(start), Some(mutation)).difference.is_some()
                },
            )
        });
        assert!(noticed, "a wrong {field} goes unnoticed");
    }
}

fn with_token(packet: &mut Packet, change: impl Fn(&mut OrfToken)) {
    if let Packet::OrfToken(token) = packet {
        change(token);
    }
}
