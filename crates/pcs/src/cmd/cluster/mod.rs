//! `pcs cluster`: making, starting, stopping clusters; the configuration as a whole.

mod conf;
mod files;
pub(crate) mod services;
mod setup;
mod started;

use crate::router::Command;

const NODES: &[&str] = &["--all", "--wait", "--force"];

pub const COMMANDS: &[Command] = &[
    Command {
        path: "cluster setup",
        synopsis: "<cluster name> (<node name> [addr=<node address>]...)... [transport knet|udp|udpu \
                   [<transport options>] [link <link options>]... [compression <compression options>] \
                   [crypto <crypto options>]] [totem <totem options>] [quorum <quorum options>] \
                   [--no-cluster-uuid] ([--enable] [--start [--wait[=<n>]]] [--no-keys-sync]) | \
                   [--corosync_conf <path>]",
        about: "Make a cluster of the nodes: destroy what they belong to (with --force), give them common \
                keys and corosync.conf. Nodes must be known ('pcs host auth'); without addr a node's known \
                address is taken. With --corosync_conf only the file is written, nobody is asked.",
        options: &[
            "--force",
            "--no-cluster-uuid",
            "--wait",
            "--start",
            "--enable",
            "--no-keys-sync",
            "--overwrite",
        ],
        run: setup::setup,
    },
    Command {
        path: "cluster start",
        synopsis: "[--all | <node>...] [--wait[=<n>]] [--request-timeout=<seconds>]",
        about: "Start the cluster on nodes, without a name on this one.",
        options: NODES,
        run: services::start,
    },
    Command {
        path: "cluster stop",
        synopsis: "[--all | <node>...] [--request-timeout=<seconds>]",
        about: "Stop the cluster on nodes, without a name on this one.",
        options: &["--all", "--force", "--pacemaker", "--corosync"],
        run: services::stop,
    },
    Command {
        path: "cluster kill",
        synopsis: "",
        about: "End the cluster's daemons on this node by force.",
        options: &[],
        run: services::kill,
    },
    Command {
        path: "cluster enable",
        synopsis: "[--all | <node>...]",
        about: "Let the cluster start with the nodes.",
        options: &["--all"],
        run: services::enable,
    },
    Command {
        path: "cluster disable",
        synopsis: "[--all | <node>...]",
        about: "Do not start the cluster with the nodes.",
        options: &["--all"],
        run: services::disable,
    },
    Command {
        path: "cluster auth",
        synopsis: "[-u <username>] [-p <password>]",
        about: "Authenticate to the nodes of the local cluster.",
        options: &["-u", "-p"],
        run: files::auth,
    },
    Command {
        path: "cluster cib",
        synopsis: "[filename] [scope=<scope> | --config]",
        about: "Show the configuration and state as XML, or save it to a file.",
        options: &["--config", "-f"],
        run: files::cib,
    },
    Command {
        path: "cluster cib-push",
        synopsis: "<filename> [--wait[=<n>]] [diff-against=<filename_original> | scope=<scope> | --config]",
        about: "Replace the configuration by that of a file, or apply what differs from another file.",
        options: &["--config", "--wait", "-f"],
        run: files::cib_push,
    },
    Command {
        path: "cluster cib-upgrade",
        synopsis: "",
        about: "Bring the configuration to the newest schema.",
        options: &["-f"],
        run: files::cib_upgrade,
    },
    Command {
        path: "cluster corosync",
        synopsis: "[<node>]",
        about: "Show corosync.conf of this node, or of another.",
        options: &[],
        run: files::corosync,
    },
    Command {
        path: "cluster config show",
        synopsis: "",
        about: "Show the settings of the engine.",
        options: &["--output-format"],
        run: files::corosync,
    },
    Command {
        path: "cluster sync corosync",
        synopsis: "",
        about: "Give corosync.conf of this node to all others.",
        options: &[],
        run: files::sync,
    },
    Command {
        path: "cluster reload corosync",
        synopsis: "",
        about: "Let the engine read its configuration again.",
        options: &[],
        run: files::reload,
    },
    Command {
        path: "cluster verify",
        synopsis: "[--full] [-f <filename>]",
        about: "Check the configuration for errors.",
        options: &["-f", "--full"],
        run: files::verify,
    },
    Command {
        path: "cluster destroy",
        synopsis: "[--all] [--force]",
        about: "Stop the cluster for good: end its services and remove its configuration, with --all on all nodes.",
        options: &["--all", "--force"],
        run: services::destroy,
    },
];
