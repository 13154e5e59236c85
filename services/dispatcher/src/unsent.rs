//! What keeps a row of the outbox from being sent.

use service::BoxError;

/// Why there is no record to send.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// It cannot be made, now or later: a person should look.
    Broken(String),
    /// Nobody wants it any more, for this reason.
    Unwanted(&'static str),
    /// It cannot be made now.
    NotNow(BoxError),
}
