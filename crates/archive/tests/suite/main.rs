//! The archive crate from outside: properties, sizes at the limits, and real readers.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod fuzz;
mod gzip;
mod preconditions;
mod ranges;
mod tools;
