//! Who watches the machine: a process on each processor, as urgent as the daemons, that sleeps for a moment again and
//! again and says when it was woken late. No program of ours can then be blamed for what it did not do in that time.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SLEEP: Duration = Duration::from_millis(10);
/// The shortest standstill that is worth a line.
const LATE_MIN_MS: u64 = 50;
/// Where in its line the time is that it took, in ms.
const TOOK_WORD: usize = 2;
const DAY_MS: u64 = 86_400_000;

/// The watchers, and the file each line goes to.
pub struct Watch {
    children: Vec<Child>,
    file: PathBuf,
}

impl Watch {
    /// Starts a watcher on each processor; they end by themselves.
    ///
    /// # Errors
    /// No file, or no process.
    pub fn start(time: Duration) -> Result<Self, String> {
        let file = std::env::temp_dir().join(format!("relevo-starve-watch-{}", std::process::id()));
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut watch = Self { children: Vec::new(), file };
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        for processor in 0..processors {
            let log = open(&watch.file)?;
            let mut command = Command::new("taskset");
            command
                .arg("-c")
                .arg(processor.to_string())
                .arg(&this)
                .arg("__watch")
                .arg(time.as_secs().to_string());
            command.stdin(Stdio::null()).stdout(log);
            watch.children.push(command.spawn().map_err(|error| format!("taskset: {error}"))?);
        }
        Ok(watch)
    }

    /// Standstills until now, a line each.
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How many of them were longer than so many milliseconds.
    pub fn longer_than(&self, limit_ms: u64) -> usize {
        let took_ms = |line: &String| line.split(' ').nth(TOOK_WORD).and_then(|word| word.parse().ok());
        self.lines().iter().filter_map(took_ms).filter(|took_ms: &u64| *took_ms > limit_ms).count()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(&self.file);
    }
}

fn open(path: &Path) -> Result<std::fs::File, String> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.map_err(|error| format!("{}: {error}", path.display()))
}

/// One watcher: `[SECONDS]`.
///
/// # Errors
/// A wrong number.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let seconds: Option<u64> = arguments.first().and_then(|text| text.parse().ok());
    let end = sys::clock::monotonic_ms() + 1000 * seconds.ok_or("__watch SECONDS")?;
    // Without the right to it the lines say more, which only makes a run begin anew more often.
    let _ = sys::memory::round_robin(0);
    let mut before = sys::clock::monotonic_ms();
    while before < end {
        std::thread::sleep(SLEEP);
        let now = sys::clock::monotonic_ms();
        let took_ms = now - before;
        if took_ms > LATE_MIN_MS {
            let line =
                format!("{} for {took_ms} ms a processor did not run what is most urgent\n", time_of_day());
            let _ = std::io::stdout().write_all(line.as_bytes());
        }
        before = now;
    }
    Ok(())
}

/// Now, as in the logs: `HH:MM:SS.mmm`, local time.
fn time_of_day() -> String {
    let ms = sys::clock::realtime_ns() / 1_000_000;
    let at_s = i64::try_from(ms / 1000).unwrap_or_default();
    let offset_ms = i64::from(sys::clock::utc_offset_s(at_s)) * 1000;
    let of_day = ms.saturating_add_signed(offset_ms) % DAY_MS;
    let (s, ms) = (of_day / 1000, of_day % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_long_it_took() {
        let file = std::env::temp_dir().join(format!("relevo-watch-test-{}", std::process::id()));
        let text = "10:00:00.000 for 120 ms a\n10:00:01.000 for 900 ms b\nhalf a li";
        std::fs::write(&file, text).expect("a file");
        let watch = Watch { children: Vec::new(), file };
        assert_eq!((watch.longer_than(100), watch.longer_than(120), watch.longer_than(900)), (2, 1, 0));
    }
}
