use proptest::prelude::*;

use super::*;

fn between(old: &str, new: &str) -> (Document, Document, Option<Document>) {
    let (old, new) = (Document::parse(old).unwrap(), Document::parse(new).unwrap());
    let patch = diff(&old, &new);
    (old, new, patch)
}

#[test]
fn the_four_operations_as_the_reference_writes_them() {
    let (_, _, patch) = between(
        "<cib epoch='1'><r><p id='a'/><p id='b'/><p id='c'/><p id='e'/></r></cib>",
        "<cib epoch='2'><r><p id='e' x='1'/><p id='a'/><p id='c'/><p id='d'/></r></cib>",
    );
    let want = "<diff format=\"2\">\
        <change operation=\"delete\" path=\"/cib/r/p[@id='b']\"/>\
        <change operation=\"modify\" path=\"/cib\"><change-list><change-attr name=\"epoch\" operation=\"set\" value=\"2\"/>\
        </change-list><change-result><cib epoch=\"2\"/></change-result></change>\
        <change operation=\"modify\" path=\"/cib/r/p[@id='e']\"><change-list>\
        <change-attr name=\"x\" operation=\"set\" value=\"1\"/></change-list>\
        <change-result><p id=\"e\" x=\"1\"/></change-result></change>\
        <change operation=\"move\" path=\"/cib/r/p[@id='e']\" position=\"0\"/>\
        <change operation=\"create\" path=\"/cib/r\" position=\"3\"><p id=\"d\"/></change></diff>";
    assert_eq!(patch.unwrap().to_text(), want);
}

#[test]
fn a_patch_that_does_not_fit_changes_nothing() {
    let mut doc = Document::parse("<cib><r><p id='a'/></r></cib>").unwrap();
    let before = doc.to_text();
    let patch = Document::parse(
        "<diff format='2'><change operation='delete' path=\"/cib/r/p[@id='a']\"/>\
         <change operation='create' path='/cib/nowhere' position='0'><p id='x'/></change></diff>",
    );
    let patch = patch.unwrap();
    assert!(matches!(apply(&mut doc, patch.root_element()), Err(PatchError::NoSuchPlace(_))));
    assert_eq!(doc.to_text(), before);
}

fn tree() -> impl Strategy<Value = String> {
    let leaf = ("[ab]", "[1-4]?", "[xy]?", "[12]").prop_map(|(name, id, attr, value)| {
        let id = if id.is_empty() { String::new() } else { format!(" id='{id}'") };
        let attr = if attr.is_empty() { String::new() } else { format!(" {attr}='{value}'") };
        (name, format!("{id}{attr}"))
    });
    let leaf_text = leaf.clone().prop_map(|(name, attrs)| format!("<{name}{attrs}/>"));
    leaf_text.prop_recursive(4, 40, 5, move |inner| {
        (
            leaf.clone(),
            prop::collection::vec(prop_oneof![9 => inner, 1 => Just("<!--n-->".to_string())], 0..5),
        )
            .prop_map(|((name, attrs), children)| format!("<{name}{attrs}>{}</{name}>", children.concat()))
    })
}

/// Changes a document somewhere.
fn change_at(doc: &mut Document, nth: usize, other: usize, what: u8) {
    let all: Vec<NodeId> =
        std::iter::successors(Some(doc.root()), |id| doc.next_in_order(doc.root(), *id)).collect();
    let elements: Vec<NodeId> =
        all.iter().copied().filter(|id| doc.kind(*id) == crate::NodeKind::Element).collect();
    let (node, any) = (elements[nth % elements.len()], all[other % all.len()]);
    let below = elements[other % elements.len()];
    match what % 9 {
        0 => doc.set_attr(node, "x", &other.to_string()),
        1 => drop(doc.remove_attr(node, "x")),
        2 if node != doc.root() => doc.set_attr(node, "id", &(other % 6).to_string()),
        3 => drop(doc.append_with(node, "a", &[("id", &(other % 6).to_string())])),
        4 if any != doc.root() => doc.remove(any),
        5 if node != doc.root() => doc.move_to(node, below, None),
        6 if node != doc.root() => drop(doc.append_comment(node, "n")),
        7 if node != doc.root() => drop(doc.duplicate(below, node)),
        _ => doc.set_attr(node, "y", "1"),
    }
}

proptest! {
    #[test]
    fn a_difference_since_a_copy_is_as_good_as_one_of_the_whole(
        old in prop::collection::vec(tree(), 0..6), changes in prop::collection::vec(any::<(usize, usize, u8)>(), 0..6),
    ) {
        let mut old = Document::parse(&format!("<cib>{}</cib>", old.concat())).unwrap();
        let mut new = old.clone();
        new.watch();
        for (nth, other, what) in changes {
            change_at(&mut new, nth, other, what);
        }
        let changes = new.unwatch();
        let whole = diff(&old, &new);
        let patch = match &changes {
            Some(changes) => diff_since(&old, &new, changes),
            None => whole.clone(),
        };
        let all: Vec<NodeId> = std::iter::successors(Some(old.root()), |id| old.next_in_order(old.root(), *id)).collect();
        if all.iter().all(|id| super::diff::unique_keys(&old, *id)) {
            prop_assert_eq!(patch.as_ref().map(Document::to_text), whole.as_ref().map(Document::to_text));
        }
        match patch {
            None => prop_assert_eq!(old.to_text(), new.to_text()),
            Some(patch) => {
                apply(&mut old, patch.root_element()).unwrap();
                prop_assert_eq!(old.to_text(), new.to_text());
            }
        }
    }

    #[test]
    fn applying_a_difference_gives_the_new_document(
        old in prop::collection::vec(tree(), 0..5), new in prop::collection::vec(tree(), 0..5),
    ) {
        let (mut old, new, patch) =
            between(&format!("<cib>{}</cib>", old.concat()), &format!("<cib>{}</cib>", new.concat()));
        match patch {
            None => prop_assert_eq!(old.to_text(), new.to_text()),
            Some(patch) => {
                let patch = Document::parse(&patch.to_text()).unwrap();
                apply(&mut old, patch.root_element()).unwrap();
                prop_assert_eq!(old.to_text(), new.to_text());
            }
        }
    }

    #[test]
    fn no_patch_makes_it_panic(path in "(/(a|b|cib)(\\[@id='[12]'\\]?)?){0,4}", op in "(create|move|delete|modify)") {
        let mut doc = Document::parse("<cib><a id='1'><b/></a></cib>").unwrap();
        let mut patch = Document::new("diff");
        let root = patch.root();
        let change = patch.append_with(root, "change", &[("operation", &op), ("path", &path), ("position", "1")]);
        patch.append(change, "b");
        let _ = apply(&mut doc, patch.root_element());
    }
}
