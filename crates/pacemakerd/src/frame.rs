//! Frames around XML: the header of messages between nodes (592 bytes over CPG) and of messages to
//! local clients (40 bytes over IPC). Layouts: wire-formats of the reference, sections 13 and 14.

use std::io::{Read, Write};

use bzip2::Compression;
use bzip2::read::BzDecoder;
use bzip2::write::BzEncoder;

/// Bytes before the text of a message between nodes.
pub const PEER_HEADER_BYTES: usize = 592;
/// Bytes before the text of a message to or from a client.
pub const CLIENT_HEADER_BYTES: usize = 40;
/// Longer texts between nodes are compressed, in bytes.
const PEER_COMPRESS_BYTES: usize = 128 << 10;
/// Longer texts to clients are compressed, in bytes: old clients have no larger buffer.
const CLIENT_COMPRESS_BYTES: usize = 120 << 10;
/// Most bytes that a compressed text may unfold to.
pub const MAX_TEXT_BYTES: usize = 256 << 20;
const NAME_BYTES: usize = 256;

/// A client wants a response.
pub const FLAG_CLIENT_RESPONSE: u32 = 0x200;
/// The message is an event.
pub const FLAG_SERVER_EVENT: u32 = 0x10000;
const FLAG_COMPRESSED: u32 = 0x1;

/// What a frame cannot be read for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the message is shorter than it says")]
    Short,
    #[error("the message unfolds to more than {MAX_TEXT_BYTES} bytes")]
    TooLarge,
    #[error("the message cannot be unpacked")]
    Compression,
    #[error("the message is not UTF-8")]
    Text,
}

/// A message between nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerMessage {
    pub to_id: u32,
    pub to_name: String,
    pub from_id: u32,
    pub from_pid: u32,
    pub from_name: String,
    /// Kind of the daemon: 3 cib, 4 crmd, 5 attrd, 9 fencer.
    pub kind: i32,
    pub message_id: u32,
    pub text: String,
}

fn put_u32(frame: &mut [u8], at: usize, value: u32) {
    if let Some(place) = frame.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_ne_bytes());
    }
}

fn u32_at(frame: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(frame.get(at..at + 4)?.try_into().ok()?))
}

fn put_name(frame: &mut [u8], at: usize, name: &str) {
    let bytes = &name.as_bytes()[..name.len().min(NAME_BYTES - 1)];
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn name_at(frame: &[u8], at: usize) -> Option<String> {
    let field = frame.get(at..at + NAME_BYTES)?;
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
    Some(String::from_utf8_lossy(&field[..end]).into_owned())
}

impl PeerMessage {
    pub fn encode(&self) -> Vec<u8> {
        let plain_bytes = self.text.len() + 1;
        let packed = (plain_bytes >= PEER_COMPRESS_BYTES).then(|| compress(self.text.as_bytes())).flatten();
        let body_bytes = packed.as_ref().map_or(plain_bytes, Vec::len);
        let mut frame = vec![0; PEER_HEADER_BYTES];
        put_u32(&mut frame, 8, (PEER_HEADER_BYTES + body_bytes) as u32);
        put_u32(&mut frame, 16, 1);
        put_u32(&mut frame, 24, self.message_id);
        put_u32(&mut frame, 28, u32::from(packed.is_some()));
        put_u32(&mut frame, 32, self.to_id);
        put_u32(&mut frame, 44, self.kind as u32);
        put_u32(&mut frame, 48, self.to_name.len() as u32);
        put_name(&mut frame, 52, &self.to_name);
        put_u32(&mut frame, 312, self.from_pid);
        put_u32(&mut frame, 320, self.kind as u32);
        put_u32(&mut frame, 324, self.from_name.len() as u32);
        put_name(&mut frame, 328, &self.from_name);
        put_u32(&mut frame, 584, plain_bytes as u32);
        put_u32(&mut frame, 588, packed.as_ref().map_or(0, Vec::len) as u32);
        match packed {
            Some(packed) => frame.extend(packed),
            None => {
                frame.extend(self.text.as_bytes());
                frame.push(0);
            }
        }
        frame
    }

    /// # Errors
    /// [`FrameError`]; nothing in the frame is trusted.
    pub fn decode(frame: &[u8]) -> Result<PeerMessage, FrameError> {
        let at = |place| u32_at(frame, place).ok_or(FrameError::Short);
        let name = |place| name_at(frame, place).ok_or(FrameError::Short);
        let body = frame.get(PEER_HEADER_BYTES..).ok_or(FrameError::Short)?;
        let text = if at(28)? == 0 {
            let plain = body.get(..at(584)? as usize).ok_or(FrameError::Short)?;
            text_of(plain)?
        } else {
            let packed = body.get(..at(588)? as usize).ok_or(FrameError::Short)?;
            text_of(&decompress(packed)?)?
        };
        Ok(PeerMessage {
            to_id: at(32)?,
            to_name: name(52)?,
            from_id: at(308)?,
            from_pid: at(312)?,
            from_name: name(328)?,
            kind: at(320)? as i32,
            message_id: at(24)?,
            text,
        })
    }
}

/// A message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientMessage {
    /// The client's number for it; a response must bear it.
    pub id: i32,
    pub flags: u32,
    pub text: String,
}

impl ClientMessage {
    pub fn encode(&self) -> Vec<u8> {
        let plain_bytes = self.text.len() + 1;
        let packed = (plain_bytes >= CLIENT_COMPRESS_BYTES).then(|| compress(self.text.as_bytes())).flatten();
        let body_bytes = packed.as_ref().map_or(plain_bytes, Vec::len);
        let mut frame = vec![0; CLIENT_HEADER_BYTES];
        put_u32(&mut frame, 0, self.id as u32);
        put_u32(&mut frame, 8, (CLIENT_HEADER_BYTES + body_bytes) as u32);
        put_u32(&mut frame, 24, plain_bytes as u32);
        put_u32(&mut frame, 28, packed.as_ref().map_or(0, Vec::len) as u32);
        put_u32(&mut frame, 32, self.flags | if packed.is_some() { FLAG_COMPRESSED } else { 0 });
        frame[36] = 1;
        match packed {
            Some(packed) => frame.extend(packed),
            None => {
                frame.extend(self.text.as_bytes());
                frame.push(0);
            }
        }
        frame
    }

    /// # Errors
    /// [`FrameError`]; nothing in the frame is trusted.
    pub fn decode(frame: &[u8]) -> Result<ClientMessage, FrameError> {
        let at = |place| u32_at(frame, place).ok_or(FrameError::Short);
        let body = frame.get(CLIENT_HEADER_BYTES..).ok_or(FrameError::Short)?;
        let text = match at(28)? as usize {
            0 => text_of(body.get(..at(24)? as usize).ok_or(FrameError::Short)?)?,
            packed => text_of(&decompress(body.get(..packed).ok_or(FrameError::Short)?)?)?,
        };
        Ok(ClientMessage { id: at(0)? as i32, flags: at(32)?, text })
    }
}

fn compress(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).ok()?;
    encoder.write_all(&[0]).ok()?;
    encoder.finish().ok()
}

fn decompress(packed: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut text = Vec::new();
    let read = BzDecoder::new(packed).take(MAX_TEXT_BYTES as u64 + 1).read_to_end(&mut text);
    read.map_err(|_| FrameError::Compression)?;
    if text.len() > MAX_TEXT_BYTES { Err(FrameError::TooLarge) } else { Ok(text) }
}

fn text_of(bytes: &[u8]) -> Result<String, FrameError> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes[..end].to_vec()).map_err(|_| FrameError::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: String) -> PeerMessage {
        PeerMessage {
            to_id: 0,
            to_name: "nodo2".into(),
            from_id: 0,
            from_pid: 233,
            from_name: "nodo1".into(),
            kind: 9,
            message_id: 7,
            text,
        }
    }

    /// Sizes from a recorded message: text of 74 bytes with NUL, 666 bytes in all.
    #[test]
    fn sizes_are_those_on_the_wire() {
        let text = "<stonith_command __name__=\"stonith_command\" t=\"stonith-ng\" st_op=\"poke\"/>";
        let frame = message(text.into()).encode();
        assert_eq!(frame.len(), 666);
        assert_eq!(u32_at(&frame, 8), Some(666));
        assert_eq!(u32_at(&frame, 584), Some(74));
    }

    #[test]
    fn long_texts_are_compressed() {
        let text = "<a/>".repeat(100_000);
        let frame = message(text.clone()).encode();
        assert!(frame.len() < text.len() / 10);
        assert_eq!(PeerMessage::decode(&frame).unwrap().text, text);
        let client = ClientMessage { id: 3, flags: 0x200, text };
        assert_eq!(ClientMessage::decode(&client.encode()).unwrap().text, client.text);
    }

    proptest::proptest! {
        #[test]
        fn any_message_survives(text in "[a-z<>]{0,300}", name in "[a-z.]{0,40}") {
            let sent = PeerMessage { from_name: name, ..message(text.clone()) };
            proptest::prop_assert_eq!(PeerMessage::decode(&sent.encode()).unwrap(), sent);
            let sent = ClientMessage { id: 9, flags: 0x200, text };
            proptest::prop_assert_eq!(ClientMessage::decode(&sent.encode()).unwrap(), sent);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..700)) {
            let _ = PeerMessage::decode(&bytes);
            let _ = ClientMessage::decode(&bytes);
        }
    }
}
