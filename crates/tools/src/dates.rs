//! `iso8601` and `crm_rule`: how a date or duration is understood, and whether a rule is in effect.

use std::ffi::OsString;
use std::io::Read;

use base::ExitCode;
use scheduler::iso8601::{DateForm, Duration, Period, Time};
use scheduler::rules::{self, Verdict};
use xml::{Document, NodeId};

use crate::options::{Parsed, Tool, Value, opt, start};
use crate::report::{self, command_line};
use crate::{err, out, out_raw, session};

const ISO8601: Tool = Tool {
    name: "iso8601",
    about: "Show how dates, durations and periods are understood.",
    rest: "",
    groups: &[
        (
            "Commands",
            &[
                opt("now", Some('n'), Value::None, "The current date and time"),
                opt(
                    "date",
                    Some('d'),
                    Value::Required("DATE"),
                    "A date ('2019-09-24 00:30:00+01:00', '2019-040')",
                ),
                opt("period", Some('p'), Value::Required("PERIOD"), "A period ('2005-040/2005-043')"),
                opt(
                    "duration",
                    Some('D'),
                    Value::Required("DURATION"),
                    "A duration ('P1M'); is added to the date",
                ),
                opt("expected", Some('E'), Value::Required("TEXT"), "Fail if the result is not this text"),
            ],
        ),
        (
            "Output modifiers",
            &[
                opt("seconds", Some('s'), Value::None, "As seconds since the year 1"),
                opt("epoch", Some('S'), Value::None, "As seconds since 1970"),
                opt("local", Some('L'), Value::None, "In the given zone, not in UTC"),
                opt("ordinal", Some('O'), Value::None, "With the day of the year"),
                opt("week", Some('W'), Value::None, "With the week and its day"),
                opt("output-as", None, Value::Required("text|xml"), "Format"),
            ],
        ),
    ],
};

const RULE: Tool = Tool {
    name: "crm_rule",
    about: "Is a rule in effect?",
    rest: "",
    groups: &[
        ("Modes", &[opt("check", Some('c'), Value::None, "Check whether a rule is in effect")]),
        (
            "Data",
            &[opt("xml-text", Some('X'), Value::Required("TEXT"), "This configuration (-: standard input)")],
        ),
        (
            "Additional options",
            &[
                opt("date", Some('d'), Value::Required("DATE"), "At this time"),
                opt("rule", Some('r'), Value::Required("ID"), "The rule; may be given several times"),
                opt("output-as", None, Value::Required("text|xml"), "Format"),
            ],
        ),
    ],
};

/// What a tool says, as lines or as elements.
struct Answer {
    doc: Option<(Document, NodeId)>,
    errors: Vec<String>,
}

impl Answer {
    fn new(parsed: &Parsed, command: &str) -> Self {
        let doc = (parsed.value("output-as") == Some("xml")).then(|| report::open(command));
        Self { doc, errors: Vec::new() }
    }

    /// A line, or an element with this text.
    fn say(&mut self, element: &str, label: &str, value: &str) {
        match &mut self.doc {
            None => out(&format!("{label}: {value}")),
            Some((doc, root)) => {
                let at = doc.append(*root, element);
                doc.append_text(at, value);
            }
        }
    }

    fn fail(&mut self, text: String) {
        match &self.doc {
            None => err(&text),
            Some(_) => self.errors.push(text),
        }
    }

    fn finish(self, status: ExitCode) -> ExitCode {
        if let Some((mut doc, _)) = self.doc {
            report::close(&mut doc, status, self.errors.iter().map(String::as_str));
            out_raw(&doc.to_pretty());
        }
        status
    }
}

fn now() -> Time {
    let options = session::options();
    options.zone.time(options.now_s)
}

pub fn iso8601(arguments: Vec<OsString>) -> i32 {
    let command = command_line("iso8601", &arguments);
    start(&ISO8601, arguments, |parsed| {
        let mut answer = Answer::new(parsed, &command);
        let status = match understand(parsed, &mut answer) {
            Ok(status) => status,
            Err((what, text, cause)) => {
                err(&format!("error: {cause}"));
                answer.fail(format!("iso8601: Invalid {what} specified: {text}"));
                ExitCode::INVALID_PARAM
            }
        };
        answer.finish(status)
    })
}

/// What was not understood, and why.
type Refusal = (&'static str, String, scheduler::iso8601::DateError);

fn understand(parsed: &Parsed, answer: &mut Answer) -> Result<ExitCode, Refusal> {
    let date = match parsed.last_of(&["now", "date"]) {
        Some("now") => Some(("Current date/time", now())),
        Some(_) => {
            let text = parsed.value("date").unwrap_or_default();
            let is_now = text.eq_ignore_ascii_case("now");
            let time = if is_now { Ok(now()) } else { Time::parse(text, now()) };
            let label = if is_now { "Current date/time" } else { "Date" };
            Some((label, time.map_err(|cause| ("date/time", text.to_string(), cause))?))
        }
        None => None,
    };
    if let Some((label, time)) = date {
        answer.say("date", label, &show(&time, parsed, parsed.has("local")));
    }
    let mut length = None;
    if let Some(text) = parsed.value("duration") {
        let given = Duration::parse(text).map_err(|cause| ("duration", text.to_string(), cause))?;
        answer.say("duration", "Duration", &given.to_string());
        length = Some(given);
    }
    if let Some(text) = parsed.value("period") {
        let period = Period::parse(text, now()).map_err(|cause| ("interval", text.to_string(), cause))?;
        say_period(&period, parsed, answer);
    }
    let Some((_, time)) = date else { return Ok(ExitCode::OK) };
    let mut result = time;
    if let Some(length) = length {
        result = time.plus(&length);
        answer.say("duration_ends", "Duration ends at", &show(&result, parsed, true));
    }
    let shown = show(&result, parsed, parsed.has("local"));
    let as_expected = parsed.value("expected").is_none_or(|text| text.eq_ignore_ascii_case(&shown));
    Ok(if as_expected { ExitCode::OK } else { ExitCode::ERROR })
}

fn say_period(period: &Period, parsed: &Parsed, answer: &mut Answer) {
    let show = |time: &Time| show(time, parsed, parsed.has("local"));
    let (start, end) = (show(&period.start), show(&period.end));
    match &mut answer.doc {
        None => out(&format!("Period: {start} to {end}")),
        Some((doc, root)) => {
            let at = doc.append(*root, "period");
            for (name, text) in [("start", start), ("end", end)] {
                let place = doc.append(at, name);
                doc.append_text(place, &text);
            }
        }
    }
}

fn show(time: &Time, parsed: &Parsed, local: bool) -> String {
    if parsed.has("seconds") {
        return time.seconds().to_string();
    }
    if parsed.has("epoch") {
        return time.epoch().to_string();
    }
    let form = match (parsed.has("week"), parsed.has("ordinal")) {
        (true, _) => DateForm::Week,
        (_, true) => DateForm::Ordinal,
        _ => DateForm::Calendar,
    };
    if local { time.text(form) } else { time.utc().text(form) }
}

pub fn crm_rule(arguments: Vec<OsString>) -> i32 {
    let command = command_line("crm_rule", &arguments);
    start(&RULE, arguments, |parsed| {
        let mut answer = Answer::new(parsed, &command);
        let status = check_rules(parsed, &mut answer).unwrap_or_else(|(status, text)| {
            answer.fail(format!("crm_rule: {text}"));
            status
        });
        answer.finish(status)
    })
}

fn check_rules(parsed: &Parsed, answer: &mut Answer) -> Result<ExitCode, (ExitCode, String)> {
    if !parsed.has("check") {
        return Err((ExitCode::USAGE, "No mode operation given".into()));
    }
    let ids = parsed.given.iter().filter(|(name, _)| *name == "rule").filter_map(|(_, id)| id.as_deref());
    let ids: Vec<&str> = ids.collect();
    if ids.is_empty() {
        return Err((ExitCode::USAGE, "--check requires use of --rule=".into()));
    }
    let when = match parsed.value("date") {
        None => now(),
        Some(text) => Time::parse(text, now())
            .map_err(|cause| (ExitCode::DATAERR, format!("Invalid date specified: '{text}' ({cause})")))?,
    };
    let doc = configuration(parsed)?;
    let mut status = ExitCode::OK;
    for id in ids {
        let (words, code) = match rule_verdict(&doc, id, when) {
            Ok((words, code)) => (format!("Rule {id} {words}"), code),
            Err((code, why)) => (format!("Could not determine whether rule {id} is in effect: {why}"), code),
        };
        let decided = words.starts_with("Rule ");
        match &mut answer.doc {
            None if decided => out(&words),
            None => err(&words),
            Some((doc, root)) => {
                doc.append_with(*root, "rule-check", &[("rule-id", id), ("rc", &code.0.to_string())]);
                if !decided {
                    answer.errors.push(words);
                }
            }
        }
        if code != ExitCode::OK {
            status = code;
        }
    }
    Ok(status)
}

fn configuration(parsed: &Parsed) -> Result<Document, (ExitCode, String)> {
    let read = match parsed.value("xml-text") {
        Some("-") => {
            let mut bytes = Vec::new();
            // What could not be read is not there: the parser says so.
            let _ = std::io::stdin().lock().take(xml::MAX_BYTES as u64).read_to_end(&mut bytes);
            Document::parse_bytes(&bytes).map_err(|_| "Couldn't parse input from STDIN".to_string())
        }
        Some(text) => Document::parse(text).map_err(|_| format!("Couldn't parse input string: {text}")),
        None => {
            let loaded = crate::open_cib("crm_rule").and_then(|mut cib| cib.query(None, 0));
            return loaded.map_err(|error| (error.exit(), error.to_string()));
        }
    };
    read.map_err(|text| (ExitCode::DATAERR, text))
}

/// In words, and as exit status; or why it cannot be told. Only rules with one date in them can be: whether the
/// others pass depends on the node or the resource.
fn rule_verdict(
    doc: &Document,
    id: &str,
    when: Time,
) -> Result<(&'static str, ExitCode), (ExitCode, &'static str)> {
    let all = doc.root_element().descendants().filter(|e| e.name() == "rule");
    let mut named = all.filter(|rule| rule.attr("id") == Some(id));
    let Some(rule) = named.next() else { return Err((ExitCode::NOSUCH, "Rule not found")) };
    if named.next().is_some() {
        return Err((ExitCode::MULTIPLE, "Found more than one rule with matching ID"));
    }
    let mut dates = rule.descendants().filter(|e| e.name() == "date_expression");
    let Some(date) = dates.next() else {
        return Err((ExitCode::UNIMPLEMENTED, "Rule does not have a date expression"));
    };
    if dates.next().is_some() {
        return Err((ExitCode::UNIMPLEMENTED, "Rule has more than one date expression"));
    }
    let by_spec = date.attr("operation") == Some("date_spec");
    let with_years =
        || date.children().any(|spec| spec.name() == "date_spec" && spec.attr("years").is_some());
    if by_spec && !with_years() {
        let why = "Rule must either not use date_spec, or use date_spec with years=";
        return Err((ExitCode::UNIMPLEMENTED, why));
    }
    match rules::evaluate_date(doc, date.id(), when) {
        Verdict::Satisfied if by_spec => Ok(("satisfies conditions", ExitCode::OK)),
        Verdict::Satisfied => Ok(("is still in effect", ExitCode::OK)),
        Verdict::Expired => Ok(("is expired", ExitCode::EXPIRED)),
        Verdict::NotYet => Ok(("has not yet taken effect", ExitCode::NOT_YET_IN_EFFECT)),
        Verdict::Unsatisfied => Ok(("does not satisfy conditions", ExitCode::UNSATISFIED)),
        Verdict::Invalid => Err((ExitCode::CONFIG, "Error parsing rule")),
    }
}
