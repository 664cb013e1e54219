use proptest::prelude::*;

use super::content::SLACK;
use super::*;

#[test]
fn order_of_children_survives_moves_and_removals() {
    let mut doc = Document::new("a");
    let root = doc.root();
    let one = doc.append(root, "one");
    let two = doc.append(root, "two");
    let three = doc.append(root, "three");
    doc.move_to(three, root, Some(one));
    doc.remove(two);
    assert_eq!(doc.to_text(), "<a><three/><one/></a>");
    let four = doc.append(root, "four");
    assert_eq!(doc.position(four), 2);
    doc.move_to(root, four, None);
    assert_eq!(doc.to_text(), "<a><three/><one/><four/></a>");
}

#[test]
fn overwrite_takes_name_attributes_and_children() {
    let mut doc = Document::parse("<a><b x='1'><c/></b></a>").unwrap();
    let other = Document::parse("<d y='2'>t</d>").unwrap();
    let b = doc.child(doc.root(), "b").unwrap();
    doc.overwrite(b, &other, other.root());
    assert_eq!(doc.to_text(), "<a><d y=\"2\">t</d></a>");
    assert_eq!(doc.len(), 3);
}

#[test]
fn a_document_that_lives_long_does_not_grow() {
    let mut doc = Document::parse("<cib><status><node id='1'/><node id='2'/></status></cib>").unwrap();
    let status = doc.child(doc.root(), "status").unwrap();
    let nodes = doc.child_elements(status);
    let history = Document::parse("<lrm><rsc id='r' class='ocf'><op id='o' rc='0'/>t</rsc></lrm>").unwrap();
    let mut most = (0, 0, 0);
    for round in 0..200_000_u32 {
        let node = nodes[round as usize % 2];
        doc.set_attr(node, "crmd", if round % 3 == 0 { "online" } else { "1785000000" });
        doc.set_attr(doc.root(), "num_updates", &round.to_string());
        if round % 5 == 0 {
            doc.remove_attr(node, "crmd");
        }
        doc.remove_children(node);
        doc.import(node, &history, history.root());
        most = most.max((doc.nodes.len(), doc.text.len(), doc.attributes.len()));
    }
    assert!(most < (30, 3 * SLACK, 3 * SLACK), "{most:?}");
    assert!(doc.text.len() < 3 * SLACK && doc.attributes.len() < 3 * SLACK);
    assert_eq!(doc.len(), 12);
    doc.compact();
    assert_eq!((doc.text.len(), doc.attributes.len()), (38, 13), "{}", doc.to_text());
}

#[test]
fn hundreds_of_thousands_of_changes_take_no_time() {
    let mut doc = Document::new("cib");
    let root = doc.root();
    let nodes: Vec<NodeId> = (0..1_000).map(|_| doc.append(root, "node")).collect();
    for round in 0..300 {
        for node in &nodes {
            doc.set_attr(*node, ["a", "b", "c", "d"][round % 4], &round.to_string());
        }
    }
    assert!(doc.text.len() < 100_000 && doc.attributes.len() < 100_000);
    assert!(nodes.iter().all(|node| doc.attrs(*node).count() == 4 && doc.attr(*node, "d") == Some("299")));
}

#[test]
fn what_is_deep_is_copied_compared_and_removed() {
    let mut doc = Document::new("a");
    let mut at = doc.root();
    for _ in 0..200_000 {
        at = doc.append(at, "a");
    }
    let mut copy = Document::new("b");
    let top = copy.import(copy.root(), &doc, doc.root());
    assert!(copy.is_same(top, &doc, doc.root()));
    doc.set_attr(at, "x", "1");
    assert!(!copy.is_same(top, &doc, doc.root()));
    assert_eq!(doc.to_text().len(), copy.node_to_text(top).len() + " x=\"1\"".len());
    let top = doc.first_child(doc.root()).unwrap();
    doc.remove(top);
    assert_eq!(doc.to_text(), "<a/>");
}

/// What a document is, without any art.
#[derive(Debug, Clone, Default, PartialEq)]
struct Tree {
    kind: u8,
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Tree>,
}

impl Tree {
    fn of(doc: &Document, node: NodeId) -> Tree {
        let (kind, name) = match doc.kind(node) {
            NodeKind::Element => (0, doc.name(node)),
            NodeKind::Text => (1, doc.text(node)),
            NodeKind::Comment => (2, doc.text(node)),
        };
        let attributes = doc.attrs(node).map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let mut children = Vec::new();
        let mut next = doc.first_child(node);
        while let Some(child) = next {
            assert_eq!((doc.parent(child), doc.position(child)), (Some(node), children.len()));
            assert_eq!(doc.child_at(node, children.len()), Some(child));
            children.push(Tree::of(doc, child));
            next = doc.next_sibling(child);
        }
        Tree { kind, name: name.to_string(), attributes, children }
    }

    fn at(&mut self, path: &[usize]) -> &mut Tree {
        path.iter().fold(self, |at, step| &mut at.children[*step])
    }

    fn set(&mut self, name: &str, value: &str) {
        match self.attributes.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.to_string(),
            None => self.attributes.push((name.to_string(), value.to_string())),
        }
    }

    fn count(&self) -> usize {
        1 + self.children.iter().map(Tree::count).sum::<usize>()
    }
}

fn path_of(doc: &Document, node: NodeId) -> Vec<usize> {
    let mut path: Vec<usize> = std::iter::successors(Some(node), |id| doc.parent(*id))
        .filter(|id| *id != doc.root())
        .map(|id| doc.position(id))
        .collect();
    path.reverse();
    path
}

#[derive(Debug, Clone)]
enum Change {
    Append(String),
    Set(String, String),
    Unset(String),
    Sort,
    Clear,
    Rename(String),
    Text(String, bool),
    SetText(String),
    Remove,
    Move(usize, Option<usize>),
    Duplicate(usize),
    Import(bool),
    Overwrite,
    Compact,
    Clone,
}

fn change() -> impl Strategy<Value = Change> {
    let name = || prop_oneof!["[a-e]", "name-[a-z]{1,2}"];
    prop_oneof![
        4 => name().prop_map(Change::Append),
        6 => (name(), ".{0,6}").prop_map(|(name, value)| Change::Set(name, value)),
        2 => name().prop_map(Change::Unset),
        1 => Just(Change::Sort),
        1 => Just(Change::Clear),
        1 => name().prop_map(Change::Rename),
        1 => ("[a-z]{0,3}", any::<bool>()).prop_map(|(text, comment)| Change::Text(text, comment)),
        1 => "[a-z]{0,3}".prop_map(Change::SetText),
        2 => Just(Change::Remove),
        2 => (any::<usize>(), any::<Option<usize>>()).prop_map(|(to, before)| Change::Move(to, before)),
        1 => any::<usize>().prop_map(Change::Duplicate),
        1 => any::<bool>().prop_map(Change::Import),
        1 => Just(Change::Overwrite),
        1 => Just(Change::Compact),
        1 => Just(Change::Clone),
    ]
}

/// Does the same to both; `nth` picks the node.
fn both(doc: &mut Document, tree: &mut Tree, other: &Document, nth: usize, change: &Change) {
    let all: Vec<NodeId> =
        std::iter::successors(Some(doc.root()), |id| doc.next_in_order(doc.root(), *id)).collect();
    let elements: Vec<NodeId> = all.iter().copied().filter(|id| doc.kind(*id) == NodeKind::Element).collect();
    let (any, node) = (all[nth % all.len()], elements[nth % elements.len()]);
    let path = path_of(doc, node);
    let other_tree = Tree::of(other, other.root());
    match change {
        Change::Append(name) => {
            doc.append(node, name);
            tree.at(&path).children.push(Tree { name: name.clone(), ..Tree::default() });
        }
        Change::Set(name, value) => {
            doc.set_attr(node, name, value);
            tree.at(&path).set(name, value);
            assert_eq!(doc.attr(node, name), Some(&**value));
        }
        Change::Unset(name) => {
            let was = doc.remove_attr(node, name);
            let attributes = &mut tree.at(&path).attributes;
            assert_eq!(was, attributes.iter().any(|(known, _)| known == name));
            attributes.retain(|(known, _)| known != name);
        }
        Change::Sort => {
            doc.sort_attrs(node);
            tree.at(&path).attributes.sort();
        }
        Change::Clear => {
            doc.clear_attrs(node);
            tree.at(&path).attributes.clear();
        }
        Change::Rename(name) => {
            doc.rename(node, name);
            tree.at(&path).name.clone_from(name);
        }
        Change::Text(text, comment) => {
            match comment {
                true => doc.append_comment(node, text),
                false => doc.append_text(node, text),
            };
            let kind = if *comment { 2 } else { 1 };
            tree.at(&path).children.push(Tree { kind, name: text.clone(), ..Tree::default() });
        }
        Change::SetText(text) => {
            doc.set_text(any, text);
            let place = tree.at(&path_of(doc, any));
            if place.kind != 0 {
                place.name.clone_from(text);
            }
        }
        Change::Remove => {
            let path = path_of(doc, any);
            doc.remove(any);
            match path.split_last() {
                Some((last, up)) => drop(tree.at(up).children.remove(*last)),
                None => *tree = Tree { name: tree.name.clone(), ..Tree::default() },
            }
        }
        Change::Move(to, before) => {
            let parent = elements[to % elements.len()];
            let siblings = std::iter::successors(doc.first_child(parent), |id| doc.next_sibling(*id));
            let siblings: Vec<NodeId> = siblings.collect();
            let before = before.filter(|_| !siblings.is_empty()).map(|nth| siblings[nth % siblings.len()]);
            move_both(doc, tree, any, parent, before);
        }
        Change::Duplicate(to) => {
            let parent = elements[to % elements.len()];
            let to = path_of(doc, parent);
            doc.duplicate(parent, node);
            let copy = tree.at(&path).clone();
            tree.at(&to).children.push(copy);
        }
        Change::Import(children) => {
            if *children {
                doc.import_children(node, other, other.root());
                tree.at(&path).children.extend(other_tree.children);
            } else {
                doc.import(node, other, other.root());
                tree.at(&path).children.push(other_tree);
            }
        }
        Change::Overwrite => {
            doc.overwrite(node, other, other.root());
            *tree.at(&path) = other_tree;
        }
        Change::Compact => doc.compact(),
        Change::Clone => *doc = doc.clone(),
    }
}

/// What is not among the changes is what it was.
fn changes_tell_all(old: &Document, new: &Document, changes: &Changes) {
    let same = new.is_same(new.root(), old, old.root());
    assert_eq!(new.is_same_since(new.root(), old, old.root(), changes), same);
    assert!(same || !changes.is_empty());
    for node in std::iter::successors(Some(new.root()), |id| new.next_in_order(new.root(), *id)) {
        if changes.is_untouched(node) {
            assert!(new.is_same(node, old, node));
        }
    }
}

fn move_both(doc: &mut Document, tree: &mut Tree, node: NodeId, parent: NodeId, before: Option<NodeId>) {
    let is_inside = std::iter::successors(Some(parent), |id| doc.parent(*id)).any(|id| id == node);
    let (path, to) = (path_of(doc, node), path_of(doc, parent));
    let place = before.map(|id| doc.position(id));
    doc.move_to(node, parent, before);
    if is_inside || before == Some(node) {
        return;
    }
    let marked = Tree { kind: 9, ..Tree::default() };
    let moved = std::mem::replace(tree.at(&path), marked);
    let siblings = &mut tree.at(&to).children;
    siblings.insert(place.unwrap_or(siblings.len()), moved);
    sweep(tree);
}

fn sweep(tree: &mut Tree) {
    tree.children.retain(|child| child.kind != 9);
    tree.children.iter_mut().for_each(sweep);
}

proptest! {
    #[test]
    fn a_document_is_what_a_naive_tree_is(changes in prop::collection::vec((any::<usize>(), change()), 0..60)) {
        let other = Document::parse("<o e='1' x='&amp;'><a id='1'>t</a><!--c--><b><c name-z='2'/></b></o>").unwrap();
        let mut doc = Document::new("cib");
        let mut tree = Tree { name: "cib".into(), ..Tree::default() };
        for (nth, change) in &changes {
            let before = (doc.clone(), tree.clone());
            doc.watch();
            both(&mut doc, &mut tree, &other, *nth, change);
            if let Some(changes) = doc.clone().unwatch() {
                changes_tell_all(&before.0, &doc, &changes);
            }
            prop_assert_eq!(&Tree::of(&doc, doc.root()), &tree, "{:?}", change);
            prop_assert_eq!(doc.len(), tree.count());
            let is_same = doc.is_same(doc.root(), &before.0, before.0.root());
            prop_assert_eq!(is_same, before.1 == tree);
            let live: usize = doc.nodes.iter().filter(|n| n.name.is_element()).map(|n| n.content.len as usize).sum();
            prop_assert_eq!(live + doc.dead_attributes, doc.attributes.len());
        }
        for node in std::iter::successors(Some(doc.root()), |id| doc.next_in_order(doc.root(), *id)) {
            if doc.kind(node) == NodeKind::Element {
                let copy = doc.extract(node);
                prop_assert_eq!(&Tree::of(&copy, copy.root()), tree.at(&path_of(&doc, node)));
            }
        }
        let bytes = doc.text.len() - doc.dead_bytes;
        doc.compact();
        prop_assert_eq!(doc.text.len(), bytes);
    }
}
