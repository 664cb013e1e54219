//! Constraints.

use super::super::datatypes::Kind;
use super::super::model::{Definition, Line, any, element, may, must, one, optional, shape, some};
use super::rules::RULE;
use super::{ROLES, reference};

const ACTIONS: Kind = Kind::Words(&["start", "promote", "demote", "stop"]);
const ORDERS: Kind = Kind::Words(&["Optional", "Mandatory", "Serialize"]);

pub(super) static CONSTRAINTS: Definition =
    element("constraints", &[&[shape(&[], &[any(&[&LOCATION, &COLOCATION, &ORDER, &TICKET])])]]);

/// Sets instead of attributes that name resources.
macro_rules! sets {
    () => {
        shape(&[], &[some(&[&RESOURCE_SET]).at(2)])
    };
}

/// In 3.x a lifetime may stand before the sets (in a location constraint after the rules).
macro_rules! lifetime_first {
    () => {
        optional(&[&LIFETIME]).at(1).only(Line::Three)
    };
}

static LOCATION: Definition = element(
    "rsc_location",
    &[
        &[shape(
            &[
                must("id", Kind::Id),
                may("resource-discovery", Kind::Words(&["always", "never", "exclusive"])),
            ],
            &[optional(&[&LIFETIME]).at(4).only(Line::Three)],
        )],
        &[
            shape(&[must("rsc", Kind::IdRef), may("role", ROLES)], &[]),
            shape(&[must("rsc-pattern", Kind::Text), may("role", ROLES)], &[]),
            sets!(),
        ],
        &[
            shape(&[must("score", Kind::Score), must("node", Kind::Text)], &[]),
            shape(&[], &[one(&[&RULE]).at(3).only(Line::Four), some(&[&RULE]).at(3).only(Line::Three)]),
        ],
    ],
);

static COLOCATION: Definition = element(
    "rsc_colocation",
    &[
        &[shape(
            &[must("id", Kind::Id), may("score", Kind::Score), may("influence", Kind::Text)],
            &[lifetime_first!()],
        )],
        &[
            shape(
                &[
                    must("rsc", Kind::IdRef),
                    must("with-rsc", Kind::IdRef),
                    may("node-attribute", Kind::Text),
                    may("rsc-role", ROLES),
                    may("with-rsc-role", ROLES),
                ],
                &[],
            ),
            sets!(),
        ],
    ],
);

static ORDER: Definition = element(
    "rsc_order",
    &[
        &[shape(
            &[must("id", Kind::Id), may("symmetrical", Kind::Boolean), may("require-all", Kind::Boolean)],
            &[lifetime_first!()],
        )],
        &[shape(&[may("kind", ORDERS)], &[]), shape(&[must("score", Kind::Score)], &[])],
        &[
            shape(
                &[
                    must("first", Kind::IdRef),
                    must("then", Kind::IdRef),
                    may("first-action", ACTIONS),
                    may("then-action", ACTIONS),
                ],
                &[],
            ),
            sets!(),
        ],
    ],
);

static TICKET: Definition = element(
    "rsc_ticket",
    &[
        &[shape(
            &[
                must("id", Kind::Id),
                must("ticket", Kind::Text),
                may("loss-policy", Kind::Words(&["stop", "demote", "fence", "freeze"])),
            ],
            &[],
        )],
        &[shape(&[must("rsc", Kind::IdRef), may("rsc-role", ROLES)], &[]), sets!()],
    ],
);

static LIFETIME: Definition = element("lifetime", &[&[shape(&[], &[some(&[&RULE])])]]);

macro_rules! resource_set {
    ($last:expr) => {
        shape(
            &[
                must("id", Kind::Id),
                may("sequential", Kind::Boolean),
                may("require-all", Kind::Boolean),
                may("ordering", Kind::Words(&["group", "listed"])),
                may("action", ACTIONS),
                may("role", ROLES),
                $last,
            ],
            &[some(&[&RESOURCE_REF])],
        )
    };
}

static RESOURCE_SET: Definition = element(
    "resource_set",
    &[&[
        resource_set!(may("score", Kind::Score)),
        resource_set!(must("kind", ORDERS)),
        shape(&[must("id-ref", Kind::IdRef)], &[]),
    ]],
);

reference!(RESOURCE_REF, "resource_ref", Kind::IdRef);
