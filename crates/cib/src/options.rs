//! Bits of `cib_callopt`, as they travel in requests (reference `crm/cib/cib_types.h`).

/// The section attribute is an XPath.
pub const XPATH: u32 = 0x2;
/// All matches, not only the first.
pub const MULTIPLE: u32 = 0x4;
/// A modification may create what is not there.
pub const CAN_CREATE: u32 = 0x8;
/// The client does not wait for a reply.
pub const DISCARD_REPLY: u32 = 0x10;
/// A query without the children of what it finds.
pub const NO_CHILDREN: u32 = 0x20;
/// A query for the paths of what it finds.
pub const XPATH_ADDRESS: u32 = 0x40;
/// The update contains objects to delete, marked with `__delete__`.
pub const MIXED_UPDATE: u32 = 0x80;
/// Only this node's copy.
pub const SCOPE_LOCAL: u32 = 0x100;
/// Say what would happen.
pub const DRY_RUN: u32 = 0x200;
/// The client waits for the reply.
pub const SYNC_CALL: u32 = 0x1000;
/// Leave the time of the last change as it is.
pub const NO_MTIME: u32 = 0x2000;
/// Tell nobody of the change.
pub const INHIBIT_NOTIFY: u32 = 0x10000;
/// Permitted without quorum.
pub const QUORUM_OVERRIDE: u32 = 0x100000;
