//! The demo source application: this machine's Debian packages, processes and mounts.
//!
//! A program of its own that uses nothing but public surfaces: it reads requests from Kafka
//! ([`consume`]), reads rows at the moment of the request ([`packages`], [`processes`], [`mounts`]),
//! streams them as JSON or CSV ([`write`]) and posts them to the internal API ([`answer`]).

pub mod answer;
pub mod arguments;
pub mod consume;
pub mod filters;
pub mod mounts;
pub mod packages;
pub mod processes;
pub mod request;
pub mod table;
pub mod write;
