//! The reference's answer beside ours.

use super::config::{NOW, NOW_S};
use super::evolve::Events;
use crate::sim::{self, Request};
use crate::suite::{difference, plain, unique};
use crate::{record, render};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use xml::Document;

/// Title of the list whose order does not count.
const SCORES: &str = "Assignment Scores and Utilization Information:";

/// Real clocks are later than the pretended time by at least this.
const REAL_S: i64 = 100_000_000;

/// Where the reference is and where it may write.
#[derive(Debug, Clone)]
pub struct Reference {
    pub program: PathBuf,
    pub scratch: PathBuf,
}

/// What one side prints and writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub summary: String,
    pub scores: String,
    pub graph: String,
    pub drawing: String,
}

/// How each output is read: as lines whose order counts, or does not.
type Reader = (&'static str, fn(&Answer) -> &str, fn(&str) -> Vec<String>);
const READERS: [Reader; 4] = [
    ("summary", |a| &a.summary, plain),
    ("scores", |a| &a.scores, sorted),
    ("graph", |a| &a.graph, plain),
    ("drawing", |a| &a.drawing, unique),
];

impl Answer {
    /// A short digest of each output, as far as it counts.
    pub fn digests(&self) -> String {
        let digest = |text: &str| xml::md5_hex(text.as_bytes()).chars().take(8).collect::<String>();
        let all = READERS.iter().map(|(_, text, lines)| digest(&lines(text(self)).join("\n")));
        all.collect::<Vec<String>>().join(" ")
    }
}

/// What came of a comparison.
#[derive(Debug)]
pub enum Verdict {
    /// The same; with the document after the pretended execution.
    Same(Option<Document>),
    /// Outputs that differ, each with its differences; and the document.
    Different(Vec<(&'static str, String)>, Option<Document>),
    /// The reference refuses the input.
    Refused(String),
    /// The reference crashes or hangs.
    Broken(String),
}

/// A line without the real time, which the two sides cannot have in common.
fn without_time(line: &str) -> &str {
    match line.split_once("attribute last-failure-").and_then(|_| line.split_once('=')) {
        Some((before, _)) => before,
        None => line,
    }
}

/// A graph without the time of the next check if that depends on the real time.
fn without_recheck(graph: &str) -> String {
    let Some((before, rest)) = graph.split_once("recheck-by=\"") else { return graph.to_string() };
    let Some((time, after)) = rest.split_once('"') else { return graph.to_string() };
    match time.parse::<i64>() {
        Ok(time) if time > NOW_S + REAL_S => format!("{before}{after}"),
        _ => graph.to_string(),
    }
}

/// Splits the list of scores from the rest.
fn split(text: &str) -> (String, String) {
    let (mut rest, mut scores, mut inside) = (String::new(), String::new(), false);
    for line in text.lines() {
        if !line.starts_with(' ') {
            inside = line.trim() == SCORES;
        }
        let to = if inside { &mut scores } else { &mut rest };
        to.push_str(without_time(line));
        to.push('\n');
    }
    (rest, scores)
}

impl Reference {
    /// The reference's answer, and the document after the pretended execution.
    ///
    /// # Errors
    /// When it refuses or fails.
    pub fn run(&self, cib: &Document, events: &Events) -> Result<(Answer, Option<Document>), Box<Verdict>> {
        let file = |name: &str| self.scratch.join(name);
        let broken = |error: std::io::Error| Box::new(Verdict::Broken(error.to_string()));
        std::fs::write(file("in.xml"), cib.to_pretty()).map_err(broken)?;
        for name in ["dot", "exp", "out.xml"] {
            let _ = std::fs::remove_file(file(name));
        }
        let output = Command::new("timeout")
            .arg("60")
            .arg(&self.program)
            .args(["-S", "-s", "-U", "-t", NOW, "-x"])
            .arg(file("in.xml"))
            .arg("-D")
            .arg(file("dot"))
            .arg("-G")
            .arg(file("exp"))
            .arg("-O")
            .arg(file("out.xml"))
            .args(events.options())
            .env("CIB_shadow_dir", &self.scratch)
            .env("LC_ALL", "C")
            .output()
            .map_err(broken)?;
        let text = |name: &str| std::fs::read_to_string(file(name)).unwrap_or_default();
        let answer = |(summary, scores)| Answer {
            summary,
            scores,
            graph: without_recheck(&text("exp")),
            drawing: text("dot"),
        };
        let answer = answer(split(&String::from_utf8_lossy(&output.stdout)));
        // 70: it gave up while it pretended to execute (a node has two states, say).
        if answer.graph.is_empty() || output.status.code().is_none_or(|code| code == 70 || code >= 128) {
            let errors = String::from_utf8_lossy(&output.stderr).to_string();
            let refused = matches!(output.status.code(), Some(65 | 66 | 78));
            return Err(if refused {
                Box::new(Verdict::Refused(errors))
            } else {
                Box::new(Verdict::Broken(format!("{}: {errors}", output.status)))
            });
        }
        Ok((answer, Document::parse(&text("out.xml")).ok()))
    }
}

/// What is recorded for an input that is refused.
pub const REFUSED: &str = "refused";

/// Our answer, and the document after the pretended execution.
///
/// # Errors
/// When the configuration does not conform to its schema, or there is no decision.
pub fn ours(cib: &Document, events: &Events) -> Result<(Answer, Option<Document>), String> {
    if let Err(faults) = cib::schema::validate_upgradable(cib) {
        return Err(faults.first().map(ToString::to_string).unwrap_or_default());
    }
    let request = Request {
        injections: events.injections.clone(),
        op_fail: events.op_fail.clone(),
        scores: true,
        utilization: true,
        ..Request::full(NOW_S + 2 * REAL_S, Some(NOW))
    };
    let run = sim::run(cib, &request).map_err(|error| error.to_string())?;
    let (summary, scores) = split(&status::tree::text(&record::text(&run.parts)));
    let Some((cluster, graph)) = &run.decided else { return Err("no decision".to_string()) };
    let drawing = render::dot(cluster, false, false);
    let graph = without_recheck(&cluster.graph_xml(graph).to_pretty());
    Ok((Answer { summary, scores, graph, drawing }, run.output.map(Arc::unwrap_or_clone)))
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines = plain(text);
    lines.sort();
    lines
}

/// Compares the answers to one question.
pub fn compare(reference: &Reference, cib: &Document, events: &Events) -> Verdict {
    let ours = ours(cib, events);
    let (theirs, next) = match reference.run(cib, events) {
        Ok(theirs) => theirs,
        Err(verdict) => {
            return match *verdict {
                Verdict::Refused(why) if ours.is_ok() => Verdict::Different(vec![("acceptance", why)], None),
                other => other,
            };
        }
    };
    let ours = match ours {
        Ok((ours, _)) => ours,
        Err(error) => return Verdict::Different(vec![("refusal", error)], next),
    };
    let mut found = Vec::new();
    for (kind, text, lines) in READERS {
        let (theirs, ours) = (lines(text(&theirs)), lines(text(&ours)));
        if theirs != ours {
            found.push((kind, difference(&theirs, &ours)));
        }
    }
    match found.is_empty() {
        true => Verdict::Same(next),
        false => Verdict::Different(found, next),
    }
}

/// Where the reference is, unless somebody says: beside the other administrator's programs.
pub fn installed() -> Option<PathBuf> {
    let named = std::env::var_os("RELEVO_REFERENCE_CRM_SIMULATE").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from("/usr/sbin/crm_simulate"))).filter(|path| Path::new(path).exists())
}
