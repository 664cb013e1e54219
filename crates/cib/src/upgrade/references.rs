//! Blocks of name-value pairs that stand for others by `id-ref`, during the step to 3.0.
//!
//! That step changes pairs by where they are, so each block is written out in every place that refers to
//! it; afterwards, what is still the same becomes a reference again (upgrade-2.10-0 and -2).

use xml::{Document, NodeId};

use super::{all, text};

/// Begins the id of a block that is written out; what is in it has [`INNER`] before the block's id.
const BLOCK: &str = "_cibtr-2_";
const INNER: &str = "__cibtr-2_";
const BLOCKS: &[&str] = &["cluster_property_set", "instance_attributes", "meta_attributes"];

/// Writes out each block that is a reference to another one of its kind. References to nothing stay.
pub(super) fn write_out(cib: &mut Document, configuration: NodeId) {
    let blocks = all(cib, configuration, BLOCKS);
    for reference in &blocks {
        let Some(id) = cib.attr(*reference, "id-ref").map(str::to_string) else { continue };
        let kind = cib.name(*reference).to_string();
        let is_original = |block: &&NodeId| {
            cib.name(**block) == kind
                && cib.attr(**block, "id") == Some(&id)
                && cib.attr(**block, "id-ref").is_none()
        };
        let Some(original) = blocks.iter().find(is_original).copied() else { continue };
        let Some(parent) = cib.parent(*reference) else { continue };
        let copy = cib.duplicate(parent, original);
        cib.move_to(copy, parent, Some(*reference));
        cib.remove(*reference);
        let inner: Vec<NodeId> = cib.element(copy).descendants().skip(1).map(|e| e.id()).collect();
        for element in inner {
            if let Some(own) = cib.attr(element, "id").map(|own| format!("{INNER}{id}__{own}")) {
                cib.set_attr(element, "id", &own);
            }
        }
        cib.set_attr(copy, "id", &format!("{BLOCK}{id}"));
    }
}

/// Makes references of those written out that still say the same.
pub(super) fn refer_again(cib: &mut Document, configuration: NodeId) {
    for block in all(cib, configuration, BLOCKS) {
        let id = text(cib, block, "id");
        let Some(original) = id.strip_prefix(BLOCK) else { continue };
        let kind = cib.name(block);
        let found =
            all(cib, configuration, &[kind]).into_iter().find(|b| cib.attr(*b, "id") == Some(original));
        if found.is_some_and(|found| says(cib, found, true) == says(cib, block, true)) {
            let original = original.to_string();
            for child in cib.child_elements(block) {
                cib.remove(child);
            }
            cib.clear_attrs(block);
            cib.set_attr(block, "id-ref", &original);
        }
    }
}

/// Everything in an element but ids.
fn says(cib: &Document, element: NodeId, is_top: bool) -> String {
    let mut out = if is_top { String::new() } else { cib.name(element).to_string() };
    for (name, value) in cib.attrs(element).filter(|(name, _)| *name != "id") {
        out += &format!(" {name}={value:?}");
    }
    for child in cib.child_elements(element) {
        out += &format!("({})", says(cib, child, false));
    }
    out
}
