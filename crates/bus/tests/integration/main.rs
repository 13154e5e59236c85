//! The crate against brokers: one in this process, whose faults can be chosen, and a real one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod embedded;
mod faults;
mod kafka;
mod proxied;
mod request_events;
mod secured;
mod support;
