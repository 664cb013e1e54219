//! The commands, one module per topic; each brings the table of its words.

mod constraint;
mod defaults;
mod node;
mod operation;
mod property;
mod resource;
mod stonith;

use crate::router::Command;

/// All commands, in the order in which usage shows them.
pub const TABLES: &[&[Command]] = &[
    resource::COMMANDS,
    operation::COMMANDS,
    defaults::COMMANDS,
    stonith::COMMANDS,
    constraint::COMMANDS,
    property::COMMANDS,
    node::COMMANDS,
];
