//! The three counters of a CIB: admin_epoch, epoch, num_updates.

use std::fmt;

use xml::{Document, Element};

/// Age of a CIB: the first counter that differs decides which of two is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    pub admin_epoch: u32,
    pub epoch: u32,
    pub num_updates: u32,
}

impl Version {
    /// Missing or unreadable counters are 0.
    pub fn of(cib: Element<'_>) -> Version {
        let counter = |name| cib.attr(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        Version {
            admin_epoch: counter("admin_epoch"),
            epoch: counter("epoch"),
            num_updates: counter("num_updates"),
        }
    }

    pub fn write(self, cib: &mut Document) {
        let root = cib.root();
        cib.set_attr(root, "epoch", &self.epoch.to_string());
        cib.set_attr(root, "num_updates", &self.num_updates.to_string());
        cib.set_attr(root, "admin_epoch", &self.admin_epoch.to_string());
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.admin_epoch, self.epoch, self.num_updates)
    }
}

/// The configuration that a cluster starts with.
pub fn empty_cib() -> Document {
    let mut cib = Document::new("cib");
    let root = cib.root();
    cib.set_attr(root, "crm_feature_set", base::CRM_FEATURE_SET);
    cib.set_attr(root, "validate-with", base::CURRENT_SCHEMA);
    Version::default().write(&mut cib);
    let configuration = cib.append(root, "configuration");
    for section in ["crm_config", "nodes", "resources", "constraints"] {
        cib.append(configuration, section);
    }
    cib.append(root, "status");
    cib
}
