//! Arena DOM that keeps order: the form in which the cluster information base lives in memory.
//!
//! Read [`Document`] first: an arena of elements, text and comments addressed by [`NodeId`];
//! [`Element`] is a borrowed cursor over it for reading. Parsing ([`Document::parse`]) has limits on
//! size and depth and refuses entity declarations; serialising gives the reference's two layouts
//! (one line, or indented by two blanks).

mod digest;
mod dom;
mod element;
mod error;
mod parse;
pub mod patch;
mod write;
mod xpath;

pub use digest::{digest_of_pairs, md5_hex, parameters_text};
pub use dom::{Changes, Columns, Document, Key, NodeId, NodeKind};
pub use element::{Children, Descendants, Element};
pub use error::XmlError;
pub use parse::{MAX_BYTES, MAX_DEPTH};
pub use write::escape_attribute;
pub use xpath::{Match, Value, XPath, XPathError};
