//! Hosts on one machine: namespaces, cables, faults, supervisor, DNS, tour.
//!
//! A lab is made of Linux namespaces only; it needs a kernel and one multi-call program, not root. The process that
//! keeps it (the *keeper*) holds the switch; each host has a process 1 of its own that runs its services.

mod api;
mod boot;
mod cli;
mod control;
mod dns;
mod enter;
mod error;
mod files;
mod init;
mod inside;
mod keeper;
mod layout;
mod ping;
mod reference;
mod services;
mod supervisor;
mod systemctl;
mod tour;
mod watch;
mod web;

pub use api::{Lab, LabOptions};
pub use cli::main;
pub use error::Error;
pub use layout::{DOMAIN, FLOATING_ADDRESS, Host, Layout, Plan, Role, Stack};
pub use ping::ping_main;
pub use systemctl::systemctl_main;
pub use watch::{Answerer, Gap, WatchOptions, WatchReport};
