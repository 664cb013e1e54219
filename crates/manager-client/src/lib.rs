//! Clients of the manager's IPC: configuration, controller, attributes, launcher.
//!
//! The same calls work with Pacemaker's own daemons (2.1 and newer): frames and XML are theirs.
//! Read [`Cib`] first. All calls block, with a time limit; there is no thread and no runtime.

mod attributes;
mod cib;
mod connection;
mod controller;
mod error;
mod file;
mod frame;
mod history;
mod launcher;
mod overview;
pub mod placement;

pub use attributes::{Attributes, Update, Value};
pub use cib::{Answer, Change, Cib, LiveCib};
pub use connection::Connection;
pub use controller::{ClusterNode, Controller, DcInfo, NodeInfo, ResourceRef};
pub use error::Error;
pub use file::FileCib;
pub use frame::{Frame, FrameError};
pub use history::{History, forget, histories};
pub use launcher::{Launcher, Ping};
pub use overview::{Overview, overview};
