//! What a schema says about one element: read [`Definition`] first.

use std::fmt;

use super::datatypes::Kind;

/// The lines of schemas that the tables tell apart: 3.x (as 3.10 has it, which accepts whatever the
/// schemas before it do) and 4.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Three,
    Four,
}

/// An element. It conforms if in each of its groups one of the shapes fits; what no group mentions may
/// not occur. No attribute and no child is mentioned by two groups.
pub(super) struct Definition {
    pub name: &'static str,
    pub groups: &'static [&'static [Shape]],
    /// Whatever is inside is accepted.
    pub is_open: bool,
}

/// Attributes and children that go together.
pub(super) struct Shape {
    pub attributes: &'static [Attribute],
    pub parts: &'static [Part],
    pub only: Option<Line>,
}

pub(super) struct Attribute {
    pub name: &'static str,
    pub kind: Kind,
    pub is_required: bool,
    pub only: Option<Line>,
}

/// Children of some names, and how many of them altogether.
pub(super) struct Part {
    pub elements: &'static [&'static Definition],
    pub least: usize,
    pub most: usize,
    /// Parts with a place come in the order of these numbers; those with 0 are anywhere.
    pub place: u8,
    pub only: Option<Line>,
}

pub(super) const fn element(name: &'static str, groups: &'static [&'static [Shape]]) -> Definition {
    Definition { name, groups, is_open: false }
}

pub(super) const fn shape(attributes: &'static [Attribute], parts: &'static [Part]) -> Shape {
    Shape { attributes, parts, only: None }
}

pub(super) const fn must(name: &'static str, kind: Kind) -> Attribute {
    Attribute { name, kind, is_required: true, only: None }
}

pub(super) const fn may(name: &'static str, kind: Kind) -> Attribute {
    Attribute { name, kind, is_required: false, only: None }
}

const fn part(elements: &'static [&'static Definition], least: usize, most: usize) -> Part {
    Part { elements, least, most, place: 0, only: None }
}

/// Any number of these.
pub(super) const fn any(elements: &'static [&'static Definition]) -> Part {
    part(elements, 0, usize::MAX)
}

/// At least one of these.
pub(super) const fn some(elements: &'static [&'static Definition]) -> Part {
    part(elements, 1, usize::MAX)
}

/// Exactly one of these.
pub(super) const fn one(elements: &'static [&'static Definition]) -> Part {
    part(elements, 1, 1)
}

/// At most one of these.
pub(super) const fn optional(elements: &'static [&'static Definition]) -> Part {
    part(elements, 0, 1)
}

impl Part {
    pub const fn at(self, place: u8) -> Self {
        Self { place, ..self }
    }

    pub const fn only(self, line: Line) -> Self {
        Self { only: Some(line), ..self }
    }

    pub fn applies(&self, line: Line) -> bool {
        self.only.is_none_or(|only| only == line)
    }

    pub fn element(&self, name: &str) -> Option<&'static Definition> {
        self.elements.iter().find(|definition| definition.name == name).copied()
    }
}

impl Shape {
    pub const fn only(self, line: Line) -> Self {
        Self { only: Some(line), ..self }
    }

    pub fn applies(&self, line: Line) -> bool {
        self.only.is_none_or(|only| only == line)
    }

    pub fn attribute(&self, name: &str, line: Line) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name && attribute.applies(line))
    }

    pub fn part(&self, name: &str, line: Line) -> Option<(&'static Part, &'static Definition)> {
        let mut parts = self.parts.iter().filter(|part| part.applies(line));
        parts.find_map(|part| Some((part, part.element(name)?)))
    }
}

impl Attribute {
    pub const fn only(self, line: Line) -> Self {
        Self { only: Some(line), ..self }
    }

    pub fn applies(&self, line: Line) -> bool {
        self.only.is_none_or(|only| only == line)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, element) in self.elements.iter().enumerate() {
            let between = match number {
                0 => "",
                n if n + 1 == self.elements.len() => " or ",
                _ => ", ",
            };
            write!(f, "{between}<{}>", element.name)?;
        }
        Ok(())
    }
}
