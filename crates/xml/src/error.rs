//! What can be wrong with a text that should be XML.

/// Why a text was refused. Nothing is changed by a refused text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// The text is not well-formed; the position is in bytes from its start.
    #[error("not well-formed XML at byte {position}: {message}")]
    Malformed { position: u64, message: String },
    /// There is no element at all.
    #[error("the document is empty: an XML element is expected")]
    Empty,
    /// A document type with declarations, or a reference to an entity that XML does not predefine.
    #[error("entity declarations and references are not accepted ({0})")]
    Entity(String),
    /// Elements nested deeper than [`crate::MAX_DEPTH`].
    #[error("elements are nested deeper than {0} levels")]
    TooDeep(usize),
    /// More bytes than [`crate::MAX_BYTES`].
    #[error("the text has {0} bytes; at most {max} are accepted", max = crate::MAX_BYTES)]
    TooLarge(usize),
}
