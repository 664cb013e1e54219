//! Merging one element into another: how modifications and creations work inside.

use base::{CibError, Score};
use xml::{Document, Element, NodeId, NodeKind};

/// Merges `update` into `target`: attributes are set, children matched by name and id (or `id-ref`)
/// are merged, others are added. A value such as `epoch++` or `epoch+=5` counts up the old one.
pub fn merge(cib: &mut Document, target: NodeId, update: Element<'_>) {
    for (name, value) in update.attrs() {
        let value = counted(cib.attr(target, name), name, value);
        cib.set_attr(target, name, &value);
    }
    let source = update.document();
    let mut next = source.first_child(update.id());
    while let Some(child) = next {
        next = source.next_sibling(child);
        if source.kind(child) != NodeKind::Element {
            merge_comment(cib, target, source, child);
            continue;
        }
        let element = source.element(child);
        let partner =
            matching_child(cib, target, element).unwrap_or_else(|| cib.append(target, element.name()));
        merge(cib, partner, element);
    }
}

/// Finds the first element at or below `top` that `update` names (same name and id) and merges.
///
/// # Errors
/// [`CibError::NotFound`] when there is none.
pub fn merge_or_fail(cib: &mut Document, top: NodeId, update: Element<'_>) -> Result<(), CibError> {
    let mut at = Some(top);
    while let Some(node) = at {
        if cib.name(node) == update.name() && cib.attr(node, "id") == update.attr("id") {
            merge(cib, node, update);
            return Ok(());
        }
        at = cib.next_in_order(top, node);
    }
    Err(CibError::NotFound)
}

/// The child of `parent` that an update or a new object stands for.
pub(crate) fn matching_child(cib: &Document, parent: NodeId, wanted: Element<'_>) -> Option<NodeId> {
    let key = ["id", "id-ref"].into_iter().find_map(|name| Some((name, wanted.attr(name)?)));
    cib.child_elements(parent).into_iter().find(|child| {
        cib.name(*child) == wanted.name()
            && key.is_none_or(|(name, value)| cib.attr(*child, name) == Some(value))
    })
}

fn merge_comment(cib: &mut Document, target: NodeId, source: &Document, comment: NodeId) {
    let text = source.text(comment);
    let mut next = cib.first_child(target);
    while let Some(child) = next {
        if cib.kind(child) == source.kind(comment) && cib.text(child) == text {
            return;
        }
        next = cib.next_sibling(child);
    }
    cib.import(target, source, comment);
}

fn counted(old: Option<&str>, name: &str, value: &str) -> String {
    let step = value.strip_prefix(name).and_then(|rest| match rest.strip_prefix("+=") {
        Some(step) => step.parse::<Score>().ok().map(Score::value),
        None => (rest == "++").then_some(1),
    });
    match (old, step) {
        (Some(old), Some(step)) => {
            let start = old.parse::<Score>().map_or(0, Score::value);
            Score::new(i64::from(start) + i64::from(step)).value().to_string()
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_sets_adds_and_counts() {
        let mut cib = Document::parse("<r><p id='a' n='4'><m id='m'/></p><p id='b'/></r>").unwrap();
        let update =
            Document::parse("<r><p id='a' n='n++' x='1'><m id='m' y='2'/><k/></p><p id='c'/></r>").unwrap();
        let root = cib.root();
        merge(&mut cib, root, update.root_element());
        let want =
            "<r><p id=\"a\" n=\"5\" x=\"1\"><m id=\"m\" y=\"2\"/><k/></p><p id=\"b\"/><p id=\"c\"/></r>";
        assert_eq!(cib.to_text(), want);
    }

    #[test]
    fn what_is_not_there_cannot_be_merged_into() {
        let mut cib = Document::parse("<r><p id='a'/></r>").unwrap();
        let update = Document::parse("<p id='b'/>").unwrap();
        let root = cib.root();
        assert_eq!(merge_or_fail(&mut cib, root, update.root_element()), Err(CibError::NotFound));
    }
}
