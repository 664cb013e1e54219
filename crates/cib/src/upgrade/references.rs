//! Blocks of name-value pairs that stand for others by `id-ref`, during the step to 3.0.
//!
//! That step changes pairs by where they are, so each block is written out in every place that refers to
//! it; afterwards, what is still the same becomes a reference again (upgrade-2.10-0 and -2).

use std::collections::HashMap;

use xml::{Document, NodeId};

use super::{all, text};

/// Begins the id of a block that is written out; what is in it has [`INNER`] before the block's id.
const BLOCK: &str = "_cibtr-2_";
const INNER: &str = "__cibtr-2_";
const BLOCKS: &[&str] = &["cluster_property_set", "instance_attributes", "meta_attributes"];

/// So many elements are written out at most; further references stay references. Each block may stand in
/// many places, and have references in it: the whole may be far larger than the document.
const MOST_WRITTEN_OUT: usize = 1_000_000;

/// Blocks with an id of their own, by kind and id; the first one of each.
fn by_id(cib: &Document, blocks: &[NodeId]) -> HashMap<(String, String), NodeId> {
    let mut out = HashMap::new();
    for block in blocks.iter().filter(|block| cib.attr(**block, "id-ref").is_none()) {
        let key = (cib.name(*block).to_string(), text(cib, *block, "id"));
        out.entry(key).or_insert(*block);
    }
    out
}

/// Writes out each block that is a reference to another one of its kind. References to nothing stay.
pub(super) fn write_out(cib: &mut Document, configuration: NodeId) {
    let blocks = all(cib, configuration, BLOCKS);
    let originals = by_id(cib, &blocks);
    let mut left = MOST_WRITTEN_OUT;
    for reference in blocks {
        // What has something in it besides is no reference that a schema knows.
        let id = cib.attr(reference, "id-ref").filter(|_| cib.child_elements(reference).is_empty());
        let Some(id) = id.map(str::to_string) else { continue };
        let key = (cib.name(reference).to_string(), id);
        let (Some(original), Some(parent)) = (originals.get(&key), cib.parent(reference)) else { continue };
        let size = cib.element(*original).descendants().take(left).count();
        if size >= left {
            return;
        }
        left -= size;
        write(cib, (reference, parent), *original, &key.1);
    }
}

/// Puts a copy of a block in the place of a reference.
fn write(cib: &mut Document, (reference, parent): (NodeId, NodeId), original: NodeId, id: &str) {
    let copy = cib.duplicate(parent, original);
    cib.move_to(copy, parent, Some(reference));
    cib.remove(reference);
    let inner: Vec<NodeId> = cib.element(copy).descendants().skip(1).map(|e| e.id()).collect();
    for element in inner {
        if let Some(own) = cib.attr(element, "id").map(|own| format!("{INNER}{id}__{own}")) {
            cib.set_attr(element, "id", &own);
        }
    }
    cib.set_attr(copy, "id", &format!("{BLOCK}{id}"));
}

/// Makes references of those written out that still say the same.
pub(super) fn refer_again(cib: &mut Document, configuration: NodeId) {
    let blocks = all(cib, configuration, BLOCKS);
    let originals = by_id(cib, &blocks);
    let mut said: HashMap<NodeId, String> = HashMap::new();
    for block in blocks {
        let id = text(cib, block, "id");
        let Some(id) = id.strip_prefix(BLOCK) else { continue };
        let key = (cib.name(block).to_string(), id.to_string());
        let Some(original) = originals.get(&key) else { continue };
        let theirs = said.entry(*original).or_insert_with(|| says(cib, *original, true));
        if *theirs == says(cib, block, true) {
            for child in cib.child_elements(block) {
                cib.remove(child);
            }
            cib.clear_attrs(block);
            cib.set_attr(block, "id-ref", &key.1);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of forty blocks has the one before it twice: written out, they would be 2^40.
    #[test]
    fn references_in_references_end() {
        let mut text = String::from("<cib><configuration><meta_attributes id='b0'/>");
        for number in 1..=40 {
            let one = format!("<meta_attributes id-ref='b{}'/>", number - 1);
            text += &format!("<meta_attributes id='b{number}'>{one}{one}</meta_attributes>");
        }
        text += "</configuration></cib>";
        let mut cib = Document::parse(&text).unwrap_or_else(|e| panic!("{e}"));
        let configuration = cib.child(cib.root(), "configuration").unwrap_or_else(|| panic!("there"));
        write_out(&mut cib, configuration);
        let size = cib.root_element().descendants().count();
        assert!(size > 1000 && size < 3 * MOST_WRITTEN_OUT, "{size}");
    }

    /// A reference that has blocks in it, one of them the one that it refers to.
    #[test]
    fn what_is_in_a_reference_is_left_alone() {
        for id in ["a", "b", "c"] {
            let text = format!(
                "<cib><configuration><meta_attributes id-ref='{id}'><meta_attributes id='a'/>\
                 <meta_attributes id-ref='b'/><meta_attributes id='b'><meta_attributes id-ref='a'/>\
                 </meta_attributes></meta_attributes><meta_attributes id='_cibtr-2_b'>\
                 <meta_attributes id='_cibtr-2_a'/></meta_attributes></configuration></cib>"
            );
            let mut cib = Document::parse(&text).unwrap_or_else(|e| panic!("{e}"));
            let configuration = cib.child(cib.root(), "configuration").unwrap_or_else(|| panic!("there"));
            write_out(&mut cib, configuration);
            refer_again(&mut cib, configuration);
            assert!(Document::parse(&cib.to_text()).is_ok(), "{}", cib.to_text());
        }
    }
}
