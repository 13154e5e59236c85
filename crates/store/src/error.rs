//! What can go wrong with the database.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Why a call to the database has no result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is starting, stopping or read-only, or does not answer. Nothing was
    /// changed, or the change is not known to be durable; trying again later is right.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// What the driver said.
        reason: String,
    },
    /// Postgres gave up a statement that ran too long or waited too long for a lock. Nothing was changed, and
    /// the connection is in order; trying again later is right.
    #[error("the database took too long: {reason}")]
    TimedOut {
        /// What Postgres said.
        reason: String,
    },
    /// Every connection is busy. Trying again later is right.
    #[error("no database connection was free in time")]
    Busy,
    /// Two transactions stood in each other's way. `Store::tx` tries again by itself; seen outside only
    /// when that did not help.
    #[error("the transaction collided with others too often")]
    Collision,
    /// A stored value is not one that this version knows.
    #[error("{table}.{column} of {row} is not valid: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The key of the row.
        row: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A statement failed: a defect of this program.
    #[error("a statement failed")]
    Statement(#[source] DieselError),
}

impl StoreError {
    /// Whether trying again later, unchanged, may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::TimedOut { .. } | Self::Busy | Self::Collision)
    }
}

/// A stored value that this version does not know.
pub(crate) fn corrupt(
    table: &'static str,
    column: &'static str,
    row: &impl std::fmt::Display,
    reason: impl std::fmt::Display,
) -> StoreError {
    StoreError::Corrupt { table, column, row: row.to_string(), reason: reason.to_string() }
}

/// What Postgres says when a limit that the pool has set has passed. These and the words below are those of
/// its C locale, which the pool asks for: diesel does not pass on the SQLSTATE.
const LIMIT_PASSED: [&str; 2] =
    ["canceling statement due to statement timeout", "canceling statement due to lock timeout"];

/// What Postgres says when the server and not the statement is at fault.
const SERVER_AT_FAULT: [&str; 7] = [
    "canceling statement due to",
    "terminating connection due to",
    "the database system is",
    "server closed the connection",
    "could not ",
    "no connection to the server",
    "cannot execute",
];

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind as Kind;

        match &error {
            DieselError::DatabaseError(Kind::SerializationFailure, _) => Self::Collision,
            DieselError::DatabaseError(
                Kind::ClosedConnection | Kind::UnableToSendCommand | Kind::ReadOnlyTransaction,
                info,
            ) => Self::Unavailable { reason: info.message().to_owned() },
            DieselError::DatabaseError(_, info) if info.message().starts_with("deadlock detected") => {
                Self::Collision
            }
            DieselError::DatabaseError(_, info) if LIMIT_PASSED.contains(&info.message()) => {
                Self::TimedOut { reason: info.message().to_owned() }
            }
            DieselError::DatabaseError(_, info)
                if SERVER_AT_FAULT.iter().any(|words| info.message().starts_with(words)) =>
            {
                Self::Unavailable { reason: info.message().to_owned() }
            }
            DieselError::BrokenTransactionManager => {
                Self::Unavailable { reason: "the connection broke within a transaction".to_owned() }
            }
            // The connection died in the COMMIT. Whether that was done nobody knows, so it is no collision,
            // which would be run again.
            DieselError::RollbackErrorOnCommit { commit_error, .. } => {
                Self::Unavailable { reason: commit_error.to_string() }
            }
            _ => Self::Statement(error),
        }
    }
}
