//! Where the cluster's configuration is read from and written to.

use std::path::PathBuf;

use xml::Document;

/// A CIB could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No manager answers on this node.
    #[error("unable to get cib")]
    NotRunning,
    #[error("{path}: {cause}")]
    File { path: String, cause: String },
    /// The manager's refusal, in its own words.
    #[error("Unable to update cib\n{0}")]
    Refused(String),
    #[error("unable to get cib, {0}")]
    Unreadable(String),
    #[error("this needs the running cluster and cannot be used with '-f'")]
    NeedsCluster,
    #[error("waiting timeout")]
    Timeout,
}

/// A place that holds a CIB.
pub trait Store {
    /// The whole CIB.
    ///
    /// # Errors
    /// When it cannot be reached or is no CIB.
    fn load(&mut self) -> Result<Document, StoreError>;

    /// Brings in what changed between `before` (as loaded) and `after`. Nothing changes on error.
    ///
    /// # Errors
    /// When the place refuses the change or meanwhile has another version.
    fn save(&mut self, before: &Document, after: &Document) -> Result<(), StoreError>;

    /// The running cluster (and not a file).
    fn is_live(&self) -> bool;

    /// Name of the local node, as the manager knows it.
    ///
    /// # Errors
    /// Of a file, or when the manager does not answer.
    fn local_node(&mut self) -> Result<String, StoreError> {
        Err(StoreError::NeedsCluster)
    }

    /// Nodes on which a resource (or any instance of it) is active, sorted.
    ///
    /// # Errors
    /// Of a file, or when the manager does not answer.
    fn running_on(&mut self, _resource: &str) -> Result<Vec<String>, StoreError> {
        Err(StoreError::NeedsCluster)
    }

    /// Waits until the cluster has nothing left to do; `limit_s` in seconds, `None` without limit.
    ///
    /// # Errors
    /// Of a file, when the time is up, or when the manager goes away.
    fn wait_idle(&mut self, _limit_s: Option<u64>) -> Result<(), StoreError> {
        Err(StoreError::NeedsCluster)
    }
}

/// A CIB in memory: what tests and multi-step commands use.
#[derive(Debug)]
pub struct MemoryStore(pub Document);

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Document, StoreError> {
        Ok(self.0.clone())
    }

    fn save(&mut self, _before: &Document, after: &Document) -> Result<(), StoreError> {
        self.0 = after.clone();
        Ok(())
    }

    fn is_live(&self) -> bool {
        false
    }
}

/// A CIB in a file (`pcs -f`).
#[derive(Debug)]
pub struct FileStore(pub PathBuf);

/// The name under which changes are recorded, as the reference's pcs records its own.
pub const CLIENT: &str = "cibadmin";

impl FileStore {
    fn fault(&self, cause: impl std::fmt::Display) -> StoreError {
        StoreError::File { path: self.0.display().to_string(), cause: cause.to_string() }
    }
}

impl Store for FileStore {
    fn load(&mut self) -> Result<Document, StoreError> {
        let bytes = std::fs::read(&self.0).map_err(|e| self.fault(e))?;
        Document::parse_bytes(&bytes).map_err(|e| self.fault(e))
    }

    fn save(&mut self, before: &Document, after: &Document) -> Result<(), StoreError> {
        let mut cib =
            manager_client::Cib::open(CLIENT, Some(self.0.as_os_str())).map_err(|e| self.fault(e))?;
        cib.apply(before, after).map_err(|e| self.fault(e.explained()))
    }

    fn is_live(&self) -> bool {
        false
    }
}
