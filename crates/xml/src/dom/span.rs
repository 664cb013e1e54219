//! A part of a buffer, in half the space of a slice.

/// Start and length, in bytes of a text or in entries of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    pub(crate) fn new(start: usize, len: usize) -> Span {
        Span { start: narrow(start), len: narrow(len) }
    }

    /// Appends to a buffer, and says where.
    pub(crate) fn append(buffer: &mut String, text: &str) -> Span {
        let span = Span::new(buffer.len(), text.len());
        buffer.push_str(text);
        span
    }

    #[inline]
    pub(crate) fn of(self, buffer: &str) -> &str {
        buffer.get(self.range()).unwrap_or("")
    }

    #[inline]
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end()
    }

    pub(crate) fn end(self) -> usize {
        self.start as usize + self.len as usize
    }
}

/// A document cannot outgrow 4 GiB, as a vector cannot outgrow memory: texts of at most 1 GiB are read,
/// and of what was replaced no more is kept than of what is in use.
fn narrow(value: usize) -> u32 {
    assert!(value <= u32::MAX as usize, "a document of more than 4 GiB");
    value as u32
}
