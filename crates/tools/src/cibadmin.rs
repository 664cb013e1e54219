//! `cibadmin`: query and change the configuration as XML.

use std::ffi::OsString;
use std::io::Read;

use base::{CibError, ExitCode};
use cib::{Operation, options as flags};
use manager_client::{Change, Cib, Error};
use xml::Document;

use crate::options::{Parsed, Tool, Value, opt, start};
use crate::{err, out, out_raw};

const TOOL: Tool = Tool {
    name: "cibadmin",
    about: "Query and edit the cluster's configuration as XML.",
    rest: "",
    groups: &[
        (
            "Commands",
            &[
                opt("query", Some('Q'), Value::None, "Show the configuration or a part of it"),
                opt("create", Some('C'), Value::None, "Add an object; it must not exist"),
                opt(
                    "modify",
                    Some('M'),
                    Value::None,
                    "Change an object; it must exist unless --allow-create",
                ),
                opt("replace", Some('R'), Value::None, "Put an object in the place of the existing one"),
                opt("delete", Some('D'), Value::None, "Delete the first object that matches the input"),
                opt(
                    "delete-all",
                    Some('d'),
                    Value::None,
                    "Delete everything that --xpath matches (needs --force)",
                ),
                opt("erase", Some('E'), Value::None, "Empty the configuration (needs --force)"),
                opt(
                    "upgrade",
                    Some('u'),
                    Value::None,
                    "Bring the configuration to the newest schema (needs --force)",
                ),
                opt("bump", Some('B'), Value::None, "Count up the version"),
                opt("patch", Some('P'), Value::None, "Apply a patch made by crm_diff"),
                opt("empty", Some('a'), Value::None, "Show an empty configuration"),
                opt(
                    "md5-sum",
                    Some('5'),
                    Value::None,
                    "Show the digest of the input as it is written to disk",
                ),
                opt(
                    "md5-sum-versioned",
                    Some('6'),
                    Value::None,
                    "Show the digest of the input as nodes compare it",
                ),
            ],
        ),
        (
            "Data",
            &[
                opt("xml-text", Some('X'), Value::Required("TEXT"), "Input: this text"),
                opt("xml-file", Some('x'), Value::Required("FILE"), "Input: this file"),
                opt("xml-pipe", Some('p'), Value::None, "Input: standard input"),
                opt("scope", Some('o'), Value::Required("SECTION"), "Only this section"),
                opt("xpath", Some('A'), Value::Required("XPATH"), "Only what this XPath finds"),
                opt("node-path", Some('e'), Value::None, "With --xpath: show paths instead of content"),
            ],
        ),
        (
            "Additional options",
            &[
                opt("force", Some('f'), Value::None, "Do what is dangerous, also without quorum"),
                opt("timeout", Some('t'), Value::Required("SECONDS"), "Time for the call"),
                opt("user", Some('U'), Value::Required("NAME"), "With the permissions of this user"),
                opt("sync-call", Some('s'), Value::None, "Wait for the call to complete"),
                opt("local", Some('l'), Value::None, "Only this node's copy (use it for queries only)"),
                opt("allow-create", Some('c'), Value::None, "With --modify: make what does not exist"),
                opt("no-children", Some('n'), Value::None, "With --query: without what is inside"),
                opt("no-bcast", Some('b'), Value::None, ""),
                opt("node", Some('N'), Value::Required("NODE"), ""),
                opt("host", Some('h'), Value::Required("NODE"), ""),
            ],
        ),
    ],
};

const COMMANDS: &[&str] = &[
    "query",
    "create",
    "modify",
    "replace",
    "delete",
    "delete-all",
    "erase",
    "upgrade",
    "bump",
    "patch",
    "empty",
    "md5-sum",
    "md5-sum-versioned",
];

pub fn main(arguments: Vec<OsString>) -> i32 {
    if arguments.is_empty() {
        err(&TOOL.help());
        return ExitCode::USAGE.0;
    }
    start(&TOOL, arguments, run)
}

fn run(parsed: &Parsed) -> ExitCode {
    if !parsed.words.is_empty() {
        err(&format!("non-option ARGV-elements: {}", parsed.words.join(" ")));
        return ExitCode::USAGE;
    }
    let Some(command) = parsed.last_of(COMMANDS) else {
        err(&TOOL.help());
        return ExitCode::USAGE;
    };
    if command == "empty" {
        out_raw(&cib::empty_cib().to_pretty());
        return ExitCode::OK;
    }
    let dangerous = matches!(command, "delete-all" | "erase" | "upgrade") || parsed.has("no-bcast");
    if dangerous && !parsed.has("force") {
        err(
            "The supplied command is considered dangerous.  To prevent accidental destruction of the cluster, \
             the --force flag is required in order to proceed.",
        );
        return ExitCode::UNSAFE;
    }
    let input = match input(parsed) {
        Ok(input) => input,
        Err(text) => {
            err(&text);
            return ExitCode::CONFIG;
        }
    };
    match command {
        "md5-sum" | "md5-sum-versioned" => digest(command, input.as_ref()),
        _ => call(command, parsed, input),
    }
}

/// The XML that goes with the command.
fn input(parsed: &Parsed) -> Result<Option<Document>, String> {
    let (text, source) = if let Some(path) = parsed.value("xml-file") {
        (std::fs::read(path).unwrap_or_default(), path.to_string())
    } else if let Some(text) = parsed.value("xml-text") {
        (text.as_bytes().to_vec(), "input string".to_string())
    } else if parsed.has("xml-pipe") {
        let mut bytes = Vec::new();
        // What could not be read is not there: the parser says so.
        let _ = std::io::stdin().lock().take(xml::MAX_BYTES as u64).read_to_end(&mut bytes);
        (bytes, "STDIN".to_string())
    } else {
        return Ok(None);
    };
    match Document::parse_bytes(&text) {
        Ok(doc) => Ok(Some(doc)),
        Err(error) => Err(format!("{error}\nCouldn't parse input from {source}.")),
    }
}

fn digest(command: &str, input: Option<&Document>) -> ExitCode {
    let Some(input) = input else {
        err("Please supply XML to process with -X, -x or -p");
        return ExitCode::USAGE;
    };
    if command == "md5-sum" {
        crate::err_raw("Digest: ");
        out(&input.digest_on_disk());
    } else {
        let version = input.root_element().attr("crm_feature_set").unwrap_or("(null)");
        crate::err_raw(&format!("Versioned ({version}) digest: "));
        out(&input.digest_filtered());
    }
    ExitCode::OK
}

fn option_bits(command: &str, parsed: &Parsed) -> u32 {
    let mut bits = 0;
    for (name, bit) in [
        ("xpath", flags::XPATH),
        ("node-path", flags::XPATH_ADDRESS),
        ("allow-create", flags::CAN_CREATE),
        ("no-children", flags::NO_CHILDREN),
        ("local", flags::SCOPE_LOCAL),
        ("force", flags::QUORUM_OVERRIDE),
    ] {
        if parsed.has(name) {
            bits |= bit;
        }
    }
    if command == "delete-all" {
        bits |= flags::MULTIPLE;
    }
    bits
}

fn call(command: &str, parsed: &Parsed, mut input: Option<Document>) -> ExitCode {
    let mut cib = match crate::open_cib("cibadmin") {
        Ok(cib) => cib,
        Err(error) => {
            err(&format!(
                "Could not connect to the CIB: {error}\nInit failed, could not perform requested operations"
            ));
            return error.exit();
        }
    };
    let section = parsed.value("xpath").or(parsed.value("scope"));
    let bits = option_bits(command, parsed);
    if command == "query" {
        return match cib.query(section, bits) {
            Ok(found) => {
                show(&found, bits);
                ExitCode::OK
            }
            Err(error) => failed(&cib, "cib_query", &error, parsed),
        };
    }
    let operation = match command {
        "create" => Operation::Create,
        "modify" => Operation::Modify,
        "replace" => Operation::Replace,
        "delete" | "delete-all" => Operation::Delete,
        "erase" => Operation::Erase,
        "upgrade" => Operation::Upgrade,
        "patch" => Operation::ApplyPatch,
        _ => Operation::Bump,
    };
    if operation == Operation::Replace
        && let Some(doc) = input.as_mut().filter(|d| d.root_element().name() == "cib")
        && doc.child(doc.root(), "status").is_none()
    {
        let root = doc.root();
        doc.append(root, "status");
    }
    let change = Change { operation, section, input: input.as_ref(), options: bits };
    match cib.change(&change) {
        Ok(answer) => {
            if let Some(found) = answer {
                show(&found, bits);
            }
            ExitCode::OK
        }
        Err(error) if error.cib() == Some(CibError::SchemaUnchanged) => {
            out(&format!("Upgrade unnecessary: {}", CibError::SchemaUnchanged));
            ExitCode::OK
        }
        Err(error) => failed(&cib, operation.name(), &error, parsed),
    }
}

fn show(found: &Document, bits: u32) {
    if bits & flags::XPATH_ADDRESS == 0 {
        out_raw(&found.to_pretty());
        return;
    }
    let root = found.root_element();
    if root.name() == "xpath-query" {
        root.children().filter_map(|c| c.attr("id")).for_each(out);
    } else if let Some(id) = root.attr("id") {
        out(id);
    }
}

/// Says why a call failed: on a file or with --sync-call without its name.
fn failed(cib: &Cib, operation: &str, error: &Error, parsed: &Parsed) -> ExitCode {
    if cib.is_live() && !parsed.has("sync-call") {
        err(&format!("Call {operation} failed: {error}"));
    } else {
        err(&format!("Call failed: {error}"));
    }
    if let Error::Refused { details: Some(details), .. } = error {
        out_raw(&details.to_pretty());
    }
    error.exit()
}
