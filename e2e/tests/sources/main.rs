//! Source applications that are made with the library `export-source`, and the platform.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod outages;
mod programs;
mod resumable;
mod sharing;
mod sql;
mod support;
