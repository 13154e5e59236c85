//! Archives on their way to customers: parts of them, resumed, from several replicas, read by other people's
//! programs; what breaks on the way; and what it costs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod breaking;
mod conditions;
mod contents;
mod memory;
mod readers;
mod replicas;
mod support;
