//! The tutorial, run as a person types it and checked step by step.

mod check;
mod steps;
mod terminal;

use crate::api::{Lab, LabOptions};
use crate::error::Result;
use crate::layout::{Layout, Stack};
use crate::watch::{WatchOptions, WatchReport};
use check::Check;
use std::path::Path;
use std::time::{Duration, Instant};
use sys::signal::{SIGHUP, SIGINT, SIGTERM};
use terminal::Typing;

/// Lines of a command's output that are shown.
const SHOWN_LINES: usize = 48;
/// Longest time that a measured step is watched.
const WATCH_SECONDS: u64 = 120;
/// A watch goes on this long after the check has passed, to see late gaps.
const WATCH_TAIL: Duration = Duration::from_millis(300);

/// What a step does.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// A command line in a host.
    Run(&'static str, &'static str),
    /// The same, on a terminal, with what is typed into it.
    Type(&'static str, &'static str, &'static [Typing]),
    /// A command of the lab itself.
    Lab(&'static [&'static str]),
}

/// Which stacks a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Both,
    /// Where our tools are meant to do more than the reference.
    Ours,
    Reference,
}

/// One step of the tour.
#[derive(Clone, Copy, Debug)]
struct Step {
    action: Action,
    check: Check,
    /// How long the check is repeated until it passes; output checks repeat the command.
    patience: Duration,
    /// Measures the blackout of the floating address; the name for the summary.
    measured: Option<&'static str>,
    on: On,
    /// Without it the rest makes no sense: the tour ends if it fails.
    essential: bool,
}

#[derive(Debug)]
enum Item {
    Title(&'static str),
    Step(Step),
}

/// Outcome of a command.
#[derive(Clone, Debug, Default)]
struct Outcome {
    status: i32,
    text: String,
}

struct Tour<'a> {
    lab: &'a Lab,
    passed: usize,
    failed: Vec<String>,
    blackouts: Vec<(&'static str, WatchReport)>,
}

/// Runs the tour in a lab of its own and returns the exit status: 0 if every check passed. With `keep` a lab in which
/// something failed stays up, to be looked at.
pub(crate) fn run(program: &Path, stack: Stack, keep: bool) -> Result<i32> {
    let start = Instant::now();
    // Before any thread is made, so that all of them leave these signals to the one that waits.
    let signals = sys::SignalFd::new(&[SIGINT, SIGTERM, SIGHUP]);
    let mut dir = Layout::usual().dir.into_os_string();
    dir.push("-tour");
    println!("$ relevo lab up    # {stack}");
    let lab = Lab::up(&LabOptions { stack, dir: Some(dir.into()), ..LabOptions::new(program) })?;
    if let Ok(signals) = signals {
        take_down_when_interrupted(lab.clone(), signals);
    }
    let mut tour = Tour { lab: &lab, passed: 0, failed: Vec::new(), blackouts: Vec::new() };
    for item in steps::steps() {
        match item {
            Item::Title(title) => println!("\n=== {title} ===\n"),
            Item::Step(step) => {
                let ours = lab.plan().stack != Stack::Reference;
                let meant = step.on == On::Both || (step.on == On::Ours) == ours;
                if meant && !tour.step(&step) && step.essential {
                    println!("The rest needs this step; the tour ends here.\n");
                    break;
                }
            }
        }
    }
    let status = tour.summary(start.elapsed());
    if keep && status != 0 {
        println!(
            "  The lab is still up: export {}={}",
            crate::layout::DIRECTORY_VARIABLE,
            lab.dir().display()
        );
    } else {
        lab.down()?;
    }
    Ok(status)
}

fn take_down_when_interrupted(lab: Lab, signals: sys::SignalFd) {
    std::thread::spawn(move || {
        if sys::poll::wait_one(&signals, sys::Interest::READ, None).is_ok() {
            eprintln!("\ninterrupted; taking the lab down");
            let _ = lab.down();
            std::process::exit(130);
        }
    });
}

impl Tour<'_> {
    /// Runs and judges a step; true if its check passed.
    fn step(&mut self, step: &Step) -> bool {
        let (prompt, command) = match step.action {
            Action::Run(host, line) | Action::Type(host, line, _) => (format!("{host}:~# "), line.to_owned()),
            Action::Lab(words) => ("$ relevo lab ".to_owned(), words.join(" ")),
        };
        println!("{prompt}{command}");
        let watch = step.measured.and_then(|_| {
            self.lab
                .watch(&WatchOptions { seconds: WATCH_SECONDS, interval_ms: 1, ..WatchOptions::default() })
                .ok()
        });
        if watch.is_some() {
            // So that the watch has seen the address before it goes away.
            std::thread::sleep(WATCH_TAIL);
        }
        let (outcome, verdict) = self.act_until_checked(step);
        let report = watch.and_then(|watch| {
            std::thread::sleep(WATCH_TAIL);
            watch.finish().ok()
        });
        show(&outcome);
        let passed = verdict.is_ok();
        self.judge(&command, step, report, verdict);
        passed
    }

    fn act_until_checked(&self, step: &Step) -> (Outcome, std::result::Result<(), String>) {
        let start = Instant::now();
        let mut outcome = self.act(&step.action);
        loop {
            let verdict = step.check.judge(self.lab, &outcome);
            if verdict.is_ok() || start.elapsed() > step.patience {
                return (outcome, verdict);
            }
            std::thread::sleep(Duration::from_millis(20));
            if step.check.repeats_command() {
                outcome = self.act(&step.action);
            }
        }
    }

    fn act(&self, action: &Action) -> Outcome {
        let outcome = match action {
            Action::Run(host, line) => self.lab.shell(host, line).map(|output| {
                let (stdout, stderr) =
                    (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
                Outcome { status: output.status.code().unwrap_or(1), text: format!("{stderr}{stdout}") }
            }),
            Action::Type(host, line, typing) => {
                terminal::run(self.lab, host, line, typing).map(|(status, text)| Outcome { status, text })
            }
            Action::Lab(words) => self.order(words).map(|()| Outcome::default()),
        };
        outcome.unwrap_or_else(|e| Outcome { status: 1, text: format!("relevo lab: {e}\n") })
    }

    fn order(&self, words: &[&str]) -> Result<()> {
        match words {
            ["dns", state] => crate::cli::set_dns(self.lab, *state == "on"),
            ["kill", host] => self.lab.kill(host),
            ["boot", host] => self.lab.boot(host),
            _ => Err(crate::Error::Failed(format!("no such step: {words:?}"))),
        }
    }

    fn judge(
        &mut self,
        command: &str,
        step: &Step,
        report: Option<WatchReport>,
        verdict: std::result::Result<(), String>,
    ) {
        let blackout =
            report.as_ref().map(|r| format!(" · blackout {:.1} ms", r.longest_gap_us() as f64 / 1000.0));
        match verdict {
            Ok(()) => {
                self.passed += 1;
                println!("  ✓ {}{}\n", step.check.describe(), blackout.unwrap_or_default());
            }
            Err(reason) => {
                println!("  ✗ {}: {reason}\n", step.check.describe());
                self.failed.push(format!("{command}: {reason}"));
            }
        }
        if let (Some(name), Some(report)) = (step.measured, report) {
            self.blackouts.push((name, report));
        }
    }

    fn summary(&self, took: Duration) -> i32 {
        println!("=== Summary ===\n");
        for (name, report) in &self.blackouts {
            println!("  {name:<44} blackout {:>9.1} ms", report.longest_gap_us() as f64 / 1000.0);
        }
        println!(
            "  {} checks passed, {} failed, in {:.1} s",
            self.passed,
            self.failed.len(),
            took.as_secs_f64()
        );
        for failure in &self.failed {
            println!("  ✗ {failure}");
        }
        i32::from(!self.failed.is_empty())
    }
}

fn show(outcome: &Outcome) {
    let lines: Vec<&str> = outcome.text.lines().collect();
    for line in lines.iter().take(SHOWN_LINES) {
        println!("{line}");
    }
    if lines.len() > SHOWN_LINES {
        println!("… {} more lines", lines.len() - SHOWN_LINES);
    }
    if outcome.status != 0 {
        println!("[exit status {}]", outcome.status);
    }
}
