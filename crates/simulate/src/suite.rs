//! Runs Pacemaker's scheduler regression suite: for each case the input, and what is expected of
//! summary, scores, graph and drawing.

use crate::{record, render, sim};
use scheduler::{Line, schedule};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use xml::Document;

/// Data that the reference's own runner does not run.
const NOT_RUN: [&str; 2] = ["bundle-interleave-down", "bundle-order-partial"];

/// Effective times of cases that depend on one.
const DATES: [(&str, &str); 4] = [
    ("date-1", "2005-020"),
    ("date-2", "2005-020T12:30"),
    ("date-3", "2005-020T11:30"),
    ("origin", "2014-05-07 00:28:00"),
];

/// Time at which all other cases run, in seconds since 1970: any after those in the cases.
const NOW_S: i64 = 1_785_000_000;

/// Outcome of one case.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub name: String,
    /// Outputs that differ, with the differences.
    pub failures: Vec<(&'static str, String)>,
}

/// Outcome of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub outcomes: Vec<Outcome>,
}

impl Report {
    pub fn passed(&self) -> usize {
        self.outcomes.iter().filter(|o| o.failures.is_empty()).count()
    }

    pub fn failed(&self) -> Vec<&Outcome> {
        self.outcomes.iter().filter(|o| !o.failures.is_empty()).collect()
    }
}

/// Names of all cases in a directory, sorted.
///
/// # Errors
/// When the directory cannot be read.
pub fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir.join("xml"))? {
        let name = entry?.file_name();
        if let Some(name) = name.to_str().and_then(|n| n.strip_suffix(".xml"))
            && !NOT_RUN.contains(&name)
        {
            names.push(name.to_string());
        }
    }
    names.sort();
    Ok(names)
}

/// Runs the named cases, or all.
///
/// # Errors
/// When the directory cannot be read.
pub fn run(dir: &Path, wanted: &[String]) -> std::io::Result<Report> {
    let names = if wanted.is_empty() { names(dir)? } else { wanted.to_vec() };
    Ok(Report { outcomes: names.iter().map(|name| run_case(dir, name)).collect() })
}

/// Runs one case.
pub fn run_case(dir: &Path, name: &str) -> Outcome {
    let mut failures = Vec::new();
    let input = fs::read(dir.join("xml").join(format!("{name}.xml")));
    let input =
        input.map_err(|e| e.to_string()).and_then(|b| Document::parse_bytes(&b).map_err(|e| e.to_string()));
    let upgraded = |mut input: Document| match cib::upgrade::for_decision(&mut input) {
        Ok(_) => Ok(input),
        Err(error) => Err(error.to_string()),
    };
    let input = match input.and_then(upgraded) {
        Ok(input) => input,
        Err(message) => {
            failures.push(("xml", message));
            return Outcome { name: name.to_string(), failures };
        }
    };
    let date = DATES.iter().find(|(case, _)| *case == name).map(|(_, date)| *date);
    let mut check = |kind: &'static str, got: String, lines: fn(&str) -> Vec<String>| {
        let path = dir.join(kind).join(format!("{name}.{kind}"));
        let Ok(expected) = fs::read_to_string(&path) else { return };
        let (got, expected) = (lines(&got), lines(&expected));
        if got != expected {
            failures.push((kind, difference(&expected, &got)));
        }
    };
    let request = sim::Request { scores: true, ..sim::Request::full(NOW_S, date) };
    let run = match sim::run(&input, &sim::Request { scores: false, ..request.clone() }) {
        Ok(run) => run,
        Err(error) => {
            failures.push(("xml", error.to_string()));
            return Outcome { name: name.to_string(), failures };
        }
    };
    let errors: String = run.warnings.iter().chain(&run.errors).map(|e| format!("{e}\n")).collect();
    check("summary", errors + &status::tree::text(&record::text(&run.parts)), plain);
    let (opts, _) = sim::options(&input, &request);
    if let Ok(decision) = schedule(&input, &opts) {
        check("exp", decision.to_xml().to_pretty(), plain);
        check("dot", render::dot(&decision.cluster, false, false), unique);
        check("scores", scores(&decision.cluster), sorted);
    }
    Outcome { name: name.to_string(), failures }
}

fn scores(cluster: &scheduler::Cluster) -> String {
    // A quiet run prints no notices.
    let lines = cluster.lines.iter().filter(|line| !matches!(line, Line::Info(_)));
    lines.map(|line| render::line(line) + "\n").collect()
}

/// Lines without white space, blank ones left out, without what differs between versions.
pub(crate) fn plain(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for line in text.lines() {
        let mut line = line.to_string();
        for name in ["crm_feature_set", "batch-limit"] {
            line = without_attribute(&line, name);
        }
        let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        if !line.is_empty() {
            out.push(line);
        }
    }
    out
}

fn without_attribute(line: &str, name: &str) -> String {
    let start = format!("{name}=\"");
    match line.find(&start) {
        Some(at) => {
            let rest = line.get(at + start.len()..).unwrap_or("");
            let after = rest.split_once('"').map_or("", |(_, after)| after);
            format!("{}{after}", line.get(..at).unwrap_or(""))
        }
        None => line.to_string(),
    }
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines = plain(text);
    lines.sort();
    lines
}

pub(crate) fn unique(text: &str) -> Vec<String> {
    plain(text).into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Lines that are only in one of two texts, in order.
pub(crate) fn difference(expected: &[String], got: &[String]) -> String {
    let mut out = String::new();
    let (n, m) = (expected.len(), got.len());
    let mut common = vec![vec![0u32; m + 1]; n + 1];
    if n * m > 4_000_000 {
        return format!("{n} lines expected, {m} lines found\n");
    }
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            common[i][j] = if expected[i] == got[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < n || j < m {
        if i < n && j < m && expected[i] == got[j] {
            (i, j) = (i + 1, j + 1);
        } else if j >= m || (i < n && common[i + 1][j] >= common[i][j + 1]) {
            out += &format!("-{}\n", expected[i]);
            i += 1;
        } else {
            out += &format!("+{}\n", got[j]);
            j += 1;
        }
    }
    out
}

/// Where the suite is: `RELEVO_SHARED`, or else beside this repository.
pub fn directory() -> PathBuf {
    let shared = std::env::var_os("RELEVO_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    shared.unwrap_or_else(beside).join("pacemaker-scheduler-suite")
}

/// The suite as a command, `[--diff] [DIR] [NAME…]`: whether all passed, and what to print.
pub fn command(args: &[String]) -> (bool, String) {
    let verbose = args.iter().any(|a| a == "--diff");
    let mut words: Vec<String> = args.iter().filter(|a| *a != "--diff").cloned().collect();
    let dir = match words.first().filter(|w| Path::new(w).is_dir()) {
        Some(dir) => PathBuf::from(dir),
        None => directory(),
    };
    if words.first().is_some_and(|w| Path::new(w) == dir) {
        words.remove(0);
    }
    let report = match run(&dir, &words) {
        Ok(report) => report,
        Err(error) => return (false, format!("{}: {error}\n", dir.display())),
    };
    let mut out = String::new();
    for outcome in report.failed() {
        let kinds: Vec<&str> = outcome.failures.iter().map(|(kind, _)| *kind).collect();
        out += &format!("FAILED {} ({})\n", outcome.name, kinds.join(" "));
        for (kind, diff) in outcome.failures.iter().filter(|_| verbose) {
            out += &format!("--- {kind}\n{diff}\n");
        }
    }
    out += &format!("{} passed, {} failed\n", report.passed(), report.failed().len());
    (report.failed().is_empty(), out)
}
