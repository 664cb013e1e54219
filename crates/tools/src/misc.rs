//! `crm_error`, `crm_diff`.

use std::ffi::OsString;
use std::io::Read;

use base::{CibError, ExitCode};
use xml::Document;

use crate::options::{Parsed, Tool, Value, opt, start};
use crate::{err, out, out_raw};

const ERROR: Tool = Tool {
    name: "crm_error",
    about: "Show what a return code means.",
    rest: "-- <rc> [<rc>...]",
    groups: &[(
        "Options",
        &[
            opt("name", Some('n'), Value::None, "With the code's name"),
            opt("list", Some('l'), Value::None, "All codes"),
            opt("exit", Some('X'), Value::None, "Exit codes of the tools"),
            opt("rc", Some('r'), Value::None, "Return codes of functions"),
        ],
    )],
};

pub fn crm_error(arguments: Vec<OsString>) -> i32 {
    start(&ERROR, arguments, |parsed| {
        let exit = parsed.has("exit");
        if parsed.has("list") {
            let range = if exit { 0..=255 } else { -301..=0 };
            for code in range {
                let text = if exit { exit_text(code) } else { errno_text(code) };
                if let Some(text) = text {
                    out(&format!("{code:>4}: {text}"));
                }
            }
            return ExitCode::OK;
        }
        if parsed.words.is_empty() {
            err("crm_error: Must specify a return code");
            return ExitCode::USAGE;
        }
        for word in &parsed.words {
            let Ok(code) = word.parse::<i32>() else {
                err(&format!("crm_error: '{word}' is not a number"));
                return ExitCode::USAGE;
            };
            let text = if exit { exit_text(code) } else { errno_text(code) };
            out(&text.unwrap_or_else(|| format!("Unknown error {code}")));
        }
        ExitCode::OK
    })
}

fn exit_text(code: i32) -> Option<String> {
    let text = ExitCode(code).text();
    (text != "Unknown exit status").then(|| text.to_string())
}

fn errno_text(code: i32) -> Option<String> {
    if code == 0 {
        return Some("OK".into());
    }
    if let Some(error) = CibError::from_code(-code.abs()) {
        return Some(error.to_string());
    }
    let text = std::io::Error::from_raw_os_error(code.abs()).to_string();
    let text = text.split(" (os error").next().unwrap_or_default().to_string();
    (!text.starts_with("Unknown error")).then_some(text)
}

const DIFF: Tool = Tool {
    name: "crm_diff",
    about: "Compare two configurations, or apply a patch to one.",
    rest: "",
    groups: &[(
        "Options",
        &[
            opt("original", Some('o'), Value::Required("FILE"), "The original"),
            opt("original-string", Some('O'), Value::Required("XML"), "The original"),
            opt("new", Some('n'), Value::Required("FILE"), "The new version"),
            opt("new-string", Some('N'), Value::Required("XML"), "The new version"),
            opt("patch", Some('p'), Value::Required("FILE"), "Apply this patch to the original"),
            opt("cib", Some('c'), Value::None, "Compare as configurations (this is always done)"),
            opt("stdin", Some('s'), Value::None, "The original comes from standard input"),
            opt("no-version", Some('u'), Value::None, "Leave the versions out of the patch"),
        ],
    )],
};

pub fn crm_diff(arguments: Vec<OsString>) -> i32 {
    start(&DIFF, arguments, |parsed| diff(parsed).unwrap_or_else(|status| status))
}

fn read(parsed: &Parsed, file: &str, text: &str) -> Result<Option<Document>, ExitCode> {
    let bytes = if let Some(text) = parsed.value(text) {
        text.as_bytes().to_vec()
    } else if let Some(path) = parsed.value(file) {
        std::fs::read(path).map_err(|error| {
            err(&format!("crm_diff: Could not read {path}: {error}"));
            ExitCode::NOINPUT
        })?
    } else if file == "original" && parsed.has("stdin") {
        let mut bytes = Vec::new();
        // What could not be read is not there: the parser says so.
        let _ = std::io::stdin().lock().take(xml::MAX_BYTES as u64).read_to_end(&mut bytes);
        bytes
    } else {
        return Ok(None);
    };
    Document::parse_bytes(&bytes).map(Some).map_err(|error| {
        err(&format!("crm_diff: Could not parse the XML: {error}"));
        ExitCode::DATAERR
    })
}

fn diff(parsed: &Parsed) -> Result<ExitCode, ExitCode> {
    let original = read(parsed, "original", "original-string")?;
    let Some(mut original) = original else {
        err("crm_diff: Could not parse the first XML fragment");
        return Err(ExitCode::DATAERR);
    };
    if let Some(patch) = read(parsed, "patch", "")? {
        cib::apply_patchset(&mut original, patch.root_element()).map_err(|error| {
            err(&format!("crm_diff: Could not apply patch: {error}"));
            error.exit()
        })?;
        out_raw(&original.to_pretty());
        return Ok(ExitCode::OK);
    }
    let Some(new) = read(parsed, "new", "new-string")? else {
        err("crm_diff: Could not parse the second XML fragment");
        return Err(ExitCode::DATAERR);
    };
    match cib::make_patchset(&original, &new) {
        None => Ok(ExitCode::OK),
        Some(mut patch) => {
            let root = patch.root();
            if parsed.has("no-version")
                && let Some(version) = patch.child(root, "version")
            {
                patch.remove(version);
            }
            out_raw(&patch.to_pretty());
            // A difference is no failure, but scripts want to know.
            Ok(ExitCode::ERROR)
        }
    }
}
