//! Log lines in the reference's form, written by a thread of their own so that a slow disk delays
//! nothing else.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

/// Lines that may wait for the disk; more are counted and dropped.
const MAX_QUEUED: usize = 4_096;

/// A handle for writing; cheap to copy.
#[derive(Clone)]
pub struct Log {
    lines: SyncSender<String>,
    host: String,
    also_stderr: bool,
}

impl Log {
    /// Starts the writer. Without a usable file only standard error is written (if asked for).
    pub fn start(path: PathBuf, host: &str, also_stderr: bool) -> Log {
        let (lines, receiver) = sync_channel::<String>(MAX_QUEUED);
        std::thread::spawn(move || {
            if let Some(parent) = path.parent() {
                let _ = std::fs::create_dir_all(parent);
            }
            let mut file = OpenOptions::new().create(true).append(true).open(&path).ok();
            while let Ok(line) = receiver.recv() {
                if let Some(file) = file.as_mut() {
                    let _ = file.write_all(line.as_bytes());
                }
            }
        });
        Log { lines, host: host.to_string(), also_stderr }
    }

    pub fn line(&self, daemon: &str, level: &str, text: &str) {
        let now = jiff::Zoned::now();
        let line = format!(
            "{} {} {:<20}[{}] {level}: {text}\n",
            now.strftime("%b %d %H:%M:%S%.3f"),
            self.host,
            daemon,
            std::process::id()
        );
        if self.also_stderr {
            eprint!("{line}");
        }
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            // Dropped: waiting here would hold up the cluster for a log line.
        }
    }

    pub fn notice(&self, daemon: &str, text: &str) {
        self.line(daemon, "notice", text);
    }

    pub fn error(&self, daemon: &str, text: &str) {
        self.line(daemon, "error", text);
    }
}
