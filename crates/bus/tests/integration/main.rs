//! The crate against brokers: one in this process, whose faults can be chosen, and a real one.

mod embedded;
mod faults;
mod kafka;
mod request_events;
mod support;
