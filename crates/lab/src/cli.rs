//! The command line of `relevo lab`.

use crate::api::{Lab, LabOptions};
use crate::error::{Context, Error, Result};
use crate::files::resolver_file;
use crate::layout::{DEFAULT_NODES, Layout, Stack};
use crate::watch::{self, Format, WatchOptions};
use std::ffi::OsString;
use std::path::PathBuf;

const HELP: &str = "\
usage: relevo lab COMMAND

  up [--nodes N] [--stack relevo|reference] [--engine relevo|reference]
                        make the hosts host, dns, nodo1 … nodoN and switch them on
  down                  take everything down
  status                hosts, addresses, states
  shell HOST            a shell in a host
  exec HOST -- CMD…     run a command in a host; output and exit status pass through
  cut HOST | heal HOST  unplug, plug in the cable at the switch
  kill HOST | boot HOST power cut, power on
  freeze HOST | thaw HOST   stop and continue all processes of a host
  loss HOST PERCENT     lose a share of its frames (0: none)
  watch ADDR [--seconds N] [--interval-ms N] [--json]
                        ping from `host` and report each gap, and which MAC answers
  web [PORT]            forward 127.0.0.1:PORT (default 2224) to port 2224 of the floating address
  dns on|off            resolve names in `host` through the lab's name server, or not
  tour [--stack relevo|reference] [--engine relevo|reference] [--keep]
                        run the whole tutorial in a lab of its own, checked step by step;
                        --keep leaves the lab up if something failed

The lab is kept in $RELEVO_LAB_DIR, else in /run/relevo-lab (root) or $XDG_RUNTIME_DIR/relevo-lab.
";

/// Exit status for a command line that is not understood.
const STATUS_USAGE: i32 = 2;

/// Entry of `relevo lab`; the words after `lab`. Returns the exit status.
pub fn main(args: Vec<OsString>) -> i32 {
    let words: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let refs: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&refs, &args) {
        Ok(status) => status,
        Err(e @ Error::Usage(_)) => {
            eprintln!("relevo lab: {e}");
            STATUS_USAGE
        }
        Err(e) => {
            eprintln!("relevo lab: {e}");
            1
        }
    }
}

fn run(words: &[&str], raw: &[OsString]) -> Result<i32> {
    match words {
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(0)
        }
        [] => Err(Error::Usage(format!("what to do?\n{HELP}"))),
        ["__keeper"] => crate::keeper::run(Layout::usual()).map(|()| 0),
        ["__boot", host] => {
            // The keeper reads standard output; standard error stays with the host for good.
            let outcome = crate::boot::boot(&Layout::usual(), host);
            println!("{}", outcome.as_ref().map_or_else(|e| format!("error {e}"), |pid| pid.to_string()));
            Ok(i32::from(outcome.is_err()))
        }
        ["__init", host, plan] => crate::init::run(host, plan).map(|()| 0),
        ["__addresses"] => crate::inside::addresses().map(|()| 0),
        ["__neighbours"] => crate::inside::neighbours().map(|()| 0),
        ["__terminal", ..] => crate::inside::on_terminal(raw.get(1..).unwrap_or_default()).map(|()| 0),
        ["up", options @ ..] => up(options),
        ["down"] => Lab::attach(None)?.down().map(|()| 0),
        ["status"] => status(),
        ["shell", host] => shell(host),
        ["exec", host, rest @ ..] => exec(host, rest, raw),
        ["cut", host] => Lab::attach(None)?.cut(host).map(|()| 0),
        ["heal", host] => Lab::attach(None)?.heal(host).map(|()| 0),
        ["kill", host] => Lab::attach(None)?.kill(host).map(|()| 0),
        ["boot", host] => Lab::attach(None)?.boot(host).map(|()| 0),
        ["freeze", host] => Lab::attach(None)?.freeze(host).map(|()| 0),
        ["thaw", host] => Lab::attach(None)?.thaw(host).map(|()| 0),
        ["loss", host, percent] => loss(host, percent),
        ["watch", address, options @ ..] => watch_address(address, options),
        ["web"] => crate::web::forward(&Lab::attach(None)?, crate::services::PCSD_PORT).map(|()| 0),
        ["web", port] => {
            let port = port.parse().map_err(|_| Error::Usage(format!("{port} is not a port")))?;
            crate::web::forward(&Lab::attach(None)?, port).map(|()| 0)
        }
        ["dns", state @ ("on" | "off")] => dns(*state == "on"),
        ["tour", options @ ..] => {
            let keep = options.contains(&"--keep");
            let options: Vec<&str> = options.iter().copied().filter(|o| *o != "--keep").collect();
            let (_, stack) = up_options(&options)?;
            crate::tour::run(&own_program()?, stack, keep)
        }
        [other, ..] => Err(Error::Usage(unknown(other))),
    }
}

fn unknown(word: &str) -> String {
    const COMMANDS: [&str; 15] = [
        "up", "down", "status", "shell", "exec", "cut", "heal", "kill", "boot", "freeze", "thaw", "loss",
        "watch", "web", "tour",
    ];
    if COMMANDS.contains(&word) || word == "dns" {
        return format!("wrong number of words after {word}\n{HELP}");
    }
    let near = COMMANDS.iter().find(|c| c.starts_with(word) || word.starts_with(**c));
    let hint = near.map(|c| format!(" (did you mean {c}?)")).unwrap_or_default();
    format!("unknown command {word}{hint}; see relevo lab help")
}

/// Path of the running program.
fn own_program() -> Result<PathBuf> {
    std::env::current_exe().context(|| "cannot find the running program".into())
}

fn up_options(options: &[&str]) -> Result<(u8, Stack)> {
    let (mut nodes, mut stack, mut engine) = (DEFAULT_NODES, Stack::Relevo, Stack::Relevo);
    let mut rest = options.iter();
    let choice = |option: &str, value: Option<&&str>, other: Stack| match value {
        Some(&"relevo") => Ok(Stack::Relevo),
        Some(&"reference") => Ok(other),
        _ => Err(Error::Usage(format!("{option} takes relevo or reference"))),
    };
    while let Some(option) = rest.next() {
        match *option {
            "--nodes" => {
                let number = rest
                    .next()
                    .and_then(|n| n.parse().ok())
                    .filter(|n| (1..=crate::layout::MAX_NODES).contains(n));
                nodes = number.ok_or_else(|| {
                    Error::Usage(format!("--nodes takes a number from 1 to {}", crate::layout::MAX_NODES))
                })?;
            }
            "--stack" => stack = choice("--stack", rest.next(), Stack::Reference)?,
            "--engine" => engine = choice("--engine", rest.next(), Stack::ReferenceEngine)?,
            other => return Err(Error::Usage(format!("unknown option {other}"))),
        }
    }
    Ok((nodes, if stack == Stack::Relevo { engine } else { stack }))
}

fn up(options: &[&str]) -> Result<i32> {
    let (nodes, stack) = up_options(options)?;
    let lab = Lab::up(&LabOptions { nodes, stack, ..LabOptions::new(own_program()?) })?;
    let names: Vec<String> = lab.plan().hosts().iter().map(|h| h.name.clone()).collect();
    println!("up: {} ({stack}); next: relevo lab shell nodo1", names.join(", "));
    Ok(0)
}

fn status() -> Result<i32> {
    let lab = Lab::attach(None)?;
    println!("{} in {}", lab.plan().stack, lab.dir().display());
    for line in lab.status()?.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if let [name, address, mac, state] = fields.as_slice() {
            println!("  {name:<20} {address:<14} {mac}  {state}");
        }
    }
    Ok(0)
}

fn shell(name: &str) -> Result<i32> {
    let lab = Lab::attach(None)?;
    let (host, pid) = (lab.plan().host(name)?, lab.pid(name)?);
    crate::enter::shell(&host, pid)
}

fn exec(name: &str, rest: &[&str], raw: &[OsString]) -> Result<i32> {
    let lab = Lab::attach(None)?;
    let (host, pid) = (lab.plan().host(name)?, lab.pid(name)?);
    // Words after `exec HOST`, and after `--` if it is there, as they were given (not only UTF-8).
    let skip = if rest.first() == Some(&"--") { 3 } else { 2 };
    crate::enter::exec(&host, pid, raw.get(skip..).unwrap_or_default())
}

fn loss(host: &str, percent: &str) -> Result<i32> {
    let number = percent.trim_end_matches('%').trim().parse();
    let number = number.map_err(|_| Error::Usage(format!("{percent} is not a number")))?;
    Lab::attach(None)?.loss(host, number).map(|()| 0)
}

fn watch_address(address: &str, options: &[&str]) -> Result<i32> {
    let lab = Lab::attach(None)?;
    let address = address.parse().map_err(|_| Error::Usage(format!("{address} is not an IPv4 address")))?;
    let mut watch = WatchOptions { address, ..WatchOptions::default() };
    let mut format = Format::Text;
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let mut number = |range: std::ops::RangeInclusive<u64>| {
            let value = rest.next().and_then(|n| n.parse().ok()).filter(|n| range.contains(n));
            value.ok_or_else(|| {
                Error::Usage(format!("{option} takes a number from {} to {}", range.start(), range.end()))
            })
        };
        match *option {
            "--seconds" => watch.seconds = number(1..=86_400)?,
            "--interval-ms" => watch.interval_ms = number(1..=1000)?,
            "--json" => format = Format::Json,
            "--lines" => format = Format::Lines,
            other => return Err(Error::Usage(format!("unknown option {other}"))),
        }
    }
    watch::run(&lab, &watch, format).map(|()| 0)
}

/// Switches the name server of `host`, by writing its resolver configuration.
fn dns(on: bool) -> Result<i32> {
    let lab = Lab::attach(None)?;
    set_dns(&lab, on)?;
    println!("host resolves {}", if on { "through dns.example.com" } else { "through /etc/hosts only" });
    Ok(0)
}

pub(crate) fn set_dns(lab: &Lab, on: bool) -> Result<()> {
    let host = lab.plan().host("host")?;
    let file = Layout { dir: lab.dir().to_owned() }.host_dir(&host).join("etc/resolv.conf");
    let text = if on { resolver_file(lab.plan()) } else { String::new() };
    std::fs::write(&file, text).context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_up() {
        assert_eq!(up_options(&[]).unwrap(), (2, Stack::Relevo));
        assert_eq!(
            up_options(&["--nodes", "5", "--engine", "reference"]).unwrap(),
            (5, Stack::ReferenceEngine)
        );
        assert_eq!(up_options(&["--stack", "reference"]).unwrap(), (2, Stack::Reference));
        assert!(up_options(&["--nodes", "0"]).is_err());
        assert!(up_options(&["--nodes", "65"]).is_err());
        assert!(up_options(&["--stack", "other"]).is_err());
        assert!(up_options(&["--nonsense"]).is_err());
        assert!(unknown("sta").contains("status"));
    }
}
