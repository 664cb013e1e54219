//! Totem packets out of knet's envelopes: decrypted, put together from fragments.

use std::collections::BTreeMap;
use std::path::Path;

use knet::wire::{self, Packet};
use knet::{CipherKind, Crypto, HashKind, Keys};

use crate::capture::{Datagram, Pong};

/// The key of the encrypted captures.
pub fn crypto(dir: &Path) -> Crypto {
    let key = std::fs::read(dir.join("authkey")).unwrap();
    Crypto::new(&Keys { cipher: CipherKind::Aes256, hash: HashKind::Sha256, key }).unwrap()
}

/// Sender, receiver, number of a message.
type Number = (u32, Option<u32>, u16);
/// By position; beside it stands the length of the longest datagram.
type Fragments = BTreeMap<u8, Vec<u8>>;

/// The messages, each at the time of its last fragment, and the answers to heartbeats.
pub fn open(datagrams: Vec<Datagram>, crypto: Option<Crypto>) -> (Vec<Datagram>, Vec<Pong>) {
    let mut messages = Vec::new();
    let mut pongs = Vec::new();
    let mut parts: BTreeMap<Number, (Fragments, usize)> = BTreeMap::new();
    for datagram in datagrams {
        let plain = match &crypto {
            Some(crypto) => crypto.open(&datagram.bytes).unwrap(),
            None => datagram.bytes.clone(),
        };
        let (_, packet) = wire::decode(&plain).unwrap();
        match packet {
            Packet::Pong(_) => {
                pongs.push(Pong { at: datagram.at, from: datagram.from, to: datagram.to.unwrap() });
            }
            Packet::Data(data) => {
                assert_eq!(data.compress, 0, "no capture is compressed");
                let key = (datagram.from, datagram.to, data.seq);
                let (fragments, longest) = parts.entry(key).or_default();
                fragments.insert(data.fragment, data.payload.to_vec());
                *longest = datagram.wire_len.max(*longest);
                if fragments.len() == usize::from(data.fragments) {
                    let (fragments, wire_len) = parts.remove(&key).unwrap();
                    let bytes = fragments.into_values().collect::<Vec<_>>().concat();
                    messages.push(Datagram { bytes, wire_len, ..datagram });
                }
            }
            _ => {}
        }
    }
    (messages, pongs)
}
