//! The store against a real Postgres, a database for each test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod ask_again;
mod count;
mod create;
mod deadlines;
mod deadlocks;
mod find;
mod freeze;
mod lifecycle;
mod list;
mod migrations;
mod object_keys;
mod outbox;
mod outbox_order;
mod pool;
mod random;
mod registry;
mod release;
mod resend;
mod resumable;
mod retry;
mod schema;
mod secured;
mod support;
mod sweeps;
mod wakeup;
