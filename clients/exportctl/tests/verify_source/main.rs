//! `exportctl verify-source` against real applications on a real Kafka: good ones, and one that is bad in
//! every way that is checked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_source;
mod examples;
mod fault;
mod faults;
mod program;
mod resumable_client;
mod shared_topic;
mod support;
mod wiring;
