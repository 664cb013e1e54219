//! One what-if run.

use scheduler::Options;
use scheduler::iso8601::Time;
use xml::Document;

/// What to do in a run.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// Time to pretend, as the user wrote it.
    pub date: Option<&'a str>,
    /// The real time, in seconds since 1970 UTC.
    pub now_s: i64,
    /// Execute the transition as well.
    pub simulate: bool,
}

impl Request<'_> {
    pub fn at(now_s: i64) -> Request<'static> {
        Request { now_s, ..Request::default() }
    }
}

/// What a run printed.
#[derive(Debug, Clone, Default)]
pub struct Output {
    pub text: String,
    pub scores_header: String,
}

/// Options for the scheduler: the time that the user gave, or at which the input was recorded.
pub fn options(cib: &Document, date: Option<&str>, now_s: i64) -> Options {
    let mut opts = Options { now_s, ..Options::default() };
    let recorded = cib.attr(cib.root(), "execution-date").and_then(scheduler::text::parse_int);
    if let Some(time) = date.and_then(|d| Time::parse(d, Time::from_epoch(now_s, 0))) {
        opts.now_s = time.epoch();
    } else if let Some(recorded) = recorded {
        opts.now_s = recorded;
    }
    opts
}

/// Runs.
pub fn run(_cib: &Document, _request: &Request<'_>) -> Output {
    Output::default()
}
