//! The contract, id by id: the name of a test begins with the id it is about.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod announcements;
mod answers;
mod asking;
mod authorisation;
mod bearer;
mod callers;
mod cancel;
mod coverage;
mod create;
mod csv;
mod download;
mod events;
mod examples;
mod expiry;
mod issuer;
mod keys;
mod lifecycle;
mod listing;
mod onboarding;
mod progress;
mod resumable;
mod resumable_clients;
mod retry;
mod samples;
mod status;
mod support;
mod uploads;
