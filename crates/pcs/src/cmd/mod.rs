//! The commands, one module per topic; each brings the table of its words.

pub(crate) mod cluster;
mod config;
mod constraint;
mod defaults;
mod host;
mod node;
mod operation;
mod property;
mod resource;
mod status;
mod stonith;

use crate::router::Command;

/// All commands, in the order in which usage shows them.
pub const TABLES: &[&[Command]] = &[
    cluster::COMMANDS,
    resource::COMMANDS,
    operation::COMMANDS,
    defaults::COMMANDS,
    stonith::COMMANDS,
    constraint::COMMANDS,
    property::COMMANDS,
    host::COMMANDS,
    status::COMMANDS,
    config::COMMANDS,
    node::COMMANDS,
];
