//! Values of attributes, as XML Schema's datatypes and RELAX NG define them.

use std::fmt;

/// Most digits of a number: more are refused, as by the reference's library.
const MAX_DIGITS: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A name that nothing else in the document has.
    Id,
    /// A name that something in the document has.
    IdRef,
    Integer,
    NonNegative,
    Positive,
    /// 1 to 9.
    Level,
    Boolean,
    Score,
    Words(&'static [&'static str]),
    /// Exactly this, with its blanks.
    Exactly(&'static str),
    /// Anything else than these.
    NoneOf(&'static [&'static str]),
    /// Names separated by commas.
    Devices,
    /// Digits and hyphens.
    Ports,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("any text"),
            Self::Id | Self::IdRef => f.write_str(
                "a name: a letter or _ first, then letters, digits, '.', '-' and '_', without blanks or ':'",
            ),
            Self::Integer => f.write_str("an integer"),
            Self::NonNegative => f.write_str("a number from 0"),
            Self::Positive => f.write_str("a number from 1"),
            Self::Level => f.write_str("a number from 1 to 9"),
            Self::Boolean => f.write_str("true or false"),
            Self::Score => f.write_str("an integer, INFINITY or -INFINITY"),
            Self::Words(words) => write!(f, "one of {}", words.join(", ")),
            Self::Exactly(word) => f.write_str(word),
            Self::NoneOf(_) => f.write_str("it is not supported any more"),
            Self::Devices => f.write_str("names of devices, separated by commas"),
            Self::Ports => f.write_str("a range such as 8080-8083"),
        }
    }
}

impl Kind {
    pub fn accepts(self, value: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Id | Self::IdRef => is_name(blank_free(value)),
            Self::Integer => integer(value).is_some(),
            Self::NonNegative => integer(value).is_some_and(|it| !it.is_below_zero),
            Self::Positive => integer(value).is_some_and(|it| !it.is_below_zero && !it.digits.is_empty()),
            Self::Level => integer(value).is_some_and(|it| !it.is_below_zero && it.digits.len() == 1),
            Self::Boolean => matches!(blank_free(value), "true" | "false" | "1" | "0"),
            Self::Score => {
                matches!(blank_free(value), "INFINITY" | "+INFINITY" | "-INFINITY")
                    || integer(value).is_some()
            }
            Self::Words(words) => words.contains(&blank_free(value)),
            Self::Exactly(word) => value == word,
            Self::NoneOf(words) => !words.contains(&value),
            Self::Devices => value.split(',').all(is_device),
            Self::Ports => !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit() || b == b'-'),
        }
    }
}

/// A value without the blanks around it. Blanks within make none of the values here valid.
pub(super) fn blank_free(value: &str) -> &str {
    value.trim_matches([' ', '\t', '\n', '\r'])
}

struct Integer<'a> {
    /// False for -0.
    is_below_zero: bool,
    /// Without zeros before them: nothing for 0.
    digits: &'a str,
}

fn integer(value: &str) -> Option<Integer<'_>> {
    let value = blank_free(value);
    let (is_negative, digits) = match value.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, value.strip_prefix('+').unwrap_or(value)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    (digits.len() <= MAX_DIGITS)
        .then_some(Integer { is_below_zero: is_negative && !digits.is_empty(), digits })
}

fn is_device(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// A name without a colon (Namespaces in XML 1.0, production NCName).
fn is_name(value: &str) -> bool {
    let mut chars = value.chars();
    let Some(first) = chars.next() else { return false };
    starts_name(first) && chars.all(continues_name)
}

fn starts_name(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn continues_name(c: char) -> bool {
    starts_name(c) || matches!(c, '.' | '-' | '\u{b7}') || c.is_numeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_xml_schema() {
        let accepted = [
            (
                Kind::Integer,
                &["0", "-5", "+7", " 12 ", "007"][..],
                &["", "-", "1.0", "1 2", "0x1", "INFINITY"][..],
            ),
            (Kind::NonNegative, &["0", "-0", "3"], &["-1", ""]),
            (Kind::Positive, &["1", "+20"], &["0", "-1", "00"]),
            (Kind::Level, &["1", "9", "09"], &["0", "10", "-1"]),
            (Kind::Boolean, &["true", "0", " 1\n"], &["yes", "True", ""]),
            (Kind::Score, &["-INFINITY", "+INFINITY", "100"], &["infinity", "1e3", ""]),
            (Kind::Id, &["a", "_x.1-2", "ä"], &["", "1a", "a b", "a:b", "-a"]),
            (Kind::Devices, &["a", "a,b-1"], &["", "a,", "a b", ",a"]),
            (Kind::Ports, &["80-90", "-"], &["", "80 90"]),
            (Kind::Words(&["and", "or"]), &["and", " or "], &["And", ""]),
            (Kind::Exactly("x"), &["x"], &[" x"]),
            (Kind::NoneOf(&["x"]), &["y", " x", ""], &["x"]),
        ];
        for (kind, good, bad) in accepted {
            for value in good {
                assert!(kind.accepts(value), "{kind:?} {value:?}");
            }
            for value in bad {
                assert!(!kind.accepts(value), "{kind:?} {value:?}");
            }
        }
    }
}
