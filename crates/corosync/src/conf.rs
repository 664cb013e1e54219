//! The file corosync.conf as a tree that keeps the order of everything, comments included.

mod keys;
mod load;

use std::fmt::Write as _;

pub use load::{load, uidgid_keys};

/// Longest line, as in the reference.
const LINE_MAX: usize = 511;
/// Deepest nesting.
const DEPTH_MAX: usize = 16;

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parser error: {file}:{line}: {problem}")]
pub struct ConfError {
    pub file: String,
    /// Line number, from 1.
    pub line: usize,
    pub problem: String,
}

/// One entry of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A line that starts with `#`, kept as it is.
    Comment(String),
    Key {
        name: String,
        value: String,
        line: usize,
    },
    Section(Section),
}

/// A section with its entries in order; the file itself is one without a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    pub name: String,
    pub line: usize,
    pub items: Vec<Item>,
}

impl Section {
    /// An empty section.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), line: 0, items: Vec::new() }
    }

    /// Direct sub-sections of a name.
    pub fn sections<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Section> {
        self.items.iter().filter_map(move |item| match item {
            Item::Section(section) if section.name == name => Some(section),
            _ => None,
        })
    }

    /// The last value of a key, which is the one that counts.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.items.iter().rev().find_map(|item| match item {
            Item::Key { name, value, .. } if name == key => Some(value.as_str()),
            _ => None,
        })
    }

    /// Sets a key in place, or adds it after the last key.
    pub fn set(&mut self, key: &str, new: &str) {
        let mut after = 0;
        for (index, item) in self.items.iter_mut().enumerate() {
            if let Item::Key { name, value, .. } = item {
                after = index + 1;
                if name == key {
                    new.clone_into(value);
                    return;
                }
            }
        }
        let item = Item::Key { name: key.to_owned(), value: new.to_owned(), line: 0 };
        self.items.insert(after, item);
    }

    /// The text of the file: four spaces per level, an empty line before each section but the first entry.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write_items(&mut text, 0);
        text
    }

    fn write_items(&self, text: &mut String, depth: usize) {
        let indent = "    ".repeat(depth);
        let mut after_comment = false;
        for (index, item) in self.items.iter().enumerate() {
            match item {
                Item::Comment(comment) => text.push_str(&format!("{indent}{comment}\n")),
                Item::Key { name, value, .. } => {
                    let _ = writeln!(text, "{indent}{name}: {value}");
                }
                Item::Section(section) => {
                    if index > 0 && !after_comment {
                        text.push('\n');
                    }
                    let _ = writeln!(text, "{indent}{} {{", section.name);
                    section.write_items(text, depth + 1);
                    let _ = writeln!(text, "{indent}}}");
                }
            }
            after_comment = matches!(item, Item::Comment(_));
        }
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c == ' ' || c == '\t' || c == '\u{a0}')
}

/// Parses a file. Only the form is checked here, not the names.
///
/// # Errors
/// The first line that does not fit, with the reason.
pub fn parse(file: &str, text: &str) -> Result<Section, ConfError> {
    let mut open = vec![Section::default()];
    let fail =
        |line: usize, problem: &str| ConfError { file: file.to_owned(), line, problem: problem.to_owned() };
    let mut last = 0;
    for (index, raw) in text.lines().enumerate() {
        let number = index + 1;
        last = number;
        if raw.len() > LINE_MAX {
            return Err(fail(number, "Line too long"));
        }
        let line = trim(raw.trim_end_matches('\r'));
        match parse_line(line).map_err(|problem| fail(number, problem))? {
            Line::Empty => {}
            Line::Comment => push(&mut open, Item::Comment(line.to_owned())),
            Line::Key(name, value) => {
                push(&mut open, Item::Key { name: name.to_owned(), value: value.to_owned(), line: number });
            }
            Line::Open(name) => {
                if open.len() > DEPTH_MAX {
                    return Err(fail(number, "Sections are nested too deeply"));
                }
                open.push(Section { name: name.to_owned(), line: number, items: Vec::new() });
            }
            Line::Close => match open.pop() {
                Some(section) if !open.is_empty() => push(&mut open, Item::Section(section)),
                _ => return Err(fail(number, "Unexpected closing brace")),
            },
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(root), true) => Ok(root),
        _ => Err(fail(last, "Missing closing brace")),
    }
}

fn push(open: &mut [Section], item: Item) {
    if let Some(section) = open.last_mut() {
        section.items.push(item);
    }
}

enum Line<'a> {
    Empty,
    Comment,
    Key(&'a str, &'a str),
    Open(&'a str),
    Close,
}

fn parse_line(line: &str) -> Result<Line<'_>, &'static str> {
    if line.is_empty() {
        return Ok(Line::Empty);
    }
    if line.starts_with('#') {
        return Ok(Line::Comment);
    }
    if let Some((before, after)) = line.split_once('{') {
        let name = before.trim_end_matches(|c: char| " \t\u{a0}:{".contains(c));
        if trim(name).is_empty() {
            return Err("Missing section name before opening bracket '{'");
        }
        if !trim(after).is_empty() {
            return Err("Extra characters after opening bracket '{'");
        }
        return Ok(Line::Open(trim(name)));
    }
    if let Some((before, after)) = line.split_once(':') {
        let name = trim(before.trim_end_matches(|c: char| " \t\u{a0}:{".contains(c)));
        if name.is_empty() {
            return Err("Key name can't be empty");
        }
        return Ok(Line::Key(name, trim(after)));
    }
    if line.contains('}') {
        return if line == "}" {
            Ok(Line::Close)
        } else {
            Err("Extra characters before or after closing bracket '}'")
        };
    }
    Err("Line is not opening or closing section or key value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: &str = "# who we are\ntotem {\n    version: 2\n    cluster_name: c1\n}\n\nnodelist {\n    node {\n        ring0_addr: 10.0.0.1\n        nodeid: 1\n    }\n\n    node {\n        ring0_addr: fe80::1\n        nodeid: 2\n    }\n}\n";

    #[test]
    fn what_is_read_is_written_back() {
        let root = parse("f", SAMPLE).expect("valid");
        assert_eq!(root.to_text(), SAMPLE);
        let nodes: Vec<_> = root.sections("nodelist").flat_map(|list| list.sections("node")).collect();
        assert_eq!(nodes[1].value("ring0_addr"), Some("fe80::1"));
    }

    #[test]
    fn a_key_is_set_in_place() {
        let mut root = parse("f", SAMPLE).expect("valid");
        if let Some(Item::Section(totem)) = root.items.get_mut(1) {
            totem.set("cluster_name", "c2");
            totem.set("token", "1000");
        }
        assert!(root.to_text().contains("    cluster_name: c2\n    token: 1000\n}"));
    }

    #[test]
    fn errors_tell_the_line() {
        for (text, line, part) in [
            ("totem {\nversion 2\n}\n", 2, "not opening"),
            ("totem {\n", 1, "Missing closing"),
            ("}\n", 1, "Unexpected"),
            ("totem { x\n", 1, "Extra characters"),
            ("{\n", 1, "Missing section name"),
            ("a {\n} b\n", 2, "Extra characters"),
        ] {
            let error = parse("f", text).expect_err(text);
            assert_eq!(error.line, line, "{text}");
            assert!(error.problem.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "[a-z{}:# \n\t.]{0,200}") {
            if let Ok(root) = parse("f", &text) {
                let written = root.to_text();
                let again = parse("f", &written).expect("own output is valid");
                prop_assert_eq!(again.to_text(), written);
            }
        }
    }
}
