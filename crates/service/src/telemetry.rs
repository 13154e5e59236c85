//! Logs: structured lines on standard output, filtered by target and level.
//!
//! The rule for what is logged: ids as fields (`export.id`, `org.id`), never secrets, tokens, identity
//! headers or bodies. Secrets in settings are [`domain::Secret`], which prints as `***`.

use std::{io, panic};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::tasks::Panicked;

/// How the program logs, to standard output.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// One JSON object per line, or lines for people.
    pub format: LogFormat,
    /// Which lines are written, as comma-separated `level` or `target=level`: `info`,
    /// `info,access=off,store=debug`. The target `access` has one line per HTTP request.
    pub filter: String,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self { format: LogFormat::Json, filter: "info".to_owned() }
    }
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Lines for people.
    Text,
}

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.filter` cannot be read.
    #[error("wrong settings: telemetry.filter `{0}` is not a list of levels and targets")]
    Filter(String),
    /// Something else in the process logs already.
    #[error("logging was set up before")]
    AlreadySet(#[source] tracing_subscriber::util::TryInitError),
}

/// Begins to log for the whole process, panics included.
///
/// # Errors
/// [`TelemetryError`] if the filter is wrong, or logging was set up before.
pub fn init(settings: &TelemetrySettings) -> Result<(), TelemetryError> {
    let filter =
        EnvFilter::try_new(&settings.filter).map_err(|_| TelemetryError::Filter(settings.filter.clone()))?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(io::stdout);
    match settings.format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_span_list(false)).try_init(),
        LogFormat::Text => registry.with(lines).try_init(),
    }
    .map_err(TelemetryError::AlreadySet)?;
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        tracing::error!(place, panic = %Panicked::new(info.payload()), "a panic: a mistake in the program");
    }));
    Ok(())
}
