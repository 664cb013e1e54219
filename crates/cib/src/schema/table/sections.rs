//! The sections that are left: nodes, fencing, access lists, tags, alerts.

use super::super::datatypes::Kind;
use super::super::model::{Definition, Line, any, element, may, must, optional, shape, some};
use super::options::{INSTANCE_ATTRIBUTES, META_ATTRIBUTES, UTILIZATION};
use super::reference;

pub(super) static NODES: Definition = element("nodes", &[&[shape(&[], &[any(&[&NODE])])]]);

static NODE: Definition = element(
    "node",
    &[&[shape(
        &[
            must("id", Kind::Text),
            must("uname", Kind::Text),
            may("type", Kind::Words(&["member", "remote"])).only(Line::Four),
            may("type", Kind::Words(&["member", "remote", "ping"])).only(Line::Three),
            may("description", Kind::Text),
            may("score", Kind::Score),
        ],
        &[any(&[&INSTANCE_ATTRIBUTES, &UTILIZATION])],
    )]],
);

pub(super) static FENCING_TOPOLOGY: Definition =
    element("fencing-topology", &[&[shape(&[], &[any(&[&FENCING_LEVEL])])]]);

static FENCING_LEVEL: Definition = element(
    "fencing-level",
    &[
        &[shape(
            &[
                must("id", Kind::Id),
                must("index", Kind::Level).only(Line::Four),
                must("index", Kind::Positive).only(Line::Three),
                must("devices", Kind::Devices),
            ],
            &[],
        )],
        &[
            shape(&[must("target", Kind::Text)], &[]),
            shape(&[must("target-pattern", Kind::Text)], &[]),
            shape(&[must("target-attribute", Kind::Text), must("target-value", Kind::Text)], &[]),
        ],
    ],
);

pub(super) static ACLS: Definition =
    element("acls", &[&[shape(&[], &[any(&[&ACL_TARGET, &ACL_GROUP, &ACL_ROLE])])]]);

static ACL_TARGET: Definition =
    element("acl_target", &[&[shape(&[must("id", Kind::Text), may("name", Kind::Text)], &[any(&[&ROLE])])]]);
static ACL_GROUP: Definition =
    element("acl_group", &[&[shape(&[must("id", Kind::Id), may("name", Kind::Text)], &[any(&[&ROLE])])]]);
static ACL_ROLE: Definition = element(
    "acl_role",
    &[&[shape(&[must("id", Kind::Id), may("description", Kind::Text)], &[any(&[&ACL_PERMISSION])])]],
);

static ACL_PERMISSION: Definition = element(
    "acl_permission",
    &[
        &[shape(
            &[
                must("id", Kind::Id),
                must("kind", Kind::Words(&["read", "write", "deny"])),
                may("description", Kind::Text),
            ],
            &[],
        )],
        &[
            shape(&[must("xpath", Kind::Text)], &[]),
            shape(&[must("reference", Kind::IdRef)], &[]),
            shape(&[must("object-type", Kind::Text), may("attribute", Kind::Text)], &[]),
        ],
    ],
);

pub(super) static TAGS: Definition = element("tags", &[&[shape(&[], &[any(&[&TAG])])]]);
static TAG: Definition = element("tag", &[&[shape(&[must("id", Kind::Id)], &[some(&[&OBJ_REF])])]]);

reference!(ROLE, "role", Kind::IdRef);
reference!(OBJ_REF, "obj_ref", Kind::Text);

pub(super) static ALERTS: Definition = element("alerts", &[&[shape(&[], &[any(&[&ALERT])])]]);

static ALERT: Definition = element(
    "alert",
    &[&[shape(
        &[must("id", Kind::Id), must("path", Kind::Text), may("description", Kind::Text)],
        &[any(&[&META_ATTRIBUTES, &INSTANCE_ATTRIBUTES]), optional(&[&SELECT]), any(&[&RECIPIENT])],
    )]],
);

static RECIPIENT: Definition = element(
    "recipient",
    &[&[shape(
        &[must("id", Kind::Id), must("value", Kind::Text), may("description", Kind::Text)],
        &[any(&[&META_ATTRIBUTES, &INSTANCE_ATTRIBUTES])],
    )]],
);

static SELECT: Definition = element(
    "select",
    &[&[shape(
        &[],
        &[
            optional(&[&SELECT_ATTRIBUTES]),
            optional(&[&SELECT_FENCING]),
            optional(&[&SELECT_NODES]),
            optional(&[&SELECT_RESOURCES]),
        ],
    )]],
);

static SELECT_ATTRIBUTES: Definition = element("select_attributes", &[&[shape(&[], &[any(&[&ATTRIBUTE])])]]);
static SELECT_FENCING: Definition = element("select_fencing", &[]);
static SELECT_NODES: Definition = element("select_nodes", &[]);
static SELECT_RESOURCES: Definition = element("select_resources", &[]);
static ATTRIBUTE: Definition =
    element("attribute", &[&[shape(&[must("id", Kind::Id), must("name", Kind::Text)], &[])]]);
