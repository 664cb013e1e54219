//! What an agent's exit status means (OCF Resource Agent API 1.1, section "Exit status codes").

/// Exit status of an OCF agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OcfExit(pub i32);

impl OcfExit {
    pub const OK: OcfExit = OcfExit(0);
    pub const UNKNOWN_ERROR: OcfExit = OcfExit(1);
    pub const INVALID_PARAM: OcfExit = OcfExit(2);
    pub const UNIMPLEMENTED: OcfExit = OcfExit(3);
    pub const INSUFFICIENT_PRIV: OcfExit = OcfExit(4);
    pub const NOT_INSTALLED: OcfExit = OcfExit(5);
    pub const NOT_CONFIGURED: OcfExit = OcfExit(6);
    pub const NOT_RUNNING: OcfExit = OcfExit(7);
    pub const RUNNING_PROMOTED: OcfExit = OcfExit(8);
    pub const FAILED_PROMOTED: OcfExit = OcfExit(9);
    pub const DEGRADED: OcfExit = OcfExit(190);
    pub const DEGRADED_PROMOTED: OcfExit = OcfExit(191);
    /// Not from an agent: no result is known yet.
    pub const UNKNOWN: OcfExit = OcfExit(193);

    /// The text that the reference prints for it.
    pub fn text(self) -> &'static str {
        match self.0 {
            0 => "ok",
            1 => "error",
            2 => "invalid parameter",
            3 => "unimplemented feature",
            4 => "insufficient privileges",
            5 => "not installed",
            6 => "not configured",
            7 => "not running",
            8 => "promoted",
            9 => "promoted (failed)",
            190 => "degraded",
            191 => "promoted (degraded)",
            192 => "no secrets",
            193 => "unknown",
            _ => "unknown exit status",
        }
    }
}
