//! Sets of name-value pairs: `instance_attributes`, `meta_attributes`, `utilization`, properties.

use xml::{Document, Element, NodeId};

use super::id;

/// A new set at the end of `owner` with id `<owner's id>-<kind>`; pairs in ascending order.
pub fn append(doc: &mut Document, owner: NodeId, kind: &str, pairs: &[(&str, &str)]) -> NodeId {
    let owner_id = doc.attr(owner, "id").map_or_else(|| doc.name(owner).to_string(), str::to_string);
    let set_id = id::unique(doc, &format!("{owner_id}-{kind}"));
    append_with_id(doc, owner, kind, &set_id, pairs)
}

/// As [`append`], the id chosen by the caller.
pub fn append_with_id(
    doc: &mut Document,
    owner: NodeId,
    kind: &str,
    set_id: &str,
    pairs: &[(&str, &str)],
) -> NodeId {
    let set = doc.append_with(owner, kind, &[("id", set_id)]);
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable();
    for (name, value) in sorted {
        set_pair(doc, set, name, value);
    }
    set
}

/// Sets, changes, or (empty value) removes one pair.
pub fn set_pair(doc: &mut Document, set: NodeId, name: &str, value: &str) {
    let found =
        doc.element(set).children_named("nvpair").find(|p| p.attr("name") == Some(name)).map(Element::id);
    match found {
        Some(pair) if value.is_empty() => doc.remove(pair),
        Some(pair) => doc.set_attr(pair, "value", value),
        None if value.is_empty() => {}
        None => {
            let set_id = doc.attr(set, "id").unwrap_or_default().to_string();
            let pair_id = id::unique(doc, &id::sanitize(&format!("{set_id}-{name}")));
            doc.append_with(set, "nvpair", &[("id", &pair_id), ("name", name), ("value", value)]);
        }
    }
}

/// Changes the owner's first set of this kind, making it at the end when a value is to be stored.
pub fn update(doc: &mut Document, owner: NodeId, kind: &str, pairs: &[(&str, &str)]) {
    let set = match doc.child(owner, kind) {
        Some(set) => set,
        None if pairs.iter().all(|(_, value)| value.is_empty()) => return,
        None => append(doc, owner, kind, &[]),
    };
    for (name, value) in pairs {
        set_pair(doc, set, name, value);
    }
}

/// Value in any of the owner's sets of this kind; the first one counts.
pub fn value<'a>(owner: Element<'a>, kind: &'a str, name: &str) -> Option<&'a str> {
    owner
        .children_named(kind)
        .flat_map(|set| set.children())
        .find(|p| p.name() == "nvpair" && p.attr("name") == Some(name))
        .and_then(|p| p.attr("value"))
}

/// Pairs of a set, sorted by name.
pub fn pairs(set: Element<'_>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = set
        .children()
        .filter(|p| p.name() == "nvpair")
        .map(|p| {
            (p.attr("name").unwrap_or_default().to_string(), p.attr("value").unwrap_or_default().to_string())
        })
        .collect();
    all.sort();
    all
}

/// `name=value`, the value in quotes when it has blanks.
pub fn show(name: &str, value: &str) -> String {
    if value.contains([' ', '\t', '"', '\'']) {
        format!("{name}=\"{}\"", value.replace('"', "\\\""))
    } else {
        format!("{name}={value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_set_changed_and_removed() {
        let mut doc = Document::parse("<cib><configuration><resources><primitive id='A'><operations/></primitive></resources></configuration></cib>").unwrap();
        let a = doc.find_id(doc.root(), "A").unwrap();
        update(&mut doc, a, "meta_attributes", &[("b", "1"), ("a", "2")]);
        update(&mut doc, a, "meta_attributes", &[("b", ""), ("a", "3")]);
        assert_eq!(
            doc.node_to_text(a),
            "<primitive id=\"A\"><operations/><meta_attributes id=\"A-meta_attributes\">\
             <nvpair id=\"A-meta_attributes-a\" name=\"a\" value=\"3\"/></meta_attributes></primitive>"
        );
    }
}
