//! What a command has to say, and how it may fail. Printing happens in one place only: the sink.

use std::io::Write;

pub use base::nearest;

/// One message of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A result: standard output.
    Output(String),
    /// Progress: standard error, as it is.
    Info(String),
    Warning(String),
    Deprecation(String),
    Error(String),
}

/// Takes messages as they arise.
pub trait Sink {
    fn take(&mut self, message: Message);
}

/// Prints to the process's standard output and standard error.
#[derive(Debug, Default)]
pub struct Console;

impl Sink for Console {
    fn take(&mut self, message: Message) {
        // A reader that went away (`pcs status | head`) is no failure of the command.
        let _ = match message {
            Message::Output(text) => writeln!(std::io::stdout().lock(), "{text}"),
            Message::Info(text) => writeln!(std::io::stderr().lock(), "{text}"),
            Message::Warning(text) => writeln!(std::io::stderr().lock(), "Warning: {text}"),
            Message::Deprecation(text) => {
                writeln!(std::io::stderr().lock(), "Deprecation Warning: {text}")
            }
            Message::Error(text) => writeln!(std::io::stderr().lock(), "Error: {text}"),
        };
    }
}

/// Keeps messages, for tests and for callers that show them elsewhere.
#[derive(Debug, Default)]
pub struct Kept(pub Vec<Message>);

impl Sink for Kept {
    fn take(&mut self, message: Message) {
        self.0.push(message);
    }
}

/// A reason why a command cannot go on; several may be found at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    pub message: String,
    /// `--force` would let it pass.
    pub forceable: bool,
    /// The name that was probably meant.
    pub near: Option<String>,
}

impl Issue {
    pub fn new(message: impl Into<String>) -> Self {
        Issue { message: message.into(), forceable: false, near: None }
    }

    pub fn forceable(message: impl Into<String>) -> Self {
        Issue { message: message.into(), forceable: true, near: None }
    }

    /// Names the candidate nearest to a wrong word.
    pub fn meant<'a>(mut self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        self.near = nearest(word, candidates).map(str::to_string);
        self
    }

    pub fn text(&self) -> String {
        let suffix = if self.forceable { ", use --force to override" } else { "" };
        format!("{}{suffix}", self.message)
    }
}

/// How a command ends when it does not succeed. Every variant leaves with a non-zero status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The words do not fit the command's grammar: its usage is shown, or the message alone.
    Usage { message: Option<String>, hint: Option<String> },
    /// One plain error.
    Error(String),
    /// Problems found by validation, followed by a closing line.
    Issues(Vec<Issue>),
    /// Everything has been said; leave with this status.
    Exit(i32),
}

impl Failure {
    pub const USAGE: Failure = Failure::Usage { message: None, hint: None };

    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::Usage { message: Some(message.into()), hint: None }
    }

    pub fn error(message: impl Into<String>) -> Failure {
        Failure::Error(message.into())
    }

    pub fn issue(issue: Issue) -> Failure {
        Failure::Issues(vec![issue])
    }
}

pub type Outcome = Result<(), Failure>;

/// The line after validation problems.
pub const CLOSING: &str = "Errors have occurred, therefore pcs is unable to continue";

/// Collects issues; with `--force` the forceable ones become warnings.
#[derive(Debug, Default)]
pub struct Issues(pub Vec<Issue>);

impl Issues {
    pub fn push(&mut self, issue: Issue) {
        self.0.push(issue);
    }

    /// Ends validation: warnings go to the sink, errors end the command.
    pub fn settle(self, force: bool, sink: &mut dyn Sink) -> Outcome {
        let mut left = Vec::new();
        for issue in self.0 {
            if force && issue.forceable {
                sink.take(Message::Warning(issue.message));
            } else {
                left.push(issue);
            }
        }
        if left.is_empty() { Ok(()) } else { Err(Failure::Issues(left)) }
    }
}

/// `'a', 'b'` in ascending order, as lists are shown in messages.
pub fn quoted_list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let mut all: Vec<String> = items.into_iter().map(|s| format!("'{}'", s.as_ref())).collect();
    all.sort();
    all.join(", ")
}

/// ` (did you mean 'x'?)` when a candidate is near, otherwise nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|c| format!(" (did you mean '{c}'?)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forceable_issues_become_warnings() {
        let mut sink = Kept::default();
        let issues = Issues(vec![Issue::forceable("a")]);
        assert_eq!(issues.settle(true, &mut sink), Ok(()));
        assert_eq!(sink.0, [Message::Warning("a".into())]);
        let issues = Issues(vec![Issue::forceable("a")]);
        assert!(issues.settle(false, &mut sink).is_err());
    }
}
