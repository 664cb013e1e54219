//! The options of pcs: they may stand anywhere between the words. (pcs(8), parse rules of getopt.)

use std::collections::BTreeMap;

use crate::report::{Message, Sink, did_you_mean};

/// Options without a value.
const FLAGS: &[&str] = &[
    "--debug",
    "--version",
    "--help",
    "--fullhelp",
    "--force",
    "--skip-offline",
    "--autodelete",
    "--simulate",
    "--all",
    "--full",
    "--local",
    "--wait",
    "--config",
    "--start",
    "--enable",
    "--disabled",
    "--off",
    "--brief",
    "--safe",
    "--no-strict",
    "--strict",
    "--pacemaker",
    "--corosync",
    "--no-default-ops",
    "--defaults",
    "--nodesc",
    "--master",
    "--promoted",
    "--no-watchdog-validation",
    "--no-cluster-uuid",
    "--no-keys-sync",
    "--hide-inactive",
    "--monitor",
    "--groups",
    "--expired",
    "--no-expire-check",
    "--overwrite",
    "--agent-validation",
    "--yes",
];

/// Options with a value.
const VALUED: &[&str] = &[
    "--request-timeout",
    "--name",
    "--group",
    "--node",
    "--from",
    "--to",
    "--after",
    "--before",
    "--corosync_conf",
    "--booth-conf",
    "--booth-key",
    "--output-format",
    "--token",
];

/// Default time for one request to another node, in seconds.
pub const REQUEST_TIMEOUT_S: u64 = 60;

/// Options as given, each at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    given: BTreeMap<String, String>,
    wait: Option<String>,
}

impl Options {
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    pub fn force(&self) -> bool {
        self.has("--force")
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }

    /// `None`: no `--wait`. `Some(None)`: without a limit. `Some(Some(n))`: as written, in seconds or with a unit.
    pub fn wait(&self) -> Option<Option<&str>> {
        self.has("--wait").then_some(self.wait.as_deref())
    }

    pub fn file(&self) -> Option<&str> {
        self.value("-f")
    }

    /// Seconds per request to another node.
    pub fn request_timeout_s(&self) -> u64 {
        self.value("--request-timeout").and_then(|v| v.parse().ok()).unwrap_or(REQUEST_TIMEOUT_S)
    }
}

/// Splits a command line into options and words.
///
/// # Errors
/// The message for an unknown option, a missing value, or an option given twice.
pub fn split(arguments: &[String], sink: &mut dyn Sink) -> Result<(Options, Vec<String>), String> {
    let mut options = Options::default();
    let mut words = Vec::new();
    let mut numbers: Vec<&str> = Vec::new();
    let mut rest = arguments.iter();
    let mut only_words = false;
    while let Some(argument) = rest.next() {
        if only_words || argument == "-" || !argument.starts_with('-') {
            words.push(argument.clone());
        } else if argument == "--" {
            only_words = true;
        } else if is_negative_number(argument) {
            numbers.push(argument);
            words.push(argument.clone());
        } else if argument.starts_with("--") {
            long_option(argument, &mut rest, &mut options)?;
        } else {
            short_options(argument, &mut rest, &mut options)?;
        }
    }
    if !numbers.is_empty() {
        let list = numbers.iter().map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", ");
        sink.take(Message::Deprecation(format!(
            "Using {list} without '--' is deprecated, those parameters will be considered \
             position independent options in future pcs versions"
        )));
    }
    check_timeout(&options)?;
    Ok((options, words))
}

fn check_timeout(options: &Options) -> Result<(), String> {
    match options.value("--request-timeout") {
        Some(text) if !matches!(text.parse::<u64>(), Ok(1..)) => {
            Err(format!("'{text}' is not a valid --request-timeout value, use a positive integer"))
        }
        _ => Ok(()),
    }
}

fn is_negative_number(argument: &str) -> bool {
    let Some(rest) = argument.strip_prefix('-') else { return false };
    !rest.is_empty() && (rest == "INFINITY" || rest.chars().all(|c| c.is_ascii_digit()) || is_float(rest))
}

fn is_float(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

fn long_option<'a>(
    argument: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    options: &mut Options,
) -> Result<(), String> {
    let (name, value) = match argument.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (argument, None),
    };
    let full = complete(name)?;
    if full == "--wait" {
        options.wait = value.filter(|v| !v.is_empty()).map(str::to_string);
        return put(options, full, String::new());
    }
    if VALUED.contains(&full) {
        let value = match value {
            Some(value) => value.to_string(),
            None => rest.next().cloned().ok_or_else(|| format!("option {full} requires argument"))?,
        };
        return put(options, full, value);
    }
    match value {
        Some(_) => Err(format!("option {full} must not have an argument")),
        None => put(options, full, String::new()),
    }
}

/// A long option may be cut short as long as it stays the only one.
fn complete(name: &str) -> Result<&'static str, String> {
    let all = || FLAGS.iter().chain(VALUED).copied();
    if let Some(exact) = all().find(|known| *known == name) {
        return Ok(exact);
    }
    let mut candidates = all().filter(|known| known.starts_with(name));
    match (candidates.next(), candidates.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(format!("option {name} not a unique prefix")),
        _ => Err(format!("option {name} not recognized{}", did_you_mean(name, all()))),
    }
}

fn short_options<'a>(
    argument: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    options: &mut Options,
) -> Result<(), String> {
    for (at, letter) in argument.char_indices().skip(1) {
        match letter {
            'h' => put(options, "--help", String::new())?,
            'f' | 'p' | 'u' => {
                let attached = argument.get(at + 1..).unwrap_or("");
                let value = if attached.is_empty() {
                    rest.next().cloned().ok_or_else(|| format!("option -{letter} requires argument"))?
                } else {
                    attached.to_string()
                };
                return put(options, &format!("-{letter}"), value);
            }
            other => return Err(format!("option -{other} not recognized")),
        }
    }
    Ok(())
}

fn put(options: &mut Options, name: &str, value: String) -> Result<(), String> {
    match options.given.insert(name.to_string(), value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} can only be used once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Kept;

    fn parse(line: &str) -> Result<(Options, Vec<String>), String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        split(&words, &mut Kept::default())
    }

    #[test]
    fn options_stand_anywhere() {
        let (options, words) = parse("-f cib.xml resource --force create A Dummy --wait=10").unwrap();
        assert_eq!(words, ["resource", "create", "A", "Dummy"]);
        assert!(options.force());
        assert_eq!(options.file(), Some("cib.xml"));
        assert_eq!(options.wait(), Some(Some("10")));
    }

    #[test]
    fn prefixes_complete_and_unknown_names_are_refused() {
        assert!(parse("--vers").unwrap().0.has("--version"));
        assert!(parse("--for").unwrap().0.force());
        assert_eq!(parse("--nonsense").unwrap_err(), "option --nonsense not recognized");
        assert_eq!(parse("--forse").unwrap_err(), "option --forse not recognized (did you mean '--force'?)");
        assert_eq!(parse("--f").unwrap_err(), "option --f not a unique prefix");
    }

    #[test]
    fn negative_scores_are_words() {
        let (_, words) = parse("constraint colocation add A with B -INFINITY -5").unwrap();
        assert_eq!(words.last().map(String::as_str), Some("-5"));
        assert_eq!(words.len(), 8);
    }

    #[test]
    fn twice_is_refused() {
        assert_eq!(parse("--force --force").unwrap_err(), "--force can only be used once");
    }
}
