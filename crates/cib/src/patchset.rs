//! Patches with the version they start from and the one they lead to.

use base::CibError;
use xml::{Changes, Document, Element, patch};

use crate::version::Version;

/// The patch from `old` to `new`, with both versions; `None` when nothing differs.
pub fn make_patchset(old: &Document, new: &Document) -> Option<Document> {
    patch::diff(old, new).map(|patch| with_versions(patch, old, new))
}

/// As [`make_patchset`], for a copy of `old` that was changed as told.
pub fn make_patchset_since(old: &Document, new: &Document, changes: &Changes) -> Option<Document> {
    patch::diff_since(old, new, changes).map(|patch| with_versions(patch, old, new))
}

fn with_versions(mut patchset: Document, old: &Document, new: &Document) -> Document {
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
    patchset
}

/// Applies a patchset to the version that it starts from.
///
/// # Errors
/// [`CibError::OldData`] when the document is already newer, [`CibError::DiffResync`] when it is older
/// than the patch's start, [`CibError::DiffFailed`] when the changes do not fit or the digest differs.
pub fn apply_patchset(cib: &mut Document, patchset: Element<'_>) -> Result<(), CibError> {
    let mut next = cib.clone();
    apply_in_place(&mut next, patchset)?;
    *cib = next;
    Ok(())
}

/// As [`apply_patchset`]; after an error the document is to be thrown away.
pub(crate) fn apply_in_place(cib: &mut Document, patchset: Element<'_>) -> Result<(), CibError> {
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
    patch::apply_in_place(cib, patchset).map_err(|_| CibError::DiffFailed)?;
    if let Some(target) = patchset.path(&["version", "target"]).map(Version::of) {
        target.write(cib);
    }
    if patchset.attr("digest").is_some_and(|digest| digest != cib.digest_filtered()) {
        return Err(CibError::DiffFailed);
    }
    Ok(())
}
