//! Option tables: what a tool understands, its help, and the parsed command line. Long options may
//! be cut short while unique; short ones may be joined; both spellings of values are understood.

use std::ffi::OsString;

use lexopt::Arg;

use base::ExitCode;

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    None,
    /// Must be given; the name is for the help.
    Required(&'static str),
    /// May be given, joined by `=`.
    Optional(&'static str),
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    pub long: &'static str,
    pub short: Option<char>,
    pub value: Value,
    /// Empty hides it from the help.
    pub about: &'static str,
}

/// Shorthand for tables.
pub const fn opt(long: &'static str, short: Option<char>, value: Value, about: &'static str) -> Opt {
    Opt { long, short, value, about }
}

/// A tool's name, what it does, and its options in groups with titles.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    pub name: &'static str,
    pub about: &'static str,
    /// What follows the options in the usage line.
    pub rest: &'static str,
    pub groups: &'static [(&'static str, &'static [Opt])],
}

/// Options of every tool.
const COMMON: &[Opt] = &[
    opt("help", Some('?'), Value::None, "Show this help"),
    opt("version", Some('$'), Value::None, "Show the version"),
    opt("verbose", Some('V'), Value::None, "Say more; may be given several times"),
    opt("quiet", Some('Q'), Value::None, ""),
];

/// A parsed command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Long names with values, in order.
    pub given: Vec<(&'static str, Option<String>)>,
    pub words: Vec<String>,
}

impl Parsed {
    pub fn has(&self, long: &str) -> bool {
        self.given.iter().any(|(name, _)| *name == long)
    }

    pub fn count(&self, long: &str) -> usize {
        self.given.iter().filter(|(name, _)| *name == long).count()
    }

    /// The last value given.
    pub fn value(&self, long: &str) -> Option<&str> {
        self.given.iter().rev().find(|(name, _)| *name == long).and_then(|(_, v)| v.as_deref())
    }

    /// The last of several options that exclude each other.
    pub fn last_of(&self, longs: &[&'static str]) -> Option<&'static str> {
        self.given.iter().rev().map(|(name, _)| *name).find(|name| longs.contains(name))
    }
}

/// Why there is nothing to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Print to standard output and leave with success.
    Show(String),
    /// Print to standard error and leave with this status.
    Fail(String, ExitCode),
}

impl Tool {
    fn all(&self) -> impl Iterator<Item = &'static Opt> {
        let own: &'static [(&'static str, &'static [Opt])] = self.groups;
        own.iter().flat_map(|(_, group)| group.iter()).chain(
            COMMON
                .iter()
                .filter(move |common| !own.iter().any(|(_, g)| g.iter().any(|o| o.long == common.long))),
        )
    }

    fn by_short(&self, letter: char) -> Option<&'static Opt> {
        self.all().find(|o| o.short == Some(letter))
    }

    fn by_long(&self, name: &str) -> Option<&'static Opt> {
        if let Some(exact) = self.all().find(|o| o.long == name) {
            return Some(exact);
        }
        let mut near = self.all().filter(|o| o.long.starts_with(name));
        near.next().filter(|_| near.next().is_none())
    }

    fn unknown(&self, option: &str) -> Stop {
        Stop::Fail(format!("{}: Unknown option {option}", self.name), ExitCode::USAGE)
    }

    /// Parses arguments without the program's name.
    ///
    /// # Errors
    /// [`Stop`] for help, version, and wrong options.
    pub fn parse(&self, arguments: Vec<OsString>) -> Result<Parsed, Stop> {
        let mut parser = lexopt::Parser::from_args(arguments);
        let mut parsed = Parsed::default();
        let fail = |text: String| Stop::Fail(format!("{}: {text}", self.name), ExitCode::USAGE);
        while let Some(argument) = parser.next().map_err(|e| fail(e.to_string()))? {
            let found = match argument {
                Arg::Short(letter) => {
                    self.by_short(letter).ok_or_else(|| self.unknown(&format!("-{letter}")))?
                }
                Arg::Long(name) => {
                    let name = name.to_string();
                    self.by_long(&name).ok_or_else(|| self.unknown(&format!("--{name}")))?
                }
                Arg::Value(word) => {
                    parsed.words.push(text(word).map_err(fail)?);
                    continue;
                }
            };
            let value = match found.value {
                Value::None => None,
                Value::Optional(_) => parser.optional_value().map(text).transpose().map_err(fail)?,
                Value::Required(_) => {
                    let value =
                        parser.value().map_err(|_| fail(format!("Missing argument for --{}", found.long)))?;
                    Some(text(value).map_err(fail)?)
                }
            };
            parsed.given.push((found.long, value));
        }
        if parsed.has("help") {
            return Err(Stop::Show(self.help()));
        }
        if parsed.has("version") {
            return Err(Stop::Show(format!("Pacemaker {} (Relevo)", base::VERSION)));
        }
        Ok(parsed)
    }

    /// The help text.
    pub fn help(&self) -> String {
        let mut out = format!("Usage:\n  {} [OPTION…] {}\n\n{}\n", self.name, self.rest, self.about);
        for (title, group) in self.groups {
            out.push_str(&format!("\n{title}:\n"));
            for option in group.iter().filter(|o| !o.about.is_empty()) {
                out.push_str(&line(option));
            }
        }
        out.push_str("\nGeneral options:\n");
        for option in COMMON.iter().filter(|o| !o.about.is_empty()) {
            out.push_str(&line(option));
        }
        out.truncate(out.trim_end().len());
        out
    }
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|_| "arguments must be valid UTF-8".to_string())
}

fn line(option: &Opt) -> String {
    let short = option.short.map(|c| format!("-{c}, ")).unwrap_or_default();
    let long = match option.value {
        Value::None => format!("--{}", option.long),
        Value::Required(name) => format!("--{}={name}", option.long),
        Value::Optional(name) => format!("--{}[={name}]", option.long),
    };
    format!("  {:<32} {}\n", format!("{short}{long}"), option.about)
}

/// Runs a tool: parses, prints what stops it, or calls `run`.
pub fn start(tool: &Tool, arguments: Vec<OsString>, run: impl FnOnce(&Parsed) -> ExitCode) -> i32 {
    match tool.parse(arguments) {
        Ok(parsed) => run(&parsed).0,
        Err(Stop::Show(text)) => {
            crate::out(&text);
            ExitCode::OK.0
        }
        Err(Stop::Fail(text, status)) => {
            crate::err(&text);
            status.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOL: Tool = Tool {
        name: "t",
        about: "x",
        rest: "",
        groups: &[(
            "Options",
            &[
                opt("resource", Some('r'), Value::Required("ID"), "a"),
                opt("resume", None, Value::None, "b"),
                opt("output-as", None, Value::Required("FORMAT"), "c"),
            ],
        )],
    };

    fn parse(line: &str) -> Result<Parsed, Stop> {
        TOOL.parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn long_short_joined_and_cut() {
        for line in ["-r A", "-rA", "--resource A", "--resource=A", "--reso=A"] {
            assert_eq!(parse(line).unwrap().value("resource"), Some("A"), "{line}");
        }
        assert!(matches!(parse("--res"), Err(Stop::Fail(..))));
        assert_eq!(parse("-VV word").unwrap().count("verbose"), 2);
    }

    #[test]
    fn unknown_options_say_so() {
        assert_eq!(
            parse("--nonsense"),
            Err(Stop::Fail("t: Unknown option --nonsense".into(), ExitCode::USAGE))
        );
    }
}
