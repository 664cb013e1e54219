//! The two messages that set up a connection.

use crate::header::{RequestHeader, ResponseHeader, Truncated, word};

/// Message id of both: authenticate.
pub(crate) const ID_AUTHENTICATE: i32 = -1;
/// Message id by which a client announces its leaving.
pub(crate) const ID_DISCONNECT: i32 = -3;
/// Transport: rings in shared memory.
pub(crate) const TYPE_SHARED_MEMORY: i32 = 1;
pub(crate) const HELLO_BYTES: usize = 24;
pub(crate) const REPLY_BYTES: usize = 12328;
/// Room of each path in the reply, and in a ring's header.
pub(crate) const PATH_BYTES: usize = 4096;
/// Longest name that libqb clients keep of a ring.
const NAME_MAX: usize = 255;

/// Client's first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) max_message_size: u32,
}

impl Hello {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Hello>, Truncated> {
        let header = RequestHeader::decode(bytes)?;
        let max_message_size = word(bytes, 16)?;
        Ok((header.id == ID_AUTHENTICATE).then_some(Hello { max_message_size }))
    }

    pub(crate) fn encode(self) -> [u8; HELLO_BYTES] {
        let mut out = [0; HELLO_BYTES];
        let header = RequestHeader { id: ID_AUTHENTICATE, size: HELLO_BYTES as i32 };
        out[..RequestHeader::BYTES].copy_from_slice(&header.encode());
        out[16..20].copy_from_slice(&self.max_message_size.to_ne_bytes());
        out
    }
}

/// Server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// 0, or a negative errno; the rest counts only with 0.
    pub(crate) error: i32,
    pub(crate) transport: i32,
    pub(crate) max_message_size: u32,
    pub(crate) connection: u64,
    pub(crate) request: String,
    pub(crate) response: String,
    pub(crate) event: String,
}

impl Reply {
    pub(crate) fn refusal(errno: i32) -> Reply {
        Reply {
            error: -errno.abs(),
            transport: 0,
            max_message_size: 0,
            connection: 0,
            request: String::new(),
            response: String::new(),
            event: String::new(),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Reply>, Truncated> {
        if bytes.len() < REPLY_BYTES {
            return Err(Truncated);
        }
        let header = ResponseHeader::decode(bytes)?;
        if header.id != ID_AUTHENTICATE {
            return Ok(None);
        }
        let (Some(request), Some(response), Some(event)) =
            (path_at(bytes, 40), path_at(bytes, 40 + PATH_BYTES), path_at(bytes, 40 + 2 * PATH_BYTES))
        else {
            return Ok(None);
        };
        let low = u64::from(word(bytes, 32)?);
        let high = u64::from(word(bytes, 36)?);
        Ok(Some(Reply {
            error: header.error,
            transport: word(bytes, 24)? as i32,
            max_message_size: word(bytes, 28)?,
            connection: low | high << 32,
            request,
            response,
            event,
        }))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0u8; REPLY_BYTES];
        let header = ResponseHeader { id: ID_AUTHENTICATE, size: REPLY_BYTES as i32, error: self.error };
        put(&mut out, 0, &header.encode());
        put(&mut out, 24, &self.transport.to_ne_bytes());
        put(&mut out, 28, &self.max_message_size.to_ne_bytes());
        put(&mut out, 32, &(self.connection as u32).to_ne_bytes());
        put(&mut out, 36, &((self.connection >> 32) as u32).to_ne_bytes());
        for (index, path) in [&self.request, &self.response, &self.event].into_iter().enumerate() {
            let length = path.len().min(NAME_MAX - 1);
            put(&mut out, 40 + index * PATH_BYTES, path.as_bytes().get(..length).unwrap_or_default());
        }
        out
    }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(room) = out.get_mut(at..at + bytes.len()) {
        room.copy_from_slice(bytes);
    }
}

/// A NUL-terminated UTF-8 string in a field of PATH_BYTES.
fn path_at(bytes: &[u8], at: usize) -> Option<String> {
    let field = bytes.get(at..at + PATH_BYTES)?;
    let length = field.iter().position(|b| *b == 0)?;
    String::from_utf8(field.get(..length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), long: bool) {
            if long {
                bytes.resize(REPLY_BYTES, 0x41);
                // Unterminated paths are refused.
                prop_assert!(!matches!(Reply::decode(&bytes), Ok(Some(_))));
            }
            let _ = Hello::decode(&bytes);
            let _ = Reply::decode(&bytes);
        }

        #[test]
        fn reply_round_trip(error: i32, size: u32, connection: u64, path in "[a-z/-]{0,60}") {
            let reply = Reply {
                error, transport: TYPE_SHARED_MEMORY, max_message_size: size, connection,
                request: path.clone(), response: format!("{path}r"), event: format!("{path}e"),
            };
            prop_assert_eq!(Reply::decode(&reply.encode()), Ok(Some(reply)));
        }

        #[test]
        fn hello_round_trip(max_message_size: u32) {
            let hello = Hello { max_message_size };
            prop_assert_eq!(Hello::decode(&hello.encode()), Ok(Some(hello)));
        }
    }
}
