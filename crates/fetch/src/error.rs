//! Why something was not fetched.

use std::{error::Error, path::PathBuf, time::Duration};

use crate::addresses::NotPublic;

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidFetchSettings {
    /// The file of authorities cannot be read.
    #[error("the file of authorities {0} cannot be read")]
    CaFile(PathBuf, #[source] std::io::Error),
    /// It holds no certificates.
    #[error("the file {0} holds no certificates that can be used")]
    Certificates(PathBuf),
    /// The client does not start.
    #[error("the HTTP client cannot be made")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

/// Why a body was not fetched to its end. No text of it holds more of a URL than its host.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The host's address may not be connected to.
    #[error("the host has an address that is not public")]
    NotPublic,
    /// No connection, a broken one, or no HTTP.
    #[error("the fetch failed: {0}")]
    Broken(String),
    /// Nothing came for so long.
    #[error("nothing came for {0:?}")]
    Idle(Duration),
    /// Too little came for the time that it took.
    #[error("the body comes too slowly")]
    TooSlow,
    /// The whole took longer than this.
    #[error("the fetch took longer than {0:?}")]
    TooLong(Duration),
    /// The server's answer is no 200; redirects are not followed.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// The body ends wherever the connection does: whether all of it came cannot be told.
    #[error("the server does not say where the body ends")]
    NoLength,
    /// Another coding than gzip.
    #[error("the body has a Content-Encoding other than gzip")]
    Coding,
    /// The body has more than so many bytes.
    #[error("the body has more than {0} bytes")]
    TooLarge(u64),
}

impl FetchError {
    /// Whether fetching again later may succeed: a server at fault, too busy or out of reach does pass; what it
    /// refuses it refuses again (S2: 401, 403, 404 and 410 are not retried).
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Broken(_) | Self::Idle(_) | Self::TooSlow | Self::TooLong(_) => true,
            Self::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::NotPublic | Self::NoLength | Self::Coding | Self::TooLarge(_) => false,
        }
    }

    /// Sorts what the client says.
    pub(crate) fn of(error: reqwest::Error) -> Self {
        // The URL may be signed: it stays out of every text.
        let error = error.without_url();
        let causes = || std::iter::successors(Some(&error as &dyn Error), |&cause| cause.source());
        if causes().any(<dyn Error>::is::<NotPublic>) {
            return Self::NotPublic;
        }
        Self::Broken(causes().map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_5xx_and_timeouts_pass_and_refusals_do_not() {
        for passing in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert!(FetchError::Status(passing).is_transient(), "{passing}");
        }
        for lasting in [204, 206, 301, 302, 307, 400, 401, 403, 404, 410, 416] {
            assert!(!FetchError::Status(lasting).is_transient(), "{lasting}");
        }
        assert!(FetchError::Idle(Duration::ZERO).is_transient() && !FetchError::NotPublic.is_transient());
    }
}
