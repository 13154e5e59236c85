//! Input that no well-behaved client sends: always refused in the shape of the contract, never a panic, and
//! nothing is half done. And callers who ask for what is not theirs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bodies;
mod heads;
mod methods;
mod support;
mod uploads;
mod values;
