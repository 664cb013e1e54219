//! Handing a whole copy to everybody without losing a change that is on its way.
//!
//! A request for a copy, the copy, and every change travel in one total order. The node that is asked takes
//! its copy at the very moment the request comes by; what comes by between the request and the copy is not in
//! the copy. So every node notes those changes and makes them again on top of the copy: all end with the same
//! document, and no change is lost (state transfer in a totally ordered group).

use xml::Document;

use crate::perform::is_configuration_change;
use crate::{Outcome, make_patchset};

/// Most changes noted for one transfer. A transfer that takes longer is not completed; the copy is then taken
/// over only if it is newer.
pub const MAX_NOTED: usize = 4096;

/// The transfers that are under way, by the node that sends. `M`: a change as it travels.
#[derive(Debug)]
pub struct Transfers<M> {
    open: Vec<Open<M>>,
}

#[derive(Debug)]
struct Open<M> {
    source: u32,
    noted: Vec<M>,
}

impl<M> Default for Transfers<M> {
    fn default() -> Self {
        Transfers { open: Vec::new() }
    }
}

impl<M: Clone> Transfers<M> {
    /// `source` was asked for its copy.
    pub fn begin(&mut self, source: u32) {
        self.abandon(source);
        self.open.push(Open { source, noted: Vec::new() });
    }

    /// A change came by.
    pub fn note(&mut self, change: &M) {
        self.open.retain(|open| open.noted.len() < MAX_NOTED);
        for open in &mut self.open {
            open.noted.push(change.clone());
        }
    }

    /// The copy of `source` came by: the changes to make again on top of it, oldest first. `None` when it was
    /// not asked for since we are here.
    pub fn finish(&mut self, source: u32) -> Option<Vec<M>> {
        let at = self.open.iter().position(|open| open.source == source)?;
        Some(self.open.remove(at).noted)
    }

    /// `source` sends nothing any more.
    pub fn abandon(&mut self, source: u32) {
        self.open.retain(|open| open.source != source);
    }

    /// Forgets the transfers of all others than these.
    pub fn keep_only(&mut self, present: &[u32]) {
        self.open.retain(|open| present.contains(&open.source));
    }
}

/// Takes over a document as it is, older or newer.
pub fn adopt(current: &Document, cib: Document) -> Outcome {
    let configuration_changed = is_configuration_change(current, &cib);
    let patch = make_patchset(current, &cib);
    Outcome { cib, patch, configuration_changed }
}

/// What a CIB from disk is worth in a new life of its node: the configuration. Its status, its leader and its quorum
/// are those of a life that is over, and so is the count of changes to them: a node that comes back must not
/// take its copy for newer than that of a cluster which went on with the same configuration.
pub fn without_status(mut cib: Document) -> Document {
    let root = cib.root();
    if let Some(status) = cib.child(root, "status") {
        cib.remove(status);
    }
    cib.append(root, "status");
    for name in ["have-quorum", "dc-uuid"] {
        cib.remove_attr(root, name);
    }
    cib.set_attr(root, "num_updates", "0");
    cib
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_from_disk_is_no_newer_than_the_same_configuration_in_a_live_cluster() {
        let text = "<cib admin_epoch='0' epoch='70' num_updates='13' dc-uuid='2' have-quorum='1'><configuration/>\
            <status><node_state id='1'/></status></cib>";
        let cib = without_status(Document::parse(text).unwrap());
        let live = Document::parse("<cib admin_epoch='0' epoch='70' num_updates='0'/>").unwrap();
        let version = |cib: &Document| crate::Version::of(cib.root_element());
        assert!(version(&cib) <= version(&live));
        assert_eq!(cib.attr(cib.root(), "dc-uuid"), None);
        assert_eq!(cib.child(cib.root(), "status").and_then(|status| cib.first_child(status)), None);
    }

    #[test]
    fn changes_between_request_and_copy_are_made_again() {
        let mut transfers = Transfers::default();
        transfers.note(&"too early");
        transfers.begin(2);
        transfers.note(&"a");
        transfers.begin(3);
        transfers.note(&"b");
        assert_eq!(transfers.finish(2), Some(vec!["a", "b"]));
        assert_eq!(transfers.finish(2), None, "a copy that nobody asked for");
        assert_eq!(transfers.finish(3), Some(vec!["b"]));
    }

    #[test]
    fn transfers_end_with_their_source_and_do_not_grow_for_ever() {
        let mut transfers = Transfers::default();
        transfers.begin(1);
        transfers.begin(2);
        transfers.keep_only(&[2]);
        assert_eq!(transfers.finish(1), None);
        for _ in 0..=MAX_NOTED {
            transfers.note(&());
        }
        assert_eq!(transfers.finish(2), None);
    }
}
