//! Why a request to create an export is refused (S0-42).

use crate::{csv_options::InvalidCsvOptions, names::InvalidName, registry::NotOffered};

/// Why a request to create an export is refused. The text is the answer's `message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The body is JSON, but not an object.
    #[error("invalid JSON: the body must be an object")]
    NotAnObject,
    /// The name is missing or not a text.
    #[error("invalid or missing name: must be a text")]
    MissingName,
    /// The name is not a name.
    #[error("invalid name: {0}")]
    InvalidName(#[source] InvalidName),
    /// The format is missing or not one we have.
    #[error("invalid or missing payload format")]
    InvalidFormat,
    /// No sources, or not an array.
    #[error("no sources provided")]
    NoSources,
    /// More sources than one export may have.
    #[error("too many sources, max: {0}")]
    TooManySources(usize),
    /// A source is not an object with an application and a resource.
    #[error("invalid source: must be an object with the texts 'application' and 'resource'")]
    InvalidSource,
    /// Filters are neither an object nor null.
    #[error("invalid json format of filters")]
    InvalidFilters,
    /// What is asked of its CSV cannot be.
    #[error(transparent)]
    InvalidCsv(#[from] InvalidCsvOptions),
    /// A time is not one.
    #[error("'{0}' is not a valid date in ISO 8601")]
    InvalidDate(String),
    /// The expiry has passed, and this installation refuses that.
    #[error("expires_at is in the past")]
    PastExpiry,
    /// An application or resource that this installation does not offer.
    #[error(transparent)]
    NotConfigured(#[from] NotOffered),
}

/// The beginning of what the caller sent, so that an answer is never as large as the request.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}
