//! Kafka and CloudEvents.
//!
//! - [`RequestEvents`] renders a [`domain::RequestEvent`] into the [`Record`] that source applications
//!   read, and checks it against `schemas/events/` and the topic's size limit. It needs no Kafka, so that
//!   the create call can refuse what could never be sent.
//! - [`LifecycleEvents`] renders what is told of exports, [`Announcements`] what data pipelines are told of
//!   delivered data (contract page 2), both when they are sent.
//! - [`Producer`] sends records, reports on each of them, keeps the order of each key, and recovers by
//!   itself.
//! - [`Consumer`] takes a share of a topic's records in a consumer group and commits what is done.
//! - [`DeadLetters`] keeps records that cannot be used, byte for byte, with the reason.
//! - [`parse_announcement`] reads what applications announce (contract page 2).
//! - [`EmbeddedBroker`] is a Kafka in this process, for the standalone service.
//! - [`topics`] makes and inspects topics; [`reader`] reads a topic from its beginning.
//!
//! No type of the Kafka client shows outside this crate.

mod announcement;
mod client;
mod client_config;
mod consumer;
mod dead_letters;
mod delivery;
mod embedded;
mod envelope;
mod error;
mod event_schema;
mod generation;
mod headers;
mod health;
mod lifecycle_event;
mod producer;
mod producer_config;
pub mod reader;
mod reports;
mod request_event;
mod settings;
mod steps;
pub mod topics;

pub use announcement::{
    AnnounceProfile, AnnounceSettings, Announced, AnnouncementError, Announcements, InvalidAnnounceSettings,
    InvalidAnnouncement, parse_announcement,
};
pub use client_config::InvalidKafkaSettings;
pub use consumer::{Consumer, Subscription, TakenRecord, Ticket};
pub use dead_letters::{DeadLetter, DeadLetters, read_dead_letter};
pub use domain::Record;
pub use embedded::{EmbeddedBroker, EmbeddedBrokerError};
pub use error::{CheckError, KafkaFailure, SendError, Unavailable};
pub use event_schema::{SchemaError, SchemaViolation};
pub use lifecycle_event::{LifecycleEventSettings, LifecycleEvents};
pub use producer::Producer;
pub use request_event::{EventError, EventSettings, RequestEvents};
pub use settings::{Compression, KafkaSettings, SaslMechanism, SecurityProtocol};
