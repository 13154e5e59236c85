//! Why there is no data.

use std::fmt;

use crate::error::{BoxError, chain};

/// What the customer reads when a cause is nobody's business but yours.
const INTERNAL: &str = "the data could not be read";

/// Why a request is not answered with data. Code and message go to the platform, which shows them to the customer.
///
/// Any error becomes one by `?`: with code 500 and a fixed sentence, for an error's own text may tell what no
/// customer should know. It goes to the log.
pub struct Refusal {
    /// What kind of refusal, by the numbers of HTTP statuses; never 0.
    pub code: i32,
    /// What the customer reads; at most 1,024 bytes of it are kept.
    pub message: String,
    temporary: bool,
    cause: Option<BoxError>,
}

impl Refusal {
    /// A refusal for good. A `code` of 0, which the platform does not take, counts as 500.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        let code = if code == 0 { 500 } else { code };
        Self { code, message: message.into(), temporary: false, cause: None }
    }

    /// There is no such resource; there are `resources`. Code 404.
    pub fn unknown_resource(resources: &[&str]) -> Self {
        Self::new(404, format!("there is no such resource; there are: {}", resources.join(", ")))
    }

    /// Filters that cannot be applied; `message` says what can. Code 400.
    pub fn invalid_filters(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// Something is away that comes back. The request is tried again with growing waits, and refused with code 503
    /// and `message` when it still is so after [`crate::Settings::patience`].
    pub fn later(message: impl Into<String>) -> Self {
        Self { temporary: true, ..Self::new(503, message) }
    }

    /// Something that the customer cannot mend. Code 500 and a fixed sentence; the log has the cause.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::new(500, INTERNAL).because(cause)
    }

    /// With a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Whether the same request may be answered with data soon.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// For the log: the message, and the cause if there is one.
    pub(crate) fn detail(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{}: {}", self.message, chain(cause.as_ref())),
            None => self.message.clone(),
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.detail())
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::internal(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_error_is_for_the_log_only() {
        let read = || -> Result<(), Refusal> { Err(std::io::Error::other("password=hunter2"))? };
        let refusal = read().unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (500, INTERNAL));
        assert!(refusal.detail().contains("hunter2"));
    }

    #[test]
    fn a_code_that_the_platform_does_not_take_is_500() {
        assert_eq!(Refusal::new(0, "no").code, 500);
    }
}
