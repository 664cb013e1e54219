//! A document beside the tables.

use std::collections::HashSet;

use xml::{Document, Element, NodeKind};

use super::datatypes::{Kind, blank_free};
use super::model::{Attribute, Definition, Line, Shape};
use super::{Fault, MAX_FAULTS};

/// Checks a whole document.
pub(super) fn check(cib: &Document, line: Line, top: &'static Definition) -> Vec<Fault> {
    let root = cib.root_element();
    let mut check = Check { cib, line, faults: Vec::new(), ids: HashSet::new(), references: Vec::new() };
    if root.name() == top.name {
        check.element(root, top);
    } else {
        check.fault(root, format!("<{}> is not expected here, but <{}>", root.name(), top.name));
    }
    check.resolve();
    check.faults
}

struct Check<'a> {
    cib: &'a Document,
    line: Line,
    faults: Vec<Fault>,
    ids: HashSet<&'a str>,
    references: Vec<(Element<'a>, &'static str, &'a str)>,
}

/// The shape that fits best in each group of an element.
type Chosen = Vec<&'static Shape>;

impl<'a> Check<'a> {
    fn fault(&mut self, element: Element<'_>, message: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { place: self.cib.xpath_of(element.id()), message });
        }
    }

    fn element(&mut self, element: Element<'a>, definition: &'static Definition) {
        if definition.is_open {
            return;
        }
        if self.cib.has_text() && has_words(element) {
            self.fault(element, format!("text is not expected in <{}>", element.name()));
        }
        let line = self.line;
        let chosen: Chosen =
            definition.groups.iter().filter_map(|group| best(group, element, line)).collect();
        self.attributes(element, definition, &chosen);
        self.children(element, definition, &chosen);
    }

    fn attributes(&mut self, element: Element<'a>, definition: &'static Definition, chosen: &Chosen) {
        let line = self.line;
        for (name, value) in element.attrs().filter(|(name, _)| !name.starts_with("xmlns:")) {
            match chosen.iter().find_map(|shape| shape.attribute(name, line)) {
                Some(attribute) => self.value(element, definition, attribute, value),
                None => self.fault(element, refusal(element, definition, chosen, name, line)),
            }
        }
        for shape in chosen {
            for attribute in missing(shape, element, line) {
                let message = format!("<{}> needs the attribute '{}'", element.name(), attribute.name);
                self.fault(element, message);
            }
        }
    }

    fn value(
        &mut self,
        element: Element<'a>,
        definition: &'static Definition,
        attribute: &'static Attribute,
        value: &'a str,
    ) {
        let Attribute { name, kind, .. } = attribute;
        if !kind.accepts(value) {
            let message = match allowed(definition, attribute, self.line) {
                Some(words) if words.contains(&blank_free(value)) => {
                    format!("{name}='{value}' does not go with the rest of <{}>", element.name())
                }
                Some(words) => format!("'{value}' is not a value for '{name}': one of {}", words.join(", ")),
                None => format!("'{value}' is not a value for '{name}': {kind}"),
            };
            return self.fault(element, message);
        }
        match kind {
            Kind::Id if !self.ids.insert(blank_free(value)) => {
                self.fault(element, format!("the id '{}' is used twice", blank_free(value)));
            }
            Kind::IdRef => self.references.push((element, *name, blank_free(value))),
            _ => {}
        }
    }

    fn children(&mut self, element: Element<'a>, definition: &'static Definition, chosen: &Chosen) {
        let line = self.line;
        let mut last_place = 0;
        for child in element.children() {
            let known = chosen.iter().find_map(|shape| shape.part(child.name(), line));
            let Some((part, inner)) = known else {
                let message = format!("<{}> is not expected in <{}>", child.name(), element.name());
                self.fault(child, message);
                continue;
            };
            if part.place != 0 && part.place < last_place {
                let message = format!("<{}> is too far down in <{}>", child.name(), element.name());
                self.fault(child, message);
            }
            last_place = last_place.max(part.place);
            self.element(child, inner);
        }
        for part in chosen.iter().flat_map(|shape| shape.parts).filter(|part| part.applies(line)) {
            if part.least == 0 && part.most == usize::MAX {
                continue;
            }
            let count = element.children().filter(|child| part.element(child.name()).is_some()).count();
            if count < part.least {
                self.fault(element, format!("<{}> needs {part} inside", definition.name));
            } else if count > part.most {
                self.fault(element, format!("<{}> may have only one {part} inside", definition.name));
            }
        }
    }

    /// Everything that is referred to must be there.
    fn resolve(&mut self) {
        for (element, name, value) in std::mem::take(&mut self.references) {
            if !self.ids.contains(value) {
                self.fault(element, format!("{name}='{value}' names nothing in the configuration"));
            }
        }
    }
}

fn has_words(element: Element<'_>) -> bool {
    let cib = element.document();
    let mut next = cib.first_child(element.id());
    while let Some(node) = next {
        if cib.kind(node) == NodeKind::Text && !blank_free(cib.text(node)).is_empty() {
            return true;
        }
        next = cib.next_sibling(node);
    }
    false
}

/// The shape of a group with the fewest faults; the first of equals.
fn best(group: &'static [Shape], element: Element<'_>, line: Line) -> Option<&'static Shape> {
    let mut shapes = group.iter().filter(|shape| shape.applies(line));
    if group.len() == 1 {
        return shapes.next();
    }
    let mut best = None;
    for shape in shapes {
        let weight = weight(group, shape, element, line);
        if weight == 0 {
            return Some(shape);
        }
        if best.is_none_or(|(least, _)| weight < least) {
            best = Some((weight, shape));
        }
    }
    best.map(|(_, shape)| shape)
}

/// How far an element is from a shape, as for what the group has to say of it. What is there and does
/// not belong weighs more than what is missing: users write what they mean.
fn weight(group: &'static [Shape], shape: &'static Shape, element: Element<'_>, line: Line) -> usize {
    const STRANGE: usize = 2;
    const OTHER_WORD: usize = 3;
    let mentioned = |name| group.iter().any(|shape| shape.attribute(name, line).is_some());
    let mut weight = missing(shape, element, line).count();
    for (name, value) in element.attrs() {
        match shape.attribute(name, line) {
            Some(attribute) if attribute.kind.accepts(value) => {}
            Some(Attribute { kind: Kind::Words(_) | Kind::Exactly(_), .. }) => weight += OTHER_WORD,
            Some(_) => weight += 1,
            None if mentioned(name) => weight += STRANGE,
            None => {}
        }
    }
    let named = |name| group.iter().any(|shape| shape.part(name, line).is_some());
    for child in element.children() {
        if shape.part(child.name(), line).is_none() && named(child.name()) {
            weight += STRANGE;
        }
    }
    for part in shape.parts.iter().filter(|part| part.applies(line) && part.least > 0) {
        let is_there = element.children().any(|child| part.element(child.name()).is_some());
        weight += usize::from(!is_there);
    }
    weight
}

fn missing<'s>(shape: &'s Shape, element: Element<'s>, line: Line) -> impl Iterator<Item = &'s Attribute> {
    let required = shape.attributes.iter().filter(move |it| it.is_required && it.applies(line));
    required.filter(move |attribute| element.attr(attribute.name).is_none())
}

/// Why an attribute cannot be there: nobody knows it, or it does not go with another one.
fn refusal(
    element: Element<'_>,
    definition: &'static Definition,
    chosen: &Chosen,
    name: &str,
    line: Line,
) -> String {
    let others = definition.groups.iter().copied().flatten();
    if !others.into_iter().any(|shape| shape.attribute(name, line).is_some()) {
        return format!("<{}> has no attribute '{name}'", element.name());
    }
    let group = definition
        .groups
        .iter()
        .position(|group| group.iter().any(|shape| shape.attribute(name, line).is_some()));
    let beside = group.and_then(|group| chosen.get(group)).map_or(&[][..], |shape| shape.attributes);
    let present = beside.iter().find(|attribute| element.attr(attribute.name).is_some());
    match present {
        Some(present) => {
            let value = element.attr(present.name).unwrap_or_default();
            format!("<{}> has no attribute '{name}' beside {}='{value}'", element.name(), present.name)
        }
        None => format!("<{}> has no attribute '{name}' in this form", element.name()),
    }
}

/// The words that an attribute may be, in whatever shape; None if it is not one of some words.
fn allowed(
    definition: &'static Definition,
    attribute: &'static Attribute,
    line: Line,
) -> Option<Vec<&'static str>> {
    let Kind::Words(_) = attribute.kind else { return None };
    let mut words: Vec<&str> = Vec::new();
    for shape in definition.groups.iter().copied().flatten().filter(|shape| shape.applies(line)) {
        let Some(Attribute { kind: Kind::Words(more), .. }) = shape.attribute(attribute.name, line) else {
            continue;
        };
        for word in *more {
            if !words.contains(word) {
                words.push(word);
            }
        }
    }
    Some(words)
}
