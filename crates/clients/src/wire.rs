//! Fields at fixed places of a message.

use crate::error::Error;

/// Reads fields; every access is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Reader<'a> {
        Reader { bytes, what }
    }

    pub(crate) fn bytes(self, at: usize, length: usize) -> Result<&'a [u8], Error> {
        at.checked_add(length).and_then(|end| self.bytes.get(at..end)).ok_or(Error::Protocol(self.what))
    }

    fn array<const N: usize>(self, at: usize) -> Result<[u8; N], Error> {
        self.bytes(at, N)?.try_into().map_err(|_| Error::Protocol(self.what))
    }

    pub(crate) fn u8(self, at: usize) -> Result<u8, Error> {
        Ok(u8::from_ne_bytes(self.array(at)?))
    }

    pub(crate) fn u32(self, at: usize) -> Result<u32, Error> {
        Ok(u32::from_ne_bytes(self.array(at)?))
    }

    pub(crate) fn i32(self, at: usize) -> Result<i32, Error> {
        Ok(i32::from_ne_bytes(self.array(at)?))
    }

    pub(crate) fn u64(self, at: usize) -> Result<u64, Error> {
        Ok(u64::from_ne_bytes(self.array(at)?))
    }

    /// Text up to the first NUL in a field of `length` bytes.
    pub(crate) fn text(self, at: usize, length: usize) -> Result<String, Error> {
        let field = self.bytes(at, length)?;
        let text = field.split(|b| *b == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// `count` numbers of 32 bits.
    pub(crate) fn u32_list(self, at: usize, count: u32) -> Result<Vec<u32>, Error> {
        let length = (count as usize).checked_mul(4).ok_or(Error::Protocol(self.what))?;
        let field = self.bytes(at, length)?;
        Ok(field.chunks_exact(4).filter_map(|c| c.try_into().ok().map(u32::from_ne_bytes)).collect())
    }
}

/// Writes a message body at the offsets of the layout (which count the header).
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A message of `length` bytes in all, header included; all other fields are zero.
    pub(crate) fn new(length: usize) -> Writer {
        Writer { bytes: vec![0; length] }
    }

    pub(crate) fn put(mut self, at: usize, bytes: &[u8]) -> Writer {
        let end = at + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(field) = self.bytes.get_mut(at..end) {
            field.copy_from_slice(bytes);
        }
        self
    }

    pub(crate) fn u32(self, at: usize, value: u32) -> Writer {
        self.put(at, &value.to_ne_bytes())
    }

    pub(crate) fn u64(self, at: usize, value: u64) -> Writer {
        self.put(at, &value.to_ne_bytes())
    }

    /// Sets id and size (both kinds of header have them at the same place).
    pub(crate) fn finish(self, id: i32) -> Vec<u8> {
        let size = self.bytes.len() as i32;
        self.put(0, &id.to_ne_bytes()).put(8, &size.to_ne_bytes()).bytes
    }

    /// The bytes as they are.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
