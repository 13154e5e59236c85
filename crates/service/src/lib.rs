//! What every binary shares: run, configuration, telemetry, health, shutdown, HTTP errors and middleware.
//!
//! A service's `main` is [`run`] with its name and a function that wires it; that function gets a
//! [`Context`] and the service's settings, and starts servers ([`http::serve`]) and loops
//! ([`worker::Worker`]) in it. What is spawned in the context stops with it.

mod backoff;
mod chain;
pub mod config;
mod context;
pub mod database;
pub mod failpoints;
mod follow;
pub mod health;
pub mod http;
mod lifecycle;
pub mod metrics;
mod ops;
mod tasks;
pub mod telemetry;
pub mod worker;

/// Any error, for places that only pass it on or log it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub use backoff::Backoff;
pub use chain::chain;
pub use context::Context;
pub use follow::follow;
pub use health::Health;
pub use lifecycle::{LifecycleSettings, Options, ProcessSettings, ServiceSettings, VERSION, run, start};
pub use metrics::Metrics;
pub use tasks::{TaskFailure, Tasks};
pub use telemetry::TelemetrySettings;
