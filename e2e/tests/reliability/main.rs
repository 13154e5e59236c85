//! Nothing that was acknowledged is lost, whatever dies or goes away, and when.
//!
//! The programs here are the real ones, each a process of its own on the shared test servers, built with
//! failpoints (`service::failpoint`). A test ends with an [`audit`]: every accepted export has led to exactly its
//! events, every acknowledged upload is in its archive, every export has ended, and nothing is left over.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod asking;
mod audit;
mod audit_notices;
mod callers;
mod chaos;
mod crashes;
mod kafka_away;
mod ledger;
mod load;
mod log_lines;
mod operating;
mod payload;
mod platform;
mod postgres_away;
mod program;
mod races;
mod reaping;
mod replicas;
mod resumable;
mod rig;
mod standalone;
mod starting;
mod stopping;
mod storage_away;
mod topic;
