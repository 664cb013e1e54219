//! The frame of an answer in XML: what was asked, the answer, how it went.

use std::ffi::OsString;

use base::ExitCode;
use xml::{Document, NodeId};

/// Version of the format (`api-version` of the reference's schemas).
const API_VERSION: &str = "2.38";

/// The command line as it is shown: words with blanks or marks in quotes.
pub(crate) fn command_line(name: &str, arguments: &[OsString]) -> String {
    let mut line = name.to_string();
    for argument in arguments {
        let word = argument.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.:,+@%".contains(c);
        line.push(' ');
        if !word.is_empty() && word.chars().all(plain) {
            line.push_str(&word);
        } else {
            line.push_str(&format!("'{}'", word.replace('\'', "'\\''")));
        }
    }
    line
}

/// A result without an answer so far, and the element that takes it.
pub(crate) fn open(command: &str) -> (Document, NodeId) {
    let mut doc = Document::new("pacemaker-result");
    let root = doc.root();
    doc.set_attr(root, "api-version", API_VERSION);
    doc.set_attr(root, "request", command);
    (doc, root)
}

/// How it went, and what was said about it.
pub(crate) fn close<'a>(doc: &mut Document, status: ExitCode, errors: impl Iterator<Item = &'a str>) {
    let root = doc.root();
    let at = doc.append_with(
        root,
        "status",
        &[("code", status.0.to_string().as_str()), ("message", status.text())],
    );
    let mut list = None;
    for error in errors {
        let list = *list.get_or_insert_with(|| doc.append(at, "errors"));
        let place = doc.append(list, "error");
        doc.append_text(place, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        let words = ["-x", "a b", "it's", "", "--output-as=xml"].map(OsString::from);
        assert_eq!(command_line("t", &words), r"t -x 'a b' 'it'\''s' '' --output-as=xml");
    }

    #[test]
    fn errors_are_listed_below_the_status() {
        let (mut doc, _) = open("t -x");
        close(&mut doc, ExitCode::CONFIG, ["a<b"].into_iter());
        let text = doc.to_text();
        assert!(
            text.contains("<status code=\"78\" message=\"Invalid configuration\"><errors><error>a&lt;b"),
            "{text}"
        );
    }
}
