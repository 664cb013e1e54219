//! The command line of crm_simulate.

use crate::record::{self, Part};
use crate::sim::{self, Request, Run};
use crate::{profile, render};
use base::ExitCode;
use lexopt::{Arg, Parser, ValueExt};
use scheduler::iso8601::Zone;
use status::tree;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xml::Document;

/// Gets the CIB of the running cluster, or says why it cannot.
pub type Live<'a> = &'a dyn Fn() -> Result<Document, String>;

/// Version of the XML that is written, as the reference counts it.
const API_VERSION: &str = "2.38";

/// The schema of what is saved.
const NEWEST_SCHEMA: &str = "pacemaker-4.0";

const HELP: &str = "\
crm_simulate - simulate a Pacemaker cluster's response to events

Usage: crm_simulate [options]

Operations:
  -R, --run                  Process the supplied input and show what actions the cluster will take in response
  -S, --simulate             Like --run, but also simulate taking those actions and show the resulting new status
  -X, --in-place             Like --simulate, but also store the results back to the input file
  -A, --show-attrs           Show node attributes
  -c, -n, --show-failcounts  Show resource fail counts
  -s, --show-scores          Show allocation scores
  -U, --show-utilization     Show utilization information
  -P, --profile=DIR          Process all the XML files in the named directory to create profiling data
  -N, --repeat=N             With --profile, repeat each test N times and print timings

Synthetic Cluster Events:
  -u, --node-up=NODE         Simulate bringing a node online
  -d, --node-down=NODE       Simulate taking a node offline
  -f, --node-fail=NODE       Simulate a node failing
  -i, --op-inject=OPSPEC     Generate a failure for the cluster to react to in the simulation
  -F, --op-fail=OPSPEC       If the specified task occurs during the simulation, have it fail with return code RC
  -t, --set-datetime=TIME    Set the date and time
  -q, --quorum=QUORUM        Set to '1' (or 'true') to indicate cluster has quorum
  -w, --watchdog=VALUE       Set to '1' (or 'true') to indicate cluster has an active watchdog device
  -g, --ticket-grant=ID      Simulate granting a ticket
  -r, --ticket-revoke=ID     Simulate revoking a ticket
  -b, --ticket-standby=ID    Simulate making a ticket standby
  -e, --ticket-activate=ID   Simulate activating a ticket

Artifact Options:
  -I, --save-input=FILE      Save the input configuration to the named file
  -O, --save-output=FILE     Save the output configuration to the named file
  -G, --save-graph=FILE      Save the transition graph (XML format) to the named file
  -D, --save-dotfile=FILE    Save the transition graph (DOT format) to the named file
  -a, --all-actions          Display all possible actions in DOT graph

Data Source:
  -L, --live-check           Connect to the cluster and use the current configuration as input
  -x, --xml-file=FILE        Retrieve XML from the named file
  -p, --xml-pipe             Retrieve XML from standard input

Output:
  --output-as=FORMAT         text (default), xml or html
  --output-to=DEST           File for the output
  -Q, --quiet                Be less descriptive in output
  -V, --verbose              Say more
  -$, --version              Show the version
  -?, --help                 Show this help

OPSPEC is RESOURCE_TASK_INTERVAL@NODE=RC, for example memcached_monitor_20000@node1=7.
";

/// Short names of options.
const SHORT: [(char, &str); 36] = [
    ('R', "run"),
    ('S', "simulate"),
    ('X', "in-place"),
    ('A', "show-attrs"),
    ('c', "show-failcounts"),
    ('n', "show-failcounts"),
    ('s', "show-scores"),
    ('U', "show-utilization"),
    ('j', "pending"),
    ('a', "all-actions"),
    ('L', "live-check"),
    ('p', "xml-pipe"),
    ('Q', "quiet"),
    ('V', "verbose"),
    ('?', "help"),
    ('h', "help"),
    ('$', "version"),
    ('u', "node-up"),
    ('d', "node-down"),
    ('f', "node-fail"),
    ('i', "op-inject"),
    ('g', "ticket-grant"),
    ('r', "ticket-revoke"),
    ('b', "ticket-standby"),
    ('e', "ticket-activate"),
    ('F', "op-fail"),
    ('t', "set-datetime"),
    ('q', "quorum"),
    ('w', "watchdog"),
    ('I', "save-input"),
    ('O', "save-output"),
    ('G', "save-graph"),
    ('D', "save-dotfile"),
    ('x', "xml-file"),
    ('P', "profile"),
    ('N', "repeat"),
];

/// Where the CIB comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Pipe,
    File(PathBuf),
    Live,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Format {
    #[default]
    Text,
    Xml,
    Html,
}

/// The command line, parsed.
#[derive(Debug, Clone)]
struct Args {
    request: Request,
    source: Source,
    in_place: bool,
    all_actions: bool,
    verbose: bool,
    profile: Option<PathBuf>,
    repeat: u32,
    save_input: Option<PathBuf>,
    save_output: Option<PathBuf>,
    save_graph: Option<PathBuf>,
    save_dot: Option<PathBuf>,
    format: Format,
    output_to: Option<PathBuf>,
    /// Print this instead of anything else.
    print: Option<String>,
}

/// A failure: what to say, and the exit status.
struct Failure(ExitCode, String);

impl From<lexopt::Error> for Failure {
    /// In the words of GLib, which the reference uses.
    fn from(error: lexopt::Error) -> Failure {
        let message = match &error {
            lexopt::Error::MissingValue { option: Some(option) } => format!("Missing argument for {option}"),
            lexopt::Error::UnexpectedOption(option) => format!("Unknown option {option}"),
            _ => error.to_string(),
        };
        Failure(ExitCode::USAGE, message)
    }
}

/// Runs crm_simulate with these arguments (without the program's name); returns the exit status.
pub fn main(args: Vec<OsString>, live: Live<'_>) -> i32 {
    let command =
        std::iter::once("crm_simulate".to_string()).chain(args.iter().map(|a| quoted(&a.to_string_lossy())));
    let command = command.collect::<Vec<_>>().join(" ");
    let args = match parse(args) {
        Ok(args) => args,
        Err(failure) => return failure.tell(),
    };
    match run(&args, &command, live) {
        Ok(code) => code.0,
        Err(failure) => {
            if args.format == Format::Xml {
                let _ = show(&args, &enveloped(&[], &command, failure.0, &[]));
            }
            failure.tell()
        }
    }
}

impl Failure {
    fn tell(&self) -> i32 {
        let _ = writeln!(std::io::stderr().lock(), "crm_simulate: {}", self.1);
        self.0.0
    }
}

/// A word as a shell would need it.
fn quoted(word: &str) -> String {
    let plain = !word.is_empty()
        && !word.contains(char::is_whitespace)
        && ['\'', '"'].iter().all(|quote| word.matches(*quote).count() % 2 == 0);
    if plain { word.to_string() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn parse(args: Vec<OsString>) -> Result<Args, Failure> {
    let zone = Zone::Local(sys::clock::utc_offset_s);
    let mut out = Args {
        request: Request { now_s: sys::clock::now_s(), zone, sanitized: true, ..Request::default() },
        source: Source::Pipe,
        in_place: false,
        all_actions: false,
        verbose: false,
        profile: None,
        repeat: 1,
        save_input: None,
        save_output: None,
        save_graph: None,
        save_dot: None,
        format: Format::Text,
        output_to: None,
        print: None,
    };
    let mut parser = Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        let name = match arg {
            Arg::Short(short) => SHORT.iter().find(|(s, _)| *s == short).map(|(_, long)| (*long).to_string()),
            Arg::Long(long) => Some(long.to_string()),
            // As with the reference, words by themselves say nothing.
            Arg::Value(_) => continue,
        };
        let Some(name) = name else { return Err(arg.unexpected().into()) };
        let known =
            out.flag(&name) || out.synthetic(&name, &mut parser)? || out.artifact(&name, &mut parser)?;
        if !known {
            return Err(Failure(ExitCode::USAGE, format!("Unknown option --{name}")));
        }
    }
    out.request.xml = out.format == Format::Xml;
    // What is formatted for programs is always complete.
    out.request.quiet &= !out.request.xml;
    Ok(out)
}

fn path(parser: &mut Parser) -> Result<Option<PathBuf>, Failure> {
    Ok(Some(parser.value()?.into()))
}

impl Args {
    /// Options without a value; whether it is one.
    fn flag(&mut self, name: &str) -> bool {
        let request = &mut self.request;
        match name {
            "run" => request.process = true,
            "simulate" => request.simulate = true,
            "in-place" => {
                self.in_place = true;
                request.simulate = true;
            }
            "show-attrs" => request.attributes = true,
            "show-failcounts" => request.failcounts = true,
            "show-scores" => {
                request.scores = true;
                request.process = true;
            }
            "show-utilization" => {
                request.utilization = true;
                request.process = true;
            }
            "pending" => {}
            "all-actions" => self.all_actions = true,
            "live-check" => {
                self.source = Source::Live;
                request.sanitized = false;
            }
            "xml-pipe" => {
                self.source = Source::Pipe;
                request.sanitized = true;
            }
            "quiet" => request.quiet = true,
            "verbose" => self.verbose = true,
            "help" | "help-all" | "help-output" | "help-operations" | "help-synthetic" | "help-artifact"
            | "help-source" => self.print = Some(HELP.to_string()),
            "version" => {
                self.print = Some(format!("Pacemaker (Relevo {})\n", env!("CARGO_PKG_VERSION")));
            }
            _ => return false,
        }
        true
    }

    /// Made-up events.
    fn synthetic(&mut self, name: &str, parser: &mut Parser) -> Result<bool, Failure> {
        let request = &mut self.request;
        let events = &mut request.injections;
        let list = match name {
            "node-up" => &mut events.node_up,
            "node-down" => &mut events.node_down,
            "node-fail" => &mut events.node_fail,
            "op-inject" => &mut events.op_inject,
            "ticket-grant" => &mut events.ticket_grant,
            "ticket-revoke" => &mut events.ticket_revoke,
            "ticket-standby" => &mut events.ticket_standby,
            "ticket-activate" => &mut events.ticket_activate,
            "op-fail" => {
                request.process = true;
                request.simulate = true;
                &mut request.op_fail
            }
            "set-datetime" => {
                request.date = Some(parser.value()?.string()?);
                return Ok(true);
            }
            "quorum" => {
                events.quorum = Some(parser.value()?.string()?);
                return Ok(true);
            }
            "watchdog" => {
                events.watchdog = Some(parser.value()?.string()?);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        list.push(parser.value()?.string()?);
        Ok(true)
    }

    /// Files, sources and the output's format.
    fn artifact(&mut self, name: &str, parser: &mut Parser) -> Result<bool, Failure> {
        match name {
            "save-input" => self.save_input = path(parser)?,
            "save-output" => self.save_output = path(parser)?,
            "save-graph" => {
                self.request.process = true;
                self.save_graph = path(parser)?;
            }
            "save-dotfile" => {
                self.request.process = true;
                self.save_dot = path(parser)?;
            }
            "xml-file" => {
                self.source = match parser.value()? {
                    file if file == "-" => Source::Pipe,
                    file => Source::File(file.into()),
                };
                self.request.sanitized = true;
            }
            "profile" => self.profile = path(parser)?,
            "repeat" => {
                let value = parser.value()?.string()?;
                let number: i64 = value.parse().map_err(|_| {
                    Failure(
                        ExitCode::USAGE,
                        format!("Cannot parse integer value \u{201c}{value}\u{201d} for -N"),
                    )
                })?;
                self.repeat = u32::try_from(number.max(0)).unwrap_or(u32::MAX);
            }
            "output-as" => {
                self.format = match parser.value()?.string()?.as_str() {
                    "text" => Format::Text,
                    "xml" => Format::Xml,
                    "html" => Format::Html,
                    other => {
                        return Err(Failure(
                            ExitCode::NOSUCH,
                            format!("unknown output format '{other}': use text, xml or html"),
                        ));
                    }
                };
            }
            "output-to" => self.output_to = path(parser)?.filter(|p| p != Path::new("-")),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn load(source: &Source, live: Live<'_>) -> Result<Document, Failure> {
    let bad = |error: String| Failure(ExitCode::DATAERR, format!("Could not read input XML: {error}"));
    let bytes = match source {
        Source::Live => return live().map_err(|error| Failure(ExitCode::DISCONNECT, error)),
        Source::File(path) => {
            std::fs::read(path).map_err(|e| bad(format!("{}: {}", path.display(), reason(&e))))?
        }
        Source::Pipe => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map_err(|e| bad(reason(&e)))?;
            bytes
        }
    };
    Document::parse_bytes(&bytes)
        .map_err(|e| Failure(ExitCode::DATAERR, format!("Could not read input XML: {e}")))
}

/// The configuration in today's words, if it conforms to its schema.
fn usable(mut cib: Document) -> Result<Document, Failure> {
    if let Err(faults) = cib::schema::validate_upgradable(&cib) {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let message = format!("the configuration does not conform to its schema:\n  {}", faults.join("\n  "));
        return Err(Failure(ExitCode::CONFIG, message));
    }
    cib::upgrade::for_decision(&mut cib).map_err(|e| Failure(ExitCode::CONFIG, e.to_string()))?;
    let root = cib.root();
    // Whoever reads a saved copy finds it in today's words.
    if cib.attr(root, "validate-with").is_some_and(|schema| schema != "none") {
        cib.set_attr(root, "validate-with", NEWEST_SCHEMA);
    }
    if cib.child(root, "status").is_none() {
        cib.append(root, "status");
    }
    Ok(cib)
}

/// Writes a file; a failure ends with a status that says why, or with this one.
fn save(
    path: Option<&PathBuf>,
    code: Option<ExitCode>,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text()).map_err(|e| {
        let message = format!("Could not create '{}': {}", path.display(), reason(&e));
        Failure(code.unwrap_or_else(|| status_of(&e)), message)
    })
}

/// What went wrong, without the number that the standard library adds.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}

/// Exit status for a file or directory that cannot be used.
fn status_of(error: &std::io::Error) -> ExitCode {
    match error.kind() {
        std::io::ErrorKind::NotFound => ExitCode::NOSUCH,
        std::io::ErrorKind::PermissionDenied => ExitCode(4),
        _ => ExitCode::ERROR,
    }
}

fn run(args: &Args, command: &str, live: Live<'_>) -> Result<ExitCode, Failure> {
    // It is made at once, as by the reference: nothing is decided if it cannot be.
    save(args.output_to.as_ref(), None, String::new)?;
    if let Some(text) = &args.print {
        return show(args, text).map(|()| ExitCode::OK);
    }
    if let Some(dir) = &args.profile {
        let (part, errors) = profile::profile(dir, args.repeat, &args.request)
            .map_err(|e| Failure(status_of(&e), format!("{}: {}", dir.display(), reason(&e))))?;
        tell(&errors);
        return show(args, &rendered(args, &[part], command, ExitCode::OK, &[])).map(|()| ExitCode::OK);
    }
    let cib = Arc::new(usable(load(&args.source, live)?)?);
    let mut run = sim::run_in_main(cib.clone(), &args.request)
        .map_err(|e| Failure(ExitCode::DATAERR, e.to_string()))?;
    tell(&run.warnings);
    let code = match save_all(args, &cib, &run) {
        Ok(()) if run.complete => ExitCode::OK,
        Ok(()) => ExitCode::ERROR,
        Err((failure, unseen)) => {
            // What was found before the file could not be written is shown.
            let end = run.parts.iter().position(|part| unseen.contains(&part.element()));
            run.parts.truncate(end.unwrap_or(run.parts.len()));
            ExitCode(failure.tell())
        }
    };
    tell(&run.errors);
    show(args, &rendered(args, &run.parts, command, code, &run.errors))?;
    // The process ends here, and with it its memory: taking a million small things apart is of no use.
    std::mem::forget((run, cib));
    Ok(code)
}

fn tell(lines: &[String]) {
    let mut stderr = std::io::stderr().lock();
    for line in lines {
        let _ = writeln!(stderr, "{line}");
    }
}

/// Elements of all that a report has, of what follows the input, and of what follows the decision.
const ALL: [&str; 2] = ["", "cluster_status"];
const AFTER_INPUT: [&str; 6] =
    ["allocations", "utilizations", "allocations_utilizations", "actions", "transition", "bare"];
const AFTER_DECISION: [&str; 2] = ["actions", "transition"];

/// Writes what is to be written; a failure comes with the parts of the report that are not reached.
fn save_all(args: &Args, cib: &Arc<Document>, run: &Run) -> Result<(), (Failure, &'static [&'static str])> {
    let input = run.input.as_ref().unwrap_or(cib);
    let output = run.output.as_ref().unwrap_or(input);
    // As in the reference, the input's file is the one that is written if it is to be changed.
    let save_output = args.save_output.as_ref().filter(|_| !args.in_place);
    save(save_output, None, || output.to_pretty()).map_err(|f| (f, &ALL[..]))?;
    save(args.save_input.as_ref(), None, || input.to_pretty()).map_err(|f| (f, &AFTER_INPUT[..]))?;
    if let Some((cluster, graph)) = &run.decided {
        let code = Some(ExitCode::IOERR);
        save(args.save_graph.as_ref(), code, || cluster.graph_xml(graph).to_pretty())
            .and_then(|()| {
                save(args.save_dot.as_ref(), code, || render::dot(cluster, args.all_actions, args.verbose))
            })
            .map_err(|f| (f, &AFTER_DECISION[..]))?;
    }
    match &args.source {
        Source::File(path) if args.in_place => save(Some(path), None, || output.to_pretty()),
        Source::Pipe if args.in_place => Err(Failure(
            ExitCode::USAGE,
            "--in-place needs --xml-file: only a file can be changed".to_string(),
        )),
        // As in the reference, nothing is stored in a live cluster.
        _ => Ok(()),
    }
    .map_err(|f| (f, &ALL[..]))
}

fn rendered(args: &Args, parts: &[Part], command: &str, code: ExitCode, errors: &[String]) -> String {
    match args.format {
        // Only scores: without lists, so without bullets.
        Format::Text => tree::text(&record::text(parts)),
        Format::Html => tree::html("Cluster Status", &record::text(parts)),
        Format::Xml => enveloped(parts, command, code, errors),
    }
}

/// The whole of the XML that a run prints.
fn enveloped(parts: &[Part], command: &str, code: ExitCode, errors: &[String]) -> String {
    let mut doc = Document::new("pacemaker-result");
    let root = doc.root();
    doc.set_attr(root, "api-version", API_VERSION);
    doc.set_attr(root, "request", command);
    record::xml(parts, &mut doc, root);
    let attrs = [("code", &*code.0.to_string()), ("message", code.text())];
    let status = doc.append_with(root, "status", &attrs);
    if !errors.is_empty() {
        let list = doc.append(status, "errors");
        for error in errors {
            let entry = doc.append(list, "error");
            doc.append_text(entry, error);
        }
    }
    doc.to_pretty()
}

fn show(args: &Args, text: &str) -> Result<(), Failure> {
    if args.output_to.is_some() {
        return save(args.output_to.as_ref(), None, || text.to_string());
    }
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Args, Failure> {
        parse(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn options_may_be_joined() {
        let args = parsed(&["-SQs", "-xcib.xml", "--op-fail", "a_stop_0@n=1", "-un1"]).ok();
        let args =
            args.filter(|a| a.request.simulate && a.request.quiet && a.request.scores && a.request.sanitized);
        assert!(args.is_some_and(|a| a.request.injections.node_up == ["n1"] && a.request.op_fail.len() == 1));
    }

    #[test]
    fn unknown_options_are_refused() {
        assert!(matches!(parsed(&["--nonsense"]), Err(Failure(ExitCode::USAGE, _))));
        assert!(parsed(&["--output-as=nonsense"]).is_err());
    }
}
