//! Checks that a configuration has the shape that its schema asks for.
//!
//! The rules are a table ([`table`]): which attributes an element must and may have, which elements
//! it may contain, which values an attribute may take. They describe the newest schema of the 3.x
//! line; a CIB that names an older line is checked in today's words (after [`crate::upgrade`]), one
//! that says `validate-with="none"` not at all. The status section is never checked.

mod table;

use std::collections::HashSet;
use std::fmt;

use base::CibError;
use xml::{Document, Element};

use crate::upgrade::{self, Goal};

use table::{Rule, Values, rule_for};

/// Most faults reported for one document.
pub const MAX_FAULTS: usize = 20;

/// One place where a document does not conform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the element.
    pub place: String,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Which rules apply to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Unchecked,
    Older,
    Current,
}

fn line_of(schema: &str) -> Option<Line> {
    if schema == "none" {
        return Some(Line::Unchecked);
    }
    if matches!(schema, "pacemaker-next" | "transitional-0.6") {
        return Some(Line::Older);
    }
    let version = schema.strip_prefix("pacemaker-")?;
    let (major, minor) = version.split_once('.')?;
    minor.parse::<u32>().ok()?;
    match major.parse::<u32>().ok()? {
        0..=2 => Some(Line::Older),
        3 | 4 => Some(Line::Current),
        _ => None,
    }
}

/// Whether `validate-with` may have this value.
pub fn is_known(schema: &str) -> bool {
    line_of(schema).is_some()
}

/// Checks the configuration section.
///
/// # Errors
/// Up to [`MAX_FAULTS`] faults, in document order.
pub fn validate(cib: &Document) -> Result<(), Vec<Fault>> {
    let root = cib.root_element();
    let schema = root.attr("validate-with").unwrap_or(base::CURRENT_SCHEMA);
    let Some(line) = line_of(schema) else {
        let message = format!("validate-with='{schema}' is not a schema that is known here");
        return Err(vec![Fault { place: "/cib".into(), message }]);
    };
    if line == Line::Unchecked {
        return Ok(());
    }
    // Older lines have words of their own: what they say in today's words must conform.
    let faults = if line == Line::Older {
        let mut today = cib.clone();
        upgrade::transform(&mut today, Goal::V3);
        faults(&today)
    } else {
        faults(cib)
    };
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn faults(cib: &Document) -> Vec<Fault> {
    let root = cib.root_element();
    let mut check = Check { cib, faults: Vec::new(), ids: HashSet::new() };
    match root.child("configuration") {
        Some(configuration) => check.element(configuration),
        None => check.fault(root, "the configuration section is missing".into()),
    }
    check.faults
}

/// Moves a document to the newest schema that is stored; older lines are transformed
/// ([`crate::upgrade`]).
///
/// # Errors
/// [`CibError::SchemaUnchanged`] when it is there already, [`CibError::TransformFailed`] when nobody
/// knows its schema, [`CibError::SchemaValidation`] when the result does not conform to the newest one.
pub fn upgrade(cib: &mut Document) -> Result<(), CibError> {
    let root = cib.root();
    let schema = cib.attr(root, "validate-with").unwrap_or("").to_string();
    if schema == base::CURRENT_SCHEMA {
        return Err(CibError::SchemaUnchanged);
    }
    if line_of(&schema).is_none() {
        return Err(CibError::TransformFailed);
    }
    let mut upgraded = cib.clone();
    upgrade::transform(&mut upgraded, Goal::V3);
    upgraded.set_attr(root, "validate-with", base::CURRENT_SCHEMA);
    validate(&upgraded).map_err(|_| CibError::SchemaValidation)?;
    *cib = upgraded;
    Ok(())
}

struct Check<'a> {
    cib: &'a Document,
    faults: Vec<Fault>,
    ids: HashSet<&'a str>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, element: Element<'_>, message: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { place: self.cib.xpath_of(element.id()), message });
        }
    }

    fn element(&mut self, element: Element<'a>) {
        self.identity(element);
        let rule = rule_for(element.name());
        if let Some(rule) = rule {
            self.attributes(element, rule);
        }
        for child in element.children() {
            if rule.is_some_and(|rule| !rule.children.contains(&child.name())) {
                let message = format!("<{}> is not expected in <{}>", child.name(), element.name());
                self.fault(child, message);
                continue;
            }
            self.element(child);
        }
    }

    fn identity(&mut self, element: Element<'a>) {
        // These name something that is defined elsewhere; ids of nodes are a namespace of their own.
        if matches!(element.name(), "resource_ref" | "obj_ref" | "role" | "node") {
            return;
        }
        if let Some(id) = element.attr("id") {
            if id.is_empty() {
                self.fault(element, "the id is empty".into());
            } else if !self.ids.insert(id) {
                self.fault(element, format!("the id '{id}' is used twice"));
            }
        }
    }

    fn attributes(&mut self, element: Element<'a>, rule: &Rule) {
        let by_reference = element.attr("id-ref").is_some() && rule.optional.contains(&"id-ref");
        if !by_reference {
            for name in rule.required.iter().filter(|name| element.attr(name).is_none()) {
                self.fault(element, format!("<{}> needs the attribute '{name}'", element.name()));
            }
        }
        for (name, value) in element.attrs() {
            if !rule.required.contains(&name) && !rule.optional.contains(&name) {
                self.fault(element, format!("<{}> has no attribute '{name}'", element.name()));
            } else if let Some(allowed) =
                rule.values.iter().find(|(n, _)| *n == name).map(|(_, allowed)| allowed)
                && !fits(value, allowed)
            {
                self.fault(element, format!("'{value}' is not a value for '{name}': {allowed}"));
            }
        }
        if element.name() == "primitive"
            && element.attr("template").is_none()
            && element.attr("class").is_none()
        {
            self.fault(element, "a <primitive> needs a class and a type, or a template".into());
        }
    }
}

fn fits(value: &str, allowed: &Values) -> bool {
    match allowed {
        Values::Words(words) => words.contains(&value),
        Values::Score => value.parse::<base::Score>().is_ok(),
        Values::Bool => matches!(
            value.to_ascii_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "1" | "0" | "y" | "n"
        ),
        Values::Count => !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resources: &str) -> Result<(), Vec<Fault>> {
        let text = format!(
            "<cib validate-with='pacemaker-3.9'><configuration><crm_config/><nodes/>\
             <resources>{resources}</resources><constraints/></configuration></cib>"
        );
        validate(&Document::parse(&text).unwrap())
    }

    #[test]
    fn faults_name_their_place() {
        let faults = check(
            "<primitive id='p' class='ocf' type='x'><operations><op id='o' name='m'/></operations></primitive>",
        );
        let faults = faults.unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(
            faults[0].to_string(),
            "/cib/configuration/resources/primitive[@id='p']/operations/op[@id='o']: <op> needs the attribute 'interval'"
        );
    }

    #[test]
    fn references_may_repeat_ids_and_definitions_may_not() {
        let reference = "<primitive id='p' class='lsb' type='x'/>\
            <primitive id='q' class='lsb' type='x'><meta_attributes id-ref='m'/></primitive>";
        assert_eq!(check(reference), Ok(()));
        assert!(
            check("<primitive id='p' class='lsb' type='x'/><primitive id='p' class='lsb' type='x'/>")
                .is_err()
        );
        assert!(check("<primitive id='p'/>").is_err());
    }

    /// Every configuration of the shared suite that says it conforms to 3.x does so here.
    #[test]
    fn shared_configurations_conform() {
        let shared = std::env::var("RELEVO_SHARED")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
        let Ok(files) = std::fs::read_dir(format!("{shared}/pacemaker-scheduler-suite/xml")) else {
            println!("LEFT OUT: the scheduler suite's configurations are not here");
            return;
        };
        let mut wrong = Vec::new();
        for file in files {
            let path = file.unwrap().path();
            let Ok(cib) = Document::parse(&std::fs::read_to_string(&path).unwrap()) else { continue };
            if true && let Err(faults) = validate(&cib) {
                wrong.push(format!("{}: {}", path.display(), faults[0]));
            }
        }
        assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
    }
}
