//! Resources.

use super::super::datatypes::Kind;
use super::super::model::{
    Attribute, Definition, Line, Shape, any, element, may, must, one, optional, shape, some,
};
use super::ROLES;
use super::options::{INSTANCE_ATTRIBUTES, OP_META, PRIMITIVE_META, RSC_META, UTILIZATION};

pub(super) static RESOURCES: Definition = element(
    "resources",
    &[&[shape(
        &[],
        &[any(&[&PRIMITIVE, &TEMPLATE, &GROUP, &CLONE, &BUNDLE]), any(&[&MASTER]).only(Line::Three)],
    )]],
);

const OCF: Shape = shape(
    &[must("class", Kind::Words(&["ocf"])), must("provider", Kind::Text), must("type", Kind::Text)],
    &[],
);
const OTHER_CLASS: Shape = shape(
    &[
        must("class", Kind::Words(&["lsb", "heartbeat", "stonith", "service", "systemd"])).only(Line::Four),
        must(
            "class",
            Kind::Words(&["lsb", "heartbeat", "stonith", "service", "systemd", "upstart", "nagios"]),
        )
        .only(Line::Three),
        must("type", Kind::Text),
    ],
    &[],
);
/// What resources and templates with an agent have.
macro_rules! agent {
    () => {
        shape(
            &[must("id", Kind::Id), may("description", Kind::Text)],
            &[any(&[&INSTANCE_ATTRIBUTES, &PRIMITIVE_META, &UTILIZATION]), optional(&[&OPERATIONS])],
        )
    };
}

static PRIMITIVE: Definition =
    element("primitive", &[&[agent!()], &[OCF, OTHER_CLASS, shape(&[must("template", Kind::IdRef)], &[])]]);
static TEMPLATE: Definition = element("template", &[&[agent!()], &[OCF, OTHER_CLASS]]);

static OPERATIONS: Definition =
    element("operations", &[&[shape(&[may("id", Kind::Id), may("id-ref", Kind::IdRef)], &[any(&[&OP])])]]);

static OP: Definition = element(
    "op",
    &[
        &[shape(
            &[
                must("id", Kind::Id),
                must("name", Kind::Text),
                must("interval", Kind::Text),
                may("description", Kind::Text),
                may("timeout", Kind::Text),
                may("enabled", Kind::Boolean),
                may("record-pending", Kind::Boolean),
                may("role", ROLES),
                may(
                    "on-fail",
                    Kind::Words(&[
                        "ignore",
                        "block",
                        "demote",
                        "stop",
                        "restart",
                        "standby",
                        "fence",
                        "restart-container",
                    ]),
                ),
            ],
            &[any(&[&INSTANCE_ATTRIBUTES, &OP_META])],
        )],
        &[shape(&[may("start-delay", Kind::Text)], &[]), shape(&[must("interval-origin", Kind::Text)], &[])],
    ],
);

const NAME: &[Attribute] = &[must("id", Kind::Id), may("description", Kind::Text)];

static GROUP: Definition =
    element("group", &[&[shape(NAME, &[any(&[&INSTANCE_ATTRIBUTES, &RSC_META]), some(&[&PRIMITIVE])])]]);
static CLONE: Definition = element(
    "clone",
    &[&[shape(NAME, &[any(&[&INSTANCE_ATTRIBUTES, &RSC_META]), one(&[&PRIMITIVE, &GROUP])])]],
);
static MASTER: Definition = element(
    "master",
    &[&[shape(NAME, &[any(&[&INSTANCE_ATTRIBUTES, &RSC_META]), one(&[&PRIMITIVE, &GROUP])])]],
);

static BUNDLE: Definition = element(
    "bundle",
    &[&[shape(
        NAME,
        &[
            any(&[&INSTANCE_ATTRIBUTES, &RSC_META]),
            one(&[&DOCKER, &PODMAN]).only(Line::Four),
            one(&[&DOCKER, &PODMAN, &RKT]).only(Line::Three),
            optional(&[&NETWORK]),
            optional(&[&STORAGE]),
            optional(&[&PRIMITIVE]),
        ],
    )]],
);

macro_rules! container {
    ($static:ident, $name:literal) => {
        static $static: Definition = element(
            $name,
            &[
                &[shape(
                    &[
                        must("image", Kind::Text),
                        may("replicas", Kind::Integer),
                        may("replicas-per-host", Kind::Integer),
                        may("run-command", Kind::Text),
                        may("network", Kind::Text),
                        may("options", Kind::Text),
                    ],
                    &[],
                )],
                &[
                    shape(&[may("promoted-max", Kind::Integer)], &[]),
                    shape(&[must("masters", Kind::Integer)], &[]).only(Line::Three),
                ],
            ],
        );
    };
}

container!(DOCKER, "docker");
container!(PODMAN, "podman");
container!(RKT, "rkt");

static NETWORK: Definition = element(
    "network",
    &[&[shape(
        &[
            may("ip-range-start", Kind::Text),
            may("control-port", Kind::Integer),
            may("host-interface", Kind::Text),
            may("host-netmask", Kind::Integer),
            may("add-host", Kind::Boolean),
        ],
        &[any(&[&PORT_MAPPING])],
    )]],
);

static PORT_MAPPING: Definition = element(
    "port-mapping",
    &[
        &[shape(&[must("id", Kind::Id)], &[])],
        &[
            shape(&[must("port", Kind::Integer), may("internal-port", Kind::Integer)], &[]),
            shape(&[must("range", Kind::Ports)], &[]),
        ],
    ],
);

static STORAGE: Definition = element("storage", &[&[shape(&[], &[any(&[&STORAGE_MAPPING])])]]);

static STORAGE_MAPPING: Definition = element(
    "storage-mapping",
    &[
        &[shape(&[must("id", Kind::Id), must("target-dir", Kind::Text), may("options", Kind::Text)], &[])],
        &[shape(&[must("source-dir", Kind::Text)], &[]), shape(&[must("source-dir-root", Kind::Text)], &[])],
    ],
);
