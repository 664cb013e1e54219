//! Recorded traffic of the reference: what each node sent and received, and what was done to the nodes meanwhile.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use totem::Instant;

use crate::envelope;

/// One UDP datagram between two nodes.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub at: Instant,
    pub from: u32,
    /// None: multicast.
    pub to: Option<u32>,
    pub bytes: Vec<u8>,
    /// Length of the UDP payload that carried it, of the longest one if there were several.
    pub wire_len: usize,
}

/// The answer to a heartbeat of knet.
#[derive(Clone, Copy, Debug)]
pub struct Pong {
    pub at: Instant,
    pub from: u32,
    pub to: u32,
}

/// What the person at the keyboard did, from the description of the captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Start(u32),
    Kill(u32),
    Leave(u32),
    PortDown(u32),
    PortUp(u32),
    /// The node drops some or all incoming datagrams longer than [`DROPPED_ABOVE_BYTES`].
    DropsSome(u32),
    DropsAll(u32),
    DropsNoMore,
}

/// IP packets longer than this were dropped where drops are described.
pub const DROPPED_ABOVE_BYTES: usize = 150;
const IP_AND_UDP_BYTES: usize = 28;

/// A capture with its time table.
pub struct Capture {
    pub name: String,
    /// Nodes in the configuration.
    pub nodes: u32,
    /// Totem packets; those of knet out of their envelopes.
    pub datagrams: Vec<Datagram>,
    /// None: not knet.
    pub pongs: Option<Vec<Pong>>,
    pub deeds: Vec<(Instant, Deed)>,
    /// A part in the middle was cut out.
    pub is_trimmed: bool,
}

impl Datagram {
    /// True if the filter on the length of IP packets would catch it.
    pub fn is_long(&self) -> bool {
        self.wire_len + IP_AND_UDP_BYTES > DROPPED_ABOVE_BYTES
    }
}

/// The directory of recorded traffic, or None (said aloud) where it is not at hand.
pub fn directory() -> Option<PathBuf> {
    let shared = std::env::var_os("RELEVO_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let dir = shared.join("captures");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("LEFT OUT: no captures in {}", dir.display());
    None
}

/// All captures whose name starts so, in the order in which they were made.
pub fn load(dir: &Path, start: &str) -> Vec<Capture> {
    let readme = std::fs::read_to_string(dir.join("README.md")).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".pcap").map(str::to_owned))
        .filter(|name| name.starts_with(start))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no captures named {start}*");
    names
        .into_iter()
        .map(|name| {
            let file = std::fs::read(dir.join(format!("{name}.pcap"))).unwrap();
            let nodes = if name.contains("-3n") { 3 } else { 2 };
            let section = section(&readme, &name);
            let is_trimmed = section.contains("cut out)") || section.contains("(trimmed like");
            let outer = datagrams(&file);
            let (datagrams, pongs) = match name.strip_prefix("knet-") {
                Some(kind) => {
                    let (inner, pongs) =
                        envelope::open(outer, kind.starts_with("aes").then(|| envelope::crypto(dir)));
                    (inner, Some(pongs))
                }
                None => (outer, None),
            };
            Capture { datagrams, pongs, nodes, deeds: deeds(section), is_trimmed, name }
        })
        .collect()
}

fn section<'a>(readme: &'a str, name: &str) -> &'a str {
    let title = format!("{name}.pcap");
    readme.split("\n### ").find(|part| part.lines().next() == Some(&title)).unwrap_or_default()
}

fn deeds(section: &str) -> Vec<(Instant, Deed)> {
    let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
    lines
        .filter_map(|line| {
            let (seconds, text) = line.split_once("  ")?;
            let (whole, fraction) = seconds.split_once('.')?;
            let millis = whole.parse::<u64>().ok()? * 1000 + fraction.parse::<u64>().ok()?;
            let text = text.split_once("  ")?.1;
            Some((Instant(millis * 1_000_000), deed(text)?))
        })
        .collect()
}

fn deed(text: &str) -> Option<Deed> {
    let node = |word: &str| word.strip_prefix('w')?.parse::<u32>().ok();
    let words: Vec<&str> = text.split_whitespace().collect();
    match *words.as_slice() {
        ["start", "corosync", "on", name] => node(name).map(Deed::Start),
        ["signal", "9", "to", "corosync", "on", name] => node(name).map(Deed::Kill),
        ["signal", "15", "to", "corosync", "on", name] => node(name).map(Deed::Leave),
        ["bridge", "port", "of", name, "down"] => node(name).map(Deed::PortDown),
        ["bridge", "port", "of", name, "up"] => node(name).map(Deed::PortUp),
        [name, "now", "drops", "every", ..] => node(name).map(Deed::DropsAll),
        [name, "now", "drops", ..] => node(name).map(Deed::DropsSome),
        ["no", "more", "drops"] => Some(Deed::DropsNoMore),
        _ => None,
    }
}

/// UDP datagrams of a pcap file with Ethernet frames, IP fragments put together.
fn datagrams(file: &[u8]) -> Vec<Datagram> {
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let scale = match u32_at(0) {
        0xa1b2_c3d4 => 1000,
        0xa1b2_3c4d => 1,
        other => panic!("not a little-endian pcap file: {other:#x}"),
    };
    let mut found = Vec::new();
    let mut parts: HashMap<(u16, [u8; 8]), Vec<u8>> = HashMap::new();
    let mut at = 24;
    while at + 16 <= file.len() {
        let time = u64::from(u32_at(at)) * 1_000_000_000 + u64::from(u32_at(at + 4)) * scale;
        let len = u32_at(at + 8) as usize;
        let frame = &file[at + 16..at + 16 + len];
        at += 16 + len;
        if frame.len() <= 34 || frame[12..14] != [8, 0] || frame[23] != 17 {
            continue;
        }
        let ip = &frame[14..];
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let body = &ip[usize::from(ip[0] & 15) * 4..total];
        let flags = u16::from_be_bytes([ip[6], ip[7]]);
        let key = (u16::from_be_bytes([ip[4], ip[5]]), ip[12..20].try_into().unwrap());
        let is_part = flags & 0x3fff != 0;
        let udp = if is_part {
            parts.entry(key).or_default().extend_from_slice(body);
            if flags & 0x2000 != 0 {
                continue;
            }
            parts.remove(&key).unwrap()
        } else {
            body.to_vec()
        };
        let (from, to) = (node(&ip[12..16]), node(&ip[16..20]));
        let bytes = udp[8..].to_vec();
        found.push(Datagram { at: Instant(time), from: from.unwrap(), to, wire_len: bytes.len(), bytes });
    }
    found
}

/// Hosts are 10.77.0.11 (node 1), .12, .13.
fn node(address: &[u8]) -> Option<u32> {
    (address[..3] == [10, 77, 0]).then(|| u32::from(address[3]) - 10)
}
