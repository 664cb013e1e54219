//! Names of sections and where they stand.

use xml::{Document, NodeId};

/// Sections that a request may name, with their parents' names from the root.
pub const SECTIONS: &[(&str, &[&str])] = &[
    ("status", &["cib"]),
    ("configuration", &["cib"]),
    ("crm_config", &["cib", "configuration"]),
    ("nodes", &["cib", "configuration"]),
    ("resources", &["cib", "configuration"]),
    ("constraints", &["cib", "configuration"]),
    ("op_defaults", &["cib", "configuration"]),
    ("rsc_defaults", &["cib", "configuration"]),
    ("acls", &["cib", "configuration"]),
    ("fencing-topology", &["cib", "configuration"]),
    ("tags", &["cib", "configuration"]),
    ("alerts", &["cib", "configuration"]),
];

/// Names from the root to a section's parent; `None` for an unknown section.
pub fn parent_of(section: &str) -> Option<&'static [&'static str]> {
    SECTIONS.iter().find(|(name, _)| *name == section).map(|(_, parents)| *parents)
}

/// The section's element. No name, "all" and "cib" mean the whole document.
/// `None` when the section is unknown or not there.
pub fn section_path(cib: &Document, section: Option<&str>) -> Option<NodeId> {
    let name = match section {
        None | Some("" | "all" | "cib") => return Some(cib.root()),
        Some(name) => name,
    };
    let parents = parent_of(name)?;
    let parent = parents.iter().skip(1).try_fold(cib.root(), |at, step| cib.child(at, step))?;
    cib.child(parent, name)
}

/// The section's element, made with its parents when missing.
pub(crate) fn section_or_create(cib: &mut Document, section: Option<&str>) -> Option<NodeId> {
    if let Some(found) = section_path(cib, section) {
        return Some(found);
    }
    let name = section?;
    let parents = parent_of(name)?;
    let mut at = cib.root();
    for step in parents.iter().skip(1).chain(std::iter::once(&name)) {
        at = match cib.child(at, step) {
            Some(child) => child,
            None => cib.append(at, step),
        };
    }
    Some(at)
}
