//! What a command works with: its options, the configuration, the files of this node, and where
//! its messages go.

use std::path::PathBuf;

use xml::Document;

use crate::options::Options;
use crate::report::{Failure, Issue, Issues, Message, Outcome, Sink};
use crate::store::{Store, StoreError};

/// Files of this node that commands read and write.
#[derive(Debug, Clone)]
pub struct Paths {
    pub corosync_conf: PathBuf,
    pub corosync_authkey: PathBuf,
    pub pacemaker_authkey: PathBuf,
    pub known_hosts: PathBuf,
    pub cib_dir: PathBuf,
    /// Roots of OCF agents (`<root>/<provider>/<type>`).
    pub ocf_dirs: Vec<PathBuf>,
}

impl Default for Paths {
    fn default() -> Self {
        Paths {
            corosync_conf: "/etc/corosync/corosync.conf".into(),
            corosync_authkey: "/etc/corosync/authkey".into(),
            pacemaker_authkey: "/etc/pacemaker/authkey".into(),
            known_hosts: "/var/lib/pcsd/known-hosts".into(),
            cib_dir: "/var/lib/pacemaker/cib".into(),
            ocf_dirs: vec!["/usr/lib/ocf/resource.d".into()],
        }
    }
}

/// State of one command line.
pub struct Context<'a> {
    pub options: Options,
    pub paths: Paths,
    pub store: Box<dyn Store + 'a>,
    pub sink: &'a mut dyn Sink,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Context<'_> {
    pub fn message(&mut self, message: Message) {
        self.sink.take(message);
    }

    pub fn output(&mut self, text: impl Into<String>) {
        self.sink.take(Message::Output(text.into()));
    }

    /// Lines of a result; nothing at all when there are none.
    pub fn lines(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            self.output(lines.join("\n"));
        }
    }

    pub fn info(&mut self, text: impl Into<String>) {
        self.sink.take(Message::Info(text.into()));
    }

    /// Text for standard error as it is (usage).
    pub fn error_text(&mut self, text: &str) {
        self.sink.take(Message::Info(text.to_string()));
    }

    pub fn warn(&mut self, text: impl Into<String>) {
        self.sink.take(Message::Warning(text.into()));
    }

    pub fn deprecated(&mut self, text: impl Into<String>) {
        self.sink.take(Message::Deprecation(text.into()));
    }

    pub fn force(&self) -> bool {
        self.options.force()
    }

    /// Ends validation: see [`Issues::settle`].
    ///
    /// # Errors
    /// The issues that `--force` does not lift.
    pub fn settle(&mut self, issues: Issues) -> Outcome {
        issues.settle(self.options.force(), self.sink)
    }

    /// # Errors
    /// When the configuration cannot be read.
    pub fn load(&mut self) -> Result<Document, Failure> {
        self.store.load().map_err(store_failure)
    }

    /// # Errors
    /// When the cluster refuses the change.
    pub fn save(&mut self, before: &Document, after: &Document) -> Outcome {
        self.store.save(before, after).map_err(store_failure)
    }

    /// Loads the configuration, lets `change` work on it, and saves it.
    ///
    /// # Errors
    /// Of reading, of `change` (nothing is saved then), or of saving.
    pub fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Self, &mut Document) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let before = self.load()?;
        let mut after = before.clone();
        let result = change(self, &mut after)?;
        self.save(&before, &after)?;
        Ok(result)
    }

    /// # Errors
    /// When the command works on a file.
    pub fn need_live(&self) -> Outcome {
        if self.store.is_live() {
            return Ok(());
        }
        Err(Failure::issue(Issue::new(
            "This command does not support passing '-f': it needs the running cluster",
        )))
    }
}

fn store_failure(error: StoreError) -> Failure {
    Failure::Error(error.to_string())
}

/// How long to wait for the cluster to settle after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    No,
    /// Without a limit.
    Forever,
    Seconds(u64),
}

impl Context<'_> {
    /// The meaning of `--wait[=n]`.
    ///
    /// # Errors
    /// For a time that is malformed, or on a file.
    pub fn wait_limit(&self) -> Result<Wait, Failure> {
        let wait = match self.options.wait() {
            None => return Ok(Wait::No),
            Some(None) => Wait::Forever,
            Some(Some(text)) => match crate::words::seconds(text) {
                Some(0) => Wait::Forever,
                Some(s) => Wait::Seconds(s),
                None => {
                    let text = format!("'{text}' is not a valid number of seconds to wait");
                    return Err(Failure::issue(Issue::new(text)));
                }
            },
        };
        if !self.store.is_live() {
            return Err(Failure::issue(Issue::new("Cannot use '-f' together with '--wait'")));
        }
        Ok(wait)
    }

    /// Waits until the cluster has nothing left to do.
    ///
    /// # Errors
    /// When the time is up first.
    pub fn settle_wait(&mut self, wait: Wait) -> Outcome {
        let limit_s = match wait {
            Wait::No => return Ok(()),
            Wait::Forever => {
                self.info("Waiting for the cluster to apply configuration changes...");
                None
            }
            Wait::Seconds(s) => {
                let plural = if s == 1 { "" } else { "s" };
                self.info(format!(
                    "Waiting for the cluster to apply configuration changes (timeout: {s} second{plural})..."
                ));
                Some(s)
            }
        };
        self.store.wait_idle(limit_s).map_err(store_failure)
    }

    /// Name of the node that this command runs on.
    ///
    /// # Errors
    /// When the command works on a file or the manager does not answer.
    pub fn local_node(&mut self) -> Result<String, Failure> {
        self.store.local_node().map_err(store_failure)
    }
}
