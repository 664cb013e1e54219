//! Compression of messages before they are cut into fragments. Each packet names its own method, so a
//! receiver needs no configuration.

use std::io::{Read as _, Write as _};

use crate::wire::MESSAGE_MAX;

/// Messages up to this length stay as they are when the configuration is silent, in bytes.
pub const DEFAULT_THRESHOLD_BYTES: usize = 100;

/// A method; the numbers are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Zlib = 1,
    Lz4 = 2,
    /// What another encoder makes of LZ4's format; ours is the same as for [`Method::Lz4`].
    Lz4hc = 3,
    Bzip2 = 6,
    Zstd = 7,
}

/// A name that is no method of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    #[error("knet_compression_model {0} is not available here; use zlib, lz4, lz4hc, bzip2, zstd or none")]
    Unavailable(&'static str),
    #[error("knet_compression_model {0} is unknown; use zlib, lz4, lz4hc, bzip2, zstd or none")]
    Unknown(String),
}

impl Method {
    /// The method of this name; `None` for the name `none`.
    ///
    /// # Errors
    /// Unknown names, and methods that the reference has and we have not.
    pub fn from_name(name: &str) -> Result<Option<Self>, MethodError> {
        Ok(Some(match name {
            "none" => return Ok(None),
            "zlib" => Self::Zlib,
            "lz4" => Self::Lz4,
            "lz4hc" => Self::Lz4hc,
            "bzip2" => Self::Bzip2,
            "zstd" => Self::Zstd,
            "lzo2" => return Err(MethodError::Unavailable("lzo2")),
            "lzma" => return Err(MethodError::Unavailable("lzma")),
            other => return Err(MethodError::Unknown(other.to_owned())),
        }))
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::Zlib, Self::Lz4, Self::Lz4hc, Self::Bzip2, Self::Zstd]
            .into_iter()
            .find(|method| *method as u8 == number)
    }
}

/// What is compressed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    pub method: Method,
    /// 1 to 9 (zstd: to 22); anything else is the method's usual level. LZ4 has none.
    pub level: i32,
    /// Messages up to this length stay as they are, in bytes.
    pub threshold_bytes: usize,
}

impl Compression {
    /// The shorter form of a message, if it is worth it.
    #[must_use]
    pub fn pack(&self, message: &[u8]) -> Option<Vec<u8>> {
        if message.len() <= self.threshold_bytes {
            return None;
        }
        let packed = match self.method {
            Method::Zlib => self.zlib(message)?,
            Method::Lz4 | Method::Lz4hc => lz4_flex::block::compress(message),
            Method::Bzip2 => self.bzip2(message)?,
            Method::Zstd => {
                let level = if (1..=22).contains(&self.level) { self.level } else { 0 };
                zstd::bulk::compress(message, level).ok()?
            }
        };
        (packed.len() < message.len()).then_some(packed)
    }

    fn small_level(&self, usual: u32) -> u32 {
        u32::try_from(self.level).ok().filter(|level| (1..=9).contains(level)).unwrap_or(usual)
    }

    fn zlib(&self, message: &[u8]) -> Option<Vec<u8>> {
        let level = flate2::Compression::new(self.small_level(6));
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::with_capacity(message.len()), level);
        encoder.write_all(message).ok()?;
        encoder.finish().ok()
    }

    fn bzip2(&self, message: &[u8]) -> Option<Vec<u8>> {
        let level = bzip2::Compression::new(self.small_level(9));
        let mut encoder = bzip2::write::BzEncoder::new(Vec::with_capacity(message.len()), level);
        encoder.write_all(message).ok()?;
        encoder.finish().ok()
    }
}

/// Undoes the compression that a packet names. `None`: unknown method, damaged, or longer than a message may be.
#[must_use]
pub fn unpack(number: u8, packed: &[u8]) -> Option<Vec<u8>> {
    match Method::from_number(number)? {
        Method::Zlib => bounded(flate2::read::ZlibDecoder::new(packed)),
        Method::Bzip2 => bounded(bzip2::read::BzDecoder::new(packed)),
        Method::Lz4 | Method::Lz4hc => {
            let mut out = vec![0; MESSAGE_MAX];
            let len = lz4_flex::block::decompress_into(packed, &mut out).ok()?;
            out.truncate(len);
            Some(out)
        }
        Method::Zstd => zstd::bulk::decompress(packed, MESSAGE_MAX).ok(),
    }
    .filter(|message| !message.is_empty())
}

fn bounded(reader: impl std::io::Read) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let limit = u64::try_from(MESSAGE_MAX).unwrap_or(u64::MAX);
    reader.take(limit.saturating_add(1)).read_to_end(&mut out).ok()?;
    (out.len() <= MESSAGE_MAX).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METHODS: [Method; 5] = [Method::Zlib, Method::Lz4, Method::Lz4hc, Method::Bzip2, Method::Zstd];

    fn of(method: Method) -> Compression {
        Compression { method, level: 0, threshold_bytes: 100 }
    }

    #[test]
    fn text_gets_shorter_and_comes_back() {
        let text = b"the quick brown fox jumps over the lazy dog; ".repeat(1000);
        for method in METHODS {
            let packed = of(method).pack(&text).expect("worth it");
            assert!(packed.len() < text.len() / 4, "{method:?}");
            assert_eq!(unpack(method as u8, &packed).as_deref(), Some(text.as_slice()), "{method:?}");
        }
    }

    #[test]
    fn short_messages_stay_as_they_are() {
        assert_eq!(of(Method::Zlib).pack(&[0; 100]), None);
        assert!(of(Method::Zlib).pack(&[0; 101]).is_some());
    }

    #[test]
    fn bombs_are_refused() {
        let huge = vec![0; MESSAGE_MAX + 1];
        for method in METHODS {
            let packed = of(method).pack(&huge).expect("worth it");
            assert_eq!(unpack(method as u8, &packed), None, "{method:?}");
        }
    }

    #[test]
    fn names_that_we_lack_are_told_apart_from_unknown_ones() {
        assert_eq!(Method::from_name("none"), Ok(None));
        assert_eq!(Method::from_name("lzma"), Err(MethodError::Unavailable("lzma")));
        assert!(matches!(Method::from_name("gzip"), Err(MethodError::Unknown(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(number: u8, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for number in [number % 9, number] {
                let _ = unpack(number, &bytes);
            }
        }

        #[test]
        fn whatever_is_packed_is_unpacked(bytes in proptest::collection::vec(0..4u8, 101..3000)) {
            for method in METHODS {
                if let Some(packed) = of(method).pack(&bytes) {
                    prop_assert_eq!(unpack(method as u8, &packed), Some(bytes.clone()));
                }
            }
        }
    }
}
