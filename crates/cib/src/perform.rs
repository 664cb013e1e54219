//! One operation from start to end: change, counters, checks, patch.

use base::CibError;
use xml::{Changes, Document, Element, NodeId};

use crate::ops::{self, OpFailure};
use crate::patchset::{apply_in_place, make_patchset, make_patchset_since};
use crate::schema;
use crate::version::Version;

/// What is asked of the CIB. Names on the wire: [`Operation::from_name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Query,
    Create,
    Modify,
    Replace,
    Delete,
    Erase,
    Bump,
    Upgrade,
    ApplyPatch,
}

impl Operation {
    pub fn from_name(name: &str) -> Option<Operation> {
        Some(match name {
            "cib_query" => Operation::Query,
            "cib_create" => Operation::Create,
            "cib_modify" => Operation::Modify,
            "cib_replace" => Operation::Replace,
            "cib_delete" | "cib_delete_alt" => Operation::Delete,
            "cib_erase" => Operation::Erase,
            "cib_bump" => Operation::Bump,
            "cib_upgrade" => Operation::Upgrade,
            "cib_apply_diff" => Operation::ApplyPatch,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Operation::Query => "cib_query",
            Operation::Create => "cib_create",
            Operation::Modify => "cib_modify",
            Operation::Replace => "cib_replace",
            Operation::Delete => "cib_delete",
            Operation::Erase => "cib_erase",
            Operation::Bump => "cib_bump",
            Operation::Upgrade => "cib_upgrade",
            Operation::ApplyPatch => "cib_apply_diff",
        }
    }
}

/// An operation with its arguments and with who asks.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub operation: Operation,
    /// Section name, or an XPath when [`crate::options::XPATH`] is set.
    pub section: Option<&'a str>,
    /// Bits of [`crate::options`].
    pub options: u32,
    pub input: Option<Element<'a>>,
    /// Node, program and user that asked, and the time as the `cib-last-written` text.
    pub origin: &'a str,
    pub client: &'a str,
    pub user: &'a str,
    pub written: &'a str,
    /// Versions come with the data (a full copy from another node): count nothing.
    pub keep_version: bool,
}

/// A changed document. Nothing differs when `patch` is `None`.
#[derive(Debug)]
pub struct Outcome {
    pub cib: Document,
    pub patch: Option<Document>,
    pub configuration_changed: bool,
}

/// A refused operation; the current document stays.
#[derive(Debug)]
pub struct Failure {
    pub error: CibError,
    /// Which objects were refused (`<failed>`), or the document that does not conform.
    pub details: Option<Box<Document>>,
}

impl From<CibError> for Failure {
    fn from(error: CibError) -> Self {
        Failure { error, details: None }
    }
}

impl From<OpFailure> for Failure {
    fn from(failure: OpFailure) -> Self {
        Failure { error: failure.error, details: failure.details }
    }
}

/// Answers a query.
///
/// # Errors
/// [`CibError::NotFound`] when nothing matches, [`CibError::Invalid`] for a wrong XPath.
pub fn query(cib: &Document, section: Option<&str>, options: u32) -> Result<Document, CibError> {
    ops::query(cib, section, options)
}

/// Carries out a change on a copy of `current`.
///
/// # Errors
/// [`Failure`] with the reason; see [`CibError`].
pub fn perform(current: &Document, request: &Request<'_>) -> Result<Outcome, Failure> {
    let mut cib = current.clone();
    cib.watch();
    change(&mut cib, request)?;
    if cib.name(cib.root()) != "cib" {
        return Err(CibError::Invalid.into());
    }
    // Nobody could read it again.
    if cib.size().1 > xml::MAX_BYTES {
        return Err(CibError::NoSpace.into());
    }
    let feature_set = cib.root_element().attr("crm_feature_set").unwrap_or("");
    if newer_feature_set(feature_set, base::CRM_FEATURE_SET) {
        return Err(CibError::BadSchemaName.into());
    }
    strip_text(&mut cib);
    let (old, new) = (Version::of(current.root_element()), Version::of(cib.root_element()));
    if (new.admin_epoch, new.epoch) < (old.admin_epoch, old.epoch) {
        return Err(CibError::OldData.into());
    }
    // What comes after this changes the root only, which is looked at in any case.
    let changes = cib.unwatch();
    let changes = changes.as_ref();
    let configuration_changed = has_other_configuration(current, &cib, changes);
    let keep = request.keep_version || request.operation == Operation::ApplyPatch;
    if !keep && differs(current, &cib, changes) {
        count(&mut cib, new, configuration_changed);
        if configuration_changed && request.options & crate::options::NO_MTIME == 0 {
            stamp(&mut cib, request);
        }
    }
    // What only the status section says is not checked: nobody can refuse a result.
    if configuration_changed && let Err(faults) = schema::validate(&cib) {
        let mut details = Document::new("failed");
        let root = details.root();
        for fault in faults {
            details.append_with(root, "fault", &[("message", &fault.to_string())]);
        }
        return Err(Failure { error: CibError::SchemaValidation, details: Some(Box::new(details)) });
    }
    let patch = match changes {
        Some(changes) => make_patchset_since(current, &cib, changes),
        None => make_patchset(current, &cib),
    };
    Ok(Outcome { cib, patch, configuration_changed })
}

fn change(cib: &mut Document, request: &Request<'_>) -> Result<(), Failure> {
    let Request { section, options, input, .. } = *request;
    match request.operation {
        Operation::Query => return Err(CibError::Invalid.into()),
        Operation::Create => ops::create(cib, section, options, input)?,
        Operation::Modify => ops::modify(cib, section, options, input)?,
        Operation::Replace => ops::replace(cib, section, options, input)?,
        Operation::Delete => ops::delete(cib, section, options, input)?,
        Operation::Erase => ops::erase(cib)?,
        Operation::Bump => ops::bump(cib)?,
        Operation::Upgrade => schema::upgrade(cib)?,
        Operation::ApplyPatch => apply_in_place(cib, input.ok_or(CibError::Invalid)?)?,
    }
    Ok(())
}

fn differs(old: &Document, new: &Document, changes: Option<&Changes>) -> bool {
    !is_same(old, old.root(), new, new.root(), changes)
}

fn is_same(
    old: &Document,
    old_node: NodeId,
    new: &Document,
    new_node: NodeId,
    changes: Option<&Changes>,
) -> bool {
    match changes {
        Some(changes) => new.is_same_since(new_node, old, old_node, changes),
        None => new.is_same(new_node, old, old_node),
    }
}

fn count(cib: &mut Document, version: Version, configuration_changed: bool) {
    let mut next = version;
    if configuration_changed {
        next.epoch = next.epoch.saturating_add(1);
        next.num_updates = 0;
    } else {
        next.num_updates = next.num_updates.saturating_add(1);
    }
    next.write(cib);
}

fn stamp(cib: &mut Document, request: &Request<'_>) {
    let root = cib.root();
    cib.set_attr(root, "cib-last-written", request.written);
    for (name, value) in
        [("update-origin", request.origin), ("update-client", request.client), ("update-user", request.user)]
    {
        if value.is_empty() {
            cib.remove_attr(root, name);
        } else {
            cib.set_attr(root, name, value);
        }
    }
}

/// Whether the configuration section differs (attributes of the root do not count).
pub fn is_configuration_change(old: &Document, new: &Document) -> bool {
    has_other_configuration(old, new, None)
}

fn has_other_configuration(old: &Document, new: &Document, changes: Option<&Changes>) -> bool {
    let part = |cib: &Document| cib.child(cib.root(), "configuration");
    match (part(old), part(new)) {
        (Some(old_part), Some(new_part)) => !is_same(old, old_part, new, new_part, changes),
        (None, None) => false,
        _ => true,
    }
}

/// Whether the first version ("3.16.1") is newer than the second.
fn newer_feature_set(theirs: &str, ours: &str) -> bool {
    let parts = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    parts(theirs) > parts(ours)
}

/// Texts have no meaning in a CIB; the reference drops them as well.
fn strip_text(cib: &mut Document) {
    if !cib.has_text() {
        return;
    }
    let mut at = Some(cib.root());
    let mut texts = Vec::new();
    while let Some(node) = at {
        if cib.kind(node) == xml::NodeKind::Text {
            texts.push(node);
        }
        at = cib.next_in_order(cib.root(), node);
    }
    for node in texts {
        cib.remove(node);
    }
}

#[cfg(test)]
mod tests;
