//! The two slots for keys: while a new key is introduced, packets of both are understood.

use std::borrow::Cow;

use crate::crypto::{Crypto, KeyError, Keys, Layout, Overhead, Salts};

/// How a packet was protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    None,
    /// Equal packets look equal.
    Signed,
    /// No two packets look the same.
    Salted,
}

/// A packet without its protection.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) protection: Protection,
    /// It was protected as the newest configuration wants it.
    pub(crate) is_newest: bool,
}

/// Keys in use and in waiting.
#[derive(Debug)]
pub(crate) struct KeyRing {
    slots: [Option<Crypto>; 2],
    /// Slot of the newest configuration.
    newest: usize,
    /// Slot that protects what is sent; `None`: nothing does.
    in_use: Option<usize>,
    /// Packets without protection are understood.
    accepts_clear: bool,
    salts: Salts,
}

impl KeyRing {
    pub(crate) fn new(keys: Option<&Keys>, seed: [u8; 32]) -> Result<Self, KeyError> {
        let crypto = keys.map(Crypto::new).transpose()?;
        Ok(Self {
            in_use: crypto.as_ref().map(|_| 0),
            accepts_clear: crypto.is_none(),
            slots: [crypto, None],
            newest: 0,
            salts: Salts::new(seed),
        })
    }

    /// Takes a new key (or none) in the other slot: from now on packets of both are understood.
    pub(crate) fn prepare(&mut self, keys: Option<&Keys>) -> Result<(), KeyError> {
        let crypto = keys.map(Crypto::new).transpose()?;
        self.accepts_clear |= crypto.is_none();
        let other = 1 - self.newest;
        if self.in_use == Some(other) {
            // A change that was never activated is replaced where it waits.
            self.put(self.newest, crypto);
        } else {
            self.put(other, crypto);
            self.newest = other;
        }
        Ok(())
    }

    fn put(&mut self, slot: usize, crypto: Option<Crypto>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = crypto;
        }
    }

    fn get(&self, slot: usize) -> Option<&Crypto> {
        self.slots.get(slot).and_then(Option::as_ref)
    }

    /// Sends with the newest key from now on.
    pub(crate) fn activate(&mut self) {
        self.in_use = self.get(self.newest).map(|_| self.newest);
    }

    /// There is a newer configuration than the one in use.
    pub(crate) fn is_waiting(&self) -> bool {
        self.in_use != self.get(self.newest).map(|_| self.newest)
    }

    /// Forgets the older key, and with a newer one what is not protected at all.
    pub(crate) fn forget_old(&mut self) {
        if self.in_use.is_some_and(|slot| slot != self.newest) {
            return;
        }
        self.put(1 - self.newest, None);
        self.accepts_clear = self.get(self.newest).is_none();
    }

    pub(crate) fn overhead(&self) -> Overhead {
        self.in_use.and_then(|slot| self.get(slot)).map_or_else(Overhead::default, Crypto::overhead)
    }

    pub(crate) fn is_sealing(&self) -> bool {
        self.in_use.is_some()
    }

    /// Writes packets one behind the other, protected with the key in use. `write` is called `count` times. Returns
    /// where each of them ends.
    pub(crate) fn seal(
        &mut self,
        out: &mut Vec<u8>,
        count: usize,
        mut write: impl FnMut(usize, &mut Vec<u8>),
    ) -> Vec<usize> {
        let Some(crypto) = self.in_use.and_then(|slot| self.slots.get(slot)).and_then(Option::as_ref) else {
            let mut one = |number| {
                write(number, out);
                out.len()
            };
            return (0..count).map(&mut one).collect();
        };
        let salts = &mut self.salts;
        let mut one = |number| crypto.lay_out(out, salts.next(), |out| write(number, out));
        let packets: Vec<Layout> = (0..count).map(&mut one).collect();
        crypto.seal_all(out, &packets);
        packets.iter().map(|packet| packet.end).collect()
    }

    /// Opens a packet; `None` if it is not authentic.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8]) -> Option<Opened<'a>> {
        let first = self.in_use.unwrap_or(self.newest);
        for slot in [first, 1 - first] {
            let Some(crypto) = self.get(slot) else { continue };
            if let Some(plain) = crypto.open(bytes) {
                let is_salted = crypto.overhead().salt > 0;
                return Some(Opened {
                    bytes: Cow::Owned(plain),
                    protection: if is_salted { Protection::Salted } else { Protection::Signed },
                    is_newest: slot == self.newest,
                });
            }
        }
        self.accepts_clear.then(|| Opened {
            bytes: Cow::Borrowed(bytes),
            protection: Protection::None,
            is_newest: self.get(self.newest).is_none(),
        })
    }

    /// An unpredictable number.
    pub(crate) fn random(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.salts.next();
        u32::from_ne_bytes([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{CipherKind, HashKind};

    fn keys(first: u8) -> Keys {
        Keys { cipher: CipherKind::Aes256, hash: HashKind::Sha256, key: vec![first; 256] }
    }

    fn ring(first: Option<u8>) -> KeyRing {
        KeyRing::new(first.map(keys).as_ref(), [first.unwrap_or(0); 32]).expect("valid")
    }

    fn understands(receiver: &KeyRing, sender: &mut KeyRing) -> bool {
        let mut sealed = Vec::new();
        sender.seal(&mut sealed, 1, |_, out| out.extend_from_slice(b"hello"));
        receiver.open(&sealed).is_some_and(|opened| *opened.bytes == *b"hello")
    }

    /// Both nodes pass through a change, one always a step ahead: they never lose each other.
    fn change(before: Option<u8>, after: Option<u8>) {
        let (mut a, mut b) = (ring(before), ring(before));
        let after = after.map(keys);
        for step in 0..3 {
            for node in [0, 1] {
                let it = if node == 0 { &mut a } else { &mut b };
                match step {
                    0 => it.prepare(after.as_ref()).expect("valid"),
                    1 => it.activate(),
                    _ => it.forget_old(),
                }
                assert!(understands(&a, &mut b), "step {step} at {node}: {before:?} to {after:?}");
                assert!(understands(&b, &mut a), "step {step} at {node}: {before:?} to {after:?}");
            }
        }
        if after.is_some() {
            assert!(!understands(&a, &mut ring(before)), "the old key is forgotten");
        }
    }

    #[test]
    fn keys_change_without_a_gap() {
        change(Some(1), Some(2));
        change(None, Some(2));
        change(Some(1), None);
        change(None, None);
    }

    #[test]
    fn a_change_that_was_not_activated_is_replaced() {
        let mut a = ring(Some(1));
        a.prepare(Some(&keys(2))).expect("valid");
        a.prepare(Some(&keys(3))).expect("valid");
        assert!(understands(&a, &mut ring(Some(1))) && understands(&a, &mut ring(Some(3))));
        assert!(!understands(&a, &mut ring(Some(2))));
        a.activate();
        a.forget_old();
        assert!(understands(&a, &mut ring(Some(3))) && !understands(&a, &mut ring(Some(1))));
    }

    #[test]
    fn clear_packets_need_permission() {
        let mut clear = ring(None);
        assert!(!understands(&ring(Some(1)), &mut clear));
        assert!(understands(&ring(None), &mut clear));
    }
}
