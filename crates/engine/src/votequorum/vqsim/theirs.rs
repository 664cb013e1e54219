//! The reference's simulator as a child process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant as Clock};

use super::{Script, Verdict, Verdicts};

/// A running simulator.
pub(super) struct Theirs {
    child: std::process::Child,
    lines: Receiver<String>,
    _directory: Directory,
}

/// A directory of its own: the simulator keeps the file of expected_votes_tracking where it runs.
pub(super) struct Directory(std::path::PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What cannot be compared: a node of the simulator died.
pub(super) struct Crashed;

impl Theirs {
    pub(super) fn start(script: &Script, number: usize) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("relevo-vqsim-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        let directory = Directory(path);
        // The simulator refuses names of more than seven characters.
        std::fs::write(directory.0.join("v.conf"), script.config()).expect("writable");
        let mut child = Command::new("corosync-vqsim")
            .args(["-c", "v.conf"])
            .current_dir(&directory.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let stdout = child.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Some(Self { child, lines, _directory: directory })
    }

    pub(super) fn say(&mut self, line: &str) -> Result<(), Crashed> {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).map_err(|_| Crashed)
    }

    /// Everything that the nodes say now: what is between the command's echo and the line about fencing.
    pub(super) fn show(&mut self) -> Result<Verdicts, Crashed> {
        self.say("show")?;
        let mut echoed = false;
        let mut verdicts = Verdicts::new();
        let end = Clock::now() + Duration::from_secs(10);
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Clock::now())) {
            if line.contains("exited on signal") {
                return Err(Crashed);
            }
            echoed |= line.ends_with("> show");
            if !echoed {
                continue;
            }
            if line.contains("autofence:") {
                return Ok(verdicts);
            }
            if let Some((id, verdict)) = parse_verdict(&line) {
                verdicts.insert(id, verdict);
            }
        }
        Err(Crashed)
    }

    /// Waits until the answers stay the same and are found possible, or until time is up.
    /// Err: the last ones, which are not.
    pub(super) fn settle(
        &mut self,
        at_least: Duration,
        mut is_possible: impl FnMut(&Verdicts) -> bool,
    ) -> Result<Result<Verdicts, Verdicts>, Crashed> {
        const PATIENCE: Duration = Duration::from_secs(4);
        const CONFIRM: Duration = Duration::from_millis(60);
        std::thread::sleep(at_least + CONFIRM);
        let end = Clock::now() + PATIENCE;
        let mut seen = self.show()?;
        loop {
            std::thread::sleep(CONFIRM);
            let again = self.show()?;
            let is_steady = again == seen;
            seen = again;
            if is_steady && is_possible(&seen) {
                return Ok(Ok(seen));
            }
            if Clock::now() >= end {
                return Ok(Err(seen));
            }
        }
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // Its nodes end with it only if it is asked.
        if let Some(mut stdin) = self.child.stdin.take() {
            let _ = writeln!(stdin, "exit");
        }
        let end = Clock::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) && Clock::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `0:3: q=1 ring=[1.c] nodes=[1 2 3]`, perhaps behind a prompt.
pub(super) fn parse_verdict(line: &str) -> Option<(u32, Verdict)> {
    let (head, rest) = line.split_once(": q=")?;
    let (partition, id) = head.rsplit(' ').next()?.split_once(':')?;
    let quorate = rest.starts_with('1');
    let (_, nodes) = rest.split_once("nodes=[")?;
    let mut members: Vec<u32> =
        nodes.trim_end_matches(']').split_whitespace().filter_map(|id| id.parse().ok()).collect();
    members.sort_unstable();
    Some((id.parse().ok()?, Verdict { partition: partition.parse().ok()?, quorate, members }))
}
