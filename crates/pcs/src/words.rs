//! The word grammar: `name=value`, keyword groups, typed arguments.

use crate::report::Failure;

/// `name=value` pairs in the order of the command line, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, String)>);

impl Pairs {
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    pub fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value.to_string(),
            None => self.0.push((name.to_string(), value.to_string())),
        }
    }

    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    /// In ascending order of names, as sets are stored and shown.
    pub fn sorted(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort();
        all
    }
}

/// Splits one `name=value`; the value may be empty.
///
/// # Errors
/// A message that names the missing part.
pub fn pair(word: &str) -> Result<(&str, &str), Failure> {
    match word.split_once('=') {
        None => Err(Failure::usage(format!("missing value of '{word}' option"))),
        Some(("", _)) => Err(Failure::usage(format!("missing key in '{word}' option"))),
        Some(parts) => Ok(parts),
    }
}

/// Reads a run of `name=value` words.
///
/// # Errors
/// As [`pair`]; also for one name with two different values.
pub fn pairs<S: AsRef<str>>(words: &[S]) -> Result<Pairs, Failure> {
    let mut found = Pairs::default();
    for word in words {
        let (name, value) = pair(word.as_ref())?;
        match found.value(name) {
            None => found.0.push((name.to_string(), value.to_string())),
            Some(old) if old == value => {}
            Some(old) => {
                return Err(Failure::usage(format!(
                    "duplicate option '{name}' with different values '{old}' and '{value}'"
                )));
            }
        }
    }
    Ok(found)
}

/// Words before the first keyword, and a group of words for each keyword in order of occurrence.
pub type Groups<'a> = (Vec<&'a str>, Vec<(&'a str, Vec<&'a str>)>);

/// Splits words at keywords.
pub fn groups<'a>(words: &'a [String], keywords: &[&str]) -> Groups<'a> {
    let mut first = Vec::new();
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for word in words {
        if keywords.contains(&word.as_str()) {
            found.push((word, Vec::new()));
        } else if let Some((_, group)) = found.last_mut() {
            group.push(word);
        } else {
            first.push(word.as_str());
        }
    }
    (first, found)
}

/// All words of the groups of one keyword, joined.
pub fn joined<'a>(groups: &[(&'a str, Vec<&'a str>)], keyword: &str) -> Vec<&'a str> {
    groups.iter().filter(|(k, _)| *k == keyword).flat_map(|(_, g)| g.iter().copied()).collect()
}

/// Splits `type%value`.
///
/// # Errors
/// For a type that is not allowed here.
pub fn typed<'a>(word: &'a str, allowed: &[&str], default: &'a str) -> Result<(&'a str, &'a str), Failure> {
    match word.split_once('%') {
        None => Ok((default, word)),
        Some(("", value)) => Ok((default, value)),
        Some((kind, value)) if allowed.contains(&kind) => Ok((kind, value)),
        Some((kind, _)) => {
            let mut list = allowed.to_vec();
            list.sort_unstable();
            Err(Failure::usage(format!(
                "'{kind}' is not an allowed type for '{word}', use {}",
                list.join(", ")
            )))
        }
    }
}

/// A score: an integer or plus or minus infinity.
pub fn is_score(text: &str) -> bool {
    matches!(text, "INFINITY" | "+INFINITY" | "-INFINITY") || text.parse::<i64>().is_ok()
}

/// A time as Pacemaker's tools accept it (`20`, `20s`, `5min`, `100ms`), in seconds; `None` if malformed.
pub fn seconds(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..)?;
    let number: u64 = digits.parse().ok()?;
    match unit {
        "" | "s" | "sec" => Some(number),
        "ms" | "msec" => Some(number / 1000),
        "us" | "usec" => Some(number / 1_000_000),
        "m" | "min" => number.checked_mul(60),
        "h" | "hr" => number.checked_mul(3600),
        _ => None,
    }
}

/// `true`, `on`, `yes`, `y`, `1`, in any case.
pub fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "on" | "yes" | "y" | "1")
}

/// One of the spellings of a truth value.
pub fn is_boolean(text: &str) -> bool {
    is_true(text) || matches!(text.to_ascii_lowercase().as_str(), "false" | "off" | "no" | "n" | "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_order_and_refuse_contradictions() {
        let found = pairs(&["b=1", "a=", "b=1", "c=x=y"]).unwrap();
        let list: Vec<_> = found.iter().collect();
        assert_eq!(list, [("b", "1"), ("a", ""), ("c", "x=y")]);
        assert_eq!(
            pairs(&["a=1", "a=2"]).unwrap_err(),
            Failure::usage("duplicate option 'a' with different values '1' and '2'")
        );
        assert_eq!(pairs(&["a"]).unwrap_err(), Failure::usage("missing value of 'a' option"));
        assert_eq!(pairs(&["=a"]).unwrap_err(), Failure::usage("missing key in '=a' option"));
    }

    #[test]
    fn keyword_groups() {
        let words: Vec<String> =
            "ip=1 op monitor interval=1 meta a=b op start timeout=2".split(' ').map(String::from).collect();
        let (first, rest) = groups(&words, &["op", "meta"]);
        assert_eq!(first, ["ip=1"]);
        assert_eq!(rest.len(), 3);
        assert_eq!(joined(&rest, "meta"), ["a=b"]);
    }

    #[test]
    fn times() {
        assert_eq!(seconds("20"), Some(20));
        assert_eq!(seconds("2min"), Some(120));
        assert_eq!(seconds("1500ms"), Some(1));
        assert_eq!(seconds("5x"), None);
        assert_eq!(seconds(""), None);
    }
}
