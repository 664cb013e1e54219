//! Checks that a configuration has the shape that its schema asks for.
//!
//! The rules are tables ([`table`]) of definitions ([`model::Definition`]): which attributes and
//! children an element must and may have, alone and together, and which values an attribute may take
//! ([`datatypes`]). They tell the lines 3.x and 4.0 apart. A CIB that names an older line is checked in
//! today's words (after [`crate::upgrade`]), one that says `validate-with="none"` not at all. Ids must
//! be unique and whatever is referred to must exist. The status section is never checked.

mod check;
mod datatypes;
mod model;
mod table;

use std::fmt;

use base::CibError;
use xml::Document;

use crate::upgrade::{self, Goal};

use model::Line;

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
enum Rules {
    Unchecked,
    Older,
    Of(Line),
}

/// Lines of schemas, and the highest number in each.
const NEWEST_OF_LINE: [(u32, u32); 5] = [(0, 9), (1, 3), (2, 10), (3, 10), (4, 0)];

fn rules_of(schema: &str) -> Option<Rules> {
    if schema == "none" {
        return Some(Rules::Unchecked);
    }
    if matches!(schema, "pacemaker-next" | "transitional-0.6") {
        return Some(Rules::Older);
    }
    let version = schema.strip_prefix("pacemaker-")?;
    let (major, minor) = version.split_once('.')?;
    let (major, minor) = (major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?);
    if !NEWEST_OF_LINE.iter().any(|(line, newest)| *line == major && minor <= *newest) {
        return None;
    }
    Some(match major {
        0..=2 => Rules::Older,
        3 => Rules::Of(Line::Three),
        _ => Rules::Of(Line::Four),
    })
}

/// Whether `validate-with` may have this value.
pub fn is_known(schema: &str) -> bool {
    rules_of(schema).is_some()
}

/// Checks a document against the schema that it names.
///
/// # Errors
/// Up to [`MAX_FAULTS`] faults, in document order; references to what does not exist come last.
pub fn validate(cib: &Document) -> Result<(), Vec<Fault>> {
    let rules = declared(cib)?;
    // Older lines have words of their own: what they say in today's words must conform.
    let faults = match rules {
        Rules::Unchecked => Vec::new(),
        Rules::Older => {
            let mut today = cib.clone();
            upgrade::transform(&mut today, Goal::V3);
            check::check(&today, Line::Three, &table::CIB)
        }
        Rules::Of(line) => check::check(cib, line, &table::CIB),
    };
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Checks a document against the schema that it names, or else against a later line: whoever moves
/// configurations to the newest schema may start from any that fits (the reference does so before a
/// decision).
///
/// # Errors
/// The faults that [`validate`] finds.
pub fn validate_upgradable(cib: &Document) -> Result<(), Vec<Fault>> {
    let faults = match validate(cib) {
        Ok(()) => return Ok(()),
        Err(faults) => faults,
    };
    let later: &[Line] = match declared(cib)? {
        Rules::Unchecked | Rules::Of(Line::Four) => &[],
        Rules::Of(Line::Three) => &[Line::Four],
        Rules::Older => &[Line::Three, Line::Four],
    };
    if later.iter().any(|line| check::check(cib, *line, &table::CIB).is_empty()) {
        Ok(())
    } else {
        Err(faults)
    }
}

fn declared(cib: &Document) -> Result<Rules, Vec<Fault>> {
    let schema = cib.root_element().attr("validate-with").unwrap_or(base::CURRENT_SCHEMA);
    rules_of(schema).ok_or_else(|| {
        let message = format!("validate-with='{schema}' is not a schema that is known here");
        vec![Fault { place: "/cib".into(), message }]
    })
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
    if rules_of(&schema).is_none() {
        return Err(CibError::TransformFailed);
    }
    let mut upgraded = cib.clone();
    upgrade::transform(&mut upgraded, Goal::V3);
    upgraded.set_attr(root, "validate-with", base::CURRENT_SCHEMA);
    validate(&upgraded).map_err(|_| CibError::SchemaValidation)?;
    *cib = upgraded;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resources: &str) -> Result<(), Vec<Fault>> {
        let text = format!(
            "<cib validate-with='pacemaker-3.9' admin_epoch='0' epoch='1' num_updates='0'><configuration><crm_config/><nodes/>\
             <resources>{resources}</resources><constraints/></configuration></cib>"
        );
        validate(&Document::parse(&text).unwrap())
    }

    #[test]
    fn faults_name_their_place() {
        let faults = check(
            "<primitive id='p' class='lsb' type='x'><operations><op id='o' name='m'/></operations></primitive>",
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
        let reference = "<primitive id='p' class='lsb' type='x'><meta_attributes id='m'/></primitive>\
            <primitive id='q' class='lsb' type='x'><meta_attributes id-ref='m'/></primitive>\
            <primitive id='r' class='lsb' type='x'><meta_attributes id-ref='m'/></primitive>";
        assert_eq!(check(reference), Ok(()));
        let faults = check(&reference.replace("id='m'", "id='n'")).unwrap_err();
        assert_eq!(faults.len(), 2);
        assert_eq!(
            faults[0].to_string(),
            "/cib/configuration/resources/primitive[@id='q']/meta_attributes: id-ref='m' names nothing in the configuration"
        );
        let twice = check(&reference.replace("id='q'", "id='p'")).unwrap_err();
        assert_eq!(twice[0].message, "the id 'p' is used twice");
    }

    #[test]
    fn faults_say_what_would_be_right() {
        let message = |resources: &str| check(resources).unwrap_err()[0].message.clone();
        assert_eq!(message("<primitive id='p'/>"), "<primitive> needs the attribute 'template'");
        assert_eq!(message("<group id='g'/>"), "<group> needs <primitive> inside");
        assert_eq!(message("<clone id='c'/>"), "<clone> needs <primitive> or <group> inside");
        assert_eq!(
            message("<primitive id='p' class='lsb' provider='x' type='y'/>"),
            "<primitive> has no attribute 'provider' beside class='lsb'"
        );
        assert_eq!(
            message("<primitive id='p' class='bad' type='y'/>"),
            "'bad' is not a value for 'class': one of ocf, lsb, heartbeat, stonith, service, systemd, upstart, nagios"
        );
        assert_eq!(
            message("<bundle id='b'><docker image='i'/><podman image='i'/></bundle>"),
            "<bundle> may have only one <docker>, <podman> or <rkt> inside"
        );
        assert_eq!(
            message("<primitive id='p' class='lsb' type='y'>text</primitive>"),
            "text is not expected in <primitive>"
        );
    }

    #[test]
    fn no_attribute_and_no_child_belongs_to_two_groups() {
        let mut seen = Vec::new();
        let mut next = vec![&table::CIB];
        while let Some(definition) = next.pop() {
            if seen.iter().any(|it| std::ptr::eq(*it, definition)) {
                continue;
            }
            seen.push(definition);
            let mut owner = std::collections::HashMap::new();
            for (group, shapes) in definition.groups.iter().enumerate() {
                let shapes = shapes.iter();
                let names =
                    shapes.clone().flat_map(|shape| shape.attributes).map(|it| format!("@{}", it.name));
                let inner = || shapes.clone().flat_map(|shape| shape.parts).flat_map(|part| part.elements);
                next.extend(inner());
                for name in names.chain(inner().map(|it| it.name.to_string())) {
                    assert_eq!(
                        *owner.entry(name.clone()).or_insert(group),
                        group,
                        "{}: {name}",
                        definition.name
                    );
                }
            }
        }
        assert!(seen.len() > 70, "{} definitions", seen.len());
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
            if let Err(faults) = validate(&cib) {
                wrong.push(format!("{}: {}", path.display(), faults[0]));
            }
        }
        assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
    }
}
