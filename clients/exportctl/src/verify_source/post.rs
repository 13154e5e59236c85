//! What an application has posted.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::content::Content;

/// The key of a post. A wrong one is not kept: it may be real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySent {
    /// The right one, once.
    Right,
    /// None.
    Missing,
    /// More than once.
    Repeated,
    /// Another one.
    Wrong,
    /// Beside a token.
    BesideToken,
}

/// The head of a post.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The header `x-rh-exports-psk`.
    pub(crate) key: KeySent,
    /// Whether the key stands in the URL.
    pub(crate) key_in_url: bool,
    /// The header.
    pub(crate) content_type: Option<String>,
    /// The header, in lower case; None for plain data.
    pub(crate) content_encoding: Option<String>,
    /// Sent in chunks, without a length, or in pieces.
    pub(crate) chunked: bool,
    /// The resumable upload that it adds to, and from which byte.
    pub(crate) piece: Option<(Uuid, u64)>,
}

/// An error report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorReport {
    /// For the customer.
    pub(crate) message: String,
    /// Never zero.
    pub(crate) code: i64,
}

impl ErrorReport {
    /// Reads a report as the platform does (S0-19).
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let body: Value =
            serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
        let message = body.get("message").and_then(Value::as_str).ok_or("it has no text `message`")?;
        let code = body.get("error").or_else(|| body.get("code")).and_then(Value::as_i64);
        match code {
            None => Err("it has no integer `error`".to_owned()),
            Some(0) => Err("its `error` is 0".to_owned()),
            Some(code) => Ok(Self { message: message.to_owned(), code }),
        }
    }
}

/// What a post held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// It was not looked at.
    Unread,
    /// Data.
    Data(Content),
    /// An error report, or what is wrong with it.
    Report(Result<ErrorReport, String>),
    /// It ended before its end.
    Broken(String),
    /// It was not in its encoding.
    Undecodable(String),
    /// It was larger than the platform takes by default.
    TooLarge,
    /// Nothing came for so long.
    Stalled(Duration),
}

/// One post.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// When its head came.
    pub(crate) arrived: Instant,
    /// Its head.
    pub(crate) head: Head,
    /// When its body was whole.
    pub(crate) received: Option<Instant>,
    /// What it held.
    pub(crate) body: Body,
    /// When it was over.
    pub(crate) ended: Option<Instant>,
    /// What it was answered with; None when it was not.
    pub(crate) status: Option<u16>,
}
