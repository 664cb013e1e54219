//! What each operation does to the document (behaviour: reference `lib/cib/cib_ops.c`).

use base::CibError;
use xml::{Document, Element, NodeId, XPath};

use crate::options;
use crate::sections::{section_or_create, section_path};
use crate::update::{matching_child, merge, merge_or_fail};
use crate::version::{Version, empty_cib};

/// Why an operation failed; creation tells which objects were refused.
pub(crate) struct OpFailure {
    pub error: CibError,
    pub details: Option<Box<Document>>,
}

impl From<CibError> for OpFailure {
    fn from(error: CibError) -> Self {
        OpFailure { error, details: None }
    }
}

type Done = Result<(), OpFailure>;

/// A section given as "all" or "cib", or not at all, is the whole document.
fn named(section: Option<&str>) -> Option<&str> {
    section.filter(|name| !matches!(*name, "" | "all" | "cib"))
}

pub(crate) fn create(
    cib: &mut Document,
    section: Option<&str>,
    bits: u32,
    input: Option<Element<'_>>,
) -> Done {
    let input = input.ok_or(CibError::Invalid)?;
    if bits & options::XPATH != 0 {
        let place = xpath_targets(cib, section)?.first().copied().ok_or(CibError::NotFound)?;
        cib.import(place, input.document(), input.id());
        return Ok(());
    }
    let Some(name) = named(section).filter(|_| input.name() != "cib") else {
        return modify(cib, None, bits, Some(input));
    };
    let place = section_or_create(cib, Some(name)).ok_or(CibError::Invalid)?;
    let objects: Vec<Element<'_>> =
        if input.name() == name { input.children().collect() } else { vec![input] };
    for object in objects {
        if matching_child(cib, place, object).is_some() {
            let details = refusal(object, "cib_create", CibError::Exists);
            return Err(OpFailure { error: CibError::Exists, details: Some(Box::new(details)) });
        }
        let fresh = cib.append(place, object.name());
        merge(cib, fresh, object);
    }
    Ok(())
}

/// The `<failed>` element that tells a client which object was refused.
fn refusal(object: Element<'_>, operation: &str, error: CibError) -> Document {
    let mut failed = Document::new("failed");
    let root = failed.root();
    let update = failed.append(root, "failed_update");
    if let Some(id) = object.attr("id") {
        failed.set_attr(update, "id", id);
    }
    failed.set_attr(update, "object_type", object.name());
    failed.set_attr(update, "operation", operation);
    failed.set_attr(update, "reason", &error.to_string());
    failed.import(update, object.document(), object.id());
    failed
}

pub(crate) fn modify(
    cib: &mut Document,
    section: Option<&str>,
    bits: u32,
    input: Option<Element<'_>>,
) -> Done {
    let input = input.ok_or(CibError::Invalid)?;
    if bits & options::XPATH != 0 {
        let mut result = Ok(());
        for target in xpath_existing(cib, section)? {
            match merge_or_fail(cib, target, input) {
                Err(error) => result = Err(error),
                Ok(()) if bits & options::MULTIPLE == 0 => break,
                Ok(()) => {}
            }
        }
        return Ok(result?);
    }
    let place = section_or_create(cib, section).ok_or(CibError::Invalid)?;
    match merge_or_fail(cib, place, input) {
        Err(_) if bits & options::CAN_CREATE != 0 => {
            cib.import(place, input.document(), input.id());
        }
        other => other?,
    }
    if bits & options::MIXED_UPDATE != 0 {
        remove_marked(cib);
    }
    Ok(())
}

fn remove_marked(cib: &mut Document) {
    let elements = cib.root_element().descendants();
    let marked: Vec<NodeId> = elements.filter(|e| e.attr("__delete__").is_some()).map(|e| e.id()).collect();
    for node in outermost(cib, &marked) {
        cib.remove(node);
    }
}

pub(crate) fn replace(
    cib: &mut Document,
    section: Option<&str>,
    bits: u32,
    input: Option<Element<'_>>,
) -> Done {
    if bits & options::XPATH != 0 {
        let mut targets = xpath_existing(cib, section)?;
        if bits & options::MULTIPLE == 0 {
            targets.truncate(1);
        }
        for target in outermost(cib, &targets) {
            replace_node(cib, target, input)?;
        }
        return Ok(());
    }
    let input = input.ok_or(CibError::Invalid)?;
    if input.name() == "cib" {
        if Version::of(input) < Version::of(cib.root_element()) {
            return Err(CibError::OldData.into());
        }
        *cib = input.document().extract(input.id());
        return Ok(());
    }
    let section = named(section).filter(|name| *name != input.name());
    let top = section_path(cib, section).ok_or(CibError::NotFound)?;
    let target = first_below(cib, top, |node| {
        cib.name(node) == input.name() && input.attr("id").is_none_or(|id| cib.attr(node, "id") == Some(id))
    });
    replace_node(cib, target.ok_or(CibError::NotFound)?, Some(input))
}

/// In place, so that order among the siblings is kept. Without content it is a deletion.
fn replace_node(cib: &mut Document, target: NodeId, input: Option<Element<'_>>) -> Done {
    match input {
        Some(input) => cib.overwrite(target, input.document(), input.id()),
        None if target == cib.root() => return Err(CibError::Invalid.into()),
        None => cib.remove(target),
    }
    Ok(())
}

pub(crate) fn delete(
    cib: &mut Document,
    section: Option<&str>,
    bits: u32,
    input: Option<Element<'_>>,
) -> Done {
    if bits & options::XPATH != 0 {
        let mut targets = xpath_targets(cib, section)?;
        if bits & options::MULTIPLE == 0 {
            targets.truncate(1);
        }
        if targets.contains(&cib.root()) {
            return Err(CibError::Invalid.into());
        }
        for node in outermost(cib, &targets) {
            cib.remove(node);
        }
        return Ok(());
    }
    let input = input.ok_or(CibError::Invalid)?;
    let Some(top) = section_path(cib, section) else { return Ok(()) };
    if Some(input.name()) == section {
        for child in input.children() {
            delete_first(cib, top, child);
        }
    } else {
        delete_first(cib, top, input);
    }
    Ok(())
}

/// Deletes the first element below `top` that has the name and all attributes of `wanted`.
fn delete_first(cib: &mut Document, top: NodeId, wanted: Element<'_>) {
    let found = first_below(cib, top, |node| {
        let same = |(name, value): (&str, &str)| {
            cib.attr(node, name).is_some_and(|have| have.eq_ignore_ascii_case(value))
        };
        cib.name(node) == wanted.name() && wanted.attrs().all(same)
    });
    if let Some(node) = found {
        cib.remove(node);
    }
}

pub(crate) fn erase(cib: &mut Document) -> Done {
    let mut empty = empty_cib();
    let attributes: Vec<(String, String)> =
        cib.attrs(cib.root()).map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let root = empty.root();
    for (name, value) in attributes {
        empty.set_attr(root, &name, &value);
    }
    let mut version = Version::of(empty.root_element());
    version.admin_epoch += 1;
    version.write(&mut empty);
    *cib = empty;
    Ok(())
}

pub(crate) fn bump(cib: &mut Document) -> Done {
    let mut version = Version::of(cib.root_element());
    version.epoch += 1;
    version.write(cib);
    Ok(())
}

/// What a query finds: a section, or with an XPath one element or `<xpath-query>` around several.
pub(crate) fn query(cib: &Document, section: Option<&str>, bits: u32) -> Result<Document, CibError> {
    if bits & options::XPATH == 0 {
        let node = section_path(cib, section).ok_or(CibError::NotFound)?;
        return Ok(if bits & options::NO_CHILDREN != 0 { shallow(cib, node) } else { cib.extract(node) });
    }
    let found = xpath_existing(cib, section)?;
    let part =
        |node: NodeId| if bits & options::NO_CHILDREN != 0 { shallow(cib, node) } else { cib.extract(node) };
    if bits & options::XPATH_ADDRESS == 0 && found.len() == 1 {
        return Ok(part(found[0]));
    }
    let mut answer = Document::new("xpath-query");
    let root = answer.root();
    for node in found {
        if bits & options::XPATH_ADDRESS != 0 {
            answer.append_with(root, "xpath-query-path", &[("id", &cib.xpath_of(node))]);
        } else {
            let copy = part(node);
            answer.import(root, &copy, copy.root());
        }
    }
    Ok(answer)
}

fn shallow(cib: &Document, node: NodeId) -> Document {
    let mut copy = Document::new(cib.name(node));
    let root = copy.root();
    for (name, value) in cib.attrs(node) {
        copy.set_attr(root, name, value);
    }
    copy
}

fn xpath_targets(cib: &Document, expression: Option<&str>) -> Result<Vec<NodeId>, CibError> {
    let path = XPath::parse(expression.ok_or(CibError::Invalid)?).map_err(|_| CibError::Invalid)?;
    path.select(cib).map_err(|_| CibError::Invalid)
}

fn xpath_existing(cib: &Document, expression: Option<&str>) -> Result<Vec<NodeId>, CibError> {
    let found = xpath_targets(cib, expression)?;
    if found.is_empty() { Err(CibError::NotFound) } else { Ok(found) }
}

/// First node strictly below `top`, in document order.
fn first_below(cib: &Document, top: NodeId, fits: impl Fn(NodeId) -> bool) -> Option<NodeId> {
    let mut at = cib.next_in_order(top, top);
    while let Some(node) = at {
        if fits(node) {
            return Some(node);
        }
        at = cib.next_in_order(top, node);
    }
    None
}

/// Without nodes that lie inside another one of the list.
fn outermost(cib: &Document, nodes: &[NodeId]) -> Vec<NodeId> {
    let inside = |node: NodeId| {
        std::iter::successors(cib.parent(node), |up| cib.parent(*up)).any(|up| nodes.contains(&up))
    };
    nodes.iter().copied().filter(|node| !inside(*node)).collect()
}
