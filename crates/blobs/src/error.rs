//! What can go wrong with the object storage, and with an upload.

use std::error::Error;

use object_store::Error as StoreError;

use crate::journal::JournalError;

type Source = Box<dyn Error + Send + Sync>;

/// Why the object storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The store cannot be reached, takes too long, or answered that it is at fault. Nothing is known about
    /// what it did; trying again later is right.
    #[error("the object storage is not available ({operation})")]
    Unavailable {
        /// What it was asked to do.
        operation: &'static str,
        /// What the client library said.
        #[source]
        source: Source,
    },
    /// All memory for uploads is in use, and none was given back in time. Nothing was sent; trying again
    /// later is right.
    #[error("no memory for an upload was free in time")]
    Busy,
    /// There is no object of that key.
    #[error("the object {key} does not exist")]
    NotFound {
        /// The key, without the configured prefix.
        key: String,
    },
    /// An object holds fewer or more bytes than were written or asked for.
    #[error("the object {key} has {actual} bytes where {expected} were expected")]
    WrongSize {
        /// The key, without the configured prefix.
        key: String,
        /// How many bytes it should have, or how many were asked for.
        expected: u64,
        /// How many there are.
        actual: u64,
    },
    /// The store refuses: credentials, permissions, or a request that it does not know. Trying again does
    /// not help; a person should look.
    #[error("the object storage refused ({operation})")]
    Refused {
        /// What it was asked to do.
        operation: &'static str,
        /// What the client library said.
        #[source]
        source: Source,
    },
}

impl StorageError {
    /// Whether trying again later, unchanged, may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Busy)
    }

    pub(crate) fn unavailable(operation: &'static str, source: impl Into<Source>) -> Self {
        Self::Unavailable { operation, source: source.into() }
    }

    /// Sorts what the client library says.
    pub(crate) fn of(operation: &'static str, key: &str, error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::NotFound { key: key.to_owned() },
            StoreError::Generic { .. } if !is_refusal(&error) => Self::unavailable(operation, error),
            StoreError::JoinError { .. } => Self::unavailable(operation, error),
            refused => Self::Refused { operation, source: refused.into() },
        }
    }
}

/// Whether a `Generic` error is an answer that asking again will not change. The library makes this variant
/// of connection errors, timeouts, disk errors and of most statuses, and shows a status in the text of a
/// cause only. What cannot be told counts as passing: a 503 where a 500 is due does less harm than the
/// other way round.
fn is_refusal(error: &StoreError) -> bool {
    const STATUS: &str = "Server returned non-2xx status code: ";
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let mut texts = causes.map(ToString::to_string);
    let answer = texts.find_map(|text| text.strip_prefix(STATUS).map(str::to_owned));
    answer.is_some_and(|answer| {
        let asked_to_wait = ["408", "429"].iter().any(|status| answer.starts_with(status))
            || ["RequestTimeout", "SlowDown"].iter().any(|code| answer.contains(code));
        answer.starts_with('4') && !asked_to_wait
    })
}

/// Why an upload left no object. `E` is the error of the stream that was uploaded.
#[derive(Debug, thiserror::Error)]
pub enum PutError<E> {
    /// The stream has more bytes than allowed.
    #[error("the data has more than {limit_bytes} bytes")]
    TooLarge {
        /// The most bytes allowed, before compression.
        limit_bytes: u64,
    },
    /// The stream broke before its end.
    #[error("the data ended early")]
    Body(#[source] E),
    /// The store did not take it.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The upload could not be noted before its first part.
    #[error("the upload could not be noted")]
    Journal(#[source] JournalError),
}
