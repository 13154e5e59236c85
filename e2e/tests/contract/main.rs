//! The contract, id by id.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod walk;
