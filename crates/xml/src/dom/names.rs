//! Names of elements and attributes, each stored once. A document has many uses of few names.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::span::Span;

/// Up to so many names are compared one after the other; beyond, there is a hash table. Patches and
/// queries make many documents with few names, which so do without one.
const FEW_NAMES: usize = 8;

/// Bits of a [`Name`] that depend on its letters only.
const TAG_BITS: u32 = 5;

/// A name by its number in [`Names`], and a few bits of its letters: most comparisons of names end at
/// these bits. A text of 1 GiB cannot have more names than the other bits can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name(u32);

impl Name {
    /// In place of the name of a text.
    pub(crate) const TEXT: Name = Name(u32::MAX);
    /// In place of the name of a comment.
    pub(crate) const COMMENT: Name = Name(u32::MAX - 1);

    pub(crate) fn is_element(self) -> bool {
        self.0 < Name::COMMENT.0
    }

    /// Its number in [`Names`]: they count from 0 without a gap.
    pub(crate) fn index(self) -> usize {
        (self.0 >> TAG_BITS) as usize
    }
}

/// What a name is looked for by: the letters and the tag computed from them.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    letters: &'a str,
    tag: u32,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(letters: &'a str) -> Self {
        Wanted { letters, tag: tag(letters) }
    }
}

fn tag(letters: &str) -> u32 {
    let bytes = letters.as_bytes();
    let [first, .., last] = bytes else { return bytes.len() as u32 };
    let mixed = (bytes.len() as u32).wrapping_mul(7).wrapping_add(u32::from(*first) ^ u32::from(*last) << 2);
    mixed & ((1 << TAG_BITS) - 1)
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    letters: String,
    spans: Vec<Span>,
    /// Numbers of names, by hash; empty while there are few.
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The letters; "" for texts and comments.
    pub(crate) fn letters(&self, name: Name) -> &str {
        self.spans.get(name.index()).map_or("", |span| span.of(&self.letters))
    }

    pub(crate) fn is(&self, name: Name, wanted: Wanted<'_>) -> bool {
        name.0 & ((1 << TAG_BITS) - 1) == wanted.tag && self.letters(name) == wanted.letters
    }

    pub(crate) fn find(&self, letters: &str) -> Option<Name> {
        let index = if self.spans.len() <= FEW_NAMES {
            self.spans.iter().position(|span| span.of(&self.letters) == letters)? as u32
        } else {
            let hash = self.hasher.hash_one(letters.as_bytes());
            *self.table.find(hash, |index| self.nth(*index) == letters)?
        };
        Some(Name(index << TAG_BITS | tag(letters)))
    }

    pub(crate) fn intern(&mut self, letters: &str) -> Name {
        self.find(letters).unwrap_or_else(|| self.add(letters))
    }

    /// Adds a name that [`Names::find`] did not find.
    pub(crate) fn add(&mut self, letters: &str) -> Name {
        let index = self.spans.len() as u32;
        let name = Name(index << TAG_BITS | tag(letters));
        // Far beyond what memory holds; a number that wraps would make one name out of two.
        assert!(name.is_element() && name.index() == index as usize, "more names than a document can have");
        self.spans.push(Span::append(&mut self.letters, letters));
        match self.spans.len() {
            0..=FEW_NAMES => {}
            count if count == FEW_NAMES + 1 => (0..count as u32).for_each(|index| self.enter(index)),
            _ => self.enter(index),
        }
        name
    }

    fn nth(&self, index: u32) -> &str {
        self.spans.get(index as usize).map_or("", |span| span.of(&self.letters))
    }

    fn enter(&mut self, index: u32) {
        let hash = |index: &u32| {
            let span = self.spans.get(*index as usize).copied().unwrap_or_default();
            self.hasher.hash_one(span.of(&self.letters).as_bytes())
        };
        self.table.insert_unique(hash(&index), index, hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_whether_few_or_many() {
        let mut names = Names::default();
        for round in 0..2 {
            for number in 0..1_000 {
                let letters = format!("name-{number}");
                assert_eq!(names.find(&letters).is_some(), round == 1);
                let name = names.intern(&letters);
                assert_eq!(names.letters(name), letters);
                assert!(names.is(name, Wanted::new(&letters)));
                assert!(!names.is(name, Wanted::new("name")));
            }
        }
        assert_eq!(names.spans.len(), 1_000);
        assert_eq!(names.letters(Name::TEXT), "");
    }
}
