//! `pcs resource`: resources and what holds them together.

mod clone;
mod create;
mod group;
mod meta;
mod moving;
mod remove;
pub mod show;
mod update;

use xml::Document;

use crate::context::Context;
use crate::model::resource_ids;
use crate::report::{Failure, Issue, Outcome};
use crate::router::Command;

pub(crate) use create::{NewPrimitive, add_primitive, metadata, operations};
pub(crate) use remove::remove_resource;

pub const COMMANDS: &[Command] = &[
    Command {
        path: "resource config",
        synopsis: "[<resource id>]...",
        about: "Show the options of all resources, or of those named.",
        options: &["-f", "--output-format"],
        run: show::config,
    },
    Command {
        path: "resource list",
        synopsis: "[filter] [--nodesc]",
        about: "Show the resource agents that are installed, or those whose name contains the filter.",
        options: &["--nodesc"],
        run: show::list,
    },
    Command {
        path: "resource describe",
        synopsis: "[<standard>:[<provider>:]]<type> [--full]",
        about: "Show the options of a resource agent.",
        options: &["--full"],
        run: show::describe,
    },
    Command {
        path: "resource standards",
        synopsis: "",
        about: "Show the standards of resource agents.",
        options: &[],
        run: show::standards,
    },
    Command {
        path: "resource providers",
        synopsis: "",
        about: "Show the providers of OCF resource agents.",
        options: &[],
        run: show::providers,
    },
    Command {
        path: "resource agents",
        synopsis: "[standard[:provider]]",
        about: "Show resource agents by standard and provider.",
        options: &[],
        run: show::agents,
    },
    Command {
        path: "resource create",
        synopsis: "<resource id> [<standard>:[<provider>:]]<type> [resource options] [op <operation action> \
                   <operation options> [<operation action> <operation options>]...] [meta <meta options>...] \
                   [clone [<clone id>] [<clone options>] | promotable [<clone id>] [<promotable options>] | \
                   --group <group id> [--before <resource id> | --after <resource id>]] [--disabled] \
                   [--no-default-ops] [--wait[=n]]",
        about: "Create a resource, if asked in a clone, a promotable clone, or a group (which is made \
                when there is none). Operations of the agent that are not given get its default \
                values, unless --no-default-ops.\n\
                Example: pcs resource create VirtualIP ocf:heartbeat:IPaddr2 ip=192.168.0.99 \
                cidr_netmask=24 op monitor interval=30s",
        options: &[
            "-f",
            "--force",
            "--agent-validation",
            "--before",
            "--after",
            "--group",
            "--disabled",
            "--no-default-ops",
            "--wait",
        ],
        run: create::create,
    },
    Command {
        path: "resource delete",
        synopsis: "<resource id|group id|bundle id|clone id>",
        about: "Stop a resource, group, bundle, or clone and remove it with everything that refers to it.",
        options: &["-f", "--force"],
        run: remove::remove,
    },
    Command {
        path: "resource remove",
        synopsis: "<resource id|group id|bundle id|clone id>",
        about: "Same as 'pcs resource delete'.",
        options: &["-f", "--force"],
        run: remove::remove,
    },
    Command {
        path: "resource move",
        synopsis: "<resource id> [destination node] [lifetime=<lifetime>] [--promoted] [--wait[=n]]",
        about: "Move a resource away from where it is, or to a node, and leave no constraint behind. With a \
                lifetime (ISO 8601, PT10S is ten seconds) a constraint is made that ends by itself.",
        options: &["--autodelete", "--promoted", "--strict", "--wait", "-f"],
        run: moving::move_resource,
    },
    Command {
        path: "resource move-with-constraint",
        synopsis: "<resource id> [destination node] [lifetime=<lifetime>] [--promoted] [--wait[=n]]",
        about: "Move a resource by a constraint, which stays until 'pcs resource clear' or its lifetime ends.",
        options: &["-f", "--promoted", "--wait"],
        run: moving::move_with_constraint,
    },
    Command {
        path: "resource ban",
        synopsis: "<resource id> [node] [lifetime=<lifetime>] [--promoted] [--wait[=n]]",
        about: "Keep a resource off a node, without a name off the one it runs on.",
        options: &["-f", "--promoted", "--wait"],
        run: moving::ban,
    },
    Command {
        path: "resource clear",
        synopsis: "<resource id> [node] [--expired] [--wait[=n]]",
        about: "Remove the constraints that move and ban made, with --expired only those that have ended.",
        options: &["-f", "--promoted", "--expired", "--wait"],
        run: moving::clear,
    },
    Command {
        path: "resource cleanup",
        synopsis: "[<resource id>] [node=<node>] [operation=<operation> [interval=<interval>]] [--strict]",
        about: "Make the cluster forget failed operations of a resource, or of all.",
        options: &["--strict"],
        run: moving::cleanup,
    },
    Command {
        path: "resource refresh",
        synopsis: "[<resource id>] [node=<node>] [--strict]",
        about: "Make the cluster forget everything about a resource, or all, and look anew.",
        options: &["--strict", "--force"],
        run: moving::refresh,
    },
    Command {
        path: "resource restart",
        synopsis: "<resource id> [--wait=n]",
        about: "Stop a resource and start it again.",
        options: &["--wait"],
        run: moving::restart,
    },
    Command {
        path: "resource enable",
        synopsis: "<resource id | tag id>... [--wait[=n]]",
        about: "Let the cluster start resources that were disabled.",
        options: &["-f", "--wait"],
        run: meta::enable,
    },
    Command {
        path: "resource disable",
        synopsis: "<resource id | tag id>... [--wait[=n]]",
        about: "Stop resources and keep them stopped.",
        options: &["-f", "--wait"],
        run: meta::disable,
    },
    Command {
        path: "resource manage",
        synopsis: "<resource id | tag id>... [--monitor]",
        about: "Put resources under the cluster's control again, with --monitor with their monitors.",
        options: &["-f", "--monitor"],
        run: meta::manage,
    },
    Command {
        path: "resource unmanage",
        synopsis: "<resource id | tag id>... [--monitor]",
        about: "Let the cluster neither start nor stop these resources; with --monitor it does not watch \
                them either.",
        options: &["-f", "--monitor"],
        run: meta::unmanage,
    },
    Command {
        path: "resource meta",
        synopsis: "<resource id | group id | clone id> <meta options> [--wait[=n]]",
        about: "Set meta attributes of a resource; an empty value removes one.",
        options: &["-f", "--force", "--wait"],
        run: meta::meta,
    },
    Command {
        path: "resource utilization",
        synopsis: "[<resource id> [<name>=<value> ...]]",
        about: "Show or set what resources need of a node (see placement-strategy).",
        options: &["-f"],
        run: meta::utilization,
    },
    Command {
        path: "resource update",
        synopsis: "<resource id> [resource options] [op [<operation action> <operation options>]...] \
                   [meta <meta options>...] [--wait[=n]]",
        about: "Change options, operations, and meta attributes of a resource; an empty value removes an option.",
        options: &["-f", "--force", "--wait", "--agent-validation"],
        run: update::update,
    },
    Command {
        path: "resource group add",
        synopsis: "<group id> [--before <resource id> | --after <resource id>] <resource id>... [--wait[=n]]",
        about: "Put resources into a group, which is made when there is none.",
        options: &["-f", "--before", "--after", "--wait"],
        run: group::add,
    },
    Command {
        path: "resource group list",
        synopsis: "",
        about: "Show groups with their resources.",
        options: &["-f"],
        run: group::list,
    },
    Command {
        path: "resource group delete",
        synopsis: "<group id> [resource id]... [--wait[=n]]",
        about: "Take resources out of a group, or dissolve it.",
        options: &["-f", "--wait"],
        run: group::remove,
    },
    Command {
        path: "resource group remove",
        synopsis: "<group id> [resource id]... [--wait[=n]]",
        about: "Same as 'pcs resource group delete'.",
        options: &["-f", "--wait"],
        run: group::remove,
    },
    Command {
        path: "resource ungroup",
        synopsis: "<group id> [resource id]... [--wait[=n]]",
        about: "Same as 'pcs resource group delete'.",
        options: &["-f", "--wait"],
        run: group::remove,
    },
    Command {
        path: "resource clone",
        synopsis: "<resource id | group id> [<clone id>] [meta <clone meta options>] [--wait[=n]]",
        about: "Run a resource or group on several nodes.",
        options: &["-f", "--force", "--wait"],
        run: clone::clone,
    },
    Command {
        path: "resource promotable",
        synopsis: "<resource id | group id> [<clone id>] [meta <clone meta options>] [--wait[=n]]",
        about: "Run a resource or group on several nodes, in two roles.",
        options: &["-f", "--force", "--wait"],
        run: clone::promotable,
    },
    Command {
        path: "resource unclone",
        synopsis: "<clone id | resource id | group id> [--wait[=n]]",
        about: "Take a resource or group out of its clone.",
        options: &["-f", "--wait"],
        run: clone::unclone,
    },
];

/// The complaint about a resource that does not exist.
pub(crate) fn missing(doc: &Document, id: &str, what: &str) -> Issue {
    let ids = resource_ids(doc);
    Issue::new(format!("{what} '{id}' does not exist").trim().to_string())
        .meant(id, ids.iter().map(String::as_str))
}

/// The same, or nothing when there is such a resource.
pub(crate) fn existing_or(doc: &Document, id: &str, what: &str) -> Option<Issue> {
    crate::model::find::resource(doc, id).is_none().then(|| missing(doc, id, what))
}

/// What messages call any kind of resource.
pub(crate) const ANY: &str = "bundle/clone/group/resource";
pub(crate) const ANY_OR_TAG: &str = "bundle/clone/group/resource/tag";

/// Changes the configuration, then waits when asked and tells where the resource runs.
pub(crate) fn change_and_wait(
    context: &mut Context<'_>,
    resources: &[String],
    change: impl FnOnce(&mut Context<'_>, &mut Document) -> Outcome,
) -> Outcome {
    let wait = context.wait_limit()?;
    context.change(change)?;
    if wait == crate::context::Wait::No {
        return Ok(());
    }
    context.settle_wait(wait)?;
    for resource in resources {
        let place = context.store.running_on(resource).map_err(|e| Failure::Error(e.to_string()))?;
        context.info(place_text(resource, &place));
    }
    Ok(())
}

/// `resource 'A' is running on node 'n1'`.
pub(crate) fn place_text(resource: &str, nodes: &[String]) -> String {
    match nodes {
        [] => format!("resource '{resource}' is not running on any node"),
        [one] => format!("resource '{resource}' is running on node '{one}'"),
        many => format!("resource '{resource}' is running on nodes {}", crate::report::quoted_list(many)),
    }
}
