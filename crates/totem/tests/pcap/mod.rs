//! Reads recorded traffic of the reference.

use std::path::PathBuf;

/// Recorded traffic, or None (said aloud) where it is not at hand.
pub fn captures() -> Option<Vec<PathBuf>> {
    let shared = std::env::var_os("RELEVO_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let dir = shared.join("captures");
    let Ok(entries) = std::fs::read_dir(&dir) else {
        println!("LEFT OUT: no captures in {}", dir.display());
        return None;
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.ends_with(".pcap") && (name.starts_with("udp") || name.starts_with("pacemaker-udp"))
        })
        .collect();
    files.sort();
    Some(files)
}

/// UDP payloads of a pcap file with Ethernet frames, IP fragments put together.
pub fn udp_payloads(file: &[u8]) -> Vec<Vec<u8>> {
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert!(matches!(u32_at(0), 0xa1b2_c3d4 | 0xa1b2_3c4d), "little-endian pcap");
    let mut at = 24;
    let mut payloads = Vec::new();
    let mut fragments: std::collections::HashMap<(u16, [u8; 8]), Vec<u8>> = std::collections::HashMap::new();
    while at + 16 <= file.len() {
        let len = u32_at(at + 8) as usize;
        let frame = &file[at + 16..at + 16 + len];
        at += 16 + len;
        let is_udp = frame.len() > 34 && frame[12..14] == [8, 0] && frame[23] == 17;
        if !is_udp {
            continue;
        }
        let ip = &frame[14..];
        let ihl = usize::from(ip[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let flags = u16::from_be_bytes([ip[6], ip[7]]);
        let key = (u16::from_be_bytes([ip[4], ip[5]]), ip[12..20].try_into().unwrap());
        let body = &ip[ihl..total];
        let more = flags & 0x2000 != 0;
        if more || flags & 0x1fff != 0 {
            let whole = fragments.entry(key).or_default();
            whole.extend_from_slice(body);
            if !more {
                payloads.extend(fragments.remove(&key).map(|datagram| datagram[8..].to_vec()));
            }
        } else {
            payloads.push(body[8..].to_vec());
        }
    }
    payloads
}
