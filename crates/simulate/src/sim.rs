//! One what-if run: status, changes, decision, pretended execution, status again.

use crate::execute::{Executed, execute};
use crate::fake::Fake;
use crate::inject::Injections;
use crate::record::Part;
use crate::{render, summary};
use scheduler::iso8601::{Moment, Time, Zone};
use scheduler::{Cluster, Graph, Line, Options};
use status::tree::Item;
use status::{Outside, Sections, Show, sections};
use std::sync::Arc;
use xml::Document;

/// Notice on a CIB that is not validated.
const NOT_VALIDATED: &str = "Schema validation of configuration is disabled (support for validate-with set to \
    \"none\" is deprecated and will be removed in a future release)";

/// Most elements of a CIB that is decided on without a large stack.
const SHALLOW_ELEMENTS: usize = 300;
/// Most instances of a clone or bundle in such a CIB.
const SHALLOW_INSTANCES: u32 = 8;

/// What to do in a run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Time to pretend, as the user wrote it.
    pub date: Option<String>,
    /// The real time, in seconds since 1970 UTC.
    pub now_s: i64,
    /// Zone of times without one, and in which times are shown.
    pub zone: Zone,
    pub injections: Injections,
    /// Operations that fail when executed.
    pub op_fail: Vec<String>,
    /// Decide.
    pub process: bool,
    /// Decide and execute.
    pub simulate: bool,
    pub scores: bool,
    pub utilization: bool,
    pub sanitized: bool,
    pub failcounts: bool,
    pub attributes: bool,
    /// Prepare XML as well.
    pub xml: bool,
    /// Only scores, no status and summary.
    pub quiet: bool,
}

impl Request {
    /// A full run at a time, as the regression suite does it.
    pub fn full(now_s: i64, date: Option<&str>) -> Request {
        let date = date.map(str::to_string);
        Request { now_s, date, process: true, simulate: true, sanitized: true, ..Request::default() }
    }
}

/// What a run found and printed.
#[derive(Debug, Default)]
pub struct Run {
    pub parts: Vec<Part>,
    /// For the standard error output, and for XML.
    pub errors: Vec<String>,
    /// For the standard error output.
    pub warnings: Vec<String>,
    /// The input with the changes.
    pub input: Option<Arc<Document>>,
    /// The input after the execution.
    pub output: Option<Arc<Document>>,
    /// The decision, if one was asked for.
    pub decided: Option<(Cluster, Graph)>,
    /// The transition could be executed (true if it was not tried).
    pub complete: bool,
}

/// The effective time, and how to announce it. Rules look at a date in the zone that it names, or the one of today.
fn effective_time(cib: &Document, request: &Request) -> (Moment, Option<String>) {
    let at = |epoch_s: i64| Moment { epoch_s, zone: request.zone };
    let now = at(request.now_s);
    if let Some(date) = &request.date {
        let moment = Time::parse(date, now.time()).map_or(now, |time| Moment {
            epoch_s: time.epoch(),
            zone: Zone::Fixed(i32::try_from(time.offset_s).unwrap_or_default()),
        });
        return (moment, Some(format!("Setting effective cluster time: {date}")));
    }
    match cib.attr(cib.root(), "execution-date").and_then(scheduler::text::parse_int) {
        Some(recorded) => {
            let text = Time::from_epoch(recorded, 0).utc_text();
            (at(recorded), Some(format!("Using the original execution date of: {text}")))
        }
        None => (now, None),
    }
}

/// Options for the scheduler, and how to announce the effective time.
pub fn options(cib: &Document, request: &Request) -> (Options, Option<String>) {
    let (Moment { epoch_s: now_s, zone }, line) = effective_time(cib, request);
    let options = Options {
        now_s,
        zone: request.zone,
        rule_zone: Some(zone),
        sanitized: request.sanitized,
        scores: request.scores,
        utilization: request.utilization,
        trail: false,
    };
    (options, line)
}

fn status(cluster: &mut Cluster, revised: bool, request: &Request) -> Part {
    let show = Show { inactive: true, failed_detail: true, pending: !revised, ..Show::default() };
    let wanted = Sections {
        failcounts: request.failcounts,
        failures: request.failcounts,
        attributes: request.attributes,
        ..Sections::SHORT
    };
    let outside = Outside::default();
    let items = sections(cluster, &show, &wanted, &outside);
    let xml = request.xml.then(|| {
        let mut doc = Document::new("status");
        let root = doc.root();
        status::xml::xml(&mut doc, root, cluster, &show, &wanted, &outside);
        doc
    });
    let (title, element) = match revised {
        false => ("Current cluster status", "cluster_status"),
        true => ("Revised Cluster Status", "revised_cluster_status"),
    };
    Part::Status { title, element, items, xml }
}

/// Runs.
///
/// # Errors
/// When the input is no CIB, or one that is too new.
pub fn run(cib: &Document, request: &Request) -> Result<Run, scheduler::Error> {
    scheduler::check_input(cib)?;
    run_shared(Arc::new(cib.clone()), request)
}

/// As [`run`], without a copy of the CIB unless it has to be changed.
///
/// # Errors
/// As [`run`].
pub fn run_shared(cib: Arc<Document>, request: &Request) -> Result<Run, scheduler::Error> {
    scheduler::check_input(&cib)?;
    Ok(scheduler::with_deep_stack(|| run_here(cib, request)))
}

/// As [`run_shared`], for a process that does nothing else: a small CIB is decided on in its main thread,
/// as making another one takes longer than the decision.
///
/// # Errors
/// As [`run`].
pub fn run_in_main(cib: Arc<Document>, request: &Request) -> Result<Run, scheduler::Error> {
    if !is_shallow(&cib) {
        return run_shared(cib, request);
    }
    scheduler::check_input(&cib)?;
    Ok(run_here(cib, request))
}

/// Whether orderings cannot be chained deeper than the usual stack of 8 MiB bears: there are few
/// resources, and none of them has many instances.
fn is_shallow(cib: &Document) -> bool {
    cib.len() <= SHALLOW_ELEMENTS
        && cib.root_element().descendants().all(|element| {
            let instances = match element.attr("name") {
                Some("clone-max" | "clone-node-max") => element.attr("value"),
                _ => element.attr("replicas"),
            };
            instances.is_none_or(|text| text.parse::<u32>().is_ok_and(|count| count <= SHALLOW_INSTANCES))
        })
}

fn run_here(mut cib: Arc<Document>, request: &Request) -> Run {
    let mut run = Run { complete: true, ..Run::default() };
    let (opts, date) = options(&cib, request);
    let changes = request.injections.any();
    let mut cluster = None;
    if !request.quiet || changes || !(request.process || request.simulate) {
        cluster = Some(Cluster::unpack_shared(cib.clone(), &opts));
    }
    if cib.attr(cib.root(), "validate-with") == Some("none") {
        run.warnings.push(NOT_VALIDATED.to_string());
    }
    run.announce(request, date.as_ref());
    if let Some(cluster) = cluster.as_mut() {
        run.notices(cluster, request);
        if !request.quiet {
            run.current_status(cluster, request);
        }
    }
    let mut adds_nodes = false;
    if let Some(before) = cluster.take_if(|_| changes) {
        let mut fake = Fake::new(&cib);
        let (records, errors) = request.injections.apply(&mut fake, &before, request.now_s);
        run.errors.extend(errors);
        let (title, element) = ("Performing Requested Modifications", "modifications");
        run.parts.push(match request.quiet {
            false => Part::List { title, element, records },
            // It leaves an empty line before what follows.
            true => Part::Notice(Item::List(None, Vec::new())),
        });
        adds_nodes = fake.adds_nodes;
        cib = Arc::new(fake.doc);
    }
    run.input = Some(cib.clone());
    let (opts, date) = options(&cib, request);
    if changes {
        run.announce(request, date.as_ref());
        let mut changed = Cluster::unpack_shared(cib.clone(), &opts);
        run.notices(&mut changed, request);
        cluster = Some(changed);
    }
    if !request.process && !request.simulate {
        return run;
    }
    let mut cluster = cluster.unwrap_or_else(|| Cluster::unpack_shared(cib.clone(), &opts));
    let graph = cluster.decide();
    run.decision(&cluster, request);
    if request.simulate {
        let mut fake = Fake::new(&cib);
        fake.adds_nodes = adds_nodes;
        run.execution(fake, &cluster, &graph, request);
    }
    run.decided = Some((cluster, graph));
    run
}

impl Run {
    fn announce(&mut self, request: &Request, line: Option<&String>) {
        if let Some(line) = line.filter(|_| !request.quiet) {
            self.parts.push(Part::Aside(Item::Line(line.clone())));
        }
    }

    /// What was noticed while the status was read.
    fn notices(&mut self, cluster: &mut Cluster, request: &Request) {
        let (notices, rest): (Vec<Line>, Vec<Line>) =
            std::mem::take(&mut cluster.lines).into_iter().partition(|line| matches!(line, Line::Info(_)));
        cluster.lines = rest;
        for line in notices.iter().filter(|_| !request.quiet) {
            self.parts.push(Part::Aside(Item::Line(render::line(line))));
        }
    }

    fn current_status(&mut self, cluster: &mut Cluster, request: &Request) {
        if cluster.config.maintenance {
            self.parts.extend(sections::maintenance(cluster).map(Part::Notice));
        }
        let (total, disabled, blocked) = sections::counts(cluster);
        if disabled > 0 || blocked > 0 {
            self.parts.push(Part::Notice(Item::line(format!(
                "{disabled} of {total} resource instances DISABLED and {blocked} BLOCKED from further action due to failure"
            ))));
        }
        self.parts.push(status(cluster, false, request));
    }

    fn decision(&mut self, cluster: &Cluster, request: &Request) {
        let list = match (request.scores, request.utilization) {
            (true, true) => {
                Some(("Assignment Scores and Utilization Information", "allocations_utilizations"))
            }
            (true, false) => Some(("Assignment Scores", "allocations")),
            (false, true) => Some(("Utilization Information", "utilizations")),
            (false, false) => None,
        };
        if let Some((title, element)) = list {
            let shown = cluster.lines.iter().filter(|line| !request.quiet || !matches!(line, Line::Info(_)));
            let records = shown.map(render::record).collect();
            // Only with scores, as in the reference, does a quiet list do without title.
            self.parts.push(match request.quiet && request.scores {
                true => Part::Bare(records),
                false => Part::List { title, element, records },
            });
        }
        if !request.quiet {
            let records = summary::summary(cluster);
            self.parts.push(Part::List { title: "Transition Summary", element: "actions", records });
        }
    }

    fn execution(&mut self, mut fake: Fake, cluster: &Cluster, graph: &Graph, request: &Request) {
        let graph = cluster.graph_xml(graph);
        let Executed { records, errors, complete } =
            execute(&graph, cluster, &mut fake, &request.op_fail, request.now_s);
        self.errors.extend(errors);
        self.complete = complete;
        if request.quiet {
            self.parts.push(Part::Notice(Item::List(None, Vec::new())));
        }
        let output = Arc::new(fake.doc);
        self.output = Some(output.clone());
        if request.quiet {
            return;
        }
        self.parts.push(Part::List { title: "Executing Cluster Transition", element: "transition", records });
        let (opts, date) = options(&output, request);
        self.announce(request, date.as_ref());
        // The reference has forgotten by now where its input came from.
        let opts = Options { sanitized: false, ..opts };
        let mut after = Cluster::unpack_shared(output, &opts);
        self.notices(&mut after, request);
        self.parts.push(status(&mut after, true, request));
    }
}
