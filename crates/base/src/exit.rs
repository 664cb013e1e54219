//! Exit statuses of the command line tools and result codes of configuration changes.

/// Exit status of a manager's tool (crm_error -X lists them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitCode(pub i32);

impl ExitCode {
    pub const OK: ExitCode = ExitCode(0);
    pub const ERROR: ExitCode = ExitCode(1);
    pub const INVALID_PARAM: ExitCode = ExitCode(2);
    pub const UNIMPLEMENTED: ExitCode = ExitCode(3);
    pub const USAGE: ExitCode = ExitCode(64);
    pub const DATAERR: ExitCode = ExitCode(65);
    pub const NOINPUT: ExitCode = ExitCode(66);
    pub const NOHOST: ExitCode = ExitCode(68);
    pub const UNAVAILABLE: ExitCode = ExitCode(69);
    pub const SOFTWARE: ExitCode = ExitCode(70);
    pub const OSERR: ExitCode = ExitCode(71);
    pub const OSFILE: ExitCode = ExitCode(72);
    pub const CANTCREAT: ExitCode = ExitCode(73);
    pub const IOERR: ExitCode = ExitCode(74);
    pub const TEMPFAIL: ExitCode = ExitCode(75);
    pub const PROTOCOL: ExitCode = ExitCode(76);
    pub const NOPERM: ExitCode = ExitCode(77);
    pub const CONFIG: ExitCode = ExitCode(78);
    pub const FATAL: ExitCode = ExitCode(100);
    pub const DISCONNECT: ExitCode = ExitCode(102);
    pub const OLD: ExitCode = ExitCode(103);
    pub const DIGEST: ExitCode = ExitCode(104);
    pub const NOSUCH: ExitCode = ExitCode(105);
    pub const QUORUM: ExitCode = ExitCode(106);
    pub const UNSAFE: ExitCode = ExitCode(107);
    pub const EXISTS: ExitCode = ExitCode(108);
    pub const MULTIPLE: ExitCode = ExitCode(109);
    pub const EXPIRED: ExitCode = ExitCode(110);
    pub const NOT_YET_IN_EFFECT: ExitCode = ExitCode(111);
    pub const INDETERMINATE: ExitCode = ExitCode(112);
    pub const UNSATISFIED: ExitCode = ExitCode(113);
    pub const TIMEOUT: ExitCode = ExitCode(124);

    /// The text that the reference prints for it.
    pub fn text(self) -> &'static str {
        match self.0 {
            0 => "OK",
            1 => "Error occurred",
            2 => "Invalid parameter",
            3 => "Unimplemented",
            4 | 77 => "Insufficient privileges",
            5 => "Not installed",
            6 => "Not configured",
            7 => "Not running",
            8 => "Promoted",
            9 => "Failed in promoted role",
            64 => "Incorrect usage",
            65 => "Invalid data given",
            66 => "Input file not available",
            67 => "User does not exist",
            68 => "Host does not exist",
            69 => "Necessary service unavailable",
            70 => "Internal software bug",
            71 => "Operating system error occurred",
            72 => "System file not available",
            73 => "Cannot create output file",
            74 => "I/O error occurred",
            75 => "Temporary failure, try again",
            76 => "Protocol violated",
            78 => "Invalid configuration",
            100 => "Fatal error occurred, will not respawn",
            101 => "System panic required",
            102 => "Not connected",
            103 => "Update was older than existing configuration",
            104 => "Digest mismatch",
            105 => "No such object",
            106 => "Quorum required",
            107 => "Operation not safe",
            108 => "Requested item already exists",
            109 => "Multiple items match request",
            110 => "Requested item has expired",
            111 => "Requested item is not yet in effect",
            112 => "Could not determine status",
            113 => "Not applicable under current conditions",
            124 => "Timeout occurred",
            190 => "Service is active but might fail soon",
            191 => "Service is promoted but might fail soon",
            193 => "No exit status available",
            129..=254 => "Interrupted by signal",
            255 => "Error occurred",
            _ => "Unknown exit status",
        }
    }
}

/// Why an operation on the configuration was refused; [`CibError::code`] is what goes over IPC
/// (`cib_rc`): a negative errno, or one of the manager's own numbers from 201 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CibError {
    #[error("No such device or address")]
    NotFound,
    #[error("File exists")]
    Exists,
    #[error("Invalid argument")]
    Invalid,
    #[error("Permission denied")]
    Denied,
    #[error("Operation not supported")]
    Unsupported,
    #[error("Required data for this CIB API call not found")]
    MissingData,
    #[error("Timer expired")]
    Timeout,
    #[error("Transport endpoint is not connected")]
    NotConnected,
    #[error("Resource temporarily unavailable")]
    TryAgain,
    #[error("Protocol not supported")]
    BadSchemaName,
    #[error("Read-only file system")]
    ReadOnly,
    #[error("No space left on device")]
    NoSpace,
    #[error("Operation requires quorum")]
    NoQuorum,
    #[error("Update does not conform to the configured schema")]
    SchemaValidation,
    #[error("Schema transform failed")]
    TransformFailed,
    #[error("Update was older than existing configuration")]
    OldData,
    #[error("Application of an update diff failed")]
    DiffFailed,
    #[error("Application of an update diff failed, requesting a full refresh")]
    DiffResync,
    #[error("Schema is already the latest available")]
    SchemaUnchanged,
    #[error("Result must be corrupt")]
    Corrupt,
    #[error("Multiple items match request")]
    Multiple,
}

const ERRORS: &[(CibError, i32, ExitCode)] = &[
    (CibError::NotFound, -6, ExitCode::NOSUCH),
    (CibError::Exists, -17, ExitCode::EXISTS),
    (CibError::Invalid, -22, ExitCode::DATAERR),
    (CibError::Denied, -13, ExitCode::NOPERM),
    (CibError::Unsupported, -95, ExitCode(3)),
    (CibError::MissingData, -61, ExitCode::ERROR),
    (CibError::Timeout, -62, ExitCode::TIMEOUT),
    (CibError::NotConnected, -107, ExitCode::DISCONNECT),
    (CibError::TryAgain, -11, ExitCode::TEMPFAIL),
    (CibError::BadSchemaName, -93, ExitCode::DATAERR),
    (CibError::ReadOnly, -30, ExitCode::NOPERM),
    (CibError::NoSpace, -28, ExitCode::IOERR),
    (CibError::NoQuorum, -202, ExitCode::QUORUM),
    (CibError::SchemaValidation, -203, ExitCode::CONFIG),
    (CibError::TransformFailed, -204, ExitCode::CONFIG),
    (CibError::OldData, -205, ExitCode::OLD),
    (CibError::DiffFailed, -206, ExitCode::OLD),
    (CibError::DiffResync, -207, ExitCode::ERROR),
    (CibError::SchemaUnchanged, -211, ExitCode::OK),
    (CibError::Corrupt, -212, ExitCode::ERROR),
    (CibError::Multiple, -213, ExitCode::MULTIPLE),
];

impl CibError {
    /// The value of `cib_rc`: always negative.
    pub fn code(self) -> i32 {
        ERRORS.iter().find(|(error, ..)| *error == self).map_or(-22, |(_, code, _)| *code)
    }

    /// The error of a `cib_rc`; `None` for success. Numbers that we do not know are invalid arguments.
    pub fn from_code(code: i32) -> Option<CibError> {
        if code >= 0 {
            return None;
        }
        let known = ERRORS.iter().find(|(_, known, _)| *known == code);
        Some(known.map_or(CibError::Invalid, |(error, ..)| *error))
    }

    /// Exit status of a tool that ends because of it.
    pub fn exit(self) -> ExitCode {
        ERRORS.iter().find(|(error, ..)| *error == self).map_or(ExitCode::ERROR, |(_, _, exit)| *exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_round_trip() {
        for (error, code, _) in ERRORS {
            assert_eq!(CibError::from_code(*code), Some(*error));
            assert_eq!(error.code(), *code);
        }
        assert_eq!(CibError::from_code(0), None);
    }
}
