//! Everything a source application needs but its data.
//!
//! You write a function from a [`Request`] to an [`Answer`] (rows or bytes) or a [`Refusal`]. [`Source`] does the
//! rest: it consumes the requests of your application from Kafka, decodes and checks them, writes rows as JSON or
//! CSV while they come, uploads them, tries again while the platform is away, and commits once the platform has
//! the answer. Memory does not grow with the size of an answer.
//!
//! ```no_run
//! use export_source::{Answer, Credentials, Refusal, Request, Settings, Source, stop_signal};
//! use futures_util::stream;
//! use serde::Serialize;
//!
//! #[derive(Serialize)]
//! struct Invoice {
//!     number: u64,
//!     total_cents: i64,
//! }
//!
//! async fn answer(request: Request) -> Result<Answer, Refusal> {
//!     match request.resource.as_str() {
//!         "invoices" => {
//!             // Yours: rows of `request.org_id` that pass `request.filters`, as a stream.
//!             let rows = (1..=3).map(|number| Ok::<_, Refusal>(Invoice { number, total_cents: 990 }));
//!             Ok(Answer::rows(stream::iter(rows)))
//!         }
//!         _ => Err(Refusal::unknown_resource(&["invoices"])),
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), export_source::Error> {
//!     let settings = Settings::new("billing", "kafka:9092", "http://internal-api:8081", Credentials::key_file("key"));
//!     Source::new(settings, answer)?.run(stop_signal()?).await
//! }
//! ```
//!
//! | you return | the customer gets |
//! |---|---|
//! | [`Answer::rows`], [`Answer::table`] | a file of rows in the format of the request |
//! | [`Answer::bytes`] | the bytes as they are |
//! | [`Refusal::new`] | your code and message instead of a file |
//! | [`Refusal::later`] | the same, if it still is so after [`Settings::patience`] |
//! | any other error, by `?` | code 500 and a fixed sentence; your log has the cause |
//!
//! Requests are delivered at least once. One that comes again while it is answered, or soon after, is answered
//! once; after a crash it may be answered again, which the platform welcomes.

mod answer;
#[cfg(feature = "clap")]
mod arguments;
mod backoff;
mod blocking;
mod body;
mod consume;
mod credentials;
mod deliver;
mod error;
mod http;
mod kafka;
mod metrics;
mod offsets;
mod pieces;
mod platform;
mod refusal;
mod request;
mod resumable;
mod seen;
mod settings;
mod source;
mod stop;
#[cfg(test)]
mod test_server;
mod waiting;
mod write;

#[cfg(feature = "clap")]
pub use arguments::Arguments;
pub use {
    answer::Answer,
    blocking::read_blocking,
    credentials::{ClientCredentials, Credentials, TokenProvider},
    error::{BoxError, Error},
    metrics::{Counts, Metrics},
    refusal::Refusal,
    request::{Format, Identity, Request, Undecodable},
    settings::Settings,
    source::Source,
    stop::stop_signal,
};

/// The programs that the pages show are compiled with the tests.
#[cfg(all(doctest, feature = "clap"))]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/source-applications.md")]
    struct Guide;
}
