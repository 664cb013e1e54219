//! The configuration as commands see it: ids, sections, resources, sets of name-value pairs.

pub mod find;
pub mod id;
pub mod nodes;
pub mod nvset;
pub mod role;
pub mod rule;
pub mod state;

pub use find::{
    child_or_new, constraints, is_resource, primitive_of, resource, resource_ids, resources, section,
};
