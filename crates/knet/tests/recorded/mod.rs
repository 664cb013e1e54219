//! Recorded traffic of the reference, read from the shared directory.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use knet::{CipherKind, HashKind, Keys};
use totem::Instant;

pub fn captures() -> Option<PathBuf> {
    let shared = std::env::var_os("RELEVO_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let dir = shared.join("captures");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("LEFT OUT: no captures at {}", dir.display());
    None
}

pub struct Datagram {
    pub at: Instant,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// UDP datagrams over IPv4 of a capture in pcap format, little-endian.
pub fn datagrams(file: &[u8]) -> Vec<Datagram> {
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let scale = match u32_at(0) {
        0xa1b2_c3d4 => 1000,
        0xa1b2_3c4d => 1,
        other => panic!("not a pcap file: {other:#x}"),
    };
    let mut found = Vec::new();
    let mut at = 24;
    while at + 16 <= file.len() {
        let (seconds, fraction, len) = (u32_at(at), u32_at(at + 4), u32_at(at + 8) as usize);
        let frame = &file[at + 16..at + 16 + len];
        at += 16 + len;
        let is_udp = frame[12..14] == [8, 0] && frame[23] == 17;
        if !is_udp || (u16::from_be_bytes([frame[20], frame[21]]) & 0x3fff) != 0 {
            continue;
        }
        let udp = 14 + usize::from(frame[14] & 15) * 4;
        let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let ip = |at: usize| Ipv4Addr::new(frame[at], frame[at + 1], frame[at + 2], frame[at + 3]);
        let end = udp + usize::from(port(udp + 4));
        found.push(Datagram {
            at: Instant(u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * scale),
            from: (ip(26), port(udp)).into(),
            to: (ip(30), port(udp + 2)).into(),
            bytes: frame[udp + 8..end].to_vec(),
        });
    }
    found
}

pub fn keys(dir: &std::path::Path) -> Keys {
    let key = std::fs::read(dir.join("authkey")).unwrap();
    Keys { cipher: CipherKind::Aes256, hash: HashKind::Sha256, key }
}

pub fn files(dir: &std::path::Path, start: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(start) && name.ends_with(".pcap")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no captures named {start}*");
    files
}
