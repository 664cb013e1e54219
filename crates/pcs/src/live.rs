//! The running cluster's configuration, through the manager on this node.

use std::time::{Duration, Instant};

use manager_client::{Cib, Controller, Error};
use xml::Document;

use crate::store::{CLIENT, Store, StoreError};

/// Connected when first used.
#[derive(Debug, Default)]
pub struct LiveStore {
    cib: Option<Cib>,
}

/// How often to look whether the cluster has settled.
const IDLE_POLL: Duration = Duration::from_millis(50);
/// How many looks in a row must find it at rest.
const IDLE_POLLS: u32 = 6;

impl LiveStore {
    fn cib(&mut self) -> Result<&mut Cib, Error> {
        match self.cib {
            Some(ref mut cib) => Ok(cib),
            None => Ok(self.cib.insert(Cib::open(CLIENT, None)?)),
        }
    }
}

fn unreadable(error: Error) -> StoreError {
    match error {
        Error::NotConnected => StoreError::NotRunning,
        other => StoreError::Unreadable(other.to_string()),
    }
}

impl Store for LiveStore {
    fn load(&mut self) -> Result<Document, StoreError> {
        self.cib().and_then(|cib| cib.query(None, 0)).map_err(unreadable)
    }

    fn save(&mut self, before: &Document, after: &Document) -> Result<(), StoreError> {
        let result = self.cib().and_then(|cib| cib.apply(before, after));
        result.map_err(|error| match error {
            Error::NotConnected => StoreError::NotRunning,
            other => StoreError::Refused(other.explained()),
        })
    }

    fn is_live(&self) -> bool {
        true
    }

    fn local_node(&mut self) -> Result<String, StoreError> {
        let info = Controller::open("pcs").and_then(|mut c| c.node_info(None)).map_err(unreadable)?;
        info.name.ok_or_else(|| StoreError::Unreadable("the local node has no name yet".into()))
    }

    fn running_on(&mut self, resource: &str) -> Result<Vec<String>, StoreError> {
        let cib = self.load()?;
        Ok(crate::model::state::running_on(&cib, resource))
    }

    fn wait_idle(&mut self, limit_s: Option<u64>) -> Result<(), StoreError> {
        let deadline = limit_s.map(|s| Instant::now() + Duration::from_secs(s));
        let mut controller = Controller::open("pcs").map_err(unreadable)?;
        // The change must have reached the DC before its idleness means anything.
        let mut quiet = 0;
        loop {
            std::thread::sleep(IDLE_POLL);
            let idle = controller.ping(None).map_err(unreadable)?.state == "S_IDLE";
            quiet = if idle { quiet + 1 } else { 0 };
            if quiet >= IDLE_POLLS {
                return Ok(());
            }
            if deadline.is_some_and(|d| Instant::now() >= d) {
                return Err(StoreError::Timeout);
            }
        }
    }
}
