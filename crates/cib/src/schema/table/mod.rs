//! The elements of a configuration: facts of the reference's schemas 3.10 and 4.0 (its files
//! `xml/*.rng`), one module for each section. Start at [`CIB`].

mod constraints;
mod options;
mod resources;
mod rules;
mod sections;

use super::datatypes::Kind;
use super::model::{Definition, element, may, must, one, optional, shape};

/// A configuration with what a cluster knows of itself. The status section is open: nobody can
/// refuse a result.
pub(super) static CIB: Definition = element(
    "cib",
    &[&[shape(
        &[
            must("validate-with", Kind::Text),
            must("admin_epoch", Kind::NonNegative),
            must("epoch", Kind::NonNegative),
            must("num_updates", Kind::NonNegative),
            may("crm_feature_set", Kind::Text),
            may("remote-tls-port", Kind::NonNegative),
            may("remote-clear-port", Kind::NonNegative),
            may("have-quorum", Kind::Boolean),
            may("dc-uuid", Kind::Text),
            may("cib-last-written", Kind::Text),
            may("no-quorum-panic", Kind::Boolean),
            may("update-origin", Kind::Text),
            may("update-client", Kind::Text),
            may("update-user", Kind::Text),
            may("execution-date", Kind::Text),
        ],
        &[one(&[&CONFIGURATION]).at(1), optional(&[&STATUS]).at(2)],
    )]],
);

static CONFIGURATION: Definition = element(
    "configuration",
    &[&[shape(
        &[],
        &[
            one(&[&options::CRM_CONFIG]),
            optional(&[&options::RSC_DEFAULTS]),
            optional(&[&options::OP_DEFAULTS]),
            one(&[&sections::NODES]),
            one(&[&resources::RESOURCES]),
            one(&[&constraints::CONSTRAINTS]),
            optional(&[&sections::FENCING_TOPOLOGY]),
            optional(&[&sections::ACLS]),
            optional(&[&sections::TAGS]),
            optional(&[&sections::ALERTS]),
        ],
    )]],
);

static STATUS: Definition = Definition { name: "status", groups: &[], is_open: true };

const ROLES: Kind = Kind::Words(&["Stopped", "Started", "Promoted", "Unpromoted", "Master", "Slave"]);

/// An element that only names something.
macro_rules! reference {
    ($static:ident, $name:literal, $kind:expr) => {
        pub(super) static $static: Definition = crate::schema::model::element(
            $name,
            &[&[crate::schema::model::shape(&[crate::schema::model::must("id", $kind)], &[])]],
        );
    };
}
use reference;
