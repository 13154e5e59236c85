//! Announced archives (contract page 2, "Consuming"): fetched from where their applications say, and handed in;
//! and what the log says when the platform announces.
//!
//! Kafka, PostgreSQL and object storage are real; only the servers of the archives are ours.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod announcing;
mod crashes;
mod endpoint;
mod handing_in;
mod hostile;
mod letters;
mod memory;
mod outages;
mod process;
mod refusals;
mod replicas;
mod retries;
mod support;
