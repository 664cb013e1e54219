//! `crm_verify`: is a configuration well-formed, does it conform, does it make sense?

use std::ffi::OsString;
use std::io::Read;

use base::ExitCode;
use scheduler::Level;
use xml::Document;

use crate::options::{Parsed, Tool, Value, opt, start};
use crate::report::{self, command_line};
use crate::{err, out_raw, session};

const VERIFY: Tool = Tool {
    name: "crm_verify",
    about: "Check a configuration for syntax and sense.",
    rest: "",
    groups: &[
        (
            "Data sources",
            &[
                opt("live-check", Some('L'), Value::None, "The running cluster's configuration"),
                opt("xml-file", Some('x'), Value::Required("FILE"), "A file"),
                opt("xml-pipe", Some('p'), Value::None, "Standard input"),
                opt("xml-text", Some('X'), Value::Required("TEXT"), "This text"),
            ],
        ),
        (
            "Additional options",
            &[
                opt("save-xml", Some('S'), Value::Required("FILE"), "Save what was checked"),
                opt("output-as", None, Value::Required("text|xml"), "Format"),
            ],
        ),
    ],
};

pub fn crm_verify(arguments: Vec<OsString>) -> i32 {
    let command = command_line("crm_verify", &arguments);
    start(&VERIFY, arguments, |parsed| verify(parsed, &command))
}

fn source(parsed: &Parsed) -> Result<Document, ExitCode> {
    let bytes = if let Some(path) = parsed.value("xml-file") {
        std::fs::read(path).map_err(|error| {
            err(&format!("crm_verify: Couldn't read {path}: {error}"));
            ExitCode::NOINPUT
        })?
    } else if let Some(text) = parsed.value("xml-text") {
        text.as_bytes().to_vec()
    } else if parsed.has("xml-pipe") {
        let mut bytes = Vec::new();
        // What could not be read is not there: the parser says so.
        let _ = std::io::stdin().lock().take(xml::MAX_BYTES as u64).read_to_end(&mut bytes);
        bytes
    } else if parsed.has("live-check") {
        let loaded = crate::open_cib("crm_verify").and_then(|mut cib| cib.query(None, 0));
        return loaded.map_err(|_| {
            err("crm_verify: CIB query failed: Input file not available");
            ExitCode::NOINPUT
        });
    } else {
        err("crm_verify: No configuration source specified.  Use --help for usage information.");
        return Err(ExitCode::ERROR);
    };
    let doc = Document::parse_bytes(&bytes).map_err(|error| {
        err(&format!("crm_verify: Couldn't parse input: {error}"));
        ExitCode::DATAERR
    })?;
    if doc.name(doc.root()) != "cib" {
        err("crm_verify: This tool can only check complete configurations (those starting with <cib>).");
        return Err(ExitCode::DATAERR);
    }
    Ok(doc)
}

/// What was found, as lines, and what it comes to.
struct Found {
    lines: Vec<String>,
    has_errors: bool,
    has_warnings: bool,
}

fn check(doc: &Document, verbose: usize) -> Found {
    let mut found = Found { lines: Vec::new(), has_errors: false, has_warnings: false };
    if let Err(faults) = cib::schema::validate(doc) {
        found.has_errors = true;
        found.lines.extend(faults.iter().map(|fault| format!("error: {fault}")));
    } else {
        match scheduler::schedule(doc, &session::options()) {
            Ok(decision) => found.take(&decision.cluster.messages, verbose),
            Err(error) => {
                found.has_errors = true;
                found.lines.push(format!("error: {error}"));
            }
        }
    }
    if found.has_errors {
        found.lines.push("error: CIB did not pass schema validation".into());
    }
    found
}

impl Found {
    fn take(&mut self, messages: &[scheduler::Message], verbose: usize) {
        for message in messages {
            let word = match message.level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Situation if verbose > 1 => "warning",
                Level::Notice if verbose > 1 => "notice",
                Level::Notice | Level::Situation => continue,
            };
            self.has_errors |= message.level == Level::Error;
            self.has_warnings |= message.level == Level::Warning;
            self.lines.push(format!("{word}: {}", message.text));
        }
    }

    /// The verdict in a line; `None` when there is nothing to say.
    fn verdict(&self) -> Option<&'static str> {
        match (self.has_errors, self.has_warnings) {
            (true, _) => Some("Configuration invalid"),
            (_, true) => Some("Configuration may need attention"),
            _ => None,
        }
    }
}

fn verify(parsed: &Parsed, command: &str) -> ExitCode {
    let doc = match source(parsed).and_then(|doc| save(parsed, doc)) {
        Ok(doc) => doc,
        Err(status) => return status,
    };
    let verbose = parsed.count("verbose");
    let found = check(&doc, verbose);
    let status = if found.verdict().is_some() { ExitCode::CONFIG } else { ExitCode::OK };
    let verdict = found.verdict().filter(|_| !parsed.has("quiet"));
    if parsed.value("output-as") == Some("xml") {
        let errors = found.lines.iter().map(String::as_str).chain(verdict);
        let (mut result, _) = report::open(command);
        report::close(&mut result, status, errors);
        out_raw(&result.to_pretty());
        return status;
    }
    if verbose > 0 {
        found.lines.iter().for_each(|line| err(line));
    }
    if let Some(verdict) = verdict {
        let hint = if verbose == 0 { " (-V may provide more detail)" } else { "" };
        err(&format!("{verdict}{hint}"));
    }
    status
}

fn save(parsed: &Parsed, doc: Document) -> Result<Document, ExitCode> {
    if let Some(path) = parsed.value("save-xml") {
        std::fs::write(path, doc.to_pretty()).map_err(|error| {
            err(&format!("crm_verify: Could not save XML to {path}: {error}"));
            ExitCode::CANTCREAT
        })?;
    }
    Ok(doc)
}
