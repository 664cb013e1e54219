//! The command line of `relevo why`.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;

use base::ExitCode;
use lexopt::{Arg, Parser, ValueExt};
use scheduler::iso8601::Zone;
use scheduler::{Decision, Options, schedule};
use serde_json::{Value, json};
use xml::Document;

use super::{Answer, Reason, explain, explain_all, ids, text};
use crate::Live;

const HELP: &str = "\
relevo why - why resources run where they run, or do not run

Usage: relevo why [RESOURCE] [options]

Without a resource: a line for each. With one: every change of its score on every node, with the
constraint or event that made it, and the commands that would change the outcome.

  -x, --xml-file=FILE   Take this CIB instead of the running cluster's (- for standard input)
  --output-as=FORMAT    text (default) or json
  -?, --help            Show this help
";

struct Failure(ExitCode, String);

#[derive(Default)]
struct Args {
    resource: Option<String>,
    file: Option<PathBuf>,
    json: bool,
    help: bool,
}

/// Runs `relevo why` with these words; returns the exit status.
pub fn main(words: Vec<OsString>, live: Live<'_>) -> i32 {
    let answered = parse(words).and_then(|args| run(&args, live));
    match answered {
        Ok(text) => {
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            0
        }
        Err(Failure(code, message)) => {
            let _ = writeln!(std::io::stderr().lock(), "relevo why: {message}");
            code.0
        }
    }
}

fn parse(words: Vec<OsString>) -> Result<Args, Failure> {
    let usage = |error: lexopt::Error| Failure(ExitCode::USAGE, format!("{error} (relevo why --help)"));
    let mut args = Args::default();
    let mut parser = Parser::from_args(words);
    while let Some(arg) = parser.next().map_err(usage)? {
        match arg {
            Arg::Short('?' | 'h') | Arg::Long("help") => args.help = true,
            Arg::Short('x') | Arg::Long("xml-file") => {
                args.file = Some(parser.value().map_err(usage)?.into());
            }
            Arg::Long("output-as") => {
                let format = parser.value().and_then(ValueExt::string).map_err(usage)?;
                args.json = match format.as_str() {
                    "json" => true,
                    "text" => false,
                    other => {
                        let text = format!("unknown output format '{other}': text or json");
                        return Err(Failure(ExitCode::USAGE, text));
                    }
                };
            }
            Arg::Value(word) if args.resource.is_none() => {
                args.resource = Some(word.to_string_lossy().into_owned());
            }
            other => return Err(usage(other.unexpected())),
        }
    }
    Ok(args)
}

fn run(args: &Args, live: Live<'_>) -> Result<String, Failure> {
    if args.help {
        return Ok(HELP.to_string());
    }
    let cib = load(args, live)?;
    let options = Options {
        now_s: sys::clock::now_s(),
        zone: Zone::Local(sys::clock::utc_offset_s),
        sanitized: args.file.is_some(),
        trail: true,
        ..Options::default()
    };
    let decision = schedule(&cib, &options).map_err(|error| Failure(ExitCode::DATAERR, error.to_string()))?;
    match &args.resource {
        Some(id) => {
            let answers = explain(&decision, id).ok_or_else(|| unknown(&decision, id))?;
            Ok(if args.json { json_of(&answers) } else { long(&answers) })
        }
        None => {
            let answers = explain_all(&decision);
            Ok(if args.json { json_of(&answers) } else { short(&answers) })
        }
    }
}

fn load(args: &Args, live: Live<'_>) -> Result<Document, Failure> {
    let Some(path) = &args.file else {
        let hint = "start it with pcs cluster start, or give a CIB with -x FILE";
        return live().map_err(|text| {
            Failure(ExitCode::DISCONNECT, format!("no cluster answers here: {text} ({hint})"))
        });
    };
    let name = path.display();
    let read = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = read.map_err(|error| Failure(ExitCode::NOINPUT, format!("cannot read {name}: {error}")))?;
    Document::parse_bytes(&bytes).map_err(|error| Failure(ExitCode::DATAERR, format!("{name}: {error}")))
}

fn unknown(decision: &Decision, id: &str) -> Failure {
    let ids = ids(decision);
    let near = base::nearest(id, ids.iter().map(String::as_str));
    let hint = match near {
        Some(near) => format!(" (did you mean '{near}'?)"),
        None => String::from(" (relevo why lists them all)"),
    };
    Failure(ExitCode::NOSUCH, format!("there is no resource '{id}'{hint}"))
}

fn long(answers: &[Answer]) -> String {
    answers.iter().map(text::answer).collect::<Vec<_>>().join("\n")
}

fn short(answers: &[Answer]) -> String {
    let mut out = String::new();
    for answer in answers {
        out.push_str(&text::headline(answer));
        out.push('\n');
        if let Some(reason) = answer.reasons.first() {
            out.push_str(&format!("  because {}\n", reason.text));
        }
    }
    out
}

fn json_of(answers: &[Answer]) -> String {
    let all: Vec<Value> = answers.iter().map(answer_json).collect();
    format!("{:#}\n", Value::Array(all))
}

fn reason_json(reason: &Reason) -> Value {
    json!({ "cause": reason.cause, "text": reason.text, "fix": reason.fix })
}

fn answer_json(answer: &Answer) -> Value {
    let places = answer.nodes.iter().map(|place| {
        let steps = place
            .steps
            .iter()
            .map(|step| json!({ "from": step.from, "to": step.to, "reason": reason_json(&step.reason) }));
        json!({
            "node": place.node,
            "chosen": place.chosen,
            "unusable": place.unusable.as_ref().map(reason_json),
            "score": place.score,
            "steps": steps.collect::<Vec<_>>(),
        })
    });
    json!({
        "resource": answer.resource,
        "agent": answer.agent,
        "active_on": answer.active_on,
        "role": answer.role,
        "wanted_on": answer.wanted_on,
        "wanted_role": answer.wanted_role,
        "summary": text::headline(answer),
        "reasons": answer.reasons.iter().map(reason_json).collect::<Vec<_>>(),
        "nodes": places.collect::<Vec<_>>(),
        "fixes": text::fixes(answer),
    })
}
