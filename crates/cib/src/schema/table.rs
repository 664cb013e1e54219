//! The table of elements of a configuration (facts of the reference's schemas of the 3.x line).

use std::fmt;

pub(super) struct Rule {
    pub required: &'static [&'static str],
    pub optional: &'static [&'static str],
    pub children: &'static [&'static str],
    pub values: &'static [(&'static str, Values)],
}

pub(super) enum Values {
    Words(&'static [&'static str]),
    Score,
    Bool,
    Count,
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Values::Words(words) => write!(f, "one of {}", words.join(", ")),
            Values::Score => f.write_str("an integer, INFINITY or -INFINITY"),
            Values::Bool => f.write_str("true or false"),
            Values::Count => f.write_str("a number from 0"),
        }
    }
}

pub(super) fn rule_for(element: &str) -> Option<&'static Rule> {
    RULES.iter().find(|(names, _)| names.contains(&element)).map(|(_, rule)| rule)
}

const ROLES: Values = Values::Words(&["Stopped", "Started", "Promoted", "Unpromoted", "Master", "Slave"]);
const ON_FAIL: Values =
    Values::Words(&["ignore", "block", "demote", "stop", "restart", "standby", "fence", "restart-container"]);
const ACTIONS: Values = Values::Words(&["start", "promote", "demote", "stop"]);
const SET: &[&str] = &["resource_set"];
const ATTRIBUTE_SETS: &[&str] = &["meta_attributes", "instance_attributes"];
const CALENDAR: &[&str] = &[
    "hours",
    "monthdays",
    "weekdays",
    "yearsdays",
    "yeardays",
    "months",
    "weeks",
    "years",
    "weekyears",
    "moon",
    "minutes",
    "seconds",
    "days",
];

const RULES: &[(&[&str], Rule)] = &[
    (
        &["configuration"],
        Rule {
            required: &[],
            optional: &[],
            children: &[
                "crm_config",
                "nodes",
                "resources",
                "constraints",
                "rsc_defaults",
                "op_defaults",
                "acls",
                "tags",
                "alerts",
                "fencing-topology",
                "domains",
            ],
            values: &[],
        },
    ),
    (
        &["crm_config"],
        Rule { required: &[], optional: &[], children: &["cluster_property_set"], values: &[] },
    ),
    (
        &["cluster_property_set", "instance_attributes", "meta_attributes", "utilization"],
        Rule {
            required: &["id"],
            optional: &["id-ref", "score"],
            children: &["rule", "nvpair"],
            values: &[("score", Values::Score)],
        },
    ),
    (
        &["nvpair"],
        Rule { required: &["id", "name"], optional: &["value", "id-ref"], children: &[], values: &[] },
    ),
    (
        &["rule"],
        Rule {
            required: &["id"],
            optional: &["id-ref", "score", "score-attribute", "boolean-op", "role"],
            children: &["expression", "date_expression", "rsc_expression", "op_expression", "rule"],
            values: &[
                ("score", Values::Score),
                ("boolean-op", Values::Words(&["and", "or"])),
                ("role", ROLES),
            ],
        },
    ),
    (
        &["expression"],
        Rule {
            required: &["id", "attribute", "operation"],
            optional: &["value", "type", "value-source"],
            children: &[],
            values: &[
                (
                    "operation",
                    Values::Words(&["lt", "gt", "lte", "gte", "eq", "ne", "defined", "not_defined"]),
                ),
                ("type", Values::Words(&["string", "integer", "number", "version"])),
                ("value-source", Values::Words(&["literal", "param", "meta"])),
            ],
        },
    ),
    (
        &["date_expression"],
        Rule {
            required: &["id"],
            optional: &["operation", "start", "end"],
            children: &["duration", "date_spec"],
            values: &[("operation", Values::Words(&["in_range", "date_spec", "gt", "lt"]))],
        },
    ),
    (&["duration", "date_spec"], Rule { required: &["id"], optional: CALENDAR, children: &[], values: &[] }),
    (
        &["rsc_expression"],
        Rule { required: &["id"], optional: &["class", "provider", "type"], children: &[], values: &[] },
    ),
    (
        &["op_expression"],
        Rule { required: &["id", "name"], optional: &["interval"], children: &[], values: &[] },
    ),
    (&["nodes"], Rule { required: &[], optional: &[], children: &["node"], values: &[] }),
    (
        &["node"],
        Rule {
            required: &["id", "uname"],
            optional: &["type", "description", "score"],
            children: &["instance_attributes", "utilization"],
            values: &[
                ("type", Values::Words(&["normal", "member", "ping", "remote"])),
                ("score", Values::Score),
            ],
        },
    ),
    (
        &["resources"],
        Rule {
            required: &[],
            optional: &[],
            children: &["primitive", "template", "group", "clone", "master", "bundle"],
            values: &[],
        },
    ),
    (
        &["primitive", "template"],
        Rule {
            required: &["id"],
            optional: &["class", "provider", "type", "template", "description"],
            children: &["instance_attributes", "meta_attributes", "operations", "utilization"],
            values: &[(
                "class",
                Values::Words(&[
                    "ocf",
                    "lsb",
                    "heartbeat",
                    "stonith",
                    "upstart",
                    "service",
                    "systemd",
                    "nagios",
                ]),
            )],
        },
    ),
    (&["operations"], Rule { required: &[], optional: &["id", "id-ref"], children: &["op"], values: &[] }),
    (
        &["op"],
        Rule {
            required: &["id", "name", "interval"],
            optional: &[
                "description",
                "start-delay",
                "interval-origin",
                "timeout",
                "enabled",
                "record-pending",
                "role",
                "on-fail",
                "id-ref",
            ],
            children: ATTRIBUTE_SETS,
            values: &[("role", ROLES), ("on-fail", ON_FAIL), ("enabled", Values::Bool)],
        },
    ),
    (
        &["group"],
        Rule {
            required: &["id"],
            optional: &["description"],
            children: &["meta_attributes", "instance_attributes", "primitive"],
            values: &[],
        },
    ),
    (
        &["clone", "master"],
        Rule {
            required: &["id"],
            optional: &["description"],
            children: &["meta_attributes", "instance_attributes", "primitive", "group"],
            values: &[],
        },
    ),
    (
        &["bundle"],
        Rule {
            required: &["id"],
            optional: &["description"],
            children: &[
                "meta_attributes",
                "instance_attributes",
                "docker",
                "rkt",
                "podman",
                "network",
                "storage",
                "primitive",
            ],
            values: &[],
        },
    ),
    (
        &["docker", "podman", "rkt"],
        Rule {
            required: &["image"],
            optional: &[
                "replicas",
                "replicas-per-host",
                "masters",
                "promoted-max",
                "run-command",
                "network",
                "options",
            ],
            children: &[],
            values: &[("replicas", Values::Count), ("replicas-per-host", Values::Count)],
        },
    ),
    (
        &["network"],
        Rule {
            required: &[],
            optional: &["ip-range-start", "control-port", "host-interface", "host-netmask", "add-host"],
            children: &["port-mapping"],
            values: &[("add-host", Values::Bool)],
        },
    ),
    (
        &["port-mapping"],
        Rule { required: &["id"], optional: &["port", "internal-port", "range"], children: &[], values: &[] },
    ),
    (&["storage"], Rule { required: &[], optional: &[], children: &["storage-mapping"], values: &[] }),
    (
        &["storage-mapping"],
        Rule {
            required: &["id", "target-dir"],
            optional: &["source-dir", "source-dir-root", "options"],
            children: &[],
            values: &[],
        },
    ),
    (
        &["constraints"],
        Rule {
            required: &[],
            optional: &[],
            children: &["rsc_location", "rsc_colocation", "rsc_order", "rsc_ticket"],
            values: &[],
        },
    ),
    (
        &["rsc_location"],
        Rule {
            required: &["id"],
            optional: &["rsc", "rsc-pattern", "role", "score", "node", "resource-discovery"],
            children: &["resource_set", "rule", "lifetime"],
            values: &[
                ("score", Values::Score),
                ("role", ROLES),
                ("resource-discovery", Values::Words(&["always", "never", "exclusive"])),
            ],
        },
    ),
    (
        &["rsc_colocation"],
        Rule {
            required: &["id"],
            optional: &[
                "score",
                "score-attribute",
                "score-attribute-mangle",
                "rsc",
                "rsc-role",
                "rsc-instance",
                "with-rsc",
                "with-rsc-role",
                "with-rsc-instance",
                "node-attribute",
                "influence",
            ],
            children: &["resource_set", "lifetime"],
            values: &[("score", Values::Score), ("rsc-role", ROLES), ("with-rsc-role", ROLES)],
        },
    ),
    (
        &["rsc_order"],
        Rule {
            required: &["id"],
            optional: &[
                "kind",
                "score",
                "symmetrical",
                "require-all",
                "first",
                "then",
                "first-action",
                "then-action",
                "first-instance",
                "then-instance",
            ],
            children: &["resource_set", "lifetime"],
            values: &[
                ("score", Values::Score),
                ("kind", Values::Words(&["Optional", "Mandatory", "Serialize"])),
                ("symmetrical", Values::Bool),
                ("require-all", Values::Bool),
                ("first-action", ACTIONS),
                ("then-action", ACTIONS),
            ],
        },
    ),
    (
        &["rsc_ticket"],
        Rule {
            required: &["id", "ticket"],
            optional: &["rsc", "rsc-role", "loss-policy"],
            children: SET,
            values: &[
                ("rsc-role", ROLES),
                ("loss-policy", Values::Words(&["stop", "demote", "fence", "freeze"])),
            ],
        },
    ),
    (&["lifetime"], Rule { required: &[], optional: &[], children: &["rule"], values: &[] }),
    (
        &["resource_set"],
        Rule {
            required: &["id"],
            optional: &["id-ref", "sequential", "require-all", "ordering", "action", "role", "score", "kind"],
            children: &["resource_ref"],
            values: &[
                ("sequential", Values::Bool),
                ("require-all", Values::Bool),
                ("ordering", Values::Words(&["group", "listed"])),
                ("action", ACTIONS),
                ("role", ROLES),
                ("score", Values::Score),
            ],
        },
    ),
    (
        &["resource_ref", "obj_ref", "role"],
        Rule { required: &["id"], optional: &[], children: &[], values: &[] },
    ),
    (
        &["rsc_defaults", "op_defaults"],
        Rule { required: &[], optional: &[], children: &["meta_attributes"], values: &[] },
    ),
    (
        &["acls"],
        Rule {
            required: &[],
            optional: &[],
            children: &["acl_target", "acl_group", "acl_role", "acl_user"],
            values: &[],
        },
    ),
    (
        &["acl_role"],
        Rule { required: &["id"], optional: &["description"], children: &["acl_permission"], values: &[] },
    ),
    (
        &["acl_target", "acl_group"],
        Rule { required: &["id"], optional: &["name"], children: &["role"], values: &[] },
    ),
    (
        &["acl_permission"],
        Rule {
            required: &["id", "kind"],
            optional: &["xpath", "reference", "object-type", "attribute", "description"],
            children: &[],
            values: &[("kind", Values::Words(&["read", "write", "deny"]))],
        },
    ),
    (&["tags"], Rule { required: &[], optional: &[], children: &["tag"], values: &[] }),
    (&["tag"], Rule { required: &["id"], optional: &[], children: &["obj_ref"], values: &[] }),
    (&["alerts"], Rule { required: &[], optional: &[], children: &["alert"], values: &[] }),
    (
        &["alert"],
        Rule {
            required: &["id", "path"],
            optional: &["description"],
            children: &["meta_attributes", "instance_attributes", "select", "recipient"],
            values: &[],
        },
    ),
    (
        &["recipient"],
        Rule {
            required: &["id", "value"],
            optional: &["description"],
            children: ATTRIBUTE_SETS,
            values: &[],
        },
    ),
    (
        &["select"],
        Rule {
            required: &[],
            optional: &[],
            children: &["select_nodes", "select_fencing", "select_resources", "select_attributes"],
            values: &[],
        },
    ),
    (&["select_attributes"], Rule { required: &[], optional: &[], children: &["attribute"], values: &[] }),
    (&["attribute"], Rule { required: &["id", "name"], optional: &[], children: &[], values: &[] }),
    (&["fencing-topology"], Rule { required: &[], optional: &[], children: &["fencing-level"], values: &[] }),
    (
        &["fencing-level"],
        Rule {
            required: &["id", "index", "devices"],
            optional: &["target", "target-pattern", "target-attribute", "target-value"],
            children: &[],
            values: &[("index", Values::Count)],
        },
    ),
];
