//! Why a source cannot work at all.

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a [`crate::Source`] cannot be made or cannot go on. What heals by itself is not among it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be used; the text names it.
    #[error("{0}")]
    Settings(String),
    /// The Kafka client cannot be made, or cannot go on.
    #[error("the Kafka client")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client")]
    Http(#[from] reqwest::Error),
    /// Signals cannot be waited for.
    #[error("waiting for signals")]
    Signals(#[source] std::io::Error),
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
