//! The store against a real Postgres, a database for each test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod count;
mod create;
mod deadlines;
mod find;
mod freeze;
mod list;
mod object_keys;
mod random;
mod release;
mod support;
mod sweeps;
