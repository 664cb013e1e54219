//! One message of the manager's IPC: a header of 40 bytes and XML text with a NUL, compressed with
//! bzip2 when it would not fit. (Pacemaker `lib/common/ipc_common.c`; layout in host byte order.)

use std::io::{Read, Write};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 40;
/// The payload is compressed.
pub const COMPRESSED: u32 = 0x1;
/// The sender wants a response.
pub const WANT_RESPONSE: u32 = 0x200;
/// Protocol version in every header.
const VERSION: u8 = 1;
/// Texts longer than this are sent compressed, in bytes.
const COMPRESS_FROM: usize = 128 * 1024 - HEADER_BYTES;
/// Longest text accepted after decompression, in bytes.
pub const MAX_TEXT_BYTES: usize = 256 << 20;

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("message of {0} bytes is shorter than its header")]
    Short(usize),
    #[error("protocol version {0} is not known")]
    Version(u8),
    #[error("payload of {have} bytes, {want} announced")]
    Length { have: usize, want: usize },
    #[error("compressed payload is damaged")]
    Damaged,
    #[error("text is not UTF-8")]
    Encoding,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Number of the request; comes back in the response.
    pub id: i32,
    pub flags: u32,
    pub text: String,
}

impl Frame {
    pub fn encode(&self) -> Vec<u8> {
        let plain_size = self.text.len() + 1;
        let packed = if plain_size > COMPRESS_FROM { compress(self.text.as_bytes()) } else { None };
        let (flags, compressed_size) = match &packed {
            Some(bytes) => (self.flags | COMPRESSED, bytes.len()),
            None => (self.flags & !COMPRESSED, 0),
        };
        let body_size = if compressed_size > 0 { compressed_size } else { plain_size };
        let mut out = Vec::with_capacity(HEADER_BYTES + body_size);
        let word = |out: &mut Vec<u8>, value: u32| out.extend_from_slice(&value.to_ne_bytes());
        word(&mut out, self.id as u32);
        word(&mut out, 0);
        word(&mut out, (HEADER_BYTES + body_size) as u32);
        word(&mut out, 0);
        word(&mut out, 0);
        word(&mut out, 0);
        word(&mut out, plain_size as u32);
        word(&mut out, compressed_size as u32);
        word(&mut out, flags);
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        match packed {
            Some(bytes) => out.extend_from_slice(&bytes),
            None => {
                out.extend_from_slice(self.text.as_bytes());
                out.push(0);
            }
        }
        out
    }

    /// # Errors
    /// [`FrameError`] for anything that is not exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
        let header = bytes.get(..HEADER_BYTES).ok_or(FrameError::Short(bytes.len()))?;
        let word = |at: usize| {
            let field = header.get(at..at + 4).and_then(|f| f.try_into().ok()).unwrap_or([0; 4]);
            u32::from_ne_bytes(field)
        };
        let version = header.get(36).copied().unwrap_or(0);
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let (plain, compressed, flags) = (word(24) as usize, word(28) as usize, word(32));
        let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
        let text = if compressed > 0 {
            let packed =
                body.get(..compressed).ok_or(FrameError::Length { have: body.len(), want: compressed })?;
            decompress(packed, plain)?
        } else {
            let text = body.get(..plain).ok_or(FrameError::Length { have: body.len(), want: plain })?;
            text.to_vec()
        };
        let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
        let text = text.get(..end).unwrap_or_default().to_vec();
        let text = String::from_utf8(text).map_err(|_| FrameError::Encoding)?;
        Ok(Frame { id: word(0) as i32, flags, text })
    }
}

fn compress(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text).ok()?;
    encoder.write_all(&[0]).ok()?;
    encoder.finish().ok()
}

fn decompress(packed: &[u8], plain: usize) -> Result<Vec<u8>, FrameError> {
    if plain > MAX_TEXT_BYTES {
        return Err(FrameError::Length { have: packed.len(), want: plain });
    }
    let mut text = Vec::new();
    bzip2::read::BzDecoder::new(packed)
        .take(MAX_TEXT_BYTES as u64)
        .read_to_end(&mut text)
        .map_err(|_| FrameError::Damaged)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn large_texts_are_compressed() {
        let frame = Frame { id: 7, flags: WANT_RESPONSE, text: "x".repeat(COMPRESS_FROM + 1) };
        let bytes = frame.encode();
        assert!(bytes.len() < 10_000);
        let back = Frame::decode(&bytes).unwrap();
        assert_eq!((back.id, back.text), (7, frame.text));
        assert_eq!(back.flags, WANT_RESPONSE | COMPRESSED);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frame::decode(&bytes);
        }

        #[test]
        fn round_trip(id in any::<i32>(), text in "[^\0]{0,300}") {
            let frame = Frame { id, flags: WANT_RESPONSE, text };
            prop_assert_eq!(Frame::decode(&frame.encode()).unwrap(), frame);
        }

        #[test]
        fn cut_messages_are_refused(text in "[a-z]{1,50}", cut in 1usize..40) {
            let bytes = Frame { id: 1, flags: 0, text }.encode();
            let cut = cut.min(bytes.len());
            prop_assert!(Frame::decode(&bytes[..bytes.len() - cut]).is_err());
        }
    }
}
