//! Kafka and CloudEvents.
//!
//! - [`RequestEvents`] renders a [`domain::RequestEvent`] into the [`Record`] that source applications
//!   read, and checks it against `schemas/events/` and the topic's size limit. It needs no Kafka, so that
//!   the create call can refuse what could never be sent.
//! - [`Producer`] sends records, reports on each of them, keeps the order of each key, and recovers by
//!   itself.
//! - [`EmbeddedBroker`] is a Kafka in this process, for the standalone service.
//! - [`topics`] makes and inspects topics; [`reader`] reads a topic from its beginning.
//!
//! No type of the Kafka client shows outside this crate.

mod client;
mod client_config;
mod delivery;
mod embedded;
mod error;
mod generation;
mod health;
mod producer;
mod producer_config;
pub mod reader;
mod reports;
mod request_event;
mod request_schema;
mod settings;
mod steps;
pub mod topics;

pub use client_config::InvalidKafkaSettings;
pub use domain::Record;
pub use embedded::{EmbeddedBroker, EmbeddedBrokerError};
pub use error::{CheckError, KafkaFailure, SendError, Unavailable};
pub use producer::Producer;
pub use request_event::{EventError, EventSettings, RequestEvents};
pub use request_schema::{SchemaError, SchemaViolation};
pub use settings::{Compression, KafkaSettings, SaslMechanism, SecurityProtocol};
