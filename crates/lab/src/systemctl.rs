//! `systemctl` of a host: the client, and the answers of the supervisor.

use crate::boot::SUPERVISOR_SOCKET;
use crate::control::{self, Answer};
use crate::supervisor::{Activity, Supervisor, describe, is_inside_host, output_file};
use std::path::Path;
use std::time::SystemTime;

const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";
const UNITS: &str = "/lib/systemd/system";
/// Exit status for a unit that does not run.
const NOT_RUNNING: i32 = 3;
/// Exit status for a unit that does not exist, where an action was asked for.
const NOT_FOUND: i32 = 5;
/// Lines of a service's output that `status` shows.
const STATUS_LINES: usize = 10;

/// Entry of the `systemctl` command inside a host.
pub fn systemctl_main(args: Vec<std::ffi::OsString>) -> i32 {
    let words: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    if !is_inside_host() {
        eprintln!("systemctl: this is not a host of a lab; the machine's own systemctl is elsewhere");
        return 1;
    }
    let refs: Vec<&str> = words.iter().map(String::as_str).collect();
    match control::call(Path::new(SUPERVISOR_SOCKET), &refs) {
        Ok(answer) => {
            print!("{}", answer.stdout);
            eprint!("{}", answer.stderr);
            answer.status
        }
        Err(e) => {
            eprintln!("systemctl: the host's supervisor does not answer: {e}");
            1
        }
    }
}

/// What the supervisor does for a command line.
pub(crate) fn answer(supervisor: &Supervisor, words: &[String]) -> Answer {
    let (options, rest): (Vec<&String>, Vec<&String>) = words.iter().partition(|w| w.starts_with('-'));
    let quiet = options.iter().any(|o| matches!(o.as_str(), "-q" | "--quiet"));
    let now = options.iter().any(|o| o.as_str() == "--now");
    let mut rest = rest.into_iter().map(String::as_str);
    let command = rest.next().unwrap_or("list-units");
    let units: Vec<&str> = rest.map(|unit| unit.strip_suffix(".service").unwrap_or(unit)).collect();
    match command {
        "list-units" => list_units(supervisor),
        "list-unit-files" => list_unit_files(supervisor),
        "daemon-reload" | "reset-failed" => Answer::default(),
        "is-system-running" => Answer::ok("running\n"),
        _ if units.is_empty() => Answer::fail(1, "Too few arguments.\n"),
        "is-active" => ask(&units, quiet, NOT_RUNNING, |unit| {
            let activity = supervisor.activity(unit);
            (activity.name().to_owned(), activity == Activity::Active)
        }),
        "is-failed" => ask(&units, quiet, 1, |unit| {
            let activity = supervisor.activity(unit);
            (activity.name().to_owned(), activity == Activity::Failed)
        }),
        "is-enabled" => is_enabled(supervisor, &units, quiet),
        "status" => all(&units, |unit| status(supervisor, unit)),
        "start" | "stop" | "restart" | "try-restart" | "condrestart" | "reload-or-restart" | "reload" => {
            all(&units, |unit| act(supervisor, command, unit))
        }
        "enable" | "disable" => all(&units, |unit| {
            let mut answer = enable(supervisor, command == "enable", unit);
            if now && answer.status == 0 {
                let second = act(supervisor, if command == "enable" { "start" } else { "stop" }, unit);
                answer.status = second.status;
                answer.stderr.push_str(&second.stderr);
            }
            answer
        }),
        other => Answer::fail(1, format!("Unknown command verb {other}.\n")),
    }
}

/// Does the same for each unit; the last failure's status counts.
fn all(units: &[&str], mut one: impl FnMut(&str) -> Answer) -> Answer {
    let mut sum = Answer::default();
    for unit in units {
        let answer = one(unit);
        sum.stdout.push_str(&answer.stdout);
        sum.stderr.push_str(&answer.stderr);
        if answer.status != 0 {
            sum.status = answer.status;
        }
    }
    sum
}

/// A question that is true if it is so for one of the units.
fn ask(units: &[&str], quiet: bool, otherwise: i32, question: impl Fn(&str) -> (String, bool)) -> Answer {
    let answers: Vec<(String, bool)> = units.iter().map(|u| question(u)).collect();
    let status = if answers.iter().any(|(_, yes)| *yes) { 0 } else { otherwise };
    let stdout =
        if quiet { String::new() } else { answers.iter().map(|(text, _)| format!("{text}\n")).collect() };
    Answer { status, stdout, stderr: String::new() }
}

fn is_enabled(supervisor: &Supervisor, units: &[&str], quiet: bool) -> Answer {
    let enabled = Supervisor::enabled();
    if let Some(unknown) = units.iter().find(|u| supervisor.service(u).is_none()) {
        let text =
            format!("Failed to get unit file state for {unknown}.service: No such file or directory\n");
        return Answer::fail(1, if quiet { String::new() } else { text });
    }
    ask(units, quiet, 1, |unit| {
        let yes = enabled.contains(unit);
        ((if yes { "enabled" } else { "disabled" }).to_owned(), yes)
    })
}

fn act(supervisor: &Supervisor, command: &str, unit: &str) -> Answer {
    if supervisor.service(unit).is_none() {
        let verb = command.split('-').next_back().unwrap_or(command);
        let state = if verb == "stop" { "not loaded" } else { "not found" };
        return Answer::fail(
            NOT_FOUND,
            format!("Failed to {verb} {unit}.service: Unit {unit}.service {state}.\n"),
        );
    }
    let running = supervisor.activity(unit) == Activity::Active;
    let outcome = match command {
        "start" => supervisor.start(unit),
        "stop" => supervisor.stop(unit),
        "try-restart" | "condrestart" if !running => Ok(()),
        "reload" => {
            return Answer::fail(
                1,
                format!(
                    "Failed to reload {unit}.service: Job type reload is not applicable for unit {unit}.service.\n"
                ),
            );
        }
        _ => supervisor.restart(unit),
    };
    match outcome {
        Ok(()) => Answer::default(),
        Err(reason) => Answer::fail(
            1,
            format!(
                "Job for {unit}.service failed: {reason}.\nSee \"systemctl status {unit}.service\" and {} for details.\n",
                output_file(unit).display()
            ),
        ),
    }
}

fn enable(supervisor: &Supervisor, on: bool, unit: &str) -> Answer {
    let verb = if on { "enable" } else { "disable" };
    if supervisor.service(unit).is_none() {
        return Answer::fail(1, format!("Failed to {verb} unit: Unit file {unit}.service does not exist.\n"));
    }
    match Supervisor::set_enabled(unit, on) {
        Ok(true) if on => Answer {
            stderr: format!("Created symlink {WANTS}/{unit}.service → {UNITS}/{unit}.service.\n"),
            ..Answer::default()
        },
        Ok(true) => Answer { stderr: format!("Removed \"{WANTS}/{unit}.service\".\n"), ..Answer::default() },
        Ok(false) => Answer::default(),
        Err(e) => Answer::fail(1, format!("Failed to {verb} unit: {e}\n")),
    }
}

fn list_units(supervisor: &Supervisor) -> Answer {
    let mut text = format!("  {:<18} {:<6} {:<8} {:<8} DESCRIPTION\n", "UNIT", "LOAD", "ACTIVE", "SUB");
    let mut count = 0;
    for service in supervisor.services() {
        let activity = supervisor.activity(service.name);
        let sub = match activity {
            Activity::Active => "running",
            Activity::Failed => "failed",
            Activity::Activating => "start",
            Activity::Deactivating => "stop",
            Activity::Inactive => continue,
        };
        count += 1;
        let mark = if activity == Activity::Failed { "●" } else { " " };
        let unit = format!("{}.service", service.name);
        let active = activity.name();
        text.push_str(&format!("{mark} {unit:<18} loaded {active:<8} {sub:<8} {}\n", service.description));
    }
    text.push_str(&format!(
        "\nLOAD   = Reflects whether the unit definition was properly loaded.\n\
         ACTIVE = The high-level unit activation state, i.e. generalization of SUB.\n\
         SUB    = The low-level unit activation state, values depend on unit type.\n{count} loaded units listed.\n"
    ));
    Answer::ok(text)
}

fn list_unit_files(supervisor: &Supervisor) -> Answer {
    let enabled = Supervisor::enabled();
    let mut text = format!("{:<18} {:<8} PRESET\n", "UNIT FILE", "STATE");
    for service in supervisor.services() {
        let state = if enabled.contains(service.name) { "enabled" } else { "disabled" };
        text.push_str(&format!("{:<18} {state:<8} enabled\n", format!("{}.service", service.name)));
    }
    text.push_str(&format!("\n{} unit files listed.\n", supervisor.services().len()));
    Answer::ok(text)
}

fn status(supervisor: &Supervisor, unit: &str) -> Answer {
    let Some(service) = supervisor.service(unit) else {
        return Answer::fail(4, format!("Unit {unit}.service could not be found.\n"));
    };
    let enabled = if Supervisor::enabled().contains(unit) { "enabled" } else { "disabled" };
    let text = supervisor.with_unit(unit, |u| {
        let (mark, sub) = match u.activity {
            Activity::Active => ("●", "running"),
            Activity::Failed => ("×", "failed"),
            _ => ("○", "dead"),
        };
        let mut text = format!("{mark} {unit}.service - {}\n", service.description);
        text.push_str(&format!("     Loaded: loaded ({UNITS}/{unit}.service; {enabled}; preset: enabled)\n"));
        let since = u.since.and_then(|at| SystemTime::now().duration_since(at).ok());
        let since = since.map(|d| format!(" since {}s ago", d.as_secs())).unwrap_or_default();
        text.push_str(&format!("     Active: {} ({sub}){since}\n", u.activity.name()));
        match (u.activity, u.pids.last(), u.last_exit) {
            (Activity::Active, Some(pid), _) => text.push_str(&format!("   Main PID: {pid}\n")),
            (_, _, Some(exit)) => text.push_str(&format!("    Process: {}\n", describe(exit))),
            _ => {}
        }
        (text, u.activity == Activity::Active)
    });
    let (mut text, active) = text.unwrap_or_default();
    let output = std::fs::read(output_file(unit)).unwrap_or_default();
    let output = String::from_utf8_lossy(&output).into_owned();
    let lines: Vec<&str> = output.lines().collect();
    if !lines.is_empty() {
        text.push('\n');
        for line in lines.iter().skip(lines.len().saturating_sub(STATUS_LINES)) {
            text.push_str(&format!("{line}\n"));
        }
    }
    Answer { status: if active { 0 } else { NOT_RUNNING }, stdout: text, stderr: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Stack;

    fn run(words: &[&str]) -> Answer {
        let supervisor = Supervisor::new(crate::services::services(Stack::Relevo));
        answer(&supervisor, &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn questions_about_stopped_and_unknown_units() {
        assert_eq!(
            run(&["is-active", "corosync"]),
            Answer { status: 3, stdout: "inactive\n".into(), stderr: String::new() }
        );
        assert_eq!(run(&["is-active", "-q", "corosync.service"]).stdout, "");
        assert_eq!(
            run(&["start", "nonsense"]).stderr,
            "Failed to start nonsense.service: Unit nonsense.service not found.\n"
        );
        assert_eq!(run(&["start", "nonsense"]).status, 5);
        assert_eq!(run(&["is-enabled", "nonsense"]).status, 1);
        assert_eq!(run(&["status", "pcsd"]).status, 3);
        assert!(run(&["--type=service"]).stdout.contains("0 loaded units listed."));
        assert!(run(&["list-unit-files", "--full"]).stdout.contains("pacemaker.service  disabled"));
        assert_eq!(run(&["explode", "pcsd"]).status, 1);
    }
}
