//! Message headers, in native byte order: they never leave the machine.

/// The message is shorter than its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message is shorter than its header")]
pub struct Truncated;

/// Reads a 32-bit word at a byte offset.
pub(crate) fn word(bytes: &[u8], at: usize) -> Result<u32, Truncated> {
    let field = bytes.get(at..at + 4).ok_or(Truncated)?;
    Ok(u32::from_ne_bytes(field.try_into().map_err(|_| Truncated)?))
}

/// First 16 bytes of every request (id, size; each in 8 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    pub id: i32,
    /// Length of the whole message in bytes, header included.
    pub size: i32,
}

impl RequestHeader {
    pub const BYTES: usize = 16;

    pub fn decode(bytes: &[u8]) -> Result<RequestHeader, Truncated> {
        if bytes.len() < Self::BYTES {
            return Err(Truncated);
        }
        Ok(RequestHeader { id: word(bytes, 0)? as i32, size: word(bytes, 8)? as i32 })
    }

    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..4].copy_from_slice(&self.id.to_ne_bytes());
        out[8..12].copy_from_slice(&self.size.to_ne_bytes());
        out
    }
}

/// First 24 bytes of every response and event (id, size, error; each in 8 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    pub id: i32,
    /// Length of the whole message in bytes, header included.
    pub size: i32,
    /// Meaning is the service's own; negative values are usually errno.
    pub error: i32,
}

impl ResponseHeader {
    pub const BYTES: usize = 24;

    pub fn decode(bytes: &[u8]) -> Result<ResponseHeader, Truncated> {
        if bytes.len() < Self::BYTES {
            return Err(Truncated);
        }
        Ok(ResponseHeader {
            id: word(bytes, 0)? as i32,
            size: word(bytes, 8)? as i32,
            error: word(bytes, 16)? as i32,
        })
    }

    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..4].copy_from_slice(&self.id.to_ne_bytes());
        out[8..12].copy_from_slice(&self.size.to_ne_bytes());
        out[16..20].copy_from_slice(&self.error.to_ne_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(RequestHeader::decode(&bytes).is_ok(), bytes.len() >= 16);
            prop_assert_eq!(ResponseHeader::decode(&bytes).is_ok(), bytes.len() >= 24);
        }

        #[test]
        fn round_trip(id: i32, size: i32, error: i32) {
            let request = RequestHeader { id, size };
            prop_assert_eq!(RequestHeader::decode(&request.encode()), Ok(request));
            let response = ResponseHeader { id, size, error };
            prop_assert_eq!(ResponseHeader::decode(&response.encode()), Ok(response));
        }
    }
}
