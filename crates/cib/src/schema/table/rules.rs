//! Rules: five kinds by their place, which accept the same.

use super::super::datatypes::Kind;
use super::super::model::{Definition, Line, element, may, must, one, optional, shape, some};

/// A rule that is no reference: some expressions, and a score or the name of an attribute with it.
macro_rules! rule {
    ($score:expr) => {
        shape(
            &[
                must("id", Kind::Id),
                may("boolean-op", Kind::Words(&["or", "and"])),
                may("role", Kind::Text),
                $score,
            ],
            &[some(&[&EXPRESSION, &DATE_EXPRESSION, &RSC_EXPRESSION, &OP_EXPRESSION, &RULE])],
        )
    };
}

pub(super) static RULE: Definition = element(
    "rule",
    &[&[
        rule!(may("score", Kind::Score)),
        rule!(must("score-attribute", Kind::Text)),
        shape(&[must("id-ref", Kind::IdRef)], &[]),
    ]],
);

static EXPRESSION: Definition = element(
    "expression",
    &[&[shape(
        &[
            must("id", Kind::Id),
            must("attribute", Kind::Text),
            must("operation", Kind::Words(&["lt", "gt", "lte", "gte", "eq", "ne", "defined", "not_defined"])),
            may("value", Kind::Text),
            may("type", Kind::Words(&["string", "integer", "number", "version"])),
            may("value-source", Kind::Words(&["literal", "param", "meta"])),
        ],
        &[],
    )]],
);

static DATE_EXPRESSION: Definition = element(
    "date_expression",
    &[
        &[shape(&[must("id", Kind::Id)], &[])],
        &[
            shape(
                &[
                    must("operation", Kind::Words(&["in_range"])),
                    must("start", Kind::Text),
                    may("end", Kind::Text),
                ],
                &[optional(&[&DURATION])],
            ),
            shape(
                &[must("operation", Kind::Words(&["in_range"])), must("end", Kind::Text)],
                &[optional(&[&DURATION])],
            ),
            shape(&[must("operation", Kind::Words(&["gt"])), must("start", Kind::Text)], &[]),
            shape(&[must("operation", Kind::Words(&["lt"])), must("end", Kind::Text)], &[]),
            shape(&[must("operation", Kind::Words(&["date_spec"]))], &[one(&[&DATE_SPEC])]),
        ],
    ],
);

static RSC_EXPRESSION: Definition = element(
    "rsc_expression",
    &[&[shape(
        &[
            must("id", Kind::Id),
            may("class", Kind::Text),
            may("provider", Kind::Text),
            may("type", Kind::Text),
        ],
        &[],
    )]],
);

static OP_EXPRESSION: Definition = element(
    "op_expression",
    &[&[shape(&[must("id", Kind::Id), must("name", Kind::Text), may("interval", Kind::Text)], &[])]],
);

static DURATION: Definition = element(
    "duration",
    &[&[shape(
        &[
            must("id", Kind::Id),
            may("years", Kind::Text),
            may("months", Kind::Text),
            may("weeks", Kind::Text),
            may("days", Kind::Text),
            may("hours", Kind::Text),
            may("minutes", Kind::Text),
            may("seconds", Kind::Text),
            may("monthdays", Kind::Text),
            may("weekdays", Kind::Text),
            may("yearsdays", Kind::Text),
            may("weekyears", Kind::Text),
            may("moon", Kind::Text),
        ],
        &[],
    )]],
);

static DATE_SPEC: Definition = element(
    "date_spec",
    &[&[shape(
        &[
            must("id", Kind::Id),
            may("years", Kind::Text),
            may("months", Kind::Text),
            may("monthdays", Kind::Text),
            may("hours", Kind::Text),
            may("minutes", Kind::Text),
            may("seconds", Kind::Text),
            may("yeardays", Kind::Text),
            may("weekyears", Kind::Text),
            may("weeks", Kind::Text),
            may("weekdays", Kind::Text),
            may("yearsdays", Kind::Text),
            may("moon", Kind::Text).only(Line::Three),
        ],
        &[],
    )]],
);
