//! Reading a transcript and comparing with it.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

/// What a case must print, and its exit status.
pub struct Expected {
    text: Vec<String>,
    status: i32,
}

const BEGIN: &str = "=#=#=#= Begin test: ";
const END: &str = "=#=#=#= End test: ";
const MARK: &str = " =#=#=#=";

/// The cases of a transcript by title.
pub fn read(path: &Path) -> HashMap<String, Expected> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases = HashMap::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix(BEGIN).and_then(|l| l.strip_suffix(MARK)) {
            open = Some((title.to_string(), Vec::new()));
        } else if let Some(end) = line.strip_prefix(END) {
            let (title, text) = open.take().unwrap();
            let status = end.rsplit_once('(').and_then(|(_, s)| s.split_once(')')).unwrap().0;
            cases.insert(title, Expected { text, status: status.parse().unwrap() });
        } else if let Some((_, lines)) = open.as_mut().filter(|_| !is_log(line)) {
            lines.push(normal(reason(line)));
        }
    }
    cases
}

/// The reference's suite has its log on standard error; ours is in the log file.
fn is_log(line: &str) -> bool {
    let by_function = line.starts_with("unpack_") || line.starts_with("pcmk__");
    (by_function && line.contains(" \t")) || line.contains(" has extra content: ")
}

/// A reason without the name of the reference's function that found it; ours has no such name.
fn reason(line: &str) -> &str {
    let by_function = line.starts_with("parse_") || line.starts_with("crm_time_");
    line.split_once(" \t").filter(|_| by_function).map_or(line, |(_, reason)| reason)
}

/// A line without what differs from run to run (times, versions) and without trailing blanks.
fn normal(line: &str) -> String {
    let mut line = line.trim_end().to_string();
    for (before, after) in [("Last updated:", ""), ("Last change:", ""), ("(version ", ")")] {
        if let Some(at) = line.find(before) {
            let from = at + before.len();
            let rest = if after.is_empty() { None } else { line[from..].find(after).map(|e| from + e) };
            line.replace_range(from.min(line.len())..rest.unwrap_or(line.len()), "");
        }
    }
    line = line.replace("(version )", "(version)");
    if let Some(at) = line.find("Injecting attribute last-failure-")
        && let Some(value) = line[at..].find('=').map(|found| at + found + 1)
        && let Some(end) = line[value..].find(' ').map(|found| value + found)
    {
        line.replace_range(value..end, "");
    }
    if let Some(at) = line.find(" -X '")
        && let Some(end) = line.rfind('\'').filter(|end| *end > at + 4)
    {
        line.replace_range(at + 5..end, "...");
    }
    for name in ["api-version", "version", "last-rc-change", "crm_feature_set", "validate-with"] {
        line = without(&line, name);
    }
    for element in ["<last_update time=", "<last_change time="] {
        if let Some(at) = line.find(element) {
            let from = at + element.len() + 1;
            let to = line.rfind('"').unwrap_or(line.len());
            line.replace_range(from..to, "");
        }
    }
    if line.contains("   ( ") {
        // A table of changes: its columns are as wide as they need to be, from the first line on.
        line = format!("  {}", line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    line.trim_end().to_string()
}

/// A line without the attribute of this name.
fn without(line: &str, name: &str) -> String {
    let mut line = line.to_string();
    for quote in ['"', '\''] {
        let start = format!(" {name}={quote}");
        while let Some(at) = line.find(&start) {
            let from = at + start.len();
            let Some(end) = line[from..].find(quote) else { break };
            let comma = usize::from(line[from + end + 1..].starts_with(','));
            line.replace_range(at..from + end + 1 + comma, "");
        }
    }
    line
}

impl Expected {
    /// For a refusal in words of our own: whether it is one, with the same exit status.
    pub fn other_status(&self, found: &str, status: i32) -> Option<String> {
        let fits = status == self.status && status != 0 && !found.trim().is_empty();
        (!fits).then(|| format!("exit status {status}, not {}\n{found}", self.status))
    }

    /// What differs, if anything does: lines that are missing (`-`) and that should not be there (`+`).
    pub fn difference(&self, found: &str, status: i32) -> Option<String> {
        let found: Vec<String> = found.lines().map(normal).collect();
        if found == self.text && status == self.status {
            return None;
        }
        let mut out = String::new();
        if status != self.status {
            let _ = writeln!(out, "exit status {status}, not {}", self.status);
        }
        for (mark, line) in edits(&self.text, &found) {
            let _ = writeln!(out, "{mark} {line}");
        }
        Some(out)
    }
}

/// The lines to take out and to put in, by a longest common subsequence.
fn edits<'a>(want: &'a [String], found: &'a [String]) -> Vec<(char, &'a str)> {
    let mut longest = vec![vec![0u32; found.len() + 1]; want.len() + 1];
    for a in (0..want.len()).rev() {
        for b in (0..found.len()).rev() {
            longest[a][b] = match want[a] == found[b] {
                true => longest[a + 1][b + 1] + 1,
                false => longest[a + 1][b].max(longest[a][b + 1]),
            };
        }
    }
    let (mut a, mut b, mut out) = (0, 0, Vec::new());
    while a < want.len() || b < found.len() {
        if a < want.len() && b < found.len() && want[a] == found[b] {
            (a, b) = (a + 1, b + 1);
        } else if b == found.len() || (a < want.len() && longest[a + 1][b] >= longest[a][b + 1]) {
            out.push(('-', &*want[a]));
            a += 1;
        } else {
            out.push(('+', &*found[b]));
            b += 1;
        }
    }
    out
}
