//! The crate against brokers: one in this process, whose faults can be chosen, and a real one; and what it
//! renders for them.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod consuming;
mod dead_letters;
mod embedded;
mod faults;
mod fuzz;
mod kafka;
mod lifecycle_events;
mod odd_headers;
mod proxied;
mod request_events;
mod secured;
mod support;
