//! Options: sets of name/value pairs, which differ in the names that are refused.

use super::super::datatypes::Kind;
use super::super::model::{Definition, Line, any, element, may, must, optional, shape};
use super::rules::RULE;

/// Options of operations that nobody knows any more.
const OP_DROPPED: Kind = Kind::NoneOf(&["can_fail", "role_after_failure"]);
const RSC_DROPPED: Kind = Kind::NoneOf(&["restart-type"]);

/// A pair: a reference to another one, or a name that each line may restrict, with its value.
macro_rules! pair {
    ($static:ident, $three:expr, $four:expr) => {
        static $static: Definition = element(
            "nvpair",
            &[&[
                shape(
                    &[
                        must("id", Kind::Id),
                        must("name", $three).only(Line::Three),
                        must("name", $four).only(Line::Four),
                        may("value", Kind::Text).only(Line::Three),
                        must("value", Kind::Text).only(Line::Four),
                    ],
                    &[],
                ),
                shape(&[must("id-ref", Kind::IdRef), may("name", Kind::Text).only(Line::Three)], &[]),
            ]],
        );
    };
}

/// A set: a reference to another one, or pairs with at most one rule.
macro_rules! set {
    ($static:ident, $name:literal, $pair:ident) => {
        pub(super) static $static: Definition = element(
            $name,
            &[&[
                shape(
                    &[must("id", Kind::Id), may("score", Kind::Score)],
                    &[optional(&[&RULE]), any(&[&$pair])],
                ),
                shape(&[must("id-ref", Kind::IdRef)], &[]),
            ]],
        );
    };
}

pair!(PAIR, Kind::Text, Kind::Text);
pair!(RSC_PAIR, Kind::Text, RSC_DROPPED);
pair!(
    PRIMITIVE_PAIR,
    Kind::NoneOf(&["isolation", "isolation-host", "isolation-instance", "isolation-wrapper"]),
    RSC_DROPPED
);
pair!(OP_PAIR, Kind::NoneOf(&["requires"]), OP_DROPPED);
pair!(OP_DEFAULT_PAIR, Kind::Text, OP_DROPPED);

set!(INSTANCE_ATTRIBUTES, "instance_attributes", PAIR);
set!(UTILIZATION, "utilization", PAIR);
set!(META_ATTRIBUTES, "meta_attributes", PAIR);
set!(RSC_META, "meta_attributes", RSC_PAIR);
set!(PRIMITIVE_META, "meta_attributes", PRIMITIVE_PAIR);
set!(OP_META, "meta_attributes", OP_PAIR);
set!(OP_DEFAULT_META, "meta_attributes", OP_DEFAULT_PAIR);
set!(PROPERTIES, "cluster_property_set", PROPERTY);

pub(super) static CRM_CONFIG: Definition = element("crm_config", &[&[shape(&[], &[any(&[&PROPERTIES])])]]);
pub(super) static RSC_DEFAULTS: Definition = element("rsc_defaults", &[&[shape(&[], &[any(&[&RSC_META])])]]);
pub(super) static OP_DEFAULTS: Definition =
    element("op_defaults", &[&[shape(&[], &[any(&[&OP_DEFAULT_META])])]]);

/// Names that 3.x refuses: upgrading from 2.x gives them their new ones.
const OLD_PROPERTIES: Kind = Kind::NoneOf(&[
    "cluster-infrastructure",
    "cluster_recheck_interval",
    "dc_deadtime",
    "default-action-timeout",
    "default_action_timeout",
    "default-migration-threshold",
    "default_migration_threshold",
    "default-resource-failure-stickiness",
    "default_resource_failure_stickiness",
    "default-resource-stickiness",
    "default_resource_stickiness",
    "election_timeout",
    "expected-quorum-votes",
    "is-managed-default",
    "is_managed_default",
    "no_quorum_policy",
    "notification-agent",
    "notification-recipient",
    "remove_after_stop",
    "shutdown_escalation",
    "startup_fencing",
    "stonith_action",
    "stonith_enabled",
    "stop_orphan_actions",
    "stop_orphan_resources",
    "symmetric_cluster",
    "transition_idle_timeout",
]);

/// … and those that 4.0 refuses.
const DROPPED_PROPERTIES: Kind = Kind::NoneOf(&[
    "crmd-finalization-timeout",
    "crmd-integration-timeout",
    "crmd-transition-delay",
    "remove-after-stop",
    "stonith-action",
]);

/// Infrastructures of long ago.
const OLD_INFRASTRUCTURES: Kind =
    Kind::NoneOf(&["heartbeat", "openais", "classic openais", "classic openais (with plugin)", "cman"]);

static PROPERTY: Definition = element(
    "nvpair",
    &[&[
        shape(&[must("id", Kind::Id), must("name", OLD_PROPERTIES), may("value", Kind::Text)], &[])
            .only(Line::Three),
        shape(
            &[
                must("id", Kind::Id),
                must("name", Kind::Exactly("cluster-infrastructure")),
                must("value", OLD_INFRASTRUCTURES),
            ],
            &[],
        )
        .only(Line::Three),
        shape(&[must("id", Kind::Id), must("name", DROPPED_PROPERTIES), must("value", Kind::Text)], &[])
            .only(Line::Four),
        shape(
            &[
                must("id", Kind::Id),
                must("name", Kind::Exactly("stonith-action")),
                must("value", Kind::NoneOf(&["poweroff"])),
            ],
            &[],
        )
        .only(Line::Four),
        shape(&[must("id-ref", Kind::IdRef), may("name", Kind::Text).only(Line::Three)], &[]),
    ]],
);
