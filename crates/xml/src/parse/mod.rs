//! Text to [`Document`]: quick-xml tokenises what is not plain, limits and policy are ours.

mod plain;

use quick_xml::Reader;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::dom::{Appender, Name, NotAppended};
use crate::{Document, NodeId, XmlError};

/// Deepest nesting accepted. The deepest element of a valid CIB is about 15 levels down.
pub const MAX_DEPTH: usize = 500;
/// Largest text accepted, in bytes.
pub const MAX_BYTES: usize = 1 << 30;

impl Document {
    /// Parses one element with its content. White space between elements is dropped; comments stay.
    ///
    /// # Errors
    /// [`XmlError`] for text that is not well-formed, has entity declarations, or exceeds a limit.
    pub fn parse(text: &str) -> Result<Document, XmlError> {
        if text.len() > MAX_BYTES {
            return Err(XmlError::TooLarge(text.len()));
        }
        match plain::parse(text) {
            Some(document) => Ok(document),
            None => tokenise(text),
        }
    }

    /// As [`Document::parse`], for bytes from outside, which may not be UTF-8.
    ///
    /// # Errors
    /// As [`Document::parse`]; bytes that are not UTF-8 are malformed.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Document, XmlError> {
        let text = std::str::from_utf8(bytes).map_err(|error| XmlError::Malformed {
            position: error.valid_up_to() as u64,
            message: "bytes that are not UTF-8".into(),
        })?;
        if let Some(position) = control_character(bytes) {
            let message = "a control character that XML does not know".into();
            return Err(XmlError::Malformed { position: position as u64, message });
        }
        Document::parse(text)
    }
}

/// Where the first control character is that no XML may have: C programs that read what we pass on would
/// stop at a zero. Looked for in blocks, which are gone through many bytes at a time.
fn control_character(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 4096;
    let is_bad = |byte: u8| (byte < b' ') & (byte != b'\t') & (byte != b'\n') & (byte != b'\r');
    let at =
        bytes.chunks(BLOCK).position(|block| block.iter().fold(false, |bad, byte| bad | is_bad(*byte)))?;
    let start = at.saturating_mul(BLOCK);
    let inside = bytes.get(start..)?.iter().position(|byte| is_bad(*byte))?;
    Some(start.saturating_add(inside))
}

/// Any document.
fn tokenise(text: &str) -> Result<Document, XmlError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut state = Builder { tree: None, size_hint: text.len(), open: Vec::new(), text: String::new() };
    loop {
        let position = reader.buffer_position();
        let event = reader.read_event().map_err(|error| XmlError::Malformed {
            position: reader.error_position(),
            message: error.to_string(),
        })?;
        match event {
            Event::Eof => break,
            other => state.event(other).map_err(|fault| fault.at(position))?,
        }
    }
    let position = reader.buffer_position();
    state.flush_text().map_err(|fault| fault.at(position))?;
    if let Some(open) = state.open.last() {
        let name = state.tree.as_ref().map_or("", |tree| tree.doc.name(*open)).to_string();
        return Err(XmlError::Malformed { position, message: format!("<{name}> is not closed") });
    }
    state.tree.map(|tree| tree.doc).ok_or(XmlError::Empty)
}

enum Fault {
    Message(String),
    Final(XmlError),
}

impl Fault {
    fn at(self, position: u64) -> XmlError {
        match self {
            Fault::Message(message) => XmlError::Malformed { position, message },
            Fault::Final(error) => error,
        }
    }
}

fn fault(error: impl std::fmt::Display) -> Fault {
    Fault::Message(error.to_string())
}

struct Builder {
    tree: Option<Appender>,
    size_hint: usize,
    open: Vec<NodeId>,
    text: String,
}

impl Builder {
    fn event(&mut self, event: Event<'_>) -> Result<(), Fault> {
        match event {
            Event::Start(tag) => self.start(&tag, true),
            Event::Empty(tag) => self.start(&tag, false),
            Event::End(_) => {
                self.flush_text()?;
                self.open.pop();
                Ok(())
            }
            Event::Text(text) => {
                self.text.push_str(&text);
                Ok(())
            }
            Event::CData(data) => {
                self.text.push_str(&data);
                Ok(())
            }
            Event::GeneralRef(reference) => self.reference(&reference),
            Event::Comment(comment) => {
                self.flush_text()?;
                if let (Some(tree), Some(parent)) = (self.tree.as_mut(), self.open.last()) {
                    tree.doc.append_comment(*parent, &comment);
                }
                Ok(())
            }
            Event::DocType(text) => {
                if text.contains('[') {
                    Err(Fault::Final(XmlError::Entity("document type".into())))
                } else {
                    Ok(())
                }
            }
            Event::Decl(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Fault> {
        if let Some(character) = reference.resolve_char_ref().map_err(fault)? {
            self.text.push(character);
            return Ok(());
        }
        let name: &str = reference;
        match predefined(name) {
            Some(text) => {
                self.text.push_str(text);
                Ok(())
            }
            None => Err(Fault::Final(XmlError::Entity(format!("&{name};")))),
        }
    }

    fn flush_text(&mut self) -> Result<(), Fault> {
        if self.text.trim().is_empty() {
            self.text.clear();
            return Ok(());
        }
        let (Some(tree), Some(parent)) = (self.tree.as_mut(), self.open.last()) else {
            return Err(Fault::Message("text outside of the root element".into()));
        };
        tree.doc.append_text(*parent, &self.text);
        self.text.clear();
        Ok(())
    }

    fn start(&mut self, tag: &BytesStart<'_>, opens: bool) -> Result<(), Fault> {
        self.flush_text()?;
        if self.open.len() >= MAX_DEPTH {
            return Err(Fault::Final(XmlError::TooDeep(MAX_DEPTH)));
        }
        let name = tag.name().into_inner();
        let (tree, id) = match (&mut self.tree, self.open.last()) {
            (Some(tree), Some(parent)) => {
                let id = tree.element(*parent, name).map_err(|why| refused(why, name))?;
                (tree, id)
            }
            (Some(_), None) => return Err(Fault::Message("a second root element".into())),
            (none, _) => {
                let fresh = Appender::new(name, self.size_hint).map_err(|why| refused(why, name))?;
                let tree = none.insert(fresh);
                let root = tree.doc.root();
                (tree, root)
            }
        };
        attributes(tree, id, tag)?;
        if opens {
            self.open.push(id);
        }
        Ok(())
    }
}

fn attributes(tree: &mut Appender, id: NodeId, tag: &BytesStart<'_>) -> Result<(), Fault> {
    let mut rest = tag.attributes_raw();
    while let Some((name, value, after)) = usual_attribute(tree, rest) {
        tree.attribute(id, name, value).map_err(|why| refused(why, tree.letters(name)))?;
        rest = after;
    }
    // The appender sees what is there twice.
    for attribute in Attributes::new(tag, tag.len() - rest.len()).with_checks(false) {
        let attribute = attribute.map_err(fault)?;
        let key = attribute.key.into_inner();
        let raw: &str = &attribute.value;
        if raw.contains('<') {
            return Err(Fault::Message(format!("'<' in the value of attribute {key}")));
        }
        let name = tree.name(key).map_err(|why| refused(why, key))?;
        let added = match is_plain(raw) {
            true => tree.attribute(id, name, raw),
            false => tree.attribute(id, name, &unescape(raw)?),
        };
        added.map_err(|why| refused(why, key))?;
    }
    Ok(())
}

fn refused(why: NotAppended, name: &str) -> Fault {
    Fault::Message(match why {
        NotAppended::NoName => format!("'{name}' is not a name"),
        NotAppended::Twice => format!("the attribute {name} is there twice"),
    })
}

/// An attribute as programs write it: a blank, the name, a value that means what it says. Returns name,
/// value and what comes after; `None` leaves the matter to the tokeniser. Nearly all are like this, and
/// to look at each byte once takes half the time.
fn usual_attribute<'t>(tree: &mut Appender, text: &'t str) -> Option<(Name, &'t str, &'t str)> {
    let text = text.strip_prefix(' ')?;
    let (name, rest) = match tree.strip_expected(text) {
        Some((name, rest)) => (name, rest.strip_prefix('=')?),
        None => {
            let ends = |byte| matches!(byte, b'=' | b' ' | b'\n' | b'\t' | b'\r');
            let (letters, rest) = text.split_at_checked(text.bytes().position(ends)?)?;
            let rest = rest.strip_prefix('=')?;
            (tree.name(letters).ok()?, rest)
        }
    };
    let quote = rest.bytes().next().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let rest = rest.get(1..)?;
    let len = rest.bytes().position(|byte| byte == quote || is_special(byte))?;
    let (value, rest) = rest.split_at_checked(len)?;
    let is_end = rest.bytes().next() == Some(quote);
    is_end.then_some((name, value, rest.get(1..)?))
}

/// What has another meaning in a value, or none that is allowed.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'&' | b'<' | b'\n' | b'\t' | b'\r')
}

/// Whether a value means what it says.
fn is_plain(raw: &str) -> bool {
    !raw.bytes().any(is_special)
}

/// Resolves references and turns literal white space into blanks, as XML 1.0 section 3.3.3 asks.
fn unescape(raw: &str) -> Result<String, Fault> {
    let spaced = raw.replace("\r\n", " ").replace(['\n', '\t', '\r'], " ");
    let text = quick_xml::escape::unescape(&spaced).map_err(|error| match error {
        quick_xml::escape::EscapeError::UnrecognizedEntity(_, name) => {
            Fault::Final(XmlError::Entity(format!("&{name};")))
        }
        other => fault(other),
    })?;
    Ok(text.into_owned())
}

fn predefined(name: &str) -> Option<&'static str> {
    Some(match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_keep_order_and_references_are_resolved() {
        let doc = Document::parse("<a z='1' b=\"x &amp; &#65;&lt;\" ><!-- note --><b/>\n</a>").unwrap();
        assert_eq!(doc.to_text(), "<a z=\"1\" b=\"x &amp; A&lt;\"><!-- note --><b/></a>");
    }

    #[test]
    fn entity_bombs_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY l 'lol'>]><a>&l;</a>";
        assert!(matches!(Document::parse(bomb), Err(XmlError::Entity(_))));
        assert!(matches!(Document::parse("<a>&l;</a>"), Err(XmlError::Entity(_))));
        assert!(matches!(Document::parse("<a b='&l;'/>"), Err(XmlError::Entity(_))));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for text in [
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "a",
            "<a b=c/>",
            "<a b='1' b='2'/>",
            "<a b='<'/>",
            "</a>",
            "< a='1'/>",
            "<1/>",
            "<a><></a>",
            "<a 'b'='1'/>",
            "<a ='1'/>",
            "<a b='1' c&d='1'/>",
            "<a <b='1'/>",
        ] {
            assert!(matches!(Document::parse(text), Err(XmlError::Malformed { .. })), "{text}");
        }
        assert_eq!(Document::parse("  ").unwrap_err(), XmlError::Empty);
        assert!(matches!(Document::parse(&"<a>".repeat(1000)), Err(XmlError::TooDeep(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Document::parse_bytes(&bytes);
        }

        #[test]
        fn xml_like_text_survives_a_round_trip(text in "(<[ab]( x='[a-z&;<]{0,3}')?/?>|</[ab]>|[ a&;]){0,12}") {
            if let Ok(doc) = Document::parse(&text) {
                let again = Document::parse(&doc.to_text()).unwrap();
                proptest::prop_assert_eq!(again.to_text(), doc.to_text());
            }
        }

        #[test]
        fn values_survive_a_round_trip(value in ".{0,20}") {
            let value: String = value.chars().filter(|c| !c.is_control() || "\n\t\r".contains(*c)).collect();
            let mut doc = Document::new("a");
            let root = doc.root();
            doc.set_attr(root, "v", &value);
            let again = Document::parse(&doc.to_text()).unwrap();
            proptest::prop_assert_eq!(again.attr(again.root(), "v"), Some(&*value));
        }
    }
}
