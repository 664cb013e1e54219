//! Patches with the version they start from and the one they lead to.

use base::CibError;
use xml::{Document, Element, patch};

use crate::version::Version;

/// The patch from `old` to `new`, with both versions; `None` when nothing differs.
pub fn make_patchset(old: &Document, new: &Document) -> Option<Document> {
    let mut patchset = patch::diff(old, new)?;
    let root = patchset.root();
    let first = patchset.first_child(root);
    let version = patchset.append(root, "version");
    patchset.move_to(version, root, first);
    for (name, cib) in [("source", old), ("target", new)] {
        let at = Version::of(cib.root_element());
        let counters = [
            ("admin_epoch", at.admin_epoch.to_string()),
            ("epoch", at.epoch.to_string()),
            ("num_updates", at.num_updates.to_string()),
        ];
        let attributes: Vec<(&str, &str)> =
            counters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        patchset.append_with(version, name, &attributes);
    }
    Some(patchset)
}

/// Applies a patchset to the version that it starts from.
///
/// # Errors
/// [`CibError::OldData`] when the document is already newer, [`CibError::DiffResync`] when it is older
/// than the patch's start, [`CibError::DiffFailed`] when the changes do not fit or the digest differs.
pub fn apply_patchset(cib: &mut Document, patchset: Element<'_>) -> Result<(), CibError> {
    if patchset.attr("format").is_some_and(|format| format != "2") {
        return Err(CibError::DiffFailed);
    }
    let have = Version::of(cib.root_element());
    let source = patchset.path(&["version", "source"]).map(Version::of);
    if let Some(source) = source {
        if have > source {
            return Err(CibError::OldData);
        }
        if have < source {
            return Err(CibError::DiffResync);
        }
    }
    let mut next = cib.clone();
    patch::apply(&mut next, patchset).map_err(|_| CibError::DiffFailed)?;
    if let Some(target) = patchset.path(&["version", "target"]).map(Version::of) {
        target.write(&mut next);
    }
    if patchset.attr("digest").is_some_and(|digest| digest != next.digest_filtered()) {
        return Err(CibError::DiffFailed);
    }
    *cib = next;
    Ok(())
}
