//! Encryption and authentication of packets, byte for byte what libknet's nss and openssl modules make:
//! salt ‖ AES-CBC(packet, PKCS#7) ‖ HMAC(salt ‖ ciphertext); without cipher: packet ‖ HMAC(packet).
//! The salt is the initialisation vector. Keys are used as they are: the cipher takes the first bytes
//! of the key file, the HMAC all of it.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::consts::U16;
use aes::cipher::{Block, BlockCipherEncrypt, BlockModeDecrypt, BlockSizeUser, InnerIvInit, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use hmac::{Hmac, Mac};

/// Bytes of the salt in front of an encrypted packet.
pub const SALT_BYTES: usize = 16;
/// Shortest and longest key in bytes (libknet's KNET_MIN_KEY_LEN, KNET_MAX_KEY_LEN).
pub const KEY_MIN_BYTES: usize = 128;
/// See [`KEY_MIN_BYTES`].
pub const KEY_MAX_BYTES: usize = 4096;
const BLOCK_BYTES: usize = 16;
/// Packets that are encrypted side by side.
const LANES: usize = 16;

/// Cipher of `totem.crypto_cipher`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherKind {
    None,
    Aes128,
    Aes192,
    Aes256,
}

/// Hash of `totem.crypto_hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl CipherKind {
    /// The cipher of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "aes128" => Self::Aes128,
            "aes192" => Self::Aes192,
            "aes256" => Self::Aes256,
            _ => return None,
        })
    }
}

impl HashKind {
    /// The hash of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }
}

/// A way to protect packets, with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub cipher: CipherKind,
    pub hash: HashKind,
    /// Contents of the key file, 128 to 4096 bytes.
    pub key: Vec<u8>,
}

impl core::fmt::Debug for Keys {
    /// Never shows the key.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Keys").field("cipher", &self.cipher).field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// A key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the key has {0} bytes, {KEY_MIN_BYTES} to {KEY_MAX_BYTES} are permitted; make a new one with corosync-keygen"
    )]
    Length(usize),
}

#[derive(Clone)]
enum Cipher {
    None,
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
}

#[derive(Clone)]
enum Signer {
    Md5(Hmac<md5::Md5>),
    Sha1(Hmac<sha1::Sha1>),
    Sha256(Hmac<sha2::Sha256>),
    Sha384(Hmac<sha2::Sha384>),
    Sha512(Hmac<sha2::Sha512>),
}

/// Protects and opens packets with one key.
#[derive(Clone)]
pub struct Crypto {
    cipher: Cipher,
    signer: Signer,
}

impl core::fmt::Debug for Crypto {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Crypto").finish_non_exhaustive()
    }
}

macro_rules! with_signer {
    ($signer:expr, $mac:ident => $body:expr) => {
        match $signer {
            Signer::Md5($mac) => $body,
            Signer::Sha1($mac) => $body,
            Signer::Sha256($mac) => $body,
            Signer::Sha384($mac) => $body,
            Signer::Sha512($mac) => $body,
        }
    };
}

impl Crypto {
    /// Takes a key.
    ///
    /// # Errors
    /// A key that is too short or too long.
    pub fn new(keys: &Keys) -> Result<Self, KeyError> {
        let fail = |_| KeyError::Length(keys.key.len());
        if !(KEY_MIN_BYTES..=KEY_MAX_BYTES).contains(&keys.key.len()) {
            return Err(KeyError::Length(keys.key.len()));
        }
        let part = |len: usize| keys.key.get(..len).unwrap_or_default();
        let cipher = match keys.cipher {
            CipherKind::None => Cipher::None,
            CipherKind::Aes128 => Cipher::Aes128(Box::new(Aes128::new_from_slice(part(16)).map_err(fail)?)),
            CipherKind::Aes192 => Cipher::Aes192(Box::new(Aes192::new_from_slice(part(24)).map_err(fail)?)),
            CipherKind::Aes256 => Cipher::Aes256(Box::new(Aes256::new_from_slice(part(32)).map_err(fail)?)),
        };
        let key = keys.key.as_slice();
        let signer = match keys.hash {
            HashKind::Md5 => Signer::Md5(Hmac::new_from_slice(key).map_err(fail)?),
            HashKind::Sha1 => Signer::Sha1(Hmac::new_from_slice(key).map_err(fail)?),
            HashKind::Sha256 => Signer::Sha256(Hmac::new_from_slice(key).map_err(fail)?),
            HashKind::Sha384 => Signer::Sha384(Hmac::new_from_slice(key).map_err(fail)?),
            HashKind::Sha512 => Signer::Sha512(Hmac::new_from_slice(key).map_err(fail)?),
        };
        Ok(Self { cipher, signer })
    }

    /// What protection adds to sizes.
    #[must_use]
    pub fn overhead(&self) -> Overhead {
        let hash = match self.signer {
            Signer::Md5(_) => 16,
            Signer::Sha1(_) => 20,
            Signer::Sha256(_) => 32,
            Signer::Sha384(_) => 48,
            Signer::Sha512(_) => 64,
        };
        match self.cipher {
            Cipher::None => Overhead { block: 0, salt: 0, hash },
            _ => Overhead { block: BLOCK_BYTES, salt: SALT_BYTES, hash },
        }
    }

    /// Protects a packet. The salt must be unpredictable and used once; it is ignored without a cipher.
    #[must_use]
    pub fn seal(&self, salt: [u8; SALT_BYTES], packet: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.overhead().sealed_len(packet.len()));
        let layout = self.lay_out(&mut out, salt, |out| out.extend_from_slice(packet));
        self.seal_all(&mut out, &[layout]);
        out
    }

    /// Writes a packet behind what is in `out`, with room for its protection, which [`Crypto::seal_all`] makes.
    pub(crate) fn lay_out(
        &self,
        out: &mut Vec<u8>,
        salt: [u8; SALT_BYTES],
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Layout {
        let overhead = self.overhead();
        let start = out.len();
        if overhead.salt > 0 {
            out.extend(salt);
        }
        let text = out.len();
        write(out);
        if overhead.block > 0 {
            // PKCS#7: each byte tells how many there are.
            let padding = overhead.block - (out.len() - text) % overhead.block;
            out.resize(out.len() + padding, u8::try_from(padding).unwrap_or(0));
        }
        let hash = out.len();
        out.resize(hash + overhead.hash, 0);
        Layout { start, text, hash, end: out.len() }
    }

    /// Protects packets that were laid out in `out`.
    pub(crate) fn seal_all(&self, out: &mut [u8], packets: &[Layout]) {
        for some in packets.chunks(LANES) {
            match &self.cipher {
                Cipher::None => {}
                Cipher::Aes128(aes) => encrypt(aes.as_ref(), out, some),
                Cipher::Aes192(aes) => encrypt(aes.as_ref(), out, some),
                Cipher::Aes256(aes) => encrypt(aes.as_ref(), out, some),
            }
        }
        for packet in packets {
            let Some((body, hash)) = out
                .get_mut(packet.start..packet.end)
                .and_then(|all| all.split_at_mut_checked(packet.body_len()))
            else {
                continue;
            };
            with_signer!(&self.signer, mac => {
                let mut mac = mac.clone();
                mac.update(body);
                hash.copy_from_slice(&mac.finalize().into_bytes());
            });
        }
    }

    /// Checks and opens a packet; `None` if it was not made with this key. Nothing is decrypted that was not
    /// authenticated before.
    #[must_use]
    pub fn open(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let overhead = self.overhead();
        let (body, tag) = bytes.split_at_checked(bytes.len().checked_sub(overhead.hash)?)?;
        with_signer!(&self.signer, mac => {
            let mut mac = mac.clone();
            mac.update(body);
            mac.verify_slice(tag).ok()?;
        });
        match &self.cipher {
            Cipher::None => Some(body.to_vec()),
            Cipher::Aes128(aes) => decrypt(aes.as_ref(), body),
            Cipher::Aes192(aes) => decrypt(aes.as_ref(), body),
            Cipher::Aes256(aes) => decrypt(aes.as_ref(), body),
        }
    }
}

/// Where the parts of a packet lie that is being protected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    start: usize,
    /// What is encrypted, behind the salt.
    text: usize,
    hash: usize,
    pub(crate) end: usize,
}

impl Layout {
    fn body_len(self) -> usize {
        self.hash - self.start
    }
}

/// CBC of several packets side by side, at most [`LANES`]: in one packet each block waits for the one before, and the
/// processor would wait as well.
fn encrypt<C>(cipher: &C, out: &mut [u8], packets: &[Layout])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let blocks_of = |packet: &Layout| (packet.hash - packet.text) / BLOCK_BYTES;
    let most = packets.iter().map(blocks_of).max().unwrap_or(0);
    let mut lanes = [Block::<C>::default(); LANES];
    for (lane, packet) in lanes.iter_mut().zip(packets) {
        lane.copy_from_slice(out.get(packet.start..packet.text).unwrap_or(&[0; SALT_BYTES]));
    }
    for step in 0..most {
        let place = |packet: &Layout| {
            let at = packet.text + step * BLOCK_BYTES;
            (step < blocks_of(packet)).then_some(at..at + BLOCK_BYTES)
        };
        for (lane, packet) in lanes.iter_mut().zip(packets) {
            let plain = place(packet).and_then(|place| out.get(place)).unwrap_or_default();
            lane.iter_mut().zip(plain).for_each(|(byte, plain)| *byte ^= plain);
        }
        cipher.encrypt_blocks(lanes.get_mut(..packets.len()).unwrap_or_default());
        for (lane, packet) in lanes.iter().zip(packets) {
            if let Some(sealed) = place(packet).and_then(|place| out.get_mut(place)) {
                sealed.copy_from_slice(lane);
            }
        }
    }
}

fn decrypt<C>(cipher: &C, body: &[u8]) -> Option<Vec<u8>>
where
    C: Clone + aes::cipher::BlockCipherDecrypt,
    cbc::Decryptor<C>: InnerIvInit<Inner = C> + BlockModeDecrypt,
{
    let (salt, ciphertext) = body.split_first_chunk::<SALT_BYTES>()?;
    let mode = cbc::Decryptor::<C>::inner_iv_slice_init(cipher.clone(), salt).ok()?;
    let mut plain = ciphertext.to_vec();
    let len = mode.decrypt_padded::<Pkcs7>(&mut plain).ok()?.len();
    plain.truncate(len);
    Some(plain)
}

/// Bytes that protection adds to a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overhead {
    /// Packets grow to a multiple of this, by at least one byte; 0: they do not grow.
    pub block: usize,
    pub salt: usize,
    pub hash: usize,
}

impl Overhead {
    /// Bytes on the wire of a packet of `len` bytes.
    #[must_use]
    pub fn sealed_len(self, len: usize) -> usize {
        let padding = if self.block == 0 { 0 } else { self.block - len % self.block };
        len + padding + self.salt + self.hash
    }

    /// User data that fits a datagram of `datagram` bytes with the longest header; 0 if nothing does.
    #[must_use]
    pub fn data_room(self, datagram: usize) -> usize {
        use crate::wire::HEADER_ROOM_BYTES;
        let Some(body) = datagram.checked_sub(self.salt + self.hash) else { return 0 };
        // An aligned packet would grow by a whole block, so one byte is left free.
        let plain = if self.block == 0 { body } else { (body - body % self.block).saturating_sub(1) };
        plain.saturating_sub(HEADER_ROOM_BYTES)
    }
}

/// Unpredictable salts from a seed: AES-256 of a counter.
pub(crate) struct Salts {
    cipher: Box<Aes256>,
    counter: u128,
}

impl core::fmt::Debug for Salts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Salts").finish_non_exhaustive()
    }
}

impl Salts {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { cipher: Box::new(Aes256::new(&seed.into())), counter: 0 }
    }

    pub(crate) fn next(&mut self) -> [u8; SALT_BYTES] {
        self.counter = self.counter.wrapping_add(1);
        let mut block = self.counter.to_be_bytes().into();
        self.cipher.encrypt_block(&mut block);
        block.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CIPHERS: [CipherKind; 4] =
        [CipherKind::None, CipherKind::Aes128, CipherKind::Aes192, CipherKind::Aes256];
    const HASHES: [HashKind; 5] =
        [HashKind::Md5, HashKind::Sha1, HashKind::Sha256, HashKind::Sha384, HashKind::Sha512];

    fn crypto(cipher: CipherKind, hash: HashKind, first: u8) -> Crypto {
        let key = (0..=255u8).map(|n| n.wrapping_add(first)).collect();
        Crypto::new(&Keys { cipher, hash, key }).expect("a valid key")
    }

    #[test]
    fn sizes_are_those_of_the_reference() {
        // From wire-formats: a ping of 26 bytes becomes 80 with aes256/sha256; 1397 bytes of data fit 1500 - 28.
        let overhead = crypto(CipherKind::Aes256, HashKind::Sha256, 0).overhead();
        assert_eq!(overhead.sealed_len(26), 80);
        assert_eq!(overhead.data_room(1472), 1397);
        assert_eq!(Overhead::default().data_room(1472), 1446);
        assert_eq!(overhead.data_room(10), 0);
    }

    #[test]
    fn keys_of_wrong_length_are_refused() {
        for len in [0, 127, 4097] {
            let keys = Keys { cipher: CipherKind::None, hash: HashKind::Md5, key: vec![1; len] };
            assert_eq!(Crypto::new(&keys).map(drop), Err(KeyError::Length(len)));
        }
    }

    #[test]
    fn salts_do_not_repeat() {
        let mut salts = Salts::new([3; 32]);
        let all: std::collections::BTreeSet<_> = (0..1000).map(|_| salts.next()).collect();
        assert_eq!(all.len(), 1000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn only_the_same_key_opens(packet in proptest::collection::vec(any::<u8>(), 0..300), salt: [u8; 16],
                                   at: prop::sample::Index, bit in 0..8u8) {
            for cipher in CIPHERS {
                for hash in HASHES {
                    let right = crypto(cipher, hash, 0);
                    let sealed = right.seal(salt, &packet);
                    prop_assert_eq!(sealed.len(), right.overhead().sealed_len(packet.len()));
                    prop_assert_eq!(right.open(&sealed), Some(packet.clone()));
                    prop_assert_eq!(crypto(cipher, hash, 1).open(&sealed), None);
                    let mut forged = sealed.clone();
                    let place = at.index(forged.len());
                    if let Some(byte) = forged.get_mut(place) {
                        *byte ^= 1 << bit;
                    }
                    prop_assert_eq!(right.open(&forged), None);
                    prop_assert_eq!(right.open(sealed.get(..place).unwrap_or_default()), None);
                }
            }
        }

        #[test]
        fn packets_side_by_side_are_sealed_like_each_alone(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 1..40),
        ) {
            for cipher in CIPHERS {
                let crypto = crypto(cipher, HashKind::Sha256, 0);
                let (mut out, mut layouts, mut alone) = (vec![7; 3], Vec::new(), vec![7; 3]);
                for (number, packet) in (0..).zip(&packets) {
                    layouts.push(crypto.lay_out(&mut out, [number; 16], |out| out.extend_from_slice(packet)));
                    alone.extend(crypto.seal([number; 16], packet));
                    prop_assert_eq!(layouts.last().map(|last| last.end), Some(alone.len()));
                }
                crypto.seal_all(&mut out, &layouts);
                prop_assert_eq!(out, alone);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for cipher in CIPHERS {
                prop_assert_eq!(crypto(cipher, HashKind::Sha1, 0).open(&bytes), None);
            }
        }
    }
}
