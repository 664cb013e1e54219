//! Decisions on made configurations of growing size: ours beside the reference's `crm_simulate`.
//!
//! Both get the same files. Times are those of whole processes (start, reading, decision, summary);
//! beside ours stands the decision alone. A run of the reference that takes too long is cut off, and
//! larger cases of its kind are not tried.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use simulate::generate::{Shape, cib};
use sys::poll::Interest;

use super::table::write_section;

/// Names the newer reference's program, if there is one.
const NEWER: &str = "RELEVO_REFERENCE_CRM_SIMULATE";

/// The installed reference.
const INSTALLED: &str = "/usr/sbin/crm_simulate";

/// After this, a run of the reference is cut off.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs of each case; the fastest counts, as the machine only ever makes a run slower. Short ones are repeated more
/// often.
const ROUNDS: usize = 20;
const ROUNDS_MOST: usize = 500;
const ROUNDS_FOR: Duration = Duration::from_millis(600);

/// Runs that take longer are not repeated.
const LONG: Duration = Duration::from_millis(500);

/// Time between looks at the memory of a run that takes longer.
const LONG_LOOK: Duration = Duration::from_millis(20);

/// Measures memory: prints the peak in kilobytes.
const TIME: &str = "/usr/bin/time";

/// Nodes and primitives.
const SIZES: [(usize, usize); 6] = [(2, 5), (8, 200), (16, 500), (16, 1_000), (32, 2_000), (64, 10_000)];

/// What is done to each size.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Scratch,
    Clones,
    Lost,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Scratch, Kind::Clones, Kind::Lost];

    fn text(self) -> &'static str {
        match self {
            Kind::Scratch => "from scratch",
            Kind::Clones => "from scratch, a clone per ten",
            Kind::Lost => "running, one node lost",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        if self == Kind::Lost { &["-R", "-d", "node2"] } else { &["-R"] }
    }
}

/// One program under test.
struct Program {
    title: String,
    path: PathBuf,
    first: &'static [&'static str],
    limit: Option<Duration>,
}

/// What a run of a case gave.
#[derive(Clone, Copy)]
enum Outcome {
    Done { ms: f64, peak_mb: Option<f64> },
    CutOff,
    Failed,
    NotTried,
}

impl Outcome {
    fn ms(self) -> Option<f64> {
        if let Outcome::Done { ms, .. } = self { Some(ms) } else { None }
    }

    fn peak_mb(self) -> Option<f64> {
        if let Outcome::Done { peak_mb, .. } = self { peak_mb } else { None }
    }
}

/// Runs all cases with all programs, prints the table and writes it into the page.
///
/// # Errors
/// When a program or file cannot be used.
pub fn run(program: &Path, page: &Path) -> Result<(), String> {
    let dir = std::env::temp_dir().join(format!("relevo-bench-scheduler-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let result = table(program, &dir);
    // What remains in the temporary directory harms nobody.
    let _ = std::fs::remove_dir_all(&dir);
    let text = result?;
    println!("{text}");
    write_section(page, "scheduler", &text).map_err(|error| format!("{}: {error}", page.display()))
}

fn programs(ours: &Path) -> Vec<Program> {
    let ours = Program { title: "Relevo".into(), path: ours.into(), first: &["crm_simulate"], limit: None };
    let others = [Some(INSTALLED.into()), std::env::var(NEWER).ok()].into_iter().flatten();
    let mut all = vec![ours];
    for path in others.map(|path: String| PathBuf::from(path)) {
        match version(&path) {
            Some(version) => {
                all.push(Program { title: version, path, first: &[], limit: Some(LIMIT) });
            }
            None => eprintln!("LEFT OUT: {} is no program of the reference", path.display()),
        }
    }
    all
}

/// Name and version of the reference, if this is one.
fn version(path: &Path) -> Option<String> {
    let output = Command::new(path).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line =
        text.lines().next().filter(|line| line.starts_with("Pacemaker ") && !line.contains("Relevo"))?;
    Some(line.to_string())
}

fn table(ours: &Path, dir: &Path) -> Result<String, String> {
    let programs = programs(ours);
    let mut text = String::from(
        "### Decisions (`crm_simulate -R`, whole process; fastest run)\n\n| nodes × primitives |",
    );
    for program in &programs {
        let _ = write!(text, " {} ms | MB |", program.title);
        let _ = match program.limit {
            None => write!(text, " decision alone ms |"),
            Some(_) => write!(text, " ratio |"),
        };
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(programs.len() * 3));
    text.push('\n');
    for kind in Kind::ALL {
        let mut tired = vec![false; programs.len()];
        for (nodes, primitives) in SIZES {
            let file = dir.join("case").join("cib.xml");
            make(&programs, &file, kind, Shape { nodes, primitives, clones: kind == Kind::Clones })?;
            let _ = write!(text, "| {nodes} × {primitives}, {} |", kind.text());
            let mut own = None;
            for (program, tired) in programs.iter().zip(&mut tired) {
                eprintln!("  {nodes} × {primitives}, {}: {}", kind.text(), program.title);
                let outcome = if *tired { Outcome::NotTried } else { measure(program, &file, kind)? };
                *tired |= matches!(outcome, Outcome::CutOff);
                text.push_str(&cells(outcome, own));
                if program.limit.is_none() {
                    own = outcome.ms();
                    let _ = write!(text, " {} |", number(alone(program, &file, kind)?));
                }
            }
            text.push('\n');
        }
    }
    text.push_str(&per_pair(&programs, dir)?);
    Ok(text)
}

fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value < 10.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.0}"),
        None => "–".into(),
    }
}

/// Time, memory and, beside ours, the ratio.
fn cells(outcome: Outcome, own: Option<f64>) -> String {
    let time = match outcome {
        Outcome::Done { ms, .. } => number(Some(ms)),
        Outcome::CutOff => format!("cut off after {} s", LIMIT.as_secs()),
        Outcome::Failed => "failed".into(),
        Outcome::NotTried => "not tried".into(),
    };
    let mut text = format!(" {time} | {} |", number(outcome.peak_mb()));
    if let Some(own) = own {
        let ratio = match outcome {
            Outcome::Done { ms, .. } => format!("{:.0}×", ms / own),
            Outcome::CutOff => format!("over {:.0}×", LIMIT.as_secs_f64() * 1000.0 / own),
            Outcome::Failed | Outcome::NotTried => "–".into(),
        };
        let _ = write!(text, " {ratio} |");
    }
    text
}

/// Writes the input of a case. A running cluster is one in which ours carried out a transition.
fn make(programs: &[Program], file: &Path, kind: Kind, shape: Shape) -> Result<(), String> {
    let fault = |error: std::io::Error| format!("{}: {error}", file.display());
    std::fs::create_dir_all(file.parent().unwrap_or(file)).map_err(fault)?;
    std::fs::write(file, cib(shape).to_pretty()).map_err(fault)?;
    let Some(ours) = programs.first().filter(|_| kind == Kind::Lost) else { return Ok(()) };
    let status = start(ours, file, &["-X"])?.wait().map_err(fault)?;
    if status.success() { Ok(()) } else { Err(format!("{}: the transition failed", file.display())) }
}

fn start(program: &Program, file: &Path, arguments: &[&str]) -> Result<std::process::Child, String> {
    let child = Command::new(&program.path)
        .args(program.first)
        .arg("-x")
        .arg(file)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.map_err(|error| format!("{}: {error}", program.path.display()))
}

fn measure(program: &Program, file: &Path, kind: Kind) -> Result<Outcome, String> {
    let (mut best, mut seen_mb): (Option<Duration>, Option<f64>) = (None, None);
    let first = Instant::now();
    for round in 0..ROUNDS_MOST {
        if round >= ROUNDS && first.elapsed() > ROUNDS_FOR {
            break;
        }
        let begin = Instant::now();
        let mut child = start(program, file, kind.arguments())?;
        let end =
            pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(|error| error.to_string())?;
        let mut look = LONG;
        // Sleeping until the end instead of looking for it: looking would take part of a short run's time.
        while sys::poll::wait_one(&end, Interest::READ, Some(look))
            .map_err(|error| error.to_string())?
            .is_none()
        {
            seen_mb = peak_so_far_mb(child.id()).or(seen_mb);
            look = LONG_LOOK;
            if program.limit.is_some_and(|limit| begin.elapsed() > limit) {
                child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
                return Ok(Outcome::CutOff);
            }
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        let time = begin.elapsed();
        if !status.success() {
            eprintln!("  {}: {status}", program.path.display());
            return Ok(Outcome::Failed);
        }
        best = Some(best.map_or(time, |best| best.min(time)));
        if time > LONG {
            break;
        }
    }
    let ms = best.unwrap_or_default().as_secs_f64() * 1000.0;
    Ok(Outcome::Done { ms, peak_mb: seen_mb.or_else(|| peak_mb(program, file, kind)) })
}

/// Peak of a running process's resident memory.
fn peak_so_far_mb(process: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// Peak of resident memory; `None` if it cannot be measured here.
fn peak_mb(program: &Program, file: &Path, kind: Kind) -> Option<f64> {
    let mut command = Command::new(TIME);
    command.args(["-f", "%M"]).arg(&program.path).args(program.first).arg("-x").arg(file);
    let output = command.args(kind.arguments()).stdout(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let kilobytes: f64 = text.lines().last()?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// The decision alone, in ms, as `--profile` times it: a mean over at least half a second.
fn alone(program: &Program, file: &Path, kind: Kind) -> Result<Option<f64>, String> {
    let dir = file.parent().unwrap_or(file);
    if kind == Kind::Lost {
        // Profiles have no events: so the node is lost in the file.
        let status = start(program, file, &["-d", "node2", "-I", &file.display().to_string()])?.wait();
        status.map_err(|error| error.to_string())?;
    }
    // Each profile reads the file once: what one decision more takes is the decision alone.
    let mut more = 1;
    loop {
        let (Some(one), Some(many)) = (profile_s(program, dir, 1)?, profile_s(program, dir, 1 + more)?)
        else {
            return Ok(None);
        };
        let seconds = many - one;
        if seconds >= 0.5 || more >= 1_000 {
            return Ok(Some(seconds * 1000.0 / f64::from(more)));
        }
        more *= 10;
    }
}

/// How long `--profile` says that reading a file and deciding on it so many times takes.
fn profile_s(program: &Program, dir: &Path, times: u32) -> Result<Option<f64>, String> {
    let output = Command::new(&program.path)
        .args(program.first)
        .args(["--output-as=xml", "-N", &times.to_string(), "-P"])
        .arg(dir)
        .output()
        .map_err(|error| format!("{}: {error}", program.path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts = text.split("duration=\"").skip(1);
    Ok(parts.next().and_then(|rest| rest.split('"').next()?.parse().ok()))
}

/// What another node costs for each resource: from the difference of two runs.
fn per_pair(programs: &[Program], dir: &Path) -> Result<String, String> {
    const PRIMITIVES: usize = 5_000;
    const NODES: (usize, usize) = (32, 64);
    let mut text = String::from("\nMemory for each pair of a node and a resource, by growth from ");
    let _ = write!(text, "{} to {} nodes with {PRIMITIVES} primitives from scratch:", NODES.0, NODES.1);
    let Some(ours) = programs.first() else { return Ok(String::new()) };
    let file = dir.join("case").join("cib.xml");
    let peak = |nodes: usize| {
        make(programs, &file, Kind::Scratch, Shape { nodes, primitives: PRIMITIVES, clones: false })?;
        Ok::<_, String>(peak_mb(ours, &file, Kind::Scratch))
    };
    let (Some(few), Some(many)) = (peak(NODES.0)?, peak(NODES.1)?) else {
        return Ok(format!("{text} not measured (no {TIME} here).\n"));
    };
    let pairs = ((NODES.1 - NODES.0) * PRIMITIVES) as f64;
    let _ = writeln!(text, " {:.0} bytes.", (many - few) * 1_048_576.0 / pairs);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_times_and_ratios() {
        let done = Outcome::Done { ms: 200.0, peak_mb: Some(3.0) };
        assert_eq!(cells(done, Some(2.0)), " 200 | 3.00 | 100× |");
        assert_eq!(cells(Outcome::NotTried, None), " not tried | – |");
        let own_ms = LIMIT.as_secs_f64() * 1000.0 / 500.0;
        assert!(cells(Outcome::CutOff, Some(own_ms)).contains("over 500×"));
    }
}
