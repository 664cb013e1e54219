//! Messages as the C structures lay them out: fields at fixed offsets, everything zero between them.

use bytes::Bytes;
use totem::ByteOrder;

use crate::output::Message;

/// Header of a request: id:i32 at 0, size:i32 at 8.
pub const REQUEST_HEADER: usize = 16;
/// Header of a response or an event: id:i32 at 0, size:i32 at 8, error:i32 at 16.
pub const RESPONSE_HEADER: usize = 24;

/// A body up to this size is copied: that takes less time than to keep count of who needs its memory.
const COPIED_MAX: usize = 512;

/// A message under construction, in native byte order.
#[derive(Clone, Debug)]
pub(crate) struct Msg(Vec<u8>);

impl Msg {
    /// `size` zero bytes with the header of a request.
    pub(crate) fn request(id: u32, size: usize) -> Self {
        Self(vec![0; size.max(REQUEST_HEADER)]).u32(0, id).u32(8, length(size))
    }

    /// `size` zero bytes with the header of a response or event.
    pub(crate) fn response(id: u32, size: usize, error: CsError) -> Self {
        Self(vec![0; size.max(RESPONSE_HEADER)]).u32(0, id).u32(8, length(size)).u32(16, error as u32)
    }

    /// `size` zero bytes with a number, before a body of so many bytes ([`Msg::before`]).
    pub(crate) fn head(id: u32, size: usize, body: usize) -> Self {
        let mut bytes = Vec::with_capacity(size + if body <= COPIED_MAX { body } else { 0 });
        bytes.resize(size, 0);
        Self(bytes).u32(0, id)
    }

    /// Puts bytes at an offset; the message grows if they reach beyond its end.
    pub(crate) fn put(mut self, offset: usize, bytes: &[u8]) -> Self {
        let end = offset + bytes.len();
        if end > self.0.len() {
            self.0.resize(end, 0);
        }
        if let Some(target) = self.0.get_mut(offset..end) {
            target.copy_from_slice(bytes);
        }
        self
    }

    pub(crate) fn u8(self, offset: usize, value: u8) -> Self {
        self.put(offset, &[value])
    }

    pub(crate) fn u32(self, offset: usize, value: u32) -> Self {
        self.put(offset, &value.to_ne_bytes())
    }

    pub(crate) fn u64(self, offset: usize, value: u64) -> Self {
        self.put(offset, &value.to_ne_bytes())
    }

    /// A list of u32.
    pub(crate) fn ids<'a>(mut self, offset: usize, ids: impl IntoIterator<Item = &'a u32>) -> Self {
        for (index, id) in ids.into_iter().enumerate() {
            self = self.u32(offset + 4 * index, *id);
        }
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }

    /// The message with a part of another one behind it; None if that part is not there.
    pub(crate) fn before(self, m: View<'_>, offset: usize, len: usize) -> Option<Message> {
        let bytes = m.bytes(offset, len)?;
        let end = self.0.len();
        let message = self.u32(8, length(end + len));
        let mut head = message.done();
        if len <= COPIED_MAX {
            head.extend_from_slice(bytes);
            return Some(head.into());
        }
        Some(Message { head, body: m.bytes.slice_ref(bytes) })
    }
}

/// A length as the wire has it.
pub(crate) fn length(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Rounds up to the next multiple of 8.
pub(crate) fn align8(size: usize) -> usize {
    size.next_multiple_of(8)
}

/// A received message; every field is checked against its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    bytes: &'a Bytes,
    order: ByteOrder,
}

impl<'a> View<'a> {
    pub(crate) fn new(bytes: &'a Bytes, order: ByteOrder) -> Self {
        Self { bytes, order }
    }

    pub(crate) fn native(bytes: &'a Bytes) -> Self {
        Self::new(bytes, ByteOrder::NATIVE)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn chunk<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.get(offset..)?.first_chunk::<N>().copied()
    }

    pub(crate) fn u8(&self, offset: usize) -> Option<u8> {
        self.bytes.get(offset).copied()
    }

    pub(crate) fn u16(&self, offset: usize) -> Option<u16> {
        self.chunk(offset).map(|bytes| self.order.u16(bytes))
    }

    pub(crate) fn u32(&self, offset: usize) -> Option<u32> {
        self.chunk(offset).map(|bytes| self.order.u32(bytes))
    }

    pub(crate) fn u64(&self, offset: usize) -> Option<u64> {
        self.chunk(offset).map(|bytes| self.order.u64(bytes))
    }

    pub(crate) fn bytes(&self, offset: usize, len: usize) -> Option<&'a [u8]> {
        self.bytes.get(offset..offset.checked_add(len)?)
    }

    /// The text of a NUL-padded field.
    pub(crate) fn text(&self, offset: usize, len: usize) -> Option<String> {
        let field = self.bytes(offset, len)?;
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        Some(String::from_utf8_lossy(field.get(..end)?).into_owned())
    }

    /// The key of a 264-byte key field (len:u16 at 0, text at 8).
    pub(crate) fn key(&self, offset: usize) -> Option<String> {
        self.text(offset + 8, 256)
    }
}

/// Error codes of corosync's libraries (corotypes.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsError {
    Ok = 1,
    Library = 2,
    Timeout = 5,
    TryAgain = 6,
    InvalidParam = 7,
    BadHandle = 9,
    Busy = 10,
    Access = 11,
    NotExist = 12,
    NameTooLong = 13,
    Exist = 14,
    Interrupt = 16,
    NameNotFound = 17,
    NotSupported = 19,
    FailedOperation = 21,
    MessageError = 22,
    TooBig = 26,
    NoSections = 27,
}
