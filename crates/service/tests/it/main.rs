//! The shared parts of all services, driven from outside: real servers, a real process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod before_body;
mod bodies;
mod early_answers;
mod figures;
mod limits;
mod loops;
mod process;
mod stalling;
mod stopping;
mod support;
