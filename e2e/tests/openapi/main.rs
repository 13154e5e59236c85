//! The descriptions of both APIs: they are the committed ones, the running servers keep to them, and every
//! operation in them keeps tenants apart. The page of all settings and the alerts are held here
//! as well.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod configuration;
mod description;
mod documents;
mod generated;
mod internal_statuses;
mod public_statuses;
mod tenancy;
