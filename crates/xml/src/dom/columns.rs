//! Reading many elements that are written alike: names compared as numbers, places remembered.

use super::names::Name;
use super::{Document, NodeId};

/// A name as it is known to one document, as that stands: to compare it is to compare a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(Name);

/// Some attributes, to be read from one element after the other. Each is first looked for where it was
/// the last time, as programs write their elements alike.
#[derive(Debug, Clone)]
pub struct Columns<const N: usize> {
    wanted: [(Name, u32); N],
}

impl Document {
    /// A name to compare others with; no element has it if the document does not know it.
    pub fn key(&self, name: &str) -> Key {
        // No element has the name of texts.
        Key(self.names.find(name).unwrap_or(Name::TEXT))
    }

    /// Whether this is an element of that name.
    pub fn is_named(&self, id: NodeId, key: Key) -> bool {
        key.0.is_element() && self.node(id).name == key.0
    }

    /// To read these attributes from many elements. It holds for the document as it stands.
    pub fn columns<const N: usize>(&self, names: [&str; N]) -> Columns<N> {
        Columns { wanted: names.map(|name| (self.key(name).0, 0)) }
    }
}

impl<const N: usize> Columns<N> {
    /// The attributes of an element, in the order of the names.
    pub fn read<'d>(&mut self, doc: &'d Document, id: NodeId) -> [Option<&'d str>; N] {
        let all = doc.attributes_of(id);
        let mut found = [None; N];
        for ((name, place), value) in self.wanted.iter_mut().zip(&mut found) {
            let guess = all.get(*place as usize).filter(|entry| entry.name == *name);
            let entry = guess.or_else(|| {
                let at = all.iter().position(|entry| entry.name == *name)?;
                *place = at as u32;
                all.get(at)
            });
            *value = entry.map(|entry| entry.value.of(&doc.text));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::Document;

    #[test]
    fn attributes_are_found_wherever_they_stand() {
        let text = "<a><b x='1' y='2'/><b y='3' x='4'/><c/><b y='5' z='6'/>text<!--comment--></a>";
        let doc = Document::parse(text).unwrap();
        let mut columns = doc.columns(["x", "y", "unknown"]);
        let mut rows = Vec::new();
        let mut next = doc.first_child(doc.root());
        while let Some(node) = next {
            rows.push(columns.read(&doc, node));
            next = doc.next_sibling(node);
        }
        let expected = [
            [Some("1"), Some("2"), None],
            [Some("4"), Some("3"), None],
            [None, None, None],
            [None, Some("5"), None],
            [None; 3],
            [None; 3],
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn only_elements_have_names() {
        let doc = Document::parse("<a>text<b/></a>").unwrap();
        let (text, b) = (doc.first_child(doc.root()).unwrap(), doc.last_child(doc.root()).unwrap());
        assert!(doc.is_named(b, doc.key("b")) && !doc.is_named(doc.root(), doc.key("b")));
        assert!(!doc.is_named(text, doc.key("unknown")) && !doc.is_named(b, doc.key("unknown")));
    }
}
