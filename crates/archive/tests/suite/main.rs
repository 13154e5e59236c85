//! The archive crate from outside: properties, sizes at the limits, and real readers.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod fuzz;
mod gzip;
mod layout;
mod limits;
mod names;
mod preconditions;
mod ranges;
mod readers;
mod records;
mod samples;
mod tools;
